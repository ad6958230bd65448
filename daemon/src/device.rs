//! Runs one driver over one link: bytes in, commands in, deadline in; bytes out, events to the core.

use crate::config::{Device, spec};
use crate::core_loop::ToCore;
use crate::device_board::{Board, Pace, PortHealth};
use crate::link::{Link, Stream};
use crate::supervise::{Backoff, guarded};
use crate::wire_trace::trace;
use anyhow::{Context, Result, bail};
use checkout::Input;
use checkout::device::DeviceCommand;
use checkout::store::PortStatus;
use checkout::words::Mono;
use drivers::{Driver, In, Kind, LinkKind, Mirror, Out, Spec};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

const READ: usize = 4096;
/// A device that takes no bytes for this long is hung.
const WRITE: Duration = Duration::from_secs(5);
/// A device that is plugged in again is at work within five seconds, so nobody waits longer than this for the next try.
const BACKOFF_MAX: Duration = Duration::from_secs(4);
/// How often a node that is away is looked for, and how long a new one is left to its permissions.
const LOOK: Duration = Duration::from_millis(500);

/// The port of one device, for as long as the process lives.
pub async fn port(
    device: Device,
    core: mpsc::Sender<ToCore>,
    mut commands: mpsc::Receiver<DeviceCommand>,
    board: Arc<Board>,
    anew: Arc<Notify>,
) {
    let mut backoff = Backoff::new(BACKOFF_MAX, false);
    loop {
        backoff.starting();
        let ended = tokio::select! {
            ended = guarded(run(&device, &core, &mut commands, &board)) => ended,
            () = anew.notified() => Err(anyhow::anyhow!("headquarters asked for a fresh start of it")),
        };
        let Err(error) = ended else { return };
        let reason = format!("{error:#}");
        board.note(&device.name, |health| health.failed(&reason));
        board.mirror(&device.name, Mirror::Dark);
        let wait = backoff.failed();
        tracing::warn!(device = %device.name, %reason, "device is down; trying again in {wait:?}");
        let status = PortStatus::Down { reason };
        if core.send(ToCore::Input(Input::Port { device: device.name.clone(), status })).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        plugged_in(&device.link).await;
        // What was asked of a device that is gone is not done late: the core asks again about what matters.
        while commands.try_recv().is_ok() {}
    }
}

/// Until the device's node is there: a device that is away costs a look at a path, and no failure each time.
async fn plugged_in(link: &str) {
    let Ok(link) = Link::parse(link) else { return };
    let Some(path) = link.node() else { return };
    let mut away = false;
    while !path.exists() {
        away = true;
        tokio::time::sleep(LOOK).await;
    }
    if away {
        tokio::time::sleep(LOOK).await;
    }
}

struct Running<'a> {
    device: &'a Device,
    core: &'a mpsc::Sender<ToCore>,
    board: &'a Board,
    pace: Pace,
    spec: &'static Spec,
    link: Link,
    kind: LinkKind,
    driver: Box<dyn Driver>,
    stream: Option<Box<dyn Stream>>,
    wake_at: Option<Mono>,
    /// The driver wants a fresh connection.
    reopen: bool,
    started: Instant,
}

/// Until the link or the driver fails; `Ok` only when the process ends.
async fn run(
    device: &Device,
    core: &mpsc::Sender<ToCore>,
    commands: &mut mpsc::Receiver<DeviceCommand>,
    board: &Board,
) -> Result<()> {
    let spec = spec(&device.driver)?;
    let link = Link::parse(&device.link)?;
    let model = device.model.clone().or_else(|| link.node().and_then(crate::node::model));
    let options = spec.options_for(model.as_deref(), &device.options);
    let driver = (spec.build)(&options).map_err(|wrong| anyhow::anyhow!(wrong))?;
    let kind = link.kind(spec);
    board.note(&device.name, |health| health.opening(spec, &device.link, model));
    let (pace, started) = (Pace::new(), Instant::now());
    let mut running = Running {
        device,
        core,
        board,
        pace,
        spec,
        link,
        kind,
        driver,
        stream: None,
        wake_at: None,
        reopen: false,
        started,
    };
    running.begin().await?;
    running.serve(commands).await
}

