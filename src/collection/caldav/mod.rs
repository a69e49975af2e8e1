//! A CalDAV calendar as a collection: finds it, sends what `dav` writes, and acts on what `dav` reads.

mod discovery;
mod reading;
#[cfg(test)]
mod tests;
mod writing;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::auth::Authenticator;
use crate::collection::{Abilities, Collection};
use crate::dav::discover::{Calendar, Depth, Remembered, Server, Software, Survey};
use crate::dav::list::{Listing, Look};
use crate::dav::multiget::MOST_HREFS;
use crate::dav::sync_collection::{Page, SyncCollection, follow, token_is_plausible};
use crate::dav::write::{Delete, Made, MkCalendar, Put};
use crate::http::Client;
use crate::model::{Changes, ComponentType, Etag, Href, Listed, Mark, Objects, Precondition, Rights, Written};
use crate::words::error::{Kind, fault, fault_of, kind_of};
use crate::words::message::{Request, Response, Why};
use crate::words::url::Url;

pub use discovery::Discovery;
use discovery::{Halt, Walk, choose, described, may_be_made, place_for_new};
use reading::Reading;

/// The largest answer that is read, in octets: the listing of some hundred thousands of objects.
const LARGEST_ANSWER: u64 = 128 << 20;

/// What a calendar that we make is to hold: what Baïkal gives one by default.
const NEW_COMPONENTS: [ComponentType; 2] = [ComponentType::Event, ComponentType::Todo];

/// Which calendar is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Any address of the server that leads to the user's calendars: its root, the DAV root, the principal, the home, the
    /// calendar itself, or a host with nothing but `.well-known/caldav`.
    pub server: Url,
    /// The calendar: its path below `server`, an absolute path or address, its last segment, or its display name.
    /// Empty for the calendar at `server`, or the only one.
    pub target: String,
}

impl Address {
    /// The address that the target is when it is read as one.
    fn direct(&self) -> anyhow::Result<Option<Url>> {
        match self.target.as_str() {
            "" => Ok(Some(self.server.clone())),
            target if target.starts_with("http://") || target.starts_with("https://") => Ok(Some(Url::parse(target)?)),
            target if target.contains('/') => Ok(Some(self.server.as_collection().join(target)?.as_collection())),
            _ => Ok(None),
        }
    }
}

impl fmt::Display for Address {
    /// For people; a target that is an address shows no query.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Url::parse(&self.target) {
            Ok(url) => write!(formatter, "{url}"),
            Err(_) => write!(formatter, "{:?} on {}", self.target, self.server),
        }
    }
}

/// What carries requests; the tests have one of their own.
trait Exchange: Send + Sync {
    /// Says what the next requests are for.
    fn begin(&self, _why: Why) {}

    /// The response; `None` when it is larger than [`LARGEST_ANSWER`].
    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>>;

    /// The response; one that is too large is a trouble of the server.
    fn send(&self, request: &Request) -> anyhow::Result<Response> {
        self.try_send(request)?.ok_or_else(|| {
            let origin = request.url.origin();
            let text = format!("the answer of {origin} is larger than the limit of {LARGEST_ANSWER} octets");
            fault(Kind::Unavailable, text)
        })
    }

    fn round_trip(&self) -> Option<Duration>;
}

struct Connection {
    client: Client,
    authenticator: Option<Arc<Authenticator>>,
    why: Mutex<Why>,
}

impl Exchange for Connection {
    fn begin(&self, why: Why) {
        *lock(&self.why) = why;
    }

    fn try_send(&self, request: &Request) -> anyhow::Result<Option<Response>> {
        let why = *lock(&self.why);
        match self.client.send(request, why, self.authenticator.as_deref(), LARGEST_ANSWER) {
            Err(error) if kind_of(&error) == Kind::Feed => Ok(None),
            response => response.map(Some),
        }
    }

    fn round_trip(&self) -> Option<Duration> {
        self.client.round_trip()
    }
}

/// A calendar on a CalDAV server.
pub struct Caldav {
    address: Address,
    exchange: Box<dyn Exchange>,
    opened: Mutex<Option<Arc<Opened>>>,
    /// Whether the place of the calendar turned out to be wrong.
    is_lost: AtomicBool,
    /// The latest sync-token that the server gave.
    latest_token: Mutex<Option<String>>,
    /// Whether the server said in this run that the calendar is there.
    was_seen: AtomicBool,
    /// Whether a request for what changed broke off or stayed without an answer in this run.
    keeps_changes_to_itself: AtomicBool,
    /// Whether the server knows its ETags only in its own spelling.
    wants_own_spelling: AtomicBool,
    /// Whether it obeys preconditions, as far as it was found out.
    obeys_preconditions: Mutex<Option<bool>>,
    has_tried_precondition: AtomicBool,
}

