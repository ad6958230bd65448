//! The till's side of ZVT: one exchange at a time, registration first. The line below it is TCP or [`super::line`].

use super::bmp::Fields;
use super::codec::{self, Context, Head, Message};
use super::job::{Job, Task, answered, finished, last, outcome, printed, progress, serviced, totals};
use crate::{Driver, In, Out};
use checkout::device::{
    CardOutcome, DeviceCommand, DeviceEvent, LastPayment, TerminalCommand, TerminalEvent, TerminalService,
};
use checkout::words::{Money, Mono, TenderId};
use serde::Deserialize;

/// T3: the other side answers a message within this.
const ANSWER_MS: u64 = 5_000;
/// How long an approval waits before the terminal is asked for patience; shorter than T3, after which it takes the money back.
const HOLD_MS: u64 = 3_500;
/// How often it is asked for patience; it asks again two seconds later each time.
const STALLS_MAX: u32 = 4;
/// How long a refusal waits for the core; shorter than T3, so that the terminal need not ask again.
const NOTE_MS: u64 = 3_000;
/// A registration or a question without a card in it is answered within this.
const WORK_MS: u64 = 30_000;
/// T4: silence allowed while a card is being handled; every status starts it anew.
const CARD_MS: u64 = 180_000;
/// After an abort the end follows soon. Where it does not, nothing is lost: what is not acknowledged is taken back, and
/// the core asks.
const ABORT_MS: u64 = 10_000;
const LINES_MAX: usize = 200;

const ACK: [u8; 3] = [0x80, 0x00, 0x00];
/// "Please wait": the terminal says its result once more (PA00P015 2.2).
const PATIENCE: [u8; 3] = [0x84, 0x9C, 0x00];
/// What more is printed is lost: the terminal may keep it for itself.
const NO_PRINTER: [u8; 3] = [0x84, 0xCC, 0x00];
/// Print lines and blocks come to the till; intermediate statuses are sent; no payment starts at the terminal.
const CONFIG_DEFAULT: &str = "BE";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Six digits, given by the terminal's operator.
    password: String,
    /// ISO 4217 numeric code.
    currency: u16,
    /// Hexadecimal, PA00P015 2.1.
    #[serde(default = "config_default")]
    config_byte: String,
}

fn config_default() -> String {
    CONFIG_DEFAULT.into()
}

pub(super) struct Terminal {
    password: [u8; 3],
    currency: [u8; 2],
    config: u8,
    inbox: Vec<u8>,
    state: State,
    /// Printed before the result.
    lines: Vec<String>,
    /// How many lines were printed at all.
    told: usize,
    /// When the terminal's silence is too long.
    due: Mono,
}

enum State {
    Idle,
    /// 06 00 is out; `job` follows its completion.
    Registering(Job),
    Charging(Charge),
    Asking {
        tender: TenderId,
        last: Option<LastPayment>,
    },
    /// A task of the terminal itself that moves no money of ours.
    Serving {
        tender: TenderId,
        service: TerminalService,
    },
}

/// Money on its way, from a card or back to it.
struct Charge {
    tender: TenderId,
    step: Step,
    /// What a silent answer means; a payment must say its amount.
    asked: Option<Money>,
    /// Amount and trace number of the approval that is held: said again, it must be the same.
    held: Option<(Money, u32)>,
    stalls: u32,
}

