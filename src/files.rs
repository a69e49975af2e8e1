//! Files that must be complete, locked or private: atomic writes, advisory locks, secret files.

use std::fs::{File, Metadata, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, Gid, OFlags, Uid};

use crate::signal::Stop;
use crate::words::error::{Kind, OrFault, fault};
use crate::words::secret::Secret;

/// Where container engines mount secrets, readable by everyone inside the container.
const CONTAINER_SECRETS: &str = "/run/secrets";
/// Permissions too open for a secret: read or write for others, write for the group.
const TOO_OPEN: u32 = 0o026;
/// Readable and writable by the owner only.
const PRIVATE: u32 = 0o600;
/// Neither follows a symlink nor blocks on a pipe.
const UNLINKED: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
/// How often a waiting run retries a lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(200);

/// Writes a file atomically: even after a power loss it has either the old or the new content. `mode` is subject to
/// the umask. Errors are [`Kind::State`] and name the path.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8], mode: u32) -> anyhow::Result<()> {
    // Two processes may write the same file at the same time; the last one wins.
    let temporary = temporary_name(path, &format!(".{}.tmp", std::process::id()));
    let written = write_and_sync(&temporary, bytes, mode)
        .and_then(|_| std::fs::rename(&temporary, path))
        .and_then(|()| sync_folder(path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written.or_fault(Kind::State, || format!("cannot write {}", path.display()))
}

/// Writes a file that is there, atomically, and leaves its rights and its owner as they are. A link is followed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let place = path.canonicalize().or_fault(Kind::State, || format!("cannot find {}", path.display()))?;
    let metadata = place.metadata().or_fault(Kind::State, || format!("cannot read {}", path.display()))?;
    write_atomically(&place, bytes, metadata.mode() & 0o777)?;
    let (user, group) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    let _ = rustix::fs::chownat(CWD, &place, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW);
    std::fs::set_permissions(&place, metadata.permissions())
        .or_fault(Kind::State, || format!("cannot write {}", path.display()))
}

/// The hidden temporary name beside `path` for its next content: `.NAME` plus the suffix.
pub(crate) fn temporary_name(path: &Path, suffix: &str) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(suffix);
    path.with_file_name(name)
}

/// Writes a new file and syncs it to disk, replacing a leftover of that name.
pub(crate) fn write_and_sync(path: &Path, bytes: &[u8], mode: u32) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Ok(file)
}

/// Ensures that a private file and its folder exist. Errors are [`Kind::State`], or those of [`make_private_folder`].
pub(crate) fn make_private(path: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot open or make {}", path.display());
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        make_private_folder(folder)?;
    }
    open_private(path).map(drop).or_fault(Kind::State, failed)
}

