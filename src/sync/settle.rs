//! Settles a pass: learns the ETags that the server did not return, checks that reported writes really happened, and
//! determines the mark from which the next look begins.

use std::collections::{HashMap, HashSet};

use super::look::Look;
use super::record::{Left, Recorder};
use crate::collection::Collection;
use crate::model::{Changes, Href, Key, Mark, Objects};
use crate::words::message::Why;

/// Asks what changed since the look. If only our own writes did, the new sync-token vouches for the records; anything
/// else is drift that the next pass must see, so the look's own mark is kept.
pub(super) fn settle(collection: &dyn Collection, look: &Look, recorder: &mut Recorder<'_>) -> anyhow::Result<Mark> {
    if recorder.written.is_empty() {
        return Ok(look.mark.clone());
    }
    collection.begin(Why::Settle);
    if let Some(since) = &look.mark.sync_token
        && let Changes::Since { changed, gone, sync_token } = collection.changes(since)?
    {
        let mut ours_alone = true;
        let told: HashSet<Href> = changed.iter().map(|entry| entry.href.clone()).collect();
        for entry in changed {
            recorder.complete(&entry.href, &entry.etag)?;
            ours_alone &= recorder.written.get(&entry.href) == Some(&Left::Version(entry.etag));
        }
        ours_alone &= gone.iter().all(|href| recorder.written.get(href) == Some(&Left::Nothing));
        let gone: HashSet<&Href> = gone.iter().collect();
        let deleted = recorder.written.iter().filter(|(_, left)| **left == Left::Nothing).map(|(href, _)| href);
        let doubtful: Vec<Href> = deleted.filter(|href| !gone.contains(href)).cloned().collect();
        still_there(collection, &doubtful, recorder)?;
        not_there(collection, &told, recorder)?;
        return Ok(if ours_alone { Mark { ctag: None, sync_token: Some(sync_token) } } else { look.mark.clone() });
    }
    let listed = collection.list()?;
    let mut doubtful = Vec::new();
    let told = listed.entries.iter().map(|entry| entry.href.clone()).chain(listed.silent).collect();
    for entry in listed.entries {
        if recorder.written.get(&entry.href) == Some(&Left::Nothing) {
            doubtful.push(entry.href);
        } else {
            recorder.complete(&entry.href, &entry.etag)?;
        }
    }
    still_there(collection, &doubtful, recorder)?;
    not_there(collection, &told, recorder)?;
    Ok(look.mark.clone())
}

/// Looks for objects that the server reported as created but does not mention.
fn not_there(collection: &dyn Collection, told: &HashSet<Href>, recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
    let untold: Vec<Href> = recorder.made.keys().filter(|href| !told.contains(href)).cloned().collect();
    if untold.is_empty() {
        return Ok(());
    }
    let Objects { stored, unreadable } = collection.read(&untold)?;
    let there: HashSet<Href> = stored.into_iter().map(|stored| stored.href).chain(unreadable).collect();
    untold.iter().filter(|href| !there.contains(href)).try_for_each(|href| recorder.not_made(href))
}

/// Looks for objects that the server reported as deleted.
fn still_there(collection: &dyn Collection, doubtful: &[Href], recorder: &mut Recorder<'_>) -> anyhow::Result<()> {
    if doubtful.is_empty() {
        return Ok(());
    }
    let records = recorder.known.records.values();
    let keys: HashMap<&Href, &Key> = records.filter_map(|record| Some((record.href()?, &record.key))).collect();
    let read = collection.read(doubtful)?;
    read.stored.iter().try_for_each(|stored| recorder.not_deleted(stored, keys.get(&stored.href).copied()))
}
