//! The payment desk with a provider whose hand the test holds: slow, silent, late, doubled; and headquarters killed in between.

use crate::support::{Journal, SOON, TestBox, becomes, config, count, hq, stored, tempdir};
use crate::wallet::{charge, next, outcome};
use aisle_hq::Hq;
use aisle_hq::pay::gift::Gifts;
use aisle_hq::pay::{Charge, Provider, Providers, Told, order_no};
use aisle_hq::store::Store;
use checkout::scan::{Printed, WalletProvider};
use checkout::wire::{Answer, Question, WalletOutcome};
use checkout::words::{LaneId, Money, Private, TenderId};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

const CODE: &str = "134567890123456781";

/// Answers as it is told to, and remembers who was charged how often.
#[derive(Default)]
struct Steered(Mutex<Hand>);

#[derive(Default)]
struct Hand {
    /// A charge is answered so much later.
    slow: Duration,
    says: BTreeMap<&'static str, Told>,
    charged: BTreeMap<String, u32>,
    refunded: BTreeMap<String, u32>,
    reversed: BTreeMap<String, u32>,
    news: Vec<(String, Told)>,
}

impl Steered {
    fn says(&self, call: &'static str, told: Told) {
        self.0.lock().unwrap().says.insert(call, told);
    }

    fn word(&self, call: &'static str) -> Told {
        self.0.lock().unwrap().says.get(call).cloned().unwrap_or(Told::Silent)
    }

    fn tells(&self, tender: &str, told: Told) {
        self.0.lock().unwrap().news.push((order_no("box-1", &tender.into()), told));
    }
}

impl Provider for Steered {
    fn charge(&self, order: &str, _charge: &Charge) -> Told {
        let slow = {
            let mut hand = self.0.lock().unwrap();
            *hand.charged.entry(order.into()).or_default() += 1;
            hand.slow
        };
        std::thread::sleep(slow);
        self.word("charge")
    }

    fn query(&self, _order: &str) -> Told {
        self.word("query")
    }

    fn reverse(&self, order: &str) -> Told {
        *self.0.lock().unwrap().reversed.entry(order.into()).or_default() += 1;
        self.word("reverse")
    }

    fn refund(&self, _order: &str, refund: &str, _amount: Money) -> Told {
        *self.0.lock().unwrap().refunded.entry(refund.into()).or_default() += 1;
        self.word("refund")
    }

    fn notices(&self) -> Vec<(String, Told)> {
        self.0.lock().unwrap().news.clone()
    }

    fn heard(&self, order: &str) {
        self.0.lock().unwrap().news.retain(|(told, _)| told != order);
    }
}

fn took(amount: i64) -> Told {
    Told::Approved { amount: Money(amount), reference: "4200".into() }
}

fn approved(outcome: &WalletOutcome, amount: i64) -> bool {
    matches!(outcome, WalletOutcome::Approved { amount: taken, .. } if taken.0 == amount)
}

async fn open(dir: &TempDir, steered: &Arc<Steered>) -> Hq {
    let config = config(dir);
    let store = Store::open(&config.data).unwrap();
    let gifts = Arc::new(Gifts::open(&config.data).unwrap());
    let mut hq = Hq::start_with(&config, store, Providers { wallets: steered.clone(), gifts }).await.unwrap();
    timeout(SOON, hq.up.wait_for(|up| *up)).await.unwrap().unwrap();
    hq
}

fn query(tender: &str) -> Question {
    Question::QueryWallet { tender: tender.into() }
}

fn refund(tender: &str, of: &str, amount: i64) -> Question {
    Question::RefundWallet { tender: tender.into(), of: of.into(), amount: Money(amount), currency: "CNY".into() }
}

