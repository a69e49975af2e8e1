//! The output of `status`: one block per subscription, failures first, human-readable times.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::Refused;
use super::advice::Advice;
use super::human::{MOST_NAMED, title};
use crate::model::memory::Memory;
use crate::words::time::{Timestamp, in_words};

/// A subscription as known from the configuration and the state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusReport {
    /// Its name.
    pub name: String,
    /// Its source, without secrets; empty if it is no longer configured.
    pub source: String,
    /// Its target.
    pub target: String,
    /// Whether it is configured.
    pub configured: bool,
    /// What the state remembers about it.
    pub memory: Memory,
    /// How many of our objects are in the target.
    pub mirrored: u64,
    /// Objects that are refused.
    pub rejected: Vec<Refused>,
    /// Objects that are left alone.
    pub conflicts: Vec<Refused>,
    /// Objects whose deletion needs approval; the reason is their start.
    pub held: Vec<Refused>,
    /// How many of them have been approved since.
    pub approved: u64,
    /// How many objects stand under prefixes of our shape that nobody has.
    pub unclaimed: BTreeMap<String, u64>,
    /// When the currently active run started, if any.
    pub running_since: Option<Timestamp>,
    /// Whether the last run was killed.
    pub was_killed: bool,
}

/// The state of a subscription, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The last pass failed.
    Failing,
    /// A guard is holding back deletions.
    Held,
    /// The last pass was stopped or killed, or none has finished yet.
    Unfinished,
    /// A run is working on it.
    Running,
    /// Settled, but some objects are refused.
    Refusing,
    /// It never ran.
    NeverRan,
    /// Settled.
    InOrder,
    /// The state remembers it, but it is not configured.
    NotConfigured,
}

impl StatusReport {
    /// Its state.
    pub fn state(&self) -> State {
        if !self.configured {
            State::NotConfigured
        } else if self.running_since.is_some() {
            State::Running
        } else if self.memory.failing.is_some() {
            State::Failing
        } else if self.memory.held.is_some() {
            State::Held
        } else if self.was_killed {
            State::Unfinished
        } else if self.memory.started_at.is_none() {
            State::NeverRan
        } else if self.memory.feed.is_none() || self.memory.settled_at.is_none() {
            State::Unfinished
        } else if !self.rejected.is_empty() || !self.conflicts.is_empty() {
            State::Refusing
        } else {
            State::InOrder
        }
    }
}

/// The text of `status`.
pub fn text(reports: &[StatusReport], now: Timestamp, advice: &Advice) -> String {
    let mut sorted: Vec<&StatusReport> = reports.iter().collect();
    sorted.sort_by_key(|report| report.state());
    let blocks: Vec<String> = sorted.into_iter().map(|report| block(report, now, advice)).collect();
    blocks.join("\n")
}

fn block(report: &StatusReport, now: Timestamp, advice: &Advice) -> String {
    let mut text = format!("{}: {}\n", report.name, headline(report, now));
    let mut tell = |what: &str, value: &str| {
        let _ = writeln!(text, "  {what:<9} {value}");
    };
    if let Some(failing) = report.memory.failing.as_ref().filter(|_| report.configured) {
        tell("problem", &failing.message);
        let asked = failing.until.filter(|at| *at > now);
        if let Some(at) = asked.or(failing.retry_at).filter(|at| *at > now) {
            let sooner = match asked {
                Some(_) => advice.run_with(&report.name, "--force").map(|command| format!(", or now: {command}")),
                None => Some(format!(", or at the next run after: {}", advice.command(&["retry", &report.name]))),
            };
            tell("next try", &format!("in {}{}", in_words(at.since(now)), sooner.unwrap_or_default()));
        }
    }
    if let Some(held) = report.memory.held.as_ref().filter(|_| report.configured) {
        if held.held_for.is_about_owners() {
            tell("held", &held.reason);
        } else {
            tell("held", &format!("{}: {}", plural(held.deletes, "deletion"), held.reason));
        }
        if report.memory.take_over {
            tell("approved", &format!("the next run takes them over: {}", advice.run(&report.name)));
        } else if held.held_for.is_about_owners() {
            tell("take over", &advice.command(&["approve", &report.name]));
        } else if report.approved > 0 {
            tell(
                "approved",
                &format!("{}; the next run carries them out: {}", report.approved, advice.run(&report.name)),
            );
        } else {
            tell("approve", &advice.command(&["approve", &report.name]));
        }
    }
    if report.configured {
        tell("from", &report.source);
    }
    tell("to", &report.target);
    if let Some(settled) = report.memory.settled_at.filter(|_| report.configured) {
        tell("holds", &plural(report.mirrored, "object"));
        tell("settled", &format!("{} ago", in_words(now.since(settled))));
    }
    if !report.configured {
        tell("holds", &plural(report.mirrored, "object"));
        tell("forget", &advice.command(&["forget", &report.name]));
    }
    for (prefix, events) in &report.unclaimed {
        let command = advice.command(&["forget", "--prefix", prefix.trim_end_matches('-')]);
        let them = if *events == 1 { "it" } else { "them" };
        tell(
            "unclaimed",
            &format!("{} under {prefix}, of nobody; delete {them}: {command}", plural(*events, "object")),
        );
    }
    for held in report.held.iter().take(MOST_NAMED) {
        tell("waits", &format!("{} {}", held.reason, title(&held.summary, &held.uid)));
    }
    if report.held.len() > MOST_NAMED {
        tell("", &format!("and {} more", report.held.len() - MOST_NAMED));
    }
    for refused in &report.rejected {
        tell("rejected", &format!("{}: {}", title(&refused.summary, &refused.uid), refused.reason));
    }
    for refused in &report.conflicts {
        tell("left out", &format!("{}: {}", title(&refused.summary, &refused.uid), refused.reason));
    }
    text
}

