//! A configuration as a tree of keys: the file, the environment and the command line all produce one, so that every
//! value is checked by the same code and every problem knows where its value was written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Environment, Problem};
use crate::words::secret::Secret;

/// Where a tree was read from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    /// Human-readable: the path of the file, `the environment` or `the command line`.
    pub name: String,
    /// The base of relative paths.
    pub folder: PathBuf,
    /// The expansion of `~/`.
    pub home: Option<PathBuf>,
}

impl Origin {
    /// The origin of values from the environment or the command line.
    pub(super) fn of_shell(name: &str, environment: &Environment) -> Arc<Origin> {
        let home = environment.get("HOME").map(PathBuf::from);
        Arc::new(Origin { name: name.to_owned(), folder: environment.folder().to_owned(), home })
    }

    /// The origin of values from a file, given by its absolute path.
    pub(super) fn of_file(path: &Path, environment: &Environment) -> Arc<Origin> {
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let home = environment.get("HOME").map(PathBuf::from);
        Arc::new(Origin { name: path.display().to_string(), folder, home })
    }

    /// Makes a path absolute as seen from this origin, without `.` and empty segments.
    pub(super) fn path(&self, written: &str) -> PathBuf {
        let path = match (&self.home, written.strip_prefix("~/")) {
            (Some(home), Some(below)) => home.join(below),
            _ => self.folder.join(written),
        };
        path.components().collect()
    }
}

/// Where a value was written and what it is called there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub origin: Arc<Origin>,
    /// Starts at 1; only files have lines.
    pub line: Option<usize>,
    /// `server.url`, `BAIKAL_URL`, `--source`; empty for a whole file.
    pub key: String,
}

impl Place {
    /// A place without a line.
    pub(super) fn of(origin: &Arc<Origin>, key: &str) -> Place {
        Place { origin: Arc::clone(origin), line: None, key: key.to_owned() }
    }

    /// Creates a problem at this place.
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        Problem { origin: self.origin.name.clone(), line: self.line, key: self.key.clone(), message: message.into() }
    }

    /// The place of a key below this one.
    pub(super) fn below(&self, key: &str) -> Place {
        let key = if self.key.is_empty() { key.to_owned() } else { format!("{}.{key}", self.key) };
        Place { key, ..self.clone() }
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    pub place: Place,
    pub value: Value,
}

impl Node {
    pub(super) fn problem(&self, message: impl Into<String>) -> Problem {
        self.place.problem(message)
    }
}

/// The value of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// A literal secret; a file cannot produce one.
    Secret(Secret),
    Number(u64),
    Truth(bool),
    List(Vec<Node>),
    Table(Table),
    /// A value that no key accepts: a date, a fraction, a negative number, as written.
    Other(String),
}

impl Value {
    /// This value at a place.
    pub(super) fn at(self, place: Place) -> Node {
        Node { place, value: self }
    }

    /// The value as shown in an error message.
    pub(super) fn shown(&self) -> String {
        match self {
            Value::Text(text) => format!("{text:?}"),
            Value::Secret(_) => "the value".to_owned(),
            Value::Number(number) => number.to_string(),
            Value::Truth(truth) => truth.to_string(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
            Value::Other(text) => text.clone(),
        }
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }
}

/// Keys with their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub place: Place,
    pub nodes: BTreeMap<String, Node>,
}

impl Table {
    /// A table without keys.
    pub(super) fn empty(place: Place) -> Table {
        Table { place, nodes: BTreeMap::new() }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Node> {
        self.nodes.get(key)
    }

    /// Sets a key, replacing its old value.
    pub(super) fn set(&mut self, key: &str, place: Place, value: Value) {
        self.nodes.insert(key.to_owned(), Node { place, value });
    }

    /// This table with the keys of another taking precedence.
    pub(super) fn overlaid(&self, over: &Table) -> Table {
        let mut nodes = self.nodes.clone();
        nodes.extend(over.nodes.clone());
        Table { place: over.place.clone(), nodes }
    }
}
