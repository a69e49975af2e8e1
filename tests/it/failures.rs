//! What goes wrong at the feed or the server: the exit code, what is said, and that nothing is lost.

use crate::env::{server, subscription};
use crate::fake::dav::{PASSWORD, USER};
use crate::fake::feed::html_page;
use crate::fake::http::Answer;
use crate::setting::{Setting, feed};

const HOUR: i64 = 3600;

/// Runs a mirrored setting that something was done to, and checks the code and the one sentence; nothing was written.
#[track_caller]
fn check(harm: impl FnOnce(&Setting), code: i32, words: &str) {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"").mirrored();
    harm(&setting);
    let ran = setting.run(&["-v"]).exits(code);
    // With -v it says besides what it did and why.
    let is_talk = |line: &&str| {
        ["work: the feed has", "work: the feed is read "].iter().any(|talk| line.starts_with(talk))
            || line.starts_with("work: the target ")
    };
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("work: ") && !is_talk(line)).collect();
    assert!(lines.len() == 1 && lines[0].contains(words), "{ran}");
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec![]));
}

#[test]
fn a_wrong_password_is_77() {
    let wrong = |setting: &Setting| {
        setting.env.file("password", "wrong");
    };
    check(wrong, 77, "does not accept the user name or the password");
}

#[test]
fn a_server_that_is_no_caldav_server_is_76() {
    let page = |setting: &Setting| {
        let table = subscription(&setting.feed.url(), "work", "");
        let password = setting.env.path("password");
        setting.env.set_config(&(server(&setting.feed.url(), USER, &password) + &table));
    };
    check(page, 76, "CalDAV");
}

#[test]
fn a_calendar_that_is_not_there_is_76_and_the_others_are_named() {
    let setting = Setting::into("wrok", &feed(&["a"]), "");
    let ran = setting.run(&[]).exits(76);
    assert!(ran.stderr.contains("there is no calendar \"wrok\"") && ran.stderr.contains("/work/"), "{ran}");
}

#[test]
fn a_server_that_is_down_is_75() {
    check(|setting| setting.dav.stop(), 75, "connect");
}

#[test]
fn a_feed_that_is_down_is_75() {
    check(|setting| setting.feed.stop(), 75, "connect");
}

#[test]
fn a_feed_that_is_down_for_longer_than_alert_after_is_69_and_a_person_is_told_once() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.feed.stop();
    assert_eq!(setting.run(&[]).exits(75).stderr, "");
    setting.env.later(4 * HOUR);
    let ran = setting.run(&[]).exits(69);
    assert!(ran.stderr.contains("(for 4 hours)"), "{ran}");
    assert_eq!(setting.run(&[]).exits(69).stderr, "", "a back-off does not let a monitor flap");
    setting.env.later(HOUR);
    assert_eq!(setting.run(&[]).exits(69).stderr, "", "it was told already");
    setting.env.later(24 * HOUR);
    assert!(setting.run(&[]).exits(69).stderr.contains("(for 29 hours)"), "it is told again daily");
}

