//! The decision table, row by row: the feed, the record, the target -> the step.

mod guards;
mod ownership;

use super::*;
use crate::model::{Before, ComponentType, EndsAt, Gone, Refusal, Source, Status, TargetForm};
use crate::words::time::DAY;

const NOW: Timestamp = Timestamp(10_000_000);

fn key(uid: &str) -> Key {
    Key { component: ComponentType::Event, uid: uid.to_owned() }
}

fn etag(text: &str) -> Etag {
    Etag::parse(text).unwrap()
}

fn hash(number: u8) -> Hash {
    Hash([number; 32])
}

fn href(uid: &str) -> Href {
    Href::new(format!("ours-{uid}.ics"))
}

fn place(name: &str) -> Place {
    Place { href: Href::new(name), uid: None }
}

/// Sent with content 1, and stored in version "1".
fn base(uid: &str) -> Base {
    let place = Place { href: href(uid), uid: None };
    Base { place, etag: Some(etag("1")), hash: hash(1), form: TargetForm::AsSent }
}

/// A record of an object whose current content is 1.
fn record_of(uid: &str, status: Status) -> Record {
    let source = Source { hash: hash(1), summary: String::new(), start: String::new(), ends_at: EndsAt::Unknown };
    Record { key: key(uid), source, status }
}

/// A record of an object that was sent with content 1 and is stored in version "1".
fn record(uid: &str) -> Record {
    record_of(uid, Status::Mirrored(base(uid)))
}

fn refusal(reason: &str, at: Timestamp, tries: u32) -> Refusal {
    Refusal { reason: reason.to_owned(), at, tries }
}

/// A record of an object that was never accepted.
fn refused(refusal: Refusal) -> Record {
    record_of("u", Status::Refused { before: Before::Nothing(place("ours-u.ics")), refusal })
}

fn held(approved: bool) -> Gone {
    Gone::Held { since: Some(NOW), approved }
}

fn policy() -> Policy {
    Policy {
        rules: Rules { on_conflict: OnConflict::Equal, ..Rules::default() },
        allow_deletes: false,
        take_over: None,
        schedules: false,
        was_held: None,
        retry_rejected: false,
    }
}

/// At most one object in the feed, at most one record, and a target.
struct Case {
    feed: Option<u8>,
    rejected: Option<&'static str>,
    record: Option<Record>,
    unrecorded: Vec<Href>,
    remote: Remote,
    policy: Policy,
}

/// The feed has object `u` with content 1; nothing is recorded, the target is empty.
fn new_object() -> Case {
    Case {
        feed: Some(1),
        rejected: None,
        record: None,
        unrecorded: Vec::new(),
        remote: Remote::default(),
        policy: policy(),
    }
}

/// Object `u` with content 1 is in the feed, in the record and in the target.
fn mirrored() -> Case {
    Case { record: Some(record("u")), ..new_object() }.standing("ours-u.ics", "1")
}

impl Case {
    fn feed(self, content: u8) -> Case {
        Case { feed: Some(content), ..self }
    }

    fn without_feed(self) -> Case {
        Case { feed: None, ..self }
    }

    fn status(self, status: Status) -> Case {
        Case { record: Some(record_of("u", status)), ..self }
    }

    /// Another form is stored than was sent.
    fn form(self, form: TargetForm) -> Case {
        self.status(Status::Mirrored(Base { form, ..base("u") }))
    }

    fn gone_as(self, gone: Gone) -> Case {
        self.status(Status::Gone(base("u"), gone))
    }

    fn policy(mut self, change: impl FnOnce(&mut Policy)) -> Case {
        change(&mut self.policy);
        self
    }

    fn standing(mut self, name: &str, version: &str) -> Case {
        self.remote.present.insert(Href::new(name), etag(version));
        self
    }

    fn found(mut self, name: &str, version: &str, content: u8, same: bool) -> Case {
        let found = Found {
            etag: etag(version),
            key: Some(key("u")),
            hash: hash(content),
            same,
            has_guests: false,
            ended: false,
            intended: false,
        };
        self.remote.found.insert(Href::new(name), found);
        self.standing(name, version)
    }

    /// Only ended objects stay; ours was read, and had ended or not.
    fn judged(self, version: &str, ended: bool) -> Case {
        let mut case =
            self.found("ours-u.ics", version, 1, false).policy(|policy| policy.rules.deletes = Deletes::Future);
        case.remote.found.get_mut(&href("u")).unwrap().ended = ended;
        case
    }

