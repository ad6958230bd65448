use crate::support::{TestBox, config, count, db, hq, stored, tempdir};
use aisle_hq::dataset::quarantine::{self, bounds, set_bounds};
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::db::Connection;
use aisle_hq::operators::{self, Operator, Role};
use aisle_hq::sign::{Expected, verify};
use aisle_hq::store::Store;
use checkout::bounds::Bounds;
use checkout::wire::Manifest;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// A headquarters' folder with an admin and two operators.
pub(crate) struct Desk {
    pub(crate) dir: TempDir,
    keys: TempDir,
}

impl Desk {
    pub(crate) fn open() -> Self {
        let desk = Self { dir: tempdir().unwrap(), keys: tempdir().unwrap() };
        let mut db = desk.store().writer().unwrap();
        operators::add(&mut db, None, "chen", Role::Admin, &desk.key("chen")).unwrap();
        let admin = desk.who("chen");
        for name in ["li", "wang"] {
            operators::add(&mut db, Some(&admin), name, Role::Operator, &desk.key(name)).unwrap();
        }
        desk
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.dir.path()).unwrap()
    }

    fn key(&self, name: &str) -> std::path::PathBuf {
        self.keys.path().join(name)
    }

    pub(crate) fn who(&self, name: &str) -> Operator {
        Operator::sign_in(&db(&self.dir), name, &self.key(name)).unwrap()
    }

    /// What came of it: whether it was enough.
    pub(crate) fn approve(&self, name: &str, id: i64) -> anyhow::Result<bool> {
        let (who, mut db) = (self.who(name), self.store().writer()?);
        let txn = db.transaction()?;
        let enough = operators::approve(&txn, &who, id)?;
        if enough {
            quarantine::release(&txn, id)?;
            aisle_hq::control::release(&txn, id)?;
        }
        txn.commit()?;
        Ok(enough)
    }

    fn import(&self, by: Option<&str>, price: impl Fn(u32) -> u32, name: &str) -> dataset::Imported {
        let by = by.map(|name| self.who(name));
        let imported =
            dataset::import_by(&self.store(), by.as_ref(), Kind::Catalogue, &goods(price), Some(name), OnBad::Refuse);
        imported.unwrap().unwrap()
    }

    fn version(&self) -> i64 {
        count(&self.dir, "SELECT coalesce(max(version), 0) FROM dataset WHERE dataset = 'catalogue'")
    }
}

