//! Writes that cope with server quirks: lost connections, unquoted ETags, ignored preconditions.

use std::sync::atomic::Ordering;

use super::{Caldav, Opened, lock};
use crate::collection::exchange::is_of_one_exchange;
use crate::dav::write::{in_own_spelling, outcome};
use crate::model::{Etag, Failure, Href, Written};
use crate::words::error::{Fault, Kind, fault_of};
use crate::words::message::{Request, Response};

impl Caldav {
    /// Sends a write. A lost connection or a missing answer only fails this one write.
    pub(super) fn send_write(
        &self,
        request: &Request,
        read: impl Fn(&Response) -> anyhow::Result<Written>,
    ) -> anyhow::Result<Written> {
        match self.exchange().send(request) {
            Ok(response) => read(&response),
            Err(error) if is_of_one_exchange(&error) => Ok(Written::Failed(Failure::of(fault_of(&error)))),
            Err(error) => Err(error),
        }
    }

    /// Sends a write with `If-Match`; if that fails, tries again with the ETag in the server's own spelling.
    pub(super) fn send_under(
        &self,
        etag: &Etag,
        request: &Request,
        read: impl Fn(&Response) -> anyhow::Result<Written>,
    ) -> anyhow::Result<Written> {
        if etag.spelling().is_none() {
            return self.send_write(request, read);
        }
        let own = in_own_spelling(request.clone(), etag);
        if let Some(own) = own.as_ref().filter(|_| self.wants_own_spelling.load(Ordering::Relaxed)) {
            return self.send_write(own, read);
        }
        match (self.send_write(request, &read)?, own) {
            (Written::Stale, Some(own)) => {
                let written = self.send_write(&own, read)?;
                let is_wanted = matches!(written, Written::Done { .. });
                self.wants_own_spelling.fetch_or(is_wanted, Ordering::Relaxed);
                Ok(written)
            }
            (written, _) => Ok(written),
        }
    }

    /// On a server not known to obey preconditions (SOGo 5.8 deletes regardless of `If-Match`), reads what is stored
    /// before it is overwritten or deleted. `None` means go on.
    pub(super) fn look_before(&self, opened: &Opened, href: &Href, etag: &Etag) -> anyhow::Result<Option<Written>> {
        if opened.remembered.server.obeys_preconditions() || *lock(&self.obeys_preconditions) == Some(true) {
            return Ok(None);
        }
        let standing = self.get(opened, href)?;
        if standing.stored.iter().any(|stored| stored.etag == *etag) {
            return Ok(None);
        }
        if standing.unreadable.is_empty() {
            return Ok(Some(Written::Stale));
        }
        let reason = "the server does not let us read what stands there, and may ignore whether it changed";
        Ok(Some(Written::Failed(Failure::of(Fault::new(Kind::Unavailable, reason)))))
    }

    /// Detects whether a server of unknown make obeys `If-None-Match`, at most once per run and calendar, by sending
    /// the object just created again unchanged. Returns the outcome with the version that is stored afterwards.
    pub(super) fn try_precondition(
        &self,
        opened: &Opened,
        request: &Request,
        written: Written,
    ) -> anyhow::Result<Written> {
        let is_known = opened.remembered.server.obeys_preconditions() || lock(&self.obeys_preconditions).is_some();
        if is_known || self.has_tried_precondition.swap(true, Ordering::Relaxed) {
            return Ok(written);
        }
        let again = self.send_write(request, |response| outcome(request.method, &opened.url, response))?;
        let obeys = match &again {
            Written::Done { .. } => Some(false),
            Written::Stale => Some(true),
            Written::UidTaken { .. } | Written::Failed(_) => None,
        };
        let mut known = lock(&self.obeys_preconditions);
        *known = known.or(obeys);
        Ok(if obeys == Some(false) { again } else { written })
    }
}
