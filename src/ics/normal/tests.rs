//! Which rewritten forms are equal, and which are not.

use super::super::read;
use super::*;

fn event(lines: &str) -> String {
    format!("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n{lines}\nEND:VEVENT\nEND:VCALENDAR\n")
}

fn check(one: &str, other: &str, expected: &[&str]) {
    check_texts(&event(one), &event(other), expected);
}

/// Checks the names of what differs, which must be the same whichever of the two is the feed.
fn check_texts(one: &str, other: &str, expected: &[&str]) {
    for (feed, text) in [(one, other), (other, one)] {
        let feed = read(feed.into(), None).unwrap();
        let (object, resource) = (&feed.objects()[0], Resource::read(text.into()).unwrap());
        assert_eq!(differences(&feed, object, &resource), expected, "{one}\n{other}");
        assert_eq!(says_the_same(&feed, object, &resource), expected.is_empty(), "{one}\n{other}");
    }
}

#[test]
fn what_servers_write_in_their_own_way_is_the_same() {
    check("SUMMARY:a\\, b\\N;", "summary:a, b\\n\\;", &[]);
    check("DTSTART;TZID=\"Europe/Berlin\":1", "DTSTART;VALUE=DATE-TIME;TZID=Europe/Berlin:1", &[]);
    check("DTSTART:1", "DTSTART;X-VOBJ-FLOATINGTIME-ALLOWED=TRUE:1", &[]);
    check("RRULE:FREQ=WEEKLY;COUNT=2", "RRULE:COUNT=2;FREQ=weekly;", &[]);
    check("TRIGGER:19980403T120000Z", "TRIGGER;VALUE=DATE-TIME:19980403T120000Z", &[]);
    check("DURATION:PT90M", "DURATION:+P0DT1H30M", &[]);
    check("ATTENDEE;CN=A;X=\"b\":m\nSEQUENCE:1\nLOCATION:", "LOCATION:\nSEQUENCE:2\nATTENDEE;X=b;CN=\"A\":m", &[]);
    check("SUMMARY:\\\"a\\\"", "SUMMARY:\"a\"", &[]);
    check("ORGANIZER;SENT-BY=;CN=A:m", "ORGANIZER;CN=A:m", &[]);
    check("ATTENDEE;MEMBER=\"a:b\",c;MEMBER=d:m", "ATTENDEE;MEMBER=\"a:b\",c,d:m", &[]);
}

#[test]
fn the_times_that_radicale_converts_are_the_same() {
    check("COMPLETED;TZID=Europe/Paris:20130920T180000", "COMPLETED;TZID=Europe/Paris:20130920T160000Z", &[]);
    check("DTSTART;TZID=Etc/GMT:20120821T210000", "DTSTART;TZID=Etc/GMT:20120821T210000Z", &[]);
    check("DTSTART;TZID=Mine :20120821T210000", "DTSTART;TZID=Mine:20120821T210000", &[]);
    check("DTSTART;TZID=:20120821T210000", "DTSTART:20120821T210000", &[]);
    check("COMPLETED;TZID=Europe/Paris:20130920T180000", "COMPLETED:20130920T180000Z", &["COMPLETED"]);
    check("DUE;TZID=Europe/Paris:20131027T003000Z", "DUE;TZID=Europe/Paris:20131027T013000Z", &["DUE"]);
    check("COMPLETED;TZID=Mine:20130920T180000", "COMPLETED;TZID=Mine:20130920T160000Z", &["COMPLETED"]);
    let mine = |completed: &str| {
        let zone = "BEGIN:STANDARD\nDTSTART:16010101T000000\nTZOFFSETFROM:-0500\nTZOFFSETTO:-0500\nEND:STANDARD\n";
        event(completed)
            .replace("BEGIN:VEVENT", &format!("BEGIN:VTIMEZONE\nTZID:Mine\n{zone}END:VTIMEZONE\nBEGIN:VEVENT"))
    };
    let (one, other) = (mine("COMPLETED;TZID=Mine:20130920T180000"), mine("COMPLETED;TZID=Mine:20130920T230000Z"));
    check_texts(&one, &other, &[]);
}

fn check_exdate(series: &str, one: &str, other: &str, equal: bool) {
    let with = |exdate: &str| format!("{series}\nEXDATE{exdate}");
    check(&with(one), &with(other), if equal { &[] } else { &["EXDATE"] });
}

