//! Coupons across the fleet: who claims a single-use one, who redeemed it, which were redeemed twice; and the key they are
//! signed with, on the command line of whoever sends campaigns out.

use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::fold::Origin;
use crate::store::{alarm, now_ms};
use anyhow::{Context as _, bail};
use checkout::coupon::code::{self, Body};
use checkout::device::Scan;
use checkout::sale::Sale;
use checkout::scan::{Code, CouponCode, CouponScheme, Printed, ScanRules, classify};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A basket that takes longer than this has lost its coupon to whoever asks next.
const CLAIM_MS: i64 = 10 * 60 * 1000;

/// A single-use coupon that was redeemed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    pub campaign: String,
    pub serial: String,
    pub transaction: String,
    #[serde(rename = "box")]
    pub box_id: String,
    pub at: i64,
    pub other_transaction: String,
    pub other_box: String,
}

/// What a completed sale redeemed. A sale stands whatever its coupon turns out to be.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn redeemed(txn: &Transaction<'_>, origin: Origin<'_>, at: i64, sale: &Sale) -> db::Result<()> {
    for coupon in &sale.coupons {
        let Sale { transaction, .. } = sale;
        txn.prepare_cached(
            "INSERT INTO coupon_use (campaign, serial, transaction_id, box, at, lease)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            coupon.campaign,
            coupon.serial,
            transaction.0,
            origin.box_id,
            at,
            coupon.lease.map(crate::store::int)
        ])?;
        if !coupon.single_use {
            continue;
        }
        let first: Option<(String, String)> = txn
            .prepare_cached(
                "SELECT transaction_id, box FROM coupon_use
                 WHERE campaign = ?1 AND serial = ?2 AND transaction_id <> ?3 ORDER BY at, transaction_id LIMIT 1",
            )?
            .query_row(params![coupon.campaign, coupon.serial, transaction.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((other, place)) = first else { continue };
        txn.prepare_cached(
            "INSERT INTO coupon_conflict
                (campaign, serial, transaction_id, box, at, other_transaction, other_box)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
        )?
        .execute(params![coupon.campaign, coupon.serial, transaction.0, origin.box_id, at, other, place])?;
        let detail = format!(
            "coupon {} of {} was redeemed with {transaction}, and with {other} at {place}",
            coupon.serial, coupon.campaign
        );
        alarm(txn, origin.box_id, "coupon_conflict", &detail)?;
    }
    revoked(txn, origin, at, sale)
}

/// What was handed out with goods that have all come back counts as used, unless it was.
fn revoked(txn: &Transaction<'_>, origin: Origin<'_>, at: i64, sale: &Sale) -> db::Result<()> {
    for coupon in &sale.revoked {
        txn.prepare_cached(
            "INSERT INTO coupon_use (campaign, serial, transaction_id, box, at, lease)
             SELECT ?1, ?2, ?3, ?4, ?5, NULL
             WHERE NOT EXISTS (SELECT 1 FROM coupon_use WHERE campaign = ?1 AND serial = ?2)",
        )?
        .execute(params![coupon.campaign, coupon.serial, sale.transaction.0, origin.box_id, at])?;
    }
    Ok(())
}

/// Keeps a free coupon for the box; else the box that has it.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn claim(txn: &Transaction<'_>, box_id: &str, campaign: &str, serial: &str) -> db::Result<Option<String>> {
    let now = now_ms();
    txn.prepare_cached("DELETE FROM coupon_claim WHERE at < ?1")?.execute([now - CLAIM_MS])?;
    let taken = txn
        .prepare_cached(
            "SELECT box FROM coupon_use WHERE campaign = ?1 AND serial = ?2
             UNION ALL SELECT box FROM coupon_claim WHERE campaign = ?1 AND serial = ?2 AND box <> ?3 LIMIT 1",
        )?
        .query_row(params![campaign, serial, box_id], |row| row.get(0))
        .optional()?;
    if taken.is_some() {
        return Ok(taken);
    }
    txn.prepare_cached(
        "INSERT INTO coupon_claim (campaign, serial, box, at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (campaign, serial) DO UPDATE SET box = ?3, at = ?4",
    )?
    .execute(params![campaign, serial, box_id, now])?;
    Ok(None)
}

/// Conflicts `box_id` has not heard of; told once.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn to_tell(txn: &Transaction<'_>, box_id: &str) -> anyhow::Result<Vec<Conflict>> {
    let found = conflicts_where(txn, "box = ?1 AND told = 0", box_id, u32::MAX)?;
    if !found.is_empty() {
        txn.execute("UPDATE coupon_conflict SET told = 1 WHERE box = ?1", [box_id])?;
    }
    Ok(found)
}

/// The latest conflicts.
///
/// # Errors
/// When the database cannot be read.
pub fn conflicts(db: &Connection, most: u32) -> anyhow::Result<Vec<Conflict>> {
    conflicts_where(db, "?1 = ''", "", most)
}

