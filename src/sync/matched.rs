//! Sets the objects of the feed beside what is remembered of them.

use std::cell::LazyCell;
use std::collections::{BTreeMap, HashMap, HashSet};

use crate::ics::{self, Feed, Form, Object};
use crate::model::{ComponentType, Etag, Hash, Href, Key, Record, Standing};
use crate::plan::{Wanted, renames};

/// A feed matched with the records of its subscription.
pub(super) struct Matched<'a> {
    feed: &'a Feed,
    /// How every object is written.
    form: Form,
    /// One for each object of the feed, in its order.
    pub(super) wanted: Vec<Wanted<'a>>,
    /// The records that no object of the feed has.
    pub(super) orphans: Vec<&'a Record>,
    /// The UIDs under which new objects are written whose own ones stand for other objects.
    substitutes: HashMap<&'a Key, String>,
    by_key: HashMap<&'a Key, usize>,
    by_record: HashMap<&'a Key, usize>,
}

impl<'a> Matched<'a> {
    /// `name` and `source` make the hrefs of new objects; `form` is that of every object.
    pub(super) fn new(
        feed: &'a Feed,
        records: &'a HashMap<Key, Record>,
        name: &str,
        source: &str,
        form: Form,
    ) -> Matched<'a> {
        let by_key: HashMap<&Key, usize> =
            feed.objects().iter().enumerate().map(|(place, object)| (&object.key, place)).collect();
        let mut vanished: Vec<&Record> = records.values().filter(|record| !by_key.contains_key(&record.key)).collect();
        vanished.sort_by(|one, other| one.key.cmp(&other.key));
        let appeared: Vec<&Key> =
            feed.objects().iter().map(|object| &object.key).filter(|key| !records.contains_key(key)).collect();
        let content_hash = |key: &Key| {
            let object = by_key.get(key).and_then(|place| feed.objects().get(*place));
            object.map_or(Hash([0; 32]), |object| object.hash)
        };
        // What was kept left the feed long ago and tells nothing of it.
        let live: Vec<&Record> = vanished.iter().copied().filter(|record| record.standing != Standing::Kept).collect();
        let renamed = renames(records.len() - (vanished.len() - live.len()), &live, &appeared, content_hash);
        let taken: HashSet<&Key> = renamed.values().map(|record| &record.key).collect();
        vanished.retain(|record| !taken.contains(&record.key));
        let mut matched = Matched {
            feed,
            form,
            wanted: Vec::with_capacity(feed.objects().len()),
            orphans: vanished,
            substitutes: HashMap::new(),
            by_key,
            by_record: HashMap::new(),
        };
        // Most passes bring no new object.
        let taken = LazyCell::new(|| Taken::by(records));
        for (place, object) in feed.objects().iter().enumerate() {
            let record = records.get(&object.key).or_else(|| renamed.get(&object.key).copied());
            if let Some(record) = record {
                matched.by_record.insert(&record.key, place);
            }
            let href = record.map_or_else(
                || {
                    let free = taken.free(&object.key, |key| ics::href(name, source, key));
                    if free != object.key {
                        matched.substitutes.insert(&object.key, free.uid.clone());
                    }
                    ics::href(name, source, &free)
                },
                |record| record.href.clone(),
            );
            let sent_hash = matched.sent_hash(object, record);
            matched.wanted.push(Wanted {
                key: &object.key,
                source_hash: object.hash,
                sent_hash,
                href,
                rejected: object.rejected.as_deref(),
                record,
            });
        }
        matched
    }

    /// Whether something left the feed that a server refused: it may have stored it all the same, in a version that only a
    /// listing tells.
    pub(super) fn has_doubtful_orphans(&self) -> bool {
        let is_doubtful =
            |record: &Record| matches!(record.standing, Standing::Rejected { .. }) && record.etag.is_none();
        self.orphans.iter().any(|record| is_doubtful(record))
    }

    /// Those of the objects without a record that new objects of the feed say the same as, under other UIDs.
    pub(super) fn recognised(&self, nameless: &BTreeMap<Href, Record>, present: &HashMap<Href, Etag>) -> Vec<Record> {
        let nameless: Vec<&Record> = nameless.values().collect();
        let is_new = |wanted: &&Wanted<'a>| wanted.record.is_none() && !present.contains_key(&wanted.href);
        let new: Vec<&Key> = self.wanted.iter().filter(is_new).map(|wanted| wanted.key).collect();
        let content_hash = |key: &Key| self.object(key).map_or(Hash([0; 32]), |object| object.hash);
        let records = nameless.len() + self.wanted.len() - new.len();
        renames(records, &nameless, &new, content_hash).into_values().cloned().collect()
    }

    /// The object of the feed with this key.
    pub(super) fn wanted(&self, key: &Key) -> Option<&Wanted<'a>> {
        self.by_key.get(key).and_then(|place| self.wanted.get(*place))
    }

    /// The object of the feed that a record is about, also when it came under another UID.
    pub(super) fn wanted_of(&self, record: &Record) -> Option<&Wanted<'a>> {
        self.by_record.get(&record.key).and_then(|place| self.wanted.get(*place))
    }

    /// The text to store for an object of the feed.
    pub(super) fn text(&self, wanted: &Wanted<'a>) -> Vec<u8> {
        let object = self.object(wanted.key);
        object.map_or_else(Vec::new, |object| self.feed.write(object, &self.form(wanted.record, &object.key)))
    }

    /// Title and start of an object of the feed, for people.
    pub(super) fn description(&self, key: &Key) -> Option<(String, String)> {
        self.object(key).map(|object| (self.feed.summary(object), self.feed.start(object)))
    }

    /// The record of an object of the feed that stands, or is to stand, as these arguments say.
    pub(super) fn record(&self, wanted: &Wanted<'a>, href: Href, etag: Option<Etag>, standing: Standing) -> Record {
        let (summary, start) = self.description(wanted.key).unwrap_or_default();
        let content_hash = self.object(wanted.key).map_or(wanted.source_hash, |object| object.hash);
        Record {
            key: wanted.key.clone(),
            target_uid: self.target_uid(wanted.record, wanted.key),
            href,
            etag,
            source_hash: wanted.source_hash,
            sent_hash: wanted.sent_hash,
            server_hash: None,
            content_hash,
            restored_hash: None,
            start,
            summary,
            standing,
        }
    }

    fn object(&self, key: &Key) -> Option<&'a Object> {
        self.by_key.get(key).and_then(|place| self.feed.objects().get(*place))
    }

    fn form(&self, record: Option<&Record>, key: &Key) -> Form {
        Form { target_uid: self.target_uid(record, key), ..self.form.clone() }
    }

    /// What is sent has the hash of the source, unless the form changes it.
    fn sent_hash(&self, object: &Object, record: Option<&Record>) -> Hash {
        let form = self.form(record, &object.key);
        if form == Form::default() {
            return object.hash;
        }
        ics::identify(&self.feed.write(object, &form)).map_or(object.hash, |identified| identified.hash)
    }

    /// The UID that stands on the target when it is not the feed's: that of the record's first name.
    fn target_uid(&self, record: Option<&Record>, key: &Key) -> Option<String> {
        let Some(record) = record else { return self.substitutes.get(key).cloned() };
        let standing = record.target_uid.as_ref().unwrap_or(&record.key.uid);
        (*standing != key.uid).then(|| standing.clone())
    }
}

/// What the records have taken: an object that came under another UID keeps href and UID of its first name, and the feed
/// may issue that name again, to another object.
struct Taken<'a> {
    hrefs: HashSet<&'a Href>,
    uids: HashSet<(ComponentType, &'a str)>,
}

impl<'a> Taken<'a> {
    fn by(records: &'a HashMap<Key, Record>) -> Taken<'a> {
        let uid = |record: &'a Record| Some((record.key.component, record.target_uid.as_deref()?));
        Taken {
            hrefs: records.values().map(|record| &record.href).collect(),
            uids: records.values().filter_map(uid).collect(),
        }
    }

    /// The key under which a new object can be written: its own if that is free.
    fn free(&self, key: &Key, href: impl Fn(&Key) -> Href) -> Key {
        let substitute = |ordinal| Key { uid: ics::substitute_uid(&key.uid, ordinal), ..key.clone() };
        let is_free = |key: &Key| !self.uids.contains(&(key.component, &key.uid)) && !self.hrefs.contains(&href(key));
        let mut candidates = std::iter::once(key.clone()).chain((0..).map(substitute));
        candidates.find(is_free).unwrap_or_else(|| key.clone())
    }
}
