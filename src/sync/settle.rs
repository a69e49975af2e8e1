//! Settles a collection at either end: learns the versions that the server did not return, checks that reported writes
//! really happened, and determines the mark from which the next look begins.

use std::collections::{HashMap, HashSet};

use super::look::Look;
use crate::collection::Collection;
use crate::model::{Changes, Entry, Etag, Href, Mark, Objects, Stored};
use crate::plan::Put;
use crate::words::message::Why;

/// What a pass left at an href.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// An object in this version.
    Version(Etag),
    /// An object whose version the server did not return.
    Untold,
    /// Nothing: the object was deleted.
    Nothing,
}

/// What a pass wrote, according to the server.
#[derive(Debug, Default)]
pub(super) struct Wrote {
    /// What it left at each href.
    pub(super) left: HashMap<Href, Left>,
    /// What it created.
    pub(super) created: HashMap<Href, Put>,
}

/// What settling found out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// The mark for what the records describe from now on.
    pub(super) mark: Mark,
    /// The versions that the server did not return before.
    pub(super) versions: Vec<Entry>,
    /// What was reported as deleted, and still exists.
    pub(super) still_there: Vec<Stored>,
    /// What was reported as created, and does not exist.
    pub(super) not_there: Vec<Href>,
}

/// Asks what changed since the look. If only our own writes did, the new sync-token vouches for the records; anything
/// else is drift that the next pass must see, so the look's own mark is kept.
pub(super) fn settle(collection: &dyn Collection, look: &Look, wrote: &Wrote) -> anyhow::Result<Settled> {
    if wrote.left.is_empty() {
        return Ok(Settled { mark: look.mark.clone(), ..Settled::default() });
    }
    collection.begin(Why::Settle);
    if let Some(since) = &look.mark.sync_token
        && let Changes::Since { changed, gone, sync_token } = collection.changes(since)?
    {
        let is_as_left = |entry: &Entry| match wrote.left.get(&entry.href) {
            Some(Left::Version(etag)) => *etag == entry.etag,
            Some(Left::Untold) => true,
            Some(Left::Nothing) | None => false,
        };
        let ours_alone = changed.iter().all(is_as_left) && gone.iter().all(|href| wrote.deleted(href));
        let mark = if ours_alone { Mark { ctag: None, sync_token: Some(sync_token) } } else { look.mark.clone() };
        let gone: HashSet<Href> = gone.into_iter().collect();
        let deleted = wrote.left.keys().filter(|href| wrote.deleted(href));
        let mut doubtful: Vec<Href> = deleted.filter(|href| !gone.contains(href)).cloned().collect();
        doubtful.sort();
        let told = changed.iter().map(|entry| entry.href.clone()).collect();
        return verify(collection, wrote, mark, changed, &doubtful, &told);
    }
    let listed = collection.list()?;
    let told: HashSet<Href> = listed.entries.iter().map(|entry| &entry.href).chain(&listed.silent).cloned().collect();
    let entries = listed.entries.iter().map(|entry| &entry.href);
    let doubtful: Vec<Href> = entries.filter(|href| wrote.deleted(href)).cloned().collect();
    verify(collection, wrote, look.mark.clone(), listed.entries, &doubtful, &told)
}

/// Looks for objects that were reported as deleted (`doubtful`), and for created ones that were not told of.
fn verify(
    collection: &dyn Collection,
    wrote: &Wrote,
    mark: Mark,
    mut versions: Vec<Entry>,
    doubtful: &[Href],
    told: &HashSet<Href>,
) -> anyhow::Result<Settled> {
    versions.retain(|entry| wrote.left.get(&entry.href) == Some(&Left::Untold));
    let still_there = if doubtful.is_empty() { Vec::new() } else { collection.read(doubtful)?.stored };
    let mut untold: Vec<Href> = wrote.created.keys().filter(|href| !told.contains(*href)).cloned().collect();
    untold.sort();
    if untold.is_empty() {
        return Ok(Settled { mark, versions, still_there, not_there: untold });
    }
    let Objects { stored, unreadable } = collection.read(&untold)?;
    let there: HashSet<Href> = stored.into_iter().map(|stored| stored.href).chain(unreadable).collect();
    let not_there = untold.into_iter().filter(|href| !there.contains(href)).collect();
    Ok(Settled { mark, versions, still_there, not_there })
}

