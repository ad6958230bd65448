//! The gallery's two databases: what each holds, which epoch is in force, and how one epoch takes the place of another.

use ring::rand::SystemRandom;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use super::GalleryError;
use super::seal::{Key, open, seal};

const GALLERY: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    -- Consents without a hash of their text allow nothing.
    DROP TABLE IF EXISTS template;
    DROP TABLE IF EXISTS key_check;
    CREATE TABLE IF NOT EXISTS state (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        epoch INTEGER NOT NULL CHECK (epoch > 0),
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS face (
        member TEXT PRIMARY KEY CHECK (length(member) BETWEEN 1 AND 64),
        model TEXT NOT NULL,
        frames INTEGER NOT NULL CHECK (frames >= 3),
        sealed BLOB NOT NULL,
        consent_purpose TEXT NOT NULL CHECK (length(consent_purpose) > 0),
        consent_text TEXT NOT NULL CHECK (length(consent_text) > 0),
        consent_sha256 TEXT NOT NULL CHECK (length(consent_sha256) = 64 AND consent_sha256 NOT GLOB '*[^0-9a-fA-F]*'),
        consent_at INTEGER NOT NULL CHECK (consent_at > 0),
        consent_until INTEGER CHECK (consent_until > consent_at),
        channel TEXT NOT NULL CHECK (channel IN ('kiosk', 'staff', 'hq')),
        under_14 INTEGER NOT NULL CHECK (under_14 IN (0, 1)),
        guardian TEXT CHECK (length(guardian) BETWEEN 1 AND 40),
        seen INTEGER NOT NULL,
        CHECK (under_14 = 0 OR guardian IS NOT NULL)
    ) STRICT;
";

const KEYS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS member_key (
        member TEXT NOT NULL,
        epoch INTEGER NOT NULL,
        wrapped BLOB NOT NULL,
        PRIMARY KEY (member, epoch)
    ) STRICT;
";

const CHECK: &[u8] = b"key check";

pub(super) fn prepare(gallery: &Connection, keys: &Connection) -> Result<(), GalleryError> {
    gallery.execute_batch(GALLERY)?;
    keys.execute_batch(KEYS)?;
    Ok(())
}

/// Proves later that the store's key is the right one.
pub(super) fn check(random: &SystemRandom, wrap: &Key) -> Result<Vec<u8>, GalleryError> {
    seal(random, wrap, CHECK, &[])
}

/// The epoch in force, for whoever holds the store's key; a new gallery begins with the first.
pub(super) fn epoch(gallery: &Connection, wrap: &Key, random: &SystemRandom) -> Result<u64, GalleryError> {
    let state: Option<(i64, Vec<u8>)> =
        gallery.query_row("SELECT epoch, sealed FROM state", [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((epoch, sealed)) = state {
        open(wrap, CHECK, sealed).ok_or(GalleryError::WrongKey)?;
        return Ok(epoch.unsigned_abs());
    }
    gallery.execute("INSERT INTO state (only, epoch, sealed) VALUES (1, 1, ?1)", [check(random, wrap)?])?;
    Ok(1)
}

/// Puts another epoch in force: its keys, then in one transaction everything that needs them, then the old keys go. Whatever
/// a power cut leaves, one epoch is whole, and the next start removes the keys of the other.
pub(super) fn switch(
    gallery: &mut Connection,
    keys: &mut Connection,
    epoch: u64,
    check: &[u8],
    rows: &[(String, Vec<u8>, Vec<u8>)],
) -> Result<(), GalleryError> {
    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
    let work = gallery.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let fresh = keys.transaction()?;
    for (member, wrapped, _) in rows {
        let sql = "INSERT OR REPLACE INTO member_key (member, epoch, wrapped) VALUES (?1, ?2, ?3)";
        fresh.prepare_cached(sql)?.execute(params![member, epoch, wrapped])?;
    }
    fresh.commit()?;
    for (member, _, sealed) in rows {
        work.prepare_cached("UPDATE face SET sealed = ?2 WHERE member = ?1")?.execute(params![member, sealed])?;
    }
    work.execute("UPDATE state SET epoch = ?1, sealed = ?2", params![epoch, check])?;
    work.commit()?;
    settle(gallery)?;
    keys.execute("DELETE FROM member_key WHERE epoch <> ?1", [epoch])?;
    settle(keys)
}

/// Moves everything out of the write-ahead log, which would keep what was erased.
pub(super) fn settle(database: &Connection) -> Result<(), GalleryError> {
    database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}
