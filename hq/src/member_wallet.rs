//! Members' wallets at headquarters: charged by face and a second factor, within what the member has signed.
//!
//! What every wallet keeps is kept here too: a tender is charged or given back at most once, one that was asked about first is
//! charged never, and no charge is given back for more than it took. A store's word that a factor was given is not enough: the
//! mandate says up to where a tap counts, the PIN is compared here, and a phone's yes is heard here.

use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::sign::Signer;
use anyhow::bail;
use checkout::wire::{Question, Said, WalletOutcome, pin_context};
use checkout::words::{MemberId, Money, TenderId};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// Wrong PINs in a row after which a wallet rests.
const PIN_TRIES: i64 = 5;
const PIN_REST_MS: i64 = 30 * 60 * 1000;
/// A phone that has not said yes by then says no.
const PHONE_MS: i64 = 60_000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug)]
struct Charge<'a> {
    tender: &'a TenderId,
    member: &'a MemberId,
    amount: Money,
    currency: &'a str,
    said: &'a Said,
}

/// What a member signed, with what is in the wallet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mandate {
    pub member: String,
    pub currency: String,
    pub balance: i64,
    /// Above this a tap is not enough, whatever a store says.
    pub tap_limit: i64,
    pub sale_limit: i64,
    pub day_limit: i64,
    pub until: Option<i64>,
}

/// The answer may leave only after `txn` is committed.
///
/// # Errors
/// When the database cannot be read or written.
fn charge(
    txn: &Transaction<'_>,
    signer: &Signer,
    box_id: &str,
    charge: &Charge<'_>,
    now: i64,
) -> db::Result<WalletOutcome> {
    if let Some(known) = find(txn, box_id, charge.tender)? {
        let same = (known.member.as_str(), known.amount, known.currency.as_str())
            == (charge.member.0.as_str(), charge.amount.0, charge.currency);
        return Ok(if same { known.outcome(now) } else { declined("this tender was asked for otherwise") });
    }
    // Asked about before it was heard of, so it is closed; or it is another wallet's.
    let elsewhere = "SELECT EXISTS (SELECT 1 FROM payment WHERE box = ?1 AND tender = ?2)
        OR EXISTS (SELECT 1 FROM payment_refund WHERE box = ?1 AND tender = ?2)
        OR EXISTS (SELECT 1 FROM member_refund WHERE box = ?1 AND tender = ?2)";
    if txn.query_row(elsewhere, params![box_id, charge.tender.0], |row| row.get(0))? {
        return Ok(WalletOutcome::NotFound);
    }
    let verdict = decide(txn, signer, box_id, charge, now)?;
    let (state, reason) = match verdict {
        Ok(state) => (state, ""),
        Err(reason) => (State::Declined, reason),
    };
    let known = Known {
        member: charge.member.0.clone(),
        amount: charge.amount.0,
        currency: charge.currency.into(),
        state,
        reason: reason.into(),
        at: now,
        tender: charge.tender.0.clone(),
    };
    txn.prepare_cached(
        "INSERT INTO member_charge (box, tender, member, amount, currency, factor, state, reason, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        box_id,
        known.tender,
        known.member,
        known.amount,
        known.currency,
        factor(charge.said),
        state.word(),
        reason,
        now
    ])?;
    if state == State::Approved {
        move_money(txn, box_id, &known, "charged", now)?;
    }
    Ok(known.outcome(now))
}

const fn factor(said: &Said) -> &'static str {
    match said {
        Said::Tap => "tap",
        Said::Pin(_) | Said::SealedPin(_) => "pin",
        Said::Phone => "phone",
    }
}

