//! Explores a server from an address: queries it and follows principals, homes and redirects. All requests go through
//! [`Exchange`].

use crate::collection::exchange::Exchange;
use crate::dav::discover::{Calendar, Depth, Options, Resource, Software, Survey};
use crate::words::error::{Kind, fault};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// How many redirects are followed for one request.
const MOST_REDIRECTS: usize = 5;

/// What a server offers the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The user's principal.
    pub principal: Option<Url>,
    /// The user's calendar homes.
    pub homes: Vec<Url>,
    /// The calendars in them.
    pub calendars: Vec<Calendar>,
    /// The software and features of the server.
    pub software: Software,
}

/// Why a request failed.
pub(super) enum Halt {
    /// Failed at this address; another one may work.
    Here(anyhow::Error),
    /// No other address on this server would work.
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
    /// The address to start from; the credentials belong to its origin.
    pub(super) start: &'a Url,
}

impl Walk<'_> {
    /// The calendar at exactly this address; `None` if it is something else.
    pub(super) fn calendar_at(&self, url: &Url) -> Result<Option<Calendar>, Halt> {
        Ok(self.ask(url, Depth::Zero)?.into_iter().find_map(|resource| resource.calendar))
    }

    /// Everything the server offers the user: from the configured address, otherwise from `.well-known/caldav` (RFC
    /// 6764 §5), otherwise from the root.
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

    /// The homes of a resource or its principal. Without any, the resource itself is used as the home, as needed for
    /// Synology.
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

    /// The software and features of the server at this address.
    pub(super) fn software(&self, url: &Url) -> Result<Software, Halt> {
        let response = self.exchange.send(&Options.request(url)).map_err(Halt::Everywhere)?;
        Ok(Options.response(&response))
    }

    fn ask(&self, url: &Url, depth: Depth) -> Result<Vec<Resource>, Halt> {
        let survey = Survey { depth };
        let (url, response) = self.follow(url, |url| survey.request(url))?;
        survey.response(&url, &response).map_err(|error| self.halt(&url, &response, error))
    }

    /// Sends a request and follows redirects with the same method and body.
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

/// The target of a redirect. On the same host, our scheme and port are kept; a redirect from https to http on another
/// host is rejected.
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
