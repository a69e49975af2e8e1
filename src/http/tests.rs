//! Tests the client against a scripted server.

use super::fake::{Answer, Server, answer};
use super::*;
use crate::words::error::{fault_of, kind_of, sentence};
use crate::words::message::Why;
use crate::words::secret::Credentials;
use crate::words::url::Url;

const LIMIT: u64 = 1000;

fn client(options: &Options) -> Client {
    Client::new(options, Stop::default())
}

fn get(url: Url) -> Request {
    Request::new("GET", url)
}

fn alice(url: &Url) -> Authenticator {
    let credentials = Credentials::Password { user: "alice".into(), password: Secret::new("secret").into() };
    Authenticator::new(url.origin(), credentials, None)
}

/// Checks the error of one request to a server that answers like this.
fn check(answers: Vec<Answer>, options: &Options, kind: Kind, words: &str) {
    let server = Server::start(answers);
    let request = get(server.url("/private/feed.ics?token=t0ken"));
    let error = client(options).send(&request, Why::Find, None, LIMIT).unwrap_err();
    let origin = server.url("").origin();
    assert_eq!((sentence(&error).replace(&origin, "ORIGIN").as_str(), kind_of(&error)), (words, kind));
}

fn impatient() -> Options {
    Options { retries: 0, idle_timeout: 1, ..Options::default() }
}

#[test]
fn every_status_is_a_response_with_its_bytes_and_headers() {
    for status in ["200 OK", "302 Found", "404 Not Found", "500 Oops"] {
        let raw = "X-Sabre-Ew-Gross: caf\u{e9}";
        let server = Server::start(vec![answer(status, &[raw, "Location: /x"], b"b\0dy")]);
        let response = client(&impatient()).send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap();
        assert_eq!(response.status.to_string(), status[..3]);
        assert_eq!(response.body, b"b\0dy");
        assert_eq!(response.headers.get("x-sabre-ew-gross").as_deref(), Some("caf\u{e9}"));
    }
}

#[test]
fn a_request_goes_out_as_it_was_made() {
    let server = Server::start(vec![answer("207 Multi-Status", &[], b"")]);
    let request = Request::new("PROPFIND", server.url("/cal/a%40b/?x=1")).header("Depth", "0").body("<propfind/>");
    let client = client(&impatient());
    client.send(&request, Why::Find, None, LIMIT).unwrap();
    let sent = server.requests().remove(0).to_ascii_lowercase();
    assert!(sent.starts_with("propfind /cal/a%40b/?x=1 http/1.1\r\n"), "{sent}");
    for line in ["depth: 0", "content-length: 11", "user-agent: baikal-sync/", "accept-encoding: gzip"] {
        assert!(sent.contains(line), "{line} in {sent}");
    }
    assert!(sent.ends_with("\r\n\r\n<propfind/>") && !sent.contains("cookie"), "{sent}");
    assert_eq!(client.traffic(), Traffic { requests: 1, bytes_sent: 11, bytes_received: 0 });
    assert_eq!(client.counting_apart().traffic(), Traffic::default());
}

#[test]
fn what_a_request_says_of_agent_and_encoding_stands() {
    let server = Server::start(vec![answer("200 OK", &[], b"")]);
    let request = get(server.url("/")).header("User-Agent", "Mozilla/5.0").header("Accept-Encoding", "identity");
    client(&impatient()).send(&request, Why::Find, None, LIMIT).unwrap();
    let sent = server.requests().remove(0).to_ascii_lowercase();
    assert_eq!((sent.matches("user-agent: mozilla/5.0\r\n").count(), sent.matches("user-agent").count()), (1, 1));
    assert_eq!((sent.matches("accept-encoding: identity").count(), sent.matches("accept-encoding").count()), (1, 1));
}

