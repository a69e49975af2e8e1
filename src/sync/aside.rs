//! Puts aside the stored bodies that a pass is about to overwrite or delete.

use std::collections::{HashMap, HashSet};

use crate::collection::Collection;
use crate::db::state::{Aside, Handle, Id};
use crate::model::{Href, Key};
use crate::plan::{Delete, Put};
use crate::words::message::Why;
use crate::words::time::Timestamp;

/// Bodies are read and stored in batches of this size to bound memory.
const PORTION: usize = 200;

/// What a pass has put aside.
pub(super) struct PutAside<'a> {
    pub(super) collection: &'a dyn Collection,
    pub(super) state: &'a Handle,
    pub(super) id: Id,
    pub(super) now: Timestamp,
    /// Bodies that were already read.
    pub(super) bodies: &'a HashMap<Href, Vec<u8>>,
    pub(super) done: HashSet<Href>,
}

impl PutAside<'_> {
    /// Puts aside what these writes overwrite or delete, once per pass; not what is gone or unreadable.
    pub(super) fn before(&mut self, puts: &[Put], deletes: &[Delete]) -> anyhow::Result<()> {
        let updates = puts.iter().filter_map(|put| match put {
            Put::Update { key, place, .. } => Some((place.href.clone(), (Some(key.clone()), false))),
            Put::Create { .. } => None,
        });
        let deletes = deletes.iter().map(|delete| (delete.href.clone(), (delete.key.clone(), true)));
        let about: HashMap<Href, (Option<Key>, bool)> = updates.chain(deletes).collect();
        let mut hrefs: Vec<Href> = about.keys().filter(|href| !self.done.contains(*href)).cloned().collect();
        if hrefs.is_empty() {
            return Ok(());
        }
        hrefs.sort();
        let (known, unread): (Vec<Href>, Vec<Href>) =
            hrefs.iter().cloned().partition(|href| self.bodies.contains_key(href));
        let known = known.into_iter().filter_map(|href| Some((href.clone(), self.bodies.get(&href)?.clone())));
        self.keep(&about, known.collect())?;
        self.collection.begin(Why::Read);
        for portion in unread.chunks(PORTION) {
            let stored = self.collection.read(portion)?.stored.into_iter();
            self.keep(&about, stored.map(|stored| (stored.href, stored.text)).collect())?;
        }
        let now = self.now;
        self.state.write(move |state| state.let_go_of_old(now))?;
        self.done.extend(hrefs);
        // After a power failure a body must not be missing both here and in the calendar.
        self.state.commit()
    }

    fn keep(&self, about: &HashMap<Href, (Option<Key>, bool)>, bodies: Vec<(Href, Vec<u8>)>) -> anyhow::Result<()> {
        let aside = bodies.into_iter().map(|(href, text)| {
            let (key, is_deleted) = about.get(&href).cloned().unwrap_or_default();
            Aside { at: self.now, is_deleted, key, href, text }
        });
        let (id, aside) = (self.id, aside.collect::<Vec<_>>());
        self.state.write(move |state| state.put_aside(id, &aside))
    }
}
