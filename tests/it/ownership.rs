//! Whose an object is: those of other people and of other subscriptions in the same calendar, and UIDs that both have.

use crate::env::subscription;
use crate::fake::feed::Feed;
use crate::setting::{Setting, calendar, event, feed, object, watched};

#[test]
fn a_foreign_object_is_never_touched() {
    let setting = watched("");
    setting.dav.work(|work| work.put("mine.ics", object("mine", "Mine")));
    setting.run(&[]).exits(0);
    setting.dav.work(|work| work.put("mine.ics", object("mine", "Still mine")));
    setting.feed.set(feed(&["a"]));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&[]));
    setting.run(&[]).exits(4);
    setting.run(&["--allow-deletes"]).exits(0);
    setting.run(&["--full"]).exits(0);
    assert!(setting.uids() == "mine" && setting.text_of("mine").contains("Still mine"));
}

#[test]
fn a_foreign_object_costs_no_second_look() {
    let setting = watched("");
    setting.dav.work(|work| work.put("mine.ics", object("mine", "Mine")));
    setting.run(&[]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
}

#[test]
fn a_foreign_object_that_came_while_the_feed_stood_still_is_not_doubled_later() {
    let setting = watched("");
    setting.dav.work(|work| work.put("mine.ics", object("c", "Mine")));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["a", "b", "c"]));
    setting.run(&[]).exits(3);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b c", vec![]));
}

#[test]
fn a_foreign_object_that_went_while_the_feed_stood_still_is_in_nobody_s_way_later() {
    let setting = watched("");
    setting.dav.work(|work| work.put("mine.ics", object("c", "Mine")));
    setting.run(&["--full"]).exits(0);
    setting.dav.work(|work| work.delete("mine.ics"));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["a", "b", "c"]));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b c", vec!["PUT 201".to_owned()]));
}

#[test]
fn an_event_that_was_left_alone_is_mirrored_when_the_foreign_object_is_gone() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"");
    setting.dav.work(|work| work.put("mine.ics", object("a", "Mine")));
    setting.run(&[]).exits(3);
    setting.dav.work(|work| work.delete("mine.ics"));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn two_feeds_in_one_calendar_do_not_disturb_each_other() {
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(feed(&["b"])).with_etag());
    let second =
        subscription(&other.url(), "work", "verify = \"always\"").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", "verify = \"always\"") + &second));
    setting.run(&[]).exits(0);
    setting.run(&[]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"; 2]);
}

/// Mirrors a feed into a calendar in which the UID `a` stands under a foreign name.
#[track_caller]
fn check_conflict(keys: &str, title: &str, code: i32, expected: &str) {
    let setting = Setting::new(&feed(&["a", "b"]), keys);
    setting.dav.work(|work| work.put("mine.ics", object("a", title)));
    let ran = setting.run(&[]).exits(code);
    assert_eq!(ran.stderr.contains("left alone: “Event a” (UID a)"), code == 3, "{ran}");
    assert_eq!(setting.uids(), "a b");
    assert!(setting.text_of("a").contains(&format!("SUMMARY:{expected}\r\n")), "{}", setting.text_of("a"));
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_foreign_object_with_the_same_uid_and_content_is_taken_over_when_the_subscription_says_so() {
    check_conflict("on_conflict = \"equal\"", "Event a", 0, "Event a");
    check_conflict("on_conflict = \"equal\"", "Mine", 3, "Mine");
}

#[test]
fn a_foreign_object_with_the_same_uid_and_another_content_is_left_alone_and_named() {
    check_conflict("", "Mine", 3, "Mine");
}

#[test]
fn a_foreign_object_with_the_same_uid_is_taken_over_when_the_subscription_says_so() {
    check_conflict("on_conflict = \"adopt\"", "Mine", 0, "Event a");
}

#[test]
fn a_foreign_object_with_the_same_uid_is_skipped_when_the_subscription_says_so() {
    for keys in ["", "on_conflict = \"skip\""] {
        check_conflict(keys, "Mine", 3, "Mine");
        check_conflict(keys, "Event a", 0, "Event a");
    }
}

#[test]
fn an_adopted_object_costs_no_second_look() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"");
    setting.dav.work(|work| work.put("mine.ics", object("a", "Event a")));
    setting.run(&[]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!((setting.feed.take().len(), setting.methods()), (1, vec!["PROPFIND".to_owned()]));
}

#[test]
fn a_new_object_of_another_subscription_is_no_drift() {
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(feed(&["b"])));
    let second = subscription(&other.url(), "work", "").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", "verify = \"always\"") + &second));
    setting.run(&[]).exits(0);
    setting.run(&["work"]).exits(0);
    assert_eq!(setting.feed.take().len(), 1, "the feed need not be read again");
}

#[test]
fn an_adopted_object_is_ours_and_is_deleted_with_its_event() {
    let setting = Setting::new(&feed(&["a", "b"]), "on_conflict = \"equal\"");
    setting.dav.work(|work| work.put("mine.ics", object("a", "Event a")));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "b");
}

