use crate::support::{Journal, TestBox, becomes, config, count, hq, message, tempdir};
use aisle_hq::{Work, parse};
use checkout::wire::{BatchHeader, Topics, Verdict};

fn header(count: u32, raw: u32) -> BatchHeader {
    BatchHeader { journal: "j".into(), epoch: 1, first: 1, count, prev: "0".repeat(64), raw }
}

fn reason(payload: &[u8]) -> String {
    let topic = Topics::new("demo", "box-1").of("journal");
    match parse("demo", &topic, payload) {
        Ok(Work::Refused { reason, .. }) => reason.to_string(),
        Ok(_) => "accepted".into(),
        Err(reason) => reason.into(),
    }
}

#[test]
fn batches_that_lie_are_refused_with_bounded_memory() {
    let before = peak_kib();
    let bomb = vec![b'\n'; 64 * 1024 * 1024];
    let packed = zstd::bulk::compress(&bomb, 19).unwrap();
    drop(bomb);
    let after_making = peak_kib();
    let mut lying = serde_json::to_vec(&header(10, 100)).unwrap();
    lying.push(b'\n');
    lying.extend(&packed);
    assert!(reason(&lying).contains("zstd"), "a bomb behind a small size");
    let mut huge = serde_json::to_vec(&header(10, u32::MAX)).unwrap();
    huge.push(b'\n');
    huge.extend(&packed);
    assert!(reason(&huge).contains("impossible"), "an honest bomb");
    assert!(peak_kib() - after_making < 8 * 1024, "{before} {after_making} {}", peak_kib());

    assert!(reason(b"").contains("header"));
    assert!(reason(&vec![b'x'; 100_000]).contains("header"));
    assert!(reason(b"{}\nxx").contains("header"));
    assert!(reason(&message(&header(2, 2), b"a\n")).contains("count"));
    assert!(reason(&message(&header(2, 2), b"ab")).contains("zstd"));
    assert!(reason(&message(&header(1, 2), b"\n\n")).contains("count"));
    assert!(reason(&message(&header(0, 2), b"a\n")).contains("impossible"));
    let last = BatchHeader { first: u64::MAX, ..header(1, 2) };
    assert!(reason(&message(&last, b"a\n")).contains("impossible"));
    assert_eq!(reason(&message(&header(1, 2), b"a\n")), "accepted");
}

#[test]
fn topics_of_others_are_refused() {
    let own = Topics::new("demo", "box-1").of("hello");
    assert!(parse("other", &own, b"{}").is_err());
    assert!(parse("demo", "aisle/v1/demo/99/box-1/hello", b"{}").is_err());
    assert!(parse("demo", &Topics::new("demo", "<b>").of("hello"), b"{}").is_err());
    assert!(parse("demo", &Topics::new("demo", &"x".repeat(65)).of("hello"), b"{}").is_err());
    assert!(parse("demo", &own, b"{").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_every_topic_is_counted_and_the_next_sale_gets_through() {
    let dir = tempdir().unwrap();
    let hq = hq(&config(&dir)).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut one = TestBox::connect(&hq, "box-1").await;
    for leaf in ["hello", "journal", "state", "ask"] {
        one.say(leaf, vec![0xff; 4000]).await;
        one.say(leaf, "{}").await;
    }
    becomes(&dir, "SELECT coalesce(max(count), 0) FROM alarm WHERE kind = 'batch_refused'", 2).await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));
    one.drain(&journal, 1).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 1);
}

fn peak_kib() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
