//! cold_start: from starting the process to READY=1 over the journal the rounds before it filled, without a snapshot.

use crate::events::Rounds;
use crate::place::Place;
use crate::progress;
use crate::report::{Budget, Figure, median};
use crate::store::{self, Daemon};
use aisled::journal::Journal;
use anyhow::Result;
use serde_json::json;

const STARTS: usize = 5;
/// Two seconds for a million rows.
const BUDGET_MS_PER_ROW: f64 = 2000.0 / 1_000_000.0;
pub fn measure(place: &Place, rounds: &Rounds) -> Result<Figure> {
    let rows = Journal::open(&rounds.data.join("journal.db"))?.head();
    progress(&format!("cold_start: {STARTS} starts over {rows} rows"));
    let text = store::config(&rounds.data, store::free()?, &vec![None; rounds.lanes])?;
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let daemon = Daemon::start(place, &rounds.data, &text)?;
        starts.push(daemon.ready_after.as_secs_f64() * 1e3);
    }
    let (value, allowed) = (median(&starts), rows as f64 * BUDGET_MS_PER_ROW);
    Ok(Figure {
        name: "cold_start",
        value,
        unit: "ms",
        ratio: value / allowed,
        budget: Budget::AtMost(1.0),
        against: format!("{allowed:.0} ms: 2 s per 1 000 000 rows, here {rows}"),
        more: json!({"rows": rows, "starts": STARTS}),
    })
}