    fn foreign(mut self, content: u8, same: bool) -> Case {
        self.remote.foreign.insert(key("u"), Href::new("theirs.ics"));
        self.found("theirs.ics", "9", content, same)
    }

    fn gone(mut self) -> Case {
        self.remote.present.clear();
        self
    }

    /// The state was lost, and the object left the feed.
    fn unrecorded(self) -> Case {
        Case { unrecorded: vec![href("u")], record: None, feed: None, ..self }
    }

    fn ops(&self) -> Vec<Op> {
        let (uid, other) = (key("u"), key("other"));
        let wanted = |key, content, record| Wanted {
            key,
            hash: hash(content),
            place: self.record.as_ref().and_then(Record::place).cloned().unwrap_or_else(|| place("ours-u.ics")),
            rejected: self.rejected,
            record,
        };
        let known = [record("other")];
        let mut remote = self.remote.clone();
        remote.present.insert(href("other"), etag("1"));
        let mut feed =
            vec![Wanted { place: place("ours-other.ics"), rejected: None, ..wanted(&other, 1, known.first()) }];
        feed.extend(self.feed.map(|content| wanted(&uid, content, self.record.as_ref())));
        let orphans: Vec<&Record> = self.record.iter().filter(|_| self.feed.is_none()).collect();
        let facts = Facts {
            wanted: &feed,
            orphans: &orphans,
            unrecorded: &self.unrecorded,
            is_claimed: false,
            claimed: &HashSet::new(),
            remote: &remote,
            last_objects: Some(2),
            now: NOW,
        };
        plan(&facts, &self.policy).ops()
    }
}

#[track_caller]
fn check(case: &Case, expected: &[Op]) {
    assert_eq!(case.ops(), expected);
}

fn create(restores: bool) -> Op {
    Op::Write(Write::Put(Put::Create { key: key("u"), place: place("ours-u.ics"), restores }))
}

fn update(name: &str, version: &str, restores: Option<u8>) -> Op {
    let (key, place, etag, restores) = (key("u"), place(name), etag(version), restores.map(hash));
    Op::Write(Write::Put(Put::Update { key, place, etag, restores }))
}

/// `server`: what is stored instead of content 1.
fn note(name: &str, version: &str, server: Option<u8>, adopted: bool) -> Op {
    let form = server.map_or(TargetForm::AsSent, |content| TargetForm::Rewritten(hash(content)));
    stands(1, name, version, form, adopted)
}

fn stands(content: u8, name: &str, version: &str, form: TargetForm, adopted: bool) -> Op {
    let base = Base { place: place(name), etag: Some(etag(version)), hash: hash(content), form };
    Op::Note(Note::Stands { key: key("u"), base, adopted })
}

fn delete(version: &str) -> Op {
    deletion(Some("u"), version)
}

fn deletion(uid: Option<&str>, version: &str) -> Op {
    Op::Write(Write::Delete(Delete { key: uid.map(key), href: href("u"), etag: etag(version) }))
}

fn forget() -> Op {
    Op::Note(Note::Forget { key: key("u") })
}

fn leave(occupant: Occupant) -> Op {
    Op::Note(Note::Leave { key: key("u"), occupant })
}

#[test]
fn a_new_object_is_created_and_a_mirrored_one_needs_nothing() {
    check(&new_object(), &[create(false)]);
    check(&mirrored(), &[]);
}

#[test]
fn a_changed_object_is_updated_in_the_version_that_stands_there() {
    check(&mirrored().feed(2), &[update("ours-u.ics", "1", None)]);
}

#[test]
fn an_object_that_someone_deleted_is_restored_or_kept_away() {
    check(&mirrored().gone(), &[create(true)]);
    let kept = |case: Case| case.gone().policy(|policy| policy.rules.on_drift = OnDrift::Keep);
    check(&kept(mirrored()), &[Op::Note(Note::Removed { key: key("u") })]);
    check(&mirrored().gone().feed(2).policy(|policy| policy.rules.on_drift = OnDrift::Keep), &[create(true)]);
}

