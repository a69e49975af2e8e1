//! Feeds as files, mirrored into a folder.

use std::path::Path;

use super::OVERHEAD;
use crate::env::{Env, Ran, subscription};
use crate::setting::{calendar, event, feed};

/// A home with this feed in a file and a folder to mirror it into, and the run over it: the address space that it may
/// take grows with the feed.
fn run(feed: impl AsRef<[u8]>, keys: &str, flags: &[&str]) -> (Env, Ran) {
    let env = Env::new();
    let feed = feed.as_ref();
    let path = env.file("feed.ics", feed);
    std::fs::create_dir(env.path("cal")).unwrap();
    env.set_config(&subscription(path.to_str().unwrap(), "dir:../../cal", keys));
    let ran = env.run_within(OVERHEAD + 3 * feed.len() / 1_000_000, &[&["run"], flags].concat());
    (env, ran)
}

fn names(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Runs, and compares the exit code and how many objects are in the folder afterwards. What is said stays short;
/// of a trouble that may pass by itself something is said to those who ask only.
#[track_caller]
fn check(feed: impl AsRef<[u8]>, code: i32, objects: usize) {
    let (env, ran) = run(feed, "", if code == 75 { &["-v"] } else { &[] });
    assert!(ran.stderr.len() < 20_000, "{} octets are said", ran.stderr.len());
    let ran = ran.exits(code);
    assert_eq!(names(&env.path("cal")).len(), objects, "{ran}");
}

/// A feed of a good event and one with these lines.
fn with(lines: &str) -> String {
    calendar(&(event("good", "Good") + &event("odd", "Odd").replace("END:", &format!("{lines}\r\nEND:"))))
}

#[test]
fn a_feed_above_max_size_is_refused_and_one_below_is_not() {
    let feed = with(&format!("DESCRIPTION:{}", "x".repeat(2_000_000)));
    let (env, ran) = run(&feed, "max_size = \"1 MB\"", &["-v"]);
    assert!(ran.exits(75).stderr.contains("larger than `max_size`"));
    assert_eq!(names(&env.path("cal")).len(), 0);
    check(&feed, 0, 2);
}

#[test]
fn fifty_thousand_components_inside_each_other_are_one_event() {
    let nested = |name: &str| format!("BEGIN:{name}\r\n").repeat(50_000) + &format!("END:{name}\r\n").repeat(50_000);
    check(with(nested("X-A").trim_end()), 0, 2);
    check(with(&"BEGIN:X-A\r\n".repeat(50_000)), 75, 0);
}

#[test]
fn endless_lines_are_mirrored_and_endless_names_are_said_shortly() {
    check(with(&format!("DESCRIPTION:{}", "x".repeat(50_000_000))), 0, 2);
    check(with(&format!("ATTENDEE{}:x", ";A=\"1\"".repeat(200_000))), 0, 2);
    let name = "X".repeat(1_000_000);
    check(with(&format!("BEGIN:{name}")), 75, 0);
    check(with(&format!("SUMMARY:{name}\r\nRRULE:FREQ=DAILY;BYHOUR=24")), 3, 1);
}

#[test]
fn nul_octets_are_no_calendar_and_inside_of_one_they_are_dropped() {
    check(vec![0; 20_000_000], 75, 0);
    check(with(&format!("X-NULS:a{}b\r\n{}", "\0".repeat(1_000_000), "\0\r\n".repeat(10))), 0, 2);
}

#[test]
fn a_thousand_events_of_nothing_are_none_and_six_hundred_thousand_are_no_calendar() {
    let nothing = "BEGIN:VEVENT\nEND:VEVENT\n";
    check(calendar(&(nothing.repeat(1_000) + &event("good", "Good"))), 3, 1);
    let (env, ran) = run(calendar(&nothing.repeat(600_000)), "max_size = \"1 GB\"", &["-v"]);
    let ran = ran.exits(75);
    assert!(ran.stderr.contains("more than 500000 events"), "{ran}");
    assert_eq!(names(&env.path("cal")).len(), 0);
}

#[test]
fn one_long_uid_in_many_complaints_is_not_kept_with_each() {
    let lines: String = (0..20_000).map(|number| format!("X_{number}:1\r\n")).collect();
    check(calendar(&event(&"u".repeat(1_000_000), "x").replace("SUMMARY:x\r\n", &lines)), 0, 1);
}

#[test]
fn every_uid_is_one_file_in_the_folder() {
    let long = "k".repeat(1000);
    let uids = [
        "a/b",
        "../../../escaped",
        "/etc/passwd",
        "a\\nb",
        "🎉",
        "Case",
        "case",
        "CASE",
        "..",
        ".",
        "a b",
        "%2e%2e",
        &long,
    ];
    check(feed(&uids), 0, uids.len());
}

#[test]
fn a_uid_of_a_megabyte_is_mirrored_and_stays_the_same() {
    let (env, ran) = run(feed(&[&"u".repeat(1_000_000), "b"]), "", &[]);
    ran.exits(0);
    let before = names(&env.path("cal"));
    env.run_within(OVERHEAD + 20, &["run", "--full"]).exits(0);
    assert_eq!((before.len(), names(&env.path("cal"))), (2, before));
}

#[test]
fn unclosed_quotes_end_with_their_line() {
    check(with(&format!("ATTENDEE;CN=\"{}:mailto:a@b", "x;y:".repeat(100_000))), 0, 2);
    check(with(&"ATTENDEE;CN=\"open:mailto:a@b\r\n".repeat(10_000)), 0, 2);
}
