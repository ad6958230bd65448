//! What happens at a lane besides goods and money: interventions, calls for help, what became of its receipts.

use crate::bagging::BagEvent;
use crate::event::Event;
use crate::intervention::InterventionKind;
use crate::page::Refused;
use crate::rescan::RescanEvent;
use crate::turn::Turn;
use crate::words::{LaneId, Role, StaffId, TransactionId};
use alloc::string::String;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneEvent {
    InterventionRaised {
        id: u64,
        kind: InterventionKind,
        /// Who may say yes.
        #[serde(default, skip_serializing_if = "Role::is_cashier")]
        role: Role,
    },
    InterventionAnswered {
        id: u64,
        approved: bool,
        staff: StaffId,
        #[serde(default, skip_serializing_if = "Role::is_cashier")]
        role: Role,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// What was asked about is not so any more: the shopper put it right.
    InterventionWithdrawn {
        id: u64,
    },
    /// The shopper asked to scan with the camera, which looks for codes, never for faces, for a minute at most.
    CameraOpened,
    /// A badge was shown at the lane.
    AttendantCame {
        staff: StaffId,
    },
    Rescan(RescanEvent),
    Bag(BagEvent),
    HelpCalled,
    HelpEnded {
        staff: StaffId,
    },
    /// Durable before the first byte goes to the printer: a second one is always marked as a copy.
    ReceiptSent {
        transaction: TransactionId,
        copy: bool,
    },
    /// The printer confirmed the whole job.
    ReceiptPrinted {
        transaction: TransactionId,
    },
}

/// Help.
impl Turn<'_> {
    pub(crate) fn call_help(&mut self, lane: LaneId) {
        if self.facts.lane(lane).help_since.is_none() {
            self.record(Some(lane), Event::Lane(LaneEvent::HelpCalled));
        }
    }

    pub(crate) fn end_help(&mut self, lane: LaneId, staff: StaffId) -> Result<(), Refused> {
        self.facts.lane(lane).help_since.ok_or(Refused::NothingHere)?;
        self.record(Some(lane), Event::Lane(LaneEvent::HelpEnded { staff }));
        Ok(())
    }
}
