//! ZVT: captured messages, serial frames, and whole payments between the driver and its stand-in.

mod table;
mod terminals;
mod vectors;

use checkout::device::{CardOutcome, CardSlip, DeviceCommand, LastPayment, TerminalCommand, TerminalEvent};
use checkout::words::{Money, Mono, TenderId, Utc};
use drivers::zvt::{self, Context, Head, Message};
use drivers::{In, Out};
use serde_json::{Value, json};
use table::{Table, approved, tender};

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn hex(bytes: Option<&[u8]>) -> Option<String> {
    Some(bytes?.iter().map(|b| format!("{b:02X}")).collect())
}

/// What of `expect` the decoded message contradicts.
fn contradictions(message: &Message, expect: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, wanted) in expect.as_object().into_iter().flatten() {
        let got = of_head(name, message)
            .or_else(|| of_numbers(name, message, wanted))
            .or_else(|| of_texts(name, message, wanted))
            .unwrap_or_else(|| wanted.clone());
        if got != *wanted {
            wrong.push(format!("{name}: {wanted} but {got}"));
        }
    }
    wrong
}

fn of_head(name: &str, message: &Message) -> Option<Value> {
    if let Head::Registration { config, currency } = message.head {
        return match name {
            "config_byte" => Some(json!(format!("{config:02X}"))),
            "currency" => Some(json!(currency)),
            _ => None,
        };
    }
    if let Head::Version { software, status } = &message.head {
        return match name {
            "sw_version" => Some(json!(software)),
            "terminal_status" => Some(json!(status.map(|s| format!("{s:02X}")))),
            "terminal_id" => Some(json!(hex(message.fields.container(0x1F44)))),
            _ => None,
        };
    }
    if let Head::Abort(code) = message.head
        && name == "result_code"
    {
        return Some(json!(code.map(|c| format!("{c:02X}"))));
    }
    None
}

fn of_numbers(name: &str, message: &Message, wanted: &Value) -> Option<Value> {
    let fields = &message.fields;
    Some(match name {
        "result_code" if wanted.is_number() => json!(fields.result()),
        "result_code" => json!(fields.result().map(|c| format!("{c:02X}"))),
        "amount_minor" => json!(fields.amount()),
        "receipt_no" if wanted == "FFFF" => json!(hex(fields.bytes(0x87))),
        "receipt_no" => json!(fields.receipt()),
        "trace" => json!(fields.trace()),
        "tlv_1F2B_long_trace" => json!(fields.trace().map(|t| t.to_string())),
        "orig_trace" => json!(fields.number(0x37)),
        "turnover_no" => json!(fields.number(0x88)),
        "card_seq" => json!(fields.number(0x17)),
        "currency" => json!(fields.number(0x49)),
        "lines" => json!(zvt::block_lines(fields).len()),
        "receipt_type" => json!(fields.container(0x1F07).map(|b| b[0])),
        _ => return None,
    })
}

fn of_texts(name: &str, message: &Message, wanted: &Value) -> Option<Value> {
    let fields = &message.fields;
    Some(match name {
        "time" => json!(hex(fields.bytes(0x0C))),
        "date" => json!(hex(fields.bytes(0x0D))),
        "expiry" => json!(hex(fields.bytes(0x0E))),
        "auth" => json!(fields.text(0x3B)),
        "card_name" => json!(fields.text(0x8B)),
        "additional_text" => json!(fields.text(0x3C)),
        "terminal_id" => json!(fields.terminal()),
        "pan_masked" => json!(fields.pan().map(|pan| pan.as_str().replace('*', "E"))),
        "tlv_43" => json!(hex(fields.container(0x43))),
        "contains" => {
            let text = zvt::block_lines(fields).join("\n");
            json!(text.contains(wanted.as_str()?).then_some(wanted))
        }
        _ => return None,
    })
}

