//! From a decoded symbol to what it means in a shop.

mod ais;
mod coupon;
mod dates;
mod dictionary;
mod digits;
pub mod freshness;
pub mod gs1;
pub mod link;
pub mod lint;
mod lists;
mod printed;

pub use digits::member_check_digit;
pub use printed::Printed;

use crate::device::Scan;
use crate::receipt::Currency;
use crate::words::{ItemKey, Money, Private};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use freshness::FreshnessRules;
use gs1::{Ais, Elements, Fault, Why};
use link::LinkRules;
use serde::{Deserialize, Serialize};

/// What a scan turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    Item(ItemCode),
    /// A member's code as printed on card or phone.
    Member(String),
    Coupon(CouponCode),
    /// What a staff badge says behind its prefix: as good as a key, so it is never journaled.
    Staff(Private<String>),
    /// What a receipt of ours says of itself behind its prefix.
    Receipt(String),
    /// What lets a shopper who has paid out of the gate.
    ExitPass(String),
    /// An order to hand over, or to pick.
    Order(String),
    /// A GS1 symbol in good order that names neither goods nor a coupon: a pallet, a place, an asset.
    Gs1(Ais),
    /// A wallet's one-time payment code: only while a tender waits for one, never journaled.
    Wallet {
        provider: WalletProvider,
        code: Private<String>,
    },
    /// Nothing we know: the reason is for the journal and holds no scanned data that may be private.
    Refused(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CouponCode {
    pub scheme: CouponScheme,
    /// Of our own coupons what stands behind the prefix, of the others all their digits or characters.
    pub code: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CouponScheme {
    /// Printed by a shop of ours: [`Printed::Coupon`].
    Ours,
    /// Global Coupon Number: AI 255.
    Gcn,
    /// North American coupon: AI 8110.
    NorthAmerican,
    /// North American positive offer file: AI 8112.
    PositiveOffer,
    /// EAN-13 with prefix 99, or 981 to 984 of a currency several countries share.
    Ean,
    /// EAN-13 with prefix 980: a slip that pays back, such as of a bottle machine.
    RefundSlip,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemCode {
    /// GTIN without leading zeros; of an in-store code with weight or price the template's prefix and the item number
    /// (`2112345` of `2112345006789` by `21IIIIIWWWWWC`), so that one key prices every weight.
    pub key: ItemKey,
    /// Weight in the code: in-store templates, AI 310n.
    pub weight_g: Option<u32>,
    /// Price in the code: in-store templates, AI 392n and 393n where the rules name the store's currency.
    pub price: Option<Money>,
    /// Serial number of this single piece: AI 21 of an element string or a Digital Link.
    pub serial: Option<String>,
    /// All application identifiers of a GS1 symbol.
    pub ais: Ais,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletProvider {
    Wechat,
    Alipay,
    Unionpay,
    /// A gift card of the retailer's own, or of who keeps them for it.
    Gift,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Not a code of any known form.
    Unrecognised,
    /// A check digit does not agree: misread or misprinted.
    CheckDigit,
    /// A GS1 symbol that breaks the syntax of its application identifiers.
    Gs1Syntax,
    /// A payment code while nobody is paying.
    WalletNotNow,
    Empty,
    /// A GS1 symbol in good order that names neither goods nor a coupon.
    NotGoods,
}

/// What the store has configured about codes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRules {
    /// In-store templates for prefixes 20–29, such as `21IIIIIWWWWWC` (item, grams, check digit)
    /// or `22IIIIIPPPPPC` (item, price in minor units, check digit). Thirteen characters, or eighteen as label scales
    /// print them (`24IIIIIWWWWWPPPPPC`); `V` is the check digit over the price or weight digits behind it.
    pub templates: Vec<String>,
    /// What prices in GS1 symbols are in; without it they are not read.
    #[serde(default)]
    pub currency: Option<Currency>,
    #[serde(default)]
    pub links: LinkRules,
    #[serde(default)]
    pub freshness: FreshnessRules,
}

/// Separates a linear symbol from the composite component above it.
const COMPOSITE: &str = "|]e0";

/// Decides what `scan` is. `paying`: a tender waits for a wallet code.
#[must_use]
pub fn classify(scan: &Scan, rules: &ScanRules, paying: bool) -> Code {
    let Some(text) = text(scan) else {
        return Code::Refused(Refusal::Unrecognised);
    };
    if text.is_empty() {
        return Code::Refused(Refusal::Empty);
    }
    match scan.aim.as_ref() {
        Some(b"E0") => linear(text, 13, rules),
        // Behind the EAN-13 stands an add-on of two or five digits (of a newspaper), which prices nothing here.
        Some(b"E3") => retail(text.get(..13).unwrap_or(text), Some(13), rules),
        Some(b"E4") => linear(text, 8, rules),
        Some(_) | None => match elements(scan, rules) {
            Some(read) => gs1_code(read, rules),
            None => unmarked(text, rules, paying),
        },
    }
}

/// The GS1 elements of `scan`, or what is wrong with them; `None`: it is no GS1 element string and no Digital Link.
#[must_use]
pub fn elements(scan: &Scan, rules: &ScanRules) -> Option<Result<Elements, Fault>> {
    let text = text(scan)?;
    let read = match scan.aim.as_ref() {
        Some(b"C1" | b"e0" | b"d2" | b"Q3" | b"J1") => gs1::parse(text),
        Some(b"E0" | b"E3" | b"E4") => {
            let (linear, composite) = text.split_once(COMPOSITE)?;
            composite_elements(linear, composite)
        }
        Some(_) => plain_elements(text, rules)?,
        None => match text.as_bytes().first()? {
            b'^' => gs1::parse_unbracketed(text),
            b'(' => gs1::parse_bracketed(text),
            _ => plain_elements(text, rules)?,
        },
    };
    Some(read.and_then(|elements| elements.associated().map(|()| elements)))
}

fn text(scan: &Scan) -> Option<&str> {
    Some(core::str::from_utf8(&scan.data).ok()?.trim_matches(' '))
}

/// In a symbol that does not say it holds GS1 data: a Digital Link, or what begins as goods do.
fn plain_elements(text: &str, rules: &ScanRules) -> Option<Result<Elements, Fault>> {
    let begins_with_gtin = || text.starts_with("01") && text.get(2..16).is_some_and(digits::checked);
    match link::parse(text, rules.links) {
        Err(Fault { why: Why::NoLink, .. }) if text.contains(gs1::SEPARATOR) || begins_with_gtin() => {
            Some(gs1::parse(text))
        }
        Err(Fault { why: Why::NoLink, .. }) => None,
        read => Some(read),
    }
}

/// The GTIN of an EAN symbol counts as AI 01 of the composite component above it.
fn composite_elements(linear: &str, composite: &str) -> Result<Elements, Fault> {
    let mut found = gs1::parse(&alloc::format!("01{linear:0>14}"))?;
    found.0.extend(gs1::parse(composite)?.0);
    Ok(found)
}

/// An EAN symbol of `length` digits, perhaps below a composite component.
fn linear(text: &str, length: usize, rules: &ScanRules) -> Code {
    let Some((linear, composite)) = text.split_once(COMPOSITE) else {
        return retail(text, Some(length), rules);
    };
    let code = retail(linear, Some(length), rules);
    let Code::Item(item) = code else { return code };
    let read = composite_elements(linear, composite).and_then(|found| found.associated().map(|()| found));
    let above = gs1_code(read, rules);
    let Code::Item(with) = above else { return above };
    Code::Item(ItemCode {
        key: item.key,
        weight_g: item.weight_g.or(with.weight_g),
        price: item.price.or(with.price),
        ..with
    })
}

/// A scan that is no GS1 data, and whose symbology identifier settles nothing.
fn unmarked(text: &str, rules: &ScanRules, paying: bool) -> Code {
    if let Some(number) = text.strip_prefix('M').filter(|n| n.len() == 10) {
        return member(text, number);
    }
    if let Some(code) = printed::read(text, paying) {
        return code;
    }
    if let Some(provider) = wallet(text) {
        return match in_store(text, rules) {
            Some(Ok(item)) if !paying => Code::Item(item),
            _ if paying => Code::Wallet { provider, code: Private(text.into()) },
            _ => Code::Refused(Refusal::WalletNotNow),
        };
    }
    retail(text, None, rules)
}

fn gs1_code(read: Result<Elements, Fault>, rules: &ScanRules) -> Code {
    let ais = match read {
        Ok(elements) => elements.into_ais(),
        Err(Fault { why: Why::CheckDigit, .. }) => return Code::Refused(Refusal::CheckDigit),
        Err(_) => return Code::Refused(Refusal::Gs1Syntax),
    };
    let Some(key) = ais.get("01").and_then(|gtin| gtin_key(gtin)) else {
        return gs1_coupon(&ais).map_or(Code::Gs1(ais), Code::Coupon);
    };
    Code::Item(ItemCode {
        key,
        serial: ais.get("21").cloned(),
        weight_g: ais.iter().find_map(|(ai, value)| grams(ai, value)),
        price: ais.iter().find_map(|(ai, value)| gs1_price(ai, value, rules.currency.as_ref()?)),
        ais,
    })
}

fn gs1_coupon(ais: &Ais) -> Option<CouponCode> {
    [("255", CouponScheme::Gcn), ("8110", CouponScheme::NorthAmerican), ("8112", CouponScheme::PositiveOffer)]
        .into_iter()
        .find_map(|(ai, scheme)| Some(CouponCode { scheme, code: ais.get(ai)?.clone() }))
}

/// What the EAN-13 prefixes 98 and 99 say (GS1 General Specifications 1.4.2).
fn ean_coupon(ean: &str) -> Option<CouponCode> {
    let scheme = match ean.get(..3).filter(|_| ean.len() == 13)? {
        "980" => CouponScheme::RefundSlip,
        "981" | "982" | "983" | "984" => CouponScheme::Ean,
        prefix if prefix.starts_with("99") => CouponScheme::Ean,
        _ => return None,
    };
    Some(CouponCode { scheme, code: ean.into() })
}

/// Net weight in kilograms with `n` decimals (AI 310n), rounded to the gram.
fn grams(ai: &str, value: &str) -> Option<u32> {
    let decimals: u32 = ai.strip_prefix("310")?.parse().ok()?;
    let divisor = 10_u64.checked_pow(decimals)?;
    let milli = value.parse::<u64>().ok()?.checked_mul(1000)?;
    u32::try_from((milli + divisor / 2) / divisor).ok()
}

/// Price with `n` decimals (AI 392n), or with the numeric currency before it (AI 393n); exact or not at all.
fn gs1_price(ai: &str, value: &str, currency: &Currency) -> Option<Money> {
    let (decimals, amount) = match ai.strip_prefix("393") {
        Some(decimals) => {
            let (numeric, amount) = value.split_at_checked(3)?;
            if numeric.parse() != Ok(currency.numeric) {
                return None;
            }
            (decimals, amount)
        }
        None => (ai.strip_prefix("392")?, value),
    };
    let decimals: u32 = decimals.parse().ok()?;
    let scaled = amount.parse::<i64>().ok()?.checked_mul(10_i64.checked_pow(u32::from(currency.digits))?)?;
    let divisor = 10_i64.checked_pow(decimals)?;
    (scaled % divisor == 0).then(|| Money(scaled / divisor))
}

fn gtin_key(gtin: &str) -> Option<ItemKey> {
    let key = gtin.trim_start_matches('0');
    (!key.is_empty()).then(|| ItemKey(key.into()))
}

fn member(text: &str, number: &str) -> Code {
    let (nine, last) = number.split_at_checked(9).unwrap_or((number, ""));
    match member_check_digit(nine) {
        Some(check) if last == check.to_string() => Code::Member(text.into()),
        Some(_) => Code::Refused(Refusal::CheckDigit),
        None => Code::Refused(Refusal::Unrecognised),
    }
}

/// The wallets' own rules: `1[0-5]` and 18 digits, `2[5-9]` or `30` and 16 to 24 digits, `62` and 19 digits;
/// `fp` begins what Alipay's face recognition hands out.
fn wallet(text: &str) -> Option<WalletProvider> {
    if text.len() >= 16 && text.starts_with("fp") && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some(WalletProvider::Alipay);
    }
    let prefix: u32 = text.get(..2).filter(|_| digits::all_digits(text))?.parse().ok()?;
    match (prefix, text.len()) {
        (10..=15, 18) => Some(WalletProvider::Wechat),
        (25..=30, 16..=24) => Some(WalletProvider::Alipay),
        (62, 19) => Some(WalletProvider::Unionpay),
        _ => None,
    }
}

/// EAN-13, EAN-8, UPC-A, UPC-E, GTIN-14 and in-store codes. `marked`: the length its symbology identifier promises.
fn retail(text: &str, marked: Option<usize>, rules: &ScanRules) -> Code {
    if !digits::all_digits(text) {
        return Code::Refused(Refusal::Unrecognised);
    }
    if let Some(in_store) = in_store(text, rules) {
        return in_store.map_or_else(Code::Refused, Code::Item);
    }
    let gtin = match (text.len(), marked) {
        (8, Some(8)) | (12 | 13, None | Some(13)) | (14, None) => digits::checked(text).then(|| text.to_string()),
        (8, Some(13)) => digits::expand_upce(text),
        (8, None) => eight(text),
        _ => return Code::Refused(Refusal::Unrecognised),
    };
    let Some(gtin) = gtin else {
        return Code::Refused(Refusal::CheckDigit);
    };
    if let Some(coupon) = ean_coupon(&gtin) {
        return Code::Coupon(coupon);
    }
    gtin_key(&gtin).map_or(Code::Refused(Refusal::Unrecognised), |key| {
        Code::Item(ItemCode { key, weight_g: None, price: None, serial: None, ais: Ais::new() })
    })
}

/// Eight digits that nobody marked. No trade item has a GTIN-8 that starts with 0, so there UPC-E comes first.
fn eight(text: &str) -> Option<String> {
    let ean = digits::checked(text).then(|| text.to_string());
    let upce = digits::expand_upce(text);
    if text.starts_with('0') { upce.or(ean) } else { ean.or(upce) }
}

/// `None`: no template of the store fits.
fn in_store(text: &str, rules: &ScanRules) -> Option<Result<ItemCode, Refusal>> {
    let padded = alloc::format!("{text:0>13}");
    let code = if text.len() == 12 { &padded } else { text };
    let template = rules.templates.iter().find(|t| fits(t, code))?;
    let part = |letters: &[u8]| -> String {
        template
            .bytes()
            .zip(code.chars())
            .filter_map(|(letter, digit)| letters.contains(&letter).then_some(digit))
            .collect()
    };
    let (weight, price) = (part(b"W"), part(b"PA"));
    let checked_value = if price.is_empty() { &weight } else { &price };
    let value_check = part(b"V");
    if !digits::checked(code)
        || (!value_check.is_empty() && digits::value_check(checked_value).map(|c| c.to_string()) != Some(value_check))
    {
        return Some(Err(Refusal::CheckDigit));
    }
    Some(Ok(ItemCode {
        key: ItemKey(part(b"0123456789I")),
        weight_g: weight.parse().ok(),
        price: price.parse().ok().map(Money),
        serial: None,
        ais: Ais::new(),
    }))
}

fn fits(template: &str, code: &str) -> bool {
    template.len() == code.len()
        && digits::all_digits(code)
        && template.bytes().zip(code.bytes()).all(|(letter, digit)| !letter.is_ascii_digit() || letter == digit)
}

#[cfg(test)]
mod tests;
