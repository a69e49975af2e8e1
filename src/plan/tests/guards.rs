//! When deletions are held, and when they are released.

use super::*;
use crate::model::memory::HeldFor;

/// `last` objects in the last feed, `gone` of them gone, `left` of them left.
fn deletions(last: impl Into<Option<u64>>, gone: usize, left: usize, change: impl FnOnce(&mut Policy)) -> Plan {
    let uids: Vec<String> = (0..gone + left).map(|number| format!("u{number}")).collect();
    let records: Vec<Record> = uids.iter().map(|uid| record(uid)).collect();
    let present = records.iter().map(|record| (record.href().unwrap().clone(), etag("1"))).collect();
    let (orphans, kept) = records.split_at(gone);
    let wanted: Vec<Wanted<'_>> = kept
        .iter()
        .map(|record| Wanted {
            key: &record.key,
            hash: hash(1),
            place: record.place().unwrap().clone(),
            rejected: None,
            record: Some(record),
        })
        .collect();
    let orphans: Vec<&Record> = orphans.iter().collect();
    let remote = Remote { present, ..Remote::default() };
    let facts = Facts {
        wanted: &wanted,
        orphans: &orphans,
        unrecorded: &[],
        is_claimed: false,
        claimed: &HashSet::new(),
        remote: &remote,
        last_objects: last.into(),
        now: NOW,
    };
    let mut policy = policy();
    change(&mut policy);
    plan(&facts, &policy)
}

#[test]
fn ten_deletions_are_always_allowed_and_beyond_that_half_of_the_last_feed() {
    assert_eq!(deletions(12, 10, 2, |_| {}).deletes.len(), 10);
    assert_eq!(deletions(30, 15, 15, |_| {}).deletes.len(), 15);
    let held = deletions(30, 16, 14, |_| {});
    assert!(held.notes.iter().all(|note| matches!(note, Note::Hold { .. })), "what is held is remembered");
    assert_eq!((held.notes.len(), held.hold.map(|hold| hold.deletes)), (16, Some(16)));
}

#[test]
fn without_a_memory_of_the_feed_what_stands_of_it_is_the_measure() {
    assert_eq!(deletions(None, 15, 15, |_| {}).deletes.len(), 15);
    assert!(deletions(None, 16, 14, |_| {}).hold.is_some());
}

#[test]
fn what_no_record_names_and_nobody_can_read_counts_for_the_guards_too() {
    let unrecorded: Vec<Href> = (0..20).map(|number| href(&number.to_string())).collect();
    let present = unrecorded.iter().map(|href| (href.clone(), etag("1"))).collect();
    let remote = Remote { present, ..Remote::default() };
    let facts = Facts {
        wanted: &[],
        orphans: &[],
        unrecorded: &unrecorded,
        is_claimed: false,
        claimed: &HashSet::new(),
        remote: &remote,
        last_objects: None,
        now: NOW,
    };
    assert_eq!(plan(&facts, &policy()).hold.map(|hold| hold.deletes), Some(20));
}

#[test]
fn a_number_in_max_delete_counts_objects() {
    assert!(deletions(100, 21, 79, |policy| policy.rules.max_delete = MaxDelete::Count(20)).hold.is_some());
    assert!(deletions(100, 20, 80, |policy| policy.rules.max_delete = MaxDelete::Count(20)).hold.is_none());
}

#[test]
fn an_empty_feed_deletes_nothing_unless_that_is_accepted_or_released() {
    let held = deletions(3, 3, 0, |_| {});
    assert!(!held.writes() && held.hold.unwrap().reason.contains("empty"));
    assert_eq!(deletions(30, 30, 0, |policy| policy.rules.on_empty = OnEmpty::Accept).deletes.len(), 30);
    let released = |was_held| {
        let plan = deletions(30, 30, 0, |policy| (policy.allow_deletes, policy.was_held) = (true, was_held));
        plan.hold.is_none()
    };
    assert_eq!(
        [Some(HeldFor::Empty), None, Some(HeldFor::Many)].map(released),
        [true, false, false],
        "nobody can have meant what nobody was told"
    );
}

#[test]
fn what_a_person_approved_is_deleted_whatever_else_is_held() {
    let approved = mirrored().without_feed().gone_as(held(true));
    let facts = Facts {
        wanted: &[],
        orphans: &[approved.record.as_ref().unwrap()],
        unrecorded: &[],
        is_claimed: false,
        claimed: &HashSet::new(),
        remote: &approved.remote,
        last_objects: Some(1),
        now: NOW,
    };
    let plan = plan(&facts, &policy());
    assert_eq!((plan.ops(), plan.hold), (vec![delete("1")], None));
}

#[test]
fn deletions_are_held_when_too_many_of_the_new_events_were_refused() {
    let keys: Vec<Key> = (0..20).map(|number| key(&format!("n{number}"))).collect();
    let wanted: Vec<Wanted<'_>> = keys
        .iter()
        .map(|key| Wanted {
            key,
            hash: hash(1),
            place: Place { href: href(&key.uid), uid: None },
            rejected: None,
            record: None,
        })
        .collect();
    let left = record("left");
    let remote = Remote { present: [(left.href().unwrap().clone(), etag("1"))].into(), ..Remote::default() };
    let orphans = [&left];
    let facts = Facts {
        wanted: &wanted,
        orphans: &orphans,
        unrecorded: &[],
        is_claimed: false,
        claimed: &HashSet::new(),
        remote: &remote,
        last_objects: Some(1),
        now: NOW,
    };
    let planned = plan(&facts, &policy());
    let reason = |refused: usize| {
        let refused = keys[..refused].iter().cloned().collect();
        guard_again(&planned, &facts, &policy(), &refused).map(|held| held.hold.unwrap().reason)
    };
    assert_eq!((planned.hold.as_ref(), reason(4)), (None, None));
    assert_eq!(reason(5).as_deref(), Some("5 of 20 new events could not be stored"));
    assert_eq!(reason(20).as_deref(), Some("no event of the feed could be stored"));
}

#[test]
fn what_is_held_under_future_is_judged_once() {
    let case = |status: Status| {
        let future = |policy: &mut Policy| {
            (policy.rules.deletes, policy.rules.max_delete) = (Deletes::Future, MaxDelete::Count(0));
        };
        let mut case = mirrored().status(status).policy(future).judged("1", false);
        (case.feed, case.policy.rules.on_empty) = (None, OnEmpty::Hold);
        case
    };
    let suspicious = |case: &Case| {
        let record = case.record.clone().unwrap();
        let facts = Facts {
            wanted: &[],
            orphans: &[&record],
            unrecorded: &[],
            is_claimed: false,
            claimed: &HashSet::new(),
            remote: &case.remote,
            last_objects: Some(1),
            now: NOW,
        };
        plan(&facts, &case.policy)
    };
    let hold = || vec![Op::Note(Note::Hold { key: key("u"), href: href("u") })];
    let first = suspicious(&case(Status::Mirrored(base("u"))));
    assert_eq!((first.ops(), first.hold.is_some()), (hold(), true));
    // It may have ended by the next pass.
    let mut again = case(Status::Gone(base("u"), held(false)));
    again.remote.found.get_mut(&href("u")).unwrap().ended = true;
    let again = suspicious(&again);
    assert_eq!((again.ops(), again.hold.is_some()), (hold(), true));
}
