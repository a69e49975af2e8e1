//! Hrefs: from the form in a server's answer to a name within the collection, and from there to an address.

use crate::model::Href;
use crate::words::error::{Kind, fault};
use crate::words::url::Url;

/// Where an href points, relative to a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The collection itself.
    Collection,
    /// A direct member, in the server's own form.
    Member(Href),
    /// A collection inside it.
    Subcollection,
    /// Anywhere else.
    Elsewhere,
}

/// Classifies an href: an absolute address, an absolute path or a relative one. It may encode the collection's path
/// differently (sabre/dav writes `%c3%a9`, Radicale `%C3%A9`) and have the scheme and port from behind a proxy.
pub fn place(collection: &Url, href: &str) -> Place {
    let base = collection.as_collection();
    let Ok(url) = base.join(href) else { return Place::Elsewhere };
    let segments: Vec<&str> = segments(url.path()).collect();
    let inside = (url.host() == base.host()).then(|| below(&base, &segments)).flatten();
    match inside {
        Some([]) => Place::Collection,
        Some([_]) if url.path().ends_with('/') => Place::Subcollection,
        Some([name]) => Place::Member(Href::new(own_form(href, name))),
        Some(_) | None => Place::Elsewhere,
    }
}

/// The address of a member. Fails for an href that points outside the collection, which only a damaged state file
/// could contain.
pub fn url(collection: &Url, href: &Href) -> anyhow::Result<Url> {
    let base = collection.as_collection();
    let url = base.join(&format!("./{}", href.as_str()))?;
    match place(&base, url.path()) {
        Place::Member(_) => Ok(url),
        _ => Err(fault(Kind::Internal, format!("{} is no name of an object in {base}", href.as_str()))),
    }
}

/// Whether two path segments are equal after percent-decoding.
pub fn same_segment(one: &str, other: &str) -> bool {
    Href::new(one) == Href::new(other)
}

/// The segments of a path, skipping empty ones.
pub fn segments(path: &str) -> impl DoubleEndedIterator<Item = &str> {
    path.split('/').filter(|segment| !segment.is_empty())
}

/// The segments after those of the base.
fn below<'a, 'b>(base: &Url, segments: &'a [&'b str]) -> Option<&'a [&'b str]> {
    let base: Vec<&str> = self::segments(base.path()).collect();
    let (start, rest) = segments.split_at_checked(base.len())?;
    start.iter().zip(&base).all(|(one, other)| same_segment(one, other)).then_some(rest)
}

/// The last segment as the server wrote it: resolving may have encoded some of its characters.
fn own_form<'a>(href: &'a str, resolved: &'a str) -> &'a str {
    let path = href.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().filter(|name| same_segment(name, resolved)).unwrap_or(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(href: &str, expected: &Place) {
        let collection = Url::parse("https://h/dav.php/calendars/al%40x/work/").unwrap();
        assert_eq!(&place(&collection, href), expected, "{href}");
    }

    fn member(name: &str) -> Place {
        Place::Member(Href::new(name))
    }

    #[test]
    fn a_member_is_found_however_its_href_is_written() {
        check("/dav.php/calendars/al@x/work/1.ics", &member("1.ics"));
        check("/dav.php/calendars/al%40x/work/1.ics", &member("1.ics"));
        check("http://h:8080/dav.php/calendars/al@x/work/1.ics", &member("1.ics"));
        check("1.ics", &member("1.ics"));
        check("./a:b.ics", &member("a:b.ics"));
    }

    #[test]
    fn its_name_keeps_the_form_of_the_server() {
        let Place::Member(href) = place(&Url::parse("http://h/a").unwrap(), "/a/caf%c3%a9 (1).ics") else { panic!() };
        assert_eq!(href.as_str(), "caf%c3%a9 (1).ics");
    }

    #[test]
    fn the_collection_and_what_is_not_its_member_are_told_apart() {
        check("/dav.php/calendars/al%40x/work/", &Place::Collection);
        check("/dav.php/calendars/al@x/work", &Place::Collection);
        check("/dav.php/calendars/al@x/work/sub/", &Place::Subcollection);
        for elsewhere in [
            "/dav.php/calendars/al@x/work-2/1.ics",
            "/dav.php/calendars/al@x/work/sub/1.ics",
            "/dav.php/calendars/al@x/work/../private/1.ics",
            "https://other/dav.php/calendars/al@x/work/1.ics",
            "mailto:x@y",
        ] {
            check(elsewhere, &Place::Elsewhere);
        }
    }

    #[test]
    fn the_address_of_a_member_stays_inside_its_collection() {
        let collection = Url::parse("http://h/a/work").unwrap();
        assert_eq!(url(&collection, &Href::new("a%40b:c.ics")).unwrap().reveal(), "http://h/a/work/a%40b:c.ics");
        for escape in ["../private/1.ics", "%2e%2e/1.ics", "", "sub/"] {
            assert!(url(&collection, &Href::new(escape)).is_err(), "{escape}");
        }
    }
}
