//! What a look found, sorted while reading: who owns each object, and what it says.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::known::Known;
use super::look::Look;
use super::matched::Matched;
use crate::db::state::{ForeignObject, Prefix};
use crate::ics::{self, Resource};
use crate::model::{Base, EndsAt, Etag, Gone, Hash, Href, Key, Place, Record, Source, Status, Stored, TargetForm};
use crate::plan::{Found, Remote, Wanted, naming};
use crate::words::digest;

/// The maximum number of bodies kept in memory.
const MOST_BODIES: usize = 200;

/// What the look found, sorted for the plan.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) remote: Remote,
    /// Hrefs that begin like ours and have no record.
    pub(super) unrecorded: Vec<Href>,
    /// The foreign objects, for the state.
    pub(super) foreign: Vec<ForeignObject>,
    /// Records for objects that left the feed and had ended, in case the plan keeps them.
    pub(super) kept: HashMap<Href, Record>,
    /// Would-be records of unrecorded objects under our prefixes whose keys the feed does not have.
    pub(super) nameless: BTreeMap<Href, Record>,
    /// Would-be records of objects under prefixes that no configured subscription has.
    pub(super) claimable: BTreeMap<Href, Record>,
    /// Whether some of them turned out to be ours.
    pub(super) is_claimed: bool,
    /// Would-be records of objects under our prefixes whose keys the feed has, at other hrefs than expected.
    pub(super) astray: BTreeMap<Href, Record>,
    /// Those of our prefixes that were claimed.
    pub(super) claimed: HashSet<String>,
    /// Bodies of the first objects of ours that differ, so that they need not be read again to be put aside.
    pub(super) bodies: HashMap<Href, Vec<u8>>,
}

/// Returns whether a stored object had ended.
pub(super) type Judge<'a> = dyn Fn(&Resource) -> bool + 'a;

/// An object as it was read, parsed once.
pub(super) struct Parsed {
    pub(super) href: Href,
    pub(super) etag: Etag,
    /// `None` if it is not a valid calendar object.
    pub(super) resource: Option<Resource>,
    /// The hash of its octets if it is not a valid calendar object.
    octets: Option<Hash>,
    text: Vec<u8>,
}

impl Parsed {
    pub(super) fn of(Stored { href, etag, text }: Stored) -> Parsed {
        let resource = Resource::read(text.clone());
        let octets = resource.is_none().then(|| digest::sha256(&[&text]));
        Parsed { href, etag, resource, octets, text }
    }

    /// The stable hash of an object. If it is invalid: the hash of its octets. If its identity differs from its
    /// record: a hash that nothing else has.
    pub(super) fn hash(&self, record: Option<&Record>) -> Hash {
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

    /// A record for an unrecorded object of ours; `None` if the object is invalid.
    pub(super) fn record(&self, status: impl FnOnce(Base) -> Status) -> Option<Record> {
        let resource = self.resource.as_ref()?;
        let (key, hash) = (resource.key().clone(), resource.hash());
        let place = Place { href: self.href.clone(), uid: None };
        let base = Base { place, etag: Some(self.etag.clone()), hash, form: TargetForm::AsSent };
        // Its end is determined at the next write.
        let (summary, start, ends_at) = (resource.summary(), resource.start(), EndsAt::Unknown);
        Some(Record { key, source: Source { hash, summary, start, ends_at }, status: status(base) })
    }
}

impl Seen {
    /// Takes unrecorded objects under our prefixes as ours. Returns the records of those whose keys the feed has.
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

    /// Forgets hrefs that were recognised and have records from now on.
    pub(super) fn forget_unrecorded(&mut self, recognised: &[Record]) {
        let hrefs: HashSet<&Href> = recognised.iter().filter_map(Record::href).collect();
        self.unrecorded.retain(|href| !hrefs.contains(href));
    }

