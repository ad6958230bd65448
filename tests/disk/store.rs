//! A store's journal on a disk that fails, and what it has told the world is on it.

use crate::disk::{Disk, Fault};
use crate::random::Random;
use crate::vfs::{Mount, beside};
use aisled::journal::{Cursor, Journal, Reader};
use checkout::event::{Event, Record};
use checkout::facts::Facts;
use checkout::store::StoreEvent;
use checkout::words::Utc;
use rusqlite::Connection;

/// One record of every kind; what is sold keeps SQLite's indices over the rows busy.
const SAMPLES: &str = include_str!("../../daemon/core/tests/it/samples.ndjson");

/// What is wrong, for a person.
pub type Wrong = String;

/// The journal as built, and the mistakes that must be caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    AsBuilt,
    /// `synchronous=NORMAL`: SQLite's default advice for WAL, and what a commit costs is halved.
    SyncsSeldom,
    /// Tells the world first.
    AcknowledgesFirst,
}

/// What a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    bodies: Vec<String>,
    cursor: Cursor,
    /// Row of the latest snapshot.
    kept: u64,
    facts: Facts,
}

impl Past {
    fn new() -> Self {
        Self { bodies: Vec::new(), cursor: Cursor { epoch: 1, acked: 0 }, kept: 0, facts: Facts::default() }
    }

    fn head(&self) -> u64 {
        self.bodies.len() as u64
    }

    fn after(&self, turn: &Turn) -> Self {
        let mut past = self.clone();
        for record in &turn.records {
            past.facts.apply(record);
            past.bodies.push(serde_json::to_string(record).expect("a record is JSON"));
        }
        past.cursor = turn.cursor.unwrap_or(past.cursor);
        if turn.fold {
            past.kept = past.head();
        }
        past
    }
}

/// What one commit carries.
#[derive(Clone, Debug)]
pub struct Turn {
    records: Vec<Record>,
    cursor: Option<Cursor>,
    fold: bool,
}

/// What was seen on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub commits: u64,
    pub events: u64,
    /// Commits that nobody was told of and that were there, and that were not.
    pub kept_untold: u64,
    pub gone_untold: u64,
    pub looks: u64,
    /// Faults between two turns.
    pub idle: u64,
}

#[derive(Debug)]
pub struct Store {
    pub mount: Mount,
    pub random: Random,
    variant: Variant,
    samples: Vec<Record>,
    /// Known once a start has shown it.
    id: Option<String>,
    told: Past,
    /// Begun, and nobody was told that it is done.
    untold: Option<Past>,
    pub seen: Seen,
}

/// A running process: the writer, and a reader as the sync port has one.
#[derive(Debug)]
pub struct Process {
    reader: Option<Reader>,
    /// Reads an old state and does not end, so that the WAL cannot be begun anew.
    stuck: Option<Connection>,
    journal: Journal,
}

impl Store {
    /// `story` seeds what is written and when it is cut, `disk` what becomes of what was not synced.
    pub fn new(story: u64, disk: u64, variant: Variant) -> Self {
        let read = |line| serde_json::from_str(line).expect("the samples are records");
        Self {
            mount: Mount::new(Disk::new(disk)),
            random: Random::new(story ^ 0x5708_E000),
            variant,
            samples: SAMPLES.lines().map(read).collect(),
            id: None,
            told: Past::new(),
            untold: None,
            seen: Seen::default(),
        }
    }

    /// A start, as `aisled run` begins; `Err` is what the journal said.
    ///
    /// `pages`: WAL pages after which a commit copies them into the file. Small numbers bring many checkpoints.
    pub fn start(&mut self, pages: u32) -> anyhow::Result<Result<Process, Wrong>> {
        let db = self.mount.connect()?;
        db.pragma_update(None, "wal_autocheckpoint", pages)?;
        let second = (self.variant == Variant::SyncsSeldom).then(|| beside(&db));
        let journal = Journal::over(db, &self.mount.path())?;
        if let Some(second) = second {
            second.pragma_update(None, "synchronous", "NORMAL")?;
        }
        Ok(self.opened(journal))
    }

