//! What a person answers between two runs: `approve` and `retry`, and that every command that is printed works as it is.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::env::{Env, subscription};
use crate::fake::dav::Refusal;
use crate::fake::http::Answer;
use crate::setting::{Setting, feed, feed_of};

const HOUR: i64 = 3600;

/// A calendar of thirty events whose feed is suddenly empty, after the run that held the deletions.
fn held() -> Setting {
    let setting = Setting::new(&feed_of(30), "every = \"1h\"").mirrored();
    setting.feed.set(feed(&[]));
    setting.run(&["--force"]).exits(4);
    setting
}

fn count(setting: &Setting) -> usize {
    setting.dav.work(|work| work.objects.len())
}

/// Types the command that is printed after these words, as a shell reads it.
#[track_caller]
fn type_what_follows(env: &Env, said: &str, words: &str) -> String {
    let command = said.split_once(words).unwrap_or_else(|| panic!("{words:?} is not in {said}")).1;
    let command = command.lines().next().unwrap().trim().trim_end_matches([')', '.']);
    let arguments = Command::new("sh").args(["-c", &format!("printf '%s\\n' {command}")]).output().unwrap().stdout;
    let arguments = String::from_utf8(arguments).unwrap();
    let words: Vec<&str> = arguments.lines().collect();
    assert_eq!(words[0], "baikal-sync", "{said}");
    env.run(&words[1..]).exits(0).stdout
}

#[test]
fn what_was_approved_is_deleted_by_the_next_run_whoever_starts_it() {
    let setting = held();
    let said = setting.env.run(&["approve", "work"]).exits(0).stdout;
    assert_eq!(said, "work: 30 deletions approved; the next run carries them out. Now: baikal-sync run work\n");
    assert_eq!(count(&setting), 30);
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.contains("deletions were approved") && status.contains("30; the next run"), "{status}");
    setting.run(&[]).exits(0);
    assert_eq!(count(&setting), 0);
    let said = setting.env.run(&["approve", "work"]).exits(0).stdout;
    assert_eq!(said, "work: no deletion waits for your approval\n");
}

#[test]
fn an_approval_covers_what_was_held_and_what_leaves_later_is_judged_anew() {
    let setting = Setting::new(&feed_of(60), "max_delete = 11").mirrored();
    setting.feed.set(feed_of(28));
    setting.run(&[]).exits(4);
    setting.env.run(&["approve", "work"]).exits(0);
    // Fifteen more leave, and five of those that were approved are back.
    setting.feed.set(feed(
        &(0..13)
            .chain(55..60)
            .map(|n| format!("e{n}"))
            .collect::<Vec<_>>()
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>(),
    ));
    let ran = setting.run(&[]).exits(4);
    assert!(ran.stderr.contains("15 deletions held back"), "{ran}");
    assert_eq!(count(&setting), 33);
}

#[test]
fn an_approval_without_a_hold_approves_nothing() {
    let setting = Setting::new(&feed_of(30), "").mirrored();
    setting.env.run(&["approve", "work"]).exits(0);
    setting.feed.set(feed(&[]));
    setting.run(&["--allow-deletes"]).exits(4);
    assert_eq!(count(&setting), 30, "nobody can have meant what nobody was told");
}

#[test]
fn the_command_that_releases_a_hold_works_as_it_is_printed() {
    let setting = held();
    setting.env.change_state("UPDATE subscription SET held_said_at = NULL");
    let said = setting.run(&["--force"]).exits(4).stderr;
    type_what_follows(&setting.env, &said, "If that is right: ");
    setting.run(&[]).exits(0);
    assert_eq!(count(&setting), 0);
}

