//! Looks at the target before anything is planned: what stands there, and whether anything drifted.

use std::collections::{HashMap, HashSet};

use crate::collection::Collection;
use crate::db::state::{ForeignObject, Intent, OthersObject, Prefix};
use crate::model::memory::EndMemory;
use crate::model::{Changes, Entry, Etag, Gone, Hash, Href, Key, Listed, Mark, Record, Status};
use crate::plan::{Suspicion, naming};
use crate::words::time::{DAY, Timestamp};

/// Every object is listed anew after this many seconds, whatever marks and deltas say: on sabre a reader between two
/// concurrent writers can miss a change for ever (4.7). Besides, sabre tells two calendars at one
/// address apart by nothing but the number of changes that each has seen: one that was made anew and has seen just as
/// many as ours has the mark that we remember, and is noticed by this listing, or when an object of ours is updated.
const LIST_EVERY: u64 = 7 * DAY;

/// What the state says of the target.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    /// The records of this subscription.
    pub(super) records: HashMap<Key, Record>,
    /// Objects of nobody we know, as they were last read.
    pub(super) foreign: Vec<ForeignObject>,
    /// How our hrefs begin; the first one begins those of new objects.
    pub(super) prefixes: Vec<Prefix>,
    /// Whether the state does not know that they are ours.
    pub(super) prefixes_are_new: bool,
    /// Objects that other configured subscriptions have recorded.
    pub(super) others: Vec<OthersObject>,
    /// How their hrefs begin.
    pub(super) prefixes_of_others: HashSet<String>,
    /// Whether the records are not as the state has them: they were carried over from an older version.
    pub(super) is_carried_over: bool,
    /// What a pass that was cut off was about to do.
    pub(super) journal: HashSet<Intent>,
    /// Objects whose writes failed for a reason that no pass has found out.
    pub(super) suspects: HashMap<Key, Suspicion>,
}

/// What stands in the target, and since when that is known.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The state of the whole collection that `present` stands for.
    pub(super) mark: Mark,
    /// The version of every object.
    pub(super) present: HashMap<Href, Etag>,
    /// What is there in a version that the target does not tell.
    pub(super) silent: HashSet<Href>,
    /// Whether everything was listed, not only what changed.
    pub(super) listed: bool,
    /// Stands there in this version, if what changed was told of this very calendar.
    pub(super) canary: Option<Entry>,
}

/// Looks with as few requests as the marks allow. `mark` is the collection's present one.
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

/// Lists everything. `mark` was asked for before.
pub(super) fn look_at_all(collection: &dyn Collection, mark: Mark) -> anyhow::Result<Look> {
    let Listed { entries, silent } = collection.list()?;
    let present = entries.into_iter().map(|entry| (entry.href, entry.etag)).collect();
    Ok(Look { mark, present, silent: silent.into_iter().collect(), listed: true, canary: None })
}

/// Whether the collection's present mark proves that the target is as the records say.
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
    /// Whether something was written of which nobody told in which version it stands there: only a listing does.
    fn has_untold(&self) -> bool {
        self.records.values().any(is_untold)
    }

    /// Whether a UID was left to its owner and nobody is known to have it any more. When another subscription released
    /// its object to whoever edited it, that still stands there, and only a listing shows it.
    fn has_freed(&self) -> bool {
        let taken = self.taken();
        self.records.values().any(|record| is_occupied(record) && !taken.contains(&record.key))
    }

    /// The UIDs that others have, as far as the state knows.
    fn taken(&self) -> HashSet<&Key> {
        let foreign = self.foreign.iter().filter_map(|(_, _, key)| key.as_ref());
        foreign.chain(self.others.iter().map(|(_, _, key)| key)).collect()
    }

    /// What stands in the target according to the state.
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

    /// Whether a pass that was cut off was about to leave just this.
    pub(super) fn intends(&self, href: &Href, hash: Hash) -> bool {
        self.journal.contains(&(href.clone(), Some(hash)))
    }

    /// An object of ours of which a delta says nothing, so that it must stand as the record says: the one written last,
    /// for that is the first to be missing from a calendar that came back from a backup, else any.
    ///
    /// sabre answers a token of a calendar that was made anew, or came back from a backup, and has outgrown the old one,
    /// with changes of the new one alone (4.7).
    fn canary(&self, last_written: Option<&Href>, told: &HashSet<&Href>) -> Option<Entry> {
        let stays = |record: &&Record| !matches!(record.status, Status::Gone(_, Gone::Kept));
        let standing = self.records.values().filter(stays).filter_map(|record| Some((record.href()?, record.etag()?)));
        let standing = standing.filter(|(href, _)| !told.contains(href));
        let (href, etag) = standing.min_by_key(|(href, _)| (Some(*href) != last_written, *href))?;
        Some(Entry { href: href.clone(), etag: etag.clone() })
    }
}

/// Whether an object was written and nobody could tell in which version it stands there, if it still does.
fn is_untold(record: &Record) -> bool {
    matches!(record.status, Status::Mirrored(_)) && record.etag().is_none()
}

/// Whether an object is left alone because its UID is taken.
fn is_occupied(record: &Record) -> bool {
    matches!(record.status, Status::Occupied(_))
}

impl Look {
    /// Whether what changed was told of this very calendar, as one more request shows if there is need of it.
    pub(super) fn is_borne_out(&self, collection: &dyn Collection) -> anyhow::Result<bool> {
        let Some(canary) = &self.canary else { return Ok(true) };
        let read = collection.read(std::slice::from_ref(&canary.href))?;
        Ok(read.stored.iter().any(|stored| canary.is(stored)))
    }

    /// Whether something that is ours, or looks like ours, is not as the records say, or a foreign object is not as it was
    /// read: it may hold a UID that the feed is going to bring, or have set one free.
    pub(super) fn shows_drift(&self, known: &Known) -> bool {
        let ours: HashSet<&Href> = known.records.values().filter_map(Record::href).collect();
        let taken = known.taken();
        let drifted = |record: &Record| match (record.href(), record.etag()) {
            (Some(href), Some(_)) if self.silent.contains(href) => false,
            (Some(href), Some(etag)) => self.present.get(href) != Some(etag),
            // Somebody put it back.
            (Some(href), None) if record.is_removed() => self.present.contains_key(href),
            (Some(_), None) => is_untold(record),
            (None, _) => is_occupied(record) && !taken.contains(&record.key),
        };
        known.records.values().any(drifted) || self.shows_strangers(known, &ours)
    }

    /// Whether the objects that no subscription has recorded are others than those that were read.
    fn shows_strangers(&self, known: &Known, ours: &HashSet<&Href>) -> bool {
        let others: HashSet<&Href> = known.others.iter().map(|(href, ..)| href).collect();
        let is_strange =
            |(href, _): &(&Href, &Etag)| !ours.contains(href) && !others.contains(href) && !self.silent.contains(*href);
        let read: HashSet<_> = known.foreign.iter().map(|(href, etag, _)| (href, etag)).filter(is_strange).collect();
        self.present.iter().filter(is_strange).collect::<HashSet<_>>() != read
    }
}
