//! Looks at the target before anything is planned: what is there, and whether anything drifted.

use std::collections::{HashMap, HashSet};

use crate::collection::Collection;
use crate::db::state::{ForeignObject, Intent, OthersObject, Prefix};
use crate::model::memory::EndMemory;
use crate::model::{Changes, Entry, Etag, Gone, Hash, Href, Key, Listed, Mark, Record, Status};
use crate::plan::{Suspicion, naming};
use crate::words::time::{DAY, Timestamp};

/// Every object is listed again after this many seconds, whatever marks and deltas say: on sabre a reader between two
/// concurrent writers can miss a change for ever (4.7). Also, sabre distinguishes two calendars at one address only
/// by the number of changes that each has seen. A recreated calendar with the same number has the mark that we
/// remember; only this listing notices it, or an update of one of our objects.
const LIST_EVERY: u64 = 7 * DAY;

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

/// What is in the target, and the mark for it.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The state of the whole collection that `present` belongs to.
    pub(super) mark: Mark,
    /// The version of every object.
    pub(super) present: HashMap<Href, Etag>,
    /// Objects that exist, but whose version the target does not return.
    pub(super) silent: HashSet<Href>,
    /// Whether everything was listed, not only changes.
    pub(super) listed: bool,
    /// Must exist in this version if the changes are really those of this calendar.
    pub(super) canary: Option<Entry>,
}

/// Looks with as few requests as the marks allow. `mark` is the collection's current one.
pub(super) fn look(
    collection: &dyn Collection,
    mark: Mark,
    end: &EndMemory,
    known: &Known,
    everything: bool,
    now: Timestamp,
) -> anyhow::Result<Look> {
    let everything = everything || known.has_untold() || known.has_freed();
    if !everything && proves_nothing_changed(&mark, end, now) {
        return Ok(Look { mark, present: known.present(), ..Look::default() });
    }
    if !everything
        && was_listed_lately(end, now)
        && !end.mark.contradicts(&mark)
        && let Some(look) = look_at_changes(collection, &mark, end, known)?
    {
        return Ok(look);
    }
    look_at_all(collection, mark)
}

/// Lists everything. `mark` must have been requested before.
pub(super) fn look_at_all(collection: &dyn Collection, mark: Mark) -> anyhow::Result<Look> {
    let Listed { entries, silent } = collection.list()?;
    let present = entries.into_iter().map(|entry| (entry.href, entry.etag)).collect();
    Ok(Look { mark, present, silent: silent.into_iter().collect(), listed: true, canary: None })
}

/// Whether the collection's current mark proves that the target matches the records.
pub(super) fn proves_nothing_changed(mark: &Mark, end: &EndMemory, now: Timestamp) -> bool {
    was_listed_lately(end, now) && end.mark.proves_same(mark)
}

fn was_listed_lately(end: &EndMemory, now: Timestamp) -> bool {
    end.listed_at.is_some_and(|at| at <= now && now.since(at) < LIST_EVERY)
}

fn look_at_changes(
    collection: &dyn Collection,
    mark: &Mark,
    end: &EndMemory,
    known: &Known,
) -> anyhow::Result<Option<Look>> {
    let Some(since) = end.mark.sync_token.as_ref().filter(|_| mark.sync_token.is_some()) else {
        return Ok(None);
    };
    let Changes::Since { changed, gone, sync_token } = collection.changes(since)? else {
        return Ok(None);
    };
    let told = changed.iter().map(|entry| &entry.href).chain(&gone).collect();
    let canary = known.canary(end.last_written.as_ref(), &told);
    let mut present = known.present();
    for href in &gone {
        present.remove(href);
    }
    for entry in changed {
        present.insert(entry.href, entry.etag);
    }
    let mark = Mark { ctag: mark.ctag.clone(), sync_token: Some(sync_token) };
    Ok(Some(Look { mark, present, canary, ..Look::default() }))
}

impl Known {
    /// Whether an object was written and the server did not return its version: only a listing does.
    fn has_untold(&self) -> bool {
        self.records.values().any(is_untold)
    }

