//! scan_event, zvt_exchange, receipt_encode, receipt_render: what the drivers add to what the devices do.

use crate::progress;
use crate::report::{Budget, Figure, Sample};
use aisled::config::Device;
use aisled::core_loop::ToCore;
use aisled::device::port;
use aisled::device_board::Board;
use aisled::sim::{build, on_tcp};
use anyhow::{Context, Result, ensure};
use checkout::Input;
use checkout::device::{CardOutcome, DeviceCommand, DeviceEvent, Document, PrintJob, TerminalCommand, TerminalEvent};
use checkout::receipt::Receipt;
use checkout::words::{Money, Mono, TenderId, Utc};
use drivers::sim::{SIMS, Sim, SimIn};
use drivers::{DRIVERS, Driver, In, Kind, Out, Spec};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const ROUNDS: usize = 5_000;
const SCAN_US: f64 = 20.0;
const EXCHANGES: usize = 200;
/// A payment has five events, and a device with a hundred in a second is a flood that its port holds up.
const BETWEEN: Duration = Duration::from_millis(60);
const EXCHANGE_US: f64 = 1_000.0;
const LINES: u32 = 30;
const ENCODE_US: f64 = 500.0;
const RENDER_US: f64 = 5_000.0;
const CODE: &str = "6901234567892";

pub fn measure() -> Result<Vec<Figure>> {
    progress(&format!(
        "devices: {ROUNDS} scans of each scanner, {EXCHANGES} card payments over TCP, a receipt of {LINES} lines"
    ));
    let paper = job()?;
    Ok(vec![scans()?, payments()?, encoded(&paper)?, rendered(&paper)?])
}

fn built(spec: &Spec) -> Result<Box<dyn Driver>> {
    let table: toml::Table = toml::from_str(spec.example)?;
    let options = table.get("options").map_or(Value::Null, |options| json!(options));
    (spec.build)(&options).map_err(anyhow::Error::msg)
}

/// From the last bytes of a scan to its event, for every scanner with a stand-in; the slowest counts.
fn scans() -> Result<Figure> {
    let mut rows: Vec<(&str, Sample)> = Vec::new();
    for spec in DRIVERS.iter().filter(|spec| spec.kind == Kind::Scanner) {
        let Some((_, sim)) = SIMS.iter().find(|(name, _)| *name == spec.name) else { continue };
        let mut sim = sim(&Value::Null).map_err(anyhow::Error::msg)?;
        sim.handle(Mono(0), SimIn::Connected, &mut Out::default());
        let mut scan = Out::default();
        sim.handle(Mono(0), SimIn::Control(&json!({"scan": CODE, "aim": "E0"})), &mut scan);
        let mut driver = built(spec)?;
        driver.handle(Mono(0), In::Opened, &mut Out::default());
        let mut took = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS as u64 {
            let mut out = Out::default();
            let begun = Instant::now();
            driver.handle(Mono(round * 500), In::Bytes(&scan.bytes), &mut out);
            took.push(begun.elapsed());
            ensure!(matches!(&*out.events, [DeviceEvent::Scan(_)]), "{} reads {:?}", spec.name, out.events);
        }
        rows.push((spec.name, Sample::of(&took)));
    }
    let (name, slowest) =
        rows.iter().max_by(|(_, a), (_, b)| a.at(99.0).total_cmp(&b.at(99.0))).context("no scanner")?;
    let each: serde_json::Map<String, Value> =
        rows.iter().map(|(name, took)| ((*name).into(), json!({"p50": took.at(50.0), "p99": took.at(99.0)}))).collect();
    Ok(Figure {
        name: "scan_event",
        value: slowest.at(99.0),
        unit: "µs",
        ratio: slowest.at(99.0) / SCAN_US,
        budget: Budget::AtMost(1.0),
        against: format!("20 µs, at the 99th percentile of {name}, the slowest"),
        more: json!({"scanners": each, "percentile": 99}),
    })
}

/// A terminal that notes how long it worked itself.
struct Timed {
    sim: Box<dyn Sim>,
    ns: Arc<AtomicU64>,
}

impl Sim for Timed {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        let begun = Instant::now();
        self.sim.handle(now, input, out);
        self.ns.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(0), Ordering::Relaxed);
    }

    fn state(&self) -> Value {
        let begun = Instant::now();
        let state = self.sim.state();
        self.ns.fetch_add(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(0), Ordering::Relaxed);
        state
    }
}

/// A whole payment over TCP, from the command to its end: connection, registration, card, answer, acknowledgement.
fn payments() -> Result<Figure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (ours, own) = runtime.block_on(exchanges())?;
    Ok(Figure {
        name: "zvt_exchange",
        value: ours.at(50.0),
        unit: "µs",
        ratio: ours.at(50.0) / EXCHANGE_US,
        budget: Budget::AtMost(1.0),
        against: "1 ms over the terminal's own time, median".into(),
        more: json!({
            "p50": ours.at(50.0).round(), "p99": ours.at(99.0).round(), "terminal_p50": own.at(50.0).round(),
            "payments": ours.len(), "percentile": 50,
        }),
    })
}

