//! Feed servers that break HTTP, or bend it.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::OVERHEAD;
use crate::env::subscription;
use crate::fake::feed::redirect;
use crate::fake::http::{Answer, Raw};
use crate::setting::{Setting, feed};

/// A feed that answers so, after one pass in which it was healthy; a pass may take three seconds.
fn answering(answer: Answer) -> Setting {
    let setting = Setting::new(&feed(&["a"]), "");
    let keys = "timeout = \"3s\"\nmax_size = \"10 MB\"";
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", keys));
    let setting = setting.mirrored();
    setting.feed.answer_always(Some(answer));
    setting
}

/// Runs against this feed and compares the exit code and what is said; nothing changes in the calendar.
#[track_caller]
fn check(answer: Answer, code: i32, words: &str) {
    let setting = answering(answer);
    let ran = setting.env.run_within(OVERHEAD + 30, &["run", "-v"]).exits(code);
    assert!(ran.stderr.contains(words) && ran.stderr.len() < 1000, "{ran}");
    assert_eq!(setting.uids(), "a");
}

/// Runs against a feed that writes this; it is the healthy one or better.
#[track_caller]
fn check_good(raw: Raw) {
    let setting = answering(Answer::raw(raw));
    setting.env.run_within(OVERHEAD + 30, &["run", "-v"]).exits(0);
    assert_eq!(setting.uids(), "a b");
}

fn good() -> String {
    feed(&["a", "b"])
}

#[test]
fn an_answer_octet_by_octet_takes_no_longer_than_the_timeout() {
    let raw: Raw = |out| {
        out.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        loop {
            out.write_all(b"x")?;
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    };
    check(Answer::raw(raw), 75, "within 3 seconds");
}

#[test]
fn headers_without_end_are_cut_off() {
    let raw: Raw = |out| {
        out.write_all(b"HTTP/1.1 200 OK\r\n")?;
        loop {
            out.write_all(b"X-More: and more of it\r\n")?;
        }
    };
    check(Answer::raw(raw), 75, "127.0.0.1");
}

#[test]
fn one_header_without_end_is_cut_off() {
    let raw: Raw = |out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nX-More: ")?;
        loop {
            out.write_all(&[b'x'; 1000])?;
        }
    };
    check(Answer::raw(raw), 75, "127.0.0.1");
}

#[test]
fn promises_of_an_answer_without_end_are_cut_off() {
    let raw: Raw = |out| loop {
        // Until the timeout, which two busy cores would not make longer.
        out.write_all(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(100))?;
        std::thread::sleep(std::time::Duration::from_millis(10));
    };
    check(Answer::raw(raw), 75, "127.0.0.1");
}

#[test]
fn a_body_without_end_is_cut_off_at_max_size() {
    let raw: Raw = |out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            out.write_all(format!("10000\r\n{}\r\n", "x".repeat(0x10000)).as_bytes())?;
        }
    };
    check(Answer::raw(raw), 75, "larger than `max_size`");
}

#[test]
fn a_compressed_gigabyte_is_cut_off_at_max_size() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&vec![0; 1_000_000]).unwrap();
    // Gzip allows several members, one after the other.
    let bomb = encoder.finish().unwrap().repeat(1000);
    assert!(bomb.len() < 1_100_000, "{}", bomb.len());
    let answer = Answer::new(200).header("Content-Encoding", "gzip").body("text/calendar", bomb);
    check(answer, 75, "larger than `max_size`");
}

#[test]
fn a_length_that_is_a_lie_is_no_calendar() {
    check(Answer::raw(|out| write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{}", good())), 75, "broke off");
    check(Answer::raw(|out| write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 150\r\n\r\n{}", good())), 75, "cut off");
    check(
        Answer::raw(|out| write!(out, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n{}", good())),
        75,
        "127.0.0.1",
    );
    check(Answer::raw(|out| write!(out, "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}", good())), 75, "HTTP");
    check(Answer::raw(|out| write!(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")), 75, "HTTP");
}

#[test]
fn old_and_terse_servers_are_understood() {
    check_good(|out| write!(out, "HTTP/1.0 200 OK\r\n\r\n{}", good()));
    check_good(|out| write!(out, "HTTP/1.1 200\r\n\r\n{}", good()));
    check_good(|out| write!(out, "HTTP/1.1 200 \r\nX-Empty:\r\n\r\n{}", good()));
    check_good(|out| write!(out, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n{}", good()));
}

#[test]
fn an_answer_that_is_no_http_is_said_to_be_none() {
    check(Answer::raw(|out| out.write_all(&vec![0; 100_000])), 75, "127.0.0.1");
    check(Answer::raw(|out| out.write_all(b"SSH-2.0-OpenSSH_9.2\r\n")), 75, "127.0.0.1");
}

#[test]
fn redirects_lead_to_nothing_but_http_and_not_for_ever() {
    check(redirect("?again"), 75, "redirects more than 10 times");
    for target in
        ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "data:text/calendar,x", "", "http://"]
    {
        check(redirect(target), 75, "redirect to nowhere");
    }
}

#[test]
fn an_etag_without_end_is_not_sent_back() {
    let etag = format!("\"{}\"", "x".repeat(10_000));
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(Answer::new(200).header("ETag", etag).body("text/calendar", feed(&["a"]))));
    setting.run(&[]).exits(0);
    setting.env.run(&["run"]).exits(0);
    assert!(setting.feed.take().iter().all(|asked| asked.header("if-none-match").is_none()));
}
