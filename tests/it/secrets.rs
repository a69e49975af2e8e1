//! Passwords and private addresses are told nowhere: not at the highest level of talk, not in a failure, not in the state.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::LazyLock;

use memchr::memmem;

use crate::env::{Env, Ran, subscription};
use crate::fake::dav::{Dav, Login, PASSWORD, USER};
use crate::fake::feed::{Feed, basic, html_page, redirect};
use crate::fake::http::{Answer, Asked};
use crate::fake::tls::{demanding, fixture, showing};
use crate::setting::{Setting, feed, side_by_side};

const TALKATIVE: [&str; 2] = ["-vvv", "--force"];

/// The forms of a secret whose letters have no case, those in base64, and the secret.
type Forms = (Vec<Vec<u8>>, Vec<Vec<u8>>, String);

/// Every secret of these tests.
fn secrets() -> Vec<String> {
    let plain = [PASSWORD, "h1dden", "t0ken", "5ecre7token", "qu3ry", "c00kie"].map(str::to_owned);
    let logins = [(USER, PASSWORD), ("bob", "h1dden")].map(|(user, password)| format!("{user}:{password}"));
    let key = std::fs::read_to_string(fixture("client.key")).unwrap();
    plain.into_iter().chain(logins).chain(key.lines().nth(1).map(str::to_owned)).collect()
}

/// A secret as it could slip out: in clear, percent-encoded, in hexadecimal digits, as Rust and JSON escape it and as
/// Latin-1, all of them in lower case.
fn caseless_forms(secret: &str) -> Vec<Vec<u8>> {
    let hexadecimal = |start: &str, byte: u8| format!("{start}{byte:02x}");
    let percent =
        |byte: u8| if byte.is_ascii_alphanumeric() { char::from(byte).into() } else { hexadecimal("%", byte) };
    let escaped = |start: &str, end: &str| -> String {
        let escape = |letter: char| format!("{start}{:x}{end}", u32::from(letter));
        secret.chars().map(|letter| if letter.is_ascii() { letter.into() } else { escape(letter) }).collect()
    };
    let texts = [
        secret.to_owned(),
        secret.bytes().map(percent).collect(),
        secret.bytes().map(|byte| hexadecimal("", byte)).collect(),
        secret.bytes().map(|byte| hexadecimal("%", byte)).collect(),
        escaped("\\u{", "}"),
        escaped("\\u00", ""),
    ];
    let latin1: Vec<u8> = secret.chars().map(|letter| u8::try_from(letter).unwrap()).collect();
    texts.into_iter().map(String::into_bytes).chain([latin1]).map(|form| form.to_ascii_lowercase()).collect()
}

/// A secret in base64, at each of the three places of a group where it can begin, without the letters that its
/// neighbours have a part in.
fn base64_forms(secret: &str) -> Vec<Vec<u8>> {
    let at = |before: usize| {
        let encoded = basic(&"x".repeat(before), secret).split_off("Basic ".len());
        // A colon stands between.
        let (first, last) = ((before + 1).div_ceil(3) * 4, (before + 1 + secret.len()) / 3 * 4);
        encoded.as_bytes()[first..last.max(first)].to_vec()
    };
    (0..3).map(at).filter(|form| form.len() >= 4).collect()
}

fn contains(octets: &[u8], form: &[u8]) -> bool {
    memmem::find(octets, form).is_some()
}

#[track_caller]
fn assert_silent(what: &str, octets: &[u8]) {
    static FORMS: LazyLock<Vec<Forms>> = LazyLock::new(|| {
        let forms = |secret: String| (caseless_forms(&secret), base64_forms(&secret), secret);
        secrets().into_iter().map(forms).collect()
    });
    let lower = octets.to_ascii_lowercase();
    let text = || String::from_utf8_lossy(octets);
    for (caseless, base64, secret) in &*FORMS {
        let told =
            caseless.iter().any(|form| contains(&lower, form)) || base64.iter().any(|form| contains(octets, form));
        assert!(!told, "{what} gives {secret:?} away:\n{}", text());
    }
    let digits = "0123456789abcdef".chars().map(|digit| format!("response=\"{digit}"));
    let headers = digits.chain(["authorization:", "set-cookie"].map(str::to_owned));
    let header = headers.into_iter().find(|name| contains(&lower, name.as_bytes()));
    assert!(header.is_none(), "{what} tells a header:\n{}", text());
}