/// Opens a private file, creating it if needed. In a folder of another user it must be a regular file with one link,
/// because that user could have planted a link to have another file changed. What root creates there is given to that
/// user: otherwise a single run with sudo would lock them out.
fn open_private(path: &Path) -> io::Result<File> {
    let folder = folder_of(path).metadata()?;
    let is_ours = folder.uid() == user();
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(PRIVATE);
    if !is_ours {
        options.custom_flags(UNLINKED.bits().cast_signed());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    let is_plain = metadata.is_file() && metadata.nlink() == 1;
    if !is_ours && !is_plain {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no ordinary file, or has a second name"));
    }
    if metadata.mode() & 0o077 != 0 && metadata.uid() == user() {
        file.set_permissions(Permissions::from_mode(PRIVATE))?;
    }
    if is_left_by_root(&metadata, &folder) && metadata.len() == 0 {
        let _ = rustix::fs::fchown(&file, Some(Uid::from_raw(folder.uid())), Some(Gid::from_raw(folder.gid())));
    }
    Ok(file)
}

/// Whether we are root, and root owns this file in a folder of another user.
fn is_left_by_root(made: &Metadata, folder: &Metadata) -> bool {
    user() == 0 && made.uid() == 0 && folder.uid() != 0
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Ensures that a file has no second link and belongs to the owner of its folder: then nobody planted it to have a
/// more privileged user change another file. Errors are [`Kind::Refused`].
pub(crate) fn check_untouched(path: &Path) -> anyhow::Result<()> {
    let failed = || format!("cannot look at {}", path.display());
    let file = path.symlink_metadata().or_fault(Kind::State, failed)?;
    let owner = folder_of(path).metadata().or_fault(Kind::State, failed)?.uid();
    let why = match (file.is_file(), file.nlink(), file.uid() == owner) {
        (true, 1, true) => return Ok(()),
        (false, ..) => "is a link",
        (true, 1, false) => "does not belong to the owner of its folder",
        _ => "has a second name",
    };
    Err(fault(Kind::Refused, format!("{} {why}, so it is not written to", path.display())))
}

/// The same file with its folder resolved, free of symlinks.
pub(crate) fn in_real_folder(path: &Path) -> anyhow::Result<PathBuf> {
    let folder = folder_of(path);
    let folder = folder.canonicalize().or_fault(Kind::State, || format!("cannot look at {}", folder.display()))?;
    Ok(folder.join(path.file_name().unwrap_or_default()))
}

/// The effective user id.
pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Ensures that a folder exists; a new one is private. Errors are [`Kind::State`]; for root, a symlink made by
/// another user is [`Kind::Refused`].
pub(crate) fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.or_fault(Kind::State, || format!("cannot make the folder {}", path.display()))?;
    missing.iter().rev().for_each(|folder| give_folder(folder));
    let link = path.symlink_metadata().or_fault(Kind::State, || format!("cannot look at {}", path.display()))?;
    if link.is_symlink() && user() == 0 && link.uid() != 0 {
        let text = format!("{} is a link that somebody else has made, so root does not follow it", path.display());
        return Err(fault(Kind::Refused, text));
    }
    Ok(())
}

/// Gives a folder that root created in another user's folder to that user.
fn give_folder(path: &Path) {
    let Ok((made, above)) = path.symlink_metadata().and_then(|made| Ok((made, folder_of(path).metadata()?))) else {
        return;
    };
    if is_left_by_root(&made, &above) {
        let (user, group) = (Uid::from_raw(above.uid()), Gid::from_raw(above.gid()));
        let _ = rustix::fs::chownat(CWD, path, Some(user), Some(group), AtFlags::SYMLINK_NOFOLLOW);
    }
}

/// Syncs the folder of this file to disk: until then a power loss may undo a creation, renaming or removal there.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    match File::open(folder_of(path))?.sync_all() {
        // Some file systems (9p, the shared folders of VirtualBox) do not support this.
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
        synced => synced,
    }
}

/// Ensures that a folder exists, and that a power loss does not lose a new one with its contents.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| !folder.exists()).collect();
    std::fs::create_dir_all(path)?;
    missing.into_iter().try_for_each(sync_folder)
}

/// An advisory lock, held until it is dropped or the process ends in any way. Its file can store a word, which
/// survives a killed process.
#[derive(Debug)]
pub(crate) struct Lock(File);

/// The longest word in a lock, in octets.
const LONGEST_WORD: u64 = 64;

impl Lock {
    /// The word that the last holder left, if any.
    pub(crate) fn word(&self) -> Option<String> {
        word_in(&self.0)
    }

    /// Stores or removes the word. It only has to survive the end of this process.
    pub(crate) fn leave(&self, word: Option<&str>) -> io::Result<()> {
        self.0.set_len(0)?;
        self.0.write_all_at(word.unwrap_or_default().as_bytes(), 0)
    }
}

fn word_in(file: &File) -> Option<String> {
    let mut word = vec![0; usize::try_from(LONGEST_WORD).ok()?];
    let length = file.read_at(&mut word, 0).ok()?;
    word.truncate(length);
    String::from_utf8(word).ok().filter(|word| !word.is_empty())
}

/// The word in a lock file and whether the lock is held. Creates nothing; `None` if the file does not exist or is not
/// readable.
pub(crate) fn look_at_lock(path: &Path) -> Option<(Option<String>, bool)> {
    let file = OpenOptions::new().read(true).custom_flags(UNLINKED.bits().cast_signed()).open(path).ok()?;
    let is_held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    Some((word_in(&file), is_held))
}

/// Takes the lock, creating its file if needed; `None` if another process holds it. The file stays when the lock is
/// released: removing it would let two runs lock two files of the same name.
pub(crate) fn lock(path: &Path) -> anyhow::Result<Option<Lock>> {
    let failed = || format!("cannot lock {}", path.display());
    let file = open_private(path).or_fault(Kind::State, failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).or_fault(Kind::State, failed),
    }
}

/// Waits for the lock until it is free; [`Kind::Stopped`] on a request to stop.
pub(crate) fn wait_for_lock(path: &Path, stop: &Stop) -> anyhow::Result<Lock> {
    loop {
        if let Some(lock) = lock(path)? {
            return Ok(lock);
        }
        pause_for_lock(stop)?;
    }
}

