//! Pages and API of a store box: HTTP in, inputs to the core; views out as server-sent events.
//!
//! An answer leaves only after what it reports is on disk: requests wait for the core's reply.

mod assets;
mod member;
mod mirror;
pub mod pin;
mod qr;
pub mod serve;

pub use assets::{bytes as asset_bytes, named as asset};

use crate::config::Config;
use crate::core_loop::{Picture, ToCore};
use crate::device_board::Board;
use crate::sync::SyncStatus;
use anyhow::Result;
use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use checkout::page::{Attendant, Method, PageRequest, Refused, StaffRequest};
use checkout::view::{DeviceView, View};
use checkout::words::{LaneId, Name};
use pin::Desk;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::WatchStream;
use tokio_stream::{Stream, StreamExt as _};

/// A press is answered within a commit; longer means the core is stuck.
const ANSWER: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Pages {
    core: mpsc::Sender<ToCore>,
    picture: watch::Receiver<Arc<Picture>>,
    sync: watch::Receiver<SyncStatus>,
    board: Arc<Board>,
    desk: Arc<Desk>,
    hosts: Arc<Vec<String>>,
    links: Arc<BTreeMap<String, String>>,
    files: member::Files,
    proofs: mirror::Proofs,
}

impl Pages {
    /// # Errors
    /// A PIN in the configuration that `aisled pin` did not print, or no clock.
    pub fn new(
        config: &Config,
        core: mpsc::Sender<ToCore>,
        picture: watch::Receiver<Arc<Picture>>,
        sync: watch::Receiver<SyncStatus>,
        board: Arc<Board>,
    ) -> Result<Self> {
        let mut hosts = config.http.names.clone();
        hosts.extend(["localhost".into(), config.http.listen.ip().to_string()]);
        let links = Arc::new(config.http.links.clone());
        Ok(Self {
            core,
            picture,
            sync,
            board,
            desk: Arc::new(Desk::new(&config.staff)?),
            hosts: Arc::new(hosts),
            links,
            files: member::Files::of(config)?,
            proofs: mirror::Proofs::new()?,
        })
    }

    fn is_ours(&self, method: &axum::http::Method, headers: &HeaderMap) -> bool {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let host = header(header::HOST).unwrap_or_default();
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        let from_here = |origin: &str| origin.split_once("://").is_some_and(|(_, from)| from == host);
        let said = method != axum::http::Method::POST || headers.contains_key("x-aisle");
        self.hosts.iter().any(|known| known == name) && header(header::ORIGIN).is_none_or(from_here) && said
    }

    async fn press(&self, lane: u16, what: PageRequest) -> Response {
        match self.asked(lane, what).await {
            Ok(()) => Json(json!({"ok": true})).into_response(),
            Err(response) => response,
        }
    }

    /// The core's yes, or the answer that says why not.
    async fn asked(&self, lane: u16, what: PageRequest) -> Result<(), Response> {
        let (reply, answer) = oneshot::channel();
        let sent = self.core.send(ToCore::Page { lane: LaneId(lane), what, reply }).await;
        let answer = match sent {
            Ok(()) => tokio::time::timeout(ANSWER, answer).await.ok().and_then(Result::ok),
            Err(_) => None,
        };
        match answer {
            Some(Ok(())) => Ok(()),
            Some(Err(refused)) => Err(refusal(refused)),
            None => Err(wrong(
                StatusCode::SERVICE_UNAVAILABLE,
                "收银系统没有响应，请稍候",
                "The till does not answer, please wait",
            )),
        }
    }
}

fn refusal(refused: Refused) -> Response {
    let body = json!({"ok": false, "refused": refused, "text": refused.text()});
    (StatusCode::CONFLICT, Json(body)).into_response()
}

fn wrong(status: StatusCode, zh: &str, en: &str) -> Response {
    (status, Json(json!({"ok": false, "text": {"zh": zh, "en": en}}))).into_response()
}

fn unreadable(error: &serde_json::Error) -> Response {
    wrong(StatusCode::BAD_REQUEST, "请求无法识别", &format!("The request cannot be read: {error}"))
}

/// One press on a kiosk or phone page.
async fn lane(State(pages): State<Pages>, Path(lane): Path<u16>, body: String) -> Response {
    match serde_json::from_str(&body) {
        Ok(PageRequest::Staff { .. }) => refusal(Refused::StaffOnly),
        Ok(PageRequest::Badged { request }) => {
            pages.press(lane, PageRequest::Badged { request: with_text(request) }).await
        }
        Ok(what) => pages.press(lane, what).await,
        Err(error) => unreadable(&error),
    }
}

