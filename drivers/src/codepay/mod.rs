//! CodePay (Wiseasy) terminals on a serial line or USB: frames `55 AA … CC 33` around messages in the form of protocol buffers.
//!
//! Source: developer.codepay.us, serial communication protocol, and the message definitions published with its kit.
//! An order is known by our number for it, which follows from the tender; after any silence the terminal is asked what became
//! of that very order. Cards are charged by the terminal's own program: it takes nothing back for want of an acknowledgement.

mod driver;
mod frame;
mod json;
mod proto;
mod sim;

pub use frame::{Frame, Kind as FrameKind};
pub use json::to_json;
pub use sim::CodePaySim;

use crate::{Cap, Kind, LinkKind, Spec, options};

pub const SPEC: Spec = Spec {
    name: "codepay",
    kind: Kind::Terminal,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Cards, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"codepay\"\nlink = \"serial:/dev/ttyACM0?baud=115200\"\noptions = { app = \"wz0123456789abcdef\", currency = \"USD\" }",
    build: |options| Ok(Box::new(driver::CodePay::new(options::parse(options)?)?)),
};
