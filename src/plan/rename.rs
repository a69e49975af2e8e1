//! Recognises objects under another name: feeds that issue new UIDs at every fetch, which then cost a note and no
//! write, and events that became tasks.

use std::collections::{HashMap, HashSet};

use crate::model::{Hash, Key, Record, Status};

/// Pairs records that vanished from the feed with objects that appeared: those with the same UID and another
/// component type, and those equal except for their UID. The latter only if at least half of the records vanished;
/// otherwise it is an ordinary change. `hash` returns that of a new object, and is called only then. The result maps
/// the new key to the record.
pub fn renames<'a>(
    records: usize,
    vanished: &[&'a Record],
    appeared: &[&'a Key],
    hash: impl Fn(&Key) -> Hash,
) -> HashMap<&'a Key, &'a Record> {
    let mut pairs = changed_types(vanished, appeared);
    if vanished.is_empty() || vanished.len() * 2 < records {
        return pairs;
    }
    let paired: HashSet<&Key> = pairs.values().map(|record| &record.key).collect();
    let mut by_content: HashMap<Hash, Vec<&Record>> = HashMap::new();
    // Of equal ones those come first that the feed had until now: what left it earlier waits for its deletion.
    let mut candidates: Vec<&Record> = vanished.iter().copied().filter(|it| !paired.contains(&it.key)).collect();
    candidates.sort_by_key(|record| matches!(record.status, Status::Gone(..)));
    // Reversed, so that `pop` returns them in order.
    for record in candidates.into_iter().rev() {
        by_content.entry(record.source.hash).or_default().push(record);
    }
    for key in appeared {
        if pairs.contains_key(key) {
            continue;
        }
        let candidates = by_content.get_mut(&hash(key));
        if let Some(record) = candidates.and_then(Vec::pop).filter(|record| record.key.component == key.component) {
            pairs.insert(*key, record);
        }
    }
    pairs
}

/// An event that became a task, or the reverse, replaces the old object: a calendar need accept each UID only once
/// (RFC 4791 §5.3.2.1), so it could not be created before the other is deleted.
fn changed_types<'a>(vanished: &[&'a Record], appeared: &[&'a Key]) -> HashMap<&'a Key, &'a Record> {
    let standing = vanished.iter().filter(|record| record.etag().is_some());
    let mut by_uid: HashMap<&str, &Record> = standing.map(|record| (record.key.uid.as_str(), *record)).collect();
    appeared.iter().filter_map(|key| Some((*key, by_uid.remove(key.uid.as_str())?))).collect()
}
