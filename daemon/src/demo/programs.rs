//! Starts the programs of the demo: headquarters, the vision process, the daemon; each from the folder of this one.

use super::desk::{Desk, LANES};
use super::{Addresses, CATALOGUE, COUPONS, MEMBERS, Options, PAY_PIN, PROMOTIONS, STAFF_BADGE, STAFF_NAME, STAFF_PIN};
use crate::client;
use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};

const START: Duration = Duration::from_secs(20);
const STOP: Duration = Duration::from_secs(3);
/// Photographs the demo's member enrols with; others of the same person are shown to the camera later.
const ENROL: [&str; 3] = ["photos/person_a.jpg", "photos/person_a_2.jpg", "photos/person_a_3.jpg"];

#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) addresses: Addresses,
    /// Faces can be recognised: models, photographs and an enrolled member are there.
    pub(crate) faces: bool,
    folder: PathBuf,
    children: Vec<(&'static str, Child)>,
}

/// An empty folder for this run.
pub(crate) fn prepare(folder: &Path) -> Result<()> {
    let marker = folder.join(".aisle-demo");
    let foreign = folder.exists() && !marker.exists() && std::fs::read_dir(folder)?.next().is_some();
    ensure!(!foreign, "{} is not empty and not a demo's folder: choose another with --dir", folder.display());
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder.join("box")).with_context(|| format!("cannot make {}", folder.display()))?;
    std::fs::write(marker, "made by aisled demo; emptied at its next start\n")?;
    std::fs::write(folder.join("catalogue.ndjson"), CATALOGUE)?;
    std::fs::write(folder.join("members.ndjson"), MEMBERS)?;
    std::fs::write(folder.join("promotions.ndjson"), PROMOTIONS)?;
    std::fs::write(folder.join("coupons.ndjson"), COUPONS)?;
    Ok(())
}

impl Programs {
    pub(crate) async fn start(options: &Options, desk: &Desk) -> Result<Self> {
        let port = |wanted| if options.once { free(0) } else { free(wanted) };
        let addresses = Addresses { pages: port(8080)?, hq: port(8081)?, panel: port(8082)? };
        let mut programs = Self { addresses, faces: false, folder: options.folder.clone(), children: Vec::new() };
        let broker = port(1883)?;
        for (dataset, name) in
            [("catalogue", "pb-1"), ("members", "members-1"), ("promotions", "promotions-1"), ("coupons", "coupons-1")]
        {
            programs.import(dataset, name).await?;
        }
        let made = program("aisle-hq")?.args(["coupon", "keygen"]).arg(programs.coupon_key()).output().await?;
        ensure!(made.status.success(), "no coupon key: {}", String::from_utf8_lossy(&made.stderr));
        let key = programs.start_hq(options, broker).await?;
        programs.faces = programs.start_vision(options, desk).await?;
        if programs.faces {
            programs.sign_mandate().await?;
        }
        programs.start_box(options, desk, broker, &key).await?;
        Ok(programs)
    }

    fn coupon_key(&self) -> PathBuf {
        self.folder.join("coupon.key")
    }

