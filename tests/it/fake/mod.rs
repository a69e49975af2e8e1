//! Servers that can misbehave on command, on a free port of the loopback.

pub(crate) mod dav;
pub(crate) mod dav_answer;
pub(crate) mod dav_store;
pub(crate) mod feed;
pub(crate) mod http;
pub(crate) mod memory;
pub(crate) mod tls;
