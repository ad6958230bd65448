//! The wallet provider of the sandbox: approves by the last digit of the code. What every real provider must keep is
//! kept here: a tender is charged at most once, and after "never heard of it" never again.

use crate::store::now_ms;
use checkout::scan::WalletProvider;
use checkout::wire::WalletOutcome;
use checkout::words::{Money, Private, TenderId};
use rusqlite::{OptionalExtension as _, Transaction, params};

#[derive(Clone, Debug)]
pub(crate) struct Charge<'a> {
    pub(crate) tender: &'a TenderId,
    pub(crate) amount: Money,
    pub(crate) currency: &'a str,
    pub(crate) provider: WalletProvider,
    pub(crate) code: &'a Private<String>,
}

/// The answer may leave only after `txn` is committed.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn authorise(txn: &Transaction<'_>, box_id: &str, charge: &Charge<'_>) -> rusqlite::Result<WalletOutcome> {
    if let Some(payment) = find(txn, box_id, charge.tender)? {
        let same = payment.amount == charge.amount.0 && payment.currency == charge.currency;
        return Ok(if same { payment.outcome() } else { declined("this tender was asked for with another amount") });
    }
    let payment = decide(charge);
    keep(txn, box_id, charge.tender, &payment)?;
    Ok(payment.outcome())
}

/// Moves no money; a tender nobody has asked to charge is closed, so that a late request cannot charge it.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn query(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> rusqlite::Result<WalletOutcome> {
    let Some(mut payment) = find(txn, box_id, tender)? else {
        let closed = Payment { state: State::Closed, ..Payment::default() };
        keep(txn, box_id, tender, &closed)?;
        return Ok(closed.outcome());
    };
    if payment.state == State::Pending {
        payment.state = State::Approved;
        txn.prepare_cached("UPDATE wallet_payment SET state = 'approved' WHERE box = ?1 AND tender = ?2")?
            .execute(params![box_id, tender.0])?;
    }
    Ok(payment.outcome())
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    Approved,
    #[default]
    Declined,
    Pending,
    Closed,
}

impl State {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Approved, "approved"),
        (Self::Declined, "declined"),
        (Self::Pending, "pending"),
        (Self::Closed, "closed"),
    ];

    fn word(self) -> &'static str {
        let found = Self::ALL.iter().find(|(state, _)| *state == self);
        found.map_or("declined", |(_, word)| word)
    }

    fn of_word(word: &str) -> Self {
        let found = Self::ALL.iter().find(|(_, known)| *known == word);
        found.map_or(Self::Declined, |(state, _)| *state)
    }
}

#[derive(Debug, Default)]
struct Payment {
    amount: i64,
    currency: String,
    provider: &'static str,
    state: State,
    reference: String,
}

impl Payment {
    fn outcome(&self) -> WalletOutcome {
        match self.state {
            State::Approved => {
                WalletOutcome::Approved { amount: Money(self.amount), reference: self.reference.clone() }
            }
            State::Declined => declined("the wallet has declined"),
            State::Pending => WalletOutcome::Pending,
            State::Closed => WalletOutcome::NotFound,
        }
    }
}

fn declined(reason: &str) -> WalletOutcome {
    WalletOutcome::Declined { reason: reason.into() }
}

fn decide(charge: &Charge<'_>) -> Payment {
    let state = match charge.code.0.chars().last() {
        Some('0'..='7') => State::Approved,
        Some('9') => State::Pending,
        Some(_) | None => State::Declined,
    };
    Payment {
        amount: charge.amount.0,
        currency: charge.currency.into(),
        provider: match charge.provider {
            WalletProvider::Wechat => "wechat",
            WalletProvider::Alipay => "alipay",
            WalletProvider::Unionpay => "unionpay",
        },
        state: if charge.amount.0 > 0 { state } else { State::Declined },
        reference: format!("SANDBOX-{}", charge.tender),
    }
}

fn find(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> rusqlite::Result<Option<Payment>> {
    txn.prepare_cached("SELECT amount, currency, state, reference FROM wallet_payment WHERE box = ?1 AND tender = ?2")?
        .query_row(params![box_id, tender.0], |row| {
            Ok(Payment {
                amount: row.get(0)?,
                currency: row.get(1)?,
                provider: "",
                state: State::of_word(&row.get::<_, String>(2)?),
                reference: row.get(3)?,
            })
        })
        .optional()
}

fn keep(txn: &Transaction<'_>, box_id: &str, tender: &TenderId, payment: &Payment) -> rusqlite::Result<()> {
    txn.prepare_cached(
        "INSERT INTO wallet_payment (box, tender, amount, currency, provider, state, reference, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        box_id,
        tender.0,
        payment.amount,
        payment.currency,
        payment.provider,
        payment.state.word(),
        payment.reference,
        now_ms()
    ])?;
    Ok(())
}
