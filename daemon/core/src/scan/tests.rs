use super::*;
use crate::words::ItemKey;

fn rules() -> ScanRules {
    ScanRules {
        templates: ["21IIIIIWWWWWC", "22IIIIIPPPPPC", "23IIIIVPPPPPC", "28IIIIIWWWWWPPPPPC"].map(Into::into).to_vec(),
        currency: Some(Currency { code: "CNY".into(), numeric: 156, sign: "￥".into(), digits: 2 }),
        ..ScanRules::default()
    }
}

fn seen(aim: Option<&[u8; 2]>, data: &str, paying: bool) -> Code {
    let scan = Scan { aim: aim.copied(), data: data.into() };
    classify(&scan, &rules(), paying)
}

fn key(code: &Code) -> Option<&str> {
    match code {
        Code::Item(ItemCode { key: ItemKey(key), .. }) => Some(key),
        Code::Member(_)
        | Code::Coupon(_)
        | Code::Staff(_)
        | Code::Receipt(_)
        | Code::ExitPass(_)
        | Code::Order(_)
        | Code::Gs1(_)
        | Code::Wallet { .. }
        | Code::Refused(_) => None,
    }
}

#[test]
fn retail_codes_become_gtins_without_leading_zeros() {
    assert_eq!(key(&seen(None, "6901234567892", false)), Some("6901234567892"));
    assert_eq!(key(&seen(None, "042100005264", false)), Some("42100005264"));
    assert_eq!(key(&seen(None, "04252614", false)), Some("42100005264"));
    assert_eq!(key(&seen(Some(b"E0"), "14252611", false)), Some("142100005261"));
    assert_eq!(key(&seen(Some(b"E4"), "96385074", false)), Some("96385074"));
    assert_eq!(key(&seen(None, "16901234567899", false)), Some("16901234567899"));
    assert_eq!(seen(None, "6901234567893", false), Code::Refused(Refusal::CheckDigit));
    assert_eq!(seen(None, "0000000000000", false), Code::Refused(Refusal::Unrecognised));
    assert_eq!(key(&seen(Some(b"E3"), "690123456789212", false)), Some("6901234567892"));
    assert_eq!(seen(Some(b"E0"), "690123456789212", false), Code::Refused(Refusal::Unrecognised));
    assert_eq!(seen(None, "", false), Code::Refused(Refusal::Empty));
    assert_eq!(seen(None, "hello", false), Code::Refused(Refusal::Unrecognised));
}

#[test]
fn gs1_symbols_give_weight_price_and_all_identifiers() {
    let Code::Item(item) = seen(Some(b"C1"), "01069012345678921726123110ABC\u{1d}3103001250", false) else {
        panic!("an item");
    };
    assert_eq!(item.key, "6901234567892".into());
    assert_eq!(item.weight_g, Some(1250));
    assert_eq!(item.ais.get("10").map(String::as_str), Some("ABC"));
    assert_eq!(item.ais.get("17").map(String::as_str), Some("261231"));
    let Code::Item(priced) = seen(Some(b"e0"), "01069012345678923922001250\u{1d}3103001250", false) else {
        panic!("an item");
    };
    assert_eq!(priced.price, Some(Money(1250)));
    let Code::Item(foreign) = seen(Some(b"e0"), "01069012345678923932978001250\u{1d}3103001250", false) else {
        panic!("an item");
    };
    assert_eq!(foreign.price, None);
    for (broken, why) in [
        ("0106901234567893", Refusal::CheckDigit),
        ("010690123456789217261301", Refusal::Gs1Syntax),
        ("010690123456789210A\u{1d}10B", Refusal::Gs1Syntax),
    ] {
        assert_eq!(seen(Some(b"C1"), broken, false), Code::Refused(why), "{broken}");
    }
    assert_eq!(key(&seen(None, "0106901234567892", false)), Some("6901234567892"));
    assert!(matches!(seen(Some(b"C1"), "00106141411234567897", false), Code::Gs1(ais) if ais.contains_key("00")));
}

#[test]
fn a_digital_link_is_an_item() {
    let link = "https://id.example.com/p/01/06901234567892/10/A%2FB?17=261231&lang=zh";
    let Code::Item(item) = seen(Some(b"Q1"), link, true) else {
        panic!("an item");
    };
    assert_eq!(item.key, "6901234567892".into());
    assert_eq!(item.ais.get("10").map(String::as_str), Some("A/B"));
    assert_eq!(item.ais.get("17").map(String::as_str), Some("261231"));
    assert_eq!(seen(None, "https://id.example.com/01/06901234567893", false), Code::Refused(Refusal::CheckDigit));
    assert_eq!(seen(None, "https://example.com/menu", false), Code::Refused(Refusal::Unrecognised));
}

fn with_check(body: &str) -> String {
    alloc::format!("{body}{}", digits::standard_check(body))
}

