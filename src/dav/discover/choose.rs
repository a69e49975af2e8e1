//! Chooses among discovered calendars: the one that an address means, and where to create a new one.

use crate::dav::discover::{Calendar, CalendarAddress};
use crate::dav::href::{same_segment, segments};
use crate::model::Href;
use crate::words::error::{Kind, fault};
use crate::words::url::Url;

/// The name of a calendar whose address yields none.
const NAMELESS: &str = "calendar";

/// The calendar that an address means: one whose path ends with it, otherwise one with that display name. Several
/// matches are a [`Kind::Configuration`].
pub fn choose<'a>(calendars: &'a [Calendar], address: &CalendarAddress) -> anyhow::Result<Option<&'a Calendar>> {
    let words = address.words();
    let by_path = |calendar: &&Calendar| ends_with(calendar.url.path(), words);
    let by_name = |calendar: &&Calendar| calendar.display_name.as_deref() == Some(words);
    let mut matching: Vec<&Calendar> = calendars.iter().filter(by_path).collect();
    if matching.is_empty() {
        matching = calendars.iter().filter(by_name).collect();
    }
    match matching.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let several = described(several.iter().copied());
            let message = format!("the target {words:?} may be any of {several}; name one by its path");
            Err(fault(Kind::Configuration, message))
        }
    }
}

fn ends_with(path: &str, end: &str) -> bool {
    let path: Vec<&str> = segments(path).collect();
    let end: Vec<&str> = segments(end).collect();
    path.len() >= end.len() && path.iter().rev().zip(end.iter().rev()).all(|(one, other)| same_segment(one, other))
}

/// A human-readable list of calendars: path and display name.
pub fn described<'a>(calendars: impl IntoIterator<Item = &'a Calendar>) -> String {
    let one = |calendar: &'a Calendar| match &calendar.display_name {
        Some(name) => format!("{} ({})", calendar.url.path(), name.replace(char::is_control, " ")),
        None => calendar.url.path().to_owned(),
    };
    let described: Vec<String> = calendars.into_iter().map(one).collect();
    if described.is_empty() { "none".to_owned() } else { described.join(", ") }
}

/// Where to create a missing calendar: at its own address if that is inside a home or there is no home, otherwise
/// inside the home.
pub fn place_for_new(homes: &[Url], address: &CalendarAddress) -> anyhow::Result<Url> {
    let inside =
        |url: &Url, home: &Url| url.origin() == home.origin() && url.path().starts_with(home.as_collection().path());
    let name = match address.url() {
        Some(url) if homes.is_empty() || homes.iter().any(|home| inside(url, home)) => return Ok(url.clone()),
        Some(url) => last_segment(url).to_owned(),
        None => slug(address.words()),
    };
    let home = homes.first().ok_or_else(|| fault(Kind::Missing, "the server tells no place for a new calendar"))?;
    home.as_collection().join(&format!("./{name}/"))
}

/// The display name of a calendar created for this address.
pub fn name_for_new(address: &CalendarAddress) -> String {
    match address.url() {
        Some(url) => String::from_utf8_lossy(&Href::new(last_segment(url)).decoded().collect::<Vec<u8>>()).into_owned(),
        None => address.words().to_owned(),
    }
}

fn last_segment(url: &Url) -> &str {
    segments(url.path()).next_back().unwrap_or(NAMELESS)
}

/// A human-readable name as a path segment.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() { NAMELESS.to_owned() } else { slug }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Mark, Rights};

    fn address(target: &str) -> CalendarAddress {
        CalendarAddress::read(target, &Url::parse("https://h/dav.php/").unwrap()).unwrap()
    }

    fn calendar(path: &str, name: Option<&str>) -> Calendar {
        Calendar {
            url: Url::parse("https://h/").unwrap().join(path).unwrap(),
            display_name: name.map(str::to_owned),
            components: vec![],
            rights: Rights { write: true, delete: true },
            can_sync: true,
            shared: false,
            color: None,
            mark: Mark::default(),
        }
    }

    #[test]
    fn a_path_is_matched_by_whole_segments() {
        let paths = ["/alice/work/", "/alice/homework/", "/team/a%40b/"];
        let calendars = paths.map(|path| calendar(path, None));
        let chosen = |target| choose(&calendars, &address(target)).unwrap().map(|calendar| calendar.url.path());
        assert_eq!(
            [chosen("work"), chosen("alice/work"), chosen("x/alice/work")],
            [Some(paths[0]), Some(paths[0]), None]
        );
        assert_eq!([chosen("a@b"), chosen("http://h/alice/homework")], [Some(paths[2]), Some(paths[1])]);
    }

    #[test]
    fn a_display_name_counts_where_no_path_does_and_may_hold_a_slash() {
        let calendars = [calendar("/a/one/", Some("work")), calendar("/a/work/", None), calendar("/a/x/", Some("A/B"))];
        let chosen = |target| choose(&calendars, &address(target)).unwrap().map(|calendar| calendar.url.path());
        assert_eq!([chosen("work"), chosen("A/B")], [Some("/a/work/"), Some("/a/x/")]);
    }

    #[test]
    fn two_calendars_that_may_be_meant_are_told_and_none_is_chosen() {
        let calendars = [calendar("/a/one/", Some("Same")), calendar("/a/two/", Some("Same"))];
        let error = choose(&calendars, &address("Same")).unwrap_err();
        let expected = "the target \"Same\" may be any of /a/one/ (Same), /a/two/ (Same); name one by its path";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_new_calendar_goes_into_a_home() {
        let homes = [Url::parse("https://h/dav.php/calendars/alice/").unwrap()];
        let place = |target| place_for_new(&homes, &address(target)).unwrap().path().to_owned();
        assert_eq!(place("https://h/dav.php/calendars/alice/work/"), "/dav.php/calendars/alice/work/");
        assert_eq!(place("https://h/calendars/alice/work/"), "/dav.php/calendars/alice/work/");
        assert_eq!(place("Größe & more"), "/dav.php/calendars/alice/gr-e-more/");
        assert_eq!(place("日本"), "/dav.php/calendars/alice/calendar/");
    }

    #[test]
    fn without_a_home_only_an_address_of_its_own_is_a_place() {
        let place = |target| place_for_new(&[], &address(target)).ok().map(|url| url.path().to_owned());
        assert_eq!([place("/team/work"), place("work")], [Some("/team/work/".to_owned()), None]);
    }

    #[test]
    fn a_new_calendar_is_called_as_it_is_written_or_by_its_last_segment() {
        let name = |target| name_for_new(&address(target));
        assert_eq!(
            [name("Büro & Co"), name("/team/caf%C3%A9/"), name("https://h/")],
            ["Büro & Co", "café", "calendar"]
        );
    }
}
