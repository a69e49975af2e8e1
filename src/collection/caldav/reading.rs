//! Reads objects of a calendar: many at once, fewer if the server cannot answer or its answer is too large, and one
//! by one what XML cannot carry or the server leaves out.

use std::collections::HashSet;

use crate::collection::exchange::{Exchange, is_of_one_exchange};
use crate::dav::list::Look;
use crate::dav::multiget::{Answer, Get, Got, Multiget};
use crate::model::{Href, Objects};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// How many requests may break or time out before we blame the server: as many as it takes to find one bad object
/// among five hundred.
const MOST_TROUBLES: usize = 12;

/// The objects read so far.
pub(super) struct Reading<'a> {
    exchange: &'a dyn Exchange,
    calendar: &'a Url,
    pub(super) objects: Objects,
    /// sabre 1.8 answers 404 to a multiget both for a missing object and for a missing calendar.
    calendar_is_there: bool,
    troubles: usize,
    /// Whether objects that a multiget leaves out are gone if it returns nothing else: a listing already lacked them.
    trusts_silence: bool,
}

/// The outcome of one request.
enum Sent {
    Answer(Response),
    TooLarge,
    /// The connection broke, or there was no answer.
    Nothing,
}

impl<'a> Reading<'a> {
    pub(super) fn new(exchange: &'a dyn Exchange, calendar: &'a Url, trusts_silence: bool) -> Reading<'a> {
        let objects = Objects::default();
        Reading { exchange, calendar, objects, calendar_is_there: false, troubles: 0, trusts_silence }
    }

    /// Reads these objects, leaving out those that are gone. Whatever a multiget omits or reports as gone is
    /// requested again until a GET confirms it. Objects too large to be read come without their text.
    pub(super) fn gather(&mut self, hrefs: &[Href]) -> anyhow::Result<()> {
        let verb = match hrefs {
            [] => return Ok(()),
            [one] => return self.get(one),
            several => Multiget { hrefs: several },
        };
        // Two hundred objects with attachments of one megabyte are a valid calendar, but too much for one answer.
        let response = match self.send(&verb.request(self.calendar)?)? {
            Sent::Answer(response) => response,
            Sent::TooLarge | Sent::Nothing => return self.gather_halves(hrefs),
        };
        match verb.response(self.calendar, &response)? {
            Answer::Objects { stored, doubtful } => {
                let answered: HashSet<&Href> = stored.iter().map(|stored| &stored.href).chain(&doubtful).collect();
                let left: Vec<Href> = hrefs.iter().filter(|href| !answered.contains(href)).cloned().collect();
                self.objects.stored.extend(stored);
                doubtful.iter().try_for_each(|href| self.get(href))?;
                if left.len() < hrefs.len() {
                    self.gather(&left)
                } else if self.trusts_silence {
                    Ok(())
                } else {
                    left.iter().try_for_each(|href| self.get(href))
                }
            }
            Answer::AskForFewer => {
                self.make_sure_of_the_calendar()?;
                self.gather_halves(hrefs)
            }
        }
    }

    fn gather_halves(&mut self, hrefs: &[Href]) -> anyhow::Result<()> {
        let (front, back) = hrefs.split_at(hrefs.len() / 2);
        self.gather(front)?;
        self.gather(back)
    }

    fn get(&mut self, href: &Href) -> anyhow::Result<()> {
        let verb = Get { href };
        let sent = match self.send(&verb.request(self.calendar)?)? {
            Sent::TooLarge => {
                log::warn!("the object {} in {} is too large to be read", href.as_str(), self.calendar);
                self.send(&verb.head(self.calendar)?)?
            }
            sent => sent,
        };
        let got = match sent {
            Sent::Answer(response) => verb.response(self.calendar, &response)?,
            Sent::TooLarge | Sent::Nothing => Got::Unreadable,
        };
        match got {
            Got::Object(stored) => self.objects.stored.push(stored),
            Got::Gone => {}
            Got::Unreadable => {
                // Find out whether the object or the server is at fault.
                self.make_sure_of_the_calendar()?;
                self.objects.unreadable.push(href.clone());
            }
        }
        Ok(())
    }

    fn send(&mut self, request: &Request) -> anyhow::Result<Sent> {
        match self.exchange.try_send(request) {
            Ok(Some(response)) => Ok(Sent::Answer(response)),
            Ok(None) => Ok(Sent::TooLarge),
            Err(error) if is_of_one_exchange(&error) && self.troubles < MOST_TROUBLES => {
                self.troubles += 1;
                self.calendar_is_there = false;
                self.make_sure_of_the_calendar()?;
                Ok(Sent::Nothing)
            }
            Err(error) => Err(error),
        }
    }

    fn make_sure_of_the_calendar(&mut self) -> anyhow::Result<()> {
        if !self.calendar_is_there {
            Look.response(self.calendar, &self.exchange.send(&Look.request(self.calendar))?)?;
            self.calendar_is_there = true;
        }
        Ok(())
    }
}
