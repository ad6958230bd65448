//! A box gets a journal back: from a copy on the second medium, or from the disk of a box that died.

use crate::backup::transfer;
use crate::catalog::{DATASETS, file};
use crate::journal::salvage::{Read, finish, set_aside, with};
use crate::journal::{Cursor, Journal, Reader};
use crate::seal;
use crate::space::sync_folder;
use anyhow::{Context, Result, bail, ensure};
use checkout::upkeep::Source;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::path::Path;
use std::time::Duration;

/// What came of it, for the person at the terminal.
#[derive(Debug)]
pub struct Told {
    pub rows: u64,
    pub lost: u64,
    /// Rows headquarters had not acknowledged when they were written here.
    pub unsent: u64,
    /// Where the journal went that was in the way.
    pub aside: Option<String>,
}

/// Only one program writes a data folder.
///
/// # Errors
/// Another one does.
pub fn lock(data: &Path) -> Result<File> {
    std::fs::create_dir_all(data).with_context(|| format!("cannot make the data folder {}", data.display()))?;
    let path = data.join("lock");
    let file = File::options().create(true).truncate(false).write(true).open(&path);
    let file = file.with_context(|| format!("cannot open {}: is the folder writable?", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(error) => bail!("another aisled works in {}: stop it first ({error})", data.display()),
    }
}

/// A copy becomes the journal of `data`. What was sold after it was made, headquarters is asked for at the next contact.
///
/// # Errors
/// The copy is not whole, there is a journal already and nobody said that it is to be replaced, or the disk refuses.
pub fn from_backup(data: &Path, copy: &Path, replace: bool) -> Result<Told> {
    let _lock = lock(data)?;
    let path = data.join("journal.db");
    vacant(&path, replace)?;
    ensure!(copy.is_file(), "there is no copy {}", copy.display());
    crate::backup::whole(copy).with_context(|| format!("{} cannot be restored", copy.display()))?;
    let part = fresh(&path)?;
    transfer(copy, &part)?;
    let read = Read::all(&part, |_| Ok(()))?;
    let rows = read.rows;
    let unsent = {
        let mut journal = Journal::open(&part)?;
        let cursor = journal.cursor()?;
        // What headquarters has of this journal may go on differently from here: it is told everything again.
        let next = Cursor { epoch: cursor.epoch + 1, acked: 0 };
        let reason = format!("restored from {}", copy.file_name().unwrap_or_default().to_string_lossy());
        journal.commit(&[read.told(Source::Backup, &reason)], Some(next), None)?;
        journal.shrink(Duration::ZERO);
        rows.saturating_sub(cursor.acked)
    };
    let aside = in_place(&path, &part)?;
    Ok(Told { rows, lost: 0, unsent, aside })
}

/// The journal of a dead box, from its disk, to its last row: what headquarters has not got yet reaches it once.
///
/// # Errors
/// There is nothing to be read, a journal is in the way, or the disk refuses.
pub fn from_disk(data: &Path, old: &Path, replace: bool) -> Result<Told> {
    let _lock = lock(data)?;
    let path = data.join("journal.db");
    vacant(&path, replace)?;
    let found = old.join("journal.db");
    ensure!(found.is_file(), "there is no journal {}", found.display());
    let part = fresh(&path)?;
    // Nobody writes a dead box's files, and its medium may refuse what SQLite needs beside them: here files are copied, and
    // the WAL with them, since the last sales stand in there.
    for end in ["", "-wal"] {
        let from = with(&found, end);
        if from.exists() {
            std::fs::copy(&from, with(&part, end)).with_context(|| format!("cannot read {}", from.display()))?;
        }
    }
    let sound = Reader::open(&part).and_then(|reader| reader.verify()).is_ok();
    let told = if sound { taken_over(&part)? } else { pieced_together(&part)? };
    let key = old.join(seal::NAME);
    if key.exists() && !data.join(seal::NAME).exists() {
        std::fs::copy(&key, data.join(seal::NAME)).context("cannot take over the box's key")?;
    }
    take_datasets(data, old);
    let aside = in_place(&path, &part)?;
    Ok(Told { aside, ..told })
}

/// Goods, members and the rest, where the old disk has them whole: until headquarters is heard the shop sells from them. What
/// cannot be read comes from there again.
fn take_datasets(data: &Path, old: &Path) {
    for dataset in DATASETS {
        let (from, to) = (file(old, dataset), file(data, dataset));
        if !from.exists() || to.exists() {
            continue;
        }
        let part = with(&to, ".part");
        if let Err(error) = take_dataset(&from, &part).and_then(|()| Ok(std::fs::rename(&part, &to)?)) {
            let _ = std::fs::remove_file(&part);
            tracing::warn!(dataset, %error, "not taken from the old disk: headquarters sends it again");
        }
    }
}

fn take_dataset(from: &Path, part: &Path) -> Result<()> {
    std::fs::copy(from, part)?;
    whole(part)?;
    Ok(File::open(part)?.sync_all()?)
}

fn whole(path: &Path) -> Result<()> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let told: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    ensure!(told == "ok", "{told}");
    Ok(())
}

/// The same journal goes on: same id, same rows, same cursor.
fn taken_over(part: &Path) -> Result<Told> {
    let mut journal = Journal::open(part)?;
    let read = Read::all(part, |_| Ok(()))?;
    let unsent = read.rows.saturating_sub(journal.cursor()?.acked);
    journal.commit(&[read.told(Source::Disk, "from the disk of the box before")], None, None)?;
    journal.shrink(Duration::ZERO);
    Ok(Told { rows: read.rows, lost: 0, unsent, aside: None })
}

/// What can be read, as a journal of its own.
fn pieced_together(part: &Path) -> Result<Told> {
    let broken = with(part, ".broken");
    for end in ["", "-wal"] {
        if with(part, end).exists() {
            std::fs::rename(with(part, end), with(&broken, end))?;
        }
    }
    let _ = std::fs::remove_file(with(part, "-shm"));
    let mut journal = Journal::open(part)?;
    let read = Read::all(&broken, |records| journal.commit(records, None, None))?;
    ensure!(read.rows > 0, "nothing of the journal can be read: restore a backup instead");
    journal.commit(&[read.told(Source::Disk, "what could be read of the disk of the box before")], None, None)?;
    journal.shrink(Duration::ZERO);
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(with(&broken, end));
    }
    let lost = read.lost.iter().map(|gap| gap.to.saturating_sub(gap.from) + 1).sum();
    Ok(Told { rows: read.rows, lost, unsent: read.rows, aside: None })
}

fn vacant(path: &Path, replace: bool) -> Result<()> {
    finish(path)?;
    let rows = if path.exists() { Reader::open(path).and_then(|reader| reader.last()).unwrap_or(u64::MAX) } else { 0 };
    ensure!(
        rows == 0 || replace,
        "{} is there already and holds what this box knows: with --replace it is put aside, never deleted",
        path.display()
    );
    Ok(())
}

fn fresh(path: &Path) -> Result<std::path::PathBuf> {
    let part = with(path, ".part");
    for end in ["", "-wal", "-shm"] {
        match std::fs::remove_file(with(&part, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(part)
}

/// Whole, it takes the journal's place in one step.
fn in_place(path: &Path, part: &Path) -> Result<Option<String>> {
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(with(part, end));
    }
    File::open(part)?.sync_all()?;
    std::fs::rename(part, with(path, ".new"))?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))?;
    let aside = if path.exists() { Some(set_aside(path, "replaced")?.display().to_string()) } else { None };
    finish(path)?;
    Ok(aside)
}
