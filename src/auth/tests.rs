//! Challenges as servers write them, and the answers they must get.

use super::*;
use crate::words::error::{kind_of, sentence};
use crate::words::message::Headers;

/// Baïkal: without spaces and without an algorithm.
const BAIKAL: &str =
    r#"Digest realm="BaikalDAV",qop="auth",nonce="6a1f0e7c3d2b1",opaque="df58bdff8cf60599c939187d0b5c54de""#;
const RADICALE: &str = r#"Basic realm="Radicale - Password Required""#;
const RFC_7616: &str = r#"Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=ALGORITHM, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS""#;

fn response(challenges: &[&str]) -> Response {
    let mut headers = Headers::default();
    for challenge in challenges {
        headers.add("WWW-Authenticate", *challenge);
    }
    Response { status: 401, headers, body: Vec::new() }
}

fn password(user: &str, password: &str) -> Credentials {
    Credentials::Password { user: user.to_owned(), password: Secret::new(password).into() }
}

fn alice(remembered: Option<&str>) -> Authenticator {
    Authenticator::new("https://dav.example.org".to_owned(), password("alice", "secret"), remembered)
}

fn url() -> Url {
    Url::parse("https://dav.example.org/dav.php/calendars/alice/?x=1").unwrap()
}

fn header(authenticator: &Authenticator) -> Option<String> {
    authenticator.header("PROPFIND", &url(), "0a4f113b").unwrap().map(|secret| secret.reveal().to_owned())
}

/// Checks the Authorization of a request after these challenges, over https.
fn check(challenges: &[&str], begins: &str) {
    let authenticator = alice(None);
    authenticator.challenged(None, &response(challenges), true).unwrap();
    let sent = header(&authenticator).unwrap();
    assert!(sent.starts_with(begins), "{sent}");
}

fn refusal(authenticator: &Authenticator, sent: Option<&str>, challenges: &[&str], over_https: bool) -> String {
    let sent = sent.map(Secret::new);
    let error = authenticator.challenged(sent.as_ref(), &response(challenges), over_https).unwrap_err();
    assert_eq!(kind_of(&error), Kind::Refused);
    sentence(&error)
}

