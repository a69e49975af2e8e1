//! The environment as a value, so that tests can supply one, and its variables as configuration keys.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Problem;
use crate::config::secret::{PASSWORD, TOKEN};
use crate::config::server::has_default;
use crate::config::tree::{Origin, Place, Table, Value};
use crate::words::secret::Secret;

/// The variables and the current folder of the process.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Environment({} variables, {})", self.variables.len(), self.folder.display())
    }
}

impl Environment {
    /// An environment with these variables and this current folder (absolute).
    pub fn new<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
        folder: impl Into<PathBuf>,
    ) -> Environment {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Environment { variables, folder: folder.into() }
    }

    /// The environment of this process. Variables that are not UTF-8 are left out.
    pub fn of_process() -> Environment {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Environment::new(std::env::vars_os().filter_map(text), folder)
    }

    /// The value of a variable; `None` if it is unset or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The current folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// `$CREDENTIALS_DIRECTORY`, where systemd puts the credentials of a unit.
    pub fn credentials_directory(&self) -> Option<PathBuf> {
        self.get("CREDENTIALS_DIRECTORY").map(PathBuf::from)
    }

    /// A folder of the XDG base directory specification, or its default below the home. A relative one is ignored, as
    /// that specification requires.
    pub(super) fn xdg_folder(&self, name: &str, below_home: &str) -> Option<PathBuf> {
        let named = self.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        named.or_else(|| Some(Path::new(self.get("HOME")?).join(below_home)))
    }
}

/// The default interval of the original daemon.
const SYNC_FREQUENCY: &str = "5m";

/// The name of the subscription defined by the environment.
const NAME: &str = "environment";

/// Overrides values of the file with those of the environment.
pub(super) struct Overlay<'a> {
    environment: &'a Environment,
    origin: Arc<Origin>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Overlay<'a> {
    pub(super) fn new(environment: &'a Environment, problems: &'a mut Vec<Problem>) -> Overlay<'a> {
        Overlay { environment, origin: Origin::of_shell("the environment", environment), problems }
    }

    fn place(&self, variable: &str) -> Place {
        Place::of(&self.origin, variable)
    }

    fn set(&self, table: &mut Table, key: &str, variable: &str) {
        if let Some(value) = self.environment.get(variable) {
            table.set(key, self.place(variable), Value::Text(value.to_owned()));
        }
    }

    /// Lets `BAIKAL_USER`, `BAIKAL_PASS` and `BAIKAL_PASS_FILE` override the keys of `[server]`, and uses
    /// `BAIKAL_URL` if it has no `url`. User and password belong to a server; without one they are ignored.
    pub(super) fn server(&mut self, root: &mut Table) {
        let mut table = match root.get("server").map(|node| &node.value) {
            Some(Value::Table(table)) => table.clone(),
            Some(_) => return,
            None => Table::empty(self.place("")),
        };
        // A password in the file is for the server in that file, whatever the environment says.
        if table.get("url").is_none() {
            self.set(&mut table, "url", "BAIKAL_URL");
        }
        if has_default(&table) {
            self.credentials(&mut table);
            root.set("server", table.place.clone(), Value::Table(table));
        }
    }

    /// Overrides the credentials of a server with those of the environment.
    pub(super) fn credentials(&mut self, table: &mut Table) {
        self.set(table, "user", "BAIKAL_USER");
        let (password, file) = (self.environment.get("BAIKAL_PASS"), self.environment.get("BAIKAL_PASS_FILE"));
        if password.is_some() || file.is_some() {
            table
                .nodes
                .retain(|key, _| !PASSWORD.keys().contains(&key.as_str()) && !TOKEN.keys().contains(&key.as_str()));
        }
        if password.is_some() && file.is_some() {
            let place = self.place("BAIKAL_PASS_FILE");
            self.problems.push(place.problem("BAIKAL_PASS is set too; unset one of them"));
        }
        if let Some(password) = password {
            table.set("password", self.place("BAIKAL_PASS"), Value::Secret(Secret::new(password)));
        } else {
            self.set(table, "password_file", "BAIKAL_PASS_FILE");
        }
    }

    /// Turns `ICS_URL`, `CALENDAR_ID` and `SYNC_FREQUENCY` into the only subscription; together with subscriptions in
    /// a file it would be unclear which should win.
    pub(super) fn subscription(&mut self, root: &mut Table) {
        if self.environment.get("ICS_URL").is_none() {
            return;
        }
        if let Some(node) = root.get("subscription") {
            let line = node.place.line.map(|line| format!(":{line}")).unwrap_or_default();
            let file = format!("{}{line}", node.place.origin.name);
            let message = format!("is set, but {file} holds subscriptions; unset it, or move it into the file");
            self.problems.push(self.place("ICS_URL").problem(message));
            return;
        }
        let mut table = Table::empty(self.place(""));
        table.set("name", self.place(""), Value::Text(NAME.to_owned()));
        self.set(&mut table, "source", "ICS_URL");
        self.set(&mut table, "target", "BAIKAL_URL");
        self.set(&mut table, "target", "CALENDAR_ID");
        if table.get("target").is_none() {
            let message = "is not set, so the feed of ICS_URL has no target; set it to the address of the calendar";
            self.problems.push(self.place("BAIKAL_URL").problem(message));
            return;
        }
        self.every(root, &mut table);
        let place = table.place.clone();
        root.set("subscription", place.clone(), Value::List(vec![Value::Table(table).at(place)]));
    }

    fn every(&mut self, root: &Table, table: &mut Table) {
        let place = self.place("SYNC_FREQUENCY");
        let minutes = self.environment.get("SYNC_FREQUENCY");
        let defaults = root.get("defaults").map(|node| &node.value);
        let has_default = matches!(defaults, Some(Value::Table(defaults)) if defaults.get("every").is_some());
        match minutes.map(|minutes| (minutes, minutes.trim().parse::<u64>())) {
            Some((_, Ok(minutes @ 1..))) => table.set("every", place, Value::Text(format!("{minutes}m"))),
            Some((written, _)) => {
                self.problems
                    .push(place.problem(format!("{written:?} is not a number of minutes; allowed: a number from 1")));
            }
            None if has_default => {}
            None => table.set("every", place, Value::Text(SYNC_FREQUENCY.to_owned())),
        }
    }
}
