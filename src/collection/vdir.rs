//! A folder of .ics files, one object each, as a collection: the layout that vdirsyncer and khal call *vdir*.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Kind, OrFault, fault};
use crate::files::{temporary_name, write_and_sync};
use crate::model::{Changes, Entry, Etag, Href, Mark, Precondition, Stored, Written};

use super::{Abilities, Collection};

/// What the umask leaves of it: other programs of the user read the folder.
const FILE_MODE: u32 = 0o644;

/// A folder of objects. Its ETags are made of modification time, size and inode, and its hrefs are percent-encoded
/// file names.
#[derive(Debug)]
pub struct Vdir {
    path: PathBuf,
}

impl Vdir {
    /// The folder at this path, which need not exist before [`Collection::open`].
    pub fn new(path: PathBuf) -> Vdir {
        Vdir { path }
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
            Err(error) if error.kind() == ErrorKind::NotFound && !create => {
                let text = format!("the folder {} is not there; is a disk missing?", self.path.display());
                return Err(fault(Kind::Missing, text));
            }
            _ => fs::create_dir_all(&self.path).or_fault(Kind::State, || self.failed())?,
        }
        Ok(Abilities { connections: 1, needs_schedule_agent: false, components: Vec::new() })
    }

    fn address(&self) -> Option<String> {
        self.path.canonicalize().ok().map(|path| format!("dir:{}", path.display()))
    }

    fn mark(&self) -> anyhow::Result<Mark> {
        Ok(Mark::default())
    }

    fn list(&self) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for found in fs::read_dir(&self.path).or_fault(Kind::State, || self.failed())? {
            let name = found.or_fault(Kind::State, || self.failed())?.file_name();
            if is_object_name(name.as_bytes())
                && let Some(etag) = etag_at(&self.path.join(&name)).or_fault(Kind::State, || self.failed())?
            {
                entries.push(Entry { href: href_of(&name), etag });
            }
        }
        Ok(entries)
    }

    fn changes(&self, _since: &str) -> anyhow::Result<Changes> {
        Ok(Changes::Unknown)
    }

    fn read(&self, hrefs: &[Href]) -> anyhow::Result<Vec<Stored>> {
        let mut objects = Vec::new();
        for href in hrefs {
            let file = self.file(href)?;
            let found = read(&file).or_fault(Kind::State, || format!("cannot read {}", file.display()))?;
            objects.extend(found.map(|(etag, text)| Stored { href: href.clone(), etag, text }));
        }
        Ok(objects)
    }

    fn put(&self, href: &Href, text: &[u8], precondition: &Precondition) -> anyhow::Result<Written> {
        let file = self.file(href)?;
        replace(&file, text, precondition).or_fault(Kind::State, || format!("cannot write {}", file.display()))
    }

    fn delete(&self, href: &Href, etag: &Etag) -> anyhow::Result<Written> {
        let file = self.file(href)?;
        remove(&file, etag).or_fault(Kind::State, || format!("cannot delete {}", file.display()))
    }
}

