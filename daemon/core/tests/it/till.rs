//! The cashier's day: split payments, shifts, returns, baskets that move, practice. Each test is a sentence a cashier would say.

use crate::common::{COLA, MEMBER, NOODLES, SPIRITS, Till, config, scan};
use checkout::basket::{BasketEvent, VoidReason};
use checkout::device::{CardOutcome, CardSlip, DeviceCommand, DeviceEvent, Document, TerminalCommand, TerminalEvent};
use checkout::event::Event;
use checkout::page::{Method, PageRequest, Refused, ReturnRequest, ShiftRequest, StaffRequest};
use checkout::receipt::{ReceiptKind, Slip};
use checkout::shift::ShiftEvent;
use checkout::store::{HqInput, PortStatus};
use checkout::tender::TenderEvent;
use checkout::view::{Phase, TenderKind};
use checkout::wire::{Answer, WalletOutcome};
use checkout::words::{LineNo, Money, Role};
use checkout::{Effect, Input, Store};

const CARD: PageRequest = PageRequest::Pay { method: Method::Card, amount: None };

fn card(amount: i64) -> PageRequest {
    PageRequest::Pay { method: Method::Card, amount: Some(Money(amount)) }
}

fn cash(given: i64) -> StaffRequest {
    StaffRequest::TakeCash { given: Money(given), amount: None }
}

fn cash_part(amount: i64, given: i64) -> StaffRequest {
    StaffRequest::TakeCash { given: Money(given), amount: Some(Money(amount)) }
}

impl Till {
    /// The terminal of `lane` takes `amount`.
    fn terminal_takes(&mut self, lane: u16, amount: i64, trace: u32) {
        let tender = self.lane(lane).tender.and_then(|tender| tender.tender).expect("a tender is under way");
        let slip = CardSlip {
            amount: Money(amount),
            trace,
            receipt: trace,
            terminal: "52500038".into(),
            pan: None,
            scheme: "girocard".into(),
            reference: String::new(),
            text: Vec::new(),
            offline: false,
        };
        for event in [
            TerminalEvent::Answered { tender: tender.clone(), outcome: CardOutcome::Approved(slip) },
            TerminalEvent::Finished { tender },
        ] {
            let device = format!("terminal-{lane}").as_str().into();
            self.take(Input::Device { device, event: DeviceEvent::Terminal(event) });
        }
    }

    fn sell(&mut self, codes: &[&str], given: i64) {
        for code in codes {
            self.take(scan(2, code));
        }
        self.staff(2, cash(given)).unwrap();
    }

    fn give_back(&mut self, request: ReturnRequest) -> Result<(), Refused> {
        self.staff(2, StaffRequest::Return(request))
    }

    fn slips(&self) -> Vec<&Slip> {
        self.last
            .effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Device { command: DeviceCommand::Print(job), .. } => match &job.document {
                    Document::Slip(slip) => Some(slip),
                    Document::Receipt(_) => None,
                },
                Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
            })
            .collect()
    }
}

#[test]
fn a_part_by_card_a_part_by_wallet_the_rest_in_cash_with_change() {
    let mut till = Till::open();
    till.take(Input::Hq(HqInput::Online(true)));
    till.take(scan(2, SPIRITS));
    let asked = till.lane(2).interventions[0].id;
    till.staff(2, StaffRequest::Answer { intervention: asked, approved: true, reason: String::new() }).unwrap();
    assert_eq!(till.press(2, card(12_801)), Err(Refused::MoreThanDue));
    assert_eq!(till.press(2, card(0)), Err(Refused::BadAmount));
    till.press(2, card(5_000)).unwrap();
    till.terminal_takes(2, 5_000, 1);
    assert_eq!((till.lane(2).phase, till.lane(2).due), (Phase::Scanning, Money(7_800)));
    till.press(2, PageRequest::Pay { method: Method::Wallet, amount: Some(Money(800)) }).unwrap();
    till.take(scan(2, "135790246813579024"));
    let tender = till.lane(2).tender.and_then(|tender| tender.tender).expect("the wallet is asked");
    let outcome = WalletOutcome::Approved { amount: Money(500), reference: "w".into() };
    till.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
    assert_eq!(till.lane(2).due, Money(7_300), "the wallet had less in it: what it gave is kept");
    till.staff(2, cash_part(2_300, 2_500)).unwrap();
    assert_eq!(till.staff(2, cash(4_000)), Err(Refused::NotEnough));
    till.staff(2, cash(6_000)).unwrap();
    let receipt = till.lane(2).receipt.expect("sold").receipt;
    let paid: Vec<i64> = receipt.tenders.iter().map(|tender| tender.amount.0).collect();
    assert_eq!((paid, receipt.change), (vec![5_000, 500, 2_300, 5_000], Money(1_200)));
}

