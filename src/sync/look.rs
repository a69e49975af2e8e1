//! Looks at the target before anything is planned: what stands there, what drifted, whose it is.

use std::collections::{HashMap, HashSet};

use super::wanted::Matched;
use crate::collection::Collection;
use crate::ics::{self, Identified};
use crate::memory::Memory;
use crate::model::{Changes, Entry, Etag, Hash, Href, Key, Mark, Record, Standing, Stored};
use crate::plan::{Found, Remote, is_judged};
use crate::state::{ForeignObject, Intent, OthersObject};
use crate::time::{DAY, Timestamp};

/// Every object is listed anew after this many seconds, whatever marks and deltas say: on sabre a reader between two
/// concurrent writers can miss a change for ever (`reference/servers.md` §5). Besides, sabre tells two calendars at one
/// address apart by nothing but the number of changes that each has seen: one that was made anew and has seen just as
/// many as ours has the mark that we remember, and is noticed by this listing, or when an object of ours is updated.
const LIST_EVERY: u64 = 7 * DAY;
/// Objects are read, compared and let go in portions of this size, so that memory stays bounded.
const PORTION: usize = 200;

/// What the state says of the target.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The records of this subscription.
    pub(super) records: HashMap<Key, Record>,
    /// Objects of nobody we know, as they were last read.
    pub(super) foreign: Vec<ForeignObject>,
    /// Objects that other subscriptions have recorded.
    pub(super) others: Vec<OthersObject>,
    /// What a pass that was cut off was about to do.
    pub(super) intents: HashSet<Intent>,
}

/// What stands in the target, and since when that is known.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The state of the whole collection that `present` stands for.
    pub(super) mark: Mark,
    /// The version of every object.
    pub(super) present: HashMap<Href, Etag>,
    /// Whether everything was listed, not only what changed.
    pub(super) listed: bool,
    /// Stands there in this version, if what changed was told of this very calendar.
    pub(super) canary: Option<Entry>,
}

/// Looks with as few requests as the marks allow. `mark` is the collection's present one.
pub(super) fn look(
    collection: &dyn Collection,
    mark: Mark,
    memory: &Memory,
    known: &Known,
    everything: bool,
    now: Timestamp,
) -> anyhow::Result<Look> {
    let everything = everything || known.has_untold();
    if !everything && proves_nothing_changed(&mark, memory, now) {
        return Ok(Look { mark, present: known.present(), ..Look::default() });
    }
    if !everything
        && was_listed_lately(memory, now)
        && let Some(look) = look_at_changes(collection, &mark, memory, known)?
    {
        return Ok(look);
    }
    look_at_all(collection, mark)
}

/// Lists everything. `mark` was asked for before.
pub(super) fn look_at_all(collection: &dyn Collection, mark: Mark) -> anyhow::Result<Look> {
    let present = collection.list()?.into_iter().map(|entry| (entry.href, entry.etag)).collect();
    Ok(Look { mark, present, listed: true, canary: None })
}

/// Whether the collection's present mark proves that the target is as the records say.
pub(super) fn proves_nothing_changed(mark: &Mark, memory: &Memory, now: Timestamp) -> bool {
    was_listed_lately(memory, now) && memory.mark.proves_same(mark)
}

fn was_listed_lately(memory: &Memory, now: Timestamp) -> bool {
    memory.listed_at.is_some_and(|at| at <= now && now.since(at) < LIST_EVERY)
}

fn look_at_changes(
    collection: &dyn Collection,
    mark: &Mark,
    memory: &Memory,
    known: &Known,
) -> anyhow::Result<Option<Look>> {
    let Some(since) = memory.mark.sync_token.as_ref().filter(|_| mark.sync_token.is_some()) else {
        return Ok(None);
    };
    let Changes::Since { changed, gone, sync_token } = collection.changes(since)? else {
        return Ok(None);
    };
    let told = changed.iter().map(|entry| &entry.href).chain(&gone).collect();
    let canary = known.canary(memory.last_written.as_ref(), &told);
    let mut present = known.present();
    for href in &gone {
        present.remove(href);
    }
    for entry in changed {
        present.insert(entry.href, entry.etag);
    }
    let mark = Mark { ctag: mark.ctag.clone(), sync_token: Some(sync_token) };
    Ok(Some(Look { mark, present, listed: false, canary }))
}