#[test]
fn each_method_of_the_protocol_can_be_sent_with_and_without_a_body() {
    for method in ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "MKCALENDAR", "PROPPATCH", "PUT", "DELETE"] {
        let server = Server::start(vec![answer("200 OK", &[], b"")]);
        let client = client(&impatient());
        client.send(&Request::new(method, server.url("/")).body("x"), Why::Find, None, LIMIT).unwrap();
        if method != "PUT" {
            client.send(&Request::new(method, server.url("/")), Why::Find, None, LIMIT).unwrap();
        }
        assert!(server.lines().iter().all(|line| *line == format!("{method} / HTTP/1.1")), "{:?}", server.lines());
    }
}

#[test]
fn one_connection_serves_many_requests_and_tells_the_round_trip() {
    let server = Server::start(vec![answer("200 OK", &[], b"x"), answer("404 Not Found", &[], b"y")]);
    let client = client(&impatient());
    client.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap();
    assert_eq!(client.round_trip(), None);
    // The server handles one connection at a time, so a second one would wait forever.
    client.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap();
    client.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap();
    assert!(client.round_trip().is_some());
}

#[test]
fn gzip_is_decoded_even_if_nobody_asked_for_it() {
    let server = Server::start(vec![answer("200 OK", &["Content-Encoding: gzip"], &bytes(GZIP_CALENDAR))]);
    let request = get(server.url("/")).header("Accept-Encoding", "identity");
    let response = client(&impatient()).send(&request, Why::Find, None, LIMIT).unwrap();
    assert_eq!(response.body, b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n");
}

#[test]
fn an_answer_is_never_larger_than_the_limit() {
    let exactly = Server::start(vec![answer("200 OK", &[], &[b'x'; 1000])]);
    assert_eq!(client(&impatient()).send(&get(exactly.url("/")), Why::Find, None, LIMIT).unwrap().body.len(), 1000);
    let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n".iter().chain(&[b'x'; 1001]).copied();
    let until_close = b"HTTP/1.1 200 OK\r\n\r\n".iter().chain(&[b'x'; 1001]).copied();
    let words = "the answer of ORIGIN is larger than the limit of 1000 octets";
    let absurd = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\n".to_vec();
    let server = Server::start(vec![Answer::Raw(absurd)]);
    let error = client(&impatient()).send(&get(server.url("/")), Why::Find, None, u64::MAX).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Feed);
    for too_large in [
        answer("200 OK", &[], &[b'x'; 1001]),
        Answer::Raw(chunked.collect()),
        Answer::Last(until_close.collect()),
        answer("200 OK", &["Content-Encoding: gzip"], &bytes(GZIP_BOMB)),
    ] {
        check(vec![too_large], &impatient(), Kind::Feed, words);
    }
}

#[test]
fn a_long_answer_of_unknown_length_arrives_whole() {
    let body: Vec<u8> = (0..500_000_u32).flat_map(u32::to_be_bytes).collect();
    let raw = b"HTTP/1.1 200 OK\r\n\r\n".iter().chain(&body).copied().collect();
    let server = Server::start(vec![Answer::Last(raw)]);
    let response = client(&impatient()).send(&get(server.url("/")), Why::Find, None, 2_000_000).unwrap();
    assert!(response.body == body && response.body.capacity() < body.len() + body.len() / 2);
}

#[test]
fn a_broken_off_answer_is_never_a_short_one() {
    let raw = |text: &str| vec![Answer::Last(text.as_bytes().to_vec())];
    let gzip =
        format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", GZIP_CALENDAR.len() / 2);
    let cut_gzip = gzip.into_bytes().into_iter().chain(bytes(&GZIP_CALENDAR[..40])).collect();
    check(
        raw("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nBEGIN"),
        &impatient(),
        Kind::Unavailable,
        "the answer of ORIGIN broke off after 5 of 9 octets",
    );
    check(
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nBEGIN\r\n"),
        &impatient(),
        Kind::Unavailable,
        "the answer of ORIGIN broke off after 5 octets",
    );
    check(
        vec![Answer::Last(cut_gzip)],
        &impatient(),
        Kind::Unavailable,
        "the answer of ORIGIN broke off after 9 octets",
    );
}

