//! The two ends of a subscription as values: where a feed comes from, where it goes to.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::config::{SecretSource, Server};
use crate::dav::discover::CalendarAddress;
use crate::words::url::PrivateUrl;

/// How long a request may take, in seconds, each at least 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Timeouts {
    /// Until the connection must stand.
    pub connect: u64,
    /// Within which at least one octet must arrive.
    pub idle: u64,
    /// For the whole request.
    pub total: u64,
}

/// Certificates that count beside those of the system, as PEM files with absolute paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Tls {
    /// A CA, or the server's own certificate.
    pub ca: Option<PathBuf>,
    /// Our own certificate with its chain, for a server that asks for one.
    pub cert: Option<PathBuf>,
    /// The key of `cert`; `None` when it stands in that file.
    pub key: Option<PathBuf>,
}

/// Where a feed comes from. It prints without anything secret.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one for each subscription, and most are of the large kind")]
pub enum SourceAddress {
    /// An http or https address.
    Web {
        /// Path and query are secrets.
        url: PrivateUrl,
        /// What to send as User-Agent; `None` for the default of the host.
        user_agent: Option<String>,
        /// A larger body is refused, in octets.
        max_size: u64,
        /// How long to wait.
        timeouts: Timeouts,
        /// Whom to trust, and whom to be.
        tls: Tls,
        /// For a feed that asks for them.
        credentials: Option<SourceCredentials>,
    },
    /// A file of this machine.
    File {
        /// Absolute.
        path: PathBuf,
        /// A larger file is refused, in octets.
        max_size: u64,
    },
    /// Standard input.
    StandardInput {
        /// A larger feed is refused, in octets.
        max_size: u64,
    },
}

/// What a feed's server wants to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceCredentials {
    /// User and password, for Basic or Digest as the server asks.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: SecretSource,
    },
    /// A token for `Authorization: Bearer`.
    Bearer(SecretSource),
    /// A token in a header of its own.
    Header {
        /// The header's name.
        name: String,
        /// Its value.
        value: SecretSource,
    },
}

impl SourceAddress {
    /// The whole address in one canonical form, for hashing and comparing, never for printing.
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

/// Where a feed goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetAddress {
    /// A folder of .ics files, absolute.
    Folder(PathBuf),
    /// A calendar of a server.
    Calendar {
        /// Whose credentials are used.
        server: Arc<Server>,
        /// Which one.
        calendar: CalendarAddress,
    },
}

impl TargetAddress {
    /// What the state keys ownership by: the resolved address, the server's address and the calendar's name, or the
    /// absolute path of the folder.
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
