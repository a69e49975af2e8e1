//! The tables `[[subscription]]` and `[defaults]`.

use std::collections::BTreeMap;

use crate::config::reader::{Expected, Reader};
use crate::config::server::Servers;
use crate::config::source::{self, CREDENTIAL_KEYS, SECRETS};
use crate::config::tree::{Table, Value};
use crate::config::{
    Attendees, Deletes, Environment, MaxDelete, OnConflict, OnDrift, OnEmpty, Problem, Rules, SourceAddress,
    Subscription, Verify, target,
};
use crate::words::time::{HOUR, parse_duration};

/// The keys that a subscription must set itself.
const OWN_KEYS: &[&str] = &["name", "source", "target"];

/// The keys that `[defaults]` may also set, besides those of a feed's credentials.
const RULE_KEYS: &[&str] = &[
    "server",
    "every",
    "create",
    "verify",
    "on_conflict",
    "on_drift",
    "on_empty",
    "max_delete",
    "deletes",
    "attendees",
    "alert_after",
    "user_agent",
    "max_size",
    "tls_ca",
    "tls_cert",
    "tls_key",
    "connect_timeout",
    "idle_timeout",
    "timeout",
];

/// The keys of a feed's client certificate.
const CERTIFICATE_KEYS: &[&str] = &["tls_cert", "tls_key"];

/// Every key of a subscription.
pub(super) fn keys() -> Vec<&'static str> {
    [OWN_KEYS, RULE_KEYS, CREDENTIAL_KEYS].concat()
}

/// The default of `every`, in seconds.
const EVERY: u64 = 0;
const ALERT_AFTER: u64 = 3 * HOUR;
const VERIFY: Verify = Verify::Every(HOUR);

const VERIFIES: Expected = Expected {
    is_not: "is neither a word nor a duration",
    allowed: "\"always\", \"never\" or a duration such as \"1h\"",
};
const MAX_DELETES: Expected = Expected { is_not: "is neither a number nor a percentage", allowed: "\"50%\" or 20" };
const NAME: Expected = Expected {
    is_not: "is not a name",
    allowed: "letters, digits and any of . _ - in quotes, with a letter or digit first",
};

/// The table `[defaults]`; `None` and a problem if it is not a table. Its values are checked where they are used, by
/// [`read`].
pub(super) fn defaults<'a>(root: &'a Table, problems: &mut Vec<Problem>) -> Option<&'a Table> {
    let node = root.get("defaults")?;
    let Value::Table(table) = &node.value else {
        problems.push(node.problem("is not a table; write [defaults] on a line of its own and its keys below"));
        return None;
    };
    Reader { table, problems }.refuse_others(&keys(), SECRETS);
    for own in OWN_KEYS.iter().filter_map(|key| table.get(key)) {
        problems.push(own.problem("cannot have a default; write it in each [[subscription]]"));
    }
    Some(table)
}

/// The tables of all subscriptions, without the defaults.
pub(super) fn tables<'a>(root: &'a Table, problems: &mut Vec<Problem>) -> Vec<&'a Table> {
    const TWO_BRACKETS: &str = "is not a list of tables; write [[subscription]], with two brackets";
    let Some(node) = root.get("subscription") else { return Vec::new() };
    let Value::List(nodes) = &node.value else {
        problems.push(node.problem(TWO_BRACKETS));
        return Vec::new();
    };
    let mut tables = Vec::new();
    for node in nodes {
        match &node.value {
            Value::Table(table) => tables.push(table),
            _ => problems.push(node.problem(TWO_BRACKETS)),
        }
    }
    tables
}

/// Reads one subscription.
pub(super) fn read(
    own: &Table,
    defaults: Option<&Table>,
    servers: &Servers,
    environment: &Environment,
    problems: &mut Vec<Problem>,
) -> Option<Subscription> {
    let before = problems.len();
    let table = merged(own, defaults);
    let mut reader = Reader { table: &table, problems };
    reader.refuse_others(&keys(), SECRETS);
    let name = name(&mut reader);
    let source = source::read(&mut reader, environment);
    let target = target::read(&mut reader, servers);
    let subscription = Subscription {
        every: reader.duration("every").unwrap_or(EVERY),
        create: reader.truth("create").unwrap_or(false),
        verify: reader.value("verify", VERIFIES, verify).unwrap_or(VERIFY),
        rules: Rules {
            on_conflict: reader.word("on_conflict", ON_CONFLICT).unwrap_or_default(),
            on_drift: reader.word("on_drift", ON_DRIFT).unwrap_or_default(),
            on_empty: reader.word("on_empty", ON_EMPTY).unwrap_or_default(),
            max_delete: reader.value("max_delete", MAX_DELETES, max_delete).unwrap_or_default(),
            deletes: reader.word("deletes", DELETES).unwrap_or_default(),
        },
        attendees: reader.word("attendees", ATTENDEES).unwrap_or_default(),
        alert_after: reader.duration("alert_after").unwrap_or(ALERT_AFTER),
        name: name?,
        source: source?,
        target: target?,
    };
    (problems.len() == before).then_some(subscription)
}

