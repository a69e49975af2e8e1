//! What is kept in SQLite. This folder alone names the crate `rusqlite`.

pub mod state;
