//! `status`: each subscription, when it last settled, what it holds and what is wrong. It asks no server and changes
//! nothing.

use super::locks::Locks;
use super::output::Output;
use crate::config::{Config, Subscription};
use crate::db::state::{State, Summary};
use crate::exit;
use crate::report::advice::Advice;
use crate::report::status::StatusReport;
use crate::report::{Refused, json, status};
use crate::signal::Stop;
use crate::sync;
use crate::words::error::{Kind, fault};

/// Prints the status; the exit code is 0 whatever it reports, because `status` does not judge. An unreadable state is
/// an error.
pub(super) fn status(
    config: &Config,
    names: &[String],
    as_json: bool,
    advice: &Advice,
    output: &Output,
) -> anyhow::Result<u8> {
    let state = State::open_to_read(&config.state)?;
    let known = state.map_or_else(|| Ok(Vec::new()), |state| state.subscriptions())?;
    let locks = Locks::new(config.state.with_extension("locks"), false, Stop::default());
    let mut reports: Vec<StatusReport> =
        config.subscriptions.iter().map(|subscription| configured(subscription, &known, &locks)).collect();
    reports.extend(known.iter().filter(|summary| !is_configured(config, summary)).map(left_behind));
    if let Some(name) = names.iter().find(|name| !reports.iter().any(|report| report.name == **name)) {
        return Err(fault(Kind::Usage, format!("there is no subscription {name:?}")));
    }
    reports.retain(|report| names.is_empty() || names.contains(&report.name));
    let text = if as_json {
        json::status(&reports, exit::SETTLED)
    } else if reports.is_empty() {
        format!("{} has no subscriptions\n", config.origin)
    } else {
        status::text(&reports, sync::now(), advice)
    };
    output.result(&text);
    Ok(exit::SETTLED)
}

fn is_configured(config: &Config, summary: &Summary) -> bool {
    config.subscriptions.iter().any(|subscription| belongs(summary, subscription))
}

fn belongs(summary: &Summary, subscription: &Subscription) -> bool {
    summary.name == subscription.name && summary.target == subscription.target.canonical()
}

fn configured(subscription: &Subscription, known: &[Summary], locks: &Locks) -> StatusReport {
    let summary = known.iter().find(|summary| belongs(summary, subscription));
    let report = summary.map(report).unwrap_or_default();
    StatusReport {
        name: subscription.name.clone(),
        source: subscription.source.to_string(),
        target: subscription.target.to_string(),
        configured: true,
        running_since: locks.running_since(&subscription.name),
        was_killed: locks.was_killed(&subscription.name),
        ..report
    }
}

fn left_behind(summary: &Summary) -> StatusReport {
    StatusReport { name: summary.name.clone(), target: summary.target.clone(), ..report(summary) }
}

fn report(summary: &Summary) -> StatusReport {
    let refused = |entries: &[(String, String, String)]| {
        let entries = entries.iter().cloned();
        entries.map(|(uid, summary, reason)| Refused { uid, summary, reason, again: true }).collect()
    };
    StatusReport {
        memory: summary.memory.clone(),
        mirrored: summary.tally.mirrored,
        rejected: refused(&summary.tally.rejected),
        conflicts: refused(&summary.tally.occupied),
        held: refused(&summary.tally.held),
        approved: summary.tally.approved,
        unclaimed: summary.tally.unclaimed.clone(),
        ..StatusReport::default()
    }
}
