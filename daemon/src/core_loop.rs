//! The loop around the turn: waits, drains what is ready (at most 64), and carries out what [`crate::turn`] decides.

use crate::catalog::SqliteCatalog;
use crate::clock::{Clock, Zone};
use crate::journal::{Cursor, Journal, is_full, salvage};
use crate::notify::Notify;
use crate::space::Ballast;
use crate::turn::{CURSOR_EVERY_MS, Core, World};
use crate::watch::Pulse;
use anyhow::{Context, Result, bail};
use checkout::control::{Act, Reported};
use checkout::device::DeviceCommand;
use checkout::event::Record;
use checkout::facts::Facts;
use checkout::page::{PageRequest, Refused};
use checkout::store::{HqInput, PortStatus};
use checkout::upkeep::{BoxInput, Room};
use checkout::view::View;
use checkout::wire::Question;
use checkout::words::{DeviceId, LaneId, RequestId, Utc};
use checkout::{Effect, Input, Store};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot, watch};

/// Inputs of one turn, and so events of one commit.
pub const TURN_MAX: usize = 64;
/// Inputs waiting for the core; ports wait when it is full.
pub const INPUTS_MAX: usize = 1024;
/// Commands waiting for a port; the core never waits, a port this far behind is declared down.
pub const COMMANDS_MAX: usize = 64;
/// The disk and the WAL are looked at this often.
const ROOM_EVERY: Duration = Duration::from_secs(3);
/// A commit that found no room waits so long for readers to let the WAL go.
const READERS: Duration = Duration::from_secs(2);

/// What ports bring to the core.
#[derive(Debug)]
pub enum ToCore {
    Input(Input),
    Page {
        lane: LaneId,
        what: PageRequest,
        reply: oneshot::Sender<Result<(), Refused>>,
    },
    /// Headquarters committed this far; the reason where it is in an epoch that has just been opened. Both are one commit: an
    /// epoch nobody wrote down could be opened twice.
    Acked {
        cursor: Cursor,
        new_epoch: Option<String>,
    },
    /// What time it is at headquarters.
    Time(Utc),
    /// The journal's file is not what was written: the next start salvages it.
    Damaged(String),
    /// A dataset was built and renamed into place.
    Dataset {
        dataset: String,
        version: u64,
        name: String,
    },
    Stop,
    /// As [`ToCore::Stop`], and the service manager starts the daemon again.
    Restart,
}

/// How the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Stopped,
    /// To be started again.
    Again,
}

/// What pages and the sync port see of the core.
#[derive(Clone, Debug)]
pub struct Picture {
    pub view: View,
    pub head: u64,
    /// What became of the configuration headquarters wants.
    pub reported: Option<Reported>,
}

/// A question for headquarters.
#[derive(Clone, Debug)]
pub struct AskHq {
    pub wait_ms: u32,
    pub what: Question,
}

/// Where effects go.
#[derive(Debug, Default)]
pub struct Outlets {
    pub devices: BTreeMap<DeviceId, mpsc::Sender<DeviceCommand>>,
    pub hq: Option<mpsc::Sender<AskHq>>,
    pub control: Option<mpsc::Sender<Act>>,
}

#[derive(Debug)]
pub struct CoreLoop {
    core: Core,
    shop: Shop,
    inputs: mpsc::Receiver<ToCore>,
    requests: u64,
    nonce: u64,
    notify: Notify,
    clock: Clock,
    pulse: Pulse,
}

/// The box's journal, and those who are told.
#[derive(Debug)]
struct Shop {
    journal: Journal,
    catalog: SqliteCatalog,
    outlets: Outlets,
    picture: watch::Sender<Arc<Picture>>,
    replies: BTreeMap<RequestId, oneshot::Sender<Result<(), Refused>>>,
    overflowed: Vec<DeviceId>,
    damaged: Option<String>,
    ballast: Ballast,
    room: Room,
    /// A longer WAL is held up by somebody.
    wal_max: u64,
    wal_held: Option<u64>,
    looked: Instant,
}

/// Everything the loop starts with.
#[derive(Debug)]
pub struct Parts {
    pub store: Store,
    pub journal: Journal,
    pub catalog: SqliteCatalog,
    pub zone: Zone,
    pub outlets: Outlets,
    pub inputs: mpsc::Receiver<ToCore>,
    pub picture: watch::Sender<Arc<Picture>>,
    pub ballast: Ballast,
    /// A WAL that grew to so many kB is held up by somebody.
    pub wal_kb: u64,
    pub pulse: Pulse,
    /// Of this start, see [`nonce`].
    pub nonce: u64,
}

