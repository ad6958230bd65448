//! The journal copied to a second medium every day while the shop sells, and read back before it counts.

use crate::clock::Zone;
use crate::config::Backup;
use crate::core_loop::ToCore;
use crate::journal::Reader;
use crate::space::sync_folder;
use anyhow::{Context, Result, ensure};
use checkout::Input;
use checkout::upkeep::BoxInput;
use rusqlite::backup::StepResult;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::mpsc;

/// The clock is looked at this often.
const LOOK: Duration = Duration::from_secs(20);
/// A copy older than this is made at once, whatever the hour.
const OLD: Duration = Duration::from_secs(26 * 3600);
const AGAIN: Duration = Duration::from_secs(600);
/// While a copy is made the WAL cannot begin anew: a medium this slow is none.
const LONGEST: Duration = Duration::from_secs(900);
const PAGES: i32 = 256;
const BUSY: Duration = Duration::from_secs(5);

/// Copies for as long as the process lives.
pub fn run(config: &Backup, journal: &Path, zone: &Zone, core: &mpsc::Sender<ToCore>) {
    let mut tried: Option<Instant> = None;
    loop {
        let waited = tried.is_none_or(|at| at.elapsed() >= AGAIN);
        if waited && is_due(config, zone) {
            tried = Some(Instant::now());
            let said = match copy(config, journal) {
                Ok(Copy { rows, bytes }) => BoxInput::BackedUp { rows, bytes },
                Err(error) => {
                    let reason = format!("{error:#}");
                    tracing::warn!(%reason, folder = %config.folder.display(), "the journal could not be copied; tried again");
                    BoxInput::BackupFailed { reason: reason.chars().take(200).collect() }
                }
            };
            if core.blocking_send(ToCore::Input(Input::Box(said))).is_err() {
                return;
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// A copy at once, whatever the hour: how many rows are on it, and its bytes.
///
/// # Errors
/// As for the daily one: the medium is not there, is full or too slow, or the copy is not what was copied.
pub fn now(config: &Backup, journal: &Path) -> Result<(u64, u64)> {
    copy(config, journal).map(|Copy { rows, bytes }| (rows, bytes))
}

fn is_due(config: &Backup, zone: &Zone) -> bool {
    let newest = copies(&config.folder).last().and_then(|path| path.metadata().ok()?.modified().ok());
    let Some(newest) = newest else { return true };
    let age = SystemTime::now().duration_since(newest).unwrap_or(OLD);
    let utc = crate::clock::utc();
    let (offset_min, _) = zone.at(utc);
    let minute = (utc.0.div_euclid(60_000) + i64::from(offset_min)).rem_euclid(24 * 60);
    age >= OLD || (minute == i64::from(config.at.0) && age > Duration::from_secs(120))
}

/// Good copies, oldest first.
#[must_use]
pub fn copies(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_copy = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        name.starts_with("journal-") && name.ends_with(".db")
    };
    let mut copies: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_copy).collect();
    copies.sort();
    copies
}

#[derive(Debug)]
struct Copy {
    rows: u64,
    bytes: u64,
}

fn copy(config: &Backup, journal: &Path) -> Result<Copy> {
    let folder = &config.folder;
    // Not made: a medium that is not plugged in must not become a folder on the disk it is to stand in for.
    ensure!(folder.is_dir(), "the second medium is not there: no folder {}", folder.display());
    let part = folder.join("copy.part");
    let _ = std::fs::remove_file(&part);
    let begun = Instant::now();
    transfer(journal, &part)?;
    let rows = whole(&part)?;
    let copied = std::fs::File::open(&part)?;
    copied.sync_all()?;
    let bytes = copied.metadata()?.len();
    let stamp = jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S").to_string();
    std::fs::rename(&part, folder.join(format!("journal-{stamp}-{rows}.db")))?;
    sync_folder(folder)?;
    let kept = copies(folder);
    let keep = usize::from(config.keep.max(1));
    kept.iter().take(kept.len().saturating_sub(keep)).for_each(|old| drop(std::fs::remove_file(old)));
    tracing::info!(rows, bytes, took = ?begun.elapsed(), folder = %folder.display(), "the journal is copied to the second medium");
    Ok(Copy { rows, bytes })
}

/// SQLite's own way to copy a database that is written to; never a copy of files.
///
/// # Errors
/// Either of the two cannot be read or written, or it takes too long.
pub fn transfer(from: &Path, to: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(from, flags).with_context(|| format!("cannot read {}", from.display()))?;
    source.busy_timeout(BUSY)?;
    // One state of the file is copied, or each commit would begin the copy anew.
    source.execute_batch("BEGIN")?;
    source.query_row("SELECT count(*) FROM meta", [], |_| Ok(()))?;
    let mut target = Connection::open(to).with_context(|| format!("cannot write {}", to.display()))?;
    let begun = Instant::now();
    {
        let copying = rusqlite::backup::Backup::new(&source, &mut target)?;
        let mut told = Instant::now();
        while copying.step(PAGES)? != StepResult::Done {
            ensure!(begun.elapsed() < LONGEST, "the medium is too slow: given up after {LONGEST:?}");
            if told.elapsed() > Duration::from_secs(5) {
                told = Instant::now();
                let progress = copying.progress();
                tracing::info!(left = progress.remaining, of = progress.pagecount, "copying pages of the journal");
            }
        }
    }
    // A file that stands for itself: no WAL beside it, readable where nothing can be written.
    target.pragma_update(None, "journal_mode", "DELETE")?;
    target.close().map_err(|(_, error)| error)?;
    Ok(())
}

/// Reads a copy back; how many rows it has.
///
/// # Errors
/// What of it is not as it was written.
pub fn whole(copy: &Path) -> Result<u64> {
    let reader = Reader::open(copy)?;
    let rows = reader.verify().context("the copy is not what was copied")?;
    reader.inspect().context("the copy is not what was copied")?;
    Ok(rows)
}