impl Known {
    /// Whether something was written of which nobody told in which version it stands there: only a listing does.
    fn has_untold(&self) -> bool {
        self.records.values().any(|record| record.etag.is_none() && record.standing == Standing::Mirrored)
    }

    /// What stands in the target according to the state.
    fn present(&self) -> HashMap<Href, Etag> {
        let ours = self.records.values().filter_map(|record| Some((record.href.clone(), record.etag.clone()?)));
        let foreign = self.foreign.iter().map(|(href, etag, _)| (href.clone(), etag.clone()));
        let others = self.others.iter().map(|(href, etag, _)| (href.clone(), etag.clone()));
        others.chain(foreign).chain(ours).collect()
    }

    /// Whether a pass that was cut off was about to leave just this.
    pub(super) fn intends(&self, href: &Href, hash: Hash) -> bool {
        self.intents.contains(&(href.clone(), Some(hash)))
    }

    /// An object of ours of which a delta says nothing, so that it must stand as the record says: the one written last,
    /// for that is the first to be missing from a calendar that came back from a backup, else any.
    ///
    /// sabre answers a token of a calendar that was made anew, or came back from a backup, and has outgrown the old one,
    /// with changes of the new one alone (`reference/servers.md` §5, `reference/peers.md` S22).
    fn canary(&self, last_written: Option<&Href>, told: &HashSet<&Href>) -> Option<Entry> {
        let is_silent = |record: &&Record| record.standing != Standing::Kept && !told.contains(&record.href);
        let silent = self.records.values().filter(is_silent);
        let standing = silent.filter_map(|record| Some((&record.href, record.etag.as_ref()?)));
        let (href, etag) = standing.min_by_key(|(href, _)| (Some(*href) != last_written, *href))?;
        Some(Entry { href: href.clone(), etag: etag.clone() })
    }
}

impl Look {
    /// Whether what changed was told of this very calendar, as one more request shows if there is need of it.
    pub(super) fn is_borne_out(&self, collection: &dyn Collection) -> anyhow::Result<bool> {
        let Some(canary) = &self.canary else { return Ok(true) };
        Ok(collection.read(std::slice::from_ref(&canary.href))?.iter().any(|stored| canary.is(stored)))
    }

    /// Whether something that is ours, or looks like ours, is not as the records say, or a foreign object is not as it was
    /// read: it may hold a UID that the feed is going to bring, or have set one free.
    pub(super) fn shows_drift(&self, known: &Known) -> bool {
        let ours: HashSet<&Href> = known.records.values().map(|record| &record.href).collect();
        let foreign = known.foreign.iter().filter_map(|(_, _, key)| key.as_ref());
        let taken: HashSet<&Key> = foreign.chain(known.others.iter().map(|(_, _, key)| key)).collect();
        let drifted = |record: &Record| match (&record.etag, &record.standing) {
            (Some(etag), _) => self.present.get(&record.href) != Some(etag),
            // Written, but nobody could tell in which version it stands there, if it still does.
            (None, Standing::Mirrored) => true,
            // Left alone because its UID was taken.
            (None, Standing::Foreign { .. }) => !taken.contains(&record.key),
            (None, _) => false,
        };
        let mut live = known.records.values().filter(|record| record.standing != Standing::Kept);
        live.any(drifted) || self.shows_strangers(known, &ours)
    }

    /// Whether the objects that no subscription has recorded are others than those that were read.
    fn shows_strangers(&self, known: &Known, ours: &HashSet<&Href>) -> bool {
        let others: HashSet<&Href> = known.others.iter().map(|(href, ..)| href).collect();
        let is_strange = |(href, _): &(&Href, &Etag)| !ours.contains(href) && !others.contains(href);
        let read: HashSet<_> = known.foreign.iter().map(|(href, etag, _)| (href, etag)).filter(is_strange).collect();
        self.present.iter().filter(is_strange).collect::<HashSet<_>>() != read
    }
}

