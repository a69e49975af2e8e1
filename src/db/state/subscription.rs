//! The subscriptions in the state: their memory, and what was discovered behind their targets.

use rusqlite::{OptionalExtension, Row, params};

use super::{Id, State, reading};
use crate::dav::discover::{Remembered, Server};
use crate::model::memory::{Failing, FeedMemory, Hold, Memory};
use crate::model::{ComponentType, End, Hash, Href, Mark, Validators};
use crate::words::error::{Kind, OrFault};
use crate::words::time::Timestamp;

/// What tells a subscription from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its target, in the canonical form.
    pub target: String,
    /// SHA-256 of its source, whose address may be a secret.
    pub source: Hash,
}

impl Identity {
    fn parameters(&self) -> (&str, &str, [u8; 32]) {
        (&self.name, &self.target, self.source.0)
    }
}

/// The row of a subscription: that of its name, else that of its source.
const IDENTIFIED: &str =
    "WHERE target = ?2 AND (name = ?1 OR source = ?3) ORDER BY name = ?1 DESC, settled_at DESC LIMIT 1";

/// The same for a target that was found somewhere.
const IDENTIFIED_AT: &str =
    "WHERE address = ?2 AND (name = ?1 OR source = ?3) ORDER BY name = ?1 DESC, settled_at DESC LIMIT 1";

/// A subscription of the state, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its identity.
    pub id: Id,
    /// Its name.
    pub name: String,
    /// Its target, in the canonical form.
    pub target: String,
    /// What is remembered of it.
    pub memory: Memory,
    /// What its records say.
    pub tally: Tally,
}

/// How many objects stand how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects of ours in the target.
    pub mirrored: u64,
    /// Refused objects: UID, title, reason.
    pub rejected: Vec<(String, String, String)>,
    /// Objects whose UID someone else has: UID, title, reason.
    pub foreign: Vec<(String, String, String)>,
    /// Objects whose deletion is held: UID, title, start.
    pub held: Vec<(String, String, String)>,
    /// How many of them a person has given up since.
    pub approved: u64,
}

const COLUMNS: &str = "settings, feed_etag, feed_modified, feed_body, feed_digest, feed_objects, feed_read_at,
    ctag, sync_token, looked_at, listed_at, started_at, settled_at, pending, next_change_at,
    failures, failing_since, retry_at, failure_kind, failure_message, failure_said_at,
    held_deletes, held_reason, held_said_at, form, last_written, address,
    asked_at, failure_end, failure_until, failure_inputs, missing";
/// The places of the columns that follow them.
const ID: usize = 32;
const NAME: usize = 33;
const TARGET: usize = 34;

impl State {
    /// The memory of a subscription; one that never ran has none yet and no id. One that was renamed has that of its
    /// old name: the configuration has no two subscriptions of one source and one target.
    pub fn memory(&self, identity: &Identity) -> anyhow::Result<Option<(Id, Memory)>> {
        let sql = format!("SELECT {COLUMNS}, id FROM subscription {IDENTIFIED}");
        let mut statement = self.statement(&sql)?;
        let found = statement.query_row(identity.parameters(), |row| Ok((row.get(ID)?, memory_of(row)?)));
        found.optional().or_fault(Kind::State, reading)
    }

    /// The memory of a subscription whose target was found at this address when the configuration wrote it in another
    /// way.
    pub fn memory_at(&self, identity: &Identity, address: &str) -> anyhow::Result<Option<(Id, Memory)>> {
        let sql = format!("SELECT {COLUMNS}, id FROM subscription {IDENTIFIED_AT}");
        let mut statement = self.statement(&sql)?;
        let parameters = params![identity.name, address, identity.source.0];
        let found = statement.query_row(parameters, |row| Ok((row.get(ID)?, memory_of(row)?)));
        found.optional().or_fault(Kind::State, reading)
    }

    /// A subscription goes on under another name, or with its target written in another way. What was begun under those
    /// is dropped.
    pub fn respell(&self, id: Id, Identity { name, target, source }: &Identity) -> anyhow::Result<()> {
        self.run("DELETE FROM subscription WHERE name = ?2 AND target = ?3 AND id != ?1", params![id, name, target])?;
        self.run(
            "UPDATE subscription SET name = ?2, target = ?3, source = ?4 WHERE id = ?1",
            params![id, name, target, source.0],
        )
    }

