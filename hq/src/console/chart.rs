//! Numbers as drawings: no script, no inline style.

use super::words::{Language, money};
use std::fmt::Write as _;

const WIDTH: i64 = 720;
const HEIGHT: i64 = 176;
const BASE: i64 = 150;
const TOP: i64 = 24;
const LEFT: i64 = 8;

pub(super) fn by_hour(by_hour: &[i64; 24], currency: &str, language: Language) -> String {
    let most = by_hour.iter().copied().max().unwrap_or(0).max(1);
    let step = (WIDTH - 2 * LEFT) / 24;
    let label = language.pick("今日每小时销售额", "Sales per hour today");
    let mut svg = format!(r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">"#);
    for part in [0, 1, 2] {
        let y = BASE - (BASE - TOP) * part / 2;
        let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{y}" y2="{y}"/>"#, WIDTH - LEFT);
    }
    for (hour, total) in (0_i64..).zip(by_hour) {
        let x = LEFT + hour * step;
        let tall = ((BASE - TOP) * (*total).max(0) / most).max(i64::from(*total > 0) * 2);
        let _ = write!(
            svg,
            r#"<rect class="bar" x="{}" y="{}" width="{}" height="{tall}" rx="2"><title>{hour:02}:00  {}</title></rect>"#,
            x + 3,
            BASE - tall,
            step - 6,
            money(*total, currency)
        );
        if hour % 3 == 0 {
            let _ = write!(svg, r#"<text class="tick" x="{}" y="{}">{hour:02}</text>"#, x + step / 2, BASE + 17);
        }
    }
    if most > 1 {
        let _ =
            write!(svg, r#"<text class="peak" x="{}" y="{}">{}</text>"#, WIDTH - LEFT, TOP - 5, money(most, currency));
    }
    svg.push_str("</svg>");
    svg
}

/// A bar a day: what it is called, its height, and what it says when pointed at.
pub(super) fn by_day(days: &[(&str, i64, String)], class: &str, label: &str) -> String {
    let most = days.iter().map(|(_, value, _)| *value).max().unwrap_or(0).max(1);
    let step = (WIDTH - 2 * LEFT) / i64::try_from(days.len().max(1)).unwrap_or(1);
    let mut svg = format!(r#"<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">"#);
    let _ = write!(svg, r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{BASE}" y2="{BASE}"/>"#, WIDTH - LEFT);
    for (nth, (day, value, said)) in (0_i64..).zip(days) {
        let x = LEFT + nth * step;
        let tall = ((BASE - TOP) * (*value).max(0) / most).max(i64::from(*value > 0) * 2);
        let (y, wide, middle, below) = (BASE - tall, step - 10, x + step / 2, BASE + 17);
        let _ = write!(
            svg,
            r#"<rect class="{class}" x="{}" y="{y}" width="{wide}" height="{tall}" rx="2"><title>{said}</title></rect><text class="tick" x="{middle}" y="{below}">{day}</text>"#,
            x + 5
        );
    }
    svg.push_str("</svg>");
    svg
}

/// One bar, divided.
pub(super) fn shares(parts: &[(&str, i64)], all: i64) -> String {
    let mut svg =
        String::from(r#"<svg class="shares" viewBox="0 0 1000 8" preserveAspectRatio="none" aria-hidden="true">"#);
    let mut x = 0;
    for (class, count) in parts {
        let wide = 1000 * (*count).max(0) / all.max(1);
        let _ = write!(svg, r#"<rect class="{class}" x="{x}" width="{wide}" height="8"/>"#);
        x += wide;
    }
    svg.push_str("</svg>");
    svg
}
