//! A calendar and a feed in memory, with a fuse that blows after so many writes and a hook for someone who meddles.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use baikal_sync::collection::{Abilities, Collection};
use baikal_sync::feed::{Fetched, Source};
use baikal_sync::model::{
    Changes, Entry, Etag, Failure, Href, Listed, Mark, Objects, Precondition, Rights, Stored, Validators, Written,
};
use baikal_sync::words::error::{Fault, Kind};
use baikal_sync::words::message::Why;

/// What a collection in memory can do, or does wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Habits {
    /// It knows sync-collection.
    pub(crate) tells_changes: bool,
    /// PUT answers without ETag, because the server adds a line of its own to every object.
    pub(crate) rewrites: bool,
    /// It takes each UID once (RFC 4791 §5.3.2.1, `no-uid-conflict`), and does not tell where it stands.
    pub(crate) one_uid: bool,
    /// How many workers may write at once.
    pub(crate) connections: usize,
}

/// A collection of (name -> version, text).
pub(crate) struct Memory {
    habits: Habits,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    one_uid: bool,
    objects: BTreeMap<String, (u64, Vec<u8>)>,
    /// Every change: its number is the version that it made.
    log: Vec<String>,
    writes: Vec<String>,
    fuse: Option<Fuse>,
    meddler: Option<Meddler>,
    alarm: Option<Alarm>,
    refused: BTreeSet<String>,
    edits: Vec<Edit>,
    requests: usize,
    mishaps: Vec<&'static str>,
    why: Why,
}

/// Is rung at the n-th request.
struct Alarm {
    at: usize,
    mishap: Option<&'static str>,
    rings: Box<dyn FnOnce() + Send>,
    /// Nothing is written any more from then on.
    cuts: bool,
}

/// Goes wrong at a write, before or after it has got through.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fuse {
    pub(crate) after: usize,
    pub(crate) gets_through: bool,
    /// The connection breaks; otherwise the server answers with an error.
    pub(crate) breaks: bool,
    /// So many writes go wrong; `None`: all from then on.
    pub(crate) lasts: Option<usize>,
}

/// Somebody who changes the collection before the n-th request from now.
pub(crate) struct Meddler {
    pub(crate) at: usize,
    pub(crate) does: Edit,
}

/// What somebody does by hand.
#[derive(Debug, Clone)]
pub(crate) enum Edit {
    Write(String, Vec<u8>),
    Remove(String),
}

impl Memory {
    pub(crate) fn new(habits: Habits) -> Memory {
        Memory { habits, inside: Mutex::new(Inside { one_uid: habits.one_uid, ..Inside::default() }) }
    }

    /// The text of every object, by name.
    pub(crate) fn objects(&self) -> BTreeMap<String, String> {
        let inside = self.inside.lock().unwrap();
        let texts = inside.objects.iter();
        texts.map(|(name, (_, text))| (name.clone(), String::from_utf8_lossy(text).into_owned())).collect()
    }

    /// The writes since the last call: `PUT name` and `DELETE name`, in their order.
    pub(crate) fn take_writes(&self) -> Vec<String> {
        std::mem::take(&mut self.inside.lock().unwrap().writes)
    }

    pub(crate) fn set_fuse(&self, fuse: Option<Fuse>) {
        self.inside.lock().unwrap().fuse = fuse;
    }

    /// Sets who meddles next; whoever waited until now does it at once.
    pub(crate) fn set_meddler(&self, meddler: Option<Meddler>) {
        let mut inside = self.inside.lock().unwrap();
        inside.requests = 0;
        if let Some(late) = std::mem::replace(&mut inside.meddler, meddler) {
            inside.apply(&late.does, false);
        }
    }

    pub(crate) fn edit(&self, edit: &Edit) {
        self.inside.lock().unwrap().apply(edit, false);
    }

    /// Calls `rings` before the n-th request from now; with `cuts`, nothing is written any more from then on.
    pub(crate) fn set_alarm(
        &self,
        at: usize,
        mishap: Option<&'static str>,
        cuts: bool,
        rings: impl FnOnce() + Send + 'static,
    ) {
        let mut inside = self.inside.lock().unwrap();
        inside.requests = 0;
        inside.alarm = Some(Alarm { at, mishap, rings: Box::new(rings), cuts });
    }

    /// Nobody is called any more.
    pub(crate) fn unset_alarm(&self) {
        self.inside.lock().unwrap().alarm = None;
    }

    /// Refuses every object in which one of these stands, from now on.
    pub(crate) fn refuse(&self, refused: BTreeSet<String>) {
        self.inside.lock().unwrap().refused = refused;
    }

    /// Everything that somebody did by hand.
    pub(crate) fn edits(&self) -> Vec<Edit> {
        self.inside.lock().unwrap().edits.clone()
    }

