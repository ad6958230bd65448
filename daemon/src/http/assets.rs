//! The pages, embedded: no file to lose, no build step, one origin.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

/// Nothing but our own files, no inline script or style, never inside another page.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        const FILES: &[(&str, &[u8])] = &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/web/", $name)))),*];
    };
}

embedded!(
    "aisle.js",
    "dom.js",
    "face-consent-1.js",
    "face-enrol-1.js",
    "face-enrol-2.js",
    "i18n.js",
    "icon.svg",
    "icons.js",
    "keypad.js",
    "kiosk-badge.js",
    "kiosk-basket.js",
    "kiosk-face.js",
    "kiosk-frame.js",
    "kiosk-mine.js",
    "kiosk-panels.js",
    "kiosk-screens.css",
    "kiosk-screens.js",
    "kiosk.css",
    "kiosk.html",
    "kiosk.js",
    "member-data.js",
    "mirror.js",
    "panel-devices.js",
    "panel-shelf.js",
    "panel.css",
    "panel.html",
    "panel.js",
    "staff-confirm.js",
    "staff-face.js",
    "staff-lane.css",
    "staff-lane.js",
    "staff-line.js",
    "staff-lanes.js",
    "staff-member.js",
    "staff-store.js",
    "staff-return.js",
    "staff-tender.js",
    "staff-till.js",
    "staff.css",
    "staff.html",
    "staff.js",
    "start.css",
    "start.html",
    "start.js",
    "theme.css",
);

pub(crate) async fn page(name: &'static str) -> Response {
    named(name)
}

pub(crate) async fn file(Path(name): Path<String>) -> Response {
    named(&name)
}

/// An embedded file as it is.
#[must_use]
pub fn bytes(name: &str) -> Option<&'static [u8]> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| *bytes)
}

/// An embedded file with its type, or 404.
#[must_use]
pub fn named(name: &str) -> Response {
    let Some(bytes) = bytes(name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match name.rsplit_once('.').map(|(_, end)| end) {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some(_) | None => "application/octet-stream",
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-cache")], bytes).into_response()
}

pub(crate) fn seal(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
