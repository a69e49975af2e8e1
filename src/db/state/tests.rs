//! What is written into the state comes back as it was.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::dav::discover::{Remembered, Server};
use crate::model::memory::{Failing, FeedMemory, Hold, Memory};
use crate::model::{ComponentType, End, Etag, Hash, Href, Key, Mark, Record, Standing, Validators};
use crate::words::time::Timestamp;

fn memory() -> Memory {
    let moment = |seconds| Some(Timestamp(seconds));
    let text = |text: &str| Some(text.to_owned());
    Memory {
        settings: Some(Hash([1; 32])),
        form: Some(3),
        feed: Some(FeedMemory {
            validators: Validators { etag: text("W/\"e\""), last_modified: text("Fri") },
            body: Hash([2; 32]),
            digest: Hash([3; 32]),
            objects: 7,
            read_at: Timestamp(1),
        }),
        mark: Mark { ctag: text("c"), sync_token: text("t") },
        looked_at: moment(2),
        listed_at: moment(3),
        started_at: moment(4),
        settled_at: moment(5),
        asked_at: None,
        refused: 3,
        pending: true,
        next_change_at: moment(6),
        failing: Some(Failing {
            failures: 2,
            since: Timestamp(7),
            retry_at: moment(8),
            until: moment(11),
            end: End::Source,
            inputs: Some(Hash([4; 32])),
            kind: Kind::Refused,
            message: "m".to_owned(),
            said_at: moment(9),
        }),
        held: Some(Hold { deletes: 4, reason: "r".to_owned(), said_at: moment(10) }),
        last_written: Some(Href::new("a%40b.ics")),
        address: text("http://h/c/"),
    }
}

/// Each name has a source of its own.
fn identity(name: &str, target: &str) -> Identity {
    let source = crate::words::digest::sha256(&[name.as_bytes()]);
    Identity { name: name.to_owned(), target: target.to_owned(), source }
}

fn record(uid: &str, standing: Standing) -> Record {
    Record {
        key: Key { component: ComponentType::Todo, uid: uid.to_owned() },
        target_uid: Some("other".to_owned()),
        href: Href::new("a%40b.ics"),
        etag: Etag::parse("\"1\""),
        source_hash: Hash([1; 32]),
        sent_hash: Hash([2; 32]),
        server_hash: Some(Hash([3; 32])),
        content_hash: Hash([4; 32]),
        restored_hash: Some(Hash([5; 32])),
        start: "2026-11-20".to_owned(),
        summary: "Titel ü".to_owned(),
        standing,
    }
}

#[test]
fn a_memory_comes_back_as_it_was() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    for memory in [memory(), Memory::default()] {
        state.remember(id, &memory).unwrap();
        assert_eq!(state.memory(&identity("work", "t")).unwrap(), Some((id, memory)));
    }
    assert_eq!(state.memory(&identity("work", "elsewhere")).unwrap(), None);
}

#[test]
fn a_renamed_subscription_goes_on_and_one_with_another_source_is_another() {
    let state = State::in_memory().unwrap();
    let old = identity("old", "t");
    let id = state.subscription(&old).unwrap();
    state.remember(id, &memory()).unwrap();
    let renamed = Identity { name: "new".to_owned(), ..old.clone() };
    assert_eq!(state.memory(&renamed).unwrap(), Some((id, memory())));
    assert_eq!(state.subscription(&renamed).unwrap(), id);
    assert_eq!(state.subscriptions().unwrap().len(), 1);
    assert_ne!(state.subscription(&identity("other", "t")).unwrap(), id);
}

#[test]
fn a_subscription_whose_target_is_written_in_another_way_goes_on() {
    let state = State::in_memory().unwrap();
    let old = identity("work", "http://h/c/");
    let id = state.subscription(&old).unwrap();
    state.remember(id, &memory()).unwrap();
    let new = Identity { target: "http://h/ c".to_owned(), ..old };
    // A pass under the new spelling that failed before the calendar was found.
    state.subscription(&new).unwrap();
    assert_eq!(state.memory_at(&new, "http://h/d/").unwrap(), None);
    assert_eq!(state.memory_at(&identity("other", "http://h/c/"), "http://h/c/").unwrap(), None);
    assert_eq!(state.memory_at(&new, "http://h/c/").unwrap(), Some((id, memory())));
    state.respell(id, &new).unwrap();
    assert_eq!(state.memory(&new).unwrap(), Some((id, memory())));
    assert_eq!(state.subscriptions().unwrap().len(), 1);
}

