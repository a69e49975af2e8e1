//! The environment as a value, so that a test can give one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The variables and the current folder that the shell hands down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    folder: PathBuf,
}

impl Environment {
    /// An environment of these variables and this current folder (absolute).
    pub fn new<K: Into<String>, V: Into<String>>(
        variables: impl IntoIterator<Item = (K, V)>,
        folder: impl Into<PathBuf>,
    ) -> Environment {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Environment { variables, folder: folder.into() }
    }

    /// The environment of this process. A variable that is not UTF-8 is left out.
    pub fn of_process() -> Environment {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Environment::new(std::env::vars_os().filter_map(text), folder)
    }

    /// The value of a variable; `None` when it is unset or empty.
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
}
