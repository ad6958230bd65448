//! Receipt printers that speak ESC/POS, with Chinese text in GB18030.

mod draw;
mod driver;
mod encode;
mod json;
mod layout;
mod logo;
pub mod render;
mod sim;

pub(crate) use encode::gb;
pub use encode::{Align, Correction, Cut, Encoder, Size, Weight, columns};
pub use json::to_json;
pub use sim::PrinterSim;

use crate::options;
use crate::{Cap, Kind, LinkKind, Spec};

pub const SPEC: Spec = Spec {
    name: "escpos",
    kind: Kind::Printer,
    links: &[LinkKind::Serial, LinkKind::Tcp, LinkKind::File],
    caps: &[Cap::Cut, Cap::Drawer, Cap::Status, Cap::Confirm],
    quirks: &[],
    example: "name = \"printer-1\"\ndriver = \"escpos\"\nlink = \"tcp:192.0.2.30:9100\"\noptions = { columns = 48 }",
    build: |options| Ok(Box::new(driver::Printer::new(options::parse(options)?)?)),
};
