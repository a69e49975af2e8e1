//! The states of a record, as the head of `src/lib.rs` draws them: one walk along every arrow.

use std::collections::BTreeSet;

use rusqlite::Connection;

use crate::fake::dav::Refusal;
use crate::fake::http::Answer;
use crate::setting::{Setting, calendar, feed, object};

/// Every arrow that the head of `src/lib.rs` draws: from, to. `-`: no record.
fn drawn() -> BTreeSet<(String, String)> {
    let page = include_str!("../../src/lib.rs");
    let table = page.split("## The states of a record").nth(1).and_then(|rest| rest.split("```").nth(1)).unwrap();
    let rows = table.lines().filter_map(|line| line.trim_start_matches("//!").split_once("->"));
    let arrows =
        rows.flat_map(|(from, to)| to.split_whitespace().map(move |to| (from.trim().to_owned(), to.to_owned())));
    arrows.collect()
}

/// A feed of the event `u` and another one, and the state of its record.
struct Walk {
    setting: Setting,
    /// So many events come and go with it, so that a guard holds their deletions.
    companions: usize,
    at: String,
    walked: BTreeSet<(String, String)>,
}

/// An event that has ended.
fn event(uid: &str, title: &str) -> String {
    crate::setting::event(uid, title).replace("DTSTART:2026", "DTSTART:2001")
}

/// What the feed says of `u`.
#[derive(Clone, Copy)]
enum Says {
    Nothing,
    This(&'static str),
}
use Says::{Nothing, This};

impl Walk {
    /// Begins without a record.
    fn new(keys: &str) -> Walk {
        let setting = Setting::new(&feed(&["other"]), &format!("verify = \"always\"\n{keys}")).mirrored();
        Walk { setting, companions: 0, at: "-".to_owned(), walked: BTreeSet::new() }
    }

    /// Begins where the event is mirrored and a guard will hold its deletion.
    fn holding() -> Walk {
        Walk { companions: 12, ..Walk::new("") }.to(This("1"), "mirrored")
    }

    /// One pass over a feed that says this; the record must be in that state then.
    #[track_caller]
    fn to(mut self, says: Says, state: &str) -> Walk {
        let u = match says {
            Nothing => String::new(),
            This(title) => {
                let companions = (0..self.companions).map(|number| event(&format!("c{number}"), "Companion"));
                event("u", title) + &companions.collect::<String>()
            }
        };
        self.setting.feed.set(calendar(&(event("other", "Event other") + &u)));
        let ran = self.setting.run(&["--full"]);
        let state_file = Connection::open(self.setting.env.state()).unwrap();
        let status = state_file.query_row("SELECT status FROM record WHERE uid = 'u'", [], |row| row.get(0));
        let now: String = status.unwrap_or_else(|_| "-".to_owned());
        assert_eq!(now, state, "{ran}");
        let from = std::mem::replace(&mut self.at, now.clone());
        if from != now {
            self.walked.insert((from, now));
        }
        self
    }

    /// The server takes nothing that says this, and deletes nothing if it is empty.
    fn refusing(self, text: &'static str) -> Walk {
        self.setting.dav.switch(|switches| match text {
            "" => switches.undeletable = vec![Refusal { text, answer: Answer::new(403) }],
            text => switches.refusals = vec![Refusal { text, answer: Answer::new(415) }],
        });
        self
    }

    fn willing(self) -> Walk {
        self.setting.dav.switch(|switches| {
            switches.undeletable = Vec::new();
            switches.refusals = Vec::new();
        });
        self
    }

    fn somebody_deletes_it(self) -> Walk {
        let name = self.setting.name_of("u");
        self.setting.dav.work(|work| work.delete(&name));
        self
    }

    fn somebody_has_it(self) -> Walk {
        self.setting.dav.work(|work| work.put("theirs.ics", object("u", "Theirs")));
        self
    }

    /// Somebody brings it back after it was deleted.
    fn pinned(mut self) -> Walk {
        let state_file = Connection::open(self.setting.env.state()).unwrap();
        state_file.execute("UPDATE record SET status = 'pinned' WHERE uid = 'u'", []).unwrap();
        "pinned".clone_into(&mut self.at);
        self
    }

    fn approved(self) -> Walk {
        self.setting.env.run(&["approve", "work"]).exits(0);
        self
    }
}

#[test]
fn every_arrow_is_walked_and_no_other() {
    let all = "";
    let (future, keep) = ("deletes = \"future\"", "on_drift = \"keep\"");
    let mirrored = |keys| Walk::new(keys).to(This("1"), "mirrored");
    let refused = |keys| mirrored(keys).refusing("SUMMARY:2").to(This("2"), "refused");
    let walks = [
        mirrored(all).to(Nothing, "-"),
        refused(all).willing().to(This("2"), "mirrored"),
        refused(all).to(Nothing, "-"),
        refused(all).refusing("").to(Nothing, "undeletable").to(This("2"), "refused"),
        Walk::new(all).refusing("SUMMARY:2").to(This("2"), "refused").somebody_has_it().to(This("3"), "occupied"),
        refused(future).to(Nothing, "kept").to(This("2"), "refused"),
        mirrored(future).to(Nothing, "kept").to(This("1"), "mirrored"),
        mirrored(future).to(Nothing, "kept").somebody_deletes_it().to(Nothing, "-"),
        mirrored(all).refusing("").to(Nothing, "undeletable").to(This("1"), "mirrored"),
        mirrored(all).refusing("").to(Nothing, "undeletable").willing().to(Nothing, "-"),
        mirrored(keep).somebody_deletes_it().to(This("1"), "removed").to(This("2"), "mirrored"),
        mirrored(keep).somebody_deletes_it().to(This("1"), "removed").to(Nothing, "-"),
        mirrored(keep).somebody_deletes_it().to(This("1"), "removed").refusing("SUMMARY:2").to(This("2"), "refused"),
        Walk::new(all).somebody_has_it().to(This("1"), "occupied").to(Nothing, "-"),
        Walk::new(all).somebody_has_it().to(This("1"), "occupied").somebody_deletes_it().to(This("1"), "mirrored"),
        Walk::new(all)
            .somebody_has_it()
            .to(This("1"), "occupied")
            .somebody_deletes_it()
            .refusing("SUMMARY:2")
            .to(This("2"), "refused"),
        mirrored(all).pinned().to(Nothing, "pinned").to(This("1"), "mirrored"),
        mirrored(all).pinned().refusing("SUMMARY:2").to(This("2"), "refused"),
        mirrored(all).pinned().to(Nothing, "pinned").somebody_deletes_it().to(Nothing, "-"),
        Walk::holding().to(Nothing, "held").to(This("1"), "mirrored"),
        Walk::holding().to(Nothing, "held").approved().to(Nothing, "-"),
        Walk::holding().to(Nothing, "held").approved().refusing("").to(Nothing, "undeletable"),
        Walk::holding().refusing("SUMMARY:2").to(Nothing, "held").to(This("2"), "refused"),
        Walk::holding().refusing("SUMMARY:2").to(This("2"), "refused").to(Nothing, "held"),
    ];
    let walked: BTreeSet<(String, String)> = walks.into_iter().flat_map(|walk| walk.walked).collect();
    assert_eq!(walked, drawn());
}