    /// What went wrong since the last call.
    pub(crate) fn take_mishaps(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.inside.lock().unwrap().mishaps)
    }

    fn request<T>(&self, answer: impl FnOnce(&mut Inside) -> T) -> T {
        let mut inside = self.inside.lock().unwrap();
        inside.requests += 1;
        let requests = inside.requests;
        if let Some(alarm) = inside.alarm.take_if(|alarm| alarm.at <= requests) {
            (alarm.rings)();
            inside.mishaps.extend(alarm.mishap);
            if alarm.cuts {
                inside.fuse = Some(Fuse { after: 0, gets_through: false, breaks: true, lasts: None });
            }
        }
        if inside.meddler.as_ref().is_some_and(|meddler| meddler.at <= inside.requests) {
            let does = inside.meddler.take().unwrap().does;
            let amid = (!inside.writes.is_empty()).then_some("someone does something amid the writes of a pass");
            inside.mishaps.extend(amid);
            inside.apply(&does, true);
        }
        answer(&mut inside)
    }

    fn write(&self, act: impl FnOnce(&mut Inside) -> Written) -> anyhow::Result<Written> {
        let cut = match self.habits.connections {
            0 | 1 => "a write is cut off, with one worker",
            _ => "a write is cut off, with several workers",
        };
        self.request(|inside| match inside.fuse.as_mut() {
            Some(fuse) if fuse.after > 0 => {
                fuse.after -= 1;
                Ok(act(inside))
            }
            Some(fuse) if fuse.lasts != Some(0) => {
                let Fuse { gets_through, breaks, .. } = *fuse;
                inside.mishaps.push(match (gets_through, breaks) {
                    (true, true) => "a write gets through and its answer does not",
                    (false, true) => cut,
                    (_, false) => "the server stumbles over a write",
                });
                fuse.lasts = fuse.lasts.map(|left| left - 1);
                // When the connection broke, nothing else gets through until somebody mends the fuse.
                fuse.gets_through &= !breaks;
                if gets_through {
                    act(inside);
                }
                Ok(failed(if breaks { "the fuse has blown" } else { "the server stumbled" }, !breaks))
            }
            _ => Ok(act(inside)),
        })
    }
}

impl Inside {
    fn apply(&mut self, edit: &Edit, in_pass: bool) {
        let (Edit::Write(name, _) | Edit::Remove(name)) = edit;
        let is_ours = self.objects.contains_key(name) && !name.starts_with("theirs");
        let mishap = match (edit, is_ours, in_pass) {
            (Edit::Write(_, text), ..) if self.one_uid && self.elsewhere(name, &String::from_utf8_lossy(text)) => {
                return;
            }
            (Edit::Write(..), true, true) => Some("someone edits an object of ours during a pass"),
            (Edit::Write(..), true, false) => Some("someone edits an object of ours"),
            (Edit::Write(..), false, true) => Some("someone adds an object during a pass"),
            (Edit::Write(..), false, false) => Some("someone adds an object"),
            (Edit::Remove(_), true, true) => Some("someone deletes an object of ours during a pass"),
            (Edit::Remove(_), true, false) => Some("someone deletes an object of ours"),
            (Edit::Remove(_), false, _) => None,
        };
        self.mishaps.extend(mishap);
        self.edits.push(edit.clone());
        match edit {
            Edit::Write(name, text) => {
                self.store(name, text.clone());
            }
            Edit::Remove(name) => self.remove(name),
        }
    }

    fn store(&mut self, name: &str, text: Vec<u8>) -> Etag {
        self.log.push(name.to_owned());
        let version = self.log.len() as u64;
        self.objects.insert(name.to_owned(), (version, text));
        etag(version)
    }

    fn remove(&mut self, name: &str) {
        if self.objects.remove(name).is_some() {
            self.log.push(name.to_owned());
        }
    }

    /// Where else the UID of this text stands.
    fn elsewhere(&self, name: &str, text: &str) -> bool {
        let mut others = self.objects.iter().filter(|(other, _)| *other != name);
        others.any(|(_, (_, standing))| uid(&String::from_utf8_lossy(standing)) == uid(text))
    }

    fn entry(&self, name: &str) -> Option<Entry> {
        self.objects.get(name).map(|(version, _)| Entry { href: Href::new(name), etag: etag(*version) })
    }
}

fn uid(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.strip_prefix("UID:")).map(str::to_owned)
}

/// What a person reads of an object.
fn says(text: &str) -> Vec<String> {
    let told = |line: &&str| ["UID:", "SUMMARY:", "LOCATION:", "DTSTART"].iter().any(|name| line.starts_with(name));
    text.lines().filter(told).map(str::to_owned).collect()
}

fn etag(version: u64) -> Etag {
    Etag::parse(&format!("\"v{version}\"")).unwrap()
}

impl Collection for Memory {
    fn open(&self, _create: bool) -> anyhow::Result<Abilities> {
        let connections = self.habits.connections.max(1);
        Ok(Abilities { connections, needs_schedule_agent: false, components: Vec::new() })
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        self.request(|inside| {
            let state = inside.log.len().to_string();
            let sync_token = self.habits.tells_changes.then(|| state.clone());
            Ok(Mark { ctag: Some(state), sync_token })
        })
    }

