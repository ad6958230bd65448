//! A day of 2,000 baskets at three tills and on phones, by script. Whoever presses the keys keeps books of their own; the tests
//! of the core hold its reports against them, and those of headquarters price every sale of it again.

pub mod books;
mod goods;
mod money;
mod random;
mod shopping;
mod till;

use books::{Account, Basket, Books, Paid, Remembered, Shelved, Shopper};
use checkout::config::StoreConfig;
use checkout::event::Record;
use checkout::page::{PageRequest, ShiftRequest, StaffRequest};
use checkout::store::{HqInput, PortStatus};
use checkout::words::{LaneId, Money};
use checkout::{Input, Step, Store};
use goods::{COLA, MEMBERS, Shelf, TEA};
use random::Random;
use serde_json::json;
use std::collections::BTreeMap;

pub const BASKETS: usize = 2_000;
const KIOSK: u16 = 1;
const TILLS: [u16; 2] = [2, 3];
/// Phones hand their baskets over: nothing is paid there.
const PHONES: u16 = 4;
/// Coins of five: cash is rounded.
const COIN: i64 = 5;
/// 2026-09-22 08:00 in a store eight hours east.
const MORNING: i64 = 1_790_035_200_000;
/// From one basket to the next; the last begins before 21:00.
const NEXT_MS: i64 = 23_000;
const FLOAT: i64 = 20_000;
const NOON: i64 = MORNING + 4 * 3_600_000;
/// Coupons for cola are over.
const EVENING: i64 = MORNING + 12 * 3_600_000;

/// What headquarters published at some time of the day: dataset, name, rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub dataset: &'static str,
    pub name: String,
    pub rows: String,
}

pub struct Day {
    pub store: Store,
    pub shelf: Shelf,
    pub journal: Vec<Record>,
    pub published: Vec<Published>,
    /// How often each kind of thing was done.
    pub did: BTreeMap<&'static str, usize>,
    pub books: Books,
    lanes: BTreeMap<u16, Books>,
    shifts: BTreeMap<u16, Books>,
    receipts: BTreeMap<u16, u64>,
    accounts: [Account; 2],
    juice_used: [i64; 2],
    last: Step,
    clock: u64,
    utc: i64,
    random: Random,
    step: usize,
    online: bool,
    shelved: Shelved,
    promotions: usize,
    serials: usize,
    /// Serials of cola coupons nobody has used, and used ones.
    free_colas: Vec<String>,
    used_colas: Vec<String>,
    /// Codes of coupons that receipts handed out.
    vouchers: Vec<String>,
    /// By campaign: redeemed while headquarters was away.
    leased: BTreeMap<&'static str, usize>,
    trace: u32,
    basket: Basket,
    paid: Vec<Paid>,
    rounding: i64,
    sold: Vec<Remembered>,
    /// The sale goods come back of; and which lines, how many, worth what.
    origin: Option<usize>,
    pending: Vec<(u32, i64, i64)>,
}

fn config() -> StoreConfig {
    let currency = json!({"code": "CNY", "numeric": 156, "sign": "￥", "digits": 2});
    let till = |lane: u16, kind: &str| {
        json!({"lane": lane, "kind": kind, "scanners": [], "scale": format!("scale-{lane}"),
               "terminal": format!("terminal-{lane}"), "printer": format!("printer-{lane}")})
    };
    let voided = json!({"id": "voided", "name": {"zh": "取消", "en": "voided"}, "when": {"voided": 1}, "add_bp": 4000});
    serde_json::from_value(json!({
        "box_id": "box-1", "store": {"zh": "店", "en": "Store"}, "currency": currency, "utc_offset_min": 480,
        "scan": {"templates": ["21IIIIIWWWWWC", "22IIIIIPPPPPC"], "currency": currency},
        "till": {"shifts": true},
        "price": {"cash": {"step": COIN, "rounding": "half_up"}},
        "floor": {
            "limits": [{"id": "formula", "name": {"zh": "奶粉", "en": "formula"}, "of": {"group": "formula"}, "pieces": 2,
                        "role": "supervisor"}],
            "rescan": {"base_bp": 1000, "rules": [voided], "pieces": 2, "full_from_bp": 5000},
            "points": {"per": 100, "worth": 10, "times": [{"group": "drinks", "level": "gold", "times": 3}]},
        },
        "lanes": [till(KIOSK, "kiosk"), till(2, "staffed"), till(3, "staffed"),
                  {"lane": PHONES, "kind": "phone", "scanners": []}],
    }))
    .expect("a configuration")
}

