//! Reading objects of a calendar: many at once, fewer when the server cannot say anything of so many or says too much, and
//! one by one what XML cannot carry or the server leaves out.

use std::collections::HashSet;

use crate::collection::exchange::{Exchange, is_of_one_exchange};
use crate::dav::list::Look;
use crate::dav::multiget::{Answer, Get, Got, Multiget};
use crate::model::{Href, Objects};
use crate::words::message::{Request, Response};
use crate::words::url::Url;

/// So many requests may break off or stay without an answer before the server is believed to be in trouble: as many as
/// it takes to find one bad object among five hundred.
const MOST_TROUBLES: usize = 12;

/// What was read so far.
pub(super) struct Reading<'a> {
    exchange: &'a dyn Exchange,
    calendar: &'a Url,
    pub(super) objects: Objects,
    /// sabre 1.8 answers 404 to a multiget for one missing object as well as for a missing calendar.
    calendar_is_there: bool,
    troubles: usize,
    /// What a multiget does not bring is gone when it brings nothing else: a listing has said so before.
    trusts_silence: bool,
}

/// How one request ended.
enum Sent {
    Answer(Response),
    TooLarge,
    /// The connection broke, or no answer came.
    Nothing,
}

impl<'a> Reading<'a> {
    pub(super) fn new(exchange: &'a dyn Exchange, calendar: &'a Url, trusts_silence: bool) -> Reading<'a> {
        let objects = Objects::default();
        Reading { exchange, calendar, objects, calendar_is_there: false, troubles: 0, trusts_silence }
    }

    /// Reads these objects; those that are gone are left out. What a multiget leaves out, or calls gone, is asked for again
    /// until a GET says the same. An object that is too large to be read comes without its text.
    pub(super) fn gather(&mut self, hrefs: &[Href]) -> anyhow::Result<()> {
        let verb = match hrefs {
            [] => return Ok(()),
            [one] => return self.get(one),
            several => Multiget { hrefs: several },
        };
        // Two hundred objects with attachments of a megabyte are a good calendar, and too much for one answer.
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
                // Is it the object, or the server?
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
