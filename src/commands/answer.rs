//! `approve` and `retry`: a person's answer is written to the state, and the next run executes it, whoever starts
//! that.

use std::path::Path;

use super::output::Output;
use crate::db::state::{State, Summary};
use crate::exit;
use crate::report::advice::Advice;
use crate::sync;
use crate::words::error::{Kind, fault};

/// Approves the deletions that are held now.
pub(super) fn approve(path: &Path, name: &str, advice: &Advice, output: &Output) -> anyhow::Result<u8> {
    let state = State::open_to_answer(path)?;
    let known = find(&state, path, name)?;
    let approved = state.approve(known.id, sync::now())?;
    let text = match (approved, known.tally.approved) {
        _ if known.memory.held.as_ref().is_some_and(|held| held.held_for.is_about_owners()) => {
            format!("the next run takes over what stands in the calendar. Now: {}", advice.run(name))
        }
        (0, 0) if known.memory.held.is_some() => {
            let command = advice.run_with(name, "--allow-deletes").map(|command| format!(": {command}"));
            format!(
                "what is held has no record that could be marked; only a run with --allow-deletes deletes it{}",
                command.unwrap_or_default()
            )
        }
        (0, 0) => "no deletion waits for your approval".to_owned(),
        (0, before) => {
            format!("{before} approved already; the next run deletes what is still gone: {}", advice.run(name))
        }
        (1, _) => format!("1 deletion approved; the next run carries it out. Now: {}", advice.run(name)),
        _ => format!("{approved} deletions approved; the next run carries them out. Now: {}", advice.run(name)),
    };
    output.result(&format!("{name}: {text}\n"));
    Ok(exit::SETTLED)
}

/// Ends the waits of these subscriptions, or of all.
pub(super) fn retry(path: &Path, names: &[String], advice: &Advice, output: &Output) -> anyhow::Result<u8> {
    let state = State::open_to_answer(path)?;
    let all = || Ok::<_, anyhow::Error>(state.subscriptions()?.into_iter().map(|summary| summary.name).collect());
    let mut names: Vec<String> = if names.is_empty() { all()? } else { names.to_vec() };
    names.dedup();
    for name in &names {
        let (known, now) = (find(&state, path, name)?, sync::now());
        state.retry(known.id, now)?;
        let until = known.memory.failing.and_then(|failing| failing.until).filter(|until| *until > now);
        let text = match until {
            Some(until) => {
                let command = advice.run_with(name, "--force").map(|command| format!(" (now: {command})"));
                let command = command.unwrap_or_default();
                format!(
                    "a server asked not to be asked before {}{command}; then all that waits is tried",
                    until.local()
                )
            }
            None => format!("the next run tries everything that waits. Now: {}", advice.run(name)),
        };
        output.result(&format!("{name}: {text}\n"));
    }
    Ok(exit::SETTLED)
}

/// The subscription with this name; if it had other targets before, the one that ran last.
fn find(state: &State, path: &Path, name: &str) -> anyhow::Result<Summary> {
    let known = state.subscriptions()?;
    let mut names: Vec<String> = known.iter().map(|summary| summary.name.clone()).collect();
    let of_name = known.into_iter().filter(|summary| summary.name == name);
    of_name.max_by_key(|summary| summary.memory.started_at).ok_or_else(|| {
        names.dedup();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        fault(Kind::Usage, format!("{} knows no subscription {name:?}; it knows: {names}", path.display()))
    })
}
