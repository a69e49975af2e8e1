//! `deletes = "future"`: what had ended before it left the feed stays. All dates are far in the past or far ahead.

use crate::env::subscription;
use crate::fake::feed::Feed;
use crate::fake::http::Asked;
use crate::setting::{Setting, calendar, feed, object};

const WINDOWS: &str = "BEGIN:VTIMEZONE\r\nTZID:W. Europe Standard Time\r\nBEGIN:STANDARD\r\nDTSTART:16010101T030000\r\n\
    TZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n\
    END:VTIMEZONE\r\n";

/// An event that begins as these lines say.
fn event(uid: &str, lines: &str) -> String {
    let lines = lines.replace(" | ", "\r\n");
    format!("BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20200101T000000Z\r\nSUMMARY:Event {uid}\r\n{lines}\r\nEND:VEVENT\r\n")
}

fn past(uid: &str) -> String {
    event(uid, "DTSTART:20010101T090000Z | DTEND:20010101T100000Z")
}

fn ahead(uid: &str) -> String {
    event(uid, "DTSTART:29990101T090000Z | DTEND:29990101T100000Z")
}

/// A mirrored calendar of the past event `a`, the coming event `b` and the event `stays`; every pass looks at it.
fn mirrored(keys: &str) -> Setting {
    let keys = format!("deletes = \"future\"\nverify = \"always\"\n{keys}");
    Setting::new(&calendar(&(past("a") + &ahead("b") + &ahead("stays"))), &keys).mirrored()
}

/// The feed holds these components from now on.
fn set(setting: &Setting, components: &str) {
    setting.feed.set(calendar(components));
}

/// Whether the last run read objects: one by GET, several by a multiget.
fn reads(setting: &Setting) -> bool {
    setting.asked().iter().any(|asked| asked.method == "GET" || asked.text().contains("multiget"))
}

/// Mirrors an event, takes it out of the feed and sees whether it stays.
#[track_caller]
fn check(lines: &str, stays: bool) {
    let whole = calendar(&(WINDOWS.to_owned() + &event("e", lines) + &ahead("other")));
    let setting = Setting::new(&whole, "deletes = \"future\"").mirrored();
    set(&setting, &ahead("other"));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), if stays { "e other" } else { "other" }, "{lines}");
}

#[test]
fn what_had_ended_stays_and_the_rest_that_left_the_feed_is_deleted() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a stays", vec!["DELETE 204".to_owned()]));
}

#[test]
fn the_end_of_the_last_occurrence_counts() {
    check("DTSTART;VALUE=DATE:20010101", true);
    check("DTSTART;TZID=W. Europe Standard Time:20010101T090000 | DURATION:PT1H", true);
    check("DTSTART;TZID=W. Europe Standard Time:20010101T090000 | RRULE:FREQ=WEEKLY;COUNT=20", true);
    check("DTSTART:20010101T090000Z | RRULE:FREQ=WEEKLY;UNTIL=20020101T000000Z", true);
    check("DTSTART:20010101T090000Z | RRULE:FREQ=WEEKLY", false);
    check("DTSTART:20010101T090000Z | RRULE:FREQ=YEARLY;UNTIL=29990101T000000Z", false);
    check("DTSTART:20010101T090000Z | RDATE:29990101T090000Z", false);
    check("DTSTART:20010101T090000Z | RRULE:FREQ=SOMETIMES", true);
}

#[test]
fn what_stays_though_no_record_knows_it_is_read_once() {
    let setting = Setting::new(&feed(&["a", "b"]), "deletes = \"none\"\nverify = \"always\"");
    setting.dav.switch(|switches| switches.no_sync_collection = true);
    setting.run(&[]).exits(0);
    setting.env.forget_state();
    let name = setting.name_of("a");
    setting.feed.set(feed(&["b"]));
    for (others, is_read) in [("mine.ics", true), ("more.ics", false)] {
        // A calendar that has changed is listed.
        setting.dav.work(|work| work.put(others, object(others, "Mine")));
        setting.run(&[]).exits(0);
        let names_it = |asked: &Asked| asked.target.contains(&name) || asked.text().contains(&name);
        assert_eq!(setting.asked().iter().any(names_it), is_read, "{others}");
    }
}

#[test]
fn what_was_kept_is_read_once_and_costs_nothing_afterwards() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods().iter().filter(|method| *method == "REPORT").count(), 2);
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!(
        (&told["subscriptions"][0]["outcome"], setting.methods()),
        (&"unchanged".into(), vec!["PROPFIND".to_owned()])
    );
    set(&setting, &(ahead("stays") + &ahead("new")));
    setting.run(&[]).exits(0);
    assert!(!reads(&setting));
}

