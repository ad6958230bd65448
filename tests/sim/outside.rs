//! Everything around the box's process: its disk, the machines, the way to headquarters, and what is about to fail.

use crate::drive::{Commit, Drive};
use crate::hq::{Crash, Headquarters, Turned};
use crate::random::Random;
use crate::script::{Broker, Manner};
use crate::shop::{CARD, LANES, Shelf, TENANT, device, sold};
use crate::sync::Message;
use crate::tale;
use crate::terminal::Terminal;
use crate::variant::Variant;
use aisle_hq::pay::{Job, desk};
use aisle_hq::{Work, parse};
use aisled::journal::Cursor;
use aisled::turn::World as Act;
use anyhow::{Result, bail};
use checkout::device::{CardOutcome, DeviceCommand, DeviceEvent, PrinterEvent, TerminalCommand, TerminalEvent, Weight};
use checkout::event::Record;
use checkout::facts::Facts;
use checkout::store::PortStatus;
use checkout::wire::Question;
use checkout::words::{DeviceId, Grams, TenderId};
use checkout::{Effect, Input, Store};
use std::collections::{BTreeMap, BTreeSet};

/// A terminal that was not acknowledged for so long takes the money back.
const PATIENCE: u64 = 10_000;

pub enum Happening {
    /// To the box's process; lost with it.
    Box(Input),
    Moved {
        cursor: Cursor,
        new_epoch: Option<String>,
    },
    /// The sync port tries to connect.
    Connect,
    /// The service manager starts the process.
    Start,
    Up(Message),
    /// On the box's connection of that number.
    Down {
        link: u64,
        topic: String,
        payload: Vec<u8>,
    },
    HqStarts,
    /// A provider has done what headquarters' process of that number asked of it.
    Called {
        generation: u64,
        job: Job,
    },
    BrokerStarts,
    Room,
    /// The terminal's patience with an answer nobody acknowledged is over.
    GivesUp(DeviceId, TenderId),
    Plugged(DeviceId),
}

/// How the process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Power,
    Kill,
    /// The journal could not be written.
    Exit,
}

/// Faults of the network that wait for the next message that way.
#[derive(Default)]
pub struct Waiting {
    drops: u32,
    doubles: u32,
    delay: u64,
    pub rewrites: u32,
    pub held: u64,
}

/// A commit the process believes in and the disk does not have: what two of the broken variants do.
struct Held {
    turn: Commit,
    fold: Option<Facts>,
}

pub struct Outside {
    pub variant: Variant,
    pub clock: u64,
    pub random: Random,
    pub shelf: Shelf,
    pub drive: Drive,
    pub terminals: BTreeMap<DeviceId, Terminal>,
    pub hq: Headquarters,
    pub queue: BTreeMap<(u64, u64), Happening>,
    serial: u64,
    /// Power or process end after so many gaps.
    pub ending: Option<(u64, End)>,
    /// What an armed disk does.
    pub disk_end: End,
    pub manners: BTreeMap<DeviceId, Manner>,
    pub unplugged: BTreeSet<DeviceId>,
    pub up: Waiting,
    pub down: Waiting,
    floors: (u64, u64),
    pub broker: bool,
    /// Counts the box's connections; what was sent on an older one is lost.
    pub link: u64,
    pub connected: bool,
    pub started: u64,
    pub ended: Option<End>,
    held: Option<Held>,
    pub shown: u64,
    pub asks: Vec<(u32, Question)>,
    told: BTreeMap<TenderId, TerminalCommand>,
    /// Tenders whose answer was acknowledged to the terminal.
    pub acknowledged: BTreeSet<TenderId>,
    pub calm: bool,
    pub wrong: Option<String>,
    pub counts: BTreeMap<&'static str, u64>,
    pub tale: Option<Vec<String>>,
    /// Everything either end said, where somebody listens.
    pub overheard: Option<Vec<(String, Vec<u8>)>>,
    /// The broker has said something nobody said to it, or something else than was said.
    pub tampered: bool,
    /// It keeps garbage on every topic.
    pub garbage: bool,
}

