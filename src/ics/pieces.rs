//! The stored pieces of a body: the position of each component's text, its hash and its time zones.

use std::collections::HashMap;
use std::ops::Range;

use super::Complaint;
use super::charset::Decoded;
use super::hash;
use super::line::{ContentLine, entries};
use super::scan::slice;
use crate::model::{ComponentType, Hash};

/// The position of a component's text.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// In the body, unmodified.
    Body(Range<usize>),
    /// Among the modified texts, unfolded, with LF.
    Changed(Range<usize>),
}

/// The properties of a VCALENDAR that are written again.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// The PRODID line.
    pub prodid: Option<Vec<u8>>,
    /// The CALSCALE line.
    pub calscale: Option<Vec<u8>>,
}

/// One VEVENT, VTODO or VJOURNAL.
#[derive(Debug)]
pub(super) struct Part {
    pub place: Place,
    pub hash: Hash,
    /// Index of its calendar.
    pub calendar: usize,
    /// Index into `Pieces::keys`.
    pub key: usize,
    /// Index into `Pieces::zone_sets`.
    pub zone_set: usize,
    /// Whether it has no RECURRENCE-ID.
    pub master: bool,
    /// Why it is never sent.
    pub refusal: Option<&'static str>,
}

/// One VTIMEZONE.
#[derive(Debug)]
pub(super) struct Zone {
    pub place: Place,
    pub hash: Hash,
}

/// A body in its pieces.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub body: Decoded,
    changed: Vec<u8>,
    pub calendars: Vec<Calendar>,
    pub parts: Vec<Part>,
    /// The original of each part that the rules changed, by its index.
    unshaped: HashMap<usize, Place>,
    pub zones: Vec<Zone>,
    /// UIDs; empty for none.
    pub keys: Vec<(ComponentType, String)>,
    /// Unique names of time zones.
    zone_names: HashMap<Vec<u8>, usize>,
    /// The first definition of a name in a calendar.
    definitions: HashMap<(usize, usize), usize>,
    /// Names of the time zones that a component uses.
    pub zone_sets: Vec<Vec<usize>>,
    pub complaints: Vec<Complaint>,
}

impl Pieces {
    /// The text of a component.
    pub(super) fn text(&self, place: &Place) -> &[u8] {
        match place {
            Place::Body(range) => slice(&self.body.text, range.clone()),
            Place::Changed(range) => slice(&self.changed, range.clone()),
        }
    }

    /// The lines of a component.
    pub(super) fn lines(&self, place: &Place) -> Vec<ContentLine<'_>> {
        entries(self.text(place)).collect()
    }

    /// Stores a modified text.
    pub(super) fn keep_changed(&mut self, text: &[u8]) -> Place {
        let start = self.changed.len();
        self.changed.extend_from_slice(text);
        Place::Changed(start..self.changed.len())
    }

    /// Stores a part and, if the rules changed it, the position of its original.
    pub(super) fn keep_part(&mut self, part: Part, unshaped: Option<Place>) {
        self.unshaped.extend(unshaped.map(|place| (self.parts.len(), place)));
        self.parts.push(part);
    }

    /// Stores a time zone of the last calendar.
    pub(super) fn keep_zone(&mut self, name: &[u8], zone: Zone) {
        let name = self.zone_name(name);
        let index = self.zones.len();
        self.zones.push(zone);
        self.definitions.entry((self.last_calendar(), name)).or_insert(index);
    }

    /// The hash of a part before the rules changed it: derived UIDs must not depend on them.
    pub(super) fn unshaped_hash(&self, part: usize) -> Option<Hash> {
        match self.unshaped.get(&part) {
            Some(place) => Some(hash::component(&self.lines(place))),
            None => self.parts.get(part).map(|part| part.hash),
        }
    }

    /// The index of the last calendar.
    pub(super) fn last_calendar(&self) -> usize {
        self.calendars.len().saturating_sub(1)
    }

    /// The effective definition of a time zone in a calendar.
    pub(super) fn definition(&self, calendar: usize, name: usize) -> Option<usize> {
        self.definitions.get(&(calendar, name)).copied()
    }

    /// The index of a time zone name.
    pub(super) fn zone_name(&mut self, name: &[u8]) -> usize {
        if let Some(index) = self.zone_names.get(name) {
            return *index;
        }
        let index = self.zone_names.len();
        self.zone_names.insert(name.to_vec(), index);
        index
    }

    /// The number of time zone names.
    pub(super) fn zone_names(&self) -> usize {
        self.zone_names.len()
    }

    /// Records a complaint.
    pub(super) fn complain(&mut self, uid: &str, property: &str, message: &str) {
        Complaint::new(uid, property, message).add_to(&mut self.complaints);
    }
}
