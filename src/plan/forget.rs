//! What is deleted when a person gives a subscription up, and what is left to whoever edited it.

use super::{Delete, Remote, naming};
use crate::model::{Entry, Href, Record, TargetForm};

/// What becomes of the events of a subscription that is given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Farewell<'a> {
    /// Those that are as we left them.
    pub deletes: Vec<Delete>,
    /// Those that somebody edited.
    pub edited: Vec<&'a Record>,
}

/// Deletes what stands under a prefix, but for what somebody has a record of.
pub fn under_prefix(entries: Vec<Entry>, prefix: &str, is_claimed: impl Fn(&Href) -> bool) -> Vec<Delete> {
    let is_under = |entry: &Entry| naming::prefix_of(&entry.href) == Some(prefix) && !is_claimed(&entry.href);
    let under = entries.into_iter().filter(is_under);
    under.map(|entry| Delete { key: None, href: entry.href, etag: entry.etag }).collect()
}

/// Takes the events of a subscription apart. What is in another version than its record says must have been read.
pub fn farewell<'a>(records: &'a [Record], remote: &Remote) -> Farewell<'a> {
    let mut farewell = Farewell::default();
    for record in records {
        let Some(base) = record.base() else { continue };
        let href = &base.place.href;
        let Some(etag) = remote.present.get(href) else { continue };
        let is_ours = match (&base.etag, remote.found.get(href)) {
            (Some(recorded), _) if recorded == etag => true,
            (_, Some(found)) => found.hash == base.hash || base.form == TargetForm::Rewritten(found.hash),
            (_, None) => false,
        };
        if is_ours {
            let (key, href, etag) = (Some(record.key.clone()), href.clone(), etag.clone());
            farewell.deletes.push(Delete { key, href, etag });
        } else {
            farewell.edited.push(record);
        }
    }
    farewell
}
