//! P16, P19: what cash comes to where small coins are gone; who may give money back or a basket up, and how much of it.

use crate::common::{COLA, SPIRITS, Till, config, scan, sold};
use checkout::config::PriceRules;
use checkout::event::Event;
use checkout::page::{Method, PageRequest, Refused, ReturnRequest, StaffRequest};
use checkout::rules::BackLimits;
use checkout::tender::TenderEvent;
use checkout::view::TenderKind;
use checkout::words::{Money, Role};

/// The smallest coin of each country, minor units.
const COINS: [(&str, i64); 20] = [
    ("AT", 1),
    ("AU", 5),
    ("BE", 5),
    ("CA", 5),
    ("CH", 5),
    ("CN", 1),
    ("DE", 1),
    ("DK", 50),
    ("ES", 1),
    ("FI", 5),
    ("FR", 1),
    ("GB", 1),
    ("IE", 5),
    ("IT", 5),
    ("JP", 1),
    ("NL", 5),
    ("NO", 100),
    ("NZ", 10),
    ("SE", 100),
    ("US", 1),
];

fn till(country: &str, price: i64) -> Till {
    let mut till = Till::with(checkout::config::StoreConfig { price: PriceRules::of(country).unwrap(), ..config() });
    till.shelf.items.get_mut(&COLA.into()).unwrap().price = Money(price);
    till
}

#[test]
fn cash_is_rounded_on_a_line_of_its_own_after_tax_in_every_country_and_a_card_pays_to_the_unit() {
    assert_eq!(COINS.map(|(country, _)| country), PriceRules::COUNTRIES);
    for (country, coin) in COINS {
        for price in [1_000, 1_001, 1_000 + coin / 2, 1_000 + coin - 1, 9_999] {
            let mut till = till(country, price);
            till.take(scan(2, COLA));
            let total = till.lane(2).due;
            till.staff(2, StaffRequest::TakeCash { given: Money(100_000), amount: None }).unwrap();
            let sale = till.last.events.iter().find_map(sold).unwrap().sale;
            let (low, rest) = (total.0 - total.0 % coin, total.0 % coin);
            let paid = if rest * 2 >= coin { low + coin } else { low };
            assert_eq!((sale.total, sale.rounding), (total, Money(paid - total.0)), "{country} {price}");
            assert_eq!(sale.tenders[0].amount, Money(paid), "{country} {price}");
            assert_eq!(sale.change, Money(100_000 - paid), "{country} {price}");
            let tax: i64 = sale.taxes.iter().map(|tax| tax.net.0 + tax.tax.0).sum();
            assert_eq!(tax, total.0, "{country} {price}: rounding is no tax");
            let rounded = |event: &Event| matches!(event, Event::Tender(TenderEvent::Rounded { .. }));
            assert_eq!(till.said(rounded), paid != total.0, "{country} {price}");

            let mut till = self::till(country, price);
            till.take(scan(1, COLA));
            till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
            let asked = |event: &Event| matches!(event, Event::Tender(TenderEvent::Started { kind: TenderKind::Card, amount, .. }) if *amount == total);
            assert!(till.said(asked) && !till.said(rounded), "{country} {price}: {:?}", till.last.events);
        }
    }
}

#[test]
fn no_money_goes_back_and_no_basket_is_given_up_beyond_what_a_role_may() {
    let mut config = config();
    config.floor.back = BackLimits { cashier: Some(Money(500)), supervisor: Some(Money(20_000)) };
    let mut till = Till::with(config);
    let void = || StaffRequest::VoidTransaction { reason: "left behind".into() };
    till.take(scan(2, COLA));
    till.take(scan(2, COLA));
    assert_eq!(till.staff(2, StaffRequest::VoidTransaction { reason: " ".into() }), Err(Refused::NeedsReason));
    assert_eq!(till.staff(2, void()), Err(Refused::RoleTooLow), "7.00 is more than a cashier gives up");
    assert!(till.last.events.is_empty());
    till.staff_as(Role::Supervisor, 2, void()).unwrap();
    till.take(scan(2, COLA));
    till.staff(2, void()).unwrap();

    till.take(scan(2, SPIRITS));
    let asked = till.lane(2).interventions[0].id;
    till.staff(2, StaffRequest::Answer { intervention: asked, approved: true, reason: "of age".into() }).unwrap();
    till.staff(2, StaffRequest::TakeCash { given: Money(12_800), amount: None }).unwrap();
    let number = till.last.events.iter().find_map(sold).unwrap().sale.receipt;
    let back = |request| StaffRequest::Return(request);
    let goods = ReturnRequest::Goods { code: COLA.into(), quantity: 1, weight_g: None, reason: "no receipt".into() };
    assert_eq!(till.staff(2, back(goods)), Err(Refused::RoleTooLow));
    till.staff(2, back(ReturnRequest::Find { code: format!("2-{:06}", number.0) })).unwrap();
    till.staff(2, back(ReturnRequest::Line { line: checkout::words::LineNo(1), quantity: 1 })).unwrap();
    let refund = |in_cash| back(ReturnRequest::Refund { in_cash });
    assert_eq!(till.staff(2, refund(true)), Err(Refused::RoleTooLow), "cash is a supervisor's");
    assert_eq!(till.staff(2, refund(false)), Err(Refused::RoleTooLow), "128.00 is more than a cashier gives back");
    assert!(till.last.events.is_empty());
    till.staff_as(Role::Supervisor, 2, refund(true)).unwrap();
    assert!(till.last.events.iter().find_map(sold).is_some(), "{:?}", till.last.events);
    // What nobody limited is everybody's to give up, with a reason.
    assert!(Till::open().staff(2, void()) != Err(Refused::RoleTooLow));
}
