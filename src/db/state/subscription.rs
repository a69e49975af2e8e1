//! The subscriptions in the state: their memory, and what was discovered for their targets.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};

use super::{Id, State, reading};
use crate::dav::discover::{Remembered, Server};
use crate::model::memory::{EndMemory, Failing, FeedMemory, HeldFor, Hold, Memory};
use crate::model::{ComponentType, End, Ends, Hash, Href, Mark, Validators};
use crate::words::error::{Kind, OrFault};
use crate::words::time::Timestamp;

/// What distinguishes a subscription from others.
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

/// The row of a subscription: by its name, else by its source.
const IDENTIFIED: &str =
    "WHERE target = ?2 AND (name = ?1 OR source = ?3) ORDER BY name = ?1 DESC, settled_at DESC LIMIT 1";

/// The same for a target whose address is known.
const IDENTIFIED_AT: &str =
    "WHERE b.address = ?2 AND (name = ?1 OR source = ?3) ORDER BY name = ?1 DESC, settled_at DESC LIMIT 1";

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

/// How many objects are in which state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Objects of ours in the target.
    pub mirrored: u64,
    /// Refused objects: UID, title, reason.
    pub rejected: Vec<(String, String, String)>,
    /// Objects whose UID someone else uses with other content: UID, title, reason.
    pub occupied: Vec<(String, String, String)>,
    /// How many objects someone else has with the same content.
    pub equal: u64,
    /// Objects whose deletion is held: UID, title, start.
    pub held: Vec<(String, String, String)>,
    /// How many of them a person has approved since.
    pub approved: u64,
    /// The number of objects with names of our shape, by prefixes that no subscription has.
    pub unclaimed: BTreeMap<String, u64>,
}

/// A subscription with its ends. The columns are named, so that a file without one of them is detected.
const ROWS: &str = "SELECT id, name, target, settings, form, feed_etag, feed_modified, feed_body, feed_digest, feed_objects,
        feed_read_at, started_at, settled_at, asked_at, next_change_at, failures, failing_since, retry_at, failure_kind,
        failure_message, failure_said_at, failure_end, failure_until, failure_inputs, held_deletes, held_for, held_reason,
        held_said_at, missing, take_over, a.address AS a_address, a.ctag AS a_ctag, a.sync_token AS a_sync_token,
        a.last_written AS a_last_written, a.looked_at AS a_looked_at, a.listed_at AS a_listed_at,
        b.address AS b_address, b.ctag AS b_ctag, b.sync_token AS b_sync_token,
        b.last_written AS b_last_written, b.looked_at AS b_looked_at, b.listed_at AS b_listed_at
    FROM subscription LEFT JOIN ends AS a ON a.subscription = id AND a.which = 'a'
        LEFT JOIN ends AS b ON b.subscription = id AND b.which = 'b'";

impl State {
    /// The memory of a subscription, with its id; `None` if it never ran. A renamed one has that of its old name: the
    /// configuration has no two subscriptions with the same source and target.
    pub fn memory(&self, identity: &Identity) -> anyhow::Result<Option<(Id, Memory)>> {
        let mut statement = self.statement(&format!("{ROWS} {IDENTIFIED}"))?;
        let found = statement.query_row(identity.parameters(), |row| Ok((row.get("id")?, memory_of(row)?)));
        found.optional().or_fault(Kind::State, reading)
    }

    /// The memory of a subscription whose target was found at this address under another spelling.
    pub fn memory_at(&self, identity: &Identity, address: &str) -> anyhow::Result<Option<(Id, Memory)>> {
        let mut statement = self.statement(&format!("{ROWS} {IDENTIFIED_AT}"))?;
        let parameters = params![identity.name, address, identity.source.0];
        let found = statement.query_row(parameters, |row| Ok((row.get("id")?, memory_of(row)?)));
        found.optional().or_fault(Kind::State, reading)
    }

    /// Continues a subscription under another name or spelling of its target, replacing what was begun there.
    pub fn respell(&self, id: Id, Identity { name, target, source }: &Identity) -> anyhow::Result<()> {
        self.run("DELETE FROM subscription WHERE name = ?2 AND target = ?3 AND id != ?1", params![id, name, target])?;
        self.run(
            "UPDATE subscription SET name = ?2, target = ?3, source = ?4 WHERE id = ?1",
            params![id, name, target, source.0],
        )
    }

