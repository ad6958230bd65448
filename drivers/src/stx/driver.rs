//! The till's side of this family: a poll before money is asked for, one exchange at a time, the answer durable before its ACK.

use super::frame;
use super::line::{self, Heard, Line};
use super::message::{self, Message};
use super::profile::{Exchange, Filling, Profile};
use crate::terminal::{BUSY, alias, answered, finished, last, printed, progress, refused, serviced};
use crate::{Driver, In, Out};
use checkout::device::{CardOutcome, CardSlip, DeviceCommand, LastPayment, TerminalCommand, TerminalService};
use checkout::words::{Money, Mono, TenderId};

/// Silence allowed while a card is handled or the host is asked, of a terminal that does not tell what it does.
const CARD_MS: u64 = 150_000;
/// Of one that does: every intermediate message starts it anew, and none of its steps takes longer. A lost answer is asked for after this.
const STEP_MS: u64 = 75_000;
/// A terminal that was told that its frame was damaged sends it again at once, a few times; then it has given up.
const REPEAT_MS: u64 = 15_000;
/// The last sale comes from the terminal's own memory, but it may print it first.
const QUERY_MS: u64 = 30_000;
/// How long an approval waits to be made durable.
const HOLD_MS: u64 = 10_000;
/// How long a refusal waits for the core; nothing is lost if it does not take note.
const NOTE_MS: u64 = 3_000;
/// Characters of a ticket (field "Número de boleta").
const TICKET: usize = 6;

pub(super) struct Terminal {
    profile: Profile,
    /// The slip comes to the receipt instead of the terminal's own paper.
    slip: Slip,
    line: Line,
    state: State,
    /// The answer acknowledged last: heard again, it is acknowledged again.
    known: Option<Vec<u8>>,
    due: Option<Mono>,
}

/// Who prints the slip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slip {
    Terminal,
    Till,
}

enum State {
    Idle,
    /// Is it there? Nothing is asked of it before.
    Polling(Job),
    Working(Job),
    /// Answered, and the core has yet to take note. `frame` is what the terminal waits to have acknowledged.
    Held {
        tender: TenderId,
        frame: Option<Vec<u8>>,
        approved: bool,
    },
}

#[derive(Clone, Debug)]
struct Job {
    tender: TenderId,
    task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Task {
    Sale(Money),
    /// The operation number of a sale and its amount.
    Cancel(u32, Money),
    LastSale,
    /// Before the terminal closes its day it says what is in it.
    Totals,
    Service(TerminalService),
}

impl Job {
    /// The exchange that does it, where the maker has one; not for a poll, which has no answer but its ACK.
    const fn exchange<'a>(&self, profile: &'a Profile) -> Option<&'a Exchange> {
        match self.task {
            Task::Sale(_) => Some(&profile.sale),
            Task::Cancel(..) => profile.cancel.as_ref(),
            Task::LastSale | Task::Service(TerminalService::Reprint) => Some(&profile.last),
            Task::Totals => profile.totals.as_ref(),
            Task::Service(TerminalService::EndOfDay) => profile.close.as_ref(),
            Task::Service(TerminalService::Diagnosis) => profile.keys.as_ref(),
            Task::Service(TerminalService::Status | TerminalService::LogOff) => None,
        }
    }

    /// The message that asks for it; `None` for what the maker has not.
    fn request(&self, profile: &Profile, slip: Slip) -> Option<String> {
        if matches!(self.task, Task::Service(TerminalService::Status)) {
            return profile.poll.clone();
        }
        let (amount, operation) = match self.task {
            Task::Sale(amount) => (amount.0, 0),
            Task::Cancel(operation, amount) => (amount.0, operation),
            Task::LastSale | Task::Totals | Task::Service(_) => (0, 0),
        };
        let ticket = alias(&self.tender, 0, TICKET);
        let filling = Filling { amount, ticket: &ticket, voucher: slip == Slip::Till, operation };
        self.exchange(profile)?.filled(&filling).ok()
    }

    const fn moves_money(&self) -> bool {
        matches!(self.task, Task::Sale(_) | Task::Cancel(..))
    }

    const fn patience(&self, profile: &Profile) -> u64 {
        match self.task {
            Task::LastSale | Task::Totals => QUERY_MS,
            Task::Sale(_) | Task::Cancel(..) if profile.progress.is_some() => STEP_MS,
            Task::Sale(_) | Task::Cancel(..) | Task::Service(_) => CARD_MS,
        }
    }

    /// Whether what the terminal tells is about this sale. It may leave the ticket out.
    fn is_ours(&self, message: &Message<'_>, profile: &Profile) -> bool {
        let ticket = message.told(profile.places.ticket);
        ticket.is_empty() || ticket == alias(&self.tender, 0, TICKET)
    }
}

