//! A folder of .ics files as the target: the same promises without a server.

use std::collections::BTreeMap;
use std::path::Path;

use crate::env::{Env, subscription};
use crate::setting::{calendar, event, feed, object, value};

/// A feed in a file that is mirrored into the folder `events`.
fn mirrored(uids: &[&str], keys: &str) -> Env {
    let env = Env::new();
    let (feed_file, folder) = (env.file("feed.ics", feed(uids)), env.path("events"));
    let target = format!("dir:{}", folder.display());
    env.set_config(&subscription(feed_file.to_str().unwrap(), &target, &format!("verify = \"always\"\n{keys}")));
    env.run(&["run"]).exits(0);
    env
}

/// File name -> UID and title.
fn files(env: &Env) -> BTreeMap<String, (String, String)> {
    let read = |path: &Path| {
        let text = std::fs::read_to_string(path).unwrap();
        (value(&text, "UID:").to_owned(), value(&text, "SUMMARY:").to_owned())
    };
    let entries = std::fs::read_dir(env.path("events")).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), read(&path))).collect()
}

/// `UID title` of each file, in the order of the UIDs.
fn held(env: &Env) -> String {
    let mut held: Vec<String> = files(env).into_values().map(|(uid, title)| format!("{uid} {title}")).collect();
    held.sort();
    held.join(", ")
}

fn name_of(env: &Env, uid: &str) -> String {
    files(env).into_iter().find(|(_, (found, _))| found == uid).expect("a file").0
}

fn report(env: &Env) -> serde_json::Value {
    env.run(&["run", "--json"]).exits(0).json()["subscriptions"][0].clone()
}

#[test]
fn a_folder_follows_its_feed() {
    let env = mirrored(&["a", "b"], "");
    env.file("feed.ics", calendar(&(event("b", "New") + &event("c", "Event c"))));
    let told = report(&env);
    assert_eq!((&told["created"], &told["updated"], &told["deleted"]), (&1.into(), &1.into(), &1.into()));
    assert_eq!(held(&env), "b New, c Event c");
    assert_eq!(report(&env)["outcome"], "unchanged");
}

#[test]
fn an_edited_or_deleted_file_is_restored_and_a_foreign_one_left_alone() {
    let env = mirrored(&["a", "b"], "");
    env.file(&format!("events/{}", name_of(&env, "a")), object("a", "Edited by hand"));
    std::fs::remove_file(env.path("events").join(name_of(&env, "b"))).unwrap();
    env.file("events/mine.ics", object("m", "Mine"));
    assert_eq!(report(&env)["restored"], 2);
    assert_eq!(held(&env), "a Event a, b Event b, m Mine");
    assert_eq!(report(&env)["outcome"], "unchanged");
}

#[test]
fn a_foreign_file_with_the_same_uid_is_left_alone_and_named() {
    let env = mirrored(&["a"], "");
    env.file("events/mine.ics", object("b", "Mine"));
    env.file("feed.ics", feed(&["a", "b"]));
    let ran = env.run(&["run"]).exits(3);
    assert!(ran.stderr.contains("left alone: “Event b” (UID b)"), "{ran}");
    assert_eq!(held(&env), "a Event a, b Mine");
}

#[test]
fn a_state_that_was_lost_costs_no_write() {
    let env = mirrored(&["a", "b"], "");
    env.forget_state();
    let told = report(&env);
    assert_eq!((&told["adopted"], &told["created"], &told["updated"]), (&2.into(), &0.into(), &0.into()));
}

#[test]
fn a_folder_that_is_gone_may_be_a_missing_disk_and_is_76() {
    let env = mirrored(&["a"], "");
    std::fs::rename(env.path("events"), env.path("elsewhere")).unwrap();
    let ran = env.run(&["run"]).exits(76);
    assert!(ran.stderr.contains("is a disk missing?") && !env.path("events").exists(), "{ran}");
    std::fs::rename(env.path("elsewhere"), env.path("events")).unwrap();
    assert_eq!(env.run(&["run", "--force", "--json"]).exits(0).json()["subscriptions"][0]["outcome"], "unchanged");
}

#[test]
fn a_folder_that_may_be_created_is_filled_again() {
    let env = mirrored(&["a"], "create = true");
    std::fs::remove_dir_all(env.path("events")).unwrap();
    env.run(&["run"]).exits(0);
    assert_eq!(held(&env), "a Event a");
}

