//! Machines with memories of their own: a card terminal, and the wallet provider behind headquarters.

use crate::power_cuts::Random;
use checkout::device::{CardOutcome, CardSlip, LastPayment, TerminalCommand, TerminalEvent};
use checkout::wire::{Question, WalletOutcome};
use checkout::words::{Money, TenderId};
use std::collections::BTreeMap;

/// A card terminal: every payment, refund and cancellation it ever made, and its manners.
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
            pan: None,
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
        for one in self.moves.iter_mut().filter(|one| one.state == Done::Pending) {
            let stays = self.refunds_stand && one.what != What::Payment;
            one.state = if stays { Done::Yes } else { Done::TakenBack };
        }
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

    /// Money it holds, how many payments that came from, and how many times it gave some back.
    pub fn money(&self) -> (i64, u64, u64) {
        let stands = self.moves.iter().filter(|one| one.state == Done::Yes);
        stands.fold((0, 0, 0), |(sum, paid, back), one| match one.what {
            What::Payment => (sum + one.slip.amount.0, paid + 1, back),
            What::Refund | What::Reversal(_) => (sum - one.slip.amount.0, paid, back + 1),
        })
    }
}

/// The wallet provider behind headquarters: each tender once, what it denied stays denied, and never more back than was taken.
#[derive(Default)]
pub struct Provider {
    known: BTreeMap<TenderId, Option<Moved>>,
    /// The shopper has not confirmed yet.
    undecided: BTreeMap<TenderId, Money>,
    /// Taken though nobody waited for it: told until it has gone back.
    late: BTreeMap<TenderId, Money>,
}

#[derive(Clone, Debug)]
struct Moved {
    amount: Money,
    /// Given back of that charge.
    of: Option<TenderId>,
}

impl Provider {
    /// `luck` below 6: 0 refuses at first, 1 and 2 leave a charge undecided, 3 decides one that is asked about, and all
    /// but 0 take the money though it was given up.
    pub fn told(&mut self, what: Question, luck: u64) -> Option<(TenderId, WalletOutcome)> {
        let (tender, wanted) = match what {
            Question::AuthoriseWallet { tender, amount, .. } => {
                if matches!(luck, 1 | 2) && !self.known.contains_key(&tender) {
                    self.undecided.insert(tender.clone(), amount);
                    return Some((tender, WalletOutcome::Pending));
                }
                (tender, Some(Moved { amount, of: None }))
            }
            Question::RefundWallet { tender, of, amount, .. } => {
                let wanted = Moved { amount, of: Some(of.clone()) };
                (tender, Some(wanted).filter(|_| amount <= self.left(&of)))
            }
            Question::QueryWallet { tender } => match self.undecided.remove(&tender) {
                Some(amount) if luck == 3 => (tender, Some(Moved { amount, of: None })),
                Some(amount) => {
                    self.undecided.insert(tender.clone(), amount);
                    return Some((tender, WalletOutcome::Pending));
                }
                None => (tender, None),
            },
            Question::ReverseWallet { tender } => match self.undecided.remove(&tender) {
                Some(amount) => {
                    self.known.insert(tender.clone(), None);
                    if luck > 0 {
                        self.late.insert(tender.clone(), amount);
                    }
                    return Some((tender, WalletOutcome::Reversed));
                }
                None => (tender, None),
            },
            Question::ChargeMember { .. }
            | Question::GiftBalance { .. }
            | Question::ClaimCoupon { .. }
            | Question::Chunk { .. }
            | Question::Refill { .. } => return None,
        };
        let known = self.known.entry(tender.clone()).or_insert(wanted.filter(|_| luck != 0));
        let outcome = match known {
            Some(moved) => WalletOutcome::Approved { amount: moved.amount, reference: "w".into() },
            None => WalletOutcome::NotFound,
        };
        Some((tender, outcome))
    }

    /// What it took in the meantime, told until it has gone back; with `luck` the shoppers confirm at last.
    pub fn news(&mut self, luck: bool) -> Vec<(TenderId, WalletOutcome)> {
        if luck {
            let confirmed: Vec<_> = std::mem::take(&mut self.undecided).into_iter().collect();
            self.late.extend(confirmed);
        }
        for (tender, amount) in &self.late {
            self.known.insert(tender.clone(), Some(Moved { amount: *amount, of: None }));
        }
        let gone: Vec<TenderId> = self.late.keys().filter(|tender| self.left(tender) == Money::ZERO).cloned().collect();
        self.late.retain(|tender, _| !gone.contains(tender));
        let told = |(tender, amount): (&TenderId, &Money)| {
            (tender.clone(), WalletOutcome::Approved { amount: *amount, reference: "late".into() })
        };
        self.late.iter().map(told).collect()
    }

    fn left(&self, of: &TenderId) -> Money {
        let taken = self.known.get(of).and_then(Option::as_ref).map_or(Money::ZERO, |moved| moved.amount);
        let back = self.known.values().flatten().filter(|moved| moved.of.as_ref() == Some(of));
        taken.minus(back.map(|moved| moved.amount).sum())
    }

    pub fn did(&self, tender: &TenderId) -> bool {
        self.known.get(tender).is_some_and(Option::is_some)
    }

    /// Money it holds, and how many times it gave some back.
    pub fn money(&self) -> (i64, u64) {
        self.known.values().flatten().fold((0, 0), |(sum, back), moved| match moved.of {
            None => (sum + moved.amount.0, back),
            Some(_) => (sum - moved.amount.0, back + 1),
        })
    }
}
