//! Headquarters: its real writer over its real tables, on a disk that fails, crashes and comes back older.

use crate::disk::{Disk, Fault};
use crate::provider::Wallets;
use crate::shop::{BASE, BOX, TENANT};
use crate::variant::Variant;
use crate::vfs::Mount;
use aisle_hq::pay::{Job, Providers};
use aisle_hq::sign::Signer;
use aisle_hq::store::{Moment, create, prepare};
use aisle_hq::{Outgoing, Work, Writer};
use anyhow::Result;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What was begun with providers is kept apart from the copy: an older one would ask for money again.
const PROVIDER: [&str; 2] = ["payment", "payment_refund"];

/// How its next turn ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Before,
    After,
}

pub struct Headquarters {
    writer: Option<Writer>,
    /// Looks at what is committed.
    reader: Option<Connection>,
    /// Outlives its connections.
    mount: Mount,
    signer: Arc<Signer>,
    variant: Variant,
    began: Instant,
    copy: Option<Disk>,
    pub wallets: Arc<Wallets>,
    /// Calls to providers, of the process that runs.
    jobs: Option<mpsc::Receiver<Job>>,
    /// Counts its processes: the answer to another's call is lost.
    pub generation: u64,
    /// In force from the next turn on.
    pub crash: Option<Crash>,
    /// Epoch and number up to which it has committed.
    pub committed: (u64, u64),
}

/// What came of a turn.
pub enum Turned {
    Said(Vec<Outgoing>),
    /// The process is gone; what it still said.
    Crashed(Vec<Outgoing>),
}

/// What all stores of a run share: the tables, and the key.
pub struct Template {
    empty: Mount,
    signer: Arc<Signer>,
}

impl Template {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let signer = Arc::new(Signer::open(&folder.path().join("key"))?);
        let empty = Mount::new(Disk::new(0));
        let db = empty.connect()?;
        prepare(&db)?;
        create(&db.into())?;
        Ok(Self { empty, signer })
    }

    pub fn public_key(&self) -> String {
        self.signer.public_key()
    }
}

impl Headquarters {
    pub fn new(template: &Mutex<Template>, variant: Variant) -> Result<Self> {
        let template = template.lock().expect("nobody panics with it");
        let (mount, signer) = (Mount::new(template.empty.copy()), Arc::clone(&template.signer));
        drop(template);
        if variant == Variant::TakesTwice {
            forget_keys(&mount.connect()?)?;
        }
        let mut hq = Self {
            writer: None,
            reader: None,
            mount,
            signer,
            variant,
            began: Instant::now(),
            copy: None,
            wallets: Arc::new(Wallets::default()),
            jobs: None,
            generation: 0,
            crash: None,
            committed: (0, 0),
        };
        hq.start()?;
        Ok(hq)
    }

    pub const fn is_up(&self) -> bool {
        self.writer.is_some()
    }

    /// # Errors
    /// What the database says.
    pub fn start(&mut self) -> Result<()> {
        let db = self.mount.connect()?;
        prepare(&db)?;
        let (jobs, to_call) = mpsc::channel(64);
        self.jobs = Some(to_call);
        self.generation += 1;
        self.writer = Some(Writer::over(db.into(), Arc::clone(&self.signer), TENANT, jobs));
        self.reader = Some(self.mount.connect_read_only()?);
        self.look()
    }

    pub fn stop(&mut self) {
        self.mount.stop();
        (self.writer, self.reader) = (None, None);
        self.mount.process_on();
    }

    /// Its process ends at the n-th change to its disk.
    pub fn arm(&self, nth: u64) {
        self.mount.arm(Fault::Kill, nth);
    }

    pub fn disarm(&mut self) {
        self.mount.disarm();
        self.crash = None;
    }

    pub fn providers(&self) -> Providers {
        Providers { wallets: self.wallets.clone(), gifts: self.wallets.clone() }
    }

    /// What its process wants providers to do.
    pub fn calls(&mut self) -> Vec<Job> {
        let jobs = self.jobs.as_mut();
        jobs.map(|jobs| std::iter::from_fn(|| jobs.try_recv().ok()).collect()).unwrap_or_default()
    }

    pub fn instant(&self, clock: u64) -> Instant {
        self.began + Duration::from_millis(clock)
    }

