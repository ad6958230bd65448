//! The tender plan: who may pay how much by what, until nothing is due.
//!
//! Any part may be paid by any means, and what was approved stays: a terminal or wallet that took less leaves the rest due.
//! Cash alone gives change; card, wallet and points never take more than is due. While money has moved the lines stand still.

use super::{CARD_ANSWER_MS, DeclineReason, TenderEvent, TenderState, Wants};
use crate::device::TerminalCommand;
use crate::event::Event;
use crate::page::{Method, Refused};
use crate::price;
use crate::turn::Turn;
use crate::view::TenderKind;
use crate::words::{DeviceId, LaneId, Money, Name, TenderId};
use alloc::string::String;

/// What stands on a training receipt where a terminal or provider would have its reference.
const TRAINING: &str = "TRAINING";

impl Turn<'_> {
    /// Pays `amount` of what is due, or all of it.
    pub(crate) fn pay(
        &mut self,
        lane: LaneId,
        method: Method,
        amount: Option<Money>,
        staffed: bool,
    ) -> Result<(), Refused> {
        let due = self.payable(lane)?;
        let part = amount.unwrap_or(due);
        if part <= Money::ZERO {
            return Err(Refused::BadAmount);
        }
        match method {
            Method::Card | Method::Wallet | Method::Points if part > due => Err(Refused::MoreThanDue),
            Method::Card | Method::Wallet if self.config.till.training => {
                let kind = if method == Method::Card { TenderKind::Card } else { TenderKind::Wallet };
                self.pretend(lane, kind, part, None);
                self.complete_if_paid(lane);
                Ok(())
            }
            Method::Card | Method::Wallet if self.cash_only(lane) => Err(Refused::CashOnly),
            Method::Card => self.pay_card(lane, part),
            Method::Wallet if !self.live.online => Err(Refused::HqOffline),
            Method::Wallet => {
                self.live.lane(lane).wants_code = Some(Wants::Pay(part));
                Ok(())
            }
            Method::Points => self.pay_points(lane, due, amount),
            Method::Cash { .. } if !staffed => Err(Refused::CashNeedsStaff),
            Method::Cash { given } => {
                self.needs_shift(lane)?;
                self.pay_cash(lane, due, amount, given)
            }
        }
    }

    /// Burns points for `part` of what is due, or as many as there are; whole points only.
    fn pay_points(&mut self, lane: LaneId, due: Money, part: Option<Money>) -> Result<(), Refused> {
        let open = self.open(lane).ok_or(Refused::NothingToPay)?;
        let member = open.member.as_ref().and_then(|identified| self.catalog.member_by_id(&identified.member));
        let rules = &self.config.floor.points;
        let most = self.facts.spendable(rules, open, member.as_ref(), self.live.online, self.catalog)?;
        let wanted = rules.points_for(part.unwrap_or(due));
        let points = if part.is_none() { wanted.min(most) } else { wanted };
        if points == 0 {
            return Err(Refused::BadAmount);
        }
        if points > most {
            return Err(Refused::NotEnoughPoints);
        }
        let amount = rules.worth_of(points);
        self.live.lane(lane).wants_code = None;
        let tender = self.start_tender(lane, TenderKind::Points, amount, None, None);
        self.approve_points(lane, tender, amount, points);
        self.complete_if_paid(lane);
        Ok(())
    }

    /// What is due, where it may be paid now.
    pub(crate) fn payable(&self, lane: LaneId) -> Result<Money, Refused> {
        if let Some(tender) = self.tender_in_flight(lane) {
            let doubt = matches!(tender.state, TenderState::InDoubt | TenderState::Staff);
            return Err(if doubt { Refused::InDoubt } else { Refused::Paying });
        }
        let open = self.open(lane).ok_or(Refused::NothingToPay)?;
        if open.interventions.iter().any(|asked| asked.answer.is_none()) {
            return Err(Refused::Intervention);
        }
        let due = open.due();
        if due <= Money::ZERO || open.pieces() == 0 { Err(Refused::NothingToPay) } else { Ok(due) }
    }

    /// Neither terminal nor network: nothing but cash can pay here.
    pub(crate) fn cash_only(&self, lane: LaneId) -> bool {
        self.live.cash_only(self.config, lane)
    }

    fn pay_card(&mut self, lane: LaneId, amount: Money) -> Result<(), Refused> {
        let device = self.config.lane(lane).and_then(|lane| lane.terminal.clone()).ok_or(Refused::NoTerminal)?;
        if !self.live.device(&device).up || self.terminal_is_busy(&device) {
            return Err(Refused::TerminalDown);
        }
        if self.facts.terminals.get(&device).is_some_and(|known| known.changed.is_some()) {
            return Err(Refused::TerminalChanged);
        }
        self.may_take_card(&device, amount)?;
        self.live.lane(lane).wants_code = None;
        let tender = self.start_tender(lane, TenderKind::Card, amount, Some(device.clone()), None);
        self.live.lane(lane).tender_due = Some(self.now.mono.plus_ms(CARD_ANSWER_MS));
        self.terminal(device, TerminalCommand::Authorise { tender, amount, at: self.now.utc });
        Ok(())
    }

    /// A terminal shared by lanes answers for its last payment only: while one tender on it is open, no other may become that.
    pub(super) fn terminal_is_busy(&self, device: &DeviceId) -> bool {
        let lanes = self.facts.lane_ids().into_iter();
        lanes.filter_map(|lane| self.tender_in_flight(lane)).any(|tender| tender.device.as_ref() == Some(device))
    }

    /// Cash closes the sale, rounded to coins that exist, or pays the `part` the shopper wants to pay in cash.
    fn pay_cash(&mut self, lane: LaneId, due: Money, part: Option<Money>, given: Money) -> Result<(), Refused> {
        let closing = part.is_none_or(|part| part >= due);
        let rounding = if closing { self.cash_rounding(due) } else { Money::ZERO };
        let amount = if closing { due.plus(rounding) } else { part.unwrap_or(due) };
        if given < amount {
            return Err(Refused::NotEnough);
        }
        self.live.lane(lane).wants_code = None;
        self.round(lane, rounding);
        let tender = self.start_tender(lane, TenderKind::Cash, amount, None, None);
        self.approve(lane, &tender, amount, String::new(), given);
        self.complete_if_paid(lane);
        Ok(())
    }

    /// Its own line, and only where cash closes the sale.
    pub(super) fn round(&mut self, lane: LaneId, amount: Money) {
        if amount != Money::ZERO {
            self.record(Some(lane), Event::Tender(TenderEvent::Rounded { amount }));
        }
    }

    /// What coins that exist make of `due`: added to it.
    pub(super) fn cash_rounding(&self, due: Money) -> Money {
        price::cash_rounding(due, &self.config.price)
    }

    /// Training: no terminal and no provider hears of it.
    pub(super) fn pretend(&mut self, lane: LaneId, kind: TenderKind, amount: Money, of: Option<TenderId>) {
        let tender = self.start_tender(lane, kind, amount, None, of);
        self.approve(lane, &tender, amount, TRAINING.into(), Money::ZERO);
    }

    /// Gives up waiting for a card or a code. The terminal still answers; that answer decides.
    pub(crate) fn cancel_payment(&mut self, lane: LaneId) -> Result<(), Refused> {
        let live = self.live.lane(lane);
        if live.wants_code.take().is_some() || live.confirming.take().is_some() {
            return Ok(());
        }
        let tender = self.tender_in_flight(lane).ok_or(Refused::NothingHere)?;
        if tender.kind.is_hq() && !tender.is_refund() {
            return self.give_up_early(lane);
        }
        let (TenderState::Started, Some(device)) = (tender.state, tender.device.clone()) else {
            return Err(Refused::Paying);
        };
        let tender = tender.id.clone();
        self.terminal(device, TerminalCommand::Abort { tender });
        Ok(())
    }

    /// The id the next tender of the basket will have.
    pub(crate) fn next_tender(&self, lane: LaneId) -> TenderId {
        let (id, count) = self.open(lane).map_or((String::new(), 0), |open| (open.id.0.clone(), open.tenders.len()));
        TenderId(alloc::format!("{id}.{}", count.saturating_add(1)))
    }

    pub(crate) fn start_tender(
        &mut self,
        lane: LaneId,
        kind: TenderKind,
        amount: Money,
        device: Option<DeviceId>,
        of: Option<TenderId>,
    ) -> TenderId {
        let tender = self.next_tender(lane);
        self.live.lane(lane).confirming = None;
        self.record(
            Some(lane),
            Event::Tender(TenderEvent::Started { tender: tender.clone(), kind, amount, device, of }),
        );
        self.live.lane(lane).tender_text = match kind {
            TenderKind::Card => {
                Name { zh: "请按刷卡机提示操作".into(), en: "Please follow the card terminal".into() }
            }
            TenderKind::Cash
            | TenderKind::Wallet
            | TenderKind::Points
            | TenderKind::Gift
            | TenderKind::MemberWallet => Name { zh: "正在确认付款".into(), en: "Confirming the payment".into() },
        };
        tender
    }

    pub(super) fn approve(&mut self, lane: LaneId, tender: &TenderId, amount: Money, reference: String, given: Money) {
        let tender = tender.clone();
        self.record(Some(lane), Event::Tender(TenderEvent::Approved { tender, amount, reference, given, points: 0 }));
        self.end_tender(lane);
    }

    /// Points need nobody outside: they move in the step that asks for them.
    pub(super) fn approve_points(&mut self, lane: LaneId, tender: TenderId, amount: Money, points: u64) {
        let (reference, given) = (String::new(), Money::ZERO);
        self.record(Some(lane), Event::Tender(TenderEvent::Approved { tender, amount, reference, given, points }));
        self.end_tender(lane);
    }

    pub(super) fn decline(&mut self, lane: LaneId, tender: &TenderId, reason: DeclineReason) {
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

    pub(super) fn end_tender(&mut self, lane: LaneId) {
        let live = self.live.lane(lane);
        live.tender_due = None;
        live.query_due = None;
        live.staff_due = None;
        live.wallet = None;
        live.tender_text = Name::default();
    }
}