#[test]
fn while_money_has_moved_lines_stand_still_and_a_void_gives_the_cash_back() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    till.take(scan(2, NOODLES));
    till.staff(2, cash_part(200, 500)).unwrap();
    till.take(scan(2, COLA));
    assert_eq!(till.lane(2).pieces, 2, "no goods come in while money has moved");
    till.take(scan(2, MEMBER));
    assert!(till.lane(2).member.is_none(), "and no member, who would change the prices");
    assert_eq!(till.press(2, PageRequest::VoidLine { line: LineNo(1) }), Err(Refused::Paying));
    assert_eq!(till.press(2, PageRequest::VoidTransaction {}), Err(Refused::Paying));
    assert_eq!(till.press(2, PageRequest::Suspend {}), Err(Refused::Paying));
    till.staff(2, StaffRequest::VoidTransaction { reason: "forgot the purse".into() }).unwrap();
    let back = |event: &Event| {
        matches!(
            event,
            Event::Tender(TenderEvent::Started { amount: Money(-200), kind: TenderKind::Cash, of: Some(_), .. })
        )
    };
    assert!(
        till.said(back) && till.said(|event| matches!(event, Event::Basket(BasketEvent::Voided { by: Some(_), .. })))
    );
    assert_eq!(till.lane(2).phase, Phase::Idle);
    assert_eq!(till.store.facts().day.voids.baskets, 1);
}

#[test]
fn a_void_of_a_card_payment_waits_until_staff_have_reversed_it_by_hand() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    till.press(2, card(200)).unwrap();
    till.terminal_takes(2, 200, 1);
    till.staff(2, StaffRequest::VoidTransaction { reason: "wrong goods".into() }).unwrap();
    let view = till.lane(2);
    assert_eq!((view.phase, view.voiding), (Phase::Staff, true));
    let tender = view.tender.expect("the reversal waits");
    assert_eq!(tender.amount, Money(-200));
    let restart = replayed(&till);
    assert_eq!(restart.facts(), till.store.facts(), "and is still there after a power cut");
    let tender = tender.tender.expect("it has an id");
    let verdict =
        |taken| StaffRequest::ResolveTender { tender: tender.clone(), taken, reason: "slip 17".into(), amount: None };
    till.staff(2, verdict(false)).unwrap();
    assert_eq!((till.lane(2).voiding, till.lane(2).due), (false, Money(150)), "not given back: the sale goes on");
    till.staff(2, StaffRequest::VoidTransaction { reason: "wrong goods".into() }).unwrap();
    let tender = till.lane(2).tender.and_then(|tender| tender.tender).expect("a new reversal");
    till.staff(2, StaffRequest::ResolveTender { tender, taken: true, reason: "slip 18".into(), amount: None }).unwrap();
    assert_eq!(till.lane(2).phase, Phase::Idle);
}

#[test]
fn without_terminal_and_network_the_lane_says_that_only_cash_pays() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    assert!(!till.lane(2).cash_only);
    till.take(Input::Port { device: "terminal-2".into(), status: PortStatus::Down { reason: "cut".into() } });
    assert!(till.lane(2).cash_only);
    assert_eq!(till.press(2, CARD), Err(Refused::CashOnly));
    till.staff(2, cash(350)).unwrap();
    assert_eq!(till.lane(2).phase, Phase::Done);
}

