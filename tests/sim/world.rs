//! One store in virtual time: the box's process running `aisled`'s own turn, and everything around it, as a script says.

use crate::drive::Drive;
use crate::hq::{Headquarters, Template};
use crate::outside::{End, Happening, Outside};
use crate::random::Random;
use crate::script::{Act, Do, What};
use crate::shop::{BASE, LANES, device};
use crate::sync::{Port, Told};
use crate::variant::Variant;
use aisled::journal::Cursor;
use aisled::turn::{CURSOR_EVERY_MS, Core};
use aisled::uplink::Uplink;
use anyhow::Result;
use checkout::Input;
use checkout::event::Record;
use checkout::store::{HqInput, PortStatus};
use checkout::view::TenderKind;
use checkout::words::{Mono, Now, TenderId, Utc};
use std::collections::BTreeMap;
use std::sync::Mutex;

const TURN_MAX: usize = 64;
/// One store in so many runs on the real journal file.
const FILE_SHARE: u64 = 8;

pub struct Process {
    pub core: Core,
    pub port: Port,
    cursor_due: Option<u64>,
}

pub struct World {
    pub process: Option<Process>,
    pub out: Outside,
    public_key: String,
    /// What the box's clock is off by.
    pub skew: i64,
    pub clock_lost: bool,
    /// Given back by a person, whoever was told of it.
    pub by_hand: BTreeMap<TenderId, (TenderKind, i64)>,
    /// Rows that went with a disk that was replaced by its copy.
    pub lost: Vec<Record>,
    /// How often a copy was put in place of the disk.
    pub restores: u64,
    /// A copy was put in place of headquarters' database.
    pub hq_restored: bool,
}

impl World {
    pub fn new(seed: u64, variant: Variant, template: &Mutex<Template>) -> Result<Self> {
        let mut random = Random::new(seed ^ 0x0D15_C0DE);
        let seldom = variant == Variant::SyncsSeldom;
        let on_file = random.one_in(FILE_SHARE) || seldom;
        let drive = if on_file { Drive::file(seed, &mut random, seldom) } else { Drive::memory() };
        let public_key = template.lock().expect("nobody panics with it").public_key();
        let hq = Headquarters::new(template, variant)?;
        let mut world = Self {
            process: None,
            out: Outside::new(seed, variant, drive, hq),
            public_key,
            skew: 0,
            clock_lost: false,
            by_hand: BTreeMap::new(),
            lost: Vec::new(),
            restores: 0,
            hq_restored: false,
        };
        world.start()?;
        Ok(world)
    }

    /// Everything the script says, and then calm until all that is in flight has come to an end.
    pub fn run(&mut self, script: &[Act]) -> Result<()> {
        for act in script {
            let until = self.out.clock + act.wait;
            self.run_until(until)?;
            if self.out.wrong.is_some() {
                return Ok(());
            }
            self.out.random = Random::new(act.luck);
            self.act(act.what)?;
        }
        self.settle()
    }

    /// A shopper comes to each lane, so that the box has something to say: what an old message made headquarters believe of a
    /// box is put right with the next row.
    pub fn goes_on(&mut self) -> Result<()> {
        for lane in LANES {
            self.act(What::Shop(lane, Do::Scan(0)))?;
        }
        self.run_until(self.out.clock + 120_000)
    }

    fn settle(&mut self) -> Result<()> {
        let out = &mut self.out;
        out.say(|| "everything works again".into());
        out.calm = true;
        out.random = Random::new(1);
        (out.ending, out.up, out.down) = (None, Default::default(), Default::default());
        out.garbage = false;
        out.manners.clear();
        out.unplugged.clear();
        out.drive.make_room();
        out.hq.disarm();
        out.broker = true;
        if !out.hq.is_up() {
            out.hq.start()?;
        }
        self.end(End::Power);
        for _ in 0..30 {
            self.run_until(self.out.clock + 20_000)?;
            self.staff_look()?;
        }
        self.run_until(self.out.clock + 60_000)
    }

