//! Gives up objects in a collection: those of a subscription, or those under a prefix that nobody owns.

use std::collections::HashMap;

use crate::collection::Collection;
use crate::ics::Resource;
use crate::model::{Href, Record, Written};
use crate::plan::{Delete, Farewell, Found, Remote, farewell, under_prefix};
use crate::words::digest;
use crate::words::message::Why;

/// Finds out which events of a subscription are as we left them.
pub fn look_at<'r>(collection: &dyn Collection, records: &'r [Record]) -> anyhow::Result<Farewell<'r>> {
    collection.begin(Why::Look);
    let present: HashMap<_, _> = collection.list()?.entries.into_iter().map(|entry| (entry.href, entry.etag)).collect();
    let is_changed = |record: &&Record| {
        let standing = record.base().and_then(|base| present.get(&base.place.href));
        standing.is_some() && standing != record.etag()
    };
    let changed: Vec<Href> = records.iter().filter(is_changed).filter_map(|it| it.href().cloned()).collect();
    collection.begin(Why::Read);
    let mut remote = Remote { present, ..Remote::default() };
    for stored in collection.read(&changed)?.stored {
        let resource = Resource::read(stored.text.clone());
        let hash = resource.as_ref().map_or_else(|| digest::sha256(&[&stored.text]), Resource::hash);
        let key = resource.map(|resource| resource.key().clone());
        let found = Found {
            etag: stored.etag.clone(),
            key,
            hash,
            same: false,
            has_guests: false,
            ended: false,
            intended: false,
        };
        remote.present.insert(stored.href.clone(), stored.etag);
        remote.found.insert(stored.href, found);
    }
    Ok(farewell(records, &remote))
}

/// The objects under a prefix, except those for which `is_claimed` reports a record.
pub fn look_under(
    collection: &dyn Collection,
    prefix: &str,
    is_claimed: impl Fn(&Href) -> bool,
) -> anyhow::Result<Vec<Delete>> {
    collection.begin(Why::Look);
    Ok(under_prefix(collection.list()?.entries, prefix, is_claimed))
}

/// Deletes these; returns how many were deleted, and why the others were not.
pub fn delete(collection: &dyn Collection, deletes: &[Delete]) -> anyhow::Result<(u64, Vec<(Href, String)>)> {
    collection.begin(Why::Delete);
    let (mut count, mut left) = (0, Vec::new());
    for Delete { href, etag, .. } in deletes {
        let why = match collection.delete(href, etag)? {
            Written::Done { .. } => {
                count += 1;
                continue;
            }
            Written::Stale => "it was changed at this moment".to_owned(),
            Written::UidTaken { .. } => "the server answered that its UID is taken".to_owned(),
            Written::Failed(failure) => failure.reason,
        };
        left.push((href.clone(), why));
    }
    Ok((count, left))
}
