//! Every fact kept, in the format we promise to read for ever: additions only, and each variant has a stored sample in `tests/`.

use crate::basket::BasketEvent;
use crate::control::ControlEvent;
use crate::lane::LaneEvent;
use crate::member::MemberEvent;
use crate::shift::ShiftEvent;
use crate::store::StoreEvent;
use crate::tender::TenderEvent;
use crate::upkeep::BoxEvent;
use crate::words::{LaneId, Utc};
use serde::{Deserialize, Serialize};

/// One row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the box's clock said; order is the row number, never this.
    pub utc: Utc,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<LaneId>,
    pub event: Event,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    Store(StoreEvent),
    Lane(LaneEvent),
    Basket(BasketEvent),
    Member(MemberEvent),
    Tender(TenderEvent),
    Shift(ShiftEvent),
    Box(BoxEvent),
    Control(ControlEvent),
}
