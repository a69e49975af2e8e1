//! Where a feed comes from: the trait for all kinds of sources.

pub mod file;
pub mod web;

use crate::model::Validators;

/// The result of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// 304: the feed still matches the validators.
    NotModified,
    /// The whole document; `ics` checks whether it is a calendar.
    Document {
        /// The body, decoded from its Content-Encoding.
        body: Vec<u8>,
        /// The charset given by the server.
        charset: Option<String>,
        /// For the next fetch.
        validators: Validators,
    },
}

/// One feed.
pub trait Source: Send + Sync {
    /// Fetches the feed unless it still matches the validators. Errors have a kind and name the feed without
    /// revealing its address.
    fn fetch(&self, validators: &Validators) -> anyhow::Result<Fetched>;
}
