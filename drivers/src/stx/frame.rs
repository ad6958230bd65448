//! `STX text ETX LRC`: the LRC is the exclusive or of what stands before it, by rules that differ from maker to maker.

pub const STX: u8 = 0x02;
pub const ETX: u8 = 0x03;
/// Answers to a frame.
pub const ACK: u8 = 0x06;
pub const NAK: u8 = 0x15;

/// What the check byte is made of besides the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Check {
    pub seed: u8,
    /// The text's beginning counts.
    pub stx: bool,
    /// The text's end counts.
    pub etx: bool,
}

pub const TRANSBANK: Check = Check { seed: 0, stx: false, etx: true };
/// Nexi, *traditional POS*.
pub const NEXI: Check = Check { seed: 0x7F, stx: false, etx: true };

impl Check {
    #[must_use]
    pub fn of(self, text: &[u8]) -> u8 {
        let begun = if self.stx { self.seed ^ STX } else { self.seed };
        let ended = if self.etx { begun ^ ETX } else { begun };
        text.iter().fold(ended, |sum, byte| sum ^ byte)
    }
}

/// Text has no control bytes, so nothing in it is doubled or escaped.
#[must_use]
pub fn wrap(text: &str, check: Check) -> Vec<u8> {
    let mut frame = vec![STX];
    frame.extend(text.bytes());
    frame.extend([ETX, check.of(text.as_bytes())]);
    frame
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwrapped {
    Text(Vec<u8>),
    /// Ask for it again with NAK.
    Damaged,
    Incomplete,
}

/// The frame at the beginning of `bytes`, which is its STX, and how many bytes it takes.
#[must_use]
pub fn unwrap(bytes: &[u8], check: Check) -> (Unwrapped, usize) {
    let Some(end) = bytes.iter().position(|byte| *byte == ETX) else {
        return (Unwrapped::Incomplete, 0);
    };
    let (Some(body), Some(sum)) = (bytes.get(..end), bytes.get(end + 1)) else {
        return (Unwrapped::Incomplete, 0);
    };
    // A beginning within is the true one: what stands before it lost its end.
    let start = body.iter().rposition(|byte| *byte == STX).map_or(0, |at| at + 1);
    let text = body.get(start..).unwrap_or(&[]);
    let whole = check.of(text) == *sum;
    (if whole { Unwrapped::Text(text.to_vec()) } else { Unwrapped::Damaged }, end + 2)
}

/// Text of a terminal, whatever its letters are: UTF-8 where it is that, else Latin-1; no control characters.
pub(super) fn text(bytes: &[u8]) -> String {
    let read = std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect::<String>(), str::to_owned);
    read.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_bytes_follow_their_rules() {
        assert_eq!(wrap("0100", TRANSBANK), b"\x020100\x03\x02");
        assert_eq!(wrap("0250|", TRANSBANK), b"\x020250|\x03\x78");
        assert_eq!(TRANSBANK.of(b"0700||"), 0x04);
        assert_eq!(NEXI.of(b"0700||"), 0x04 ^ 0x7F);
        assert_eq!(Check { seed: 0, stx: true, etx: false }.of(b"\x05"), 0x07);
    }

    #[test]
    fn frames_are_found_behind_what_was_cut() {
        let frame = b"\x020500||\x03\x06";
        assert_eq!(unwrap(frame, TRANSBANK), (Unwrapped::Text(b"0500||".to_vec()), frame.len()));
        let cut = [b"\x020210|0".as_slice(), frame].concat();
        assert_eq!(unwrap(&cut, TRANSBANK), (Unwrapped::Text(b"0500||".to_vec()), cut.len()));
        assert_eq!(unwrap(&frame[..frame.len() - 1], TRANSBANK), (Unwrapped::Incomplete, 0));
        assert_eq!(unwrap(frame, NEXI).0, Unwrapped::Damaged);
    }

    #[test]
    fn no_bytes_are_too_strange_for_text() {
        assert_eq!(text(b"PI\xd1A"), "PI\u{d1}A");
        assert_eq!(text("Ñ\u{7}".as_bytes()), "Ñ ");
    }
}
