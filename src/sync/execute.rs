//! Executes the writes of a plan: workers talk to the target, and only the caller's thread writes the records.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::collection::Collection;
use crate::model::{Precondition, Written};
use crate::plan::{Put, Write};
use crate::signal::Stop;
use crate::words::error::{Kind, fault};

/// What is needed to execute writes.
#[derive(Clone, Copy)]
pub struct Executor<'a> {
    /// The target.
    pub collection: &'a dyn Collection,
    /// How many writes may be in flight at once, at least 1.
    pub connections: usize,
    /// A request to stop: pending writes finish, no other begins.
    pub stop: &'a Stop,
}

/// The outcome of a write. If it failed, the worker that sent it waits until this is dropped.
struct Told<'o> {
    write: &'o Write,
    outcome: anyhow::Result<Written>,
    _waits: Option<Sender<()>>,
}

impl Executor<'_> {
    /// Sends the writes. `text` returns the body of a create or update; `done` receives each outcome on the caller's
    /// thread, and returns whether to go on. If it does not, or if the target as a whole fails, no other request is
    /// begun.
    pub fn execute<'o>(
        &self,
        writes: &[&'o Write],
        text: impl Fn(&Put) -> Vec<u8> + Sync,
        mut done: impl FnMut(&'o Write, Written) -> anyhow::Result<bool>,
    ) -> anyhow::Result<()> {
        // Most passes have no deletes and nothing to retry; do not start threads for them.
        if writes.is_empty() {
            return Ok(());
        }
        let next = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        let workers = self.connections.clamp(1, writes.len());
        thread::scope(|scope| {
            let (sender, outcomes) = channel();
            for _ in 0..workers {
                let (sender, text, next, over) = (sender.clone(), &text, &next, &over);
                scope.spawn(move || self.work(writes, text, next, over, &sender));
            }
            drop(sender);
            let mut trouble = None;
            for Told { write, outcome, _waits } in outcomes {
                match outcome.and_then(|written| done(write, written)) {
                    Ok(true) => {}
                    Ok(false) => over.store(true, Ordering::Relaxed),
                    Err(error) => {
                        over.store(true, Ordering::Relaxed);
                        trouble.get_or_insert(error);
                    }
                }
            }
            trouble.map_or(Ok(()), Err)
        })
    }

    fn work<'o>(
        &self,
        writes: &[&'o Write],
        text: &(impl Fn(&Put) -> Vec<u8> + Sync),
        next: &AtomicUsize,
        over: &AtomicBool,
        outcomes: &Sender<Told<'o>>,
    ) {
        while !over.load(Ordering::Relaxed) {
            let Some(write) = writes.get(next.fetch_add(1, Ordering::Relaxed)).copied() else {
                return;
            };
            let outcome = match self.stop.requested() {
                Some(_) => Err(stopped()),
                None => self.send(write, text),
            };
            if outcome.is_err() {
                over.store(true, Ordering::Relaxed);
            }
            // After a failure, begin nothing else until the caller has judged it.
            let has_failed = matches!(outcome, Ok(Written::Failed(_)));
            let (waits, thought) = channel();
            let told = Told { write, outcome, _waits: has_failed.then_some(waits) };
            if outcomes.send(told).is_err() {
                return;
            }
            if has_failed {
                // Returns when the caller drops the other half.
                let _ = thought.recv();
            }
        }
    }

    /// Sends one write.
    pub(super) fn send(&self, write: &Write, text: &(impl Fn(&Put) -> Vec<u8> + Sync)) -> anyhow::Result<Written> {
        match write {
            Write::Put(put @ Put::Create { place, .. }) => {
                self.collection.put(&place.href, &text(put), &Precondition::Absent)
            }
            Write::Put(put @ Put::Update { place, etag, .. }) => {
                self.collection.put(&place.href, &text(put), &Precondition::Unchanged(etag.clone()))
            }
            Write::Delete(delete) => self.collection.delete(&delete.href, &delete.etag),
        }
    }
}