#[test]
fn intents_come_back_until_they_are_forgotten() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let intents = [
        (Href::new("a.ics"), None),
        (Href::new("a.ics"), Some(Hash([1; 32]))),
        (Href::new("b.ics"), Some(Hash([2; 32]))),
    ];
    state.add_intents(id, &intents).unwrap();
    state.add_intents(id, &intents[1..]).unwrap();
    assert_eq!(state.intents(id).unwrap(), intents);
    state.forget_intents_at(id, &intents[0].0).unwrap();
    assert_eq!(state.intents(id).unwrap(), intents[2..]);
    state.forget_intents(id).unwrap();
    assert_eq!(state.intents(id).unwrap(), []);
}

#[test]
fn records_come_back_as_they_were_until_they_are_forgotten() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let rejected = Standing::Rejected { reason: "415".to_owned(), at: Timestamp(9), tries: 2 };
    let foreign = Standing::Foreign { reason: "theirs".to_owned() };
    let undeletable = Standing::Undeletable { reason: "403".to_owned(), at: Timestamp(10), tries: 1 };
    let [doomed, approved] = [false, true].map(|approved| Standing::Doomed { approved });
    let standings = [Standing::Mirrored, rejected, foreign, Standing::Kept, doomed, approved, undeletable];
    let records: Vec<Record> = ["a", "b", "c", "d", "e", "f", "g"]
        .into_iter()
        .zip(standings)
        .map(|(uid, standing)| record(uid, standing))
        .collect();
    for record in &records {
        state.put_record(id, record).unwrap();
    }
    assert_eq!(state.records(id).unwrap(), records);
    assert_eq!(state.refusals(id).unwrap(), (Some(Timestamp(10 + 3600)), 0));
    state.forget_record(id, &records[0].key).unwrap();
    assert_eq!(state.records(id).unwrap(), records[1..]);
}

#[test]
fn an_approval_marks_what_is_held_at_that_moment_and_asks_for_a_pass() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let doomed = Standing::Doomed { approved: false };
    for one in [record("a", doomed.clone()), record("b", Standing::Mirrored)] {
        state.put_record(id, &one).unwrap();
    }
    assert_eq!(state.approve(id, Timestamp(5)).unwrap(), 1);
    state.put_record(id, &record("c", doomed)).unwrap();
    let standings: Vec<Standing> = state.records(id).unwrap().into_iter().map(|record| record.standing).collect();
    let [later, approved] = [false, true].map(|approved| Standing::Doomed { approved });
    assert_eq!(standings, [approved, Standing::Mirrored, later]);
    state.remember(id, &Memory::default()).unwrap();
    let memory = state.memory(&identity("work", "t")).unwrap().unwrap().1;
    assert_eq!(memory.asked_at, Some(Timestamp(5)), "what a pass remembers does not take the wish back");
}

#[test]
fn a_retry_lets_every_refusal_of_the_server_be_due() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let rejected = |tries| Standing::Rejected { reason: "415".to_owned(), at: Timestamp(900), tries };
    for one in [record("a", rejected(3)), record("b", rejected(0))] {
        state.put_record(id, &one).unwrap();
    }
    state.retry(id, Timestamp(1000)).unwrap();
    assert_eq!(state.refusals(id).unwrap().0, Some(Timestamp(86_400)));
    let memory = state.memory(&identity("work", "t")).unwrap().unwrap().1;
    assert_eq!((memory.asked_at, memory.next_change_at), (Some(Timestamp(1000)), Some(Timestamp(0))));
}

#[test]
fn what_other_subscriptions_have_in_the_same_target_is_told_with_the_uid_that_stands_there() {
    let state = State::in_memory().unwrap();
    let [mine, same, elsewhere] =
        ["a", "b", "c"].map(|name| state.subscription(&identity(name, &format!("{name}'s spelling"))).unwrap());
    for (id, address) in [(mine, "t"), (same, "t"), (elsewhere, "u")] {
        state.remember(id, &Memory { address: Some(address.to_owned()), ..Memory::default() }).unwrap();
        state.put_record(id, &record("a", Standing::Mirrored)).unwrap();
    }
    let key = Key { component: ComponentType::Todo, uid: "other".to_owned() };
    let etag = record("a", Standing::Mirrored).etag.unwrap();
    assert_eq!(state.objects_of_others(Some(mine), "t").unwrap(), [(Href::new("a%40b.ics"), etag, key)]);
}

