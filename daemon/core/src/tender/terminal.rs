//! What the terminal says: its answers, its end, and what it remembers.

use super::{BASELINE, CARD_END_MS, DeclineReason, Tender, TenderEvent, TenderState};
use crate::device::{CardOutcome, CardSlip, LastPayment, TerminalCommand, TerminalEvent, TerminalService};
use crate::event::Event;
use crate::page::{Attendant, Refused};
use crate::turn::Turn;
use crate::words::{DeviceId, LaneId, Money, Role, TenderId};
use alloc::string::String;
use alloc::vec::Vec;

impl Turn<'_> {
    pub(crate) fn terminal_event(&mut self, device: &DeviceId, event: TerminalEvent) {
        let (TerminalEvent::Progress { tender, .. }
        | TerminalEvent::Answered { tender, .. }
        | TerminalEvent::Finished { tender }
        | TerminalEvent::Printed { tender, .. }
        | TerminalEvent::Serviced { tender, .. }
        | TerminalEvent::Totals { tender, .. }
        | TerminalEvent::Last { tender, .. }) = &event;
        let tender = tender.clone();
        if tender.0 == BASELINE {
            return self.baseline(device, event);
        }
        if let TerminalEvent::Totals { total, count, .. } = event {
            return self.terminal_totals(device, total, count);
        }
        if let TerminalEvent::Serviced { service, code, .. } = event {
            return self.terminal_serviced(device, service, code);
        }
        let Some(lane) = self.lane_of_tender(&tender) else {
            return;
        };
        match event {
            TerminalEvent::Progress { text, .. } => self.live.lane(lane).tender_text = text,
            TerminalEvent::Answered { outcome, .. } => self.card_answered(lane, device, &tender, outcome),
            TerminalEvent::Finished { .. } => self.card_finished(lane, &tender),
            TerminalEvent::Printed { lines, .. } => self.slip_printed(lane, tender, lines),
            TerminalEvent::Last { last, .. } => self.last_payment(lane, device, &tender, last),
            // Services run under names that are no tenders.
            TerminalEvent::Serviced { .. } | TerminalEvent::Totals { .. } => {}
        }
    }

    fn terminal_serviced(&mut self, device: &DeviceId, service: TerminalService, code: u8) {
        match service {
            TerminalService::EndOfDay => self.terminal_closed(device, code),
            TerminalService::Diagnosis if code == 0 => self.terminal_online(device),
            TerminalService::Diagnosis
            | TerminalService::Status
            | TerminalService::Reprint
            | TerminalService::LogOff => {}
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
        // Unacknowledged, a stranger takes the money back itself.
        if let CardOutcome::Approved(slip) = &outcome
            && self.is_of_a_stranger(lane, tender, slip)
        {
            return self.hand_to_staff(lane);
        }
        self.terminal(device.clone(), TerminalCommand::Acknowledge { tender: tender.clone() });
        if let CardOutcome::Declined { code } = outcome
            && state != TenderState::Approved
        {
            if self.tender(lane, tender).is_some_and(Tender::is_refund) {
                return self.refund_declined(lane);
            }
            self.decline(lane, tender, DeclineReason::Terminal { code });
        }
    }

    fn slip_printed(&mut self, lane: LaneId, tender: TenderId, lines: Vec<String>) {
        if self.tender(lane, &tender).is_some_and(|tender| tender.slip.is_some()) {
            self.record(Some(lane), Event::Tender(TenderEvent::SlipPrinted { tender, lines }));
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

    pub(super) fn card_stands(&mut self, lane: LaneId, tender: &TenderId, slip: &CardSlip) {
        let asked = self.tender(lane, tender).map_or(Money::ZERO, |tender| tender.amount);
        if self.is_of_a_stranger(lane, tender, slip) {
            return self.hand_to_staff(lane);
        }
        let reference = alloc::format!("{}/{}", slip.terminal, slip.trace);
        if asked < Money::ZERO {
            return self.refund_stands(lane, tender, slip.amount, reference);
        }
        if slip.amount > asked || slip.amount <= Money::ZERO {
            return self.hand_to_staff(lane);
        }
        self.approve(lane, tender, slip.amount, reference, Money::ZERO);
        self.complete_if_paid(lane);
    }

    /// A terminal that was exchanged on its way to us: what it says of money a person looks at first.
    fn is_of_a_stranger(&mut self, lane: LaneId, tender: &TenderId, slip: &CardSlip) -> bool {
        let Some(device) = self.tender(lane, tender).and_then(|tender| tender.device.clone()) else { return false };
        let Some(known) = self.facts.terminals.get(&device) else { return false };
        let (stranger, told) = (known.is_stranger(&slip.terminal), known.changed.is_some());
        if stranger && !told {
            let event = TenderEvent::TerminalChanged { device, terminal: slip.terminal.clone() };
            self.record(Some(lane), Event::Tender(event));
            let text =
                ("刷卡机的编号变了，请主管核对", "The terminal answers under another number: a supervisor has to look");
            self.notice(lane, false, text);
        }
        stranger
    }

    /// Somebody has looked at the terminal and says that it is the shop's.
    pub(crate) fn accept_terminal(&mut self, lane: LaneId, by: Attendant) -> Result<(), Refused> {
        by.at_least(Role::Supervisor)?;
        let device = self.config.lane(lane).and_then(|lane| lane.terminal.clone()).ok_or(Refused::NoTerminal)?;
        self.facts.terminals.get(&device).and_then(|known| known.changed.as_ref()).ok_or(Refused::NothingHere)?;
        self.record(Some(lane), Event::Tender(TenderEvent::TerminalAccepted { device, staff: by.staff }));
        Ok(())
    }

    /// What the terminal remembers decides what became of a tender in doubt.
    fn last_payment(&mut self, lane: LaneId, device: &DeviceId, tender: &TenderId, last: LastPayment) {
        let known = self.facts.terminals.get(device).cloned().unwrap_or_default();
        let Some(found) = self.tender(lane, tender) else {
            return;
        };
        if !matches!(found.state, TenderState::InDoubt | TenderState::Staff) {
            return;
        }
        if found.is_refund() {
            return self.last_of_refund(lane, device, tender, last);
        }
        let (asked, ours) = (found.amount, found.slip.as_ref().map(|slip| (slip.trace, slip.amount)));
        match (last, ours) {
            // It answered us before, and that very payment is its last: it stands.
            (LastPayment::Approved(slip), Some(ours)) if (slip.trace, slip.amount) == ours => {
                self.card_stands(lane, tender, &slip);
            }
            (LastPayment::Approved(_) | LastPayment::Nothing, Some(_)) => {
                self.decline(lane, tender, DeclineReason::TakenBack)
            }
            // It never answered us, and its last payment is newer than any we know and of our amount: it is ours.
            (LastPayment::Approved(slip), None) if known.is_new(slip.trace) && slip.amount == asked => {
                let answered = CardOutcome::Approved(slip.clone());
                let event =
                    TenderEvent::CardAnswered { tender: tender.clone(), device: device.clone(), outcome: answered };
                self.record(Some(lane), Event::Tender(event));
                self.card_stands(lane, tender, &slip);
            }
            (LastPayment::Approved(slip), None) if known.last.is_some() && known.knows(slip.trace) => {
                self.decline(lane, tender, DeclineReason::NotTaken);
            }
            (LastPayment::Nothing, None) => self.decline(lane, tender, DeclineReason::NotTaken),
            (LastPayment::Approved(_) | LastPayment::Unknown, _) => self.hand_to_staff(lane),
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
            | TerminalEvent::Printed { .. }
            | TerminalEvent::Serviced { .. }
            | TerminalEvent::Totals { .. }
            | TerminalEvent::Finished { .. } => return,
        };
        if self.is_known(device) {
            return;
        }
        let lane = self.config.lanes_of(device).first().copied();
        self.record(lane, Event::Tender(TenderEvent::TerminalSeen { device: device.clone(), trace }));
    }

    fn is_known(&self, device: &DeviceId) -> bool {
        self.facts.terminals.get(device).is_some_and(|known| known.last.is_some())
    }

    pub(crate) fn terminal_up(&mut self, device: &DeviceId) {
        if !self.config.lanes.iter().any(|lane| lane.terminal.as_ref() == Some(device)) {
            return;
        }
        let mut asked = false;
        for lane in self.config.lanes_of(device) {
            asked |= self.query(lane);
        }
        if !asked && !self.is_known(device) {
            self.terminal(device.clone(), TerminalCommand::Query { tender: TenderId(BASELINE.into()) });
        }
    }

    pub(crate) fn terminal_down(&mut self, lane: LaneId, device: &DeviceId) {
        if self.tender_in_flight(lane).and_then(|tender| tender.device.as_ref()) == Some(device) {
            self.doubt_tender_in_flight(lane, "the terminal is gone");
        }
    }
}
