//! The box's disk: rows in memory for most stores, the real journal file on a disk that fails for the others; and what of it
//! the world was told.

use crate::disk::{Disk, Fault};
use crate::random::Random;
use crate::shop;
use crate::vfs::{Mount, beside};
use aisled::core_loop::replay;
use aisled::journal::{Cursor, Hash, Journal, Reader, Row, chain};
use aisled::uplink::Past;
use anyhow::{Context, Result, bail, ensure};
use checkout::Store;
use checkout::event::Record;
use checkout::facts::Facts;

/// A journal as the world was told of it.
#[derive(Clone)]
pub struct Book {
    pub rows: Vec<Row>,
    pub records: Vec<Record>,
    hashes: Vec<Hash>,
    pub cursor: Cursor,
}

impl Book {
    fn new() -> Self {
        let cursor = Cursor { epoch: 1, acked: 0 };
        Self { rows: Vec::new(), records: Vec::new(), hashes: vec![[0; 32]], cursor }
    }

    pub fn head(&self) -> u64 {
        self.rows.len() as u64
    }

    pub fn hash(&self) -> Hash {
        self.hashes[self.rows.len()]
    }

    fn push(&mut self, turn: Commit) {
        for record in turn.records {
            let (seq, body) = (self.head() + 1, serde_json::to_string(&record).expect("a record is JSON"));
            self.hashes.push(chain(&self.hash(), seq, body.as_bytes()));
            self.rows.push(Row { seq, body });
            self.records.push(record);
        }
        self.cursor = turn.cursor.unwrap_or(self.cursor);
    }

    fn cut(&mut self, head: usize, cursor: Cursor) -> Vec<Record> {
        self.rows.truncate(head);
        self.hashes.truncate(head + 1);
        self.cursor = cursor;
        self.records.split_off(head)
    }
}

impl Past for Book {
    fn rows(&self, first: u64, bytes: usize, count: usize) -> Result<Vec<Row>> {
        let from = self.rows.get(usize::try_from(first - 1)?..).unwrap_or_default();
        let mut sum = 0;
        let fits = |row: &&Row| {
            sum += row.body.len() + 1;
            sum <= bytes || row.seq == first
        };
        Ok(from.iter().take(count).take_while(fits).cloned().collect())
    }

    fn hash_at(&self, seq: u64) -> Result<Hash> {
        self.hashes.get(usize::try_from(seq)?).copied().context("no such row")
    }
}

/// What one commit carries.
#[derive(Clone)]
pub struct Commit {
    pub records: Vec<Record>,
    pub cursor: Option<Cursor>,
}

pub struct Drive {
    pub book: Book,
    file: Option<File>,
    /// A disk that was copied: the rows it had, and its cursor.
    copy: Option<(usize, Cursor, Option<Disk>)>,
    pub full: bool,
    /// In memory: the next commit is refused.
    refuses: bool,
    /// Operations that failed, as they were told to.
    failed: u64,
    /// Every commit is `synchronous=NORMAL`, as a journal must not be.
    syncs_seldom: bool,
}

struct File {
    journal: Option<Journal>,
    reader: Option<Reader>,
    /// Outlives its connections.
    mount: Mount,
    pages: u32,
    id: Option<String>,
    /// Begun, and nobody was told that it is done.
    untold: Option<Commit>,
}

/// A process that has read its journal.
pub struct Started {
    pub store: Store,
    pub id: String,
}

impl Drive {
    pub fn memory() -> Self {
        Self { book: Book::new(), file: None, copy: None, full: false, refuses: false, failed: 0, syncs_seldom: false }
    }

    pub fn file(seed: u64, random: &mut Random, syncs_seldom: bool) -> Self {
        let (mount, pages) = (Mount::new(Disk::new(seed)), [4, 20, 100, 1_000][random.pick(4)]);
        let file = File { mount, pages, id: None, untold: None, journal: None, reader: None };
        Self { file: Some(file), syncs_seldom, ..Self::memory() }
    }

    pub const fn is_file(&self) -> bool {
        self.file.is_some()
    }

    /// A start, as `aisled run` begins. The outer error is what the journal said, the inner one a promise that is broken.
    pub fn start(&mut self) -> Result<Result<Started, String>> {
        let Some(file) = &mut self.file else {
            ensure!(!self.full, "no room on the disk");
            let mut store = Store::new(shop::config());
            self.book.records.iter().for_each(|record| store.apply(record));
            return Ok(Ok(Started { store, id: "journal".into() }));
        };
        if self.full {
            file.mount.arm(Fault::FullFrom, 1);
        }
        let db = file.mount.connect()?;
        db.pragma_update(None, "wal_autocheckpoint", file.pages)?;
        let second = self.syncs_seldom.then(|| beside(&db));
        let mut journal = Journal::over(db, &file.mount.path())?;
        if let Some(second) = second {
            second.pragma_update(None, "synchronous", "NORMAL")?;
        }
        let store = replay(&mut journal, shop::config())?;
        let reader = Reader::over(file.mount.connect_read_only()?)?;
        let id = journal.id().to_owned();
        if file.id.get_or_insert_with(|| id.clone()) != &id {
            return Ok(Err("the journal has another id than it had".into()));
        }
        if let Some(untold) = file.untold.take()
            && journal.head() == self.book.head() + untold.records.len() as u64
            && untold.cursor.is_none_or(|cursor| journal.cursor().is_ok_and(|found| found == cursor))
        {
            self.book.push(untold);
        }
        let rows = reader.rows(1, usize::MAX, usize::MAX)?;
        let cursor = journal.cursor()?;
        (file.journal, file.reader) = (Some(journal), Some(reader));
        if rows != self.book.rows || cursor != self.book.cursor {
            let same = rows.iter().zip(&self.book.rows).take_while(|(found, told)| found == told).count();
            let (found, told) = (rows.len(), self.book.rows.len());
            return Ok(Err(format!(
                "an acknowledged event is lost: {told} rows were told, {found} are there, {same} alike"
            )));
        }
        Ok(Ok(Started { store, id }))
    }

