//! A feed, a calendar and the program between them, with a proxy that counts the writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::env::{Env, Ran, server, subscription};
use crate::fake::feed::Feed;
use crate::proxy::Proxy;
use crate::server::{Calendar, Server, root};

/// One subscription: a feed with an ETag, and a calendar.
pub(crate) struct Mirror {
    pub feed: Feed,
    pub calendar: Calendar,
    pub env: Env,
    pub proxy: Proxy,
}

impl Mirror {
    /// The first fixture and a fresh calendar. Every pass looks for edits on the server.
    pub(crate) fn new(server: &Server) -> Mirror {
        Mirror::into(server, server.fresh_calendar(), "verify = \"always\"")
    }

    /// The first fixture and this calendar, with these keys of the subscription.
    pub(crate) fn into(server: &Server, calendar: Calendar, keys: &str) -> Mirror {
        let feed = Feed::start(fixture("outlook.ics")).with_etag();
        let proxy = Proxy::before(&server.origin);
        let env = Env::with_config(&config(server, &proxy, &feed.url(), &calendar.path, keys));
        Mirror { feed, calendar, env, proxy }
    }

    /// Runs the program, and takes what was said on the wire before out of the way.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.proxy.take();
        self.feed.take();
        self.env.run(&[&["run"], arguments].concat())
    }

    /// Serves another fixture from now on.
    pub(crate) fn serve(&self, name: &str) {
        self.feed.set(fixture(name));
    }

    /// Asserts that the calendar holds what the feed serves now, and nothing else.
    #[track_caller]
    pub(crate) fn holds_the_feed(&self) {
        hold(&self.feed.serving().body, &self.calendar.objects());
    }

    /// The methods of the writes of the last run. Asserts that the server took each of them, and that none of them
    /// makes a server send mail (RFC 6638 §8.1).
    #[track_caller]
    pub(crate) fn writes(&self) -> Vec<String> {
        let mut methods = Vec::new();
        for (asked, status) in self.proxy.take() {
            if !matches!(asked.method.as_str(), "PUT" | "DELETE") || status == 401 {
                continue;
            }
            assert!(matches!(status, 200 | 201 | 204), "{}: {status}", asked.line());
            assert_eq!(asked.header("schedule-reply"), Some("F"), "{}", asked.line());
            assert!(asked.header("if-match").is_some() || asked.header("if-none-match").is_some(), "{}", asked.line());
            methods.push(asked.method);
        }
        methods
    }

    /// The names of our objects whose text holds this.
    pub(crate) fn find(&self, text: &str) -> String {
        let found = self.calendar.objects().into_iter().find(|(_, object)| object.contains(text));
        found.unwrap_or_else(|| panic!("no object with {text}")).0
    }
}

/// The configuration for one subscription by way of the proxy.
pub(crate) fn config(to: &Server, proxy: &Proxy, source: &str, target: &str, keys: &str) -> String {
    let url = proxy.url("/");
    let server = match &to.user {
        Some(user) => server(&url, user, &to.password_file),
        None => format!("[server]\nurl = \"{url}\"\n"),
    };
    server + &subscription(source, target, keys)
}

/// A feed of `tests/fixtures/ics`.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(root().join("tests/fixtures/ics").join(name)).unwrap()
}

/// A feed of any size, from the generator that lies beside the project; `None`, with a note, where it does not.
pub(crate) fn generated(arguments: &[&str]) -> Option<Vec<u8>> {
    let generator = root().join("../shared/tools/gen_feed.py");
    if !generator.is_file() {
        eprintln!("the generator of feeds is not there, so nothing is tested with large ones");
        return None;
    }
    let output = Command::new("python3").arg(generator).args(arguments).output().expect("python3 is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

/// Asserts that these objects are those of the feed, whole, each of them once, and no other.
#[track_caller]
pub(crate) fn hold(feed: &[u8], objects: &BTreeMap<String, String>) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("feed");
    std::fs::write(&file, feed).unwrap();
    for (name, text) in objects {
        std::fs::write(folder.path().join(format!("{}.ics", name.trim_end_matches(".ics"))), text).unwrap();
    }
    let (success, said) = compare("holds", &file, folder.path());
    assert!(success, "the calendar does not hold the feed:\n{said}");
}

/// How many objects were added, changed and removed between two feeds.
pub(crate) fn changes(old: &[u8], new: &[u8]) -> (usize, usize, usize) {
    let folder = TempDir::new().unwrap();
    let file = |name: &str, octets: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        std::fs::write(&path, octets).unwrap();
        path
    };
    let (success, said) = compare("changes", &file("old", old), &file("new", new));
    let numbers: Vec<usize> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(success && numbers.len() == 3, "{said}");
    (numbers[0], numbers[1], numbers[2])
}

fn compare(verb: &str, one: &Path, other: &Path) -> (bool, String) {
    let python = root().join("target/live/venv/bin/python");
    let script = root().join("tests/live/compare.py");
    let output = Command::new(python).arg(script).arg(verb).args([one, other]).output().expect("tests/all made a venv");
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
