//! Carries over the records of an older version of the program: the first pass after an upgrade reads the target, and
//! does not rewrite what matches its record.

use std::collections::HashMap;

use super::matched::Matched;
use super::seen::Seen;
use crate::ics::Feed;
use crate::model::{Base, Before, Hash, Key, Occupant, Record, Source, Status, TargetForm};
use crate::plan::{OnConflict, naming};

/// Converts records to the form of this version. Objects that an older version took over from someone else because
/// they said the same as the feed are given back, unless the user asked for the takeover (`on_conflict`).
pub(super) fn carry_over(
    records: &HashMap<Key, Record>,
    feed: &Feed,
    matched: &Matched<'_>,
    seen: &mut Seen,
    on_conflict: OnConflict,
) -> HashMap<Key, Record> {
    // Older versions hashed the object as it is in the feed, before any shaping.
    let unshaped = feed.unshaped();
    let objects = unshaped.as_ref().unwrap_or(feed).objects();
    let hashes: HashMap<&Key, Hash> = objects.iter().map(|object| (&object.key, object.hash)).collect();
    let carried = records.values().filter_map(|record| {
        if matches!(on_conflict, OnConflict::Ask | OnConflict::Skip)
            && record.href().is_some_and(|href| naming::prefix_of(href).is_none())
        {
            return given_back(record, matched, seen);
        }
        Some(carried(record, &hashes, matched, seen))
    });
    carried.map(|record| (record.key.clone(), record)).collect()
}

fn carried(record: &Record, hashes: &HashMap<&Key, Hash>, matched: &Matched<'_>, seen: &Seen) -> Record {
    let wanted = matched.wanted_of(record);
    let is_unchanged = wanted.is_some_and(|wanted| hashes.get(wanted.key) == Some(&record.source.hash));
    let hash = wanted.filter(|_| is_unchanged).map(|wanted| wanted.hash);
    let source = Source { hash: hash.unwrap_or(record.source.hash), ..record.source.clone() };
    let sent = |base: &Base| Base { hash: hash.unwrap_or(base.hash), form: form(base, seen), ..base.clone() };
    let status = match &record.status {
        Status::Mirrored(base) => Status::Mirrored(sent(base)),
        Status::Gone(base, gone) => Status::Gone(sent(base), gone.clone()),
        // The stored form of a refused object is unknown.
        Status::Refused { before: Before::Standing(base), refusal } => {
            let base = Base { form: form(base, seen), ..base.clone() };
            Status::Refused { before: Before::Standing(base), refusal: refusal.clone() }
        }
        other => other.clone(),
    };
    Record { key: record.key.clone(), source, status }
}

/// In the recorded version an object is as we left it. A form that came back after being overwritten is the server's.
fn form(base: &Base, seen: &Seen) -> TargetForm {
    let found = seen.remote.found.get(&base.place.href);
    match (found, base.form) {
        (Some(found), _) if base.etag.as_ref() == Some(&found.etag) => TargetForm::Rewritten(found.hash),
        (Some(found), TargetForm::Overwrote(_)) => TargetForm::Overwrote(found.hash),
        (_, form) => form,
    }
}

/// An object that was someone else's is remembered as foreign. If it left the feed, it keeps no record.
fn given_back(record: &Record, matched: &Matched<'_>, seen: &mut Seen) -> Option<Record> {
    let href = record.href()?;
    let found = seen.remote.found.get(href)?;
    let key = found.key.clone();
    seen.foreign.push((href.clone(), found.etag.clone(), key.clone()));
    let occupant = if found.same { Occupant::Equal } else { Occupant::Different };
    seen.remote.foreign.extend(key.map(|key| (key, href.clone())));
    let wanted = matched.wanted_of(record)?;
    let source = Source { hash: wanted.hash, ..record.source.clone() };
    Some(Record { key: wanted.key.clone(), source, status: Status::Occupied(occupant) })
}
