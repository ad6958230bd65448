//! Money that a machine gives back: the terminal to a card, headquarters to a wallet.
//!
//! As a payment it is durable before the first byte, its answer is durable before it is acknowledged, and silence is asked about.
//! But a wrong *no* about a refund pays twice, where a wrong *no* about a payment only asks the shopper again. So:
//!
//! - A machine's word can settle that money **went back**, never that it did not. What it declined, cannot do, or cannot say
//!   is handed to staff; only a person, by name and with a reason, makes room for another refund.
//! - `Last` proves a refund where the terminal says the very slip it answered with, or an approved one of our amount that is newer
//!   than the last one known. It does not tell a refund from a payment; but nothing of ours can be newer, since a terminal works on
//!   one tender at a time, and once a person has worked at it nothing counts as known ([`TenderEvent::TerminalUsed`]).
//! - An older slip, or none, proves nothing: some terminals repeat payments only, and one that works without us may yet finish.
//! - A payment is cancelled only whole, as the terminal's last and on the same day: cancelling twice the terminal refuses itself.
//!   A cancellation that failed is not followed by a refund of the amount.

use super::refund::Original;
use super::{CARD_ANSWER_MS, Tender, TenderEvent, TenderState, WALLET_ANSWER_MS};
use crate::device::{CardOutcome, CardSlip, LastPayment, TerminalCommand};
use crate::event::Event;
use crate::receipt::SlipRow;
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::wire::Question;
use crate::words::{DeviceId, LaneId, LocalMinute, Money, Name, TenderId, Utc};
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

/// How a terminal gives money back.
enum Way {
    Refund,
    Reverse(Box<CardSlip>),
}

