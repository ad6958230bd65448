//! Bars and dots of a receipt as SVG, so exact that a reader reads them.

use super::render::{CELL, MARGIN, ROW, Raster, escape_xml};
use std::fmt::Write;

const MODULE: usize = 3;
const HEIGHT: usize = 90;
const EAN13: u8 = 67;
const EAN8: u8 = 68;
const CODE128: u8 = 73;

/// Returns the height it took; kinds we do not draw take none.
pub(super) fn bars(kind: u8, data: &str, width: usize, y: usize, body: &mut String) -> usize {
    let modules = match kind {
        EAN13 => ean13(data),
        EAN8 => ean8(data),
        CODE128 => code128(data),
        _ => None,
    };
    let Some(modules) = modules else { return 0 };
    let left = MARGIN + (width * CELL).saturating_sub(modules.len() * MODULE) / 2;
    let mut path = String::new();
    for (at, _) in modules.iter().enumerate().filter(|(_, dark)| **dark) {
        let x = left + at * MODULE;
        let _ = write!(path, "M{x} {y}h{MODULE}v{HEIGHT}h-{MODULE}z");
    }
    let _ = writeln!(body, "<path d=\"{path}\" shape-rendering=\"crispEdges\"/>");
    HEIGHT + ROW / 2
}

/// Left-hand digits with odd parity (GS1 General Specifications, 5.2.1); the others follow from them.
const ODD: [u8; 10] = [0x0D, 0x19, 0x13, 0x3D, 0x23, 0x31, 0x2F, 0x3B, 0x37, 0x0B];
/// Which of the six left-hand digits have even parity, for each first digit.
const PARITY: [u8; 10] = [0x00, 0x0B, 0x0D, 0x0E, 0x13, 0x19, 0x1C, 0x15, 0x16, 0x1A];

fn ean13(data: &str) -> Option<Vec<bool>> {
    let digits: Vec<usize> = data.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as usize).collect();
    let [first, rest @ ..] = digits.as_slice() else { return None };
    let (left, right) = rest.split_at_checked(6).filter(|(_, right)| right.len() == 6 || right.len() == 5)?;
    let sum: usize =
        digits.iter().take(12).enumerate().map(|(at, digit)| if at % 2 == 0 { *digit } else { 3 * digit }).sum();
    let check = (10 - sum % 10) % 10;
    let parity = PARITY.get(*first)?;
    let mut modules = vec![true, false, true];
    let mut put = |pattern: u8| (0..7).rev().for_each(|bit| modules.push(pattern >> bit & 1 == 1));
    for (at, digit) in left.iter().enumerate() {
        let odd = *ODD.get(*digit)?;
        let even = parity >> (5 - at) & 1 == 1;
        // Even parity is the right-hand pattern mirrored, and the right-hand pattern is the left-hand one inverted.
        put(if even { (!odd & 0x7F).reverse_bits() >> 1 } else { odd });
    }
    modules.extend([false, true, false, true, false]);
    let mut put = |pattern: u8| (0..7).rev().for_each(|bit| modules.push(pattern >> bit & 1 == 1));
    for digit in right.iter().take(5).chain([&check]) {
        put(!*ODD.get(*digit)? & 0x7F);
    }
    modules.extend([true, false, true]);
    Some(modules)
}

/// Four digits with odd parity and four right-hand ones (GS1 General Specifications, 5.2.2).
fn ean8(data: &str) -> Option<Vec<bool>> {
    let digits: Vec<usize> = data.chars().filter_map(|c| c.to_digit(10)).map(|digit| digit as usize).collect();
    let seven = digits.get(..7).filter(|_| digits.len() <= 8)?;
    let sum: usize = seven.iter().enumerate().map(|(at, digit)| if at % 2 == 0 { 3 * digit } else { *digit }).sum();
    let check = (10 - sum % 10) % 10;
    let mut modules = vec![true, false, true];
    for (at, digit) in seven.iter().chain([&check]).enumerate() {
        if at == 4 {
            modules.extend([false, true, false, true, false]);
        }
        let odd = *ODD.get(*digit)?;
        let pattern = if at < 4 { odd } else { !odd & 0x7F };
        modules.extend((0..7).rev().map(|bit| pattern >> bit & 1 == 1));
    }
    modules.extend([true, false, true]);
    Some(modules)
}

