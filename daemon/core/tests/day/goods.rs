//! What the store of the scripted day sells and knows, as headquarters would publish it: rows of JSON, a line each.

use checkout::catalog::{Campaign, Catalog, Item, Member, Promotion, PromotionBook, Recall};
use checkout::returns::{SaleRef, Sold};
use checkout::words::{ItemKey, MemberId, Name, PriceBook};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

pub const COLA: &str = "6901234567892";
pub const NOODLES: &str = "6920000000005";
pub const SPIRITS: &str = "6930000000004";
pub const PEARS: &str = "6940000000003";
pub const WATER: &str = "6950000000002";
pub const DEPOSIT: &str = "2500001";
pub const EMPTY: &str = "2900000000001";
pub const PHONE: &str = "6960000000001";
pub const CHARGER: &str = "2500003";
pub const TEA: &str = "6970000000000";
pub const JUICE: &str = "6980000000009";
pub const BREAD: &str = "6990000000008";
pub const CHEESE: &str = "6910000000006";
pub const FORMULA: &str = "6915000000001";
pub const MILK: &str = "6916000000008";
/// Weighed at the counter: the label says grams.
pub const HAM: &str = "2112345";
/// The label says what it costs.
pub const PLATTER: &str = "2212345";
pub const MEMBERS: [&str; 2] = ["M1234567897", "M9876543217"];

const GOODS: &str = r#"{"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"price":350,"tax_bp":1300,"group":"drinks"}
{"key":"6920000000005","name":{"zh":"方便面","en":"Noodles"},"price":300,"tax_bp":1300,"group":"food","member_price":280,"levels":{"gold":270},"offer":{"id":"3for8","name":{"zh":"三件八元","en":"3 for 8.00"},"rule":{"multi":{"n":3,"price":800}}}}
{"key":"6930000000004","name":{"zh":"白酒","en":"Spirits"},"price":12800,"tax_bp":1300,"group":"spirits","min_age":18}
{"key":"6940000000003","name":{"zh":"梨","en":"Pears"},"price":798,"tax_bp":900,"by_weight":true,"group":"fruit","tare_g":5}
{"key":"6950000000002","name":{"zh":"水","en":"Water"},"price":200,"tax_bp":1300,"group":"drinks","breaks":[{"from":6,"price":180}],"deposit":"2500001"}
{"key":"2500001","name":{"zh":"押金","en":"Deposit"},"price":25,"tax_bp":1300,"kind":"deposit"}
{"key":"2900000000001","name":{"zh":"退瓶","en":"Empty bottle"},"price":25,"tax_bp":1300,"kind":"bottle_return"}
{"key":"6960000000001","name":{"zh":"手机","en":"Phone"},"price":99900,"tax_bp":1300,"group":"devices","serialised":true,"linked":["2500003"]}
{"key":"2500003","name":{"zh":"充电器","en":"Charger"},"price":5900,"tax_bp":1300,"group":"devices"}
{"key":"6970000000000","name":{"zh":"茶","en":"Tea"},"price":1290,"tax_bp":900,"group":"tea","scheduled":[{"from":"2026-09-22T12:00","price":990}]}
{"key":"6980000000009","name":{"zh":"果汁","en":"Juice"},"price":600,"tax_bp":1300,"group":"juice"}
{"key":"6990000000008","name":{"zh":"面包","en":"Bread"},"price":500,"tax_bp":900,"group":"bread"}
{"key":"6910000000006","name":{"zh":"奶酪","en":"Cheese"},"price":1500,"tax_bp":900,"group":"dairy"}
{"key":"6915000000001","name":{"zh":"奶粉","en":"Infant formula"},"price":19800,"tax_bp":1300,"group":"formula"}
{"key":"6916000000008","name":{"zh":"牛奶","en":"Milk"},"price":890,"tax_bp":900,"group":"dairy"}
{"key":"2112345","name":{"zh":"火腿","en":"Ham"},"price":2590,"tax_bp":900,"by_weight":true,"group":"deli"}
{"key":"2212345","name":{"zh":"拼盘","en":"Platter"},"price":1998,"tax_bp":900,"by_weight":true,"group":"deli"}
"#;
const TEA_MORNING: &str = r#"{"id":"tea","name":{"zh":"茶第二件半价","en":"Second tea at half price"},"goods":{"keys":["6970000000000"]},"rule":{"buy_get":{"buy":1,"get":1,"off_bp":5000}}}
"#;
const TEA_EVENING: &str = r#"{"id":"tea","name":{"zh":"茶九折","en":"10 % off tea"},"goods":{"groups":["tea"]},"rule":{"percent":{"off_bp":1000}}}
"#;
const PROMOTIONS: &str = r#"{"id":"juice","name":{"zh":"会员果汁","en":"Juice for members"},"goods":{"groups":["juice"]},"rule":{"amount":{"off":150}},"members":{},"limit":{"per_member":30}}
{"id":"bread","name":{"zh":"面包八折","en":"20 % off bread"},"goods":{"keys":["6990000000008"]},"rule":{"percent":{"off_bp":2000}},"offline":"needs_hq"}
{"id":"cola-off","name":{"zh":"可乐券","en":"Cola coupon"},"goods":{"keys":["6901234567892"]},"rule":{"amount":{"off":100}},"coupon":"cola","limit":{"per_transaction":1}}
{"id":"next-off","name":{"zh":"满30减5","en":"5 off 30"},"goods":{"all":true},"rule":{"basket":{"steps":[{"spend":3000,"give":{"off":500}}]}},"coupon":"next"}
"#;
pub const CAMPAIGNS: &str = r#"{"id":"cola","name":{"zh":"可乐券","en":"Cola coupon"},"single_use":true,"per_basket":2,"from":"2026-09-01T00:00","until":"2026-09-22T20:00","lease":12,"lease_no":1}
{"id":"next","name":{"zh":"下次再来","en":"Come again"},"single_use":true,"signed":true,"per_basket":1,"lease":5,"lease_no":1,"issue":{"spend":8000,"members":true,"valid_days":1}}
"#;
pub const RECALLS: &str = r#"{"id":"r-1","key":"6916000000008","lots":["BAD"],"reason":{"zh":"批次召回","en":"the lot was recalled"}}
"#;

