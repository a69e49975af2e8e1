//! The writing half of a round: sends creates and updates, then deletes, and finds out what caused each failure.

use std::collections::{HashMap, HashSet};

use super::matched::Matched;
use super::record::Recorder;
use super::settle::Left;
use crate::ics::Resource;
use crate::model::{Etag, Failure, Href, Objects, Record, Stored, TargetForm, Written};
use crate::plan::{
    Blame, CHANGING, Delete, FEW, LAST_CHANCE, MANY, OnDrift, Outcome, Probe, Put, StaleDelete, Standing, Wanted,
    Write, as_recorded, blame, once_more, stale_delete, stale_put,
};
use crate::report::human::title;
use crate::sync::execute::{Executor, stopped};
use crate::words::error::{Fault, Kind};
use crate::words::message::Why;

/// How many objects a probe writes again before it concludes that the calendar has a problem.
const CANDIDATES: usize = 3;

pub(super) struct Stage<'a> {
    pub(super) executor: Executor<'a>,
    pub(super) matched: &'a Matched<'a>,
    pub(super) total: usize,
    pub(super) progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// The outcome of a probe. `Ill` carries the problem; `Impossible`: there was nothing to probe with.
enum Probed {
    Healthy,
    Ill(anyhow::Error),
    Impossible,
}

