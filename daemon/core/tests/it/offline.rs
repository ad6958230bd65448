//! Cards while the terminal's line to the bank is down, and the terminal's day against the journal.

use crate::common::{COLA, Till, scan};
use checkout::calendar;
use checkout::device::{
    CardOutcome, CardSlip, DeviceCommand, DeviceEvent, TerminalCommand, TerminalEvent, TerminalService,
};
use checkout::event::Event;
use checkout::page::{Method, PageRequest, Refused, StaffRequest};
use checkout::policy::{CARD_OFFLINE, Exposure, Policy};
use checkout::store::{HqInput, PortStatus};
use checkout::tender::{DifferenceKind, TenderEvent, TerminalClosing};
use checkout::view::Phase;
use checkout::words::{Money, Role, TenderId, Utc};
use checkout::{Effect, Input, Store};

const CARD: PageRequest = PageRequest::Pay { method: Method::Card, amount: None };
const HOUR: i64 = 3_600_000;

fn policy() -> Policy {
    Policy {
        id: CARD_OFFLINE.into(),
        until: calendar::read("2027-01-01").unwrap(),
        per_sale: Money(1_000),
        count: 3,
        total: Money(2_000),
        hours: 4,
    }
}

#[test]
fn each_limit_of_the_policy_holds_by_itself_and_nothing_is_allowed_by_default() {
    let held = |count, total, age_ms| Exposure {
        offline: true,
        count,
        total: Money(total),
        since: (count > 0).then_some(Utc(100 * HOUR - age_ms)),
    };
    let table = [
        (held(0, 0, 0), 1_000, true, "as much as one sale may be"),
        (held(0, 0, 0), 1_001, false, "more than one sale may be"),
        (held(2, 200, 0), 100, true, "the last that may be held"),
        (held(3, 300, 0), 100, false, "one more than may be held"),
        (held(2, 1_500, 0), 500, true, "all that may be held together"),
        (held(2, 1_500, 0), 501, false, "more than may be held together"),
        (held(1, 100, 4 * HOUR - 1), 100, true, "just before the oldest is too old"),
        (held(1, 100, 4 * HOUR), 100, false, "the oldest has waited too long"),
    ];
    for (held, amount, allowed, why) in table {
        assert_eq!(policy().allows(&held, Money(amount), Utc(100 * HOUR)), allowed, "{why}");
    }
    for nothing in [
        Policy { per_sale: Money::ZERO, ..policy() },
        Policy { count: 0, ..policy() },
        Policy { total: Money::ZERO, ..policy() },
        Policy { hours: 0, ..policy() },
    ] {
        assert!(!nothing.allows(&held(0, 0, 0), Money(1), Utc(0)), "{nothing:?}");
    }
    assert!(Policy { id: "wallet_offline".into(), ..policy() }.check().is_err(), "only what can be kept is promised");
}

#[test]
fn without_a_policy_no_card_is_taken_after_a_terminal_has_approved_one_by_itself_until_it_reaches_its_bank() {
    let mut till = Till::open();
    pays(&mut till, 350, 1, true);
    assert_eq!(till.lane(2).phase, Phase::Done, "the shopper has paid");
    let held = &till.store.view(&till.shelf).exposure[&"terminal-2".into()];
    assert_eq!((held.total, held.count, held.offline), (Money(350), 1, true), "and the shop sees what it carries");
    till.take(scan(2, COLA));
    assert_eq!(till.press(2, CARD), Err(Refused::CardOffline));
    let asked = commands(&till);
    assert!(matches!(&asked[..], [TerminalCommand::Service { service: TerminalService::Diagnosis, .. }]), "{asked:?}");
    assert!(till.last.events.is_empty(), "nothing has begun");
    serviced(&mut till, TerminalService::Diagnosis, 108);
    assert_eq!(till.press(2, CARD), Err(Refused::CardOffline), "still away");
    serviced(&mut till, TerminalService::Diagnosis, 0);
    assert!(till.said(|event| matches!(event, Event::Tender(TenderEvent::TerminalOnline { .. }))));
    till.press(2, CARD).unwrap();
    restart(&mut till);
    assert_eq!(till.store.facts().exposure[&"terminal-2".into()].total, Money(350), "carried until it is handed in");
}

