//! What can be listed, read and written: the trait for CalDAV calendars and folders of .ics files.

pub mod caldav;
mod exchange;
pub mod home;
#[cfg(test)]
mod script;
pub mod vdir;

use crate::model::{Changes, ComponentType, Etag, Href, Listed, Mark, Objects, Precondition, Rights, Written};
use crate::words::message::Why;

/// The optional features of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// The maximum number of concurrent writes.
    pub connections: usize,
    /// Whether the server would send invitations on its own unless SCHEDULE-AGENT=CLIENT forbids it (RFC 6638 §7.1).
    /// False for sabre, which obeys `Schedule-Reply: F` (sabre/dav 4.7 in Baïkal 0.11).
    pub needs_schedule_agent: bool,
    /// The component types that the collection accepts; empty if it does not say.
    pub components: Vec<ComponentType>,
}

/// A calendar or a folder of objects. An `Err` concerns the collection as a whole and has a kind; any failure to
/// write a single object is a [`Written`].
pub trait Collection: Send + Sync {
    /// Ensures that the collection exists and returns its features. `create` allows creating it if it is missing.
    /// Uses what the state remembers of an earlier run to avoid requests.
    fn open(&self, create: bool) -> anyhow::Result<Abilities>;

    /// Whether the server would send invitations on its own (see [`Abilities`]), as far as known without a request.
    fn schedules(&self) -> bool {
        false
    }

    /// The actual location of an open collection, independent of its spelling in the configuration: the address of
    /// the calendar, or `dir:` and the path of the folder. `None` falls back to the configured address.
    fn address(&self) -> Option<String> {
        None
    }

    /// The ctag and sync token of the collection, in one request; empty if it has neither.
    fn mark(&self) -> anyhow::Result<Mark>;

    /// Every object in the collection, whoever created it.
    fn list(&self) -> anyhow::Result<Listed>;

    /// The changes since a sync-token.
    fn changes(&self, since: &str) -> anyhow::Result<Changes>;

    /// Reads objects; those that are gone are left out.
    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Objects>;

    /// Reads objects that were missing from a listing. Those still missing are gone.
    fn look_again(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        self.read(hrefs)
    }

    /// Our permissions, queried again in one request. A collection that does not report them is assumed to allow
    /// everything.
    fn rights(&self) -> anyhow::Result<Rights>;

    /// Writes one object with a precondition.
    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written>;

    /// Deletes exactly this version of an object. Also `Written::Done` if it was already gone.
    fn delete(&self, href: &Href, etag: &Etag) -> anyhow::Result<Written>;

    /// Sets the purpose of the following requests, which only the log shows.
    fn begin(&self, _why: Why) {}
}
