//! The scan classifier against independent evidence: official GS1 cases, UPC-E and check digits, wallet codes.

mod vectors;

use checkout::device::Scan;
use checkout::scan::{Code, ItemCode, Refusal, ScanRules, WalletProvider, classify};
use serde_json::Value;

fn seen(aim: Option<&str>, data: &str, rules: &ScanRules, paying: bool) -> Code {
    let aim = aim.map(|id| id.as_bytes().try_into().expect("two characters"));
    let data = data.into();
    classify(&Scan { aim, data }, rules, paying)
}

fn plain(aim: Option<&str>, data: &str) -> Code {
    seen(aim, data, &ScanRules::default(), false)
}

fn item(code: Code) -> Option<ItemCode> {
    if let Code::Item(item) = code { Some(item) } else { None }
}

fn standard_check(digits: &str) -> u32 {
    let sum: u32 =
        digits.bytes().rev().zip([3, 1].iter().cycle()).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum();
    (10 - sum % 10) % 10
}

#[test]
fn upce_expands_and_bad_check_digits_are_refused() {
    let Some(file) = vectors::read("upce_rcn_biip.json") else {
        return;
    };
    let mut expanded = 0;
    for case in vectors::list(&file["upce_expand"]) {
        let key = case["gtin13"].as_str().expect("text").trim_start_matches('0');
        let got = item(plain(Some("E0"), case["upce8"].as_str().expect("text")));
        assert_eq!(got.map(|i| i.key.0).unwrap_or_default(), key, "{case}");
        expanded += 1;
    }
    assert_eq!(expanded, 28);
    for case in vectors::list(&file["upce_bad_check"]) {
        let code = case["upce8"].as_str().expect("text");
        assert_eq!(plain(Some("E0"), code), Code::Refused(Refusal::CheckDigit));
        assert_eq!(plain(None, code), Code::Refused(Refusal::CheckDigit));
    }
    for case in vectors::list(&file["standard_check_digit"]) {
        let digits = case["digits"].as_str().expect("text");
        assert_eq!(Some(u64::from(standard_check(digits))), case["check"].as_u64());
        if digits.len() == 12 {
            let code = format!("{digits}{}", case["check"]);
            assert!(item(plain(None, &code)).is_some(), "{case}");
        }
    }
}

#[test]
fn value_check_digits_of_in_store_codes() {
    let Some(file) = vectors::read("upce_rcn_biip.json") else {
        return;
    };
    let rules =
        ScanRules { templates: ["28IIIIIVPPPPC".into(), "29IIIIVPPPPPC".into()].into(), ..ScanRules::default() };
    let mut agreed = 0;
    for case in vectors::list(&file["price_weight_check_digit_gs1"]) {
        let digits = case["digits"].as_str().expect("text");
        for check in 0..10 {
            let body = match digits.len() {
                4 => format!("2812345{check}{digits}"),
                _ => format!("291234{check}{digits}"),
            };
            let code = format!("{body}{}", standard_check(&body));
            let accepted = item(seen(None, &code, &rules, false)).is_some();
            assert_eq!(accepted, case["check"] == check, "{case} {check}");
        }
        agreed += 1;
    }
    println!("value check digits: {agreed} agree");
}

#[test]
fn in_store_codes_of_other_countries_read_by_their_templates() {
    let Some(file) = vectors::read("upce_rcn_biip.json") else {
        return;
    };
    for case in vectors::list(&file["rcn"]) {
        let code = case["ean13"].as_str().expect("text");
        let as_text = |field: &str| case[field].as_str().map(|t| t.parse::<f64>().expect("number"));
        let (weight, price) = (as_text("weight_kg"), as_text("price"));
        let letter = if price.is_some() { 'P' } else { 'W' };
        let known = matches!(case["region"].as_str(), Some("GERMANY")) && price.is_none();
        if !known {
            continue;
        }
        let template = format!("{}IIIII{}C", &code[..2], letter.to_string().repeat(5));
        let rules = ScanRules { templates: vec![template], ..ScanRules::default() };
        let got = item(seen(None, code, &rules, false)).expect("an item");
        let kilograms = got.weight_g.map(|g| f64::from(g) / 1000.0);
        assert_eq!(kilograms, weight, "{case}");
    }
}

#[test]
fn wallet_codes_by_checkout_state() {
    let Some(file) = vectors::read("scanner_frames.json") else {
        return;
    };
    let mut agreed = 0;
    for case in vectors::list(&file["wallet_codes"]["cases"]) {
        let code = case["code"].as_str().expect("text");
        let expected = match case["wallet"].as_str() {
            Some(name) if name.contains("wechat") => Some(WalletProvider::Wechat),
            Some(name) if name.contains("alipay") => Some(WalletProvider::Alipay),
            Some(_) => Some(WalletProvider::Unionpay),
            None => None,
        };
        let rules = ScanRules::default();
        let provider =
            if let Code::Wallet { provider, .. } = seen(None, code, &rules, true) { Some(provider) } else { None };
        assert_eq!(provider, expected, "{case}");
        let idle = seen(None, code, &rules, false);
        assert_eq!(idle == Code::Refused(Refusal::WalletNotNow), expected.is_some(), "{case}");
        agreed += 1;
    }
    println!("wallet codes: {agreed} agree");
    assert_ne!(file["serial_framing"], Value::Null);
}
