//! Answers to writes from Baïkal, sabre 1.8, Radicale and Xandikos.

use super::*;
use crate::dav::tests::{answer, base};
use crate::words::error::kind_of;

/// The outcome as text.
fn words(outcome: anyhow::Result<Written>) -> String {
    match outcome {
        Err(error) => format!("{:?}", kind_of(&error)),
        Ok(Written::Done { etag }) => format!("done {}", etag.as_ref().map_or("-", Etag::as_str)),
        Ok(Written::Stale) => "stale".to_owned(),
        Ok(Written::UidTaken { href }) => format!("taken {}", href.as_ref().map_or("-", Href::as_str)),
        Ok(Written::Failed(failure)) => {
            let word = if failure.is_verdict { "refused by name" } else { "failed" };
            format!("{word}: {}", failure.reason)
        }
    }
}

fn check_put(status: u16, headers: &str, body: &str, expected: &str) {
    let put = Put { href: &Href::new("1.ics"), text: b"x", precondition: &Precondition::Absent };
    assert_eq!(words(put.response(&base(), &answer(status, headers, body))), expected);
}

fn check_delete(status: u16, headers: &str, body: &str, expected: &str) {
    let delete = Delete { href: &Href::new("1.ics"), etag: &Etag::parse("\"1\"").unwrap() };
    assert_eq!(words(delete.response(&base(), &answer(status, headers, body))), expected);
}

const XML: &str = "Content-Type: application/xml; charset=utf-8";

fn sabre(exception: &str, message: &str, element: &str) -> String {
    format!(
        r#"<?xml version="1.0" encoding="utf-8"?>
<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">
  <s:sabredav-version>4.7.0</s:sabredav-version>
  <s:exception>Sabre\{exception}</s:exception>
  <s:message>{message}</s:message>
  {element}
</d:error>
"#
    )
}

#[test]
fn a_write_carries_its_precondition_and_silences_the_scheduler() {
    let href = Href::new("1.ics");
    let etag = Etag::parse("\"1\"").unwrap();
    let put = |precondition| Put { href: &href, text: b"x", precondition }.request(&base()).unwrap();
    let create = put(&Precondition::Absent);
    assert_eq!((create.method, create.url.path()), ("PUT", "/dav.php/calendars/alice/work/1.ics"));
    assert_eq!(create.headers.get("if-none-match").as_deref(), Some("*"));
    assert_eq!(create.headers.get("content-type").as_deref(), Some("text/calendar; charset=utf-8"));
    let update = put(&Precondition::Unchanged(etag.clone()));
    let delete = Delete { href: &href, etag: &etag }.request(&base()).unwrap();
    for request in [&update, &delete] {
        assert_eq!(request.headers.get("if-match").as_deref(), Some("\"1\""));
    }
    for request in [create, update, delete] {
        assert_eq!(request.headers.get("schedule-reply").as_deref(), Some("F"));
    }
}

#[test]
fn baikal_gives_an_etag_unless_it_rewrote_the_object() {
    let created = "Content-Type: text/html; charset=UTF-8\nContent-Length: 0\nX-Sabre-Version: 4.7.0";
    check_put(201, &format!("{created}\nETag: \"5f\""), "", "done \"5f\"");
    check_put(201, &format!("{created}\nX-Sabre-Ew-Gross: iCalendar validation warning: x"), "", "done -");
    check_put(204, "ETag: \"60\"", "", "done \"60\"");
}

#[test]
fn any_success_that_is_no_web_page_is_one() {
    for status in [200, 201, 202, 204, 226] {
        check_put(status, "ETag: \"1\"\nContent-Type: text/html", "", "done \"1\"");
        check_put(
            status,
            "ETag: 2026-07-22T01:02:03Z\nContent-Type: text/plain",
            "OK",
            "done \"2026-07-22T01:02:03Z\"",
        );
        check_delete(status, "", "", "done -");
    }
}

#[test]
fn a_web_page_instead_of_an_answer_is_never_a_success() {
    let page = "failed: the server answered with a web page";
    for status in [200, 201, 204] {
        check_put(status, "Content-Type: text/html", "<h3>DB file is not writable.", page);
    }
    check_delete(200, "Content-Type: text/html", "<h3>DB file is not writable.", page);
    let elsewhere = "failed: the server answered 302: it sends us elsewhere";
    check_put(302, "Location: /admin/install", "", elsewhere);
}

#[test]
fn a_multistatus_may_hold_a_refusal() {
    let body = |status| {
        format!(
            "<multistatus xmlns=\"DAV:\"><response><href>/x</href><status>HTTP/1.1 {status}</status></response></multistatus>"
        )
    };
    check_put(207, XML, &body("200 OK"), "done -");
    check_put(207, XML, &body("507 Insufficient Storage"), "failed: the server answered 207 with a refusal inside");
    check_delete(207, XML, &body("423 Locked"), "failed: the server answered 207 with a refusal inside");
}

#[test]
fn a_failed_precondition_is_stale() {
    let body = sabre(
        "DAV\\Exception\\PreconditionFailed",
        "An If-Match header was specified",
        "<s:header>If-Match</s:header>",
    );
    check_put(412, XML, &body, "stale");
    check_delete(412, XML, &body, "stale");
    check_put(412, "Content-Type: text/plain; charset=utf-8", "Precondition failed.", "stale");
    check_put(412, "Content-Type: application/octet-stream", "", "stale");
}

