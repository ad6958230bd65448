//! One row of the GS1 Barcode Syntax Dictionary and what it says.

use super::dictionary::DICTIONARY;
use super::digits;
use super::gs1::Why;
use super::lint;

/// `first` to `last` share one format: components `N6`, `X..20`, `[N..4]` (optional), each with its checks after commas.
#[derive(Debug)]
pub(crate) struct Ai {
    pub(crate) first: &'static str,
    last: &'static str,
    /// `*`: no separator needed behind it, `?`: may stand in the query of a Digital Link.
    flags: &'static str,
    format: &'static str,
    /// `req=`: one of these besides it, `ex=`: none of these besides it, `dlpkey`: begins a Digital Link, with its qualifiers.
    rules: &'static str,
}

pub(crate) const fn row(
    first: &'static str,
    last: &'static str,
    flags: &'static str,
    format: &'static str,
    rules: &'static str,
) -> Ai {
    Ai { first, last, flags, format, rules }
}

/// The application identifier `text` starts with, and how many digits name it; none is the beginning of another.
pub(crate) fn find(text: &str) -> Option<(&'static Ai, usize)> {
    (2..=4).find_map(|width| Some((named(text.get(..width)?)?, width)))
}

/// The application identifier that `code` is, whole.
pub(crate) fn named(code: &str) -> Option<&'static Ai> {
    let after = DICTIONARY.partition_point(|row| row.first <= code);
    let row = DICTIONARY.get(after.checked_sub(1)?)?;
    (row.first.len() == code.len() && code <= row.last && digits::all_digits(code)).then_some(row)
}

impl Ai {
    /// Its values have a predefined length: the next identifier follows at once (GS1 General Specifications 7.8.5).
    pub(crate) fn is_predefined(&self) -> bool {
        self.flags.contains('*')
    }

    pub(crate) fn is_link_attribute(&self) -> bool {
        self.flags.contains('?')
    }

    /// It names goods or a load of them: the keys whose company prefix stands behind an indicator or extension digit.
    pub(crate) fn names_goods(&self) -> bool {
        self.format.contains(",gcppos2")
    }

    /// The values of all rules of this name, such as `01,02` of `req=01,02`.
    pub(crate) fn rules(&self, name: &str) -> impl Iterator<Item = &'static str> {
        self.rules.split(' ').filter_map(move |rule| rule.strip_prefix(name)?.strip_prefix('='))
    }

    /// Sequences of qualifiers that may follow it in the path of a Digital Link; `None`: it begins none.
    pub(crate) fn link_qualifiers(&self) -> Option<impl Iterator<Item = &'static str>> {
        let rule = self.rules.split(' ').find(|rule| rule.split('=').next() == Some("dlpkey"))?;
        Some(rule.split_once('=').map_or("", |(_, sequences)| sequences).split('|'))
    }

    /// Length of a value of a predefined length.
    pub(crate) fn predefined_length(&self) -> Option<usize> {
        self.is_predefined().then(|| components(self.format).map(|part| part.max).sum())
    }

    pub(crate) fn check(&self, value: &str) -> Result<(), Why> {
        let mut rest = value;
        for part in components(self.format) {
            if rest.is_empty() && part.optional {
                continue;
            }
            if let Some(stray) = rest.bytes().take(part.max).find(|byte| !part.allows(*byte)) {
                return Err(Why::Character(stray));
            }
            let (piece, left) = rest.split_at_checked(part.max).unwrap_or((rest, ""));
            if piece.len() < part.min {
                return Err(Why::TooShort);
            }
            // CSET 64 is the only set with a rule beyond its characters: padding.
            let of_set = (part.set == b'Z').then_some("cset64");
            let mut checks = part.checks.split(',').filter(|name| !name.is_empty()).chain(of_set);
            if let Some(name) = checks.find(|name| !lint::passes(name, piece)) {
                return Err(if name == "csum" { Why::CheckDigit } else { Why::Lint(name) });
            }
            rest = left;
        }
        if rest.is_empty() { Ok(()) } else { Err(Why::TooLong) }
    }
}

struct Component {
    set: u8,
    min: usize,
    max: usize,
    optional: bool,
    checks: &'static str,
}

impl Component {
    fn allows(&self, byte: u8) -> bool {
        match self.set {
            b'N' => byte.is_ascii_digit(),
            b'Y' => lint::in_cset39(byte),
            b'Z' => lint::in_cset64(byte) || byte == b'=',
            _ => lint::in_cset82(byte),
        }
    }
}

fn components(format: &'static str) -> impl Iterator<Item = Component> {
    format.split(' ').map(|text| {
        let (shape, checks) = text.split_once(',').unwrap_or((text, ""));
        let optional = shape.starts_with('[');
        let shape = shape.trim_matches(['[', ']']);
        let set = shape.bytes().next().unwrap_or(b'X');
        let length = shape.trim_start_matches(|c: char| c.is_ascii_uppercase());
        let (min, max) = match length.strip_prefix("..") {
            Some(up_to) => (1, up_to.parse().unwrap_or(0)),
            None => {
                let exact = length.parse().unwrap_or(0);
                (exact, exact)
            }
        };
        Component { set, min, max, optional, checks }
    })
}
