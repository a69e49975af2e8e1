//! The table of decisions, row by row: what the feed has, what the record says, what stands there -> the step.

mod guards;

use super::*;
use crate::model::ComponentType;
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

/// A record of an object that was sent with content 1 and stands there in version "1".
fn record(uid: &str) -> Record {
    Record {
        key: key(uid),
        target_uid: None,
        href: href(uid),
        etag: Some(etag("1")),
        source_hash: hash(1),
        sent_hash: hash(1),
        server_hash: None,
        content_hash: hash(1),
        restored_hash: None,
        start: String::new(),
        summary: String::new(),
        standing: Standing::Mirrored,
    }
}

fn policy() -> Policy {
    Policy {
        on_conflict: OnConflict::Equal,
        on_drift: OnDrift::Restore,
        deletes: Deletes::All,
        on_empty: OnEmpty::Hold,
        max_delete: MaxDelete::default(),
        allow_deletes: false,
        was_held: HeldFor::Nothing,
        retry_rejected: false,
    }
}

/// One object in the feed, or none, one record, or none, and a target.
struct Case {
    feed: Option<u8>,
    rejected: Option<&'static str>,
    record: Option<Record>,
    unrecorded: Vec<Href>,
    remote: Remote,
    policy: Policy,
}

/// The feed holds object `u` with content 1; nothing is recorded, the target is empty.
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

    fn recorded(mut self, change: impl FnOnce(&mut Record)) -> Case {
        self.record.as_mut().map(change);
        self
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
            ended: false,
            intended: false,
        };
        self.remote.found.insert(Href::new(name), found);
        self.standing(name, version)
    }

    /// Only what had ended stays; the object of ours was read, and had or had not.
    fn judged(self, version: &str, ended: bool) -> Case {
        let mut case = self.found("ours-u.ics", version, 1, false).policy(|policy| policy.deletes = Deletes::Future);
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
            source_hash: hash(content),
            sent_hash: hash(content),
            href: self.record.as_ref().map_or_else(|| href("u"), |record| record.href.clone()),
            rejected: self.rejected,
            record,
        };
        let known = [record("other")];
        let mut remote = self.remote.clone();
        remote.present.insert(href("other"), etag("1"));
        let mut feed = vec![Wanted { href: href("other"), rejected: None, ..wanted(&other, 1, known.first()) }];
        feed.extend(self.feed.map(|content| wanted(&uid, content, self.record.as_ref())));
        let orphans: Vec<&Record> = self.record.iter().filter(|_| self.feed.is_none()).collect();
        let facts = Facts {
            wanted: &feed,
            orphans: &orphans,
            unrecorded: &self.unrecorded,
            remote: &remote,
            last_objects: Some(2),
            now: NOW,
        };
        plan(&facts, &self.policy).ops
    }
}

#[track_caller]
fn check(case: &Case, expected: &[Op]) {
    assert_eq!(case.ops(), expected);
}

fn create(restores: bool) -> Op {
    Op::Create { key: key("u"), href: href("u"), restores }
}

fn update(name: &str, version: &str, restores: Option<u8>) -> Op {
    Op::Update { key: key("u"), href: Href::new(name), etag: etag(version), restores: restores.map(hash) }
}

fn note(name: &str, version: &str, server: Option<u8>, adopted: bool) -> Op {
    let server_hash = server.map(hash);
    Op::Note { key: key("u"), href: Href::new(name), etag: etag(version), server_hash, adopted }
}

