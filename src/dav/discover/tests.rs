//! Discovery with answers of Baïkal, sabre 1.8, Radicale and Xandikos.

use super::*;
use crate::dav::tests::{answer, xml};
use crate::words::error::{Kind, kind_of};

fn survey(asked: &str, response: &Response) -> Vec<Resource> {
    Survey { depth: Depth::One }.response(&Url::parse(asked).unwrap(), response).unwrap()
}

fn sabre(inner: &str) -> Response {
    xml(&format!(
        r#"<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:cal="urn:ietf:params:xml:ns:caldav" xmlns:cs="http://calendarserver.org/ns/">{inner}</d:multistatus>"#
    ))
}

fn sabre_calendar(href: &str, types: &str, more: &str) -> String {
    format!(
        "<d:response><d:href>{href}</d:href><d:propstat><d:prop><d:resourcetype><d:collection/>{types}</d:resourcetype>{more}</d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>"
    )
}

#[test]
fn each_step_from_the_root_to_the_home_is_read() {
    let root = r"<d:response><d:href>/dav.php/</d:href><d:propstat><d:prop><d:current-user-principal><d:href>/dav.php/principals/alice/</d:href></d:current-user-principal></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat><d:propstat><d:prop><cal:calendar-home-set/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>";
    let found = survey("https://h/dav.php/", &sabre(root));
    assert_eq!(found[0].principal, Some(Url::parse("https://h/dav.php/principals/alice/").unwrap()));
    assert!(found[0].homes.is_empty() && found[0].calendar.is_none());
    let principal = r"<d:response><d:href>/dav.php/principals/alice/</d:href><d:propstat><d:prop><cal:calendar-home-set><d:href>/dav.php/calendars/alice/</d:href><d:href>http://h/dav.php/calendars/team/</d:href></cal:calendar-home-set></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>";
    let homes = &survey("https://h:8443/dav.php/principals/alice/", &sabre(principal))[0].homes;
    let addresses: Vec<&str> = homes.iter().map(Url::reveal).collect();
    assert_eq!(addresses, ["https://h:8443/dav.php/calendars/alice/", "https://h:8443/dav.php/calendars/team/"]);
}

#[test]
fn baikal_lists_calendars_beside_inbox_and_outbox() {
    let home = sabre_calendar("/dav.php/calendars/alice/", "", "")
        + &sabre_calendar(
            "/dav.php/calendars/alice/work/",
            "<cal:calendar/><cs:shared-owner/>",
            r#"<d:displayname>Work &amp; more</d:displayname><cal:supported-calendar-component-set><cal:comp name="VEVENT"/><cal:comp name="VTODO"/></cal:supported-calendar-component-set><d:supported-report-set><d:supported-report><d:report><cal:calendar-multiget/></d:report></d:supported-report><d:supported-report><d:report><d:sync-collection/></d:report></d:supported-report></d:supported-report-set><d:current-user-privilege-set><d:privilege><d:read/></d:privilege><d:privilege><d:write-content/></d:privilege><d:privilege><d:bind/></d:privilege><d:privilege><d:unbind/></d:privilege></d:current-user-privilege-set><cs:getctag>http://sabre.io/ns/sync/3</cs:getctag><d:sync-token>http://sabre.io/ns/sync/3</d:sync-token><x1:calendar-color xmlns:x1="http://apple.com/ns/ical/">#ff0000ff</x1:calendar-color>"#,
        )
        + &sabre_calendar("/dav.php/calendars/alice/inbox/", "<cal:schedule-inbox/>", "");
    let found: Vec<Calendar> = survey("http://h/dav.php/calendars/alice/", &sabre(&home))
        .into_iter()
        .filter_map(|found| found.calendar)
        .collect();
    let token = Some("http://sabre.io/ns/sync/3".to_owned());
    let work = Calendar {
        url: Url::parse("http://h/dav.php/calendars/alice/work/").unwrap(),
        display_name: Some("Work & more".to_owned()),
        components: vec![ComponentType::Event, ComponentType::Todo],
        rights: Rights { write: true, delete: true },
        can_sync: true,
        shared: false,
        color: Some("#ff0000ff".to_owned()),
        mark: Mark { ctag: token.clone(), sync_token: token },
    };
    assert_eq!(found[0].name(), "work");
    assert_eq!(found, [work]);
}

#[test]
fn a_read_only_share_is_seen_as_such() {
    let rights = "<d:current-user-privilege-set><d:privilege><d:read/></d:privilege><d:privilege><d:write-properties/></d:privilege></d:current-user-privilege-set>";
    let share = sabre_calendar("/dav.php/calendars/bob/team/", "<cal:calendar/><cs:shared/>", rights);
    let found = survey("http://h/", &sabre(&share)).remove(0).calendar.unwrap();
    assert_eq!((found.rights.write, found.shared, found.can_sync), (false, true, false));
}

