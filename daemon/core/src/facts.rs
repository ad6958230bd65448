//! The fold of the journal: what survives a power cut. [`Facts::apply`] is the only place where it changes, and it is total.

use crate::basket::{BasketEvent, LineKind, Sale, Transaction};
use crate::device::CardOutcome;
use crate::event::{Event, Record};
use crate::lane::LaneEvent;
use crate::line::serial_id;
use crate::recent::Recent;
use crate::store::{DayTotals, StoreEvent};
use crate::tender::TenderEvent;
use crate::words::{DeviceId, LaneId, Money, Utc};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Names this very fold: facts kept under another name were folded by other code and are folded again from the journal.
pub const FOLD: &str = env!("AISLE_FOLD");

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub boot: u64,
    /// Of this start; part of the ids given out since.
    #[serde(default)]
    pub nonce: u64,
    pub epoch: u64,
    pub lanes: BTreeMap<LaneId, LaneFacts>,
    /// Trace number of the last payment each terminal is known to have made; 0: none yet.
    pub terminals: BTreeMap<DeviceId, u32>,
    pub transactions: u64,
    pub attempts: u64,
    pub interventions: u64,
    pub day_number: u64,
    pub day: DayTotals,
    /// Sum of all sales since the journal began; never reset.
    pub perpetual_total: Money,
    /// Pieces with a number of their own that were sold here and have not come back.
    #[serde(default)]
    pub serials: Recent,
    /// Datasets in force, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<String, InForce>,
    /// The latest time any event carries: the floor for a clock that fell back.
    pub latest: Utc,
}

/// A version of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InForce {
    pub version: u64,
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneFacts {
    pub open: Option<Transaction>,
    /// Receipt numbers given out, without a gap.
    pub receipts: u64,
    pub last_sale: Option<LastSale>,
    pub help_since: Option<Utc>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastSale {
    pub sale: Sale,
    pub at: Utc,
    pub printed: bool,
    /// Prints already sent to paper, finished or not.
    pub prints: u32,
}

impl Facts {
    /// Same journal, same facts: no clock, no lookup, no failure.
    pub fn apply(&mut self, record: &Record) {
        self.latest = self.latest.max(record.utc);
        match (&record.event, record.lane) {
            (Event::Store(event), _) => self.apply_store(event),
            (Event::Lane(event), Some(lane)) => self.apply_lane(record.utc, lane, event),
            (Event::Basket(event), Some(lane)) => self.apply_basket(record.utc, lane, event),
            (Event::Member(event), Some(lane)) => {
                if let crate::member::MemberEvent::FaceConsented { attempt, .. } = event {
                    self.attempts = self.attempts.max(attempt.0);
                }
                if let Some(open) = self.lane(lane).open.as_mut() {
                    open.apply_member(event);
                }
            }
            (Event::Tender(event), Some(lane)) => self.apply_tender(lane, event),
            // A record of a lane's matter always names its lane; one that does not changes nothing.
            (Event::Lane(_) | Event::Basket(_) | Event::Member(_) | Event::Tender(_), None) => {}
        }
    }

    pub(crate) fn lane(&mut self, lane: LaneId) -> &mut LaneFacts {
        self.lanes.entry(lane).or_default()
    }

    pub(crate) fn lane_ids(&self) -> Vec<LaneId> {
        self.lanes.keys().copied().collect()
    }

    fn apply_store(&mut self, event: &StoreEvent) {
        match event {
            StoreEvent::Booted { boot, nonce, .. } => (self.boot, self.nonce) = (*boot, *nonce),
            StoreEvent::EpochOpened { epoch, .. } => self.epoch = *epoch,
            StoreEvent::DayClosed { day, .. } => {
                self.day_number = day.saturating_add(1);
                self.day = DayTotals::default();
            }
            StoreEvent::DatasetActivated { dataset, version, name } => {
                let in_force = InForce { version: *version, name: name.clone() };
                self.datasets.insert(dataset.clone(), in_force);
            }
            StoreEvent::DeviceUp { .. } | StoreEvent::DeviceDown { .. } => {}
        }
    }

    fn apply_lane(&mut self, utc: Utc, lane: LaneId, event: &LaneEvent) {
        if let LaneEvent::InterventionRaised { id, .. } = event {
            self.interventions = self.interventions.max(*id);
        }
        let facts = self.lane(lane);
        match event {
            LaneEvent::HelpCalled => facts.help_since = Some(utc),
            LaneEvent::HelpEnded { .. } => facts.help_since = None,
            LaneEvent::ReceiptSent { .. } => {
                if let Some(last) = facts.last_sale.as_mut() {
                    last.prints = last.prints.saturating_add(1);
                }
            }
            LaneEvent::ReceiptPrinted { transaction } => {
                if let Some(last) = facts.last_sale.as_mut().filter(|last| last.sale.transaction == *transaction) {
                    last.printed = true;
                }
            }
            LaneEvent::InterventionRaised { .. } | LaneEvent::InterventionAnswered { .. } => {
                if let Some(open) = facts.open.as_mut() {
                    open.apply_intervention(event);
                }
            }
        }
    }

    fn apply_basket(&mut self, utc: Utc, lane: LaneId, event: &BasketEvent) {
        match event {
            BasketEvent::Started { transaction } => {
                self.transactions = self.transactions.saturating_add(1);
                self.lane(lane).open = Some(Transaction::new(transaction.clone()));
            }
            BasketEvent::Completed(sale) => self.complete(utc, lane, sale),
            BasketEvent::Voided { .. } => self.lane(lane).open = None,
            BasketEvent::LineAdded(_)
            | BasketEvent::LineRefused { .. }
            | BasketEvent::QuantityChanged { .. }
            | BasketEvent::LineVoided { .. }
            | BasketEvent::PriceOverridden { .. }
            | BasketEvent::Noted { .. }
            | BasketEvent::SavingsSet { .. } => {
                if let Some(open) = self.lane(lane).open.as_mut() {
                    open.apply(event);
                }
            }
        }
    }

    fn complete(&mut self, utc: Utc, lane: LaneId, sale: &Sale) {
        self.day.sales = self.day.sales.saturating_add(1);
        self.day.total = self.day.total.plus(sale.total);
        self.day.members = self.day.members.saturating_add(u64::from(sale.member.is_some()));
        for tender in &sale.tenders {
            self.day.take(tender.kind, tender.amount);
        }
        for line in &sale.lines {
            let Some(serial) = &line.serial else { continue };
            let id = serial_id(&line.key, serial);
            if line.kind == LineKind::Returned { self.serials.forget(&id) } else { self.serials.remember(id) }
        }
        self.perpetual_total = self.perpetual_total.plus(sale.total);
        let facts = self.lane(lane);
        facts.receipts = sale.receipt.0;
        facts.open = None;
        facts.last_sale = Some(LastSale { sale: sale.clone(), at: utc, printed: false, prints: 0 });
    }

    fn apply_tender(&mut self, lane: LaneId, event: &TenderEvent) {
        match event {
            TenderEvent::TerminalSeen { device, trace } => {
                self.terminals.insert(device.clone(), *trace);
            }
            TenderEvent::CardAnswered { device, outcome: CardOutcome::Approved(slip), .. } if slip.trace != 0 => {
                self.terminals.insert(device.clone(), slip.trace);
            }
            TenderEvent::CardAnswered { .. }
            | TenderEvent::Started { .. }
            | TenderEvent::Approved { .. }
            | TenderEvent::Declined { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::Resolved { .. } => {}
        }
        if let Some(open) = self.lane(lane).open.as_mut() {
            open.apply_tender(event);
        }
    }
}
