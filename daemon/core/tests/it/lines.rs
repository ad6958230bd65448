//! What a line can be and what staff may change about it.

use crate::common::{DEPOSIT, EMPTY, NOODLES, PEARS, PHONE, Till, WATER, scan};
use checkout::Input;
use checkout::basket::BasketEvent;
use checkout::device::{DeviceEvent, Weight};
use checkout::event::Event;
use checkout::line::LineKind;
use checkout::page::{PageRequest, Refused, StaffRequest};
use checkout::refusal::LineRefusal;
use checkout::words::{Grams, LineNo, Money, Role};

fn weigh(till: &mut Till, weight: Weight) {
    till.take(Input::Device { device: "scale-1".into(), event: DeviceEvent::Weight(weight) });
}

fn totals(till: &Till) -> Vec<i64> {
    till.lane(1).lines.iter().map(|line| line.total.0).collect()
}

fn refused(till: &Till, wanted: LineRefusal) -> bool {
    till.said(|event| matches!(event, Event::Basket(BasketEvent::LineRefused { reason, .. }) if *reason == wanted))
}

#[test]
fn a_deposit_comes_changes_and_goes_with_its_bottle_and_not_by_itself() {
    let mut till = Till::open();
    till.take(scan(1, WATER));
    till.take(scan(1, WATER));
    assert_eq!(totals(&till), [400, 50]);
    till.press(1, PageRequest::SetQuantity { line: LineNo(1), quantity: 6 }).unwrap();
    assert_eq!(totals(&till), [1200, 150]);
    assert_eq!(till.press(1, PageRequest::VoidLine { line: LineNo(2) }), Err(Refused::ComesWithLine));
    till.press(1, PageRequest::VoidLine { line: LineNo(1) }).unwrap();
    assert!(till.lane(1).lines.is_empty());
    till.take(scan(1, WATER));
    till.take(scan(1, EMPTY));
    let open = till.store.facts().lanes[&checkout::words::LaneId(1)].open.as_ref().unwrap();
    assert_eq!(open.total(), Money(200), "an empty gives its deposit back");
    assert_eq!(
        open.live_lines().map(|line| line.kind).collect::<Vec<_>>(),
        [LineKind::Goods, LineKind::Deposit, LineKind::BottleReturn]
    );
}

#[test]
fn goods_whose_deposit_the_catalogue_does_not_know_are_not_sold_without_it() {
    let mut till = Till::open();
    till.shelf.items.remove(&DEPOSIT.into());
    till.take(scan(1, WATER));
    assert!(refused(&till, LineRefusal::UnknownItem) && till.lane(1).lines.is_empty());
}

#[test]
fn packing_is_taken_off_a_weight_and_never_makes_it_negative() {
    let mut till = Till::open();
    till.take(scan(1, PEARS));
    till.staff(1, StaffRequest::SetTare { tare_g: 55 }).unwrap();
    weigh(&mut till, Weight::Stable(Grams(50)));
    assert!(till.lane(1).lines.is_empty(), "only the packing lies there");
    weigh(&mut till, Weight::Stable(Grams(555)));
    let line = till.lane(1).lines[0].clone();
    assert_eq!((line.weight_g, line.total), (Some(500), Money(399)));
    assert_eq!(till.staff(1, StaffRequest::SetTare { tare_g: 5 }), Err(Refused::NothingHere));
}

#[test]
fn the_amount_of_a_scale_that_computes_is_the_legal_one_unless_it_used_another_price() {
    let mut till = Till::open();
    till.take(scan(1, PEARS));
    weigh(&mut till, Weight::Priced { net: Grams(455), unit_price: Money(798), total: Money(364) });
    assert_eq!(till.lane(1).total, Money(364), "ours would be 363");
    till.take(scan(1, PEARS));
    weigh(&mut till, Weight::Priced { net: Grams(455), unit_price: Money(700), total: Money(319) });
    assert!(refused(&till, LineRefusal::ScalePrice));
    assert_eq!(till.lane(1).total, Money(364));
}