impl Stage<'_> {
    /// Creates and updates. What failed in an earlier pass comes last. A failed write does not stop the others; blame
    /// is laid when all outcomes are known.
    pub(super) fn put(&self, puts: &[Put], recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut writes: Vec<Write> = puts.iter().cloned().map(Write::Put).collect();
        writes.sort_by_key(|write| recorder.is_suspect(write));
        let is_whole = self.send_all(&writes, recorder)?;
        self.settle_stale_puts(recorder)?;
        self.judge(is_whole, recorder)
    }

    /// Deletes, after everything else. An object that changed meanwhile is read again: with `restore` it is deleted
    /// anyway, otherwise it is released to whoever changed it. An object that a working server does not delete is
    /// left alone and reported.
    pub(super) fn delete(
        &self,
        deletes: &[Delete],
        on_drift: OnDrift,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        let writes: Vec<Write> = deletes.iter().cloned().map(Write::Delete).collect();
        let mut is_whole = self.send_all(&writes, recorder)?;
        let again = self.settle_stale_deletes(deletes, on_drift, recorder)?;
        is_whole &= self.send_all(&again, recorder)?;
        for write in std::mem::take(&mut recorder.stale) {
            recorder.fail(&write, failure(CHANGING));
        }
        self.judge(is_whole, recorder)
    }

    /// Sends writes, and retries temporary failures. After several failures in a row a probe decides whether to go
    /// on; a problem of the calendar itself is the error. `false` if too many failed and the rest was not sent.
    fn send_all(&self, writes: &[Write], recorder: &mut Recorder<'_>) -> anyhow::Result<bool> {
        let mut left: Vec<&Write> = writes.iter().collect();
        let mut tolerated = FEW;
        loop {
            self.send(&left, tolerated, recorder)?;
            left.retain(|write| !recorder.is_tried(write));
            if left.is_empty() {
                break;
            }
            match self.probe(recorder)? {
                Probed::Healthy => recorder.count(Outcome::Taken),
                Probed::Ill(error) => return recorder.give_up(error, Probe::Ill).map(|()| false),
                Probed::Impossible if recorder.failures_in_a_row >= MANY => return Ok(false),
                Probed::Impossible => {}
            }
            tolerated = tolerated.max(recorder.failures_in_a_row) + FEW;
        }
        let (again, failed): (Vec<_>, Vec<_>) =
            std::mem::take(&mut recorder.failed).into_iter().partition(|(_, failure)| failure.may_pass);
        recorder.failed = failed;
        let writes: Vec<&Write> = again.iter().map(|(write, _)| write).collect();
        recorder.untry(&writes);
        self.send(&writes, recorder.failures_in_a_row + FEW, recorder)?;
        // Writes that were not retried keep their first failure.
        let unsent: Vec<(Write, Failure)> = again.into_iter().filter(|(write, _)| !recorder.is_tried(write)).collect();
        recorder.failed.extend(unsent);
        Ok(true)
    }

    /// Decides what the failures of a pass mean, and records it. `is_whole`: everything was sent.
    fn judge(&self, is_whole: bool, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        recorder.refuse_verdicts()?;
        self.lay_blame(recorder)?;
        if is_whole {
            return Ok(());
        }
        let text = "so many events could not be stored that the others are left to the next run";
        Err(Fault::new(Kind::Unavailable, text).into())
    }

    fn lay_blame(&self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if recorder.failed.is_empty() {
            recorder.failures_in_a_row = 0;
            return Ok(());
        }
        let mut blamed = blame(recorder.failures_in_a_row, None);
        let mut trouble = None;
        if blamed == Blame::Ask {
            let probe;
            (probe, trouble) = match self.probe(recorder)? {
                Probed::Healthy => (Probe::Healthy, None),
                Probed::Ill(error) => (Probe::Ill, Some(error)),
                Probed::Impossible => (Probe::Impossible, None),
            };
            blamed = blame(recorder.failures_in_a_row, Some(probe));
        }
        let unclear = recorder.failed.first().map(|(write, failure)| self.unclear(write, failure, recorder));
        match (blamed, trouble, unclear) {
            (Blame::Events, ..) => {
                let failed = std::mem::take(&mut recorder.failed);
                recorder.failures_in_a_row = 0;
                failed.iter().try_for_each(|(write, failure)| recorder.refuse(write, &failure.reason))
            }
            (_, Some(trouble), _) => recorder.give_up(trouble, Probe::Ill),
            (_, None, Some(unclear)) => recorder.give_up(unclear, Probe::Impossible),
            (_, None, None) => Ok(()),
        }
    }

    /// The error for a failure that nothing explains.
    fn unclear(&self, write: &Write, failure: &Failure, recorder: &Recorder<'_>) -> anyhow::Error {
        let key = write.key();
        let summary = key.and_then(|key| self.matched.description(key)).map(|(summary, _)| summary).unwrap_or_default();
        let what = title(&summary, key.map_or("unknown", |key| &key.uid));
        let act = if matches!(write, Write::Delete(_)) { "deleted" } else { "stored" };
        let tries = recorder.suspicion(write).failed + 1;
        let others = match recorder.failed.len() {
            1 => String::new(),
            2 => ", nor could another one".to_owned(),
            failed => format!(", nor could {} others", failed - 1),
        };
        let text = format!(
            "{what} could not be {act}{others}: {} (try {tries} of {LAST_CHANCE}: nothing else was written that could show \
             whether the event or the server is to blame)",
            failure.reason
        );
        Fault::new(Kind::Unavailable, text).into()
    }

    /// Finds out whether the calendar accepts writes now: asks for our rights, and writes an object again that is
    /// already stored just as it would be written.
    fn probe(&self, recorder: &mut Recorder<'_>) -> anyhow::Result<Probed> {
        self.executor.collection.begin(Why::Probe);
        let rights = match self.executor.collection.rights() {
            Ok(rights) => rights,
            Err(error) => return Ok(Probed::Ill(error)),
        };
        let is_delete = recorder.failed.iter().all(|(write, _)| matches!(write, Write::Delete(_)));
        if !(if is_delete { rights.delete } else { rights.write }) {
            let act = if is_delete { "delete anything in" } else { "write to" };
            let text = format!("the user has no right to {act} this calendar");
            return Ok(Probed::Ill(Fault::new(Kind::Refused, text).into()));
        }
        // A single object may be the very one that the calendar no longer accepts.
        let mut trouble = None;
        for (wanted, etag) in self.written_before(recorder)? {
            let (href, probe) = (&wanted.place.href, Write::Put(once_more(wanted, &etag)));
            match self.executor.send(&probe, &|_: &Put| self.matched.text(wanted)) {
                Ok(Written::Done { etag }) => {
                    let before = wanted.record.and_then(Record::base).map(|base| base.form);
                    let form = recorder.forms.get(href).copied().or(before).unwrap_or(TargetForm::AsSent);
                    recorder.sent(wanted.key, &wanted.place, etag.as_ref(), form)?;
                    recorder.tried.insert(href.clone());
                    return Ok(Probed::Healthy);
                }
                // Somebody is changing it right now.
                Ok(Written::Stale | Written::UidTaken { .. }) => {}
                Ok(Written::Failed(failure)) => trouble = trouble.or(Some(failure.fault.into())),
                Err(error) => return Ok(Probed::Ill(error)),
            }
        }
        Ok(trouble.map_or(Probed::Impossible, Probed::Ill))
    }

    /// A few objects stored just as they would be written, with their versions; those of this pass first.
    fn written_before(&self, recorder: &Recorder<'_>) -> anyhow::Result<Vec<(&Wanted<'_>, Etag)>> {
        // An object that was only noted may be somebody's edit.
        let is_ours = |href: &Href| recorder.tried.contains(href) || recorder.equal.contains(href);
        let left = |wanted: &Wanted<'_>| {
            recorder.wrote.left.get(&wanted.place.href).filter(|_| is_ours(&wanted.place.href)).cloned()
        };
        let of_pass = self.matched.wanted.iter().filter_map(|wanted| Some((wanted, left(wanted)?))).take(CANDIDATES);
        let (mut found, mut untold) = (Vec::new(), Vec::new());
        for (wanted, left) in of_pass {
            match left {
                Left::Version(etag) => found.push((wanted, etag)),
                _ => untold.push(wanted),
            }
        }
        // The server did not return an ETag for these, and somebody may have edited them since.
        let hrefs: Vec<Href> = untold.iter().map(|wanted| wanted.place.href.clone()).collect();
        let stored = if hrefs.is_empty() { Vec::new() } else { self.executor.collection.read(&hrefs)?.stored };
        for wanted in untold {
            let stored = stored.iter().find(|stored| stored.href == wanted.place.href);
            let is_same = |stored: &&Stored| {
                let resource = Resource::read(stored.text.clone());
                resource.is_some_and(|resource| self.matched.says_the_same(wanted, &resource))
            };
            let stored = stored.filter(is_same);
            found.extend(stored.map(|stored| (wanted, stored.etag.clone())));
        }
        let is_touched = |href: &Href| recorder.tried.contains(href) || recorder.wrote.left.contains_key(href);
        let untouched = self.matched.wanted.iter().filter(|wanted| !is_touched(&wanted.place.href));
        found.extend(untouched.filter_map(|wanted| Some((wanted, as_recorded(wanted)?.clone()))).take(CANDIDATES));
        found.truncate(CANDIDATES);
        Ok(found)
    }

    /// If a precondition fails although it holds (nothing exists where an object is created, or exactly the named
    /// version does), the server rejects the content.
    fn settle_stale_puts(&self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if recorder.stale.is_empty() {
            return Ok(());
        }
        let hrefs: Vec<Href> = recorder.stale.iter().map(|write| write.href().clone()).collect();
        self.executor.collection.begin(Why::Read);
        let Objects { stored, unreadable } = self.executor.collection.read(&hrefs)?;
        let versions: HashMap<&Href, &Etag> = stored.iter().map(|stored| (&stored.href, &stored.etag)).collect();
        let unseen: HashSet<&Href> = unreadable.iter().collect();
        for write in std::mem::take(&mut recorder.stale) {
            let Write::Put(put) = &write else { continue };
            let standing = standing(&put.place().href, &versions, &unseen);
            match stale_put(put, standing, recorder.is_last_round) {
                Some(reason) => recorder.fail(&write, failure(reason)),
                None => recorder.stale.push(write),
            }
        }
        Ok(())
    }

    /// Returns the stale deletes to send again, with the version that is stored now.
    fn settle_stale_deletes(
        &self,
        deletes: &[Delete],
        on_drift: OnDrift,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<Vec<Write>> {
        let stale: Vec<Href> = recorder.stale.drain(..).map(|write| write.href().clone()).collect();
        if stale.is_empty() {
            return Ok(Vec::new());
        }
        self.executor.collection.begin(Why::Read);
        let Objects { stored, unreadable } = self.executor.collection.read(&stale)?;
        let versions: HashMap<&Href, &Etag> = stored.iter().map(|stored| (&stored.href, &stored.etag)).collect();
        let unseen: HashSet<&Href> = unreadable.iter().collect();
        let stale: HashSet<&Href> = stale.iter().collect();
        let mut again: Vec<Write> = Vec::new();
        for delete in deletes.iter().filter(|delete| stale.contains(&delete.href)) {
            let (key, href) = (delete.key.as_ref(), &delete.href);
            let found = stored.iter().find(|stored| stored.href == *href);
            let is_ours = found.is_some_and(|stored| recorder.is_as_left(key, stored));
            match stale_delete(delete, standing(href, &versions, &unseen), is_ours, on_drift) {
                StaleDelete::Failed(reason) => recorder.fail(&Write::Delete(delete.clone()), failure(reason)),
                StaleDelete::Again(delete) => again.push(Write::Delete(delete)),
                StaleDelete::Gone => recorder.forget_at(key, href)?,
                StaleDelete::Released => found.map_or(Ok(()), |stored| recorder.release(key, stored))?,
            }
        }
        recorder.untry(&again.iter().collect::<Vec<_>>());
        Ok(again)
    }

    /// Sends these writes until `tolerated` of them have failed in a row.
    fn send(&self, writes: &[&Write], tolerated: usize, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if writes.is_empty() {
            return Ok(());
        }
        let deletes = writes.iter().all(|write| matches!(write, Write::Delete(_)));
        self.executor.collection.begin(if deletes { Why::Delete } else { Why::Put });
        self.executor.execute(
            writes,
            |put| self.matched.wanted(put.key()).map(|wanted| self.matched.text(wanted)).unwrap_or_default(),
            |write, written: Written| {
                recorder.outcome(write, written)?;
                (self.progress)(recorder.tried.len().min(self.total), self.total);
                Ok(recorder.failures_in_a_row < tolerated)
            },
        )?;
        let all_told = writes.iter().all(|write| recorder.is_tried(write));
        match self.executor.stop.requested() {
            Some(_) if !all_told => Err(stopped()),
            _ => Ok(()),
        }
    }
}

/// What exists at an href, according to the last read.
fn standing<'a>(href: &Href, versions: &HashMap<&Href, &'a Etag>, unseen: &HashSet<&Href>) -> Standing<'a> {
    match versions.get(href) {
        Some(etag) => Standing::Version(etag),
        None if unseen.contains(href) => Standing::Unseen,
        None => Standing::Nothing,
    }
}

fn failure(reason: &str) -> Failure {
    Failure::of(Fault::new(Kind::Unavailable, reason))
}