    /// The id of a subscription, created if it is new. A renamed one gets its new name.
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
            "UPDATE subscription SET settings = ?2, form = ?3, feed_etag = ?4, feed_modified = ?5, feed_body = ?6,
                feed_digest = ?7, feed_read_at = ?8, feed_objects = ?9, started_at = ?10, settled_at = ?11,
                next_change_at = ?12, failures = ?13, failing_since = ?14, retry_at = ?15, failure_kind = ?16,
                failure_message = ?17, failure_said_at = ?18, failure_end = ?19, failure_until = ?20,
                failure_inputs = ?21, held_deletes = ?22, held_for = ?23, held_reason = ?24, held_said_at = ?25,
                missing = ?26
             WHERE id = ?1",
            params![
                id,
                memory.settings.map(|hash| hash.0),
                memory.form,
                feed.and_then(|feed| feed.validators.etag.as_ref()),
                feed.and_then(|feed| feed.validators.last_modified.as_ref()),
                feed.map(|feed| feed.body.0),
                feed.map(|feed| feed.digest.0),
                feed.map(|feed| feed.read_at.0),
                memory.objects.map(u64::cast_signed),
                time(memory.started_at),
                time(memory.settled_at),
                time(memory.next_change_at),
                failing.map_or(0, |failing| failing.failures),
                failing.map(|failing| failing.since.0),
                time(failing.and_then(|failing| failing.retry_at)),
                failing.map(|failing| failing.kind.as_str()),
                failing.map(|failing| &failing.message),
                time(failing.and_then(|failing| failing.said_at)),
                failing.map(|failing| failing.end.as_str()),
                time(failing.and_then(|failing| failing.until)),
                failing.and_then(|failing| failing.inputs).map(|hash| hash.0),
                held.map(|held| held.deletes.cast_signed()),
                held.map(|held| held.held_for.as_str()),
                held.map(|held| &held.reason),
                time(held.and_then(|held| held.said_at)),
                memory.refused.cast_signed(),
            ],
        )?;
        End::BOTH.into_iter().try_for_each(|end| self.remember_end(id, end, &memory.ends[end]))
    }

    fn remember_end(&self, id: Id, end: End, memory: &EndMemory) -> anyhow::Result<()> {
        let EndMemory { address, mark, last_written, looked_at, listed_at } = memory;
        if *memory == EndMemory::default() {
            return self.run("DELETE FROM ends WHERE subscription = ?1 AND which = ?2", params![id, end.as_str()]);
        }
        let time = |moment: Option<Timestamp>| moment.map(|moment| moment.0);
        self.run(
            "INSERT OR REPLACE INTO ends
                (subscription, which, address, ctag, sync_token, last_written, looked_at, listed_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            params![
                id,
                end.as_str(),
                address,
                mark.ctag,
                mark.sync_token,
                last_written.as_ref().map(Href::as_str),
                time(*looked_at),
                time(*listed_at)
            ],
        )
    }

    /// Every subscription that ever ran, by name.
    pub fn subscriptions(&self) -> anyhow::Result<Vec<Summary>> {
        let mut statement = self.statement(&format!("{ROWS} ORDER BY name, target"))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, Id>("id")?, row.get("name")?, row.get("target")?, memory_of(row)?)));
        let rows: Result<Vec<_>, _> = rows.or_fault(Kind::State, reading)?.collect();
        let rows = rows.or_fault(Kind::State, reading)?;
        rows.into_iter()
            .map(|(id, name, target, memory)| {
                let (tally, unclaimed) = (self.tally(id)?, self.unclaimed(id)?);
                Ok(Summary { id, name, target, memory, tally: Tally { unclaimed, ..tally } })
            })
            .collect()
    }

    /// What discovery found for a target.
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

    /// Stores what discovery found for a target, or forgets it.
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
    let text = |column: &str| row.get::<_, Option<String>>(column);
    let time = |column: &str| row.get::<_, Option<i64>>(column).map(|moment| moment.map(Timestamp));
    let hash = |column: &str| row.get::<_, Option<[u8; 32]>>(column).map(|bytes| bytes.map(Hash));
    let feed = match (hash("feed_body")?, hash("feed_digest")?, time("feed_read_at")?) {
        (Some(body), Some(digest), Some(read_at)) => Some(FeedMemory {
            validators: Validators { etag: text("feed_etag")?, last_modified: text("feed_modified")? },
            body,
            digest,
            read_at,
        }),
        _ => None,
    };
    let failing = match (row.get::<_, u32>("failures")?, time("failing_since")?) {
        (0, _) | (_, None) => None,
        (failures, Some(since)) => Some(Failing {
            failures,
            since,
            retry_at: time("retry_at")?,
            until: time("failure_until")?,
            end: text("failure_end")?.and_then(|word| End::from_word(&word)).unwrap_or(End::B),
            inputs: hash("failure_inputs")?,
            kind: text("failure_kind")?.and_then(|word| Kind::from_word(&word)).unwrap_or(Kind::Internal),
            message: text("failure_message")?.unwrap_or_default(),
            said_at: time("failure_said_at")?,
        }),
    };
    let held_for = |word: String| HeldFor::from_word(&word);
    let held = match (row.get::<_, Option<i64>>("held_deletes")?, text("held_for")?.and_then(held_for)) {
        (Some(deletes), Some(held_for)) => Some(Hold {
            deletes: deletes.cast_unsigned(),
            held_for,
            reason: text("held_reason")?.unwrap_or_default(),
            said_at: time("held_said_at")?,
        }),
        _ => None,
    };
    Ok(Memory {
        settings: hash("settings")?,
        form: row.get("form")?,
        feed,
        objects: row.get::<_, Option<i64>>("feed_objects")?.map(i64::cast_unsigned),
        ends: Ends { a: end_of(row, End::A)?, b: end_of(row, End::B)? },
        started_at: time("started_at")?,
        settled_at: time("settled_at")?,
        asked_at: time("asked_at")?,
        take_over: row.get("take_over")?,
        next_change_at: time("next_change_at")?,
        failing,
        held,
        refused: row.get::<_, i64>("missing")?.cast_unsigned(),
    })
}

fn end_of(row: &Row<'_>, end: End) -> rusqlite::Result<EndMemory> {
    let text = |column: &str| row.get::<_, Option<String>>(&*format!("{}_{column}", end.as_str()));
    let time = |column: &str| {
        let moment = row.get::<_, Option<i64>>(&*format!("{}_{column}", end.as_str()));
        moment.map(|moment| moment.map(Timestamp))
    };
    Ok(EndMemory {
        address: text("address")?,
        mark: Mark { ctag: text("ctag")?, sync_token: text("sync_token")? },
        last_written: text("last_written")?.map(Href::new),
        looked_at: time("looked_at")?,
        listed_at: time("listed_at")?,
    })
}