#[test]
fn a_policy_in_force_lets_cards_through_up_to_its_limits_and_an_expired_one_none() {
    for (until, allowed) in [("2027-01-01", true), ("2026-09-21", false)] {
        let mut till = Till::open();
        till.shelf.policies = vec![Policy { until: calendar::read(until).unwrap(), ..policy() }];
        pays(&mut till, 350, 1, true);
        till.take(scan(2, COLA));
        assert_eq!(till.press(2, CARD).is_ok(), allowed, "{until}");
    }
    let mut till = Till::open();
    till.shelf.policies = vec![policy()];
    for trace in 1..=3 {
        pays(&mut till, 350, trace, true);
    }
    till.take(scan(2, COLA));
    assert_eq!(till.press(2, CARD), Err(Refused::CardOffline), "three are held");
    pays_in_cash(&mut till);
    closes(&mut till, Some(1_050));
    assert!(till.store.facts().exposure.is_empty(), "handed in");
    till.take(scan(2, COLA));
    till.press(2, CARD).unwrap();
}

#[test]
fn offline_wallets_and_points_are_refused_and_cards_are_the_terminals_own_matter() {
    let mut till = Till::open();
    till.take(Input::Hq(HqInput::Online(false)));
    till.take(scan(2, COLA));
    for (method, refused) in [(Method::Wallet, Refused::HqOffline), (Method::Points, Refused::NoPoints)] {
        assert_eq!(till.press(2, PageRequest::Pay { method, amount: None }), Err(refused));
    }
    assert_eq!(till.press(2, PageRequest::CheckGift {}), Err(Refused::HqOffline));
    till.press(2, CARD).unwrap();
}

#[test]
fn a_terminal_that_hands_in_what_the_journal_says_is_even_and_begins_anew() {
    let mut till = Till::open();
    pays(&mut till, 350, 1, false);
    pays(&mut till, 350, 2, false);
    let closing = closes(&mut till, Some(700));
    assert_eq!((closing.here.count, closing.here.total, closing.differences.len()), (2, Money(700), 0));
    assert!(till.lane(2).notice.expect("it is told").good);
    let closing = closes(&mut till, Some(0));
    assert_eq!((closing.here.count, closing.differences.len()), (0, 0));
}

#[test]
fn what_terminal_and_journal_say_differently_is_named_by_kind_and_by_the_payment_that_explains_it() {
    let table = [
        (Some(700), None, None),
        (Some(350), Some(DifferenceKind::MissingThere), Some(true)),
        (Some(1_050), Some(DifferenceKind::Double), Some(true)),
        (Some(1_000), Some(DifferenceKind::MissingHere), Some(false)),
        (None, None, None),
    ];
    for (there, kind, explained) in table {
        let mut till = Till::open();
        pays(&mut till, 350, 1, false);
        pays(&mut till, 350, 2, false);
        let closing = closes(&mut till, there);
        let found = closing.differences.first();
        assert_eq!(found.map(|one| one.kind), kind, "{there:?}");
        assert_eq!(found.map(|one| one.tender.is_some()), explained, "{there:?}");
        assert_eq!(till.store.view(&till.shelf).closings[&"terminal-2".into()], closing);
    }
    let mut till = Till::open();
    pays(&mut till, 350, 1, false);
    till.staff_as(Role::Supervisor, 2, StaffRequest::CloseTerminal {}).unwrap();
    totals(&mut till, 340, Some(1));
    serviced(&mut till, TerminalService::EndOfDay, 0);
    let found = &till.store.facts().closings[&"terminal-2".into()].differences;
    assert_eq!(found[0].kind, DifferenceKind::AmountDiffers, "as many payments, another sum");
}

#[test]
fn a_terminals_day_is_a_supervisors_and_one_that_failed_or_died_leaves_the_journal_as_it_was() {
    let mut till = Till::open();
    pays(&mut till, 350, 1, false);
    assert_eq!(till.staff(2, StaffRequest::CloseTerminal {}), Err(Refused::RoleTooLow));
    till.staff_as(Role::Supervisor, 2, StaffRequest::CloseTerminal {}).unwrap();
    serviced(&mut till, TerminalService::EndOfDay, 0x6c);
    assert!(till.last.events.is_empty() && !till.lane(2).notice.expect("it is told").good);
    totals(&mut till, 350, None);
    serviced(&mut till, TerminalService::EndOfDay, 0);
    assert!(till.last.events.is_empty(), "nobody asked for it");
    till.staff_as(Role::Supervisor, 2, StaffRequest::CloseTerminal {}).unwrap();
    restart(&mut till);
    serviced(&mut till, TerminalService::EndOfDay, 0);
    assert!(till.store.facts().closings.is_empty());
    assert_eq!(closes(&mut till, Some(350)).differences.len(), 0, "asked again after the restart");
    till.take(scan(2, COLA));
    till.press(2, CARD).unwrap();
    assert_eq!(till.staff_as(Role::Supervisor, 2, StaffRequest::CloseTerminal {}), Err(Refused::TerminalDown), "busy");
}

