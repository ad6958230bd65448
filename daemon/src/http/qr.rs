//! A code of ours as a picture, for pages that show it to a phone or a scanner.

use axum::extract::Query;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use qrcodegen::{QrCode, QrCodeEcc};
use serde::Deserialize;
use std::fmt::Write as _;

/// As long as a code we print can be, and a little more.
const TEXT_MAX: usize = 256;
/// White modules around it.
const QUIET: i32 = 4;

#[derive(Deserialize)]
pub(super) struct Text {
    text: String,
}

pub(super) async fn qr(Query(Text { text }): Query<Text>) -> Response {
    match drawing(&text) {
        Some(svg) => {
            ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, "no-store")], svg).into_response()
        }
        None => StatusCode::BAD_REQUEST.into_response(),
    }
}

fn drawing(text: &str) -> Option<String> {
    let fits = (1..=TEXT_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    let code = QrCode::encode_text(fits.then_some(text)?, QrCodeEcc::Medium).ok()?;
    let size = code.size() + 2 * QUIET;
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges"><rect width="{size}" height="{size}" fill="white"/><path d=""#
    );
    for y in 0..code.size() {
        for x in (0..code.size()).filter(|x| code.get_module(*x, y)) {
            let _ = write!(svg, "M{},{}h1v1h-1z", x + QUIET, y + QUIET);
        }
    }
    svg.push_str(r#""/></svg>"#);
    Some(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_with_white_around_it_and_anything_else_is_refused() {
        let svg = drawing("K-tea.7.abc38").unwrap();
        assert!(svg.contains(r#"viewBox="0 0 29 29""#) && svg.contains("M4,4h1v1h-1z"), "{svg}");
        assert_eq!(drawing(""), None);
        assert_eq!(drawing("<script> "), None);
        assert_eq!(drawing(&"a".repeat(TEXT_MAX + 1)), None);
    }
}
