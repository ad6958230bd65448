//! `journal.db`: the append-only facts. The core loop is its one writer; everybody else reads through [`Reader`].
//!
//! Rows carry a hash chain: `hash = SHA-256(previous hash ‖ seq ‖ body)`. UPDATE and DELETE are refused by triggers.

mod check;
mod mentions;
mod replay;
mod sales;
pub mod salvage;
mod snapshot;

pub use check::Found;

use crate::uplink::Past;
use anyhow::{Context, Result, bail, ensure};
use checkout::event::Record;
use checkout::facts::Facts;
use checkout::passing::Replayed;
use checkout::wire::chain_preimage;
use ring::rand::SecureRandom;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior, params};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Below this, SQLite can lose committed rows when a WAL is reset (fixed in 3.51.3).
const SQLITE_MIN: i32 = 3_051_003;
const BUSY: Duration = Duration::from_secs(5);
/// A WAL that a reader held up is cut back to this when it can begin anew.
const WAL_MAX: i64 = 8 * 1024 * 1024;
/// Rows looked at in one read: no look at the past keeps the WAL from beginning anew for long.
const LOOK_ROWS: u64 = 4096;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS event (
    seq  INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    hash BLOB NOT NULL CHECK (length(hash) = 32)
);
CREATE TRIGGER IF NOT EXISTS event_is_not_changed BEFORE UPDATE ON event
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: correct with an event'); END;
CREATE TRIGGER IF NOT EXISTS event_is_not_deleted BEFORE DELETE ON event
BEGIN SELECT RAISE(ABORT, 'the journal is append-only: correct with an event'); END;
CREATE TRIGGER IF NOT EXISTS event_is_not_replaced BEFORE INSERT ON event
WHEN NEW.seq <> (SELECT ifnull(max(seq), 0) + 1 FROM event)
BEGIN SELECT RAISE(ABORT, 'the journal has no gaps and no second copies'); END;
CREATE TABLE IF NOT EXISTS cursor (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, acked INTEGER NOT NULL);
INSERT OR IGNORE INTO cursor VALUES (1, 1, 0);
";

pub type Hash = [u8; 32];

/// What is in the file is not what was written.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Damaged(String);

/// What HQ has, as far as the box knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub epoch: u64,
    pub acked: u64,
}

#[derive(Debug)]
pub struct Journal {
    db: Connection,
    path: PathBuf,
    id: String,
    head: u64,
    hash: Hash,
    /// Row of the latest snapshot; before it was looked for, the head.
    kept: u64,
}

impl Journal {
    /// Opens or creates the journal and checks that it is one we may write.
    ///
    /// # Errors
    /// An SQLite that can lose rows, a file that is no journal, or a head whose hash does not follow from its row.
    pub fn open(path: &Path) -> Result<Self> {
        let db = Connection::open(path)
            .with_context(|| format!("cannot open the journal {}: is the folder writable?", path.display()))?;
        Self::over(db, path)
    }