#[test]
fn a_deletion_that_was_accepted_stays_so_until_the_feed_changes_or_somebody_puts_the_object_back() {
    let removed = || new_object().status(Status::Removed(place("ours-u.ics"), hash(1)));
    let keep = |case: Case| case.policy(|policy| policy.rules.on_drift = OnDrift::Keep);
    check(&keep(removed()), &[]);
    check(&keep(removed().feed(2)), &[create(true)]);
    check(&removed(), &[create(true)]);
    check(&removed().found("ours-u.ics", "3", 1, true), &[note("ours-u.ics", "3", None, false)]);
    check(&keep(removed().found("ours-u.ics", "3", 5, false)), &[note("ours-u.ics", "3", Some(5), false)]);
    check(&removed().without_feed(), &[forget()]);
}

#[test]
fn a_feed_that_goes_back_to_the_form_that_stands_there_costs_no_write() {
    let refused = |seconds: i64| {
        let refusal = refusal("415", Timestamp(NOW.0 - seconds), 1);
        let mut case = mirrored().status(Status::Refused { before: Before::Standing(base("u")), refusal });
        case.record.as_mut().unwrap().source.hash = hash(2);
        case
    };
    check(&refused(60).feed(2), &[]);
    check(&refused(7200).feed(2), &[update("ours-u.ics", "1", None)]);
    check(&refused(60).feed(3), &[update("ours-u.ics", "1", None)]);
    check(&refused(60), &[note("ours-u.ics", "1", None, false)]);
}

#[test]
fn what_stands_of_a_refused_object_counts_only_while_it_is_as_recorded() {
    let resting = || {
        let refusal = refusal("415", Timestamp(NOW.0 - 60), 1);
        mirrored().status(Status::Refused { before: Before::Standing(base("u")), refusal })
    };
    let noted = |case: Case| match case.ops().as_slice() {
        [Op::Note(Note::Before { before, .. })] => before.clone(),
        other => panic!("{other:?}"),
    };
    let keep = |case: Case| case.policy(|policy| policy.rules.on_drift = OnDrift::Keep);
    assert_eq!(noted(resting().gone()), Before::Nothing(place("ours-u.ics")));
    assert_eq!(noted(keep(resting().gone())), Before::Removed(place("ours-u.ics"), hash(1)));
    let edited = noted(resting().found("ours-u.ics", "2", 5, false));
    assert_eq!(edited, Before::Standing(Base { etag: None, ..base("u") }));
    let same = noted(resting().found("ours-u.ics", "2", 1, false));
    assert_eq!(same, Before::Standing(Base { etag: Some(etag("2")), ..base("u") }));
    let gone = || {
        let refusal = refusal("415", NOW, 1);
        let before = Before::Standing(Base { etag: None, ..base("u") });
        mirrored().status(Status::Refused { before, refusal }).without_feed().found("ours-u.ics", "2", 5, false)
    };
    check(&gone(), &[delete("2")]);
    check(&keep(gone()), &[forget()]);
}

#[test]
fn an_object_that_someone_edited_is_restored_or_kept() {
    let edited = || mirrored().found("ours-u.ics", "2", 5, false);
    check(&edited(), &[update("ours-u.ics", "2", Some(5))]);
    check(&edited().policy(|policy| policy.rules.on_drift = OnDrift::Keep), &[note("ours-u.ics", "2", Some(5), false)]);
    check(
        &edited().feed(3).policy(|policy| policy.rules.on_drift = OnDrift::Keep),
        &[update("ours-u.ics", "2", Some(5))],
    );
}

#[test]
fn a_new_version_that_says_the_same_is_noted_only() {
    check(&mirrored().found("ours-u.ics", "2", 1, true), &[note("ours-u.ics", "2", None, false)]);
    check(&mirrored().found("ours-u.ics", "2", 5, true), &[note("ours-u.ics", "2", Some(5), false)]);
}

#[test]
fn a_form_that_comes_back_after_one_restore_is_the_servers_own() {
    let again = mirrored().form(TargetForm::Overwrote(hash(5))).found("ours-u.ics", "2", 5, false);
    check(&again, &[note("ours-u.ics", "2", Some(5), false)]);
}

#[test]
fn what_the_server_made_of_our_object_is_no_drift() {
    let rewritten = || mirrored().form(TargetForm::Rewritten(hash(5)));
    check(&rewritten().found("ours-u.ics", "2", 5, false), &[note("ours-u.ics", "2", Some(5), false)]);
    check(&rewritten().found("ours-u.ics", "2", 5, false).feed(2), &[update("ours-u.ics", "2", None)]);
}

