//! A day of one store, made by the store's own core, and what headquarters makes of it: as it was, and tampered with.

use crate::support::{Journal, TestBox, config, hq, tempdir};
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::parity::{self, Parity};
use aisle_hq::store::Store as HqStore;
use checkout::catalog::{Catalog, Item, Member, Promotion, PromotionBook};
use checkout::config::{PriceRules, StoreConfig, TillRules};
use checkout::device::{DeviceEvent, Scan};
use checkout::page::{PageRequest, StaffRequest};
use checkout::store::HqInput;
use checkout::words::{ItemKey, LaneId, MemberId, Money, Mono, Now, PriceBook, RequestId, Role, Utc};
use checkout::{Effect, Input, Step, Store};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tempfile::TempDir;

const GOODS: &str = r#"{"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"price":350,"tax_bp":1300,"group":"drinks","breaks":[{"from":6,"price":320}]}
{"key":"6920000000005","name":{"zh":"方便面","en":"Noodles"},"price":300,"tax_bp":1300,"member_price":280,"levels":{"gold":270},"group":"food"}
{"key":"6930000000004","name":{"zh":"茶","en":"Tea"},"price":1290,"tax_bp":900,"group":"drinks","scheduled":[{"from":"2026-09-22T12:00","price":990}]}
{"key":"2112345","name":{"zh":"梨","en":"Pears"},"price":798,"tax_bp":900,"by_weight":true,"group":"fruit"}
{"key":"2212345","name":{"zh":"拼盘","en":"Platter"},"price":1998,"tax_bp":900,"by_weight":true,"group":"fruit"}
"#;
const PROMOTIONS: [&str; 2] = [
    r#"{"id":"3for2","name":{"zh":"三件两件价","en":"3 for 2"},"goods":{"keys":["6901234567892"]},"rule":{"buy_get":{"buy":2,"get":1}}}
{"id":"over50","name":{"zh":"满50减5","en":"5 off 50"},"goods":{"all":true},"rule":{"basket":{"steps":[{"spend":5000,"give":{"off":500}}]}}}
"#,
    r#"{"id":"drinks","name":{"zh":"饮料九折","en":"10 % off drinks"},"goods":{"groups":["drinks"]},"rule":{"percent":{"off_bp":1000}}}
"#,
];
const MEMBER: &str = "M1234567897";
const MEMBERS: &str = r#"{"id":"m-1","code":"M1234567897","name":"王","level":"gold"}
"#;
/// 2026-09-22 11:58 in China: two minutes before a price changes.
const MORNING: i64 = 1_790_049_480_000;

struct Shelf {
    items: BTreeMap<ItemKey, Item>,
    promotions: PromotionBook,
}

impl Catalog for Shelf {
    fn item(&self, key: &ItemKey) -> Option<Item> {
        self.items.get(key).cloned()
    }

    fn member(&self, code: &str) -> Option<Member> {
        let level = "gold".into();
        let member = Member {
            id: "m-1".into(),
            code: MEMBER.into(),
            name: "王".into(),
            level,
            used: BTreeMap::new(),
            points: 0,
            points_lease: 0,
            phone: String::new(),
        };
        (code == MEMBER).then_some(member)
    }

    fn member_by_id(&self, _: &MemberId) -> Option<Member> {
        self.member(MEMBER)
    }

    fn price_book(&self) -> PriceBook {
        "pb-1".into()
    }

    fn promotions(&self) -> &PromotionBook {
        &self.promotions
    }
}

/// A store with one lane and everything it recorded.
struct Shop {
    store: Store,
    shelf: Shelf,
    bodies: Vec<String>,
    utc: i64,
}

impl Shop {
    fn open(country: &str) -> Self {
        let items = GOODS.lines().map(|line| serde_json::from_str::<Item>(line).unwrap());
        let shelf =
            Shelf { items: items.map(|item| (item.key.clone(), item)).collect(), promotions: PromotionBook::default() };
        let mut shop = Self { store: Store::new(store(country)), shelf, bodies: Vec::new(), utc: MORNING };
        shop.take(Input::Boot { version: "test".into(), nonce: 7 });
        let (dataset, name) = ("members".into(), "members-1".into());
        shop.take(Input::Hq(HqInput::Dataset { dataset, version: 1, name }));
        shop.publish(1);
        shop
    }