/// Overhead and the terminal's own time of each payment.
async fn exchanges() -> Result<(Sample, Sample)> {
    let ns = Arc::new(AtomicU64::new(0));
    let sim = Timed { sim: build("zvt", &json!({"tap_ms": 0}))?, ns: Arc::clone(&ns) };
    let terminal = on_tcp(Box::new(sim), SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let (core, mut inputs) = mpsc::channel(64);
    let (commands, asked) = mpsc::channel(8);
    let device = Device {
        name: "terminal".into(),
        driver: "zvt".into(),
        link: terminal.link.clone(),
        model: None,
        options: json!({"password": "000000", "currency": 156}),
    };
    tokio::spawn(port(device, core, asked, Arc::new(Board::default()), Arc::default()));
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for number in 0..EXCHANGES {
        let tender = TenderId(format!("t-{number}"));
        let (before, begun) = (ns.load(Ordering::Relaxed), Instant::now());
        let authorise = TerminalCommand::Authorise { tender: tender.clone(), amount: Money(1435), at: Utc(0) };
        commands.send(DeviceCommand::Terminal(authorise)).await?;
        paid(&mut inputs, &commands, &tender).await?;
        let terminal = Duration::from_nanos(ns.load(Ordering::Relaxed) - before);
        ours.push(begun.elapsed().saturating_sub(terminal));
        own.push(terminal);
        tokio::time::sleep(BETWEEN).await;
    }
    Ok((Sample::of(&ours), Sample::of(&own)))
}

async fn paid(
    inputs: &mut mpsc::Receiver<ToCore>,
    commands: &mpsc::Sender<DeviceCommand>,
    tender: &TenderId,
) -> Result<()> {
    loop {
        let told = inputs.recv().await.context("the port has ended")?;
        let ToCore::Input(Input::Device { event: DeviceEvent::Terminal(event), .. }) = told else { continue };
        match event {
            TerminalEvent::Answered { outcome: CardOutcome::Approved(_), .. } => {
                let acknowledge = TerminalCommand::Acknowledge { tender: tender.clone() };
                commands.send(DeviceCommand::Terminal(acknowledge)).await?;
            }
            TerminalEvent::Answered { outcome: CardOutcome::Declined { code }, .. } => {
                anyhow::bail!("the stand-in declines with {code}")
            }
            TerminalEvent::Finished { .. } => return Ok(()),
            TerminalEvent::Progress { .. }
            | TerminalEvent::Printed { .. }
            | TerminalEvent::Last { .. }
            | TerminalEvent::Totals { .. }
            | TerminalEvent::Serviced { .. } => {}
        }
    }
}

fn job() -> Result<PrintJob> {
    let line = |no: u32| {
        json!({"name": {"zh": format!("超长名称的商品 {no} 号"), "en": format!("Goods no. {no}")}, "quantity": 1 + no % 3,
               "weight_g": null, "unit_price": 350, "total": 350 * (1 + no % 3), "savings": [[{"zh": "会员价", "en": "Member price"}, 20]]})
    };
    let receipt: Receipt = serde_json::from_value(json!({
        "store": {"zh": "爱丽思便利店", "en": "Aisle Corner Store"}, "lane": 1, "number": 1042, "transaction": "t-1", "at": 0,
        "utc_offset_min": 480, "currency": {"code": "CNY", "numeric": 156, "sign": "￥", "digits": 2}, "language": "zh",
        "lines": (0..LINES).map(line).collect::<Vec<_>>(), "discount": 600, "total": 20_400,
        "taxes": [{"rate_bp": 1300, "net": 18_053, "tax": 2347}],
        "tenders": [{"kind": {"zh": "银行卡", "en": "Card"}, "amount": 20_400, "details": ["622588******6782"]}],
        "change": 0, "member": "**8811", "points": [], "copy": false, "kind": "sale", "training": false, "rounding": 0,
        "code": "R-20261121-02-004200", "coupons": [],
    }))?;
    Ok(PrintJob { document: Document::Receipt(receipt), drawer: true })
}

fn bytes(job: &PrintJob) -> Result<Vec<u8>> {
    let mut out = Out::default();
    let command = DeviceCommand::Print(Box::new(job.clone()));
    built(&drivers::escpos::SPEC)?.handle(Mono(0), In::Command(&command), &mut out);
    ensure!(out.bytes.len() > 1_000, "a receipt of {} bytes", out.bytes.len());
    Ok(out.bytes)
}

fn encoded(job: &PrintJob) -> Result<Figure> {
    let mut took = Vec::new();
    for _ in 0..500 {
        let mut printer = built(&drivers::escpos::SPEC)?;
        let command = DeviceCommand::Print(Box::new(job.clone()));
        let mut out = Out::default();
        let begun = Instant::now();
        printer.handle(Mono(0), In::Command(&command), &mut out);
        took.push(begun.elapsed());
        std::hint::black_box(out);
    }
    Ok(paper("receipt_encode", &Sample::of(&took), ENCODE_US, bytes(job)?.len()))
}

fn rendered(job: &PrintJob) -> Result<Figure> {
    let bytes = bytes(job)?;
    let mut took = Vec::new();
    for _ in 0..200 {
        let begun = Instant::now();
        let svg = drivers::escpos::render::svg(&bytes, 48);
        took.push(begun.elapsed());
        ensure!(svg.ends_with("</svg>") || svg.trim_end().ends_with("</svg>"), "no picture");
    }
    Ok(paper("receipt_render", &Sample::of(&took), RENDER_US, bytes.len()))
}

fn paper(name: &'static str, took: &Sample, budget_us: f64, bytes: usize) -> Figure {
    Figure {
        name,
        value: took.at(99.0),
        unit: "µs",
        ratio: took.at(99.0) / budget_us,
        budget: Budget::AtMost(1.0),
        against: format!("{} ms, at the 99th percentile", budget_us / 1_000.0),
        more: json!({"p50": took.at(50.0).round(), "p99": took.at(99.0).round(), "lines": LINES, "bytes": bytes, "percentile": 99}),
    }
}
