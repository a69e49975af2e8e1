//! The records in the state, and the foreign objects that were read before.

use rusqlite::{Row, params};

use super::{Id, State, Tally, reading};
use crate::model::{
    Base, Before, ComponentType, EndsAt, Etag, Gone, Hash, Href, Key, Occupant, Place, Record, Refusal, Source, Status,
    TargetForm,
};
use crate::plan::{Suspicion, wait};
use crate::words::error::{Kind, OrFault};
use crate::words::time::Timestamp;

/// A foreign object: its href, its version, and its identity if it is valid.
pub type ForeignObject = (Href, Etag, Option<Key>);

/// What a pass was about to leave at an href: an object with this hash, or nothing.
pub type Intent = (Href, Option<Hash>);

/// An object of another subscription: its href, the version it left, and the identity there.
pub type OthersObject = (Href, Etag, Key);

const COLUMNS: &str = "component, uid, source_hash, summary, start, ends_at, status, href, target_uid, sent_hash, etag,
    form, form_hash, reason, since, tries, approved";

/// Represents an end that never comes: the last second of the year 9999.
const NEVER: i64 = 253_402_300_799;

impl State {
    /// Every record of a subscription.
    pub fn records(&self, id: Id) -> anyhow::Result<Vec<Record>> {
        let sql = format!("SELECT {COLUMNS} FROM record WHERE subscription = ?1 ORDER BY component, uid");
        let mut statement = self.statement(&sql)?;
        let rows = statement.query_map([id], record_of).or_fault(Kind::State, reading)?;
        rows.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Writes a record, replacing an older one of the same key.
    pub fn put_record(&self, id: Id, record: &Record) -> anyhow::Result<()> {
        let Record { key, source, status } = record;
        let word = match status {
            Status::Mirrored(_) => "mirrored",
            Status::Removed(..) => "removed",
            Status::Refused { .. } => "refused",
            Status::Occupied(_) => "occupied",
            Status::Gone(_, Gone::Kept) => "kept",
            Status::Gone(_, Gone::Pinned) => "pinned",
            Status::Gone(_, Gone::Held { .. }) => "held",
            Status::Gone(_, Gone::Undeletable(_)) => "undeletable",
        };
        let ends_at = match source.ends_at {
            EndsAt::At(moment) => Some(moment.0),
            EndsAt::Never => Some(NEVER),
            EndsAt::Unknown => None,
        };
        let (form, form_hash) = match record.base().map(|base| base.form) {
            None => (None, None),
            Some(TargetForm::AsSent) => (Some("as sent"), None),
            Some(TargetForm::Rewritten(hash)) => (Some("rewritten"), Some(hash.0)),
            Some(TargetForm::Overwrote(hash)) => (Some("overwrote"), Some(hash.0)),
        };
        let (reason, since) = match status {
            Status::Occupied(occupant) => (Some(occupant.as_str()), None),
            Status::Gone(_, Gone::Held { since, .. }) => (None, since.map(|since| since.0)),
            _ => record.refusal().map(|refusal| (refusal.reason.as_str(), refusal.at.0)).unzip(),
        };
        let sql = format!(
            "INSERT OR REPLACE INTO record (subscription, {COLUMNS})
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)"
        );
        self.run(
            &sql,
            params![
                id,
                key.component.as_str(),
                key.uid,
                source.hash.0,
                source.summary,
                source.start,
                ends_at,
                word,
                record.href().map(Href::as_str),
                record.place().and_then(|place| place.uid.as_ref()),
                record.sent().map(|hash| hash.0),
                record.etag().map(Etag::written),
                form,
                form_hash,
                reason,
                since,
                record.refusal().map(|refusal| refusal.tries),
                matches!(status, Status::Gone(_, Gone::Held { approved: true, .. })),
            ],
        )
    }

    /// Replaces every record of a subscription.
    pub fn set_records(&self, id: Id, records: &[Record]) -> anyhow::Result<()> {
        self.run("DELETE FROM record WHERE subscription = ?1", [id])?;
        records.iter().try_for_each(|record| self.put_record(id, record))
    }

    /// Removes a record.
    pub fn forget_record(&self, id: Id, key: &Key) -> anyhow::Result<()> {
        self.run(
            "DELETE FROM record WHERE subscription = ?1 AND component = ?2 AND uid = ?3",
            params![id, key.component.as_str(), key.uid],
        )
    }

