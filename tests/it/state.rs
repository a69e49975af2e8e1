//! The state file: in use by others, damaged, unwritable, and shared by many subscriptions.

use std::process::Stdio;

use crate::env::{Env, subscription};
use crate::fake::feed::Feed;
use crate::setting::{Setting, feed, feed_of};

#[test]
fn another_subscription_is_mirrored_while_a_run_is_held_up() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let file = setting.env.file("other.ics", feed(&["c"]));
    let other = subscription(file.to_str().unwrap(), "dir:events", "").replace("\"work\"", "\"other\"");
    setting.configure(&(subscription(&setting.feed.url(), "work", "") + &other));
    let gate = setting.gate_at(1);
    let mut command = setting.env.command(&["run", "work"]);
    let slow = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.wait();
    setting.env.run(&["run", "other"]).exits(0);
    let status = setting.env.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["subscriptions"][1]["state"], "in_order", "{status:#}");
    gate.open();
    setting.env.ended(&["run", "work"], slow).exits(0);
}

#[test]
fn a_damaged_state_is_set_aside_and_costs_no_write() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let whole = std::fs::read(setting.env.state()).unwrap();
    std::fs::write(setting.env.state(), [&whole[..100], &[7; 4000]].concat()).unwrap();
    let ran = setting.run(&[]).exits(0);
    assert!(ran.stderr.contains("the state file was damaged"), "{ran}");
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
}

#[test]
fn an_empty_state_file_is_a_new_one() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.env.file("state/baikal-sync/state.db", "");
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn a_state_that_cannot_be_made_is_74_and_nothing_is_sent() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.env.file("state", "a file where a folder belongs");
    let ran = setting.run(&[]).exits(74);
    assert!(ran.stderr.contains("state"), "{ran}");
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
}

#[test]
fn a_state_of_a_newer_program_is_refused_and_left_as_it_is() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    let state = rusqlite::Connection::open(setting.env.state()).unwrap();
    state.pragma_update(None, "user_version", 99).unwrap();
    drop(state);
    let ran = setting.run(&[]).exits(74);
    assert!(ran.stderr.contains("newer version of baikal-sync"), "{ran}");
    assert_eq!(setting.methods(), [""; 0]);
}

#[test]
fn the_state_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    let mode = setting.env.state().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_state_stands_where_the_flag_or_the_variable_says() {
    let setting = Setting::new(&feed(&["a"]), "").var("BAIKAL_SYNC_STATE", "variable.db");
    setting.run(&[]).exits(0);
    setting.run(&["--state", "flag.db"]).exits(0);
    assert!(setting.env.path("variable.db").exists() && setting.env.path("flag.db").exists());
    assert!(!setting.env.state().exists());
}

#[test]
fn many_subscriptions_run_side_by_side_and_each_asks_once() {
    let (feed, env) = (Feed::start(feed(&["a", "b"])).with_etag(), Env::new());
    let table =
        |number| subscription(&feed.url(), &format!("dir:{number}"), "").replace("\"work\"", &format!("\"s{number}\""));
    env.set_config(&(0..30).map(table).collect::<String>());
    let told = env.run(&["run", "--json"]).exits(0).json();
    let names: Vec<&str> =
        told["subscriptions"].as_array().unwrap().iter().filter_map(|each| each["name"].as_str()).collect();
    assert_eq!(names, (0..30).map(|number| format!("s{number}")).collect::<Vec<_>>());
    assert_eq!(feed.take().len(), 30);
    let told = env.run(&["run", "--json"]).exits(0).json();
    assert!(told["subscriptions"].as_array().unwrap().iter().all(|each| each["feed"]["status"] == 304));
}

#[test]
fn a_renamed_subscription_goes_on_where_it_was() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let renamed =
        subscription(&setting.feed.url(), "calendars/alice/work/", "").replace("\"work\"\nsource", "\"job\"\nsource");
    setting.configure(&renamed);
    setting.feed.set(feed(&["b", "c"]));
    let ran = setting.run(&["-v"]).exits(0);
    assert!(ran.stdout.contains("job: 1 created, 1 deleted; 1 unchanged"), "{ran}");
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.starts_with("job: in order\n") && !status.contains("work:"), "{status}");
}

#[test]
fn a_state_that_was_lost_costs_one_look_at_every_object_and_no_write() {
    let setting = Setting::new(&feed_of(250), "");
    // As Radicale and Xandikos write it.
    setting.dav.switch(|switches| {
        switches.rewrites = Some(|text| text.replace("DTSTART:", "DTSTART;VALUE=DATE-TIME:"));
    });
    setting.run(&[]).exits(0);
    setting.env.forget_state();
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_state_of_another_form_of_ours_is_compared_with_the_calendar_once() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.env.change_state("UPDATE subscription SET form = 0");
    for compares in [true, false] {
        setting.feed.set(feed(if compares { &["a", "b", "c"] } else { &["a", "b"] }));
        setting.run(&[]).exits(0);
        assert_eq!(setting.asked().iter().any(|asked| asked.text().contains("multiget")), compares);
    }
}

