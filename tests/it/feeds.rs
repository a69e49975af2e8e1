//! When a feed is asked for with validators, when it is read, and when what it says is trusted.

use crate::env::subscription;
use crate::fake::dav::Refusal;
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, event, feed};

const DAY: i64 = 86_400;

/// The validators of the last request to the feed.
fn validators(setting: &Setting) -> (bool, bool) {
    let asked = setting.feed.take().pop().expect("a request");
    (asked.header("if-none-match").is_some(), asked.header("if-modified-since").is_some())
}

#[test]
fn a_feed_is_asked_with_the_validators_that_it_gave() {
    for (etag, modified) in [(true, false), (false, true), (true, true), (false, false)] {
        let setting = Setting::new(&feed(&["a"]), "");
        setting.feed.serving().etag = etag.then(|| "\"one\"".to_owned());
        setting.feed.serving().last_modified = modified.then(|| "Fri, 20 Nov 2026 09:00:00 GMT".to_owned());
        setting.run(&[]).exits(0);
        assert_eq!(validators(&setting), (false, false), "nothing is known at first");
        let told = setting.run(&["--json"]).exits(0).json();
        assert_eq!(validators(&setting), (etag, modified));
        let gate = if etag || modified { "validator" } else { "body" };
        assert_eq!(told["subscriptions"][0]["feed"]["gate"], gate);
    }
}

#[test]
fn a_feed_is_read_whole_once_a_day_whatever_its_server_says() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.env.later(DAY);
    setting.run(&[]).exits(0);
    assert_eq!(validators(&setting), (false, false));
    setting.run(&[]).exits(0);
    assert_eq!(validators(&setting), (true, false));
}

#[test]
fn a_feed_is_read_whole_when_asked_to_trust_nothing_or_when_a_setting_changed() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.run(&["--full"]).exits(0);
    assert_eq!(validators(&setting), (false, false));
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", "on_drift = \"keep\""));
    setting.run(&[]).exits(0);
    assert_eq!((validators(&setting), setting.writes()), ((false, false), vec![]));
}

#[test]
fn validators_are_kept_only_when_everything_is_on_the_server() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.feed.set(feed(&["a", "b", "c"]));
    setting.dav.switch(|switches| switches.full = true);
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.full = false);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a b c");
}

#[test]
fn a_feed_that_goes_back_after_a_pass_that_failed_half_way_is_mirrored_again() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.feed.set(calendar(&(event("a", "New") + &event("b", "New"))));
    let answer = Answer::new(507);
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "UID:b", answer }]);
    setting.run(&[]).exits(3);
    assert!(setting.text_of("a").contains("SUMMARY:New"));
    setting.feed.set(feed(&["a", "b"]));
    setting.dav.switch(|switches| switches.refusals = vec![]);
    setting.run(&["--force"]).exits(0);
    assert!(setting.text_of("a").contains("SUMMARY:Event a"));
}

#[test]
fn a_compressed_feed_is_read_and_a_broken_one_is_no_feed() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    setting.feed.serving().gzip = true;
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a b");
    let broken = Answer::new(200).header("Content-Encoding", "gzip").body("text/calendar", feed(&["a"]));
    setting.feed.answer_always(Some(broken));
    setting.run(&[]).exits(75);
    assert_eq!(setting.uids(), "a b");
}

#[test]
fn a_feed_that_is_larger_than_allowed_is_not_read_to_its_end() {
    let setting = Setting::new(&feed(&["a", "b"]), "max_size = 200");
    let ran = setting.run(&["-v"]).exits(75);
    assert!(ran.stderr.contains("larger than `max_size`, 200 octets"), "{ran}");
}

#[test]
fn a_feed_that_leads_in_circles_is_unavailable() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(crate::fake::feed::redirect(&setting.feed.url())));
    let ran = setting.run(&["-v"]).exits(75);
    assert!(ran.stderr.contains("redirects more than 10 times"), "{ran}");
}

#[test]
fn a_304_that_nobody_asked_for_is_no_success() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(Answer::new(304)));
    setting.run(&[]).exits(75);
}

#[test]
fn a_feed_is_asked_under_the_name_that_the_subscription_gives() {
    let setting = Setting::new(&feed(&["a"]), "user_agent = \"Mozilla/5.0\"").mirrored();
    assert_eq!(setting.feed.take()[0].header("user-agent"), Some("Mozilla/5.0"));
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    let own = setting.feed.take()[0].header("user-agent").unwrap_or_default().to_owned();
    assert!(own.starts_with("baikal-sync/"), "{own}");
}

#[test]
fn the_token_of_a_feed_is_read_when_it_is_needed_and_its_loss_is_said_once() {
    let setting = Setting::new(&feed(&["a"]), "");
    let token = setting.env.file("token", "t0ken");
    let keys = format!("every = \"1h\"\nsource_header = \"X-Key\"\nsource_token_file = \"{}\"", token.display());
    setting.configure(&subscription(&setting.feed.url(), "calendars/alice/work/", &keys));
    let setting = setting.mirrored();
    std::fs::remove_file(token).unwrap();
    assert_eq!(setting.run(&[]).exits(0).stderr, "");
    let ran = setting.run(&["--force"]).exits(78);
    assert!(ran.stderr.contains("cannot read the secret file"), "{ran}");
    assert_eq!(setting.run(&[]).exits(78).stderr, "");
}

#[test]
fn a_change_of_the_source_keeps_what_is_equal_and_deletes_what_is_not_there() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let other = crate::fake::feed::Feed::start(feed(&["b", "c"]));
    setting.configure(&subscription(&other.url(), "calendars/alice/work/", ""));
    setting.run(&[]).exits(0);
    assert_eq!(
        (setting.uids().as_str(), setting.writes()),
        ("b c", vec!["PUT 201".to_owned(), "DELETE 204".to_owned()])
    );
}
