//! Guards: checks that take deletions out of a plan (design §3, *Deletes*).

use std::collections::HashSet;

use super::{Deletes, Facts, OnEmpty, Op, Plan, Policy, is_judged};
use crate::memory::Hold;
use crate::model::Key;

/// Up to this many deletions are never suspicious by their number.
const ALWAYS_ALLOWED: u64 = 10;

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

/// Makes the plan of these steps, without its deletions if they look like an accident.
pub fn guard(mut ops: Vec<Op>, facts: &Facts<'_>, policy: &Policy) -> Plan {
    let deletes = count(&ops);
    let reason = (deletes > 0 && !policy.allow_deletes).then(|| suspicion(deletes, facts, policy)).flatten();
    let Some(reason) = reason else {
        return Plan { ops, hold: None };
    };
    let held = if policy.deletes == Deletes::Future { judged(&ops, facts) } else { Vec::new() };
    ops.retain(|op| !matches!(op, Op::Delete { .. }));
    ops.extend(held);
    ops.sort_by_key(Op::stage);
    Plan { ops, hold: Some(Hold { deletes, reason, said_at: None }) }
}

fn suspicion(deletes: u64, facts: &Facts<'_>, policy: &Policy) -> Option<String> {
    if facts.wanted.is_empty() && policy.on_empty == OnEmpty::Hold {
        return Some("the feed is empty while the last one was not".to_owned());
    }
    if facts.wanted.is_empty() {
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

/// Deletions that rest on a judgement which a later pass must not make again: by then the object may have ended.
fn judged(ops: &[Op], facts: &Facts<'_>) -> Vec<Op> {
    let fresh = facts.orphans.iter().filter(|record| !is_judged(record));
    let fresh: HashSet<&Key> = fresh.map(|record| &record.key).collect();
    let hold = |op: &Op| match op {
        Op::Delete { key: Some(key), href, .. } if fresh.contains(key) => {
            Some(Op::Hold { key: key.clone(), href: href.clone() })
        }
        _ => None,
    };
    ops.iter().filter_map(hold).collect()
}

fn count(ops: &[Op]) -> u64 {
    ops.iter().filter(|op| matches!(op, Op::Delete { .. })).count() as u64
}
