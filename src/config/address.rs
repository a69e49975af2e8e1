//! The two ends of a subscription as values: the source of a feed and its target.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{SecretSource, Server};
use crate::dav::discover::CalendarAddress;
use crate::words::url::PrivateUrl;

/// Time-outs of a request, in seconds, each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// To establish the connection.
    pub connect: u64,
    /// Without receiving a single octet.
    pub idle: u64,
    /// For the whole request.
    pub total: u64,
}

/// Certificates in addition to those of the system, as PEM files with absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// A CA, or the server's own certificate.
    pub ca: Option<PathBuf>,
    /// Our own certificate with its chain, for a server that asks for one.
    pub cert: Option<PathBuf>,
    /// The key of `cert`; `None` if that file contains it.
    pub key: Option<PathBuf>,
}

/// The source of a feed. Its `Debug` and `Display` output contains no secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for each subscription, and most are of the large kind")]
pub enum SourceAddress {
    /// An http or https address.
    Web {
        /// Path and query are secret.
        url: PrivateUrl,
        /// The User-Agent to send; `None` for the default of the host.
        user_agent: Option<String>,
        /// The largest accepted body, in octets.
        max_size: u64,
        /// Time-outs.
        timeouts: Timeouts,
        /// Certificates to trust and to present.
        tls: Tls,
        /// Credentials, if the feed requires them.
        credentials: Option<SourceCredentials>,
    },
    /// A local file.
    File {
        /// An absolute path.
        path: PathBuf,
        /// The largest accepted file, in octets.
        max_size: u64,
    },
    /// Standard input.
    StandardInput {
        /// The largest accepted feed, in octets.
        max_size: u64,
    },
}

/// Credentials for the server of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceCredentials {
    /// User and password, for Basic or Digest as the server requests.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A token for `Authorization: Bearer`.
    Bearer(SecretSource),
    /// A token in a custom header.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: SecretSource,
    },
}

impl SourceAddress {
    /// The whole address in one canonical form, for hashing and comparing; never print it.
    pub fn reveal(&self) -> String {
        match self {
            SourceAddress::Web { url, .. } => url.0.reveal().to_owned(),
            SourceAddress::File { path, .. } => format!("file:{}", path.display()),
            SourceAddress::StandardInput { .. } => "-".to_owned(),
        }
    }
}

impl fmt::Display for SourceAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourceAddress::Web { url, .. } => write!(formatter, "{url}"),
            SourceAddress::File { path, .. } => write!(formatter, "{}", path.display()),
            SourceAddress::StandardInput { .. } => formatter.write_str("standard input"),
        }
    }
}

/// The target of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAddress {
    /// A folder of .ics files, absolute.
    Folder(PathBuf),
    /// A calendar of a server.
    Calendar {
        /// The server whose credentials are used.
        server: Arc<Server>,
        /// The calendar on that server.
        calendar: CalendarAddress,
    },
}

impl TargetAddress {
    /// The key under which the state records ownership: the resolved address, the server's address and the calendar's
    /// name, or `dir:` and the absolute path of the folder.
    pub fn canonical(&self) -> String {
        match self {
            TargetAddress::Calendar { server, calendar } => match calendar.url() {
                Some(url) => url.canonical(),
                None => format!("{} {}", server.url.as_collection().canonical(), calendar.words()),
            },
            TargetAddress::Folder(path) => format!("dir:{}", path.display()),
        }
    }
}

impl fmt::Display for TargetAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TargetAddress::Calendar { server, calendar } => match calendar.url() {
                Some(url) => write!(formatter, "{url}"),
                None => write!(formatter, "{} on {}", calendar.words(), server.url),
            },
            TargetAddress::Folder(path) => write!(formatter, "dir:{}", path.display()),
        }
    }
}
