//! The scripted day of the core (`daemon/core/tests/day`) as headquarters takes it in and works every sale of it out again: as it
//! was, and with one row forged in each of many sales.

#[path = "../../../daemon/core/tests/day/mod.rs"]
mod script;

use crate::support::Journal;
use crate::support::tempdir;
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::parity::{self, Parity, Row};
use aisle_hq::sign::Signer;
use aisle_hq::store::Store as HqStore;
use aisle_hq::{Work, Writer, hex, parse};
use checkout::wire::{Hello, Topics};
use script::{Day, Published};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const SEED: u64 = 20_260_922;
const ROWS_A_BATCH: u64 = 200;

/// Everything the box sent, through the writer of headquarters, beside what headquarters had published that day.
fn taken_in(dir: &Path, published: &[Published], bodies: &[String]) -> HqStore {
    let store = HqStore::open(dir).unwrap();
    for Published { dataset, name, rows } in published {
        let kind = match *dataset {
            "catalogue" => Kind::Catalogue,
            "promotions" => Kind::Promotions,
            "members" => Kind::Members,
            "coupons" => Kind::Coupons,
            "recalls" => Kind::Recalls,
            other => panic!("{other} is no dataset"),
        };
        dataset::import(&store, kind, rows, Some(name), OnBad::Refuse).unwrap().unwrap();
    }
    let mut journal = Journal::default();
    bodies.iter().for_each(|body| journal.add(body.as_bytes()));
    let (jobs, _) = tokio::sync::mpsc::channel(1);
    let mut writer = Writer::new(&store, Arc::new(Signer::open(&store.key_path()).unwrap()), "demo", jobs).unwrap();
    let hello = Hello {
        journal: "journal-of-box-1".into(),
        epoch: 1,
        boot: 1,
        nonce: 1,
        said: 1,
        connection: 1,
        head: journal.head(),
        acked: 0,
        hash: hex(&journal.hash(0)),
        datasets: BTreeMap::new(),
        version: "0.1.0".into(),
        key: String::new(),
    };
    writer.turn(&[Work::Hello { box_id: "box-1".into(), hello }]).unwrap();
    let topic = Topics::new("demo", "box-1").of("journal");
    let firsts: Vec<u64> = (1..=journal.head()).step_by(usize::try_from(ROWS_A_BATCH).unwrap()).collect();
    for some in firsts.chunks(64) {
        let work = some.iter().map(|first| {
            let last = (first + ROWS_A_BATCH - 1).min(journal.head());
            parse("demo", &topic, &journal.batch("journal-of-box-1", 1, *first, last)).unwrap()
        });
        writer.turn(&work.collect::<Vec<_>>()).unwrap();
    }
    let acked: u64 = store.reader().unwrap().query_row("SELECT acked FROM box", [], |row| row.get(0)).unwrap();
    assert_eq!(acked, journal.head(), "headquarters has all of it");
    store
}

fn judged(store: &HqStore) -> (Parity, Vec<Row>) {
    let mut parity = Parity::new(store).unwrap();
    while parity.step().unwrap() {}
    let rows = parity::list(&store.reader().unwrap(), 0, u32::MAX).unwrap();
    (parity, rows)
}

fn bodies(day: &Day) -> Vec<String> {
    day.journal.iter().map(|record| serde_json::to_string(record).unwrap()).collect()
}

