//! Matches the objects of the feed with their records.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ics::{self, Feed, Object, Resource};
use crate::model::{ComponentType, EndsAt, Etag, Hash, Href, Key, Place, Record, Source, Status};
use crate::plan::{Wanted, naming, renames};
use crate::words::time::Zone;

/// A feed matched with the records of its subscription.
pub(super) struct Matched<'a> {
    feed: &'a Feed,
    zone: &'a Zone,
    /// One per object of the feed, in feed order.
    pub(super) wanted: Vec<Wanted<'a>>,
    /// The records that no object of the feed has.
    pub(super) orphans: Vec<&'a Record>,
    by_key: HashMap<&'a Key, usize>,
    by_record: HashMap<&'a Key, usize>,
}

impl<'a> Matched<'a> {
    /// `prefix` begins the hrefs of new objects; `zone` is the machine's time zone.
    pub(super) fn new(feed: &'a Feed, records: &'a HashMap<Key, Record>, prefix: &str, zone: &'a Zone) -> Matched<'a> {
        let by_key: HashMap<&Key, usize> =
            feed.objects().iter().enumerate().map(|(place, object)| (&object.key, place)).collect();
        let mut vanished: Vec<&Record> = records.values().filter(|record| !by_key.contains_key(&record.key)).collect();
        vanished.sort_by(|one, other| one.key.cmp(&other.key));
        let appeared: Vec<&Key> =
            feed.objects().iter().map(|object| &object.key).filter(|key| !records.contains_key(key)).collect();
        // An object that stays left the feed long ago and says nothing about it.
        let live: Vec<&Record> = vanished.iter().copied().filter(|record| !record.stays()).collect();
        let hash = |key: &Key| {
            let object = by_key.get(key).and_then(|place| feed.objects().get(*place));
            object.map_or(Hash([0; 32]), |object| object.hash)
        };
        let renamed = renames(records.len() - (vanished.len() - live.len()), &live, &appeared, hash);
        let taken: HashSet<&Key> = renamed.values().map(|record| &record.key).collect();
        vanished.retain(|record| !taken.contains(&record.key));
        // Most passes have no new object.
        let taken = LazyCell::new(|| Taken::by(records));
        let mut by_record = HashMap::new();
        let mut wanted = Vec::with_capacity(feed.objects().len());
        for (index, object) in feed.objects().iter().enumerate() {
            let record = records.get(&object.key).or_else(|| renamed.get(&object.key).copied());
            if let Some(record) = record {
                by_record.insert(&record.key, index);
            }
            let place = match record.and_then(|record| Some((record, record.place()?))) {
                Some((record, place)) => {
                    let uid = record.target_uid();
                    Place { href: place.href.clone(), uid: (uid != object.key.uid).then(|| uid.to_owned()) }
                }
                None => taken.place(&object.key, |key| naming::href(prefix, key)),
            };
            let (hash, rejected) = (object.hash, object.rejected.as_deref());
            wanted.push(Wanted { key: &object.key, hash, place, rejected, record });
        }
        Matched { feed, zone, wanted, orphans: vanished, by_key, by_record }
    }

    /// Whether an object left the feed that was refused, and is there in a version that only a listing shows: the server
    /// may have stored it anyway, or somebody edited the older form.
    pub(super) fn has_doubtful_orphans(&self) -> bool {
        let is_refused = |record: &Record| matches!(record.status, Status::Refused { .. });
        self.orphans.iter().any(|record| is_refused(record) && record.etag().is_none() && !record.is_removed())
    }

    /// Objects without a record that equal new objects of the feed except for their UIDs.
    pub(super) fn recognised(&self, nameless: &BTreeMap<Href, Record>, present: &HashMap<Href, Etag>) -> Vec<Record> {
        let nameless: Vec<&Record> = nameless.values().collect();
        let is_new = |wanted: &&Wanted<'a>| wanted.record.is_none() && !present.contains_key(&wanted.place.href);
        let new: Vec<&Key> = self.wanted.iter().filter(is_new).map(|wanted| wanted.key).collect();
        let hash = |key: &Key| self.wanted(key).map_or(Hash([0; 32]), |wanted| wanted.hash);
        let records = nameless.len() + self.wanted.len() - new.len();
        renames(records, &nameless, &new, hash).into_values().cloned().collect()
    }

    /// The object of the feed with this key.
    pub(super) fn wanted(&self, key: &Key) -> Option<&Wanted<'a>> {
        self.by_key.get(key).and_then(|place| self.wanted.get(*place))
    }