impl Turn<'_> {
    /// To the card it came from: by the terminal where it can, else by a person.
    pub(super) fn card_back(&mut self, lane: LaneId, original: &Original, amount: Money) {
        let asked = Money::ZERO.minus(amount);
        let of = Some(original.tender.clone());
        let Some((device, way)) = self.way_back(lane, original, amount) else {
            self.start_tender(lane, TenderKind::Card, asked, None, of);
            return self.refund_to_staff(lane, Name::default());
        };
        let tender = self.start_tender(lane, TenderKind::Card, asked, Some(device.clone()), of);
        let live = self.live.lane(lane);
        live.tender_due = Some(self.now.mono.plus_ms(CARD_ANSWER_MS));
        let at = self.now.utc;
        let (command, text) = match way {
            Way::Refund => (
                TerminalCommand::Refund { tender, amount, at },
                ("请在刷卡机上出示原银行卡", "Please present the card to the terminal: it gets the money back"),
            ),
            Way::Reverse(of) => (
                TerminalCommand::Reverse { tender, of, at },
                ("刷卡机正在撤销这笔付款", "The terminal is cancelling the payment"),
            ),
        };
        live.tender_text = name(text);
        self.terminal(device, command);
    }

    fn way_back(&mut self, lane: LaneId, original: &Original, amount: Money) -> Option<(DeviceId, Way)> {
        let config = self.config.lane(lane)?;
        let (device, can) = (config.terminal.clone()?, config.gives_back);
        if !self.live.device(&device).up || self.terminal_is_busy(&device) {
            return None;
        }
        let cancelled = self.cancels(lane, &device, original, amount).filter(|_| can.reverse);
        let refund = can.refund.then_some(Way::Refund);
        Some((device, cancelled.map(|slip| Way::Reverse(Box::new(slip))).or(refund)?))
    }

    /// The slip by which this terminal can cancel the whole payment: its last one, of today, of the basket that is given up.
    fn cancels(&self, lane: LaneId, device: &DeviceId, original: &Original, amount: Money) -> Option<CardSlip> {
        let open = self.open(lane).filter(|open| open.voiding.is_some())?;
        let paid = open.tenders.iter().find(|tender| tender.id == original.tender)?;
        let slip = paid.slip.as_ref().filter(|slip| slip.receipt != 0 || !slip.reference.is_empty())?;
        let known = self.facts.terminals.get(device)?;
        let last = known.last == Some(slip.trace) && slip.trace != 0;
        let whole = slip.amount == amount && original.amount == amount;
        let today = self.day(paid.started) == self.day(self.now.utc);
        (last && whole && today && paid.device.as_ref() == Some(device)).then(|| slip.clone())
    }

    pub(crate) fn day(&self, at: Utc) -> i64 {
        let LocalMinute(minute) = crate::words::Now { utc: at, ..self.now }.local();
        minute.div_euclid(24 * 60)
    }

    /// To the wallet it came from, through headquarters; by a person where headquarters is away.
    pub(super) fn wallet_back(&mut self, lane: LaneId, original: &Original, amount: Money) {
        let of = original.tender.clone();
        let tender = self.start_tender(lane, original.kind, Money::ZERO.minus(amount), None, Some(of.clone()));
        if !self.live.online {
            return self.refund_to_staff(lane, Name::default());
        }
        let live = self.live.lane(lane);
        live.tender_due = Some(self.now.mono.plus_ms(WALLET_ANSWER_MS));
        live.tender_text = name(("正在退回钱包", "Giving it back to the wallet"));
        let currency = self.config.currency.code.clone();
        let what = Question::RefundWallet { tender, of, amount, currency };
        self.out.effects.push(Effect::Ask { wait_ms: 30_000, what });
    }

    /// `tender` went back, at most what was asked for; more than that somebody has to look at.
    pub(super) fn refund_stands(&mut self, lane: LaneId, tender: &TenderId, amount: Money, reference: String) {
        let asked = self.tender(lane, tender).map_or(Money::ZERO, |tender| Money::ZERO.minus(tender.amount));
        if amount > asked || amount <= Money::ZERO {
            let text = ("退款金额与应退金额不符，请核对", "Another amount than asked for went back: please check");
            return self.refund_to_staff(lane, name(text));
        }
        self.approve(lane, tender, Money::ZERO.minus(amount), reference, Money::ZERO);
        self.give_back(lane);
    }

    pub(super) fn refund_declined(&mut self, lane: LaneId) {
        let text =
            ("没有退成功，请按原付款方式人工退款", "It was refused: give the money back by hand, the way it was paid");
        self.refund_to_staff(lane, name(text));
    }

    /// A person takes over, told what the machine said; nothing: what the page says of such a tender anyway.
    pub(super) fn refund_to_staff(&mut self, lane: LaneId, text: Name) {
        let live = self.live.lane(lane);
        live.tender_due = None;
        live.tender_text = text;
        self.hand_to_staff(lane);
    }

    /// What the terminal remembers can prove a refund, and nothing else.
    pub(super) fn last_of_refund(&mut self, lane: LaneId, device: &DeviceId, tender: &TenderId, last: LastPayment) {
        let Some(found) = self.tender(lane, tender) else { return };
        let asked = Money::ZERO.minus(found.amount);
        let ours = found.slip.as_ref().map(|slip| (slip.trace, slip.amount));
        let known = self.facts.terminals.get(device);
        // A cancellation under the payment's own number is told no differently from the payment.
        let paid = self.open(lane).into_iter().flat_map(|open| &open.tenders);
        let paid = paid.filter(|paid| Some(&paid.id) == found.of.as_ref()).find_map(|paid| paid.slip.as_ref());
        let told_apart = |slip: &CardSlip| paid.is_none_or(|paid| paid.trace != slip.trace);
        let newer = |slip: &CardSlip| slip.trace != 0 && known.is_some_and(|known| known.is_new(slip.trace));
        match last {
            LastPayment::Approved(slip) if ours == Some((slip.trace, slip.amount)) && told_apart(&slip) => {
                self.card_stands(lane, tender, &slip);
            }
            LastPayment::Approved(slip) if ours.is_none() && newer(&slip) && slip.amount == asked => {
                let outcome = CardOutcome::Approved(slip.clone());
                let event = TenderEvent::CardAnswered { tender: tender.clone(), device: device.clone(), outcome };
                self.record(Some(lane), Event::Tender(event));
                self.card_stands(lane, tender, &slip);
            }
            LastPayment::Unknown => self.refund_to_staff(lane, Name::default()),
            // It told what it knows. A person is at it from here on, and is not disturbed.
            LastPayment::Approved(_) | LastPayment::Nothing => {
                self.live.lane(lane).query_due = None;
                let text = (
                    "刷卡机上没有查到这笔退款，请查看终端流水后再确认",
                    "The terminal does not tell of this refund: look at its journal before you give anything back",
                );
                self.refund_to_staff(lane, name(text));
            }
        }
    }

    /// Once a person has worked at a terminal, what it did last is asked anew: an older doubt must not be settled by it.
    pub(super) fn terminal_used(&mut self, lane: LaneId, tender: &Tender) -> Option<DeviceId> {
        let own = || self.config.lane(lane).and_then(|lane| lane.terminal.clone());
        let device = tender.device.clone().or_else(own).filter(|_| tender.kind == TenderKind::Card)?;
        self.record(Some(lane), Event::Tender(TenderEvent::TerminalUsed { device: device.clone() }));
        Some(device)
    }

    pub(super) fn ask_anew(&mut self, device: &DeviceId) {
        if self.live.device(device).up && !self.terminal_is_busy(device) {
            self.terminal_up(device);
        }
    }

    /// What went back of a basket that was given up, for the shopper to take along.
    pub(super) fn print_given_back(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let id = open.id.0.clone();
        let stands = |tender: &&Tender| tender.is_refund() && tender.state == TenderState::Approved;
        let backs: Vec<Tender> = open.tenders.iter().filter(stands).cloned().collect();
        if backs.is_empty() {
            return;
        }
        let mut rows = Vec::new();
        for tender in &backs {
            let label = tender.kind.given_back();
            rows.push(SlipRow { label, value: self.config.currency.show(Money::ZERO.minus(tender.amount)) });
            let details = crate::sale::details(tender);
            rows.extend(details.into_iter().map(|value| SlipRow { label: Name::default(), value }));
        }
        let title = name(("交易取消 · 已退款", "Given up: money given back"));
        let slip = self.slip(lane, &(id.clone() + "-void"), title, rows, None);
        let cash = backs.iter().any(|tender| tender.kind == TenderKind::Cash);
        self.print(lane, crate::device::Document::Slip(slip), cash);
    }
}

fn name((zh, en): (&str, &str)) -> Name {
    Name { zh: zh.to_string(), en: en.to_string() }
}