#[test]
fn captured_messages_decode_as_expected_and_malformed_ones_do_no_harm() {
    let Some(file) = vectors::read("zvt_apdus.json") else {
        return;
    };
    let (mut good, mut flagged, mut wrong) = (0, 0, Vec::new());
    for case in vectors::list(&file["apdus"]) {
        let Some(hex) = case["hex"].as_str() else {
            let parts = vectors::list(&case["segments"]).iter();
            let whole: String = parts.filter_map(Value::as_str).collect();
            check(case, &whole, &mut good, &mut flagged, &mut wrong);
            continue;
        };
        check(case, hex, &mut good, &mut flagged, &mut wrong);
    }
    println!("messages: {good} as expected, {flagged} flagged as malformed, wrong: {wrong:#?}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn check(case: &Value, hex: &str, good: &mut u32, flagged: &mut u32, wrong: &mut Vec<String>) {
    let id = case["id"].as_str().expect("id");
    let context = match id {
        "qw-completion-status-enquiry" => Context::StatusEnquiry,
        _ => Context::Any,
    };
    match zvt::decode(&bytes(hex), context) {
        Ok(message) if message.fields.stopped.is_none() => {
            let found = contradictions(&message, &case["expect"]);
            let debug = format!("{message:?}");
            let decoded = case["decoded"]["fields"].as_array().map_or(0, Vec::len);
            let read = message.fields.list.len();
            let bmps = matches!(message.control, [0x04, 0x0F] | [0x06, 0x0F | 0x01 | 0x22]);
            if !found.is_empty() {
                wrong.push(format!("{id}: {found:?}"));
            } else if bmps && decoded != read && case["decode_error"].is_null() {
                wrong.push(format!("{id}: {decoded} fields but {read}: {debug}"));
            } else {
                *good += 1;
            }
        }
        _ if !case["decode_error"].is_null() => *flagged += 1,
        other => wrong.push(format!("{id}: {other:?}")),
    }
}

#[test]
fn serial_frames_wrap_and_unwrap() {
    let Some(file) = vectors::read("zvt_apdus.json") else {
        return;
    };
    let mut agreed = 0;
    for case in vectors::list(&file["serial_frames"]) {
        let frame = bytes(case["frame_hex"].as_str().expect("hex"));
        let apdu = bytes(case["apdu_hex"].as_str().expect("hex"));
        assert_eq!(zvt::serial::wrap(&apdu), frame, "{case}");
        let mut noisy = vec![0x55, 0x10];
        noisy.extend_from_slice(&frame);
        let expected = (zvt::serial::Unwrapped::Apdu(apdu), noisy.len());
        assert_eq!(zvt::serial::unwrap_frame(&noisy), expected, "{case}");
        agreed += 1;
    }
    println!("serial frames: {agreed} agree");
}

#[test]
fn an_approved_payment_is_captured_when_it_is_acknowledged() {
    let mut table = Table::of(&zvt::SPEC, &Value::Null);
    table.authorise(1250);
    table.run(10_000);
    let slip = approved(table.outcome());
    assert_eq!(slip.amount, Money(1250));
    assert_eq!((slip.trace, slip.receipt), (101, 101));
    assert_eq!(slip.pan.as_ref().map(|p| p.as_str()), Some("622588******6782"));
    assert_eq!((slip.scheme.as_str(), slip.terminal.as_str()), ("UnionPay", "52500042"));
    assert_eq!(slip.text, ["AUTH NO 000101"]);
    assert!(table.ended() && table.failed.is_none() && !table.open);
    assert_eq!(table.charges(), [(1250, "captured".into())]);
    let texts = table.events.iter().filter(|e| matches!(e, TerminalEvent::Progress { .. }));
    assert_eq!(texts.count(), 3);
    assert!(matches!(table.ask(), Some(LastPayment::Approved(slip)) if slip.trace == 101));
}

#[test]
fn an_answer_that_is_never_made_durable_is_taken_back() {
    let mut table = Table::of(&zvt::SPEC, &Value::Null);
    table.acknowledge = false;
    table.authorise(1250);
    table.run(60_000);
    approved(table.outcome());
    assert!(!table.open && !table.ended());
    assert_eq!(table.charges(), [(1250, "reversed".into())]);
    assert_eq!(table.ask(), Some(LastPayment::Nothing));
}

#[test]
fn a_slow_disk_asks_for_patience_and_the_answer_is_acknowledged_when_it_is_said_again() {
    for spec in [&zvt::SPEC, &zvt::SERIAL] {
        let mut table = Table::of(spec, &Value::Null);
        table.acknowledge = false;
        table.authorise(1250);
        table.run(4_500);
        approved(table.outcome());
        assert_eq!(table.sim.state()["patience"], 1, "{}", spec.name);
        table.acknowledge = true;
        // Durable between the two: what is acknowledged is the second saying.
        table.tell(TerminalCommand::Acknowledge { tender: tender() });
        assert_eq!(table.charges(), [(1250, "pending".into())]);
        table.run(10_000);
        assert_eq!(table.charges(), [(1250, "captured".into())], "{}", spec.name);
        assert!(table.ended() && table.failed.is_none(), "{:?}", table.failed);
        let answers = table.events.iter().filter(|event| matches!(event, TerminalEvent::Answered { .. }));
        assert_eq!(answers.count(), 1);
        // Durable after the second saying.
        let mut table = Table::of(spec, &Value::Null);
        table.acknowledge = false;
        table.authorise(1250);
        table.run(7_000);
        table.tell(TerminalCommand::Acknowledge { tender: tender() });
        table.run(10_000);
        assert_eq!(table.charges(), [(1250, "captured".into())], "{}", spec.name);
        assert!(table.ended());
    }
}

#[test]
fn more_lines_than_a_receipt_holds_are_left_to_the_terminal() {
    let mut driver = table::driver(&zvt::SPEC);
    let mut send = |bytes: &[u8]| {
        let mut out = drivers::Out::default();
        driver.handle(checkout::words::Mono(0), drivers::In::Bytes(bytes), &mut out);
        out.bytes
    };
    for _ in 0..200 {
        assert_eq!(send(b"\x06\xd1\x02\x40A"), b"\x80\x00\x00");
    }
    assert_eq!(send(b"\x06\xd1\x02\x40A"), b"\x84\xcc\x00");
}

#[test]
fn refusals_of_either_side_are_told_in_words() {
    for (hex, code, text) in [
        ("846600", "66", "goods not issued"),
        ("849c00", "9C", "please wait and ask again"),
        ("849d07040000000012504900", "9D", "part of the goods issued"),
        ("84cc00", "CC", "printer not ready"),
        ("848300", "83", "command not supported"),
    ] {
        let told = drivers::decode::decoder("zvt").expect("a decoder")(&bytes(hex), None);
        assert_eq!((&told["result_code"], &told["text"]), (&json!(code), &json!(text)), "{told}");
        assert!(code != "9D" || told["amount_minor"] == 1250, "{told}");
    }
}

#[test]
fn a_refused_card_is_declined_with_its_code() {
    let mut table = Table::of(&zvt::SPEC, &Value::Null);
    table.control(json!({"decline": 0x6C}));
    table.authorise(500);
    table.run(10_000);
    assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 0x6C }));
    assert!(table.ended() && table.charges().is_empty());
}

