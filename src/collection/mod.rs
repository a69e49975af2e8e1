//! What can be listed, read and written: the trait that CalDAV calendars and folders of .ics files fulfil.

pub mod caldav;
mod exchange;
pub mod home;
#[cfg(test)]
mod script;
pub mod vdir;

use crate::model::{Changes, ComponentType, Etag, Href, Listed, Mark, Objects, Precondition, Rights, Written};
use crate::words::message::Why;

/// What a collection can do beyond the least.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abilities {
    /// How many writes may be under way at once.
    pub connections: usize,
    /// The server would send invitations of its own unless SCHEDULE-AGENT=CLIENT forbids it (RFC 6638 §7.1). False for
    /// sabre, which obeys `Schedule-Reply: F` (sabre/dav 4.7 in Baïkal 0.11).
    pub needs_schedule_agent: bool,
    /// The component types that the collection takes; empty when it does not say.
    pub components: Vec<ComponentType>,
}

/// A calendar or a folder of objects. An `Err` concerns the collection as a whole and has a kind; what befalls the write of
/// a single object, whatever the cause, is a [`Written`].
pub trait Collection: Send + Sync {
    /// Makes sure that the collection is there and tells what it can do. `create` allows to make it when it is missing.
    /// What the state remembers of an earlier run spares the requests.
    fn open(&self, create: bool) -> anyhow::Result<Abilities>;

    /// Whether the server would send invitations of its own (see [`Abilities`]), as far as that is known without a request.
    fn schedules(&self) -> bool {
        false
    }

    /// Where an open collection really is, the same however it is written in the configuration: the address of the
    /// calendar, or `dir:` and the path of the folder. `None` when it goes by what the configuration says.
    fn address(&self) -> Option<String> {
        None
    }

    /// The state of the whole collection, in one request; empty when it has no such thing.
    fn mark(&self) -> anyhow::Result<Mark>;

    /// Every object that stands in the collection, whoever put it there.
    fn list(&self) -> anyhow::Result<Listed>;

    /// What changed since a sync-token.
    fn changes(&self, since: &str) -> anyhow::Result<Changes>;

    /// Reads objects; those that are gone are left out of the answer.
    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Objects>;

    /// Asks for objects that a listing lacks. What is not brought now either is gone.
    fn look_again(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        self.read(hrefs)
    }

    /// What we may do here, asked anew in one request. A collection that does not tell is believed to allow everything.
    fn rights(&self) -> anyhow::Result<Rights>;

    /// Writes one object under a precondition.
    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written>;

    /// Deletes exactly this version of an object. `Written::Done` also when it was gone already.
    fn delete(&self, href: &Href, etag: &Etag) -> anyhow::Result<Written>;

    /// Says what the next requests are for, until it is said again. Only the log shows it.
    fn begin(&self, _why: Why) {}
}