#[test]
fn in_store_codes_follow_the_templates() {
    let Code::Item(weighed) = seen(Some(b"E0"), &with_check("211234500678"), false) else {
        panic!("an item");
    };
    assert_eq!((weighed.key, weighed.weight_g), ("2112345".into(), Some(678)));
    let Code::Item(priced) = seen(None, &with_check("221234500995"), false) else {
        panic!("an item");
    };
    assert_eq!((priced.key, priced.price), ("2212345".into(), Some(Money(995))));
    assert_eq!(key(&seen(None, &with_check("231234814685"), false)), None);
    assert_eq!(key(&seen(None, &with_check("231234614685"), false)), Some("231234"));
    assert_eq!(key(&seen(None, &with_check("241234567890"), false)), Some("2412345678901"));
    assert_eq!(seen(None, "2112345006788", false), Code::Refused(Refusal::CheckDigit));
}

#[test]
fn member_codes_carry_a_luhn_digit() {
    assert_eq!(member_check_digit("100000001"), Some(6));
    assert_eq!(member_check_digit("10000000"), None);
    assert_eq!(seen(None, "M1000000016", false), Code::Member("M1000000016".into()));
    assert_eq!(seen(None, "M1000000018", false), Code::Refused(Refusal::CheckDigit));
    assert_eq!(seen(None, "Mabcdefghij", false), Code::Refused(Refusal::Unrecognised));
}

#[test]
fn codes_a_shop_prints_are_read_back_and_misread_ones_refused() {
    let code = |kind: Printed, body: &str| seen(None, &kind.code(body).unwrap(), false);
    assert_eq!(code(Printed::Receipt, "b1-1-t2x9-7"), Code::Receipt("b1-1-t2x9-7".into()));
    assert_eq!(code(Printed::ExitPass, "b1.42"), Code::ExitPass("b1.42".into()));
    assert_eq!(code(Printed::Order, "2026_77"), Code::Order("2026_77".into()));
    let coupon = CouponCode { scheme: CouponScheme::Ours, code: "spring.01".into() };
    assert_eq!(code(Printed::Coupon, "spring.01"), Code::Coupon(coupon));
    let badge = code(Printed::Staff, "77001234");
    assert_eq!(badge, Code::Staff(Private("77001234".into())));
    assert!(!alloc::format!("{badge:?}").contains("77001234"));
    assert_eq!(Printed::Receipt.code(""), None);
    assert_eq!(Printed::Receipt.code("a b"), None);
    let good = Printed::Receipt.code("b1-1-t2x9-7").unwrap();
    for at in 2..good.len() {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'8' { b'9' } else { b'8' };
        let bad = String::from_utf8(bytes).unwrap();
        assert_eq!(seen(None, &bad, false), Code::Refused(Refusal::CheckDigit), "{bad}");
    }
}

#[test]
fn coupons_of_others_are_known_by_prefix_or_application_identifier() {
    let coupon = |code: Code| {
        let Code::Coupon(coupon) = code else {
            panic!("{code:?}");
        };
        (coupon.scheme, coupon.code)
    };
    for (prefix, scheme) in [
        ("99", CouponScheme::Ean),
        ("981", CouponScheme::Ean),
        ("984", CouponScheme::Ean),
        ("980", CouponScheme::RefundSlip),
    ] {
        let ean = with_check(&alloc::format!("{prefix:0<12}"));
        assert_eq!(coupon(seen(Some(b"E0"), &ean, false)), (scheme, ean));
    }
    assert_eq!(key(&seen(None, &with_check("985000000000"), false)), Some("9850000000002"));
    assert_eq!(coupon(seen(Some(b"C1"), "2555412345000150", false)).0, CouponScheme::Gcn);
}

#[test]
fn a_serial_number_stays_with_its_item() {
    let serial = |code: Code| {
        let Code::Item(item) = code else {
            panic!("{code:?}");
        };
        item.serial
    };
    assert_eq!(serial(seen(Some(b"d2"), "010690123456789221A-7", false)).as_deref(), Some("A-7"));
    let link = "https://id.example.com/01/06901234567892/21/A-7";
    assert_eq!(serial(seen(None, link, false)).as_deref(), Some("A-7"));
    assert_eq!(serial(seen(None, "6901234567892", false)), None);
}

#[test]
fn wallet_codes_count_only_while_paying_and_never_print() {
    let code = "134567890123456789";
    let Code::Wallet { provider, .. } = seen(None, code, true) else {
        panic!("a wallet code");
    };
    assert_eq!(provider, WalletProvider::Wechat);
    assert!(!alloc::format!("{:?}", seen(None, code, true)).contains(code));
    assert_eq!(seen(None, code, false), Code::Refused(Refusal::WalletNotNow));
    let label = with_check("28000010025000250");
    assert_eq!(key(&seen(None, &label, false)), Some("2800001"));
    assert!(matches!(seen(None, &label, true), Code::Wallet { .. }));
    assert!(matches!(seen(Some(b"C1"), "106141411234567897", true), Code::Gs1(_)));
}
