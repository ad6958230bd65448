//! What one seed decides: a list of what people do and what fails, each with luck of its own, so that a list with some taken
//! out still means the same.

use crate::random::Random;
use crate::shop::{CODES, LANES};
use std::fmt;

/// One decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    /// Milliseconds since the one before.
    pub wait: u64,
    /// Seeds whatever chance does from here to the next act.
    pub luck: u64,
    pub what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    Shop(u16, Do),
    /// A person looks at every lane that waits for one, and says what the machine's display shows.
    StaffLook,
    Fails(Fault),
}

/// What shoppers and staff do at a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Do {
    /// A code of [`CODES`].
    Scan(usize),
    /// The shopper types the number of a card into the page.
    KeyCard,
    Coupon(u64),
    Card {
        part: bool,
    },
    Wallet {
        part: bool,
    },
    Points {
        part: bool,
    },
    Cash {
        part: bool,
    },
    Void,
    StaffVoid,
    VoidLine,
    Three,
    BringBack,
    AnswerStaff,
    Suspend,
    Resume,
    Reprint,
    CloseDay,
    Help,
}

/// What goes wrong, or is about to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The machine loses its power at the n-th gap from now.
    Power {
        gap: u64,
    },
    /// The process is killed at the n-th gap from now; the system runs on.
    Kill {
        gap: u64,
    },
    /// Power or process end at the n-th change SQLite makes to the disk, in stores that run on one.
    Disk {
        nth: u64,
        power: bool,
    },
    Terminal(u16, Manner),
    /// A device's cable is pulled for so long.
    Unplugged {
        device: &'static str,
        lane: u16,
        ms: u64,
    },
    Broker(Broker),
    Hq(Hq),
    /// The box's clock changes by so many hours.
    Clock {
        hours: i64,
    },
    /// The next start finds the clock at 1970.
    ClockLost,
    /// There is no room on the disk for so long.
    Full {
        ms: u64,
    },
    /// The n-th operation of the disk fails, once: for want of room, or just so.
    Refuses {
        nth: u64,
        room: bool,
    },
    /// Somebody copies the box's disk.
    Copied,
    /// Somebody puts the copy in place of the disk.
    Restored,
}

/// How a terminal behaves at its next task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    Declines,
    /// Does it and never says so (seen on real terminals).
    NeverSays,
    Silent,
    Late {
        ms: u64,
    },
    HangsUp,
    LosesAnswer,
}

