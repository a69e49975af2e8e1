//! From the address in the configuration to a calendar: asks, follows redirects, and chooses. What it sends goes
//! through [`Exchange`].

use crate::collection::caldav::Exchange;
use crate::dav::discover::{Calendar, Depth, Options, Resource, Software, Survey};
use crate::dav::href::{same_segment, segments};
use crate::words::error::{Kind, fault, kind_of};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// How many redirects are followed for one question.
const MOST_REDIRECTS: usize = 5;

/// What a server has for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// Who the user is there.
    pub principal: Option<Url>,
    /// Where the user's calendars are.
    pub homes: Vec<Url>,
    /// The calendars in them.
    pub calendars: Vec<Calendar>,
    /// What the server is and can do.
    pub software: Software,
}

/// Why a question brought nothing.
pub(super) enum Halt {
    /// Nothing here; another address may know more.
    Here(anyhow::Error),
    /// No other address on this server would help.
    Everywhere(anyhow::Error),
}

impl From<Halt> for anyhow::Error {
    fn from(halt: Halt) -> anyhow::Error {
        match halt {
            Halt::Here(error) | Halt::Everywhere(error) => error,
        }
    }
}

/// Discovery on one server.
pub(super) struct Walk<'a> {
    pub(super) exchange: &'a dyn Exchange,
    /// The address from which it starts, and whose origin the credentials belong to.
    pub(super) start: &'a Url,
}

impl Walk<'_> {
    /// The calendar at exactly this address; `None` when something else stands there.
    pub(super) fn calendar_at(&self, url: &Url) -> Result<Option<Calendar>, Halt> {
        Ok(self.ask(url, Depth::Zero)?.into_iter().find_map(|resource| resource.calendar))
    }

    /// Everything the server has for the user, from the given address, else from `.well-known/caldav` (RFC 6764 §5),
    /// else from the root.
    pub(super) fn discover(&self) -> anyhow::Result<Discovery> {
        let mut first_trouble = None;
        for start in [".", "/.well-known/caldav", "/"] {
            let start = if start == "." { self.start.clone() } else { self.start.join(start)? };
            match self.discover_from(&start) {
                Ok(discovery) => return Ok(discovery),
                Err(Halt::Everywhere(error)) => return Err(error),
                Err(Halt::Here(error)) => {
                    log::debug!("no calendars from {start}: {error}");
                    first_trouble.get_or_insert(error);
                }
            }
        }
        Err(first_trouble.unwrap_or_else(|| nothing_at(self.start)))
    }

    fn discover_from(&self, start: &Url) -> Result<Discovery, Halt> {
        let mut resources = self.ask(start, Depth::Zero)?;
        if resources.is_empty() {
            return Err(Halt::Here(nothing_at(start)));
        }
        let here = resources.swap_remove(0);
        let homes = self.homes(&here)?;
        let mut calendars: Vec<Calendar> = here.calendar.into_iter().collect();
        for home in &homes {
            for calendar in self.ask(home, Depth::One)?.into_iter().filter_map(|found| found.calendar) {
                if calendars.iter().all(|known| known.url != calendar.url) {
                    calendars.push(calendar);
                }
            }
        }
        if here.principal.is_none() && calendars.is_empty() {
            return Err(Halt::Here(nothing_at(start)));
        }
        let software = self.software(homes.first().unwrap_or(start))?;
        Ok(Discovery { principal: here.principal, homes, calendars, software })
    }

    /// The homes that a resource or its principal names. Without a principal the resource is taken for the home, as it
    /// is on Synology.
    fn homes(&self, here: &Resource) -> Result<Vec<Url>, Halt> {
        let mut homes = here.homes.clone();
        if let Some(principal) = here.principal.as_ref().filter(|_| homes.is_empty()) {
            let resources = self.ask(principal, Depth::Zero)?;
            homes = resources.into_iter().flat_map(|resource| resource.homes).collect();
        }
        if homes.is_empty() {
            homes.push(here.url.clone());
        }
        Ok(homes)
    }

    /// What the server at this address is and can do.
    pub(super) fn software(&self, url: &Url) -> Result<Software, Halt> {
        let response = self.exchange.send(&Options.request(url)).map_err(Halt::Everywhere)?;
        Ok(Options.response(&response))
    }

    fn ask(&self, url: &Url, depth: Depth) -> Result<Vec<Resource>, Halt> {
        let survey = Survey { depth };
        let (url, response) = self.follow(url, |url| survey.request(url))?;
        survey.response(&url, &response).map_err(|error| self.halt(&url, &response, error))
    }

    /// Sends and follows redirects with the same method and body.
    fn follow(&self, url: &Url, request: impl Fn(&Url) -> Request) -> Result<(Url, Response), Halt> {
        let mut url = url.clone();
        for _ in 0..=MOST_REDIRECTS {
            let response = self.exchange.send(&request(&url)).map_err(Halt::Everywhere)?;
            match redirect(&url, &response).map_err(Halt::Here)? {
                Some(next) => url = next,
                None => return Ok((url, response)),
            }
        }
        Err(Halt::Here(fault(Kind::NotCaldav, format!("{url} redirects in circles"))))
    }

    fn halt(&self, url: &Url, response: &Response, error: anyhow::Error) -> Halt {
        match response.status {
            401 if url.origin() != self.start.origin() => Halt::Everywhere(fault(
                Kind::Configuration,
                format!(
                    "the server sends us to {url}, which the password is not for; write that address into the configuration"
                ),
            )),
            401 | 429 | 500.. => Halt::Everywhere(error),
            _ => Halt::Here(error),
        }
    }
}