#[test]
fn silence_and_slowness_end_by_the_time_out_that_they_exceed() {
    check(vec![Answer::Silence], &impatient(), Kind::Unavailable, "nothing came from ORIGIN for 1 seconds");
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nBEGIN".to_vec();
    check(vec![Answer::Raw(half.clone())], &impatient(), Kind::Unavailable, "nothing came from ORIGIN for 1 seconds");
    let whole = Options { timeout: 1, idle_timeout: 30, ..impatient() };
    check(vec![Answer::Drip(half)], &whole, Kind::Unavailable, "ORIGIN did not finish its answer within 1 seconds");
}

#[test]
fn a_connection_that_cannot_be_made_is_told_apart() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = |url: &str| {
        sentence(&client(&impatient()).send(&get(Url::parse(url).unwrap()), Why::Find, None, LIMIT).unwrap_err())
    };
    assert_eq!(
        error(&format!("http://{free}/private?token=t")),
        format!("cannot connect to http://{free}: connection refused")
    );
    assert_eq!(
        error("http://no-such-host.invalid/private?token=t"),
        "cannot connect to http://no-such-host.invalid: name not found"
    );
}

#[test]
fn what_is_not_http_is_said_to_be_so() {
    let words = "ORIGIN answers something that is not HTTP (http parse fail: invalid HTTP version)";
    check(vec![Answer::Last(b"SSH-2.0-x\r\n".to_vec())], &impatient(), Kind::Unavailable, words);
    let nonsense = answer("200 OK", &["Content-Encoding: gzip"], b"BEGIN:VCALENDAR");
    check(vec![nonsense], &impatient(), Kind::Unavailable, "the answer of ORIGIN is not proper gzip");
}

#[test]
fn a_connection_that_the_server_dropped_meanwhile_costs_one_more_request() {
    let first = answer("200 OK", &[], b"");
    let server = Server::start(vec![first, Answer::Last(Vec::new()), answer("204 No Content", &[], b"")]);
    let client = client(&impatient());
    client.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap();
    let put = Request::new("PUT", server.url("/a.ics")).header("If-None-Match", "*").body("x");
    assert_eq!(client.send(&put, Why::Find, None, LIMIT).unwrap().status, 204);
    assert_eq!(server.lines()[1..], ["PUT /a.ics HTTP/1.1", "PUT /a.ics HTTP/1.1"]);
}

#[test]
fn a_request_that_might_act_twice_is_sent_once() {
    let server = Server::start(vec![answer("200 OK", &[], b""), Answer::Last(Vec::new())]);
    let client = client(&Options::default());
    client.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap();
    let error =
        client.send(&Request::new("MKCALENDAR", server.url("/c/")).body("x"), Why::Find, None, LIMIT).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Unavailable);
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn a_busy_server_is_asked_again_as_often_as_allowed() {
    let busy = answer("503 Service Unavailable", &["Retry-After: 0"], b"");
    let server = Server::start(vec![busy.clone(), busy.clone(), answer("200 OK", &[], b"at last")]);
    assert_eq!(
        client(&Options::default()).send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap().body,
        b"at last"
    );
    let server = Server::start(vec![busy]);
    let once = client(&Options { retries: 1, ..Options::default() });
    assert_eq!(once.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap().status, 503);
    assert_eq!((server.lines().len(), once.traffic().requests), (2, 2));
}

#[test]
fn a_server_that_asks_for_a_long_pause_gets_it() {
    let server = Server::start(vec![answer("429 Too Many Requests", &["Retry-After: 3600"], b"")]);
    let error = client(&Options::default()).send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap_err();
    assert_eq!((kind_of(&error), fault_of(&error).retry_after), (Kind::Unavailable, Some(3600)));
    assert!(sentence(&error).ends_with(" answers 429 and asks to wait 60 minutes"), "{error:#}");
    assert_eq!(server.lines().len(), 1);
}

