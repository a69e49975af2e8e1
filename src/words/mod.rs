//! Shared vocabulary: errors, addresses, times, secrets, digests, and HTTP messages as values.

pub mod digest;
pub mod error;
pub mod message;
pub mod secret;
pub mod shown;
pub mod time;
pub mod url;
