//! The bodies that passes overwrote or deleted: kept for thirty days, and up to a maximum size.

use rusqlite::params;

use super::record::component_of;
use super::{Id, State, reading};
use crate::model::{Href, Key};
use crate::words::error::{Kind, OrFault};
use crate::words::time::{DAY, Timestamp};

/// How long a body is kept, in seconds.
const KEPT_FOR: u64 = 30 * DAY;
/// The maximum total size of the bodies in octets; the oldest are dropped first.
const MOST_OCTETS: i64 = 64 << 20;

/// A body that was overwritten or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// When.
    pub at: Timestamp,
    /// Whether it was deleted, not overwritten.
    pub is_deleted: bool,
    /// Its identity, if known.
    pub key: Option<Key>,
    /// Where it was.
    pub href: Href,
    /// The body.
    pub text: Vec<u8>,
}

impl State {
    /// Puts bodies aside.
    pub fn put_aside(&self, id: Id, aside: &[Aside]) -> anyhow::Result<()> {
        aside.iter().try_for_each(|Aside { at, is_deleted, key, href, text }| {
            let what = if *is_deleted { "deleted" } else { "overwritten" };
            let (component, uid) = key.as_ref().map(|key| (key.component.as_str(), &key.uid)).unzip();
            self.run(
                "INSERT INTO aside (subscription, at, what, component, uid, href, text)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                params![id, at.0, what, component, uid, href.as_str(), text],
            )
        })
    }

    /// What a subscription has put aside, oldest first.
    pub fn aside(&self, id: Id) -> anyhow::Result<Vec<Aside>> {
        let sql =
            "SELECT at, what = 'deleted', component, uid, href, text FROM aside WHERE subscription = ?1 ORDER BY id";
        let mut statement = self.statement(sql)?;
        let rows = statement.query_map([id], |row| {
            let component = row.get::<_, Option<String>>(2)?.map(|name| component_of(&name)).transpose()?;
            let key = component.zip(row.get(3)?).map(|(component, uid)| Key { component, uid });
            let (at, href) = (Timestamp(row.get(0)?), Href::new(row.get::<_, String>(4)?));
            Ok(Aside { at, is_deleted: row.get(1)?, key, href, text: row.get(5)? })
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Drops bodies that are too old, and the oldest ones if there are too many.
    pub fn let_go_of_old(&self, now: Timestamp) -> anyhow::Result<()> {
        self.run("DELETE FROM aside WHERE at < ?1", [now.0 - KEPT_FOR.cast_signed()])?;
        self.run(
            "DELETE FROM aside WHERE id <= (SELECT id FROM
                (SELECT id, sum(length(text)) OVER (ORDER BY id DESC) AS octets FROM aside)
             WHERE octets > ?1 ORDER BY id DESC LIMIT 1)",
            [MOST_OCTETS],
        )
    }
}
