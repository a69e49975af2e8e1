//! Tests each repair with the case of the PUT matrix that requires it.

use super::super::line::{entries, joined};
use super::*;

/// Repairs a component, and compares its lines except the first and last, and the complaints.
fn check_in(kind: &str, lines: &str, expected: &str, complaints: &[&str]) {
    let text = format!("BEGIN:{kind}\nDTSTAMP:20260101T000000Z\n{lines}\nEND:{kind}\n");
    let component: Vec<_> = entries(text.as_bytes()).collect();
    let mut said = Vec::new();
    let mended = mend(&component, true, &mut said);
    let written = String::from_utf8(joined(mended.as_deref().unwrap_or(&component))).unwrap();
    let said: Vec<_> = said.iter().map(|complaint| format!("{} {}", complaint.property, complaint.message)).collect();
    let expected = format!("BEGIN:{kind}\nDTSTAMP:20260101T000000Z\n{expected}\nEND:{kind}\n");
    assert_eq!(written, expected);
    assert_eq!(said.len(), complaints.len(), "{said:?}");
    said.iter().zip(complaints).for_each(|(said, part)| assert!(said.contains(part), "{said}"));
    assert_eq!(mended.is_none(), complaints.is_empty());
}

fn check(lines: &str, expected: &str, complaints: &[&str]) {
    check_in("VEVENT", lines, expected, complaints);
}

fn untouched(lines: &str) {
    check(lines, lines, &[]);
}

#[test]
fn what_servers_take_is_not_touched() {
    untouched(
        "X-A;B=\"c:d\":e\nattendee:a\nATTENDEE:b\nCOMMENT:\nCOMMENT:\nRDATE:20260101T000000\nRDATE:20260102T000000",
    );
    untouched("DTSTART;VALUE=DATE:20260101\nDTEND;VALUE=DATE:20260102\nEXDATE;VALUE=DATE:20260101,20260102");
    untouched("RDATE;VALUE=PERIOD:20260101T000000Z/PT1H\nRECURRENCE-ID;RANGE=THISANDFUTURE:20260101T000000");
    untouched(
        "BEGIN:VALARM\nTRIGGER:-PT1M\nACTION:AUDIO\nATTACH:a\nEND:VALARM\nBEGIN:X-ANY\nSUMMARY:a\nSUMMARY:b\nEND:X-ANY",
    );
    untouched("SUMMARY:a\nBEGIN:VLOCATION\nSUMMARY:b\nEND:VLOCATION\nURL;A=\"b:c");
    check_in("VJOURNAL", "DESCRIPTION:a\nDESCRIPTION:b", "DESCRIPTION:a\nDESCRIPTION:b", &[]);
}

#[test]
fn a_missing_dtstamp_is_derived_and_never_the_clock() {
    let mend_bare = |lines: &str| {
        let text = format!("BEGIN:VEVENT\n{lines}END:VEVENT\n");
        let component: Vec<_> = entries(text.as_bytes()).collect();
        String::from_utf8(joined(&mend(&component, false, &mut Vec::new()).unwrap())).unwrap()
    };
    for (lines, stamp) in [
        ("CREATED:20260101T000000Z\nLAST-MODIFIED:20260202T000000Z\n", "DTSTAMP:20260202T000000Z\n"),
        ("CREATED:20260101T000000Z\n", "DTSTAMP:20260101T000000Z\n"),
        ("CREATED:20260101T000000\n", "DTSTAMP:19700101T000000Z\n"),
    ] {
        assert_eq!(mend_bare(lines), format!("BEGIN:VEVENT\n{lines}{stamp}END:VEVENT\n"));
    }
    assert_eq!(mend_bare("DTSTAMP:yesterday\n"), "BEGIN:VEVENT\nDTSTAMP:19700101T000000Z\nEND:VEVENT\n");
}

#[test]
fn the_type_of_a_date_follows_its_literal() {
    let said = &["DTSTART has a value of another type"];
    check("DTSTART:20260101", "DTSTART;VALUE=DATE:20260101", said);
    check("dtstart;X=1;value=date-time:20260101", "dtstart;VALUE=DATE;X=1:20260101", said);
    check("DTSTART;TZID=Europe/Berlin:20260101", "DTSTART;VALUE=DATE:20260101", said);
    check("DTSTART;VALUE=DATE;TZID=A:20260101T090000", "DTSTART;TZID=A:20260101T090000", said);
    check("DTSTART;VALUE=DATE:20260101T090000Z", "DTSTART:20260101T090000Z", said);
    check("EXDATE:20260101,20260102", "EXDATE;VALUE=DATE:20260101,20260102", &["EXDATE"]);
    check("CREATED;VALUE=DATE:20260101T090000", "CREATED:20260101T090000", &["CREATED has a value of another type"]);
    untouched("EXDATE:20260101,20260102T000000\nDUE:tomorrow");
}

