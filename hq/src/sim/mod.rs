//! A fleet in one process: every box has its own MQTT connection and journal, sells, signs, is cut off and comes back. At the
//! end headquarters' database must have what the boxes sold, row by row and to the cent.

mod board;
mod line;
mod member;
mod proof;
mod shop;
mod uplink;

pub use proof::Proof;

use crate::sign::Signer;
use crate::store::{Store, now_ms};
use anyhow::{Context as _, ensure};
use board::{Board, Waits, read};
use clap::Args;
use member::{Member, Phase, Run, fraction};
use serde::Serialize;
use shop::{SALE_ROWS, Shop};
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A line of progress where nobody watches a terminal.
const TELL_EVERY: Duration = Duration::from_secs(10);
const BAR: u64 = 30;

#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How many boxes
    #[arg(long, default_value_t = 100)]
    pub boxes: u64,
    /// The broker, without TLS: host:port
    #[arg(long, value_name = "HOST:PORT")]
    pub broker: String,
    /// Directory of headquarters' data: its key, and the database that is looked at afterwards
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    #[arg(long, default_value = "demo")]
    pub tenant: String,
    /// Events a second, of all boxes together; a sale is seven
    #[arg(long, default_value_t = 1000.0)]
    pub rate: f64,
    /// How long shops sell
    #[arg(long, default_value_t = 60)]
    pub seconds: u64,
    /// Half-way nobody reaches the broker for so many seconds, and then all come back [default: no outage]
    #[arg(long, value_name = "SECONDS")]
    pub outage: Option<u64>,
    /// Boxes that connect for the first time in a second
    #[arg(long, default_value_t = 500)]
    pub ramp: u64,
    /// How long headquarters may take for the rest, once shops are closed
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub patience: u64,
    /// Process of headquarters, on this machine: its memory is reported
    #[arg(long)]
    pub pid: Option<u32>,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub run: String,
    pub boxes: u64,
    pub seconds: f64,
    /// Rows the shops wrote; rows sent, again among them; rows headquarters acknowledged.
    pub made: u64,
    pub sent: u64,
    pub acked: u64,
    /// While shops sold and all were connected for the first time.
    pub acked_per_s: u64,
    ack: Waits,
    /// From the end of the outage until headquarters had what each box had when it came back; none: no outage, or not all did.
    pub settled_s: Option<f64>,
    /// From the close of the shops until headquarters had everything.
    pub drained_s: Option<f64>,
    /// Connections that broke or failed, the outage apart.
    pub lost: u64,
    /// Boxes headquarters opened a new epoch for.
    pub epochs: u64,
    pub hq_kb: Option<Memory>,
    pub proof: Proof,
}

/// Of headquarters' process, in kB.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    pub most: u64,
    pub now: u64,
}

/// # Errors
/// When there is no room for so many connections, no broker under that name, or the database cannot be read.
pub async fn run(options: &Options) -> anyhow::Result<Report> {
    ensure!(options.boxes > 0 && options.rate > 0.0 && options.ramp > 0, "--boxes, --rate and --ramp are above zero");
    crate::files::room_for(options.boxes)?;
    let broker = tokio::net::lookup_host(&options.broker).await.context("--broker is host:port")?.next();
    let broker = broker.with_context(|| format!("{} has no address", options.broker))?;
    let store = Store::open(&options.data)?;
    let public_key = Signer::open(&store.key_path())?.public_key();
    let began = Instant::now();
    let cut = began + Duration::from_secs(options.seconds) / 2;
    let name = format!("{:x}", now_ms() / 1000);
    let run = Arc::new(Run {
        broker,
        tenant: options.tenant.clone(),
        public_key,
        began,
        closes: began + Duration::from_secs(options.seconds),
        again: options.outage.map(|seconds| cut + Duration::from_secs(seconds)),
        every: Duration::from_secs_f64(options.boxes as f64 * SALE_ROWS as f64 / options.rate),
        board: Board::default(),
    });
    let (phases, phase) = watch::channel(Phase::Selling);
    let mut boxes = JoinSet::new();
    for number in 0..options.boxes {
        let shop = Shop::new(format!("sim-{name}-{number:05}"), number, now_ms());
        let nonce = (fraction() * 1e15) as u64 + number + 1;
        let member = Member::new(Arc::clone(&run), phase.clone(), shop, nonce)?;
        boxes.spawn(member.live(Duration::from_secs_f64(number as f64 / options.ramp as f64)));
    }
    drop(phase);
    let times = play(options, &run, &phases).await;
    let members = boxes.join_all().await;
    let waits = run.board.waits();
    let prefix = format!("sim-{name}-");
    let proof = tokio::task::spawn_blocking(move || proof::proof(&store.reader()?, &prefix, &members)).await??;
    Ok(Report {
        run: name,
        boxes: options.boxes,
        seconds: rounded(began.elapsed()),
        made: read(&run.board.made),
        sent: read(&run.board.sent),
        acked: read(&run.board.acked),
        acked_per_s: times.acked_per_s,
        ack: waits,
        settled_s: times.settled.map(rounded),
        drained_s: times.drained.map(rounded),
        lost: read(&run.board.lost),
        epochs: read(&run.board.epochs),
        hq_kb: options.pid.map(memory).transpose()?,
        proof,
    })
}

