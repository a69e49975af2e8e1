//! One bad event is one bad event; and writes whose outcome nobody knows.

use crate::env::subscription;
use crate::fake::dav::Refusal;
use crate::fake::dav_answer::{error, unexpandable, unsupported};
use crate::fake::dav_store::Calendar;
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, event, feed, object, side_by_side};

const WEEK: i64 = 7 * 86_400;

/// A server that refuses the event `bad` with this answer.
fn refusing(answer: Answer) -> Setting {
    let setting = Setting::new(&feed(&["a", "bad", "c"]), "");
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "UID:bad", answer }]);
    setting
}

fn bad() -> Answer {
    unsupported("Validation error in iCalendar: bad")
}

#[test]
fn a_bad_event_is_named_and_the_others_are_mirrored() {
    let setting = refusing(bad());
    let ran = setting.run(&[]).exits(3);
    assert_eq!(ran.stderr, "work: not mirrored: “Event bad” (UID bad): Validation error in iCalendar: bad\n");
    assert_eq!(setting.uids(), "a c");
}

#[test]
fn every_answer_that_blames_one_object_rejects_that_object_alone() {
    let condition = "<cal:valid-calendar-data/>";
    let forbidden = Answer { status: 403, ..error("DAV\\Exception\\Forbidden", "no", condition) };
    let answers = [Answer::new(400), Answer::new(413), forbidden, unexpandable("Invalid part in BYDAY clause: XX")];
    for answer in answers {
        let status = answer.status;
        let setting = refusing(answer);
        let told = setting.run(&["--json"]).exits(3).json();
        assert_eq!(told["subscriptions"][0]["rejected"][0]["uid"], "bad", "{status}");
        assert_eq!(setting.uids(), "a c", "{status}");
    }
}

#[test]
fn a_bad_event_of_a_feed_that_issues_new_uids_is_not_sent_again() {
    let with = |mark: &str| calendar(&["a", "bad"].map(|title| event(&format!("{mark}-{title}"), title)).concat());
    let setting = Setting::new(&with("1"), "");
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "SUMMARY:bad", answer: bad() }]);
    setting.run(&[]).exits(3);
    for mark in ["2", "3"] {
        setting.feed.set(with(mark));
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "fetch {mark}");
    }
}

#[test]
fn a_server_that_fails_twice_on_one_object_rejects_it() {
    let setting = refusing(Answer::new(500).body("text/html", "<html>Oops</html>"));
    setting.run(&[]).exits(3);
    let tries = setting.writes().iter().filter(|write| *write == "PUT 500").count();
    assert_eq!((setting.uids().as_str(), tries), ("a c", 2));
}

#[test]
fn a_server_that_fails_on_the_only_object_that_changed_rejects_it() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let answer = Answer::new(500).body("text/html", "<html>Oops</html>");
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "SUMMARY:Worse", answer }]);
    setting.feed.set(calendar(&(event("a", "Worse") + &event("b", "Event b"))));
    setting.run(&[]).exits(3);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_server_that_fails_on_every_object_fails_the_pass() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    let answer = Answer::new(500).body("text/html", "<html>Oops</html>");
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "BEGIN:VEVENT", answer }]);
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a b");
}

#[test]
fn a_server_that_begins_to_fail_midway_rejects_nothing() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "");
    setting.dav.switch(|switches| switches.fail_from_write = Some(2));
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.fail_from_write = None);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a b c");
}

#[test]
fn a_rejected_event_is_not_sent_again_and_no_trouble_any_more() {
    let setting = refusing(bad());
    setting.run(&[]).exits(3);
    let ran = setting.run(&[]).exits(0);
    assert_eq!((ran.stderr.as_str(), setting.writes()), ("", vec![]));
    setting.feed.set(feed(&["a", "bad", "d"]));
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), ["PUT 201", "DELETE 204"]);
}

#[test]
fn a_rejected_event_stands_in_the_status() {
    let setting = refusing(bad());
    setting.run(&[]).exits(3);
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(
        status.contains("in order, but for 1 object") && status.contains("“Event bad” (UID bad): Validation"),
        "{status}"
    );
    let json = setting.env.run(&["status", "--json"]).exits(0).json();
    let work = &json["subscriptions"][0];
    assert_eq!(
        (&work["state"], &work["rejected"][0]["uid"], &work["objects"]),
        (&"refusing".into(), &"bad".into(), &2.into())
    );
}

