//! A pass says what is true: what it asked, what it does not know, and that it is still going on.

use std::process::Stdio;

use crate::env::subscription;
use crate::fake::http::Answer;
use crate::setting::{Setting, feed, watched};

const HOUR: i64 = 3600;

/// The lines of the log about requests, without numbers that differ from run to run.
fn requests(said: &str) -> Vec<String> {
    let lines = said.lines().filter(|line| line.contains(" octets out, "));
    let place = |word: &str| word.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    let shown = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let why = line.rsplit('(').next().unwrap().trim_end_matches(')');
        format!("{} {} {} {why}", words[0], place(words[1]), words[3].trim_end_matches(','))
    };
    lines.map(shown).collect()
}

/// What a run over this subscription leaves that is killed at this moment: its word in the lock.
fn leave_killed(setting: &Setting, name: &str) {
    let hash = baikal_sync::words::digest::sha256(&[b"subscription", b" ", name.as_bytes()]).to_string();
    let lock = setting.env.path("state/baikal-sync/state.locks").join(&hash[..16]);
    std::fs::write(lock, baikal_sync::sync::now().0.to_string()).unwrap();
}

#[test]
fn every_request_is_in_the_log_with_what_it_is_for() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"").mirrored();
    setting.feed.set(feed(&["a", "c"]));
    let ran = setting.run(&["-vv"]).exits(0);
    let told = requests(&ran.stderr);
    let put = told.iter().position(|line| line.starts_with("PUT ")).unwrap_or_else(|| panic!("{ran}"));
    assert_eq!(told[0], "GET … 200 feed", "{told:#?}");
    assert!(told[1..put - 1].iter().all(|line| line.ends_with(" look")), "{told:#?}");
    assert!(told[put - 1].ends_with(" 200 read"), "what is deleted is put aside: {told:#?}");
    assert!(told[put].ends_with(" 201 put") && told[put + 1].ends_with(" 204 delete"), "{told:#?}");
    assert!(told[put + 2].starts_with("REPORT work 207 settle"), "{told:#?}");
    assert_eq!(told.len(), setting.asked().len() + 1, "each of them once");
    assert!(!ran.stderr.contains("5ecre7token"), "{ran}");
}

#[test]
fn a_request_without_an_answer_is_in_the_log_too() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.feed.stop();
    let ran = setting.run(&["-vv"]).exits(75);
    assert!(ran.stderr.contains("/… -> no answer (cannot connect to "), "{ran}");
}

#[test]
fn once_v_says_why_a_pass_did_what_it_did() {
    let setting = watched("");
    let ran = setting.run(&["-v"]).exits(0);
    assert!(ran.stderr.contains("work: the feed has not changed (its server says so)\n"), "{ran}");
    assert!(ran.stderr.contains("work: the target has not changed\n"), "{ran}");
    assert_eq!(requests(&ran.stderr), [""; 0]);
}

#[test]
fn once_v_says_why_a_feed_is_read_though_it_did_not_change() {
    let setting = Setting::new(&feed(&["a"]), "");
    let why = |arguments: &[&str]| setting.run(&[&["-v"], arguments].concat()).exits(0).stderr;
    assert!(why(&[]).contains("work: the feed is read whole (the first time)\n"));
    assert!(why(&["--full"]).contains("work: the feed is read whole (--full)\n"));
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", "on_drift = \"keep\""));
    assert!(why(&[]).contains("work: the feed is read whole (the settings have changed)\n"));
}

#[test]
fn a_pass_that_asked_the_target_nothing_does_not_end_a_problem_with_it() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"never\"").mirrored();
    let broken = Answer::new(500).body("text/html", "<html>Oops</html>");
    setting.dav.switch(|switches| switches.answer = Some(broken));
    setting.run(&["--full"]).exits(75);
    setting.env.later(60);
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.answer = None);
    setting.env.later(600);
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"], "it was looked at");
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), [""; 0]);
}

#[test]
fn a_problem_of_the_feed_ends_without_a_look_at_the_target() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.feed.answer_always(Some(Answer::new(404)));
    setting.run(&[]).exits(76);
    setting.feed.answer_always(None);
    let ran = setting.run(&["--force"]).exits(0);
    assert_eq!((ran.stderr.as_str(), setting.methods()), ("work: in order again\n", vec![]));
}

#[test]
fn a_named_run_with_force_looks_at_the_target() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.methods(), [""; 0]);
    setting.run(&["work", "--force"]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
}

