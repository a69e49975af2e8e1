//! When objects end, case by case. The machine is in Berlin.

use super::*;

const WINDOWS: &str = "BEGIN:VTIMEZONE\r\nTZID:W. Europe Standard Time\r\nBEGIN:STANDARD\r\nDTSTART:16010101T030000\r\n\
    TZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n\
    BEGIN:DAYLIGHT\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n\
    RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n";

/// The end of these components in UTC, or a word; each string has its lines separated by ` | `.
fn end(kind: &str, components: &[&str]) -> String {
    let component = |lines: &&str| {
        let lines = lines.replace(" | ", "\r\n");
        format!("BEGIN:{kind}\r\nUID:u\r\nDTSTAMP:20200101T000000Z\r\n{lines}\r\nEND:{kind}\r\n")
    };
    let components: String = components.iter().map(component).collect();
    let text = format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{WINDOWS}{components}END:VCALENDAR\r\n");
    let resource = Resource::read(text.into_bytes()).unwrap();
    match resource.end_of_last_occurrence(&Zone::named("Europe/Berlin").unwrap()) {
        EndsAt::At(moment) => Wall(moment.0).to_string(),
        other => format!("{other:?}"),
    }
}

#[track_caller]
fn check(lines: &str, expected: &str) {
    assert_eq!(end("VEVENT", &[lines]), expected, "{lines}");
}

#[track_caller]
fn check_series(components: &[&str], expected: &str) {
    assert_eq!(end("VEVENT", components), expected, "{components:?}");
}

#[test]
fn an_event_ends_when_it_says() {
    check("DTSTART:20200101T090000Z | DTEND:20200101T100000Z", "20200101T100000");
    check("DTSTART:20200701T090000 | DTEND:20200701T100000", "20200701T080000");
    check("DTSTART:20200701T090000Z | DURATION:PT1H30M", "20200701T103000");
    check("DTSTART:20200701T090000Z", "20200701T090000");
    check("DTSTART;TZID=America/New_York:20200701T090000 | DTEND:20200701T100000", "20200701T140000");
    check("DTSTART;TZID=America/New_York:20200701T200000 | DURATION:PT5H", "20200702T050000");
    check(
        "DTSTART;TZID=Europe/Berlin:20200701T200000 | DTEND;TZID=America/New_York:20200701T180000",
        "20200701T220000",
    );
}

#[test]
fn whole_days_end_at_midnight_where_the_machine_stands() {
    check("DTSTART;VALUE=DATE:20200701", "20200701T220000");
    check("DTSTART;VALUE=DATE:20200701 | DTEND;VALUE=DATE:20200703", "20200702T220000");
    check("DTSTART;VALUE=DATE:20200701 | DTEND;VALUE=DATE:20200701", "20200701T220000");
    check("DTSTART;VALUE=DATE:20200101 | DURATION:P1W", "20200107T230000");
    check("DTSTART;VALUE=DATE:20200328 | DTEND;VALUE=DATE:20200330", "20200329T220000");
}

#[test]
fn a_day_of_a_duration_is_one_of_the_calendar_and_hours_pass() {
    check("DTSTART;TZID=Europe/Berlin:20200328T120000 | DURATION:P1D", "20200329T100000");
    check("DTSTART;TZID=Europe/Berlin:20200328T120000 | DURATION:PT24H", "20200329T110000");
    check("DTSTART;TZID=Europe/Berlin:20201024T120000 | DURATION:P1DT1H", "20201025T120000");
}

#[test]
fn times_that_are_skipped_or_shown_twice_are_those_before_the_change() {
    check("DTSTART;TZID=Europe/Berlin:20200329T023000", "20200329T013000");
    check("DTSTART;TZID=Europe/Berlin:20201025T023000", "20201025T003000");
    check("DTSTART;TZID=America/New_York:20200308T023000", "20200308T073000");
}

