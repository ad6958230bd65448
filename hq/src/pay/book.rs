//! What headquarters knows of every charge and refund: rows that only ever move towards an end.

use super::{About, Asked, Call, Charge, Job, Told, order_no, provider_of, provider_word};
use crate::db::{self, OptionalExtension as _, Row, Transaction, params};
use crate::store::{alarm, now_ms};
use checkout::tender::REVERSE_NOT_BEFORE_MS;
use checkout::wire::WalletOutcome;
use checkout::words::{Money, TenderId};

/// A charge nobody asks about any more is asked about this often, so that money taken late is known.
const LOOK_AGAIN_MS: i64 = 30_000;
/// A day later the statement tells.
const LOOK_FOR_MS: i64 = 24 * 3_600_000;
const SWEEP_MAX: u32 = 32;

/// What is said at once, and whom to call.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) tell: Option<WalletOutcome>,
    pub(crate) job: Option<Job>,
}

impl Said {
    fn tell(outcome: WalletOutcome) -> Self {
        Self { tell: Some(outcome), job: None }
    }

    fn declined(reason: &str) -> Self {
        Self::tell(declined(reason))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Written down; the provider may have heard of it.
    Asked,
    /// The shopper has yet to confirm.
    Pending,
    /// The box gave it up: only the provider's word on that counts.
    Reversing,
    Approved,
    Declined,
    Reversed,
    /// Asked about before it was asked for: it will never be charged.
    Closed,
}

impl State {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Asked, "asked"),
        (Self::Pending, "pending"),
        (Self::Reversing, "reversing"),
        (Self::Approved, "approved"),
        (Self::Declined, "declined"),
        (Self::Reversed, "reversed"),
        (Self::Closed, "closed"),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("declined", |(_, word)| word)
    }

    fn of(word: &str) -> Self {
        Self::ALL.iter().find(|(_, known)| *known == word).map_or(Self::Declined, |(state, _)| *state)
    }
}

#[derive(Clone, Debug)]
struct Payment {
    box_id: String,
    tender: TenderId,
    provider: String,
    amount: i64,
    currency: String,
    state: State,
    taken: i64,
    reference: String,
    at: i64,
}

const PAYMENT: &str = "box, tender, provider, amount, currency, state, taken, reference, at";

impl Payment {
    fn read(row: &Row<'_>) -> db::Result<Self> {
        Ok(Self {
            box_id: row.get(0)?,
            tender: TenderId(row.get(1)?),
            provider: row.get(2)?,
            amount: row.get(3)?,
            currency: row.get(4)?,
            state: State::of(&row.get::<_, String>(5)?),
            taken: row.get(6)?,
            reference: row.get(7)?,
            at: row.get(8)?,
        })
    }

    fn outcome(&self) -> WalletOutcome {
        match self.state {
            State::Approved => WalletOutcome::Approved { amount: Money(self.taken), reference: self.reference.clone() },
            State::Declined => declined(if self.reference.is_empty() { "declined" } else { &self.reference }),
            State::Asked | State::Pending | State::Reversing => WalletOutcome::Pending,
            State::Reversed => WalletOutcome::Reversed,
            State::Closed => WalletOutcome::NotFound,
        }
    }

    fn job(&self, ask: u64, call: Call) -> Job {
        let about = About { box_id: self.box_id.clone(), tender: self.tender.clone(), ask };
        Job { provider: provider_of(&self.provider), about, call }
    }

    /// Asks on about what is not decided.
    fn ask_on(&self, ask: u64) -> Option<Job> {
        match self.state {
            State::Asked | State::Pending => Some(self.job(ask, Call::Query)),
            State::Reversing => Some(self.job(ask, Call::Reverse)),
            State::Approved | State::Declined | State::Reversed | State::Closed => None,
        }
    }
}

struct Refund {
    charge: TenderId,
    provider: String,
    amount: i64,
    currency: String,
    state: State,
    reference: String,
}

impl Refund {
    fn outcome(&self) -> WalletOutcome {
        match self.state {
            State::Approved => {
                WalletOutcome::Approved { amount: Money(self.amount), reference: self.reference.clone() }
            }
            State::Asked | State::Pending | State::Reversing => WalletOutcome::Pending,
            State::Declined | State::Reversed | State::Closed => declined(&self.reference),
        }
    }

    fn job(&self, about: About) -> Job {
        let call = Call::Refund { of: self.charge.clone(), amount: Money(self.amount) };
        Job { provider: provider_of(&self.provider), about, call }
    }
}

