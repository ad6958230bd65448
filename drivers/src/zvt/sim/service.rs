//! What the stand-in does besides taking money: giving it back, cancelling, printing, and its own services.

use super::{Behaviour, ChargeState, Prints, Step, TerminalSim, Waiting, completion, digits, number};
use crate::Out;
use crate::sim::{Sim, SimIn};
use crate::zvt::line::Frames;
use checkout::words::Mono;
use serde_json::Value;

/// What the till's acknowledgement of a status makes true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Refund(u64),
    /// Receipt number.
    Reversal(u32),
}

impl TerminalSim {
    /// Whether it was one of these commands.
    pub(super) fn service(&mut self, class: u8, instruction: u8, data: &[u8], out: &mut Out) -> bool {
        let steps = match (class, instruction) {
            (0x05, 0x01) => vec![Step::Say(b"\x06\x0f\x0e\xf0\xf1\xf0GER-SIM-v1\x00".to_vec())],
            (0x06, 0x02) => {
                self.registered = false;
                vec![]
            }
            _ if !self.registered => return false,
            (0x06, 0x70) => vec![Step::Say(b"\x04\xff\x01\xc9".to_vec()), completion()],
            (0x06, 0x50) => self.end_of_day(),
            (0x06, 0x20) if data.len() == 3 => self.slip().into_iter().chain([completion()]).collect(),
            (0x06, 0x30) => self.reversal(data),
            (0x06, 0x31) => self.refund(data),
            _ => return false,
        };
        out.send(b"\x80\x00\x00");
        self.script = steps.into();
        true
    }

    fn end_of_day(&mut self) -> Vec<Step> {
        let captured = self.charges.iter().filter(|charge| charge.state == ChargeState::Captured);
        let sum: u64 = captured.map(|charge| charge.amount).sum();
        let mut status = b"\x04\x0f\x09\x27\x00\x04".to_vec();
        status.extend(digits(sum, 12));
        self.settled += 1;
        let line = Step::Say(b"\x06\xd1\x0b\x40END OF DAY".to_vec());
        vec![Step::Say(b"\x04\xff\x01\x0f".to_vec()), Step::Say(status), line, completion()]
    }

    fn reversal(&mut self, data: &[u8]) -> Vec<Step> {
        let receipt = data.get(3..).and_then(|rest| rest.strip_prefix(&[0x87]));
        let receipt = receipt.map(number).and_then(|receipt| u32::try_from(receipt).ok());
        let found = self
            .charges
            .iter()
            .find(|charge| Some(charge.receipt) == receipt && charge.state == ChargeState::Captured)
            .map(|charge| (charge.amount, charge.receipt));
        let Some((amount, receipt)) = found else {
            return vec![Step::Say(b"\x04\x0f\x02\x27\xb5".to_vec()), Step::Say(b"\x06\x1e\x01\xb5".to_vec())];
        };
        vec![Step::Promise(Pending::Reversal(receipt), amount), completion()]
    }

    fn refund(&mut self, data: &[u8]) -> Vec<Step> {
        let amount = data.get(3..).and_then(|rest| rest.strip_prefix(&[0x04])).and_then(|rest| rest.get(..6));
        let Some(amount) = amount.map(number) else {
            return vec![Step::Say(b"\x06\x1e\x01\xc8".to_vec())];
        };
        let insert = Step::Say(b"\x04\xff\x01\x0a".to_vec());
        vec![insert, Step::Card, Step::Promise(Pending::Refund(amount), amount), completion()]
    }

    /// Money back comes as the behaviour says, as a payment does.
    pub(super) fn promise(&mut self, now: Mono, pending: Pending, amount: u64, out: &mut Out) {
        match self.declines_next.take().map_or_else(|| self.behaviour.clone(), Behaviour::Decline) {
            Behaviour::Decline(code) => {
                let refusal = self.refusal(code, amount);
                self.script = [Step::Say(refusal), Step::Say(vec![0x06, 0x1E, 0x01, code])].into();
                return;
            }
            Behaviour::Hang => {
                self.script.clear();
                self.waiting = Waiting::Forever;
                return;
            }
            Behaviour::HangUpMidAnswer | Behaviour::HangUpAfterAnswer => {
                self.script = [Step::HangUp].into();
                return;
            }
            Behaviour::Approve | Behaviour::Garbage => {}
        }
        self.traces += 1;
        self.pending = Some((pending, amount, self.traces));
        self.say(now, &given_back(amount, self.traces), out);
    }

