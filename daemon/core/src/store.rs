//! The store as a whole: starts, devices, datasets, business day.

use crate::config::PriceRules;
use crate::device::Document;
use crate::event::Event;
use crate::face::ErasureReceipt;
use crate::page::Refused;
use crate::receipt::{Slip, SlipRow};
use crate::rules::PointRules;
use crate::totals::Totals;
use crate::turn::Turn;
use crate::words::{DeviceId, LaneId, MemberId, Money, Name, Utc};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoreEvent {
    Booted {
        boot: u64,
        version: String,
        #[serde(default, skip_serializing_if = "is_zero")]
        nonce: u64,
    },
    DeviceUp {
        device: DeviceId,
    },
    DeviceDown {
        device: DeviceId,
        reason: String,
    },
    /// A dataset from HQ came into force as a whole.
    DatasetActivated {
        dataset: String,
        version: u64,
        name: String,
    },
    /// What tax and rounding the store prices by, told when it changed: headquarters works sales out again by it.
    PriceRulesSet {
        rules: PriceRules,
    },
    /// What points the store gives and takes, told when it changed and for the same reason.
    PointRulesSet {
        rules: PointRules,
    },
    /// A coupon taken here was used at that box, too, as headquarters says.
    CouponConflict {
        campaign: String,
        serial: String,
        place: String,
    },
    /// Nothing of a member's face is left on this box; receipts of the galleries that had something.
    FaceErased {
        member: MemberId,
        /// Where headquarters asked for it: its number on the list of erasures.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        listed: Option<u64>,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        receipts: Vec<ErasureReceipt>,
    },
    /// HQ knew another past of this box: everything is sent again under `epoch`.
    EpochOpened {
        epoch: u64,
        reason: String,
    },
    DayClosed {
        day: u64,
        totals: Box<Totals>,
        /// The same by lane, with the receipt numbers each gave out.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        lanes: BTreeMap<LaneId, Totals>,
        /// Sum of all sales since the journal began.
        #[serde(default, skip_serializing_if = "Money::is_zero")]
        perpetual: Money,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The Z report of a business day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayReport {
    pub day: u64,
    pub closed: Utc,
    pub totals: Totals,
    pub lanes: BTreeMap<LaneId, Totals>,
    pub perpetual: Money,
}

/// A device port says how it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortStatus {
    Up,
    Down { reason: String },
}

/// What headquarters' port says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HqInput {
    Online(bool),
    Answer(crate::wire::Answer),
    /// This version is in force; told after it was switched and at every start, since power may have failed in between.
    Dataset {
        dataset: String,
        version: u64,
        name: String,
    },
    NewEpoch {
        epoch: u64,
        reason: String,
    },
}