    /// From here on the process acts on what it has read: that is told.
    fn opened(&mut self, journal: Journal) -> Result<Process, Wrong> {
        let id = self.id.get_or_insert_with(|| journal.id().to_owned());
        if id != journal.id() {
            return Err("the journal has another id than it had".into());
        }
        if let Some(untold) = self.untold.take() {
            let there = untold.head() == journal.head();
            // A turn that moved the cursor only has no row to be known by.
            let there = there && journal.cursor().is_ok_and(|cursor| cursor == untold.cursor);
            self.settle(there, untold);
        }
        if journal.head() != self.told.head() {
            return Err(format!("{} rows, and {} were told", journal.head(), self.told.head()));
        }
        Ok(Process { journal, reader: None, stuck: None })
    }

    fn settle(&mut self, there: bool, untold: Past) {
        if there {
            self.seen.kept_untold += 1;
            self.told = untold;
        } else {
            self.seen.gone_untold += 1;
        }
    }

    /// Some tens of rows at most, as a turn has; sometimes large ones, sometimes the cursor alone.
    pub fn turn(&mut self, journal: &Journal) -> Turn {
        let random = &mut self.random;
        let cursor_alone = random.one_in(20) && self.told.head() > 0;
        let most = if random.one_in(10) { 40 } else { 5 };
        let count = if cursor_alone { 0 } else { 1 + random.below(most) };
        let mut records = Vec::new();
        for nth in 0..count {
            let row = self.told.head() + nth + 1;
            if random.one_in(2) {
                records.push(self.samples[random.pick(self.samples.len())].clone());
                continue;
            }
            let length = if random.one_in(12) { 9_000 } else { 200 };
            let version = "v".repeat(random.pick(length));
            let event = Event::Store(StoreEvent::Booted { boot: row, version, nonce: random.next() >> 24 });
            records.push(Record { utc: Utc(i64::try_from(row).expect("few rows")), lane: None, event });
        }
        let acked = self.told.head();
        let cursor = (cursor_alone || random.one_in(4)).then(|| Cursor { epoch: 1 + random.below(2), acked });
        let fold = count > 0 && (random.one_in(8) || journal.snapshot_due(records.len()));
        Turn { records, cursor, fold }
    }

    /// Commits a turn and tells the world.
    ///
    /// # Errors
    /// What the journal said.
    pub fn commit(&mut self, process: &mut Process, turn: &Turn) -> anyhow::Result<()> {
        let after = self.told.after(turn);
        self.seen.commits += 1;
        if self.variant == Variant::AcknowledgesFirst {
            self.told = after;
            return process.journal.commit(&turn.records, turn.cursor, turn.fold.then_some(&self.told.facts));
        }
        let facts = after.facts.clone();
        self.untold = Some(after);
        process.journal.commit(&turn.records, turn.cursor, turn.fold.then_some(&facts))?;
        self.seen.events += turn.records.len() as u64;
        self.told = self.untold.take().expect("put there above");
        Ok(())
    }

    /// Others look on: the sync port reads the latest row, and now and then somebody reads for long.
    pub fn read_along(&mut self, process: &mut Process) -> anyhow::Result<Result<(), Wrong>> {
        match self.random.below(12) {
            0 if process.stuck.is_none() => {
                let db = self.mount.connect_read_only()?;
                db.execute_batch("BEGIN; SELECT count(*) FROM event")?;
                process.stuck = Some(db);
            }
            1 | 2 => process.stuck = None,
            3..=5 => {
                if process.reader.is_none() {
                    process.reader = Some(Reader::over(self.mount.connect_read_only()?)?);
                }
                let Some(reader) = &process.reader else { return Ok(Ok(())) };
                let last = reader.rows(self.told.head().max(1), usize::MAX, usize::MAX)?;
                if last.last().map(|row| &row.body) != self.told.bodies.last() {
                    return Ok(Err("a reader does not see the row that was told last".into()));
                }
            }
            _ => {}
        }
        Ok(Ok(()))
    }

