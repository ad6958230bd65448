//! What a printer makes of bytes: rows of text, symbols, cuts. For the virtual printer, tests and receipts on a screen.

use super::draw;
use encoding_rs::GB18030;
use qrcodegen::{QrCode, QrCodeEcc};
use std::fmt::Write;

/// One command, or one run of text, at the head of the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Init,
    Text(u8),
    Wide([u8; 2]),
    LineFeed,
    Feed(u8),
    Centre(bool),
    Bold(bool),
    /// Times wider and higher.
    Size(u8, u8),
    Chinese(bool),
    QrModule(u8),
    QrData(String),
    QrPrint,
    PdfData(String),
    PdfPrint,
    /// Kind by the letters of function B, and the data.
    Bars(u8, String),
    Raster(Raster),
    Cut,
    Drawer(u8),
    /// `GS r n`: wants an answer when the paper has got so far.
    Confirm(u8),
    /// `GS a n`: automatic status on or off.
    Automatic(u8),
    /// `DLE EOT n`: status, at once.
    Status(u8),
    /// Understood well enough to step over.
    Other,
}

/// Dots as sent by `GS v 0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Raster {
    /// Bytes in a row.
    pub across: usize,
    pub rows: Vec<u8>,
}

/// Reads one item and how many bytes it took; `None` while it is incomplete.
#[must_use]
pub fn next(bytes: &[u8], chinese: bool) -> Option<(Item, usize)> {
    Some(match bytes {
        [b'\n', ..] => (Item::LineFeed, 1),
        [0x10, rest @ ..] => match rest {
            [0x04, n, ..] => (Item::Status(*n), 3),
            [] | [0x04] => return None,
            _ => (Item::Other, 1),
        },
        [0x1B, rest @ ..] => escape(rest)?,
        [0x1C, rest @ ..] => match rest {
            [b'&', ..] => (Item::Chinese(true), 2),
            [b'.', ..] => (Item::Chinese(false), 2),
            [] | [b'W' | b'!' | b'-' | b'C'] => return None,
            [b'W' | b'!' | b'-' | b'C', _, ..] => (Item::Other, 3),
            _ => (Item::Other, 2),
        },
        [0x1D, rest @ ..] => group(rest)?,
        [lead @ 0x81..=0xFE, rest @ ..] if chinese => {
            let trail = rest.first()?;
            (Item::Wide([*lead, *trail]), 2)
        }
        [byte, ..] if *byte >= 0x20 => (Item::Text(*byte), 1),
        [_, ..] => (Item::Other, 1),
        [] => return None,
    })
}

fn escape(rest: &[u8]) -> Option<(Item, usize)> {
    Some(match rest {
        [b'@', ..] => (Item::Init, 2),
        [b'd', n, ..] => (Item::Feed(*n), 3),
        [b'a', n, ..] => (Item::Centre(matches!(n, 1 | b'1')), 3),
        [b'E', n, ..] => (Item::Bold(n & 1 == 1), 3),
        [b'p', m, _, _, ..] => (Item::Drawer(*m & 1), 5),
        [b'!', n, ..] => {
            let times = |bit: u8| if n & bit == 0 { 1 } else { 2 };
            (Item::Size(times(0x20), times(0x10)), 3)
        }
        [b'2', ..] => (Item::Other, 2),
        [b'B', _, _, ..] | [b'$' | b'\\', _, _, ..] => (Item::Other, 4),
        [b'B' | b'$' | b'\\'] | [b'B' | b'$' | b'\\', _] => return None,
        [b't' | b'3' | b'-' | b'G' | b'M' | b'R' | b' ' | b'{', _, ..] => (Item::Other, 3),
        []
        | [b'd' | b'a' | b'E' | b'!' | b't' | b'3' | b'-' | b'G' | b'M' | b'R' | b' ' | b'{']
        | [b'p']
        | [b'p', _]
        | [b'p', _, _] => return None,
        _ => (Item::Other, 2),
    })
}

