//! Money that goes back to a card by the terminal and to a wallet through headquarters: once, or by a person.

use crate::common::{COLA, SPIRITS, Till, giving_back, scan};
use checkout::basket::BasketEvent;
use checkout::device::{
    CardOutcome, CardSlip, DeviceCommand, DeviceEvent, Document, LastPayment, TerminalCommand, TerminalEvent,
};
use checkout::event::Event;
use checkout::page::{Method, PageRequest, Refused, ReturnRequest, StaffRequest};
use checkout::store::{HqInput, PortStatus};
use checkout::tender::TenderEvent;
use checkout::view::Phase;
use checkout::wire::{Answer, Question, WalletOutcome};
use checkout::words::{LineNo, Money, TenderId};
use checkout::{Effect, Input, Step, Store};

#[test]
fn a_payment_given_up_is_cancelled_by_the_terminal_that_took_it() {
    let mut till = open();
    pay(&mut till, 200, 7);
    give_up(&mut till);
    let Some(TerminalCommand::Reverse { tender, of, .. }) = commands(&till.last).pop() else { panic!("a reversal") };
    assert_eq!((of.trace, of.receipt, till.lane(2).phase), (7, 7, Phase::Paying));
    assert!(till.said(|event| matches!(event, Event::Tender(TenderEvent::Started { amount: Money(-200), .. }))));
    answer(&mut till, &tender, CardOutcome::Approved(slip(200, 8)));
    assert!(matches!(commands(&till.last)[..], [TerminalCommand::Acknowledge { .. }]), "on disk, then acknowledged");
    finish(&mut till, &tender);
    assert_eq!(till.lane(2).phase, Phase::Idle);
    assert!(till.said(|event| matches!(event, Event::Basket(BasketEvent::Voided { by: Some(_), .. }))));
    let rows = papers(&till.last);
    assert!(rows.contains(&("Back to card".into(), "￥2.00".into())), "the shopper has it on paper: {rows:?}");
    assert!(rows.iter().any(|(_, value)| value == "TID 52500038 / 8"), "{rows:?}");
}

#[test]
fn goods_brought_back_are_refunded_to_the_card_and_the_receipt_says_so() {
    let mut till = open();
    let refund = bring_back(&mut till);
    answer(&mut till, &refund, CardOutcome::Approved(slip(350, 8)));
    finish(&mut till, &refund);
    let receipt = till.lane(2).receipt.expect("a return has a receipt").receipt;
    let back = &receipt.tenders[0];
    assert_eq!(
        (back.kind.zh.as_str(), back.kind.en.as_str(), back.amount),
        ("退回银行卡", "Back to card", Money(-350))
    );
    assert!(back.details.iter().any(|line| line.contains("/ 8")), "{:?}", back.details);
    assert_eq!(till.store.facts().day.refunded.card, Money(350));
}

#[test]
fn only_the_whole_last_payment_is_cancelled_anything_else_is_refunded() {
    let mut till = open();
    pay(&mut till, 100, 7);
    pay(&mut till, 200, 8);
    give_up(&mut till);
    let first = commands(&till.last).pop();
    let Some(TerminalCommand::Refund { tender, amount: Money(100), .. }) = first else { panic!("{first:?}") };
    answer(&mut till, &tender, CardOutcome::Approved(slip(60, 9)));
    finish(&mut till, &tender);
    let rest = commands(&till.last).pop();
    let Some(TerminalCommand::Refund { tender, amount: Money(40), .. }) = rest else { panic!("{rest:?}") };
    answer(&mut till, &tender, CardOutcome::Approved(slip(40, 10)));
    finish(&mut till, &tender);
    let last = commands(&till.last).pop();
    assert!(matches!(last, Some(TerminalCommand::Refund { amount: Money(200), .. })), "no longer its last: {last:?}");
}