/// The job may leave only after `txn` is committed; so may what is told.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn charge(txn: &Transaction<'_>, about: About, charge: &Charge) -> db::Result<Said> {
    if refund_row(txn, &about)?.is_some() {
        return Ok(Said::declined("this tender is a refund"));
    }
    if let Some(known) = payment(txn, &about)? {
        let same = known.amount == charge.amount.0 && known.currency == charge.currency;
        let closed = known.state == State::Closed;
        return Ok(if same || closed {
            Said::tell(known.outcome())
        } else {
            Said::declined("this tender was asked for with another amount")
        });
    }
    let state = if charge.amount.0 > 0 { State::Asked } else { State::Declined };
    keep(txn, &about, charge, state)?;
    if state == State::Declined {
        return Ok(Said::declined("no amount to take"));
    }
    let job = Job { provider: charge.provider, about, call: Call::Charge(charge.clone()) };
    Ok(Said { tell: None, job: Some(job) })
}

fn keep(txn: &Transaction<'_>, about: &About, charge: &Charge, state: State) -> db::Result<()> {
    txn.prepare_cached(
        "INSERT INTO payment (box, tender, order_no, provider, amount, currency, state, at, asked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)",
    )?
    .execute(params![
        about.box_id,
        about.tender.0,
        order_no(&about.box_id, &about.tender),
        provider_word(charge.provider),
        charge.amount.0,
        charge.currency,
        state.word(),
        now_ms()
    ])?;
    Ok(())
}

/// Gives back `amount` of the charge `of`: under its own number once, and all refunds together never more than was taken.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn refund(
    txn: &Transaction<'_>,
    about: About,
    of: &TenderId,
    amount: Money,
    currency: &str,
) -> db::Result<Said> {
    if let Some(known) = refund_row(txn, &about)? {
        if (known.amount, known.currency.as_str(), &known.charge) != (amount.0, currency, of) {
            return Ok(Said::declined("this tender was asked for otherwise"));
        }
        // A refund's number gives back at most once: asking again is how its answer is learned.
        let job = (known.state == State::Asked).then(|| known.job(about));
        return Ok(Said { tell: Some(known.outcome()), job });
    }
    if let Some(known) = payment(txn, &about)? {
        let closed = known.state == State::Closed;
        return Ok(if closed { Said::tell(known.outcome()) } else { Said::declined("this tender is a charge") });
    }
    let charged = payment(txn, &About { tender: of.clone(), ..about.clone() })?;
    let charged = charged.filter(|charged| charged.state == State::Approved && charged.currency == currency);
    let back: i64 = txn
        .prepare_cached(
            "SELECT coalesce(sum(amount), 0) FROM payment_refund WHERE box = ?1 AND charge = ?2 AND state <> 'declined'",
        )?
        .query_row(params![about.box_id, of.0], |row| row.get(0))?;
    let left = charged.as_ref().map_or(0, |charged| charged.taken.saturating_sub(back));
    let allowed = amount.0 > 0 && amount.0 <= left;
    let refund = Refund {
        charge: of.clone(),
        provider: charged.map_or_else(String::new, |charged| charged.provider),
        amount: amount.0,
        currency: currency.into(),
        state: if allowed { State::Asked } else { State::Declined },
        reference: if allowed { String::new() } else { "not so much of this charge is left to give back".into() },
    };
    keep_refund(txn, &about, &refund)?;
    if !allowed {
        return Ok(Said::tell(refund.outcome()));
    }
    Ok(Said { tell: None, job: Some(refund.job(about)) })
}

fn keep_refund(txn: &Transaction<'_>, about: &About, refund: &Refund) -> db::Result<()> {
    txn.prepare_cached(
        "INSERT INTO payment_refund (box, tender, order_no, charge, provider, amount, currency, state, reference, at,
            asked_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10)",
    )?
    .execute(params![
        about.box_id,
        about.tender.0,
        order_no(&about.box_id, &about.tender),
        refund.charge.0,
        refund.provider,
        refund.amount,
        refund.currency,
        refund.state.word(),
        refund.reference,
        now_ms()
    ])?;
    Ok(())
}

/// Moves no money; a tender nobody has asked for is closed, so that a late request can neither charge it nor give it back.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn query(txn: &Transaction<'_>, about: About) -> db::Result<Said> {
    if let Some(known) = refund_row(txn, &about)? {
        let job = (known.state == State::Asked).then(|| known.job(about));
        return Ok(Said { tell: Some(known.outcome()), job });
    }
    let Some(known) = payment(txn, &about)? else {
        close(txn, &about)?;
        return Ok(Said::tell(WalletOutcome::NotFound));
    };
    Ok(Said { tell: Some(known.outcome()), job: known.ask_on(about.ask) })
}