fn nothing_at(url: &Url) -> anyhow::Error {
    fault(Kind::NotCaldav, format!("{url} tells neither a CalDAV user nor a calendar"))
}

/// Where a redirect leads. On the same host the user's scheme and port hold; out of
/// encryption it is not followed.
pub(super) fn redirect(asked: &Url, response: &Response) -> anyhow::Result<Option<Url>> {
    let location = response.headers.get("location");
    let Some(location) = location.filter(|_| matches!(response.status, 301 | 302 | 303 | 307 | 308)) else {
        return Ok(None);
    };
    let next = asked.join(&location)?;
    if next.host() != asked.host() {
        return if asked.is_https() && !next.is_https() {
            Err(fault(Kind::NotCaldav, format!("{asked} redirects to {next}, which is not encrypted")))
        } else {
            Ok(Some(next))
        };
    }
    let kept = next.with_origin_of(asked);
    if kept == *asked {
        let message = format!("{asked} redirects to {next}: write that address into the configuration");
        return Err(fault(Kind::Configuration, message));
    }
    Ok(Some(kept))
}

/// The calendar that the target means: one whose path ends with it, else one with that display name. An empty target
/// means the only one.
pub(super) fn choose<'a>(calendars: &'a [Calendar], target: &str) -> anyhow::Result<Option<&'a Calendar>> {
    let path = Url::parse(target).map_or_else(|_| target.to_owned(), |url| url.path().to_owned());
    let by_path = |calendar: &&Calendar| ends_with(calendar.url.path(), &path);
    let by_name = |calendar: &&Calendar| calendar.display_name.as_deref().is_some_and(|name| name == target);
    let mut matching: Vec<&Calendar> = calendars.iter().filter(by_path).collect();
    if matching.is_empty() {
        matching = calendars.iter().filter(by_name).collect();
    }
    match matching.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        several => {
            let message = format!(
                "the target {path:?} may be any of {}; name one by its path",
                described(several.iter().copied())
            );
            Err(fault(Kind::Configuration, message))
        }
    }
}

fn ends_with(path: &str, end: &str) -> bool {
    let path: Vec<&str> = segments(path).collect();
    let end: Vec<&str> = segments(end).collect();
    path.len() >= end.len() && path.iter().rev().zip(end.iter().rev()).all(|(one, other)| same_segment(one, other))
}

/// The calendars for people: path and display name.
pub(super) fn described<'a>(calendars: impl IntoIterator<Item = &'a Calendar>) -> String {
    let one = |calendar: &'a Calendar| match &calendar.display_name {
        Some(name) => format!("{} ({})", calendar.url.path(), name.replace(char::is_control, " ")),
        None => calendar.url.path().to_owned(),
    };
    let described: Vec<String> = calendars.into_iter().map(one).collect();
    if described.is_empty() { "none".to_owned() } else { described.join(", ") }
}

/// Where to make a calendar that is not there: at the target's own address when that is inside a home or there is no
/// home, else inside the home.
pub(super) fn place_for_new(homes: &[Url], direct: Option<&Url>, target: &str) -> anyhow::Result<Url> {
    let inside =
        |url: &Url, home: &Url| url.origin() == home.origin() && url.path().starts_with(home.as_collection().path());
    let name = match (direct, homes.first()) {
        (Some(direct), None) => return Ok(direct.clone()),
        (Some(direct), Some(_)) if homes.iter().any(|home| inside(direct, home)) => return Ok(direct.clone()),
        (Some(direct), _) => segments(direct.path()).next_back().unwrap_or("calendar").to_owned(),
        (None, _) => slug(target),
    };
    let home = homes.first().ok_or_else(|| fault(Kind::Missing, "the server tells no place for a new calendar"))?;
    home.as_collection().join(&format!("./{name}/"))
}

/// A name for people as a segment of a path.
fn slug(name: &str) -> String {
    let lower = name.to_lowercase();
    let words = lower.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-");
    if slug.is_empty() { "calendar".to_owned() } else { slug }
}

/// Whether an error leaves room for making the calendar.
pub(super) fn may_be_made(error: &anyhow::Error) -> bool {
    matches!(kind_of(error), Kind::Missing | Kind::NotCaldav)
}
