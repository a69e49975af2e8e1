//! The fakes themselves: a test of the program proves something only if they answer as the servers do.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::fake::dav::{Dav, HOME, Login, Refusal};
use super::fake::dav_answer::{unexpandable, unsupported};
use super::fake::dav_store::md5;
use super::fake::feed::{Feed, PATH, basic, html_page, redirect, too_many_requests};
use super::fake::http::{Answer, Asked};

const EVENT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nBEGIN:VEVENT\r\nUID:a\r\nDTSTAMP:20261120T090000Z\r\nDTSTART:20261120T090000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";

/// One request on a connection of its own, and all that came back: empty when the connection broke.
fn ask(url: &str, method: &str, headers: &[(&str, &str)], body: &str) -> String {
    let rest = url.strip_prefix("http://").unwrap();
    let (host, path) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let mut head =
        format!("{method} /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A broken connection is an answer too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0)
}

/// A calendar server that asks nobody who he is, so that the tests below can be short.
fn open_dav() -> Dav {
    let dav = Dav::start();
    dav.switch(|switches| switches.login = Login::Nobody);
    dav
}

fn put(dav: &Dav, name: &str, headers: &[(&str, &str)], body: &str) -> String {
    ask(&(dav.calendar_url("work") + name), "PUT", headers, body)
}

fn report(dav: &Dav, body: &str) -> String {
    ask(&dav.calendar_url("work"), "REPORT", &[("Depth", "1")], body)
}

fn sync(dav: &Dav, token: &str) -> String {
    report(
        dav,
        &format!(
            "<sync-collection xmlns=\"DAV:\"><sync-token>{token}</sync-token><sync-level>1</sync-level><prop><getetag/></prop></sync-collection>"
        ),
    )
}

fn multiget(dav: &Dav, names: &[&str]) -> String {
    let hrefs: String = names.iter().map(|name| format!("<d:href>{HOME}work/{name}</d:href>")).collect();
    report(
        dav,
        &format!(
            "<c:calendar-multiget xmlns:d=\"DAV:\" xmlns:c=\"urn:ietf:params:xml:ns:caldav\"><d:prop><d:getetag/><c:calendar-data/></d:prop>{hrefs}</c:calendar-multiget>"
        ),
    )
}

#[test]
fn a_feed_answers_304_to_its_own_validators_only() {
    let feed = Feed::start("one").with_etag();
    let etag = format!("\"{}\"", md5(b"one"));
    assert_eq!(status(&ask(&feed.url(), "GET", &[("If-None-Match", &etag)], "")), 304);
    feed.set("two");
    assert_eq!(status(&ask(&feed.url(), "GET", &[("If-None-Match", &etag)], "")), 200);
    feed.serving().etag = None;
    feed.serving().last_modified = Some("Fri, 20 Nov 2026 09:00:00 GMT".to_owned());
    assert_eq!(status(&ask(&feed.url(), "GET", &[("If-Modified-Since", "Fri, 20 Nov 2026 09:00:00 GMT")], "")), 304);
    let lines: Vec<String> = feed.take().iter().map(Asked::line).collect();
    assert_eq!(lines, [format!("GET {PATH}"), format!("GET {PATH}"), format!("GET {PATH}")]);
}

#[test]
fn a_feed_misbehaves_on_command() {
    let feed = Feed::start("BEGIN:VCALENDAR");
    feed.serving().cut = Some(5);
    let cut = ask(&feed.url(), "GET", &[], "");
    assert!(cut.contains("Content-Length: 15") && cut.ends_with("\r\n\r\nBEGIN"), "{cut}");
    feed.serving().cut = None;
    feed.serving().login = Some(("u".to_owned(), "p".to_owned()));
    assert_eq!(status(&ask(&feed.url(), "GET", &[], "")), 401);
    assert_eq!(status(&ask(&feed.url(), "GET", &[("Authorization", &basic("u", "p"))], "")), 200);
    for (answer, code) in
        [(html_page(), 200), (redirect("/x"), 302), (too_many_requests(60), 429), (Answer::new(500), 500)]
    {
        feed.answer_always(Some(answer));
        assert_eq!(status(&ask(&feed.url(), "GET", &[], "")), code);
    }
    feed.answer_always(None);
    assert_eq!(status(&ask(&feed.url().replace(PATH, "/"), "GET", &[], "")), 404);
    feed.stop();
}

#[test]
fn a_feed_is_compressed_for_those_who_can_read_it() {
    let feed = Feed::start("BEGIN:VCALENDAR");
    feed.serving().gzip = true;
    assert!(ask(&feed.url(), "GET", &[("Accept-Encoding", "gzip")], "").contains("Content-Encoding: gzip"));
    assert!(ask(&feed.url(), "GET", &[], "").ends_with("BEGIN:VCALENDAR"));
}

#[test]
fn basic_is_written_as_in_rfc_7617() {
    assert_eq!(basic("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(basic("a", "bc"), "Basic YTpiYw==");
}

#[test]
fn digest_is_demanded_and_basic_does_not_do() {
    let dav = Dav::start();
    let answer = ask(&dav.url(), "PROPFIND", &[("Authorization", &basic("alice", "pass:wörd"))], "");
    assert!(
        status(&answer) == 401 && answer.contains("Digest realm=\"BaikalDAV\",qop=\"auth\",nonce=\"1\""),
        "{answer}"
    );
    dav.switch(|switches| switches.login = Login::Basic);
    assert_eq!(status(&ask(&dav.url(), "PROPFIND", &[("Authorization", &basic("alice", "pass:wörd"))], "")), 207);
}

#[test]
fn a_put_obeys_its_precondition_and_answers_with_the_md5() {
    let dav = open_dav();
    let created = put(&dav, "a.ics", &[("If-None-Match", "*")], EVENT);
    let etag = format!("\"{}\"", md5(EVENT.as_bytes()));
    assert!(status(&created) == 201 && created.contains(&etag), "{created}");
    assert_eq!(status(&put(&dav, "a.ics", &[("If-None-Match", "*")], EVENT)), 412);
    assert_eq!(status(&put(&dav, "a.ics", &[("If-Match", "\"x\"")], EVENT)), 412);
    assert_eq!(status(&put(&dav, "a.ics", &[("If-Match", &etag)], EVENT)), 204);
    assert_eq!(dav.take_writes(), ["PUT a.ics 201", "PUT a.ics 412", "PUT a.ics 412", "PUT a.ics 204"]);
}

#[test]
fn bodies_are_refused_and_repaired_as_sabre_does() {
    let dav = open_dav();
    assert_eq!(status(&put(&dav, "a", &[], &EVENT.replace("VERSION", "METHOD:PUBLISH\r\nVERSION"))), 415);
    assert_eq!(status(&put(&dav, "a", &[], &EVENT.replace("VEVENT", "VJOURNAL"))), 403);
    assert_eq!(status(&put(&dav, "a", &[], "<html>")), 415);
    let repaired = put(&dav, "a", &[], &EVENT.replace("DTSTAMP:20261120T090000Z\r\n", ""));
    assert!(
        status(&repaired) == 201 && repaired.contains("X-Sabre-Ew-Gross") && !repaired.contains("ETag:"),
        "{repaired}"
    );
    dav.switch(|switches| {
        switches.refusals = vec![
            Refusal { text: "UID:bad", answer: unsupported("Validation error in iCalendar: bad") },
            Refusal { text: "UID:rule", answer: unexpandable("Invalid part in BYDAY clause: XX") },
        ];
    });
    assert_eq!(status(&put(&dav, "b", &[], &EVENT.replace("UID:a", "UID:bad"))), 415);
    assert_eq!(status(&put(&dav, "b", &[], &EVENT.replace("UID:a", "UID:rule"))), 500);
}

#[test]
fn the_switches_of_writing_do_what_they_say() {
    let dav = open_dav();
    dav.switch(|switches| switches.full = true);
    assert_eq!(status(&put(&dav, "a", &[], EVENT)), 507);
    dav.switch(|switches| (switches.full, switches.read_only) = (false, true));
    assert!(put(&dav, "a", &[], EVENT).contains("need-privileges"));
    dav.switch(|switches| (switches.read_only, switches.no_etag_on_put) = (false, true));
    assert!(!put(&dav, "a", &[], EVENT).contains("ETag:"));
    dav.switch(|switches| switches.rewrites = Some(|text| text.replace("UID:a", "UID:A")));
    put(&dav, "a", &[], EVENT);
    assert!(dav.work(|work| work.text("a").contains("UID:A") && work.texts().len() == 1));
}

#[test]
fn a_connection_breaks_before_or_after_the_chosen_write() {
    let dav = open_dav();
    dav.switch(|switches| (switches.drop_before_write, switches.drop_after_write) = (Some(1), Some(2)));
    assert_eq!((put(&dav, "a", &[], EVENT), put(&dav, "b", &[], EVENT)), (String::new(), String::new()));
    assert_eq!(status(&put(&dav, "c", &[], EVENT)), 201);
    assert_eq!(dav.take_writes(), ["PUT b 201", "PUT c 201"]);
    dav.switch(|switches| switches.silent_after = Some(4));
    assert_eq!(dav.take().len(), 3);
    dav.switch(|switches| switches.silent_after = Some(0));
    assert_eq!(put(&dav, "d", &[], EVENT), "");
}

#[test]
fn a_listing_tells_etags_as_the_switch_says() {
    let dav = open_dav();
    dav.work(|work| work.put("ä b.ics", EVENT));
    let list = || {
        ask(
            &dav.calendar_url("work"),
            "PROPFIND",
            &[("Depth", "1")],
            "<propfind xmlns=\"DAV:\"><prop><getetag/></prop></propfind>",
        )
    };
    let etag = format!("<d:getetag>&quot;{}&quot;</d:getetag>", md5(EVENT.as_bytes()));
    assert!(list().contains("work/%c3%a4%20b.ics</d:href>") && list().contains(&etag), "{}", list());
    dav.switch(|switches| switches.weak_etags = true);
    assert!(list().contains("<d:getetag>W/&quot;"));
}

#[test]
fn sync_collection_tells_changes_and_falls_for_tokens_of_the_future() {
    let dav = open_dav();
    dav.work(|work| (work.put("a", EVENT), work.put("b", EVENT), work.delete("a")));
    let all = sync(&dav, "");
    assert!(all.contains("work/b<") && !all.contains("work/a<") && all.contains("sync/4</d:sync-token>"), "{all}");
    let delta = sync(&dav, "http://sabre.io/ns/sync/3");
    assert!(
        delta.contains("404 Not Found</d:status><d:href>/dav.php/calendars/alice/work/a<")
            && !delta.contains("work/b<"),
        "{delta}"
    );
    let future = sync(&dav, "http://sabre.io/ns/sync/99");
    assert!(status(&future) == 207 && future.contains("sync/99</d:sync-token>"), "{future}");
    assert!(sync(&dav, "x").contains("valid-sync-token"));
    dav.switch(|switches| switches.no_sync_collection = true);
    assert!(sync(&dav, "").contains("supported-report"));
}

#[test]
fn a_multiget_leaves_out_what_is_gone_and_can_be_poisoned() {
    let dav = open_dav();
    dav.work(|work| work.put("a", EVENT));
    let answer = multiget(&dav, &["a", "gone"]);
    assert!(answer.contains("UID:a\nDTSTAMP") && !answer.contains("gone"), "{answer}");
    dav.switch(|switches| switches.poisoned = vec!["a"]);
    assert!(multiget(&dav, &["a"]).contains('\u{10}'));
    assert_eq!(status(&ask(&(dav.calendar_url("work") + "a"), "GET", &[], "")), 200);
}

#[test]
fn discovery_leads_from_the_host_to_the_calendars() {
    let dav = open_dav();
    let find = |url: &str, property: &str| {
        let body = format!(
            "<propfind xmlns=\"DAV:\" xmlns:c=\"urn:ietf:params:xml:ns:caldav\"><prop><{property}/></prop></propfind>"
        );
        ask(url, "PROPFIND", &[("Depth", "1")], &body)
    };
    assert!(ask(&dav.url().replace("/dav.php/", "/.well-known/caldav"), "PROPFIND", &[], "").contains("/dav.php\r\n"));
    assert!(find(&dav.url(), "current-user-principal").contains("/dav.php/principals/alice/"));
    assert!(find(&(dav.url() + "principals/alice/"), "c:calendar-home-set").contains(HOME));
    let home = find(&(dav.url() + "calendars/alice/"), "resourcetype");
    assert!(home.matches("<cal:calendar/>").count() == 1 && home.contains("<cal:schedule-inbox/>"), "{home}");
    assert_eq!(status(&ask(&dav.calendar_url("new"), "MKCALENDAR", &[], "")), 201);
    assert_eq!(status(&ask(&dav.calendar_url("new"), "MKCALENDAR", &[], "")), 405);
}

#[test]
fn someone_else_can_work_on_the_server_during_a_pass() {
    let dav = open_dav();
    dav.meddle(|request, work| {
        if request == 2 {
            work.put("other", EVENT);
        }
    });
    sync(&dav, "");
    assert!(dav.work(|work| work.objects.is_empty()));
    assert!(sync(&dav, "").contains("work/other<"));
    dav.switch(|switches| switches.answer = Some(Answer::new(502).body("text/html", "<html>502</html>")));
    assert_eq!(status(&sync(&dav, "")), 502);
    dav.switch(|switches| (switches.answer, switches.broken_database) = (None, true));
    assert!(sync(&dav, "").contains("DB file is not writable"));
    dav.stop();
}
