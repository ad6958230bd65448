//! From a decoded symbol to what it means in a shop.

use crate::device::Scan;
use crate::words::{ItemKey, Money, Private};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What a scan turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Code {
    Item(ItemCode),
    /// A member's code as printed on card or phone.
    Member(String),
    /// A wallet's one-time payment code: only while a tender waits for one, never journaled.
    Wallet {
        provider: WalletProvider,
        code: Private<String>,
    },
    /// Nothing we know: the reason is for the journal and holds no scanned data that may be private.
    Refused(Refusal),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemCode {
    /// GTIN without leading zeros, or the item number of an in-store code.
    pub key: ItemKey,
    /// Weight in the code: in-store templates, AI 310n.
    pub weight_g: Option<u32>,
    /// Price in the code: in-store templates, AI 392n/393n.
    pub price: Option<Money>,
    /// All application identifiers of a GS1 symbol.
    pub ais: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletProvider {
    Wechat,
    Alipay,
    Unionpay,
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
}

/// What the store has configured about codes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRules {
    /// In-store templates for prefixes 20–29, such as `21IIIIIWWWWWC` (item, grams, check digit)
    /// or `22IIIIIPPPPPC` (item, price in minor units, check digit). Thirteen characters.
    pub templates: Vec<String>,
}

/// Decides what `scan` is. `paying`: a tender waits for a wallet code.
#[must_use]
pub fn classify(scan: &Scan, rules: &ScanRules, paying: bool) -> Code {
    let _ = (scan, rules, paying);
    Code::Refused(Refusal::Unrecognised)
}