    /// # Errors
    /// What the database says on a healthy disk.
    pub fn turn(&mut self, clock: u64, work: Work) -> Result<Turned> {
        let mono = self.instant(clock);
        let moment = Moment { mono, utc_ms: BASE + i64::try_from(clock)? };
        if self.variant == Variant::JudgesEveryHello {
            // Where its disk fails meanwhile, the turn below finds it so.
            let _ = self.mount.connect().and_then(|db| db.execute("DELETE FROM box_start", []));
        }
        let Some(writer) = &mut self.writer else { return Ok(Turned::Crashed(Vec::new())) };
        let crash = self.crash.take();
        if crash == Some(Crash::Before) && self.variant != Variant::AcknowledgesBeforeHqCommits {
            self.stop();
            return Ok(Turned::Crashed(Vec::new()));
        }
        let kept = (crash == Some(Crash::Before)).then(|| self.mount.copy());
        let position = (self.variant == Variant::TakesTwice).then(|| position(&self.mount)).transpose()?;
        let said = match writer.turn_at(moment, &[work]) {
            Ok(said) => said,
            Err(_) if self.mount.is_dead() => {
                self.stop();
                return Ok(Turned::Crashed(Vec::new()));
            }
            Err(error) => return Err(error),
        };
        if self.mount.is_dead() {
            // It had committed, and did not live to say so.
            self.stop();
            return Ok(Turned::Crashed(Vec::new()));
        }
        if let Some(kept) = kept {
            self.stop();
            self.mount = Mount::new(kept);
            return Ok(Turned::Crashed(said));
        }
        if crash == Some(Crash::After) {
            if let Some(position) = position {
                forget(&self.mount, position)?;
            }
            self.stop();
            return Ok(Turned::Crashed(Vec::new()));
        }
        self.look()?;
        Ok(Turned::Said(said))
    }

    /// Somebody copies its database.
    pub fn copy(&mut self) {
        self.copy = Some(self.mount.copy());
    }

    /// The copy takes the database's place, while no process runs. Answers whether there was one.
    ///
    /// # Errors
    /// What the database says.
    pub fn restore(&mut self) -> Result<bool> {
        let Some(disk) = self.copy.take() else { return Ok(false) };
        let older = Mount::new(disk);
        let (from, to) = (self.mount.connect()?, older.connect()?);
        for table in PROVIDER {
            carry(&from, &to, table)?;
        }
        drop((from, to));
        self.mount = older;
        Ok(true)
    }

    /// What is committed, for whoever looks.
    pub const fn reader(&self) -> Option<&Connection> {
        self.reader.as_ref()
    }

    fn look(&mut self) -> Result<()> {
        if let Some(reader) = &self.reader {
            self.committed = committed(reader)?;
        }
        Ok(())
    }
}

fn committed(db: &Connection) -> Result<(u64, u64)> {
    let mut found = db.prepare_cached("SELECT epoch, acked FROM box WHERE id = ?1")?;
    let mut rows = found.query([BOX])?;
    Ok(match rows.next()? {
        Some(row) => (row.get(0)?, row.get(1)?),
        None => (0, 0),
    })
}

fn carry(from: &Connection, to: &Connection, table: &str) -> Result<()> {
    let mut rows = from.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = rows.column_count();
    let marks = vec!["?"; columns].join(",");
    let mut insert = to.prepare(&format!("INSERT OR REPLACE INTO {table} VALUES ({marks})"))?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let values: Result<Vec<Value>, _> = (0..columns).map(|column| row.get(column)).collect();
        insert.execute(params_from_iter(values?))?;
    }
    Ok(())
}

/// An ingest that is told apart by nothing: its rows have no keys …
fn forget_keys(db: &Connection) -> Result<()> {
    Ok(db.execute_batch(
        "CREATE TABLE keyless AS SELECT * FROM journal_event;
         DROP TABLE journal_event;
         ALTER TABLE keyless RENAME TO journal_event;",
    )?)
}

type Position = Vec<Vec<Value>>;

/// … and how far it got is kept apart from them.
fn position(mount: &Mount) -> Result<Position> {
    let db = mount.connect()?;
    let mut rows = db.prepare("SELECT acked, hash, id FROM box")?;
    let rows = rows.query_map([], |row| Ok(vec![row.get(0)?, row.get(1)?, row.get(2)?]))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn forget(mount: &Mount, position: Position) -> Result<()> {
    let db = mount.connect()?;
    for row in position {
        db.execute("UPDATE box SET acked = ?1, hash = ?2 WHERE id = ?3", params_from_iter(row))?;
    }
    Ok(())
}
