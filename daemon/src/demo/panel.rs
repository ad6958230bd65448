//! The device panel: a page on which a person plays the shopper and every device.

use super::desk::{Desk, LANES};
use super::programs::Programs;
use super::{Addresses, CATALOGUE, COUPONS, MEMBERS, STAFF_BADGE, STAFF_NAME, STAFF_PIN};
use crate::http::asset;
use anyhow::{Context, Result};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use checkout::catalog::{Campaign, Item, Member};
use checkout::scan::Printed;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::WatchStream;

#[derive(Clone)]
struct Panel {
    desk: Arc<Desk>,
    /// What does not change while the demo runs.
    fixed: Arc<Value>,
}

pub(crate) async fn serve(desk: Arc<Desk>, addresses: Addresses, programs: &Programs) -> Result<JoinHandle<()>> {
    let fixed = Arc::new(fixed(&desk, addresses, programs.faces));
    let listener = tokio::net::TcpListener::bind(addresses.panel).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", addresses.panel))?;
    let router = Router::new()
        .route("/", get(|| async { asset("panel.html") }))
        .route("/web/{file}", get(|Path(name): Path<String>| async move { asset(&name) }))
        .route("/panel/events", get(events))
        .route("/panel/control/{device}", post(control))
        .route("/panel/photo/{id}", get(photo))
        .route("/panel/receipt/{device}/{file}", get(receipt))
        .with_state(Panel { desk, fixed });
    Ok(tokio::spawn(async move {
        let _ = axum::serve(listener, router).await;
    }))
}

async fn events(State(panel): State<Panel>) -> Response {
    let mut streams = futures_util::stream::SelectAll::new();
    for device in &panel.desk.devices {
        streams.push(WatchStream::new(device.running.watch()).map(|_| ()));
    }
    let events = streams.map(move |()| Event::default().json_data(picture(&panel)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(10))).into_response()
}

async fn control(State(panel): State<Panel>, Path(device): Path<String>, Json(verb): Json<Value>) -> Response {
    match panel.desk.control(&device, &verb).await {
        Ok(()) => Json(json!({"ok": true})).into_response(),
        Err(error) => {
            let text = format!("{error:#}");
            (StatusCode::BAD_REQUEST, Json(json!({"ok": false, "text": {"zh": text, "en": text}}))).into_response()
        }
    }
}

async fn photo(State(panel): State<Panel>, Path(id): Path<String>) -> Response {
    let Some(file) = panel.desk.photos_of(&id).and_then(|photos| photos.files.first()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = if file.extension().is_some_and(|end| end == "png") { "image/png" } else { "image/jpeg" };
    match tokio::fs::read(file).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, kind)], bytes).into_response(),
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A receipt as it looks on paper, drawn from the text the printer's stand-in read off its bytes.
async fn receipt(State(panel): State<Panel>, Path((device, file)): Path<(String, String)>) -> Response {
    let drawn = || {
        let number: usize = file.strip_suffix(".svg")?.parse().ok()?;
        let state = panel.desk.device(&device)?.running.state();
        let svgs = state["svgs"].as_array()?;
        Some(svgs.get(number.checked_sub(1)?)?.as_str()?.to_owned())
    };
    match drawn() {
        Some(svg) => ([(header::CONTENT_TYPE, "image/svg+xml")], svg).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn picture(panel: &Panel) -> Value {
    let device = |device: &super::desk::Device| json!({"name": device.name, "kind": device.kind, "lane": device.lane, "state": Desk::state(device)});
    let mut devices: Vec<Value> = panel.desk.devices.iter().map(device).collect();
    devices.push(json!({"name": "vision", "kind": "vision", "lane": null, "state": {}}));
    let mut picture = panel.fixed.as_ref().clone();
    picture["devices"] = devices.into();
    picture
}

fn fixed(desk: &Desk, addresses: Addresses, faces: bool) -> Value {
    let Addresses { pages, hq, .. } = addresses;
    let good = |item: Item| {
        json!({"code": item.key, "name": item.name, "price": item.price, "by_weight": item.by_weight,
               "min_age": item.min_age, "offer": item.offer.map(|offer| offer.name), "group": item.group})
    };
    let member =
        |member: Member| json!({"code": member.code, "name": member.name, "face": faces && member.id.0 == "m-001"});
    let photo = |(id, photos): &(&str, super::desk::Photos)| json!({"id": id, "label": {"zh": photos.zh, "en": photos.en}, "url": format!("/panel/photo/{id}")});
    json!({
        "lanes": LANES.iter().map(|(lane, kind)| json!({"lane": lane, "kind": kind})).collect::<Vec<_>>(),
        "currency": {"code": "CNY", "numeric": 156, "sign": "￥", "digits": 2},
        "goods": rows(CATALOGUE).map(good).collect::<Vec<_>>(),
        "members": rows(MEMBERS).map(member).collect::<Vec<_>>(),
        "photos": desk.photos.iter().map(photo).collect::<Vec<_>>(),
        "links": {"kiosk": format!("http://{pages}/kiosk/1"), "staff": format!("http://{pages}/staff"), "hq": format!("http://{hq}/")},
        "staff_pin": STAFF_PIN,
        "papers": papers(),
    })
}

/// What else a hand can hold to the scanner: a badge, and coupons of campaigns that are not signed.
fn papers() -> Vec<Value> {
    let badge = json!({"kind": "staff", "name": {"zh": format!("工牌 · {STAFF_NAME}"), "en": format!("Staff badge · {STAFF_NAME}")},
                       "code": Printed::Staff.code(STAFF_BADGE)});
    let coupon = |campaign: Campaign| json!({"kind": "points", "name": campaign.name, "code": Printed::Coupon.code(&format!("{}.demo1", campaign.id))});
    std::iter::once(badge).chain(rows(COUPONS).filter(|one: &Campaign| !one.signed).map(coupon)).collect()
}

fn rows<T: serde::de::DeserializeOwned>(text: &'static str) -> impl Iterator<Item = T> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok())
}
