//! Whether two texts say the same although a server wrote one of them anew, and where they differ.

use super::entry::{Entry, entries};

/// Whether two resources say the same.
pub fn same(ours: &[u8], theirs: &[u8]) -> bool {
    ours == theirs || differing(ours, theirs).is_empty()
}

/// The names of the properties that differ.
pub fn differing(old: &[u8], new: &[u8]) -> Vec<String> {
    let names = |text: &[u8]| {
        entries(text)
            .map(|entry: Entry<'_>| (entry.label(), entry.text.into_owned()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (old, new) = (names(old), names(new));
    let mut found: Vec<String> = old.symmetric_difference(&new).map(|(name, _)| name.clone()).collect();
    found.dedup();
    found
}
