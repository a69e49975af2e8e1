//! What the state remembers of a subscription from one invocation to the next.

use crate::model::{End, Hash, Href, Mark, Validators};
use crate::words::error::Kind;
use crate::words::time::Timestamp;

/// Everything but the records. A default one is that of a subscription that never ran.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// The fingerprint of the last settled pass: every setting that shapes output or plan.
    pub settings: Option<Hash>,
    /// The version of our hash and transformation that the records were made with.
    pub form: Option<u32>,
    /// The feed as the last settled pass read it. `None` from the first write of a pass until one has settled: should the
    /// feed go back to its old form meanwhile, its validators must not hide what was written of the new one.
    pub feed: Option<FeedMemory>,
    /// How many objects the feed held when a pass last settled.
    pub objects: Option<u64>,
    /// The target as the last pass left it.
    pub target: EndMemory,
    /// When the last pass began, whatever became of it.
    pub started_at: Option<Timestamp>,
    /// When the last pass settled.
    pub settled_at: Option<Timestamp>,
    /// When a person asked for the next pass. Written by `approve` and `retry` alone, whatever a pass remembers.
    pub asked_at: Option<Timestamp>,
    /// A person has said, since the last pass, that what stands in the target is to be taken over. Written by `approve`.
    pub take_over: bool,
    /// How many objects of the feed are refused and in the target in no form.
    pub refused: u64,
    /// The moment at which time itself changes the result: a refused object is tried again.
    pub next_change_at: Option<Timestamp>,
    /// The trouble that the last pass ended with.
    pub failing: Option<Failing>,
    /// The hold that the last pass ended with.
    pub held: Option<Hold>,
}

/// A collection at one end, as the last pass left it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EndMemory {
    /// Where it was found: one calendar can be written in many ways.
    pub address: Option<String>,
    /// Its state; stored only when everything up to it is in the records.
    pub mark: Mark,
    /// Where the object stands that was written last.
    pub last_written: Option<Href>,
    /// When it was last compared with its mark.
    pub looked_at: Option<Timestamp>,
    /// When every object was last listed.
    pub listed_at: Option<Timestamp>,
}

/// The feed as it was last read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedMemory {
    /// What its server gave us to ask for changes with.
    pub validators: Validators,
    /// SHA-256 of the body.
    pub body: Hash,
    /// The digest of its objects, blind to what churns.
    pub digest: Hash,
    /// When the body was read, not merely said to be unchanged.
    pub read_at: Timestamp,
}

/// A row of failures that has not ended yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failing {
    /// How many passes in a row failed.
    pub failures: u32,
    /// When the first of them did.
    pub since: Timestamp,
    /// No request before this moment.
    pub retry_at: Option<Timestamp>,
    /// The server asked not to be asked before this moment.
    pub until: Option<Timestamp>,
    /// At which end it was.
    pub end: End,
    /// The files that settings, secrets and certificates came from, as they were then.
    pub inputs: Option<Hash>,
    /// What kind of trouble.
    pub kind: Kind,
    /// The sentence.
    pub message: String,
    /// When a person was last told.
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
            end: End::default(),
            inputs: None,
            kind: Kind::Internal,
            message,
            said_at: None,
        }
    }
}

/// A guard kept deletions back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// How many.
    pub deletes: u64,
    /// What for.
    pub held_for: HeldFor,
    /// The same as a sentence.
    pub reason: String,
    /// When a person was last told.
    pub said_at: Option<Timestamp>,
}

/// What deletions were held back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFor {
    /// The feed was empty.
    Empty,
    /// Events of the feed could not be stored.
    Unstored,
    /// There were too many of them.
    Many,
    /// The state was lost: they stand under names of ours, and nobody knows that they are ours.
    Lost,
    /// Nothing is deleted: most events of the feed stand in the calendar in objects that are not ours.
    Occupied,
    /// Nothing is done at all: another subscription has as good a claim to what stands in the calendar.
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

    /// That of this word.
    pub fn from_word(word: &str) -> Option<HeldFor> {
        use HeldFor::{Draw, Empty, Lost, Many, Occupied, Unstored};
        [Empty, Unstored, Many, Lost, Occupied, Draw].into_iter().find(|one| one.as_str() == word)
    }

    /// Whether a person answers it by taking over what stands in the calendar, not by giving something up.
    pub fn is_about_owners(self) -> bool {
        matches!(self, HeldFor::Occupied | HeldFor::Draw)
    }
}
