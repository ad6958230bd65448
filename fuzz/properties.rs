//! What holds for every scan, whatever its bytes. The fuzz targets and the test suite call these same functions.
#![allow(dead_code, reason = "a fuzz target calls one of them")]

use checkout::device::Scan;
use checkout::scan::gs1::{self, Elements};
use checkout::scan::link::{self, LinkRules};
use checkout::scan::{Code, ItemCode, ScanRules, classify as classified, elements};

/// More than any symbol holds, and what the reader promises.
const ELEMENTS_MAX: usize = 64;

const AIMS: [Option<&[u8; 2]>; 12] = [
    None,
    Some(b"C1"),
    Some(b"e0"),
    Some(b"d2"),
    Some(b"Q3"),
    Some(b"J1"),
    Some(b"E0"),
    Some(b"E3"),
    Some(b"E4"),
    Some(b"Q1"),
    Some(b"C0"),
    Some(b"X0"),
];

/// The first byte picks the symbology identifier, and whether somebody pays.
pub fn classify(data: &[u8]) {
    let Some((pick, data)) = data.split_first() else { return };
    let aim = AIMS[usize::from(*pick) % AIMS.len()].copied();
    let paying = *pick >= 128;
    let templates = ["21IIIIIWWWWWC", "23IIIIVPPPPPC", "28IIIIIWWWWWPPPPPC"].map(Into::into).to_vec();
    let rules = ScanRules { templates, ..ScanRules::default() };
    let scan = Scan { aim, data: data.to_vec() };
    let code = classified(&scan, &rules, paying);
    assert_eq!(code, classified(&scan, &rules, paying), "the same scan means the same");
    let gs1 = matches!(aim.as_ref(), Some(b"C1" | b"e0" | b"d2" | b"Q3" | b"J1"));
    let read = elements(&scan, &rules).is_some_and(|read| read.is_ok());
    let printed = format!("{code:?}");
    match code {
        Code::Item(ItemCode { key, ais, .. }) => {
            assert!(!key.0.is_empty() && key.0.len() <= 14, "a key is a GTIN or shorter: {key}");
            assert!(ais.len() <= ELEMENTS_MAX);
            assert!(!gs1 || read);
        }
        Code::Gs1(ais) => assert!(read && !ais.is_empty() && !ais.contains_key("01")),
        Code::Wallet { code, .. } => {
            assert!(paying, "a wallet code counts only while somebody pays");
            assert!(!printed.contains(&code.0), "a wallet code prints");
        }
        Code::Staff(badge) => assert!(badge.0.len() < 4 || !printed.contains(&badge.0), "a badge prints"),
        Code::Member(code) => assert_eq!(code.len(), 11),
        Code::Coupon(_) | Code::Receipt(_) | Code::ExitPass(_) | Code::Order(_) => {}
        Code::Refused(_) => {
            assert!(!gs1 || !read || data.iter().all(|byte| *byte == b' '), "good elements are refused")
        }
    }
}

/// Element strings in their three notations.
pub fn element_string(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    for read in [gs1::parse(text), gs1::parse_unbracketed(text), gs1::parse_bracketed(text)] {
        match read {
            Ok(elements) => written_is_read_back(&elements, text.len()),
            Err(fault) => assert!(fault.to_string().len() < 200 + 4 * text.len()),
        }
    }
}

fn written_is_read_back(elements: &Elements, length: usize) {
    let count = elements.iter().count();
    assert!((1..=ELEMENTS_MAX).contains(&count));
    let size: usize = elements.iter().map(|(code, value)| code.len() + value.len()).sum();
    assert!(size <= length, "more comes out than went in");
    assert_eq!(gs1::parse(&elements.scanned()).as_ref(), Ok(elements));
    assert_eq!(gs1::parse_unbracketed(&elements.unbracketed()).as_ref(), Ok(elements));
    assert_eq!(gs1::parse_bracketed(&elements.bracketed()).as_ref(), Ok(elements));
    // What is well associated stays so, whichever way it is written.
    let again = gs1::parse(&elements.scanned()).map(|again| again.associated());
    assert_eq!(again, Ok(elements.associated()));
}

/// Web addresses, in today's form and in the older ones.
pub fn digital_link(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    for rules in [LinkRules::default(), LinkRules { short_gtins: true, words: true }] {
        let Ok(elements) = link::parse(text, rules) else { continue };
        assert_eq!(gs1::parse_unbracketed(&elements.unbracketed()).as_ref(), Ok(&elements));
        if let Some(address) = link::render("https://example.com", &elements) {
            let again = link::parse(&address, LinkRules::default()).map(Elements::into_ais);
            assert_eq!(again, Ok(elements.into_ais()), "{address}");
        }
    }
    for query in [false, true] {
        assert_eq!(link::unescape(&link::escape(text, query), query), text.as_bytes());
        assert!(link::unescape(text, query).len() <= text.len());
    }
}
