//! Payments by wallet code and gift card: what headquarters asks of providers, and how it is sure of the answers.
//!
//! ```text
//! box ──ask──▶ writer: book (row `asked`, committed) ──Job──▶ desk ──call──▶ provider
//! box ◀─reply─ writer: book (row `approved`, committed) ◀─Work::Paid── desk ◀──┘
//! ```
//!
//! The intent is in the database before a provider hears of it, the answer before the box does, and no provider is waited for
//! while the writer's transaction is open. One order number for each tender, for ever: a provider charges it at most once.

pub mod alipay;
pub(crate) mod book;
pub mod desk;
pub mod gift;
pub mod reconcile;
pub mod rsa;
pub mod sandbox;
pub mod statement;
pub mod wechat;

use checkout::scan::WalletProvider;
use checkout::words::{LaneId, Money, Private, TenderId};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;

/// Who moves money. Calls may take as long as the provider's own time-out; they are made beside the writer, never in it.
///
/// Every order and every refund has a number that is ours; a number a provider knows is not charged or given back again.
pub trait Provider: Send + Sync {
    /// Takes at most `amount`.
    fn charge(&self, order: &str, charge: &Charge) -> Told;
    /// What became of the order. Moves no money.
    fn query(&self, order: &str) -> Told;
    /// Closes the order for ever; what was taken goes back.
    fn reverse(&self, order: &str) -> Told;
    /// Gives `amount` of the order back.
    fn refund(&self, order: &str, refund: &str, amount: Money) -> Told;
    /// What it tells unasked, by order number; with every look again until it is [`Provider::heard`].
    fn notices(&self) -> Vec<(String, Told)> {
        Vec::new()
    }
    /// What it told of that order is in the database, or concerns nobody here: it need not be told again.
    fn heard(&self, _order: &str) {}
    /// What is left on a card of stored value; `None`: no such card, or nothing of the kind.
    fn balance(&self, _code: &Private<String>) -> Option<Money> {
        None
    }
}

#[derive(Clone, Debug)]
pub struct Charge {
    pub amount: Money,
    pub currency: String,
    pub provider: WalletProvider,
    /// The shopper's code: handed on, never kept.
    pub code: Private<String>,
}

/// A provider's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It moved `amount`; `reference` is its own number.
    Approved { amount: Money, reference: String },
    /// No money moved, and none will.
    Declined { reason: String },
    /// The shopper has yet to confirm.
    Pending,
    /// It does not know the order, yet: what we sent may still be on its way.
    NotFound,
    /// The order is closed and no money stays taken.
    Reversed,
    /// Nobody answered, or nothing that says what became of it.
    Silent,
}

/// Who is asked for which payment.
#[derive(Clone)]
pub struct Providers {
    pub wallets: Arc<dyn Provider>,
    pub gifts: Arc<dyn Provider>,
}

impl Providers {
    fn of(&self, provider: WalletProvider) -> &Arc<dyn Provider> {
        match provider {
            WalletProvider::Wechat | WalletProvider::Alipay | WalletProvider::Unionpay => &self.wallets,
            WalletProvider::Gift => &self.gifts,
        }
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Providers")
    }
}

/// One call to make.
#[derive(Clone, Debug)]
pub struct Job {
    pub(crate) provider: WalletProvider,
    pub(crate) about: About,
    pub(crate) call: Call,
}

/// Whose call it is, and what question it answers; 0: nobody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    pub(crate) box_id: String,
    pub(crate) tender: TenderId,
    pub(crate) ask: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Call {
    Charge(Charge),
    Query,
    Reverse,
    Refund {
        of: TenderId,
        amount: Money,
    },
    Balance {
        lane: LaneId,
        code: Private<String>,
    },
    /// Moves nothing: what the provider told of that order is written down.
    Heard {
        order: String,
    },
}

/// Which call a word answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    Charge,
    Query,
    Reverse,
    Refund,
    /// Nobody asked: the provider told it.
    Notice,
}

impl Call {
    pub(crate) const fn asked(&self) -> Asked {
        match self {
            Self::Charge(_) => Asked::Charge,
            Self::Query | Self::Balance { .. } => Asked::Query,
            Self::Heard { .. } => Asked::Notice,
            Self::Reverse => Asked::Reverse,
            Self::Refund { .. } => Asked::Refund,
        }
    }
}

/// Our number of a charge or refund at a provider: at most 32 letters and digits everywhere, so the ids are hashed.
#[must_use]
pub fn order_no(box_id: &str, tender: &TenderId) -> String {
    let hash = Sha256::digest(format!("{box_id}\n{tender}"));
    crate::hex(&hash).chars().take(32).collect()
}

/// Under this name a payment stands in the database and in statements.
#[must_use]
pub fn provider_word(provider: WalletProvider) -> &'static str {
    match provider {
        WalletProvider::Wechat => "wechat",
        WalletProvider::Alipay => "alipay",
        WalletProvider::Unionpay => "unionpay",
        WalletProvider::Gift => "gift",
    }
}

pub(crate) fn provider_of(word: &str) -> WalletProvider {
    match word {
        "alipay" => WalletProvider::Alipay,
        "unionpay" => WalletProvider::Unionpay,
        "gift" => WalletProvider::Gift,
        _ => WalletProvider::Wechat,
    }
}