#[test]
fn a_file_in_the_place_of_the_folder_is_a_mistake() {
    let env = Env::with_config(&subscription("feed.ics", "dir:events", ""));
    env.file("config/baikal-sync/feed.ics", feed(&["a"]));
    env.file("config/baikal-sync/events", "a file");
    let ran = env.run(&["run"]).exits(78);
    assert!(ran.stderr.contains("is not a folder"), "{ran}");
}

#[test]
fn a_feed_file_that_is_gone_deletes_nothing() {
    let env = mirrored(&["a"], "");
    std::fs::remove_file(env.path("feed.ics")).unwrap();
    let ran = env.run(&["run", "-v"]).exits(76);
    assert!(ran.stderr.contains("feed.ics"), "{ran}");
    assert_eq!(held(&env), "a Event a");
}

#[test]
fn a_file_that_bears_our_name_and_says_nothing_costs_no_second_look() {
    for keys in ["deletes = \"none\"", "deletes = \"future\"", "on_drift = \"keep\""] {
        let feed = crate::fake::feed::Feed::start(feed(&["a"])).with_etag();
        let env = Env::new();
        let target = format!("dir:{}", env.path("events").display());
        env.set_config(&subscription(&feed.url(), &target, &format!("verify = \"always\"\n{keys}")));
        env.run(&["run"]).exits(0);
        let ours = name_of(&env, "a");
        env.file(&format!("events/{}{:032}.ics", &ours[..9], 0), "not a calendar");
        env.run(&["run"]).exits(0);
        feed.take();
        assert_eq!(report(&env)["outcome"], "unchanged", "{keys}");
        assert_eq!((feed.take().len(), files(&env).len()), (1, 2), "{keys}");
    }
}

#[test]
fn a_folder_that_is_written_in_another_way_goes_on_where_it_was() {
    let env = mirrored(&["a", "b"], "");
    std::os::unix::fs::symlink(env.path("events"), env.path("link")).unwrap();
    let target = format!("dir:{}", env.path("link").display());
    env.set_config(&subscription(env.path("feed.ics").to_str().unwrap(), &target, ""));
    env.file("feed.ics", feed(&["b"]));
    let told = report(&env);
    assert_eq!((&told["deleted"], &told["adopted"]), (&1.into(), &0.into()), "{told:#}");
}

/// The writing system calls of a run, one a line, with the paths of their files; `None` where nothing can be traced.
fn traced(env: &Env) -> Option<String> {
    const CALLS: &str = "trace=/^(link|rename|unlink).*,fsync,pwrite64";
    let trace = env.path("trace");
    let mut strace = env.here("strace");
    strace.args(["-f", "-y", "-s", "0", "-e", CALLS, "-o"]).arg(&trace);
    let is_done = |output: std::process::Output| output.status.success();
    if !strace.args([env!("CARGO_BIN_EXE_baikal-sync"), "run"]).output().is_ok_and(is_done) {
        eprintln!("nothing can be traced here, so nothing is known of what a power loss would undo");
        return None;
    }
    Some(std::fs::read_to_string(trace).expect("a trace"))
}

#[test]
fn what_is_made_replaced_or_deleted_is_on_the_disk_before_it_is_recorded() {
    let env = mirrored(&["a", "b"], "");
    let created = feed(&["a", "b", "c"]);
    let updated = calendar(&(event("a", "Event a") + &event("b", "Event b") + &event("c", "New")));
    for (what, feed) in [("link", created), ("rename", updated), ("unlink", feed(&["a", "b"]))] {
        env.file("feed.ics", feed);
        let Some(trace) = traced(&env) else { return };
        let calls: Vec<&str> = trace.lines().collect();
        let change = calls.iter().position(|call| {
            call.contains(what) && call.contains("/events/") && call.contains(".ics\"") && call.ends_with(" = 0")
        });
        let change = change.unwrap_or_else(|| panic!("no {what}\n{trace}"));
        let after = |is_meant: fn(&str) -> bool| calls[change..].iter().position(|call| is_meant(call));
        let synced = after(|call| call.contains("fsync(") && call.contains("/events>"));
        let recorded = after(|call| call.contains("pwrite64(") && call.contains("/state.db"));
        assert!(synced.is_some() && synced < recorded, "{what}\n{trace}");
    }
}
