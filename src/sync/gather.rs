//! Reads what a look does not tell: what became of the objects that drifted, and whose the new ones are.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::look::{Known, Look, look_at_all};
use super::matched::Matched;
use crate::collection::Collection;
use crate::db::state::{ForeignObject, Prefix};
use crate::ics::{self, Resource};
use crate::model::{
    Base, EndsAt, Etag, Gone, Hash, Href, Key, Objects, Place, Record, Source, Status, Stored, TargetForm,
};
use crate::plan::{Found, Remote, Wanted, is_judged, naming};
use crate::words::digest;
use crate::words::message::Why;

/// Objects are read, compared and let go in portions of this size, so that memory stays bounded.
const PORTION: usize = 200;

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
    /// What the records would be of the objects under our prefixes that have none, and that the feed does not know by name.
    pub(super) nameless: BTreeMap<Href, Record>,
    /// What the records would be of the objects under prefixes that no configured subscription has.
    pub(super) claimable: BTreeMap<Href, Record>,
    /// Whether some of them turned out to be ours.
    pub(super) is_claimed: bool,
    /// What the records would be of objects under our prefixes that the feed has by name, where it would not put them.
    pub(super) astray: BTreeMap<Href, Record>,
    /// Those of our prefixes that were found again by evidence.
    pub(super) claimed: HashSet<String>,
}

/// Tells whether what stands there had ended.
pub(super) type Judge<'a> = dyn Fn(&Resource) -> bool + 'a;

/// An object as it was read, parsed once.
struct Parsed {
    href: Href,
    etag: Etag,
    /// `None` when it cannot be read as a calendar object.
    resource: Option<Resource>,
    /// The hash of its octets, if it cannot be read as one.
    octets: Option<Hash>,
}

impl Parsed {
    fn of(Stored { href, etag, text }: Stored) -> Parsed {
        let resource = Resource::read(text.clone());
        let octets = resource.is_none().then(|| digest::sha256(&[&text]));
        Parsed { href, etag, resource, octets }
    }

    /// The stable hash of what was read; of what cannot be read as an object, that of its octets; of what has another
    /// identity than its record, one that nothing else has.
    fn hash(&self, record: Option<&Record>) -> Hash {
        let is_recorded = |resource: &&Resource| {
            let Key { component, uid } = resource.key();
            record.is_none_or(|record| record.key.component == *component && ics::same_uid(record.target_uid(), uid))
        };
        let known = self.resource.as_ref().filter(is_recorded).map(Resource::hash).or(self.octets);
        known.unwrap_or_else(|| match &self.resource {
            Some(resource) => digest::sha256(&[resource.key().uid.as_bytes(), &resource.hash().0]),
            None => digest::sha256(&[]),
        })
    }

    /// The record of an object of ours that had none; `None` when it cannot be read.
    fn record(&self, status: impl FnOnce(Base) -> Status) -> Option<Record> {
        let resource = self.resource.as_ref()?;
        let (key, hash) = (resource.key().clone(), resource.hash());
        let place = Place { href: self.href.clone(), uid: None };
        let base = Base { place, etag: Some(self.etag.clone()), hash, form: TargetForm::AsSent };
        // When it ends is found out when it is written the next time.
        let (summary, start, ends_at) = (resource.summary(), resource.start(), EndsAt::Unknown);
        Some(Record { key, source: Source { hash, summary, start, ends_at }, status: status(base) })
    }
}

/// What to read beside what is new or changed, and how.
pub(super) struct Reading<'a> {
    /// Whether no record tells whose the prefixes are that no subscription has.
    pub(super) is_new: bool,
    /// Distrust the hashes of the records and read every object of ours.
    pub(super) compare_all: bool,
    /// Reads what left the feed too, for this to judge.
    pub(super) had_ended: Option<&'a Judge<'a>>,
}

