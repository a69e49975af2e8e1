//! `approve` and `retry`: what a person answers is written into the state, and carried out by the next run, whoever
//! starts it.

use std::path::Path;

use super::output::Output;
use crate::error::{Kind, fault};
use crate::exit;
use crate::report::advice::Advice;
use crate::state::{Id, State};
use crate::sync;

/// Approves the deletions that are held at this moment.
pub(super) fn approve(state: &Path, name: &str, advice: &Advice, output: &Output) -> anyhow::Result<u8> {
    let (state, ids) = open(state, name)?;
    let mut approved = 0;
    for id in ids {
        approved += state.approve(id, sync::now())?;
    }
    let held =
        state.subscriptions()?.into_iter().find(|summary| summary.name == name).and_then(|summary| summary.memory.held);
    let text = match approved {
        0 if held.is_some() => format!(
            "{name}: what is held has no record that could be marked; the next run deletes it with: {}\n",
            advice.command(&["run", name, "--allow-deletes"])
        ),
        0 => format!("{name}: no deletion waits for your approval\n"),
        1 => format!("{name}: 1 deletion approved; the next run carries it out. Now: {}\n", advice.run(name)),
        _ => {
            format!("{name}: {approved} deletions approved; the next run carries them out. Now: {}\n", advice.run(name))
        }
    };
    output.result(&text);
    Ok(exit::SETTLED)
}

/// Ends every wait of these subscriptions, or of all.
pub(super) fn retry(state: &Path, names: &[String], advice: &Advice, output: &Output) -> anyhow::Result<u8> {
    let known = State::open_to_answer(state)?;
    let all = || Ok::<_, anyhow::Error>(known.subscriptions()?.into_iter().map(|summary| summary.name).collect());
    let mut names: Vec<String> = if names.is_empty() { all()? } else { names.to_vec() };
    names.dedup();
    drop(known);
    for name in &names {
        let (state, ids) = open(state, name)?;
        ids.into_iter().try_for_each(|id| state.retry(id, sync::now()))?;
        output.result(&format!("{name}: the next run tries everything that waits. Now: {}\n", advice.run(name)));
    }
    Ok(exit::SETTLED)
}

fn open(path: &Path, name: &str) -> anyhow::Result<(State, Vec<Id>)> {
    let state = State::open_to_answer(path)?;
    let ids = state.named(name)?;
    if ids.is_empty() {
        let mut known: Vec<String> = state.subscriptions()?.into_iter().map(|summary| summary.name).collect();
        known.dedup();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let text = format!("{} knows no subscription {name:?}; it knows: {known}", path.display());
        return Err(fault(Kind::Usage, text));
    }
    Ok((state, ids))
}
