//! A small store and a catalogue in a map, shared by the tests of the core.

use checkout::basket::BasketEvent;
use checkout::catalog::{Campaign, Catalog, Item, Member, Offer, OfferRule, PromotionBook};
use checkout::config::{GivesBack, LaneConfig, PriceRules, StoreConfig, TillRules};
use checkout::device::{DeviceEvent, Scan};
use checkout::event::{Event, Record};
use checkout::face::Erasure;
use checkout::facts::Facts;
use checkout::line::LineKind;
use checkout::page::{PageRequest, Refused, StaffRequest};
use checkout::passing::{Backwards, Lasting, Replayed, lasting};
use checkout::phone;
use checkout::policy::Policy;
use checkout::receipt::Currency;
use checkout::returns::{SaleRef, Sold};
use checkout::rules::FloorRules;
use checkout::scan::ScanRules;
use checkout::store::PortStatus;
use checkout::view::{LaneKind, LaneView};
use checkout::words::{
    DeviceId, ItemKey, LaneId, MemberId, Money, Mono, Name, Now, PriceBook, RequestId, Role, StaffId, Utc,
};
use checkout::{Effect, Input, Step, Store};
use std::collections::BTreeMap;

pub const COLA: &str = "6901234567892";
pub const NOODLES: &str = "6920000000005";
pub const SPIRITS: &str = "6930000000004";
pub const PEARS: &str = "6940000000003";
/// A bottle with a deposit, its deposit, and the empty brought back.
pub const WATER: &str = "6950000000002";
pub const DEPOSIT: &str = "2500001";
pub const EMPTY: &str = "2900000000001";
/// Each piece has a number, and a charger comes with it.
pub const PHONE: &str = "6960000000001";
pub const CHARGER: &str = "2500003";
pub const MEMBER: &str = "M1234567897";

#[derive(Clone)]
pub struct Shelf {
    pub items: BTreeMap<ItemKey, Item>,
    pub members: Vec<Member>,
    pub book: PriceBook,
    /// What the journal says was sold.
    pub sales: Vec<Sold>,
    pub campaigns: Vec<Campaign>,
    /// Whether it can sign.
    pub coupon_key: bool,
    pub promotions: PromotionBook,
    pub policies: Vec<Policy>,
    /// What telephone numbers end in, and whose they are.
    pub tails: Vec<(String, MemberId)>,
    pub erasures: Vec<Erasure>,
}

impl Catalog for Shelf {
    fn item(&self, key: &ItemKey) -> Option<Item> {
        self.items.get(key).cloned()
    }

    fn member(&self, code: &str) -> Option<Member> {
        self.members.iter().find(|member| member.code == code).cloned()
    }

    fn member_by_id(&self, id: &MemberId) -> Option<Member> {
        self.members.iter().find(|member| member.id == *id).cloned()
    }

    fn members_by_phone(&self, digits: &str) -> Vec<Member> {
        let is = |member: &&Member| phone::digits(&member.phone).is_some_and(|known| phone::same(&known, digits));
        self.members.iter().filter(is).cloned().collect()
    }

    fn sale(&self, asked: &SaleRef) -> Option<Sold> {
        let is = |sold: &&Sold| match asked {
            SaleRef::Transaction(transaction) => sold.sale.transaction == *transaction,
            SaleRef::Number { lane, receipt } => sold.lane == *lane && sold.sale.receipt == *receipt,
        };
        self.sales.iter().find(is).cloned()
    }

    fn members_by_tail(&self, tail: &str) -> Vec<MemberId> {
        self.tails.iter().filter(|(known, _)| known == tail).map(|(_, member)| member.clone()).collect()
    }

    fn erasure_after(&self, n: u64) -> Option<Erasure> {
        self.erasures.iter().find(|row| row.n > n).cloned()
    }

    fn price_book(&self) -> PriceBook {
        self.book.clone()
    }

    fn has(&self, _dataset: &str) -> bool {
        !self.book.0.is_empty()
    }

    fn promotions(&self) -> &PromotionBook {
        &self.promotions
    }

    fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == id)
    }

    fn campaigns(&self) -> &[Campaign] {
        &self.campaigns
    }

    /// Backwards, with `-` for `.`: enough to tell right from wrong.
    fn coupon_mac(&self, text: &str) -> Option<String> {
        self.coupon_key.then(|| text.chars().rev().map(|c| if c == '.' { '-' } else { c }).collect())
    }
}

fn name(zh: &str, en: &str) -> Name {
    Name { zh: zh.into(), en: en.into() }
}

fn item(key: &str, zh: &str, en: &str, price: i64) -> Item {
    Item { key: key.into(), name: name(zh, en), price: Money(price), tax_bp: 1300, ..Item::default() }
}

pub fn shelf() -> Shelf {
    let offer = Offer {
        id: "3for2".into(),
        name: name("三件八元", "3 for 8.00"),
        rule: OfferRule::Multi { n: 3, price: Money(800) },
    };
    let items = [
        item(COLA, "可乐", "Cola", 350),
        Item { offer: Some(offer), member_price: Some(Money(280)), ..item(NOODLES, "方便面", "Noodles", 300) },
        Item { min_age: Some(18), ..item(SPIRITS, "白酒", "Spirits", 12_800) },
        Item {
            deposit: Some(DEPOSIT.into()),
            group: "drinks".into(),
            piece_g: Some(520),
            ..item(WATER, "水", "Water", 200)
        },
        Item { kind: LineKind::Deposit, ..item(DEPOSIT, "押金", "Deposit", 25) },
        Item { kind: LineKind::BottleReturn, ..item(EMPTY, "退瓶", "Empty bottle", 25) },
        Item { serialised: true, linked: vec![CHARGER.into()], ..item(PHONE, "手机", "Phone", 99_900) },
        item(CHARGER, "充电器", "Charger", 5_900),
        Item { by_weight: true, tax_bp: 900, ..item(PEARS, "梨", "Pears", 798) },
    ];
    Shelf {
        items: items.into_iter().map(|item| (item.key.clone(), item)).collect(),
        members: vec![Member {
            id: "m-1".into(),
            code: MEMBER.into(),
            name: "王小明".into(),
            level: "gold".into(),
            used: BTreeMap::new(),
            points: 0,
            points_lease: 0,
            phone: "+86 138 0000 0001".into(),
        }],
        book: "pb-1".into(),
        sales: Vec::new(),
        campaigns: Vec::new(),
        coupon_key: true,
        promotions: PromotionBook::default(),
        policies: Vec::new(),
        tails: Vec::new(),
        erasures: Vec::new(),
    }
}

pub fn config() -> StoreConfig {
    let lane = |lane: u16, kind: LaneKind| LaneConfig {
        lane: LaneId(lane),
        kind,
        scanners: vec![DeviceId(format!("scanner-{lane}"))],
        scale: Some(DeviceId(format!("scale-{lane}"))),
        bagging: None,
        terminal: Some(DeviceId(format!("terminal-{lane}"))),
        gives_back: GivesBack::default(),
        printer: Some(DeviceId(format!("printer-{lane}"))),
        display: Some(DeviceId(format!("display-{lane}"))),
        light: Some(DeviceId(format!("light-{lane}"))),
        camera: Some(format!("camera-{lane}").as_str().into()),
        vision: Some("vision".into()),
    };
    StoreConfig {
        box_id: "b1".into(),
        store: name("示范店", "Demo store"),
        currency: yuan(),
        utc_offset_min: 480,
        price: PriceRules::default(),
        scan: ScanRules { templates: vec!["21IIIIIWWWWWC".into()], currency: Some(yuan()), ..ScanRules::default() },
        floor: FloorRules::default(),
        lanes: vec![lane(1, LaneKind::Kiosk), lane(2, LaneKind::Staffed)],
        till: TillRules::default(),
        staff: Vec::new(),
    }
}

/// The same with terminals that give money back by themselves.
pub fn giving_back() -> StoreConfig {
    let mut config = config();
    config.lanes.iter_mut().for_each(|lane| lane.gives_back = GivesBack { refund: true, reverse: true });
    config
}

pub fn scan(lane: u16, code: &str) -> Input {
    let event = DeviceEvent::Scan(Scan { aim: None, data: code.as_bytes().to_vec() });
    Input::Device { device: DeviceId(format!("scanner-{lane}")), event }
}

