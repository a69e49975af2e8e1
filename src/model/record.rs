//! The record: what the state remembers of one object of the feed, as a state machine drawn in the head of `lib.rs`.
//!
//! A refusal never overwrites what is known of the form in the target ([`Before`]), so that a feed that goes back to
//! its old form costs no write.

use super::{Etag, Hash, Href, Key};
use crate::words::time::Timestamp;

/// What the state remembers of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its identity in the feed.
    pub key: Key,
    /// The object as the feed last had it.
    pub source: Source,
    /// Its state.
    pub status: Status,
}

/// An object as the feed last had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Stable hash of the form that is written, without its UID.
    pub hash: Hash,
    /// SUMMARY of the master.
    pub summary: String,
    /// Start in words, as the feed writes it: `2026-11-20 09:15 Europe/Berlin`.
    pub start: String,
    /// When its last occurrence ends.
    pub ends_at: EndsAt,
}

/// When the last occurrence of an object ends. Of several components the latest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndsAt {
    /// At this time.
    At(Timestamp),
    /// Its dates or its rule cannot be understood.
    Unknown,
    /// A series without end, or one too long to follow to its end; or a task that is still to be done.
    Never,
}

impl EndsAt {
    /// Whether the object had ended by this time. An unknown end counts as ended: deleting is the dangerous act, so
    /// what cannot be understood is kept.
    pub fn had_ended(self, by: Timestamp) -> bool {
        match self {
            EndsAt::At(moment) => moment <= by,
            EndsAt::Unknown => true,
            EndsAt::Never => false,
        }
    }
}

/// Where an object is in the target, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name there.
    pub href: Href,
    /// Its UID there, if it differs from the feed's.
    pub uid: Option<String>,
}

/// What we left in the target, and what is there now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Where.
    pub place: Place,
    /// Its version; `None` if the server did not return one after the write.
    pub etag: Option<Etag>,
    /// Stable hash of what we sent, without its UID.
    pub hash: Hash,
    /// What is stored instead.
    pub form: TargetForm,
}

/// What is in the target instead of what we sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// Exactly what we sent.
    AsSent,
    /// The form that the server made of it, or a person whose edit is kept.
    Rewritten(Hash),
    /// What we sent; it overwrote this form because the target had drifted.
    Overwrote(Hash),
}

/// What is in the target of an object whose current form is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing; this is where it would go.
    Nothing(Place),
    /// Nothing: a person deleted what we had sent.
    Removed(Place, Hash),
    /// An older form.
    Standing(Base),
}

/// A write that the server refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: String,
    /// When it was last tried.
    pub at: Timestamp,
    /// How often the server refused it; 0 if we refused it, and it is never sent.
    pub tries: u32,
}

/// Whose object has the UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occupant {
    /// Someone else's, with the same content.
    Equal,
    /// Someone else's, with different content.
    Different,
    /// Another subscription's.
    Subscription,
}

impl Occupant {
    /// The word in the state file.
    pub fn as_str(self) -> &'static str {
        match self {
            Occupant::Equal => "equal",
            Occupant::Different => "different",
            Occupant::Subscription => "subscription",
        }
    }

    /// The occupant for this word.
    pub fn from_word(word: &str) -> Option<Occupant> {
        [Occupant::Equal, Occupant::Different, Occupant::Subscription].into_iter().find(|one| one.as_str() == word)
    }

    /// Why the event is left alone, human-readable.
    pub fn reason(self) -> &'static str {
        match self {
            Occupant::Equal => "the calendar already has this event, and it says the same",
            Occupant::Different => {
                "the calendar already holds this UID in an object that is not ours (see on_conflict)"
            }
            Occupant::Subscription => {
                "another subscription has put this UID into the calendar, or this one did under an earlier name"
            }
        }
    }
}

/// Why an object that left the feed is still in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// It had ended before it left the feed, and stays as it is (`deletes = "future"`).
    Kept,
    /// A person brought it back after it was deleted, and it stays whatever the rules say.
    Pinned,
    /// A guard holds its deletion.
    Held {
        /// When the hold began; `None` if it was never seen in the feed, as after losing the state.
        since: Option<Timestamp>,
        /// A person has allowed its deletion.
        approved: bool,
    },
    /// The server does not delete it.
    Undeletable(Refusal),
}