impl Outside {
    pub fn new(seed: u64, variant: Variant, drive: Drive, hq: Headquarters) -> Self {
        let mut random = Random::new(seed ^ 0x00C0_FFEE);
        let terminals = LANES.map(|lane| (device("terminal", lane), Terminal::new(&mut random)));
        Self {
            variant,
            clock: 1_000,
            random,
            shelf: Shelf::new(),
            drive,
            terminals: terminals.into(),
            hq,
            queue: BTreeMap::new(),
            serial: 0,
            ending: None,
            disk_end: End::Power,
            manners: BTreeMap::new(),
            unplugged: BTreeSet::new(),
            up: Waiting::default(),
            down: Waiting::default(),
            floors: (0, 0),
            broker: true,
            link: 0,
            connected: false,
            started: 0,
            ended: None,
            held: None,
            shown: 0,
            asks: Vec::new(),
            told: BTreeMap::new(),
            acknowledged: BTreeSet::new(),
            calm: false,
            wrong: None,
            counts: BTreeMap::new(),
            tale: None,
            overheard: None,
            tampered: false,
            garbage: false,
        }
    }

    pub fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub fn say(&mut self, line: impl FnOnce() -> String) {
        if let Some(tale) = &mut self.tale {
            let seconds = self.clock / 1_000;
            tale.push(format!("{:>3}:{:02}  {}", seconds / 60, seconds % 60, line()));
        }
    }

    pub fn later(&mut self, delay: u64, what: Happening) {
        self.serial += 1;
        self.queue.insert((self.clock + delay, self.serial), what);
    }

    /// A place where power or process may end.
    pub fn gap(&mut self, power: &'static str, kill: &'static str) -> bool {
        if self.ended.is_some() {
            return true;
        }
        let Some((left, end)) = &mut self.ending else { return false };
        if *left > 0 {
            *left -= 1;
            return false;
        }
        let end = *end;
        let what = if end == End::Power { power } else { kill };
        (self.ended, self.ending) = (Some(end), None);
        self.count(what);
        self.say(|| what.to_owned());
        true
    }

    /// The process is gone: what was on its way to it is lost, and terminals notice.
    pub fn forget_process(&mut self) {
        self.held = None;
        self.asks.clear();
        self.queue.retain(|_, what| {
            !matches!(what, Happening::Box(_) | Happening::Moved { .. } | Happening::Connect | Happening::Down { .. })
        });
        self.terminals.values_mut().for_each(Terminal::connection_lost);
        self.connected = false;
    }

    fn durable(&mut self, turn: Commit, fold: Option<&Facts>) -> Result<()> {
        let records = turn.records.clone();
        let done = self.drive.commit(turn, fold);
        if self.drive.is_dead() {
            self.ended = Some(self.disk_end);
            self.count(match self.disk_end {
                End::Power => "power: within a commit, at a write or sync of SQLite",
                End::Kill | End::Exit => "kill: within a commit, at a write or sync of SQLite",
            });
            self.say(|| "the disk stops in the middle of the commit".into());
            bail!("the disk is gone");
        }
        if let Err(error) = done {
            self.count("commits the disk refused");
            self.say(|| "the disk refuses the commit: nothing is told, the process ends".into());
            return Err(error);
        }
        self.shelf.sales.extend(records.iter().filter_map(sold));
        for record in &records {
            if let Some(line) = tale::fact(record) {
                self.say(|| line);
            }
        }
        Ok(())
    }

    /// The commit that was held back is made at last.
    fn release(&mut self) {
        if let Some(Held { turn, fold }) = self.held.take()
            && self.durable(turn, fold.as_ref()).is_err()
        {
            self.ended.get_or_insert(End::Exit);
        }
    }

    /// What the broken variant does before its commit.
    fn comes_first(&self, effect: &Effect) -> bool {
        let charge = matches!(
            effect,
            Effect::Device { command: DeviceCommand::Terminal(TerminalCommand::Authorise { .. }), .. }
                | Effect::Ask { what: Question::AuthoriseWallet { .. }, .. }
        );
        let acknowledgement = matches!(
            effect,
            Effect::Device { command: DeviceCommand::Terminal(TerminalCommand::Acknowledge { .. }), .. }
        );
        match self.variant {
            Variant::ChargesBeforeCommit => charge,
            Variant::AcknowledgesBeforeCommit => acknowledgement,
            Variant::AsBuilt
            | Variant::ChargesAgainAtBoot
            | Variant::AcknowledgesBeforeHqCommits
            | Variant::SyncsSeldom
            | Variant::TakesTwice
            | Variant::JudgesEveryHello => false,
        }
    }
}

