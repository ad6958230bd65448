//! The box's own health: its clock, its disk, its copies; and what became of a journal that was damaged or restored.

use crate::basket::BasketEvent;
use crate::event::Event;
use crate::facts::Facts;
use crate::lane::LaneEvent;
use crate::page::{PageRequest, StaffRequest};
use crate::returns::Sold;
use crate::sale::Sale;
use crate::store::StoreEvent;
use crate::turn::Turn;
use crate::words::{LaneId, ReceiptNo, Utc};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// While headquarters has not said which receipt numbers a lost part of the journal gave out, a lane's next one is this much
/// higher than the last one known: a gap can be explained, a number given twice cannot.
pub const NUMBERS_SPARED: u64 = 10_000;

/// What the disk has left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Room {
    #[default]
    Enough,
    /// Everything sells; only what sales need is written.
    Low,
    /// A commit fitted only because room had been kept for it: what was begun is finished, and nothing is begun.
    Full,
}

/// What the daemon says of the box it runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoxInput {
    /// Why the wall clock is not believed; none: it is.
    Clock {
        doubt: Option<String>,
    },
    Disk(Room),
    /// How long the WAL has grown because a program that reads the journal does not end; none: nobody holds it up.
    Wal {
        held: Option<u64>,
    },
    BackedUp {
        rows: u64,
        bytes: u64,
    },
    BackupFailed {
        reason: String,
    },
    /// Sales of this box that headquarters has, asked for after rows were lost.
    Refill(Vec<Sold>),
    /// Headquarters has told all it has, and the highest receipt number of each lane.
    Settled(BTreeMap<LaneId, ReceiptNo>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxEvent {
    /// Times from here on are what the clock says and may be wrong; order is the row number.
    ClockDoubted {
        reason: String,
    },
    ClockTrusted,
    /// Room kept for this day was given up: open baskets are finished, none is begun.
    DiskFull,
    /// Little is left: from here on what a sale does not need is not written.
    DiskLow,
    DiskRoom,
    /// A program that reads the journal and does not end keeps the WAL from beginning anew. Sales go on; what they do not need is
    /// not written.
    WalHeld {
        bytes: u64,
    },
    WalFree,
    /// The journal up to row `rows` is on the second medium, and was read back.
    BackedUp {
        rows: u64,
        bytes: u64,
    },
    BackupFailed {
        reason: String,
    },
    Restored(Restored),
    /// A sale this box made and had lost, as headquarters has it.
    Refilled {
        at: Utc,
        sale: Box<Sale>,
    },
    Settled {
        receipts: BTreeMap<LaneId, ReceiptNo>,
    },
}

/// The rows before this one come from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    pub from: Source,
    /// Id of the journal they stood in.
    pub journal: String,
    pub rows: u64,
    /// Rows of that journal that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Gap>,
    /// Everything up to here is known.
    pub since: Utc,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// What was sold after the copy was made is not here.
    Backup,
    /// What could be read of a damaged file.
    Salvage,
    /// The disk of another box, to its last row.
    Disk,
}

/// Rows `from` to `to`; the last of them may have been the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from: u64,
    pub to: u64,
}

/// What the journal says of the box.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upkeep {
    #[serde(default)]
    pub clock_doubt: Option<String>,
    #[serde(default)]
    pub disk_full: bool,
    #[serde(default)]
    pub disk_low: bool,
    /// Bytes of the WAL when it was noticed.
    #[serde(default)]
    pub wal_held: Option<u64>,
    #[serde(default)]
    pub backup: Option<Backup>,
    /// Sales after this time may be missing here, and headquarters has not been heard about them.
    #[serde(default)]
    pub unsettled: Option<Utc>,
    /// The latest time of the starts before this one.
    #[serde(default)]
    pub before_boot: Utc,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// The last good one.
    pub at: Option<Utc>,
    pub rows: u64,
    pub bytes: u64,
    /// Why the last try came to nothing.
    pub failed: Option<String>,
}

impl Upkeep {
    #[must_use]
    pub const fn room(&self) -> Room {
        match (self.disk_full, self.disk_low) {
            (true, _) => Room::Full,
            (false, true) => Room::Low,
            (false, false) => Room::Enough,
        }
    }

