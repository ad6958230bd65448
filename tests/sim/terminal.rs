//! A card terminal with a memory of its own: every payment, refund and cancellation it ever made, and its manners.

use crate::random::Random;
use crate::shop::CARD;
use checkout::device::{CardOutcome, CardSlip, LastPayment, TerminalCommand, TerminalEvent};
use checkout::words::{Money, TenderId, TruncatedPan};

#[derive(Default)]
pub struct Terminal {
    trace: u32,
    moves: Vec<Move>,
    /// Tells of payments only, when asked what it did last.
    forgets_refunds: bool,
    /// What it gave back stays given, also where nobody acknowledged it.
    refunds_stand: bool,
}

struct Move {
    tender: TenderId,
    /// Positive; of a refund what went to the card.
    slip: CardSlip,
    state: Done,
    what: What,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Pending,
    Yes,
    TakenBack,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Payment,
    Refund,
    /// Of the payment with that receipt number.
    Reversal(u32),
}

impl Terminal {
    pub fn new(random: &mut Random) -> Self {
        Self { forgets_refunds: random.one_in(3), refunds_stand: random.one_in(2), ..Self::default() }
    }

    /// What it says to `command`, in order.
    pub fn told(&mut self, command: TerminalCommand, luck: u64) -> Vec<TerminalEvent> {
        match command {
            TerminalCommand::Authorise { tender, amount, .. } => self.begin(tender, amount, What::Payment, luck),
            TerminalCommand::Refund { tender, amount, .. } => self.begin(tender, amount, What::Refund, luck),
            TerminalCommand::Reverse { tender, of, .. } => {
                let luck = if self.can_reverse(of.receipt) { luck } else { 0 };
                self.begin(tender, of.amount, What::Reversal(of.receipt), luck)
            }
            TerminalCommand::Acknowledge { tender } => {
                for one in self.moves.iter_mut().filter(|one| one.tender == tender && one.state == Done::Pending) {
                    one.state = Done::Yes;
                }
                vec![TerminalEvent::Finished { tender }]
            }
            TerminalCommand::Query { tender } => vec![TerminalEvent::Last { tender, last: self.last() }],
            TerminalCommand::Abort { .. } => Vec::new(),
            TerminalCommand::Service { .. } => unreachable!("the core runs no services by itself"),
        }
    }

    fn begin(&mut self, tender: TenderId, amount: Money, what: What, luck: u64) -> Vec<TerminalEvent> {
        match luck {
            0 => vec![TerminalEvent::Answered { tender, outcome: CardOutcome::Declined { code: 5 } }],
            // Does it, and never says so (seen on real terminals).
            1 => {
                self.push(tender.clone(), amount, what, Done::Yes);
                vec![TerminalEvent::Finished { tender }]
            }
            _ => {
                let slip = self.push(tender.clone(), amount, what, Done::Pending);
                vec![TerminalEvent::Answered { tender, outcome: CardOutcome::Approved(slip) }]
            }
        }
    }

    fn push(&mut self, tender: TenderId, amount: Money, what: What, state: Done) -> CardSlip {
        self.trace += 1;
        let slip = CardSlip {
            amount,
            trace: self.trace,
            receipt: self.trace,
            terminal: "52500038".into(),
            pan: Some(TruncatedPan::of(CARD)),
            scheme: "girocard".into(),
            reference: String::new(),
            text: Vec::new(),
            offline: false,
        };
        self.moves.push(Move { tender, slip: slip.clone(), state, what });
        slip
    }

    fn can_reverse(&self, receipt: u32) -> bool {
        let stands = |one: &&Move| one.state == Done::Yes;
        let paid = |one: &Move| one.what == What::Payment && one.slip.receipt == receipt;
        let cancelled = |one: &Move| one.what == What::Reversal(receipt);
        self.moves.iter().filter(stands).any(paid) && !self.moves.iter().filter(stands).any(cancelled)
    }

    /// What was not acknowledged is taken back.
    pub fn connection_lost(&mut self) {
        let stays = self.refunds_stand;
        self.moves.iter_mut().for_each(|one| one.take_back(stays));
    }

    fn last(&self) -> LastPayment {
        let told = |one: &&Move| !self.forgets_refunds || one.what == What::Payment;
        match self.moves.iter().rfind(told) {
            Some(one) if one.state == Done::Yes => LastPayment::Approved(one.slip.clone()),
            Some(_) | None => LastPayment::Nothing,
        }
    }

    /// As its journal shows it to a person.
    pub fn did(&self, tender: &TenderId) -> bool {
        self.moves.iter().any(|one| one.tender == *tender && one.state == Done::Yes)
    }

    pub fn is_at_work(&self, tender: &TenderId) -> bool {
        self.moves.iter().any(|one| one.tender == *tender && one.state == Done::Pending)
    }

    /// What it moved and what stands of it, by tender: positive from the shopper, negative to them.
    pub fn moved(&self) -> impl Iterator<Item = (&TenderId, i64)> {
        let stands = self.moves.iter().filter(|one| one.state == Done::Yes);
        stands.map(|one| match one.what {
            What::Payment => (&one.tender, one.slip.amount.0),
            What::Refund | What::Reversal(_) => (&one.tender, -one.slip.amount.0),
        })
    }

    /// Nobody acknowledged that answer in time.
    pub fn give_up(&mut self, tender: &TenderId) {
        let stays = self.refunds_stand;
        for one in self.moves.iter_mut().filter(|one| one.tender == *tender) {
            one.take_back(stays);
        }
    }
}

impl Move {
    fn take_back(&mut self, refunds_stand: bool) {
        if self.state == Done::Pending {
            let stays = refunds_stand && self.what != What::Payment;
            self.state = if stays { Done::Yes } else { Done::TakenBack };
        }
    }
}