const ON_CONFLICT: &[(&str, OnConflict)] =
    &[("equal", OnConflict::Equal), ("adopt", OnConflict::Adopt), ("skip", OnConflict::Skip)];
const ON_DRIFT: &[(&str, OnDrift)] = &[("restore", OnDrift::Restore), ("keep", OnDrift::Keep)];
const ON_EMPTY: &[(&str, OnEmpty)] = &[("hold", OnEmpty::Hold), ("accept", OnEmpty::Accept)];
const ATTENDEES: &[(&str, Attendees)] = &[("keep", Attendees::Keep), ("strip", Attendees::Strip)];
const DELETES: &[(&str, Deletes)] = &[("all", Deletes::All), ("future", Deletes::Future), ("none", Deletes::None)];

/// A subscription's table merged over the defaults. Credentials come from only one of them, and so does a certificate
/// with its key: parts from both would not match.
fn merged(own: &Table, defaults: Option<&Table>) -> Table {
    let Some(defaults) = defaults else { return own.clone() };
    let mut table = defaults.overlaid(own);
    for keys in [CREDENTIAL_KEYS, CERTIFICATE_KEYS] {
        if keys.iter().any(|key| own.get(key).is_some()) {
            table.nodes.retain(|key, _| !keys.contains(&key.as_str()) || own.get(key).is_some());
        }
    }
    // Such mistakes are reported for [defaults] itself.
    table.nodes.retain(|key, _| !OWN_KEYS.contains(&key.as_str()) || own.get(key).is_some());
    table
}

fn name(reader: &mut Reader<'_>) -> Option<String> {
    reader.required("name", NAME.allowed)?;
    reader.value("name", NAME, |value| value.as_text().filter(|name| is_name(name)).map(str::to_owned))
}

fn is_name(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    text.starts_with(|letter: char| letter.is_ascii_alphanumeric()) && text.bytes().all(allowed)
}

fn verify(value: &Value) -> Option<Verify> {
    match value.as_text()? {
        "always" => Some(Verify::Always),
        "never" => Some(Verify::Never),
        text => parse_duration(text).map(Verify::Every),
    }
}

fn max_delete(value: &Value) -> Option<MaxDelete> {
    match value {
        Value::Number(count) => Some(MaxDelete::Count(*count)),
        Value::Text(text) => match text.trim().strip_suffix('%') {
            Some(percent) => percent.trim().parse().ok().filter(|percent| *percent <= 100).map(MaxDelete::Percent),
            None => text.trim().parse().ok().map(MaxDelete::Count),
        },
        _ => None,
    }
}

/// Reports subscriptions that conflict with each other; `read` pairs each with its table.
pub(super) fn refuse_twins(read: &[(&Table, Subscription)], problems: &mut Vec<Problem>) {
    let mut names: BTreeMap<&str, &Table> = BTreeMap::new();
    let mut ends: BTreeMap<(String, String), &str> = BTreeMap::new();
    let mut standard_input: Option<&str> = None;
    for (table, subscription) in read {
        let name = subscription.name.as_str();
        let complain = |key: &str, message: String| table.get(key).map(|node| node.problem(message));
        if let Some(first) = names.insert(name, table) {
            let line = first.get("name").and_then(|node| node.place.line).unwrap_or_default();
            problems
                .extend(complain("name", format!("{name:?} is the name of the subscription in line {line} already")));
        }
        let both = (subscription.source.reveal(), subscription.target.canonical());
        if let Some(first) = ends.insert(both, name) {
            problems
                .extend(complain("source", format!("{first:?} mirrors the same source into the same target already")));
        }
        let is_input = matches!(subscription.source, SourceAddress::StandardInput { .. });
        if let Some(first) = is_input.then(|| standard_input.replace(name)).flatten() {
            problems.extend(complain("source", format!("{first:?} reads standard input already")));
        }
    }
}
