//! Decides what a pass is going to do: feed x record x target -> plan. Pure; nothing else decides about a write.

use std::collections::{HashMap, HashSet};

use crate::model::memory::Hold;
use crate::model::{Etag, Hash, Href, Key, Record, Standing};
use crate::words::time::Timestamp;

pub mod backoff;
mod blame;
mod guard;
mod rename;
#[cfg(test)]
mod tests;

pub use blame::{Blame, FEW, LAST_CHANCE, MANY, Outcome, Probe, Suspicion, blame, cause, failures_in_a_row, wait};
pub use guard::{HeldFor, MaxDelete, guard, guard_again};
pub use rename::renames;

/// One object of the feed, beside what is remembered of it.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    /// Its identity in the feed.
    pub key: &'a Key,
    /// Stable hash of the source form.
    pub source_hash: Hash,
    /// Stable hash of the form that would be written.
    pub sent_hash: Hash,
    /// Where it stands or would stand.
    pub href: Href,
    /// Why it must never be sent, if so.
    pub rejected: Option<&'a str>,
    /// Its record; under another key when the object was renamed.
    pub record: Option<&'a Record>,
}

/// An object of the target that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its version.
    pub etag: Etag,
    /// Its identity; `None` when it cannot be read as a calendar object.
    pub key: Option<Key>,
    /// Stable hash of what stands there.
    pub hash: Hash,
    /// Whether it says the same as the feed's object of that key, in the form that we would write.
    pub same: bool,
    /// Whether its last occurrence is over, or nobody can tell. Known of what left the feed, and under
    /// [`Deletes::Future`] only.
    pub ended: bool,
    /// Whether a pass that was cut off was about to write it like this: it is ours, though no record says so. Known
    /// under [`OnDrift::Keep`] only.
    pub intended: bool,
}

/// What is known of the target at this moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remote {
    /// The version of every object that stands there.
    pub present: HashMap<Href, Etag>,
    /// What had to be read: drifted objects, unrecorded ones under our prefix, and foreign ones with a UID of the feed.
    pub found: HashMap<Href, Found>,
    /// Where the UIDs stand that are not recorded as ours.
    pub foreign: HashMap<Key, Href>,
    /// What belongs to other subscriptions, by record or by the shape of its href.
    pub others: HashSet<Href>,
    /// Where a pass that was cut off was about to delete. Known under [`OnDrift::Keep`] only.
    pub taken_away: HashSet<Href>,
}

/// The settings that shape a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// What to do with a UID that stands in the target under a foreign href.
    pub on_conflict: OnConflict,
    /// What to do with an object of ours that someone else changed.
    pub on_drift: OnDrift,
    /// Whether objects that left the feed are deleted.
    pub deletes: Deletes,
    /// What to do when the feed is suddenly empty.
    pub on_empty: OnEmpty,
    /// How many deletions a pass may do.
    pub max_delete: MaxDelete,
    /// A person lets every deletion of this pass through.
    pub allow_deletes: bool,
    /// What the last pass held deletions back for.
    pub was_held: HeldFor,
    /// Try rejected objects again though nothing changed.
    pub retry_rejected: bool,
}

/// `on_conflict` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Adopt it when its content is equal, else leave it alone.
    #[default]
    Equal,
    /// Take it over.
    Adopt,
    /// Leave it alone.
    Skip,
}

/// `on_drift` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnDrift {
    /// Write the feed's form again.
    #[default]
    Restore,
    /// Leave the edit until the feed changes that object.
    Keep,
}

/// `deletes` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Deletes {
    /// What left the feed leaves the target.
    #[default]
    All,
    /// What left the feed leaves the target, unless it had ended before.
    Future,
    /// Nothing is deleted.
    None,
}

/// `on_empty` of the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnEmpty {
    /// Keep everything and ask a person.
    #[default]
    Hold,
    /// An empty feed means an empty calendar.
    Accept,
}

/// What one pass is going to do, in the order in which it is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Bookkeeping first, then creates and updates, deletes last.
    pub ops: Vec<Op>,
    /// Deletes that a guard took out of the plan.
    pub hold: Option<Hold>,
}

