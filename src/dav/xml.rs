//! XML as used by CalDAV: names, request bodies, and a reader for responses. The only file that names the crate
//! `roxmltree`, which rejects DTDs and thus all custom entities.

use std::borrow::Cow;

use super::xml_limits::is_modest;

/// An element name: namespace and local part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name(&'static str, &'static str);

const DAV: &str = "DAV:";
const CALDAV: &str = "urn:ietf:params:xml:ns:caldav";
const CALENDAR_SERVER: &str = "http://calendarserver.org/ns/";
const APPLE: &str = "http://apple.com/ns/ical/";
const SABRE: &str = "http://sabredav.org/ns";

/// Namespace prefixes used in requests.
const PREFIXES: [(&str, &str); 4] = [(DAV, "d"), (CALDAV, "c"), (CALENDAR_SERVER, "cs"), (APPLE, "a")];

macro_rules! names {
    ($namespace:ident: $($constant:ident = $local:literal),+ $(,)?) => {
        $(#[doc = concat!("`", $local, "`")] pub const $constant: Name = Name($namespace, $local);)+
    };
}

names!(DAV:
    MULTISTATUS = "multistatus", RESPONSE = "response", HREF = "href", STATUS = "status", PROPSTAT = "propstat",
    PROP = "prop", PROPFIND = "propfind", ERROR = "error", RESPONSE_DESCRIPTION = "responsedescription",
    GETETAG = "getetag", SYNC_TOKEN = "sync-token", SYNC_COLLECTION = "sync-collection", SYNC_LEVEL = "sync-level",
    RESOURCETYPE = "resourcetype", DISPLAYNAME = "displayname", CURRENT_USER_PRINCIPAL = "current-user-principal",
    SUPPORTED_REPORT_SET = "supported-report-set", SUPPORTED_REPORT = "supported-report", REPORT = "report",
    CURRENT_USER_PRIVILEGE_SET = "current-user-privilege-set", PRIVILEGE = "privilege", ALL = "all", WRITE = "write",
    WRITE_CONTENT = "write-content", UNBIND = "unbind", SET = "set", VALID_SYNC_TOKEN = "valid-sync-token",
    NEED_PRIVILEGES = "need-privileges", RESOURCE_MUST_BE_NULL = "resource-must-be-null",
);
names!(CALDAV:
    CALENDAR = "calendar", CALENDAR_HOME_SET = "calendar-home-set", CALENDAR_DATA = "calendar-data",
    CALENDAR_MULTIGET = "calendar-multiget", MKCALENDAR = "mkcalendar", COMP = "comp",
    SUPPORTED_CALENDAR_COMPONENT_SET = "supported-calendar-component-set", NO_UID_CONFLICT = "no-uid-conflict",
);
names!(CALENDAR_SERVER: GETCTAG = "getctag", SHARED = "shared");
names!(APPLE: CALENDAR_COLOR = "calendar-color");
names!(SABRE: EXCEPTION = "exception", MESSAGE = "message");

/// The preconditions of PUT that are about the object itself (RFC 4791 §5.3.2.1, RFC 6638 §3.2.4.2).
pub const OBJECT_CONDITIONS: [Name; 13] = [
    Name(CALDAV, "valid-calendar-data"),
    Name(CALDAV, "valid-calendar-object-resource"),
    Name(CALDAV, "supported-calendar-data"),
    Name(CALDAV, "supported-calendar-component"),
    Name(CALDAV, "max-resource-size"),
    Name(CALDAV, "min-date-time"),
    Name(CALDAV, "max-date-time"),
    Name(CALDAV, "max-instances"),
    Name(CALDAV, "max-attendees-per-instance"),
    Name(CALDAV, "unique-scheduling-object-resource"),
    Name(CALDAV, "same-organizer-in-all-components"),
    Name(CALDAV, "allowed-organizer-scheduling-object-change"),
    Name(CALDAV, "allowed-attendee-scheduling-object-change"),
];

impl Name {
    /// The prefixed name, as in requests.
    fn prefixed(self) -> String {
        let prefix = PREFIXES.iter().find(|(namespace, _)| *namespace == self.0).map_or("d", |(_, prefix)| prefix);
        format!("{prefix}:{}", self.1)
    }

    /// `<d:name/>`
    pub fn empty(self) -> String {
        format!("<{}/>", self.prefixed())
    }

    /// `<d:name>content</d:name>`; the content must already be XML.
    pub fn around(self, content: &str) -> String {
        let name = self.prefixed();
        format!("<{name}>{content}</{name}>")
    }

    /// A whole document with this root, which declares every prefix.
    pub fn document(self, content: &str) -> String {
        let name = self.prefixed();
        let declared = PREFIXES.map(|(namespace, prefix)| format!("xmlns:{prefix}=\"{namespace}\"")).join(" ");
        format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<{name} {declared}>{content}</{name}>\n")
    }
}

/// `<d:prop>` with these properties.
pub fn prop(names: &[Name]) -> String {
    PROP.around(&names.iter().map(|name| name.empty()).collect::<String>())
}

/// Escapes text for use inside an element or attribute.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// An element of a response.
#[derive(Clone, Copy)]
pub struct Element<'a>(roxmltree::Node<'a, 'a>);

impl<'a> Element<'a> {
    /// Whether it has this name.
    pub fn is(self, name: Name) -> bool {
        self.0.tag_name().namespace() == Some(name.0) && self.0.tag_name().name() == name.1
    }

    /// Its child elements.
    pub fn elements(self) -> impl Iterator<Item = Element<'a>> {
        self.0.children().filter(roxmltree::Node::is_element).map(Element)
    }

    /// Its child elements of this name.
    pub fn children(self, name: Name) -> impl Iterator<Item = Element<'a>> {
        self.elements().filter(move |element| element.is(name))
    }

    /// Its first child element of this name.
    pub fn child(self, name: Name) -> Option<Element<'a>> {
        self.children(name).next()
    }

    /// Its own text, including CDATA, unmodified.
    pub fn text(self) -> Cow<'a, str> {
        let mut parts = self.0.children().filter(roxmltree::Node::is_text).filter_map(|node| node.text());
        let first = parts.next().unwrap_or_default();
        match parts.next() {
            None => Cow::Borrowed(first),
            Some(second) => Cow::Owned([first, second].into_iter().chain(parts).collect()),
        }
    }

    /// Its own text without surrounding white space; `None` if nothing is left.
    pub fn trimmed(self) -> Option<String> {
        let text = self.text();
        Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The value of an attribute without a namespace.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.0.attribute(name)
    }

    fn local_name(self) -> &'a str {
        self.0.tag_name().name()
    }
}

