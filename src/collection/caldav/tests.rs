//! The adapter against answers as Baïkal, sabre 1.8, Radicale and Xandikos give them, in the order of a script.

use std::collections::VecDeque;

use super::discovery::{choose, place_for_new, redirect};
use super::*;
use crate::dav::discover::Calendar;
use crate::model::{Entry, Stored};
use crate::words::error::sentence;
use crate::words::message::Headers;

/// Answers each request with the next line of the script, which names the request: `METHOD path`, or `METHOD
/// http://host/path` where the host matters.
#[derive(Clone, Default)]
struct Script {
    steps: Arc<Mutex<VecDeque<(&'static str, Response)>>>,
}

impl Exchange for Script {
    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>> {
        let Request { method, url, .. } = request;
        let (expected, response) = lock(&self.steps).pop_front().unwrap_or_else(|| panic!("unexpected {method} {url}"));
        let found =
            if expected.contains("://") { format!("{method} {url}") } else { format!("{method} {}", url.path()) };
        assert_eq!(found, expected);
        Ok(Some(response).filter(|response| response.status != TOO_LARGE))
    }

    fn round_trip(&self) -> Option<Duration> {
        None
    }
}

/// Stands in the script for an answer that is larger than we read.
const TOO_LARGE: u16 = 0;
const HOME: &str = "/dav.php/calendars/alice/";
const WORK: &str = "/dav.php/calendars/alice/work/";

fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Response {
    let mut response = Response { status, headers: Headers::default(), body: body.into() };
    for (name, value) in headers {
        response.headers.add(*name, *value);
    }
    response
}

fn multistatus(inner: &str) -> Response {
    let root = "<d:multistatus xmlns:d=\"DAV:\" xmlns:c=\"urn:ietf:params:xml:ns:caldav\">";
    answer(207, &[("Content-Type", "application/xml")], &format!("{root}{inner}</d:multistatus>"))
}

fn member(href: &str, prop: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop>{prop}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

fn calendar(href: &str, name: &str) -> String {
    let reports = "<d:supported-report-set><d:supported-report><d:report><d:sync-collection/></d:report></d:supported-report></d:supported-report-set>";
    member(
        href,
        &format!(
            "<d:resourcetype><d:collection/><c:calendar/></d:resourcetype><d:displayname>{name}</d:displayname>{reports}"
        ),
    )
}

fn principal() -> Response {
    let href = "<d:href>/dav.php/principals/alice/</d:href>";
    multistatus(&member("/dav.php/", &format!("<d:current-user-principal>{href}</d:current-user-principal>")))
}

fn home_set() -> Response {
    let home = format!("<c:calendar-home-set><d:href>{HOME}</d:href></c:calendar-home-set>");
    multistatus(&member("/dav.php/principals/alice/", &home))
}

fn baikal() -> Response {
    let classes = "1, 3, extended-mkcol, access-control, calendar-access, calendar-auto-schedule";
    answer(200, &[("X-Sabre-Version", "4.7.0"), ("DAV", classes)], "")
}

/// The steps from the DAV root to these calendars.
fn discovery(calendars: &str) -> Vec<(&'static str, Response)> {
    vec![
        ("PROPFIND /dav.php/", principal()),
        ("PROPFIND /dav.php/principals/alice/", home_set()),
        ("PROPFIND /dav.php/calendars/alice/", multistatus(&(member(HOME, "") + calendars))),
        ("OPTIONS /dav.php/calendars/alice/", baikal()),
    ]
}

fn scripted(server: &str, target: &str, steps: Vec<(&'static str, Response)>) -> (Caldav, Script) {
    let script = Script { steps: Arc::new(Mutex::new(steps.into())) };
    let address = Address { server: Url::parse(server).unwrap(), target: target.to_owned() };
    (Caldav::over(Box::new(script.clone()), address, None), script)
}

/// Opens a calendar by a script that must be used up; its address, or the error's sentence.
fn check(server: &str, target: &str, create: bool, steps: Vec<(&'static str, Response)>) -> Result<String, String> {
    let (caldav, script) = scripted(server, target, steps);
    let opened = caldav.open(create).map_err(|error| format!("{:?}: {}", kind_of(&error), sentence(&error)));
    assert!(lock(&script.steps).is_empty(), "not asked: {}", lock(&script.steps)[0].0);
    opened.map(|_| caldav.remember().unwrap().calendar)
}

/// A calendar on this server that an earlier run found, and the script of this one.
fn known(server: Server, steps: Vec<(&'static str, Response)>) -> (Caldav, Script) {
    let (caldav, script) = scripted("https://h/dav.php/", "work", steps);
    let remembered = Remembered {
        calendar: format!("https://h{WORK}"),
        server,
        can_sync: true,
        auto_schedule: true,
        components: vec![ComponentType::Event],
        obeys_preconditions: None,
    };
    (Caldav::over(Box::new(script.clone()), caldav.address, Some(remembered)), script)
}

const FOUND: &str = "https://h/dav.php/calendars/alice/work/";

#[test]
fn a_calendar_that_is_remembered_costs_no_request() {
    let (caldav, _) = known(Server::Sabre, vec![]);
    let abilities = caldav.open(true).unwrap();
    let expected = Abilities { connections: 1, needs_schedule_agent: false, components: vec![ComponentType::Event] };
    assert_eq!(abilities, expected);
    assert!(known(Server::Other, vec![]).0.open(false).unwrap().needs_schedule_agent);
}

#[test]
fn a_path_below_the_server_is_tried_before_anything_else() {
    for target in ["calendars/alice/work/", "/dav.php/calendars/alice/work", "https://h/dav.php/calendars/alice/work/"]
    {
        let steps =
            vec![(LOOK, multistatus(&calendar(WORK, "Work"))), ("OPTIONS /dav.php/calendars/alice/work/", baikal())];
        assert_eq!(check("https://h/dav.php", target, false, steps).as_deref(), Ok(FOUND));
    }
}

#[test]
fn the_server_s_address_may_be_the_calendar_itself() {
    let steps = vec![
        ("PROPFIND /dav.php/calendars/alice/work/", multistatus(&calendar(WORK, "Work"))),
        ("OPTIONS /dav.php/calendars/alice/work/", baikal()),
    ];
    assert_eq!(check(FOUND, "", false, steps).as_deref(), Ok(FOUND));
}

#[test]
fn a_name_is_found_as_last_segment_or_as_display_name() {
    let calendars = || calendar(WORK, "Arbeit") + &calendar("/dav.php/calendars/alice/caf%c3%a9/", "Home");
    for (target, found) in [("work", "work"), ("Arbeit", "work"), ("café", "caf%c3%a9")] {
        let found = format!("https://h{HOME}{found}/");
        assert_eq!(check("https://h/dav.php/", target, false, discovery(&calendars())), Ok(found));
    }
}

#[test]
fn what_is_not_there_is_missing_and_what_is_there_is_told() {
    let error = check("https://h/dav.php/", "play", false, discovery(&calendar(WORK, "Arbeit"))).unwrap_err();
    assert_eq!(
        error,
        "Missing: there is no calendar \"play\" on https://h/dav.php/ (`create` would make it); there is \
         /dav.php/calendars/alice/work/ (Arbeit)"
    );
}

#[test]
fn an_address_that_leads_to_calendars_but_is_none_asks_for_a_choice_and_is_not_made() {
    let mut steps = discovery(&calendar(WORK, "Work"));
    steps.insert(0, ("PROPFIND /dav.php/", principal()));
    let error = check("https://h/dav.php/", "https://h/dav.php/", true, steps).unwrap_err();
    let expected = "Missing: https://h/dav.php/ is no calendar; name one of these in `target`, or in CALENDAR_ID: \
                    /dav.php/calendars/alice/work/ (Work)";
    assert_eq!(error, expected);
}

#[test]
fn two_calendars_of_one_name_are_an_error_of_the_configuration() {
    let calendars = calendar(WORK, "Same") + &calendar("/dav.php/calendars/alice/other/", "Same");
    let error = check("https://h/dav.php/", "Same", false, discovery(&calendars)).unwrap_err();
    assert!(
        error.starts_with("Configuration: ") && error.contains("work/ (Same)") && error.contains("other/"),
        "{error}"
    );
}

#[test]
fn well_known_leads_on_and_the_user_s_scheme_and_port_hold() {
    let mut steps = vec![
        ("PROPFIND https://h:8443/", answer(405, &[("Content-Type", "text/html")], "<html>")),
        ("PROPFIND https://h:8443/.well-known/caldav", answer(302, &[("Location", "http://h/dav.php")], "")),
        ("PROPFIND https://h:8443/dav.php", principal()),
    ];
    steps.extend(discovery(&calendar(WORK, "Work")).into_iter().skip(1));
    assert_eq!(
        check("https://h:8443/", "work", false, steps).as_deref(),
        Ok("https://h:8443/dav.php/calendars/alice/work/")
    );
}

#[test]
fn a_refused_password_is_tried_nowhere_else() {
    let steps = vec![("PROPFIND /dav.php/", answer(401, &[], ""))];
    let error = check("https://h/dav.php/", "work", false, steps).unwrap_err();
    assert!(error.starts_with("Refused: "), "{error}");
}

#[test]
fn the_trouble_with_the_given_address_is_what_is_told() {
    let broken = || answer(200, &[("Content-Type", "text/html")], "<h3>DB file is not writable.");
    let steps = vec![
        ("PROPFIND /dav.php/", broken()),
        ("PROPFIND /.well-known/caldav", answer(404, &[], "")),
        ("PROPFIND /", answer(405, &[], "")),
    ];
    let error = check("https://h/dav.php/", "work", false, steps).unwrap_err();
    assert!(error.starts_with("Unavailable: ") && error.contains("read-only or missing"), "{error}");
}

#[test]
fn a_missing_calendar_is_made_where_its_path_says_and_bare_if_need_be() {
    let mut steps = vec![("PROPFIND /dav.php/calendars/alice/work/", answer(404, &[], ""))];
    steps.extend(discovery(""));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/work/", multistatus("").clone()));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/work/", answer(201, &[], "")));
    steps.push(("PROPFIND /dav.php/calendars/alice/work/", multistatus(&calendar(WORK, "work"))));
    assert_eq!(check("https://h/dav.php/", "calendars/alice/work/", true, steps).as_deref(), Ok(FOUND));
}

#[test]
fn an_empty_target_makes_no_calendar() {
    let mut steps = vec![("PROPFIND /dav.php/", principal())];
    steps.extend(discovery(""));
    let error = check("https://h/dav.php/", "", true, steps).unwrap_err();
    assert!(error.starts_with("Missing: ") && error.ends_with(": none"), "{error}");
}

#[test]
fn a_name_never_makes_or_takes_a_calendar_that_has_another_name() {
    let mut steps = discovery(&calendar("/dav.php/calendars/alice/at-work/", "Other"));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/at-work/", answer(405, &[], "")));
    let error = check("https://h/dav.php/", "At work!", true, steps).unwrap_err();
    assert!(error.starts_with("Configuration: "), "{error}");
}

#[test]
fn a_new_calendar_goes_into_a_home() {
    let url = |text: &str| Url::parse(text).unwrap();
    let homes = [url("https://h/dav.php/calendars/alice/")];
    let place = |direct: Option<&str>, target| {
        place_for_new(&homes, direct.map(url).as_ref(), target).unwrap().path().to_owned()
    };
    assert_eq!(place(Some(FOUND), ""), WORK);
    assert_eq!(place(Some("https://h/calendars/alice/work/"), ""), WORK);
    assert_eq!(place(None, "Größe & more"), "/dav.php/calendars/alice/gr-e-more/");
    assert_eq!(place(None, "日本"), "/dav.php/calendars/alice/calendar/");
}

#[test]
fn a_redirect_keeps_the_origin_and_never_leaves_encryption() {
    let lead = |from: &str, to: &str| {
        let found = redirect(&Url::parse(from).unwrap(), &answer(301, &[("Location", to)], ""));
        found.map(|url| url.unwrap().reveal().to_owned()).map_err(|error| kind_of(&error))
    };
    assert_eq!(lead("https://h:8443/x", "http://h/dav.php"), Ok("https://h:8443/dav.php".to_owned()));
    assert_eq!(lead("http://h/x", "https://other/dav"), Ok("https://other/dav".to_owned()));
    assert_eq!(lead("https://h/x", "http://other/dav"), Err(Kind::NotCaldav));
    assert_eq!(lead("http://h/x", "https://h/x"), Err(Kind::Configuration));
}

#[test]
fn the_target_is_matched_by_whole_segments() {
    let calendar = |path: &str| Calendar {
        url: Url::parse("http://h/").unwrap().join(path).unwrap(),
        display_name: None,
        components: vec![],
        rights: Rights { write: true, delete: true },
        can_sync: true,
        shared: false,
        color: None,
        mark: Mark::default(),
    };
    let calendars = [calendar("/alice/work/"), calendar("/alice/homework/"), calendar("/team/a%40b/")];
    let chosen = |target| choose(&calendars, target).unwrap().map(|calendar| calendar.url.path());
    assert_eq!(
        (chosen("work"), chosen("alice/work"), chosen("x/alice/work")),
        (Some("/alice/work/"), Some("/alice/work/"), None)
    );
    assert_eq!((chosen("a@b"), chosen("http://h/alice/homework")), (Some("/team/a%40b/"), Some("/alice/homework/")));
    assert!(choose(&calendars, "").is_err());
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

/// Reads 1.ics to 4.ics by this script and gives the names and texts that came.
fn read(steps: Vec<(&'static str, Response)>) -> String {
    let (caldav, script) = known(Server::Sabre, steps);
    let hrefs = ["1.ics", "2.ics", "3.ics", "4.ics"].map(Href::new);
    let found = caldav.read(&hrefs).unwrap();
    assert!(lock(&script.steps).is_empty());
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
    assert!(lock(&script.steps).is_empty());
    let (caldav, _) = known(Server::Sabre, vec![(PUT, tagged(412, "v1"))]);
    assert_eq!(put(&caldav, &Precondition::Unchanged(Etag::parse("\"v1\"").unwrap())), Written::Stale);
}

#[test]
fn a_server_of_an_unknown_make_is_tried_once_whether_it_obeys_preconditions() {
    for (again, obeys) in [(tagged(412, ""), Some(true)), (tagged(204, "v2"), Some(false)), (tagged(500, ""), None)] {
        let (caldav, script) = known(Server::Other, vec![(PUT, tagged(201, "v1")), (PUT, again)]);
        put(&caldav, &Precondition::Absent);
        assert_eq!(caldav.remember().unwrap().obeys_preconditions, obeys);
        assert!(lock(&script.steps).is_empty());
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
    assert!(lock(&script.steps).is_empty());
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

#[test]
fn a_calendar_that_stands_elsewhere_under_that_name_is_not_taken() {
    let mut steps = vec![("PROPFIND /team/work/", answer(404, &[], ""))];
    steps.extend(discovery(""));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/work/", answer(405, &[], "")));
    let error = check("https://h/dav.php/", "/team/work/", true, steps).unwrap_err();
    assert!(error.starts_with("Configuration: ") && error.contains("\"/team/work/\" on https://h/dav.php/"), "{error}");
}

#[test]
fn a_password_goes_to_no_other_server_and_circles_are_left() {
    let elsewhere = vec![
        ("PROPFIND https://h/dav.php/", answer(302, &[("Location", "https://other/dav/")], "")),
        ("PROPFIND https://other/dav/", answer(401, &[], "")),
    ];
    let error = check("https://h/dav.php/", "work", false, elsewhere).unwrap_err();
    assert!(error.starts_with("Configuration: ") && error.contains("https://other/dav/"), "{error}");
    let turn = |to: &'static str| answer(301, &[("Location", to)], "");
    let circle = [("PROPFIND /a/", turn("/b/")), ("PROPFIND /b/", turn("/a/"))].into_iter().cycle().take(6);
    let steps =
        circle.chain([("PROPFIND /.well-known/caldav", answer(404, &[], "")), ("PROPFIND /", answer(404, &[], ""))]);
    let error = check("https://h/a/", "work", false, steps.collect()).unwrap_err();
    assert!(error.contains("redirects in circles"), "{error}");
}
