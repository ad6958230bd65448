//! What goes into the bag weighs what was scanned, and the scale learns and explains itself.

use crate::common::{COLA, Till, WATER, config, scan};
use checkout::Input;
use checkout::config::StoreConfig;
use checkout::device::{DeviceEvent, ScaleFault, Weight};
use checkout::page::{Method, PageRequest, Refused, StaffRequest};
use checkout::store::PortStatus;
use checkout::words::{Grams, LineNo};

fn bags() -> StoreConfig {
    let mut config = config();
    config.lanes[0].bagging = Some("bag-1".into());
    config
}

fn till() -> Till {
    let mut till = Till::with(bags());
    till.take(Input::Port { device: "bag-1".into(), status: PortStatus::Up });
    till
}

fn bag(till: &mut Till, grams: u32) {
    let weight = if grams == 0 { Weight::Fault(ScaleFault::Empty) } else { Weight::Stable(Grams(grams)) };
    till.take(Input::Device { device: "bag-1".into(), event: DeviceEvent::Weight(weight) });
}

fn patience(till: &mut Till, grams: u32) {
    bag(till, grams);
    till.clock += 15_000;
    bag(till, grams);
}

fn pay(till: &mut Till) -> Result<(), Refused> {
    till.press(1, PageRequest::Pay { method: Method::Card, amount: None })
}

#[test]
fn paying_waits_until_the_bag_holds_what_was_scanned() {
    let mut till = till();
    till.take(scan(1, WATER));
    bag(&mut till, 0);
    assert_eq!(pay(&mut till), Err(Refused::Bagging));
    let view = till.lane(1).bagging.unwrap();
    assert_eq!((view.waiting, view.expected_g, view.measured_g, view.right), (1, 520, Some(0), false));
    bag(&mut till, 531);
    assert!(till.lane(1).bagging.unwrap().right);
    pay(&mut till).unwrap();
}

#[test]
fn a_wrong_weight_explains_itself_after_a_while_and_goes_when_it_is_put_right() {
    let mut till = till();
    till.take(scan(1, WATER));
    bag(&mut till, 900);
    assert!(till.lane(1).interventions.is_empty(), "a shopper is given time");
    patience(&mut till, 900);
    let asked = till.lane(1).interventions[0].clone();
    assert_eq!(asked.text.en, "Bagging scale: 520 g expected (±78, learned from 0), 900 g measured");
    assert!(!asked.shopper.en.contains(|c: char| c.is_ascii_digit()), "no accusation in grams");
    bag(&mut till, 515);
    assert!(till.lane(1).interventions.is_empty());
    pay(&mut till).unwrap();
}

#[test]
fn a_store_learns_what_a_piece_weighs_and_its_tolerance_narrows() {
    let mut till = till();
    for grams in [340, 342, 338, 341, 339, 340] {
        till.take(scan(1, COLA));
        bag(&mut till, grams);
        assert!(till.lane(1).bagging.unwrap().right, "{grams}");
        till.press(1, PageRequest::VoidTransaction {}).unwrap();
    }
    till.take(scan(1, COLA));
    bag(&mut till, 0);
    let view = till.lane(1).bagging.unwrap();
    assert_eq!((view.expected_g, view.tolerance_g, view.samples), (340, 15, 6));
    bag(&mut till, 380);
    assert!(!till.lane(1).bagging.unwrap().right);
}

#[test]
fn staff_accepts_a_difference_mutes_the_scale_or_takes_the_item_out() {
    let mut till = till();
    till.take(scan(1, WATER));
    patience(&mut till, 900);
    let id = till.lane(1).interventions[0].id;
    till.staff(1, StaffRequest::Answer { intervention: id, approved: true, reason: "new bottle".into() }).unwrap();
    bag(&mut till, 900);
    assert!(till.lane(1).bagging.unwrap().right);
    till.take(scan(1, COLA));
    till.staff(1, StaffRequest::MuteBagging { reason: "pram on the plate".into() }).unwrap();
    pay(&mut till).unwrap();
}

#[test]
fn an_own_bag_and_goods_carried_by_hand_are_told_and_a_dead_scale_stops_nobody() {
    let mut till = till();
    bag(&mut till, 0);
    till.take(scan(1, COLA));
    bag(&mut till, 340);
    bag(&mut till, 420);
    assert!(!till.lane(1).bagging.unwrap().right);
    till.press(1, PageRequest::OwnBag {}).unwrap();
    bag(&mut till, 420);
    assert!(till.lane(1).bagging.unwrap().right);
    till.take(scan(1, WATER));
    let line = till.lane(1).lines.iter().find(|line| line.name.en == "Water").unwrap().no;
    assert_eq!(pay(&mut till), Err(Refused::Bagging));
    till.press(1, PageRequest::SkipBagging { line }).unwrap();
    bag(&mut till, 420);
    assert!(till.lane(1).lines.iter().any(|line| line.skipped));
    till.press(1, PageRequest::VoidLine { line: LineNo(1) }).unwrap();
    bag(&mut till, 420);
    assert_eq!(pay(&mut till), Err(Refused::Bagging), "what was voided still lies in the bag");
    till.take(Input::Port { device: "bag-1".into(), status: PortStatus::Down { reason: "unplugged".into() } });
    pay(&mut till).unwrap();
}