fn group(rest: &[u8]) -> Option<(Item, usize)> {
    Some(match rest {
        [b'!', n, ..] => (Item::Size((n >> 4 & 7) + 1, (n & 7) + 1), 3),
        [b'V', b'A' | b'B' | b'a' | b'b', _, ..] => (Item::Cut, 4),
        [b'V', b'A' | b'B' | b'a' | b'b'] => return None,
        [b'V', _, ..] => (Item::Cut, 3),
        [b'r', n, ..] => (Item::Confirm(*n), 3),
        [b'a', n, ..] => (Item::Automatic(*n), 3),
        [b'(', kind, low, high, tail @ ..] => {
            let length = usize::from(u16::from_le_bytes([*low, *high]));
            let body = tail.get(..length)?;
            (symbol(*kind, body), 5 + length)
        }
        [b'B' | b'h' | b'w' | b'f' | b'H', _, ..] => (Item::Other, 3),
        [b'L' | b'W', _, _, ..] => (Item::Other, 4),
        [b'k', kind @ 65..=79, length, tail @ ..] => {
            let length = usize::from(*length);
            (bars(*kind, tail.get(..length)?), 4 + length)
        }
        [b'k', kind @ 0..=6, tail @ ..] => match tail.iter().position(|byte| *byte == 0) {
            Some(end) => (bars(kind + 65, tail.get(..end)?), 4 + end),
            None if tail.len() > 255 => (Item::Other, 3),
            None => return None,
        },
        [b'v', b'0', _, x_low, x_high, y_low, y_high, tail @ ..] => {
            let across = usize::from(u16::from_le_bytes([*x_low, *x_high]));
            let size = across * usize::from(u16::from_le_bytes([*y_low, *y_high]));
            if size > RASTER_MAX {
                return Some((Item::Other, 8));
            }
            let rows = tail.get(..size)?.to_vec();
            (Item::Raster(Raster { across, rows }), 8 + size)
        }
        [b'8', b'L', low, mid, high, top, tail @ ..] => {
            let length = usize::try_from(u32::from_le_bytes([*low, *mid, *high, *top])).unwrap_or(usize::MAX);
            if length > RASTER_MAX {
                return Some((Item::Other, 7));
            }
            tail.get(..length)?;
            (Item::Other, 7 + length)
        }
        [b'k'] | [b'k', 65..=79] => return None,
        [b'v'] | [b'v', b'0'] | [b'v', b'0', _] | [b'v', b'0', _, _] => return None,
        [b'v', b'0', _, _, _] | [b'v', b'0', _, _, _, _] => return None,
        [b'8'] | [b'8', b'L'] | [b'8', b'L', _] | [b'8', b'L', _, _] | [b'8', b'L', _, _, _] => return None,
        []
        | [b'!' | b'V' | b'r' | b'a' | b'(' | b'B' | b'h' | b'w' | b'f' | b'H' | b'L' | b'W']
        | [b'(', _]
        | [b'(', _, _]
        | [b'L' | b'W', _] => return None,
        _ => (Item::Other, 2),
    })
}

/// More dots than any paper holds: a length like this is noise.
const RASTER_MAX: usize = 512 * 1024;

/// Code 128 begins with its code set, which is not data.
fn bars(kind: u8, data: &[u8]) -> Item {
    let text = String::from_utf8_lossy(data).into_owned();
    let text = match (kind, text.strip_prefix("{B")) {
        (73, Some(rest)) => rest.replace("{{", "{"),
        _ => text,
    };
    Item::Bars(kind, text)
}

