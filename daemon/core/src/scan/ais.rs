//! GS1 application identifiers as data: format of each, in the notation of the GS1 Barcode Syntax Dictionary.

use super::digits;
use super::gs1::Fault;

/// `first` to `last` share one format: components `N6`, `X..20`, `[N..4]` (optional), each with its checks after commas.
pub(crate) struct Ai {
    pub(crate) first: &'static str,
    last: &'static str,
    format: &'static str,
}

const fn ai(first: &'static str, last: &'static str, format: &'static str) -> Ai {
    Ai { first, last, format }
}

/// Two first digits whose length is predefined: no separator needed behind them (GS1 General Specifications 7.8.5-2).
pub(crate) const PREDEFINED: &[&str] = &[
    "00", "01", "02", "03", "04", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20", "31", "32", "33", "34",
    "35", "36", "41",
];

const AIS: &[Ai] = &[
    ai("00", "00", "N18,csum"),
    ai("01", "03", "N14,csum"),
    ai("10", "10", "X..20"),
    ai("11", "13", "N6,yymmd0"),
    ai("15", "17", "N6,yymmd0"),
    ai("20", "20", "N2"),
    ai("21", "22", "X..20"),
    ai("235", "235", "X..28"),
    ai("240", "241", "X..30"),
    ai("242", "242", "N..6"),
    ai("243", "243", "X..20"),
    ai("250", "251", "X..30"),
    ai("253", "253", "N13,csum [X..17]"),
    ai("254", "254", "X..20"),
    ai("255", "255", "N13,csum [N..12]"),
    ai("30", "30", "N..8"),
    ai("37", "37", "N..8"),
    ai("3900", "3909", "N..15"),
    ai("3910", "3919", "N3 N..15"),
    ai("3920", "3929", "N..15"),
    ai("3930", "3939", "N3 N..15"),
    ai("3940", "3943", "N4"),
    ai("3950", "3955", "N6"),
    ai("400", "401", "X..30"),
    ai("402", "402", "N17,csum"),
    ai("403", "403", "X..30"),
    ai("410", "417", "N13,csum"),
    ai("420", "420", "X..20"),
    ai("421", "421", "N3 X..9"),
    ai("422", "422", "N3"),
    ai("423", "423", "N3 [N3] [N3] [N3] [N3]"),
    ai("424", "424", "N3"),
    ai("425", "425", "N3 [N3] [N3] [N3] [N3]"),
    ai("426", "426", "N3"),
    ai("427", "427", "X..3"),
    ai("7001", "7001", "N13"),
    ai("7002", "7002", "X..30"),
    ai("7003", "7003", "N6,yymmdd N4,hhmi"),
    ai("7004", "7004", "N..4"),
    ai("7005", "7005", "X..12"),
    ai("7006", "7006", "N6,yymmdd"),
    ai("7007", "7007", "N6,yymmdd [N6],yymmdd"),
    ai("7008", "7008", "X..3"),
    ai("7009", "7009", "X..10"),
    ai("7010", "7010", "X..2"),
    ai("7020", "7022", "X..20"),
    ai("7030", "7039", "N3 X..27"),
    ai("710", "717", "X..20"),
    ai("7230", "7239", "X2 X..28"),
    ai("7240", "7240", "X..20"),
    ai("8001", "8001", "N4,nonzero N5,nonzero N3,nonzero N1 N1"),
    ai("8002", "8002", "X..20"),
    ai("8003", "8003", "N1,zero N13,csum [X..16]"),
    ai("8004", "8004", "X..30"),
    ai("8005", "8005", "N6"),
    ai("8006", "8006", "N14,csum N4"),
    ai("8007", "8007", "X..34"),
    ai("8008", "8008", "N6,yymmdd N2,hh [N2],mi [N2],mi"),
    ai("8009", "8009", "X..50"),
    ai("8010", "8010", "Y..30"),
    ai("8011", "8011", "N..12"),
    ai("8012", "8012", "X..20"),
    ai("8013", "8014", "X..25"),
    ai("8017", "8018", "N18,csum"),
    ai("8019", "8019", "N..10"),
    ai("8020", "8020", "X..25"),
    ai("8026", "8026", "N14,csum N4"),
    ai("8110", "8110", "X..70"),
    ai("8111", "8111", "N4"),
    ai("8112", "8112", "X..70"),
    ai("8200", "8200", "X..70"),
    ai("90", "90", "X..30"),
    ai("91", "99", "X..90"),
];

