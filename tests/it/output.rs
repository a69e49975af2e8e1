//! What is said, where, and to whom: cron, the journal, a person, a program.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use serde_json::{Value, json};

use crate::env::{Env, subscription};
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, event, feed};

/// Runs with the journal on standard error, and gives what it got.
fn journal(setting: &Setting, arguments: &[&str]) -> String {
    let path = setting.env.file("journal", "");
    let file = File::create(&path).unwrap();
    let metadata = file.metadata().unwrap();
    let mut command = setting.env.command(&[&["run"], arguments].concat());
    command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino())).stderr(file);
    let output = command.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    std::fs::read_to_string(path).unwrap()
}

/// The last word on time that differs from run to run, cut off.
fn without_time(text: &str) -> String {
    text.rsplit_once(" (").map_or(text, |(text, _)| text).to_owned()
}

#[test]
fn cron_hears_nothing_of_what_went_well() {
    let setting = Setting::new(&feed(&["a"]), "");
    for _ in 0..2 {
        let ran = setting.run(&[]).exits(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
    }
}

#[test]
fn the_journal_gets_one_line_for_each_pass_that_changed_something() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    assert_eq!(without_time(&journal(&setting, &[])), "<6>work: 2 created; 0 unchanged");
    assert_eq!(journal(&setting, &[]), "");
    setting.feed.set(feed(&["b"]));
    assert_eq!(without_time(&journal(&setting, &[])), "<6>work: 1 deleted; 1 unchanged");
}

#[test]
fn the_journal_gets_a_trouble_with_its_priority_when_it_begins_and_when_it_ends() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.feed.answer_always(Some(Answer::new(404)));
    assert!(journal(&setting, &[]).starts_with("<3>work: status 404 from http://127.0.0.1"));
    assert_eq!(journal(&setting, &["--force"]), "");
    setting.feed.answer_always(None);
    assert_eq!(journal(&setting, &["--force"]), "<6>work: in order again\n");
}

#[test]
fn another_stream_of_the_journal_is_not_ours() {
    let setting = Setting::new(&feed(&["a"]), "").var("JOURNAL_STREAM", "8:12345");
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
}

#[test]
fn a_person_hears_the_result_on_standard_output() {
    let setting = Setting::new(&feed(&["a"]), "");
    assert_eq!(without_time(&setting.run(&["-v"]).exits(0).stdout), "work: 1 created; 0 unchanged");
    assert_eq!(setting.run(&["-v"]).exits(0).stdout, "work: unchanged, 1 objects\n");
    assert_eq!(setting.run(&["-v", "-q"]).exits(0).stdout, "");
}

#[test]
fn the_document_of_a_success_has_the_promised_shape() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let mut told = setting.run(&["--json"]).exits(0).json();
    let work = told["subscriptions"][0].as_object_mut().unwrap();
    for varying in ["bytes_sent", "bytes_received", "duration_ms", "requests"] {
        assert!(work.insert(varying.to_owned(), Value::Null).is_some_and(|number| number.is_u64()), "{varying}");
    }
    let expected = json!({
        "version": 1, "exit_code": 0, "dry_run": false,
        "subscriptions": [{
            "name": "work", "outcome": "changed",
            "created": 2, "updated": 0, "deleted": 0, "unchanged": 0, "adopted": 0, "renamed": 0, "restored": 0,
            "rejected": [], "conflicts": [], "held": null, "repairs": 0,
            "feed": { "status": 200, "bytes": feed(&["a", "b"]).len(), "gate": "none" },
            "requests": null, "bytes_sent": null, "bytes_received": null, "duration_ms": null,
            "retry_at": null, "error": null,
        }],
    });
    assert_eq!(told, expected, "{told:#}");
}

#[test]
fn the_document_counts_what_went_over_the_wire() {
    let setting = Setting::new(&feed(&["a"]), "");
    let told = setting.run(&["--json"]).exits(0).json();
    let feeds = setting.feed.take();
    let asked = setting.asked();
    let sent: usize = asked.iter().map(|asked| asked.body.len()).sum();
    let work = &told["subscriptions"][0];
    assert_eq!((&work["requests"], &work["bytes_sent"]), (&json!(feeds.len() + asked.len()), &json!(sent)));
}

