//! A resource as a collection gave it, parsed once for all that is asked about it.

use super::{Feed, Object, read};
use crate::model::{Hash, Key};

/// A resource with an event, task or journal entry.
#[derive(Debug)]
pub struct Resource {
    feed: Feed,
    object: Object,
}

impl Resource {
    /// Reads a resource, with CRLF or LF. `None`: no event, task or journal entry, or not complete.
    pub fn read(text: Vec<u8>) -> Option<Resource> {
        let feed = read(text, None).ok()?;
        let object = feed.objects().first()?.clone();
        Some(Resource { feed, object })
    }

    /// Its identity; of several objects that of the first.
    pub fn key(&self) -> &Key {
        &self.object.key
    }

    /// The stable hash of what it says, its UID left out.
    pub fn hash(&self) -> Hash {
        self.object.hash
    }

    /// Its title.
    pub fn summary(&self) -> String {
        self.feed.summary(&self.object)
    }

    /// Its start in words.
    pub fn start(&self) -> String {
        self.feed.start(&self.object)
    }

    /// Everything that stands in it.
    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }
}
