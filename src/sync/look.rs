//! Looks at a collection at either end: what is there, and whether anything differs from what the state says.

use std::collections::{HashMap, HashSet};

use crate::collection::Collection;
use crate::model::memory::EndMemory;
use crate::model::{Changes, Entry, Etag, Href, Listed, Mark};
use crate::words::time::{DAY, Timestamp};

/// Every object is listed again after this many seconds, whatever marks and deltas say: on sabre a reader between two
/// concurrent writers can miss a change for ever (4.7). Also, sabre distinguishes two calendars at one address only
/// by the number of changes that each has seen. A recreated calendar with the same number has the mark that we
/// remember; only this listing notices it, or an update of one of our objects.
const LIST_EVERY: u64 = 7 * DAY;

/// A collection, and what the last pass left of it.
#[derive(Clone, Copy)]
pub(super) struct OpenEnd<'a> {
    pub(super) collection: &'a dyn Collection,
    pub(super) memory: &'a EndMemory,
    /// The time of this pass.
    pub(super) now: Timestamp,
}

/// What the state says of an object with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing<'a> {
    /// It stands there in this version.
    Version(&'a Etag),
    /// The same, but it is left to whoever changes it.
    Loose(&'a Etag),
    /// It was written, and the server did not return its version.
    Untold,
    /// It was deleted, and that is accepted.
    Nothing,
    /// It may be there or not.
    Unknown,
}

/// What the state says of the objects in a collection.
#[derive(Debug, Default)]
pub(super) struct Expected<'a> {
    /// Those with a record.
    pub(super) ours: HashMap<&'a Href, Standing<'a>>,
    /// Those without one, as they were last read.
    pub(super) foreign: HashSet<(&'a Href, &'a Etag)>,
    /// Those that other subscriptions have recorded.
    pub(super) others: HashMap<&'a Href, &'a Etag>,
    /// Whether something else is there, and only a listing shows it.
    pub(super) is_incomplete: bool,
}

/// What is in a collection, and the mark for it.
#[derive(Debug, Default)]
pub(super) struct Look {
    /// The state of the whole collection that `present` belongs to.
    pub(super) mark: Mark,
    /// The version of every object.
    pub(super) present: HashMap<Href, Etag>,
    /// Objects that exist, but whose version the collection does not return.
    pub(super) silent: HashSet<Href>,
    /// Whether everything was listed, not only changes.
    pub(super) listed: bool,
    /// Must exist in this version if the changes are really those of this collection.
    pub(super) canary: Option<Entry>,
}

impl OpenEnd<'_> {
    /// Looks with as few requests as the marks allow. `mark` is the collection's current one.
    pub(super) fn look(&self, mark: Mark, expected: &Expected<'_>, everything: bool) -> anyhow::Result<Look> {
        let everything = everything || expected.needs_a_listing();
        if !everything && self.proves_nothing_changed(&mark) {
            return Ok(Look { mark, present: expected.present(), ..Look::default() });
        }
        if !everything
            && self.was_listed_lately()
            && !self.memory.mark.contradicts(&mark)
            && let Some(look) = self.look_at_changes(&mark, expected)?
        {
            return Ok(look);
        }
        self.look_at_all(mark)
    }

    /// Lists everything. `mark` must have been requested before.
    pub(super) fn look_at_all(&self, mark: Mark) -> anyhow::Result<Look> {
        let Listed { entries, silent } = self.collection.list()?;
        let present = entries.into_iter().map(|entry| (entry.href, entry.etag)).collect();
        Ok(Look { mark, present, silent: silent.into_iter().collect(), listed: true, canary: None })
    }

    /// Whether the collection's current mark proves that it is as the state says.
    pub(super) fn proves_nothing_changed(&self, mark: &Mark) -> bool {
        self.was_listed_lately() && self.memory.mark.proves_same(mark)
    }

    /// Whether the changes of a look are really those of this collection. Costs one request if there is a canary.
    pub(super) fn bears_out(&self, look: &Look) -> anyhow::Result<bool> {
        let Some(canary) = &look.canary else { return Ok(true) };
        let read = self.collection.read(std::slice::from_ref(&canary.href))?;
        Ok(read.stored.iter().any(|stored| canary.is(stored)))
    }

    fn was_listed_lately(&self) -> bool {
        self.memory.listed_at.is_some_and(|at| at <= self.now && self.now.since(at) < LIST_EVERY)
    }

    fn look_at_changes(&self, mark: &Mark, expected: &Expected<'_>) -> anyhow::Result<Option<Look>> {
        let Some(since) = self.memory.mark.sync_token.as_ref().filter(|_| mark.sync_token.is_some()) else {
            return Ok(None);
        };
        let Changes::Since { changed, gone, sync_token } = self.collection.changes(since)? else {
            return Ok(None);
        };
        let told = changed.iter().map(|entry| &entry.href).chain(&gone).collect();
        let canary = expected.canary(self.memory.last_written.as_ref(), &told);
        let mut present = expected.present();
        for href in &gone {
            present.remove(href);
        }
        for entry in changed {
            present.insert(entry.href, entry.etag);
        }
        let mark = Mark { ctag: mark.ctag.clone(), sync_token: Some(sync_token) };
        Ok(Some(Look { mark, present, canary, ..Look::default() }))
    }
}

