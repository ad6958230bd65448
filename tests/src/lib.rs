//! A whole store for tests: real `aisled` and `aisle-hq` processes, stand-ins for devices on real lines, a folder that goes.
//!
//! Everything a test does here a person could do: scan, press, pull the plug, look.

pub mod chaos;
pub mod document;
pub mod mount;
mod schema;

use aisled::sim::{Running, build, on_pty, on_tcp, on_tls};
use aisled::{client, http};
use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const COLA: &str = "6901234567892";
pub const NOODLES: &str = "6920000000005";
pub const SPIRITS: &str = "6930000000004";
pub const MEMBER: &str = "M1234567897";
pub const PIN: &str = "1357";
const PATIENCE: Duration = Duration::from_secs(30);

const GOODS: &str = r#"{"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"price":350,"tax_bp":1300}
{"key":"6920000000005","name":{"zh":"方便面","en":"Noodles"},"price":300,"tax_bp":1300,"member_price":280}
{"key":"6930000000004","name":{"zh":"白酒","en":"Spirits"},"price":12800,"tax_bp":1300,"min_age":18}
{"key":"2112345","name":{"zh":"梨","en":"Pears"},"price":798,"tax_bp":900,"by_weight":true}
"#;
/// Who is a member, as people see it.
pub const NAME: &str = "王小明";
pub const PHONE: &str = "13912345678";
const MEMBERS: &str =
    "{\"id\":\"m-001\",\"code\":\"M1234567897\",\"name\":\"王小明\",\"level\":\"gold\",\"phone\":\"13912345678\"}\n";

/// How the store is connected.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// PEM files `ca`, `hq` and `box` (certificate and key each) for mutual TLS; plain loopback without.
    pub tls: Option<Tls>,
    /// A store that headquarters has never sent anything.
    pub empty: bool,
    /// Where the box keeps its files; beside everything else unless it is said.
    pub data: Option<PathBuf>,
    /// What else stands in its configuration.
    pub more: String,
    /// What else its environment holds.
    pub environment: Vec<(String, String)>,
    /// The card terminal speaks nexo behind TLS; ZVT over TCP without.
    pub nexo: Option<NexoTerminal>,
}

/// PEM files of a nexo terminal: its maker's certificate, its own with its key, and what that one says it is.
#[derive(Clone, Debug)]
pub struct NexoTerminal {
    pub ca: PathBuf,
    pub cert: PathBuf,
    pub key: PathBuf,
    pub name: String,
}

#[derive(Clone, Debug)]
pub struct Tls {
    pub ca: PathBuf,
    pub hq: (PathBuf, PathBuf),
    pub shop: (PathBuf, PathBuf),
}

/// A store with one kiosk lane, and its headquarters.
pub struct Shop {
    pub folder: TempDir,
    pub pages: SocketAddr,
    pub hq_pages: SocketAddr,
    broker: SocketAddr,
    plan: Plan,
    key: String,
    pub scanner: Running,
    pub scale: Running,
    pub terminal: Running,
    pub printer: Running,
    shop: Option<Child>,
    hq: Option<Child>,
    _runtime: tokio::runtime::Runtime,
}

impl Shop {
    /// Headquarters with goods and members, and a store that is open.
    ///
    /// # Errors
    /// A program did not start: says which.
    pub fn open(plan: Plan) -> Result<Self> {
        let mut shop = Self::closed(plan)?;
        shop.start_hq()?;
        shop.start()?;
        let book = if shop.plan.empty { "" } else { "pb-1" };
        shop.wait("the devices and the price book", |view| {
            let devices = view["view"]["devices"].as_array();
            devices.is_some_and(|devices| devices.iter().all(|device| device["up"] == true))
                && view["store"]["price_book"] == book
                && view["store"]["online"] == true
        })?;
        Ok(shop)
    }

