use super::*;
use crate::store::Store;
use checkout::words::Private;

struct Hq {
    db: Connection,
    signer: Signer,
    _dir: tempfile::TempDir,
}

const NOW: i64 = 1_795_000_000_000;

fn hq() -> Hq {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let signer = Signer::open(&store.key_path()).unwrap();
    let db = store.writer().unwrap();
    let mandate = Mandate {
        member: "m-1".into(),
        currency: "CNY".into(),
        balance: 100_000,
        tap_limit: 2_000,
        sale_limit: 30_000,
        day_limit: 50_000,
        until: Some(NOW + 10 * DAY_MS),
    };
    sign_mandate(&db, &signer, &mandate, Some("135790"), NOW).unwrap();
    Hq { db, signer, _dir: dir }
}

impl Hq {
    fn charge(&mut self, tender: &str, amount: i64, said: &Said, now: i64) -> WalletOutcome {
        let txn = self.db.transaction().unwrap();
        let (tender, member) = (TenderId(tender.into()), MemberId("m-1".into()));
        let one = Charge { tender: &tender, member: &member, amount: Money(amount), currency: "CNY", said };
        let outcome = charge(&txn, &self.signer, "b1", &one, now).unwrap();
        txn.commit().unwrap();
        outcome
    }

    fn refund(&mut self, tender: &str, of: &str, amount: i64) -> WalletOutcome {
        let txn = self.db.transaction().unwrap();
        let outcome = refund(&txn, "b1", (&tender.into(), &of.into()), (Money(amount), "CNY"), NOW).unwrap();
        txn.commit().unwrap();
        outcome
    }

    fn balance(&self) -> i64 {
        mandate(&self.db, "m-1").unwrap().unwrap().balance
    }

    fn notices(&self) -> Vec<(String, i64)> {
        let mut rows = self.db.prepare_cached("SELECT kind, amount FROM member_notice ORDER BY id").unwrap();
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }
}

fn pin(text: &str) -> Said {
    Said::Pin(Private(text.into()))
}

fn approved(outcome: &WalletOutcome) -> bool {
    matches!(outcome, WalletOutcome::Approved { .. })
}

#[test]
fn b21_a_tender_is_charged_once_and_the_member_is_told() {
    let mut hq = hq();
    for _ in 0..3 {
        assert!(approved(&hq.charge("t.1", 5_000, &pin("135790"), NOW)));
    }
    assert_eq!((hq.balance(), hq.notices()), (95_000, vec![("charged".into(), 5_000)]));
    let other = hq.charge("t.1", 5_001, &pin("135790"), NOW);
    assert!(matches!(other, WalletOutcome::Declined { .. }), "one tender, one amount");
    assert!(approved(&hq.refund("t.2", "t.1", 2_000)) && approved(&hq.refund("t.2", "t.1", 2_000)));
    assert!(!approved(&hq.refund("t.3", "t.1", 3_001)), "never more than is left");
    assert_eq!(hq.balance(), 97_000);

    let txn = hq.db.transaction().unwrap();
    disputed(&txn, "b1", &"t.1".into(), NOW).unwrap();
    disputed(&txn, "b1", &"t.1".into(), NOW).unwrap();
    txn.commit().unwrap();
    assert_eq!(hq.balance(), 100_000, "given back first, once, and only what was left");
    let kinds: Vec<String> = hq.notices().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["charged", "given_back", "given_back", "disputed"]);
}

