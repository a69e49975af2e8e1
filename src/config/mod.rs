//! The final configuration: the meaning of every key after combining flags, environment, file and defaults. `load`
//! builds it or reports all mistakes at once; nothing is fetched, and secrets are read only when needed.

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
    /// Human-readable origin: the path of the file, `the environment` or `the command line`.
    pub origin: String,
    /// The configuration file, if there is one.
    pub file: Option<PathBuf>,
    /// The state file, absolute.
    pub state: PathBuf,
    /// How many subscriptions run in parallel, at least 1.
    pub jobs: usize,
    /// All servers: the default one first, then the others by name.
    pub servers: Vec<Arc<Server>>,
    /// In the order of the file.
    pub subscriptions: Vec<Subscription>,
}

/// A CalDAV server and how to access it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `default` for `[server]`, otherwise the NAME of `[server.NAME]`.
    pub name: String,
    /// Any address from which its calendars can be found; targets that are paths are resolved against it.
    pub url: Url,
    /// For Basic and Digest; `None` with a token or for a server without authentication.
    pub user: Option<String>,
    /// The password, or the token if `bearer` is set.
    pub secret: Option<SecretSource>,
    /// Whether the secret is a token for `Authorization: Bearer`.
    pub bearer: bool,
    /// Certificates to trust and to present.
    pub tls: Tls,
    /// Time-outs.
    pub timeouts: Timeouts,
}

/// One source mirrored into one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Unique in the configuration; `[A-Za-z0-9][A-Za-z0-9._-]*`.
    pub name: String,
    /// Where the feed comes from.
    pub source: SourceAddress,
    /// Where the feed goes.
    pub target: TargetAddress,
    /// Seconds between two passes; 0 for every invocation.
    pub every: u64,
    /// Whether a missing calendar may be created.
    pub create: bool,
    /// How often the target is checked while the feed is unchanged.
    pub verify: Verify,
    /// The rules for its plans.
    pub rules: Rules,
    /// What happens to ORGANIZER and ATTENDEE.
    pub attendees: Attendees,
    /// Seconds after which a temporary failure needs a person.
    pub alert_after: u64,
}

/// How often the target is checked while the feed is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verify {
    /// In every pass.
    Always,
    /// Never.
    Never,
    /// If the last check is older than this, in seconds.
    Every(u64),
}

/// The locations given on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Where {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--state`
    pub state: Option<PathBuf>,
    /// `--profile`: used instead of `config`.
    pub profile: Option<String>,
}

/// A subscription given on the command line; replaces those of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdHoc {
    /// `--source`
    pub source: String,
    /// `--target`
    pub target: String,
}

/// Every key of the configuration file, for the test that compares them with the manual.
pub fn keys() -> Vec<&'static str> {
    [load::KEYS, server::KEYS, &subscription::keys()].concat()
}

impl Config {
    /// The server of this name; the default one for `None`.
    pub fn server(&self, name: Option<&str>) -> Option<&Arc<Server>> {
        self.servers.iter().find(|server| server.name == name.unwrap_or(server::DEFAULT))
    }

    /// The subscriptions of these names in the order of the file; all of them if no name is given. An unknown name is
    /// a [`Kind::Usage`].
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

    /// The mistake of a configuration without subscriptions, which gives a run nothing to do. It is none for commands
    /// that only query a server, such as `calendars`, which come first when writing a configuration.
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
