//! Scanner and scale frames against independent evidence.

mod vectors;

use checkout::device::{DeviceCommand, DeviceEvent, ScaleFault, Weight};
use checkout::words::{Grams, Money, Mono};
use drivers::{Driver, In, Out, scale_8217, scanner_line};
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
        if case["meaning"].as_str().is_some_and(|m| m.contains("beep")) {
            let options = json!({"beep": "honeywell"});
            let mut driver = (scanner_line::SPEC.build)(&options).expect("options");
            let mut out = Out::default();
            let good = DeviceCommand::Beep(checkout::device::Beep::Good);
            driver.handle(Mono(0), In::Command(&good), &mut out);
            assert_eq!(out.bytes, bytes(case["hex"].as_str().expect("hex")));
            agreed += 1;
        }
    }
    println!("scanner frames: {agreed} agree");
}

#[test]
fn toledo_8217() {
    let Some(file) = vectors::read("scales.json") else {
        return;
    };
    let mut agreed = 0;
    for case in vectors::list(&file["mettler_8217"]["cases"]) {
        let mut driver = (scale_8217::SPEC.build)(&Value::Null).expect("options");
        let ask = In::Command(&DeviceCommand::ReadWeight { unit_price: Money::ZERO, tare: Grams(0) });
        driver.handle(Mono(0), ask, &mut Out::default());
        let frame = bytes(case["hex"].as_str().expect("hex"));
        let mut out = Out::default();
        driver.handle(Mono(10_000), In::Bytes(&frame), &mut out);
        let expected = match (case["weight"].as_str(), &case["status"][0]) {
            (Some("0.000"), _) => Weight::Fault(ScaleFault::Empty),
            (Some(kg), _) => Weight::Stable(Grams(kg.replace('.', "").parse().expect("digits"))),
            (None, Value::String(s)) if s == "over_capacity" => Weight::Fault(ScaleFault::Over),
            (None, Value::String(s)) if s == "negative" => Weight::Fault(ScaleFault::Negative),
            (None, _) => Weight::Fault(ScaleFault::Moving),
        };
        assert_eq!(out.events, [DeviceEvent::Weight(expected)], "{case}");
        agreed += 1;
    }
    println!("scale frames: {agreed} agree");
}