#[test]
fn radicale_has_principal_and_home_in_one_and_gives_no_bind() {
    let body = r#"<?xml version='1.0' encoding='utf-8'?>
<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav"><response><href>/alice/</href><propstat><prop><resourcetype><principal /><collection /></resourcetype><current-user-principal><href>/alice/</href></current-user-principal><C:calendar-home-set><href>/alice/</href></C:calendar-home-set></prop><status>HTTP/1.1 200 OK</status></propstat></response><response><href>/alice/work/</href><propstat><prop><resourcetype><C:calendar /><collection /></resourcetype><current-user-privilege-set><privilege><read /></privilege><privilege><all /></privilege><privilege><write /></privilege><privilege><write-content /></privilege></current-user-privilege-set></prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"#;
    let found = survey("http://h:5232/alice/", &xml(body));
    assert_eq!(found[0].homes, [Url::parse("http://h:5232/alice/").unwrap()]);
    assert!(found[1].calendar.as_ref().unwrap().rights.write);
}

#[test]
fn xandikos_puts_the_status_first_and_knows_more_components_than_we_do() {
    let body = r#"<ns0:multistatus xmlns:ns0="DAV:" xmlns:ns2="urn:ietf:params:xml:ns:caldav"><ns0:response><ns0:href>/user/calendars/calendar/</ns0:href><ns0:propstat><ns0:status>HTTP/1.1 200 OK</ns0:status><ns0:prop><ns0:resourcetype><ns0:collection /><ns2:calendar /></ns0:resourcetype><ns0:displayname>calendar</ns0:displayname><ns2:supported-calendar-component-set><ns2:comp name="VEVENT" /><ns2:comp name="VFREEBUSY" /></ns2:supported-calendar-component-set><ns0:current-user-privilege-set><ns0:privilege><ns0:all /></ns0:privilege></ns0:current-user-privilege-set></ns0:prop></ns0:propstat></ns0:response></ns0:multistatus>"#;
    let found = survey("http://h/user/calendars/", &xml(body)).remove(0).calendar.unwrap();
    assert_eq!((found.components, found.rights.write), (vec![ComponentType::Event], true));
}

#[test]
fn what_is_not_there_is_missing_also_inside_a_207() {
    let url = Url::parse("http://h/nope/").unwrap();
    let xandikos = r#"<ns0:multistatus xmlns:ns0="DAV:"><ns0:response><ns0:href>http://h/nope/</ns0:href><ns0:status>HTTP/1.1 404 Not Found</ns0:status></ns0:response></ns0:multistatus>"#;
    for response in [xml(xandikos), answer(404, "", "")] {
        let error = Survey { depth: Depth::Zero }.response(&url, &response).unwrap_err();
        assert_eq!(kind_of(&error), Kind::Missing);
    }
}

#[test]
fn what_is_kept_from_us_is_refused_and_not_missing() {
    let bob = "<d:response><d:href>/calendars/bob/work/</d:href><d:propstat><d:prop><d:resourcetype/><d:current-user-principal/></d:prop><d:status>HTTP/1.1 403 Forbidden</d:status></d:propstat></d:response>";
    let url = Url::parse("http://h/calendars/bob/work/").unwrap();
    let error = Survey { depth: Depth::Zero }.response(&url, &sabre(bob)).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Refused);
}

#[test]
fn a_server_is_known_by_its_headers() {
    for (headers, server) in [
        ("Server: nginx/1.22.1\nX-Sabre-Version: 4.7.0", Server::Sabre),
        ("Server: WSGIServer/0.2 CPython/3.11.7", Server::Radicale),
        ("Server: Python/3.11 aiohttp/3.14.5", Server::Xandikos),
        ("Server: nginx", Server::Other),
    ] {
        assert_eq!(Server::of(&answer(200, headers, "").headers), server);
        assert_eq!(Server::from_word(server.as_str()), Some(server));
    }
}

#[test]
fn options_tells_who_sends_invitations() {
    let tell = |status, headers: &str| Options.response(&answer(status, headers, "")).auto_schedule;
    assert!(tell(200, "DAV: 1, 2, 3, calendar-access, calendar-auto-schedule, addressbook"));
    assert!(tell(200, "DAV: 1, 3\nDAV: calendar-access,Calendar-Auto-Schedule"));
    assert!(!tell(200, "DAV: 1, 2, 3, calendar-access, addressbook, extended-mkcol"));
    assert!(tell(405, ""));
}
