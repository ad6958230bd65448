//! Who is shopping, where they want to be known: by code or by face. The journal knows an opaque id only.

use crate::basket::Transaction;
use crate::catalog::Member;
use crate::device::{Beep, DeviceCommand, FaceEvent, FaceOutcome};
use crate::event::Event;
use crate::page::Refused;
use crate::refusal::LineRefusal;
use crate::turn::{Effect, FaceLive, Turn};
use crate::view::FaceEnd;
use crate::words::{Attempt, DeviceId, LaneId, MemberId};
use alloc::string::String;
use serde::{Deserialize, Serialize};

/// The camera looks this long at most.
pub const FACE_MS: u32 = 8_000;

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
}

impl Transaction {
    pub(crate) fn apply_member(&mut self, event: &MemberEvent) {
        match event {
            MemberEvent::Identified(identified) | MemberEvent::Switched { to: identified, .. } => {
                self.member = Some(identified.clone())
            }
            MemberEvent::Removed {} => self.member = None,
            MemberEvent::FaceConsented { .. } | MemberEvent::FaceEnded { .. } => {}
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

    fn identify(&mut self, lane: LaneId, member: &Member, by: IdentifiedBy) {
        self.begin(lane);
        let known = self.open(lane).and_then(|open| open.member.clone());
        let to = Identified { member: member.id.clone(), by };
        let event = match known {
            // A face adds nothing to a code; a code scanned after a face is the second factor.
            Some(known) if known.member == to.member && known.by == IdentifiedBy::Code => return,
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

    /// A tap with consent opens the camera; nothing else does.
    pub(crate) fn recognise(&mut self, lane: LaneId, consent: String) -> Result<(), Refused> {
        if self.money_moves(lane) {
            return Err(Refused::Paying);
        }
        let device = self.vision_of(lane).ok_or(Refused::FaceUnavailable)?;
        if !self.live.device(&device).up || consent.is_empty() {
            return Err(Refused::FaceUnavailable);
        }
        self.begin(lane);
        let attempt = Attempt(self.facts.attempts.saturating_add(1));
        self.record(Some(lane), Event::Member(MemberEvent::FaceConsented { attempt, consent }));
        let until = self.now.mono.plus_ms(u64::from(FACE_MS).saturating_add(2_000));
        self.live.lane(lane).face = Some(FaceLive { attempt, hint: None, outcome: None, until });
        self.out
            .effects
            .push(Effect::Device { device, command: DeviceCommand::Recognise { attempt, deadline_ms: FACE_MS } });
        Ok(())
    }

    pub(crate) fn cancel_recognise(&mut self, lane: LaneId, attempt: Attempt) -> Result<(), Refused> {
        let looking =
            self.live.lane(lane).face.as_ref().is_some_and(|face| face.attempt == attempt && face.outcome.is_none());
        if !looking {
            return Err(Refused::NothingHere);
        }
        self.live.lane(lane).face = None;
        self.record(Some(lane), Event::Member(MemberEvent::FaceEnded { attempt, outcome: FaceEnd::TimedOut }));
        if let Some(device) = self.vision_of(lane) {
            self.out.effects.push(Effect::Device { device, command: DeviceCommand::CancelRecognise { attempt } });
        }
        Ok(())
    }

    /// Late answers of older attempts are ignored by number.
    pub(crate) fn face(&mut self, attempt: Attempt, event: FaceEvent) {
        let waiting = |lane: &LaneId| self.live.lanes.get(lane).and_then(|live| live.face.as_ref());
        let matches =
            |lane: &LaneId| waiting(lane).is_some_and(|face| face.attempt == attempt && face.outcome.is_none());
        let Some(lane) = self.facts.lane_ids().into_iter().find(matches) else {
            return;
        };
        match event {
            FaceEvent::Guidance(hint) => {
                if let Some(face) = self.live.lane(lane).face.as_mut() {
                    face.hint = Some(hint);
                }
            }
            FaceEvent::Outcome(outcome) => self.face_ended(lane, attempt, &outcome),
        }
    }

    fn face_ended(&mut self, lane: LaneId, attempt: Attempt, outcome: &FaceOutcome) {
        let member = match outcome {
            FaceOutcome::Match { member, .. } => self.catalog.member_by_id(member),
            FaceOutcome::Ambiguous
            | FaceOutcome::NoMatch
            | FaceOutcome::NotLive
            | FaceOutcome::NoFace
            | FaceOutcome::TimedOut
            | FaceOutcome::Unavailable => None,
        };
        // A template of somebody who is no member any more identifies nobody.
        let end = match (FaceEnd::from(outcome), &member) {
            (FaceEnd::Match, None) => FaceEnd::NoMatch,
            (end, _) => end,
        };
        self.record(Some(lane), Event::Member(MemberEvent::FaceEnded { attempt, outcome: end }));
        if let Some(face) = self.live.lane(lane).face.as_mut() {
            face.outcome = Some(end);
            face.hint = None;
        }
        if let Some(member) = member
            && !self.money_moves(lane)
        {
            self.identify(lane, &member, IdentifiedBy::Face);
        }
    }

    pub(crate) fn vision_down(&mut self, lane: LaneId, device: &DeviceId) {
        if self.vision_of(lane).as_ref() == Some(device) {
            self.give_up_face(lane);
        }
    }

    pub(crate) fn face_tick(&mut self, lane: LaneId) {
        let due = |face: &FaceLive| face.outcome.is_none() && face.until <= self.now.mono;
        if self.live.lanes.get(&lane).and_then(|live| live.face.as_ref()).is_some_and(due) {
            self.give_up_face(lane);
        }
    }

    fn give_up_face(&mut self, lane: LaneId) {
        let looking = self.live.lane(lane).face.as_ref().filter(|face| face.outcome.is_none()).map(|face| face.attempt);
        if let Some(attempt) = looking {
            self.face_ended(lane, attempt, &FaceOutcome::Unavailable);
        }
    }

    fn vision_of(&self, lane: LaneId) -> Option<DeviceId> {
        self.config.lane(lane)?.vision.clone()
    }
}