fn symbol(kind: u8, body: &[u8]) -> Item {
    match (kind, body) {
        (b'k', [b'1', b'C', n]) => Item::QrModule(*n),
        (b'k', [b'1', b'P', b'0', data @ ..]) => Item::QrData(String::from_utf8_lossy(data).into_owned()),
        (b'k', [b'1', b'Q', ..]) => Item::QrPrint,
        (b'k', [b'0', b'P', b'0', data @ ..]) => Item::PdfData(String::from_utf8_lossy(data).into_owned()),
        (b'k', [b'0', b'Q', ..]) => Item::PdfPrint,
        _ => Item::Other,
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    Text(TextRow),
    Qr(String),
    Pdf417(String),
    /// Kind by the letters of `GS k` function B, and the data.
    Bars(u8, String),
    Raster(Raster),
    Cut,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextRow {
    pub text: String,
    pub centre: bool,
    pub bold: bool,
    /// Times wider and higher.
    pub size: (u8, u8),
}

/// Paper under the print head.
#[derive(Clone, Debug)]
pub struct Paper {
    pub rows: Vec<Row>,
    row: TextRow,
    style: TextRow,
    qr: String,
    pdf: String,
    chinese: bool,
}

impl Default for Paper {
    fn default() -> Self {
        let style = TextRow { size: (1, 1), ..TextRow::default() };
        Self { rows: Vec::new(), row: style.clone(), style, qr: String::new(), pdf: String::new(), chinese: false }
    }
}

impl Paper {
    /// Prints `bytes`, which need not end with a whole command.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut paper = Self::default();
        let mut rest = bytes;
        while let Some((item, used)) = next(rest, paper.chinese) {
            paper.put(&item);
            rest = rest.get(used..).unwrap_or(&[]);
        }
        paper
    }

    #[must_use]
    pub const fn chinese(&self) -> bool {
        self.chinese
    }

    pub fn put(&mut self, item: &Item) {
        match item {
            Item::Init => {
                let rows = core::mem::take(&mut self.rows);
                *self = Self { rows, ..Self::default() };
            }
            Item::Text(byte) => self.character(char::from(*byte)),
            Item::Wide(pair) => {
                let (text, _) = GB18030.decode_without_bom_handling(pair);
                self.character(text.chars().next().unwrap_or('?'));
            }
            Item::LineFeed => self.end_row(),
            Item::Feed(lines) => {
                if !self.row.text.is_empty() {
                    self.end_row();
                }
                (1..*lines).for_each(|_| self.end_row());
            }
            Item::Centre(on) => self.style.centre = *on,
            Item::Bold(on) => self.style.bold = *on,
            Item::Size(wide, high) => self.style.size = (*wide, *high),
            Item::Chinese(on) => self.chinese = *on,
            Item::QrData(data) => self.qr.clone_from(data),
            Item::QrPrint => self.rows.push(Row::Qr(self.qr.clone())),
            Item::PdfData(data) => self.pdf.clone_from(data),
            Item::PdfPrint => self.rows.push(Row::Pdf417(self.pdf.clone())),
            Item::Bars(kind, data) => self.rows.push(Row::Bars(*kind, data.clone())),
            Item::Raster(raster) => self.rows.push(Row::Raster(raster.clone())),
            Item::Cut => self.rows.push(Row::Cut),
            Item::QrModule(_)
            | Item::Drawer(_)
            | Item::Confirm(_)
            | Item::Automatic(_)
            | Item::Status(_)
            | Item::Other => {}
        }
    }

    fn character(&mut self, character: char) {
        if self.row.text.is_empty() {
            self.row = TextRow { text: String::new(), ..self.style.clone() };
        }
        self.row.text.push(character);
    }

    fn end_row(&mut self) {
        let empty = self.style.clone();
        self.rows.push(Row::Text(core::mem::replace(&mut self.row, empty)));
        self.row.text.clear();
    }

    /// Readable lines, as somebody would copy the receipt by hand; `width` columns of paper.
    #[must_use]
    pub fn text(&self, width: usize) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let line = match row {
                Row::Text(row) => " ".repeat(row.indent(width)) + &row.at_normal_size(),
                Row::Qr(data) => format!("[QR {data}]"),
                Row::Pdf417(data) => format!("[PDF417 {data}]"),
                Row::Bars(_, data) => format!("[BARS {data}]"),
                Row::Raster(raster) => format!("[PICTURE {} dots wide]", raster.across * 8),
                Row::Cut => "- - - - -".into(),
            };
            text.push_str(&line);
            text.push('\n');
        }
        text
    }
}

impl TextRow {
    /// Columns of normal size this row takes.
    #[must_use]
    pub fn columns(&self) -> usize {
        let cells: usize = self.text.chars().map(cells).sum();
        cells * usize::from(self.size.0)
    }

