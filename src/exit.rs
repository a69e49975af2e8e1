//! The exit codes: one table for `--help`, the man page and the program, and how several subscriptions combine.

use crate::words::error::Kind;

/// Changed, unchanged or not due.
pub(crate) const SETTLED: u8 = 0;
/// Events were refused in this run, most of a feed is refused, or some subscriptions failed while others settled.
pub(crate) const PARTIAL: u8 = 3;
/// A guard held back deletions.
pub(crate) const HELD: u8 = 4;
/// The command line is wrong.
pub(crate) const USAGE: u8 = 64;
/// The feed has not been a complete calendar for too long.
pub(crate) const FEED: u8 = 65;
/// A feed or server has been unavailable for too long.
pub(crate) const UNAVAILABLE: u8 = 69;
/// A bug in the program.
pub(crate) const INTERNAL: u8 = 70;
/// The state file or the disk failed.
pub(crate) const STATE: u8 = 74;
/// A failure that may be temporary; a later run tries again.
pub(crate) const TEMPORARY: u8 = 75;
/// The server is not CalDAV, or the calendar does not exist.
pub(crate) const NOT_CALDAV: u8 = 76;
/// Authentication, permissions, an untrusted certificate, or a secret file that others can read.
pub(crate) const REFUSED: u8 = 77;
/// The configuration is wrong.
pub(crate) const CONFIGURATION: u8 = 78;
/// Stopped by SIGINT.
pub(crate) const INTERRUPTED: u8 = 130;
/// Stopped by SIGTERM.
pub(crate) const TERMINATED: u8 = 143;

/// Every code and what it means, in ascending order. `--help` prints it and the man page repeats it.
pub(crate) const TABLE: &[(u8, &str)] = &[
    (SETTLED, "settled: changed, unchanged or not due"),
    (PARTIAL, "partial: events refused in this run, most of a feed refused, or some subscriptions failed"),
    (HELD, "held: deletions wait for an answer, or most events are those of somebody else"),
    (USAGE, "usage"),
    (FEED, "the feed has not been a complete calendar for longer than alert_after (75 before)"),
    (UNAVAILABLE, "feed or server unavailable, or runs killed, for longer than alert_after (75 before)"),
    (INTERNAL, "internal fault"),
    (STATE, "state file or disk"),
    (TEMPORARY, "temporary failure or lock, or waiting one out"),
    (NOT_CALDAV, "the server is not CalDAV, or the calendar is not there"),
    (REFUSED, "refused: authentication, rights, an untrusted certificate, a secret file open to others"),
    (CONFIGURATION, "configuration"),
    (INTERRUPTED, "stopped by SIGINT"),
    (TERMINATED, "stopped by SIGTERM"),
];

/// The state of a subscription after a run, whether it was run or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Changed, unchanged or not due.
    Settled,
    /// Settled, but events were refused in this pass, or most of the feed is.
    Partial,
    /// Settled except for the deletions that a guard held back.
    Held,
    /// Failed, with the code from [`of`].
    Failed(u8),
}

/// The code of a failure. `older_than_alert`: the subscription has been failing for longer than its `alert_after`.
/// `signal`: the number of the signal that stopped the run, if any.
pub(crate) fn of(kind: Kind, older_than_alert: bool, signal: Option<i32>) -> u8 {
    match kind {
        Kind::Usage => USAGE,
        Kind::Configuration => CONFIGURATION,
        Kind::Feed if older_than_alert => FEED,
        Kind::Unavailable | Kind::Killed if older_than_alert => UNAVAILABLE,
        Kind::Feed | Kind::Unavailable | Kind::Killed | Kind::Locked => TEMPORARY,
        Kind::Refused => REFUSED,
        Kind::NotCaldav | Kind::Missing => NOT_CALDAV,
        Kind::State => STATE,
        Kind::Stopped => stopped(signal),
        Kind::Internal => INTERNAL,
    }
}

fn stopped(signal: Option<i32>) -> u8 {
    const SIGINT: i32 = 2;
    if signal == Some(SIGINT) { INTERRUPTED } else { TERMINATED }
}

