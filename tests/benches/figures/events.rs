//! events_per_second: the core loop fed as fast as it takes inputs, against SQLite alone writing the same rows.

use crate::bare::Bare;
use crate::place::Place;
use crate::plot;
use crate::progress;
use crate::report::{Budget, Figure, median};
use crate::store;
use aisled::catalog::SqliteCatalog;
use aisled::clock::utc;
use aisled::config::Config;
use aisled::core_loop::{COMMANDS_MAX, CoreLoop, INPUTS_MAX, Outlets, Parts, TURN_MAX, ToCore, picture_of, replay};
use aisled::journal::{Journal, Reader};
use aisled::space::Ballast;
use aisled::watch::Pulse;
use anyhow::{Context as _, Result};
use checkout::catalog::Item;
use checkout::device::{DeviceCommand, DeviceEvent, Scan};
use checkout::page::{PageRequest, StaffRequest};
use checkout::words::{DeviceId, LaneId, Money, Mono, Now, RequestId, Role, StaffId};
use checkout::{Input, Step, Store};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot, watch};

const ROUNDS: usize = 5;
const LANES: u16 = 4;
/// Lines of one basket; then it is paid in cash.
const BASKET: usize = 20;
/// Baskets of each lane in one round.
const BASKETS: usize = 160;

/// What was seen, in events per second.
#[derive(Debug)]
pub struct Rounds {
    ours: Vec<f64>,
    bare: Vec<f64>,
    per_turn: usize,
    bytes: usize,
    shares: Shares,
}

pub fn measure(place: &Place) -> Result<Rounds> {
    progress(&format!("events_per_second: {ROUNDS} rounds through the core loop, each beside a bare loop"));
    let data = place.folder("events")?;
    store::stock(&data)?;
    let link = Some("serial:/dev/null".to_owned());
    let config = Config::parse(&store::config(&data, store::free()?, &vec![link; LANES.into()])?)?;
    let shop = Shop {
        runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?,
        config,
        goods: store::goods()?,
    };
    let mut yardstick = Bare::open(&data.join("bare.db"))?;
    let shares = shop.shares()?;
    let mut rounds = Rounds { ours: Vec::new(), bare: Vec::new(), per_turn: 0, bytes: 0, shares };
    // Held open, the write-ahead log stays as it is in a store that runs all day; the first round brings it there.
    let _held = held(&shop.config.data.join("journal.db"))?;
    for warm_up in std::iter::once(true).chain([false; ROUNDS]) {
        let round = shop.round()?;
        rounds.per_turn = round.bodies.len().div_ceil(round.turns);
        rounds.bytes = round.bodies.iter().map(String::len).sum::<usize>() / round.bodies.len();
        let begun = Instant::now();
        for bodies in round.bodies.chunks(rounds.per_turn) {
            yardstick.commit(bodies)?;
        }
        let ended = Instant::now();
        if !warm_up {
            rounds.ours.push(per_second(round.bodies.len(), round.begun, round.ended));
            rounds.bare.push(per_second(round.bodies.len(), begun, ended));
        }
    }
    Ok(rounds)
}

fn held(journal: &Path) -> Result<Reader> {
    drop(Journal::open(journal)?);
    let reader = Reader::open(journal)?;
    // Only who has read holds the file.
    reader.rows(1, 1, 1)?;
    Ok(reader)
}

impl Rounds {
    pub fn figure(&self) -> Figure {
        let (ours, bare) = (median(&self.ours), median(&self.bare));
        Figure {
            name: "events_per_second",
            value: ours,
            unit: "events/s",
            ratio: ours / bare,
            budget: Budget::AtLeast(0.8),
            against: "a bare rusqlite loop, the same rows per FULL transaction".into(),
            more: json!({
                "bare": bare.round(), "inputs_per_turn": TURN_MAX, "events_per_turn": self.per_turn,
                "bytes_per_event": self.bytes, "rounds": self.ours.len(),
                "us_per_event": {
                    "all": tenths(1e6 / ours), "bare": tenths(1e6 / bare), "decide": tenths(self.shares.decide),
                    "commit": tenths(self.shares.commit), "draw": tenths(self.shares.draw),
                },
            }),
        }
    }

    pub fn plot(&self) -> String {
        plot::bars(&[("core loop (decide, chain, commit, draw)", &self.ours), ("bare rusqlite loop", &self.bare)])
    }
}
fn per_second(events: usize, begun: Instant, ended: Instant) -> f64 {
    events as f64 / ended.duration_since(begun).as_secs_f64()
}

/// Where a turn's time goes, in microseconds per event.
#[derive(Debug, Default)]
struct Shares {
    decide: f64,
    commit: f64,
    draw: f64,
}

fn tenths(us: f64) -> f64 {
    (us * 10.0).round() / 10.0
}

struct Shop {
    runtime: Runtime,
    config: Config,
    goods: Vec<Item>,
}

struct Round {
    begun: Instant,
    ended: Instant,
    turns: usize,
    /// Of every row it recorded.
    bodies: Vec<String>,
}

