//! What others do to our objects and to the calendar: it is seen, and undone or kept.

use crate::env::subscription;
use crate::fake::dav::Refusal;
use crate::fake::dav_store::Calendar;
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, event, feed, object, side_by_side, value, watched};

#[test]
fn an_edit_on_the_server_is_undone_with_one_read_and_one_write() {
    let setting = watched("");
    setting.edit("a", "Edited");
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((&told["subscriptions"][0]["updated"], &told["subscriptions"][0]["restored"]), (&1.into(), &1.into()));
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
    assert_eq!(setting.writes(), ["PUT 204"]);
}

#[test]
fn an_edit_is_kept_when_the_subscription_says_so_until_the_feed_changes_the_event() {
    let setting = watched("on_drift = \"keep\"");
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    setting.run(&["--full"]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Edited") && setting.writes().is_empty());
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event b"))));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:New"));
}

#[test]
fn an_edited_object_whose_event_leaves_the_feed_is_deleted_or_released_for_good() {
    for (keys, uids) in [("", "b"), ("on_drift = \"keep\"", "a b")] {
        let setting = watched(keys);
        setting.edit("a", "Edited");
        setting.feed.set(feed(&["b"]));
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), uids, "{keys}");
        setting.run(&[]).exits(0);
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.uids(), uids, "{keys}");
    }
}

#[test]
fn what_was_released_stays_released_when_edits_are_no_longer_kept() {
    let setting = watched("on_drift = \"keep\"");
    setting.edit("a", "Edited");
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", ""));
    setting.run(&[]).exits(0);
    setting.run(&["--full"]).exits(0);
    assert!(setting.uids() == "a b" && setting.text_of("a").contains("SUMMARY:Edited"));
}

#[test]
fn a_released_object_follows_its_event_when_that_comes_back() {
    let setting = watched("on_drift = \"keep\"");
    setting.edit("a", "Edited");
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    setting.edit("a", "Edited again");
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["a", "b"]));
    setting.run(&[]).exits(0);
    assert!(setting.uids() == "a b" && setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn an_object_that_is_edited_just_before_its_deletion_is_deleted_or_released() {
    for (keys, uids) in [("", "b c"), ("on_drift = \"keep\"", "a b c")] {
        let setting = watched(keys);
        let (name, edited) = (setting.name_of("a"), object("a", "Edited"));
        setting.feed.set(feed(&["b", "c"]));
        let mut is_done = false;
        setting.dav.meddle(move |_, work| {
            // The create of `c` is through, the delete of `a` is about to come.
            if !is_done && work.objects.len() == 3 {
                is_done = true;
                work.put(&name, edited.clone());
            }
        });
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), uids, "{keys}");
        setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", ""));
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.uids(), uids, "{keys}");
    }
}

/// Mirrors `a` and `b` with kept edits, then runs with a feed on a server that takes the first write and is gone before it
/// says so; then with another feed on the server that is back.
fn check_lost_answer((lost, next, uids, title): (String, String, &str, &str)) {
    let setting = Setting::new(&feed(&["a", "b"]), "on_drift = \"keep\"").mirrored();
    // Look, put aside what goes, and the write; nothing is put aside for a new event.
    let answered = if lost.contains("UID:c") { 2 } else { 3 };
    setting.feed.set(lost);
    setting.dav.take();
    setting.dav.switch(|switches| (switches.drop_after_write, switches.silent_after) = (Some(1), Some(answered)));
    setting.env.run(&["run"]).exits(75);
    setting.dav.switch(|switches| (switches.drop_after_write, switches.silent_after) = (None, None));
    assert_eq!(setting.dav.take_writes().len(), 3, "two of the first pass and the lost one");
    setting.feed.set(next);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), uids);
    assert_eq!(value(&setting.text_of(&uids[..1]), "SUMMARY:"), title);
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_write_whose_answer_was_lost_is_no_edit_of_somebody_else() {
    let changed = || calendar(&(event("a", "New") + &event("b", "Event b")));
    let ways = [
        (changed(), feed(&["b"]), "b", "Event b"),
        (changed(), feed(&["a", "b"]), "a b", "Event a"),
        (changed(), changed(), "a b", "New"),
        (feed(&["a", "b", "c"]), feed(&["a", "b"]), "a b", "Event a"),
        (feed(&["b"]), feed(&["a", "b"]), "a b", "Event a"),
    ];
    side_by_side(ways, check_lost_answer);
}

