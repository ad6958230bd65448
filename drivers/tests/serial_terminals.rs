//! Card terminals on serial lines besides ZVT: Transbank's frames and messages, CodePay's; whole payments with their stand-ins.

mod table;
mod vectors;

use checkout::device::{CardOutcome, DeviceCommand, LastPayment, TerminalCommand, TerminalEvent, TerminalService};
use checkout::words::{Money, Mono, Utc};
use drivers::decode::{decoder, frame};
use drivers::stx::{self, Check, NEXI, TRANSBANK};
use drivers::{In, Out, Spec, codepay};
use serde_json::{Value, json};
use table::{Table, approved, driver, tender};

const BOTH: [&Spec; 2] = [&stx::SPEC, &codepay::SPEC];

fn told(name: &str, hex: &str, context: Option<&str>) -> Value {
    decoder(name).expect("a decoder")(&frame(hex).expect("hex"), context)
}

#[test]
fn every_shared_frame_of_serial_terminals_agrees() {
    let Some(file) = vectors::read("payment_serial_misc.json") else {
        return;
    };
    let (mut agreed, mut all) = (0, 0);
    let transbank = &file["transbank_stx_etx_lrc"];
    assert_eq!((&transbank["ack"], &transbank["nak"]), (&json!("06"), &json!("15")));
    for case in vectors::list(&transbank["vectors"]) {
        let (hex, data) = (case["hex"].as_str().expect("hex"), case["data"].as_str().expect("text"));
        let bytes = frame(hex).expect("hex");
        assert_eq!(stx::wrap(data, TRANSBANK), bytes);
        assert_eq!(stx::unwrap(&bytes, TRANSBANK), (stx::Unwrapped::Text(data.into()), bytes.len()));
        let told = told("transbank", hex, None);
        assert_eq!((&told["ok"], &told["lrc"], &told["data"]), (&json!(true), &case["documented_lrc"], &json!(data)));
        // Another maker's rule: the seed is the only difference, and each refuses the other's frames.
        assert_eq!(NEXI.of(data.as_bytes()), TRANSBANK.of(data.as_bytes()) ^ 0x7F);
        assert_eq!(self::told("transbank", hex, Some("nexi"))["ok"], false);
        (agreed, all) = (agreed + 1, all + 1);
    }
    for case in vectors::list(&file["codepay_wiseasy"]["vectors"]) {
        let hex = case["hex"].as_str().expect("hex");
        let told = told("codepay", hex, None);
        assert_eq!(told["ok"], case["ok"], "{case}");
        let ctrl = match case["meaning"].as_str().expect("text") {
            "handshake request" => "HANDSHAKE",
            "handshake confirm" => "CONFIRM",
            "heartbeat" => "HEARTBEAT",
            other => panic!("{other}"),
        };
        assert_eq!(told["ctrl"], ctrl);
        let bytes = frame(hex).expect("hex");
        let (found, used) = codepay::Frame::find(&bytes);
        assert_eq!((found.expect("a frame").encode(), used), (bytes.clone(), bytes.len()));
        let mut damaged = bytes;
        damaged[4] ^= 1;
        assert_eq!(codepay::Frame::find(&damaged).0, None);
        (agreed, all) = (agreed + 1, all + 1);
    }
    assert_eq!(file["codepay_wiseasy"]["max_frame"], 1024);
    assert_eq!(file["nexi_traditionalpos"]["retries"], 3);
    println!("serial terminals: {agreed}/{all} frames agree");
    assert_eq!(agreed, 4);
}

#[test]
fn check_bytes_may_count_their_brackets() {
    let text = b"abc";
    let plain = Check { seed: 0, stx: false, etx: false }.of(text);
    assert_eq!(Check { seed: 0, stx: true, etx: true }.of(text), plain ^ 0x02 ^ 0x03);
    assert_eq!(Check { seed: 0x7F, stx: true, etx: false }.of(text), plain ^ 0x7F ^ 0x02);
}

#[test]
fn an_approved_payment_is_known_before_and_after() {
    for spec in BOTH {
        let mut table = Table::of(spec, &Value::Null);
        table.authorise(15_000);
        table.run(20_000);
        let slip = approved(table.outcome()).clone();
        assert_eq!((slip.amount, slip.scheme.as_str()), (Money(15_000), "Visa"), "{}", spec.name);
        assert!(table.ended() && table.failed.is_none(), "{}: {:?}", spec.name, table.failed);
        assert_eq!(table.charges(), [(15_000, "captured".into())]);
        assert!(
            matches!(table.ask(), Some(LastPayment::Approved(again)) if again.trace == slip.trace && again.trace > 0)
        );
        let progress = table.events.iter().filter(|event| matches!(event, TerminalEvent::Progress { .. }));
        assert!(progress.count() > 0);
    }
}

