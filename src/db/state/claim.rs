//! Which subscriptions share a calendar, and who owns its prefixes.

use std::collections::{BTreeMap, HashSet};

use rusqlite::params;

use super::{Id, Identity, State, reading, writing};
use crate::model::Hash;
use crate::plan::naming;
use crate::words::error::{Kind, OrFault};

/// A subscription whose target is known by its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// Its row.
    pub id: Id,
    /// Its identity.
    pub identity: Identity,
    /// Whether it has a record of anything in the target.
    pub has_objects: bool,
}

/// How hrefs begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix {
    /// Eight hex digits and a dash.
    pub text: String,
    /// Whether it was claimed by evidence: the objects under it may be from another installation.
    pub is_claimed: bool,
}

impl State {
    /// Every subscription whose target was found at this address.
    pub fn neighbours(&self, address: &str) -> anyhow::Result<Vec<Neighbour>> {
        let mut statement = self.statement(
            "SELECT id, name, target, source, EXISTS (SELECT 1 FROM record WHERE record.subscription = id AND form IS NOT NULL)
             FROM subscription JOIN ends ON ends.subscription = id AND which = 'b' WHERE address = ?1",
        )?;
        let rows = statement.query_map([address], |row| {
            let source = row.get::<_, Option<[u8; 32]>>(3)?.unwrap_or_default();
            let identity = Identity { name: row.get(1)?, target: row.get(2)?, source: Hash(source) };
            Ok(Neighbour { id: row.get(0)?, identity, has_objects: row.get(4)? })
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// How the hrefs of a subscription begin.
    pub fn prefixes(&self, id: Id) -> anyhow::Result<Vec<Prefix>> {
        let mut statement =
            self.statement("SELECT prefix, claimed FROM prefix WHERE subscription = ?1 ORDER BY rowid")?;
        let rows = statement.query_map([id], |row| Ok(Prefix { text: row.get(0)?, is_claimed: row.get(1)? }));
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Sets how the hrefs of a subscription begin. Others, no longer configured, lose these prefixes and the records
    /// under them.
    pub fn set_prefixes(&self, id: Id, prefixes: &[Prefix]) -> anyhow::Result<()> {
        self.run(
            "DELETE FROM prefix WHERE subscription = ?1 AND NOT EXISTS
                (SELECT 1 FROM record WHERE record.subscription = ?1 AND substr(href, 1, 9) = prefix)",
            [id],
        )?;
        for Prefix { text, is_claimed } in prefixes {
            self.run(
                "DELETE FROM record WHERE subscription <> ?1 AND substr(href, 1, 9) = ?2
                    AND EXISTS (SELECT 1 FROM prefix WHERE prefix = ?2 AND prefix.subscription = record.subscription)",
                params![id, text],
            )?;
            self.run("DELETE FROM prefix WHERE subscription <> ?1 AND prefix = ?2", params![id, text])?;
            let insert = "INSERT OR IGNORE INTO prefix (subscription, prefix, claimed) VALUES (?1, ?2, ?3)";
            self.run(insert, params![id, text, is_claimed])?;
        }
        // A subscription with nothing left is removed.
        self.run(
            "DELETE FROM subscription WHERE id <> ?1 AND settings IS NOT NULL
                AND target = (SELECT target FROM subscription WHERE id = ?1)
                AND NOT EXISTS (SELECT 1 FROM record WHERE record.subscription = subscription.id)
                AND NOT EXISTS (SELECT 1 FROM prefix WHERE prefix.subscription = subscription.id)",
            [id],
        )
    }

    /// Forgets a subscription and everything about it. Subscriptions that share its target look there in their next
    /// pass, because its UIDs may be free now.
    pub fn forget(&self, id: Id) -> anyhow::Result<()> {
        self.connection.execute_batch("PRAGMA foreign_keys = ON").or_fault(Kind::State, writing)?;
        self.begin()?;
        self.run(
            "UPDATE ends SET looked_at = NULL WHERE subscription <> ?1
                AND address = (SELECT address FROM ends WHERE subscription = ?1 AND which = 'b')",
            [id],
        )?;
        self.run("DELETE FROM subscription WHERE id = ?1", [id])?;
        self.commit()
    }

    /// The number of objects by prefixes of our shape that no subscription has, as a subscription's passes saw them.
    pub fn unclaimed(&self, id: Id) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut statement = self.statement("SELECT DISTINCT prefix FROM prefix")?;
        let rows = statement.query_map([], |row| row.get(0)).or_fault(Kind::State, reading)?;
        let owned: HashSet<String> = rows.collect::<Result<_, _>>().or_fault(Kind::State, reading)?;
        let mut unclaimed = BTreeMap::new();
        for (href, ..) in self.foreign_objects(id)? {
            let prefix = naming::prefix_of(&href).filter(|prefix| !owned.contains(*prefix));
            if let Some(prefix) = prefix {
                *unclaimed.entry(prefix.to_owned()).or_default() += 1;
            }
        }
        Ok(unclaimed)
    }

    /// Notes that the objects under a prefix are gone: the next passes look again.
    pub fn forget_prefix(&self, prefix: &str) -> anyhow::Result<()> {
        self.begin()?;
        let touched = "IN (SELECT subscription FROM foreign_object WHERE substr(href, 1, 9) = ?1)";
        self.run(&format!("UPDATE subscription SET feed_body = NULL WHERE id {touched}"), [prefix])?;
        self.run(&format!("UPDATE ends SET listed_at = NULL WHERE subscription {touched}"), [prefix])?;
        self.run("DELETE FROM foreign_object WHERE substr(href, 1, 9) = ?1", [prefix])?;
        self.commit()
    }
}
