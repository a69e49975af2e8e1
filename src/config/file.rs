//! The configuration file: finds it, reads it and turns it into a tree. The only file that names the crate `toml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::tree::{Node, Origin, Place, Table, Value};
use crate::config::{Environment, Problem, Where};

const SYSTEM_WIDE: &str = "/etc/baikal-sync/config.toml";

/// The file to read. The first existing one is used; files are not merged.
pub(super) enum Found {
    /// This file, as an absolute path.
    File(PathBuf),
    /// None of these files exists.
    Nothing(Vec<PathBuf>),
}

/// Finds the configuration file: that of a profile, or `--config`, `$BAIKAL_SYNC_CONFIG`, the user's folder, /etc.
pub(super) fn find(arguments: &Where, environment: &Environment) -> Found {
    if let Some(profile) = &arguments.profile {
        return Found::File(of_profile(profile, environment));
    }
    let named = arguments.config.clone().or_else(|| environment.get("BAIKAL_SYNC_CONFIG").map(PathBuf::from));
    if let Some(path) = named {
        return Found::File(environment.folder().join(path));
    }
    let user =
        environment.xdg_folder("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("baikal-sync/config.toml"));
    let places: Vec<PathBuf> = user.into_iter().chain([PathBuf::from(SYSTEM_WIDE)]).collect();
    // A file that exists but cannot be read is an error, not a reason to try the next one.
    match places.iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Found::File(path.clone()),
        None => Found::Nothing(places),
    }
}

/// The file of a profile. Inside its unit it is a credential, because the unit's user cannot read /etc/baikal-sync.
fn of_profile(profile: &str, environment: &Environment) -> PathBuf {
    let credential = environment.credentials_directory().map(|folder| folder.join("config.toml"));
    let standing = || Path::new(SYSTEM_WIDE).with_file_name(format!("{profile}.toml"));
    credential.filter(|path| path.is_file()).unwrap_or_else(standing)
}

/// Reads a file into a tree.
pub(super) fn read(path: &Path, environment: &Environment) -> Result<Table, Problem> {
    let top = Place { origin: Origin::of_file(path, environment), line: None, key: String::new() };
    let text = std::fs::read_to_string(path).map_err(|error| top.problem(format!("cannot be read: {error}")))?;
    parse(&text, &top.origin)
}

/// Parses the text of a file into a tree.
pub(super) fn parse(text: &str, origin: &Arc<Origin>) -> Result<Table, Problem> {
    let top = Place { origin: Arc::clone(origin), line: None, key: String::new() };
    let table = DeTable::parse(text).map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        Place { line, ..top.clone() }.problem(format!("not TOML: {}", error.message()))
    })?;
    Ok(table_of(text, table.get_ref(), top))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

fn table_of(text: &str, table: &DeTable<'_>, place: Place) -> Table {
    let nodes = table.iter().map(|(key, value)| {
        let line = Some(line_of(text, key.span().start));
        let below = Place { line, ..place.below(key.get_ref()) };
        (key.get_ref().to_string(), node_of(text, value, below))
    });
    Table { nodes: nodes.collect(), place }
}

fn node_of(text: &str, value: &Spanned<DeValue<'_>>, place: Place) -> Node {
    let made = match value.get_ref() {
        DeValue::String(string) => Value::Text(string.to_string()),
        DeValue::Boolean(truth) => Value::Truth(*truth),
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Other(number.to_string()), Value::Number),
        DeValue::Array(values) => {
            let line = |value: &Spanned<_>| Some(line_of(text, value.span().start));
            let nodes = values.iter().map(|value| node_of(text, value, Place { line: line(value), ..place.clone() }));
            Value::List(nodes.collect())
        }
        DeValue::Table(table) => Value::Table(table_of(text, table, place.clone())),
        DeValue::Float(number) => Value::Other(number.as_str().to_owned()),
        DeValue::Datetime(moment) => Value::Other(moment.to_string()),
    };
    Node { place, value: made }
}
