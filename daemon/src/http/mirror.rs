//! What the camera sees of whoever enrols, for the eyes of those at that lane: its page, and the page of the person of the staff
//! who pressed. It is there while the enrolment runs and not a moment longer; nothing keeps it.

use super::{Pages, bearer, refusal, wrong};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use checkout::page::Refused;
use checkout::view::{FaceView, LaneView};
use checkout::words::{Attempt, LaneId};
use ring::hmac;
use ring::rand::SystemRandom;

/// What a lane's page proves itself with.
const PAGE: &str = "x-aisle-mirror";

/// Proofs for lanes' pages: one for each enrolment, told on the stream of that lane while it runs.
#[derive(Clone, Debug)]
pub(super) struct Proofs(hmac::Key);

impl Proofs {
    /// # Errors
    /// The system gives no random numbers.
    pub(super) fn new() -> anyhow::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Ok(Self(key.map_err(|_| anyhow::anyhow!("no random numbers"))?))
    }

    /// For the page of that lane, while somebody enrols there.
    pub(super) fn of(&self, view: Option<&LaneView>) -> Option<String> {
        let view = view?;
        let face = enrolment(view)?;
        Some(crate::jws::hex(hmac::sign(&self.0, &text(view.lane, face.attempt)).as_ref()))
    }

    fn proves(&self, lane: LaneId, attempt: Attempt, proof: &str) -> bool {
        crate::jws::unhex(proof).is_some_and(|proof| hmac::verify(&self.0, &text(lane, attempt), &proof).is_ok())
    }
}

fn text(lane: LaneId, attempt: Attempt) -> Vec<u8> {
    format!("aisle-mirror-1\n{}\n{}\n", lane.0, attempt.0).into_bytes()
}

fn enrolment(view: &LaneView) -> Option<&FaceView> {
    view.face.as_ref().filter(|face| face.enrols.is_some() && face.outcome.is_none())
}

/// Width and height as two bytes each, highest first, then a byte for each pixel.
pub(super) async fn mirror(State(pages): State<Pages>, Path(lane): Path<u16>, headers: HeaderMap) -> Response {
    let (by, proof) = (bearer(&pages, &headers), headers.get(PAGE).and_then(|value| value.to_str().ok()));
    if by.is_none() && proof.is_none() {
        return denied();
    }
    let picture = pages.picture.borrow().clone();
    let view = picture.view.lanes.iter().find(|view| view.lane == LaneId(lane));
    let Some((view, face)) = view.and_then(|view| Some((view, enrolment(view)?))) else {
        return refusal(Refused::NothingHere);
    };
    let theirs = by.is_some_and(|by| face.enrols == Some(by.staff));
    if !theirs && !proof.is_some_and(|proof| pages.proofs.proves(view.lane, face.attempt, proof)) {
        return denied();
    }
    let camera = view.devices.iter().find(|device| device.kind == "vision");
    let Some(seen) = camera.and_then(|camera| pages.board.seen(&camera.name, face.attempt)) else {
        return (StatusCode::NO_CONTENT, [(header::CACHE_CONTROL, "no-store")]).into_response();
    };
    let side = |side: usize| u16::try_from(side).unwrap_or(0).to_be_bytes();
    let body = [&side(seen.width())[..], &side(seen.height()), seen.grey()].concat();
    ([(header::CACHE_CONTROL, "no-store"), (header::CONTENT_TYPE, "application/octet-stream")], body).into_response()
}

fn denied() -> Response {
    wrong(StatusCode::FORBIDDEN, "只有正在录入的收银台可以看到画面", "Only the lane where somebody enrols sees that")
}