#[test]
fn of_two_subscriptions_with_one_uid_in_one_calendar_the_first_keeps_it() {
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(calendar(&event("a", "Other's"))));
    let second =
        subscription(&other.url(), "work", "on_conflict = \"adopt\"").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", "") + &second));
    setting.run(&["work"]).exits(0);
    let ran = setting.run(&["other"]).exits(3);
    assert!(ran.stderr.contains("another subscription has put this UID into the calendar"), "{ran}");
    setting.run(&[]).exits(0);
    assert!(setting.uids() == "a" && setting.text_of("a").contains("SUMMARY:Event a"));
}

/// Two feeds with the UID `a` in one calendar, which the first one has.
fn contested() -> (Setting, Feed) {
    let (setting, other) = (Setting::new(&feed(&["a", "z"]), ""), Feed::start(feed(&["a", "b"])));
    let second =
        subscription(&other.url(), "work", "verify = \"always\"").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", "verify = \"always\"") + &second));
    setting.run(&["work"]).exits(0);
    setting.run(&["other"]).exits(3);
    (setting, other)
}

#[test]
fn a_uid_of_another_subscription_stays_its_own_when_the_feed_goes_on() {
    let (setting, other) = contested();
    other.set(calendar(&(event("a", "Other's") + &event("c", "Event c"))));
    setting.run(&["other"]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a c z", vec!["PUT 201".into(), "DELETE 204".into()]));
}

#[test]
fn a_uid_that_another_subscription_gave_up_is_mirrored() {
    let (setting, _other) = contested();
    setting.feed.set(feed(&["z"]));
    setting.run(&["work"]).exits(0);
    assert_eq!(setting.uids(), "b z");
    setting.run(&["other"]).exits(0);
    assert_eq!(setting.uids(), "a b z");
}

#[test]
fn an_event_that_someone_moved_to_an_href_of_their_own_is_not_doubled() {
    let setting = watched("on_conflict = \"equal\"");
    let (name, text) = (setting.name_of("a"), setting.text_of("a"));
    let moved = |title: &str| {
        setting.dav.work(|work| work.delete(&name));
        setting.dav.work(|work| work.put("moved.ics", text.replace("Event a", title)));
    };
    moved("Mine");
    setting.run(&[]).exits(3);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
    moved("Event a");
    setting.run(&[]).exits(0);
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "Event b"))));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.name_of("a").as_str()), ("a b", "moved.ics"));
    assert!(setting.text_of("a").contains("SUMMARY:New"));
}

#[test]
fn an_edit_that_is_kept_outlives_its_event_in_the_feed() {
    let setting = watched("on_drift = \"keep\"");
    setting.edit("a", "Edited");
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    setting.run(&["--full"]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
}

#[test]
fn a_uid_of_another_subscription_is_not_written_beside_it_when_the_feed_changes() {
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(calendar(&event("a", "Other's"))));
    let second = subscription(&other.url(), "work", "").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", "") + &second));
    setting.run(&["work"]).exits(0);
    setting.run(&["other"]).exits(3);
    other.set(calendar(&(event("a", "Changed") + &event("b", "Event b"))));
    setting.run(&["other"]).exits(0);
    assert_eq!(setting.uids(), "a b");
}

#[test]
fn what_the_first_subscription_adopted_is_not_taken_over_by_the_second() {
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(calendar(&event("a", "Other's"))));
    setting.dav.work(|work| work.put("mine.ics", object("a", "Event a")));
    let second = subscription(&other.url(), "work", "on_conflict = \"adopt\"");
    let second = second.replace("\"work\"\nsource", "\"other\"\nsource");
    let first = subscription(&setting.feed.url(), "work", "on_conflict = \"equal\"");
    setting.configure(&(first + &second));
    setting.run(&["work"]).exits(0);
    setting.run(&["other"]).exits(3);
    assert!(setting.uids() == "a" && setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn of_two_subscriptions_that_write_one_calendar_in_two_ways_the_first_keeps_the_uid() {
    for spelling in ["work", "/dav.php/calendars/alice/work", "calendars/alice/w%6frk/", "URL"] {
        let setting = Setting::new(&feed(&["a"]), "");
        let other = Feed::start(calendar(&(event("a", "Other's") + &event("b", "Event b"))));
        setting.dav.work(|work| work.put("mine.ics", object("a", "Event a")));
        let spelling = spelling.replace("URL", setting.dav.calendar_url("work").trim_end_matches('/'));
        let second = subscription(&other.url(), &spelling, "on_conflict = \"adopt\"");
        let second = second.replace("\"work\"\nsource", "\"other\"\nsource");
        let first = subscription(&setting.feed.url(), "calendars/alice/work/", "on_conflict = \"equal\"");
        setting.configure(&(first + &second));
        setting.run(&["work"]).exits(0);
        let ran = setting.run(&["other"]).exits(3);
        assert!(ran.stderr.contains("another subscription has put this UID into the calendar"), "{spelling}: {ran}");
        setting.run(&[]).exits(0);
        assert!(setting.uids() == "a b" && setting.text_of("a").contains("SUMMARY:Event a"), "{spelling}");
    }
}

#[test]
fn two_feeds_in_one_calendar_delete_only_their_own() {
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(feed(&["b"])));
    let second = subscription(&other.url(), "work", "").replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", "") + &second));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&[]));
    setting.run(&[]).exits(4);
    setting.run(&["--allow-deletes", "--full"]).exits(0);
    assert_eq!(setting.uids(), "b");
}
