//! Commands to boxes and the configuration they are to have: asked for by operators, signed here, followed to their end.

use crate::batch::hex;
use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::fold::Origin;
use crate::operators::{self, Operator, Role, audit, may};
use crate::sign::Signer;
use crate::store::{alarm, begin, int, now_ms};
use anyhow::{Context as _, ensure};
use checkout::control::{Command, ConfigState, ControlEvent, Desired, LIFE_MAX_MS, Reported, Verb};
use checkout::event::Event;
use checkout::wire::{Signed, Topics};
use checkout::words::Utc;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A document fits a message with its signature.
const DOCUMENT_MAX: usize = 48 * 1024;
const TEXT_MAX: usize = 400;

/// A command as `fleet commands` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Order {
    pub id: String,
    #[serde(rename = "box")]
    pub box_id: String,
    pub verb: String,
    /// `waiting` for a second operator, `queued`, `sent`; then what the box says: `received`, `started`, `done`, `failed`,
    /// `refused`, `expired`.
    pub state: String,
    /// Result or reason.
    pub said: String,
    pub asked_by: String,
    pub issued: i64,
    pub expires: i64,
    /// What `aisle-hq approve` is told.
    pub approval: Option<i64>,
}

fn known(db: &Connection, box_id: &str) -> anyhow::Result<()> {
    let found: bool = db.query_row("SELECT EXISTS (SELECT 1 FROM box WHERE id = ?1)", [box_id], |row| row.get(0))?;
    ensure!(found, "no box {box_id:?} has ever said hello; `fleet boxes` lists those that have");
    Ok(())
}

/// Has a box do something within `minutes`. What two must agree to waits for the second.
///
/// # Errors
/// There is no such box, `by` may not, or there are not two who could agree.
pub fn command(
    db: &mut Connection,
    by: Option<&Operator>,
    box_id: &str,
    verb: Verb,
    minutes: u32,
) -> anyhow::Result<Order> {
    let txn = begin(db)?;
    let asked_by = may(&txn, by, Role::Operator)?;
    known(&txn, box_id)?;
    let issued = now_ms();
    let life = i64::from(minutes) * 60_000;
    ensure!((60_000..=LIFE_MAX_MS).contains(&life), "a command is good for one minute to seven days");
    let mut random = [0; 16];
    SystemRandom::new().fill(&mut random).map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    let command =
        Command { id: hex(&random), verb, issued: Utc(issued), expires: Utc(issued + life), approvals: Vec::new() };
    let approval = if command.verb.wants_two() {
        ensure!(operators::are_two(&txn)?, "{} wants two operators: `users add` names them", command.verb);
        let what = format!("{box_id}: {}", command.verb);
        Some(operators::ask(&txn, by, &what, &operators::subject(&command.preimage(box_id)))?)
    } else {
        None
    };
    let state = if approval.is_some() { "waiting" } else { "queued" };
    txn.execute(
        "INSERT INTO command (id, box, verb, issued, expires, document, approval, asked_by, state, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?4)",
        params![
            command.id,
            box_id,
            command.verb.to_string(),
            issued,
            command.expires.0,
            serde_json::to_string(&command)?,
            approval,
            asked_by,
            state
        ],
    )?;
    audit(&txn, &asked_by, "command", box_id, &format!("{} {}", command.verb, command.id))?;
    txn.commit()?;
    order(db, &command.id)
}

