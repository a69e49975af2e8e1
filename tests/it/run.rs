//! Passes on a healthy server: which requests go over the wire, and that nothing is done twice.

use crate::env::{Env, subscription};
use crate::fake::dav::{Dav, Login, PASSWORD, USER};
use crate::fake::feed::Feed;
use crate::fake::http::Asked;
use crate::setting::{Setting, calendar, event, feed, feed_of, value};

/// The writes among these requests that were let through.
fn writes(asked: Vec<Asked>) -> Vec<Asked> {
    asked.into_iter().filter(|asked| ["PUT", "DELETE"].contains(&asked.method.as_str())).collect()
}

/// The values of a parameter of Digest in these requests.
fn digest(asked: &[Asked], parameter: &str) -> Vec<String> {
    let of = |asked: &Asked| {
        let given = asked.header("authorization").unwrap_or_default().to_owned();
        let found = given.split([',', ' ']).find_map(|field| field.strip_prefix(parameter).map(str::to_owned));
        found.unwrap_or_else(|| "none".to_owned())
    };
    asked.iter().map(of).collect()
}

#[test]
fn a_first_pass_creates_every_event_once() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    assert_eq!((setting.uids().as_str(), setting.writes()), ("a b", vec!["PUT 201".to_owned(); 2]));
}

#[test]
fn a_steady_pass_is_one_request_to_the_feed_and_none_to_the_server() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((setting.feed.take().len(), setting.methods()), (1, vec![]));
    let pass = &told["subscriptions"][0];
    assert_eq!(
        (&pass["requests"], &pass["feed"]["status"], &pass["feed"]["gate"]),
        (&1.into(), &304.into(), &"validator".into())
    );
}

#[test]
fn a_look_for_drift_is_one_request_without_a_challenge() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"").mirrored();
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
}

#[test]
fn the_count_of_digest_goes_on_from_one_invocation_to_the_next() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"").mirrored();
    let first = digest(&setting.asked(), "nc=");
    setting.run(&[]).exits(0);
    let second = digest(&setting.asked(), "nc=");
    setting.run(&[]).exits(0);
    let third = digest(&setting.asked(), "nc=");
    assert_eq!(first.iter().filter(|count| *count == "none").count(), 1, "one challenge: {first:?}");
    assert!(first.last() < second.first() && second < third, "{first:?} {second:?} {third:?}");
}

#[test]
fn what_churns_in_a_feed_is_not_written() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let churned = calendar(&(event("b", "Event b") + &event("a", "Event a")))
        .replace("T090000Z\r\nDTSTART", "T100000Z\r\nDTSTART");
    setting.feed.set(churned.replace("SUMMARY:Event", "SUMMARY:Eve\r\n nt"));
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((setting.methods(), &told["subscriptions"][0]["feed"]["gate"]), (vec![], &"objects".into()));
}

#[test]
fn a_body_that_is_the_same_under_another_etag_is_not_even_read() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    setting.feed.serving().etag = Some("\"another\"".to_owned());
    let told = setting.run(&["--json"]).exits(0).json();
    assert_eq!((setting.methods(), &told["subscriptions"][0]["feed"]["gate"]), (vec![], &"body".into()));
}

#[test]
fn a_change_an_addition_and_a_removal_are_three_writes_and_the_removal_is_the_last() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    setting.feed.set(calendar(&(event("a", "Event a") + &event("b", "Another title") + &event("d", "Event d"))));
    setting.run(&[]).exits(0);
    assert_eq!(
        (setting.uids().as_str(), setting.writes()),
        ("a b d", ["PUT 204", "PUT 201", "DELETE 204"].map(str::to_owned).to_vec())
    );
    assert_eq!(value(&setting.text_of("b"), "SUMMARY:"), "Another title");
}

