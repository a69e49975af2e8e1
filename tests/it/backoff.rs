//! After a failure the program stays away for a while, and says until when.

use crate::fake::feed::too_many_requests;
use crate::fake::http::Answer;
use crate::setting::{Setting, feed};

const MINUTE: i64 = 60;

/// A setting whose first pass failed at the feed with this answer.
fn failed(answer: Answer) -> Setting {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(answer));
    setting.run(&[]);
    setting
}

/// How long the last run said that it stays away, in seconds.
fn retry_in(setting: &Setting) -> i64 {
    let status = setting.env.run(&["status", "--json"]).exits(0).json();
    let work = &status["subscriptions"][0];
    let moment = |value: &serde_json::Value| -> i64 {
        value.as_str().unwrap_or_else(|| panic!("{work:#}")).parse::<jiff::Timestamp>().unwrap().as_second()
    };
    moment(&work["error"]["retry_at"]) - moment(&work["started_at"])
}

#[test]
fn after_a_failure_the_next_run_asks_nobody_says_until_when_and_exits_75() {
    let setting = failed(Answer::new(404));
    setting.feed.answer_always(Some(Answer::new(500)));
    let setting = {
        setting.run(&["--force"]).exits(75);
        setting
    };
    let ran = setting.run(&["-v"]).exits(75);
    assert!(ran.stderr.contains("work: not tried before 20"), "{ran}");
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
}

#[test]
fn a_back_off_is_silent_for_cron() {
    let setting = failed(Answer::new(500));
    let ran = setting.run(&[]).exits(75);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn a_back_off_after_a_trouble_that_waiting_does_not_mend_keeps_its_code() {
    for (status, code) in [(403, 77), (404, 76)] {
        let setting = failed(Answer::new(status));
        let ran = setting.run(&[]).exits(code);
        assert_eq!((ran.stderr.as_str(), setting.feed.take().len()), ("", 0), "{status}");
    }
}

#[test]
fn a_back_off_stands_in_the_document() {
    let setting = failed(Answer::new(500));
    let told = setting.run(&["--json"]).exits(75).json();
    let work = &told["subscriptions"][0];
    assert_eq!(
        (&work["outcome"], &work["error"]["kind"], &work["requests"]),
        (&"backing_off".into(), &"unavailable".into(), &0.into())
    );
    assert!(work["retry_at"].is_string(), "{work:#}");
}

#[test]
fn the_wait_doubles_with_every_failure_in_a_row() {
    let setting = failed(Answer::new(404));
    let first = retry_in(&setting);
    setting.env.later(MINUTE);
    setting.run(&[]).exits(76);
    let second = retry_in(&setting);
    // A second may begin between the start of a pass and its failure.
    assert!((60..=61).contains(&first) && (120..=121).contains(&second), "{first} {second}");
}

#[test]
fn a_name_on_the_command_line_waits_too_and_force_does_not() {
    let setting = failed(Answer::new(404));
    setting.feed.answer_always(None);
    setting.run(&["work"]).exits(76);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn a_success_ends_the_back_off() {
    let setting = failed(Answer::new(404));
    setting.feed.answer_always(None);
    setting.run(&["--force"]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.feed.take().len(), 1);
    let status = setting.env.run(&["status", "--json"]).exits(0).json();
    assert_eq!(status["subscriptions"][0]["error"], serde_json::Value::Null);
}

#[test]
fn a_trouble_that_a_person_was_told_of_is_called_off_when_it_ends() {
    let setting = failed(Answer::new(404));
    setting.feed.answer_always(None);
    let ran = setting.run(&["--force"]).exits(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", "work: in order again\n"));
}

#[test]
fn a_failure_after_the_back_off_is_tried_again() {
    let setting = failed(Answer::new(404));
    setting.feed.answer_always(None);
    setting.env.later(MINUTE);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn retry_after_of_a_feed_is_honoured_in_seconds_and_as_a_date() {
    let setting = failed(too_many_requests(600));
    assert!((600..=601).contains(&retry_in(&setting)), "{}", retry_in(&setting));
    let date = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(2)).unwrap();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let setting = failed(Answer::new(503).header("Retry-After", date));
    assert!((7190..=7205).contains(&retry_in(&setting)), "{}", retry_in(&setting));
}

#[test]
fn retry_after_of_a_server_is_honoured_but_no_longer_than_a_day() {
    let setting = Setting::new(&feed(&["a"]), "");
    for (asked, kept) in [("900", 900), ("9999999", 86_400)] {
        let answer = Answer::new(503).header("Retry-After", asked);
        setting.dav.switch(|switches| switches.answer = Some(answer));
        setting.run(&["--force"]).exits(75);
        assert!((kept..=kept + 1).contains(&retry_in(&setting)), "{asked}: {}", retry_in(&setting));
    }
}

#[test]
fn a_pass_that_is_not_due_asks_nobody_and_is_no_failure() {
    let setting = Setting::new(&feed(&["a"]), "every = \"1h\"").mirrored();
    let ran = setting.run(&["-v"]).exits(0);
    assert!(ran.stdout.starts_with("work: not due before 20"), "{ran}");
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
    setting.env.later(59 * MINUTE);
    setting.run(&[]).exits(0);
    assert_eq!(setting.feed.take().len(), 1, "a timer that comes a little early aliases to nothing");
}

#[test]
fn a_name_on_the_command_line_overrides_the_interval() {
    let setting = Setting::new(&feed(&["a"]), "every = \"1h\"").mirrored();
    setting.run(&["work"]).exits(0);
    assert_eq!(setting.feed.take().len(), 1);
}

#[test]
fn a_clock_that_jumped_back_locks_nobody_out() {
    let setting = failed(Answer::new(404));
    setting.feed.answer_always(None);
    setting.env.later(-30 * 86_400);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
    setting.env.later(-30 * 86_400);
    setting.run(&[]).exits(0);
    assert_eq!(setting.feed.take()[0].header("if-none-match"), None, "what was read in the future is not trusted");
}
