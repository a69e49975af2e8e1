//! HTTP requests and responses as values. Nothing here sends anything; `http` does.

use crate::words::url::Url;

/// Header fields in their original order. Names compare case-insensitively; values are bytes, because sabre sends raw
/// Latin-1 in one of its headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<u8>)>);

impl Headers {
    /// Adds a field.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) {
        self.0.push((name.into(), value.into()));
    }

    /// The first field of this name, as text.
    pub fn get(&self, name: &str) -> Option<String> {
        self.all(name).next()
    }

    /// Every field of this name, as text.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = String> + 'a {
        self.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| text_of(value))
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_slice()))
    }
}

fn text_of(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim().to_owned()
}

/// What a request is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Why {
    /// To get the feed.
    Feed,
    /// To find the calendar and detect its server's features.
    #[default]
    Find,
    /// To detect changes in the target.
    Look,
    /// To read objects of the target.
    Read,
    /// To create or update an object.
    Put,
    /// To delete an object.
    Delete,
    /// To detect whether a failure concerns one object or the whole target.
    Probe,
    /// To learn the state after the writes.
    Settle,
}

impl Why {
    /// Its name in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Why::Feed => "feed",
            Why::Find => "find",
            Why::Look => "look",
            Why::Read => "read",
            Why::Put => "put",
            Why::Delete => "delete",
            Why::Probe => "probe",
            Why::Settle => "settle",
        }
    }
}

/// A request, complete except for authentication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `PROPFIND`, …
    pub method: &'static str,
    /// The address.
    pub url: Url,
    /// Fields other than those the client adds itself (Host, Content-Length, User-Agent, Authorization).
    pub headers: Headers,
    /// The body; may be empty.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without headers and body.
    pub fn new(method: &'static str, url: Url) -> Request {
        Request { method, url, headers: Headers::default(), body: Vec::new() }
    }

    /// The same request with one more header.
    pub fn header(mut self, name: &str, value: impl Into<Vec<u8>>) -> Request {
        self.headers.add(name, value);
        self
    }

    /// The same request with this body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Request {
        self.body = body.into();
        self
    }
}

/// A complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body, decoded from its Content-Encoding.
    pub body: Vec<u8>,
}

impl Response {
    /// The media type in lower case, without parameters; empty if there is none.
    pub fn media_type(&self) -> String {
        let written = self.headers.get("content-type").unwrap_or_default();
        written.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The charset parameter of the media type.
    pub fn charset(&self) -> Option<String> {
        let written = self.headers.get("content-type")?;
        let parameter = written.split(';').skip(1).find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
        });
        parameter.filter(|charset| !charset.is_empty())
    }

    /// Whether the body is a web page: a login form, a portal, a broken Baïkal that answers 200 to everything.
    pub fn is_html(&self) -> bool {
        let start = self.body.trim_ascii_start();
        let begins = |tag: &str| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag.as_bytes()));
        begins("<!doctype html") || begins("<html") || (self.media_type() == "text/html" && !start.is_empty())
    }

    /// Whether it is the page of nginx ("sent to HTTPS port") or Apache ("an SSL-enabled server port") for plain http
    /// sent to an https port.
    pub fn wants_encryption(&self) -> bool {
        self.is_page_about("HTTPS port") || self.is_page_about("SSL-enabled server port")
    }

    /// Whether it is the page of nginx for a missing or rejected client certificate (`ssl_verify_client`; other
    /// servers abort the handshake).
    pub fn wants_certificate(&self) -> bool {
        self.is_page_about("SSL certificate")
    }

    /// Whether the server, or a proxy in front of it, is temporarily overloaded, so that the request is sent again.
    pub fn may_pass_by_itself(&self) -> bool {
        matches!(self.status, 429 | 502 | 503 | 504)
    }

    fn is_page_about(&self, words: &str) -> bool {
        self.is_html() && String::from_utf8_lossy(&self.body).contains(words)
    }
}
