//! Doubt: asked about until the answer is certain.

use super::{QUERY_AGAIN_MS, STAFF_AFTER_MS, Tender, TenderEvent, TenderState};
use crate::device::TerminalCommand;
use crate::event::Event;
use crate::line::spoken;
use crate::page::{Attendant, Refused};
use crate::turn::{Effect, Turn};
use crate::wire::Question;
use crate::words::{LaneId, Money, Name, Role, TenderId};
use alloc::string::String;

/// What a person says of a tender no machine could settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) taken: bool,
    /// Where less moved than was asked for.
    pub(crate) amount: Option<Money>,
    pub(crate) reason: String,
}

impl Turn<'_> {
    pub(crate) fn doubt_tender_in_flight(&mut self, lane: LaneId, reason: &str) {
        let Some(tender) = self.tender_in_flight(lane) else {
            return;
        };
        if matches!(tender.state, TenderState::Started | TenderState::Answered) {
            return self.doubt(lane, reason);
        }
        if tender.is_by_hand() {
            return;
        }
        self.wallet_in_doubt(lane);
        let mono = self.now.mono;
        let live = self.live.lane(lane);
        live.query_due = Some(mono.plus_ms(QUERY_AGAIN_MS));
        live.staff_due = Some(mono.plus_ms(STAFF_AFTER_MS));
    }

    pub(super) fn doubt(&mut self, lane: LaneId, reason: &str) {
        let Some(tender) = self.tender_in_flight(lane).map(|tender| tender.id.clone()) else {
            return;
        };
        self.record(Some(lane), Event::Tender(TenderEvent::InDoubt { tender, reason: reason.into() }));
        let live = self.live.lane(lane);
        live.tender_due = None;
        live.staff_due = Some(self.now.mono.plus_ms(STAFF_AFTER_MS));
        self.wallet_in_doubt(lane);
        self.query(lane);
    }

    /// Asks what became of the tender in doubt; says whether a terminal was asked.
    pub(super) fn query(&mut self, lane: LaneId) -> bool {
        let Some(tender) = self.tender_in_flight(lane) else {
            return false;
        };
        if tender.is_by_hand() {
            return false;
        }
        if !matches!(tender.state, TenderState::InDoubt | TenderState::Staff) && !tender.kind.is_hq() {
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
            if self.tender_in_flight(lane).is_some_and(|tender| tender.kind.is_hq()) {
                self.query(lane);
            }
        }
    }

    /// A person looked at the terminal, or gave the money back, and says what happened.
    pub(crate) fn resolve_tender(
        &mut self,
        lane: LaneId,
        tender: TenderId,
        verdict: Verdict,
        by: Attendant,
    ) -> Result<(), Refused> {
        let Verdict { taken, amount, reason } = verdict;
        let found = self.tender(lane, &tender).ok_or(Refused::NothingHere)?.clone();
        if !matches!(found.state, TenderState::InDoubt | TenderState::Staff) {
            return Err(Refused::NothingHere);
        }
        let (asked, refund) = (found.amount, found.is_refund());
        let reason = spoken(&reason)?;
        // Whoever says that nothing was taken lets the shopper pay again: twice, where it is not so.
        if !taken && !refund {
            by.at_least(Role::Supervisor)?;
        }
        let staff = by.staff;
        let amount = amount.filter(|amount| taken && *amount != asked);
        if amount.is_some_and(|less| refund || less <= Money::ZERO || less > asked) {
            return Err(Refused::BadAmount);
        }
        self.record(Some(lane), Event::Tender(TenderEvent::Resolved { tender, taken, staff, reason, amount }));
        self.end_tender(lane);
        let terminal = self.terminal_used(lane, &found);
        if refund && taken {
            self.give_back(lane);
        }
        self.complete_if_paid(lane);
        if let Some(device) = terminal {
            self.ask_anew(&device);
        }
        Ok(())
    }

    pub(super) fn hand_to_staff(&mut self, lane: LaneId) {
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
            if self.tender_in_flight(lane).is_some_and(Tender::is_refund) {
                self.refund_to_staff(lane, Name::default());
            } else {
                self.hand_to_staff(lane);
            }
        }
        if self.live.lane(lane).query_due.is_some_and(|at| at <= now) {
            self.live.lane(lane).query_due = None;
            self.query(lane);
        }
        self.wallet_tick(lane);
    }
}
