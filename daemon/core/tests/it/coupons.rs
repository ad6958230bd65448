//! Coupons are redeemed once, with the completed sale.

use crate::common::{COLA, NOODLES, Till, scan};
use checkout::Input;
use checkout::basket::BasketEvent;
use checkout::catalog::{Campaign, PromotionBook};
use checkout::event::Event;
use checkout::page::{PageRequest, StaffRequest};
use checkout::refusal::LineRefusal;
use checkout::sale::Sale;
use checkout::scan::Printed;
use checkout::store::HqInput;
use checkout::words::{LocalMinute, Money, Name};

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

fn show(till: &mut Till, lane: u16, body: &str) {
    till.take(scan(lane, &Printed::Coupon.code(body).unwrap()));
}

fn refused(till: &Till, wanted: LineRefusal) -> bool {
    till.said(|event| matches!(event, Event::Basket(BasketEvent::LineRefused { reason, .. }) if *reason == wanted))
}

fn pay(till: &mut Till) -> Sale {
    till.staff(2, StaffRequest::TakeCash { given: Money(1_000_000), amount: None }).unwrap();
    let sale = till.last.events.iter().find_map(|record| {
        if let Event::Basket(BasketEvent::Completed(sale)) = &record.event { Some(sale.clone()) } else { None }
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
