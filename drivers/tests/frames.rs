//! Scanner and scale frames against independent evidence.

mod vectors;

use checkout::device::{Beep, DeviceCommand, DeviceEvent, Trigger};
use checkout::words::Mono;
use drivers::{Driver, In, Out, decode, scanner_hid, scanner_keys, scanner_line, scanner_ssi};
use serde_json::{Value, json};

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn feed(driver: &mut dyn Driver, at: u64, bytes: &[u8]) -> Vec<DeviceEvent> {
    let mut out = Out::default();
    driver.handle(Mono(at), In::Bytes(bytes), &mut out);
    driver.handle(Mono(at + 200), In::Timeout, &mut out);
    out.events
}

#[test]
fn scanner_lines() {
    let Some(file) = vectors::read("scanner_frames.json") else {
        return;
    };
    let mut agreed = 0;
    for case in vectors::list(&file["serial_framing"]) {
        let frame = bytes(case["bytes"].as_str().expect("hex"));
        let terminator = match frame.last() {
            Some(b'\t') => "tab",
            Some(b'\r' | b'\n') => "line",
            Some(_) | None => "none",
        };
        let options = json!({"terminator": terminator});
        let mut driver = (scanner_line::SPEC.build)(&options).expect("options");
        let events = feed(&mut *driver, 1_000, &frame);
        let [DeviceEvent::Scan(scan)] = events.as_slice() else {
            panic!("{case}");
        };
        let aim = scan.aim.map(|id| String::from_utf8(id.to_vec()).expect("ASCII"));
        if let Value::String(expected) = &case["aim"] {
            assert_eq!(aim.as_ref(), Some(expected), "{case}");
        }
        if let Value::String(expected) = &case["data"] {
            assert_eq!(scan.data, expected.as_bytes(), "{case}");
        }
        agreed += 1;
    }
    for case in vectors::list(&file["honeywell_serial"]) {
        let options = json!({"beep": "honeywell", "trigger": "honeywell"});
        let mut driver = (scanner_line::SPEC.build)(&options).expect("options");
        let command = command(case);
        assert_eq!(sent(&mut *driver, &command), bytes(case["hex"].as_str().expect("hex")), "{case}");
        agreed += 1;
    }
    println!("serial scanner frames: {agreed}/8 agree");
}

/// What a case means as a command.
fn command(case: &Value) -> DeviceCommand {
    let meaning = case["meaning"].as_str().expect("a meaning");
    if meaning.contains("beep") {
        DeviceCommand::Beep(Beep::Good)
    } else if meaning.contains("trigger off") || meaning.contains("STOP") {
        DeviceCommand::Trigger(Trigger::Off)
    } else {
        DeviceCommand::Trigger(Trigger::On)
    }
}

fn sent(driver: &mut dyn Driver, command: &DeviceCommand) -> Vec<u8> {
    let mut out = Out::default();
    driver.handle(Mono(0), In::Command(command), &mut out);
    out.bytes
}

fn scanned(events: &[DeviceEvent]) -> (Option<String>, String) {
    let [DeviceEvent::Scan(scan)] = events else { panic!("{events:?}") };
    let aim = scan.aim.map(|id| String::from_utf8(id.to_vec()).expect("ASCII"));
    (aim, String::from_utf8(scan.data.clone()).expect("ASCII"))
}

#[test]
fn ssi_packets() {
    let Some(file) = vectors::read("scanner_frames.json") else { return };
    let mut agreed = 0;
    for case in vectors::list(&file["ssi"]["frames"]) {
        let frame = bytes(case["hex"].as_str().expect("hex"));
        let mut driver = (scanner_ssi::SPEC.build)(&json!({"trigger": "host"})).expect("options");
        let meaning = case["meaning"].as_str().expect("a meaning");
        if meaning.contains("DECODE_DATA EAN-13") {
            let mut out = Out::default();
            driver.handle(Mono(0), In::Bytes(&frame), &mut out);
            assert_eq!(scanned(&out.events), (Some("E0".into()), "6901234567892".into()));
            // The acknowledgement, and the next read.
            assert_eq!(out.bytes, bytes("04d00400ff2804e40400ff14"));
        } else if meaning.contains("START") || meaning.contains("STOP") {
            assert_eq!(sent(&mut *driver, &command(case)), frame, "{case}");
        } else {
            // Packets of the host are not for us, but their checksum is told like ours.
            let told = decode::decoder("scanner-ssi").expect("a decoder")(&frame, None);
            assert_eq!(told["ok"], true, "{case} {told}");
        }
        agreed += 1;
    }
    println!("ssi frames: {agreed}/7 agree");
}

#[test]
fn hid_pos_reports() {
    let Some(file) = vectors::read("scanner_frames.json") else { return };
    let mut agreed = 0;
    let mut auto = (scanner_hid::SPEC.build)(&Value::Null).expect("options");
    let reports = vectors::list(&file["hid_pos"]["reports"]);
    for case in reports {
        let report = bytes(case["hex"].as_str().expect("hex"));
        let events = feed(&mut *auto, 1_000, &report);
        if case["more"] == true {
            assert_eq!(events, [], "{case}");
        } else if let Some(length) = case["joined_len"].as_u64() {
            assert_eq!(scanned(&events).1.len() as u64, length);
        } else {
            assert_eq!(scanned(&events).1, case["data"].as_str().expect("data"), "{case}");
        }
        if case["variant"] == "newland" {
            let options = scanner_hid::SPEC.options_for(Some("1eab:1a03"), &Value::Null);
            let mut newland = (scanner_hid::SPEC.build)(&options).expect("options");
            assert_eq!(scanned(&feed(&mut *newland, 0, &report)).1, case["data"].as_str().expect("data"));
        }
        agreed += 1;
    }
    for case in vectors::list(&file["hid_pos"]["commands"]) {
        if case["meaning"].as_str().is_some_and(|meaning| meaning.contains("Newland")) {
            // Takes commands we have no use for.
            continue;
        }
        let options = scanner_hid::SPEC.options_for(Some("0C2E:0B6A"), &json!({}));
        let mut honeywell = (scanner_hid::SPEC.build)(&options).expect("options");
        assert_eq!(sent(&mut *honeywell, &command(case)), bytes(case["hex"].as_str().expect("hex")), "{case}");
        agreed += 1;
    }
    println!("hid pos reports: {agreed}/6 agree");
}

#[test]
fn key_events() {
    let Some(file) = vectors::read("scanner_frames.json") else { return };
    let mut frames = Vec::new();
    for triple in vectors::list(&file["evdev"]["example_6901"]) {
        let number = |at: usize| triple[at].as_i64().expect("a number");
        frames.extend([0; 16]);
        frames.extend(u16::try_from(number(0)).expect("a type").to_le_bytes());
        frames.extend(u16::try_from(number(1)).expect("a code").to_le_bytes());
        frames.extend(i32::try_from(number(2)).expect("a value").to_le_bytes());
    }
    let mut driver = (scanner_keys::SPEC.build)(&Value::Null).expect("options");
    let mut out = Out::default();
    for byte in &frames {
        driver.handle(Mono(0), In::Bytes(&[*byte]), &mut out);
    }
    assert_eq!(scanned(&out.events), (None, "6901".into()));
    println!("key events: 1/1 agree");
}
