//! Device protocols, sans-IO: bytes in, shop words out. One file (or folder) each, with its wire-level simulator.
//!
//! A driver never opens, reads, sleeps or reconnects. `aisled` owns the link, feeds [`Driver::handle`] and carries out [`Out`];
//! when the link breaks or the driver [fails](Out::fail), that device is restarted with a fresh driver and nothing else notices.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod blueprint;
pub mod codepay;
pub mod decode;
mod digits;
pub mod display;
pub mod escpos;
mod fault;
pub mod light_tower;
pub mod nexo;
mod options;
pub mod scale;
pub mod scanner_hid;
mod scanner_json;
pub mod scanner_keys;
pub mod scanner_line;
pub mod scanner_ssi;
pub mod sim;
pub mod story;
pub mod stx;
mod terminal;
pub mod vision;
pub mod zvt;

use checkout::device::{DeviceCommand, DeviceEvent};
use checkout::words::{Attempt, Mono};

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
    /// Hang up and call again: [`In::Opened`] follows.
    pub reopen: bool,
    pub failed: Option<String>,
    /// Of stand-ins: the line breaks and cannot be opened for so long.
    pub unplugged_ms: Option<u64>,
    pub mirror: Option<Mirror>,
}

impl Out {
    pub fn send(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// What the mirror beside the camera shows from here on.
    pub fn mirror(&mut self, mirror: Mirror) {
        self.mirror = Some(mirror);
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

    /// Of stand-ins: pull the plug for a while.
    pub const fn unplug(&mut self, ms: u64) {
        self.unplugged_ms = Some(ms);
    }

    /// Hang up a per-command link and call again at once.
    pub const fn reopen(&mut self) {
        self.reopen = true;
    }

    /// The device cannot be talked to any more: say why in one line; the port is restarted.
    pub fn fail(&mut self, reason: impl Into<String>) {
        self.failed = Some(reason.into());
    }
}

/// The mirror image of whoever enrols before a camera. It goes past the core, which keeps facts and no pictures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mirror {
    Shows { attempt: Attempt, preview: vision::Preview },
    Dark,
}

/// One device protocol. Takes any chunking of the bytes, survives garbage, keeps bounded memory.
pub trait Driver: Send {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out);

    /// Whether a per-command link is opened for this command.
    fn needs_line(&self, _command: &DeviceCommand) -> bool {
        true
    }
}

impl LinkKind {
    /// Opened for a command, hung up after it.
    #[must_use]
    pub const fn is_per_command(self) -> bool {
        matches!(self, Self::TcpPerCommand | Self::TlsPerCommand)
    }
}

/// A row of the registry.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// What configuration calls it.
    pub name: &'static str,
    pub kind: Kind,
    pub links: &'static [LinkKind],
    /// What the device can do, for configuration checks and pages.
    pub caps: &'static [Cap],
    /// Models that want other defaults.
    pub quirks: &'static [Quirk],
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
    /// Reads codes from pictures when it is asked to.
    Camera,
    /// Shows the shopper line and total.
    Display,
    /// Stands above the lane.
    Light,
}

/// One ability of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cap {
    Beep,
    /// Looks for symbols only when told to.
    Trigger,
    /// Says by itself which symbology it read.
    Symbology,
    /// Computes prices, and is asked with one.
    Price,
    Cut,
    Drawer,
    /// Tells how it is: paper, cover.
    Status,
    /// Confirms that a job is done.
    Confirm,
    /// Takes money from cards: its line is never recorded.
    Cards,
    /// Gives an amount back to a card, see [`checkout::device::TerminalCommand::Refund`].
    Refund,
    /// Cancels its last payment, see [`checkout::device::TerminalCommand::Reverse`].
    Reverse,
    /// Says what its last payment was.
    LastPayment,
    /// Shows letters, not only digits.
    Text,
    Sound,
}

/// A model that wants other defaults than its driver has.
#[derive(Clone, Copy, Debug)]
pub struct Quirk {
    /// USB vendor and product such as `0c2e:0b6a`, or how the model's name begins.
    pub model: &'static str,
    /// Options as JSON; what the configuration says goes before them.
    pub options: &'static str,
    pub why: &'static str,
}

impl Spec {
    /// `options` of the configuration over what is known of `model`.
    #[must_use]
    pub fn options_for(&self, model: Option<&str>, options: &serde_json::Value) -> serde_json::Value {
        let model = model.map(str::to_ascii_lowercase);
        let known = |quirk: &&Quirk| model.as_deref().is_some_and(|model| model.starts_with(quirk.model));
        let Some(quirk) = self.quirks.iter().find(known) else { return options.clone() };
        let mut merged: serde_json::Value = serde_json::from_str(quirk.options).unwrap_or_default();
        if let (Some(into), Some(said)) = (merged.as_object_mut(), options.as_object()) {
            into.extend(said.clone());
        }
        merged
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    Serial,
    /// Stays open.
    Tcp,
    /// Opened for a command, hung up after it.
    TcpPerCommand,
    /// The same, encrypted, the other end known by its certificate.
    TlsPerCommand,
    Unix,
    /// A plain file or character device that is written only.
    File,
    /// Reports of a USB human interface device, unparsed.
    Hid,
    /// Key events of a keyboard that is ours alone.
    Evdev,
}

/// All drivers. This table is the registry: no macro, no link-time trick.
pub const DRIVERS: &[Spec] = &[
    blueprint::SPEC,
    scanner_line::SPEC,
    scanner_ssi::SPEC,
    scanner_hid::SPEC,
    scanner_keys::SPEC,
    scale::toledo::SPEC,
    scale::nci::SPEC,
    scale::dialog06::SPEC,
    scale::cas::SPEC,
    scale::adam::SPEC,
    scale::sics::SPEC,
    zvt::SPEC,
    zvt::SERIAL,
    nexo::SPEC,
    stx::SPEC,
    stx::GENERIC,
    codepay::SPEC,
    escpos::SPEC,
    display::cd5220::SPEC,
    display::led8n::SPEC,
    light_tower::SPEC,
    vision::driver::SPEC,
    vision::codes::SPEC,
];
