//! Whose the events of a calendar are when no record says so: prefixes found again, what others put there, and the ways out.

use crate::env::{Env, subscription};
use crate::fake::feed::Feed;
use crate::setting::{Setting, calendar, event, feed, object, watched};

/// A second subscription of the same calendar.
fn other(url: &str, keys: &str) -> String {
    subscription(url, "calendars/alice/work/", keys).replace("\"work\"\nsource", "\"other\"\nsource")
}

fn named(count: usize, first: usize) -> String {
    let uids: Vec<String> = (first..first + count).map(|number| format!("e{number:02}")).collect();
    feed(&uids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The UIDs of a number of events, in order.
fn uids(count: usize, first: usize) -> String {
    (first..first + count).map(|number| format!("e{number:02}")).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_lost_state_with_a_new_name_and_a_new_link_costs_no_write_and_changes_flow() {
    let env = Env::new();
    env.file("a.ics", feed(&["a", "b"]));
    env.run(&["--state", "s1.db", "run", "--source", "a.ics", "--target", "dir:cal"]).exits(0);
    env.file("b.ics", feed(&["a", "b"]));
    let again = ["--state", "s2.db", "run", "--source", "b.ics", "--target", "dir:cal"];
    assert!(env.run(&again).exits(0).stdout.contains("2 adopted; 0 unchanged"));
    env.file("b.ics", calendar(&(event("b", "New") + &event("c", "Event c"))));
    assert!(env.run(&again).exits(0).stdout.contains("1 created, 1 updated, 1 deleted"));
    assert_eq!(env.path("cal").read_dir().unwrap().count(), 2);
}

#[test]
fn an_href_tells_nothing_of_the_link() {
    let prefixes = [(); 2].map(|()| {
        let setting = Setting::new(&feed(&["a"]), "").mirrored();
        setting.name_of("a")[..9].to_owned()
    });
    assert_ne!(prefixes[0], prefixes[1], "one name and, but for the port, one link");
}

#[test]
fn name_and_link_that_are_edited_together_take_the_events_along() {
    let setting = watched("");
    let second = Feed::start(feed(&["a", "b"])).with_etag();
    setting.configure(&other(&second.url(), ""));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.starts_with("other: in order") && !status.contains("work:"), "{status}");
    second.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "b");
}

#[test]
fn two_installations_with_other_rules_for_one_feed_lose_nothing_and_stop_fighting() {
    let meeting = "ATTENDEE:mailto:a@example.org\r\n";
    let with_guests = |uid: &str| event(uid, "Event").replace("SUMMARY", &format!("{meeting}SUMMARY"));
    let setting = Setting::new(&calendar(&["a", "b", "c", "d"].map(with_guests).concat()), "verify = \"always\"");
    let strips = "verify = \"always\"\nattendees = \"strip\"";
    let run = |state: &str, keys: &str| {
        setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", keys));
        setting.dav.take_writes();
        setting.env.run(&["--state", state, "run"]).exits(0);
        setting.writes()
    };
    for _ in 0..4 {
        run("one.db", "verify = \"always\"");
        run("two.db", strips);
    }
    assert_eq!((run("one.db", "verify = \"always\""), run("two.db", strips)), (vec![], vec![]));
    assert_eq!(setting.uids(), "a b c d");
}

#[test]
fn what_another_installation_has_beyond_the_rules_of_this_one_waits_for_a_person() {
    let setting = Setting::new(&named(10, 0), "").mirrored();
    let first = setting.env.state();
    setting.feed.set(named(8, 0));
    let second = ["--state", "two.db", "run"];
    assert!(setting.env.run(&second).exits(4).stderr.contains("2 deletions held back: they stand under names of ours"));
    for _ in 0..3 {
        setting.env.run(&second).exits(4);
    }
    assert!(first.exists());
    assert_eq!(setting.uids(), uids(10, 0));
}

#[test]
fn of_two_subscriptions_of_one_feed_none_takes_the_events_when_the_state_is_lost() {
    let setting = Setting::new(&named(6, 0), "");
    let twin = Feed::start(named(6, 0)).with_etag();
    let first = subscription(&setting.feed.url(), "calendars/alice/work/", "");
    setting.configure(&(first.clone() + &other(&twin.url(), "")));
    setting.run(&[]).exits(3);
    setting.env.forget_state();
    for _ in 0..2 {
        let ran = setting.run(&["--force"]).exits(4);
        assert_eq!((setting.uids(), setting.writes()), (uids(6, 0), vec![]), "{ran}");
    }
    setting.run(&["work", "--take-over"]).exits(0);
    setting.run(&["--force"]).exits(3);
    assert_eq!((setting.uids(), setting.writes()), (uids(6, 0), vec![]));
    setting.feed.set(named(7, 0));
    setting.run(&["work"]).exits(0);
    assert_eq!(setting.uids(), uids(7, 0));
}

#[test]
fn overlapping_feeds_get_their_own_events_back() {
    let setting = Setting::new(&named(10, 0), "");
    let second = Feed::start(named(10, 5)).with_etag();
    let first = subscription(&setting.feed.url(), "calendars/alice/work/", "");
    setting.configure(&(first + &other(&second.url(), "")));
    setting.run(&[]).exits(3);
    let before: Vec<String> = setting.dav.work(|work| work.objects.keys().cloned().collect());
    setting.env.forget_state();
    setting.run(&[]).exits(3);
    assert_eq!(setting.writes(), [""; 0]);
    second.set(named(6, 10));
    setting.run(&["other"]).exits(0);
    let after: Vec<String> = setting.dav.work(|work| work.objects.keys().cloned().collect());
    assert_eq!((setting.uids(), after.len()), (uids(16, 0), before.len() + 1));
}

#[test]
fn what_evidence_gives_to_one_subscription_no_rule_of_another_takes() {
    let setting = Setting::new(&named(6, 0), "");
    let second = Feed::start(named(2, 4)).with_etag();
    let first = subscription(&setting.feed.url(), "calendars/alice/work/", "");
    setting.configure(&(first + &other(&second.url(), "on_conflict = \"equal\"")));
    setting.run(&["work"]).exits(0);
    setting.env.forget_state();
    setting.run(&["other"]).exits(3);
    setting.run(&["work"]).exits(0);
    second.set(feed(&["x"]));
    setting.run(&["other"]).exits(0);
    assert_eq!(setting.uids(), format!("{} x", uids(6, 0)));
}

#[test]
fn a_feed_that_was_turned_over_while_the_state_was_lost_leaves_what_a_command_deletes() {
    let setting = Setting::new(&named(5, 0), "").mirrored();
    setting.env.forget_state();
    setting.feed.set(named(5, 50));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), format!("{} {}", uids(5, 0), uids(5, 50)));
    let status = setting.env.run(&["status"]).exits(0).stdout;
    let command = status.split("delete them: baikal-sync ").nth(1).expect("a command").lines().next().unwrap();
    let words: Vec<&str> = command.split(' ').chain(["--yes"]).collect();
    assert!(setting.env.run(&words).exits(0).stdout.contains("5 deleted"), "{status}");
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids(), setting.writes()), (uids(5, 50), vec![]));
    assert!(!setting.env.run(&["status"]).exits(0).stdout.contains("unclaimed"));
}