impl Running<'_> {
    async fn begin(&mut self) -> Result<()> {
        let stream = self.link.open().await?;
        // A per-command line is opened once to see that somebody is there, and again for each command.
        if !self.kind.is_per_command() {
            self.stream = Some(stream);
            self.handle(In::Opened).await?;
        }
        // The vision process says itself whether it can work.
        if !matches!(self.spec.kind, Kind::Vision | Kind::Camera) {
            tell(self.core, Input::Port { device: self.device.name.clone(), status: PortStatus::Up }).await?;
        }
        self.board.note(&self.device.name, PortHealth::opened);
        tracing::info!(device = %self.device.name, driver = self.spec.name, link = %self.device.link, "device is up");
        Ok(())
    }

    async fn serve(&mut self, commands: &mut mpsc::Receiver<DeviceCommand>) -> Result<()> {
        let mut buffer = [0; READ];
        loop {
            if core::mem::take(&mut self.reopen) {
                self.call().await?;
            }
            let wake = self.wake_at.map(|at| self.started + Duration::from_millis(at.0));
            // A device that floods is read more slowly; its line holds it up, and nobody else notices.
            let held_up = self.pace.held_up();
            tokio::select! {
                biased;
                () = sleep_until(held_up), if held_up.is_some() => {}
                read = read(&mut self.stream, &mut buffer), if self.kind != LinkKind::File && held_up.is_none() => {
                    let count = read.context("reading failed")?;
                    // `Ok(0)` is a disconnect, on every kind of line.
                    if count == 0 {
                        bail!("the device hung up");
                    }
                    self.trace(false, &buffer[..count]);
                    self.pace.bytes(count);
                    self.board.note(&self.device.name, |health| health.heard(count));
                    self.handle(In::Bytes(&buffer[..count])).await?;
                }
                () = sleep_until(wake) => {
                    self.wake_at = None;
                    self.handle(In::Timeout).await?;
                }
                command = commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    if self.stream.is_none() && self.driver.needs_line(&command) {
                        self.call().await?;
                    }
                    self.handle(In::Command(&command)).await?;
                }
            }
        }
    }

    /// What a camera's process says may be a picture of somebody: nobody looks at that.
    fn trace(&self, to_device: bool, bytes: &[u8]) {
        if self.spec.kind != Kind::Vision {
            trace(&self.device.name, to_device, bytes);
        }
    }

    async fn call(&mut self) -> Result<()> {
        self.stream = Some(self.link.open().await?);
        self.handle(In::Opened).await
    }

    async fn handle(&mut self, input: In<'_>) -> Result<()> {
        let mut out = Out::default();
        let now = Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.driver.handle(now, input, &mut out);
        if out.wake_at.is_some() {
            self.wake_at = out.wake_at;
        }
        if self.stream.is_some() {
            self.trace(true, &out.bytes);
        }
        if let Some(stream) = self.stream.as_mut().filter(|_| !out.bytes.is_empty()) {
            let written = tokio::time::timeout(WRITE, write(stream, &out.bytes)).await;
            written.context("the device takes no bytes")?.context("writing failed")?;
            self.board.note(&self.device.name, |health| health.sent(out.bytes.len()));
        }
        if let Some(mirror) = out.mirror {
            self.board.mirror(&self.device.name, mirror);
        }
        if !out.events.is_empty() {
            self.pace.events(out.events.len());
            self.board.note(&self.device.name, |health| health.frames(&out.events));
        }
        for event in out.events {
            tell(self.core, Input::Device { device: self.device.name.clone(), event }).await?;
        }
        if out.close || out.reopen {
            self.stream = None;
            self.wake_at = out.wake_at;
        }
        self.reopen = out.reopen;
        out.failed.map_or(Ok(()), |reason| bail!(reason))
    }
}

