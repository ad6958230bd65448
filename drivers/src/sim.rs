//! What stands in for a device on the other end of the wire: the same bytes, and a memory that outlives its connections.

use crate::Out;
use crate::scale::ScaleSim;
use checkout::words::Mono;

/// What happens to a simulated device.
#[derive(Debug)]
pub enum SimIn<'a> {
    /// Somebody opened the line to it.
    Connected,
    Bytes(&'a [u8]),
    Disconnected,
    /// The deadline asked for by [`Out::wake_at`] has come.
    Timeout,
    /// A hand on the device: a verb of its panel, as an object such as `{"scan": "6901234567892"}`.
    Control(&'a serde_json::Value),
}

/// A device that is not there. It uses [`Out`] for bytes, deadline and hanging up; it never emits events.
pub trait Sim: Send {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out);

    /// What a person standing before the device would see, for panels and tests.
    fn state(&self) -> serde_json::Value;
}

/// Builds a stand-in from its own `options`; the error says which option is wrong.
pub type BuildSim = fn(&serde_json::Value) -> Result<Box<dyn Sim>, String>;

/// The stand-in of `driver`, able to follow fault scripts.
///
/// # Errors
/// There is none, or `options` are wrong.
pub fn build(driver: &str, options: &serde_json::Value) -> Result<Box<dyn Sim>, String> {
    let Some((_, build)) = SIMS.iter().find(|(name, _)| *name == driver) else {
        let names: Vec<&str> = SIMS.iter().map(|(name, _)| *name).collect();
        return Err(format!("{driver:?} has no stand-in; there are {}", names.join(", ")));
    };
    Ok(Box::new(crate::fault::Faulty::new(build(options)?)))
}

/// The stand-in of each driver that has one, by the driver's name.
pub const SIMS: &[(&str, BuildSim)] = &[
    ("scanner-line", crate::scanner_line::ScannerSim::build),
    ("scanner-ssi", crate::scanner_ssi::SsiSim::build),
    ("scanner-hid", crate::scanner_hid::HidSim::build),
    ("scanner-keys", crate::scanner_keys::KeysSim::build),
    ("pole-cd5220", crate::display::PoleSim::build),
    ("pole-led8n", crate::display::PoleSim::build),
    ("light-tower", crate::light_tower::TowerSim::build),
    ("scale-8217", ScaleSim::toledo),
    ("scale-nci", ScaleSim::nci),
    ("scale-dialog06", ScaleSim::dialog06),
    ("scale-cas", ScaleSim::cas),
    ("scale-adam", ScaleSim::adam),
    ("scale-sics", ScaleSim::sics),
    ("zvt", crate::zvt::TerminalSim::build),
    ("zvt-serial", crate::zvt::SerialTerminalSim::build),
    ("nexo", crate::nexo::NexoSim::build),
    ("transbank", crate::stx::StxSim::build),
    ("stx-lrc", crate::stx::StxSim::generic),
    ("codepay", crate::codepay::CodePaySim::build),
    ("escpos", crate::escpos::PrinterSim::build),
];