#[test]
fn a_zone_of_windows_is_the_one_that_the_object_brings_along() {
    check("DTSTART;TZID=W. Europe Standard Time:20200701T090000", "20200701T070000");
    check("DTSTART;TZID=\"W. Europe Standard Time\":20200101T090000", "20200101T080000");
    check("DTSTART;TZID=Mars Standard Time:20200101T090000", "20191231T190000");
    let weekly = "DTSTART;TZID=W. Europe Standard Time:20200320T090000 | DURATION:PT1H | RRULE:FREQ=WEEKLY";
    check(&format!("{weekly};COUNT=3"), "20200403T080000");
    check(&format!("{weekly};UNTIL=20200403T070000Z"), "20200403T080000");
    check(&format!("{weekly};UNTIL=20200403T065959Z"), "20200327T090000");
}

#[test]
fn a_series_ends_with_its_last_occurrence() {
    check("DTSTART:20200101T090000Z | DTEND:20200101T100000Z | RRULE:FREQ=DAILY;COUNT=3", "20200103T100000");
    check("DTSTART;TZID=Europe/Berlin:20200320T090000 | RRULE:FREQ=WEEKLY;COUNT=3", "20200403T070000");
    check("DTSTART;VALUE=DATE:20200229 | RRULE:FREQ=YEARLY;COUNT=3", "20280229T230000");
    check("DTSTART;VALUE=DATE:20200101 | RRULE:FREQ=DAILY;UNTIL=20200105", "20200105T230000");
    check("DTSTART;VALUE=DATE:20200101 | RRULE:FREQ=DAILY;UNTIL=20200105T230000Z", "20200106T230000");
    check("DTSTART;VALUE=DATE:20200101 | RRULE:FREQ=DAILY;UNTIL=20200105T235959Z", "20200105T230000");
    check("DTSTART:20200101T090000 | RRULE:FREQ=DAILY;UNTIL=20200105", "20200105T080000");
    check("DTSTART:20360101T090000Z | RRULE:FREQ=YEARLY;COUNT=5", "20400101T090000");
    check("DTSTART;TZID=Pacific/Honolulu:20200131T200000 | RRULE:FREQ=MONTHLY;COUNT=2", "20200401T060000");
}

#[test]
fn a_series_without_end_never_ends() {
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY", "Never");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY | EXDATE:20200102T090000Z", "Never");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY;COUNT=20000", "Never");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY;UNTIL=99991231T235959Z", "Never");
    check("DTSTART;VALUE=DATE:20200101 | RRULE:FREQ=WEEKLY;UNTIL=99991231", "Never");
    check("DTSTART:19700101T090000Z | RRULE:FREQ=DAILY;UNTIL=20200101T090000Z", "20200101T090000");
    check("DTSTART;VALUE=DATE:19700101 | RRULE:FREQ=DAILY;UNTIL=20200101", "20200101T230000");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY;UNTIL=20190101T090000Z", "20200101T090000");
}

#[test]
fn the_last_occurrences_may_be_taken_away() {
    let daily = "DTSTART;TZID=Europe/Berlin:20200101T090000 | RRULE:FREQ=DAILY;COUNT=3";
    check(&format!("{daily} | EXDATE;TZID=Europe/Berlin:20200103T090000"), "20200102T080000");
    check(&format!("{daily} | EXDATE:20200103T080000Z,20200102T080000Z"), "20200101T080000");
    check(&format!("{daily} | EXDATE;VALUE=DATE:20200103"), "20200102T080000");
    check(&format!("{daily} | EXDATE:20200103T083000Z"), "20200103T080000");
    check(&format!("{daily} | EXDATE;VALUE=DATE:20200101,20200102,20200103"), "20200101T080000");
    check("DTSTART;VALUE=DATE:20200101 | RRULE:FREQ=DAILY;COUNT=2 | EXDATE:20200102T000000", "20200101T230000");
}

#[test]
fn additional_dates_and_periods_count() {
    let event = "DTSTART:20200101T090000Z | DTEND:20200101T100000Z";
    check(&format!("{event} | RDATE:20200301T090000Z,20200201T090000Z"), "20200301T100000");
    check(&format!("{event} | RDATE;VALUE=PERIOD:20200301T090000Z/PT3H"), "20200301T120000");
    check(&format!("{event} | RDATE;VALUE=PERIOD:20200301T090000Z/20200302T090000Z"), "20200302T090000");
    check(&format!("{event} | RDATE;TZID=America/New_York:20200301T090000"), "20200301T150000");
    check(&format!("{event} | RDATE:20200301T090000Z | EXDATE:20200301T090000Z"), "20200101T100000");
    check("DTSTART;VALUE=DATE:20200101 | RDATE;VALUE=DATE:20200301", "20200301T230000");
}

