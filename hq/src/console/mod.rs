//! The console: server-rendered pages, server-sent events, JSON. Reads `hq.db`, writes nothing.

mod chart;
mod coupons;
mod faces;
mod fleet;
mod pages;
mod parity;
mod payments;
pub(crate) mod read;
pub(crate) mod words;

use crate::coupon;
use crate::db::Connection;
use crate::fold::again;
use crate::pay::reconcile;
use crate::store::Store;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{self, HeaderMap, HeaderValue};
use axum::http::{StatusCode, Uri};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::{Stream, unfold};
use serde::Deserialize;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use words::Language;

/// Pages hear of changes no more often than this.
const BREATH: Duration = Duration::from_millis(700);
/// No inline script, no inline style, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

#[derive(Clone)]
struct Console {
    store: Store,
    changes: watch::Receiver<u64>,
    up: watch::Receiver<bool>,
    address: SocketAddr,
}

pub(crate) fn router(
    store: Store,
    changes: watch::Receiver<u64>,
    up: watch::Receiver<bool>,
    address: SocketAddr,
) -> Router {
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "whoever reaches the console sees every sale: let only people you trust reach it");
    }
    let console = Console { store, changes, up, address };
    Router::new()
        .route("/", get(overview))
        .route("/fleet", get(fleet_page))
        .route("/box/{id}", get(one_box))
        .route("/coupons", get(coupons_page))
        .route("/api/coupon-conflicts", get(api_coupon_conflicts))
        .route("/payments", get(payments_page))
        .route("/api/payment-differences", get(api_payment_differences))
        .route("/api/sales-again", get(api_sales_again))
        .route("/faces", get(faces_page))
        .route("/parity", get(parity_page))
        .route("/api/parity", get(api_parity))
        .route("/api/boxes", get(api_boxes))
        .route("/api/sales", get(api_sales))
        .route("/api/alarms", get(api_alarms))
        .route("/api/dead-letters", get(api_dead_letters))
        .route("/healthz", get(healthz))
        .route("/events", get(events))
        .route("/style.css", get(style))
        .route("/app.js", get(script))
        .layer(map_response(guarded))
        .layer(from_fn_with_state(console.clone(), only_by_its_own_name))
        .with_state(console)
}

async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A console on loopback answers to loopback names only: another site's name that resolves here must not read sales.
async fn only_by_its_own_name(State(console): State<Console>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let own = ["localhost", "127.0.0.1", "[::1]"].contains(&name) || name == console.address.ip().to_string();
    if console.address.ip().is_loopback() && !own {
        return (StatusCode::MISDIRECTED_REQUEST, "ask for localhost\n").into_response();
    }
    next.run(request).await
}

struct Failed(StatusCode, &'static str);

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}