impl Turn<'_> {
    /// A start: nothing live is trusted, and whatever was in flight is asked about, never repeated.
    pub(crate) fn boot(&mut self, version: String, nonce: u64) {
        let boot = self.facts.boot.saturating_add(1);
        self.record(None, Event::Store(StoreEvent::Booted { boot, version, nonce }));
        let rules = self.config.price;
        if self.facts.price_rules != Some(rules) {
            self.record(None, Event::Store(StoreEvent::PriceRulesSet { rules }));
        }
        let rules = self.config.floor.points.clone();
        if self.facts.point_rules.clone().unwrap_or_default() != rules {
            self.record(None, Event::Store(StoreEvent::PointRulesSet { rules }));
        }
        for lane in self.facts.lane_ids() {
            self.doubt_tender_in_flight(lane, "restart");
            self.reprint_unconfirmed(lane);
            self.touched(lane);
        }
        self.control_boot();
    }

    pub(crate) fn port(&mut self, device: DeviceId, status: PortStatus) {
        match status {
            PortStatus::Up => self.device_up(device),
            PortStatus::Down { reason } => {
                // Pages say it in plain words; the reason is for the journal and whoever reads it.
                self.device_down(device, Name { zh: "未连接".into(), en: "not connected".into() }, reason);
            }
        }
    }

    fn device_up(&mut self, device: DeviceId) {
        if self.live.device(&device).up {
            return;
        }
        self.live.device(&device).up = true;
        self.live.device(&device).sign = None;
        self.live.device(&device).detail = None;
        self.record(None, Event::Store(StoreEvent::DeviceUp { device: device.clone() }));
        self.terminal_up(&device);
        self.printer_up(&device);
        self.erase_on();
    }

    /// A device that is connected but cannot work counts as down, with its own words for why.
    pub(crate) fn health(&mut self, device: &DeviceId, ready: bool, detail: Name) {
        if ready {
            return self.device_up(device.clone());
        }
        if self.live.device(device).detail.as_ref() != Some(&detail) {
            let reason = detail.en.clone();
            self.device_down(device.clone(), detail, reason);
        }
    }

    fn device_down(&mut self, device: DeviceId, detail: Name, reason: String) {
        let state = self.live.device(&device);
        let told = !state.up && state.detail.is_some();
        state.up = false;
        state.detail = Some(detail);
        if told {
            return;
        }
        self.record(None, Event::Store(StoreEvent::DeviceDown { device: device.clone(), reason }));
        for lane in self.config.lanes_of(&device) {
            self.terminal_down(lane, &device);
            self.scale_down(lane, &device);
            self.bag_scale_down(&device);
            self.vision_down(lane, &device);
            self.camera_down(lane, &device);
        }
    }

    pub(crate) fn hq(&mut self, input: HqInput) {
        match input {
            HqInput::Online(online) => {
                self.live.online = online;
                if online {
                    self.query_wallets();
                    self.ask_late_again();
                    self.claim_leased();
                }
            }
            HqInput::Answer(crate::wire::Answer::Wallet { tender, outcome }) => self.wallet_answer(&tender, outcome),
            HqInput::Answer(crate::wire::Answer::GiftBalance { lane, balance }) => self.gift_balance(lane, balance),
            HqInput::Answer(crate::wire::Answer::Coupon { campaign, serial, used }) => {
                self.coupon_answer(&campaign, &serial, used);
            }
            HqInput::Dataset { dataset, version, name } => {
                let known = self.facts.datasets.get(&dataset);
                if known.is_some_and(|known| (known.version, &known.name) == (version, &name)) {
                    return;
                }
                let prices = dataset == "catalogue";
                self.record(None, Event::Store(StoreEvent::DatasetActivated { dataset, version, name }));
                self.erase_on();
                for lane in self.facts.lane_ids().into_iter().filter(|_| prices) {
                    self.tell_cheaper(lane);
                }
            }
            // Words for the port that asked, which brings them as [`crate::upkeep::BoxInput`].
            HqInput::Answer(crate::wire::Answer::Refill { .. }) => {}
            HqInput::NewEpoch { epoch, reason } => {
                self.record(None, Event::Store(StoreEvent::EpochOpened { epoch, reason }));
            }
        }
    }

    /// Closes the day, printed at `lane`. Baskets that wait for somebody are given up first, and are part of it.
    pub(crate) fn day_close(&mut self, lane: LaneId) -> Result<(), Refused> {
        if self.facts.lanes.values().any(|lane| lane.open.is_some()) {
            return Err(Refused::BasketOpen);
        }
        if self.facts.lanes.values().any(|lane| lane.shifts.open.is_some()) {
            return Err(Refused::ShiftOpen);
        }
        self.age_out();
        let (day, perpetual) = (self.facts.day_number, self.facts.perpetual_total);
        let totals = Box::new(self.facts.day.clone());
        let lanes = self.facts.lanes.iter().map(|(lane, facts)| (*lane, facts.totals.clone())).collect();
        self.record(None, Event::Store(StoreEvent::DayClosed { day, totals, lanes, perpetual }));
        self.day_slip(lane, false)
    }

    pub(crate) fn print_day(&mut self, lane: LaneId) -> Result<(), Refused> {
        self.day_slip(lane, true)
    }

    fn day_slip(&mut self, lane: LaneId, copy: bool) -> Result<(), Refused> {
        let report = self.facts.last_day.clone().ok_or(Refused::NothingHere)?;
        let currency = &self.config.currency;
        let mut rows = report.totals.rows(currency);
        for (lane, totals) in &report.lanes {
            let (zh, en) = (alloc::format!("收银台 {lane}"), alloc::format!("Lane {lane}"));
            rows.push(SlipRow::of((&zh, &en), alloc::format!("{} / {}", totals.sales, currency.show(totals.total))));
            if let Some((first, last)) = totals.receipts {
                rows.push(SlipRow::of(("小票号", "Receipts"), alloc::format!("{first} – {last}")));
            }
        }
        rows.extend(self.closings_of(&report));
        rows.push(SlipRow::of(("累计总额", "Perpetual total"), currency.show(report.perpetual)));
        let number = report.day.saturating_add(1);
        let title =
            Name { zh: alloc::format!("日结 Z 报表 · {number}"), en: alloc::format!("Z report, day {number}") };
        let slip = self.slip(lane, &alloc::format!("day-{number}"), title, rows, None);
        self.print(lane, Document::Slip(Slip { at: report.closed, copy, ..slip }), false);
        Ok(())
    }

    /// What terminals handed in since the day before was closed, and what does not agree.
    fn closings_of(&self, report: &DayReport) -> Vec<SlipRow> {
        let currency = &self.config.currency;
        let mut rows = Vec::new();
        let day = self.day(report.closed);
        for closing in self.facts.closings.values().filter(|closing| self.day(closing.at) == day) {
            let label = (alloc::format!("刷卡机 {}", closing.device), alloc::format!("Terminal {}", closing.device));
            let there = closing.there.map_or_else(|| "—".into(), |there| currency.show(there));
            let value = alloc::format!("{} / {there}", currency.show(closing.here.total));
            rows.push(SlipRow::of((&label.0, &label.1), value));
            rows.extend(closing.differences.iter().map(|difference| SlipRow {
                label: difference.kind.name(),
                value: currency.show(difference.there.minus(difference.here)),
            }));
        }
        rows
    }

    /// The tender of `lane` whose outcome is not final yet.
    pub(crate) fn tender_in_flight(&self, lane: LaneId) -> Option<&crate::tender::Tender> {
        let open = self.facts.lanes.get(&lane)?.open.as_ref()?;
        open.tenders.iter().find(|tender| !tender.is_over())
    }
}
