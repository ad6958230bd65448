//! The database, `hq.db` unless the directory says otherwise: one writer thread, any number of readers.

use crate::db::{self, Address, Connection, OptionalExtension as _, Transaction, params};
use crate::tls::ClientTls;
use anyhow::Context as _;
use checkout::wire::Hello;
use rusqlite::OpenFlags;
use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long one waits for the other writer, an import.
const BUSY: Duration = Duration::from_secs(30);
const FILE: &str = "hq.db";
const ALARM_DETAIL_MAX: usize = 400;
/// No broker brings a message again after so long.
const STARTS_MS: i64 = 30 * 24 * 3_600_000;

/// In the data directory, where the database is not `hq.db` there: its address, then the file of its CA.
const ELSEWHERE: &str = "database";

/// The data directory of one HQ, and where its database is.
#[derive(Clone, Debug)]
pub struct Store {
    dir: PathBuf,
    elsewhere: Option<Address>,
}

impl Store {
    /// # Errors
    /// When the directory or the database cannot be made.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make the data directory {}", dir.display()))?;
        let elsewhere = elsewhere(&dir.join(ELSEWHERE))?;
        let store = Self { dir: dir.to_owned(), elsewhere };
        if store.elsewhere.is_none() {
            // Every sale of a retailer is in there; SQLite gives its side files the same mode.
            only_for_the_owner(&store.path())?;
        }
        create(&store.writer()?)?;
        Ok(store)
    }

    /// From now on the database of this directory is that one; every command finds it there.
    ///
    /// # Errors
    /// When it cannot be reached, or the directory has a database of its own already.
    pub fn open_at(dir: &Path, url: &str, ca: Option<&Path>) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make the data directory {}", dir.display()))?;
        if dir.join(FILE).exists() {
            anyhow::bail!("{} has its database in {FILE}: name another --data, or leave --database out", dir.display());
        }
        Connection::to(&address(url, ca)?)?;
        let path = dir.join(ELSEWHERE);
        let mut file = only_for_the_owner(&path)?;
        file.set_len(0)?;
        writeln!(file, "{url}\n{}", ca.map_or(String::new(), |ca| ca.display().to_string()))?;
        Self::open(dir)
    }

    /// What this directory is called among others at the same database: started again, it goes on with what it held.
    ///
    /// # Errors
    /// When the directory cannot be read or written.
    pub(crate) fn worker_name(&self) -> anyhow::Result<String> {
        let path = self.dir.join("worker");
        if let Ok(name) = std::fs::read_to_string(&path)
            && !name.is_empty()
        {
            return Ok(name);
        }
        let mut name = [0_u8; 8];
        ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut name)
            .map_err(|_| anyhow::anyhow!("this machine gives no random numbers"))?;
        let name = crate::batch::hex(&name);
        std::fs::write(&path, &name).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(name)
    }

    /// Others may be at the same database.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.elsewhere.is_some()
    }

    #[must_use]
    pub fn key_path(&self) -> PathBuf {
        self.dir.join("hq.key")
    }

    /// Where the certificate authority lies.
    #[must_use]
    pub fn ca_path(&self) -> PathBuf {
        self.dir.join("ca")
    }

    /// Where price books lie that sales are priced again from; made from the database whenever one is missing.
    pub(crate) fn books_path(&self) -> PathBuf {
        self.dir.join("books")
    }

    /// # Errors
    /// When the database cannot be opened.
    pub fn writer(&self) -> anyhow::Result<Connection> {
        if let Some(address) = &self.elsewhere {
            return Connection::to(address);
        }
        let path = self.path();
        let db = rusqlite::Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        prepare(&db)?;
        Ok(db.into())
    }

    /// # Errors
    /// When the database cannot be opened.
    pub fn reader(&self) -> anyhow::Result<Connection> {
        if let Some(address) = &self.elsewhere {
            return Connection::to(address);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = rusqlite::Connection::open_with_flags(self.path(), flags)?;
        db.busy_timeout(BUSY)?;
        Ok(db.into())
    }

    fn path(&self) -> PathBuf {
        self.dir.join(FILE)
    }
}

fn only_for_the_owner(path: &Path) -> anyhow::Result<File> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

fn elsewhere(path: &Path) -> anyhow::Result<Option<Address>> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let mut lines = text.lines();
    let (url, ca) = (lines.next().unwrap_or_default(), lines.next().filter(|ca| !ca.is_empty()));
    address(url, ca.map(Path::new)).map(Some)
}

fn address(url: &str, ca: Option<&Path>) -> anyhow::Result<Address> {
    Address::parse(url, ca.map(|ca| ClientTls { ca: ca.to_owned(), identity: None }))
}

/// What the one who writes to SQLite asks of a connection, whatever disk it is to.
///
/// # Errors
/// When the database does not take it.
pub fn prepare(db: &rusqlite::Connection) -> anyhow::Result<()> {
    db.busy_timeout(BUSY)?;
    db.pragma_update(None, "journal_mode", "wal")?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "cache_size", -32_000)?;
    // Pages that many batches touch are written back once, not with every few of them.
    db.pragma_update(None, "wal_autocheckpoint", 8_000)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// The tables, where they are not there yet.
///
/// # Errors
/// When the database cannot be written.
pub fn create(db: &Connection) -> anyhow::Result<()> {
    Ok(db.create(include_str!("schema.sql"))?)
}

