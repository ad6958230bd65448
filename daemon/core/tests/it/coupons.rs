//! Coupons are redeemed once, with the completed sale.

use crate::common::{COLA, NOODLES, Till, WATER, scan};
use checkout::basket::BasketEvent;
use checkout::catalog::{Campaign, Issue, PromotionBook};
use checkout::device::{DeviceCommand, Document};
use checkout::event::Event;
use checkout::page::{PageRequest, ReturnRequest, StaffRequest};
use checkout::refusal::LineRefusal;
use checkout::sale::Sale;
use checkout::scan::Printed;
use checkout::store::{HqInput, StoreEvent};
use checkout::wire::{Answer, Question};
use checkout::words::{LineNo, LocalMinute, Money, Name};
use checkout::{Effect, Input};

const OFF: &str = r#"{"id":"cola-off","name":{"zh":"可乐券","en":"Cola coupon"},"goods":{"keys":["6901234567892"]},"rule":{"percent":{"off_bp":1000}},"coupon":"cola"}"#;

fn till(campaign: Campaign) -> Till {
    let mut till = Till::open();
    till.shelf.campaigns = vec![campaign];
    till.shelf.promotions = PromotionBook::new([serde_json::from_str(OFF).unwrap()]);
    till.take(Input::Hq(HqInput::Online(true)));
    till
}

fn cola() -> Campaign {
    Campaign {
        id: "cola".into(),
        name: Name { zh: "可乐券".into(), en: "Cola coupon".into() },
        single_use: true,
        ..Campaign::default()
    }
}

/// Shown, and free for all headquarters knows.
fn show(till: &mut Till, lane: u16, body: &str) {
    if let Some((campaign, serial)) = show_only(till, lane, body) {
        till.take(answer(&campaign, &serial, None));
    }
}

/// Shown; which coupon headquarters is asked about.
fn show_only(till: &mut Till, lane: u16, body: &str) -> Option<(String, String)> {
    till.take(scan(lane, &Printed::Coupon.code(body).unwrap()));
    asked(till)
}

