//! A wallet provider for trials, with a memory of its own that outlives headquarters. What it does is in the code's last digits.
//!
//! | code ends with | what happens |
//! | --- | --- |
//! | `8` | declined |
//! | `9` | the shopper confirms by the first question |
//! | `07` | approved, but the answer is lost: a question tells |
//! | `17` | nobody answers, the order is unknown; taken three seconds after it was given up, and told then |
//! | `27` | the shopper never confirms |
//! | `37` | approved; told a second time, and twice in the statement |
//! | `47` | approved after eight seconds |
//! | anything else | approved |

use super::statement::{Line, LineKind, in_own_shape, in_wechat_shape};
use super::{Charge, Provider, Told, provider_word};
use crate::store::now_ms;
use anyhow::Context as _;
use checkout::words::Money;
use rusqlite::{Connection, OptionalExtension as _, params};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const LATE_MS: i64 = 3_000;
const SLOW: Duration = Duration::from_secs(8);

pub struct Sandbox {
    db: Mutex<Connection>,
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}

struct Order {
    ends: String,
    amount: i64,
    state: String,
}

impl Sandbox {
    /// # Errors
    /// When its file cannot be made.
    pub fn open(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join("sandbox.db");
        let db = Connection::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        db.busy_timeout(Duration::from_secs(10))?;
        db.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS trade (
                 no TEXT PRIMARY KEY, ends TEXT NOT NULL, provider TEXT NOT NULL, amount INTEGER NOT NULL,
                 currency TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, taken_at INTEGER,
                 notify_at INTEGER) STRICT;
             CREATE TABLE IF NOT EXISTS back (
                 no TEXT PRIMARY KEY, trade TEXT NOT NULL, amount INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;",
        )?;
        Ok(Self { db: Mutex::new(db) })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the statement of `provider` says of `day` (such as 2026-11-27, in Beijing), in the shape of WeChat's bill; of
    /// UnionPay, in our own.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn statement(&self, provider: &str, day: &str) -> anyhow::Result<String> {
        let db = self.db();
        let mut lines = Vec::new();
        let mut trades = db.prepare(
            "SELECT no, provider, amount, currency, taken_at, ends FROM trade
             WHERE taken_at IS NOT NULL AND provider = ?2 AND date(taken_at / 1000, 'unixepoch', '+8 hours') = ?1
             ORDER BY taken_at",
        )?;
        let mut rows = trades.query([day, provider])?;
        while let Some(row) = rows.next()? {
            let line = Line {
                kind: LineKind::Charge,
                provider: row.get(1)?,
                order_no: row.get(0)?,
                refund_no: String::new(),
                reference: format!("SANDBOX-{}", row.get::<_, String>(0)?),
                amount: row.get(2)?,
                currency: row.get(3)?,
                at: row.get(4)?,
            };
            let twice = row.get::<_, String>(5)? == "37";
            lines.extend(twice.then(|| line.clone()));
            lines.push(line);
        }
        let mut backs = db.prepare(
            "SELECT b.no, b.trade, b.amount, b.at, t.provider, t.currency FROM back b JOIN trade t ON t.no = b.trade
             WHERE t.provider = ?2 AND date(b.at / 1000, 'unixepoch', '+8 hours') = ?1 ORDER BY b.at",
        )?;
        let mut rows = backs.query([day, provider])?;
        while let Some(row) = rows.next()? {
            lines.push(Line {
                kind: LineKind::Refund,
                provider: row.get(4)?,
                order_no: row.get(1)?,
                refund_no: row.get(0)?,
                reference: format!("SANDBOX-{}", row.get::<_, String>(0)?),
                amount: row.get(2)?,
                currency: row.get(5)?,
                at: row.get(3)?,
            });
        }
        Ok(if provider == "unionpay" { in_own_shape(&lines) } else { in_wechat_shape(&lines) })
    }

    fn find(db: &Connection, no: &str) -> Option<Order> {
        db.query_row("SELECT ends, amount, state FROM trade WHERE no = ?1", [no], |row| {
            Ok(Order { ends: row.get(0)?, amount: row.get(1)?, state: row.get(2)? })
        })
        .optional()
        .unwrap_or_default()
    }

    fn take(db: &Connection, no: &str) -> rusqlite::Result<usize> {
        db.execute(
            "UPDATE trade SET state = 'taken', taken_at = ?2 WHERE no = ?1 AND state <> 'taken'",
            params![no, now_ms()],
        )
    }

