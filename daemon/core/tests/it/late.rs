//! Payments headquarters charges: when they are asked about and given up, what arrives too late, and gift cards.

use crate::common::{COLA, NOODLES, Till, scan};
use checkout::event::Event;
use checkout::page::{Method, PageRequest, Refused, StaffRequest};
use checkout::scan::Printed;
use checkout::store::HqInput;
use checkout::tender::{DeclineReason, REVERSE_NOT_BEFORE_MS, TaskState, TenderEvent, WALLET_PENDING_MS, refund_of};
use checkout::view::{Phase, TenderKind};
use checkout::wire::{Answer, Question, WalletOutcome};
use checkout::words::{LaneId, Money, Role, TenderId};
use checkout::{Effect, Input, Store};

const CODE: &str = "135790246813579024";

#[test]
fn a_shopper_who_never_confirms_is_asked_about_after_5_s_then_every_10_and_given_up_after_45() {
    let mut till = open();
    let tender = wallet_begins(&mut till, None);
    let begun = till.clock;
    answer(&mut till, &tender, WalletOutcome::Pending);
    assert_eq!(till.lane(2).tender.expect("it waits").text.en, "Please confirm on your phone");
    let mut asked = Vec::new();
    while till.clock < begun + 70_000 {
        till.clock = till.store.deadline().expect("something is due").0.0;
        till.take(Input::Tick);
        for question in questions(&till) {
            asked.push((question, (till.clock - begun) / 1_000));
            answer(&mut till, &tender, WalletOutcome::Pending);
        }
    }
    let queries: Vec<u64> = asked.iter().filter(|(what, _)| what.starts_with("query")).map(|(_, at)| *at).collect();
    assert_eq!(queries[..4], [5, 15, 25, 35], "{asked:?}");
    let given_up: Vec<u64> = asked.iter().filter(|(what, _)| what.starts_with("reverse")).map(|(_, at)| *at).collect();
    assert_eq!(given_up[0], WALLET_PENDING_MS / 1_000, "{asked:?}");
    assert!(given_up.len() > 1, "asked again while nobody says that it is done: {asked:?}");
    let journaled =
        till.journal.iter().filter(|record| matches!(&record.event, Event::Tender(TenderEvent::GivingUp { .. })));
    assert_eq!(journaled.count(), 1, "a fact once");
    answer(&mut till, &tender, WalletOutcome::Reversed);
    assert!(
        till.said(|event| matches!(
            event,
            Event::Tender(TenderEvent::Declined { reason: DeclineReason::TakenBack, .. })
        ))
    );
    assert_eq!((till.lane(2).phase, till.lane(2).due), (Phase::Scanning, Money(350)));
}

#[test]
fn a_payment_backed_out_of_is_not_given_up_within_15_s_and_never_without_a_question() {
    let mut till = open();
    let tender = wallet_begins(&mut till, None);
    let begun = till.clock;
    answer(&mut till, &tender, WalletOutcome::Pending);
    till.press(2, PageRequest::CancelPayment {}).unwrap();
    till.take(Input::Tick);
    assert_eq!(questions(&till), ["query"]);
    let mut given_up = None;
    let mut heard = false;
    while till.clock < begun + 60_000 && given_up.is_none() {
        till.clock = till.store.deadline().expect("something is due").0.0;
        till.take(Input::Tick);
        let asked = questions(&till);
        given_up = asked.iter().any(|what| what == "reverse").then_some(till.clock);
        assert!(given_up.is_none() || heard, "not before it was asked about");
        // The first question is lost: only an answered one counts.
        if asked.iter().any(|what| what == "query") {
            answer(&mut till, &tender, WalletOutcome::Pending);
            heard = true;
        }
    }
    assert!(given_up.expect("it is given up") >= begun + REVERSE_NOT_BEFORE_MS);
    answer(&mut till, &tender, WalletOutcome::Approved { amount: Money(350), reference: "w".into() });
    assert_eq!(till.lane(2).phase, Phase::Done, "it was taken before it could be given up: the sale stands");
}

