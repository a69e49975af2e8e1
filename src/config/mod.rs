//! The settled configuration: what every key means once flags, environment, file and defaults have been weighed.
//! `load` makes it or tells every mistake at once; nothing is fetched and no secret is read before it is needed.

use std::path::PathBuf;
use std::sync::Arc;

use crate::words::error::{Kind, fault};
use crate::words::url::Url;

mod address;
mod edit;
mod env;
mod file;
mod load;
mod problem;
mod reader;
mod secret;
mod server;
mod source;
mod subscription;
mod target;
mod tree;

pub use address::{SourceAddress, SourceCredentials, TargetAddress, Timeouts, Tls};
pub use edit::without_subscription;
pub use env::Environment;
pub use load::{AD_HOC, load, state_file};
pub use problem::Problem;
pub use secret::SecretSource;

pub use crate::ics::Attendees;
pub use crate::plan::{Deletes, MaxDelete, OnConflict, OnDrift, OnEmpty, Rules};

/// Everything that a run needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Where it comes from, for people: the path of the file, `the environment` or `the command line`.
    pub origin: String,
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The state file, absolute.
    pub state: PathBuf,
    /// How many subscriptions run side by side, at least 1.
    pub jobs: usize,
    /// Every server, the default one first, the others by name.
    pub servers: Vec<Arc<Server>>,
    /// In the order of the file.
    pub subscriptions: Vec<Subscription>,
}

/// A CalDAV server and how to talk to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `default` for `[server]`, else the NAME of `[server.NAME]`.
    pub name: String,
    /// Any address from which its calendars can be found; targets that are paths are resolved against it.
    pub url: Url,
    /// For Basic and Digest; `None` with a token or for a server that asks for nothing.
    pub user: Option<String>,
    /// The password, or the token when `bearer` is set.
    pub secret: Option<SecretSource>,
    /// Whether the secret is a token for `Authorization: Bearer`.
    pub bearer: bool,
    /// Whom to trust, and whom to be.
    pub tls: Tls,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// One source mirrored into one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Unique in the configuration; `[A-Za-z0-9][A-Za-z0-9._-]*`.
    pub name: String,
    /// Where the feed comes from.
    pub source: SourceAddress,
    /// Where it goes to.
    pub target: TargetAddress,
    /// Seconds between two passes; 0 for every invocation.
    pub every: u64,
    /// Whether a missing calendar may be made.
    pub create: bool,
    /// How often the target is looked at when the feed has not changed.
    pub verify: Verify,
    /// What its plans go by.
    pub rules: Rules,
    /// What becomes of ORGANIZER and ATTENDEE.
    pub attendees: Attendees,
    /// Seconds of failure after which a temporary trouble needs a person.
    pub alert_after: u64,
}

/// How often the target is looked at when the feed has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verify {
    /// In every pass.
    Always,
    /// Not at all.
    Never,
    /// When the last look is older than this, in seconds.
    Every(u64),
}

/// What the command line says about where things are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state`
    pub state: Option<PathBuf>,
    /// `--profile`: takes the place of `config`.
    pub profile: Option<String>,
}

/// A subscription given on the command line; it takes the place of those of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdHoc {
    /// `--source`
    pub source: String,
    /// `--target`
    pub target: String,
}

/// Every key of the configuration file, for the test that holds the manual against them.
pub fn keys() -> Vec<&'static str> {
    [load::KEYS, server::KEYS, &subscription::keys()].concat()
}

impl Config {
    /// The server of this name, or the default one.
    pub fn server(&self, name: Option<&str>) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| server.name == name.unwrap_or(server::DEFAULT))
    }

    /// The subscriptions of these names in the order of the file; all of them when no name is given. A name that does
    /// not exist is an error of kind [`Kind::Usage`].
    pub fn choose(&self, names: &[String]) -> anyhow::Result<Vec<&Subscription>> {
        let known: Vec<&str> = self.subscriptions.iter().map(|each| each.name.as_str()).collect();
        if let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) {
            let advice = match reader::nearest(name, &known) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("there are: {}", known.join(", ")),
            };
            return Err(fault(Kind::Usage, format!("there is no subscription {name:?}; {advice}")));
        }
        Ok(self.subscriptions.iter().filter(|each| names.is_empty() || names.contains(&each.name)).collect())
    }

    /// The mistake of a configuration that gives a run nothing to do. It is none for the commands that only ask a
    /// server, such as `calendars`, with which a configuration begins.
    pub fn without_subscriptions(&self) -> Option<Problem> {
        self.subscriptions.is_empty().then(|| Problem {
            origin: self.origin.clone(),
            line: None,
            key: if self.file.is_some() { "subscription" } else { "ICS_URL" }.to_owned(),
            message: "is missing, so there is nothing to mirror".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests;
