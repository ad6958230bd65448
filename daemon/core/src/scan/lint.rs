//! The checks the GS1 Barcode Syntax Dictionary names, each under the dictionary's own name for it.

use super::coupon;
use super::digits::{self, all_digits};
use super::lists::{COUNTRIES, COUNTRY_LETTERS, CURRENCIES, PACKAGE_TYPES, holds};

/// Does `data` pass the check `name`? A name the dictionary does not have is passed by nothing.
#[must_use]
pub fn passes(name: &str, data: &str) -> bool {
    match name {
        "cset39" => data.bytes().all(in_cset39),
        "cset64" => base64(data),
        "cset82" => data.bytes().all(in_cset82),
        "csetnumeric" => numeric(data),
        "csum" => digits::checked(data),
        "csumalpha" => check_pair(data),
        // Company prefixes are looked up in a service of GS1's, which a shop that is offline has not.
        "gcppos1" | "gcppos2" => true,
        "hasnondigit" => data.bytes().any(|byte| !byte.is_ascii_digit()),
        "hyphen" => !data.is_empty() && data.bytes().all(|byte| byte == b'-'),
        "iban" => iban(data),
        "importeridx" => data.len() == 1 && data.bytes().all(in_cset64),
        "nonzero" => all_digits(data) && data.bytes().any(|byte| byte != b'0'),
        "nozeroprefix" => numeric(data) && !data.starts_with('0'),
        "pcenc" => percent_encoded(data),
        "pieceoftotal" => piece_of_total(data),
        "posinseqslash" => position_in_sequence(data),
        "couponcode" => coupon::north_american(data),
        "couponposoffer" => coupon::positive_offer(data),
        "zero" => !data.is_empty() && data.bytes().all(|byte| byte == b'0'),
        "hh" => within(data, 2, 23),
        "mi" | "ss" => within(data, 2, 59),
        "hhmi" => data.split_at_checked(2).is_some_and(|(hh, mi)| within(hh, 2, 23) && within(mi, 2, 59)),
        "latitude" => within(data, 10, 1_800_000_000),
        "longitude" => within(data, 10, 3_600_000_000),
        "yymmd0" | "yymmdd" => data.len() == 6 && date(data, 2, name.ends_with('0')),
        "yyyymmd0" | "yyyymmdd" => data.len() == 8 && date(data, 4, name.ends_with('0')),
        _ => code(name, data),
    }
}

/// Checks that look `data` up in a list.
fn code(name: &str, data: &str) -> bool {
    match name {
        "iso3166" => holds(COUNTRIES, data),
        "iso3166999" => data == "999" || holds(COUNTRIES, data),
        "iso3166alpha2" => holds(COUNTRY_LETTERS, data),
        "iso4217" => holds(CURRENCIES, data),
        "iso5218" => matches!(data, "0" | "1" | "2" | "9"),
        "mediatype" => within(data, 2, 99) && (("01"..="10").contains(&data) || data >= "80"),
        "packagetype" => holds(PACKAGE_TYPES, data),
        "winding" => matches!(data, "0" | "1" | "9"),
        "yesno" => matches!(data, "0" | "1"),
        _ => false,
    }
}

fn numeric(data: &str) -> bool {
    data.bytes().all(|byte| byte.is_ascii_digit())
}

pub(crate) const fn in_cset39(byte: u8) -> bool {
    byte.is_ascii_digit() || byte.is_ascii_uppercase() || matches!(byte, b'#' | b'-' | b'/')
}

/// Without the padding.
pub(crate) const fn in_cset64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

pub(crate) fn in_cset82(byte: u8) -> bool {
    cset82_value(byte).is_some()
}

/// What a character of CSET 82 counts in the check pair (GS1 General Specifications 7.9.5).
fn cset82_value(byte: u8) -> Option<u32> {
    const CSET82: &[u8] = b"!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
    u32::try_from(CSET82.iter().position(|known| *known == byte)?).ok()
}

