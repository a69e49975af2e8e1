//! Keeps the records of a pass in step with every outcome, here and in the state.

use std::collections::{HashMap, HashSet};

use super::known::Known;
use super::matched::Matched;
use super::seen::{Parsed, Seen};
use super::settle::{Left, Settled, Wrote};
use crate::db::state::{Handle, Id};
use crate::model::{
    self, Base, Before, Entry, Etag, Failure, Gone, Href, Key, Mark, Occupant, Place, Record, Refusal, Status,
    TargetForm, Written,
};
use crate::plan::{Delete, Note, OnDrift, Outcome, Probe, Put, Suspicion, Write, before_now, cause, failures_in_a_row};
use crate::report::{PassReport, Refused};
use crate::words::time::Timestamp;

/// Writes outcomes to the state and counts them in the report.
pub(super) struct Recorder<'a> {
    pub(super) state: &'a Handle,
    pub(super) id: Id,
    pub(super) now: Timestamp,
    pub(super) matched: &'a Matched<'a>,
    /// What was known before the pass.
    pub(super) known: &'a Known,
    /// What was read.
    pub(super) seen: &'a Seen,
    pub(super) report: &'a mut PassReport,
    /// What this pass wrote, to recognise it when settling.
    pub(super) wrote: Wrote,
    /// The records that wait for the version of what was written.
    pub(super) untold: HashMap<Href, Record>,
    /// Writes for which the target has another version than expected.
    pub(super) stale: Vec<Write>,
    /// Writes whose UID exists elsewhere in the target.
    pub(super) uid_taken: Vec<Write>,
    /// Hrefs in the journal.
    pub(super) journal: HashSet<Href>,
    /// What happens to what somebody changed.
    pub(super) on_drift: OnDrift,
    /// No further round follows in this pass.
    pub(super) is_last_round: bool,
    /// The href written last.
    pub(super) last_written: Option<Href>,
    /// Hrefs whose write was sent and is not to be repeated.
    pub(super) tried: HashSet<Href>,
    /// How many writes failed since the last success, with nobody blamed yet.
    pub(super) failures_in_a_row: usize,
    /// Failed writes that nobody is blamed for yet.
    pub(super) failed: Vec<(Write, Failure)>,
    /// Hrefs where this pass found exactly what it would have written.
    pub(super) equal: HashSet<Href>,
    /// What is stored at the hrefs of this pass instead of what was sent.
    pub(super) forms: HashMap<Href, TargetForm>,
    /// The earlier refusal reasons of objects that were accepted in this pass.
    pub(super) causes: HashSet<String>,
    /// The creates that were refused in this pass.
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
            wrote: Wrote::default(),
            untold: HashMap::new(),
            stale: Vec::new(),
            uid_taken: Vec::new(),
            journal: HashSet::new(),
            on_drift: OnDrift::default(),
            is_last_round: false,
            last_written: None,
            tried: HashSet::new(),
            failures_in_a_row: 0,
            failed: Vec::new(),
            equal: HashSet::new(),
            forms: HashMap::new(),
            causes: HashSet::new(),
            refused_creates: HashSet::new(),
        }
    }

    /// Executes a step that sends nothing.
    pub(super) fn note(&mut self, note: &Note) -> anyhow::Result<()> {
        match note {
            Note::Rename { from, to } => {
                self.report.renamed += u64::from(to.uid != from.uid);
                self.rename(from, to)
            }
            Note::Stands { key, base, adopted } => {
                self.report.adopted += u64::from(*adopted);
                self.equal.extend((base.form == TargetForm::AsSent).then(|| base.place.href.clone()));
                self.stands(key, base.clone())
            }
            Note::Removed { key } => {
                let wanted = self.matched.wanted(key);
                let removed =
                    wanted.and_then(|wanted| Some(Status::Removed(wanted.place.clone(), wanted.record?.sent()?)));
                removed.map_or(Ok(()), |status| self.mark(key, status))
            }
            Note::Before { key, before } => self.before(key, before),
            Note::Keep { href, .. } => self.seen.kept.get(href).cloned().map_or(Ok(()), |record| self.write(record)),
            Note::Hold { key, href } => self.hold(key, href),
            Note::Forget { key } => self.forget(key),
            Note::Leave { key, occupant } => {
                if *occupant != Occupant::Equal {
                    let refused = self.refused(key, occupant.reason(), false);
                    self.report.conflicts.push(refused);
                }
                self.mark(key, Status::Occupied(*occupant))
            }
            Note::Reject { key, reason } => self.reject(key, reason, 0),
        }
    }

    /// What is in the target of a refused object, which rests.
    fn before(&mut self, key: &Key, before: &Before) -> anyhow::Result<()> {
        let refusal = self.matched.wanted(key).and_then(|wanted| wanted.record?.refusal()).cloned();
        let status = refusal.map(|refusal| Status::Refused { before: before.clone(), refusal });
        status.map_or(Ok(()), |status| self.mark(key, status))
    }

    fn hold(&mut self, key: &Key, href: &Href) -> anyhow::Result<()> {
        let Some(record) = self.recorded_or_read(Some(key), href) else { return Ok(()) };
        // Without a record, nobody knows since when it is missing from the feed.
        let since = self.recorded_at(Some(key), href).map(|_| self.now);
        let held = Gone::Held { since, approved: false };
        let status = match &record.status {
            Status::Gone(_, Gone::Held { .. }) => return Ok(()),
            // A server may store what it seemed to refuse.
            Status::Refused { before: Before::Nothing(place), .. } => {
                let (place, hash) = (place.clone(), record.source.hash);
                Status::Gone(Base { place, etag: None, hash, form: TargetForm::AsSent }, held)
            }
            _ => match record.base() {
                Some(base) => Status::Gone(base.clone(), held),
                None => return Ok(()),
            },
        };
        self.write(Record { status, ..record.clone() })
    }

    /// Records the outcome of a write.
    pub(super) fn outcome(&mut self, write: &Write, written: Written) -> anyhow::Result<()> {
        self.tried.insert(write.href().clone());
        match written {
            Written::Done { etag } => {
                self.count(Outcome::Taken);
                self.done(write, etag.as_ref())?;
            }
            Written::UidTaken { .. } if self.is_last_round => {
                self.refuse(write, "the server says that this UID stands in another object of the calendar")?;
            }
            Written::UidTaken { .. } => self.uid_taken.push(write.clone()),
            Written::Stale => self.stale.push(write.clone()),
            Written::Failed(failure) => self.fail(write, failure),
        }
        Ok(())
    }

    /// Keeps a failure until blame is laid.
    pub(super) fn fail(&mut self, write: &Write, failure: Failure) {
        if !failure.is_verdict {
            self.count(if failure.fault.hung { Outcome::Hung } else { Outcome::Failed });
        }
        self.failed.push((write.clone(), failure));
    }

    /// Counts an outcome, to decide whether the calendar still accepts anything.
    pub(super) fn count(&mut self, outcome: Outcome) {
        self.failures_in_a_row = failures_in_a_row(self.failures_in_a_row, outcome);
    }

    /// Whether a write was sent and is not to be repeated.
    pub(super) fn is_tried(&self, write: &Write) -> bool {
        self.tried.contains(write.href())
    }

    /// Marks these to be sent again.
    pub(super) fn untry(&mut self, writes: &[&Write]) {
        for write in writes {
            self.tried.remove(write.href());
        }
    }

    /// What earlier passes know of the object of a write.
    pub(super) fn suspicion(&self, write: &Write) -> Suspicion {
        write.key().and_then(|key| self.known.suspects.get(key)).copied().unwrap_or_default()
    }

    /// Whether a write is likely to fail, because it did before.
    pub(super) fn is_suspect(&self, write: &Write) -> bool {
        let was_refused = |record: &Record| matches!(record.status, Status::Refused { .. });
        let record = write.key().and_then(|key| self.matched.wanted(key)).and_then(|wanted| wanted.record);
        record.is_some_and(was_refused) || self.suspicion(write) != Suspicion::default()
    }

    /// Refuses the objects that the answers themselves name as the cause.
    pub(super) fn refuse_verdicts(&mut self) -> anyhow::Result<()> {
        let (verdicts, doubtful): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.failed).into_iter().partition(|(_, failure)| failure.is_verdict);
        self.failed = doubtful;
        verdicts.iter().try_for_each(|(write, failure)| self.refuse(write, &failure.reason))
    }

    /// Nothing proves that the failed objects are to blame, or the calendar has a problem. Remembers each as a
    /// suspect and refuses those suspected often enough; the pass goes on if no others are left.
    pub(super) fn give_up(&mut self, error: anyhow::Error, probe: Probe) -> anyhow::Result<()> {
        self.refuse_verdicts()?;
        let failed = std::mem::take(&mut self.failed);
        self.failures_in_a_row = 0;
        let mut is_explained = !failed.is_empty();
        for (write, failure) in failed {
            if self.suspect(&write, failure.fault.hung, probe)? {
                self.refuse(&write, &failure.reason)?;
            } else {
                is_explained = false;
            }
        }
        if is_explained { Ok(()) } else { Err(error) }
    }

    /// Remembers an object as a suspect; returns whether that is enough to refuse it. If the calendar has a problem,
    /// only objects on which the server hung become suspects.
    fn suspect(&mut self, write: &Write, hung: bool, probe: Probe) -> anyhow::Result<bool> {
        // Without a name there is no suspect.
        let Some(key) = write.key().cloned() else { return Ok(probe == Probe::Impossible) };
        if probe == Probe::Ill && !hung {
            return Ok(false);
        }
        let suspicion = self.suspicion(write).after(if hung { Outcome::Hung } else { Outcome::Failed });
        let id = self.id;
        self.state.write(move |state| state.set_suspect(id, &key, suspicion))?;
        Ok(suspicion.is_enough())
    }

    /// Refuses an object that is to blame for a write that the server did not accept.
    pub(super) fn refuse(&mut self, write: &Write, reason: &str) -> anyhow::Result<()> {
        match write {
            Write::Put(put) => {
                if matches!(put, Put::Create { .. }) {
                    self.refused_creates.insert(put.key().clone());
                }
                let tries = match self.matched.wanted(put.key()).and_then(|wanted| Some((wanted, wanted.record?))) {
                    Some((wanted, record)) if record.source.hash == wanted.hash => tries_of(record),
                    _ => 0,
                };
                self.reject(put.key(), reason, tries + 1)
            }
            Write::Delete(Delete { key, href, etag }) => {
                let reason = format!("the server refuses the deletion: {reason}");
                self.cannot_delete(key.as_ref(), href, etag, &reason)
            }
        }
    }

    fn done(&mut self, write: &Write, etag: Option<&Etag>) -> anyhow::Result<()> {
        match write {
            Write::Put(put) => {
                self.recovered(self.matched.wanted(put.key()).and_then(|wanted| wanted.record));
                let href = &put.place().href;
                let form = match put {
                    Put::Create { restores, .. } => {
                        self.report.created += 1;
                        self.wrote.created.insert(href.clone(), put.clone());
                        self.report.restored += u64::from(*restores);
                        TargetForm::AsSent
                    }
                    Put::Update { restores, .. } => {
                        self.report.updated += 1;
                        self.report.restored += u64::from(restores.is_some());
                        restores.map_or(TargetForm::AsSent, TargetForm::Overwrote)
                    }
                };
                self.last_written = Some(href.clone());
                self.sent(put.key(), put.place(), etag, form)
            }
            Write::Delete(Delete { key, href, .. }) => {
                self.report.deleted += 1;
                self.recovered(self.recorded_at(key.as_ref(), href));
                self.wrote.left.insert(href.clone(), Left::Nothing);
                self.strike(href)?;
                self.forget_at(key.as_ref(), href)
            }
        }
    }

    /// After an object was accepted, others refused for the same cause may be accepted too.
    fn recovered(&mut self, record: Option<&Record>) {
        let refusal = record.and_then(|record| Some((record, record.refusal()?, record.href()?)));
        let refusal = refusal.filter(|(_, refusal, _)| refusal.tries > 0);
        self.causes.extend(refusal.map(|(record, refusal, href)| cause(&refusal.reason, &record.key, href)));
    }

    /// Refuses an object: it is remembered with its reason, and sent again when it is due or changes. `tries`: how
    /// often the server refused it.
    fn reject(&mut self, key: &Key, reason: &str, tries: u32) -> anyhow::Result<()> {
        let refused = self.refused(key, reason, tries > 1);
        self.report.rejected.push(refused);
        let Some(wanted) = self.matched.wanted(key) else { return Ok(()) };
        let place = wanted.place.clone();
        let before = match wanted.record {
            Some(record) => before_now(record.status.clone().before(place), &self.seen.remote, self.on_drift),
            None => Before::Nothing(place),
        };
        let refusal = Refusal { reason: reason.to_owned(), at: self.now, tries };
        self.mark(key, Status::Refused { before, refusal })
    }

    /// Remembers an object that the server does not delete. A second object of a key is left alone for good.
    fn cannot_delete(&mut self, key: Option<&Key>, href: &Href, etag: &Etag, reason: &str) -> anyhow::Result<()> {
        let record = self.recorded_or_read(key, href);
        let reason = format!("it left the feed, but {reason}");
        let uid = key.map_or(href.as_str(), |key| &key.uid).to_owned();
        let summary = record.map(|record| record.source.summary.clone()).unwrap_or_default();
        let is_undeletable = |record: &&Record| matches!(record.status, Status::Gone(_, Gone::Undeletable(_)));
        let tries = record.filter(is_undeletable).map_or(0, tries_of) + 1;
        self.report.rejected.push(Refused { uid, summary, reason: reason.clone(), again: tries > 1 });
        match record {
            Some(record) => {
                let hash = record.sent().unwrap_or(record.source.hash);
                let form = record.base().map_or(TargetForm::AsSent, |base| base.form);
                let place = record.place().cloned().unwrap_or_else(|| Place { href: href.clone(), uid: None });
                let base = Base { place, etag: Some(etag.clone()), hash, form };
                let refusal = Refusal { reason, at: self.now, tries };
                self.write(Record { status: Status::Gone(base, Gone::Undeletable(refusal)), ..record.clone() })
            }
            None => self.leave(href, etag, key),
        }
    }

    /// Records what settling found out; returns the mark for the next look.
    pub(super) fn settled(&mut self, settled: Settled) -> anyhow::Result<Mark> {
        let Settled { mark, versions, still_there, not_there } = settled;
        versions.into_iter().try_for_each(|entry| self.complete(entry))?;
        let records = self.known.records.values();
        let keys: HashMap<&Href, &Key> = records.filter_map(|record| Some((record.href()?, &record.key))).collect();
        still_there.iter().try_for_each(|stored| self.not_deleted(stored, keys.get(&stored.href).copied()))?;
        not_there.iter().try_for_each(|href| self.not_made(href))?;
        Ok(mark)
    }

    /// The server reported an object as created, but it does not exist: that is a refusal too.
    fn not_made(&mut self, href: &Href) -> anyhow::Result<()> {
        let Some(put) = self.wrote.created.remove(href) else { return Ok(()) };
        let restores = matches!(put, Put::Create { restores: true, .. });
        self.report.created = self.report.created.saturating_sub(1);
        self.report.restored = self.report.restored.saturating_sub(u64::from(restores));
        self.wrote.left.remove(href);
        self.refuse(&Write::Put(put), "the server says that it is stored, and does not have it")
    }

    /// The server reported an object as deleted, but it still exists: that is a refusal too. `key`: that of its
    /// record.
    fn not_deleted(&mut self, stored: &model::Stored, key: Option<&Key>) -> anyhow::Result<()> {
        self.report.deleted = self.report.deleted.saturating_sub(1);
        self.wrote.left.insert(stored.href.clone(), Left::Version(stored.etag.clone()));
        let reason = "the server says that it is deleted, and still has it";
        self.cannot_delete(key, &stored.href, &stored.etag, reason)
    }

    /// Leaves an object to whoever edited it.
    pub(super) fn release(&mut self, key: Option<&Key>, stored: &model::Stored) -> anyhow::Result<()> {
        self.leave(&stored.href, &stored.etag, key)?;
        self.forget_at(key, &stored.href)
    }

    /// Forgets the record at this href. A second object of a key has none: the record is that of the first.
    pub(super) fn forget_at(&mut self, key: Option<&Key>, href: &Href) -> anyhow::Result<()> {
        let recorded = self.recorded_at(key, href).map(|record| record.key.clone());
        recorded.map_or(Ok(()), |key| self.forget(&key))
    }

    fn recorded_at(&self, key: Option<&Key>, href: &Href) -> Option<&'a Record> {
        self.known.records.get(key?).filter(|record| record.href() == Some(href))
    }

    /// The record of an object or, without one, the record made from what was read.
    fn recorded_or_read(&self, key: Option<&Key>, href: &Href) -> Option<&'a Record> {
        self.recorded_at(key, href).or_else(|| self.seen.nameless.get(href))
    }

    /// An object that is left alone keeps its href, so it is remembered as foreign.
    fn leave(&mut self, href: &Href, etag: &Etag, key: Option<&Key>) -> anyhow::Result<()> {
        let (id, object) = (self.id, (href.clone(), etag.clone(), key.cloned()));
        self.state.write(move |state| state.add_foreign_object(id, &object))
    }

    fn refused(&self, key: &Key, reason: &str, again: bool) -> Refused {
        let summary = self.matched.description(key).map_or_else(String::new, |(summary, _)| summary);
        Refused { uid: key.uid.clone(), summary, reason: reason.to_owned(), again }
    }

    /// The record of an object that was just sent.
    pub(super) fn sent(
        &mut self,
        key: &Key,
        place: &Place,
        etag: Option<&Etag>,
        form: TargetForm,
    ) -> anyhow::Result<()> {
        let Some(hash) = self.matched.wanted(key).map(|wanted| wanted.hash) else { return Ok(()) };
        self.stands(key, Base { place: place.clone(), etag: etag.cloned(), hash, form })
    }

    /// Records an object that is on the target as we want it.
    fn stands(&mut self, key: &Key, base: Base) -> anyhow::Result<()> {
        let Some(wanted) = self.matched.wanted(key) else { return Ok(()) };
        let (href, etag) = (base.place.href.clone(), base.etag.clone());
        self.forms.insert(href.clone(), base.form);
        let record = self.matched.record(wanted, Status::Mirrored(base));
        if etag.is_none() {
            self.untold.insert(href.clone(), record.clone());
        }
        self.strike(&href)?;
        self.wrote.left.insert(href, etag.map_or(Left::Untold, Left::Version));
        self.write(record)
    }

    /// Records an object of the feed that was not written.
    fn mark(&mut self, key: &Key, status: Status) -> anyhow::Result<()> {
        let Some(wanted) = self.matched.wanted(key) else { return Ok(()) };
        let record = self.matched.record(wanted, status);
        self.write(record)
    }

    /// Fills in the version of an object whose PUT was answered without one.
    fn complete(&mut self, Entry { href, etag }: Entry) -> anyhow::Result<()> {
        let Some(record) = self.untold.remove(&href) else { return Ok(()) };
        let Some(base) = record.base() else { return Ok(()) };
        let status = Status::Mirrored(Base { etag: Some(etag.clone()), ..base.clone() });
        self.wrote.left.insert(href, Left::Version(etag));
        self.write(Record { status, ..record })
    }

    /// Moves a record to another key. The object on the target keeps its UID, and its base stays.
    fn rename(&mut self, from: &Key, to: &Key) -> anyhow::Result<()> {
        let wanted = self.matched.wanted(to);
        let Some((wanted, old)) = wanted.and_then(|wanted| Some((wanted, wanted.record?))) else {
            return Ok(());
        };
        let record = self.matched.record(wanted, old.status.clone().at(wanted.place.clone()));
        self.forget(from)?;
        self.write(record)
    }

    fn write(&mut self, record: Record) -> anyhow::Result<()> {
        let id = self.id;
        self.state.write(move |state| state.put_record(id, &record))
    }

    /// Whether an object is as its record says, or as the journal says we meant to write it.
    pub(super) fn is_as_left(&self, key: Option<&Key>, stored: &model::Stored) -> bool {
        let record = self.recorded_at(key, &stored.href);
        let hash = Parsed::of(stored.clone()).hash(record);
        record.and_then(Record::base).is_some_and(|base| base.is(hash)) || self.known.intends(&stored.href, hash)
    }

    /// Strikes an href from the journal once the record has the outcome of its writes.
    fn strike(&mut self, href: &Href) -> anyhow::Result<()> {
        if !self.journal.contains(href) {
            return Ok(());
        }
        let (id, href) = (self.id, href.clone());
        self.state.write(move |state| state.strike_from_journal(id, &href))
    }

    fn forget(&mut self, key: &Key) -> anyhow::Result<()> {
        let (id, key) = (self.id, key.clone());
        self.state.write(move |state| state.forget_record(id, &key))
    }
}

/// How often the server has refused an object, or its deletion.
fn tries_of(record: &Record) -> u32 {
    record.refusal().map_or(0, |refusal| refusal.tries)
}