/// The error of a run that was asked to stop.
pub fn stopped() -> anyhow::Error {
    fault(Kind::Stopped, "stopped on request; the next run goes on from here")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::collection::Abilities;
    use crate::model::{Changes, ComponentType, Etag, Failure, Href, Key, Listed, Mark, Objects, Place, Rights};
    use crate::words::error::Fault;

    /// A target that accepts everything, but breaks at one name and blocks at another until it is released.
    #[derive(Default)]
    struct Target {
        breaks_at: &'static str,
        fails_at: &'static str,
        waits: Option<(&'static str, Mutex<Receiver<()>>)>,
        sent: Mutex<Vec<String>>,
    }

    impl Collection for Target {
        fn open(&self, _create: bool) -> anyhow::Result<Abilities> {
            unreachable!("the executor only writes")
        }

        fn mark(&self) -> anyhow::Result<Mark> {
            unreachable!("the executor only writes")
        }

        fn list(&self) -> anyhow::Result<Listed> {
            unreachable!("the executor only writes")
        }

        fn changes(&self, _since: &str) -> anyhow::Result<Changes> {
            unreachable!("the executor only writes")
        }

        fn read(&self, _hrefs: &[Href]) -> anyhow::Result<Objects> {
            unreachable!("the executor only writes")
        }

        fn rights(&self) -> anyhow::Result<Rights> {
            unreachable!("the executor only writes")
        }

        fn put(&self, href: &Href, _text: &[u8], _precondition: &Precondition) -> anyhow::Result<Written> {
            self.sent.lock().unwrap().push(href.as_str().to_owned());
            if let Some((_, told)) = self.waits.as_ref().filter(|(name, _)| *name == href.as_str()) {
                told.lock().unwrap().recv().unwrap();
            }
            if self.fails_at == href.as_str() {
                return Ok(Written::Failed(Failure::of(Fault::new(Kind::Unavailable, "500"))));
            }
            let breaks = self.breaks_at == href.as_str();
            if breaks { Err(fault(Kind::Unavailable, "broken")) } else { Ok(Written::Done { etag: None }) }
        }

        fn delete(&self, _href: &Href, _etag: &Etag) -> anyhow::Result<Written> {
            unreachable!("nothing is deleted here")
        }
    }

    fn creates(names: &[&str]) -> Vec<Write> {
        let key = |uid: &str| Key { component: ComponentType::Event, uid: uid.to_owned() };
        let place = |name: &str| Place { href: Href::new(name), uid: None };
        let create = |name: &&str| Put::Create { key: key(name), place: place(name), restores: false };
        names.iter().map(|name| Write::Put(create(name))).collect()
    }

    /// Creates objects with these names; returns the reported names, and whether all went well.
    fn execute(
        target: &Target,
        connections: usize,
        names: &[&str],
        mut done: impl FnMut(&str) -> anyhow::Result<bool>,
    ) -> (Vec<String>, bool) {
        let (writes, mut told) = (creates(names), Vec::new());
        let executor = Executor { collection: target, connections, stop: &Stop::default() };
        let result = executor.execute(
            &writes.iter().collect::<Vec<_>>(),
            |_| Vec::new(),
            |write, _| {
                let name = write.href().as_str();
                told.push(name.to_owned());
                done(name)
            },
        );
        told.sort();
        (told, result.is_ok())
    }

    #[test]
    fn every_write_is_sent_and_told_once_by_any_number_of_workers() {
        for connections in [1, 2, 4, 9] {
            let target = Target::default();
            let told = execute(&target, connections, &["a", "b", "c", "d", "e"], |_| Ok(true));
            let mut sent = target.sent.into_inner().unwrap();
            sent.sort();
            assert_eq!((told, sent.join("")), ((sent.clone(), true), "abcde".to_owned()));
        }
    }

    #[test]
    fn nothing_is_sent_after_the_target_broke() {
        let target = Target { breaks_at: "b", ..Target::default() };
        assert_eq!(execute(&target, 1, &["a", "b", "c", "d"], |_| Ok(true)), (vec!["a".to_owned()], false));
        assert_eq!(target.sent.into_inner().unwrap(), ["a", "b"]);
    }

    #[test]
    fn nothing_is_sent_after_somebody_asked_for_a_pause() {
        let target = Target { fails_at: "b", ..Target::default() };
        let told = execute(&target, 1, &["a", "b", "c"], |name| Ok(name != "b"));
        assert_eq!(told, (vec!["a".to_owned(), "b".to_owned()], true));
    }

    #[test]
    fn what_was_in_hand_when_trouble_began_is_told_all_the_same() {
        let (go, gone) = channel();
        let target = Target { waits: Some(("a", Mutex::new(gone))), ..Target::default() };
        let told = execute(&target, 2, &["a", "b"], |name| match name {
            "b" => {
                go.send(()).unwrap();
                Err(fault(Kind::State, "the disk is full"))
            }
            _ => Ok(true),
        });
        assert_eq!(told, (vec!["a".to_owned(), "b".to_owned()], false));
    }
}
