//! A small store and a catalogue in a map, shared by the tests of the core.

use checkout::Input;
use checkout::catalog::{Catalog, Item, Member, Offer, OfferRule};
use checkout::config::{LaneConfig, StoreConfig};
use checkout::device::{DeviceEvent, Scan};
use checkout::receipt::Currency;
use checkout::scan::ScanRules;
use checkout::view::LaneKind;
use checkout::words::{DeviceId, ItemKey, LaneId, MemberId, Money, Name, PriceBook};
use std::collections::BTreeMap;

pub const COLA: &str = "6901234567892";
pub const NOODLES: &str = "6920000000005";
pub const SPIRITS: &str = "6930000000004";
pub const PEARS: &str = "6940000000003";
pub const MEMBER: &str = "M1234567897";

#[derive(Clone)]
pub struct Shelf {
    pub items: BTreeMap<ItemKey, Item>,
    pub members: Vec<Member>,
    pub book: PriceBook,
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

    fn price_book(&self) -> PriceBook {
        self.book.clone()
    }
}

fn name(zh: &str, en: &str) -> Name {
    Name { zh: zh.into(), en: en.into() }
}

fn item(key: &str, zh: &str, en: &str, price: i64) -> Item {
    Item {
        key: key.into(),
        name: name(zh, en),
        price: Money(price),
        by_weight: false,
        tax_bp: 1300,
        min_age: None,
        offer: None,
        member_price: None,
        group: String::new(),
    }
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
        Item { by_weight: true, tax_bp: 900, ..item(PEARS, "梨", "Pears", 798) },
    ];
    Shelf {
        items: items.into_iter().map(|item| (item.key.clone(), item)).collect(),
        members: vec![Member { id: "m-1".into(), code: MEMBER.into(), name: "王小明".into(), level: "gold".into() }],
        book: "pb-1".into(),
    }
}

pub fn config() -> StoreConfig {
    let lane = |lane: u16, kind: LaneKind| LaneConfig {
        lane: LaneId(lane),
        kind,
        scanners: vec![DeviceId(format!("scanner-{lane}"))],
        scale: Some(DeviceId(format!("scale-{lane}"))),
        terminal: Some(DeviceId(format!("terminal-{lane}"))),
        printer: Some(DeviceId(format!("printer-{lane}"))),
        vision: Some("vision".into()),
    };
    StoreConfig {
        box_id: "b1".into(),
        store: name("示范店", "Demo store"),
        currency: yuan(),
        utc_offset_min: 480,
        scan: ScanRules { templates: vec!["21IIIIIWWWWWC".into()], currency: Some(yuan()) },
        lanes: vec![lane(1, LaneKind::Kiosk), lane(2, LaneKind::Staffed)],
    }
}

pub fn scan(lane: u16, code: &str) -> Input {
    let event = DeviceEvent::Scan(Scan { aim: None, data: code.as_bytes().to_vec() });
    Input::Device { device: DeviceId(format!("scanner-{lane}")), event }
}

fn yuan() -> Currency {
    Currency { code: "CNY".into(), numeric: 156, sign: "￥".into(), digits: 2 }
}