/// Reads on a thread of its own, with a connection of its own.
async fn reading<T, F>(console: &Console, read: F) -> Result<T, Failed>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> anyhow::Result<T> + Send + 'static,
{
    let store = console.store.clone();
    let done = tokio::task::spawn_blocking(move || read(&store.reader()?)).await;
    match done {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(error)) => {
            tracing::error!(error = %format!("{error:#}"), "the console cannot read hq.db");
            Err(Failed(StatusCode::INTERNAL_SERVER_ERROR, "hq.db cannot be read: see the log\n"))
        }
        Err(_) => Err(Failed(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be made\n")),
    }
}

#[derive(Deserialize)]
struct PageQuery {
    lang: Option<String>,
}

async fn overview(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let page = reading(&console, move |db| Ok(pages::overview(&read::overview(db)?, up, language))).await?;
    Ok(in_language(page, language))
}

async fn fleet_page(
    State(console): State<Console>,
    Query(query): Query<fleet::Query>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let page = reading(&console, move |db| Ok(fleet::page(&fleet::find(db, &query)?, &query, up, language))).await?;
    Ok(in_language(page, language))
}

async fn one_box(
    State(console): State<Console>,
    Path(id): Path<String>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let page = reading(&console, move |db| {
        let found = read::one_box(db, &id)?;
        Ok(found.map(|found| pages::one_box(&found, up, language)))
    })
    .await?;
    match page {
        Some(page) => Ok(in_language(page, language)),
        None => Err(Failed(StatusCode::NOT_FOUND, "no such box\n")),
    }
}

fn in_language(page: String, language: Language) -> Response {
    let cookie = format!("lang={}; Path=/; Max-Age=31536000; SameSite=Strict; HttpOnly", language.tag());
    ([(header::SET_COOKIE, cookie)], Html(page)).into_response()
}

async fn api_boxes(State(console): State<Console>) -> Result<Response, Failed> {
    let boxes = reading(&console, read::boxes).await?;
    Ok(Json(boxes).into_response())
}

async fn coupons_page(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let page = reading(&console, move |db| Ok(coupons::page(&coupon::conflicts(db, 500)?, up, language))).await?;
    Ok(in_language(page, language))
}

async fn faces_page(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let read = move |db: &Connection| {
        let (numbers, rows) = (crate::faces::assessment(db)?, crate::faces::latest(db, 200)?);
        Ok(faces::page(&numbers, &rows, up, language))
    };
    Ok(in_language(reading(&console, read).await?, language))
}

async fn api_coupon_conflicts(State(console): State<Console>) -> Result<Response, Failed> {
    let found = reading(&console, |db| coupon::conflicts(db, 500)).await?;
    Ok(Json(found).into_response())
}

async fn payments_page(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let page = reading(&console, move |db| Ok(payments::page(&payments::seen(db)?, up, language))).await?;
    Ok(in_language(page, language))
}

async fn api_payment_differences(State(console): State<Console>) -> Result<Response, Failed> {
    let found = reading(&console, reconcile::differences).await?;
    Ok(Json(found).into_response())
}

async fn api_sales_again(State(console): State<Console>) -> Result<Response, Failed> {
    let found = reading(&console, |db| again::list(db, 500)).await?;
    Ok(Json(found).into_response())
}

async fn parity_page(
    State(console): State<Console>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let language = Language::of(query.lang.as_deref(), &headers);
    let up = *console.up.borrow();
    let page = reading(&console, move |db| Ok(parity::page(&read::parity(db)?, up, language))).await?;
    Ok(in_language(page, language))
}

async fn api_parity(State(console): State<Console>) -> Result<Response, Failed> {
    let seen = reading(&console, read::parity).await?;
    Ok(Json(seen).into_response())
}

#[derive(Deserialize)]
struct SalesQuery {
    #[serde(rename = "box")]
    box_id: Option<String>,
    transaction: Option<String>,
}

async fn api_sales(State(console): State<Console>, Query(query): Query<SalesQuery>) -> Result<Response, Failed> {
    let sales =
        reading(&console, move |db| read::sales(db, query.box_id.as_deref(), query.transaction.as_deref(), 200))
            .await?;
    Ok(Json(sales).into_response())
}

async fn api_alarms(State(console): State<Console>) -> Result<Response, Failed> {
    let alarms = reading(&console, |db| read::alarms(db, None, 500)).await?;
    Ok(Json(alarms).into_response())
}

async fn api_dead_letters(State(console): State<Console>) -> Result<Response, Failed> {
    let letters = reading(&console, |db| read::dead_letters(db, None, 500)).await?;
    Ok(Json(letters).into_response())
}

async fn healthz(State(console): State<Console>) -> Result<Response, Failed> {
    reading(&console, |db| Ok(db.query_row("SELECT 1", [], |_| Ok(()))?)).await?;
    let up = *console.up.borrow();
    let code = if up { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((code, Json(serde_json::json!({ "database": true, "broker": up }))).into_response())
}

async fn events(State(console): State<Console>) -> impl IntoResponse {
    Sse::new(changes(console.changes)).keep_alive(KeepAlive::default())
}

fn changes(changes: watch::Receiver<u64>) -> impl Stream<Item = Result<Event, Infallible>> {
    unfold(changes, |mut changes| async move {
        changes.changed().await.ok()?;
        tokio::time::sleep(BREATH).await;
        let version = *changes.borrow_and_update();
        Some((Ok(Event::default().event("changed").data(version.to_string())), changes))
    })
}

async fn style(_: Uri) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("style.css"))
}

async fn script(_: Uri) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("app.js"))
}
