//! Reading objects of a calendar: many at once, fewer when the server cannot say anything of so many or says too much, and
//! one by one what XML cannot carry.

use crate::collection::caldav::Exchange;
use crate::dav::list::Look;
use crate::dav::multiget::{Answer, Get, Multiget};
use crate::model::{Href, Stored};
use crate::url::Url;

/// What was read so far.
pub(super) struct Reading<'a> {
    exchange: &'a dyn Exchange,
    calendar: &'a Url,
    pub(super) stored: Vec<Stored>,
    /// sabre 1.8 answers 404 to a multiget for one missing object as well as for a missing calendar.
    calendar_is_there: bool,
}

impl<'a> Reading<'a> {
    pub(super) fn new(exchange: &'a dyn Exchange, calendar: &'a Url) -> Reading<'a> {
        Reading { exchange, calendar, stored: Vec::new(), calendar_is_there: false }
    }

    /// Reads these objects; those that are gone are left out. One that is too large to be read comes without its text:
    /// it stands there in its version, and says nothing.
    pub(super) fn gather(&mut self, hrefs: &[Href]) -> anyhow::Result<()> {
        let verb = match hrefs {
            [] => return Ok(()),
            [one] => return self.get(one),
            several => Multiget { hrefs: several },
        };
        // Two hundred objects with attachments of a megabyte are a good calendar, and too much for one answer.
        let Some(response) = self.exchange.try_send(&verb.request(self.calendar)?)? else {
            return self.gather_halves(hrefs);
        };
        match verb.response(self.calendar, &response)? {
            Answer::Objects { stored, doubtful } => {
                self.stored.extend(stored);
                doubtful.iter().try_for_each(|href| self.get(href))
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
        let response = if let Some(response) = self.exchange.try_send(&verb.request(self.calendar)?)? {
            response
        } else {
            log::warn!("the object {} in {} is too large to be read", href.as_str(), self.calendar);
            self.exchange.send(&verb.head(self.calendar)?)?
        };
        self.stored.extend(verb.response(self.calendar, &response)?);
        Ok(())
    }

    fn make_sure_of_the_calendar(&mut self) -> anyhow::Result<()> {
        if !self.calendar_is_there {
            Look.response(self.calendar, &self.exchange.send(&Look.request(self.calendar))?)?;
            self.calendar_is_there = true;
        }
        Ok(())
    }
}
