//! Bytes of ESC/POS for what a receipt needs, and no more.

use encoding_rs::GB18030;

const ESC: u8 = 0x1B;
const FS: u8 = 0x1C;
const GS: u8 = 0x1D;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Centre,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    Normal,
    Bold,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Normal,
    /// Twice as wide and high.
    Double,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Full,
    Partial,
}

/// How much of a QR symbol may be spoilt: 7, 15, 25 or 30 per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    L,
    M,
    Q,
    H,
}

#[derive(Clone, Debug, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// Forgets every earlier setting, then expects GB18030.
    pub fn init(&mut self) -> &mut Self {
        self.put(&[ESC, b'@']).chinese()
    }

    pub fn chinese(&mut self) -> &mut Self {
        self.put(&[FS, b'&'])
    }

    pub fn align(&mut self, align: Align) -> &mut Self {
        let n = match align {
            Align::Left => 0,
            Align::Centre => 1,
        };
        self.put(&[ESC, b'a', n])
    }

    pub fn weight(&mut self, weight: Weight) -> &mut Self {
        let n = match weight {
            Weight::Normal => 0,
            Weight::Bold => 1,
        };
        self.put(&[ESC, b'E', n])
    }

    /// Latin and Chinese characters have a size each: `GS !` and `FS W`.
    pub fn size(&mut self, size: Size) -> &mut Self {
        let (latin, chinese) = match size {
            Size::Normal => (0x00, 0),
            Size::Double => (0x11, 1),
        };
        self.put(&[GS, b'!', latin, FS, b'W', chinese])
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        for character in text.chars() {
            self.bytes.extend_from_slice(gb(character).bytes());
        }
        self
    }

    pub fn line(&mut self, text: &str) -> &mut Self {
        self.text(text).put(b"\n")
    }

    pub fn feed(&mut self, lines: u8) -> &mut Self {
        self.put(&[ESC, b'd', lines])
    }

    /// Model 2, error correction M; `module`: dots per square.
    pub fn qr(&mut self, data: &str, module: u8) -> &mut Self {
        self.qr_with(data, module, Correction::M)
    }

    pub fn qr_with(&mut self, data: &str, module: u8, correction: Correction) -> &mut Self {
        let level = match correction {
            Correction::L => b'0',
            Correction::M => b'1',
            Correction::Q => b'2',
            Correction::H => b'3',
        };
        let length = u16::try_from(data.len() + 3).unwrap_or(0);
        if length == 0 {
            return self;
        }
        let [low, high] = length.to_le_bytes();
        self.put(&[GS, b'(', b'k', 4, 0, b'1', b'A', b'2', 0])
            .put(&[GS, b'(', b'k', 3, 0, b'1', b'C', module])
            .put(&[GS, b'(', b'k', 3, 0, b'1', b'E', level])
            .put(&[GS, b'(', b'k', low, high, b'1', b'P', b'0'])
            .put(data.as_bytes())
            .put(&[GS, b'(', b'k', 3, 0, b'1', b'Q', b'0'])
    }

    /// Height and width of the bars to come, and whether their digits stand below.
    pub fn bars(&mut self, height: u8, module: u8, digits: bool) -> &mut Self {
        self.put(&[GS, b'h', height, GS, b'w', module, GS, b'f', 0, GS, b'H', if digits { 2 } else { 0 }])
    }

    /// `GS k` function B: thirteen digits, of which the printer believes the last.
    pub fn ean13(&mut self, digits: &str) -> &mut Self {
        if digits.len() != 13 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self;
        }
        self.put(&[GS, b'k', 67, 13]).put(digits.as_bytes())
    }

    /// `GS k` function B: eight digits, of which the printer believes the last.
    pub fn ean8(&mut self, digits: &str) -> &mut Self {
        if digits.len() != 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return self;
        }
        self.put(&[GS, b'k', 68, 8]).put(digits.as_bytes())
    }

    /// `GS ( k`, symbol 48: as many columns and rows as it needs, modules of three dots, correction level 1.
    pub fn pdf417(&mut self, data: &str) -> &mut Self {
        let length = u16::try_from(data.len() + 3).unwrap_or(0);
        if length == 0 || data.is_empty() {
            return self;
        }
        let [low, high] = length.to_le_bytes();
        self.put(&[GS, b'(', b'k', 3, 0, b'0', b'A', 0])
            .put(&[GS, b'(', b'k', 3, 0, b'0', b'B', 0])
            .put(&[GS, b'(', b'k', 3, 0, b'0', b'C', 3])
            .put(&[GS, b'(', b'k', 3, 0, b'0', b'D', 3])
            .put(&[GS, b'(', b'k', 4, 0, b'0', b'E', b'0', b'1'])
            .put(&[GS, b'(', b'k', 3, 0, b'0', b'F', 0])
            .put(&[GS, b'(', b'k', low, high, b'0', b'P', b'0'])
            .put(data.as_bytes())
            .put(&[GS, b'(', b'k', 3, 0, b'0', b'Q', b'0'])
    }

    /// `GS k` function B, code set B; what it cannot hold, or is too long, prints nothing.
    pub fn code128(&mut self, data: &str) -> &mut Self {
        let length = data.len() + data.matches('{').count() + 2;
        let Ok(length @ 3..=255) = u8::try_from(length) else { return self };
        if !data.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return self;
        }
        // An opening brace is the printer's escape, and doubled where it means itself.
        self.put(&[GS, b'k', 73, length]).put(b"{B").put(data.replace('{', "{{").as_bytes())
    }

    /// `GS v 0`: rows of `width` dots, one bit each, from the left; a ragged picture prints nothing.
    pub fn raster(&mut self, width: u16, rows: &[u8]) -> &mut Self {
        let across = width.div_ceil(8);
        let whole = across > 0 && rows.len().is_multiple_of(usize::from(across));
        let Some(high) = u16::try_from(rows.len() / usize::from(across.max(1))).ok().filter(|_| whole) else {
            return self;
        };
        let ([x_low, x_high], [y_low, y_high]) = (across.to_le_bytes(), high.to_le_bytes());
        self.put(&[GS, b'v', b'0', 0, x_low, x_high, y_low, y_high]).put(rows)
    }

    /// `times` tones of `length` tenths of a second, where the printer has a buzzer.
    pub fn buzz(&mut self, times: u8, length: u8) -> &mut Self {
        self.put(&[ESC, b'B', times, length])
    }

    pub fn cut(&mut self, cut: Cut) -> &mut Self {
        let n = match cut {
            Cut::Full => 0,
            Cut::Partial => 1,
        };
        self.put(&[GS, b'V', n])
    }

    /// Pulse of 100 ms on connector pin 2 (`0`) or 5 (`1`), 500 ms apart.
    pub fn drawer(&mut self, connector: u8) -> &mut Self {
        self.pulse(connector, 0x32, 0xFA)
    }

    /// As [`drawer`](Self::drawer), on and off for so many times two milliseconds.
    pub fn pulse(&mut self, connector: u8, on: u8, off: u8) -> &mut Self {
        self.put(&[ESC, b'p', connector, on, off])
    }

    /// Answered when everything before it is on paper.
    pub fn confirm(&mut self) -> &mut Self {
        self.put(&[GS, b'r', 1])
    }

    fn put(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }
}

