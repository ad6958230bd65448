//! Sends jobs one after the other and watches the paper.

use super::encode::{Align, Cut, Encoder};
use super::layout;
use super::logo::Logo;
use crate::{Driver, In, Out};
use checkout::device::{DeviceCommand, DeviceEvent, Document, PrintJob, PrinterEvent};
use checkout::words::{Mono, TransactionId};
use serde::Deserialize;
use std::collections::VecDeque;

const JOBS_MAX: usize = 16;
const POLL_MS: u64 = 2_000;
/// A printer that has a job and says nothing at all for so long is away.
const SILENT_MS: u64 = 20_000;
/// A printer that could print and does not confirm is asked again after this long, and so much more for each byte of the
/// job: the slowest line carries about one in a millisecond. The question stands behind the receipt, however slowly that
/// is printed.
const CONFIRM_MS: u64 = 1_500;
const BYTE_MS: u64 = 1;
/// Short, since the receipts behind it wait: a printer that is well again is at work within five seconds.
const AGAIN_MS: u64 = 2_000;
const AGAIN_MAX: u32 = 28;
/// Answers to questions that were asked twice come one right behind the other: the later ones mean the job before.
const SURPLUS_MS: u64 = 250;
/// Taken for one of those, an answer may yet have been the job's own: it is asked for again after so long.
const DOUBT_MS: u64 = 400;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    columns: usize,
    cut: CutOption,
    /// Drawer connector: 2 or 5.
    drawer_pin: u8,
    confirm: Confirm,
    /// Above each receipt: a portable bitmap (`P4`) in base64.
    logo: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { columns: 48, cut: CutOption::Partial, drawer_pin: 2, confirm: Confirm::JobEnd, logo: String::new() }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CutOption {
    Full,
    Partial,
    None,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Confirm {
    /// `GS r 1` behind each job.
    JobEnd,
    /// The link cannot be read: sent counts as printed.
    None,
}

pub(super) struct Printer {
    options: Options,
    logo: Option<Logo>,
    jobs: VecDeque<(TransactionId, Vec<u8>)>,
    printing: Option<TransactionId>,
    /// When the job under way should have been confirmed, unless paper or cover holds it up.
    due: Mono,
    /// How often its confirmation was asked for again.
    again: u32,
    /// Confirmations that may still come for the job before, and until when.
    surplus: (u32, Mono),
    automatic: Vec<u8>,
    asked: Option<u8>,
    heard: Mono,
    shown: Option<PrinterEvent>,
    low: Low,
    blocked: Blocked,
    /// A question came to nothing.
    unanswered: bool,
    /// Asked about last, and when next.
    polled: u8,
    poll_at: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Low {
    No,
    Yes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Blocked {
    paper: bool,
    cover: bool,
}

impl Printer {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        if !matches!(options.columns, 32 | 42 | 48) {
            return Err("columns must be 32, 42 or 48".into());
        }
        if !matches!(options.drawer_pin, 2 | 5) {
            return Err("drawer_pin must be 2 or 5".into());
        }
        let logo = Some(options.logo.as_str()).filter(|logo| !logo.is_empty());
        let logo = logo.map(|logo| Logo::read(logo, options.columns)).transpose()?;
        Ok(Self {
            options,
            logo,
            jobs: VecDeque::new(),
            printing: None,
            due: Mono(0),
            again: 0,
            surplus: (0, Mono(0)),
            poll_at: Mono(0),
            automatic: Vec::new(),
            asked: None,
            heard: Mono(0),
            shown: None,
            low: Low::No,
            blocked: Blocked::default(),
            unanswered: false,
            polled: 0,
        })
    }

    fn job(&self, job: &PrintJob) -> Vec<u8> {
        let mut paper = Encoder::default();
        paper.init();
        if job.drawer {
            paper.drawer(u8::from(self.options.drawer_pin == 5));
        }
        if let (Some(logo), Document::Receipt(_)) = (&self.logo, &job.document) {
            paper.align(Align::Centre).raster(logo.width, &logo.rows).align(Align::Left);
        }
        layout::document(&job.document, self.options.columns, &mut paper);
        paper.feed(4);
        match self.options.cut {
            CutOption::Full => paper.cut(Cut::Full),
            CutOption::Partial => paper.cut(Cut::Partial),
            CutOption::None => &mut paper,
        };
        if self.options.confirm == Confirm::JobEnd {
            paper.confirm();
        }
        paper.finish()
    }

    fn send_next(&mut self, now: Mono, out: &mut Out) {
        while self.printing.is_none() && self.blocked == Blocked::default() {
            let Some((transaction, bytes)) = self.jobs.pop_front() else {
                return;
            };
            out.send(&bytes);
            if self.options.confirm == Confirm::None {
                out.event(DeviceEvent::Printer(PrinterEvent::Printed { transaction }));
                continue;
            }
            self.printing = Some(transaction);
            self.due = confirm_by(now, bytes.len());
            self.heard = now;
            self.poll_at = now.plus_ms(POLL_MS);
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Out) {
        if !self.automatic.is_empty() {
            if byte & 0x90 == 0 {
                self.automatic.push(byte);
                if let [first, _, paper, _] = *self.automatic.as_slice() {
                    self.automatic.clear();
                    self.blocked.cover = first & 0x20 != 0;
                    self.paper(paper & 0x0C != 0, paper & 0x03 != 0);
                    self.report(out);
                }
                return;
            }
            self.automatic.clear();
        }
        match byte {
            b if b & 0x93 == 0x10 => self.automatic.push(b),
            b if b & 0x93 == 0x12 => self.answer(b, out),
            b if b & 0x90 == 0 => self.confirmed(b, out),
            _ => {}
        }
    }

    /// Answers to `DLE EOT n` do not say which `n`, so one is asked at a time.
    fn answer(&mut self, byte: u8, out: &mut Out) {
        // It was silent with a job in it, as after a power cut: nobody knows what became of the job.
        if core::mem::take(&mut self.unanswered) && self.printing.is_some() && self.blocked == Blocked::default() {
            return out.fail("the printer was away with a receipt in it");
        }
        match self.asked.take() {
            Some(4) => self.paper(byte & 0x60 != 0, byte & 0x0C != 0),
            Some(2) => {
                self.blocked.cover = byte & 0x04 != 0;
                self.blocked.paper |= byte & 0x20 != 0;
            }
            Some(_) | None => return,
        }
        self.report(out);
    }

    /// The answer to `GS r 1`: everything before it is on paper.
    fn confirmed(&mut self, byte: u8, out: &mut Out) {
        let (surplus, until) = &mut self.surplus;
        if *surplus > 0 && self.heard < *until {
            *surplus -= 1;
            self.due = self.due.min(self.heard.plus_ms(DOUBT_MS));
            return;
        }
        let Some(transaction) = self.printing.take() else {
            return;
        };
        self.surplus = (core::mem::take(&mut self.again), self.heard.plus_ms(SURPLUS_MS));
        (self.asked, self.unanswered) = (None, false);
        out.event(DeviceEvent::Printer(PrinterEvent::Printed { transaction }));
        self.paper(byte & 0x0C != 0, byte & 0x03 != 0);
        self.report(out);
    }

    fn paper(&mut self, out_of: bool, low: bool) {
        self.blocked.paper = out_of;
        self.low = if low { Low::Yes } else { Low::No };
    }

    fn report(&mut self, out: &mut Out) {
        let event = match (self.blocked, self.low) {
            (Blocked { cover: true, .. }, _) => PrinterEvent::CoverOpen,
            (Blocked { paper: true, .. }, _) => PrinterEvent::PaperOut,
            (_, Low::Yes) => PrinterEvent::PaperLow,
            (_, Low::No) => PrinterEvent::Ready,
        };
        if self.shown.as_ref() != Some(&event) {
            self.shown = Some(event.clone());
            out.event(DeviceEvent::Printer(event));
        }
    }

    /// While a job is not confirmed: why? Paper and cover in turn, for printers that do not tell by themselves.
    fn poll(&mut self, now: Mono, out: &mut Out) {
        if self.printing.is_none() && self.blocked == Blocked::default() {
            return;
        }
        if now.0.saturating_sub(self.heard.0) >= SILENT_MS {
            out.fail("the printer does not answer");
            return;
        }
        // While paper or cover holds the job up, time does not count.
        if self.blocked != Blocked::default() {
            self.due = confirm_by(now, 0);
        } else if now >= self.due && self.asked.is_none() {
            if self.again >= AGAIN_MAX {
                return out.fail("the printer does not confirm what it printed");
            }
            self.again += 1;
            self.due = now.plus_ms(AGAIN_MS);
            out.send(&[0x1D, b'r', 1]);
        }
        if now < self.poll_at {
            return;
        }
        self.unanswered |= self.asked.is_some();
        let which = if self.polled == 4 { 2 } else { 4 };
        self.polled = which;
        self.asked = Some(which);
        out.send(&[0x10, 0x04, which]);
        self.poll_at = now.plus_ms(POLL_MS);
    }

    /// When to look again, while there is something to wait for.
    fn next(&self, now: Mono) -> Option<Mono> {
        let waits = self.printing.is_some() || self.blocked != Blocked::default();
        // One that is due and cannot be asked for yet is looked at with the next poll.
        let due = Some(self.due).filter(|due| self.printing.is_some() && *due > now);
        waits.then(|| due.map_or(self.poll_at, |due| due.min(self.poll_at)))
    }
}

/// By when a job of so many bytes is on paper.
const fn confirm_by(now: Mono, bytes: usize) -> Mono {
    now.plus_ms(CONFIRM_MS + BYTE_MS * bytes as u64)
}

impl Driver for Printer {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.automatic.clear();
                self.asked = None;
                self.heard = now;
                if self.options.confirm == Confirm::JobEnd {
                    // Automatic status: online, error, paper.
                    out.send(&[0x1D, b'a', 0x0E]);
                }
            }
            In::Bytes(bytes) => {
                self.heard = now;
                for byte in bytes {
                    self.byte(*byte, out);
                }
                if self.printing.is_none() && self.poll_at < now {
                    self.poll_at = now.plus_ms(POLL_MS);
                }
            }
            In::Command(DeviceCommand::Print(job)) => {
                if self.jobs.len() >= JOBS_MAX {
                    out.fail("too many receipts wait for the printer");
                    return;
                }
                let bytes = self.job(job);
                let transaction = job.document.id().clone();
                self.jobs.push_back((transaction, bytes));
            }
            In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Face(_),
            ) => {}
            In::Timeout => self.poll(now, out),
        }
        self.send_next(now, out);
        if let Some(at) = self.next(now) {
            out.wake_at(at);
        }
    }
}
