//! A secret that cannot be printed.

use std::fmt;

/// A password or token. It has no `Display`, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for sending only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// How to authenticate to one origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// User and password, for Basic or Digest as the server asks (RFC 7617, RFC 7616).
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A token for `Authorization: Bearer` (RFC 6750).
    Bearer(Secret),
}
