//! The till's side of CodePay: a handshake, heartbeats, and one order at a time.

use super::frame::{FRAME_MAX, Frame, Kind};
use super::proto::{Message, Writer, answer, request};
use crate::terminal::{BUSY, alias, answered, decimal, finished, last, minor, progress, refused, serviced, trace};
use crate::{Driver, In, Out};
use checkout::device::{CardOutcome, CardSlip, DeviceCommand, LastPayment, TerminalCommand, TerminalService};
use checkout::tender::BASELINE;
use checkout::words::{Money, Mono, Name, TenderId};
use serde::Deserialize;

/// Between two of our heartbeats.
const HEARTBEAT_MS: u64 = 2_000;
/// Without any frame for so long the terminal's program is gone.
const SILENCE_MS: u64 = 30_000;
/// Between two handshakes that nobody confirms, and how many there are.
const HANDSHAKE_MS: u64 = 1_000;
const HANDSHAKES: u32 = 10;
/// A message is acknowledged within this, or sent again under its number, by which the terminal knows it.
const ACK_MS: u64 = 1_000;
const REPEATS: u32 = 4;
/// The terminal gives an order up after this, in seconds.
const EXPIRES_S: &str = "180";
/// A little longer than an order lives; then it is asked about.
const PAYMENT_MS: u64 = 190_000;
const QUERY_MS: u64 = 20_000;
const PAUSE_MS: u64 = 3_000;
const QUESTIONS: u32 = 20;
const HOLD_MS: u64 = 10_000;
const NOTE_MS: u64 = 3_000;

const NOT_POSSIBLE: u8 = 0x83;
/// Order status as a decline's code.
const CLOSED: u8 = 1;
const CANCELLED: u8 = 3;

const ORDER: &str = "ecrhub.pay.order";
const QUERY: &str = "ecrhub.pay.query";
const CLOSE: &str = "ecrhub.pay.close";
/// Characters of our number for an order (at most 32).
const NUMBER: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Of the payment program, given by its operator.
    app: String,
    /// ISO 4217 letters.
    currency: String,
}

pub(super) struct CodePay {
    options: Options,
    inbox: Vec<u8>,
    session: Session,
    state: State,
    /// The message whose acknowledgement may have been lost: heard again, it is acknowledged again.
    known: Option<String>,
    numbers: u8,
    turn: u64,
    due: Option<Mono>,
}

enum Session {
    Closed,
    Greeting { tries: u32, due: Mono },
    Open { beat: Mono, silent: Mono, sent: Option<Sent> },
}

struct Sent {
    id: u8,
    frame: Vec<u8>,
    repeats: u32,
    due: Mono,
}

enum State {
    Idle,
    /// Waits for the handshake.
    Waiting(Job),
    Working(Work),
    Held {
        tender: TenderId,
        answer: Option<(u8, String)>,
        approved: bool,
    },
}

#[derive(Clone)]
struct Job {
    tender: TenderId,
    task: Task,
    /// Milliseconds since 1970, as the message wants it.
    time: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Sale(Money),
    /// Our number of the order that is undone.
    Void(Money, String),
    Query,
    Status,
}

struct Work {
    job: Job,
    stage: Stage,
    /// Name of the message that is to be answered.
    request: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The order itself is out.
    Asked,
    /// The order is asked about.
    Asking { questions: u32 },
    /// Between two questions.
    Pausing { questions: u32 },
}

