//! drain, drain_bytes, drain_narrow, drain_memory: a backlog of sales brought to headquarters, its commit included; beside it a
//! Mosquitto bridge, which keeps what it queues on disk, too, and commits nothing at the far end.

use crate::cold_start::{LANES, fill, scan};
use crate::place::Place;
use crate::progress;
use crate::report::{Budget, Figure, median};
use crate::store::{self, Assortment, Daemon};
use aisled::config::Config;
use aisled::journal::Reader;
use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::{Connection, OpenFlags, OptionalExtension as _};
use serde_json::json;
use std::io::{BufRead as _, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const GOODS: Assortment = Assortment { items: 10_000 };
const ROWS: u64 = 200_000;
const ROUNDS: usize = 3;
const PER_SECOND: f64 = 200_000.0;
const WIRE_BYTES: f64 = 46.0;
/// A shop's line of 10 Mbit/s, each way.
const NARROW: u64 = 10_000_000 / 8;
/// A bridge slows down with what waits: this is where it is at its best.
const BRIDGE_ROWS: u64 = 20_000;
/// On such a line the best agent that was measured brings 3.35 times what the bridge does; twice that is asked for.
const NARROW_TIMES: f64 = 6.7;
const MEMORY_MB: f64 = 20.0;
const PATIENCE: Duration = Duration::from_secs(120);

pub fn measure(place: &Place) -> Result<Vec<Figure>> {
    progress(&format!("drain: a backlog of {ROWS} rows to headquarters"));
    let folder = place.folder("drain")?;
    let full = folder.join("full");
    std::fs::create_dir(&full)?;
    store::arrive(&full, &GOODS.rows())?.build(&full, None)?;
    let listen = store::free()?;
    let scanners = vec![Some("serial:/dev/null".to_owned()); LANES.into()];
    let rows = fill(&full, &Config::parse(&store::config(&full, listen, &scanners)?)?, GOODS, ROWS)?;
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        rounds.push(drain(place, &folder.join(format!("round-{round}")), &full, rows, None)?);
    }
    let narrow = drain(place, &folder.join("narrow"), &full, rows, Some(NARROW))?;
    let quiet = quiet(place, &folder.join("quiet"), &full)?;
    let rates: Vec<f64> = rounds.iter().map(|round| rows as f64 / round.took.as_secs_f64()).collect();
    let bytes: Vec<f64> = rounds.iter().map(|round| round.wire as f64 / rows as f64).collect();
    let (rate, bytes, narrow) = (median(&rates), median(&bytes), rows as f64 / narrow.took.as_secs_f64());
    let peak = rounds.iter().map(|round| round.peak).max().unwrap_or_default();
    // What was measured stands, whatever becomes of the peer.
    let peer_of = |name: &str, rows: u64, line: Option<u64>| {
        bridge(&folder.join(name), &full, rows, line).unwrap_or_else(|error| {
            progress(&format!("drain: no figure of the bridge: {error:#}"));
            None
        })
    };
    let bridges = [peer_of("bridge", BRIDGE_ROWS, None), peer_of("narrow-bridge", BRIDGE_ROWS, Some(NARROW))];
    let peer = |of: Option<f64>| {
        of.map_or(json!("skipped: no mosquitto, or it did not bring everything"), |rate| json!(rate.round()))
    };
    let times = |rate: f64, of: Option<f64>| of.map(|of| (rate / of * 10.0).round() / 10.0);
    Ok(vec![
        Figure {
            name: "drain",
            value: rate,
            unit: "events/s",
            ratio: rate / PER_SECOND,
            budget: Budget::AtLeast(1.0),
            against: format!("{PER_SECOND} events/s, from the welcome to headquarters' last commit, {rows} rows"),
            more: json!({
                "rows": rows, "rounds": ROUNDS, "bridge_rows": BRIDGE_ROWS, "mosquitto_bridge_per_second": peer(bridges[0]),
                "times_the_bridge": times(rate, bridges[0]),
            }),
        },
        Figure {
            name: "drain_bytes",
            value: bytes,
            unit: "bytes",
            ratio: bytes / WIRE_BYTES,
            budget: Budget::AtMost(1.0),
            against: format!("{WIRE_BYTES} bytes on the wire for each event, both ways, MQTT and all"),
            more: json!({"journal_bytes": (body_bytes(&full, rows)? / rows as f64).round()}),
        },
        Figure {
            name: "drain_narrow",
            value: narrow,
            unit: "events/s",
            ratio: bridges[1].map_or(f64::NAN, |bridge| narrow / bridge / NARROW_TIMES),
            budget: Budget::AtLeast(1.0),
            against: format!("{NARROW_TIMES} times a Mosquitto bridge over the same line of 10 Mbit/s"),
            more: json!({"mosquitto_bridge_per_second": peer(bridges[1]), "times_the_bridge": times(narrow, bridges[1])}),
        },
        memory_figure(peak.saturating_sub(quiet), rows),
    ])
}