/// What one character is on paper: one or two bytes, and as many columns.
#[derive(Clone, Copy)]
pub(crate) struct Glyph {
    bytes: [u8; 2],
    wide: bool,
}

impl Glyph {
    const fn narrow(byte: u8) -> Self {
        Self { bytes: [byte, 0], wide: false }
    }

    pub(crate) const fn columns(self) -> usize {
        if self.wide { 2 } else { 1 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        let [first, _] = &self.bytes;
        if self.wide { &self.bytes } else { core::slice::from_ref(first) }
    }
}

/// U+00A5 has four bytes in GB18030, which printers show as rubbish; the full-width sign is what is meant.
pub(crate) fn gb(character: char) -> Glyph {
    if character.is_ascii() {
        let byte = u8::try_from(character).unwrap_or(b' ');
        return Glyph::narrow(if byte.is_ascii_control() { b' ' } else { byte });
    }
    let character = if character == '¥' { '￥' } else { character };
    let (mut text, mut room) = ([0; 4], [0; 4]);
    let text = character.encode_utf8(&mut text);
    let (_, _, written) = GB18030.new_encoder().encode_from_utf8_without_replacement(text, &mut room, true);
    match room {
        [first, second, ..] if written == 2 => Glyph { bytes: [first, second], wide: true },
        _ => Glyph::narrow(b'?'),
    }
}

/// Columns `text` takes on paper: what is two bytes is two columns wide.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(|character| gb(character).columns()).sum()
}
