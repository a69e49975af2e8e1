//! One failed write is one failed write: whatever the answer to one PUT or DELETE is, the event is named, the others and
//! the deletions go on, and the next passes are settled. When nothing shows whose fault it is, that is said, not for ever.

use std::thread;
use std::time::Duration;

use crate::env::{server, subscription};
use crate::fake::dav::{PASSWORD, Refusal, USER};
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, event, feed, feed_of, side_by_side};

const HOUR: i64 = 3600;

/// Everything that a server or what stands before it may answer to one write, beside what concerns all requests.
fn ways() -> Vec<(String, Answer)> {
    let statuses =
        [400, 402, 403, 404, 405, 406, 409, 410, 412, 413, 414, 415, 422, 423, 431, 500, 501, 502, 504, 507, 511];
    let mut ways: Vec<(String, Answer)> =
        statuses.map(|status| (status.to_string(), Answer::new(status))).into_iter().collect();
    let page = || Answer::new(200).body("text/html", "<html><body>Please log in</body></html>");
    let refusal = "<multistatus xmlns=\"DAV:\"><response><href>/x</href><status>HTTP/1.1 507 No</status></response></multistatus>";
    let cut = Answer { cut: Some(5), ..Answer::new(201).body("text/plain", "Created, and more") };
    ways.extend([
        ("a redirect".to_owned(), Answer::new(302).header("Location", "/login")),
        ("a web page".to_owned(), page()),
        ("a web page with 503".to_owned(), Answer { status: 503, ..page() }),
        ("a refusal in a multistatus".to_owned(), Answer::new(207).body("application/xml", refusal)),
        ("a closed connection".to_owned(), Answer::silence()),
        ("half an answer".to_owned(), cut),
        (
            "silence".to_owned(),
            Answer::raw(|_| {
                thread::sleep(Duration::from_millis(1500));
                Ok(())
            }),
        ),
        ("garbage".to_owned(), Answer::raw(|stream| stream.write_all(b"\x00\x01garbage\r\n\r\n"))),
    ]);
    ways
}

/// Does something with a setting for each of the ways.
fn for_each_way(check: impl Fn(&str, Answer) + Sync) {
    side_by_side(ways(), |(way, answer)| check(&way, answer));
}

/// A calendar with these events, on a server that answers so to each write of an event with this text.
fn setting(standing: &[&str], text: &'static str, answer: Answer) -> Setting {
    let setting = Setting::new(&feed(standing), "");
    let password = setting.env.file("password", PASSWORD);
    let table = subscription(&setting.feed.url(), "calendars/alice/work/", "");
    setting.env.set_config(&(server(&setting.dav.url(), USER, &password) + "idle_timeout = \"1s\"\n" + &table));
    setting.run(&[]).exits(0);
    setting.dav.switch(|switches| {
        switches.refusals = vec![Refusal { text, answer: answer.clone() }];
        switches.undeletable = vec![Refusal { text, answer }];
    });
    setting
}

/// Whoever runs twice more finds nothing to do.
#[track_caller]
fn settled(setting: &Setting, way: &str) {
    for _ in 0..2 {
        let ran = setting.run(&[]).exits(0);
        assert_eq!((ran.stderr.as_str(), setting.writes()), ("", vec![]), "{way}");
    }
}

#[test]
fn one_event_that_cannot_be_stored_is_named_and_keeps_nothing_else() {
    for_each_way(|way, answer| {
        let setting = setting(&["a", "gone"], "UID:bad", answer);
        setting.feed.set(feed(&["a", "bad", "c"]));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.starts_with("work: not mirrored: “Event bad” (UID bad): "), "{way}: {ran}");
        assert_eq!((setting.uids().as_str(), ran.stderr.lines().count()), ("a c", 1), "{way}");
        settled(&setting, way);
    });
}

#[test]
fn a_refused_event_is_not_counted_among_those_that_are_unchanged() {
    let setting = setting(&["a"], "UID:bad", Answer::new(422));
    setting.feed.set(feed(&["a", "bad"]));
    setting.run(&[]).exits(3);
    let report = setting.run(&["--json"]).exits(0).json();
    assert_eq!(report["subscriptions"][0]["unchanged"], 1);
}

#[test]
fn an_event_that_cannot_be_updated_stays_as_it_was() {
    for_each_way(|way, answer| {
        let setting = setting(&["a", "bad"], "SUMMARY:Worse", answer);
        setting.feed.set(calendar(&(event("bad", "Worse") + &event("a", "Better"))));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("“Worse” (UID bad)"), "{way}: {ran}");
        assert!(setting.text_of("bad").contains("Event bad") && setting.text_of("a").contains("Better"), "{way}");
        settled(&setting, way);
    });
}