/// Whether the mandate allows it and the member said yes.
fn decide(
    txn: &Transaction<'_>,
    signer: &Signer,
    box_id: &str,
    charge: &Charge<'_>,
    now: i64,
) -> db::Result<Result<State, &'static str>> {
    let Some(mandate) = mandate(txn, &charge.member.0)? else {
        return Ok(Err("this member has signed no mandate"));
    };
    if let Some(reason) = mandate.refuses(charge, now) {
        return Ok(Err(reason));
    }
    if spent(txn, &charge.member.0, now)?.saturating_add(charge.amount.0) > mandate.day_limit {
        return Ok(Err("the day's limit is reached"));
    }
    match charge.said {
        Said::Tap if charge.amount.0 > mandate.tap_limit => Ok(Err("a tap is not enough for this amount")),
        Said::Tap => Ok(Ok(State::Approved)),
        Said::Phone => Ok(Ok(State::Pending)),
        Said::SealedPin(sealed) => {
            let Charge { tender, member, amount, currency, .. } = charge;
            match crate::pin::open(signer, sealed, &pin_context(box_id, tender, member, *amount, currency)) {
                Some(pin) => Ok(pin_is_right(txn, signer, &member.0, &pin.0, now)?.map(|()| State::Approved)),
                None => Ok(Err("the PIN was sealed for another payment or another headquarters")),
            }
        }
        Said::Pin(pin) => Ok(pin_is_right(txn, signer, &charge.member.0, &pin.0, now)?.map(|()| State::Approved)),
    }
}

impl Mandate {
    fn refuses(&self, charge: &Charge<'_>, now: i64) -> Option<&'static str> {
        if self.until.is_some_and(|until| until <= now) {
            Some("the mandate has ended")
        } else if self.currency != charge.currency {
            Some("the wallet holds another currency")
        } else if charge.amount.0 <= 0 || charge.amount.0 > self.sale_limit {
            Some("the limit of one sale is lower")
        } else if charge.amount.0 > self.balance {
            Some("there is not so much in the wallet")
        } else {
            None
        }
    }
}

/// What went out of the wallet within a day, less what came back of it; what a phone may still agree to counts.
fn spent(txn: &Transaction<'_>, member: &str, now: i64) -> db::Result<i64> {
    let since = now.saturating_sub(DAY_MS);
    let charged = "SELECT coalesce(sum(amount), 0) FROM member_charge
        WHERE member = ?1 AND at > ?2 AND (state = 'approved' OR (state = 'pending' AND at > ?3))";
    let charged: i64 =
        txn.prepare_cached(charged)?.query_row(params![member, since, now - PHONE_MS], |row| row.get(0))?;
    let back = "SELECT coalesce(sum(r.amount), 0) FROM member_refund AS r
        JOIN member_charge AS c ON c.box = r.box AND c.tender = r.charge
        WHERE c.member = ?1 AND c.at > ?2 AND r.state = 'approved'";
    let back: i64 = txn.prepare_cached(back)?.query_row(params![member, since], |row| row.get(0))?;
    Ok(charged.saturating_sub(back))
}

/// Compares and counts; the PIN is nowhere kept.
fn pin_is_right(
    txn: &Transaction<'_>,
    signer: &Signer,
    member: &str,
    pin: &str,
    now: i64,
) -> db::Result<Result<(), &'static str>> {
    let sql = "SELECT pin_salt, pin_mac, pin_failures, pin_failed_at FROM member_mandate WHERE member = ?1";
    type Row = (Option<Vec<u8>>, Option<Vec<u8>>, i64, i64);
    let (salt, mac, failures, failed_at): Row =
        txn.query_row(sql, [member], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
    let (Some(salt), Some(mac)) = (salt, mac) else { return Ok(Err("this wallet has no PIN yet")) };
    if failures >= PIN_TRIES && now.saturating_sub(failed_at) < PIN_REST_MS {
        return Ok(Err("too many wrong PINs: the wallet rests for half an hour"));
    }
    let right = hmac::verify(&signer.pepper(), &salted(&salt, pin), &mac).is_ok();
    let (failures, failed_at) = if right { (0, 0) } else { (failures.saturating_add(1), now) };
    let sql = "UPDATE member_mandate SET pin_failures = ?2, pin_failed_at = ?3 WHERE member = ?1";
    txn.execute(sql, params![member, failures, failed_at])?;
    Ok(if right { Ok(()) } else { Err("that PIN is not right") })
}

fn salted(salt: &[u8], pin: &str) -> Vec<u8> {
    [salt, pin.as_bytes()].concat()
}

/// The answer to a question about a member's wallet; nothing where it is about another payment.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn answer<'a>(
    txn: &Transaction<'_>,
    signer: &Signer,
    box_id: &str,
    what: &'a Question,
    now: i64,
) -> db::Result<Option<(&'a TenderId, WalletOutcome)>> {
    Ok(match what {
        Question::ChargeMember { tender, member, amount, currency, said } => {
            let one = Charge { tender, member, amount: *amount, currency, said };
            Some((tender, charge(txn, signer, box_id, &one, now)?))
        }
        Question::RefundWallet { tender, of, amount, currency } if owns(txn, box_id, of)? => {
            Some((tender, refund(txn, box_id, (tender, of), (*amount, currency), now)?))
        }
        Question::QueryWallet { tender } if owns(txn, box_id, tender)? => {
            Some((tender, query(txn, box_id, tender, now)?))
        }
        Question::ReverseWallet { tender } if owns(txn, box_id, tender)? => {
            Some((tender, reverse(txn, box_id, tender, now)?))
        }
        Question::AuthoriseWallet { .. }
        | Question::RefundWallet { .. }
        | Question::QueryWallet { .. }
        | Question::ReverseWallet { .. }
        | Question::GiftBalance { .. }
        | Question::ClaimCoupon { .. }
        | Question::Chunk { .. }
        | Question::Refill { .. } => None,
    })
}

