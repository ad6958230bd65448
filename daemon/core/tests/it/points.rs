//! Points move once, with the sale: earned and burnt by it, and back with what comes back, to the last point.

use crate::common::{COLA, MEMBER, Shelf, Till, WATER, config, scan, sold};
use checkout::Input;
use checkout::basket::BasketEvent;
use checkout::catalog::Member;
use checkout::config::StoreConfig;
use checkout::device::{DeviceEvent, FaceEvent, FaceOutcome};
use checkout::event::{Event, Record};
use checkout::facts::Facts;
use checkout::member::{Identified, IdentifiedBy, MemberEvent};
use checkout::page::{Method, PageRequest, Refused, ReturnRequest, StaffRequest};
use checkout::points::{Points, PointsBack, share};
use checkout::rules::{PointRules, PointTimes};
use checkout::sale::{Sale, SaleTender};
use checkout::store::{HqInput, StoreEvent};
use checkout::view::{Phase, PointsView, TenderKind};
use checkout::words::{Attempt, LineNo, Money, Role, TenderId};

/// Somebody else, silver.
const OTHER: &str = "M9876543217";

/// A point for each whole yuan, worth 0.10 each; gold members get three for drinks.
fn till(points: u64) -> Till {
    let mut config = config();
    config.floor.points = PointRules {
        per: Money(100),
        worth: Money(10),
        times: vec![PointTimes { group: Some("drinks".into()), level: Some("gold".into()), times: 3 }],
    };
    let mut till = Till::with(config);
    till.shelf.members[0].points = points;
    let other =
        Member { id: "m-2".into(), code: OTHER.into(), level: "silver".into(), ..till.shelf.members[0].clone() };
    till.shelf.members.push(other);
    till.take(Input::Hq(HqInput::Online(true)));
    till
}

fn scans(till: &mut Till, codes: &[&str]) {
    for code in codes {
        till.take(scan(2, code));
    }
}

fn burn(till: &mut Till, amount: Option<i64>) -> Result<(), Refused> {
    till.press(2, PageRequest::Pay { method: Method::Points, amount: amount.map(Money) })
}

fn cash(till: &mut Till) -> Sale {
    till.staff(2, StaffRequest::TakeCash { given: Money(1_000_000), amount: None }).unwrap();
    sale(till)
}

fn sale(till: &Till) -> Sale {
    let mut sales = till.last.events.iter().filter_map(sold);
    sales.next_back().expect("it is done").sale
}

fn balance(till: &Till) -> PointsView {
    till.lane(2).member.expect("somebody is known").points.expect("the shop gives points")
}

fn take_back(till: &mut Till, bought: &Sale, line: u32, quantity: u32) -> Sale {
    till.staff(2, StaffRequest::Return(ReturnRequest::Find { code: bought.transaction.0.clone() })).unwrap();
    till.staff(2, StaffRequest::Return(ReturnRequest::Line { line: LineNo(line), quantity })).unwrap();
    till.staff(2, StaffRequest::Return(ReturnRequest::Refund { in_cash: false })).unwrap();
    sale(till)
}

fn new_members(till: &mut Till, version: u64) {
    let event = StoreEvent::DatasetActivated { dataset: "members".into(), version, name: "members".into() };
    let record = Record { utc: checkout::words::Utc(1_790_000_000_000), lane: None, event: Event::Store(event) };
    till.store.apply(&record);
}

#[test]
fn members_earn_points_on_goods_by_group_and_level_and_a_basket_of_nobody_earns_none() {
    let mut till = till(0);
    scans(&mut till, &[MEMBER, WATER, COLA]);
    assert_eq!(balance(&till).will_earn, 9, "the page says it before it is paid");
    // Water 2.00 three times for gold, cola 3.50 once, the deposit not at all: 9.50 makes nine.
    assert_eq!(cash(&mut till).points, Some(Points { earned: 9, burnt: 0, on: None }));
    assert_eq!(till.lane(2).receipt.unwrap().receipt.points[0].value, "9");
    scans(&mut till, &[COLA]);
    assert_eq!(cash(&mut till).points, None);
}

