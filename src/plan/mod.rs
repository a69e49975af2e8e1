//! What a pass is going to do, as a value, and everything that it is decided from. Pure. `mirror` decides, `guard` holds
//! deletions back, `blame` judges failures; nothing else decides about a write.

use std::collections::{HashMap, HashSet};

use crate::model::memory::{HeldFor, Hold};
use crate::model::{Base, Etag, Hash, Href, Key, Occupant, Place, Record};
use crate::words::time::Timestamp;

mod again;
pub mod backoff;
mod blame;
mod claim;
mod forget;
mod guard;
mod mirror;
pub mod naming;
mod rename;
#[cfg(test)]
mod tests;

pub use again::{CHANGING, StaleDelete, Standing, as_recorded, once_more, stale_delete, stale_put};
pub use blame::{Blame, FEW, LAST_CHANCE, MANY, Outcome, Probe, Suspicion, blame, cause, failures_in_a_row, wait};
pub use claim::{Claim, Named, claims};
pub use forget::{Farewell, farewell, under_prefix};
pub use guard::{MaxDelete, guard, guard_again};
pub use mirror::{is_judged, plan, refused_for};
pub use rename::renames;

/// One object of the feed, beside what is remembered of it.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Its identity in the feed.
    pub key: &'a Key,
    /// Stable hash of the form that would be written, its UID left out.
    pub hash: Hash,
    /// Where it stands or would stand.
    pub place: Place,
    /// Why it must never be sent, if so.
    pub rejected: Option<&'a str>,
    /// Its record; under another key when the object was renamed.
    pub record: Option<&'a Record>,
}

/// An object of the target that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an answer of its own")]
pub struct Found {
    /// Its version.
    pub etag: Etag,
    /// Its identity; `None` when it cannot be read as a calendar object.
    pub key: Option<Key>,
    /// Stable hash of what stands there; that of its octets where it cannot be read, or has another UID than it should.
    pub hash: Hash,
    /// Whether it says the same as the feed's object of that key, in the form that we would write.
    pub same: bool,
    /// Whether somebody is invited to it.
    pub has_guests: bool,
    /// Whether its last occurrence is over, or nobody can tell. Known of what left the feed, and under
    /// [`Deletes::Future`] only.
    pub ended: bool,
    /// Whether the journal says that a pass which was cut off was about to write it like this: it is ours, though no
    /// record says so.
    pub intended: bool,
}

/// What is known of the target at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remote {
    /// The version of every object that stands there.
    pub present: HashMap<Href, Etag>,
    /// What had to be read: drifted objects, unrecorded ones under our prefix, and foreign ones with a UID of the feed.
    pub found: HashMap<Href, Found>,
    /// Where the UIDs stand that are not recorded as ours.
    pub foreign: HashMap<Key, Href>,
    /// What belongs to other subscriptions, by record or by the shape of its href.
    pub others: HashSet<Href>,
    /// Where a pass that was cut off was about to delete, as the journal says.
    pub taken_away: HashSet<Href>,
}

/// What a plan goes by: the rules of the subscription, and what this pass is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The rules.
    pub rules: Rules,
    /// A person lets every deletion of this pass through.
    pub allow_deletes: bool,
    /// What a person has said is to be taken over.
    pub take_over: Option<TakeOver>,
    /// The server sends invitations of its own.
    pub schedules: bool,
    /// What the last pass held deletions back for.
    pub was_held: Option<HeldFor>,
    /// Try refused objects again though nothing changed.
    pub retry_rejected: bool,
}

/// The settings of a subscription that shape its plans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// What to do with a UID that stands in the target under a foreign href.
    pub on_conflict: OnConflict,
    /// What to do with an object of ours that someone else changed.
    pub on_drift: OnDrift,
    /// Whether objects that left the feed are deleted.
    pub deletes: Deletes,
    /// What to do when the feed is suddenly empty.
    pub on_empty: OnEmpty,
    /// How many deletions a pass may do.
    pub max_delete: MaxDelete,
}

/// `on_conflict` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Leave it alone, and ask a person when that is so of most of the feed: nothing is said.
    #[default]
    Ask,
    /// Leave it alone.
    Skip,
    /// Take it over when its content is equal, else leave it alone.
    Equal,
    /// Take it over.
    Adopt,
}

/// What a person lets a pass take over, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// What says the same as the feed, and what bears a name of our shape.
    Ours,
    /// Whatever has a UID of the feed.
    All,
}

/// `on_drift` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// Write the feed's form again.
    #[default]
    Restore,
    /// Leave the edit until the feed changes that object.
    Keep,
}

/// `deletes` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deletes {
    /// What left the feed leaves the target.
    #[default]
    All,
    /// What left the feed leaves the target, unless it had ended before.
    Future,
    /// Nothing is deleted.
    None,
}

/// `on_empty` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnEmpty {
    /// Keep everything and ask a person.
    #[default]
    Hold,
    /// An empty feed means an empty calendar.
    Accept,
}

/// What one pass is going to do, in the order in which it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What only the records learn.
    pub notes: Vec<Note>,
    /// Creates and updates.
    pub puts: Vec<Put>,
    /// Deletes, when everything else is done or refused.
    pub deletes: Vec<Delete>,
    /// Deletes that a guard took out of the plan.
    pub hold: Option<Hold>,
}