fn close(txn: &Transaction<'_>, about: &About) -> db::Result<()> {
    let nothing = Charge {
        amount: Money::ZERO,
        currency: String::new(),
        provider: checkout::scan::WalletProvider::Wechat,
        code: checkout::words::Private(String::new()),
    };
    keep(txn, about, &nothing, State::Closed)
}

/// The box gives a charge up. What is approved already stays so: its sale can stand.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn reverse(txn: &Transaction<'_>, about: About) -> db::Result<Said> {
    let Some(known) = payment(txn, &about)? else {
        return query(txn, about);
    };
    let soon = i64::try_from(REVERSE_NOT_BEFORE_MS).unwrap_or(i64::MAX);
    match known.state {
        State::Asked | State::Pending if now_ms().saturating_sub(known.at) >= soon => {
            set(txn, &known, State::Reversing, 0, "")?;
            Ok(Said { tell: None, job: Some(known.job(about.ask, Call::Reverse)) })
        }
        State::Reversing => Ok(Said { tell: None, job: Some(known.job(about.ask, Call::Reverse)) }),
        State::Asked | State::Pending | State::Approved | State::Declined | State::Reversed | State::Closed => {
            Ok(Said::tell(known.outcome()))
        }
    }
}

/// Writes a provider's word down; says what the box is to hear of it.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn told(
    txn: &Transaction<'_>,
    about: &About,
    asked: Asked,
    told: &Told,
) -> db::Result<Option<WalletOutcome>> {
    if asked == Asked::Refund {
        return told_refund(txn, about, told);
    }
    let Some(known) = payment(txn, about)? else { return Ok(None) };
    let waits = matches!(known.state, State::Asked | State::Pending);
    let answers = waits || (known.state == State::Reversing && asked == Asked::Reverse);
    match told {
        Told::Approved { amount, reference } if answers => {
            set(txn, &known, State::Approved, amount.0, reference)?;
        }
        Told::Approved { amount, reference } if is_over_without_money(known.state) => {
            set(txn, &known, State::Approved, amount.0, reference)?;
            late(txn, &known)?;
        }
        // The charge was refused: nothing is left to be given up.
        Told::Declined { reason } if answers || (known.state == State::Reversing && asked == Asked::Charge) => {
            set(txn, &known, State::Declined, 0, reason)?;
        }
        Told::Reversed if answers => set(txn, &known, State::Reversed, 0, "")?,
        Told::Pending if waits => set(txn, &known, State::Pending, 0, "")?,
        Told::Approved { .. }
        | Told::Declined { .. }
        | Told::Reversed
        | Told::Pending
        | Told::NotFound
        | Told::Silent => return Ok(None),
    }
    Ok(payment(txn, about)?.map(|known| known.outcome()))
}

const fn is_over_without_money(state: State) -> bool {
    matches!(state, State::Declined | State::Reversed | State::Closed)
}

/// The box was told that no money moved, and now it has: the box makes it go back.
fn late(txn: &Transaction<'_>, known: &Payment) -> db::Result<()> {
    txn.prepare_cached("UPDATE payment SET late = ?3 WHERE box = ?1 AND tender = ?2")?.execute(params![
        known.box_id,
        known.tender.0,
        now_ms()
    ])?;
    let detail = format!("the payment of tender {} was taken after it had ended without money", known.tender);
    alarm(txn, &known.box_id, "late_payment", &detail)
}

/// Late payments of this box that it has not begun to give back: it may have been away when they were told.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn late_of(txn: &Transaction<'_>, box_id: &str) -> db::Result<Vec<(TenderId, WalletOutcome)>> {
    let sql = format!(
        "SELECT {PAYMENT} FROM payment p WHERE box = ?1 AND late IS NOT NULL AND state = 'approved'
            AND NOT EXISTS (SELECT 1 FROM payment_refund r WHERE r.box = p.box AND r.charge = p.tender) LIMIT 64"
    );
    let mut rows = txn.prepare_cached(&sql)?;
    let found = rows.query_map([box_id], Payment::read)?;
    found.map(|known| known.map(|known| (known.tender.clone(), known.outcome()))).collect()
}

