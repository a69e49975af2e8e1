//! Whose fault it is that writes failed: that of the events, or that of the calendar and its server. What else succeeds
//! shows it, never a status. Pure: a function of all outcomes of a pass.

use crate::model::{Href, Key};
use crate::time::{DAY, HOUR};

/// How one write of a pass ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It got through.
    Taken,
    /// It failed, and the answer names the content as the cause.
    Refused,
    /// It failed.
    Failed,
    /// No answer came within the time-out.
    Hung,
}

/// What a probe shows: our rights, and an object that is written once more as it stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// We may write, and the object was taken.
    Healthy,
    /// We may not write, or the object was not taken either.
    Ill,
    /// We may write, but there is no object of ours that could be written once more.
    Impossible,
}

/// Who is to blame for the failures of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Each failure is its own event's.
    Events,
    /// The calendar, or its server.
    Calendar,
    /// A probe has to show it.
    Ask,
    /// Nothing shows it: there was nothing else to write.
    Unclear,
}

/// What earlier passes that ended without an answer to the question know of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// In how many passes its write failed.
    pub failed: u32,
    /// How often the server did not answer.
    pub hung: u32,
}

/// Blames for the outcomes of a pass, in the order in which they came. Whatever succeeds after a failure shows that the
/// server works; after the last one only a probe does.
pub fn blame(outcomes: &[Outcome], probe: Option<Probe>) -> Blame {
    let last = |wanted: &[Outcome]| outcomes.iter().rposition(|outcome| wanted.contains(outcome));
    match (last(&[Outcome::Failed, Outcome::Hung]), last(&[Outcome::Taken])) {
        (None, _) => Blame::Events,
        (Some(failed), Some(taken)) if taken > failed => Blame::Events,
        _ => match probe {
            None => Blame::Ask,
            Some(Probe::Healthy) => Blame::Events,
            Some(Probe::Ill) => Blame::Calendar,
            Some(Probe::Impossible) => Blame::Unclear,
        },
    }
}

/// So many failures in a row are enough to ask whether the server still takes anything; a time-out is enough by itself.
pub const FEW: usize = 3;
/// After so many failures in a row without any success, a pass in which nothing can be probed writes no more.
pub const MANY: usize = 24;

/// How many failures there were since the last success; a time-out counts as a few.
pub fn failures_in_a_row(outcomes: &[Outcome]) -> usize {
    let weight = |outcome: &Outcome| match outcome {
        Outcome::Hung => FEW,
        Outcome::Failed => 1,
        Outcome::Taken | Outcome::Refused => 0,
    };
    outcomes.iter().rev().take_while(|outcome| **outcome != Outcome::Taken).map(weight).sum()
}

impl Suspicion {
    /// The suspicion after one more pass in which it did not come out.
    pub fn after(self, outcome: Outcome) -> Suspicion {
        Suspicion { failed: self.failed + 1, hung: self.hung + u32::from(outcome == Outcome::Hung) }
    }

    /// Whether it is refused though nothing shows whose fault it is: a single bad event must not fail its feed for ever.
    pub fn is_enough(self) -> bool {
        self.failed >= LAST_CHANCE || self.hung >= LAST_HANG
    }
}

/// In so many passes an object may fail, when nothing shows whose fault it is, before it is refused.
pub const LAST_CHANCE: u32 = 3;
const LAST_HANG: u32 = 2;

/// How long a refused object waits until it is tried again, in seconds. `None`: it was never sent, and will not be.
pub fn wait(tries: u32) -> Option<u64> {
    match tries {
        0 => None,
        1 => Some(HOUR),
        2 => Some(6 * HOUR),
        3 => Some(DAY),
        _ => Some(7 * DAY),
    }
}

const SHORTEST_NAME: usize = 6;

/// What refusals have in common: the reason without what belongs to one object alone.
pub fn cause(reason: &str, key: &Key, href: &Href) -> String {
    // A short name may be a part of any word.
    let names = [key.uid.as_str(), href.as_str()].into_iter().filter(|name| name.len() >= SHORTEST_NAME);
    let general = names.fold(reason.to_owned(), |text, name| text.replace(name, "…"));
    general.chars().map(|letter| if letter.is_ascii_digit() { '#' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentType;

    /// `+` taken, `x` failed, `r` refused by name, `h` hung.
    fn outcomes(letters: &str) -> Vec<Outcome> {
        let outcome = |letter| match letter {
            '+' => Outcome::Taken,
            'x' => Outcome::Failed,
            'r' => Outcome::Refused,
            _ => Outcome::Hung,
        };
        letters.chars().map(outcome).collect()
    }

    #[test]
    fn a_success_after_the_failures_blames_the_events() {
        for letters in ["", "+", "r", "x+", "hxx+", "+x+", "++r"] {
            assert_eq!(blame(&outcomes(letters), None), Blame::Events, "{letters}");
        }
    }

    #[test]
    fn failures_at_the_end_are_for_a_probe_to_judge() {
        for letters in ["x", "+x", "xx", "h", "x+h"] {
            let judged = [None, Some(Probe::Healthy), Some(Probe::Ill), Some(Probe::Impossible)]
                .map(|probe| blame(&outcomes(letters), probe));
            assert_eq!(judged, [Blame::Ask, Blame::Events, Blame::Calendar, Blame::Unclear], "{letters}");
        }
    }

    #[test]
    fn failures_are_counted_from_the_last_success() {
        let counts = ["", "x+", "+x", "+xrx", "h", "xh"].map(|letters| failures_in_a_row(&outcomes(letters)));
        assert_eq!(counts, [0, 0, 1, 2, FEW, FEW + 1]);
    }

    #[test]
    fn the_third_failure_and_the_second_hang_are_enough() {
        let after = |letters| outcomes(letters).into_iter().fold(Suspicion::default(), Suspicion::after).is_enough();
        assert_eq!(["x", "xx", "xxx", "h", "hx", "hh"].map(after), [false, false, true, false, false, true]);
    }

    #[test]
    fn refusals_that_differ_in_names_and_numbers_alone_have_one_cause() {
        let of = |uid: &str, href: &str| {
            let key = Key { component: ComponentType::Event, uid: uid.to_owned() };
            cause(&format!("{uid} at {href} has 17{} octets too many", uid.len()), &key, &Href::new(href))
        };
        assert_eq!(of("one@example", "12345678.ics"), of("another@example", "abcdefgh.ics"));
        assert_eq!(of("one@example", "12345678.ics"), "… at … has #### octets too many");
        assert_eq!(of("a", "1.ics"), "a at #.ics has ### octets too many");
    }
}