/// A calendar in which somebody has put a number of events of the feed of six under names of their own.
fn occupied(count: usize, keys: &str) -> Setting {
    let setting = Setting::new(&named(6, 0), keys);
    for number in 0..count {
        let uid = format!("e{number:02}");
        setting.dav.work(|work| work.put(&format!("{uid}.ics"), object(&uid, "Mine")));
    }
    setting
}

#[test]
fn a_few_events_of_others_are_left_alone_and_most_of_a_feed_is_a_question() {
    for (count, code, again) in [(3, 3, 0), (4, 4, 4), (6, 4, 4)] {
        let setting = occupied(count, "");
        setting.run(&[]).exits(code);
        setting.run(&[]).exits(again);
        assert_eq!(setting.uids(), uids(6, 0), "{count}");
        assert!(setting.text_of("e00").contains("SUMMARY:Mine"), "{count}");
    }
}

#[test]
fn the_question_is_answered_by_a_flag_or_a_setting() {
    let setting = occupied(5, "");
    let ran = setting.run(&[]).exits(4);
    assert!(ran.stderr.contains("5 of 6 events of the feed stand in the calendar already"), "{ran}");
    let all = setting.run(&["work", "--take-over=all"]).exits(0);
    assert!(setting.text_of("e00").contains("SUMMARY:Event e00"), "{all}");
    let setting = occupied(5, "");
    setting.run(&[]).exits(4);
    let keys = "on_conflict = \"skip\"";
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", keys));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("e00").contains("SUMMARY:Mine"));
}

#[test]
fn nothing_is_deleted_while_the_question_is_open() {
    let setting = occupied(0, "").mirrored();
    setting.feed.set(named(5, 1));
    for number in 1..6 {
        let uid = format!("e{number:02}");
        let ours = setting.name_of(&uid);
        setting.dav.work(|work| work.delete(&ours));
        setting.dav.work(|work| work.put(&format!("{uid}.ics"), object(&uid, "Mine")));
    }
    let ran = setting.run(&["--full"]).exits(4);
    assert!(ran.stderr.contains("; 1 deletion waits for that"), "{ran}");
    assert_eq!(setting.uids(), uids(6, 0));
    setting.run(&["work", "--take-over=all"]).exits(0);
    assert_eq!(setting.uids(), uids(5, 1));
}

#[test]
fn a_feed_that_has_not_changed_is_taken_over_too() {
    let setting = occupied(2, "on_conflict = \"skip\"");
    setting.run(&[]).exits(3);
    setting.run(&["work", "--take-over=all"]).exits(0);
    assert!(setting.text_of("e00").contains("SUMMARY:Event e00"));
}

#[test]
fn what_a_pass_had_claimed_when_it_failed_is_held_whole_by_the_next_one() {
    let setting = Setting::new(&named(12, 0), "").mirrored();
    setting.env.forget_state();
    setting.feed.set(calendar(""));
    setting.run(&[]).exits(0);
    let changed = (0..12).map(|number| event(&format!("e{number:02}"), "Changed"));
    setting.feed.set(calendar(&changed.collect::<String>()));
    setting.dav.switch(|switches| switches.full = true);
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.full = false);
    setting.feed.set(calendar(""));
    let ran = setting.run(&["--force"]).exits(4);
    assert!(ran.stderr.contains("12 deletions held back"), "{ran}");
    setting.env.run(&["approve", "work"]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "");
}

#[test]
fn an_equal_event_of_somebody_is_never_changed_and_never_deleted() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
    setting.dav.work(|work| work.put("mine.ics", object("a", "Event a")));
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
    setting.feed.set(calendar(&(event("a", "Changed") + &event("b", "Event b"))));
    setting.run(&[]).exits(3);
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    assert_eq!(setting.dav.work(|work| work.text("mine.ics")), object("a", "Event a"));
}
