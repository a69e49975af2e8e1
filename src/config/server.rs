//! The tables `[server]` and `[server.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::reader::Reader;
use crate::config::secret::{PASSWORD, TOKEN};
use crate::config::tree::{Node, Place, Table, Value};
use crate::config::{Environment, Problem, SecretSource, Server, Timeouts, Tls};
use crate::words::error::sentence;
use crate::words::time::MINUTE;
use crate::words::url::Url;

/// The name of the server in `[server]`.
pub(super) const DEFAULT: &str = "default";

/// The keys of a server.
pub(super) const KEYS: &[&str] = &[
    "url",
    "user",
    "password_file",
    "password_command",
    "credential",
    "token_file",
    "token_command",
    "token_credential",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "connect_timeout",
    "idle_timeout",
    "timeout",
];

/// Keys that users may try for a literal secret, which only the environment may contain.
const SECRETS: &[&str] = &["password", "token"];

/// The default time-outs.
const TIMEOUTS: Timeouts = Timeouts { connect: 10, idle: 30, total: 5 * MINUTE };

/// Every configured server by name; `None` for an invalid one, so that subscriptions using it do not report further
/// problems.
#[derive(Debug, Default)]
pub(super) struct Servers(BTreeMap<String, Option<Arc<Server>>>);

/// The result of looking up a server.
pub(super) enum Known {
    /// A valid server.
    Sound(Arc<Server>),
    /// An invalid server, whose problems are already reported.
    Unsound,
    /// There is no such server.
    No,
}

impl Servers {
    /// Looks up a server by name.
    pub(super) fn get(&self, name: &str) -> Known {
        match self.0.get(name) {
            Some(Some(server)) => Known::Sound(Arc::clone(server)),
            Some(None) => Known::Unsound,
            None => Known::No,
        }
    }

