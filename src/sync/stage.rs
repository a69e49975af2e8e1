//! The writing half of a round: creates and updates, then deletes, and whose fault it is when one of them fails.

use std::collections::HashSet;

use super::record::{Left, Recorder};
use super::wanted::Matched;
use crate::execute::{Executor, stopped};
use crate::model::{Etag, Href, Key, Precondition, Standing, Written};
use crate::plan::{OnDrift, Op, Wanted};

/// The writing half of a round.
pub(super) struct Stage<'a> {
    pub(super) executor: Executor<'a>,
    pub(super) matched: &'a Matched<'a>,
    pub(super) total: usize,
    pub(super) progress: &'a (dyn Fn(usize, usize) + Sync),
}

impl Stage<'_> {
    /// Creates and updates. An object on which the server fails is tried once more; if it fails again while others
    /// still succeed, the fault is its own.
    pub(super) fn put(&self, ops: &[&Op], recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        self.send(ops, 0, recorder)?;
        let faulted: Vec<Op> = recorder.faulted.drain(..).map(|(op, _)| op).collect();
        let again: Vec<&Op> = faulted.iter().collect();
        self.send(&again, ops.len().saturating_sub(again.len()), recorder)?;
        let faulted = std::mem::take(&mut recorder.faulted);
        if let Some((_, fault)) = faulted.first().filter(|_| !self.still_writes(ops, recorder).unwrap_or(false)) {
            return Err(fault.clone().into());
        }
        faulted.iter().try_for_each(|(op, fault)| op.key().map_or(Ok(()), |key| recorder.reject(key, &fault.message)))
    }

    /// Whether the server takes an object once more that it has taken, in this pass or in an earlier one. A server that began
    /// to fail midway would otherwise get all later objects rejected.
    fn still_writes(&self, ops: &[&Op], recorder: &mut Recorder<'_>) -> anyhow::Result<bool> {
        let taken = ops.iter().find_map(|op| match op {
            Op::Create { key, href, .. } | Op::Update { key, href, restores: None, .. } => {
                let Some(Left::Version(etag)) = recorder.written.get(href) else { return None };
                Some((self.matched.wanted(key)?, href, etag.clone()))
            }
            _ => None,
        });
        let Some((wanted, href, etag)) = taken.or_else(|| self.taken_before(ops)) else { return Ok(false) };
        match self.executor.collection.put(href, &self.matched.text(wanted), &Precondition::Unchanged(etag))? {
            Written::Done { etag } => recorder.put(wanted.key, href, etag.as_ref(), |_| {}).map(|()| true),
            _ => Ok(false),
        }
    }

    /// An object that stands there just as it would be written.
    fn taken_before(&self, ops: &[&Op]) -> Option<(&Wanted<'_>, &Href, Etag)> {
        let touched: HashSet<&Key> = ops.iter().filter_map(|op| op.key()).collect();
        self.matched.wanted.iter().filter(|wanted| !touched.contains(wanted.key)).find_map(|wanted| {
            let record = wanted.record?;
            let is_ours = record.standing == Standing::Mirrored && record.server_hash.is_none();
            (is_ours && record.sent_hash == wanted.sent_hash).then_some(())?;
            Some((wanted, &record.href, record.etag.clone()?))
        })
    }

    /// Deletes, after everything else. A version that changed meanwhile is read again: `restore` deletes it all the
    /// same, otherwise it is released to whoever changed it. What the server does not delete although it deletes others
    /// is left there and named.
    pub(super) fn delete(
        &self,
        ops: &[&Op],
        on_drift: OnDrift,
        done: usize,
        recorder: &mut Recorder<'_>,
    ) -> anyhow::Result<()> {
        self.send(ops, done, recorder)?;
        let stale: HashSet<Href> = recorder.stale.drain(..).collect();
        let mut again: Vec<Op> = recorder.faulted.drain(..).map(|(op, _)| op).collect();
        for op in ops {
            let Op::Delete { key, href, .. } = op else { continue };
            if !stale.contains(href) {
                continue;
            }
            let standing = self.executor.collection.read(std::slice::from_ref(href))?.pop();
            match (standing, key) {
                (Some(stored), _) if on_drift == OnDrift::Restore || recorder.is_intended(&stored) => {
                    again.push(Op::Delete { key: key.clone(), href: href.clone(), etag: stored.etag });
                }
                (Some(stored), _) => recorder.release(key.as_ref(), &stored)?,
                (None, _) => recorder.forget_at(key.as_ref(), href)?,
            }
        }
        let done = done + ops.len();
        self.send(&again.iter().collect::<Vec<_>>(), done - again.len(), recorder)?;
        let faulted = std::mem::take(&mut recorder.faulted);
        if let Some((_, fault)) = faulted.first().filter(|_| !self.still_deletes(ops, recorder).unwrap_or(false)) {
            return Err(fault.clone().into());
        }
        let again: Vec<&Op> = faulted.iter().map(|(op, _)| op).collect();
        self.send(&again, done - again.len(), recorder)?;
        let faulted = std::mem::take(&mut recorder.faulted);
        faulted.iter().try_for_each(|(op, fault)| recorder.cannot_delete(op, &fault.message))
    }

    /// Whether the server deletes things at this moment: it did so in this pass, and still does not stumble over what is
    /// gone since.
    fn still_deletes(&self, ops: &[&Op], recorder: &Recorder<'_>) -> anyhow::Result<bool> {
        let is_gone = |href: &Href| recorder.written.get(href) == Some(&Left::Nothing);
        let gone = ops.iter().find_map(|op| match op {
            Op::Delete { href, etag, .. } if is_gone(href) => Some((href, etag)),
            _ => None,
        });
        let Some((href, etag)) = gone else { return Ok(false) };
        let written = self.executor.collection.delete(href, etag)?;
        Ok(!matches!(written, Written::Faulted { .. } | Written::Forbidden { .. }))
    }

    fn send(&self, ops: &[&Op], before: usize, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
        let mut done = before;
        let text = |op: &Op| op.key().and_then(|key| self.matched.wanted(key)).map(|wanted| self.matched.text(wanted));
        self.executor.execute(
            ops,
            |op| text(op).unwrap_or_default(),
            |op, written: Written| {
                done += 1;
                (self.progress)(done, self.total);
                recorder.outcome(op, written)
            },
        )?;
        match self.executor.stop.requested() {
            Some(_) if done < before + ops.len() => Err(stopped()),
            _ => Ok(()),
        }
    }
}
