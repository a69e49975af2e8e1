//! Reads objects: the report `calendar-multiget` (RFC 4791 §7.9), and GET for what it cannot deliver.

use crate::dav::href::{self, Place, place};
use crate::dav::list::etag_of;
use crate::dav::xml::{self, Element, Member};
use crate::dav::{is_about_everything, trouble, xml_request};
use crate::model::{Etag, Href, Stored};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// How many objects to request at once. Baïkal 0.11 answers 500 in 20 ms; with 40,000 it fails.
pub const MOST_HREFS: usize = 500;

/// Asks for the text and the ETag of several objects.
#[derive(Debug, Clone)]
pub struct Multiget<'a> {
    /// The objects.
    pub hrefs: &'a [Href],
}

/// The result of a multiget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The objects in the answer. Other requested ones are left out or reported as gone, which is not trusted: Zoho
    /// answers for the first hundred and omits the others, or reports them as 404.
    Objects {
        /// Objects whose text is exactly what is stored.
        stored: Vec<Stored>,
        /// Objects whose text XML could not carry, or that came without one: GET them.
        doubtful: Vec<Href>,
    },
    /// The batch as a whole failed: one object is missing (sabre 1.8 fails the whole request), breaks the XML or is
    /// forbidden, or the batch is too large for the server (PHP out of memory answers 500). Ask for fewer.
    AskForFewer,
}

impl Multiget<'_> {
    /// The request for this calendar.
    pub fn request(&self, base: &Url) -> anyhow::Result<Request> {
        let mut content = xml::prop(&[xml::GETETAG, xml::CALENDAR_DATA]);
        for href in self.hrefs {
            content.push_str(&xml::HREF.around(&xml::escape(href::url(base, href)?.path())));
        }
        Ok(xml_request("REPORT", base.as_collection(), "1", xml::CALENDAR_MULTIGET.document(&content)))
    }

    /// The objects.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Answer> {
        if is_about_everything(response) {
            return Err(trouble(&Request::new("REPORT", base.clone()), response));
        }
        if response.status != 207 || response.is_html() {
            return Ok(Answer::AskForFewer);
        }
        let objects = xml::read(&response.body, |root| root.is(xml::MULTISTATUS).then(|| objects(base, root)));
        Ok(objects.flatten().unwrap_or(Answer::AskForFewer))
    }
}

fn objects(base: &Url, root: Element<'_>) -> Answer {
    let (mut stored, mut doubtful) = (Vec::new(), Vec::new());
    for member in xml::members(root) {
        let Place::Member(href) = place(base, &member.href) else { continue };
        if matches!(member.status, Some(404 | 410)) {
            continue;
        }
        match text_and_etag(&member) {
            Some((text, etag)) => stored.push(Stored { href, etag, text }),
            None => doubtful.push(href),
        }
    }
    Answer::Objects { stored, doubtful }
}

fn text_and_etag(member: &Member<'_>) -> Option<(Vec<u8>, Etag)> {
    let text = member.property(xml::CALENDAR_DATA)?.text();
    let whole = !text.trim().is_empty() && !text.contains(xml::REPLACEMENT);
    Some((text.into_owned().into_bytes(), etag_of(member)?)).filter(|_| whole)
}

/// The result of a GET.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Got {
    /// The object.
    Object(Stored),
    /// It does not exist.
    Gone,
    /// It may exist but cannot be read: forbidden, a server error, no ETag.
    Unreadable,
}

/// Asks for one object; works whatever its text contains.
#[derive(Debug, Clone)]
pub struct Get<'a> {
    /// The object.
    pub href: &'a Href,
}

