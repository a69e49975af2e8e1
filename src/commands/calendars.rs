//! `calendars`: what a server offers, with our rights on it, to choose a target from.

use std::fmt::Write;

use super::connect::Connections;
use super::output::Output;
use crate::collection::home::Discovery;
use crate::config::Config;
use crate::dav::discover::Calendar;
use crate::db::state::{Owner, State};
use crate::exit;
use crate::report::json;
use crate::signal::Stop;
use crate::words::error::{Kind, fault};

/// Asks a server of the configuration and prints its calendars.
pub(super) fn calendars(config: &Config, name: Option<&str>, as_json: bool, output: &Output) -> anyhow::Result<u8> {
    let wanted = config.servers.iter().find(|server| name.is_none_or(|name| server.name == name));
    let server = wanted.ok_or_else(|| {
        let known: Vec<&str> = config.servers.iter().map(|server| server.name.as_str()).collect();
        let text = match name {
            Some(name) => format!("there is no server {name}; {} has: {}", config.origin, known.join(", ")),
            None => format!("{} has no [server]", config.origin),
        };
        fault(Kind::Configuration, text)
    })?;
    // The command discovers everything again and stores nothing.
    let (owner, handle) = Owner::new(State::in_memory()?);
    let connections = Connections::new(Stop::on_signals()?, handle);
    let asking = std::thread::spawn(|| owner.serve());
    let discovery = connections.home(server, &mut Vec::new()).and_then(|home| home.discover());
    drop(connections);
    let _ = asking.join();
    let discovery = discovery?;
    let text = if as_json { json::calendars(&server.url.to_string(), &discovery.calendars) } else { text(&discovery) };
    output.result(&text);
    Ok(exit::SETTLED)
}

fn text(discovery: &Discovery) -> String {
    let mut text = format!("server     {}\n", discovery.software.server.as_str());
    let mut tell = |what: &str, value: &str| {
        let _ = writeln!(text, "{what:<10} {value}");
    };
    if let Some(principal) = &discovery.principal {
        tell("principal", &principal.to_string());
    }
    for home in &discovery.homes {
        tell("home", &home.to_string());
    }
    for calendar in &discovery.calendars {
        tell("calendar", &calendar.url.to_string());
        tell("", &describe(calendar));
    }
    if discovery.calendars.is_empty() {
        tell("calendars", "none");
    }
    text
}

fn describe(calendar: &Calendar) -> String {
    let name = calendar.display_name.as_deref().unwrap_or("(no name)");
    let components: Vec<&str> = calendar.components.iter().map(|component| component.as_str()).collect();
    let components = if components.is_empty() { "any component".to_owned() } else { components.join(", ") };
    let rights = if calendar.rights.write { "writable" } else { "read only" };
    let sync = if calendar.can_sync { ", sync-collection" } else { "" };
    format!("“{name}”, {components}, {rights}{sync}")
}
