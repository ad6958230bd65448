//! Lots that must not be sold are refused offline, with the reason.

use crate::common::{COLA, Shelf, config, shelf};
use checkout::basket::BasketEvent;
use checkout::catalog::{Catalog, Item, Member};
use checkout::device::{DeviceEvent, Scan};
use checkout::event::Event;
use checkout::refusal::LineRefusal;
use checkout::words::{ItemKey, MemberId, Mono, Name, Now, PriceBook, Utc};
use checkout::{Input, Step, Store};

/// A shelf whose lot `BAD` and whose piece 13 of lot `ODD` were recalled.
struct Recalling(Shelf);

impl Catalog for Recalling {
    fn item(&self, key: &ItemKey) -> Option<Item> {
        self.0.item(key)
    }

    fn member(&self, code: &str) -> Option<Member> {
        self.0.member(code)
    }

    fn member_by_id(&self, id: &MemberId) -> Option<Member> {
        self.0.member_by_id(id)
    }

    fn price_book(&self) -> PriceBook {
        self.0.price_book()
    }

    fn recalled(&self, key: &ItemKey, lot: &str, serial: Option<&str>) -> Option<Name> {
        let hit = key.0 == COLA && (lot == "BAD" || (lot == "ODD" && serial == Some("13")));
        hit.then(|| Name { zh: "瓶盖松动".into(), en: "loose caps".into() })
    }
}

/// 2026-09-21 22:13 in a store eight hours east.
const EVENING: i64 = 1_790_000_000_000;

/// What becomes of one scan of `elements` behind the cola's GTIN: the refusal, and what the lane shows.
fn scanned(elements: &str, grace: Option<u16>, utc: i64) -> (Option<LineRefusal>, String) {
    let mut config = config();
    config.scan.freshness.best_before_grace_days = grace;
    let mut store = Store::new(config);
    let data = format!("010{COLA}{elements}").into_bytes();
    let event = DeviceEvent::Scan(Scan { aim: Some(*b"d2"), data });
    let mut step = Step::default();
    let now = Now { mono: Mono(1), utc: Utc(utc), offset_min: 480 };
    store.step(now, Input::Device { device: "scanner-1".into(), event }, &Recalling(shelf()), &mut step);
    let refusal = step.events.iter().find_map(|record| {
        let Event::Basket(BasketEvent::LineRefused { reason, key }) = &record.event else { return None };
        assert_eq!(key.as_ref().map(|key| key.0.as_str()), Some(COLA));
        Some(*reason)
    });
    let view = store.view(&Recalling(shelf()));
    let notice =
        view.lanes.iter().find_map(|lane| lane.notice.clone()).map(|notice| notice.text.en).unwrap_or_default();
    (refusal, notice)
}

fn refusal(elements: &str) -> Option<LineRefusal> {
    scanned(elements, None, EVENING).0
}

#[test]
fn an_expired_lot_is_refused_from_the_day_after_on() {
    assert_eq!(refusal("17260921"), None);
    assert_eq!(refusal("17260920"), Some(LineRefusal::Expired));
    assert!(scanned("17260920", None, EVENING).1.contains("expiration date"));
    // Two hours later it is the next day in the store, and still the same day in Greenwich.
    assert_eq!(scanned("17260921", None, EVENING + 2 * 3_600_000).0, Some(LineRefusal::Expired));
    // Day 00: the last of the month.
    assert_eq!(refusal("17260900"), None);
    assert_eq!(refusal("17260800"), Some(LineRefusal::Expired));
}

#[test]
fn an_expiry_with_a_time_counts_to_the_minute() {
    assert_eq!(refusal("70032609212213"), None);
    assert_eq!(refusal("70032609212212"), Some(LineRefusal::Expired));
}

#[test]
fn two_digit_years_reach_into_the_last_and_the_next_century() {
    assert_eq!(refusal("17761231"), None);
    assert_eq!(refusal("17771231"), Some(LineRefusal::Expired));
    assert_eq!(refusal("17991231"), Some(LineRefusal::Expired));
}

#[test]
fn best_before_is_the_stores_to_judge_and_sell_by_is_not() {
    assert_eq!(refusal("15260101"), None);
    assert_eq!(scanned("15260920", Some(0), EVENING).0, Some(LineRefusal::PastBestBefore));
    assert_eq!(scanned("15260920", Some(1), EVENING).0, None);
    assert_eq!(refusal("16260920"), Some(LineRefusal::PastSellBy));
    assert_eq!(refusal("16260921"), None);
}

#[test]
fn a_recalled_lot_or_piece_is_refused_with_what_the_recall_says() {
    let (reason, shown) = scanned("10BAD", None, EVENING);
    assert_eq!(reason, Some(LineRefusal::Recalled));
    assert!(shown.contains("recalled") && shown.contains("loose caps"), "{shown}");
    assert_eq!(refusal("10ODD\u{1d}2113"), Some(LineRefusal::Recalled));
    assert_eq!(refusal("10ODD\u{1d}2114"), None);
    assert_eq!(refusal("10GOOD"), None);
}
