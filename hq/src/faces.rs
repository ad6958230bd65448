//! The ledger of faces: who agreed to what, whose templates lie where, who withdrew, and the proof that all of it is gone.
//! No picture, no template and no score ever reaches it.

use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::fold::Origin;
use crate::store::{alarm, int, now_ms};
use checkout::event::Event;
use checkout::face::{Erasure, ErasureReceipt};
use checkout::member::{Identified, IdentifiedBy, MemberEvent};
use checkout::store::StoreEvent;
use checkout::words::{MemberId, Utc};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::Serialize;

/// Faces from which an operator in China has thirty working days to file (办法, June 2025), and a mark well before it.
pub const FILING: [u64; 2] = [80_000, 100_000];
/// The dataset that tells every box whom to forget.
const ERASURES: &str = "erasures";

/// Journal facts the ledger keeps.
pub(crate) fn concerns(kind: &str) -> bool {
    [
        "member.face_enrol_consented",
        "member.face_enrolled",
        "member.face_enrol_refused",
        "member.face_withdrawn",
        "member.face_pay_confirmed",
        "member.face_pay_disputed",
        "member.data_shown",
        "member.identified",
        "member.switched",
        "store.face_erased",
    ]
    .contains(&kind)
}

/// # Errors
/// When the database cannot be written.
pub(crate) fn record(txn: &Transaction<'_>, origin: Origin<'_>, at: i64, event: &Event) -> db::Result<()> {
    match event {
        Event::Member(event) => member(txn, origin, at, event),
        Event::Store(StoreEvent::FaceErased { member, listed, receipts }) => {
            for receipt in receipts {
                check(txn, origin, receipt)?;
            }
            stored(txn, origin.box_id, &member.0, None)?;
            let detail = serde_json::json!({ "listed": listed, "receipts": receipts });
            keep(txn, origin, at, &member.0, "erased", &detail)
        }
        Event::Store(_)
        | Event::Lane(_)
        | Event::Basket(_)
        | Event::Tender(_)
        | Event::Shift(_)
        | Event::Box(_)
        | Event::Control(_) => Ok(()),
    }
}

fn member(txn: &Transaction<'_>, origin: Origin<'_>, at: i64, event: &MemberEvent) -> db::Result<()> {
    let nothing = serde_json::Value::Null;
    match event {
        MemberEvent::FaceEnrolConsented { member, consent, .. } => {
            keep(txn, origin, at, &member.0, "consented", &serde_json::json!(consent))
        }
        MemberEvent::FaceEnrolled { member, frames, .. } => {
            stored(txn, origin.box_id, &member.0, Some(at))?;
            warn(txn, FILING)?;
            keep(txn, origin, at, &member.0, "enrolled", &serde_json::json!({ "frames": frames }))
        }
        MemberEvent::FaceEnrolRefused { member, .. } => keep(txn, origin, at, &member.0, "not_enrolled", &nothing),
        MemberEvent::FaceWithdrawn { member } => {
            txn.execute(
                "INSERT INTO face_erasure (member, at, box, epoch, seq) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (box, epoch, seq) DO NOTHING",
                params![member.0, at, origin.box_id, int(origin.epoch), int(origin.seq)],
            )?;
            keep(txn, origin, at, &member.0, "withdrawn", &nothing)
        }
        MemberEvent::FacePayConfirmed { member, tender, amount, factor, .. } => {
            let detail = serde_json::json!({ "tender": tender, "amount": amount, "factor": factor });
            keep(txn, origin, at, &member.0, "confirmed", &detail)
        }
        MemberEvent::FacePayDisputed { tender, amount, .. } => {
            alarm(txn, origin.box_id, "face_pay_disputed", &format!("payment {tender} is disputed by its member"))?;
            crate::member_wallet::disputed(txn, origin.box_id, tender, at)?;
            let sql = "SELECT member FROM member_charge WHERE box = ?1 AND tender = ?2";
            let member: Option<String> =
                txn.query_row(sql, params![origin.box_id, tender.0], |row| row.get(0)).optional()?;
            let detail = serde_json::json!({ "tender": tender, "amount": amount });
            keep(txn, origin, at, &member.unwrap_or_default(), "disputed", &detail)
        }
        MemberEvent::Identified(identified) | MemberEvent::Switched { to: identified, .. } => {
            let Identified { member, by } = identified;
            if *by == IdentifiedBy::Face { keep(txn, origin, at, &member.0, "recognised", &nothing) } else { Ok(()) }
        }
        MemberEvent::DataShown { member, staff } => {
            let detail = serde_json::json!({ "by_staff": staff.is_some() });
            keep(txn, origin, at, &member.0, "shown", &detail)
        }
        MemberEvent::FaceConsented { .. }
        | MemberEvent::FaceEnded { .. }
        | MemberEvent::FaceReopened { .. }
        | MemberEvent::FacePayAsked { .. }
        | MemberEvent::Removed {} => Ok(()),
    }
}