/// A calendar whose place is known.
struct Opened {
    url: Url,
    remembered: Remembered,
}

impl Caldav {
    /// A calendar that is yet to be opened. `remembered` is what [`Caldav::remember`] gave in an earlier run.
    pub fn new(
        address: Address,
        client: Client,
        authenticator: Option<Arc<Authenticator>>,
        remembered: Option<Remembered>,
    ) -> Caldav {
        Caldav::over(Box::new(Connection { client, authenticator, why: Mutex::default() }), address, remembered)
    }

    fn over(exchange: Box<dyn Exchange>, address: Address, remembered: Option<Remembered>) -> Caldav {
        let obeys_preconditions = Mutex::new(remembered.as_ref().and_then(|remembered| remembered.obeys_preconditions));
        let opened = remembered.and_then(|remembered| {
            let url = Url::parse(&remembered.calendar).ok()?;
            Some(Arc::new(Opened { url, remembered }))
        });
        Caldav {
            address,
            exchange,
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

    /// What the next run should know; `None` when the calendar has to be looked for again.
    pub fn remember(&self) -> Option<Remembered> {
        let obeys_preconditions = *lock(&self.obeys_preconditions);
        self.place().map(|opened| Remembered { obeys_preconditions, ..opened.remembered.clone() })
    }

    fn place(&self) -> Option<Arc<Opened>> {
        lock(&self.opened).clone().filter(|_| !self.is_lost.load(Ordering::Relaxed))
    }

    /// What the server has for the user, whatever the target is.
    pub fn calendars(&self) -> anyhow::Result<Discovery> {
        self.walk(&self.address.server).discover()
    }

    fn walk<'a>(&'a self, start: &'a Url) -> Walk<'a> {
        Walk { exchange: self.exchange.as_ref(), start }
    }

    fn find(&self, create: bool) -> anyhow::Result<Opened> {
        let direct = self.address.direct()?;
        let foreign = direct.as_ref().filter(|url| url.origin() != self.address.server.origin());
        let walk = self.walk(foreign.unwrap_or(&self.address.server));
        let mut leads_on = false;
        let refused = match direct.as_ref().map(|url| walk.calendar_at(url)).transpose() {
            Ok(Some(Some(calendar))) => {
                let software = walk.software(&calendar.url)?;
                return Ok(opened(calendar, software));
            }
            Ok(found) => {
                leads_on = found.is_some();
                None
            }
            Err(Halt::Everywhere(error)) => return Err(error),
            Err(Halt::Here(error)) => Some(error).filter(|error| !may_be_made(error)),
        };
        let discovery = walk.discover()?;
        match (choose(&discovery.calendars, &self.address.target)?, refused) {
            (Some(calendar), _) => Ok(opened(calendar.clone(), discovery.software)),
            (None, Some(error)) => Err(error),
            (None, None) if create && !leads_on && !self.address.target.is_empty() => {
                self.make(&walk, &discovery, direct.as_ref())
            }
            (None, None) => Err(self.not_found(&discovery, leads_on)),
        }
    }

    /// Why no calendar was found. `leads_on`: something stands at the address, but no calendar: a server, a home.
    fn not_found(&self, discovery: &Discovery, leads_on: bool) -> anyhow::Error {
        let address = &self.address;
        let there = described(&discovery.calendars);
        let message = if leads_on {
            format!("{address} is no calendar; name one of these in `target`, or in CALENDAR_ID: {there}")
        } else {
            format!("there is no calendar {address} (`create` would make it); there is {there}")
        };
        fault(Kind::Missing, message)
    }

    fn make(&self, walk: &Walk<'_>, discovery: &Discovery, direct: Option<&Url>) -> anyhow::Result<Opened> {
        let target = &self.address.target;
        let url = place_for_new(&discovery.homes, direct, target)?;
        let name = direct.map_or_else(|| target.clone(), name_of);
        let full = MkCalendar { properties: Some((&name, &NEW_COMPONENTS)) };
        let made = match self.try_to_make(&full, &url)? {
            Made::PropertiesRefused => self.try_to_make(&MkCalendar { properties: None }, &url)?,
            made => made,
        };
        if made == Made::Existed && direct != Some(&url) {
            let message = format!(
                "there is no calendar {}, but another one stands at {url}; name the target by its path",
                self.address
            );
            return Err(fault(Kind::Configuration, message));
        }
        let calendar = walk.calendar_at(&url)?;
        let calendar =
            calendar.ok_or_else(|| fault(Kind::NotCaldav, format!("what stands at {url} is no calendar")))?;
        log::info!("made the calendar {url}");
        Ok(opened(calendar, discovery.software))
    }

    fn try_to_make(&self, verb: &MkCalendar<'_>, url: &Url) -> anyhow::Result<Made> {
        verb.response(url, &self.exchange.send(&verb.request(url))?)
    }

    /// Does something with the open calendar, and forgets its place when the server does not know it there.
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
        let mark = Look.response(&opened.url, &self.exchange.send(&Look.request(&opened.url))?)?;
        self.was_seen.store(true, Ordering::Relaxed);
        lock(&self.latest_token).clone_from(&mark.sync_token);
        Ok(mark)
    }

    fn get(&self, opened: &Opened, href: &Href) -> anyhow::Result<Objects> {
        self.gather(opened, std::slice::from_ref(href), false)
    }

    fn gather(&self, opened: &Opened, hrefs: &[Href], trusts_silence: bool) -> anyhow::Result<Objects> {
        let mut reading = Reading::new(self.exchange.as_ref(), &opened.url, trusts_silence);
        hrefs.chunks(MOST_HREFS).try_for_each(|chunk| reading.gather(chunk))?;
        Ok(reading.objects)
    }

    fn page(&self, opened: &Opened, since: &str) -> anyhow::Result<Page> {
        let verb = SyncCollection { since };
        verb.response(&opened.url, &self.exchange.send(&verb.request(&opened.url))?)
    }
}

impl Collection for Caldav {
    fn open(&self, create: bool) -> anyhow::Result<Abilities> {
        let opened = match self.place() {
            Some(opened) => opened,
            None => Arc::new(self.find(create)?),
        };
        *lock(&self.opened) = Some(Arc::clone(&opened));
        self.is_lost.store(false, Ordering::Relaxed);
        let Remembered { server, auto_schedule, components, .. } = &opened.remembered;
        Ok(Abilities {
            connections: connections(*server, self.exchange.round_trip()),
            needs_schedule_agent: *auto_schedule && *server != Server::Sabre,
            components: components.clone(),
        })
    }

