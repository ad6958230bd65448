//! A store to measure: goods as headquarters sends them, a configuration, the daemon as a process.

use crate::place::Place;
use aisled::dataset::Fetch;
use aisled::jws::hex;
use anyhow::{Context, Result, bail, ensure};
use checkout::catalog::Item;
use checkout::wire::{CHUNK_MAX, Manifest};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

pub const STAFF_PIN: &str = "2468";
const CATALOGUE: &str = include_str!("../../../daemon/demo/catalogue.ndjson");
const START: Duration = Duration::from_secs(20);

/// Goods that need nobody: sold by the piece, to anybody.
pub fn goods() -> Result<Vec<Item>> {
    let items: Vec<Item> = CATALOGUE.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    Ok(items.into_iter().filter(|item| !item.by_weight && item.min_age.is_none()).collect())
}

/// Builds `catalog.db` in `data` from the demo's goods.
pub fn stock(data: &Path) -> Result<()> {
    arrive(data, CATALOGUE)?.build(data, None)
}

/// Goods the way they arrive in a shop: packed as headquarters packs them, in checked chunks, ready to be built.
pub fn arrive(data: &Path, rows: &str) -> Result<Fetch> {
    let packed = zstd::bulk::compress(rows.as_bytes(), 9)?;
    let chunks: Vec<(String, &[u8])> =
        packed.chunks(CHUNK_MAX).map(|chunk| (hex(&Sha256::digest(chunk)), chunk)).collect();
    let manifest = Manifest {
        dataset: "catalogue".into(),
        version: 1,
        name: "pb-1".into(),
        chunks: chunks.iter().map(|(hash, _)| hash.clone()).collect(),
        raw: rows.len() as u64,
        rows: rows.lines().count() as u64,
        approvals: Vec::new(),
    };
    let fetch = Fetch::begin(data, manifest)?;
    for (hash, chunk) in chunks {
        ensure!(fetch.take(&hash, chunk)?, "a chunk of the catalogue is not what it claims to be");
    }
    Ok(fetch)
}

/// Many goods: GTIN-13 of one company in a row, sorted as headquarters sends them.
#[derive(Clone, Copy, Debug)]
pub struct Assortment {
    pub items: u64,
}

impl Assortment {
    pub fn key(self, nth: u64) -> String {
        let digits = format!("69{:010}", 1_000_000 + nth);
        let weighted = digits.bytes().rev().zip([3_u64, 1].into_iter().cycle());
        let sum: u64 = weighted.map(|(digit, weight)| u64::from(digit - b'0') * weight).sum();
        format!("{digits}{}", (10 - sum % 10) % 10)
    }

    pub fn price(nth: u64) -> u64 {
        99 + nth % 4_900
    }

    /// As the dataset carries them.
    pub fn rows(self) -> String {
        (0..self.items).fold(String::new(), |mut text, nth| {
            let (key, price) = (self.key(nth), Self::price(nth));
            let _ = writeln!(
                text,
                r#"{{"key":"{key}","name":{{"zh":"商品 {nth}","en":"Article {nth}"}},"price":{price},"tax_bp":1300,"group":"group {}"}}"#,
                nth % 97
            );
            text
        })
    }

    /// The same as CSV.
    pub fn csv(self) -> String {
        (0..self.items).fold(String::new(), |mut text, nth| {
            let (key, price) = (self.key(nth), Self::price(nth));
            let _ = writeln!(text, "{key},商品 {nth},Article {nth},{price},1300,group {}", nth % 97);
            text
        })
    }
}

/// A configuration of staffed lanes, numbered from 1, each with the scanner at the given link if there is one.
pub fn config(data: &Path, listen: SocketAddr, lanes: &[Option<String>]) -> Result<String> {
    let pin = aisled::http::pin::stored(STAFF_PIN)?;
    let mut text = format!(
        "box = \"bench-1\"\ntenant = \"bench\"\ndata = {data:?}\n\n\
         [store]\nname = {{ zh = \"店\", en = \"Store\" }}\ncurrency = \"CNY\"\nutc_offset_min = 480\n\n\
         [http]\nlisten = \"{listen}\"\n\n\
         [[staff]]\nid = \"s-01\"\nname = \"李芳\"\npin = \"{pin}\"\nrole = \"manager\"\n"
    );
    for (number, link) in (1..).zip(lanes) {
        if let Some(link) = link {
            write!(
                text,
                "\n[[device]]\nname = \"scanner-{number}\"\ndriver = \"scanner-line\"\nlink = \"{link}\"\n\
                 options = {{ beep = \"bel\" }}\n"
            )?;
        }
        let scanners = link.as_ref().map(|_| format!("\"scanner-{number}\"")).unwrap_or_default();
        write!(text, "\n[[lane]]\nnumber = {number}\nkind = \"staffed\"\nscanners = [{scanners}]\n")?;
    }
    Ok(text)
}

/// An address nobody listens on.
pub fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// `aisled run` as a process of its own; dropped, it is killed.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// When the process was started.
    pub begun: Instant,
    /// From starting the process to its READY=1.
    pub ready_after: Duration,
}

impl Daemon {
    /// Starts the store configured by `text`, its log in `folder`, and waits until it is ready.
    pub fn start(place: &Place, folder: &Path, text: &str) -> Result<Self> {
        let config = folder.join("aisled.toml");
        std::fs::write(&config, text)?;
        let log = folder.join("aisled.log");
        let name = format!("aisle-bench-{}", std::process::id());
        let ready = UnixDatagram::bind_addr(&UnixAddr::from_abstract_name(&name)?)?;
        ready.set_read_timeout(Some(Duration::from_millis(200)))?;
        let mut command = Command::new(&place.aisled);
        command.args(["run", "--config"]).arg(&config).env("NOTIFY_SOCKET", format!("@{name}"));
        command.stderr(std::fs::File::create(&log)?);
        let begun = Instant::now();
        let child = command.spawn().with_context(|| format!("cannot start {}", place.aisled.display()))?;
        let mut daemon = Self { child, begun, ready_after: Duration::ZERO };
        let mut message = [0; 256];
        while begun.elapsed() < START {
            if let Ok(count) = ready.recv(&mut message)
                && message[..count].starts_with(b"READY=1")
            {
                daemon.ready_after = begun.elapsed();
                return Ok(daemon);
            }
            if let Some(status) = daemon.child.try_wait()? {
                bail!("aisled ended: {status}\n{}", std::fs::read_to_string(&log).unwrap_or_default());
            }
        }
        bail!("aisled was not ready in {START:?}")
    }
}

impl Daemon {
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever had, in bytes (`VmHWM`).
    pub fn peak_memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kilobytes * 1024)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
