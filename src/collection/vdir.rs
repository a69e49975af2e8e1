//! A folder of .ics files, one object each, as a collection: the layout that vdirsyncer and khal call *vdir*.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::fs::Access;

use crate::files::{make_folder, sync_folder, write_and_sync};
use crate::model::{Changes, Entry, Etag, Failure, Href, Listed, Mark, Objects, Precondition, Rights, Stored, Written};
use crate::words::error::{Fault, Kind, fault};

use super::{Abilities, Collection};

/// Subject to the umask: other programs of the user read the folder.
const FILE_MODE: u32 = 0o644;
/// Prefix and suffix of the hidden temporary file for an object's next content. The process id and a number between
/// them keep runs from sharing a file, even if they reach the folder by a symlink or use another state file.
const TEMPORARY: (&str, &str) = (".baikal-sync.", ".tmp");
/// Number of [`Vdir`]s created by this process so far.
static FOLDERS: AtomicUsize = AtomicUsize::new(0);

/// A folder of objects. Its ETags consist of modification time, size and inode; its hrefs are percent-encoded file
/// names.
#[derive(Debug)]
pub struct Vdir {
    path: PathBuf,
    /// The temporary file for an object's next content.
    temporary: PathBuf,
    swept: Once,
}

impl Vdir {
    /// The folder at this path, which need not exist before [`Collection::open`].
    pub fn new(path: PathBuf) -> Vdir {
        let (start, end) = TEMPORARY;
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let temporary = path.join(format!("{start}{}.{number}{end}", std::process::id()));
        Vdir { path, temporary, swept: Once::new() }
    }

    /// Removes the leftovers of killed runs, once.
    fn sweep(&self) {
        self.swept.call_once(|| {
            let names = fs::read_dir(&self.path).into_iter().flatten().flatten().map(|found| found.file_name());
            for name in names.filter(|name| is_left(name)) {
                let _ = fs::remove_file(self.path.join(name));
            }
        });
    }

    fn file(&self, href: &Href) -> anyhow::Result<PathBuf> {
        let name: Vec<u8> = href.decoded().collect();
        if !is_object_name(&name) || name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            return Err(fault(Kind::Internal, format!("{} cannot be the name of an .ics file", href.as_str())));
        }
        Ok(self.path.join(OsString::from_vec(name)))
    }

    fn failed(&self) -> String {
        format!("cannot use the folder {}", self.path.display())
    }
}