impl Expected<'_> {
    /// Whether only a listing shows what is there: the server returned no version after a write, or something else is
    /// there.
    fn needs_a_listing(&self) -> bool {
        self.is_incomplete || self.ours.values().any(|standing| *standing == Standing::Untold)
    }

    /// What is in the collection according to the state.
    fn present(&self) -> HashMap<Href, Etag> {
        let ours = self.ours.iter().filter_map(|(href, standing)| Some((*href, standing.version()?)));
        let others = self.others.iter().map(|(href, etag)| (*href, *etag));
        let all = others.chain(self.foreign.iter().copied()).chain(ours);
        all.map(|(href, etag)| (href.clone(), etag.clone())).collect()
    }

    /// An object of ours that a delta does not mention, so that it must match its record: preferably the one written
    /// last, because it is the first to be missing from a calendar restored from a backup.
    ///
    /// If a calendar was recreated or restored and has outgrown the old sync-token, sabre answers that token with
    /// changes of the new calendar alone (4.7).
    fn canary(&self, last_written: Option<&Href>, told: &HashSet<&Href>) -> Option<Entry> {
        let standing = self.ours.iter().filter_map(|(href, standing)| match standing {
            Standing::Version(etag) if !told.contains(*href) => Some((*href, *etag)),
            _ => None,
        });
        let (href, etag) = standing.min_by_key(|(href, _)| (Some(*href) != last_written, *href))?;
        Some(Entry { href: href.clone(), etag: etag.clone() })
    }

    /// Whether a look shows something else: an object of ours that differs from its record, or one of others that
    /// changed since it was read, because it may hold a UID that the feed is about to bring, or have released one.
    pub(super) fn differs_from(&self, look: &Look) -> bool {
        let drifted = |(href, standing): (&&Href, &Standing<'_>)| match standing {
            Standing::Version(_) | Standing::Loose(_) if look.silent.contains(*href) => false,
            Standing::Version(etag) | Standing::Loose(etag) => look.present.get(*href) != Some(*etag),
            // Somebody restored it.
            Standing::Nothing => look.present.contains_key(*href),
            Standing::Untold | Standing::Unknown => false,
        };
        self.needs_a_listing() || self.ours.iter().any(drifted) || self.differs_in_foreign(look)
    }

    fn differs_in_foreign(&self, look: &Look) -> bool {
        let is_foreign = |(href, _): &(&Href, &Etag)| {
            !self.ours.contains_key(href) && !self.others.contains_key(href) && !look.silent.contains(*href)
        };
        let known: HashSet<_> = self.foreign.iter().copied().filter(is_foreign).collect();
        look.present.iter().filter(is_foreign).collect::<HashSet<_>>() != known
    }
}

impl<'a> Standing<'a> {
    fn version(self) -> Option<&'a Etag> {
        match self {
            Standing::Version(etag) | Standing::Loose(etag) => Some(etag),
            Standing::Untold | Standing::Nothing | Standing::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, entries, entry, etag, hrefs};
    use super::*;

    const NOW: Timestamp = Timestamp(100_000_000);