fn books(dir: &Path) -> BTreeSet<String> {
    let files = std::fs::read_dir(dir.join("books")).unwrap();
    files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn headquarters_works_out_a_whole_day_alike_and_keeps_no_book_longer_than_a_row_names_it() {
    let day = Day::whole(SEED);
    let dir = tempdir().unwrap();
    let store = taken_in(dir.path(), &day.published, &bodies(&day));
    let told =
        Command::new(env!("CARGO_BIN_EXE_aisle-hq")).arg("parity").arg("--data").arg(dir.path()).output().unwrap();
    let said = String::from_utf8(told.stdout).unwrap();
    assert_eq!(said, format!("{} sales priced again, no difference\n", day.did["sale"]));
    assert!(told.status.success());

    let all = ["catalogue-1.rows.db", "catalogue-2.rows.db", "members-1.rows.db", "members-2.rows.db"];
    let all: BTreeSet<String> = all.map(str::to_owned).into();
    assert_eq!(books(dir.path()), all);
    let db = store.writer().unwrap();
    // As if nothing were judged yet: every row names its book.
    db.execute("CREATE TEMP TABLE c AS SELECT * FROM parity_cursor", []).unwrap();
    db.execute("DELETE FROM parity_cursor", []).unwrap();
    assert_eq!(Parity::new(&store).unwrap().prune().unwrap(), 0);
    db.execute("INSERT INTO parity_cursor SELECT * FROM c", []).unwrap();
    // A listed sale of the morning will be looked at again.
    let listed = "INSERT INTO parity SELECT box, epoch, seq, transaction_id, at, 'total', 'sale', '1', '2' FROM sale
                  WHERE transaction_id IN (SELECT transaction_id FROM sale_line WHERE price_book = 'pb-1') LIMIT 1";
    assert_eq!(db.execute(listed, []).unwrap(), 1);
    assert_eq!(Parity::new(&store).unwrap().prune().unwrap(), 1, "the members of the morning");
    db.execute("DELETE FROM parity", []).unwrap();
    assert_eq!(Parity::new(&store).unwrap().prune().unwrap(), 1, "and then its price book");
    let left = ["catalogue-2.rows.db", "members-2.rows.db"];
    assert_eq!(books(dir.path()), left.map(str::to_owned).into());
    // What is gone is made again for whoever asks.
    db.execute("DELETE FROM parity_cursor", []).unwrap();
    assert_eq!(judged(&store).1, []);
    assert_eq!(books(dir.path()), all);
}

#[test]
fn a_forged_row_is_named_with_its_sale_and_nothing_else_is() {
    let day = Day::whole(SEED);
    let mut forger = Forger::of(&bodies(&day));
    let wanted: Vec<Forged> = FORGERIES.iter().map(|forgery| forger.forge(forgery)).collect();
    let close = forger.rows.iter_mut().find_map(|row| row.pointer_mut("/event/store/day_closed/totals/sales")).unwrap();
    *close = json!(close.as_u64().unwrap() + 1);
    let forged: Vec<String> = forger.rows.iter().map(Value::to_string).collect();

    let dir = tempdir().unwrap();
    let (_, rows) = judged(&taken_in(dir.path(), &day.published, &forged));
    let mut found: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
    rows.iter().for_each(|row| found.entry(&row.transaction).or_default().push(row));
    for Forged { name, transaction, expected, words } in &wanted {
        let rows = found.remove(transaction.as_str()).unwrap_or_default();
        let named: BTreeSet<String> = rows.iter().map(|row| format!("{} at {}", row.what, row.place)).collect();
        // Where the total differs net and tax may, as the rounding falls.
        let sums = |named: &&String| named.starts_with("net at rate") || named.starts_with("tax at rate");
        let other = expected.contains(&"total at sale");
        // What a forged sale says its member used is held against that member's later baskets.
        let later = |named: &&String| named.starts_with("member_used") && !expected.contains(&"member_used at sale");
        let follows = |named: &&String| (other && sums(named)) || later(named);
        let named: BTreeSet<&String> = named.iter().filter(|named| !follows(named)).collect();
        let matches = |wanted: &&str| named.iter().any(|named| named.starts_with(wanted));
        assert!(expected.iter().all(matches), "{name}: {named:?}, wanted {expected:?}");
        assert_eq!(named.len(), expected.len(), "{name}: {named:?}, wanted {expected:?}");
        assert!(rows.iter().any(|row| row.words.en.contains(words)), "{name}: {rows:#?}");
    }
    // Sums that a forged sale went into differ from the reports, and so does the one that was forged itself.
    assert!(found.remove("box-1 day 1").unwrap().iter().any(|row| row.place == "day 1 sales"));
    // And what a member is said to have used is missing or too much in that member's later baskets.
    let reports = found.iter().all(|(transaction, rows)| {
        transaction.starts_with("box-1 shift") || rows.iter().all(|row| row.what == "member_used")
    });
    assert!(reports, "{found:#?}");
}

/// How one row or, where a box would have written it twice, two are changed; false: not this sale.
struct Forgery {
    name: &'static str,
    edit: fn(&mut Sale) -> bool,
    /// What is named, and where: each begins so.
    expected: &'static [&'static str],
    /// Part of the sentence somebody reads.
    words: &'static str,
}

