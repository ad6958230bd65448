//! Payment attempts. A payment is never repeated, only asked about: `Started` is on disk before the terminal hears of it,
//! the terminal's answer is on disk before it is acknowledged, and after a restart or a silence there is a query, never a charge.
//!
//! `Started → CardAnswered → Approved | Declined`, and from any point before the end `InDoubt → (queried) → Approved | Declined | HandedToStaff`.
//!
//! A tender of a negative amount is money on its way to the shopper: cash leaves the drawer, points go back at once, a card gets
//! it from the terminal and a wallet through headquarters. What these do not give back a person does, see [`refund`].

mod back;
mod closing;
mod doubt;
mod late;
mod plan;
mod refund;
mod terminal;
mod traces;
mod wallet;

pub(crate) use closing::apply as apply_terminal_day;
pub use closing::{Counted, Difference, DifferenceKind, TerminalClosing, TerminalDay};
pub(crate) use doubt::Verdict;
pub use late::{Late, RefundTask, TaskState, refund_of};
pub use traces::Traces;
pub use wallet::{REVERSE_NOT_BEFORE_MS, WALLET_PENDING_MS};
pub(crate) use wallet::{WalletLive, Wants};

use crate::basket::Transaction;
use crate::catalog::is_nought;
use crate::device::{CardOutcome, CardSlip, DeviceCommand, TerminalCommand};
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::words::{DeviceId, LaneId, Money, StaffId, TenderId, TransactionId, Utc};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A terminal that has not answered by then is asked: T4 of ZVT (180 s, PA00P015 2.1) and a margin.
pub const CARD_ANSWER_MS: u64 = 200_000;
/// An answer of HQ about a wallet code not here by then is asked for (provider rules: query after 5 s, then every 10 s).
pub const WALLET_ANSWER_MS: u64 = 5_000;
/// From our acknowledgement to the end of the exchange; the terminal may print in between.
pub const CARD_END_MS: u64 = 30_000;
pub const QUERY_AGAIN_MS: u64 = 10_000;
/// In doubt this long, a person is called; the questions go on.
pub const STAFF_AFTER_MS: u64 = 60_000;
/// Payments one refund can be spread over.
pub(crate) const REFUNDS_MAX: usize = 64;
/// The name under which a terminal is asked what it did before we knew it.
pub const BASELINE: &str = "baseline";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenderEvent {
    /// Durable before the first byte leaves.
    Started {
        tender: TenderId,
        kind: TenderKind,
        /// Negative: to the shopper.
        amount: Money,
        device: Option<DeviceId>,
        /// Gives back that payment, or a part of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<TenderId>,
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
        /// Cash the shopper handed over; what is above the amount went back as change.
        #[serde(default, skip_serializing_if = "Money::is_zero")]
        given: Money,
        /// Burnt, or given back where the amount is negative.
        #[serde(default, skip_serializing_if = "is_nought")]
        points: u64,
    },
    /// What is left is paid in coins that exist: the difference stands on the receipt as its own line.
    Rounded {
        amount: Money,
    },
    /// Lines the terminal had printed after its answer: they stand on the receipt, too.
    SlipPrinted {
        tender: TenderId,
        lines: Vec<String>,
    },
    Declined {
        tender: TenderId,
        reason: DeclineReason,
    },
    InDoubt {
        tender: TenderId,
        reason: String,
    },
    /// Nobody confirmed it in time, or the shopper backed out: headquarters is asked to give it up.
    GivingUp {
        tender: TenderId,
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
        /// Where less moved than was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Money>,
    },
    /// A person worked at the terminal: what it did last is not known until it has been asked.
    TerminalUsed {
        device: DeviceId,
    },
    /// Trace number of the terminal's last payment before any of ours; 0: none.
    TerminalSeen {
        device: DeviceId,
        trace: u32,
    },
    /// It answers under another name than before: no card is taken until somebody has looked at it.
    TerminalChanged {
        device: DeviceId,
        terminal: String,
    },
    /// Somebody has.
    TerminalAccepted {
        device: DeviceId,
        staff: StaffId,
    },
    /// It reaches its bank again.
    TerminalOnline {
        device: DeviceId,
    },
    /// A terminal has handed its day in.
    TerminalClosed(TerminalClosing),
    /// A payment that had ended without money was taken after all: it goes back. Durable before headquarters hears of it.
    LateApproved {
        tender: TenderId,
        kind: TenderKind,
        amount: Money,
        reference: String,
    },
    /// It went back.
    LateRefunded {
        tender: TenderId,
        amount: Money,
        reference: String,
    },
    /// Headquarters does not give it back: a person does.
    LateToStaff {
        tender: TenderId,
        reason: String,
    },
    LateSettled {
        tender: TenderId,
        staff: StaffId,
        reason: String,
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
    /// The terminal that was told of it, while it may still have an answer.
    pub device: Option<DeviceId>,
    #[serde(default)]
    pub started: Utc,
    pub state: TenderState,
    pub slip: Option<CardSlip>,
    pub reference: String,
    pub given: Money,
    pub of: Option<TenderId>,
    /// Headquarters was asked to give it up.
    #[serde(default)]
    pub giving_up: bool,
    /// Burnt, or given back.
    #[serde(default)]
    pub points: u64,
}

impl Tender {
    /// What the shopper got back of the cash handed over.
    #[must_use]
    pub fn change(&self) -> Money {
        if self.given.is_zero() { Money::ZERO } else { self.given.minus(self.amount).max(Money::ZERO) }
    }

    #[must_use]
    pub const fn is_refund(&self) -> bool {
        self.amount.0 < 0
    }

    /// Only a person can say what became of it.
    pub(crate) fn is_by_hand(&self) -> bool {
        self.kind == TenderKind::Card && self.device.is_none()
    }

    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, TenderState::Approved | TenderState::Declined)
    }
}

