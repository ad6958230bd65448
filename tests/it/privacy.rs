//! No personal or card data in journal, logs, headquarters or wire traces.

use anyhow::{Result, ensure};
use e2e::{COLA, MEMBER, NAME, Plan, Shop};
use serde_json::json;
use std::path::Path;

/// Numbers that no card has: those schemes publish for tests, and of UnionPay 16 and 19 digits that agree with Luhn.
const TEST_PANS: [&str; 7] = [
    "4111111111111111",
    "5555555555554444",
    "378282246310005",
    "3530111333300000",
    "6225880123456783",
    "6250941006528599909",
    "6759649826438453",
];
/// What looks like a card number and is none: EAN-13 (the first agrees with Luhn by accident), GTIN-14, a moment in
/// milliseconds, a wallet's code.
const NO_PANS: [&str; 6] =
    ["6901234567892", "4006381333931", "9780201379624", "16901234567899", "1790000000000", "131234567890123456"];
const WALLET: &str = "131234567890123456";

#[test]
fn no_card_number_wallet_code_or_name_is_kept_anywhere_it_may_not_be() -> Result<()> {
    let mut shop = Shop::open(Plan::default())?;
    shop.member(MEMBER)?;
    for pan in TEST_PANS {
        shop.hand(&shop.terminal, json!({"tap": pan}));
        shop.sell(&[COLA])?;
        shop.pressed(json!({"next": {}}))?;
    }
    shop.basket(&[COLA])?;
    shop.pressed(json!({"pay": {"method": "wallet"}}))?;
    shop.scan(WALLET)?;
    shop.wait("the wallet sale", |view| view["view"]["phase"] == "done")?;
    shop.scan(WALLET)?;
    ensure!(shop.sales_at_hq()?.len() == TEST_PANS.len() + 1);
    shop.stop()?;
    let mut looked = 0;
    look(shop.folder.path(), &mut looked)?;
    ensure!(looked >= 6, "only {looked} files were looked at");
    Ok(())
}

fn look(folder: &Path, looked: &mut usize) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            look(&path, looked)?;
            continue;
        }
        let bytes = std::fs::read(&path)?;
        *looked += 1;
        for pan in TEST_PANS {
            let seen = contains(&bytes, pan.as_bytes()) || contains(&bytes, &packed(pan));
            ensure!(!seen, "{} holds a card number", path.display());
        }
        ensure!(!contains(&bytes, WALLET.as_bytes()), "{} holds a wallet code", path.display());
        ensure!(card_numbers(&bytes).is_empty(), "{} holds what may be a card number", path.display());
        // Names live in members.db and in headquarters' dataset, and nowhere else.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let may = name.starts_with("members") || name.starts_with("hq.db");
        ensure!(may || !contains(&bytes, NAME.as_bytes()), "{} holds a member's name", path.display());
    }
    Ok(())
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// As terminals send it: two digits a byte, the last filled up.
fn packed(pan: &str) -> Vec<u8> {
    let digit = |byte: u8| byte - b'0';
    pan.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | pair.get(1).map_or(0xf, |byte| digit(*byte))).collect()
}

/// Runs of 15 to 19 digits that begin as cards do and agree with Luhn; what touches a letter is part of a hash or a name.
pub(crate) fn card_numbers(bytes: &[u8]) -> Vec<String> {
    let runs = bytes.split(|byte| !byte.is_ascii_alphanumeric()).filter(|run| (15..=19).contains(&run.len()));
    let digits = runs.filter(|run| run.iter().all(u8::is_ascii_digit));
    let texts = digits.map(|run| String::from_utf8_lossy(run).into_owned());
    texts.filter(|text| is_issued(text) && luhn(text)).collect()
}

fn is_issued(text: &str) -> bool {
    let two: u32 = text[..2].parse().unwrap_or(0);
    match text.len() {
        15 => matches!(two, 34 | 37),
        16 => matches!(two, 35 | 40..=49 | 51..=55 | 62 | 65 | 67) || text.starts_with("6011"),
        19 => two == 62,
        _ => false,
    }
}

fn luhn(text: &str) -> bool {
    let doubled = |digit: u32| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let digits = text.bytes().rev().map(|byte| u32::from(byte - b'0'));
    digits.enumerate().map(|(at, digit)| if at % 2 == 1 { doubled(digit) } else { digit }).sum::<u32>() % 10 == 0
}

#[test]
fn a_card_number_is_told_from_the_codes_of_goods() {
    for pan in TEST_PANS {
        assert_eq!(card_numbers(format!("x {pan},").as_bytes()), [pan], "the look would find it");
    }
    for code in NO_PANS {
        assert!(card_numbers(format!("x {code},").as_bytes()).is_empty(), "{code}");
    }
}
