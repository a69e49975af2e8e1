//! Combines flags, environment, file and defaults, in this order of precedence, and reads the result.

use std::path::PathBuf;

use crate::config::env::Overlay;
use crate::config::file::{self, Found};
use crate::config::reader::{Expected, Reader};
use crate::config::server::{self, Servers, has_default};
use crate::config::tree::{Origin, Place, Table, Value};
use crate::config::{AdHoc, Config, Environment, Problem, Subscription, Where, subscription};
use crate::dav::discover::absolute;
use crate::words::digest::sha256;
use crate::words::url::Url;

/// The keys of the top level.
pub(super) const KEYS: &[&str] = &["state", "jobs", "server", "defaults", "subscription"];
/// The folder in which systemd creates the state folder of each profile.
const PROFILES: &str = "/var/lib/baikal-sync";
const COMMAND_LINE: &str = "the command line";
const JOBS: usize = 4;
const MOST_JOBS: u64 = 64;
const JOB_COUNT: Expected = Expected { is_not: "is not a number of jobs", allowed: "a number from 1 to 64" };

/// Loads the configuration: flags override the environment, which overrides the file, which overrides defaults. Reads
/// only the file and uses no network. On failure all mistakes are returned, in the order of the lines.
pub fn load(arguments: &Where, environment: &Environment, ad_hoc: Option<&AdHoc>) -> Result<Config, Vec<Problem>> {
    let mut problems = Vec::new();
    let (file, mut root) = read_file(arguments, environment, ad_hoc).map_err(|problem| vec![problem])?;
    let mut overlay = Overlay::new(environment, &mut problems);
    overlay.server(&mut root);
    match ad_hoc {
        Some(ad_hoc) => put_ad_hoc(ad_hoc, &mut root, environment, &mut overlay),
        None => overlay.subscription(&mut root),
    }
    let origin = match (&file, ad_hoc) {
        (Some(path), _) => path.display().to_string(),
        (None, Some(_)) => COMMAND_LINE.to_owned(),
        (None, None) => "the environment".to_owned(),
    };
    let settled = settle(origin, file, &root, arguments, environment, &mut problems);
    problems.sort();
    problems.dedup();
    settled.filter(|_| problems.is_empty()).ok_or(problems)
}

/// Only the state file, for commands that need no server and no subscription: a configuration need not exist.
pub fn state_file(arguments: &Where, environment: &Environment) -> Result<PathBuf, Vec<Problem>> {
    let mut problems = Vec::new();
    let root = match file::find(arguments, environment) {
        Found::File(path) => file::read(&path, environment).map_err(|problem| vec![problem])?,
        Found::Nothing(_) => Table::empty(Place::of(&Origin::of_shell("the environment", environment), "")),
    };
    let found = state(&mut Reader { table: &root, problems: &mut problems }, arguments, environment);
    found.filter(|_| problems.is_empty()).ok_or(problems)
}

/// The tree of the file, or an empty one if there is no file and the other settings suffice.
fn read_file(
    arguments: &Where,
    environment: &Environment,
    ad_hoc: Option<&AdHoc>,
) -> Result<(Option<PathBuf>, Table), Problem> {
    match file::find(arguments, environment) {
        Found::File(path) => file::read(&path, environment).map(|table| (Some(path), table)),
        Found::Nothing(places) => {
            if ad_hoc.is_some() || ["ICS_URL", "BAIKAL_URL"].iter().any(|name| environment.get(name).is_some()) {
                let place = Place::of(&Origin::of_shell("the environment", environment), "");
                return Ok((None, Table::empty(place)));
            }
            let places: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
            let places = places.join(" or ");
            Err(Problem {
                origin: "configuration".to_owned(),
                line: None,
                key: String::new(),
                message: format!(
                    "there is none; write {places}, name a file with --config, or set ICS_URL and BAIKAL_URL"
                ),
            })
        }
    }
}