    fn address(&self) -> Option<String> {
        lock(&self.opened).as_ref().map(|opened| opened.url.canonical())
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        self.with_calendar(|opened| self.look(opened))
    }

    fn list(&self) -> anyhow::Result<Listed> {
        self.with_calendar(|opened| Listing.response(&opened.url, &self.exchange.send(&Listing.request(&opened.url))?))
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
                // The calendar was just seen: the listing shows whether the server is in trouble.
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
            let resources = verb.response(&opened.url, &self.exchange.send(&verb.request(&opened.url))?)?;
            let calendar = resources.into_iter().find_map(|resource| resource.calendar);
            let none = || fault(Kind::Missing, format!("what stands at {} is no calendar any more", opened.url));
            Ok(calendar.ok_or_else(none)?.rights)
        })
    }

    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written> {
        self.with_calendar(|opened| {
            // Xandikos makes a file of its own where there is no calendar (Xandikos 0.4).
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
                // It was gone already, if that is true.
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
        self.exchange.begin(why);
    }
}

/// Whether an error may concern one request alone: the connection broke, or no answer came.
fn is_of_one_exchange(error: &anyhow::Error) -> bool {
    let fault = fault_of(error);
    fault.kind == Kind::Unavailable && fault.retry_after.is_none()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn opened(calendar: Calendar, software: Software) -> Opened {
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

/// The last segment of an address as a name for people.
fn name_of(url: &Url) -> String {
    let segment = crate::dav::href::segments(url.path()).next_back().unwrap_or("calendar");
    String::from_utf8_lossy(&Href::new(segment).decoded().collect::<Vec<u8>>()).into_owned()
}

/// How many connections pay: Baïkal 0.11 gains from four to eight where the round trip takes 10 ms or more, Radicale 3.9
/// gets slower, and Xandikos 0.4 answers 423 to concurrent writes. Without a measurement, one.
fn connections(server: Server, round_trip: Option<Duration>) -> usize {
    match (server, round_trip.map(|time| time.as_millis())) {
        (Server::Radicale | Server::Xandikos, _) | (_, None | Some(..10)) => 1,
        (_, Some(..25)) => 4,
        _ => 8,
    }
}
