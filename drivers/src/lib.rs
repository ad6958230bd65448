//! Device protocols, sans-IO: bytes in, shop words out. One file (or folder) each, with its wire-level simulator.
//!
//! A driver never opens, reads, sleeps or reconnects. `aisled` owns the link, feeds [`Driver::handle`] and carries out [`Out`];
//! when the link breaks or the driver [fails](Out::fail), that device is restarted with a fresh driver and nothing else notices.

#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod blueprint;
pub mod escpos;
mod options;
pub mod scale_8217;
pub mod scanner_line;
pub mod sim;
pub mod vision;
pub mod zvt;

use checkout::device::{DeviceCommand, DeviceEvent};
use checkout::words::Mono;

/// What happens to a driver.
#[derive(Debug)]
pub enum In<'a> {
    /// The link is open (again). A per-command link opens because of the command that follows.
    Opened,
    Bytes(&'a [u8]),
    Command(&'a DeviceCommand),
    /// The deadline asked for by [`Out::wake_at`] has come.
    Timeout,
}

/// What a driver wants done, in order: bytes are written, then events are delivered.
#[derive(Debug, Default)]
pub struct Out {
    pub bytes: Vec<u8>,
    pub events: Vec<DeviceEvent>,
    pub wake_at: Option<Mono>,
    pub close: bool,
    pub failed: Option<String>,
}

impl Out {
    pub fn send(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn event(&mut self, event: DeviceEvent) {
        self.events.push(event);
    }

    /// Replaces the deadline; without a call in a later `handle` the deadline stays.
    pub const fn wake_at(&mut self, at: Mono) {
        self.wake_at = Some(at);
    }

    /// Hang up a per-command link after the bytes are out.
    pub const fn close(&mut self) {
        self.close = true;
    }

    /// The device cannot be talked to any more: say why in one line; the port is restarted.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failed = Some(reason.into());
    }
}

/// One device protocol. Takes any chunking of the bytes, survives garbage, keeps bounded memory.
pub trait Driver: Send {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out);
}

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What configuration calls it.
    pub name: &'static str,
    pub kind: Kind,
    pub links: &'static [LinkKind],
    /// A `[[device]]` table that parses; shown by `aisled drivers` and the docs.
    pub example: &'static str,
    /// Builds the driver from the device's `options`; the error says which option is wrong and what it may be.
    pub build: fn(&serde_json::Value) -> Result<Box<dyn Driver>, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Scanner,
    Scale,
    Terminal,
    Printer,
    Vision,
    /// Shows the shopper line and total.
    Display,
    /// Stands above the lane.
    Light,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    Serial,
    /// Stays open.
    Tcp,
    /// Opened for a command, hung up after it.
    TcpPerCommand,
    Unix,
    /// A plain file or character device that is written only.
    File,
}

/// All drivers. This table is the registry: no macro, no link-time trick.
pub const DRIVERS: &[Spec] =
    &[blueprint::SPEC, scanner_line::SPEC, scale_8217::SPEC, zvt::SPEC, escpos::SPEC, vision::driver::SPEC];
