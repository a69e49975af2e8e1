//! The outcome of a pass as a value; `human` and `json` render it.

pub mod advice;
pub mod human;
pub mod json;
pub mod status;

use crate::model::memory::{Failing, Hold};
use crate::plan::Op;
use crate::words::error::{Fault, Kind};
use crate::words::time::Timestamp;

/// The outcome of one pass over one subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassReport {
    /// The name of the subscription.
    pub name: String,
    /// The outcome in one word.
    pub outcome: Outcome,
    /// How many objects were created.
    pub created: u64,
    /// How many objects were updated.
    pub updated: u64,
    /// How many objects were deleted.
    pub deleted: u64,
    /// How many objects of the feed needed no change.
    pub unchanged: u64,
    /// How many existing objects were adopted.
    pub adopted: u64,
    /// How many objects were stored under another UID.
    pub renamed: u64,
    /// How many of the created and updated ones revert changes by others.
    pub restored: u64,
    /// Objects refused in this pass, for the first time or again.
    pub rejected: Vec<Refused>,
    /// How many objects of the feed are refused, if more than half of it; otherwise 0.
    pub missing: u64,
    /// Objects left alone since this pass because their UID belongs to someone else.
    pub conflicts: Vec<Refused>,
    /// Deletions held back by a guard.
    pub held: Option<Hold>,
    /// How many repairs the feed needed.
    pub repairs: u64,
    /// The feed.
    pub feed: FeedReport,
    /// HTTP requests, feed and target together.
    pub requests: u64,
    /// Octets of request bodies.
    pub bytes_sent: u64,
    /// Octets of response bodies.
    pub bytes_received: u64,
    /// How long the pass took, in milliseconds.
    pub duration_ms: u64,
    /// No requests before this time.
    pub retry_at: Option<Timestamp>,
    /// The failure that stopped the pass, or the previous one while backing off.
    pub error: Option<Fault>,
    /// How long it has been failing, in seconds.
    pub failing_for: u64,
    /// Whether it has been failing for longer than `alert_after`.
    pub alert: bool,
    /// What must be reported even without an audience.
    pub say: Say,
    /// The steps, only for a dry run.
    pub plan: Option<Vec<Step>>,
}

/// The outcome of a pass in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Something was written to the target.
    Changed,
    /// Nothing had to be done.
    #[default]
    Unchanged,
    /// The interval has not passed.
    NotDue,
    /// The pass waits after an earlier failure.
    BackingOff,
    /// Another run is working on it.
    Locked,
    /// A guard held back deletions.
    Held,
    /// Settled, except for objects refused in this pass, or for most of the feed.
    Partial,
    /// The pass failed.
    Failed,
}

impl Outcome {
    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Changed => "changed",
            Outcome::Unchanged => "unchanged",
            Outcome::NotDue => "not_due",
            Outcome::BackingOff => "backing_off",
            Outcome::Locked => "locked",
            Outcome::Held => "held",
            Outcome::Partial => "partial",
            Outcome::Failed => "failed",
        }
    }
}

/// An object that was not written to the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its UID.
    pub uid: String,
    /// Its title.
    pub summary: String,
    /// Why.
    pub reason: String,
    /// Whether it was refused and reported before.
    pub again: bool,
}

/// How the feed was fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedReport {
    /// The HTTP status; `None` for a feed that was not fetched over HTTP.
    pub status: Option<u16>,
    /// Octets of the body; 0 if it was not read.
    pub bytes: u64,
    /// The gate that stopped the pass.
    pub gate: Gate,
}

/// The gate at which a feed was found unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// Gate 1: the server reports no change.
    Validator,
    /// Gate 2: the body is as recorded.
    Body,
    /// Gate 3: every object is as recorded.
    Objects,
    /// No gate applied.
    #[default]
    None,
}

impl Gate {
    /// Why nothing needs to be done, for the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Gate::Validator => "its server says so",
            Gate::Body => "it is the same to the octet",
            Gate::Objects => "its events say the same",
            Gate::None => "nothing shows it",
        }
    }

    /// Its name in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Validator => "validator",
            Gate::Body => "body",
            Gate::Objects => "objects",
            Gate::None => "none",
        }
    }
}

/// What must be reported even without an audience: a failure when it begins, daily, and when it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Say {
    /// Nothing.
    #[default]
    Nothing,
    /// The failure.
    Trouble,
    /// That a reported failure is over.
    Recovered,
}

/// A step of a plan with a human-readable description of its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step.
    pub op: Op,
    /// The start of the object, human-readable.
    pub start: String,
    /// Its title.
    pub summary: String,
    /// The properties that change.
    pub changes: Vec<String>,
}

impl PassReport {
    /// An empty report about a subscription.
    pub fn new(name: &str) -> PassReport {
        PassReport { name: name.to_owned(), ..PassReport::default() }
    }

    /// Whether anything was written to the target.
    pub fn wrote(&self) -> bool {
        self.created + self.updated + self.deleted > 0
    }

    /// Reports the ongoing failure again.
    pub fn stands(&mut self, failing: &Failing, now: Timestamp, alert_after: u64) {
        self.error = Some(Fault::new(failing.kind, failing.message.clone()));
        self.retry_at = failing.retry_at;
        self.failing_for = now.since(failing.since);
        self.alert = self.failing_for > alert_after;
    }

    /// The kind of the failure, if any.
    pub fn kind(&self) -> Option<Kind> {
        self.error.as_ref().map(|fault| fault.kind)
    }
}
