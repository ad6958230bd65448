//! The till's side: one request to a connection. What a payment came to is asked by its ServiceID, which follows from the
//! tender, so that no crash loses it.

use super::aside;
use super::crypto::Secret;
use super::http::{self, Read};
use super::message::{self, Parties, Proof, Request, at, proof, remembered};
use crate::terminal::{progress, tell};
use crate::{Driver, In, Out};
use checkout::device::{
    CardOutcome, CardSlip, DeviceCommand, LastPayment, TerminalCommand, TerminalEvent, TerminalService,
};
use checkout::words::{Money, Mono, Name, TenderId};
use serde::Deserialize;
use serde_json::Value;

/// A payment is answered within this; then it is asked about.
const PAYMENT_MS: u64 = 120_000;
const ANSWER_MS: u64 = 30_000;
/// Between two questions about a payment in progress.
const PAUSE_MS: u64 = 2_000;
/// Questions about one payment before a person must look.
const QUESTIONS_MAX: u32 = 60;
/// How long an approval waits to be made durable before it is taken back.
const NOTE_MS: u64 = 10_000;
/// Code of a service that such terminals do not have, as ZVT says it.
const NOT_POSSIBLE: u8 = 0x83;
const ABORTED: u8 = 1;
/// Printed for one payment.
const LINES_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    /// Our name on messages (SaleID).
    sale: String,
    /// The terminal's (POIID).
    poi: String,
    /// ISO 4217 letters.
    currency: String,
    /// Of the key shared with the terminal; without one messages are not sealed.
    #[serde(default)]
    passphrase: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    key_version: u64,
}

pub(super) struct Nexo {
    parties: Parties,
    secret: Option<Secret>,
    inbox: Vec<u8>,
    state: State,
    /// Printed before the answer: a part of it.
    lines: Vec<String>,
    /// Sent as soon as the line is open again.
    next: Option<Request>,
    turn: u64,
    due: Mono,
}

enum State {
    Idle,
    /// The request is out, or waits for the line.
    Working(Work),
    /// Ask about a payment again when the pause is over.
    Pausing {
        tender: TenderId,
        questions: u32,
        about: &'static str,
    },
    /// Answered, not yet durable. A refusal is nothing to take back.
    Held {
        tender: TenderId,
        slip: Option<Box<CardSlip>>,
    },
}

struct Work {
    tender: TenderId,
    task: Task,
    /// ServiceID of the request.
    id: String,
    /// Category of the message that moves the money, or of the one that is asked about.
    about: &'static str,
}

const PAYMENT: &str = "Payment";
const REVERSAL: &str = "Reversal";

#[derive(Clone, Copy)]
enum Task {
    /// `Some`: what a reversal without an amount in its answer comes to.
    Pay(Option<Money>),
    Query,
    Abort,
    /// Asking about a payment that was given up or took too long.
    Ask(u32),
    /// What was never made durable.
    TakeBack,
    Service(TerminalService),
}

impl Nexo {
    pub(super) fn new(options: Options) -> Result<Self, String> {
        let three = options.currency.len() == 3 && options.currency.bytes().all(|byte| byte.is_ascii_uppercase());
        if !three {
            return Err("currency must be three letters such as EUR".into());
        }
        if options.sale.is_empty() || options.poi.is_empty() {
            return Err("sale and poi must not be empty".into());
        }
        if !options.passphrase.is_empty() && options.key.is_empty() {
            return Err("a passphrase needs its key (identifier) and key_version".into());
        }
        let sealed = !options.passphrase.is_empty();
        let secret = sealed.then(|| Secret::new(options.passphrase, options.key, options.key_version));
        Ok(Self {
            parties: Parties { sale: options.sale, poi: options.poi, currency: options.currency },
            secret,
            inbox: Vec::new(),
            state: State::Idle,
            lines: Vec::new(),
            next: None,
            turn: 0,
            due: Mono(0),
        })
    }

