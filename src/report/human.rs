//! Human-readable reports. Pure: the audience is an argument.

use super::advice::Advice;
use super::{Outcome, PassReport, Refused, Say, Step};
use crate::model::Occupant;
use crate::model::memory::{HeldFor, Hold};
use crate::plan::{Note, Op, Put, Write};
use crate::words::error::Kind;
use crate::words::shown::shortened;
use crate::words::time::in_words;

/// How many refused objects of a pass are listed individually.
pub(super) const MOST_NAMED: usize = 10;

/// Who reads the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A person at a terminal.
    Terminal,
    /// The journal: gets changes, and what needs a person.
    Journal,
    /// Nobody, until something needs a person: cron mails every line.
    Nobody,
}

/// The severity of a line; the numbers are those of syslog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// A person must act.
    Error = 3,
    /// A person should know.
    Warning = 4,
    /// A result.
    Info = 6,
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its severity.
    pub weight: Weight,
    /// Without a newline.
    pub text: String,
}

fn line(weight: Weight, text: String) -> Line {
    Line { weight, text }
}

/// The output for a pass.
pub fn lines(report: &PassReport, listener: Listener, advice: &Advice) -> Vec<Line> {
    let mut lines = Vec::new();
    let watched = listener == Listener::Terminal;
    if let Some(error) = &report.error {
        if watched || report.say == Say::Trouble {
            lines.push(line(trouble_weight(report), trouble(report, error.kind, &error.message, advice)));
        }
        lines.extend(refusals(report, watched, advice));
        return lines;
    }
    if report.say == Say::Recovered {
        lines.push(line(Weight::Info, format!("{}: in order again", report.name)));
    }
    let changed = report.outcome == Outcome::Changed || report.wrote();
    if report.plan.is_none() && (watched || (listener == Listener::Journal && changed)) {
        lines.push(line(Weight::Info, result(report)));
    }
    lines.extend(refusals(report, watched, advice));
    if watched && report.missing > 0 && report.rejected.is_empty() {
        let (name, missing, status) = (&report.name, report.missing, advice.command(&["status", &report.name]));
        let text =
            format!("{name}: most events of the feed are refused ({missing}), and not in the calendar: {status}");
        lines.push(line(Weight::Warning, text));
    }
    if let Some(held) = report.held.as_ref().filter(|_| watched || report.say == Say::Trouble) {
        lines.push(line(Weight::Error, format!("{}: {}", report.name, hold(&report.name, held, advice))));
    }
    lines
}

/// Describes a hold and how to resolve it.
fn hold(name: &str, held: &Hold, advice: &Advice) -> String {
    let Hold { deletes, reason, .. } = held;
    // The unit of a profile takes no flags; `approve` has the same effect.
    let take_over = advice.run_with(name, "--take-over").unwrap_or_else(|| advice.command(&["approve", name]));
    match held.held_for {
        HeldFor::Occupied => {
            let waiting = if *deletes == 0 { String::new() } else { format!("; {} for that", waiting(*deletes)) };
            format!(
                "{reason}. To take over those that this program made: {take_over}; all of them: on_conflict = \"adopt\"; \
                 to leave them alone: on_conflict = \"skip\"{waiting}"
            )
        }
        HeldFor::Draw => format!("{reason}; nothing was written. If it was {name}: {take_over}"),
        HeldFor::Empty | HeldFor::Unstored | HeldFor::Many | HeldFor::Lost => {
            let deletions = if *deletes == 1 { "deletion" } else { "deletions" };
            let approve = advice.command(&["approve", name]);
            format!("{deletes} {deletions} held back: {reason}. If that is right: {approve}")
        }
    }
}

fn waiting(deletes: u64) -> String {
    if deletes == 1 { "1 deletion waits".to_owned() } else { format!("{deletes} deletions wait") }
}

/// Objects refused or left alone, which are recorded even if the pass fails later.
fn refusals(report: &PassReport, watched: bool, advice: &Advice) -> Vec<Line> {
    // Do not repeat what was already reported at each retry.
    let is_news = |refused: &&Refused| watched || !refused.again;
    let rejected: Vec<&Refused> = report.rejected.iter().filter(is_news).collect();
    let conflicts: Vec<&Refused> = report.conflicts.iter().collect();
    let refused = told(report, "not mirrored", &rejected, advice).chain(told(report, "left alone", &conflicts, advice));
    refused.map(|text| line(Weight::Warning, text)).collect()
}

fn trouble_weight(report: &PassReport) -> Weight {
    match report.kind() {
        Some(kind) if kind.is_temporary() && !report.alert => Weight::Warning,
        _ => Weight::Error,
    }
}

