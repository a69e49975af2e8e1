//! CalDAV servers.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};

use super::OVERHEAD;
use crate::env::subscription;
use crate::fake::dav::{HOME, Login};
use crate::fake::http::{Answer, Asked, Raw};
use crate::setting::{Setting, feed, object, side_by_side};

/// A calendar with `a` of ours and `mine` of somebody else, a feed that wants `b` as well, and a server that makes other
/// answers of its answers. Every pass looks; a request may take ten seconds.
fn distorting(distorter: impl FnMut(&Asked, Answer) -> Answer + Send + 'static) -> Setting {
    distorting_within("10s", distorter)
}

/// The same when a request may take so long.
fn distorting_within(timeout: &str, distorter: impl FnMut(&Asked, Answer) -> Answer + Send + 'static) -> Setting {
    let setting = Setting::new(&feed(&["a"]), "");
    let keys = subscription(&setting.feed.url(), "calendars/alice/work/", "verify = \"always\"");
    setting.configure(&format!("timeout = \"{timeout}\"\n{keys}"));
    setting.dav.work(|work| work.put("mine.ics", object("mine", "Mine")));
    let setting = setting.mirrored();
    setting.feed.set(feed(&["a", "b"]));
    setting.dav.distort(distorter);
    setting
}

/// Runs with so many megabytes for answers; no object that is not ours was touched, and nothing outside was asked for.
#[track_caller]
fn run(setting: &Setting, megabytes: usize, code: i32) -> String {
    setting.dav.take();
    let ran = setting.env.run_within(OVERHEAD + megabytes, &["run", "-v", "--full"]).exits(code);
    assert!(ran.stderr.len() < 20_000, "{} octets are said", ran.stderr.len());
    let asked = setting.asked();
    let inside = |asked: &Asked| asked.target.starts_with(HOME) && !asked.target.contains("..");
    let stranger = asked.iter().find(|asked| !inside(asked));
    assert!(stranger.is_none(), "{stranger:?}\n{ran}");
    assert!(asked.iter().all(|asked| asked.method != "DELETE"), "{ran}");
    assert!(setting.uids().contains("mine"));
    ran.stderr
}

fn is_report(asked: &Asked, name: &str) -> bool {
    asked.method == "REPORT" && asked.text().contains(name)
}

fn is_listing(asked: &Asked) -> bool {
    asked.method == "PROPFIND" && asked.header("depth") == Some("1")
}

/// The answer with this before its end.
fn with(answer: &Answer, inner: &str) -> Answer {
    let text = String::from_utf8_lossy(&answer.body).replace("</d:multistatus>", &format!("{inner}</d:multistatus>"));
    Answer { body: text.into_bytes(), ..answer.clone() }
}

fn xml(body: impl Into<Vec<u8>>) -> Answer {
    Answer::new(207).body("application/xml; charset=utf-8", body)
}

fn member(href: &str, etag: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:getetag>{etag}</d:getetag></d:prop><d:status>HTTP/1.1 200</d:status></d:propstat></d:response>"
    )
}

/// Every listing is answered with this instead; that fails the pass, with these words.
#[track_caller]
fn check_listing(body: impl Into<Vec<u8>>, megabytes: usize, words: &str) {
    let body = body.into();
    let setting = distorting(move |asked, answer| if is_listing(asked) { xml(body.clone()) } else { answer });
    let said = run(&setting, megabytes, 75);
    assert!(said.contains(words), "{said}");
    assert_eq!(setting.uids(), "a mine");
}

#[test]
fn entities_and_document_types_are_not_read() {
    let bomb: String =
        (1..12).map(|level| format!("<!ENTITY e{level} \"{}\">", format!("&e{};", level - 1).repeat(10))).collect();
    check_listing(format!("<!DOCTYPE m [<!ENTITY e0 \"ha\">{bomb}]><m>&e11;</m>"), 50, "cannot be read");
    let file = "<!DOCTYPE m [<!ENTITY f SYSTEM \"file:///etc/passwd\">]><m>&f;</m>";
    check_listing(file, 50, "cannot be read");
}

#[test]
fn elements_without_end_exhaust_nothing() {
    check_listing("<a>".repeat(50_000), 100, "cannot be read");
    check_listing("<a>".repeat(50_000) + &"</a>".repeat(50_000), 100, "cannot be read");
    let declared: String = (0..5_000).map(|number| format!("<a xmlns:n{number}='u'>")).collect();
    check_listing(declared + &"</a>".repeat(5_000), 100, "cannot be read");
    let attributes: String = (0..200_000).map(|number| format!(" a{number}=''")).collect();
    check_listing(format!("<a{attributes}/>"), 100, "cannot be read");
    check_listing("<a/>".repeat(5_000_000), 100, "cannot be read");
}

