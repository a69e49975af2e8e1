//! The effect of the rules on objects: applied before hashing, and limited to what they say.

use super::*;
use crate::ics::pieces::Place;
use crate::words::time::Zone;

pub(super) const STRIP: Shape = Shape { attendees: Attendees::Strip, schedule_agent: false };
pub(super) const QUIET: Shape = Shape { attendees: Attendees::Keep, schedule_agent: true };
pub(super) const SHAPES: [Shape; 2] = [STRIP, QUIET];

/// A feed with every kind of object that shapes affect.
fn meetings() -> Feed {
    let alarm = "BEGIN:VALARM TRIGGER:-PT1M ACTION:EMAIL SUMMARY:s DESCRIPTION:d ATTENDEE:mailto:me END:VALARM";
    let later = |event: String| event.replace("20261120", "20261121");
    let long = format!("ATTENDEE;CN={}:mailto:l", "ä".repeat(100));
    let zone = "BEGIN:VTIMEZONE\nTZID:Z\nEND:VTIMEZONE\n".to_owned();
    let events = [
        zone,
        event("one", &format!("ORGANIZER:mailto:o ATTENDEE;CN=\"x;y:z\":mailto:a {alarm}")),
        event("other", &format!("organizer;SCHEDULE-AGENT=server:mailto:o {long} {alarm}")),
        event("series", "RRULE:FREQ=DAILY ATTENDEE:mailto:a").replace("DTSTART:", "DTSTART;TZID=Z:"),
        event("series", "RECURRENCE-ID:20261121T091500Z ATTENDEE:mailto:b"),
        event("twice", "ATTENDEE:mailto:a"),
        event("twice", "ATTENDEE:mailto:b"),
        event("several", "ATTENDEE:mailto:a"),
        later(event("several", "ATTENDEE:mailto:b")),
        event("", "ATTENDEE:mailto:a"),
        event("", "ATTENDEE:mailto:b"),
        event("quiet", "ATTENDEE;SCHEDULE-AGENT=NONE:mailto:a"),
        event("broken", "X_ATTENDEE:x ATTENDEE:mailto:a RDATE:"),
        event("none", alarm),
    ];
    feed(&events.concat())
}

fn shaped_meetings(shape: Shape) -> Feed {
    let body = meetings().pieces.body.text;
    read_shaped(body, None, &shape).unwrap()
}

fn hashes(feed: &Feed) -> Vec<Hash> {
    feed.objects().iter().map(|object| object.hash).collect()
}

#[test]
fn the_hash_of_an_object_is_that_of_what_is_written() {
    for shape in [Shape::default(), STRIP, QUIET] {
        let feed = shaped_meetings(shape);
        for object in feed.objects() {
            for uid in [None, Some("renamed")] {
                let resource = Resource::read(feed.write(object, uid)).unwrap();
                assert_eq!(resource.hash(), object.hash, "{shape:?} {:?}", object.key);
                assert_eq!(resource.key().uid, uid.unwrap_or(&object.key.uid));
                assert!(says_the_same(&feed, object, &resource) && differences(&feed, object, &resource).is_empty());
            }
        }
    }
}

#[test]
fn objects_that_differ_in_what_is_left_out_hash_alike() {
    let lines = ["a", "b"].map(|person| event(person, &format!("ATTENDEE:mailto:{person}"))).concat();
    let feed = feed(&lines);
    let differ = |feed: &Feed| feed.objects()[0].hash != feed.objects()[1].hash;
    assert!(differ(&feed));
    let feed = feed.reshaped(&STRIP);
    assert!(!differ(&feed) && !written(&feed, 0).contains("ATTENDEE"));
    assert!(differ(&feed.reshaped(&QUIET)));
}

#[test]
fn an_alarm_keeps_whom_it_is_for() {
    let stripped = shaped_meetings(STRIP);
    let people = |text: &str| text.lines().filter(|line| line.contains("mailto:")).collect::<Vec<_>>().join(" ");
    assert_eq!(people(&written(&stripped, 0)), "ATTENDEE:mailto:me");
    let quiet = written(&shaped_meetings(QUIET), 0);
    let organizer = "ORGANIZER;SCHEDULE-AGENT=CLIENT:mailto:o";
    let attendee = "ATTENDEE;SCHEDULE-AGENT=CLIENT;CN=\"x;y:z\":mailto:a";
    assert_eq!(people(&quiet), [organizer, attendee, "ATTENDEE:mailto:me"].join(" "));
}

#[test]
fn what_no_rule_changes_stays_where_it_stands_in_the_body() {
    let in_body = |feed: &Feed| {
        let parts = feed.objects().iter().filter_map(|object| feed.parts(object).next());
        parts.filter(|part| matches!(part.place, Place::Body(_))).count()
    };
    let [a, b] = [event("a", "ATTENDEE:mailto:a"), event("b", "SUMMARY:b")];
    let plain = feed(&[a.as_str(), &b].concat());
    assert!(written(&plain, 0).contains(&a) && written(&plain, 1).contains(&b));
    assert_eq!(in_body(&plain), 2);
    assert_eq!(in_body(&plain.reshaped(&STRIP)), 1);
}

#[test]
fn a_shape_that_is_known_later_makes_the_same_feed() {
    let keys = |feed: &Feed| feed.objects().iter().map(|object| object.key.clone()).collect::<Vec<_>>();
    let plain = meetings();
    let (expected, complaints) = (keys(&plain), plain.complaints().to_vec());
    for shape in SHAPES {
        let (early, late) = (shaped_meetings(shape), meetings().reshaped(&shape));
        assert_eq!((hashes(&early), early.digest()), (hashes(&late), late.digest()));
        assert_ne!(hashes(&early), hashes(&plain));
        // Keys do not depend on the shape, even if derived from the content.
        assert_eq!((keys(&early), early.complaints()), (expected.clone(), complaints.as_slice()));
        assert_eq!(
            [early, late].map(|feed| hashes(&feed.reshaped(&Shape::default()))),
            [hashes(&plain), hashes(&plain)]
        );
    }
}

#[test]
fn a_feed_tells_when_its_objects_end_as_a_resource_does() {
    let feed = meetings();
    for object in feed.objects() {
        let resource = Resource::read(feed.write(object, None)).unwrap();
        let end = feed.end_of_last_occurrence(object, &Zone::UTC);
        assert_eq!(resource.end_of_last_occurrence(&Zone::UTC), end, "{:?}", object.key);
    }
}

#[test]
fn a_resource_of_several_objects_goes_by_the_first_and_ends_with_the_last() {
    let [a, b] = [event("a", ""), event("b", "").replace("DTSTART:2026", "DTSTART:2027")];
    let text = |events: &[&str]| format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", events.concat()).into_bytes();
    let [both, first, last] = [&[&a[..], &b][..], &[&a], &[&b]].map(|events| Resource::read(text(events)).unwrap());
    assert_eq!((both.key(), both.hash()), (first.key(), first.hash()));
    let [both, last] = [both, last].map(|resource| resource.end_of_last_occurrence(&Zone::UTC));
    assert_eq!(both, last);
}
