//! A member's own data: on the kiosk of whoever showed the code, and as a file for the desk at their request.
//!
//! The core says whether it may be told, and journals that it was. What is told leaves with the answer to that press and nowhere
//! else: there is no address under which it could be fetched again.

use super::{Pages, bearer, refusal, unreadable, wrong};
use crate::clock::{self, Zone};
use crate::config::Config;
use crate::member_data::{self, MemberData};
use anyhow::Result;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use checkout::page::{PageRequest, Refused, StaffRequest};
use checkout::words::LaneId;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Where it is gathered. The whole journal is read through for it, so by one at a time.
#[derive(Clone, Debug)]
pub(super) struct Files {
    journal: PathBuf,
    data: PathBuf,
    box_id: String,
    zone: Zone,
    turn: Arc<Semaphore>,
}

impl Files {
    /// # Errors
    /// The configuration names no clock.
    pub(super) fn of(config: &Config) -> Result<Self> {
        let (journal, data, zone) = (config.journal(), config.data.clone(), config.zone()?);
        Ok(Self { journal, data, box_id: config.box_id.clone(), zone, turn: Arc::new(Semaphore::new(1)) })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wish {
    /// On the lane's printer, too.
    #[serde(default)]
    print: bool,
}

/// At the lane itself: half hidden, since others may look on.
pub(super) async fn at_lane(State(pages): State<Pages>, Path(lane): Path<u16>, body: String) -> Response {
    let wish: Wish = match serde_json::from_str(&body) {
        Ok(wish) => wish,
        Err(error) => return unreadable(&error),
    };
    let data = match told(&pages, lane, PageRequest::MyData {}).await {
        Ok(data) => data.masked(),
        Err(response) => return response,
    };
    if wish.print {
        let rows = data.rows(&pages.files.zone);
        if let Err(response) = pages.asked(lane, PageRequest::PrintMyData { rows }).await {
            return response;
        }
    }
    answer(&data)
}

/// At the desk, for the member who showed the code at that lane: whole, as a file to hand over.
pub(super) async fn at_desk(State(pages): State<Pages>, Path(lane): Path<u16>, headers: HeaderMap) -> Response {
    let Some(by) = bearer(&pages, &headers) else {
        return wrong(StatusCode::UNAUTHORIZED, "请先登录", "Please sign in first");
    };
    let what = PageRequest::Staff { staff: by.staff, role: by.role, request: StaffRequest::MemberData {} };
    match told(&pages, lane, what).await {
        Ok(data) => answer(&data),
        Err(response) => response,
    }
}

async fn told(pages: &Pages, lane: u16, what: PageRequest) -> Result<MemberData, Response> {
    let busy = |_| {
        wrong(
            StatusCode::SERVICE_UNAVAILABLE,
            "正在处理另一份数据，请稍候",
            "Somebody else's is being gathered: please try again",
        )
    };
    let _turn = pages.files.turn.try_acquire().map_err(busy)?;
    pages.asked(lane, what).await?;
    let picture = pages.picture.borrow().clone();
    let view = picture.view.lanes.iter().find(|view| view.lane == LaneId(lane));
    let member = view.and_then(|view| view.shown_data.clone()).ok_or_else(|| refusal(Refused::NothingHere))?;
    let Files { journal, data, box_id, .. } = pages.files.clone();
    let gather = move || member_data::gather(&journal, &data, &box_id, &member, clock::utc());
    let gathered = tokio::task::spawn_blocking(gather).await;
    gathered.map_err(anyhow::Error::from).flatten().map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "a member's data cannot be gathered");
        wrong(StatusCode::INTERNAL_SERVER_ERROR, "数据读取失败", "The data cannot be read")
    })
}

fn answer(data: &MemberData) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(data)).into_response()
}
