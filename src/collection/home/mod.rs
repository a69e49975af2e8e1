//! A user's calendars on a CalDAV server, as far as we may see them: lists them, finds one, creates a missing one.

mod walk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::collection::exchange::{Connection, Exchange};
use crate::dav::discover::choose::{choose, described, name_for_new, place_for_new};
use crate::dav::discover::{Calendar, CalendarAddress, Software};
use crate::dav::write::{Made, MkCalendar};
use crate::http::Client;
use crate::model::ComponentType;
use crate::words::error::{Kind, fault, kind_of};
use crate::words::url::Url;

pub use walk::Discovery;
use walk::{Halt, Walk};

/// The components of a calendar that we create: the default of Baïkal.
const NEW_COMPONENTS: [ComponentType; 2] = [ComponentType::Event, ComponentType::Todo];

/// The calendars of one user on one server. They share one connection.
pub struct Home {
    exchange: Box<dyn Exchange>,
    /// Any address that leads to the user's calendars: the server's root, the DAV root, the principal, the calendar
    /// home, a calendar, or a host with only `.well-known/caldav`. The credentials belong to its origin.
    start: Url,
}

/// A calendar that was found, and its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) calendar: Calendar,
    pub(super) software: Software,
}

impl Home {
    /// The home reachable from this address. Sends nothing yet.
    pub fn new(start: Url, client: Client, authenticator: Option<Arc<Authenticator>>) -> Home {
        Home::over(Box::new(Connection::new(client, authenticator)), start)
    }

    pub(super) fn over(exchange: Box<dyn Exchange>, start: Url) -> Home {
        Home { exchange, start }
    }

    /// The connection for the requests of the home and its calendars.
    pub(super) fn exchange(&self) -> &dyn Exchange {
        self.exchange.as_ref()
    }

    /// Everything the server offers the user.
    pub fn discover(&self) -> anyhow::Result<Discovery> {
        self.walk().discover()
    }

    fn walk(&self) -> Walk<'_> {
        Walk { exchange: self.exchange(), start: &self.start }
    }

    /// The calendar that an address means. `create` allows creating it if it is missing.
    pub(super) fn find(&self, address: &CalendarAddress, create: bool) -> anyhow::Result<Found> {
        let walk = self.walk();
        let mut leads_on = false;
        let refused = match address.url().map(|url| walk.calendar_at(url)).transpose() {
            Ok(Some(Some(calendar))) => {
                let software = walk.software(&calendar.url)?;
                return Ok(Found { calendar, software });
            }
            Ok(found) => {
                leads_on = found.is_some();
                None
            }
            Err(Halt::Everywhere(error)) => return Err(error),
            Err(Halt::Here(error)) => Some(error).filter(|error| !may_be_made(error)),
        };
        let discovery = walk.discover()?;
        match (choose(&discovery.calendars, address)?, refused) {
            (Some(calendar), _) => Ok(Found { calendar: calendar.clone(), software: discovery.software }),
            (None, Some(error)) => Err(error),
            (None, None) if create && !leads_on => self.make(&discovery, address),
            (None, None) => Err(self.not_found(address, &discovery, leads_on)),
        }
    }

    /// Explains why no calendar was found. `leads_on`: the address is not a calendar but something else, such as a
    /// home.
    fn not_found(&self, address: &CalendarAddress, discovery: &Discovery, leads_on: bool) -> anyhow::Error {
        let address = address.describe(&self.start);
        let there = described(&discovery.calendars);
        let message = if leads_on {
            format!("{address} is no calendar; name one of these in `target`, or in CALENDAR_ID: {there}")
        } else {
            format!("there is no calendar {address} (`create` would make it); there is {there}")
        };
        fault(Kind::Missing, message)
    }

    fn make(&self, discovery: &Discovery, address: &CalendarAddress) -> anyhow::Result<Found> {
        let url = place_for_new(&discovery.homes, address)?;
        let name = name_for_new(address);
        let full = MkCalendar { properties: Some((&name, &NEW_COMPONENTS)) };
        let made = match self.try_to_make(&full, &url)? {
            Made::PropertiesRefused => self.try_to_make(&MkCalendar { properties: None }, &url)?,
            made => made,
        };
        if made == Made::Existed && address.url() != Some(&url) {
            let address = address.describe(&self.start);
            let message =
                format!("there is no calendar {address}, but another one stands at {url}; name the target by its path");
            return Err(fault(Kind::Configuration, message));
        }
        let calendar = self.walk().calendar_at(&url)?;
        let calendar =
            calendar.ok_or_else(|| fault(Kind::NotCaldav, format!("what stands at {url} is no calendar")))?;
        log::info!("made the calendar {url}");
        Ok(Found { calendar, software: discovery.software })
    }

    fn try_to_make(&self, verb: &MkCalendar<'_>, url: &Url) -> anyhow::Result<Made> {
        verb.response(url, &self.exchange.send(&verb.request(url))?)
    }
}

/// Whether the calendar may still be created after this error.
fn may_be_made(error: &anyhow::Error) -> bool {
    matches!(kind_of(error), Kind::Missing | Kind::NotCaldav)
}
