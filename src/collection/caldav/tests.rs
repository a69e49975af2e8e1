//! The adapter against scripted answers of Baïkal, sabre 1.8, Radicale and Xandikos.

use super::*;
use crate::collection::script::{Script, Step, TOO_LARGE, WORK, answer, calendar, member, multistatus};
use crate::model::{ComponentType, Entry, Stored};
use crate::words::error::sentence;

const FOUND: &str = "https://h/dav.php/calendars/alice/work/";

/// The calendar `work` of a home at `https://h/dav.php/`, and its server's script.
fn scripted(remembered: Option<Remembered>, steps: Vec<Step>) -> (Caldav, Script) {
    let script = Script::new(steps);
    let home = Arc::new(Home::over(Box::new(script.clone()), Url::parse("https://h/dav.php/").unwrap()));
    (Caldav::new(home, CalendarAddress::Absolute(Url::parse(FOUND).unwrap()), remembered), script)
}

/// The same, discovered by an earlier run on this server.
fn known(server: Server, steps: Vec<Step>) -> (Caldav, Script) {
    let remembered = Remembered {
        calendar: FOUND.to_owned(),
        server,
        can_sync: true,
        auto_schedule: true,
        components: vec![ComponentType::Event],
        obeys_preconditions: None,
    };
    scripted(Some(remembered), steps)
}

#[test]
fn a_calendar_that_is_remembered_costs_no_request() {
    let (caldav, _) = known(Server::Sabre, vec![]);
    let abilities = caldav.open(true).unwrap();
    let expected = Abilities { connections: 1, needs_schedule_agent: false, components: vec![ComponentType::Event] };
    assert_eq!(abilities, expected);
    assert!(known(Server::Other, vec![]).0.open(false).unwrap().needs_schedule_agent);
}

#[test]
fn a_calendar_that_is_not_remembered_is_looked_for_when_it_is_opened_and_then_known() {
    let steps = vec![(LOOK, multistatus(&calendar(WORK, "Work"))), (OPTIONS, answer(200, &[("DAV", "1, 3")], ""))];
    let (caldav, script) = scripted(None, steps);
    assert_eq!((caldav.address(), caldav.remember()), (None, None));
    caldav.open(false).unwrap();
    script.assert_used_up();
    assert_eq!(caldav.address().as_deref(), Some(FOUND));
    assert_eq!(caldav.remember().map(|remembered| remembered.calendar).as_deref(), Some(FOUND));
}

#[test]
fn the_calendars_of_a_home_share_its_connection() {
    let plans = "https://h/dav.php/calendars/alice/plans/";
    let script = Script::new(vec![
        (LOOK, multistatus(&calendar(WORK, "Work"))),
        (OPTIONS, answer(200, &[], "")),
        ("PROPFIND /dav.php/calendars/alice/plans/", multistatus(&calendar(plans, "Plans"))),
        ("OPTIONS /dav.php/calendars/alice/plans/", answer(200, &[], "")),
    ]);
    let home = Arc::new(Home::over(Box::new(script.clone()), Url::parse("https://h/dav.php/").unwrap()));
    for url in [FOUND, plans] {
        let address = CalendarAddress::Absolute(Url::parse(url).unwrap());
        let calendar = Caldav::new(Arc::clone(&home), address, None);
        calendar.open(false).unwrap();
        assert_eq!(calendar.address().as_deref(), Some(url));
    }
    script.assert_used_up();
}

fn mark(token: &str) -> Response {
    multistatus(&member(WORK, &format!("<d:sync-token>{token}</d:sync-token>")))
}

fn delta(inner: &str, token: &str) -> Response {
    multistatus(&format!("{inner}<d:sync-token>{token}</d:sync-token>"))
}

fn object(name: &str) -> String {
    member(&format!("{WORK}{name}"), &format!("<d:getetag>\"{name}\"</d:getetag>"))
}

const LOOK: &str = "PROPFIND /dav.php/calendars/alice/work/";
const OPTIONS: &str = "OPTIONS /dav.php/calendars/alice/work/";
const REPORT: &str = "REPORT /dav.php/calendars/alice/work/";