/// What was agreed to may go out now.
///
/// # Errors
/// When the database cannot be read or written.
pub fn release(txn: &Transaction<'_>, approval: i64) -> anyhow::Result<Option<String>> {
    let sql = "SELECT id, document FROM command WHERE approval = ?1 AND state = 'waiting'";
    let waiting: Option<(String, String)> =
        txn.query_row(sql, [approval], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((id, document)) = waiting else { return Ok(None) };
    let mut command: Command = serde_json::from_str(&document)?;
    command.approvals = operators::signatures(txn, approval)?;
    let sql = "UPDATE command SET state = 'queued', document = ?2, changed = ?3 WHERE id = ?1";
    txn.execute(sql, params![id, serde_json::to_string(&command)?, now_ms()])?;
    Ok(Some(id))
}

/// # Errors
/// There is no such command, or the database cannot be read.
pub fn order(db: &Connection, id: &str) -> anyhow::Result<Order> {
    orders(db, None)?.into_iter().find(|order| order.id == id).with_context(|| format!("there is no command {id}"))
}

/// Commands, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub fn orders(db: &Connection, box_id: Option<&str>) -> db::Result<Vec<Order>> {
    let mut rows = db.prepare_cached(
        "SELECT id, box, verb, state, said, asked_by, issued, expires, approval FROM command
         WHERE CAST(?1 AS TEXT) IS NULL OR box = ?1 ORDER BY issued DESC, id LIMIT 1000",
    )?;
    rows.query_map([box_id], |row| {
        Ok(Order {
            id: row.get(0)?,
            box_id: row.get(1)?,
            verb: row.get(2)?,
            state: row.get(3)?,
            said: row.get(4)?,
            asked_by: row.get(5)?,
            issued: row.get(6)?,
            expires: row.get(7)?,
            approval: row.get(8)?,
        })
    })?
    .collect()
}

/// Which boxes.
#[derive(Clone, Debug)]
pub enum Whom {
    Box(String),
    /// A ring that `fleet ring` names.
    Ring(String),
}

/// Puts boxes into a ring; each is in one.
///
/// # Errors
/// There is no such box, or `by` may not.
pub fn ring(db: &mut Connection, by: Option<&Operator>, ring: &str, boxes: &[String]) -> anyhow::Result<()> {
    let txn = begin(db)?;
    let who = may(&txn, by, Role::Operator)?;
    for box_id in boxes {
        known(&txn, box_id)?;
        txn.execute(
            "INSERT INTO box_ring (box, ring) VALUES (?1, ?2) ON CONFLICT (box) DO UPDATE SET ring = ?2",
            [box_id.as_str(), ring],
        )?;
    }
    audit(&txn, &who, "ring", ring, &boxes.join(" "))?;
    Ok(txn.commit()?)
}

/// What a box is to have, and what it says of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    #[serde(rename = "box")]
    pub box_id: String,
    pub rev: i64,
    pub hash: String,
    pub reported: Option<Reported>,
}

/// Wants this document of these boxes, under each one's next revision.
///
/// # Errors
/// It is no TOML, there are no such boxes, or `by` may not.
pub fn desire(db: &mut Connection, by: Option<&Operator>, whom: &Whom, config: &str) -> anyhow::Result<Vec<Wanted>> {
    ensure!(config.len() <= DOCUMENT_MAX, "the document is longer than {DOCUMENT_MAX} bytes");
    toml::from_str::<toml::Table>(config).map_err(|error| anyhow::anyhow!("{error}"))?;
    let txn = begin(db)?;
    let who = may(&txn, by, Role::Operator)?;
    let boxes = match whom {
        Whom::Box(id) => {
            known(&txn, id)?;
            vec![id.clone()]
        }
        Whom::Ring(ring) => {
            let mut rows = txn.prepare_cached("SELECT box FROM box_ring WHERE ring = ?1 ORDER BY box")?;
            let found: Vec<String> = rows.query_map([ring], |row| row.get(0))?.collect::<Result<_, _>>()?;
            ensure!(!found.is_empty(), "no box is in a ring {ring:?}: `fleet ring` puts them there");
            found
        }
    };
    let hash = hex(&Sha256::digest(config.as_bytes()));
    for box_id in &boxes {
        txn.execute(
            "INSERT INTO desired (box, rev, config, hash, at) VALUES (?1, 1, ?2, ?3, ?4)
             ON CONFLICT (box) DO UPDATE SET rev = desired.rev + 1, config = ?2, hash = ?3, at = ?4",
            params![box_id, config, hash, now_ms()],
        )?;
        audit(&txn, &who, "desired", box_id, &hash)?;
    }
    txn.commit()?;
    let all = wanted(db)?;
    Ok(all.into_iter().filter(|row| boxes.contains(&row.box_id)).collect())
}