#[test]
fn the_document_of_a_failure_is_complete_and_the_only_thing_on_standard_output() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(Answer::new(404)));
    let ran = setting.run(&["--json"]).exits(76);
    let told = ran.json();
    let work = &told["subscriptions"][0];
    assert_eq!(
        (&told["exit_code"], &work["outcome"], &work["error"]["kind"]),
        (&json!(76), &json!("failed"), &json!("missing"))
    );
    assert!(work["retry_at"].is_string() && work["error"]["message"].is_string(), "{told:#}");
}

#[test]
fn the_document_of_a_wrong_configuration_names_every_mistake() {
    let env = Env::with_config("subscriptions = 1\n[server]\nurl = \"gopher://h\"\n");
    let ran = env.run(&["run", "--json"]).exits(78);
    let told = ran.json();
    assert_eq!(
        (&told["version"], &told["exit_code"], &told["error"]["kind"], &told["subscriptions"]),
        (&json!(1), &json!(78), &json!("configuration"), &json!([]))
    );
    assert_eq!(told["error"]["message"].as_str().map(|text| text.lines().count()), Some(ran.stderr.lines().count()));
}

#[test]
fn a_command_that_fails_as_a_whole_still_leaves_a_document() {
    let setting = Setting::new(&feed(&["a"]), "");
    let told = setting.run(&["wrok", "--json"]).exits(64).json();
    assert_eq!((&told["exit_code"], &told["error"]["kind"]), (&json!(64), &json!("usage")));
    std::fs::create_dir_all(setting.env.state()).unwrap();
    let told = setting.run(&["--json"]).exits(74).json();
    assert_eq!((&told["exit_code"], &told["error"]["kind"]), (&json!(74), &json!("state")));
    setting.dav.stop();
    let told = setting.env.run(&["calendars", "--json"]).exits(75).json();
    assert_eq!((&told["exit_code"], &told["error"]["kind"]), (&json!(75), &json!("unavailable")));
}

#[test]
fn a_title_moves_no_cursor_and_begins_no_line() {
    let hostile = "One\\nTwo\u{1b}]0;pwned\u{7}\\n<3>work: Three";
    let setting = Setting::new(&calendar(&(event("bad", hostile) + &event("good", "Good"))), "");
    let answer = crate::fake::dav_answer::unsupported("no\u{1b}[31m\nno");
    setting.dav.switch(|switches| switches.refusals = vec![crate::fake::dav::Refusal { text: "UID:bad", answer }]);
    let planned = setting.run(&["--dry-run"]).exits(0).stdout;
    let refused = setting.run(&[]).exits(3).stderr;
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert_eq!((planned.lines().count(), refused.lines().count()), (3, 1), "{planned}{refused}");
    assert!(![planned, refused, status].concat().contains(['\u{1b}', '\u{7}']));
}

#[test]
fn a_dry_run_shows_the_plan_event_by_event_and_writes_nothing_anywhere() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let ran = setting.run(&["--dry-run"]).exits(0);
    assert_eq!(ran.stdout.lines().filter(|line| line.starts_with("  + ")).count(), 2, "{ran}");
    assert!(setting.uids().is_empty() && setting.writes().is_empty() && !setting.env.path("state").exists());
}

#[test]
fn a_dry_run_says_what_changes_in_an_event() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    let state = std::fs::read(setting.env.state()).unwrap();
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event b") + &event("d", "Event d"))));
    let ran = setting.run(&["--dry-run"]).exits(0);
    let expected = "\
work: would be: 1 created, 1 updated, 1 deleted; 1 unchanged
  ~ 2026-12-01 09:00  New  [SUMMARY]
  + 2026-12-01 09:00  Event d
  - 2026-12-01 09:00  Event c
