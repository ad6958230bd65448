//! New boxes and their certificates: a box asks with a claim certificate, staff compare the code it shows and say which box it is,
//! and from then on it renews by itself. What was given out can be taken back.

use crate::ca::{self, CLAIM, Ca, Issued};
use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::operators::{Operator, Role, audit, may};
use crate::sign::{Expected, verify};
use crate::store::{alarm, begin, now_ms};
use anyhow::{Context as _, bail, ensure};
use checkout::wire::{Renewal, pairing_code};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;

/// Who has not paired by then asks again.
const PAIRING_MS: i64 = 3_600_000;
/// Boxes that wait at once; a stranger with a claim certificate fills no disk.
const WAITING_MAX: i64 = 1000;
/// Not more often than this, whoever asks.
const RENEW_MS: i64 = 3_600_000;
const BOX_ID_MAX: usize = 40;

/// Somebody waits to become a box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// What it shows.
    pub code: String,
    pub at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Certificate {
    pub serial: String,
    /// The box, `aisle-hq`, or the claim.
    pub name: String,
    pub not_after: i64,
    pub revoked: Option<i64>,
}

/// A request with a claim certificate; the certificate, once somebody has said which box it is.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn request(txn: &Transaction<'_>, id: &str, csr: &str) -> anyhow::Result<Option<String>> {
    let sql = "SELECT csr, certificate FROM pairing WHERE id = ?1";
    let known: Option<(String, Option<String>)> =
        txn.query_row(sql, [id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    if let Some((first, certificate)) = known {
        return Ok(certificate.filter(|_| first == csr));
    }
    txn.execute("DELETE FROM pairing WHERE at < ?1", [now_ms() - PAIRING_MS])?;
    let waiting: i64 = txn.query_row("SELECT count(*) FROM pairing", [], |row| row.get(0))?;
    if waiting >= WAITING_MAX || ca::read(csr).is_err() {
        tracing::info!(waiting, "a pairing is not taken");
        return Ok(None);
    }
    let code = code_of(csr);
    txn.execute("INSERT INTO pairing (id, code, csr, at) VALUES (?1, ?2, ?3, ?4)", params![id, code, csr, now_ms()])?;
    tracing::info!(code, "a new box waits: compare the code it shows, then `aisle-hq pair CODE BOX`");
    Ok(None)
}

/// The code follows from the request: who comes between box and headquarters with a key of his own shows another.
fn code_of(csr: &str) -> String {
    pairing_code(&Sha256::digest(csr.as_bytes()).into())
}

/// # Errors
/// When the database cannot be read.
pub fn waiting(db: &Connection) -> db::Result<Vec<Waiting>> {
    let mut rows =
        db.prepare_cached("SELECT code, at FROM pairing WHERE certificate IS NULL AND at >= ?1 ORDER BY at")?;
    rows.query_map([now_ms() - PAIRING_MS], |row| Ok(Waiting { code: row.get(0)?, at: row.get(1)? }))?.collect()
}

/// Says that who shows `code` is `box_id`. A box that has a certificate is replaced only where that is said: its old ones are
/// taken back, and its journal's new key is the one headquarters holds it to.
///
/// # Errors
/// Nobody shows that code, the id is none or taken, or `by` may not.
pub fn pair(
    db: &mut Connection,
    ca: &Ca,
    by: Option<&Operator>,
    code: &str,
    box_id: &str,
    replace: bool,
) -> anyhow::Result<Issued> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let usable = !box_id.is_empty() && box_id.len() <= BOX_ID_MAX && box_id.bytes().all(plain);
    ensure!(
        usable && !box_id.starts_with(CLAIM) && box_id != "aisle-hq",
        "a box is called by up to {BOX_ID_MAX} letters, digits and '-'"
    );
    let txn = begin(db)?;
    let who = may(&txn, by, Role::Operator)?;
    let code = code.to_ascii_uppercase();
    let sql = "SELECT id, csr FROM pairing WHERE code = ?1 AND certificate IS NULL AND at >= ?2";
    let found: Option<(String, String)> =
        txn.query_row(sql, params![code, now_ms() - PAIRING_MS], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let (id, csr) = found.with_context(|| format!("no box that waits shows {code}: `pairings` lists what is shown"))?;
    if valid(&txn, box_id)? > 0 {
        ensure!(replace, "{box_id} has a certificate: --replace takes it back and gives this box its place");
        revoke_all(&txn, box_id, "replaced")?;
        txn.execute("DELETE FROM box_key WHERE box = ?1", [box_id])?;
    }
    let issued = ca.sign(&csr, box_id)?;
    keep(&txn, box_id, &issued, &csr)?;
    txn.execute("UPDATE pairing SET box = ?2, certificate = ?3 WHERE id = ?1", params![id, box_id, issued.pem])?;
    audit(&txn, &who, "paired", box_id, &issued.serial)?;
    txn.commit()?;
    Ok(issued)
}

fn keep(db: &Connection, name: &str, issued: &Issued, csr: &str) -> anyhow::Result<()> {
    db.execute(
        "INSERT INTO certificate (serial, name, pem, request, not_after, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![issued.serial, name, issued.pem, csr, issued.not_after_ms, now_ms()],
    )?;
    Ok(())
}

/// Writes down a certificate that was made here, without a request.
///
/// # Errors
/// When the database cannot be written, or `by` may not.
pub fn note(db: &mut Connection, by: Option<&Operator>, name: &str, issued: &Issued) -> anyhow::Result<()> {
    let txn = begin(db)?;
    let who = may(&txn, by, Role::Admin)?;
    keep(&txn, name, issued, "")?;
    audit(&txn, &who, "certificate", name, &issued.serial)?;
    Ok(txn.commit()?)
}

/// A box asks for its next certificate, under the key it signs its journal with: the broker alone cannot.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn renew(
    txn: &Transaction<'_>,
    ca: &Ca,
    tenant: &str,
    box_id: &str,
    document: &str,
) -> anyhow::Result<Option<String>> {
    let key: Option<String> =
        txn.query_row("SELECT key FROM box_key WHERE box = ?1", [box_id], |row| row.get(0)).optional()?;
    let expected = Expected { tenant, box_id, purpose: "renew", rev_seen: 0 };
    let asked = key.context("it has named no key").and_then(|key| verify::<Renewal>(document, &key, expected));
    let request = match asked {
        Ok(signed) if signed.box_id.as_deref() == Some(box_id) => signed.doc.request,
        Ok(_) | Err(_) => {
            alarm(txn, box_id, "renewal_refused", "a request for a certificate that the box's key did not sign")?;
            return Ok(None);
        }
    };
    let sql = "SELECT pem, request, at FROM certificate WHERE name = ?1 AND revoked IS NULL ORDER BY at DESC LIMIT 1";
    let last: Option<(String, String, i64)> =
        txn.query_row(sql, [box_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).optional()?;
    match last {
        // The answer was lost.
        Some((pem, first, _)) if first == request => Ok(Some(pem)),
        Some((_, _, at)) if now_ms().saturating_sub(at) < RENEW_MS => Ok(None),
        Some(_) => {
            let Ok(issued) = ca.sign(&request, box_id) else { return Ok(None) };
            keep(txn, box_id, &issued, &request)?;
            audit(txn, "", "renewed", box_id, &issued.serial)?;
            Ok(Some(issued.pem))
        }
        None => {
            alarm(txn, box_id, "renewal_refused", "it has no certificate that is valid: it is paired again")?;
            Ok(None)
        }
    }
}

/// Certificates of a box that are still believed.
fn valid(db: &Connection, name: &str) -> db::Result<i64> {
    let sql = "SELECT count(*) FROM certificate WHERE name = ?1 AND revoked IS NULL AND not_after > ?2";
    db.query_row(sql, params![name, now_ms()], |row| row.get(0))
}

fn revoke_all(db: &Connection, name: &str, reason: &str) -> db::Result<usize> {
    let sql = "UPDATE certificate SET revoked = ?2, reason = ?3 WHERE name = ?1 AND revoked IS NULL";
    db.execute(sql, params![name, now_ms(), reason])
}

/// Takes every certificate of that name back.
///
/// # Errors
/// There is none, or `by` may not.
pub fn revoke(db: &mut Connection, by: Option<&Operator>, name: &str, reason: &str) -> anyhow::Result<usize> {
    let txn = begin(db)?;
    let who = may(&txn, by, Role::Operator)?;
    let count = revoke_all(&txn, name, reason)?;
    if count == 0 {
        bail!("there is no certificate of {name} that is believed");
    }
    audit(&txn, &who, "revoked", name, reason)?;
    txn.commit()?;
    Ok(count)
}

/// Serials nobody gets in with.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn revoked(db: &Connection) -> db::Result<BTreeSet<String>> {
    let mut rows = db.prepare_cached("SELECT serial FROM certificate WHERE revoked IS NOT NULL AND not_after > ?1")?;
    rows.query_map([now_ms()], |row| row.get(0))?.collect()
}

/// Serials that were taken back, and when.
///
/// # Errors
/// When the database cannot be read.
pub fn taken_back(db: &Connection) -> db::Result<Vec<(String, i64)>> {
    let mut rows =
        db.prepare_cached("SELECT serial, revoked FROM certificate WHERE revoked IS NOT NULL ORDER BY revoked")?;
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Every certificate that was given out, the newest first.
///
/// # Errors
/// When the database cannot be read.
pub fn certificates(db: &Connection) -> db::Result<Vec<Certificate>> {
    let mut rows =
        db.prepare_cached("SELECT serial, name, not_after, revoked FROM certificate ORDER BY at DESC, serial")?;
    rows.query_map([], |row| {
        Ok(Certificate { serial: row.get(0)?, name: row.get(1)?, not_after: row.get(2)?, revoked: row.get(3)? })
    })?
    .collect()
}