/// A symbol that is not drawn: its place on the paper, with its data in it.
pub(super) fn frame(data: &str, width: usize, y: usize, body: &mut String) -> usize {
    let wide = width * CELL / 2;
    let left = MARGIN + wide / 2;
    let mut shown = String::new();
    data.chars().take(40).for_each(|character| escape_xml(character, &mut shown));
    let _ = writeln!(body, "<path d=\"M{left} {y}h{wide}v{HEIGHT}h-{wide}z\" fill=\"none\" stroke=\"#1a1a1a\"/>");
    let (x, baseline) = (left + CELL, y + HEIGHT / 2);
    let _ = writeln!(body, "<text x=\"{x}\" y=\"{baseline}\" font-size=\"14\">PDF417 {shown}</text>");
    HEIGHT
}

/// Widths of bars and spaces of the characters of Code 128 (ISO/IEC 15417, table 1).
const WIDTHS: &str = "212222222122222221121223121322131222122213122312132212221213221312231212112232122132122231113222123122123221\
223211221132221231213212223112312131311222321122321221312212322112322211212123212321232121111323131123131321112313132113\
132311211313231113231311112133112331132131113123113321133121313121211331231131213113213311213131311123311321331121312113\
312311332111314111221411431111111224111422121124121421141122141221112214112412122114122411142112142211241211221114413111\
241112134111111242121142121241114212124112124211411212421112421211212141214121412121111143111341131141114113114311411113\
411311113141114131311141411131211412211214211232";

fn code128(data: &str) -> Option<Vec<bool>> {
    const START_B: usize = 104;
    let mut codes = vec![START_B];
    for byte in data.bytes() {
        codes.push(usize::from(byte.checked_sub(32).filter(|code| *code < 95)?));
    }
    let sum: usize = codes.iter().enumerate().map(|(at, code)| at.max(1) * code).sum();
    codes.push(sum % 103);
    let mut modules = Vec::new();
    let mut put = |widths: &str| {
        for (at, width) in widths.bytes().enumerate() {
            modules.extend((b'0'..width).map(|_| at % 2 == 0));
        }
    };
    for code in codes {
        put(WIDTHS.get(code * 6..code * 6 + 6)?);
    }
    put("2331112");
    Some(modules)
}

pub(super) fn raster(raster: &Raster, width: usize, y: usize, body: &mut String) -> usize {
    if raster.across == 0 {
        return 0;
    }
    let left = MARGIN + (width * CELL).saturating_sub(raster.across * 8) / 2;
    let mut path = String::new();
    for (row, bytes) in raster.rows.chunks(raster.across).enumerate() {
        let y = y + row;
        let dark = |x: &usize| bytes.get(x / 8).is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0);
        for x in (0..raster.across * 8).filter(dark) {
            let x = left + x;
            let _ = write!(path, "M{x} {y}h1v1h-1z");
        }
    }
    let _ = writeln!(body, "<path d=\"{path}\" shape-rendering=\"crispEdges\"/>");
    raster.rows.len() / raster.across
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(modules: &[bool]) -> String {
        modules.iter().map(|dark| if *dark { '1' } else { '0' }).collect()
    }

    #[test]
    fn bars_are_those_of_the_standards() {
        assert_eq!(WIDTHS.len(), 105 * 6 + 6);
        // 5901234123457, the example of many textbooks.
        assert_eq!(
            text(&ean13("5901234123457").expect("modules")),
            "10100010110100111011001100100110111101001110101010110011011011001000010101110010011101000100101"
        );
        let code = text(&code128("A").expect("modules"));
        assert_eq!(code, "11010010000".to_owned() + "10100011000" + "10001011000" + "1100011101011");
    }
}