/// One press on a staff page: whatever a shopper may do, and what only staff may.
async fn staff_lane(State(pages): State<Pages>, Path(lane): Path<u16>, headers: HeaderMap, body: String) -> Response {
    let Some(by) = bearer(&pages, &headers) else {
        return wrong(StatusCode::UNAUTHORIZED, "请先登录", "Please sign in first");
    };
    match staff_request(&body, &by) {
        Ok(what) => pages.press(lane, what).await,
        Err(error) => unreadable(&error),
    }
}

/// Whoever signed in and sends their token.
fn bearer(pages: &Pages, headers: &HeaderMap) -> Option<Attendant> {
    let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
    pages.desk.staff_of(token)
}

fn staff_request(body: &str, by: &Attendant) -> Result<PageRequest, serde_json::Error> {
    let as_staff = |request| PageRequest::Staff { staff: by.staff.clone(), role: by.role, request };
    match serde_json::from_str::<PageRequest>(body) {
        Ok(PageRequest::Pay { method: Method::Cash { given }, amount }) => {
            Ok(as_staff(StaffRequest::TakeCash { given, amount }))
        }
        // Who pressed is what the token says, never what the body says.
        Ok(PageRequest::Staff { request, .. }) => Ok(as_staff(with_text(request))),
        Ok(what) => Ok(what),
        Err(_) => serde_json::from_str(body).map(with_text).map(as_staff),
    }
}

/// A consent is to the text this box shows: its hash is of that text, whatever the page says.
fn with_text(mut request: StaffRequest) -> StaffRequest {
    if let StaffRequest::EnrolFace { text_version, text_sha256, .. } = &mut request {
        let known = text_version.starts_with("face-enrol-");
        let text = known.then(|| assets::bytes(&format!("{text_version}.js"))).flatten();
        *text_sha256 = text.map(|text| crate::jws::hex(&Sha256::digest(text))).unwrap_or_default();
    }
    request
}

#[derive(Deserialize)]
struct Badged {
    pin: String,
    request: StaffRequest,
}

/// One press at a lane of staff whose badge was scanned there: the PIN says that badge and owner are together.
async fn badge(State(pages): State<Pages>, Path(lane): Path<u16>, body: String) -> Response {
    let badged: Badged = match serde_json::from_str(&body) {
        Ok(badged) => badged,
        Err(error) => return unreadable(&error),
    };
    let shown = pages.picture.borrow().clone();
    let attending = shown.view.lanes.iter().find(|view| view.lane.0 == lane).and_then(|view| view.attending.as_ref());
    let Some(attending) = attending else { return refusal(Refused::StaffOnly) };
    match pages.desk.vouch(&attending.staff, &badged.pin).await {
        Some(Attendant { staff, role }) => {
            pages.press(lane, PageRequest::Staff { staff, role, request: with_text(badged.request) }).await
        }
        None => wrong(StatusCode::UNAUTHORIZED, "密码不对", "That PIN does not go with the badge"),
    }
}

#[derive(Deserialize)]
struct Login {
    pin: String,
}

async fn login(State(pages): State<Pages>, Json(login): Json<Login>) -> Response {
    match pages.desk.login(&login.pin).await {
        Some((token, by, name)) => {
            Json(json!({"ok": true, "token": token, "staff": by.staff, "role": by.role, "name": name})).into_response()
        }
        None => wrong(StatusCode::UNAUTHORIZED, "密码不对", "That PIN is not known"),
    }
}

/// The status line every page shows.
#[derive(Serialize)]
struct StoreLine<'a> {
    store: &'a Name,
    currency: &'a checkout::receipt::Currency,
    price_book: &'a str,
    datasets: &'a std::collections::BTreeMap<String, checkout::facts::InForce>,
    online: bool,
    backlog: u64,
    vision: &'static str,
    vision_hint: Option<Name>,
    version: &'static str,
    staff_calls: usize,
    training: bool,
    upkeep: &'a checkout::upkeep::Upkeep,
}