impl Day {
    pub fn open(seed: u64) -> Self {
        let shelved = Shelved { after_noon: false, book: 1 };
        let mut day = Self {
            store: Store::new(config()),
            shelf: Shelf::new(),
            journal: Vec::new(),
            published: Vec::new(),
            did: BTreeMap::new(),
            books: Books::default(),
            lanes: BTreeMap::new(),
            shifts: BTreeMap::new(),
            receipts: BTreeMap::new(),
            accounts: [
                Account { balance: 5_000, burnt: 0, lease: 2_000 },
                Account { balance: 800, burnt: 0, lease: 600 },
            ],
            juice_used: [1, 0],
            last: Step::default(),
            clock: 0,
            utc: MORNING,
            random: Random(seed),
            step: 0,
            online: true,
            shelved,
            promotions: 1,
            serials: 0,
            free_colas: (1..=BASKETS).rev().map(|n| format!("c{n}")).collect(),
            used_colas: Vec::new(),
            vouchers: Vec::new(),
            leased: BTreeMap::new(),
            trace: 0,
            basket: Basket::empty(),
            paid: Vec::new(),
            rounding: 0,
            sold: Vec::new(),
            origin: None,
            pending: Vec::new(),
        };
        day.take(Input::Boot { version: "test".into(), nonce: 1 });
        for device in
            ["scale-1", "scale-2", "scale-3", "terminal-1", "terminal-2", "terminal-3", "printer-2", "printer-3"]
        {
            day.take(Input::Port { device: device.into(), status: PortStatus::Up });
        }
        day.take(Input::Hq(HqInput::Online(true)));
        day.publish("catalogue", "pb-1", goods::goods(1));
        day.publish("promotions", "promotions-1", goods::promotions(1));
        day.publish("coupons", "coupons-1", goods::CAMPAIGNS.into());
        day.publish("recalls", "recalls-1", goods::RECALLS.into());
        day.publish_members();
        TILLS.into_iter().for_each(|till| day.open_shift(till));
        day
    }

    /// The whole of it, to the last report.
    pub fn whole(seed: u64) -> Self {
        let mut day = Self::open(seed);
        (0..BASKETS).for_each(|_| day.next());
        TILLS.into_iter().for_each(|till| day.close_shift(till));
        day.close();
        day
    }

    pub fn next(&mut self) {
        self.step += 1;
        self.utc = MORNING + i64::try_from(self.step).expect("small") * NEXT_MS;
        self.shelved.after_noon = self.utc >= NOON;
        match self.step % 400 {
            0 => TILLS.into_iter().for_each(|till| {
                self.close_shift(till);
                self.open_shift(till);
            }),
            100 => TILLS.into_iter().for_each(|till| self.x_report(till)),
            200 => self.left_behind(),
            _ => {}
        }
        match self.step % 200 {
            150 => self.network(false),
            180 => self.network(true),
            _ => {}
        }
        match self.step {
            700 => self.across(|day| {
                day.shelved.book = 2;
                day.shelf.price_book_comes(2);
                day.publish("catalogue", "pb-2", goods::goods(2));
            }),
            1_000 => self.across(|day| {
                day.juice_used = [2, 1];
                day.publish_members();
            }),
            1_200 => self.across(|day| {
                day.promotions = 2;
                day.shelf.promotions_come(2);
                day.publish("promotions", "promotions-2", goods::promotions(2));
            }),
            _ => self.shopper(),
        }
    }

    fn network(&mut self, online: bool) {
        self.online = online;
        self.take(Input::Hq(HqInput::Online(online)));
    }

    fn publish(&mut self, dataset: &'static str, name: &str, rows: String) {
        let version = 1 + self.published.iter().filter(|one| one.dataset == dataset).count();
        self.published.push(Published { dataset, name: name.into(), rows });
        let (dataset, version, name) = (dataset.into(), u64::try_from(version).expect("few"), name.into());
        self.take(Input::Hq(HqInput::Dataset { dataset, version, name }));
    }