    /// What a subscription has in its target, for others that share it.
    pub fn objects_of(&self, id: Id) -> anyhow::Result<Vec<OthersObject>> {
        let mut statement = self.statement(
            "SELECT href, etag, component, ifnull(target_uid, uid) FROM record
             WHERE subscription = ?1 AND etag IS NOT NULL",
        )?;
        let rows = statement.query_map([id], |row| {
            let component = component_of(&row.get::<_, String>(2)?)?;
            let etag = Etag::parse(&row.get::<_, String>(1)?).ok_or(rusqlite::Error::InvalidQuery)?;
            Ok((Href::new(row.get::<_, String>(0)?), etag, Key { component, uid: row.get(3)? }))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// The foreign objects that earlier passes read.
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

    /// The journal: writes whose outcome is not recorded yet.
    pub fn journal(&self, id: Id) -> anyhow::Result<Vec<Intent>> {
        let mut statement = self.statement("SELECT href, hash FROM journal WHERE subscription = ?1")?;
        let rows = statement.query_map([id], |row| {
            let hash = row.get::<_, Vec<u8>>(1)?.try_into().ok().map(Hash);
            Ok((Href::new(row.get::<_, String>(0)?), hash))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Adds to the journal what a pass is about to do.
    pub fn add_to_journal(&self, id: Id, intents: &[Intent]) -> anyhow::Result<()> {
        intents.iter().try_for_each(|(href, hash)| {
            let hash: &[u8] = hash.as_ref().map_or(&[], |hash| &hash.0);
            self.run(
                "INSERT OR IGNORE INTO journal (subscription, href, hash) VALUES (?1, ?2, ?3)",
                params![id, href.as_str(), hash],
            )
        })
    }

    /// Strikes an href from the journal: the record has the outcome of its writes.
    pub fn strike_from_journal(&self, id: Id, href: &Href) -> anyhow::Result<()> {
        self.run("DELETE FROM journal WHERE subscription = ?1 AND href = ?2", params![id, href.as_str()])
    }

    /// Empties the journal.
    pub fn clear_journal(&self, id: Id) -> anyhow::Result<()> {
        self.run("DELETE FROM journal WHERE subscription = ?1", [id])
    }

    /// When the next refused object is tried again, and how many objects of the feed are refused and not in the
    /// target in any form.
    pub fn refusals(&self, id: Id) -> anyhow::Result<(Option<Timestamp>, u64)> {
        let mut statement = self.statement(
            "SELECT since, tries, status = 'refused' AND etag IS NULL FROM record
             WHERE subscription = ?1 AND tries IS NOT NULL",
        )?;
        let rows = statement.query_map([id], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get(2)?)));
        let rows =
            rows.or_fault(Kind::State, reading)?.collect::<Result<Vec<_>, _>>().or_fault(Kind::State, reading)?;
        let due = rows.iter().filter_map(|(since, tries, _)| Some(Timestamp(*since).plus(wait(*tries)?)));
        Ok((due.min(), rows.iter().filter(|(.., is_absent)| *is_absent).count() as u64))
    }

    /// The objects suspected of failing their subscription.
    pub fn suspects(&self, id: Id) -> anyhow::Result<Vec<(Key, Suspicion)>> {
        let mut statement =
            self.statement("SELECT component, uid, failed, hung FROM suspect WHERE subscription = ?1")?;
        let rows = statement.query_map([id], |row| {
            let component = component_of(&row.get::<_, String>(0)?)?;
            Ok((Key { component, uid: row.get(1)? }, Suspicion { failed: row.get(2)?, hung: row.get(3)? }))
        });
        rows.or_fault(Kind::State, reading)?.collect::<Result<_, _>>().or_fault(Kind::State, reading)
    }

    /// Stores the suspicion against an object.
    pub fn set_suspect(&self, id: Id, key: &Key, suspicion: Suspicion) -> anyhow::Result<()> {
        self.run(
            "INSERT OR REPLACE INTO suspect (subscription, component, uid, failed, hung) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![id, key.component.as_str(), key.uid, suspicion.failed, suspicion.hung],
        )
    }

    /// Forgets all suspicions.
    pub fn forget_suspects(&self, id: Id) -> anyhow::Result<()> {
        self.run("DELETE FROM suspect WHERE subscription = ?1", [id])
    }

    pub(super) fn tally(&self, id: Id) -> anyhow::Result<Tally> {
        let mut tally = Tally::default();
        let sql = "SELECT count(*) FROM record WHERE subscription = ?1 AND etag IS NOT NULL";
        let mirrored: i64 = self.statement(sql)?.query_row([id], |row| row.get(0)).or_fault(Kind::State, reading)?;
        tally.mirrored = mirrored.cast_unsigned();
        let sql = format!(
            "SELECT {COLUMNS} FROM record WHERE subscription = ?1 AND status NOT IN ('mirrored', 'removed', 'kept', 'pinned')
             ORDER BY start, uid"
        );
        let mut statement = self.statement(&sql)?;
        for record in statement.query_map([id], record_of).or_fault(Kind::State, reading)? {
            let record = record.or_fault(Kind::State, reading)?;
            let Record { key, source, status } = record;
            let told = |list: &mut Vec<_>, why: String| list.push((key.uid.clone(), source.summary.clone(), why));
            match status {
                Status::Occupied(Occupant::Equal) => tally.equal += 1,
                Status::Occupied(occupant) => told(&mut tally.occupied, occupant.reason().to_owned()),
                Status::Gone(_, Gone::Held { approved, .. }) => {
                    tally.approved += u64::from(approved);
                    told(&mut tally.held, source.start.clone());
                }
                Status::Refused { refusal, .. } | Status::Gone(_, Gone::Undeletable(refusal)) => {
                    told(&mut tally.rejected, refusal.reason);
                }
                Status::Mirrored(_) | Status::Removed(..) | Status::Gone(_, Gone::Kept | Gone::Pinned) => {}
            }
        }
        Ok(tally)
    }
}

pub(super) fn component_of(name: &str) -> rusqlite::Result<ComponentType> {
    ComponentType::from_name(name.as_bytes()).ok_or(rusqlite::Error::InvalidQuery)
}

/// A record, or an error if we never write such columns.
fn record_of(row: &Row<'_>) -> rusqlite::Result<Record> {
    let hash = |index: usize| row.get::<_, Option<[u8; 32]>>(index).map(|bytes| bytes.map(Hash));
    let component = component_of(&row.get::<_, String>(0)?)?;
    let source = Source {
        hash: hash(2)?.ok_or(UNREADABLE)?,
        summary: row.get(3)?,
        start: row.get(4)?,
        ends_at: match row.get::<_, Option<i64>>(5)? {
            None => EndsAt::Unknown,
            Some(NEVER) => EndsAt::Never,
            Some(moment) => EndsAt::At(Timestamp(moment)),
        },
    };
    Ok(Record { key: Key { component, uid: row.get(1)? }, source, status: status_of(row, hash(9)?, hash(12)?)? })
}

/// The error for content that we never write; the file is then set aside.
const UNREADABLE: rusqlite::Error = rusqlite::Error::InvalidQuery;

fn status_of(row: &Row<'_>, sent: Option<Hash>, form_hash: Option<Hash>) -> rusqlite::Result<Status> {
    let uid: Option<String> = row.get(8)?;
    let place = row.get::<_, Option<String>>(7)?.map(|href| Place { href: Href::new(href), uid });
    let etag = row.get::<_, Option<String>>(10)?.map(|etag| Etag::parse(&etag).ok_or(UNREADABLE)).transpose()?;
    let form = match (row.get::<_, Option<String>>(11)?.as_deref(), form_hash) {
        (None, None) => None,
        (Some("as sent"), None) => Some(TargetForm::AsSent),
        (Some("rewritten"), Some(hash)) => Some(TargetForm::Rewritten(hash)),
        (Some("overwrote"), Some(hash)) => Some(TargetForm::Overwrote(hash)),
        _ => return Err(UNREADABLE),
    };
    let reason: Option<String> = row.get(13)?;
    let since = row.get::<_, Option<i64>>(14)?.map(Timestamp);
    let refusal = row.get::<_, Option<u32>>(15)?.zip(since).map(|(tries, at)| Refusal {
        reason: reason.clone().unwrap_or_default(),
        at,
        tries,
    });
    let status: String = row.get(6)?;
    let before = match (place, sent, form, etag) {
        (Some(place), Some(hash), Some(form), etag) => Some(Before::Standing(Base { place, etag, hash, form })),
        (Some(place), Some(hash), None, None) => Some(Before::Removed(place, hash)),
        (Some(place), None, None, None) => Some(Before::Nothing(place)),
        (None, None, None, None) => None,
        _ => return Err(UNREADABLE),
    };
    match (status.as_str(), before, refusal) {
        ("mirrored", Some(Before::Standing(base)), None) => Ok(Status::Mirrored(base)),
        ("removed", Some(Before::Removed(place, hash)), None) => Ok(Status::Removed(place, hash)),
        ("refused", Some(before), Some(refusal)) => Ok(Status::Refused { before, refusal }),
        ("occupied", None, None) => {
            let occupant = reason.as_deref().and_then(Occupant::from_word);
            occupant.map(Status::Occupied).ok_or(UNREADABLE)
        }
        ("kept", Some(Before::Standing(base)), None) => Ok(Status::Gone(base, Gone::Kept)),
        ("pinned", Some(Before::Standing(base)), None) => Ok(Status::Gone(base, Gone::Pinned)),
        ("held", Some(Before::Standing(base)), None) => {
            Ok(Status::Gone(base, Gone::Held { since, approved: row.get(16)? }))
        }
        ("undeletable", Some(Before::Standing(base)), Some(refusal)) => {
            Ok(Status::Gone(base, Gone::Undeletable(refusal)))
        }
        _ => Err(UNREADABLE),
    }
}
