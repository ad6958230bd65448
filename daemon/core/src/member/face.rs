//! A camera at a lane: whom it may look at and why, what failures cost, who enrols, and how a withdrawal reaches every gallery.

use super::{IdentifiedBy, MemberEvent};
use crate::device::{DeviceCommand, FaceCommand, FaceEvent, FaceOutcome};
use crate::event::Event;
use crate::face::{Age, Channel, Consent, ErasureReceipt, FaceFacts, FaceRefused, FailureKind};
use crate::face_pay::Recognised;
use crate::page::{Attendant, Refused};
use crate::store::StoreEvent;
use crate::turn::{Effect, FaceLive, Turn, Wish};
use crate::view::{FaceEnd, LaneKind};
use crate::words::{Attempt, DeviceId, LaneId, MemberId, Private, Role, Utc};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

/// The camera looks this long at most.
const FACE_MS: u32 = 8_000;
/// Three good frames of somebody who has never done it.
const ENROL_MS: u32 = 20_000;
/// What a template is for; paying has an agreement of its own at headquarters.
const PURPOSE: &str = "identify the member at the checkout by face";

/// What staff say when a member enrols.
#[derive(Clone, Debug)]
pub(crate) struct Enrolment {
    pub(crate) text_version: String,
    pub(crate) text_sha256: String,
    pub(crate) age: Age,
    pub(crate) guardian: Option<String>,
    pub(crate) until_utc_ms: Option<i64>,
}

/// One member's erasure under way.
#[derive(Clone, Debug)]
pub(crate) struct Erasing {
    member: MemberId,
    /// Its number on headquarters' list.
    listed: Option<u64>,
    /// Galleries that have answered.
    answered: BTreeSet<DeviceId>,
    receipts: Vec<ErasureReceipt>,
}

impl MemberEvent {
    pub(crate) const fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::FaceConsented { attempt, .. } | Self::FaceEnrolConsented { attempt, .. } => Some(*attempt),
            Self::FaceEnded { .. }
            | Self::Identified(_)
            | Self::Switched { .. }
            | Self::Removed {}
            | Self::FaceEnrolled { .. }
            | Self::FaceEnrolRefused { .. }
            | Self::FaceWithdrawn { .. }
            | Self::FaceReopened { .. }
            | Self::FacePayAsked { .. }
            | Self::FacePayConfirmed { .. }
            | Self::FacePayDisputed { .. }
            | Self::DataShown { .. } => None,
        }
    }
}

impl FaceFacts {
    pub(crate) fn apply(&mut self, at: Utc, lane: LaneId, event: &MemberEvent) {
        match event {
            MemberEvent::FaceEnded { outcome, claimed, .. } => {
                let kind = match outcome {
                    FaceEnd::Match => FailureKind::Recognised,
                    FaceEnd::Ambiguous | FaceEnd::NoMatch | FaceEnd::NotLive => FailureKind::Failed,
                    FaceEnd::NoFace | FaceEnd::TimedOut | FaceEnd::Unavailable => FailureKind::Nothing,
                };
                self.ended(at, lane, claimed.as_ref(), kind);
            }
            MemberEvent::FaceReopened { .. } => drop(self.lanes.remove(&lane)),
            MemberEvent::FaceWithdrawn { member } => drop(self.withdrawn.insert(member.clone(), at)),
            // A later consent is asked of the same galleries after the erasure, so nothing of before is left there.
            MemberEvent::FaceEnrolled { member, .. } => drop(self.withdrawn.remove(member)),
            MemberEvent::FaceConsented { .. }
            | MemberEvent::Identified(_)
            | MemberEvent::Switched { .. }
            | MemberEvent::Removed {}
            | MemberEvent::FaceEnrolConsented { .. }
            | MemberEvent::FaceEnrolRefused { .. }
            | MemberEvent::FacePayAsked { .. }
            | MemberEvent::FacePayConfirmed { .. }
            | MemberEvent::FacePayDisputed { .. }
            | MemberEvent::DataShown { .. } => {}
        }
    }

