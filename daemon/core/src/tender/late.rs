//! Money that arrives after everybody stopped waiting for it: a payment that was declined, given up or settled by a person, and
//! that headquarters tells as approved after all. Nothing was sold for it, so it goes back: a refund task.
//!
//! The task is in the journal before headquarters hears of it; its refund has one id for ever, under which headquarters gives
//! back at most once, so that asking again moves no money twice. What headquarters refuses a person gives back.

use super::{QUERY_AGAIN_MS, Tender, TenderEvent};
use crate::event::Event;
use crate::line::spoken;
use crate::page::{Attendant, Refused};
use crate::turn::{Effect, Turn};
use crate::view::TenderKind;
use crate::wire::{Question, WalletOutcome};
use crate::words::{LaneId, Money, Role, TenderId, Utc};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Payments that came to nothing and may yet turn out to have been taken.
const ENDED_MAX: usize = 512;
/// Tasks that are done are told for so long.
const DONE_MS: i64 = 7 * 24 * 3_600_000;
/// Behind the payment's own id.
const REFUND: &str = "-late";

/// Late money; a fold of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// The latest last.
    ended: VecDeque<Ended>,
    pub tasks: BTreeMap<TenderId, RefundTask>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    tender: TenderId,
    kind: TenderKind,
    lane: LaneId,
}

/// Under the id of the payment that arrived late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundTask {
    pub kind: TenderKind,
    pub lane: LaneId,
    pub amount: Money,
    /// The provider's number of the payment.
    pub reference: String,
    pub at: Utc,
    pub state: TaskState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Headquarters gives it back.
    Open,
    /// A person has to.
    Staff,
    Done,
}

impl Late {
    /// A payment of headquarters ended without money.
    pub(crate) fn ended(&mut self, lane: LaneId, tender: &Tender) {
        if !tender.kind.is_hq() || tender.is_refund() {
            return;
        }
        if self.ended.len() >= ENDED_MAX {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { tender: tender.id.clone(), kind: tender.kind, lane });
    }