fn conflicts_where(db: &Connection, filter: &str, box_id: &str, most: u32) -> anyhow::Result<Vec<Conflict>> {
    let mut statement = db.prepare_cached(&format!(
        "SELECT campaign, serial, transaction_id, box, at, other_transaction, other_box FROM coupon_conflict
         WHERE {filter} ORDER BY at DESC LIMIT ?2"
    ))?;
    let rows = statement.query_map(params![box_id, most], |row| {
        Ok(Conflict {
            campaign: row.get(0)?,
            serial: row.get(1)?,
            transaction: row.get(2)?,
            box_id: row.get(3)?,
            at: row.get(4)?,
            other_transaction: row.get(5)?,
            other_box: row.get(6)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The key all stores of a tenant and headquarters sign coupons with.
pub struct CouponKey(hmac::Key);

impl std::fmt::Debug for CouponKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CouponKey(***)")
    }
}

impl CouponKey {
    /// # Errors
    /// When the file cannot be read or holds no key.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let key = code::key(&text).with_context(|| format!("{} holds no coupon key", path.display()))?;
        Ok(Self::of(&key))
    }

    fn of(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Makes a key that only the owner of the file may read; never over another.
    ///
    /// # Errors
    /// When the file is there already or cannot be made.
    pub fn make(path: &Path) -> anyhow::Result<()> {
        let mut key = [0; 32];
        if SystemRandom::new().fill(&mut key).is_err() {
            bail!("the system gives no random bytes");
        }
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = made.with_context(|| format!("cannot make {}", path.display()))?;
        writeln!(file, "{}", crate::batch::hex(&key))?;
        file.sync_all()?;
        Ok(())
    }

    fn mac(&self, text: &str) -> String {
        code::mac_word(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }

    /// The code of one coupon, as it is printed.
    ///
    /// # Errors
    /// When campaign, serial or day cannot stand in a code.
    pub fn sign(&self, campaign: &str, serial: &str, last_day: Option<&str>) -> anyhow::Result<String> {
        let body = Body { campaign, serial, last_day, mac: None };
        let signed = body.signed(|text| Some(self.mac(text))).unwrap_or_default();
        let whole = Body::read(&signed).is_some_and(|read| Body { mac: None, ..read } == body);
        let code = Printed::Coupon.code(&signed).filter(|_| whole);
        code.context("campaign and serial are letters, digits, '-' and '_', and a day is written 2026-12-31")
    }

    /// What a code says, and whether it is ours.
    ///
    /// # Errors
    /// When it is no code of a coupon of ours at all.
    pub fn verify(&self, text: &str) -> anyhow::Result<Verified> {
        let scan = Scan { aim: None, data: text.trim().as_bytes().to_vec() };
        let Code::Coupon(CouponCode { scheme: CouponScheme::Ours, code }) =
            classify(&scan, &ScanRules::default(), false)
        else {
            bail!("that is no coupon's code, or it was not read right: K-, a body and two check digits");
        };
        let body = Body::read(&code).context("the code names no campaign and serial")?;
        Ok(Verified {
            campaign: body.campaign.into(),
            serial: body.serial.into(),
            last_day: body.last_day.map(str::to_owned),
            genuine: body.is_genuine(|text| Some(self.mac(text))) == Some(true),
            redeemed: Vec::new(),
        })
    }
}

/// What can be said of a coupon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verified {
    pub campaign: String,
    pub serial: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_day: Option<String>,
    /// The keyed code is right.
    pub genuine: bool,
    /// With these transactions, where headquarters was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub redeemed: Vec<String>,
}

impl Verified {
    /// Adds what headquarters knows.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn with_uses(mut self, db: &Connection) -> anyhow::Result<Self> {
        let sql = "SELECT transaction_id FROM coupon_use WHERE campaign = ?1 AND serial = ?2 ORDER BY at";
        let mut statement = db.prepare_cached(sql)?;
        let rows = statement.query_map([&self.campaign, &self.serial], |row| row.get(0))?;
        self.redeemed = rows.collect::<Result<_, _>>()?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headquarters_signs_as_a_box_does_and_tells_its_own_codes_from_forged_ones() {
        let key = CouponKey::of(&[0x0f; 32]);
        let code = key.sign("tea", "7", None).unwrap();
        assert!(code.starts_with("K-tea.7.zhszjzrhy33yu2mf"), "{code}");
        assert!(key.verify(&code).unwrap().genuine);
        assert!(!CouponKey::of(&[1; 32]).verify(&code).unwrap().genuine);
        let dated = key.sign("tea", "b1-7", Some("2026-12-31")).unwrap();
        let told = key.verify(&dated).unwrap();
        assert_eq!((told.genuine, told.last_day.as_deref()), (true, Some("2026-12-31")));
        for (campaign, serial, day) in [("t.a", "7", None), ("tea", "", None), ("tea", "7", Some("tomorrow"))] {
            assert!(key.sign(campaign, serial, day).is_err(), "{campaign} {serial} {day:?}");
        }
        assert!(key.verify(&code.replace("K-tea", "K-tee")).is_err(), "the check digits");
        assert!(key.verify("6901234567892").is_err());
    }

    #[test]
    fn a_key_is_made_once_and_read_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("coupon.key");
        CouponKey::make(&path).unwrap();
        assert!(CouponKey::make(&path).is_err(), "never over another");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let code = CouponKey::read(&path).unwrap().sign("tea", "7", None).unwrap();
        assert!(CouponKey::read(&path).unwrap().verify(&code).unwrap().genuine);
    }
}
