//! The fleet from a shell: the same rows the console shows, for people as a table, for programs as a line of JSON each.

use crate::console::read::{self, BoxRow};
use crate::db::Connection;
use crate::store::now_ms;
use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;
use std::fmt::Write as _;

/// Rows of one kind in [`show`].
const TAIL: u32 = 50;

/// Which boxes; all that is asked must hold.
#[derive(Args, Clone, Debug, Default)]
pub struct Filter {
    /// Only boxes that are not connected
    #[arg(long)]
    pub offline: bool,
    /// Only boxes with at least so many events headquarters does not have yet
    #[arg(long, value_name = "EVENTS")]
    pub behind: Option<i64>,
    /// Only boxes that have not said anything for so many minutes
    #[arg(long, value_name = "MINUTES")]
    pub silent: Option<i64>,
    /// Only boxes that sell by another price book than this
    #[arg(long, value_name = "NAME")]
    pub not_on: Option<String>,
    /// Only boxes with a device that is down
    #[arg(long)]
    pub broken: bool,
    /// Only boxes or stores whose name holds this
    #[arg(long, value_name = "TEXT")]
    pub named: Option<String>,
}

impl Filter {
    fn takes(&self, row: &BoxRow, now: i64) -> bool {
        let holds = |text: &String| row.id.contains(text) || row.store.contains(text);
        (!self.offline || !row.online)
            && self.behind.is_none_or(|events| row.backlog >= events)
            && self.silent.is_none_or(|minutes| now - row.last_seen >= minutes.saturating_mul(60_000))
            && self.not_on.as_ref().is_none_or(|book| row.price_book != *book)
            && (!self.broken || row.devices.values().any(|up| !up))
            && self.named.as_ref().is_none_or(holds)
    }
}

/// What [`boxes`] found.
#[derive(Debug)]
pub struct Boxes {
    now: i64,
    of: usize,
    rows: Vec<BoxRow>,
}

/// # Errors
/// The database cannot be read.
pub fn boxes(db: &Connection, filter: &Filter) -> anyhow::Result<Boxes> {
    let (now, all) = (now_ms(), read::boxes(db)?);
    let of = all.len();
    Ok(Boxes { now, of, rows: all.into_iter().filter(|row| filter.takes(row, now)).collect() })
}

impl Boxes {
    /// A line each.
    ///
    /// # Errors
    /// Never in practice: these rows are JSON.
    pub fn json(&self) -> anyhow::Result<String> {
        lines(&self.rows)
    }

    /// For people: a line each, and how many of how many.
    #[must_use]
    pub fn table(&self) -> String {
        let title = ["box", "store", "link", "last seen", "backlog", "price book", "version", "down"].map(String::from);
        let cells = self.rows.iter().map(|row| {
            let down: Vec<&str> = row.devices.iter().filter(|(_, up)| !**up).map(|(name, _)| name.as_str()).collect();
            [
                row.id.clone(),
                row.store.clone(),
                if row.online { "online" } else { "OFFLINE" }.into(),
                since(self.now - row.last_seen),
                row.backlog.to_string(),
                row.price_book.clone(),
                row.version.clone(),
                down.join(" "),
            ]
        });
        let rows: Vec<[String; 8]> = std::iter::once(title).chain(cells).collect();
        let mut out = String::new();
        for row in &rows {
            let mut line = String::new();
            for (at, cell) in row.iter().enumerate() {
                let widest = rows.iter().map(|row| columns(&row[at])).max().unwrap_or(0);
                let _ = write!(line, "{cell}{}", " ".repeat(widest - columns(cell) + 2));
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        let _ = writeln!(out, "{} of {} boxes", self.rows.len(), self.of);
        out
    }
}

/// Columns of a terminal: characters of Chinese, Japanese and Korean take two.
fn columns(text: &str) -> usize {
    text.chars().map(|letter| if letter as u32 >= 0x1100 { 2 } else { 1 }).sum()
}

fn since(ms: i64) -> String {
    match ms.max(0) / 1000 {
        seconds @ 0..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// All that is known of one box: itself, its latest sales, alarms and refused rows, as one JSON object.
///
/// # Errors
/// There is no such box, or the database cannot be read.
pub fn show(db: &Connection, id: &str) -> anyhow::Result<Value> {
    let found = read::boxes(db)?.into_iter().find(|row| row.id == id);
    let row =
        found.with_context(|| format!("no box {id:?} has ever said hello; `fleet boxes` lists those that have"))?;
    Ok(serde_json::json!({
        "box": row,
        "sales": read::sales(db, Some(id), None, TAIL)?,
        "alarms": read::alarms(db, Some(id), TAIL)?,
        "dead_letters": read::dead_letters(db, Some(id), TAIL)?,
    }))
}

/// Alarms, the latest first, a line of JSON each.
///
/// # Errors
/// There is no such box, or the database cannot be read.
pub fn alarms(db: &Connection, id: Option<&str>) -> anyhow::Result<String> {
    if let Some(id) = id {
        let known: bool = db.query_row("SELECT EXISTS (SELECT 1 FROM box WHERE id = ?1)", [id], |row| row.get(0))?;
        ensure!(known, "no box {id:?} has ever said hello; `fleet boxes` lists those that have");
    }
    lines(&read::alarms(db, id, u32::MAX)?)
}

fn lines(rows: &[impl serde::Serialize]) -> anyhow::Result<String> {
    let mut out = String::new();
    for row in rows {
        out.push_str(&serde_json::to_string(row)?);
        out.push('\n');
    }
    Ok(out)
}