    pub(crate) fn erased(&mut self, member: &MemberId, listed: Option<u64>) {
        self.claims.remove(member);
        match listed {
            Some(n) => self.erased_to = self.erased_to.max(n),
            None => drop(self.withdrawn.remove(member)),
        }
    }
}

impl Turn<'_> {
    /// A tap with consent opens the camera; nothing else does.
    pub(crate) fn look(
        &mut self,
        lane: LaneId,
        consent: String,
        tail: Option<Private<String>>,
        to_pay: bool,
    ) -> Result<(), Refused> {
        if self.money_moves(lane) && !to_pay {
            return Err(Refused::Paying);
        }
        let device = self.camera(lane)?;
        if consent.is_empty() {
            return Err(Refused::FaceUnavailable);
        }
        let among = self.among(tail)?;
        if among.is_none() && self.live.device(&device).narrow {
            return Err(Refused::Face(FaceRefused::Tail));
        }
        let claimed =
            among.as_deref().and_then(|among| <&[MemberId; 1]>::try_from(among).ok()).map(|[one]| one.clone());
        self.facts.faces.gate(lane, claimed.as_ref(), self.now.utc)?;
        self.begin(lane);
        let attempt = self.next_attempt();
        self.record(Some(lane), Event::Member(MemberEvent::FaceConsented { attempt, consent }));
        let wish = if to_pay { Wish::Pay } else { Wish::Identify };
        self.begin_face(
            lane,
            FaceLive { attempt, wish, claimed, hint: None, outcome: None, until: self.until(FACE_MS) },
        );
        let command = FaceCommand::Recognise { attempt, deadline_ms: FACE_MS, among };
        self.tell_camera(device, command);
        Ok(())
    }

    /// Keeps a template of the member who showed the code, after consent and before a person of the staff.
    pub(crate) fn enrol_face(&mut self, lane: LaneId, by: Attendant, wish: Enrolment) -> Result<(), Refused> {
        let device = self.camera(lane)?;
        let member = self.member_by_code(lane)?;
        let channel = match self.config.lane(lane).map(|lane| lane.kind) {
            Some(LaneKind::Kiosk | LaneKind::Phone | LaneKind::Gate) => Channel::Kiosk,
            Some(LaneKind::Staffed) | None => Channel::Staff,
        };
        let Enrolment { text_version, text_sha256, age, guardian, until_utc_ms } = wish;
        let at_utc_ms = self.now.utc.0.max(self.facts.latest.0);
        let consent = Box::new(Consent {
            purpose: PURPOSE.into(),
            text_version,
            text_sha256,
            at_utc_ms,
            channel,
            until_utc_ms,
            age,
            guardian,
        });
        if consent.fault().is_some() {
            return Err(Refused::Face(FaceRefused::NoConsent));
        }
        let attempt = self.next_attempt();
        let agreed = MemberEvent::FaceEnrolConsented {
            attempt,
            member: member.clone(),
            consent: consent.clone(),
            staff: by.staff.clone(),
        };
        self.record(Some(lane), Event::Member(agreed));
        let wish = Wish::Enrol { member: member.clone(), by: by.staff };
        let until = self.until(ENROL_MS);
        self.begin_face(lane, FaceLive { attempt, wish, claimed: None, hint: None, outcome: None, until });
        self.tell_camera(device, FaceCommand::Enrol { attempt, member, consent, deadline_ms: ENROL_MS });
        Ok(())
    }

    /// The member who showed the code wants nothing of the face to stay.
    pub(crate) fn withdraw_face(&mut self, lane: LaneId) -> Result<(), Refused> {
        let member = self.member_by_code(lane)?;
        self.record(Some(lane), Event::Member(MemberEvent::FaceWithdrawn { member }));
        self.live.lane(lane).confirming = None;
        let text = (
            "已撤回：从现在起不再识别您，特征正在删除",
            "Withdrawn: you are not recognised from now on, and your template is being erased",
        );
        self.notice(lane, true, text);
        self.erase_on();
        Ok(())
    }

    pub(crate) fn reopen_face(&mut self, lane: LaneId, by: Attendant) -> Result<(), Refused> {
        by.at_least(Role::Supervisor)?;
        if !self.facts.faces.lanes.contains_key(&lane) {
            return Err(Refused::NothingHere);
        }
        self.record(Some(lane), Event::Member(MemberEvent::FaceReopened { staff: by.staff }));
        Ok(())
    }

    /// What concerns a member's own data takes something the member has: a face can be held up, and others know a number, too.
    pub(super) fn member_by_code(&self, lane: LaneId) -> Result<MemberId, Refused> {
        let known = self.open(lane).and_then(|open| open.member.as_ref());
        let by_code = known.filter(|known| known.by == IdentifiedBy::Code);
        by_code.map(|known| known.member.clone()).ok_or(Refused::Face(FaceRefused::CodeNeeded))
    }

    /// The camera of the lane, where it works and nobody is before it.
    fn camera(&mut self, lane: LaneId) -> Result<DeviceId, Refused> {
        let device = self.vision_of(lane).ok_or(Refused::FaceUnavailable)?;
        let looking = self.live.lane(lane).face.as_ref().is_some_and(|face| face.outcome.is_none());
        if looking || !self.live.device(&device).up { Err(Refused::FaceUnavailable) } else { Ok(device) }
    }

    fn next_attempt(&self) -> Attempt {
        Attempt(self.facts.attempts.saturating_add(1))
    }

    const fn until(&self, ms: u32) -> crate::words::Mono {
        self.now.mono.plus_ms((ms as u64).saturating_add(2_000))
    }

    fn begin_face(&mut self, lane: LaneId, face: FaceLive) {
        let live = self.live.lane(lane);
        // One picture is for one purpose.
        live.camera_until = None;
        live.face = Some(face);
        live.confirming = None;
    }

    fn tell_camera(&mut self, device: DeviceId, command: FaceCommand) {
        self.out.effects.push(Effect::Device { device, command: DeviceCommand::Face(command) });
    }

    pub(crate) fn cancel_recognise(&mut self, lane: LaneId, attempt: Attempt) -> Result<(), Refused> {
        let looks = |face: &&mut FaceLive| face.attempt == attempt && face.outcome.is_none();
        let Some(face) = self.live.lane(lane).face.as_mut().filter(looks) else {
            return Err(Refused::NothingHere);
        };
        let ended = match face.wish.clone() {
            Wish::Enrol { member, .. } => MemberEvent::FaceEnrolRefused { attempt, member },
            Wish::Identify | Wish::Pay => {
                MemberEvent::FaceEnded { attempt, outcome: FaceEnd::TimedOut, claimed: face.claimed.take() }
            }
        };
        self.live.lane(lane).face = None;
        self.record(Some(lane), Event::Member(ended));
        if let Some(device) = self.vision_of(lane) {
            self.tell_camera(device, FaceCommand::Cancel { attempt });
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
            FaceEvent::Outcome(outcome) => self.face_ended(lane, &outcome),
            FaceEvent::Enrolled { frames } => self.enrol_ended(lane, Some(frames)),
            FaceEvent::EnrolRefused => self.enrol_ended(lane, None),
        }
    }

    fn face_ended(&mut self, lane: LaneId, outcome: &FaceOutcome) {
        let Some(FaceLive { attempt, wish, claimed, .. }) = self.live.lane(lane).face.clone() else { return };
        if matches!(wish, Wish::Enrol { .. }) {
            return self.enrol_ended(lane, None);
        }
        // Whoever withdrew is nobody from that moment on, whatever a camera still knows; and so is a member of yesterday.
        let member = match outcome {
            FaceOutcome::Match { member, .. } if self.facts.faces.withdrawn.contains_key(member) => None,
            FaceOutcome::Match { member, .. } => self.catalog.member_by_id(member),
            FaceOutcome::Ambiguous
            | FaceOutcome::NoMatch
            | FaceOutcome::NotLive
            | FaceOutcome::NoFace
            | FaceOutcome::TimedOut
            | FaceOutcome::Unavailable => None,
        };
        let end = match (FaceEnd::from(outcome), &member) {
            (FaceEnd::Match, None) => FaceEnd::NoMatch,
            (end, _) => end,
        };
        self.record(Some(lane), Event::Member(MemberEvent::FaceEnded { attempt, outcome: end, claimed }));
        if let Some(face) = self.live.lane(lane).face.as_mut() {
            face.outcome = Some(end);
            face.hint = None;
        }
        let Some(member) = member else { return };
        // While money has moved the basket keeps its member, and only that member pays the rest.
        let moved = self.money_moves(lane);
        if !moved {
            self.identify(lane, &member, IdentifiedBy::Face);
        }
        let same = self.open(lane).and_then(|open| open.member.as_ref()).is_some_and(|known| known.member == member.id);
        if wish == Wish::Pay && same {
            self.ask_to_confirm(lane, Recognised::new(member.id, attempt));
        }
    }

    fn enrol_ended(&mut self, lane: LaneId, kept: Option<u8>) {
        let Some(FaceLive { attempt, wish: Wish::Enrol { member, .. }, .. }) = self.live.lane(lane).face.take() else {
            return;
        };
        let (event, good, text) = match kept {
            Some(frames) => (
                MemberEvent::FaceEnrolled { attempt, member, frames },
                true,
                ("已开通刷脸识别", "Done: you can be recognised by face from now on"),
            ),
            None => (
                MemberEvent::FaceEnrolRefused { attempt, member },
                false,
                (
                    "没有开通成功，可以再试一次；会员码照常使用",
                    "That did not work: try again, or go on with the member code",
                ),
            ),
        };
        self.record(Some(lane), Event::Member(event));
        self.notice(lane, good, text);
    }

    pub(crate) fn vision_down(&mut self, lane: LaneId, device: &DeviceId) {
        self.live.erasing = None;
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
        if self.live.lane(lane).face.as_ref().is_some_and(|face| face.outcome.is_none()) {
            self.face_ended(lane, &FaceOutcome::Unavailable);
        }
    }
}

