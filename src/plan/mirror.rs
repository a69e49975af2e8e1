//! The plan of a mirror: feed x records x target -> notes, puts, deletes.

use std::collections::HashSet;

use super::refused::{is_known_to_be_unfit, is_still_refused, note_before, rests};
use super::{
    Delete, Deletes, Facts, Found, Note, OnConflict, OnDrift, Plan, Policy, Put, Remote, TakeOver, Wanted, cause,
    guard, naming,
};
use crate::model::{Base, Etag, Gone, Hash, Href, Key, Occupant, Place, Record, Refusal, Status, TargetForm};

/// The decision about one object.
enum Step {
    Note(Note),
    Put(Put),
    Delete(Delete),
}

/// Makes the plan.
pub fn plan(facts: &Facts<'_>, policy: &Policy) -> Plan {
    let mut plan = Plan::default();
    let renames = facts.wanted.iter().filter_map(|wanted| {
        let record = wanted.record.filter(|record| record.key != *wanted.key)?;
        Some(Note::Rename { from: record.key.clone(), to: wanted.key.clone() })
    });
    plan.notes.extend(renames);
    let of_feed = facts.wanted.iter().filter_map(|wanted| decide(wanted, facts, policy));
    let left = facts.orphans.iter().filter_map(|record| decide_orphan(record, facts, policy));
    let claimed: HashSet<&Href> = facts.wanted.iter().map(|wanted| &wanted.place.href).collect();
    let known: HashSet<&Key> = known_keys(facts).collect();
    let unrecorded = facts.unrecorded.iter().filter(|href| !claimed.contains(href));
    let unrecorded = unrecorded.filter_map(|href| decide_unrecorded(href, facts.remote, &known, policy));
    for step in of_feed.chain(left).chain(unrecorded) {
        match step {
            Step::Note(note) => plan.notes.push(note),
            Step::Put(put) => plan.puts.push(put),
            Step::Delete(delete) => plan.deletes.push(delete),
        }
    }
    guard(plan, facts, policy)
}

/// The writes of objects that wait because they were refused for one of these causes, to be retried because one of
/// them was just accepted. `tried`: what this pass has already written.
#[expect(clippy::implicit_hasher, reason = "the sets are made here and nowhere else")]
pub fn refused_for(
    facts: &Facts<'_>,
    policy: &Policy,
    causes: &HashSet<String>,
    tried: &HashSet<Href>,
) -> (Vec<Put>, Vec<Delete>) {
    let policy = Policy { retry_rejected: true, ..policy.clone() };
    let is_of_them = |record: &Record| match (record.refusal(), record.href()) {
        (Some(Refusal { reason, tries: 1.., .. }), Some(href)) => {
            causes.contains(&cause(reason, &record.key, href)) && !tried.contains(href)
        }
        _ => false,
    };
    let waiting = facts.wanted.iter().filter(|wanted| wanted.record.is_some_and(is_of_them));
    let puts = waiting.filter_map(|wanted| match decide(wanted, facts, &policy)? {
        Step::Put(put) => Some(put),
        Step::Note(_) | Step::Delete(_) => None,
    });
    let orphans = facts.orphans.iter().filter(|record| is_of_them(record));
    let deletes = orphans.filter_map(|record| match decide_orphan(record, facts, &policy)? {
        Step::Delete(delete) => Some(delete),
        Step::Note(_) | Step::Put(_) => None,
    });
    (puts.collect(), deletes.collect())
}