#[test]
fn a_secret_in_any_form_would_be_seen() {
    let seen = |text: &str| std::panic::catch_unwind(|| assert_silent("", text.as_bytes())).is_err();
    let forms = [
        "H1DDEN",
        "bob%3ah1dden",
        "6831646465 683164 68316464656e",
        "pass:w\\u{f6}rd",
        "pass:w\\u00f6rd",
        "pass%3Aw%C3%B6rd",
        "Ym9iOmgxZGRlbg==",
        &basic("x", "t0ken"),
        &basic("xx", "t0ken"),
        &basic("xxx", "t0ken"),
        &std::fs::read_to_string(fixture("client.key")).unwrap(),
    ];
    for form in forms {
        assert!(seen(form), "{form}");
    }
    assert!(!seen("work: unchanged, 3 objects"));
}

/// Runs and looks through all that is said and kept.
#[track_caller]
fn check(env: &Env, run: impl Fn(&[&str]) -> Ran) {
    for arguments in [&TALKATIVE[..], &["-vvv", "--json", "--full", "--force"]] {
        let ran = run(arguments);
        assert_silent("standard output", ran.stdout.as_bytes());
        assert_silent("standard error", ran.stderr.as_bytes());
    }
    let commands: [&[&str]; 5] =
        [&["status"], &["status", "--json"], &["check", "-vvv"], &["calendars", "-vvv"], &["calendars", "--json"]];
    for arguments in commands {
        let ran = env.run(arguments);
        assert_silent("standard output", ran.stdout.as_bytes());
        assert_silent("standard error", ran.stderr.as_bytes());
    }
    check_files(&env.path("state"));
    check_files(&env.path("events"));
}

