//! Whole feeds: what is hashed, what forms one object, what is rejected.

mod corpus;
mod hostile;
mod identities;
mod shapes;

use super::*;

/// A feed of one calendar with CRLF, from easily readable lines.
fn feed(lines: &str) -> Feed {
    let body = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x\n{}\nEND:VCALENDAR\n", lines.trim());
    read(body.replace('\n', "\r\n").into_bytes(), None).unwrap()
}

/// An event with these additional lines, separated by spaces.
fn event(uid: &str, lines: &str) -> String {
    let lines = lines.replace(' ', "\n");
    format!("BEGIN:VEVENT\nUID:{uid}\nDTSTAMP:20260101T000000Z\nDTSTART:20261120T091500Z\n{lines}\nEND:VEVENT\n")
        .replace("\n\n", "\n")
}

/// The stored form of an object, with LF.
fn written(feed: &Feed, index: usize) -> String {
    let text = feed.write(&feed.objects()[index], None);
    String::from_utf8(text).unwrap().replace("\r\n", "\n")
}

fn refused(body: &str, part: &str) {
    let reason = read(body.as_bytes().to_vec(), None).unwrap_err();
    assert!(reason.contains(part), "{reason}");
}

#[test]
fn what_is_no_complete_calendar_is_refused_with_a_reason() {
    refused("", "empty");
    refused(" \r\n", "empty");
    refused("\n <!DOCTYPE html><html><body>BEGIN:VCALENDAR", "web page");
    refused("{\"error\":1}", "no BEGIN:VCALENDAR");
    refused("BEGIN:VCARD\nEND:VCARD\n", "no BEGIN:VCALENDAR");
    refused("BEGIN:VCALENDAR\rVERSION:2.0\rEND:VCALENDAR\r", "bare CR");
    refused("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\n\n", "stops in line 3, inside the VEVENT that line 2 began");
    refused("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nEND:VEVENT\nEND:VCAL", "line 5 ends a VCAL, but the VCALENDAR");
    refused(
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VTODO\nEND:VCALENDAR",
        "line 3 ends a VTODO, but the VEVENT that line 2",
    );
    refused("BEGIN:VCALENDAR\nBEGIN:VCALENDAR\nEND:VCALENDAR\nEND:VCALENDAR", "line 2 begins a VCALENDAR inside");
    refused("BEGIN:VCALENDAR\nEND:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT", "line 3 begins a VEVENT outside");
}

#[test]
fn every_cut_of_a_feed_is_refused() {
    let body = format!("BEGIN:VCALENDAR\n{}END:VCALENDAR", event("a", "BEGIN:VALARM TRIGGER:-PT1M END:VALARM"));
    for length in 0..body.len() {
        assert!(read(body.as_bytes()[..length].to_vec(), None).is_err(), "{}", &body[..length]);
    }
    assert!(read(body.into_bytes(), None).is_ok());
}

#[test]
fn an_empty_calendar_is_a_calendar() {
    assert_eq!(feed("").objects(), []);
}

#[test]
fn an_object_is_written_whole_and_alone() {
    let zone = |name: &str| format!("BEGIN:VTIMEZONE\nTZID:{name}\nEND:VTIMEZONE\n");
    let exception = event("a", "RECURRENCE-ID:2").replace("DTSTART:", "DTSTART;TZID=\"A, B\":");
    let lines = format!(
        "METHOD:PUBLISH\nX-WR-CALNAME:x\nCALSCALE:GREGORIAN\n{}{}{}{}{exception}{}",
        event("a", "RECURRENCE-ID:3"),
        zone("A\\, B"),
        zone("A\\, B").replace("END", "X:2\nEND"),
        zone("C"),
        event("a", "RRULE:x")
    );
    let expected = format!(
        "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//x\nCALSCALE:GREGORIAN\n{}{}{exception}{}END:VCALENDAR\n",
        zone("A\\, B"),
        event("a", "RRULE:x"),
        event("a", "RECURRENCE-ID:3")
    );
    let feed = feed(&lines);
    assert_eq!((feed.objects().len(), written(&feed, 0)), (1, expected));
}

#[test]
fn a_calendar_without_version_and_prodid_gets_ours() {
    let body = format!("BEGIN:VCALENDAR\nVERSION:1.0\n{}END:VCALENDAR\n", event("a", ""));
    let feed = read(body.into_bytes(), None).unwrap();
    assert!(written(&feed, 0).starts_with("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//baikal-sync//"));
    let about: Vec<_> = feed.complaints().iter().map(|complaint| complaint.property.as_str()).collect();
    assert_eq!(about, ["PRODID", "VERSION"]);
}

#[test]
fn a_prodid_of_nothing_but_characters_that_are_not_allowed_is_none() {
    let text = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:\u{1} \0\nBEGIN:VEVENT\nUID:a\nDTSTART:20260101T000000Z\nEND:VEVENT\nEND:VCALENDAR\n";
    let feed = read(text.into(), None).unwrap();
    assert!(written(&feed, 0).contains("PRODID:-//baikal-sync//"));
}