#[test]
fn of_a_card_only_the_last_digits_are_kept() {
    let mut table = Table::of(&stx::SPEC, &Value::Null);
    table.authorise(500);
    table.run(20_000);
    assert_eq!(approved(table.outcome()).pan.as_ref().map(|pan| pan.as_str()), Some("************1111"));
    assert_eq!(approved(table.outcome()).text, ["OPERACION: 000101 AUTORIZACION: XZ1234"]);
    // The debit account behind the card is in no answer of the decoder's.
    let text =
        "0210|00|597029414300|75001087|AB123|XZ1234|500|0||6677|60|DB|091126|4111111111111111|DB|22112026|101112|||";
    let hex: String = stx::wrap(text, TRANSBANK).iter().map(|byte| format!("{byte:02X}")).collect();
    let told = told("transbank", &hex, None);
    for (name, wanted) in [
        ("amount_minor", json!(500)),
        ("currency", json!("CLP")),
        ("result_code", json!(0)),
        ("trace", json!(60)),
        ("receipt_no", json!(60)),
        ("pan_masked", json!("************6677")),
        ("ctrl", json!("0210")),
        ("ok", json!(true)),
    ] {
        assert_eq!(told[name], wanted, "{told}");
    }
    assert!(!told.to_string().contains("411111"), "{told}");
}

#[test]
fn the_slip_comes_to_the_receipt_where_it_is_asked_for() {
    let mut table = Table::of(&stx::SPEC, &Value::Null);
    table.driver = (stx::SPEC.build)(&json!({"voucher": true})).expect("options");
    table.authorise(500);
    table.run(20_000);
    let text = &approved(table.outcome()).text;
    assert_eq!(text.first().map(|row| row.trim()), Some("TRANSBANK"), "{text:?}");
    assert!(text[1].contains("COPIA CLIENTE") && text.len() == 4, "{text:?}");
}

#[test]
fn a_decline_ends_and_charges_nothing() {
    for (spec, verb, code) in
        [(&stx::SPEC, json!({"decline": 93}), 93), (&codepay::SPEC, json!({"behaviour": "decline"}), 1)]
    {
        let mut table = Table::of(spec, &Value::Null);
        table.control(verb);
        table.authorise(500);
        table.run(20_000);
        assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code }), "{}", spec.name);
        assert!(table.ended() && table.charges().is_empty());
        assert_eq!(table.ask(), Some(LastPayment::Nothing), "{}", spec.name);
    }
}

#[test]
fn a_refusal_without_a_state_is_asked_about_before_it_is_believed() {
    let mut table = Table::of(&codepay::SPEC, &Value::Null);
    table.control(json!({"behaviour": "refuse"}));
    table.authorise(500);
    table.run(20_000);
    assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 1 }));
    assert!(table.ended() && table.charges().is_empty());
    // Without a state anywhere nobody is told to pay again: staff decide.
    let mut table = Table::of(&codepay::SPEC, &Value::Null);
    table.control(json!({"behaviour": "forget"}));
    table.authorise(500);
    table.run(20_000);
    assert_eq!(table.outcome(), None);
    assert_eq!(table.failed.as_deref(), Some("the terminal cannot say what became of the order"));
    table.driver = driver(&codepay::SPEC);
    assert_eq!(table.ask(), Some(LastPayment::Unknown));
}

#[test]
fn a_lost_answer_is_asked_about_and_never_charged_again() {
    for spec in BOTH {
        for behaviour in ["lose_answer", "garbage"] {
            let mut table = Table::of(spec, &Value::Null);
            table.control(json!({"behaviour": behaviour}));
            table.authorise(700);
            table.run(400_000);
            assert_eq!(table.charges(), [(700, "captured".into())], "{} {behaviour}", spec.name);
            if !table.ended() {
                assert!(table.failed.is_some(), "{} {behaviour}", spec.name);
                table.driver = driver(spec);
                assert!(matches!(table.ask(), Some(LastPayment::Approved(slip)) if slip.amount == Money(700)));
            }
            assert_eq!(table.charges().len(), 1);
        }
    }
}