/// `more`: bytes.
fn memory_figure(more: u64, rows: u64) -> Figure {
    let memory = more as f64 / (1024.0 * 1024.0);
    Figure {
        name: "drain_memory",
        value: memory,
        unit: "MB",
        ratio: memory / MEMORY_MB,
        budget: Budget::AtMost(1.0),
        against: format!("{MEMORY_MB} MB more at the peak (VmHWM) than the same box has that brings nothing anywhere"),
        more: json!({"backlog": rows}),
    }
}

/// The peak of memory of the same box without headquarters, in bytes.
fn quiet(place: &Place, folder: &Path, full: &Path) -> Result<u64> {
    copy(full, folder)?;
    let listen = store::free()?;
    let daemon = Daemon::start(place, folder, &store::config(folder, listen, &vec![None; LANES.into()])?)?;
    scan(listen, 0)?;
    daemon.peak_memory()
}

struct Drained {
    took: Duration,
    wire: u64,
    /// Of the box's memory, in bytes.
    peak: u64,
}

/// Only files: folders hold what datasets arrived in.
fn copy(full: &Path, data: &Path) -> Result<()> {
    std::fs::create_dir_all(data)?;
    for file in std::fs::read_dir(full)? {
        let file = file?.path();
        if file.is_file() {
            std::fs::copy(&file, data.join(file.file_name().context("a folder without names")?))?;
        }
    }
    Ok(())
}

/// One store with the whole backlog, one empty headquarters with the broker inside; `line`: bytes a second each way.
fn drain(place: &Place, folder: &Path, full: &Path, rows: u64, line: Option<u64>) -> Result<Drained> {
    let (data, hq) = (folder.join("box"), folder.join("hq"));
    copy(full, &data)?;
    let (broker, pages) = (store::free()?, store::free()?);
    let program = place.aisled.with_file_name("aisle-hq");
    let key = Command::new(&program).args(["pubkey", "--data"]).arg(&hq).output()?;
    let key = String::from_utf8(key.stdout)?;
    let mut serve = Command::new(&program);
    serve.args(["serve", "--tenant", "bench", "--broker-listen"]).arg(broker.to_string());
    serve.arg("--http").arg(pages.to_string()).arg("--data").arg(&hq);
    let _hq = Process(serve.stderr(Stdio::null()).stdout(Stdio::null()).spawn()?);
    reachable(broker)?;
    let meter = Meter::before(broker, line)?;
    let text = store::config(&data, store::free()?, &vec![None; LANES.into()])?;
    let text = format!("{text}\n[hq]\nbroker = \"mqtt://{}\"\npublic_key = \"{}\"\n", meter.listens, key.trim());
    let daemon = Daemon::start(place, &data, &text)?;
    let acked = Acked::of(&hq.join("hq.db"))?;
    let begun = loop_until(|| Ok(acked.row()?.map(|_| Instant::now())))?;
    let ended = loop_until(|| Ok(acked.row()?.filter(|acked| *acked >= rows).map(|_| Instant::now())))?;
    ensure!(acked.stored()? >= rows, "headquarters acknowledged more than it has");
    Ok(Drained { took: ended - begun, wire: meter.bytes.load(Ordering::Relaxed), peak: daemon.peak_memory()? })
}

/// What headquarters has committed, as any reader of its database sees it.
struct Acked(Connection);

impl Acked {
    fn of(path: &Path) -> Result<Self> {
        Ok(Self(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?))
    }

    /// From the moment the box is known there.
    fn row(&self) -> Result<Option<u64>> {
        let acked: Option<i64> = self.0.query_row("SELECT acked FROM box", [], |row| row.get(0)).optional()?;
        Ok(acked.map(i64::unsigned_abs))
    }

    fn stored(&self) -> Result<u64> {
        let rows: i64 = self.0.query_row("SELECT count(*) FROM journal_event", [], |row| row.get(0))?;
        Ok(rows.unsigned_abs())
    }
}

