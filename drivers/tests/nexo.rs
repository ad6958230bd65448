//! nexo: the shared messages, the sealing, and whole payments between the driver and its stand-in.

mod table;
mod vectors;

use checkout::device::{
    CardOutcome, CardSlip, DeviceCommand, LastPayment, TerminalCommand, TerminalEvent, TerminalService,
};
use checkout::words::{Money, Mono, Utc};
use drivers::decode::decoder;
use drivers::nexo::{self, ERROR_CONDITIONS};
use drivers::{In, Out};
use serde_json::{Value, json};
use table::{Table, approved, driver, tender};

fn told(message: &Value, context: Option<&str>) -> Value {
    decoder("nexo").expect("a decoder")(message.to_string().as_bytes(), context)
}

#[test]
fn shared_messages_are_told_by_their_fields() {
    let Some(file) = vectors::read("nexo.json") else {
        return;
    };
    let cases = vectors::list(&file["messages"]);
    for case in cases {
        let told = told(&case["message"], None);
        assert_eq!(told["ok"], true, "{} {told}", case["id"]);
        for (ours, theirs) in [("class", "class"), ("category", "category"), ("type", "type")] {
            assert!(case[theirs].is_null() || told[ours] == case[theirs], "{} {told}", case["id"]);
        }
        for name in ["result", "event"] {
            let wanted = &case["expect"][name];
            assert!(wanted.is_null() || told[name] == *wanted, "{} {told}", case["id"]);
        }
        if case["id"] == "ad-payment-response-ok" {
            assert_eq!((&told["amount_minor"], &told["currency"]), (&json!(100), &json!("EUR")));
            assert_eq!(told["pan_masked"], "411111****1111");
            assert!(told["text"].as_str().expect("a slip").contains("TOTAL €\u{a0}1.00"), "{told}");
        }
    }
    eprintln!("nexo: {0}/{0} messages told as expected", cases.len());
}

#[test]
fn error_conditions_are_those_of_the_schema() {
    let Some(file) = vectors::read("nexo_schema_facts.json") else {
        return;
    };
    assert_eq!(file["enums"]["ErrorCondition"], json!(ERROR_CONDITIONS));
}

/// What the driver puts on the wire for a command, unsealed; an abort or a second question goes over a line of its own.
fn requests(commands: &[TerminalCommand]) -> Vec<Value> {
    let options = json!({"sale": "s", "poi": "p", "currency": "EUR"});
    let mut driver = (nexo::SPEC.build)(&options).expect("options");
    let mut bodies = Vec::new();
    for command in commands {
        let mut out = Out::default();
        driver.handle(Mono(0), In::Command(&DeviceCommand::Terminal(command.clone())), &mut out);
        if out.reopen {
            driver.handle(Mono(0), In::Opened, &mut out);
        }
        let sent = String::from_utf8(out.bytes).expect("text");
        let (_, body) = sent.split_once("\r\n\r\n").expect("a body");
        bodies.push(serde_json::from_str(body).expect("JSON"));
    }
    bodies
}

/// What of the schema `value` breaks: fields that are missing, fields and words that the schema does not know.
fn breaches(name: &str, value: &Value, schema: &Value, found: &mut Vec<String>) {
    let kind = if name.ends_with("TransactionID") { "TransactionIDType" } else { name };
    if let Value::Object(fields) = value {
        for field in schema["required"][kind].as_array().into_iter().flatten().filter_map(Value::as_str) {
            // A transaction's identification holds a field of its own name, which is text.
            if !fields.contains_key(field) {
                found.push(format!("{name} lacks {field}"));
            }
        }
        for (field, inner) in fields {
            let known = schema["properties"][kind].as_array();
            if known.is_some_and(|known| !known.contains(&json!(field))) {
                found.push(format!("{name} has {field}"));
            }
            breaches(field, inner, schema, found);
        }
    }
    if let (Some(words), Value::String(word)) = (schema["enums"][name].as_array(), value)
        && !words.contains(&json!(word))
    {
        found.push(format!("{name} is {word}"));
    }
}