impl CodePay {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        if options.currency.len() != 3 || !options.currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err("currency must be three letters such as USD".into());
        }
        if options.app.is_empty() || options.app.len() > 64 {
            return Err("app must be the program's AppID".into());
        }
        Ok(Self {
            options,
            inbox: Vec::new(),
            session: Session::Closed,
            state: State::Idle,
            known: None,
            numbers: 0,
            turn: 0,
            due: None,
        })
    }

    fn greet(&mut self, now: Mono, tries: u32, out: &mut Out) {
        out.send(&Frame::empty(Kind::Handshake).encode());
        self.session = Session::Greeting { tries, due: now.plus_ms(HANDSHAKE_MS) };
    }

    fn command(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        match (command, &self.state) {
            (TerminalCommand::Acknowledge { tender }, State::Held { tender: own, .. }) if tender == own => {
                self.release(out);
            }
            (TerminalCommand::Abort { tender }, State::Waiting(job)) if *tender == job.tender => {
                let tender = tender.clone();
                self.hold(now, &tender, CardOutcome::Declined { code: CANCELLED }, None, out);
            }
            (TerminalCommand::Abort { tender }, State::Working(work))
                if *tender == work.job.tender && work.stage == Stage::Asked =>
            {
                self.close(now, out);
            }
            (TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. }, _) => {}
            (command, State::Idle) => self.begin(now, command, out),
            (command, State::Waiting(job) | State::Working(Work { job, .. })) if is_for(command, &job.tender) => {}
            (command, _) => refused(command, BUSY, out),
        }
    }

    fn begin(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        let (tender, task, at) = match command {
            TerminalCommand::Authorise { tender, amount, at } => (tender, Task::Sale(*amount), at.0),
            TerminalCommand::Reverse { tender, of, at } => (tender, Task::Void(of.amount, of.reference.clone()), at.0),
            // No order has this name, so what came before us is nothing of ours.
            TerminalCommand::Query { tender } if tender.0 == BASELINE => {
                return last(tender, LastPayment::Nothing, out);
            }
            TerminalCommand::Query { tender } => (tender, Task::Query, 0),
            TerminalCommand::Service { tender, service: TerminalService::Status } => (tender, Task::Status, 0),
            // Money goes back by the order it came with.
            TerminalCommand::Refund { .. } | TerminalCommand::Service { .. } => {
                return refused(command, NOT_POSSIBLE, out);
            }
            TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. } => return,
        };
        let job = Job { tender: tender.clone(), task, time: at.to_string() };
        let wrong = match &job.task {
            Task::Sale(amount) => decimal(*amount, &self.options.currency).is_none(),
            Task::Void(amount, order) => decimal(*amount, &self.options.currency).is_none() || order.is_empty(),
            Task::Query | Task::Status => false,
        };
        if wrong {
            return self.hold(now, &job.tender, CardOutcome::Declined { code: CLOSED }, None, out);
        }
        self.due = Some(now.plus_ms(QUERY_MS));
        self.state = State::Waiting(job);
        self.proceed(now, out);
    }

    /// What waits for the handshake goes on.
    fn proceed(&mut self, now: Mono, out: &mut Out) {
        if !matches!(self.session, Session::Open { .. }) {
            return;
        }
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Waiting(job) => match job.task {
                Task::Status => {
                    self.due = None;
                    serviced(&job.tender, TerminalService::Status, 0, out);
                }
                Task::Query => self.ask(now, job, 0, out),
                Task::Sale(_) | Task::Void(..) => self.order(now, job, out),
            },
            state @ (State::Idle | State::Working(_) | State::Held { .. }) => self.state = state,
        }
    }

    fn order(&mut self, now: Mono, job: Job, out: &mut Out) {
        let number = alias(&job.tender, 0, NUMBER);
        let (amount, kind, original) = match &job.task {
            Task::Void(amount, original) => (*amount, "2", original.as_str()),
            Task::Sale(amount) => (*amount, "1", ""),
            Task::Query | Task::Status => return,
        };
        let amount = decimal(amount, &self.options.currency).unwrap_or_default();
        let biz = Writer::default()
            .text(request::ORDER, &number)
            .text(request::ORIGINAL, original)
            .text(request::CURRENCY, &self.options.currency)
            .text(request::AMOUNT, &amount)
            .text(request::TYPE, kind)
            .text(request::CATEGORY, "BANKCARD")
            .text(request::EXPIRES, EXPIRES_S)
            .done();
        self.message(now, ORDER, &number, &job.time, &biz, out);
        self.due = Some(now.plus_ms(PAYMENT_MS));
        let (zh, en) = ("请看终端", "Please look at the terminal");
        progress(&job.tender, Name { zh: zh.into(), en: en.into() }, out);
        self.state = State::Working(Work { job, stage: Stage::Asked, request: number });
    }

    fn ask(&mut self, now: Mono, job: Job, questions: u32, out: &mut Out) {
        let request = self.next(now, &job.tender);
        let biz = Writer::default().text(request::ORDER, &alias(&job.tender, 0, NUMBER)).done();
        self.message(now, QUERY, &request, &job.time, &biz, out);
        self.due = Some(now.plus_ms(QUERY_MS));
        self.state = State::Working(Work { job, stage: Stage::Asking { questions }, request });
    }

    /// Only a request: whatever is answered, the order's own state decides.
    fn close(&mut self, now: Mono, out: &mut Out) {
        let State::Working(work) = core::mem::replace(&mut self.state, State::Idle) else { return };
        let request = self.next(now, &work.job.tender);
        let biz = Writer::default().text(request::ORDER, &alias(&work.job.tender, 0, NUMBER)).done();
        self.message(now, CLOSE, &request, &work.job.time, &biz, out);
        self.pause(now, work.job, 0);
    }

    fn pause(&mut self, now: Mono, job: Job, questions: u32) {
        let request = alias(&job.tender, 0, NUMBER);
        self.due = Some(now.plus_ms(PAUSE_MS));
        self.state = State::Working(Work { job, stage: Stage::Pausing { questions }, request });
    }

    /// Every question has a name of its own.
    fn next(&mut self, now: Mono, tender: &TenderId) -> String {
        self.turn = self.turn.saturating_add(1);
        alias(tender, (now.0 << 16).saturating_add(self.turn), NUMBER)
    }

    fn message(&mut self, now: Mono, topic: &str, request: &str, time: &str, biz: &[u8], out: &mut Out) {
        let data = Writer::default()
            .text(1, topic)
            .text(2, request)
            .text(3, &self.options.app)
            .text(4, time)
            .text(5, "1.0")
            .bytes(6, biz)
            .done();
        self.numbers = self.numbers.checked_add(1).unwrap_or(1);
        let id = self.numbers;
        let frame = Frame { kind: Kind::Common, ack: 0, id, data }.encode();
        out.send(&frame);
        if let Session::Open { sent, .. } = &mut self.session {
            *sent = Some(Sent { id, frame, repeats: 0, due: now.plus_ms(ACK_MS) });
        }
    }

    fn frame(&mut self, now: Mono, frame: &Frame, out: &mut Out) {
        match (frame.kind, &mut self.session) {
            (Kind::Confirm, Session::Greeting { .. }) => {
                let (beat, silent) = (now.plus_ms(HEARTBEAT_MS), now.plus_ms(SILENCE_MS));
                self.session = Session::Open { beat, silent, sent: None };
                return self.proceed(now, out);
            }
            (_, Session::Open { silent, sent, .. }) => {
                *silent = now.plus_ms(SILENCE_MS);
                sent.take_if(|sent| frame.ack != 0 && sent.id == frame.ack);
            }
            (_, Session::Closed | Session::Greeting { .. }) => return,
        }
        if frame.id == 0 {
            return;
        }
        match Message::read(&frame.data) {
            Some(message) => self.told(now, frame.id, &message, out),
            None => out.fail("the terminal sends a message that cannot be read"),
        }
    }

    fn told(&mut self, now: Mono, id: u8, message: &Message, out: &mut Out) {
        if self.known.as_ref() == Some(&message.request) {
            return acknowledge(id, out);
        }
        // What was not asked for is not acknowledged: the terminal gives up by itself.
        let State::Working(work) = &self.state else { return };
        if message.topic == CLOSE {
            return acknowledge(id, out);
        }
        if message.request != work.request {
            return;
        }
        if let Session::Open { sent, .. } = &mut self.session {
            // Who answers has heard the question, though its acknowledgement was lost.
            *sent = None;
        }
        let (job, stage) = (work.job.clone(), work.stage);
        match stage {
            Stage::Asked | Stage::Pausing { .. } => self.ordered(now, job, id, message, out),
            Stage::Asking { questions } => {
                acknowledge(id, out);
                self.known = Some(message.request.clone());
                self.asked(now, job, questions, message, out);
            }
        }
    }

    fn ordered(&mut self, now: Mono, job: Job, id: u8, message: &Message, out: &mut Out) {
        let answer = Some((id, message.request.clone()));
        match self.status(&job, message) {
            Status::Completed(slip) => self.hold(now, &job.tender, CardOutcome::Approved(*slip), answer, out),
            Status::Ended(code) => self.hold(now, &job.tender, CardOutcome::Declined { code }, answer, out),
            // Refused without a state: asked about before anybody believes it.
            Status::Unknown => {
                acknowledge(id, out);
                self.known = Some(message.request.clone());
                self.ask(now, job, 0, out);
            }
            Status::Open => self.pause(now, job, 0),
            Status::Nonsense => out.fail("the terminal's answer cannot be read: ask it about the order"),
        }
    }

    fn asked(&mut self, now: Mono, job: Job, questions: u32, message: &Message, out: &mut Out) {
        let status = self.status(&job, message);
        if job.task == Task::Query {
            let known = match status {
                Status::Completed(slip) => LastPayment::Approved(*slip),
                Status::Ended(_) => LastPayment::Nothing,
                Status::Open | Status::Unknown | Status::Nonsense => LastPayment::Unknown,
            };
            last(&job.tender, known, out);
            self.state = State::Idle;
            self.due = None;
            return;
        }
        match status {
            Status::Completed(slip) => self.hold(now, &job.tender, CardOutcome::Approved(*slip), None, out),
            Status::Ended(code) => self.hold(now, &job.tender, CardOutcome::Declined { code }, None, out),
            Status::Open if questions < QUESTIONS => self.pause(now, job, questions + 1),
            Status::Open | Status::Unknown | Status::Nonsense => {
                out.fail("the terminal cannot say what became of the order");
            }
        }
    }

    /// What an answer proves about the order of `job`.
    fn status(&self, job: &Job, message: &Message) -> Status {
        let number = alias(&job.tender, 0, NUMBER);
        if !["", number.as_str()].contains(&message.biz(answer::ORDER)) {
            return Status::Nonsense;
        }
        match message.biz(answer::STATUS) {
            "2" => self.slip(job, message).map_or(Status::Nonsense, |slip| Status::Completed(Box::new(slip))),
            "1" => Status::Ended(CLOSED),
            "3" => Status::Ended(CANCELLED),
            "0" | "9" => Status::Open,
            _ => Status::Unknown,
        }
    }

    fn slip(&self, job: &Job, message: &Message) -> Option<CardSlip> {
        let currency = message.biz(answer::CURRENCY);
        if !["", self.options.currency.as_str()].contains(&currency) {
            return None;
        }
        let stated = message.biz(answer::AMOUNT);
        let amount = match &job.task {
            // A void that leaves its amount out undoes the order it names.
            Task::Void(amount, _) if stated.is_empty() => *amount,
            Task::Sale(_) | Task::Void(..) | Task::Query | Task::Status => minor(stated, &self.options.currency)?,
        };
        let transaction = message.biz(answer::TRANSACTION);
        Some(CardSlip {
            amount,
            trace: trace(&job.tender),
            receipt: 0,
            terminal: message.app.clone(),
            pan: None,
            scheme: message.biz(answer::METHOD).to_owned(),
            reference: alias(&job.tender, 0, NUMBER),
            text: if transaction.is_empty() { Vec::new() } else { vec![format!("Trans. {transaction}")] },
            offline: false,
        })
    }

    fn hold(
        &mut self,
        now: Mono,
        tender: &TenderId,
        outcome: CardOutcome,
        answer: Option<(u8, String)>,
        out: &mut Out,
    ) {
        let approved = matches!(outcome, CardOutcome::Approved(_));
        self.due = Some(now.plus_ms(if approved { HOLD_MS } else { NOTE_MS }));
        self.state = State::Held { tender: tender.clone(), answer, approved };
        answered(tender, outcome, out);
    }

    fn release(&mut self, out: &mut Out) {
        if let State::Held { tender, answer, .. } = core::mem::replace(&mut self.state, State::Idle) {
            if let Some((id, request)) = answer {
                acknowledge(id, out);
                self.known = Some(request);
            }
            finished(&tender, out);
        }
        self.due = None;
    }

    fn silent(&mut self, now: Mono, out: &mut Out) {
        match &self.state {
            State::Idle => {}
            State::Waiting(_) => out.fail("the terminal does not answer the handshake"),
            State::Working(Work { job, stage: Stage::Asked, .. }) => {
                let job = job.clone();
                self.ask(now, job, 0, out);
            }
            State::Working(Work { job, stage: Stage::Pausing { questions }, .. }) => {
                let (job, questions) = (job.clone(), *questions);
                self.ask(now, job, questions, out);
            }
            State::Working(Work { stage: Stage::Asking { .. }, .. }) => out.fail("the terminal is silent"),
            State::Held { approved: true, .. } => out.fail("the answer was not made durable in time"),
            State::Held { approved: false, .. } => self.release(out),
        }
    }

    fn beat(&mut self, now: Mono, out: &mut Out) {
        match &mut self.session {
            Session::Closed => {}
            Session::Greeting { tries, due } if now >= *due => {
                if *tries >= HANDSHAKES {
                    return out.fail("the terminal does not answer the handshake");
                }
                let tries = *tries + 1;
                self.greet(now, tries, out);
            }
            Session::Greeting { .. } => {}
            Session::Open { beat, silent, sent } => {
                if now >= *silent {
                    return out.fail("the terminal's heart has stopped");
                }
                if now >= *beat {
                    *beat = now.plus_ms(HEARTBEAT_MS);
                    out.send(&Frame::empty(Kind::Common).encode());
                }
                if let Some(late) = sent.as_mut().filter(|sent| now >= sent.due) {
                    if late.repeats >= REPEATS {
                        return out.fail("the terminal does not take what is sent to it");
                    }
                    late.repeats += 1;
                    late.due = now.plus_ms(ACK_MS);
                    out.send(&late.frame);
                }
            }
        }
    }

    fn sleep(&self, out: &mut Out) {
        let (first, second, third) = match &self.session {
            Session::Closed => (None, None, None),
            Session::Greeting { due, .. } => (Some(*due), None, None),
            Session::Open { beat, silent, sent } => (Some(*beat), Some(*silent), sent.as_ref().map(|sent| sent.due)),
        };
        if let Some(at) = [first, second, third, self.due].into_iter().flatten().min() {
            out.wake_at(at);
        }
    }
}