#[test]
fn what_stands_around_a_time_is_left_out() {
    check("DTEND:  20260101T090000Z ", "DTEND:20260101T090000Z", &["DTEND has blanks"]);
    check("DURATION:PT10M ", "DURATION:PT10M", &["DURATION has blanks"]);
    check("DTSTART:20260101Z", "DTSTART;VALUE=DATE:20260101", &["DTSTART has the Z", "DTSTART has a value"]);
    untouched("DURATION:\nSUMMARY: a \nDUE;VALUE=DATE:20260101");
}

#[test]
fn the_transitions_of_a_time_zone_stand_in_a_line_each() {
    let zone = |dates: &str| format!("TZID:A\nBEGIN:DAYLIGHT\n{dates}\nEND:DAYLIGHT");
    let (list, lines) =
        ("RDATE;X=1:20150308T030000,20160313T030000", "RDATE;X=1:20150308T030000\nRDATE;X=1:20160313T030000");
    check_in("VTIMEZONE", &zone(list), &zone(lines), &["RDATE is a list"]);
    check_in("VTIMEZONE", &zone(lines), &zone(lines), &[]);
    let said = ["RDATE is a list", "RDATE has blanks", "RDATE has a value of another type"];
    check_in(
        "VTIMEZONE",
        &zone("RDATE:, 20150308T030000,20160313"),
        &zone("RDATE:20150308T030000\nRDATE;VALUE=DATE:20160313"),
        &said,
    );
    check_in("VTIMEZONE", &zone("RDATE:,\nX:1"), &zone("X:1"), &["RDATE is a list"]);
    untouched("RDATE:20150308T030000,20160313T030000");
}

#[test]
fn an_empty_date_and_a_moment_that_is_none_are_left_out() {
    check("UID:a\nEXDATE:\nDTEND;VALUE=DATE: ", "UID:a", &["EXDATE is empty", "DTEND is empty"]);
    check("UID:a\nCREATED:foo", "UID:a", &["CREATED is no date"]);
}

#[test]
fn of_a_property_that_may_stand_once_the_first_that_is_not_empty_stays() {
    check("SUMMARY:a\nsummary:b\nSUMMARY:", "SUMMARY:a", &["SUMMARY may stand only once"]);
    check("URL:\nUID:a\nURL:b\nURL:c", "UID:a\nURL:b", &["URL may stand only once; the empty", "URL may"]);
    check("RRULE:FREQ=DAILY\nRRULE:FREQ=DAILY", "RRULE:FREQ=DAILY", &["RRULE may stand only once"]);
    let alarm = "BEGIN:VALARM\nTRIGGER:-PT1M\nACTION:AUDIO\nATTACH:a\nEND:VALARM";
    let inner = "URL:\nBEGIN:VALARM\nTRIGGER:-PT1M\nACTION:AUDIO\nURL:\nEND:VALARM\nURL:b";
    check(&alarm.replace("ATTACH:a", "ATTACH:a\nATTACH:b"), alarm, &["ATTACH may stand only once"]);
    check(inner, inner.strip_prefix("URL:\n").unwrap(), &["URL may stand only once"]);
}

#[test]
fn an_alarm_without_trigger_goes_and_one_without_action_is_displayed() {
    check("UID:a\nBEGIN:VALARM\nACTION:DISPLAY\nEND:VALARM", "UID:a", &["VALARM has no TRIGGER"]);
    let displayed = "BEGIN:VALARM\nTRIGGER:-PT1M\nACTION:DISPLAY\nDESCRIPTION:Reminder\nEND:VALARM";
    check("BEGIN:VALARM\nTRIGGER:-PT1M\nEND:VALARM", displayed, &["VALARM has no ACTION"]);
    let named = "BEGIN:VALARM\nTRIGGER:-PT1M\nDESCRIPTION:x\nACTION:DISPLAY\nEND:VALARM";
    check(&named.replace("ACTION:DISPLAY\n", ""), named, &["VALARM has no ACTION"]);
}

#[test]
fn a_name_that_sabre_refuses_gets_dashes() {
    check("X_MY_PROP;a_b=c_d:e_f", "X-MY-PROP;a_b=c_d:e_f", &["X_MY_PROP has `_`"]);
}

#[test]
fn a_raw_line_break_in_a_text_is_escaped_and_elsewhere_the_line_goes() {
    let raw = "DESCRIPTION:Dear all\nplease see\nhttps://a.example/x\nUID:a";
    let glued = "DESCRIPTION:Dear all\\nplease see\\nhttps://a.example/x\nUID:a";
    check(raw, glued, &["not escaped"]);
    check("PERCENT-COMPLETE:5\ngarbage", "PERCENT-COMPLETE:5", &["is not of the form"]);
    check("LINK;A=\"open:x\nLINK;\"", "LINK;A=\"open:x", &["is not of the form"]);
    check("UID:a\ngarbage\ngarbage\n:value", "UID:a", &["GARBAGE is not of the form", "a line is not of the form"]);
}

