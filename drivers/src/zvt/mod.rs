//! Card terminals that speak ZVT, the protocol of German-speaking banks' terminals (PA00P015 rev. 13.08), over TCP.

mod bmp;
mod codec;
mod driver;
mod json;
pub mod serial;
mod sim;
mod text;

pub use bmp::{Fields, Tlv, Value};
pub use codec::{Context, Fault, Head, Message, block_lines, decode, split};
pub use json::to_json;
pub use sim::TerminalSim;

use crate::options;
use crate::{Cap, Kind, LinkKind, Spec};

pub const SPEC: Spec = Spec {
    name: "zvt",
    kind: Kind::Terminal,
    links: &[LinkKind::TcpPerCommand],
    caps: &[Cap::Cards, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"zvt\"\nlink = \"tcp:192.0.2.20:20007\"\noptions = { password = \"000000\", currency = 156 }",
    build: |options| Ok(Box::new(driver::Terminal::new(&options::parse(options)?)?)),
};
