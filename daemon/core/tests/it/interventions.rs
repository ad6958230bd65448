//! Questions only staff can answer, and what becomes of them.

use crate::common::{COLA, MEMBER, NOODLES, SPIRITS, Till, WATER, config, scan};
use checkout::config::{StaffConfig, StoreConfig};
use checkout::event::Event;
use checkout::lane::LaneEvent;
use checkout::page::{Method, PageRequest, Refused, StaffRequest};
use checkout::rescan::RescanEvent;
use checkout::rules::{Limit, LimitOf, RescanRule, RescanRules, RescanWhen, RestrictedHours};
use checkout::scan::Printed;
use checkout::view::Phase;
use checkout::words::{LineNo, Money, Name, Private, Role};

fn name(en: &str) -> Name {
    Name { zh: format!("【{en}】"), en: en.into() }
}

fn limited(role: Role) -> StoreConfig {
    let limit =
        |id: &str, of: LimitOf, pieces, amount| Limit { id: id.into(), name: name(id), of, pieces, amount, role };
    let mut config = config();
    config.floor.limits = vec![
        limit("drinks", LimitOf::Group("drinks".into()), Some(4), None),
        limit("basket", LimitOf::Basket, None, Some(Money(20_000))),
    ];
    config
}

fn answer(till: &mut Till, role: Role, approved: bool, reason: &str) -> Result<(), Refused> {
    let id = till.lane(1).interventions[0].id;
    till.staff_as(role, 1, StaffRequest::Answer { intervention: id, approved, reason: reason.into() })
}

fn kinds(till: &Till) -> Vec<String> {
    till.lane(1).interventions.iter().map(|asked| asked.kind.clone()).collect()
}

fn quantity(till: &mut Till, quantity: u32) {
    till.press(1, PageRequest::SetQuantity { line: LineNo(1), quantity }).unwrap();
}

#[test]
fn a_limit_asks_by_role_says_how_much_and_asks_again_only_for_more() {
    let mut till = Till::with(limited(Role::Supervisor));
    till.take(scan(1, WATER));
    quantity(&mut till, 5);
    assert_eq!(till.lane(1).interventions[0].text.en, "drinks: 5 pieces, the limit is 4");
    assert_eq!(till.press(1, PageRequest::Pay { method: Method::Card, amount: None }), Err(Refused::Intervention));
    assert_eq!(answer(&mut till, Role::Cashier, true, "party"), Err(Refused::RoleTooLow));
    assert_eq!(answer(&mut till, Role::Supervisor, true, ""), Err(Refused::NeedsReason));
    answer(&mut till, Role::Supervisor, true, "party").unwrap();
    quantity(&mut till, 4);
    quantity(&mut till, 5);
    assert!(kinds(&till).is_empty(), "five were allowed");
    quantity(&mut till, 6);
    assert_eq!(kinds(&till), ["pieces"]);
    answer(&mut till, Role::Cashier, false, "").unwrap();
    assert_eq!(till.lane(1).lines[0].quantity, 4, "a no takes out what is over the limit");
    assert_eq!(till.lane(1).lines[1].quantity, 4, "and its deposits");
}

#[test]
fn a_question_the_shopper_puts_right_goes_away_by_itself() {
    let mut till = Till::with(limited(Role::Supervisor));
    till.take(scan(1, SPIRITS));
    till.take(scan(1, SPIRITS));
    assert_eq!(kinds(&till), ["age", "amount"]);
    till.press(1, PageRequest::VoidLine { line: LineNo(1) }).unwrap();
    assert!(kinds(&till).is_empty());
    let audit = till.store.facts().audit.clone();
    assert_eq!((audit.questions["age"].raised, audit.questions["age"].withdrawn), (1, 1));
    assert_eq!(audit.questions["amount:basket"].withdrawn, 1);
}

#[test]
fn restricted_hours_are_said_in_the_stores_time_over_midnight_too() {
    let night = RestrictedHours {
        id: "night".into(),
        name: name("drinks"),
        group: "drinks".into(),
        from_min: 22 * 60,
        until_min: 6 * 60,
        role: Role::Manager,
    };
    let at = |hour: i64, minute: i64| checkout::words::LocalMinute(1_440 * 20_000 + hour * 60 + minute);
    assert!(night.covers(at(22, 0)) && night.covers(at(0, 0)) && night.covers(at(5, 59)));
    assert!(!night.covers(at(6, 0)) && !night.covers(at(21, 59)));
    // The till's clock shows 21:33 of the store's time (13:33 UTC and eight hours).
    let mut config = config();
    config.floor.hours = vec![RestrictedHours { from_min: 21 * 60, ..night }];
    let mut till = Till::with(config);
    till.take(scan(1, COLA));
    assert!(kinds(&till).is_empty(), "colas are sold at night");
    till.take(scan(1, WATER));
    assert_eq!(kinds(&till), ["hours"]);
    assert_eq!(till.lane(1).interventions[0].text.en, "drinks: not sold from 21:00 to 06:00");
    answer(&mut till, Role::Cashier, false, "").unwrap();
    assert_eq!(till.lane(1).total, Money(350), "bottle and deposit left together");
}

#[test]
fn blocked_goods_say_why_and_leave_on_a_no() {
    let mut till = Till::open();
    till.shelf.items.get_mut(&COLA.into()).unwrap().blocked = Some(name("label misprinted"));
    till.take(scan(1, COLA));
    assert_eq!(till.lane(1).interventions[0].text.en, "Not for sale just now: label misprinted");
    assert_eq!(answer(&mut till, Role::Cashier, true, "looked at it"), Err(Refused::RoleTooLow));
    answer(&mut till, Role::Cashier, false, "").unwrap();
    assert!(till.lane(1).lines.is_empty());
}

