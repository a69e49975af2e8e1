//! A feed, a fake Baïkal and the program between them: what most tests of whole passes begin with.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::env::{Env, Ran, server, subscription};
use crate::fake::dav::{Dav, PASSWORD, USER};
use crate::fake::dav_store::Calendar;
use crate::fake::feed::Feed;
use crate::fake::http::Asked;

/// A feed with an ETag, a fake Baïkal and a configuration with the subscription `work` between them.
pub(crate) struct Setting {
    pub feed: Feed,
    pub dav: Dav,
    pub env: Env,
}

/// A server that waits at a request until the test lets it go.
pub(crate) struct Gate {
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Setting {
    /// `keys` are further keys of the subscription.
    pub(crate) fn new(feed: &str, keys: &str) -> Setting {
        Setting::into("calendars/alice/work/", feed, keys)
    }

    /// The same with another target.
    pub(crate) fn into(target: &str, feed: &str, keys: &str) -> Setting {
        let setting = Setting { feed: Feed::start(feed).with_etag(), dav: Dav::start(), env: Env::new() };
        setting.configure(&subscription(&setting.feed.url(), target, keys));
        setting
    }

    /// The same, with a variable in the environment of its runs.
    pub(crate) fn var(self, name: &str, value: impl Into<String>) -> Setting {
        Setting { env: self.env.var(name, value), ..self }
    }

    /// The same after a first run that settled.
    pub(crate) fn mirrored(self) -> Setting {
        self.run(&[]).exits(0);
        self
    }

    /// Writes a configuration with the fake as its server and these tables after it.
    pub(crate) fn configure(&self, tables: &str) {
        let password = self.env.file("password", PASSWORD);
        self.env.set_config(&(server(&self.dav.url(), USER, &password) + tables));
    }

    /// Forgets what was asked before, and runs `run` with these arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.feed.take();
        self.dav.take();
        self.dav.take_writes();
        self.env.run(&[&["run"], arguments].concat())
    }

    /// The requests of the last run to the server, the ones that got 401 too.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.dav.take()
    }

    /// Their methods.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.method).collect()
    }

    /// The statuses of the writes of the last run: `PUT 201`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let short = |write: String| {
            let words: Vec<&str> = write.split(' ').collect();
            format!("{} {}", words[0], words[2])
        };
        self.dav.take_writes().into_iter().map(short).collect()
    }

    /// The UIDs that stand in the calendar, in their order, with a space between.
    pub(crate) fn uids(&self) -> String {
        let mut uids: Vec<String> =
            self.dav.work(|work| work.texts()).iter().map(|text| value(text, "UID:").to_owned()).collect();
        uids.sort();
        uids.join(" ")
    }

    /// The name of the object with this UID in the calendar.
    pub(crate) fn name_of(&self, uid: &str) -> String {
        let is_it =
            |work: &mut Calendar| work.objects.keys().find(|name| value(&work.text(name), "UID:") == uid).cloned();
        self.dav.work(is_it).unwrap_or_else(|| panic!("no object {uid}"))
    }

    /// The name and the ETag of the object with this UID in the calendar.
    pub(crate) fn standing(&self, uid: &str) -> (String, String) {
        let name = self.name_of(uid);
        let etag = self.dav.work(|work| work.objects[&name].etag.clone());
        (name, etag)
    }

    /// The text of the object with this UID in the calendar.
    pub(crate) fn text_of(&self, uid: &str) -> String {
        let name = self.name_of(uid);
        self.dav.work(|work| work.text(&name))
    }

    /// Someone edits the title of an object in the calendar.
    pub(crate) fn edit(&self, uid: &str, title: &str) {
        let (name, text) = (self.name_of(uid), self.text_of(uid));
        let old = value(&text, "SUMMARY:").to_owned();
        self.dav.work(|work| work.put(&name, text.replace(&old, title)));
    }

    /// Somebody gives an event another title as soon as this text stands in the calendar.
    pub(crate) fn edit_when(&self, text: &'static str, uid: &str, title: &str) {
        let (name, edited) = (self.name_of(uid), object(uid, title));
        let mut is_done = false;
        self.dav.meddle(move |_, work| {
            if !is_done && work.texts().iter().any(|stored| stored.contains(text)) {
                is_done = true;
                work.put(&name, edited.clone());
            }
        });
    }

    /// The server waits at the next request after `objects` objects stand in the calendar.
    pub(crate) fn gate_at(&self, objects: usize) -> Gate {
        let ((sender, reached), (go, gone)) = (channel(), channel());
        let mut is_open = false;
        self.dav.meddle(move |_, work| {
            if !is_open && work.objects.len() == objects {
                is_open = true;
                // A test that has ended waits for nothing.
                let _ = sender.send(());
                let _ = gone.recv();
            }
        });
        Gate { reached, go }
    }
}

impl Gate {
    /// Waits until the server has been asked.
    pub(crate) fn wait(&self) {
        self.reached.recv().expect("the server is there");
    }

    /// Lets the server answer.
    pub(crate) fn open(self) {
        let _ = self.go.send(());
    }
}

/// A mirrored calendar that every pass looks at; `keys` are further keys of the subscription.
pub(crate) fn watched(keys: &str) -> Setting {
    Setting::new(&feed(&["a", "b"]), &format!("verify = \"always\"\n{keys}")).mirrored()
}

/// Checks each of these at the same time as the others: the program repeats lost requests patiently.
pub(crate) fn side_by_side<T: Send>(all: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for each in all {
            let check = &check;
            scope.spawn(move || check(each));
        }
    });
}

/// What stands after this in the first line that begins with it.
pub(crate) fn value<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(start)).unwrap_or_default()
}

/// A feed with one event for each UID.
pub(crate) fn feed(uids: &[&str]) -> String {
    calendar(&uids.iter().map(|uid| event(uid, &format!("Event {uid}"))).collect::<String>())
}

/// A feed of so many events: `e0`, `e1`, …
pub(crate) fn feed_of(events: usize) -> String {
    let uids: Vec<String> = (0..events).map(|number| format!("e{number}")).collect();
    feed(&uids.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A feed with these components.
pub(crate) fn calendar(components: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//x//EN\r\nMETHOD:PUBLISH\r\n{components}END:VCALENDAR\r\n")
}

/// An event.
pub(crate) fn event(uid: &str, title: &str) -> String {
    format!(
        "BEGIN:VEVENT\r\nUID:{uid}\r\nDTSTAMP:20261120T090000Z\r\nDTSTART:20261201T090000Z\r\nSUMMARY:{title}\r\nEND:VEVENT\r\n"
    )
}

/// An object as someone else puts it into a calendar.
pub(crate) fn object(uid: &str, title: &str) -> String {
    calendar(&event(uid, title)).replace("METHOD:PUBLISH\r\n", "")
}