#[test]
fn an_answer_waits_for_the_core_and_a_dead_terminal_is_given_up() {
    for spec in BOTH {
        let mut table = Table::of(spec, &Value::Null);
        table.acknowledge = false;
        table.authorise(700);
        table.run(60_000);
        approved(table.outcome());
        assert!(!table.ended(), "{}", spec.name);
        assert_eq!(table.failed.as_deref(), Some("the answer was not made durable in time"));
        // It stands at the terminal, and the next question says so.
        table.driver = driver(spec);
        assert!(matches!(table.ask(), Some(LastPayment::Approved(_))), "{}", spec.name);
        let mut table = Table::of(spec, &Value::Null);
        table.control(json!({"behaviour": "hang"}));
        table.authorise(700);
        table.run(200_000);
        assert!(table.failed.is_some() && table.outcome().is_none() && table.charges().is_empty(), "{}", spec.name);
    }
}

#[test]
fn a_terminal_that_tells_its_steps_and_falls_silent_is_asked_before_the_lane_gives_up() {
    let mut table = Table::of(&stx::SPEC, &Value::Null);
    table.control(json!({"behaviour": "lose_answer"}));
    table.authorise(700);
    table.run(60_000);
    assert_eq!(table.failed, None, "a shopper may take a minute");
    table.run(20_000);
    assert_eq!(table.failed.as_deref(), Some("the terminal is silent"));
    assert_eq!(table.charges(), [(700, "captured".into())]);
    table.driver = driver(&stx::SPEC);
    assert!(matches!(table.ask(), Some(LastPayment::Approved(slip)) if slip.amount == Money(700)));
}

#[test]
fn an_answer_that_stays_damaged_is_asked_about_soon() {
    let mut table = Table::of(&stx::SPEC, &Value::Null);
    table.control(json!({"behaviour": "lose_answer"}));
    table.authorise(700);
    table.run(10_000);
    let mut damaged = Out::default();
    damaged.send(b"\x020210|00|\x7f\x03\x01");
    table.heed_sim(damaged);
    table.run(10_000);
    assert_eq!(table.failed, None, "it may be sent again yet");
    table.run(10_000);
    assert_eq!(table.failed.as_deref(), Some("the terminal is silent"));
    table.driver = driver(&stx::SPEC);
    assert!(matches!(table.ask(), Some(LastPayment::Approved(slip)) if slip.amount == Money(700)));
}

#[test]
fn wherever_the_line_dies_captured_money_is_known_and_only_captured_money() {
    for (spec, bytes) in [(&stx::SPEC, 160), (&codepay::SPEC, 700)] {
        let mut fates = [0, 0];
        for cut in 0..bytes {
            let mut table = Table::of(spec, &Value::Null);
            table.bytes_left = cut;
            table.authorise(1_250);
            table.run(400_000);
            table.hang_up();
            let captured = table.charges() == [(1_250, "captured".into())];
            fates[usize::from(captured)] += 1;
            table.bytes_left = usize::MAX;
            table.run(30_000);
            table.driver = driver(spec);
            let known = match table.ask() {
                Some(LastPayment::Approved(slip)) => slip.amount == Money(1_250),
                Some(LastPayment::Nothing | LastPayment::Unknown) => false,
                None => panic!("{} cut at {cut}: no answer, {:?}", spec.name, table.failed),
            };
            assert_eq!(known, captured, "{} cut at {cut}", spec.name);
            assert!(table.charges().len() <= 1, "{} cut at {cut}", spec.name);
        }
        assert!(fates.iter().all(|count| *count > 10), "{} {fates:?}", spec.name);
    }
}

#[test]
fn a_payment_is_cancelled_once_and_by_its_own_name() {
    for (spec, again) in [(&stx::SPEC, 4), (&codepay::SPEC, 1)] {
        let mut table = Table::of(spec, &Value::Null);
        table.authorise(1_250);
        table.run(20_000);
        let of = Box::new(approved(table.outcome()).clone());
        table.events.clear();
        table.tell(TerminalCommand::Reverse { tender: "tender-2".into(), of: of.clone(), at: Utc(0) });
        table.run(20_000);
        assert_eq!(approved(table.outcome()).amount, Money(1_250), "{}", spec.name);
        assert_eq!(table.charges(), [(1_250, "reversed".into())], "{}", spec.name);
        table.events.clear();
        table.tell(TerminalCommand::Reverse { tender: "tender-3".into(), of, at: Utc(0) });
        table.run(20_000);
        assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: again }), "{}", spec.name);
        table.events.clear();
        table.tell(TerminalCommand::Refund { tender: tender(), amount: Money(5), at: Utc(0) });
        assert!(matches!(table.outcome(), Some(CardOutcome::Declined { .. })) && table.ended(), "{}", spec.name);
    }
}

