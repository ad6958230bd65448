//! A lane sells: each test is a sentence a cashier would say.

use crate::common::{COLA, MEMBER, NOODLES, PEARS, SPIRITS, Till, config, scan};
use checkout::basket::BasketEvent;
use checkout::device::{
    CardOutcome, DeviceCommand, DeviceEvent, Document, FaceEvent, FaceOutcome, TerminalCommand, TerminalEvent, Weight,
};
use checkout::event::Event;
use checkout::page::{Method, PageRequest, Refused, StaffRequest};
use checkout::refusal::LineRefusal;
use checkout::store::{HqInput, PortStatus};
use checkout::view::{FaceEnd, Phase};
use checkout::words::{Attempt, Grams, LaneId, LineNo, Money, Mono, Now, RequestId, Role, Utc};
use checkout::{Effect, Input, Step, Store};

#[test]
fn three_packets_cost_eight_and_a_member_pays_the_better_of_two_prices() {
    let mut till = Till::open();
    for _ in 0..2 {
        till.take(scan(1, NOODLES));
    }
    assert_eq!(till.lane(1).total, Money(600));
    till.take(scan(1, MEMBER));
    assert_eq!((till.lane(1).total, till.lane(1).discount), (Money(560), Money(40)), "member price for two");
    till.take(scan(1, NOODLES));
    let view = till.lane(1);
    assert_eq!((view.lines.len(), view.total), (1, Money(800)), "three for eight beats the member price");
    till.press(1, PageRequest::RemoveMember {}).unwrap();
    till.press(1, PageRequest::SetQuantity { line: LineNo(1), quantity: 4 }).unwrap();
    assert_eq!(till.lane(1).total, Money(1100), "three for eight and one more");
}

#[test]
fn goods_by_weight_wait_for_a_stable_weight_and_nothing_else_prices_them() {
    let mut till = Till::open();
    let step = till.take(scan(1, PEARS));
    assert!(
        step.effects
            .iter()
            .any(|effect| matches!(effect, Effect::Device { command: DeviceCommand::ReadWeight { .. }, .. }))
    );
    assert_eq!(till.lane(1).phase, Phase::Weighing);
    let fault = DeviceEvent::Weight(Weight::Fault(checkout::device::ScaleFault::Moving));
    till.take(Input::Device { device: "scale-1".into(), event: fault });
    assert!(till.lane(1).lines.is_empty());
    let reads = |step: &Step| {
        step.effects
            .iter()
            .filter(|effect| matches!(effect, Effect::Device { command: DeviceCommand::ReadWeight { .. }, .. }))
            .count()
    };
    assert_eq!(reads(&till.last), 0, "an empty or moving plate is not asked without a pause");
    till.clock += checkout::weigh::WEIGH_AGAIN_MS;
    assert_eq!(reads(till.take(Input::Tick)), 1);
    let stable = DeviceEvent::Weight(Weight::Stable(Grams(455)));
    till.take(Input::Device { device: "scale-1".into(), event: stable });
    // 7.98 a kilogram for 455 g is 3.6309: rounded to the nearest cent.
    assert_eq!(till.lane(1).total, Money(363));
}

#[test]
fn an_unknown_code_is_a_sound_and_an_event_and_no_line() {
    let mut till = Till::open();
    till.take(scan(1, "4006381333931"));
    assert!(till.said(|event| matches!(
        event,
        Event::Basket(BasketEvent::LineRefused { reason: LineRefusal::UnknownItem, .. })
    )));
    assert!(till.lane(1).lines.is_empty() && till.lane(1).phase == Phase::Idle);
}

#[test]
fn an_age_check_blocks_paying_until_staff_answer_and_a_no_takes_the_bottle_out() {
    let mut till = Till::open();
    till.take(scan(1, SPIRITS));
    till.take(scan(1, COLA));
    assert_eq!(till.press(1, PageRequest::Pay { method: Method::Card, amount: None }), Err(Refused::Intervention));
    let asked = till.lane(1).interventions[0].id;
    till.staff(1, StaffRequest::Answer { intervention: asked, approved: false, reason: String::new() }).unwrap();
    assert_eq!(till.lane(1).total, Money(350));
    assert_eq!(till.press(1, PageRequest::Pay { method: Method::Card, amount: None }), Ok(()));
}

