//! Which writes to send again, or not at all, when the target differs from what the plan assumed; and which to send
//! only to see whether it accepts anything.

use super::{Delete, OnDrift, Put, Wanted};
use crate::model::{Etag, Status, TargetForm};

/// The server answered 412 although the precondition holds: it rejects the content.
pub(super) const BROKEN: &str = "the server answered 412, though what it was told of the calendar is true";
/// Nobody can see what the server compares with.
pub(super) const UNSEEN: &str = "something stands in its place that the server does not let us read";
/// Somebody keeps changing it.
pub const CHANGING: &str = "it has another version whenever it is looked at";

/// What exists where a write found another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Nothing.
    Nothing,
    /// Something that the server does not let us read.
    Unseen,
    /// An object in this version.
    Version(&'a Etag),
}

/// Why a create or update failed because the target had another version; `None` if the next round plans it again.
pub fn stale_put(put: &Put, standing: Standing<'_>, is_last_round: bool) -> Option<&'static str> {
    let holds = match put {
        Put::Create { .. } => standing == Standing::Nothing,
        Put::Update { etag, .. } => standing == Standing::Version(etag),
    };
    match standing {
        _ if holds => Some(BROKEN),
        Standing::Unseen if is_last_round => Some(UNSEEN),
        _ => is_last_round.then_some(CHANGING),
    }
}

/// What to do with a delete for which the target had another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StaleDelete {
    /// It is gone.
    Gone,
    /// It failed.
    Failed(&'static str),
    /// Delete it in the version that is stored now.
    Again(Delete),
    /// It is left to whoever edited it.
    Released,
}

/// Decides about a stale delete. `is_ours`: what is stored now is what we left there, or meant to.
pub fn stale_delete(delete: &Delete, standing: Standing<'_>, is_ours: bool, on_drift: OnDrift) -> StaleDelete {
    match standing {
        Standing::Nothing => StaleDelete::Gone,
        Standing::Unseen => StaleDelete::Failed(UNSEEN),
        Standing::Version(etag) if *etag == delete.etag => StaleDelete::Failed(BROKEN),
        Standing::Version(etag) if on_drift == OnDrift::Restore || is_ours => {
            StaleDelete::Again(Delete { etag: etag.clone(), ..delete.clone() })
        }
        Standing::Version(_) => StaleDelete::Released,
    }
}

/// Rewrites an object that is stored just as it would be written, to see whether the calendar accepts anything.
pub fn once_more(wanted: &Wanted<'_>, etag: &Etag) -> Put {
    Put::Update { key: wanted.key.clone(), place: wanted.place.clone(), etag: etag.clone(), restores: None }
}

/// The recorded version of an object if, according to the record, it is stored just as it would be written.
pub fn as_recorded<'a>(wanted: &Wanted<'a>) -> Option<&'a Etag> {
    let Status::Mirrored(base) = &wanted.record?.status else { return None };
    let is_ours = !matches!(base.form, TargetForm::Rewritten(_)) && base.hash == wanted.hash;
    base.etag.as_ref().filter(|_| is_ours)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentType, Href, Key, Place};

    fn etag(text: &str) -> Etag {
        Etag::parse(text).unwrap()
    }

    fn delete() -> Delete {
        Delete { key: None, href: Href::new("a.ics"), etag: etag("1") }
    }

    #[test]
    fn a_precondition_that_holds_is_about_the_content_and_any_other_is_planned_again_once() {
        let key = Key { component: ComponentType::Event, uid: "u".to_owned() };
        let place = Place { href: Href::new("a.ics"), uid: None };
        let create = Put::Create { key: key.clone(), place: place.clone(), restores: false };
        let update = Put::Update { key, place, etag: etag("1"), restores: None };
        let (one, two) = (etag("1"), etag("2"));
        let judged = |put, standing| [false, true].map(|is_last_round| stale_put(put, standing, is_last_round));
        assert_eq!(judged(&create, Standing::Nothing), [Some(BROKEN); 2]);
        assert_eq!(judged(&create, Standing::Version(&one)), [None, Some(CHANGING)]);
        assert_eq!(judged(&create, Standing::Unseen), [None, Some(UNSEEN)]);
        assert_eq!(judged(&update, Standing::Version(&one)), [Some(BROKEN); 2]);
        assert_eq!(judged(&update, Standing::Version(&two)), [None, Some(CHANGING)]);
        assert_eq!(judged(&update, Standing::Nothing), [None, Some(CHANGING)]);
    }

    #[test]
    fn an_edit_that_is_kept_is_released_and_what_we_wrote_ourselves_is_deleted() {
        let (one, two) = (etag("1"), etag("2"));
        let of = |standing, is_ours, on_drift| stale_delete(&delete(), standing, is_ours, on_drift);
        let again = || StaleDelete::Again(Delete { etag: etag("2"), ..delete() });
        assert_eq!(of(Standing::Nothing, false, OnDrift::Keep), StaleDelete::Gone);
        assert_eq!(of(Standing::Version(&one), false, OnDrift::Restore), StaleDelete::Failed(BROKEN));
        assert_eq!(of(Standing::Version(&two), false, OnDrift::Restore), again());
        assert_eq!(of(Standing::Version(&two), false, OnDrift::Keep), StaleDelete::Released);
        assert_eq!(of(Standing::Version(&two), true, OnDrift::Keep), again());
        assert_eq!(of(Standing::Unseen, true, OnDrift::Restore), StaleDelete::Failed(UNSEEN));
    }
}