    /// # Errors
    /// The disk refuses or is gone.
    pub fn commit(&mut self, turn: Commit, fold: Option<&Facts>) -> Result<()> {
        if let Some(file) = &mut self.file {
            let journal = file.journal.as_mut().context("no process")?;
            file.untold = Some(turn.clone());
            journal.commit(&turn.records, turn.cursor, fold)?;
            file.untold = None;
        } else if self.full || std::mem::take(&mut self.refuses) {
            bail!("the disk refuses");
        }
        self.book.push(turn);
        Ok(())
    }

    /// No room from here on, until there is.
    pub fn fill(&mut self) {
        self.full = true;
        if let Some(file) = &self.file {
            file.mount.arm(Fault::FullFrom, 1);
        }
    }

    pub fn make_room(&mut self) {
        self.full = false;
        self.disarm();
    }

    pub fn snapshot_due(&self, rows: usize) -> bool {
        let journal = self.file.as_ref().and_then(|file| file.journal.as_ref());
        journal.is_some_and(|journal| journal.snapshot_due(rows))
    }

    /// Strikes at the n-th change of the disk; only where there is one.
    pub fn arm(&self, nth: u64, power: bool) {
        if let Some(file) = &self.file {
            file.mount.arm(if power { Fault::Cut } else { Fault::Kill }, nth);
        }
    }

    /// The n-th operation fails, once; in memory, the next commit.
    pub fn refuse(&mut self, nth: u64, room: bool) {
        match &self.file {
            Some(file) => file.mount.arm(if room { Fault::Full } else { Fault::Error }, nth),
            None => self.refuses = true,
        }
    }

    /// Whether what was armed has struck: the process is gone.
    pub fn is_dead(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.mount.is_dead())
    }

    /// Whether an operation that was told to fail has.
    pub fn has_failed(&self) -> bool {
        self.file.as_ref().is_some_and(|file| file.mount.struck())
    }

    /// The process ends, with the power or alone.
    pub fn stop(&mut self, power: bool) {
        let Some(file) = &mut self.file else { return };
        self.failed += u64::from(file.mount.struck());
        file.mount.stop();
        (file.journal, file.reader) = (None, None);
        if power {
            file.mount.power_on();
        } else {
            file.mount.process_on();
        }
    }

    fn disarm(&mut self) {
        self.refuses = false;
        if let Some(file) = &self.file {
            file.mount.disarm();
        }
    }

    /// Somebody copies the disk, between two turns.
    pub fn copy(&mut self) {
        let disk = self.file.as_ref().map(|file| file.mount.copy());
        self.copy = Some((self.book.rows.len(), self.book.cursor, disk));
    }

    /// The copy takes the disk's place, while no process runs; answers what is lost with the disk, or that there was no copy.
    pub fn restore(&mut self) -> Option<Vec<Record>> {
        let (head, cursor, disk) = self.copy.take()?;
        if let (Some(file), Some(disk)) = (&mut self.file, disk) {
            file.mount = Mount::new(disk);
            file.untold = None;
        }
        Some(self.book.cut(head, cursor))
    }

    /// What the file saw, for the table.
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        let Some(file) = &self.file else { return Vec::new() };
        let damage = file.mount.damage();
        vec![
            ("file: stores on the real journal file", 1),
            ("file: operations of SQLite", file.mount.ops()),
            ("file: faults that struck within an operation", self.failed),
            ("file: unsynced sectors that arrived", damage.arrived),
            ("file: unsynced sectors lost", damage.lost),
            ("file: unsynced sectors torn", damage.torn),
        ]
    }
}

/// As the sync port reads it.
impl Past for Drive {
    fn rows(&self, first: u64, bytes: usize, count: usize) -> Result<Vec<Row>> {
        match self.file.as_ref().and_then(|file| file.reader.as_ref()) {
            Some(reader) => reader.rows(first, bytes, count),
            None => self.book.rows(first, bytes, count),
        }
    }

    fn hash_at(&self, seq: u64) -> Result<Hash> {
        match self.file.as_ref().and_then(|file| file.reader.as_ref()) {
            Some(reader) => reader.hash_at(seq),
            None => self.book.hash_at(seq),
        }
    }
}