fn delete(version: &str) -> Op {
    Op::Delete { key: Some(key("u")), href: href("u"), etag: etag(version) }
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
fn a_source_that_changed_without_changing_what_is_sent_is_noted_only() {
    check(&mirrored().recorded(|record| record.source_hash = hash(7)), &[note("ours-u.ics", "1", None, false)]);
}

#[test]
fn an_object_that_someone_deleted_is_restored_or_kept_away() {
    check(&mirrored().gone(), &[create(true)]);
    check(&mirrored().gone().policy(|policy| policy.on_drift = OnDrift::Keep), &[]);
    check(&mirrored().gone().feed(2).policy(|policy| policy.on_drift = OnDrift::Keep), &[create(true)]);
}

#[test]
fn an_object_that_someone_edited_is_restored_or_kept() {
    let edited = || mirrored().found("ours-u.ics", "2", 5, false);
    check(&edited(), &[update("ours-u.ics", "2", Some(5))]);
    check(&edited().policy(|policy| policy.on_drift = OnDrift::Keep), &[note("ours-u.ics", "2", Some(5), false)]);
    check(&edited().feed(3).policy(|policy| policy.on_drift = OnDrift::Keep), &[update("ours-u.ics", "2", Some(5))]);
}

#[test]
fn a_new_version_that_says_the_same_is_noted_only() {
    check(&mirrored().found("ours-u.ics", "2", 1, false), &[note("ours-u.ics", "2", None, false)]);
    check(&mirrored().found("ours-u.ics", "2", 5, true), &[note("ours-u.ics", "2", Some(5), false)]);
}

#[test]
fn a_form_that_comes_back_after_one_restore_is_the_servers_own() {
    let again = mirrored().recorded(|record| record.restored_hash = Some(hash(5))).found("ours-u.ics", "2", 5, false);
    check(&again, &[note("ours-u.ics", "2", Some(5), false)]);
}

#[test]
fn what_the_server_made_of_our_object_is_no_drift() {
    let rewritten = || mirrored().recorded(|record| record.server_hash = Some(hash(5)));
    check(&rewritten().found("ours-u.ics", "2", 5, false), &[note("ours-u.ics", "2", Some(5), false)]);
    check(&rewritten().found("ours-u.ics", "2", 5, false).feed(2), &[update("ours-u.ics", "2", None)]);
}

#[test]
fn an_object_at_our_href_that_nothing_recorded_is_adopted_or_brought_up_to_date() {
    check(&new_object().found("ours-u.ics", "3", 1, false), &[note("ours-u.ics", "3", None, true)]);
    check(&new_object().found("ours-u.ics", "3", 4, false), &[update("ours-u.ics", "3", None)]);
}

#[test]
fn a_uid_under_a_foreign_href_is_adopted_only_as_on_conflict_says() {
    let under = |content, same, on_conflict| {
        new_object().foreign(content, same).policy(|policy| policy.on_conflict = on_conflict).ops()
    };
    let left = |ops: Vec<Op>| matches!(ops.as_slice(), [Op::Leave { .. }]);
    assert_eq!(under(1, true, OnConflict::Equal), [note("theirs.ics", "9", None, true)]);
    assert_eq!(under(4, false, OnConflict::Adopt), [update("theirs.ics", "9", None)]);
    assert!(left(under(4, false, OnConflict::Equal)) && left(under(1, true, OnConflict::Skip)));
}

#[test]
fn an_object_of_another_subscription_is_never_adopted() {
    let mut case = new_object().foreign(1, true).policy(|policy| policy.on_conflict = OnConflict::Adopt);
    case.remote.others.insert(Href::new("theirs.ics"));
    assert!(matches!(case.ops().as_slice(), [Op::Leave { reason, .. }] if reason.contains("another subscription")));
}

#[test]
fn a_conflict_is_told_once_and_ends_when_the_foreign_object_is_gone() {
    let Some(Op::Leave { reason, .. }) = new_object().foreign(4, false).ops().pop() else { panic!("not left alone") };
    let known = || {
        let left = Record { etag: None, standing: Standing::Foreign { reason: reason.clone() }, ..record("u") };
        Case { record: Some(left), ..new_object() }
    };
    check(&known().foreign(4, false), &[]);
    check(&known(), &[create(false)]);
}

#[test]
fn what_left_the_feed_is_deleted_in_the_version_that_stands_there() {
    check(&mirrored().without_feed(), &[delete("1")]);
    check(&mirrored().without_feed().policy(|policy| policy.deletes = Deletes::None), &[]);
    check(&mirrored().without_feed().gone(), &[Op::Forget { key: key("u") }]);
}

#[test]
fn what_left_the_feed_before_its_version_was_told_is_deleted_too() {
    let untold = mirrored().without_feed().recorded(|record| record.etag = None);
    check(&untold, &[delete("1")]);
}

#[test]
fn what_a_server_refused_and_stored_all_the_same_goes_with_its_event() {
    let standing = Standing::Rejected { reason: "500".to_owned(), at: NOW, tries: 1 };
    let stored = mirrored().without_feed().recorded(|record| (record.etag, record.standing) = (None, standing));
    check(&stored, &[delete("1")]);
}

#[test]
fn what_a_pass_that_was_cut_off_was_about_to_write_is_no_edit() {
    let intended = |case: Case, intended| {
        let mut case = case.found("ours-u.ics", "2", 5, false).policy(|policy| policy.on_drift = OnDrift::Keep);
        case.remote.found.get_mut(&href("u")).unwrap().intended = intended;
        case
    };
    check(&intended(mirrored(), true), &[update("ours-u.ics", "2", None)]);
    check(&intended(mirrored().feed(2), true), &[update("ours-u.ics", "2", None)]);
    check(&intended(mirrored().feed(5), true), &[note("ours-u.ics", "2", None, false)]);
    check(&intended(mirrored().without_feed(), true), &[delete("2")]);
    check(&intended(new_object().unrecorded(), true), &[delete("2")]);
    check(&intended(new_object().unrecorded(), false), &[]);
}

#[test]
fn what_a_pass_that_was_cut_off_was_about_to_delete_was_deleted_by_us() {
    let mut gone = mirrored().gone().policy(|policy| policy.on_drift = OnDrift::Keep);
    gone.remote.taken_away.insert(href("u"));
    check(&gone, &[create(true)]);
}

#[test]
fn what_the_server_does_not_delete_rests_until_its_time() {
    let refused = |seconds_ago: u64| {
        let at = Timestamp(NOW.0 - i64::try_from(seconds_ago).unwrap());
        let standing = Standing::Undeletable { reason: "403".to_owned(), at, tries: 3 };
        mirrored().recorded(|record| record.standing = standing)
    };
    let orphan = |seconds_ago| refused(seconds_ago).without_feed();
    check(&orphan(60), &[]);
    check(&orphan(60).policy(|policy| policy.deletes = Deletes::Future), &[]);
    check(&orphan(DAY), &[delete("1")]);
    check(&orphan(60).policy(|policy| policy.retry_rejected = true), &[delete("1")]);
    check(&orphan(60).found("ours-u.ics", "2", 5, false), &[]);
    check(&orphan(60).gone(), &[Op::Forget { key: key("u") }]);
    check(&refused(60), &[note("ours-u.ics", "1", None, false)]);
}

#[test]
fn what_left_the_feed_after_someone_edited_it_is_deleted_or_released() {
    let edited = || mirrored().without_feed().found("ours-u.ics", "2", 5, false);
    check(&edited(), &[delete("2")]);
    check(&edited().policy(|policy| policy.on_drift = OnDrift::Keep), &[Op::Forget { key: key("u") }]);
}

#[test]
fn what_had_ended_before_it_left_the_feed_stays() {
    let keep = || Op::Keep { key: key("u"), href: href("u") };
    check(&mirrored().without_feed().judged("1", true), &[keep()]);
    check(&mirrored().without_feed().judged("1", false), &[delete("1")]);
    check(&mirrored().without_feed().judged("2", false), &[delete("2")]);
    check(&mirrored().without_feed().judged("1", true).gone(), &[Op::Forget { key: key("u") }]);
    check(&new_object().judged("1", true).unrecorded(), &[keep()]);
    check(&new_object().judged("1", false).unrecorded(), &[delete("1")]);
}

#[test]
fn what_stays_though_it_left_the_feed_is_released_to_whoever_edits_it() {
    let forget = [Op::Forget { key: key("u") }];
    let edited = || mirrored().without_feed().standing("ours-u.ics", "2");
    check(&edited().policy(|policy| policy.deletes = Deletes::None), &forget);
    check(&mirrored().without_feed().judged("2", true), &forget);
    let kept = edited().recorded(|record| record.standing = Standing::Kept);
    check(&kept.policy(|policy| policy.deletes = Deletes::Future), &forget);
}

#[test]
fn what_left_the_feed_and_was_not_read_is_not_deleted() {
    let unread = mirrored().without_feed().policy(|policy| policy.deletes = Deletes::Future);
    check(&unread, &[Op::Keep { key: key("u"), href: href("u") }]);
}

#[test]
fn what_no_record_names_is_deleted_unless_edits_are_kept_or_nothing_is_deleted() {
    let left = || new_object().standing("ours-u.ics", "1").unrecorded();
    check(&left(), &[Op::Delete { key: None, href: href("u"), etag: etag("1") }]);
    check(&left().policy(|policy| policy.on_drift = OnDrift::Keep), &[]);
    check(&left().policy(|policy| policy.deletes = Deletes::None), &[]);
}

#[test]
fn a_second_object_of_a_uid_of_the_feed_did_not_leave_it() {
    let mut case = new_object().judged("1", true).unrecorded();
    case.remote.found.get_mut(&href("u")).unwrap().key = Some(key("other"));
    check(&case, &[Op::Delete { key: Some(key("other")), href: href("u"), etag: etag("1") }]);
}

#[test]
fn what_was_kept_stays_until_it_is_back_or_everything_is_deleted() {
    let kept = || mirrored().recorded(|record| record.standing = Standing::Kept);
    let orphan = |deletes| kept().without_feed().policy(|policy| policy.deletes = deletes);
    check(&orphan(Deletes::Future), &[]);
    check(&orphan(Deletes::Future).gone(), &[Op::Forget { key: key("u") }]);
    check(&orphan(Deletes::None), &[]);
    check(&orphan(Deletes::All), &[delete("1")]);
    check(&kept(), &[note("ours-u.ics", "1", None, false)]);
    check(&kept().feed(2), &[update("ours-u.ics", "1", None)]);
}

#[test]
fn a_rejected_object_rests_until_it_changes_or_its_time_has_come() {
    let rejected = |seconds_ago: u64| {
        let at = Timestamp(NOW.0 - i64::try_from(seconds_ago).unwrap());
        let standing = Standing::Rejected { reason: "415".to_owned(), at, tries: 3 };
        Case { record: Some(Record { etag: None, standing, ..record("u") }), ..new_object() }
    };
    check(&rejected(60), &[]);
    check(&rejected(60).feed(2), &[create(false)]);
    check(&rejected(DAY), &[create(false)]);
    check(&rejected(60).policy(|policy| policy.retry_rejected = true), &[create(false)]);
}

#[test]
fn an_object_that_must_not_be_sent_is_rejected_once() {
    let hanging = Case { rejected: Some("BYHOUR=24"), ..new_object() };
    check(&hanging, &[Op::Reject { key: key("u"), reason: "BYHOUR=24".to_owned() }]);
    let standing = Standing::Rejected { reason: "BYHOUR=24".to_owned(), at: NOW, tries: 0 };
    let known = Case { record: Some(Record { etag: None, standing, ..record("u") }), ..hanging };
    check(&known, &[]);
}

#[test]
fn a_renamed_object_moves_its_record_and_is_not_written() {
    let renamed = Record { key: key("old"), source_hash: hash(8), ..record("u") };
    let case = Case { record: Some(renamed), ..new_object() }.standing("ours-u.ics", "1");
    check(&case, &[Op::Rename { from: key("old"), to: key("u") }, note("ours-u.ics", "1", None, false)]);
}

#[test]
fn what_waits_for_one_cause_is_tried_with_what_was_taken() {
    let waiting = |reason: &str| {
        let standing = Standing::Rejected { reason: reason.to_owned(), at: NOW, tries: 1 };
        Record { etag: None, standing, ..record("u") }
    };
    let retried = |reason: &str| {
        let case = Case { record: Some(waiting(reason)), ..new_object() };
        let u = key("u");
        let wanted = Wanted {
            key: &u,
            source_hash: hash(1),
            sent_hash: hash(1),
            href: href("u"),
            rejected: None,
            record: case.record.as_ref(),
        };
        let facts = Facts {
            wanted: &[wanted],
            orphans: &[],
            unrecorded: &[],
            remote: &case.remote,
            last_objects: None,
            now: NOW,
        };
        let causes = [cause("the limit is 1000", &key("other"), &href("other"))].into();
        refused_for(&facts, &policy(), &causes, &HashSet::new())
    };
    assert_eq!((retried("the limit is 2000"), retried("no")), (vec![create(false)], vec![]));
}

#[test]
fn what_a_server_seemed_to_refuse_and_stored_all_the_same_is_mirrored() {
    let standing = Standing::Rejected { reason: "no answer".to_owned(), at: NOW, tries: 1 };
    let refused = Case { record: Some(Record { etag: None, standing, ..record("u") }), ..new_object() };
    check(&refused.found("ours-u.ics", "1", 1, true), &[note("ours-u.ics", "1", None, false)]);
}

#[test]
fn deletes_come_last_and_bookkeeping_first() {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let (mirrored, left, noted) = (record("a"), record("b"), Record { source_hash: hash(9), ..record("c") });
    let wanted = |key, content, record| Wanted {
        key,
        source_hash: hash(content),
        sent_hash: hash(content),
        href: href(&Key::clone(key).uid),
        rejected: None,
        record,
    };
    let feed = [wanted(&a, 2, Some(&mirrored)), wanted(&c, 1, Some(&noted))];
    let present = [&a, &b, &c].map(|key| (href(&key.uid), etag("1"))).into();
    let remote = Remote { present, ..Remote::default() };
    let orphans = [&left];
    let facts =
        Facts { wanted: &feed, orphans: &orphans, unrecorded: &[], remote: &remote, last_objects: None, now: NOW };
    let keys: Vec<Option<Key>> = plan(&facts, &policy()).ops.iter().map(|op| op.key().cloned()).collect();
    assert_eq!(keys, [Some(c.clone()), Some(a.clone()), Some(b.clone())]);
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
