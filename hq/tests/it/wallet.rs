use crate::support::{TestBox, config, count, hq, stored, tempdir};
use checkout::scan::WalletProvider;
use checkout::wire::{Answer, Question, WalletOutcome};
use checkout::words::{Money, Private, TenderId};

pub(crate) fn charge(tender: &str, amount: i64, code: &str) -> Question {
    Question::AuthoriseWallet {
        tender: TenderId::from(tender),
        amount: Money(amount),
        currency: "CNY".into(),
        provider: WalletProvider::Wechat,
        code: Private(code.into()),
    }
}

pub(crate) async fn outcome(one: &mut TestBox, id: u64, what: Question) -> WalletOutcome {
    one.ask(id, what).await;
    let reply = one.reply().await;
    assert_eq!(reply.id, id);
    let Answer::Wallet { outcome, .. } = reply.what else { panic!("not of a wallet: {reply:?}") };
    outcome
}

pub(crate) async fn next(one: &mut TestBox) -> WalletOutcome {
    let reply = one.reply().await;
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
    assert_eq!(outcome(&mut one, 7, query("p3")).await, WalletOutcome::Pending, "said at once");
    assert!(matches!(next(&mut one).await, WalletOutcome::Approved { .. }), "and what the provider says, when it does");

    // Asked about before it was asked for: the late request finds the tender closed.
    assert_eq!(outcome(&mut one, 8, query("p4")).await, WalletOutcome::NotFound);
    let late = outcome(&mut one, 9, charge("p4", 500, "134567890123456781")).await;
    assert!(!matches!(late, WalletOutcome::Approved { .. } | WalletOutcome::Pending), "{late:?}");

    assert_eq!(count(&dir, "SELECT count(*) FROM payment WHERE state = 'approved'"), 2);
    let stored = stored(&dir);
    let code = b"134567890123456";
    assert!(!stored.windows(code.len()).any(|window| window == code), "the code is nowhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_is_given_back_once_and_never_for_more_than_it_took() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut one = TestBox::connect(&hq, "box-1").await;
    let query = |tender: &str| Question::QueryWallet { tender: TenderId::from(tender) };
    let back = |tender: &str, of: &str, amount: i64, currency: &str| Question::RefundWallet {
        tender: TenderId::from(tender),
        of: TenderId::from(of),
        amount: Money(amount),
        currency: currency.into(),
    };
    let went = |outcome: &WalletOutcome, amount: i64| matches!(outcome, WalletOutcome::Approved { amount: went, .. } if went.0 == amount);
    outcome(&mut one, 1, charge("p1", 500, "134567890123456781")).await;
    outcome(&mut one, 2, charge("p2", 900, "134567890123456788")).await;
    let first = outcome(&mut one, 3, back("r1", "p1", 200, "CNY")).await;
    assert!(went(&first, 200), "{first:?}");
    for (id, asked) in [(4, back("r1", "p1", 200, "CNY")), (5, query("r1"))] {
        assert_eq!(outcome(&mut one, id, asked).await, first, "once, however often it is asked for");
    }
    let refused = [
        back("r1", "p1", 300, "CNY"),
        back("r2", "p1", 301, "CNY"),
        back("r3", "p1", 300, "EUR"),
        back("r4", "p2", 1, "CNY"),
        back("r5", "p9", 1, "CNY"),
        back("r6", "p1", 0, "CNY"),
        back("p1", "p1", 100, "CNY"),
        back("r7", "r1", 100, "CNY"),
        charge("r1", 200, "134567890123456781"),
    ];
    for (id, asked) in (6..).zip(refused) {
        let told = format!("{asked:?}");
        let said = outcome(&mut one, id, asked).await;
        assert!(matches!(said, WalletOutcome::Declined { .. }), "{told}: {said:?}");
    }
    // Asked about before it was asked for: the late request finds the tender closed.
    assert_eq!(outcome(&mut one, 30, query("r8")).await, WalletOutcome::NotFound);
    assert_eq!(outcome(&mut one, 31, back("r8", "p1", 300, "CNY")).await, WalletOutcome::NotFound);
    let rest = outcome(&mut one, 32, back("r9", "p1", 300, "CNY")).await;
    assert!(went(&rest, 300), "{rest:?}");
    let mut another = TestBox::connect(&hq, "box-2").await;
    let foreign = outcome(&mut another, 33, back("r10", "p1", 1, "CNY")).await;
    assert!(matches!(foreign, WalletOutcome::Declined { .. }), "no box gives back what another took");
    assert_eq!(count(&dir, "SELECT sum(amount) FROM payment_refund WHERE state = 'approved'"), 500);
}
