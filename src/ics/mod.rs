//! Reads ICS feeds: splits them into objects, repairs what servers reject, hashes the relevant content, and writes
//! each object as one resource. Pure: text in, text out.
//!
//! ```text
//! charset -> split (grammar) -> repair -> shape (rules) -> hash -> pieces -> identity -> Feed, Resource
//! Feed, Resource -> write, describe, normal (comparison), occurrence
//! ```

mod charset;
mod describe;
mod hash;
mod identity;
mod intake;
mod line;
mod normal;
mod pieces;
mod property;
mod repair;
mod resource;
mod scan;
mod shape;
mod split;
mod time;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;

pub use identity::substitute_uid;
pub use normal::{differences, same_uid, says_the_same};
pub use resource::Resource;
pub use shape::{Attendees, Shape};

use crate::model::{Hash, Key};
use crate::words::digest::sha256_of;
use crate::words::shown::shortened;
use charset::Decoded;
use line::ContentLine;
use pieces::{Part, Pieces};

/// How many complaints about one feed are kept; nobody reads more, and a feed may cause millions.
const MOST_COMPLAINTS: usize = 10_000;

/// A human-readable problem in a feed, and how it was handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The event concerned; empty if it is the feed, or if the event has no UID.
    pub uid: String,
    /// The property or component in upper case; `a line` if it has no name, or empty. `property` and `message` read
    /// as one sentence.
    pub property: String,
    /// The problem and its resolution.
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

/// All components with the same UID and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its identity.
    pub key: Key,
    /// The stable hash of its content, without the UID.
    pub hash: Hash,
    /// Why it is never sent.
    pub rejected: Option<String>,
    parts: Range<usize>,
}

/// A complete calendar, or several in one body.
#[derive(Debug)]
pub struct Feed {
    pieces: Pieces,
    shape: Shape,
    members: Vec<usize>,
    objects: Vec<Object>,
}

/// Parses a fetched body; `charset` is the one given by the server. Err: why it is not a complete calendar, to be
/// appended to the name of the feed and a colon.
pub fn read(body: Vec<u8>, charset: Option<&str>) -> Result<Feed, String> {
    read_shaped(body, charset, &Shape::default())
}

/// The same, shaping every object for sending.
pub fn read_shaped(body: Vec<u8>, charset: Option<&str>, shape: &Shape) -> Result<Feed, String> {
    let body = charset::decode(body, charset);
    let pieces = intake::take_in(&body, *shape)?;
    Ok(Feed::of(body, pieces, *shape))
}

impl Feed {
    fn of(body: Decoded, mut pieces: Pieces, shape: Shape) -> Feed {
        pieces.body = body;
        let (objects, members) = identity::objects(&mut pieces);
        Feed { pieces, shape, members, objects }
    }

    /// The same feed in another shape, for when that is known later. Keys do not depend on the shape.
    pub fn reshaped(mut self, shape: &Shape) -> Feed {
        if self.shape == *shape {
            return self;
        }
        let body = std::mem::take(&mut self.pieces.body);
        // A body that was complete before still is.
        let Ok(pieces) = intake::take_in(&body, *shape) else {
            self.pieces.body = body;
            return self;
        };
        Feed::of(body, pieces, *shape)
    }

    /// The same feed with no rules applied; `None` if this one has none.
    pub fn unshaped(&self) -> Option<Feed> {
        if self.shape == Shape::default() {
            return None;
        }
        let body = self.pieces.body.clone();
        let pieces = intake::take_in(&body, Shape::default()).ok()?;
        Some(Feed::of(body, pieces, Shape::default()))
    }

    /// The rules that were applied.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The objects, in the order of the feed.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// One hash of all content, independent of the order of objects.
    pub fn digest(&self) -> Hash {
        // Hashes differ in their first octets; UIDs of one producer usually do not.
        let mut sorted: Vec<&Object> = self.objects.iter().collect();
        sorted.sort_unstable_by(|one, other| one.hash.cmp(&other.hash).then_with(|| one.key.cmp(&other.key)));
        sha256_of(sorted.into_iter().flat_map(|object| {
            let Key { component, uid } = &object.key;
            [component.as_str().as_bytes(), b"\0", uid.as_bytes(), b"\0", &object.hash.0]
        }))
    }

    /// The problems and their resolutions, in the order of the feed; only the first ones if there are too many.
    pub fn complaints(&self) -> &[Complaint] {
        &self.pieces.complaints
    }

    /// The complete resource to store, in the shape of the feed; `uid` replaces that of the feed (a rename).
    pub fn write(&self, object: &Object, uid: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        let calendar = self.parts(object).next().and_then(|part| self.pieces.calendars.get(part.calendar));
        write::header(&mut out, calendar);
        for zone in self.zones(object) {
            write::component(&mut out, &zone, None);
        }
        for part in self.parts(object) {
            write::component(&mut out, &self.lines(part), uid);
        }
        write::footer(&mut out);
        out
    }

    /// The title of the master, unescaped and on one line, at most 200 characters; empty if it has none.
    pub fn summary(&self, object: &Object) -> String {
        self.parts(object).next().map(|part| describe::summary(&self.lines(part))).unwrap_or_default()
    }

    /// The human-readable start of the master, in its own time zone: `2026-11-20 09:15 Europe/Berlin`.
    pub fn start(&self, object: &Object) -> String {
        self.parts(object).next().map(|part| describe::start(&self.lines(part))).unwrap_or_default()
    }

    fn parts<'f>(&'f self, object: &Object) -> impl Iterator<Item = &'f Part> + Clone + use<'f> {
        let members = self.members.get(object.parts.clone()).unwrap_or_default();
        members.iter().filter_map(|part| self.pieces.parts.get(*part))
    }

    fn lines(&self, part: &Part) -> Vec<ContentLine<'_>> {
        self.pieces.lines(&part.place)
    }

    /// The lines of the time zones that an object uses.
    fn zones<'f>(&'f self, object: &Object) -> impl Iterator<Item = Vec<ContentLine<'f>>> + use<'f> {
        let zones = identity::zones_of(&self.pieces, self.parts(object)).into_iter();
        zones.filter_map(|zone| self.pieces.zones.get(zone)).map(|zone| self.pieces.lines(&zone.place))
    }

    /// The lines of all time zones, including unused ones.
    fn all_zones(&self) -> impl Iterator<Item = Vec<ContentLine<'_>>> {
        self.pieces.zones.iter().map(|zone| self.pieces.lines(&zone.place))
    }
}