#[test]
fn two_events_that_cannot_be_stored_are_named_when_a_probe_shows_that_the_calendar_works() {
    for_each_way(|way, answer| {
        let setting = setting(&["a"], "UID:bad", answer);
        setting.feed.set(feed(&["a", "bad1", "bad2"]));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("(UID bad1)") && ran.stderr.contains("(UID bad2)"), "{way}: {ran}");
        assert_eq!(setting.uids(), "a", "{way}");
        let exits: Vec<i32> = (0..2).map(|_| setting.run(&[]).code).collect();
        assert_eq!((exits, setting.writes()), (vec![3, 3], vec![]), "{way}: most of the feed is not there");
    });
}

#[test]
fn the_only_event_of_a_feed_fails_three_passes_by_name_and_is_refused_then() {
    for_each_way(|way, answer| {
        let setting = setting(&[], "UID:bad", answer);
        setting.feed.set(feed(&["bad"]));
        // On what hangs it is enough to have waited twice.
        let patience = if way == "silence" { 1 } else { 2 };
        for number in 1..=patience {
            let ran = setting.run(&["--force", "-v"]).exits(75);
            let words = ["“Event bad” (UID bad) could not be stored", &format!("(try {number} of 3: ")];
            assert!(words.iter().all(|words| ran.stderr.contains(words)), "{way}: {ran}");
        }
        let ran = setting.run(&["--force"]).exits(3);
        assert!(ran.stderr.contains("not mirrored: “Event bad” (UID bad)"), "{way}: {ran}");
        let ran = setting.run(&[]).exits(3);
        assert_eq!((ran.stderr.as_str(), setting.writes()), ("", vec![]), "{way}");
        setting.dav.switch(|switches| switches.refusals = vec![]);
        setting.env.later(HOUR);
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "bad", "{way}");
    });
}

#[test]
fn when_no_event_at_all_can_be_stored_they_are_refused_in_the_third_pass() {
    for (way, answer) in [("415", Answer::new(415)), ("404", Answer::new(404))] {
        let setting = setting(&[], "BEGIN:VEVENT", answer);
        setting.feed.set(feed_of(5));
        let exits: Vec<i32> = (0..4).map(|_| setting.run(&["--force"]).code).collect();
        assert_eq!(exits, [75, 75, 3, 3], "{way}");
        assert!(setting.env.run(&["status"]).stdout.contains("(UID e4)"), "{way}");
        setting.dav.switch(|switches| switches.refusals = vec![]);
        setting.env.later(HOUR);
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "e0 e1 e2 e3 e4", "{way}");
    }
}

#[test]
fn one_event_that_cannot_be_deleted_is_named_and_keeps_no_other() {
    for_each_way(|way, answer| {
        // Said to be gone though it is there.
        let setting = setting(&["a", "bad", "c", "d"], "UID:bad", answer);
        setting.feed.set(feed(&["d"]));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("“Event bad” (UID bad): it left the feed, but "), "{way}: {ran}");
        assert_eq!(setting.uids(), "bad d", "{way}");
        settled(&setting, way);
    });
}

#[test]
fn the_only_event_that_left_cannot_be_deleted_and_is_named_when_a_probe_succeeds() {
    for_each_way(|way, answer| {
        let setting = setting(&["a", "bad"], "UID:bad", answer);
        setting.feed.set(feed(&["a"]));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("“Event bad” (UID bad): it left the feed, but "), "{way}: {ran}");
        settled(&setting, way);
    });
}

#[test]
fn a_server_that_says_it_deleted_something_and_did_not_is_believed_once() {
    for no_sync_collection in [false, true] {
        let setting = setting(&["a", "bad"], "UID:bad", Answer::new(204));
        setting.dav.switch(|switches| switches.no_sync_collection = no_sync_collection);
        setting.feed.set(feed(&["a"]));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("the server says that it is deleted, and still has it"), "{ran}");
        assert_eq!(setting.uids(), "a bad");
        settled(&setting, "204");
    }
}

#[test]
fn a_server_that_says_it_stored_something_and_did_not_is_believed_once() {
    for answer in [Answer::new(201), Answer::new(201).header("ETag", "\"made-up\"")] {
        let setting = setting(&["a"], "UID:bad", answer);
        setting.feed.set(feed(&["a", "bad", "c"]));
        let ran = setting.run(&[]).exits(3);
        assert!(ran.stderr.contains("(UID bad): the server says that it is stored, and does not have it"), "{ran}");
        assert_eq!(setting.uids(), "a c");
        settled(&setting, "201");
    }
}

#[test]
fn what_concerns_every_request_fails_the_pass_at_once() {
    for (answer, code) in
        [(Answer::new(401), 77), (Answer::new(429), 75), (Answer::new(503).header("Retry-After", "600"), 75)]
    {
        let status = answer.status;
        let setting = setting(&["a"], "UID:bad", answer);
        setting.feed.set(feed(&["a", "bad"]));
        setting.run(&[]).exits(code);
        let told = setting.env.run(&["status", "--json"]).json();
        assert_eq!(told["subscriptions"][0]["rejected"], serde_json::json!([]), "{status}");
    }
}