#[test]
fn a_refund_the_terminal_declines_or_cannot_make_is_handed_to_staff() {
    let mut till = open();
    let tender = bring_back(&mut till);
    answer(&mut till, &tender, CardOutcome::Declined { code: 0x83 });
    assert!(matches!(commands(&till.last)[..], [TerminalCommand::Acknowledge { .. }]));
    assert_eq!(till.lane(2).phase, Phase::Staff);
    let restarted = restart(&mut till);
    assert!(commands(&restarted).is_empty(), "it said no: there is nothing to ask");
    assert!(till.lane(2).tender.expect("it waits").text.en.starts_with("Give this back"));
    let verdict = |reason: &str| StaffRequest::ResolveTender {
        tender: tender.clone(),
        taken: true,
        reason: reason.into(),
        amount: None,
    };
    assert_eq!(till.staff(2, verdict("")), Err(Refused::NeedsReason));
    till.staff(2, verdict("slip 9")).unwrap();
    assert_eq!(till.lane(2).phase, Phase::Done);
    for gone in [true, false] {
        let mut rules = giving_back();
        rules.lanes[1].gives_back.refund = gone;
        let mut till = Till::with(rules);
        baseline(&mut till);
        pay(&mut till, 350, 7);
        if gone {
            till.take(Input::Port { device: "terminal-2".into(), status: PortStatus::Down { reason: "cut".into() } });
        }
        refund_cola(&mut till);
        assert_eq!((till.lane(2).phase, commands(&till.last).len()), (Phase::Staff, 0));
    }
}

#[test]
fn wherever_the_power_goes_a_refund_is_asked_about_and_never_made_again() {
    for cut in 0..3 {
        for made in [true, false] {
            let mut till = open();
            let tender = bring_back(&mut till);
            if cut > 0 {
                answer(&mut till, &tender, CardOutcome::Approved(slip(350, 8)));
            }
            let restarted = restart(&mut till);
            assert!(
                matches!(commands(&restarted)[..], [TerminalCommand::Query { .. }]),
                "cut {cut}: asked, not repeated"
            );
            let trace = if made { 8 } else { 7 };
            let told = last(&mut till, &tender, LastPayment::Approved(slip(350, trace)));
            assert!(commands(&told).is_empty(), "cut {cut}");
            if made {
                assert_eq!(till.lane(2).phase, Phase::Done, "cut {cut}");
                assert_eq!(till.store.facts().day.refunded.card, Money(350));
            } else {
                let view = till.lane(2);
                assert_eq!(view.phase, Phase::Staff, "cut {cut}: an older slip proves nothing");
                assert!(view.tender.expect("it waits").text.en.contains("journal"));
                let restarted = restart(&mut till);
                assert!(till.lane(2).tender.expect("it waits").text.en.contains("went back already"));
                assert!(matches!(commands(&restarted)[..], [TerminalCommand::Query { .. }]));
            }
        }
    }
}

#[test]
fn silence_is_asked_about_and_after_a_minute_a_person_decides() {
    let mut till = open();
    let tender = bring_back(&mut till);
    till.take(Input::Port { device: "terminal-2".into(), status: PortStatus::Down { reason: "cut".into() } });
    assert_eq!(till.lane(2).phase, Phase::InDoubt);
    till.clock += 61_000;
    till.take(Input::Tick);
    let view = till.lane(2);
    assert_eq!((view.phase, view.tender.expect("it waits").amount), (Phase::Staff, Money(-350)));
    let step = till.take(Input::Port { device: "terminal-2".into(), status: PortStatus::Up }).clone();
    assert!(matches!(commands(&step)[..], [TerminalCommand::Query { .. }]));
    last(&mut till, &tender, LastPayment::Unknown);
    assert_eq!(till.lane(2).phase, Phase::Staff);
    let no = StaffRequest::ResolveTender { tender, taken: false, reason: "not in its journal".into(), amount: None };
    till.staff(2, no).unwrap();
    assert_eq!(till.lane(2).due, Money(-350), "still owed");
    till.staff(2, StaffRequest::Return(ReturnRequest::Refund { in_cash: false })).unwrap();
    let commands = commands(&till.last);
    assert!(matches!(commands[..], [TerminalCommand::Refund { .. }]), "a person made room for it: {commands:?}");
}

