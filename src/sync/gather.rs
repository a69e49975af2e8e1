//! Reads what a look does not show: what happened to objects that drifted, and who owns the new ones.

use std::collections::HashMap;

use super::known::Known;
use super::look::{Look, OpenEnd};
use super::matched::Matched;
use super::reading::{self, Answer};
use super::seen::{Judge, Parsed, Seen};
use crate::collection::Collection;
use crate::db::state::ForeignObject;
use crate::ics::Resource;
use crate::model::{Href, Key, Record, Status};
use crate::plan::{Wanted, is_judged};
use crate::words::message::Why;

/// What to read besides new and changed objects, and how.
pub(super) struct Reading<'a> {
    /// Whether we have no records that show who owns the prefixes that no subscription has.
    pub(super) is_new: bool,
    /// Distrust the recorded hashes and read every object of ours.
    pub(super) compare_all: bool,
    /// Also read what left the feed, for this to judge.
    pub(super) had_ended: Option<&'a Judge<'a>>,
}

/// Reads what is needed to decide: drifted objects of ours, unrecorded ones under our prefix, new foreign ones, and
/// foreign ones whose UID the feed wants to create. If the changes turn out to be those of another calendar, the look
/// is repeated as a full listing.
pub(super) fn read(
    end: &OpenEnd<'_>,
    look: Look,
    known: &Known,
    matched: &Matched<'_>,
    what: &Reading<'_>,
) -> anyhow::Result<(Look, Seen)> {
    end.collection.begin(Why::Read);
    if let Some(seen) = Survey::new(&look, known, matched, what).read(end.collection)? {
        return Ok((look, seen));
    }
    let look = end.look_at_all(look.mark)?;
    // A listing has no canary.
    let seen = Survey::new(&look, known, matched, what).read(end.collection)?.unwrap_or_default();
    Ok((look, seen))
}

/// One reading of the target, based on a look.
struct Survey<'a> {
    look: &'a Look,
    known: &'a Known,
    matched: &'a Matched<'a>,
    what: &'a Reading<'a>,
    records: HashMap<&'a Href, &'a Record>,
    others: HashMap<&'a Href, &'a Key>,
    cached: HashMap<&'a Href, &'a ForeignObject>,
}