impl TenderId {
    /// The transaction it was made for.
    #[must_use]
    pub fn transaction(&self) -> TransactionId {
        TransactionId(self.0.rsplit_once('.').map_or("", |(transaction, _)| transaction).into())
    }
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
    /// What changes a tender without moving it.
    fn mark(&mut self, event: &TenderEvent) {
        if let TenderEvent::Rounded { amount } = event {
            self.rounding = *amount;
        }
        if let TenderEvent::SlipPrinted { tender, lines } = event {
            let tender = self.tenders.iter_mut().find(|known| known.id == *tender);
            if let Some(slip) = tender.and_then(|tender| tender.slip.as_mut()) {
                slip.text.extend(lines.iter().cloned());
            }
        }
        if let TenderEvent::GivingUp { tender } = event
            && let Some(tender) = self.tenders.iter_mut().find(|known| known.id == *tender)
        {
            tender.giving_up = true;
        }
    }

    pub(crate) fn apply_tender(&mut self, utc: Utc, event: &TenderEvent) {
        if let TenderEvent::Started { tender, kind, amount, device, of } = event {
            self.tenders.push(Tender {
                id: tender.clone(),
                kind: *kind,
                amount: *amount,
                device: device.clone(),
                started: utc,
                state: TenderState::Started,
                slip: None,
                reference: String::new(),
                given: Money::ZERO,
                of: of.clone(),
                giving_up: false,
                points: 0,
            });
            return;
        }
        self.mark(event);
        let Some((id, state)) = event.outcome() else {
            return;
        };
        let Some(tender) = self.tenders.iter_mut().find(|tender| tender.id == *id) else {
            return;
        };
        tender.state = state;
        // What could not be given back is still paid: the sale goes on.
        if state == TenderState::Declined && tender.is_refund() {
            self.voiding = None;
        }
        match event {
            TenderEvent::CardAnswered { outcome: CardOutcome::Approved(slip), .. } => tender.slip = Some(slip.clone()),
            // It said no, so there is nothing more to ask it: the rest is a person's.
            TenderEvent::CardAnswered { outcome: CardOutcome::Declined { .. }, .. } if tender.is_refund() => {
                tender.device = None;
            }
            TenderEvent::Approved { amount, reference, given, points, .. } => {
                tender.amount = *amount;
                tender.given = *given;
                tender.points = *points;
                tender.reference.clone_from(reference);
            }
            TenderEvent::Resolved { taken: true, amount: Some(amount), .. } => tender.amount = *amount,
            TenderEvent::CardAnswered { .. }
            | TenderEvent::Started { .. }
            | TenderEvent::Rounded { .. }
            | TenderEvent::SlipPrinted { .. }
            | TenderEvent::Declined { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::Resolved { .. }
            | TenderEvent::TerminalUsed { .. }
            | TenderEvent::TerminalSeen { .. }
            | TenderEvent::GivingUp { .. }
            | TenderEvent::TerminalChanged { .. }
            | TenderEvent::TerminalAccepted { .. }
            | TenderEvent::TerminalOnline { .. }
            | TenderEvent::TerminalClosed(_)
            | TenderEvent::LateApproved { .. }
            | TenderEvent::LateRefunded { .. }
            | TenderEvent::LateToStaff { .. }
            | TenderEvent::LateSettled { .. } => {}
        }
    }
}

impl TenderEvent {
    /// Which tender this moves, and to what.
    const fn outcome(&self) -> Option<(&TenderId, TenderState)> {
        match self {
            Self::Started { .. }
            | Self::Rounded { .. }
            | Self::SlipPrinted { .. }
            | Self::TerminalUsed { .. }
            | Self::TerminalSeen { .. }
            | Self::GivingUp { .. }
            | Self::TerminalChanged { .. }
            | Self::TerminalAccepted { .. }
            | Self::TerminalOnline { .. }
            | Self::TerminalClosed(_)
            | Self::LateApproved { .. }
            | Self::LateRefunded { .. }
            | Self::LateToStaff { .. }
            | Self::LateSettled { .. } => None,
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

impl Turn<'_> {
    fn tender(&self, lane: LaneId, id: &TenderId) -> Option<&Tender> {
        self.open(lane)?.tenders.iter().find(|tender| tender.id == *id)
    }

    fn lane_of_tender(&self, id: &TenderId) -> Option<LaneId> {
        self.facts.lane_ids().into_iter().find(|lane| self.tender(*lane, id).is_some())
    }

    pub(crate) fn terminal(&mut self, device: DeviceId, command: TerminalCommand) {
        self.out.effects.push(Effect::Device { device, command: DeviceCommand::Terminal(command) });
    }
}