    /// The object of the feed that a record is about, even if it came back under another UID.
    pub(super) fn wanted_of(&self, record: &Record) -> Option<&Wanted<'a>> {
        self.by_record.get(&record.key).and_then(|place| self.wanted.get(*place))
    }

    /// The text to store for an object of the feed.
    pub(super) fn text(&self, wanted: &Wanted<'a>) -> Vec<u8> {
        let uid = wanted.place.uid.as_deref();
        self.object(wanted.key).map_or_else(Vec::new, |object| self.feed.write(object, uid))
    }

    /// Whether an object of the feed and one of the target say the same, ignoring their UIDs.
    pub(super) fn says_the_same(&self, wanted: &Wanted<'a>, resource: &Resource) -> bool {
        self.object(wanted.key).is_some_and(|object| ics::says_the_same(self.feed, object, resource))
    }

    /// The properties in which they differ.
    pub(super) fn differences(&self, wanted: &Wanted<'a>, resource: &Resource) -> Vec<String> {
        self.object(wanted.key).map(|object| ics::differences(self.feed, object, resource)).unwrap_or_default()
    }

    /// Title and start of an object of the feed, human-readable.
    pub(super) fn description(&self, key: &Key) -> Option<(String, String)> {
        self.object(key).map(|object| (self.feed.summary(object), self.feed.start(object)))
    }

    /// The record of an object of the feed with this status.
    pub(super) fn record(&self, wanted: &Wanted<'a>, status: Status) -> Record {
        let (summary, start) = self.description(wanted.key).unwrap_or_default();
        let object = self.object(wanted.key);
        let ends_at = object.map_or(EndsAt::Unknown, |object| self.feed.end_of_last_occurrence(object, self.zone));
        let source = Source { hash: wanted.hash, summary, start, ends_at };
        Record { key: wanted.key.clone(), source, status }
    }

    fn object(&self, key: &Key) -> Option<&'a Object> {
        self.by_key.get(key).and_then(|place| self.feed.objects().get(*place))
    }
}

/// Hrefs and UIDs that the records use. An object that came back under another UID keeps the href and UID of its
/// first name, and the feed may reuse that name for another object.
struct Taken<'a> {
    hrefs: HashSet<&'a Href>,
    uids: HashSet<(ComponentType, &'a str)>,
}

impl<'a> Taken<'a> {
    fn by(records: &'a HashMap<Key, Record>) -> Taken<'a> {
        let uid = |record: &'a Record| Some((record.key.component, record.place()?.uid.as_deref()?));
        Taken {
            hrefs: records.values().filter_map(Record::href).collect(),
            uids: records.values().filter_map(uid).collect(),
        }
    }

    /// Where to write a new object, and under which UID: its own if that is free.
    fn place(&self, key: &Key, href: impl Fn(&Key) -> Href) -> Place {
        let substitute = |ordinal| Key { uid: ics::substitute_uid(&key.uid, ordinal), ..key.clone() };
        let is_free = |key: &Key| !self.uids.contains(&(key.component, &key.uid)) && !self.hrefs.contains(&href(key));
        let mut candidates = std::iter::once(key.clone()).chain((0..).map(substitute));
        let free = candidates.find(is_free).unwrap_or_else(|| key.clone());
        Place { href: href(&free), uid: (free.uid != key.uid).then_some(free.uid) }
    }
}
