//! scan_to_page: from the last byte of a scan on the serial line to the picture that shows the line, on disk before it is seen.

use crate::bare::Bare;
use crate::page::Page;
use crate::place::Place;
use crate::plot;
use crate::progress;
use crate::report::{Budget, Figure, Sample};
use crate::store::{self, Daemon, STAFF_PIN};
use aisled::client;
use aisled::journal::Reader;
use aisled::sim::{Running, build, on_pty};
use anyhow::{Context, Result, ensure};
use checkout::catalog::Item;
use checkout::words::Mono;
use drivers::Out;
use drivers::sim::{Sim, SimIn};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

const WARM_UP: usize = 60;
const SCANS: usize = 600;
/// Lines of one basket; then it is paid in cash and the next begins.
const BASKET: usize = 20;
/// What the budget allows beyond one commit.
const MARGIN_US: f64 = 2000.0;

/// What was seen, in microseconds.
#[derive(Debug)]
pub struct Scans {
    scans: Sample,
    commits: Sample,
}

pub fn measure(place: &Place) -> Result<Scans> {
    progress(&format!("scan_to_page: {SCANS} scans on a serial line, each beside one bare commit"));
    let folder = place.folder("scan")?;
    store::stock(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (stamps, stamped) = mpsc::channel();
    let scanner = {
        let _context = runtime.enter();
        on_pty(Box::new(Stamped { device: build("scanner-line", &Value::Null)?, stamps }))?
    };
    let address = store::free()?;
    let text = store::config(&folder, address, &[Some(scanner.link.clone())])?;
    let _daemon = Daemon::start(place, &folder, &text)?;
    let mut lane = Lane {
        pull: Box::new(move |code| runtime.block_on(pull(&scanner, code))),
        stamped,
        page: Page::open(address, 1)?,
        address,
        token: login(address)?,
        lines: 0,
    };
    lane.page.until("the scanner", |picture| picture["view"]["devices"][0]["up"] == true)?;
    lane.measure(&folder, &store::goods()?)
}

impl Scans {
    pub fn figure(&self) -> Figure {
        let (ours, bare) = (&self.scans, &self.commits);
        Figure {
            name: "scan_to_page",
            value: ours.at(99.0),
            unit: "µs",
            ratio: ours.at(99.0) / self.allowed(),
            budget: Budget::AtMost(1.0),
            against: "one FULL commit + 2 ms".into(),
            more: json!({
                "p50": ours.at(50.0).round(), "p99": ours.at(99.0).round(), "max": ours.at(100.0).round(),
                "commit_p50": bare.at(50.0).round(), "commit_p99": bare.at(99.0).round(),
                "scans": ours.len(), "percentile": 99,
            }),
        }
    }

    pub fn plot(&self) -> String {
        plot::latency(&self.scans, &self.commits, self.allowed())
    }

    fn allowed(&self) -> f64 {
        self.commits.at(99.0) + MARGIN_US
    }
}

/// One lane seen from outside: a scanner to pull, a page to look at, a till to pay at.
struct Lane {
    pull: Box<dyn Fn(&str)>,
    stamped: mpsc::Receiver<Instant>,
    page: Page,
    address: SocketAddr,
    token: String,
    lines: usize,
}

impl Lane {
    fn measure(&mut self, folder: &Path, goods: &[Item]) -> Result<Scans> {
        let mut pause = Pause(7);
        let mut goods = goods.iter().cycle();
        for item in goods.by_ref().take(WARM_UP) {
            self.scan(item)?;
        }
        let mut bare = Bare::open(&folder.join("bare.db"))?;
        let body = [last_body(&folder.join("journal.db"))?];
        let (mut scans, mut commits) = (Vec::new(), Vec::new());
        for item in goods.take(SCANS) {
            pause.wait();
            scans.push(self.scan(item)?);
            pause.wait();
            let begun = Instant::now();
            bare.commit(&body)?;
            commits.push(begun.elapsed());
        }
        Ok(Scans { scans: Sample::of(&scans), commits: Sample::of(&commits) })
    }

    /// From the line's last byte to the page's.
    fn scan(&mut self, item: &Item) -> Result<Duration> {
        if self.lines == BASKET {
            self.pay()?;
        }
        self.lines += 1;
        let (lines, name) = (self.lines, item.name.en.as_str());
        (self.pull)(&item.key.0);
        let shows = |picture: &Value| {
            let shown = picture["view"]["lines"].as_array();
            shown.is_some_and(|shown| shown.len() == lines && shown[lines - 1]["name"]["en"] == name)
        };
        let (seen, _) = self.page.until("a scanned line", shows)?;
        Ok(seen.duration_since(self.stamped.recv()?))
    }

    fn pay(&mut self) -> Result<()> {
        let cash = json!({"pay": {"method": {"cash": {"given": 10_000_000}}}});
        let (status, answer) = client::post(self.address, "/api/staff/lane/1", Some(&self.token), &cash)?;
        ensure!(status == 200, "cash was refused: {answer}");
        self.page.until("the receipt", |picture| picture["view"]["phase"] == "done")?;
        self.lines = 0;
        Ok(())
    }
}

/// A device that notes when it hands its bytes to the line.
struct Stamped {
    device: Box<dyn Sim>,
    stamps: mpsc::Sender<Instant>,
}

impl Sim for Stamped {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        let pulled = matches!(input, SimIn::Control(_));
        self.device.handle(now, input, out);
        if pulled {
            let _ = self.stamps.send(Instant::now());
        }
    }

    fn state(&self) -> Value {
        self.device.state()
    }
}

async fn pull(scanner: &Running, code: &str) {
    scanner.control(json!({"scan": code})).await;
}

fn login(address: SocketAddr) -> Result<String> {
    let (_, answer) = client::post(address, "/api/staff/login", None, &json!({"pin": STAFF_PIN}))?;
    Ok(answer["token"].as_str().context("the till knows nobody")?.to_owned())
}

/// A row as the daemon wrote it, for a yardstick of the same size.
fn last_body(journal: &Path) -> Result<String> {
    let rows = Reader::open(journal)?.rows(1, usize::MAX, usize::MAX)?;
    let line = rows.into_iter().rev().find(|row| row.body.contains("line_added"));
    Ok(line.context("nothing was sold")?.body)
}

/// Two to eighteen milliseconds, never in step with anything: a hand that scans.
struct Pause(u64);

impl Pause {
    fn wait(&mut self) {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros(2000 + (self.0 >> 33) % 16_000));
    }
}
