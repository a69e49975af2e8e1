//! Encrypted connections to servers and feeds: whom the program trusts, whom it proves itself to, and what it says when
//! that does not work.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::version::{TLS12, TLS13};

use crate::env::{Ran, subscription};
use crate::fake::feed::redirect;
use crate::fake::tls::{demanding, demanding_by, fixture, showing};
use crate::setting::{Setting, feed};

/// A feed and a server that both speak https like this, and the same keys for both.
fn encrypted(encryption: &Arc<ServerConfig>, keys: &str) -> Setting {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.dav.encrypt(Arc::clone(encryption));
    setting.feed.encrypt(Arc::clone(encryption));
    let work = subscription(&setting.feed.url(), "calendars/alice/work/", keys);
    setting.configure(&format!("{keys}\n{work}"));
    setting
}

/// The key that trusts a certificate.
fn trusting(certificate: &str) -> String {
    format!("tls_ca = \"{}\"", fixture(certificate).display())
}

/// The keys that trust the authority and show a certificate. The key file is a copy: git keeps no permissions.
fn showing_ours(setting: &Setting, certificate: &str, mode: u32) -> String {
    let key = setting.env.file("client.key", std::fs::read(fixture("client.key")).unwrap());
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
    let (certificate, key) = (fixture(certificate), key);
    format!(
        "{}\ntls_cert = \"{}\"\ntls_key = \"{}\"\n",
        trusting("authority.pem"),
        certificate.display(),
        key.display()
    )
}

/// Runs with keys for the server alone and then with keys for the feed alone, the other end being fine; compares the
/// exit code and what is said of either.
#[track_caller]
fn check(encryption: &Arc<ServerConfig>, keys: impl Fn(&Setting) -> String, code: i32, words: &str) {
    for at_feed in [true, false] {
        let setting = Setting::new(&feed(&["a"]), "");
        let encryption = Arc::clone(encryption);
        if at_feed {
            setting.feed.encrypt(encryption);
        } else {
            setting.dav.encrypt(encryption);
        }
        let keys = keys(&setting);
        let (of_server, of_feed) = if at_feed { ("", keys.as_str()) } else { (keys.as_str(), "") };
        let work = subscription(&setting.feed.url(), "calendars/alice/work/", of_feed);
        setting.configure(&format!("{of_server}\n{work}"));
        let ran = setting.run(&["-v"]);
        says(ran, code, words);
        assert_eq!(setting.uids(), "");
        if !at_feed {
            let ran = setting.env.run(&["calendars"]);
            assert!(ran.code != 0 && ran.stderr.contains(words), "{ran}");
        }
    }
}

/// Asserts the exit code and one line that names the host, says this, and tells no secret.
#[track_caller]
fn says(ran: Ran, code: i32, words: &str) {
    let ran = ran.exits(code);
    let line = ran.stderr.lines().find(|line| line.contains(words)).unwrap_or_else(|| panic!("{words}: {ran}"));
    assert!(line.starts_with("work: no safe connection to https://127.0.0.1:"), "{ran}");
    assert!(!ran.stderr.contains("5ecre7token") && !ran.stderr.contains("calendars/alice"), "{ran}");
}

const UNTRUSTED: &str = "nobody whom this machine trusts has signed its certificate";

