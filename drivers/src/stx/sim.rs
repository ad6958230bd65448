//! A terminal in mode *POS integrado* that is not there. It remembers its sales whatever happens to the line, and a sale stands
//! when it is approved, acknowledged or not. Its messages are put together here, field by field, as the reference lists them.

use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Timeout 2: an answer is acknowledged within this, or sent again.
const ACK_MS: u64 = 3_000;
const REPEATS: u32 = 2;
const SALES_MAX: usize = 10_000;
const INBOX_MAX: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// A card is tapped by itself after this long, unless told to wait for one.
    tap_ms: u64,
    wait_for_card: bool,
    /// The card that taps by itself.
    pan: String,
    /// Where its check bytes begin.
    seed: u8,
}

impl Default for Options {
    fn default() -> Self {
        Self { tap_ms: 300, wait_for_card: false, pan: "4111111111111111".into(), seed: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Approve,
    Decline(u8),
    /// Takes the request and does nothing more.
    Hang,
    /// The sale is made, its answer is lost.
    LoseAnswer,
    /// The sale is made, noise comes in place of its answer.
    Garbage,
}

#[derive(Debug)]
struct Sale {
    amount: u64,
    ticket: String,
    operation: u32,
    last4: String,
    voucher: bool,
    cancelled: bool,
}

#[derive(Debug)]
enum Doing {
    Nothing,
    /// A card is asked for.
    Card {
        amount: u64,
        ticket: String,
        voucher: bool,
        until: Option<Mono>,
    },
    /// An answer waits for its ACK.
    Answered {
        frame: Vec<u8>,
        repeats: u32,
        until: Mono,
    },
    Hung,
}

#[derive(Debug)]
pub struct StxSim {
    options: Options,
    behaviour: Behaviour,
    sales: VecDeque<Sale>,
    operations: u32,
    closed: u64,
    keys: u64,
    polls: u64,
    inbox: Vec<u8>,
    doing: Doing,
    connected: bool,
}

impl StxSim {
    /// Options `tap_ms`, `wait_for_card`, `pan`, `seed`.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        Ok(Box::new(Self::of(options::parse(options)?)))
    }

    /// The terminal of the example with a profile of its own: `seed` is 127 unless it is said.
    pub fn generic(options: &Value) -> Result<Box<dyn Sim>, String> {
        let own: Options = options::parse(options)?;
        let seed = if options.get("seed").is_some() { own.seed } else { 0x7F };
        Ok(Box::new(Self::of(Options { seed, ..own })))
    }

    fn of(options: Options) -> Self {
        Self {
            options,
            behaviour: Behaviour::Approve,
            sales: VecDeque::new(),
            operations: 100,
            closed: 0,
            keys: 0,
            polls: 0,
            inbox: Vec::new(),
            doing: Doing::Nothing,
            connected: false,
        }
    }

    fn control(&mut self, now: Mono, verb: &Value, out: &mut Out) {
        if let Some(wait) = verb.get("wait_for_card").and_then(Value::as_bool) {
            self.options.wait_for_card = wait;
        }
        if let Some(code) = verb.get("decline").and_then(Value::as_u64) {
            self.behaviour = Behaviour::Decline(u8::try_from(code).unwrap_or(1));
        }
        match verb.get("behaviour").and_then(Value::as_str) {
            Some("approve") => self.behaviour = Behaviour::Approve,
            Some("hang") => self.behaviour = Behaviour::Hang,
            Some("lose_answer") => self.behaviour = Behaviour::LoseAnswer,
            Some("garbage") => self.behaviour = Behaviour::Garbage,
            Some(_) | None => {}
        }
        if let Some(tap) = verb.get("tap") {
            let pan = tap.as_str().map_or_else(|| self.options.pan.clone(), str::to_owned);
            self.tap(now, &pan, out);
        }
    }

    fn hear(&mut self, now: Mono, bytes: &[u8], out: &mut Out) {
        self.inbox.extend_from_slice(bytes);
        if self.inbox.len() > INBOX_MAX {
            self.inbox.clear();
        }
        loop {
            match self.inbox.first() {
                None => return,
                Some(0x02) => {
                    let Some(end) = self.inbox.iter().position(|byte| *byte == 0x03) else { return };
                    let Some(sum) = self.inbox.get(end + 1).copied() else { return };
                    let body: Vec<u8> = self.inbox.drain(..end + 2).skip(1).take(end).collect();
                    let text = body.split_last().map_or(&[][..], |(_, text)| text);
                    if body.iter().fold(self.options.seed, |lrc, byte| lrc ^ byte) == sum {
                        let text = String::from_utf8_lossy(text).into_owned();
                        self.request(now, &text, out);
                    } else {
                        out.send(&[0x15]);
                    }
                }
                Some(byte) => {
                    let byte = *byte;
                    self.inbox.remove(0);
                    self.signal(now, byte, out);
                }
            }
        }
    }

    fn signal(&mut self, now: Mono, byte: u8, out: &mut Out) {
        match byte {
            0x06 if matches!(self.doing, Doing::Answered { .. }) => self.doing = Doing::Nothing,
            0x15 => self.again(now, out),
            _ => {}
        }
    }

    fn again(&mut self, now: Mono, out: &mut Out) {
        if let Doing::Answered { frame, repeats, until } = &mut self.doing {
            if *repeats >= REPEATS {
                self.doing = Doing::Nothing;
                return;
            }
            *repeats += 1;
            *until = now.plus_ms(ACK_MS);
            out.send(frame);
        }
    }

    fn request(&mut self, now: Mono, text: &str, out: &mut Out) {
        if matches!(self.doing, Doing::Card { .. } | Doing::Hung) {
            return;
        }
        self.doing = Doing::Nothing;
        let fields: Vec<&str> = text.split('|').collect();
        let field = |at: usize| fields.get(at).copied().unwrap_or("");
        out.send(&[0x06]);
        match field(0) {
            "0100" => self.polls += 1,
            "0200" => {
                let amount = field(1).parse().unwrap_or(0);
                if self.behaviour == Behaviour::Hang {
                    self.doing = Doing::Hung;
                    return;
                }
                if amount == 0 || field(2).len() > 6 {
                    let code = if amount == 0 { "72" } else { "70" };
                    return self.answer(now, &format!("0210|{code}|597029414300|75001087||||||||||||||||"), out);
                }
                out.send(&self.frame("0900|78"));
                let until = (!self.options.wait_for_card).then(|| now.plus_ms(self.options.tap_ms));
                let (ticket, voucher) = (field(2).to_owned(), field(4) == "1");
                self.doing = Doing::Card { amount, ticket, voucher, until };
            }
            "0250" => {
                let last = self.sales.back().map_or_else(
                    || "0260|11|597029414300|75001087||||||||||||||||".to_owned(),
                    |sale| told("0260", sale),
                );
                self.answer(now, &last, out);
            }
            "0500" => {
                self.closed += 1;
                self.answer(now, "0510|00|597029414300|75001087|", out);
            }
            "0700" => {
                let standing = || self.sales.iter().filter(|sale| !sale.cancelled);
                let sum: u64 = standing().map(|sale| sale.amount).sum();
                let text = format!("0710|00|{}|{sum}", standing().count());
                self.answer(now, &text, out);
            }
            "0800" => {
                self.keys += 1;
                self.answer(now, "0810|00|597029414300|75001087|", out);
            }
            "1200" => self.cancel(now, field(1), out),
            _ => {}
        }
    }

    fn cancel(&mut self, now: Mono, operation: &str, out: &mut Out) {
        let operation: u32 = operation.parse().unwrap_or(0);
        let code = match self.sales.iter_mut().find(|sale| sale.operation == operation) {
            Some(sale) if sale.cancelled => "04",
            Some(sale) => {
                sale.cancelled = true;
                "00"
            }
            None => "05",
        };
        self.answer(now, &format!("1210|{code}|597029414300|75001087|XZ123456|{operation}"), out);
    }

    fn answer(&mut self, now: Mono, text: &str, out: &mut Out) {
        let frame = self.frame(text);
        out.send(&frame);
        self.doing = Doing::Answered { frame, repeats: 0, until: now.plus_ms(ACK_MS) };
    }

    fn frame(&self, text: &str) -> Vec<u8> {
        let mut frame = vec![0x02];
        frame.extend(text.bytes());
        frame.push(0x03);
        frame.push(frame.iter().skip(1).fold(self.options.seed, |lrc, byte| lrc ^ byte));
        frame
    }

    fn tap(&mut self, now: Mono, pan: &str, out: &mut Out) {
        let Doing::Card { amount, ticket, voucher, .. } = &self.doing else { return };
        let (amount, ticket, voucher) = (*amount, ticket.clone(), *voucher);
        self.doing = Doing::Nothing;
        out.send(&self.frame("0900|81"));
        out.send(&self.frame("0900|82"));
        if let Behaviour::Decline(code) = self.behaviour {
            let text = format!("0210|{code:02}|597029414300|75001087|{ticket}||{amount}|||||||||||||");
            return self.answer(now, &text, out);
        }
        self.operations += 1;
        if self.sales.len() >= SALES_MAX {
            self.sales.pop_front();
        }
        let last4 = pan.get(pan.len().saturating_sub(4)..).unwrap_or("0000").to_owned();
        let sale = Sale { amount, ticket, operation: self.operations, last4, voucher, cancelled: false };
        let text = told("0210", &sale);
        self.sales.push_back(sale);
        match self.behaviour {
            Behaviour::LoseAnswer => {}
            Behaviour::Garbage => {
                let noise = b"\x020210|00|\xff\xff\x03\x00".to_vec();
                out.send(&noise);
                self.doing = Doing::Answered { frame: noise, repeats: 0, until: now.plus_ms(ACK_MS) };
            }
            Behaviour::Approve | Behaviour::Decline(_) | Behaviour::Hang => self.answer(now, &text, out),
        }
    }

    fn due(&mut self, now: Mono, out: &mut Out) {
        match &self.doing {
            Doing::Card { until: Some(until), .. } if now >= *until => {
                let pan = self.options.pan.clone();
                self.tap(now, &pan, out);
            }
            Doing::Answered { until, .. } if now >= *until => self.again(now, out),
            Doing::Card { .. } | Doing::Answered { .. } | Doing::Nothing | Doing::Hung => {}
        }
    }
}

impl Sim for StxSim {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        let mut said = Out::default();
        match input {
            SimIn::Connected => {
                self.connected = true;
                self.inbox.clear();
                if matches!(self.doing, Doing::Hung) {
                    self.doing = Doing::Nothing;
                }
            }
            // The line is all that is lost: a card that is being read is charged.
            SimIn::Disconnected => {
                self.connected = false;
                self.inbox.clear();
            }
            SimIn::Bytes(bytes) => self.hear(now, bytes, &mut said),
            SimIn::Timeout => self.due(now, &mut said),
            SimIn::Control(verb) => self.control(now, verb, &mut said),
        }
        if self.connected {
            out.send(&said.bytes);
        }
        if let Doing::Card { until: Some(until), .. } | Doing::Answered { until, .. } = self.doing {
            out.wake_at(until);
        }
    }