#[test]
fn a_token_that_baikal_has_yet_to_reach_is_not_asked_for() {
    let (caldav, _) = known(Server::Sabre, vec![(LOOK, mark("http://sabre.io/ns/sync/3"))]);
    assert_eq!(caldav.changes("http://sabre.io/ns/sync/50").unwrap(), Changes::Unknown);
}

#[test]
fn a_token_from_an_answer_may_be_newer_than_the_look() {
    let token = |number: u32| format!("http://sabre.io/ns/sync/{number}");
    let steps =
        vec![(LOOK, mark(&token(3))), (REPORT, delta(&object("1.ics"), &token(5))), (REPORT, delta("", &token(5)))];
    let (caldav, _) = known(Server::Sabre, steps);
    caldav.mark().unwrap();
    assert!(matches!(caldav.changes(&token(2)).unwrap(), Changes::Since { sync_token, .. } if sync_token == token(5)));
    assert!(matches!(caldav.changes(&token(5)).unwrap(), Changes::Since { changed, .. } if changed.is_empty()));
}

#[test]
fn truncated_changes_are_followed_and_the_latest_word_counts() {
    let more = format!(
        "<d:response><d:href>{WORK}</d:href><d:status>HTTP/1.1 507 Insufficient Storage</d:status></d:response>"
    );
    let gone = format!("<d:response><d:href>{WORK}1.ics</d:href><d:status>HTTP/1.1 404</d:status></d:response>");
    let steps = vec![
        (LOOK, mark("t9")),
        (REPORT, delta(&(object("1.ics") + &object("2.ics") + &more), "t2")),
        (REPORT, delta(&gone, "t3")),
    ];
    let (caldav, _) = known(Server::Other, steps);
    let changed = vec![Entry { href: Href::new("2.ics"), etag: Etag::parse("\"2.ics\"").unwrap() }];
    let expected = Changes::Since { changed, gone: vec![Href::new("1.ics")], sync_token: "t3".to_owned() };
    assert_eq!(caldav.changes("t1").unwrap(), expected);
}

#[test]
fn changes_that_stay_truncated_are_unknown() {
    let more = format!("<d:response><d:href>{WORK}</d:href><d:status>HTTP/1.1 507</d:status></d:response>");
    let (caldav, _) = known(Server::Other, vec![(LOOK, mark("t9")), (REPORT, delta(&more, "t1"))]);
    assert_eq!(caldav.changes("t1").unwrap(), Changes::Unknown);
}

fn stored(name: &str, text: &str) -> String {
    member(
        &format!("{WORK}{name}"),
        &format!("<d:getetag>\"{name}\"</d:getetag><c:calendar-data>{text}</c:calendar-data>"),
    )
}

/// Reads 1.ics to 4.ics with this script and returns the names and texts received.
fn read(steps: Vec<Step>) -> String {
    let (caldav, script) = known(Server::Sabre, steps);
    let hrefs = ["1.ics", "2.ics", "3.ics", "4.ics"].map(Href::new);
    let found = caldav.read(&hrefs).unwrap();
    script.assert_used_up();
    let words = |object: &Stored| format!("{}={}", object.href.as_str(), String::from_utf8_lossy(&object.text));
    assert_eq!(found.unreadable, []);
    found.stored.iter().map(words).collect::<Vec<_>>().join(" ")
}

fn got(text: &str) -> Response {
    answer(200, &[("Content-Type", "text/calendar"), ("ETag", "\"e\"")], text)
}

#[test]
fn one_missing_object_does_not_hide_the_others_from_sabre_1_8() {
    let steps = vec![
        (REPORT, answer(404, &[], "")),
        (LOOK, mark("t")),
        (REPORT, multistatus(&(stored("1.ics", "a") + &stored("2.ics", "b")))),
        (REPORT, answer(404, &[], "")),
        ("GET /dav.php/calendars/alice/work/3.ics", answer(404, &[], "")),
        ("GET /dav.php/calendars/alice/work/4.ics", got("d")),
    ];
    assert_eq!(read(steps), "1.ics=a 2.ics=b 4.ics=d");
}