#[test]
fn the_examples_of_rfc_7616_come_out_as_printed() {
    let md5 = "8ca523f5e9506fed4657c9700eebdbec";
    let sha256 = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
    for (algorithm, expected) in [("MD5", md5), ("SHA-256", sha256)] {
        let mufasa = password("Mufasa", "Circle of Life");
        let authenticator = Authenticator::new("http://www.example.org".to_owned(), mufasa, None);
        let challenge = RFC_7616.replace("ALGORITHM", algorithm);
        authenticator.challenged(None, &response(&[&challenge]), false).unwrap();
        let url = Url::parse("http://www.example.org/dir/index.html").unwrap();
        let sent = authenticator.header("GET", &url, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ").unwrap().unwrap();
        assert_eq!(
            sent.reveal(),
            format!(
                "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", uri=\"/dir/index.html\", qop=auth, nc=00000001, \
                 cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", response=\"{expected}\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", algorithm={algorithm}"
            )
        );
    }
}

#[test]
fn baikal_is_answered_without_an_algorithm_and_with_the_query() {
    let authenticator = alice(None);
    assert_eq!(header(&authenticator), None);
    authenticator.challenged(None, &response(&[BAIKAL]), true).unwrap();
    assert_eq!(
        header(&authenticator).unwrap(),
        "Digest username=\"alice\", realm=\"BaikalDAV\", nonce=\"6a1f0e7c3d2b1\", \
         uri=\"/dav.php/calendars/alice/?x=1\", qop=auth, nc=00000001, cnonce=\"0a4f113b\", \
         response=\"f71143583fcc5e7848b836bcd4ec754f\", opaque=\"df58bdff8cf60599c939187d0b5c54de\""
    );
}

#[test]
fn the_strongest_scheme_that_is_offered_is_chosen() {
    let md5 = RFC_7616.replace("ALGORITHM", "MD5");
    let sha256 = RFC_7616.replace("ALGORITHM", "SHA-256");
    let unknown = RFC_7616.replace("ALGORITHM", "SHA-512-256");
    check(&[RADICALE], "Basic YWxpY2U6c2VjcmV0");
    check(&["basic realm=\"x\", charset=\"UTF-8\""], "Basic YWxpY2U6c2VjcmV0");
    check(&[RADICALE, &md5], "Digest ");
    check(&[&unknown, RADICALE], "Basic ");
    check(&["Negotiate", RADICALE], "Basic ");
    let authenticator = alice(None);
    authenticator.challenged(None, &response(&[&md5, &sha256, &unknown]), true).unwrap();
    assert!(header(&authenticator).unwrap().ends_with("algorithm=SHA-256"));
}

#[test]
fn a_password_goes_to_its_own_origin_only() {
    let authenticator = alice(Some("0 Basic realm=\"\""));
    assert!(header(&authenticator).is_some());
    for other in ["http://dav.example.org/", "https://dav.example.org:8443/", "https://example.org/"] {
        assert_eq!(authenticator.header("GET", &Url::parse(other).unwrap(), "c").unwrap(), None, "{other}");
    }
}

#[test]
fn a_remembered_challenge_goes_on_with_its_count_and_holds_no_secret() {
    let authenticator = alice(None);
    authenticator.challenged(None, &response(&[BAIKAL]), true).unwrap();
    header(&authenticator);
    let remembered = authenticator.remember().unwrap();
    assert!(!remembered.contains("alice") && !remembered.contains("secret"), "{remembered}");
    let again = alice(Some(&remembered));
    assert!(header(&again).unwrap().contains("nonce=\"6a1f0e7c3d2b1\", uri"));
    assert!(header(&again).unwrap().contains("nc=00000003, "));
    assert_eq!(
        again.remember(),
        header(&authenticator).and_then(|_| header(&authenticator)).and(authenticator.remember())
    );
    for nonsense in ["", "Digest", "x Digest realm=\"a\", nonce=\"b\", qop=\"auth\"", "1 Digest realm=\"a\""] {
        assert_eq!(header(&alice(Some(nonsense))), None, "{nonsense}");
    }
}

#[test]
fn a_first_answer_that_is_refused_means_a_wrong_password() {
    for challenge in [BAIKAL, RADICALE] {
        let authenticator = alice(None);
        authenticator.challenged(None, &response(&[challenge]), true).unwrap();
        let sent = header(&authenticator);
        let words = refusal(&authenticator, sent.as_deref(), &[&challenge.replace("6a1f", "6a20")], true);
        assert_eq!(words, "https://dav.example.org does not accept the user name or the password");
    }
}

#[test]
fn an_old_nonce_is_replaced_by_a_new_one() {
    let authenticator = alice(Some(&format!("41 {BAIKAL}")));
    let first = header(&authenticator).map(Secret::new);
    let second = header(&authenticator).map(Secret::new);
    let renewed = response(&[&BAIKAL.replace("6a1f", "6a20")]);
    authenticator.challenged(first.as_ref(), &renewed, true).unwrap();
    let with_new = header(&authenticator).unwrap();
    assert!(with_new.contains("nonce=\"6a200e7c3d2b1\"") && with_new.contains("nc=00000001"), "{with_new}");
    // Another thread used the old nonce too and gets its response later.
    authenticator.challenged(second.as_ref(), &renewed, true).unwrap();
    // A server may declare even a first use stale.
    let stale = format!("{BAIKAL},stale=true");
    authenticator.challenged(Some(&Secret::new(with_new)), &response(&[&stale]), true).unwrap();
}

#[test]
fn basic_is_never_sent_in_clear_where_digest_was_offered() {
    let words = "https://dav.example.org offered Digest authentication before and now wants the password in clear; use \
                 https, or make sure that nobody stands between";
    assert_eq!(refusal(&alice(Some(&format!("1 {BAIKAL}"))), None, &[RADICALE], false), words);
    let unsupported = RFC_7616.replace("ALGORITHM", "SHA-512-256");
    assert_eq!(refusal(&alice(None), None, &[RADICALE, &unsupported], false), words);
    alice(Some(&format!("1 {BAIKAL}"))).challenged(None, &response(&[RADICALE]), true).unwrap();
    alice(None).challenged(None, &response(&[RADICALE]), false).unwrap();
}

#[test]
fn what_cannot_be_answered_is_named() {
    let refused = |challenges: &[&str]| refusal(&alice(None), None, challenges, true);
    assert!(refused(&[]).ends_with("answers 401 without saying how to authenticate"));
    assert!(refused(&["Negotiate", "NTLM"]).contains("wants Negotiate or NTLM authentication"));
    let endless = format!("Digest realm=\"{}\", nonce=\"n\", qop=\"auth\"", "r".repeat(30_000));
    assert!(refused(&[&endless]).contains("wants Digest authentication"));
    assert!(refused(&[&BAIKAL.replace("qop=\"auth\"", "qop=\"auth-int\"")]).contains("wants Digest authentication"));
    let umlaut = Authenticator::new("https://h".to_owned(), password("jörg", "p"), None);
    assert!(refusal(&umlaut, None, &[BAIKAL], true).contains("user names in ASCII only"));
    umlaut.challenged(None, &response(&[BAIKAL, RADICALE]), true).unwrap();
}

#[test]
fn a_token_is_sent_at_once_and_only_as_a_token() {
    let bearer =
        || Authenticator::new("https://dav.example.org".into(), Credentials::Bearer(Secret::new("t0k").into()), None);
    assert_eq!(header(&bearer()).as_deref(), Some("Bearer t0k"));
    assert_eq!(bearer().remember(), None);
    let words = refusal(&bearer(), Some("Bearer t0k"), &[RADICALE], true);
    assert_eq!(words, "https://dav.example.org does not accept the token");
}

#[test]
fn the_password_is_fetched_when_it_is_needed_and_once() {
    let fetched = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = fetched.clone();
    let late = crate::words::secret::LateSecret::new(move || {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Secret::new("secret"))
    });
    let credentials = Credentials::Password { user: "alice".to_owned(), password: late };
    let authenticator = Authenticator::new("https://dav.example.org".to_owned(), credentials, None);
    let count = || fetched.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((header(&authenticator), count()), (None, 0));
    authenticator.challenged(None, &response(&["Basic realm=\"x\""]), true).unwrap();
    assert!(header(&authenticator).is_some() && header(&authenticator).is_some() && count() == 1);
}

#[test]
fn a_refusal_that_repeats_our_credentials_is_told_without_them() {
    let authenticator = alice(None);
    authenticator.challenged(None, &response(&[BAIKAL]), true).unwrap();
    let sent = authenticator.header("PUT", &url(), "0a4f113b").unwrap().unwrap();
    let (_, proof) = sent.reveal().split_once("response=\"").unwrap();
    let words = format!("alice, secret or not, {} is {}", sent.reveal(), &proof[..32]);
    let told = |status| {
        let mut refusal = Response { status, headers: Headers::default(), body: words.clone().into_bytes() };
        authenticator.hide_in(&mut refusal, &sent);
        String::from_utf8(refusal.body).unwrap()
    };
    assert_eq!((told(403).as_str(), told(207)), ("alice, … or not, Digest … is …", words.clone()));
}