#[test]
fn nobody_waits_after_a_signal() {
    let server = Server::start(vec![answer("503 Service Unavailable", &[], b"")]);
    let stop = Stop::default();
    stop.request(15);
    let client = Client::new(&Options::default(), stop);
    assert_eq!(kind_of(&client.send(&get(server.url("/")), Why::Find, None, LIMIT).unwrap_err()), Kind::Stopped);
}

#[test]
fn a_challenge_is_answered_once_and_then_beforehand() {
    let challenge = "WWW-Authenticate: Digest realm=\"BaikalDAV\",qop=\"auth\",nonce=\"6a1\",opaque=\"df58bdff8\"";
    let server = Server::start(vec![answer("401 Unauthorized", &[challenge], b"no"), answer("207 ok", &[], b"")]);
    let (client, authenticator) = (client(&impatient()), alice(&server.url("")));
    for _ in 0..2 {
        assert_eq!(client.send(&get(server.url("/")), Why::Find, Some(&authenticator), LIMIT).unwrap().status, 207);
    }
    let counts: Vec<_> =
        server.requests().iter().map(|sent| sent.split("nc=").nth(1).map(|nc| nc[..8].to_owned())).collect();
    assert_eq!(counts, [None, Some("00000001".to_owned()), Some("00000002".to_owned())]);
}

#[test]
fn a_wrong_password_is_tried_once() {
    let challenge = "WWW-Authenticate: Digest realm=\"BaikalDAV\",qop=\"auth\",nonce=\"6a1\",opaque=\"df58bdff8\"";
    let server = Server::start(vec![answer("401 Unauthorized", &[challenge], b"no")]);
    let authenticator = alice(&server.url(""));
    let error = client(&impatient()).send(&get(server.url("/")), Why::Find, Some(&authenticator), LIMIT).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Refused);
    assert!(sentence(&error).ends_with("does not accept the user name or the password"), "{error:#}");
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn credentials_do_not_go_to_another_origin() {
    let server = Server::start(vec![answer("401 Unauthorized", &["WWW-Authenticate: Basic realm=\"x\""], b"no")]);
    let other = Url::parse("http://127.0.0.1:1").unwrap();
    let response = client(&impatient()).send(&get(server.url("/")), Why::Find, Some(&alice(&other)), LIMIT).unwrap();
    assert_eq!((response.status, server.lines().len()), (401, 1));
}

#[test]
fn certificate_files_are_checked_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, "no certificate").unwrap();
    let refused = |options: Options| kind_of(&options.check_certificates().unwrap_err());
    let gone = Some(folder.path().join("gone.pem"));
    for options in [
        Options { tls_ca: Some(path.clone()), ..Options::default() },
        Options { tls_ca: gone.clone(), ..Options::default() },
        Options { tls_cert: gone.clone(), ..Options::default() },
        Options { tls_key: gone, ..Options::default() },
    ] {
        assert_eq!(refused(options), Kind::Configuration);
    }
}

fn bytes(hexadecimal: &str) -> Vec<u8> {
    let octet = |at| u8::from_str_radix(&hexadecimal[at..at + 2], 16).unwrap();
    (0..hexadecimal.len()).step_by(2).map(octet).collect()
}

/// `BEGIN:VCALENDAR` and `END:VCALENDAR`, each with CRLF.
const GZIP_CALENDAR: &str = "\
    1f8b0800000000000203737275f7f4b30a7376f471f573710ce2e50252c85c00f2a1599820000000";
/// 200 000 zero octets.
const GZIP_BOMB: &str = "\
    1f8b0800000000000203edc13101000000c2a0f54f6d067fa000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
    00000000000000000000000000000000000080d7007b58e05c400d0300";