impl Wrote {
    fn deleted(&self, href: &Href) -> bool {
        self.left.get(href) == Some(&Left::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{Fake, entries, hrefs};
    use super::*;
    use crate::model::{ComponentType, Key, Place};

    fn mark(token: &str) -> Mark {
        Mark { ctag: None, sync_token: Some(token.to_owned()) }
    }

    /// A pass that created `new`, updated `told` to version 2 and `untold` to an unknown one, and deleted `old`.
    fn wrote() -> Wrote {
        let key = Key { component: ComponentType::Event, uid: "new".to_owned() };
        let create = Put::Create { key, place: Place { href: Href::new("new"), uid: None }, restores: false };
        let version = |text: &str| Left::Version(Etag::parse(text).unwrap());
        let left = [("new", version("1")), ("told", version("2")), ("untold", Left::Untold), ("old", Left::Nothing)];
        Wrote {
            left: left.into_iter().map(|(name, left)| (Href::new(name), left)).collect(),
            created: [(Href::new("new"), create)].into(),
        }
    }

    fn settled(fake: &Fake, wrote: &Wrote) -> (Settled, String) {
        let look = Look { mark: mark("look"), ..Look::default() };
        (settle(fake, &look, wrote).unwrap(), fake.asked())
    }

    #[test]
    fn a_pass_that_wrote_nothing_asks_nothing() {
        let expected = Settled { mark: mark("look"), ..Settled::default() };
        assert_eq!(settled(&Fake::default(), &Wrote::default()), (expected, String::new()));
    }

    #[test]
    fn where_only_our_writes_are_told_the_new_token_vouches_for_them() {
        let changes = Some((entries("new@1 told@2 untold@7"), hrefs("old")));
        let expected = Settled { mark: mark("next"), versions: entries("untold@7"), ..Settled::default() };
        let fake = Fake { changes, ..Fake::default() };
        assert_eq!(settled(&fake, &wrote()), (expected, "changes look".to_owned()));
    }

    #[test]
    fn anything_else_that_is_told_keeps_the_mark_of_the_look() {
        for (changed, gone) in [
            ("new@1 told@2 untold@7 theirs@1", "old"),
            ("new@1 told@3 untold@7", "old"),
            ("new@1 told@2 untold@7", "old theirs"),
        ] {
            let fake = Fake { changes: Some((entries(changed), hrefs(gone))), ..Fake::default() };
            assert_eq!(settled(&fake, &wrote()).0.mark, mark("look"), "{changed}, {gone}");
        }
    }

    #[test]
    fn what_was_only_said_is_looked_for() {
        let changes = Some((entries("told@2 untold@7"), Vec::new()));
        let fake = Fake { changes, standing: entries("old@1"), ..Fake::default() };
        let (settled, asked) = settled(&fake, &wrote());
        assert_eq!(asked, "changes look, read old, read new");
        assert_eq!(settled.still_there.iter().map(|stored| stored.href.as_str()).collect::<Vec<_>>(), ["old"]);
        assert_eq!(settled.not_there, hrefs("new"));
    }

    #[test]
    fn without_deltas_a_listing_tells_the_same() {
        let fake = Fake { standing: entries("told@2 untold@7 old@1"), ..Fake::default() };
        let (settled, asked) = settled(&fake, &wrote());
        assert_eq!(asked, "changes look, list, read old, read new");
        assert_eq!((settled.mark, settled.versions), (mark("look"), entries("untold@7")));
        assert_eq!((settled.still_there.len(), settled.not_there), (1, hrefs("new")));
    }
}
