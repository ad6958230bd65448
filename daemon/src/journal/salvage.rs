//! A damaged journal is put aside and what can be read of it goes into a fresh one: the shop sells on, and headquarters is
//! asked for what is missing.

use super::check::{Found, code};
use super::{Hash, Journal, chain, check};
use crate::space::{Ballast, sync_folder};
use anyhow::{Context, Result};
use checkout::event::{Event, Record};
use checkout::upkeep::{BoxEvent, Gap, Restored, Source};
use checkout::words::Utc;
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a start spends on looking; what it does not get to see is looked at while the shop sells.
const LOOK: Duration = Duration::from_millis(400);
/// Rows read and written at once.
const CHUNK: usize = 1000;
/// Rows that cannot be read in a row before the rest is given up: more than any one page of SQLite's leads to.
const MISSES_MAX: u64 = 20_000;
/// A journal that `aisled` found damaged while it ran says so to the next start.
const MARK: &str = "damaged";

/// A journal that is open, and whether somebody has seen all of it.
#[derive(Debug)]
pub struct Opened {
    pub journal: Journal,
    pub seen: bool,
}

/// Opens the journal of a store that is about to start, whatever state its disk is in.
///
/// # Errors
/// As [`Journal::open`]; a disk that has no room for what could be salvaged.
pub fn open(path: &Path, ballast: &mut Ballast) -> Result<Opened> {
    finish(path)?;
    let marked = std::fs::read_to_string(mark(path)).ok();
    let mut opened = Journal::open(path);
    let is_full = |opened: &Result<Journal>| opened.as_ref().is_err_and(|error| no_room(error, path));
    if is_full(&opened) && ballast.give_up() {
        tracing::error!("the disk is full: the room kept for this is given up; baskets already begun can be finished");
        opened = Journal::open(path);
    }
    let reason = match (opened, marked) {
        (Ok(journal), Some(reason)) => {
            drop(journal);
            reason
        }
        (Ok(mut journal), None) => match journal.look(LOOK) {
            Found::Sound => return Ok(Opened { journal, seen: true }),
            Found::NotFinished => return Ok(Opened { journal, seen: false }),
            Found::Damaged(reason) => reason,
        },
        (Err(error), _) if is_damage(&error) => format!("{error:#}"),
        (Err(error), _) => return Err(error),
    };
    tracing::error!(%reason, "the journal is damaged: what can be read of it goes into a fresh one, the shop sells on");
    salvage(path, &reason).with_context(|| {
        format!("the journal {} is damaged and could not be salvaged; the file is left as it is", path.display())
    })?;
    let journal = Journal::open(path)?;
    Ok(Opened { journal, seen: true })
}

fn no_room(error: &anyhow::Error, path: &Path) -> bool {
    // Where the -shm file finds no room SQLite says “disk I/O error”.
    let starved = || crate::sys::free(path.parent().unwrap_or(Path::new("."))).is_ok_and(|free| free < 256 * 1024);
    match code(error) {
        Some(ErrorCode::DiskFull) => true,
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => starved(),
        Some(_) | None => false,
    }
}

