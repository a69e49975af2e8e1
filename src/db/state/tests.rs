//! What is written to the state is read back unchanged.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::dav::discover::{Remembered, Server};
use crate::model::memory::{EndMemory, Failing, FeedMemory, HeldFor, Hold, Memory};
use crate::model::{
    Base, Before, ComponentType, End, Ends, EndsAt, Etag, Gone, Hash, Href, Key, Mark, Occupant, Place, Record,
    Refusal, Source, Status, TargetForm, Validators,
};
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
            read_at: Timestamp(1),
        }),
        objects: Some(7),
        ends: Ends {
            a: EndMemory {
                address: text("dir:/a"),
                mark: Mark { ctag: text("a"), sync_token: None },
                ..EndMemory::default()
            },
            b: EndMemory {
                address: text("http://h/c/"),
                mark: Mark { ctag: text("c"), sync_token: text("t") },
                last_written: Some(Href::new("a%40b.ics")),
                looked_at: moment(2),
                listed_at: moment(3),
            },
        },
        started_at: moment(4),
        settled_at: moment(5),
        asked_at: None,
        take_over: false,
        refused: 3,
        next_change_at: moment(6),
        failing: Some(Failing {
            failures: 2,
            since: Timestamp(7),
            retry_at: moment(8),
            until: moment(11),
            end: End::A,
            inputs: Some(Hash([4; 32])),
            kind: Kind::Refused,
            message: "m".to_owned(),
            said_at: moment(9),
        }),
        held: Some(Hold { deletes: 4, held_for: HeldFor::Unstored, reason: "r".to_owned(), said_at: moment(10) }),
    }
}

/// Each name has a source of its own.
fn identity(name: &str, target: &str) -> Identity {
    let source = crate::words::digest::sha256(&[name.as_bytes()]);
    Identity { name: name.to_owned(), target: target.to_owned(), source }
}

fn key(uid: &str) -> Key {
    Key { component: ComponentType::Todo, uid: uid.to_owned() }
}

fn record(uid: &str, status: Status) -> Record {
    let (summary, start) = ("Titel ü".to_owned(), "2026-11-20".to_owned());
    let source = Source { hash: Hash([1; 32]), summary, start, ends_at: EndsAt::At(Timestamp(77)) };
    Record { key: key(uid), source, status }
}

fn place() -> Place {
    Place { href: Href::new("a%40b.ics"), uid: Some("other".to_owned()) }
}

fn base() -> Base {
    Base { place: place(), etag: Etag::parse("\"1\""), hash: Hash([2; 32]), form: TargetForm::AsSent }
}

fn mirrored(uid: &str) -> Record {
    record(uid, Status::Mirrored(base()))
}

fn refusal(at: i64, tries: u32) -> Refusal {
    Refusal { reason: "415".to_owned(), at: Timestamp(at), tries }
}

/// Every state that a record can be in.
fn statuses() -> Vec<Status> {
    let forms = [TargetForm::AsSent, TargetForm::Rewritten(Hash([3; 32])), TargetForm::Overwrote(Hash([4; 32]))];
    let told = forms.map(|form| Base { form, ..base() });
    let untold = forms.map(|form| Base { form, etag: None, ..base() });
    let bases: Vec<Base> = told.into_iter().chain(untold).collect();
    let nothing = [Before::Nothing(place()), Before::Removed(place(), Hash([5; 32]))];
    let befores = nothing.into_iter().chain(bases.iter().cloned().map(Before::Standing));
    let held = [(None, false), (Some(Timestamp(8)), false), (Some(Timestamp(8)), true)];
    let held = held.map(|(since, approved)| Gone::Held { since, approved });
    let gone: Vec<Gone> =
        held.into_iter().chain([Gone::Kept, Gone::Pinned, Gone::Undeletable(refusal(10, 1))]).collect();
    let of_bases = bases.iter().flat_map(|base| {
        let gone = gone.iter().map(|gone| Status::Gone(base.clone(), gone.clone()));
        gone.chain([Status::Mirrored(base.clone())])
    });
    let refused = befores.map(|before| Status::Refused { before, refusal: refusal(900, 2) });
    let occupied = [Occupant::Equal, Occupant::Different, Occupant::Subscription].map(Status::Occupied);
    of_bases.chain(refused).chain(occupied).chain([Status::Removed(place(), Hash([6; 32]))]).collect()
}

#[test]
fn a_memory_comes_back_as_it_was() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let words = ["empty", "unstored", "many", "lost", "occupied", "draw"];
    let held = words.map(|word| {
        let held_for = HeldFor::from_word(word).unwrap();
        let held = memory().held.map(|held| Hold { held_for, ..held });
        Memory { held, ..memory() }
    });
    for memory in held.into_iter().chain([memory(), Memory::default()]) {
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
fn the_journal_comes_back_until_its_rows_are_struck() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let intents = [
        (Href::new("a.ics"), None),
        (Href::new("a.ics"), Some(Hash([1; 32]))),
        (Href::new("b.ics"), Some(Hash([2; 32]))),
    ];
    state.add_to_journal(id, &intents).unwrap();
    state.add_to_journal(id, &intents[1..]).unwrap();
    assert_eq!(state.journal(id).unwrap(), intents);
    state.strike_from_journal(id, &intents[0].0).unwrap();
    assert_eq!(state.journal(id).unwrap(), intents[2..]);
    state.clear_journal(id).unwrap();
    assert_eq!(state.journal(id).unwrap(), []);
}