    /// One life: a random fault among power cut (three in four) and kill, at a random change, and a look at what is left.
    ///
    /// # Errors
    /// An acknowledged event is missing, or something is there that nobody wrote.
    pub fn life(&mut self) -> Result<Fault, Wrong> {
        let fault = if self.random.one_in(4) { Fault::Kill } else { Fault::Cut };
        let reach = [15, 60, 200, 600][self.random.pick(4)];
        let nth = 1 + self.random.below(reach);
        self.mount.arm(fault, nth);
        self.trade()?;
        self.seen.idle += u64::from(!self.mount.struck());
        self.mount.stop();
        self.end(fault)?;
        Ok(fault)
    }

    /// The process has ended by `fault`: the machine or the process starts again.
    pub fn end(&mut self, fault: Fault) -> Result<(), Wrong> {
        if fault == Fault::Cut {
            self.mount.power_on();
        } else {
            self.mount.process_on();
        }
        let there = self.look()?;
        // What is on the platter after a cut stays there; what is in memory only may still go.
        if fault == Fault::Cut
            && let Some(untold) = self.untold.take()
        {
            self.settle(there, untold);
        }
        Ok(())
    }

    /// Processes and their turns until the disk is gone, or nobody writes for the moment.
    fn trade(&mut self) -> Result<(), Wrong> {
        for _ in 0..4 {
            let pages = [1_000, 100, 20, 4][self.random.pick(4)];
            let mut process = match self.start(pages) {
                Ok(process) => process?,
                Err(_) if self.mount.is_dead() => return Ok(()),
                Err(error) => return Err(format!("does not start: {error:#}")),
            };
            for _ in 0..self.random.below(25) {
                let turn = self.turn(&process.journal);
                let done = self.commit(&mut process, &turn);
                let done = done.and_then(|()| self.read_along(&mut process));
                match done {
                    Ok(seen) => seen?,
                    Err(_) if self.mount.is_dead() => return Ok(()),
                    Err(error) => return Err(format!("refuses on a healthy disk: {error:#}")),
                }
            }
            if self.random.one_in(3) {
                // The fault falls between two turns.
                self.mount.stop();
                return Ok(());
            }
        }
        Ok(())
    }

    /// What somebody finds who starts now: all that was told, or that and the whole of the turn nobody was told of.
    ///
    /// Looks at a copy, so that looking leaves no trace. Answers whether the untold turn is there.
    pub fn look(&mut self) -> Result<bool, Wrong> {
        self.seen.looks += 1;
        let copy = Mount::new(self.mount.copy());
        let found = found(&copy).map_err(|error| format!("cannot be read: {error:#}"))?;
        let (id, past) = found;
        if self.id.as_ref().is_some_and(|known| *known != id) {
            return Err("the journal has another id than it had".into());
        }
        if past == self.told {
            return Ok(false);
        }
        if self.untold.as_ref() == Some(&past) {
            return Ok(true);
        }
        let same = past.bodies.iter().zip(&self.told.bodies).take_while(|(found, told)| found == told).count();
        let (rows, told) = (past.bodies.len(), self.told.bodies.len());
        let beside = past.cursor == self.told.cursor && past.kept == self.told.kept && past.facts == self.told.facts;
        Err(format!(
            "{rows} rows, of which {same} as told; {told} were told; cursor, snapshot and facts agree: {beside}"
        ))
    }
}

/// Everything a journal holds, having checked the file and the chain.
fn found(mount: &Mount) -> anyhow::Result<(String, Past)> {
    // As a start finds it; and the file is looked through before anything is written.
    let whole: String = mount.connect()?.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    anyhow::ensure!(whole == "ok", "the file is damaged: {whole}");
    let mut journal = Journal::over(mount.connect()?, &mount.path())?;
    let (kept, mut facts) = journal.snapshot()?.unwrap_or_default();
    journal.replay(kept, |row| facts.replay(row))?;
    let reader = Reader::over(mount.connect_read_only()?)?;
    anyhow::ensure!(reader.verify()? == journal.head(), "the chain ends before the head");
    let bodies = reader.rows(1, usize::MAX, usize::MAX)?.into_iter().map(|row| row.body).collect();
    Ok((journal.id().to_owned(), Past { bodies, cursor: journal.cursor()?, kept, facts }))
}

impl Process {
    pub fn journal(&self) -> &Journal {
        &self.journal
    }
}
