//! R3: the daemon and headquarters are killed again and again while the shop sells by card, wallet and cash; then every book
//! says the same.

use aisled::client;
use aisled::journal::Reader;
use anyhow::{Context as _, Result, ensure};
use e2e::{COLA, NOODLES, PIN, Plan, Shop, lines, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// `make soak KILLS=1000` asks for more.
const KILLS: u32 = 200;
/// Every so many kills of the daemon headquarters dies, too.
const WITH_HQ: u32 = 10;
const WALLET: &str = "131234567890123456";

/// Xorshift: the moments differ, and the same seed has the same ones.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }
}

/// A shopper and a cashier who do the next thing, whatever the page shows; nobody answers while the box is away.
struct Till {
    dice: Dice,
    token: Option<String>,
    wanted: usize,
    presses: u64,
}

impl Till {
    fn next(&mut self, shop: &Shop) -> Result<()> {
        let Ok((200, view)) = client::get(shop.pages, "/api/view/1") else { return Ok(()) };
        self.presses += 1;
        match view["view"]["phase"].as_str().unwrap_or_default() {
            "idle" | "done" => {
                self.wanted = 1 + usize::try_from(self.dice.below(3))?;
                shop.scan(COLA)
            }
            "scanning" if lines(&view) == 0 || pieces(&view) < self.wanted => {
                shop.scan(if self.dice.below(2) == 0 { COLA } else { NOODLES })
            }
            "scanning" => self.pay(shop, &view),
            "paying" if view["view"]["tender"].is_null() || view["view"]["tender"]["kind"] == "wallet" => {
                shop.scan(WALLET)
            }
            _ => Ok(()),
        }
    }

    fn pay(&mut self, shop: &Shop, view: &Value) -> Result<()> {
        let terminal = view["view"]["devices"][2]["up"] == true;
        match self.dice.below(3) {
            0 if terminal => drop(shop.press(json!({"pay": {"method": "card"}}))),
            1 if view["store"]["online"] == true => drop(shop.press(json!({"pay": {"method": "wallet"}}))),
            _ => {
                let cash = json!({"pay": {"method": {"cash": {"given": view["view"]["due"]}}}});
                let token = self.token.clone().unwrap_or_default();
                let paid = client::post(shop.pages, "/api/staff/lane/1", Some(&token), &cash);
                if matches!(paid, Ok((401, _))) {
                    let login = client::post(shop.pages, "/api/staff/login", None, &json!({"pin": PIN}));
                    self.token = login.ok().and_then(|(_, login)| login["token"].as_str().map(str::to_owned));
                }
            }
        }
        Ok(())
    }
}

fn pieces(view: &Value) -> usize {
    usize::try_from(view["view"]["pieces"].as_u64().unwrap_or(0)).unwrap_or(0)
}

#[test]
fn killed_two_hundred_times_while_it_sells_every_book_says_the_same() -> Result<()> {
    let asked = std::env::var("AISLE_KILLS").ok().and_then(|kills| kills.parse().ok());
    let kills: u32 = asked.unwrap_or(KILLS);
    let mut shop = Shop::open(Plan::default())?;
    let mut till = Till { dice: Dice(0x5EED | 1), token: None, wanted: 1, presses: 0 };
    let begun = Instant::now();
    for kill in 1..=kills {
        let due = Instant::now() + Duration::from_millis(80 + till.dice.below(420));
        while Instant::now() < due {
            till.next(&shop)?;
            std::thread::sleep(Duration::from_millis(5 + till.dice.below(12)));
        }
        // Anywhere: between a byte to the terminal and its answer, in a commit, while the paper comes out.
        std::thread::sleep(Duration::from_micros(till.dice.below(20_000)));
        shop.kill();
        if kill % WITH_HQ == 0 {
            shop.kill_hq();
            shop.start_hq()?;
        }
        shop.start().with_context(|| format!("start {kill}"))?;
    }
    let took = begun.elapsed();
    settle(&shop, &mut till)?;
    let books = Books::read(&shop)?;
    eprintln!(
        "kills {kills}, of them with headquarters {}, in {took:.0?}: {} sales, {} by card, {} by wallet, {} minor units, {} rows",
        kills / WITH_HQ,
        books.receipts.len(),
        books.cards.len(),
        books.wallets.len(),
        books.receipts.values().sum::<i64>(),
        books.rows
    );
    books.agree(&shop)
}

