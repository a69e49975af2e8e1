//! What the state remembers of a subscription from one invocation to the next.

use crate::model::{End, Ends, Hash, Href, Mark, Validators};
use crate::words::error::Kind;
use crate::words::time::Timestamp;

/// Everything except the records. The default is that of a subscription that never ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The fingerprint of the last settled pass: every setting that shapes output or plan.
    pub settings: Option<Hash>,
    /// The version of our hash and transformation that the records were made with.
    pub form: Option<u32>,
    /// The feed as the last settled pass read it. `None` from the first write of a pass until one settles: if the
    /// feed goes back to its old form, its validators must not hide what was written of the new one.
    pub feed: Option<FeedMemory>,
    /// How many objects the feed had when a pass last settled.
    pub objects: Option<u64>,
    /// The collections at both ends as the last pass left them; a feed leaves nothing here.
    pub ends: Ends<EndMemory>,
    /// When the last pass began, whatever its outcome.
    pub started_at: Option<Timestamp>,
    /// When the last pass settled.
    pub settled_at: Option<Timestamp>,
    /// When a person asked for the next pass. Written only by `approve` and `retry`, whatever a pass remembers.
    pub asked_at: Option<Timestamp>,
    /// A person allowed, since the last pass, to take over existing objects in the target. Written by `approve`.
    pub take_over: bool,
    /// How many objects of the feed are refused and not in the target in any form.
    pub refused: u64,
    /// When a refused object is to be tried again, even if nothing else changes.
    pub next_change_at: Option<Timestamp>,
    /// The problem that the last pass ended with.
    pub failing: Option<Failing>,
    /// The hold that the last pass ended with.
    pub held: Option<Hold>,
}

/// A collection as the last pass left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndMemory {
    /// Where it was found: a calendar can be configured in several spellings.
    pub address: Option<String>,
    /// Its mark; stored only when everything up to it is in the records.
    pub mark: Mark,
    /// The href written last.
    pub last_written: Option<Href>,
    /// When it was last compared with its mark.
    pub looked_at: Option<Timestamp>,
    /// When every object was last listed.
    pub listed_at: Option<Timestamp>,
}

/// The feed as it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedMemory {
    /// The validators that its server returned.
    pub validators: Validators,
    /// SHA-256 of the body.
    pub body: Hash,
    /// The digest of its objects, ignoring what churns.
    pub digest: Hash,
    /// When the body was read, not just reported as unchanged.
    pub read_at: Timestamp,
}

/// An ongoing series of failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// How many passes in a row failed.
    pub failures: u32,
    /// When the first of them failed.
    pub since: Timestamp,
    /// Send no request before this time.
    pub retry_at: Option<Timestamp>,
    /// The server asked for no request before this time.
    pub until: Option<Timestamp>,
    /// Which end failed.
    pub end: End,
    /// The files that settings, secrets and certificates came from, as they were then.
    pub inputs: Option<Hash>,
    /// What kind of problem.
    pub kind: Kind,
    /// The message.
    pub message: String,
    /// When a person was last notified.
    pub said_at: Option<Timestamp>,
}

impl Default for Failing {
    fn default() -> Failing {
        let never = Timestamp::default();
        let message = String::new();
        Failing {
            failures: 0,
            since: never,
            retry_at: None,
            until: None,
            end: End::B,
            inputs: None,
            kind: Kind::Internal,
            message,
            said_at: None,
        }
    }
}

/// Deletions that a guard holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// How many.
    pub deletes: u64,
    /// Why.
    pub held_for: HeldFor,
    /// The reason as a sentence.
    pub reason: String,
    /// When a person was last notified.
    pub said_at: Option<Timestamp>,
}

/// Why deletions are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFor {
    /// The feed was empty.
    Empty,
    /// Events of the feed could not be stored.
    Unstored,
    /// There were too many deletions.
    Many,
    /// The state was lost: the objects have names of ours, and nobody knows whether they are ours.
    Lost,
    /// Nothing is deleted: most events of the feed are already in the calendar, in objects that are not ours.
    Occupied,
    /// Nothing is done at all: another subscription has an equally good claim to the objects in the calendar.
    Draw,
}

impl HeldFor {
    /// The word in the state file.
    pub fn as_str(self) -> &'static str {
        match self {
            HeldFor::Empty => "empty",
            HeldFor::Unstored => "unstored",
            HeldFor::Many => "many",
            HeldFor::Lost => "lost",
            HeldFor::Occupied => "occupied",
            HeldFor::Draw => "draw",
        }
    }

    /// The reason for this word.
    pub fn from_word(word: &str) -> Option<HeldFor> {
        use HeldFor::{Draw, Empty, Lost, Many, Occupied, Unstored};
        [Empty, Unstored, Many, Lost, Occupied, Draw].into_iter().find(|one| one.as_str() == word)
    }

    /// Whether a person resolves it by taking over existing objects, not by giving something up.
    pub fn is_about_owners(self) -> bool {
        matches!(self, HeldFor::Occupied | HeldFor::Draw)
    }
}