    /// Only what sales need is written.
    #[must_use]
    pub const fn spares(&self) -> bool {
        self.disk_full || self.disk_low || self.wal_held.is_some()
    }
}

/// What tells of the box and its devices, changes nothing and is missed by no sale.
const fn is_telemetry(event: &Event) -> bool {
    matches!(
        event,
        Event::Store(StoreEvent::DeviceUp { .. } | StoreEvent::DeviceDown { .. })
            | Event::Lane(LaneEvent::CameraOpened)
            | Event::Basket(BasketEvent::LineRefused { .. })
    )
}

/// What `request` begins that would need room to be finished.
const fn begins(request: &PageRequest) -> bool {
    matches!(
        request,
        PageRequest::Phone { .. }
            | PageRequest::Recognise { .. }
            | PageRequest::PayByFace { .. }
            | PageRequest::OwnBag {}
            | PageRequest::Staff { request: StaffRequest::Return(_), .. }
            | PageRequest::Badged { request: StaffRequest::Return(_) }
    )
}

impl Facts {
    /// A clock in doubt moves nothing that others are measured by; nor does what the box says of itself before it starts.
    pub(crate) const fn is_timely(&self, event: &Event) -> bool {
        self.upkeep.clock_doubt.is_none() && !matches!(event, Event::Box(_))
    }

    pub(crate) fn apply_box(&mut self, utc: Utc, lane: Option<LaneId>, event: &BoxEvent) {
        let upkeep = &mut self.upkeep;
        match event {
            BoxEvent::ClockDoubted { reason } => upkeep.clock_doubt = Some(reason.clone()),
            BoxEvent::ClockTrusted => upkeep.clock_doubt = None,
            BoxEvent::DiskFull => upkeep.disk_full = true,
            BoxEvent::DiskLow => (upkeep.disk_low, upkeep.disk_full) = (true, false),
            BoxEvent::DiskRoom => (upkeep.disk_low, upkeep.disk_full) = (false, false),
            BoxEvent::WalHeld { bytes } => upkeep.wal_held = Some(*bytes),
            BoxEvent::WalFree => upkeep.wal_held = None,
            BoxEvent::BackedUp { rows, bytes } => {
                upkeep.backup = Some(Backup { at: Some(utc), rows: *rows, bytes: *bytes, failed: None });
            }
            BoxEvent::BackupFailed { reason } => {
                upkeep.backup.get_or_insert_default().failed = Some(reason.clone());
            }
            BoxEvent::Restored(restored) => self.restored(restored),
            BoxEvent::Refilled { at, sale } => {
                if let Some(lane) = lane {
                    self.refilled(*at, lane, sale);
                }
            }
            BoxEvent::Settled { receipts } => {
                upkeep.unsettled = None;
                for (lane, highest) in receipts {
                    let lane = self.lane(*lane);
                    lane.receipts = lane.receipts.max(highest.0);
                }
                self.lanes.values_mut().for_each(|lane| lane.spared = false);
            }
        }
    }

    fn restored(&mut self, restored: &Restored) {
        if restored.from == Source::Disk && restored.lost.is_empty() {
            return;
        }
        self.may_miss(restored.since);
        // What a terminal did last may have been for a sale that is not here.
        self.terminals.values_mut().for_each(|terminal| terminal.last = None);
    }

    /// Sales after `since` may be missing.
    pub(crate) fn may_miss(&mut self, since: Utc) {
        self.upkeep.unsettled = Some(self.upkeep.unsettled.map_or(since, |known| known.min(since)));
        // Numbers spared for an earlier loss may themselves be among those that are lost.
        self.lanes.values_mut().for_each(|lane| lane.spared = false);
    }