#[test]
fn three_hundred_megabytes_are_too_much() {
    let endless: Raw = |out| {
        out.write_all(b"HTTP/1.1 207 X\r\nContent-Type: application/xml\r\n\r\n")?;
        let blanks = vec![b' '; 1_000_000];
        (0..300).try_for_each(|_| out.write_all(&blanks))
    };
    let setting = distorting(move |asked, answer| if is_listing(asked) { Answer::raw(endless) } else { answer });
    let said = run(&setting, 300, 75);
    assert!(said.contains("larger than"), "{said}");
}

#[test]
fn objects_that_are_too_much_at_once_are_read_in_portions_and_one_that_is_too_large_is_left_alone() {
    let vast: Raw = |out| out.write_all(b"HTTP/1.1 207 X\r\nContent-Length: 300000000\r\n\r\n");
    let setting = distorting(move |asked, answer| {
        let reads = matches!(asked.method.as_str(), "GET" | "REPORT");
        let names = asked.target.clone() + &asked.text();
        if reads && names.contains("mine.ics") { Answer::raw(vast) } else { answer }
    });
    setting.edit("a", "Edited");
    setting.dav.work(|work| work.put("mine.ics", object("mine", "Mine, with a film of it")));
    let said = run(&setting, 100, 0);
    assert!(said.contains("the object mine.ics in") && said.contains("too large to be read"), "{said}");
    assert_eq!((setting.uids().as_str(), setting.text_of("a").contains("Edited")), ("a b mine", false));
    let said = setting.run(&[]).exits(0).stderr;
    assert_eq!((said.as_str(), setting.methods().contains(&"GET".to_owned())), ("", false));
}

#[test]
fn a_compressed_gigabyte_is_too_much() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&vec![b' '; 1_000_000]).unwrap();
    let bomb = encoder.finish().unwrap().repeat(1000);
    let bomb = xml(bomb).header("Content-Encoding", "gzip");
    let setting = distorting(move |asked, answer| if is_listing(asked) { bomb.clone() } else { answer });
    let said = run(&setting, 300, 75);
    assert!(said.contains("larger than"), "{said}");
}

#[test]
fn redirects_without_end_are_left() {
    let setting = Setting::into("work", &feed(&["a"]), "");
    let mut number = 0;
    setting.dav.distort(move |asked, answer| match asked.method.as_str() {
        "PROPFIND" => {
            number += 1;
            Answer::new(301).header("Location", format!("/{number}/"))
        }
        _ => answer,
    });
    let ran = setting.env.run_within(OVERHEAD + 50, &["run", "-v"]).exits(76);
    assert!(ran.stderr.contains("redirects in circles") && setting.asked().len() < 50, "{ran}");
}

#[test]
fn what_is_listed_elsewhere_is_neither_read_nor_deleted() {
    let elsewhere = [
        "http://evil.example/dav.php/calendars/alice/work/1.ics",
        "//evil.example/dav.php/calendars/alice/work/1.ics",
        "../private/1.ics",
        "/dav.php/calendars/alice/work/../private/1.ics",
        "/dav.php/calendars/alice/work/%2e%2e/private/1.ics",
        "/dav.php/calendars/alice/work/.%2E/1.ics",
        "\\\\evil.example\\1.ics",
        "/dav.php/calendars/alice/private/1.ics",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "/dav.php/calendars/alice/work/sub/",
        "",
        "  ",
    ];
    let setting = distorting(move |asked, answer| {
        let lies: String = elsewhere.iter().map(|href| member(href, "\"1\"")).collect();
        if asked.method == "PUT" { answer } else { with(&answer, &lies) }
    });
    run(&setting, 100, 0);
    assert_eq!(setting.uids(), "a b mine");
}

#[test]
fn an_object_with_an_etag_that_cannot_be_sent_is_left_alone_and_stops_nothing() {
    for etag in ["\"a\nb\"", "\"a\"b\"", "", "\"\"", "a b", "&#9;"] {
        let lie = member(&format!("{HOME}work/odd.ics"), etag);
        let setting = distorting(move |asked, answer| if is_listing(asked) { with(&answer, &lie) } else { answer });
        run(&setting, 100, 0);
        assert_eq!(setting.uids(), "a b mine", "{etag:?}");
    }
    let lie = member(&format!("{HOME}work/odd.ics"), &"x".repeat(10_000));
    let setting = distorting(move |asked, answer| if is_listing(asked) { with(&answer, &lie) } else { answer });
    run(&setting, 100, 0);
    assert_eq!(setting.uids(), "a b mine");
}

#[test]
fn objects_that_are_garbage_or_were_not_asked_for_or_come_twice_are_no_reason_to_write() {
    let data = |text: &str| {
        let data = format!("<cal:calendar-data>{text}</cal:calendar-data>");
        move |name: &str| {
            member(&format!("{HOME}work/{name}"), "\"1\"").replace("</d:prop>", &format!("{data}</d:prop>"))
        }
    };
    for text in [
        "garbage",
        "BEGIN:VCALENDAR",
        "&#0;",
        "<x/>",
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20270101\nEND:VEVENT\nEND:VCALENDAR",
    ] {
        let lies = data(text)("mine.ics") + &data(text)("nobody.ics") + &data(text)("nobody.ics");
        let setting =
            distorting(move |asked, answer| if asked.method == "REPORT" { with(&answer, &lies) } else { answer });
        run(&setting, 100, 0);
        assert_eq!(setting.uids(), "a b mine", "{text}");
    }
}

