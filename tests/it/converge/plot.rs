//! What a story is about: what may happen in it, what of that is cut out, and a tally of what did happen.

use std::collections::BTreeMap;

use crate::story::Dice;

/// What a story is about, besides cuts, edits and a lost state.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)] // Each is thrown by the dice alone.
pub(super) struct Plot {
    /// The feed issues new UIDs at every fetch.
    pub(super) renames: bool,
    /// Two subscriptions mirror into one calendar, and their feeds hold the same UIDs now and then.
    pub(super) shares: bool,
    /// The calendar refuses some objects, and the server stumbles over others.
    pub(super) refuses: bool,
    /// `on_drift = "keep"`.
    pub(super) keeps: bool,
    /// Guards are at work.
    pub(super) holds: bool,
    /// Others put UIDs of the feed into the calendar.
    pub(super) contests: bool,
    /// The state is turned back to a moment in the middle of a pass.
    pub(super) dies: bool,
    /// Nobody else touches the calendar, nothing looks for drift, and the feed often goes back to what it was.
    pub(super) trusts: bool,
    /// `deletes = "future"`, and half of the events had ended.
    pub(super) ends: bool,
    /// `attendees = "strip"`, and the feed has other guests at every fetch.
    pub(super) strips: bool,
    /// A person lets passes take over what others put there.
    pub(super) takes_over: bool,
}

/// Cuts a thread out of a plot.
type Scissors = fn(&mut Plot);

/// The threads of a plot, and how each is cut out.
pub(super) const THREADS: [(&str, Scissors); 11] = [
    ("renames", |plot| plot.renames = false),
    ("shares", |plot| plot.shares = false),
    ("refuses", |plot| plot.refuses = false),
    ("keeps", |plot| plot.keeps = false),
    ("holds", |plot| plot.holds = false),
    ("takes_over", |plot| plot.takes_over = false),
    ("contests", |plot| (plot.contests, plot.takes_over) = (false, false)),
    ("dies", |plot| plot.dies = false),
    ("trusts", |plot| plot.trusts = false),
    ("ends", |plot| plot.ends = false),
    ("strips", |plot| plot.strips = false),
];

/// What a story is told without, to find the shortest that goes wrong.
#[derive(Debug, Clone)]
pub(super) struct Cut {
    /// So many chapters are told at most.
    pub(super) chapters: usize,
    /// These threads are cut out.
    pub(super) threads: Vec<&'static str>,
}

impl Default for Cut {
    fn default() -> Cut {
        Cut { chapters: usize::MAX, threads: Vec::new() }
    }
}

impl Plot {
    pub(super) fn new(dice: &mut Dice) -> Plot {
        let renames = dice.one_in(4);
        // An edit that is kept while its event gets another UID and another content cannot be told from someone's own.
        let keeps = !renames && dice.one_in(4);
        let trusts = !keeps && dice.one_in(4);
        // What is pending shows best where nothing is looked for.
        let often = if trusts { 2 } else { 4 };
        let ends = dice.one_in(4);
        let contests = !renames && !trusts && dice.one_in(3);
        Plot {
            renames,
            // What had ended and stays keeps its UID from the other subscription.
            shares: !renames && !trusts && !ends && dice.one_in(3),
            refuses: dice.one_in(4),
            keeps,
            holds: dice.one_in(often),
            contests,
            // Without its record, what we wrote is what someone else wrote.
            dies: !keeps && dice.one_in(often),
            trusts,
            ends,
            strips: dice.one_in(4),
            takes_over: contests && dice.one_in(2),
        }
    }

    /// The plot without these threads.
    pub(super) fn without(mut self, threads: &[&str]) -> Plot {
        THREADS.iter().filter(|(name, _)| threads.contains(name)).for_each(|(_, cut)| cut(&mut self));
        self
    }
}

/// Everything that is to happen often among many stories: a mishap that never happens is a test that cannot fail.
const MISHAPS: [&str; 38] = [
    "a write is cut off, with one worker",
    "a write is cut off, with several workers",
    "a write gets through and its answer does not",
    "the server stumbles over a write",
    "the server refuses an object",
    "a write finds another version",
    "a UID is taken",
    "someone edits an object of ours during a pass",
    "someone deletes an object of ours during a pass",
    "someone adds an object during a pass",
    "someone does something amid the writes of a pass",
    "someone edits an object of ours",
    "someone deletes an object of ours",
    "someone adds an object",
    "a pass is stopped",
    "a pass is killed",
    "the state of an old backup comes back",
    "the state is lost",
    "two subscriptions share a calendar",
    "the feed goes back to what was settled",
    "a pass begins while something is pending",
    "the feed has not changed",
    "events come under new UIDs",
    "an object is adopted",
    "an object is restored",
    "an object is rejected",
    "a UID is left to its owner",
    "deletions are held",
    "deletions are released",
    "a dry run plans something",
    "what had ended before it left the feed stays",
    "what had not ended is deleted beside what may stay",
    "an object of someone else is written",
    "a person is asked whose the events are",
    "a person takes over what stands there",
    "deletions are approved",
    "an approved deletion is carried out",
    "guests are left out",
];

/// How often what happened.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<&'static str, usize>);

impl Tally {
    /// Counts a mishap, if it happened.
    pub(super) fn count(&mut self, mishap: &'static str, happened: bool) {
        assert!(MISHAPS.contains(&mishap), "{mishap}");
        *self.0.entry(mishap).or_default() += usize::from(happened);
    }

    pub(super) fn add(&mut self, other: Tally) {
        other.0.into_iter().for_each(|(mishap, times)| *self.0.entry(mishap).or_default() += times);
    }

    /// What happened less often than so many times.
    pub(super) fn rarer_than(&self, times: usize) -> Vec<(&'static str, usize)> {
        let counts = MISHAPS.iter().map(|mishap| (*mishap, self.0.get(mishap).copied().unwrap_or(0)));
        counts.filter(|(_, count)| *count < times).collect()
    }
}
