//! Gift cards the retailer issues itself: what is left on them, charged up to what is there, given back to the same card.
//!
//! A card's code is money: only its hash is kept, and the journal knows the card by another number.

use super::statement::{Line, LineKind, in_own_shape};
use super::{Charge, Provider, Told};
use crate::store::now_ms;
use anyhow::{Context as _, ensure};
use checkout::words::{Money, Private};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub struct Gifts {
    db: Mutex<Connection>,
}

impl std::fmt::Debug for Gifts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gifts")
    }
}

impl Gifts {
    /// # Errors
    /// When its file cannot be made.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let path = dir.join("gift.db");
        let db = Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        db.busy_timeout(Duration::from_secs(10))?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE IF NOT EXISTS card (
                 id INTEGER PRIMARY KEY, code BLOB NOT NULL UNIQUE, currency TEXT NOT NULL,
                 balance INTEGER NOT NULL CHECK (balance >= 0), at INTEGER NOT NULL) STRICT;
             -- Charges and refunds under their own numbers; of an order that is closed nothing stays taken.
             CREATE TABLE IF NOT EXISTS move (
                 no TEXT PRIMARY KEY, of TEXT, card INTEGER, amount INTEGER NOT NULL, closed INTEGER NOT NULL,
                 at INTEGER NOT NULL) STRICT;",
        )?;
        Ok(Self { db: Mutex::new(db) })
    }

    /// Puts `amount` on the card of `code`, a new one or one there is; says its number.
    ///
    /// # Errors
    /// When the card is of another currency, or its file cannot be written.
    pub fn load(&self, code: &str, amount: Money, currency: &str) -> anyhow::Result<i64> {
        ensure!(amount.0 > 0, "an amount above zero");
        ensure!(is_code(code), "{code:?} is no code of a gift card: G-, letters and digits, two check digits");
        let mut db = self.db();
        let txn = db.transaction()?;
        txn.execute(
            "INSERT INTO card (code, currency, balance, at) VALUES (?1, ?2, 0, ?3) ON CONFLICT (code) DO NOTHING",
            params![hash(code), currency, now_ms()],
        )?;
        let loaded = txn
            .query_row(
                "UPDATE card SET balance = balance + ?2 WHERE code = ?1 AND currency = ?3 RETURNING id",
                params![hash(code), amount.0, currency],
                |row| row.get(0),
            )
            .optional()?;
        let id = loaded.context("the card is of another currency")?;
        txn.commit()?;
        Ok(id)
    }

    /// What the cards say of `day` (such as 2026-11-27, in Beijing): charges that stand, and refunds.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn statement(&self, day: &str) -> anyhow::Result<String> {
        let db = self.db();
        let mut moves = db.prepare(
            "SELECT m.no, m.of, m.card, m.amount, c.currency, m.at FROM move m JOIN card c ON c.id = m.card
             WHERE m.closed = 0 AND date(m.at / 1000, 'unixepoch', '+8 hours') = ?1 ORDER BY m.at",
        )?;
        let lines = moves.query_map([day], |row| {
            let (no, of): (String, Option<String>) = (row.get(0)?, row.get(1)?);
            let kind = if of.is_some() { LineKind::Refund } else { LineKind::Charge };
            let refund_no = if of.is_some() { no.clone() } else { String::new() };
            Ok(Line {
                kind,
                provider: "gift".into(),
                order_no: of.unwrap_or(no),
                refund_no,
                reference: format!("GIFT-{}", row.get::<_, i64>(2)?),
                amount: row.get(3)?,
                currency: row.get(4)?,
                at: row.get(5)?,
            })
        })?;
        Ok(in_own_shape(&lines.collect::<Result<Vec<_>, _>>()?))
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_one(&self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<Told>) -> Told {
        let mut db = self.db();
        let done = db.transaction().and_then(|txn| {
            let told = work(&txn)?;
            txn.commit()?;
            Ok(told)
        });
        done.unwrap_or_else(|error| {
            tracing::error!(%error, "gift.db cannot be read or written");
            Told::Silent
        })
    }
}

