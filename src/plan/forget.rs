//! What to delete when a person gives up a subscription, and what to leave to whoever edited it.

use super::{Delete, Remote, naming};
use crate::model::{Entry, Href, Record, TargetForm};

/// The events of a subscription that is given up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Farewell<'a> {
    /// Those that are as we left them.
    pub deletes: Vec<Delete>,
    /// Those that somebody edited.
    pub edited: Vec<&'a Record>,
}

/// Deletes what is under a prefix, except objects that have a record.
pub fn under_prefix(entries: Vec<Entry>, prefix: &str, is_claimed: impl Fn(&Href) -> bool) -> Vec<Delete> {
    let is_under = |entry: &Entry| naming::prefix_of(&entry.href) == Some(prefix) && !is_claimed(&entry.href);
    let under = entries.into_iter().filter(is_under);
    under.map(|entry| Delete { key: None, href: entry.href, etag: entry.etag }).collect()
}

/// Sorts the events of a subscription. Objects whose version differs from their record must have been read.
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