impl Charge {
    const fn new(tender: TenderId, step: Step, asked: Option<Money>) -> Self {
        Self { tender, step, asked, held: None, stalls: 0 }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// 06 01 is out.
    Sent,
    /// The terminal is at work.
    Accepted,
    /// Approved, but its Status-Information is not acknowledged: the core makes it durable first.
    Held,
    /// As before, and the terminal was asked to say it once more: only then can it be acknowledged.
    Stalled {
        durable: bool,
    },
    Acknowledged,
    /// Refused, and the core has yet to take note; nothing is lost if it does not.
    DeclineHeld,
    Declined,
    /// As before, and with these bytes the exchange ends.
    Over(&'static [u8]),
}

impl Terminal {
    pub(super) fn new(options: &Options) -> Result<Self, String> {
        let digits = options.password.as_str();
        if digits.len() != 6 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err("password must be six digits".into());
        }
        if !(1..=999).contains(&options.currency) {
            return Err("currency must be an ISO 4217 number such as 156".into());
        }
        let config = u8::from_str_radix(&options.config_byte, 16)
            .map_err(|_| "config_byte must be two hexadecimal digits such as BE".to_string())?;
        Ok(Self {
            password: codec::bcd(digits.parse().unwrap_or(0)),
            currency: codec::bcd(u64::from(options.currency)),
            config,
            inbox: Vec::new(),
            state: State::Idle,
            lines: Vec::new(),
            told: 0,
            due: Mono(0),
        })
    }

    fn command(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        if let Some(job) = Job::of(command) {
            return match &self.state {
                State::Idle => self.begin(now, job, out),
                busy if busy.is_for(&job.tender) => {}
                // 9C: please wait.
                State::Registering(_) | State::Charging(_) | State::Asking { .. } | State::Serving { .. } => {
                    job.refuse(0x9C, out);
                }
            };
        }
        match (command, &mut self.state) {
            (TerminalCommand::Acknowledge { tender }, State::Charging(charge)) if charge.tender == *tender => {
                self.acknowledge(now, out);
            }
            (TerminalCommand::Abort { tender }, State::Charging(charge)) if charge.tender == *tender => {
                if matches!(charge.step, Step::Sent | Step::Accepted) {
                    out.send(&codec::encode([0x06, 0xB0], &[]));
                    out.wake_at(now.plus_ms(ABORT_MS));
                }
            }
            (TerminalCommand::Abort { tender }, State::Registering(job)) if job.tender == *tender => {
                out.fail("given up before the terminal was ready");
            }
            (TerminalCommand::Abort { .. } | TerminalCommand::Acknowledge { .. }, State::Idle) => {
                out.close();
            }
            _ => {}
        }
    }

    fn acknowledge(&mut self, now: Mono, out: &mut Out) {
        let State::Charging(charge) = &mut self.state else { return };
        charge.step = match charge.step {
            Step::Held => Step::Acknowledged,
            Step::Stalled { .. } => {
                charge.step = Step::Stalled { durable: true };
                return;
            }
            Step::DeclineHeld => Step::Declined,
            Step::Over(farewell) => {
                out.send(farewell);
                finished(&charge.tender, out);
                return self.rest(out);
            }
            Step::Sent | Step::Accepted | Step::Acknowledged | Step::Declined => return,
        };
        out.send(&ACK);
        out.wake_at(now.plus_ms(CARD_MS));
    }

    /// Nothing was charged. The line stays open until the core has taken note, so that its note needs no new one.
    fn over(&mut self, now: Mono, tender: TenderId, code: u8, farewell: &'static [u8], out: &mut Out) {
        answered(&tender, CardOutcome::Declined { code }, out);
        self.state = State::Charging(Charge::new(tender, Step::Over(farewell), None));
        out.wake_at(now.plus_ms(NOTE_MS));
    }

    /// Terminals forget the till when they restart, so every connection introduces itself (PA00P015 2.1).
    fn begin(&mut self, now: Mono, job: Job, out: &mut Out) {
        self.lines.clear();
        self.told = 0;
        if !job.wants_registration() {
            return self.registered(now, job, out);
        }
        let mut data = self.password.to_vec();
        data.push(self.config);
        data.extend_from_slice(&self.currency);
        // Permitted commands (tag 26): print blocks (06 D3).
        data.extend_from_slice(&[0x06, 0x06, 0x26, 0x04, 0x0A, 0x02, 0x06, 0xD3]);
        self.state = State::Registering(job);
        out.send(&codec::encode([0x06, 0x00], &data));
        out.wake_at(now.plus_ms(ANSWER_MS));
    }

    fn registered(&mut self, now: Mono, job: Job, out: &mut Out) {
        let request = match job.request(self.password, self.currency) {
            Ok(request) => request,
            Err(code) => return self.over(now, job.tender, code, &[], out),
        };
        out.send(&request);
        let (tender, step) = (job.tender, Step::Sent);
        self.state = match job.task {
            Task::Authorise(_) => State::Charging(Charge::new(tender, step, None)),
            Task::Refund(asked) | Task::Reverse(_, asked) => State::Charging(Charge::new(tender, step, Some(asked))),
            Task::Query => State::Asking { tender, last: None },
            Task::Service(service) => State::Serving { tender, service },
        };
        out.wake_at(now.plus_ms(ANSWER_MS));
    }

    fn rest(&mut self, out: &mut Out) {
        self.state = State::Idle;
        self.inbox.clear();
        out.close();
    }

    fn message(&mut self, now: Mono, message: &Message, out: &mut Out) {
        match message.control {
            [0x80, _] => self.accepted(now, out),
            [0x84, code] => self.refused(now, code, out),
            [0x04, 0xFF] => self.intermediate(now, message, out),
            [0x04, 0x0F] => self.status(now, &message.fields, out),
            [0x06, 0x0F] => {
                out.send(&ACK);
                self.completed(now, out);
            }
            [0x06, 0x1E] => self.aborted(now, message, out),
            [0x06, 0xD1..=0xD3] => {
                let kept = self.print(message, out);
                out.send(if kept { &ACK } else { &NO_PRINTER });
                out.wake_at(now.plus_ms(CARD_MS));
            }
            [0x04..=0x06 | 0x08 | 0x0F, _] => out.send(&[0x84, 0x83, 0x00]),
            _ => out.fail("the terminal sends something that is not ZVT"),
        }
    }

    fn accepted(&mut self, now: Mono, out: &mut Out) {
        match &mut self.state {
            State::Charging(charge) if charge.step == Step::Sent => {
                charge.step = Step::Accepted;
                out.wake_at(now.plus_ms(CARD_MS));
            }
            State::Registering(_) | State::Asking { .. } => out.wake_at(now.plus_ms(WORK_MS)),
            // Nothing follows the acceptance of a log-off.
            State::Serving { tender, service: TerminalService::LogOff } => {
                serviced(tender, TerminalService::LogOff, 0, out);
                self.rest(out);
            }
            State::Serving { .. } => out.wake_at(now.plus_ms(CARD_MS)),
            State::Charging(_) | State::Idle => {}
        }
    }

    /// 84 xx: the command was not taken, so nothing was charged.
    fn refused(&mut self, now: Mono, code: u8, out: &mut Out) {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Charging(Charge { tender, step: Step::Sent, .. }) => self.over(now, tender, code, &[], out),
            State::Registering(job) if job.moves_money() => self.over(now, job.tender, code, &[], out),
            State::Registering(job) => {
                job.refuse(code, out);
                self.rest(out);
            }
            State::Asking { tender, .. } => {
                last(&tender, LastPayment::Unknown, out);
                self.rest(out);
            }
            State::Serving { tender, service } => {
                serviced(&tender, service, code, out);
                self.rest(out);
            }
            state @ (State::Charging(_) | State::Idle) => self.state = state,
        }
    }