#[test]
fn printed_commands_carry_the_files_that_were_named() {
    let setting = Setting::new(&feed_of(30), "");
    let config = setting.env.path("config/baikal-sync/config.toml");
    let moved = setting.env.path("a folder/c.toml");
    std::fs::create_dir_all(moved.parent().unwrap()).unwrap();
    std::fs::rename(config, &moved).unwrap();
    let run =
        |arguments: &[&str]| setting.env.run(&[&["-c", "a folder/c.toml", "--state", "s.db"], arguments].concat());
    run(&["run"]).exits(0);
    setting.feed.set(feed(&[]));
    let said = run(&["run"]).exits(4).stderr;
    let answer = type_what_follows(&setting.env, &said, "If that is right: ");
    assert!(answer.contains("30 deletions approved"), "{answer}");
    assert!(answer.contains(&format!("--config '{}' --state ", moved.display())), "{answer}");
    type_what_follows(&setting.env, &answer, "Now: ");
    assert_eq!(count(&setting), 0);
}

#[test]
fn an_ad_hoc_subscription_without_any_configuration_can_be_answered() {
    let env = Env::new();
    let source = env.file("feed.ics", feed_of(30));
    let run = || env.run(&["--state", "s.db", "run", "--source", source.to_str().unwrap(), "--target", "dir:cal"]);
    assert!(run().exits(0).stdout.contains("30 created"), "an ad hoc run tells what it did");
    env.file("feed.ics", feed(&[]));
    let said = run().exits(4);
    type_what_follows(&env, &(said.stdout + &said.stderr), "If that is right: ");
    run().exits(0);
    assert_eq!(env.path("cal").read_dir().unwrap().count(), 0);
}

#[test]
fn approving_twice_says_that_it_is_done() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.feed.set(feed(&[]));
    setting.run(&[]).exits(4);
    let approve = || setting.env.run(&["approve", "work"]).exits(0).stdout;
    assert_eq!(approve(), "work: 2 deletions approved; the next run carries them out. Now: baikal-sync run work\n");
    assert_eq!(approve(), "work: 2 approved already; the next run deletes what is still gone: baikal-sync run work\n");
}

#[test]
fn a_retry_ends_the_wait_after_a_failure() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(Answer::new(404)));
    setting.run(&[]).exits(76);
    setting.feed.answer_always(None);
    setting.run(&[]).exits(76);
    let status = setting.env.run(&["status"]).exits(0).stdout;
    let said = type_what_follows(&setting.env, &status, "or at the next run after: ");
    assert_eq!(said, "work: the next run tries everything that waits. Now: baikal-sync run work\n");
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn a_retry_tries_what_was_refused() {
    let setting = Setting::new(&feed(&["a", "bad", "c"]), "every = \"1h\"");
    let refusal = Refusal { text: "UID:bad", answer: Answer::new(415) };
    setting.dav.switch(|switches| switches.refusals = vec![refusal]);
    setting.run(&[]).exits(3);
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.env.run(&["retry"]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a bad c");
}

#[test]
fn what_a_server_asked_for_is_waited_out_unless_with_force() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(Answer::new(429).header("Retry-After", "7200")));
    setting.run(&[]).exits(75);
    setting.feed.answer_always(None);
    let said = setting.env.run(&["retry", "work"]).exits(0).stdout;
    assert!(said.starts_with("work: a server asked not to be asked before "), "{said}");
    setting.run(&[]).exits(75);
    let status = setting.env.run(&["status"]).exits(0).stdout;
    type_what_follows(&setting.env, &status, "or now: ");
    assert_eq!(setting.uids(), "a");
}

#[test]
fn whoever_mends_the_password_or_the_configuration_is_not_made_to_wait() {
    let setting = Setting::new(&feed(&["a"]), "");
    let password = std::fs::read(setting.env.path("password")).unwrap();
    setting.env.file("password", "wrong");
    setting.run(&[]).exits(77);
    assert_eq!((setting.run(&[]).exits(77).stderr.as_str(), setting.methods()), ("", vec![]), "it is waited out");
    setting.env.file("password", password);
    setting.run(&[]).exits(0);
    setting.configure(&subscription(&setting.feed.url(), "wrok", ""));
    setting.run(&[]).exits(76);
    setting.configure(&subscription(&setting.feed.url(), "work", ""));
    setting.run(&[]).exits(0);
}