fn is_damage(error: &anyhow::Error) -> bool {
    error.is::<super::Damaged>() || matches!(code(error), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

fn mark(path: &Path) -> PathBuf {
    path.with_extension(MARK)
}

/// Tells the next start that the journal has to be salvaged.
///
/// # Errors
/// The disk refuses.
pub fn condemn(path: &Path, reason: &str) -> Result<()> {
    std::fs::write(mark(path), reason)?;
    Ok(sync_folder(path.parent().unwrap_or(Path::new(".")))?)
}

/// Makes a fresh journal of what can be read, then lets it take the damaged one's place.
fn salvage(path: &Path, reason: &str) -> Result<()> {
    let part = with(path, ".part");
    for name in [part.clone(), with(&part, "-wal"), with(&part, "-shm")] {
        let _ = std::fs::remove_file(name);
    }
    {
        let mut fresh = Journal::open(&part)?;
        let read = Read::all(path, |records| fresh.commit(records, None, None))?;
        let lost: u64 = read.lost.iter().map(|gap| gap.to.saturating_sub(gap.from) + 1).sum();
        tracing::warn!(rows = read.rows, lost, since = read.since.0, "salvaged");
        fresh.commit(&[read.told(Source::Salvage, reason)], None, None)?;
        fresh.shrink(Duration::ZERO);
    }
    std::fs::rename(&part, with(path, ".new"))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    set_aside(path, "quarantine")?;
    finish(path)?;
    let _ = std::fs::remove_file(mark(path));
    Ok(())
}

/// Moves a journal with all that belongs to it into a folder beside it; nothing of it is deleted, ever.
///
/// # Errors
/// The disk refuses.
pub fn set_aside(path: &Path, folder: &str) -> Result<PathBuf> {
    let data = path.parent().unwrap_or(Path::new("."));
    let quarantine = data.join(folder);
    std::fs::create_dir_all(&quarantine)?;
    let stem = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = (1..).map(|nth| quarantine.join(format!("{nth}-{stem}"))).find(|name| !name.exists());
    let aside = aside.context("no name is free")?;
    // The file first: without it, what is left of its WAL is told apart from a later file's.
    for end in ["", "-wal", "-shm"] {
        match std::fs::rename(with(path, end), with(&aside, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot move {} aside", with(path, end).display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    sync_folder(&quarantine)?;
    sync_folder(data)?;
    Ok(aside)
}

/// A salvaged or restored journal that is whole takes its place, also where the power failed before it could.
pub(crate) fn finish(path: &Path) -> Result<()> {
    let new = with(path, ".new");
    if path.exists() || !new.exists() {
        return Ok(());
    }
    if with(path, "-wal").exists() || with(path, "-shm").exists() {
        // Of the file that went: beside the new one they would be taken for its own.
        set_aside(path, "quarantine")?;
    }
    std::fs::rename(&new, path)?;
    Ok(sync_folder(path.parent().unwrap_or(Path::new(".")))?)
}

pub(crate) fn with(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What could be read of a journal.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) journal: String,
    pub(crate) rows: u64,
    pub(crate) lost: Vec<Gap>,
    pub(crate) since: Utc,
    latest: Utc,
    /// Number and stored hash of the row read last.
    last: (u64, Option<Hash>),
}

impl Read {
    /// Hands every row that can be read and believed to `keep`, in order.
    pub(crate) fn all(path: &Path, mut keep: impl FnMut(&[Record]) -> Result<()>) -> Result<Self> {
        let mut read = Self { last: (0, Some([0; 32])), ..Self::default() };
        let Ok(db) = Connection::open(path) else { return Ok(read) };
        let id = db.query_row("SELECT value FROM meta WHERE key = 'journal'", [], |row| row.get(0)).optional();
        read.journal = id.ok().flatten().unwrap_or_default();
        let mut records = Vec::new();
        loop {
            let whole = read.chunk(&db, &mut records);
            if !records.is_empty() {
                keep(&records)?;
            }
            match (whole, records.len()) {
                (true, 0) => break,
                (true, _) => {}
                (false, _) if read.skip(&db) => {}
                (false, _) => break,
            }
            records.clear();
        }
        Ok(read)
    }

    /// Some rows behind the last one; says whether there was no error.
    fn chunk(&mut self, db: &Connection, records: &mut Vec<Record>) -> bool {
        // “Behind” would look for the row before, which may be the one that cannot be read.
        let from = self.last.0 + 1;
        let mut read = || -> rusqlite::Result<()> {
            let mut rows =
                db.prepare_cached("SELECT seq, body, hash FROM event WHERE seq >= ?1 ORDER BY seq LIMIT ?2")?;
            let mut rows = rows.query(rusqlite::params![from, CHUNK])?;
            while let Some(row) = rows.next()? {
                self.row(row, records)?;
            }
            Ok(())
        };
        read().is_ok()
    }

    fn row(&mut self, row: &rusqlite::Row<'_>, records: &mut Vec<Record>) -> rusqlite::Result<()> {
        let seq: u64 = row.get(0)?;
        let body = row.get_ref(1)?.as_bytes().unwrap_or_default();
        let stored = row.get_ref(2)?.as_blob().ok().and_then(|hash| Hash::try_from(hash).ok());
        let (last, prev) = self.last;
        if seq > last + 1 {
            self.lose(last + 1, seq - 1);
        }
        // Behind a gap nobody can say what the hash was: such a row is taken as it stands.
        let follows = seq > last + 1 || prev.is_none_or(|prev| stored == Some(chain(&prev, seq, body)));
        let record = serde_json::from_slice::<Record>(body).ok().filter(|_| follows);
        match record {
            Some(record) => {
                self.rows += 1;
                self.latest = self.latest.max(record.utc);
                if self.lost.is_empty() {
                    self.since = self.latest;
                }
                records.push(record);
            }
            None => self.lose(seq, seq),
        }
        self.last = (seq, stored);
        Ok(())
    }

    fn lose(&mut self, from: u64, to: u64) {
        match self.lost.last_mut().filter(|gap| gap.to + 1 == from) {
            Some(gap) => gap.to = to,
            None => self.lost.push(Gap { from, to }),
        }
    }

    /// Finds the next row that can be read behind those that cannot.
    fn skip(&mut self, db: &Connection) -> bool {
        let there = |seq: u64| {
            let row = db.prepare_cached("SELECT body, hash FROM event WHERE seq = ?1");
            row.and_then(|mut row| row.query_row([seq], |row| Ok(row.get_ref(0)?.as_bytes().is_ok()))).unwrap_or(false)
        };
        // A row that is there and could not be read where rows are read in order is given up: each step goes on.
        let stuck = self.last.1.is_none();
        let first = self.last.0 + 1;
        let from = first + u64::from(stuck);
        let Some(next) = (from..from + MISSES_MAX).find(|seq| there(*seq)) else { return false };
        if next > first {
            self.lose(first, next - 1);
        }
        // The row itself is read by the next chunk, which may begin with an error again.
        self.last = (next - 1, None);
        true
    }

    /// The fact that stands behind the rows.
    pub(crate) fn told(&self, from: Source, reason: &str) -> Record {
        let restored = Restored {
            from,
            journal: self.journal.clone(),
            rows: self.rows,
            lost: self.lost.clone(),
            since: self.since,
            reason: reason.chars().take(200).collect(),
        };
        Record { utc: self.latest, lane: None, event: Event::Box(BoxEvent::Restored(restored)) }
    }
}

impl Journal {
    /// Structure and the chain since the latest snapshot, as far as `within` allows.
    pub fn look(&mut self, within: Duration) -> Found {
        let kept = super::snapshot::find(&self.db).ok().and_then(|found| found.latest).map_or(0, |(seq, _)| seq);
        check::look(&mut self.db, kept, "quick_check", within)
    }
}
