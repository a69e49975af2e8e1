//! Whose a file is: determined before anything is written, moved or repaired, and without writing.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::schema::{APPLICATION_ID, FIRST_MARKED};
use crate::files;
use crate::words::error::{Kind, fault};

/// What exists where the state should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Nothing, or an empty file, as left by a run that was killed while creating its state.
    Nobodys,
    /// A state of this program, possibly an old or damaged one.
    Ours,
}

/// The length of SQLite's file header.
const HEADER: usize = 100;
/// The tables of a file from before `application_id` was set.
const OLD_TABLES: [&str; 5] = ["subscription", "record", "foreign_object", "calendar", "challenge"];

/// Whose the file is. If it is not provably ours, an error of [`Kind::State`] that says how to go on.
pub(super) fn whose(path: &Path) -> anyhow::Result<Whose> {
    let link = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Whose::Nobodys),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let metadata = if link.is_symlink() {
        match path.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Whose::Nobodys),
            Err(error) => return Err(unreadable(path, &error)),
        }
    } else {
        link.clone()
    };
    if !metadata.is_file() {
        return Err(not_ours(path, "it is no ordinary file"));
    }
    if metadata.len() == 0 && !link.is_symlink() {
        return Ok(Whose::Nobodys);
    }
    let header = read_header(path).map_err(|error| unreadable(path, &error))?;
    match Header::read(&header) {
        Some(header) if header.application == APPLICATION_ID => Ok(Whose::Ours),
        // An old state, or one that another run is just creating. Ours were never in WAL mode, and for a WAL file
        // SQLite would create files beside it.
        Some(header) if header.application == 0 && !header.is_wal && is_ours(path) => Ok(Whose::Ours),
        Some(_) => Err(not_ours(path, "it is the SQLite file of another program")),
        None => Err(not_ours(path, "it is no SQLite file, or its beginning is damaged")),
    }
}

struct Header {
    application: u32,
    is_wal: bool,
}

impl Header {
    /// Reads the fields by their offsets in SQLite's file format, §1.3.
    fn read(bytes: &[u8]) -> Option<Header> {
        let application = u32::from_be_bytes(bytes.get(68..72)?.try_into().ok()?);
        let is_wal = bytes.get(18..20)?.contains(&2);
        bytes.starts_with(b"SQLite format 3\0").then_some(Header { application, is_wal })
    }
}

fn read_header(path: &Path) -> io::Result<Vec<u8>> {
    let mut header = Vec::with_capacity(HEADER);
    File::open(path)?.take(HEADER as u64).read_to_end(&mut header)?;
    Ok(header)
}

/// Looks for our `application_id`, or for the tables of older files, under a reader's lock. If a journal must be
/// played back, which requires write permission, `immutable` takes no lock and leaves it alone.
fn is_ours(path: &Path) -> bool {
    let escaped: String = path.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    ["mode=ro", "mode=ro&immutable=1"]
        .into_iter()
        .any(|how| looks_ours(&format!("file:{escaped}?{how}")).unwrap_or(false))
}

fn looks_ours(address: &str) -> rusqlite::Result<bool> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(address, flags)?;
    connection.busy_timeout(super::BUSY)?;
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, u32>(0));
    if number("PRAGMA application_id")? == APPLICATION_ID {
        return Ok(true);
    }
    let mut statement = connection.prepare("SELECT name FROM sqlite_master WHERE type = 'table'")?;
    let tables = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    let has_tables = OLD_TABLES.iter().all(|table| tables.iter().any(|name| name == table));
    Ok(has_tables && (1..FIRST_MARKED).contains(&number("PRAGMA user_version")?))
}

fn not_ours(path: &Path, why: &str) -> anyhow::Error {
    // Do not advise moving a folder, a device or a key that was named by mistake.
    let is_named_so = path.file_name().is_some_and(|name| name == "state.db") && path.is_file();
    let path = path.display();
    let out = if is_named_so { format!(", or move this one away: mv {path} {path}.old") } else { String::new() };
    let text = format!(
        "{path} is not a state file of baikal-sync ({why}), so it is left alone; name another file with --state{out}"
    );
    fault(Kind::State, text)
}

/// An unreadable file may belong to another user, usually root after a run with sudo.
fn unreadable(path: &Path, error: &io::Error) -> anyhow::Error {
    let owner = || owner_of_nearest(path).filter(|(_, owner)| *owner != files::user());
    let whose = match (error.kind(), owner()) {
        (io::ErrorKind::PermissionDenied, Some((place, owner))) => {
            format!("; {place} belongs to {}", if owner == 0 { "root".to_owned() } else { format!("user {owner}") })
        }
        _ => String::new(),
    };
    fault(Kind::State, format!("cannot read the state file {}: {error}{whose}", path.display()))
}

fn owner_of_nearest(path: &Path) -> Option<(String, u32)> {
    path.ancestors().find_map(|place| Some((place.display().to_string(), place.metadata().ok()?.uid())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::sentence;
    use std::path::PathBuf;

    /// The result for a file with this content, or its message.
    fn told(content: &[u8]) -> Result<Whose, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state?.db");
        std::fs::write(&path, content).unwrap();
        whose(&path).map_err(|error| sentence(&error))
    }

    fn sqlite(sql: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        std::fs::read(path).unwrap()
    }

    #[test]
    fn what_is_not_there_or_empty_is_nobodys() {
        assert_eq!(told(b""), Ok(Whose::Nobodys));
        assert_eq!(whose(&PathBuf::from("/nowhere/state.db")).unwrap(), Whose::Nobodys);
    }

    #[test]
    fn a_marked_file_is_ours_and_so_is_an_older_one_with_our_tables() {
        let old = concat!(include_str!("migrations/001.sql"), "PRAGMA user_version = 1;");
        assert_eq!(told(&sqlite(old)), Ok(Whose::Ours));
        let marked = "CREATE TABLE a (b); PRAGMA application_id = 1111574859;";
        assert_eq!(told(&sqlite(marked)), Ok(Whose::Ours));
        assert_eq!(told(&sqlite(marked)[..100]), Ok(Whose::Ours), "a damaged one can be set aside");
    }

    #[test]
    fn a_file_of_anyone_else_is_left_alone_and_the_way_out_is_named() {
        let others = ["CREATE TABLE calendars (id);", "CREATE TABLE record (id); PRAGMA user_version = 2;"];
        let files = others.map(sqlite).into_iter().chain([b"precious".to_vec(), vec![0; 4096]]);
        for content in files {
            let error = told(&content).unwrap_err();
            assert!(error.contains("is not a state file of baikal-sync") && error.contains("--state"), "{error}");
        }
        assert!(whose(Path::new("/dev/null")).is_err() && whose(Path::new("/")).is_err());
    }

    #[test]
    fn an_empty_file_behind_a_link_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("state.db"));
        std::fs::write(&victim, "").unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        assert!(whose(&link).is_err());
    }
}
