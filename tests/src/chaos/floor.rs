//! The shop of the trial: every device that has a stand-in, on lanes enough for all of them, and one lane nobody disturbs.

use super::witness::{Told, Witness};
use crate::{PIN, finished, free, program, until};
use aisled::sim::{Running, on_pty, on_pty_at, on_tcp};
use aisled::{client, http};
use anyhow::{Context, Result, ensure};
use drivers::sim::SIMS;
use drivers::{DRIVERS, Kind, LinkKind, Spec};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use tempfile::TempDir;

pub(crate) const KINDS: [Kind; 6] =
    [Kind::Scanner, Kind::Scale, Kind::Terminal, Kind::Printer, Kind::Display, Kind::Light];
/// Goods sold by the piece: each is scanned once in the whole trial, so that a scan can be told from every other.
const GOODS: u32 = 60_000;
pub(crate) const PEARS: &str = "2112345000008";
/// The first descriptor the daemon inherits; a shell opens one digit only.
const FIRST_FD: u32 = 5;

pub(crate) struct Device {
    pub(crate) name: String,
    pub(crate) spec: &'static Spec,
    pub(crate) lane: u16,
    pub(crate) running: Running,
    /// The daemon was started with its line and cannot open it again.
    pub(crate) inherited: bool,
    link: String,
}

pub(crate) struct Floor {
    folder: TempDir,
    pub(crate) pages: SocketAddr,
    hq_pages: SocketAddr,
    broker: SocketAddr,
    pub(crate) devices: Vec<Device>,
    /// Disturbed lanes are 1 to `calm - 1`.
    pub(crate) calm: u16,
    inherited: Vec<String>,
    shop: Option<Child>,
    hq: Option<Child>,
    pub(crate) runtime: tokio::runtime::Runtime,
}

/// The rows of `kind` that have a stand-in.
fn rows(kind: Kind) -> Vec<&'static Spec> {
    let simulated = |spec: &&Spec| SIMS.iter().any(|(name, _)| *name == spec.name);
    DRIVERS.iter().filter(|spec| spec.kind == kind).filter(simulated).collect()
}

/// Price and code of the goods numbered `number`: an EAN-13 with its check digit.
pub(crate) fn goods(number: u32) -> (String, i64) {
    let body = format!("690{number:09}");
    let odd_even =
        body.bytes().enumerate().map(|(at, digit)| u32::from(digit - b'0') * if at % 2 == 0 { 1 } else { 3 });
    let check = (10 - odd_even.sum::<u32>() % 10) % 10;
    (format!("{body}{check}"), 100 + i64::from(number % 900))
}

/// Which goods belong to `lane`.
pub(crate) fn shelf(lane: u16, lanes: u16) -> std::ops::Range<u32> {
    let each = GOODS / u32::from(lanes);
    let from = u32::from(lane - 1) * each;
    from..from + each
}

/// What is said of each scan at the scanner of a lane.
pub(crate) type Ears = Vec<(u16, mpsc::Receiver<Told>)>;

impl Floor {
    pub(crate) fn open() -> Result<(Self, Ears)> {
        let most = KINDS.iter().map(|kind| rows(*kind).len()).max().unwrap_or(1);
        let calm = u16::try_from(most)? + 1;
        let mut floor = Self {
            folder: tempfile::tempdir()?,
            pages: free()?,
            hq_pages: free()?,
            broker: free()?,
            devices: Vec::new(),
            calm,
            inherited: Vec::new(),
            shop: None,
            hq: None,
            runtime: tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        };
        let mut ears = Ears::new();
        for lane in 1..calm {
            for kind in KINDS {
                let rows = rows(kind);
                if let Some(spec) = rows.get(usize::from(lane - 1) % rows.len().max(1)) {
                    floor.plug_in(spec, kind, lane, &mut ears)?;
                }
            }
        }
        for kind in [Kind::Scanner, Kind::Scale, Kind::Terminal, Kind::Printer] {
            floor.plug_in(rows(kind).first().context("no stand-in")?, kind, calm, &mut ears)?;
        }
        let key = floor.headquarters()?;
        std::fs::write(floor.path("aisled.toml"), floor.configuration(&key)?)?;
        floor.start()?;
        Ok((floor, ears))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.path("box/journal.db")
    }