#[test]
fn a_write_whose_answer_was_lost_is_ours_too_after_its_deletion_was_held() {
    let setting = Setting::new(&feed(&["a"]), "on_drift = \"keep\"").mirrored();
    setting.feed.set(calendar(&event("a", "New")));
    setting.dav.take();
    setting.dav.switch(|switches| (switches.drop_after_write, switches.silent_after) = (Some(1), Some(3)));
    setting.env.run(&["run"]).exits(75);
    setting.dav.switch(|switches| (switches.drop_after_write, switches.silent_after) = (None, None));
    setting.feed.set(feed(&[]));
    setting.run(&["--force"]).exits(4);
    setting.run(&["--allow-deletes"]).exits(0);
    assert_eq!(setting.uids(), "");
}

#[test]
fn an_edit_after_a_write_whose_answer_was_lost_is_kept() {
    let setting = Setting::new(&feed(&["a", "b"]), "on_drift = \"keep\"").mirrored();
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event b"))));
    setting.dav.take();
    setting.dav.switch(|switches| (switches.drop_after_write, switches.silent_after) = (Some(1), Some(3)));
    setting.env.run(&["run"]).exits(75);
    setting.dav.switch(|switches| (switches.drop_after_write, switches.silent_after) = (None, None));
    setting.edit("a", "Edited");
    setting.feed.set(feed(&["b"]));
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a b");
}

#[test]
fn a_deletion_on_the_server_is_undone_or_kept() {
    for (keys, uids) in [("", "a b"), ("on_drift = \"keep\"", "b")] {
        let setting = watched(keys);
        let name = setting.name_of("a");
        setting.dav.work(|work| work.delete(&name));
        setting.run(&[]).exits(0);
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), uids, "{keys}");
    }
}

#[test]
fn a_drift_that_nobody_looks_for_waits_for_its_hour() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Edited") && setting.methods().is_empty());
    setting.env.later(3600);
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn an_edit_that_the_server_makes_again_and_again_is_accepted_after_one_restore() {
    let setting = watched("");
    for _ in 0..2 {
        setting.edit("a", "Its own");
        setting.run(&[]).exits(0);
    }
    assert!(setting.text_of("a").contains("SUMMARY:Its own") && setting.writes().is_empty());
}

#[test]
fn a_dry_run_counts_what_it_would_undo() {
    let setting = watched("");
    let name = setting.name_of("b");
    setting.edit("a", "Edited");
    setting.dav.work(|work| work.delete(&name));
    setting.feed.set(feed(&["a", "b", "c"]));
    let told = setting.run(&["--dry-run", "--json"]).exits(0).json();
    let [created, updated, restored] = ["created", "updated", "restored"].map(|key| &told["subscriptions"][0][key]);
    assert_eq!([created, updated, restored], [2, 1, 2]);
}

#[test]
fn what_the_server_makes_of_an_object_is_known_under_a_new_uid_too() {
    let setting = watched("");
    for _ in 0..2 {
        setting.edit("a", "Its own");
        setting.run(&[]).exits(0);
    }
    setting.feed.set(calendar(&(event("new", "Event a") + &event("b", "Event b"))));
    setting.run(&[]).exits(0);
    let (name, text) = (setting.name_of("a"), setting.text_of("a"));
    setting.dav.work(|work| work.put(&name, text.replace("DTSTAMP:2026", "DTSTAMP:2027")));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Its own") && setting.writes().is_empty());
}

/// Mirrors `a` and `b` with kept edits, and then a feed in which `a` says `New`, but for what the server refuses.
fn renewed(refused: Refusal, feed: String, code: i32) -> Setting {
    let setting = watched("on_drift = \"keep\"");
    setting.dav.switch(|switches| switches.refusals = vec![refused]);
    setting.feed.set(feed);
    setting.run(&[]).exits(code);
    setting
}