fn decide(wanted: &Wanted<'_>, facts: &Facts<'_>, policy: &Policy) -> Option<Step> {
    if let Some(reason) = wanted.rejected {
        return match wanted.record.filter(|record| is_known_to_be_unfit(record, wanted, policy)) {
            Some(record) => note_before(wanted, record, facts.remote, policy).map(Step::Note),
            None => Some(note(Note::Reject { key: wanted.key.clone(), reason: reason.to_owned() })),
        };
    }
    let Some(record) = wanted.record else {
        return decide_new(wanted, facts.remote, policy);
    };
    if facts.remote.is_of_others(record) {
        return Some(note(Note::Leave { key: wanted.key.clone(), occupant: Occupant::Subscription }));
    }
    if is_still_refused(record, wanted, facts, policy) {
        return decide_refused(wanted, record, facts.remote, policy);
    }
    if record.is_removed() {
        return decide_removed(wanted, record, facts.remote, policy);
    }
    let Some((base, recorded)) = record.base().and_then(|base| Some((base, base.etag.as_ref()?))) else {
        return decide_new(wanted, facts.remote, policy);
    };
    let changed = wanted.hash != base.hash;
    let Some(etag) = facts.remote.present.get(&wanted.place.href) else {
        return decide_gone(wanted, changed, facts.remote, policy);
    };
    if let Some(found) = facts.remote.found.get(&wanted.place.href) {
        return Some(decide_drifted(wanted, base, found, changed, facts, policy));
    }
    if etag != recorded {
        return decide_gone(wanted, changed, facts.remote, policy);
    }
    if changed {
        return Some(update(wanted, &wanted.place, etag, None));
    }
    let is_back = !matches!(record.status, Status::Mirrored(_));
    is_back.then(|| stands(wanted, &wanted.place, etag, base.form, false))
}

/// A refused object waits. A server may store what it seemed to refuse: the answer was lost or late.
fn decide_refused(wanted: &Wanted<'_>, record: &Record, remote: &Remote, policy: &Policy) -> Option<Step> {
    let place = &wanted.place;
    match remote.found.get(&place.href).filter(|found| found.same && record.etag() != Some(&found.etag)) {
        Some(found) => Some(stands(wanted, place, &found.etag, form(wanted, found), false)),
        None => note_before(wanted, record, remote, policy).map(Step::Note),
    }
}

/// A person deleted our object, and that was accepted.
fn decide_removed(wanted: &Wanted<'_>, record: &Record, remote: &Remote, policy: &Policy) -> Option<Step> {
    match remote.found.get(&wanted.place.href).filter(|_| remote.present.contains_key(&wanted.place.href)) {
        Some(found) if found.same => Some(stands(wanted, &wanted.place, &found.etag, form(wanted, found), false)),
        Some(found) if policy.rules.on_drift == OnDrift::Keep && record.sent() == Some(wanted.hash) => {
            Some(stands(wanted, &wanted.place, &found.etag, TargetForm::Rewritten(found.hash), false))
        }
        Some(found) => Some(update(wanted, &wanted.place, &found.etag, Some(found.hash))),
        None => decide_gone(wanted, record.sent() != Some(wanted.hash), remote, policy),
    }
}

/// Someone deleted our object from the target, or added the event again under another href.
fn decide_gone(wanted: &Wanted<'_>, changed: bool, remote: &Remote, policy: &Policy) -> Option<Step> {
    let is_our_doing = remote.taken_away.contains(&wanted.place.href);
    if !changed && policy.rules.on_drift == OnDrift::Keep && !is_our_doing {
        let is_known = wanted.record.is_some_and(|record| matches!(record.status, Status::Removed(..)));
        return (!is_known).then(|| note(Note::Removed { key: wanted.key.clone() }));
    }
    match decide_new(wanted, remote, policy) {
        Some(Step::Put(Put::Create { key, place, .. })) => Some(Step::Put(Put::Create { key, place, restores: true })),
        other => other,
    }
}

/// Our object has another version than recorded, or was read for another reason.
fn decide_drifted(
    wanted: &Wanted<'_>,
    base: &Base,
    found: &Found,
    changed: bool,
    facts: &Facts<'_>,
    policy: &Policy,
) -> Step {
    let place = &wanted.place;
    if found.same {
        return stands(wanted, place, &found.etag, form(wanted, found), facts.is_claimed);
    }
    let as_we_left_it = found.intended || base.is(found.hash);
    if changed || found.intended {
        return update(wanted, place, &found.etag, (!as_we_left_it).then_some(found.hash));
    }
    // A form that comes back after being overwritten once is the server's own.
    let is_the_servers = base.form == TargetForm::Overwrote(found.hash);
    if as_we_left_it || is_the_servers || policy.rules.on_drift == OnDrift::Keep {
        return stands(wanted, place, &found.etag, TargetForm::Rewritten(found.hash), false);
    }
    update(wanted, place, &found.etag, Some(found.hash))
}

