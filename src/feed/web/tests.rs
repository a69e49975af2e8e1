//! Feeds from a scripted server.

use super::*;
use crate::http::Options;
use crate::http::fake::{Answer, Server, answer};
use crate::signal::Stop;
use crate::words::error::{fault_of, kind_of, sentence};
use crate::words::secret::{Credentials, Secret};

const PATH: &str = "/private-path/feed.ics?token=t0ken";
const CALENDAR: &[u8] = b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n";

fn settings() -> Settings {
    Settings { user_agent: None, max_size: 1000, authenticator: None, header: None }
}

fn web(server: &Server, settings: Settings) -> Web {
    let options = Options { retries: 0, ..Options::default() };
    let client = Client::new(&options, Stop::default());
    Web::new(PrivateUrl(server.url(PATH)), settings, client)
}

fn known() -> Validators {
    Validators { etag: Some("W/\"a-1\"".to_owned()), last_modified: Some("Fri, 20 Nov 2026 09:00:00 GMT".to_owned()) }
}

fn body_of(fetched: Fetched) -> Vec<u8> {
    match fetched {
        Fetched::Document { body, .. } => body,
        Fetched::NotModified => panic!("not modified"),
    }
}

/// Checks the error of a fetch that is answered like this; it never reveals the address.
fn check(answers: Vec<Answer>, kind: Kind, words: &str) -> anyhow::Error {
    let server = Server::start(answers);
    let error = web(&server, settings()).fetch(&Validators::default()).unwrap_err();
    let said = sentence(&error).replace(&server.url("").origin(), "ORIGIN");
    assert_eq!((kind_of(&error), said.as_str()), (kind, words));
    error
}

#[test]
fn a_document_brings_its_charset_and_its_validators_as_written() {
    let headers = [
        "Content-Type: text/calendar; charset=windows-1252",
        "ETag: W/\"a-1\"",
        "Last-Modified: Fri, 20 Nov 2026 09:00:00 GMT",
    ];
    let server = Server::start(vec![answer("200 OK", &headers, CALENDAR)]);
    let fetched = web(&server, settings()).fetch(&Validators::default()).unwrap();
    let charset = Some("windows-1252".to_owned());
    assert_eq!(fetched, Fetched::Document { body: CALENDAR.to_vec(), charset, validators: known() });
    assert!(!server.requests()[0].to_ascii_lowercase().contains("\r\nif-"));
}

#[test]
fn validators_are_sent_as_they_came_and_304_is_believed() {
    let server = Server::start(vec![answer("304 Not Modified", &[], b"")]);
    assert_eq!(web(&server, settings()).fetch(&known()).unwrap(), Fetched::NotModified);
    let sent = server.requests().remove(0).to_ascii_lowercase();
    for line in ["if-none-match: w/\"a-1\"\r\n", "if-modified-since: fri, 20 nov 2026 09:00:00 gmt\r\n"] {
        assert!(sent.contains(line), "{sent}");
    }
    let words = "ORIGIN/… answers 304 with no document";
    check(vec![answer("304 Not Modified", &[], b"")], Kind::Unavailable, words);
}

#[test]
fn each_status_that_is_no_document_has_its_kind() {
    let status = |status: &str| vec![answer(status, &["Retry-After: 12"], b"<html>")];
    check(status("401 Unauthorized"), Kind::Refused, "status 401 from ORIGIN/…, which asks for a user and a password");
    check(status("403 Forbidden"), Kind::Refused, "status 403 from ORIGIN/…, which refuses access");
    check(status("404 Not Found"), Kind::Missing, "status 404 from ORIGIN/…, where no feed is (any more)");
    check(status("410 Gone"), Kind::Missing, "status 410 from ORIGIN/…, where no feed is (any more)");
    check(status("500 Oops"), Kind::Unavailable, "status 500 from ORIGIN/…, which is in trouble");
    check(status("204 No Content"), Kind::Unavailable, "ORIGIN/… answers 204 with no document");
    check(status("206 Partial Content"), Kind::Unavailable, "ORIGIN/… answers 206 with no document");
    let busy = check(status("429 Slow"), Kind::Unavailable, "status 429 from ORIGIN/…, which is asked too often");
    assert_eq!(fault_of(&busy).retry_after, Some(12));
}

#[test]
fn what_a_web_server_says_of_encryption_is_understood() {
    let page = |words: &str| vec![answer("400 Bad Request", &["Content-Type: text/html"], words.as_bytes())];
    let words = "status 400 from ORIGIN/…, which speaks https there: write https:// into `source`";
    check(page("<html>The plain HTTP request was sent to HTTPS port</html>"), Kind::Missing, words);
    let words = "status 400 from ORIGIN/…, which asks for a certificate of ours, or does not accept it: see `tls_cert`";
    check(page("<html>No required SSL certificate was sent</html>"), Kind::Refused, words);
    check(page("<html>Bad Request</html>"), Kind::Unavailable, "ORIGIN/… answers 400 with no document");
}