    fn state(&self) -> Value {
        let told = |sale: &Sale| {
            let state = if sale.cancelled { "reversed" } else { "captured" };
            json!({"amount": sale.amount, "trace": sale.operation, "ticket": sale.ticket, "state": state})
        };
        json!({
            "connected": self.connected,
            "wants_card": matches!(self.doing, Doing::Card { .. }),
            "charges": self.sales.iter().map(told).collect::<Vec<_>>(),
            "polls": self.polls,
            "closed": self.closed,
            "keys": self.keys,
        })
    }
}

/// "Respuesta de venta" and "respuesta de última venta".
fn told(kind: &str, sale: &Sale) -> String {
    let Sale { amount, ticket, operation, last4, .. } = sale;
    let row = |text: String| format!("{text:<40}");
    let voucher = if sale.voucher && kind == "0210" {
        [
            "               TRANSBANK",
            "         VENTA - COPIA COMERCIO",
            "               TRANSBANK",
            "         VENTA - COPIA CLIENTE",
        ]
        .map(str::to_owned)
        .into_iter()
        .chain([format!("TOTAL: {amount:>33}"), format!("OPERACION: {operation:06}")])
        .map(row)
        .collect()
    } else {
        String::new()
    };
    format!(
        "{kind}|00|597029414300|75001087|{ticket}|XZ1234|{amount}|0||{last4}|{operation:06}|CR|||VI|22112026|101112|||{voucher}"
    )
}