/// As if the payment were older than it is: no test waits fifteen seconds.
fn age(dir: &TempDir, by_ms: i64) {
    crate::support::db(dir).execute("UPDATE payment SET at = at - ?1, asked_at = asked_at - ?1", [by_ms]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_holds_nobody_up_and_its_intent_is_in_the_database_before_it_answers() {
    let dir = tempdir().unwrap();
    let steered = Arc::new(Steered::default());
    steered.0.lock().unwrap().slow = Duration::from_secs(2);
    steered.says("charge", took(500));
    let hq = open(&dir, &steered).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.ask(1, charge("p1", 500, CODE)).await;
    becomes(&dir, "SELECT count(*) FROM payment WHERE state = 'asked'", 1).await;
    let mut journal = Journal::default();
    journal.sell("t-1", 500);
    one.hello(&journal).await;
    let begun = tokio::time::Instant::now();
    one.drain(&journal, 10).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "another box's sale did not wait for the provider");
    assert_eq!(count(&dir, "SELECT count(*) FROM payment WHERE state = 'asked'"), 1);
    assert!(approved(&next(&mut one).await, 500));
    assert_eq!(count(&dir, "SELECT count(*) FROM payment WHERE state = 'approved'"), 1, "durable before it is told");
}

#[tokio::test(flavor = "multi_thread")]
async fn headquarters_that_ended_in_between_asks_about_a_charge_and_never_repeats_it() {
    let dir = tempdir().unwrap();
    let steered = Arc::new(Steered::default());
    let first = open(&dir, &steered).await;
    let one = TestBox::connect(&first, "box-1").await;
    one.ask(1, charge("p1", 500, CODE)).await;
    becomes(&dir, "SELECT count(*) FROM payment WHERE state = 'asked'", 1).await;
    drop(one);
    first.stop().await;
    steered.says("query", took(500));
    let again = open(&dir, &steered).await;
    let mut one = TestBox::connect(&again, "box-1").await;
    assert_eq!(outcome(&mut one, 2, query("p1")).await, WalletOutcome::Pending);
    assert!(approved(&next(&mut one).await, 500));
    assert_eq!(outcome(&mut one, 3, charge("p1", 500, CODE)).await, outcome(&mut one, 4, query("p1")).await);
    assert_eq!(steered.0.lock().unwrap().charged.values().copied().collect::<Vec<_>>(), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_nobody_asks_about_any_more_is_looked_after_all_the_same() {
    let dir = tempdir().unwrap();
    let steered = Arc::new(Steered::default());
    let hq = open(&dir, &steered).await;
    let one = TestBox::connect(&hq, "box-1").await;
    one.ask(1, charge("p1", 500, CODE)).await;
    becomes(&dir, "SELECT count(*) FROM payment WHERE state = 'asked'", 1).await;
    drop(one);
    steered.says("query", took(500));
    age(&dir, 60_000);
    becomes(&dir, "SELECT count(*) FROM payment WHERE state = 'approved'", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_is_not_given_up_within_fifteen_seconds_and_stands_where_it_was_approved() {
    let dir = tempdir().unwrap();
    let steered = Arc::new(Steered::default());
    steered.says("charge", Told::Pending);
    steered.says("query", Told::Pending);
    steered.says("reverse", Told::Reversed);
    let hq = open(&dir, &steered).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let reverse = |tender: &str| Question::ReverseWallet { tender: tender.into() };
    assert_eq!(outcome(&mut one, 1, charge("p1", 500, CODE)).await, WalletOutcome::Pending);
    assert_eq!(outcome(&mut one, 2, reverse("p1")).await, WalletOutcome::Pending);
    assert!(steered.0.lock().unwrap().reversed.is_empty(), "the provider was not asked so soon");
    age(&dir, 16_000);
    assert_eq!(outcome(&mut one, 3, reverse("p1")).await, WalletOutcome::Reversed);
    assert_eq!(outcome(&mut one, 4, query("p1")).await, WalletOutcome::Reversed);
    let late = charge("p1", 500, CODE);
    assert_eq!(outcome(&mut one, 5, late).await, WalletOutcome::Reversed, "a late copy of the request charges nothing");

    steered.says("charge", took(700));
    assert!(approved(&outcome(&mut one, 6, charge("p2", 700, CODE)).await, 700));
    age(&dir, 16_000);
    assert!(approved(&outcome(&mut one, 7, reverse("p2")).await, 700), "its sale stands");
    assert_eq!(outcome(&mut one, 8, reverse("p3")).await, WalletOutcome::NotFound);
    assert_eq!(outcome(&mut one, 9, charge("p3", 500, CODE)).await, WalletOutcome::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn money_taken_after_it_was_given_up_is_told_to_the_box_until_it_has_gone_back_once() {
    let dir = tempdir().unwrap();
    let steered = Arc::new(Steered::default());
    steered.says("charge", Told::Pending);
    steered.says("reverse", Told::Reversed);
    let hq = open(&dir, &steered).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&Journal::default()).await;
    outcome(&mut one, 1, charge("p1", 500, CODE)).await;
    age(&dir, 16_000);
    outcome(&mut one, 2, Question::ReverseWallet { tender: "p1".into() }).await;
    steered.tells("p1", took(500));
    assert!(approved(&next(&mut one).await, 500));
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm WHERE kind = 'late_payment'"), 1);
    // The box was away just then: it is told when it says hello.
    one.hello(&Journal::default()).await;
    assert!(approved(&next(&mut one).await, 500));
    steered.tells("p1", took(500));
    assert_eq!(outcome(&mut one, 3, refund("p1-late", "p1", 501)).await, declined(), "never more than was taken");
    let back = || refund("p1-back", "p1", 500);
    one.ask(4, back()).await;
    becomes(&dir, "SELECT count(*) FROM payment_refund WHERE state = 'asked'", 1).await;
    steered.says("refund", took(500));
    one.ask(5, back()).await;
    becomes(&dir, "SELECT coalesce(sum(amount), 0) FROM payment_refund WHERE state = 'approved'", 500).await;
    let mut told = next(&mut one).await;
    while told == WalletOutcome::Pending {
        told = next(&mut one).await;
    }
    assert!(approved(&told, 500), "{told:?}");
    let numbers: Vec<String> = steered.0.lock().unwrap().refunded.keys().cloned().collect();
    assert_eq!(numbers, [order_no("box-1", &"p1-back".into())], "asked again under the same number only");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_comes_twice_or_is_of_a_stranger_changes_nothing() {
    let dir = tempdir().unwrap();
    let steered = Arc::new(Steered::default());
    steered.says("charge", took(500));
    let hq = open(&dir, &steered).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    assert!(approved(&outcome(&mut one, 1, charge("p1", 500, CODE)).await, 500));
    steered.tells("p1", took(500));
    steered.tells("p1", took(900));
    steered.tells("nobody-s", took(500));
    steered.tells("p1", Told::Declined { reason: "no".into() });
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(approved(&outcome(&mut one, 2, query("p1")).await, 500));
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gift_card_pays_what_is_on_it_says_what_is_left_and_takes_money_back() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let code = Printed::Gift.code("4242424242").unwrap();
    Gifts::open(dir.path()).unwrap().load(&code, Money(800), "CNY").unwrap();
    let mut one = TestBox::connect(&hq, "box-1").await;
    let balance = |code: &str| Question::GiftBalance { lane: LaneId(2), code: Private(code.into()) };
    let pays = |tender: &str, amount: i64| Question::AuthoriseWallet {
        tender: TenderId::from(tender),
        amount: Money(amount),
        currency: "CNY".into(),
        provider: WalletProvider::Gift,
        code: Private(code.clone()),
    };
    one.ask(1, balance(&code)).await;
    assert_eq!(one.reply().await.what, Answer::GiftBalance { lane: LaneId(2), balance: Some(Money(800)) });
    assert!(approved(&outcome(&mut one, 2, pays("g1", 500)).await, 500));
    assert!(approved(&outcome(&mut one, 3, pays("g1", 500)).await, 500), "once, however often");
    assert!(approved(&outcome(&mut one, 4, pays("g2", 500)).await, 300), "the rest is paid otherwise");
    assert!(matches!(outcome(&mut one, 5, pays("g3", 500)).await, WalletOutcome::Declined { .. }));
    assert!(approved(&outcome(&mut one, 6, refund("r1", "g2", 300)).await, 300));
    assert_eq!(outcome(&mut one, 7, refund("r2", "g2", 1)).await, declined());
    one.ask(8, balance(&code)).await;
    assert_eq!(one.reply().await.what, Answer::GiftBalance { lane: LaneId(2), balance: Some(Money(300)) });
    one.ask(9, balance("G-424242424299")).await;
    assert_eq!(one.reply().await.what, Answer::GiftBalance { lane: LaneId(2), balance: None });
    let cards = dir.path().join("gift.db");
    rusqlite::Connection::open(&cards).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    for stored in [stored(&dir), std::fs::read(cards).unwrap()] {
        assert!(!stored.windows(10).any(|window| window == b"4242424242"), "no code is kept");
    }
}

fn declined() -> WalletOutcome {
    WalletOutcome::Declined { reason: "not so much of this charge is left to give back".into() }
}
