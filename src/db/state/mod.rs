//! The state file: what must survive between invocations, in SQLite. It is a cache: losing it costs one slower pass.
//! Only this folder names the crate `rusqlite`.

mod answer;
mod aside;
mod claim;
mod owner;
mod proof;
mod record;
mod schema;
mod subscription;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::backup::Backup;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, params};

pub use aside::Aside;
pub use claim::{Neighbour, Prefix};
pub use owner::{Handle, Owner};
pub use record::{ForeignObject, Intent, OthersObject};
pub use subscription::{Identity, Summary, Tally};

use crate::files;
use crate::words::error::{Kind, OrFault, fault, sentence};

use proof::Whose;

/// How long to wait for another process that is writing before giving up.
const BUSY: Duration = Duration::from_secs(30);

/// The identity of a subscription in the state.
pub type Id = i64;

/// An open state file.
pub struct State {
    connection: Connection,
}

impl State {
    /// Opens the state file, creates it (private to the user) if it is missing, and migrates its schema. A damaged
    /// state is set aside with a message; a new one is rebuilt by looking at the targets. A file that is not provably
    /// a state of ours is an error, and is left untouched.
    pub fn open(path: &Path) -> anyhow::Result<State> {
        proof::whose(path)?;
        files::make_private(path)?;
        let opened = State::open_file(path).or_else(|error| {
            if !is_damage(&error) {
                return Err(error);
            }
            State::set_aside(path)?;
            files::make_private(path)?;
            State::open_file(path)
        });
        opened.or_fault(Kind::State, || format!("cannot open the state file {}", path.display()))
    }

    fn open_file(path: &Path) -> anyhow::Result<State> {
        State::prepare(Connection::open(path)?)
    }

    /// Checks a state file that caused an error, and sets it aside if it is damaged or holds what we cannot have
    /// written; returns whether it did.
    pub fn set_aside_if_damaged(path: &Path) -> anyhow::Result<bool> {
        if proof::whose(path)? != Whose::Ours {
            return Ok(false);
        }
        let check = || {
            let state = State::open_file(path)?;
            state.connection.execute_batch("BEGIN")?;
            let verdict: String = state.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
            // The whole file was just read under a lock, so an error now is caused by its content.
            Ok::<_, anyhow::Error>(verdict != "ok" || state.read_everything().is_err())
        };
        let damaged = check().unwrap_or_else(|error| is_damage(&error));
        if damaged {
            State::set_aside(path)?;
        }
        Ok(damaged)
    }

    /// Reads everything that a run may read.
    fn read_everything(&self) -> anyhow::Result<()> {
        for Summary { id, .. } in self.subscriptions()? {
            self.records(id)?;
            self.foreign_objects(id)?;
            self.journal(id)?;
            self.suspects(id)?;
        }
        let targets = self
            .statement("SELECT target FROM calendar")?
            .query_map([], |row| row.get(0))?
            .collect::<Result<Vec<String>, _>>()?;
        targets.iter().try_for_each(|target| self.remembered(target).map(drop))
    }

