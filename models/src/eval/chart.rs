//! Drawings: the trade-off of both error rates, and where the scores lie.

use std::fmt::Write;

use super::Report;
use super::rates::{Histogram, Scores};

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 360.0;
const EDGE: f64 = 48.0;
/// Powers of ten on the axes of a trade-off: false matches, false non-matches.
const FMR_DECADES: f64 = 6.0;
const FNMR_DECADES: f64 = 3.0;
/// Columns of a histogram.
const COLUMNS: usize = 100;
const COLOURS: [&str; 6] = ["#0b6e4f", "#c8553d", "#3a6ea5", "#8a6d3b", "#6b4c9a", "#444444"];

/// Both error rates against each other on logarithmic axes, one line per series (a DET curve).
pub fn trade_off(title: &str, series: &[(&str, &Scores)]) -> String {
    let mut svg = opened(title, "false match rate", "false non-match rate");
    for decade in 0..=FMR_DECADES as usize {
        let at = x(1.0 - decade as f64 / FMR_DECADES);
        label(&mut svg, at, HEIGHT - EDGE + 16.0, "middle", &format!("1e-{decade}"));
    }
    for decade in 0..=FNMR_DECADES as usize {
        let at = y(1.0 - decade as f64 / FNMR_DECADES);
        label(&mut svg, EDGE - 6.0, at + 4.0, "end", &format!("1e-{decade}"));
    }
    for (number, (name, scores)) in series.iter().enumerate() {
        let colour = COLOURS[number % COLOURS.len()];
        let mut points = String::new();
        let mut last = String::new();
        for (_, fmr, fnmr) in scores.curve() {
            let place = |rate: f64, decades: f64| 1.0 + rate.max(1e-12).log10().max(-decades) / decades;
            let point = format!("{:.1},{:.1} ", x(place(fmr, FMR_DECADES)), y(place(fnmr, FNMR_DECADES)));
            if point != last {
                points.push_str(&point);
                last = point;
            }
        }
        let _ = write!(svg, r#"<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>"#);
        let _ = write!(svg, r#"<g fill="{colour}">"#);
        label(&mut svg, WIDTH - EDGE - 6.0, EDGE + 16.0 + 16.0 * number as f64, "end", name);
        svg.push_str("</g>");
    }
    svg + "</svg>"
}

/// Where the scores of genuine and of impostor comparisons lie, each as a share of its kind.
pub fn histogram(title: &str, scores: &Scores) -> String {
    let mut svg = opened(title, "cosine", "share of comparisons");
    let kinds = [("same person", &scores.genuine), ("different people", &scores.impostor)];
    let columns = kinds.map(|(_, histogram)| Histogram::columns(histogram, COLUMNS));
    let most = columns.iter().flatten().copied().fold(f64::MIN_POSITIVE, f64::max);
    for (number, ((name, _), shares)) in kinds.iter().zip(&columns).enumerate() {
        let colour = COLOURS[number];
        let mut points = format!("{:.1},{:.1} ", x(0.0), y(0.0));
        for (at, share) in shares.iter().enumerate() {
            let _ = write!(points, "{:.1},{:.1} ", x((at as f64 + 0.5) / COLUMNS as f64), y(share / most));
        }
        let _ = write!(points, "{:.1},{:.1}", x(1.0), y(0.0));
        let _ = write!(svg, r#"<polygon points="{points}" fill="{colour}" fill-opacity="0.35" stroke="{colour}"/>"#);
        let _ = write!(svg, r#"<g fill="{colour}">"#);
        label(&mut svg, EDGE + 8.0, EDGE + 16.0 + 16.0 * number as f64, "start", name);
        svg.push_str("</g>");
    }
    for at in [-1.0, -0.5, 0.0, 0.5, 1.0] {
        label(&mut svg, x((at + 1.0) / 2.0), HEIGHT - EDGE + 16.0, "middle", &format!("{at}"));
    }
    svg + "</svg>"
}

/// A page with every report and its drawings.
pub fn page(reports: &[Report]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Accuracy</title>\
         <style>body{font:15px/1.5 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}pre{white-space:pre-wrap}</style>",
    );
    for report in reports {
        let _ =
            write!(page, "<h1>{}</h1><pre>{}</pre>{}", report.name, escaped(&report.text), report.charts.join("\n"));
    }
    page + "</html>\n"
}

fn opened(title: &str, across: &str, up: &str) -> String {
    let (right, bottom) = (WIDTH - EDGE, HEIGHT - EDGE);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12"><path d="M{EDGE} {EDGE}V{bottom}H{right}" fill="none" stroke="black"/>"#
    );
    label(&mut svg, WIDTH / 2.0, 20.0, "middle", title);
    label(&mut svg, WIDTH / 2.0, HEIGHT - 10.0, "middle", across);
    let middle = HEIGHT / 2.0;
    let _ = write!(svg, r#"<g transform="rotate(-90 12 {middle})">"#);
    label(&mut svg, 12.0, middle, "middle", up);
    svg + "</g>"
}

fn label(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = write!(svg, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{}</text>"#, escaped(text));
}

fn x(share: f64) -> f64 {
    EDGE + share * (WIDTH - 2.0 * EDGE)
}

fn y(share: f64) -> f64 {
    HEIGHT - EDGE - share * (HEIGHT - 2.0 * EDGE)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_are_well_formed_and_name_every_series() {
        let mut scores = Scores::default();
        for step in 0..50 {
            scores.add(step % 2 == 0, step as f32 / 50.0);
        }
        let drawings = [trade_off("a <shop>", &[("all", &scores), ("group & more", &scores)]), histogram("b", &scores)];
        for svg in &drawings {
            roxmltree::Document::parse(svg).unwrap();
        }
        assert!(drawings[0].contains("group &amp; more") && drawings[1].contains("different people"));
        let report =
            Report { name: "pairs", json: serde_json::Value::Null, text: "1 < 2".into(), charts: drawings.to_vec() };
        assert!(page(&[report]).contains("1 &lt; 2"));
    }
}