#[test]
fn a_terminal_that_answers_under_another_number_takes_no_card_until_a_supervisor_has_looked_at_it() {
    let mut till = Till::open();
    pays(&mut till, 350, 1, false);
    pays_at(&mut till, 350, 2, false, "66666666");
    assert_eq!(till.lane(2).phase, Phase::Staff, "a rogue terminal says approved, too");
    let tender = till.lane(2).tender.and_then(|tender| tender.tender).expect("it waits");
    let verdict = StaffRequest::ResolveTender { tender, taken: false, reason: "not our terminal".into(), amount: None };
    till.staff_as(Role::Supervisor, 2, verdict).unwrap();
    restart(&mut till);
    assert_eq!(till.press(2, CARD), Err(Refused::TerminalChanged));
    assert_eq!(till.staff(2, StaffRequest::AcceptTerminal {}), Err(Refused::RoleTooLow));
    till.staff_as(Role::Supervisor, 2, StaffRequest::AcceptTerminal {}).unwrap();
    assert_eq!(till.staff_as(Role::Supervisor, 2, StaffRequest::AcceptTerminal {}), Err(Refused::NothingHere));
    pays_in_cash(&mut till);
    pays_at(&mut till, 350, 3, false, "66666666");
    assert_eq!(till.lane(2).phase, Phase::Done);
}

/// A card sale of one can.
fn pays(till: &mut Till, amount: i64, trace: u32, offline: bool) {
    pays_at(till, amount, trace, offline, "52500038");
}

fn pays_at(till: &mut Till, amount: i64, trace: u32, offline: bool, terminal_id: &str) {
    till.take(scan(2, COLA));
    till.press(2, CARD).unwrap();
    let tender = till.lane(2).tender.and_then(|tender| tender.tender).expect("a tender is under way");
    let slip = CardSlip {
        amount: Money(amount),
        trace,
        receipt: trace,
        terminal: terminal_id.into(),
        pan: None,
        scheme: "girocard".into(),
        reference: String::new(),
        text: Vec::new(),
        offline,
    };
    terminal(till, TerminalEvent::Answered { tender: tender.clone(), outcome: CardOutcome::Approved(slip) });
    terminal(till, TerminalEvent::Finished { tender });
}

fn pays_in_cash(till: &mut Till) {
    till.staff(2, StaffRequest::TakeCash { given: Money(350), amount: None }).unwrap();
}

fn closes(till: &mut Till, there: Option<i64>) -> TerminalClosing {
    till.staff_as(Role::Supervisor, 2, StaffRequest::CloseTerminal {}).unwrap();
    let asked = commands(till);
    assert!(matches!(&asked[..], [TerminalCommand::Service { service: TerminalService::EndOfDay, .. }]), "{asked:?}");
    if let Some(there) = there {
        totals(till, there, None);
    }
    serviced(till, TerminalService::EndOfDay, 0);
    till.store.facts().closings[&"terminal-2".into()].clone()
}

fn totals(till: &mut Till, total: i64, count: Option<u32>) {
    let tender = TenderId("closing".into());
    terminal(till, TerminalEvent::Totals { tender, total: Money(total), count });
}

fn serviced(till: &mut Till, service: TerminalService, code: u8) {
    terminal(till, TerminalEvent::Serviced { tender: TenderId("service".into()), service, code });
}

fn terminal(till: &mut Till, event: TerminalEvent) {
    till.take(Input::Device { device: "terminal-2".into(), event: DeviceEvent::Terminal(event) });
}

fn commands(till: &Till) -> Vec<TerminalCommand> {
    let of = |effect: &Effect| match effect {
        Effect::Device { command: DeviceCommand::Terminal(command), .. } => Some(command.clone()),
        Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
    };
    till.last.effects.iter().filter_map(of).collect()
}

fn restart(till: &mut Till) {
    let mut store = Store::new(till.store.config().clone());
    till.journal.iter().for_each(|record| store.apply(record));
    till.store = store;
    till.take(Input::Boot { version: "test".into(), nonce: 2 });
    till.take(Input::Port { device: "terminal-2".into(), status: PortStatus::Up });
}
