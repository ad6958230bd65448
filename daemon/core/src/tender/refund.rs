//! Money back to the shopper: of goods returned, or of a sale given up half paid.
//!
//! It goes the way it came. Points go back at once and in proportion, cash leaves the drawer, card and wallet as [`super::back`]
//! says. One part after another: each has come to its end before the next begins.

use super::{REFUNDS_MAX, Tender, TenderState};
use crate::basket::{BasketEvent, VoidedBy};
use crate::event::Event;
use crate::page::{Attendant, Refused};
use crate::points;
use crate::turn::Turn;
use crate::view::{LaneKind, TenderKind};
use crate::words::{LaneId, Money, Role, TenderId, TransactionId};
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// A payment that can be given back, and how much of it is left.
pub(super) struct Original {
    pub(super) tender: TenderId,
    pub(super) kind: TenderKind,
    pub(super) amount: Money,
    left: Money,
    /// What `amount` burnt.
    points: u64,
}

impl Turn<'_> {
    /// Gives the basket up. Where money has moved it is given back first; the basket ends with the last of it.
    pub(crate) fn give_up(&mut self, lane: LaneId, by: VoidedBy) -> Result<(), Refused> {
        let open = self.open(lane).ok_or(Refused::NothingHere)?;
        if self.tender_in_flight(lane).is_some() {
            return Err(Refused::Paying);
        }
        let (transaction, paid) = (open.id.clone(), open.paid());
        self.live.lane(lane).wants_code = None;
        if paid == Money::ZERO {
            self.void(lane, transaction, Some(by), None);
            return Ok(());
        }
        self.record(Some(lane), Event::Basket(BasketEvent::VoidBegun { by }));
        self.points_first(lane);
        self.give_back(lane);
        Ok(())
    }

    /// Staff give back what the returned goods are worth; in cash whatever was paid with, where a supervisor says so.
    pub(crate) fn refund(&mut self, lane: LaneId, in_cash: bool, by: &Attendant) -> Result<(), Refused> {
        if in_cash {
            by.at_least(Role::Supervisor)?;
        }
        if self.tender_in_flight(lane).is_some() {
            return Err(Refused::Paying);
        }
        let open = self.open(lane).ok_or(Refused::NothingHere)?;
        if open.interventions.iter().any(|asked| asked.answer.is_none()) {
            return Err(Refused::Intervention);
        }
        if open.due() >= Money::ZERO {
            return Err(Refused::NothingToPay);
        }
        if !self.config.floor.back.allows(by.role, Money::ZERO.minus(open.due())) {
            return Err(Refused::RoleTooLow);
        }
        if in_cash {
            self.has_drawer(lane)?;
        }
        self.points_first(lane);
        if !in_cash {
            self.give_back(lane);
        } else if self.open(lane).is_some_and(|open| open.due() < Money::ZERO) {
            self.cash_back(lane, None);
        }
        Ok(())
    }

    /// Points go back in the proportion they paid in, whatever the rest is given back by: nobody turns them into money
    /// by bringing goods back one by one, and all of it brought back gives back the last point.
    fn points_first(&mut self, lane: LaneId) {
        let originals = self.originals(lane);
        let mut left: Money = originals.iter().map(|original| original.left).sum();
        for original in originals.iter().filter(|original| original.kind == TenderKind::Points) {
            let Some(open) = self.open(lane) else { return };
            let owed = Money::ZERO.minus(open.due()).min(left);
            let part = original.left.ratio(owed.0, left.0).min(owed);
            left = left.minus(original.left);
            let done = open.tenders.iter().any(|tender| tender.of.as_ref() == Some(&original.tender));
            if part > Money::ZERO && !done {
                self.give_points_back(lane, original, part);
            }
        }
    }

    fn give_points_back(&mut self, lane: LaneId, original: &Original, part: Money) {
        let before = original.amount.minus(original.left);
        let up_to = |amount| points::share(original.points, amount, original.amount);
        let points = up_to(before.plus(part)).saturating_sub(up_to(before));
        let amount = Money::ZERO.minus(part);
        let tender = self.start_tender(lane, TenderKind::Points, amount, None, Some(original.tender.clone()));
        self.approve_points(lane, tender, amount, points);
        self.finish(lane);
    }

    /// The next part of what is owed to the shopper; stops where a machine or a person has to give it.
    pub(super) fn give_back(&mut self, lane: LaneId) {
        for _ in 0..REFUNDS_MAX {
            let Some(open) = self.open(lane).filter(|open| open.due() < Money::ZERO) else {
                return self.finish(lane);
            };
            let owed = Money::ZERO.minus(open.due());
            match self.originals(lane).into_iter().find(|original| original.left > Money::ZERO) {
                Some(original) if original.kind == TenderKind::Cash => {
                    if !self.cash_back(lane, Some((original.tender, original.left.min(owed)))) {
                        return;
                    }
                }
                Some(original) if original.kind == TenderKind::Points => {
                    let part = original.left.min(owed);
                    self.give_points_back(lane, &original, part);
                }
                Some(original) if self.config.till.training => {
                    let amount = Money::ZERO.minus(original.left.min(owed));
                    self.pretend(lane, original.kind, amount, Some(original.tender));
                }
                Some(original) => {
                    let part = original.left.min(owed);
                    return if original.kind == TenderKind::Card {
                        self.card_back(lane, &original, part)
                    } else {
                        self.wallet_back(lane, &original, part)
                    };
                }
                // Nothing to give it back to: goods without a receipt.
                None => {
                    if !self.cash_back(lane, None) {
                        return;
                    }
                }
            }
        }
    }

    /// Cash out of the drawer: a part of one payment, or all that is owed. `false`: this lane has no drawer to give it from.
    fn cash_back(&mut self, lane: LaneId, part: Option<(TenderId, Money)>) -> bool {
        if self.has_drawer(lane).is_err() {
            self.notice(lane, false, ("请到人工收银台退现金", "Cash is given back at a staffed lane"));
            return false;
        }
        let Some(open) = self.open(lane) else { return false };
        let (owed, voiding) = (Money::ZERO.minus(open.due()), open.voiding.is_some());
        let part = part.filter(|(_, amount)| *amount < owed);
        let rounding =
            if part.is_some() || voiding { Money::ZERO } else { self.cash_rounding(Money::ZERO.minus(owed)) };
        self.round(lane, rounding);
        let (of, amount) = match part {
            Some((tender, amount)) => (Some(tender), Money::ZERO.minus(amount)),
            None => (None, rounding.minus(owed)),
        };
        let of = of.or_else(|| self.originals(lane).into_iter().find(|o| o.kind == TenderKind::Cash).map(|o| o.tender));
        let tender = self.start_tender(lane, TenderKind::Cash, amount, None, of);
        self.approve(lane, &tender, amount, String::new(), Money::ZERO);
        self.finish(lane);
        true
    }

    /// Nothing is owed any more: the void is done, or the sale.
    fn finish(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        if open.due() != Money::ZERO {
            return;
        }
        match open.voiding.clone() {
            Some(by) => {
                let transaction = open.id.clone();
                self.print_given_back(lane);
                self.void(lane, transaction, Some(by), None);
            }
            None => self.complete_if_paid(lane),
        }
    }

    /// A drawer is where cash is: at a staffed lane, in a shift where the shop keeps shifts.
    pub(crate) fn has_drawer(&self, lane: LaneId) -> Result<(), Refused> {
        if self.config.lane(lane).is_none_or(|lane| lane.kind != LaneKind::Staffed) {
            return Err(Refused::CashNeedsStaff);
        }
        self.needs_shift(lane)
    }

    /// What the money came by: payments of this basket, then those of the sales its goods come from; cash behind
    /// what a person gives back, points where nothing else is left.
    fn originals(&self, lane: LaneId) -> Vec<Original> {
        let Some(open) = self.open(lane) else { return Vec::new() };
        let given_back = |id: &TenderId| -> Money {
            let here = open
                .tenders
                .iter()
                .filter(|tender| tender.of.as_ref() == Some(id) && tender.state == TenderState::Approved);
            here.map(|tender| Money::ZERO.minus(tender.amount)).sum()
        };
        let own = |tender: &&Tender| tender.state == TenderState::Approved && !tender.is_refund();
        let mut found: Vec<Original> = open
            .tenders
            .iter()
            .filter(own)
            .map(|tender| Original {
                tender: tender.id.clone(),
                kind: tender.kind,
                amount: tender.amount,
                left: tender.amount.minus(given_back(&tender.id)),
                points: tender.points,
            })
            .collect();
        let sales: BTreeSet<&TransactionId> = open
            .live_lines()
            .filter_map(|line| line.returned.as_ref()?.bought.as_ref())
            .map(|bought| &bought.transaction)
            .collect();
        for transaction in sales.into_iter().filter(|_| open.voiding.is_none()) {
            let Some(sold) = self.catalog.sale(&crate::returns::SaleRef::Transaction(transaction.clone())) else {
                continue;
            };
            let before =
                |id: &TenderId| self.facts.returned.get(transaction).map_or(Money::ZERO, |sale| sale.refunded(id));
            found.extend(sold.sale.tenders.iter().filter(|tender| tender.amount > Money::ZERO).map(|tender| {
                Original {
                    tender: tender.tender.clone(),
                    kind: tender.kind,
                    amount: tender.amount,
                    points: tender.points,
                    left: tender.amount.minus(before(&tender.tender)).minus(given_back(&tender.tender)),
                }
            }));
        }
        found.sort_by_key(|original| match original.kind {
            TenderKind::Card | TenderKind::Wallet | TenderKind::Gift | TenderKind::MemberWallet => 0,
            TenderKind::Cash => 1,
            TenderKind::Points => 2,
        });
        found
    }
}
