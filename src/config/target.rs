//! Reads the target of a feed: the keys `target` and `server`.

use std::sync::Arc;

use crate::config::reader::{Reader, nearest};
use crate::config::server::{DEFAULT, Known, Servers};
use crate::config::{Server, TargetAddress};
use crate::dav::discover::{CalendarAddress, absolute};
use crate::words::error::sentence;
use crate::words::url::Url;

const ALLOWED: &str = "an address, a path below the server's address, the name of a calendar, or dir:PATH";

/// Reads the target of a subscription.
pub(super) fn read(reader: &mut Reader<'_>, servers: &Servers) -> Option<TargetAddress> {
    let chosen = chosen_server(reader, servers);
    let node = reader.required("target", ALLOWED)?;
    let Some(text) = node.value.as_text().map(str::trim).filter(|text| !text.is_empty()) else {
        reader.problems.push(node.problem(format!("is not a target; allowed: {ALLOWED}")));
        return None;
    };
    if let Some(path) = text.strip_prefix("dir:") {
        let folder = (!path.is_empty()).then(|| TargetAddress::Folder(node.place.origin.path(path)));
        let problem = folder.is_none().then(|| node.problem("names no folder; allowed: dir:PATH"));
        reader.problems.extend(problem);
        return folder;
    }
    let server = match absolute(text) {
        Some(url) => at_address(url, chosen, servers),
        None => without_address(chosen, servers),
    };
    match server.and_then(|server| server.map(|server| on(server, text)).transpose()) {
        Ok(target) => target,
        Err(message) => {
            reader.problems.push(node.problem(message));
            None
        }
    }
}

/// The server chosen by the key `server`.
enum Chosen {
    /// None was named.
    Any,
    /// This server.
    One(Arc<Server>),
    /// An invalid or unknown server; the problem is already reported.
    Unsound,
}

/// A server, none because of a problem that is already reported, or a new error message.
type Sought = Result<Option<Arc<Server>>, String>;

fn chosen_server(reader: &mut Reader<'_>, servers: &Servers) -> Chosen {
    let Some(node) = reader.table.get("server") else { return Chosen::Any };
    let Some(name) = reader.text("server") else { return Chosen::Unsound };
    let problem = match servers.get(name) {
        Known::Sound(server) => return Chosen::One(server),
        Known::Unsound => None,
        Known::No => Some(node.problem(no_such_server(name, servers))),
    };
    reader.problems.extend(problem);
    Chosen::Unsound
}

fn no_such_server(name: &str, servers: &Servers) -> String {
    let names = servers.names();
    match nearest(name, &names) {
        Some(meant) => format!("there is no server {name:?}; did you mean {meant:?}?"),
        None if names.is_empty() => format!("there is no server {name:?}; add [server.{name}]"),
        None => format!("there is no server {name:?}; allowed: {}", names.join(", ")),
    }
}

/// The server of an absolute address: credentials are only sent to their own origin.
fn at_address(url: anyhow::Result<Url>, chosen: Chosen, servers: &Servers) -> Sought {
    let url = url.map_err(|error| format!("{}; allowed: {ALLOWED}", sentence(&error)))?;
    match chosen {
        Chosen::Unsound => Ok(None),
        Chosen::One(server) if server.url.origin() == url.origin() => Ok(Some(server)),
        Chosen::One(server) => Err(format!("{} is not on the server {}", url.origin(), server.url)),
        Chosen::Any => match servers.at_origin_of(&url) {
            None if servers.are_sound() => {
                Err(format!("no server is configured at {}; add one with this url", url.origin()))
            }
            found => Ok(found),
        },
    }
}

/// The server of a path or of a calendar's name.
fn without_address(chosen: Chosen, servers: &Servers) -> Sought {
    match chosen {
        Chosen::Unsound => Ok(None),
        Chosen::One(server) => Ok(Some(server)),
        Chosen::Any => match servers.get(DEFAULT) {
            Known::Sound(server) => Ok(Some(server)),
            Known::Unsound => Ok(None),
            Known::No => Err(no_default(servers)),
        },
    }
}

/// The calendar that a target means on its server; a path must not lead to another origin.
fn on(server: Arc<Server>, text: &str) -> Result<TargetAddress, String> {
    let calendar = CalendarAddress::read(text, &server.url).map_err(|error| sentence(&error))?;
    if calendar.url().is_some_and(|url| url.origin() != server.url.origin()) {
        return Err(format!("leads away from the server {}; allowed: {ALLOWED}", server.url));
    }
    Ok(TargetAddress::Calendar { server, calendar })
}

fn no_default(servers: &Servers) -> String {
    let names = servers.names();
    if names.is_empty() {
        "needs a server; add [server] with its url, or write dir:PATH for a folder".to_owned()
    } else {
        format!("needs a server and there is no [server]; add the key server, allowed: {}", names.join(", "))
    }
}