    /// The journal on a connection somebody else opened, such as one to a disk that fails; `path` is what errors name.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn over(mut db: Connection, path: &Path) -> Result<Self> {
        ensure!(
            rusqlite::version_number() >= SQLITE_MIN,
            "SQLite {} can lose committed rows; 3.51.3 or newer is needed",
            rusqlite::version()
        );
        durable(&db).with_context(|| format!("journal {}", path.display()))?;
        settle(&db).with_context(|| format!("journal {}", path.display()))?;
        db.execute_batch(SCHEMA).with_context(|| format!("{} is not a journal of this version", path.display()))?;
        db.execute_batch(sales::INDEX)?;
        snapshot::prepare(&db)?;
        let id = journal_id(&db)?;
        let (head, hash) = head(&db)?;
        verify_head(&db, head, &hash).with_context(|| format!("journal {}", path.display()))?;
        db.authorizer(Some(append_only))?;
        Ok(Self { db, path: path.into(), id, head, hash, kept: head })
    }

    /// Whether the commit of `rows` more is to carry a snapshot.
    #[must_use]
    pub const fn snapshot_due(&self, rows: usize) -> bool {
        self.head + rows as u64 >= self.kept + snapshot::EVERY
    }

    /// Commits `records` in one FULL transaction, together with the cursor if it moved and the fold up to the last of them
    /// if it is to be kept.
    ///
    /// # Errors
    /// The disk refused: the process must end, a lane that cannot record must not sell.
    pub fn commit(&mut self, records: &[Record], cursor: Option<Cursor>, fold: Option<&Facts>) -> Result<()> {
        let (mut head, mut hash) = (self.head, self.hash);
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO event (seq, body, hash) VALUES (?1, ?2, ?3)")?;
            let mut body = Vec::new();
            for record in records {
                body.clear();
                serde_json::to_writer(&mut body, record)?;
                head += 1;
                hash = chain(&hash, head, &body);
                insert.execute(params![head, std::str::from_utf8(&body)?, hash])?;
            }
        }
        if let Some(cursor) = cursor {
            let sql = "UPDATE cursor SET epoch = ?1, acked = ?2";
            transaction.prepare_cached(sql)?.execute(params![cursor.epoch, cursor.acked])?;
        }
        if let Some(facts) = fold {
            snapshot::keep(&transaction, head, &hash, facts)?;
        }
        transaction.commit()?;
        (self.head, self.hash) = (head, hash);
        if fold.is_some() {
            self.kept = head;
        }
        Ok(())
    }

    /// The latest snapshot that can be believed, and the row it stands at. Those that cannot are told once.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn snapshot(&mut self) -> Result<Option<(u64, Facts)>> {
        let snapshot::Found { latest, refused } = snapshot::find(&self.db)?;
        // A start that has to replay much is the last to: its first commit carries a snapshot.
        self.kept = latest.as_ref().map_or(0, |(seq, _)| *seq);
        if let Some((row, reason)) = refused.first() {
            tracing::warn!(
                row,
                reason,
                passed_over = refused.len(),
                from = latest.as_ref().map_or(0, |(seq, _)| *seq),
                "a snapshot of the journal is not believed: this start replays more rows, and takes longer"
            );
        }
        Ok(latest)
    }

    /// Calls `each` with what is after `after`, in order, for a fold; returns how many rows there were.
    ///
    /// # Errors
    /// A row that is no record of ours: says which.
    pub fn replay(&self, after: u64, each: impl FnMut(Replayed)) -> Result<u64> {
        replay::replay(&self.db, after, each).with_context(|| format!("journal {}", self.path.display()))
    }

    /// Copies the WAL into the file and cuts it off, as far as readers allow, for which `patience` is there: what a full disk
    /// has left is for rows.
    pub fn shrink(&self, patience: Duration) {
        let done = self.db.busy_timeout(patience).and_then(|()| copy_back(&self.db));
        if !matches!(done, Ok(Copied::Whole)) {
            tracing::debug!(?done, "the WAL stays as it is");
        }
        if let Err(error) = self.db.busy_timeout(BUSY) {
            tracing::error!(%error, "the journal takes no timeout");
        }
    }

    /// Bytes the WAL takes up.
    #[must_use]
    pub fn wal_bytes(&self) -> u64 {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        std::fs::metadata(path).map_or(0, |file| file.len())
    }

    /// # Errors
    /// The file cannot be read.
    pub fn cursor(&self) -> Result<Cursor> {
        let read = |row: &rusqlite::Row<'_>| Ok(Cursor { epoch: row.get(0)?, acked: row.get(1)? });
        Ok(self.db.query_row("SELECT epoch, acked FROM cursor", [], read)?)
    }

    #[must_use]
    pub const fn head(&self) -> u64 {
        self.head
    }

    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// A read-only view for sync, export and verification: its own connection, never in the writer's way.
#[derive(Debug)]
pub struct Reader {
    db: Connection,
}

/// One row as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub seq: u64,
    pub body: String,
}