#[test]
fn the_mandate_is_the_limit_whatever_a_store_asks_for() {
    let mut hq = hq();
    for (tender, amount, said) in [
        ("t.1", 30_001, pin("135790")),
        ("t.2", 0, pin("135790")),
        ("t.3", -1, pin("135790")),
        ("t.4", 2_001, Said::Tap),
    ] {
        assert!(!approved(&hq.charge(tender, amount, &said, NOW)), "{tender}");
    }
    assert!(approved(&hq.charge("t.5", 2_000, &Said::Tap, NOW)));
    assert!(approved(&hq.charge("t.6", 30_000, &pin("135790"), NOW)));
    assert!(!approved(&hq.charge("t.7", 18_001, &pin("135790"), NOW)), "the day's limit");
    assert!(approved(&hq.charge("t.8", 18_001, &pin("135790"), NOW + DAY_MS)), "of any 24 hours");
    assert!(!approved(&hq.charge("t.9", 100, &Said::Tap, NOW + 10 * DAY_MS)), "it has ended");
    let txn = hq.db.transaction().unwrap();
    let (tender, member) = (TenderId("t.10".into()), MemberId("m-2".into()));
    let one = Charge { tender: &tender, member: &member, amount: Money(1), currency: "CNY", said: &Said::Tap };
    assert!(!approved(&charge(&txn, &hq.signer, "b1", &one, NOW).unwrap()), "no mandate");
}

#[test]
fn a_pin_is_tried_five_times_and_kept_nowhere() {
    let mut hq = hq();
    for wrong in 0..5 {
        assert!(!approved(&hq.charge(&format!("w.{wrong}"), 100, &pin("000000"), NOW)));
    }
    assert!(!approved(&hq.charge("t.1", 100, &pin("135790"), NOW + 1)), "the right one, too late");
    assert!(approved(&hq.charge("t.2", 100, &pin("135790"), NOW + PIN_REST_MS)));
    let file = std::fs::read(hq._dir.path().join("hq.db")).unwrap();
    let wal = std::fs::read(hq._dir.path().join("hq.db-wal")).unwrap_or_default();
    for bytes in [file, wal] {
        assert!(!bytes.windows(6).any(|window| window == b"135790" || window == b"000000"));
    }
}

#[test]
fn a_phone_says_yes_in_a_minute_or_nothing_is_charged() {
    let mut hq = hq();
    assert_eq!(hq.charge("t.1", 20_000, &Said::Phone, NOW), WalletOutcome::Pending);
    assert_eq!(hq.balance(), 100_000);
    confirm(&mut hq.db, "b1", "t.1", true, NOW + 59_000).unwrap();
    assert!(approved(&hq.charge("t.1", 20_000, &Said::Phone, NOW + 59_500)));
    assert_eq!(hq.balance(), 80_000);
    hq.charge("t.2", 20_000, &Said::Phone, NOW);
    confirm(&mut hq.db, "b1", "t.2", false, NOW).unwrap();
    hq.charge("t.4", 100, &Said::Phone, NOW);
    let txn = hq.db.transaction().unwrap();
    assert_eq!(reverse(&txn, "b1", &"t.4".into(), NOW).unwrap(), WalletOutcome::Reversed);
    assert_eq!(reverse(&txn, "b1", &"t.1".into(), NOW).unwrap(), query(&txn, "b1", &"t.1".into(), NOW).unwrap());
    txn.commit().unwrap();
    assert!(confirm(&mut hq.db, "b1", "t.4", true, NOW).is_err(), "given up is given up");
    hq.charge("t.3", 20_000, &Said::Phone, NOW);
    assert!(confirm(&mut hq.db, "b1", "t.3", true, NOW + 61_000).is_err());
    let txn = hq.db.transaction().unwrap();
    for tender in ["t.2", "t.3"] {
        let outcome = query(&txn, "b1", &tender.into(), NOW + 61_000).unwrap();
        assert!(matches!(outcome, WalletOutcome::Declined { .. }), "{tender}: {outcome:?}");
    }
}

#[test]
fn a_tender_that_was_asked_about_first_is_never_charged() {
    let mut hq = hq();
    let txn = hq.db.transaction().unwrap();
    assert!(!owns(&txn, "b1", &"t.1".into()).unwrap());
    let about = crate::pay::About { box_id: "b1".into(), tender: "t.1".into(), ask: 1 };
    assert_eq!(crate::pay::book::query(&txn, about).unwrap().tell, Some(WalletOutcome::NotFound));
    txn.commit().unwrap();
    assert_eq!(hq.charge("t.1", 100, &Said::Tap, NOW), WalletOutcome::NotFound);
    assert_eq!(hq.balance(), 100_000);
}