#[test]
fn cash_is_taken_by_staff_at_a_staffed_lane_with_change() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    assert_eq!(
        till.press(2, PageRequest::Pay { method: Method::Cash { given: Money(500) }, amount: None }),
        Err(Refused::CashNeedsStaff)
    );
    assert_eq!(till.staff(2, StaffRequest::TakeCash { given: Money(300), amount: None }), Err(Refused::NotEnough));
    till.staff(2, StaffRequest::TakeCash { given: Money(500), amount: None }).unwrap();
    let receipt = till.lane(2).receipt.expect("a sale has a receipt").receipt;
    assert_eq!((receipt.total, receipt.change, receipt.number.0), (Money(350), Money(150), 1));
    till.take(scan(1, COLA));
    assert_eq!(
        till.staff(1, StaffRequest::TakeCash { given: Money(500), amount: None }),
        Err(Refused::CashNeedsStaff),
        "a kiosk has no drawer"
    );
}

#[test]
fn a_declined_card_leaves_the_basket_to_be_paid_again_under_a_new_attempt() {
    let mut till = Till::open();
    till.take(scan(1, COLA));
    till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    let tender = till.lane(1).tender.and_then(|tender| tender.tender).expect("a tender is under way");
    assert_eq!(till.press(1, PageRequest::VoidTransaction {}), Err(Refused::Paying));
    let answer = TerminalEvent::Answered { tender: tender.clone(), outcome: CardOutcome::Declined { code: 5 } };
    till.take(Input::Device { device: "terminal-1".into(), event: DeviceEvent::Terminal(answer) });
    let acknowledged = |effect: &Effect| {
        matches!(effect, Effect::Device { command: DeviceCommand::Terminal(TerminalCommand::Acknowledge { .. }), .. })
    };
    assert!(till.last.effects.iter().any(acknowledged));
    assert_eq!(till.lane(1).phase, Phase::Scanning);
    till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    let second = till.lane(1).tender.and_then(|tender| tender.tender).expect("a second tender");
    assert_ne!(second, tender);
}

#[test]
fn a_terminal_shared_by_two_lanes_takes_one_payment_at_a_time() {
    let mut shared = config();
    shared.lanes[1].terminal = Some("terminal-1".into());
    let mut till = Till::with(shared);
    till.take(scan(1, COLA));
    till.take(scan(2, COLA));
    till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    assert_eq!(till.press(2, PageRequest::Pay { method: Method::Card, amount: None }), Err(Refused::TerminalDown));
    till.take(Input::Port { device: "terminal-1".into(), status: PortStatus::Down { reason: "cut".into() } });
    till.take(Input::Port { device: "terminal-1".into(), status: PortStatus::Up });
    assert_eq!(till.lane(1).phase, Phase::InDoubt);
    assert_eq!(
        till.press(2, PageRequest::Pay { method: Method::Card, amount: None }),
        Err(Refused::TerminalDown),
        "in doubt it is not free"
    );
}

#[test]
fn a_face_identifies_only_after_consent_only_its_own_attempt_and_never_pays() {
    let mut till = Till::open();
    till.take(scan(1, COLA));
    let outcome = |attempt| DeviceEvent::Face {
        attempt: Attempt(attempt),
        event: FaceEvent::Outcome(FaceOutcome::Match { member: "m-1".into(), score_milli: 900 }),
    };
    till.take(Input::Device { device: "vision".into(), event: outcome(1) });
    assert!(till.lane(1).member.is_none(), "nobody asked");
    assert_eq!(
        till.press(1, PageRequest::Recognise { consent: String::new(), tail: None }),
        Err(Refused::FaceUnavailable)
    );
    till.press(1, PageRequest::Recognise { consent: "face-consent-1".into(), tail: None }).unwrap();
    till.take(Input::Device { device: "vision".into(), event: outcome(7) });
    assert!(till.lane(1).member.is_none(), "an answer to another attempt");
    till.take(Input::Device { device: "vision".into(), event: outcome(1) });
    let view = till.lane(1);
    assert_eq!(view.member.expect("recognised").masked, "王**");
    assert_eq!(view.face.and_then(|face| face.outcome), Some(FaceEnd::Match));
    assert_eq!((view.phase, view.paid), (Phase::Scanning, Money::ZERO));
}