    /// Everything prepared, nothing started.
    ///
    /// # Errors
    /// No folder, no line, or goods that are not imported.
    pub fn closed(plan: Plan) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (scanner, scale, terminal, printer) = {
            let _context = runtime.enter();
            let pty = |driver| on_pty(build(driver, &json!({}))?);
            let tcp = |driver| runtime.block_on(on_tcp(build(driver, &json!({}))?, here));
            let terminal = match &plan.nexo {
                Some(nexo) => {
                    let secured = on_tls(build("nexo", &json!({}))?, here, &nexo.cert, &nexo.key);
                    let mut terminal = runtime.block_on(secured)?;
                    terminal.link = format!("{}?ca={}&cn={}", terminal.link, nexo.ca.display(), nexo.name);
                    terminal
                }
                None => tcp("zvt")?,
            };
            (pty("scanner-line")?, pty("scale-8217")?, terminal, tcp("escpos")?)
        };
        let mut shop = Self {
            pages: free()?,
            hq_pages: free()?,
            broker: free()?,
            folder,
            key: String::new(),
            plan,
            scanner,
            scale,
            terminal,
            printer,
            shop: None,
            hq: None,
            _runtime: runtime,
        };
        shop.prepare()?;
        Ok(shop)
    }

    fn prepare(&mut self) -> Result<()> {
        for (dataset, rows, name) in [("catalogue", GOODS, "pb-1"), ("members", MEMBERS, "members-1")] {
            let file = self.path(&format!("{dataset}.ndjson"));
            std::fs::write(&file, rows)?;
            if !self.plan.empty {
                let mut import = program("aisle-hq");
                import.args(["import", dataset]).arg(file).arg("--data").arg(self.path("hq")).args(["--name", name]);
                finished(&mut import)?;
            }
        }
        self.key = finished(program("aisle-hq").args(["pubkey", "--data"]).arg(self.path("hq")))?.trim().to_owned();
        std::fs::write(self.config(), self.configuration()?)?;
        Ok(())
    }

    fn configuration(&self) -> Result<String> {
        let (data, pages, pin) = (self.data(), self.pages, http::pin::stored(PIN)?);
        let scheme = if self.plan.tls.is_some() { "mqtts" } else { "mqtt" };
        let mut text = format!(
            "box = \"box-1\"\ntenant = \"demo\"\ndata = {data:?}\n\
             [store]\nname = {{ zh = \"店\", en = \"Store\" }}\ncurrency = \"CNY\"\nutc_offset_min = 480\ncodes = [\"21IIIIIWWWWWC\"]\n\
             [http]\nlisten = \"{pages}\"\n\
             [hq]\nbroker = \"{scheme}://localhost:{}\"\npublic_key = \"{}\"\nkeep_alive_s = 5\n",
            self.broker.port(),
            self.key
        );
        if let Some(Tls { ca, shop, .. }) = &self.plan.tls {
            writeln!(text, "ca = {ca:?}\ncert = {:?}\nkey = {:?}", shop.0, shop.1)?;
        }
        writeln!(text, "[[staff]]\nid = \"s-1\"\nname = \"Li\"\npin = \"{pin}\"\nrole = \"manager\"")?;
        let (terminal, speaks) = if self.plan.nexo.is_some() {
            let sealed = "passphrase = \"change me\", key = \"lane\", key_version = 1";
            ("nexo", format!("{{ sale = \"lane-1\", poi = \"P400Plus-123456789\", currency = \"CNY\", {sealed} }}"))
        } else {
            ("zvt", "{ password = \"000000\", currency = 156 }".to_owned())
        };
        for (name, driver, running, options) in [
            ("scanner", "scanner-line", &self.scanner, "{}"),
            ("scale", "scale-8217", &self.scale, "{}"),
            ("terminal", terminal, &self.terminal, speaks.as_str()),
            ("printer", "escpos", &self.printer, "{}"),
        ] {
            writeln!(
                text,
                "[[device]]\nname = \"{name}\"\ndriver = \"{driver}\"\nlink = \"{}\"\noptions = {options}",
                running.link
            )?;
        }
        writeln!(text, "{}", self.plan.more)?;
        write!(
            text,
            "[[lane]]\nnumber = 1\nkind = \"staffed\"\nscanners = [\"scanner\"]\nscale = \"scale\"\nterminal = \"terminal\"\nprinter = \"printer\"\n"
        )?;
        Ok(text)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the box's files.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.plan.data.clone().unwrap_or_else(|| self.path("box"))
    }

    pub fn journal(&self) -> PathBuf {
        self.data().join("journal.db")
    }

    /// Where the broker listens.
    #[must_use]
    pub const fn broker(&self) -> SocketAddr {
        self.broker
    }

    pub fn config(&self) -> PathBuf {
        self.path("aisled.toml")
    }
}

/// Plugs.
impl Shop {
    /// From the next start on headquarters speaks TLS with these.
    pub fn secure(&mut self, tls: Tls) {
        self.plan.tls = Some(tls);
    }

