//! Finding and creating calendars against scripted answers of Baïkal and others.

use super::walk::redirect;
use super::*;
use crate::collection::script::{Script, Step, WORK, answer, calendar, member, multistatus};
use crate::words::error::sentence;
use crate::words::message::Response;

const HOME: &str = "/dav.php/calendars/alice/";
const FOUND: &str = "https://h/dav.php/calendars/alice/work/";
const LOOK: &str = "PROPFIND /dav.php/calendars/alice/work/";

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
fn discovery(calendars: &str) -> Vec<Step> {
    vec![
        ("PROPFIND /dav.php/", principal()),
        ("PROPFIND /dav.php/principals/alice/", home_set()),
        ("PROPFIND /dav.php/calendars/alice/", multistatus(&(member(HOME, "") + calendars))),
        ("OPTIONS /dav.php/calendars/alice/", baikal()),
    ]
}

/// Looks for a calendar with a script that must be used up; returns its address, or the error message.
fn find(server: &str, target: &str, create: bool, steps: Vec<Step>) -> Result<String, String> {
    let (script, server) = (Script::new(steps), Url::parse(server).unwrap());
    let address = CalendarAddress::read(target, &server).unwrap();
    let found = Home::over(Box::new(script.clone()), server).find(&address, create);
    script.assert_used_up();
    let found = found.map_err(|error| format!("{:?}: {}", kind_of(&error), sentence(&error)))?;
    Ok(found.calendar.url.reveal().to_owned())
}

#[test]
fn a_path_below_the_server_is_tried_before_anything_else() {
    for target in ["calendars/alice/work/", "/dav.php/calendars/alice/work", "https://h/dav.php/calendars/alice/work/"]
    {
        let steps =
            vec![(LOOK, multistatus(&calendar(WORK, "Work"))), ("OPTIONS /dav.php/calendars/alice/work/", baikal())];
        assert_eq!(find("https://h/dav.php", target, false, steps).as_deref(), Ok(FOUND));
    }
}

#[test]
fn the_server_s_address_may_be_the_calendar_itself() {
    let steps = vec![
        ("PROPFIND /dav.php/calendars/alice/work/", multistatus(&calendar(WORK, "Work"))),
        ("OPTIONS /dav.php/calendars/alice/work/", baikal()),
    ];
    assert_eq!(find(FOUND, FOUND, false, steps).as_deref(), Ok(FOUND));
}

#[test]
fn a_name_is_found_as_last_segment_or_as_display_name() {
    let calendars = || calendar(WORK, "Arbeit") + &calendar("/dav.php/calendars/alice/caf%c3%a9/", "Home");
    for (target, found) in [("work", "work"), ("Arbeit", "work"), ("café", "caf%c3%a9")] {
        let found = format!("https://h{HOME}{found}/");
        assert_eq!(find("https://h/dav.php/", target, false, discovery(&calendars())), Ok(found));
    }
}

#[test]
fn what_is_not_there_is_missing_and_what_is_there_is_told() {
    let error = find("https://h/dav.php/", "play", false, discovery(&calendar(WORK, "Arbeit"))).unwrap_err();
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
    let error = find("https://h/dav.php/", "https://h/dav.php/", true, steps).unwrap_err();
    let expected = "Missing: https://h/dav.php/ is no calendar; name one of these in `target`, or in CALENDAR_ID: \
                    /dav.php/calendars/alice/work/ (Work)";
    assert_eq!(error, expected);
}

#[test]
fn two_calendars_of_one_name_are_an_error_of_the_configuration() {
    let calendars = calendar(WORK, "Same") + &calendar("/dav.php/calendars/alice/other/", "Same");
    let error = find("https://h/dav.php/", "Same", false, discovery(&calendars)).unwrap_err();
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
        find("https://h:8443/", "work", false, steps).as_deref(),
        Ok("https://h:8443/dav.php/calendars/alice/work/")
    );
}