#[test]
fn once_a_person_has_worked_at_the_terminal_an_old_doubt_is_not_settled_by_what_it_did_last() {
    let mut till = open();
    let tender = bring_back(&mut till);
    answer(&mut till, &tender, CardOutcome::Declined { code: 5 });
    let by_hand = StaffRequest::ResolveTender { tender, taken: true, reason: "slip 8".into(), amount: None };
    till.staff(2, by_hand).unwrap();
    assert!(till.said(|event| matches!(event, Event::Tender(TenderEvent::TerminalUsed { .. }))));
    assert!(matches!(commands(&till.last)[..], [TerminalCommand::Query { .. }]), "it is asked anew");
    // The shopper buys the same again; the line breaks before the terminal hears of it.
    till.take(scan(2, COLA));
    till.press(2, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    let tender = till.lane(2).tender.and_then(|tender| tender.tender).expect("under way");
    restart(&mut till);
    last(&mut till, &tender, LastPayment::Approved(slip(350, 8)));
    assert_eq!(till.lane(2).phase, Phase::Staff, "that was the refund by hand, and no payment");
}

#[test]
fn a_terminal_that_tells_payments_only_never_proves_a_refund_by_an_older_payment() {
    let mut till = open();
    pay(&mut till, 100, 7);
    pay(&mut till, 100, 8);
    give_up(&mut till);
    let tender = under_way(&till);
    answer(&mut till, &tender, CardOutcome::Approved(slip(100, 9)));
    finish(&mut till, &tender);
    let second = under_way(&till);
    assert_ne!(tender, second);
    restart(&mut till);
    last(&mut till, &second, LastPayment::Approved(slip(100, 8)));
    assert_eq!(till.lane(2).phase, Phase::Staff, "that is the payment itself");
}

#[test]
fn a_cancellation_under_the_payments_own_number_is_not_proved_by_the_payment() {
    let mut till = open();
    pay(&mut till, 200, 7);
    give_up(&mut till);
    let tender = under_way(&till);
    answer(&mut till, &tender, CardOutcome::Approved(slip(200, 7)));
    restart(&mut till);
    last(&mut till, &tender, LastPayment::Approved(slip(200, 7)));
    assert_eq!(till.lane(2).phase, Phase::Staff);
}

#[test]
fn a_wallet_gets_its_money_back_through_headquarters_once() {
    let mut till = open();
    let charge = wallet_pays(&mut till);
    refund_cola(&mut till);
    let asked = questions(&till.last);
    let [Question::RefundWallet { tender, of, amount: Money(350), currency }] = &asked[..] else { panic!("{asked:?}") };
    assert_eq!((of, currency.as_str()), (&charge, "CNY"));
    till.clock += 5_000;
    till.take(Input::Tick);
    let again = questions(&till.last);
    assert!(
        matches!(&again[..], [Question::QueryWallet { tender: query }] if query == tender),
        "asked about: {again:?}"
    );
    wallet(&mut till, tender, WalletOutcome::Approved { amount: Money(350), reference: "r".into() });
    let receipt = till.lane(2).receipt.expect("a receipt").receipt;
    assert_eq!((till.lane(2).phase, receipt.tenders[0].kind.en.as_str()), (Phase::Done, "Back to wallet"));
    wallet(&mut till, tender, WalletOutcome::Approved { amount: Money(350), reference: "r".into() });
    assert_eq!(till.store.facts().day.refunded.wallet, Money(350));
}

#[test]
fn with_the_network_away_a_wallet_refund_is_handed_to_staff() {
    let mut till = open();
    wallet_pays(&mut till);
    till.take(Input::Hq(HqInput::Online(false)));
    refund_cola(&mut till);
    assert_eq!((till.lane(2).phase, questions(&till.last).len()), (Phase::Staff, 0));
    // Asked, then the network goes: the question is asked about as soon as it is back.
    for answered in [WalletOutcome::Approved { amount: Money(350), reference: "r".into() }, WalletOutcome::NotFound] {
        let mut till = open();
        wallet_pays(&mut till);
        refund_cola(&mut till);
        let tender = under_way(&till);
        till.take(Input::Hq(HqInput::Online(false)));
        for _ in 0..7 {
            till.clock += 10_000;
            till.take(Input::Tick);
            assert!(questions(&till.last).is_empty());
        }
        assert_eq!(till.lane(2).phase, Phase::Staff);
        till.take(Input::Hq(HqInput::Online(true)));
        assert!(matches!(questions(&till.last)[..], [Question::QueryWallet { .. }]));
        let went = answered != WalletOutcome::NotFound;
        wallet(&mut till, &tender, answered);
        assert_eq!(till.lane(2).phase, if went { Phase::Done } else { Phase::Staff });
    }
}

#[test]
fn practice_gives_back_at_once_and_asks_nobody() {
    let mut rules = giving_back();
    rules.till.training = true;
    let mut till = Till::with(rules);
    till.take(scan(2, COLA));
    till.press(2, PageRequest::Pay { method: Method::Card, amount: Some(Money(200)) }).unwrap();
    give_up(&mut till);
    assert_eq!((till.lane(2).phase, commands(&till.last).len()), (Phase::Idle, 0));
}

/// Terminals that give back, headquarters in reach, the terminal's past known.
fn open() -> Till {
    let mut till = Till::with(giving_back());
    till.take(Input::Hq(HqInput::Online(true)));
    baseline(&mut till);
    till
}

fn baseline(till: &mut Till) {
    last(till, &"baseline".into(), LastPayment::Nothing);
}

fn slip(amount: i64, trace: u32) -> CardSlip {
    CardSlip {
        amount: Money(amount),
        trace,
        receipt: trace,
        terminal: "52500038".into(),
        pan: None,
        scheme: "girocard".into(),
        reference: String::new(),
        text: Vec::new(),
        offline: false,
    }
}

fn event(till: &mut Till, event: TerminalEvent) -> Step {
    till.take(Input::Device { device: "terminal-2".into(), event: DeviceEvent::Terminal(event) }).clone()
}

fn answer(till: &mut Till, tender: &TenderId, outcome: CardOutcome) {
    event(till, TerminalEvent::Answered { tender: tender.clone(), outcome });
}

fn finish(till: &mut Till, tender: &TenderId) {
    event(till, TerminalEvent::Finished { tender: tender.clone() });
}

fn last(till: &mut Till, tender: &TenderId, last: LastPayment) -> Step {
    event(till, TerminalEvent::Last { tender: tender.clone(), last })
}

fn under_way(till: &Till) -> TenderId {
    till.lane(2).tender.and_then(|tender| tender.tender).expect("a tender is under way")
}

/// A part of a bottle of spirits, or all of a cola, by card.
fn pay(till: &mut Till, amount: i64, trace: u32) {
    if till.lane(2).lines.is_empty() {
        till.take(scan(2, if amount == 350 { COLA } else { SPIRITS }));
        if let Some(asked) = till.lane(2).interventions.first() {
            let approve = StaffRequest::Answer { intervention: asked.id, approved: true, reason: String::new() };
            till.staff(2, approve).unwrap();
        }
    }
    till.press(2, PageRequest::Pay { method: Method::Card, amount: Some(Money(amount)) }).unwrap();
    let tender = under_way(till);
    answer(till, &tender, CardOutcome::Approved(slip(amount, trace)));
    finish(till, &tender);
}

fn give_up(till: &mut Till) {
    till.staff(2, StaffRequest::VoidTransaction { reason: "wrong goods".into() }).unwrap();
}

/// A cola paid by card comes back; the refund is under way.
fn bring_back(till: &mut Till) -> TenderId {
    pay(till, 350, 7);
    refund_cola(till);
    let Some(TerminalCommand::Refund { tender, amount: Money(350), .. }) = commands(&till.last).pop() else {
        panic!("a refund: {:?}", till.last)
    };
    tender
}

fn refund_cola(till: &mut Till) {
    let code = till.lane(2).receipt.expect("sold").receipt.code;
    till.take(scan(2, &code));
    till.staff(2, StaffRequest::Return(ReturnRequest::Line { line: LineNo(1), quantity: 1 })).unwrap();
    till.staff(2, StaffRequest::Return(ReturnRequest::Refund { in_cash: false })).unwrap();
}

fn wallet_pays(till: &mut Till) -> TenderId {
    till.take(scan(2, COLA));
    till.press(2, PageRequest::Pay { method: Method::Wallet, amount: None }).unwrap();
    till.take(scan(2, "135790246813579024"));
    let tender = under_way(till);
    wallet(till, &tender, WalletOutcome::Approved { amount: Money(350), reference: "w".into() });
    tender
}

fn wallet(till: &mut Till, tender: &TenderId, outcome: WalletOutcome) {
    let tender = tender.clone();
    till.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
}

/// The power goes and comes back; what the store does as its terminal comes up.
fn restart(till: &mut Till) -> Step {
    let mut store = Store::new(till.store.config().clone());
    till.journal.iter().for_each(|record| store.apply(record));
    till.store = store;
    till.take(Input::Boot { version: "test".into(), nonce: 2 });
    assert!(commands(&till.last).is_empty());
    till.take(Input::Port { device: "terminal-2".into(), status: PortStatus::Up }).clone()
}

fn commands(step: &Step) -> Vec<TerminalCommand> {
    let of = |effect: &Effect| match effect {
        Effect::Device { command: DeviceCommand::Terminal(command), .. } => Some(command.clone()),
        Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
    };
    step.effects.iter().filter_map(of).collect()
}

fn questions(step: &Step) -> Vec<Question> {
    let of = |effect: &Effect| if let Effect::Ask { what, .. } = effect { Some(what.clone()) } else { None };
    step.effects.iter().filter_map(of).collect()
}

fn papers(step: &Step) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for effect in &step.effects {
        if let Effect::Device { command: DeviceCommand::Print(job), .. } = effect
            && let Document::Slip(slip) = &job.document
        {
            rows.extend(slip.rows.iter().map(|row| (row.label.en.clone(), row.value.clone())));
        }
    }
    rows
}
