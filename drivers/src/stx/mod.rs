//! Card terminals on a line of `STX text ETX LRC` frames, each answered with ACK or NAK: one engine, and what differs from maker
//! to maker as data (`profile.rs`), here for Transbank's *POS integrado*, for others in the shop's configuration.
//!
//! Source: transbankdevelopers.cl, reference of POS integrado. A sale stands when the terminal says so: it does not take it back
//! for want of an acknowledgement. So a command that moves money is repeated only when it was refused (NAK); after silence
//! the terminal is asked for its last sale, which carries our ticket.

mod driver;
mod frame;
mod json;
mod line;
mod message;
mod profile;
mod sim;

pub use frame::{Check, NEXI, TRANSBANK, Unwrapped, unwrap, wrap};
pub use json::to_json;
pub use sim::StxSim;

use crate::{Cap, Driver, Kind, LinkKind, Spec, options};
use driver::{Slip, Terminal};
use profile::Profile;
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "transbank",
    kind: Kind::Terminal,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Cards, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"transbank\"\nlink = \"serial:/dev/ttyACM0?baud=115200\"\noptions = { voucher = false }",
    build: |options| {
        let Options { voucher } = options::parse(options)?;
        let profile: Profile = serde_json::from_str(profile::TRANSBANK).map_err(|wrong| wrong.to_string())?;
        built(profile, if voucher { Slip::Till } else { Slip::Terminal })
    },
};

/// The same engine with a profile of the shop's own. The example's terminal is nobody's: Transbank's messages, Nexi's check byte.
pub const GENERIC: Spec = Spec {
    name: "stx-lrc",
    kind: Kind::Terminal,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Cards, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: include_str!("example.toml"),
    build: |options| built(options::parse(options)?, Slip::Till),
};

fn built(profile: Profile, slip: Slip) -> Result<Box<dyn Driver>, String> {
    Ok(Box::new(Terminal::new(profile.checked()?, slip)))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// The slip comes to the receipt instead of the terminal's own paper (its program 19.3 or later).
    voucher: bool,
}
