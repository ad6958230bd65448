//! What a terminal is asked to do, as the message that asks it; what its answers mean in shop words.

use super::bmp::Fields;
use super::{codec, text};
use crate::Out;
use crate::terminal::own_words;
pub(super) use crate::terminal::{answered, finished, last, printed, serviced, totals};
use checkout::device::{CardOutcome, CardSlip, LastPayment, TerminalCommand, TerminalService};
use checkout::words::{Money, Name, TenderId, TruncatedPan};

/// Result code of an amount that cannot be asked for (PA00P015 chapter 10).
const AMOUNT_TOO_SMALL: u8 = 0xC8;

#[derive(Debug)]
pub(super) struct Job {
    pub tender: TenderId,
    pub task: Task,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Authorise(Money),
    Refund(Money),
    /// Receipt number and amount of the payment that is cancelled.
    Reverse(u32, Money),
    Query,
    Service(TerminalService),
}

impl Job {
    /// `None` for the commands that concern a job already begun.
    pub(super) fn of(command: &TerminalCommand) -> Option<Self> {
        let (tender, task) = match command {
            TerminalCommand::Authorise { tender, amount, .. } => (tender, Task::Authorise(*amount)),
            TerminalCommand::Refund { tender, amount, .. } => (tender, Task::Refund(*amount)),
            TerminalCommand::Reverse { tender, of, .. } => (tender, Task::Reverse(of.receipt, of.amount)),
            TerminalCommand::Query { tender } => (tender, Task::Query),
            TerminalCommand::Service { tender, service } => (tender, Task::Service(*service)),
            TerminalCommand::Acknowledge { .. } | TerminalCommand::Abort { .. } => return None,
        };
        Some(Self { tender: tender.clone(), task })
    }

    /// The terminal must know the till before anything but these.
    pub(super) const fn wants_registration(&self) -> bool {
        !matches!(self.task, Task::Service(TerminalService::Status | TerminalService::LogOff))
    }

    pub(super) const fn moves_money(&self) -> bool {
        matches!(self.task, Task::Authorise(_) | Task::Refund(_) | Task::Reverse(..))
    }

    /// The message that asks for it, or the code of the refusal that is certain.
    pub(super) fn request(&self, password: [u8; 3], currency: [u8; 2]) -> Result<Vec<u8>, u8> {
        let secret = password.as_slice();
        let priced = |amount: Money| {
            let minor = u64::try_from(amount.0).ok().filter(|minor| *minor > 0).ok_or(AMOUNT_TOO_SMALL)?;
            Ok::<Vec<u8>, u8>([&[0x04], codec::bcd::<6>(minor).as_slice(), &[0x49], &currency].concat())
        };
        Ok(match self.task {
            Task::Authorise(amount) => codec::encode([0x06, 0x01], &priced(amount)?),
            Task::Refund(amount) => codec::encode([0x06, 0x31], &[secret, &priced(amount)?].concat()),
            Task::Reverse(receipt, _) => {
                let receipt = codec::bcd::<2>(u64::from(receipt));
                codec::encode([0x06, 0x30], &[secret, &[0x87], &receipt].concat())
            }
            // Service byte: send the Status-Information, print nothing.
            Task::Query => codec::encode([0x06, 0x20], &[secret, &[0x03, 0x03]].concat()),
            Task::Service(service) => match service {
                TerminalService::Status => codec::encode([0x05, 0x01], secret),
                TerminalService::Diagnosis => codec::encode([0x06, 0x70], &[]),
                TerminalService::EndOfDay => codec::encode([0x06, 0x50], secret),
                TerminalService::Reprint => codec::encode([0x06, 0x20], secret),
                TerminalService::LogOff => codec::encode([0x06, 0x02], &[]),
            },
        })
    }

    /// It will not be done, and nothing was charged.
    pub(super) fn refuse(&self, code: u8, out: &mut Out) {
        match self.task {
            Task::Authorise(_) | Task::Refund(_) | Task::Reverse(..) => {
                answered(&self.tender, CardOutcome::Declined { code }, out);
                finished(&self.tender, out);
            }
            Task::Query => last(&self.tender, LastPayment::Unknown, out),
            Task::Service(service) => serviced(&self.tender, service, code, out),
        }
    }
}

/// `None` where the answer proves neither approval nor refusal. Cancelling and giving back may leave the amount out: what was
/// asked for then counts.
pub(super) fn outcome(fields: &Fields, lines: &[String], asked: Option<Money>) -> Option<CardOutcome> {
    let code = fields.result()?;
    if code != 0 {
        return Some(CardOutcome::Declined { code });
    }
    if fields.stopped.is_some() {
        return None;
    }
    let amount = match fields.amount() {
        Some(minor) => Money(i64::try_from(minor).ok()?),
        None => asked?,
    };
    let mut text: Vec<String> =
        fields.text(0x3C).map(|text| text.lines().map(|line| line.trim_end().to_owned()).collect()).unwrap_or_default();
    text.extend(lines.iter().cloned());
    Some(CardOutcome::Approved(CardSlip {
        amount,
        trace: fields.trace().unwrap_or(0),
        receipt: fields.receipt().unwrap_or(0),
        terminal: fields.terminal().unwrap_or_default(),
        pan: fields.pan().map(|pan| TruncatedPan::of(pan.as_str())),
        scheme: fields.text(0x8B).unwrap_or_default(),
        reference: String::new(),
        text,
        // It does not say whether the bank was asked.
        offline: false,
    }))
}

/// Our words for the status code, or else the terminal's own (tag 24, lines 07).
pub(super) fn progress(status: u8, fields: &Fields) -> Name {
    let own = codec::block_lines(fields).join(" ");
    match text::progress(status) {
        Some((zh, en)) => Name { zh: zh.into(), en: en.into() },
        None => own_words(&own),
    }
}
