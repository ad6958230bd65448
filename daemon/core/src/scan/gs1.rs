//! GS1 element strings and Digital Link addresses to application identifiers.

use super::ais::{self, PREDEFINED};
use super::digits;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Syntax,
    CheckDigit,
}

pub(crate) type Ais = BTreeMap<String, String>;

const SEPARATOR: char = '\u{1d}';

/// An element string as a scanner sends it, without symbology identifier (GS1 General Specifications 7.8.6).
pub(crate) fn parse(text: &str) -> Result<Ais, Fault> {
    let mut found = Ais::new();
    let mut rest = text;
    if rest.is_empty() {
        return Err(Fault::Syntax);
    }
    while !rest.is_empty() {
        let (row, width) = ais::find(rest).ok_or(Fault::Syntax)?;
        let (Some(code), Some(tail)) = (rest.get(..width), rest.get(width..)) else {
            return Err(Fault::Syntax);
        };
        let predefined = PREDEFINED.iter().any(|prefix| code.starts_with(prefix));
        let (value, after) = match row.fixed_length().filter(|_| predefined) {
            Some(length) => {
                let value = tail.get(..length).ok_or(Fault::Syntax)?;
                let after = tail.get(length..).ok_or(Fault::Syntax)?;
                (value, after.strip_prefix(SEPARATOR).unwrap_or(after))
            }
            None => tail.split_once(SEPARATOR).unwrap_or((tail, "")),
        };
        row.check(value)?;
        let known = found.insert(code.into(), value.into());
        if known.is_some_and(|earlier| earlier != value) {
            return Err(Fault::Syntax);
        }
        rest = after;
    }
    Ok(found)
}

/// `None`: not a web address that names a GTIN. Further path pairs and query pairs become application identifiers
/// (GS1 Digital Link URI syntax 1.4, uncompressed).
pub(crate) fn digital_link(text: &str) -> Option<Result<Ais, Fault>> {
    let rest = ["https://", "http://", "HTTPS://", "HTTP://"].iter().find_map(|scheme| text.strip_prefix(scheme))?;
    let rest = rest.split('#').next().unwrap_or(rest);
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let segments: Vec<&str> = path.split('/').skip(1).collect();
    let start = (0..segments.len()).find(|at| {
        segments.get(*at) == Some(&"01")
            && segments.get(at + 1).is_some_and(|gtin| matches!(gtin.len(), 8 | 12..=14) && digits::all_digits(gtin))
    })?;
    Some(link_parts(segments.get(start..).unwrap_or(&[]), query))
}

fn link_parts(path: &[&str], query: &str) -> Result<Ais, Fault> {
    let mut found = Ais::new();
    for pair in path.chunks(2) {
        match pair {
            [code, value] => link_pair(&mut found, code, &unescape(value, false)?)?,
            [""] => {}
            _ => return Err(Fault::Syntax),
        }
    }
    let named = |pair: &&str| pair.split('=').next().is_some_and(digits::all_digits);
    for pair in query.split(['&', ';']).filter(named) {
        let (code, value) = pair.split_once('=').ok_or(Fault::Syntax)?;
        link_pair(&mut found, code, &unescape(value, true)?)?;
    }
    Ok(found)
}

fn link_pair(found: &mut Ais, code: &str, value: &str) -> Result<(), Fault> {
    let (row, width) = ais::find(code).ok_or(Fault::Syntax)?;
    if width != code.len() {
        return Err(Fault::Syntax);
    }
    let value = if code == "01" { format!("{value:0>14}") } else { value.into() };
    row.check(&value)?;
    match found.insert(code.into(), value) {
        Some(_) => Err(Fault::Syntax),
        None => Ok(()),
    }
}

fn unescape(text: &str, query: bool) -> Result<String, Fault> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let nibble = |b: &u8| char::from(*b).to_digit(16);
                let (Some(high), Some(low)) = (nibble(high), nibble(low)) else {
                    return Err(Fault::Syntax);
                };
                bytes.push(u8::try_from(high * 16 + low).map_err(|_| Fault::Syntax)?);
                rest = after;
            }
            (b'+', _) if query => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).map_err(|_| Fault::Syntax)
}
