//! scan_bytes and basket_bytes: what one scan and one basket cost the card, as asked of the system and as the device saw it.

use crate::place::Place;
use crate::progress;
use crate::report::{Budget, Figure};
use crate::store::{self, Daemon, STAFF_PIN};
use aisled::client;
use anyhow::{Context, Result, ensure};
use checkout::catalog::Item;
use e2e::mount::Mount;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

const BASKETS: u32 = 20;
/// More than the WAL needs to begin anew.
const ROUNDS: u32 = 6;
/// Goods of one basket.
const GOODS: u32 = 12;
const SCAN_ISSUED: f64 = 8.0 * 1024.0;
const SCAN_DEVICE: f64 = 12.0 * 1024.0;
const BASKET_DEVICE: f64 = 250_000.0;
const BASKETS_A_DAY: f64 = 2_000.0;
const LOG_A_DAY: f64 = 10_000_000.0;
/// So that each scan is a commit of its own, as with one shopper.
const APART: Duration = Duration::from_millis(20);

pub fn measure(place: &Place) -> Result<Vec<Figure>> {
    progress(&format!("bytes: {BASKETS} baskets of {GOODS} goods, under strace and on ext4 on a file"));
    let mut figures = Vec::new();
    figures.extend(issued(place)?);
    figures.extend(device(place)?);
    Ok(figures)
}

/// Bytes of every write to a file of the store.
fn issued(place: &Place) -> Result<Vec<Figure>> {
    let folder = place.folder("issued")?;
    let mut till = Till::open(place, &folder)?;
    let log = folder.join("strace.log");
    let Some(strace) = Strace::attach(till.daemon.pid(), &log) else {
        progress("skipped: strace cannot attach here");
        return Ok(Vec::new());
    };
    let said = folder.join("aisled.log");
    let before = said.metadata()?.len();
    till.baskets(|| Ok(0))?;
    let scans = BASKETS * GOODS;
    let logged = said.metadata()?.len() - before;
    drop(strace);
    let written = written(&std::fs::read_to_string(&log)?, &folder);
    ensure!(written > 0, "strace saw no write");
    let each = written as f64 / f64::from(scans);
    let more = json!({"scans": scans, "baskets": BASKETS});
    let day = logged as f64 / f64::from(BASKETS) * BASKETS_A_DAY;
    Ok(vec![
        figure("scan_bytes_issued", each, SCAN_ISSUED, "8 KiB", more.clone()),
        figure("log_bytes_a_day", day, LOG_A_DAY, "10 MB", more),
    ])
}

/// Sectors that reached the device under a file system of its own.
fn device(place: &Place) -> Result<Vec<Figure>> {
    let folder = place.folder("card")?;
    let Some(card) = Mount::card(&folder.join("box"), 256)? else { return Ok(Vec::new()) };
    let name = card.device().context("the card has no device")?;
    let sectors = || -> Result<u64> {
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat"))?;
        Ok(stat.split_ascii_whitespace().nth(6).context("no count of sectors")?.parse()?)
    };
    // What the file system holds back belongs to whoever wrote it.
    let settled = || -> Result<u64> {
        Command::new("sync").arg("-f").arg(&card.at).status()?;
        sectors()
    };
    let mut till = Till::open(place, &card.at)?;
    let wal = || Ok::<_, std::io::Error>(card.at.join("journal.db-wal").metadata()?.len());
    let each = |sectors: u64| sectors as f64 * 512.0 / f64::from(BASKETS * GOODS);
    // Until it begins anew for the first time after a start the WAL grows, and the file system writes down that it does.
    let growing = each(till.baskets(sectors)?);
    for _ in 0..ROUNDS {
        let length = wal()?;
        till.baskets(sectors)?;
        if wal()? == length {
            break;
        }
    }
    let before = settled()?;
    let scan = each(till.baskets(sectors)?);
    let basket = (settled()? - before) as f64 * 512.0 / f64::from(BASKETS);
    drop(till);
    let more = json!({
        "scans": BASKETS * GOODS, "baskets": BASKETS, "file_system": "ext4, noatime",
        "scan_while_the_wal_grows": growing.round(),
    });
    Ok(vec![
        figure("scan_bytes_device", scan, SCAN_DEVICE, "12 KiB", more.clone()),
        figure("basket_bytes_device", basket, BASKET_DEVICE, "250 kB", more),
    ])
}

fn figure(name: &'static str, bytes: f64, most: f64, against: &str, more: Value) -> Figure {
    let (unit, budget) = ("bytes", Budget::AtMost(1.0));
    Figure { name, value: bytes, unit, ratio: bytes / most, budget, against: against.into(), more }
}

/// A staffed lane, goods typed at its page.
struct Till {
    daemon: Daemon,
    address: SocketAddr,
    token: String,
    goods: Vec<Item>,
}

impl Till {
    fn open(place: &Place, folder: &Path) -> Result<Self> {
        store::stock(folder)?;
        let address = store::free()?;
        let daemon = Daemon::start(place, folder, &store::config(folder, address, &[None])?)?;
        let (_, login) = client::post(address, "/api/staff/login", None, &json!({"pin": STAFF_PIN}))?;
        let token = login["token"].as_str().context("the till knows nobody")?.to_owned();
        Ok(Self { daemon, address, token, goods: store::goods()? })
    }

    /// What `meter` counts while goods are scanned, and not while they are paid for.
    fn baskets(&mut self, meter: impl Fn() -> Result<u64>) -> Result<u64> {
        let mut goods = self.goods.iter().cycle();
        let mut counted = 0;
        for _ in 0..BASKETS {
            let before = meter()?;
            for item in goods.by_ref().take(usize::try_from(GOODS)?) {
                self.press(&json!({"key": {"code": item.key.0}}))?;
            }
            std::thread::sleep(APART);
            counted += meter()? - before;
            self.press(&json!({"pay": {"method": {"cash": {"given": 10_000_000}}}}))?;
        }
        Ok(counted)
    }

    fn press(&self, what: &Value) -> Result<()> {
        std::thread::sleep(APART);
        let (status, answer) = client::post(self.address, "/api/staff/lane/1", Some(&self.token), what)?;
        ensure!(status == 200, "{what} was refused: {answer}");
        Ok(())
    }
}

/// Writes of all threads of a process, with the names of their files.
struct Strace(Child);

impl Strace {
    fn attach(pid: u32, log: &Path) -> Option<Self> {
        let calls = "trace=write,writev,pwrite64,pwritev,pwritev2,fallocate,ftruncate";
        let mut command = Command::new("strace");
        command.args(["-f", "-y", "-s", "0", "-e", calls, "-p", &pid.to_string(), "-o"]).arg(log);
        let mut child = command.stderr(std::process::Stdio::null()).spawn().ok()?;
        std::thread::sleep(Duration::from_millis(500));
        let gone = child.try_wait().ok()?.is_some();
        (!gone).then_some(Self(child))
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Sum of what writes to files in `folder` came to.
fn written(log: &str, folder: &Path) -> u64 {
    let folder = format!("<{}/", folder.display());
    let ours =
        log.lines().filter(|line| line.contains(&folder) && line.contains("write") && !line.contains("aisled.log"));
    ours.filter_map(|line| line.rsplit_once("= ")?.1.trim().parse::<u64>().ok()).sum()
}