#[test]
fn a_feed_that_issues_new_uids_is_not_read_for_what_ended() {
    let renamed = |uid: &str| calendar(&past("a").replace("UID:a", &format!("UID:{uid}")));
    let setting = Setting::new(&renamed("1"), "deletes = \"future\"").mirrored();
    setting.feed.set(renamed("2"));
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((reads(&setting), &told["subscriptions"][0]["renamed"]), (false, &1.into()));
}

#[test]
fn what_was_kept_is_not_restored() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    setting.run(&["--full"]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Edited") && setting.writes().is_empty());
    let name = setting.name_of("a");
    setting.dav.work(|work| work.delete(&name));
    setting.run(&[]).exits(0);
    setting.run(&["--full"]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("stays", vec![]));
}

#[test]
fn what_was_kept_lives_again_when_the_feed_has_it_again() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    set(&setting, &(past("a") + &ahead("stays")));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
    set(&setting, &(ahead("a") + &ahead("stays")));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("DTSTART:2999"));
}

#[test]
fn what_was_kept_and_edited_follows_the_feed_when_that_has_it_again() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    set(&setting, &(past("a") + &ahead("stays")));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn what_is_kept_does_not_count_for_the_guards() {
    let uids: Vec<String> = (0..30).map(|number| format!("e{number}")).collect();
    let whole: String = uids.iter().map(|uid| past(uid)).collect();
    let setting = Setting::new(&calendar(&(whole + &ahead("b"))), "deletes = \"future\"").mirrored();
    set(&setting, &ahead("b"));
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
    set(&setting, &ahead("c"));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), ["PUT 201", "DELETE 204"]);
    assert_eq!(setting.uids().split(' ').count(), 31);
}

#[test]
fn an_empty_feed_deletes_nothing_of_the_future_either() {
    let setting = mirrored("");
    set(&setting, "");
    let ran = setting.run(&[]).exits(4);
    assert!(ran.stderr.contains("2 deletions held back"), "{ran}");
    setting.run(&["work", "--allow-deletes"]).exits(0);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn a_state_that_was_lost_keeps_what_had_ended_and_remembers_it() {
    let setting = mirrored("");
    setting.env.forget_state();
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(4);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b stays", vec![]));
    setting.env.run(&["approve", "work"]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a stays", vec!["DELETE 204".to_owned()]));
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
}

#[test]
fn a_dry_run_says_what_would_stay() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    let told = setting.run(&["--dry-run"]).exits(0).stdout;
    assert!(told.contains("Event a  [left the feed after it had ended, and stays]"), "{told}");
    assert_eq!(setting.uids(), "a b stays");
}

#[test]
fn what_was_kept_is_deleted_when_everything_that_leaves_the_feed_shall_be() {
    let setting = mirrored("");
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    let config = subscription(&setting.feed.url(), "calendars/alice/work/", "deletes = \"all\"");
    setting.configure(&config);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "stays");
}

#[test]
fn what_is_held_back_is_judged_once() {
    let setting = mirrored("");
    set(&setting, "");
    setting.run(&[]).exits(4);
    setting.run(&[]).exits(4);
    assert_eq!(setting.methods(), ["PROPFIND"]);
    // It had not ended when it left the feed, whatever the calendar says of it by now.
    let told = setting.run(&["--dry-run"]).exits(4).stdout;
    assert!(!told.contains("after it had ended"), "{told}");
    set(&setting, &(ahead("b") + &ahead("stays")));
    setting.run(&[]).exits(0);
    set(&setting, &ahead("stays"));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a stays");
}

#[test]
fn what_was_edited_while_nothing_was_deleted_follows_its_event_when_that_comes_back() {
    let keys = "deletes = \"none\"\nverify = \"always\"";
    let setting = Setting::new(&feed(&["a", "b"]), keys).mirrored();
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    setting.edit("a", "Edited");
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Edited"));
    setting.feed.set(feed(&["a", "b"]));
    setting.run(&[]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn a_uid_that_another_subscription_released_is_not_doubled() {
    let keys = "verify = \"always\"\non_drift = \"keep\"";
    let (setting, other) = (Setting::new(&feed(&["a"]), ""), Feed::start(feed(&["a", "b"])));
    let second = subscription(&other.url(), "work", keys).replace("\"work\"\nsource", "\"other\"\nsource");
    setting.configure(&(subscription(&setting.feed.url(), "work", keys) + &second));
    setting.run(&["other"]).exits(0);
    setting.run(&["work"]).exits(3);
    setting.edit("a", "Edited");
    setting.run(&["work"]).exits(0);
    other.set(feed(&["b"]));
    setting.run(&["other"]).exits(0);
    setting.feed.set(feed(&["a", "c"]));
    setting.run(&["work"]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b c", vec!["PUT 201".to_owned()]));
}