#[test]
fn records_come_back_as_they_were_until_they_are_forgotten() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let records: Vec<Record> =
        statuses().into_iter().enumerate().map(|(number, status)| record(&format!("{number:02}"), status)).collect();
    state.set_records(id, &records).unwrap();
    assert_eq!(state.records(id).unwrap(), records);
    state.forget_record(id, &records[0].key).unwrap();
    assert_eq!(state.records(id).unwrap(), records[1..]);
}

/// We write every combination of columns that the table accepts; others are an error when read.
#[test]
fn no_other_shape_of_a_record_comes_out_of_the_state() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let choices: [&[&str]; 9] = [
        &[
            "'mirrored'",
            "'removed'",
            "'refused'",
            "'occupied'",
            "'kept'",
            "'pinned'",
            "'held'",
            "'undeletable'",
            "'other'",
        ],
        &["NULL", "'a.ics'"],
        &["NULL", "x'22'", "zeroblob(32)"],
        &["NULL", "'1'", "''"],
        &["NULL", "'as sent'", "'rewritten'", "'overwrote'", "'other'"],
        &["NULL", "zeroblob(32)"],
        &["NULL", "'equal'", "'why'"],
        &["NULL", "7"],
        &["NULL", "2"],
    ];
    let mut read = std::collections::BTreeSet::new();
    let all: usize = choices.iter().map(|choice| choice.len()).product();
    for number in 0..all {
        let mut rest = number;
        let columns = choices.map(|choice| {
            let value = choice[rest % choice.len()];
            rest /= choice.len();
            value
        });
        let insert = format!(
            "DELETE FROM record; INSERT INTO record (subscription, component, uid, source_hash, summary, start, status,
                href, sent_hash, etag, form, form_hash, reason, since, tries)
             VALUES ({id}, 'VEVENT', 'u', zeroblob(32), '', '', {})",
            columns.join(", ")
        );
        if state.connection.execute_batch(&insert).is_ok()
            && let Ok(records) = state.records(id)
        {
            state.put_record(id, &records[0]).unwrap();
            assert_eq!(state.records(id).unwrap(), records, "{columns:?}");
            read.insert(format!("{:?}", records[0].status));
        }
    }
    // Six bases: mirrored, kept, pinned, held with and without a time, undeletable for three reasons; refused for three
    // reasons with those six, with nothing, with something removed; one removed; one occupied.
    assert_eq!(read.len(), 6 * (1 + 1 + 1 + 2 + 3) + 3 * (6 + 2) + 1 + 1, "{read:#?}");
}

#[test]
fn an_approval_marks_what_is_held_at_that_moment_and_asks_for_a_pass() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let held = |approved| Status::Gone(base(), Gone::Held { since: Some(Timestamp(1)), approved });
    for one in [record("a", held(false)), mirrored("b")] {
        state.put_record(id, &one).unwrap();
    }
    assert_eq!(state.approve(id, Timestamp(5)).unwrap(), 1);
    state.put_record(id, &record("c", held(false))).unwrap();
    let statuses: Vec<Status> = state.records(id).unwrap().into_iter().map(|record| record.status).collect();
    assert_eq!(statuses, [held(true), Status::Mirrored(base()), held(false)]);
    state.remember(id, &Memory::default()).unwrap();
    let memory = state.memory(&identity("work", "t")).unwrap().unwrap().1;
    assert_eq!(memory.asked_at, Some(Timestamp(5)), "what a pass remembers does not take the wish back");
}

#[test]
fn a_retry_lets_every_refusal_of_the_server_be_due() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let refused = |tries| Status::Refused { before: Before::Nothing(place()), refusal: refusal(900, tries) };
    for one in [record("a", refused(3)), record("b", refused(0))] {
        state.put_record(id, &one).unwrap();
    }
    assert_eq!(state.refusals(id).unwrap(), (Some(Timestamp(900 + 86_400)), 2));
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
    let prefix = Prefix { text: "0000000b-".to_owned(), is_claimed: true };
    state.set_prefixes(same, std::slice::from_ref(&prefix)).unwrap();
    for (id, address) in [(mine, "t"), (same, "t"), (elsewhere, "u")] {
        let b = EndMemory { address: Some(address.to_owned()), ..EndMemory::default() };
        state.remember(id, &Memory { ends: Ends { b, ..Ends::default() }, ..Memory::default() }).unwrap();
        state.put_record(id, &mirrored("a")).unwrap();
    }
    let neighbours: Vec<Id> = state.neighbours("t").unwrap().into_iter().map(|neighbour| neighbour.id).collect();
    assert_eq!((neighbours, state.prefixes(same).unwrap()), (vec![mine, same], vec![prefix]));
    let others = state.objects_of(same).unwrap();
    assert_eq!(others, [(Href::new("a%40b.ics"), base().etag.unwrap(), key("other"))]);
}

#[test]
fn foreign_objects_and_discoveries_come_back() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let etag = Etag::parse("\"1\"").unwrap();
    let objects = [(Href::new("x.ics"), etag.clone(), None), (Href::new("y.ics"), etag, Some(key("k")))];
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
    (0..500).for_each(|number| state.put_record(id, &mirrored(&format!("u{number}"))).unwrap());
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

#[test]
fn of_too_many_bodies_the_oldest_go() {
    let state = State::in_memory().unwrap();
    let id = state.subscription(&identity("work", "t")).unwrap();
    let body = |number: u8| {
        let (at, href, text) = (Timestamp(i64::from(number)), Href::new("a.ics"), vec![number; 20 << 20]);
        Aside { at, is_deleted: true, key: Some(key("a")), href, text }
    };
    state.put_aside(id, &[1, 2, 3, 4].map(body)).unwrap();
    state.let_go_of_old(Timestamp(9)).unwrap();
    assert_eq!(state.aside(id).unwrap(), [2, 3, 4].map(body));
}
