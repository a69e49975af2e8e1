//! A CalDAV calendar as a collection: sends the requests of `dav` and acts on its results.

mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::collection::exchange::{Exchange, is_of_one_exchange};
use crate::collection::home::{Found, Home};
use crate::collection::{Abilities, Collection};
use crate::dav::discover::{CalendarAddress, Depth, Remembered, Server, Survey};
use crate::dav::list::{Listing, Look};
use crate::dav::multiget::MOST_HREFS;
use crate::dav::sync_collection::{Page, SyncCollection, follow, token_is_plausible};
use crate::dav::write::{Delete, Put};
use crate::model::{Changes, Etag, Href, Listed, Mark, Objects, Precondition, Rights, Written};
use crate::words::error::{Kind, fault, kind_of};
use crate::words::message::{Response, Why};
use crate::words::url::Url;

use reading::Reading;

/// A calendar on a CalDAV server.
pub struct Caldav {
    home: Arc<Home>,
    address: CalendarAddress,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Whether the calendar was not found at its address.
    is_lost: AtomicBool,
    /// The latest sync-token from the server.
    latest_token: Mutex<Option<String>>,
    /// Whether the server confirmed in this run that the calendar exists.
    was_seen: AtomicBool,
    /// Whether a request for changes was interrupted or got no answer in this run.
    keeps_changes_to_itself: AtomicBool,
    /// Whether the server only recognizes ETags in its own spelling.
    wants_own_spelling: AtomicBool,
    /// Whether the server obeys preconditions, if known.
    obeys_preconditions: Mutex<Option<bool>>,
    has_tried_precondition: AtomicBool,
}

/// A calendar with a known address.
struct Opened {
    url: Url,
    remembered: Remembered,
}

impl Opened {
    fn found(found: Found) -> Opened {
        let Found { calendar, software } = found;
        let remembered = Remembered {
            calendar: calendar.url.reveal().to_owned(),
            server: software.server,
            can_sync: calendar.can_sync,
            auto_schedule: software.auto_schedule,
            components: calendar.components,
            obeys_preconditions: None,
        };
        Opened { url: calendar.url, remembered }
    }

    fn remembered(remembered: Remembered) -> Option<Opened> {
        let url = Url::parse(&remembered.calendar).ok()?;
        Some(Opened { url, remembered })
    }
}

impl Caldav {
    /// A calendar of a home, not yet opened. `remembered` is the result of [`Caldav::remember`] in an earlier run.
    pub fn new(home: Arc<Home>, address: CalendarAddress, remembered: Option<Remembered>) -> Caldav {
        let obeys_preconditions = Mutex::new(remembered.as_ref().and_then(|remembered| remembered.obeys_preconditions));
        let opened = remembered.and_then(Opened::remembered).map(Arc::new);
        Caldav {
            home,
            address,
            opened: Mutex::new(opened),
            is_lost: AtomicBool::new(false),
            latest_token: Mutex::default(),
            was_seen: AtomicBool::new(false),
            keeps_changes_to_itself: AtomicBool::new(false),
            wants_own_spelling: AtomicBool::new(false),
            obeys_preconditions,
            has_tried_precondition: AtomicBool::new(false),
        }
    }

    /// What the next run should know; `None` if it has to search for the calendar again.
    pub fn remember(&self) -> Option<Remembered> {
        let obeys_preconditions = *lock(&self.obeys_preconditions);
        self.place().map(|opened| Remembered { obeys_preconditions, ..opened.remembered.clone() })
    }

    fn place(&self) -> Option<Arc<Opened>> {
        lock(&self.opened).clone().filter(|_| !self.is_lost.load(Ordering::Relaxed))
    }

    fn exchange(&self) -> &dyn Exchange {
        self.home.exchange()
    }

    /// Runs an operation on the open calendar, and forgets its address if the server does not know it there.
    fn with_calendar<T>(&self, act: impl FnOnce(&Opened) -> anyhow::Result<T>) -> anyhow::Result<T> {
        let opened = lock(&self.opened).clone();
        let opened = opened.ok_or_else(|| fault(Kind::Internal, "the calendar was not opened"))?;
        let result = act(&opened);
        if let Err(error) = &result
            && matches!(kind_of(error), Kind::Missing | Kind::NotCaldav)
        {
            self.is_lost.store(true, Ordering::Relaxed);
        }
        result
    }

    fn look(&self, opened: &Opened) -> anyhow::Result<Mark> {
        let mark = Look.response(&opened.url, &self.exchange().send(&Look.request(&opened.url))?)?;
        self.was_seen.store(true, Ordering::Relaxed);
        lock(&self.latest_token).clone_from(&mark.sync_token);
        Ok(mark)
    }

    fn get(&self, opened: &Opened, href: &Href) -> anyhow::Result<Objects> {
        self.gather(opened, std::slice::from_ref(href), false)
    }

    fn gather(&self, opened: &Opened, hrefs: &[Href], trusts_silence: bool) -> anyhow::Result<Objects> {
        let mut reading = Reading::new(self.exchange(), &opened.url, trusts_silence);
        hrefs.chunks(MOST_HREFS).try_for_each(|chunk| reading.gather(chunk))?;
        Ok(reading.objects)
    }

    fn page(&self, opened: &Opened, since: &str) -> anyhow::Result<Page> {
        let verb = SyncCollection { since };
        verb.response(&opened.url, &self.exchange().send(&verb.request(&opened.url))?)
    }
}

