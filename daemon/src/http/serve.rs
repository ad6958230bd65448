//! The routes, and the server that runs them.

use super::{
    Pages, assets, badge, devices, guard, lane, lane_events, lane_view, login, member, mirror, staff_events,
    staff_lane, start,
};
use anyhow::{Context, Result};
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// No press is longer.
const BODY_MAX: usize = 16 * 1024;

/// # Errors
/// The address is taken: says by which setting it was asked for.
pub async fn bind(listen: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}: is [http] listen taken by another program?"))
}

/// Serves pages until the process ends.
pub async fn run(pages: Pages, listener: TcpListener) {
    let router = Router::new()
        .route("/", get(|| assets::page("start.html")))
        .route("/kiosk/{lane}", get(|| assets::page("kiosk.html")))
        .route("/staff", get(|| assets::page("staff.html")))
        .route("/web/{file}", get(assets::file))
        .route("/api/events/staff", get(staff_events))
        .route("/api/events/{lane}", get(lane_events))
        .route("/api/devices", get(devices))
        .route("/api/qr", get(super::qr::qr))
        .route("/api/start", get(start))
        .route("/api/view/{lane}", get(lane_view))
        .route("/api/lane/{lane}", post(lane))
        .route("/api/lane/{lane}/mirror", get(mirror::mirror))
        .route("/api/lane/{lane}/badge", post(badge))
        .route("/api/lane/{lane}/my-data", post(member::at_lane))
        .route("/api/staff/login", post(login))
        .route("/api/staff/lane/{lane}", post(staff_lane))
        .route("/api/staff/lane/{lane}/member-data", post(member::at_desk))
        .route("/healthz", get(|| async { Json(json!({"ok": true, "version": env!("CARGO_PKG_VERSION")})) }))
        .layer(from_fn_with_state(pages.clone(), guard))
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(pages);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "pages are no longer served");
    }
}
