//! A card terminal that is not there. It remembers its charges whatever happens to the line, and captures one only when the
//! till has acknowledged its Status-Information. Its messages are put together here byte by byte, by the layout of captured
//! ones, so that the codec is not checked against itself.

mod service;

pub use service::SerialTerminalSim;

use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};
use service::Pending;
use std::collections::VecDeque;

const ACK_MS: u64 = 5_000;
const CHARGES_MAX: usize = 10_000;
const INBOX_MAX: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// A card is tapped by itself after this long, unless told to wait for one.
    tap_ms: u64,
    /// Wait for `{"tap": …}` on the panel.
    wait_for_card: bool,
    terminal: u32,
    /// The card that taps by itself.
    pan: String,
    /// How the shopper's slip comes to the till after a payment.
    prints: Prints,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Prints {
    None,
    /// 06 D1 each.
    Lines,
    /// 06 D3.
    Block,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tap_ms: 300,
            wait_for_card: false,
            terminal: 52_500_042,
            pan: "6225880123456782".into(),
            prints: Prints::None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChargeState {
    Pending,
    Captured,
    Reversed,
}

#[derive(Debug)]
struct Charge {
    amount: u64,
    trace: u32,
    receipt: u32,
    /// As sent: first six and last four digits.
    pan: Vec<u8>,
    state: ChargeState,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Behaviour {
    Approve,
    Decline(u8),
    /// Half of the Status-Information, then the line is dead.
    HangUpMidAnswer,
    /// The payment is captured, then the line is dead.
    HangUpAfterAnswer,
    Hang,
    Garbage,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// The till asked for patience.
    Pause(u64),
    /// Send and wait for the till's acknowledgement.
    Say(Vec<u8>),
    /// Until a card is tapped, on the panel or by itself.
    Card,
    /// Goes on as the behaviour says at that moment.
    Decide(u64),
    /// The Status-Information of an approval: a charge comes into being.
    Approve(u64),
    /// The Status-Information of what comes true with its acknowledgement.
    Promise(Pending, u64),
    /// The shopper's slip.
    Slip,
    HangUp,
    Nonsense,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Nothing,
    Acknowledgement { since: Mono },
    Time { until: Mono },
    Card { until: Option<Mono> },
    Forever,
}

#[derive(Debug)]
pub struct TerminalSim {
    options: Options,
    behaviour: Behaviour,
    slow_ms: u64,
    charges: VecDeque<Charge>,
    traces: u32,
    inbox: Vec<u8>,
    script: VecDeque<Step>,
    /// The pause of `slow` before the next step is over.
    rested: bool,
    waiting: Waiting,
    tapped: Option<Vec<u8>>,
    /// The last message, for a till that asks for patience, and how often one did.
    said: Vec<u8>,
    patience: u64,
    /// What a card is asked for.
    asked: Option<u64>,
    /// The next card, and no other, is declined with this code.
    declines_next: Option<u8>,
    connected: bool,
    registered: bool,
    /// With its amount and trace number.
    pending: Option<(Pending, u64, u32)>,
    refunds: Vec<u64>,
    /// What it gave back since its last payment: amount and trace number.
    given_back: Option<(u64, u32)>,
    /// Ends of day.
    settled: u32,
    shows: &'static str,
}

impl TerminalSim {
    /// Options `tap_ms`, `wait_for_card`, `terminal`, `pan`, `prints`.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        Ok(Box::new(Self::new(options)?))
    }

    fn new(options: &Value) -> Result<Self, String> {
        let options: Options = options::parse(options)?;
        if !options.pan.bytes().all(|b| b.is_ascii_digit()) || options.pan.len() > 19 {
            return Err("pan must be at most 19 digits".into());
        }
        Ok(Self {
            options,
            behaviour: Behaviour::Approve,
            slow_ms: 0,
            charges: VecDeque::new(),
            traces: 100,
            inbox: Vec::new(),
            script: VecDeque::new(),
            rested: false,
            waiting: Waiting::Nothing,
            tapped: None,
            said: Vec::new(),
            patience: 0,
            asked: None,
            declines_next: None,
            connected: false,
            registered: false,
            pending: None,
            refunds: Vec::new(),
            given_back: None,
            settled: 0,
            shows: "READY",
        })
    }

    fn control(&mut self, verb: &Value) {
        if let Some(pan) = verb.get("tap") {
            self.tapped = Some(masked(pan.as_str().unwrap_or(&self.options.pan)));
        }
        if let Some(wait) = verb.get("wait_for_card").and_then(Value::as_bool) {
            self.options.wait_for_card = wait;
        }
        if let Some(ms) = verb.get("slow").and_then(Value::as_u64) {
            self.slow_ms = ms;
        }
        if let Some(code) = verb.get("decline").and_then(Value::as_u64) {
            self.behaviour = Behaviour::Decline(u8::try_from(code).unwrap_or(0x64));
        }
        if let Some(code) = verb.get("decline_once").and_then(Value::as_u64) {
            self.declines_next = Some(u8::try_from(code).unwrap_or(0x64));
        }
        // Somebody puts another terminal in its place.
        if let Some(terminal) = verb.get("terminal").and_then(Value::as_u64) {
            self.options.terminal = u32::try_from(terminal).unwrap_or(0);
        }
        match verb.get("behaviour").and_then(Value::as_str) {
            Some("approve") => self.behaviour = Behaviour::Approve,
            Some("hang_up_mid_answer") => self.behaviour = Behaviour::HangUpMidAnswer,
            Some("hang_up_after_answer") => self.behaviour = Behaviour::HangUpAfterAnswer,
            Some("hang") => self.behaviour = Behaviour::Hang,
            Some("garbage") => self.behaviour = Behaviour::Garbage,
            Some(_) | None => {}
        }
    }

    fn request(&mut self, class: u8, instruction: u8, data: &[u8], out: &mut Out) {
        if self.service(class, instruction, data, out) {
            return;
        }
        match (class, instruction) {
            (0x84, 0x9C) => self.asked_for_patience(),
            (0x80 | 0x84, _) => self.acknowledged(class),
            (0x06, 0x00) => {
                self.registered = true;
                out.send(b"\x80\x00\x00");
                let mut done = vec![0x06, 0x0F, 0x07, 0x19, 0x00, 0x29];
                done.extend(digits(u64::from(self.options.terminal), 8));
                self.script = VecDeque::from([Step::Say(done)]);
            }
            (0x06, 0x01) => self.authorise(data, out),
            (0x06, 0x20) if self.registered => {
                out.send(b"\x80\x00\x00");
                let last = self.last_status();
                self.script = VecDeque::from([Step::Say(last), completion()]);
            }
            (0x06, 0xB0) => self.abort(out),
            _ => out.send(b"\x84\x83\x00"),
        }
    }

    fn authorise(&mut self, data: &[u8], out: &mut Out) {
        let amount = match data {
            [0x04, amount @ ..] => amount.get(..6).map(number),
            _ => None,
        };
        let Some(amount) = amount.filter(|_| self.registered) else {
            return out.send(b"\x84\x83\x00");
        };
        out.send(b"\x80\x00\x00");
        self.tapped = None;
        self.asked = Some(amount);
        let insert = Step::Say(b"\x04\xff\x01\x0a".to_vec());
        let wait = Step::Say(b"\x04\xff\x01\x17".to_vec());
        self.script = VecDeque::from([insert, Step::Card, wait, Step::Decide(amount)]);
        if self.behaviour == Behaviour::Hang {
            self.script.clear();
            self.waiting = Waiting::Forever;
        }
    }

    /// What happens once a card is there: as told by then.
    fn decide(&mut self, amount: u64) {
        self.asked = None;
        let behaviour = self.declines_next.take().map_or_else(|| self.behaviour.clone(), Behaviour::Decline);
        let steps = match &behaviour {
            Behaviour::Approve => {
                vec![Step::Say(b"\x04\xff\x01\x04".to_vec()), Step::Approve(amount), Step::Slip, completion()]
            }
            Behaviour::Decline(code) => vec![
                Step::Say(b"\x04\xff\x01\x1d".to_vec()),
                Step::Say(self.refusal(*code, amount)),
                Step::Say(vec![0x06, 0x1E, 0x01, *code]),
            ],
            Behaviour::HangUpMidAnswer | Behaviour::HangUpAfterAnswer => vec![Step::Approve(amount), Step::HangUp],
            Behaviour::Hang => Vec::new(),
            Behaviour::Garbage => vec![Step::Nonsense],
        };
        self.script.extend(steps);
    }

    /// Nothing can be taken back any more once the card has answered.
    fn abort(&mut self, out: &mut Out) {
        out.send(b"\x80\x00\x00");
        let open = self.script.iter().any(|step| matches!(step, Step::Decide(_) | Step::Approve(_)))
            || self.waiting == Waiting::Forever;
        if open {
            let aborted = Step::Say(vec![0x06, 0x1E, 0x01, 0x6C]);
            self.script = VecDeque::from([aborted]);
            self.asked = None;
            self.waiting = Waiting::Nothing;
        }
    }

    fn acknowledged(&mut self, class: u8) {
        if !matches!(self.waiting, Waiting::Acknowledgement { .. }) {
            return;
        }
        self.waiting = Waiting::Nothing;
        if class == 0x80 {
            self.settle(ChargeState::Captured);
            self.keep_promise();
        } else {
            self.settle(ChargeState::Reversed);
            self.pending = None;
        }
    }

    /// "Please wait": what was said last is said again two seconds later.
    fn asked_for_patience(&mut self) {
        if matches!(self.waiting, Waiting::Acknowledgement { .. }) {
            self.waiting = Waiting::Nothing;
            self.patience += 1;
            self.script.push_front(Step::Say(self.said.clone()));
            self.script.push_front(Step::Pause(2_000));
        }
    }

    fn settle(&mut self, to: ChargeState) {
        if let Some(charge) = self.charges.back_mut()
            && charge.state == ChargeState::Pending
        {
            charge.state = to;
        }
    }

    /// Without acknowledgement the money goes back.
    fn line_lost(&mut self) {
        self.settle(ChargeState::Reversed);
        self.pending = None;
        self.script.clear();
        self.asked = None;
        self.waiting = Waiting::Nothing;
        self.inbox.clear();
        self.shows = "READY";
    }

    fn advance(&mut self, now: Mono, out: &mut Out) {
        while self.waiting == Waiting::Nothing {
            if self.script.is_empty() {
                self.shows = "READY";
                return;
            }
            if self.slow_ms > 0 && !self.rested {
                self.rested = true;
                let until = now.plus_ms(self.slow_ms);
                self.waiting = Waiting::Time { until };
                break;
            }
            self.rested = false;
            if let Some(step) = self.script.pop_front() {
                self.play(now, step, out);
            }
        }
        match self.waiting {
            Waiting::Acknowledgement { since } => out.wake_at(since.plus_ms(ACK_MS)),
            Waiting::Time { until } | Waiting::Card { until: Some(until) } => out.wake_at(until),
            Waiting::Nothing | Waiting::Card { until: None } | Waiting::Forever => {}
        }
    }

    fn play(&mut self, now: Mono, step: Step, out: &mut Out) {
        match step {
            Step::Say(apdu) => self.say(now, &apdu, out),
            Step::Pause(ms) => self.waiting = Waiting::Time { until: now.plus_ms(ms) },
            // It lies there already: not even a moment's sleep.
            Step::Card if self.options.tap_ms == 0 && !self.options.wait_for_card => {}
            Step::Card => {
                self.shows = "INSERT OR TAP CARD";
                let by_itself = (!self.options.wait_for_card).then_some(self.options.tap_ms);
                let until = by_itself.map(|ms| now.plus_ms(ms));
                self.waiting = Waiting::Card { until };
            }
            Step::Decide(amount) => self.decide(amount),
            Step::Approve(amount) => self.approve(now, amount, out),
            Step::Promise(pending, amount) => self.promise(now, pending, amount, out),
            Step::Slip => {
                for step in self.slip().into_iter().rev() {
                    self.script.push_front(step);
                }
            }
            Step::HangUp => {
                self.line_lost();
                out.close();
                self.waiting = Waiting::Forever;
            }
            Step::Nonsense => {
                out.send(b"\xde\xad\xbe\xef\xff\xff\xff\xff\x04\x0f\x03\x27\x00\x99");
                self.waiting = Waiting::Forever;
            }
        }
    }

    fn say(&mut self, now: Mono, apdu: &[u8], out: &mut Out) {
        out.send(apdu);
        self.said = apdu.to_vec();
        self.waiting = Waiting::Acknowledgement { since: now };
    }

    fn approve(&mut self, now: Mono, amount: u64, out: &mut Out) {
        self.traces += 1;
        let pan = self.tapped.take().unwrap_or_else(|| masked(&self.options.pan));
        if self.charges.len() >= CHARGES_MAX {
            self.charges.pop_front();
        }
        self.given_back = None;
        self.charges.push_back(Charge {
            amount,
            trace: self.traces,
            receipt: self.traces % 10_000,
            pan,
            state: ChargeState::Pending,
        });
        self.shows = "PLEASE WAIT";
        let status = self.last_status();
        if self.behaviour == Behaviour::HangUpMidAnswer {
            out.send(status.get(..status.len() / 2).unwrap_or(&[]));
            return;
        }
        self.say(now, &status, out);
    }

    /// Status-Information of the last charge, in the order of fields a terminal was seen to send.
    fn last_status(&self) -> Vec<u8> {
        if let Some((amount, trace)) = self.given_back {
            return service::given_back(amount, trace);
        }
        let Some(charge) = self.charges.back() else {
            return b"\x04\x0f\x02\x27\x83".to_vec();
        };
        if charge.state == ChargeState::Reversed {
            return b"\x04\x0f\x02\x27\x6c".to_vec();
        }
        let mut body = b"\x27\x00\x04".to_vec();
        body.extend(digits(charge.amount, 12));
        body.extend(b"\x49\x01\x56\x0c\x12\x30\x05\x0d\x04\x05\x22\xf1\xf0");
        body.extend(&charge.pan);
        body.push(0x87);
        body.extend(digits(u64::from(charge.receipt), 4));
        body.extend(b"\x17\x00\x01\x3b");
        body.extend(format!("{:0>6}\0\0", charge.trace).bytes());
        body.push(0x0B);
        body.extend(digits(u64::from(charge.trace), 6));
        body.extend(b"\x19\x60\x29");
        body.extend(digits(u64::from(self.options.terminal), 8));
        body.extend(b"\x0e\x29\x12\x8a\x2e\x8c\x01\x8b\xf0\xf9UnionPay\0");
        body.extend(b"\x2a804011926      \x3c\xf0\xf1\xf4");
        body.extend(format!("AUTH NO {:0>6}", charge.trace).bytes());
        let mut status = vec![0x04, 0x0F, u8::try_from(body.len()).unwrap_or(0)];
        status.extend(body);
        status
    }

    fn refusal(&self, code: u8, amount: u64) -> Vec<u8> {
        let mut status = vec![0x04, 0x0F, 0x0E, 0x27, code, 0x04];
        status.extend(digits(amount, 12));
        status.push(0x29);
        status.extend(digits(u64::from(self.options.terminal), 8));
        status
    }

    fn due(&mut self, now: Mono, out: &mut Out) {
        match self.waiting {
            Waiting::Acknowledgement { since } if now >= since.plus_ms(ACK_MS) => {
                self.line_lost();
                out.close();
            }
            Waiting::Time { until } | Waiting::Card { until: Some(until) } if now >= until => {
                self.waiting = Waiting::Nothing;
            }
            Waiting::Acknowledgement { .. }
            | Waiting::Time { .. }
            | Waiting::Card { .. }
            | Waiting::Nothing
            | Waiting::Forever => {}
        }
    }

    fn received(&mut self, bytes: &[u8], out: &mut Out) {
        self.inbox.extend_from_slice(bytes);
        if self.inbox.len() > INBOX_MAX {
            self.inbox.clear();
        }
        while let [class, instruction, length, rest @ ..] = self.inbox.as_slice() {
            let Some(data) = rest.get(..usize::from(*length)) else {
                return;
            };
            let (class, instruction, data) = (*class, *instruction, data.to_vec());
            self.inbox.drain(..3 + data.len());
            self.request(class, instruction, &data, out);
        }
    }
}

impl Sim for TerminalSim {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => {
                self.line_lost();
                self.connected = true;
            }
            SimIn::Disconnected => {
                self.line_lost();
                self.connected = false;
                self.registered = false;
            }
            SimIn::Bytes(bytes) => self.received(bytes, out),
            SimIn::Timeout => self.due(now, out),
            SimIn::Control(verb) => {
                self.control(verb);
                if self.tapped.is_some() && matches!(self.waiting, Waiting::Card { .. }) {
                    self.waiting = Waiting::Nothing;
                }
            }
        }
        if self.connected {
            self.advance(now, out);
        }
    }

    fn state(&self) -> Value {
        let charges: Vec<Value> = self
            .charges
            .iter()
            .map(|charge| {
                json!({
                    "amount": charge.amount,
                    "trace": charge.trace,
                    "receipt": charge.receipt,
                    "state": match charge.state {
                        ChargeState::Pending => "pending",
                        ChargeState::Captured => "captured",
                        ChargeState::Reversed => "reversed",
                    },
                })
            })
            .collect();
        json!({
            "connected": self.connected,
            "shows": self.shows,
            "wants_card": matches!(self.waiting, Waiting::Card { .. }),
            "waiting": self.asked.map(|amount| json!({ "amount": amount })),
            "behaviour": match self.behaviour {
                Behaviour::Approve => "approve",
                Behaviour::Decline(_) => "decline",
                Behaviour::HangUpMidAnswer | Behaviour::HangUpAfterAnswer => "hang_up",
                Behaviour::Hang => "hang",
                Behaviour::Garbage => "garbage",
            },
            "charges": charges,
            "refunds": self.refunds,
            "settled": self.settled,
            "patience": self.patience,
        })
    }
}

fn completion() -> Step {
    Step::Say(b"\x06\x0f\x00".to_vec())
}

/// `count` decimal digits, two to a byte.
fn digits(number: u64, count: usize) -> Vec<u8> {
    let text = format!("{number:0count$}");
    text.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte * 16 + (digit - b'0'))).collect()
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |sum, byte| sum * 100 + u64::from(byte >> 4) * 10 + u64::from(byte & 15))
}

/// Ten bytes: first six and last four digits, E for what is masked, F for what is not there.
fn masked(pan: &str) -> Vec<u8> {
    let length = pan.len();
    let mut halves: Vec<u8> = pan
        .bytes()
        .enumerate()
        .map(|(at, digit)| if at < 6 || at + 4 >= length { digit.wrapping_sub(b'0') & 15 } else { 14 })
        .collect();
    halves.resize(20, 15);
    halves.chunks(2).map(|pair| pair.iter().fold(0, |byte, half| (byte << 4) | half)).collect()
}