/// One step. Every write carries what it demands of the object that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The record moves to another key; the object on the target keeps its UID.
    Rename {
        /// The key that vanished from the feed.
        from: Key,
        /// The key that appeared.
        to: Key,
    },
    /// The object stands there already; only the record is written.
    Note {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
        /// Its version.
        etag: Etag,
        /// The hash of what stands there, when the server or a person made something else of it than we sent.
        server_hash: Option<Hash>,
        /// Whether it was not in the record before.
        adopted: bool,
    },
    /// The object had ended before it left the feed: it stays as it is, and its record with it.
    Keep {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
    },
    /// The object left the feed, and a guard holds its deletion. That it had not ended by then is decided once.
    Hold {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
    },
    /// The record goes; nothing of it stands on the target.
    Forget {
        /// Which object.
        key: Key,
    },
    /// The UID belongs to someone else's object, which is left alone.
    Leave {
        /// Which object of the feed.
        key: Key,
        /// Whose the other one is.
        reason: String,
    },
    /// The object must not be sent.
    Reject {
        /// Which object.
        key: Key,
        /// Why.
        reason: String,
    },
    /// PUT with `If-None-Match: *`.
    Create {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
        /// Whether someone had deleted it from the target.
        restores: bool,
    },
    /// PUT with `If-Match`.
    Update {
        /// Which object.
        key: Key,
        /// Where.
        href: Href,
        /// The version that must stand there.
        etag: Etag,
        /// The form of someone else that it overwrites, if it does.
        restores: Option<Hash>,
    },
    /// DELETE with `If-Match`.
    Delete {
        /// Which object, as the record or the target names it.
        key: Option<Key>,
        /// Where.
        href: Href,
        /// The version that must stand there.
        etag: Etag,
    },
}

/// Everything that a plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The feed.
    pub wanted: &'a [Wanted<'a>],
    /// The records that no object of the feed has.
    pub orphans: &'a [&'a Record],
    /// Hrefs that begin like ours and that no record has.
    pub unrecorded: &'a [Href],
    /// The target.
    pub remote: &'a Remote,
    /// How many objects of the last settled feed were in the target; `None` when that is not known.
    pub last_objects: Option<u64>,
    /// The moment of the pass.
    pub now: Timestamp,
}

/// Makes the plan.
pub fn plan(facts: &Facts<'_>, policy: &Policy) -> Plan {
    let mut ops: Vec<Op> = facts.wanted.iter().flat_map(|wanted| decide(wanted, facts, policy)).collect();
    let mut deletes = Vec::new();
    for record in facts.orphans {
        deletes.extend(decide_orphan(record, facts, policy));
    }
    let claimed: HashSet<&Href> = facts.wanted.iter().map(|wanted| &wanted.href).collect();
    let known: HashSet<&Key> = known_keys(facts).collect();
    let left = facts.unrecorded.iter().filter(|href| !claimed.contains(href));
    deletes.extend(left.filter_map(|href| decide_unrecorded(href, facts.remote, &known, policy)));
    ops.extend(deletes);
    ops.sort_by_key(Op::stage);
    guard(ops, facts, policy)
}

impl Op {
    /// Bookkeeping, writes, deletes.
    fn stage(&self) -> u8 {
        match self {
            Op::Rename { .. } => 0,
            Op::Note { .. }
            | Op::Keep { .. }
            | Op::Hold { .. }
            | Op::Forget { .. }
            | Op::Leave { .. }
            | Op::Reject { .. } => 1,
            Op::Create { .. } | Op::Update { .. } => 2,
            Op::Delete { .. } => 3,
        }
    }

    /// Whether the step sends something that changes the target.
    pub fn is_write(&self) -> bool {
        self.stage() >= 2
    }

    /// The object that the step is about, if it is known by name.
    pub fn key(&self) -> Option<&Key> {
        match self {
            Op::Rename { to, .. } => Some(to),
            Op::Note { key, .. }
            | Op::Keep { key, .. }
            | Op::Hold { key, .. }
            | Op::Forget { key }
            | Op::Leave { key, .. }
            | Op::Reject { key, .. }
            | Op::Create { key, .. }
            | Op::Update { key, .. } => Some(key),
            Op::Delete { key, .. } => key.as_ref(),
        }
    }
}

