use crate::support::{Journal, TestBox, becomes, config, count, hq, message, tempdir};
use aisle_hq::{Work, hex, parse};
use checkout::wire::{BatchHeader, Topics, Verdict};

fn header(count: u32, raw: u32) -> BatchHeader {
    BatchHeader { journal: "j".into(), epoch: 1, first: 1, count, prev: "0".repeat(64), raw, hash: None }
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
    let mut journal = Journal::default();
    journal.add("a");
    let of_a = BatchHeader { hash: Some(hex(&journal.hash(1))), ..header(1, 2) };
    assert_eq!(reason(&message(&of_a, b"a\n")), "accepted");
    assert!(reason(&message(&of_a, b"b\n")).contains("changed on their way"));
}

#[test]
fn a_hello_with_numbers_no_box_has_counted_to_is_refused() {
    let topic = Topics::new("demo", "box-1").of("hello");
    let hello = |epoch: u64, head: u64| {
        let hello = serde_json::json!({"journal": "j", "epoch": epoch, "boot": 1, "connection": 1, "head": head, "acked": 0,
                                       "hash": "0".repeat(64), "datasets": {}, "version": "0.1.0"});
        parse("demo", &topic, hello.to_string().as_bytes()).map(|_| ())
    };
    assert_eq!(hello(1, 1), Ok(()));
    for (epoch, head) in [(u64::MAX, 1), (1, u64::MAX), (1 << 60, 1)] {
        assert!(hello(epoch, head).is_err());
    }
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