    fn plug_in(&mut self, spec: &'static Spec, kind: Kind, lane: u16, ears: &mut Ears) -> Result<()> {
        let name = format!("{}-{lane}", kind_name(kind));
        let (witness, told) = Witness::of(spec.name)?;
        if kind == Kind::Scanner {
            ears.push((lane, told));
        }
        let _context = self.runtime.enter();
        let takes = |link| spec.links.contains(&link);
        let path = self.path(&name);
        let network =
            takes(LinkKind::TcpPerCommand) || (takes(LinkKind::Tcp) && kind == Kind::Printer && lane.is_multiple_of(2));
        let (running, link) = if network {
            let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let running = self.runtime.block_on(on_tcp(Box::new(witness), here))?;
            let link = running.link.clone();
            (running, link)
        } else if takes(LinkKind::Hid) {
            (on_pty_at(Box::new(witness), path.clone())?, format!("hid:{}", path.display()))
        } else if takes(LinkKind::Evdev) {
            // No stand-in can make an input device: the daemon is started with the line instead.
            let running = on_pty(Box::new(witness))?;
            let link = format!("fd:{}", FIRST_FD + u32::try_from(self.inherited.len())?);
            self.inherited.push(running.link.trim_start_matches("serial:").into());
            (running, link)
        } else {
            let running = on_pty_at(Box::new(witness), path)?;
            let link = running.link.clone();
            (running, link)
        };
        let inherited = link.starts_with("fd:");
        self.devices.push(Device { name, spec, lane, running, inherited, link });
        Ok(())
    }