    pub(crate) fn apply(&mut self, utc: Utc, lane: LaneId, event: &TenderEvent) {
        match event {
            TenderEvent::LateApproved { tender, kind, amount, reference } => {
                self.ended.retain(|ended| ended.tender != *tender);
                let (kind, amount, reference) = (*kind, *amount, reference.clone());
                let task = RefundTask { kind, lane, amount, reference, at: utc, state: TaskState::Open };
                self.tasks.insert(tender.clone(), task);
            }
            TenderEvent::LateRefunded { tender, .. } | TenderEvent::LateSettled { tender, .. } => {
                self.turn_to(tender, TaskState::Done);
            }
            TenderEvent::LateToStaff { tender, .. } => self.turn_to(tender, TaskState::Staff),
            TenderEvent::Started { .. }
            | TenderEvent::CardAnswered { .. }
            | TenderEvent::Approved { .. }
            | TenderEvent::Rounded { .. }
            | TenderEvent::SlipPrinted { .. }
            | TenderEvent::Declined { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::GivingUp { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::Resolved { .. }
            | TenderEvent::TerminalUsed { .. }
            | TenderEvent::TerminalChanged { .. }
            | TenderEvent::TerminalAccepted { .. }
            | TenderEvent::TerminalOnline { .. }
            | TenderEvent::TerminalClosed(_)
            | TenderEvent::TerminalSeen { .. } => {}
        }
    }

    fn turn_to(&mut self, tender: &TenderId, state: TaskState) {
        if let Some(task) = self.tasks.get_mut(tender) {
            task.state = state;
        }
    }

    pub(crate) fn day_closed(&mut self, utc: Utc) {
        self.tasks.retain(|_, task| task.state != TaskState::Done || utc.0.saturating_sub(task.at.0) <= DONE_MS);
    }

    /// Money that is not the shop's and has not gone back.
    #[must_use]
    pub fn owed(&self) -> Money {
        self.tasks.values().filter(|task| task.state != TaskState::Done).map(|task| task.amount).sum()
    }
}

/// The refund of the late payment `tender`.
#[must_use]
pub fn refund_of(tender: &TenderId) -> TenderId {
    TenderId(alloc::format!("{tender}{REFUND}"))
}

impl Turn<'_> {
    /// Headquarters' word on a payment nobody waits for any more.
    pub(super) fn late_answer(&mut self, tender: &TenderId, outcome: WalletOutcome) {
        let WalletOutcome::Approved { amount, reference } = outcome else { return };
        let Some(ended) = self.facts.late.ended.iter().find(|ended| ended.tender == *tender) else { return };
        let (kind, lane) = (ended.kind, ended.lane);
        if amount <= Money::ZERO {
            return;
        }
        let event = TenderEvent::LateApproved { tender: tender.clone(), kind, amount, reference };
        self.record(Some(lane), Event::Tender(event));
        self.ask_late(tender, amount);
    }

    fn ask_late(&mut self, tender: &TenderId, amount: Money) {
        self.live.late_due = Some(self.now.mono.plus_ms(QUERY_AGAIN_MS));
        if !self.live.online {
            return;
        }
        let (of, currency) = (tender.clone(), self.config.currency.code.clone());
        let what = Question::RefundWallet { tender: refund_of(tender), of, amount, currency };
        self.out.effects.push(Effect::Ask { wait_ms: 30_000, what });
    }

    /// Every task headquarters has not answered is asked for again, under the id it has.
    pub(crate) fn ask_late_again(&mut self) {
        let open = self.facts.late.tasks.iter().filter(|(_, task)| task.state == TaskState::Open);
        let open: Vec<(TenderId, Money)> = open.map(|(tender, task)| (tender.clone(), task.amount)).collect();
        self.live.late_due = None;
        for (tender, amount) in open {
            self.ask_late(&tender, amount);
        }
    }

    pub(crate) fn late_tick(&mut self) {
        if self.live.late_due.is_some_and(|due| due <= self.now.mono) {
            self.ask_late_again();
        }
    }

    /// `false`: the answer is not about a task.
    pub(super) fn late_refund_answer(&mut self, refund: &TenderId, outcome: &WalletOutcome) -> bool {
        let Some(tender) = refund.0.strip_suffix(REFUND).map(TenderId::from) else { return false };
        let Some(task) = self.facts.late.tasks.get(&tender) else { return false };
        let (lane, asked) = (task.lane, task.amount);
        if task.state == TaskState::Done {
            return true;
        }
        let event = match outcome {
            WalletOutcome::Approved { amount, reference } if *amount == asked => {
                TenderEvent::LateRefunded { tender, amount: *amount, reference: reference.clone() }
            }
            // It goes on, and is asked about.
            WalletOutcome::Pending => return true,
            _ if task.state == TaskState::Staff => return true,
            WalletOutcome::Approved { .. } => {
                TenderEvent::LateToStaff { tender, reason: "another amount went back".into() }
            }
            WalletOutcome::Declined { reason } => TenderEvent::LateToStaff { tender, reason: reason.clone() },
            WalletOutcome::NotFound | WalletOutcome::Reversed => {
                TenderEvent::LateToStaff { tender, reason: "headquarters knows no such payment".into() }
            }
        };
        self.record(Some(lane), Event::Tender(event));
        true
    }

    /// A person has given the money back, or says why not.
    pub(crate) fn settle_late(&mut self, tender: TenderId, by: Attendant, reason: &str) -> Result<(), Refused> {
        by.at_least(Role::Supervisor)?;
        let task = self.facts.late.tasks.get(&tender).ok_or(Refused::NothingHere)?;
        if task.state != TaskState::Staff {
            return Err(Refused::NothingHere);
        }
        let (lane, reason) = (task.lane, spoken(reason)?);
        let event = TenderEvent::LateSettled { tender, staff: by.staff, reason };
        self.record(Some(lane), Event::Tender(event));
        Ok(())
    }
}