#[test]
fn what_is_sent_has_the_fields_and_words_of_the_schema() {
    let Some(schema) = vectors::read("nexo_schema_facts.json") else {
        return;
    };
    let of = Box::new(CardSlip {
        amount: Money(1250),
        trace: 1,
        receipt: 0,
        terminal: "p".into(),
        pan: None,
        scheme: String::new(),
        reference: "BV0q001643892070000.VK9DRSLLRCQ2WN82@2026-01-02T03:04:09.000Z".into(),
        text: Vec::new(),
        offline: false,
    });
    let (tender, at) = (tender(), Utc(0));
    let amount = Money(1250);
    let diagnosis = TerminalService::Diagnosis;
    let mut sent = requests(&[
        TerminalCommand::Authorise { tender: tender.clone(), amount, at },
        TerminalCommand::Abort { tender: tender.clone() },
    ]);
    for one in [
        TerminalCommand::Refund { tender: tender.clone(), amount, at },
        TerminalCommand::Reverse { tender: tender.clone(), of, at },
        TerminalCommand::Query { tender: tender.clone() },
        TerminalCommand::Service { tender, service: diagnosis },
    ] {
        sent.extend(requests(&[one]));
    }
    let mut found = Vec::new();
    for message in &sent {
        breaches("TerminalAPIRequest", message, &schema, &mut found);
    }
    assert!(found.is_empty(), "{found:#?}");
    let categories: Vec<&Value> =
        sent.iter().map(|message| &message["SaleToPOIRequest"]["MessageHeader"]["MessageCategory"]).collect();
    assert_eq!(categories, ["Payment", "Abort", "Payment", "Reversal", "TransactionStatus", "Diagnosis"]);
    // The rule can fail: a payment without its amount, in a word nobody knows.
    let mut spoilt = sent[2].clone();
    spoilt["SaleToPOIRequest"]["PaymentRequest"]["PaymentTransaction"] = json!({"Ammount": 1});
    spoilt["SaleToPOIRequest"]["PaymentRequest"]["PaymentData"]["PaymentType"] = json!("Gift");
    breaches("TerminalAPIRequest", &spoilt, &schema, &mut found);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_sealed_message_opens_with_its_key_and_untouched_only() {
    let Some(file) = vectors::read("nexo.json") else {
        return;
    };
    let sealed = &file["local_encryption"]["vector"];
    let passphrase = &file["local_encryption"]["key_derivation"]["passphrase"];
    let message = json!({"SaleToPOIResponse": {
        "MessageHeader": sealed["message_header"],
        "NexoBlob": sealed["nexo_blob_b64"],
        "SecurityTrailer": {
            "AdyenCryptoVersion": sealed["adyen_crypto_version"],
            "KeyIdentifier": sealed["key_identifier"],
            "KeyVersion": sealed["key_version"],
            "Nonce": sealed["nonce_b64"],
            "Hmac": sealed["hmac_b64"],
        },
    }});
    let context = |version: u64| {
        json!({"passphrase": passphrase, "key": sealed["key_identifier"], "key_version": version}).to_string()
    };
    let read = told(&message, Some(&context(1)));
    assert_eq!((&read["ok"], &read["result"]), (&json!(true), &json!("Success")), "{read}");
    assert_eq!(read["service_id"], sealed["message_header"]["ServiceID"]);
    assert_eq!(told(&message, Some(&context(2)))["ok"], false);
    for part in ["Hmac", "Nonce", "KeyIdentifier"] {
        let mut forged = message.clone();
        let text = forged["SaleToPOIResponse"]["SecurityTrailer"][part].as_str().expect("text").to_owned();
        let flipped = if text.starts_with('A') { "B" } else { "A" };
        forged["SaleToPOIResponse"]["SecurityTrailer"][part] = json!(format!("{flipped}{}", &text[1..]));
        let read = told(&forged, Some(&context(1)));
        assert!(read["ok"] == false && read["result"].is_null(), "{part} {read}");
    }
}

#[test]
fn an_approved_payment_is_answered_and_its_slip_kept() {
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.authorise(1099);
    table.run(10_000);
    let slip = approved(table.outcome());
    assert_eq!(
        (slip.amount, slip.terminal.as_str(), slip.scheme.as_str()),
        (Money(1099), "P400Plus-123456789", "visa")
    );
    assert_eq!(slip.pan.as_ref().map(|pan| pan.as_str()), Some("411111****1111"));
    assert_eq!(slip.text, ["Auth. code 123456", "APPROVED"]);
    assert!(table.ended() && table.failed.is_none() && !table.open);
    let trace = slip.trace;
    assert!(matches!(table.ask(), Some(LastPayment::Approved(slip)) if slip.trace == trace));
}

#[test]
fn a_payment_never_made_durable_is_taken_back() {
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.acknowledge = false;
    table.authorise(1099);
    table.run(60_000);
    approved(table.outcome());
    assert_eq!(table.charges(), [(1099, "reversed".into())]);
}

#[test]
fn every_error_condition_is_a_decline_of_its_own() {
    for (at, condition) in ERROR_CONDITIONS.iter().enumerate() {
        if ["InProgress", "NotFound"].contains(condition) {
            continue;
        }
        let mut table = Table::of(&nexo::SPEC, &Value::Null);
        table.control(json!({"decline": condition}));
        table.authorise(500);
        table.run(10_000);
        let code = u8::try_from(at + 1).expect("17");
        assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code }), "{condition}");
        assert!(table.ended() && table.charges().is_empty(), "{condition}");
        assert_eq!(table.ask(), Some(LastPayment::Nothing), "{condition}");
    }
}

