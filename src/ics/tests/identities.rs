//! Which components form one object, and how duplicates are handled.

use super::*;
use crate::model::ComponentType;

/// Checks the UIDs of the objects, each with a word of its content, and the complaints.
fn check(lines: &[String], expected: &[(&str, &str)], complaint: &str) {
    let feed = feed(&lines.concat());
    let uids: Vec<_> = feed.objects().iter().map(|object| object.key.uid.as_str()).collect();
    assert_eq!(uids, expected.iter().map(|(uid, _)| *uid).collect::<Vec<_>>());
    for (index, (_, content)) in expected.iter().enumerate() {
        assert!(written(&feed, index).contains(content), "{content} in {}", written(&feed, index));
    }
    let said: Vec<_> = feed.complaints().iter().map(|complaint| complaint.message.as_str()).collect();
    assert!(said.join("|").contains(complaint) && said.is_empty() == complaint.is_empty(), "{said:?}");
}

fn at(start: &str, event: &str) -> String {
    event.replace("20261120T091500Z", start)
}

#[test]
fn one_uid_is_one_object_and_each_type_another() {
    let task = event("a", "").replace("VEVENT", "VTODO");
    let feed = feed(&[event("a", "RRULE:x"), task, event("a", "RECURRENCE-ID:1")].concat());
    let keys: Vec<_> = feed.objects().iter().map(|object| (object.key.component, object.key.uid.as_str())).collect();
    assert_eq!(keys, [(ComponentType::Event, "a"), (ComponentType::Todo, "a")]);
}

#[test]
fn equal_components_count_once() {
    check(&[event("a", "X:1"), event("a", "X:1 SEQUENCE:0")], &[("a", "X:1")], "equal content");
}

#[test]
fn the_highest_sequence_wins_wherever_it_stands() {
    let (old, new) = (event("a", "SEQUENCE:2 X:1"), at("20270101T000000Z", &event("a", "SEQUENCE:10 X:2")));
    check(&[old.clone(), new.clone()], &[("a", "X:2")], "highest SEQUENCE");
    check(&[new, old], &[("a", "X:2")], "highest SEQUENCE");
}

#[test]
fn of_equal_sequence_the_last_modified_wins_and_else_the_last() {
    let [old, new] = ["1", "2"].map(|day| event("a", &format!("LAST-MODIFIED:2026010{day}T000000Z X:{day}")));
    check(&[new, old], &[("a", "X:2")], "modified last");
    check(&[event("a", "X:1"), event("a", "X:2")], &[("a", "X:2")], "modified last");
}

#[test]
fn different_events_under_one_uid_each_get_their_own() {
    let (one, other) = (event("a", "X:1"), at("20270101T000000Z", &event("a", "X:2")));
    let uids = |lines: &[&String]| {
        let feed = feed(&lines.iter().map(|line| line.as_str()).collect::<String>());
        let mut uids: Vec<_> = feed.objects().iter().map(|object| object.key.uid.clone()).collect();
        uids.sort();
        uids
    };
    let found = uids(&[&one, &other]);
    assert!(found.len() == 2 && found.iter().all(|uid| uid.starts_with("baikal-sync-")) && found[0] != found[1]);
    assert_eq!(found, uids(&[&other, &one]));
    assert_eq!(uids(&[&one, &other, &event("a", "X:3")]).len(), 3);
}

#[test]
fn an_override_that_stands_twice_counts_once_and_goes_with_the_series() {
    let exception = |start: &str, word: &str| at(start, &event("a", &format!("RECURRENCE-ID:1 X:{word}")));
    check(
        &[event("a", "RRULE:x"), exception("20270101T000000Z", "1"), exception("20280101T000000Z", "2")],
        &[("a", "X:2")],
        "modified last",
    );
    let lines = [at("20250101T000000Z", &event("a", "")), event("a", "RRULE:x"), exception("20270101T000000Z", "1")];
    let feed = feed(&lines.concat());
    assert!(written(&feed, 1).contains("RRULE:x") && written(&feed, 1).contains("RECURRENCE-ID:1"));
}

#[test]
fn a_component_without_uid_gets_one_from_its_content() {
    let nameless = |word: &str| event("", &format!("X:{word}"));
    let lines = [nameless("1"), nameless("2").replace("UID:\n", ""), nameless("1")];
    let uids = |lines: &[String]| feed(&lines.concat()).objects().iter().map(|object| object.key.uid.clone()).collect();
    let found: Vec<String> = uids(&lines);
    let churned: Vec<String> = uids(&lines.clone().map(|line| line.replace("DTSTAMP:2026", "DTSTAMP:2027")));
    assert!(found == churned && found[0] != found[1] && found[0] != found[2]);
    let moved: Vec<String> = uids(&[lines[1].clone(), lines[0].clone()]);
    assert_eq!(moved, [found[1].clone(), found[0].clone()]);
}

#[test]
fn an_override_without_master_is_written_as_it_is() {
    check(&[event("a", "RECURRENCE-ID:1")], &[("a", "RECURRENCE-ID:1")], "");
}

#[test]
fn an_object_with_one_component_that_cannot_be_sent_is_rejected() {
    let bare = event("a", "RECURRENCE-ID:1").replace("DTSTART:20261120T091500Z\n", "");
    let feed = feed(&[event("a", ""), bare, event("b", "")].concat());
    let reasons: Vec<_> = feed.objects().iter().map(|object| object.rejected.as_deref()).collect();
    assert_eq!(reasons, [Some("it has no DTSTART"), None]);
}

#[test]
fn a_derived_uid_never_is_one_that_the_feed_has() {
    let nameless = event("", "X:1").replace("UID:\n", "");
    let derived = feed(&nameless).objects()[0].key.uid.clone();
    let both = feed(&(nameless + &event(&derived, "X:2")));
    let uids: Vec<&str> = both.objects().iter().map(|object| object.key.uid.as_str()).collect();
    assert!(uids.len() == 2 && uids[0] != uids[1] && uids[1] == derived, "{uids:?}");
}
