//! Sales per hour as a drawing: no script, no inline style.

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
