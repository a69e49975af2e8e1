//! Gate 0: may a subscription run now, and how long to stay away after a failure (design §3, *Back-off* and *Due*).

use crate::memory::Memory;
use crate::time::{DAY, MINUTE, Timestamp};

/// The longest that we stay away of our own accord, in seconds.
const LONGEST: u64 = 30 * MINUTE;

/// The answer of gate 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Run now.
    Now,
    /// Every request would come too early; the next run is due at this moment.
    NotDue(Timestamp),
    /// The last pass failed; no request before this moment.
    BackingOff(Timestamp),
}

/// Whether a subscription may run at `now`. `every` is its interval in seconds; `asked` tells that a person named it on
/// the command line, which overrides the interval; `force` overrides everything.
pub fn turn(memory: &Memory, every: u64, now: Timestamp, asked: bool, force: bool) -> Turn {
    if force {
        return Turn::Now;
    }
    if let Some(retry_at) = memory.failing.as_ref().and_then(|failing| failing.retry_at) {
        // A moment further ahead than any back-off can reach comes from a clock that jumped.
        let waits = retry_at > now && retry_at <= now.plus(DAY);
        return if waits { Turn::BackingOff(retry_at) } else { Turn::Now };
    }
    let Some(started_at) = memory.started_at.filter(|started| *started <= now && !asked) else {
        return Turn::Now;
    };
    let due_at = started_at.plus(every - (every / 10).min(MINUTE));
    if now >= due_at { Turn::Now } else { Turn::NotDue(due_at) }
}

/// How long to stay away after the n-th failure in a row, in seconds. The server's Retry-After counts when it is longer,
/// up to a day.
pub fn delay(failures: u32, retry_after: Option<u64>) -> u64 {
    let doubled = 1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX);
    let ours = MINUTE.saturating_mul(doubled).min(LONGEST);
    ours.max(retry_after.unwrap_or(0).min(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Failing;
    use crate::time::HOUR;

    const NOW: Timestamp = Timestamp(1_000_000);

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
        assert_eq!(turn(&started(271), 300, NOW, false, false), Turn::Now);
        assert_eq!(turn(&started(200), 300, NOW, false, false), Turn::NotDue(Timestamp(NOW.0 + 70)));
        assert_eq!(turn(&started(200), 0, NOW, false, false), Turn::Now);
    }

    #[test]
    fn a_name_on_the_command_line_overrides_the_interval_but_not_the_back_off() {
        assert_eq!(turn(&started(1), HOUR, NOW, true, false), Turn::Now);
        assert_eq!(turn(&failed(60), 0, NOW, true, false), Turn::BackingOff(NOW.plus(60)));
        assert_eq!(turn(&failed(60), 0, NOW, false, true), Turn::Now);
    }

    #[test]
    fn a_failed_pass_is_due_when_its_back_off_ends() {
        assert_eq!(turn(&failed(0), DAY, NOW, false, false), Turn::Now);
    }

    #[test]
    fn times_that_a_jumping_clock_left_behind_are_ignored() {
        assert_eq!(turn(&failed(DAY + 1), 0, NOW, false, false), Turn::Now);
        assert_eq!(turn(&started(-9_999), HOUR, NOW, false, false), Turn::Now);
    }
}
