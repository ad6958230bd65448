//! The fold of the journal: what survives a power cut. [`Facts::apply`] is the only place where it changes, and it is total.

use crate::allowance::Used;
use crate::audit::FloorAudit;
use crate::bagging::{BagEvent, Weights};
use crate::basket::{BasketEvent, Transaction};
use crate::config::PriceRules;
use crate::control::ControlFacts;
use crate::coupon::Redeemed;
use crate::device::CardOutcome;
use crate::event::{Event, Record};
use crate::face::FaceFacts;
use crate::handover::Suspended;
use crate::lane::LaneEvent;
use crate::line::{LineKind, serial_id};
use crate::points::PointsMoved;
use crate::policy::Exposure;
use crate::recent::Recent;
use crate::rescan::{Looks, RescanEvent};
use crate::returns::{RETURN_MAX_MS, Returned};
use crate::rules::PointRules;
use crate::sale::Sale;
use crate::shift::Shifts;
use crate::store::{DayReport, StoreEvent};
use crate::tender::{Late, TenderEvent, TenderState, TerminalClosing, TerminalDay, Traces, apply_terminal_day};
use crate::totals::Totals;
use crate::upkeep::Upkeep;
use crate::words::{DeviceId, LaneId, LineNo, Money, TransactionId, Utc};
use alloc::borrow::Cow;
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
    /// What each terminal is known to have done.
    pub terminals: BTreeMap<DeviceId, Traces>,
    pub transactions: u64,
    pub attempts: u64,
    pub interventions: u64,
    pub day_number: u64,
    pub day: Totals,
    /// The day closed last.
    pub last_day: Option<DayReport>,
    /// Baskets that wait for a lane.
    pub suspended: BTreeMap<TransactionId, Suspended>,
    /// What came back of which sale.
    pub returned: BTreeMap<TransactionId, Returned>,
    /// Sum of all sales since the journal began; never reset.
    pub perpetual_total: Money,
    /// Pieces with a number of their own that were sold here and have not come back.
    #[serde(default)]
    pub serials: Recent,
    /// What the store prices by; none in journals that do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_rules: Option<PriceRules>,
    /// What points it gives and takes; none where it never said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub point_rules: Option<PointRules>,
    /// Datasets in force, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub datasets: BTreeMap<String, InForce>,
    /// What pieces weigh in the bag, as this store has learned it.
    #[serde(default)]
    pub weights: Weights,
    #[serde(default)]
    pub coupons: Redeemed,
    #[serde(default)]
    pub points: PointsMoved,
    /// What terminals approved by themselves and have not handed in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub exposure: BTreeMap<DeviceId, Exposure>,
    /// Card payments since each terminal last handed in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub terminal_days: BTreeMap<DeviceId, TerminalDay>,
    /// What each handed in last.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub closings: BTreeMap<DeviceId, TerminalClosing>,
    /// Payments that arrived after all.
    #[serde(default)]
    pub late: Late,
    #[serde(default)]
    pub used: Used,
    #[serde(default)]
    pub looks: Looks,
    #[serde(default)]
    pub audit: FloorAudit,
    #[serde(default)]
    pub faces: FaceFacts,
    /// The latest time any event carries whose clock was believed: the floor for a clock that fell back.
    pub latest: Utc,
    #[serde(default)]
    pub upkeep: Upkeep,
    #[serde(default)]
    pub control: ControlFacts,
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
    pub shifts: Shifts,
    /// The business day so far.
    pub totals: Totals,
    /// Numbers were left out for those that a lost part of the journal may have given out.
    #[serde(default)]
    pub spared: bool,
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
        if let Event::Store(StoreEvent::Booted { .. }) = &record.event {
            self.upkeep.before_boot = self.latest;
        }
        if self.is_timely(&record.event) {
            self.latest = self.latest.max(record.utc);
        }
        match (&record.event, record.lane) {
            (Event::Store(event), _) => self.apply_store(record.utc, event),
            (Event::Box(event), lane) => self.apply_box(record.utc, lane, event),
            (Event::Control(event), _) => self.control.apply(event),
            (Event::Lane(event), Some(lane)) => self.apply_lane(record.utc, lane, event),
            (Event::Basket(event), Some(lane)) => self.apply_basket(record.utc, lane, event),
            (Event::Member(event), Some(lane)) => {
                self.attempts = self.attempts.max(event.attempt().map_or(0, |attempt| attempt.0));
                self.faces.apply(record.utc, lane, event);
                if let Some(open) = self.lane(lane).open.as_mut() {
                    open.apply_member(event);
                }
            }
            (Event::Tender(event), Some(lane)) => self.apply_tender(record.utc, lane, event),
            (Event::Shift(event), Some(lane)) => {
                self.each_totals(lane, |totals| totals.take_drawer(event));
                self.lane(lane).shifts.apply(record.utc, event);
            }
            // A record of a lane's matter always names its lane; one that does not changes nothing.
            (Event::Lane(_) | Event::Basket(_) | Event::Member(_) | Event::Tender(_) | Event::Shift(_), None) => {}
        }
    }

    /// The same of a record nobody needs any more.
    pub(crate) fn take(&mut self, record: Record) {
        match record {
            Record { utc, lane: Some(lane), event: Event::Basket(BasketEvent::Completed(sale)) } => {
                if self.upkeep.clock_doubt.is_none() {
                    self.latest = self.latest.max(utc);
                }
                self.complete(utc, lane, Cow::Owned(*sale));
            }
            record => self.apply(&record),
        }
    }

    pub(crate) fn lane(&mut self, lane: LaneId) -> &mut LaneFacts {
        self.lanes.entry(lane).or_default()
    }

    pub(crate) fn lane_ids(&self) -> Vec<LaneId> {
        self.lanes.keys().copied().collect()
    }

    /// Every basket that is not done: at a lane, or waiting for one.
    pub(crate) fn baskets(&self) -> impl Iterator<Item = &Transaction> {
        let open = self.lanes.values().filter_map(|lane| lane.open.as_ref());
        open.chain(self.suspended.values().map(|suspended| &suspended.basket))
    }

    /// The sums a lane's matter goes into: its own day's, its open shift's, and the store's.
    fn each_totals(&mut self, lane: LaneId, take: impl Fn(&mut Totals)) {
        take(&mut self.day);
        let facts = self.lane(lane);
        take(&mut facts.totals);
        if let Some(shift) = facts.shifts.open.as_mut() {
            take(&mut shift.totals);
        }
    }

    fn apply_store(&mut self, utc: Utc, event: &StoreEvent) {
        match event {
            StoreEvent::Booted { boot, nonce, .. } => (self.boot, self.nonce) = (*boot, *nonce),
            StoreEvent::EpochOpened { epoch, .. } => {
                self.epoch = *epoch;
                self.may_miss(self.upkeep.before_boot);
            }
            StoreEvent::DayClosed { day, totals, lanes, perpetual } => {
                self.day_number = day.saturating_add(1);
                self.day = Totals::default();
                self.lanes.values_mut().for_each(|lane| lane.totals = Totals::default());
                self.late.day_closed(utc);
                self.returned.retain(|_, sale| utc.0.saturating_sub(sale.at.0) <= RETURN_MAX_MS);
                let (totals, lanes) = ((**totals).clone(), lanes.clone());
                self.last_day = Some(DayReport { day: *day, closed: utc, totals, lanes, perpetual: *perpetual });
            }
            StoreEvent::CouponConflict { campaign, serial, .. } => self.coupons.is_gone(campaign, serial),
            StoreEvent::PriceRulesSet { rules } => self.price_rules = Some(*rules),
            StoreEvent::PointRulesSet { rules } => self.point_rules = Some(rules.clone()),
            StoreEvent::DatasetActivated { dataset, version, name } => {
                let in_force = InForce { version: *version, name: name.clone() };
                // A new version says what everybody's points are now, and what they used.
                if dataset == "members" && self.datasets.get(dataset) != Some(&in_force) {
                    self.points = PointsMoved::default();
                    self.used = Used::default();
                }
                self.datasets.insert(dataset.clone(), in_force);
            }
            StoreEvent::FaceErased { member, listed, .. } => self.faces.erased(member, *listed),
            StoreEvent::DeviceUp { .. } | StoreEvent::DeviceDown { .. } => {}
        }
    }

    fn apply_lane(&mut self, utc: Utc, lane: LaneId, event: &LaneEvent) {
        let open = self.lanes.get(&lane).and_then(|facts| facts.open.as_ref());
        self.audit.apply(event, open);
        if let LaneEvent::Rescan(RescanEvent::Ended { missed, .. }) = event {
            let member = open.and_then(|open| open.member.as_ref()).map(|member| &member.member);
            self.looks.ended(lane, member, *missed);
        }
        if let LaneEvent::InterventionRaised { id, .. } = event {
            self.interventions = self.interventions.max(*id);
        }
        if let LaneEvent::Bag(BagEvent::Filled { key, grams, learn: true, .. }) = event {
            self.weights.learn(key, *grams);
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
            LaneEvent::InterventionRaised { .. }
            | LaneEvent::InterventionAnswered { .. }
            | LaneEvent::InterventionWithdrawn { .. } => {
                if let Some(open) = facts.open.as_mut() {
                    open.apply_intervention(event);
                }
            }
            LaneEvent::Rescan(event) => {
                if let Some(open) = facts.open.as_mut() {
                    open.apply_rescan(event);
                }
            }
            LaneEvent::Bag(event) => {
                if let Some(open) = facts.open.as_mut() {
                    open.apply_bag(event);
                }
            }
            LaneEvent::AttendantCame { .. } | LaneEvent::CameraOpened => {}
        }
    }

    fn apply_basket(&mut self, utc: Utc, lane: LaneId, event: &BasketEvent) {
        match event {
            BasketEvent::Started { transaction } => {
                self.transactions = self.transactions.saturating_add(1);
                self.lane(lane).open = Some(Transaction::new(transaction.clone()));
            }
            BasketEvent::Completed(sale) => self.complete(utc, lane, Cow::Borrowed(sale)),
            BasketEvent::Voided { transaction, .. } => self.void(lane, transaction),
            BasketEvent::Suspended { .. } => {
                if let Some(basket) = self.lane(lane).open.take() {
                    self.suspended.insert(basket.id.clone(), Suspended { basket, lane, at: utc });
                }
            }
            BasketEvent::Resumed { transaction, .. } => {
                if let Some(Suspended { basket, .. }) = self.suspended.remove(transaction) {
                    self.lane(lane).open = Some(basket);
                }
            }
            BasketEvent::LineAdded(_)
            | BasketEvent::LineRefused { .. }
            | BasketEvent::QuantityChanged { .. }
            | BasketEvent::LineVoided { .. }
            | BasketEvent::PriceOverridden { .. }
            | BasketEvent::Noted { .. }
            | BasketEvent::Coupon(_)
            | BasketEvent::VoidBegun { .. }
            | BasketEvent::SavingsSet { .. } => {
                if let BasketEvent::LineVoided { line } = event {
                    self.count_void(lane, *line);
                }
                if let Some(open) = self.lane(lane).open.as_mut() {
                    open.apply(event);
                }
            }
        }
    }

    fn void(&mut self, lane: LaneId, transaction: &TransactionId) {
        let open = self.lane(lane).open.take_if(|open| open.id == *transaction);
        let waiting = self.suspended.remove(transaction).map(|suspended| suspended.basket);
        let Some(basket) = open.or(waiting).filter(|basket| basket.pieces() > 0) else { return };
        let worth = basket.total();
        self.each_totals(lane, |totals| {
            totals.voids.baskets = totals.voids.baskets.saturating_add(1);
            totals.voids.baskets_worth = totals.voids.baskets_worth.plus(worth);
        });
    }

    fn count_void(&mut self, lane: LaneId, line: LineNo) {
        let open = self.lane(lane).open.as_ref();
        let Some(worth) = open.and_then(|open| Some(open.live_lines().find(|one| one.no == line)?.total())) else {
            return;
        };
        self.each_totals(lane, |totals| {
            totals.voids.lines = totals.voids.lines.saturating_add(1);
            totals.voids.lines_worth = totals.voids.lines_worth.plus(worth);
        });
    }

    /// Goods that came back, and the payments given back for them, of the sales they were bought in.
    fn take_back(&mut self, utc: Utc, sale: &Sale) {
        for line in &sale.lines {
            let Some(of) = &line.returned else { continue };
            let Some(bought) = &of.bought else { continue };
            let sale = self.returned.entry(bought.transaction.clone()).or_default();
            sale.at = utc;
            sale.take_line(line, of.amount, bought.line);
        }
        for tender in sale.tenders.iter().filter(|tender| tender.amount < Money::ZERO) {
            let Some(of) = &tender.of else { continue };
            if let Some(sale) = self.returned.get_mut(&of.transaction()) {
                sale.take_tender(tender, of);
            }
        }
    }

    fn complete(&mut self, utc: Utc, lane: LaneId, sale: Cow<'_, Sale>) {
        self.each_totals(lane, |totals| totals.take_sale(&sale));
        self.remember(utc, &sale);
        let unsettled = self.upkeep.unsettled.is_some();
        let facts = self.lane(lane);
        facts.spared |= unsettled;
        facts.receipts = sale.receipt.0;
        facts.totals.take_receipt(sale.receipt);
        if let Some(shift) = facts.shifts.open.as_mut() {
            shift.totals.take_receipt(sale.receipt);
        }
        facts.open = None;
        facts.last_sale = Some(LastSale { sale: sale.into_owned(), at: utc, printed: false, prints: 0 });
    }

    /// What later sales depend on: goods and coupons that cannot be had twice, points, the sum of all sales.
    pub(crate) fn remember(&mut self, utc: Utc, sale: &Sale) {
        self.take_back(utc, sale);
        for coupon in &sale.coupons {
            self.coupons.take(coupon);
        }
        for coupon in &sale.revoked {
            self.coupons.is_gone(&coupon.campaign, &coupon.serial);
        }
        self.points.take(sale);
        self.used.take(sale);
        for line in &sale.lines {
            let Some(serial) = &line.serial else { continue };
            let id = serial_id(&line.key, serial);
            if line.kind == LineKind::Returned { self.serials.forget(&id) } else { self.serials.remember(id) }
        }
        self.perpetual_total = self.perpetual_total.plus(sale.total);
    }

    fn apply_tender(&mut self, utc: Utc, lane: LaneId, event: &TenderEvent) {
        match event {
            TenderEvent::TerminalSeen { device, trace } => {
                self.terminals.entry(device.clone()).or_default().learn(*trace);
            }
            TenderEvent::TerminalUsed { device } => {
                self.terminals.entry(device.clone()).or_default().last = None;
            }
            TenderEvent::CardAnswered { tender, device, outcome: CardOutcome::Approved(slip) } => {
                let known = self.terminals.entry(device.clone()).or_default();
                known.named(&slip.terminal);
                if slip.trace != 0 {
                    known.learn(slip.trace);
                }
                let open = self.lanes.get(&lane).and_then(|facts| facts.open.as_ref());
                let asked = open.into_iter().flat_map(|open| &open.tenders).find(|one| one.id == *tender);
                let payment = asked.is_some_and(|asked| !asked.is_refund());
                if slip.offline || self.exposure.contains_key(device) {
                    self.exposure.entry(device.clone()).or_default().take(utc, slip, payment);
                }
            }
            TenderEvent::TerminalChanged { device, terminal } => {
                self.terminals.entry(device.clone()).or_default().changed = Some(terminal.clone());
            }
            TenderEvent::TerminalAccepted { device, .. } => {
                self.terminals.entry(device.clone()).or_default().accepted();
            }
            TenderEvent::TerminalOnline { device } => {
                if let Some(held) = self.exposure.get_mut(device) {
                    held.offline = false;
                }
            }
            TenderEvent::TerminalClosed(closing) => {
                self.exposure.remove(&closing.device);
                self.closings.insert(closing.device.clone(), closing.clone());
            }
            TenderEvent::LateApproved { .. }
            | TenderEvent::LateRefunded { .. }
            | TenderEvent::LateToStaff { .. }
            | TenderEvent::LateSettled { .. } => self.late.apply(utc, lane, event),
            TenderEvent::CardAnswered { .. }
            | TenderEvent::GivingUp { .. }
            | TenderEvent::Started { .. }
            | TenderEvent::Rounded { .. }
            | TenderEvent::SlipPrinted { .. }
            | TenderEvent::Approved { .. }
            | TenderEvent::Declined { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::Resolved { .. } => {}
        }
        if let Some(open) = self.lane(lane).open.as_mut() {
            open.apply_tender(utc, event);
        }
        self.tender_ended(lane, event);
    }
    /// A payment without money may yet turn out to be taken; one with it is part of its terminal's day.
    fn tender_ended(&mut self, lane: LaneId, event: &TenderEvent) {
        let tender = match event {
            TenderEvent::Declined { tender, .. }
            | TenderEvent::Approved { tender, .. }
            | TenderEvent::Resolved { tender, .. } => tender,
            TenderEvent::TerminalClosed(_) => return apply_terminal_day(&mut self.terminal_days, event, None),
            TenderEvent::Started { .. }
            | TenderEvent::CardAnswered { .. }
            | TenderEvent::Rounded { .. }
            | TenderEvent::SlipPrinted { .. }
            | TenderEvent::InDoubt { .. }
            | TenderEvent::GivingUp { .. }
            | TenderEvent::HandedToStaff { .. }
            | TenderEvent::TerminalUsed { .. }
            | TenderEvent::TerminalSeen { .. }
            | TenderEvent::TerminalChanged { .. }
            | TenderEvent::TerminalAccepted { .. }
            | TenderEvent::TerminalOnline { .. }
            | TenderEvent::LateApproved { .. }
            | TenderEvent::LateRefunded { .. }
            | TenderEvent::LateToStaff { .. }
            | TenderEvent::LateSettled { .. } => return,
        };
        let open = self.lanes.get(&lane).and_then(|facts| facts.open.as_ref());
        let ended = open.into_iter().flat_map(|open| &open.tenders).find(|one| one.id == *tender);
        apply_terminal_day(&mut self.terminal_days, event, ended);
        if let Some(ended) = ended.filter(|ended| ended.state == TenderState::Declined) {
            self.late.ended(lane, ended);
        }
    }
}
