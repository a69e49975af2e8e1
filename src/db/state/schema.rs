//! The schema of the state file, as numbered migrations.

use rusqlite::Connection;

use crate::words::error::{Kind, fault};

/// In order; the number of a migration is its position, starting at one.
const MIGRATIONS: [&str; 4] = [
    include_str!("migrations/001.sql"),
    include_str!("migrations/002.sql"),
    include_str!("migrations/003.sql"),
    include_str!("migrations/004.sql"),
];

/// The migration that marks a file as ours.
pub(super) const FIRST_MARKED: u32 = 3;

/// The `application_id` that SQLite keeps in the header of a state file: `BAIK`.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"BAIK");

/// Migrates the schema. The number of the last migration is read inside the transaction that applies the others, so
/// that several processes may start at once. A file of a newer program is refused.
pub(super) fn migrate(connection: &Connection) -> anyhow::Result<()> {
    if is_current(connection)? {
        return Ok(());
    }
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let migrated = apply_missing(connection);
    connection.execute_batch(if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    migrated
}

fn apply_missing(connection: &Connection) -> anyhow::Result<()> {
    let applied = version(connection)? as usize;
    for migration in MIGRATIONS.iter().skip(applied) {
        connection.execute_batch(migration)?;
    }
    connection.execute_batch(&format!("PRAGMA user_version = {}", MIGRATIONS.len()))?;
    Ok(())
}

/// Whether there is nothing to apply; an error for a file of a newer program.
pub(super) fn is_current(connection: &Connection) -> anyhow::Result<bool> {
    let applied = version(connection)? as usize;
    if applied > MIGRATIONS.len() {
        let text = "it was written by a newer version of baikal-sync; update the program, or move the file away";
        return Err(fault(Kind::State, text));
    }
    Ok(applied == MIGRATIONS.len())
}

fn version(connection: &Connection) -> rusqlite::Result<u32> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated(sql: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        migrate(&connection).unwrap();
        connection
    }

    #[test]
    fn a_file_of_a_newer_program_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(migrate(&connection).unwrap_err().to_string().contains("newer version"));
    }

    #[test]
    fn a_subscription_of_an_older_file_is_where_its_target_was_found() {
        let old = format!("{} PRAGMA user_version = 1;", MIGRATIONS[0]);
        let rows = "INSERT INTO subscription (name, target) VALUES ('a', 'http://h/ c'), ('b', 'dir:/d');
             INSERT INTO calendar VALUES ('http://h/ c', 'http://h/c/', 'sabre', 1, 0, '')";
        let connection = migrated(&format!("{old} {rows}"));
        let mut statement = connection
            .prepare("SELECT address FROM ends JOIN subscription ON id = subscription ORDER BY name")
            .unwrap();
        let addresses = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
        assert_eq!(addresses, ["http://h/c/", "dir:/d"]);
    }

    #[test]
    fn the_last_migration_marks_the_file_as_ours() {
        let connection = migrated("");
        let id: u32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
        assert_eq!(id, APPLICATION_ID);
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        migrate(&migrated("")).unwrap();
    }
}