#[test]
fn a_basket_left_behind_is_given_up_but_never_with_money_or_a_payment_in_it() {
    let mut rules = config();
    rules.till.idle_reset_ms = Some(60_000);
    let mut till = Till::with(rules);
    let wait = |till: &mut Till| {
        till.clock += 61_000;
        till.take(Input::Tick);
    };
    till.take(scan(1, COLA));
    till.press(1, CARD).unwrap();
    wait(&mut till);
    assert_eq!(till.lane(1).phase, Phase::Paying, "a payment is never given up");
    till.terminal_takes(1, 100, 1);
    wait(&mut till);
    assert_eq!(till.lane(1).due, Money(250), "nor one with money in it");
    till.press(1, CARD).unwrap();
    till.terminal_takes(1, 250, 2);
    till.take(scan(1, COLA));
    till.press(1, PageRequest::CallHelp {}).unwrap();
    wait(&mut till);
    assert_eq!(till.lane(1).phase, Phase::Scanning, "somebody is on the way");
    till.staff(1, StaffRequest::EndHelp {}).unwrap();
    wait(&mut till);
    let idle = |event: &Event| {
        matches!(event, Event::Basket(BasketEvent::Voided { why: Some(VoidReason::Idle { seconds: 60 }), .. }))
    };
    assert!(till.said(idle) && till.lane(1).phase == Phase::Idle);
    till.take(scan(2, COLA));
    wait(&mut till);
    assert_eq!(till.lane(2).phase, Phase::Scanning, "a staffed lane has somebody who decides");
}

#[test]
fn a_shift_ends_with_a_blind_count_and_the_difference_is_a_fact() {
    let mut rules = config();
    rules.till.shifts = true;
    let mut till = Till::with(rules);
    let shift = |till: &mut Till, request| till.staff(2, StaffRequest::Shift(request));
    till.take(scan(2, COLA));
    assert_eq!(till.staff(2, cash(350)), Err(Refused::NoShift));
    shift(&mut till, ShiftRequest::Open { float: Money(20_000) }).unwrap();
    assert_eq!(shift(&mut till, ShiftRequest::Open { float: Money(1) }), Err(Refused::ShiftOpen));
    till.staff(2, cash(500)).unwrap();
    shift(&mut till, ShiftRequest::PaidIn { amount: Money(1_000), reason: "change".into() }).unwrap();
    assert_eq!(
        shift(&mut till, ShiftRequest::PaidOut { amount: Money(300), reason: " ".into() }),
        Err(Refused::NeedsReason)
    );
    shift(&mut till, ShiftRequest::PaidOut { amount: Money(300), reason: "postage".into() }).unwrap();
    shift(&mut till, ShiftRequest::Drop { amount: Money(10_000) }).unwrap();
    shift(&mut till, ShiftRequest::NoSale { reason: "change for a shopper".into() }).unwrap();
    assert!(till.last.effects.iter().any(|effect| matches!(
        effect,
        Effect::Device { command: DeviceCommand::Print(job), .. } if job.drawer
    )));
    assert_eq!(shift(&mut till, ShiftRequest::PrintX {}), Err(Refused::RoleTooLow));
    till.staff_as(Role::Supervisor, 2, StaffRequest::Shift(ShiftRequest::PrintX {})).unwrap();
    assert!(till.slips()[0].rows.iter().all(|row| row.label.en != "Expected"));
    shift(&mut till, ShiftRequest::Close { counted: Money(11_000) }).unwrap();
    let events: Vec<&Event> = till.last.events.iter().map(|record| &record.event).collect();
    assert!(matches!(
        events[..2],
        [Event::Shift(ShiftEvent::Counted { counted: Money(11_000), .. }), Event::Shift(ShiftEvent::Closed(_))]
    ));
    let (_, report) = till.lane(2).last_shift.expect("the Z report");
    assert_eq!((report.expected, report.difference), (Money(11_050), Money(-50)));
    assert_eq!(till.slips()[0].title.en, "Z report, shift 1");
    shift(&mut till, ShiftRequest::PrintZ {}).unwrap();
    assert!(till.slips()[0].copy, "the second is marked");
}