#[test]
fn a_refused_password_is_tried_nowhere_else() {
    let steps = vec![("PROPFIND /dav.php/", answer(401, &[], ""))];
    let error = find("https://h/dav.php/", "work", false, steps).unwrap_err();
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
    let error = find("https://h/dav.php/", "work", false, steps).unwrap_err();
    assert!(error.starts_with("Unavailable: ") && error.contains("read-only or missing"), "{error}");
}

#[test]
fn a_missing_calendar_is_made_where_its_path_says_and_bare_if_need_be() {
    let mut steps = vec![("PROPFIND /dav.php/calendars/alice/work/", answer(404, &[], ""))];
    steps.extend(discovery(""));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/work/", multistatus("").clone()));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/work/", answer(201, &[], "")));
    steps.push(("PROPFIND /dav.php/calendars/alice/work/", multistatus(&calendar(WORK, "work"))));
    assert_eq!(find("https://h/dav.php/", "calendars/alice/work/", true, steps).as_deref(), Ok(FOUND));
}

#[test]
fn a_name_never_makes_or_takes_a_calendar_that_has_another_name() {
    let mut steps = discovery(&calendar("/dav.php/calendars/alice/at-work/", "Other"));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/at-work/", answer(405, &[], "")));
    let error = find("https://h/dav.php/", "At work!", true, steps).unwrap_err();
    assert!(error.starts_with("Configuration: "), "{error}");
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
fn a_calendar_that_stands_elsewhere_under_that_name_is_not_taken() {
    let mut steps = vec![("PROPFIND /team/work/", answer(404, &[], ""))];
    steps.extend(discovery(""));
    steps.push(("MKCALENDAR /dav.php/calendars/alice/work/", answer(405, &[], "")));
    let error = find("https://h/dav.php/", "/team/work/", true, steps).unwrap_err();
    assert!(error.starts_with("Configuration: ") && error.contains("\"/team/work/\" on https://h/dav.php/"), "{error}");
}

#[test]
fn a_password_goes_to_no_other_server_and_circles_are_left() {
    let elsewhere = vec![
        ("PROPFIND https://h/dav.php/", answer(302, &[("Location", "https://other/dav/")], "")),
        ("PROPFIND https://other/dav/", answer(401, &[], "")),
    ];
    let error = find("https://h/dav.php/", "work", false, elsewhere).unwrap_err();
    assert!(error.starts_with("Configuration: ") && error.contains("https://other/dav/"), "{error}");
    let turn = |to: &'static str| answer(301, &[("Location", to)], "");
    let circle = [("PROPFIND /a/", turn("/b/")), ("PROPFIND /b/", turn("/a/"))].into_iter().cycle().take(6);
    let steps =
        circle.chain([("PROPFIND /.well-known/caldav", answer(404, &[], "")), ("PROPFIND /", answer(404, &[], ""))]);
    let error = find("https://h/a/", "work", false, steps.collect()).unwrap_err();
    assert!(error.contains("redirects in circles"), "{error}");
}

#[test]
fn a_home_tells_who_the_user_is_and_every_calendar() {
    let steps = discovery(&(calendar(WORK, "Work") + &calendar("/dav.php/calendars/alice/plans/", "Plans")));
    let script = Script::new(steps);
    let found = Home::over(Box::new(script.clone()), Url::parse("https://h/dav.php/").unwrap()).discover().unwrap();
    script.assert_used_up();
    let paths = |urls: &[Url]| urls.iter().map(|url| url.path().to_owned()).collect::<Vec<_>>();
    assert_eq!(found.principal.map(|url| url.path().to_owned()).as_deref(), Some("/dav.php/principals/alice/"));
    assert_eq!(paths(&found.homes), [HOME]);
    assert_eq!(found.calendars.iter().map(Calendar::name).collect::<Vec<_>>(), ["work", "plans"]);
}
