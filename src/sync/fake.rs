//! For tests: a collection that answers as told and notes what it was asked.

use std::sync::Mutex;

use crate::collection::{Abilities, Collection};
use crate::model::{Changes, Entry, Etag, Href, Listed, Mark, Objects, Precondition, Rights, Stored, Written};

/// What stands in it, what it tells of changes, and the requests so far.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) standing: Vec<Entry>,
    /// What `changes` answers: changed, gone. The next sync-token is `next`.
    pub(super) changes: Option<(Vec<Entry>, Vec<Href>)>,
    pub(super) asked: Mutex<Vec<String>>,
}

impl Fake {
    /// The requests so far, in one line.
    pub(super) fn asked(&self) -> String {
        std::mem::take(&mut *self.asked.lock().unwrap()).join(", ")
    }

    fn note(&self, request: String) {
        self.asked.lock().unwrap().push(request);
    }
}

pub(super) fn etag(text: &str) -> Etag {
    Etag::parse(text).unwrap()
}

/// An entry `name@version`.
pub(super) fn entry(text: &str) -> Entry {
    let (name, version) = text.split_once('@').unwrap();
    Entry { href: Href::new(name), etag: etag(version) }
}

/// Several entries, separated by blanks.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    text.split_whitespace().map(entry).collect()
}

pub(super) fn hrefs(text: &str) -> Vec<Href> {
    text.split_whitespace().map(Href::new).collect()
}

impl Collection for Fake {
    fn open(&self, _create: bool) -> anyhow::Result<Abilities> {
        unreachable!("it is open")
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        unreachable!("the mark is given")
    }

    fn list(&self) -> anyhow::Result<Listed> {
        self.note("list".to_owned());
        Ok(Listed { entries: self.standing.clone(), silent: Vec::new() })
    }

    fn changes(&self, since: &str) -> anyhow::Result<Changes> {
        self.note(format!("changes {since}"));
        let Some((changed, gone)) = self.changes.clone() else { return Ok(Changes::Unknown) };
        Ok(Changes::Since { changed, gone, sync_token: "next".to_owned() })
    }

    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        self.note(format!("read {}", hrefs.iter().map(Href::as_str).collect::<Vec<_>>().join(" ")));
        let asked = self.standing.iter().filter(|entry| hrefs.contains(&entry.href)).cloned();
        let stored = asked.map(|Entry { href, etag }| Stored { href, etag, text: Vec::new() });
        Ok(Objects { stored: stored.collect(), unreadable: Vec::new() })
    }

    fn rights(&self) -> anyhow::Result<Rights> {
        unreachable!("nothing is written")
    }

    fn put(&self, _href: &Href, _text: &[u8], _precondition: &Precondition) -> anyhow::Result<Written> {
        unreachable!("nothing is written")
    }

    fn delete(&self, _href: &Href, _etag: &Etag) -> anyhow::Result<Written> {
        unreachable!("nothing is written")
    }
}
