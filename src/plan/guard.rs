//! Guards: checks that take deletions out of a plan.

use std::collections::HashSet;

use super::{Facts, OnEmpty, Op, Plan, Policy, Wanted};
use crate::model::memory::Hold;
use crate::model::{Key, Record, Standing};

/// Up to this many deletions are never suspicious by their number.
const ALWAYS_ALLOWED: u64 = 10;
/// Up to this many creates of a pass, or percent of them, may be refused before its deletions are suspicious.
const REFUSED_ALLOWED: u64 = 3;
const PERCENT_REFUSED: u64 = 20;

/// `max_delete` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDelete {
    /// So many percent of the objects of the last settled feed.
    Percent(u8),
    /// So many objects.
    Count(u64),
}

impl Default for MaxDelete {
    fn default() -> MaxDelete {
        MaxDelete::Percent(50)
    }
}

const EMPTY: &str = "the feed is empty while the last one was not";
const NONE_STORED: &str = "no event of the feed could be stored";
const UNSTORED: &str = "new events could not be stored";

/// What deletions were held back for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldFor {
    /// They were not.
    Nothing,
    /// The feed was empty.
    Empty,
    /// Events of the feed could not be stored.
    Unstored,
    /// There were too many of them.
    Many,
}

impl HeldFor {
    /// What a hold was for.
    pub fn of(hold: Option<&Hold>) -> HeldFor {
        match hold.map(|hold| hold.reason.as_str()) {
            None => HeldFor::Nothing,
            Some(EMPTY) => HeldFor::Empty,
            Some(NONE_STORED) => HeldFor::Unstored,
            Some(reason) if reason.ends_with(UNSTORED) => HeldFor::Unstored,
            Some(_) => HeldFor::Many,
        }
    }
}

/// Makes the plan of these steps, without its deletions if they look like an accident.
pub fn guard(ops: Vec<Op>, facts: &Facts<'_>, policy: &Policy) -> Plan {
    match hold(&ops, facts, policy, &HashSet::new()) {
        None => Plan { ops, hold: None },
        Some(hold) => {
            let approved = approved(facts);
            let mut ops: Vec<Op> = ops.into_iter().map(|op| held_back(op, &approved)).collect();
            // What no record and no name tells of is found again by the next pass.
            ops.retain(|op| !matches!(op, Op::Delete { key: None, .. }));
            ops.sort_by_key(Op::stage);
            Plan { ops, hold: Some(hold) }
        }
    }
}

/// Asks again, when it is known which creates were refused, whether the deletions of a plan look like an accident.
#[expect(clippy::implicit_hasher, reason = "the set is made here and nowhere else")]
pub fn guard_again(plan: &Plan, facts: &Facts<'_>, policy: &Policy, refused: &HashSet<Key>) -> Option<Plan> {
    let hold = hold(&plan.ops, facts, policy, refused)?;
    let approved = approved(facts);
    let deletes = plan.ops.iter().filter(|op| matches!(op, Op::Delete { .. })).cloned();
    let ops = deletes.map(|op| held_back(op, &approved)).filter(|op| !matches!(op, Op::Delete { key: None, .. }));
    Some(Plan { ops: ops.collect(), hold: Some(hold) })
}

fn hold(ops: &[Op], facts: &Facts<'_>, policy: &Policy, refused: &HashSet<Key>) -> Option<Hold> {
    let approved = approved(facts);
    let deletes =
        ops.iter().filter(|op| matches!(op, Op::Delete { key, .. } if !is_in(key.as_ref(), &approved))).count();
    let reason = (deletes > 0).then(|| suspicion(deletes as u64, ops, facts, policy, refused)).flatten()?;
    Some(Hold { deletes: deletes as u64, reason, said_at: None })
}

/// The objects that left the feed and that a person has given up.
fn approved<'a>(facts: &Facts<'a>) -> HashSet<&'a Key> {
    let approved = |record: &&&Record| record.standing == Standing::Doomed { approved: true };
    facts.orphans.iter().filter(approved).map(|record| &record.key).collect()
}

fn is_in(key: Option<&Key>, keys: &HashSet<&Key>) -> bool {
    key.is_some_and(|key| keys.contains(key))
}

fn held_back(op: Op, approved: &HashSet<&Key>) -> Op {
    match op {
        Op::Delete { key: Some(key), href, .. } if !approved.contains(&key) => Op::Hold { key, href },
        op => op,
    }
}