#[test]
fn every_write_carries_its_precondition_and_invites_nobody() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let (a, b) = (setting.standing("a"), setting.standing("b"));
    setting.feed.set(calendar(&(event("a", "New") + &event("c", "Event c"))));
    setting.run(&[]).exits(0);
    let sent = writes(setting.asked());
    let conditions = sent.iter().map(|asked| (asked.header("if-match"), asked.header("if-none-match")));
    let expected = [(Some(a.1.as_str()), None), (None, Some("*")), (Some(b.1.as_str()), None)];
    assert_eq!(conditions.collect::<Vec<_>>(), expected);
    assert!(sent[0].target.ends_with(&a.0) && sent[2].target.ends_with(&b.0), "{sent:?}");
    assert!(sent.iter().all(|asked| asked.header("schedule-reply") == Some("F")), "{sent:?}");
}

#[test]
fn twenty_changes_among_a_thousand_events_are_twenty_writes_and_four_other_requests() {
    let before = feed_of(1000);
    let setting = Setting::new(&before, "").mirrored();
    let changed = (1..=20).fold(before, |feed, number| feed.replace(&format!("Event e{number}0\r"), "Changed\r"));
    setting.feed.set(changed);
    setting.run(&[]).exits(0);
    let others = setting.feed.take().len() + setting.methods().iter().filter(|method| *method != "PUT").count();
    assert_eq!(setting.writes(), vec!["PUT 204"; 20]);
    assert!(others <= 4, "{others} other requests");
}

#[test]
fn several_calendars_in_one_feed_are_one_feed() {
    let setting = Setting::new(&(feed(&["a"]) + &feed(&["b"])), "").mirrored();
    assert_eq!(setting.uids(), "a b");
}

#[test]
fn a_feed_in_utf_16_arrives_in_utf_8() {
    let text = calendar(&event("a", "Café"));
    let octets: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let setting = Setting::new("", "");
    setting.feed.set(octets);
    setting.run(&[]).exits(0);
    assert_eq!(value(&setting.text_of("a"), "SUMMARY:"), "Café");
}

#[test]
fn a_task_is_mirrored_and_a_journal_that_baikal_refuses_is_named() {
    let task = "BEGIN:VTODO\r\nUID:t\r\nDTSTAMP:20261120T090000Z\r\nSUMMARY:Do\r\nEND:VTODO\r\n";
    let journal = task.replace("VTODO", "VJOURNAL").replace("UID:t", "UID:j").replace("Do", "Diary");
    let setting = Setting::new(&calendar(&(task.to_owned() + &journal)), "");
    let told = setting.run(&["--json"]).exits(3).json();
    assert_eq!(told["subscriptions"][0]["rejected"][0]["uid"], "j", "{told:#}");
    assert_eq!(setting.uids(), "t");
}

#[test]
fn the_environment_of_the_original_daemon_is_one_subscription() {
    let (feed, dav) = (Feed::start(feed(&["a"])), Dav::start());
    let env = Env::new()
        .var("ICS_URL", feed.url())
        .var("BAIKAL_URL", dav.calendar_url("work"))
        .var("BAIKAL_USER", USER)
        .var("BAIKAL_PASS", PASSWORD);
    let told = env.run(&["run", "--json"]).exits(0).json();
    assert_eq!((&told["subscriptions"][0]["name"], dav.take_writes().len()), (&"environment".into(), 1));
    let told = env.run(&["run", "--json"]).exits(0).json();
    assert_eq!(told["subscriptions"][0]["outcome"], "not_due", "five minutes are its interval");
}

#[test]
fn the_calendar_id_of_the_original_daemon_picks_the_calendar() {
    let (feed, dav) = (Feed::start(feed(&["a"])), Dav::start());
    dav.world().calendars.entry("other".to_owned()).or_default().display_name = Some("My plans".to_owned());
    let env = Env::new().var("ICS_URL", feed.url()).var("BAIKAL_URL", dav.url()).var("CALENDAR_ID", "My plans");
    env.var("BAIKAL_USER", USER).var("BAIKAL_PASS", PASSWORD).run(&["run"]).exits(0);
    assert_eq!(dav.world().calendars["other"].objects.len(), 1);
}

#[test]
fn webcal_is_https() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.configure(&subscription(&setting.feed.url().replace("http:", "webcal:"), "work", ""));
    let found = setting.env.run(&["check"]).exits(0).stdout;
    let origin = setting.feed.url().replace("http:", "https:").replace(crate::fake::feed::PATH, "/");
    assert!(found.contains(&format!("from {origin}")), "{found}");
}

