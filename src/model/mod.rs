//! The words of the project as types: key, href, ETag, hash, record, and what a collection reports about itself.

mod end;
pub mod memory;
mod record;

use std::hash::{Hash as StdHash, Hasher};

pub use crate::words::digest::Hash;
use crate::words::error::Fault;
pub use end::{End, Ends};
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

    /// The type for a component name, case-insensitive.
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
    /// The UID property, unfolded, otherwise as written.
    pub uid: String,
}

/// The name of an object within its collection, percent-encoded as the server writes it.
///
/// Hrefs are equal if they are equal after percent-decoding, because servers differ in what they encode; requests use
/// the server's own form.
#[derive(Debug, Clone)]
pub struct Href(String);

impl Href {
    /// An href as the server or we wrote it.
    pub fn new(name: impl Into<String>) -> Href {
        Href(name.into())
    }

    /// The form to use in requests and in the state.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The percent-decoded octets.
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

/// The version of an object (RFC 9110 §8.8.3). Two are equal if their opaque parts are, regardless of their spelling.
#[derive(Debug, Clone)]
pub struct Etag {
    /// As a strong ETag, with its quotes.
    strong: String,
    /// The server's own spelling, if different.
    spelling: Option<Box<str>>,
}

impl Etag {
    /// Parses an ETag as servers and proxies write it: nginx with gzip makes it weak (`W/"…"`), Apache adds `-gzip`
    /// inside the quotes; neither form would match in `If-Match` (nginx 1.22, Apache 2.4). DavMail writes it without
    /// quotes, and recognises only that form. `None` if it is empty or not allowed in a header.
    pub fn parse(written: &str) -> Option<Etag> {
        let written = written.trim();
        let opaque = written.trim_start_matches("W/").trim_matches('"');
        let opaque = opaque.strip_suffix("-gzip").unwrap_or(opaque);
        let clean = !opaque.is_empty() && opaque.bytes().all(|byte| byte > b' ' && byte != b'"' && byte != 0x7f);
        let strong = format!("\"{opaque}\"");
        let spelling = (strong != written).then(|| written.into());
        clean.then_some(Etag { strong, spelling })
    }

    /// The form that `If-Match` requires.
    pub fn as_str(&self) -> &str {
        &self.strong
    }

    /// The server's own spelling, if different.
    pub fn spelling(&self) -> Option<&str> {
        self.spelling.as_deref()
    }

    /// The form for the state, from which [`Etag::parse`] returns the same ETag.
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

/// An object in a collection, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
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
    /// Where it is.
    pub href: Href,
    /// Its version.
    pub etag: Etag,
    /// The iCalendar text, as the collection returned it.
    pub text: Vec<u8>,
}

/// Every object that a collection lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Those with a version.
    pub entries: Vec<Entry>,
    /// Those that exist but have no version: without an ETag, or forbidden.
    pub silent: Vec<Href>,
}

/// The result of reading objects. Those in neither list are gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// Those that were read. A too large one has an empty text.
    pub stored: Vec<Stored>,
    /// Those that exist, or may exist, but cannot be read.
    pub unreadable: Vec<Href>,
}

/// The state of a whole collection as one or two tokens, from a single cheap request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mark {
    /// `cs:getctag`: changes with every change of the collection.
    pub ctag: Option<String>,
    /// `d:sync-token` (RFC 6578 §3): a point since which `sync-collection` reports changes.
    pub sync_token: Option<String>,
}

impl Mark {
    /// Whether both marks prove that nothing changed between them. A collection without ctag and token proves
    /// nothing, nor does a token that stayed the same although the ctag changed.
    pub fn proves_same(&self, other: &Mark) -> bool {
        let same_ctag = self.ctag.as_ref().zip(other.ctag.as_ref()).map(|(here, there)| here == there);
        match (&self.sync_token, &other.sync_token) {
            (Some(here), Some(there)) => here == there && same_ctag != Some(false),
            _ => same_ctag == Some(true),
        }
    }

    /// Whether the sync-token cannot be trusted: it is unchanged although the ctag changed.
    pub fn contradicts(&self, other: &Mark) -> bool {
        self.sync_token.is_some() && self.sync_token == other.sync_token && !self.proves_same(other)
    }
}

/// What changed in a collection since a sync-token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// All changes (RFC 6578 §3.2).
    Since {
        /// Created or changed objects.
        changed: Vec<Entry>,
        /// Objects that are gone.
        gone: Vec<Href>,
        /// The sync-token of this answer.
        sync_token: String,
    },
    /// The collection cannot report changes: the token is refused, or the report is not supported. List everything.
    Unknown,
}

/// What we may do in a collection (RFC 3744 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Create and update objects.
    pub write: bool,
    /// Delete objects.
    pub delete: bool,
}

/// The precondition of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    /// `If-None-Match: *`: nothing exists there.
    Absent,
    /// `If-Match`: exactly this version exists there.
    Unchanged(Etag),
}

/// The validators that a feed's server returned (RFC 9110 §8.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The ETag field, as received.
    pub etag: Option<String>,
    /// The Last-Modified field, as received.
    pub last_modified: Option<String>,
}

/// The outcome of a write. Which object or server caused a failure is known only when all outcomes of a pass are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// Done. There is no ETag if the server rewrote what it received, as sabre and Radicale do.
    Done {
        /// The version that is stored now.
        etag: Option<Etag>,
    },
    /// The precondition did not hold: read again, then decide again.
    Stale,
    /// The UID already exists in the collection, under another href.
    UidTaken {
        /// Where, if the server says so.
        href: Option<Href>,
    },
    /// It failed.
    Failed(Failure),
}

/// A write that failed for any reason: a status, a web page, a broken connection, silence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why the object was not accepted, if it is the cause.
    pub reason: String,
    /// What is wrong with the collection, if that is the cause.
    pub fault: Fault,
    /// The answer itself names the content of this object as the cause (a precondition of RFC 4791 §5.3.2.1).
    pub is_verdict: bool,
    /// The same request may succeed a moment later, and was not retried yet.
    pub may_pass: bool,
}

impl Failure {
    /// A failure with the same reason for the object and the collection.
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