/// Reads what must be read to decide: drifted objects of ours, unrecorded ones under our prefix, foreign ones that are
/// new, and foreign ones whose UID the feed wants to create. A look at changes that turn out to be those of another
/// calendar is made anew.
pub(super) fn read(
    collection: &dyn Collection,
    look: Look,
    known: &Known,
    matched: &Matched<'_>,
    what: &Reading<'_>,
) -> anyhow::Result<(Look, Seen)> {
    collection.begin(Why::Read);
    if let Some(seen) = read_as_looked(collection, &look, known, matched, what)? {
        return Ok((look, seen));
    }
    let look = look_at_all(collection, look.mark)?;
    // A listing has no canary.
    let seen = read_as_looked(collection, &look, known, matched, what)?.unwrap_or_default();
    Ok((look, seen))
}

/// `None`: the canary is dead.
fn read_as_looked(
    collection: &dyn Collection,
    look: &Look,
    known: &Known,
    matched: &Matched<'_>,
    what: &Reading<'_>,
) -> anyhow::Result<Option<Seen>> {
    let records: HashMap<&Href, &Record> =
        known.records.values().filter_map(|record| Some((record.href()?, record))).collect();
    let others: HashMap<&Href, &Key> = known.others.iter().map(|(href, _, key)| (href, key)).collect();
    let cached: HashMap<&Href, &ForeignObject> = known.foreign.iter().map(|object| (&object.0, object)).collect();
    // What was released to whoever edited it keeps its href, and is remembered as foreign.
    let is_ours = |href: &Href| {
        let is_others = cached.contains_key(href) || others.contains_key(href);
        records.contains_key(href) || (known.has_prefix_of(href) && !is_others)
    };
    let is_unclaimed = |href: &Href| what.is_new && known.is_unclaimed(href);
    let wants = |key: &Key| {
        let wanted = matched.wanted(key);
        let stands = |record: &Record| {
            record.etag().is_some() && record.href().is_some_and(|href| look.present.contains_key(href))
        };
        wanted.is_some_and(|wanted| !wanted.record.is_some_and(stands))
    };
    let mut seen = Seen::default();
    let mut to_read = Vec::new();
    for (href, etag) in &look.present {
        let record = records.get(href);
        let orphan = record.filter(|record| matched.wanted_of(record).is_none());
        let is_known = record.is_some_and(|record| record.etag() == Some(etag)) && !what.compare_all;
        let is_judged = what.had_ended.is_none() || orphan.is_none_or(|record| is_judged(record));
        // What was kept once stays as it is, whoever changes it.
        if (is_known && is_judged) || orphan.is_some_and(|record| is_kept(record)) {
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
            Some((_, _, key)) if !key.as_ref().is_some_and(&wants) && !is_unclaimed(href) => {
                seen.foreign.push((href.clone(), etag.clone(), key.clone()));
                seen.remote.foreign.extend(key.clone().map(|key| (key, href.clone())));
            }
            _ => to_read.push(href.clone()),
        }
    }
    seen.unrecorded.sort();
    // Unknown is not gone: what is listed without its version is asked for, and what a listing lacks is looked for once
    // more.
    let missing = known.records.values().filter(|record| look.listed && record.etag().is_some());
    let missing = missing.filter_map(Record::href).filter(|href| !look.present.contains_key(href));
    let mut missing: Vec<Href> = missing.cloned().collect();
    missing.retain(|href| !look.silent.contains(href));
    missing.sort();
    to_read.extend(look.silent.iter().cloned());
    // The canary rides along with what is read anyway.
    let passenger = look.canary.as_ref().map(|canary| &canary.href).filter(|href| !to_read.contains(href));
    to_read.extend(passenger.cloned());
    to_read.sort();
    let mut is_borne_out = look.canary.is_none();
    seen.remote.present.clone_from(&look.present);
    seen.remote.taken_away =
        known.journal.iter().filter(|(_, hash)| hash.is_none()).map(|(href, _)| href.clone()).collect();
    let mut unseen = Vec::new();
    let portions = to_read.chunks(PORTION).map(|portion| (portion, false));
    for (portion, again) in portions.chain(missing.chunks(PORTION).map(|portion| (portion, true))) {
        let Objects { mut stored, unreadable } =
            if again { collection.look_again(portion)? } else { collection.read(portion)? };
        for href in unreadable {
            stored.extend(seen.take_unreadable(&href, look, records.get(&href).copied()));
            unseen.push(href);
        }
        for stored in stored {
            is_borne_out |= look.canary.as_ref().is_some_and(|canary| canary.is(&stored));
            if passenger == Some(&stored.href) {
                continue;
            }
            let parsed = Parsed::of(stored);
            let href = &parsed.href;
            let record = records.get(href).copied();
            let (ours, unclaimed) = (is_ours(href), is_unclaimed(href));
            seen.take(&parsed, record, matched, known, what.had_ended.filter(|_| ours || unclaimed));
            if !ours {
                if unclaimed {
                    seen.claimable.extend(parsed.record(Status::Mirrored).map(|record| (href.clone(), record)));
                }
                seen.take_foreign(&parsed, known);
            } else if record.is_none() {
                let key = parsed.resource.as_ref().map(Resource::key);
                let wanted = key.and_then(|key| matched.wanted(key));
                let is_astray = wanted.is_some_and(|wanted| wants(wanted.key) && wanted.place.href != *href);
                let is_nameless = wanted.is_none() && !key.is_some_and(|key| known.records.contains_key(key));
                let place = if is_astray {
                    &mut seen.astray
                } else if is_nameless {
                    &mut seen.nameless
                } else {
                    continue;
                };
                place.extend(parsed.record(Status::Mirrored).map(|record| (href.clone(), record)));
            }
        }
    }
    if !is_borne_out {
        return Ok(None);
    }
    tell_of(&unseen);
    let unseen: HashSet<Href> = unseen.into_iter().collect();
    // What was listed but could not be read is gone by now.
    let is_gone =
        |href: &&Href| !seen.remote.found.contains_key(href) && Some(*href) != passenger && !unseen.contains(href);
    let gone: Vec<Href> = to_read.iter().filter(is_gone).cloned().collect();
    for href in &gone {
        seen.remote.present.remove(href);
        seen.unrecorded.retain(|unrecorded| unrecorded != href);
    }
    Ok(Some(seen))
}