fn told_refund(txn: &Transaction<'_>, about: &About, told: &Told) -> db::Result<Option<WalletOutcome>> {
    let Some(known) = refund_row(txn, about)?.filter(|known| known.state == State::Asked) else { return Ok(None) };
    let (state, reference) = match told {
        Told::Approved { reference, .. } => (State::Approved, reference.as_str()),
        Told::Declined { reason } => (State::Declined, reason.as_str()),
        Told::NotFound => (State::Declined, "the provider knows no such charge"),
        Told::Pending | Told::Reversed | Told::Silent => return Ok(None),
    };
    txn.prepare_cached("UPDATE payment_refund SET state = ?3, reference = ?4 WHERE box = ?1 AND tender = ?2")?
        .execute(params![about.box_id, about.tender.0, state.word(), reference])?;
    Ok(Some(Refund { state, reference: reference.into(), ..known }.outcome()))
}

/// Whose order this is.
///
/// # Errors
/// When the database cannot be read.
pub(crate) fn about_order(txn: &Transaction<'_>, order: &str) -> db::Result<Option<About>> {
    txn.prepare_cached("SELECT box, tender FROM payment WHERE order_no = ?1")?
        .query_row([order], |row| Ok(About { box_id: row.get(0)?, tender: TenderId(row.get(1)?), ask: 0 }))
        .optional()
}

/// What was begun and not answered, by a headquarters that ended in between or a provider that did not answer.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn sweep(txn: &Transaction<'_>) -> db::Result<Vec<Job>> {
    let now = now_ms();
    let (due, since) = (now.saturating_sub(LOOK_AGAIN_MS), now.saturating_sub(LOOK_FOR_MS));
    let sql = format!(
        "SELECT {PAYMENT} FROM payment WHERE state IN ('asked', 'pending', 'reversing') AND asked_at < ?1 AND at > ?2
         ORDER BY asked_at LIMIT {SWEEP_MAX}"
    );
    let mut jobs = Vec::new();
    let mut rows = txn.prepare_cached(&sql)?;
    for known in rows.query_map(params![due, since], Payment::read)? {
        jobs.extend(known?.ask_on(0));
    }
    let mut rows = txn.prepare_cached(
        "SELECT box, tender FROM payment_refund WHERE state = 'asked' AND asked_at < ?1 ORDER BY asked_at LIMIT 32",
    )?;
    let refunds: Result<Vec<About>, _> = rows
        .query_map([due], |row| Ok(About { box_id: row.get(0)?, tender: TenderId(row.get(1)?), ask: 0 }))?
        .collect();
    for about in refunds? {
        jobs.extend(refund_row(txn, &about)?.map(|known| known.job(about)));
    }
    for Job { about, .. } in &jobs {
        for table in ["payment", "payment_refund"] {
            txn.prepare_cached(&format!("UPDATE {table} SET asked_at = ?3 WHERE box = ?1 AND tender = ?2"))?
                .execute(params![about.box_id, about.tender.0, now])?;
        }
    }
    Ok(jobs)
}

fn set(txn: &Transaction<'_>, known: &Payment, state: State, taken: i64, reference: &str) -> db::Result<()> {
    txn.prepare_cached(
        "UPDATE payment SET state = ?3, taken = ?4, reference = ?5, asked_at = ?6 WHERE box = ?1 AND tender = ?2",
    )?
    .execute(params![known.box_id, known.tender.0, state.word(), taken, reference, now_ms()])?;
    Ok(())
}

fn payment(txn: &Transaction<'_>, about: &About) -> db::Result<Option<Payment>> {
    let sql = format!("SELECT {PAYMENT} FROM payment WHERE box = ?1 AND tender = ?2");
    txn.prepare_cached(&sql)?.query_row(params![about.box_id, about.tender.0], Payment::read).optional()
}

fn refund_row(txn: &Transaction<'_>, about: &About) -> db::Result<Option<Refund>> {
    txn.prepare_cached(
        "SELECT charge, provider, amount, currency, state, reference FROM payment_refund WHERE box = ?1 AND tender = ?2",
    )?
    .query_row(params![about.box_id, about.tender.0], |row| {
        Ok(Refund {
            charge: TenderId(row.get(0)?),
            provider: row.get(1)?,
            amount: row.get(2)?,
            currency: row.get(3)?,
            state: State::of(&row.get::<_, String>(4)?),
            reference: row.get(5)?,
        })
    })
    .optional()
}

fn declined(reason: &str) -> WalletOutcome {
    WalletOutcome::Declined { reason: reason.into() }
}