/// What the real turn ends in.
impl Act for Outside {
    fn commit(&mut self, records: &[Record], cursor: Option<Cursor>, fold: Option<&Facts>) -> Result<()> {
        self.count("commits");
        if self.gap("power: before a commit", "kill: before a commit") {
            bail!("no power");
        }
        let turn = Commit { records: records.to_vec(), cursor };
        if matches!(self.variant, Variant::ChargesBeforeCommit | Variant::AcknowledgesBeforeCommit) {
            self.held = Some(Held { turn, fold: fold.cloned() });
            return Ok(());
        }
        self.durable(turn, fold)?;
        if self.gap("power: commit done, nobody told", "kill: commit done, nobody told") {
            bail!("no power");
        }
        Ok(())
    }

    fn snapshot_due(&self, rows: usize) -> bool {
        self.drive.snapshot_due(rows)
    }

    fn perform(&mut self, effect: Effect) {
        if self.ended.is_none() && !self.comes_first(&effect) {
            self.release();
        }
        if self.gap("power: before an effect", "kill: before an effect") {
            return;
        }
        match effect {
            Effect::Device { device, command } => self.device(device, command),
            Effect::Ask { wait_ms, what } => self.asks.push((wait_ms, what)),
            Effect::Reply { .. } | Effect::Control(_) => {}
        }
    }

    fn show(&mut self, _store: &Store) {
        if self.ended.is_none() {
            self.release();
        }
        if self.ended.is_none() {
            self.shown = self.drive.book.head();
        }
    }
}

/// Devices.
impl Outside {
    fn device(&mut self, device: DeviceId, command: DeviceCommand) {
        if self.unplugged.contains(&device) {
            return;
        }
        match command {
            DeviceCommand::Terminal(command) => self.terminal(&device, command),
            DeviceCommand::ReadWeight { .. } => {
                let grams = Grams(100 + u32::try_from(self.random.below(2_000)).expect("small"));
                self.later(300, heard(device, DeviceEvent::Weight(Weight::Stable(grams))));
            }
            DeviceCommand::Print(job) => {
                let transaction = job.document.id().clone();
                self.later(700, heard(device, DeviceEvent::Printer(PrinterEvent::Printed { transaction })));
            }
            DeviceCommand::Beep(_)
            | DeviceCommand::Trigger(_)
            | DeviceCommand::Show(_)
            | DeviceCommand::Light(_)
            | DeviceCommand::Face(_) => {}
        }
    }

    fn terminal(&mut self, device: &DeviceId, command: TerminalCommand) {
        let command = self.asked_again(command);
        self.remember(&command);
        let task = matches!(
            command,
            TerminalCommand::Authorise { .. } | TerminalCommand::Refund { .. } | TerminalCommand::Reverse { .. }
        );
        let manner = if task && !self.calm { self.manners.remove(device) } else { None };
        let declines = self.random.one_in(12);
        let mut delay = 200 + self.random.below(3_000);
        let luck = match manner {
            Some(Manner::Declines) => 0,
            Some(Manner::NeverSays) => 1,
            None if declines => 0,
            Some(Manner::Silent | Manner::Late { .. } | Manner::HangsUp | Manner::LosesAnswer) | None => 9,
        };
        if let Some(manner) = manner {
            self.count(manner.name());
        }
        if let Some(line) = tale::told(device, &command, manner) {
            self.say(|| line);
        }
        if manner == Some(Manner::Silent) {
            return;
        }
        let Some(terminal) = self.terminals.get_mut(device) else { return };
        let events = terminal.told(command, luck);
        match manner {
            Some(Manner::HangsUp) => return self.hangs_up(device, delay, 1_500),
            Some(Manner::Late { ms }) => delay += ms,
            Some(Manner::Declines | Manner::NeverSays | Manner::Silent | Manner::LosesAnswer) | None => {}
        }
        for event in events {
            if let TerminalEvent::Answered { tender, outcome: CardOutcome::Approved(_) } = &event {
                self.later(delay + PATIENCE, Happening::GivesUp(device.clone(), tender.clone()));
            }
            if manner != Some(Manner::LosesAnswer) {
                self.later(delay, heard(device.clone(), DeviceEvent::Terminal(event)));
            }
        }
    }