/// File-safe base64; padding may be left out, and where it stands it fills groups of three as the dictionary has it.
fn base64(data: &str) -> bool {
    let body = data.trim_end_matches('=');
    let pads = data.len().saturating_sub(body.len());
    body.bytes().all(in_cset64) && (pads == 0 || (pads <= 2 && data.len().is_multiple_of(3)))
}

/// Two check characters over an alphanumeric key: values weighted with the primes from the right, modulo 1021.
fn check_pair(data: &str) -> bool {
    const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    /// Weights are defined for bodies up to this long.
    const LONGEST: usize = 97;
    let Some((body, pair)) = data.len().checked_sub(2).and_then(|at| data.split_at_checked(at)) else {
        return false;
    };
    if body.is_empty() || body.len() > LONGEST {
        return false;
    }
    let sum = body
        .bytes()
        .rev()
        .zip(primes())
        .try_fold(0, |sum, (byte, prime)| Some((sum + cset82_value(byte)? * prime) % 1021));
    let letter = |value: u32| usize::try_from(value).ok().and_then(|at| ALPHABET.get(at).copied());
    sum.is_some_and(|sum| pair.bytes().map(Some).eq([letter(sum / 32), letter(sum % 32)]))
}

fn primes() -> impl Iterator<Item = u32> {
    (2_u32..).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d)))
}

/// ISO 13616: country, two check digits, account; modulo 97 with the first four characters moved behind.
fn iban(data: &str) -> bool {
    let Some((head, account)) = data.split_at_checked(4).filter(|_| (11..=34).contains(&data.len())) else {
        return false;
    };
    let remainder = account.chars().chain(head.chars()).try_fold(0, |sum: u32, c| {
        let value = c.to_digit(36).filter(|_| !c.is_ascii_lowercase())?;
        Some((sum * if value > 9 { 100 } else { 10 } + value) % 97)
    });
    head.get(..2).is_some_and(|country| holds(COUNTRY_LETTERS, country)) && remainder == Some(1)
}

/// Every `%` begins two hexadecimal digits.
fn percent_encoded(data: &str) -> bool {
    data.split('%').skip(1).all(|after| after.len() >= 2 && after.bytes().take(2).all(|byte| byte.is_ascii_hexdigit()))
}

/// Two halves of one length: the piece, and of how many.
fn piece_of_total(data: &str) -> bool {
    let zero = |half: &str| half.bytes().all(|byte| byte == b'0');
    let halves = data.split_at_checked(data.len() / 2);
    all_digits(data)
        && data.len().is_multiple_of(2)
        && halves.is_some_and(|(piece, total)| !zero(piece) && piece <= total)
}

/// `2/3`: position and end, without leading zeros.
fn position_in_sequence(data: &str) -> bool {
    let number = |text: &str| all_digits(text) && !text.starts_with('0');
    data.split_once('/').is_some_and(|(at, end)| number(at) && number(end) && (at.len(), at) <= (end.len(), end))
}

/// Exactly `length` digits, at most `most`.
fn within(data: &str, length: usize, most: u64) -> bool {
    data.len() == length && all_digits(data) && data.parse::<u64>().is_ok_and(|number| number <= most)
}

/// A year of `width` digits, month, day; `open_day`: day 00 means the month as a whole.
fn date(data: &str, width: usize, open_day: bool) -> bool {
    let part = |from: usize, to: usize| -> Option<i64> { data.get(from..to)?.parse().ok() };
    if !all_digits(data) {
        return false;
    }
    let (Some(year), Some(month), Some(day)) = (part(0, width), part(width, width + 2), part(width + 2, width + 4))
    else {
        return false;
    };
    // Of the years two digits can mean, those divisible by four are leap years.
    let year = if width == 2 { year + 2000 } else { year };
    (1..=12).contains(&month) && (i64::from(!open_day)..=super::dates::days_in_month(year, month)).contains(&day)
}
