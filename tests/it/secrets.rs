//! Passwords and private addresses are told nowhere: not at the highest level of talk, not in a failure, not in the state.

use crate::env::{Env, Ran, subscription};
use crate::fake::dav::{Dav, Login, PASSWORD, USER};
use crate::fake::feed::{Feed, basic, html_page, redirect};
use crate::fake::http::Answer;
use crate::setting::{Setting, feed};

const TALKATIVE: [&str; 2] = ["-vvv", "--force"];

/// Every form in which a secret of these tests could slip out.
fn forms() -> Vec<String> {
    let login = |user: &str, password: &str| basic(user, password).trim_start_matches("Basic ").to_owned();
    let mut forms = vec![login(USER, PASSWORD), login("bob", "h1dden"), login("", PASSWORD), login("", "t0ken")];
    // The password, a part of it that survives any quoting, percent-encoding, and Rust's own way to escape.
    forms.extend(
        [PASSWORD, "w%C3%B6rd", "w%c3%b6rd", "w\\u{f6}rd", "h1dden", "t0ken", "5ecre7token", "qu3ry"]
            .map(str::to_owned),
    );
    forms
}

#[track_caller]
fn assert_silent(what: &str, octets: &[u8]) {
    let text = String::from_utf8_lossy(octets);
    for secret in forms() {
        assert!(!text.contains(&secret), "{what} gives {secret:?} away:\n{text}");
    }
    let lower = text.to_ascii_lowercase();
    assert!(!lower.contains("authorization:") && !lower.contains("response=\""), "{what} tells a header:\n{text}");
}

/// Runs and looks through all that is said and kept.
#[track_caller]
fn check(env: &Env, run: impl Fn(&[&str]) -> Ran) {
    for arguments in [&TALKATIVE[..], &["-vvv", "--json", "--full", "--force"]] {
        let ran = run(arguments);
        assert_silent("standard output", ran.stdout.as_bytes());
        assert_silent("standard error", ran.stderr.as_bytes());
    }
    for arguments in [&["status"][..], &["status", "--json"], &["check", "-vvv"], &["calendars", "-vvv"]] {
        let ran = env.run(arguments);
        assert_silent("standard output", ran.stdout.as_bytes());
        assert_silent("standard error", ran.stderr.as_bytes());
    }
    for file in files(&env.path("state")) {
        assert_silent(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

/// Every file below a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn talkative() -> Setting {
    Setting::new(&feed(&["a"]), "verify = \"always\"").var("RUST_LOG", "trace")
}

fn check_setting(setting: &Setting) {
    check(&setting.env, |arguments| setting.run(arguments));
}

#[test]
fn a_success_tells_no_secret() {
    for login in [Login::Digest, Login::Basic] {
        let setting = talkative();
        setting.dav.switch(|switches| switches.login = login);
        let planned = setting.run(&["-vvv", "--dry-run"]).exits(0);
        assert_silent("a dry run", (planned.stdout + &planned.stderr).as_bytes());
        setting.run(&TALKATIVE).exits(0);
        check_setting(&setting);
    }
}

#[test]
fn a_failing_feed_tells_no_secret() {
    let answers = [html_page(), Answer::new(404), Answer::new(500), Answer::silence(), Answer::new(401)];
    for answer in answers {
        let setting = talkative();
        setting.feed.answer_always(Some(answer));
        check_setting(&setting);
    }
}

#[test]
fn a_feed_that_is_down_tells_no_secret() {
    let setting = talkative();
    setting.feed.stop();
    check_setting(&setting);
}

#[test]
fn a_redirect_tells_no_secret() {
    let (setting, other) = (talkative(), Feed::start(feed(&["a"])));
    for place in [other.url(), other.url() + "?key=qu3ry", "http://[qu3ry".to_owned(), "ftp://h/qu3ry".to_owned()] {
        setting.feed.answer_always(Some(redirect(&place)));
        check_setting(&setting);
    }
    setting.feed.answer_always(Some(redirect(&setting.feed.url())));
    check_setting(&setting);
}

#[test]
fn a_query_tells_no_secret() {
    let setting = talkative();
    setting.configure(&subscription(&(setting.feed.url() + "?key=qu3ry"), "work", ""));
    check_setting(&setting);
}

#[test]
fn a_refused_password_is_not_told() {
    let setting = talkative();
    setting.env.file("password", "h1dden");
    check_setting(&setting);
}

#[test]
fn a_server_that_fails_tells_no_secret() {
    let page = Answer::new(500).body("text/html", format!("<html>{PASSWORD}</html>"));
    for answer in [page, Answer::new(404), Answer::new(207).body("application/xml", "<broken"), Answer::silence()] {
        let setting = talkative();
        setting.dav.switch(|switches| switches.answer = Some(answer));
        check_setting(&setting);
    }
}

#[test]
fn credentials_of_a_feed_are_not_told() {
    for keys in [
        "source_user = \"bob\"\nsource_password_file",
        "source_token_file",
        "source_header = \"X-Key\"\nsource_token_file",
    ] {
        let setting = talkative();
        let secret = setting.env.file("secret", "h1dden");
        setting.configure(&subscription(&setting.feed.url(), "work", &format!("{keys} = \"{}\"", secret.display())));
        setting.feed.serving().login = Some(("bob".to_owned(), "another".to_owned()));
        check_setting(&setting);
    }
}

#[test]
fn a_password_in_the_address_of_a_feed_is_not_told() {
    let setting = talkative();
    setting.configure(&subscription(&setting.feed.url().replace("http://", "http://bob:h1dden@"), "work", ""));
    setting.feed.serving().login = Some(("bob".to_owned(), "h1dden".to_owned()));
    setting.run(&TALKATIVE).exits(0);
    check_setting(&setting);
}

#[test]
fn a_bearer_token_of_a_server_is_not_told() {
    let setting = talkative();
    let token = setting.env.file("token", "t0ken");
    let server = format!("[server]\nurl = \"{}\"\ntoken_file = \"{}\"\n", setting.dav.url(), token.display());
    setting.env.set_config(&(server + &subscription(&setting.feed.url(), "work", "")));
    check_setting(&setting);
}

#[test]
fn secrets_of_the_environment_are_not_told() {
    let (feed, dav) = (Feed::start(feed(&["a"])), Dav::start());
    let env =
        Env::new().var("RUST_LOG", "trace").var("ICS_URL", feed.url()).var("BAIKAL_URL", dav.calendar_url("work"));
    let env = env.var("BAIKAL_USER", USER).var("BAIKAL_PASS", PASSWORD);
    check(&env, |arguments| env.run(&[&["run"], arguments].concat()));
    dav.stop();
    check(&env, |arguments| env.run(&[&["run"], arguments].concat()));
}

#[test]
fn a_server_that_asks_for_basic_after_digest_does_not_get_the_password_in_clear() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"").mirrored();
    setting.dav.switch(|switches| switches.login = Login::Basic);
    setting.run(&[]).exits(77);
    let sent: Vec<String> =
        setting.asked().iter().filter_map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    assert!(sent.iter().all(|value| value.starts_with("Digest ")), "{sent:?}");
}

