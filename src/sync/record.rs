//! The records of a pass: kept in step with every outcome, here and in the state.

use std::collections::HashMap;

use super::look::Known;
use super::read::hash_of;
use super::wanted::Matched;
use crate::error::{Fault, Kind};
use crate::ics;
use crate::model::{Etag, Href, Key, Record, Standing, Stored, Written};
use crate::plan::Op;
use crate::report::{PassReport, Refused};
use crate::state::{Handle, Id};
use crate::time::Timestamp;

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
    /// What is recorded of objects that stay after they left the feed.
    pub(super) kept: &'a HashMap<Href, Record>,
    pub(super) report: &'a mut PassReport,
    /// What this pass left at each href that it wrote to: to recognise our own writes when settling.
    pub(super) written: HashMap<Href, Left>,
    /// Where the target has another version than we thought.
    pub(super) stale: Vec<Href>,
    /// Whether the state has intents.
    pub(super) intends: bool,
    /// No further round follows in this pass.
    pub(super) is_last_round: bool,
    /// Where the object stands that was written last.
    pub(super) last_written: Option<Href>,
    /// Objects on which the server failed, with what the trouble is when it fails on all.
    pub(super) faulted: Vec<(Op, Fault)>,
}

impl<'a> Recorder<'a> {
    pub(super) fn new(
        state: &'a Handle,
        id: Id,
        now: Timestamp,
        matched: &'a Matched<'a>,
        known: &'a Known,
        kept: &'a HashMap<Href, Record>,
        report: &'a mut PassReport,
    ) -> Recorder<'a> {
        Recorder {
            state,
            id,
            now,
            matched,
            known,
            kept,
            report,
            written: HashMap::new(),
            stale: Vec::new(),
            intends: false,
            is_last_round: false,
            last_written: None,
            faulted: Vec::new(),
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
                self.put(key, href, Some(etag), |record| record.server_hash = *server_hash)
            }
            Op::Keep { href, .. } => self.kept.get(href).cloned().map_or(Ok(()), |record| self.write(record)),
            Op::Hold { key, .. } => {
                let held =
                    self.known.records.get(key).map(|record| Record { standing: Standing::Doomed, ..record.clone() });
                held.map_or(Ok(()), |record| self.write(record))
            }
            Op::Forget { key } => self.forget(key),
            Op::Leave { key, reason } => {
                let refused = self.refused(key, reason);
                self.report.conflicts.push(refused);
                let standing = Standing::Foreign { reason: reason.clone() };
                self.put_unwritten(key, standing)
            }
            Op::Reject { key, reason } => self.reject(key, reason),
            Op::Create { .. } | Op::Update { .. } | Op::Delete { .. } => Ok(()),
        }
    }

    /// Takes in how a write ended.
    pub(super) fn outcome(&mut self, op: &Op, written: Written) -> anyhow::Result<()> {
        match (op, written) {
            (op, Written::Done { etag }) => self.done(op, etag.as_ref()),
            (Op::Create { key, .. } | Op::Update { key, .. }, Written::UidTaken { .. }) if self.is_last_round => {
                self.reject(key, "the server says that this UID stands in another object of the calendar")
            }
            (op, Written::Stale | Written::UidTaken { .. }) => {
                self.stale.extend(op.href().cloned());
                Ok(())
            }
            (Op::Create { key, .. } | Op::Update { key, .. }, Written::Rejected { reason }) => {
                self.reject(key, &reason)
            }
            (op, Written::Rejected { reason }) => {
                self.cannot_delete(op, &format!("the server refuses the deletion: {reason}"))
            }
            (op, Written::Forbidden { reason }) => {
                let message = format!("the server forbids the deletion: {reason}");
                self.faulted.push((op.clone(), Fault { kind: Kind::Refused, message, retry_after: None }));
                Ok(())
            }
            (op, Written::Faulted { reason }) => {
                let is_delete = matches!(op, Op::Delete { .. });
                let message = if is_delete { format!("the server fails on the deletion: {reason}") } else { reason };
                self.faulted.push((op.clone(), Fault { kind: Kind::Unavailable, message, retry_after: None }));
                Ok(())
            }
        }
    }

    fn done(&mut self, op: &Op, etag: Option<&Etag>) -> anyhow::Result<()> {
        match op {
            Op::Create { key, href, restores } => {
                self.report.created += 1;
                self.report.restored += u64::from(*restores);
                self.last_written = Some(href.clone());
                self.put(key, href, etag, |_| {})
            }
            Op::Update { key, href, restores, .. } => {
                self.report.updated += 1;
                self.report.restored += u64::from(restores.is_some());
                self.last_written = Some(href.clone());
                self.put(key, href, etag, |record| record.restored_hash = *restores)
            }
            Op::Delete { key, href, .. } => {
                self.report.deleted += 1;
                self.written.insert(href.clone(), Left::Nothing);
                self.forget_intents(href)?;
                self.forget_at(key.as_ref(), href)
            }
            // Steps that send nothing have no outcome.
            _ => Ok(()),
        }
    }

    /// Refuses an object: it is remembered with its reason and not sent again before it changes.
    pub(super) fn reject(&mut self, key: &Key, reason: &str) -> anyhow::Result<()> {
        let refused = self.refused(key, reason);
        self.report.rejected.push(refused);
        self.put_unwritten(key, Standing::Rejected { reason: reason.to_owned(), at: self.now })
    }

    /// The server does not delete an object. It is remembered with the reason; what has no record is left for good.
    pub(super) fn cannot_delete(&mut self, op: &Op, reason: &str) -> anyhow::Result<()> {
        let Op::Delete { key, href, etag } = op else { return Ok(()) };
        let record = self.recorded_at(key.as_ref(), href);
        let reason = format!("it left the feed, but {reason}");
        let uid = key.as_ref().map_or(href.as_str(), |key| &key.uid).to_owned();
        let summary = record.map(|record| record.summary.clone()).unwrap_or_default();
        self.report.rejected.push(Refused { uid, summary, reason: reason.clone() });
        match record {
            Some(record) => {
                let standing = Standing::Undeletable { reason, at: self.now };
                self.write(Record { etag: Some(etag.clone()), standing, ..record.clone() })
            }
            None => self.leave(href, etag, key.as_ref()),
        }
    }

    /// Leaves an object to whoever edited it.
    pub(super) fn release(&mut self, key: Option<&Key>, stored: &Stored) -> anyhow::Result<()> {
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

    /// What is left alone keeps its href, so it is remembered as foreign.
    fn leave(&mut self, href: &Href, etag: &Etag, key: Option<&Key>) -> anyhow::Result<()> {
        let (id, object) = (self.id, (href.clone(), etag.clone(), key.cloned()));
        self.state.write(move |state| state.add_foreign_object(id, &object))
    }

    fn refused(&self, key: &Key, reason: &str) -> Refused {
        let summary = self.matched.description(key).map_or_else(String::new, |(summary, _)| summary);
        Refused { uid: key.uid.clone(), summary, reason: reason.to_owned() }
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
    pub(super) fn is_intended(&self, stored: &Stored) -> bool {
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
