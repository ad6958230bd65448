//! The picture above a receipt.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Dots of a character of normal size.
const DOTS: usize = 12;
const ROWS_MAX: usize = 400;
const TEXT_MAX: usize = 64 * 1024;

/// Dots as `GS v 0` wants them: rows of whole bytes, black is 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Logo {
    pub(super) width: u16,
    pub(super) rows: Vec<u8>,
}

impl Logo {
    /// A portable bitmap of the raw kind (`P4`, netpbm), in base64, no wider than the paper.
    pub(super) fn read(text: &str, columns: usize) -> Result<Self, String> {
        let bad = |wrong: &str| Err(format!("logo must be a portable bitmap (P4) in base64: {wrong}"));
        if text.len() > TEXT_MAX {
            return bad("it is longer than 64 KiB");
        }
        let Ok(bytes) = STANDARD.decode(text) else { return bad("that is no base64") };
        let Some(mut rest) = bytes.strip_prefix(b"P4") else { return bad("it does not begin with P4") };
        let (Some(width), Some(height)) = (number(&mut rest), number(&mut rest)) else {
            return bad("it says no width and height");
        };
        if width == 0 || width > columns * DOTS || height == 0 || height > ROWS_MAX {
            return bad(&format!("{width} by {height} dots, where {} by {ROWS_MAX} fit", columns * DOTS));
        }
        // One byte of white space ends the head.
        let Some(rows) = rest.get(1..=width.div_ceil(8) * height) else { return bad("rows are missing") };
        let Ok(width) = u16::try_from(width) else { return bad("it is too wide") };
        Ok(Self { width, rows: rows.to_vec() })
    }
}

/// The next number of the head; a comment runs to the end of its line.
fn number(rest: &mut &[u8]) -> Option<usize> {
    let mut digits = String::new();
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'0'..=b'9' => digits.push(char::from(*byte)),
            b'#' if digits.is_empty() => {
                let end = after.iter().position(|byte| *byte == b'\n')?;
                *rest = after.get(end..)?;
                continue;
            }
            _ if byte.is_ascii_whitespace() && digits.is_empty() => {}
            _ => break,
        }
        *rest = after;
    }
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bitmap: &[u8], columns: usize) -> Result<Logo, String> {
        Logo::read(&STANDARD.encode(bitmap), columns)
    }

    #[test]
    fn a_bitmap_is_read_and_another_refused() {
        let logo = of(b"P4\n# made by hand\n10 2\n\x80\x40\xff\xc0", 48);
        assert_eq!(logo, Ok(Logo { width: 10, rows: vec![0x80, 0x40, 0xFF, 0xC0] }));
        let bad: [&[u8]; 6] = [b"P5 1 1 x", b"P4 10 2 \x80", b"P4 600 1 ", b"P4 0 1 ", b"P4 8 401 ", b"P4"];
        for bitmap in bad {
            assert!(of(bitmap, 48).unwrap_err().contains("P4"), "{bitmap:?}");
        }
        assert!(of(b"P4 400 1 ", 32).is_err() && Logo::read("no base64!", 48).is_err());
    }
}
