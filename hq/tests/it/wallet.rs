use crate::support::{TestBox, config, count, db, hq};
use checkout::scan::WalletProvider;
use checkout::wire::{Answer, Question, WalletOutcome};
use checkout::words::{Money, Private, TenderId};
use tempfile::tempdir;

fn charge(tender: &str, amount: i64, code: &str) -> Question {
    Question::AuthoriseWallet {
        tender: TenderId::from(tender),
        amount: Money(amount),
        currency: "CNY".into(),
        provider: WalletProvider::Wechat,
        code: Private(code.into()),
    }
}

async fn outcome(one: &mut TestBox, id: u64, what: Question) -> WalletOutcome {
    one.ask(id, what).await;
    let reply = one.reply().await;
    assert_eq!(reply.id, id);
    let Answer::Wallet { outcome, .. } = reply.what else { panic!("not of a wallet: {reply:?}") };
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tender_is_charged_at_most_once_and_a_query_never_charges() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let query = |tender: &str| Question::QueryWallet { tender: TenderId::from(tender) };
    let first = outcome(&mut one, 1, charge("p1", 500, "134567890123456781")).await;
    assert!(matches!(first, WalletOutcome::Approved { amount: Money(500), .. }));
    assert_eq!(outcome(&mut one, 2, charge("p1", 500, "134567890123456788")).await, first);
    assert!(matches!(
        outcome(&mut one, 3, charge("p1", 600, "134567890123456781")).await,
        WalletOutcome::Declined { .. }
    ));
    assert_eq!(outcome(&mut one, 4, query("p1")).await, first);

    assert!(matches!(
        outcome(&mut one, 5, charge("p2", 500, "134567890123456788")).await,
        WalletOutcome::Declined { .. }
    ));
    assert_eq!(outcome(&mut one, 6, charge("p3", 500, "134567890123456789")).await, WalletOutcome::Pending);
    assert!(matches!(outcome(&mut one, 7, query("p3")).await, WalletOutcome::Approved { .. }));

    // Asked about before it was asked for: the late request finds the tender closed.
    assert_eq!(outcome(&mut one, 8, query("p4")).await, WalletOutcome::NotFound);
    let late = outcome(&mut one, 9, charge("p4", 500, "134567890123456781")).await;
    assert!(!matches!(late, WalletOutcome::Approved { .. } | WalletOutcome::Pending), "{late:?}");

    assert_eq!(count(&dir, "SELECT count(*) FROM wallet_payment WHERE state = 'approved'"), 2);
    db(&dir).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let stored = std::fs::read(dir.path().join("hq.db")).unwrap();
    let code = b"134567890123456";
    assert!(!stored.windows(code.len()).any(|window| window == code), "the code is nowhere");
}
