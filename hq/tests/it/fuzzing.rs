//! Whatever a broker brings: it is understood or refused, never more. Held against mutations of `fuzz/corpus/message`, whose first
//! line is the topic.

#[path = "../../../fuzz/runner.rs"]
mod runner;

use aisle_hq::{Work, parse};

const ROUNDS: u64 = 20_000;

const PIECES: &[&[u8]] = &[
    b"aisle/v1/demo/",
    b"/box-1/",
    b"claim/",
    b"/request",
    b"hello",
    b"journal",
    b"reported",
    b"renew",
    b"head",
    b"state",
    b"ask",
    b"\n",
    b"{",
    b"}",
    b"\"",
    b":",
    b"0",
    b"-1",
    b"18446744073709551616",
    b"null",
    b"[]",
    b"\\u0000",
    b"\x28\xb5\x2f\xfd",
    b"\xff",
    b"+",
    b"#",
];

fn message(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (topic, payload) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let Ok(topic) = core::str::from_utf8(topic) else { return };
    match parse("demo", topic, payload) {
        Ok(Work::Claim { id, .. }) => assert!(id.len() == 32 && topic.contains(&id), "{topic}"),
        Ok(
            Work::Hello { box_id, .. }
            | Work::Batch { box_id, .. }
            | Work::Refused { box_id, .. }
            | Work::State { box_id, .. }
            | Work::Reported { box_id, .. }
            | Work::Renew { box_id, .. }
            | Work::Head { box_id, .. }
            | Work::Ask { box_id, .. },
        ) => {
            assert!(topic.starts_with("aisle/v1/demo/") && topic.contains(&format!("/{box_id}/")), "{topic}");
            assert!(!box_id.starts_with("claim-") && box_id.len() <= 64, "{topic}");
        }
        Ok(other) => panic!("no message brings {other:?}"),
        Err(reason) => assert!(!reason.is_empty()),
    }
}

#[test]
fn whatever_a_broker_brings_is_a_box_s_own_word_or_refused() {
    runner::hold("message", ROUNDS, PIECES, message);
}