fn trouble(report: &PassReport, kind: Kind, message: &str, advice: &Advice) -> String {
    let name = &report.name;
    let standing = match report.failing_for {
        0..=90 => String::new(),
        seconds => format!(" (for {})", in_words(seconds)),
    };
    let next = match report.retry_at {
        // A user who fixed the problem must not take this for a new failure.
        Some(at) if report.outcome == Outcome::BackingOff => {
            let now = advice.run_with(name, "--force").map(|command| format!(" (now: {command})"));
            let (at, now) = (at.local(), now.unwrap_or_default());
            return format!("{name}: not tried before {at}{now}; the last time: {message}{standing}");
        }
        Some(at) if !matches!(kind, Kind::Stopped | Kind::Locked) => format!("; next try at {}", at.local()),
        _ => String::new(),
    };
    let nothing = if report.wrote() { "" } else { ", nothing was changed" };
    let nothing = if matches!(kind, Kind::Feed) { nothing } else { "" };
    format!("{name}: {message}{standing}{nothing}{next}")
}

fn result(report: &PassReport) -> String {
    let name = &report.name;
    match report.outcome {
        Outcome::NotDue => {
            let at = report.retry_at.map(|at| format!(" before {}", at.local())).unwrap_or_default();
            format!("{name}: not due{at}")
        }
        Outcome::Locked => format!("{name}: another run is working on it"),
        _ => {
            let counts = counts(report);
            let seconds = report.duration_ms / 100;
            let (took, tenths) = (seconds / 10, seconds % 10);
            match &report.plan {
                Some(_) if counts.is_empty() => format!("{name}: nothing to do, {} unchanged", report.unchanged),
                Some(_) => format!("{name}: would be: {counts}; {} unchanged", report.unchanged),
                None if counts.is_empty() => format!("{name}: unchanged, {} objects", report.unchanged),
                None => format!("{name}: {counts}; {} unchanged ({took}.{tenths} s)", report.unchanged),
            }
        }
    }
}

fn counts(report: &PassReport) -> String {
    let counts = [
        (report.created, "created"),
        (report.updated, "updated"),
        (report.deleted, "deleted"),
        (report.restored, "of them restored"),
        (report.adopted, "adopted"),
        (report.renamed, "renamed"),
    ];
    let named: Vec<String> =
        counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
    named.join(", ")
}

/// Lists the first ones individually; a whole calendar of them would bury everything else in a mail.
fn told<'a>(
    report: &'a PassReport,
    what: &'a str,
    refused: &'a [&'a Refused],
    advice: &'a Advice,
) -> impl Iterator<Item = String> + 'a {
    let name = &report.name;
    let named = refused.iter().take(MOST_NAMED);
    let named = named.map(move |one| format!("{name}: {what}: {}: {}", title(&one.summary, &one.uid), one.reason));
    let more = Some(refused.len().saturating_sub(MOST_NAMED)).filter(|more| *more > 0);
    named.chain(more.map(move |more| {
        format!("{name}: {what}: {more} more; all are shown by: {}", advice.command(&["status", name]))
    }))
}

/// The human-readable name of an object.
pub fn title(summary: &str, uid: &str) -> String {
    let uid = shortened(uid);
    if summary.is_empty() { format!("(no title, UID {uid})") } else { format!("“{summary}” (UID {uid})") }
}

/// A dry run: the counts, and one line per event with sign, date, title and changes. Empty for a real run.
pub fn dry_run(report: &PassReport) -> String {
    let Some(steps) = &report.plan else {
        return String::new();
    };
    steps.iter().fold(format!("{}\n", result(report)), |text, one| text + &step(one) + "\n")
}

fn step(step: &Step) -> String {
    let (sign, note) = match &step.op {
        Op::Write(Write::Put(Put::Create { restores: false, .. })) => ("+", String::new()),
        Op::Write(Write::Put(Put::Create { .. })) => ("+", "was deleted from the target".to_owned()),
        Op::Write(Write::Put(Put::Update { restores: None, .. })) => ("~", step.changes.join(", ")),
        Op::Write(Write::Put(Put::Update { .. })) => {
            ("~", format!("was edited on the target: {}", step.changes.join(", ")))
        }
        Op::Write(Write::Delete(_)) => ("-", String::new()),
        Op::Note(note) => noted(note),
    };
    let uid = step.op.key().map_or("unknown", |key| key.uid.as_str());
    let what =
        if step.summary.is_empty() { format!("(no title, UID {})", shortened(uid)) } else { step.summary.clone() };
    let note = if note.is_empty() { note } else { format!("  [{note}]") };
    // The time zone is only in the JSON, to keep the columns readable.
    let start: Vec<&str> = step.start.split(' ').take(2).collect();
    format!("  {sign} {:<16}  {what}{note}", start.join(" "))
}