impl Terminal {
    pub(super) const fn new(profile: Profile, slip: Slip) -> Self {
        let line = Line::new(profile.check(), profile.ack_ms, profile.repeats);
        Self { profile, slip, line, state: State::Idle, known: None, due: None }
    }

    fn command(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        match (command, &self.state) {
            (TerminalCommand::Acknowledge { tender }, State::Held { tender: own, .. }) if tender == own => {
                self.release(out);
            }
            (TerminalCommand::Abort { tender }, State::Polling(job)) if *tender == job.tender => {
                let job = job.clone();
                self.over(now, &job, message::CANCELLED, out);
            }
            // Only the shopper can give up once a card is asked for: with the terminal's own key.
            (TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. }, _) => {}
            (command, State::Idle) => self.begin(now, command, out),
            (command, State::Polling(job) | State::Working(job)) if tender_of(command) == &job.tender => {}
            (command, _) => refused(command, BUSY, out),
        }
    }

    fn begin(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        let (tender, task) = match command {
            TerminalCommand::Authorise { tender, amount, .. } => (tender, Task::Sale(*amount)),
            TerminalCommand::Reverse { tender, of, .. } => (tender, Task::Cancel(of.trace, of.amount)),
            TerminalCommand::Query { tender } => (tender, Task::LastSale),
            TerminalCommand::Service { tender, service: TerminalService::EndOfDay }
                if self.profile.totals.is_some() =>
            {
                (tender, Task::Totals)
            }
            // Leaving the till (0300) can only be undone by hand, at the terminal.
            TerminalCommand::Refund { .. } | TerminalCommand::Service { service: TerminalService::LogOff, .. } => {
                return refused(command, message::NOT_SUPPORTED, out);
            }
            TerminalCommand::Service { tender, service } => (tender, Task::Service(*service)),
            TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. } => return,
        };
        let job = Job { tender: tender.clone(), task };
        match job.task {
            Task::Sale(amount) if !(1..=self.profile.amount_max).contains(&amount.0) => {
                self.over(now, &job, message::AMOUNT_WRONG, out);
            }
            Task::Cancel(0, _) => self.over(now, &job, message::NO_SALE, out),
            Task::Sale(_) | Task::Cancel(..) => match self.profile.poll.clone() {
                Some(poll) => {
                    self.line.send(now, &poll, true, out);
                    self.state = State::Polling(job);
                }
                None => self.ask(now, job, out),
            },
            Task::LastSale | Task::Totals | Task::Service(_) => self.ask(now, job, out),
        }
    }

    fn ask(&mut self, now: Mono, job: Job, out: &mut Out) {
        let Some(request) = job.request(&self.profile, self.slip) else { return self.not_possible(now, job, out) };
        self.line.send(now, &request, !job.moves_money(), out);
        self.due = Some(now.plus_ms(job.patience(&self.profile)));
        self.state = State::Working(job);
    }

    /// The maker has no such message.
    fn not_possible(&mut self, now: Mono, job: Job, out: &mut Out) {
        if job.moves_money() {
            return self.over(now, &job, message::NOT_SUPPORTED, out);
        }
        if let Task::Service(service) = job.task {
            serviced(&job.tender, service, message::NOT_SUPPORTED, out);
        }
        self.state = State::Idle;
    }

    /// Nothing was charged, and that is certain.
    fn over(&mut self, now: Mono, job: &Job, code: u8, out: &mut Out) {
        self.hold(now, &job.tender, CardOutcome::Declined { code }, None, out);
    }

    fn hold(&mut self, now: Mono, tender: &TenderId, outcome: CardOutcome, frame: Option<Vec<u8>>, out: &mut Out) {
        let approved = matches!(outcome, CardOutcome::Approved(_));
        self.due = Some(now.plus_ms(if approved { HOLD_MS } else { NOTE_MS }));
        self.state = State::Held { tender: tender.clone(), frame, approved };
        answered(tender, outcome, out);
    }

    fn release(&mut self, out: &mut Out) {
        if let State::Held { tender, frame, .. } = core::mem::replace(&mut self.state, State::Idle) {
            if let Some(frame) = frame {
                self.acknowledge(frame, out);
            }
            finished(&tender, out);
        }
        self.due = None;
    }

    fn acknowledge(&mut self, frame: Vec<u8>, out: &mut Out) {
        line::acknowledge(out);
        self.known = Some(frame);
    }

    fn rest(&mut self, frame: Vec<u8>, out: &mut Out) {
        self.acknowledge(frame, out);
        self.state = State::Idle;
        self.due = None;
    }

    fn heard(&mut self, now: Mono, heard: Heard, out: &mut Out) {
        match heard {
            Heard::Taken => self.taken(now, out),
            Heard::NotTaken => self.not_taken(out),
            Heard::Text(text) => self.told(now, text, out),
            Heard::Damaged => {
                if let State::Working(_) = self.state {
                    let repeated = now.plus_ms(REPEAT_MS);
                    self.due = self.due.map(|due| due.min(repeated));
                }
            }
        }
    }

    fn taken(&mut self, now: Mono, out: &mut Out) {
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Polling(job) => self.ask(now, job, out),
            State::Working(Job { tender, task: Task::Service(service @ TerminalService::Status) }) => {
                self.due = None;
                serviced(&tender, service, 0, out);
            }
            state @ (State::Idle | State::Working(_) | State::Held { .. }) => self.state = state,
        }
    }

    fn not_taken(&mut self, out: &mut Out) {
        // Of a poll nothing came, so nothing was asked for.
        if let State::Polling(job) = &self.state {
            answered(&job.tender, CardOutcome::Declined { code: message::UNREACHABLE }, out);
            finished(&job.tender, out);
        }
        out.fail("the terminal does not take what is sent to it");
    }

    fn told(&mut self, now: Mono, frame: Vec<u8>, out: &mut Out) {
        let text = frame::text(&frame);
        let message = Message::of(&text, self.profile.separator);
        let code = message.code(self.profile.places.code);
        if self.profile.progress.as_deref() == Some(message.kind()) {
            line::acknowledge(out);
            if let State::Working(job) = &self.state {
                self.due = Some(now.plus_ms(job.patience(&self.profile)));
                progress(&job.tender, message::progress(code), out);
            }
            return;
        }
        if self.known.as_ref() == Some(&frame) {
            return line::acknowledge(out);
        }
        // What was not asked for is not acknowledged: the terminal gives up by itself.
        let State::Working(job) = &self.state else { return };
        if job.exchange(&self.profile).is_none_or(|exchange| exchange.answer != message.kind()) {
            return;
        }
        let job = job.clone();
        match job.task {
            Task::Sale(_) | Task::Cancel(..) => self.money(now, &job, &message, frame, out),
            Task::LastSale => {
                last(&job.tender, last_sale(&job, &message, &self.profile), out);
                self.rest(frame, out);
            }
            Task::Totals => {
                if code == Some(0) {
                    let lines = [("ventas", self.profile.places.count), ("total", self.profile.places.sum)];
                    let lines = lines.map(|(name, at)| crate::digits::hide(&format!("{name}: {}", message.told(at))));
                    printed(&job.tender, lines.to_vec(), out);
                }
                self.rest(frame, out);
                let task = Task::Service(TerminalService::EndOfDay);
                self.ask(now, Job { tender: job.tender, task }, out);
            }
            Task::Service(service) => match code {
                Some(code) => {
                    serviced(&job.tender, service, code, out);
                    self.rest(frame, out);
                }
                None => out.fail("the terminal's answer cannot be read"),
            },
        }
    }

    fn money(&mut self, now: Mono, job: &Job, message: &Message<'_>, frame: Vec<u8>, out: &mut Out) {
        let profile = &self.profile;
        let outcome = match (&job.task, message.code(profile.places.code)) {
            // The answer to another sale, late: not acknowledged, not believed.
            (Task::Sale(_), _) if !job.is_ours(message, profile) => return,
            (_, Some(code)) if code != 0 => Some(CardOutcome::Declined { code }),
            (Task::Sale(_), Some(_)) => message.slip(&profile.places).map(CardOutcome::Approved),
            (Task::Cancel(operation, amount), Some(_)) => cancelled(*operation, *amount, message, profile),
            (Task::Sale(_) | Task::Cancel(..) | Task::LastSale | Task::Totals | Task::Service(_), _) => None,
        };
        match outcome {
            Some(outcome) => self.hold(now, &job.tender, outcome, Some(frame), out),
            None => out.fail("the terminal's answer cannot be read: ask it for its last sale"),
        }
    }

    fn silent(&mut self, out: &mut Out) {
        match &self.state {
            State::Idle | State::Polling(_) => {}
            State::Working(_) => out.fail("the terminal is silent"),
            State::Held { approved: true, .. } => out.fail("the answer was not made durable in time"),
            State::Held { approved: false, .. } => self.release(out),
        }
    }
}

