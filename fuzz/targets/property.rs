//! The lines of one event: everything that reads properties with their meaning, and two versions held against each other.
#![no_main]

use baikal_sync::ics::{self, Form};
use libfuzzer_sys::fuzz_target;

/// An event with these lines; `None` when they make something else of it.
fn written(lines: &[u8]) -> Option<Vec<u8>> {
    let start = b"BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:a\nDTSTART:20261201T090000Z\n";
    let feed = ics::read([start, lines, b"\nEND:VEVENT\nEND:VCALENDAR\n"].concat(), None).ok()?;
    let object = feed.objects().first()?;
    let _ = (feed.summary(object), feed.start(object), feed.content_hash(object));
    let form = Form { target_uid: Some("b".to_owned()), schedule_agent: true, ..Form::default() };
    let renamed = ics::identify(&feed.write(object, &form)).expect("what we write is a calendar");
    assert_eq!(renamed.key.uid, "b");
    Some(feed.write(object, &Form::default()))
}

// A NUL stands between the two.
fuzz_target!(|input: &[u8]| {
    let mut versions = input.splitn(2, |octet| *octet == 0);
    let [one, other] = [versions.next(), versions.next()].map(Option::unwrap_or_default);
    let Some(one) = written(one) else { return };
    assert!(ics::same(&one, &one) && ics::differing(&one, &one).is_empty());
    let Some(other) = written(other) else { return };
    assert_eq!(ics::same(&one, &other), ics::same(&other, &one));
    let _ = ics::differing(&one, &other);
});