#[test]
fn a_write_that_arrives_when_its_event_has_left_the_feed_is_ours_and_deleted() {
    let busy = Refusal { text: "New", answer: Answer::new(503).header("Retry-After", "600") };
    let setting = renewed(busy, calendar(&(event("a", "New") + &event("b", "Event b"))), 75);
    setting.feed.set(feed(&["b", "c"]));
    let (name, late) = (setting.name_of("a"), object("a", "New"));
    let mut is_there = false;
    setting.dav.meddle(move |_, work| {
        // The create of `c` is through, the delete of `a` is about to come.
        if !is_there && work.objects.len() == 3 {
            is_there = true;
            work.put(&name, late.clone());
        }
    });
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "b c");
}

#[test]
fn who_makes_of_an_object_what_it_once_was_has_edited_it_even_while_another_one_is_refused() {
    let bad = || event("bad", "Bad") + &event("b", "Event b");
    let refused = Refusal { text: "UID:bad", answer: Answer::new(415) };
    let setting = renewed(refused, calendar(&(event("a", "New") + &bad())), 3);
    setting.feed.set(calendar(&(event("a", "Newer") + &bad())));
    setting.run(&[]).exits(0);
    setting.edit("a", "New");
    setting.feed.set(calendar(&bad()));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
}

#[test]
fn a_state_that_was_lost_costs_no_write() {
    let setting = watched("");
    setting.env.forget_state();
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((setting.writes(), &told["subscriptions"][0]["adopted"]), (vec![], &2.into()));
}

#[test]
fn what_left_the_feed_while_the_state_was_lost_is_deleted_when_a_person_says_so() {
    let setting = watched("");
    setting.dav.work(|work| work.put("mine.ics", object("mine", "Mine")));
    setting.env.forget_state();
    setting.feed.set(feed(&["b"]));
    for _ in 0..2 {
        setting.run(&[]).exits(4);
    }
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b mine", vec![]));
    setting.env.run(&["approve", "work"]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("b mine", vec!["DELETE 204".to_owned()]));
}

#[test]
fn a_calendar_that_was_made_anew_is_filled_again() {
    for keys in ["", "verify = \"always\""] {
        let setting = Setting::new(&feed(&["a", "b"]), keys).mirrored();
        // Its counter begins at 1: the token that we remember is one of the future.
        setting.dav.work(|work| *work = Calendar::default());
        setting.env.later(3600);
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a b");
    }
}

/// Makes the calendar anew; somebody puts objects of their own into it until it has seen more changes than the old one.
fn make_anew(setting: &Setting) {
    setting.dav.work(|work| *work = Calendar::default());
    for number in 0..9 {
        setting.dav.work(|work| work.put(&format!("{number}.ics"), object(&format!("m{number}"), "Mine")));
    }
}

#[test]
fn a_calendar_that_was_made_anew_and_outgrew_the_old_one_is_noticed_at_the_next_look() {
    let setting = watched("");
    make_anew(&setting);
    setting.run(&[]).exits(0);
    // The canary rides along in the first multiget.
    assert_eq!(
        setting.methods(),
        ["PROPFIND", "REPORT", "REPORT", "GET", "PROPFIND", "REPORT", "REPORT", "PUT", "PUT", "REPORT"],
        "look, changes, read, the canary once more; list, read, look again, write, settle"
    );
    assert!(setting.uids().starts_with("a b m0"), "{}", setting.uids());
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
}

#[test]
fn a_calendar_that_was_made_anew_is_noticed_too_when_nothing_in_it_is_new() {
    let setting = watched("");
    setting.dav.work(|work| work.put("mine.ics", object("m", "Mine")));
    setting.run(&[]).exits(0);
    setting.dav.work(|work| *work = Calendar::default());
    (0..9).for_each(|_| drop(setting.dav.work(|work| work.put("mine.ics", object("m", "Mine")))));
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods()[..4], ["PROPFIND", "REPORT", "GET", "PROPFIND"]);
    assert_eq!(setting.uids(), "a b m");
}

#[test]
fn a_calendar_that_was_made_anew_is_noticed_by_a_pass_with_another_feed() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    make_anew(&setting);
    setting.feed.set(feed(&["a", "b", "c"]));
    setting.run(&[]).exits(0);
    assert!(setting.uids().starts_with("a b c m0"), "{}", setting.uids());
}