#[test]
fn a_rejected_request_charged_nothing_and_garbage_proves_nothing() {
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.control(json!({"behaviour": "reject"}));
    table.authorise(500);
    table.run(10_000);
    assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 0 }));
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.control(json!({"behaviour": "garbage"}));
    table.authorise(500);
    table.run(10_000);
    assert!(table.outcome().is_none() && table.failed.is_some());
    table.driver = driver(&nexo::SPEC);
    assert!(matches!(table.ask(), Some(LastPayment::Approved(_))), "it was taken, and that is known");
}

#[test]
fn an_answer_of_another_key_or_none_is_no_approval() {
    for options in [json!({"passphrase": "another"}), json!({"passphrase": ""}), json!({"key_version": 2})] {
        let mut table = Table::of(&nexo::SPEC, &options);
        table.authorise(500);
        table.run(10_000);
        let nothing = Some(&CardOutcome::Declined { code: 0 });
        assert!(table.outcome().is_none() || table.outcome() == nothing, "{options}");
        assert!(table.charges().is_empty());
    }
}

#[test]
fn a_shopper_may_give_up_and_the_terminals_word_decides() {
    let mut table = Table::of(&nexo::SPEC, &json!({"wait_for_card": true}));
    table.authorise(900);
    table.run(30_000);
    assert_eq!(table.sim.state()["wants_card"], true);
    table.tell(TerminalCommand::Abort { tender: tender() });
    table.run(10_000);
    assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 1 }));
    assert!(table.ended() && table.charges().is_empty());
    // A card that came before the abort was paid.
    table.events.clear();
    table.control(json!({"behaviour": "hang"}));
    table.authorise(900);
    table.control(json!({"tap": true}));
    table.tell(TerminalCommand::Abort { tender: tender() });
    table.control(json!({"behaviour": "approve"}));
    table.run(10_000);
    assert_eq!(approved(table.outcome()).amount, Money(900));
}

#[test]
fn a_silent_terminal_is_asked_after_two_minutes() {
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.control(json!({"behaviour": "hang"}));
    table.authorise(900);
    table.run(119_000);
    assert!(table.outcome().is_none());
    table.run(5_000);
    assert_eq!(approved(table.outcome()).amount, Money(900));
    assert!(table.ended());
}

#[test]
fn money_goes_back_and_the_terminal_says_how_it_is() {
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.authorise(1250);
    table.run(10_000);
    let of = Box::new(approved(table.outcome()).clone());
    let back = "tender-2";
    table.events.clear();
    table.tell(TerminalCommand::Reverse { tender: back.into(), of, at: Utc(0) });
    table.run(10_000);
    assert_eq!(approved(table.outcome()).amount, Money(1250));
    assert_eq!(table.charges(), [(1250, "reversed".into())]);
    table.events.clear();
    table.tell(TerminalCommand::Refund { tender: "tender-3".into(), amount: Money(700), at: Utc(0) });
    table.run(10_000);
    assert_eq!(approved(table.outcome()).amount, Money(700));
    assert_eq!(table.sim.state()["refunds"], json!([700]));
    for (service, code) in [(TerminalService::Status, 0), (TerminalService::EndOfDay, 0x83)] {
        table.tell(TerminalCommand::Service { tender: tender(), service });
        table.run(10_000);
        assert_eq!(table.events.last(), Some(&TerminalEvent::Serviced { tender: tender(), service, code }));
    }
}

