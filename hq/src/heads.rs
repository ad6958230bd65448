//! What boxes have signed their journals to be: kept, and held against what headquarters was sent.

use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::sign::{Expected, verify};
use crate::store::{Known, alarm, int, now_ms};
use checkout::wire::{Head, Hello, Signed, chain_preimage};
use sha2::{Digest as _, Sha256};

/// A head is a few hundred bytes.
const DOCUMENT_MAX: usize = 4096;

/// The first key a box names is the one it is held to: whoever has its disk, but not its key, cannot write its past anew.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn key(txn: &Transaction<'_>, box_id: &str, named: &str) -> db::Result<()> {
    if named.is_empty() {
        return Ok(());
    }
    txn.prepare_cached("INSERT INTO box_key (box, key, at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
        .execute(params![box_id, clip(named), now_ms()])?;
    if key_of(txn, box_id)?.as_deref() != Some(clip(named)) {
        alarm(txn, box_id, "box_key_changed", "the box signs with another key than the one headquarters knows")?;
    }
    Ok(())
}

fn key_of(db: &Connection, box_id: &str) -> db::Result<Option<String>> {
    db.prepare_cached("SELECT key FROM box_key WHERE box = ?1")?.query_row([box_id], |row| row.get(0)).optional()
}

/// A box whose journal ends before a head it has signed was cut, or runs on an older disk.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn hello(txn: &Transaction<'_>, box_id: &str, hello: &Hello) -> db::Result<()> {
    let signed: Option<i64> = txn
        .prepare_cached("SELECT max(seq) FROM signed_head WHERE box = ?1 AND journal = ?2 AND epoch = ?3")?
        .query_row(params![box_id, hello.journal, int(hello.epoch)], |row| row.get(0))?;
    if let Some(signed) = signed.filter(|signed| *signed > int(hello.head)) {
        let detail = format!(
            "the box signed {signed} rows and now has {}: its journal was cut or its disk is an older one",
            hello.head
        );
        alarm(txn, box_id, "journal_cut", &detail)?;
    }
    Ok(())
}

/// Keeps a signed head and holds it against the rows headquarters has; those that are still to come, later.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn take(txn: &Transaction<'_>, tenant: &str, box_id: &str, document: &str) -> anyhow::Result<()> {
    let Some(key) = key_of(txn, box_id)? else { return Ok(()) };
    let expected = Expected { tenant, box_id, purpose: "head", rev_seen: 0 };
    let signed: Signed<Head> = match verify(document, &key, expected) {
        Ok(signed) if document.len() <= DOCUMENT_MAX && signed.box_id.as_deref() == Some(box_id) => signed,
        Ok(_) | Err(_) => {
            return Ok(alarm(txn, box_id, "head_refused", "a head that the box's key did not sign")?);
        }
    };
    let head = signed.doc;
    txn.prepare_cached(
        "INSERT INTO signed_head (box, journal, epoch, seq, hash, document, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?
    .execute(params![box_id, head.journal, int(head.epoch), int(head.seq), head.hash, document, now_ms()])?;
    if let Some(known) = crate::store::known(txn, box_id)? {
        compare(txn, box_id, &known)?;
    }
    Ok(())
}

/// Holds the heads that are due against the chain headquarters worked out itself.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn compare(txn: &Transaction<'_>, box_id: &str, known: &Known) -> db::Result<()> {
    let mut due = txn.prepare_cached(
        "SELECT seq, hash FROM signed_head WHERE box = ?1 AND journal = ?2 AND epoch = ?3 AND seq <= ?4 AND checked = 0",
    )?;
    let at = params![box_id, known.journal, int(known.epoch), int(known.acked)];
    let heads: Vec<(i64, String)> =
        due.query_map(at, |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    for (seq, said) in heads {
        let ours = chain_at(txn, box_id, known.epoch, seq)?;
        if ours.is_none_or(|ours| crate::batch::hex(&ours) != said) {
            let detail = format!("row {seq}: the box signed another journal than it has sent");
            alarm(txn, box_id, "head_mismatch", &detail)?;
        }
        txn.prepare_cached(
            "UPDATE signed_head SET checked = 1 WHERE box = ?1 AND journal = ?2 AND epoch = ?3 AND seq = ?4",
        )?
        .execute(params![box_id, known.journal, int(known.epoch), seq])?;
    }
    Ok(())
}

/// The chain hash after `seq`, from the last mark before it on.
fn chain_at(db: &Connection, box_id: &str, epoch: u64, seq: i64) -> db::Result<Option<[u8; 32]>> {
    let mark =
        "SELECT seq, hash FROM journal_mark WHERE box = ?1 AND epoch = ?2 AND seq <= ?3 ORDER BY seq DESC LIMIT 1";
    let mark: Option<(i64, [u8; 32])> = db
        .prepare_cached(mark)?
        .query_row(params![box_id, int(epoch), seq], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (mut at, mut hash) = mark.unwrap_or((0, crate::judge::NO_HASH));
    let mut bodies = db.prepare_cached(
        "SELECT seq, body, NULL FROM journal_event WHERE box = ?1 AND epoch = ?2 AND seq > ?3 AND seq <= ?4
         UNION ALL SELECT seq, NULL, body FROM dead_letter WHERE box = ?1 AND epoch = ?2 AND seq > ?3 AND seq <= ?4
         ORDER BY 1",
    )?;
    let after = at;
    bodies.each(params![box_id, int(epoch), after, seq], |row| -> db::Result<bool> {
        let (next, text, set_aside): (i64, Option<String>, Option<Vec<u8>>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        // What was understood in part stands in both tables.
        if next == at {
            return Ok(true);
        }
        if next != at + 1 {
            return Ok(false);
        }
        let body = set_aside.or_else(|| text.map(String::into_bytes)).unwrap_or_default();
        hash = Sha256::digest(chain_preimage(&hash, next.unsigned_abs(), &body)).into();
        at = next;
        Ok(true)
    })?;
    Ok((at == seq).then_some(hash))
}

/// Every head of a box as it was signed, oldest first; what `aisled verify --heads` reads.
///
/// # Errors
/// When the database cannot be read.
pub fn list(db: &Connection, box_id: &str) -> db::Result<Vec<String>> {
    let mut heads = db.prepare_cached("SELECT document FROM signed_head WHERE box = ?1 ORDER BY at, seq")?;
    heads.query_map([box_id], |row| row.get(0))?.collect()
}

/// The key a box is held to.
///
/// # Errors
/// When the database cannot be read, or the box has named none.
pub fn public_key(db: &Connection, box_id: &str) -> anyhow::Result<String> {
    key_of(db, box_id)?.ok_or_else(|| anyhow::anyhow!("box {box_id} has named no key"))
}

fn clip(key: &str) -> &str {
    key.get(..64).unwrap_or(key)
}