/// Says, to whoever wants to know, what nobody gets to see. It is no trouble of ours, and may be so for years.
fn tell_of(unseen: &[Href]) {
    let Some(first) = unseen.first() else { return };
    let more = match unseen.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    log::info!("{}{more} cannot be read in the calendar, and nobody tells why; left alone", first.as_str());
}

impl Seen {
    /// Takes objects under prefixes of ours that no record has for ours. Gives the records of those that the feed has by name.
    pub(super) fn take_named(
        &mut self,
        objects: BTreeMap<Href, Record>,
        matched: &Matched<'_>,
        prefixes: &[Prefix],
    ) -> Vec<Record> {
        self.claimed.extend(prefixes.iter().filter(|prefix| prefix.is_claimed).map(|prefix| prefix.text.clone()));
        self.foreign.retain(|(href, ..)| !objects.contains_key(href));
        self.remote.foreign.retain(|_, href| !objects.contains_key(href));
        self.unrecorded.retain(|href| !objects.contains_key(href));
        let mut by_key: BTreeMap<Key, (Href, Record)> = BTreeMap::new();
        for (href, record) in objects {
            let is_named_so = prefixes.iter().any(|prefix| naming::href(&prefix.text, &record.key) == href);
            let is_wanted = matched.wanted(&record.key).is_some();
            let is_known = by_key.contains_key(&record.key);
            if is_wanted && (is_named_so || !is_known) {
                let second = by_key.insert(record.key.clone(), (href, record));
                self.unrecorded.extend(second.map(|(href, _)| href));
            } else {
                self.unrecorded.push(href.clone());
                if !is_wanted {
                    self.nameless.insert(href, record);
                }
            }
        }
        self.unrecorded.sort();
        by_key.into_values().map(|(_, record)| record).collect()
    }

