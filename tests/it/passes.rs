//! Whole passes of the program against a fake Baïkal: what goes over the wire, and what a broken server cannot break.

use crate::env::{Env, Ran, server, subscription};
use crate::fake::dav::{Dav, PASSWORD, Refusal, USER};
use crate::fake::dav_answer::unexpandable;
use crate::fake::dav_store::Calendar;
use crate::fake::feed::{Feed, html_page, too_many_requests};

/// A feed with an ETag, a fake Baïkal and the program between them.
struct Setting {
    feed: Feed,
    dav: Dav,
    env: Env,
}

impl Setting {
    fn new(feed: &str, keys: &str) -> Setting {
        let (feed, dav, env) = (Feed::start(feed).with_etag(), Dav::start(), Env::new());
        let password = env.file("password", PASSWORD);
        let target = dav.calendar_url("work");
        env.set_config(&(server(&dav.url(), USER, &password) + &subscription(&feed.url(), &target, keys)));
        Setting { feed, dav, env }
    }

    /// The same, with all that dependencies would say at trace level.
    fn with_trace(mut self) -> Setting {
        self.env = self.env.var("RUST_LOG", "trace");
        self
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.feed.take();
        self.dav.take();
        self.dav.take_writes();
        self.env.run(&[&["run"], arguments].concat())
    }

    /// The methods of the last run, the ones that got 401 too.
    fn methods(&self) -> Vec<String> {
        self.dav.take().into_iter().map(|asked| asked.method).collect()
    }

    /// The statuses of the writes of the last run: `PUT 201`.
    fn writes(&self) -> Vec<String> {
        let short = |write: String| {
            let words: Vec<&str> = write.split(' ').collect();
            format!("{} {}", words[0], words[2])
        };
        self.dav.take_writes().into_iter().map(short).collect()
    }

    /// The UIDs that stand in the calendar.
    fn uids(&self) -> Vec<String> {
        let uid = |text: String| text.lines().find_map(|line| line.strip_prefix("UID:")).unwrap_or_default().to_owned();
        let mut uids: Vec<String> = self.dav.work(|work| work.texts()).into_iter().map(uid).collect();
        uids.sort();
        uids
    }
}

/// A feed with one event for each UID.
fn feed(uids: &[&str]) -> String {
    let event = |uid: &&str| {
        format!(
            "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261120T090000Z\r\nDTSTART:20261201T090000Z\r\nSUMMARY:Event {uid}\r\nEND:VEVENT\r\n"
        )
    };
    let events: String = uids.iter().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:PUBLISH\r\n{events}END:VCALENDAR\r\n")
}

#[test]
fn a_steady_pass_is_one_request_to_the_feed_and_none_to_the_server() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids(), setting.writes()), (vec!["a".into(), "b".into()], vec!["PUT 201".into(); 2]));
    setting.run(&[]).exits(0);
    assert_eq!((setting.feed.take().len(), setting.methods()), (1, vec![]));
}

#[test]
fn a_look_for_drift_is_one_request_without_a_challenge() {
    let setting = Setting::new(&feed(&["a"]), "verify = \"always\"");
    setting.run(&[]).exits(0);
    setting.run(&[]).exits(0);
    assert_eq!(setting.methods(), ["PROPFIND"]);
}

#[test]
fn what_leaves_the_feed_is_deleted_and_nothing_else() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "");
    setting.dav.work(|work| work.put("mine.ics", feed(&["mine"]).replace("METHOD:PUBLISH\r\n", "")));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["a", "c"]));
    setting.run(&[]).exits(0);
    assert_eq!((setting.uids().join(" "), setting.writes()), ("a c mine".into(), vec!["DELETE 204".into()]));
}

#[test]
fn a_feed_that_is_broken_deletes_nothing() {
    let setting = Setting::new(&feed(&["a", "b"]), "");
    setting.run(&[]).exits(0);
    let whole = feed(&["a"]);
    setting.feed.set(&whole[..whole.len() - 20]);
    setting.run(&["--force"]).exits(75);
    setting.feed.answer_always(Some(html_page()));
    setting.run(&["--force"]).exits(75);
    setting.feed.answer_always(None);
    setting.feed.set(feed(&[]));
    setting.run(&["--force"]).exits(4);
    assert_eq!(
        (setting.uids().join(" "), setting.methods().iter().any(|method| method == "DELETE")),
        ("a b".into(), false)
    );
}

#[test]
fn a_feed_that_asks_for_patience_is_left_alone() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.feed.answer_always(Some(too_many_requests(600)));
    setting.run(&[]).exits(75);
    setting.run(&[]).exits(75);
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
}

#[test]
fn a_database_that_broke_under_baikal_is_no_success() {
    let setting = Setting::new(&feed(&["a"]), "");
    setting.dav.switch(|switches| switches.broken_database = true);
    let ran = setting.run(&[]);
    assert!(matches!(ran.code, 75 | 76), "{ran}");
    setting.dav.switch(|switches| switches.broken_database = false);
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids(), ["a"]);
}

#[test]
fn one_bad_event_is_one_bad_event_and_is_not_sent_again() {
    let setting = Setting::new(&feed(&["a", "bad", "c"]), "");
    let answer = unexpandable("Invalid part in BYDAY clause: XX");
    setting.dav.switch(|switches| switches.refusals = vec![Refusal { text: "UID:bad", answer }]);
    let told = setting.run(&["--json"]).exits(3).json();
    assert_eq!(told["subscriptions"][0]["rejected"][0]["uid"], "bad", "{told:#}");
    assert_eq!(setting.uids().join(" "), "a c");
    setting.run(&[]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
}

#[test]
fn a_write_that_got_through_before_the_connection_broke_is_not_done_twice() {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "");
    setting.dav.switch(|switches| switches.drop_after_write = Some(2));
    let ran = setting.run(&[]);
    setting.dav.switch(|switches| switches.drop_after_write = None);
    assert!(matches!(ran.code, 0 | 75), "{ran}");
    setting.run(&["--force"]).exits(0);
    assert_eq!(setting.uids().join(" "), "a b c");
    setting.run(&["--full"]).exits(0);
    assert_eq!(setting.writes(), [""; 0]);
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
fn a_calendar_that_was_made_anew_is_filled_again() {
    let setting = Setting::new(&feed(&["a", "b"]), "verify = \"always\"");
    setting.run(&[]).exits(0);
    // Its counter begins at 1: the token that we remember is one of the future (`reference/servers.md` §5).
    setting.dav.work(|work| *work = Calendar::default());
    setting.run(&[]);
    setting.run(&["--force", "--allow-deletes"]).exits(0);
    assert_eq!(setting.uids().join(" "), "a b");
}

#[test]
fn neither_password_nor_feed_address_is_told_anywhere() {
    let setting = Setting::new(&feed(&["a"]), "").with_trace();
    let told = setting.run(&["-vv", "--json"]).exits(0).to_string();
    let (_, told) = told.split_once("--- exit code").unwrap();
    setting.feed.stop();
    let failed = setting.run(&["-vv", "--json"]).to_string();
    let (_, failed) = failed.split_once("--- exit code").unwrap();
    let state = String::from_utf8_lossy(&std::fs::read(setting.env.state()).unwrap()).into_owned();
    for (text, place) in [(told, "a run"), (failed, "a failure"), (&state, "the state")] {
        assert!(!text.contains(PASSWORD) && !text.contains("5ecre7token"), "{place} gives a secret away:\n{text}");
    }
}
