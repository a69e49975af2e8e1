//! What came of a pass, as a value; `human` and `json` render it.

pub mod advice;
pub mod human;
pub mod json;
pub mod status;

use crate::model::memory::{Failing, Hold};
use crate::plan::Op;
use crate::words::error::{Fault, Kind};
use crate::words::time::Timestamp;

/// The result of one pass over one subscription.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PassReport {
    /// The name of the subscription.
    pub name: String,
    /// The result in one word.
    pub outcome: Outcome,
    /// How many objects were created.
    pub created: u64,
    /// How many objects were updated.
    pub updated: u64,
    /// How many objects were deleted.
    pub deleted: u64,
    /// How many objects of the feed needed nothing.
    pub unchanged: u64,
    /// How many objects stood there already and were taken into the record.
    pub adopted: u64,
    /// How many objects came under another UID.
    pub renamed: u64,
    /// How many of the created and updated ones undo what someone else did to them.
    pub restored: u64,
    /// Objects refused in this pass, whether for the first time or again.
    pub rejected: Vec<Refused>,
    /// How many objects of the feed are refused, if those are more than half of it; else 0.
    pub missing: u64,
    /// Objects left alone since this pass, because their UID belongs to someone else.
    pub conflicts: Vec<Refused>,
    /// Deletes that a guard kept back.
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
    /// No request before this moment.
    pub retry_at: Option<Timestamp>,
    /// What stopped the pass, now or, while it backs off, the last time.
    pub error: Option<Fault>,
    /// How long the trouble stands, in seconds.
    pub failing_for: u64,
    /// Whether the trouble has stood for longer than `alert_after`.
    pub alert: bool,
    /// What of it a person must hear though nobody watches.
    pub say: Say,
    /// The steps, for a dry run only.
    pub plan: Option<Vec<Step>>,
}

/// The result of a pass in one word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Outcome {
    /// Something was written to the target.
    Changed,
    /// Nothing was to do.
    #[default]
    Unchanged,
    /// The interval has not passed.
    NotDue,
    /// An earlier failure is being waited out.
    BackingOff,
    /// Another run works on it.
    Locked,
    /// A guard kept deletions back.
    Held,
    /// Settled, but for objects that were refused in this pass, or for most of the feed.
    Partial,
    /// The pass failed.
    Failed,
}

impl Outcome {
    /// The word in JSON.
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

/// An object that did not make it into the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its UID.
    pub uid: String,
    /// Its title.
    pub summary: String,
    /// Why.
    pub reason: String,
    /// It was refused before, and a person was told.
    pub again: bool,
}

/// What became of the feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FeedReport {
    /// The HTTP status; `None` for a feed that was not fetched over HTTP.
    pub status: Option<u16>,
    /// Octets of the body; 0 when it was not read.
    pub bytes: u64,
    /// The gate at which the pass stopped.
    pub gate: Gate,
}

/// The gate at which a feed was found unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Gate {
    /// Gate 1: the server says that nothing changed.
    Validator,
    /// Gate 2: the body is the recorded one.
    Body,
    /// Gate 3: every object is the recorded one.
    Objects,
    /// No gate held.
    #[default]
    None,
}

impl Gate {
    /// Why nothing is to be done, for the log.
    pub fn in_words(self) -> &'static str {
        match self {
            Gate::Validator => "its server says so",
            Gate::Body => "it is the same to the octet",
            Gate::Objects => "its events say the same",
            Gate::None => "nothing shows it",
        }
    }

    /// The word in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Validator => "validator",
            Gate::Body => "body",
            Gate::Objects => "objects",
            Gate::None => "none",
        }
    }
}

/// What of a report a person must hear though nobody watches: a trouble when it begins, daily, and when it ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Say {
    /// Nothing.
    #[default]
    Nothing,
    /// The trouble.
    Trouble,
    /// That the trouble of which a person was told is over.
    Recovered,
}

/// A step of a plan with what a person knows the object by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The step.
    pub op: Op,
    /// When the object starts, in words.
    pub start: String,
    /// Its title.
    pub summary: String,
    /// The properties that change.
    pub changes: Vec<String>,
}

impl PassReport {
    /// A report about a subscription that has nothing to tell yet.
    pub fn new(name: &str) -> PassReport {
        PassReport { name: name.to_owned(), ..PassReport::default() }
    }

    /// Whether anything was written to the target.
    pub fn wrote(&self) -> bool {
        self.created + self.updated + self.deleted > 0
    }

    /// The failure that stands, told again.
    pub fn stands(&mut self, failing: &Failing, now: Timestamp, alert_after: u64) {
        self.error = Some(Fault::new(failing.kind, failing.message.clone()));
        self.retry_at = failing.retry_at;
        self.failing_for = now.since(failing.since);
        self.alert = self.failing_for > alert_after;
    }

    /// The kind of the failure, if there is one.
    pub fn kind(&self) -> Option<Kind> {
        self.error.as_ref().map(|fault| fault.kind)
    }
}
