//! A mistake in the configuration: its location, its key, and what is allowed.

use std::fmt;

/// One mistake. It prints as `config.toml:12: subscription.every: "soon" is not a duration; allowed: …`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// The file, or `the environment` or `the command line`.
    pub origin: String,
    /// The line in the file, starting at 1.
    pub line: Option<usize>,
    /// The key, variable or flag; empty if the mistake is not about one.
    pub key: String,
    /// What is wrong and what is allowed. Never contains a secret or a feed's address.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.origin)?;
        if let Some(line) = self.line {
            write!(formatter, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": {}", self.key)?;
        }
        write!(formatter, ": {}", self.message)
    }
}
