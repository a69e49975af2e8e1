//! The record: what the state remembers of one object of the feed, as a machine. The head of `lib.rs` has its arrows.
//!
//! A refusal never overwrites what is known of the form that stands in the target ([`Before`]), so that a feed which goes
//! back to its old form costs no write.

use super::{Etag, Hash, Href, Key};
use crate::words::time::Timestamp;

/// What the state remembers of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its identity in the feed.
    pub key: Key,
    /// The object as the feed last had it.
    pub source: Source,
    /// Where it stands with us.
    pub status: Status,
}

/// An object as the feed last had it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Stable hash of the form that is written, its UID left out.
    pub hash: Hash,
    /// SUMMARY of the master.
    pub summary: String,
    /// Start in words, as the feed writes it: `2026-11-20 09:15 Europe/Berlin`.
    pub start: String,
    /// When its last occurrence ends.
    pub ends_at: EndsAt,
}

/// When the last occurrence of an object ends. Of several components the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EndsAt {
    /// At this moment.
    At(Timestamp),
    /// Nobody can tell: its dates or its rule cannot be understood.
    Unknown,
    /// A series without end, or so long a one that it was not followed to its end; a task that waits to be done.
    Never,
}

impl EndsAt {
    /// Whether the object had ended by this moment. Where nobody can tell, it had: to delete is the dangerous act, so
    /// what cannot be understood is kept.
    pub fn had_ended(self, by: Timestamp) -> bool {
        match self {
            EndsAt::At(moment) => moment <= by,
            EndsAt::Unknown => true,
            EndsAt::Never => false,
        }
    }
}

/// Where an object stands in the target, or is to stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name there.
    pub href: Href,
    /// The UID under which it stands there, when it is not the feed's.
    pub uid: Option<String>,
}

/// What we left in the target, and what stands there of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Where.
    pub place: Place,
    /// Its version; `None` when it was written and the server did not say in which version.
    pub etag: Option<Etag>,
    /// Stable hash of what we sent, its UID left out.
    pub hash: Hash,
    /// What stands there instead.
    pub form: TargetForm,
}

/// What stands in the target instead of what we sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetForm {
    /// Nothing else.
    AsSent,
    /// What the server, or a person whose edit is kept, made of it.
    Rewritten(Hash),
    /// What we sent; we wrote it over this form because the target had drifted.
    Overwrote(Hash),
}

/// What stands in the target of an object whose present form is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing; this is where it is to stand.
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
    /// How often the server refused it; 0: we did, and it is never sent.
    pub tries: u32,
}

/// Whose object has taken the UID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Occupant {
    /// Someone else's, and it says the same.
    Equal,
    /// Someone else's, and it says something else.
    Different,
    /// That of another subscription.
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

    /// The occupant of this word.
    pub fn from_word(word: &str) -> Option<Occupant> {
        [Occupant::Equal, Occupant::Different, Occupant::Subscription].into_iter().find(|one| one.as_str() == word)
    }

    /// Why the event is left alone, for people.
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

/// Why an object that left the feed still stands in the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gone {
    /// It had ended before it left the feed, and stays as it is (`deletes = "future"`).
    Kept,
    /// A guard holds its deletion.
    Held {
        /// When the hold began; `None` for what was never seen in the feed, as after a lost state.
        since: Option<Timestamp>,
        /// A person has said that it may be deleted.
        approved: bool,
    },
    /// The server does not delete it.
    Undeletable(Refusal),
}

/// Where an object stands with us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is in the target.
    Mirrored(Base),
    /// A person deleted what we had sent (this hash, there), and `on_drift = "keep"` leaves it so.
    Removed(Place, Hash),
    /// The feed's present form is refused.
    Refused {
        /// What stands in the target.
        before: Before,
        /// Why it is refused.
        refusal: Refusal,
    },
    /// Its UID stands in an object that is not ours, which is left alone.
    Occupied(Occupant),
    /// It left the feed.
    Gone(Base, Gone),
}

impl Record {
    /// What of ours stands in the target.
    pub fn base(&self) -> Option<&Base> {
        match &self.status {
            Status::Mirrored(base) | Status::Refused { before: Before::Standing(base), .. } | Status::Gone(base, _) => {
                Some(base)
            }
            Status::Removed(..) | Status::Refused { .. } | Status::Occupied(_) => None,
        }
    }

    /// Where it stands or is to stand; `None` where someone else has its UID.
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

    /// The version in which it was last known to stand in the target.
    pub fn etag(&self) -> Option<&Etag> {
        self.base().and_then(|base| base.etag.as_ref())
    }

    /// The UID under which it stands in the target, or is to.
    pub fn target_uid(&self) -> &str {
        self.place().and_then(|place| place.uid.as_deref()).unwrap_or(&self.key.uid)
    }

    /// The hash of what was last sent and taken, whether it still stands there or was removed.
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

    /// Why the feed's present form, or the deletion, is refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match &self.status {
            Status::Refused { refusal, .. } | Status::Gone(_, Gone::Undeletable(refusal)) => Some(refusal),
            _ => None,
        }
    }
}

impl Status {
    /// What stands in the target of an object, should its next form be refused, which would stand at this place.
    pub fn before(self, place: Place) -> Before {
        match self.at(place.clone()) {
            Status::Mirrored(base) | Status::Gone(base, _) => Before::Standing(base),
            Status::Removed(place, hash) => Before::Removed(place, hash),
            Status::Refused { before, .. } => before,
            Status::Occupied(_) => Before::Nothing(place),
        }
    }

    /// The same where the place has the UID of another key: the object came under another name.
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
