//! CalDAV without a connection (RFC 4791, RFC 6578): each operation is a value that builds an HTTP request and reads
//! the HTTP response. Nothing here sends anything.

pub mod discover;
pub mod href;
pub mod list;
pub mod multiget;
pub mod sync_collection;
pub mod write;
pub mod xml;
mod xml_limits;

use crate::words::error::{Fault, Kind};
use crate::words::message::{Request, Response};
use crate::words::time::{Timestamp, parse_http_date, parse_retry_after};
use crate::words::url::Url;
use xml::{Element, ErrorBody};

/// How many characters of a server's message are kept.
const LONGEST_REASON: usize = 300;

/// A request with an XML body. Xandikos rejects one without a Content-Type (0.4).
fn xml_request(method: &'static str, url: Url, depth: &str, body: String) -> Request {
    Request::new(method, url).header("Depth", depth).header("Content-Type", "application/xml; charset=utf-8").body(body)
}

/// Reads the multistatus of PROPFIND and REPORT. Only 207 with XML is a success, because a Baïkal with a broken
/// database answers everything with 200 and a web page.
fn multistatus<T>(
    asked: &Request,
    response: &Response,
    read: impl FnOnce(Element<'_>) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    if response.status != 207 || response.is_html() {
        return Err(trouble(asked, response));
    }
    let result = xml::read(&response.body, |root| root.is(xml::MULTISTATUS).then(|| read(root)));
    result.flatten().unwrap_or_else(|| Err(unreadable(asked)))
}

/// Like [`whole`], as an error.
fn trouble(asked: &Request, response: &Response) -> anyhow::Error {
    whole(asked, response).into()
}

/// Whether a response concerns the client or the whole server, regardless of the request.
fn is_about_everything(response: &Response) -> bool {
    matches!(response.status, 401 | 429) || (response.status == 503 && retry_after(response).is_some())
}

/// What an unsuccessful response means for the collection or the server as a whole.
fn whole(asked: &Request, response: &Response) -> Fault {
    let (kind, what) = judge(response);
    // A response that is not an error has no message about it.
    let reason = match sentence(response) {
        Some(sentence) if !response.is_html() && response.status >= 400 => format!(": {sentence}"),
        _ => String::new(),
    };
    let message = format!("{what} ({} for {} {}){reason}", response.status, asked.method, asked.url);
    Fault { retry_after: retry_after(response), ..Fault::new(kind, message) }
}

fn judge(response: &Response) -> (Kind, &'static str) {
    let body = || ErrorBody::of(&response.body);
    match response.status {
        200..=299 if response.is_html() => (
            Kind::Unavailable,
            "the server answered a web page (Baïkal does so when its database is read-only or missing)",
        ),
        200..=299 => (Kind::NotCaldav, "the server did not answer as CalDAV does"),
        300..=399 => (Kind::NotCaldav, "the server sends us elsewhere: check the address in the configuration"),
        400 if response.wants_encryption() => {
            (Kind::NotCaldav, "the server speaks https there: write https:// into the configuration")
        }
        400 if response.wants_certificate() => {
            (Kind::Refused, "the server asks for a certificate of ours, or does not accept it: see `tls_cert`")
        }
        401 => (Kind::Refused, "the server refuses the user or the password"),
        403 if body().names(xml::NEED_PRIVILEGES) => (Kind::Refused, "the user has no right to do that"),
        403 => (Kind::Refused, "the server forbids that"),
        404 | 410 => (Kind::Missing, "there is no such calendar on the server"),
        408 | 423 | 425 | 429 => (Kind::Unavailable, "the server is busy"),
        405 | 501 => (Kind::NotCaldav, "the server does not know that CalDAV request"),
        500..=599 => (Kind::Unavailable, "the server has a trouble of its own"),
        _ => (Kind::NotCaldav, "the server does not take that CalDAV request"),
    }
}

/// The error for a calendar that no longer exists.
fn gone(calendar: &Url) -> anyhow::Error {
    crate::words::error::fault(Kind::Missing, format!("the calendar {calendar} is not on the server any more"))
}

fn unreadable(asked: &Request) -> anyhow::Error {
    let message = format!("the server's answer to {} {} cannot be read as XML of CalDAV", asked.method, asked.url);
    crate::words::error::fault(Kind::Unavailable, message)
}

/// In seconds; a date is relative to the response's own `Date`.
fn retry_after(response: &Response) -> Option<u64> {
    let written = response.headers.get("retry-after")?;
    let date = response.headers.get("date").and_then(|date| parse_http_date(&date));
    match date {
        Some(now) => parse_retry_after(&written, now),
        None => parse_retry_after(&written, Timestamp(i64::MAX)).filter(|seconds| *seconds > 0),
    }
}