    /// Wide characters fall back to one cell; what they leave free goes where the widest gap is.
    fn at_normal_size(&self) -> String {
        let shown = self.text.trim_end();
        let free = self.columns() - self.columns() / usize::from(self.size.0.max(1));
        match shown.split_once("  ") {
            Some((left, right)) => format!("{left}  {}{right}", " ".repeat(free)),
            None => shown.to_owned(),
        }
    }

    fn indent(&self, width: usize) -> usize {
        if self.centre && !self.text.is_empty() { width.saturating_sub(self.columns()) / 2 } else { 0 }
    }
}

fn cells(character: char) -> usize {
    if character.is_ascii() { 1 } else { 2 }
}

pub(super) const CELL: usize = 12;
pub(super) const ROW: usize = 30;
pub(super) const MARGIN: usize = 24;

/// The receipt as a picture: every character at its own column, so that columns line up in any font.
#[must_use]
pub fn svg(bytes: &[u8], width: usize) -> String {
    let paper = Paper::of(bytes);
    let mut body = String::new();
    let mut y = MARGIN;
    for row in &paper.rows {
        match row {
            Row::Text(row) => {
                y += ROW * usize::from(row.size.1);
                text_row(row, width, y, &mut body);
            }
            Row::Qr(data) => y += qr(data, width, y + ROW / 2, &mut body) + ROW / 2,
            Row::Pdf417(data) => y += draw::frame(data, width, y + ROW / 2, &mut body) + ROW / 2,
            Row::Bars(kind, data) => y += draw::bars(*kind, data, width, y + ROW / 2, &mut body) + ROW / 2,
            Row::Raster(raster) => y += draw::raster(raster, width, y, &mut body),
            Row::Cut => {
                y += ROW;
                let right = MARGIN * 2 + width * CELL;
                let _ = writeln!(body, r##"<path d="M0 {y}H{right}" stroke="#bbb" stroke-dasharray="8 8"/>"##);
            }
        }
    }
    let (wide, high) = (MARGIN * 2 + width * CELL, y + MARGIN);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {wide} {high}\" width=\"{wide}\" height=\"{high}\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fffef9\"/>\n\
         <g fill=\"#1a1a1a\" font-family=\"'Noto Sans Mono CJK SC','Noto Sans Mono','DejaVu Sans Mono',monospace\">\n{body}</g>\n</svg>\n"
    )
}

fn text_row(row: &TextRow, width: usize, y: usize, body: &mut String) {
    let cell = CELL * usize::from(row.size.0);
    let mut x = MARGIN + row.indent(width) * CELL;
    let (mut places, mut shown) = (String::new(), String::new());
    for character in row.text.chars() {
        if character != ' ' {
            let _ = write!(places, "{x} ");
            escape_xml(character, &mut shown);
        }
        x += cell * cells(character);
    }
    if shown.is_empty() {
        return;
    }
    let weight = if row.bold { "bold" } else { "normal" };
    let size = 22 * usize::from(row.size.1);
    let baseline = y - 7 * usize::from(row.size.1);
    let _ = writeln!(
        body,
        "<text y=\"{baseline}\" x=\"{}\" font-size=\"{size}\" font-weight=\"{weight}\">{shown}</text>",
        places.trim_end()
    );
}

pub(super) fn escape_xml(character: char, into: &mut String) {
    match character {
        '<' => into.push_str("&lt;"),
        '&' => into.push_str("&amp;"),
        other => into.push(other),
    }
}

/// Returns the height it took.
fn qr(data: &str, width: usize, y: usize, body: &mut String) -> usize {
    let Ok(code) = QrCode::encode_text(data, QrCodeEcc::Medium) else {
        return 0;
    };
    let module = 6;
    let side = usize::try_from(code.size()).unwrap_or(0);
    let left = MARGIN + (width * CELL).saturating_sub(side * module) / 2;
    let mut path = String::new();
    for row in 0..code.size() {
        for column in (0..code.size()).filter(|column| code.get_module(*column, row)) {
            let (x, y) =
                (left + usize::try_from(column).unwrap_or(0) * module, y + usize::try_from(row).unwrap_or(0) * module);
            let _ = write!(path, "M{x} {y}h{module}v{module}h-{module}z");
        }
    }
    let _ = writeln!(body, "<path d=\"{path}\" shape-rendering=\"crispEdges\"/>");
    side * module
}
