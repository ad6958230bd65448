//! A store to measure: goods as headquarters sends them, a configuration, the daemon as a process.

use crate::place::Place;
use aisled::dataset::Fetch;
use aisled::jws::hex;
use anyhow::{Context, Result, bail, ensure};
use checkout::catalog::Item;
use checkout::wire::Manifest;
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

/// Builds `catalog.db` in `data` the way it arrives in a shop: packed, in chunks, checked, switched by rename.
pub fn stock(data: &Path) -> Result<()> {
    let packed = zstd::encode_all(CATALOGUE.as_bytes(), 3)?;
    let chunk = hex(&Sha256::digest(&packed));
    let manifest = Manifest {
        dataset: "catalogue".into(),
        version: 1,
        name: "pb-1".into(),
        chunks: vec![chunk.clone()],
        raw: CATALOGUE.len() as u64,
        rows: CATALOGUE.lines().count() as u64,
    };
    let fetch = Fetch::begin(data, manifest)?;
    ensure!(fetch.take(&chunk, &packed)?, "the catalogue's chunk is not what it claims to be");
    fetch.build(data)
}

/// A configuration of staffed lanes, numbered from 1, each with the scanner at the given link if there is one.
pub fn config(data: &Path, listen: SocketAddr, lanes: &[Option<String>]) -> Result<String> {
    let pin = aisled::http::pin::stored(STAFF_PIN)?;
    let mut text = format!(
        "box = \"bench-1\"\ntenant = \"bench\"\ndata = {data:?}\n\n\
         [store]\nname = {{ zh = \"店\", en = \"Store\" }}\ncurrency = \"CNY\"\nutc_offset_min = 480\n\n\
         [http]\nlisten = \"{listen}\"\n\n\
         [[staff]]\nid = \"s-01\"\nname = \"李芳\"\npin = \"{pin}\"\n"
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
        let mut daemon = Self { child, ready_after: Duration::ZERO };
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

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
