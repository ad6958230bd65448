//! A member says the number of their telephone: enough for their prices and points, never to spend them, and never written down.

use crate::common::{COLA, MEMBER, NOODLES, Till, config, scan};
use checkout::config::StoreConfig;
use checkout::event::Event;
use checkout::member::{Identified, IdentifiedBy, MemberEvent};
use checkout::page::{Method, PageRequest, Refused, StaffRequest};
use checkout::phone;
use checkout::rules::PointRules;
use checkout::words::{Money, Private};

const NUMBER: &str = "13800000001";

fn points() -> StoreConfig {
    let mut config = config();
    config.floor.points = PointRules { per: Money(100), worth: Money(10), times: Vec::new() };
    config
}

fn say(till: &mut Till, number: &str) -> Result<(), Refused> {
    till.press(2, PageRequest::Phone { number: Private(number.into()) })
}

fn by(by: IdentifiedBy) -> Event {
    Event::Member(MemberEvent::Identified(Identified { member: "m-1".into(), by }))
}

#[test]
fn a_number_gives_the_members_prices_and_points_and_pays_with_none() {
    let mut till = Till::with(points());
    (till.shelf.members[0].points, till.shelf.members[0].points_lease) = (100, 100);
    till.take(scan(2, NOODLES));
    say(&mut till, "138 0000 0001").unwrap();
    assert!(till.said(|event| *event == by(IdentifiedBy::Phone)));
    let member = till.lane(2).member.unwrap();
    assert_eq!((member.masked.as_str(), till.lane(2).total), ("王**", Money(280)), "greeted, at the member's price");
    let pay = PageRequest::Pay { method: Method::Points, amount: None };
    assert_eq!(till.press(2, pay.clone()), Err(Refused::PointsNeedCode), "others know the number, too");
    till.take(scan(2, MEMBER));
    assert!(till.said(|event| *event == by(IdentifiedBy::Code)));
    say(&mut till, NUMBER).unwrap();
    assert!(till.last.events.is_empty(), "it takes nothing from a code");
    till.press(2, pay).unwrap();
}

#[test]
fn a_number_is_whole_and_somebodys_and_of_one_member_alone() {
    let mut till = Till::open();
    for part in ["0001", "000001", "138000x0001", "", "1380000000112345"] {
        assert_eq!(say(&mut till, part), Err(Refused::BadPhone), "{part}");
    }
    assert_eq!(say(&mut till, "13900000001"), Err(Refused::UnknownPhone));
    let mut other = till.shelf.members[0].clone();
    (other.id, other.code, other.phone) = ("m-2".into(), "M9876543217".into(), NUMBER.into());
    till.shelf.members.push(other);
    assert_eq!(say(&mut till, NUMBER), Err(Refused::SharedPhone));
    assert!(till.lane(2).member.is_none() && till.last.events.is_empty());
}

#[test]
fn whoever_tries_number_after_number_waits_whatever_becomes_of_the_basket() {
    let mut till = Till::open();
    for wrong in 0..5 {
        till.take(scan(2, COLA));
        assert_eq!(say(&mut till, &format!("1390000000{wrong}")), Err(Refused::UnknownPhone));
        till.staff(2, StaffRequest::VoidTransaction { reason: "another try".into() }).unwrap();
    }
    assert_eq!(say(&mut till, NUMBER), Err(Refused::PhoneTooOften), "also a right one");
    till.clock += 60_000;
    say(&mut till, NUMBER).unwrap();
}

#[test]
fn no_number_is_written_down_or_printed() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    say(&mut till, NUMBER).unwrap();
    let mut told = serde_json::to_string(&till.last.events).unwrap();
    till.staff(2, StaffRequest::TakeCash { given: Money(1_000), amount: None }).unwrap();
    told += &serde_json::to_string(&till.last.events).unwrap();
    told += &serde_json::to_string(&till.store.view(&till.shelf)).unwrap();
    told += &format!("{:?} {:?}", till.shelf.members, PageRequest::Phone { number: Private(NUMBER.into()) });
    assert!(!told.contains("0000001"), "{told}");
}

#[test]
fn numbers_are_read_as_people_write_them() {
    for (text, digits) in
        [("+49 (0)30 901820", "4930901820"), ("0041 44/268.12.34", "41442681234"), ("(030) 901-820", "30901820")]
    {
        assert_eq!(phone::digits(text).as_deref(), Some(digits), "{text}");
    }
    assert!(phone::same("4930901820", "30901820") && !phone::same("4930901820", "4830901820"));
}