async fn tell(core: &mpsc::Sender<ToCore>, input: Input) -> Result<()> {
    core.send(ToCore::Input(input)).await.context("the core has ended")
}

async fn read(stream: &mut Option<Box<dyn Stream>>, buffer: &mut [u8]) -> std::io::Result<usize> {
    match stream {
        Some(stream) => stream.read(buffer).await,
        None => std::future::pending().await,
    }
}

async fn write(stream: &mut Box<dyn Stream>, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Running as StandIn, build, on_pty_at, on_tls};
    use checkout::device::{CardOutcome, CardSlip, DeviceEvent, LastPayment, TerminalCommand, TerminalEvent};
    use checkout::words::{Money, Utc};
    use serde_json::{Value, json};
    use std::os::fd::AsRawFd as _;
    use std::path::Path;
    use tokio::time::timeout;

    const SOON: Duration = Duration::from_secs(5);

    fn device(driver: &str, link: &str) -> Device {
        Device { name: "d-1".into(), driver: driver.into(), link: link.into(), model: None, options: Value::Null }
    }

    fn start(device: Device) -> (mpsc::Receiver<ToCore>, mpsc::Sender<DeviceCommand>, Arc<Board>) {
        let (core, inputs) = mpsc::channel(64);
        let (commands, asked) = mpsc::channel(8);
        let board = Arc::new(Board::default());
        tokio::spawn(port(device, core, asked, Arc::clone(&board), Arc::default()));
        (inputs, commands, board)
    }

    async fn next(inputs: &mut mpsc::Receiver<ToCore>) -> Input {
        let told = timeout(SOON, inputs.recv()).await.expect("within five seconds").expect("the port lives");
        let ToCore::Input(input) = told else { panic!("an input") };
        input
    }

    async fn scanned(inputs: &mut mpsc::Receiver<ToCore>) -> String {
        loop {
            if let Input::Device { event: DeviceEvent::Scan(scan), .. } = next(inputs).await {
                return String::from_utf8(scan.data).expect("ASCII");
            }
        }
    }

    async fn until_connected(sim: &StandIn) {
        let mut state = sim.watch();
        timeout(SOON, state.wait_for(|state| state["connected"] == true)).await.expect("connected").expect("alive");
    }

    #[tokio::test]
    async fn a_device_that_is_unplugged_sells_again_within_five_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("usb-Example_Scanner-if00");
        let sim = on_pty_at(build("scanner-line", &Value::Null).unwrap(), path).unwrap();
        let (mut inputs, _commands, board) = start(device("scanner-line", &sim.link));
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Up, .. }));
        sim.control(json!({"scan": "6901234567892"})).await;
        assert_eq!(scanned(&mut inputs).await, "6901234567892");
        sim.control(json!({"unplug": 1_200})).await;
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Down { .. }, .. }));
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Up, .. }));
        until_connected(&sim).await;
        sim.control(json!({"scan": "6920000000005"})).await;
        assert_eq!(scanned(&mut inputs).await, "6920000000005");
        let rows = board.rows();
        let row = rows.values().next().expect("a row");
        assert!(row.claimed && row.enabled && row.last_good.is_some());
        assert_eq!((row.statistics.frames, row.statistics.restarts), (2, 1));
    }

    /// What a terminal says, progress left out.
    async fn terminal(inputs: &mut mpsc::Receiver<ToCore>) -> TerminalEvent {
        loop {
            let input = next(inputs).await;
            assert!(!matches!(&input, Input::Port { status: PortStatus::Down { .. }, .. }), "{input:?}");
            if let Input::Device { event: DeviceEvent::Terminal(event), .. } = input
                && !matches!(event, TerminalEvent::Progress { .. })
            {
                return event;
            }
        }
    }

    /// A nexo terminal with a certificate of its own maker's, and its link as a shop would configure it.
    async fn secured(folder: &Path, name: &str) -> StandIn {
        use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
        let mut maker = CertificateParams::new(Vec::<String>::new()).unwrap();
        maker.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let maker_key = KeyPair::generate().unwrap();
        let ca = maker.self_signed(&maker_key).unwrap();
        let mut own = CertificateParams::new(vec!["terminal.invalid".into()]).unwrap();
        own.distinguished_name.push(DnType::CommonName, name);
        let own_key = KeyPair::generate().unwrap();
        let cert = own.signed_by(&own_key, &Issuer::from_params(&maker, &maker_key)).unwrap();
        std::fs::write(folder.join("ca.pem"), ca.pem()).unwrap();
        std::fs::write(folder.join("cert.pem"), cert.pem()).unwrap();
        std::fs::write(folder.join("key.pem"), own_key.serialize_pem()).unwrap();
        let here = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, 0));
        let sim = build("nexo", &Value::Null).unwrap();
        let mut running = on_tls(sim, here, &folder.join("cert.pem"), &folder.join("key.pem")).await.unwrap();
        let ca = folder.join("ca.pem");
        running.link = format!("{}?ca={}&cn=*.test.terminal.adyen.com", running.link, ca.display());
        running
    }

    fn nexo(link: &str) -> Device {
        let options = json!({
            "sale": "lane-1", "poi": "P400Plus-123456789", "currency": "EUR",
            "passphrase": "change me", "key": "lane", "key_version": 1,
        });
        Device { options, ..device("nexo", link) }
    }

    fn authorise(tender: &str) -> DeviceCommand {
        let (tender, amount, at) = (tender.into(), Money(1099), Utc(0));
        DeviceCommand::Terminal(TerminalCommand::Authorise { tender, amount, at })
    }

    async fn approved(inputs: &mut mpsc::Receiver<ToCore>) -> CardSlip {
        let TerminalEvent::Answered { outcome: CardOutcome::Approved(slip), .. } = terminal(inputs).await else {
            panic!("not approved");
        };
        slip
    }

    #[tokio::test]
    async fn a_nexo_terminal_pays_gives_up_and_gives_back_over_tls() {
        let folder = tempfile::tempdir().unwrap();
        let sim = secured(folder.path(), "P400Plus-123456789.test.terminal.adyen.com").await;
        let (mut inputs, commands, _) = start(nexo(&sim.link));
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Up, .. }));
        commands.send(authorise("t-1")).await.unwrap();
        let slip = approved(&mut inputs).await;
        assert_eq!((slip.amount, slip.scheme.as_str()), (Money(1099), "visa"));
        let note = TerminalCommand::Acknowledge { tender: "t-1".into() };
        commands.send(DeviceCommand::Terminal(note)).await.unwrap();
        assert_eq!(terminal(&mut inputs).await, TerminalEvent::Finished { tender: "t-1".into() });
        // The shopper gives up: the terminal's word on that very payment ends it.
        sim.control(json!({"wait_for_card": true})).await;
        commands.send(authorise("t-2")).await.unwrap();
        let mut state = sim.watch();
        timeout(SOON, state.wait_for(|state| state["wants_card"] == true)).await.expect("asked").expect("alive");
        let give_up = TerminalCommand::Abort { tender: "t-2".into() };
        commands.send(DeviceCommand::Terminal(give_up)).await.unwrap();
        let declined = TerminalEvent::Answered { tender: "t-2".into(), outcome: CardOutcome::Declined { code: 1 } };
        assert_eq!(terminal(&mut inputs).await, declined);
        let note = TerminalCommand::Acknowledge { tender: "t-2".into() };
        commands.send(DeviceCommand::Terminal(note)).await.unwrap();
        assert_eq!(terminal(&mut inputs).await, TerminalEvent::Finished { tender: "t-2".into() });
        let back = TerminalCommand::Reverse { tender: "t-3".into(), of: Box::new(slip), at: Utc(0) };
        commands.send(DeviceCommand::Terminal(back)).await.unwrap();
        assert_eq!(approved(&mut inputs).await.amount, Money(1099));
        assert_eq!(sim.state()["charges"][0]["state"], "reversed");
    }

    #[tokio::test]
    async fn a_nexo_answer_lost_on_a_tls_line_is_asked_for_and_charged_once() {
        let folder = tempfile::tempdir().unwrap();
        let sim = secured(folder.path(), "P400Plus-123456789.test.terminal.adyen.com").await;
        let (mut inputs, commands, _) = start(nexo(&sim.link));
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Up, .. }));
        sim.control(json!({"behaviour": "hang_up_after_answer"})).await;
        commands.send(authorise("t-1")).await.unwrap();
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Down { .. }, .. }));
        sim.control(json!({"behaviour": "approve"})).await;
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Up, .. }));
        let ask = TerminalCommand::Query { tender: "t-1".into() };
        commands.send(DeviceCommand::Terminal(ask)).await.unwrap();
        let TerminalEvent::Last { last: LastPayment::Approved(slip), .. } = terminal(&mut inputs).await else {
            panic!("the terminal remembers it");
        };
        assert_eq!(slip.amount, Money(1099));
        assert_eq!(sim.state()["charges"].as_array().map(Vec::len), Some(1));
    }

    #[tokio::test]
    async fn a_terminal_of_another_name_is_not_spoken_to() {
        let folder = tempfile::tempdir().unwrap();
        let sim = secured(folder.path(), "P400Plus-123456789.live.terminal.adyen.com").await;
        let (mut inputs, commands, _) = start(nexo(&sim.link));
        let Input::Port { status: PortStatus::Down { .. }, .. } = next(&mut inputs).await else {
            panic!("it is believed");
        };
        drop(commands);
        assert_eq!(sim.state()["charges"], json!([]));
    }

    #[tokio::test]
    async fn every_driver_runs_over_a_descriptor_that_is_open_already() {
        use std::io::Read as _;
        for spec in drivers::DRIVERS {
            let (till, mut line) = std::os::unix::net::UnixStream::pair().unwrap();
            let table: toml::Table = toml::from_str(spec.example).unwrap();
            let options = table.get("options").map_or(Value::Null, |options| json!(options));
            let link = format!("fd:{}", till.as_raw_fd());
            let (mut inputs, _commands, _) = start(Device { options, ..device(spec.name, &link) });
            if matches!(spec.kind, Kind::Vision | Kind::Camera) {
                // They are up when the process behind them says so, which they ask it.
                let asked = tokio::task::spawn_blocking(move || line.read(&mut [0; 16]));
                assert!(timeout(SOON, asked).await.unwrap().unwrap().unwrap() > 0, "{}", spec.name);
                continue;
            }
            let up = next(&mut inputs).await;
            assert!(matches!(up, Input::Port { status: PortStatus::Up, .. }), "{}: {up:?}", spec.name);
        }
    }

    #[tokio::test]
    async fn keys_come_over_a_socketpair_and_lines_over_a_pipe() {
        use std::io::Write as _;
        let (till, mut keys) = std::os::unix::net::UnixStream::pair().unwrap();
        let (mut inputs, _commands, _) = start(device("scanner-keys", &format!("fd:{}", till.as_raw_fd())));
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Up, .. }));
        for (code, value) in [(7_u16, 1_i32), (7, 0), (10, 1), (10, 0), (28, 1), (28, 0)] {
            let event = [&[0; 16][..], &1_u16.to_le_bytes(), &code.to_le_bytes(), &value.to_le_bytes()].concat();
            keys.write_all(&event).unwrap();
        }
        assert_eq!(scanned(&mut inputs).await, "69");
        drop(keys);
        assert!(matches!(next(&mut inputs).await, Input::Port { status: PortStatus::Down { .. }, .. }));
        let (till, mut lines) = std::io::pipe().unwrap();
        let (mut inputs, _commands, _) = start(device("scanner-line", &format!("fd:{}", till.as_raw_fd())));
        lines.write_all(b"6901234567892\r\n").unwrap();
        assert_eq!(scanned(&mut inputs).await, "6901234567892");
    }
}