fn loop_until<T>(mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if let Some(found) = look()? {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    bail!("the backlog did not arrive in {PATIENCE:?}")
}

/// A pipe in front of a broker that counts what goes through, both ways, and may be as slow as a shop's line.
struct Meter {
    listens: SocketAddr,
    bytes: Arc<AtomicU64>,
}

impl Meter {
    fn before(broker: SocketAddr, line: Option<u64>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let meter = Self { listens: listener.local_addr()?, bytes: Arc::default() };
        let bytes = meter.bytes.clone();
        // One connection is all a round makes; the thread ends with it.
        std::thread::spawn(move || -> Result<()> {
            // A box that comes before headquarters listens comes again.
            loop {
                let (near, _) = listener.accept()?;
                let Ok(far) = TcpStream::connect(broker) else { continue };
                for end in [&near, &far] {
                    end.set_nodelay(true)?;
                }
                let up = (near.try_clone()?, far.try_clone()?, bytes.clone());
                std::thread::spawn(move || count(up.0, up.1, &up.2, line));
                count(far, near, &bytes, line);
            }
        });
        Ok(meter)
    }
}

fn count(mut from: TcpStream, mut to: TcpStream, bytes: &AtomicU64, line: Option<u64>) {
    let mut buffer = vec![0; if line.is_some() { 4 * 1024 } else { 64 * 1024 }];
    let mut free = Instant::now();
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        bytes.fetch_add(read as u64, Ordering::Relaxed);
        if let Some(line) = line {
            free = free.max(Instant::now()) + Duration::from_secs_f64(read as f64 / line as f64);
            std::thread::sleep(free.saturating_duration_since(Instant::now()));
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

fn body_bytes(full: &Path, rows: u64) -> Result<f64> {
    let bodies = Reader::open(&full.join("journal.db"))?.rows(1, usize::MAX, usize::try_from(rows)?)?;
    Ok(bodies.iter().map(|row| row.body.len()).sum::<usize>() as f64)
}

/// The same rows, a message each, queued by a Mosquitto whose bridge is down; from the first message a subscriber of the far
/// broker has to the last. None where there is no Mosquitto.
fn bridge(folder: &Path, full: &Path, rows: u64, line: Option<u64>) -> Result<Option<f64>> {
    let tools = ["mosquitto", "mosquitto_pub", "mosquitto_sub"];
    if !tools.iter().all(|tool| found(tool)) {
        return Ok(None);
    }
    progress("drain: the same rows over a Mosquitto bridge");
    std::fs::create_dir(folder)?;
    let (near, far) = (store::free()?, store::free()?);
    let meter = Meter::before(far, line)?;
    let common = "allow_anonymous true\nset_tcp_nodelay true\nmax_queued_messages 0\nmax_inflight_messages 20\nautosave_interval 5\nuser root\n";
    let near_text = format!(
        "listener {} 127.0.0.1\n{common}persistence true\npersistence_location {}/\nconnection up\naddress {}\n\
         topic # out 1\ncleansession false\nrestart_timeout 1\n",
        near.port(),
        folder.display(),
        meter.listens
    );
    std::fs::write(folder.join("near.conf"), near_text)?;
    std::fs::write(folder.join("far.conf"), format!("listener {} 127.0.0.1\n{common}", far.port()))?;
    let broker = |name: &str| -> Result<Process> {
        let mut command = Command::new("mosquitto");
        command.arg("-c").arg(folder.join(name)).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Process(command.spawn()?))
    };
    let _near = broker("near.conf")?;
    reachable(near)?;
    let bodies = Reader::open(&full.join("journal.db"))?.rows(1, usize::MAX, usize::try_from(rows)?)?;
    let mut publish = Command::new("mosquitto_pub");
    publish.args(["-h", "127.0.0.1", "-q", "1", "-t", "journal", "-l", "-p"]).arg(near.port().to_string());
    let mut publisher = publish.stdin(Stdio::piped()).spawn()?;
    let mut lines = std::io::BufWriter::new(publisher.stdin.take().context("no standard input")?);
    for row in &bodies {
        writeln!(lines, "{}", row.body)?;
    }
    drop(lines);
    ensure!(publisher.wait()?.success(), "mosquitto_pub did not publish everything");
    let _far = broker("far.conf")?;
    reachable(far)?;
    let mut listen = Command::new("mosquitto_sub");
    listen.args(["-h", "127.0.0.1", "-q", "1", "-t", "journal", "-F", "x", "-C"]).arg(rows.to_string());
    listen.arg("-W").arg(PATIENCE.as_secs().to_string()).arg("-p").arg(far.port().to_string()).stdout(Stdio::piped());
    let mut listener = Process(listen.spawn()?);
    // The bridge looks again after a second: what counts is the time from the first message to the last.
    let mut came = std::io::BufReader::new(listener.0.stdout.take().context("no standard output")?).lines();
    came.next().context("no message came over the bridge")??;
    let begun = Instant::now();
    let later = came.count() as u64;
    ensure!(later + 1 == rows, "{} of {rows} messages came over the bridge", later + 1);
    Ok(Some(later as f64 / begun.elapsed().as_secs_f64()))
}

fn found(tool: &str) -> bool {
    Command::new(tool).arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

fn reachable(address: SocketAddr) -> Result<()> {
    loop_until(|| Ok(TcpStream::connect(address).ok().map(drop)))
}

/// Ended when dropped.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
