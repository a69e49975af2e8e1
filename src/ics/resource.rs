//! A resource as a collection gave it, parsed once for all that is asked about it.

use super::{Feed, Object, read};
use crate::model::{Hash, Key};

/// A resource with an event, task or journal entry.
#[derive(Debug)]
pub struct Resource {
    text: Vec<u8>,
    feed: Feed,
    object: Object,
}

impl Resource {
    /// Reads a resource, with CRLF or LF. `None`: no event, task or journal entry, or not complete.
    pub fn read(text: Vec<u8>) -> Option<Resource> {
        let feed = read(text.clone(), None).ok()?;
        let object = feed.objects().first()?.clone();
        Some(Resource { text, feed, object })
    }

    /// Its octets, as they were given.
    pub fn text(&self) -> &[u8] {
        &self.text
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

/// What a resource is that stands in a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// Its identity.
    pub key: Key,
    /// The stable hash of what it says, its UID left out.
    pub hash: Hash,
    /// Its title.
    pub summary: String,
    /// Its start in words.
    pub start: String,
}

/// Reads a resource as a collection gave it, with CRLF or LF. `None`: no event, task or journal entry, or not complete.
pub fn identify(text: &[u8]) -> Option<Identified> {
    let resource = Resource::read(text.to_vec())?;
    let (summary, start) = (resource.summary(), resource.start());
    Some(Identified { key: resource.object.key, hash: resource.object.hash, summary, start })
}
