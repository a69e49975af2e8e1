//! The state file: what must survive between invocations, in SQLite. It is a cache: losing it costs one slower pass.
//! This folder alone names the crate `rusqlite`.

mod owner;
mod record;
mod schema;
mod subscription;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode, OptionalExtension, params};

pub use owner::{Handle, Owner};
pub use record::{ForeignObject, Intent, OthersObject};
pub use subscription::{Identity, Summary, Tally};

use crate::error::{Kind, OrFault};
use crate::files;

/// How long to wait for another process that is writing, before that is an error.
const BUSY: Duration = Duration::from_secs(30);

/// The identity of a subscription in the state.
pub type Id = i64;

/// An open state file.
pub struct State {
    connection: Connection,
}

impl State {
    /// Opens the state file, makes it (private to the user) if it is not there, and brings its schema up to date. A
    /// damaged file is set aside, and said so: a new one is rebuilt by looking at the targets.
    pub fn open(path: &Path) -> anyhow::Result<State> {
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

    /// Looks into a state file that made trouble, and sets it aside if it is damaged; whether it did so.
    pub fn set_aside_if_damaged(path: &Path) -> anyhow::Result<bool> {
        let check = || {
            let connection = Connection::open(path)?;
            connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0))
        };
        let damaged = match check() {
            Ok(verdict) => verdict != "ok",
            Err(error) => is_damage(&error.into()),
        };
        if damaged {
            State::set_aside(path)?;
        }
        Ok(damaged)
    }

    fn set_aside(path: &Path) -> anyhow::Result<()> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let aside = with_suffix(path, &format!(".damaged-{seconds}"));
        let failed = || format!("cannot set the damaged state file {} aside", path.display());
        std::fs::rename(path, &aside).or_fault(Kind::State, failed)?;
        // A journal that stayed would be played back into the new file.
        let _ = std::fs::rename(with_suffix(path, "-journal"), with_suffix(&aside, "-journal"));
        log::warn!(
            "the state file was damaged and is now {}; a new one is made by comparing with the targets, which loses nothing",
            aside.display()
        );
        Ok(())
    }

    /// Opens an existing state file for reading; `None` when there is none.
    pub fn open_to_read(path: &Path) -> anyhow::Result<Option<State>> {
        if !path.exists() {
            return Ok(None);
        }
        State::open(path).map(Some)
    }

    /// A state that nothing keeps: for dry runs without a state file, and for tests.
    pub fn in_memory() -> anyhow::Result<State> {
        let connection = Connection::open_in_memory().or_fault(Kind::State, || "no memory for a state".to_owned())?;
        State::prepare(connection).or_fault(Kind::State, || "no memory for a state".to_owned())
    }

    /// Errors are those of SQLite, but for a file of a newer program.
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

    /// Begins a transaction if none is open. Everything until [`State::commit`] becomes durable at once.
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

    /// What an earlier run remembered of a server's challenge; `server` is its origin and user.
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

fn is_damage(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
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