#[test]
fn what_a_multiget_leaves_out_or_calls_gone_is_asked_for_until_a_get_says_so() {
    let gone =
        |name: &str| format!("<d:response><d:href>{WORK}{name}</d:href><d:status>HTTP/1.1 404</d:status></d:response>");
    let steps = vec![
        (REPORT, multistatus(&(stored("1.ics", "a") + &gone("3.ics")))),
        (REPORT, multistatus(&stored("2.ics", "b"))),
        (REPORT, multistatus("")),
        ("GET /dav.php/calendars/alice/work/3.ics", got("c")),
        ("GET /dav.php/calendars/alice/work/4.ics", answer(404, &[], "")),
    ];
    assert_eq!(read(steps), "1.ics=a 2.ics=b 3.ics=c");
}

#[test]
fn what_cannot_be_read_is_neither_gone_nor_a_trouble_of_the_calendar() {
    let steps = vec![
        (REPORT, answer(403, &[], "")),
        (LOOK, mark("t")),
        ("GET /dav.php/calendars/alice/work/1.ics", answer(500, &[], "")),
        ("GET /dav.php/calendars/alice/work/2.ics", got("b")),
    ];
    let (caldav, _) = known(Server::Sabre, steps);
    let found = caldav.read(&["1.ics", "2.ics"].map(Href::new)).unwrap();
    assert_eq!((found.stored.len(), found.unreadable), (1, vec![Href::new("1.ics")]));
}

const PUT: &str = "PUT /dav.php/calendars/alice/work/1.ics";
const DELETE: &str = "DELETE /dav.php/calendars/alice/work/1.ics";
const GET: &str = "GET /dav.php/calendars/alice/work/1.ics";

fn put(caldav: &Caldav, precondition: &Precondition) -> Written {
    caldav.put(&Href::new("1.ics"), b"x", precondition).unwrap()
}

fn tagged(status: u16, etag: &str) -> Response {
    answer(status, &[("ETag", etag)], "")
}

fn done(etag: &str) -> Written {
    Written::Done { etag: Etag::parse(etag) }
}

#[test]
fn an_etag_without_quotes_is_sent_back_in_its_own_spelling_when_the_quoted_form_fails() {
    let bare = Precondition::Unchanged(Etag::parse("v1").unwrap());
    let steps = vec![(PUT, tagged(412, "v1")), (PUT, tagged(200, "v2")), (PUT, tagged(200, "v3"))];
    let (caldav, script) = known(Server::Sabre, steps);
    assert_eq!((put(&caldav, &bare), put(&caldav, &bare)), (done("v2"), done("v3")));
    script.assert_used_up();
    let (caldav, _) = known(Server::Sabre, vec![(PUT, tagged(412, "v1"))]);
    assert_eq!(put(&caldav, &Precondition::Unchanged(Etag::parse("\"v1\"").unwrap())), Written::Stale);
}

#[test]
fn a_server_of_an_unknown_make_is_tried_once_whether_it_obeys_preconditions() {
    for (again, obeys) in [(tagged(412, ""), Some(true)), (tagged(204, "v2"), Some(false)), (tagged(500, ""), None)] {
        let (caldav, script) = known(Server::Other, vec![(PUT, tagged(201, "v1")), (PUT, again)]);
        put(&caldav, &Precondition::Absent);
        assert_eq!(caldav.remember().unwrap().obeys_preconditions, obeys);
        script.assert_used_up();
    }
}

#[test]
fn a_server_that_is_not_known_to_obey_preconditions_is_read_before_something_is_overwritten_or_deleted() {
    let read = |etag| (GET, tagged(200, etag));
    let told = Etag::parse("\"v1\"").unwrap();
    let steps = vec![
        read("\"v1\""),
        (PUT, tagged(204, "v3")),
        read("\"v2\""),
        read("\"v2\""),
        read("\"v1\""),
        (DELETE, tagged(204, "")),
    ];
    let (caldav, script) = known(Server::Other, steps);
    let update = Precondition::Unchanged(told.clone());
    assert_eq!((put(&caldav, &update), put(&caldav, &update)), (done("v3"), Written::Stale));
    let delete = || caldav.delete(&Href::new("1.ics"), &told).unwrap();
    assert_eq!((delete(), delete()), (Written::Stale, Written::Done { etag: None }));
    script.assert_used_up();
}

