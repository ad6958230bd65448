//! GS1 Digital Link: web addresses that carry application identifiers (URI syntax, uncompressed).

use super::ais::{self, Ai};
use super::digits;
use super::gs1::{Elements, Fault, Why};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Older forms of the standard that a shop may still meet; today's allows neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRules {
    /// GTINs of 8, 12 or 13 digits instead of 14.
    #[serde(default)]
    pub short_gtins: bool,
    /// Words for identifiers: `gtin` for 01, `lot` for 10.
    #[serde(default)]
    pub words: bool,
}

const WORDS: &[(&str, &str)] = &[
    ("sscc", "00"),
    ("gtin", "01"),
    ("lot", "10"),
    ("ser", "21"),
    ("cpv", "22"),
    ("tpx", "235"),
    ("gdti", "253"),
    ("glnx", "254"),
    ("gcn", "255"),
    ("ginc", "401"),
    ("gsin", "402"),
    ("gln", "414"),
    ("payTo", "415"),
    ("party", "417"),
    ("grai", "8003"),
    ("giai", "8004"),
    ("itip", "8006"),
    ("cpid", "8010"),
    ("cpsn", "8011"),
    ("gmn", "8013"),
    ("gsrnp", "8017"),
    ("gsrn", "8018"),
    ("srin", "8019"),
    ("refNo", "8020"),
];

/// The elements of `address`: key and qualifiers of its path, then the identifiers of its query.
///
/// # Errors
/// [`Why::NoLink`] where it names no GS1 key, and whatever is wrong with its elements.
pub fn parse(address: &str, rules: LinkRules) -> Result<Elements, Fault> {
    let (path, query) = parts(address).ok_or_else(|| Fault::new("", Why::NoLink))?;
    let segments: Vec<&str> = path.split('/').collect();
    let start = key_position(&segments, rules).ok_or_else(|| Fault::new("", Why::NoLink))?;
    let mut found = Elements::default();
    let mut in_path = Vec::new();
    for pair in segments.get(start..).unwrap_or_default().chunks_exact(2) {
        let [code, value] = pair else { continue };
        let code = identifier(code, rules).ok_or_else(|| Fault::new(code, Why::Unknown))?;
        push(&mut found, code, &unescape(value, false), rules)?;
        in_path.push(code);
    }
    if !is_sequence(&in_path) {
        return Err(Fault::new(in_path.last().unwrap_or(&""), Why::LinkOrder));
    }
    for pair in query.split('&') {
        let Some((code, value)) = pair.split_once('=').filter(|(code, _)| digits::all_digits(code)) else {
            continue;
        };
        let row = ais::named(code).ok_or_else(|| Fault::new(code, Why::Unknown))?;
        let repeated = found.get(code).is_some();
        if repeated || !row.is_link_attribute() || belongs_in_path(&in_path, code) {
            return Err(Fault::new(code, Why::LinkOrder));
        }
        push(&mut found, code, &unescape(value, true), rules)?;
    }
    Ok(found)
}

