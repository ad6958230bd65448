//! Who is shopping, where they want to be known: by code, by telephone number or by face. The journal knows an opaque id only.

mod face;
mod mine;

pub(crate) use face::{Enrolment, Erasing};

use crate::basket::Transaction;
use crate::catalog::Member;
use crate::device::Beep;
use crate::event::Event;
use crate::face::{Consent, Factor};
use crate::page::Refused;
use crate::refusal::LineRefusal;
use crate::turn::Turn;
use crate::view::FaceEnd;
use crate::words::{Attempt, DeviceId, LaneId, MemberId, Money, StaffId, TenderId};
use alloc::boxed::Box;
use alloc::string::String;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberEvent {
    /// The shopper pressed “recognise me” under the text of that version.
    FaceConsented {
        attempt: Attempt,
        consent: String,
    },
    /// How the attempt ended; who it was stands in `Identified` only.
    FaceEnded {
        attempt: Attempt,
        outcome: FaceEnd,
        /// The one member the shopper claimed to be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        claimed: Option<MemberId>,
    },
    /// A member agreed to a template, before the camera opened for it.
    FaceEnrolConsented {
        attempt: Attempt,
        member: MemberId,
        consent: Box<Consent>,
        staff: StaffId,
    },
    FaceEnrolled {
        attempt: Attempt,
        member: MemberId,
        frames: u8,
    },
    FaceEnrolRefused {
        attempt: Attempt,
        member: MemberId,
    },
    /// From here on this face is nobody's; the galleries follow.
    FaceWithdrawn {
        member: MemberId,
    },
    /// Staff opened a camera again that failures had shut.
    FaceReopened {
        staff: StaffId,
    },
    /// Name and amount are shown; the shop's rules want this factor.
    FacePayAsked {
        attempt: Attempt,
        member: MemberId,
        amount: Money,
        factor: Factor,
    },
    /// The second factor was given; the charge of that tender follows.
    FacePayConfirmed {
        attempt: Attempt,
        tender: TenderId,
        member: MemberId,
        amount: Money,
        factor: Factor,
    },
    /// The member says somebody else did it.
    FacePayDisputed {
        tender: TenderId,
        amount: Money,
        staff: StaffId,
        reason: String,
    },
    /// The member of the code saw all that this store has of them; `staff`: a person of the staff fetched it at their request.
    DataShown {
        member: MemberId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        staff: Option<StaffId>,
    },
    Identified(Identified),
    /// Somebody else shops on with this basket.
    Switched {
        from: MemberId,
        to: Identified,
    },
    Removed {},
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identified {
    pub member: MemberId,
    pub by: IdentifiedBy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdentifiedBy {
    Code,
    Face,
    /// Others know it too: it proves less than either.
    Phone,
}

impl Transaction {
    pub(crate) fn apply_member(&mut self, event: &MemberEvent) {
        match event {
            MemberEvent::Identified(identified) | MemberEvent::Switched { to: identified, .. } => {
                self.member = Some(identified.clone())
            }
            MemberEvent::Removed {} => self.member = None,
            MemberEvent::FaceConsented { .. }
            | MemberEvent::FaceEnded { .. }
            | MemberEvent::FaceEnrolConsented { .. }
            | MemberEvent::FaceEnrolled { .. }
            | MemberEvent::FaceEnrolRefused { .. }
            | MemberEvent::FaceWithdrawn { .. }
            | MemberEvent::FaceReopened { .. }
            | MemberEvent::FacePayAsked { .. }
            | MemberEvent::FacePayConfirmed { .. }
            | MemberEvent::FacePayDisputed { .. }
            | MemberEvent::DataShown { .. } => {}
        }
    }
}

impl Turn<'_> {
    pub(crate) fn member_code(&mut self, lane: LaneId, code: &str) {
        if self.money_moves(lane) {
            return self.refuse_line(lane, LineRefusal::Paying, None);
        }
        match self.catalog.member(code) {
            Some(member) => {
                self.identify(lane, &member, IdentifiedBy::Code);
                self.beep(lane, Beep::Good);
            }
            None => self.refuse_line(lane, LineRefusal::UnknownMember, None),
        }
    }

    pub(crate) fn identify(&mut self, lane: LaneId, member: &Member, by: IdentifiedBy) {
        self.begin(lane);
        let known = self.open(lane).and_then(|open| open.member.clone());
        let to = Identified { member: member.id.clone(), by };
        let event = match known {
            // Neither adds anything to a code, nor a number to a face; a code scanned after them is the second factor.
            Some(known)
                if known.member == to.member && (known.by == IdentifiedBy::Code || by == IdentifiedBy::Phone) =>
            {
                return;
            }
            Some(known) if known.member != to.member => MemberEvent::Switched { from: known.member, to },
            Some(_) | None => MemberEvent::Identified(to),
        };
        self.record(Some(lane), Event::Member(event));
        self.reprice(lane);
    }

    pub(crate) fn remove_member(&mut self, lane: LaneId) -> Result<(), Refused> {
        if self.editable(lane)?.member.is_none() {
            return Err(Refused::NothingHere);
        }
        self.record(Some(lane), Event::Member(MemberEvent::Removed {}));
        self.live.lane(lane).face = None;
        self.reprice(lane);
        Ok(())
    }

    pub(crate) fn vision_of(&self, lane: LaneId) -> Option<DeviceId> {
        self.config.lane(lane)?.vision.clone()
    }
}