#[test]
fn commas_in_a_text_are_escaped_once() {
    let said = &["SUMMARY has commas"];
    check("SUMMARY;X=a,b:a,b\\, c\\\\,d\\\\\\,", "SUMMARY;X=a,b:a\\,b\\, c\\\\\\,d\\\\\\,", said);
    check("CATEGORIES:a,b\nGEO:1,2\nX-A:a,b\nLOCATION:a\\,b", "CATEGORIES:a,b\nGEO:1,2\nX-A:a,b\nLOCATION:a\\,b", &[]);
    check("X-ALT-DESC;FMTTYPE=text/html:a, b", "X-ALT-DESC;FMTTYPE=text/html:a\\, b", &["X-ALT-DESC has commas"]);
    check("UID:a,b", "UID:a\\,b", &["UID has commas"]);
    check("DESCRIPTION:a\nb, c", "DESCRIPTION:a\\nb\\, c", &["line break"]);
    check("COMMENT;ENCODING=QUOTED-PRINTABLE:a=2Cb", "COMMENT:a\\,b", &["QUOTED-PRINTABLE"]);
}

#[test]
fn quoted_printable_with_soft_line_breaks_is_decoded() {
    let raw = "DESCRIPTION;ENCODING=QUOTED-PRINTABLE:caf=C3=A9=0D=0A=\nnext: =\nlast\nUID:a";
    check(raw, "DESCRIPTION:café\\nnext: last\nUID:a", &["QUOTED-PRINTABLE"]);
    check("SUMMARY;ENCODING=QUOTED-PRINTABLE:a=", "SUMMARY:a", &["QUOTED-PRINTABLE"]);
}

#[test]
fn a_date_that_was_quoted_printable_is_mended_like_any_other() {
    let created = "CREATED;ENCODING=QUOTED-PRINTABLE:Library Tea\nSEQUENCE:1";
    check(created, "SEQUENCE:1", &["QUOTED-PRINTABLE", "no date with time"]);
    check("EXDATE;ENCODING=QUOTED-PRINTABLE:2026=\n1120", "EXDATE;VALUE=DATE:20261120", &["QUOTED-PRINTABLE", "VALUE"]);
}

#[test]
fn characters_that_poison_answers_are_removed_everywhere() {
    check("SUMMARY;X=a\u{1}b:c\u{1f}d\u{fffe}\rf", "SUMMARY;X=ab:cdf", &["SUMMARY held characters"]);
    check("UID:a\nSUM\u{0}MARY:x", "UID:a\nSUMMARY:x", &["SUMMARY held characters"]);
    check("UID:a\nBEG\u{1}IN:VALARM", "UID:a", &["left out"]);
    check("UID:a\n\u{1}", "UID:a", &["held", "is not of the form"]);
}

#[test]
fn begin_and_end_are_written_plainly() {
    let odd = "begin;X=1:vevent \nDTSTAMP:20260101T000000Z\nEnd:VEVENT\n";
    let component: Vec<_> = entries(odd.as_bytes()).collect();
    let mended = mend(&component, false, &mut Vec::new()).unwrap();
    assert_eq!(joined(&mended), b"BEGIN:vevent\nDTSTAMP:20260101T000000Z\nEND:VEVENT\n");
}

fn check_refusal(lines: &str, expected: Option<&str>) {
    let text = format!("BEGIN:VEVENT\n{lines}\nBEGIN:VALARM\nDTSTART:1\nRRULE:BYHOUR=24\nEND:VALARM\nEND:VEVENT\n");
    let component: Vec<_> = entries(text.as_bytes()).collect();
    let reason = refusal(&component, true);
    assert!(
        reason.map_or(expected.is_none(), |reason| expected.is_some_and(|part| reason.contains(part))),
        "{reason:?}"
    );
}

#[test]
fn only_what_has_no_start_or_hangs_a_server_is_never_sent() {
    check_refusal("UID:a", Some("no DTSTART"));
    check_refusal("DTSTART:1\nRRULE:FREQ=DAILY;byhour=9,24", Some("BYHOUR"));
    check_refusal("DTSTART:1\nRRULE:FREQ=DAILY;BYMINUTE=60", Some("BYMINUTE"));
    check_refusal("DTSTART:1\nRRULE:FREQ=DAILY;BYHOUR=23;BYMINUTE=59;BYSECOND=60;COUNT=5000", None);
}