    /// The id of a subscription, made when it is new. A renamed one has its new name from then on.
    pub fn subscription(&self, identity: &Identity) -> anyhow::Result<Id> {
        let mut statement = self.statement(&format!("SELECT id FROM subscription {IDENTIFIED}"))?;
        let known: Option<Id> =
            statement.query_row(identity.parameters(), |row| row.get(0)).optional().or_fault(Kind::State, reading)?;
        let Identity { name, target, source } = identity;
        if let Some(id) = known {
            let changed =
                "UPDATE subscription SET name = ?2, source = ?3 WHERE id = ?1 AND (name, source) IS NOT (?2, ?3)";
            self.run(changed, params![id, name, source.0])?;
            return Ok(id);
        }
        self.run(
            "INSERT INTO subscription (name, target, source) VALUES (?1, ?2, ?3)",
            params![name, target, source.0],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Stores the memory of a subscription.
    pub fn remember(&self, id: Id, memory: &Memory) -> anyhow::Result<()> {
        let feed = memory.feed.as_ref();
        let failing = memory.failing.as_ref();
        let held = memory.held.as_ref();
        let time = |moment: Option<Timestamp>| moment.map(|moment| moment.0);
        self.run(
            "UPDATE subscription SET settings = ?2, feed_etag = ?3, feed_modified = ?4, feed_body = ?5,
                feed_digest = ?6, feed_objects = ?7, feed_read_at = ?8, ctag = ?9, sync_token = ?10, looked_at = ?11,
                listed_at = ?12, started_at = ?13, settled_at = ?14, pending = ?15, next_change_at = ?16,
                failures = ?17, failing_since = ?18, retry_at = ?19, failure_kind = ?20, failure_message = ?21,
                failure_said_at = ?22, held_deletes = ?23, held_reason = ?24, held_said_at = ?25,
                form = ?26, last_written = ?27, address = ?28,
                failure_end = ?29, failure_until = ?30, failure_inputs = ?31, missing = ?32
             WHERE id = ?1",
            params![
                id,
                memory.settings.map(|hash| hash.0),
                feed.and_then(|feed| feed.validators.etag.as_ref()),
                feed.and_then(|feed| feed.validators.last_modified.as_ref()),
                feed.map(|feed| feed.body.0),
                feed.map(|feed| feed.digest.0),
                feed.map(|feed| feed.objects.cast_signed()),
                feed.map(|feed| feed.read_at.0),
                memory.mark.ctag,
                memory.mark.sync_token,
                time(memory.looked_at),
                time(memory.listed_at),
                time(memory.started_at),
                time(memory.settled_at),
                memory.pending,
                time(memory.next_change_at),
                failing.map_or(0, |failing| failing.failures),
                failing.map(|failing| failing.since.0),
                time(failing.and_then(|failing| failing.retry_at)),
                failing.map(|failing| failing.kind.as_str()),
                failing.map(|failing| &failing.message),
                time(failing.and_then(|failing| failing.said_at)),
                held.map(|held| held.deletes.cast_signed()),
                held.map(|held| &held.reason),
                time(held.and_then(|held| held.said_at)),
                memory.form,
                memory.last_written.as_ref().map(Href::as_str),
                memory.address,
                failing.map(|failing| failing.end.as_str()),
                time(failing.and_then(|failing| failing.until)),
                failing.and_then(|failing| failing.inputs).map(|hash| hash.0),
                memory.refused.cast_signed(),
            ],
        )
    }

    /// Every subscription that ever ran, by name.
    pub fn subscriptions(&self) -> anyhow::Result<Vec<Summary>> {
        let sql = format!("SELECT {COLUMNS}, id, name, target FROM subscription ORDER BY name, target");
        let mut statement = self.statement(&sql)?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, Id>(ID)?, row.get(NAME)?, row.get(TARGET)?, memory_of(row)?)));
        let rows: Result<Vec<_>, _> = rows.or_fault(Kind::State, reading)?.collect();
        let rows = rows.or_fault(Kind::State, reading)?;
        rows.into_iter()
            .map(|(id, name, target, memory)| Ok(Summary { id, name, target, memory, tally: self.tally(id)? }))
            .collect()
    }

    /// What discovery found behind a target.
    pub fn remembered(&self, target: &str) -> anyhow::Result<Option<Remembered>> {
        let mut statement = self.statement(
            "SELECT url, server, can_sync, auto_schedule, components, obeys FROM calendar WHERE target = ?1",
        )?;
        let found = statement.query_row([target], |row| {
            let components: String = row.get(4)?;
            let components = components.split(' ').filter_map(|name| ComponentType::from_name(name.as_bytes()));
            Ok(Remembered {
                calendar: row.get(0)?,
                server: Server::from_word(&row.get::<_, String>(1)?).unwrap_or(Server::Other),
                can_sync: row.get(2)?,
                auto_schedule: row.get(3)?,
                components: components.collect(),
                obeys_preconditions: row.get(5)?,
            })
        });
        found.optional().or_fault(Kind::State, reading)
    }

    /// Keeps what discovery found behind a target, or forgets it.
    pub fn set_remembered(&self, target: &str, remembered: Option<&Remembered>) -> anyhow::Result<()> {
        let Some(known) = remembered else {
            return self.run("DELETE FROM calendar WHERE target = ?1", [target]);
        };
        let components: Vec<&str> = known.components.iter().map(|component| component.as_str()).collect();
        self.run(
            "INSERT OR REPLACE INTO calendar (target, url, server, can_sync, auto_schedule, components, obeys)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                target,
                known.calendar,
                known.server.as_str(),
                known.can_sync,
                known.auto_schedule,
                components.join(" "),
                known.obeys_preconditions
            ],
        )
    }
}

