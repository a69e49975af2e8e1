//! A resource from a collection, parsed only once.

use super::line::{Name, own};
use super::{Feed, Object, read};
use crate::model::{Hash, Key};

/// A resource with an event, task or journal entry.
#[derive(Debug)]
pub struct Resource {
    feed: Feed,
    object: Object,
}

impl Resource {
    /// Parses a resource with CRLF or LF. `None` if it has no event, task or journal entry, or is incomplete.
    pub fn read(text: Vec<u8>) -> Option<Resource> {
        let feed = read(text, None).ok()?;
        let object = feed.objects().first()?.clone();
        Some(Resource { feed, object })
    }

    /// Its identity; that of the first object if there are several.
    pub fn key(&self) -> &Key {
        &self.object.key
    }

    /// The stable hash of its content, without the UID.
    pub fn hash(&self) -> Hash {
        self.object.hash
    }

    /// Its title.
    pub fn summary(&self) -> String {
        self.feed.summary(&self.object)
    }

    /// Its human-readable start.
    pub fn start(&self) -> String {
        self.feed.start(&self.object)
    }

    /// Whether somebody is invited: a server that schedules would tell them of a change (RFC 6638 §3.2.1).
    pub fn has_guests(&self) -> bool {
        self.feed.parts(&self.object).any(|part| own(&self.feed.lines(part), Name::Attendee).is_some())
    }

    /// All of its contents.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }
}