    fn refilled(&mut self, at: Utc, lane: LaneId, sale: &Sale) {
        let today = self.last_day.as_ref().is_none_or(|day| day.closed < at);
        if today {
            self.day.take_sale(sale);
            let facts = self.lane(lane);
            facts.totals.take_sale(sale);
            facts.totals.take_receipt(sale.receipt);
            if let Some(shift) = facts.shifts.open.as_mut().filter(|shift| shift.opened <= at) {
                shift.totals.take_sale(sale);
                shift.totals.take_receipt(sale.receipt);
            }
        }
        self.remember(at, sale);
        self.suspended.remove(&sale.transaction);
        let facts = self.lane(lane);
        facts.receipts = facts.receipts.max(sale.receipt.0);
        // The copy was made while this basket was open: it is paid.
        facts.open.take_if(|open| open.id == sale.transaction);
    }

    /// The number the next sale at `lane` gets.
    pub(crate) fn next_receipt(&self, lane: LaneId) -> ReceiptNo {
        let facts = self.lanes.get(&lane);
        let last = facts.map_or(0, |facts| facts.receipts);
        let spared = self.upkeep.unsettled.is_some() && !facts.is_some_and(|facts| facts.spared);
        ReceiptNo(last.saturating_add(if spared { NUMBERS_SPARED } else { 0 }).saturating_add(1))
    }
}

impl Turn<'_> {
    pub(crate) fn box_says(&mut self, input: BoxInput) {
        let upkeep = &self.facts.upkeep;
        let event = match input {
            BoxInput::Clock { doubt } if doubt == upkeep.clock_doubt => return,
            BoxInput::Clock { doubt: Some(reason) } => BoxEvent::ClockDoubted { reason },
            BoxInput::Clock { doubt: None } => BoxEvent::ClockTrusted,
            BoxInput::Disk(room) if room == upkeep.room() => return,
            BoxInput::Disk(Room::Full) => BoxEvent::DiskFull,
            BoxInput::Disk(Room::Low) => BoxEvent::DiskLow,
            BoxInput::Disk(Room::Enough) => BoxEvent::DiskRoom,
            BoxInput::Wal { held } if held.is_some() == upkeep.wal_held.is_some() => return,
            BoxInput::Wal { held: Some(bytes) } => BoxEvent::WalHeld { bytes },
            BoxInput::Wal { held: None } => BoxEvent::WalFree,
            BoxInput::BackedUp { rows, bytes } => BoxEvent::BackedUp { rows, bytes },
            BoxInput::BackupFailed { reason } => BoxEvent::BackupFailed { reason },
            BoxInput::Refill(sales) => return sales.into_iter().for_each(|sold| self.refill(sold)),
            BoxInput::Settled(receipts) => BoxEvent::Settled { receipts },
        };
        self.record(None, Event::Box(event));
    }

    /// Once only: headquarters tells what it has, not what is missing here.
    fn refill(&mut self, Sold { lane, at, sale }: Sold) {
        let asked = crate::returns::SaleRef::Transaction(sale.transaction.clone());
        if self.facts.upkeep.unsettled.is_none() || self.catalog.sale(&asked).is_some() {
            return;
        }
        self.record(Some(lane), Event::Box(BoxEvent::Refilled { at, sale: Box::new(sale) }));
    }

    /// Whether `event` is not written because room is short.
    pub(crate) fn spares(&self, event: &Event) -> bool {
        self.facts.upkeep.spares() && is_telemetry(event)
    }

    /// Whether `request` is refused because what it begins could not be finished. A face enrolled is part of no basket.
    pub(crate) fn is_refused_for_room(&mut self, lane: LaneId, request: &PageRequest) -> bool {
        let enrols = matches!(
            request,
            PageRequest::Staff { request: StaffRequest::EnrolFace { .. }, .. }
                | PageRequest::Badged { request: StaffRequest::EnrolFace { .. } }
        );
        (enrols && self.facts.upkeep.disk_full) || (begins(request) && self.is_out_of_room(lane))
    }

    /// Whether nothing may be begun at `lane`, since the disk is full; says so to whoever stands there.
    pub(crate) fn is_out_of_room(&mut self, lane: LaneId) -> bool {
        let out = self.facts.upkeep.disk_full && self.open(lane).is_none();
        if out {
            self.notice(lane, false, crate::page::Refused::DiskFull.words());
        }
        out
    }
}