/// # Errors
/// When the database cannot be read.
pub fn wanted(db: &Connection) -> anyhow::Result<Vec<Wanted>> {
    let mut rows = db.prepare_cached(
        "SELECT d.box, d.rev, d.hash, r.document FROM desired AS d LEFT JOIN box_config AS r ON r.box = d.box ORDER BY d.box",
    )?;
    let rows =
        rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<String>>(3)?)))?;
    rows.map(|row| {
        let (box_id, rev, hash, told) = row?;
        let reported = told.map(|told| serde_json::from_str(&told)).transpose()?;
        Ok(Wanted { box_id, rev, hash, reported })
    })
    .collect()
}

/// What a box says it made of its configuration.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn reported(txn: &Transaction<'_>, box_id: &str, reported: &Reported) -> anyhow::Result<()> {
    let sql = "INSERT INTO box_config (box, document, at) VALUES (?1, ?2, ?3)
               ON CONFLICT (box) DO UPDATE SET document = ?2, at = ?3";
    txn.prepare_cached(sql)?.execute(params![box_id, serde_json::to_string(reported)?, now_ms()])?;
    Ok(())
}

/// A signed message on its way: leaf, payload, retained.
pub(crate) type Message = (String, String, bool);

/// Who signs, and for whom.
#[derive(Clone, Copy)]
pub(crate) struct Pen<'a> {
    pub(crate) tenant: &'a str,
    pub(crate) signer: &'a Signer,
}

impl Pen<'_> {
    fn write<T: Serialize>(
        self,
        box_id: &str,
        purpose: &str,
        rev: i64,
        doc: T,
        retain: bool,
    ) -> anyhow::Result<Message> {
        let (tenant, rev) = (self.tenant.to_owned(), rev.unsigned_abs());
        let signed = Signed { tenant, box_id: Some(box_id.to_owned()), purpose: purpose.into(), rev, doc };
        Ok((Topics::new(self.tenant, box_id).of(purpose), self.signer.sign(&signed)?, retain))
    }
}

/// Commands that go out now: new ones to boxes that are there, and to one that says hello all it may have missed, in order.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn due(txn: &Transaction<'_>, pen: Pen<'_>, hello: Option<&str>) -> anyhow::Result<Vec<Message>> {
    let now = now_ms();
    let sql =
        "UPDATE command SET state = 'expired', changed = ?1 WHERE state IN ('waiting', 'queued') AND expires <= ?1";
    txn.prepare_cached(sql)?.execute([now])?;
    let mut rows = txn.prepare_cached(
        "SELECT id, box, rev, document FROM command WHERE expires > ?1 AND CASE WHEN CAST(?2 AS TEXT) IS NULL
            THEN state = 'queued' AND box IN (SELECT id FROM box WHERE online = 1)
            ELSE state IN ('queued', 'sent') AND box = ?2 END
         ORDER BY rev IS NULL, rev, issued, id",
    )?;
    let found: Vec<(String, String, Option<i64>, String)> = rows
        .query_map(params![now, hello], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_, _>>()?;
    let mut out = Vec::new();
    for (id, box_id, rev, document) in found {
        let command: Command = serde_json::from_str(&document)?;
        let next = "SELECT coalesce(max(rev), 0) + 1 FROM command WHERE box = ?1";
        let rev = rev.map_or_else(|| txn.query_row(next, [&box_id], |row| row.get(0)), Ok)?;
        let sql = "UPDATE command SET state = 'sent', rev = ?2, changed = ?3, sends = sends + 1 WHERE id = ?1";
        txn.prepare_cached(sql)?.execute(params![id, rev, now])?;
        out.push(pen.write(&box_id, "cmd", rev, command, false)?);
    }
    Ok(out)
}