fn replace(file: &Path, text: &[u8], precondition: &Precondition) -> io::Result<Written> {
    if let Precondition::Unchanged(etag) = precondition
        && etag_at(file)?.as_ref() != Some(etag)
    {
        return Ok(Written::Stale);
    }
    let temporary = temporary_name(file, ".tmp");
    let written =
        write_and_sync(&temporary, text, FILE_MODE).and_then(|new| Ok(etag_of(&new.metadata()?))).and_then(|etag| {
            match precondition {
                Precondition::Absent => create(&temporary, file, etag),
                Precondition::Unchanged(_) => fs::rename(&temporary, file).map(|()| Written::Done { etag }),
            }
        });
    if !matches!(written, Ok(Written::Done { .. })) {
        let _ = fs::remove_file(&temporary);
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

/// `None` when no file is there.
fn etag_at(file: &Path) -> io::Result<Option<Etag>> {
    match file.metadata() {
        Ok(metadata) => Ok(etag_of(&metadata).filter(|_| metadata.is_file())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// `None` when no file is there. The ETag is taken first: if someone writes meanwhile, it is the one that fails later.
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

/// Gives a finished file its name unless the name is taken: a link, unlike a rename, never replaces.
fn create(temporary: &Path, file: &Path, etag: Option<Etag>) -> io::Result<Written> {
    match fs::hard_link(temporary, file) {
        Ok(()) => fs::remove_file(temporary).map(|()| Written::Done { etag }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Written::Stale),
        // Some file systems (FAT, many network and FUSE ones) have no links.
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
    use crate::error::{kind_of, sentence};

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

    fn text_of(vdir: &Vdir, name: &str) -> Option<String> {
        let found = vdir.read(&[Href::new(name)]).unwrap();
        found.into_iter().next().map(|stored| String::from_utf8(stored.text).unwrap())
    }

    #[test]
    fn what_was_written_is_listed_and_read_with_the_same_etag() {
        let (_root, vdir) = folder();
        let etag = written(&vdir, "1a2b-3c4d.ics", "one");
        let href = Href::new("1a2b-3c4d.ics");
        assert_eq!(vdir.list().unwrap(), [Entry { href: href.clone(), etag: etag.clone() }]);
        let found = vdir.read(&[Href::new("gone.ics"), href.clone()]).unwrap();
        assert_eq!(found, [Stored { href, etag, text: b"one".to_vec() }]);
    }

    #[test]
    fn only_visible_ics_files_are_objects() {
        let (_root, vdir) = folder();
        for name in [".a.ics.tmp", ".hidden.ics", "color", "displayname", "b.ics~"] {
            fs::write(vdir.path.join(name), "x").unwrap();
        }
        fs::create_dir(vdir.path.join("folder.ics")).unwrap();
        assert_eq!(vdir.list().unwrap(), []);
    }

    #[test]
    fn a_create_never_replaces_and_leaves_no_temporary_file() {
        let (_root, vdir) = folder();
        fs::write(vdir.path.join(".a.ics.tmp"), "leftover of a killed run").unwrap();
        written(&vdir, "a.ics", "first");
        assert_eq!(vdir.put(&Href::new("a.ics"), b"second", &Precondition::Absent).unwrap(), Written::Stale);
        assert_eq!(text_of(&vdir, "a.ics").as_deref(), Some("first"));
        assert_eq!(vdir.path.read_dir().unwrap().count(), 1);
    }

    #[test]
    fn an_update_needs_the_version_that_it_was_made_for() {
        let (_root, vdir) = folder();
        let (href, old) = (Href::new("a.ics"), written(&vdir, "a.ics", "first"));
        let update = |text: &str, etag: &Etag| vdir.put(&href, text.as_bytes(), &Precondition::Unchanged(etag.clone()));
        let Written::Done { etag: Some(new) } = update("second", &old).unwrap() else { panic!() };
        assert_eq!(update("third", &old).unwrap(), Written::Stale);
        assert_eq!(text_of(&vdir, "a.ics").as_deref(), Some("second"));
        assert_eq!(vdir.list().unwrap(), [Entry { href: href.clone(), etag: new.clone() }]);
        fs::remove_file(vdir.path.join("a.ics")).unwrap();
        assert_eq!(update("third", &new).unwrap(), Written::Stale);
    }

    #[test]
    fn a_delete_needs_its_version_and_is_content_when_the_file_is_gone() {
        let (_root, vdir) = folder();
        let (href, etag) = (Href::new("a.ics"), written(&vdir, "a.ics", "first"));
        fs::write(vdir.path.join("a.ics"), "edited").unwrap();
        assert_eq!(vdir.delete(&href, &etag).unwrap(), Written::Stale);
        let current = vdir.list().unwrap().remove(0).etag;
        assert_eq!(vdir.delete(&href, &current).unwrap(), Written::Done { etag: None });
        assert_eq!(vdir.delete(&href, &current).unwrap(), Written::Done { etag: None });
        assert_eq!(vdir.list().unwrap(), []);
    }

    #[test]
    fn unusual_file_names_survive_as_hrefs() {
        let (_root, vdir) = folder();
        let name = OsStr::from_bytes(b"a b%\xe9\"+.ics");
        fs::write(vdir.path.join(name), "x").unwrap();
        let href = vdir.list().unwrap().remove(0).href;
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
    }
}