    fn intermediate(&mut self, now: Mono, message: &Message, out: &mut Out) {
        out.send(&ACK);
        let Head::Intermediate { status, minutes } = message.head else {
            return;
        };
        let patience = minutes.filter(|m| *m > 0).map_or(CARD_MS, |m| u64::from(m) * 60_000);
        if let State::Charging(charge) = &mut self.state {
            match charge.step {
                Step::Sent | Step::Accepted => charge.step = Step::Accepted,
                Step::Acknowledged | Step::Declined => {}
                // What waits for the core does not wait longer because the terminal talks.
                Step::Held | Step::Stalled { .. } | Step::DeclineHeld | Step::Over(_) => return,
            }
            out.event(DeviceEvent::Terminal(TerminalEvent::Progress {
                tender: charge.tender.clone(),
                text: progress(status, &message.fields),
            }));
        }
        out.wake_at(now.plus_ms(patience));
    }

    fn status(&mut self, now: Mono, fields: &Fields, out: &mut Out) {
        match &mut self.state {
            State::Charging(charge) => match charge.step {
                Step::Sent | Step::Accepted => match outcome(fields, &self.lines, charge.asked) {
                    Some(CardOutcome::Approved(slip)) => {
                        charge.step = Step::Held;
                        charge.held = Some((slip.amount, slip.trace));
                        answered(&charge.tender, CardOutcome::Approved(slip), out);
                        out.wake_at(now.plus_ms(HOLD_MS));
                    }
                    Some(CardOutcome::Declined { code }) => {
                        charge.step = Step::DeclineHeld;
                        answered(&charge.tender, CardOutcome::Declined { code }, out);
                        out.wake_at(now.plus_ms(NOTE_MS));
                    }
                    None => out.fail("the terminal's answer cannot be read: ask it for its last payment"),
                },
                Step::Held | Step::DeclineHeld => {}
                Step::Stalled { durable } => {
                    let said = match outcome(fields, &[], charge.asked) {
                        Some(CardOutcome::Approved(slip)) => Some((slip.amount, slip.trace)),
                        Some(CardOutcome::Declined { .. }) | None => None,
                    };
                    if said != charge.held {
                        return out.fail("the terminal says something else than before: ask it for its last payment");
                    }
                    charge.step = if durable { Step::Acknowledged } else { Step::Held };
                    if durable {
                        out.send(&ACK);
                    }
                    out.wake_at(now.plus_ms(if durable { CARD_MS } else { HOLD_MS }));
                }
                Step::Acknowledged | Step::Declined | Step::Over(_) => out.send(&ACK),
            },
            State::Asking { last, .. } => {
                *last = Some(match outcome(fields, &self.lines, None) {
                    Some(CardOutcome::Approved(slip)) => LastPayment::Approved(slip),
                    Some(CardOutcome::Declined { .. }) => LastPayment::Nothing,
                    None => LastPayment::Unknown,
                });
                out.send(&ACK);
                out.wake_at(now.plus_ms(CARD_MS));
            }
            State::Serving { tender, service: TerminalService::EndOfDay } => {
                let total = fields.amount().and_then(|minor| i64::try_from(minor).ok());
                if let Some(total) = total.filter(|_| fields.result().is_none_or(|code| code == 0)) {
                    totals(tender, Money(total), out);
                }
                out.send(&ACK);
            }
            State::Idle | State::Registering(_) | State::Serving { .. } => out.send(&ACK),
        }
    }

