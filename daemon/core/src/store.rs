//! The store as a whole: starts, devices, datasets, business day.

use crate::event::Event;
use crate::page::Refused;
use crate::tender::TenderState;
use crate::turn::Turn;
use crate::view::TenderKind;
use crate::words::{DeviceId, LaneId, Money, Name};
use alloc::string::String;
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
    /// HQ knew another past of this box: everything is sent again under `epoch`.
    EpochOpened {
        epoch: u64,
        reason: String,
    },
    DayClosed {
        day: u64,
        totals: DayTotals,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The Z report as a fold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTotals {
    pub sales: u64,
    pub total: Money,
    pub cash: Money,
    pub card: Money,
    pub wallet: Money,
    pub members: u64,
}

impl DayTotals {
    pub(crate) fn take(&mut self, kind: TenderKind, amount: Money) {
        let sum = match kind {
            TenderKind::Cash => &mut self.cash,
            TenderKind::Card => &mut self.card,
            TenderKind::Wallet => &mut self.wallet,
        };
        *sum = sum.plus(amount);
    }
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
        for lane in self.facts.lane_ids() {
            self.doubt_tender_in_flight(lane, "restart");
            self.reprint_unconfirmed(lane);
        }
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
            self.vision_down(lane, &device);
        }
    }

    pub(crate) fn hq(&mut self, input: HqInput) {
        match input {
            HqInput::Online(online) => {
                self.live.online = online;
                if online {
                    self.query_wallets();
                }
            }
            HqInput::Answer(crate::wire::Answer::Wallet { tender, outcome }) => self.wallet_answer(&tender, outcome),
            HqInput::Dataset { dataset, version, name } => {
                let known = self.facts.datasets.get(&dataset);
                if known.is_some_and(|known| (known.version, &known.name) == (version, &name)) {
                    return;
                }
                self.record(None, Event::Store(StoreEvent::DatasetActivated { dataset, version, name }));
            }
            HqInput::NewEpoch { epoch, reason } => {
                self.record(None, Event::Store(StoreEvent::EpochOpened { epoch, reason }));
            }
        }
    }

    pub(crate) fn day_close(&mut self) -> Result<(), Refused> {
        if self.facts.lanes.values().any(|lane| lane.open.is_some()) {
            return Err(Refused::BasketOpen);
        }
        let (day, totals) = (self.facts.day_number, self.facts.day);
        self.record(None, Event::Store(StoreEvent::DayClosed { day, totals }));
        Ok(())
    }

    /// The tender of `lane` whose outcome is not final yet.
    pub(crate) fn tender_in_flight(&self, lane: LaneId) -> Option<&crate::tender::Tender> {
        let open = self.facts.lanes.get(&lane)?.open.as_ref()?;
        open.tenders.iter().find(|tender| !matches!(tender.state, TenderState::Approved | TenderState::Declined))
    }
}
