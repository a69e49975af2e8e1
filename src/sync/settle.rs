//! Settles a pass: learns the ETags that the server did not give, and the mark from which the next look begins.

use super::look::Look;
use super::record::{Left, Recorder};
use crate::collection::Collection;
use crate::model::{Changes, Mark};

/// Asks what happened since the look. If it was our own writes alone, the new sync-token stands for the records; anything
/// else is drift that the next pass must see, so the look's own mark is kept (design §3, *settle*).
pub(super) fn settle(collection: &dyn Collection, look: &Look, recorder: &mut Recorder<'_>) -> anyhow::Result<Mark> {
    if recorder.written.is_empty() {
        return Ok(look.mark.clone());
    }
    if let Some(since) = &look.mark.sync_token
        && let Changes::Since { changed, gone, sync_token } = collection.changes(since)?
    {
        let mut ours_alone = true;
        for entry in changed {
            recorder.complete(&entry.href, &entry.etag)?;
            ours_alone &= recorder.written.get(&entry.href) == Some(&Left::Version(entry.etag));
        }
        ours_alone &= gone.iter().all(|href| recorder.written.get(href) == Some(&Left::Nothing));
        return Ok(if ours_alone { Mark { ctag: None, sync_token: Some(sync_token) } } else { look.mark.clone() });
    }
    for entry in collection.list()? {
        recorder.complete(&entry.href, &entry.etag)?;
    }
    Ok(look.mark.clone())
}