#[test]
fn redirects_are_followed_relative_and_absolute_and_keep_the_query() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let end = Server::start(vec![answer("200 OK", &[], CALENDAR)]);
        let onward = format!("Location: {}", end.url("/b?x=1").reveal());
        let server = Server::start(vec![answer(status, &["Location: ../a?t=2"], b""), answer(status, &[&onward], b"")]);
        assert_eq!(body_of(web(&server, settings()).fetch(&Validators::default()).unwrap()), CALENDAR);
        assert_eq!(server.lines()[1], "GET /a?t=2 HTTP/1.1");
        assert_eq!(end.lines(), ["GET /b?x=1 HTTP/1.1"]);
    }
}

#[test]
fn a_redirect_that_leads_nowhere_is_an_error() {
    let loops = vec![answer("302 Found", &["Location: /a"], b"")];
    check(loops, Kind::Unavailable, "ORIGIN/… redirects more than 10 times");
    for headers in [&[][..], &["Location: "], &["Location: ftp://h/x"]] {
        let words = "ORIGIN/… answers 302 with a redirect to nowhere";
        check(vec![answer("302 Found", headers, b"")], Kind::Unavailable, words);
    }
}

#[test]
fn a_redirect_never_leaves_encryption() {
    let server = Server::start(vec![answer("200 OK", &[], b"")]);
    let web = web(&server, settings());
    let from = Url::parse("https://feeds.example.org/a?token=t0ken").unwrap();
    let mut response = Response { status: 302, headers: crate::words::message::Headers::default(), body: Vec::new() };
    response.headers.add("Location", "http://feeds.example.org/a?token=t0ken");
    let said = sentence(&web.target(&from, &response).unwrap_err());
    assert!(said.ends_with("redirects from https to http://feeds.example.org, which is not encrypted: not followed"));
}

#[test]
fn microsofts_error_page_is_explained() {
    let location = "Location: /owa/auth/errorFE.aspx?redirectType=10&owaError=TooManyObjectsOpened";
    let words = "ORIGIN/… refuses this program by its name: set `user_agent` to that of a browser";
    check(vec![answer("302 Found", &[location], b"")], Kind::Refused, words);
}

#[test]
fn a_web_page_is_no_calendar_but_a_calendar_called_html_is_one() {
    let html = |body: &[u8]| vec![answer("200 OK", &["Content-Type: text/html"], body)];
    let words = "ORIGIN/… answers with a web page (a login form?), not with a calendar";
    check(html(b"<!DOCTYPE html><html>Sign in"), Kind::Feed, words);
    let server = Server::start(html(CALENDAR));
    assert_eq!(body_of(web(&server, settings()).fetch(&Validators::default()).unwrap()), CALENDAR);
    let deflated = vec![answer("200 OK", &["Content-Encoding: deflate"], b"x\x9c")];
    check(deflated, Kind::Unavailable, "ORIGIN/… answers 200 with the encoding deflate, which nobody asked for");
}

#[test]
fn a_feed_above_its_size_limit_names_the_setting() {
    let words = "ORIGIN/… is larger than `max_size`, 1000 octets";
    check(vec![answer("200 OK", &[], &[b'x'; 1001])], Kind::Feed, words);
}

#[test]
fn secrets_go_to_the_feeds_own_origin_only() {
    let end = Server::start(vec![answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\""], b"")]);
    let onward = format!("Location: {}", end.url("/b").reveal());
    let server = Server::start(vec![
        answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\""], b""),
        answer("302 Found", &[&onward], b""),
    ]);
    let credentials = Credentials::Password { user: "alice".to_owned(), password: Secret::new("secret").into() };
    let authenticator = Some(Arc::new(Authenticator::new(server.url("").origin(), credentials, None)));
    let header = Some(("X-Api-Key".to_owned(), Secret::new("k3y").into()));
    let error =
        web(&server, Settings { authenticator, header, ..settings() }).fetch(&Validators::default()).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Refused);
    let own = server.requests().remove(1).to_ascii_lowercase();
    assert!(own.contains("authorization: basic ywxpy2u6c2vjcmv0") && own.contains("x-api-key: k3y"), "{own}");
    let foreign = end.requests().remove(0).to_ascii_lowercase();
    assert!(!foreign.contains("authorization") && !foreign.contains("x-api-key"), "{foreign}");
}

#[test]
fn the_user_agent_is_the_setting_or_what_the_host_needs() {
    for host in ["outlook.office365.com", "outlook.live.com", "outlook.office.com", "calendar.outlook.com"] {
        assert_eq!(user_agent(None, host), Some(BROWSER), "{host}");
        assert_eq!(user_agent(Some("mine"), host), Some("mine"));
    }
    assert_eq!((user_agent(None, "notoutlook.com"), user_agent(Some("mine"), "h")), (None, Some("mine")));
}