/// Measures: four digits, the last (0 to 5) says how many decimals.
const MEASURES: &[(u32, u32)] = &[(310, 316), (320, 337), (340, 357), (360, 369)];
const MEASURE: Ai = ai("310n", "369n", "N6");

/// The application identifier `text` starts with, and how many digits name it.
pub(crate) fn find(text: &str) -> Option<(&'static Ai, usize)> {
    if let Some(code) = text.get(..4)
        && digits::all_digits(code)
        && let Ok(number) = code.parse::<u32>()
        && number % 10 <= 5
        && MEASURES.iter().any(|(from, to)| (*from..=*to).contains(&(number / 10)))
    {
        return Some((&MEASURE, 4));
    }
    AIS.iter().find_map(|row| {
        let code = text.get(..row.first.len())?;
        (digits::all_digits(code) && (row.first..=row.last).contains(&code)).then_some((row, code.len()))
    })
}

impl Ai {
    /// Length where it is predefined or every component is of fixed length.
    pub(crate) fn fixed_length(&self) -> Option<usize> {
        components(self.format)
            .try_fold(0, |sum, part| (!part.optional && part.min == part.max).then_some(sum + part.max))
    }

    pub(crate) fn check(&self, value: &str) -> Result<(), Fault> {
        let mut rest = value;
        for part in components(self.format) {
            if rest.is_empty() && part.optional {
                continue;
            }
            let taken = rest.len().min(part.max);
            let (Some(piece), Some(left)) = (rest.get(..taken), rest.get(taken..)) else {
                return Err(Fault::Syntax);
            };
            if piece.len() < part.min || !piece.bytes().all(|b| part.allows(b)) {
                return Err(Fault::Syntax);
            }
            part.checks.split(',').try_for_each(|name| lint(name, piece))?;
            rest = left;
        }
        if rest.is_empty() { Ok(()) } else { Err(Fault::Syntax) }
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
            b'Y' => byte.is_ascii_digit() || byte.is_ascii_uppercase() || b"#-/".contains(&byte),
            _ => byte.is_ascii_alphanumeric() || b"!\"%&'()*+,-./_:;<=>?".contains(&byte),
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

fn lint(name: &str, piece: &str) -> Result<(), Fault> {
    let number = |from: usize, to: usize| -> u32 {
        piece.get(from..to).and_then(|digits| digits.parse().ok()).unwrap_or(u32::MAX)
    };
    let good = match name {
        "csum" => {
            return digits::checked(piece).then_some(()).ok_or(Fault::CheckDigit);
        }
        "yymmd0" => date(number(0, 2), number(2, 4), number(4, 6), 0),
        "yymmdd" => date(number(0, 2), number(2, 4), number(4, 6), 1),
        "hhmi" => number(0, 2) < 24 && number(2, 4) < 60,
        "hh" => number(0, 2) < 24,
        "mi" => number(0, 2) < 60,
        "zero" => piece.bytes().all(|b| b == b'0'),
        "nonzero" => piece.bytes().any(|b| b != b'0'),
        _ => true,
    };
    if good { Ok(()) } else { Err(Fault::Syntax) }
}

/// Every two-digit year that is divisible by four is a leap year between 1951 and 2099.
fn date(year: u32, month: u32, day: u32, first_day: u32) -> bool {
    let last = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    (first_day..=last).contains(&day)
}