    /// # Errors
    /// It does not answer.
    pub fn start(&mut self) -> Result<()> {
        let mut command = program("aisled");
        command.arg("run").arg("--config").arg(self.config()).stderr(self.log("aisled.log")?);
        command.envs(self.plan.environment.iter().cloned());
        self.shop = Some(command.spawn().context("aisled")?);
        let pages = self.pages;
        until("the pages", || Ok(client::get(pages, "/healthz").is_ok_and(|(status, _)| status == 200)))
    }

    /// Waits for a daemon that ends by itself; its exit code.
    ///
    /// # Errors
    /// It goes on.
    pub fn ended(&mut self) -> Result<Option<i32>> {
        let mut child = self.shop.take().context("not running")?;
        let mut status = None;
        let gone = until("the daemon to end", || {
            status = child.try_wait()?;
            Ok(status.is_some())
        });
        if gone.is_err() {
            end(Some(child));
        }
        gone?;
        Ok(status.and_then(|status| status.code()))
    }

    /// Starts a daemon that is expected to end at once: its exit code and what it said.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn refuses(&self) -> Result<(Option<i32>, String)> {
        let output = program("aisled").arg("run").arg("--config").arg(self.config()).output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    /// What the daemon has logged.
    ///
    /// # Errors
    /// It was never started.
    pub fn said(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.path("aisled.log"))?)
    }

    /// Process number of the daemon.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.shop.as_ref().map_or(0, Child::id)
    }

    /// # Errors
    /// It does not say that it is ready.
    pub fn start_hq(&mut self) -> Result<()> {
        let mut command = program("aisle-hq");
        command.args(["serve", "--ready-json"]).arg("--data").arg(self.path("hq"));
        command.arg("--http").arg(self.hq_pages.to_string()).arg("--broker-listen").arg(self.broker.to_string());
        if let Some(Tls { ca, hq, .. }) = &self.plan.tls {
            command.arg("--ca").arg(ca).arg("--cert").arg(&hq.0).arg("--key").arg(&hq.1);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(self.log("hq.log")?).spawn().context("aisle-hq")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        self.hq = Some(child);
        ensure!(line.contains("ready"), "aisle-hq is not ready: {line}");
        Ok(())
    }

    /// `kill -9`, as a power cut does.
    pub fn kill(&mut self) {
        end(self.shop.take());
    }

    pub fn kill_hq(&mut self) {
        end(self.hq.take());
    }

    /// Ends the daemon in good order.
    ///
    /// # Errors
    /// It did not end well.
    pub fn stop(&mut self) -> Result<()> {
        let mut child = self.shop.take().context("not running")?;
        finished(Command::new("kill").arg(child.id().to_string()))?;
        let status = child.wait()?;
        ensure!(status.success(), "aisled ended with {status}");
        Ok(())
    }

    fn log(&self, name: &str) -> Result<std::fs::File> {
        Ok(std::fs::OpenOptions::new().create(true).append(true).open(self.path(name))?)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.kill();
        self.kill_hq();
    }
}

/// Hands.
impl Shop {
    /// # Errors
    /// The line did not appear.
    pub fn scan(&self, code: &str) -> Result<()> {
        self.hand(&self.scanner, json!({"scan": code}));
        Ok(())
    }

    pub fn hand(&self, device: &Running, verb: Value) {
        self._runtime.block_on(device.control(verb));
    }

    /// A press on the kiosk page: the answer's status and body.
    ///
    /// # Errors
    /// The daemon is away.
    pub fn press(&self, what: Value) -> Result<(u16, Value)> {
        client::post(self.pages, "/api/lane/1", None, &what)
    }

    /// A press that must be taken.
    ///
    /// # Errors
    /// It was refused: says with which words.
    pub fn pressed(&self, what: Value) -> Result<()> {
        let (status, answer) = self.press(what.clone())?;
        ensure!(status == 200, "{what} was refused: {answer}");
        Ok(())
    }

    /// A press on the staff page.
    ///
    /// # Errors
    /// It was refused, or the PIN is not known.
    pub fn staff(&self, what: Value) -> Result<()> {
        let (_, login) = client::post(self.pages, "/api/staff/login", None, &json!({"pin": PIN}))?;
        let token = login["token"].as_str().context("the PIN is not known")?;
        let (status, answer) = client::post(self.pages, "/api/staff/lane/1", Some(token), &what)?;
        ensure!(status == 200, "{what} was refused: {answer}");
        Ok(())
    }