fn store_line(picture: &Picture, sync: SyncStatus) -> Value {
    let view = &picture.view;
    let (vision, vision_hint) = vision(view);
    let calls = view.lanes.iter().filter(|lane| lane.help_since.is_some() || !lane.interventions.is_empty()).count();
    let line = StoreLine {
        store: &view.store,
        currency: &view.currency,
        price_book: &view.price_book.0,
        datasets: &view.datasets,
        online: sync.online,
        backlog: picture.head.saturating_sub(sync.acked),
        vision,
        vision_hint,
        version: env!("CARGO_PKG_VERSION"),
        staff_calls: calls,
        training: view.training,
        upkeep: &view.upkeep,
    };
    serde_json::to_value(line).unwrap_or_default()
}

/// `off`: no lane has a camera; `missing`: it cannot work just now, and why.
fn vision(view: &View) -> (&'static str, Option<Name>) {
    let found: Option<&DeviceView> =
        view.lanes.iter().flat_map(|lane| &lane.devices).find(|device| device.kind == "vision");
    match found {
        None => ("off", None),
        Some(device) if device.up => ("ready", None),
        Some(device) => ("missing", device.detail.clone()),
    }
}

/// The same picture once, for programs.
async fn lane_view(State(pages): State<Pages>, Path(lane): Path<u16>) -> Response {
    let picture = pages.picture.borrow().clone();
    match picture.view.lanes.iter().find(|view| view.lane.0 == lane) {
        Some(view) => Json(json!({"view": view, "store": store_line(&picture, *pages.sync.borrow())})).into_response(),
        None => refusal(Refused::NoLane),
    }
}

/// How every device is.
async fn devices(State(pages): State<Pages>) -> Response {
    Json(json!({"devices": pages.board.rows()})).into_response()
}

/// What the front page links to.
async fn start(State(pages): State<Pages>) -> Response {
    let picture = pages.picture.borrow().clone();
    let lanes: Vec<Value> =
        picture.view.lanes.iter().map(|lane| json!({"lane": lane.lane, "kind": lane.kind})).collect();
    let link = |name: &str| pages.links.get(name);
    let version = env!("CARGO_PKG_VERSION");
    let store = &picture.view.store;
    Json(json!({"store": store, "version": version, "lanes": lanes, "hq": link("hq"), "panel": link("panel")}))
        .into_response()
}

async fn lane_events(State(pages): State<Pages>, Path(lane): Path<u16>) -> Response {
    let known = pages.picture.borrow().view.lanes.iter().any(|view| view.lane.0 == lane);
    if !known {
        return refusal(Refused::NoLane);
    }
    let proofs = pages.proofs.clone();
    let draw = move |picture: &Picture, sync: SyncStatus| {
        let view = picture.view.lanes.iter().find(|view| view.lane.0 == lane);
        json!({"view": view, "store": store_line(picture, sync), "mirror": proofs.of(view)})
    };
    stream(&pages, draw)
}

#[derive(Deserialize)]
struct Token {
    token: String,
}

async fn staff_events(State(pages): State<Pages>, Query(token): Query<Token>) -> Response {
    if pages.desk.staff_of(&token.token).is_none() {
        return wrong(StatusCode::UNAUTHORIZED, "请先登录", "Please sign in first");
    }
    stream(&pages, |picture, sync| json!({"view": picture.view, "store": store_line(picture, sync)}))
}

/// The picture at once, then each change of it; equal pictures are not sent twice.
fn stream(pages: &Pages, draw: impl Fn(&Picture, SyncStatus) -> Value + Send + 'static) -> Response {
    let (picture, sync) = (pages.picture.clone(), pages.sync.clone());
    let changes = changes(picture.clone(), sync.clone());
    let mut last = Value::Null;
    let events = changes.filter_map(move |()| {
        let fresh = draw(&picture.borrow(), *sync.borrow());
        let changed = fresh != last;
        last.clone_from(&fresh);
        changed.then(|| Event::default().json_data(fresh))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))).into_response()
}

fn changes(picture: watch::Receiver<Arc<Picture>>, sync: watch::Receiver<SyncStatus>) -> impl Stream<Item = ()> {
    WatchStream::new(picture).map(|_| ()).merge(WatchStream::from_changes(sync).map(|_| ()))
}

/// One origin, no foreign page, no rebinding: the Host must be ours, an Origin must match it, a press says it is one.
async fn guard(State(pages): State<Pages>, request: Request, next: Next) -> Response {
    if !pages.is_ours(request.method(), request.headers()) {
        return wrong(StatusCode::FORBIDDEN, "请求来源不对", "This request comes from somewhere else");
    }
    let mut response = next.run(request).await;
    assets::seal(response.headers_mut());
    response
}