    /// The till acknowledged: what was promised is so.
    pub(super) fn keep_promise(&mut self) {
        let Some((pending, amount, trace)) = self.pending.take() else { return };
        self.given_back = Some((amount, trace));
        match pending {
            Pending::Refund(amount) => self.refunds.push(amount),
            Pending::Reversal(receipt) => {
                let charge = self.charges.iter_mut().rev().find(|charge| charge.receipt == receipt);
                if let Some(charge) = charge {
                    charge.state = ChargeState::Reversed;
                }
            }
        }
    }

    /// The shopper's slip as the till is to print it.
    pub(super) fn slip(&self) -> Vec<Step> {
        let lines: [&[u8]; 3] = [b"** KUNDENBELEG **", b"BEZAHLT", b"DANKE F\x9aR IHREN EINKAUF"];
        match self.options.prints {
            Prints::None => Vec::new(),
            Prints::Lines => lines
                .iter()
                .map(|line| {
                    let mut message = vec![0x06, 0xD1, u8::try_from(line.len() + 7).unwrap_or(0), 0x40];
                    message.extend_from_slice(line);
                    message.extend(b"\x06\x04\x1f\x07\x01\x02");
                    Step::Say(message)
                })
                .collect(),
            Prints::Block => {
                let shown: Vec<u8> = lines
                    .iter()
                    .flat_map(|line| [&[0x07, u8::try_from(line.len()).unwrap_or(0)], *line].concat())
                    .collect();
                let length = u8::try_from(shown.len()).unwrap_or(0);
                let mut message = vec![0x06, 0xD3, length + 9, 0x06, 0x81, length + 6];
                message.extend(b"\x1f\x07\x01\x02\x25");
                message.push(length);
                message.extend(shown);
                vec![Step::Say(message)]
            }
        }
    }
}

/// Status-Information of a refund or a cancellation.
pub(super) fn given_back(amount: u64, trace: u32) -> Vec<u8> {
    let mut status = b"\x04\x0f\x13\x27\x00\x04".to_vec();
    status.extend(digits(amount, 12));
    status.push(0x87);
    status.extend(digits(u64::from(trace % 10_000), 4));
    status.push(0x0B);
    status.extend(digits(u64::from(trace), 6));
    status.extend(b"\x0e\x29\x12");
    // Length of what stands behind it.
    if let (length, Some(byte)) = (status.len().saturating_sub(3), status.get_mut(2)) {
        *byte = u8::try_from(length).unwrap_or(0);
    }
    status
}

/// The same terminal behind a serial line.
#[derive(Debug)]
pub struct SerialTerminalSim {
    messages: TerminalSim,
    frames: Frames,
    due: Option<Mono>,
}

impl SerialTerminalSim {
    /// Options as of the terminal behind it.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        Ok(Box::new(Self { messages: TerminalSim::new(options)?, frames: Frames::default(), due: None }))
    }

    fn pass(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        let mut inner = Out::default();
        self.messages.handle(now, input, &mut inner);
        self.due = inner.wake_at.or(self.due);
        if matches!(self.messages.waiting, Waiting::Forever) && !inner.bytes.is_empty() {
            // Half an answer or nonsense: as raw on this line as on any other.
            out.send(&inner.bytes);
        } else {
            self.frames.tell(now, &inner.bytes, out);
        }
    }
}

impl Sim for SerialTerminalSim {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Bytes(bytes) => {
                for message in self.frames.hear(now, bytes, out) {
                    self.pass(now, SimIn::Bytes(&message), out);
                }
            }
            SimIn::Timeout => {
                self.frames.due(now, out);
                if self.due.take_if(|due| now >= *due).is_some() {
                    self.pass(now, SimIn::Timeout, out);
                }
            }
            SimIn::Connected | SimIn::Disconnected => {
                self.frames = Frames::default();
                self.pass(now, input, out);
            }
            SimIn::Control(_) => self.pass(now, input, out),
        }
        // A till that does not answer is none of a terminal's failures.
        out.failed = None;
        if let Some(at) = [self.frames.next(), self.due].into_iter().flatten().min() {
            out.wake_at(at);
        }
    }

    fn state(&self) -> Value {
        self.messages.state()
    }
}
