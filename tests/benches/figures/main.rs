//! `make bench`: figures over the real daemon and the real core loop, each beside its budget. See `docs/BENCH.md`.

mod bare;
mod bytes;
mod catalogue;
mod cold_start;
mod devices;
mod drain;
mod events;
mod page;
mod place;
mod plot;
mod report;
mod reprice;
mod scan;
mod store;

use anyhow::Result;
use place::Place;
use report::Figure;
use std::time::Instant;

fn main() -> Result<()> {
    let begun = Instant::now();
    let place = Place::find()?;
    let mut figures: Vec<Figure> = Vec::new();
    let ended = measure(&place, &mut figures);
    report::keep(&place.out.join("report.json"), &figures)?;
    report::tell(&place.out, &figures, begun.elapsed());
    ended
}

/// Each part that is asked for, one after the other; what was measured stands where a later part fails.
fn measure(place: &Place, figures: &mut Vec<Figure>) -> Result<()> {
    // `cargo bench … -- start` measures one part of it.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|name| name == part);
    if wanted("scan") {
        let scans = scan::measure(place)?;
        plot::keep(&place.out.join("scan_to_page.svg"), &scans.plot())?;
        figures.push(scans.figure());
    }
    if wanted("events") {
        let rounds = events::measure(place)?;
        plot::keep(&place.out.join("events_per_second.svg"), &rounds.plot())?;
        figures.push(rounds.figure());
    }
    if wanted("bytes") {
        figures.extend(bytes::measure(place)?);
    }
    if wanted("start") {
        figures.extend(cold_start::measure(place)?);
    }
    if wanted("catalogue") {
        figures.extend(catalogue::measure(place)?);
    }
    if wanted("reprice") {
        figures.push(reprice::measure()?);
    }
    if wanted("devices") {
        figures.extend(devices::measure()?);
    }
    if wanted("drain") {
        figures.extend(drain::measure(place)?);
    }
    Ok(())
}

/// Says what is being measured, to whoever waits.
fn progress(line: &str) {
    eprintln!("bench: {line}");
}