#[derive(Default)]
struct Times {
    acked_per_s: u64,
    settled: Option<Duration>,
    drained: Option<Duration>,
}

/// The script: open, perhaps an outage, close, and wait for the rest.
async fn play(options: &Options, run: &Run, phases: &watch::Sender<Phase>) -> Times {
    let (board, boxes) = (&run.board, options.boxes);
    let mut times = Times::default();
    let mut told = Progress::new(options);
    let cut = run.began + Duration::from_secs(options.seconds) / 2;
    let give_up = run.closes + Duration::from_secs(options.patience);
    // When all were there, and what was acknowledged by then.
    let mut all: Option<(Instant, u64)> = None;
    loop {
        sleep(LOOK_EVERY).await;
        let (now, acked) = (Instant::now(), read(&board.acked));
        if all.is_none() && read(&board.online) == boxes {
            all = Some((now, acked));
        }
        let phase = match run.again {
            _ if now >= run.closes => Phase::Closed,
            Some(again) if now >= cut && now < again => Phase::Outage,
            Some(_) | None => Phase::Selling,
        };
        let changed = phases.send_if_modified(|before| {
            let changed = *before != phase;
            *before = phase;
            changed
        });
        if let (true, Phase::Closed, Some((since, before))) = (changed, phase, all) {
            times.acked_per_s = ((acked - before) as f64 / now.duration_since(since).as_secs_f64()) as u64;
        }
        if let (None, Some(again), true) = (times.settled, run.again, read(&board.settled) == boxes) {
            times.settled = Some(now.saturating_duration_since(again));
        }
        told.tell(board, now);
        let done = read(&board.done) == boxes;
        if done {
            times.drained = Some(now.saturating_duration_since(run.closes));
        }
        if done || now > give_up {
            phases.send_replace(Phase::Over);
            told.end();
            return times;
        }
    }
}

fn rounded(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

/// A bar on a terminal, a line now and then elsewhere.
struct Progress {
    boxes: u64,
    began: Instant,
    seconds: u64,
    terminal: bool,
    told: Instant,
    acked: u64,
}

impl Progress {
    fn new(options: &Options) -> Self {
        let (now, terminal) = (Instant::now(), std::io::stderr().is_terminal());
        Self { boxes: options.boxes, began: now, seconds: options.seconds.max(1), terminal, told: now, acked: 0 }
    }

    fn tell(&mut self, board: &Board, now: Instant) {
        let since = now.duration_since(self.told);
        if since < if self.terminal { Duration::from_secs(1) } else { TELL_EVERY } {
            return;
        }
        let (made, acked) = (read(&board.made), read(&board.acked));
        let speed = (acked - self.acked) as f64 / since.as_secs_f64();
        (self.told, self.acked) = (now, acked);
        let full = (now.duration_since(self.began).as_secs() * BAR / self.seconds).min(BAR);
        let bar: String = (0..BAR).map(|at| if at < full { '█' } else { '░' }).collect();
        let (online, boxes, behind) = (read(&board.online), self.boxes, made.saturating_sub(acked));
        let line =
            format!("{bar} {online}/{boxes} online, {acked} events at headquarters, {behind} to come, {speed:.0}/s");
        let mut out = std::io::stderr().lock();
        let _ = if self.terminal { write!(out, "\r\x1b[K{line}") } else { writeln!(out, "{line}") };
    }

    fn end(&self) {
        if self.terminal {
            let _ = writeln!(std::io::stderr().lock());
        }
    }
}

fn memory(pid: u32) -> anyhow::Result<Memory> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).with_context(|| format!("--pid {pid}"))?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
        Ok::<u64, anyhow::Error>(line.trim().trim_end_matches("kB").trim().parse()?)
    };
    Ok(Memory { most: of("VmHWM:")?, now: of("VmRSS:")? })
}