enum Status {
    Completed(Box<CardSlip>),
    Ended(u8),
    Open,
    /// No state at all.
    Unknown,
    /// Of another order, or completed without an amount.
    Nonsense,
}

fn acknowledge(id: u8, out: &mut Out) {
    out.send(&Frame { ack: id, ..Frame::empty(Kind::Common) }.encode());
}

fn is_for(command: &TerminalCommand, own: &TenderId) -> bool {
    match command {
        TerminalCommand::Authorise { tender, .. }
        | TerminalCommand::Refund { tender, .. }
        | TerminalCommand::Reverse { tender, .. }
        | TerminalCommand::Acknowledge { tender }
        | TerminalCommand::Query { tender }
        | TerminalCommand::Abort { tender }
        | TerminalCommand::Service { tender, .. } => tender == own,
    }
}

impl Driver for CodePay {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.inbox.clear();
                self.state = State::Idle;
                self.due = None;
                self.greet(now, 0, out);
            }
            In::Bytes(bytes) => {
                let mut inbox = core::mem::take(&mut self.inbox);
                inbox.extend_from_slice(bytes);
                let mut rest = inbox.as_slice();
                while out.failed.is_none() {
                    let (frame, used) = Frame::find(rest);
                    rest = rest.get(used..).unwrap_or(&[]);
                    let Some(frame) = frame else { break };
                    self.frame(now, &frame, out);
                }
                self.inbox = rest.get(rest.len().saturating_sub(FRAME_MAX)..).unwrap_or(&[]).to_vec();
            }
            In::Command(DeviceCommand::Terminal(command)) => self.command(now, command, out),
            In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Trigger(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
            In::Timeout => {
                self.beat(now, out);
                if out.failed.is_none() && self.due.take_if(|due| now >= *due).is_some() {
                    self.silent(now, out);
                }
            }
        }
        self.sleep(out);
    }
}