#[test]
fn a_fault_of_this_machine_is_found_before_any_request_and_never_waited_out() {
    let setting = Setting::new(&feed(&["a"]), "");
    let password = setting.env.path("password");
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    for _ in 0..2 {
        setting.run(&["-v"]).exits(77);
        assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
    }
    let told = setting.env.run(&["status", "--json"]).json();
    assert_eq!(told["subscriptions"][0]["error"]["retry_at"], serde_json::Value::Null);
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
    setting.run(&[]).exits(0);
}

#[test]
fn an_answer_needs_a_state_that_is_there_and_ours_and_no_link() {
    let setting = held();
    let (state, link) = (setting.env.state(), setting.env.path("link.db"));
    setting.env.run(&["--state", "nowhere.db", "approve", "work"]).exits(64);
    assert!(!setting.env.path("nowhere.db").exists());
    std::os::unix::fs::symlink(&state, &link).unwrap();
    let ran = setting.env.run(&["--state", "link.db", "approve", "work"]).exits(77);
    assert!(ran.stderr.contains("is a link"), "{ran}");
    setting.env.file("other", "precious");
    setting.env.run(&["--state", "other", "retry"]).exits(74);
    assert_eq!(std::fs::read(setting.env.path("other")).unwrap(), b"precious");
    let ran = setting.env.run(&["approve", "wrok"]).exits(64);
    assert!(ran.stderr.contains("it knows: work"), "{ran}");
}

#[test]
fn an_answer_leaves_nothing_beside_the_state() {
    let setting = held();
    let names = || {
        let folder = setting.env.path("state/baikal-sync").read_dir().unwrap();
        let mut names: Vec<String> = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = names();
    setting.env.run(&["approve", "work"]).exits(0);
    setting.env.run(&["retry"]).exits(0);
    assert_eq!(names(), before);
}

#[test]
fn a_profile_finds_its_files_where_the_units_have_them() {
    let env = Env::new();
    let ran = env.run(&["-p", "nobody-has-this", "status"]).exits(78);
    assert!(ran.stderr.contains("/etc/baikal-sync/nobody-has-this.toml"), "{ran}");
    // Within its unit, file and state come from systemd.
    let source = env.file("feed.ics", feed_of(30));
    let table = subscription(source.to_str().unwrap(), "dir:cal", "");
    env.file("credentials/config.toml", table);
    let unit = |feed: &str| {
        env.file("feed.ics", feed);
        let mut command = env.command(&["--profile", "home", "run"]);
        command.env("CREDENTIALS_DIRECTORY", env.path("credentials")).env("STATE_DIRECTORY", env.path("lib/home"));
        // What a shell sets for other runs is not meant for a profile.
        command.env("BAIKAL_SYNC_STATE", env.path("elsewhere/state.db"));
        command.output().unwrap()
    };
    let first = unit(&feed_of(30));
    assert!(first.status.success() && env.path("lib/home/state.db").exists(), "{first:?}");
    let held = unit(&feed(&[]));
    let said = String::from_utf8(held.stderr).unwrap();
    assert!(said.ends_with("If that is right: baikal-sync -p home approve work\n"), "{said}");
}

#[test]
fn an_event_that_is_held_is_shown_in_the_status() {
    let setting = held();
    let status = setting.env.run(&["status", "work"]).exits(0).stdout;
    assert!(status.contains("waits     2026-12-01 09:00 UTC “Event e0”"), "{status}");
    assert!(status.contains("and 20 more"), "{status}");
    let told = setting.env.run(&["status", "--json"]).json();
    assert_eq!(told["subscriptions"][0]["held"]["events"].as_array().unwrap().len(), 30);
    setting.env.run(&["status", "wrok"]).exits(64);
    setting.env.later(HOUR);
}
