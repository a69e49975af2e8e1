//! Discovery (RFC 6764, RFC 5397, RFC 4791 §6.2.1): what exists at an address, who owns it, and what the server
//! supports.

use crate::dav::xml::{self, Element, Member};
use crate::dav::{multistatus, xml_request};
use crate::model::{ComponentType, Mark, Rights};
use crate::words::error::{Kind, fault};
use crate::words::message::{Headers, Request, Response};
use crate::words::url::Url;

mod address;
pub mod choose;

pub use address::{CalendarAddress, absolute};

/// All properties that discovery needs. Every step requests the same list, so one request shows what exists at an
/// address and where to go from there.
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

/// The depth of a PROPFIND (RFC 4918 §10.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The resource itself.
    Zero,
    /// The resource itself and its direct members.
    One,
}

/// Asks what exists at an address.
#[derive(Debug, Clone, Copy)]
pub struct Survey {
    /// How deep to look.
    pub depth: Depth,
}

/// A resource found at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its address.
    pub url: Url,
    /// The principal of the authenticated user.
    pub principal: Option<Url>,
    /// Where its calendars are, if it is a principal.
    pub homes: Vec<Url>,
    /// The calendar's properties, if it is one.
    pub calendar: Option<Calendar>,
}

/// A discovered calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Its address, with a trailing slash.
    pub url: Url,
    /// Its display name.
    pub display_name: Option<String>,
    /// The components it accepts; empty if the server does not say.
    pub components: Vec<ComponentType>,
    /// Our permissions. A server that does not report them is assumed to allow everything.
    pub rights: Rights,
    /// Whether it advertises `sync-collection` itself; sabre advertises it for homes too, where it does not work.
    pub can_sync: bool,
    /// Whether it belongs to another user and is shared with us.
    pub shared: bool,
    /// `#RRGGBB` or `#RRGGBBAA`, as the server writes it.
    pub color: Option<String>,
    /// Its ctag and sync token.
    pub mark: Mark,
}

/// What the state stores about a calendar, so that a steady pass needs no discovery. Valid for the same address only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remembered {
    /// The address of the calendar.
    pub calendar: String,
    /// The software of its server.
    pub server: Server,
    /// Whether it advertises `sync-collection`.
    pub can_sync: bool,
    /// Whether its server sends invitations on its own.
    pub auto_schedule: bool,
    /// The components it accepts; empty if the server does not say.
    pub components: Vec<ComponentType>,
    /// Whether it obeys `If-Match` and `If-None-Match`; `None` if not yet known.
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

    /// The resource and its members, as far as we may see them.
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

/// Missing or not visible to us: sabre answers 207 with a 403 for each property (4.7).
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

/// An address from a response. On the same host the user's scheme and port win, because a server behind a TLS proxy
/// knows only its own.
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

/// The server software, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// sabre/dav: Baïkal and others.
    Sabre,
    /// Radicale with its built-in web server.
    Radicale,
    /// Xandikos.
    Xandikos,
    /// Any other, or hidden by a proxy.
    Other,
}

impl Server {
    /// Detects it from the headers of an authenticated response; sabre 1.8 sends its version for OPTIONS only.
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

    /// Its name in the state file and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Server::Sabre => "sabre",
            Server::Radicale => "radicale",
            Server::Xandikos => "xandikos",
            Server::Other => "other",
        }
    }

    /// Parses a name from `as_str`.
    pub fn from_word(word: &str) -> Option<Server> {
        [Server::Sabre, Server::Radicale, Server::Xandikos, Server::Other]
            .into_iter()
            .find(|server| server.as_str() == word)
    }
}

/// Asks for the software and features of a server (RFC 9110 §9.3.7).
#[derive(Debug, Clone, Copy)]
pub struct Options;

/// The software and features of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Software {
    /// The software.
    pub server: Server,
    /// Whether it sends invitations on its own: `calendar-auto-schedule` in the DAV header (RFC 6638 §2).
    pub auto_schedule: bool,
}

impl Options {
    /// The request for this address.
    pub fn request(&self, url: &Url) -> Request {
        Request::new("OPTIONS", url.clone())
    }

    /// An unexpected response counts as a server that sends invitations, because we must not cause any mail.
    pub fn response(&self, response: &Response) -> Software {
        let answered = matches!(response.status, 200 | 204) && !response.is_html();
        let classes = response.headers.all("dav").collect::<Vec<_>>().join(",");
        let announces = classes.split(',').any(|class| class.trim().eq_ignore_ascii_case("calendar-auto-schedule"));
        Software { server: Server::of(&response.headers), auto_schedule: announces || !answered }
    }
}

#[cfg(test)]
mod tests;
