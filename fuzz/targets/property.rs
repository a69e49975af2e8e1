//! The lines of one event: everything that reads properties with their meaning, and two versions held against each other.
#![no_main]

use baikal_sync::ics::{self, Feed, Resource, Shape};
use libfuzzer_sys::fuzz_target;

/// An event with these lines; `None` when they make something else of it.
fn event(lines: &[u8]) -> Option<Feed> {
    let start = b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20261201T090000Z\n";
    let feed = ics::read([start, lines, b"\nEND:VEVENT\nEND:VCALENDAR\n"].concat(), None).ok()?;
    let object = feed.objects().first()?;
    let _ = (feed.summary(object), feed.start(object));
    let renamed = Resource::read(feed.write(object, Some("b"))).expect("what we write is a calendar");
    assert_eq!(renamed.key().uid, "b");
    Some(feed)
}

/// What a server has of it.
fn stored(feed: &Feed) -> Resource {
    Resource::read(feed.write(&feed.objects()[0], None)).expect("what we write is a calendar")
}

fn is_same(feed: &Feed, resource: &Resource) -> bool {
    ics::says_the_same(feed, &feed.objects()[0], resource)
}

// A NUL stands between the two.
fuzz_target!(|input: &[u8]| {
    let mut versions = input.splitn(2, |octet| *octet == 0);
    let [one, other] = [versions.next(), versions.next()].map(Option::unwrap_or_default);
    let Some(one) = event(one) else { return };
    assert!(is_same(&one, &stored(&one)) && ics::differences(&one, &one.objects()[0], &stored(&one)).is_empty());
    let Some(other) = event(other) else { return };
    assert_eq!(is_same(&one, &stored(&other)), is_same(&other, &stored(&one)));
    let _ = ics::differences(&one, &one.objects()[0], &stored(&other));
    let quiet = Shape { schedule_agent: true, ..Shape::default() };
    assert_eq!(one.reshaped(&quiet).objects().len(), 1);
});