#[test]
fn several_calendars_in_one_body_are_one_feed_with_their_own_time_zones() {
    let calendar = |offset: &str, uid: &str| {
        let zoned = event(uid, "").replace("DTSTART:", "DTSTART;TZID=Z:");
        format!(
            "BEGIN:VCALENDAR\nPRODID:{uid}\nVERSION:2.0\n{zoned}BEGIN:VTIMEZONE\nTZID:Z\nX:{offset}\nEND:VTIMEZONE\nEND:VCALENDAR\n"
        )
    };
    let body = [calendar("1", "a"), "\u{feff}".to_owned(), calendar("2", "b"), "trailing\ngarbage".to_owned()].concat();
    let feed = read(body.into_bytes(), None).unwrap();
    assert!(written(&feed, 0).contains("PRODID:a\n") && written(&feed, 0).contains("X:1\n"));
    assert!(written(&feed, 1).contains("PRODID:b\n") && written(&feed, 1).contains("X:2\n"));
    assert_eq!(feed.complaints()[0].message, "2 lines outside of any VCALENDAR are ignored");
}

#[test]
fn components_inside_an_event_stay_and_others_in_the_calendar_are_named() {
    let inner = event("a", "BEGIN:X-ANY X:1 BEGIN:VEVENT DTSTAMP:20260101T000000Z END:VEVENT END:X-ANY");
    let feed = feed(&format!("{inner}BEGIN:VFREEBUSY\nUID:f\nEND:VFREEBUSY\nBEGIN:X-ROOM\nEND:X-ROOM\n"));
    assert!(feed.objects().len() == 1 && written(&feed, 0).contains("BEGIN:X-ANY\nX:1\nBEGIN:VEVENT\nDTSTAMP:"));
    let about: Vec<_> = feed.complaints().iter().map(|complaint| complaint.property.as_str()).collect();
    assert_eq!(about, ["VFREEBUSY", "X-ROOM"]);
}

#[test]
fn how_a_feed_is_written_does_not_count() {
    let long = format!("SUMMARY:{}", "ä🎉x".repeat(60));
    let lines = format!("{}{}", event("a", &long), event("b", "SUMMARY:b").replace("20260101", "20270707"));
    let body = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:p\n{lines}END:VCALENDAR\n").into_bytes();
    let plain = read(body.clone(), None).unwrap();
    for (width, end) in [(74, "\r\n "), (9, "\n\t"), (2, "\r\r\n "), (75, "\n\n ")] {
        let fold = |line: &[u8]| line.chunks(width).collect::<Vec<_>>().join(end.as_bytes());
        let folded: Vec<_> = body.split(|byte| *byte == b'\n').map(fold).collect();
        let again = read(folded.join(&b'\n'), None).unwrap();
        assert_eq!((again.digest(), again.complaints()), (plain.digest(), plain.complaints()), "{width}");
        assert_eq!(written(&again, 0), written(&plain, 0));
    }
}

#[test]
fn the_order_of_a_feed_does_not_count_but_every_object_does() {
    let (a, b) = (event("a", "SUMMARY:1"), event("b", "SUMMARY:2"));
    assert_eq!(feed(&format!("{a}{b}")).digest(), feed(&format!("{b}{a}")).digest());
    assert_ne!(feed(&format!("{a}{b}")).digest(), feed(&a).digest());
    assert_ne!(feed(&a).digest(), feed(&a.replace("VEVENT", "VTODO")).digest());
}

#[test]
fn a_time_zone_counts_for_those_that_use_it() {
    let with = |offset: &str| {
        let zoned = event("a", "").replace("DTSTART:", "DTSTART;TZID=Z:");
        let feed = feed(&format!("BEGIN:VTIMEZONE\nTZID:Z\nX:{offset}\nEND:VTIMEZONE\n{zoned}{}", event("b", "")));
        (feed.objects()[0].hash, feed.objects()[1].hash)
    };
    assert_ne!(with("1").0, with("2").0);
    assert_eq!(with("1").1, with("2").1);
}

#[test]
fn the_content_hash_recognises_an_object_under_another_uid() {
    let feed = feed(&[event("a", "X:1"), event("b", "X:1"), event("c", "X:2")].concat());
    let [a, b, c] = [0, 1, 2].map(|index| feed.objects()[index].hash);
    assert!(a == b && a != c);
    let renamed = Resource::read(feed.write(&feed.objects()[0], Some("b"))).unwrap();
    assert_eq!((renamed.key(), renamed.hash()), (&feed.objects()[1].key, feed.objects()[1].hash));
}

#[test]
fn an_object_is_described_by_its_master() {
    let lines = [event("a", "RECURRENCE-ID:1 SUMMARY:no"), event("a", "SUMMARY:yes\\,")].concat();
    let feed = feed(&lines);
    let object = &feed.objects()[0];
    assert_eq!((feed.summary(object), feed.start(object)), ("yes,".to_owned(), "2026-11-20 09:15 UTC".to_owned()));
}

#[test]
fn a_text_in_another_charset_is_written_in_utf8() {
    let body = format!("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:p\n{}END:VCALENDAR\n", event("a", "SUMMARY:caf?"));
    let octets: Vec<u8> = body.bytes().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    for charset in [None, Some("ISO-8859-1"), Some("UTF-8")] {
        let feed = read(octets.clone(), charset).unwrap();
        assert_eq!((feed.summary(&feed.objects()[0]).as_str(), feed.complaints()), ("café", [].as_slice()));
    }
}
