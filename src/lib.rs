//! baikal-sync mirrors ICS feeds into calendars.

pub mod cli;
pub mod collection;
pub mod commands;
pub mod config;
pub mod dav;
pub mod error;
pub mod exit;
pub mod files;
pub mod http;
pub mod ics;
pub mod model;
pub mod secret;
pub mod signal;
pub mod source;
pub mod state;
pub mod time;
pub mod url;
pub mod wire;