/// Waits before the next attempt to lock; [`Kind::Stopped`] on a request to stop.
pub(crate) fn pause_for_lock(stop: &Stop) -> anyhow::Result<()> {
    if stop.requested().is_some() {
        return Err(fault(Kind::Stopped, "stopped while waiting for another run to finish"));
    }
    stop.sleep(LOCK_INTERVAL);
    Ok(())
}

/// Reads a password or token from a file, without its last line break.
///
/// A file that others can read or write, or that belongs to someone other than us or root, is [`Kind::Refused`], with
/// the command that fixes it. Files below `/run/secrets` and below `credentials` (systemd's `$CREDENTIALS_DIRECTORY`)
/// are exempt. A missing or empty file is [`Kind::Configuration`].
pub(crate) fn read_secret_file(path: &Path, credentials: Option<&Path>) -> anyhow::Result<Secret> {
    let cannot_read = || format!("cannot read the secret file {}", path.display());
    let file = File::open(path).or_fault(Kind::Configuration, cannot_read)?;
    let exempt = path.starts_with(CONTAINER_SECRETS) || credentials.is_some_and(|folder| path.starts_with(folder));
    if !exempt {
        let metadata = file.metadata().or_fault(Kind::Configuration, cannot_read)?;
        check_privacy(path, metadata.mode(), metadata.uid(), user())?;
    }
    let text = io::read_to_string(file).or_fault(Kind::Configuration, cannot_read)?;
    let secret = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() {
        return Err(fault(Kind::Configuration, format!("the secret file {} is empty", path.display())));
    }
    Ok(Secret::new(secret))
}

fn check_privacy(path: &Path, mode: u32, owner: u32, us: u32) -> anyhow::Result<()> {
    let path = path.display();
    if mode & TOO_OPEN != 0 {
        let message = format!("others can read or change the secret file {path}: run `chmod go-rwx {path}`");
        return Err(fault(Kind::Refused, message));
    }
    if owner == us || owner == 0 {
        return Ok(());
    }
    let advice = if us == 0 {
        format!("run the program as that user: sudo -u '#{owner}' baikal-sync ...")
    } else {
        format!("run `chown {us} {path}`")
    };
    Err(fault(Kind::Refused, format!("the secret file {path} belongs to user {owner}: {advice}")))
}

