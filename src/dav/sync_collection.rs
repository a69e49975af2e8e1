//! The report `sync-collection`: what changed in a calendar since a token (RFC 6578).

use std::collections::BTreeMap;

use crate::dav::href::{Place, place};
use crate::dav::list::etag_of;
use crate::dav::xml::{self, Element, Member};
use crate::dav::{is_about_everything, trouble, xml_request};
use crate::model::{Changes, Entry, Etag, Href};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// The prefix of the number in a sabre token.
const SABRE_TOKEN: &str = "http://sabre.io/ns/sync/";

/// Asks what changed since a token; an empty one asks for everything.
#[derive(Debug, Clone)]
pub struct SyncCollection<'a> {
    /// The token from an earlier answer.
    pub since: &'a str,
}

/// How many truncated answers to follow. Servers truncate at a hundred objects or more; if one has even more to
/// report, or never finishes, we request the full listing.
const MOST_PAGES: usize = 1000;

/// One answer to `sync-collection`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// What changed.
    Delta {
        /// Created or changed objects.
        changed: Vec<Entry>,
        /// Objects that are gone.
        gone: Vec<Href>,
        /// The token for the state after this answer.
        sync_token: String,
        /// More changes follow (507 for the calendar, RFC 6578 §3.6).
        truncated: bool,
    },
    /// The server rejects the token, does not support the report, or omits required data: list instead.
    Unknown,
}

impl SyncCollection<'_> {
    /// The request for this calendar. sabre requires the token element even when it is empty.
    pub fn request(&self, base: &Url) -> Request {
        let token = xml::SYNC_TOKEN.around(&xml::escape(self.since));
        let level = xml::SYNC_LEVEL.around("1");
        let body = xml::SYNC_COLLECTION.document(&(token + &level + &xml::prop(&[xml::GETETAG])));
        xml_request("REPORT", base.as_collection(), "0", body)
    }

    /// The changes. Anything else is [`Page::Unknown`]: servers have many ways to report a forgotten token, and the
    /// listing that follows detects missing permissions and a missing calendar. An `Err` is about the server as a
    /// whole.
    pub fn response(&self, base: &Url, response: &Response) -> anyhow::Result<Page> {
        if is_about_everything(response) {
            return Err(trouble(&self.request(base), response));
        }
        if response.status != 207 || response.is_html() {
            return Ok(Page::Unknown);
        }
        let page = xml::read(&response.body, |root| root.is(xml::MULTISTATUS).then(|| page(base, root)));
        Ok(page.flatten().unwrap_or(Page::Unknown))
    }
}

fn page(base: &Url, root: Element<'_>) -> Page {
    let Some(sync_token) = root.child(xml::SYNC_TOKEN).and_then(Element::trimmed) else { return Page::Unknown };
    let (mut changed, mut gone, mut truncated) = (Vec::new(), Vec::new(), false);
    for member in xml::members(root) {
        match (place(base, &member.href), outcome(&member)) {
            // sabre reports the calendar itself after a PROPPATCH (4.7).
            (Place::Collection, _) => truncated |= member.status == Some(507),
            (Place::Subcollection | Place::Elsewhere, _) => {}
            (Place::Member(href), Some(Outcome::Gone)) => gone.push(href),
            (Place::Member(href), Some(Outcome::Changed(etag))) => changed.push(Entry { href, etag }),
            (Place::Member(_), None) => return Page::Unknown,
        }
    }
    Page::Delta { changed, gone, sync_token, truncated }
}

enum Outcome {
    Changed(Etag),
    Gone,
}

/// `None` if the answer does not say whether the object changed or is gone.
fn outcome(member: &Member<'_>) -> Option<Outcome> {
    match member.status {
        Some(404 | 410) => Some(Outcome::Gone),
        Some(status) if !(200..300).contains(&status) => None,
        _ => etag_of(member).map(Outcome::Changed),
    }
}

/// Follows truncated answers (RFC 6578 §3.6) until one is complete; the last report about an object wins. `ask` sends
/// [`SyncCollection`] with a token.
pub fn follow(since: &str, mut ask: impl FnMut(&str) -> anyhow::Result<Page>) -> anyhow::Result<Changes> {
    let mut all: Vec<(Href, Option<Entry>)> = Vec::new();
    let mut token = since.to_owned();
    for _ in 0..MOST_PAGES {
        let Page::Delta { changed, gone, sync_token, truncated } = ask(&token)? else { return Ok(Changes::Unknown) };
        all.extend(changed.into_iter().map(|entry| (entry.href.clone(), Some(entry))));
        all.extend(gone.into_iter().map(|href| (href, None)));
        if truncated && sync_token == token {
            return Ok(Changes::Unknown);
        }
        if !truncated {
            return Ok(merged(all, sync_token));
        }
        token = sync_token;
    }
    Ok(Changes::Unknown)
}

