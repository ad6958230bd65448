//! Card terminals that speak ZVT, the protocol of German-speaking banks' terminals (PA00P015 rev. 13.08), over TCP or serial.

mod bmp;
mod codec;
mod driver;
mod job;
mod json;
mod line;
pub mod serial;
mod sim;
mod text;

pub use bmp::{Fields, Tlv, Value};
pub use codec::{Context, Fault, Head, Message, block_lines, decode, split};
pub use json::to_json;
pub use sim::{SerialTerminalSim, TerminalSim};

use crate::{Cap, Kind, LinkKind, Spec, options};

pub const SPEC: Spec = Spec {
    name: "zvt",
    kind: Kind::Terminal,
    links: &[LinkKind::TcpPerCommand],
    caps: &[Cap::Cards, Cap::Refund, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"zvt\"\nlink = \"tcp:192.0.2.20:20007\"\noptions = { password = \"000000\", currency = 156 }",
    build: |options| Ok(Box::new(driver::Terminal::new(&options::parse(options)?)?)),
};

/// The same messages in the frames of a serial line, also behind a serial server.
pub const SERIAL: Spec = Spec {
    name: "zvt-serial",
    kind: Kind::Terminal,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Cards, Cap::Refund, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"zvt-serial\"\nlink = \"serial:/dev/ttyUSB0?baud=9600&mode=8N2\"\noptions = { password = \"000000\", currency = 156 }",
    build: |options| Ok(Box::new(line::Line::new(driver::Terminal::new(&options::parse(options)?)?))),
};
