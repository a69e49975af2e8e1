//! Reads where a feed goes to: the keys `target` and `server`.

use std::sync::Arc;

use crate::config::reader::{Reader, nearest};
use crate::config::server::{DEFAULT, Known, Servers};
use crate::config::{Server, TargetAddress};
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
    let found = if is_address(text) { at_address(text, chosen, servers) } else { below(text, chosen, servers) };
    match found {
        Ok(server) => server.map(|server| TargetAddress::Calendar { server, target: text.to_owned() }),
        Err(message) => {
            reader.problems.push(node.problem(message));
            None
        }
    }
}

/// Whether a target brings its own origin.
fn is_address(text: &str) -> bool {
    let (scheme, rest) = text.split_once(':').unwrap_or_default();
    rest.starts_with("//") && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// What the key `server` says.
enum Chosen {
    /// Nothing.
    Any,
    /// This server.
    One(Arc<Server>),
    /// A server that has problems of its own, or that does not exist; both are told already.
    Unsound,
}

/// A server, or none because of a problem that is told already, or what is wrong.
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

/// The server of an absolute address: credentials go to their own origin only.
fn at_address(text: &str, chosen: Chosen, servers: &Servers) -> Sought {
    let url = Url::parse(text).map_err(|error| format!("{}; allowed: {ALLOWED}", sentence(&error)))?;
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
fn below(text: &str, chosen: Chosen, servers: &Servers) -> Sought {
    let server = match chosen {
        Chosen::Unsound => return Ok(None),
        Chosen::One(server) => server,
        Chosen::Any => match servers.get(DEFAULT) {
            Known::Sound(server) => server,
            Known::Unsound => return Ok(None),
            Known::No => return Err(no_default(servers)),
        },
    };
    if text.contains('/') {
        let joined = server.url.as_collection().join(text).map_err(|error| sentence(&error))?;
        if joined.origin() != server.url.origin() {
            return Err(format!("leads away from the server {}; allowed: {ALLOWED}", server.url));
        }
    }
    Ok(Some(server))
}

fn no_default(servers: &Servers) -> String {
    let names = servers.names();
    if names.is_empty() {
        "needs a server; add [server] with its url, or write dir:PATH for a folder".to_owned()
    } else {
        format!("needs a server and there is no [server]; add the key server, allowed: {}", names.join(", "))
    }
}

/// The address of a target that brings its own origin.
pub(super) fn own_address(text: &str) -> Option<Url> {
    Url::parse(Some(text.trim()).filter(|text| is_address(text))?).ok()
}
