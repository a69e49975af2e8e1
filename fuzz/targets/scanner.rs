//! Whole feeds: what is read can be written, and what was written is the same object when it is read again.
#![no_main]

use baikal_sync::ics::{self, Resource};
use libfuzzer_sys::fuzz_target;

/// The charset that the server names: as the last octet of the body says, so that a feed as it is is an input.
fn charset(body: &[u8]) -> Option<&'static str> {
    match body.last() {
        Some(b'1') => Some("utf-8"),
        Some(b'2') => Some("iso-8859-1"),
        Some(b'3') => Some("utf-16le"),
        _ => None,
    }
}

fuzz_target!(|body: &[u8]| {
    let Ok(feed) = ics::read(body.to_vec(), charset(body)) else { return };
    feed.digest();
    for object in feed.objects().iter().take(20) {
        let text = feed.write(object, None);
        let found = Resource::read(text.clone()).expect("what we write is a calendar");
        assert_eq!((found.key(), found.hash()), (&object.key, object.hash));
        let again = ics::read(text.clone(), None).expect("it was read before");
        assert_eq!(again.write(&again.objects()[0], None), text);
    }
});