fn decide(wanted: &Wanted<'_>, facts: &Facts<'_>, policy: &Policy) -> Vec<Op> {
    let mut ops = Vec::new();
    if let Some(record) = wanted.record.filter(|record| record.key != *wanted.key) {
        ops.push(Op::Rename { from: record.key.clone(), to: wanted.key.clone() });
    }
    ops.extend(decide_content(wanted, facts, policy));
    ops
}

fn decide_content(wanted: &Wanted<'_>, facts: &Facts<'_>, policy: &Policy) -> Option<Op> {
    let key = wanted.key.clone();
    if let Some(reason) = wanted.rejected {
        let known = wanted.record.is_some_and(|record| is_known_to_be_unfit(record, wanted, policy));
        return (!known).then(|| Op::Reject { key, reason: reason.to_owned() });
    }
    let Some(record) = wanted.record else {
        return decide_new(wanted, facts.remote, policy);
    };
    if is_still_rejected(record, wanted, facts, policy) {
        return decide_refused(wanted, record, facts.remote);
    }
    let Some(recorded) = &record.etag else {
        return decide_new(wanted, facts.remote, policy);
    };
    let changed = wanted.sent_hash != record.sent_hash || matches!(record.standing, Standing::Rejected { .. });
    let href = record.href.clone();
    let Some(etag) = facts.remote.present.get(&record.href) else {
        return decide_gone(wanted, changed, facts.remote, policy);
    };
    if let Some(found) = facts.remote.found.get(&record.href) {
        return Some(decide_drifted(wanted, record, found, changed, policy));
    }
    if etag != recorded {
        return decide_gone(wanted, changed, facts.remote, policy);
    }
    let etag = etag.clone();
    if changed {
        return Some(Op::Update { key, href, etag, restores: None });
    }
    let server_hash = record.server_hash;
    let is_back = record.standing != Standing::Mirrored;
    (is_back || wanted.source_hash != record.source_hash).then_some(Op::Note {
        key,
        href,
        etag,
        server_hash,
        adopted: false,
    })
}

/// A refusal of the server holds until the object or the settings change, or its time has come.
fn is_still_rejected(record: &Record, wanted: &Wanted<'_>, facts: &Facts<'_>, policy: &Policy) -> bool {
    let Standing::Rejected { at, tries, .. } = &record.standing else {
        return false;
    };
    let waits = wait(*tries).is_some_and(|wait| facts.now.since(*at) < wait);
    waits && is_unchanged(record, wanted) && !policy.retry_rejected
}

/// What we refuse ourselves is told once.
fn is_known_to_be_unfit(record: &Record, wanted: &Wanted<'_>, policy: &Policy) -> bool {
    let is_ours = matches!(record.standing, Standing::Rejected { tries: 0, .. });
    is_ours && is_unchanged(record, wanted) && !policy.retry_rejected
}

/// What came under another UID was recognised by its content.
fn is_unchanged(record: &Record, wanted: &Wanted<'_>) -> bool {
    let is_renamed = record.key != *wanted.key;
    is_renamed || (record.source_hash == wanted.source_hash && record.sent_hash == wanted.sent_hash)
}

/// A server may store what it seemed to refuse: the answer was lost, or came too late.
fn decide_refused(wanted: &Wanted<'_>, record: &Record, remote: &Remote) -> Option<Op> {
    let found = remote.found.get(&record.href).filter(|_| record.etag.is_none())?;
    let says_the_same = found.hash == wanted.sent_hash || found.same;
    let server_hash = (found.hash != wanted.sent_hash).then_some(found.hash);
    let (key, href, etag) = (wanted.key.clone(), record.href.clone(), found.etag.clone());
    says_the_same.then_some(Op::Note { key, href, etag, server_hash, adopted: false })
}

