//! Plots as SVG: what a table cannot show, the shape.

use crate::report::{Sample, median};
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::path::Path;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 830.0;
const OURS: &str = "#2563a8";
const BARE: &str = "#8a8f98";
const LIMIT: &str = "#b3261e";
const INK: &str = "#1f2328";

/// Writes one plot.
pub fn keep(path: &Path, svg: &str) -> Result<()> {
    std::fs::write(path, svg).with_context(|| format!("cannot write {}", path.display()))
}

/// Two histograms over one axis: scans, and the commits they are held against.
pub fn latency(scans: &Sample, commits: &Sample, allowed_us: f64) -> String {
    let end = nice(scans.at(99.5).max(allowed_us) * 1.1 / 1000.0);
    let mut plot =
        Plot::new(460.0, "Scan to page", "last byte of a scan on the line → the page shows the line, on disk");
    let ours = Panel { sample: scans, top: 100.0, bottom: 230.0, end, fill: OURS, what: "scans" };
    let bare = Panel { sample: commits, top: 290.0, bottom: 420.0, end, fill: BARE, what: "bare FULL commits" };
    for panel in [&ours, &bare] {
        panel.draw(&mut plot);
    }
    ours.mark(&mut plot, allowed_us, "budget for p99", LIMIT, 36.0);
    plot.axis(420.0, end, "ms");
    plot.done()
}

/// One bar for each sequence of rounds: its median; a dot for each round.
pub fn bars(series: &[(&str, &Vec<f64>)]) -> String {
    let most = series.iter().flat_map(|(_, rounds)| rounds.iter()).copied().fold(0.0, f64::max);
    let end = nice(most * 1.1);
    let x = |value: f64| LEFT + (RIGHT - LEFT) * value / end;
    let mut plot = Plot::new(300.0, "Durable events per second", "median of the rounds; a dot is one round");
    let mut top = 92.0;
    for ((name, rounds), fill) in series.iter().zip([OURS, BARE]) {
        let middle = median(rounds);
        plot.text(LEFT, top - 8.0, 14, "start", INK, &format!("{name}: {}", grouped(middle)));
        plot.bar(LEFT, top, x(middle) - LEFT, 44.0, fill);
        for round in *rounds {
            plot.dot(x(*round), top + 22.0);
        }
        top += 84.0;
    }
    if let Some((_, bare)) = series.last() {
        let least = x(0.8 * median(bare));
        plot.line(least, 72.0, least, 244.0, LIMIT, "5 4");
        plot.text(least + 6.0, 82.0, 13, "start", LIMIT, "budget: 0.8 × bare");
    }
    plot.axis(244.0, end, "events/s");
    plot.done()
}

/// One histogram.
struct Panel<'a> {
    sample: &'a Sample,
    top: f64,
    bottom: f64,
    end: f64,
    fill: &'static str,
    what: &'static str,
}

const BINS: usize = 110;

impl Panel<'_> {
    fn draw(&self, plot: &mut Plot) {
        let mut bins = [0_u32; BINS];
        let mut beyond = 0_u32;
        for us in self.sample.iter() {
            match bins.get_mut((us / 1000.0 / self.end * BINS as f64) as usize) {
                Some(bin) => *bin += 1,
                None => beyond += 1,
            }
        }
        let most = f64::from(bins.iter().copied().max().unwrap_or(1).max(1));
        let wide = (RIGHT - LEFT) / BINS as f64;
        for (at, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
            // One of a kind stays visible.
            let high = (f64::from(*count) / most * (self.bottom - self.top - 30.0)).max(1.5);
            plot.bar(LEFT + at as f64 * wide, self.bottom - high, wide - 1.0, high, self.fill);
        }
        plot.line(LEFT, self.bottom, RIGHT, self.bottom, INK, "");
        let beyond = if beyond > 0 { format!(", {beyond} beyond this axis") } else { String::new() };
        let told = format!("{} {}{beyond}", self.sample.len(), self.what);
        plot.text(LEFT, self.top - 16.0, 14, "start", self.fill, &told);
        self.mark(plot, self.sample.at(50.0), "p50", self.fill, 0.0);
        self.mark(plot, self.sample.at(99.0), "p99", self.fill, 18.0);
    }

    /// A line across at `us`, its words `lower` than the panel's top.
    fn mark(&self, plot: &mut Plot, us: f64, what: &str, ink: &str, lower: f64) {
        let x = LEFT + (RIGHT - LEFT) * us / 1000.0 / self.end;
        let y = self.top + 4.0 + lower;
        plot.line(x, y - 10.0, x, self.bottom, ink, "5 4");
        let (aside, anchor) = if x > WIDTH * 0.7 { (-5.0, "end") } else { (5.0, "start") };
        plot.text(x + aside, y, 13, anchor, ink, &format!("{what} {:.2} ms", us / 1000.0));
    }
}

struct Plot(String);

impl Plot {
    fn new(height: f64, title: &str, words: &str) -> Self {
        let mut plot = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
             height=\"{height}\" font-family=\"system-ui, 'Helvetica Neue', Arial, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
        ));
        plot.text(LEFT, 30.0, 20, "start", INK, title);
        plot.text(LEFT, 50.0, 13, "start", "#59636e", words);
        plot
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "{element}");
    }

    fn bar(&mut self, x: f64, y: f64, wide: f64, high: f64, fill: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" fill=\"{fill}\"/>"
        ));
    }

    fn dot(&mut self, x: f64, y: f64) {
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"#ffffff\" stroke=\"{INK}\" stroke-width=\"1.5\"/>"
        ));
    }

    fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, ink: &str, dashes: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{ink}\" stroke-dasharray=\"{dashes}\"/>"
        ));
    }

    fn text(&mut self, x: f64, y: f64, size: u32, anchor: &str, ink: &str, words: &str) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\" fill=\"{ink}\">{words}</text>"
        ));
    }

    /// From 0 to `end`, five steps.
    fn axis(&mut self, y: f64, end: f64, unit: &str) {
        self.line(LEFT, y, RIGHT, y, INK, "");
        for step in 0..=5 {
            let (value, x) = (end * f64::from(step) / 5.0, LEFT + (RIGHT - LEFT) * f64::from(step) / 5.0);
            self.line(x, y, x, y + 5.0, INK, "");
            let unit = if step == 5 { format!(" {unit}") } else { String::new() };
            let anchor = if step == 5 { "end" } else { "middle" };
            self.text(x, y + 21.0, 13, anchor, INK, &(grouped(value) + &unit));
        }
    }

    fn done(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

/// The next round number: a fifth of it is one, too.
fn nice(value: f64) -> f64 {
    let power = 10_f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 8.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|round| *round >= value).unwrap_or(10.0 * power)
}

/// `12 345`; fractions only of what is small.
fn grouped(value: f64) -> String {
    if value < 100.0 {
        let text = format!("{value:.1}");
        return text.trim_end_matches('0').trim_end_matches('.').to_owned();
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}