#[test]
fn goods_come_back_once_for_exactly_what_was_paid_and_the_way_it_was_paid() {
    let mut till = Till::open();
    till.sell(&[NOODLES, NOODLES, NOODLES], 800);
    let code = till.lane(2).receipt.expect("sold").receipt.code;
    let line = |quantity| ReturnRequest::Line { line: LineNo(1), quantity };
    assert_eq!(till.give_back(line(1)), Err(Refused::NothingHere), "no receipt was shown");
    till.give_back(ReturnRequest::Find { code: "2-9".into() }).unwrap_err();
    till.give_back(ReturnRequest::Find { code: "2-000001".into() }).unwrap();
    assert_eq!(till.lane(2).found.expect("by its number").lines[0].left, 3);
    let mut back = Vec::new();
    for _ in 0..3 {
        till.take(scan(2, &code));
        till.give_back(line(1)).unwrap();
        back.push(-till.lane(2).due.0);
        till.give_back(ReturnRequest::Refund { in_cash: false }).unwrap();
        let receipt = till.lane(2).receipt.expect("a return has a receipt").receipt;
        assert_eq!((receipt.kind, receipt.change), (ReceiptKind::Return, Money::ZERO));
    }
    assert_eq!(back, [267, 266, 267], "eight for three, to the last cent");
    till.store = replayed(&till);
    till.take(scan(2, &code));
    assert_eq!(till.give_back(line(1)), Err(Refused::AlreadyReturned), "also after a restart");
    let day = &till.store.facts().day;
    assert_eq!((day.total, day.cash, day.refunded.cash, day.returns), (Money(0), Money(0), Money(800), 3));
}

#[test]
fn two_lanes_cannot_take_the_same_goods_back_at_once() {
    let mut rules = config();
    rules.lanes[0].kind = checkout::view::LaneKind::Staffed;
    let mut till = Till::with(rules);
    till.sell(&[COLA, COLA], 700);
    let code = till.lane(2).receipt.expect("sold").receipt.code;
    for lane in [1, 2] {
        till.take(scan(lane, &code));
    }
    let line = |quantity| StaffRequest::Return(ReturnRequest::Line { line: LineNo(1), quantity });
    till.staff(1, line(2)).unwrap();
    assert_eq!(till.staff(2, line(1)), Err(Refused::AlreadyReturned));
    till.press(1, PageRequest::VoidTransaction {}).unwrap();
    till.staff(2, line(1)).unwrap();
}

#[test]
fn an_exchange_nets_either_way_and_an_even_one_ends_by_a_press() {
    let mut till = Till::open();
    till.sell(&[COLA, NOODLES], 650);
    let code = till.lane(2).receipt.expect("sold").receipt.code;
    let back = |till: &mut Till, line| {
        till.take(scan(2, &code));
        till.give_back(ReturnRequest::Line { line: LineNo(line), quantity: 1 }).unwrap();
    };
    back(&mut till, 2);
    till.take(scan(2, COLA));
    assert_eq!(till.lane(2).due, Money(50));
    till.staff(2, cash(50)).unwrap();
    assert_eq!(till.lane(2).receipt.expect("sold").receipt.kind, ReceiptKind::Exchange);
    back(&mut till, 1);
    till.take(scan(2, COLA));
    assert_eq!(till.lane(2).due, Money::ZERO);
    till.staff(2, StaffRequest::Finish {}).unwrap();
    assert_eq!(till.lane(2).phase, Phase::Done);
}

#[test]
fn a_card_refund_is_handed_to_staff_and_counts_when_they_say_it_is_done() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    till.press(2, CARD).unwrap();
    till.terminal_takes(2, 350, 1);
    let code = till.lane(2).receipt.expect("sold").receipt.code;
    till.take(scan(2, &code));
    till.give_back(ReturnRequest::Line { line: LineNo(1), quantity: 1 }).unwrap();
    till.give_back(ReturnRequest::Refund { in_cash: false }).unwrap();
    assert_eq!(till.lane(2).phase, Phase::Staff);
    assert!(!till.last.effects.iter().any(|effect| matches!(
        effect,
        Effect::Device { command: DeviceCommand::Terminal(TerminalCommand::Authorise { .. }), .. }
    )));
    let tender = till.lane(2).tender.and_then(|tender| tender.tender).expect("it waits");
    till.staff(2, StaffRequest::ResolveTender { tender, taken: true, reason: "slip 9".into(), amount: None }).unwrap();
    assert_eq!((till.lane(2).phase, till.store.facts().day.card), (Phase::Done, Money::ZERO));
}