/// The writes of objects that wait because they were refused for one of these causes, which are tried with the one that was
/// just taken. `tried`: what this pass has written already.
#[expect(clippy::implicit_hasher, reason = "the sets are made here and nowhere else")]
pub fn refused_for(facts: &Facts<'_>, policy: &Policy, causes: &HashSet<String>, tried: &HashSet<Href>) -> Vec<Op> {
    let policy = Policy { retry_rejected: true, ..policy.clone() };
    let is_of_them = |record: &Record| match &record.standing {
        Standing::Rejected { reason, tries: 1.., .. } | Standing::Undeletable { reason, .. } => {
            causes.contains(&cause(reason, &record.key, &record.href)) && !tried.contains(&record.href)
        }
        _ => false,
    };
    let waiting = facts.wanted.iter().filter(|wanted| wanted.record.is_some_and(is_of_them));
    let puts = waiting.filter_map(|wanted| decide_content(wanted, facts, &policy));
    let orphans = facts.orphans.iter().filter(|record| is_of_them(record));
    let deletes = orphans.filter_map(|record| decide_orphan(record, facts, &policy));
    puts.chain(deletes).filter(Op::is_write).collect()
}

/// Someone deleted our object from the target, or put the event into it anew under an href of their own.
fn decide_gone(wanted: &Wanted<'_>, changed: bool, remote: &Remote, policy: &Policy) -> Option<Op> {
    let is_our_doing = remote.taken_away.contains(&wanted.href);
    if !changed && policy.on_drift == OnDrift::Keep && !is_our_doing {
        return None;
    }
    match decide_new(wanted, remote, policy) {
        Some(Op::Create { key, href, .. }) => Some(Op::Create { key, href, restores: true }),
        other => other,
    }
}

/// Our object stands there in another version than the record says.
fn decide_drifted(wanted: &Wanted<'_>, record: &Record, found: &Found, changed: bool, policy: &Policy) -> Op {
    let (key, href, etag) = (wanted.key.clone(), record.href.clone(), found.etag.clone());
    if found.hash == wanted.sent_hash || found.same {
        let server_hash = (found.hash != wanted.sent_hash).then_some(found.hash);
        return Op::Note { key, href, etag, server_hash, adopted: false };
    }
    let as_we_left_it = found.intended || found.hash == record.sent_hash || Some(found.hash) == record.server_hash;
    if changed || found.intended {
        return Op::Update { key, href, etag, restores: (!as_we_left_it).then_some(found.hash) };
    }
    // A form that comes back after it was overwritten once is the server's own.
    let is_the_servers = record.restored_hash == Some(found.hash);
    if as_we_left_it || is_the_servers || policy.on_drift == OnDrift::Keep {
        return Op::Note { key, href, etag, server_hash: Some(found.hash), adopted: false };
    }
    Op::Update { key, href, etag, restores: Some(found.hash) }
}

/// Nothing in the record stands on the target for this object.
fn decide_new(wanted: &Wanted<'_>, remote: &Remote, policy: &Policy) -> Option<Op> {
    let key = wanted.key.clone();
    if let Some(found) = remote.found.get(&wanted.href).filter(|_| remote.present.contains_key(&wanted.href)) {
        return Some(adopt(wanted, wanted.href.clone(), found));
    }
    let Some(href) = remote.foreign.get(wanted.key).filter(|href| remote.present.contains_key(href)) else {
        return Some(Op::Create { key, href: wanted.href.clone(), restores: false });
    };
    let other_subscription = remote.others.contains(href);
    let found = remote.found.get(href);
    match found {
        Some(found) if !other_subscription && policy.on_conflict == OnConflict::Adopt => {
            Some(adopt(wanted, href.clone(), found))
        }
        Some(found) if !other_subscription && policy.on_conflict == OnConflict::Equal && found.same => {
            Some(adopt(wanted, href.clone(), found))
        }
        _ => {
            let reason = if other_subscription {
                "another subscription has put this UID into the calendar, or this one did under an earlier name"
            } else {
                "the calendar already holds this UID in an object that is not ours (see on_conflict)"
            };
            let known = matches!(wanted.record.map(|record| &record.standing),
                Some(Standing::Foreign { reason: known }) if known == reason);
            (!known).then(|| Op::Leave { key, reason: reason.to_owned() })
        }
    }
}

/// An object that stands there already becomes ours; it is written only when it says something else.
fn adopt(wanted: &Wanted<'_>, href: Href, found: &Found) -> Op {
    let (key, etag) = (wanted.key.clone(), found.etag.clone());
    if found.hash == wanted.sent_hash || found.same {
        let server_hash = (found.hash != wanted.sent_hash).then_some(found.hash);
        return Op::Note { key, href, etag, server_hash, adopted: true };
    }
    Op::Update { key, href, etag, restores: None }
}