impl Shop {
    /// The journal goes on where the last round left it, as it does in a shop.
    fn round(&self) -> Result<Round> {
        let mut journal = Journal::open(&self.config.data.join("journal.db"))?;
        let (path, before) = (journal.path().to_owned(), journal.head());
        let store = replay(&mut journal, self.config.store()?)?;
        let catalog = SqliteCatalog::open(&self.config.data);
        let (to_core, inputs) = mpsc::channel(INPUTS_MAX);
        let (picture, mut seen) = watch::channel(Arc::new(picture_of(&store, &catalog, before)));
        let outlets = Outlets { devices: self.scanners(), hq: None, control: None };
        let day = self.day();
        let turns = day.len().div_ceil(TURN_MAX);
        let feeder = self.runtime.spawn(async move {
            // The first picture after the boot: from here on there is nothing but the day's work.
            let _ = seen.changed().await;
            let (begun, booted) = (Instant::now(), seen.borrow().head);
            for input in day {
                let _ = to_core.send(input).await;
            }
            let _ = to_core.send(ToCore::Stop).await;
            (begun, booted)
        });
        let ballast = Ballast::new(&self.config.data, self.config.disk.ballast_kb);
        let (zone, pulse) = (self.config.zone()?, Pulse::start(&self.runtime));
        let parts = Parts {
            store,
            journal,
            catalog,
            zone,
            outlets,
            inputs,
            picture,
            ballast,
            wal_kb: u64::MAX,
            pulse,
            nonce: 1,
        };
        let core = CoreLoop::new(parts);
        self.runtime.block_on(core.run())?;
        let ended = Instant::now();
        let (begun, booted) = self.runtime.block_on(feeder).context("the feeder ended early")?;
        let rows = Reader::open(&path)?.rows(booted + 1, usize::MAX, usize::MAX)?;
        Ok(Round { begun, ended, turns, bodies: rows.into_iter().map(|row| row.body).collect() })
    }

    /// The same turns taken apart, outside the loop and over a journal of their own.
    fn shares(&self) -> Result<Shares> {
        let mut journal = Journal::open(&self.config.data.join("apart.db"))?;
        let mut store = Store::new(self.config.store()?);
        let catalog = SqliteCatalog::open(&self.config.data);
        let (mut decide, mut commit, mut draw) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let mut day = self.day().into_iter().filter_map(input).peekable();
        while day.peek().is_some() {
            let mut step = Step::default();
            let begun = Instant::now();
            for input in day.by_ref().take(TURN_MAX) {
                store.step(Now { mono: Mono(0), utc: utc(), offset_min: 480 }, input, &catalog, &mut step);
            }
            let decided = Instant::now();
            journal.commit(&step.events, None, None)?;
            let committed = Instant::now();
            std::hint::black_box(store.view(&catalog));
            decide += decided - begun;
            commit += committed - decided;
            draw += committed.elapsed();
        }
        let per_event = |sum: Duration| sum.as_secs_f64() * 1e6 / journal.head() as f64;
        Ok(Shares { decide: per_event(decide), commit: per_event(commit), draw: per_event(draw) })
    }

    /// Scanners that take every command at once.
    fn scanners(&self) -> BTreeMap<DeviceId, mpsc::Sender<DeviceCommand>> {
        let plug = |lane: u16| {
            let (commands, mut port) = mpsc::channel(COMMANDS_MAX);
            self.runtime.spawn(async move { while port.recv().await.is_some() {} });
            (scanner(lane), commands)
        };
        (1..=LANES).map(plug).collect()
    }

    /// All lanes at work: baskets of different goods, scanned in turn and paid in cash.
    fn day(&self) -> Vec<ToCore> {
        let mut goods = self.goods.iter().cycle();
        let mut day = Vec::new();
        for _ in 0..BASKETS {
            for _ in 0..BASKET {
                day.extend((1..=LANES).zip(&mut goods).map(|(lane, item)| scan(lane, item)));
            }
            day.extend((1..=LANES).map(pay));
        }
        day
    }
}

fn input(what: ToCore) -> Option<Input> {
    match what {
        ToCore::Input(input) => Some(input),
        ToCore::Page { lane, what, .. } => Some(Input::Page { lane, request: RequestId(0), what }),
        ToCore::Acked { .. }
        | ToCore::Time(_)
        | ToCore::Damaged(_)
        | ToCore::Dataset { .. }
        | ToCore::Restart
        | ToCore::Stop => None,
    }
}

fn scanner(lane: u16) -> DeviceId {
    DeviceId(format!("scanner-{lane}"))
}

fn scan(lane: u16, item: &Item) -> ToCore {
    let scan = Scan { aim: None, data: item.key.0.clone().into_bytes() };
    ToCore::Input(Input::Device { device: scanner(lane), event: DeviceEvent::Scan(scan) })
}

fn pay(lane: u16) -> ToCore {
    let request = StaffRequest::TakeCash { given: Money(10_000_000), amount: None };
    let (reply, _) = oneshot::channel();
    ToCore::Page {
        lane: LaneId(lane),
        what: PageRequest::Staff { staff: StaffId("s-01".into()), role: Role::Manager, request },
        reply,
    }
}