#[test]
fn a_calendar_that_is_written_in_another_way_goes_on_where_it_was() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let url = setting.dav.calendar_url("work");
    let paths = ["work", "/dav.php/calendars/alice/work", url.trim_end_matches('/'), "calendars/%61lice/work/"];
    for (number, spelling) in paths.into_iter().enumerate() {
        setting.configure(&subscription(&setting.feed.url(), spelling, "max_delete = 0"));
        setting.feed.set(feed(&["b", &format!("x{number}")]));
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), ["PUT 201", "DELETE 204"], "{spelling}");
        let status = setting.env.run(&["status", "--json"]).exits(0).json();
        assert_eq!(status["subscriptions"].as_array().map(Vec::len), Some(1), "{spelling}: {status:#}");
    }
    assert_eq!(setting.uids(), "b x3");
}

#[test]
fn a_failure_under_a_new_spelling_does_not_hide_what_was_known() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.configure(&subscription(&setting.feed.url(), "work", ""));
    setting.dav.switch(|switches| switches.broken_database = true);
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.broken_database = false);
    setting.feed.set(feed(&["b"]));
    let told = setting.run(&["--force", "--json"]).exits(0).json();
    assert_eq!((setting.uids().as_str(), &told["subscriptions"][0]["adopted"]), ("b", &0.into()));
}

#[test]
fn a_dry_run_knows_a_calendar_that_is_written_in_another_way() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.configure(&subscription(&setting.feed.url(), "work", ""));
    setting.feed.set(feed(&["b"]));
    let told = setting.run(&["--dry-run", "--json"]).exits(0).json();
    assert_eq!(told["subscriptions"][0]["plan"].as_array().map(Vec::len), Some(1), "{told:#}");
    let status = setting.env.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["subscriptions"].as_array().map(Vec::len), Some(2), "the state is as it was: {status:#}");
}

/// Starts six processes at once, each over a subscription of its own and all over one state; what went wrong.
fn six_at_once(prepare: impl Fn(&Env), trials: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for trial in 0..trials {
        let env = Env::new();
        let source = env.file("feed.ics", feed(&["a"]));
        let table = |number| {
            let table = subscription(source.to_str().unwrap(), &format!("dir:{number}"), "");
            table.replace("\"work\"", &format!("\"s{number}\""))
        };
        env.set_config(&(0..6).map(table).collect::<String>());
        prepare(&env);
        let start = |number| {
            let mut command = env.command(&["run", &format!("s{number}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let runs: Vec<_> = (0..6).map(start).collect();
        let ran = runs.into_iter().map(|run| env.ended(&["run"], run)).filter(|ran| ran.code != 0);
        wrong.extend(ran.map(|ran| format!("trial {trial}: {ran}")));
        let told = env.run(&["status", "--json"]).json();
        let states: Vec<_> = told["subscriptions"].as_array().unwrap().iter().map(|each| &each["state"]).collect();
        wrong.extend((states != ["in_order"; 6]).then(|| format!("trial {trial}: {states:?}")));
    }
    wrong
}

#[test]
fn six_processes_may_make_the_state_at_once() {
    assert_eq!(six_at_once(|_| {}, 30), [""; 0]);
}

#[test]
fn six_processes_may_bring_an_old_state_up_to_date_at_once() {
    let old = concat!(include_str!("../../src/db/state/migrations/001.sql"), "PRAGMA user_version = 1;");
    let prepare = |env: &Env| {
        env.file("state/baikal-sync/state.db", "");
        env.change_state(old);
    };
    assert_eq!(six_at_once(prepare, 15), [""; 0]);
}

#[test]
fn files_of_others_are_neither_written_nor_renamed_nor_migrated_by_any_command() {
    let setting = Setting::new(&feed(&["a"]), "");
    let other = "PRAGMA journal_mode = wal; CREATE TABLE calendars (id); INSERT INTO calendars VALUES (1);";
    setting.env.file("other.db", "");
    let path = setting.env.path("other.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(other).unwrap();
    setting.env.file("key", "-----BEGIN OPENSSH PRIVATE KEY-----");
    let names = || {
        let mut names: Vec<_> =
            path.parent().unwrap().read_dir().unwrap().map(|found| found.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (std::fs::read(&path).unwrap(), names());
    for command in [&["run"][..], &["run", "--dry-run"], &["status"], &["approve", "work"], &["retry"]] {
        for file in ["other.db", "key"] {
            let ran = setting.env.run(&[&["--state", file], command].concat()).exits(74);
            assert!(ran.stderr.contains("is not a state file of baikal-sync"), "{ran}");
        }
    }
    assert!(std::fs::read(&path).unwrap() == before.0, "it was changed");
    assert_eq!(names(), before.1);
    assert_eq!(std::fs::read(setting.env.path("key")).unwrap(), b"-----BEGIN OPENSSH PRIVATE KEY-----");
}

#[test]
fn a_state_that_others_could_write_is_private_after_a_run() {
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    let mode = || setting.env.state().metadata().unwrap().permissions().mode() & 0o777;
    std::fs::set_permissions(setting.env.state(), std::fs::Permissions::from_mode(0o666)).unwrap();
    setting.env.run(&["status"]).exits(0);
    assert_eq!(mode(), 0o666, "status changes nothing");
    setting.run(&[]).exits(0);
    assert_eq!(mode(), 0o600);
}
