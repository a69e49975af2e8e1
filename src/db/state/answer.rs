//! A person's answers between two runs: written into the state, executed by the next run.

use rusqlite::params;

use super::{Id, State};
use crate::words::time::Timestamp;

impl State {
    /// Approves the deletions that are held now, and requests a pass; returns how many they are. What leaves the feed
    /// later is judged again, and what comes back is not deleted.
    pub fn approve(&self, id: Id, now: Timestamp) -> anyhow::Result<u64> {
        self.begin()?;
        let about_owners = "UPDATE subscription SET take_over = 1 WHERE id = ?1 AND held_for IN ('occupied', 'draw')";
        self.run(about_owners, [id])?;
        self.run("UPDATE record SET approved = 1 WHERE subscription = ?1 AND status = 'held' AND NOT approved", [id])?;
        let approved = self.connection.changes();
        self.ask(id, now)?;
        self.commit()?;
        Ok(approved)
    }

    /// Ends the waits of a subscription: those after a failure and those of refused objects. The next run retries at
    /// once, unless a server asked for a later time.
    pub fn retry(&self, id: Id, now: Timestamp) -> anyhow::Result<()> {
        self.begin()?;
        self.run("UPDATE record SET since = 0 WHERE subscription = ?1 AND tries > 0", [id])?;
        let due = "UPDATE subscription SET next_change_at = 0 WHERE id = ?1 AND EXISTS
            (SELECT 1 FROM record WHERE subscription = ?1 AND tries > 0)";
        self.run(due, [id])?;
        self.ask(id, now)?;
        self.commit()
    }

    /// Notes that what a person allowed to take over has been taken over.
    pub fn end_take_over(&self, id: Id) -> anyhow::Result<()> {
        self.run("UPDATE subscription SET take_over = 0 WHERE id = ?1", [id])
    }

    fn ask(&self, id: Id, now: Timestamp) -> anyhow::Result<()> {
        self.run("UPDATE subscription SET asked_at = ?2 WHERE id = ?1", params![id, now.0])
    }
}
