//! What a pass costs: whole runs of the release build on the loopback, `cargo bench`, or `cargo bench -- WORD` for the
//! rows whose name holds the word. Each row of the table is an aim of the project and what came out in this run. Times
//! are compared with those of another program doing the same (`curl`, a bare socket) in turns with ours, because the
//! machine is never quiet: the best of the runs, and the median behind it in brackets. Nothing here fails when it is
//! slow; a row that misses its aim says `MISSED`, one that cannot be measured here says why. The servers are fakes,
//! and sabre/dav where `tests/live/servers/start` has left one running.

// Clippy's `allow-unwrap-in-tests` does not reach a benchmark.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]
// The helpers of the tests follow their rules.
#![allow(clippy::format_push_string, clippy::format_collect, unreachable_pub, missing_docs)]
// Octets and counts become ratios for people.
#![allow(clippy::cast_precision_loss)]

/// A home, a configuration, a state and the program itself.
#[path = "../it/env.rs"]
#[allow(dead_code)] // Shared with the tests, which use other parts of it.
mod env;
/// A fake Baïkal.
#[path = "../it/fake/mod.rs"]
#[allow(dead_code)] // Shared with the tests, which use other parts of it.
mod fake;
/// What is mirrored.
mod feed;
/// Times and memory of processes.
mod measure;
/// A server of feeds.
mod origin;
/// What the bare PUTs cost.
mod puts;
/// The rows.
mod rows;
/// A real server.
#[path = "../live/server.rs"]
#[allow(dead_code)] // Shared with the tests, which use other parts of it.
mod server;

use std::path::Path;

/// One row of the table.
pub(crate) struct Row {
    work: &'static str,
    aim: &'static str,
    result: String,
    /// `None`: there is nothing to compare, or it could not be measured.
    met: Option<bool>,
}

impl Row {
    pub(crate) fn new(work: &'static str, aim: &'static str, result: String, met: bool) -> Row {
        Row { work, aim, result, met: Some(met) }
    }

    pub(crate) fn without(work: &'static str, aim: &'static str, why: &str) -> Row {
        Row { work, aim, result: format!("not measured: {why}"), met: None }
    }

    fn print(&self) {
        let verdict = self.met.map_or("", |met| if met { "met" } else { "MISSED" });
        println!("| {:<44} | {:<47} | {:<88} | {verdict:<6} |", self.work, self.aim, self.result);
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to see it built.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let words: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    println!("{}; {} cores", feed::origin(), std::thread::available_parallelism().map_or(0, usize::from));
    for (name, rows) in rows::ALL {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            rows().iter().for_each(Row::print);
        }
    }
}