/// Four unpredictable octets.
pub(crate) fn chance() -> anyhow::Result<[u8; 4]> {
    let mut octets = [0; 4];
    let read = rustix::rand::getrandom(&mut octets, rustix::rand::GetRandomFlags::empty());
    read.or_fault(Kind::Internal, || "the kernel gives no random numbers".to_owned())?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::{kind_of, sentence};
    use std::os::unix::fs::PermissionsExt;

    fn secret_file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn an_atomic_write_replaces_the_content_and_leaves_nothing_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("status.json");
        write_atomically(&path, b"old and longer", 0o644).unwrap();
        write_atomically(&path, b"new", 0o600).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_write_that_fails_leaves_nothing_and_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let error = write_atomically(&folder.path().join("gone/status.json"), b"x", 0o644).unwrap_err();
        assert_eq!(kind_of(&error), Kind::State);
        assert!(sentence(&error).contains("gone/status.json"), "{error:#}");
        std::fs::create_dir(folder.path().join("taken")).unwrap();
        assert!(write_atomically(&folder.path().join("taken"), b"x", 0o644).is_err());
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn a_folder_is_made_with_those_above_it_and_may_be_there_already() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("calendars/work");
        make_folder(&folder).unwrap();
        make_folder(&folder).unwrap();
        assert!(folder.is_dir());
        std::fs::write(folder.join("file"), "x").unwrap();
        assert!(make_folder(&folder.join("file")).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_cannot_be_on_the_disk() {
        let root = tempfile::tempdir().unwrap();
        sync_folder(&root.path().join("file")).unwrap();
        assert!(sync_folder(&root.path().join("gone/file")).is_err());
    }

    #[test]
    fn a_file_that_others_can_read_or_write_becomes_private() {
        let (_folder, path) = secret_file("p", 0o666);
        make_private(&path).unwrap();
        assert_eq!((path.metadata().unwrap().mode() & 0o777, std::fs::read(&path).unwrap()), (0o600, b"p".to_vec()));
    }

    #[test]
    fn a_link_or_a_file_with_a_second_name_is_not_written_to() {
        let (folder, path) = secret_file("p", 0o600);
        check_untouched(&path).unwrap();
        std::os::unix::fs::symlink(&path, folder.path().join("link")).unwrap();
        assert!(check_untouched(&folder.path().join("link")).is_err());
        std::fs::hard_link(&path, folder.path().join("second")).unwrap();
        assert!(check_untouched(&path).is_err());
    }

    #[test]
    fn root_follows_no_link_in_a_folder_of_somebody_else_and_leaves_nothing_of_its_own_there() {
        if user() != 0 {
            eprintln!("only root can make a folder somebody else's, so this is not tried");
            return;
        }
        let (_outside, victim) = secret_file("p", 0o644);
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        std::os::unix::fs::chown(folder.path(), Some(1), Some(1)).unwrap();
        std::os::unix::fs::symlink(&victim, place("link")).unwrap();
        std::fs::hard_link(&victim, place("second")).unwrap();
        for name in ["link", "second"] {
            assert!(lock(&place(name)).is_err() && make_private(&place(name)).is_err(), "{name}");
        }
        assert_eq!((victim.metadata().unwrap().mode() & 0o777, victim.metadata().unwrap().uid()), (0o644, 0));
        drop(lock(&place("lock")).unwrap());
        make_private(&place("folder/state")).unwrap();
        assert_eq!(["lock", "folder", "folder/state"].map(|name| place(name).metadata().unwrap().uid()), [1, 1, 1]);
    }

    #[test]
    fn a_lock_is_held_once_and_is_free_after_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path).unwrap();
        assert!(held.is_some() && lock(&path).unwrap().is_none());
        let stop = Stop::default();
        stop.request(15);
        assert_eq!(kind_of(&wait_for_lock(&path, &stop).unwrap_err()), Kind::Stopped);
        drop(held);
        assert!(wait_for_lock(&path, &stop).is_ok());
    }

    #[test]
    fn a_word_in_a_lock_outlives_its_holder_and_is_read_without_taking_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        assert_eq!(look_at_lock(&path), None);
        let held = lock(&path).unwrap().unwrap();
        held.leave(Some("a long word")).unwrap();
        held.leave(Some("word")).unwrap();
        assert_eq!(look_at_lock(&path), Some((Some("word".to_owned()), true)));
        drop(held);
        assert_eq!(look_at_lock(&path), Some((Some("word".to_owned()), false)));
        let held = lock(&path).unwrap().unwrap();
        assert_eq!(held.word().as_deref(), Some("word"));
        held.leave(None).unwrap();
        assert_eq!(held.word(), None);
    }

    #[test]
    fn a_secret_loses_one_line_break_and_nothing_else() {
        for (text, secret) in [("pässword", "pässword"), (" p w \n", " p w "), ("p\r\n", "p"), ("p\n\n", "p\n")] {
            let (_folder, path) = secret_file(text, 0o600);
            assert_eq!(read_secret_file(&path, None).unwrap().reveal(), secret);
        }
    }

    #[test]
    fn a_secret_file_that_others_can_use_is_refused_unless_the_system_put_it_there() {
        for mode in [0o644, 0o602, 0o660] {
            let (folder, path) = secret_file("p", mode);
            let error = read_secret_file(&path, None).unwrap_err();
            assert_eq!(kind_of(&error), Kind::Refused);
            assert!(sentence(&error).contains(&format!("chmod go-rwx {}", path.display())), "{error:#}");
            assert_eq!(read_secret_file(&path, Some(folder.path())).unwrap().reveal(), "p");
        }
        let (_folder, path) = secret_file("p", 0o640);
        assert_eq!(read_secret_file(&path, None).unwrap().reveal(), "p");
    }

    #[test]
    fn a_secret_file_belongs_to_us_or_to_root() {
        let check = |owner, us| check_privacy(Path::new("/p"), 0o100_600, owner, us).map_err(|error| sentence(&error));
        assert_eq!((check(7, 7), check(0, 7)), (Ok(()), Ok(())));
        assert!(check(8, 7).unwrap_err().contains("chown 7 /p"));
        assert!(check(8, 0).unwrap_err().contains("sudo -u '#8'"), "root does not take a file away from its owner");
        assert_eq!(user(), tempfile::tempfile().unwrap().metadata().unwrap().uid());
    }

    #[test]
    fn an_empty_or_missing_secret_is_a_mistake_in_the_configuration() {
        let (folder, path) = secret_file("\n", 0o600);
        assert_eq!(kind_of(&read_secret_file(&path, None).unwrap_err()), Kind::Configuration);
        assert_eq!(kind_of(&read_secret_file(&folder.path().join("x"), None).unwrap_err()), Kind::Configuration);
    }
}