/// The sign and description of a step that sends nothing.
fn noted(note: &Note) -> (&'static str, String) {
    match note {
        Note::Stands { adopted: true, .. } => ("=", "stands there already".to_owned()),
        Note::Stands { .. } | Note::Before { .. } => ("=", "only the record changes".to_owned()),
        Note::Removed { .. } => ("=", "was deleted from the target, which is kept so".to_owned()),
        Note::Rename { from, to } if from.uid == to.uid => ("=", format!("was a {} before", from.component.as_str())),
        Note::Rename { from, .. } => ("=", format!("came as UID {} before", shortened(&from.uid))),
        Note::Keep { .. } => ("=", "left the feed after it had ended, and stays".to_owned()),
        Note::Hold { .. } => ("=", "left the feed; its deletion is held".to_owned()),
        Note::Forget { .. } => ("=", "is gone from the target too".to_owned()),
        Note::Leave { occupant: Occupant::Equal, .. } => ("=", Occupant::Equal.reason().to_owned()),
        Note::Leave { occupant, .. } => ("!", occupant.reason().to_owned()),
        Note::Reject { reason, .. } => ("!", reason.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::Fault;
    use crate::words::time::Timestamp;

    fn said(report: &PassReport, listener: Listener) -> Vec<String> {
        lines(report, listener, &Advice::default()).into_iter().map(|line| line.text).collect()
    }

    fn changed() -> PassReport {
        PassReport { outcome: Outcome::Changed, created: 2, deleted: 1, unchanged: 7, ..PassReport::new("work") }
    }

    fn failed(kind: Kind, say: Say) -> PassReport {
        let error = Some(Fault::new(kind, "cannot connect"));
        let retry_at = Some(Timestamp(60));
        PassReport { outcome: Outcome::Failed, error, retry_at, say, ..PassReport::new("work") }
    }

    #[test]
    fn a_change_is_told_at_a_terminal_and_in_the_journal_but_not_to_cron() {
        let text = ["work: 2 created, 1 deleted; 7 unchanged (0.0 s)".to_owned()];
        assert_eq!(
            (said(&changed(), Listener::Terminal), said(&changed(), Listener::Journal)),
            (text.to_vec(), text.to_vec())
        );
        assert!(said(&changed(), Listener::Nobody).is_empty());
    }

    #[test]
    fn an_unchanged_pass_is_told_at_a_terminal_only() {
        let report = PassReport { unchanged: 3, ..PassReport::new("work") };
        assert_eq!(said(&report, Listener::Terminal), ["work: unchanged, 3 objects"]);
        assert!(said(&report, Listener::Journal).is_empty());
    }

    #[test]
    fn a_trouble_is_told_to_nobody_only_when_it_is_news() {
        assert!(said(&failed(Kind::Unavailable, Say::Nothing), Listener::Nobody).is_empty());
        let told = said(&failed(Kind::Refused, Say::Trouble), Listener::Nobody);
        assert!(told[0].starts_with("work: cannot connect; next try at 1970-01-01"), "{told:?}");
    }

    #[test]
    fn who_mended_a_trouble_by_hand_reads_how_to_try_at_once() {
        let waiting = PassReport { outcome: Outcome::BackingOff, ..failed(Kind::Refused, Say::Nothing) };
        let told = said(&waiting, Listener::Terminal);
        assert!(told[0].starts_with("work: not tried before 1970-01-01"), "{told:?}");
        assert!(told[0].ends_with(" (now: baikal-sync run work --force); the last time: cannot connect"), "{told:?}");
    }

    #[test]
    fn a_calendar_full_of_refused_objects_is_not_told_one_by_one() {
        let refused = |number| Refused {
            uid: format!("{number}"),
            summary: String::new(),
            reason: "why".to_owned(),
            again: false,
        };
        let report = PassReport { conflicts: (0..882).map(refused).collect(), ..PassReport::new("work") };
        let told = said(&report, Listener::Nobody);
        assert_eq!(told.len(), 11);
        assert_eq!(told[0], "work: left alone: (no title, UID 0): why");
        assert_eq!(told[10], "work: left alone: 872 more; all are shown by: baikal-sync status work");
    }

    #[test]
    fn an_endless_uid_is_cut() {
        assert_eq!(title("", &"u".repeat(1000)), format!("(no title, UID {}…)", "u".repeat(200)));
    }

    #[test]
    fn a_hold_names_the_command_that_releases_it() {
        let held = Some(Hold { deletes: 12, held_for: HeldFor::Many, reason: "too many".to_owned(), said_at: None });
        let report = PassReport { outcome: Outcome::Held, held, say: Say::Trouble, ..PassReport::new("work") };
        assert_eq!(
            said(&report, Listener::Nobody),
            ["work: 12 deletions held back: too many. If that is right: baikal-sync approve work"]
        );
    }
}