#[test]
fn a_feed_that_is_no_calendar_for_longer_than_alert_after_is_65() {
    let setting = Setting::new(&feed(&["a"]), "alert_after = \"1h\"").mirrored();
    setting.feed.answer_always(Some(html_page()));
    setting.run(&[]).exits(75);
    setting.env.later(2 * HOUR);
    setting.run(&[]).exits(65);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn a_login_form_in_place_of_a_feed_is_75() {
    check(|setting| setting.feed.answer_always(Some(html_page())), 75, "web page");
}

#[test]
fn an_empty_body_in_place_of_a_feed_is_75() {
    check(|setting| setting.feed.set(""), 75, "empty");
}

#[test]
fn a_feed_that_is_gone_is_76() {
    check(|setting| setting.feed.answer_always(Some(Answer::new(404))), 76, "404");
}

#[test]
fn a_feed_that_refuses_access_is_77() {
    check(|setting| setting.feed.answer_always(Some(Answer::new(403))), 77, "403");
}

#[test]
fn a_transfer_that_breaks_off_is_75() {
    let cut = |setting: &Setting| {
        setting.feed.set(feed(&["a"]));
        setting.feed.serving().cut = Some(150);
    };
    check(cut, 75, "");
}

#[test]
fn a_feed_that_ends_at_any_octet_changes_nothing_and_is_one_sentence() {
    let setting = Setting::new("", "");
    let (whole, path) = (feed(&["a", "b"]), setting.env.file("feed.ics", feed(&["a", "b", "c"])));
    setting.configure(&subscription(path.to_str().unwrap(), "work", ""));
    setting.run(&[]).exits(0);
    // The last line break is not missed.
    for cut in 0..whole.len() - 2 {
        setting.env.file("feed.ics", &whole[..cut]);
        let ran = setting.run(&["--force", "-v"]).exits(75);
        assert!(ran.stderr.lines().count() == 1 && ran.stderr.contains("nothing was changed"), "{cut} octets: {ran}");
        assert_eq!((setting.uids().as_str(), setting.methods()), ("a b c", vec![]), "{cut} octets");
    }
    setting.env.file("feed.ics", &whole);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a b");
}

#[test]
fn a_database_that_broke_under_baikal_is_no_success() {
    check(|setting| setting.dav.switch(|switches| switches.broken_database = true), 75, "database");
}

#[test]
fn a_server_behind_a_broken_proxy_is_75() {
    let page = Answer::new(500).body("text/html", "<html>Internal error</html>");
    check(|setting| setting.dav.switch(|switches| switches.answer = Some(page)), 75, "500");
}

#[test]
fn a_calendar_that_vanished_is_76() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"").mirrored();
    setting.dav.world().calendars.remove("work");
    let ran = setting.run(&[]).exits(76);
    assert!(ran.stderr.contains("calendar"), "{ran}");
}

/// Runs with a changed feed against a server on which every write fails, and checks that the old state stands.
#[track_caller]
fn check_write(harm: impl FnOnce(&Setting), code: i32, words: &str) {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.feed.set(feed(&["a", "c"]));
    harm(&setting);
    let ran = setting.run(&["-v"]).exits(code);
    assert!(ran.stderr.contains(words), "{ran}");
    assert_eq!(setting.uids(), "a b", "no delete after a failed create");
}

#[test]
fn a_full_disk_of_the_server_is_75_and_deletes_nothing() {
    check_write(|setting| setting.dav.switch(|switches| switches.full = true), 75, "507");
}

#[test]
fn missing_rights_are_77_and_delete_nothing() {
    check_write(|setting| setting.dav.switch(|switches| switches.read_only = true), 77, "no right");
}

#[test]
fn a_locked_calendar_is_75_and_deletes_nothing() {
    let locked = Answer::new(423).body("text/plain", "locked");
    let refusal = crate::fake::dav::Refusal { text: "BEGIN:VEVENT", answer: locked };
    check_write(|setting| setting.dav.switch(|switches| switches.refusals = vec![refusal]), 75, "423");
}

#[test]
fn a_secret_file_that_others_can_read_is_77() {
    use std::os::unix::fs::PermissionsExt;
    let setting = Setting::new(&feed(&["a"]), "");
    let password = setting.env.file("password", PASSWORD);
    std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = setting.run(&[]).exits(77);
    assert!(ran.stderr.contains("chmod go-rwx"), "{ran}");
}

#[test]
fn two_subscriptions_of_which_one_fails_for_now_are_75_and_the_other_is_mirrored() {
    let setting = Setting::new(&feed(&["a"]), "");
    let (good, bad) = (subscription(&setting.feed.url(), "work", ""), subscription("http://127.0.0.1:9/x", "work", ""));
    setting.configure(&(good + &bad.replace("name = \"work\"", "name = \"down\"")));
    setting.run(&[]).exits(75);
    assert_eq!(setting.uids(), "a");
}

#[test]
fn a_server_that_fails_on_a_delete_fails_the_pass_and_the_delete_is_made_up_for() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    setting.feed.set(feed(&["a"]));
    setting.dav.switch(|switches| switches.fail_from_write = Some(1));
    setting.run(&[]).exits(75);
    setting.dav.switch(|switches| switches.fail_from_write = None);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), "a");
}
