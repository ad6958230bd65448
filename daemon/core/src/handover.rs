//! A basket leaves its lane and goes on at another, or later: suspended and resumed under the id it was born with.
//!
//! Lines keep the prices they were locked at; the member, the interventions and their answers travel along.
//! Nothing leaves while money has moved. What nobody asked for by the close of the day is given up.

use crate::basket::{BasketEvent, Transaction, VoidReason};
use crate::device::{Beep, Document};
use crate::event::Event;
use crate::page::Refused;
use crate::receipt::SlipRow;
use crate::refusal::LineRefusal;
use crate::returns::SaleRef;
use crate::scan::Printed;
use crate::turn::Turn;
use crate::view::LaneKind;
use crate::words::{LaneId, Name, StaffId, TransactionId, Utc};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    pub basket: Transaction,
    /// Where it was.
    pub lane: LaneId,
    pub at: Utc,
}

/// What a lane's scanner or a page shows to call the basket: the same code its receipt will carry.
#[must_use]
pub fn code_of(transaction: &TransactionId) -> String {
    Printed::Receipt.code(&transaction.0).unwrap_or_else(|| transaction.0.clone())
}

impl Turn<'_> {
    pub(crate) fn suspend(&mut self, lane: LaneId, staff: Option<StaffId>) -> Result<(), Refused> {
        let open = self.editable(lane)?;
        if open.pieces() == 0 {
            return Err(Refused::NothingHere);
        }
        let (transaction, pieces, total) = (open.id.clone(), open.pieces(), open.total());
        let event = BasketEvent::Suspended { transaction: transaction.clone(), staff };
        self.record(Some(lane), Event::Basket(event));
        self.live.lane(lane).clear();
        self.live.lane(lane).handed = Some(transaction.clone());
        let rows = alloc::vec![
            SlipRow::of(("商品件数", "Items"), pieces.to_string()),
            SlipRow::of(("合计", "Total"), self.config.currency.show(total)),
            SlipRow::of(("凭此码在任一收银台继续", "Show this code at any lane to go on"), String::new()),
        ];
        let title = Name { zh: "挂单".into(), en: "Suspended basket".into() };
        let slip = self.slip(lane, &alloc::format!("hold-{transaction}"), title, rows, Some(code_of(&transaction)));
        self.print(lane, Document::Slip(slip), false);
        Ok(())
    }

    /// Goes on here. An empty basket that stands in the way is given up.
    pub(crate) fn resume(
        &mut self,
        lane: LaneId,
        transaction: TransactionId,
        staff: Option<StaffId>,
    ) -> Result<(), Refused> {
        let from = self.facts.suspended.get(&transaction).ok_or(Refused::NothingHere)?.lane;
        if let Some(open) = self.open(lane) {
            if open.pieces() > 0 || self.money_moves(lane) {
                return Err(Refused::BasketOpen);
            }
            let empty = open.id.clone();
            self.void(lane, empty, None, None);
        }
        let live = self.live.lane(lane);
        live.done = false;
        live.handed = None;
        self.record(Some(lane), Event::Basket(BasketEvent::Resumed { transaction, from, staff }));
        self.tell_cheaper(lane);
        Ok(())
    }

    /// The code of a transaction: a basket that waits goes on here; a sale is put before the staff who may take goods back.
    pub(crate) fn receipt_code(&mut self, lane: LaneId, transaction: TransactionId) {
        let staffed = self.config.lane(lane).is_some_and(|lane| lane.kind == LaneKind::Staffed);
        let done = if self.facts.suspended.contains_key(&transaction) {
            self.resume(lane, transaction, None)
        } else if staffed {
            self.show_sale(lane, &SaleRef::Transaction(transaction))
        } else {
            return self.refuse_line(lane, LineRefusal::NotTaken, None);
        };
        match done {
            Ok(()) => self.beep(lane, Beep::Good),
            Err(refused) => {
                let Name { zh, en } = refused.text();
                self.beep(lane, Beep::Bad);
                self.notice(lane, false, (&zh, &en));
            }
        }
    }

    pub(crate) fn age_out(&mut self) {
        let waiting: Vec<(TransactionId, LaneId)> =
            self.facts.suspended.iter().map(|(id, suspended)| (id.clone(), suspended.lane)).collect();
        for (transaction, lane) in waiting {
            let why = Some(VoidReason::DayClosed);
            self.record(Some(lane), Event::Basket(BasketEvent::Voided { transaction, by: None, why }));
        }
    }
}
