//! Every sale worked out again: headquarters folds each box's journal with the box's own code, and holds each sale against the
//! price book, promotions, members and campaigns that were in force, and against the sales its returned goods were bought in.
//! What differs is listed; there must be nothing.
//!
//! It reads what is committed and writes short transactions of its own, so an acknowledgement never waits for it. Where it
//! stands is kept per journal; running it again, or twice at once, changes nothing.

mod books;
mod check;
mod replay;
mod sales;
pub mod words;

use crate::db::{Connection, OptionalExtension as _, params};
use crate::store::{Store, int};
use anyhow::{Context as _, Result};
use books::{Books, Wanted};
use check::Case;
use checkout::basket::BasketEvent;
use checkout::event::{Event, Record};
use checkout::facts::FOLD;
use checkout::sale::Sale;
use checkout::words::{LocalMinute, Name, PriceBook};
use replay::{Priced, Replay};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Rows folded between two writes.
const ROWS: usize = 2000;
/// Rows after which the fold itself is kept, so that a start does not begin at the first.
const KEEP_EVERY: i64 = 10_000;
/// Folds held in memory; more boxes than this are read again when their turn comes, and so that this is little each time …
const HELD_MAX: usize = 64;
/// … theirs is kept after fewer rows.
const KEEP_CROWDED: i64 = 250;
const IDLE: Duration = Duration::from_millis(500);
/// Files of versions nobody names any more are looked for this often.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
const AFTER_FAILURE: Duration = Duration::from_secs(10);

/// One thing that is not as headquarters works it out. Amounts are minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    pub what: &'static str,
    pub place: String,
    pub expected: String,
    pub found: String,
}

/// A difference as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    #[serde(rename = "box")]
    pub box_id: String,
    pub transaction: String,
    pub at: i64,
    pub what: String,
    pub place: String,
    pub expected: String,
    pub found: String,
    /// Of its amounts; empty where there are none.
    pub currency: String,
    /// For whoever reads it: one sentence.
    pub words: Name,
}

#[derive(Debug)]
pub struct Parity {
    db: Connection,
    books: Books,
    held: BTreeMap<(String, i64), Replay>,
    keep_every: i64,
}

/// A completed sale or a report that was not as it should be.
struct Wrong {
    seq: i64,
    at: i64,
    transaction: String,
    differences: Vec<Difference>,
}

impl Parity {
    /// # Errors
    /// When the database cannot be opened.
    pub fn new(store: &Store) -> Result<Self> {
        let db = store.writer()?;
        // All it writes follows from the journals: a power cut costs work, not facts, and the writer never waits for its disk.
        db.relaxed()?;
        Ok(Self { db, books: Books::new(store.books_path()), held: BTreeMap::new(), keep_every: KEEP_EVERY })
    }