#[test]
fn a_feed_on_standard_input_is_mirrored_without_a_subscription() {
    let setting = Setting::new("", "");
    let arguments = ["run", "--source", "-", "--target", "work"];
    setting.env.run_with_input(&arguments, feed(&["a", "b"]).as_bytes()).exits(0);
    assert_eq!(setting.uids(), "a b");
    setting.dav.take_writes();
    setting.env.run_with_input(&arguments, feed(&["a", "b"]).as_bytes()).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_feed_in_a_file_is_mirrored_into_a_folder() {
    let env = Env::with_config(&subscription("feed.ics", "dir:events", ""));
    env.file("config/baikal-sync/feed.ics", feed(&["a", "b"]));
    env.run(&["run"]).exits(0);
    let files = || std::fs::read_dir(env.path("config/baikal-sync/events")).unwrap().count();
    assert_eq!(files(), 2);
    env.file("config/baikal-sync/feed.ics", feed(&["b"]));
    env.run(&["run"]).exits(0);
    assert_eq!(files(), 1);
}

#[test]
fn a_feed_that_moved_is_followed_and_its_secrets_stay_at_its_own_origin() {
    let (setting, other) = (Setting::new("", ""), Feed::start(feed(&["a"])));
    setting.feed.answer_always(Some(crate::fake::feed::redirect(&other.url())));
    let token = setting.env.file("token", "t0ken");
    let keys = format!("source_header = \"X-Api-Key\"\nsource_token_file = \"{}\"", token.display());
    setting.configure(&subscription(&setting.feed.url(), "work", &keys));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
    assert_eq!(setting.feed.take()[0].header("x-api-key"), Some("t0ken"));
    assert_eq!(other.take()[0].header("x-api-key"), None);
}

#[test]
fn a_feed_gets_its_user_and_password_when_it_asks() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.serving().login = Some(("bob".to_owned(), "pä:ss".to_owned()));
    let password = setting.env.file("feed-password", "pä:ss\n");
    let keys = format!("source_user = \"bob\"\nsource_password_file = \"{}\"", password.display());
    setting.configure(&subscription(&setting.feed.url(), "work", &keys));
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
    setting.run(&[]).exits(0);
    assert_eq!(setting.feed.take().len(), 1, "its challenge is remembered");
}

#[test]
fn a_feed_gets_its_bearer_token() {
    let setting = Setting::new(&feed(&["a"]), "");
    let token = setting.env.file("token", "t0ken");
    let keys = format!("source_token_file = \"{}\"", token.display());
    setting.configure(&subscription(&setting.feed.url(), "work", &keys));
    let asks = crate::fake::http::Answer::new(401).header("WWW-Authenticate", "Bearer realm=\"feed\"");
    setting.feed.answer_always(Some(asks));
    setting.run(&[]).exits(77);
    let asked = setting.feed.take();
    assert_eq!(asked.last().and_then(|asked| asked.header("authorization")), Some("Bearer t0ken"));
}

#[test]
fn a_target_is_named_by_path_name_title_or_address() {
    for target in ["calendars/alice/work/", "work", "Work & play", "ADDRESS"] {
        let setting = Setting::new(&feed(&["a"]), "");
        setting.dav.work(|work| work.display_name = Some("Work & play".to_owned()));
        let target = if target == "ADDRESS" { setting.dav.calendar_url("work") } else { target.to_owned() };
        setting.configure(&subscription(&setting.feed.url(), &target, ""));
        setting.run(&[]).exits(0);
        assert_eq!(setting.uids(), "a", "{target}");
    }
}

#[test]
fn a_calendar_is_made_when_the_subscription_says_so() {
    for target in ["calendars/alice/new/", "new"] {
        let setting = Setting::into(target, &feed(&["a"]), "create = true").mirrored();
        assert_eq!(setting.dav.world().calendars["new"].objects.len(), 1);
        setting.run(&[]).exits(0);
        assert_eq!(setting.methods(), [""; 0]);
    }
}

#[test]
fn a_server_that_asks_for_basic_gets_it() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.dav.switch(|switches| switches.login = Login::Basic);
    setting.run(&[]).exits(0);
    assert_eq!(setting.uids(), "a");
}