#[test]
fn foreign_objects_and_discoveries_come_back() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let etag = Etag::parse("\"1\"").unwrap();
    let objects = [
        (Href::new("x.ics"), etag.clone(), None),
        (Href::new("y.ics"), etag, Some(record("k", Standing::Mirrored).key)),
    ];
    state.set_foreign_objects(id, &objects).unwrap();
    assert_eq!(state.foreign_objects(id).unwrap(), objects);
    state.set_foreign_objects(id, &objects[..1]).unwrap();
    assert_eq!(state.foreign_objects(id).unwrap(), objects[..1]);
    let remembered = Remembered {
        calendar: "http://h/c/".to_owned(),
        server: Server::Sabre,
        can_sync: true,
        auto_schedule: false,
        components: vec![ComponentType::Event, ComponentType::Todo],
        obeys_preconditions: Some(false),
    };
    state.set_remembered("t", Some(&remembered)).unwrap();
    assert_eq!(state.remembered("t").unwrap(), Some(remembered));
    state.set_remembered("t", None).unwrap();
    assert_eq!(state.remembered("t").unwrap(), None);
}

#[test]
fn a_state_file_is_open_to_nobody_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/state.db");
    drop(State::open(&path).unwrap());
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
}

/// The names of the files in a folder, sorted, with digits as `#`.
fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().replace(|letter: char| letter.is_ascii_digit(), "#"))
        .collect();
    names.sort();
    names
}

#[test]
fn a_damaged_state_is_set_aside_and_what_is_not_provably_ours_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    drop(State::open(&path).unwrap());
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, [&whole[..100], "garbage ".repeat(1000).as_bytes()].concat()).unwrap();
    assert_eq!(State::open(&path).unwrap().subscriptions().unwrap(), []);
    assert_eq!(names(folder.path()), ["state.db", "state.db.damaged-##########"]);
    let other = folder.path().join("other");
    std::fs::write(&other, "garbage ".repeat(1000)).unwrap();
    assert!(
        State::open(&other).is_err() && State::open_to_read(&other).is_err() && State::open_to_answer(&other).is_err()
    );
    assert_eq!(std::fs::read(&other).unwrap(), "garbage ".repeat(1000).as_bytes());
}

#[test]
fn a_state_is_read_without_a_change_also_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    assert!(State::open_to_read(&path).unwrap().is_none() && !path.exists());
    let old =
        concat!(include_str!("migrations/001.sql"), "INSERT INTO subscription (name, target) VALUES ('a', 'dir:/d');");
    Connection::open(&path).unwrap().execute_batch(&format!("{old} PRAGMA user_version = 1;")).unwrap();
    let before = (std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap());
    assert_eq!(State::open_to_read(&path).unwrap().unwrap().subscriptions().unwrap().len(), 1);
    assert!(sentence(&State::open_to_answer(&path).err().unwrap()).contains("the next run brings it up to date"));
    assert_eq!((std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap()), before);
    State::open(&path).unwrap();
    assert_eq!(State::open_to_read(&path).unwrap().unwrap().subscriptions().unwrap().len(), 1);
}

#[test]
fn a_state_that_another_process_is_writing_is_read_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let writer = State::open(&path).unwrap();
    writer.begin().unwrap();
    writer.subscription(&identity("work", "t")).unwrap();
    assert_eq!(State::open_to_read(&path).unwrap().unwrap().subscriptions().unwrap(), []);
    writer.commit().unwrap();
    assert_eq!(State::open_to_read(&path).unwrap().unwrap().subscriptions().unwrap().len(), 1);
}

#[test]
fn a_state_that_turns_out_to_be_damaged_is_set_aside_and_a_sound_one_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let state = State::open(&path).unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    (0..500).for_each(|number| state.put_record(id, &record(&format!("u{number}"), Standing::Mirrored)).unwrap());
    drop(state);
    assert!(!State::set_aside_if_damaged(&path).unwrap());
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(20_000).unwrap();
    assert!(State::set_aside_if_damaged(&path).unwrap());
    assert_eq!(State::open(&path).unwrap().subscriptions().unwrap(), []);
}

#[test]
fn a_state_of_a_newer_program_is_refused_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    State::open(&path).unwrap().connection.pragma_update(None, "user_version", 99).unwrap();
    let error = State::open(&path).map(drop).unwrap_err();
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(names(folder.path()), ["state.db"]);
}

#[test]
fn work_of_several_threads_is_done_by_the_owner_and_is_durable_when_the_last_handle_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.db");
    let (owner, handle) = Owner::new(State::open(&path).unwrap());
    let threads: Vec<_> = (0..4)
        .map(|number| {
            let handle = handle.clone();
            std::thread::spawn(move || {
                handle.write(move |state| state.subscription(&identity(&format!("s{number}"), "t")))
            })
        })
        .collect();
    drop(handle);
    owner.serve().unwrap();
    assert!(threads.into_iter().all(|thread| thread.join().unwrap().is_ok()));
    assert_eq!(State::open(&path).unwrap().subscriptions().unwrap().len(), 4);
}
