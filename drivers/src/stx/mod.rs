//! Card terminals on a line of `STX text ETX LRC` frames, each answered with ACK or NAK: the frames for all of that family
//! ([`Check`]), and the messages of Transbank's *POS integrado* on them.
//!
//! Source: transbankdevelopers.cl, reference of POS integrado. A sale stands when the terminal says so: it does not take it back
//! for want of an acknowledgement. So a command that moves money is repeated only when it was refused (NAK); after silence
//! the terminal is asked for its last sale, which carries our ticket.

mod driver;
mod frame;
mod json;
mod line;
mod message;
mod sim;

pub use frame::{Check, NEXI, TRANSBANK, Unwrapped, unwrap, wrap};
pub use json::to_json;
pub use sim::StxSim;

use crate::{Cap, Kind, LinkKind, Spec, options};

pub const SPEC: Spec = Spec {
    name: "transbank",
    kind: Kind::Terminal,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Cards, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"transbank\"\nlink = \"serial:/dev/ttyACM0?baud=115200\"\noptions = { voucher = false }",
    build: |options| Ok(Box::new(driver::Terminal::new(options::parse(options)?))),
};