/// When a turn happens, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub mono: Instant,
    /// Milliseconds since 1970.
    pub utc_ms: i64,
}

impl Moment {
    #[must_use]
    pub fn now() -> Self {
        Self { mono: Instant::now(), utc_ms: wall_ms() }
    }

    /// [`now_ms`] says this moment on this thread until what comes back is dropped.
    pub(crate) fn hold(self) -> Held {
        HELD.set(Some(self.utc_ms));
        Held(())
    }
}

thread_local! {
    static HELD: Cell<Option<i64>> = const { Cell::new(None) };
}

/// See [`Moment::hold`].
pub(crate) struct Held(());

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(None);
    }
}

/// Milliseconds since 1970; in a turn of the writer the moment of the turn.
#[must_use]
pub fn now_ms() -> i64 {
    HELD.get().unwrap_or_else(wall_ms)
}

fn wall_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// SQLite counts in `i64`; what does not fit stops at the end of the scale.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A transaction that is going to write: one that read first could not wait for another that writes.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn begin(db: &mut Connection) -> db::Result<Transaction<'_>> {
    db.transaction()
}

/// # Errors
/// When the database cannot be read.
pub(crate) fn setting(db: &Connection, name: &str) -> db::Result<Option<String>> {
    db.query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| row.get(0)).optional()
}

/// # Errors
/// When the database cannot be written.
pub(crate) fn set_setting(db: &Connection, name: &str, value: &str) -> db::Result<()> {
    db.execute(
        "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2",
        [name, value],
    )
    .map(drop)
}

/// What HQ has of a box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    pub journal: String,
    pub epoch: u64,
    pub acked: u64,
    pub hash: [u8; 32],
    pub connection: u64,
}

/// # Errors
/// When the database cannot be read.
pub fn known(txn: &Transaction<'_>, box_id: &str) -> db::Result<Option<Known>> {
    txn.prepare_cached("SELECT journal, epoch, acked, hash, connection FROM box WHERE id = ?1")?
        .query_row([box_id], |row| {
            Ok(Known {
                journal: row.get(0)?,
                epoch: row.get::<_, i64>(1)?.unsigned_abs(),
                acked: row.get::<_, i64>(2)?.unsigned_abs(),
                hash: row.get(3)?,
                connection: row.get::<_, i64>(4)?.unsigned_abs(),
            })
        })
        .optional()
}

/// # Errors
/// When the database cannot be written.
pub fn set_known(txn: &Transaction<'_>, box_id: &str, known: &Known) -> db::Result<()> {
    txn.prepare_cached(
        "INSERT INTO box (id, journal, epoch, acked, hash, connection, first_seen, last_seen)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
         ON CONFLICT (id) DO UPDATE SET journal = ?2, epoch = ?3, acked = ?4, hash = ?5, connection = ?6, last_seen = ?7",
    )?
    .execute(params![
        box_id,
        known.journal,
        int(known.epoch),
        int(known.acked),
        known.hash,
        int(known.connection),
        now_ms()
    ])?;
    txn.prepare_cached(
        "INSERT INTO journal_mark (box, epoch, seq, hash) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
    )?
    .execute(params![box_id, int(known.epoch), int(known.acked), known.hash])?;
    Ok(())
}

/// Whether that hello is a new one. One that was heard already says where the box stood then: held against what HQ has
/// meanwhile, it would look like an older disk.
///
/// # Errors
/// When the database cannot be read or written.
pub fn heard_first(txn: &Transaction<'_>, box_id: &str, hello: &Hello) -> db::Result<bool> {
    if hello.nonce == 0 {
        return Ok(true);
    }
    txn.prepare_cached("DELETE FROM box_start WHERE box = ?1 AND at < ?2")?
        .execute(params![box_id, now_ms().saturating_sub(STARTS_MS)])?;
    let newer = txn
        .prepare_cached(
            "INSERT INTO box_start (box, nonce, said, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (box, nonce) DO UPDATE SET said = ?3, at = ?4 WHERE box_start.said < ?3",
        )?
        .execute(params![box_id, int(hello.nonce), int(hello.said), now_ms()])?;
    Ok(newer == 1)
}

/// The chain hash HQ has at `seq`, where it has acknowledged exactly there.
///
/// # Errors
/// When the database cannot be read.
pub fn mark(txn: &Transaction<'_>, box_id: &str, epoch: u64, seq: u64) -> db::Result<Option<[u8; 32]>> {
    txn.prepare_cached("SELECT hash FROM journal_mark WHERE box = ?1 AND epoch = ?2 AND seq = ?3")?
        .query_row(params![box_id, int(epoch), int(seq)], |row| row.get(0))
        .optional()
}

/// The same alarm again only counts: a box that keeps failing does not fill the table.
///
/// # Errors
/// When the database cannot be written.
pub fn alarm(txn: &Transaction<'_>, box_id: &str, kind: &str, detail: &str) -> db::Result<()> {
    let detail: String = detail.chars().take(ALARM_DETAIL_MAX).collect();
    txn.prepare_cached(
        "INSERT INTO alarm (box, kind, detail, at, last_at) VALUES (?1, ?2, ?3, ?4, ?4)
         ON CONFLICT (box, kind, detail) DO UPDATE SET count = alarm.count + 1, last_at = ?4",
    )?
    .execute(params![box_id, kind, detail, now_ms()])?;
    tracing::warn!(box_id, kind, detail, "alarm");
    Ok(())
}