/// Looks through the names and the octets of every file below a folder.
#[track_caller]
fn check_files(folder: &Path) {
    for file in files(folder) {
        assert_silent("the name of a file", file.strip_prefix(folder).unwrap().as_os_str().as_encoded_bytes());
        assert_silent(&file.display().to_string(), &std::fs::read(&file).unwrap());
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
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
    side_by_side(answers, |answer| {
        let setting = talkative();
        setting.feed.answer_always(Some(answer));
        check_setting(&setting);
    });
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
    let with_login = other.url().replace("http://", "http://bob:h1dden@");
    let error_page = "/owa/auth/errorFE.aspx?key=qu3ry".to_owned();
    for place in [
        other.url(),
        other.url() + "?key=qu3ry",
        with_login,
        "http://bob:h1dden@nowhere.invalid/qu3ry".to_owned(),
        error_page,
        "http://[qu3ry".to_owned(),
        "ftp://bob:h1dden@h/qu3ry".to_owned(),
    ] {
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
fn a_server_that_sends_us_to_a_secret_place_does_not_make_us_tell_it() {
    for place in
        ["http://bob:h1dden@nowhere.invalid/?key=qu3ry", "/elsewhere/?key=qu3ry", "?key=qu3ry", "ftp://bob:h1dden@h/"]
    {
        let setting = talkative();
        setting.dav.switch(|switches| switches.answer = Some(redirect(place)));
        check_setting(&setting);
    }
}

#[test]
fn a_host_that_does_not_exist_tells_no_secret() {
    let setting = talkative();
    setting.configure(&subscription("https://bob:h1dden@nowhere.invalid/5ecre7token?key=qu3ry", "work", ""));
    check_setting(&setting);
}

#[test]
fn a_proxy_that_fails_tells_no_secret() {
    let refusing = Feed::start("");
    refusing.answer_always(Some(Answer::new(407).body("text/plain", "bob:h1dden is nobody here")));
    let proxy = refusing.url().replace("http://", "http://bob:h1dden@");
    for proxy in
        [proxy.as_str(), "http://bob:h1dden@127.0.0.1:1", "http://bob:h1dden@nowhere.invalid:3128", "h1dden://x"]
    {
        for variable in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            let setting = talkative().var("NO_PROXY", "").var(variable, proxy);
            if variable == "HTTPS_PROXY" {
                setting.dav.encrypt(showing("own.pem"));
                setting.feed.encrypt(showing("own.pem"));
                setting.configure(&subscription(&setting.feed.url(), "work", ""));
            }
            check_setting(&setting);
        }
    }
}

#[test]
fn an_unsafe_connection_tells_no_secret() {
    let keys = |ca: &str, cert: &str, key: &Path| {
        let [ca, cert] = [ca, cert].map(|name| fixture(name).display().to_string());
        format!("tls_ca = \"{ca}\"\ntls_cert = \"{cert}\"\ntls_key = \"{}\"\n", key.display())
    };
    for (encryption, ca, cert, key) in [
        (showing("own.pem"), "stranger.pem", "client.pem", "client.key"),
        (showing("elsewhere.pem"), "authority.pem", "client.pem", "client.key"),
        (showing("expired.pem"), "authority.pem", "client.pem", "client.key"),
        (demanding(), "authority.pem", "stranger.pem", "client.key"),
        (demanding(), "authority.pem", "server.pem", "client.key"),
        (demanding(), "client.key", "client.pem", "client.key"),
        (demanding(), "authority.pem", "client.key", "client.key"),
        (demanding(), "authority.pem", "client.pem", "client.pem"),
        (demanding(), "authority.pem", "client.pem", "client.key"),
    ] {
        let setting = talkative();
        let key = setting.env.file("key", std::fs::read(fixture(key)).unwrap());
        let keys = keys(ca, cert, &key);
        setting.dav.encrypt(encryption.clone());
        setting.feed.encrypt(encryption);
        setting.configure(&(keys.clone() + &subscription(&setting.feed.url(), "work", &keys)));
        check_setting(&setting);
    }
}

#[test]
fn cookies_are_neither_told_nor_kept_nor_sent_back() {
    for status in [200, 500] {
        let setting = talkative();
        let answer = Answer::new(status).header("Set-Cookie", "session=c00kie").body("text/calendar", feed(&["a"]));
        setting.feed.answer_always(Some(answer));
        setting.dav.distort(|_, answer| answer.header("Set-Cookie", "session=c00kie"));
        check_setting(&setting);
        let asked: Vec<Asked> = setting.feed.take().into_iter().chain(setting.asked()).collect();
        assert!(asked.len() > 4 && asked.iter().all(|asked| asked.header("cookie").is_none()), "{asked:?}");
    }
}

#[test]
fn a_server_that_repeats_our_credentials_does_not_make_us_tell_them() {
    let page = |told: &str| {
        let told = told.replace('"', "&quot;");
        format!("<d:error xmlns:d=\"DAV:\" xmlns:s=\"http://sabredav.org/ns\"><s:message>{told}</s:message></d:error>")
    };
    for (login, method, status) in [
        (Login::Digest, "PUT", 403),
        (Login::Basic, "PUT", 409),
        (Login::Basic, "PUT", 500),
        (Login::Digest, "PROPFIND", 500),
        // As a server does that is there to look at requests.
        (Login::Basic, "PROPFIND", 200),
    ] {
        for xml in [true, false] {
            let setting = talkative();
            setting.dav.switch(|switches| switches.login = login);
            setting.dav.distort(move |asked, answer| {
                let told = format!("not {PASSWORD} {}", asked.header("authorization").unwrap_or_default());
                match (asked.method == method, xml) {
                    (true, true) => Answer::new(status).body("application/xml", page(&told)),
                    (true, false) => Answer::new(status).body("text/plain", told),
                    _ => answer,
                }
            });
            let ran = setting.run(&TALKATIVE);
            assert_ne!(ran.code, 0, "{ran}");
            assert_silent("standard error", ran.stderr.as_bytes());
            check_setting(&setting);
        }
    }
}

#[test]
fn a_folder_holds_no_secret_either() {
    let setting = talkative();
    let target = format!("dir:{}", setting.env.path("events").display());
    setting.configure(&subscription(&(setting.feed.url() + "?key=qu3ry"), &target, ""));
    setting.feed.serving().answer = Some(Answer::new(200).body("text/calendar", feed(&["a"])));
    check_setting(&setting);
    assert_eq!(files(&setting.env.path("events")).len(), 1);
}

#[test]
fn a_run_that_is_killed_leaves_no_secret_behind() {
    let setting = talkative();
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["a", "b", "c", "d"]));
    let gate = setting.gate_at(3);
    let mut command = setting.env.command(&["run", "-vvv"]);
    let mut run: Child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    gate.wait();
    run.kill().unwrap();
    let ran = setting.env.ended(&["run", "-vvv"], run).exits(137);
    gate.open();
    assert_silent("a killed run", (ran.stdout + &ran.stderr).as_bytes());
    let names: BTreeSet<String> =
        files(&setting.env.path("state")).iter().map(|path| path.display().to_string()).collect();
    assert!(names.len() > 2, "{names:?}");
    check_setting(&setting);
}

#[test]
fn a_command_that_fails_does_not_tell_what_it_printed() {
    let setting = talkative();
    let keys = "source_user = \"bob\"\nsource_password_command = [\"sh\", \"-c\", \"echo h1dden; exit 1\"]";
    setting.configure(&subscription(&setting.feed.url(), "work", keys));
    setting.feed.serving().login = Some(("bob".to_owned(), "h1dden".to_owned()));
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
    let broken = Answer::new(207).body("application/xml", "<broken");
    side_by_side([page, Answer::new(404), broken, Answer::silence()], |answer| {
        let setting = talkative();
        setting.dav.switch(|switches| switches.answer = Some(answer));
        check_setting(&setting);
    });
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