#[test]
fn a_server_that_takes_nothing_any_more_is_in_trouble_and_is_not_asked_for_every_event() {
    let setting = setting(&["a"], "BEGIN:VEVENT", Answer::new(507));
    let uids: Vec<String> = (0..50).map(|number| format!("e{number}")).collect();
    setting.feed.set(feed(&std::iter::once("a").chain(uids.iter().map(String::as_str)).collect::<Vec<_>>()));
    let ran = setting.run(&["-v"]).exits(75);
    let writes = setting.writes();
    assert!(ran.stderr.contains("507") && writes.len() < 10, "{ran}{writes:?}");
    let told = setting.env.run(&["status", "--json"]).json();
    assert_eq!(told["subscriptions"][0]["rejected"], serde_json::json!([]));
}

#[test]
fn a_pass_that_did_not_send_everything_is_not_settled() {
    let hang = Answer::raw(|_| {
        thread::sleep(Duration::from_millis(1500));
        Ok(())
    });
    let setting = setting(&["z"], "BEGIN:VEVENT", hang);
    setting.feed.set(feed(&["x", "y", "z"]));
    for _ in 0..3 {
        setting.run(&["--force"]).exits(75);
    }
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.run(&["--force", "--full"]).exits(0);
    assert_eq!(setting.uids(), "x y z");
}

#[test]
fn what_is_refused_again_is_no_reason_to_hold_deletions() {
    let bad: Vec<String> = (0..5).map(|number| format!("bad{number}")).collect();
    let bad: Vec<&str> = bad.iter().map(String::as_str).collect();
    let setting = setting(&["a", "b", "gone"], "UID:bad", Answer::new(415));
    setting.feed.set(feed(&[&["a", "b", "c", "gone"], &bad[..]].concat()));
    setting.run(&[]).exits(3);
    setting.env.later(HOUR);
    setting.feed.set(feed(&[&["a", "b", "c"], &bad[..]].concat()));
    setting.run(&[]).exits(3);
    assert_eq!(setting.uids(), "a b c");
}

#[test]
fn what_is_refused_in_a_pass_that_fails_later_is_told() {
    let setting = setting(&["a", "gone"], "UID:bad", Answer::new(415));
    let busy = Answer::new(503).header("Retry-After", "60");
    setting.dav.switch(|switches| switches.undeletable = vec![Refusal { text: "UID:gone", answer: busy }]);
    setting.feed.set(feed(&["a", "b", "bad"]));
    let ran = setting.run(&[]).exits(75);
    assert!(ran.stderr.starts_with("work: not mirrored: “Event bad” (UID bad): "), "{ran}");
}

#[test]
fn a_refused_event_is_tried_again_after_an_hour_six_hours_a_day_and_then_weekly() {
    let setting = setting(&["a"], "UID:bad", Answer::new(415));
    setting.feed.set(feed(&["a", "bad", "c"]));
    setting.run(&[]).exits(3);
    for hours in [1, 6, 24, 168, 168] {
        setting.env.later(hours * HOUR - 60);
        setting.run(&[]).exits(0);
        assert_eq!(setting.writes(), [""; 0], "before {hours} hours");
        setting.env.later(60);
        let ran = setting.run(&[]).exits(3);
        let tried = setting.writes().contains(&"PUT 415".to_owned());
        assert_eq!((tried, ran.stderr.as_str()), (true, ""), "after {hours} hours, and it is no news");
    }
}

#[test]
fn all_that_were_refused_for_one_reason_are_tried_when_one_of_them_is_taken() {
    let setting = setting(&["a"], "UID:e", Answer::new(413));
    let uids: Vec<String> = (0..57).map(|number| format!("e{number}")).collect();
    let all: Vec<&str> = std::iter::once("a").chain(uids.iter().map(String::as_str)).collect();
    setting.feed.set(feed(&all));
    setting.run(&[]).exits(3);
    // They were refused at several times.
    setting.env.change_state("UPDATE record SET tries = 4 WHERE uid != 'e7' AND tries > 0");
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.env.later(HOUR);
    setting.run(&[]).exits(0);
    assert_eq!(setting.dav.work(|work| work.objects.len()), 58);
}

