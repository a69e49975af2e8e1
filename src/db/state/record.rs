//! The records in the state, and the foreign objects that were read once.

use rusqlite::{Row, params};

use super::{Id, State, Tally, reading};
use crate::model::{ComponentType, Etag, Hash, Href, Key, Record, Standing};
use crate::plan::{Suspicion, wait};
use crate::words::error::{Kind, OrFault};
use crate::words::time::Timestamp;

/// A foreign object: where, in which version, and its identity if it can be read.
pub type ForeignObject = (Href, Etag, Option<Key>);

/// What a pass was about to leave at an href when it was cut off: an object with this hash, or nothing.
pub type Intent = (Href, Option<Hash>);

/// An object of another subscription: where, in the version that it left, and the identity that stands there.
pub type OthersObject = (Href, Etag, Key);

impl State {
    /// Every record of a subscription.
    pub fn records(&self, id: Id) -> anyhow::Result<Vec<Record>> {
        let mut statement = self.statement(
            "SELECT component, uid, target_uid, href, etag, source_hash, sent_hash, server_hash, content_hash,
                restored_hash, start, summary, standing, reason, since, tries
             FROM record WHERE subscription = ?1 ORDER BY component, uid",
        )?;
        let rows = statement.query_map([id], record_of).or_fault(Kind::State, reading)?;
        rows.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Writes a record, over an older one of the same key.
    pub fn put_record(&self, id: Id, record: &Record) -> anyhow::Result<()> {
        let (standing, reason, since, tries) = match &record.standing {
            Standing::Mirrored => ("mirrored", None, None, 0),
            Standing::Rejected { reason, at, tries } => ("rejected", Some(reason), Some(at.0), *tries),
            Standing::Kept => ("kept", None, None, 0),
            Standing::Doomed { approved: false } => ("doomed", None, None, 0),
            Standing::Doomed { approved: true } => ("approved", None, None, 0),
            Standing::Undeletable { reason, at, tries } => ("undeletable", Some(reason), Some(at.0), *tries),
            Standing::Foreign { reason } => ("foreign", Some(reason), None, 0),
        };
        self.run(
            "INSERT OR REPLACE INTO record (subscription, component, uid, target_uid, href, etag, source_hash,
                sent_hash, server_hash, content_hash, restored_hash, start, summary, standing, reason, since, tries)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
            params![
                id,
                record.key.component.as_str(),
                record.key.uid,
                record.target_uid,
                record.href.as_str(),
                record.etag.as_ref().map(Etag::written),
                record.source_hash.0,
                record.sent_hash.0,
                record.server_hash.map(|hash| hash.0),
                record.content_hash.0,
                record.restored_hash.map(|hash| hash.0),
                record.start,
                record.summary,
                standing,
                reason,
                since,
                tries
            ],
        )
    }

    /// Removes a record.
    pub fn forget_record(&self, id: Id, key: &Key) -> anyhow::Result<()> {
        self.run(
            "DELETE FROM record WHERE subscription = ?1 AND component = ?2 AND uid = ?3",
            params![id, key.component.as_str(), key.uid],
        )
    }

