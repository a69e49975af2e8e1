//! Deletions that look like an accident are held back until a person releases them.

use crate::fake::dav::Refusal;
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, event, feed, feed_of};

const DAY: i64 = 86_400;

/// A calendar of thirty events whose feed is suddenly empty.
fn emptied(keys: &str) -> Setting {
    let setting = Setting::new(&feed_of(30), keys).mirrored();
    setting.feed.set(feed(&[]));
    setting
}

fn count(setting: &Setting) -> usize {
    setting.dav.work(|work| work.objects.len())
}

#[test]
fn a_feed_that_is_suddenly_empty_deletes_nothing_and_says_what_releases_it() {
    let setting = emptied("");
    let ran = setting.run(&[]).exits(4);
    let told = "work: 30 deletions held back: the feed is empty while the last one was not. If that is right: baikal-sync approve work\n";
    assert_eq!((ran.stderr.as_str(), count(&setting)), (told, 30));
}

#[test]
fn an_empty_feed_claims_nothing_when_the_state_was_lost() {
    let setting = emptied("");
    setting.env.forget_state();
    for flags in [&[][..], &["--allow-deletes"]] {
        setting.run(flags).exits(0);
    }
    assert_eq!(count(&setting), 30);
    setting.feed.set(feed_of(30));
    setting.run(&[]).exits(0);
    assert_eq!((count(&setting), setting.writes()), (30, vec![]));
}

#[test]
fn a_hold_is_told_once_and_then_daily_and_exits_4_all_the_time() {
    let setting = emptied("");
    setting.run(&[]).exits(4);
    assert_eq!(setting.run(&[]).exits(4).stderr, "");
    setting.env.later(DAY);
    assert!(setting.run(&[]).exits(4).stderr.contains("30 deletions held back"));
}

#[test]
fn a_304_does_not_hide_a_hold() {
    let setting = emptied("");
    setting.run(&[]).exits(4);
    let told = setting.run(&["--json"]).exits(4).json();
    let work = &told["subscriptions"][0];
    assert_eq!((&work["outcome"], &work["held"]["deletes"]), (&"held".into(), &30.into()), "{work:#}");
}

#[test]
fn a_hold_that_is_not_due_still_exits_4() {
    let setting = emptied("every = \"1h\"");
    setting.run(&["--force"]).exits(4);
    setting.run(&[]).exits(4);
    assert_eq!(setting.feed.take().len(), 0);
}

#[test]
fn a_person_releases_a_hold() {
    let setting = emptied("");
    setting.run(&[]).exits(4);
    setting.run(&["work", "--allow-deletes"]).exits(0);
    assert_eq!(count(&setting), 0);
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
}

#[test]
fn a_feed_that_comes_back_ends_the_hold_without_a_write() {
    let setting = emptied("");
    setting.run(&[]).exits(4);
    setting.feed.set(feed_of(30));
    let ran = setting.run(&[]).exits(0);
    assert_eq!((ran.stderr.as_str(), setting.writes()), ("work: in order again\n", vec![]));
}

#[test]
fn an_empty_feed_that_may_be_empty_empties_the_calendar() {
    let setting = emptied("on_empty = \"accept\"");
    setting.run(&[]).exits(0);
    assert_eq!(count(&setting), 0);
}

#[test]
fn more_deletions_than_max_delete_are_held_and_the_rest_is_done() {
    let setting = Setting::new(&feed_of(30), "").mirrored();
    let shrunk = feed_of(14).replace("Event e0", "Changed");
    setting.feed.set(shrunk.replace(&event("e1", "Event e1"), &event("new", "New")));
    let ran = setting.run(&[]).exits(4);
    assert!(
        ran.stderr.contains("17 deletions held back: 17 of 30 objects would be deleted; max_delete is 50%"),
        "{ran}"
    );
    assert_eq!(setting.writes(), ["PUT 204", "PUT 201"]);
}

#[test]
fn up_to_ten_and_up_to_max_delete_are_no_accident() {
    for (before, after, keys, code) in [
        (11, 1, "", 0),
        (30, 15, "", 0),
        (30, 18, "max_delete = 11", 4),
        (30, 19, "max_delete = 11", 0),
        (30, 18, "max_delete = \"40%\"", 0),
    ] {
        let setting = Setting::new(&feed_of(before), keys).mirrored();
        setting.feed.set(feed_of(after));
        setting.run(&[]).exits(code);
        assert_eq!(count(&setting), if code == 0 { after } else { before }, "{before} to {after} {keys}");
    }
}

#[test]
fn deletes_none_deletes_nothing_and_holds_nothing() {
    let setting = Setting::new(&feed_of(3), "deletes = \"none\"").mirrored();
    setting.feed.set(feed_of(1));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&[]));
    setting.run(&[]).exits(0);
    assert_eq!(count(&setting), 3);
}

#[test]
fn an_edit_under_a_hold_is_restored_when_the_feed_comes_back() {
    let setting = emptied("verify = \"always\"");
    setting.edit("e3", "Edited");
    setting.run(&[]).exits(4);
    setting.feed.set(feed_of(30));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("e3").contains("SUMMARY:Event e3"));
}

#[test]
fn a_feed_that_lost_most_with_the_state_deletes_nothing_and_goes_on_when_it_is_whole() {
    let setting = Setting::new(&feed_of(30), "").mirrored();
    setting.env.forget_state();
    setting.feed.set(feed_of(5));
    setting.run(&["--allow-deletes"]).exits(0);
    setting.feed.set(feed_of(20));
    setting.run(&[]).exits(4);
    assert_eq!((count(&setting), setting.writes()), (30, vec![]));
    setting.run(&["--allow-deletes"]).exits(0);
    assert_eq!(count(&setting), 20);
}

#[test]
fn a_hold_of_a_feed_that_issues_new_uids_ends_when_the_events_are_back() {
    let with = |mark: &str, events: usize| {
        let events = (0..events).map(|number| event(&format!("{mark}-{number}"), &format!("Event {number}")));
        calendar(&events.collect::<String>())
    };
    let setting = Setting::new(&with("a", 30), "").mirrored();
    setting.feed.set(with("b", 5));
    setting.run(&[]).exits(4);
    setting.feed.set(with("c", 5));
    setting.run(&[]).exits(4);
    setting.feed.set(with("d", 30));
    setting.run(&[]).exits(0);
    assert_eq!((count(&setting), setting.writes()), (30, vec![]));
}

#[test]
fn what_was_rejected_of_the_last_feed_was_never_there_when_deletions_are_judged() {
    let setting = Setting::new(&feed_of(40), "");
    let refusals = ["SUMMARY:Event e2", "SUMMARY:Event e3"].map(|text| Refusal { text, answer: Answer::new(415) });
    setting.dav.switch(|switches| switches.refusals = refusals.into());
    setting.run(&[]).exits(3);
    assert_eq!(count(&setting), 18);
    // Eleven of the eighteen that stand there go: more than half of them, though less than half of the feed.
    let left = |number: &usize| matches!(number, 2..=3 | 7..=9 | 16..);
    let uids: Vec<String> = (0..40).filter(left).map(|number| format!("e{number}")).collect();
    setting.feed.set(feed(&uids.iter().map(String::as_str).collect::<Vec<_>>()));
    setting.run(&[]).exits(4);
    assert_eq!(count(&setting), 18);
}