    /// Takes in an object that exists, or may exist, but cannot be read. In an unknown version it counts as empty; if
    /// it is ours and no version is known, it counts as unchanged.
    pub(super) fn take_unreadable(&mut self, href: &Href, look: &Look, record: Option<&Record>) -> Option<Stored> {
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
    pub(super) fn take(
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
        // What cannot be parsed is left alone.
        let ended = wanted.is_none() && had_ended.is_some_and(|had_ended| resource.is_none_or(had_ended));
        if ended {
            let kept = match record {
                // An edit, or a write whose answer was lost, must still show when the feed has the object again.
                Some(record) => record.base().map(|base| {
                    let is_as_left = base.is(parsed.hash(Some(record)));
                    let etag = base.etag.clone().or_else(|| is_as_left.then(|| parsed.etag.clone()));
                    Record { status: Status::Gone(Base { etag, ..base.clone() }, Gone::Kept), ..record.clone() }
                }),
                None => parsed.record(|base| Status::Gone(base, Gone::Kept)),
            };
            self.kept.extend(kept.map(|record| (parsed.href.clone(), record)));
        }
        if record.is_some() && !same && self.bodies.len() < MOST_BODIES {
            self.bodies.insert(parsed.href.clone(), parsed.text.clone());
        }
        let hash = parsed.hash(record);
        let intended = known.intends(&parsed.href, hash);
        let key = resource.map(|resource| resource.key().clone());
        let has_guests = resource.is_some_and(Resource::has_guests);
        let found = Found { etag: parsed.etag.clone(), key, hash, same, has_guests, ended, intended };
        self.remote.present.insert(parsed.href.clone(), parsed.etag.clone());
        self.remote.found.insert(parsed.href.clone(), found);
    }

    pub(super) fn take_foreign(&mut self, parsed: &Parsed, known: &Known) {
        if naming::prefix_of(&parsed.href).is_some_and(|prefix| known.prefixes_of_others.contains(prefix)) {
            self.remote.others.insert(parsed.href.clone());
        }
        let key = parsed.resource.as_ref().map(|resource| resource.key().clone());
        self.foreign.push((parsed.href.clone(), parsed.etag.clone(), key.clone()));
        self.remote.foreign.extend(key.map(|key| (key, parsed.href.clone())));
    }
}

/// Whether an object of the feed has this identity in the target.
fn is_key_of(wanted: &Wanted<'_>, key: &Key) -> bool {
    let uid = wanted.place.uid.as_ref().unwrap_or(&wanted.key.uid);
    wanted.key.component == key.component && ics::same_uid(uid, &key.uid)
}

#[cfg(test)]
mod tests {
    use super::super::fake::etag;
    use super::*;
    use crate::words::time::Zone;

    fn object(title: &str) -> Vec<u8> {
        let event = format!("UID:u\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:20010101T090000Z\r\nSUMMARY:{title}\r\n");
        let event = format!("BEGIN:VEVENT\r\n{event}END:VEVENT\r\n");
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\n{event}END:VCALENDAR\r\n").into_bytes()
    }

    /// The version that is recorded of an object that had ended when it left the feed: `One` was sent, and the server
    /// returned no version.
    fn kept(stands: &str) -> Option<Etag> {
        let (sent, href) = (Resource::read(object("One")).unwrap(), Href::new("u.ics"));
        let stored = |title: &str| Stored { href: href.clone(), etag: etag("1"), text: object(title) };
        let untold = |base: Base| Status::Mirrored(Base { etag: None, ..base });
        let record = Parsed::of(stored("One")).record(untold).unwrap();
        let (feed, zone) =
            (ics::read(b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n".to_vec(), None), Zone::named("UTC").unwrap());
        let (feed, records) = (feed.unwrap(), HashMap::from([(sent.key().clone(), record.clone())]));
        let (matched, mut seen) = (Matched::new(&feed, &records, "", &zone), Seen::default());
        let had_ended: &Judge<'_> = &|_| true;
        seen.take(&Parsed::of(stored(stands)), Some(&record), &matched, &Known::default(), Some(had_ended));
        seen.kept[&href].etag().cloned()
    }

    #[test]
    fn the_version_of_an_object_that_stays_is_learned_only_from_what_we_left_there() {
        assert_eq!(kept("One"), Some(etag("1")));
        assert_eq!(kept("Two"), None);
    }
}
