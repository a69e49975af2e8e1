//! What a story is about: dice, what may happen in it, and a tally of what did.

use std::collections::BTreeMap;

/// Numbers that look like chance and are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn at(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).unwrap()
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

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
}

impl Plot {
    pub(super) fn new(dice: &mut Dice) -> Plot {
        let renames = dice.one_in(4);
        // An edit that is kept while its event gets another UID and another content cannot be told from someone's own.
        let keeps = !renames && dice.one_in(4);
        let trusts = !keeps && dice.one_in(4);
        // What is pending shows best where nothing is looked for.
        let often = if trusts { 2 } else { 4 };
        Plot {
            renames,
            shares: !renames && !trusts && dice.one_in(4),
            refuses: dice.one_in(4),
            keeps,
            holds: dice.one_in(often),
            contests: !renames && !trusts && dice.one_in(4),
            // Without its record, what we wrote is what someone else wrote.
            dies: !keeps && dice.one_in(often),
            trusts,
        }
    }
}

/// Everything that is to happen often among many stories: a mishap that never happens is a test that cannot fail.
const MISHAPS: [&str; 30] = [
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