#[test]
fn a_calendar_that_was_made_anew_and_has_our_mark_is_noticed_by_an_update_or_within_a_week() {
    for is_update in [true, false] {
        let setting = watched("");
        setting.dav.work(|work| *work = Calendar::default());
        for name in ["m1", "m2"] {
            setting.dav.work(|work| work.put(&format!("{name}.ics"), object(name, "Mine")));
        }
        setting.run(&[]).exits(0);
        assert_eq!((setting.uids().as_str(), setting.methods()), ("m1 m2", vec!["PROPFIND".to_owned()]));
        if is_update {
            setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event b"))));
        } else {
            setting.env.later(7 * 86_400);
        }
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a b m1 m2");
    }
}

#[test]
fn a_calendar_that_came_back_from_a_backup_and_outgrew_itself_misses_what_was_written_last() {
    let setting = watched("");
    let backup = setting.dav.work(|work| work.clone());
    // Of the three names that of `h` comes last.
    setting.feed.set(feed(&["a", "b", "h"]));
    setting.run(&[]).exits(0);
    setting.dav.work(|work| *work = backup);
    (0..9).for_each(|_| drop(setting.dav.work(|work| work.put("mine.ics", object("m", "Mine")))));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a b h m");
}

#[test]
fn an_edit_costs_one_read_however_doubtful_the_changes_are() {
    let setting = watched("");
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND", "REPORT", "REPORT", "PUT", "REPORT"]);
}

#[test]
fn a_calendar_that_came_back_from_a_backup_is_brought_up_to_date() {
    let setting = watched("");
    let backup = setting.dav.work(|work| work.clone());
    setting.feed.set(feed(&["b", "c"]));
    setting.run(&[]).exits(0);
    setting.dav.work(|work| *work = backup);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "b c");
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_feed_that_issues_new_uids_at_every_fetch_is_not_written_again() {
    let titles = ["Event a", "Event b"];
    let with = |mark: &str| calendar(&titles.map(|title| event(&format!("{mark}-{title}"), title)).concat());
    let setting = Setting::new(&with("1"), "").mirrored();
    setting.feed.set(with("2"));
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((setting.writes(), &told["subscriptions"][0]["renamed"]), (vec![], &2.into()));
}

#[test]
fn a_second_object_of_an_event_goes_and_the_first_stays_recorded() {
    let setting = watched("");
    let second = format!("{}-{:032}.ics", &setting.name_of("a")[..8], 0);
    setting.dav.work(|work| work.put(&second, object("a", "Event a")));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec!["DELETE 204".to_owned()]));
    let status = setting.env.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["subscriptions"][0]["objects"], 2);
}

#[test]
fn a_state_that_was_lost_costs_no_write_of_a_feed_that_issues_new_uids_at_every_fetch() {
    let with = |mark: &str, events: usize| {
        let events = (0..events).map(|number| event(&format!("{mark}-{number}"), &format!("Event {number}")));
        calendar(&events.collect::<String>())
    };
    let setting = Setting::new(&with("1", 12), "").mirrored();
    setting.env.forget_state();
    setting.feed.set(with("2", 12));
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((setting.writes(), &told["subscriptions"][0]["renamed"]), (vec![], &12.into()));
    setting.feed.set(with("3", 11));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), ["DELETE 204"]);
    setting.env.forget_state();
    setting.feed.set(with("4", 10));
    setting.run(&[]).exits(4);
    setting.run(&["--allow-deletes"]).exits(0);
    assert_eq!(setting.writes(), ["DELETE 204"]);
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn passes_that_ask_for_changes_alone_do_not_put_the_weekly_listing_off() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    for uids in [&["a", "b", "c"][..], &["a", "b"]] {
        setting.env.later(4 * 86_400);
        setting.feed.set(feed(uids));
        setting.run(&[]).exits(0);
    }
    let listed = setting.asked().iter().any(|asked| asked.method == "PROPFIND" && asked.header("depth") == Some("1"));
    assert!(listed, "eight days after the first listing");
}