const FORGERIES: &[Forgery] = &[
    Forgery {
        name: "a price",
        edit: |sale| {
            let plain = sale.none("savings_set") && sale.none("quantity_changed") && sale.count("line_added") == 1;
            plain
                && sale.add("line_added", "/unit_price", -1, |line| {
                    line["key"] == "6901234567892" && line["quantity"] == 1
                })
        },
        expected: &["unit_price at line 1", "sold_price at line 1", "sold_total at line 1", "total at sale"],
        words: "Unit price, line 1: headquarters works out 3.",
    },
    Forgery {
        name: "points earned",
        edit: |sale| sale.add("completed", "/points/earned", 1, |_| true),
        expected: &["points_earned at sale"],
        words: "Points earned, the whole sale: headquarters works out ",
    },
    Forgery {
        name: "points burnt",
        edit: |sale| sale.add("completed", "/points/burnt", 1, |_| true),
        expected: &["points_burnt at sale"],
        words: "Points burnt, the whole sale",
    },
    Forgery {
        name: "what points were worth",
        edit: |sale| {
            sale.add("completed", "/tenders/0/points", 1, |sale| sale["tenders"][0]["amount"].as_i64() > Some(0))
        },
        expected: &["points_worth at payment "],
        words: "What the points were worth",
    },
    Forgery {
        name: "points taken back",
        edit: |sale| sale.add("completed", "/points_back/0/taken", 1, |_| true),
        expected: &["points_taken at bought with "],
        words: "Points taken back",
    },
    Forgery {
        name: "a coupon shown before it was valid",
        edit: |sale| {
            let cola = |coupon: &Value| coupon["campaign"] == "cola";
            sale.count("coupon") == 1
                && sale.add("coupon", "/shown/shown_at", -60_000, |coupon| cola(&coupon["shown"]))
                && sale.add("completed", "/coupons/0/shown_at", -60_000, |_| true)
        },
        expected: &["coupon_validity at coupon cola."],
        words: "When the coupon was valid, coupon cola.",
    },
    Forgery {
        name: "a coupon used twice",
        edit: |sale| {
            let (Some(used), 1) = (sale.used.clone(), sale.count("coupon")) else { return false };
            sale.set("coupon", "/shown/serial", json!(used), |coupon| coupon["shown"]["campaign"] == "cola")
                && sale.set("completed", "/coupons/0/serial", json!(used), |_| true)
        },
        expected: &["coupon_again at coupon cola."],
        words: "Coupon redeemed again, coupon cola.",
    },
    Forgery {
        name: "a coupon that nobody earned",
        edit: |sale| {
            let id = sale.id.clone();
            let coupon =
                json!({"campaign": "next", "serial": id, "name": {"zh": "券", "en": "c"}, "last_day": "2026-09-23"});
            let small = |sale: &Value| sale["total"].as_i64() < Some(5_000) && sale["member"] != Value::Null;
            let Some(completed) = sale.find("completed", small) else { return false };
            completed["issued"] = json!([coupon]);
            true
        },
        expected: &["coupon_issued at coupon next."],
        words: "Coupon handed out with the receipt",
    },
    Forgery {
        name: "a member's level",
        edit: |sale| {
            let touched = ["6920000000005", "6901234567892", "6950000000002"];
            let plain = !sale.any("line_added", |line| touched.iter().any(|key| line["key"] == *key));
            plain
                && sale.count("savings_set") == 1
                && sale.set("savings_set", "/terms/member/level", json!("gold"), |set| {
                    set["terms"]["member"]["level"] == "silver"
                })
        },
        expected: &["member_level at sale"],
        words: "Member's level, the whole sale: headquarters works out silver, the box recorded gold",
    },
    Forgery {
        name: "a level's price",
        edit: |sale| {
            let nobody = !sale.any("savings_set", |set| set["terms"]["member"] != Value::Null);
            nobody && sale.none("line_voided") && sale.add("line_added", "/levels/gold", -1, |_| true)
        },
        expected: &["member_price at line "],
        words: "headquarters works out member 280, gold 270, the box recorded member 280, gold 269",
    },
    Forgery {
        name: "what a member used before",
        edit: |sale| {
            let plain = !sale.any("line_added", |line| line["key"] == "6980000000009");
            plain && sale.count("savings_set") == 1 && sale.add("savings_set", "/terms/member/used/juice", 7, |_| true)
        },
        expected: &["member_used at sale"],
        words: "Promotions the member had used before",
    },
    Forgery {
        name: "uses of a limited promotion",
        edit: |sale| sale.add("completed", "/uses/0/times", 1, |_| true),
        expected: &["uses at sale"],
        words: "Uses of promotions limited per member",
    },
    Forgery {
        name: "what returned goods were worth",
        edit: |sale| {
            let nobody =
                sale.any("completed", |sale| sale["points_back"] == Value::Null && sale["member"] == Value::Null);
            nobody
                && sale.count("line_added") == 1
                && sale.add("line_added", "/returned/amount", -7, |line| line["returned"]["bought"] != Value::Null)
        },
        expected: &["returned_worth at line 1", "sold_total at line 1", "total at sale"],
        words: "What returned goods were worth, line 1",
    },
    Forgery {
        name: "what goods without a receipt were worth",
        edit: |sale| {
            let bare = |line: &Value| line["returned"].is_object() && line["returned"]["bought"] == Value::Null;
            let nobody = sale.any("completed", |sale| sale["member"] == Value::Null);
            nobody && sale.count("line_added") == 1 && sale.add("line_added", "/returned/amount", -7, bare)
        },
        expected: &["returned_worth at line 1", "sold_total at line 1", "total at sale"],
        words: "What returned goods were worth, line 1",
    },
    Forgery {
        name: "a deposit",
        edit: |sale| {
            sale.none("line_voided") && sale.add("line_added", "/unit_price", -5, |line| line["kind"] == "deposit")
        },
        expected: &["unit_price at line ", "sold_price at line ", "sold_total at line ", "total at sale"],
        words: "headquarters works out 0.25, the box recorded 0.20",
    },
    Forgery {
        name: "an empty bottle",
        edit: |sale| {
            sale.none("line_voided")
                && sale.add("line_added", "/unit_price", -5, |line| line["kind"] == "bottle_return")
        },
        expected: &["unit_price at line ", "sold_price at line ", "sold_total at line ", "total at sale"],
        words: "headquarters works out 0.25, the box recorded 0.20",
    },
    Forgery {
        name: "a deposit that came with nothing",
        edit: |sale| {
            let deposit = |line: &Value| line["key"] == "2500001" && line["parent"] == 1;
            sale.none("line_voided")
                && sale.count("line_added") == 2
                && sale.set("line_added", "/parent", json!(9), deposit)
        },
        expected: &["comes_with at line 1", "comes_with at line 2"],
        words: "Deposit or goods that come with it, line 1: headquarters works out 2500001, the box recorded none",
    },
    Forgery {
        name: "the rounding of a refund",
        edit: |sale| sale.add("completed", "/rounding", 1, |sale| sale["total"].as_i64() < Some(0)),
        expected: &["paid at sale", "rounding at sale"],
        words: "Cash rounding, the whole sale",
    },
    Forgery {
        name: "change",
        edit: |sale| sale.add("completed", "/change", 1, |sale| sale["change"].as_i64() > Some(0)),
        expected: &["change at sale"],
        words: "Change, the whole sale",
    },
    Forgery {
        name: "how it was paid",
        edit: |sale| {
            let card = |sale: &Value| {
                let tender = &sale["tenders"][0];
                tender["kind"] == "card" && tender["amount"].as_i64() > Some(0) && sale["tenders"][1] == Value::Null
            };
            sale.set("completed", "/tenders/0/kind", json!("wallet"), card)
        },
        expected: &["tender at payment 1"],
        words: "Payment and its amount, payment 1",
    },
    Forgery {
        name: "an age nobody confirmed",
        edit: |sale| {
            let plain = sale.none("line_voided") && sale.answers() == 1;
            let spirits = sale.any("line_added", |line| line["key"] == "6930000000004");
            let pointer = "/event/lane/intervention_answered/approved";
            let answer = sale.rows.iter_mut().find_map(|row| row.pointer_mut(pointer));
            answer.filter(|_| plain && spirits).map(|approved| *approved = json!(false)).is_some()
        },
        expected: &["age_check at line "],
        words: "headquarters works out confirmed to be 18, the box recorded not confirmed",
    },
    Forgery {
        name: "a piece sold twice",
        edit: |sale| {
            let (Some(piece), true) = (sale.piece.clone(), sale.none("line_voided")) else { return false };
            let numbered = |line: &Value| line["serial"] != Value::Null;
            let lines = |sale: &Value| sale["lines"].as_array().into_iter().flatten().any(numbered);
            let Some(completed) = sale.find("completed", lines) else { return false };
            let sold = completed["lines"].as_array_mut().into_iter().flatten().find(|line| numbered(line));
            sold.map(|line| line["serial"] = json!(piece)).is_some()
                && sale.set("line_added", "/serial", json!(piece), numbered)
        },
        expected: &["serial at line "],
        words: "headquarters works out a piece not sold before, the box recorded A",
    },
];