    /// Whether a UID was left to its owner and nobody is known to have it any more. If another subscription released
    /// its object to whoever edited it, the object still exists, and only a listing shows it.
    fn has_freed(&self) -> bool {
        let taken = self.taken();
        self.records.values().any(|record| is_occupied(record) && !taken.contains(&record.key))
    }

    /// The UIDs that others own, as far as the state knows.
    fn taken(&self) -> HashSet<&Key> {
        let foreign = self.foreign.iter().filter_map(|(_, _, key)| key.as_ref());
        foreign.chain(self.others.iter().map(|(_, _, key)| key)).collect()
    }

    /// What is in the target according to the state.
    fn present(&self) -> HashMap<Href, Etag> {
        let ours = self.records.values().filter_map(|record| Some((record.href()?.clone(), record.etag()?.clone())));
        let foreign = self.foreign.iter().map(|(href, etag, _)| (href.clone(), etag.clone()));
        let others = self.others.iter().map(|(href, etag, _)| (href.clone(), etag.clone()));
        others.chain(foreign).chain(ours).collect()
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

    /// An object of ours that a delta does not mention, so that it must match its record: preferably the one written
    /// last, because it is the first to be missing from a calendar restored from a backup.
    ///
    /// If a calendar was recreated or restored and has outgrown the old sync-token, sabre answers that token with
    /// changes of the new calendar alone (4.7).
    fn canary(&self, last_written: Option<&Href>, told: &HashSet<&Href>) -> Option<Entry> {
        let stays = |record: &&Record| !matches!(record.status, Status::Gone(_, Gone::Kept));
        let standing = self.records.values().filter(stays).filter_map(|record| Some((record.href()?, record.etag()?)));
        let standing = standing.filter(|(href, _)| !told.contains(href));
        let (href, etag) = standing.min_by_key(|(href, _)| (Some(*href) != last_written, *href))?;
        Some(Entry { href: href.clone(), etag: etag.clone() })
    }
}

/// Whether an object was written and the server did not return its version.
fn is_untold(record: &Record) -> bool {
    matches!(record.status, Status::Mirrored(_)) && record.etag().is_none()
}

/// Whether an object is left alone because its UID is taken.
fn is_occupied(record: &Record) -> bool {
    matches!(record.status, Status::Occupied(_))
}

impl Look {
    /// Whether the changes are really those of this calendar. Costs one request if there is a canary.
    pub(super) fn is_borne_out(&self, collection: &dyn Collection) -> anyhow::Result<bool> {
        let Some(canary) = &self.canary else { return Ok(true) };
        let read = collection.read(std::slice::from_ref(&canary.href))?;
        Ok(read.stored.iter().any(|stored| canary.is(stored)))
    }

    /// Whether something that is ours, or looks like ours, differs from the records, or a foreign object changed
    /// since it was read: it may hold a UID that the feed is about to bring, or have released one.
    pub(super) fn shows_drift(&self, known: &Known) -> bool {
        let ours: HashSet<&Href> = known.records.values().filter_map(Record::href).collect();
        let taken = known.taken();
        let drifted = |record: &Record| match (record.href(), record.etag()) {
            (Some(href), Some(_)) if self.silent.contains(href) => false,
            (Some(href), Some(etag)) => self.present.get(href) != Some(etag),
            // Somebody restored it.
            (Some(href), None) if record.is_removed() => self.present.contains_key(href),
            (Some(_), None) => is_untold(record),
            (None, _) => is_occupied(record) && !taken.contains(&record.key),
        };
        known.records.values().any(drifted) || self.shows_strangers(known, &ours)
    }

    /// Whether the objects that no subscription has recorded differ from those that were read.
    fn shows_strangers(&self, known: &Known, ours: &HashSet<&Href>) -> bool {
        let others: HashSet<&Href> = known.others.iter().map(|(href, ..)| href).collect();
        let is_strange =
            |(href, _): &(&Href, &Etag)| !ours.contains(href) && !others.contains(href) && !self.silent.contains(*href);
        let read: HashSet<_> = known.foreign.iter().map(|(href, etag, _)| (href, etag)).filter(is_strange).collect();
        self.present.iter().filter(is_strange).collect::<HashSet<_>>() != read
    }
}