/// The box gives a charge up that waits for a phone; what is approved already stays so.
fn reverse(txn: &Transaction<'_>, box_id: &str, tender: &TenderId, now: i64) -> db::Result<WalletOutcome> {
    let sql = "UPDATE member_charge SET state = 'declined', reason = 'given up at the lane'
        WHERE box = ?1 AND tender = ?2 AND state = 'pending'";
    let given_up = txn.execute(sql, params![box_id, tender.0])?;
    if given_up > 0 { Ok(WalletOutcome::Reversed) } else { query(txn, box_id, tender, now) }
}

/// Whether `tender` is one of ours.
fn owns(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> db::Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM member_charge WHERE box = ?1 AND tender = ?2)
        OR EXISTS (SELECT 1 FROM member_refund WHERE box = ?1 AND tender = ?2)";
    txn.prepare_cached(sql)?.query_row(params![box_id, tender.0], |row| row.get(0))
}

/// What became of a tender of ours; moves no money.
///
/// # Errors
/// When the database cannot be read.
fn query(txn: &Transaction<'_>, box_id: &str, tender: &TenderId, now: i64) -> db::Result<WalletOutcome> {
    if let Some(known) = find(txn, box_id, tender)? {
        return Ok(known.outcome(now));
    }
    let known = find_refund(txn, box_id, tender)?;
    Ok(known.map_or(WalletOutcome::NotFound, |(_, amount, approved)| back(tender, amount, approved)))
}

/// Gives a charge of ours back, or a part of it.
///
/// # Errors
/// When the database cannot be read or written.
fn refund(
    txn: &Transaction<'_>,
    box_id: &str,
    (tender, of): (&TenderId, &TenderId),
    (amount, currency): (Money, &str),
    now: i64,
) -> db::Result<WalletOutcome> {
    if let Some((charge, known, approved)) = find_refund(txn, box_id, tender)? {
        let same = (charge.as_str(), known) == (of.0.as_str(), amount.0);
        return Ok(if same { back(tender, known, approved) } else { declined("this tender was asked for otherwise") });
    }
    let closed = "SELECT EXISTS (SELECT 1 FROM payment WHERE box = ?1 AND tender = ?2)";
    if find(txn, box_id, tender)?.is_some() || txn.query_row(closed, params![box_id, tender.0], |row| row.get(0))? {
        return Ok(WalletOutcome::NotFound);
    }
    let before =
        "SELECT coalesce(sum(amount), 0) FROM member_refund WHERE box = ?1 AND charge = ?2 AND state = 'approved'";
    let before: i64 = txn.query_row(before, params![box_id, of.0], |row| row.get(0))?;
    let charge = find(txn, box_id, of)?.filter(|one| one.state == State::Approved && one.currency == currency);
    let left = charge.as_ref().map_or(0, |charge| charge.amount.saturating_sub(before));
    let approved = amount.0 > 0 && amount.0 <= left;
    txn.execute(
        "INSERT INTO member_refund (box, tender, charge, amount, state, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![box_id, tender.0, of.0, amount.0, if approved { "approved" } else { "declined" }, now],
    )?;
    if let Some(charge) = charge.filter(|_| approved) {
        let given = Known { amount: -amount.0, tender: tender.0.clone(), ..charge };
        move_money(txn, box_id, &given, "given_back", now)?;
    }
    Ok(back(tender, amount.0, approved))
}