impl CoreLoop {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts { store, journal, catalog, zone, outlets, inputs, picture, mut ballast, wal_kb, pulse, nonce } =
            parts;
        let room = ballast.look(store.facts().upkeep.room());
        let (replies, overflowed, damaged) = (BTreeMap::new(), Vec::new(), None);
        let (wal_max, wal_held, looked) = (wal_kb.saturating_mul(1024), None, Instant::now());
        Self {
            core: Core::new(store),
            shop: Shop {
                journal,
                catalog,
                outlets,
                picture,
                replies,
                overflowed,
                damaged,
                ballast,
                room,
                wal_max,
                wal_held,
                looked,
            },
            inputs,
            requests: 0,
            nonce,
            notify: Notify::new(),
            clock: Clock::new(zone),
            pulse,
        }
    }

    /// Runs until told to stop. The first turn is the boot: it asks about everything in flight.
    ///
    /// # Errors
    /// The journal cannot be written: the process must end, a lane that cannot record must not sell.
    pub async fn run(mut self) -> Result<Ended> {
        let boot = Input::Boot { version: env!("CARGO_PKG_VERSION").into(), nonce: self.nonce };
        let in_force = self.shop.catalog.in_force().map(|(dataset, version, name)| {
            let (dataset, name) = (dataset.into(), name.into());
            ToCore::Input(Input::Hq(HqInput::Dataset { dataset, version, name }))
        });
        let first = std::iter::once(ToCore::Input(boot)).chain(in_force).collect();
        self.turn(first)?;
        self.notify.send("READY=1");
        let heartbeat = Notify::heartbeat();
        loop {
            let ready = self.drain(heartbeat).await;
            let again = ready.iter().any(|input| matches!(input, ToCore::Restart));
            let stop = again || ready.iter().any(|input| matches!(input, ToCore::Stop));
            self.turn(ready)?;
            if self.pulse.beats() {
                self.notify.send("WATCHDOG=1");
            }
            if stop {
                self.notify.send("STOPPING=1");
                self.core.stop(&mut self.shop)?;
                // One file that stands for itself, for whoever takes it away.
                self.shop.journal.shrink(READERS);
                return Ok(if again { Ended::Again } else { Ended::Stopped });
            }
        }
    }

    /// Waits for the first input or deadline, then takes what else is ready.
    async fn drain(&mut self, heartbeat: Duration) -> Vec<ToCore> {
        let now = self.clock.now().mono;
        let deadline = self.core.store().deadline().map(|(at, _)| at);
        let wait = deadline.map_or(heartbeat, |at| Duration::from_millis(at.0.saturating_sub(now.0)).min(heartbeat));
        let wait = if self.core.has_cursor() { wait.min(Duration::from_millis(CURSOR_EVERY_MS)) } else { wait };
        // A disk that has just turned out to be full is told at once, whatever else happens.
        let told = self.core.store().facts().upkeep.room() == self.shop.room;
        let wait = if told { wait.min(ROOM_EVERY) } else { Duration::ZERO };
        let mut ready = Vec::new();
        match tokio::time::timeout(wait, self.inputs.recv()).await {
            Ok(Some(input)) => ready.push(input),
            Ok(None) => ready.push(ToCore::Stop),
            Err(_) => {}
        }
        while ready.len() < TURN_MAX
            && let Ok(input) = self.inputs.try_recv()
        {
            ready.push(input);
        }
        if deadline.is_some_and(|at| at <= self.clock.now().mono) {
            ready.push(ToCore::Input(Input::Tick));
        }
        ready
    }

    fn turn(&mut self, ready: Vec<ToCore>) -> Result<()> {
        for device in std::mem::take(&mut self.shop.overflowed) {
            let status = PortStatus::Down { reason: "its queue is full".into() };
            self.step(Input::Port { device, status });
        }
        self.look_after();
        for input in ready {
            self.take(input);
        }
        if let Some(reason) = self.shop.damaged.take() {
            // What was seen until now is kept, and nothing more is done about it.
            self.core.stop(&mut self.shop)?;
            salvage::condemn(self.shop.journal.path(), &reason)?;
            bail!("the journal is damaged ({reason}): the next start salvages what can be read");
        }
        self.core.finish(self.clock.now().mono, &mut self.shop)
    }

    fn take(&mut self, input: ToCore) {
        match input {
            ToCore::Input(input) => self.step(input),
            ToCore::Page { lane, what, reply } => {
                self.requests += 1;
                let request = RequestId(self.requests);
                self.shop.replies.insert(request, reply);
                self.step(Input::Page { lane, request, what });
            }
            ToCore::Acked { cursor, new_epoch } => {
                self.core.acked(cursor);
                if let Some(reason) = new_epoch {
                    self.step(Input::Hq(HqInput::NewEpoch { epoch: cursor.epoch, reason }));
                }
            }
            ToCore::Time(utc) => self.clock.told(utc),
            ToCore::Damaged(reason) => self.shop.damaged = Some(reason),
            ToCore::Dataset { dataset, version, name } => {
                self.shop.catalog.reopen(&dataset);
                self.step(Input::Hq(HqInput::Dataset { dataset, version, name }));
            }
            ToCore::Stop | ToCore::Restart => {}
        }
    }

    /// What the box itself has to tell: its clock and its disk.
    fn look_after(&mut self) {
        let facts = self.core.store().facts();
        let (told, room_told) = (facts.upkeep.clock_doubt.clone(), facts.upkeep.room());
        let held_told = facts.upkeep.wal_held.is_some();
        let doubt = self.clock.doubt(facts.latest).map(str::to_owned);
        if doubt != told {
            self.step(Input::Box(BoxInput::Clock { doubt }));
        }
        self.shop.look();
        let (room, held) = (self.shop.room, self.shop.wal_held);
        if room != room_told {
            self.step(Input::Box(BoxInput::Disk(room)));
        }
        if held.is_some() != held_told {
            self.step(Input::Box(BoxInput::Wal { held }));
        }
    }

    fn step(&mut self, input: Input) {
        self.core.take(self.clock.now(), input, &self.shop.catalog);
    }
}

