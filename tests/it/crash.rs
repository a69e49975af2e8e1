//! The state file on disks that are full or read-only, and after whatever can befall a file: the next run converges, or
//! one sentence says what a person must do; no event is lost, none is doubled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;

use crate::env::{Ran, subscription};
use crate::setting::{Setting, feed, feed_of};

/// A file that grows beyond this many blocks of 512 octets cannot be written: what a full disk is to one file.
const FULL: &str = "trap '' XFSZ; ulimit -f \"$LIMIT\"; exec \"$@\"";
/// The same, but the system kills the program for it.
const FULL_AND_KILLED: &str = "ulimit -f \"$LIMIT\"; exec \"$@\"";
/// The folder `disk` is a disk of this many KiB; what is left on it at the end stays there when it is gone.
const SMALL_DISK: &str = "cp -a disk kept && mount -t tmpfs -o size=\"$LIMIT\"k none disk && cp -a kept/. disk && \
    { \"$@\"; code=$?; rm -rf kept/* && cp -a disk/. kept && umount disk && cp -a kept/. disk && rm -rf kept; exit $code; }";
/// The folder `disk` cannot be written.
const READ_ONLY_DISK: &str = "mount --bind disk disk && mount -o remount,bind,ro disk && exec \"$@\"";

/// Runs the program with these arguments by way of a script of the shell.
fn run_in(setting: &Setting, words: &[&str], script: &str, limit: usize, arguments: &[&str]) -> Ran {
    setting.feed.take();
    setting.dav.take();
    setting.dav.take_writes();
    let plain = setting.env.command(&[&["run"], arguments].concat());
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(["-c", script, "sh"]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("LIMIT", limit.to_string()).current_dir(setting.env.path("")).stdin(Stdio::null());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shell");
    setting.env.ended(arguments, child)
}

/// Whether file systems can be mounted where only this test sees them, which takes root.
fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["--mount", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    let can = tried.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("nothing can be mounted here, so nothing is tested on a small or a read-only disk");
    }
    can
}

/// Asserts that the next run brings the calendar in step by itself, and that the one after it writes nothing.
#[track_caller]
fn converges(setting: &Setting, uids: &str, what: &str) {
    let mut ran = setting.run(&["--force"]);
    if ran.code == 4 {
        // What left the feed while the state was lost waits for a person.
        setting.env.run(&["approve", "work"]).exits(0);
        ran = setting.run(&["--force"]);
    }
    let ran = ran.exits(0);
    assert_eq!(setting.uids(), uids, "{what}: {ran}");
    let quiet = setting.run(&["--full"]).exits(0);
    assert_eq!((setting.writes(), quiet.stderr.as_str()), (vec![], ""), "{what}");
}

/// Asserts that a person is told in one line, with the place of the state and the reason.
#[track_caller]
fn told(ran: &Ran, path: &str, reason: &str) {
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(ran.code == 74 && lines.len() == 1, "{ran}");
    assert!(lines[0].contains(path) && lines[0].contains(reason), "{ran}");
}

fn uids_of(events: usize) -> String {
    let mut uids: Vec<String> = (0..events).map(|number| format!("e{number}")).collect();
    uids.sort();
    uids.join(" ")
}

