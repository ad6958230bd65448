//! The fold, kept beside the rows it is the fold of, so that a start replays only what came after.
//!
//! A snapshot is derived and never trusted beyond the chain: it names the row it was taken at with that row's hash, the code
//! that folded it and its own sum. Whatever does not agree is passed over; the one before or the whole journal gives the same.

use super::Hash;
use crate::jws::hex;
use anyhow::Result;
use checkout::facts::{FOLD, Facts};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

/// Rows after which the next commit carries a snapshot: some tens of milliseconds of a start.
pub(super) const EVERY: u64 = 20_000;
/// The latest, and the one before for the day the latest is damaged.
const KEPT: u64 = 2;

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS snapshot (
    seq   INTEGER PRIMARY KEY,
    hash  BLOB NOT NULL,
    fold  TEXT NOT NULL,
    sum   BLOB NOT NULL,
    facts TEXT NOT NULL
);";

/// Makes the table; one of an older shape is replaced, since all that it holds follows from the rows.
pub(super) fn prepare(db: &Connection) -> rusqlite::Result<()> {
    let columns = "SELECT count(*), count(*) FILTER (WHERE name = 'sum') FROM pragma_table_info('snapshot')";
    let (all, ours): (u32, u32) = db.query_row(columns, [], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if all > 0 && ours == 0 {
        db.execute_batch("DROP TABLE snapshot")?;
    }
    db.execute_batch(SCHEMA)
}

/// Keeps `facts` as of row `seq`, in the transaction that commits this row: no disk is waited for twice.
pub(super) fn keep(transaction: &Transaction<'_>, seq: u64, hash: &Hash, facts: &Facts) -> Result<()> {
    let text = serde_json::to_string(facts)?;
    let sum = sum(seq, hash, FOLD, &text);
    transaction
        .prepare_cached("INSERT OR REPLACE INTO snapshot VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![seq, hash, FOLD, sum, text])?;
    transaction
        .prepare_cached(
            "DELETE FROM snapshot WHERE seq NOT IN
             (SELECT seq FROM snapshot WHERE seq <= ?1 ORDER BY seq DESC LIMIT ?2)",
        )?
        .execute([seq, KEPT])?;
    Ok(())
}

/// What a start begins with.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) latest: Option<(u64, Facts)>,
    /// Those passed over: at which row, and why.
    pub(super) refused: Vec<(u64, &'static str)>,
}

/// The latest snapshot that can be believed.
pub(super) fn find(db: &Connection) -> Result<Found> {
    let mut found = Found::default();
    let mut rows = db.prepare("SELECT seq, hash, fold, sum, facts FROM snapshot ORDER BY seq DESC")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let seq: u64 = row.get(0)?;
        match believed(db, seq, row)? {
            Ok(facts) => {
                found.latest = Some((seq, facts));
                break;
            }
            Err(reason) => found.refused.push((seq, reason)),
        }
    }
    Ok(found)
}

/// Bytes of any kind may stand in a damaged row: each is looked at as what it is.
fn believed(db: &Connection, seq: u64, row: &rusqlite::Row<'_>) -> Result<Result<Facts, &'static str>> {
    let bytes = |column: usize| row.get_ref(column).map(|value| value.as_bytes().unwrap_or_default().to_vec());
    let (hash, fold, kept, facts) = (bytes(1)?, bytes(2)?, bytes(3)?, bytes(4)?);
    if fold != FOLD.as_bytes() {
        return Ok(Err("another version of the program made it"));
    }
    let sql = "SELECT hash FROM event WHERE seq = ?1";
    let chained: Option<Hash> = db.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    let Some(chained) = chained.filter(|chained| hash == chained) else {
        return Ok(Err("it is not of this journal"));
    };
    let text = std::str::from_utf8(&facts).unwrap_or_default();
    if hex(&kept) != hex(&sum(seq, &chained, FOLD, text)) {
        return Ok(Err("it is damaged"));
    }
    Ok(serde_json::from_str(text).map_err(|_| "it cannot be read"))
}

fn sum(seq: u64, hash: &Hash, fold: &str, facts: &str) -> Hash {
    let parts: [&[u8]; 4] = [&seq.to_le_bytes(), hash, fold.as_bytes(), facts.as_bytes()];
    let mut digest = Sha256::new();
    parts.iter().for_each(|part| digest.update(part));
    digest.finalize().into()
}