impl Reader {
    /// # Errors
    /// There is no such journal.
    pub fn open(path: &Path) -> Result<Self> {
        let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .with_context(|| format!("cannot read the journal {}", path.display()))?;
        Self::over(db)
    }

    /// The view over a connection somebody else opened.
    ///
    /// # Errors
    /// The connection takes no timeout.
    pub fn over(db: Connection) -> Result<Self> {
        db.busy_timeout(BUSY)?;
        Ok(Self { db })
    }

    /// Rows from `first` on, at least one if there is one, until `bytes` of bodies or `count` rows.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn rows(&self, first: u64, bytes: usize, count: usize) -> Result<Vec<Row>> {
        let mut statement =
            self.db.prepare_cached("SELECT seq, body FROM event WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
        let mut rows = statement.query(params![first, i64::try_from(count).unwrap_or(i64::MAX)])?;
        let (mut out, mut sum) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            let row = Row { seq: row.get(0)?, body: row.get(1)? };
            sum += row.body.len() + 1;
            if sum > bytes && !out.is_empty() {
                break;
            }
            out.push(row);
        }
        Ok(out)
    }

    /// Chain hash after row `seq`; zeros before the first.
    ///
    /// # Errors
    /// There is no such row.
    pub fn hash_at(&self, seq: u64) -> Result<Hash> {
        if seq == 0 {
            return Ok([0; 32]);
        }
        let sql = "SELECT hash FROM event WHERE seq = ?1";
        let hash = self.db.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
        hash.with_context(|| format!("the journal has no row {seq}"))
    }

    /// Recomputes the chain and names the first row that does not follow.
    ///
    /// # Errors
    /// The first bad row, or an unreadable file.
    pub fn verify(&self) -> Result<u64> {
        self.walk(|_, _| {})
    }

    /// The same, showing each row's hash to `seen`.
    ///
    /// # Errors
    /// As [`Reader::verify`].
    pub fn walk(&self, mut seen: impl FnMut(u64, &Hash)) -> Result<u64> {
        let (mut prev, mut last) = ([0; 32], 0);
        loop {
            let mut statement =
                self.db.prepare_cached("SELECT seq, body, hash FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = statement.query([last, LOOK_ROWS])?;
            let before = last;
            while let Some(row) = rows.next()? {
                if let Some(wrong) = check::follows(row, row.get(0)?, last + 1, &mut prev)? {
                    return Err(Damaged(wrong).into());
                }
                last += 1;
                seen(last, &prev);
            }
            if last == before {
                return Ok(last);
            }
        }
    }

    /// The whole structure of the file, as SQLite sees it.
    ///
    /// # Errors
    /// What is wrong with it, or that the file cannot be read.
    pub fn inspect(&self) -> Result<()> {
        let told: String = self.db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        let (all, last): (u64, u64) =
            self.db.query_row("SELECT count(*), ifnull(max(seq), 0) FROM event", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        match told.as_str() {
            "ok" if all == last => Ok(()),
            "ok" => Err(Damaged(format!("it holds {all} rows, numbered to {last}")).into()),
            wrong => Err(Damaged(wrong.to_owned()).into()),
        }
    }

    /// Number of the last row; 0: none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last(&self) -> Result<u64> {
        Ok(self.db.query_row("SELECT ifnull(max(seq), 0) FROM event", [], |row| row.get(0))?)
    }

    /// Random, made with the journal.
    ///
    /// # Errors
    /// It is no journal.
    pub fn id(&self) -> Result<String> {
        let id = self.db.query_row("SELECT value FROM meta WHERE key = 'journal'", [], |row| row.get(0));
        id.context("it is no journal of ours")
    }
}

impl Past for Reader {
    fn rows(&self, first: u64, bytes: usize, count: usize) -> Result<Vec<Row>> {
        Self::rows(self, first, bytes, count)
    }

    fn hash_at(&self, seq: u64) -> Result<Hash> {
        Self::hash_at(self, seq)
    }
}