fn asked(till: &Till) -> Option<(String, String)> {
    till.last.effects.iter().find_map(|effect| match effect {
        Effect::Ask { what: Question::ClaimCoupon { campaign, serial }, .. } => {
            Some((campaign.clone(), serial.clone()))
        }
        Effect::Ask { .. } | Effect::Device { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
    })
}

fn answer(campaign: &str, serial: &str, used: Option<&str>) -> Input {
    let (campaign, serial, used) = (campaign.into(), serial.into(), used.map(str::to_owned));
    Input::Hq(HqInput::Answer(Answer::Coupon { campaign, serial, used }))
}

fn conflict(till: &Till) -> bool {
    till.said(|event| matches!(event, Event::Store(StoreEvent::CouponConflict { place, .. }) if place == "b2"))
}

fn refused(till: &Till, wanted: LineRefusal) -> bool {
    till.said(|event| matches!(event, Event::Basket(BasketEvent::LineRefused { reason, .. }) if *reason == wanted))
}

fn pay(till: &mut Till) -> Sale {
    till.staff(2, StaffRequest::TakeCash { given: Money(1_000_000), amount: None }).unwrap();
    let sale = till.last.events.iter().find_map(|record| {
        if let Event::Basket(BasketEvent::Completed(sale)) = &record.event { Some(Sale::clone(sale)) } else { None }
    });
    sale.expect("it is paid")
}

#[test]
fn a_single_use_coupon_is_redeemed_with_its_sale_and_never_again_also_after_a_restart() {
    let mut till = till(cola());
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.7");
    assert_eq!(till.lane(2).total, Money(315));
    show(&mut till, 1, "cola.7");
    assert!(refused(&till, LineRefusal::CouponUsed), "another basket holds it");
    till.press(2, PageRequest::VoidTransaction {}).unwrap();
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.7");
    assert_eq!(till.lane(2).total, Money(315), "a basket given up frees it");
    assert_eq!(pay(&mut till).coupons.len(), 1);
    let snapshot = serde_json::to_string(till.store.facts()).unwrap();
    till.store = checkout::Store::from_snapshot(till.store.config().clone(), serde_json::from_str(&snapshot).unwrap());
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.7");
    assert!(refused(&till, LineRefusal::CouponUsed));
}

#[test]
fn a_coupon_that_saved_nothing_stays_the_shoppers() {
    let mut till = till(cola());
    till.take(scan(2, NOODLES));
    show(&mut till, 2, "cola.7");
    assert_eq!(till.lane(2).total, Money(300));
    assert!(pay(&mut till).coupons.is_empty());
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.7");
    let (campaign, serial) = ("cola".to_owned(), "7".to_owned());
    till.press(2, PageRequest::RemoveCoupon { campaign, serial }).unwrap();
    assert_eq!(till.lane(2).total, Money(350));
}

#[test]
fn offline_a_store_redeems_what_its_lease_allows_and_a_new_lease_counts_anew() {
    let mut till = till(Campaign { lease: 1, lease_no: 4, ..cola() });
    till.take(Input::Hq(HqInput::Online(false)));
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.1");
    assert_eq!(pay(&mut till).coupons[0].lease, Some(4));
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.2");
    assert!(refused(&till, LineRefusal::CouponOffline));
    till.shelf.campaigns[0].lease_no = 5;
    show(&mut till, 2, "cola.2");
    assert_eq!(till.lane(2).coupons.len(), 1);
}

#[test]
fn a_coupon_is_believed_by_its_signature_its_campaign_and_its_dates() {
    let mut till = till(Campaign { signed: true, ..cola() });
    for body in ["cola.7", "cola.7.wrong", "tea.7", "cola"] {
        show(&mut till, 2, body);
        assert!(refused(&till, LineRefusal::UnknownCoupon), "{body}");
    }
    show(&mut till, 2, "cola.7.7-aloc");
    assert_eq!(till.lane(2).coupons.len(), 1, "the shelf signs backwards");
    till.shelf.campaigns = vec![Campaign { until: Some(LocalMinute(1)), ..cola() }];
    show(&mut till, 2, "cola.8");
    assert!(refused(&till, LineRefusal::CouponExpired));
    till.shelf.campaigns = vec![Campaign { per_basket: Some(1), ..cola() }];
    show(&mut till, 2, "cola.9");
    assert!(refused(&till, LineRefusal::CouponEnough));
}

#[test]
fn a_coupon_used_at_another_store_is_refused_while_headquarters_answers() {
    let mut till = till(cola());
    till.take(scan(2, COLA));
    assert_eq!(show_only(&mut till, 2, "cola.7"), Some(("cola".into(), "7".into())));
    assert!(till.lane(2).coupons.is_empty(), "it counts when headquarters has said so");
    assert_eq!(show_only(&mut till, 2, "cola.7"), None, "scanned twice, asked once");
    assert!(!refused(&till, LineRefusal::CouponUsed));
    show_only(&mut till, 1, "cola.7");
    assert!(refused(&till, LineRefusal::CouponUsed), "asked about for another basket");
    till.take(answer("cola", "7", Some("b2")));
    assert!(refused(&till, LineRefusal::CouponUsed) && till.lane(2).coupons.is_empty());
    till.take(answer("cola", "7", None));
    assert!(till.lane(2).coupons.is_empty(), "an answer nobody waits for changes nothing");
}

#[test]
fn headquarters_that_says_nothing_in_time_leaves_it_to_the_lease_and_a_late_no_takes_the_coupon_out() {
    let mut till = till(Campaign { lease: 1, lease_no: 4, ..cola() });
    till.take(scan(2, COLA));
    show_only(&mut till, 2, "cola.1");
    let (due, why) = till.store.deadline().unwrap();
    assert_eq!(why, "headquarters' word on a coupon");
    till.clock = due.0;
    till.take(Input::Tick);
    assert_eq!(till.lane(2).coupons[0].lease, Some(4));
    assert_eq!(till.lane(2).total, Money(315));
    till.take(Input::Hq(HqInput::Online(true)));
    assert_eq!(asked(&till), Some(("cola".into(), "1".into())), "asked again when the line is back");
    till.take(answer("cola", "1", Some("b2")));
    assert!(conflict(&till) && till.lane(2).coupons.is_empty());
    assert_eq!(till.lane(2).total, Money(350));
    till.take(Input::Hq(HqInput::Online(false)));
    show(&mut till, 2, "cola.1");
    assert!(refused(&till, LineRefusal::CouponUsed), "what was used elsewhere is remembered without the network");
}

#[test]
fn a_sale_stands_though_its_coupon_was_used_elsewhere_and_the_box_records_where() {
    let mut till = till(Campaign { lease: 1, ..cola() });
    till.take(Input::Hq(HqInput::Online(false)));
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.1");
    let sale = pay(&mut till);
    assert_eq!(sale.total, Money(315));
    till.take(answer("cola", "1", Some("b1")));
    assert!(!conflict(&till), "its own sale is no conflict");
    till.take(answer("cola", "1", Some("b2")));
    assert!(conflict(&till));
    assert_eq!(till.store.facts().day.total, Money(315));
}

/// Cola coupons come with receipts from 3.00 on, and are good for three days more.
fn handed_out() -> Campaign {
    let issue = Some(Issue { spend: Money(300), members: false, valid_days: 3 });
    Campaign { signed: true, lease: 5, issue, ..cola() }
}

#[test]
fn a_coupon_handed_out_with_a_receipt_is_taken_at_another_store_without_the_network() {
    let mut one = till(handed_out());
    one.take(scan(2, WATER));
    assert!(pay(&mut one).issued.is_empty(), "2.25 is too little");
    one.take(scan(2, COLA));
    let sale = pay(&mut one);
    assert_eq!(
        (sale.issued[0].serial.as_str(), sale.issued[0].last_day.as_str()),
        (sale.transaction.0.as_str(), "2026-09-24")
    );
    let shown = one.lane(2).receipt.unwrap().receipt.coupons;
    assert!(shown[0].code.starts_with(&format!("K-cola.{}.2026-09-24.", sale.transaction)));
    let printed = |document: &Document| matches!(document, Document::Receipt(receipt) if receipt.coupons == shown);
    assert!(one.last.effects.iter().any(|effect| matches!(effect,
        Effect::Device { command: DeviceCommand::Print(job), .. } if printed(&job.document))));
    assert!(!one.journal.iter().any(|record| serde_json::to_string(record).unwrap().contains(&shown[0].code)));
    one.press(2, PageRequest::Next {}).unwrap();
    assert!(one.lane(2).receipt.unwrap().receipt.coupons.is_empty(), "the code leaves the page with the shopper");

    let mut two = till(handed_out());
    two.take(Input::Hq(HqInput::Online(false)));
    two.take(scan(2, COLA));
    two.take(scan(2, &shown[0].code));
    assert_eq!(two.lane(2).total, Money(315));
    let longer = shown[0].code.replace("2026-09-24", "2027-09-24");
    let body = longer.strip_prefix("K-").unwrap();
    show(&mut two, 2, &body[..body.len() - 2]);
    assert!(refused(&two, LineRefusal::UnknownCoupon), "its last day is signed, too");
}

#[test]
fn a_coupon_is_taken_back_with_the_last_of_the_goods_it_came_with() {
    let mut till = till(handed_out());
    till.take(scan(2, COLA));
    till.take(scan(2, COLA));
    let sale = pay(&mut till);
    let code = till.lane(2).receipt.unwrap().receipt.coupons[0].code.clone();
    till.take(Input::Hq(HqInput::Online(false)));
    for (left, good) in [(1, true), (0, false)] {
        till.staff(2, StaffRequest::Return(ReturnRequest::Find { code: sale.transaction.0.clone() })).unwrap();
        till.staff(2, StaffRequest::Return(ReturnRequest::Line { line: LineNo(1), quantity: 1 })).unwrap();
        till.staff(2, StaffRequest::Return(ReturnRequest::Refund { in_cash: false })).unwrap();
        till.take(scan(2, COLA));
        till.take(scan(2, &code));
        assert_eq!(till.lane(2).coupons.len(), usize::from(good), "{left} left");
        till.press(2, PageRequest::VoidTransaction {}).unwrap();
    }
}

#[test]
fn a_store_without_the_key_hands_out_nothing_and_says_why_it_takes_none() {
    let mut till = till(handed_out());
    till.shelf.coupon_key = false;
    till.take(scan(2, COLA));
    show(&mut till, 2, "cola.7.7-aloc");
    assert!(refused(&till, LineRefusal::CouponUnchecked));
    assert!(till.lane(2).notice.unwrap().text.en.contains("no coupon key"));
    assert!(pay(&mut till).issued.is_empty());
}