fn headline(report: &StatusReport, now: Timestamp) -> String {
    match (report.state(), &report.memory.failing) {
        (State::Failing, Some(failing)) if failing.failures == 1 => {
            format!("failed {} ago", in_words(now.since(failing.since)))
        }
        (State::Failing, Some(failing)) => {
            format!("failing for {}, {} times in a row", in_words(now.since(failing.since)), failing.failures)
        }
        (State::Failing, None) => "failing".to_owned(),
        (State::Held, _) if report.approved > 0 => "deletions were approved and are done by the next run".to_owned(),
        (State::Held, _) => "held, a person must look".to_owned(),
        (State::Running, _) => {
            let since = report.running_since.map(|since| format!(" for {}", in_words(now.since(since))));
            format!("running now{}", since.unwrap_or_default())
        }
        (State::Refusing, _) => {
            let refused = (report.rejected.len() + report.conflicts.len()) as u64;
            format!("in order, but for {}", plural(refused, "object"))
        }
        (State::Unfinished, _) => "not complete, the last run was interrupted; the next one goes on".to_owned(),
        (State::NeverRan, _) => "has not run yet".to_owned(),
        (State::InOrder, _) => "in order".to_owned(),
        (State::NotConfigured, _) => "not in the configuration any more".to_owned(),
    }
}

fn plural(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::memory::{Failing, FeedMemory};
    use crate::model::{Hash, Validators};
    use crate::words::error::Kind;

    const NOW: Timestamp = Timestamp(100_000);

    fn settled(name: &str) -> StatusReport {
        let (body, digest) = (Hash([1; 32]), Hash([2; 32]));
        let feed = FeedMemory { validators: Validators::default(), body, digest, read_at: NOW };
        let memory = Memory {
            feed: Some(feed),
            started_at: Some(Timestamp(NOW.0 - 300)),
            settled_at: Some(Timestamp(NOW.0 - 300)),
            ..Memory::default()
        };
        StatusReport {
            name: name.to_owned(),
            source: "https://h/…".to_owned(),
            target: "work".to_owned(),
            configured: true,
            memory,
            mirrored: 12,
            ..StatusReport::default()
        }
    }

    #[test]
    fn what_is_wrong_comes_first_and_says_what_to_do() {
        let mut broken = settled("b");
        broken.memory.failing = Some(Failing {
            failures: 2,
            since: Timestamp(NOW.0 - 600),
            retry_at: Some(NOW.plus(120)),
            kind: Kind::Unavailable,
            message: "cannot connect to https://h".to_owned(),
            ..Failing::default()
        });
        let expected = "\
b: failing for 10 minutes, 2 times in a row
  problem   cannot connect to https://h
  next try  in 2 minutes, or at the next run after: baikal-sync retry b
  from      https://h/…
  to        work
  holds     12 objects
  settled   5 minutes ago

a: in order
  from      https://h/…
  to        work
  holds     12 objects
  settled   5 minutes ago
";
        assert_eq!(text(&[settled("a"), broken], NOW, &Advice::default()), expected);
    }

    #[test]
    fn a_run_that_was_interrupted_leaves_nothing_in_order() {
        let mut killed = settled("work");
        killed.memory.feed = None;
        let mut first = settled("work");
        first.memory.settled_at = None;
        assert_eq!((killed.state(), first.state()), (State::Unfinished, State::Unfinished));
        assert!(
            text(&[killed], NOW, &Advice::default())
                .starts_with("work: not complete, the last run was interrupted; the next one")
        );
    }

    #[test]
    fn an_old_place_promises_no_next_try() {
        let failing = Failing { failures: 1, retry_at: Some(NOW.plus(60)), ..Failing::default() };
        let memory = Memory { failing: Some(failing), ..Memory::default() };
        let left_behind = StatusReport { configured: false, memory, ..settled("work") };
        assert_eq!(
            text(&[left_behind], NOW, &Advice::default()),
            "work: not in the configuration any more\n  to        work\n  holds     12 objects\n  \
             forget    baikal-sync forget work\n"
        );
    }
}