#[test]
fn an_exception_is_the_same_in_the_form_of_its_series() {
    let daily = "DTSTART;TZID=Europe/Paris:20130901T180000\nRRULE:FREQ=DAILY";
    check_exdate(daily, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130902T180000", true);
    check_exdate(daily, ":20130902T180000", ";TZID=Europe/Paris:20130902T180000", true);
    check_exdate(daily, ";VALUE=DATE:20130902,20130903", ":20130903T180000\nEXDATE:20130902T180000", true);
    let days = "DTSTART;VALUE=DATE:20210401\nRRULE:FREQ=DAILY";
    check_exdate(days, ";TZID=Europe/Paris:20210409T000000", ";TZID=Europe/Paris;VALUE=DATE:20210409", true);
    check_exdate(days, ":20210409T000000Z", ";VALUE=DATE:20210409", true);
}

#[test]
fn an_exception_of_something_else_differs() {
    let daily = "DTSTART;TZID=Europe/Paris:20130901T180000\nRRULE:FREQ=DAILY";
    let often = &format!("{daily};BYHOUR=9,18");
    let added = &format!("{daily}\nRDATE;TZID=Europe/Paris:20130902T090000");
    let floating = "DTSTART:20120603T100000\nRRULE:FREQ=DAILY";
    check_exdate(daily, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130903T180000", false);
    check_exdate(daily, ":20130902T180000Z", ";TZID=Europe/Paris:20130902T180000", false);
    check_exdate(often, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130902T180000", false);
    check_exdate(added, ";VALUE=DATE:20130902", ";TZID=Europe/Paris:20130902T180000", false);
    check_exdate(floating, ":20120603T080000Z", ":20120603T080000", false);
    check_exdate("DTSTART;VALUE=DATE:20210401", ":20210408T220000Z", ";VALUE=DATE:20210408", false);
}

#[test]
fn a_length_of_nothing_counts_where_no_end_is_told() {
    let of_nothing = "DURATION:PT0S";
    check(&format!("DTEND:20191109T190000Z\n{of_nothing}"), "DTEND:20191109T190000Z", &[]);
    check(of_nothing, "LOCATION:", &["DURATION", "LOCATION"]);
    check(&format!("DTEND:20191109T190000Z\n{of_nothing}"), "DTEND:20191109T190000Z\nDURATION:PT1S", &["DURATION"]);
}

#[test]
fn what_a_person_would_see_differs_by_name() {
    check("SUMMARY:a\nLOCATION:x", "SUMMARY:b\nURL:x", &["LOCATION", "SUMMARY", "URL"]);
    check("DTSTART;TZID=A:1", "DTSTART;TZID=B:1", &["DTSTART"]);
    check("SUMMARY:a\\\\n", "SUMMARY:a\\n", &["SUMMARY"]);
    check("X-A;B=\"c:d\":e", "X-A;B=c:d:e", &["X-A"]);
    check("DURATION:PT1H", "DURATION:-PT1H", &["DURATION"]);
}

#[test]
fn alarms_are_compared_as_wholes() {
    let alarm = |trigger: &str, action: &str| format!("BEGIN:VALARM\nTRIGGER:{trigger}\nACTION:{action}\nEND:VALARM");
    let two = |one: &str, other: &str| [alarm("-PT1M", one), alarm("-PT2M", other)].join("\n");
    check(&alarm("-PT15M", "DISPLAY"), &alarm("-PT0H15M0S", "DISPLAY"), &[]);
    check(&alarm("-PT15M", "DISPLAY"), &alarm("-PT16M", "DISPLAY"), &["VALARM.TRIGGER"]);
    check(&two("AUDIO", "DISPLAY"), &two("DISPLAY", "AUDIO"), &["sub-components"]);
}

#[test]
fn an_override_is_named_by_its_moment() {
    let with =
        |summary: &str| event("SUMMARY:x") + &event(&format!("RECURRENCE-ID:20261120T091500\nSUMMARY:{summary}"));
    check_texts(&with("a"), &with("b"), &["RECURRENCE-ID 20261120T091500: SUMMARY"]);
}

#[test]
fn a_uid_is_no_part_of_what_is_said_but_that_of_an_alarm_is() {
    let (one, alike) = (event("RRULE:FREQ=WEEKLY;COUNT=2"), event("RRULE:COUNT=2;FREQ=WEEKLY"));
    let other = alike.replace("UID:a", "UID:b");
    check_texts(&one, &other, &[]);
    let alarm = |uid: &str| format!("BEGIN:VALARM\nUID:{uid}\nTRIGGER:-PT1M\nACTION:AUDIO\nEND:VALARM");
    check(&alarm("a"), &alarm("b"), &["VALARM.UID"]);
    assert!(same_uid("a\\;b", "a;b") && !same_uid("a", "b"));
}

#[test]
fn a_time_zone_counts_where_both_have_it() {
    let zoned = event("DTSTART;TZID=Berlin:20261120T091500");
    let with = |zone: &str| zoned.replace("BEGIN:VEVENT", &format!("{zone}BEGIN:VEVENT"));
    let berlin = |offset: &str| with(&format!("BEGIN:VTIMEZONE\nTZID:Berlin\nX:{offset}\nEND:VTIMEZONE\n"));
    check_texts(&berlin("1"), &with(""), &[]);
    check_texts(&berlin("1"), &berlin("2"), &["VTIMEZONE Berlin"]);
}