#[test]
fn a_broken_answer_never_looks_approved() {
    for (behaviour, charged) in
        [("hang_up_mid_answer", vec![(500, "reversed".to_owned())]), ("hang", vec![]), ("garbage", vec![])]
    {
        let mut table = Table::of(&zvt::SPEC, &Value::Null);
        table.control(json!({"behaviour": behaviour}));
        table.authorise(500);
        table.run(400_000);
        assert_eq!(table.outcome(), None, "{behaviour}");
        assert!(!table.open || behaviour == "hang", "{behaviour}");
        assert_eq!(table.charges(), charged, "{behaviour}");
    }
}

#[test]
fn a_terminal_at_work_is_given_its_time_and_a_dead_one_is_not() {
    let mut table = Table::of(&zvt::SPEC, &Value::Null);
    table.control(json!({"behaviour": "hang"}));
    table.authorise(500);
    table.run(170_000);
    assert_eq!(table.failed, None);
    table.run(20_000);
    assert_eq!(table.failed.as_deref(), Some("the terminal is silent"));
}

#[test]
fn once_acknowledged_it_stands_even_if_the_line_dies() {
    let mut table = Table::of(&zvt::SPEC, &Value::Null);
    table.control(json!({"behaviour": "hang_up_after_answer", "slow": 100}));
    table.authorise(700);
    table.run(10_000);
    assert_eq!(table.charges(), [(700, "captured".into())]);
    assert!(!table.ended());
    assert!(matches!(table.ask(), Some(LastPayment::Approved(_))));
}

#[test]
fn a_shopper_may_give_up_and_another_may_tap() {
    let mut table = Table::of(&zvt::SPEC, &Value::Null);
    table.control(json!({"wait_for_card": true}));
    table.authorise(900);
    table.run(30_000);
    assert_eq!(table.sim.state()["wants_card"], true);
    table.tell(TerminalCommand::Abort { tender: tender() });
    table.run(1_000);
    assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 0x6C }));
    assert!(table.ended() && table.charges().is_empty());
    table.events.clear();
    table.authorise(900);
    table.run(1_000);
    table.control(json!({"tap": "4111111111111111"}));
    table.run(1_000);
    let pan = approved(table.outcome()).pan.as_ref().map(|p| p.as_str().to_owned());
    assert_eq!(pan.as_deref(), Some("411111******1111"));
}

