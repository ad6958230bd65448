//! Check digits and the codes that are nothing but digits.

use alloc::format;
use alloc::string::{String, ToString};

pub(crate) fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn values(digits: &str) -> impl DoubleEndedIterator<Item = u32> + '_ {
    digits.bytes().map(|b| u32::from(b.wrapping_sub(b'0') % 10))
}

/// Standard check digit over everything before it (GS1 General Specifications 7.9.1): weights 3, 1 from the right.
pub(crate) fn standard_check(digits: &str) -> u32 {
    let sum: u32 = values(digits).rev().zip([3, 1].iter().cycle()).map(|(digit, weight)| digit * weight).sum();
    (10 - sum % 10) % 10
}

/// Does the last digit check the others?
pub(crate) fn checked(digits: &str) -> bool {
    let Some(body_len) = digits.len().checked_sub(1) else {
        return false;
    };
    let (Some(body), Some(last)) = (digits.get(..body_len), digits.get(body_len..)) else {
        return false;
    };
    all_digits(digits) && last == standard_check(body).to_string()
}

/// UPC-E with number system and check digit to UPC-A (GS1 General Specifications 5.2.2.4.2).
pub(crate) fn expand_upce(code: &str) -> Option<String> {
    if code.len() != 8 || !all_digits(code) {
        return None;
    }
    let system = code.get(..1).filter(|s| matches!(*s, "0" | "1"))?;
    let (six, check) = (code.get(1..7)?, code.get(7..)?);
    let part = |from: usize, to: usize| six.get(from..to);
    let last = part(5, 6)?;
    let body = match last {
        "0" | "1" | "2" => format!("{}{last}0000{}", part(0, 2)?, part(2, 5)?),
        "3" => format!("{}00000{}", part(0, 3)?, part(3, 5)?),
        "4" => format!("{}00000{}", part(0, 4)?, part(4, 5)?),
        _ => format!("{}0000{last}", part(0, 5)?),
    };
    let upca = format!("{system}{body}{check}");
    checked(&upca).then_some(upca)
}

const TWO_MINUS: [u32; 10] = [0, 2, 4, 6, 8, 9, 1, 3, 5, 7];
const THREE: [u32; 10] = [0, 3, 6, 9, 2, 5, 8, 1, 4, 7];
const FIVE_PLUS: [u32; 10] = [0, 5, 1, 6, 2, 7, 3, 8, 4, 9];
const FIVE_MINUS: [u32; 10] = [0, 5, 9, 4, 8, 3, 7, 2, 6, 1];

/// Check digit over a price or weight of four or five digits (GS1 General Specifications 7.9.2 to 7.9.4).
pub(crate) fn value_check(digits: &str) -> Option<u32> {
    let weigh = |tables: &[[u32; 10]]| -> u32 {
        values(digits).zip(tables).filter_map(|(digit, table)| table.get(usize::try_from(digit).ok()?)).sum()
    };
    match digits.len() {
        4 => Some(weigh(&[TWO_MINUS, TWO_MINUS, THREE, FIVE_MINUS]) * 3 % 10),
        5 => {
            let sum = weigh(&[FIVE_PLUS, TWO_MINUS, FIVE_MINUS, FIVE_PLUS, TWO_MINUS]);
            let wanted = (10 - sum % 10) % 10;
            (0..10).zip(FIVE_MINUS).find_map(|(digit, weighted)| (weighted == wanted).then_some(digit))
        }
        _ => None,
    }
}

/// The tenth digit of a member code over its first nine (Luhn, ISO/IEC 7812-1 annex B).
#[must_use]
pub fn member_check_digit(nine: &str) -> Option<u8> {
    if nine.len() != 9 || !all_digits(nine) {
        return None;
    }
    let sum: u32 = values(nine)
        .rev()
        .zip([true, false].iter().cycle())
        .map(|(digit, doubled)| match (doubled, digit) {
            (true, 5..) => digit * 2 - 9,
            (true, _) => digit * 2,
            (false, _) => digit,
        })
        .sum();
    u8::try_from((10 - sum % 10) % 10).ok()
}