#[test]
fn an_object_at_our_href_that_nothing_recorded_is_adopted_or_brought_up_to_date() {
    check(&new_object().found("ours-u.ics", "3", 1, true), &[note("ours-u.ics", "3", None, true)]);
    check(&new_object().found("ours-u.ics", "3", 4, false), &[update("ours-u.ics", "3", None)]);
}

#[test]
fn what_left_the_feed_is_deleted_in_the_version_that_stands_there() {
    check(&mirrored().without_feed(), &[delete("1")]);
    check(&mirrored().without_feed().policy(|policy| policy.rules.deletes = Deletes::None), &[]);
    check(&mirrored().without_feed().gone(), &[forget()]);
}

#[test]
fn what_left_the_feed_before_its_version_was_told_is_deleted_too() {
    let untold = mirrored().without_feed().status(Status::Mirrored(Base { etag: None, ..base("u") }));
    check(&untold, &[delete("1")]);
}

#[test]
fn what_a_server_refused_and_stored_all_the_same_goes_with_its_event() {
    let stored = Case { record: Some(refused(refusal("500", NOW, 1))), ..mirrored() };
    check(&stored.without_feed(), &[delete("1")]);
}

#[test]
fn what_a_pass_that_was_cut_off_was_about_to_write_is_no_edit() {
    let intended = |case: Case, intended| {
        let mut case = case.found("ours-u.ics", "2", 5, false).policy(|policy| policy.rules.on_drift = OnDrift::Keep);
        case.remote.found.get_mut(&href("u")).unwrap().intended = intended;
        case
    };
    check(&intended(mirrored(), true), &[update("ours-u.ics", "2", None)]);
    check(&intended(mirrored().feed(2), true), &[update("ours-u.ics", "2", None)]);
    let mut taken = intended(mirrored().feed(5), true);
    taken.remote.found.get_mut(&href("u")).unwrap().same = true;
    check(&taken, &[stands(5, "ours-u.ics", "2", TargetForm::AsSent, false)]);
    check(&intended(mirrored().without_feed(), true), &[delete("2")]);
    check(&intended(new_object().unrecorded(), true), &[delete("2")]);
    check(&intended(new_object().unrecorded(), false), &[]);
}

#[test]
fn what_a_pass_that_was_cut_off_was_about_to_delete_was_deleted_by_us() {
    let mut gone = mirrored().gone().policy(|policy| policy.rules.on_drift = OnDrift::Keep);
    gone.remote.taken_away.insert(href("u"));
    check(&gone, &[create(true)]);
}

#[test]
fn what_the_server_does_not_delete_rests_until_its_time() {
    let refused = |seconds_ago: u64| {
        let at = Timestamp(NOW.0 - i64::try_from(seconds_ago).unwrap());
        mirrored().gone_as(Gone::Undeletable(refusal("403", at, 3)))
    };
    let orphan = |seconds_ago| refused(seconds_ago).without_feed();
    check(&orphan(60), &[]);
    check(&orphan(60).policy(|policy| policy.rules.deletes = Deletes::Future), &[]);
    check(&orphan(DAY), &[delete("1")]);
    check(&orphan(60).policy(|policy| policy.retry_rejected = true), &[delete("1")]);
    check(&orphan(60).found("ours-u.ics", "2", 5, false), &[]);
    check(&orphan(60).gone(), &[forget()]);
    check(&refused(60), &[note("ours-u.ics", "1", None, false)]);
}

#[test]
fn what_left_the_feed_after_someone_edited_it_is_deleted_or_released() {
    let edited = || mirrored().without_feed().found("ours-u.ics", "2", 5, false);
    check(&edited(), &[delete("2")]);
    check(&edited().policy(|policy| policy.rules.on_drift = OnDrift::Keep), &[forget()]);
}

#[test]
fn what_left_the_feed_in_a_new_version_that_is_as_recorded_was_edited_by_nobody() {
    let keep = |case: Case| case.policy(|policy| policy.rules.on_drift = OnDrift::Keep);
    check(&keep(mirrored().without_feed().found("ours-u.ics", "2", 1, false)), &[delete("2")]);
    let rewritten = mirrored().form(TargetForm::Rewritten(hash(5))).without_feed();
    check(&keep(rewritten.found("ours-u.ics", "2", 5, false)), &[delete("2")]);
}