#[test]
fn a_local_authority_and_a_certificate_of_ones_own_are_trusted_when_they_are_named() {
    for (shown, trusted) in [("server.pem", "authority.pem"), ("own.pem", "own.pem")] {
        let setting = encrypted(&showing(shown), &trusting(trusted)).mirrored();
        assert_eq!(setting.uids(), "a");
        setting.env.run(&["calendars"]).exits(0);
        setting.env.run(&["check"]).exits(0);
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_at_once_and_names_the_key_that_would_trust_it() {
    for shown in ["server.pem", "own.pem"] {
        check(&showing(shown), |_| trusting("stranger.pem"), 77, UNTRUSTED);
        check(&showing(shown), |_| trusting("stranger.pem"), 77, "`tls_ca`");
    }
    let ran = encrypted(&showing("own.pem"), &trusting("stranger.pem")).run(&[]);
    says(ran, 77, UNTRUSTED);
}

#[test]
fn what_a_feed_trusts_a_server_does_not() {
    let setting = encrypted(&showing("own.pem"), &trusting("own.pem"));
    let work = subscription(&setting.feed.url(), "calendars/alice/work/", &trusting("own.pem"));
    setting.configure(&format!("{}\n{work}", trusting("stranger.pem")));
    says(setting.run(&[]), 77, UNTRUSTED);
    setting.configure(&format!("{}\n[defaults]\n{}\n{work}", trusting("own.pem"), trusting("stranger.pem")));
    setting.run(&["--force"]).exits(0);
}

#[test]
fn a_certificate_for_another_name_is_refused_with_the_names_that_it_is_for() {
    let words = "its certificate is for cal.example.org, *.example.net; check the address";
    check(&showing("elsewhere.pem"), |_| trusting("authority.pem"), 77, words);
}

#[test]
fn a_certificate_out_of_date_may_be_renewed_before_a_person_has_to_look() {
    check(
        &showing("expired.pem"),
        |_| trusting("authority.pem"),
        75,
        "its certificate was good until 2021-03-14 15:09",
    );
    check(&showing("future.pem"), |_| trusting("authority.pem"), 75, "check the clock of this machine");
    let setting = encrypted(&showing("expired.pem"), &trusting("authority.pem"));
    assert_eq!(setting.run(&[]).exits(75).stderr, "");
    setting.env.later(4 * 3600);
    says(setting.run(&[]), 69, "good until");
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_ours() {
    let setting = Setting::new(&feed(&["a"]), "");
    for versions in [[&TLS12], [&TLS13]] {
        let keys = showing_ours(&setting, "client.pem", 0o600);
        assert_eq!(encrypted(&demanding_by(&versions), &keys).mirrored().uids(), "a");
    }
}

#[test]
fn a_server_that_misses_or_rejects_our_certificate_is_told_of_with_the_key_that_names_one() {
    let asks = "it asks for a certificate of ours; name one in `tls_cert`";
    check(&demanding_by(&[&TLS13]), |_| trusting("authority.pem"), 77, asks);
    check(&demanding_by(&[&TLS12]), |_| trusting("authority.pem"), 77, asks);
    let rejects = "it does not accept our certificate, the one of `tls_cert`";
    check(&demanding(), |setting| showing_ours(setting, "stranger.pem", 0o600), 77, rejects);
}

#[test]
fn a_key_that_does_not_belong_to_its_certificate_or_is_open_to_others_stops_before_anything_is_sent() {
    for (certificate, mode, code, words) in
        [("server.pem", 0o600, 78, "does not go with the key"), ("client.pem", 0o644, 77, "chmod go-rwx")]
    {
        let setting = Setting::new(&feed(&["a"]), "");
        let keys = showing_ours(&setting, certificate, mode);
        let setting = encrypted(&demanding(), &keys);
        let ran = setting.run(&[]).exits(code);
        assert!(ran.stderr.contains(words) && setting.asked().is_empty(), "{ran}");
        let ran = setting.env.run(&["check"]).exits(code);
        assert_eq!(ran.stdout.matches(words).count(), 2, "{ran}");
    }
}

#[test]
fn a_redirect_that_leaves_encryption_is_not_followed() {
    let (setting, plain) = (encrypted(&showing("own.pem"), &trusting("own.pem")), Setting::new(&feed(&["a"]), ""));
    setting.feed.answer_always(Some(redirect(&plain.feed.url())));
    let ran = setting.run(&["-v"]).exits(75);
    assert!(ran.stderr.contains("which is not encrypted: not followed"), "{ran}");
    assert!(plain.feed.take().is_empty());
}