#[test]
fn what_hung_the_server_comes_last_when_it_is_tried_again() {
    let hang = Answer::raw(|_| {
        thread::sleep(Duration::from_millis(1500));
        Ok(())
    });
    let setting = setting(&["z"], "UID:a-bad", hang);
    setting.feed.set(feed(&["a-bad", "b", "z"]));
    setting.run(&[]).exits(3);
    setting.feed.set(feed(&["a-bad", "b", "c", "d", "z"]));
    setting.run(&["--full"]).exits(3);
    let puts: Vec<String> = setting.dav.take_writes();
    assert!(puts[..2].iter().all(|write| write.ends_with(" 201")), "{puts:?}");
}

#[test]
fn an_event_whose_answer_was_lost_and_that_stands_there_all_the_same_is_mirrored() {
    let setting = setting(&["a"], "UID:bad", Answer::silence());
    setting.dav.switch(|switches| switches.stores_refused = true);
    setting.feed.set(feed(&["a", "bad", "c"]));
    let first = setting.run(&[]);
    assert!(matches!(first.code, 0 | 3), "{first}");
    setting.run(&["--full"]);
    let told = setting.env.run(&["status", "--json"]).json();
    assert_eq!((setting.uids().as_str(), &told["subscriptions"][0]["rejected"]), ("a bad c", &serde_json::json!([])));
}

#[test]
fn deletions_wait_when_too_many_of_the_new_events_could_not_be_stored() {
    let setting = setting(&["a", "gone"], "UID:e", Answer::new(415));
    let uids: Vec<String> = (0..4).map(|number| format!("e{number}")).collect();
    let all: Vec<&str> = std::iter::once("a").chain(uids.iter().map(String::as_str)).collect();
    setting.feed.set(feed(&all));
    let ran = setting.run(&[]).exits(4);
    assert!(ran.stderr.contains("1 deletion held back: 4 of 4 new events could not be stored"), "{ran}");
    for seconds in [60, HOUR] {
        setting.env.later(seconds);
        setting.run(&[]).exits(4);
        assert_eq!(setting.uids(), "a gone", "after {seconds} s");
    }
    setting.feed.set(feed(&[&all[..], &["b"]].concat()));
    setting.run(&[]).exits(4);
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.env.run(&["retry"]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a b e0 e1 e2 e3");
}

#[test]
fn a_hold_for_another_reason_is_not_made_longer_by_what_was_refused_long_ago() {
    let kept: Vec<String> = (0..8).map(|number| format!("k{number}")).collect();
    let gone: Vec<String> = (0..20).map(|number| format!("g{number}")).collect();
    let [kept, gone] = [&kept, &gone].map(|uids| uids.iter().map(String::as_str).collect::<Vec<_>>());
    let bad = ["bad1", "bad2", "bad3", "bad4", "bad5"];
    let setting = setting(&[&kept[..], &gone].concat(), "UID:bad", Answer::new(415));
    setting.feed.set(feed(&[&kept[..], &gone, &bad].concat()));
    setting.run(&[]).exits(3);
    setting.feed.set(feed(&[&kept[..], &bad].concat()));
    setting.run(&[]).exits(4);
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", "max_delete = \"90%\""));
    setting.run(&["--force"]).exits(3);
    assert_eq!(setting.uids(), kept.join(" "));
}

#[test]
fn what_an_answer_names_is_refused_even_when_the_calendar_is_in_trouble() {
    let named = "<error xmlns=\"DAV:\"><valid-calendar-data xmlns=\"urn:ietf:params:xml:ns:caldav\"/></error>";
    let setting = setting(&["z"], "UID:named", Answer::new(403).body("application/xml", named));
    let broken = Refusal { text: "BEGIN:VEVENT", answer: Answer::new(507) };
    setting.dav.switch(|switches| switches.refusals.push(broken));
    setting.feed.set(feed(&["named", "a", "b", "c", "d", "e", "z"]));
    let ran = setting.run(&[]).exits(75);
    assert!(ran.stderr.contains("not mirrored: “Event named” (UID named): "), "{ran}");
}

#[test]
fn an_event_that_has_another_version_at_every_look_is_named_and_keeps_nothing_else() {
    let stale = Answer::new(412);
    let setting = setting(&["a", "bad", "gone"], "SUMMARY:Worse", stale.clone());
    setting.dav.switch(|switches| switches.undeletable = vec![Refusal { text: "UID:bad", answer: stale }]);
    setting.dav.switch(|switches| switches.restless = true);
    setting.feed.set(calendar(&(event("bad", "Worse") + &event("a", "Event a"))));
    let ran = setting.run(&[]).exits(3);
    assert!(ran.stderr.contains("(UID bad): it has another version whenever it is looked at"), "{ran}");
    assert_eq!(setting.uids(), "a bad");
    setting.feed.set(feed(&["a"]));
    let ran = setting.run(&["--full"]).exits(3);
    assert!(ran.stderr.contains("it left the feed, but"), "{ran}");
    setting.run(&[]).exits(0);
    assert_eq!((setting.writes(), setting.uids().as_str()), (vec![], "a bad"));
}