#[test]
fn the_journal_replays_to_the_same_store_after_the_catalogue_changed() {
    let mut till = Till::open();
    let mut journal = Vec::new();
    for input in [scan(1, COLA), scan(1, NOODLES), scan(1, MEMBER), scan(2, COLA), scan(2, "4006381333931")] {
        till.take(input);
        journal.extend(till.last.events.clone());
    }
    till.staff(2, StaffRequest::TakeCash { given: Money(350), amount: None }).unwrap();
    journal.extend(till.last.events.clone());
    let mut replayed = Store::new(config());
    journal.iter().for_each(|record| replayed.apply(record));
    till.shelf.items.clear();
    till.shelf.book = "pb-2".into();
    assert_eq!(replayed.facts().lanes, till.store.facts().lanes);
}

#[test]
fn a_shopper_hears_that_goods_of_the_basket_cost_less_by_now_and_pays_the_new_price_for_those_scanned_again() {
    let mut till = Till::open();
    till.take(scan(1, COLA));
    till.take(scan(2, NOODLES));
    let heard = |till: &Till, lane| till.lane(lane).notice.filter(|notice| notice.text.en.contains("costs less"));
    let prices = |till: &mut Till, version, cola: i64, noodles: i64| {
        till.shelf.items.get_mut(&COLA.into()).unwrap().price = Money(cola);
        till.shelf.items.get_mut(&NOODLES.into()).unwrap().price = Money(noodles);
        let (dataset, name) = ("catalogue".into(), format!("pb-{version}"));
        till.take(Input::Hq(HqInput::Dataset { dataset, version, name }));
    };
    prices(&mut till, 2, 360, 310);
    assert!(heard(&till, 1).is_none() && heard(&till, 2).is_none(), "dearer goods are no news: their price is locked");
    prices(&mut till, 3, 300, 310);
    assert!(heard(&till, 1).unwrap().text.en.starts_with("Cola"));
    assert!(heard(&till, 2).is_none());
    assert_eq!(till.lane(1).total, Money(350), "and still what they were");
    till.take(scan(1, COLA));
    assert_eq!(till.lane(1).lines.iter().map(|line| line.unit_price.0).collect::<Vec<_>>(), [350, 300]);
    till.press(1, PageRequest::VoidLine { line: LineNo(1) }).unwrap();
    till.take(scan(1, COLA));
    assert_eq!(till.lane(1).total, Money(600));
}

#[test]
fn two_starts_from_one_restored_disk_give_out_different_transaction_ids() {
    let mut till = Till::open();
    let mut restored = till.clone();
    restored.take(Input::Boot { version: "test".into(), nonce: 2 });
    till.take(scan(1, NOODLES));
    restored.take(scan(1, NOODLES));
    assert_ne!(till.lane(1).transaction, restored.lane(1).transaction);
}

#[test]
fn a_receipt_keeps_the_hour_the_clock_on_the_wall_showed_also_as_a_copy_in_another_season() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    let staff = |till: &mut Till, offset_min, request| {
        let what = PageRequest::Staff { staff: "s-1".into(), role: Role::Cashier, request };
        let input = Input::Page { lane: LaneId(2), request: RequestId(1), what };
        let now = Now { mono: Mono(till.clock), utc: Utc(1_790_000_100_000), offset_min };
        let mut step = Step::default();
        till.store.step(now, input, &till.shelf, &mut step);
        let printed = step.effects.iter().find_map(|effect| match effect {
            Effect::Device { command: DeviceCommand::Print(job), .. } => Some(job.document.clone()),
            Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
        });
        let Some(Document::Receipt(receipt)) = printed else { panic!("a receipt: {step:?}") };
        receipt.utc_offset_min
    };
    let sold = staff(&mut till, 540, StaffRequest::TakeCash { given: Money(350), amount: None });
    let copy = staff(&mut till, 480, StaffRequest::Reprint {});
    assert_eq!((sold, copy, till.store.config().utc_offset_min), (540, 540, 480));
}
