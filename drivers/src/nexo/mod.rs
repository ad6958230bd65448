//! Card terminals that speak nexo retailer messages over HTTPS on the shop's own network, in Adyen's dialect.

mod aside;
mod crypto;
mod driver;
mod http;
mod json;
mod message;
mod sim;

pub use json::to_json;
pub use message::{ERROR_CONDITIONS, minor};
pub use sim::NexoSim;

use crate::{Cap, Kind, LinkKind, Spec, options};

pub const SPEC: Spec = Spec {
    name: "nexo",
    kind: Kind::Terminal,
    links: &[LinkKind::TlsPerCommand, LinkKind::TcpPerCommand],
    caps: &[Cap::Cards, Cap::Refund, Cap::Reverse, Cap::LastPayment],
    quirks: &[],
    example: "name = \"terminal-1\"\ndriver = \"nexo\"\nlink = \"tls:192.0.2.20:8443?ca=/etc/aisle/terminals.pem&cn=*.live.terminal.adyen.com\"\noptions = { sale = \"lane-1\", poi = \"P400Plus-123456789\", currency = \"EUR\", passphrase = \"change me\", key = \"lane\", key_version = 1 }",
    build: |options| Ok(Box::new(driver::Nexo::new(options::parse(options)?)?)),
};