    /// The names of all servers.
    pub(super) fn names(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// Whether all of them are valid.
    pub(super) fn are_sound(&self) -> bool {
        self.0.values().all(Option::is_some)
    }

    /// The first server with the same origin as this address; the default one is preferred.
    pub(super) fn at_origin_of(&self, url: &Url) -> Option<Arc<Server>> {
        self.all().into_iter().find(|server| server.url.origin() == url.origin())
    }

    /// All valid servers, the default one first.
    pub(super) fn all(&self) -> Vec<Arc<Server>> {
        let mut servers: Vec<Arc<Server>> = self.0.values().flatten().cloned().collect();
        servers.sort_by_key(|server| server.name != DEFAULT);
        servers
    }
}

/// Whether a table of servers configures the default server.
pub(super) fn has_default(server: &Table) -> bool {
    server.nodes.iter().any(|(key, node)| is_key_of_default(key, node))
}

/// A table below `[server]` is another server, unless its name is a key of the default server.
fn is_key_of_default(key: &str, node: &Node) -> bool {
    !matches!(node.value, Value::Table(_)) || KEYS.contains(&key)
}

/// Reads all servers.
pub(super) fn read_all(node: Option<&Node>, environment: &Environment, problems: &mut Vec<Problem>) -> Servers {
    let mut servers = Servers::default();
    let table = match node.map(|node| (node, &node.value)) {
        None => return servers,
        Some((_, Value::Table(table))) => table,
        Some((node, _)) => {
            problems.push(node.problem("is not a table; write [server] on a line of its own and its keys below"));
            return servers;
        }
    };
    if has_default(table) {
        let mut own = table.clone();
        own.nodes.retain(|key, node| is_key_of_default(key, node));
        servers.0.insert(DEFAULT.to_owned(), read_one(DEFAULT, &own, environment, problems).map(Arc::new));
    }
    for (name, node) in table.nodes.iter().filter(|(key, node)| !is_key_of_default(key, node)) {
        if let Value::Table(own) = &node.value {
            if name == DEFAULT {
                problems.push(node.problem("the name default belongs to [server]; choose another one"));
            }
            servers.0.insert(name.clone(), read_one(name, own, environment, problems).map(Arc::new));
        }
    }
    servers
}

fn read_one(name: &str, table: &Table, environment: &Environment, problems: &mut Vec<Problem>) -> Option<Server> {
    let before = problems.len();
    refuse_written_secrets(table, problems);
    let mut reader = Reader { table, problems };
    reader.refuse_others(KEYS, SECRETS);
    let url =
        reader.required("url", "the http or https address of the server").and_then(|node| url(node, reader.problems));
    let user = reader.text("user").map(str::to_owned);
    let (secret, bearer) = secret(&mut reader, environment);
    let server = Server {
        name: name.to_owned(),
        user,
        secret,
        bearer,
        tls: tls(&mut reader),
        timeouts: timeouts(&mut reader),
        // Last, so that an invalid address does not hide other mistakes.
        url: url?,
    };
    (problems.len() == before).then_some(server)
}

/// The time-outs of a server or a feed.
pub(super) fn timeouts(reader: &mut Reader<'_>) -> Timeouts {
    Timeouts {
        connect: reader.span("connect_timeout").unwrap_or(TIMEOUTS.connect),
        idle: reader.span("idle_timeout").unwrap_or(TIMEOUTS.idle),
        total: reader.span("timeout").unwrap_or(TIMEOUTS.total),
    }
}

/// The certificates for a server or a feed.
pub(super) fn tls(reader: &mut Reader<'_>) -> Tls {
    if let (Some(key), None) = (reader.table.get("tls_key"), reader.table.get("tls_cert")) {
        reader.problems.push(key.problem("belongs to a certificate; add tls_cert"));
    }
    Tls { ca: reader.path("tls_ca"), cert: reader.path("tls_cert"), key: reader.path("tls_key") }
}

/// The address of a server, without credentials: they would be secrets in a place that is printed.
fn url(node: &Node, problems: &mut Vec<Problem>) -> Option<Url> {
    let Some(text) = node.value.as_text() else {
        problems.push(node.problem(format!("{} is not an address; allowed: {ADDRESS}", node.value.shown())));
        return None;
    };
    match Url::parse_with_credentials(text) {
        Ok((url, None)) => Some(url),
        Ok((_, Some(_))) => {
            let [user, password] = [USER_KEY, PASSWORD_KEYS].map(|words| in_words_of(&node.place, words));
            problems.push(node.problem(format!("holds a user name; take it out and add {user} and {password}")));
            None
        }
        Err(error) => {
            problems.push(node.problem(format!("{}; allowed: {ADDRESS}", sentence(&error))));
            None
        }
    }
}

const ADDRESS: &str = "such as \"https://dav.example.org/dav.php/\"";

/// The secret of a server, and whether it is a token.
fn secret(reader: &mut Reader<'_>, environment: &Environment) -> (Option<SecretSource>, bool) {
    let table = reader.table;
    let password = match table.get("password").map(|node| &node.value) {
        Some(Value::Secret(secret)) => Some(SecretSource::Value(secret.clone())),
        _ => PASSWORD.read(reader, environment),
    };
    let token = TOKEN.read(reader, environment);
    let password_node = PASSWORD.first_in(table).or(table.get("password"));
    let problem = match (table.get("user"), password_node, TOKEN.first_in(table)) {
        (Some(user), _, Some(_)) => Some(user.problem("a token needs no user; remove one of them")),
        (None, Some(_), Some(token)) => Some(token.problem("there is a password too; remove one of them")),
        (Some(user), None, None) => {
            Some(user.problem(format!("has no password; add {}", in_words_of(&user.place, PASSWORD_KEYS))))
        }
        (None, Some(password), None) if !is_written(table, "password") => {
            Some(password.problem(format!("has no user; add {}", in_words_of(&password.place, USER_KEY))))
        }
        _ => None,
    };
    reader.problems.extend(problem);
    let bearer = token.is_some();
    (token.or(password), bearer)
}

const USER_KEY: [&str; 2] = ["user", "BAIKAL_USER"];
const PASSWORD_KEYS: [&str; 2] = ["password_file, password_command or credential", "BAIKAL_PASS or BAIKAL_PASS_FILE"];

/// The name to suggest beside the one at `place`: a key or a variable.
fn in_words_of(place: &Place, [key, variable]: [&'static str; 2]) -> &'static str {
    if place.key.starts_with("BAIKAL_") { variable } else { key }
}

/// Whether a literal secret is in the file, where everyone who may see the configuration can read it.
fn is_written(table: &Table, key: &str) -> bool {
    table.get(key).is_some_and(|node| !matches!(node.value, Value::Secret(_)))
}

fn refuse_written_secrets(table: &Table, problems: &mut Vec<Problem>) {
    for (key, keys) in SECRETS.iter().zip([&PASSWORD, &TOKEN]) {
        let written = table.get(key).filter(|_| is_written(table, key));
        problems.extend(written.map(|node| node.problem(keys.instead())));
    }
}