#[test]
fn a_dry_run_into_a_calendar_that_may_not_be_written_to_says_so() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.dav.switch(|switches| switches.read_only = true);
    let ran = setting.run(&["--dry-run"]).exits(77);
    assert!(ran.stdout.contains("+ 2026-12-01 09:00") && ran.stderr.contains("no right to write there"), "{ran}");
    assert!(!ran.stderr.contains("next try"), "{ran}");
}

#[test]
fn status_says_that_a_run_is_going_on_and_does_not_disturb_it() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let gate = setting.gate_at(1);
    let mut command = setting.env.command(&["run"]);
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.wait();
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.starts_with("work: running now for "), "{status}");
    let told = setting.env.run(&["status", "--json"]).json();
    assert_eq!(told["subscriptions"][0]["state"], "running");
    gate.open();
    setting.env.ended(&["run"], running).exits(0);
    assert!(setting.env.run(&["status"]).exits(0).stdout.starts_with("work: in order\n"));
}

#[test]
fn a_run_that_was_killed_counts_as_a_failure_and_is_told() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let gate = setting.gate_at(1);
    let mut run = setting.env.command(&["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    gate.wait();
    run.kill().unwrap();
    run.wait().unwrap();
    gate.open();
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.starts_with("work: not complete, the last run was interrupted"), "{status}");
    setting.run(&[]).exits(75);
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
    let told = setting.env.run(&["status", "--json"]).json();
    let error = &told["subscriptions"][0]["error"];
    assert_eq!((&error["kind"], &error["failures"]), (&"killed".into(), &1.into()), "{told:#}");
    setting.run(&[]).exits(75);
    setting.env.later(60);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a b");
    setting.run(&[]).exits(0);
}

#[test]
fn whoever_is_killed_again_and_again_is_told_once_it_has_lasted() {
    let setting = Setting::new(&feed(&["a"]), "alert_after = \"1h\"").mirrored();
    let mut said = Vec::new();
    for _ in 0..4 {
        leave_killed(&setting, "work");
        said.push(setting.run(&[]).stderr);
        said.push(setting.run(&[]).stderr);
        setting.env.later(HOUR / 2);
    }
    let told: Vec<bool> = said.iter().map(|said| said.contains("the last run was killed before it ended")).collect();
    assert_eq!(told.iter().filter(|told| **told).count(), 1, "{said:#?}");
}

#[test]
fn a_run_that_was_killed_is_counted_once() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    leave_killed(&setting, "work");
    std::fs::remove_file(setting.env.path("password")).unwrap();
    let failures = || {
        setting.run(&["--force"]).exits(78);
        setting.env.run(&["status", "--json"]).json()["subscriptions"][0]["error"]["failures"].clone()
    };
    assert_eq!([failures(), failures()], [2, 3]);
}

#[test]
fn a_subscription_whose_last_run_was_killed_comes_last() {
    let setting = Setting::new(&feed(&["a"]), "");
    let file = setting.env.file("other.ics", feed(&["b"]));
    let table = |name: &str, source: &str| {
        subscription(source, &format!("dir:{name}"), "").replace("\"work\"", &format!("\"{name}\""))
    };
    setting.env.set_config(&format!(
        "jobs = 1\n{}{}",
        table("bad", &setting.feed.url()),
        table("good", file.to_str().unwrap())
    ));
    let order = |ran: &crate::env::Ran| {
        let lines = ran.stderr.lines().filter(|line| line.contains(": the feed "));
        lines.map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(order(&setting.env.run(&["run", "-v"]).exits(0)), ["bad", "good"]);
    leave_killed(&setting, "bad");
    let ran = setting.env.run(&["run", "-v", "--force"]).exits(0);
    assert_eq!(order(&ran), ["good", "bad"], "{ran}");
}

#[test]
fn a_state_that_cannot_be_read_is_no_subscription_that_has_not_run_yet() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    std::fs::write(setting.env.state(), "not a state").unwrap();
    for command in [&["status"][..], &["run", "--dry-run"], &["check"]] {
        let ran = setting.env.run(command);
        assert!(
            ran.code != 0 && (ran.stdout.clone() + &ran.stderr).contains("is not a state file of baikal-sync"),
            "{ran}"
        );
    }
    assert_eq!(std::fs::read(setting.env.state()).unwrap(), b"not a state");
}