fn is_code(code: &str) -> bool {
    let scan = checkout::device::Scan { aim: None, data: code.as_bytes().to_vec() };
    let read = checkout::scan::classify(&scan, &checkout::scan::ScanRules::default(), true);
    matches!(read, checkout::scan::Code::Wallet { provider: checkout::scan::WalletProvider::Gift, .. })
}

fn hash(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}

struct Move {
    card: Option<i64>,
    amount: i64,
    closed: bool,
}

fn find(txn: &Transaction<'_>, no: &str) -> rusqlite::Result<Option<Move>> {
    txn.query_row("SELECT card, amount, closed FROM move WHERE no = ?1", [no], |row| {
        Ok(Move { card: row.get(0)?, amount: row.get(1)?, closed: row.get(2)? })
    })
    .optional()
}

fn keep(
    txn: &Transaction<'_>,
    no: &str,
    of: Option<&str>,
    card: Option<i64>,
    amount: i64,
    closed: bool,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO move (no, of, card, amount, closed, at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    txn.execute(sql, params![no, of, card, amount, closed, now_ms()])?;
    if let Some(card) = card {
        let change = if of.is_some() { amount } else { -amount };
        txn.execute("UPDATE card SET balance = balance + ?2 WHERE id = ?1", params![card, change])?;
    }
    Ok(())
}

impl Move {
    fn told(&self) -> Told {
        match self.card {
            _ if self.closed => Told::Reversed,
            Some(card) => Told::Approved { amount: Money(self.amount), reference: format!("GIFT-{card}") },
            None => Told::Declined { reason: "there is nothing on this gift card".into() },
        }
    }
}

impl Provider for Gifts {
    /// Takes what is there, up to what is asked for: the rest is paid otherwise.
    fn charge(&self, order: &str, charge: &Charge) -> Told {
        self.in_one(|txn| {
            if let Some(known) = find(txn, order)? {
                return Ok(known.told());
            }
            let card: Option<(i64, i64)> = txn
                .query_row(
                    "SELECT id, balance FROM card WHERE code = ?1 AND currency = ?2 AND balance > 0",
                    params![hash(&charge.code.0), charge.currency],
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )
                .optional()?;
            let (card, amount) = card.map_or((None, 0), |(card, left)| (Some(card), left.min(charge.amount.0)));
            keep(txn, order, None, card, amount, false)?;
            Ok(Move { card, amount, closed: false }.told())
        })
    }

    fn query(&self, order: &str) -> Told {
        self.in_one(|txn| Ok(find(txn, order)?.map_or(Told::NotFound, |known| known.told())))
    }

    fn reverse(&self, order: &str) -> Told {
        self.in_one(|txn| {
            match find(txn, order)? {
                None => keep(txn, order, None, None, 0, true)?,
                Some(Move { closed: true, .. }) => {}
                Some(Move { card, amount, .. }) => {
                    txn.execute("UPDATE move SET closed = 1 WHERE no = ?1", [order])?;
                    txn.execute("UPDATE card SET balance = balance + ?2 WHERE id = ?1", params![card, amount])?;
                }
            }
            Ok(Told::Reversed)
        })
    }

    fn refund(&self, order: &str, refund: &str, amount: Money) -> Told {
        self.in_one(|txn| {
            if let Some(known) = find(txn, refund)? {
                return Ok(known.told());
            }
            let Some(Move { card: Some(card), amount: taken, closed: false }) = find(txn, order)? else {
                return Ok(Told::NotFound);
            };
            let sql = "SELECT coalesce(sum(amount), 0) FROM move WHERE of = ?1";
            let back: i64 = txn.query_row(sql, [order], |row| row.get(0))?;
            if amount.0 <= 0 || amount.0 > taken.saturating_sub(back) {
                return Ok(Told::Declined { reason: "more than was taken".into() });
            }
            keep(txn, refund, Some(order), Some(card), amount.0, false)?;
            Ok(Move { card: Some(card), amount: amount.0, closed: false }.told())
        })
    }

    fn balance(&self, code: &Private<String>) -> Option<Money> {
        let found = self.db().query_row("SELECT balance FROM card WHERE code = ?1", [hash(&code.0)], |row| row.get(0));
        found.optional().unwrap_or_default().map(Money)
    }
}