#[test]
fn points_pay_a_part_once_with_the_sale_and_the_rest_is_paid_by_something_else() {
    let mut till = till(20);
    scans(&mut till, &[MEMBER, COLA]);
    assert_eq!(balance(&till).payable, Money(200));
    assert_eq!(burn(&mut till, Some(360)), Err(Refused::MoreThanDue));
    assert_eq!(burn(&mut till, Some(300)), Err(Refused::NotEnoughPoints));
    assert_eq!(burn(&mut till, Some(9)), Err(Refused::BadAmount), "not a whole point");
    burn(&mut till, None).unwrap();
    assert_eq!((till.lane(2).due, balance(&till).balance), (Money(150), 0), "held by this basket");
    assert_eq!(burn(&mut till, None), Err(Refused::NoPoints));
    let bought = cash(&mut till);
    // Of 3.50 points paid 2.00: the other 1.50 earns one.
    assert_eq!(bought.points, Some(Points { earned: 1, burnt: 20, on: Some(Money(150)) }));
    let told = till.lane(2).receipt.unwrap().receipt.points.into_iter().map(|row| (row.label.en, row.value));
    let told: Vec<(String, String)> = told.collect();
    assert_eq!(told.last().unwrap(), &("Points are earned on".into(), "￥1.50".into()));
    assert_eq!(
        (bought.tenders[0].kind, bought.tenders[0].amount, bought.tenders[0].points),
        (TenderKind::Points, Money(200), 20)
    );
    assert_eq!(
        bought.taxes[0].net.plus(bought.taxes[0].tax),
        Money(350),
        "a tender is no discount: tax is of the whole price"
    );
    assert_eq!(till.store.facts().day.points, Money(200));
    scans(&mut till, &[MEMBER]);
    assert_eq!(balance(&till).balance, 1, "what the sale earned is there, what it burnt is gone");
    let snapshot = serde_json::to_string(till.store.facts()).unwrap();
    till.store = checkout::Store::from_snapshot(till.store.config().clone(), serde_json::from_str(&snapshot).unwrap());
    assert_eq!(balance(&till).balance, 1, "also after a restart");
}

#[test]
fn however_a_basket_is_paid_its_points_are_of_the_money_and_whatever_is_multiplied_is_multiplied_of_it() {
    for (burnt, earned, on) in
        [(0, 9, None), (1, 9, Some(540)), (20, 6, Some(358)), (54, 0, Some(33)), (57, 0, Some(4))]
    {
        let mut till = till(100);
        // Water 2.00 three times for gold and cola 3.50 once, 9.50; 5.75 to pay, since the deposit on the bottle is paid, too.
        scans(&mut till, &[MEMBER, WATER, COLA]);
        if burnt > 0 {
            burn(&mut till, Some(burnt * 10)).unwrap();
        }
        assert_eq!(balance(&till).will_earn, earned, "the page says it before the rest is paid");
        let burnt = u64::try_from(burnt).unwrap();
        assert_eq!(cash(&mut till).points, Some(Points { earned, burnt, on: on.map(Money) }));
    }
}

#[test]
fn points_that_pay_all_of_it_complete_the_sale_in_the_same_step() {
    let mut till = till(100);
    scans(&mut till, &[MEMBER, COLA]);
    burn(&mut till, None).unwrap();
    assert_eq!(sale(&till).points, Some(Points { earned: 0, burnt: 35, on: Some(Money(0)) }));
    assert_eq!(till.lane(2).phase, Phase::Done);
}

#[test]
fn a_basket_given_up_frees_its_points_and_two_baskets_cannot_burn_the_same_ones() {
    let mut till = till(20);
    scans(&mut till, &[MEMBER, COLA]);
    burn(&mut till, None).unwrap();
    till.take(scan(1, MEMBER));
    till.take(scan(1, COLA));
    assert_eq!(till.press(1, PageRequest::Pay { method: Method::Points, amount: None }), Err(Refused::NoPoints));
    till.staff(2, StaffRequest::VoidTransaction { reason: "changed their mind".into() }).unwrap();
    assert!(
        till.said(|event| matches!(event, Event::Basket(BasketEvent::Voided { .. }))),
        "nobody has to give them back"
    );
    till.press(1, PageRequest::Pay { method: Method::Points, amount: None }).unwrap();
    assert_eq!(till.lane(1).due, Money(150));
}