#[test]
fn a_reversal_whose_answer_is_lost_is_asked_about_as_a_reversal() {
    let back: &str = "tender-2";
    for behaviour in ["hang", "hang_up_after_answer"] {
        let mut table = Table::of(&nexo::SPEC, &Value::Null);
        table.authorise(1250);
        table.run(10_000);
        let of = Box::new(approved(table.outcome()).clone());
        table.events.clear();
        table.control(json!({"behaviour": behaviour}));
        table.tell(TerminalCommand::Reverse { tender: back.into(), of, at: Utc(0) });
        table.control(json!({"behaviour": "approve"}));
        table.run(130_000);
        assert_eq!(table.charges(), [(1250, "reversed".into())]);
        if behaviour == "hang" {
            assert_eq!(approved(table.outcome()).amount, Money(1250), "asked by itself");
        }
        table.driver = driver(&nexo::SPEC);
        table.events.clear();
        table.tell(TerminalCommand::Query { tender: back.into() });
        table.run(10_000);
        let last = table.events.last();
        assert!(
            matches!(last, Some(TerminalEvent::Last { last: LastPayment::Approved(slip), .. }) if slip.amount == Money(1250)),
            "{behaviour} {last:?}"
        );
    }
}

#[test]
fn wherever_the_line_dies_captured_money_is_known_and_only_captured_money() {
    let mut fates = [0, 0];
    for cut in (0..6_000).step_by(47) {
        let mut table = Table::of(&nexo::SPEC, &Value::Null);
        table.bytes_left = cut;
        table.authorise(1250);
        table.run(300_000);
        table.hang_up();
        table.bytes_left = usize::MAX;
        // What was under way is over by now.
        table.run(10_000);
        let captured = table.charges() == [(1250, "captured".into())];
        fates[usize::from(captured)] += 1;
        table.driver = driver(&nexo::SPEC);
        assert_eq!(matches!(table.ask(), Some(LastPayment::Approved(_))), captured, "cut at {cut}");
    }
    assert!(fates.iter().all(|count| *count > 5), "{fates:?}");
}

#[test]
fn the_amount_on_the_wire_is_what_was_asked() {
    let options = json!({"sale": "s", "poi": "p", "currency": "EUR"});
    for (minor, text) in [(1099, "10.99"), (5, "0.05"), (100, "1.00")] {
        let mut driver = (nexo::SPEC.build)(&options).expect("options");
        let command = TerminalCommand::Authorise { tender: tender(), amount: Money(minor), at: Utc(0) };
        let mut out = Out::default();
        driver.handle(Mono(0), In::Command(&DeviceCommand::Terminal(command)), &mut out);
        let sent = String::from_utf8(out.bytes).expect("text");
        assert!(sent.contains(&format!("\"RequestedAmount\":{text}}}")), "{sent}");
    }
}

#[test]
fn a_refund_nobody_noted_stands_and_is_told_by_its_own_name() {
    let mut table = Table::of(&nexo::SPEC, &Value::Null);
    table.acknowledge = false;
    table.tell(TerminalCommand::Refund { tender: tender(), amount: Money(700), at: Utc(0) });
    table.run(60_000);
    approved(table.outcome());
    assert_eq!(table.sim.state()["refunds"], json!([700]));
    assert!(table.failed.is_none() && !table.open);
    table.driver = driver(&nexo::SPEC);
    assert!(matches!(table.ask(), Some(LastPayment::Approved(slip)) if slip.amount == Money(700)));
}

#[test]
fn wherever_the_line_dies_a_refund_that_was_made_is_known() {
    let mut fates = [0, 0];
    for cut in (0..4_000).step_by(61) {
        let mut table = Table::of(&nexo::SPEC, &Value::Null);
        table.bytes_left = cut;
        table.tell(TerminalCommand::Refund { tender: tender(), amount: Money(700), at: Utc(0) });
        table.run(300_000);
        table.hang_up();
        table.bytes_left = usize::MAX;
        table.run(10_000);
        let went = table.sim.state()["refunds"] == json!([700]);
        fates[usize::from(went)] += 1;
        table.driver = driver(&nexo::SPEC);
        assert_eq!(matches!(table.ask(), Some(LastPayment::Approved(_))), went, "cut at {cut}");
    }
    assert!(fates.iter().all(|count| *count > 5), "{fates:?}");
}