struct Forged {
    name: &'static str,
    transaction: String,
    expected: &'static [&'static str],
    words: &'static str,
}

/// The rows of one transaction.
struct Sale {
    id: String,
    rows: Vec<Value>,
    /// Serials of a cola coupon and of a piece that earlier sales redeemed and sold.
    used: Option<String>,
    piece: Option<String>,
}

impl Sale {
    fn find(&mut self, kind: &str, is: impl Fn(&Value) -> bool) -> Option<&mut Value> {
        let events = self.rows.iter_mut().filter_map(|row| row.pointer_mut("/event/basket")?.get_mut(kind));
        events.into_iter().find(|event| is(event))
    }

    fn any(&mut self, kind: &str, is: impl Fn(&Value) -> bool) -> bool {
        self.find(kind, is).is_some()
    }

    fn count(&mut self, kind: &str) -> usize {
        self.rows.iter().filter(|row| row["event"]["basket"].get(kind).is_some()).count()
    }

    /// Of staff, to anything.
    fn answers(&self) -> usize {
        self.rows.iter().filter(|row| row.pointer("/event/lane/intervention_answered").is_some()).count()
    }

    fn none(&mut self, kind: &str) -> bool {
        self.count(kind) == 0
    }

    fn set(&mut self, kind: &str, pointer: &str, to: Value, is: impl Fn(&Value) -> bool) -> bool {
        let event = self.find(kind, |event| is(event) && event.pointer(pointer).is_some());
        event.and_then(|event| event.pointer_mut(pointer)).map(|value| *value = to).is_some()
    }