impl Manner {
    /// As the table of faults names it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declines => "terminals: declined",
            Self::NeverSays => "terminals: did it and never said so",
            Self::Silent => "terminals: silent",
            Self::Late { .. } => "terminals: answered late",
            Self::HangsUp => "terminals: hung up",
            Self::LosesAnswer => "terminals: answer lost, taken back",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broker {
    Drops {
        up: bool,
    },
    Doubles {
        up: bool,
    },
    Delays {
        up: bool,
        ms: u64,
    },
    /// The box's connection breaks, with what was under way.
    Breaks,
    /// The broker starts anew and remembers nothing.
    Restarts {
        ms: u64,
    },
    /// The next message is rewritten here and there, unless it is a question about money or its answer: those the contract
    /// leaves to TLS.
    Rewrites {
        up: bool,
    },
    /// The next message is held back while later ones pass.
    HoldsBack {
        up: bool,
        ms: u64,
    },
    /// Some old messages come again.
    Repeats {
        up: bool,
        count: u64,
    },
    /// Garbage on every topic, and again on whatever connects later, as if it were retained.
    Garbage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hq {
    /// Its next turn is not committed.
    CrashesBefore {
        ms: u64,
    },
    /// Its next turn is committed and nobody is told.
    CrashesAfter {
        ms: u64,
    },
    /// Its process ends at the n-th change SQLite makes to the disk.
    DiskCrash {
        nth: u64,
    },
    Down {
        ms: u64,
    },
    Copied,
    Restored,
}

/// How often each kind of fault comes: stores differ, and a kind that is always there hides what happens without it.
struct Habits {
    power: u64,
    kill: u64,
    terminal: u64,
    cable: u64,
    broker: u64,
    hq: u64,
    clock: u64,
    full: u64,
    copies: u64,
}

pub fn script(seed: u64) -> Vec<Act> {
    let mut random = Random::new(seed);
    let mut some = |weights: [u64; 4]| weights[random.pick(4)];
    let habits = Habits {
        power: some([10, 20, 30, 30]),
        kill: some([0, 2, 4, 8]),
        terminal: some([0, 6, 12, 20]),
        cable: some([0, 0, 2, 6]),
        broker: some([0, 4, 8, 16]),
        hq: some([0, 2, 4, 8]),
        clock: some([0, 0, 1, 4]),
        full: some([0, 0, 1, 2]),
        copies: some([0, 0, 0, 2]),
    };
    let acts = 370 + random.below(120);
    (0..acts).map(|_| act(&mut random, &habits)).collect()
}

fn act(random: &mut Random, habits: &Habits) -> Act {
    let wait = if random.one_in(40) { random.below(300_000) } else { random.below(4_000) };
    let luck = random.next();
    let what = match random.below(10) {
        0 => What::StaffLook,
        1 => What::Fails(fault(random, habits)),
        _ => What::Shop(LANES[random.pick(LANES.len())], shop(random)),
    };
    Act { wait, luck, what }
}

fn shop(random: &mut Random) -> Do {
    let part = random.one_in(2);
    match random.below(60) {
        0..=24 => Do::Scan(random.pick(CODES.len())),
        25..=33 => Do::Card { part },
        34..=37 => Do::Wallet { part },
        38..=39 => Do::Points { part },
        40..=44 => Do::Cash { part },
        45 => Do::Void,
        46..=47 => Do::StaffVoid,
        48..=49 => Do::VoidLine,
        50..=51 => Do::Three,
        52..=53 => Do::BringBack,
        54..=55 => Do::AnswerStaff,
        56 => [Do::Suspend, Do::Resume][random.pick(2)],
        57 => Do::Coupon(random.below(6)),
        58 => [Do::Reprint, Do::Help, Do::KeyCard][random.pick(3)],
        _ => [Do::CloseDay, Do::Resume, Do::BringBack][random.pick(3)],
    }
}

fn fault(random: &mut Random, habits: &Habits) -> Fault {
    let Habits { power, kill, terminal, cable, broker, hq, clock, full, copies } = habits;
    let weights = [power, kill, terminal, cable, broker, hq, clock, full, copies];
    let mut left = random.below(weights.iter().copied().sum());
    let mut kind = 0;
    while left >= *weights[kind] {
        left -= weights[kind];
        kind += 1;
    }
    let lane = LANES[random.pick(LANES.len())];
    match kind {
        0 if random.one_in(3) => Fault::Disk { nth: 1 + random.below(40), power: true },
        0 => Fault::Power { gap: random.below(12) },
        1 if random.one_in(3) => Fault::Disk { nth: 1 + random.below(40), power: false },
        1 => Fault::Kill { gap: random.below(12) },
        2 => Fault::Terminal(lane, manner(random)),
        3 => {
            let device = ["scanner", "scale", "terminal", "printer"][random.pick(4)];
            Fault::Unplugged { device, lane, ms: 1_000 + random.below(60_000) }
        }
        4 => Fault::Broker(broker_fault(random)),
        5 => Fault::Hq(hq_fault(random)),
        6 if random.one_in(3) => Fault::ClockLost,
        6 => Fault::Clock { hours: [-87_600, -25, -1, 1, 30, 87_600][random.pick(6)] },
        7 if random.one_in(2) => Fault::Refuses { nth: 1 + random.below(60), room: random.one_in(2) },
        7 => Fault::Full { ms: 2_000 + random.below(60_000) },
        _ => [Fault::Copied, Fault::Restored][random.pick(2)],
    }
}

/// A day on which only the way to headquarters fails, and its end; two power cuts in a hundred acts.
pub fn network(seed: u64) -> Vec<Act> {
    let mut random = Random::new(seed ^ 0x0BAD_0CAB_1E00);
    let acts = 180 + random.below(80);
    let all = (0..acts).map(|_| {
        let wait = if random.one_in(40) { random.below(120_000) } else { random.below(3_000) };
        let luck = random.next();
        let what = match random.below(50) {
            0..=2 => What::StaffLook,
            3 => What::Fails(Fault::Power { gap: random.below(12) }),
            4..=6 => What::Fails(Fault::Hq(loop {
                let fault = hq_fault(&mut random);
                if !matches!(fault, Hq::Copied | Hq::Restored) {
                    break fault;
                }
            })),
            7..=11 => What::Fails(Fault::Broker(broker_fault(&mut random))),
            12..=17 => What::Fails(Fault::Broker(evil(&mut random))),
            _ => What::Shop(LANES[random.pick(LANES.len())], shop(&mut random)),
        };
        Act { wait, luck, what }
    });
    all.collect()
}

fn evil(random: &mut Random) -> Broker {
    let up = random.one_in(2);
    match random.below(9) {
        0..=2 => Broker::Rewrites { up },
        3..=5 => Broker::HoldsBack { up, ms: 500 + random.below(20_000) },
        6 | 7 => Broker::Repeats { up, count: 1 + random.below(6) },
        _ => Broker::Garbage,
    }
}

fn manner(random: &mut Random) -> Manner {
    match random.below(7) {
        0 => Manner::Declines,
        1 => Manner::NeverSays,
        2 => Manner::Silent,
        3 => Manner::Late { ms: 20_000 + random.below(300_000) },
        4 | 5 => Manner::HangsUp,
        _ => Manner::LosesAnswer,
    }
}

fn broker_fault(random: &mut Random) -> Broker {
    let up = random.one_in(2);
    match random.below(8) {
        0 | 1 => Broker::Drops { up },
        2 | 3 => Broker::Doubles { up },
        4 => Broker::Delays { up, ms: 500 + random.below(20_000) },
        5 | 6 => Broker::Breaks,
        _ => Broker::Restarts { ms: 500 + random.below(20_000) },
    }
}

fn hq_fault(random: &mut Random) -> Hq {
    let ms = 500 + random.below(30_000);
    match random.below(9) {
        0 | 1 => Hq::CrashesBefore { ms },
        2 | 3 => Hq::CrashesAfter { ms },
        4 | 5 => Hq::DiskCrash { nth: 1 + random.below(60) },
        6 => Hq::Down { ms },
        7 => Hq::Copied,
        _ => Hq::Restored,
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shop(lane, what) => write!(f, "lane {lane}: {what}"),
            Self::StaffLook => write!(f, "staff look at the lanes that wait for them"),
            Self::Fails(fault) => write!(f, "from here: {fault}"),
        }
    }
}

impl fmt::Display for Do {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = |part: &bool| if *part { "1.50" } else { "all of it" };
        match self {
            Self::Scan(code) => write!(f, "scans {}", CODES[*code].0),
            Self::KeyCard => write!(f, "the shopper types a card's number into the page"),
            Self::Coupon(serial) => write!(f, "shows coupon {serial}"),
            Self::Card { part: p } => write!(f, "pays {} by card", part(p)),
            Self::Wallet { part: p } => write!(f, "pays {} by wallet", part(p)),
            Self::Points { part: p } => write!(f, "pays {} in points", part(p)),
            Self::Cash { part: p } => write!(f, "pays {} in cash", part(p)),
            Self::Void => write!(f, "the shopper gives the basket up"),
            Self::StaffVoid => write!(f, "staff give the basket up"),
            Self::VoidLine => write!(f, "takes line 1 out"),
            Self::Three => write!(f, "makes line 1 three pieces"),
            Self::BringBack => write!(f, "goods are brought back"),
            Self::AnswerStaff => write!(f, "staff approve what they are asked"),
            Self::Suspend => write!(f, "the basket is suspended"),
            Self::Resume => write!(f, "a suspended basket is resumed"),
            Self::Reprint => write!(f, "prints the receipt again"),
            Self::CloseDay => write!(f, "the supervisor closes the day"),
            Self::Help => write!(f, "calls for help"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Power { gap } => write!(f, "the power fails at gap {gap}"),
            Self::Kill { gap } => write!(f, "the process is killed at gap {gap}"),
            Self::Disk { nth, power: true } => write!(f, "the power fails at change {nth} of the disk"),
            Self::Disk { nth, power: false } => write!(f, "the process is killed at change {nth} of the disk"),
            Self::Terminal(lane, manner) => write!(f, "terminal {lane} at its next task: {manner:?}"),
            Self::Unplugged { device, lane, ms } => write!(f, "{device} {lane} is unplugged for {ms} ms"),
            Self::Broker(fault) => write!(f, "the broker: {fault:?}"),
            Self::Hq(fault) => write!(f, "headquarters: {fault:?}"),
            Self::Clock { hours } => write!(f, "the clock jumps by {hours} hours"),
            Self::ClockLost => write!(f, "the clock's battery is empty: the next start is in 1970"),
            Self::Full { ms } => write!(f, "the disk is full for {ms} ms"),
            Self::Refuses { nth, room: true } => write!(f, "operation {nth} of the disk finds no room"),
            Self::Refuses { nth, room: false } => write!(f, "operation {nth} of the disk fails"),
            Self::Copied => write!(f, "the disk is copied"),
            Self::Restored => write!(f, "the copy is put in place of the disk"),
        }
    }
}
