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
    fn a_subscription_of_an_older_file_is_where_its_target_was_found() {
        let connection = Connection::open_in_memory().unwrap();
        let old = format!("{} PRAGMA user_version = 1;", MIGRATIONS[0]);
        let rows = "INSERT INTO subscription (name, target) VALUES ('a', 'http://h/ c'), ('b', 'dir:/d');
             INSERT INTO calendar VALUES ('http://h/ c', 'http://h/c/', 'sabre', 1, 0, '')";
        connection.execute_batch(&format!("{old} {rows}")).unwrap();
        migrate(&connection).unwrap();
        let mut statement = connection.prepare("SELECT address FROM subscription ORDER BY name").unwrap();
        let addresses = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<String>, _>>().unwrap();
        assert_eq!(addresses, ["http://h/c/", "dir:/d"]);
    }

    #[test]
    fn migrating_twice_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection).unwrap();
        migrate(&connection).unwrap();
    }
}