#[test]
fn a_deletion_that_is_answered_by_not_found_is_done_when_the_object_is_gone() {
    let etag = Etag::parse("\"v1\"").unwrap();
    let delete = |standing| {
        let (caldav, _) = known(Server::Sabre, vec![(DELETE, answer(404, &[], "")), (GET, standing)]);
        matches!(caldav.delete(&Href::new("1.ics"), &etag).unwrap(), Written::Done { .. })
    };
    assert_eq!((delete(answer(404, &[], "")), delete(tagged(200, "\"v1\""))), (true, false));
}

#[test]
fn an_object_that_xml_cannot_carry_is_read_alone() {
    let all = stored("1.ics", "a") + &stored("2.ics", "b\x10") + &stored("3.ics", "c");
    let steps = vec![
        (REPORT, multistatus(&all)),
        ("GET /dav.php/calendars/alice/work/2.ics", got("b\x10")),
        ("GET /dav.php/calendars/alice/work/4.ics", answer(404, &[], "")),
    ];
    assert_eq!(read(steps), "1.ics=a 3.ics=c 2.ics=b\x10");
}

#[test]
fn an_answer_that_is_too_large_is_asked_for_in_halves_and_an_object_that_is_has_no_text() {
    let too_large = || answer(TOO_LARGE, &[], "");
    let steps = vec![
        (REPORT, too_large()),
        (REPORT, multistatus(&(stored("1.ics", "a") + &stored("2.ics", "b")))),
        (REPORT, too_large()),
        ("GET /dav.php/calendars/alice/work/3.ics", too_large()),
        ("HEAD /dav.php/calendars/alice/work/3.ics", got("")),
        ("GET /dav.php/calendars/alice/work/4.ics", got("d")),
    ];
    assert_eq!(read(steps), "1.ics=a 2.ics=b 3.ics= 4.ics=d");
    let (caldav, _) = known(Server::Sabre, vec![(LOOK, too_large())]);
    let error = caldav.mark().unwrap_err();
    assert_eq!(kind_of(&error), Kind::Unavailable);
    assert!(sentence(&error).starts_with("the answer of https://h is larger than"), "{error:#}");
}

#[test]
fn a_calendar_that_is_gone_is_forgotten() {
    let (caldav, _) = known(Server::Radicale, vec![(LOOK, answer(404, &[], ""))]);
    let error = caldav.mark().unwrap_err();
    assert_eq!(
        (kind_of(&error), sentence(&error).as_str()),
        (Kind::Missing, "the calendar https://h/dav.php/calendars/alice/work/ is not on the server any more")
    );
    assert_eq!(caldav.remember(), None);
}

#[test]
fn nothing_is_put_into_a_xandikos_calendar_before_it_was_seen() {
    let gone = multistatus(&format!(
        "<d:response><d:href>https://h{WORK}</d:href><d:status>HTTP/1.1 404 Not Found</d:status></d:response>"
    ));
    let (caldav, _) = known(Server::Xandikos, vec![(LOOK, gone)]);
    let error = caldav.put(&Href::new("1.ics"), b"x", &Precondition::Absent).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Missing);
    let put = ("PUT /dav.php/calendars/alice/work/1.ics", answer(201, &[("ETag", "\"1\"")], ""));
    let (caldav, _) = known(Server::Xandikos, vec![(LOOK, mark("t")), put.clone(), put]);
    for _ in 0..2 {
        caldav.put(&Href::new("1.ics"), b"x", &Precondition::Absent).unwrap();
    }
}

#[test]
fn more_connections_are_used_where_the_way_is_long_and_the_server_bears_it() {
    let count = |server, milliseconds| connections(server, Some(Duration::from_millis(milliseconds)));
    assert_eq!([count(Server::Sabre, 9), count(Server::Sabre, 10), count(Server::Other, 25)], [1, 4, 8]);
    assert_eq!(
        [count(Server::Radicale, 100), count(Server::Xandikos, 100), connections(Server::Sabre, None)],
        [1, 1, 1]
    );
}