fn back(tender: &TenderId, amount: i64, approved: bool) -> WalletOutcome {
    if approved {
        WalletOutcome::Approved { amount: Money(amount), reference: format!("MW-{tender}") }
    } else {
        declined("not so much of this charge is left to give back")
    }
}

/// The member's phone says yes or no to a charge that waits for it.
///
/// # Errors
/// When nothing waits, or the database cannot be written.
pub fn confirm(db: &mut Connection, box_id: &str, tender: &str, yes: bool, now: i64) -> anyhow::Result<()> {
    let txn = db.transaction()?;
    let waits = find(&txn, box_id, &tender.into())?.filter(|known| known.state == State::Pending && !known.late(now));
    let Some(mut known) = waits else { bail!("no charge {tender} of box {box_id} waits for a phone") };
    let still = mandate(&txn, &known.member)?.is_some_and(|mandate| mandate.balance >= known.amount);
    known.state = if yes && still { State::Approved } else { State::Declined };
    let reason = if yes { "there is not so much in the wallet" } else { "the member said no" };
    txn.execute(
        "UPDATE member_charge SET state = ?3, reason = ?4 WHERE box = ?1 AND tender = ?2",
        params![box_id, tender, known.state.word(), if known.state == State::Approved { "" } else { reason }],
    )?;
    if known.state == State::Approved {
        move_money(&txn, box_id, &known, "charged", now)?;
    }
    Ok(txn.commit()?)
}

/// Wallet and notice move as one.
fn move_money(txn: &Transaction<'_>, box_id: &str, known: &Known, kind: &str, now: i64) -> db::Result<()> {
    let sql = "UPDATE member_mandate SET balance = balance - ?2 WHERE member = ?1";
    txn.execute(sql, params![known.member, known.amount])?;
    notice(txn, &known.member, kind, (box_id, &known.tender), known.amount.abs(), now)
}

/// What the member is told; whoever delivers it marks it told.
///
/// # Errors
/// When the database cannot be written.
pub(crate) fn notice(
    txn: &Transaction<'_>,
    member: &str,
    kind: &str,
    (box_id, tender): (&str, &str),
    amount: i64,
    now: i64,
) -> db::Result<()> {
    txn.execute(
        "INSERT INTO member_notice (member, kind, box, tender, amount, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        params![member, kind, box_id, tender, amount, now],
    )?;
    Ok(())
}

/// A disputed charge is given back first and looked into afterwards; more than its rest never.
///
/// # Errors
/// When the database cannot be read or written.
pub(crate) fn disputed(txn: &Transaction<'_>, box_id: &str, tender: &TenderId, now: i64) -> db::Result<()> {
    let Some(known) = find(txn, box_id, tender)? else { return Ok(()) };
    let before =
        "SELECT coalesce(sum(amount), 0) FROM member_refund WHERE box = ?1 AND charge = ?2 AND state = 'approved'";
    let before: i64 = txn.query_row(before, params![box_id, tender.0], |row| row.get(0))?;
    let rest = Money(known.amount.saturating_sub(before));
    let name = TenderId(format!("{tender}-dispute"));
    if rest > Money::ZERO {
        refund(txn, box_id, (&name, tender), (rest, &known.currency), now)?;
    }
    notice(txn, &known.member, "disputed", (box_id, &tender.0), rest.0, now)
}