    /// Goes on until nobody changes anything any more.
    pub(crate) fn run(mut self, changes: &watch::Receiver<u64>) {
        let mut pruned: Option<Instant> = None;
        let mut seen = *changes.borrow();
        while changes.has_changed().is_ok() {
            let begun = Instant::now();
            let stepped = self.step().and_then(|more| {
                if !more && pruned.is_none_or(|at| at.elapsed() >= PRUNE_EVERY) {
                    pruned = Some(Instant::now());
                    self.prune()?;
                }
                Ok(more)
            });
            let pause = match stepped {
                Ok(true) => {
                    let now = *changes.borrow();
                    // What comes in goes first: a backlog is judged with a quarter of a processor until it is in.
                    let busy = std::mem::replace(&mut seen, now) != now;
                    if busy { begun.elapsed() * 3 } else { continue }
                }
                Ok(false) => IDLE,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "sales cannot be priced again; tried again soon");
                    self.held.clear();
                    AFTER_FAILURE
                }
            };
            std::thread::sleep(pause);
        }
    }

    /// Checks some rows of every journal that has new ones; says whether there may be more.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn step(&mut self) -> Result<bool> {
        let boxes: Vec<(String, i64, i64)> = self
            .db
            .prepare_cached(
                "SELECT b.id, b.epoch, b.acked FROM box AS b LEFT JOIN parity_cursor AS c ON c.box = b.id AND c.epoch = b.epoch
                 WHERE b.acked > coalesce(c.seq, 0)",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<_, _>>()?;
        let mut more = false;
        self.keep_every = if boxes.len() > HELD_MAX { KEEP_CROWDED } else { KEEP_EVERY };
        for (box_id, epoch, acked) in boxes {
            let journal = (box_id, epoch);
            let mut replay = match self.held.remove(&journal) {
                Some(replay) => replay,
                None => self.load(&journal)?,
            };
            if replay.seq < acked {
                more = true;
                if !self.advance(&journal, &mut replay, acked)? {
                    continue;
                }
            }
            if self.held.len() >= HELD_MAX {
                self.held.clear();
            }
            self.held.insert(journal, replay);
        }
        Ok(more)
    }

    /// Where it stood. A fold of other code is made again; what was checked then stays checked.
    fn load(&self, journal: &(String, i64)) -> Result<Replay> {
        let sql = "SELECT seq, checked, fold, state FROM parity_cursor WHERE box = ?1 AND epoch = ?2";
        let found: Option<(i64, i64, String, String)> = self
            .db
            .prepare_cached(sql)?
            .query_row(params![journal.0, journal.1], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
            .optional()?;
        let Some((seq, checked, fold, state)) = found else { return Ok(Replay::default()) };
        let kept = Some(state).filter(|_| fold == FOLD).and_then(|state| serde_json::from_str(&state).ok());
        let mut replay: Replay = kept.unwrap_or_default();
        while replay.seq < seq {
            let rows = self.rows(journal, replay.seq, seq)?;
            let Some((last, _)) = rows.last() else { break };
            let last = *last;
            for (_, body) in rows {
                if let Ok(record) = serde_json::from_str::<Record>(&body) {
                    replay.fold(&record, &self.db)?;
                }
            }
            replay.seq = last;
        }
        Ok(Replay { seq, checked, ..replay })
    }

    fn rows(&self, journal: &(String, i64), after: i64, until: i64) -> Result<Vec<(i64, String)>> {
        let sql = "SELECT seq, body FROM journal_event WHERE box = ?1 AND epoch = ?2 AND seq > ?3 AND seq <= ?4
                   ORDER BY seq LIMIT ?5";
        let mut rows = self.db.prepare_cached(sql)?;
        let rows = rows.query_map(params![journal.0, journal.1, after, until, int(ROWS as u64)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// False where somebody else has been here meanwhile.
    fn advance(&mut self, journal: &(String, i64), replay: &mut Replay, acked: i64) -> Result<bool> {
        let rows = self.rows(journal, replay.seq, acked)?;
        let before = replay.seq;
        let mut wrong = Vec::new();
        for (seq, body) in &rows {
            match serde_json::from_str::<Record>(body) {
                Ok(record) => wrong.extend(self.record(&journal.0, *seq, &record, replay)?),
                Err(_) => wrong.push(unreadable(journal, *seq)),
            }
            replay.seq = *seq;
        }
        // Rows that were set aside stand in no table: the last ones may be among them.
        if rows.len() < ROWS {
            replay.seq = acked;
        }
        self.keep(journal, before, replay, &wrong)
    }

    fn record(&mut self, box_id: &str, seq: i64, record: &Record, replay: &mut Replay) -> Result<Option<Wrong>> {
        let (transaction, differences) = if let Event::Basket(BasketEvent::Completed(sale)) = &record.event {
            replay.checked += 1;
            (sale.transaction.0.clone(), self.sale(box_id, record, sale, replay)?)
        } else {
            check::report(box_id, record, &replay.facts)
        };
        replay.fold(record, &self.db)?;
        Ok((!differences.is_empty()).then_some(Wrong { seq, at: record.utc.0, transaction, differences }))
    }

    fn sale(&mut self, box_id: &str, record: &Record, sale: &Sale, replay: &Replay) -> Result<Vec<Difference>> {
        let open = record.lane.and_then(|lane| Some((lane, replay.facts.lanes.get(&lane)?.open.as_ref()?)));
        let Some((lane, transaction)) = open else {
            let (expected, found) = ("a basket that was begun".into(), "none".into());
            return Ok(vec![Difference { what: "transaction", place: "sale".into(), expected, found }]);
        };
        let nothing = Priced::default();
        let case = Case {
            box_id,
            lane,
            transaction,
            sale,
            priced: replay.open.get(&transaction.id.0).unwrap_or(&nothing),
            facts: &replay.facts,
            rules: replay.facts.price_rules.unwrap_or_default(),
            at: LocalMinute(record.utc.0.div_euclid(60_000)),
        };
        check::check(&case, &mut self.books, &self.db).with_context(|| format!("transaction {}", sale.transaction))
    }

    /// Takes away the files of price books and members that no row still to be judged, no open basket, no box and no listed
    /// sale names; says how many.
    ///
    /// # Errors
    /// When the database or the folder cannot be read or written.
    pub fn prune(&mut self) -> Result<usize> {
        let mut wanted = Wanted { goods: self.named_goods()?, members: self.named_members()? };
        let journals: Vec<(String, i64)> = self
            .db
            .prepare_cached("SELECT id, epoch FROM box")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for journal in journals {
            let loaded = if self.held.contains_key(&journal) { None } else { Some(self.load(&journal)?) };
            let Some(replay) = loaded.as_ref().or_else(|| self.held.get(&journal)) else { continue };
            wanted.goods.extend(replay.facts.datasets.get("catalogue").map(|book| PriceBook(book.name.clone())));
            wanted.members.insert(replay.version("members"));
            wanted.members.extend(replay.open.values().map(|priced| priced.members));
            let at_lanes = replay.facts.lanes.values().filter_map(|lane| lane.open.as_ref());
            let baskets = at_lanes.chain(replay.facts.suspended.values().map(|waiting| &waiting.basket));
            wanted.goods.extend(baskets.flat_map(|basket| &basket.lines).map(|line| line.price_book.clone()));
        }
        let gone = self.books.prune(&self.db, &wanted)?;
        if gone > 0 {
            tracing::info!(files = gone, "price books nobody names any more are gone");
        }
        Ok(gone)
    }

    fn named_goods(&self) -> Result<BTreeSet<PriceBook>> {
        let sql = "SELECT price_book FROM box
                   UNION SELECT name FROM dataset WHERE dataset = 'catalogue'
                     AND version = (SELECT max(version) FROM dataset WHERE dataset = 'catalogue')
                   UNION SELECT l.price_book FROM parity AS p JOIN sale_line AS l ON l.transaction_id = p.transaction_id
                   UNION SELECT json_extract(e.body, '$.event.basket.line_added.price_book') FROM box AS b
                     LEFT JOIN parity_cursor AS c ON c.box = b.id AND c.epoch = b.epoch
                     JOIN journal_event AS e ON e.box = b.id AND e.epoch = b.epoch AND e.seq > coalesce(c.seq, 0)
                     WHERE e.kind = 'basket.line_added'";
        let mut names = self.db.prepare_cached(sql)?;
        let names = names.query_map([], |row| row.get::<_, Option<String>>(0))?;
        Ok(names.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().map(PriceBook).collect())
    }

    fn named_members(&self) -> Result<BTreeSet<u64>> {
        let sql = "SELECT max(version) FROM dataset WHERE dataset = 'members'
                   UNION SELECT CAST(json_extract(e.body, '$.event.store.dataset_activated.version') AS BIGINT) FROM box AS b
                     LEFT JOIN parity_cursor AS c ON c.box = b.id AND c.epoch = b.epoch
                     JOIN journal_event AS e ON e.box = b.id AND e.epoch = b.epoch AND e.seq > coalesce(c.seq, 0)
                     WHERE e.kind = 'store.dataset_activated'
                       AND json_extract(e.body, '$.event.store.dataset_activated.dataset') = 'members'";
        let mut versions = self.db.prepare_cached(sql)?;
        let versions = versions.query_map([], |row| row.get::<_, Option<i64>>(0))?;
        Ok(versions.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().map(i64::unsigned_abs).collect())
    }

    fn keep(&mut self, journal: &(String, i64), before: i64, replay: &mut Replay, wrong: &[Wrong]) -> Result<bool> {
        let keep = replay.kept == 0 || replay.seq - replay.kept >= self.keep_every;
        if keep {
            replay.kept = replay.seq;
        }
        let state = if keep { Some(serde_json::to_string(&replay)?) } else { None };
        let txn = self.db.transaction()?;
        let ours = txn
            .prepare_cached(
                "INSERT INTO parity_cursor (box, epoch, seq, checked, fold, state) VALUES (?1, ?2, ?3, ?4, ?5, coalesce(?6, '{}'))
                 ON CONFLICT (box, epoch) DO UPDATE SET seq = ?3, checked = ?4,
                    fold = CASE WHEN ?6 IS NULL THEN parity_cursor.fold ELSE ?5 END,
                    state = coalesce(?6, parity_cursor.state)
                 WHERE parity_cursor.seq = ?7",
            )?
            .execute(params![journal.0, journal.1, replay.seq, replay.checked, FOLD, state, before])?;
        if ours == 0 {
            return Ok(false);
        }
        for Wrong { seq, at, transaction, differences } in wrong {
            for Difference { what, place, expected, found } in differences {
                txn.prepare_cached(
                    "INSERT INTO parity (box, epoch, seq, transaction_id, at, what, place, expected, found)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING",
                )?
                .execute(params![
                    journal.0,
                    journal.1,
                    seq,
                    transaction,
                    at,
                    what,
                    place,
                    expected,
                    found
                ])?;
            }
        }
        txn.commit()?;
        if !wrong.is_empty() {
            tracing::warn!(
                box_id = journal.0,
                sales = wrong.len(),
                "headquarters works sales out otherwise: see /parity"
            );
        }
        Ok(true)
    }
}

fn unreadable(journal: &(String, i64), seq: i64) -> Wrong {
    let (expected, found) = ("an event this version knows".into(), "one that it cannot read".into());
    let differences = vec![Difference { what: "event", place: format!("row {seq}"), expected, found }];
    Wrong { seq, at: crate::store::now_ms(), transaction: format!("{}·{}", journal.0, journal.1), differences }
}

/// How many sales were priced again.
///
/// # Errors
/// When the database cannot be read.
pub fn checked(db: &Connection) -> Result<i64> {
    let sql =
        "SELECT coalesce(sum(checked), 0) FROM parity_cursor AS c JOIN box AS b ON b.id = c.box AND b.epoch = c.epoch";
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}

/// What differed since that moment (milliseconds since 1970), the latest first.
///
/// # Errors
/// When the database cannot be read.
pub fn list(db: &Connection, since: i64, most: u32) -> Result<Vec<Row>> {
    let sql = "SELECT p.box, p.transaction_id, p.at, p.what, p.place, p.expected, p.found, coalesce(s.currency, '')
               FROM parity AS p LEFT JOIN sale AS s ON s.transaction_id = p.transaction_id WHERE p.at >= ?1
               ORDER BY p.at DESC, p.transaction_id, p.what, p.place LIMIT ?2";
    let mut rows = db.prepare_cached(sql)?;
    let rows = rows.query_map(params![since, most], |row| {
        let (what, place): (String, String) = (row.get(3)?, row.get(4)?);
        let (expected, found, currency): (String, String, String) = (row.get(5)?, row.get(6)?, row.get(7)?);
        let words = words::sentence(&what, &place, (&expected, &found), &currency);
        let (box_id, transaction, at) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Row { box_id, transaction, at, what, place, expected, found, currency, words })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