    fn completed(&mut self, now: Mono, out: &mut Out) {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Registering(job) => self.registered(now, job, out),
            State::Charging(charge) => match charge.step {
                Step::Acknowledged | Step::DeclineHeld | Step::Declined | Step::Over(_) => {
                    finished(&charge.tender, out);
                    self.rest(out);
                }
                // Some terminals approve without any Status-Information.
                Step::Sent | Step::Accepted | Step::Held | Step::Stalled { .. } => {
                    out.fail("the terminal ended the payment without a result we could keep");
                }
            },
            State::Asking { tender, last: seen } => {
                last(&tender, seen.unwrap_or(LastPayment::Unknown), out);
                self.rest(out);
            }
            State::Serving { tender, service } => {
                serviced(&tender, service, 0, out);
                self.rest(out);
            }
            State::Idle => {}
        }
    }

    fn aborted(&mut self, now: Mono, message: &Message, out: &mut Out) {
        let Head::Abort(code) = message.head else { return };
        let code = code.unwrap_or(0);
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Registering(job) if job.moves_money() => self.over(now, job.tender, code, &ACK, out),
            State::Charging(Charge { tender, step: Step::Sent | Step::Accepted, .. }) => {
                self.over(now, tender, code, &ACK, out);
            }
            State::Charging(charge) => {
                out.send(&ACK);
                match charge.step {
                    Step::DeclineHeld | Step::Declined | Step::Over(_) => {
                        finished(&charge.tender, out);
                        self.rest(out);
                    }
                    Step::Sent | Step::Accepted | Step::Held | Step::Stalled { .. } | Step::Acknowledged => {
                        out.fail("the terminal aborted what it had approved");
                    }
                }
            }
            State::Registering(job) => {
                out.send(&ACK);
                job.refuse(code, out);
                self.rest(out);
            }
            State::Asking { tender, .. } => {
                out.send(&ACK);
                last(&tender, LastPayment::Unknown, out);
                self.rest(out);
            }
            State::Serving { tender, service } => {
                out.send(&ACK);
                serviced(&tender, service, code, out);
                self.rest(out);
            }
            State::Idle => out.send(&ACK),
        }
    }

    /// What is printed before the result belongs to it; what comes later is told by itself.
    /// Whether there was room for all of it.
    fn print(&mut self, message: &Message, out: &mut Out) -> bool {
        let mut lines = if let Head::Line { text, .. } = &message.head {
            vec![text.clone()]
        } else {
            codec::block_lines(&message.fields)
        };
        let room = LINES_MAX.saturating_sub(self.told);
        let kept = lines.len() <= room;
        lines.truncate(room);
        self.told += lines.len();
        match &self.state {
            _ if lines.is_empty() => {}
            State::Serving { tender, .. } | State::Charging(Charge { tender, step: Step::Acknowledged, .. }) => {
                printed(tender, lines, out);
            }
            State::Idle | State::Registering(_) | State::Asking { .. } | State::Charging(_) => self.lines.extend(lines),
        }
        kept
    }

    fn silent(&mut self, now: Mono, out: &mut Out) {
        match &mut self.state {
            State::Idle => {}
            State::Charging(Charge { step: step @ Step::Held, stalls, .. }) if *stalls < STALLS_MAX => {
                *stalls += 1;
                *step = Step::Stalled { durable: false };
                out.send(&PATIENCE);
                out.wake_at(now.plus_ms(ANSWER_MS));
            }
            State::Charging(Charge { step: Step::Held, .. }) => {
                out.fail("the answer was not made durable in time: the terminal takes the money back");
            }
            State::Charging(Charge { step: Step::DeclineHeld | Step::Over(_), .. }) => self.acknowledge(now, out),
            State::Registering(_) | State::Charging(_) | State::Asking { .. } | State::Serving { .. } => {
                out.fail("the terminal is silent");
            }
        }
    }
}

