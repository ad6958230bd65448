//! GS1 element strings: reading them, writing them, and what may stand beside what.

use super::ais::{self, Ai};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Application identifier to value.
pub type Ais = BTreeMap<String, String>;

/// What a scanner sends for FNC1 behind a value without a predefined length.
pub const SEPARATOR: char = '\u{1d}';

/// More than any symbol holds.
const ELEMENTS_MAX: usize = 64;

/// What is wrong, and with which application identifier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub ai: String,
    pub why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    Empty,
    /// No application identifier begins here.
    Unknown,
    TooShort,
    TooLong,
    /// A character its format does not allow.
    Character(u8),
    CheckDigit,
    /// A check the dictionary names.
    Lint(&'static str),
    /// There twice, with different values.
    Differs,
    /// Must not stand beside this one.
    Excluded(String),
    /// Needs one of these beside it.
    Required(&'static str),
    /// A digital signature over a key without serial number.
    Unserialised,
    /// No web address that names a GS1 key.
    NoLink,
    /// A Digital Link whose identifiers do not stand where they belong.
    LinkOrder,
}

impl Fault {
    pub(crate) fn new(ai: &str, why: Why) -> Self {
        Self { ai: ai.into(), why }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.ai.is_empty() {
            write!(f, "AI {}: ", self.ai)?;
        }
        match &self.why {
            Why::Empty => f.write_str("no data"),
            Why::Unknown => f.write_str("no application identifier begins here"),
            Why::TooShort => f.write_str("too short"),
            Why::TooLong => f.write_str("too long, or a separator is missing"),
            Why::Character(byte) => write!(f, "byte {byte:#04x} is not allowed"),
            Why::CheckDigit => f.write_str("the check digit is wrong"),
            Why::Lint(name) => write!(f, "fails the check {name}"),
            Why::Differs => f.write_str("there twice with different values"),
            Why::Excluded(other) => write!(f, "must not stand beside AI {other}"),
            Why::Required(others) => write!(f, "needs AI {others}"),
            Why::Unserialised => f.write_str("signs a key that has no serial number"),
            Why::NoLink => f.write_str("not a GS1 Digital Link"),
            Why::LinkOrder => f.write_str("does not belong where it stands in the link"),
        }
    }
}

/// The elements of one symbol, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Elements(pub(crate) Vec<(String, String)>);

/// Elements behind FNC1, as a scanner sends them without symbology identifier (GS1 General Specifications 7.8.6).
///
/// # Errors
/// The first thing that breaks the syntax; what stands beside what is [`Elements::associated`].
pub fn parse(text: &str) -> Result<Elements, Fault> {
    let mut found = Elements::default();
    let mut rest = text;
    while !rest.is_empty() {
        let beginning = || rest.chars().take(4).collect::<String>();
        let (row, width) = ais::find(rest).ok_or_else(|| Fault::new(&beginning(), Why::Unknown))?;
        let (code, tail) = rest.split_at_checked(width).unwrap_or((rest, ""));
        let (value, after) = match row.predefined_length() {
            Some(length) => {
                let (value, after) = tail.split_at_checked(length).ok_or_else(|| Fault::new(code, Why::TooShort))?;
                (value, after.strip_prefix(SEPARATOR).unwrap_or(after))
            }
            None => tail.split_once(SEPARATOR).unwrap_or((tail, "")),
        };
        found.push(row, code, value)?;
        rest = after;
    }
    found.some()
}

/// `^010952012345678810ABC^17261231`: an element string with `^` for FNC1, the first one included.
///
/// # Errors
/// As [`parse`].
pub fn parse_unbracketed(text: &str) -> Result<Elements, Fault> {
    let data = text.strip_prefix('^').ok_or_else(|| Fault::new("", Why::Unknown))?;
    parse(&data.replace('^', "\u{1d}"))
}

/// `(01)09520123456788(10)ABC`: as it is printed below a symbol; `\(` is a bracket within a value.
///
/// # Errors
/// As [`parse`].
pub fn parse_bracketed(text: &str) -> Result<Elements, Fault> {
    let mut found = Elements::default();
    let mut rest = text;
    while !rest.is_empty() {
        let named = rest.strip_prefix('(').and_then(|inner| inner.split_once(')'));
        let (code, tail) = named.ok_or_else(|| Fault::new("", Why::Unknown))?;
        let row = ais::named(code).ok_or_else(|| Fault::new(code, Why::Unknown))?;
        let mut escaped = false;
        let end = tail.find(|c| {
            let ends = c == '(' && !escaped;
            escaped = c == '\\';
            ends
        });
        let (value, after) = tail.split_at_checked(end.unwrap_or(tail.len())).unwrap_or((tail, ""));
        found.push(row, code, &value.replace("\\(", "("))?;
        rest = after;
    }
    found.some()
}

impl Elements {
    pub(crate) fn push(&mut self, row: &Ai, code: &str, value: &str) -> Result<(), Fault> {
        row.check(value).map_err(|why| Fault::new(code, why))?;
        if self.0.len() >= ELEMENTS_MAX {
            return Err(Fault::new(code, Why::TooLong));
        }
        self.0.push((code.into(), value.into()));
        Ok(())
    }

    fn some(self) -> Result<Self, Fault> {
        if self.0.is_empty() { Err(Fault::new("", Why::Empty)) } else { Ok(self) }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(code, value)| (code.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn get(&self, code: &str) -> Option<&str> {
        self.iter().find_map(|(known, value)| (known == code).then_some(value))
    }

    #[must_use]
    pub fn into_ais(self) -> Ais {
        self.0.into_iter().collect()
    }

    /// With `^` for FNC1, which stands first and wherever it is needed.
    #[must_use]
    pub fn unbracketed(&self) -> String {
        let mut text = String::from("^");
        let mut predefined = true;
        for (code, value) in self.iter() {
            if !predefined {
                text.push('^');
            }
            predefined = ais::named(code).is_some_and(Ai::is_predefined);
            text.push_str(code);
            text.push_str(value);
        }
        text
    }

    /// What a scanner sends behind the symbology identifier.
    #[must_use]
    pub fn scanned(&self) -> String {
        self.unbracketed().trim_start_matches('^').replace('^', "\u{1d}")
    }

    #[must_use]
    pub fn bracketed(&self) -> String {
        self.iter().map(|(code, value)| alloc::format!("({code}){}", value.replace('(', "\\("))).collect()
    }

    /// What may stand beside what. A symbol that names no goods is one of several on the same label: what its elements
    /// need stands in another, so only symbols that do, and signatures, are held to what they require.
    ///
    /// # Errors
    /// The first element that misses another, or must not stand beside it.
    pub fn associated(&self) -> Result<(), Fault> {
        let names_goods = self.rows().any(|(_, _, row)| row.names_goods());
        for (code, value, row) in self.rows() {
            if self.iter().any(|(other, differs)| other == code && differs != value) {
                return Err(Fault::new(code, Why::Differs));
            }
            if let Some(other) = row.rules("ex").flat_map(|list| list.split(',')).find_map(|p| self.beside(p, code)) {
                return Err(Fault::new(code, Why::Excluded(other.into())));
            }
            let met = |list: &&str| list.split(',').any(|all| all.split('+').all(|p| self.beside(p, code).is_some()));
            if (names_goods || code == SIGNATURE)
                && let Some(list) = row.rules("req").find(|list| !met(list))
            {
                return Err(Fault::new(code, Why::Required(list)));
            }
        }
        if self.get(SIGNATURE).is_some() && self.iter().any(|(code, value)| is_unserialised(code, value)) {
            return Err(Fault::new(SIGNATURE, Why::Unserialised));
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = (&str, &str, &'static Ai)> {
        self.iter().filter_map(|(code, value)| Some((code, value, ais::named(code)?)))
    }

    /// Another element whose identifier fits `pattern`, such as `31nn`.
    fn beside(&self, pattern: &str, code: &str) -> Option<&str> {
        let prefix = pattern.trim_end_matches('n');
        self.iter()
            .map(|(other, _)| other)
            .find(|other| *other != code && other.starts_with(prefix) && other.len() == pattern.len())
    }
}

/// A digital signature belongs to its key; it is never alone in a symbol.
const SIGNATURE: &str = "8030";

/// Keys with an optional serial number, here without one.
fn is_unserialised(code: &str, value: &str) -> bool {
    match code {
        "253" | "255" => value.len() == 13,
        "8003" => value.len() == 14,
        _ => false,
    }
}
