//! Whose fault it is that writes failed: that of the events, or that of the calendar and its server. What else succeeds
//! shows it, never a status. Pure: a function of what came out.

use crate::model::{Href, Key};
use crate::words::time::{DAY, HOUR};

/// How one write of a pass ended. One whose answer names the content as the cause says nothing about anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It got through.
    Taken,
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

/// Blames for the failures of a pass. Whatever succeeds after a failure shows that the server works, so that none is left
/// in a row; after the last one only a probe shows it.
pub fn blame(failures_in_a_row: usize, probe: Option<Probe>) -> Blame {
    match (failures_in_a_row, probe) {
        (0, _) | (_, Some(Probe::Healthy)) => Blame::Events,
        (_, None) => Blame::Ask,
        (_, Some(Probe::Ill)) => Blame::Calendar,
        (_, Some(Probe::Impossible)) => Blame::Unclear,
    }
}

/// So many failures in a row are enough to ask whether the server still takes anything; a time-out is enough by itself.
pub const FEW: usize = 3;
/// After so many failures in a row without any success, a pass in which nothing can be probed writes no more.
pub const MANY: usize = 24;

/// How many failures there are since the last success, after one more outcome; a time-out counts as a few.
pub fn failures_in_a_row(before: usize, outcome: Outcome) -> usize {
    match outcome {
        Outcome::Taken => 0,
        Outcome::Failed => before + 1,
        Outcome::Hung => before + FEW,
    }
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