#[test]
fn offline_points_are_burnt_up_to_the_members_lease_and_a_new_dataset_counts_anew() {
    let mut till = till(100);
    till.take(Input::Hq(HqInput::Online(false)));
    scans(&mut till, &[MEMBER, COLA]);
    assert_eq!(burn(&mut till, Some(100)), Err(Refused::PointsOffline));
    assert_eq!(balance(&till).refused, Some(Refused::PointsOffline.text()));
    till.shelf.members[0].points_lease = 15;
    assert_eq!(burn(&mut till, Some(200)), Err(Refused::NotEnoughPoints), "more than the lease");
    burn(&mut till, Some(100)).unwrap();
    assert_eq!(balance(&till).payable, Money(50), "what this basket holds is of the lease");
    cash(&mut till);
    scans(&mut till, &[MEMBER, COLA]);
    burn(&mut till, None).unwrap();
    assert_eq!(cash(&mut till).points.unwrap().burnt, 5);
    scans(&mut till, &[MEMBER, COLA]);
    assert_eq!(burn(&mut till, None), Err(Refused::PointsOffline));
    till.take(Input::Hq(HqInput::Online(true)));
    assert_eq!(balance(&till).balance, 100 - 15 + 5);
    new_members(&mut till, 2);
    assert_eq!(balance(&till).balance, 100, "the new version knows");
    till.take(Input::Hq(HqInput::Online(false)));
    assert_eq!(balance(&till).payable, Money(150));
}

#[test]
fn a_face_alone_never_burns_points_until_the_members_code_is_scanned_too() {
    let mut till = till(100);
    till.take(scan(2, COLA));
    by_face(&mut till, "m-1");
    assert_eq!(balance(&till).balance, 100, "a face is enough to be greeted");
    assert_eq!(burn(&mut till, None), Err(Refused::PointsNeedCode));
    till.take(scan(2, OTHER));
    by_face(&mut till, "m-1");
    assert_eq!(burn(&mut till, None), Err(Refused::PointsNeedCode), "the code of somebody else is no second factor");
    till.take(scan(2, MEMBER));
    by_face(&mut till, "m-1");
    burn(&mut till, None).unwrap();
    assert_eq!(sale(&till).points.unwrap().burnt, 35);
}

fn by_face(till: &mut Till, member: &str) {
    till.press(2, PageRequest::Recognise { consent: "1".into(), tail: None }).unwrap();
    let attempt = Attempt(till.store.facts().attempts);
    let outcome = FaceOutcome::Match { member: member.into(), score_milli: 900 };
    till.take(Input::Device {
        device: "vision".into(),
        event: DeviceEvent::Face { attempt, event: FaceEvent::Outcome(outcome) },
    });
}

#[test]
fn somebody_elses_code_switches_the_member_under_its_own_event_and_prices_the_basket_again() {
    let mut till = till(0);
    scans(&mut till, &[MEMBER, WATER]);
    assert_eq!(balance(&till).will_earn, 6);
    till.take(scan(2, OTHER));
    let to = Identified { member: "m-2".into(), by: IdentifiedBy::Code };
    let switched = MemberEvent::Switched { from: "m-1".into(), to };
    assert!(till.said(|event| *event == Event::Member(switched.clone())));
    assert!(till.said(|event| matches!(event, Event::Basket(BasketEvent::SavingsSet { terms, .. }) if terms.member.as_ref().unwrap().level == "silver")));
    assert_eq!(balance(&till).will_earn, 2, "silver has no extra points");
    assert_eq!(cash(&mut till).member, Some("m-2".into()));
}

#[test]
fn returns_take_earned_points_back_and_give_burnt_ones_back_to_the_last_point_whoever_brings_the_goods() {
    let mut till = till(33);
    scans(&mut till, &[MEMBER, COLA, COLA, COLA]);
    burn(&mut till, None).unwrap();
    let bought = cash(&mut till);
    assert_eq!(
        (bought.total, bought.points),
        (Money(1050), Some(Points { earned: 7, burnt: 33, on: Some(Money(720)) }))
    );
    let (mut taken, mut given, mut money) = (Vec::new(), Vec::new(), 0);
    for _ in 0..3 {
        let back = take_back(&mut till, &bought, 1, 1);
        assert_eq!(back.points, None, "nobody is known at the lane");
        let [PointsBack { transaction, member, taken: of_earned, given: of_burnt }] = back.points_back.as_slice()
        else {
            panic!("{:?}", back.points_back);
        };
        assert_eq!((transaction, member), (&bought.transaction, &"m-1".into()));
        taken.push(*of_earned);
        given.push(*of_burnt);
        let points = back.tenders.iter().filter(|tender| tender.kind == TenderKind::Points);
        money += points.map(|tender| tender.amount.0).sum::<i64>();
        assert_eq!(back.tenders.iter().map(|tender| tender.amount).sum::<Money>(), Money(-350));
    }
    assert_eq!((taken, given, money), (vec![2, 3, 2], vec![11, 11, 11], -330));
    scans(&mut till, &[MEMBER]);
    assert_eq!(balance(&till).balance, 33, "as if nothing had been bought");
}