#[test]
fn what_had_ended_before_it_left_the_feed_stays() {
    let keep = || Op::Note(Note::Keep { key: key("u"), href: href("u") });
    check(&mirrored().without_feed().judged("1", true), &[keep()]);
    check(&mirrored().without_feed().judged("1", false), &[delete("1")]);
    check(&mirrored().without_feed().judged("2", false), &[delete("2")]);
    check(&mirrored().without_feed().judged("1", true).gone(), &[forget()]);
    check(&new_object().judged("1", true).unrecorded(), &[keep()]);
    check(&new_object().judged("1", false).unrecorded(), &[delete("1")]);
}

#[test]
fn what_stays_though_it_left_the_feed_is_released_to_whoever_edits_it() {
    let edited = || mirrored().without_feed().standing("ours-u.ics", "2");
    check(&edited().policy(|policy| policy.rules.deletes = Deletes::None), &[forget()]);
    let mut ended = mirrored().without_feed().judged("2", true);
    ended.remote.found.get_mut(&href("u")).unwrap().hash = hash(5);
    check(&ended, &[forget()]);
    let kept = edited().gone_as(Gone::Kept);
    check(&kept.policy(|policy| policy.rules.deletes = Deletes::Future), &[forget()]);
}

#[test]
fn what_left_the_feed_and_was_not_read_is_not_deleted() {
    let unread = mirrored().without_feed().policy(|policy| policy.rules.deletes = Deletes::Future);
    check(&unread, &[Op::Note(Note::Keep { key: key("u"), href: href("u") })]);
}

#[test]
fn what_no_record_names_is_deleted_unless_edits_are_kept_or_nothing_is_deleted() {
    let left = || new_object().standing("ours-u.ics", "1").unrecorded();
    check(&left(), &[deletion(None, "1")]);
    check(&left().policy(|policy| policy.rules.on_drift = OnDrift::Keep), &[]);
    check(&left().policy(|policy| policy.rules.deletes = Deletes::None), &[]);
}

#[test]
fn a_second_object_of_a_uid_of_the_feed_did_not_leave_it() {
    let mut case = new_object().judged("1", true).unrecorded();
    case.remote.found.get_mut(&href("u")).unwrap().key = Some(key("other"));
    check(&case, &[deletion(Some("other"), "1")]);
}

#[test]
fn what_was_kept_stays_until_it_is_back_or_everything_is_deleted() {
    let kept = || mirrored().gone_as(Gone::Kept);
    let orphan = |deletes| kept().without_feed().policy(|policy| policy.rules.deletes = deletes);
    check(&orphan(Deletes::Future), &[]);
    check(&orphan(Deletes::Future).gone(), &[forget()]);
    check(&orphan(Deletes::None), &[]);
    check(&orphan(Deletes::All), &[delete("1")]);
    check(&kept(), &[note("ours-u.ics", "1", None, false)]);
    check(&kept().feed(2), &[update("ours-u.ics", "1", None)]);
}

#[test]
fn what_a_person_brought_back_stays_whatever_the_rules_say() {
    let pinned = || mirrored().gone_as(Gone::Pinned).without_feed();
    for deletes in [Deletes::All, Deletes::Future, Deletes::None] {
        check(&pinned().policy(|policy| policy.rules.deletes = deletes), &[]);
    }
    check(&pinned().standing("ours-u.ics", "2"), &[forget()]);
}

#[test]
fn a_rejected_object_rests_until_it_changes_or_its_time_has_come() {
    let rejected = |seconds_ago: u64| {
        let at = Timestamp(NOW.0 - i64::try_from(seconds_ago).unwrap());
        Case { record: Some(refused(refusal("415", at, 3))), ..new_object() }
    };
    check(&rejected(60), &[]);
    check(&rejected(60).feed(2), &[create(false)]);
    check(&rejected(DAY), &[create(false)]);
    check(&rejected(60).policy(|policy| policy.retry_rejected = true), &[create(false)]);
}

#[test]
fn an_object_that_must_not_be_sent_is_rejected_once() {
    let hanging = Case { rejected: Some("BYHOUR=24"), ..new_object() };
    check(&hanging, &[Op::Note(Note::Reject { key: key("u"), reason: "BYHOUR=24".to_owned() })]);
    let known = Case { record: Some(refused(refusal("BYHOUR=24", NOW, 0))), ..hanging };
    check(&known, &[]);
}