    fn command(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        match (command, &self.state) {
            (TerminalCommand::Acknowledge { tender }, State::Held { tender: own, .. }) if tender == own => {
                let tender = tender.clone();
                self.rest(out);
                tell(TerminalEvent::Finished { tender }, out);
            }
            (TerminalCommand::Abort { tender }, State::Working(Work { tender: own, task: Task::Pay(_), .. }))
                if tender == own =>
            {
                let (tender, turn) = (tender.clone(), self.turn(now));
                let request = self.parties.abort(&tender, turn);
                self.again(now, tender, Task::Abort, PAYMENT, request, out);
            }
            (TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. }, _) => {}
            (command, State::Idle) => self.begin(now, command, out),
            (command, _) => busy(command, out),
        }
    }

    fn begin(&mut self, now: Mono, command: &TerminalCommand, out: &mut Out) {
        let turn = self.turn(now);
        self.lines.clear();
        let (tender, task, request) = match command {
            TerminalCommand::Authorise { tender, amount, at } => {
                (tender, Task::Pay(None), self.parties.payment(tender, *amount, *at, false))
            }
            TerminalCommand::Refund { tender, amount, at } => {
                (tender, Task::Pay(Some(*amount)), self.parties.payment(tender, *amount, *at, true))
            }
            TerminalCommand::Reverse { tender, of, .. } => {
                (tender, Task::Pay(Some(of.amount)), self.parties.reversal(tender, of))
            }
            TerminalCommand::Query { tender } => {
                (tender, Task::Query, Some(self.parties.status(tender, PAYMENT, turn)))
            }
            TerminalCommand::Service { tender, service } => {
                let hosts = matches!(service, TerminalService::Diagnosis);
                let known = matches!(service, TerminalService::Status | TerminalService::Diagnosis);
                let request = known.then(|| self.parties.diagnosis(tender, turn, hosts));
                (tender, Task::Service(*service), request)
            }
            TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. } => return,
        };
        match request {
            Some(request) => {
                let about = if request.category == REVERSAL { REVERSAL } else { PAYMENT };
                self.state = State::Working(Work { tender: tender.clone(), task, id: request.id.clone(), about });
                self.send(now, &request, out);
            }
            None if matches!(task, Task::Service(_)) => {
                busy(command, out);
                out.close();
            }
            None => self.answer(now, tender.clone(), CardOutcome::Declined { code: message::code("NotAllowed") }, out),
        }
    }

    fn send(&mut self, now: Mono, request: &Request, out: &mut Out) {
        let body = self.sealed("SaleToPOIRequest", &self.parties.header(request), self.parties.message(request));
        out.send(&http::request(&self.parties.poi, &body));
        let patience =
            if let State::Working(Work { task: Task::Pay(_), .. }) = self.state { PAYMENT_MS } else { ANSWER_MS };
        out.wake_at(now.plus_ms(patience));
    }

    fn sealed(&self, envelope: &str, header: &Value, plain: String) -> String {
        match &self.secret {
            Some(secret) => secret.keys().seal(envelope, header, &plain),
            None => plain,
        }
    }

    /// The line is busy with an answer that may not come: another request goes over a new one.
    fn again(&mut self, now: Mono, tender: TenderId, task: Task, about: &'static str, request: Request, out: &mut Out) {
        self.state = State::Working(Work { tender, task, id: request.id.clone(), about });
        self.next = Some(request);
        self.inbox.clear();
        out.reopen();
        out.wake_at(now.plus_ms(ANSWER_MS));
    }

    /// Every message has a number of its own.
    fn turn(&mut self, now: Mono) -> u64 {
        self.turn = self.turn.saturating_add(1);
        (now.0 << 16).saturating_add(self.turn)
    }

    fn rest(&mut self, out: &mut Out) {
        self.state = State::Idle;
        self.next = None;
        self.inbox.clear();
        out.close();
    }

    /// Nothing more is needed from this line; the core's note needs none.
    fn answer(&mut self, now: Mono, tender: TenderId, mut outcome: CardOutcome, out: &mut Out) {
        if let CardOutcome::Approved(slip) = &mut outcome {
            slip.text.splice(0..0, core::mem::take(&mut self.lines));
        }
        let slip = match &outcome {
            CardOutcome::Approved(slip) => Some(Box::new(slip.clone())),
            CardOutcome::Declined { .. } => None,
        };
        tell(TerminalEvent::Answered { tender: tender.clone(), outcome }, out);
        self.rest(out);
        self.state = State::Held { tender, slip };
        out.wake_at(now.plus_ms(NOTE_MS));
    }

    fn pause(&mut self, now: Mono, tender: TenderId, questions: u32, about: &'static str, out: &mut Out) {
        if questions > QUESTIONS_MAX {
            return out.fail("the terminal is still at work: somebody must look at it");
        }
        self.rest(out);
        self.state = State::Pausing { tender, questions, about };
        out.wake_at(now.plus_ms(PAUSE_MS));
    }

    fn heard(&mut self, now: Mono, way: Way, body: &[u8], out: &mut Out) {
        let State::Working(work) = &self.state else { return };
        // An abort is a request: whatever is answered, the payment's own answer decides.
        if matches!(work.task, Task::Abort) {
            let (tender, about) = (work.tender.clone(), work.about);
            return self.pause(now, tender, 0, about, out);
        }
        match self.open(body, &work.id) {
            Ok(Heard::Answer(inside)) => self.answered(now, &inside, out),
            Ok(Heard::Rejected) => self.rejected(now, out),
            Ok(Heard::Aside(inside)) => self.aside(way, &inside, out),
            Err(reason) => out.fail(reason),
        }
    }

    /// Display, print or input for the till.
    fn aside(&mut self, way: Way, inside: &Value, out: &mut Out) {
        let State::Working(work) = &self.state else { return };
        let (tender, pays) = (work.tender.clone(), matches!(work.task, Task::Pay(_)));
        let aside = aside::read(inside, LINES_MAX.saturating_sub(self.lines.len()));
        if let Some(text) = aside.show {
            progress(&tender, Name { zh: text.clone(), en: text }, out);
        }
        if pays {
            self.lines.extend(aside.print);
        } else if !aside.print.is_empty() {
            tell(TerminalEvent::Printed { tender, lines: aside.print }, out);
        }
        let body = aside.answer.map(|(category, body)| {
            let header = message::answering(at(inside, "MessageHeader"));
            let plain = message::response(&header, category, &body);
            self.sealed("SaleToPOIResponse", &header, plain)
        });
        match (way, body) {
            // Over HTTP every request has its answer, and the terminal's answer to ours is still to come.
            (Way::Asked, body) => out.send(&http::answer(&body.unwrap_or_default())),
            (Way::Answered, Some(body)) => out.send(&http::request(&self.parties.poi, &body)),
            (Way::Answered, None) => {}
        }
    }

    fn open(&self, body: &[u8], id: &str) -> Result<Heard, String> {
        let message: Value =
            serde_json::from_slice(body).map_err(|_| "the terminal's answer is no JSON".to_string())?;
        let inside = message::inside(&message);
        if at(inside, "EventNotification.EventToNotify") == "Reject" {
            return Ok(Heard::Rejected);
        }
        let inside = match (&self.secret, inside.get("NexoBlob")) {
            (Some(secret), Some(_)) => {
                let plain =
                    secret.keys().open(inside).map_err(|_| "the terminal's answer is not of our key".to_string())?;
                let opened: Value = serde_json::from_slice(&plain).map_err(|_| "sealed is no JSON".to_string())?;
                message::inside(&opened).clone()
            }
            (None, None) => inside.clone(),
            (Some(_), None) => return Err("the terminal's answer is not sealed".into()),
            (None, Some(_)) => return Err("the terminal's answer is sealed, and no passphrase is configured".into()),
        };
        let header = at(&inside, "MessageHeader");
        if at(header, "MessageClass") != "Service" {
            return Ok(Heard::Aside(inside));
        }
        if at(header, "MessageType") != "Response" || at(header, "ServiceID") != id {
            return Err("the terminal answers something that was not asked".into());
        }
        Ok(Heard::Answer(inside))
    }

    fn answered(&mut self, now: Mono, inside: &Value, out: &mut Out) {
        let State::Working(work) = core::mem::replace(&mut self.state, State::Idle) else { return };
        let (tender, about) = (work.tender, work.about);
        let (currency, poi) = (self.parties.currency.clone(), self.parties.poi.clone());
        match work.task {
            Task::Pay(asked) => {
                let body = inside.get("PaymentResponse").or_else(|| inside.get("ReversalResponse"));
                match proof(body.unwrap_or(&Value::Null), &currency, &tender, &poi, asked) {
                    Proof::Outcome(outcome) => {
                        self.answer(now, tender, outcome, out);
                        // What went back to a card stays there: only a payment is taken back when nobody notes it.
                        if let (Some(_), State::Held { slip, .. }) = (asked, &mut self.state) {
                            *slip = None;
                        }
                    }
                    Proof::InProgress => self.pause(now, tender, 0, about, out),
                    Proof::NotFound => {
                        let code = message::code("NotFound");
                        self.answer(now, tender, CardOutcome::Declined { code }, out);
                    }
                    Proof::Nothing => out.fail("the terminal's answer proves nothing: ask it again"),
                }
            }
            Task::Query | Task::Ask(_) => {
                let response = at(inside, "TransactionStatusResponse");
                // Whether the tender paid or gave back is not said with the question: the terminal is asked about both.
                if matches!(work.task, Task::Query)
                    && about == PAYMENT
                    && at(response, "Response.ErrorCondition") == "NotFound"
                {
                    let turn = self.turn(now);
                    let request = self.parties.status(&tender, REVERSAL, turn);
                    return self.again(now, tender, Task::Query, REVERSAL, request, out);
                }
                let known = remembered(response, &currency, &tender, &poi);
                self.told(now, tender, work.task, about, known, out);
            }
            Task::TakeBack => self.rest(out),
            Task::Service(service) => {
                let response = at(inside, "DiagnosisResponse.Response");
                let failed = at(response, "ErrorCondition").as_str().map_or(NOT_POSSIBLE, message::code);
                let code = if at(response, "Result") == "Success" { 0 } else { failed };
                tell(TerminalEvent::Serviced { tender, service, code }, out);
                self.rest(out);
            }
            Task::Abort => {}
        }
    }

    fn told(
        &mut self,
        now: Mono,
        tender: TenderId,
        task: Task,
        about: &'static str,
        known: Option<LastPayment>,
        out: &mut Out,
    ) {
        let Task::Ask(questions) = task else {
            let last = known.unwrap_or(LastPayment::Unknown);
            tell(TerminalEvent::Last { tender, last }, out);
            return self.rest(out);
        };
        match known {
            Some(LastPayment::Approved(slip)) => self.answer(now, tender, CardOutcome::Approved(slip), out),
            Some(LastPayment::Nothing) => self.answer(now, tender, CardOutcome::Declined { code: ABORTED }, out),
            Some(LastPayment::Unknown) => out.fail("the terminal cannot say what became of the payment"),
            None => self.pause(now, tender, questions.saturating_add(1), about, out),
        }
    }

    /// The terminal could not read the request: nothing was done.
    fn rejected(&mut self, now: Mono, out: &mut Out) {
        let State::Working(work) = core::mem::replace(&mut self.state, State::Idle) else { return };
        let tender = work.tender;
        match work.task {
            Task::Pay(_) => self.answer(now, tender, CardOutcome::Declined { code: 0 }, out),
            Task::Query => {
                tell(TerminalEvent::Last { tender, last: LastPayment::Unknown }, out);
                self.rest(out);
            }
            Task::Service(service) => {
                tell(TerminalEvent::Serviced { tender, service, code: NOT_POSSIBLE }, out);
                self.rest(out);
            }
            Task::Ask(_) | Task::Abort | Task::TakeBack => out.fail("the terminal rejected a question"),
        }
    }

    fn due(&mut self, now: Mono, out: &mut Out) {
        match &self.state {
            State::Idle => {}
            State::Working(Work { tender, task: Task::Pay(_), about, .. }) => {
                let (tender, about) = (tender.clone(), *about);
                self.ask(now, tender, 0, about, out);
            }
            State::Working(_) => out.fail("the terminal is silent"),
            State::Pausing { tender, questions, about } => {
                let (tender, questions, about) = (tender.clone(), *questions, *about);
                self.ask(now, tender, questions, about, out);
            }
            State::Held { tender, slip: Some(slip) } => {
                let (tender, slip) = (tender.clone(), slip.clone());
                // Named apart from the payment it takes back.
                let name = TenderId(format!("{}-back", tender.0));
                match self.parties.reversal(&name, &slip) {
                    Some(request) => self.again(now, tender, Task::TakeBack, REVERSAL, request, out),
                    None => out.fail("an answer that was not made durable cannot be taken back"),
                }
            }
            State::Held { .. } => self.rest(out),
        }
    }

    fn ask(&mut self, now: Mono, tender: TenderId, questions: u32, about: &'static str, out: &mut Out) {
        let turn = self.turn(now);
        let request = self.parties.status(&tender, about, turn);
        self.again(now, tender, Task::Ask(questions), about, request, out);
    }
}

