//! Addresses. The only file that names the crate `url`. Printed addresses never contain a password or a query, and a
//! feed's address prints only its origin.

use std::fmt;

use crate::words::error::{Kind, OrFault, fault};

/// Characters other than letters and digits that need no percent-encoding in a path segment (RFC 3986 §3.3).
const HARMLESS: &str = "-._~!$&'()*+,;=:@";

/// An absolute http or https address without credentials. It prints without its query: `https://host/path`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url(url::Url);

impl Url {
    /// Parses `http(s)://…`; rejects user information (see [`Url::parse_with_credentials`]).
    pub fn parse(text: &str) -> anyhow::Result<Url> {
        let (url, credentials) = Url::parse_with_credentials(text)?;
        match credentials {
            None => Ok(url),
            Some(_) => Err(fault(Kind::Configuration, format!("{url} holds a user name or password"))),
        }
    }

    /// Parses `http(s)://user:password@…` into the address and the percent-decoded credentials. Errors do not repeat
    /// the text, which may be a secret.
    pub fn parse_with_credentials(text: &str) -> anyhow::Result<(Url, Option<(String, String)>)> {
        let mut url = url::Url::parse(text.trim()).or_fault(Kind::Configuration, || "not an address".to_owned())?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(fault(Kind::Configuration, "not an http or https address"));
        }
        let decode = |text: &str| {
            let pair = format!("x={}", text.replace('+', "%2B"));
            url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        let credentials =
            (!url.username().is_empty()).then(|| (decode(url.username()), decode(url.password().unwrap_or_default())));
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        cleared.map_err(|()| fault(Kind::Configuration, "not an address with a host"))?;
        url.set_fragment(None);
        Ok((Url(url), credentials))
    }

    /// Resolves a reference (RFC 3986 §5): an absolute address, an absolute path or a relative one.
    pub fn join(&self, reference: &str) -> anyhow::Result<Url> {
        let mut joined =
            self.0.join(reference).or_fault(Kind::NotCaldav, || format!("an address from {self} makes no sense"))?;
        // A server that puts credentials into its answers must not change ours.
        let _ = joined.set_username("").and_then(|()| joined.set_password(None));
        joined.set_fragment(None);
        matches!(joined.scheme(), "http" | "https")
            .then_some(Url(joined))
            .ok_or_else(|| fault(Kind::NotCaldav, format!("{self} points to something that is not http")))
    }

    /// The same address with a trailing slash in its path: the form of a collection.
    pub fn as_collection(&self) -> Url {
        let mut url = self.0.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Url(url)
    }

    /// The same address with the scheme and port of another: Baïkal behind a TLS proxy answers `http://` for its own
    /// host.
    pub fn with_origin_of(&self, other: &Url) -> Url {
        let mut url = other.0.clone();
        url.set_path(self.0.path());
        url.set_query(self.0.query());
        Url(url)
    }

    /// Scheme, host and port: the scope of credentials.
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    /// The host in lower case.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    /// Whether the scheme is https.
    pub fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// The percent-encoded path, with a leading slash.
    pub fn path(&self) -> &str {
        self.0.path()
    }

    /// Path and query: the request target (RFC 9112 §3.2.1).
    pub fn request_target(&self) -> String {
        self.0.query().map_or_else(|| self.0.path().to_owned(), |query| format!("{}?{query}", self.0.path()))
    }

    /// One canonical spelling of the address (RFC 3986 §6.2.2): only what needs percent-encoding is encoded, with
    /// upper-case digits. Parsing already normalized scheme, host, port and dot segments.
    pub fn canonical(&self) -> String {
        let mut parts = self.0.as_str().split('%');
        let mut canonical = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (digits, rest) = part.split_at_checked(2).unwrap_or((part, ""));
            match u8::from_str_radix(digits, 16).map(char::from) {
                Ok(letter) if letter.is_ascii_alphanumeric() || HARMLESS.contains(letter) => canonical.push(letter),
                _ => canonical.extend(["%", &digits.to_ascii_uppercase()]),
            }
            canonical.push_str(rest);
        }
        canonical
    }

    /// The whole address, for sending and hashing; never print it.
    pub fn reveal(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", self.origin(), self.path())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

/// The address of a feed. Its path and query are secret, so it prints as `https://host/…`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PrivateUrl(pub Url);

impl fmt::Display for PrivateUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/…", self.0.origin())
    }
}

impl fmt::Debug for PrivateUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_off_and_nothing_secret_is_printed() {
        let (url, credentials) = Url::parse_with_credentials("https://al%40x:p%2Bw+@h:8/a?token=s#f").unwrap();
        assert_eq!(credentials, Some(("al@x".to_owned(), "p+w+".to_owned())));
        assert_eq!(format!("{url} {url:?} {}", PrivateUrl(url.clone())), "https://h:8/a https://h:8/a https://h:8/…");
        assert_eq!(url.request_target(), "/a?token=s");
    }

    #[test]
    fn an_address_has_one_canonical_form() {
        let canonical = |text: &str| Url::parse(text).unwrap().canonical();
        for text in ["http://H:80/b%c3%bcro/%41@~/", "http://h/büro/x/../A%40%7e/", "http://h/b%C3%BCro/A@%7E/"] {
            assert_eq!(canonical(text), "http://h/b%C3%BCro/A@~/");
        }
        assert_ne!(canonical("http://h/a%2Fb/"), canonical("http://h/a/b/"));
        assert_eq!(canonical("http://h/100%/%zz"), "http://h/100%/%ZZ");
    }

    #[test]
    fn a_reference_cannot_bring_credentials_or_another_scheme() {
        let base = Url::parse("https://h/dav.php/").unwrap();
        assert_eq!(base.join("http://u:p@h/x").unwrap().reveal(), "http://h/x");
        assert_eq!(base.join("http://h/x").unwrap().with_origin_of(&base).reveal(), "https://h/x");
        assert!(base.join("file:///etc/passwd").is_err());
    }
}