/// Whether a server sends invitations although we ask it not to.
fn schedules(remembered: &Remembered) -> bool {
    remembered.auto_schedule && remembered.server != Server::Sabre
}

impl Collection for Caldav {
    fn open(&self, create: bool) -> anyhow::Result<Abilities> {
        let opened = match self.place() {
            Some(opened) => opened,
            None => Arc::new(Opened::found(self.home.find(&self.address, create)?)),
        };
        *lock(&self.opened) = Some(Arc::clone(&opened));
        self.is_lost.store(false, Ordering::Relaxed);
        let Remembered { server, components, .. } = &opened.remembered;
        Ok(Abilities {
            connections: connections(*server, self.exchange().round_trip()),
            needs_schedule_agent: schedules(&opened.remembered),
            components: components.clone(),
        })
    }

    fn schedules(&self) -> bool {
        self.place().is_some_and(|opened| schedules(&opened.remembered))
    }

    fn address(&self) -> Option<String> {
        lock(&self.opened).as_ref().map(|opened| opened.url.canonical())
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        self.with_calendar(|opened| self.look(opened))
    }

    fn list(&self) -> anyhow::Result<Listed> {
        self.with_calendar(|opened| {
            Listing.response(&opened.url, &self.exchange().send(&Listing.request(&opened.url))?)
        })
    }

    fn changes(&self, since: &str) -> anyhow::Result<Changes> {
        self.with_calendar(|opened| {
            if !opened.remembered.can_sync || self.keeps_changes_to_itself.load(Ordering::Relaxed) {
                return Ok(Changes::Unknown);
            }
            let latest = lock(&self.latest_token).clone();
            let latest = match latest {
                Some(token) => token,
                None => self.look(opened)?.sync_token.unwrap_or_default(),
            };
            if !token_is_plausible(since, &latest) {
                return Ok(Changes::Unknown);
            }
            let changes = match follow(since, |since| self.page(opened, since)) {
                // The calendar was just seen; if the server is failing, the listing will show it.
                Err(error) if is_of_one_exchange(&error) => {
                    self.keeps_changes_to_itself.store(true, Ordering::Relaxed);
                    return Ok(Changes::Unknown);
                }
                changes => changes?,
            };
            if let Changes::Since { sync_token, .. } = &changes {
                *lock(&self.latest_token) = Some(sync_token.clone());
            }
            Ok(changes)
        })
    }

    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        self.with_calendar(|opened| self.gather(opened, hrefs, false))
    }

    fn look_again(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        self.with_calendar(|opened| self.gather(opened, hrefs, true))
    }

    fn rights(&self) -> anyhow::Result<Rights> {
        self.with_calendar(|opened| {
            let verb = Survey { depth: Depth::Zero };
            let resources = verb.response(&opened.url, &self.exchange().send(&verb.request(&opened.url))?)?;
            let calendar = resources.into_iter().find_map(|resource| resource.calendar);
            let none = || fault(Kind::Missing, format!("what stands at {} is no calendar any more", opened.url));
            Ok(calendar.ok_or_else(none)?.rights)
        })
    }

    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written> {
        self.with_calendar(|opened| {
            // Xandikos 0.4 creates a file of its own if there is no calendar.
            if opened.remembered.server == Server::Xandikos && !self.was_seen.load(Ordering::Relaxed) {
                self.look(opened)?;
            }
            let verb = Put { href, text, precondition };
            let request = verb.request(&opened.url)?;
            let read = |response: &Response| verb.response(&opened.url, response);
            match precondition {
                Precondition::Absent => match self.send_write(&request, read)? {
                    written @ Written::Done { .. } => self.try_precondition(opened, &request, written),
                    written => Ok(written),
                },
                Precondition::Unchanged(etag) => match self.look_before(opened, href, etag)? {
                    Some(stale) => Ok(stale),
                    None => self.send_under(etag, &request, read),
                },
            }
        })
    }

    fn delete(&self, href: &Href, etag: &Etag) -> anyhow::Result<Written> {
        self.with_calendar(|opened| {
            if let Some(stale) = self.look_before(opened, href, etag)? {
                return Ok(stale);
            }
            let verb = Delete { href, etag };
            let written =
                self.send_under(etag, &verb.request(&opened.url)?, |response| verb.response(&opened.url, response))?;
            match written {
                // The server reports that it was gone already; verify that.
                Written::Failed(failure) if failure.fault.kind == Kind::Missing => {
                    let standing = self.get(opened, href)?;
                    let is_gone = standing == Objects::default();
                    Ok(if is_gone { Written::Done { etag: None } } else { Written::Failed(failure) })
                }
                written => Ok(written),
            }
        })
    }

    fn begin(&self, why: Why) {
        self.exchange().begin(why);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many connections are worthwhile: Baïkal 0.11 gains from four to eight if the round trip takes 10 ms or more,
/// Radicale 3.9 gets slower, and Xandikos 0.4 answers 423 to concurrent writes. Without a measurement, one.
fn connections(server: Server, round_trip: Option<Duration>) -> usize {
    match (server, round_trip.map(|time| time.as_millis())) {
        (Server::Radicale | Server::Xandikos, _) | (_, None | Some(..10)) => 1,
        (_, Some(..25)) => 4,
        _ => 8,
    }
}