    fn list(&self) -> anyhow::Result<Listed> {
        self.request(|inside| {
            let entries = inside.objects.keys().filter_map(|name| inside.entry(name)).collect();
            Ok(Listed { entries, silent: Vec::new() })
        })
    }

    fn changes(&self, since: &str) -> anyhow::Result<Changes> {
        if !self.habits.tells_changes {
            return Ok(Changes::Unknown);
        }
        self.request(|inside| {
            let since: usize = since.parse().unwrap();
            let mut names: Vec<&String> = inside.log[since..].iter().collect();
            names.sort();
            names.dedup();
            let (there, gone): (Vec<&String>, Vec<&String>) =
                names.into_iter().partition(|name| inside.objects.contains_key(*name));
            Ok(Changes::Since {
                changed: there.into_iter().filter_map(|name| inside.entry(name)).collect(),
                gone: gone.into_iter().map(Href::new).collect(),
                sync_token: inside.log.len().to_string(),
            })
        })
    }

    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        self.request(|inside| {
            let stored = |href: &Href| {
                let (version, text) = inside.objects.get(href.as_str())?;
                Some(Stored { href: href.clone(), etag: etag(*version), text: text.clone() })
            };
            Ok(Objects { stored: hrefs.iter().filter_map(stored).collect(), unreadable: Vec::new() })
        })
    }

    fn rights(&self) -> anyhow::Result<Rights> {
        self.request(|inside| {
            let is_broken = |fuse: &Fuse| fuse.after == 0 && fuse.breaks && fuse.lasts != Some(0);
            if inside.fuse.as_ref().is_some_and(is_broken) {
                return Err(Fault::new(Kind::Unavailable, "the fuse has blown").into());
            }
            Ok(Rights { write: true, delete: true })
        })
    }

    fn begin(&self, why: Why) {
        self.inside.lock().unwrap().why = why;
    }

    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written> {
        let rewrites = self.habits.rewrites;
        self.write(|inside| {
            let standing = inside.entry(href.as_str()).map(|entry| entry.etag);
            let holds = match precondition {
                Precondition::Absent => standing.is_none(),
                Precondition::Unchanged(etag) => standing.as_ref() == Some(etag),
            };
            if !holds {
                inside.mishaps.push("a write finds another version");
                return Written::Stale;
            }
            let mut text = String::from_utf8(text.to_vec()).unwrap();
            if inside.refused.iter().any(|refused| text.contains(refused)) {
                inside.mishaps.push("the server refuses an object");
                return failed("not in this calendar", false);
            }
            if inside.one_uid && inside.elsewhere(href.as_str(), &text) {
                inside.mishaps.push("a UID is taken");
                return Written::UidTaken { href: None };
            }
            if rewrites {
                text = text.replace("END:VEVENT", "X-SERVER:was here\r\nEND:VEVENT");
            }
            // A probe writes what stands there, and nothing else.
            let is_probe = inside.why == Why::Probe;
            let standing =
                inside.objects.get(href.as_str()).map(|(_, standing)| says(&String::from_utf8_lossy(standing)));
            assert!(
                !is_probe || standing == Some(says(&text)),
                "a probe changes {}: {standing:?} {:?}",
                href.as_str(),
                says(&text)
            );
            inside.writes.push(format!("{} {}", if is_probe { "PROBE" } else { "PUT" }, href.as_str()));
            let is_of_someone = !is_probe && href.as_str().starts_with("theirs");
            inside.mishaps.extend(is_of_someone.then_some("an object of someone else is written"));
            let etag = inside.store(href.as_str(), text.into_bytes());
            Written::Done { etag: (!rewrites).then_some(etag) }
        })
    }

    fn delete(&self, href: &Href, etag: &Etag) -> anyhow::Result<Written> {
        self.write(|inside| match inside.entry(href.as_str()) {
            None => Written::Done { etag: None },
            Some(entry) if entry.etag != *etag => Written::Stale,
            Some(_) => {
                inside.writes.push(format!("DELETE {}", href.as_str()));
                inside.remove(href.as_str());
                Written::Done { etag: None }
            }
        })
    }
}

fn failed(reason: &str, may_pass: bool) -> Written {
    let fault = Fault::new(Kind::Unavailable, reason);
    Written::Failed(Failure { reason: reason.to_owned(), fault, is_verdict: false, may_pass })
}

/// A feed that is what it was last set to; its validator is its text.
#[derive(Default)]
pub(crate) struct Feed(Mutex<Vec<u8>>);

impl Feed {
    pub(crate) fn set(&self, text: impl Into<Vec<u8>>) {
        *self.0.lock().unwrap() = text.into();
    }
}

impl Source for Feed {
    fn fetch(&self, validators: &Validators) -> anyhow::Result<Fetched> {
        let body = self.0.lock().unwrap().clone();
        let etag = Some(String::from_utf8_lossy(&body).into_owned());
        if validators.etag == etag {
            return Ok(Fetched::NotModified);
        }
        Ok(Fetched::Document { body, charset: None, validators: Validators { etag, last_modified: None } })
    }
}
