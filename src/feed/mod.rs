//! Where a feed comes from: the trait that every kind of source fulfils.

pub mod file;
pub mod web;

use crate::model::Validators;

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fetched {
    /// 304: the feed is what the validators stand for.
    NotModified,
    /// The whole document; whether it is a calendar is for `ics` to say.
    Document {
        /// The octets, decoded from their Content-Encoding.
        body: Vec<u8>,
        /// The charset that the server named.
        charset: Option<String>,
        /// For the next fetch.
        validators: Validators,
    },
}

/// One feed.
pub trait Source: Send + Sync {
    /// Fetches the feed, unless it is still what the validators stand for. Errors have a kind and name the feed
    /// without giving its address away.
    fn fetch(&self, validators: &Validators) -> anyhow::Result<Fetched>;
}
