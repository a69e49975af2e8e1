//! `status`: what each subscription is, when it last settled, what it holds and what is wrong. No network.

use super::output::Output;
use crate::config::{Config, Subscription};
use crate::exit;
use crate::report::status::StatusReport;
use crate::report::{Refused, json, status};
use crate::state::{State, Summary};
use crate::sync;

/// Prints the status; the exit code is 0 whatever it tells, for `status` asks and does not judge.
pub(super) fn status(config: &Config, as_json: bool, output: &Output) -> anyhow::Result<u8> {
    let state = State::open_to_read(&config.state)?;
    let known = state.map_or_else(|| Ok(Vec::new()), |state| state.subscriptions())?;
    let mut reports: Vec<StatusReport> =
        config.subscriptions.iter().map(|subscription| configured(subscription, &known)).collect();
    reports.extend(known.iter().filter(|summary| !is_configured(config, summary)).map(left_behind));
    let text = if as_json {
        json::status(&reports, exit::SETTLED)
    } else if reports.is_empty() {
        format!("{} has no subscriptions\n", config.origin)
    } else {
        status::text(&reports, sync::now())
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

fn configured(subscription: &Subscription, known: &[Summary]) -> StatusReport {
    let summary = known.iter().find(|summary| belongs(summary, subscription));
    let report = summary.map(report).unwrap_or_default();
    StatusReport {
        name: subscription.name.clone(),
        source: subscription.source.to_string(),
        target: subscription.target.to_string(),
        configured: true,
        ..report
    }
}

fn left_behind(summary: &Summary) -> StatusReport {
    StatusReport { name: summary.name.clone(), target: summary.target.clone(), ..report(summary) }
}

fn report(summary: &Summary) -> StatusReport {
    let refused = |entries: &[(String, String, String)]| {
        let entries = entries.iter().cloned();
        entries.map(|(uid, summary, reason)| Refused { uid, summary, reason }).collect()
    };
    StatusReport {
        memory: summary.memory.clone(),
        mirrored: summary.tally.mirrored,
        rejected: refused(&summary.tally.rejected),
        conflicts: refused(&summary.tally.foreign),
        ..StatusReport::default()
    }
}