/// What the look found, put in order for the plan.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) remote: Remote,
    /// Hrefs that begin like ours and that no record has.
    pub(super) unrecorded: Vec<Href>,
    /// The foreign objects, for the state.
    pub(super) foreign: Vec<ForeignObject>,
    /// What is to be recorded of the objects that left the feed and had ended, should the plan keep them.
    pub(super) kept: HashMap<Href, Record>,
}

/// Tells whether a text is of something that had ended.
pub(super) type Judge<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// What to read beside what is new or changed, and how.
pub(super) struct Reading<'a> {
    /// How our hrefs begin.
    pub(super) prefix: &'a str,
    /// Distrust the hashes of the records and read every object of ours.
    pub(super) compare_all: bool,
    /// Reads what left the feed too, for this to judge.
    pub(super) had_ended: Option<&'a Judge<'a>>,
}

/// Reads what must be read to decide: drifted objects of ours, unrecorded ones under our prefix, foreign ones that are
/// new, and foreign ones whose UID the feed wants to create. `None`: the canary is dead, so what the look says is not of
/// this calendar.
pub(super) fn read(
    collection: &dyn Collection,
    look: &Look,
    known: &Known,
    matched: &Matched<'_>,
    what: &Reading<'_>,
) -> anyhow::Result<Option<Seen>> {
    let records: HashMap<&Href, &Record> = known.records.values().map(|record| (&record.href, record)).collect();
    let others: HashMap<&Href, &Key> = known.others.iter().map(|(href, _, key)| (href, key)).collect();
    let cached: HashMap<&Href, &ForeignObject> = known.foreign.iter().map(|object| (&object.0, object)).collect();
    // What was released to whoever edited it keeps its href, and is remembered as foreign.
    let is_ours = |href: &Href| {
        records.contains_key(href) || (href.as_str().starts_with(what.prefix) && !cached.contains_key(href))
    };
    let wants = |key: &Key| {
        let wanted = matched.wanted(key);
        let stands = |record: &Record| record.etag.is_some() && look.present.contains_key(&record.href);
        wanted.is_some_and(|wanted| !wanted.record.is_some_and(stands))
    };
    let mut seen = Seen::default();
    let mut to_read = Vec::new();
    for (href, etag) in &look.present {
        let record = records.get(href);
        let orphan = record.filter(|record| matched.wanted_of(record).is_none());
        let is_known = record.is_some_and(|record| record.etag.as_ref() == Some(etag)) && !what.compare_all;
        let is_judged = what.had_ended.is_none() || orphan.is_none_or(|record| is_judged(record));
        // What was kept once stays as it is, whoever changes it.
        if (is_known && is_judged) || orphan.is_some_and(|record| record.standing == Standing::Kept) {
            continue;
        }
        let ours = is_ours(href);
        if record.is_none() && ours {
            seen.unrecorded.push(href.clone());
        }
        if let Some(key) = others.get(href).filter(|_| !ours) {
            seen.remote.others.insert(href.clone());
            seen.remote.foreign.insert((*key).clone(), href.clone());
            continue;
        }
        let unchanged = cached.get(href).filter(|(_, known, _)| !ours && known == etag);
        match unchanged {
            Some((_, _, key)) if !key.as_ref().is_some_and(&wants) => {
                seen.foreign.push((href.clone(), etag.clone(), key.clone()));
                seen.remote.foreign.extend(key.clone().map(|key| (key, href.clone())));
            }
            _ => to_read.push(href.clone()),
        }
    }
    seen.unrecorded.sort();
    // The canary rides along with what is read anyway.
    let passenger = look.canary.as_ref().map(|canary| &canary.href).filter(|href| !to_read.contains(href));
    to_read.extend(passenger.cloned());
    to_read.sort();
    let mut is_borne_out = look.canary.is_none();
    seen.remote.present.clone_from(&look.present);
    seen.remote.taken_away =
        known.intents.iter().filter(|(_, hash)| hash.is_none()).map(|(href, _)| href.clone()).collect();
    for portion in to_read.chunks(PORTION) {
        for stored in collection.read(portion)? {
            is_borne_out |= look.canary.as_ref().is_some_and(|canary| canary.is(&stored));
            if passenger == Some(&stored.href) {
                continue;
            }
            let record = records.get(&stored.href).copied();
            let ours = is_ours(&stored.href);
            let key = seen.take(&stored, record, matched, known, what.had_ended.filter(|_| ours));
            if !ours {
                seen.take_foreign(&stored, key, what.prefix);
            }
        }
    }
    if !is_borne_out {
        return Ok(None);
    }
    // What was listed but could not be read is gone by now.
    let is_gone = |href: &&Href| !seen.remote.found.contains_key(href) && Some(*href) != passenger;
    let gone: Vec<Href> = to_read.iter().filter(is_gone).cloned().collect();
    for href in &gone {
        seen.remote.present.remove(href);
        seen.unrecorded.retain(|unrecorded| unrecorded != href);
    }
    Ok(Some(seen))
}