/// Nothing recorded for this object is on the target.
fn decide_new(wanted: &Wanted<'_>, remote: &Remote, policy: &Policy) -> Option<Step> {
    let place = &wanted.place;
    if let Some(found) = remote.found.get(&place.href).filter(|_| remote.present.contains_key(&place.href)) {
        return Some(adopt(wanted, place, found));
    }
    let uid_taken = remote.foreign.get(wanted.key).filter(|href| remote.present.contains_key(href));
    let Some(href) = uid_taken else {
        return Some(Step::Put(Put::Create { key: wanted.key.clone(), place: place.clone(), restores: false }));
    };
    let there = Place { href: href.clone(), uid: None };
    let occupant = match remote.found.get(href) {
        _ if remote.others.contains(href) => Occupant::Subscription,
        Some(found) if may_take_over(href, found, policy) => return Some(adopt(wanted, &there, found)),
        Some(found) if found.same => Occupant::Equal,
        _ => Occupant::Different,
    };
    let is_known = wanted.record.is_some_and(|record| record.status == Status::Occupied(occupant));
    (!is_known).then(|| note(Note::Leave { key: wanted.key.clone(), occupant }))
}

fn may_take_over(href: &Href, found: &Found, policy: &Policy) -> bool {
    // Our first change to it would send a cancellation to every guest (RFC 6638 §3.2.1.2).
    if policy.schedules && found.has_guests {
        return false;
    }
    let says_so = match policy.take_over {
        None => false,
        Some(TakeOver::Ours) => found.same || naming::prefix_of(href).is_some(),
        Some(TakeOver::All) => true,
    };
    says_so
        || match policy.rules.on_conflict {
            OnConflict::Ask | OnConflict::Skip => false,
            OnConflict::Equal => found.same,
            OnConflict::Adopt => true,
        }
}

/// An existing object becomes ours; it is written only if it says something else.
fn adopt(wanted: &Wanted<'_>, place: &Place, found: &Found) -> Step {
    if found.same {
        return stands(wanted, place, &found.etag, form(wanted, found), true);
    }
    update(wanted, place, &found.etag, None)
}

/// A record whose object left the feed.
fn decide_orphan(record: &Record, facts: &Facts<'_>, policy: &Policy) -> Option<Step> {
    let (key, remote) = (record.key.clone(), facts.remote);
    // It is gone, or someone made it their own: release it.
    let forget = || Some(note(Note::Forget { key: key.clone() }));
    let Some((href, recorded, now)) = versions(record, remote).filter(|_| !remote.is_of_others(record)) else {
        return forget();
    };
    // Of what was refused, a base without a version is one that somebody has edited.
    let was_edited =
        record.etag().is_none() && matches!(record.status, Status::Refused { .. }) && record.base().is_some();
    let is_edited = (recorded != now || was_edited) && !is_as_left(record, href, remote);
    let is_pinned = matches!(record.status, Status::Gone(_, Gone::Pinned));
    let had_ended = record.stays() || (!is_judged(record) && had_ended(href, remote));
    let stays = match policy.rules.deletes {
        Deletes::None => true,
        Deletes::Future => had_ended,
        Deletes::All => is_pinned,
    };
    // An edit makes an object that stays someone's own: if the feed has it again, it is read and compared.
    if stays && is_edited {
        return forget();
    }
    if policy.rules.deletes == Deletes::None || (stays && record.stays()) {
        return None;
    }
    if stays {
        return Some(note(Note::Keep { key, href: href.clone() }));
    }
    if let Status::Gone(_, Gone::Undeletable(refusal)) = &record.status
        && rests(refusal, facts, policy)
    {
        return None;
    }
    if is_edited && policy.rules.on_drift == OnDrift::Keep {
        return forget();
    }
    Some(Step::Delete(Delete { key: Some(key), href: href.clone(), etag: now.clone() }))
}

