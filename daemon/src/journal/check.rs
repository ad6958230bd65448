//! Whether the file is sound: its structure as SQLite sees it, and the chain of its rows.

use super::{Hash, chain};
use anyhow::Result;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::time::{Duration, Instant};

/// What a look at a journal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Sound,
    /// What of it cannot be read or does not follow.
    Damaged(String),
    /// There was no time to see all of it.
    NotFinished,
}

/// Structure and chain from row `after` on, as far as `within` allows.
pub(super) fn look(db: &mut Connection, after: u64, pragma: &str, within: Duration) -> Found {
    let until = Instant::now() + within;
    if let Err(error) = db.progress_handler(10_000, Some(move || Instant::now() > until)) {
        return Found::Damaged(error.to_string());
    }
    let found = structure(db, pragma).and_then(|found| match found {
        Some(wrong) => Ok(Found::Damaged(wrong)),
        None => chained(db, after, until),
    });
    let _ = db.progress_handler(0, None::<fn() -> bool>);
    found.unwrap_or_else(|error| verdict(&error))
}

/// An error of SQLite's as what it says of the file.
fn verdict(error: &anyhow::Error) -> Found {
    match code(error) {
        Some(ErrorCode::OperationInterrupted) => Found::NotFinished,
        Some(_) | None => Found::Damaged(format!("{error:#}")),
    }
}

pub(super) fn code(error: &anyhow::Error) -> Option<ErrorCode> {
    error.chain().find_map(|cause| cause.downcast_ref::<rusqlite::Error>()?.sqlite_error_code())
}

fn structure(db: &Connection, pragma: &str) -> Result<Option<String>> {
    let told: String = db.query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))?;
    Ok((told != "ok").then_some(told))
}

fn chained(db: &Connection, after: u64, until: Instant) -> Result<Found> {
    let before = "SELECT hash FROM event WHERE seq = ?1";
    let mut prev: Hash = db.query_row(before, [after], |row| row.get(0)).optional()?.unwrap_or([0; 32]);
    let mut rows = db.prepare("SELECT seq, body, hash FROM event WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = rows.query([after])?;
    let mut expected = after + 1;
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        if let Some(wrong) = follows(row, seq, expected, &mut prev)? {
            return Ok(Found::Damaged(wrong));
        }
        if Instant::now() > until {
            return Ok(Found::NotFinished);
        }
        expected += 1;
    }
    Ok(Found::Sound)
}

/// What is wrong with a row that should be `expected`; `prev` becomes its hash.
pub(super) fn follows(row: &rusqlite::Row<'_>, seq: u64, expected: u64, prev: &mut Hash) -> Result<Option<String>> {
    if seq != expected {
        return Ok(Some(format!("row {expected} is missing")));
    }
    let Ok(body) = row.get_ref(1)?.as_str().map(str::as_bytes) else {
        return Ok(Some(format!("row {seq} was changed: it is no text")));
    };
    let stored = row.get_ref(2)?.as_blob().ok().and_then(|hash| Hash::try_from(hash).ok());
    *prev = chain(prev, seq, body);
    if stored != Some(*prev) {
        return Ok(Some(format!("row {seq} was changed: its hash does not follow from row {}", seq - 1)));
    }
    Ok(None)
}