/// One `response` of a multistatus (RFC 4918 §14.24), for one href.
pub struct Member<'a> {
    /// The href as the server writes it.
    pub href: String,
    /// The status of the resource as a whole, if present.
    pub status: Option<u16>,
    propstats: Vec<(u16, Element<'a>)>,
}

impl<'a> Member<'a> {
    /// A property that was found, i.e. whose own status is a success (RFC 4918 §9.1).
    pub fn property(&self, name: Name) -> Option<Element<'a>> {
        let found = self.propstats.iter().filter(|(status, _)| (200..300).contains(status));
        found.into_iter().find_map(|(_, prop)| prop.child(name))
    }

    /// Every status in it.
    pub fn statuses(&self) -> Vec<u16> {
        self.status.into_iter().chain(self.propstats.iter().map(|(status, _)| *status)).collect()
    }

    /// Whether the server denies us this property or the whole resource.
    pub fn is_refused(&self, name: Name) -> bool {
        let refused = |status: u16| matches!(status, 401 | 403);
        self.status.is_some_and(refused)
            || self.propstats.iter().any(|(status, prop)| refused(*status) && prop.child(name).is_some())
    }
}

/// The responses of a multistatus, one for each href.
pub fn members(multistatus: Element<'_>) -> impl Iterator<Item = Member<'_>> {
    multistatus.children(RESPONSE).flat_map(|response| {
        response.children(HREF).filter_map(move |href| {
            let propstats = response.children(PROPSTAT).filter_map(|propstat| {
                Some((propstat.child(STATUS).and_then(status_code).unwrap_or_default(), propstat.child(PROP)?))
            });
            Some(Member {
                href: href.trimmed()?,
                status: response.child(STATUS).and_then(status_code),
                propstats: propstats.collect(),
            })
        })
    })
}

/// The code of `HTTP/1.1 404 Not Found`, also without a reason phrase.
fn status_code(status: Element<'_>) -> Option<u16> {
    status.text().split_whitespace().nth(1)?.parse().ok()
}

/// The contents of an error body (RFC 4918 §16), including the elements that sabre adds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    conditions: Vec<(String, String)>,
    /// The exception class on a sabre server.
    pub exception: Option<String>,
    /// The server's message.
    pub message: Option<String>,
    /// The href inside `no-uid-conflict` (RFC 4791 §5.3.2.1).
    pub conflict: Option<String>,
}