/// One code for all requested subscriptions: what ends every run comes first, then a signal, then a hold. If all
/// failed, the one that most needs a person; if some settled, 75 if every failure is temporary, else 3.
pub(crate) fn combine(outcomes: &[Standing]) -> u8 {
    let failed = |code: u8| outcomes.contains(&Standing::Failed(code));
    let first_of = |codes: &[u8]| codes.iter().copied().find(|code| failed(*code));
    let failures = outcomes.iter().filter(|outcome| matches!(outcome, Standing::Failed(_))).count();

    if let Some(code) = first_of(&[INTERNAL, STATE, CONFIGURATION, INTERRUPTED, TERMINATED]) {
        code
    } else if outcomes.contains(&Standing::Held) {
        HELD
    } else if failures > 0 && failures == outcomes.len() {
        first_of(&[REFUSED, NOT_CALDAV, FEED, UNAVAILABLE, TEMPORARY]).unwrap_or(INTERNAL)
    } else if outcomes.iter().all(|outcome| *outcome == Standing::Settled) {
        SETTLED
    } else if outcomes.iter().all(|outcome| matches!(outcome, Standing::Settled | Standing::Failed(TEMPORARY))) {
        TEMPORARY
    } else {
        PARTIAL
    }
}

#[cfg(test)]
mod tests {
    use super::Standing::{Failed, Held, Partial, Settled};
    use super::*;

    #[test]
    fn codes_that_end_every_run_win_then_a_signal_then_a_hold() {
        let mut outcomes =
            vec![Failed(78), Failed(74), Failed(70), Failed(143), Failed(130), Held, Failed(77), Settled];
        for expected in [70, 74, 78, 130, 143, 4, 3] {
            assert_eq!(combine(&outcomes), expected, "{outcomes:?}");
            outcomes.retain(|outcome| *outcome != if expected == 4 { Held } else { Failed(expected) });
        }
    }

    #[test]
    fn when_all_failed_the_one_that_most_needs_a_person_is_told() {
        let all = [75, 69, 65, 76, 77].map(Failed);
        let codes: Vec<u8> = (1..=all.len()).map(|count| combine(&all[..count])).collect();
        assert_eq!(codes, [75, 69, 65, 76, 77]);
    }

    #[test]
    fn when_some_settled_temporary_failures_are_75_and_anything_else_is_partial() {
        assert_eq!(combine(&[Settled, Failed(75)]), 75);
        for outcomes in [[Settled, Failed(69)], [Settled, Partial], [Partial, Failed(75)], [Partial, Failed(77)]] {
            assert_eq!(combine(&outcomes), 3, "{outcomes:?}");
        }
    }

    #[test]
    fn nothing_to_do_and_everything_settled_are_success() {
        assert_eq!((combine(&[]), combine(&[Settled, Settled]), combine(&[Partial]), combine(&[Held])), (0, 0, 3, 4));
    }

    #[test]
    fn only_a_feed_or_server_that_is_away_changes_its_code_with_time() {
        let codes = |kind| (of(kind, false, None), of(kind, true, None));
        assert_eq!((codes(Kind::Feed), codes(Kind::Unavailable)), ((75, 65), (75, 69)));
        assert_eq!((codes(Kind::Locked), codes(Kind::Refused), codes(Kind::Missing)), ((75, 75), (77, 77), (76, 76)));
    }

    #[test]
    fn a_stop_tells_its_signal() {
        assert_eq!((of(Kind::Stopped, false, Some(2)), of(Kind::Stopped, true, Some(15))), (130, 143));
    }

    #[test]
    fn every_failure_has_a_code_in_the_table() {
        for kind in [Kind::Usage, Kind::Configuration, Kind::NotCaldav, Kind::State, Kind::Internal, Kind::Stopped] {
            assert!(TABLE.iter().any(|(code, _)| *code == of(kind, false, None)), "{kind:?}");
        }
        assert!(TABLE.is_sorted_by_key(|(code, _)| code));
    }
}