    fn expecting(known: &[Entry]) -> Expected<'_> {
        let ours = known.iter().map(|entry| (&entry.href, Standing::Version(&entry.etag))).collect();
        Expected { ours, ..Expected::default() }
    }

    fn mark(token: &str) -> Mark {
        Mark { ctag: None, sync_token: Some(token.to_owned()) }
    }

    /// What the last pass left: the mark `old`, and a listing so many seconds ago.
    fn memory(listed_ago: i64) -> EndMemory {
        EndMemory { mark: mark("old"), listed_at: Some(Timestamp(NOW.0 - listed_ago)), ..EndMemory::default() }
    }

    /// Looks at a collection that says it is at this mark, where the state knows `a`, `b` and, without its version, `c`;
    /// returns what is present, what was asked, and the canary.
    fn looked(
        fake: &Fake,
        listed_ago: i64,
        token: &str,
        c: Option<Standing<'_>>,
    ) -> (Vec<String>, String, Option<Entry>) {
        let (memory, known) = (memory(listed_ago), entries("a@1 b@1"));
        let c_href = Href::new("c");
        let mut expected = expecting(&known);
        expected.ours.extend(c.map(|standing| (&c_href, standing)));
        let end = OpenEnd { collection: fake, memory: &memory, now: NOW };
        let look = end.look(mark(token), &expected, false).unwrap();
        let present = look.present.iter().map(|(href, etag)| format!("{}@{}", href.as_str(), etag.as_str()));
        let mut present: Vec<String> = present.collect();
        present.sort();
        (present, fake.asked(), look.canary)
    }

    fn at(text: &str) -> Vec<String> {
        entries(text).iter().map(|entry| format!("{}@{}", entry.href.as_str(), entry.etag.as_str())).collect()
    }

    #[test]
    fn an_equal_mark_needs_no_request_a_delta_one_and_anything_else_a_listing() {
        let changes = Some((entries("a@2"), hrefs("x")));
        let fake = Fake { standing: entries("a@3 z@1"), changes, ..Fake::default() };
        let day = i64::try_from(DAY).unwrap();
        assert_eq!(looked(&fake, 60, "old", None), (at("a@1 b@1"), String::new(), None));
        assert_eq!(looked(&fake, 60, "new", None), (at("a@2 b@1"), "changes old".to_owned(), Some(entry("b@1"))));
        assert_eq!(looked(&fake, 8 * day, "old", None), (at("a@3 z@1"), "list".to_owned(), None));
        assert_eq!(looked(&fake, -60, "old", None), (at("a@3 z@1"), "list".to_owned(), None), "a clock that jumped");
        let fake = Fake { standing: entries("a@3 z@1"), ..Fake::default() };
        assert_eq!(looked(&fake, 60, "new", None), (at("a@3 z@1"), "changes old, list".to_owned(), None));
    }

    #[test]
    fn an_object_whose_version_nobody_told_needs_a_listing_and_one_that_a_person_deleted_does_not() {
        let fake = Fake { standing: entries("a@1"), ..Fake::default() };
        assert_eq!(looked(&fake, 60, "old", Some(Standing::Untold)).1, "list");
        assert_eq!(looked(&fake, 60, "old", Some(Standing::Nothing)).1, "");
        assert_eq!(looked(&fake, 60, "old", Some(Standing::Unknown)).1, "");
    }

    /// Whether what the state says of `a` differs from a listing.
    fn differs(standing: Standing<'_>, listed: &str, change: impl FnOnce(&mut Look)) -> bool {
        let href = Href::new("a");
        let expected = Expected { ours: [(&href, standing)].into(), ..Expected::default() };
        let present = entries(listed).into_iter().map(|entry| (entry.href, entry.etag)).collect();
        let mut look = Look { present, ..Look::default() };
        change(&mut look);
        expected.differs_from(&look)
    }

    #[test]
    fn what_differs_from_its_record_or_is_new_is_seen() {
        let one = etag("1");
        for standing in [Standing::Version(&one), Standing::Loose(&one)] {
            let seen = ["a@1", "a@2", "", "a@1 new@1"].map(|listed| differs(standing, listed, |_| {}));
            assert_eq!(seen, [false, true, true, true], "{standing:?}");
            assert!(
                !differs(standing, "", |look| look.silent = hrefs("a").into_iter().collect()),
                "it tells no version"
            );
        }
        let seen = |standing| ["a@1", ""].map(|listed| differs(standing, listed, |_| {}));
        assert_eq!(seen(Standing::Nothing), [true, false]);
        assert_eq!(seen(Standing::Unknown), [false, false]);
        assert_eq!(seen(Standing::Untold), [true, true]);
    }

    #[test]
    fn the_canary_is_the_object_written_last_and_never_one_that_may_be_edited() {
        let (known, one) = (entries("a@1 b@1 c@1"), etag("1"));
        let mut expected = expecting(&known);
        let (a, b) = (Href::new("a"), Href::new("b"));
        let canary = |expected: &Expected<'_>, last: Option<&Href>, told: &[&Href]| {
            expected.canary(last, &told.iter().copied().collect()).map(|entry| entry.href.as_str().to_owned())
        };
        assert_eq!(canary(&expected, Some(&b), &[]).as_deref(), Some("b"));
        assert_eq!(canary(&expected, Some(&b), &[&b]).as_deref(), Some("a"));
        expected.ours.insert(&a, Standing::Loose(&one));
        assert_eq!(canary(&expected, None, &[&b]).as_deref(), Some("c"));
    }
}