#[must_use]
pub fn chain(prev: &Hash, seq: u64, body: &[u8]) -> Hash {
    Sha256::digest(chain_preimage(prev, seq, body)).into()
}

/// Whether the disk had no room for it. Nothing of the transaction is left, so it may be tried again.
#[must_use]
pub fn is_full(error: &anyhow::Error) -> bool {
    check::code(error) == Some(ErrorCode::DiskFull)
}

/// What the one writer's connection prepares: rows are added, never changed, and the file keeps its shape. The triggers
/// refuse the same to whoever else opens it.
#[expect(clippy::wildcard_enum_match_arm, reason = "everything else reads, or is temporary")]
fn append_only(asked: AuthContext<'_>) -> Authorization {
    let refused = match asked.action {
        AuthAction::Update { table_name, .. } | AuthAction::Delete { table_name } => {
            table_name == "event" || table_name == "meta" || table_name.starts_with("sqlite_")
        }
        AuthAction::Insert { table_name } => table_name.starts_with("sqlite_"),
        AuthAction::DropTable { .. }
        | AuthAction::DropTrigger { .. }
        | AuthAction::DropIndex { .. }
        | AuthAction::CreateTable { .. }
        | AuthAction::CreateTrigger { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::AlterTable { .. }
        | AuthAction::Attach { .. } => true,
        AuthAction::Pragma { pragma_name, pragma_value } => pragma_value.is_some() && pragma_name == "writable_schema",
        _ => false,
    };
    if refused { Authorization::Deny } else { Authorization::Allow }
}

/// WAL and FULL, read back: a database that silently runs otherwise can lose an acknowledged sale.
fn durable(db: &Connection) -> Result<()> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "mmap_size", 0)?;
    db.pragma_update(None, "journal_size_limit", WAL_MAX)?;
    let mode: String = db.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
    let full: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
    if !mode.eq_ignore_ascii_case("wal") || full != 2 {
        bail!("the file system does not give WAL and FULL (got {mode}, {full}): put it on a local disk");
    }
    Ok(())
}

/// Brings into the file what a process that died left in the WAL.
///
/// What this start reads there may be in memory only: the process was killed before its fsync, or its fsync failed and the
/// kernel took the pages for written. Nobody may act on such a row before it is on disk, and no later row may stand behind it.
fn settle(db: &Connection) -> Result<()> {
    if copy_back(db)? == Copied::Held {
        tracing::warn!("another program reads the journal: what an earlier run left in its WAL stays there for now");
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copied {
    Whole,
    /// A reader holds an older state.
    Held,
}

fn copy_back(db: &Connection) -> rusqlite::Result<Copied> {
    let busy: bool = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    Ok(if busy { Copied::Held } else { Copied::Whole })
}

fn journal_id(db: &Connection) -> Result<String> {
    let mut random = [0; 16];
    ring::rand::SystemRandom::new().fill(&mut random).map_err(|_| anyhow::anyhow!("no random numbers"))?;
    db.execute("INSERT OR IGNORE INTO meta VALUES ('journal', ?1)", [crate::jws::hex(&random)])?;
    Ok(db.query_row("SELECT value FROM meta WHERE key = 'journal'", [], |row| row.get(0))?)
}

fn head(db: &Connection) -> Result<(u64, Hash)> {
    let sql = "SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1";
    let found = db.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(found.unwrap_or((0, [0; 32])))
}

/// The last row must follow from the one before: the cheap part of a full verification, at every start.
fn verify_head(db: &Connection, head: u64, hash: &Hash) -> Result<()> {
    if head == 0 {
        return Ok(());
    }
    let prev = db.query_row("SELECT hash FROM event WHERE seq = ?1", [head - 1], |row| row.get(0)).optional()?;
    let body: String = db.query_row("SELECT body FROM event WHERE seq = ?1", [head], |row| row.get(0))?;
    let follows = chain(&prev.unwrap_or([0; 32]), head, body.as_bytes()) == *hash;
    if !follows {
        return Err(Damaged(format!("its last row {head} does not follow from the row before")).into());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