/// The price book of the morning and the one that came later: cola is dearer by then.
pub fn goods(version: usize) -> String {
    if version == 1 { GOODS.into() } else { GOODS.replace("\"price\":350", "\"price\":360") }
}

pub fn promotions(version: usize) -> String {
    match version {
        1 => format!("{TEA_MORNING}{PROMOTIONS}"),
        // Baskets that wait while these come redeem their coupons all the same.
        _ => format!("{TEA_EVENING}{}", PROMOTIONS.replace("cola-off", "cola-evening")),
    }
}

fn rows<T: DeserializeOwned>(text: &str) -> impl Iterator<Item = T> {
    text.lines().map(|line| serde_json::from_str(line).expect("a row of its dataset"))
}

/// What the box has of it at one time.
pub struct Shelf {
    items: BTreeMap<ItemKey, Item>,
    book: PriceBook,
    pub members: Vec<Member>,
    promotions: PromotionBook,
    campaigns: Vec<Campaign>,
    recalls: Vec<Recall>,
    /// What the journal says was sold, by transaction.
    pub sales: BTreeMap<String, Sold>,
}

impl Shelf {
    pub fn new() -> Self {
        let mut shelf = Self {
            items: BTreeMap::new(),
            book: PriceBook::default(),
            members: Vec::new(),
            promotions: PromotionBook::default(),
            campaigns: rows(CAMPAIGNS).collect(),
            recalls: rows(RECALLS).collect(),
            sales: BTreeMap::new(),
        };
        shelf.price_book_comes(1);
        shelf.promotions_come(1);
        shelf
    }

    pub fn price_book_comes(&mut self, version: usize) {
        self.items = rows::<Item>(&goods(version)).map(|item| (item.key.clone(), item)).collect();
        self.book = PriceBook(format!("pb-{version}"));
    }

    pub fn promotions_come(&mut self, version: usize) {
        self.promotions = PromotionBook::new(rows::<Promotion>(&promotions(version)));
    }
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

    fn sale(&self, asked: &SaleRef) -> Option<Sold> {
        match asked {
            SaleRef::Transaction(transaction) => self.sales.get(&transaction.0).cloned(),
            SaleRef::Number { lane, receipt } => {
                self.sales.values().find(|sold| (sold.lane, sold.sale.receipt) == (*lane, *receipt)).cloned()
            }
        }
    }

    fn price_book(&self) -> PriceBook {
        self.book.clone()
    }

    fn promotions(&self) -> &PromotionBook {
        &self.promotions
    }

    fn campaigns(&self) -> &[Campaign] {
        &self.campaigns
    }

    fn recalled(&self, key: &ItemKey, lot: &str, serial: Option<&str>) -> Option<Name> {
        let recall = self.recalls.iter().find(|recall| recall.key == *key && recall.concerns(lot, serial))?;
        Some(recall.reason.clone())
    }

    /// Backwards, with `-` for `.`: enough to tell right from wrong.
    fn coupon_mac(&self, text: &str) -> Option<String> {
        Some(text.chars().rev().map(|c| if c == '.' { '-' } else { c }).collect())
    }
}