impl<'a> Survey<'a> {
    fn new(look: &'a Look, known: &'a Known, matched: &'a Matched<'a>, what: &'a Reading<'a>) -> Survey<'a> {
        let records = known.records.values().filter_map(|record| Some((record.href()?, record))).collect();
        let others = known.others.iter().map(|(href, _, key)| (href, key)).collect();
        let cached = known.foreign.iter().map(|object| (&object.0, object)).collect();
        Survey { look, known, matched, what, records, others, cached }
    }

    /// An object that was released to whoever edited it keeps its href, and is remembered as foreign.
    fn is_ours(&self, href: &Href) -> bool {
        let is_others = self.cached.contains_key(href) || self.others.contains_key(href);
        self.records.contains_key(href) || (self.known.has_prefix_of(href) && !is_others)
    }

    /// Whether another subscription has recorded the same object, and its name is not one of ours.
    fn is_shared(&self, href: &Href) -> bool {
        self.others.contains_key(href) && self.records.contains_key(href) && !self.known.has_prefix_of(href)
    }

    fn is_unclaimed(&self, href: &Href) -> bool {
        self.what.is_new && self.known.is_unclaimed(href)
    }

    /// Whether the feed has this object, but no recorded version of it is in the target.
    fn lacks(&self, wanted: &Wanted<'_>) -> bool {
        let stands = |record: &Record| {
            record.etag().is_some() && record.href().is_some_and(|href| self.look.present.contains_key(href))
        };
        !wanted.record.is_some_and(stands)
    }

    /// Reads; `None` if the canary is missing or changed.
    fn read(&self, collection: &dyn Collection) -> anyhow::Result<Option<Seen>> {
        let (mut seen, to_read) = self.choose();
        let gone = reading::read(collection, self.look, to_read, &self.missing(), |answer| {
            let stored = match answer {
                Answer::Stored(stored) => Some(stored),
                Answer::Unreadable(href) => seen.take_unreadable(&href, self.look, self.records.get(&href).copied()),
            };
            if let Some(stored) = stored {
                self.take_in(&Parsed::of(stored), &mut seen);
            }
        })?;
        let Some(gone) = gone else { return Ok(None) };
        seen.remote.present.retain(|href, _| !gone.contains(href));
        seen.unrecorded.retain(|href| !gone.contains(href));
        Ok(Some(seen))
    }

    /// What must be read, and what is known without reading.
    fn choose(&self) -> (Seen, Vec<Href>) {
        let mut seen = Seen::default();
        let mut to_read = Vec::new();
        for (href, etag) in &self.look.present {
            if self.is_shared(href) {
                seen.remote.others.insert(href.clone());
            }
            let record = self.records.get(href);
            let orphan = record.filter(|record| self.matched.wanted_of(record).is_none());
            let is_known = record.is_some_and(|record| record.etag() == Some(etag)) && !self.what.compare_all;
            let is_judged = self.what.had_ended.is_none() || orphan.is_none_or(|record| is_judged(record));
            // A kept object stays as it is, whoever changes it.
            if (is_known && is_judged) || orphan.is_some_and(|record| record.stays()) {
                continue;
            }
            let ours = self.is_ours(href);
            if record.is_none() && ours {
                seen.unrecorded.push(href.clone());
            }
            if let Some(key) = self.others.get(href).filter(|_| !ours) {
                seen.remote.others.insert(href.clone());
                seen.remote.foreign.insert((*key).clone(), href.clone());
                continue;
            }
            let lacks = |key: &Key| self.matched.wanted(key).is_some_and(|wanted| self.lacks(wanted));
            let unchanged = self.cached.get(href).filter(|(_, known, _)| !ours && known == etag);
            match unchanged {
                Some((_, _, key)) if !key.as_ref().is_some_and(lacks) && !self.is_unclaimed(href) => {
                    seen.foreign.push((href.clone(), etag.clone(), key.clone()));
                    seen.remote.foreign.extend(key.clone().map(|key| (key, href.clone())));
                }
                _ => to_read.push(href.clone()),
            }
        }
        seen.unrecorded.sort();
        // Unknown is not gone: objects listed without a version are read.
        to_read.extend(self.look.silent.iter().cloned());
        seen.remote.present.clone_from(&self.look.present);
        let deletes = self.known.journal.iter().filter(|(_, hash)| hash.is_none());
        seen.remote.taken_away = deletes.map(|(href, _)| href.clone()).collect();
        (seen, to_read)
    }

    /// Recorded objects missing from a listing, to be looked for once more.
    fn missing(&self) -> Vec<Href> {
        let look = self.look;
        let recorded = self.known.records.values().filter(|record| look.listed && record.etag().is_some());
        let is_missing = |href: &&Href| !look.present.contains_key(*href) && !look.silent.contains(*href);
        let mut missing: Vec<Href> = recorded.filter_map(Record::href).filter(is_missing).cloned().collect();
        missing.sort();
        missing
    }

    fn take_in(&self, parsed: &Parsed, seen: &mut Seen) {
        let href = &parsed.href;
        let record = self.records.get(href).copied();
        let (ours, unclaimed) = (self.is_ours(href), self.is_unclaimed(href));
        let had_ended = self.what.had_ended.filter(|_| ours || unclaimed);
        seen.take(parsed, record, self.matched, self.known, had_ended);
        if !ours && unclaimed {
            seen.claimable.extend(parsed.record(Status::Mirrored).map(|record| (href.clone(), record)));
        }
        if !ours {
            return seen.take_foreign(parsed, self.known);
        }
        if record.is_some() {
            return;
        }
        let key = parsed.resource.as_ref().map(Resource::key);
        let wanted = key.and_then(|key| self.matched.wanted(key));
        let is_astray = wanted.is_some_and(|wanted| self.lacks(wanted) && wanted.place.href != *href);
        let is_nameless = wanted.is_none() && !key.is_some_and(|key| self.known.records.contains_key(key));
        let record = parsed.record(Status::Mirrored).map(|record| (href.clone(), record));
        if is_astray {
            seen.astray.extend(record);
        } else if is_nameless {
            seen.nameless.extend(record);
        }
    }
}