#[test]
fn without_a_receipt_only_a_supervisor_takes_goods_back_and_says_why() {
    let mut till = Till::open();
    let goods = |reason: &str| {
        StaffRequest::Return(ReturnRequest::Goods {
            code: COLA.into(),
            quantity: 2,
            weight_g: None,
            reason: reason.into(),
        })
    };
    assert_eq!(till.staff(2, goods("broken")), Err(Refused::RoleTooLow));
    assert_eq!(till.staff_as(Role::Supervisor, 2, goods("")), Err(Refused::NeedsReason));
    till.staff_as(Role::Supervisor, 2, goods("broken")).unwrap();
    assert_eq!(till.lane(2).due, Money(-700));
    till.give_back(ReturnRequest::Refund { in_cash: false }).unwrap();
    assert_eq!(till.store.facts().day.refunded.cash, Money(700));
}

#[test]
fn a_basket_goes_from_kiosk_to_till_under_its_id_with_prices_member_and_checks() {
    let mut till = Till::open();
    till.take(scan(1, MEMBER));
    till.take(scan(1, NOODLES));
    till.take(scan(1, SPIRITS));
    let before = till.lane(1);
    till.press(1, PageRequest::Suspend {}).unwrap();
    let code = till.lane(1).handed.expect("its code is shown");
    assert_eq!(till.slips()[0].code.as_ref(), Some(&code), "and printed");
    assert_eq!((till.lane(1).phase, till.store.view(&till.shelf).suspended.len()), (Phase::Handed, 1));
    till.store = replayed(&till);
    till.shelf.items.clear();
    till.take(scan(2, COLA));
    till.take(scan(2, &code));
    let after = till.lane(2);
    assert_eq!((after.transaction, after.total), (before.transaction, before.total), "prices are locked");
    assert!(after.member.is_some() && after.interventions.len() == 1);
    assert_eq!(till.press(2, CARD), Err(Refused::Intervention));
}

#[test]
fn what_nobody_came_back_for_is_given_up_when_the_day_is_closed() {
    let mut till = Till::open();
    till.take(scan(1, COLA));
    till.press(1, PageRequest::Suspend {}).unwrap();
    till.staff_as(Role::Supervisor, 2, StaffRequest::DayClose {}).unwrap();
    assert!(
        till.said(|event| matches!(event, Event::Basket(BasketEvent::Voided { why: Some(VoidReason::DayClosed), .. })))
    );
    let view = till.store.view(&till.shelf);
    let day = view.last_day.expect("the Z report of the day");
    assert_eq!((view.suspended.len(), day.totals.voids.baskets, day.totals.voids.baskets_worth), (0, 1, Money(350)));
    assert_eq!(till.slips()[0].title.en, "Z report, day 1");
}

#[test]
fn practice_pays_without_a_terminal_and_every_paper_says_training() {
    let mut rules = config();
    rules.till.training = true;
    let mut till = Till::with(rules);
    till.take(scan(1, COLA));
    till.press(1, CARD).unwrap();
    let receipt = till.lane(1).receipt.expect("sold").receipt;
    assert!(receipt.training && till.store.view(&till.shelf).training);
    assert!(
        !till
            .last
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Device { command: DeviceCommand::Terminal(_), .. }))
    );
    till.staff(2, StaffRequest::Shift(ShiftRequest::Open { float: Money(1) })).unwrap();
    assert!(till.slips()[0].training);
}

fn replayed(till: &Till) -> Store {
    let mut store = Store::new(till.store.config().clone());
    till.journal.iter().for_each(|record| store.apply(record));
    store
}
