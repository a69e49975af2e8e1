//! What a pass is going to do, as a value, and everything it is decided from. Pure. `mirror` decides, `guard` holds
//! deletions, `blame` judges failures; nothing else decides about a write.

use std::collections::{HashMap, HashSet};

use crate::model::memory::{HeldFor, Hold};
use crate::model::{Base, Before, Etag, Hash, Href, Key, Occupant, Place, Record};
use crate::words::time::Timestamp;

mod again;
pub mod backoff;
mod blame;
mod claim;
mod forget;
mod guard;
mod mirror;
pub mod naming;
mod refused;
mod rename;
#[cfg(test)]
mod tests;

pub use again::{CHANGING, StaleDelete, Standing, as_recorded, once_more, stale_delete, stale_put};
pub use blame::{Blame, FEW, LAST_CHANCE, MANY, Outcome, Probe, Suspicion, blame, cause, failures_in_a_row, wait};
pub use claim::{Claim, Named, claims};
pub use forget::{Farewell, farewell, under_prefix};
pub use guard::{MaxDelete, guard, guard_again};
pub use mirror::{is_judged, plan, refused_for};
pub use refused::before_now;
pub use rename::renames;

/// One object of the feed, with its record.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Its identity in the feed.
    pub key: &'a Key,
    /// Stable hash of the form to be written, without its UID.
    pub hash: Hash,
    /// Where it is, or would be.
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
    /// Its identity; `None` if it is not a valid calendar object.
    pub key: Option<Key>,
    /// Stable hash of what is stored; that of its octets if it is invalid or has an unexpected UID.
    pub hash: Hash,
    /// Whether it says the same as the feed's object of that key, in the form that we would write.
    pub same: bool,
    /// Whether it has invited guests.
    pub has_guests: bool,
    /// Whether its last occurrence is over or cannot be determined. Set only under [`Deletes::Future`], for objects
    /// that left the feed.
    pub ended: bool,
    /// Whether the journal says that an interrupted pass was about to write it like this: it is ours even without a
    /// record.
    pub intended: bool,
}

/// What is known of the target now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remote {
    /// The version of every existing object.
    pub present: HashMap<Href, Etag>,
    /// What had to be read: drifted objects, unrecorded ones under our prefix, foreign ones with a UID of the feed.
    pub found: HashMap<Href, Found>,
    /// Where the UIDs are that are not recorded as ours.
    pub foreign: HashMap<Key, Href>,
    /// What belongs to other subscriptions, by record or by the shape of its href.
    pub others: HashSet<Href>,
    /// Where an interrupted pass was about to delete, according to the journal.
    pub taken_away: HashSet<Href>,
}

/// What guides a plan: the rules of the subscription, and the requests for this pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The rules.
    pub rules: Rules,
    /// A person allows every deletion of this pass.
    pub allow_deletes: bool,
    /// What a person allowed to take over.
    pub take_over: Option<TakeOver>,
    /// The server sends invitations itself.
    pub schedules: bool,
    /// Why the last pass held deletions.
    pub was_held: Option<HeldFor>,
    /// Retry refused objects although nothing changed.
    pub retry_rejected: bool,
}

/// The settings of a subscription that shape its plans.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// What to do if a UID is in the target under a foreign href.
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
    /// Leave it alone; if that affects most of the feed, ask a person. The default if nothing is configured.
    #[default]
    Ask,
    /// Leave it alone.
    Skip,
    /// Take it over if its content is equal, else leave it alone.
    Equal,
    /// Take it over.
    Adopt,
}

/// What a person allows one pass to take over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeOver {
    /// What says the same as the feed, and what has a name of our shape.
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
    /// Delete what left the feed.
    #[default]
    All,
    /// Delete what left the feed, unless it had ended before.
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

/// What a pass is going to do, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Changes to the records only.
    pub notes: Vec<Note>,
    /// Creates and updates.
    pub puts: Vec<Put>,
    /// Deletes, once everything else is done or refused.
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
    /// The object is already there.
    Stands {
        /// Which object.
        key: Key,
        /// Its base.
        base: Base,
        /// Whether it was not recorded before.
        adopted: bool,
    },
    /// A person deleted the object, and that is accepted.
    Removed {
        /// Which object.
        key: Key,
    },
    /// What is in the target of a refused object is not as recorded any more.
    Before {
        /// Which object.
        key: Key,
        /// What is there.
        before: Before,
    },
    /// The object had ended before it left the feed: it stays as it is, with its record.
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
    /// Drop the record; none of it is on the target.
    Forget {
        /// Which object.
        key: Key,
    },
    /// The UID exists in an object that is not ours, which is left alone.
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
        /// The version that must be there.
        etag: Etag,
        /// The form of someone else that it overwrites, if any.
        restores: Option<Hash>,
    },
}

/// DELETE with `If-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delete {
    /// Which object, as named by the record or the target.
    pub key: Option<Key>,
    /// Where.
    pub href: Href,
    /// The version that must be there.
    pub etag: Etag,
}

/// A step that changes the target, with its precondition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// A create or an update.
    Put(Put),
    /// A delete.
    Delete(Delete),
}

/// One step of a plan, for display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It sends nothing.
    Note(Note),
    /// It changes the target.
    Write(Write),
}

/// Everything a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The feed.
    pub wanted: &'a [Wanted<'a>],
    /// The records that no object of the feed has.
    pub orphans: &'a [&'a Record],
    /// Hrefs that begin like ours and have no record.
    pub unrecorded: &'a [Href],
    /// Whether the unrecorded hrefs of ours were just claimed: what is not in the feed may belong to another
    /// installation.
    pub is_claimed: bool,
    /// Those of our prefixes that were ever claimed.
    pub claimed: &'a HashSet<String>,
    /// The target.
    pub remote: &'a Remote,
    /// How many objects of the last settled feed were in the target; `None` if unknown.
    pub last_objects: Option<u64>,
    /// The time of the pass.
    pub now: Timestamp,
}

impl Remote {
    /// Whether another subscription has recorded the same object, and it bears no name of ours.
    pub fn is_of_others(&self, record: &Record) -> bool {
        record.base().is_some_and(|base| self.others.contains(&base.place.href))
    }
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
    /// The object it is about.
    pub fn key(&self) -> &Key {
        match self {
            Note::Rename { to: key, .. }
            | Note::Stands { key, .. }
            | Note::Removed { key }
            | Note::Before { key, .. }
            | Note::Keep { key, .. }
            | Note::Hold { key, .. }
            | Note::Forget { key }
            | Note::Leave { key, .. }
            | Note::Reject { key, .. } => key,
        }
    }

    /// Where the object is, if the note says so.
    pub fn href(&self) -> Option<&Href> {
        match self {
            Note::Stands { base, .. } => Some(&base.place.href),
            Note::Keep { href, .. } | Note::Hold { href, .. } => Some(href),
            _ => None,
        }
    }
}

impl Put {
    /// The object it writes.
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
    /// The object it is about, if known by name.
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
    /// The object that the step is about, if known by name.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Op::Note(note) => Some(note.key()),
            Op::Write(write) => write.key(),
        }
    }

    /// Where the object is, if the step says so.
    pub fn href(&self) -> Option<&Href> {
        match self {
            Op::Note(note) => note.href(),
            Op::Write(write) => Some(write.href()),
        }
    }
}
