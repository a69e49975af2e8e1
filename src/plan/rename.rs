//! Recognises feeds that issue new UIDs at every fetch, so that they cost a note in the record and no write (design §3,
//! *Renames*; `reference/peers.md` F9).

use std::collections::HashMap;

use crate::model::{Hash, Key, Record};

/// Pairs records that vanished from the feed with objects that appeared and say the same apart from their UID. Only when
/// at least half of the records vanished, for otherwise it is an ordinary change. `appeared` gives the content hash of a
/// new object; it is asked only then. The result maps the new key to the record.
pub fn renames<'a>(
    records: usize,
    vanished: &[&'a Record],
    appeared: &[&'a Key],
    content_hash: impl Fn(&Key) -> Hash,
) -> HashMap<&'a Key, &'a Record> {
    if vanished.is_empty() || vanished.len() * 2 < records {
        return HashMap::new();
    }
    let mut by_content: HashMap<Hash, Vec<&Record>> = HashMap::new();
    // Reversed, so that `pop` hands equal objects out in their order.
    for record in vanished.iter().rev() {
        by_content.entry(record.content_hash).or_default().push(record);
    }
    let mut pairs = HashMap::new();
    for key in appeared {
        let candidates = by_content.get_mut(&content_hash(key));
        if let Some(record) = candidates.and_then(Vec::pop).filter(|record| record.key.component == key.component) {
            pairs.insert(*key, record);
        }
    }
    pairs
}
