//! The commands: each puts the parts together and gives what to print and the exit code.

pub mod check;
pub mod completions;