    fn begin(db: &Connection, no: &str, charge: &Charge) -> rusqlite::Result<String> {
        let code = &charge.code.0;
        let last: String = code.chars().skip(code.chars().count().saturating_sub(2)).collect();
        let state = match last.as_str() {
            "17" | "27" => "open",
            other if other.ends_with('9') => "open",
            other if other.ends_with('8') => "refused",
            _ => "taken",
        };
        let now = now_ms();
        db.execute(
            "INSERT INTO trade (no, ends, provider, amount, currency, state, at, taken_at, notify_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                no,
                last,
                provider_word(charge.provider),
                charge.amount.0,
                charge.currency,
                state,
                now,
                (state == "taken").then_some(now),
                (last == "37").then_some(now)
            ],
        )?;
        Ok(last)
    }
}

fn approved(order: &Order, no: &str) -> Told {
    Told::Approved { amount: Money(order.amount), reference: format!("SANDBOX-{no}") }
}

fn refused() -> Told {
    Told::Declined { reason: "the wallet has declined".into() }
}

impl Provider for Sandbox {
    fn charge(&self, no: &str, charge: &Charge) -> Told {
        let ends = {
            let db = self.db();
            match Self::find(&db, no) {
                Some(known) => known.ends,
                None => match Self::begin(&db, no, charge) {
                    Ok(ends) => ends,
                    Err(_) => return Told::Silent,
                },
            }
        };
        if ends == "47" {
            std::thread::sleep(SLOW);
        }
        let Some(order) = Self::find(&self.db(), no) else { return Told::Silent };
        match (ends.as_str(), order.state.as_str()) {
            ("07" | "17", _) => Told::Silent,
            (_, "taken") => approved(&order, no),
            (_, "open") => Told::Pending,
            _ => refused(),
        }
    }

    fn query(&self, no: &str) -> Told {
        let db = self.db();
        let Some(order) = Self::find(&db, no) else { return Told::NotFound };
        match (order.state.as_str(), order.ends.as_str()) {
            ("taken", _) => approved(&order, no),
            ("open", "17") => Told::NotFound,
            ("open", "27") => Told::Pending,
            ("open", _) if Self::take(&db, no).is_ok() => approved(&order, no),
            ("open", _) => Told::Silent,
            ("closed", _) => Told::Reversed,
            _ => refused(),
        }
    }

    fn reverse(&self, no: &str) -> Told {
        let db = self.db();
        let Some(order) = Self::find(&db, no) else { return Told::Reversed };
        // The late one confirms although its order is closed: real providers rule this out, and a shop must survive it.
        let late = (order.ends == "17").then(|| now_ms().saturating_add(LATE_MS));
        let closed = if order.state == "taken" {
            db.execute(
                "INSERT OR IGNORE INTO back (no, trade, amount, at) SELECT 'reversal-' || no, no, amount, ?2
                 FROM trade WHERE no = ?1",
                params![no, now_ms()],
            )
        } else {
            Ok(0)
        };
        let closed = closed.and_then(|_| {
            db.execute(
                "UPDATE trade SET state = 'closed', notify_at = ?2 WHERE no = ?1 AND state <> 'refused'",
                params![no, late],
            )
        });
        if closed.is_ok() { Told::Reversed } else { Told::Silent }
    }

    fn refund(&self, no: &str, refund: &str, amount: Money) -> Told {
        let db = self.db();
        let Some(order) = Self::find(&db, no).filter(|order| order.state == "taken") else { return Told::NotFound };
        let known: Option<i64> = db
            .query_row("SELECT amount FROM back WHERE no = ?1", [refund], |row| row.get(0))
            .optional()
            .unwrap_or(None);
        let reference = format!("SANDBOX-{refund}");
        if let Some(known) = known {
            return Told::Approved { amount: Money(known), reference };
        }
        let back = db.query_row("SELECT coalesce(sum(amount), 0) FROM back WHERE trade = ?1", [no], |row| row.get(0));
        let Ok(back): Result<i64, _> = back else { return Told::Silent };
        if amount.0 > order.amount.saturating_sub(back) {
            return Told::Declined { reason: "more than was taken".into() };
        }
        let kept = db.execute(
            "INSERT INTO back (no, trade, amount, at) VALUES (?1, ?2, ?3, ?4)",
            params![refund, no, amount.0, now_ms()],
        );
        if kept.is_ok() { Told::Approved { amount, reference } } else { Told::Silent }
    }

    fn notices(&self) -> Vec<(String, Told)> {
        let db = self.db();
        let due = db.prepare_cached("SELECT no FROM trade WHERE notify_at <= ?1").and_then(|mut due| {
            due.query_map([now_ms()], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()
        });
        let mut told = Vec::new();
        for no in due.unwrap_or_default() {
            let _ = Self::take(&db, &no);
            told.extend(Self::find(&db, &no).map(|order| (no.clone(), approved(&order, &no))));
        }
        told
    }

    fn heard(&self, no: &str) {
        let _ = self.db().execute("UPDATE trade SET notify_at = NULL WHERE no = ?1", [no]);
    }
}
