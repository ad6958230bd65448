//! Barcodes and two-dimensional codes in a frame, as a scanner would tell them. Nothing here looks for faces.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use rxing::common::HybridBinarizer;
use rxing::{
    BarcodeFormat, BinaryBitmap, DecodeHints, Luma8LuminanceSource, MultiFormatReader, RXingResult,
    RXingResultMetadataType, RXingResultMetadataValue,
};

use crate::image::Frame;

/// Codes are looked for in a picture no longer than this: more costs time and finds nothing a hand cannot bring nearer.
const SIDE_MAX: usize = 1280;
/// A code that was out of sight for so long counts again.
const AWAY: Duration = Duration::from_millis(1_500);
/// Codes remembered at once.
const REMEMBERED: usize = 16;
/// Longest code that is told, in bytes; as of every scanner.
const DATA_MAX: usize = 4096;

/// One symbol.
#[derive(Clone, PartialEq, Eq)]
pub struct Symbol {
    /// AIM identifier without `]`.
    pub aim: String,
    /// Printable ASCII and GS.
    pub data: String,
}

/// May be a wallet's code, so its data is never printed.
impl std::fmt::Debug for Symbol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Symbol({}, {} bytes)", self.aim, self.data.len())
    }
}

impl Symbol {
    /// Linear codes have a check digit and no more: one glance at a crumpled label is not enough to sell by.
    fn needs_second_look(&self) -> bool {
        matches!(self.aim.as_bytes().first(), Some(b'E' | b'C'))
    }
}

/// Finds one symbol in a frame.
pub struct Reader {
    reader: MultiFormatReader,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

impl Default for Reader {
    fn default() -> Self {
        let formats = [
            BarcodeFormat::EAN_13,
            BarcodeFormat::EAN_8,
            BarcodeFormat::UPC_E,
            BarcodeFormat::CODE_128,
            BarcodeFormat::QR_CODE,
            BarcodeFormat::DATA_MATRIX,
        ];
        let hints = DecodeHints {
            PossibleFormats: Some(HashSet::from(formats)),
            TryHarder: Some(true),
            // FNC1 is told as GS, and at the beginning as the identifier `]C1`.
            AssumeGs1: Some(true),
            ..DecodeHints::default()
        };
        let mut reader = MultiFormatReader::default();
        reader.set_hints(&hints);
        Self { reader }
    }
}

impl Reader {
    /// The symbol a frame shows, if there is one that can be told.
    pub fn read(&mut self, frame: &Frame) -> Option<Symbol> {
        let (luma, width, height) = frame.luma(SIDE_MAX);
        let source = Luma8LuminanceSource::new(luma, width as u32, height as u32).ok()?;
        let mut bitmap = BinaryBitmap::new(HybridBinarizer::new(source));
        // A reader that trips over an odd frame must not take the other sessions with it.
        let reader = std::panic::AssertUnwindSafe(&mut self.reader);
        let bitmap = std::panic::AssertUnwindSafe(&mut bitmap);
        let read = std::panic::catch_unwind(|| {
            let (reader, bitmap) = ({ reader }.0, { bitmap }.0);
            reader.decode_with_state(bitmap).ok()
        });
        let Ok(read) = read else {
            *self = Self::default();
            return None;
        };
        told(&read?)
    }
}

fn told(read: &RXingResult) -> Option<Symbol> {
    let text = read.getText();
    let format = *read.getBarcodeFormat();
    let (aim, data) = if format == BarcodeFormat::EAN_13 || format == BarcodeFormat::UPC_E {
        // Eight digits of UPC-E behind E0: the core expands them.
        ("E0", text)
    } else if format == BarcodeFormat::EAN_8 {
        ("E4", text)
    } else if format == BarcodeFormat::CODE_128 {
        text.strip_prefix("]C1").map_or(("C0", text), |rest| ("C1", rest))
    } else if format == BarcodeFormat::QR_CODE {
        (identifier(read, 'Q').unwrap_or("Q1"), text)
    } else {
        (identifier(read, 'd').unwrap_or("d1"), text)
    };
    // What stands for FNC1 at the beginning is said by the identifier.
    let data = if matches!(aim, "Q3" | "d2" | "C1") { data.trim_start_matches('\x1d') } else { data };
    let plain = !data.is_empty() && data.len() <= DATA_MAX && data.bytes().all(|c| c == 29 || (32..127).contains(&c));
    plain.then(|| Symbol { aim: aim.to_owned(), data: data.to_owned() })
}

fn identifier(read: &RXingResult, code: char) -> Option<&str> {
    let value = read.getRXingResultMetadata().get(&RXingResultMetadataType::SYMBOLOGY_IDENTIFIER)?;
    let RXingResultMetadataValue::SymbologyIdentifier(text) = value else { return None };
    let aim = text.strip_prefix(']').unwrap_or(text);
    (aim.len() == 2 && aim.starts_with(code) && aim.is_ascii()).then_some(aim)
}

/// What a session has read: each code once while it stays in sight.
#[derive(Debug, Default)]
pub struct Readings {
    /// Codes already told, and when they were seen last.
    told: Vec<(Symbol, Instant)>,
    /// A linear code seen once.
    glimpsed: Option<Symbol>,
}

impl Readings {
    /// Takes what a frame showed; returns a symbol that is news.
    pub fn take(&mut self, symbol: Symbol, now: Instant) -> Option<Symbol> {
        self.told.retain(|(_, seen)| now.saturating_duration_since(*seen) < AWAY);
        if let Some((_, seen)) = self.told.iter_mut().find(|(told, _)| *told == symbol) {
            *seen = now;
            return None;
        }
        if symbol.needs_second_look() && self.glimpsed.as_ref() != Some(&symbol) {
            self.glimpsed = Some(symbol);
            return None;
        }
        self.glimpsed = None;
        if self.told.len() == REMEMBERED {
            self.told.remove(0);
        }
        self.told.push((symbol.clone(), now));
        Some(symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbol(aim: &str, data: &str) -> Symbol {
        Symbol { aim: aim.into(), data: data.into() }
    }

    #[test]
    fn a_linear_code_is_sold_by_its_second_look_and_once_while_it_stays() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut readings = Readings::default();
        let (cola, misread, link) =
            (symbol("E0", "6901234567892"), symbol("E0", "6901234567885"), symbol("Q1", "https://x"));
        assert_eq!(readings.take(cola.clone(), start), None, "a first glance");
        assert_eq!(readings.take(misread, after(30)), None, "another number: neither is believed");
        assert_eq!(readings.take(cola.clone(), after(60)), None);
        assert_eq!(readings.take(cola.clone(), after(90)), Some(cola.clone()));
        assert_eq!(readings.take(link.clone(), after(120)), Some(link.clone()), "corrects itself, so once is enough");
        for at in (150..2_000).step_by(30) {
            let seen = if at % 60 == 0 { &cola } else { &link };
            assert_eq!(readings.take(seen.clone(), after(at)), None, "both stay before the camera");
        }
        assert_eq!(readings.take(cola.clone(), after(4_000)), None);
        assert_eq!(readings.take(cola.clone(), after(4_030)), Some(cola), "a second bottle");
    }

    #[test]
    fn an_empty_or_tiny_frame_shows_no_code() {
        let mut reader = Reader::default();
        for (width, height) in [(1, 1), (2, 3), (640, 1), (1, 480), (320, 240)] {
            let frame = Frame::from_rgb(width, height, vec![127; width * height * 3]).unwrap();
            assert_eq!(reader.read(&frame), None, "{width} x {height}");
        }
    }
}