fn last_sale(job: &Job, message: &Message<'_>, profile: &Profile) -> LastPayment {
    match message.code(profile.places.code) {
        Some(0) if !job.is_ours(message, profile) => LastPayment::Nothing,
        Some(0) => message.slip(&profile.places).map_or(LastPayment::Unknown, LastPayment::Approved),
        Some(code) if profile.no_sale == Some(code) => LastPayment::Nothing,
        Some(_) | None => LastPayment::Unknown,
    }
}

/// The answer names the sale that is undone, but not what it came to.
fn cancelled(operation: u32, amount: Money, message: &Message<'_>, profile: &Profile) -> Option<CardOutcome> {
    let places = &profile.places;
    let named = message::number(message.told(places.cancelled)).and_then(|number| u32::try_from(number).ok())?;
    (named == operation).then(|| {
        CardOutcome::Approved(CardSlip {
            amount,
            trace: operation,
            receipt: operation,
            terminal: crate::digits::hide(message.told(places.terminal)),
            pan: None,
            scheme: String::new(),
            reference: String::new(),
            text: vec![crate::digits::hide(&format!(
                "ANULACION: {operation} AUTORIZACION: {}",
                message.told(places.cancel_auth)
            ))],
            offline: false,
        })
    })
}

const fn tender_of(command: &TerminalCommand) -> &TenderId {
    match command {
        TerminalCommand::Authorise { tender, .. }
        | TerminalCommand::Refund { tender, .. }
        | TerminalCommand::Reverse { tender, .. }
        | TerminalCommand::Acknowledge { tender }
        | TerminalCommand::Query { tender }
        | TerminalCommand::Abort { tender }
        | TerminalCommand::Service { tender, .. } => tender,
    }
}

impl Driver for Terminal {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.line.forget();
                self.state = State::Idle;
                self.due = None;
            }
            In::Bytes(bytes) => {
                for heard in self.line.hear(now, bytes, out) {
                    if out.failed.is_none() {
                        self.heard(now, heard, out);
                    }
                }
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
                if let Some(heard) = self.line.due(now, out) {
                    self.heard(now, heard, out);
                }
                if out.failed.is_none() && self.due.take_if(|due| now >= *due).is_some() {
                    self.silent(out);
                }
            }
        }
        if let Some(at) = [self.line.next(), self.due].into_iter().flatten().min() {
            out.wake_at(at);
        }
    }
}