    fn add(&mut self, kind: &str, pointer: &str, by: i64, is: impl Fn(&Value) -> bool) -> bool {
        let event = self.find(kind, |event| is(event) && event.pointer(pointer).is_some_and(Value::is_i64));
        event
            .and_then(|event| event.pointer_mut(pointer))
            .map(|value| *value = json!(value.as_i64().unwrap() + by))
            .is_some()
    }
}

struct Forger {
    rows: Vec<Value>,
    /// Completed transactions in order, with their rows.
    sales: Vec<(String, Vec<usize>)>,
    /// Forged already, or one that another sale goes back to.
    taken: BTreeSet<String>,
}

impl Forger {
    fn of(bodies: &[String]) -> Self {
        let rows: Vec<Value> = bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect();
        let (mut at, mut of, mut sales, mut taken) =
            (BTreeMap::new(), BTreeMap::<String, Vec<usize>>::new(), Vec::new(), BTreeSet::new());
        for (index, row) in rows.iter().enumerate() {
            let Some(lane) = row["lane"].as_u64() else { continue };
            let basket = &row["event"]["basket"];
            for kind in ["started", "resumed"] {
                if let Some(id) = basket[kind]["transaction"].as_str() {
                    at.insert(lane, id.to_owned());
                }
            }
            if let Some(id) = at.get(&lane) {
                of.entry(id.clone()).or_default().push(index);
            }
            if let Some(bought) = basket["line_added"]["returned"]["bought"]["transaction"].as_str() {
                taken.insert(bought.to_owned());
            }
            if let Some(id) = basket["completed"]["transaction"].as_str() {
                sales.push((id.to_owned(), of[id].clone()));
            }
            if ["suspended", "voided", "completed"].iter().any(|kind| basket.get(kind).is_some()) {
                at.remove(&lane);
            }
        }
        Self { rows, sales, taken }
    }

    fn forge(&mut self, forgery: &Forgery) -> Forged {
        let (mut used, mut piece) = (None, None);
        for (id, indexes) in self.sales.iter().filter(|(id, _)| !self.taken.contains(id)) {
            let rows = indexes.iter().map(|index| self.rows[*index].take()).collect();
            let mut sale = Sale { id: id.clone(), rows, used: used.clone(), piece: piece.clone() };
            let forged = (forgery.edit)(&mut sale);
            for (index, row) in indexes.iter().zip(sale.rows) {
                self.rows[*index] = row;
            }
            if forged {
                let (name, words, transaction) = (forgery.name, forgery.words, id.clone());
                self.taken.insert(transaction.clone());
                return Forged { name, transaction, expected: forgery.expected, words };
            }
            let completed = &self.rows[indexes[indexes.len() - 1]]["event"]["basket"]["completed"];
            let coupon = completed["coupons"].as_array().into_iter().flatten().find(|one| one["campaign"] == "cola");
            used = used.or_else(|| coupon?["serial"].as_str().map(str::to_owned));
            let serial = completed["lines"].as_array().into_iter().flatten().find_map(|line| line["serial"].as_str());
            piece = piece.or_else(|| serial.map(str::to_owned));
        }
        panic!("no sale of the day is right for {}", forgery.name);
    }
}
