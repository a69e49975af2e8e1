//! Reads objects of a collection at either end in portions, and with them the canary of a look.

use std::collections::HashSet;

use super::look::Look;
use crate::collection::Collection;
use crate::model::{Href, Objects, Stored};

/// Objects are read, compared and dropped in batches of this size to bound memory.
const PORTION: usize = 200;

/// What came of reading an object.
pub(super) enum Answer {
    /// This stands there.
    Stored(Stored),
    /// It exists, or may exist, but cannot be read.
    Unreadable(Href),
}

/// Reads the objects of a look, and those missing from its listing once more. Each answer goes to `take`. Returns those
/// that are gone by now; `None` if the canary is missing or changed.
pub(super) fn read(
    collection: &dyn Collection,
    look: &Look,
    mut hrefs: Vec<Href>,
    missing: &[Href],
    mut take: impl FnMut(Answer),
) -> anyhow::Result<Option<HashSet<Href>>> {
    // The canary is read along with the rest.
    let passenger = look.canary.as_ref().map(|canary| &canary.href).filter(|href| !hrefs.contains(href));
    hrefs.extend(passenger.cloned());
    hrefs.sort();
    let mut is_borne_out = look.canary.is_none();
    let (mut answered, mut unseen) = (HashSet::new(), Vec::new());
    let portions = hrefs.chunks(PORTION).map(|portion| (portion, false));
    for (portion, again) in portions.chain(missing.chunks(PORTION).map(|portion| (portion, true))) {
        let read = if again { collection.look_again(portion)? } else { collection.read(portion)? };
        let Objects { stored, unreadable } = read;
        for stored in stored {
            is_borne_out |= look.canary.as_ref().is_some_and(|canary| canary.is(&stored));
            answered.insert(stored.href.clone());
            if passenger != Some(&stored.href) {
                take(Answer::Stored(stored));
            }
        }
        for href in unreadable {
            answered.insert(href.clone());
            unseen.push(href.clone());
            take(Answer::Unreadable(href));
        }
    }
    if !is_borne_out {
        return Ok(None);
    }
    tell_of(&unseen);
    // What was listed but is neither read nor unreadable is gone by now.
    Ok(Some(hrefs.iter().filter(|href| !answered.contains(*href) && passenger != Some(*href)).cloned().collect()))
}

/// Logs objects that nobody can read. This is no failure of ours, and may last for years.
fn tell_of(unseen: &[Href]) {
    let Some(first) = unseen.first() else { return };
    let more = match unseen.len() {
        1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    log::info!("{}{more} cannot be read in the calendar, and nobody tells why; left alone", first.as_str());
}
