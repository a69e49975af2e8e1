//! Gate 0: may a subscription run now, and how long to back off after a failure.

use crate::model::memory::Memory;
use crate::words::time::{DAY, MINUTE, Timestamp};

/// The longest back-off of our own choice, in seconds.
const LONGEST: u64 = 30 * MINUTE;

/// The answer of gate 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Run now.
    Now,
    /// Not due yet; the next run is due at this time.
    NotDue(Timestamp),
    /// The last pass failed; send no request before this time.
    BackingOff(Timestamp),
}

/// Who wants a subscription to run, and why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a reason of its own")]
pub struct Wish {
    /// It was named on the command line: its interval is ignored.
    pub named: bool,
    /// A person waits for the answer: a dry run, or a run at a terminal. Interval and back-off are ignored.
    pub attended: bool,
    /// Something that may have caused the failure has changed since: the configuration, a secret, a certificate. The
    /// back-off is ignored.
    pub mended: bool,
    /// Everything is ignored.
    pub force: bool,
}

/// Whether a subscription may run at `now`. `every` is its interval in seconds. Only `force` overrides a delay that a
/// server asked for.
pub fn turn(memory: &Memory, every: u64, now: Timestamp, wish: Wish) -> Turn {
    if wish.force {
        return Turn::Now;
    }
    // A time beyond the longest back-off comes from a clock that jumped.
    let waits = |at: Option<Timestamp>| at.filter(|at| *at > now && *at <= now.plus(DAY));
    let failing = memory.failing.as_ref();
    if let Some(until) = waits(failing.and_then(|failing| failing.until)) {
        return Turn::BackingOff(until);
    }
    let is_answer = |asked: Timestamp| memory.started_at.is_none_or(|started| started > now || asked >= started);
    let is_asked_for = memory.asked_at.is_some_and(|asked| asked <= now && is_answer(asked));
    if wish.attended || is_asked_for {
        return Turn::Now;
    }
    if let Some(failing) = failing {
        return waits(failing.retry_at).filter(|_| !wish.mended).map_or(Turn::Now, Turn::BackingOff);
    }
    let Some(started_at) = memory.started_at.filter(|started| *started <= now && !wish.named) else {
        return Turn::Now;
    };
    let due_at = started_at.plus(every - (every / 10).min(MINUTE));
    if now >= due_at { Turn::Now } else { Turn::NotDue(due_at) }
}

/// How many seconds to back off after the n-th failure in a row. The server's Retry-After is used if it is longer, up
/// to a day.
pub fn delay(failures: u32, retry_after: Option<u64>) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let ours = MINUTE.saturating_mul(doubled).min(LONGEST);
    ours.max(retry_after.unwrap_or(0).min(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::memory::Failing;
    use crate::words::time::HOUR;

    const NOW: Timestamp = Timestamp(1_000_000);
    const NOBODY: Wish = Wish { named: false, attended: false, mended: false, force: false };
    const NAMED: Wish = Wish { named: true, ..NOBODY };
    const FORCE: Wish = Wish { force: true, ..NOBODY };
    const ATTENDED: Wish = Wish { attended: true, ..NOBODY };
    const MENDED: Wish = Wish { mended: true, ..NOBODY };

    fn started(seconds_ago: i64) -> Memory {
        Memory { started_at: Some(Timestamp(NOW.0 - seconds_ago)), ..Memory::default() }
    }

    fn failed(retry_in: u64) -> Memory {
        let failing = Failing { retry_at: Some(NOW.plus(retry_in)), ..Failing::default() };
        Memory { failing: Some(failing), ..started(5) }
    }

    #[test]
    fn the_wait_doubles_from_one_to_thirty_minutes() {
        let minutes = [1, 2, 3, 4, 5, 6, 7, 40, 400].map(|failures| delay(failures, None) / MINUTE);
        assert_eq!(minutes, [1, 2, 4, 8, 16, 30, 30, 30, 30]);
    }

    #[test]
    fn a_longer_retry_after_counts_up_to_a_day() {
        assert_eq!([10, 7200, 999_999].map(|after| delay(1, Some(after))), [MINUTE, 7200, DAY]);
    }

    #[test]
    fn a_five_minute_timer_and_five_minutes_do_not_alias_to_ten() {
        assert_eq!(turn(&started(271), 300, NOW, NOBODY), Turn::Now);
        assert_eq!(turn(&started(200), 300, NOW, NOBODY), Turn::NotDue(Timestamp(NOW.0 + 70)));
        assert_eq!(turn(&started(200), 0, NOW, NOBODY), Turn::Now);
    }

    #[test]
    fn a_name_on_the_command_line_overrides_the_interval_but_not_the_back_off() {
        assert_eq!(turn(&started(1), HOUR, NOW, NAMED), Turn::Now);
        assert_eq!(turn(&failed(60), 0, NOW, NAMED), Turn::BackingOff(NOW.plus(60)));
        assert_eq!(turn(&failed(60), 0, NOW, FORCE), Turn::Now);
    }

    #[test]
    fn a_person_who_asks_is_answered_and_so_is_one_who_mended_something() {
        for wish in [ATTENDED, MENDED] {
            assert_eq!(turn(&failed(60), HOUR, NOW, wish), Turn::Now);
        }
        assert_eq!(turn(&started(1), HOUR, NOW, ATTENDED), Turn::Now);
        assert!(matches!(turn(&started(1), HOUR, NOW, MENDED), Turn::NotDue(_)));
        let asked = Memory { asked_at: Some(NOW), ..failed(60) };
        assert_eq!(turn(&asked, HOUR, NOW, NOBODY), Turn::Now);
        let answered = Memory { asked_at: Some(Timestamp(NOW.0 - 9)), ..failed(60) };
        assert_eq!(turn(&answered, HOUR, NOW, NOBODY), Turn::BackingOff(NOW.plus(60)));
    }

    #[test]
    fn what_a_server_asked_for_is_overridden_by_force_alone() {
        let mut memory = Memory { asked_at: Some(NOW), ..failed(60) };
        memory.failing.as_mut().unwrap().until = Some(NOW.plus(90));
        for wish in [NOBODY, NAMED, ATTENDED, MENDED] {
            assert_eq!(turn(&memory, 0, NOW, wish), Turn::BackingOff(NOW.plus(90)));
        }
        assert_eq!(turn(&memory, 0, NOW, FORCE), Turn::Now);
    }

    #[test]
    fn a_fault_of_this_machine_is_not_waited_out() {
        let mut memory = failed(0);
        memory.failing.as_mut().unwrap().retry_at = None;
        assert_eq!(turn(&memory, HOUR, NOW, NOBODY), Turn::Now);
    }

    #[test]
    fn a_failed_pass_is_due_when_its_back_off_ends() {
        assert_eq!(turn(&failed(0), DAY, NOW, NOBODY), Turn::Now);
    }

    #[test]
    fn times_that_a_jumping_clock_left_behind_are_ignored() {
        assert_eq!(turn(&failed(DAY + 1), 0, NOW, NOBODY), Turn::Now);
        assert_eq!(turn(&started(-9_999), HOUR, NOW, NOBODY), Turn::Now);
    }
}