#[test]
fn a_uid_that_is_taken_is_told_from_a_stale_object_and_from_a_missing_calendar() {
    let radicale = r#"<?xml version='1.0' encoding='utf-8'?>
<error xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><C:no-uid-conflict /></error>"#;
    check_put(409, "Content-Type: text/xml; charset=utf-8", radicale, "taken -");
    let xandikos = r#"<ns0:error xmlns:ns0="DAV:" xmlns:ns1="urn:ietf:params:xml:ns:caldav"><ns1:no-uid-conflict /><ns0:responsedescription>UID already in use.</ns0:responsedescription></ns0:error>"#;
    check_put(412, "Content-Type: text/xml", xandikos, "taken -");
    let with_href = r#"<d:error xmlns:d="DAV:" xmlns:c="urn:ietf:params:xml:ns:caldav"><c:no-uid-conflict><d:href>/dav.php/calendars/alice/work/2.ics</d:href></c:no-uid-conflict></d:error>"#;
    check_put(403, XML, with_href, "taken 2.ics");
    check_put(
        409,
        "Content-Type: text/plain; charset=utf-8",
        "Conflict in the request.",
        "failed: Conflict in the request.",
    );
    check_put(409, "", "", "failed: the server answered 409 without a reason");
}

#[test]
fn a_failure_gives_the_server_s_sentence_and_a_precondition_names_the_content() {
    let method = "Validation error in iCalendar: A calendar object on a CalDAV server MUST NOT have a METHOD property.";
    let baikal = sabre("DAV\\Exception\\UnsupportedMediaType", method, "");
    check_put(415, XML, &baikal, &format!("failed: {method}"));
    let component = r#"<cal:supported-calendar-component xmlns:cal="urn:ietf:params:xml:ns:caldav"/>"#;
    let wrong =
        sabre("CalDAV\\Exception\\InvalidComponentType", "iCalendar objects must have VEVENT, VTODO", component);
    check_put(403, XML, &wrong, "refused by name: iCalendar objects must have VEVENT, VTODO");
    check_put(400, "Content-Type: text/plain; charset=utf-8", "Bad Request", "failed: Bad Request");
    let xandikos = r#"<ns0:error xmlns:ns0="DAV:" xmlns:ns1="urn:ietf:params:xml:ns:caldav"><ns1:valid-calendar-data /><ns0:responsedescription>Not a valid calendar file: Invalid content line</ns0:responsedescription></ns0:error>"#;
    let told = "refused by name: Not a valid calendar file: Invalid content line";
    check_put(412, "Content-Type: text/xml", xandikos, told);
    let nginx = "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n";
    let large = "failed: the server answered 413: the event is too large for it";
    check_put(413, "Content-Type: text/html", nginx, large);
}

#[test]
fn no_status_tells_whose_fault_a_failure_is() {
    for status in [400, 403, 404, 405, 406, 409, 410, 413, 414, 415, 422, 423, 431, 500, 501, 502, 504, 507] {
        let put = Put { href: &Href::new("1.ics"), text: b"x", precondition: &Precondition::Absent };
        let written = put.response(&base(), &answer(status, "Content-Type: text/html", "<html>No</html>"));
        let Written::Failed(failure) = written.unwrap() else { panic!("{status}") };
        assert!(!failure.is_verdict && failure.reason.contains(&status.to_string()), "{status}: {failure:?}");
    }
}

#[test]
fn what_concerns_everything_is_an_error() {
    check_put(401, "", "", "Refused");
    check_put(429, "", "", "Unavailable");
    check_put(503, "Retry-After: 60", "", "Unavailable");
    check_delete(503, "Retry-After: 60", "", "Unavailable");
    check_put(503, "", "", "failed: the server answered 503 without a reason");
}

#[test]
fn radicale_answers_a_deletion_with_a_multistatus() {
    let radicale = r#"<?xml version='1.0' encoding='utf-8'?>
<multistatus xmlns="DAV:"><response><href>/alice/work/e2%40x.ics</href><status>HTTP/1.1 200 OK</status></response></multistatus>"#;
    check_delete(200, "Content-Type: text/xml; charset=utf-8", radicale, "done -");
}

#[test]
fn a_calendar_is_made_with_its_name_or_bare() {
    let named = MkCalendar { properties: Some(("R&D", &[ComponentType::Event, ComponentType::Todo])) };
    let body = String::from_utf8(named.request(&base()).body).unwrap();
    assert!(body.contains(r#"<d:displayname>R&amp;D</d:displayname><c:supported-calendar-component-set><c:comp name="VEVENT"/><c:comp name="VTODO"/>"#), "{body}");
    assert!(MkCalendar { properties: None }.request(&base()).body.is_empty());
}

#[test]
fn each_server_says_in_its_own_way_that_a_calendar_is_made_or_was_there() {
    let named = MkCalendar { properties: Some(("x", &[])) };
    let made = |status, body: &str| named.response(&base(), &answer(status, "Content-Type: text/xml", body));
    assert_eq!(made(201, "").unwrap(), Made::New);
    assert_eq!(made(405, "").unwrap(), Made::Existed);
    assert_eq!(made(409, r#"<error xmlns="DAV:"><resource-must-be-null /></error>"#).unwrap(), Made::Existed);
    let xandikos = r#"<ns0:mkcalendar-response xmlns:ns0="urn:ietf:params:xml:ns:carldav:" xmlns:ns1="DAV:"><ns1:propstat><ns1:status>HTTP/1.1 403 Forbidden</ns1:status></ns1:propstat></ns0:mkcalendar-response>"#;
    assert_eq!(made(207, xandikos).unwrap(), Made::PropertiesRefused);
    assert_eq!(kind_of(&made(409, "").unwrap_err()), crate::words::error::Kind::Missing);
    assert_eq!(kind_of(&made(403, "").unwrap_err()), crate::words::error::Kind::Refused);
}
