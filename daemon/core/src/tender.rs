//! Payment attempts. A payment is never repeated, only asked about: `Started` is on disk before the terminal hears of it,
//! the terminal's answer is on disk before it is acknowledged, and after a restart or a silence there is a query, never a charge.
//!
//! `Started → CardAnswered → Approved | Declined`, and from any point before the end `InDoubt → (queried) → Approved | Declined | HandedToStaff`.

use crate::basket::Transaction;
use crate::device::{CardOutcome, CardSlip, DeviceCommand, LastPayment, TerminalCommand, TerminalEvent};
use crate::event::Event;
use crate::page::{Method, Refused};
use crate::scan::WalletProvider;
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::wire::{Question, WalletOutcome};
use crate::words::{DeviceId, LaneId, Money, Name, Private, StaffId, TenderId};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// A terminal that has not answered by then is asked: T4 of ZVT (180 s, PA00P015 2.1) and a margin.
pub const CARD_ANSWER_MS: u64 = 200_000;
/// An answer of HQ about a wallet code not here by then is asked for (provider rules: query after 5 s, then every 10 s).
pub const WALLET_ANSWER_MS: u64 = 5_000;
/// How long a shopper may take to confirm on the phone before the lane is shown as in doubt.
pub const WALLET_PENDING_MS: u64 = 45_000;
/// From our acknowledgement to the end of the exchange; the terminal may print in between.
pub const CARD_END_MS: u64 = 30_000;
pub const QUERY_AGAIN_MS: u64 = 10_000;
/// In doubt this long, a person is called; the questions go on.
pub const STAFF_AFTER_MS: u64 = 60_000;
/// The name under which a terminal is asked what it did before we knew it.
pub const BASELINE: &str = "baseline";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenderEvent {
    /// Durable before the first byte leaves.
    Started {
        tender: TenderId,
        kind: TenderKind,
        amount: Money,
        device: Option<DeviceId>,
    },
    /// The terminal's answer; only after this is durable is it acknowledged to the terminal.
    CardAnswered {
        tender: TenderId,
        device: DeviceId,
        outcome: CardOutcome,
    },
    /// The payment stands.
    Approved {
        tender: TenderId,
        amount: Money,
        reference: String,
    },
    Declined {
        tender: TenderId,
        reason: DeclineReason,
    },
    InDoubt {
        tender: TenderId,
        reason: String,
    },
    HandedToStaff {
        tender: TenderId,
    },
    /// A person looked at the terminal.
    Resolved {
        tender: TenderId,
        taken: bool,
        staff: StaffId,
        reason: String,
    },
    /// Trace number of the terminal's last payment before any of ours; 0: none.
    TerminalSeen {
        device: DeviceId,
        trace: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// Result code of the terminal.
    Terminal {
        code: u8,
    },
    Provider {
        reason: String,
    },
    /// Asked: no money moved.
    NotTaken,
    /// Asked: the terminal took the money back itself.
    TakenBack,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tender {
    pub id: TenderId,
    pub kind: TenderKind,
    /// Asked for; once approved, what was taken.
    pub amount: Money,
    pub device: Option<DeviceId>,
    pub state: TenderState,
    pub slip: Option<CardSlip>,
    pub reference: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenderState {
    Started,
    Answered,
    InDoubt,
    Staff,
    Approved,
    Declined,
}

impl Transaction {
    pub(crate) fn apply_tender(&mut self, event: &TenderEvent) {
        if let TenderEvent::Started { tender, kind, amount, device } = event {
            self.tenders.push(Tender {
                id: tender.clone(),
                kind: *kind,
                amount: *amount,
                device: device.clone(),
                state: TenderState::Started,
                slip: None,
                reference: String::new(),
            });
            return;
        }
        let Some((id, state)) = event.outcome() else {
            return;
        };
        let Some(tender) = self.tenders.iter_mut().find(|tender| tender.id == *id) else {
            return;
        };
        tender.state = state;
        match event {
            TenderEvent::CardAnswered { outcome: CardOutcome::Approved(slip), .. } => tender.slip = Some(slip.clone()),
            TenderEvent::Approved { amount, reference, .. } => {
                tender.amount = *amount;
                tender.reference.clone_from(reference);
            }
            TenderEvent::CardAnswered { .. }
            | TenderEvent::Started { .. }
            | TenderEvent::Declined { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::Resolved { .. }
            | TenderEvent::TerminalSeen { .. } => {}
        }
    }
}

impl TenderEvent {
    /// Which tender this moves, and to what.
    const fn outcome(&self) -> Option<(&TenderId, TenderState)> {
        match self {
            Self::Started { .. } | Self::TerminalSeen { .. } => None,
            Self::CardAnswered { tender, .. } => Some((tender, TenderState::Answered)),
            Self::Approved { tender, .. } | Self::Resolved { tender, taken: true, .. } => {
                Some((tender, TenderState::Approved))
            }
            Self::Declined { tender, .. } | Self::Resolved { tender, taken: false, .. } => {
                Some((tender, TenderState::Declined))
            }
            Self::InDoubt { tender, .. } => Some((tender, TenderState::InDoubt)),
            Self::HandedToStaff { tender } => Some((tender, TenderState::Staff)),
        }
    }
}

/// Paying, as pages and devices drive it.
impl Turn<'_> {
    pub(crate) fn pay(&mut self, lane: LaneId, method: Method, staffed: bool) -> Result<(), Refused> {
        if let Some(tender) = self.tender_in_flight(lane) {
            let doubt = matches!(tender.state, TenderState::InDoubt | TenderState::Staff);
            return Err(if doubt { Refused::InDoubt } else { Refused::Paying });
        }
        let open = self.open(lane).ok_or(Refused::NothingToPay)?;
        if open.interventions.iter().any(|asked| asked.answer.is_none()) {
            return Err(Refused::Intervention);
        }
        let due = open.due();
        if due <= Money::ZERO || open.pieces() == 0 {
            return Err(Refused::NothingToPay);
        }
        match method {
            Method::Card => self.pay_card(lane, due),
            Method::Wallet if !self.live.online => Err(Refused::HqOffline),
            Method::Wallet => {
                self.live.lane(lane).wants_wallet_code = true;
                Ok(())
            }
            Method::Cash { .. } if !staffed => Err(Refused::CashNeedsStaff),
            Method::Cash { given } if given < due => Err(Refused::NotEnough),
            Method::Cash { given } => {
                self.pay_cash(lane, due, given);
                Ok(())
            }
        }
    }

    fn pay_card(&mut self, lane: LaneId, due: Money) -> Result<(), Refused> {
        let device = self.config.lane(lane).and_then(|lane| lane.terminal.clone()).ok_or(Refused::NoTerminal)?;
        if !self.live.device(&device).up || self.terminal_is_busy(&device) {
            return Err(Refused::TerminalDown);
        }
        self.live.lane(lane).wants_wallet_code = false;
        let tender = self.start_tender(lane, TenderKind::Card, due, Some(device.clone()));
        self.live.lane(lane).tender_due = Some(self.now.mono.plus_ms(CARD_ANSWER_MS));
        self.terminal(device, TerminalCommand::Authorise { tender, amount: due });
        Ok(())
    }

    /// A terminal shared by lanes answers for its last payment only: while one tender on it is open, no other may become that.
    fn terminal_is_busy(&self, device: &DeviceId) -> bool {
        let lanes = self.facts.lane_ids().into_iter();
        lanes.filter_map(|lane| self.tender_in_flight(lane)).any(|tender| tender.device.as_ref() == Some(device))
    }

    fn pay_cash(&mut self, lane: LaneId, due: Money, given: Money) {
        self.live.lane(lane).wants_wallet_code = false;
        let tender = self.start_tender(lane, TenderKind::Cash, due, None);
        self.approve(lane, &tender, due, String::new());
        self.complete_if_paid(lane, given.minus(due));
    }

    /// A wallet code was scanned while one was wanted.
    pub(crate) fn pay_wallet(&mut self, lane: LaneId, provider: WalletProvider, code: Private<String>) {
        self.live.lane(lane).wants_wallet_code = false;
        let Some(due) = self.open(lane).map(Transaction::due) else {
            return;
        };
        let amount = due;
        let tender = self.start_tender(lane, TenderKind::Wallet, amount, None);
        self.live.lane(lane).tender_due = Some(self.now.mono.plus_ms(WALLET_ANSWER_MS));
        let currency = self.config.currency.code.clone();
        self.out.effects.push(Effect::Ask {
            wait_ms: 30_000,
            what: Question::AuthoriseWallet { tender, amount, currency, provider, code },
        });
    }

    /// Gives up waiting for a card or a code. The terminal still answers; that answer decides.
    pub(crate) fn cancel_payment(&mut self, lane: LaneId) -> Result<(), Refused> {
        if core::mem::take(&mut self.live.lane(lane).wants_wallet_code) {
            return Ok(());
        }
        let tender = self.tender_in_flight(lane).ok_or(Refused::NothingHere)?;
        let (TenderState::Started, Some(device)) = (tender.state, tender.device.clone()) else {
            return Err(Refused::Paying);
        };
        let tender = tender.id.clone();
        self.terminal(device, TerminalCommand::Abort { tender });
        Ok(())
    }

    /// A person looked at the terminal and says what happened.
    pub(crate) fn resolve_tender(
        &mut self,
        lane: LaneId,
        tender: TenderId,
        taken: bool,
        staff: StaffId,
        reason: String,
    ) -> Result<(), Refused> {
        let state = self.tender(lane, &tender).ok_or(Refused::NothingHere)?.state;
        if !matches!(state, TenderState::InDoubt | TenderState::Staff) {
            return Err(Refused::NothingHere);
        }
        self.record(Some(lane), Event::Tender(TenderEvent::Resolved { tender, taken, staff, reason }));
        self.end_tender(lane);
        self.complete_if_paid(lane, Money::ZERO);
        Ok(())
    }

    fn start_tender(&mut self, lane: LaneId, kind: TenderKind, amount: Money, device: Option<DeviceId>) -> TenderId {
        let (id, count) = self.open(lane).map_or((String::new(), 0), |open| (open.id.0.clone(), open.tenders.len()));
        let tender = TenderId(alloc::format!("{id}.{}", count.saturating_add(1)));
        self.record(Some(lane), Event::Tender(TenderEvent::Started { tender: tender.clone(), kind, amount, device }));
        self.live.lane(lane).tender_text = match kind {
            TenderKind::Card => {
                Name { zh: "请按刷卡机提示操作".into(), en: "Please follow the card terminal".into() }
            }
            TenderKind::Cash | TenderKind::Wallet => {
                Name { zh: "正在确认付款".into(), en: "Confirming the payment".into() }
            }
        };
        tender
    }

    fn approve(&mut self, lane: LaneId, tender: &TenderId, amount: Money, reference: String) {
        self.record(Some(lane), Event::Tender(TenderEvent::Approved { tender: tender.clone(), amount, reference }));
        self.end_tender(lane);
    }

    fn decline(&mut self, lane: LaneId, tender: &TenderId, reason: DeclineReason) {
        let text = match &reason {
            DeclineReason::Terminal { .. } => ("没有刷卡成功，未扣款", "The card was not charged"),
            DeclineReason::Provider { .. } => ("钱包付款未成功，未扣款", "The wallet was not charged"),
            DeclineReason::NotTaken | DeclineReason::TakenBack => {
                ("已确认：没有扣款，请重新付款", "Checked: nothing was charged, please pay again")
            }
        };
        self.record(Some(lane), Event::Tender(TenderEvent::Declined { tender: tender.clone(), reason }));
        self.end_tender(lane);
        self.notice(lane, false, text);
    }

    fn end_tender(&mut self, lane: LaneId) {
        let live = self.live.lane(lane);
        live.tender_due = None;
        live.query_due = None;
        live.staff_due = None;
        live.tender_text = Name::default();
    }
}

/// What the terminal says.
impl Turn<'_> {
    pub(crate) fn terminal_event(&mut self, device: &DeviceId, event: TerminalEvent) {
        let (TerminalEvent::Progress { tender, .. }
        | TerminalEvent::Answered { tender, .. }
        | TerminalEvent::Finished { tender }
        | TerminalEvent::Last { tender, .. }) = &event;
        let tender = tender.clone();
        if tender.0 == BASELINE {
            return self.baseline(device, event);
        }
        let Some(lane) = self.lane_of_tender(&tender) else {
            return;
        };
        match event {
            TerminalEvent::Progress { text, .. } => self.live.lane(lane).tender_text = text,
            TerminalEvent::Answered { outcome, .. } => self.card_answered(lane, device, &tender, outcome),
            TerminalEvent::Finished { .. } => self.card_finished(lane, &tender),
            TerminalEvent::Last { last, .. } => self.last_payment(lane, device, &tender, last),
        }
    }

    fn card_answered(&mut self, lane: LaneId, device: &DeviceId, tender: &TenderId, outcome: CardOutcome) {
        let Some(state) = self.tender(lane, tender).map(|tender| tender.state) else {
            return;
        };
        if state == TenderState::Declined && matches!(outcome, CardOutcome::Approved(_)) {
            // Too late: unacknowledged, the terminal takes the money back itself.
            return;
        }
        if state != TenderState::Approved {
            let answered =
                TenderEvent::CardAnswered { tender: tender.clone(), device: device.clone(), outcome: outcome.clone() };
            self.record(Some(lane), Event::Tender(answered));
            self.live.lane(lane).tender_due = Some(self.now.mono.plus_ms(CARD_END_MS));
        }
        self.terminal(device.clone(), TerminalCommand::Acknowledge { tender: tender.clone() });
        if let CardOutcome::Declined { code } = outcome
            && state != TenderState::Approved
        {
            self.decline(lane, tender, DeclineReason::Terminal { code });
        }
    }

    /// The exchange ended after our acknowledgement: what was answered stands.
    fn card_finished(&mut self, lane: LaneId, tender: &TenderId) {
        let Some(found) = self.tender(lane, tender) else {
            return;
        };
        match (found.state, found.slip.clone()) {
            (TenderState::Answered, Some(slip)) => self.card_stands(lane, tender, &slip),
            // Ended without ever stating a result (seen on Ingenico Move/5000): ask.
            (TenderState::Started, _) => self.doubt(lane, "the terminal ended without a result"),
            (
                TenderState::Answered
                | TenderState::InDoubt
                | TenderState::Staff
                | TenderState::Approved
                | TenderState::Declined,
                _,
            ) => {}
        }
    }

    fn card_stands(&mut self, lane: LaneId, tender: &TenderId, slip: &CardSlip) {
        let asked = self.tender(lane, tender).map_or(Money::ZERO, |tender| tender.amount);
        if slip.amount > asked || slip.amount <= Money::ZERO {
            return self.hand_to_staff(lane);
        }
        self.approve(lane, tender, slip.amount, alloc::format!("{}/{}", slip.terminal, slip.trace));
        self.complete_if_paid(lane, Money::ZERO);
    }

    /// What the terminal remembers decides what became of a tender in doubt.
    fn last_payment(&mut self, lane: LaneId, device: &DeviceId, tender: &TenderId, last: LastPayment) {
        let known = self.facts.terminals.get(device).copied();
        let Some(found) = self.tender(lane, tender) else {
            return;
        };
        if !matches!(found.state, TenderState::InDoubt | TenderState::Staff) {
            return;
        }
        let (asked, ours) = (found.amount, found.slip.as_ref().map(|slip| slip.trace));
        match (last, ours, known) {
            // It answered us before, and that very payment is its last: it stands.
            (LastPayment::Approved(slip), Some(trace), _) if slip.trace == trace && slip.amount == asked => {
                self.card_stands(lane, tender, &slip);
            }
            (LastPayment::Approved(_) | LastPayment::Nothing, Some(_), _) => {
                self.decline(lane, tender, DeclineReason::TakenBack)
            }
            // It never answered us, and its last payment is newer than any we know and of our amount: it is ours.
            (LastPayment::Approved(slip), None, Some(before)) if slip.trace != before && slip.amount == asked => {
                let answered = CardOutcome::Approved(slip.clone());
                let event =
                    TenderEvent::CardAnswered { tender: tender.clone(), device: device.clone(), outcome: answered };
                self.record(Some(lane), Event::Tender(event));
                self.card_stands(lane, tender, &slip);
            }
            (LastPayment::Approved(slip), None, Some(before)) if slip.trace == before => {
                self.decline(lane, tender, DeclineReason::NotTaken);
            }
            (LastPayment::Nothing, None, _) => self.decline(lane, tender, DeclineReason::NotTaken),
            (LastPayment::Approved(_) | LastPayment::Unknown, _, _) => self.hand_to_staff(lane),
        }
    }

    /// Learns what the terminal did before us, so that a later doubt can tell old from new.
    fn baseline(&mut self, device: &DeviceId, event: TerminalEvent) {
        let trace = match event {
            TerminalEvent::Last { last: LastPayment::Approved(slip), .. } => slip.trace,
            TerminalEvent::Last { last: LastPayment::Nothing, .. } => 0,
            TerminalEvent::Last { last: LastPayment::Unknown, .. }
            | TerminalEvent::Progress { .. }
            | TerminalEvent::Answered { .. }
            | TerminalEvent::Finished { .. } => return,
        };
        if self.facts.terminals.contains_key(device) {
            return;
        }
        let lane = self.config.lanes_of(device).first().copied();
        self.record(lane, Event::Tender(TenderEvent::TerminalSeen { device: device.clone(), trace }));
    }

    pub(crate) fn terminal_up(&mut self, device: &DeviceId) {
        if !self.config.lanes.iter().any(|lane| lane.terminal.as_ref() == Some(device)) {
            return;
        }
        let mut asked = false;
        for lane in self.config.lanes_of(device) {
            asked |= self.query(lane);
        }
        if !asked && !self.facts.terminals.contains_key(device) {
            self.terminal(device.clone(), TerminalCommand::Query { tender: TenderId(BASELINE.into()) });
        }
    }

    pub(crate) fn terminal_down(&mut self, lane: LaneId, device: &DeviceId) {
        if self.tender_in_flight(lane).and_then(|tender| tender.device.as_ref()) == Some(device) {
            self.doubt_tender_in_flight(lane, "the terminal is gone");
        }
    }
}

/// Doubt: asked about until the answer is certain.
impl Turn<'_> {
    pub(crate) fn doubt_tender_in_flight(&mut self, lane: LaneId, reason: &str) {
        let Some(tender) = self.tender_in_flight(lane) else {
            return;
        };
        if matches!(tender.state, TenderState::Started | TenderState::Answered) {
            return self.doubt(lane, reason);
        }
        let mono = self.now.mono;
        let live = self.live.lane(lane);
        live.query_due = Some(mono.plus_ms(QUERY_AGAIN_MS));
        live.staff_due = Some(mono.plus_ms(STAFF_AFTER_MS));
    }

    fn doubt(&mut self, lane: LaneId, reason: &str) {
        let Some(tender) = self.tender_in_flight(lane).map(|tender| tender.id.clone()) else {
            return;
        };
        self.record(Some(lane), Event::Tender(TenderEvent::InDoubt { tender, reason: reason.into() }));
        let live = self.live.lane(lane);
        live.tender_due = None;
        live.staff_due = Some(self.now.mono.plus_ms(STAFF_AFTER_MS));
        self.query(lane);
    }

    /// Asks what became of the tender in doubt; says whether a terminal was asked.
    fn query(&mut self, lane: LaneId) -> bool {
        let Some(tender) = self.tender_in_flight(lane) else {
            return false;
        };
        if !matches!(tender.state, TenderState::InDoubt | TenderState::Staff) && tender.kind != TenderKind::Wallet {
            return false;
        }
        let (id, device) = (tender.id.clone(), tender.device.clone());
        self.live.lane(lane).query_due = Some(self.now.mono.plus_ms(QUERY_AGAIN_MS));
        match device {
            Some(device) if self.live.device(&device).up => {
                self.terminal(device, TerminalCommand::Query { tender: id });
                true
            }
            Some(_) => false,
            None => {
                if self.live.online {
                    self.out.effects.push(Effect::Ask { wait_ms: 5_000, what: Question::QueryWallet { tender: id } });
                }
                false
            }
        }
    }

    pub(crate) fn query_wallets(&mut self) {
        for lane in self.facts.lane_ids() {
            if self.tender_in_flight(lane).is_some_and(|tender| tender.kind == TenderKind::Wallet) {
                self.query(lane);
            }
        }
    }

    pub(crate) fn wallet_answer(&mut self, tender: &TenderId, outcome: WalletOutcome) {
        let Some(lane) = self.lane_of_tender(tender) else {
            return;
        };
        let Some(found) = self.tender(lane, tender) else {
            return;
        };
        if matches!(found.state, TenderState::Approved | TenderState::Declined) {
            return;
        }
        let asked = found.amount;
        match outcome {
            WalletOutcome::Approved { amount, reference } if amount == asked => {
                self.approve(lane, tender, amount, reference);
                self.complete_if_paid(lane, Money::ZERO);
            }
            WalletOutcome::Approved { .. } => self.hand_to_staff(lane),
            WalletOutcome::Declined { reason } => self.decline(lane, tender, DeclineReason::Provider { reason }),
            WalletOutcome::NotFound => self.decline(lane, tender, DeclineReason::NotTaken),
            WalletOutcome::Pending => {
                let mono = self.now.mono;
                let started = found.state == TenderState::Started;
                let live = self.live.lane(lane);
                live.query_due = Some(mono.plus_ms(WALLET_ANSWER_MS));
                live.tender_due = started.then(|| mono.plus_ms(WALLET_PENDING_MS));
                live.tender_text =
                    Name { zh: "请在手机上输入支付密码".into(), en: "Please confirm on your phone".into() };
            }
        }
    }

    fn hand_to_staff(&mut self, lane: LaneId) {
        let Some(tender) = self.tender_in_flight(lane) else {
            return;
        };
        if tender.state == TenderState::Staff {
            return;
        }
        let tender = tender.id.clone();
        self.live.lane(lane).staff_due = None;
        self.record(Some(lane), Event::Tender(TenderEvent::HandedToStaff { tender }));
    }

    /// The deadlines of `lane`'s tender that have come.
    pub(crate) fn tender_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        let live = self.live.lane(lane);
        if live.tender_due.is_some_and(|at| at <= now) {
            live.tender_due = None;
            self.doubt(lane, "no answer in time");
        }
        if self.live.lane(lane).staff_due.is_some_and(|at| at <= now) {
            self.live.lane(lane).staff_due = None;
            self.hand_to_staff(lane);
        }
        if self.live.lane(lane).query_due.is_some_and(|at| at <= now) {
            self.live.lane(lane).query_due = None;
            self.query(lane);
        }
    }

    fn tender(&self, lane: LaneId, id: &TenderId) -> Option<&Tender> {
        self.open(lane)?.tenders.iter().find(|tender| tender.id == *id)
    }

    fn lane_of_tender(&self, id: &TenderId) -> Option<LaneId> {
        self.facts.lane_ids().into_iter().find(|lane| self.tender(*lane, id).is_some())
    }

    fn terminal(&mut self, device: DeviceId, command: TerminalCommand) {
        self.out.effects.push(Effect::Device { device, command: DeviceCommand::Terminal(command) });
    }
}
