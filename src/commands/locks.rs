//! The locks of a run: one pass per subscription and one writer per calendar, because Baïkal 0.11 on SQLite stores an
//! object twice when two writers create it at once. They hold among the runs that share a state folder.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::config::Subscription;
use crate::files::{self, Lock};
use crate::signal::Stop;
use crate::words::digest;
use crate::words::error::{Kind, OrFault, fault};
use crate::words::time::Timestamp;

const SUBSCRIPTION: &str = "subscription";
/// How often to try a lock that somebody may just be looking at, and the pause between tries.
const GLANCES: u32 = 3;
const GLANCE: Duration = Duration::from_millis(20);

/// Creates locks. A pass takes them in one order: its subscription, its target as configured, and last the address
/// where the target was found, one at a time. So no two passes wait for each other.
pub(super) struct Locks {
    folder: PathBuf,
    wait: bool,
    stop: Stop,
    /// The addresses that this run has locked.
    claimed: Mutex<HashSet<String>>,
}

/// The lock of the address where a target was found, whatever its configured spelling. Drop releases it.
pub(super) struct Claim<'a> {
    locks: &'a Locks,
    held: Mutex<Option<(String, Lock)>>,
}

impl Locks {
    /// `wait`: wait for a lock that another run holds.
    pub(super) fn new(folder: PathBuf, wait: bool, stop: Stop) -> Locks {
        Locks { folder, wait, stop, claimed: Mutex::default() }
    }

    /// Creates the folder of the lock files.
    pub(super) fn prepare(&self) -> anyhow::Result<()> {
        files::make_private_folder(&self.folder)
    }

    /// Locks a subscription, and its target as configured.
    pub(super) fn of(&self, subscription: &Subscription) -> anyhow::Result<Held> {
        let own = self.lock(SUBSCRIPTION, &subscription.name)?;
        let killed = own.word().and_then(|word| word.parse().ok()).map(Timestamp);
        let target = self.lock("target", &subscription.target.canonical())?;
        Ok(Held { own, killed, has_begun: AtomicBool::new(false), _target: target })
    }

    /// Whether the last pass over this subscription was killed.
    pub(super) fn was_killed(&self, name: &str) -> bool {
        files::look_at_lock(&self.file(SUBSCRIPTION, name)).is_some_and(|(word, is_held)| word.is_some() && !is_held)
    }

    /// Since when a pass over this subscription is running.
    pub(super) fn running_since(&self, name: &str) -> Option<Timestamp> {
        let (word, is_held) = files::look_at_lock(&self.file(SUBSCRIPTION, name))?;
        word?.parse().ok().map(Timestamp).filter(|_| is_held)
    }

    /// The lock of an address that a pass is yet to find.
    pub(super) fn claim(&self) -> Claim<'_> {
        Claim { locks: self, held: Mutex::default() }
    }

    fn lock(&self, thing: &str, name: &str) -> anyhow::Result<Lock> {
        let path = self.file(thing, name);
        if self.wait {
            return files::wait_for_lock(&path, &self.stop);
        }
        // `status` takes it for a moment to see whether a run holds it.
        for _ in 0..GLANCES {
            if let Some(lock) = files::lock(&path)? {
                return Ok(lock);
            }
            self.stop.sleep(GLANCE);
        }
        Err(in_use(thing))
    }

    fn file(&self, thing: &str, name: &str) -> PathBuf {
        let hash = digest::sha256(&[thing.as_bytes(), b" ", name.as_bytes()]).to_string();
        self.folder.join(hash.get(..16).unwrap_or_default())
    }

    /// Always waits for another pass of this run, because it will be done soon.
    fn lock_place(&self, address: &str) -> anyhow::Result<Lock> {
        let path = self.file("place", address);
        loop {
            let mut claimed = unpoisoned(&self.claimed);
            if !claimed.contains(address) {
                if let Some(lock) = files::lock(&path)? {
                    claimed.insert(address.to_owned());
                    return Ok(lock);
                }
                if !self.wait {
                    return Err(in_use("target"));
                }
            }
            drop(claimed);
            files::pause_for_lock(&self.stop)?;
        }
    }
}

/// The locks of a pass, and what the last pass left in them.
pub(super) struct Held {
    own: Lock,
    /// When the last pass began, if it was killed.
    pub(super) killed: Option<Timestamp>,
    has_begun: AtomicBool,
    _target: Lock,
}

impl Held {
    /// Notes that a pass begins. The note remains if the process is killed.
    pub(super) fn begin(&self, now: Timestamp) -> anyhow::Result<()> {
        self.has_begun.store(true, Ordering::Relaxed);
        self.own.leave(Some(&now.0.to_string())).or_fault(Kind::State, || "cannot write into a lock".to_owned())
    }

    /// The pass has ended, in any way. `waits`: it never began, and the state still needs this note to count the
    /// killed one.
    pub(super) fn end(&self, waits: bool) {
        if self.has_begun.load(Ordering::Relaxed) || (self.killed.is_some() && !waits) {
            // If this fails, the full disk is reported elsewhere.
            let _ = self.own.leave(None);
        }
    }
}

impl Claim<'_> {
    /// Locks this address; does nothing if it is already locked.
    pub(super) fn take(&self, address: &str) -> anyhow::Result<()> {
        if unpoisoned(&self.held).as_ref().is_some_and(|(held, _)| held == address) {
            return Ok(());
        }
        self.give_back();
        let lock = self.locks.lock_place(address)?;
        *unpoisoned(&self.held) = Some((address.to_owned(), lock));
        Ok(())
    }

    fn give_back(&self) {
        if let Some((address, lock)) = unpoisoned(&self.held).take() {
            let mut claimed = unpoisoned(&self.locks.claimed);
            drop(lock);
            claimed.remove(&address);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}

fn in_use(thing: &str) -> anyhow::Error {
    fault(Kind::Locked, format!("another run is working on the same {thing}; --wait waits for it"))
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::error::kind_of;

    fn locks(folder: &tempfile::TempDir) -> Locks {
        Locks::new(folder.path().to_owned(), false, Stop::default())
    }

    #[test]
    fn a_place_is_locked_against_other_runs_until_the_claim_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (locks(&folder), locks(&folder));
        let (claim, other) = (ours.claim(), theirs.claim());
        claim.take("http://h/c/").unwrap();
        claim.take("http://h/c/").unwrap();
        assert_eq!(kind_of(&other.take("http://h/c/").unwrap_err()), Kind::Locked);
        claim.take("http://h/d/").unwrap();
        other.take("http://h/c/").unwrap();
        drop(claim);
        other.take("http://h/d/").unwrap();
    }

    #[test]
    fn a_pass_of_the_same_run_is_waited_for_until_somebody_asks_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let locks = locks(&folder);
        let claim = locks.claim();
        claim.take("http://h/c/").unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| locks.claim().take("http://h/c/"));
            drop(claim);
            second.join().unwrap().unwrap();
        });
        let claim = locks.claim();
        claim.take("http://h/c/").unwrap();
        locks.stop.request(15);
        assert_eq!(kind_of(&locks.claim().take("http://h/c/").unwrap_err()), Kind::Stopped);
    }
}
