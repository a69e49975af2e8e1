//! Reads ICS feeds: splits them into objects, mends what servers refuse, hashes what counts, and writes each object as
//! one resource. Pure: text in, text out.
//!
//! ```text
//! charset -> scan -> entry -> split -> repair -> hash -> identity -> Feed -> write, describe, compare, occurrence
//! ```

mod charset;
mod describe;
mod hash;
mod identity;
mod line;
mod normal;
mod property;
mod repair;
mod scan;
mod split;
mod time;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

pub use identity::substitute_uid;
pub use normal::{differing, same};
pub use time::occurrence::{End, end_of, end_of_last_occurrence};
pub use write::{Attendees, Form};

use crate::model::{Hash, Key};
use crate::words::digest::sha256_of;
use crate::words::shown::shortened;
use line::{Entry, entries};
use split::{Part, Split};

/// So many complaints about one feed are kept; nobody reads more, and a feed can give cause for millions.
const MOST_COMPLAINTS: usize = 10_000;

/// Something that was wrong in a feed, and what became of it; for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The event that it is about; empty when it is about the feed, or the event has none.
    pub uid: String,
    /// The property or component, in upper case; `a line` for what has no name, empty for none. `property` and `message`
    /// read as one sentence.
    pub property: String,
    /// What was wrong and what was done.
    pub message: String,
}

impl Complaint {
    fn new(uid: &str, property: &str, message: &str) -> Complaint {
        let [uid, property] = [uid.trim(), property].map(|text| shortened(text).into_owned());
        Complaint { uid, property, message: message.to_owned() }
    }

    fn add_to(self, complaints: &mut Vec<Complaint>) {
        if complaints.len() < MOST_COMPLAINTS {
            complaints.push(self);
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let event = if self.uid.is_empty() { String::new() } else { format!("UID {}: ", self.uid) };
        let space = if self.property.is_empty() { "" } else { " " };
        write!(formatter, "{event}{}{space}{}", self.property, self.message)
    }
}

/// Everything that shares one UID and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its identity.
    pub key: Key,
    /// The stable hash of what it says, its UID left out.
    pub hash: Hash,
    /// Why it is never sent.
    pub rejected: Option<String>,
    parts: Range<usize>,
}

/// A complete calendar, or several in one body.
#[derive(Debug)]
pub struct Feed {
    split: Split,
    members: Vec<usize>,
    objects: Vec<Object>,
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

/// Reads a body as it was fetched; `charset` is what the server named. Err: why it is not a complete calendar, to follow
/// the name of the feed and a colon.
pub fn read(body: Vec<u8>, charset: Option<&str>) -> Result<Feed, String> {
    let mut split = split::split(charset::decode(body, charset))?;
    let (objects, members) = identity::objects(&mut split);
    Ok(Feed { split, members, objects })
}

/// Reads a resource as a collection gave it, with CRLF or LF. `None`: no event, task or journal entry, or not complete.
pub fn identify(text: &[u8]) -> Option<Identified> {
    let feed = read(text.to_vec(), None).ok()?;
    let object = feed.objects().first()?;
    Some(Identified {
        key: object.key.clone(),
        hash: object.hash,
        summary: feed.summary(object),
        start: feed.start(object),
    })
}

impl Feed {
    /// The objects, in the order of the feed.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// One hash for all that the feed says, whatever the order of its objects.
    pub fn digest(&self) -> Hash {
        // Hashes differ in their first octets, UIDs of one producer mostly do not.
        let mut sorted: Vec<&Object> = self.objects.iter().collect();
        sorted.sort_unstable_by(|one, other| one.hash.cmp(&other.hash).then_with(|| one.key.cmp(&other.key)));
        sha256_of(sorted.into_iter().flat_map(|object| {
            let Key { component, uid } = &object.key;
            [component.as_str().as_bytes(), b"\0", uid.as_bytes(), b"\0", &object.hash.0]
        }))
    }

    /// What was wrong and what was done about it, in the order of the feed; of endless troubles the first ones.
    pub fn complaints(&self) -> &[Complaint] {
        &self.split.complaints
    }

    /// The whole resource to store.
    pub fn write(&self, object: &Object, form: &Form) -> Vec<u8> {
        let mut out = Vec::new();
        let calendar = self.parts(object).next().and_then(|part| self.split.calendars.get(part.calendar));
        let (prodid, calscale) = calendar.map(write::lines_of).unwrap_or_default();
        write::header(&mut out, prodid, calscale);
        for zone in identity::zones_of(&self.split, self.parts(object)) {
            if let Some(zone) = self.split.zones.get(zone) {
                write::plain(&mut out, self.split.text(&zone.place));
            }
        }
        for part in self.parts(object) {
            write::formed(&mut out, self.split.text(&part.place), form);
        }
        write::footer(&mut out);
        out
    }

    /// The title of the master, unescaped and in one line, its first 200 characters; empty if it has none.
    pub fn summary(&self, object: &Object) -> String {
        self.parts(object).next().map(|part| describe::summary(&self.lines(part))).unwrap_or_default()
    }

    /// The start of the master in words, in its own time zone: `2026-11-20 09:15 Europe/Berlin`.
    pub fn start(&self, object: &Object) -> String {
        self.parts(object).next().map(|part| describe::start(&self.lines(part))).unwrap_or_default()
    }

    fn parts<'f>(&'f self, object: &Object) -> impl Iterator<Item = &'f Part> + Clone + use<'f> {
        let members = self.members.get(object.parts.clone()).unwrap_or_default();
        members.iter().filter_map(|part| self.split.parts.get(*part))
    }

    fn lines(&self, part: &Part) -> Vec<Entry<'_>> {
        entries(self.split.text(&part.place)).collect()
    }
}