    /// What other subscriptions have put into the target at this address.
    pub fn objects_of_others(&self, id: Option<Id>, address: &str) -> anyhow::Result<Vec<OthersObject>> {
        let mut statement = self.statement(
            "SELECT href, etag, component, ifnull(target_uid, uid)
             FROM record JOIN subscription ON subscription.id = record.subscription
             WHERE address = ?1 AND subscription.id IS NOT ?2 AND record.etag IS NOT NULL",
        )?;
        let rows = statement.query_map(params![address, id], |row| {
            let component = component_of(&row.get::<_, String>(2)?)?;
            let etag = Etag::parse(&row.get::<_, String>(1)?).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((Href::new(row.get::<_, String>(0)?), etag, Key { component, uid: row.get(3)? }))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// The foreign objects that were read in earlier passes.
    pub fn foreign_objects(&self, id: Id) -> anyhow::Result<Vec<ForeignObject>> {
        let mut statement =
            self.statement("SELECT href, etag, component, uid FROM foreign_object WHERE subscription = ?1")?;
        let rows = statement.query_map([id], |row| {
            let component = row.get::<_, Option<String>>(2)?.map(|name| component_of(&name)).transpose()?;
            let key = component.zip(row.get::<_, Option<String>>(3)?).map(|(component, uid)| Key { component, uid });
            let etag = Etag::parse(&row.get::<_, String>(1)?).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((Href::new(row.get::<_, String>(0)?), etag, key))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Replaces what is known of the foreign objects.
    pub fn set_foreign_objects(&self, id: Id, objects: &[ForeignObject]) -> anyhow::Result<()> {
        self.run("DELETE FROM foreign_object WHERE subscription = ?1", [id])?;
        objects.iter().try_for_each(|object| self.add_foreign_object(id, object))
    }

    /// Remembers one more foreign object.
    pub fn add_foreign_object(&self, id: Id, (href, etag, key): &ForeignObject) -> anyhow::Result<()> {
        let (component, uid) = key.as_ref().map(|key| (key.component.as_str(), &key.uid)).unzip();
        self.run(
            "INSERT OR REPLACE INTO foreign_object (subscription, href, etag, component, uid)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, href.as_str(), etag.written(), component, uid],
        )
    }

    /// What the passes since the last settled one were about to do.
    pub fn intents(&self, id: Id) -> anyhow::Result<Vec<Intent>> {
        let mut statement = self.statement("SELECT href, hash FROM intent WHERE subscription = ?1")?;
        let rows = statement.query_map([id], |row| {
            let hash = row.get::<_, Vec<u8>>(1)?.try_into().ok().map(Hash);
            Ok((Href::new(row.get::<_, String>(0)?), hash))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Remembers what a pass is about to do, until it is forgotten.
    pub fn add_intents(&self, id: Id, intents: &[Intent]) -> anyhow::Result<()> {
        intents.iter().try_for_each(|(href, hash)| {
            let hash: &[u8] = hash.as_ref().map_or(&[], |hash| &hash.0);
            self.run(
                "INSERT OR IGNORE INTO intent (subscription, href, hash) VALUES (?1, ?2, ?3)",
                params![id, href.as_str(), hash],
            )
        })
    }

    /// Forgets what was intended at an href.
    pub fn forget_intents_at(&self, id: Id, href: &Href) -> anyhow::Result<()> {
        self.run("DELETE FROM intent WHERE subscription = ?1 AND href = ?2", params![id, href.as_str()])
    }

    /// Forgets all that was intended.
    pub fn forget_intents(&self, id: Id) -> anyhow::Result<()> {
        self.run("DELETE FROM intent WHERE subscription = ?1", [id])
    }

    /// When the next of the objects that the server refused is tried again, and how many objects of the feed are refused and
    /// in the target in no form.
    pub fn refusals(&self, id: Id) -> anyhow::Result<(Option<Timestamp>, u64)> {
        let mut statement = self.statement(
            "SELECT since, tries, standing = 'rejected' AND etag IS NULL FROM record
             WHERE subscription = ?1 AND since IS NOT NULL",
        )?;
        let rows = statement.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get(2)?)));
        let rows =
            rows.or_fault(Kind::State, reading)?.collect::<Result<Vec<_>, _>>().or_fault(Kind::State, reading)?;
        let due = rows.iter().filter_map(|(since, tries, _)| Some(Timestamp(*since).plus(wait(*tries)?)));
        Ok((due.min(), rows.iter().filter(|(.., is_absent)| *is_absent).count() as u64))
    }

    /// The objects that are suspected of failing their subscription.
    pub fn suspects(&self, id: Id) -> anyhow::Result<Vec<(Key, Suspicion)>> {
        let mut statement =
            self.statement("SELECT component, uid, failed, hung FROM suspect WHERE subscription = ?1")?;
        let rows = statement.query_map([id], |row| {
            let component = component_of(&row.get::<_, String>(0)?)?;
            Ok((Key { component, uid: row.get(1)? }, Suspicion { failed: row.get(2)?, hung: row.get(3)? }))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Remembers how much an object is suspected.
    pub fn set_suspect(&self, id: Id, key: &Key, suspicion: Suspicion) -> anyhow::Result<()> {
        self.run(
            "INSERT OR REPLACE INTO suspect (subscription, component, uid, failed, hung) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, key.component.as_str(), key.uid, suspicion.failed, suspicion.hung],
        )
    }

    /// Suspects nothing any more.
    pub fn forget_suspects(&self, id: Id) -> anyhow::Result<()> {
        self.run("DELETE FROM suspect WHERE subscription = ?1", [id])
    }

    pub(super) fn tally(&self, id: Id) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let mut counting =
            self.statement("SELECT count(*) FROM record WHERE subscription = ?1 AND etag IS NOT NULL")?;
        let mirrored: i64 = counting.query_row([id], |row| row.get(0)).or_fault(Kind::State, reading)?;
        tally.mirrored = mirrored.cast_unsigned();
        let mut statement = self.statement(
            "SELECT standing, uid, summary, ifnull(reason, start) FROM record
             WHERE subscription = ?1 AND standing NOT IN ('mirrored', 'kept') ORDER BY start, uid",
        )?;
        let mut rows = statement.query([id]).or_fault(Kind::State, reading)?;
        while let Some(row) = rows.next().or_fault(Kind::State, reading)? {
            let entry = three_texts(row).or_fault(Kind::State, reading)?;
            let standing: String = row.get(0).or_fault(Kind::State, reading)?;
            tally.approved += u64::from(standing == "approved");
            match standing.as_str() {
                "foreign" => tally.foreign.push(entry),
                "doomed" | "approved" => tally.held.push(entry),
                _ => tally.rejected.push(entry),
            }
        }
        Ok(tally)
    }
}

fn three_texts(row: &Row<'_>) -> rusqlite::Result<(String, String, String)> {
    Ok((row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?.unwrap_or_default()))
}

fn component_of(name: &str) -> rusqlite::Result<ComponentType> {
    ComponentType::from_name(name.as_bytes()).ok_or(rusqlite::Error::InvalidQuery)
}

fn record_of(row: &Row<'_>) -> rusqlite::Result<Record> {
    let hash = |index: usize| row.get::<_, [u8; 32]>(index).map(Hash);
    let maybe_hash = |index: usize| row.get::<_, Option<[u8; 32]>>(index).map(|bytes| bytes.map(Hash));
    let component = component_of(&row.get::<_, String>(0)?)?;
    let reason = row.get::<_, Option<String>>(13)?.unwrap_or_default();
    let at = Timestamp(row.get::<_, Option<i64>>(14)?.unwrap_or(0));
    let tries = row.get(15)?;
    let standing = match row.get::<_, String>(12)?.as_str() {
        "rejected" => Standing::Rejected { reason, at, tries },
        "undeletable" => Standing::Undeletable { reason, at, tries },
        "doomed" => Standing::Doomed { approved: false },
        "approved" => Standing::Doomed { approved: true },
        "kept" => Standing::Kept,
        "foreign" => Standing::Foreign { reason },
        _ => Standing::Mirrored,
    };
    Ok(Record {
        key: Key { component, uid: row.get(1)? },
        target_uid: row.get(2)?,
        href: Href::new(row.get::<_, String>(3)?),
        etag: row.get::<_, Option<String>>(4)?.and_then(|etag| Etag::parse(&etag)),
        source_hash: hash(5)?,
        sent_hash: hash(6)?,
        server_hash: maybe_hash(7)?,
        content_hash: hash(8)?,
        restored_hash: maybe_hash(9)?,
        start: row.get(10)?,
        summary: row.get(11)?,
        standing,
    })
}