#[test]
fn after_a_restart_a_wallet_payment_is_asked_about_and_given_up_by_its_own_clock() {
    let mut till = open();
    let tender = wallet_begins(&mut till, None);
    restart(&mut till);
    till.take(Input::Hq(HqInput::Online(true)));
    assert_eq!(questions(&till), ["query"], "asked, never charged again");
    let woken = till.clock;
    answer(&mut till, &tender, WalletOutcome::Pending);
    while !questions(&till).contains(&"reverse".to_owned()) {
        till.clock = till.store.deadline().expect("something is due").0.0;
        till.take(Input::Tick);
        if questions(&till) == ["query"] {
            answer(&mut till, &tender, WalletOutcome::Pending);
        }
    }
    assert!(till.clock >= woken + REVERSE_NOT_BEFORE_MS);
}

#[test]
fn money_that_arrives_after_the_payment_was_given_up_goes_back_exactly_once() {
    let mut till = open();
    let tender = wallet_begins(&mut till, None);
    answer(&mut till, &tender, WalletOutcome::Reversed);
    cash(&mut till);
    assert_eq!(till.lane(2).phase, Phase::Done, "paid otherwise");
    let late = WalletOutcome::Approved { amount: Money(350), reference: "late".into() };
    answer(&mut till, &tender, late.clone());
    assert!(till.said(|event| matches!(event, Event::Tender(TenderEvent::LateApproved { .. }))));
    let refund = refund_of(&tender);
    assert_eq!(refunds(&till), [(refund.clone(), tender.clone(), Money(350))], "durable, then asked");
    let task = till.store.view(&till.shelf).refund_tasks.pop().expect("staff see it");
    assert_eq!((task.amount, task.done, task.kind), (Money(350), false, TenderKind::Wallet));

    answer(&mut till, &tender, late.clone());
    assert!(till.last.events.is_empty() && refunds(&till).is_empty(), "told twice, taken once");
    till.clock += 10_000;
    till.take(Input::Tick);
    assert_eq!(refunds(&till), [(refund.clone(), tender.clone(), Money(350))], "asked again under the same id");
    restart(&mut till);
    till.take(Input::Hq(HqInput::Online(true)));
    assert_eq!(refunds(&till).len(), 1, "a power cut forgets no task");

    answer(&mut till, &refund, WalletOutcome::Approved { amount: Money(350), reference: "r".into() });
    assert_eq!(till.store.facts().late.owed(), Money::ZERO);
    answer(&mut till, &refund, WalletOutcome::Approved { amount: Money(350), reference: "r".into() });
    answer(&mut till, &tender, late);
    till.take(Input::Hq(HqInput::Online(true)));
    assert!(refunds(&till).is_empty() && till.store.facts().late.tasks[&tender].state == TaskState::Done);
}

#[test]
fn late_money_headquarters_does_not_give_back_is_a_supervisors_with_a_reason() {
    let mut till = open();
    let tender = wallet_begins(&mut till, None);
    answer(&mut till, &tender, WalletOutcome::NotFound);
    answer(&mut till, &tender, WalletOutcome::Approved { amount: Money(350), reference: "late".into() });
    assert_eq!(till.lane(2).due, Money(350), "the open basket is not paid by it: the shopper may have paid otherwise");
    answer(&mut till, &refund_of(&tender), WalletOutcome::Declined { reason: "nothing left".into() });
    let settle = |reason: &str| StaffRequest::SettleLate { tender: tender.clone(), reason: reason.into() };
    assert_eq!(till.staff(2, settle("transferred")), Err(Refused::RoleTooLow));
    assert_eq!(till.staff_as(Role::Supervisor, 2, settle(" ")), Err(Refused::NeedsReason));
    till.staff_as(Role::Supervisor, 2, settle("transferred")).unwrap();
    assert_eq!(till.store.facts().late.owed(), Money::ZERO);
    assert_eq!(till.staff_as(Role::Supervisor, 2, settle("again")), Err(Refused::NothingHere));
}