impl State {
    fn is_for(&self, tender: &TenderId) -> bool {
        match self {
            Self::Idle => false,
            Self::Registering(job) => job.tender == *tender,
            Self::Charging(charge) => charge.tender == *tender,
            Self::Asking { tender: own, .. } | Self::Serving { tender: own, .. } => own == tender,
        }
    }
}

impl Driver for Terminal {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.inbox.clear();
                self.state = State::Idle;
            }
            In::Bytes(bytes) => {
                self.inbox.extend_from_slice(bytes);
                while let Some((_, _, used)) = codec::split(&self.inbox) {
                    let apdu: Vec<u8> = self.inbox.drain(..used).collect();
                    match codec::decode(&apdu, self.context()) {
                        Ok(message) => self.message(now, &message, out),
                        Err(_) => out.fail("the terminal sent a message without its head"),
                    }
                    if out.failed.is_some() || out.close {
                        self.inbox.clear();
                        break;
                    }
                }
                if self.inbox.len() > codec::APDU_MAX || self.nonsense() {
                    self.inbox.clear();
                    out.fail("the terminal sends something that is not ZVT");
                }
            }
            In::Command(command) => {
                if let DeviceCommand::Terminal(command) = command {
                    self.command(now, command, out);
                }
            }
            In::Timeout if now < self.due => out.wake_at(self.due),
            In::Timeout => self.silent(now, out),
        }
        self.due = out.wake_at.unwrap_or(self.due);
    }
}

impl Terminal {
    const fn context(&self) -> Context {
        if matches!(self.state, State::Serving { service: TerminalService::Status, .. }) {
            Context::StatusEnquiry
        } else {
            Context::Any
        }
    }

    /// A beginning that no message has: waiting for its announced length would only take time.
    fn nonsense(&self) -> bool {
        self.inbox.first().is_some_and(|class| !matches!(class, 0x04..=0x06 | 0x08 | 0x0F | 0x80 | 0x84))
    }
}
