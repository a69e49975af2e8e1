//! Guards: checks that take deletions out of a plan.

use std::collections::{HashMap, HashSet};

use super::{Delete, Facts, Note, OnConflict, OnEmpty, Plan, Policy, Put, Wanted, naming};
use crate::model::memory::{HeldFor, Hold};
use crate::model::{Gone, Href, Key, Occupant, Record, Status};

/// Up to this many deletions are never suspicious.
const ALWAYS_ALLOWED: u64 = 10;
/// How many creates of a pass, or percent of them, may be refused before its deletions are suspicious.
const REFUSED_ALLOWED: u64 = 3;
const PERCENT_REFUSED: u64 = 20;
/// Up to this many events of the feed that others already have are no reason to ask a person.
const FEW_OCCUPIED: usize = 3;

/// `max_delete` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MaxDelete {
    /// A percentage of the objects of the last settled feed.
    Percent(u8),
    /// A number of objects.
    Count(u64),
}

impl Default for MaxDelete {
    fn default() -> MaxDelete {
        MaxDelete::Percent(50)
    }
}

const EMPTY: &str = "the feed is empty while the last one was not";
const NONE_STORED: &str = "no event of the feed could be stored";

/// Removes the deletions from a plan if they look like an accident.
pub fn guard(plan: Plan, facts: &Facts<'_>, policy: &Policy) -> Plan {
    match hold(&plan, facts, policy, &HashSet::new()).or_else(|| occupied(&plan, facts, policy)) {
        None => plan,
        Some(hold) => {
            let (waiting, deletes) = held_back(plan.deletes, facts);
            let notes = plan.notes.into_iter().chain(waiting).collect();
            Plan { notes, puts: plan.puts, deletes, hold: Some(hold) }
        }
    }
}

/// Repeats the check for accidental deletions once it is known which creates were refused.
#[expect(clippy::implicit_hasher, reason = "the set is made here and nowhere else")]
pub fn guard_again(plan: &Plan, facts: &Facts<'_>, policy: &Policy, refused: &HashSet<Key>) -> Option<Plan> {
    let hold = hold(plan, facts, policy, refused)?;
    let (notes, deletes) = held_back(plan.deletes.clone(), facts);
    Some(Plan { notes, puts: Vec::new(), deletes, hold: Some(hold) })
}

fn hold(plan: &Plan, facts: &Facts<'_>, policy: &Policy, refused: &HashSet<Key>) -> Option<Hold> {
    let deletes = unapproved(plan, facts);
    let (held_for, reason) = (deletes > 0).then(|| suspicion(deletes, plan, facts, policy, refused)).flatten()?;
    Some(Hold { deletes, held_for, reason, said_at: None })
}

/// Holds every deletion if most of the feed is already in the calendar, in objects that are not ours and say something
/// else: a person must say who owns them.
fn occupied(plan: &Plan, facts: &Facts<'_>, policy: &Policy) -> Option<Hold> {
    let noted = plan.notes.iter().filter_map(|note| match note {
        Note::Leave { key, occupant } => Some((key, *occupant)),
        _ => None,
    });
    let noted: HashMap<&Key, Occupant> = noted.collect();
    let written: HashSet<&Key> = plan.puts.iter().map(Put::key).collect();
    let recorded = |wanted: &Wanted<'_>| match wanted.record?.status {
        Status::Occupied(occupant) if !written.contains(wanted.key) => Some(occupant),
        _ => None,
    };
    let occupant = |wanted: &Wanted<'_>| noted.get(wanted.key).copied().or_else(|| recorded(wanted));
    let sent = facts.wanted.iter().filter(|wanted| wanted.rejected.is_none());
    let all = sent.clone().count();
    let occupied = sent.filter(|wanted| occupant(wanted) == Some(Occupant::Different)).count();
    let asks = policy.rules.on_conflict == OnConflict::Ask && occupied > FEW_OCCUPIED && occupied * 2 > all;
    asks.then(|| Hold {
        deletes: unapproved(plan, facts),
        held_for: HeldFor::Occupied,
        reason: format!(
            "{occupied} of {all} events of the feed stand in the calendar already, in objects that are not ours and say \
             something else"
        ),
        said_at: None,
    })
}

/// How many deletions no person has approved.
fn unapproved(plan: &Plan, facts: &Facts<'_>) -> u64 {
    let approved = approved(facts);
    plan.deletes.iter().filter(|delete| !is_in(delete.key.as_ref(), &approved)).count() as u64
}

/// The objects that left the feed and whose deletion a person has approved.
fn approved<'a>(facts: &Facts<'a>) -> HashSet<&'a Key> {
    let approved = |record: &&&Record| matches!(record.status, Status::Gone(_, Gone::Held { approved: true, .. }));
    facts.orphans.iter().filter(approved).map(|record| &record.key).collect()
}

fn is_in(key: Option<&Key>, keys: &HashSet<&Key>) -> bool {
    key.is_some_and(|key| keys.contains(key))
}

/// Separates held deletes from approved ones. The next pass finds deletes without a key again.
fn held_back(deletes: Vec<Delete>, facts: &Facts<'_>) -> (Vec<Note>, Vec<Delete>) {
    let approved = approved(facts);
    let (approved, held): (Vec<Delete>, Vec<Delete>) =
        deletes.into_iter().partition(|delete| is_in(delete.key.as_ref(), &approved));
    let held = held.into_iter().filter_map(|Delete { key, href, .. }| Some(Note::Hold { key: key?, href }));
    (held.collect(), approved)
}

