//! Carries out the writes of a plan: workers talk to the target, the caller's thread alone writes the record.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;

use crate::collection::Collection;
use crate::error::{Kind, fault};
use crate::model::{Href, Precondition, Written};
use crate::plan::Op;
use crate::signal::Stop;

/// What writes need to be carried out.
#[derive(Clone, Copy)]
pub struct Executor<'a> {
    /// The target.
    pub collection: &'a dyn Collection,
    /// How many writes may be under way at once, at least 1.
    pub connections: usize,
    /// Asks to finish the requests in hand and begin no other.
    pub stop: &'a Stop,
}

/// A write ready to be sent.
struct Write<'a> {
    op: &'a Op,
    text: Vec<u8>,
}

impl Executor<'_> {
    /// Sends the writes among `ops`. `text` gives the body of a create or update; `done` is told each outcome, on the
    /// caller's thread. The first trouble of the target as a whole ends it, after the requests in hand.
    pub fn execute<'o>(
        &self,
        ops: &[&'o Op],
        text: impl Fn(&Op) -> Vec<u8> + Sync,
        mut done: impl FnMut(&'o Op, Written) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let next = AtomicUsize::new(0);
        let over = AtomicBool::new(false);
        let workers = self.connections.clamp(1, ops.len().max(1));
        thread::scope(|scope| {
            let (sender, outcomes) = channel();
            for _ in 0..workers {
                let (sender, text, next, over) = (sender.clone(), &text, &next, &over);
                scope.spawn(move || self.work(ops, text, next, over, &sender));
            }
            drop(sender);
            let mut trouble = None;
            for (op, outcome) in outcomes {
                let result = outcome.and_then(|written| done(op, written));
                if let Err(error) = result {
                    over.store(true, Ordering::Relaxed);
                    trouble.get_or_insert(error);
                }
            }
            trouble.map_or(Ok(()), Err)
        })
    }

    fn work<'o>(
        &self,
        ops: &[&'o Op],
        text: &(impl Fn(&Op) -> Vec<u8> + Sync),
        next: &AtomicUsize,
        over: &AtomicBool,
        outcomes: &Sender<(&'o Op, anyhow::Result<Written>)>,
    ) {
        while !over.load(Ordering::Relaxed) {
            let Some(op) = ops.get(next.fetch_add(1, Ordering::Relaxed)).copied() else {
                return;
            };
            let outcome = match self.stop.requested() {
                Some(_) => Err(stopped()),
                None => self.send(&Write { op, text: text(op) }),
            };
            if outcomes.send((op, outcome)).is_err() {
                return;
            }
        }
    }

    fn send(&self, write: &Write<'_>) -> anyhow::Result<Written> {
        match write.op {
            Op::Create { href, .. } => self.collection.put(href, &write.text, &Precondition::Absent),
            Op::Update { href, etag, .. } => {
                self.collection.put(href, &write.text, &Precondition::Unchanged(etag.clone()))
            }
            Op::Delete { href, etag, .. } => self.collection.delete(href, etag),
            Op::Rename { .. }
            | Op::Note { .. }
            | Op::Keep { .. }
            | Op::Hold { .. }
            | Op::Forget { .. }
            | Op::Leave { .. }
            | Op::Reject { .. } => Err(fault(Kind::Internal, "a step that writes nothing was sent to the target")),
        }
    }
}

impl Op {
    /// Where a write goes.
    pub fn href(&self) -> Option<&Href> {
        match self {
            Op::Create { href, .. }
            | Op::Update { href, .. }
            | Op::Delete { href, .. }
            | Op::Note { href, .. }
            | Op::Keep { href, .. }
            | Op::Hold { href, .. } => Some(href),
            Op::Rename { .. } | Op::Forget { .. } | Op::Leave { .. } | Op::Reject { .. } => None,
        }
    }
}

/// The error of a run that was asked to stop.
pub fn stopped() -> anyhow::Error {
    fault(Kind::Stopped, "stopped on request; the next run goes on from here")
}
