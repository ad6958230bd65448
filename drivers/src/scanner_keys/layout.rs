//! What keys mean in the country a scanner is set to. Codes are those of `linux/input-event-codes.h`.

use serde::Deserialize;

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Layout {
    #[default]
    Us,
    De,
    Fr,
    /// Chinese keyboards carry American keys.
    Cn,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub shift: bool,
    pub alt_gr: bool,
    pub caps: bool,
}

/// Four rows from the digits down: plain, shifted; a space where the key has no meaning.
struct Keys {
    plain: [&'static str; 4],
    shifted: [&'static str; 4],
    /// Keys 41, 43 and 86: beside the digits, beside Enter, beside the left Shift.
    odd: [(char, char); 3],
    alt_gr: &'static [(u16, char)],
}

/// The code of the first key of each row.
const ROWS: [u16; 4] = [2, 16, 30, 44];
const ODD: [u16; 3] = [41, 43, 86];

const US: Keys = Keys {
    plain: ["1234567890-=", "qwertyuiop[]", "asdfghjkl;'", "zxcvbnm,./"],
    shifted: ["!@#$%^&*()_+", "QWERTYUIOP{}", "ASDFGHJKL:\"", "ZXCVBNM<>?"],
    odd: [('`', '~'), ('\\', '|'), ('\\', '|')],
    alt_gr: &[],
};

const DE: Keys = Keys {
    plain: ["1234567890ß´", "qwertzuiopü+", "asdfghjklöä", "yxcvbnm,.-"],
    shifted: ["!\"§$%&/()=?`", "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ", "YXCVBNM;:_"],
    odd: [('^', '°'), ('#', '\''), ('<', '>')],
    alt_gr: &[(8, '{'), (9, '['), (10, ']'), (11, '}'), (12, '\\'), (16, '@'), (27, '~'), (86, '|')],
};

const FR: Keys = Keys {
    plain: ["&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù", "wxcvbn,;:!"],
    shifted: ["1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM%", "WXCVBN?./§"],
    odd: [('²', ' '), ('*', 'µ'), ('<', '>')],
    alt_gr: &[
        (3, '~'),
        (4, '#'),
        (5, '{'),
        (6, '['),
        (7, '|'),
        (8, '`'),
        (9, '\\'),
        (10, '^'),
        (11, '@'),
        (12, ']'),
        (13, '}'),
    ],
};

/// The number pad is the same everywhere.
const PAD: &[(u16, char)] = &[
    (55, '*'),
    (57, ' '),
    (71, '7'),
    (72, '8'),
    (73, '9'),
    (74, '-'),
    (75, '4'),
    (76, '5'),
    (77, '6'),
    (78, '+'),
    (79, '1'),
    (80, '2'),
    (81, '3'),
    (82, '0'),
    (83, '.'),
    (98, '/'),
];

pub(super) fn pad(code: u16) -> Option<char> {
    PAD.iter().find(|(key, _)| *key == code).map(|(_, character)| *character)
}

/// The character of a key, or nothing for keys that write none.
pub(super) fn character(layout: Layout, code: u16, held: Held) -> Option<char> {
    let keys = match layout {
        Layout::Us | Layout::Cn => &US,
        Layout::De => &DE,
        Layout::Fr => &FR,
    };
    if held.alt_gr {
        return keys.alt_gr.iter().find(|(key, _)| *key == code).map(|(_, character)| *character);
    }
    let odd = ODD.iter().zip(keys.odd).find(|(key, _)| **key == code).map(|(_, pair)| pair);
    let (plain, shifted) = match odd {
        Some(pair) => pair,
        None => {
            let row = ROWS.iter().rposition(|first| *first <= code)?;
            let at = usize::from(code - ROWS.get(row)?);
            match (keys.plain.get(row)?.chars().nth(at), keys.shifted.get(row)?.chars().nth(at)) {
                (Some(plain), Some(shifted)) => (plain, shifted),
                _ => return pad(code),
            }
        }
    };
    let upper = held.shift != (held.caps && plain.is_alphabetic());
    Some(if upper { shifted } else { plain })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Types `text` back: which key, and what is held.
    fn typed(layout: Layout, wanted: char) -> bool {
        let all = [(false, false), (true, false), (false, true)];
        let held = |(shift, alt_gr)| Held { shift, alt_gr, caps: false };
        (1..120).any(|code| all.iter().any(|state| character(layout, code, held(*state)) == Some(wanted)))
    }

    #[test]
    fn every_layout_can_write_what_codes_are_made_of() {
        let wanted = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ]-_.:/?=&%+*$#@";
        for layout in [Layout::Us, Layout::De, Layout::Fr, Layout::Cn] {
            for character in wanted.chars() {
                assert!(typed(layout, character), "{layout:?} {character}");
            }
        }
        let plain = Held::default();
        assert_eq!(character(Layout::De, 21, plain), Some('z'));
        assert_eq!(character(Layout::Fr, 16, plain), Some('a'));
        assert_eq!(character(Layout::Fr, 2, Held { shift: true, ..plain }), Some('1'));
        assert_eq!(character(Layout::Us, 30, Held { caps: true, ..plain }), Some('A'));
    }
}