impl Get<'_> {
    /// The request for this calendar.
    pub fn request(&self, base: &Url) -> anyhow::Result<Request> {
        Ok(Request::new("GET", href::url(base, self.href)?).header("Accept", "text/calendar"))
    }

    /// The request for its ETag only; a HEAD is answered like the GET, without the text. It must not advertise an
    /// encoding, or some clients would look for a compressed body that is not there.
    pub fn head(&self, base: &Url) -> anyhow::Result<Request> {
        Ok(Request { method: "HEAD", ..self.request(base)? }.header("Accept-Encoding", "identity"))
    }

    /// The object, or why there is none. An `Err` is about the server as a whole.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Got> {
        if is_about_everything(response) {
            return Err(trouble(&self.request(base)?, response));
        }
        let etag = response.headers.get("etag").and_then(|written| Etag::parse(&written));
        Ok(match (response.status, etag) {
            (404 | 410, _) => Got::Gone,
            (200, Some(etag)) if !response.is_html() => {
                Got::Object(Stored { href: self.href.clone(), etag, text: response.body.clone() })
            }
            _ => Got::Unreadable,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dav::tests::{answer, base, xml};
    use crate::words::error::kind_of;

    /// `href=etag:text` for stored objects, `?href` for doubtful ones.
    fn check(response: &Response, expected: &str) {
        let words = match (Multiget { hrefs: &[] }).response(&base(), response) {
            Err(error) => format!("{:?}", kind_of(&error)),
            Ok(Answer::AskForFewer) => "fewer".to_owned(),
            Ok(Answer::Objects { stored, doubtful }) => {
                let text = |object: &Stored| String::from_utf8(object.text.clone()).unwrap();
                let stored = stored
                    .iter()
                    .map(|object| format!("{}={}:{}", object.href.as_str(), object.etag.as_str(), text(object)));
                stored.chain(doubtful.iter().map(|href| format!("?{}", href.as_str()))).collect::<Vec<_>>().join(" ")
            }
        };
        assert_eq!(words, expected);
    }

    fn sabre(name: &str, data: &str) -> String {
        format!(
            r"<d:response><d:href>/dav.php/calendars/alice/work/{name}</d:href><d:propstat><d:prop><d:getetag>&quot;{name}&quot;</d:getetag><cal:calendar-data>{data}</cal:calendar-data></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
        )
    }

    fn baikal(inner: &str) -> Response {
        xml(&format!(
            r#"<?xml version="1.0"?><d:multistatus xmlns:d="DAV:" xmlns:cal="urn:ietf:params:xml:ns:caldav">{inner}</d:multistatus>"#
        ))
    }

    #[test]
    fn baikal_leaves_out_what_is_gone() {
        check(&baikal(&sabre("1", "BEGIN:VCALENDAR\nSUMMARY:R&amp;D\n")), "1=\"1\":BEGIN:VCALENDAR\nSUMMARY:R&D\n");
        check(&baikal(""), "");
    }

    #[test]
    fn radicale_and_xandikos_say_404_of_what_is_gone() {
        let radicale = r#"<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><response><href>/dav.php/calendars/alice/work/e2%40x.ics</href><status>HTTP/1.1 404 Not Found</status></response><response><href>/dav.php/calendars/alice/work/e1%40x.ics</href><propstat><prop><getetag>"8e2a"</getetag><C:calendar-data>BEGIN:VCALENDAR
</C:calendar-data></prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"#;
        check(&xml(radicale), "e1%40x.ics=\"8e2a\":BEGIN:VCALENDAR\n");
        let xandikos = r#"<ns0:multistatus xmlns:ns0="DAV:" xmlns:ns1="urn:ietf:params:xml:ns:caldav"><ns0:response><ns0:href>/dav.php/calendars/alice/work/e1@x.ics</ns0:href><ns0:propstat><ns0:status>HTTP/1.1 200 OK</ns0:status><ns0:prop><ns0:getetag>"ec7f"</ns0:getetag><ns1:calendar-data>BEGIN:VCALENDAR&#13;
</ns1:calendar-data></ns0:prop></ns0:propstat></ns0:response></ns0:multistatus>"#;
        check(&xml(xandikos), "e1@x.ics=\"ec7f\":BEGIN:VCALENDAR\r\n");
    }

    #[test]
    fn an_object_that_xml_cannot_carry_is_doubtful_and_spoils_no_other() {
        check(&baikal(&(sabre("1", "x\x10y") + &sabre("2", "z&#x1f;") + &sabre("3", "ok"))), "3=\"3\":ok ?1 ?2");
        check(&baikal(&sabre("1", "")), "?1");
    }

    #[test]
    fn a_request_that_failed_for_one_object_asks_for_fewer() {
        let sabre18 = r#"<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>Sabre\DAV\Exception\NotFound</s:exception></d:error>"#;
        check(&answer(404, "Content-Type: application/xml", sabre18), "fewer");
        check(&xml("<d:multistatus xmlns:d=\"DAV:\"><d:response>"), "fewer");
        check(&answer(500, "Content-Type: text/html; charset=UTF-8", ""), "fewer");
    }

    #[test]
    fn what_concerns_everything_is_an_error_and_any_other_trouble_may_be_that_of_one_object() {
        check(&answer(401, "", ""), "Refused");
        check(&answer(503, "Retry-After: 60", ""), "Unavailable");
        for status in [403, 500, 502] {
            check(&answer(status, "Content-Type: text/html", "<html>No</html>"), "fewer");
        }
        check(&answer(200, "Content-Type: text/html", "<h3>DB file is not writable."), "fewer");
    }

    #[test]
    fn the_request_names_its_objects_by_path() {
        let hrefs = [Href::new("a%40b.ics"), Href::new("R&D.ics")];
        let body = String::from_utf8(Multiget { hrefs: &hrefs }.request(&base()).unwrap().body).unwrap();
        assert!(body.contains("<d:href>/dav.php/calendars/alice/work/a%40b.ics</d:href>"), "{body}");
        assert!(body.contains("<d:href>/dav.php/calendars/alice/work/R&amp;D.ics</d:href>"), "{body}");
    }

    #[test]
    fn get_brings_octets_and_a_strong_etag() {
        let href = Href::new("1.ics");
        let get = Get { href: &href };
        let found = get.response(&base(), &answer(200, "Content-Type: text/calendar\nETag: W/\"1\"", "x\x10")).unwrap();
        assert_eq!(
            found,
            Got::Object(Stored { href: href.clone(), etag: Etag::parse("\"1\"").unwrap(), text: b"x\x10".to_vec() })
        );
        assert_eq!(get.response(&base(), &answer(404, "", "")).unwrap(), Got::Gone);
        let silent =
            [answer(200, "Content-Type: text/html\nETag: \"1\"", "<p>"), answer(200, "", "x"), answer(403, "", "")];
        for response in silent {
            assert_eq!(get.response(&base(), &response).unwrap(), Got::Unreadable, "{response:?}");
        }
        assert!(get.response(&base(), &answer(401, "", "")).is_err());
    }
}
