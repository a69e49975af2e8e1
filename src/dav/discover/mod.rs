//! Discovery (RFC 6764, RFC 5397, RFC 4791 §6.2.1): what stands at an address, whose it is, and what the server can do.

use crate::dav::xml::{self, Element, Member};
use crate::dav::{multistatus, xml_request};
use crate::model::{ComponentType, Mark, Rights};
use crate::words::error::{Kind, fault};
use crate::words::message::{Headers, Request, Response};
use crate::words::url::Url;

mod address;
pub mod choose;

pub use address::{CalendarAddress, absolute};

/// Everything that discovery wants to know of a resource. One list for every step: whatever stands at an address, one
/// request tells what it is and where to go from there.
const PROPERTIES: [xml::Name; 10] = [
    xml::RESOURCETYPE,
    xml::DISPLAYNAME,
    xml::CURRENT_USER_PRINCIPAL,
    xml::CALENDAR_HOME_SET,
    xml::SUPPORTED_CALENDAR_COMPONENT_SET,
    xml::SUPPORTED_REPORT_SET,
    xml::CURRENT_USER_PRIVILEGE_SET,
    xml::GETCTAG,
    xml::SYNC_TOKEN,
    xml::CALENDAR_COLOR,
];

/// How far a PROPFIND looks (RFC 4918 §10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The resource itself.
    Zero,
    /// The resource and what stands directly inside it.
    One,
}

/// Asks what stands at an address.
#[derive(Debug, Clone, Copy)]
pub struct Survey {
    /// How far to look.
    pub depth: Depth,
}

/// What stands at one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its address.
    pub url: Url,
    /// The principal of the user that asked.
    pub principal: Option<Url>,
    /// Where its calendars are, when it is a principal.
    pub homes: Vec<Url>,
    /// What kind of calendar it is, when it is one.
    pub calendar: Option<Calendar>,
}

/// A calendar as discovery sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Its address, with a slash at the end.
    pub url: Url,
    /// Its name for people.
    pub display_name: Option<String>,
    /// What it takes; empty when it does not say.
    pub components: Vec<ComponentType>,
    /// What we may do. A server that does not tell is believed to allow everything.
    pub rights: Rights,
    /// Whether it announces `sync-collection` itself; sabre announces it for homes too, where it does not work.
    pub can_sync: bool,
    /// Whether it is another user's, shared with us.
    pub shared: bool,
    /// `#RRGGBB` or `#RRGGBBAA`, as it is written.
    pub color: Option<String>,
    /// Its state.
    pub mark: Mark,
}

/// What the state keeps of a calendar, so that a steady pass needs no discovery. It is good for the same address only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The address of the calendar.
    pub calendar: String,
    /// The make of its server.
    pub server: Server,
    /// Whether it announces `sync-collection`.
    pub can_sync: bool,
    /// Whether its server sends invitations of its own.
    pub auto_schedule: bool,
    /// What it takes; empty when it does not say.
    pub components: Vec<ComponentType>,
    /// Whether it obeys `If-Match` and `If-None-Match`; `None`: not found out yet.
    pub obeys_preconditions: Option<bool>,
}

impl Calendar {
    /// The last segment of its path, percent-encoded.
    pub fn name(&self) -> &str {
        super::href::segments(self.url.path()).next_back().unwrap_or_default()
    }
}

impl Survey {
    /// The request for this address.
    pub fn request(&self, url: &Url) -> Request {
        let depth = match self.depth {
            Depth::Zero => "0",
            Depth::One => "1",
        };
        xml_request("PROPFIND", url.clone(), depth, xml::PROPFIND.document(&xml::prop(&PROPERTIES)))
    }

    /// What stands there, and inside, as far as we may see it.
    pub fn response(&self, url: &Url, response: &Response) -> anyhow::Result<Vec<Resource>> {
        let asked = self.request(url);
        multistatus(&asked, response, |root| {
            let members: Vec<Member<'_>> = xml::members(root).collect();
            let seen = members.iter().filter(|member| !is_hidden(member)).filter_map(|member| resource(url, member));
            let resources: Vec<Resource> = seen.collect();
            match members.iter().any(|member| member.is_refused(xml::RESOURCETYPE)) {
                _ if !resources.is_empty() => Ok(resources),
                true => Err(fault(Kind::Refused, format!("the user has no right to see {url}"))),
                // Xandikos answers 207 with a 404 inside (0.4).
                false => Err(fault(Kind::Missing, format!("there is nothing at {url}"))),
            }
        })
    }
}

/// Gone, or kept from us: sabre answers 207 with a 403 for each property (4.7).
fn is_hidden(member: &Member<'_>) -> bool {
    member.status.is_some_and(|status| status >= 300)
        || (member.is_refused(xml::RESOURCETYPE) && member.property(xml::CURRENT_USER_PRINCIPAL).is_none())
}

