//! The schema of the state file, as numbered migrations.

use rusqlite::Connection;

use crate::error::{Kind, fault};

/// In order; the number of a migration is its place, counted from one.
const MIGRATIONS: [&str; 2] = [include_str!("migrations/001.sql"), include_str!("migrations/002.sql")];

/// Applies what is missing, each migration in its own transaction. A file of a newer program is refused.
pub(super) fn migrate(connection: &Connection) -> anyhow::Result<()> {
    let applied: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let applied = applied as usize;
    if applied > MIGRATIONS.len() {
        let text = "it was written by a newer version of baikal-sync; update the program, or move the file away";
        return Err(fault(Kind::State, text));
    }
    for (number, migration) in MIGRATIONS.iter().enumerate().skip(applied) {
        let version = number + 1;
        let sql = format!("BEGIN IMMEDIATE; {migration} PRAGMA user_version = {version}; COMMIT;");
        connection.execute_batch(&sql)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_a_newer_program_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(migrate(&connection).unwrap_err().to_string().contains("newer version"));
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection).unwrap();
        migrate(&connection).unwrap();
    }
}