#[test]
fn a_server_that_sends_us_elsewhere_does_not_send_the_credentials_along() {
    let (setting, other) = (Setting::into("work", &feed(&["a"]), ""), Dav::start());
    other.switch(|switches| switches.login = Login::Basic);
    let elsewhere = Answer::new(301).header("Location", other.url());
    setting.dav.switch(|switches| switches.answer = Some(elsewhere));
    let ran = setting.run(&[]);
    assert_ne!(ran.code, 0, "{ran}");
    assert!(other.take().iter().all(|asked| asked.header("authorization").is_none()));
}

#[test]
fn a_mistake_in_the_configuration_repeats_no_secret() {
    for source in [
        "ftp://h/5ecre7token",
        "http://bob:h1dden@",
        "http://h:99999/5ecre7token?qu3ry",
        "https://bob:h1dden@h:x/5ecre7token",
    ] {
        let env = Env::with_config(&subscription(source, "dir:x", ""));
        let ran = env.run(&["check", "-vvv"]).exits(78);
        assert_silent("standard output", ran.stdout.as_bytes());
        let ran = env.run(&["run", "-vvv", "--json"]).exits(78);
        assert_silent("standard output", ran.stdout.as_bytes());
        assert_silent("standard error", ran.stderr.as_bytes());
    }
}

#[test]
fn a_secret_written_into_the_configuration_is_refused_without_repeating_it() {
    let table = "[server]\nurl = \"https://h/\"\nuser = \"alice\"\npassword = \"h1dden\"\n";
    let ran = Env::with_config(&(table.to_owned() + &subscription("a.ics", "work", ""))).run(&["run"]).exits(78);
    assert!(ran.stderr.contains("password_file"), "{ran}");
    assert_silent("standard error", ran.stderr.as_bytes());
}
