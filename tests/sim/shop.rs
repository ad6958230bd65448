//! The shop of every seed: two lanes, a few goods, one member.

use checkout::basket::BasketEvent;
use checkout::catalog::{Campaign, Catalog, Item, Member, Offer, OfferRule, PromotionBook};
use checkout::config::{GivesBack, LaneConfig, PriceRules, StoreConfig, TillRules};
use checkout::event::{Event, Record};
use checkout::receipt::Currency;
use checkout::returns::{SaleRef, Sold};
use checkout::rules::{FloorRules, PointRules};
use checkout::sale::Sale;
use checkout::scan::ScanRules;
use checkout::view::LaneKind;
use checkout::words::{DeviceId, ItemKey, LaneId, MemberId, Money, Name, PriceBook};
use std::collections::BTreeMap;

pub const LANES: [u16; 2] = [1, 2];
/// When the world begins: September 2026.
pub const BASE: i64 = 1_790_000_000_000;
pub const BOX: &str = "b1";
pub const TENANT: &str = "t";
/// Of the member, before the first sale.
pub const POINTS: u64 = 40;
/// A card's whole number, as terminals read it. Nobody else may keep it.
pub const CARD: &str = "4111111111111111";

pub const COLA: &str = "6901234567892";
const NOODLES: &str = "6920000000005";
const SPIRITS: &str = "6930000000004";
const PEARS: &str = "6940000000003";
const MEMBER: &str = "M1234567897";
/// What the provider does with a code is in its end.
pub const WALLETS: [&str; 8] = [
    "135790246813579024",
    "135790246813579025",
    "135790246813579026",
    "135790246813579029",
    "135790246813579028",
    "135790246813579007",
    "135790246813579017",
    "135790246813579027",
];

/// What is scanned, by what people call it.
pub const CODES: [(&str, &str); 8] = [
    ("cola", COLA),
    ("noodles", NOODLES),
    ("noodles", NOODLES),
    ("spirits", SPIRITS),
    ("pears", PEARS),
    ("a member's card", MEMBER),
    ("a wallet code", WALLETS[0]),
    ("something unknown", "4006381333931"),
];

pub struct Shelf {
    items: BTreeMap<ItemKey, Item>,
    member: Member,
    campaigns: Vec<Campaign>,
    promotions: PromotionBook,
    /// What the journal says was sold.
    pub sales: Vec<Sold>,
}

impl Shelf {
    pub fn new() -> Self {
        let item = |key: &str, en: &str, price| Item {
            key: key.into(),
            name: name(en),
            price: Money(price),
            tax_bp: 1300,
            ..Item::default()
        };
        let rule = OfferRule::Multi { n: 3, price: Money(800) };
        let offer = Offer { id: "3for2".into(), name: name("3 for 8.00"), rule };
        let items = [
            item(COLA, "Cola", 350),
            Item { offer: Some(offer), member_price: Some(Money(280)), ..item(NOODLES, "Noodles", 300) },
            Item { min_age: Some(18), ..item(SPIRITS, "Spirits", 12_800) },
            Item { by_weight: true, tax_bp: 900, ..item(PEARS, "Pears", 798) },
        ];
        let off = r#"{"id":"cola-off","name":{"zh":"-","en":"Cola coupon"},"goods":{"keys":["6901234567892"]},"rule":{"percent":{"off_bp":1000}},"coupon":"cola"}"#;
        Self {
            items: items.into_iter().map(|item| (item.key.clone(), item)).collect(),
            member: Member {
                id: "m-1".into(),
                code: MEMBER.into(),
                phone: String::new(),
                name: "Wang".into(),
                level: "gold".into(),
                used: BTreeMap::new(),
                points: POINTS,
                points_lease: POINTS,
            },
            campaigns: vec![Campaign {
                id: "cola".into(),
                name: name("Cola coupon"),
                single_use: true,
                ..Campaign::default()
            }],
            promotions: PromotionBook::new([serde_json::from_str(off).expect("a promotion")]),
            sales: Vec::new(),
        }
    }
}

impl Catalog for Shelf {
    fn item(&self, key: &ItemKey) -> Option<Item> {
        self.items.get(key).cloned()
    }

    fn member(&self, code: &str) -> Option<Member> {
        (self.member.code == code).then(|| self.member.clone())
    }

    fn member_by_id(&self, id: &MemberId) -> Option<Member> {
        (self.member.id == *id).then(|| self.member.clone())
    }

    fn sale(&self, asked: &SaleRef) -> Option<Sold> {
        let is = |sold: &&Sold| match asked {
            SaleRef::Transaction(transaction) => sold.sale.transaction == *transaction,
            SaleRef::Number { lane, receipt } => sold.lane == *lane && sold.sale.receipt == *receipt,
        };
        self.sales.iter().find(is).cloned()
    }

    fn price_book(&self) -> PriceBook {
        "pb-1".into()
    }

    fn promotions(&self) -> &PromotionBook {
        &self.promotions
    }

    fn campaigns(&self) -> &[Campaign] {
        &self.campaigns
    }

    fn coupon_mac(&self, _text: &str) -> Option<String> {
        None
    }
}

/// Terminals that give money back, and points.
pub fn config() -> StoreConfig {
    let lane = |lane: u16, kind: LaneKind| LaneConfig {
        lane: LaneId(lane),
        kind,
        scanners: vec![device("scanner", lane)],
        scale: Some(device("scale", lane)),
        bagging: None,
        terminal: Some(device("terminal", lane)),
        gives_back: GivesBack { refund: true, reverse: true },
        printer: Some(device("printer", lane)),
        display: None,
        light: None,
        vision: None,
        camera: None,
    };
    let yuan = Currency { code: "CNY".into(), numeric: 156, sign: "￥".into(), digits: 2 };
    let points = PointRules { per: Money(100), worth: Money(10), times: Vec::new() };
    StoreConfig {
        box_id: BOX.into(),
        store: name("Demo store"),
        currency: yuan.clone(),
        utc_offset_min: 480,
        price: PriceRules::default(),
        scan: ScanRules { currency: Some(yuan), ..ScanRules::default() },
        floor: FloorRules { points, ..FloorRules::default() },
        lanes: vec![lane(LANES[0], LaneKind::Kiosk), lane(LANES[1], LaneKind::Staffed)],
        till: TillRules::default(),
        staff: Vec::new(),
    }
}

pub fn device(kind: &str, lane: u16) -> DeviceId {
    DeviceId(format!("{kind}-{lane}"))
}

fn name(en: &str) -> Name {
    Name { zh: "-".into(), en: en.into() }
}

pub fn sale(record: &Record) -> Option<&Sale> {
    if let Event::Basket(BasketEvent::Completed(sale)) = &record.event { Some(sale) } else { None }
}

pub fn sold(record: &Record) -> Option<Sold> {
    Some(Sold { lane: record.lane?, at: record.utc, sale: sale(record)?.clone() })
}
