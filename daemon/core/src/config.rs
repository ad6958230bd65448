//! What the configuration file says of the store, as the core needs it.

mod rules;

use crate::receipt::Currency;
use crate::rules::FloorRules;
use crate::scan::ScanRules;
use crate::view::LaneKind;
use crate::words::{DeviceId, LaneId, Name, Private, Role, StaffId};
use alloc::string::String;
use alloc::vec::Vec;
pub use rules::{CashStep, PriceRules, Rounding, TaxMode, TaxRounding};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreConfig {
    /// Unique in the fleet; part of every transaction id.
    pub box_id: String,
    pub store: Name,
    pub currency: Currency,
    /// Minutes east of UTC the store's clock shows.
    pub utc_offset_min: i32,
    pub scan: ScanRules,
    #[serde(default)]
    pub floor: FloorRules,
    #[serde(default)]
    pub price: PriceRules,
    pub lanes: Vec<LaneConfig>,
    pub till: TillRules,
    #[serde(default)]
    pub staff: Vec<StaffConfig>,
}

/// Whose badge says what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaffConfig {
    pub staff: StaffId,
    pub role: Role,
    pub badge: Option<Private<String>>,
}

/// How the shop runs its lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TillRules {
    /// A kiosk's or phone's basket nobody touches for so long is given up; never while it is being paid.
    pub idle_reset_ms: Option<u64>,
    /// Cash moves only in an open shift.
    pub shifts: bool,
    /// Nothing here is a sale: every page and paper says so, and no terminal and no headquarters hears of it.
    pub training: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneConfig {
    pub lane: LaneId,
    pub kind: LaneKind,
    pub scanners: Vec<DeviceId>,
    pub scale: Option<DeviceId>,
    /// The scale under the bags.
    #[serde(default)]
    pub bagging: Option<DeviceId>,
    pub terminal: Option<DeviceId>,
    #[serde(default)]
    pub gives_back: GivesBack,
    pub printer: Option<DeviceId>,
    pub vision: Option<DeviceId>,
    /// Reads codes when the shopper asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub camera: Option<DeviceId>,
    /// Shows the shopper line and total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<DeviceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light: Option<DeviceId>,
}

/// What a terminal can do besides taking money, as its driver's specification says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivesBack {
    /// An amount to whatever card is presented.
    pub refund: bool,
    /// The whole of its last payment.
    pub reverse: bool,
}

impl StoreConfig {
    #[must_use]
    pub fn lane(&self, lane: LaneId) -> Option<&LaneConfig> {
        self.lanes.iter().find(|config| config.lane == lane)
    }

    /// Lanes that use `device`; several may share a camera or a printer.
    #[must_use]
    pub fn lanes_of(&self, device: &DeviceId) -> Vec<LaneId> {
        self.lanes.iter().filter(|lane| lane.devices().any(|(_, used)| used == device)).map(|lane| lane.lane).collect()
    }
}

impl LaneConfig {
    /// Kind and name of each device of the lane.
    pub fn devices(&self) -> impl Iterator<Item = (&'static str, &DeviceId)> {
        let single = [
            ("scale", &self.scale),
            ("scale", &self.bagging),
            ("terminal", &self.terminal),
            ("printer", &self.printer),
            ("vision", &self.vision),
            ("camera", &self.camera),
            ("display", &self.display),
            ("light", &self.light),
        ];
        let scanners = self.scanners.iter().map(|device| ("scanner", device));
        scanners.chain(single.into_iter().filter_map(|(kind, device)| device.as_ref().map(|device| (kind, device))))
    }
}