#[test]
fn a_token_of_a_megabyte_is_kept_and_sent() {
    let token = "t".repeat(1_000_000);
    let setting = distorting(move |_, answer| {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let mut parts = text.split("<d:sync-token>");
        let first = parts.next().unwrap_or_default().to_owned();
        let rest: String = parts
            .map(|part| {
                format!(
                    "<d:sync-token>{token}</d:sync-token>{}",
                    part.split_once("</d:sync-token>").unwrap_or_default().1
                )
            })
            .collect();
        Answer { body: (first + &rest).into_bytes(), ..answer }
    });
    run(&setting, 100, 0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a b mine");
}

#[test]
fn changes_that_never_end_are_given_up_for_a_listing() {
    let setting = distorting(|_, answer| answer);
    run(&setting, 100, 0);
    let mut pages = 0;
    setting.dav.distort(move |asked, answer| {
        if !is_report(asked, "sync-collection") {
            return answer;
        }
        pages += 1;
        let more = format!("<d:response><d:href>{HOME}work/</d:href><d:status>HTTP/1.1 507</d:status></d:response>");
        let token = format!("<d:sync-token>http://sabre.io/ns/sync/{pages}</d:sync-token>");
        xml(format!("<d:multistatus xmlns:d=\"DAV:\">{more}{token}</d:multistatus>"))
    });
    setting.dav.work(|work| work.put("theirs.ics", object("theirs", "Theirs")));
    setting.dav.take();
    setting.env.run_within(OVERHEAD + 100, &["run"]).exits(0);
    let methods: Vec<String> = setting.methods();
    assert!(methods.iter().filter(|method| *method == "REPORT").count() > 1);
    assert_eq!(setting.uids(), "a b mine theirs");
}

#[test]
fn an_answer_that_breaks_off_or_never_ends_fails_the_pass() {
    let raws: [Raw; 6] = [
        |out| {
            out.write_all(b"HTTP/1.1 207 X\r\n")?;
            loop {
                out.write_all(b"X-More: and more of it\r\n")?;
            }
        },
        |out| {
            out.write_all(b"HTTP/1.1 207 X\r\nETag: ")?;
            loop {
                out.write_all(&[b'x'; 1000])?;
            }
        },
        |out| write!(out, "HTTP/1.1 207 X\r\nContent-Length: 999\r\n\r\n<d:multistatus xmlns:d=\"DAV:\"/>"),
        |out| loop {
            // Until the timeout, which two busy cores would not make longer.
            out.write_all(&b"HTTP/1.1 102 Processing\r\n\r\n".repeat(100))?;
            std::thread::sleep(std::time::Duration::from_millis(10));
        },
        |out| {
            out.write_all(b"HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            loop {
                out.write_all(b"1\r\n \r\n")?;
                std::thread::sleep(std::time::Duration::from_millis(100));
            }
        },
        |out| out.write_all(b"HTTP/1.1 207\r\n\r\n"),
    ];
    side_by_side(raws, |raw| {
        let distorter = move |asked: &Asked, answer| if is_listing(asked) { Answer::raw(raw) } else { answer };
        let setting = distorting_within("3s", distorter);
        run(&setting, 200, 75);
        assert_eq!(setting.uids(), "a mine");
    });
}

#[test]
fn absurd_challenges_are_refused_in_a_sentence() {
    let long = format!("Digest realm=\"{}\", nonce=\"n\", qop=\"auth\"", "r".repeat(30_000));
    let challenges = [
        "Digest",
        "Digest realm",
        "Digest realm=\"\", nonce=\"\", qop=\"\"",
        "Digest realm=\"x\", nonce=\"n\", qop=\"auth-int\"",
        "Digest realm=\"x\", nonce=\"n\", qop=\"auth\", algorithm=ROT13",
        "Digest realm=\"x\\\"\\\\y\", nonce=\"\\\"\", qop=\"auth\", opaque=\"\\\\\"",
        "Digest realm=\"open, nonce=\"n\", qop=auth",
        "Digest realm=\"ü\", nonce=\"ü\", qop=\"auth\"",
        ",,,,,=\"",
        "Negotiate",
        "",
        &long,
    ];
    for challenge in challenges {
        let setting = Setting::new(&feed(&["a"]), "");
        let answer = Answer::new(401).header("WWW-Authenticate", challenge);
        setting.dav.switch(|switches| switches.login = Login::Nobody);
        setting.dav.switch(|switches| switches.answer = Some(answer));
        let ran = setting.env.run_within(OVERHEAD + 50, &["run", "-v"]).exits(77);
        assert!(ran.stderr.len() < 2_000, "{challenge}: {ran}");
        let asked = setting.asked().len();
        assert!(asked < 8, "{challenge}: {asked} requests");
    }
}