#[test]
fn an_override_counts_where_it_was_moved_to() {
    let daily = "DTSTART:20200101T090000Z | DTEND:20200101T100000Z | RRULE:FREQ=DAILY;COUNT=3";
    let last = "RECURRENCE-ID:20200103T090000Z";
    let later = format!("{last} | DTSTART:20210103T090000Z | DTEND:20210103T093000Z");
    check_series(&[daily, &later], "20210103T093000");
    check_series(&[daily, &format!("{last} | DTSTART:20200101T120000Z")], "20200102T100000");
    check_series(&[daily, "RECURRENCE-ID:20200102T090000Z | DTSTART:20200102T120000Z"], "20200103T100000");
    check_series(&[&later], "20210103T093000");
    check_series(&["DTSTART:20200101T090000Z | RRULE:FREQ=DAILY", &later], "Never");
}

#[test]
fn an_override_of_all_later_occurrences_moves_them_too() {
    let daily = "DTSTART:20200101T090000Z | DTEND:20200101T100000Z | RRULE:FREQ=DAILY;COUNT=5";
    let moved = "RECURRENCE-ID;RANGE=THISANDFUTURE:20200103T090000Z | DTSTART:20200103T120000Z | DURATION:PT3H";
    check_series(&[daily, moved], "20200105T150000");
}

#[test]
fn a_task_ends_when_it_is_due_or_done() {
    let check = |lines: &str, expected: &str| assert_eq!(end("VTODO", &[lines]), expected, "{lines}");
    check("DTSTART:20200101T090000Z | DUE:20200102T090000Z", "20200102T090000");
    check("DUE:20200102T090000Z", "20200102T090000");
    check("DUE;VALUE=DATE:20200102", "20200102T230000");
    check("DTSTART;VALUE=DATE:20200101 | DUE;VALUE=DATE:20200102", "20200102T230000");
    check("DTSTART:20200101T090000Z | DURATION:P1D", "20200102T090000");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY;COUNT=2 | DURATION:PT1H", "20200102T100000");
    check("DUE:20990102T090000Z | COMPLETED:20200105T090000Z", "20200105T090000");
    check("DTSTART:20200101T090000Z", "Never");
    check("SUMMARY:someday", "Never");
    check("COMPLETED:20200105T090000Z", "20200105T090000");
}

#[test]
fn a_journal_entry_ends_with_its_day() {
    assert_eq!(end("VJOURNAL", &["DTSTART;VALUE=DATE:20200701"]), "20200701T220000");
    assert_eq!(end("VJOURNAL", &["DTSTART:20200701T090000Z"]), "20200701T090000");
}

#[test]
fn what_cannot_be_understood_is_unknown_and_counts_as_over() {
    check("DTSTART:tomorrow", "Unknown");
    check("DTSTART:20200230T090000Z", "Unknown");
    check("DTSTART:20200101T090000Z | DTEND:later", "Unknown");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=SOMETIMES;COUNT=2", "Unknown");
    check("DTSTART:20200101T090000Z | RRULE:FREQ=DAILY;UNTIL=soon", "Unknown");
    check("SUMMARY:an event without a start", "Unknown");
    let by = Timestamp(10);
    let ended =
        [EndsAt::At(by), EndsAt::At(Timestamp(11)), EndsAt::Unknown, EndsAt::Never].map(|end| end.had_ended(by));
    assert_eq!(ended, [true, false, true, false]);
}

#[test]
fn a_hostile_object_is_judged_in_a_moment() {
    check("DTSTART:20200101T090000Z | DURATION:P9999999D", "Never");
    check("DTSTART:99991231T235959Z | DURATION:P1D | RRULE:FREQ=SECONDLY;COUNT=5", "Never");
    check("DTSTART:00000101T000000Z | RRULE:FREQ=YEARLY;COUNT=12000", "Never");
    check("DTSTART;TZID=../../etc/passwd:20200101T090000", "20191231T190000");
}