fn keep(
    txn: &Transaction<'_>,
    origin: Origin<'_>,
    at: i64,
    member: &str,
    what: &str,
    detail: &serde_json::Value,
) -> db::Result<()> {
    let detail = if detail.is_null() { String::new() } else { detail.to_string() };
    txn.prepare_cached(
        "INSERT INTO face_ledger (box, epoch, seq, member, what, at, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?
    .execute(params![origin.box_id, int(origin.epoch), int(origin.seq), member, what, at, detail])?;
    Ok(())
}

/// Where templates lie: since when, or no longer.
fn stored(txn: &Transaction<'_>, box_id: &str, member: &str, since: Option<i64>) -> db::Result<()> {
    match since {
        Some(at) => txn.execute(
            "INSERT INTO face_stored (member, box, at) VALUES (?1, ?2, ?3) ON CONFLICT (member, box) DO UPDATE SET at = ?3",
            params![member, box_id, at],
        ),
        None => txn.execute("DELETE FROM face_stored WHERE member = ?1 AND box = ?2", [member, box_id]),
    }?;
    Ok(())
}

/// People whose face lies somewhere, each counted once however many stores know them.
///
/// # Errors
/// When the database cannot be read.
pub fn count(db: &Connection) -> db::Result<u64> {
    let count: i64 = db.query_row("SELECT count(DISTINCT member) FROM face_stored", [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn warn(txn: &Transaction<'_>, marks: [u64; 2]) -> db::Result<()> {
    let count = count(txn)?;
    for mark in marks.into_iter().filter(|mark| count >= *mark) {
        let detail = format!("{mark} people's faces are stored: filing is due within 30 working days from 100000 on");
        alarm(txn, "", "faces_filing", &detail)?;
    }
    Ok(())
}

/// A receipt counts if the gallery of that box signed it, under the key it has always signed with.
fn check(txn: &Transaction<'_>, origin: Origin<'_>, receipt: &ErasureReceipt) -> db::Result<()> {
    let sql = "INSERT INTO face_key (box, public_key) VALUES (?1, ?2) ON CONFLICT (box) DO UPDATE SET box = face_key.box RETURNING public_key";
    let known: String = txn.query_row(sql, params![origin.box_id, receipt.public_key], |row| row.get(0))?;
    if known != receipt.public_key {
        let detail =
            "an erasure was signed with another key than before: the gallery has a new key, or somebody else signs";
        alarm(txn, origin.box_id, "erasure_receipt", detail)?;
    }
    if !is_genuine(receipt) {
        alarm(txn, origin.box_id, "erasure_receipt", "an erasure's receipt is not signed by the key it names")?;
    }
    Ok(())
}

/// Whether the key a receipt names signed it.
#[must_use]
pub fn is_genuine(receipt: &ErasureReceipt) -> bool {
    let (Some(key), Some(signature)) = (bytes(&receipt.public_key), bytes(&receipt.signature)) else { return false };
    UnparsedPublicKey::new(&ED25519, key).verify(receipt.signed_text().as_bytes(), &signature).is_ok()
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(pair).collect())?
}

/// Makes the next version of the list of erasures where somebody has withdrawn since the last.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn publish(txn: &Transaction<'_>) -> anyhow::Result<()> {
    let newest: Option<i64> = txn.query_row("SELECT max(n) FROM face_erasure", [], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(()) };
    let name = format!("{ERASURES}-{newest}");
    let known = "SELECT EXISTS (SELECT 1 FROM dataset WHERE dataset = ?1 AND name = ?2)";
    if txn.query_row(known, [ERASURES, &name], |row| row.get(0))? {
        return Ok(());
    }
    let mut rows = txn.prepare_cached("SELECT n, member, at FROM face_erasure ORDER BY n")?;
    let rows = rows.query_map([], |row| {
        Ok(Erasure { n: row.get::<_, i64>(0)?.unsigned_abs(), member: MemberId(row.get(1)?), at: Utc(row.get(2)?) })
    })?;
    let rows: Vec<Erasure> = rows.collect::<Result<_, _>>()?;
    crate::dataset::put(txn, ERASURES, &name, &rows).map(drop)
}

/// One line of the ledger, as it is given to the member or an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub at: i64,
    #[serde(rename = "box")]
    pub box_id: String,
    pub what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub member: String,
    #[serde(skip_serializing_if = "serde_json::Value::is_null")]
    pub detail: serde_json::Value,
}

/// All that is known of one member's face, oldest first.
///
/// # Errors
/// When the database cannot be read.
pub fn log(db: &Connection, member: &str) -> anyhow::Result<Vec<Entry>> {
    entries(db, "member = ?1 ORDER BY at, box, epoch, seq LIMIT ?2", member, u32::MAX)
}

/// The latest of all members.
///
/// # Errors
/// When the database cannot be read.
pub fn latest(db: &Connection, most: u32) -> anyhow::Result<Vec<Entry>> {
    entries(db, "?1 = '' AND what <> 'recognised' ORDER BY at DESC LIMIT ?2", "", most)
}

fn entries(db: &Connection, filter: &str, member: &str, most: u32) -> anyhow::Result<Vec<Entry>> {
    let mut query =
        db.prepare_cached(&format!("SELECT at, box, what, member, detail FROM face_ledger WHERE {filter}"))?;
    let rows = query.query_map(params![member, most], |row| {
        let detail: String = row.get(4)?;
        Ok(Entry {
            at: row.get(0)?,
            box_id: row.get(1)?,
            what: row.get(2)?,
            member: row.get(3)?,
            detail: serde_json::from_str(&detail).unwrap_or_default(),
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Numbers for an assessment of impact: how many faces, how often recognised, withdrawn, erased, disputed; nobody's in particular.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessment {
    pub made_at: i64,
    pub faces_stored: u64,
    pub filing_marks: [u64; 2],
    pub facts: std::collections::BTreeMap<String, u64>,
    /// Withdrawn and not yet erased by every store that had a template.
    pub erasures_open: u64,
    pub oldest_fact: Option<i64>,
}

/// # Errors
/// When the database cannot be read.
pub fn assessment(db: &Connection) -> anyhow::Result<Assessment> {
    let mut query = db.prepare_cached("SELECT what, count(*) FROM face_ledger GROUP BY what")?;
    let facts = query.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    let open = "SELECT count(DISTINCT s.member) FROM face_stored AS s JOIN face_erasure AS e
        ON e.member = s.member AND e.at >= s.at";
    Ok(Assessment {
        made_at: now_ms(),
        faces_stored: count(db)?,
        filing_marks: FILING,
        facts: facts.collect::<Result<_, _>>()?,
        erasures_open: db.query_row(open, [], |row| row.get::<_, i64>(0))?.unsigned_abs(),
        oldest_fact: db.query_row("SELECT min(at) FROM face_ledger", [], |row| row.get(0))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use checkout::face::{Age, Channel, Consent, ErasureCause};
    use checkout::words::{Attempt, StaffId};

    struct Hq {
        db: Connection,
        _dir: tempfile::TempDir,
        seq: u64,
    }

    fn hq() -> Hq {
        let dir = tempfile::tempdir().unwrap();
        let db = Store::open(dir.path()).unwrap().writer().unwrap();
        Hq { db, _dir: dir, seq: 0 }
    }

    impl Hq {
        fn take(&mut self, box_id: &str, event: &Event) {
            self.seq += 1;
            let txn = self.db.transaction().unwrap();
            let origin = Origin { box_id, epoch: 1, seq: self.seq };
            // What comes twice counts once.
            for _ in 0..2 {
                record(&txn, origin, 1_790_000_000_000 + int(self.seq), event).unwrap();
            }
            txn.commit().unwrap();
        }

        fn alarms(&self) -> Vec<String> {
            let mut rows = self.db.prepare_cached("SELECT kind FROM alarm ORDER BY id").unwrap();
            rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        }
    }

    fn enrolled(member: &str) -> Event {
        Event::Member(MemberEvent::FaceEnrolled { attempt: Attempt(1), member: member.into(), frames: 3 })
    }

    fn erased(member: &str, receipts: Vec<ErasureReceipt>) -> Event {
        Event::Store(StoreEvent::FaceErased { member: member.into(), listed: None, receipts })
    }

    #[test]
    fn b08_people_are_counted_once_and_warned_of_before_filing_is_due() {
        let mut hq = hq();
        for (box_id, member) in [("b1", "m-1"), ("b2", "m-1"), ("b1", "m-2"), ("b2", "m-3")] {
            hq.take(box_id, &enrolled(member));
        }
        assert_eq!(count(&hq.db).unwrap(), 3);
        hq.take("b1", &erased("m-1", Vec::new()));
        assert_eq!(count(&hq.db).unwrap(), 3, "the other store still knows the face");
        hq.take("b2", &erased("m-1", Vec::new()));
        assert_eq!(count(&hq.db).unwrap(), 2);
        let txn = hq.db.transaction().unwrap();
        warn(&txn, [3, 4]).unwrap();
        assert!(txn.query_row("SELECT count(*) = 0 FROM alarm", [], |row| row.get::<_, bool>(0)).unwrap());
        warn(&txn, [2, 3]).unwrap();
        warn(&txn, [2, 3]).unwrap();
        txn.commit().unwrap();
        assert_eq!(hq.alarms(), ["faces_filing"]);
        assert_eq!(FILING, [80_000, 100_000]);
    }

    #[test]
    fn b04_a_withdrawal_makes_a_list_for_every_box_once() {
        let mut hq = hq();
        let withdrawn = |member: &str| Event::Member(MemberEvent::FaceWithdrawn { member: member.into() });
        hq.take("b1", &withdrawn("m-1"));
        hq.take("b2", &withdrawn("m-2"));
        let versions = |db: &Connection| -> Vec<(String, i64)> {
            let mut rows = db
                .prepare_cached("SELECT name, rows FROM dataset WHERE dataset = 'erasures' ORDER BY version")
                .unwrap();
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        for _ in 0..2 {
            let txn = hq.db.transaction().unwrap();
            publish(&txn).unwrap();
            txn.commit().unwrap();
        }
        let [(_, rows)] = &versions(&hq.db)[..] else { panic!("one version for what is known") };
        assert_eq!(*rows, 2);
        hq.take("b1", &withdrawn("m-3"));
        let txn = hq.db.transaction().unwrap();
        publish(&txn).unwrap();
        txn.commit().unwrap();
        assert_eq!(versions(&hq.db).last().map(|(_, rows)| *rows), Some(3));
    }

    #[test]
    fn a_receipt_by_a_wrong_or_a_new_key_is_told() {
        use ring::signature::{Ed25519KeyPair, KeyPair as _};
        let receipt = |seed: u8| {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
            let mut receipt = ErasureReceipt {
                member: "m-1".into(),
                at_utc_ms: 1,
                cause: ErasureCause::Withdrawn,
                key_sha256: "00".repeat(32),
                scanned_bytes: 7,
                public_key: hex(pair.public_key().as_ref()),
                signature: String::new(),
            };
            receipt.signature = hex(pair.sign(receipt.signed_text().as_bytes()).as_ref());
            receipt
        };
        let mut hq = hq();
        hq.take("b1", &erased("m-1", vec![receipt(1)]));
        assert_eq!(hq.alarms(), [""; 0]);
        hq.take("b1", &erased("m-1", vec![ErasureReceipt { scanned_bytes: 8, ..receipt(1) }]));
        hq.take("b1", &erased("m-1", vec![receipt(2)]));
        assert_eq!(hq.alarms(), ["erasure_receipt", "erasure_receipt"]);
    }

    #[test]
    fn b22_the_log_of_a_member_is_exported_without_biometrics() {
        let mut hq = hq();
        let consent = Box::new(Consent {
            purpose: "identify".into(),
            text_version: "face-enrol-1".into(),
            text_sha256: "0f".repeat(32),
            at_utc_ms: 1_790_000_000_001,
            channel: Channel::Staff,
            until_utc_ms: None,
            age: Age::FourteenOrOver,
            guardian: None,
        });
        let (attempt, member) = (Attempt(1), MemberId("m-1".into()));
        let recognised = Identified { member: member.clone(), by: IdentifiedBy::Face };
        for event in [
            MemberEvent::FaceEnrolConsented { attempt, member: member.clone(), consent, staff: StaffId("s-1".into()) },
            MemberEvent::FaceEnrolled { attempt, member: member.clone(), frames: 3 },
            MemberEvent::Identified(recognised),
            MemberEvent::Identified(Identified { member: "m-2".into(), by: IdentifiedBy::Face }),
            MemberEvent::FaceWithdrawn { member: member.clone() },
        ] {
            hq.take("b1", &Event::Member(event));
        }
        hq.take("b1", &erased("m-1", Vec::new()));
        let lines: Vec<String> =
            log(&hq.db, "m-1").unwrap().iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let golden = include_str!("../tests/golden/face-log.ndjson");
        assert_eq!(lines.join("\n") + "\n", golden);
        let numbers = assessment(&hq.db).unwrap();
        assert_eq!((numbers.faces_stored, numbers.facts["recognised"], numbers.erasures_open), (0, 2, 0));
    }
}
