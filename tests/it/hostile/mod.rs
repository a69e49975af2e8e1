//! Feeds and servers that want to exhaust the program, to mislead it or to spy: it ends in time, with little memory, with
//! a sentence or with what remains, and goes nowhere else.

mod feeds;
mod servers;
mod transport;

/// Megabytes of address space that a run needs for itself, with its threads and the program in them.
const OVERHEAD: usize = 200;
