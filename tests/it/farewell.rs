//! `remove` and `forget`: a subscription goes, with its events or without, and nothing that somebody edited goes with it.

use crate::env::{Env, Ran};
use crate::setting::feed;

const CONFIG: &str = "# mine\n[[subscription]]\nname = \"a\"\nsource = \"../../a.ics\"\ntarget = \"dir:../../cal\"\n\n\
    # the other\n[[subscription]]\nname = \"b\"\nsource = \"../../b.ics\"\ntarget = \"dir:../../cal\"\n";

/// Two subscriptions in one folder: `a` with three events, of which somebody edited `a2`, and `b` with one.
fn mirrored() -> Env {
    let env = Env::with_config(CONFIG);
    env.file("a.ics", feed(&["a1", "a2", "a3"]));
    env.file("b.ics", feed(&["b1"]));
    env.run(&["run"]).exits(0);
    for file in env.path("cal").read_dir().unwrap().map(|found| found.unwrap().path()) {
        let text = std::fs::read_to_string(&file).unwrap();
        if text.contains("UID:a2") {
            std::fs::write(file, text.replace("Event a2", "Edited")).unwrap();
        }
    }
    env
}

fn events(env: &Env) -> String {
    let texts =
        env.path("cal").read_dir().unwrap().map(|found| std::fs::read_to_string(found.unwrap().path()).unwrap());
    let mut uids: Vec<String> =
        texts.map(|text| text.lines().find_map(|line| line.strip_prefix("UID:")).unwrap().to_owned()).collect();
    uids.sort();
    uids.join(" ")
}

fn config(env: &Env) -> String {
    std::fs::read_to_string(env.path("config/baikal-sync/config.toml")).unwrap()
}

#[test]
fn a_removed_subscription_leaves_its_events_and_the_rest_of_the_file() {
    let env = mirrored();
    let ran = env.run(&["remove", "a", "--yes"]).exits(0);
    assert!(ran.stdout.starts_with("a: 3 events stay in dir:"), "{ran}");
    let rest = &CONFIG[CONFIG.find("# the other").unwrap()..];
    assert_eq!((events(&env).as_str(), config(&env).trim_start()), ("a1 a2 a3 b1", rest));
    assert!(!env.run(&["status"]).exits(0).stdout.contains("a: "));
}

#[test]
fn its_events_go_when_that_is_asked_for_but_not_what_somebody_edited() {
    let env = mirrored();
    let ran = env.run(&["remove", "a", "--delete-events", "--yes"]).exits(0);
    assert!(ran.stdout.contains("left, for somebody edited it: 2026") && ran.stdout.contains("2 deleted"), "{ran}");
    assert_eq!(events(&env), "a2 b1");
    assert_eq!(env.run(&["run"]).exits(0).stderr, "");
    assert_eq!(events(&env), "a2 b1");
}

#[test]
fn without_an_answer_nothing_happens() {
    let env = mirrored();
    for command in [&["remove", "a"][..], &["remove", "a", "--delete-events"]] {
        assert!(env.run(command).exits(64).stderr.contains("--yes answers"));
    }
    assert_eq!((events(&env).as_str(), config(&env).as_str()), ("a1 a2 a3 b1", CONFIG));
}

#[test]
fn what_the_configuration_does_not_have_any_more_is_forgotten_with_its_events_or_without() {
    for (flags, left) in [(&[][..], "a1 a2 a3 b1"), (&["--delete-events"], "a2 b1")] {
        let env = mirrored();
        env.set_config(&CONFIG[CONFIG.find("# the other").unwrap()..]);
        let status = env.run(&["status"]).exits(0).stdout;
        assert!(status.contains("  forget    baikal-sync forget a\n"), "{status}");
        env.run(&[&["forget", "a", "--yes"], flags].concat()).exits(0);
        assert_eq!(events(&env), left);
        assert!(!env.run(&["status"]).exits(0).stdout.contains("a: "));
    }
}

#[test]
fn what_cannot_be_forgotten_is_said_with_the_way_out() {
    let env = mirrored();
    let said = |arguments: &[&str]| -> Ran { env.run(arguments).exits(64) };
    assert!(said(&["forget", "a"]).stderr.contains("to take it out of there too: baikal-sync remove a"));
    assert!(said(&["forget", "c"]).stderr.contains("remembers no subscription c"));
    assert!(said(&["forget", "--prefix", "0123abcd"]).stderr.contains("has events under 0123abcd- that nobody"));
}

#[test]
fn what_a_removed_subscription_kept_from_another_one_is_mirrored_by_that_one() {
    let env = mirrored();
    env.file("b.ics", feed(&["b1", "a1", "a3"]));
    env.run(&["run"]).exits(3);
    env.run(&["remove", "a", "--delete-events", "--yes"]).exits(0);
    env.run(&["run"]).exits(0);
    assert_eq!(events(&env), "a1 a2 a3 b1");
}