    fn run_until(&mut self, until: u64) -> Result<()> {
        while self.out.wrong.is_none()
            && let Some(at) = self.next().filter(|at| *at <= until)
        {
            self.out.clock = self.out.clock.max(at);
            let clock = self.out.clock;
            let (mut inputs, mut cursor) = (Vec::new(), None);
            while inputs.len() < TURN_MAX
                && let Some(entry) = self.out.queue.first_entry()
                && entry.key().0 <= clock
            {
                let what = entry.remove();
                if let Happening::Box(input) = what {
                    inputs.push(input);
                } else if let Happening::Moved { cursor: moved, new_epoch } = what {
                    let opened = |reason| Input::Hq(HqInput::NewEpoch { epoch: moved.epoch, reason });
                    inputs.extend(new_epoch.map(opened));
                    cursor = Some(moved);
                } else {
                    self.happens(what)?;
                }
            }
            let Some(process) = &mut self.process else { continue };
            if process.port.due().is_some_and(|due| due <= clock) {
                let done = process.port.wake(clock, &self.out.drive);
                self.ported(done);
            }
            let Some(process) = &mut self.process else { continue };
            let due = process.core.store().deadline().is_some_and(|(at, _)| self.out.started + at.0 <= clock);
            inputs.extend(due.then_some(Input::Tick));
            if let Some(cursor) = cursor {
                self.cursor_moved(cursor);
            }
            self.turn(inputs)?;
        }
        self.out.clock = self.out.clock.max(until);
        Ok(())
    }

    fn next(&self) -> Option<u64> {
        let queued = self.out.queue.keys().next().map(|(at, _)| *at);
        let process = self.process.as_ref();
        let tick = process.and_then(|process| process.core.store().deadline());
        let tick = tick.map(|(at, _)| self.out.started + at.0);
        let sync = process.and_then(|process| process.port.due());
        let cursor = process.and_then(|process| process.cursor_due);
        [queued, tick, sync, cursor].into_iter().flatten().min()
    }

    /// Headquarters has everything it acknowledges: the cursor is what lets rows go one day.
    fn cursor_moved(&mut self, cursor: Cursor) {
        let (epoch, acked) = self.out.hq.committed;
        if cursor.epoch == epoch && cursor.acked > acked && !self.hq_restored && !self.out.tampered {
            let wrong = format!("headquarters acknowledged {} and has committed {acked}", cursor.acked);
            self.out.wrong = Some(wrong);
        }
        if let Some(process) = &mut self.process {
            process.core.acked(cursor);
            process.cursor_due.get_or_insert(self.out.clock + CURSOR_EVERY_MS);
        }
    }

    /// The turn of `aisled`, in the world as it is.
    pub fn turn(&mut self, inputs: Vec<Input>) -> Result<()> {
        let now = self.now();
        let Some(process) = &mut self.process else { return Ok(()) };
        for input in inputs {
            process.core.take(now, input, &self.out.shelf);
        }
        let done = process.core.finish(now.mono, &mut self.out);
        if !process.core.has_cursor() || process.cursor_due.is_some_and(|due| due <= self.out.clock) {
            process.cursor_due = process.core.has_cursor().then_some(self.out.clock + CURSOR_EVERY_MS);
        }
        for (wait_ms, what) in std::mem::take(&mut self.out.asks) {
            process.port.ask(wait_ms, what)?;
        }
        if self.out.ended.is_none() && done.is_ok() {
            process.port.head(self.out.clock, self.out.shown);
        }
        self.flow();
        if done.is_err() {
            self.out.ended.get_or_insert(End::Exit);
        }
        self.out.gap("power: after a turn", "kill: after a turn");
        if let Some(end) = self.out.ended.take() {
            self.end(end);
        }
        Ok(())
    }

    /// What the sync port has said goes on its way.
    pub fn flow(&mut self) {
        let Some(process) = &mut self.process else { return };
        for message in std::mem::take(&mut process.port.out) {
            self.out.publish(message);
        }
        for told in std::mem::take(&mut process.port.told) {
            self.out.later(
                0,
                match told {
                    Told::Hq(input) => Happening::Box(Input::Hq(input)),
                    Told::Moved { cursor, new_epoch } => Happening::Moved { cursor, new_epoch },
                },
            );
        }
    }

    fn happens(&mut self, what: Happening) -> Result<()> {
        let clock = self.out.clock;
        match what {
            Happening::Box(_) | Happening::Moved { .. } => {}
            Happening::Start => self.start()?,
            Happening::Connect => self.connect()?,
            Happening::Up(message) => self.out.at_hq(Some(message))?,
            Happening::Down { link, topic, payload } => {
                if let Some(process) = &mut self.process
                    && link == self.out.link
                    && process.port.online
                {
                    let done = process.port.hear(clock, &topic, &payload, &self.out.drive);
                    self.ported(done);
                }
            }
            Happening::HqStarts => {
                if !self.out.hq.is_up() {
                    self.out.hq.start()?;
                    self.out.at_hq(None)?;
                    if self.out.garbage {
                        self.out.litter(true);
                    }
                }
            }
            Happening::Called { generation, job } => self.out.called(generation, job)?,
            Happening::BrokerStarts => {
                self.out.broker = true;
                self.out.at_hq(None)?;
            }
            Happening::Room => {
                self.out.drive.make_room();
                self.out.say(|| "there is room on the disk again".into());
            }
            Happening::GivesUp(device, tender) => {
                if let Some(terminal) = self.out.terminals.get_mut(&device) {
                    terminal.give_up(&tender);
                }
            }
            Happening::Plugged(device) => {
                self.out.unplugged.remove(&device);
                self.out.later(0, Happening::Box(Input::Port { device, status: PortStatus::Up }));
            }
        }
        Ok(())
    }