impl ErrorBody {
    /// Parses a body; one that is not an XML error gives an empty result.
    pub fn of(body: &[u8]) -> ErrorBody {
        read(body, |root| {
            let said = |name| root.child(name).and_then(Element::trimmed);
            let conditions = root.elements().filter(|_| root.is(ERROR)).map(|element| {
                (element.0.tag_name().namespace().unwrap_or_default().to_owned(), element.local_name().to_owned())
            });
            ErrorBody {
                conditions: conditions.collect(),
                exception: said(EXCEPTION),
                message: said(MESSAGE).or_else(|| said(RESPONSE_DESCRIPTION)),
                conflict: root.child(NO_UID_CONFLICT).and_then(|element| element.child(HREF)?.trimmed()),
            }
        })
        .unwrap_or_default()
    }

    /// Whether it contains this precondition.
    pub fn names(&self, condition: Name) -> bool {
        self.conditions.iter().any(|(namespace, local)| namespace == condition.0 && local == condition.1)
    }

    /// The local name of the first DAV or CalDAV precondition.
    pub fn first_condition(&self) -> Option<&str> {
        let standard = |namespace: &str| namespace == DAV || namespace == CALDAV;
        self.conditions.iter().find(|(namespace, _)| standard(namespace)).map(|(_, local)| local.as_str())
    }
}

/// Replaces characters that XML forbids or that were not UTF-8. Text that contains it may differ from what is stored.
pub const REPLACEMENT: char = '\u{fffd}';

/// Parses a document and passes its root to `read`. `None` if it is not XML, has a DTD, or is built to exhaust the
/// parser.
///
/// sabre, Radicale and Xandikos store control characters and U+FFFE and then write them into responses, where a
/// single one makes the whole document invalid: an invalid document is parsed again with [`REPLACEMENT`] instead of
/// them.
pub fn read<T>(body: &[u8], read: impl FnOnce(Element<'_>) -> T) -> Option<T> {
    if !is_modest(body) {
        return None;
    }
    let text = String::from_utf8_lossy(body);
    if let Ok(document) = roxmltree::Document::parse(&text) {
        return Some(read(Element(document.root_element())));
    }
    let cleaned = replace_forbidden(&text);
    roxmltree::Document::parse(&cleaned).ok().map(|document| read(Element(document.root_element())))
}

/// Replaces what XML 1.0 §2.2 forbids, both characters and references.
fn replace_forbidden(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (taken, replaced) = match forbidden_reference(rest) {
            Some(length) => (length, true),
            None => (letter.len_utf8(), !is_allowed(u32::from(letter))),
        };
        cleaned.push(if replaced { REPLACEMENT } else { letter });
        rest = rest.get(taken..).unwrap_or_default();
    }
    cleaned
}