    async fn import(&self, dataset: &str, name: &str) -> Result<()> {
        let file = self.folder.join(format!("{dataset}.ndjson"));
        let mut command = program("aisle-hq")?;
        command.args(["import", dataset]).arg(file).arg("--data").arg(self.folder.join("hq")).args(["--name", name]);
        let output = command.output().await?;
        let said = || String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "the {dataset} is not imported:\n{}", said());
        Ok(())
    }

    /// Headquarters' public key, once it listens.
    async fn start_hq(&mut self, options: &Options, broker: SocketAddr) -> Result<String> {
        if options.mosquitto {
            let config = self.folder.join("mosquitto.conf");
            let text = format!("listener {} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n", broker.port());
            std::fs::write(&config, text)?;
            let mut command = Command::new("mosquitto");
            command.arg("-c").arg(config);
            self.spawn("mosquitto", command, false).context("is Debian's mosquitto installed?")?;
        }
        let mut command = program("aisle-hq")?;
        command.args(["serve", "--ready-json", "--tenant", "demo"]).arg("--data").arg(self.folder.join("hq"));
        command.arg("--http").arg(self.addresses.hq.to_string());
        match options.mosquitto {
            true => command.arg("--broker").arg(format!("mqtt://{broker}")),
            false => command.arg("--broker-listen").arg(broker.to_string()),
        };
        command.stdout(Stdio::piped());
        let child = self.spawn("aisle-hq", command, false)?;
        let stdout = child.stdout.take().context("no output of aisle-hq")?;
        let mut line = String::new();
        let read = tokio::time::timeout(START, BufReader::new(stdout).read_line(&mut line)).await;
        read.context("headquarters does not start")??;
        let ready: Value = serde_json::from_str(&line).context("headquarters ended before it was ready")?;
        Ok(ready["public_key"].as_str().context("headquarters gave no public key")?.to_owned())
    }

    /// Says whether faces can be recognised.
    async fn start_vision(&mut self, options: &Options, desk: &Desk) -> Result<bool> {
        let Ok(mut command) = program("aisle-vision") else { return Ok(false) };
        let (gallery, key) = (self.folder.join("gallery.db"), self.folder.join("gallery.key"));
        let enrolled = match &options.faces {
            Some(faces) => self.enrol(faces, &gallery, &key).await?,
            None => false,
        };
        let source = options.faces.clone().unwrap_or_else(|| self.folder.join("faces"));
        std::fs::create_dir_all(&source)?;
        command.arg("run").arg("--socket").arg(&desk.vision_socket).arg("--demo-source");
        command.arg("--source").arg(format!("file:{}", source.display()));
        command.arg("--gallery").arg(gallery).arg("--key").arg(key);
        self.spawn("aisle-vision", command, false)?;
        Ok(enrolled)
    }

    async fn enrol(&self, faces: &Path, gallery: &Path, key: &Path) -> Result<bool> {
        let files: Vec<PathBuf> = ENROL.iter().map(|file| faces.join(file)).filter(|file| file.exists()).collect();
        if files.len() < ENROL.len() {
            return Ok(false);
        }
        program("aisle-vision")?.arg("keygen").arg("--key").arg(key).output().await?;
        let mut command = program("aisle-vision")?;
        let text = self.folder.join("face-enrol-1.js");
        std::fs::write(&text, crate::http::asset_bytes("face-enrol-1.js").context("the text of consent is not here")?)?;
        command.args(["enrol", "--member", "m-001", "--consent-version", "face-enrol-1"]);
        command.arg("--consent-text").arg(text);
        command.arg("--gallery").arg(gallery).arg("--key").arg(key).arg("--images").args(files);
        let output = command.output().await?;
        std::fs::write(self.folder.join("enrol.log"), &output.stderr)?;
        Ok(output.status.success())
    }

    /// The member whose face is known may pay by it: what the wallet holds, its limits and its PIN.
    async fn sign_mandate(&self) -> Result<()> {
        let mut command = program("aisle-hq")?;
        command.args(["member-wallet", "sign", "m-001", "--balance", "50000", "--pin-stdin"]);
        command.args(["--sale-limit", "20000", "--day-limit", "40000"]).arg("--data").arg(self.folder.join("hq"));
        let mut child = command.stdin(Stdio::piped()).spawn()?;
        let mut input = child.stdin.take().context("no input to aisle-hq")?;
        input.write_all(format!("{PAY_PIN}\n").as_bytes()).await?;
        drop(input);
        ensure!(child.wait().await?.success(), "the member's wallet is not made");
        Ok(())
    }

    async fn start_box(&mut self, options: &Options, desk: &Desk, broker: SocketAddr, key: &str) -> Result<()> {
        let config = self.folder.join("aisled.toml");
        std::fs::write(&config, self.config(desk, broker, key)?)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("run").arg("--config").arg(config);
        if options.trace_wire {
            command.arg("--trace-wire");
        }
        self.spawn("aisled", command, options.trace_wire)?;
        let pages = self.addresses.pages;
        let healthy = move || client::get(pages, "/healthz").is_ok_and(|(status, _)| status == 200);
        for _ in 0..100 {
            if tokio::task::spawn_blocking(healthy).await? {
                return Ok(());
            }
            self.check().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("the daemon does not answer on {pages}")
    }

    fn config(&self, desk: &Desk, broker: SocketAddr, key: &str) -> Result<String> {
        let Addresses { pages, hq, panel } = self.addresses;
        let data = self.folder.join("box").canonicalize()?;
        let coupon_key = self.coupon_key().canonicalize()?;
        let pin = crate::http::pin::stored(STAFF_PIN)?;
        let mut text = format!(
            "box = \"demo-1\"\ntenant = \"demo\"\ndata = {data:?}\n\n\
             [store]\nname = {{ zh = \"示范店\", en = \"Demo store\" }}\ncurrency = \"CNY\"\nutc_offset_min = 480\ncodes = [\"21IIIIIWWWWWC\"]\n\n\
             [http]\nlisten = \"{pages}\"\nlinks = {{ hq = \"http://{hq}/\", panel = \"http://{panel}/\" }}\n\n\
             [hq]\nbroker = \"mqtt://{broker}\"\npublic_key = \"{key}\"\n\n[coupons]\nkey_file = {coupon_key:?}\n\n\
             [floor.points]\nper = 100\nworth = 1\n\n[floor.face]\npay = {}\n\n\
             [[staff]]\nid = \"s-01\"\nname = \"{STAFF_NAME}\"\npin = \"{pin}\"\nrole = \"manager\"\nbadge = \"{STAFF_BADGE}\"\n",
            self.faces
        );
        for device in &desk.devices {
            let options = match device.kind {
                "scanner" => "{ beep = \"bel\" }",
                "terminal" => "{ password = \"000000\", currency = 156 }",
                _ => "{}",
            };
            let (name, driver, link) = (&device.name, device.driver, &device.running.link);
            write!(
                text,
                "\n[[device]]\nname = \"{name}\"\ndriver = \"{driver}\"\nlink = \"{link}\"\noptions = {options}\n"
            )?;
        }
        let socket = desk.vision_socket.display();
        write!(text, "\n[[device]]\nname = \"vision\"\ndriver = \"vision\"\nlink = \"unix:{socket}\"\n")?;
        for (lane, kind) in LANES {
            write!(
                text,
                "\n[[lane]]\nnumber = {lane}\nkind = \"{kind}\"\nscanners = [\"scanner-{lane}\"]\nscale = \"scale-{lane}\"\n\
                 terminal = \"terminal-{lane}\"\nprinter = \"printer-{lane}\"\nvision = \"vision\"\n"
            )?;
        }
        Ok(text)
    }

    fn spawn(&mut self, name: &'static str, mut command: Command, show: bool) -> Result<&mut Child> {
        if !show {
            command.stderr(std::fs::File::create(self.folder.join(format!("{name}.log")))?);
        }
        let child = command.kill_on_drop(true).spawn().with_context(|| format!("cannot start {name}"))?;
        self.children.push((name, child));
        self.children.last_mut().map(|(_, child)| child).context("a child was just pushed")
    }

    /// Fails when one of the programs has ended.
    async fn check(&mut self) -> Result<()> {
        for (name, child) in &mut self.children {
            if let Some(status) = child.try_wait()? {
                bail!("{name} ended: {status}");
            }
        }
        Ok(())
    }

    /// Waits until a program that a store cannot do without ends.
    pub(crate) async fn ended(&mut self) -> Result<()> {
        loop {
            tokio::time::sleep(Duration::from_millis(300)).await;
            self.check().await?;
        }
    }

    pub(crate) fn show_logs(&self) {
        for (name, _) in &self.children {
            let log = std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            for line in &lines[lines.len().saturating_sub(8)..] {
                tracing::info!(target: "log", "{name}: {line}");
            }
        }
    }

    /// Ctrl-C reaches them too; whoever has not ended soon is killed, which loses nothing.
    pub(crate) async fn stop(mut self) {
        while let Some((_, mut child)) = self.children.pop() {
            if tokio::time::timeout(STOP / 3, child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

/// A program that lies beside this one.
fn program(name: &str) -> Result<Command> {
    let path = std::env::current_exe()?.with_file_name(name);
    ensure!(path.exists(), "{name} is not beside aisled: build it with `cargo build --bins`");
    Ok(Command::new(path))
}

/// The wanted port if it is free, else any.
fn free(port: u16) -> Result<SocketAddr> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    Ok(bind(port).or_else(|_| bind(0))?.local_addr()?)
}