impl Seen {
    /// Takes in an object that was read; its identity.
    fn take(
        &mut self,
        stored: &Stored,
        record: Option<&Record>,
        matched: &Matched<'_>,
        known: &Known,
        had_ended: Option<&Judge<'_>>,
    ) -> Option<Key> {
        let identified = ics::identify(&stored.text);
        let key = identified.as_ref().map(|identified| identified.key.clone());
        let wanted = match record {
            Some(record) => matched.wanted_of(record),
            None => key.as_ref().and_then(|key| matched.wanted(key)),
        };
        let hash = hash_of(stored, identified.as_ref());
        let same =
            wanted.is_some_and(|wanted| hash == wanted.sent_hash || ics::same(&matched.text(wanted), &stored.text));
        let ended = wanted.is_none() && had_ended.is_some_and(|had_ended| had_ended(&stored.text));
        if ended {
            let kept = record.cloned().or_else(|| identified.as_ref().map(|identified| recorded(stored, identified)));
            self.kept.extend(kept.map(|record| {
                // An edit is still one when the feed has the object again.
                let etag = record.etag.clone().or_else(|| Some(stored.etag.clone()));
                (stored.href.clone(), Record { etag, standing: Standing::Kept, ..record })
            }));
        }
        let intended = known.intends(&stored.href, hash);
        let found = Found { etag: stored.etag.clone(), key: key.clone(), hash, same, ended, intended };
        self.remote.present.insert(stored.href.clone(), stored.etag.clone());
        self.remote.found.insert(stored.href.clone(), found);
        key
    }

    fn take_foreign(&mut self, stored: &Stored, key: Option<Key>, prefix: &str) {
        if ics::is_made_by_us(&stored.href) && !stored.href.as_str().starts_with(prefix) {
            self.remote.others.insert(stored.href.clone());
        }
        self.foreign.push((stored.href.clone(), stored.etag.clone(), key.clone()));
        self.remote.foreign.extend(key.map(|key| (key, stored.href.clone())));
    }
}

/// The stable hash of what was read; of what cannot be read as an object, that of its octets.
pub(super) fn hash_of(stored: &Stored, identified: Option<&Identified>) -> Hash {
    identified.map_or_else(|| ics::sha256(&[&stored.text]), |identified| identified.hash)
}

/// The record of an object of ours that had none.
fn recorded(stored: &Stored, identified: &Identified) -> Record {
    Record {
        key: identified.key.clone(),
        target_uid: None,
        href: stored.href.clone(),
        etag: Some(stored.etag.clone()),
        source_hash: identified.hash,
        sent_hash: identified.hash,
        server_hash: None,
        content_hash: identified.content_hash,
        restored_hash: None,
        start: identified.start.clone(),
        summary: identified.summary.clone(),
        standing: Standing::Kept,
    }
}