fn suspicion(deletes: u64, ops: &[Op], facts: &Facts<'_>, policy: &Policy, refused: &HashSet<Key>) -> Option<String> {
    let puts = ops.iter().filter(|op| matches!(op, Op::Create { .. } | Op::Update { .. })).filter_map(Op::key);
    let taken: HashSet<&Key> = puts.filter(|key| !refused.contains(*key)).collect();
    let is_empty = facts.wanted.iter().all(|wanted| is_absent(wanted, facts, refused, &taken));
    if is_empty && policy.on_empty == OnEmpty::Hold {
        // Nobody can have meant what nobody was told.
        let is_known = policy.allow_deletes && policy.was_held == HeldFor::Empty;
        let reason = match facts.wanted.len() {
            0 => EMPTY,
            _ => NONE_STORED,
        };
        return (!is_known).then(|| reason.to_owned());
    }
    if policy.allow_deletes {
        return None;
    }
    let (creates, lacking) = new_events(ops, facts, policy, refused, &taken);
    if lacking > REFUSED_ALLOWED.max(creates * PERCENT_REFUSED / 100) {
        return Some(format!("{lacking} of {creates} {UNSTORED}"));
    }
    if is_empty {
        return None;
    }
    // Without a memory of the last feed, what we see of it on the target stands for it.
    let standing = facts.wanted.iter().filter(|wanted| facts.remote.present.contains_key(&wanted.href)).count();
    let objects = facts.last_objects.unwrap_or(standing as u64 + deletes);
    let limit = match policy.max_delete {
        MaxDelete::Percent(percent) => objects * u64::from(percent) / 100,
        MaxDelete::Count(count) => count,
    };
    (deletes > limit.max(ALWAYS_ALLOWED)).then(|| {
        let allowed = match policy.max_delete {
            MaxDelete::Percent(percent) => format!("{percent}%"),
            MaxDelete::Count(count) => count.to_string(),
        };
        format!("{deletes} of {objects} objects would be deleted; max_delete is {allowed}")
    })
}

/// How many new events there are, and how many of them could not be stored. What was refused in an earlier pass is not new;
/// but as long as deletions are held for it, it still is, or a pass that does not even try it again would let them go.
fn new_events(
    ops: &[Op],
    facts: &Facts<'_>,
    policy: &Policy,
    refused: &HashSet<Key>,
    taken: &HashSet<&Key>,
) -> (u64, u64) {
    let are_held = policy.was_held == HeldFor::Unstored;
    let waits = |wanted: &&Wanted<'_>| !are_held && wanted.record.is_some_and(|record| waits(record, wanted));
    let old: HashSet<&Key> = facts.wanted.iter().filter(waits).map(|wanted| wanted.key).collect();
    let puts = ops.iter().filter(|op| matches!(op, Op::Create { .. })).filter_map(Op::key);
    let created = puts.filter(|key| !old.contains(key) && !refused.contains(*key)).count();
    // What is never sent is nothing that the server refuses.
    let is_sent = |wanted: &&Wanted<'_>| wanted.rejected.is_none() && !old.contains(wanted.key);
    let is_lacking = |wanted: &&Wanted<'_>| is_sent(wanted) && is_absent(wanted, facts, refused, taken);
    let lacking = facts.wanted.iter().filter(is_lacking).count();
    ((created + lacking) as u64, lacking as u64)
}

/// Whether an object was refused as it is now, in an earlier pass.
fn waits(record: &Record, wanted: &Wanted<'_>) -> bool {
    matches!(record.standing, Standing::Rejected { .. }) && record.source_hash == wanted.source_hash
}

/// Whether an object of the feed is not in the target: it was refused, and no older form of it stands there.
/// `refused`: in this pass. `taken`: what is to be written, or was.
fn is_absent(wanted: &Wanted<'_>, facts: &Facts<'_>, refused: &HashSet<Key>, taken: &HashSet<&Key>) -> bool {
    let was_refused = wanted.record.is_some_and(|record| matches!(record.standing, Standing::Rejected { .. }));
    let is_refused = wanted.rejected.is_some() || refused.contains(wanted.key) || was_refused;
    is_refused && !taken.contains(wanted.key) && !facts.remote.present.contains_key(&wanted.href)
}
