//! The words of the project as types: key, href, ETag, hash, record, and what a collection says of itself.

pub mod memory;
mod record;

use std::hash::{Hash as StdHash, Hasher};

pub use crate::words::digest::Hash;
use crate::words::error::Fault;
pub use record::{Base, Before, EndsAt, Gone, Occupant, Place, Record, Refusal, Source, Status, TargetForm};

/// The kind of component that an object is made of (RFC 5545 §3.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComponentType {
    /// VEVENT
    Event,
    /// VTODO
    Todo,
    /// VJOURNAL
    Journal,
}

impl ComponentType {
    /// The name in iCalendar.
    pub fn as_str(self) -> &'static str {
        match self {
            ComponentType::Event => "VEVENT",
            ComponentType::Todo => "VTODO",
            ComponentType::Journal => "VJOURNAL",
        }
    }

    /// The type of a component name, in any case of letters.
    pub fn from_name(name: &[u8]) -> Option<ComponentType> {
        [ComponentType::Event, ComponentType::Todo, ComponentType::Journal]
            .into_iter()
            .find(|component| name.eq_ignore_ascii_case(component.as_str().as_bytes()))
    }
}

/// The identity of an object: component type and UID (RFC 4791 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// What the object is made of.
    pub component: ComponentType,
    /// The UID property, unfolded, otherwise as it is written.
    pub uid: String,
}

/// The name of an object within its collection, percent-encoded as the server writes it.
///
/// Two hrefs are equal when they are equal after percent-decoding, for servers differ in what they encode; requests use
/// the server's own form.
#[derive(Debug, Clone)]
pub struct Href(String);

impl Href {
    /// An href in the form that the server or we gave it.
    pub fn new(name: impl Into<String>) -> Href {
        Href(name.into())
    }

    /// The form to use in requests and in the state.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The octets that it stands for.
    pub fn decoded(&self) -> impl Iterator<Item = u8> + '_ {
        let bytes = self.0.as_bytes();
        let mut at = 0;
        std::iter::from_fn(move || {
            let byte = *bytes.get(at)?;
            let escaped = bytes.get(at + 1..at + 3).filter(|_| byte == b'%');
            let decoded = escaped.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
            at += if decoded.is_some() { 3 } else { 1 };
            Some(decoded.unwrap_or(byte))
        })
    }
}

impl PartialEq for Href {
    fn eq(&self, other: &Href) -> bool {
        self.0 == other.0 || self.decoded().eq(other.decoded())
    }
}

impl Eq for Href {}

impl StdHash for Href {
    fn hash<H: Hasher>(&self, state: &mut H) {
        if self.0.contains('%') {
            state.write(&self.decoded().collect::<Vec<u8>>());
        } else {
            state.write(self.0.as_bytes());
        }
    }
}

impl PartialOrd for Href {
    fn partial_cmp(&self, other: &Href) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Href {
    fn cmp(&self, other: &Href) -> std::cmp::Ordering {
        self.decoded().cmp(other.decoded())
    }
}

/// The version of an object (RFC 9110 §8.8.3). Two are equal when their opaque parts are, however each was written.
#[derive(Debug, Clone)]
pub struct Etag {
    /// As a strong ETag, with its quotes.
    strong: String,
    /// The server's own spelling, where that is another one.
    spelling: Option<Box<str>>,
}

impl Etag {
    /// Reads an ETag as servers and proxies write it: nginx with gzip makes it weak (`W/"…"`), Apache adds `-gzip`
    /// inside the quotes; neither form would match in `If-Match` (nginx 1.22, Apache 2.4). DavMail writes it without quotes,
    /// and knows it only in that form. `None` when it is empty or cannot stand in a header.
    pub fn parse(written: &str) -> Option<Etag> {
        let written = written.trim();
        let opaque = written.trim_start_matches("W/").trim_matches('"');
        let opaque = opaque.strip_suffix("-gzip").unwrap_or(opaque);
        let clean = !opaque.is_empty() && opaque.bytes().all(|byte| byte > b' ' && byte != b'"' && byte != 0x7f);
        let strong = format!("\"{opaque}\"");
        let spelling = (strong != written).then(|| written.into());
        clean.then_some(Etag { strong, spelling })
    }

    /// The form that `If-Match` demands.
    pub fn as_str(&self) -> &str {
        &self.strong
    }

    /// The server's own spelling, where that is another one.
    pub fn spelling(&self) -> Option<&str> {
        self.spelling.as_deref()
    }

    /// The form for the state, from which [`Etag::parse`] makes the same ETag.
    pub fn written(&self) -> &str {
        self.spelling().unwrap_or(&self.strong)
    }
}

impl PartialEq for Etag {
    fn eq(&self, other: &Etag) -> bool {
        self.strong == other.strong
    }
}

impl Eq for Etag {}

impl StdHash for Etag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.strong.hash(state);
    }
}

/// An object that stands in a collection, as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub href: Href,
    /// Its version.
    pub etag: Etag,
}

impl Entry {
    /// Whether this is what was read.
    pub fn is(&self, stored: &Stored) -> bool {
        self.href == stored.href && self.etag == stored.etag
    }
}

/// An object that was read from a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Where it stands.
    pub href: Href,
    /// Its version.
    pub etag: Etag,
    /// The iCalendar text, as the collection gives it.
    pub text: Vec<u8>,
}

/// Every object that a collection lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Those whose version it tells.
    pub entries: Vec<Entry>,
    /// Those that are there, but of which it tells no version: without an ETag, or forbidden.
    pub silent: Vec<Href>,
}