/// Replaces the subscriptions of the file with that of the command line, adding a server for its target if none is
/// configured there.
fn put_ad_hoc(ad_hoc: &AdHoc, root: &mut Table, environment: &Environment, overlay: &mut Overlay<'_>) {
    let origin = Origin::of_shell(COMMAND_LINE, environment);
    let place = |key: &str| Place::of(&origin, key);
    let mut table = Table::empty(place(""));
    table.set("name", place(""), Value::Text(AD_HOC.to_owned()));
    table.set("source", place("--source"), Value::Text(ad_hoc.source.clone()));
    table.set("target", place("--target"), Value::Text(ad_hoc.target.clone()));
    root.set("subscription", place(""), Value::List(vec![Value::Table(table).at(place(""))]));

    let Some(Ok(target)) = absolute(ad_hoc.target.trim()) else { return };
    let mut servers = match root.get("server").map(|node| &node.value) {
        Some(Value::Table(table)) => table.clone(),
        _ => Table::empty(place("")),
    };
    if addresses(&servers).iter().any(|url| url.origin() == target.origin()) {
        return;
    }
    let url = Value::Text(ad_hoc.target.clone());
    if has_default(&servers) {
        // The configured credentials belong to another origin, so this server gets none.
        let mut own = Table::empty(place("--target"));
        own.set("url", place("--target"), url);
        servers.set(AD_HOC, place("--target"), Value::Table(own));
    } else {
        servers.set("url", place("--target"), url);
        overlay.credentials(&mut servers);
    }
    root.set("server", servers.place.clone(), Value::Table(servers));
}

/// The addresses of all servers in a tree, if valid.
fn addresses(servers: &Table) -> Vec<Url> {
    let others = servers.nodes.values().filter_map(|node| match &node.value {
        Value::Table(table) => table.get("url"),
        _ => None,
    });
    let nodes = servers.get("url").into_iter().chain(others);
    nodes.filter_map(|node| Url::parse(node.value.as_text()?).ok()).collect()
}

fn settle(
    origin: String,
    file: Option<PathBuf>,
    root: &Table,
    arguments: &Where,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Option<Config> {
    let mut reader = Reader { table: root, problems };
    reader.refuse_others(KEYS, &[]);
    let jobs = reader.value("jobs", JOB_COUNT, |value| match value {
        Value::Number(number @ 1..=MOST_JOBS) => usize::try_from(*number).ok(),
        _ => None,
    });
    let state = state(&mut reader, arguments, environment);
    let servers = server::read_all(root.get("server"), environment, problems);
    let subscriptions = subscriptions(root, &servers, environment, problems);
    Some(Config { origin, file, state: state?, jobs: jobs.unwrap_or(JOBS), servers: servers.all(), subscriptions })
}

/// The state file: flag, variable, key, systemd's folder, the user's folder.
fn state(reader: &mut Reader<'_>, arguments: &Where, environment: &Environment) -> Option<PathBuf> {
    let here = Origin::of_shell("the environment", environment);
    let below = |folder: PathBuf| folder.join("state.db");
    // Always read, so that a mistake in it is reported.
    let key = reader.path("state");
    let flag = arguments.state.as_ref().map(|path| environment.folder().join(path).components().collect());
    let found = flag
        .or_else(|| {
            environment.get("BAIKAL_SYNC_STATE").filter(|_| arguments.profile.is_none()).map(|path| here.path(path))
        })
        .or(key)
        // systemd separates several folders with colons (systemd.exec(5)).
        .or_else(|| environment.get("STATE_DIRECTORY")?.split(':').next().map(|path| below(here.path(path))))
        .or_else(|| arguments.profile.as_ref().map(|profile| below(PathBuf::from(PROFILES).join(profile))))
        .or_else(|| {
            environment.xdg_folder("XDG_STATE_HOME", ".local/state").map(|path| below(path.join("baikal-sync")))
        });
    if found.is_none() && reader.table.get("state").is_none() {
        let message = "is not set, so there is no place for the state file; name one with --state FILE";
        reader.problems.push(Place::of(&here, "HOME").problem(message));
    }
    found
}

/// The name of a command-line subscription until its source and target are known, and its prefix afterwards.
pub const AD_HOC: &str = "adhoc";

fn subscriptions(
    root: &Table,
    servers: &Servers,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Vec<Subscription> {
    let defaults = subscription::defaults(root, problems);
    let tables = subscription::tables(root, problems);
    let mut read = Vec::new();
    for table in tables {
        if let Some(subscription) = subscription::read(table, defaults, servers, environment, problems) {
            read.push((table, subscription));
        }
    }
    subscription::refuse_twins(&read, problems);
    read.into_iter().map(|(table, subscription)| named(table, subscription)).collect()
}

/// Names a command-line subscription after its source and target, so that a later run finds its state.
fn named(table: &Table, subscription: Subscription) -> Subscription {
    if table.get("source").is_none_or(|source| source.place.origin.name != COMMAND_LINE) {
        return subscription;
    }
    let (source, target) = (subscription.source.reveal(), subscription.target.canonical());
    let hash = sha256(&[source.as_bytes(), b"\0", target.as_bytes()]).to_string();
    Subscription { name: format!("{AD_HOC}-{}", hash.get(..8).unwrap_or_default()), ..subscription }
}
