//! A receipt printer that is not there: it prints on paper one can read, runs out of it, and answers as printers do.

use super::render::{self, Item, Paper};
use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// What a real one buffers before it holds up the line.
const BUFFER_MAX: usize = 64 * 1024;
const RECEIPTS_MAX: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    columns: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { columns: 48 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Roll {
    Full,
    Low,
    Out,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cover {
    Closed,
    Open,
}

#[derive(Debug)]
pub struct PrinterSim {
    options: Options,
    buffer: Vec<u8>,
    paper: Paper,
    sheet: Vec<u8>,
    receipts: VecDeque<Vec<u8>>,
    printed: u64,
    drawer_kicks: u64,
    roll: Roll,
    cover: Cover,
    automatic: u8,
    connected: bool,
}

impl PrinterSim {
    /// Option `columns`.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        Ok(Box::new(Self {
            options: options::parse(options)?,
            buffer: Vec::new(),
            paper: Paper::default(),
            sheet: Vec::new(),
            receipts: VecDeque::new(),
            printed: 0,
            drawer_kicks: 0,
            roll: Roll::Full,
            cover: Cover::Closed,
            automatic: 0,
            connected: false,
        }))
    }

    fn can_print(&self) -> bool {
        self.roll != Roll::Out && self.cover == Cover::Closed
    }

    fn received(&mut self, bytes: &[u8], out: &mut Out) {
        // A question that comes by itself is answered while everything else waits, half a picture too.
        if let [0x10, 0x04, which @ 1..=4] = bytes {
            return self.status(*which, out);
        }
        self.buffer.extend_from_slice(bytes);
        self.buffer.truncate(BUFFER_MAX);
        self.print(out);
        if !self.can_print() {
            self.answer_at_once(out);
        }
    }

    fn print(&mut self, out: &mut Out) {
        while self.can_print() {
            let Some((item, used)) = render::next(&self.buffer, self.paper.chinese()) else {
                return;
            };
            self.sheet.extend(self.buffer.drain(..used));
            self.paper.put(&item);
            self.act(&item, out);
        }
    }

    fn act(&mut self, item: &Item, out: &mut Out) {
        match item {
            Item::Cut => {
                self.printed += 1;
                self.receipts.push_back(core::mem::take(&mut self.sheet));
                if self.receipts.len() > RECEIPTS_MAX {
                    self.receipts.pop_front();
                }
                self.paper.rows.clear();
            }
            Item::Drawer(_) => self.drawer_kicks += 1,
            Item::Confirm(_) => out.send(&[match self.roll {
                Roll::Full => 0x00,
                Roll::Low => 0x03,
                Roll::Out => 0x0C,
            }]),
            Item::Automatic(mask) => {
                self.automatic = *mask;
                self.tell(out);
            }
            Item::Status(which) => self.status(*which, out),
            Item::Init
            | Item::Text(_)
            | Item::Wide(_)
            | Item::LineFeed
            | Item::Feed(_)
            | Item::Centre(_)
            | Item::Bold(_)
            | Item::Size(_, _)
            | Item::Chinese(_)
            | Item::QrModule(_)
            | Item::QrData(_)
            | Item::QrPrint
            | Item::Bars(_, _)
            | Item::Raster(_)
            | Item::PdfData(_)
            | Item::PdfPrint
            | Item::Other => {}
        }
    }

    /// `DLE EOT` is obeyed even where everything else waits for paper.
    fn answer_at_once(&mut self, out: &mut Out) {
        let asked = |window: &[u8]| matches!(window, [0x10, 0x04, 1..=4]);
        while let Some(at) = self.buffer.windows(3).position(asked) {
            let command: Vec<u8> = self.buffer.drain(at..at + 3).collect();
            self.status(command.last().copied().unwrap_or(1), out);
        }
    }

    fn status(&self, which: u8, out: &mut Out) {
        let (roll, cover) = (self.roll, self.cover);
        let bits = match which {
            1 if !self.can_print() => 0x08,
            2 => {
                let open = if cover == Cover::Open { 0x04 } else { 0 };
                open | if roll == Roll::Out { 0x20 } else { 0 }
            }
            4 => match roll {
                Roll::Full => 0,
                Roll::Low => 0x0C,
                Roll::Out => 0x6C,
            },
            _ => 0,
        };
        out.send(&[0x12 | bits]);
    }

    fn tell(&self, out: &mut Out) {
        if self.automatic == 0 || !self.connected {
            return;
        }
        let offline = if self.can_print() { 0 } else { 0x08 };
        let open = if self.cover == Cover::Open { 0x20 } else { 0 };
        let roll = match self.roll {
            Roll::Full => 0,
            Roll::Low => 0x03,
            Roll::Out => 0x0F,
        };
        out.send(&[0x10 | offline | open, 0, roll, 0]);
    }

    fn control(&mut self, verb: &Value) {
        match verb.get("paper").and_then(Value::as_str) {
            Some("ok") => self.roll = Roll::Full,
            Some("low") => self.roll = Roll::Low,
            Some("out") => self.roll = Roll::Out,
            Some(_) | None => {}
        }
        match verb.get("cover").and_then(Value::as_str) {
            Some("open") => self.cover = Cover::Open,
            Some("closed") => self.cover = Cover::Closed,
            Some(_) | None => {}
        }
    }
}

impl Sim for PrinterSim {
    fn handle(&mut self, _now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => self.connected = true,
            SimIn::Disconnected => {
                self.connected = false;
                self.automatic = 0;
            }
            SimIn::Bytes(bytes) => self.received(bytes, out),
            SimIn::Timeout => {}
            SimIn::Control(verb) => {
                self.control(verb);
                self.tell(out);
                self.print(out);
            }
        }
    }

    fn state(&self) -> Value {
        let columns = self.options.columns;
        let texts: Vec<String> = self.receipts.iter().map(|bytes| Paper::of(bytes).text(columns)).collect();
        json!({
            "connected": self.connected,
            "paper": match self.roll { Roll::Full => "ok", Roll::Low => "low", Roll::Out => "out" },
            "cover": match self.cover { Cover::Closed => "closed", Cover::Open => "open" },
            "drawer_kicks": self.drawer_kicks,
            "printed": self.printed,
            "receipts": texts,
            "svgs": self.receipts.iter().map(|bytes| render::svg(bytes, columns)).collect::<Vec<_>>(),
        })
    }
}