/// The server's own message, made safe to show: one line, no control characters, no query of an address.
fn sentence(response: &Response) -> Option<String> {
    let body = ErrorBody::of(&response.body);
    let plain =
        || (response.media_type() == "text/plain").then(|| String::from_utf8_lossy(&response.body).into_owned());
    let condition = || body.first_condition().map(str::to_owned);
    let text = body.message.clone().or_else(condition).or_else(plain)?;
    let line = text.trim().lines().next()?;
    let shown: String = without_queries(line).chars().filter(|letter| !letter.is_control()).collect();
    let shown: String = shown.chars().take(LONGEST_REASON).collect();
    (!shown.is_empty()).then_some(shown)
}

/// Removes the query from each address in a text: it may be a secret.
fn without_queries(text: &str) -> String {
    let cut = |word: &str| match (word.find("://"), word.find('?')) {
        (Some(scheme), Some(query)) if scheme < query => word.get(..query).unwrap_or_default().to_owned(),
        _ => word.to_owned(),
    };
    text.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::{fault_of, kind_of};

    /// A response with header lines and a body, as received.
    pub(super) fn answer(status: u16, headers: &str, body: &str) -> Response {
        let mut response = Response { status, headers: crate::words::message::Headers::default(), body: body.into() };
        for (name, value) in headers.lines().filter_map(|line| line.split_once(": ")) {
            response.headers.add(name, value);
        }
        response
    }

    /// A 207 with this body.
    pub(super) fn xml(body: &str) -> Response {
        answer(207, "Content-Type: application/xml; charset=utf-8", body)
    }

    /// The address of the calendar in the tests.
    pub(super) fn base() -> Url {
        Url::parse("http://h/dav.php/calendars/alice/work/").unwrap()
    }

    fn check(response: &Response, kind: Kind, words: &str) {
        let error = trouble(&Request::new("REPORT", base()), response);
        assert_eq!(kind_of(&error), kind);
        assert!(error.to_string().contains(words), "{error}");
    }

    #[test]
    fn a_web_page_with_200_is_a_broken_server_and_not_a_success() {
        let page = answer(200, "Content-Type: text/html; charset=UTF-8", "<h3>DB file is not writable. Please …</h3>");
        check(&page, Kind::Unavailable, "read-only or missing");
    }

    #[test]
    fn plain_http_to_a_port_that_speaks_https_is_told() {
        let page = "<center>The plain HTTP request was sent to HTTPS port</center>";
        check(&answer(400, "Content-Type: text/html", page), Kind::NotCaldav, "write https:// into the configuration");
        check(&answer(400, "Content-Type: text/html", "<h1>Bad Request</h1>"), Kind::NotCaldav, "does not take that");
    }

    #[test]
    fn a_server_that_asks_for_a_certificate_by_a_page_is_told() {
        for words in ["No required SSL certificate was sent", "The SSL certificate error"] {
            let page = format!("<html><head><title>400 {words}</title></head></html>");
            check(&answer(400, "Content-Type: text/html", &page), Kind::Refused, "see `tls_cert`");
        }
    }

    #[test]
    fn a_status_has_a_kind() {
        for (status, kind) in [
            (302, Kind::NotCaldav),
            (401, Kind::Refused),
            (403, Kind::Refused),
            (404, Kind::Missing),
            (405, Kind::NotCaldav),
            (423, Kind::Unavailable),
            (429, Kind::Unavailable),
            (502, Kind::Unavailable),
            (507, Kind::Unavailable),
        ] {
            check(&answer(status, "", ""), kind, &format!("({status} for REPORT http://h/dav.php/"));
        }
    }

    #[test]
    fn the_server_s_sentence_is_one_short_line_without_queries() {
        let said = |text: &str| sentence(&answer(400, "Content-Type: text/plain", text));
        assert_eq!(said("Bad\x1b[1m Request\nmore").as_deref(), Some("Bad[1m Request"));
        assert_eq!(said("see http://h/a?token=1 or what?").as_deref(), Some("see http://h/a or what?"));
        assert_eq!(said(&"é".repeat(400)).map(|text| text.chars().count()), Some(300));
        assert_eq!(said("\n"), None);
    }

    #[test]
    fn retry_after_is_read_as_seconds_and_as_a_date() {
        let wait =
            |headers: &str| fault_of(&trouble(&Request::new("PUT", base()), &answer(503, headers, ""))).retry_after;
        assert_eq!(wait("Retry-After: 120"), Some(120));
        let date = "Date: Fri, 20 Nov 2026 09:26:41 GMT\nRetry-After: Fri, 20 Nov 2026 09:27:41 GMT";
        assert_eq!(wait(date), Some(60));
        assert_eq!(wait("Retry-After: Fri, 20 Nov 2026 09:27:41 GMT"), None);
    }
}