#[test]
fn a_badge_opens_the_lane_to_its_owner_for_a_minute_and_asks_for_the_pin_where_the_shop_wants_it() {
    let mut config = config();
    config.staff =
        vec![StaffConfig { staff: "s-7".into(), role: Role::Supervisor, badge: Some(Private("k7x".into())) }];
    let mut till = Till::with(config.clone());
    let badge = Printed::Staff.code("k7x").unwrap();
    till.take(scan(1, SPIRITS));
    till.take(scan(1, &Printed::Staff.code("nobody").unwrap()));
    assert!(till.lane(1).attending.is_none());
    till.take(scan(1, &badge));
    assert!(till.lane(1).attending.is_some_and(|attending| attending.pin && attending.staff.0 == "s-7"));
    let yes = |till: &Till| StaffRequest::Answer {
        intervention: till.lane(1).interventions[0].id,
        approved: true,
        reason: String::new(),
    };
    let request = yes(&till);
    assert_eq!(till.press(1, PageRequest::Badged { request }), Err(Refused::PinNeeded));
    config.floor.badge_without_pin = true;
    let mut till = Till::with(config);
    till.take(scan(1, SPIRITS));
    let request = yes(&till);
    assert_eq!(till.press(1, PageRequest::Badged { request }), Err(Refused::StaffOnly), "no badge was shown");
    till.take(scan(1, &badge));
    let request = yes(&till);
    till.press(1, PageRequest::Badged { request }).unwrap();
    assert!(till.said(|event| matches!(event, Event::Lane(LaneEvent::InterventionAnswered { staff, role: Role::Supervisor, .. }) if staff.0 == "s-7")));
    till.clock += 60_000;
    till.take(checkout::Input::Tick);
    assert!(till.lane(1).attending.is_none());
}

fn looked_at(base_bp: u32) -> StoreConfig {
    let mut config = config();
    let rule = |id: &str, when, add_bp| RescanRule { id: id.into(), name: name(id), when, add_bp };
    config.floor.rescan = RescanRules {
        base_bp,
        rules: vec![rule("voided", RescanWhen::Voided(1), 10_000), rule("again", RescanWhen::MemberMissed, 10_000)],
        pieces: 2,
        full_from_bp: 20_000,
        ..RescanRules::default()
    };
    config
}

#[test]
fn a_look_is_drawn_before_paying_says_why_and_what_it_found_stays_with_the_rule() {
    let mut till = Till::with(looked_at(0));
    for code in [COLA, COLA, NOODLES, MEMBER] {
        till.take(scan(1, code));
    }
    till.press(1, PageRequest::VoidLine { line: LineNo(2) }).unwrap();
    till.take(scan(1, NOODLES));
    assert_eq!(till.press(1, PageRequest::Pay { method: Method::Card, amount: None }), Err(Refused::Intervention));
    let asked = till.lane(1).interventions[0].clone();
    assert_eq!((asked.kind.as_str(), asked.text.en.as_str()), ("rescan", "Look at 2 pieces again (voided)"));
    assert!(asked.shopper.en.contains("random check"), "the shopper is not told of rules");
    till.staff(1, StaffRequest::Attend {}).unwrap();
    for code in [COLA, WATER] {
        till.take(scan(1, code));
    }
    assert_eq!(till.lane(1).rescan.map(|look| (look.matched, look.missed)), Some((1, 1)), "water was not scanned");
    assert_eq!(till.lane(1).pieces, 3, "looking adds nothing to the basket");
    answer(&mut till, Role::Cashier, true, "water added").unwrap();
    let facts = till.store.facts();
    assert_eq!(facts.looks.members[&"m-1".into()].missed, 1);
    let outcome = facts.audit.rescans["voided"];
    assert_eq!((outcome.considered, outcome.drawn, outcome.clean, outcome.missed), (1, 1, 0, 1));
    till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    assert_eq!(till.lane(1).phase, Phase::Paying, "one draw a basket");
}

#[test]
fn draws_come_out_as_often_as_the_rules_say_and_the_same_on_replay() {
    let mut till = Till::with(looked_at(3_000));
    let mut looks = 0;
    for _ in 0..400 {
        till.take(scan(1, COLA));
        let refused = till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).is_err();
        let decided = till.last.events.iter().find_map(|record| {
            if let Event::Lane(LaneEvent::Rescan(RescanEvent::Decided(decided))) = &record.event {
                Some(decided)
            } else {
                None
            }
        });
        assert_eq!(decided.expect("every basket is drawn").look, refused);
        looks += u32::from(refused);
        if refused {
            answer(&mut till, Role::Cashier, false, "left").unwrap();
        } else {
            till.press(1, PageRequest::CancelPayment {}).ok();
            till = Till { store: restarted(&till), ..till };
        }
    }
    assert!((80..=160).contains(&looks), "{looks} of 400 at 30 %");
}

/// The basket is given up, so that the next has another id.
fn restarted(till: &Till) -> checkout::Store {
    let mut facts = till.store.facts().clone();
    for lane in facts.lanes.values_mut() {
        lane.open = None;
    }
    let mut store = checkout::Store::from_snapshot(till.store.config().clone(), facts);
    let mut step = checkout::Step::default();
    let up = checkout::Input::Port { device: "terminal-1".into(), status: checkout::store::PortStatus::Up };
    let now = checkout::words::Now {
        mono: checkout::words::Mono(till.clock),
        utc: checkout::words::Utc(1_790_000_000_000),
        offset_min: 480,
    };
    store.step(now, up, &till.shelf, &mut step);
    store
}