impl Collection for Vdir {
    fn open(&self, create: bool) -> anyhow::Result<Abilities> {
        match self.path.metadata() {
            Ok(metadata) if !metadata.is_dir() => {
                return Err(fault(Kind::Configuration, format!("{} is not a folder", self.path.display())));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && self.path.is_symlink() => {
                let text = format!("the folder {} is a link to something that is not there", self.path.display());
                return Err(fault(Kind::Missing, text));
            }
            Err(error) if error.kind() == ErrorKind::NotFound && !create => {
                let text = format!("the folder {} is not there; is a disk missing?", self.path.display());
                return Err(fault(Kind::Missing, text));
            }
            _ => told(make_folder(&self.path), || self.failed())?,
        }
        Ok(Abilities { connections: 1, needs_schedule_agent: false, components: Vec::new() })
    }

    fn address(&self) -> Option<String> {
        self.path.canonicalize().ok().map(|path| format!("dir:{}", path.display()))
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        Ok(Mark::default())
    }

    fn list(&self) -> anyhow::Result<Listed> {
        let mut listed = Listed::default();
        for found in told(fs::read_dir(&self.path), || self.failed())? {
            let name = told(found, || self.failed())?.file_name();
            if !is_object_name(name.as_bytes()) {
                continue;
            }
            match etag_at(&self.path.join(&name)) {
                Ok(Some(etag)) => listed.entries.push(Entry { href: href_of(&name), etag }),
                Ok(None) => {}
                // A symlink loop or a folder without search permission affects only this file.
                Err(_) => listed.silent.push(href_of(&name)),
            }
        }
        Ok(listed)
    }

    fn changes(&self, _since: &str) -> anyhow::Result<Changes> {
        Ok(Changes::Unknown)
    }

    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Objects> {
        let mut objects = Objects::default();
        for href in hrefs {
            match read(&self.file(href)?) {
                Ok(Some((etag, text))) => objects.stored.push(Stored { href: href.clone(), etag, text }),
                Ok(None) => {}
                Err(_) => objects.unreadable.push(href.clone()),
            }
        }
        Ok(objects)
    }

    fn rights(&self) -> anyhow::Result<Rights> {
        let write = rustix::fs::access(&self.path, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        Ok(Rights { write, delete: write })
    }

    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written> {
        let file = self.file(href)?;
        self.sweep();
        let written = replace(&file, &self.temporary, text, precondition).and_then(|written| kept(&file, written));
        written.or_else(|error| failed(&error, &format!("cannot write {}", file.display())))
    }

    fn delete(&self, href: &Href, etag: &Etag) -> anyhow::Result<Written> {
        let file = self.file(href)?;
        let deleted = remove(&file, etag).and_then(|written| kept(&file, written));
        deleted.or_else(|error| failed(&error, &format!("cannot delete {}", file.display())))
    }
}

/// A write is only done once a power loss cannot undo it: it is then recorded, and the records survive the loss.
fn kept(file: &Path, written: Written) -> io::Result<Written> {
    if matches!(written, Written::Done { .. }) {
        sync_folder(file)?;
    }
    Ok(written)
}

/// Handles a failed write of one file. A full or read-only disk affects all files, so it is an error.
fn failed(error: &io::Error, what: &str) -> anyhow::Result<Written> {
    use ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let fault = Fault::new(kind(error), format!("{what}: {error}"));
    if matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem) {
        return Err(fault.into());
    }
    Ok(Written::Failed(Failure::of(fault)))
}

/// Assigns a kind to a disk error: a folder without permission is refused, like a calendar.
fn told<T>(result: io::Result<T>, what: impl FnOnce() -> String) -> anyhow::Result<T> {
    result.map_err(|error| fault(kind(&error), format!("{}: {error}", what())))
}

fn kind(error: &io::Error) -> Kind {
    if error.kind() == ErrorKind::PermissionDenied { Kind::Refused } else { Kind::State }
}

fn replace(file: &Path, temporary: &Path, text: &[u8], precondition: &Precondition) -> io::Result<Written> {
    if let Precondition::Unchanged(etag) = precondition
        && etag_at(file)?.as_ref() != Some(etag)
    {
        return Ok(Written::Stale);
    }
    let written =
        write_and_sync(temporary, text, FILE_MODE).and_then(|new| Ok(etag_of(&new.metadata()?))).and_then(|etag| {
            match precondition {
                Precondition::Absent => create(temporary, file, etag),
                Precondition::Unchanged(_) => fs::rename(temporary, file).map(|()| Written::Done { etag }),
            }
        });
    if !matches!(written, Ok(Written::Done { .. })) {
        let _ = fs::remove_file(temporary);
    }
    written
}

fn remove(file: &Path, etag: &Etag) -> io::Result<Written> {
    match etag_at(file)? {
        Some(current) if current != *etag => Ok(Written::Stale),
        Some(_) => fs::remove_file(file).map(|()| Written::Done { etag: None }),
        None => Ok(Written::Done { etag: None }),
    }
}

/// Whether a name is that of a temporary file whose process is gone.
fn is_left(name: &OsStr) -> bool {
    let (start, end) = TEMPORARY;
    let between = name.to_str().and_then(|name| name.strip_prefix(start)?.strip_suffix(end));
    let process = between.and_then(|between| between.split_once('.')?.0.parse::<u32>().ok());
    process.is_some_and(|process| !Path::new("/proc").join(process.to_string()).exists())
}

fn is_object_name(name: &[u8]) -> bool {
    name.ends_with(b".ics") && !name.starts_with(b".")
}

fn href_of(name: &OsStr) -> Href {
    let encode = |byte: &u8| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b'~' | b'@' => char::from(*byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    Href::new(name.as_bytes().iter().map(encode).collect::<String>())
}

fn etag_of(metadata: &Metadata) -> Option<Etag> {
    let nanoseconds = i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    Etag::parse(&format!("\"{nanoseconds}-{}-{}\"", metadata.size(), metadata.ino()))
}

/// `None` if the file does not exist.
fn etag_at(file: &Path) -> io::Result<Option<Etag>> {
    match file.metadata() {
        Ok(metadata) => Ok(etag_of(&metadata).filter(|_| metadata.is_file())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None` if the file does not exist. The ETag is taken first, so that a concurrent change makes our later write
/// fail.
fn read(path: &Path) -> io::Result<Option<(Etag, Vec<u8>)>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let etag = etag_of(&file.metadata()?);
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(etag.map(|etag| (etag, text)))
}

/// Moves a finished file to its name unless the name is taken: unlike a rename, a hard link never replaces a file.
fn create(temporary: &Path, file: &Path, etag: Option<Etag>) -> io::Result<Written> {
    match fs::hard_link(temporary, file) {
        Ok(()) => fs::remove_file(temporary).map(|()| Written::Done { etag }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Stale),
        // Some file systems (FAT, many network and FUSE ones) have no hard links.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Unsupported) => {
            if file.symlink_metadata().is_ok() {
                return Ok(Written::Stale);
            }
            fs::rename(temporary, file).map(|()| Written::Done { etag })
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::{kind_of, sentence};

    fn folder() -> (tempfile::TempDir, Vdir) {
        let root = tempfile::tempdir().unwrap();
        let vdir = Vdir::new(root.path().join("calendars/work"));
        vdir.open(true).unwrap();
        (root, vdir)
    }

    fn written(vdir: &Vdir, name: &str, text: &str) -> Etag {
        match vdir.put(&Href::new(name), text.as_bytes(), &Precondition::Absent).unwrap() {
            Written::Done { etag: Some(etag) } => etag,
            other => panic!("{other:?}"),
        }
    }

    fn names(vdir: &Vdir) -> Vec<String> {
        let found = vdir.path.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = found.collect();
        names.sort();
        names
    }

    fn text_of(vdir: &Vdir, name: &str) -> Option<String> {
        let found = vdir.read(&[Href::new(name)]).unwrap();
        found.stored.into_iter().next().map(|stored| String::from_utf8(stored.text).unwrap())
    }

    #[test]
    fn what_was_written_is_listed_and_read_with_the_same_etag() {
        let (_root, vdir) = folder();
        let etag = written(&vdir, "1a2b-3c4d.ics", "one");
        let href = Href::new("1a2b-3c4d.ics");
        assert_eq!(vdir.list().unwrap().entries, [Entry { href: href.clone(), etag: etag.clone() }]);
        let found = vdir.read(&[Href::new("gone.ics"), href.clone()]).unwrap();
        assert_eq!(found.stored, [Stored { href, etag, text: b"one".to_vec() }]);
    }

    #[test]
    fn only_visible_ics_files_are_objects() {
        let (_root, vdir) = folder();
        for name in [".baikal-sync.1.0.tmp", ".hidden.ics", "color", "displayname", "b.ics~"] {
            fs::write(vdir.path.join(name), "x").unwrap();
        }
        fs::create_dir(vdir.path.join("folder.ics")).unwrap();
        assert_eq!(vdir.list().unwrap(), Listed::default());
    }

    #[test]
    fn a_create_never_replaces_and_leaves_no_temporary_file() {
        let (_root, vdir) = folder();
        written(&vdir, "a.ics", "first");
        assert_eq!(vdir.put(&Href::new("a.ics"), b"second", &Precondition::Absent).unwrap(), Written::Stale);
        assert_eq!(text_of(&vdir, "a.ics").as_deref(), Some("first"));
        assert_eq!(names(&vdir), ["a.ics"]);
    }

    #[test]
    fn a_write_removes_what_killed_runs_left_and_nothing_else() {
        let (_root, vdir) = folder();
        let in_use = format!(".baikal-sync.{}.99.tmp", std::process::id());
        let others = [".a.ics.tmp", ".baikal-sync.tmp", ".baikal-sync.x.1.tmp", &in_use, "b.ics"];
        // No process id exceeds 4194304.
        for name in others.into_iter().chain([".baikal-sync.4194305.0.tmp", ".baikal-sync.4194306.12.tmp"]) {
            fs::write(vdir.path.join(name), "x").unwrap();
        }
        written(&vdir, "a.ics", "first");
        let mut expected = [&others[..], &["a.ics"]].concat();
        expected.sort_unstable();
        assert_eq!(names(&vdir), expected);
    }

    #[test]
    fn a_long_name_leaves_room_for_that_of_its_next_content() {
        let (_root, vdir) = folder();
        let name = format!("{}.ics", "n".repeat(251));
        let etag = written(&vdir, &name, "first");
        let update = vdir.put(&Href::new(name), b"second", &Precondition::Unchanged(etag)).unwrap();
        assert!(matches!(update, Written::Done { .. }));
    }

    #[test]
    fn an_update_needs_the_version_that_it_was_made_for() {
        let (_root, vdir) = folder();
        let (href, old) = (Href::new("a.ics"), written(&vdir, "a.ics", "first"));
        let update = |text: &str, etag: &Etag| vdir.put(&href, text.as_bytes(), &Precondition::Unchanged(etag.clone()));
        let Written::Done { etag: Some(new) } = update("second", &old).unwrap() else { panic!() };
        assert_eq!(update("third", &old).unwrap(), Written::Stale);
        assert_eq!(text_of(&vdir, "a.ics").as_deref(), Some("second"));
        assert_eq!(vdir.list().unwrap().entries, [Entry { href: href.clone(), etag: new.clone() }]);
        fs::remove_file(vdir.path.join("a.ics")).unwrap();
        assert_eq!(update("third", &new).unwrap(), Written::Stale);
    }

    #[test]
    fn a_delete_needs_its_version_and_is_content_when_the_file_is_gone() {
        let (_root, vdir) = folder();
        let (href, etag) = (Href::new("a.ics"), written(&vdir, "a.ics", "first"));
        fs::write(vdir.path.join("a.ics"), "edited").unwrap();
        assert_eq!(vdir.delete(&href, &etag).unwrap(), Written::Stale);
        let current = vdir.list().unwrap().entries.remove(0).etag;
        assert_eq!(vdir.delete(&href, &current).unwrap(), Written::Done { etag: None });
        assert_eq!(vdir.delete(&href, &current).unwrap(), Written::Done { etag: None });
        assert_eq!(vdir.list().unwrap(), Listed::default());
    }

    #[test]
    fn unusual_file_names_survive_as_hrefs() {
        let (_root, vdir) = folder();
        let name = OsStr::from_bytes(b"a b%\xe9\"+.ics");
        fs::write(vdir.path.join(name), "x").unwrap();
        let href = vdir.list().unwrap().entries.remove(0).href;
        assert_eq!(href.as_str(), "a%20b%25%E9%22%2B.ics");
        assert_eq!(vdir.file(&href).unwrap(), vdir.path.join(name));
    }

    #[test]
    fn an_href_cannot_lead_out_of_the_folder() {
        let (_root, vdir) = folder();
        for name in ["../a.ics", "..%2fa.ics", "b/a.ics", "a%00.ics", ".a.ics", "a.txt", ""] {
            let error = vdir.put(&Href::new(name), b"x", &Precondition::Absent).unwrap_err();
            assert_eq!(kind_of(&error), Kind::Internal, "{name}");
        }
    }

    #[test]
    fn a_folder_that_cannot_be_used_is_named() {
        let (root, vdir) = folder();
        fs::write(root.path().join("file"), "x").unwrap();
        let error = Vdir::new(root.path().join("file")).open(true).unwrap_err();
        assert_eq!(kind_of(&error), Kind::Configuration);
        fs::remove_dir(&vdir.path).unwrap();
        let error = vdir.list().unwrap_err();
        assert_eq!(kind_of(&error), Kind::State);
        assert!(sentence(&error).contains("calendars/work"), "{error:#}");
        std::os::unix::fs::symlink(root.path().join("gone"), &vdir.path).unwrap();
        let error = vdir.open(true).unwrap_err();
        assert_eq!(kind_of(&error), Kind::Missing);
        assert!(sentence(&error).contains("is a link to something that is not there"), "{error:#}");
    }

    #[test]
    fn a_folder_that_we_may_not_use_is_refused_and_one_on_a_full_disk_is_trouble_of_the_disk() {
        let kind = |kind: ErrorKind| kind_of(&told::<()>(Err(kind.into()), String::new).unwrap_err());
        assert_eq!(kind(ErrorKind::PermissionDenied), Kind::Refused);
        assert_eq!([kind(ErrorKind::StorageFull), kind(ErrorKind::ReadOnlyFilesystem)], [Kind::State; 2]);
    }
}