fn yuan() -> Currency {
    Currency { code: "CNY".into(), numeric: 156, sign: "￥".into(), digits: 2 }
}

/// What a row of the journal says was sold.
pub fn sold(record: &Record) -> Option<Sold> {
    let Event::Basket(BasketEvent::Completed(sale)) = &record.event else { return None };
    Some(Sold { lane: record.lane?, at: record.utc, sale: (**sale).clone() })
}

/// Two lanes with all devices up, at an easy hour.
#[derive(Clone)]
pub struct Till {
    pub store: Store,
    pub shelf: Shelf,
    pub clock: u64,
    pub last: Step,
    pub journal: Vec<Record>,
}

impl Till {
    pub fn open() -> Self {
        Self::with(config())
    }

    pub fn with(config: StoreConfig) -> Self {
        let mut till =
            Self { store: Store::new(config), shelf: shelf(), clock: 0, last: Step::default(), journal: Vec::new() };
        till.take(Input::Boot { version: "test".into(), nonce: 1 });
        for device in
            ["scanner-1", "scale-1", "terminal-1", "printer-1", "scanner-2", "terminal-2", "printer-2", "vision"]
        {
            till.take(Input::Port { device: device.into(), status: PortStatus::Up });
        }
        till
    }

    pub fn take(&mut self, input: Input) -> &Step {
        self.clock += 10;
        self.last = Step::default();
        let now = Now { mono: Mono(self.clock), utc: Utc(1_790_000_000_000), offset_min: 480 };
        self.store.step(now, input, &self.shelf, &mut self.last);
        self.shelf.sales.extend(self.last.events.iter().filter_map(sold));
        self.journal.extend(self.last.events.clone());
        &self.last
    }

    pub fn press(&mut self, lane: u16, what: PageRequest) -> Result<(), Refused> {
        let step = self.take(Input::Page { lane: LaneId(lane), request: RequestId(1), what });
        let reply = step.effects.iter().find_map(|effect| match effect {
            Effect::Reply { result, .. } => Some(*result),
            Effect::Device { .. } | Effect::Ask { .. } | Effect::Control(_) => None,
        });
        reply.expect("every press is answered")
    }

    pub fn staff(&mut self, lane: u16, request: StaffRequest) -> Result<(), Refused> {
        self.staff_as(Role::Cashier, lane, request)
    }

    pub fn staff_as(&mut self, role: Role, lane: u16, request: StaffRequest) -> Result<(), Refused> {
        self.press(lane, PageRequest::Staff { staff: StaffId("s-1".into()), role, request })
    }

    pub fn lane(&self, lane: u16) -> LaneView {
        self.store.view(&self.shelf).lanes.into_iter().find(|view| view.lane.0 == lane).expect("the lane is configured")
    }

    pub fn said(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.last.events.iter().any(|record| wanted(&record.event))
    }
}

/// The facts of a journal of which chunks of so many rows were looked through backwards, and how many rows that passed over.
pub fn in_chunks(config: StoreConfig, journal: &[Record], rows: usize) -> (Facts, usize) {
    let (mut facts, mut count) = (Store::new(config).facts().clone(), 0);
    for chunk in journal.chunks(rows.min(journal.len()).max(1)) {
        let mut backwards = Backwards::default();
        let passes: Vec<bool> =
            chunk.iter().rev().map(|record| backwards.passes(record.lane, lasting_of(record))).collect();
        let mut passed = None;
        for (record, passes) in chunk.iter().zip(passes.into_iter().rev()) {
            if passes {
                (passed, count) = (passed.max(Some(record.utc)), count + 1);
            } else {
                facts.replay(Replayed { record: record.clone(), passed: passed.take() });
            }
        }
    }
    (facts, count)
}

/// By the words the journal writes.
fn lasting_of(record: &Record) -> Lasting {
    let event = serde_json::to_value(&record.event).unwrap();
    let (area, of) = event.as_object().unwrap().iter().next().unwrap();
    let name = of.as_str().unwrap_or_else(|| of.as_object().unwrap().keys().next().unwrap());
    lasting(area, name)
}