#[test]
fn what_goods_on_their_way_back_had_earned_cannot_be_spent_in_the_same_basket() {
    let mut till = till(0);
    scans(&mut till, &[MEMBER, COLA, COLA, COLA]);
    let bought = cash(&mut till);
    let earned = bought.points.unwrap().earned;
    scans(&mut till, &[MEMBER, COLA, COLA]);
    till.staff(2, StaffRequest::Return(ReturnRequest::Find { code: bought.transaction.0.clone() })).unwrap();
    till.staff(2, StaffRequest::Return(ReturnRequest::Line { line: LineNo(1), quantity: 1 })).unwrap();
    assert_eq!(burn(&mut till, Some(i64::try_from(earned * 10).unwrap())), Err(Refused::NotEnoughPoints));
    burn(&mut till, None).unwrap();
    let paid = cash(&mut till);
    let taken = paid.points_back[0].taken;
    assert!(taken > 0);
    assert_eq!(paid.points.unwrap().burnt, earned - taken, "the last of those that stay, and none of those that go");
}

#[test]
fn a_refund_in_cash_still_gives_points_back_as_points() {
    let mut till = till(20);
    scans(&mut till, &[MEMBER, COLA]);
    burn(&mut till, None).unwrap();
    let bought = cash(&mut till);
    till.staff(2, StaffRequest::Return(ReturnRequest::Find { code: bought.transaction.0.clone() })).unwrap();
    till.staff(2, StaffRequest::Return(ReturnRequest::Line { line: LineNo(1), quantity: 1 })).unwrap();
    till.staff_as(Role::Supervisor, 2, StaffRequest::Return(ReturnRequest::Refund { in_cash: true })).unwrap();
    let back = sale(&till);
    let paid: Vec<(TenderKind, i64)> = back.tenders.iter().map(|tender| (tender.kind, tender.amount.0)).collect();
    assert_eq!(paid, [(TenderKind::Points, -200), (TenderKind::Cash, -150)]);
    assert_eq!((back.points_back[0].taken, back.points_back[0].given), (1, 20));
}

#[test]
fn parts_of_points_come_to_the_whole_however_they_are_cut() {
    for (points, whole) in [(9, 900), (7, 1050), (1, 3), (1_000_003, 17)] {
        for step in 1..=whole {
            let cuts = (0..=whole).step_by(usize::try_from(step).unwrap()).chain([whole]);
            let shares: Vec<u64> = cuts.map(|part| share(points, Money(part), Money(whole))).collect();
            assert!(shares.is_sorted(), "no part gives points away");
            assert_eq!((shares[0], shares.last()), (0, Some(&points)));
        }
    }
    assert_eq!(share(9, Money(0), Money(0)), 9);
}

/// What the one member has before the power cuts begin.
const BEFORE: u64 = 60;

/// A point for each whole yuan, each worth 0.10.
pub fn rules() -> StoreConfig {
    let mut config = config();
    config.floor.points = PointRules { per: Money(100), worth: Money(10), times: Vec::new() };
    config
}

pub fn shelf() -> Shelf {
    let mut shelf = crate::common::shelf();
    (shelf.members[0].points, shelf.members[0].points_lease) = (BEFORE, BEFORE);
    shelf
}

/// Points move with sales only, each once, and nobody burns what is not there.
pub fn moved_once(journal: &[Record], facts: &Facts) -> Result<(), String> {
    let before = i64::try_from(BEFORE).unwrap();
    let mut balance = before;
    for record in journal {
        let Event::Basket(BasketEvent::Completed(sale)) = &record.event else { continue };
        let signed = |tender: &SaleTender| i64::try_from(tender.points).unwrap() * tender.amount.0.signum();
        let own = |of: &TenderId| of.transaction() == sale.transaction;
        let paid: i64 = sale.tenders.iter().filter(|tender| tender.of.as_ref().is_none_or(own)).map(signed).sum();
        let Points { earned, burnt, .. } = sale.points.unwrap_or_default();
        if i64::try_from(burnt) != Ok(paid) {
            return Err(format!("{} burnt {burnt} points and was paid with {paid}", sale.transaction));
        }
        balance -= paid;
        if balance < 0 {
            return Err(format!("{} burnt {} points that were not there", sale.transaction, -balance));
        }
        balance += i64::try_from(earned).unwrap();
        for back in &sale.points_back {
            balance += i64::try_from(back.given).unwrap() - i64::try_from(back.taken).unwrap();
        }
    }
    let moved = facts.points.0.get(&"m-1".into()).map_or(0, |moved| moved.change);
    if moved == balance - before { Ok(()) } else { Err(format!("the box moved {moved} points, its sales did not")) }
}
