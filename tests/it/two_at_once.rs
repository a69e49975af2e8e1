//! Two runs at once, and runs that are stopped or killed in the middle of a pass.

use std::process::{Child, Command, Stdio};

use crate::env::{Ran, subscription};
use crate::fake::feed::Feed;
use crate::setting::{Setting, feed, feed_of};

/// Starts a run beside the test.
fn start(setting: &Setting, arguments: &[&str]) -> Child {
    let mut command = setting.env.command(&[&["run"], arguments].concat());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

fn end(setting: &Setting, child: Child) -> Ran {
    setting.env.ended(&["run"], child)
}

fn send(signal: &str, child: &Child) {
    // The shell's own `kill`: the program of that name is not everywhere.
    let sent = Command::new("sh").args(["-c", &format!("kill {signal} {}", child.id())]).status().expect("a shell");
    assert!(sent.success());
}

#[test]
fn a_second_run_says_that_another_one_is_working_and_touches_nothing() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let gate = setting.gate_at(1);
    let first = start(&setting, &[]);
    gate.wait();
    let requests = setting.feed.take().len();
    let second = setting.env.run(&["run", "-v"]).exits(75);
    assert!(second.stderr.contains("another run is working on the same subscription; --wait waits for it"), "{second}");
    gate.open();
    end(&setting, first).exits(0);
    assert_eq!((requests, setting.feed.take().len(), setting.writes().len()), (1, 0, 2));
}

#[test]
fn a_lock_leaves_no_back_off() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let gate = setting.gate_at(1);
    let first = start(&setting, &[]);
    gate.wait();
    let told = setting.env.run(&["run", "--json"]).exits(75).json();
    assert_eq!(told["subscriptions"][0]["outcome"], "locked");
    gate.open();
    end(&setting, first).exits(0);
    setting.run(&[]).exits(0);
}

#[test]
fn a_second_run_that_waits_comes_after_the_first() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let gate = setting.gate_at(1);
    let first = start(&setting, &[]);
    gate.wait();
    let second = start(&setting, &["--wait"]);
    gate.open();
    end(&setting, first).exits(0);
    end(&setting, second).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec!["PUT 201".to_owned(); 2]));
}

#[test]
fn two_subscriptions_of_one_calendar_do_not_write_at_once() {
    let (setting, other) = (Setting::new(&feed(&["a", "b"]), ""), Feed::start(feed(&["c"])));
    let tables = subscription(&setting.feed.url(), "work", "")
        + &subscription(&other.url(), "work", "").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&tables);
    let gate = setting.gate_at(1);
    let first = start(&setting, &["work"]);
    gate.wait();
    let second = setting.env.run(&["run", "other", "-v"]).exits(75);
    assert!(second.stderr.contains("another run is working on the same target"), "{second}");
    gate.open();
    end(&setting, first).exits(0);
    setting.run(&["other"]).exits(0);
    assert_eq!(setting.uids(), "a b c");
}

/// Two feeds into one calendar, which the second subscription calls by its name alone.
fn two_spellings() -> (Setting, Feed) {
    let (setting, other) = (Setting::new(&feed(&["a", "b"]), ""), Feed::start(feed(&["c"])));
    let tables = subscription(&setting.feed.url(), "calendars/alice/work/", "")
        + &subscription(&other.url(), "work", "").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&tables);
    (setting, other)
}

#[test]
fn two_subscriptions_that_write_one_calendar_in_two_ways_do_not_write_at_once() {
    let (setting, other) = two_spellings();
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["a", "b", "d"]));
    other.set(feed(&["c", "e"]));
    let gate = setting.gate_at(4);
    let first = start(&setting, &["work"]);
    gate.wait();
    let second = setting.env.run(&["run", "other", "--json"]).exits(75);
    assert!(second.json()["subscriptions"][0]["outcome"] == "locked", "{second}");
    let third = start(&setting, &["other", "--wait"]);
    gate.open();
    end(&setting, first).exits(0);
    end(&setting, third).exits(0);
    assert_eq!(setting.uids(), "a b c d e");
}

#[test]
fn two_subscriptions_that_write_one_calendar_in_two_ways_come_one_after_the_other_in_one_run() {
    for _ in 0..5 {
        let (setting, _other) = two_spellings();
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a b c");
    }
}

#[test]
fn a_run_that_is_asked_to_stop_finishes_the_object_in_hand_and_the_next_run_goes_on() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130)] {
        let setting = Setting::new(&feed_of(40), "");
        let gate = setting.gate_at(2);
        let run = start(&setting, &[]);
        gate.wait();
        send(signal, &run);
        gate.open();
        end(&setting, run).exits(code);
        let written = setting.dav.work(|work| work.objects.len());
        assert!((3..40).contains(&written), "{written} written");
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes().len(), 40 - written, "what was recorded is not written again");
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.writes(), [""; 0]);
    }
}

#[test]
fn a_second_signal_ends_the_run_at_once() {
    let setting = Setting::new(&feed_of(5), "");
    let gate = setting.gate_at(2);
    let mut run = start(&setting, &[]);
    gate.wait();
    // Two signals at once may arrive as one.
    while run.try_wait().unwrap().is_none() {
        send("-TERM", &run);
    }
    end(&setting, run).exits(143);
    gate.open();
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.dav.work(|work| work.objects.len()), 5);
}

#[test]
fn a_run_that_is_killed_at_any_object_is_made_up_for_without_a_duplicate() {
    for moment in 0..4 {
        let setting = Setting::new(&feed(&["a", "b", "c", "d"]), "");
        let gate = setting.gate_at(moment);
        let mut run = start(&setting, &[]);
        gate.wait();
        run.kill().unwrap();
        gate.open();
        end(&setting, run).exits(137);
        setting.run(&["--force"]).exits(0);
        assert_eq!(setting.uids(), "a b c d", "killed at {moment}");
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "killed at {moment}");
    }
}

#[test]
fn a_run_that_is_killed_between_updates_and_deletes_is_made_up_for() {
    for (moment, next) in [(4, &["b", "e"][..]), (5, &["b", "e"]), (5, &["a", "b", "c", "d"])] {
        let setting = Setting::new(&feed(&["a", "b", "c", "d"]), "").mirrored();
        setting.feed.set(feed(&["b", "e"]));
        let gate = setting.gate_at(moment);
        let mut run = start(&setting, &[]);
        gate.wait();
        run.kill().unwrap();
        gate.open();
        end(&setting, run).exits(137);
        // A feed that went back to its old form has its old validators too.
        setting.feed.set(feed(next));
        setting.run(&["--force"]).exits(0);
        assert_eq!(setting.uids(), next.join(" "), "killed at {moment}");
    }
}