fn resource(asked: &Url, member: &Member<'_>) -> Option<Resource> {
    let url = resolve(asked, &member.href)?;
    let hrefs = |name| member.property(name).into_iter().flat_map(|element| element.children(xml::HREF));
    let urls = |name| hrefs(name).filter_map(|href| resolve(asked, &href.trimmed()?));
    let has_type = |name| member.property(xml::RESOURCETYPE).is_some_and(|types| types.child(name).is_some());
    Some(Resource {
        principal: urls(xml::CURRENT_USER_PRINCIPAL).next(),
        homes: urls(xml::CALENDAR_HOME_SET).collect(),
        calendar: has_type(xml::CALENDAR).then(|| calendar(&url, member)),
        url,
    })
}

/// An address from an answer. On the same host the user's scheme and port hold, for a server behind a TLS proxy knows
/// only its own.
fn resolve(asked: &Url, href: &str) -> Option<Url> {
    let url = asked.join(href).ok()?;
    Some(if url.host() == asked.host() { url.with_origin_of(asked) } else { url })
}

fn calendar(url: &Url, member: &Member<'_>) -> Calendar {
    let text = |name| member.property(name).and_then(Element::trimmed);
    let reports = member.property(xml::SUPPORTED_REPORT_SET);
    let component = |comp: Element<'_>| ComponentType::from_name(comp.attribute("name")?.as_bytes());
    let comps =
        member.property(xml::SUPPORTED_CALENDAR_COMPONENT_SET).into_iter().flat_map(|set| set.children(xml::COMP));
    let privileges = member.property(xml::CURRENT_USER_PRIVILEGE_SET);
    Calendar {
        url: url.as_collection(),
        display_name: text(xml::DISPLAYNAME),
        components: comps.filter_map(component).collect(),
        rights: privileges.map_or(Rights { write: true, delete: true }, rights),
        can_sync: reports.is_some_and(announces_sync),
        shared: member.property(xml::RESOURCETYPE).is_some_and(|types| types.child(xml::SHARED).is_some()),
        color: text(xml::CALENDAR_COLOR),
        mark: Mark { ctag: text(xml::GETCTAG), sync_token: text(xml::SYNC_TOKEN) },
    }
}

fn rights(privileges: Element<'_>) -> Rights {
    let has = |enough: &[xml::Name]| {
        let mut granted = privileges.children(xml::PRIVILEGE).flat_map(Element::elements);
        granted.any(|right| enough.iter().any(|name| right.is(*name)))
    };
    Rights {
        write: has(&[xml::ALL, xml::WRITE, xml::WRITE_CONTENT]),
        delete: has(&[xml::ALL, xml::WRITE, xml::UNBIND]),
    }
}

fn announces_sync(reports: Element<'_>) -> bool {
    let names = reports.children(xml::SUPPORTED_REPORT).flat_map(|supported| supported.children(xml::REPORT));
    names.into_iter().any(|report| report.child(xml::SYNC_COLLECTION).is_some())
}

/// The make of a server, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// sabre/dav: Baïkal and others.
    Sabre,
    /// Radicale with its built-in web server.
    Radicale,
    /// Xandikos.
    Xandikos,
    /// Any other, or hidden behind a proxy.
    Other,
}

impl Server {
    /// What the headers of an authenticated answer tell; sabre 1.8 gives its version to
    /// OPTIONS alone.
    pub fn of(headers: &Headers) -> Server {
        let software = headers.get("server").unwrap_or_default();
        match software.as_str() {
            _ if headers.get("x-sabre-version").is_some() => Server::Sabre,
            software if software.starts_with("WSGIServer/") => Server::Radicale,
            software if software.contains("aiohttp/") => Server::Xandikos,
            _ => Server::Other,
        }
    }

    /// Whether it is known to obey `If-Match` and `If-None-Match`.
    pub fn obeys_preconditions(self) -> bool {
        self != Server::Other
    }

    /// The word for it in the state file and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Server::Sabre => "sabre",
            Server::Radicale => "radicale",
            Server::Xandikos => "xandikos",
            Server::Other => "other",
        }
    }

    /// The server of a word that `as_str` gave.
    pub fn from_word(word: &str) -> Option<Server> {
        [Server::Sabre, Server::Radicale, Server::Xandikos, Server::Other]
            .into_iter()
            .find(|server| server.as_str() == word)
    }
}

/// Asks what a server is and can do (RFC 9110 §9.3.7).
#[derive(Debug, Clone, Copy)]
pub struct Options;

/// What a server is and can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Software {
    /// Its make.
    pub server: Server,
    /// Whether it sends invitations of its own: `calendar-auto-schedule` in the DAV header (RFC 6638 §2).
    pub auto_schedule: bool,
}

impl Options {
    /// The request for this address.
    pub fn request(&self, url: &Url) -> Request {
        Request::new("OPTIONS", url.clone())
    }

    /// A server that does not answer as it should is taken for one that sends invitations, for nobody may get mail.
    pub fn response(&self, response: &Response) -> Software {
        let answered = matches!(response.status, 200 | 204) && !response.is_html();
        let classes = response.headers.all("dav").collect::<Vec<_>>().join(",");
        let announces = classes.split(',').any(|class| class.trim().eq_ignore_ascii_case("calendar-auto-schedule"));
        Software { server: Server::of(&response.headers), auto_schedule: announces || !answered }
    }
}

#[cfg(test)]
mod tests;