";
    assert_eq!(ran.stdout, expected);
    assert_eq!((setting.uids().as_str(), std::fs::read(setting.env.state()).unwrap() == state), ("a b c", true));
}

#[test]
fn a_dry_run_in_json_holds_the_plan() {
    let setting = Setting::new(&feed(&["a"]), "");
    let told = setting.run(&["--dry-run", "--json"]).exits(0).json();
    let step = &told["subscriptions"][0]["plan"][0];
    assert_eq!(
        (&told["dry_run"], &step["action"], &step["uid"], &step["summary"]),
        (&json!(true), &json!("create"), &json!("a"), &json!("Event a"))
    );
}

#[test]
fn a_dry_run_makes_no_folder() {
    let env = Env::with_config(&subscription("feed.ics", "dir:events", ""));
    env.file("config/baikal-sync/feed.ics", feed(&["a"]));
    let ran = env.run(&["run", "--dry-run"]).exits(0);
    assert!(ran.stdout.contains("Event a") && !env.path("config/baikal-sync/events").exists(), "{ran}");
}

#[test]
fn a_dry_run_shows_a_hold_without_announcing_it_to_anyone() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.feed.set(feed(&[]));
    setting.run(&["--dry-run"]).exits(4);
    assert!(setting.run(&[]).exits(4).stderr.contains("held back"), "the real run still tells it");
}

#[test]
fn status_tells_what_stands_and_what_is_wrong() {
    let setting = Setting::new(&feed(&["a"]), "");
    assert!(setting.env.run(&["status"]).exits(0).stdout.starts_with("work: has not run yet\n"));
    setting.run(&[]).exits(0);
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.starts_with("work: in order\n  from ") && status.contains("  holds     1 object\n"), "{status}");
    setting.feed.answer_always(Some(Answer::new(404)));
    setting.run(&[]).exits(76);
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(
        status.starts_with("work: failed ") && status.contains("or at the next run after: baikal-sync retry work"),
        "{status}"
    );
}

#[test]
fn status_shows_a_target_that_is_not_configured_any_more() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.configure(&subscription(&setting.feed.url(), "another", ""));
    let status = setting.env.run(&["status", "--json"]).exits(0).json();
    let found: Vec<&Value> = status["subscriptions"].as_array().unwrap().iter().map(|each| &each["state"]).collect();
    assert_eq!(found, ["never_ran", "not_configured"]);
}

#[test]
fn check_asks_no_server_and_names_what_it_found() {
    let setting = Setting::new(&feed(&["a"]), "");
    let ran = setting.env.run(&["check"]).exits(0);
    assert!(
        ran.stdout.ends_with("no problem found\n") && ran.stdout.contains("subscription work: from http://127.0.0.1"),
        "{ran}"
    );
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
    assert!(!setting.env.path("state").exists());
}

#[test]
fn calendars_lists_what_a_target_can_name() {
    let setting = Setting::new("", "");
    let text = setting.env.run(&["calendars"]).exits(0).stdout;
    assert!(text.contains(&setting.dav.calendar_url("work")) && text.contains("writable, sync-collection"), "{text}");
    let told = setting.env.run(&["calendars", "--json"]).exits(0).json();
    assert_eq!(told["calendars"][0]["url"], setting.dav.calendar_url("work"));
}

#[test]
fn an_unknown_subscription_is_a_mistake_of_the_command_line() {
    let setting = Setting::new(&feed(&["a"]), "");
    let ran = setting.run(&["wrok"]).exits(64);
    assert!(ran.stderr.contains("wrok") && ran.stderr.contains("work"), "{ran}");
}

#[test]
fn completions_go_to_standard_output() {
    let ran = Env::new().run(&["completions", "bash"]).exits(0);
    assert!(ran.stdout.contains("complete -F") && ran.stderr.is_empty(), "{ran}");
}

#[test]
fn nothing_to_do_without_a_configuration_is_said() {
    let ran = Env::new().run(&["run"]).exits(78);
    assert_eq!((ran.stdout.as_str(), ran.stderr.lines().count()), ("", 1), "{ran}");
}