    /// Scans `codes` and waits until the basket has a line more for each.
    ///
    /// # Errors
    /// A line did not appear.
    pub fn basket(&self, codes: &[&str]) -> Result<()> {
        for (at, code) in codes.iter().enumerate() {
            self.scan(code)?;
            self.wait("a scanned line", |view| lines(view) == at + 1)?;
        }
        Ok(())
    }

    /// Scans the member's code until the lane knows the member: the dataset arrives a moment after the goods.
    ///
    /// # Errors
    /// It never did.
    pub fn member(&self, code: &str) -> Result<()> {
        until("the member", || {
            self.scan(code)?;
            std::thread::sleep(Duration::from_millis(200));
            let (_, view) = client::get(self.pages, "/api/view/1")?;
            Ok(!view["view"]["member"].is_null())
        })
    }

    /// A whole card sale; returns the receipt.
    ///
    /// # Errors
    /// Some step of it did not come.
    pub fn sell(&self, codes: &[&str]) -> Result<Value> {
        self.basket(codes)?;
        self.pressed(json!({"pay": {"method": "card"}}))?;
        let done = self.wait("the sale", |view| view["view"]["phase"] == "done" && printed(view))?;
        Ok(done["view"]["receipt"]["receipt"].clone())
    }
}

/// Eyes.
impl Shop {
    /// The lane's picture as soon as it is as wanted.
    ///
    /// # Errors
    /// It never was: says what was waited for and what was seen.
    pub fn wait(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Result<Value> {
        let mut seen = Value::Null;
        until(what, || {
            if let Ok((200, view)) = client::get(self.pages, "/api/view/1") {
                seen = view;
            }
            Ok(wanted(&seen))
        })
        .with_context(|| format!("the lane shows {seen}"))?;
        Ok(seen)
    }

    /// Waits until headquarters has everything, then its sales.
    ///
    /// # Errors
    /// It never had.
    pub fn sales_at_hq(&self) -> Result<Vec<Value>> {
        self.wait("headquarters to have everything", |view| {
            view["store"]["online"] == true && view["store"]["backlog"] == 0
        })?;
        let (_, sales) = client::get(self.hq_pages, "/api/sales?box=box-1")?;
        let list = sales.as_array().or_else(|| sales["sales"].as_array());
        Ok(list.with_context(|| format!("no list of sales: {sales}"))?.clone())
    }

    /// Amounts the terminal captured.
    #[must_use]
    pub fn captured(&self) -> Vec<i64> {
        let state = self.terminal.state();
        let charges = state["charges"].as_array().map(Vec::as_slice).unwrap_or_default();
        charges
            .iter()
            .filter(|charge| charge["state"] == "captured")
            .filter_map(|charge| charge["amount"].as_i64())
            .collect()
    }

    /// Texts of the receipts that came out of the printer.
    #[must_use]
    pub fn paper(&self) -> Vec<String> {
        let state = self.printer.state();
        let receipts = state["receipts"].as_array().map(Vec::as_slice).unwrap_or_default();
        receipts.iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    }
}

/// Whether the last sale's receipt is on paper.
#[must_use]
pub fn printed(view: &Value) -> bool {
    view["view"]["receipt"]["printed"] == true
}

#[must_use]
pub fn lines(view: &Value) -> usize {
    view["view"]["lines"].as_array().map_or(0, Vec::len)
}

/// Looks again until it is so.
///
/// # Errors
/// It did not become so in [`PATIENCE`].
pub fn until(what: &str, mut so: impl FnMut() -> Result<bool>) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("waited {PATIENCE:?} for {what}")
}

/// A program of ours, beside the test's own folder.
#[must_use]
pub fn program(name: &str) -> Command {
    let here = std::env::current_exe().unwrap_or_default();
    let folder = here.ancestors().find(|folder| folder.join("aisled").exists()).unwrap_or(Path::new("target/debug"));
    let mut command = Command::new(folder.join(name));
    command.env("AISLE_LOG", "info");
    command
}

/// Runs a program to its end; its output.
///
/// # Errors
/// It failed: says with what.
pub fn finished(command: &mut Command) -> Result<String> {
    let output =
        command.output().with_context(|| format!("{command:?} cannot run: `make test` builds the programs first"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{command:?} failed ({}): {said}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(said)
}

fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn free() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