#[test]
fn the_day_is_told_and_closed_and_keys_are_loaded() {
    let mut table = Table::of(&stx::SPEC, &Value::Null);
    for amount in [1_000, 2_500] {
        table.authorise(amount);
        table.run(20_000);
    }
    for service in
        [TerminalService::Status, TerminalService::Diagnosis, TerminalService::Reprint, TerminalService::EndOfDay]
    {
        table.events.clear();
        table.tell(TerminalCommand::Service { tender: tender(), service });
        table.run(20_000);
        assert_eq!(table.events.last(), Some(&TerminalEvent::Serviced { tender: tender(), service, code: 0 }));
    }
    let lines = vec!["ventas: 2".to_owned(), "total: 3500".to_owned()];
    assert!(table.events.contains(&TerminalEvent::Printed { tender: tender(), lines }));
    let state = table.sim.state();
    assert_eq!((&state["closed"], &state["keys"]), (&json!(1), &json!(1)));
    assert!(state["polls"].as_u64() >= Some(3), "{state}");
    table.events.clear();
    table.tell(TerminalCommand::Service { tender: tender(), service: TerminalService::LogOff });
    let refused = TerminalEvent::Serviced { tender: tender(), service: TerminalService::LogOff, code: 12 };
    assert_eq!(table.events.last(), Some(&refused));
}

#[test]
fn a_shopper_gives_up_where_the_terminal_lets_them() {
    let mut table = Table::of(&codepay::SPEC, &json!({"wait_for_card": true}));
    table.authorise(900);
    table.run(30_000);
    assert_eq!(table.sim.state()["wants_card"], true);
    table.tell(TerminalCommand::Abort { tender: tender() });
    table.run(20_000);
    assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 3 }));
    assert!(table.ended());
    // A card that came before was paid.
    let mut table = Table::of(&codepay::SPEC, &json!({"wait_for_card": true}));
    table.authorise(900);
    table.control(json!({"behaviour": "lose_answer", "tap": true}));
    table.tell(TerminalCommand::Abort { tender: tender() });
    table.run(20_000);
    assert_eq!(approved(table.outcome()).amount, Money(900));
}

#[test]
fn a_sale_is_sent_again_when_refused_but_not_after_silence() {
    let mut driver = driver(&stx::SPEC);
    let mut send = |now, input: In<'_>| {
        let mut out = Out::default();
        driver.handle(Mono(now), input, &mut out);
        out
    };
    let authorise =
        DeviceCommand::Terminal(TerminalCommand::Authorise { tender: tender(), amount: Money(100), at: Utc(0) });
    let poll = send(0, In::Command(&authorise)).bytes;
    assert_eq!(poll, b"\x020100\x03\x02");
    assert_eq!(send(2_000, In::Timeout).bytes, poll, "a poll moves nothing");
    let sale = send(2_100, In::Bytes(b"\x06")).bytes;
    assert!(sale.starts_with(b"\x020200|100|"));
    assert_eq!(send(2_200, In::Bytes(b"\x15")).bytes, sale, "it was not understood");
    let silent = send(4_300, In::Timeout);
    assert!(silent.bytes.is_empty() && silent.failed.is_some(), "it may have been");
}

#[test]
fn a_damaged_answer_is_asked_for_again_and_one_heard_twice_counts_once() {
    let mut driver = driver(&stx::SPEC);
    let mut send = |now, input: In<'_>| {
        let mut out = Out::default();
        driver.handle(Mono(now), input, &mut out);
        out
    };
    let query = DeviceCommand::Terminal(TerminalCommand::Query { tender: tender() });
    assert_eq!(send(0, In::Command(&query)).bytes, b"\x020250|\x03\x78");
    send(10, In::Bytes(b"\x06"));
    let answer = stx::wrap("0260|11|597029414300|75001087|", TRANSBANK);
    let mut damaged = answer.clone();
    damaged[7] ^= 1;
    assert_eq!(send(20, In::Bytes(&damaged)).bytes, b"\x15");
    let told = send(30, In::Bytes(&answer));
    assert_eq!((told.bytes.as_slice(), told.events.len()), (b"\x06".as_slice(), 1));
    let again = send(40, In::Bytes(&answer));
    assert_eq!((again.bytes.as_slice(), again.events.len()), (b"\x06".as_slice(), 0));
    let stale = send(50, In::Bytes(&stx::wrap("0210|00|1|2|AB123|X|5|0||1|60", TRANSBANK)));
    assert!(stale.bytes.is_empty() && stale.events.is_empty(), "what was not asked for is not acknowledged");
}
