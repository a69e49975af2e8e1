//! Refused objects: how long they rest, and what still stands in the target of them.

use super::{Facts, Note, OnDrift, Policy, Remote, Wanted, wait};
use crate::model::{Base, Before, Record, Refusal, Status};

/// A refusal of the server holds until the object or the settings change, or its retry is due.
pub(super) fn is_still_refused(record: &Record, wanted: &Wanted<'_>, facts: &Facts<'_>, policy: &Policy) -> bool {
    let Status::Refused { refusal, .. } = &record.status else {
        return false;
    };
    rests(refusal, facts, policy) && is_unchanged(record, wanted)
}

/// What we refuse ourselves is reported once.
pub(super) fn is_known_to_be_unfit(record: &Record, wanted: &Wanted<'_>, policy: &Policy) -> bool {
    let is_ours = matches!(&record.status, Status::Refused { refusal, .. } if refusal.tries == 0);
    is_ours && is_unchanged(record, wanted) && !policy.retry_rejected
}

/// Whether the retry of a refusal is not due yet.
pub(super) fn rests(refusal: &Refusal, facts: &Facts<'_>, policy: &Policy) -> bool {
    !policy.retry_rejected && wait(refusal.tries).is_some_and(|wait| facts.now.since(refusal.at) < wait)
}

/// An object under another UID was recognised by its content.
pub(super) fn is_unchanged(record: &Record, wanted: &Wanted<'_>) -> bool {
    record.key != *wanted.key || record.source.hash == wanted.hash
}

/// Notes that what stands in the target of a refused object is not as recorded any more.
pub(super) fn note_before(wanted: &Wanted<'_>, record: &Record, remote: &Remote, policy: &Policy) -> Option<Note> {
    let before = record.status.clone().before(wanted.place.clone());
    let now = before_now(before.clone(), remote, policy.rules.on_drift);
    (now != before).then(|| Note::Before { key: wanted.key.clone(), before: now })
}

/// What stands in the target of a refused object, after a look. If the older form is gone or was edited, it must not
/// count as standing when the feed goes back to it: a delta tells of that only once.
pub fn before_now(before: Before, remote: &Remote, on_drift: OnDrift) -> Before {
    let Before::Standing(base) = before else { return before };
    match (remote.present.get(&base.place.href), &base.etag) {
        (None, _) if on_drift == OnDrift::Keep => Before::Removed(base.place, base.hash),
        (None, _) => Before::Nothing(base.place),
        (Some(now), Some(etag)) if now != etag => {
            let found = remote.found.get(&base.place.href);
            let is_as_left = found.is_some_and(|found| base.is(found.hash));
            Before::Standing(Base { etag: is_as_left.then(|| now.clone()), ..base })
        }
        (Some(_), _) => Before::Standing(base),
    }
}