/// The state of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is in the target.
    Mirrored(Base),
    /// A person deleted what we had sent (this hash, there), and `on_drift = "keep"` accepts that.
    Removed(Place, Hash),
    /// The feed's current form is refused.
    Refused {
        /// What is in the target.
        before: Before,
        /// Why it is refused.
        refusal: Refusal,
    },
    /// Its UID exists in an object that is not ours, which is left alone.
    Occupied(Occupant),
    /// It left the feed.
    Gone(Base, Gone),
}

impl Gone {
    /// Whether the object stays as it is, and is left to whoever changes it.
    pub fn stays(&self) -> bool {
        matches!(self, Gone::Kept | Gone::Pinned)
    }
}

impl Base {
    /// Whether an object with this hash is what we left there, or what the server made of it.
    pub fn is(&self, stored: Hash) -> bool {
        stored == self.hash || self.form == TargetForm::Rewritten(stored)
    }
}

impl Record {
    /// What is in the target of ours.
    pub fn base(&self) -> Option<&Base> {
        match &self.status {
            Status::Mirrored(base) | Status::Refused { before: Before::Standing(base), .. } | Status::Gone(base, _) => {
                Some(base)
            }
            Status::Removed(..) | Status::Refused { .. } | Status::Occupied(_) => None,
        }
    }

    /// Where it is or would be; `None` if someone else has its UID.
    pub fn place(&self) -> Option<&Place> {
        match &self.status {
            Status::Mirrored(base) | Status::Gone(base, _) => Some(&base.place),
            Status::Removed(place, _) => Some(place),
            Status::Refused { before, .. } => Some(match before {
                Before::Nothing(place) | Before::Removed(place, _) => place,
                Before::Standing(base) => &base.place,
            }),
            Status::Occupied(_) => None,
        }
    }

    /// Its name in the target.
    pub fn href(&self) -> Option<&Href> {
        self.place().map(|place| &place.href)
    }

    /// The last known version in the target.
    pub fn etag(&self) -> Option<&Etag> {
        self.base().and_then(|base| base.etag.as_ref())
    }

    /// The UID that it has in the target, or would have.
    pub fn target_uid(&self) -> &str {
        self.place().and_then(|place| place.uid.as_deref()).unwrap_or(&self.key.uid)
    }

    /// Whether it left the feed and stays as it is.
    pub fn stays(&self) -> bool {
        matches!(&self.status, Status::Gone(_, gone) if gone.stays())
    }

    /// The hash of what was last sent and accepted, whether it is still there or was removed.
    pub fn sent(&self) -> Option<Hash> {
        match &self.status {
            Status::Removed(_, hash) | Status::Refused { before: Before::Removed(_, hash), .. } => Some(*hash),
            _ => self.base().map(|base| base.hash),
        }
    }

    /// Whether a person deleted it and that is accepted.
    pub fn is_removed(&self) -> bool {
        matches!(self.status, Status::Removed(..) | Status::Refused { before: Before::Removed(..), .. })
    }

    /// Why the feed's current form, or the deletion, is refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.status {
            Status::Refused { refusal, .. } | Status::Gone(_, Gone::Undeletable(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

impl Status {
    /// What is in the target of an object if its next form, to be written to this place, is refused.
    pub fn before(self, place: Place) -> Before {
        match self.at(place.clone()) {
            Status::Mirrored(base) | Status::Gone(base, _) => Before::Standing(base),
            Status::Removed(place, hash) => Before::Removed(place, hash),
            Status::Refused { before, .. } => before,
            Status::Occupied(_) => Before::Nothing(place),
        }
    }

    /// The same status at a place with the UID of another key: the object came back under another name.
    pub fn at(self, place: Place) -> Status {
        let moved = |base: Base, place: Place| Base { place, ..base };
        match self {
            Status::Mirrored(base) => Status::Mirrored(moved(base, place)),
            Status::Removed(_, hash) => Status::Removed(place, hash),
            Status::Refused { before, refusal } => {
                let before = match before {
                    Before::Nothing(_) => Before::Nothing(place),
                    Before::Removed(_, hash) => Before::Removed(place, hash),
                    Before::Standing(base) => Before::Standing(moved(base, place)),
                };
                Status::Refused { before, refusal }
            }
            Status::Occupied(occupant) => Status::Occupied(occupant),
            Status::Gone(base, gone) => Status::Gone(moved(base, place), gone),
        }
    }
}