#[test]
fn a_rejected_event_is_tried_again_when_it_changes_with_full_and_after_a_week() {
    let setting = refusing(bad());
    setting.run(&[]).exits(3);
    // A probe follows, for nothing else was written.
    let tried = ["PUT 415", "PUT 204"];
    setting.run(&["--full"]).exits(3);
    assert_eq!(setting.writes(), tried);
    setting.env.later(WEEK + 60);
    let ran = setting.run(&[]).exits(3);
    assert_eq!((setting.writes(), ran.stderr.as_str()), (tried.map(str::to_owned).to_vec(), ""), "it is no news");
    setting.feed.set(calendar(&(event("a", "Event a") + &event("bad", "Changed") + &event("c", "Event c"))));
    setting.run(&[]).exits(3);
    assert_eq!(setting.writes(), tried);
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.uids(), "a bad c");
}

#[test]
fn a_rejected_event_is_tried_again_when_the_settings_change() {
    let setting = refusing(bad());
    setting.run(&[]).exits(3);
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a c");
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", "attendees = \"strip\""));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a bad c");
}

#[test]
fn a_rejected_change_leaves_the_old_version_in_the_calendar() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "Worse", answer: bad() }]);
    setting.feed.set(calendar(&(event("a", "Worse") + &event("b", "Event b"))));
    setting.run(&[]).exits(3);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
    setting.feed.set(feed(&[]));
    setting.run(&[]).exits(4);
    setting.run(&["--allow-deletes"]).exits(0);
    assert_eq!(setting.uids(), "");
}

/// The feed turns to a form that the server refuses, before or after somebody deletes what stands there, and back.
fn back_to_the_old_form(deletes_first: bool) -> Setting {
    let says = |title: &str| calendar(&(event("a", title) + &event("b", &format!("Other {title}"))));
    let setting = Setting::new(&says("One"), "verify = \"always\"").mirrored();
    let refused = Refusal { text: "SUMMARY:Two", answer: bad() };
    let delete = |setting: &Setting| {
        let name = setting.name_of("a");
        setting.dav.work(|work| work.delete(&name));
    };
    setting.dav.switch(|switches| switches.refusals = vec![refused]);
    if deletes_first {
        delete(&setting);
    }
    setting.feed.set(says("Two"));
    setting.run(&[]).exits(3);
    if !deletes_first {
        delete(&setting);
        setting.run(&[]).exits(0);
    }
    setting.feed.set(says("One"));
    setting.run(&[]).exits(0);
    setting
}

#[test]
fn an_old_form_that_somebody_deleted_while_the_new_one_is_refused_is_restored_when_the_feed_goes_back_to_it() {
    for deletes_first in [true, false] {
        let setting = back_to_the_old_form(deletes_first);
        assert_eq!((setting.uids().as_str(), setting.text_of("a").contains("SUMMARY:One")), ("a b", true));
    }
}

#[test]
fn an_old_form_that_somebody_edited_while_the_new_one_is_refused_goes_with_its_event() {
    let says = |title: &str| calendar(&(event("a", title) + &event("b", &format!("Other {title}"))));
    let setting = Setting::new(&says("One"), "verify = \"always\"").mirrored();
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "SUMMARY:Two", answer: bad() }]);
    setting.edit("a", "Mine");
    setting.feed.set(says("Two"));
    setting.run(&[]).exits(3);
    setting.feed.set(calendar(&event("b", "Other Two")));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "b");
}

#[test]
fn what_the_server_refused_and_stored_all_the_same_goes_with_its_event() {
    for keys in ["", "verify = \"always\""] {
        let setting = Setting::new(&feed(&["a", "bad", "c"]), keys);
        setting.dav.switch(|switches| {
            switches.refusals = vec![Refusal { text: "UID:bad", answer: bad() }];
            switches.stores_refused = true;
        });
        setting.run(&[]).exits(3);
        setting.run(&[]).exits(0);
        setting.feed.set(feed(&["a", "bad", "c", "d"]));
        setting.run(&[]).exits(0);
        setting.feed.set(feed(&["a", "c", "d"]));
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a c d", "{keys}");
    }
}

#[test]
fn a_rejected_change_of_an_object_whose_record_was_lost_leaves_no_object_behind() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.env.forget_state();
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "Worse", answer: bad() }]);
    setting.feed.set(calendar(&(event("a", "Worse") + &event("b", "Event b"))));
    setting.run(&[]).exits(3);
    setting.feed.set(feed(&["b"]));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "b");
}

/// Fills a calendar anew while someone else puts an object where `b` is going to stand, after the look at the calendar.
#[track_caller]
fn check_taken_href(meddle: fn(String) -> String, expected: &[&str]) {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let (name, text) = (setting.name_of("b"), meddle(setting.text_of("b")));
    setting.dav.work(|work| *work = Calendar::default());
    setting.env.forget_state();
    // The names begin anew, as the first one does; they end as before.
    setting.dav.meddle(move |_, work| {
        let first = work.objects.keys().next().filter(|_| work.objects.len() == 1);
        if let Some(name) = first.map(|first| format!("{}{}", &first[..9], &name[9..])) {
            work.put(&name, text.clone());
        }
    });
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), expected);
    assert!(setting.uids() == "a b" && setting.text_of("b").contains("SUMMARY:Event b"));
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn an_equal_object_that_someone_put_at_our_href_meanwhile_is_adopted() {
    check_taken_href(|text| text, &["PUT 201", "PUT 412"]);
}

