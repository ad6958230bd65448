//! The accuracy harness: how often strangers are taken for members and members for strangers, measured on photographs.
//!
//! `--pairs` judges a list of pairs, `--gallery` a folder per person (verification over all pairs, then identification of
//! one among N), `--attacks` real faces against kinds of forgeries. Every rate comes with the interval that holds the true
//! one in 95 of 100 cases; a rate without it is not a claim.

mod attacks;
mod card;
mod chart;
mod faces;
mod gallery;
mod pairs;
mod rates;

use std::path::PathBuf;

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::Pipeline;
use crate::manifest::CalibrationPoint;

/// What to measure, and where to say it.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A list with the columns a, b and same (1 or 0): photographs below --images.
    #[arg(long, requires = "images")]
    pairs: Option<PathBuf>,
    /// The folder the list's photographs are in.
    #[arg(long)]
    images: Option<PathBuf>,
    /// A folder per person; beside them perhaps groups.csv with the columns person and group.
    #[arg(long)]
    gallery: Option<PathBuf>,
    /// A folder bona_fide with real faces, and one more for each kind of attack.
    #[arg(long)]
    attacks: Option<PathBuf>,
    /// Print one JSON document instead of a table.
    #[arg(long)]
    json: bool,
    /// Write a page with the trade-off curve and the scores' histograms.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Bring the measured part of a report card, such as docs/FACES.md, up to date.
    #[arg(long)]
    card: Option<PathBuf>,
}

/// One kind of measurement, done.
struct Report {
    /// Names it in the JSON document and on the card.
    name: &'static str,
    json: Value,
    /// Lines for people, in Markdown.
    text: String,
    /// Drawings, in SVG.
    charts: Vec<String>,
}

/// Measures what is asked for.
pub fn run(pipeline: &Pipeline, options: &Options) -> anyhow::Result<()> {
    let mut reports = Vec::new();
    if let (Some(list), Some(images)) = (&options.pairs, &options.images) {
        reports.push(pairs::measure(pipeline, list, images)?);
    }
    if let Some(folder) = &options.gallery {
        reports.push(gallery::measure(pipeline, folder)?);
    }
    if let Some(folder) = &options.attacks {
        reports.push(attacks::measure(pipeline, folder)?);
    }
    ensure!(!reports.is_empty(), "nothing to measure: pass --pairs LIST --images DIR, --gallery DIR or --attacks DIR");
    if let Some(path) = &options.html {
        let page = chart::page(&reports);
        std::fs::write(path, page).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if let Some(path) = &options.card {
        card::update(path, &reports)?;
    }
    tell(&reports, options.json)
}

fn tell(reports: &[Report], as_json: bool) -> anyhow::Result<()> {
    use std::io::Write;
    let text = match reports {
        // One measurement's figures stand at the top of the document.
        [only] if as_json => only.json.to_string(),
        several if as_json => {
            several.iter().map(|report| (report.name, report.json.clone())).collect::<Value>().to_string()
        }
        several => several.iter().map(|report| report.text.as_str()).collect::<Vec<_>>().join("\n"),
    };
    writeln!(std::io::stdout().lock(), "{text}").context("cannot print")
}

fn percent(share: f64) -> String {
    format!("{:.2} %", share * 100.0)
}

/// A share with its bounds, for people.
fn bounded(share: rates::Share) -> String {
    format!(
        "{} ({} to {}, {} of {})",
        percent(share.rate),
        percent(share.low),
        percent(share.high),
        share.count,
        share.of
    )
}

/// Error rates at the thresholds of the recogniser's calibration: what was promised beside what was found.
fn calibration(scores: &rates::Scores, table: &[CalibrationPoint]) -> (Value, String) {
    use std::fmt::Write;
    let mut text =
        String::from("| cosine | FMR promised | FMR found (95 %) | FNMR found (95 %) |\n| --- | --- | --- | --- |\n");
    let mut rows = Vec::new();
    for point in table {
        let found = scores.at(point.threshold);
        let (fmr, fnmr) = (found.fmr, found.fnmr);
        let _ = writeln!(text, "| {} | {:.0e} | {} | {} |", point.threshold, point.fmr, small(fmr), bounded(fnmr));
        rows.push(json!({"cosine": point.threshold, "promised_fmr": point.fmr, "fmr": fmr, "fnmr": fnmr}));
    }
    (rows.into(), text)
}

/// A rate that may be very small.
fn small(share: rates::Share) -> String {
    format!("{:.1e} ({:.1e} to {:.1e}, {} of {})", share.rate, share.low, share.high, share.count, share.of)
}
