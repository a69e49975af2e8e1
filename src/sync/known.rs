//! What the state knows of a subscription and its target.

use std::collections::{HashMap, HashSet};

use super::look::{Expected, Standing};
use crate::db::state::{ForeignObject, Intent, OthersObject, Prefix};
use crate::model::{Hash, Href, Key, Record, Status};
use crate::plan::{Suspicion, naming};

/// What the state knows of the target.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The records of this subscription.
    pub(super) records: HashMap<Key, Record>,
    /// Foreign objects, as they were last read.
    pub(super) foreign: Vec<ForeignObject>,
    /// How our hrefs begin; new objects use the first one.
    pub(super) prefixes: Vec<Prefix>,
    /// Whether the state does not know these prefixes yet.
    pub(super) prefixes_are_new: bool,
    /// Objects that other configured subscriptions have recorded.
    pub(super) others: Vec<OthersObject>,
    /// How their hrefs begin.
    pub(super) prefixes_of_others: HashSet<String>,
    /// Whether the records differ from the state because they were carried over from an older version.
    pub(super) is_carried_over: bool,
    /// What an interrupted pass was about to do.
    pub(super) journal: HashSet<Intent>,
    /// Objects whose writes failed for a reason that no pass could determine.
    pub(super) suspects: HashMap<Key, Suspicion>,
}

impl Known {
    /// What the state says of the objects in the target.
    pub(super) fn expected(&self) -> Expected<'_> {
        let ours = self.records.values().filter_map(|record| Some((record.href()?, standing_of(record))));
        let foreign = self.foreign.iter().map(|(href, etag, _)| (href, etag));
        let others = self.others.iter().map(|(href, etag, _)| (href, etag));
        Expected {
            ours: ours.collect(),
            foreign: foreign.collect(),
            others: others.collect(),
            is_incomplete: self.has_freed(),
        }
    }

    /// Whether a UID was left to its owner and nobody is known to have it any more. If another subscription released
    /// its object to whoever edited it, the object still exists, and only a listing shows it.
    fn has_freed(&self) -> bool {
        let foreign = self.foreign.iter().filter_map(|(_, _, key)| key.as_ref());
        let taken: HashSet<&Key> = foreign.chain(self.others.iter().map(|(_, _, key)| key)).collect();
        let is_occupied = |record: &&Record| matches!(record.status, Status::Occupied(_));
        self.records.values().filter(is_occupied).any(|record| !taken.contains(&record.key))
    }

    /// Whether an href begins like ours.
    pub(super) fn has_prefix_of(&self, href: &Href) -> bool {
        naming::prefix_of(href).is_some_and(|prefix| self.prefixes.iter().any(|own| own.text == prefix))
    }

    /// Whether an href has the shape of ours, and no configured subscription has its prefix.
    pub(super) fn is_unclaimed(&self, href: &Href) -> bool {
        let is_free = |prefix: &str| !self.prefixes_of_others.contains(prefix);
        naming::prefix_of(href).is_some_and(is_free) && !self.has_prefix_of(href)
    }

    /// Whether an interrupted pass was about to write exactly this.
    pub(super) fn intends(&self, href: &Href, hash: Hash) -> bool {
        self.journal.contains(&(href.clone(), Some(hash)))
    }
}

/// What a record says of the object at its href.
fn standing_of(record: &Record) -> Standing<'_> {
    match (record.etag(), &record.status) {
        (Some(etag), _) if record.stays() => Standing::Loose(etag),
        (Some(etag), _) => Standing::Version(etag),
        (None, Status::Mirrored(_)) => Standing::Untold,
        (None, _) if record.is_removed() => Standing::Nothing,
        (None, _) => Standing::Unknown,
    }
}