/// Documents wanted since `since`, with their boxes and revisions.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn documents(
    txn: &Transaction<'_>,
    pen: Pen<'_>,
    since: i64,
) -> anyhow::Result<Vec<(String, u64, Message)>> {
    let mut rows = txn.prepare_cached("SELECT box, rev, config FROM desired WHERE at >= ?1")?;
    let rows = rows.query_map([since], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    rows.map(|row| {
        let (box_id, rev, config): (String, i64, String) = row?;
        let message = pen.write(&box_id, "desired", rev, Desired { config }, true)?;
        Ok((box_id, rev.unsigned_abs(), message))
    })
    .collect()
}

/// What a welcome lists: commands whose end was not heard, and the revision of the configuration.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn pending(txn: &Transaction<'_>, box_id: &str) -> db::Result<(Vec<String>, Option<u64>)> {
    let mut rows = txn.prepare_cached(
        "SELECT id FROM command WHERE box = ?1 AND state IN ('queued', 'sent', 'received', 'started') AND expires > ?2
         ORDER BY issued, id LIMIT 64",
    )?;
    let ids = rows.query_map(params![box_id, now_ms()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let sql = "SELECT rev FROM desired WHERE box = ?1";
    let rev: Option<i64> = txn.prepare_cached(sql)?.query_row([box_id], |row| row.get(0)).optional()?;
    Ok((ids, rev.map(i64::unsigned_abs)))
}

/// What a box's journal says of commands and configuration.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn fold(txn: &Transaction<'_>, origin: Origin<'_>, event: &Event) -> db::Result<()> {
    let Event::Control(event) = event else { return Ok(()) };
    let box_id = origin.box_id;
    let (rev, state, said) = match event {
        ControlEvent::CommandReceived { rev, .. } => (*rev, "received", ""),
        ControlEvent::CommandStarted { rev } => (*rev, "started", ""),
        ControlEvent::CommandDone { rev, result } => (*rev, "done", result.as_str()),
        ControlEvent::CommandFailed { rev, reason } => (*rev, "failed", reason.as_str()),
        ControlEvent::CommandExpired { rev, .. } => (*rev, "expired", "not begun in time"),
        ControlEvent::CommandRefused { rev, id, reason } => {
            // One that comes twice is refused the second time; what became of the first stands.
            let sql =
                "UPDATE command SET state = 'refused', said = ?4, changed = ?5 WHERE box = ?1 AND rev = ?2 AND id = ?3
                AND state IN ('queued', 'sent')";
            let changed = txn.prepare_cached(sql)?.execute(params![box_id, int(*rev), id, clip(reason), now_ms()])?;
            // One that headquarters itself said again is nobody's attack.
            let again = "SELECT EXISTS (SELECT 1 FROM command WHERE box = ?1 AND id = ?2 AND sends > 1)";
            let ours = changed > 0 || txn.prepare_cached(again)?.query_row(params![box_id, id], |row| row.get(0))?;
            return if ours { Ok(()) } else { alarm(txn, box_id, "command_refused", reason) };
        }
        ControlEvent::Forged { reason } => return alarm(txn, box_id, "forged", reason),
        ControlEvent::Config(Reported { rev, state, reason, .. }) => {
            let reason = reason.as_deref().unwrap_or_default();
            return match state {
                ConfigState::Refused => alarm(txn, box_id, "config_refused", &format!("revision {rev}: {reason}")),
                ConfigState::Dropped => alarm(txn, box_id, "config_dropped", &format!("revision {rev}: {reason}")),
                ConfigState::Taken | ConfigState::Applied => Ok(()),
            };
        }
        ControlEvent::DatasetRefused { dataset, version, reason, .. } => {
            return alarm(txn, box_id, "dataset_refused", &format!("{dataset} {version}: {reason}"));
        }
    };
    txn.prepare_cached(
        "UPDATE command SET state = ?3, said = ?4, changed = ?5 WHERE box = ?1 AND rev = ?2
            AND state NOT IN ('done', 'failed', 'refused')",
    )?
    .execute(params![box_id, int(rev), state, clip(said), now_ms()])?;
    Ok(())
}

fn clip(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
