//! A secret that cannot be printed.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A password or token. It has no `Display`, and its `Debug` output is redacted.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, only to be sent.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// A secret fetched once, on first use: a pass that sends nothing runs no command for it.
pub struct LateSecret {
    fetch: Box<dyn Fn() -> anyhow::Result<Secret> + Send + Sync>,
    fetched: Mutex<Option<Secret>>,
}

impl LateSecret {
    /// A secret that `fetch` provides.
    pub fn new(fetch: impl Fn() -> anyhow::Result<Secret> + Send + Sync + 'static) -> LateSecret {
        LateSecret { fetch: Box::new(fetch), fetched: Mutex::new(None) }
    }

    /// The secret. Fails if it cannot be fetched.
    pub fn get(&self) -> anyhow::Result<Secret> {
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(secret) = &*fetched {
            return Ok(secret.clone());
        }
        let secret = (self.fetch)()?;
        *fetched = Some(secret.clone());
        Ok(secret)
    }
}

impl From<Secret> for LateSecret {
    fn from(secret: Secret) -> LateSecret {
        LateSecret::new(move || Ok(secret.clone()))
    }
}

impl fmt::Debug for LateSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LateSecret(…)")
    }
}

/// The credentials for one origin.
#[derive(Debug)]
pub enum Credentials {
    /// User and password, for Basic or Digest as the server requests (RFC 7617, RFC 7616).
    Password {
        /// The user name.
        user: String,
        /// The password.
        password: LateSecret,
    },
    /// A token for `Authorization: Bearer` (RFC 6750).
    Bearer(LateSecret),
}
