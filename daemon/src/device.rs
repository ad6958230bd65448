//! Runs one driver over one link: bytes in, commands in, deadline in; bytes out, events to the core.

use crate::config::{Device, spec};
use crate::core_loop::ToCore;
use crate::link::{Link, Stream};
use crate::supervise::{Backoff, guarded};
use crate::wire_trace::trace;
use anyhow::{Context, Result, bail};
use checkout::Input;
use checkout::device::DeviceCommand;
use checkout::store::PortStatus;
use checkout::words::Mono;
use drivers::{Driver, In, Kind, LinkKind, Out, Spec};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

const READ: usize = 4096;
/// A device that takes no bytes for this long is hung.
const WRITE: Duration = Duration::from_secs(5);
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// The port of one device, for as long as the process lives.
pub async fn port(device: Device, core: mpsc::Sender<ToCore>, mut commands: mpsc::Receiver<DeviceCommand>) {
    let mut backoff = Backoff::new(BACKOFF_MAX, false);
    loop {
        backoff.starting();
        let Err(error) = guarded(run(&device, &core, &mut commands)).await else { return };
        let reason = format!("{error:#}");
        let wait = backoff.failed();
        tracing::warn!(device = %device.name, %reason, "device is down; trying again in {wait:?}");
        let status = PortStatus::Down { reason };
        if core.send(ToCore::Input(Input::Port { device: device.name.clone(), status })).await.is_err() {
            return;
        }
        tokio::time::sleep(wait).await;
        // What was asked of a device that is gone is not done late: the core asks again about what matters.
        while commands.try_recv().is_ok() {}
    }
}

struct Running<'a> {
    device: &'a Device,
    core: &'a mpsc::Sender<ToCore>,
    spec: &'static Spec,
    link: Link,
    kind: LinkKind,
    driver: Box<dyn Driver>,
    stream: Option<Box<dyn Stream>>,
    wake_at: Option<Mono>,
    started: Instant,
}

/// Until the link or the driver fails; `Ok` only when the process ends.
async fn run(device: &Device, core: &mpsc::Sender<ToCore>, commands: &mut mpsc::Receiver<DeviceCommand>) -> Result<()> {
    let spec = spec(&device.driver)?;
    let link = Link::parse(&device.link)?;
    let driver = (spec.build)(&device.options).map_err(|wrong| anyhow::anyhow!(wrong))?;
    let kind = link.kind(spec);
    let mut running =
        Running { device, core, spec, link, kind, driver, stream: None, wake_at: None, started: Instant::now() };
    running.begin().await?;
    running.serve(commands).await
}

impl Running<'_> {
    async fn begin(&mut self) -> Result<()> {
        let stream = self.link.open().await?;
        // A per-command line is opened once to see that somebody is there, and again for each command.
        if self.kind != LinkKind::TcpPerCommand {
            self.stream = Some(stream);
            self.handle(In::Opened).await?;
        }
        // The vision process says itself whether it can work.
        if self.spec.kind != Kind::Vision {
            tell(self.core, Input::Port { device: self.device.name.clone(), status: PortStatus::Up }).await?;
        }
        tracing::info!(device = %self.device.name, driver = self.spec.name, link = %self.device.link, "device is up");
        Ok(())
    }

    async fn serve(&mut self, commands: &mut mpsc::Receiver<DeviceCommand>) -> Result<()> {
        let mut buffer = [0; READ];
        loop {
            let wake = self.wake_at.map(|at| self.started + Duration::from_millis(at.0));
            tokio::select! {
                biased;
                read = read(&mut self.stream, &mut buffer), if self.kind != LinkKind::File => {
                    let count = read.context("reading failed")?;
                    // `Ok(0)` is a disconnect, on every kind of line.
                    if count == 0 {
                        bail!("the device hung up");
                    }
                    trace(&self.device.name, false, &buffer[..count]);
                    self.handle(In::Bytes(&buffer[..count])).await?;
                }
                () = sleep_until(wake) => {
                    self.wake_at = None;
                    self.handle(In::Timeout).await?;
                }
                command = commands.recv() => {
                    let Some(command) = command else { return Ok(()) };
                    if self.stream.is_none() {
                        self.stream = Some(self.link.open().await?);
                        self.handle(In::Opened).await?;
                    }
                    self.handle(In::Command(&command)).await?;
                }
            }
        }
    }

    async fn handle(&mut self, input: In<'_>) -> Result<()> {
        let mut out = Out::default();
        let now = Mono(u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX));
        self.driver.handle(now, input, &mut out);
        if out.wake_at.is_some() {
            self.wake_at = out.wake_at;
        }
        if let Some(stream) = self.stream.as_mut().filter(|_| !out.bytes.is_empty()) {
            trace(&self.device.name, true, &out.bytes);
            let written = tokio::time::timeout(WRITE, write(stream, &out.bytes)).await;
            written.context("the device takes no bytes")?.context("writing failed")?;
        }
        for event in out.events {
            tell(self.core, Input::Device { device: self.device.name.clone(), event }).await?;
        }
        if out.close {
            self.stream = None;
            self.wake_at = None;
        }
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