    fn connect(&mut self) -> Result<()> {
        let Some(process) = &mut self.process else { return Ok(()) };
        if process.port.online {
            return Ok(());
        }
        if !self.out.broker {
            let wait = 1_000 + self.out.random.below(4_000);
            self.out.later(wait, Happening::Connect);
            return Ok(());
        }
        (self.out.link, self.out.connected) = (self.out.link + 1, true);
        let done = process.port.connect(self.out.clock, &self.out.drive);
        self.ported(done);
        if self.out.garbage {
            self.out.litter(false);
        }
        Ok(())
    }

    /// The journal cannot be read: the connection ends, and another is tried.
    fn ported(&mut self, done: Result<()>) {
        if done.is_err() {
            self.out.count("connections ended by a disk that could not be read");
            self.out.line_breaks(false);
            if let Some(process) = &mut self.process {
                process.port.disconnected();
            }
            self.out.later(1_000, Happening::Connect);
        }
        self.flow();
    }

    /// The process starts, as `aisled run` does: the journal first, then a turn that asks about everything in flight.
    fn start(&mut self) -> Result<()> {
        if self.process.is_some() {
            return Ok(());
        }
        let started = match self.out.drive.start() {
            Ok(Ok(started)) => started,
            Ok(Err(wrong)) => {
                self.out.wrong = Some(wrong);
                return Ok(());
            }
            Err(error) => {
                if self.out.drive.is_dead() {
                    self.out.count("power or kill: within a start");
                } else if self.out.drive.full {
                    self.out.count("starts refused for want of room");
                } else if self.out.drive.has_failed() {
                    self.out.count("starts refused by the disk, once");
                } else {
                    self.out.wrong = Some(format!("the box does not start: {error:#}"));
                    return Ok(());
                }
                self.out.drive.stop(self.out.disk_end == End::Power);
                self.out.later(2_000, Happening::Start);
                return Ok(());
            }
        };
        let out = &mut self.out;
        out.count("starts");
        out.shelf.sales = out.drive.book.records.iter().filter_map(crate::shop::sold).collect();
        let Cursor { epoch, acked } = out.drive.book.cursor;
        let head = out.drive.book.head();
        (out.started, out.shown) = (out.clock, head);
        let boot = started.store.facts().boot + 1;
        let uplink = Uplink::new(started.id, epoch, acked, head);
        let nonce = out.clock + 1;
        let port = Port::new(uplink, boot, nonce, &self.public_key)?;
        self.process = Some(Process { core: Core::new(started.store), port, cursor_due: None });
        out.later(0, Happening::Box(Input::Boot { version: "sim".into(), nonce }));
        for lane in LANES {
            for kind in ["scanner", "scale", "terminal", "printer"] {
                let (wait, device) = (1 + out.random.below(1_500), device(kind, lane));
                if !out.unplugged.contains(&device) {
                    out.later(wait, Happening::Box(Input::Port { device, status: PortStatus::Up }));
                }
            }
        }
        let wait = 2 + out.random.below(3_000);
        out.later(wait, Happening::Connect);
        Ok(())
    }

    fn end(&mut self, end: End) {
        self.process = None;
        let out = &mut self.out;
        out.forget_process();
        out.drive.stop(end == End::Power);
        match end {
            End::Power => out.count("power cuts"),
            End::Kill => out.count("processes killed"),
            End::Exit => out.count("processes that ended because the journal could not be written"),
        }
        if end == End::Power && std::mem::take(&mut self.clock_lost) {
            self.skew = -BASE - i64::try_from(out.clock).expect("days");
            out.count("starts in 1970");
        }
        let wait = 500 + out.random.below(5_000);
        out.later(wait, Happening::Start);
    }

    pub fn now(&self) -> Now {
        let clock = i64::try_from(self.out.clock).expect("days");
        Now {
            mono: Mono(self.out.clock - self.out.started),
            utc: Utc((BASE + clock + self.skew).max(0)),
            offset_min: 480,
        }
    }

    pub fn facts(&self) -> Option<&checkout::facts::Facts> {
        self.process.as_ref().map(|process| process.core.store().facts())
    }
}
