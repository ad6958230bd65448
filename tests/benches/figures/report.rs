//! What comes out: figures as JSON for programs and as a table for people.

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::time::Duration;

#[derive(Clone, Copy, Debug)]
pub enum Budget {
    AtMost(f64),
    AtLeast(f64),
}

/// One row of the report.
#[derive(Debug)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
    /// Of the value to what it is held against.
    pub ratio: f64,
    pub budget: Budget,
    pub against: String,
    /// An object whose keys join the row.
    pub more: Value,
}

impl Budget {
    fn met(self, ratio: f64) -> bool {
        match self {
            Self::AtMost(most) => ratio <= most,
            Self::AtLeast(least) => ratio >= least,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {most}"),
            Self::AtLeast(least) => format!("≥ {least}"),
        }
    }
}

impl Figure {
    fn row(&self) -> Value {
        let mut row = Map::new();
        row.insert("name".into(), self.name.into());
        row.insert("value".into(), json!(rounded(self.value)));
        row.insert("unit".into(), self.unit.into());
        row.insert("ratio".into(), json!((self.ratio * 1000.0).round() / 1000.0));
        row.insert("against".into(), self.against.clone().into());
        row.insert("budget".into(), self.budget.text().into());
        row.insert("met".into(), self.budget.met(self.ratio).into());
        if let Value::Object(more) = &self.more {
            row.extend(more.clone());
        }
        Value::Object(row)
    }

    fn cells(&self) -> [String; 6] {
        let verdict = if self.budget.met(self.ratio) { "pass" } else { "MISS" };
        let value = format!("{} {}", rounded(self.value), self.unit);
        let ratio = format!("{:.2}", self.ratio);
        [self.name.into(), value, ratio, self.budget.text(), verdict.into(), self.against.clone()]
    }
}

/// Writes `report.json`.
pub fn keep(path: &Path, figures: &[Figure]) -> Result<()> {
    let rows: Vec<Value> = figures.iter().map(Figure::row).collect();
    let text = serde_json::to_string_pretty(&rows)? + "\n";
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[expect(clippy::print_stdout, reason = "the table is what the person at the terminal asked for")]
pub fn tell(out: &Path, figures: &[Figure], took: Duration) {
    let head = ["figure", "value", "ratio", "budget", "", "ratio is against"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(figures.iter().map(Figure::cells)).collect();
    let wide = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let [name, value, ratio, budget, verdict, _] = std::array::from_fn(wide);
    println!();
    for [a, b, c, d, e, f] in &rows {
        println!("  {a:<name$}  {b:>value$}  {c:>ratio$}  {d:<budget$}  {e:<verdict$}  {f}");
    }
    println!("\n  {} s; report.json and plots are in {}", took.as_secs(), out.display());
}

/// Three digits that say something, and no fraction of what is large.
fn rounded(value: f64) -> f64 {
    if value >= 100.0 { value.round() } else { (value * 10.0).round() / 10.0 }
}

/// Durations in microseconds, sorted.
#[derive(Clone, Debug)]
pub struct Sample(Vec<f64>);

impl Sample {
    pub fn of(durations: &[Duration]) -> Self {
        let mut sorted: Vec<f64> = durations.iter().map(|duration| duration.as_secs_f64() * 1e6).collect();
        sorted.sort_by(f64::total_cmp);
        Self(sorted)
    }

    /// The value that `percent` of the sample do not exceed (nearest rank).
    pub fn at(&self, percent: f64) -> f64 {
        let rank = (self.0.len() as f64 * percent / 100.0).ceil() as usize;
        self.0.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }
}

pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.get(sorted.len() / 2), sorted.len() % 2) {
        (Some(middle), 1) => *middle,
        (Some(middle), _) => f64::midpoint(*middle, sorted[sorted.len() / 2 - 1]),
        (None, _) => f64::NAN,
    }
}