    /// The variant that charges again where it should ask.
    fn asked_again(&self, command: TerminalCommand) -> TerminalCommand {
        if self.variant == Variant::ChargesAgainAtBoot
            && self.clock < self.started + 10_000
            && let TerminalCommand::Query { tender } = &command
            && let Some(before) = self.told.get(tender)
        {
            return before.clone();
        }
        command
    }

    fn remember(&mut self, command: &TerminalCommand) {
        if let TerminalCommand::Authorise { tender, .. } = command {
            self.told.insert(tender.clone(), command.clone());
        }
        if let TerminalCommand::Acknowledge { tender } = command {
            self.acknowledged.insert(tender.clone());
        }
    }

    /// The line breaks: what was not acknowledged is taken back, what was under way is not heard.
    pub fn hangs_up(&mut self, device: &DeviceId, after: u64, away: u64) {
        if let Some(terminal) = self.terminals.get_mut(device) {
            terminal.connection_lost();
        }
        self.queue.retain(|_, what| !matches!(what, Happening::Box(Input::Device { device: of, .. }) if of == device));
        let status = PortStatus::Down { reason: "hung up".into() };
        self.later(after, Happening::Box(Input::Port { device: device.clone(), status }));
        self.later(after + away, Happening::Plugged(device.clone()));
    }
}

/// The way to headquarters and back.
impl Outside {
    pub fn network(&mut self, fault: Broker) {
        match fault {
            Broker::Drops { up } => self.way(up).drops += 1,
            Broker::Doubles { up } => self.way(up).doubles += 1,
            Broker::Delays { up, ms } => self.way(up).delay += ms,
            Broker::Rewrites { up } => self.way(up).rewrites += 1,
            Broker::HoldsBack { up, ms } => self.way(up).held = ms,
            Broker::Repeats { up, count } => self.repeat(up, count),
            Broker::Garbage => {
                self.garbage = true;
                self.litter(true);
                self.litter(false);
            }
            // Both end the box's connection, which the world around this does.
            Broker::Breaks | Broker::Restarts { .. } => {}
        }
    }

    pub fn way(&mut self, up: bool) -> &mut Waiting {
        if up { &mut self.up } else { &mut self.down }
    }

    pub fn publish(&mut self, mut message: Message) {
        self.count("messages from the box");
        self.overhear(&message.topic, &message.payload);
        if message.payload.windows(CARD.len()).any(|part| part == CARD.as_bytes()) {
            self.wrong = Some(format!("a card's number is on the wire, on {}", message.topic));
        }
        if !self.broker {
            return self.count("messages lost with a broker or a connection");
        }
        let Some((delay, again)) = self.fate(true) else { return };
        self.rewrite(true, &message.topic, &mut message.payload);
        self.floors.0 = self.floors.0.max(self.clock + delay);
        let at = self.floors.0 - self.clock + self.held_back(true);
        if let Some(again) = again {
            let copy = Message { topic: message.topic.clone(), payload: message.payload.clone() };
            self.later(at + again, Happening::Up(copy));
        }
        self.later(at, Happening::Up(message));
    }

    /// How long the next message takes, and after how long it comes once more; nothing: it is lost.
    fn fate(&mut self, up: bool) -> Option<(u64, Option<u64>)> {
        let mut delay = 2 + self.random.below(120);
        let again = self.random.below(3_000);
        let way = self.way(up);
        if way.drops > 0 {
            way.drops -= 1;
            self.count("messages dropped by the broker");
            return None;
        }
        let late = std::mem::take(&mut way.delay);
        let double = way.doubles > 0;
        way.doubles -= u32::from(double);
        if late > 0 {
            delay += late;
            self.count("messages delayed");
        }
        if double {
            self.count("messages doubled, the copy out of order");
        }
        Some((delay, double.then_some(again)))
    }