fn merged(all: Vec<(Href, Option<Entry>)>, sync_token: String) -> Changes {
    let latest: BTreeMap<Href, Option<Entry>> = all.into_iter().collect();
    let (mut changed, mut gone) = (Vec::new(), Vec::new());
    for (href, entry) in latest {
        match entry {
            Some(entry) => changed.push(entry),
            None => gone.push(href),
        }
    }
    Changes::Since { changed, gone, sync_token }
}

/// Whether a token can come from this calendar's past. sabre answers "nothing changed" to a token that is not a
/// number, and to one from its future, as after a restored backup or when the calendar was recreated (sabre/dav 4.7).
/// Tokens of other servers are left for those servers to reject.
pub fn token_is_plausible(sent: &str, current: &str) -> bool {
    let number = |token: &str| token.strip_prefix(SABRE_TOKEN)?.parse::<u64>().ok();
    match (sent.starts_with(SABRE_TOKEN), number(sent), number(current)) {
        (false, ..) => true,
        (true, Some(sent), Some(current)) => sent <= current,
        (true, ..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dav::tests::{answer, base, xml};
    use crate::words::error::kind_of;

    const SYNC: SyncCollection<'static> = SyncCollection { since: "t&1" };

    /// `+href=etag` for changed, `-href` for gone, then the token and `…` if truncated.
    fn check(response: &Response, expected: &str) {
        let words = match SYNC.response(&base(), response) {
            Err(error) => format!("{:?}", kind_of(&error)),
            Ok(Page::Unknown) => "unknown".to_owned(),
            Ok(Page::Delta { changed, gone, sync_token, truncated }) => {
                let changed = changed.iter().map(|entry| format!("+{}={} ", entry.href.as_str(), entry.etag.as_str()));
                let gone = gone.iter().map(|href| format!("-{} ", href.as_str()));
                changed.chain(gone).collect::<String>() + &sync_token + if truncated { "…" } else { "" }
            }
        };
        assert_eq!(words, expected);
    }

    fn sabre(inner: &str) -> Response {
        xml(&format!(
            r#"<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:cal="urn:ietf:params:xml:ns:caldav">{inner}
 <d:sync-token>http://sabre.io/ns/sync/9</d:sync-token>
</d:multistatus>"#
        ))
    }

    #[test]
    fn baikal_tells_what_changed_and_what_is_gone_and_speaks_of_itself() {
        check(
            &sabre(
                r"
 <d:response>
  <d:status>HTTP/1.1 404 Not Found</d:status>
  <d:href>/dav.php/calendars/alice/work/gone.ics</d:href>
  <d:propstat><d:prop/><d:status>HTTP/1.1 418 I'm a teapot</d:status></d:propstat>
 </d:response>
 <d:response>
  <d:href>/dav.php/calendars/alice/work/new.ics</d:href>
  <d:propstat>
   <d:prop>
    <d:getetag>&quot;abc&quot;</d:getetag>
   </d:prop>
   <d:status>HTTP/1.1 200 OK</d:status>
  </d:propstat>
 </d:response>
 <d:response>
  <d:href>/dav.php/calendars/alice/work/</d:href>
  <d:propstat><d:prop><d:getetag/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat>
 </d:response>",
            ),
            "+new.ics=\"abc\" -gone.ics http://sabre.io/ns/sync/9",
        );
        check(&sabre(""), "http://sabre.io/ns/sync/9");
    }

    #[test]
    fn radicale_puts_the_token_first_and_xandikos_the_status() {
        check(
            &xml(r#"<?xml version='1.0' encoding='utf-8'?>
<multistatus xmlns="DAV:"><sync-token>http://radicale.org/ns/sync/f369</sync-token><response><href>/dav.php/calendars/alice/work/e2%40x.ics</href><status>HTTP/1.1 404 Not Found</status></response><response><href>/dav.php/calendars/alice/work/e1%40x.ics</href><propstat><prop><getetag>"8e2a"</getetag></prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"#),
            "+e1%40x.ics=\"8e2a\" -e2%40x.ics http://radicale.org/ns/sync/f369",
        );
        check(
            &xml(
                r#"<ns0:multistatus xmlns:ns0="DAV:"><ns0:response><ns0:href>/dav.php/calendars/alice/work/e1@x.ics</ns0:href><ns0:propstat><ns0:status>HTTP/1.1 200 OK</ns0:status><ns0:prop><ns0:getetag>"ec7f"</ns0:getetag></ns0:prop></ns0:propstat></ns0:response><ns0:response><ns0:href>/dav.php/calendars/alice/work/e2@x.ics</ns0:href><ns0:status>HTTP/1.1 404</ns0:status></ns0:response><ns0:sync-token>c37a</ns0:sync-token></ns0:multistatus>"#,
            ),
            "+e1@x.ics=\"ec7f\" -e2@x.ics c37a",
        );
    }

    #[test]
    fn a_truncated_answer_says_so() {
        let calendar = "<d:response><d:href>/dav.php/calendars/alice/work/</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status></d:response>";
        check(&sabre(calendar), "http://sabre.io/ns/sync/9…");
    }

    #[test]
    fn a_refused_token_or_an_unknown_report_is_unknown() {
        let sabre = r#"<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>Sabre\DAV\Exception\InvalidSyncToken</s:exception><s:message>Invalid or unknown sync token</s:message><d:valid-sync-token/></d:error>"#;
        check(&answer(403, "", sabre), "unknown");
        let sabre18 = r#"<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns"><s:exception>Sabre\DAV\Exception\ReportNotSupported</s:exception><d:supported-report/></d:error>"#;
        check(&answer(403, "", sabre18), "unknown");
        check(&answer(403, "", r#"<error xmlns="DAV:"><valid-sync-token /></error>"#), "unknown");
        for status in [400, 403, 404, 405, 409, 410, 412, 415, 500, 501, 502, 507] {
            check(&answer(status, "", ""), "unknown");
        }
    }

    #[test]
    fn what_concerns_everything_is_an_error_and_the_listing_tells_the_rest() {
        check(&answer(401, "", ""), "Refused");
        check(&answer(429, "", ""), "Unavailable");
        check(&answer(503, "Retry-After: 9", ""), "Unavailable");
        let rights = r#"<d:error xmlns:d="DAV:"><d:need-privileges/></d:error>"#;
        check(&answer(403, "", rights), "unknown");
        check(&answer(200, "Content-Type: text/html", "<h3>DB file is not writable."), "unknown");
        check(&xml("<p>"), "unknown");
    }

    #[test]
    fn an_answer_that_leaves_something_open_is_unknown() {
        check(&xml(r#"<multistatus xmlns="DAV:"/>"#), "unknown");
        check(
            &sabre(
                "<d:response><d:href>/dav.php/calendars/alice/work/1.ics</d:href><d:propstat><d:prop/><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>",
            ),
            "unknown",
        );
    }

    #[test]
    fn the_request_carries_its_token_escaped_and_depth_0() {
        let request = SYNC.request(&base());
        let body = String::from_utf8(request.body.clone()).unwrap();
        assert_eq!((request.method, request.headers.get("depth").as_deref()), ("REPORT", Some("0")));
        assert!(body.contains("<d:sync-token>t&amp;1</d:sync-token><d:sync-level>1</d:sync-level>"), "{body}");
        let empty = SyncCollection { since: "" }.request(&base());
        assert!(String::from_utf8(empty.body).unwrap().contains("<d:sync-token></d:sync-token>"));
    }

    #[test]
    fn an_endless_row_of_truncated_answers_is_unknown() {
        let mut pages = 0;
        let changes = follow("t", |_| {
            pages += 1;
            Ok(Page::Delta { changed: vec![], gone: vec![], sync_token: pages.to_string(), truncated: true })
        });
        assert_eq!((changes.unwrap(), pages), (Changes::Unknown, MOST_PAGES));
    }

    #[test]
    fn a_sabre_token_from_the_future_is_not_plausible() {
        let sabre = |number: &str| format!("{SABRE_TOKEN}{number}");
        assert!(token_is_plausible(&sabre("7"), &sabre("7")) && token_is_plausible(&sabre("7"), &sabre("8")));
        assert!(!token_is_plausible(&sabre("9"), &sabre("8")) && !token_is_plausible(&sabre("abc"), &sabre("8")));
        assert!(!token_is_plausible(&sabre("9"), "http://radicale.org/ns/sync/1"));
        assert!(token_is_plausible("http://radicale.org/ns/sync/1", &sabre("8")));
    }
}
