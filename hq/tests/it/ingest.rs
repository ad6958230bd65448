use crate::support::{Journal, TestBox, becomes, config, count, hq, sale, state, tempdir};
use checkout::wire::Verdict;

#[tokio::test(flavor = "multi_thread")]
async fn duplicates_overlaps_gaps_and_swapped_batches_leave_each_event_once() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    for number in 1..=30 {
        journal.sell(&format!("t{number}"), 100 + number);
    }
    let mut one = TestBox::connect(&hq, "box-1").await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));

    one.send(&journal, 1, 10).await;
    assert_eq!(one.ack().await.acked, 10);
    one.send(&journal, 1, 10).await;
    assert_eq!(one.ack().await.acked, 10);
    one.send(&journal, 5, 15).await;
    assert_eq!(one.ack().await.acked, 15);
    one.send(&journal, 21, 30).await;
    let gap = one.ack().await;
    assert_eq!((gap.acked, gap.expect), (15, Some(16)));
    one.send(&journal, 16, 20).await;
    assert_eq!(one.ack().await.acked, 20);
    one.send(&journal, 11, 30).await;
    let last = one.ack().await;
    assert_eq!((last.acked, last.expect, last.epoch), (30, None, 1));

    assert_eq!(count(&dir, "SELECT count(*) FROM journal_event"), 30);
    assert_eq!(count(&dir, "SELECT count(DISTINCT seq) FROM journal_event"), 30);
    assert_eq!(count(&dir, "SELECT sum(total) FROM sale"), (101..=130).sum::<i64>());
    assert_eq!(count(&dir, "SELECT count(*) FROM sale_line"), 30);
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_chain_raises_an_alarm_and_opens_a_new_epoch_in_which_no_sale_doubles() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    journal.sell("t2", 200);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.send(&journal, 1, 2).await;
    one.ack().await;

    let mut other = Journal::default();
    other.sell("t1", 100);
    other.add(r#"{"utc":1,"lane":null,"event":{"box":"booted"}}"#);
    other.sell("t3", 300);
    one.send(&other, 3, 3).await;
    assert!(matches!(one.welcome().await, Verdict::NewEpoch { epoch: 2, .. }));
    one.drain(&other, 2).await;

    assert_eq!(count(&dir, "SELECT count(*) FROM alarm WHERE kind = 'new_epoch'"), 1);
    assert_eq!(count(&dir, "SELECT count(*) FROM journal_event WHERE epoch = 2"), 3);
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 3);
    assert_eq!(count(&dir, "SELECT sum(total) FROM sale"), 600);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_the_broker_brings_twice_is_no_restored_disk() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    let first = one.hello_words(&journal);
    journal.sell("t2", 200);
    one.drain(&journal, 10).await;
    // The same words as at first: fewer rows than headquarters has by now.
    one.say("hello", first.clone()).await;
    assert_eq!(one.hello(&journal).await, Verdict::Continue { acked: 2, hash: aisle_hq::hex(&journal.hash(2)) });
    // Nor are they when the next start has been heard meanwhile.
    one.nonce += 1 << 32;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 2, .. }));
    journal.sell("t3", 300);
    one.drain(&journal, 10).await;
    one.say("hello", first).await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 3, .. }));
    assert_eq!(count(&dir, "SELECT epoch FROM box"), 1);
    assert_eq!(count(&dir, "SELECT head FROM box"), 3);
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_died_before_it_wrote_its_new_epoch_down_is_given_the_same_again() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut restored = journal.clone();
    journal.sell("t2", 200);
    journal.sell("t3", 300);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 10).await;
    restored.sell("t4", 400);
    (one.acked, one.nonce) = (1, one.nonce + (1 << 32));
    assert!(matches!(one.hello(&restored).await, Verdict::NewEpoch { epoch: 2, .. }));
    one.drain(&restored, 1).await;
    // It starts again, in the epoch its disk knows.
    (one.acked, one.epoch, one.nonce) = (1, 1, one.nonce + (1 << 32));
    restored.sell("t5", 500);
    assert!(matches!(one.hello(&restored).await, Verdict::NewEpoch { epoch: 2, .. }));
    one.drain(&restored, 1).await;
    // What is late of the epoch before says nothing.
    one.epoch = 1;
    one.send(&restored, 1, 2).await;
    one.epoch = 2;
    assert!(matches!(one.hello(&restored).await, Verdict::Continue { acked: 3, .. }));
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm WHERE kind = 'new_epoch'"), 1);
    assert_eq!(count(&dir, "SELECT count(*) FROM journal_event WHERE epoch = 2"), 3);
    assert_eq!(count(&dir, "SELECT sum(total) FROM sale"), 1500);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_disk_opens_a_new_epoch_and_its_new_sales_are_not_swallowed() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let backup = journal.clone();
    journal.sell("t2", 200);
    journal.sell("t3", 300);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 10).await;

    let mut restored = backup;
    one.acked = 1;
    restored.sell("t4", 400);
    assert!(matches!(one.hello(&restored).await, Verdict::NewEpoch { epoch: 2, .. }));
    one.drain(&restored, 10).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 4);
    assert_eq!(count(&dir, "SELECT sum(total) FROM sale"), 1000);

    // A clone whose head is not lower, but whose past differs at the acked number.
    let mut clone = Journal::default();
    for number in 0..5 {
        clone.sell(&format!("c{number}"), 1);
    }
    one.acked = 2;
    assert!(matches!(one.hello(&clone).await, Verdict::NewEpoch { epoch: 3, .. }));
    // It did not hear; asking again gives the same epoch.
    one.epoch = 2;
    one.acked = 2;
    assert!(matches!(one.hello(&clone).await, Verdict::NewEpoch { epoch: 3, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_box_that_sold_past_headquarters_on_a_restored_disk_is_told_whose_past_the_number_is() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let (mut journal, mut restored) = (Journal::default(), Journal::default());
    for past in [&mut journal, &mut restored] {
        past.sell("t1", 100);
    }
    journal.sell("t2", 200);
    restored.sell("t3", 300);
    restored.sell("t4", 400);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 2).await;
    // Its cursor is the backup's, where both pasts agree, and its head is beyond what headquarters has.
    one.acked = 1;
    let Verdict::Continue { acked: 2, hash } = one.hello(&restored).await else { panic!("both pasts agree at row 1") };
    assert_eq!(hash, aisle_hq::hex(&journal.hash(2)));
    assert_ne!(hash, aisle_hq::hex(&restored.hash(2)), "the box sees that this is not its past");
    one.acked = 2;
    assert!(matches!(one.hello(&restored).await, Verdict::NewEpoch { epoch: 2, .. }));
    one.drain(&restored, 3).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_journal_of_a_known_box_is_a_new_epoch_and_a_known_one_goes_on() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut one = TestBox::connect(&hq, "box-1").await;
    assert!(matches!(one.hello(&Journal::default()).await, Verdict::Continue { acked: 0, .. }));
    one.journal_id = "second".into();
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));
    one.drain(&journal, 1).await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 1, .. }));
    one.journal_id = "third".into();
    one.acked = 0;
    assert!(matches!(one.hello(&journal).await, Verdict::NewEpoch { epoch: 2, .. }));
    one.drain(&journal, 1).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 1);
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm WHERE kind = 'sale_conflict'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_is_set_aside_with_its_reason_and_blocks_nothing() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    journal.add("not json at all");
    journal.add(r#"{"utc":"noon","event":{}}"#);
    journal.add(vec![0xff, 0xfe]);
    journal.add(r#"{"utc":1,"event":{"basket":{"completed":{"transaction":"t9"}}}}"#);
    journal.add(r#"{"utc":1,"event":{"some":{"future":{"event":[1,2,{"x":null}]}}}}"#);
    journal.sell("t2", 200);
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 3).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 2);
    assert_eq!(count(&dir, "SELECT count(*) FROM dead_letter WHERE reason <> ''"), 4);
    assert_eq!(count(&dir, "SELECT count(*) FROM journal_event WHERE kind = 'some.future'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_completed_twice_with_other_content_is_an_alarm_and_the_first_stays() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.add(sale("t1", 1, 100));
    journal.add(sale("t1", 1, 100));
    journal.add(sale("t1", 1, 150));
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 1).await;
    assert_eq!(count(&dir, "SELECT total FROM sale"), 100);
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm WHERE kind = 'sale_conflict'"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn presence_follows_birth_and_will_and_an_older_will_changes_nothing() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let online = "SELECT count(*) FROM box WHERE online = 1";
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&Journal::default()).await;
    one.say("state", serde_json::to_vec(&state(true, 1, 1)).unwrap()).await;
    becomes(&dir, "SELECT count(*) FROM box WHERE store = 'Nanjing Road' AND online = 1", 1).await;
    drop(one);
    becomes(&dir, online, 0).await;

    let again = TestBox::connect(&hq, "box-1").await;
    again.say("state", serde_json::to_vec(&state(true, 1, 2)).unwrap()).await;
    becomes(&dir, online, 1).await;
    again.say("state", serde_json::to_vec(&state(false, 1, 1)).unwrap()).await;
    again.say("state", serde_json::to_vec(&state(true, 1, 3)).unwrap()).await;
    becomes(&dir, "SELECT connection FROM box", 3).await;
    assert_eq!(count(&dir, online), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_hq_asks_for_what_was_lost() {
    let dir = tempdir().unwrap();
    let broker = aisle_hq::Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let mut settings = config(&dir);
    settings.broker =
        aisle_hq::config::BrokerChoice::Remote { host: "127.0.0.1".into(), port: broker.address.port(), tls: None };
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let first = hq(&settings).await;
    let mut one = TestBox::connect(&first, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 1).await;
    first.stop().await;
    journal.sell("t2", 200);
    one.send(&journal, 2, 2).await;
    let _second = hq(&settings).await;
    let ack = one.ack().await;
    assert_eq!((ack.acked, ack.expect), (1, Some(2)));
    one.drain(&journal, 1).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn points_are_summed_by_member_once_also_those_of_goods_brought_back_by_somebody_else() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    let mut sell = |transaction: &str, what: serde_json::Value| {
        let mut body: serde_json::Value = serde_json::from_str(&sale(transaction, journal.head() + 1, 1000)).unwrap();
        let completed = body.pointer_mut("/event/basket/completed").and_then(|sale| sale.as_object_mut()).unwrap();
        completed.extend(what.as_object().unwrap().clone());
        journal.add(body.to_string());
    };
    sell("t1", serde_json::json!({"member": "m-1", "points": {"earned": 10, "burnt": 33}}));
    sell(
        "t2",
        serde_json::json!({"member": "m-2", "points": {"earned": 4},
        "points_back": [{"transaction": "t1", "member": "m-1", "taken": 3, "given": 11}]}),
    );
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.send(&journal, 1, 2).await;
    one.ack().await;
    one.send(&journal, 1, 2).await;
    one.ack().await;

    assert_eq!(count(&dir, "SELECT change FROM member_points WHERE member = 'm-1'"), 10 - 33 - 3 + 11);
    assert_eq!(count(&dir, "SELECT burnt FROM member_points WHERE member = 'm-1'"), 33);
    assert_eq!(count(&dir, "SELECT change FROM member_points WHERE member = 'm-2'"), 4);
    assert_eq!(count(&dir, "SELECT count(*) FROM sale_points"), 3);
}