    /// Goods, headquarters' key, and headquarters itself.
    fn headquarters(&mut self) -> Result<String> {
        let mut rows = String::new();
        for (code, price) in (0..GOODS).map(goods) {
            writeln!(rows, r#"{{"key":"{code}","name":{{"zh":"商品","en":"Goods"}},"price":{price},"tax_bp":1300}}"#)?;
        }
        rows += r#"{"key":"2112345","name":{"zh":"梨","en":"Pears"},"price":798,"tax_bp":900,"by_weight":true}"#;
        let file = self.path("catalogue.ndjson");
        std::fs::write(&file, rows)?;
        let data = self.path("hq");
        let mut import = program("aisle-hq");
        finished(import.args(["import", "catalogue"]).arg(file).arg("--data").arg(&data).args(["--name", "pb-1"]))?;
        let key = finished(program("aisle-hq").args(["pubkey", "--data"]).arg(&data))?.trim().to_owned();
        let mut serve = program("aisle-hq");
        serve.args(["serve", "--ready-json"]).arg("--data").arg(data).arg("--http").arg(self.hq_pages.to_string());
        serve.arg("--broker-listen").arg(self.broker.to_string());
        let log = std::fs::File::create(self.path("hq.log"))?;
        let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().context("aisle-hq")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        self.hq = Some(child);
        ensure!(line.contains("ready"), "aisle-hq is not ready: {line}");
        Ok(key)
    }

    fn configuration(&self, key: &str) -> Result<String> {
        let (data, pages, pin) = (self.path("box"), self.pages, http::pin::stored(PIN)?);
        let mut text = format!(
            "box = \"box-1\"\ntenant = \"demo\"\ndata = {data:?}\n\
             [store]\nname = {{ zh = \"店\", en = \"Store\" }}\ncurrency = \"CNY\"\nutc_offset_min = 480\ncodes = [\"21IIIIIWWWWWC\"]\n\
             [http]\nlisten = \"{pages}\"\n\
             [hq]\nbroker = \"mqtt://localhost:{}\"\npublic_key = \"{key}\"\n\
             [[staff]]\nid = \"s-1\"\nname = \"Li\"\npin = \"{pin}\"\nrole = \"manager\"\n",
            self.broker.port(),
        );
        for device in &self.devices {
            let Device { name, spec, link, .. } = device;
            let options = toml_options(spec)?;
            writeln!(
                text,
                "[[device]]\nname = \"{name}\"\ndriver = \"{}\"\nlink = \"{link}\"\noptions = {options}",
                spec.name
            )?;
        }
        for lane in 1..=self.calm {
            writeln!(text, "[[lane]]\nnumber = {lane}\nkind = \"staffed\"")?;
            for device in self.devices.iter().filter(|device| device.lane == lane) {
                if device.spec.kind == Kind::Scanner {
                    writeln!(text, "scanners = [\"{}\"]", device.name)?;
                } else {
                    writeln!(text, "{} = \"{}\"", kind_name(device.spec.kind), device.name)?;
                }
            }
        }
        Ok(text)
    }

    fn start(&mut self) -> Result<()> {
        let aisled = program("aisled");
        // The shell opens the lines that the daemon inherits, and becomes it.
        let opened: String =
            self.inherited.iter().zip(FIRST_FD..).map(|(path, number)| format!(" {number}<>{path}")).collect();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec \"$0\" \"$@\"{opened}")]).arg(aisled.get_program());
        command.env("AISLE_LOG", "info");
        command.args(["run", "--config"]).arg(self.path("aisled.toml"));
        command.stderr(std::fs::File::create(self.path("aisled.log"))?);
        self.shop = Some(command.spawn().context("aisled")?);
        let pages = self.pages;
        until("the pages", || Ok(client::get(pages, "/healthz").is_ok_and(|(status, _)| status == 200)))?;
        until("all devices and the price book", || {
            let (_, view) = client::get(pages, "/api/view/1")?;
            Ok(self.up()?.iter().all(|(_, up)| *up)
                && view["store"]["price_book"] == "pb-1"
                && view["store"]["online"] == true)
        })
        .with_context(|| format!("devices: {:?}", self.up()))
    }

    /// Whether each device delivers, as the daemon tells.
    pub(crate) fn up(&self) -> Result<Vec<(String, bool)>> {
        let (_, told) = client::get(self.pages, "/api/devices")?;
        let of = |device: &Device| (device.name.clone(), told["devices"][&device.name]["enabled"] == true);
        Ok(self.devices.iter().map(of).collect())
    }

    pub(crate) fn view(&self, lane: u16) -> Value {
        client::get(self.pages, &format!("/api/view/{lane}")).map_or(Value::Null, |(_, view)| view["view"].clone())
    }

    pub(crate) fn device(&self, lane: u16, kind: Kind) -> Option<&Device> {
        self.devices.iter().find(|device| device.lane == lane && device.spec.kind == kind)
    }

    pub(crate) fn hand(&self, device: &Device, verb: Value) {
        self.runtime.handle().block_on(device.running.control(verb));
    }

    pub(crate) fn login(&self) -> Result<String> {
        let (_, login) = client::post(self.pages, "/api/staff/login", None, &json!({"pin": PIN}))?;
        Ok(login["token"].as_str().context("the PIN is not known")?.to_owned())
    }

    /// Receipts and their sum at headquarters, once it has all of them.
    pub(crate) fn headquarters_has(&self) -> Result<(i64, i64)> {
        let mut found = (0, 0);
        until("headquarters to have everything", || {
            let (_, view) = client::get(self.pages, "/api/view/1")?;
            let (_, boxes) = client::get(self.hq_pages, "/api/boxes")?;
            let row = boxes.pointer("/boxes/0").or_else(|| boxes.pointer("/0")).cloned().unwrap_or_default();
            let number = |key: &str| row[key].as_i64().unwrap_or(-1);
            found = (number("sales_today"), number("total_today"));
            Ok(view["store"]["online"] == true && view["store"]["backlog"] == 0)
        })?;
        Ok(found)
    }

    /// One number of `/proc/PID/status` of the daemon, in kB.
    pub(crate) fn memory_kb(&self, key: &str) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).context("no such line")?;
        Ok(line.trim().trim_end_matches(" kB").parse()?)
    }

    /// Processor time the daemon has used, in ticks of a hundredth of a second.
    pub(crate) fn ticks(&self) -> Result<u64> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        let (_, fields) = text.rsplit_once(')').context("no such process")?;
        let fields: Vec<u64> = fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse().ok()).collect();
        Ok(fields.iter().sum())
    }

    /// Descriptors the daemon holds open.
    pub(crate) fn descriptors(&self) -> Result<usize> {
        Ok(std::fs::read_dir(format!("/proc/{}/fd", self.pid()?))?.count())
    }

    fn pid(&self) -> Result<u32> {
        Ok(self.shop.as_ref().context("the daemon is not running")?.id())
    }

    /// Ends the daemon in good order; its log.
    pub(crate) fn stop(&mut self) -> Result<String> {
        let mut child = self.shop.take().context("not running")?;
        finished(Command::new("kill").arg(child.id().to_string()))?;
        let status = child.wait()?;
        let log = std::fs::read_to_string(self.path("aisled.log"))?;
        ensure!(status.success(), "aisled ended with {status}: {log}");
        Ok(log)
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        crate::end(self.shop.take());
        crate::end(self.hq.take());
    }
}

pub(crate) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Scanner => "scanner",
        Kind::Scale => "scale",
        Kind::Terminal => "terminal",
        Kind::Printer => "printer",
        Kind::Vision => "vision",
        Kind::Camera => "camera",
        Kind::Display => "display",
        Kind::Light => "light",
    }
}

/// The options of the row's example, in this shop's currency.
fn toml_options(spec: &Spec) -> Result<toml::Value> {
    let table: toml::Table = toml::from_str(spec.example)?;
    let mut options = table.get("options").cloned().unwrap_or_else(|| toml::Table::new().into());
    if let Some(currency) = options.get_mut("currency") {
        *currency = if currency.is_str() { "CNY".into() } else { 156.into() };
    }
    Ok(options)
}
