//! What the CalDAV fake holds: calendars in memory with the change log of Baïkal.

use std::collections::BTreeMap;

use md5::{Digest, Md5};

/// An object as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    pub text: Vec<u8>,
    /// With its quotes: the MD5 of the stored octets, as in sabre.
    pub etag: String,
}

/// A calendar; `counter` is its ctag and sync-token.
#[derive(Debug, Clone)]
pub(crate) struct Calendar {
    pub objects: BTreeMap<String, Object>,
    pub counter: u64,
    /// Name of the object and the counter before its change.
    changes: Vec<(u64, String)>,
    pub display_name: Option<String>,
}

impl Default for Calendar {
    fn default() -> Calendar {
        Calendar { objects: BTreeMap::new(), counter: 1, changes: Vec::new(), display_name: None }
    }
}

impl Calendar {
    /// Stores an object, whoever does it, and gives its ETag. The counter goes on even when the text is the same.
    pub(crate) fn put(&mut self, name: &str, text: impl Into<Vec<u8>>) -> String {
        let text = text.into();
        let etag = format!("\"{}\"", md5(&text));
        self.objects.insert(name.to_owned(), Object { text, etag: etag.clone() });
        self.count(name);
        etag
    }

    /// Gives an object another version.
    pub(crate) fn touch(&mut self, name: &str) {
        if let Some(object) = self.objects.get_mut(name) {
            object.etag = format!("\"{}\"", md5(object.etag.as_bytes()));
            self.count(name);
        }
    }

    /// Deletes an object, whoever does it; false when it was not there.
    pub(crate) fn delete(&mut self, name: &str) -> bool {
        let was_there = self.objects.remove(name).is_some();
        if was_there {
            self.count(name);
        }
        was_there
    }

    fn count(&mut self, name: &str) {
        self.changes.push((self.counter, name.to_owned()));
        self.counter += 1;
    }

    /// Names that changed since the counter stood at `since`, each once. A counter of the future brings nothing.
    pub(crate) fn changed_since(&self, since: u64) -> Vec<&str> {
        let mut names: Vec<&str> =
            self.changes.iter().filter(|(counter, _)| *counter >= since).map(|(_, name)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The text of an object, for tests.
    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.objects[name].text).into_owned()
    }

    /// All texts, in the order of their names.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.objects.keys().map(|name| self.text(name)).collect()
    }
}

/// MD5 in hexadecimal digits.
pub(crate) fn md5(octets: &[u8]) -> String {
    Md5::digest(octets).iter().map(|octet| format!("{octet:02x}")).collect()
}
