//! A promotion so often for each member: over baskets, lanes and versions of what headquarters knows.

use crate::common::{COLA, MEMBER, Till, scan, sold};
use checkout::catalog::PromotionBook;
use checkout::event::{Event, Record};
use checkout::page::{PageRequest, StaffRequest};
use checkout::store::StoreEvent;
use checkout::words::{LaneId, Money, Utc};

const OTHER: &str = "M9876543217";

/// A yuan off a cola, three colas for each member.
fn till(used: u32) -> Till {
    let mut till = Till::open();
    let row = format!(
        r#"{{"id":"cola","name":{{"zh":"会员可乐","en":"Cola for members"}},"goods":{{"keys":["{COLA}"]}},
            "rule":{{"amount":{{"off":100}}}},"limit":{{"per_member":3}}}}"#
    );
    till.shelf.promotions = PromotionBook::new([serde_json::from_str(&row).unwrap()]);
    till.shelf.members[0].used = [("cola".to_owned(), used)].into();
    let mut other = till.shelf.members[0].clone();
    (other.id, other.code) = ("m-2".into(), OTHER.into());
    till.shelf.members.push(other);
    till
}

fn basket(till: &mut Till, lane: u16, member: &str, colas: u32) -> i64 {
    till.take(scan(lane, member));
    for _ in 0..colas {
        till.take(scan(lane, COLA));
    }
    till.lane(lane).discount.0
}

fn pay(till: &mut Till, lane: u16) {
    till.staff(lane, StaffRequest::TakeCash { given: Money(1_000_000), amount: None }).unwrap();
    assert!(till.last.events.iter().any(|record| sold(record).is_some()));
}

fn new_members(till: &mut Till, version: u64) {
    let event = StoreEvent::DatasetActivated { dataset: "members".into(), version, name: "members".into() };
    till.store.apply(&Record { utc: Utc(1_790_000_000_000), lane: None, event: Event::Store(event) });
}

#[test]
fn a_second_basket_gets_what_the_first_left_and_somebody_else_has_their_own() {
    let mut till = till(0);
    assert_eq!(basket(&mut till, 2, MEMBER, 2), 200);
    pay(&mut till, 2);
    assert_eq!(basket(&mut till, 2, MEMBER, 2), 100, "one is left");
    pay(&mut till, 2);
    assert_eq!(basket(&mut till, 2, MEMBER, 2), 0);
    pay(&mut till, 2);
    assert_eq!(basket(&mut till, 2, OTHER, 2), 200);
    let snapshot = serde_json::to_string(till.store.facts()).unwrap();
    let facts = serde_json::from_str(&snapshot).unwrap();
    till.store = checkout::Store::from_snapshot(till.store.config().clone(), facts);
    till.staff(2, StaffRequest::VoidTransaction { reason: "changed their mind".into() }).unwrap();
    assert_eq!(basket(&mut till, 2, MEMBER, 1), 0, "also after a restart");
}

#[test]
fn two_open_baskets_of_one_member_share_the_limit_and_one_given_up_leaves_it_to_the_other() {
    let mut till = till(1);
    assert_eq!(basket(&mut till, 1, MEMBER, 2), 200);
    assert_eq!(basket(&mut till, 2, MEMBER, 2), 0, "the other basket holds what is left");
    till.press(1, PageRequest::VoidTransaction {}).unwrap();
    till.take(scan(2, COLA));
    assert_eq!(till.lane(2).discount.0, 200, "felt when the basket changes");
    till.press(2, PageRequest::Suspend {}).unwrap();
    assert_eq!(basket(&mut till, 1, MEMBER, 1), 0, "one that waits for a lane holds it, too");
}

#[test]
fn a_new_version_of_the_members_knows_what_was_used_and_the_store_counts_anew() {
    let mut till = till(0);
    assert_eq!(basket(&mut till, 2, MEMBER, 2), 200);
    pay(&mut till, 2);
    till.shelf.members[0].used = [("cola".to_owned(), 2)].into();
    new_members(&mut till, 2);
    assert_eq!(basket(&mut till, 2, MEMBER, 3), 100);
    pay(&mut till, 2);
    assert_eq!(till.store.facts().used.0[&"m-1".into()]["cola"], 1);
    assert_eq!(till.store.facts().lanes[&LaneId(2)].last_sale.as_ref().unwrap().sale.uses[0].times, 1);
}