    /// These were recognised, and have records from now on.
    pub(super) fn forget_unrecorded(&mut self, recognised: &[Record]) {
        let hrefs: HashSet<&Href> = recognised.iter().filter_map(Record::href).collect();
        self.unrecorded.retain(|href| !hrefs.contains(href));
    }

    /// Takes in an object that is there, or may be, but cannot be read. One in a version that nobody knows says nothing; one
    /// of ours of which nothing is told is as it was.
    fn take_unreadable(&mut self, href: &Href, look: &Look, record: Option<&Record>) -> Option<Stored> {
        match (look.present.get(href), record.and_then(Record::etag)) {
            (Some(etag), recorded) if recorded != Some(etag) => {
                Some(Stored { href: href.clone(), etag: etag.clone(), text: Vec::new() })
            }
            (None, Some(recorded)) => {
                self.remote.present.insert(href.clone(), recorded.clone());
                None
            }
            _ => None,
        }
    }

    /// Takes in an object that was read.
    fn take(
        &mut self,
        parsed: &Parsed,
        record: Option<&Record>,
        matched: &Matched<'_>,
        known: &Known,
        had_ended: Option<&Judge<'_>>,
    ) {
        let resource = parsed.resource.as_ref();
        let wanted = match record {
            Some(record) => matched.wanted_of(record),
            None => resource.and_then(|resource| matched.wanted(resource.key())),
        };
        let same = wanted.zip(resource).is_some_and(|(wanted, resource)| {
            is_key_of(wanted, resource.key()) && matched.says_the_same(wanted, resource)
        });
        // What cannot be read is left alone.
        let ended = wanted.is_none() && had_ended.is_some_and(|had_ended| resource.is_none_or(had_ended));
        if ended {
            let kept = match record {
                // An edit is still one when the feed has the object again.
                Some(record) => record.base().map(|base| {
                    let etag = base.etag.clone().or_else(|| Some(parsed.etag.clone()));
                    Record { status: Status::Gone(Base { etag, ..base.clone() }, Gone::Kept), ..record.clone() }
                }),
                None => parsed.record(|base| Status::Gone(base, Gone::Kept)),
            };
            self.kept.extend(kept.map(|record| (parsed.href.clone(), record)));
        }
        let hash = parsed.hash(record);
        let intended = known.intends(&parsed.href, hash);
        let key = resource.map(|resource| resource.key().clone());
        let found = Found { etag: parsed.etag.clone(), key, hash, same, ended, intended };
        self.remote.present.insert(parsed.href.clone(), parsed.etag.clone());
        self.remote.found.insert(parsed.href.clone(), found);
    }

    fn take_foreign(&mut self, parsed: &Parsed, known: &Known) {
        if naming::prefix_of(&parsed.href).is_some_and(|prefix| known.prefixes_of_others.contains(prefix)) {
            self.remote.others.insert(parsed.href.clone());
        }
        let key = parsed.resource.as_ref().map(|resource| resource.key().clone());
        self.foreign.push((parsed.href.clone(), parsed.etag.clone(), key.clone()));
        self.remote.foreign.extend(key.map(|key| (key, parsed.href.clone())));
    }
}

/// Whether an object of the feed stands in the target under this identity.
fn is_key_of(wanted: &Wanted<'_>, key: &Key) -> bool {
    let uid = wanted.place.uid.as_ref().unwrap_or(&wanted.key.uid);
    wanted.key.component == key.component && ics::same_uid(uid, &key.uid)
}

fn is_kept(record: &Record) -> bool {
    matches!(record.status, Status::Gone(_, Gone::Kept))
}