#[test]
fn another_object_that_someone_put_at_our_href_meanwhile_is_updated() {
    check_taken_href(|text| text.replace("Event b", "Old"), &["PUT 201", "PUT 412", "PUT 204"]);
}

#[test]
fn an_object_that_someone_changed_meanwhile_is_read_again_and_restored() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "New"))));
    setting.edit_when("New", "b", "Edited");
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), ["PUT 204", "PUT 412", "PUT 204"]);
    assert!(setting.text_of("b").contains("SUMMARY:New"));
}

#[test]
fn a_put_without_etag_is_settled_by_asking_and_is_not_written_again() {
    for no_sync_collection in [false, true] {
        let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
        setting.dav.switch(|switches| {
            switches.no_etag_on_put = true;
            switches.no_sync_collection = no_sync_collection;
        });
        setting.run(&[]).exits(0);
        // A ctag that our own writes moved proves nothing: without sync-collection one more listing is needed.
        setting.run(&[]).exits(0);
        assert_eq!((setting.writes(), setting.methods().len()), (vec![], 1 + usize::from(no_sync_collection)));
        setting.run(&[]).exits(0);
        assert_eq!(setting.methods(), ["PROPFIND"], "without sync-collection: {no_sync_collection}");
    }
}

#[test]
fn what_the_server_rewrites_is_not_written_again() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
    setting.dav.switch(|switches| {
        switches.rewrites = Some(|text| text.replace("SUMMARY:", "X-SERVER:1\r\nSUMMARY:"));
        switches.no_etag_on_put = true;
    });
    setting.run(&[]).exits(0);
    for arguments in [&[][..], &["--full"], &[]] {
        setting.run(arguments).exits(0);
        assert_eq!(setting.writes(), [""; 0], "{arguments:?}");
    }
}

#[test]
fn a_foreign_object_that_spoils_every_answer_keeps_nobody_out() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    setting.dav.work(|work| (work.put("mine.ics", object("m", "Mine")), work.put("other.ics", object("b", "Event b"))));
    setting.dav.switch(|switches| switches.poisoned = vec!["mine.ics"]);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a b m", "the equal one was adopted");
}

#[test]
fn a_connection_that_breaks_at_any_write_is_made_up_for() {
    for (write, after) in (1..=3).flat_map(|write| [(write, false), (write, true)]) {
        let setting = Setting::new(&feed(&["a", "b", "c"]), "");
        setting.dav.switch(|switches| {
            let place = if after { &mut switches.drop_after_write } else { &mut switches.drop_before_write };
            *place = Some(write);
        });
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a b c", "write {write}, after: {after}");
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "write {write}, after: {after}");
    }
}

#[test]
fn a_server_that_falls_silent_at_any_request_is_made_up_for_by_the_next_pass() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let requests = setting.asked().len();
    let check = |limit: usize| {
        let setting = Setting::new(&feed(&["a", "b"]), "");
        setting.dav.switch(|switches| switches.silent_after = Some(limit));
        setting.run(&[]).exits(75);
        setting.dav.switch(|switches| switches.silent_after = None);
        setting.run(&["--force"]).exits(0);
        assert_eq!(setting.uids(), "a b", "silent after {limit} requests");
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "silent after {limit} requests");
    };
    side_by_side(0..requests, check);
}

#[test]
fn an_event_that_becomes_a_task_while_nothing_is_stored_is_one_as_soon_as_something_is() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let busy = Answer::new(503).header("Retry-After", "600");
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "UID:a", answer: busy }]);
    setting.feed.set(calendar(&(event("a", "Task").replace("VEVENT", "VTODO") + &event("b", "Event b"))));
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.run(&["--force"]).exits(0);
    assert!(setting.uids() == "a b" && setting.text_of("a").contains("BEGIN:VTODO"));
}

#[test]
fn an_event_that_becomes_a_task_takes_its_place() {
    for one_uid in [false, true] {
        let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
        setting.dav.switch(|switches| switches.one_uid = one_uid);
        setting.feed.set(calendar(&(event("a", "Task").replace("VEVENT", "VTODO") + &event("b", "Event b"))));
        setting.run(&[]).exits(0);
        assert!(setting.uids() == "a b" && setting.text_of("a").contains("BEGIN:VTODO"), "{one_uid}");
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "{one_uid}");
    }
}

