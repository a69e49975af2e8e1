//! What is stored in SQLite. Only this folder names the crate `rusqlite`.

pub mod state;