/// Withdrawals on their way to the galleries: one at a time, each until every gallery of the box has answered.
impl Turn<'_> {
    /// Goes on with what is to be erased, own withdrawals first; done again whenever a camera or a list comes.
    pub(crate) fn erase_on(&mut self) {
        let own = |(member, at): (&MemberId, &Utc)| (member.clone(), Utc(at.0.saturating_add(1)), None);
        let next = self.facts.faces.withdrawn.iter().next().map(own).or_else(|| {
            let listed = self.catalog.erasure_after(self.facts.faces.erased_to)?;
            Some((listed.member, listed.at, Some(listed.n)))
        });
        let Some((member, before, listed)) = next else { return };
        let under_way = self.live.erasing.as_ref().is_some_and(|now| now.member == member && now.listed == listed);
        if !under_way {
            let (answered, receipts) = (BTreeSet::new(), Vec::new());
            self.live.erasing = Some(Erasing { member: member.clone(), listed, answered, receipts });
        }
        for device in self.cameras() {
            let waits = self.live.erasing.as_ref().is_some_and(|now| !now.answered.contains(&device));
            if waits && self.live.device(&device).up {
                self.tell_camera(device, FaceCommand::Erase { member: member.clone(), before });
            }
        }
    }

    fn cameras(&self) -> BTreeSet<DeviceId> {
        self.config.lanes.iter().filter_map(|lane| lane.vision.clone()).collect()
    }

    pub(crate) fn face_erased(&mut self, device: &DeviceId, member: MemberId, receipt: Option<ErasureReceipt>) {
        let cameras = self.cameras();
        let Some(erasing) = self.live.erasing.as_mut().filter(|erasing| erasing.member == member) else {
            // A template that has reached its end: the gallery tells of it unasked.
            if let Some(receipt) = receipt {
                let receipts = alloc::vec![receipt];
                self.record(None, Event::Store(StoreEvent::FaceErased { member, listed: None, receipts }));
            }
            return;
        };
        erasing.answered.insert(device.clone());
        erasing.receipts.extend(receipt);
        if cameras.is_subset(&erasing.answered) {
            self.erased_everywhere();
        }
    }

    fn erased_everywhere(&mut self) {
        let Some(Erasing { member, listed, receipts, .. }) = self.live.erasing.take() else { return };
        self.record(None, Event::Store(StoreEvent::FaceErased { member, listed, receipts }));
        self.erase_on();
    }
}
