//! The records of a pass: kept in step with every outcome, here and in the state.

use std::collections::{HashMap, HashSet};

use super::gather::{Seen, hash_of};
use super::look::Known;
use super::matched::Matched;
use crate::db::state::{Handle, Id};
use crate::ics;
use crate::model::{self, Etag, Failure, Hash, Href, Key, Record, Standing, Written};
use crate::plan::{Op, Outcome, Probe, Suspicion, cause, failures_in_a_row};
use crate::report::{PassReport, Refused};
use crate::words::time::Timestamp;

/// What a pass left at an href.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// An object in this version.
    Version(Etag),
    /// An object in a version that the server did not tell; its record waits for it.
    Untold(Box<Record>),
    /// Nothing: the object was deleted.
    Nothing,
}

/// Writes outcomes into the state and counts them in the report.
pub(super) struct Recorder<'a> {
    pub(super) state: &'a Handle,
    pub(super) id: Id,
    pub(super) now: Timestamp,
    pub(super) matched: &'a Matched<'a>,
    /// What was known before.
    pub(super) known: &'a Known,
    /// What was read.
    pub(super) seen: &'a Seen,
    pub(super) report: &'a mut PassReport,
    /// What this pass left at each href that it wrote to: to recognise our own writes when settling.
    pub(super) written: HashMap<Href, Left>,
    /// Writes for which the target has another version than we thought.
    pub(super) stale: Vec<Op>,
    /// Writes whose UID stands elsewhere in the target.
    pub(super) uid_taken: Vec<Op>,
    /// Whether the state has intents.
    pub(super) intends: bool,
    /// No further round follows in this pass.
    pub(super) is_last_round: bool,
    /// Where the object stands that was written last.
    pub(super) last_written: Option<Href>,
    /// Where this pass has sent a write that was answered, or not, for good.
    pub(super) tried: HashSet<Href>,
    /// So many writes failed since the last one that got through, and nobody is blamed for them yet.
    pub(super) failures_in_a_row: usize,
    /// The writes that failed, until somebody is blamed.
    pub(super) failed: Vec<(Op, Failure)>,
    /// Where this pass found just what it would have written.
    pub(super) equal: HashSet<Href>,
    /// The forms over which this pass wrote because the target had drifted.
    pub(super) restored: HashMap<Href, Hash>,
    /// Why objects had been refused that were taken in this pass.
    pub(super) causes: HashSet<String>,
    /// What this pass has made.
    pub(super) made: HashMap<Href, Op>,
    /// The creates of this pass that were refused.
    pub(super) refused_creates: HashSet<Key>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        state: &'a Handle,
        id: Id,
        now: Timestamp,
        matched: &'a Matched<'a>,
        known: &'a Known,
        seen: &'a Seen,
        report: &'a mut PassReport,
    ) -> Recorder<'a> {
        Recorder {
            state,
            id,
            now,
            matched,
            known,
            seen,
            report,
            written: HashMap::new(),
            stale: Vec::new(),
            uid_taken: Vec::new(),
            intends: false,
            is_last_round: false,
            last_written: None,
            tried: HashSet::new(),
            failures_in_a_row: 0,
            failed: Vec::new(),
            equal: HashSet::new(),
            restored: HashMap::new(),
            causes: HashSet::new(),
            made: HashMap::new(),
            refused_creates: HashSet::new(),
        }
    }

    /// Carries out a step that sends nothing.
    pub(super) fn note(&mut self, op: &Op) -> anyhow::Result<()> {
        match op {
            Op::Rename { from, .. } => {
                self.report.renamed += u64::from(op.key().is_some_and(|to| to.uid != from.uid));
                self.rename(op, from)
            }
            Op::Note { key, href, etag, server_hash, adopted } => {
                self.report.adopted += u64::from(*adopted);
                self.equal.extend(server_hash.is_none().then(|| href.clone()));
                self.put(key, href, Some(etag), |record| record.server_hash = *server_hash)
            }
            Op::Keep { href, .. } => self.seen.kept.get(href).cloned().map_or(Ok(()), |record| self.write(record)),
            Op::Hold { key, href } => {
                let record = self.recorded_or_read(Some(key), href);
                let is_held = |record: &&Record| matches!(record.standing, Standing::Doomed { .. });
                let Some(held) = record.filter(|record| !is_held(record)).cloned() else { return Ok(()) };
                // What was refused is not what stands there, should the feed have it again.
                let was_refused = matches!(held.standing, Standing::Rejected { .. });
                let sent_hash = if was_refused { Hash([0; 32]) } else { held.sent_hash };
                self.write(Record { standing: Standing::Doomed { approved: false }, sent_hash, ..held })
            }
            Op::Forget { key } => self.forget(key),
            Op::Leave { key, reason } => {
                let refused = self.refused(key, reason, false);
                self.report.conflicts.push(refused);
                let standing = Standing::Foreign { reason: reason.clone() };
                self.put_unwritten(key, standing)
            }
            Op::Reject { key, reason } => self.reject(key, reason, 0),
            Op::Create { .. } | Op::Update { .. } | Op::Delete { .. } => Ok(()),
        }
    }

    /// Records how a write ended.
    pub(super) fn outcome(&mut self, op: &Op, written: Written) -> anyhow::Result<()> {
        self.tried.extend(op.href().cloned());
        match written {
            Written::Done { etag } => {
                self.count(Outcome::Taken);
                self.done(op, etag.as_ref())?;
            }
            Written::UidTaken { .. } if self.is_last_round => {
                self.refuse(op, "the server says that this UID stands in another object of the calendar")?;
            }
            Written::UidTaken { .. } => self.uid_taken.push(op.clone()),
            Written::Stale => self.stale.push(op.clone()),
            Written::Failed(failure) => self.fail(op, failure),
        }
        Ok(())
    }

    /// Remembers a failure until somebody is blamed for it.
    pub(super) fn fail(&mut self, op: &Op, failure: Failure) {
        if !failure.is_verdict {
            self.count(if failure.fault.hung { Outcome::Hung } else { Outcome::Failed });
        }
        self.failed.push((op.clone(), failure));
    }

    /// Counts how a write ended for the question whether the calendar still takes anything.
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.failures_in_a_row = failures_in_a_row(self.failures_in_a_row, outcome);
    }

    /// Whether a write was answered, or not, for good.
    pub(super) fn is_tried(&self, op: &Op) -> bool {
        op.href().is_some_and(|href| self.tried.contains(href))
    }

    /// These are sent once more.
    pub(super) fn untry(&mut self, ops: &[&Op]) {
        for href in ops.iter().filter_map(|op| op.href()) {
            self.tried.remove(href);
        }
    }

    /// What earlier passes know of the object of a write.
    pub(super) fn suspicion(&self, op: &Op) -> Suspicion {
        op.key().and_then(|key| self.known.suspects.get(key)).copied().unwrap_or_default()
    }

    /// Whether a write is likely to fail: it did so before.
    pub(super) fn is_suspect(&self, op: &Op) -> bool {
        let was_refused = |record: &Record| matches!(record.standing, Standing::Rejected { .. });
        let record = op.key().and_then(|key| self.matched.wanted(key)).and_then(|wanted| wanted.record);
        record.is_some_and(was_refused) || self.suspicion(op) != Suspicion::default()
    }

    /// Refuses the objects that the answers themselves name as the cause.
    pub(super) fn refuse_verdicts(&mut self) -> anyhow::Result<()> {
        let (verdicts, doubtful): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.failed).into_iter().partition(|(_, failure)| failure.is_verdict);
        self.failed = doubtful;
        verdicts.iter().try_for_each(|(op, failure)| self.refuse(op, &failure.reason))
    }

    /// Nothing shows that the failed objects are to blame, or the calendar is in trouble. Each is remembered as a suspect;
    /// those that were suspected often enough are refused, and if no other is left, the pass goes on.
    pub(super) fn give_up(&mut self, error: anyhow::Error, probe: Probe) -> anyhow::Result<()> {
        self.refuse_verdicts()?;
        let failed = std::mem::take(&mut self.failed);
        self.failures_in_a_row = 0;
        let mut is_explained = !failed.is_empty();
        for (op, failure) in failed {
            if self.suspect(&op, failure.fault.hung, probe)? {
                self.refuse(&op, &failure.reason)?;
            } else {
                is_explained = false;
            }
        }
        if is_explained { Ok(()) } else { Err(error) }
    }

    /// Remembers an object as a suspect; whether that is enough to refuse it. A calendar in trouble makes none a suspect,
    /// but for those on which the server hung.
    fn suspect(&mut self, op: &Op, hung: bool, probe: Probe) -> anyhow::Result<bool> {
        // What cannot be named cannot be suspected either.
        let Some(key) = op.key().cloned() else { return Ok(probe == Probe::Impossible) };
        if probe == Probe::Ill && !hung {
            return Ok(false);
        }
        let suspicion = self.suspicion(op).after(if hung { Outcome::Hung } else { Outcome::Failed });
        let id = self.id;
        self.state.write(move |state| state.set_suspect(id, &key, suspicion))?;
        Ok(suspicion.is_enough())
    }

    /// The server does not take a write, and the object is to blame.
    pub(super) fn refuse(&mut self, op: &Op, reason: &str) -> anyhow::Result<()> {
        match op {
            Op::Create { key, .. } | Op::Update { key, .. } => {
                if matches!(op, Op::Create { .. }) {
                    self.refused_creates.insert(key.clone());
                }
                let tries = match self.matched.wanted(key).and_then(|wanted| Some((wanted, wanted.record?))) {
                    Some((wanted, record)) if record.source_hash == wanted.source_hash => tries_of(record),
                    _ => 0,
                };
                self.reject(key, reason, tries + 1)
            }
            _ => self.cannot_delete(op, &format!("the server refuses the deletion: {reason}")),
        }
    }

    fn done(&mut self, op: &Op, etag: Option<&Etag>) -> anyhow::Result<()> {
        match op {
            Op::Create { key, href, restores } => {
                self.report.created += 1;
                self.made.insert(href.clone(), op.clone());
                self.recovered(self.matched.wanted(key).and_then(|wanted| wanted.record));
                self.report.restored += u64::from(*restores);
                self.last_written = Some(href.clone());
                self.put(key, href, etag, |_| {})
            }
            Op::Update { key, href, restores, .. } => {
                self.report.updated += 1;
                self.recovered(self.matched.wanted(key).and_then(|wanted| wanted.record));
                self.report.restored += u64::from(restores.is_some());
                self.restored.extend(restores.map(|hash| (href.clone(), hash)));
                self.last_written = Some(href.clone());
                self.put(key, href, etag, |record| record.restored_hash = *restores)
            }
            Op::Delete { key, href, .. } => {
                self.report.deleted += 1;
                self.recovered(self.recorded_at(key.as_ref(), href));
                self.written.insert(href.clone(), Left::Nothing);
                self.forget_intents(href)?;
                self.forget_at(key.as_ref(), href)
            }
            // Steps that send nothing have no outcome.
            _ => Ok(()),
        }
    }

    /// An object was taken; what was refused for the same cause may be taken too.
    fn recovered(&mut self, record: Option<&Record>) {
        let refusal = record.and_then(|record| match &record.standing {
            Standing::Rejected { reason, tries: 1.., .. } | Standing::Undeletable { reason, .. } => {
                Some((reason, record))
            }
            _ => None,
        });
        self.causes.extend(refusal.map(|(reason, record)| cause(reason, &record.key, &record.href)));
    }

    /// Refuses an object: it is remembered with its reason, and sent again when its time has come or when it changes.
    /// `tries`: how often the server refused it.
    fn reject(&mut self, key: &Key, reason: &str, tries: u32) -> anyhow::Result<()> {
        let refused = self.refused(key, reason, tries > 1);
        self.report.rejected.push(refused);
        self.put_unwritten(key, Standing::Rejected { reason: reason.to_owned(), at: self.now, tries })
    }

    /// The server does not delete an object. It is remembered with the reason; a second object of a key is left for good.
    fn cannot_delete(&mut self, op: &Op, reason: &str) -> anyhow::Result<()> {
        let Op::Delete { key, href, etag } = op else { return Ok(()) };
        let record = self.recorded_or_read(key.as_ref(), href);
        let reason = format!("it left the feed, but {reason}");
        let uid = key.as_ref().map_or(href.as_str(), |key| &key.uid).to_owned();
        let summary = record.map(|record| record.summary.clone()).unwrap_or_default();
        let is_undeletable = |record: &&Record| matches!(record.standing, Standing::Undeletable { .. });
        let tries = record.filter(is_undeletable).map_or(0, tries_of) + 1;
        self.report.rejected.push(Refused { uid, summary, reason: reason.clone(), again: tries > 1 });
        match record {
            Some(record) => {
                let standing = Standing::Undeletable { reason, at: self.now, tries };
                self.write(Record { etag: Some(etag.clone()), standing, ..record.clone() })
            }
            None => self.leave(href, etag, key.as_ref()),
        }
    }

    /// What the server said it had made is not there: that is a refusal too.
    pub(super) fn not_made(&mut self, href: &Href) -> anyhow::Result<()> {
        let Some(op) = self.made.remove(href) else { return Ok(()) };
        let restores = matches!(op, Op::Create { restores: true, .. });
        self.report.created = self.report.created.saturating_sub(1);
        self.report.restored = self.report.restored.saturating_sub(u64::from(restores));
        self.written.remove(href);
        self.refuse(&op, "the server says that it is stored, and does not have it")
    }

    /// What the server said it had deleted is still there: that is a refusal too.
    /// `key`: that of its record.
    pub(super) fn not_deleted(&mut self, stored: &model::Stored, key: Option<Key>) -> anyhow::Result<()> {
        self.report.deleted = self.report.deleted.saturating_sub(1);
        self.written.insert(stored.href.clone(), Left::Version(stored.etag.clone()));
        let op = Op::Delete { key, href: stored.href.clone(), etag: stored.etag.clone() };
        self.cannot_delete(&op, "the server says that it is deleted, and still has it")
    }

    /// Leaves an object to whoever edited it.
    pub(super) fn release(&mut self, key: Option<&Key>, stored: &model::Stored) -> anyhow::Result<()> {
        self.leave(&stored.href, &stored.etag, key)?;
        self.forget_at(key, &stored.href)
    }

    /// Nothing of ours stands at this href any more. A second object of a key has no record: that one is of the first.
    pub(super) fn forget_at(&mut self, key: Option<&Key>, href: &Href) -> anyhow::Result<()> {
        let recorded = self.recorded_at(key, href).map(|record| record.key.clone());
        recorded.map_or(Ok(()), |key| self.forget(&key))
    }

    fn recorded_at(&self, key: Option<&Key>, href: &Href) -> Option<&'a Record> {
        self.known.records.get(key?).filter(|record| record.href == *href)
    }

    /// The record of an object, or that which can be made of what was read where none names it.
    fn recorded_or_read(&self, key: Option<&Key>, href: &Href) -> Option<&'a Record> {
        self.recorded_at(key, href).or_else(|| self.seen.nameless.get(href))
    }

    /// What is left alone keeps its href, so it is remembered as foreign.
    fn leave(&mut self, href: &Href, etag: &Etag, key: Option<&Key>) -> anyhow::Result<()> {
        let (id, object) = (self.id, (href.clone(), etag.clone(), key.cloned()));
        self.state.write(move |state| state.add_foreign_object(id, &object))
    }

    fn refused(&self, key: &Key, reason: &str, again: bool) -> Refused {
        let summary = self.matched.description(key).map_or_else(String::new, |(summary, _)| summary);
        Refused { uid: key.uid.clone(), summary, reason: reason.to_owned(), again }
    }

    /// The record of an object that stands on the target as we want it.
    pub(super) fn put(
        &mut self,
        key: &Key,
        href: &Href,
        etag: Option<&Etag>,
        adjust: impl FnOnce(&mut Record),
    ) -> anyhow::Result<()> {
        let Some(wanted) = self.matched.wanted(key) else {
            return Ok(());
        };
        let mut record = self.matched.record(wanted, href.clone(), etag.cloned(), Standing::Mirrored);
        adjust(&mut record);
        let left = etag.map_or_else(|| Left::Untold(Box::new(record.clone())), |etag| Left::Version(etag.clone()));
        self.written.insert(href.clone(), left);
        self.forget_intents(href)?;
        self.write(record)
    }

    /// The record of an object that was not written; what stands on the target, if anything, is as it was.
    fn put_unwritten(&mut self, key: &Key, standing: Standing) -> anyhow::Result<()> {
        let Some(wanted) = self.matched.wanted(key) else {
            return Ok(());
        };
        let standing_etag = wanted.record.and_then(|record| record.etag.clone());
        let etag = standing_etag.filter(|_| !matches!(standing, Standing::Foreign { .. }));
        let record = self.matched.record(wanted, wanted.href.clone(), etag, standing);
        self.write(record)
    }

    /// Fills in what a later listing told of an object whose PUT was answered without ETag.
    pub(super) fn complete(&mut self, href: &Href, etag: &Etag) -> anyhow::Result<()> {
        let Some(Left::Untold(record)) = self.written.get(href) else {
            return Ok(());
        };
        let record = Record { etag: Some(etag.clone()), ..(**record).clone() };
        self.written.insert(href.clone(), Left::Version(etag.clone()));
        self.write(record)
    }

    fn rename(&mut self, op: &Op, from: &Key) -> anyhow::Result<()> {
        let wanted = op.key().and_then(|key| self.matched.wanted(key));
        let Some((wanted, old)) = wanted.and_then(|wanted| Some((wanted, wanted.record?))) else {
            return Ok(());
        };
        let mut record = self.matched.record(wanted, old.href.clone(), old.etag.clone(), old.standing.clone());
        record.server_hash = old.server_hash;
        // What stands on the target is still what was sent for the old name.
        record.sent_hash = old.sent_hash;
        self.forget(from)?;
        self.write(record)
    }

    fn write(&mut self, record: Record) -> anyhow::Result<()> {
        let id = self.id;
        self.state.write(move |state| state.put_record(id, &record))
    }

    /// Whether an object is as we wrote it, though no record says so.
    pub(super) fn is_intended(&self, stored: &model::Stored) -> bool {
        let identified = ics::identify(&stored.text);
        self.known.intends(&stored.href, hash_of(stored, identified.as_ref()))
    }

    /// The record says by now what became of them.
    fn forget_intents(&mut self, href: &Href) -> anyhow::Result<()> {
        if !self.intends {
            return Ok(());
        }
        let (id, href) = (self.id, href.clone());
        self.state.write(move |state| state.forget_intents_at(id, &href))
    }

    fn forget(&mut self, key: &Key) -> anyhow::Result<()> {
        let (id, key) = (self.id, key.clone());
        self.state.write(move |state| state.forget_record(id, &key))
    }
}

/// How often the server has refused an object, or its deletion.
fn tries_of(record: &Record) -> u32 {
    match record.standing {
        Standing::Rejected { tries, .. } | Standing::Undeletable { tries, .. } => tries,
        _ => 0,
    }
}