    /// Headquarters has heard of every sale so far: the rows say what everybody has and used.
    fn publish_members(&mut self) {
        let row = |index: usize| {
            let account = self.accounts[index];
            json!({"id": format!("m-{}", index + 1), "code": MEMBERS[index], "name": "王小明",
                   "level": (["gold", "silver"][index]), "used": {"juice": self.juice_used[index]},
                   "points": account.balance, "points_lease": account.lease})
        };
        let rows = [row(0), row(1)];
        self.shelf.members = rows.iter().map(|row| serde_json::from_value(row.clone()).expect("a member")).collect();
        self.accounts.iter_mut().for_each(|account| account.burnt = 0);
        let version = 1 + self.published.iter().filter(|one| one.dataset == "members").count();
        let text = rows.iter().map(|row| format!("{row}\n")).collect();
        self.publish("members", &format!("members-{version}"), text);
    }

    /// A basket waits while something changes at headquarters, and goes on at another lane at the prices it was locked at.
    fn across(&mut self, change: impl Fn(&mut Self)) {
        self.begin();
        self.known(TILLS[0], 0);
        (0..2).for_each(|_| self.pick(TILLS[0], TEA));
        self.pick(TILLS[0], COLA);
        self.cola_coupon(TILLS[0]);
        let code = self.put_by(TILLS[0]);
        change(self);
        self.press(KIOSK, PageRequest::Key { code });
        self.did("suspended across a change");
        self.settle(KIOSK);
    }

    /// A basket that waits for somebody who does not come back.
    fn left_behind(&mut self) {
        self.begin();
        self.pick(PHONES, COLA);
        self.press(PHONES, PageRequest::Suspend {});
        self.press(PHONES, PageRequest::Next {});
        self.did("left behind");
        let worth = self.basket.worth();
        self.book(PHONES, |books| books.voids = (books.voids.0 + 1, books.voids.1 + worth));
    }

    /// Into every sum it belongs to: the day's, the lane's, its shift's.
    fn book(&mut self, lane: u16, write: impl Fn(&mut Books)) {
        write(&mut self.books);
        write(self.lanes.entry(lane).or_default());
        if let Some(shift) = self.shifts.get_mut(&lane) {
            write(shift);
        }
    }

    fn did(&mut self, what: &'static str) {
        *self.did.entry(what).or_default() += 1;
    }

    fn open_shift(&mut self, till: u16) {
        self.staff(till, StaffRequest::Shift(ShiftRequest::Open { float: Money(FLOAT) }));
        self.shifts.insert(till, Books { float: FLOAT, ..Books::default() });
    }

    /// The cashier counts without being told what there should be, and is off by a little.
    fn close_shift(&mut self, till: u16) {
        let shift = self.shifts.remove(&till).expect("it was opened");
        let wrong = self.random.up_to(7) - 3;
        self.staff(till, StaffRequest::Shift(ShiftRequest::Close { counted: Money(shift.drawer() + wrong) }));
        let (_, report) = self.lane(till).last_shift.expect("a report");
        shift.agrees(&report.totals, &format!("shift {} of till {till}", report.shift));
        assert_eq!((report.expected.0, report.difference.0), (shift.drawer(), wrong), "the drawer of till {till}");
        assert_eq!(report.perpetual.0, self.books.total);
        self.did("shift closed");
    }

    fn x_report(&mut self, till: u16) {
        self.staff(till, StaffRequest::Shift(ShiftRequest::PrintX {}));
        let slip = self.printed();
        let shift = &self.shifts[&till];
        let row = |label: &str| slip.rows.iter().find(|row| row.label.en == label).expect("a row").value.clone();
        assert_eq!(row("Transactions"), shift.sales.to_string());
        let net = if shift.total < 0 { "-" } else { "" };
        assert_eq!(row("Net"), format!("{net}￥{}.{:02}", shift.total.abs() / 100, shift.total.abs() % 100));
        assert!(slip.rows.iter().all(|row| row.label.en != "Expected"), "what the drawer must hold stays unsaid");
        self.did("X report");
    }

    fn close(&mut self) {
        self.staff(TILLS[0], StaffRequest::DayClose {});
        let report = self.store.view(&self.shelf).last_day.expect("the day's report");
        self.books.agrees(&report.totals, "the day");
        assert_eq!(report.perpetual.0, self.books.total);
        for (lane, books) in &self.lanes {
            let z = &report.lanes[&LaneId(*lane)];
            books.agrees(z, &format!("lane {lane}"));
            let receipts = self.receipts.get(lane).map(|last| (1, *last));
            assert_eq!(z.receipts.map(|(first, last)| (first.0, last.0)), receipts, "receipts of lane {lane}");
        }
    }

    fn member(&self, index: usize) -> Shopper {
        Shopper { index, gold: index == 0, juice_used: self.juice_used[index] }
    }
}