#[test]
fn a_renamed_object_moves_its_record_and_is_not_written() {
    let renamed = Record { key: key("old"), ..record("u") };
    let case = Case { record: Some(renamed), ..new_object() }.standing("ours-u.ics", "1");
    check(&case, &[Op::Note(Note::Rename { from: key("old"), to: key("u") })]);
}

#[test]
fn an_object_that_comes_back_under_a_new_uid_keeps_the_one_that_stands_there() {
    let left = Record { key: key("old"), ..record_of("u", Status::Gone(base("u"), held(false))) };
    let (u, stands) = (key("u"), Place { href: href("u"), uid: Some("old".to_owned()) });
    let wanted = Wanted { key: &u, hash: hash(1), place: stands.clone(), rejected: None, record: Some(&left) };
    let facts = Facts {
        wanted: &[wanted],
        orphans: &[],
        unrecorded: &[],
        is_claimed: false,
        claimed: &HashSet::new(),
        remote: &mirrored().remote,
        last_objects: None,
        now: NOW,
    };
    let notes = plan(&facts, &policy()).notes;
    let expected = Note::Stands { key: key("u"), base: Base { place: stands, ..base("u") }, adopted: false };
    assert_eq!(notes, [Note::Rename { from: key("old"), to: key("u") }, expected]);
}

#[test]
fn what_waits_for_one_cause_is_tried_with_what_was_taken() {
    let retried = |reason: &str| {
        let case = Case { record: Some(refused(refusal(reason, NOW, 1))), ..new_object() };
        let u = key("u");
        let wanted =
            Wanted { key: &u, hash: hash(1), place: place("ours-u.ics"), rejected: None, record: case.record.as_ref() };
        let facts = Facts {
            wanted: &[wanted],
            orphans: &[],
            unrecorded: &[],
            is_claimed: false,
            claimed: &HashSet::new(),
            remote: &case.remote,
            last_objects: None,
            now: NOW,
        };
        let causes = [cause("the limit is 1000", &key("other"), &href("other"))].into();
        refused_for(&facts, &policy(), &causes, &HashSet::new()).0
    };
    let created = Put::Create { key: key("u"), place: place("ours-u.ics"), restores: false };
    assert_eq!((retried("the limit is 2000"), retried("no")), (vec![created], vec![]));
}

#[test]
fn what_a_server_seemed_to_refuse_and_stored_all_the_same_is_mirrored() {
    let refused = Case { record: Some(refused(refusal("no answer", NOW, 1))), ..new_object() };
    check(&refused.found("ours-u.ics", "1", 1, true), &[note("ours-u.ics", "1", None, false)]);
}

#[test]
fn an_event_that_became_a_task_takes_the_record_of_the_event() {
    let [event, other] = ["u", "other"].map(record);
    let task = Key { component: ComponentType::Todo, uid: "u".to_owned() };
    let pairs = renames(9, &[&event, &other], &[&task], |_| hash(1));
    assert_eq!(pairs.into_iter().map(|(key, record)| (key, &record.key)).collect::<Vec<_>>(), [(&task, &event.key)]);
}

#[test]
fn renames_need_half_of_the_records_to_vanish_and_pair_equal_objects_in_order() {
    let records: Vec<Record> = ["a", "b", "c", "d"].map(record).into();
    let (new, newer) = (key("new"), key("newer"));
    let pairs = |vanished: &[usize]| {
        let vanished: Vec<&Record> = vanished.iter().map(|place| &records[*place]).collect();
        let pairs = renames(4, &vanished, &[&new, &newer], |_| hash(1));
        [&new, &newer].map(|key| pairs.get(key).map(|record| record.key.uid.clone()))
    };
    assert_eq!(pairs(&[0]), [None, None]);
    assert_eq!(pairs(&[0, 1]), [Some("a".to_owned()), Some("b".to_owned())]);
    assert_eq!(pairs(&[0, 1, 2]), [Some("a".to_owned()), Some("b".to_owned())]);
}

#[test]
fn of_equal_objects_that_vanished_the_one_that_was_still_in_the_feed_is_renamed() {
    let waiting = Record { key: key("a"), ..record_of("a", Status::Gone(base("a"), held(false))) };
    let (mirrored, new) = (record("b"), key("new"));
    let pairs = renames(2, &[&waiting, &mirrored], &[&new], |_| hash(1));
    assert_eq!(pairs[&new].key, key("b"));
}