#[test]
fn news_about_a_payment_that_was_sold_for_or_never_was_ours_is_no_task() {
    let mut till = open();
    let tender = wallet_begins(&mut till, None);
    let approved = WalletOutcome::Approved { amount: Money(350), reference: "w".into() };
    answer(&mut till, &tender, approved.clone());
    assert_eq!(till.lane(2).phase, Phase::Done);
    answer(&mut till, &tender, approved.clone());
    answer(&mut till, &"somebody-s.1".into(), approved.clone());
    answer(&mut till, &refund_of(&tender), approved);
    assert!(till.last.events.is_empty() && till.store.facts().late.tasks.is_empty());
}

#[test]
fn while_a_payment_is_in_doubt_no_other_begins_and_only_a_supervisor_says_that_nothing_was_taken() {
    let mut till = open();
    till.take(scan(2, COLA));
    till.press(2, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    let tender = under_way(&till);
    till.clock += 200_000;
    till.take(Input::Tick);
    till.clock += 61_000;
    till.take(Input::Tick);
    let view = till.lane(2);
    assert_eq!(view.phase, Phase::Staff);
    let check = view.tender.and_then(|tender| tender.check).expect("staff read what to look for");
    assert_eq!((check.device, check.trace), (Some("terminal-2".into()), None));
    assert!(check.started.0 > 0);
    for method in [Method::Card, Method::Wallet, Method::Cash { given: Money(1_000) }] {
        assert_eq!(till.press(2, PageRequest::Pay { method, amount: None }), Err(Refused::InDoubt));
    }
    let verdict = |taken, reason: &str| StaffRequest::ResolveTender {
        tender: tender.clone(),
        taken,
        reason: reason.into(),
        amount: None,
    };
    assert_eq!(till.staff(2, verdict(false, "its journal shows none")), Err(Refused::RoleTooLow));
    assert_eq!(till.staff_as(Role::Supervisor, 2, verdict(false, "")), Err(Refused::NeedsReason));
    till.staff_as(Role::Supervisor, 2, verdict(false, "its journal shows none")).unwrap();
    cash(&mut till);
    assert_eq!(till.lane(2).phase, Phase::Done);
}

#[test]
fn a_gift_card_pays_what_is_on_it_the_rest_is_paid_otherwise_and_both_go_back_when_given_up() {
    let mut till = open();
    let card = gift();
    till.take(scan(2, &card));
    assert!(questions(&till).is_empty(), "nobody pays: no gift card");
    let tender = wallet_begins(&mut till, Some(&card));
    assert!(till.said(|event| matches!(event, Event::Tender(TenderEvent::Started { kind: TenderKind::Gift, .. }))));
    answer(&mut till, &tender, WalletOutcome::Approved { amount: Money(200), reference: "GIFT-7".into() });
    assert_eq!(till.lane(2).due, Money(150));
    let journal = serde_json::to_string(&till.journal).unwrap();
    assert!(!journal.contains(&card) && !journal.contains("4242"), "whoever knows the code can spend it");
    till.staff(2, StaffRequest::VoidTransaction { reason: "changed mind".into() }).unwrap();
    let back = under_way(&till);
    assert_eq!(refunds(&till), [(back.clone(), tender, Money(200))]);
    answer(&mut till, &back, WalletOutcome::Approved { amount: Money(200), reference: "GIFT-8".into() });
    assert_eq!(till.lane(2).phase, Phase::Idle);
}

#[test]
fn a_gift_card_says_what_is_left_on_it_without_a_basket_and_moves_nothing() {
    let mut till = open();
    till.press(2, PageRequest::CheckGift {}).unwrap();
    till.take(scan(2, CODE));
    assert!(questions(&till).is_empty(), "a wallet's code is no gift card");
    till.press(2, PageRequest::CheckGift {}).unwrap();
    till.take(scan(2, &gift()));
    assert_eq!(questions(&till), ["balance"]);
    till.take(Input::Hq(HqInput::Answer(Answer::GiftBalance { lane: LaneId(2), balance: Some(Money(1_250)) })));
    assert!(till.lane(2).notice.expect("it is told").text.en.ends_with("￥12.50"));
    assert!(till.last.events.is_empty());
}

#[test]
fn when_the_second_part_fails_and_the_shopper_leaves_the_first_goes_back() {
    let mut till = open();
    till.take(scan(2, NOODLES));
    let first = wallet_begins(&mut till, None);
    answer(&mut till, &first, WalletOutcome::Approved { amount: Money(100), reference: "w".into() });
    till.press(2, PageRequest::Pay { method: Method::Wallet, amount: None }).unwrap();
    till.take(scan(2, CODE));
    let second = under_way(&till);
    answer(&mut till, &second, WalletOutcome::Declined { reason: "no money".into() });
    till.staff(2, StaffRequest::VoidTransaction { reason: "leaves".into() }).unwrap();
    let back = under_way(&till);
    assert_eq!(refunds(&till), [(back.clone(), first, Money(100))]);
    answer(&mut till, &back, WalletOutcome::Approved { amount: Money(100), reference: "r".into() });
    assert_eq!(till.lane(2).phase, Phase::Idle);
}

fn open() -> Till {
    let mut till = Till::open();
    till.take(Input::Hq(HqInput::Online(true)));
    till
}

fn gift() -> String {
    Printed::Gift.code("4242424242").expect("letters and digits")
}

/// One item is in the basket, and its payment has begun.
fn wallet_begins(till: &mut Till, code: Option<&str>) -> TenderId {
    till.take(scan(2, COLA));
    till.press(2, PageRequest::Pay { method: Method::Wallet, amount: None }).unwrap();
    till.take(scan(2, code.unwrap_or(CODE)));
    assert_eq!(questions(till), ["charge"]);
    under_way(till)
}

fn cash(till: &mut Till) {
    till.staff(2, StaffRequest::TakeCash { given: Money(1_000), amount: None }).unwrap();
}

fn under_way(till: &Till) -> TenderId {
    till.lane(2).tender.and_then(|tender| tender.tender).expect("a tender is under way")
}

fn answer(till: &mut Till, tender: &TenderId, outcome: WalletOutcome) {
    let tender = tender.clone();
    till.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
}

fn restart(till: &mut Till) {
    let mut store = Store::new(till.store.config().clone());
    till.journal.iter().for_each(|record| store.apply(record));
    till.store = store;
    till.take(Input::Boot { version: "test".into(), nonce: 2 });
}

fn asked(till: &Till) -> Vec<Question> {
    let of = |effect: &Effect| if let Effect::Ask { what, .. } = effect { Some(what.clone()) } else { None };
    till.last.effects.iter().filter_map(of).collect()
}

fn questions(till: &Till) -> Vec<String> {
    let word = |question: Question| match question {
        Question::AuthoriseWallet { .. } => "charge",
        Question::RefundWallet { .. } => "refund",
        Question::QueryWallet { .. } => "query",
        Question::ReverseWallet { .. } => "reverse",
        Question::GiftBalance { .. } => "balance",
        Question::ChargeMember { .. }
        | Question::ClaimCoupon { .. }
        | Question::Chunk { .. }
        | Question::Refill { .. } => "other",
    };
    asked(till).into_iter().map(|question| word(question).to_owned()).collect()
}

fn refunds(till: &Till) -> Vec<(TenderId, TenderId, Money)> {
    let of = |question| match question {
        Question::RefundWallet { tender, of, amount, .. } => Some((tender, of, amount)),
        Question::AuthoriseWallet { .. }
        | Question::QueryWallet { .. }
        | Question::ReverseWallet { .. }
        | Question::GiftBalance { .. }
        | Question::ClaimCoupon { .. }
        | Question::ChargeMember { .. }
        | Question::Chunk { .. }
        | Question::Refill { .. } => None,
    };
    asked(till).into_iter().filter_map(of).collect()
}