    fn take(&mut self, input: Input) {
        let mut step = Step::default();
        self.utc += 20_000;
        let now = Now { mono: Mono(0), utc: Utc(self.utc), offset_min: 480 };
        self.store.step(now, input, &self.shelf, &mut step);
        for effect in &step.effects {
            if let Effect::Reply { result, .. } = effect {
                assert_eq!(*result, Ok(()), "after {:#?}", self.bodies.last());
            }
        }
        self.bodies.extend(step.events.iter().map(|record| serde_json::to_string(record).unwrap()));
    }

    fn publish(&mut self, version: usize) {
        let rows = PROMOTIONS[version - 1].lines().map(|line| serde_json::from_str::<Promotion>(line).unwrap());
        self.shelf.promotions = PromotionBook::new(rows);
        let (dataset, name) = ("promotions".into(), format!("promotions-{version}"));
        self.take(Input::Hq(HqInput::Dataset { dataset, version: version as u64, name }));
    }

    fn scan(&mut self, codes: &[&str]) {
        for code in codes {
            let scan = Scan { aim: None, data: code.as_bytes().to_vec() };
            self.take(Input::Device { device: "scanner".into(), event: DeviceEvent::Scan(scan) });
        }
    }

    fn press(&mut self, what: PageRequest) {
        self.take(Input::Page { lane: LaneId(1), request: RequestId(0), what });
    }

    fn staff(&mut self, request: StaffRequest) {
        self.press(PageRequest::Staff { staff: "s-1".into(), role: Role::Manager, request });
    }

    fn pay(&mut self) {
        self.staff(StaffRequest::TakeCash { given: Money(1_000_000), amount: None });
        self.press(PageRequest::Next {});
    }

    /// Sales of many kinds: plain, by quantity, members, weighed, labelled with a price, changed by staff, voided; promotions
    /// and prices that change between two scans of one basket.
    fn day(country: &str) -> Self {
        let (cola, noodles, tea) = ("6901234567892", "6920000000005", "6930000000004");
        let mut shop = Self::open(country);
        shop.scan(&[cola, tea]);
        shop.pay();
        shop.scan(&[cola, tea, cola, cola, tea]);
        shop.pay();
        shop.scan(&[MEMBER, noodles, noodles, cola]);
        shop.pay();
        shop.scan(&["2112345004501", "2212345012343"]);
        shop.pay();
        shop.scan(&[tea; 7]);
        let line = shop.store.facts().lanes[&LaneId(1)].open.as_ref().unwrap().lines[0].no;
        shop.press(PageRequest::SetQuantity { line, quantity: 2 });
        shop.scan(&[noodles]);
        shop.pay();
        shop.scan(&[cola, noodles]);
        let line = shop.store.facts().lanes[&LaneId(1)].open.as_ref().unwrap().lines[0].no;
        shop.press(PageRequest::VoidLine { line });
        shop.publish(2);
        shop.scan(&[tea]);
        shop.pay();
        shop.scan(&[cola; 8]);
        shop.pay();
        shop.take(Input::Boot { version: "test".into(), nonce: 8 });
        shop.scan(&[MEMBER, noodles, tea]);
        shop.pay();
        shop
    }
}

fn store(country: &str) -> StoreConfig {
    let currency = json!({"code": "CNY", "numeric": 156, "sign": "￥", "digits": 2});
    serde_json::from_value(json!({
        "box_id": "box-1", "store": {"zh": "店", "en": "Store"}, "currency": currency, "utc_offset_min": 480,
        "scan": {"templates": ["21IIIIIWWWWWC", "22IIIIIPPPPPC"], "currency": currency},
        "price": PriceRules::of(country).unwrap(), "till": TillRules::default(),
        "lanes": [{"lane": 1, "kind": "staffed", "scanners": ["scanner"]}],
    }))
    .unwrap()
}