impl Shop {
    /// Looks now and then what is left of the disk, and whether the WAL can begin anew.
    fn look(&mut self) {
        if self.looked.elapsed() < ROOM_EVERY {
            return;
        }
        self.looked = Instant::now();
        if self.room != Room::Enough {
            // What a reader held up may be free by now, also where nobody sells meanwhile.
            self.journal.shrink(Duration::ZERO);
        }
        self.room = self.ballast.look(self.room);
        let grown = |journal: &Journal| Some(journal.wal_bytes()).filter(|bytes| *bytes > self.wal_max);
        if grown(&self.journal).is_some() {
            self.journal.shrink(Duration::ZERO);
        }
        let held = grown(&self.journal);
        if let (Some(bytes), None) = (held, self.wal_held) {
            tracing::error!(
                bytes,
                "a program that reads the journal does not end, and its WAL grows with every sale: close it (a sqlite3 shell, a copy)"
            );
        }
        self.wal_held = held;
    }
}

impl World for Shop {
    fn commit(&mut self, records: &[Record], cursor: Option<Cursor>, fold: Option<&Facts>) -> Result<()> {
        let mut done = self.journal.commit(records, cursor, fold);
        if done.as_ref().is_err_and(is_full) {
            // The WAL may have taken all the room: what stands in it twice need not.
            self.journal.shrink(READERS);
            done = self.journal.commit(records, cursor, fold);
        }
        if done.as_ref().is_err_and(is_full) && self.ballast.give_up() {
            // Nothing of the commit that failed is left. What follows was begun before: it has room now.
            tracing::error!(
                "the disk is full: the room kept for this is given up; baskets already begun can be finished"
            );
            (self.room, self.looked) = (Room::Full, Instant::now());
            self.journal.shrink(READERS);
            done = self.journal.commit(records, cursor, fold);
        }
        if self.room != Room::Enough {
            self.journal.shrink(Duration::ZERO);
        }
        done.with_context(|| format!("the journal {} cannot be written", self.journal.path().display()))
    }

    fn snapshot_due(&self, rows: usize) -> bool {
        self.journal.snapshot_due(rows)
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Device { device, command } => {
                let Some(port) = self.outlets.devices.get(&device) else { return };
                if port.try_send(command).is_err() {
                    tracing::warn!(%device, "the port does not keep up and is declared down");
                    self.overflowed.push(device);
                }
            }
            Effect::Ask { wait_ms, what } => {
                // Unanswered questions are asked again by the core's own deadlines.
                if let Some(hq) = &self.outlets.hq {
                    let _ = hq.try_send(AskHq { wait_ms, what });
                }
            }
            Effect::Reply { request, result } => {
                if let Some(reply) = self.replies.remove(&request) {
                    let _ = reply.send(result);
                }
            }
            Effect::Control(act) => {
                // A command that finds no room is a command that did not end: the next start says so.
                if self.outlets.control.as_ref().is_some_and(|port| port.try_send(act).is_err()) {
                    tracing::warn!("a command is not carried out: too many wait");
                }
            }
        }
    }

    fn show(&mut self, store: &Store) {
        let picture = picture_of(store, &self.catalog, self.journal.head());
        self.picture.send_replace(Arc::new(picture));
    }
}

/// Forty random bits, never zero: eight letters of an id.
///
/// # Errors
/// The system gives no random numbers.
pub fn nonce() -> Result<u64> {
    let mut bytes = [0; 8];
    let drawn = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut bytes);
    drawn.ok().context("the system gives no random numbers")?;
    Ok((u64::from_le_bytes(bytes) >> 24).max(1))
}

/// The store as its journal says it is: snapshot if there is one, then every later record.
///
/// # Errors
/// A row that cannot be read: says which.
pub fn replay(journal: &mut Journal, config: checkout::config::StoreConfig) -> Result<Store> {
    let (after, mut store) = match journal.snapshot()? {
        Some((seq, facts)) => (seq, Store::from_snapshot(config, facts)),
        None => (0, Store::new(config)),
    };
    let rows = journal.replay(after, |row| store.replay(row))?;
    tracing::info!(rows, after, head = journal.head(), "journal replayed");
    Ok(store)
}

/// What is seen of a store.
#[must_use]
pub fn picture_of(store: &Store, catalog: &SqliteCatalog, head: u64) -> Picture {
    Picture { view: store.view(catalog), head, reported: store.facts().control.config.clone() }
}
