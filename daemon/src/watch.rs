//! Watching over the box while it sells: does the runtime turn, is the journal's file what was written?

use crate::core_loop::ToCore;
use crate::journal::{Damaged, Reader};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

const BEAT: Duration = Duration::from_millis(500);
/// Devices, pages and sync share the threads this comes from: silent for so long, they are stuck.
const SILENCE: Duration = Duration::from_secs(8);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
const LOOK: Duration = Duration::from_secs(600);

/// Signs of life of the threads that devices, pages and sync run on.
#[derive(Debug)]
pub struct Pulse {
    beat: Arc<AtomicU64>,
    seen: u64,
    at: Instant,
}

impl Pulse {
    #[must_use]
    pub fn start(runtime: &Runtime) -> Self {
        let beat = Arc::new(AtomicU64::new(0));
        let beating = Arc::clone(&beat);
        runtime.spawn(async move {
            loop {
                beating.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(BEAT).await;
            }
        });
        Self { beat, seen: 0, at: Instant::now() }
    }

    /// Whether there was a beat lately.
    pub fn beats(&mut self) -> bool {
        let beat = self.beat.load(Ordering::Relaxed);
        if beat != self.seen {
            (self.seen, self.at) = (beat, Instant::now());
        }
        self.at.elapsed() < SILENCE
    }
}

/// Looks at the whole file once a week, and at once where the start could not see all of it.
pub fn inspect(journal: PathBuf, seen: bool, core: mpsc::Sender<ToCore>) {
    let looking = move || {
        let mut due = !seen;
        loop {
            if due || is_old(&journal) {
                due = false;
                match whole(&journal) {
                    Ok(rows) => {
                        tracing::info!(rows, "the journal was looked at, every page and every row: it is sound");
                        let _ = std::fs::write(note(&journal), rows.to_string());
                    }
                    Err(error) => {
                        let reason = format!("{error:#}");
                        if error.is::<Damaged>() && core.blocking_send(ToCore::Damaged(reason)).is_ok() {
                            return;
                        }
                        tracing::warn!(error = format!("{error:#}"), "the journal could not be looked at");
                    }
                }
            }
            std::thread::sleep(LOOK);
        }
    };
    // Without it the shop sells as well as with it.
    if let Err(error) = std::thread::Builder::new().name("inspect".into()).spawn(looking) {
        tracing::warn!(%error, "the journal is not looked at");
    }
}

fn whole(journal: &Path) -> Result<u64> {
    let reader = Reader::open(journal)?;
    let rows = reader.verify()?;
    reader.inspect()?;
    Ok(rows)
}

/// Its time says when all of the journal was looked at last.
fn note(journal: &Path) -> PathBuf {
    journal.with_extension("seen")
}

fn is_old(journal: &Path) -> bool {
    let seen = note(journal).metadata().and_then(|file| file.modified());
    seen.map_or(true, |at| SystemTime::now().duration_since(at).is_ok_and(|age| age >= WEEK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_whose_threads_are_stuck_has_no_pulse() {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut pulse = Pulse::start(&runtime);
        assert!(pulse.beats());
        // Long ago, and since then nothing.
        pulse.seen = u64::MAX;
        assert!(pulse.beats(), "a beat");
        runtime.shutdown_background();
        std::thread::sleep(BEAT * 2);
        pulse.beats();
        pulse.at = Instant::now().checked_sub(SILENCE).unwrap();
        assert!(!pulse.beats());
    }
}
