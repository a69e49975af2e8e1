//! The locks of a run: one pass per subscription and one writer per calendar, because Baïkal 0.11 on SQLite stores an
//! object twice when two writers create it at once. They hold among the runs that share a state folder.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::files::{self, Lock};
use crate::signal::Stop;
use crate::words::digest;
use crate::words::error::{Kind, OrFault, fault};
use crate::words::time::Timestamp;

const SUBSCRIPTION: &str = "subscription";
/// How often to try a lock that somebody may just be looking at, and the pause between tries.
const GLANCES: u32 = 3;
const GLANCE: Duration = Duration::from_millis(20);

/// Creates locks. A pass takes them in one order: its subscription, the places that it writes to as configured, and
/// last the addresses where they were found; of two places the one first that comes first in the alphabet. So no two
/// passes wait for each other.
pub(super) struct Locks {
    folder: PathBuf,
    wait: bool,
    stop: Stop,
    /// The addresses that this run has locked.
    claimed: Mutex<HashSet<String>>,
}

/// The locks of the addresses where the places of a pass were found, whatever their configured spelling. Drop releases
/// them.
pub(super) struct Claim<'a> {
    locks: &'a Locks,
    held: Mutex<BTreeMap<String, Lock>>,
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

    /// Locks a subscription, and the places that it writes to as configured.
    pub(super) fn of(&self, name: &str, places: &[String]) -> anyhow::Result<Held> {
        let own = self.lock(SUBSCRIPTION, name)?;
        let killed = own.word().and_then(|word| word.parse().ok()).map(Timestamp);
        let places = in_order(places).into_iter().map(|place| self.lock("target", place));
        Ok(Held { own, killed, has_begun: AtomicBool::new(false), _places: places.collect::<Result<_, _>>()? })
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

    /// The locks of the addresses that a pass is yet to find.
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
    _places: Vec<Lock>,
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
    /// Locks these addresses; does nothing if just these are already locked.
    pub(super) fn take(&self, addresses: &[String]) -> anyhow::Result<()> {
        let addresses = in_order(addresses);
        if unpoisoned(&self.held).keys().eq(addresses.iter().copied()) {
            return Ok(());
        }
        self.give_back();
        let locked = addresses.into_iter().try_for_each(|address| {
            let lock = self.locks.lock_place(address)?;
            unpoisoned(&self.held).insert(address.clone(), lock);
            Ok(())
        });
        // Both or none.
        if locked.is_err() {
            self.give_back();
        }
        locked
    }

    fn give_back(&self) {
        let held = std::mem::take(&mut *unpoisoned(&self.held));
        let mut claimed = unpoisoned(&self.locks.claimed);
        for (address, lock) in held {
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

/// Each place once, in the order in which every pass locks them.
fn in_order(places: &[String]) -> BTreeSet<&String> {
    places.iter().collect()
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

    const C: &str = "http://h/c/";
    const D: &str = "http://h/d/";

    fn places(addresses: &[&str]) -> Vec<String> {
        addresses.iter().map(|address| (*address).to_owned()).collect()
    }

    #[test]
    fn a_place_is_locked_against_other_runs_until_the_claim_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (locks(&folder), locks(&folder));
        let (claim, other) = (ours.claim(), theirs.claim());
        claim.take(&places(&[C])).unwrap();
        claim.take(&places(&[C])).unwrap();
        assert_eq!(kind_of(&other.take(&places(&[C])).unwrap_err()), Kind::Locked);
        claim.take(&places(&[D])).unwrap();
        other.take(&places(&[C])).unwrap();
        drop(claim);
        other.take(&places(&[D])).unwrap();
    }

    #[test]
    fn of_two_places_both_are_locked_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (locks(&folder), locks(&folder));
        let (claim, other, third) = (ours.claim(), theirs.claim(), ours.claim());
        other.take(&places(&[D])).unwrap();
        assert_eq!(kind_of(&claim.take(&places(&[D, C])).unwrap_err()), Kind::Locked);
        drop(other);
        third.take(&places(&[C, D])).unwrap();
        third.take(&places(&[D, C, D])).unwrap();
    }

    #[test]
    fn two_passes_that_name_the_same_two_places_in_either_order_do_not_wait_for_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let locks = locks(&folder);
        let both_ways = [[C, D], [D, C]].map(|order| places(&order));
        std::thread::scope(|scope| {
            for order in &both_ways {
                scope.spawn(|| (0..200).for_each(|_| locks.claim().take(order).unwrap()));
            }
        });
        assert!(locks.claimed.into_inner().unwrap().is_empty());
    }

    #[test]
    fn the_places_as_configured_are_locked_too_whatever_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let locks = locks(&folder);
        let held = locks.of("one", &places(&[D, C])).unwrap();
        assert_eq!(locks.of("two", &places(&[C])).err().map(|error| kind_of(&error)), Some(Kind::Locked));
        drop(held);
        locks.of("two", &places(&[C, D, C])).unwrap();
    }

    #[test]
    fn a_pass_of_the_same_run_is_waited_for_until_somebody_asks_to_stop() {
        let folder = tempfile::tempdir().unwrap();
        let locks = locks(&folder);
        let claim = locks.claim();
        claim.take(&places(&[C])).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| locks.claim().take(&places(&[C])));
            drop(claim);
            second.join().unwrap().unwrap();
        });
        let claim = locks.claim();
        claim.take(&places(&[C])).unwrap();
        locks.stop.request(15);
        assert_eq!(kind_of(&locks.claim().take(&places(&[C])).unwrap_err()), Kind::Stopped);
    }
}
