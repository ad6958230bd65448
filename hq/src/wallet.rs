//! The wallet provider of the sandbox: approves by the last digit of the code. What every real provider must keep is
//! kept here: a tender is charged or given back at most once, after "never heard of it" never again, and no charge is given
//! back for more than it took.

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
    if find_refund(txn, box_id, charge.tender)?.is_some() {
        return Ok(declined("this tender is a refund"));
    }
    if let Some(payment) = find(txn, box_id, charge.tender)? {
        let same = payment.amount == charge.amount.0 && payment.currency == charge.currency;
        return Ok(if same { payment.outcome() } else { declined("this tender was asked for with another amount") });
    }
    let payment = decide(charge);
    keep(txn, box_id, charge.tender, &payment)?;
    Ok(payment.outcome())
}

#[derive(Clone, Debug)]
pub(crate) struct Refund<'a> {
    pub(crate) tender: &'a TenderId,
    /// The charge it gives back, or a part of it.
    pub(crate) of: &'a TenderId,
    pub(crate) amount: Money,
    pub(crate) currency: &'a str,
}

/// The answer may leave only after `txn` is committed.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn refund(txn: &Transaction<'_>, box_id: &str, refund: &Refund<'_>) -> rusqlite::Result<WalletOutcome> {
    if let Some(known) = find_refund(txn, box_id, refund.tender)? {
        let same = (known.amount, known.currency.as_str(), known.charge.as_str())
            == (refund.amount.0, refund.currency, refund.of.0.as_str());
        return Ok(if same { known.outcome(refund.tender) } else { declined("this tender was asked for otherwise") });
    }
    // A charge, or a tender that was closed because a box asked about it first.
    if let Some(known) = find(txn, box_id, refund.tender)? {
        return Ok(if known.state == State::Closed { known.outcome() } else { declined("this tender is a charge") });
    }
    let left = left(txn, box_id, refund)?;
    let approved = refund.amount.0 > 0 && refund.amount.0 <= left;
    let known = KnownRefund {
        charge: refund.of.0.clone(),
        amount: refund.amount.0,
        currency: refund.currency.into(),
        approved,
    };
    txn.prepare_cached(
        "INSERT INTO wallet_refund (box, tender, charge, amount, currency, state, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        box_id,
        refund.tender.0,
        known.charge,
        known.amount,
        known.currency,
        if approved { "approved" } else { "declined" },
        now_ms()
    ])?;
    Ok(known.outcome(refund.tender))
}

/// What of the charge has not been given back yet; nothing of one that took nothing.
fn left(txn: &Transaction<'_>, box_id: &str, refund: &Refund<'_>) -> rusqlite::Result<i64> {
    let charge = find(txn, box_id, refund.of)?;
    let taken = charge.filter(|charge| charge.state == State::Approved && charge.currency == refund.currency);
    let back: i64 = txn
        .prepare_cached(
            "SELECT coalesce(sum(amount), 0) FROM wallet_refund WHERE box = ?1 AND charge = ?2 AND state = 'approved'",
        )?
        .query_row(params![box_id, refund.of.0], |row| row.get(0))?;
    Ok(taken.map_or(0, |charge| charge.amount.saturating_sub(back)))
}

struct KnownRefund {
    charge: String,
    amount: i64,
    currency: String,
    approved: bool,
}

impl KnownRefund {
    fn outcome(&self, tender: &TenderId) -> WalletOutcome {
        if self.approved {
            WalletOutcome::Approved { amount: Money(self.amount), reference: format!("SANDBOX-{tender}") }
        } else {
            declined("not so much of this charge is left to give back")
        }
    }
}

fn find_refund(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> rusqlite::Result<Option<KnownRefund>> {
    txn.prepare_cached("SELECT charge, amount, currency, state FROM wallet_refund WHERE box = ?1 AND tender = ?2")?
        .query_row(params![box_id, tender.0], |row| {
            Ok(KnownRefund {
                charge: row.get(0)?,
                amount: row.get(1)?,
                currency: row.get(2)?,
                approved: row.get::<_, String>(3)? == "approved",
            })
        })
        .optional()
}

/// Moves no money; a tender nobody has asked for is closed, so that a late request can neither charge it nor give it back.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn query(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> rusqlite::Result<WalletOutcome> {
    if let Some(known) = find_refund(txn, box_id, tender)? {
        return Ok(known.outcome(tender));
    }
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