/// Writes down what a member signed; `pin` replaces the one before.
///
/// # Errors
/// When limits or PIN make no sense, or the database cannot be written.
pub fn sign_mandate(
    db: &Connection,
    signer: &Signer,
    mandate: &Mandate,
    pin: Option<&str>,
    now: i64,
) -> anyhow::Result<()> {
    let Mandate { member, currency, balance, tap_limit, sale_limit, day_limit, until } = mandate;
    if member.is_empty() || *balance < 0 || *tap_limit < 0 || tap_limit > sale_limit || sale_limit > day_limit {
        bail!("a mandate names its member, and 0 <= tap limit <= sale limit <= day limit");
    }
    db.execute(
        "INSERT INTO member_mandate (member, currency, balance, tap_limit, sale_limit, day_limit, until, signed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (member) DO UPDATE SET currency = ?2, balance = ?3, tap_limit = ?4, sale_limit = ?5,
            day_limit = ?6, until = ?7, signed_at = ?8",
        params![member, currency, balance, tap_limit, sale_limit, day_limit, until, now],
    )?;
    let Some(pin) = pin else { return Ok(()) };
    if !(4..=8).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
        bail!("a payment PIN is 4 to 8 digits");
    }
    let mut salt = [0; 16];
    if SystemRandom::new().fill(&mut salt).is_err() {
        bail!("the system gives no random bytes");
    }
    let mac = hmac::sign(&signer.pepper(), &salted(&salt, pin));
    db.execute(
        "UPDATE member_mandate SET pin_salt = ?2, pin_mac = ?3, pin_failures = 0, pin_failed_at = 0 WHERE member = ?1",
        params![member, salt.as_slice(), mac.as_ref()],
    )?;
    Ok(())
}

/// # Errors
/// When the database cannot be read.
pub fn mandate(db: &Connection, member: &str) -> db::Result<Option<Mandate>> {
    let sql = "SELECT currency, balance, tap_limit, sale_limit, day_limit, until FROM member_mandate WHERE member = ?1";
    db.prepare_cached(sql)?
        .query_row([member], |row| {
            Ok(Mandate {
                member: member.to_owned(),
                currency: row.get(0)?,
                balance: row.get(1)?,
                tap_limit: row.get(2)?,
                sale_limit: row.get(3)?,
                day_limit: row.get(4)?,
                until: row.get(5)?,
            })
        })
        .optional()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Approved,
    Declined,
    Pending,
}

impl State {
    const fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Pending => "pending",
        }
    }

    fn of_word(word: &str) -> Self {
        match word {
            "approved" => Self::Approved,
            "pending" => Self::Pending,
            _ => Self::Declined,
        }
    }
}

#[derive(Debug)]
struct Known {
    tender: String,
    member: String,
    amount: i64,
    currency: String,
    state: State,
    reason: String,
    at: i64,
}

impl Known {
    const fn late(&self, now: i64) -> bool {
        now.saturating_sub(self.at) > PHONE_MS
    }

    fn outcome(&self, now: i64) -> WalletOutcome {
        match self.state {
            State::Approved => {
                WalletOutcome::Approved { amount: Money(self.amount), reference: format!("MW-{}", self.tender) }
            }
            State::Declined => declined(&self.reason),
            State::Pending if self.late(now) => declined("nobody confirmed it on the phone"),
            State::Pending => WalletOutcome::Pending,
        }
    }
}

fn declined(reason: &str) -> WalletOutcome {
    WalletOutcome::Declined { reason: reason.into() }
}

fn find(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> db::Result<Option<Known>> {
    let sql = "SELECT member, amount, currency, state, reason, at FROM member_charge WHERE box = ?1 AND tender = ?2";
    txn.prepare_cached(sql)?
        .query_row(params![box_id, tender.0], |row| {
            Ok(Known {
                tender: tender.0.clone(),
                member: row.get(0)?,
                amount: row.get(1)?,
                currency: row.get(2)?,
                state: State::of_word(&row.get::<_, String>(3)?),
                reason: row.get(4)?,
                at: row.get(5)?,
            })
        })
        .optional()
}

fn find_refund(txn: &Transaction<'_>, box_id: &str, tender: &TenderId) -> db::Result<Option<(String, i64, bool)>> {
    let sql = "SELECT charge, amount, state FROM member_refund WHERE box = ?1 AND tender = ?2";
    txn.prepare_cached(sql)?
        .query_row(params![box_id, tender.0], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)? == "approved"))
        })
        .optional()
}

#[cfg(test)]
mod tests;
