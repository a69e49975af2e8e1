//! Input designed to exhaust stack, time or memory, or to confuse the scanner.

use super::*;
use crate::ics::split::MOST;

/// Reads a body and does everything with it that a pass would do.
fn survives(body: Vec<u8>) -> usize {
    let Ok(feed) = read(body, None) else { return 0 };
    for object in feed.objects().iter().take(20) {
        let text = feed.write(object, Some("t"));
        let edited = String::from_utf8(text.clone()).unwrap().replacen("UID:t\r\n", "UID:t\r\nX-EDITED:1\r\n", 1);
        let [stored, edited] = [text, edited.into()].map(|text| Resource::read(text).unwrap());
        assert_eq!(stored.hash(), object.hash);
        // The slow comparison must find everything equal except that line.
        let differing = differences(&feed, object, &edited);
        assert!(matches!(&differing[..], [name] if name.ends_with("X-EDITED")), "{differing:?}");
        feed.summary(object);
    }
    feed.objects().len()
}

fn within(lines: &str) -> Vec<u8> {
    format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", event("a", "X:1").replace("X:1\n", lines)).into_bytes()
}

#[test]
fn nesting_is_bounded_by_nothing_but_the_size() {
    for name in ["X", "VALARM", "VEVENT"] {
        let nested = format!("BEGIN:{name}\nURL:\n").repeat(10_000) + &format!("URL:x\nEND:{name}\n").repeat(10_000);
        assert!(survives(within(&nested)) <= 1);
        assert_eq!(survives(format!("BEGIN:VCALENDAR\nBEGIN:{name}\n").repeat(10_000).into_bytes()), 0);
    }
}

#[test]
fn a_line_may_be_long_and_have_many_parameters() {
    assert_eq!(survives(within(&format!("DESCRIPTION:{}\n", "x".repeat(1_000_000)))), 1);
    assert_eq!(survives(within(&format!("{}:x\n", "X".repeat(1_000_000)))), 1);
    assert_eq!(survives(within(&format!("ATTENDEE{}:x\n", ";A=\"1\"".repeat(40_000)))), 1);
    assert_eq!(survives(within(&format!("ATTENDEE;A={}:x\n", ",\"1".repeat(40_000)))), 1);
}

#[test]
fn many_broken_lines_cost_no_more_than_their_number() {
    assert_eq!(survives(within(&"raw text\n".repeat(40_000))), 1);
    assert_eq!(survives(within(&format!("SUMMARY:x\n{}", "raw text\n".repeat(40_000)))), 1);
    assert_eq!(survives(within(&format!("X;A={}:x\n{}", "y".repeat(1_000_000), "raw text\n".repeat(40_000)))), 1);
    assert_eq!(survives(within(&format!("X;QUOTED-PRINTABLE:=\n{}", "X:=\n".repeat(40_000)))), 1);
    assert_eq!(survives(within(&"\n\r\n".repeat(100_000))), 1);
    assert_eq!(survives(within(&format!("SUMMARY:x\n{}", " \n".repeat(100_000)))), 1);
}

#[test]
fn what_costs_more_than_its_text_is_bounded_in_number() {
    let refused =
        |lines: &str| read(format!("BEGIN:VCALENDAR\n{lines}END:VCALENDAR\n").into_bytes(), None).unwrap_err();
    let many = MOST + 1;
    let times = |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    let zoned = |event| times(MOST / 5, &|zone| format!("A;TZID={event}-{zone}:\n"));
    for lines in [
        "BEGIN:VEVENT\nEND:VEVENT\n".repeat(many),
        times(many, &|number| format!("BEGIN:VTIMEZONE\nTZID:{number}\nEND:VTIMEZONE\n")),
        format!("END:VCALENDAR\n{}BEGIN:VCALENDAR\n", "BEGIN:VCALENDAR\nEND:VCALENDAR\n".repeat(many)),
        times(6, &|event| format!("BEGIN:VEVENT\n{}END:VEVENT\n", zoned(event))),
    ] {
        assert!(refused(&lines).contains("events or time zones"), "{}", &lines[..100]);
    }
    for lines in [format!("BEGIN:VEVENT\n{}END:VEVENT\n", "A:\n".repeat(many)), "BEGIN:X\n".repeat(many)] {
        assert!(refused(&lines).contains(&format!("more than {MOST} lines")), "{}", &lines[..100]);
    }
}

#[test]
fn one_uid_may_stand_very_often() {
    let lines: String = (0..10_000).map(|number| event("a", &format!("RECURRENCE-ID:{number}"))).collect();
    assert_eq!(survives(format!("BEGIN:VCALENDAR\n{lines}END:VCALENDAR\n").into_bytes()), 1);
    let lines: String = (0..10_000).map(|number| event("", &format!("X:{}", number % 7))).collect();
    assert_eq!(survives(format!("BEGIN:VCALENDAR\n{lines}END:VCALENDAR\n").into_bytes()), 10_000);
}

#[test]
fn no_octet_in_any_place_makes_it_panic() {
    let body = within("SUMMARY;X=\"a\":ä\r\n b\nBEGIN:VALARM\nTRIGGER:-PT1M\nEND:VALARM\n");
    for at in 0..body.len() {
        for octet in [0, b'\n', b'\r', b' ', b'"', b':', b';', b'=', b'_', 0x7f, 0xc3, 0xff] {
            let mut broken = body.clone();
            broken[at] = octet;
            survives(broken);
        }
    }
}

#[test]
fn what_is_said_about_endless_troubles_is_bounded() {
    let lines = (0..MOST_COMPLAINTS + 10).map(|number| format!("X_{number}:1\n")).collect::<Vec<_>>().concat();
    let body =
        format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", event(&"u".repeat(1_000_000), "X:1").replace("X:1\n", &lines));
    let feed = read(body.into_bytes(), None).unwrap();
    let longest = feed.complaints().iter().map(|complaint| complaint.to_string().len()).max();
    assert!(feed.complaints().len() == MOST_COMPLAINTS && longest < Some(500), "{longest:?}");
}

#[test]
fn what_people_are_told_is_short() {
    let feed = feed(
        &event("a", &format!("SUMMARY:{0} DUE:{0}", "ä".repeat(100_000))).replace("20261120", &"2".repeat(100_000)),
    );
    let object = &feed.objects()[0];
    let short = |text: String| text.ends_with('…') && text.chars().count() == 201;
    assert!(short(feed.summary(object)) && short(feed.start(object)), "{}", feed.start(object));
    let reason = read(format!("BEGIN:VCALENDAR\nBEGIN:{}\n", "X".repeat(100_000)).into_bytes(), None).unwrap_err();
    assert!(reason.len() < 400, "{reason}");
}