async fn differences(bodies: &[String]) -> (i64, Vec<parity::Row>, TempDir) {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let store = HqStore::open(dir.path()).unwrap();
    dataset::import(&store, Kind::Catalogue, GOODS, Some("pb-1"), OnBad::Refuse).unwrap().unwrap();
    dataset::import(&store, Kind::Members, MEMBERS, None, OnBad::Refuse).unwrap().unwrap();
    for rows in PROMOTIONS {
        dataset::import(&store, Kind::Promotions, rows, None, OnBad::Refuse).unwrap().unwrap();
    }
    let mut journal = Journal::default();
    bodies.iter().for_each(|body| journal.add(body.as_bytes()));
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 9).await;
    // Headquarters' own thread is at it too: whoever comes second finds it done.
    let mut parity = Parity::new(&store).unwrap();
    while parity.step().unwrap() {}
    hq.stop().await;
    let db = store.reader().unwrap();
    (parity::checked(&db).unwrap(), parity::list(&db, 0, 1000).unwrap(), dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_day_has_no_difference_wherever_it_was_and_however_often_it_is_looked_at() {
    for country in ["CN", "CH", "JP", "US"] {
        let day = Shop::day(country);
        let sales = day.bodies.iter().filter(|body| body.contains("\"completed\"")).count();
        assert_eq!(sales, 8);
        let (checked, rows, dir) = differences(&day.bodies).await;
        assert_eq!((checked, rows), (8, vec![]), "{country}");
        let store = HqStore::open(dir.path()).unwrap();
        assert!(!Parity::new(&store).unwrap().step().unwrap());
        assert_eq!(parity::checked(&store.reader().unwrap()).unwrap(), 8);
    }
}

/// Changes the first body in which `pointer` leads to a number, under the event `kind`.
fn tampered(bodies: &[String], kind: &str, pointer: &str) -> Vec<String> {
    let mut bodies = bodies.to_vec();
    let found = bodies.iter_mut().find_map(|body| {
        let mut record: Value = serde_json::from_str(body).unwrap();
        let number = record["event"]["basket"].get_mut(kind)?.pointer_mut(pointer)?;
        *number = Value::from(number.as_i64()? - 1);
        *body = record.to_string();
        Some(())
    });
    found.unwrap_or_else(|| panic!("nothing at {kind}{pointer}"));
    bodies
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_tampered_with_is_named() {
    let honest = Shop::day("CN").bodies;
    for (kind, pointer, what, place) in [
        ("line_added", "/unit_price", "unit_price", "line 1"),
        ("line_added", "/tax_bp", "tax_rate", "line 1"),
        ("line_added", "/member_price", "member_price", "line 1"),
        ("savings_set", "/savings/0/amount", "saving", "line 1 by 3for2"),
        ("completed", "/taxes/0/tax", "tax", "rate 900"),
        ("completed", "/total", "total", "sale"),
        ("completed", "/discount", "discount", "sale"),
        ("completed", "/lines/1/unit_price", "sold_price", "line 2"),
        ("completed", "/lines/0/quantity", "sold_quantity", "line 1"),
    ] {
        let (checked, rows, _) = differences(&tampered(&honest, kind, pointer)).await;
        let named = rows.iter().any(|row| row.what == what && row.place == place);
        assert!(checked == 8 && named, "{kind}{pointer}: {rows:#?}");
        let sales: std::collections::BTreeSet<_> = rows.iter().map(|row| &row.transaction).collect();
        assert_eq!(sales.len(), 1, "{kind}{pointer}: only the sale in question: {rows:#?}");
    }
    // Promotions another version had, and a price book nobody published.
    let other: Vec<String> = honest.iter().map(|body| body.replacen("\"version\":2", "\"version\":1", 1)).collect();
    let (_, rows, _) = differences(&other).await;
    assert!(rows.iter().any(|row| row.what == "saving"), "{rows:#?}");
    let unknown: Vec<String> = honest.iter().map(|body| body.replace("pb-1", "pb-x")).collect();
    let (_, rows, _) = differences(&unknown).await;
    assert!(rows.iter().all(|row| row.what == "price_book") && rows.len() >= 8, "{rows:#?}");
}