fn goods(price: impl Fn(u32) -> u32) -> String {
    let mut text = String::new();
    for plu in 20_001..=20_020 {
        let price = price(plu);
        if price > 0 {
            writeln!(text, r#"{{"key":"{plu}","name":{{"zh":"茶","en":"Tea"}},"price":{price},"tax_bp":1300}}"#)
                .unwrap();
        }
    }
    text
}

fn audited(db: &Connection) -> Vec<String> {
    operators::audited(db, 100)
        .unwrap()
        .into_iter()
        .map(|row| format!("{} {} {}", row.who, row.did, row.about))
        .collect()
}

#[test]
fn operators_are_named_by_an_admin_and_known_by_their_own_key() {
    let (dir, keys) = (tempdir().unwrap(), tempdir().unwrap());
    let mut db = Store::open(dir.path()).unwrap().writer().unwrap();
    let key = |name: &str| keys.path().join(name);
    let add =
        |db: &mut Connection, by: Option<&Operator>, name: &str, role| operators::add(db, by, name, role, &key(name));
    assert!(add(&mut db, None, "li", Role::Operator).is_err(), "nobody could name the second");
    add(&mut db, None, "chen", Role::Admin).unwrap();
    assert!(add(&mut db, None, "eve", Role::Admin).is_err(), "only the first names himself");
    let chen = Operator::sign_in(&db, "chen", &key("chen")).unwrap();
    add(&mut db, Some(&chen), "li", Role::Operator).unwrap();
    let li = Operator::sign_in(&db, "li", &key("li")).unwrap();
    assert!(add(&mut db, Some(&li), "eve", Role::Operator).is_err(), "an operator names nobody");
    assert!(add(&mut db, Some(&chen), "li", Role::Viewer).is_err(), "a name is one person");
    assert!(add(&mut db, Some(&chen), "li; --", Role::Viewer).is_err());
    assert!(operators::add(&mut db, Some(&chen), "double", Role::Operator, &key("li")).is_err(), "a key is one person");
    for (name, file) in [("li", "chen"), ("chen", "li"), ("nobody", "li"), ("li", "no-such-file")] {
        assert!(Operator::sign_in(&db, name, &key(file)).is_err(), "{name} with the key of {file}");
    }
    assert!(!key("no-such-file").exists(), "signing in makes no key");
    assert!(operators::remove(&mut db, &chen, "chen").is_err(), "the last admin stays");
    operators::remove(&mut db, &chen, "li").unwrap();
    assert!(Operator::sign_in(&db, "li", &key("li")).is_err());
    let dump = stored(&dir);
    let secret = std::fs::read(key("chen")).unwrap();
    assert!(!dump.windows(32).any(|bytes| bytes == &secret[16..48]), "no key of an operator is in the database");
}

#[test]
fn the_audit_says_who_did_what_and_nobody_changes_it() {
    let desk = Desk::open();
    set_bounds(&mut desk.store().writer().unwrap(), Some(&desk.who("chen")), Bounds::default()).unwrap();
    let db = db(&desk.dir);
    assert_eq!(
        audited(&db),
        ["chen bounds set catalogue", "chen users add wang", "chen users add li", " users add chen"]
    );
    for sql in ["DELETE FROM audit", "UPDATE audit SET who = 'li'"] {
        assert!(db.execute(sql, []).is_err(), "{sql}");
    }
}

#[test]
fn bounds_are_an_admin_s_to_set() {
    let desk = Desk::open();
    let mut db = desk.store().writer().unwrap();
    let tight = Bounds { price_percent: 5, ..Bounds::default() };
    assert!(set_bounds(&mut db, None, tight).is_err() && set_bounds(&mut db, Some(&desk.who("li")), tight).is_err());
    assert_eq!(bounds(&db).unwrap(), Bounds::default());
    set_bounds(&mut db, Some(&desk.who("chen")), tight).unwrap();
    assert_eq!(bounds(&db).unwrap(), tight);
}

#[test]
fn a_price_book_outside_the_bounds_waits_for_another_operator_and_names_its_worst_lines() {
    let desk = Desk::open();
    assert!(desk.import(Some("li"), |_| 500, "pb-1").held.is_none(), "the first is compared with nothing");
    let slip = |plu| if plu == 20_007 { 50 } else { 500 };
    let held = desk.import(Some("li"), slip, "pb-2").held.unwrap();
    assert_eq!((held.delta.worst.len(), held.delta.worst[0].key.0.as_str()), (1, "20007"));
    assert!(held.outside[0].contains("20007 price 500 -> 50 (90 %)"), "{held:?}");
    assert_eq!(desk.version(), 1, "it is not published");
    assert!(desk.approve("li", held.approval).is_err(), "who asked does not agree a second time");
    assert_eq!(desk.version(), 1);
    assert!(desk.approve("wang", held.approval).unwrap());
    assert_eq!(desk.version(), 2);
    assert!(desk.approve("chen", held.approval).is_err(), "it is done");

    for (price, what) in [
        (&(|plu: u32| if plu < 20_008 { 500_u32 } else { 0 }) as &dyn Fn(u32) -> u32, "missing"),
        (&|plu: u32| slip(plu) + 1, "change their price"),
    ] {
        let held = desk.import(None, price, what).held.unwrap();
        assert!(held.outside.iter().any(|told| told.contains(what)), "{held:?}");
    }
}

#[test]
fn without_two_operators_nothing_waits_for_them() {
    let dir = tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    for (price, name) in [(500, "pb-1"), (5, "pb-2")] {
        let imported = dataset::import(&store, Kind::Catalogue, &goods(|_| price), Some(name), OnBad::Refuse);
        assert!(imported.unwrap().unwrap().held.is_none());
    }
    assert_eq!(count(&dir, "SELECT max(version) FROM dataset"), 2);
}

#[test]
fn an_import_nobody_signed_wants_two_and_one_that_was_refused_or_overtaken_stays_out() {
    let desk = Desk::open();
    desk.import(None, |_| 500, "pb-1");
    let unsigned = desk.import(None, |_| 50, "pb-2").held.unwrap().approval;
    assert!(!desk.approve("li", unsigned).unwrap() && desk.version() == 1);
    let mut db = desk.store().writer().unwrap();
    let txn = db.transaction().unwrap();
    operators::refuse(&txn, &desk.who("wang"), unsigned, "a slip").unwrap();
    txn.commit().unwrap();
    assert!(desk.approve("chen", unsigned).is_err() && desk.version() == 1);

    let slow = desk.import(Some("li"), |_| 50, "pb-3").held.unwrap().approval;
    desk.import(Some("li"), |plu| if plu == 20_001 { 510 } else { 500 }, "pb-4");
    let overtaken = desk.approve("wang", slow).unwrap_err();
    assert!(overtaken.to_string().contains("import this one again"), "{overtaken}");
    assert_eq!(desk.version(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_goes_out_with_both_signatures_and_a_way_back_is_the_next_version() {
    let desk = Desk::open();
    let hq = hq(&config(&desk.dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    desk.import(Some("li"), |_| 500, "pb-1");
    assert_eq!(manifest(&mut one, &hq.public_key).await.version, 1);
    let held = desk.import(Some("li"), |_| 50, "pb-2").held.unwrap();
    assert!(one.hear_within("/data/catalogue", Duration::from_millis(1500)).await.is_none(), "it waits");
    desk.approve("wang", held.approval).unwrap();
    let second = manifest(&mut one, &hq.public_key).await;
    assert_eq!((second.version, second.name.as_str(), second.approvals.len()), (2, "pb-2", 2));
    let keys = operators::list(&db(&desk.dir)).unwrap();
    for (document, name) in second.approvals.iter().zip(["li", "wang"]) {
        let key = &keys.iter().find(|known| known.name == name).unwrap().key;
        let expected = Expected { tenant: "demo", box_id: "", purpose: "approval", rev_seen: 0 };
        verify::<checkout::control::Approval>(document, key, expected).unwrap();
    }

    // Back to the first: as far as the way there, and nobody has agreed to that content yet.
    let li = desk.who("li");
    let (_, held) = quarantine::roll_back(&desk.store(), Some(&li), "catalogue", None).unwrap();
    desk.approve("wang", held.unwrap().approval).unwrap();
    let third = manifest(&mut one, &hq.public_key).await;
    assert_eq!((third.version, third.name.as_str()), (3, "pb-1+3"));
    // To content that two have agreed to once there is nothing to wait for.
    let (fourth, held) = quarantine::roll_back(&desk.store(), Some(&li), "catalogue", Some(2)).unwrap();
    assert!(held.is_none() && fourth.version == 4 && fourth.chunks == second.chunks);
    assert_eq!(manifest(&mut one, &hq.public_key).await.approvals.len(), 2);
    let nowhere: &Path = desk.dir.path();
    assert!(quarantine::roll_back(&Store::open(nowhere).unwrap(), Some(&li), "catalogue", Some(9)).is_err());
    assert!(quarantine::roll_back(&desk.store(), None, "catalogue", None).is_err(), "somebody has to say so");
}

async fn manifest(one: &mut TestBox, public_key: &str) -> Manifest {
    let token = one.hear("/data/catalogue").await.expect("a manifest");
    let expected = Expected { tenant: "demo", box_id: "box-1", purpose: "manifest", rev_seen: 0 };
    verify::<Manifest>(std::str::from_utf8(&token).unwrap(), public_key, expected).unwrap().doc
}