/// A step that sends nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The record moves to another key; the object on the target keeps its UID.
    Rename {
        /// The key that vanished from the feed.
        from: Key,
        /// The key that appeared.
        to: Key,
    },
    /// The object stands there already.
    Stands {
        /// Which object.
        key: Key,
        /// How it stands there.
        base: Base,
        /// Whether it was not in the record before.
        adopted: bool,
    },
    /// A person deleted the object, and that is accepted.
    Removed {
        /// Which object.
        key: Key,
    },
    /// The object had ended before it left the feed: it stays as it is, and its record with it.
    Keep {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
    },
    /// The object left the feed, and a guard holds its deletion. That it had not ended by then is decided once.
    Hold {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
    },
    /// The record goes; nothing of it stands on the target.
    Forget {
        /// Which object.
        key: Key,
    },
    /// The UID stands in an object that is not ours, which is left alone.
    Leave {
        /// Which object of the feed.
        key: Key,
        /// Whose the other one is.
        occupant: Occupant,
    },
    /// The object must not be sent.
    Reject {
        /// Which object.
        key: Key,
        /// Why.
        reason: String,
    },
}

/// A create or an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// PUT with `If-None-Match: *`.
    Create {
        /// Which object.
        key: Key,
        /// Where.
        place: Place,
        /// Whether someone had deleted it from the target.
        restores: bool,
    },
    /// PUT with `If-Match`.
    Update {
        /// Which object.
        key: Key,
        /// Where.
        place: Place,
        /// The version that must stand there.
        etag: Etag,
        /// The form of someone else that it overwrites, if it does.
        restores: Option<Hash>,
    },
}

/// DELETE with `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// Which object, as the record or the target names it.
    pub key: Option<Key>,
    /// Where.
    pub href: Href,
    /// The version that must stand there.
    pub etag: Etag,
}

/// A step that changes the target. Each carries what it demands of the object that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A create or an update.
    Put(Put),
    /// A delete.
    Delete(Delete),
}

/// One step of a plan, for those who show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It sends nothing.
    Note(Note),
    /// It changes the target.
    Write(Write),
}

/// Everything that a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The feed.
    pub wanted: &'a [Wanted<'a>],
    /// The records that no object of the feed has.
    pub orphans: &'a [&'a Record],
    /// Hrefs that begin like ours and that no record has.
    pub unrecorded: &'a [Href],
    /// Whether the hrefs of ours that no record has were just found again by evidence: what is not in the feed may be
    /// another installation's.
    pub is_claimed: bool,
    /// The prefixes of ours that were ever found again so.
    pub claimed: &'a HashSet<String>,
    /// The target.
    pub remote: &'a Remote,
    /// How many objects of the last settled feed were in the target; `None` when that is not known.
    pub last_objects: Option<u64>,
    /// The moment of the pass.
    pub now: Timestamp,
}

impl Plan {
    /// Whether anything is sent to the target.
    pub fn writes(&self) -> bool {
        !(self.puts.is_empty() && self.deletes.is_empty())
    }

    /// Every step, in order.
    pub fn ops(&self) -> Vec<Op> {
        let notes = self.notes.iter().cloned().map(Op::Note);
        let puts = self.puts.iter().cloned().map(|put| Op::Write(Write::Put(put)));
        let deletes = self.deletes.iter().cloned().map(|delete| Op::Write(Write::Delete(delete)));
        notes.chain(puts).chain(deletes).collect()
    }
}

impl Note {
    /// The object that it is about.
    pub fn key(&self) -> &Key {
        match self {
            Note::Rename { to: key, .. }
            | Note::Stands { key, .. }
            | Note::Removed { key }
            | Note::Keep { key, .. }
            | Note::Hold { key, .. }
            | Note::Forget { key }
            | Note::Leave { key, .. }
            | Note::Reject { key, .. } => key,
        }
    }

    /// Where the object stands, if the note says so.
    pub fn href(&self) -> Option<&Href> {
        match self {
            Note::Stands { base, .. } => Some(&base.place.href),
            Note::Keep { href, .. } | Note::Hold { href, .. } => Some(href),
            _ => None,
        }
    }
}

impl Put {
    /// The object that it writes.
    pub fn key(&self) -> &Key {
        let (Put::Create { key, .. } | Put::Update { key, .. }) = self;
        key
    }

    /// Where it goes.
    pub fn place(&self) -> &Place {
        let (Put::Create { place, .. } | Put::Update { place, .. }) = self;
        place
    }
}

impl Write {
    /// The object that it is about, if it is known by name.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Write::Put(put) => Some(put.key()),
            Write::Delete(delete) => delete.key.as_ref(),
        }
    }

    /// Where it goes.
    pub fn href(&self) -> &Href {
        match self {
            Write::Put(put) => &put.place().href,
            Write::Delete(delete) => &delete.href,
        }
    }
}

impl Op {
    /// The object that the step is about, if it is known by name.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Op::Note(note) => Some(note.key()),
            Op::Write(write) => write.key(),
        }
    }

    /// Where the object stands, if the step says so.
    pub fn href(&self) -> Option<&Href> {
        match self {
            Op::Note(note) => note.href(),
            Op::Write(write) => Some(write.href()),
        }
    }
}
