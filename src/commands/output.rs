//! Where output goes: results to standard output, messages to standard error, with priorities if that is the journal.

use std::fs::File;
use std::io::{IsTerminal, Stdout, Write, stderr, stdin, stdout};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

use log::{Level, LevelFilter};

use crate::cli::{Color, Global};
use crate::config::Environment;
use crate::report::human::{Line, Listener, Weight};

/// The two streams of the program, and who reads them.
pub(super) struct Output {
    /// Who reads standard error.
    pub(super) listener: Listener,
    /// Whether a person at a terminal waits for the output.
    pub(super) is_attended: bool,
    results: Stdout,
    quiet: u8,
    colored: bool,
}

impl Output {
    /// Finds out who reads the output, and sets up the log.
    pub(super) fn new(global: &Global, environment: &Environment) -> Output {
        let is_attended = stdin().is_terminal() || stdout().is_terminal() || stderr().is_terminal();
        let listener = if is_journal(environment) {
            Listener::Journal
        } else if is_attended || global.verbose > 0 {
            Listener::Terminal
        } else {
            Listener::Nobody
        };
        let colored = match global.color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => stderr().is_terminal() && environment.get("NO_COLOR").is_none(),
        };
        set_up_log(global.verbose, listener);
        Output { listener, is_attended, results: stdout(), quiet: global.quiet, colored }
    }

    /// Prints a result; a closed pipe is not an error.
    pub(super) fn result(&self, text: &str) {
        let mut results = self.results.lock();
        let _ = results.write_all(text.as_bytes()).and_then(|()| results.flush());
    }

    /// Reports one line about a subscription.
    pub(super) fn say(&self, line: &Line, listener: Listener) {
        if line.weight == Weight::Info {
            if self.quiet > 0 {
                return;
            }
            if listener == Listener::Terminal {
                return self.result(&format!("{}\n", line.text));
            }
        }
        if self.quiet < 2 {
            self.talk(line.weight, &line.text);
        }
    }

    /// Reports what stopped a command.
    pub(super) fn error(&self, text: &str) {
        self.talk(Weight::Error, text);
    }

    /// Whether a progress bar would be visible and wanted.
    pub(super) fn shows_progress(&self) -> bool {
        self.quiet == 0 && self.listener == Listener::Terminal && stderr().is_terminal()
    }

    fn talk(&self, weight: Weight, text: &str) {
        let text = match self.listener {
            Listener::Journal => format!("<{}>{text}\n", weight as u8),
            _ if self.colored && weight == Weight::Error => format!("\u{1b}[31m{text}\u{1b}[0m\n"),
            _ if self.colored && weight == Weight::Warning => format!("\u{1b}[33m{text}\u{1b}[0m\n"),
            _ => format!("{text}\n"),
        };
        let _ = stderr().write_all(text.as_bytes());
    }
}

/// Whether standard error is the journal: systemd passes its device and inode.
fn is_journal(environment: &Environment) -> bool {
    let Some((device, inode)) = environment.get("JOURNAL_STREAM").and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let copy = stderr().as_fd().try_clone_to_owned().map(File::from);
    copy.and_then(|file| file.metadata())
        .is_ok_and(|metadata| metadata.dev().to_string() == device && metadata.ino().to_string() == inode)
}

/// The log goes to standard error. That of the dependencies is capped at info whatever `RUST_LOG` says: ureq prints
/// addresses and Authorization headers at trace.
fn set_up_log(verbose: u8, listener: Listener) {
    let level = match verbose {
        0 => LevelFilter::Warn,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        _ => LevelFilter::Trace,
    };
    let mut builder = env_logger::Builder::new();
    builder.filter_level(LevelFilter::Warn).filter_module("baikal_sync", level);
    // It warns of rules that are cut off, about which nobody can do anything.
    builder.filter_module("rrule", LevelFilter::Error);
    if let Some(own) = std::env::var("RUST_LOG").ok().and_then(|text| text.parse::<LevelFilter>().ok()) {
        builder.filter_level(own.min(LevelFilter::Info)).filter_module("baikal_sync", own.max(level));
    }
    builder.format(move |formatter, record| {
        let prefix = match (listener, record.level()) {
            (Listener::Journal, Level::Error) => "<3>",
            (Listener::Journal, Level::Warn) => "<4>",
            (Listener::Journal, Level::Info) => "<6>",
            (Listener::Journal, _) => "<7>",
            _ => "",
        };
        writeln!(formatter, "{prefix}{}", record.args())
    });
    // A second call in one process, as in tests, keeps the first log.
    let _ = builder.try_init();
}