#[test]
fn a_price_is_overridden_as_far_as_the_role_reaches_and_no_promotion_touches_it_then() {
    let mut till = Till::open();
    for _ in 0..3 {
        till.take(scan(1, NOODLES));
    }
    assert_eq!(till.lane(1).total, Money(800), "three for eight");
    let price = |unit_price| StaffRequest::OverridePrice {
        line: LineNo(1),
        unit_price: Money(unit_price),
        reason: "dented".into(),
    };
    assert_eq!(till.staff(1, price(250)), Err(Refused::RoleTooLow));
    till.staff(1, price(285)).unwrap();
    till.staff_as(Role::Supervisor, 1, price(250)).unwrap();
    assert_eq!(till.lane(1).total, Money(750));
    assert_eq!(till.staff_as(Role::Supervisor, 1, price(310)), Err(Refused::RoleTooLow));
    let mute = StaffRequest::OverridePrice { line: LineNo(1), unit_price: Money(250), reason: " ".into() };
    assert_eq!(till.staff_as(Role::Manager, 1, mute), Err(Refused::NeedsReason));
    let open = till.store.facts().lanes[&checkout::words::LaneId(1)].open.as_ref().unwrap();
    let overridden = open.lines[0].overridden.as_ref().unwrap();
    assert_eq!((overridden.list_price, overridden.role), (Money(300), Role::Supervisor));
    till.take(scan(1, NOODLES));
    assert_eq!(totals(&till), [750, 300], "the next packet costs what the shelf says");
}

#[test]
fn a_piece_with_a_number_is_sold_once_also_after_a_restart() {
    let mut till = Till::open();
    till.take(scan(1, PHONE));
    assert!(refused(&till, LineRefusal::NoSerial));
    let piece = format!("]C1010{PHONE}21A77");
    till.take(scan(2, &piece[3..]));
    assert_eq!(till.lane(2).total, Money(105_800), "its charger comes with it");
    till.take(scan(1, &piece[3..]));
    assert!(refused(&till, LineRefusal::SerialSold), "another lane has it");
    till.press(2, PageRequest::Suspend {}).unwrap();
    till.take(scan(1, &piece[3..]));
    assert!(refused(&till, LineRefusal::SerialSold), "a basket that waits has it");
    let waiting = till.lane(2).handed.unwrap();
    till.take(scan(2, &waiting));
    assert_eq!(till.press(2, PageRequest::SetQuantity { line: LineNo(1), quantity: 2 }), Err(Refused::BadQuantity));
    till.staff(2, StaffRequest::TakeCash { given: Money(105_800), amount: None }).unwrap();
    let snapshot = serde_json::to_string(till.store.facts()).unwrap();
    till.store = checkout::Store::from_snapshot(till.store.config().clone(), serde_json::from_str(&snapshot).unwrap());
    till.take(scan(1, &piece[3..]));
    assert!(refused(&till, LineRefusal::SerialSold), "it was sold before the restart");
    till.take(scan(1, &format!("010{PHONE}21A78")));
    assert_eq!(totals(&till), [99_900, 5_900]);
}

#[test]
fn a_note_is_short_and_says_nothing_about_a_person() {
    let mut till = Till::open();
    till.take(scan(1, NOODLES));
    let note = |text: &str| StaffRequest::Note { line: None, text: text.into() };
    till.staff(1, note("gift wrap")).unwrap();
    assert_eq!(till.staff(1, note("call 138 0013 8000")), Err(Refused::PersonalData));
    assert_eq!(till.staff(1, note(&"x".repeat(81))), Err(Refused::TooLong));
    assert_eq!(till.store.facts().lanes[&checkout::words::LaneId(1)].open.as_ref().unwrap().note, "gift wrap");
}

#[test]
fn staff_voids_a_basket_with_a_reason_and_a_shopper_without() {
    let mut till = Till::open();
    till.take(scan(1, NOODLES));
    assert_eq!(till.staff(1, StaffRequest::VoidTransaction { reason: String::new() }), Err(Refused::NeedsReason));
    till.staff(1, StaffRequest::VoidTransaction { reason: "walked away".into() }).unwrap();
    assert!(till.said(
        |event| matches!(event, Event::Basket(BasketEvent::Voided { by: Some(by), .. }) if by.reason == "walked away")
    ));
    till.take(scan(1, NOODLES));
    till.press(1, PageRequest::VoidTransaction {}).unwrap();
}