enum Heard {
    Answer(Value),
    Rejected,
    /// Display, print or input for the till: something else than the answer.
    Aside(Value),
}

/// How a message came over HTTP.
#[derive(Clone, Copy)]
enum Way {
    /// As a request of the terminal's own.
    Asked,
    /// As an answer to ours.
    Answered,
}

/// Not now, and nothing was charged.
fn busy(command: &TerminalCommand, out: &mut Out) {
    match command {
        TerminalCommand::Authorise { tender, .. }
        | TerminalCommand::Refund { tender, .. }
        | TerminalCommand::Reverse { tender, .. } => {
            let (tender, outcome) = (tender.clone(), CardOutcome::Declined { code: message::code("Busy") });
            tell(TerminalEvent::Answered { tender: tender.clone(), outcome }, out);
            tell(TerminalEvent::Finished { tender }, out);
        }
        TerminalCommand::Query { tender } => {
            tell(TerminalEvent::Last { tender: tender.clone(), last: LastPayment::Unknown }, out);
        }
        TerminalCommand::Service { tender, service } => {
            let (tender, service) = (tender.clone(), *service);
            tell(TerminalEvent::Serviced { tender, service, code: NOT_POSSIBLE }, out);
        }
        TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. } => {}
    }
}

impl Driver for Nexo {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.inbox.clear();
                if let Some(request) = self.next.take() {
                    self.send(now, &request, out);
                }
            }
            In::Bytes(bytes) => {
                self.inbox.extend_from_slice(bytes);
                while matches!(self.state, State::Working(_)) && out.failed.is_none() && !out.reopen {
                    match http::read(&self.inbox) {
                        Read::More => break,
                        Read::Whole(status, body, used) => {
                            self.inbox.drain(..used.min(self.inbox.len()));
                            let way = if status == 0 { Way::Asked } else { Way::Answered };
                            self.heard(now, way, &body, out);
                        }
                        Read::Nonsense => out.fail("the terminal sends something that is not HTTP"),
                    }
                }
                if !matches!(self.state, State::Working(_)) {
                    self.inbox.clear();
                }
            }
            In::Command(command) => {
                if let DeviceCommand::Terminal(command) = command {
                    self.command(now, command, out);
                }
            }
            In::Timeout if now < self.due => out.wake_at(self.due),
            In::Timeout => self.due(now, out),
        }
        self.due = out.wake_at.unwrap_or(self.due);
    }

    fn needs_line(&self, command: &DeviceCommand) -> bool {
        let note = matches!(
            command,
            DeviceCommand::Terminal(TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. })
        );
        !note && matches!(self.state, State::Idle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_cannot_be_right_are_refused() {
        let options = |text: &str| serde_json::from_str::<Options>(text).map_err(|wrong| wrong.to_string());
        let refused = |text: &str| options(text).and_then(Nexo::new).err().expect("a refusal");
        assert!(refused(r#"{"sale":"s","poi":"p","currency":"euro"}"#).contains("three letters"));
        assert!(refused(r#"{"sale":"","poi":"p","currency":"EUR"}"#).contains("sale"));
        assert!(refused(r#"{"sale":"s","poi":"p","currency":"EUR","passphrase":"x"}"#).contains("key"));
    }
}