/// The last basket is paid in peace.
fn settle(shop: &Shop, till: &mut Till) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(100);
    loop {
        let (_, view) = client::get(shop.pages, "/api/view/1")?;
        let phase = view["view"]["phase"].as_str().unwrap_or_default();
        if (phase == "idle" || phase == "done") && lines(&view) == 0 && view["view"]["transaction"].is_null() {
            return Ok(());
        }
        ensure!(phase != "staff", "nobody could be asked what became of a payment: {view}");
        ensure!(Instant::now() < end, "the last basket is never paid: {view}");
        till.wanted = 0;
        till.next(shop)?;
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the journal says.
#[derive(Debug, Default)]
struct Books {
    rows: u64,
    /// Total of each receipt.
    receipts: BTreeMap<u64, i64>,
    cards: Vec<i64>,
    wallets: Vec<i64>,
}

impl Books {
    fn read(shop: &Shop) -> Result<Self> {
        let reader = Reader::open(&shop.journal())?;
        let mut books = Self { rows: reader.verify()?, ..Self::default() };
        for row in reader.rows(1, usize::MAX, usize::MAX)? {
            let row: Value = serde_json::from_str(&row.body)?;
            let sale = &row["event"]["basket"]["completed"];
            let (Some(number), Some(total)) = (sale["receipt"].as_u64(), sale["total"].as_i64()) else { continue };
            ensure!(books.receipts.insert(number, total).is_none(), "receipt {number} was given out twice");
            for tender in sale["tenders"].as_array().into_iter().flatten() {
                let amount = tender["amount"].as_i64().context("a tender without an amount")?;
                match tender["kind"].as_str() {
                    Some("card") => books.cards.push(amount),
                    Some("wallet") => books.wallets.push(amount),
                    Some(_) | None => {}
                }
            }
        }
        books.cards.sort_unstable();
        books.wallets.sort_unstable();
        Ok(books)
    }

    fn agree(&self, shop: &Shop) -> Result<()> {
        let gap_free = self.receipts.keys().copied().eq(1..=self.receipts.len() as u64);
        ensure!(gap_free, "receipt numbers have gaps: {:?}", self.receipts.keys());
        let mut captured = shop.captured();
        captured.sort_unstable();
        ensure!(captured == self.cards, "the terminal holds {captured:?}, the journal {:?}", self.cards);
        let sales = shop.sales_at_hq_all()?;
        ensure!(sales == self.receipts, "headquarters has {sales:?}, the journal {:?}", self.receipts);
        let db = rusqlite::Connection::open(shop.path("hq/hq.db"))?;
        let net = "SELECT (SELECT ifnull(sum(taken), 0) FROM payment WHERE state = 'approved')
                        - (SELECT ifnull(sum(amount), 0) FROM payment_refund WHERE state = 'approved')";
        let paid: i64 = db.query_row(net, [], |row| row.get(0))?;
        let wallets: i64 = self.wallets.iter().sum();
        ensure!(paid == wallets, "the provider holds {paid}, the journal says {wallets}");
        ensure!(!self.cards.is_empty() && !self.wallets.is_empty(), "nothing was tried");
        let alarms: i64 = db.query_row(
            "SELECT count(*) FROM alarm WHERE kind IN ('sale_conflict', 'receipt_repeated', 'head_mismatch', 'journal_cut')",
            [],
            |row| row.get(0),
        )?;
        ensure!(alarms == 0, "headquarters raised alarms");
        let mut originals: BTreeMap<&str, usize> = BTreeMap::new();
        let paper = shop.paper();
        let is_copy = |text: &&String| text.contains("补打") || text.contains("COPY");
        for text in paper.iter().filter(|text| !is_copy(text)) {
            *originals.entry(text).or_default() += 1;
        }
        ensure!(originals.values().all(|count| *count == 1), "a receipt pretends twice to be the original");
        Ok(())
    }
}

trait AllSales {
    fn sales_at_hq_all(&self) -> Result<BTreeMap<u64, i64>>;
}

impl AllSales for Shop {
    /// Straight from the database: the console shows the latest only.
    fn sales_at_hq_all(&self) -> Result<BTreeMap<u64, i64>> {
        let everything = |view: &Value| view["store"]["online"] == true && view["store"]["backlog"] == 0;
        self.wait("headquarters to have everything", everything)?;
        let db = rusqlite::Connection::open(self.path("hq/hq.db"))?;
        let mut found = BTreeMap::new();
        until("the same at headquarters", || {
            let mut sales = db.prepare("SELECT receipt_no, total FROM sale")?;
            let rows = sales.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
            found =
                rows.map(|row| row.map(|(no, total)| (no.unsigned_abs(), total))).collect::<rusqlite::Result<_>>()?;
            Ok(true)
        })?;
        Ok(found)
    }
}
