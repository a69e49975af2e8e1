//! What causes writes to fail: the events, or the calendar and its server. Only other successes show it, never a
//! status. Pure: a function of the outcomes.

use crate::model::{Href, Key};
use crate::words::time::{DAY, HOUR};

/// The outcome of one write. If the answer names the content as the cause, it says nothing about other writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted.
    Taken,
    /// It failed.
    Failed,
    /// No answer came within the time-out.
    Hung,
}

/// The result of a probe, which checks our rights and writes a stored object again unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// We may write, and the object was accepted.
    Healthy,
    /// We may not write, or the object was not accepted either.
    Ill,
    /// We may write, but no object of ours can be written again.
    Impossible,
}

/// What is to blame for the failures of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Each failure is caused by its own event.
    Events,
    /// The calendar, or its server.
    Calendar,
    /// A probe must decide.
    Ask,
    /// Nothing shows it: there was nothing else to write.
    Unclear,
}

/// What earlier passes that reached no verdict know of an object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Suspicion {
    /// In how many passes its write failed.
    pub failed: u32,
    /// How often the server did not answer in time.
    pub hung: u32,
}

/// Decides what is to blame. A success after a failure shows that the server works, and ends the row of failures;
/// after the last failure only a probe can show it.
pub fn blame(failures_in_a_row: usize, probe: Option<Probe>) -> Blame {
    match (failures_in_a_row, probe) {
        (0, _) | (_, Some(Probe::Healthy)) => Blame::Events,
        (_, None) => Blame::Ask,
        (_, Some(Probe::Ill)) => Blame::Calendar,
        (_, Some(Probe::Impossible)) => Blame::Unclear,
    }
}

/// How many failures in a row justify a probe; a single time-out does too.
pub const FEW: usize = 3;
/// After how many failures in a row without a success a pass stops writing if nothing can be probed.
pub const MANY: usize = 24;

/// The number of failures since the last success after one more outcome; a time-out counts as a few.
pub fn failures_in_a_row(before: usize, outcome: Outcome) -> usize {
    match outcome {
        Outcome::Taken => 0,
        Outcome::Failed => before + 1,
        Outcome::Hung => before + FEW,
    }
}

impl Suspicion {
    /// The suspicion after one more pass without a verdict.
    pub fn after(self, outcome: Outcome) -> Suspicion {
        Suspicion { failed: self.failed + 1, hung: self.hung + u32::from(outcome == Outcome::Hung) }
    }

    /// Whether to refuse the object without proof: a single bad event must not block its feed for ever.
    pub fn is_enough(self) -> bool {
        self.failed >= LAST_CHANCE || self.hung >= LAST_HANG
    }
}

/// In how many passes an object may fail without a known cause before it is refused.
pub const LAST_CHANCE: u32 = 3;
const LAST_HANG: u32 = 2;

/// How many seconds a refused object waits before it is tried again; `None` if it was never sent, and never will be.
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

/// What refusals have in common: the reason without the parts specific to one object.
pub fn cause(reason: &str, key: &Key, href: &Href) -> String {
    // A short name may be part of any word.
    let names = [key.uid.as_str(), href.as_str()].into_iter().filter(|name| name.len() >= SHORTEST_NAME);
    let general = names.fold(reason.to_owned(), |text, name| text.replace(name, "…"));
    let mut cause = String::new();
    for letter in general.chars() {
        match letter {
            '0'..='9' if cause.ends_with('#') => {}
            '0'..='9' => cause.push('#'),
            _ => cause.push(letter),
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ComponentType;

    /// `+` taken, `x` failed, `h` hung.
    fn outcomes(letters: &str) -> Vec<Outcome> {
        let outcome = |letter| match letter {
            '+' => Outcome::Taken,
            'x' => Outcome::Failed,
            _ => Outcome::Hung,
        };
        letters.chars().map(outcome).collect()
    }

    fn in_a_row(letters: &str) -> usize {
        outcomes(letters).into_iter().fold(0, failures_in_a_row)
    }

    #[test]
    fn a_success_after_the_failures_blames_the_events() {
        for letters in ["", "+", "x+", "hxx+", "+x+"] {
            assert_eq!(blame(in_a_row(letters), None), Blame::Events, "{letters}");
        }
    }

    #[test]
    fn failures_at_the_end_are_for_a_probe_to_judge() {
        for letters in ["x", "+x", "xx", "h", "x+h"] {
            let judged = [None, Some(Probe::Healthy), Some(Probe::Ill), Some(Probe::Impossible)]
                .map(|probe| blame(in_a_row(letters), probe));
            assert_eq!(judged, [Blame::Ask, Blame::Events, Blame::Calendar, Blame::Unclear], "{letters}");
        }
    }

    #[test]
    fn failures_are_counted_from_the_last_success() {
        assert_eq!(["", "x+", "+x", "+xx", "h", "xh"].map(in_a_row), [0, 0, 1, 2, FEW, FEW + 1]);
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
            cause(
                &format!("{uid} at {href} has {}{} octets too many", uid.len() * 9, href.len()),
                &key,
                &Href::new(href),
            )
        };
        assert_eq!(of("one@example", "12345678.ics"), of("another@example", "abcdefgh.ics"));
        assert_eq!(of("one@example", "12345678.ics"), "… at … has # octets too many");
        assert_eq!(of("a", "1.ics"), "a at #.ics has # octets too many");
    }
}