/// Where an object of ours is, its recorded version and the current one. If the recorded version is unknown (the
/// server returned no ETag, or stored what it refused), the current one is used for both.
fn versions<'a>(record: &'a Record, remote: &'a Remote) -> Option<(&'a Href, &'a Etag, &'a Etag)> {
    let href = record.href().filter(|_| !record.is_removed())?;
    let now = remote.present.get(href)?;
    Some((href, record.etag().unwrap_or(now), now))
}

/// Whether an object that left the feed is known not to have ended by then.
pub fn is_judged(record: &Record) -> bool {
    matches!(record.status, Status::Gone(_, Gone::Held { .. } | Gone::Undeletable(_)))
}

/// Whether an object that left the feed had ended by then. Objects that were not read are left alone.
fn had_ended(href: &Href, remote: &Remote) -> bool {
    remote.found.get(href).is_none_or(|found| found.ended)
}

/// Whether an object in another version is as we left it all the same: as recorded, because the answer to a write that
/// changed nothing was lost, or as an interrupted pass was about to write it.
fn is_as_left(record: &Record, href: &Href, remote: &Remote) -> bool {
    let is_as_recorded = |found: &Found| record.base().is_some_and(|base| base.is(found.hash));
    remote.found.get(href).is_some_and(is_as_recorded) || is_intended(href, remote)
}

/// Whether an interrupted pass was about to write exactly what is stored.
fn is_intended(href: &Href, remote: &Remote) -> bool {
    remote.found.get(href).is_some_and(|found| found.intended)
}

/// An object under our prefix that neither records nor feed have: the state was lost and the object left the feed.
fn decide_unrecorded(href: &Href, remote: &Remote, known: &HashSet<&Key>, policy: &Policy) -> Option<Step> {
    let etag = remote.present.get(href)?.clone();
    let key = remote.found.get(href).and_then(|found| found.key.clone());
    // A second object of a key has not left the feed.
    let is_left = key.as_ref().is_none_or(|key| !known.contains(key));
    match policy.rules.deletes {
        Deletes::None => None,
        Deletes::Future if is_left && had_ended(href, remote) => {
            key.map(|key| note(Note::Keep { key, href: href.clone() }))
        }
        // It may have been edited and released to someone.
        Deletes::All | Deletes::Future if policy.rules.on_drift == OnDrift::Keep && !is_intended(href, remote) => None,
        Deletes::All | Deletes::Future => Some(Step::Delete(Delete { key, href: href.clone(), etag })),
    }
}

/// The keys that the feed or a record has.
fn known_keys<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Key> {
    let wanted = facts.wanted.iter().flat_map(|wanted| [Some(wanted.key), wanted.record.map(|record| &record.key)]);
    wanted.flatten().chain(facts.orphans.iter().map(|record| &record.key))
}

fn note(note: Note) -> Step {
    Step::Note(note)
}

fn update(wanted: &Wanted<'_>, place: &Place, etag: &Etag, restores: Option<Hash>) -> Step {
    Step::Put(Put::Update { key: wanted.key.clone(), place: place.clone(), etag: etag.clone(), restores })
}

/// Only notes in the record that the object is as it should be.
fn stands(wanted: &Wanted<'_>, place: &Place, etag: &Etag, form: TargetForm, adopted: bool) -> Step {
    let base = Base { place: place.clone(), etag: Some(etag.clone()), hash: wanted.hash, form };
    note(Note::Stands { key: wanted.key.clone(), base, adopted })
}

/// The form of an object that says the same as the feed.
fn form(wanted: &Wanted<'_>, found: &Found) -> TargetForm {
    if found.hash == wanted.hash { TargetForm::AsSent } else { TargetForm::Rewritten(found.hash) }
}
