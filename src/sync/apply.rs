//! The writing half of a round: sends creates and updates, then deletes, and finds out whose fault it is when one fails.

use std::collections::{HashMap, HashSet};

use super::matched::Matched;
use super::record::{Left, Recorder};
use crate::ics;
use crate::model::{Etag, Failure, Href, Objects, Precondition, Standing, Stored, Written};
use crate::plan::{Blame, FEW, LAST_CHANCE, MANY, OnDrift, Op, Outcome, Probe, Wanted, blame};
use crate::report::human::title;
use crate::sync::execute::{Executor, stopped};
use crate::words::error::{Fault, Kind};
use crate::words::message::Why;

/// So many objects are written once more before the calendar is believed to be in trouble.
const CANDIDATES: usize = 3;

/// The writing half of a round.
pub(super) struct Stage<'a> {
    pub(super) executor: Executor<'a>,
    pub(super) matched: &'a Matched<'a>,
    pub(super) total: usize,
    pub(super) progress: &'a (dyn Fn(usize, usize) + Sync),
}

/// What a probe showed, and what is wrong when it went wrong.
enum Probed {
    Healthy,
    Ill(anyhow::Error),
    Impossible,
}

impl Stage<'_> {
    /// Creates and updates. What failed in an earlier pass comes last. A write that fails does not keep the others back;
    /// what is to be blamed for it is decided when all outcomes are known.
    pub(super) fn put(&self, ops: &[&Op], recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut ordered = ops.to_vec();
        ordered.sort_by_key(|op| recorder.is_suspect(op));
        let is_whole = self.send_all(&ordered, recorder)?;
        self.settle_stale_puts(recorder)?;
        self.judge(is_whole, recorder)
    }

    /// Deletes, after everything else. A version that changed meanwhile is read again: `restore` deletes it all the
    /// same, otherwise it is released to whoever changed it. What the server does not delete although it works is left
    /// there and named.
    pub(super) fn delete(&self, ops: &[&Op], on_drift: OnDrift, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut is_whole = self.send_all(ops, recorder)?;
        let again = self.settle_stale_deletes(ops, on_drift, recorder)?;
        is_whole &= self.send_all(&again.iter().collect::<Vec<_>>(), recorder)?;
        for op in std::mem::take(&mut recorder.stale) {
            recorder.fail(&op, failure(CHANGING));
        }
        self.judge(is_whole, recorder)
    }

    /// Sends writes, and once more what may pass by itself. When several fail in a row, a probe decides whether to go on;
    /// if the calendar turns out to be in trouble, that is the error. `false`: so many failed that the rest was not sent.
    fn send_all(&self, ops: &[&Op], recorder: &mut Recorder<'_>) -> anyhow::Result<bool> {
        let mut left = ops.to_vec();
        let mut tolerated = FEW;
        loop {
            self.send(&left, tolerated, recorder)?;
            left.retain(|op| !recorder.is_tried(op));
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
        let ops: Vec<&Op> = again.iter().map(|(op, _)| op).collect();
        recorder.untry(&ops);
        self.send(&ops, recorder.failures_in_a_row + FEW, recorder)?;
        // What was not sent again has failed as it did before.
        let unsent: Vec<(Op, Failure)> = again.into_iter().filter(|(op, _)| !recorder.is_tried(op)).collect();
        recorder.failed.extend(unsent);
        Ok(true)
    }

    /// Decides what the failures of a pass mean, and tells the record. `is_whole`: everything was sent.
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
        let unclear = recorder.failed.first().map(|(op, failure)| self.unclear(op, failure, recorder));
        match (blamed, trouble, unclear) {
            (Blame::Events, ..) => {
                let failed = std::mem::take(&mut recorder.failed);
                recorder.failures_in_a_row = 0;
                failed.iter().try_for_each(|(op, failure)| recorder.refuse(op, &failure.reason))
            }
            (_, Some(trouble), _) => recorder.give_up(trouble, Probe::Ill),
            (_, None, Some(unclear)) => recorder.give_up(unclear, Probe::Impossible),
            (_, None, None) => Ok(()),
        }
    }

    /// The sentence for a failure that nothing explains.
    fn unclear(&self, op: &Op, failure: &Failure, recorder: &Recorder<'_>) -> anyhow::Error {
        let key = op.key();
        let summary = key.and_then(|key| self.matched.description(key)).map(|(summary, _)| summary).unwrap_or_default();
        let what = title(&summary, key.map_or("unknown", |key| &key.uid));
        let act = if matches!(op, Op::Delete { .. }) { "deleted" } else { "stored" };
        let tries = recorder.suspicion(op).failed + 1;
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

    /// Finds out whether the calendar takes anything at this moment: asks for our rights, and writes an object once more
    /// that stands there just as it would be written.
    fn probe(&self, recorder: &mut Recorder<'_>) -> anyhow::Result<Probed> {
        self.executor.collection.begin(Why::Probe);
        let rights = match self.executor.collection.rights() {
            Ok(rights) => rights,
            Err(error) => return Ok(Probed::Ill(error)),
        };
        let is_delete = recorder.failed.iter().all(|(op, _)| matches!(op, Op::Delete { .. }));
        if !(if is_delete { rights.delete } else { rights.write }) {
            let act = if is_delete { "delete anything in" } else { "write to" };
            let text = format!("the user has no right to {act} this calendar");
            return Ok(Probed::Ill(Fault::new(Kind::Refused, text).into()));
        }
        // One object alone may be the one that the calendar does not take any more.
        let mut trouble = None;
        for (wanted, href, etag) in self.written_before(recorder)? {
            let text = self.matched.text(wanted);
            match self.executor.collection.put(&href, &text, &Precondition::Unchanged(etag)) {
                Ok(Written::Done { etag }) => {
                    let restored = recorder.restored.get(&href).copied();
                    let restored = restored.or_else(|| wanted.record.and_then(|record| record.restored_hash));
                    recorder.put(wanted.key, &href, etag.as_ref(), |record| record.restored_hash = restored)?;
                    recorder.tried.insert(href);
                    return Ok(Probed::Healthy);
                }
                // Somebody changes it at this moment.
                Ok(Written::Stale | Written::UidTaken { .. }) => {}
                Ok(Written::Failed(failure)) => trouble = trouble.or(Some(failure.fault.into())),
                Err(error) => return Ok(Probed::Ill(error)),
            }
        }
        Ok(trouble.map_or(Probed::Impossible, Probed::Ill))
    }

    /// A few objects that stand there just as they would be written, with their versions: those of this pass first.
    fn written_before(&self, recorder: &Recorder<'_>) -> anyhow::Result<Vec<(&Wanted<'_>, Href, Etag)>> {
        // What was only noted may be somebody's edit.
        let is_ours = |href: &Href| recorder.tried.contains(href) || recorder.equal.contains(href);
        let left = |wanted: &Wanted<'_>| recorder.written.get(&wanted.href).filter(|_| is_ours(&wanted.href)).cloned();
        let of_pass = self.matched.wanted.iter().filter_map(|wanted| Some((wanted, left(wanted)?))).take(CANDIDATES);
        let (mut found, mut untold) = (Vec::new(), Vec::new());
        for (wanted, left) in of_pass {
            match left {
                Left::Version(etag) => found.push((wanted, wanted.href.clone(), etag)),
                _ => untold.push(wanted),
            }
        }
        // Nobody told in which version these stand there, and somebody may have edited them since.
        let hrefs: Vec<Href> = untold.iter().map(|wanted| wanted.href.clone()).collect();
        let stored = if hrefs.is_empty() { Vec::new() } else { self.executor.collection.read(&hrefs)?.stored };
        for wanted in untold {
            let stored = stored.iter().find(|stored| stored.href == wanted.href);
            let stored = stored.filter(|stored| ics::same(&self.matched.text(wanted), &stored.text));
            found.extend(stored.map(|stored| (wanted, stored.href.clone(), stored.etag.clone())));
        }
        let is_touched = |href: &Href| recorder.tried.contains(href) || recorder.written.contains_key(href);
        let untouched = self.matched.wanted.iter().filter(|wanted| !is_touched(&wanted.href));
        found.extend(
            untouched
                .filter_map(|wanted| {
                    let record = wanted.record?;
                    let is_ours = record.standing == Standing::Mirrored && record.server_hash.is_none();
                    (is_ours && record.sent_hash == wanted.sent_hash).then_some(())?;
                    Some((wanted, record.href.clone(), record.etag.clone()?))
                })
                .take(CANDIDATES),
        );
        found.truncate(CANDIDATES);
        Ok(found)
    }

    /// A precondition that does not hold though it should is about the content: nothing stands where an object is to be
    /// made, or exactly the version that was named.
    fn settle_stale_puts(&self, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if recorder.stale.is_empty() {
            return Ok(());
        }
        let hrefs: Vec<Href> = recorder.stale.iter().filter_map(|op| op.href().cloned()).collect();
        self.executor.collection.begin(Why::Read);
        let Objects { stored, unreadable } = self.executor.collection.read(&hrefs)?;
        let standing: HashMap<&Href, &Etag> = stored.iter().map(|stored| (&stored.href, &stored.etag)).collect();
        let unseen: HashSet<&Href> = unreadable.iter().collect();
        for op in std::mem::take(&mut recorder.stale) {
            let holds = match &op {
                Op::Create { href, .. } => !standing.contains_key(href) && !unseen.contains(href),
                Op::Update { href, etag, .. } => standing.get(href) == Some(&etag),
                _ => false,
            };
            if holds {
                recorder.fail(&op, failure(BROKEN));
            } else if recorder.is_last_round {
                let is_unseen = op.href().is_some_and(|href| unseen.contains(href));
                recorder.fail(&op, failure(if is_unseen { UNSEEN } else { CHANGING }));
            } else {
                recorder.stale.push(op);
            }
        }
        Ok(())
    }

    /// What is to be deleted in the version that stands there now.
    fn settle_stale_deletes(
        &self,
        ops: &[&Op],
        on_drift: OnDrift,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<Vec<Op>> {
        let stale: Vec<Href> = recorder.stale.drain(..).filter_map(|op| op.href().cloned()).collect();
        if stale.is_empty() {
            return Ok(Vec::new());
        }
        self.executor.collection.begin(Why::Read);
        let Objects { stored, unreadable } = self.executor.collection.read(&stale)?;
        let mut standing: HashMap<Href, Stored> = stored.into_iter().map(|each| (each.href.clone(), each)).collect();
        let (stale, unseen): (HashSet<Href>, HashSet<Href>) =
            (stale.into_iter().collect(), unreadable.into_iter().collect());
        let mut again: Vec<Op> = Vec::new();
        for op in ops {
            let Op::Delete { key, href, etag } = op else { continue };
            if !stale.contains(href) {
                continue;
            }
            match standing.remove(href) {
                Some(stored) if stored.etag == *etag => recorder.fail(op, failure(BROKEN)),
                Some(stored) if on_drift == OnDrift::Restore || recorder.is_intended(&stored) => {
                    again.push(Op::Delete { key: key.clone(), href: href.clone(), etag: stored.etag });
                }
                Some(stored) => recorder.release(key.as_ref(), &stored)?,
                None if unseen.contains(href) => recorder.fail(op, failure(UNSEEN)),
                None => recorder.forget_at(key.as_ref(), href)?,
            }
        }
        recorder.untry(&again.iter().collect::<Vec<_>>());
        Ok(again)
    }

    /// Sends these, until so many have failed in a row.
    fn send(&self, ops: &[&Op], tolerated: usize, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        if ops.is_empty() {
            return Ok(());
        }
        let deletes = ops.iter().all(|op| matches!(op, Op::Delete { .. }));
        self.executor.collection.begin(if deletes { Why::Delete } else { Why::Put });
        let text = |op: &Op| op.key().and_then(|key| self.matched.wanted(key)).map(|wanted| self.matched.text(wanted));
        self.executor.execute(
            ops,
            |op| text(op).unwrap_or_default(),
            |op, written: Written| {
                recorder.outcome(op, written)?;
                (self.progress)(recorder.tried.len().min(self.total), self.total);
                Ok(recorder.failures_in_a_row < tolerated)
            },
        )?;
        let all_told = ops.iter().all(|op| recorder.is_tried(op));
        match self.executor.stop.requested() {
            Some(_) if !all_told => Err(stopped()),
            _ => Ok(()),
        }
    }
}

const BROKEN: &str = "the server answered 412, though what it was told of the calendar is true";
const UNSEEN: &str = "something stands in its place that the server does not let us read";
const CHANGING: &str = "it has another version whenever it is looked at";

fn failure(reason: &str) -> Failure {
    Failure::of(Fault::new(Kind::Unavailable, reason))
}