/// The files that were set aside.
fn set_aside(setting: &Setting) -> Vec<PathBuf> {
    let folder = setting.env.path("state/baikal-sync");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

#[test]
fn a_state_that_cannot_grow_is_74_at_any_size_and_the_next_run_goes_on() {
    for limit in [0, 8, 16, 40, 64, 96, 112, 120, 128, 136] {
        let setting = Setting::new(&feed_of(150), "");
        let ran = run_in(&setting, &["sh"], FULL, limit, &[]);
        if ran.code != 0 {
            told(&ran, "state", "");
        }
        assert!(ran.code != 0 || limit > 100, "{limit}: {ran}");
        converges(&setting, &uids_of(150), &format!("at most {limit} blocks: {}", ran.stderr));
    }
}

#[test]
fn a_run_that_is_killed_because_its_state_grows_is_made_up_for() {
    for limit in [0, 40, 112, 128] {
        let setting = Setting::new(&feed_of(150), "");
        run_in(&setting, &["sh"], FULL_AND_KILLED, limit, &[]);
        converges(&setting, &uids_of(150), &format!("killed at {limit} blocks"));
    }
}

#[test]
fn a_full_disk_is_74_and_the_next_run_goes_on() {
    if !can_mount() {
        return;
    }
    for kibibytes in [4, 16, 48, 80] {
        let setting = Setting::new(&feed_of(150), "").var("BAIKAL_SYNC_STATE", "disk/state.db");
        std::fs::create_dir(setting.env.path("disk")).unwrap();
        let ran = run_in(&setting, &["unshare", "--mount", "sh"], SMALL_DISK, kibibytes, &[]);
        told(&ran, "state", "full");
        converges(&setting, &uids_of(150), &format!("{kibibytes} KiB: {}", ran.stderr));
    }
}

#[test]
fn a_folder_on_a_full_disk_is_74_and_the_next_run_goes_on() {
    if !can_mount() {
        return;
    }
    let setting = Setting::new(&feed_of(40), "");
    std::fs::create_dir(setting.env.path("disk")).unwrap();
    let target = format!("dir:{}", setting.env.path("disk/events").display());
    setting.configure(&subscription(&setting.feed.url(), &target, ""));
    let ran = run_in(&setting, &["unshare", "--mount", "sh"], SMALL_DISK, 64, &[]);
    told(&ran, "disk/events/", "No space left on device");
    setting.run(&["--force"]).exits(0);
    assert_eq!(objects_and_others(&setting), (40, vec![]));
}

/// How many objects are in the folder `disk/events`, and what else.
fn objects_and_others(setting: &Setting) -> (usize, Vec<String>) {
    let names = std::fs::read_dir(setting.env.path("disk/events")).unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let (objects, others): (Vec<_>, Vec<_>) = names.partition(|name| !name.starts_with('.'));
    (objects.len(), others)
}

#[test]
fn a_folder_on_a_read_only_disk_is_74_and_the_next_run_goes_on() {
    if !can_mount() {
        return;
    }
    let setting = Setting::new(&feed(&["a"]), "");
    let target = format!("dir:{}", setting.env.path("disk/events").display());
    setting.configure(&subscription(&setting.feed.url(), &target, "verify = \"always\""));
    std::fs::create_dir(setting.env.path("disk")).unwrap();
    let read_only = || run_in(&setting, &["unshare", "--mount", "sh"], READ_ONLY_DISK, 0, &["--force"]);
    told(&read_only(), "disk/events", "Read-only file system");
    setting.run(&["--force"]).exits(0);
    assert_eq!(read_only().exits(0).stderr, "", "nothing has to be written");
    setting.feed.set(feed(&["b"]));
    told(&read_only(), "disk/events/", "Read-only file system");
    assert_eq!(objects_and_others(&setting), (1, vec![]));
}

#[test]
fn a_lock_that_cannot_be_taken_is_said_and_not_only_an_exit_code() {
    let setting = Setting::new(&feed(&["a"]), "").mirrored();
    for lock in std::fs::read_dir(setting.env.path("state/baikal-sync/state.locks")).unwrap() {
        let path = lock.unwrap().path();
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
    }
    told(&setting.run(&[]), "cannot lock", "Is a directory");
}

#[test]
fn what_a_killed_run_left_half_written_in_a_folder_is_removed_by_the_next_one() {
    let setting = Setting::new(&feed(&["a"]).replace("Event a", &"long ".repeat(200_000)), "");
    let target = format!("dir:{}", setting.env.path("disk/events").display());
    setting.configure(&subscription(&setting.feed.url(), &target, ""));
    run_in(&setting, &["sh"], FULL_AND_KILLED, 1000, &[]);
    assert!(matches!(objects_and_others(&setting), (0, others) if others.len() == 1 && others[0].starts_with('.')));
    setting.run(&["--force"]).exits(0);
    assert_eq!(objects_and_others(&setting), (1, vec![]));
}

#[test]
fn a_state_that_cannot_be_written_is_74_and_nothing_is_sent() {
    if !can_mount() {
        return;
    }
    let setting = Setting::new(&feed(&["a", "b"]), "").var("BAIKAL_SYNC_STATE", "disk/state.db");
    std::fs::create_dir(setting.env.path("disk")).unwrap();
    let read_only = |setting: &Setting| run_in(setting, &["unshare", "--mount", "sh"], READ_ONLY_DISK, 0, &[]);
    told(&read_only(&setting), "disk/state.db", "Read-only file system");
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
    setting.run(&[]).exits(0);
    setting.feed.set(feed(&["b", "c"]));
    told(&read_only(&setting), "disk/state.db", "Read-only file system");
    assert_eq!((setting.feed.take().len(), setting.methods()), (0, vec![]));
    converges(&setting, "b c", "after a read-only disk");
}

/// Befalls a state, and lets the feed go on meanwhile. Gives what the first run after it said.
fn befall(what: &str, harm: impl Fn(&Path)) -> Ran {
    let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
    setting.feed.set(feed(&["b", "c", "d"]));
    harm(&setting.env.state());
    let mut first = setting.env.run(&["run", "--force"]);
    if first.code == 74 && first.stderr.contains("is not a state file of baikal-sync") {
        // What nobody can tell from a file of somebody else is left alone; the way out is typed as it is printed.
        let command = first.stderr.trim_end().rsplit("move this one away: ").next().unwrap();
        assert!(command.starts_with("mv "), "{what}: {first}");
        assert!(Command::new("sh").args(["-c", command]).status().unwrap().success());
        first = setting.env.run(&["run", "--force"]);
    }
    let said = first.stderr.contains("the state file was damaged and is now");
    assert_eq!(said, set_aside(&setting).len() == 1, "{what}: {first}");
    assert!(matches!(first.code, 0 | 4) || (first.code == 74 && said), "{what}: {first}");
    converges(&setting, "b c d", &format!("{what}: {first}"));
    first
}

#[test]
fn a_state_that_was_cut_off_is_made_anew() {
    let size = {
        let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
        setting.env.state().metadata().unwrap().len()
    };
    for length in [0, 1, 16, 99, 100, 512, 4095, 4096, 8192, size / 2, size - 4096, size - 1] {
        let cut = |path: &Path| std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
        befall(&format!("cut off after {length} of {size} octets"), cut);
    }
}

#[test]
fn a_state_with_garbage_in_any_page_is_made_anew() {
    let pages = {
        let setting = Setting::new(&feed(&["a", "b", "c"]), "").mirrored();
        usize::try_from(setting.env.state().metadata().unwrap().len()).unwrap() / 4096
    };
    for page in 0..pages {
        for octet in [0x00, 0xaa] {
            befall(&format!("page {page} of {pages} full of {octet:#x}"), |path| {
                let mut octets = std::fs::read(path).unwrap();
                octets[page * 4096..(page + 1) * 4096].fill(octet);
                std::fs::write(path, octets).unwrap();
            });
        }
    }
}

#[test]
fn a_state_in_which_one_octet_is_wrong_is_no_dead_end() {
    for number in 0..40 {
        befall(&format!("the octet {number} is wrong"), |path| {
            let mut octets = std::fs::read(path).unwrap();
            let written: Vec<usize> = (0..octets.len()).filter(|at| octets[*at] != 0).collect();
            octets[written[number * (written.len() - 1) / 39]] = 0xff;
            std::fs::write(path, octets).unwrap();
        });
    }
}

/// Leaves state and journal as a kill in the middle of a commit does: pages are in the file, and the journal that takes
/// them back is beside it, cut off after so many octets.
fn leave_a_hot_journal(path: &Path, length: Option<u64>) {
    let beside = |suffix: &str| PathBuf::from(format!("{}{suffix}", path.display()));
    let state = Connection::open(path).unwrap();
    state.execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE").unwrap();
    let spoil = "UPDATE subscription SET feed_etag = 'wrong'; UPDATE ends SET sync_token = 'wrong';
         UPDATE record SET etag = '\"wrong\"', summary = hex(zeroblob(3000)); DELETE FROM record WHERE uid = 'b';";
    state.execute_batch(spoil).unwrap();
    std::fs::copy(path, beside("-hot")).unwrap();
    std::fs::copy(beside("-journal"), beside("-hot-journal")).unwrap();
    state.execute_batch("ROLLBACK").unwrap();
    drop(state);
    std::fs::rename(beside("-hot"), path).unwrap();
    std::fs::rename(beside("-hot-journal"), beside("-journal")).unwrap();
    if let Some(length) = length {
        std::fs::OpenOptions::new().write(true).open(beside("-journal")).unwrap().set_len(length).unwrap();
    }
}

#[test]
fn a_kill_in_the_middle_of_a_commit_is_made_up_for() {
    let first = befall("a hot journal", |path| leave_a_hot_journal(path, None));
    assert_eq!((first.code, first.stderr.as_str()), (0, ""), "the journal takes everything back");
    for length in [0, 100, 512, 3000] {
        befall(&format!("a journal of {length} octets"), |path| leave_a_hot_journal(path, Some(length)));
    }
}

#[test]
fn a_state_of_a_newer_program_is_taken_up_again_by_it() {
    let setting = Setting::new(&feed(&["a", "b"]), "").mirrored();
    let state = Connection::open(setting.env.state()).unwrap();
    let version: u32 = state.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    state.pragma_update(None, "user_version", 99).unwrap();
    let ran = setting.run(&[]);
    told(&ran, "state.db", "update the program, or move the file away");
    assert_eq!(set_aside(&setting), [""; 0].map(PathBuf::from));
    state.pragma_update(None, "user_version", version).unwrap();
    drop(state);
    converges(&setting, "a b", "the newer program is back");
}