/// Path without its leading slash, and query; `None`: no web address in today's characters.
fn parts(address: &str) -> Option<(&str, &str)> {
    const IN_ADDRESS: &[u8] = b"-._~:/?#[]@!$&'()*+,;=%";
    const NOT_IN_DOMAIN: &[char] =
        &['_', '~', '?', '#', '@', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', '%'];
    if !address.bytes().all(|byte| byte.is_ascii_alphanumeric() || IN_ADDRESS.contains(&byte)) {
        return None;
    }
    // Schemes are lower or upper case; in mixed case the standard's own readers do not take them.
    let rest = ["https://", "http://", "HTTPS://", "HTTP://"].iter().find_map(|s| address.strip_prefix(s))?;
    let (domain, rest) = rest.split_once('/')?;
    if domain.is_empty() || domain.contains(NOT_IN_DOMAIN) {
        return None;
    }
    let rest = rest.split('#').next().unwrap_or(rest);
    Some(rest.split_once('?').unwrap_or((rest, "")))
}

/// Where the last key of the path stands; pairs are counted from the end, whatever stands before them is the shop's own path.
fn key_position(segments: &[&str], rules: LinkRules) -> Option<usize> {
    let mut at = segments.len();
    loop {
        at = at.checked_sub(2)?;
        let code = identifier(segments.get(at)?, rules)?;
        if ais::named(code)?.link_qualifiers().is_some() {
            return Some(at);
        }
    }
}

fn identifier(segment: &str, rules: LinkRules) -> Option<&str> {
    let word = || WORDS.iter().find(|(word, _)| rules.words && *word == segment).map(|(_, code)| *code);
    word().or_else(|| ais::named(segment).map(|_| segment))
}

fn push(found: &mut Elements, code: &str, value: &[u8], rules: LinkRules) -> Result<(), Fault> {
    let row = ais::named(code).ok_or_else(|| Fault::new(code, Why::Unknown))?;
    let value = core::str::from_utf8(value).map_err(|_| Fault::new(code, Why::Character(0x80)))?;
    if code == "01" && rules.short_gtins && matches!(value.len(), 8 | 12 | 13) {
        return found.push(row, code, &format!("{value:0>14}"));
    }
    found.push(row, code, value)
}

/// A key, and of one of its sequences of qualifiers any, in order.
fn is_sequence(codes: &[&str]) -> bool {
    let Some((key, qualifiers)) = codes.split_first() else {
        return false;
    };
    let in_order = |sequence: &str| {
        let mut sequence = sequence.split(',');
        qualifiers.iter().all(|code| sequence.any(|known| known == *code))
    };
    ais::named(key).and_then(Ai::link_qualifiers).is_some_and(|mut sequences| sequences.any(in_order))
}

/// An identifier of the query that would go on a sequence of the path stands in the wrong place.
fn belongs_in_path(in_path: &[&str], code: &str) -> bool {
    (1..=in_path.len()).any(|at| {
        let (before, after) = in_path.split_at_checked(at).unwrap_or((in_path, &[]));
        is_sequence(&[before, &[code], after].concat())
    })
}

/// The link of `elements` below `stem`; `None`: they name no key, or one of them has no place in a link.
#[must_use]
pub fn render(stem: &str, elements: &Elements) -> Option<String> {
    let sequences = |code: &str| ais::named(code).and_then(Ai::link_qualifiers);
    let (key, value) = elements.iter().find(|(code, _)| sequences(code).is_some())?;
    let count = |sequence: &str| sequence.split(',').filter(|code| elements.get(code).is_some()).count();
    // Of sequences that hold as many of the qualifiers there are, the first.
    let sequence = sequences(key)?.reduce(|best, next| if count(next) > count(best) { next } else { best })?;
    let mut link = format!("{}/{key}/{}", stem.trim_end_matches('/'), escape(value, false));
    for code in sequence.split(',') {
        if let Some(value) = elements.get(code) {
            link.push_str(&format!("/{code}/{}", escape(value, false)));
        }
    }
    let mut said: Vec<&str> = sequence.split(',').chain([key]).collect();
    let mut mark = '?';
    let (first, then): (Vec<_>, Vec<_>) =
        elements.iter().partition(|(code, _)| ais::named(code).is_some_and(Ai::is_predefined));
    for (code, value) in first.into_iter().chain(then) {
        if said.contains(&code) {
            continue;
        }
        ais::named(code).filter(|row| row.is_link_attribute())?;
        link.push_str(&format!("{mark}{code}={}", escape(value, true)));
        mark = '&';
        said.push(code);
    }
    Some(link)
}

/// What a path segment or a query value says; what is no escape stands for itself.
#[must_use]
pub fn unescape(text: &str, query: bool) -> Vec<u8> {
    let nibble = |byte: u8| char::from(byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) if nibble(*high).is_some() && nibble(*low).is_some() => {
                bytes.push(nibble(*high).unwrap_or(0) * 16 + nibble(*low).unwrap_or(0));
                rest = after;
            }
            (b'+', _) if query => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    bytes
}

/// Everything but letters, digits, `-`, `.`, `_` and `~` as `%` and two digits.
#[must_use]
pub fn escape(text: &str, query: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' if query => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => out.push(char::from(byte)),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