/// The length in octets of a reference to a forbidden character at the start of the text.
fn forbidden_reference(text: &str) -> Option<usize> {
    let digits = text.strip_prefix("&#")?;
    let digits = digits.get(..digits.find(';').filter(|length| *length <= 8)?)?;
    let code = match digits.strip_prefix('x') {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    (!is_allowed(code)).then_some("&#".len() + digits.len() + ";".len())
}

fn is_allowed(code: u32) -> bool {
    matches!(code, 0x9 | 0xA | 0xD | 0x20..=0xD7FF | 0xE000..=0xFFFD | 0x1_0000..=0x10_FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks href, status and ETag of each member.
    fn check(body: &str, expected: &[(&str, Option<u16>, Option<&str>)]) {
        let found: Vec<_> = read(body.as_bytes(), |root| {
            let entry = |member: Member<'_>| {
                let etag = member.property(GETETAG).and_then(Element::trimmed);
                (member.href, member.status, etag)
            };
            members(root).map(entry).collect()
        })
        .unwrap();
        let found: Vec<_> =
            found.iter().map(|(href, status, etag)| (href.as_str(), *status, etag.as_deref())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn prefixes_and_the_order_of_status_and_prop_do_not_matter() {
        let sabre = r#"<?xml version="1.0"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">
 <d:response><d:href>/a/1.ics</d:href><d:propstat><d:prop><d:getetag>&quot;1&quot;</d:getetag></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
</d:multistatus>"#;
        check(sabre, &[("/a/1.ics", None, Some("\"1\""))]);
        let xandikos = r#"<ns0:multistatus xmlns:ns0="DAV:"><ns0:response><ns0:href>/a/1.ics</ns0:href><ns0:propstat><ns0:status>HTTP/1.1 200 OK</ns0:status><ns0:prop><ns0:getetag>"1"</ns0:getetag></ns0:prop></ns0:propstat></ns0:response></ns0:multistatus>"#;
        check(xandikos, &[("/a/1.ics", None, Some("\"1\""))]);
    }

    #[test]
    fn a_property_counts_only_when_its_own_status_is_a_success_and_a_status_needs_no_words() {
        let body = r#"<multistatus xmlns="DAV:"><response><href>/a/1.ics</href><propstat><prop><getetag/></prop><status>HTTP/1.1 404</status></propstat></response>
<response><href>/a/2.ics</href><href>/a/3.ics</href><status>HTTP/1.1 404</status></response></multistatus>"#;
        check(body, &[("/a/1.ics", None, None), ("/a/2.ics", Some(404), None), ("/a/3.ics", Some(404), None)]);
    }

    #[test]
    fn an_element_of_another_namespace_is_another_element() {
        check(r#"<multistatus xmlns="DAV:"><response xmlns="urn:x"><href>/a</href></response></multistatus>"#, &[]);
    }

    #[test]
    fn characters_that_xml_forbids_are_replaced_and_cdata_is_text() {
        let text = |body: &[u8]| read(body, |root| root.text().into_owned());
        assert_eq!(text(b"<a>x\x01&#x1f;&#2;y&#13;&amp;</a>").as_deref(), Some("x\u{fffd}\u{fffd}\u{fffd}y\r&"));
        assert_eq!(text(b"<a>caf\xe9\x10</a>").as_deref(), Some("caf\u{fffd}\u{fffd}"));
        assert_eq!(text(b"<a>1 <![CDATA[< 2]]> 3</a>").as_deref(), Some("1 < 2 3"));
    }

    #[test]
    fn what_is_no_xml_or_brings_entities_is_refused() {
        let refused = |body: &[u8]| read(body, |_| ()).is_none();
        assert!(refused(b"") && refused(b"<a>") && refused(b"<p>Hello<br></p>"));
        assert!(refused(b"<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>"));
        assert!(!refused(b"\xef\xbb\xbf<a/>"));
    }

    #[test]
    fn an_error_body_tells_its_precondition_and_its_sentence() {
        let sabre = ErrorBody::of(
            br#"<?xml version="1.0" encoding="utf-8"?>
<d:error xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns">
  <s:sabredav-version>4.7.0</s:sabredav-version>
  <s:exception>Sabre\DAV\Exception\InvalidSyncToken</s:exception>
  <s:message>Invalid or unknown sync token</s:message>
  <d:valid-sync-token/>
</d:error>"#,
        );
        assert!(sabre.names(VALID_SYNC_TOKEN) && !sabre.names(NO_UID_CONFLICT));
        assert_eq!(sabre.message.as_deref(), Some("Invalid or unknown sync token"));
        assert_eq!(sabre.first_condition(), Some("valid-sync-token"));
        assert_eq!(ErrorBody::of(b"Precondition failed."), ErrorBody::default());
    }

    #[test]
    fn a_request_declares_its_prefixes_and_escapes_its_text() {
        let body = PROPFIND.document(&prop(&[GETETAG, GETCTAG]));
        let names = read(body.as_bytes(), |root| {
            let prop = root.child(PROP).unwrap();
            root.is(PROPFIND) && prop.child(GETETAG).is_some() && prop.child(GETCTAG).is_some()
        });
        assert_eq!(names, Some(true));
        assert_eq!(
            DISPLAYNAME.around(&escape("R&D <\"1\">")),
            "<d:displayname>R&amp;D &lt;&quot;1&quot;&gt;</d:displayname>"
        );
    }
}