fn memory_of(row: &Row<'_>) -> rusqlite::Result<Memory> {
    let time = |index: usize| row.get::<_, Option<i64>>(index).map(|moment| moment.map(Timestamp));
    let hash = |index: usize| row.get::<_, Option<[u8; 32]>>(index).map(|bytes| bytes.map(Hash));
    let feed = match (hash(3)?, hash(4)?, row.get::<_, Option<i64>>(5)?, time(6)?) {
        (Some(body), Some(digest), Some(objects), Some(read_at)) => Some(FeedMemory {
            validators: Validators { etag: row.get(1)?, last_modified: row.get(2)? },
            body,
            digest,
            objects: objects.cast_unsigned(),
            read_at,
        }),
        _ => None,
    };
    let failing = match (row.get::<_, u32>(15)?, time(16)?) {
        (0, _) | (_, None) => None,
        (failures, Some(since)) => Some(Failing {
            failures,
            since,
            retry_at: time(17)?,
            until: time(29)?,
            end: match row.get::<_, Option<String>>(28)?.as_deref() {
                Some("source") => End::Source,
                _ => End::Target,
            },
            inputs: hash(30)?,
            kind: row.get::<_, Option<String>>(18)?.and_then(|word| Kind::from_word(&word)).unwrap_or(Kind::Internal),
            message: row.get::<_, Option<String>>(19)?.unwrap_or_default(),
            said_at: time(20)?,
        }),
    };
    let held = match (row.get::<_, Option<i64>>(21)?, row.get::<_, Option<String>>(22)?) {
        (Some(deletes), Some(reason)) => Some(Hold { deletes: deletes.cast_unsigned(), reason, said_at: time(23)? }),
        _ => None,
    };
    Ok(Memory {
        settings: hash(0)?,
        form: row.get(24)?,
        feed,
        mark: Mark { ctag: row.get(7)?, sync_token: row.get(8)? },
        looked_at: time(9)?,
        listed_at: time(10)?,
        started_at: time(11)?,
        settled_at: time(12)?,
        pending: row.get(13)?,
        next_change_at: time(14)?,
        failing,
        held,
        last_written: row.get::<_, Option<String>>(25)?.map(Href::new),
        address: row.get(26)?,
        asked_at: time(27)?,
        refused: row.get::<_, i64>(31)?.cast_unsigned(),
    })
}