#[test]
fn what_a_terminal_shows_and_prints_is_taken_and_its_questions_are_refused_in_order() {
    let mut table = Table::of(&nexo::SPEC, &json!({"wait_for_card": true}));
    table.authorise(1099);
    table.run(1_000);
    for verb in [
        json!({"show": "Please tap your card"}),
        json!({"show": "Type your PIN on the till"}),
        json!({"print": ["** COPY **", "CARD 4111111111111111"]}),
        json!({"ask": "GetConfirmation", "text": "Signature in order?"}),
        json!({"ask": "DigitString", "text": "Please enter your PIN"}),
        json!({"ask": "Password", "text": "Hello"}),
    ] {
        table.control(verb);
    }
    table.control(json!({"tap": true}));
    table.run(10_000);
    let slip = approved(table.outcome());
    assert_eq!(slip.text, ["** COPY **", "CARD 411111******1111", "Auth. code 123456", "APPROVED"]);
    let shown: Vec<&str> = table
        .events
        .iter()
        .filter_map(
            |event| if let TerminalEvent::Progress { text, .. } = event { Some(text.en.as_str()) } else { None },
        )
        .collect();
    assert_eq!(shown, ["Please tap your card", "Signature in order?"]);
    let state = table.sim.state();
    let told: Vec<(&Value, &Value)> =
        vectors::list(&state["told"]).iter().map(|told| (&told["category"], &told["condition"])).collect();
    let (nothing, no, nobody) = (&Value::Null, &json!("NotAllowed"), &json!("UnavailableDevice"));
    let (display, print, input) = (&json!("Display"), &json!("Print"), &json!("Input"));
    let wanted = [(display, nothing), (display, no), (print, nothing), (input, nobody), (input, no), (input, no)];
    assert_eq!(told, wanted);
    assert!(table.ended() && table.failed.is_none());
}

#[test]
fn a_terminal_that_calls_by_itself_is_answered_as_a_server_answers_and_in_the_words_of_the_schema() {
    let options = json!({"sale": "s", "poi": "p", "currency": "EUR"});
    let mut driver = (nexo::SPEC.build)(&options).expect("options");
    let authorise = TerminalCommand::Authorise { tender: tender(), amount: Money(100), at: Utc(0) };
    driver.handle(Mono(0), In::Command(&DeviceCommand::Terminal(authorise)), &mut Out::default());
    let content = json!({"OutputFormat": "Text", "OutputText": [{"Text": "Bag?"}]});
    let shown = json!({"Device": "CashierDisplay", "InfoQualify": "Display", "OutputContent": content});
    let asked = json!({"Device": "CashierInput", "InfoQualify": "Input", "InputCommand": "GetConfirmation"});
    let slip = json!({"DocumentQualifier": "CashierReceipt", "ResponseMode": "PrintEnd", "OutputContent": content});
    let mut found = Vec::new();
    for (category, body) in [
        ("Display", json!({"DisplayOutput": [shown]})),
        ("Input", json!({"DisplayOutput": shown, "InputData": asked})),
        ("Print", json!({"PrintOutput": slip})),
    ] {
        let header = json!({
            "ProtocolVersion": "3.0", "MessageClass": "Device", "MessageCategory": category, "MessageType": "Request",
            "ServiceID": "x", "DeviceID": "7", "SaleID": "s", "POIID": "p",
        });
        let request = format!("{category}Request");
        let message = json!({"SaleToPOIRequest": {"MessageHeader": header, request: body}}).to_string();
        let call = format!("POST /nexo HTTP/1.1\r\nContent-Length: {}\r\n\r\n{message}", message.len());
        let mut out = Out::default();
        driver.handle(Mono(1), In::Bytes(call.as_bytes()), &mut out);
        let sent = String::from_utf8(out.bytes).expect("text");
        let (head, body) = sent.split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let answer: Value = serde_json::from_str(body).expect("JSON");
        let header = &answer["SaleToPOIResponse"]["MessageHeader"];
        assert_eq!((&header["MessageType"], &header["DeviceID"]), (&json!("Response"), &json!("7")));
        assert!(answer["SaleToPOIResponse"][format!("{category}Response")].is_object(), "{answer}");
        if let Some(schema) = vectors::read("nexo_schema_facts.json") {
            breaches("TerminalAPIResponse", &answer, &schema, &mut found);
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}