/// A record whose object left the feed.
fn decide_orphan(record: &Record, facts: &Facts<'_>, policy: &Policy) -> Option<Op> {
    let (key, remote) = (record.key.clone(), facts.remote);
    let had_ended = record.standing == Standing::Kept || (!is_judged(record) && had_ended(&record.href, remote));
    let stays = policy.deletes == Deletes::None || (policy.deletes == Deletes::Future && had_ended);
    match versions(record, remote) {
        // An edit of what stays makes it someone's own: should the feed have it again, it is read and compared.
        Some((recorded, now)) if stays && recorded != now => Some(Op::Forget { key }),
        Some(_) if policy.deletes == Deletes::None || (stays && record.standing == Standing::Kept) => None,
        Some(_) if stays => Some(Op::Keep { key, href: record.href.clone() }),
        Some(_) if is_still_undeletable(record, facts, policy) => None,
        Some((recorded, now))
            if recorded == now || policy.on_drift == OnDrift::Restore || is_intended(&record.href, remote) =>
        {
            Some(Op::Delete { key: Some(key), href: record.href.clone(), etag: now.clone() })
        }
        // It is gone, or someone made it their own: it is released.
        _ => Some(Op::Forget { key }),
    }
}

/// The recorded version of an object and the one that stands there, if something of ours does. Of an object that was
/// written in an untold version, or that a server refused and stored all the same, what stands there now is taken for it.
fn versions<'a>(record: &'a Record, remote: &'a Remote) -> Option<(&'a Etag, &'a Etag)> {
    let now = remote.present.get(&record.href)?;
    let untold = !matches!(record.standing, Standing::Foreign { .. });
    record.etag.as_ref().or(untold.then_some(now)).map(|recorded| (recorded, now))
}

/// Whether it is known of what left the feed that it had not ended by then.
pub fn is_judged(record: &Record) -> bool {
    matches!(record.standing, Standing::Doomed { .. } | Standing::Undeletable { .. })
}

/// A refusal to delete holds until its time has come, or the settings change.
fn is_still_undeletable(record: &Record, facts: &Facts<'_>, policy: &Policy) -> bool {
    let Standing::Undeletable { at, tries, .. } = &record.standing else {
        return false;
    };
    !policy.retry_rejected && wait(*tries).is_some_and(|wait| facts.now.since(*at) < wait)
}

/// Whether an object that left the feed was over by then. What was not read is left alone.
fn had_ended(href: &Href, remote: &Remote) -> bool {
    remote.found.get(href).is_none_or(|found| found.ended)
}

/// Whether a pass that was cut off was about to write just what stands there.
fn is_intended(href: &Href, remote: &Remote) -> bool {
    remote.found.get(href).is_some_and(|found| found.intended)
}

/// An object under our prefix that neither record nor feed knows: the state was lost and the object left the feed.
fn decide_unrecorded(href: &Href, remote: &Remote, known: &HashSet<&Key>, policy: &Policy) -> Option<Op> {
    let etag = remote.present.get(href)?.clone();
    let key = remote.found.get(href).and_then(|found| found.key.clone());
    // A second object of a key did not leave the feed.
    let is_left = key.as_ref().is_none_or(|key| !known.contains(key));
    match policy.deletes {
        Deletes::None => None,
        Deletes::Future if is_left && had_ended(href, remote) => key.map(|key| Op::Keep { key, href: href.clone() }),
        // Someone may have edited it, and it was released to them.
        Deletes::All | Deletes::Future if policy.on_drift == OnDrift::Keep && !is_intended(href, remote) => None,
        Deletes::All | Deletes::Future => Some(Op::Delete { key, href: href.clone(), etag }),
    }
}

/// The keys that the feed or a record has.
fn known_keys<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Key> {
    let wanted = facts.wanted.iter().flat_map(|wanted| [Some(wanted.key), wanted.record.map(|record| &record.key)]);
    wanted.flatten().chain(facts.orphans.iter().map(|record| &record.key))
}