#[test]
fn wherever_the_line_dies_captured_money_is_known_and_only_captured_money() {
    let mut fates = [0, 0];
    for cut in 0..400 {
        let mut table = Table::of(&zvt::SPEC, &Value::Null);
        table.bytes_left = cut;
        table.authorise(1250);
        table.run(300_000);
        table.hang_up();
        let captured = table.charges() == [(1250, "captured".into())];
        fates[usize::from(captured)] += 1;
        if captured {
            assert_eq!(approved(table.outcome()).amount, Money(1250), "cut at {cut}");
        } else {
            assert!(!table.ended(), "cut at {cut}");
        }
        table.bytes_left = usize::MAX;
        let approved = matches!(table.ask(), Some(LastPayment::Approved(_)));
        assert_eq!(approved, captured, "cut at {cut}");
    }
    assert!(fates.iter().all(|count| *count > 10), "{fates:?}");
}

#[test]
fn a_decoded_message_never_shows_a_whole_card_number() {
    let status = bytes("040f10270022f0f8411111111111111104000000");
    let line = [b"\x06\xd1\x11\x00".as_slice(), b"4111111111111111"].concat();
    for apdu in [status, line] {
        let shown = format!("{:?}", zvt::decode(&apdu, Context::Any));
        assert!(shown.contains("411111******1111"), "{shown}");
    }
}

#[test]
fn an_abort_that_comes_to_nothing_is_given_up_soon_and_asked_about() {
    let mut driver = (zvt::SPEC.build)(&json!({"password": "000000", "currency": 156})).expect("options");
    let mut tell = |now, input: In<'_>| {
        let mut out = Out::default();
        driver.handle(Mono(now), input, &mut out);
        out
    };
    let terminal = |command| In::Command(Box::leak(Box::new(DeviceCommand::Terminal(command))));
    let tender = || "tender-1".into();
    tell(0, In::Opened);
    tell(0, terminal(TerminalCommand::Authorise { tender: tender(), amount: Money(100), at: Utc(0) }));
    tell(10, In::Bytes(b"\x80\0\0\x06\x0f\0"));
    let waits = tell(20, In::Bytes(b"\x80\0\0\x04\xff\x01\x0a"));
    assert_eq!(waits.wake_at, Some(Mono(180_020)), "a card may take its time");
    let aborts = tell(30_000, terminal(TerminalCommand::Abort { tender: tender() }));
    assert_eq!((aborts.bytes.as_slice(), aborts.wake_at), (b"\x06\xb0\0".as_slice(), Some(Mono(40_000))));
    assert_eq!(tell(40_000, In::Timeout).failed.as_deref(), Some("the terminal is silent"));
}

#[test]
fn wherever_the_line_dies_the_last_word_tells_a_refund_that_was_made() {
    let back = TenderId::from("tender-2");
    let ways = |of: &CardSlip| {
        let (of, at) = (Box::new(of.clone()), Utc(0));
        [
            TerminalCommand::Refund { tender: back.clone(), amount: Money(700), at },
            TerminalCommand::Reverse { tender: back.clone(), of, at },
        ]
    };
    let mut fates = [0, 0];
    for cut in 0..260 {
        for way in 0..2 {
            let mut table = Table::of(&zvt::SPEC, &Value::Null);
            table.authorise(1250);
            table.run(10_000);
            let paid = approved(table.outcome()).clone();
            table.events.clear();
            table.bytes_left = cut;
            table.tell(ways(&paid)[way].clone());
            table.run(300_000);
            table.hang_up();
            let reversed = table.charges() == [(1250, "reversed".into())];
            let went = reversed || table.sim.state()["refunds"] == json!([700]);
            fates[usize::from(went)] += 1;
            let answered = matches!(table.outcome(), Some(CardOutcome::Approved(_)));
            assert!(answered || !went, "cut at {cut}: what went back was stated and acknowledged before");
            table.bytes_left = usize::MAX;
            let Some(LastPayment::Approved(last)) = table.ask() else { panic!("cut at {cut}: it did something last") };
            assert_eq!(last.trace != paid.trace, went, "cut at {cut}: a new number only where money went back");
        }
    }
    assert!(fates.iter().all(|count| *count > 10), "{fates:?}");
}