    /// A message has come to headquarters, or its link has come up.
    pub fn at_hq(&mut self, message: Option<Message>) -> Result<()> {
        if !self.hq.is_up() || !self.broker {
            self.count("messages lost with a broker or a connection");
            return Ok(());
        }
        let heard = self.hq.instant(self.clock);
        let Some(message) = message else { return self.hq_works(Work::LinkUp { shards: aisle_hq::lease::all() }) };
        match parse(TENANT, &message.topic, &message.payload) {
            Ok(Work::Ask { box_id, ask, .. }) => self.hq_works(Work::Ask { box_id, ask, heard }),
            Ok(work) => self.hq_works(work),
            Err(_) if self.tampered => {
                self.count("messages headquarters could not read");
                Ok(())
            }
            Err(reason) => bail!("headquarters refuses a message: {reason}"),
        }
    }

    /// A second has passed there, and providers may have told something unasked.
    pub fn hq_ticks(&mut self) -> Result<()> {
        if !self.hq.is_up() {
            return Ok(());
        }
        for (order, told) in self.hq.providers().wallets.notices() {
            self.count("provider: told of money taken after it was given up");
            self.hq_works(Work::Noticed { order, told })?;
        }
        self.hq_works(Work::Tick)
    }

    /// What a provider was asked for is done; whoever asked may be gone.
    pub fn called(&mut self, generation: u64, job: Job) -> Result<()> {
        let work = desk::make(&self.hq.providers(), job);
        self.count("provider: calls");
        if generation == self.hq.generation && self.hq.is_up() {
            return work.map_or(Ok(()), |work| self.hq_works(work));
        }
        self.count("provider: answers nobody was there to hear");
        Ok(())
    }

    fn hq_works(&mut self, work: Work) -> Result<()> {
        if !self.hq.is_up() {
            return Ok(());
        }
        let (crash, before) = (self.hq.crash, self.hq.committed);
        let said = match self.hq.turn(self.clock, work)? {
            Turned::Said(said) => said,
            Turned::Crashed(said) => {
                self.count(match crash {
                    Some(Crash::Before) => "headquarters crashed before its commit",
                    Some(Crash::After) => "headquarters crashed after its commit, nobody told",
                    None => "headquarters killed at a write or sync of SQLite",
                });
                self.say(|| format!("headquarters crashes ({crash:?} its commit)"));
                let away = 500 + self.random.below(20_000);
                self.later(away, Happening::HqStarts);
                said
            }
        };
        self.count("turns of headquarters");
        let after = self.hq.committed;
        if after != before {
            self.say(|| format!("    headquarters has {} rows of epoch {}", after.1, after.0));
        }
        let generation = self.hq.generation;
        for job in self.hq.calls() {
            let wait = 100 + self.random.below(2_000);
            self.later(wait, Happening::Called { generation, job });
        }
        for message in said {
            self.send_down(message.topic, message.payload.to_vec());
        }
        Ok(())
    }

    fn send_down(&mut self, topic: String, mut payload: Vec<u8>) {
        self.overhear(&topic, &payload);
        if !self.connected {
            return self.count("messages lost with a broker or a connection");
        }
        let Some((delay, again)) = self.fate(false) else { return };
        self.rewrite(false, &topic, &mut payload);
        self.floors.1 = self.floors.1.max(self.clock + delay);
        let (at, link) = (self.floors.1 - self.clock + self.held_back(false), self.link);
        if let Some(again) = again {
            self.later(at + again, Happening::Down { link, topic: topic.clone(), payload: payload.clone() });
        }
        self.later(at, Happening::Down { link, topic, payload });
    }

    /// The box's connection breaks, and what was on its way on it.
    pub fn line_breaks(&mut self, both_ways: bool) {
        self.connected = false;
        self.queue.retain(|_, what| match what {
            Happening::Down { .. } => false,
            Happening::Up(_) => !both_ways,
            Happening::Box(_)
            | Happening::Moved { .. }
            | Happening::Connect
            | Happening::Start
            | Happening::HqStarts
            | Happening::Called { .. }
            | Happening::BrokerStarts
            | Happening::Room
            | Happening::GivesUp(..)
            | Happening::Plugged(_) => true,
        });
    }
}

fn heard(device: DeviceId, event: DeviceEvent) -> Happening {
    Happening::Box(Input::Device { device, event })
}
