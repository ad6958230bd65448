//! Hosts a device's stand-in on a real pseudo-terminal or TCP port: the daemon cannot tell it from the device.

use crate::link::Stream;
use crate::sys;
use anyhow::{Context, Result};
use checkout::words::Mono;
use drivers::sim::{Sim, SimIn};
use drivers::{DRIVERS, LinkKind, Out};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_serial::{SerialPort as _, SerialStream};

/// Opening a line must not make it this process's terminal (fcntl.h, the same number on x86-64 and ARM).
const O_NOCTTY: i32 = 0o400;
const AGAIN: Duration = Duration::from_millis(50);
const GREETING: Duration = Duration::from_secs(5);

/// A stand-in that runs; dropped, the device is unplugged.
#[derive(Debug)]
pub struct Running {
    /// For the configuration: `serial:/dev/pts/7` or `tcp:127.0.0.1:40001`.
    pub link: String,
    controls: mpsc::Sender<Value>,
    state: watch::Receiver<Value>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// A hand on the device, such as `{"scan": "6901234567892"}`.
    pub async fn control(&self, verb: Value) {
        let _ = self.controls.send(verb).await;
    }

    /// What a person standing before it sees.
    #[must_use]
    pub fn state(&self) -> Value {
        self.state.borrow().clone()
    }

    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Value> {
        self.state.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The stand-in of `driver`.
///
/// # Errors
/// There is none, or `options` are wrong.
pub fn build(driver: &str, options: &Value) -> Result<Box<dyn Sim>> {
    drivers::sim::build(driver, options).map_err(|wrong| anyhow::anyhow!(wrong))
}

/// On a pseudo-terminal, as a serial device.
///
/// # Errors
/// The system gives none.
pub fn on_pty(sim: Box<dyn Sim>) -> Result<Running> {
    let (ours, held, path) = pair()?;
    let (host, controls, state) = Host::new(sim);
    let task = tokio::spawn(async move {
        let _held = held;
        host.serve_for_ever(Box::new(ours)).await;
    });
    Ok(Running { link: format!("serial:{path}"), controls, state, task })
}

/// On a pseudo-terminal that is found under `path`, as udev names a device; unplugged, the path is gone for a while and
/// leads to another terminal afterwards.
///
/// # Errors
/// The path is taken, or the system gives no terminal.
pub fn on_pty_at(sim: Box<dyn Sim>, path: PathBuf) -> Result<Running> {
    let first = plug_in(&path)?;
    let (mut host, controls, state) = Host::new(sim);
    let link = format!("serial:{}", path.display());
    let task = tokio::spawn(async move {
        let mut plugged = Some(first);
        loop {
            let Some((ours, held)) = plugged.take().or_else(|| plug_in(&path).ok()) else {
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let mut line: Box<dyn Stream> = Box::new(ours);
            while host.unplugged.is_none() {
                host.serve(&mut line).await;
                tokio::time::sleep(AGAIN).await;
            }
            drop((line, held));
            let _ = std::fs::remove_file(&path);
            host.unplugged().await;
        }
    });
    Ok(Running { link, controls, state, task })
}

fn plug_in(path: &Path) -> Result<(SerialStream, std::fs::File)> {
    let (ours, held, name) = pair()?;
    let _ = std::fs::remove_file(path);
    std::os::unix::fs::symlink(&name, path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok((ours, held))
}

/// Our end of a new line, its other end, and what that is called.
fn pair() -> Result<(SerialStream, std::fs::File, String)> {
    let (ours, theirs) = SerialStream::pair().context("no pseudo-terminal")?;
    // A daemon that was started from here would otherwise hold its own device's end open, and never see it unplugged.
    sys::not_inherited(&ours)?;
    let name = theirs.name().context("a pseudo-terminal without a name")?;
    // Held open without a lock: a line nobody holds ends with an error each time the daemon closes it.
    let held = std::fs::OpenOptions::new().read(true).write(true).custom_flags(O_NOCTTY).open(&name)?;
    Ok((ours, held, name))
}

/// On a TCP port of this machine; one connection at a time, as small devices do.
///
/// # Errors
/// The port is taken.
pub async fn on_tcp(sim: Box<dyn Sim>, address: SocketAddr) -> Result<Running> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let link = format!("tcp:{address}");
    let (host, controls, state) = Host::new(sim);
    let task = tokio::spawn(host.accept_for_ever(listener, address, None));
    Ok(Running { link, controls, state, task })
}

/// As [`on_tcp`], behind TLS with that certificate and key (PEM). The link names neither authority nor common name yet.
///
/// # Errors
/// The port is taken, or certificate and key do not fit.
pub async fn on_tls(sim: Box<dyn Sim>, address: SocketAddr, cert: &Path, key: &Path) -> Result<Running> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_file_iter(cert).context("cert")?.collect();
    let key = PrivateKeyDer::from_pem_file(key).context("key")?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certs.context("cert")?, key)?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let address = listener.local_addr()?;
    let link = format!("tls:{address}");
    let (host, controls, state) = Host::new(sim);
    let task = tokio::spawn(host.accept_for_ever(listener, address, Some(TlsAcceptor::from(Arc::new(config)))));
    Ok(Running { link, controls, state, task })
}

/// `aisled sim`: says where the stand-in is, obeys verbs from standard input and prints what a person would see.
///
/// # Errors
/// There is no such stand-in or line.
pub fn stand_in(driver: &str, link: &str, options: &str) -> Result<()> {
    let options = serde_json::from_str(options).context("--options is no JSON")?;
    let device = build(driver, &options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let _context = runtime.enter();
    let running = match link.split_once(':') {
        None if link == "pty" => on_pty(device)?,
        Some(("pty", path)) => on_pty_at(device, path.into())?,
        Some(("tcp", address)) => {
            let address =
                address.parse().with_context(|| format!("{address} is no address such as 127.0.0.1:20007"))?;
            runtime.block_on(on_tcp(device, address))?
        }
        Some(("tls", rest)) => {
            let (address, files) = rest.split_once('?').context("tls:address:port?cert=FILE&key=FILE")?;
            let file = |name: &str| {
                let found = files.split('&').find_map(|file| file.strip_prefix(name)?.strip_prefix('='));
                found.map(Path::new).with_context(|| format!("tls says no {name}=FILE"))
            };
            let address = address.parse().with_context(|| format!("{address} is no address"))?;
            runtime.block_on(on_tls(device, address, file("cert")?, file("key")?))?
        }
        _ => {
            anyhow::bail!("--link {link:?} is none of pty, pty:/path, tcp:address:port, tls:address:port?cert=…&key=…")
        }
    };
    say(&serde_json::json!({"driver": driver, "link": link_for(driver, &running.link)}));
    let mut seen = running.watch();
    let watching = runtime.spawn(async move {
        while seen.changed().await.is_ok() {
            let state = seen.borrow_and_update().clone();
            say(&state);
        }
    });
    for line in std::io::stdin().lines() {
        match serde_json::from_str(&line?) {
            Ok(verb) => runtime.block_on(running.control(verb)),
            Err(wrong) => say(&serde_json::json!({"error": wrong.to_string()})),
        }
    }
    // Standard input may be closed, as under a service manager: the device stays until it is stopped.
    let _ = runtime.block_on(watching);
    Ok(())
}

/// The link as the driver's configuration takes it.
fn link_for(driver: &str, link: &str) -> String {
    let takes = |kind| DRIVERS.iter().any(|spec| spec.name == driver && spec.links.contains(&kind));
    match link.strip_prefix("serial:") {
        Some(path) if takes(LinkKind::Hid) => format!("hid:{path}"),
        // Nobody can make an input device: the daemon is started with the line as one of its descriptors.
        Some(path) if takes(LinkKind::Evdev) => format!("fd:7 of a daemon started with 7<>{path}"),
        _ => link.to_owned(),
    }
}

#[expect(clippy::print_stdout, reason = "what the person at the terminal asked for")]
fn say(line: &Value) {
    println!("{line}");
}

struct Host {
    sim: Box<dyn Sim>,
    controls: mpsc::Receiver<Value>,
    state: watch::Sender<Value>,
    wake_at: Option<Mono>,
    /// The plug is out, for so long.
    unplugged: Option<Duration>,
    started: Instant,
}

impl Host {
    fn new(sim: Box<dyn Sim>) -> (Self, mpsc::Sender<Value>, watch::Receiver<Value>) {
        let (control, controls) = mpsc::channel(64);
        let (state, seen) = watch::channel(sim.state());
        (Self { sim, controls, state, wake_at: None, unplugged: None, started: Instant::now() }, control, seen)
    }

    async fn serve_for_ever(mut self, mut stream: Box<dyn Stream>) {
        loop {
            self.serve(&mut stream).await;
            self.unplugged().await;
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn accept_for_ever(mut self, listener: TcpListener, address: SocketAddr, tls: Option<TlsAcceptor>) {
        let mut plugged = Some(listener);
        loop {
            // Unplugged, nobody is let in: a call is refused, not kept waiting.
            if self.unplugged.is_some() {
                plugged = None;
                self.unplugged().await;
            }
            let Some(listener) = &plugged else {
                plugged = TcpListener::bind(address).await.ok();
                if plugged.is_none() {
                    tokio::time::sleep(AGAIN).await;
                }
                continue;
            };
            let wake = self.wake_at.map(|at| self.started + Duration::from_millis(at.0));
            tokio::select! {
                accepted = listener.accept() => {
                    if let Ok((stream, _)) = accepted {
                        let _ = stream.set_nodelay(true);
                        let Some(mut stream) = secured(stream, tls.as_ref()).await else { continue };
                        self.serve(&mut stream).await;
                    }
                }
                // A device works and is handled also while nobody is connected to it.
                () = sleep_until(wake) => { self.wake_at = None; self.handle(SimIn::Timeout); }
                Some(verb) = self.controls.recv() => { self.handle(SimIn::Control(&verb)); }
            }
        }
    }

    /// Until the other side, or the device itself, hangs up.
    async fn serve(&mut self, stream: &mut Box<dyn Stream>) {
        let mut buffer = [0; 4096];
        let mut out = self.handle(SimIn::Connected);
        loop {
            if stream.write_all(&out.bytes).await.is_err()
                || stream.flush().await.is_err()
                || out.close
                || self.unplugged.is_some()
            {
                break;
            }
            let wake = self.wake_at.map(|at| self.started + Duration::from_millis(at.0));
            out = tokio::select! {
                read = stream.read(&mut buffer) => match read {
                    Ok(count) if count > 0 => self.handle(SimIn::Bytes(&buffer[..count])),
                    Ok(_) | Err(_) => break,
                },
                () = sleep_until(wake) => { self.wake_at = None; self.handle(SimIn::Timeout) }
                Some(verb) = self.controls.recv() => self.handle(SimIn::Control(&verb)),
            };
        }
        self.handle(SimIn::Disconnected);
    }

    /// While the plug is out nobody is heard, but hands may still do something to the device.
    async fn unplugged(&mut self) {
        let Some(wait) = self.unplugged.take() else { return };
        let back = tokio::time::sleep(wait);
        tokio::pin!(back);
        loop {
            tokio::select! {
                () = &mut back => return,
                Some(verb) = self.controls.recv() => { self.handle(SimIn::Control(&verb)); }
            }
        }
    }

    fn handle(&mut self, input: SimIn<'_>) -> Out {
        let mut out = Out::default();
        let now = Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.sim.handle(now, input, &mut out);
        if out.wake_at.is_some() {
            self.wake_at = out.wake_at;
        }
        self.unplugged = out.unplugged_ms.map(Duration::from_millis).or(self.unplugged);
        self.state.send_if_modified(|state| {
            let fresh = self.sim.state();
            let changed = *state != fresh;
            *state = fresh;
            changed
        });
        out
    }
}

/// Nothing where the other side does not get through its greeting.
async fn secured(stream: TcpStream, tls: Option<&TlsAcceptor>) -> Option<Box<dyn Stream>> {
    let Some(tls) = tls else { return Some(Box::new(stream)) };
    let greeted = tokio::time::timeout(GREETING, tls.accept(stream)).await;
    Some(Box::new(greeted.ok()?.ok()?))
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
