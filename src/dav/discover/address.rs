//! How a configured target is read: the single rule for what is an address, a path or a name.

use crate::words::url::Url;

/// A calendar as written in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CalendarAddress {
    /// Its address, with a trailing slash.
    Absolute(Url),
    /// Its path.
    Path {
        /// A path below the server's address, or the end of the calendar's path on that server.
        written: String,
        /// The path resolved against the server's address, with a trailing slash.
        url: Url,
    },
    /// The last segment of its path or its display name; needs discovery.
    Name(String),
}

impl CalendarAddress {
    /// Parses a target; paths are resolved against the server's address. An address may be on another server.
    pub fn read(target: &str, server: &Url) -> anyhow::Result<CalendarAddress> {
        if let Some(url) = absolute(target) {
            return Ok(CalendarAddress::Absolute(url?.as_collection()));
        }
        let written = target.to_owned();
        if !target.contains('/') {
            return Ok(CalendarAddress::Name(written));
        }
        let url = server.as_collection().join(target)?.as_collection();
        Ok(CalendarAddress::Path { written, url })
    }

    /// The calendar's address if the target is taken literally; `None` for a name.
    pub fn url(&self) -> Option<&Url> {
        match self {
            CalendarAddress::Absolute(url) | CalendarAddress::Path { url, .. } => Some(url),
            CalendarAddress::Name(_) => None,
        }
    }

    /// The text to compare with paths and display names: the path of an address, otherwise the target as written.
    pub fn words(&self) -> &str {
        match self {
            CalendarAddress::Absolute(url) => url.path(),
            CalendarAddress::Path { written, .. } | CalendarAddress::Name(written) => written,
        }
    }

    /// Human-readable, with the server that is queried; without the query of an address.
    pub fn describe(&self, server: &Url) -> String {
        match self {
            CalendarAddress::Absolute(url) => url.to_string(),
            CalendarAddress::Path { written, .. } | CalendarAddress::Name(written) => {
                format!("{written:?} on {server}")
            }
        }
    }
}

/// Parses a target that is a full address; `None` for a path or a name.
pub fn absolute(target: &str) -> Option<anyhow::Result<Url>> {
    let (scheme, rest) = target.split_once(':')?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    (is_scheme && rest.starts_with("//")).then(|| Url::parse(target))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(target: &str) -> CalendarAddress {
        CalendarAddress::read(target, &Url::parse("https://h/dav.php").unwrap()).unwrap()
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_target_with_a_scheme_is_an_address_one_with_a_slash_a_path_and_the_rest_a_name() {
        let path = |written: &str, address| CalendarAddress::Path { written: written.to_owned(), url: url(address) };
        for (target, meant) in [
            ("https://other/work", CalendarAddress::Absolute(url("https://other/work/"))),
            ("HTTP://Other:80/work/", CalendarAddress::Absolute(url("http://other/work/"))),
            ("alice/work", path("alice/work", "https://h/dav.php/alice/work/")),
            ("/cal/work/", path("/cal/work/", "https://h/cal/work/")),
            ("Plans früh/a", path("Plans früh/a", "https://h/dav.php/Plans%20fr%C3%BCh/a/")),
            ("work", CalendarAddress::Name("work".to_owned())),
            ("Plans: früh", CalendarAddress::Name("Plans: früh".to_owned())),
        ] {
            assert_eq!(read(target), meant, "{target}");
        }
    }

    #[test]
    fn an_address_that_cannot_be_one_of_a_calendar_is_an_error() {
        for target in ["ftp://h/work/", "https://alice:secret@h/work/", "https://"] {
            assert!(CalendarAddress::read(target, &url("https://h/")).is_err(), "{target}");
        }
    }

    #[test]
    fn people_see_an_address_without_its_query_and_the_rest_with_its_server() {
        let server = url("https://h/dav.php?token=t");
        assert_eq!(read("https://other/work/?token=t").describe(&server), "https://other/work/");
        assert_eq!(read("a/work").describe(&server), "\"a/work\" on https://h/dav.php");
        assert_eq!(read("work").describe(&server), "\"work\" on https://h/dav.php");
    }
}