/// What came of reading objects. Those that are in neither list are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Those that were read. One that is too large has an empty text.
    pub stored: Vec<Stored>,
    /// Those that are there, or may be, but that nobody gets to see.
    pub unreadable: Vec<Href>,
}

/// The state of a whole collection in one or two words, from a single cheap request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// `cs:getctag`: changes with every change of the collection.
    pub ctag: Option<String>,
    /// `d:sync-token` (RFC 6578 §3): a point from which `sync-collection` tells the changes.
    pub sync_token: Option<String>,
}

impl Mark {
    /// Whether both marks prove that nothing changed between them. A collection without ctag and token proves nothing,
    /// and neither does a token that stayed the same while the ctag did not.
    pub fn proves_same(&self, other: &Mark) -> bool {
        let same_ctag = self.ctag.as_ref().zip(other.ctag.as_ref()).map(|(here, there)| here == there);
        match (&self.sync_token, &other.sync_token) {
            (Some(here), Some(there)) => here == there && same_ctag != Some(false),
            _ => same_ctag == Some(true),
        }
    }

    /// Whether the sync-token cannot be believed: it is the old one, though the ctag says that something changed.
    pub fn contradicts(&self, other: &Mark) -> bool {
        self.sync_token.is_some() && self.sync_token == other.sync_token && !self.proves_same(other)
    }
}

/// What changed in a collection since a sync-token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Everything that changed (RFC 6578 §3.2).
    Since {
        /// Created or changed objects.
        changed: Vec<Entry>,
        /// Objects that are gone.
        gone: Vec<Href>,
        /// The point that this answer stands for.
        sync_token: String,
    },
    /// The collection cannot tell: the token is refused, or there is no such report. List everything.
    Unknown,
}

/// One of the two places that a subscription connects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes to.
    #[default]
    Target,
}

impl End {
    /// The word in the state file.
    pub fn as_str(self) -> &'static str {
        match self {
            End::Source => "source",
            End::Target => "target",
        }
    }
}

/// What we may do in a collection (RFC 3744 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Create and update objects.
    pub write: bool,
    /// Delete objects.
    pub delete: bool,
}

/// What a write demands of the object that stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// `If-None-Match: *`: nothing stands there.
    Absent,
    /// `If-Match`: exactly this version stands there.
    Unchanged(Etag),
}

/// What a feed's server gave us to ask for changes with (RFC 9110 §8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The ETag field, as it was written.
    pub etag: Option<String>,
    /// The Last-Modified field, as it was written.
    pub last_modified: Option<String>,
}

/// How a write of one object ended. Whose fault a failure is shows only when all outcomes of a pass are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Done. The ETag is missing when the server rewrote what it got, as sabre and Radicale do.
    Done {
        /// The version that stands there now.
        etag: Option<Etag>,
    },
    /// The precondition did not hold: read again, then decide again.
    Stale,
    /// The UID stands in the collection already, under another href.
    UidTaken {
        /// Where, if the server says so.
        href: Option<Href>,
    },
    /// It did not get through.
    Failed(Failure),
}

/// A write that did not get through, whatever the reason: a status, a web page, a connection that broke, silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why the object was not taken, if it is the cause.
    pub reason: String,
    /// What is wrong with the collection, if that is the cause.
    pub fault: Fault,
    /// The answer itself says that the content of this object is the cause (a precondition of RFC 4791 §5.3.2.1).
    pub is_verdict: bool,
    /// The same request may succeed a moment later, and was not repeated yet.
    pub may_pass: bool,
}

impl Failure {
    /// A failure that says the same of the object and of the collection.
    pub fn of(fault: Fault) -> Failure {
        Failure { reason: fault.message.clone(), fault, is_verdict: false, may_pass: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn hrefs_are_equal_after_percent_decoding() {
        let known: HashSet<Href> = [Href::new("a%40b%c3%a9.ics")].into();
        assert!(known.contains(&Href::new("a@b%C3%A9.ics")));
        assert_ne!(Href::new("a%2Gb"), Href::new("a+Gb"));
        assert_ne!(Href::new("a.ics"), Href::new("A.ics"));
    }

    #[test]
    fn an_etag_is_read_as_proxies_write_it_and_refused_when_it_cannot_be_sent() {
        let text = |written| Etag::parse(written).map(|etag| etag.as_str().to_owned());
        for written in ["\"x1\"", "W/\"x1\"", "\"x1-gzip\"", "x1"] {
            assert_eq!(text(written).as_deref(), Some("\"x1\""), "{written}");
        }
        let bare = Etag::parse("2026-07-22T01:02:03Z").unwrap();
        assert_eq!((bare.written(), Etag::parse(bare.written())), ("2026-07-22T01:02:03Z", Some(bare.clone())));
        assert_eq!((text(""), text("\"\""), text("\"a\nb\""), text("\"a\"b\"")), (None, None, None, None));
    }

    #[test]
    fn only_a_token_or_else_a_ctag_proves_that_nothing_changed() {
        let mark = |ctag: Option<&str>, token: Option<&str>| Mark {
            ctag: ctag.map(str::to_owned),
            sync_token: token.map(str::to_owned),
        };
        assert!(mark(None, Some("t")).proves_same(&mark(Some("2"), Some("t"))));
        assert!(!mark(Some("1"), Some("t")).proves_same(&mark(Some("2"), Some("t"))), "the ctag says otherwise");
        assert!(mark(Some("1"), Some("t")).contradicts(&mark(Some("2"), Some("t"))));
        assert!(mark(Some("1"), None).proves_same(&mark(Some("1"), Some("t"))));
        assert!(!mark(Some("1"), Some("t")).proves_same(&mark(Some("1"), Some("u"))));
        assert!(!Mark::default().proves_same(&Mark::default()));
    }
}