    fn set_aside(path: &Path) -> anyhow::Result<()> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let aside = with_suffix(path, &format!(".damaged-{seconds}"));
        let failed = || format!("cannot set the damaged state file {} aside", path.display());
        std::fs::rename(path, &aside).or_fault(Kind::State, failed)?;
        // A journal left behind would be played back into the new file.
        let _ = std::fs::rename(with_suffix(path, "-journal"), with_suffix(&aside, "-journal"));
        log::warn!(
            "the state file was damaged and is now {}; a new one is made by comparing with the targets, which loses nothing",
            aside.display()
        );
        Ok(())
    }

    /// Opens an existing state file read-only; `None` if there is none. Nothing is created, migrated or set aside: an
    /// older version is migrated in a copy in memory.
    pub fn open_to_read(path: &Path) -> anyhow::Result<Option<State>> {
        match proof::whose(path)? {
            Whose::Nobodys => Ok(None),
            Whose::Ours => State::read_file(path).map(Some).map_err(|error| {
                let text = if is_half_written(&error) {
                    "a run was killed while it wrote it; the next run repairs it".to_owned()
                } else {
                    sentence(&error)
                };
                fault(Kind::State, format!("cannot read the state file {}: {text}", path.display()))
            }),
        }
    }

    fn read_file(path: &Path) -> anyhow::Result<State> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        if schema::is_current(&connection)? {
            connection.set_prepared_statement_cache_capacity(64);
            return Ok(State { connection });
        }
        let mut copy = Connection::open_in_memory()?;
        Backup::new(&connection, &mut copy)?.run_to_completion(i32::MAX, Duration::ZERO, None)?;
        State::prepare(copy)
    }

    /// Opens an existing state file to store a person's answer. Nothing is created, migrated or locked for long, and
    /// no link is followed: the file may belong to another user, as whom systemd starts the program.
    pub fn open_to_answer(path: &Path) -> anyhow::Result<State> {
        let none = || fault(Kind::Usage, format!("there is no state file {}: nothing has run yet", path.display()));
        if proof::whose(path)? == Whose::Nobodys {
            return Err(none());
        }
        // systemd makes the folder of a unit's state reachable by a link; the file itself must not be one.
        let place = files::in_real_folder(path)?;
        files::check_untouched(&place)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let opened = Connection::open_with_flags(&place, flags).map_err(anyhow::Error::from).and_then(|connection| {
            connection.busy_timeout(BUSY)?;
            if !schema::is_current(&connection)? {
                return Err(fault(Kind::State, "it is of an older version; the next run brings it up to date"));
            }
            Ok(State { connection })
        });
        opened.or_fault(Kind::State, || format!("cannot open the state file {}", path.display()))
    }

    /// A state that is not stored: for dry runs without a state file, and for tests.
    pub fn in_memory() -> anyhow::Result<State> {
        let connection = Connection::open_in_memory().or_fault(Kind::State, || "no memory for a state".to_owned())?;
        State::prepare(connection).or_fault(Kind::State, || "no memory for a state".to_owned())
    }

    /// Returns errors of SQLite, and one for a file of a newer program.
    fn prepare(connection: Connection) -> anyhow::Result<State> {
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.execute_batch(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;
             PRAGMA temp_store = MEMORY;",
        )?;
        schema::migrate(&connection)?;
        Ok(State { connection })
    }

    /// Begins a transaction if none is open. Everything until [`State::commit`] becomes durable together.
    pub fn begin(&self) -> anyhow::Result<()> {
        if self.connection.is_autocommit() {
            self.run("BEGIN IMMEDIATE", [])?;
        }
        Ok(())
    }

    /// Makes everything durable that was written since [`State::begin`].
    pub fn commit(&self) -> anyhow::Result<()> {
        if !self.connection.is_autocommit() {
            self.run("COMMIT", [])?;
        }
        Ok(())
    }

    /// The challenge of a server that an earlier run remembered; `server` is its origin and user.
    pub fn challenge(&self, server: &str) -> anyhow::Result<Option<String>> {
        let mut statement = self.statement("SELECT text FROM challenge WHERE server = ?1")?;
        statement.query_row([server], |row| row.get(0)).optional().or_fault(Kind::State, reading)
    }

    /// Remembers a server's challenge for the next run.
    pub fn set_challenge(&self, server: &str, text: &str) -> anyhow::Result<()> {
        self.run("INSERT OR REPLACE INTO challenge (server, text) VALUES (?1, ?2)", params![server, text])
    }

    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> anyhow::Result<()> {
        self.statement(sql)?.execute(parameters).or_fault(Kind::State, writing)?;
        Ok(())
    }

    fn statement(&self, sql: &str) -> anyhow::Result<rusqlite::CachedStatement<'_>> {
        self.connection.prepare_cached(sql).or_fault(Kind::State, reading)
    }
}

/// Whether a file is damaged: SQLite says so, a table lacks our columns, or a value is none of ours. Any other error
/// is about the disk, permissions or another process.
fn is_damage(error: &anyhow::Error) -> bool {
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>());
    cause.is_some_and(|cause| match cause.sqlite_error_code() {
        Some(code) => matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::Unknown),
        None => true,
    })
}

/// Whether a journal must be played back, which requires write permission.
fn is_half_written(error: &anyhow::Error) -> bool {
    let code = error
        .downcast_ref::<rusqlite::Error>()
        .and_then(rusqlite::Error::sqlite_error)
        .map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_READONLY_ROLLBACK)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn reading() -> String {
    "cannot read the state file".to_owned()
}

fn writing() -> String {
    "cannot write the state file".to_owned()
}