#[test]
fn an_event_and_a_task_of_one_uid_do_not_keep_a_server_busy_that_takes_each_uid_once() {
    let both = calendar(&(event("a", "Event a") + &event("a", "Task").replace("VEVENT", "VTODO") + &event("b", "b")));
    let setting = Setting::new(&both, "");
    setting.dav.switch(|switches| switches.one_uid = true);
    let ran = setting.run(&[]).exits(3);
    assert!(ran.stderr.contains("this UID stands in another object"), "{ran}");
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
}

#[test]
fn a_uid_that_comes_back_after_it_was_changed_is_another_event() {
    for one_uid in [false, true] {
        let setting = Setting::new(&calendar(&event("old", "Event a")), "").mirrored();
        setting.dav.switch(|switches| switches.one_uid = one_uid);
        setting.feed.set(calendar(&event("new", "Event a")));
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), [""; 0]);
        setting.feed.set(calendar(&(event("new", "Event a") + &event("old", "Event b"))));
        setting.run(&[]).exits(0);
        let titles = || setting.dav.work(|work| work.texts().join("").matches("SUMMARY:Event ").count());
        assert_eq!((setting.writes(), titles()), (vec!["PUT 201".to_owned()], 2), "{one_uid}");
        setting.run(&["--full"]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "{one_uid}");
        setting.env.forget_state();
        setting.run(&[]).exits(0);
        setting.run(&["--full"]).exits(0);
        assert_eq!((setting.writes(), titles()), (vec![], 2), "{one_uid}");
    }
}

/// A server that does not delete the event `bad`, which has left the feed with others.
fn not_deleting(answer: Answer, keys: &str) -> Setting {
    let setting = Setting::new(&feed(&["a", "bad", "c", "d"]), keys).mirrored();
    setting.dav.switch(|switches| switches.undeletable = vec![Refusal { text: "UID:bad", answer }]);
    setting.feed.set(feed(&["d"]));
    setting
}

#[test]
fn an_event_that_the_server_does_not_delete_is_named_and_keeps_no_other() {
    let forbidden = Answer { status: 403, ..error("DAV\\Exception\\Forbidden", "This event is locked", "") };
    let broken = Answer::new(500).body("text/html", "<html>Oops</html>");
    for (answer, reason) in [(forbidden, "This event is locked"), (broken, "answered 500"), (bad(), "Validation")] {
        let setting = not_deleting(answer, "");
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("“Event bad” (UID bad)") && ran.stderr.contains(reason), "{ran}");
        assert_eq!(setting.uids(), "bad d");
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), [""; 0]);
        let status = setting.env.run(&["status"]).exits(0).stdout;
        assert!(status.contains(reason), "{status}");
        setting.env.later(WEEK + 60);
        setting.dav.switch(|switches| switches.undeletable = vec![]);
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "d");
    }
}

#[test]
fn an_event_that_the_server_did_not_delete_is_mirrored_again_when_it_comes_back() {
    let setting = not_deleting(bad(), "");
    setting.run(&[]).exits(3);
    setting.feed.set(calendar(&(event("bad", "New") + &event("d", "Event d"))));
    setting.run(&[]).exits(0);
    assert!(setting.uids() == "bad d" && setting.text_of("bad").contains("SUMMARY:New"));
    let status = setting.env.run(&["status"]).exits(0).stdout;
    assert!(status.starts_with("work: in order\n"), "{status}");
}

#[test]
fn a_server_that_deletes_nothing_fails_the_pass_and_is_asked_again() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    setting.feed.set(feed(&["c"]));
    setting.dav.switch(|switches| switches.fail_from_write = Some(1));
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.fail_from_write = None);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "c");
}

#[test]
fn a_user_who_may_not_delete_is_77_and_nothing_is_given_up() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    setting.dav.switch(|switches| switches.no_unbind = true);
    let forbidden = Answer::new(403).body("text/plain", "Access to the requested resource forbidden.");
    let refusal = Refusal { text: "BEGIN:VEVENT", answer: forbidden };
    setting.dav.switch(|switches| switches.undeletable = vec![refusal]);
    setting.feed.set(feed(&["c"]));
    let ran = setting.run(&[]).exits(77);
    assert!(ran.stderr.contains("no right to delete anything in this calendar"), "{ran}");
    setting.dav.switch(|switches| (switches.undeletable, switches.no_unbind) = (vec![], false));
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "c");
}

#[test]
fn deletions_that_are_refused_one_by_one_are_named_when_the_calendar_is_in_order() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    let refusal = Refusal { text: "BEGIN:VEVENT", answer: Answer::new(403) };
    setting.dav.switch(|switches| switches.undeletable = vec![refusal]);
    setting.feed.set(feed(&["c"]));
    let ran = setting.run(&[]).exits(3);
    assert!(ran.stderr.contains("(UID a)") && ran.stderr.contains("(UID b)"), "{ran}");
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}