fn suspicion(
    deletes: u64,
    plan: &Plan,
    facts: &Facts<'_>,
    policy: &Policy,
    refused: &HashSet<Key>,
) -> Option<(HeldFor, String)> {
    let taken: HashSet<&Key> = plan.puts.iter().map(Put::key).filter(|key| !refused.contains(*key)).collect();
    let is_empty = facts.wanted.iter().all(|wanted| is_absent(wanted, facts, refused, &taken));
    if is_empty && policy.rules.on_empty == OnEmpty::Hold {
        // A person can only have approved what was reported.
        let is_known = policy.allow_deletes && policy.was_held == Some(HeldFor::Empty);
        let (held_for, reason) = match facts.wanted.len() {
            0 => (HeldFor::Empty, EMPTY),
            _ => (HeldFor::Unstored, NONE_STORED),
        };
        return (!is_known).then(|| (held_for, reason.to_owned()));
    }
    if policy.allow_deletes {
        return None;
    }
    if is_lost(plan, facts) {
        let reason = "they stand under names of ours and are not in the feed, but the state that knew them was lost";
        return Some((HeldFor::Lost, reason.to_owned()));
    }
    let (creates, lacking) = new_events(plan, facts, policy, refused, &taken);
    if lacking > REFUSED_ALLOWED.max(creates * PERCENT_REFUSED / 100) {
        return Some((HeldFor::Unstored, format!("{lacking} of {creates} new events could not be stored")));
    }
    if is_empty {
        return None;
    }
    // Without a memory of the last feed, use those of its objects that are on the target.
    let standing = facts.wanted.iter().filter(|wanted| facts.remote.present.contains_key(&wanted.place.href)).count();
    let objects = facts.last_objects.unwrap_or(standing as u64 + deletes);
    let limit = match policy.rules.max_delete {
        MaxDelete::Percent(percent) => objects * u64::from(percent) / 100,
        MaxDelete::Count(count) => count,
    };
    (deletes > limit.max(ALWAYS_ALLOWED)).then(|| {
        let allowed = match policy.rules.max_delete {
            MaxDelete::Percent(percent) => format!("{percent}%"),
            MaxDelete::Count(count) => count.to_string(),
        };
        (HeldFor::Many, format!("{deletes} of {objects} objects would be deleted; max_delete is {allowed}"))
    })
}

/// Whether something to be deleted may not be from this installation: it was found under a claimed prefix, and no
/// pass has seen it in the feed.
fn is_lost(plan: &Plan, facts: &Facts<'_>) -> bool {
    let is_claimed = |href: &Href| naming::prefix_of(href).is_some_and(|prefix| facts.claimed.contains(prefix));
    let waits =
        |record: &&&Record| matches!(record.status, Status::Gone(_, Gone::Held { since: None, approved: false }));
    let waiting = facts.orphans.iter().filter(waits).filter_map(|record| record.href());
    let lost: HashSet<&Href> = facts.unrecorded.iter().chain(waiting).filter(|href| is_claimed(href)).collect();
    plan.deletes.iter().any(|delete| lost.contains(&delete.href))
}

/// How many new events there are, and how many of them could not be stored. Events refused earlier are new only while
/// deletions are held because of them, or a pass that does not retry them would release the deletions.
fn new_events(
    plan: &Plan,
    facts: &Facts<'_>,
    policy: &Policy,
    refused: &HashSet<Key>,
    taken: &HashSet<&Key>,
) -> (u64, u64) {
    let are_held = policy.was_held == Some(HeldFor::Unstored);
    let waits = |wanted: &&Wanted<'_>| !are_held && wanted.record.is_some_and(|record| waits(record, wanted));
    let old: HashSet<&Key> = facts.wanted.iter().filter(waits).map(|wanted| wanted.key).collect();
    let new = plan.puts.iter().filter(|put| matches!(put, Put::Create { .. })).map(Put::key);
    let created = new.filter(|key| !old.contains(key) && !refused.contains(*key)).count();
    // What is never sent is not refused by the server.
    let is_sent = |wanted: &&Wanted<'_>| wanted.rejected.is_none() && !old.contains(wanted.key);
    let is_lacking = |wanted: &&Wanted<'_>| is_sent(wanted) && is_absent(wanted, facts, refused, taken);
    let lacking = facts.wanted.iter().filter(is_lacking).count();
    ((created + lacking) as u64, lacking as u64)
}

/// Whether an earlier pass refused the object in its current form.
fn waits(record: &Record, wanted: &Wanted<'_>) -> bool {
    matches!(record.status, Status::Refused { .. }) && record.source.hash == wanted.hash
}

/// Whether an object of the feed is missing from the target: it was refused, and no older form of it is there.
/// `refused`: in this pass. `taken`: written in this pass, or about to be.
fn is_absent(wanted: &Wanted<'_>, facts: &Facts<'_>, refused: &HashSet<Key>, taken: &HashSet<&Key>) -> bool {
    let was_refused = wanted.record.is_some_and(|record| matches!(record.status, Status::Refused { .. }));
    let is_refused = wanted.rejected.is_some() || refused.contains(wanted.key) || was_refused;
    is_refused && !taken.contains(wanted.key) && !facts.remote.present.contains_key(&wanted.place.href)
}
