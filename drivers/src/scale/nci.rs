//! Scales that speak NCI SCP-01 or SCP-02 (Weigh-Tronix, Brecknell and others): `W CR`, then a weight and status bits.

use super::{Dialect, Live, Patience, Question, Reading, Scale, Unit, grams};
use crate::options;
use crate::{Kind, LinkKind, Out, Spec};
use checkout::device::ScaleFault;
use checkout::words::Mono;

pub const SPEC: Spec = Spec {
    name: "scale-nci",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-nci\"\nlink = \"serial:/dev/ttyUSB0?baud=9600&mode=7E1\"",
    build: |options| {
        let options: Patience = options::parse(options)?;
        Ok(Box::new(Scale::new(Nci::default(), options.patience_ms)))
    },
};

const LF: u8 = 0x0A;
const ETX: u8 = 0x03;
const FRAME_MAX: usize = 32;

/// Bytes behind the first LF, without parity.
#[derive(Debug, Default)]
pub(super) struct Nci {
    frame: Option<Vec<u8>>,
}

impl Dialect for Nci {
    fn forget(&mut self) {
        self.frame = None;
    }

    fn ask(&mut self, _: Question, _: Mono, out: &mut Out) -> Option<Reading> {
        out.send(b"W\r");
        None
    }

    fn byte(&mut self, byte: u8, _: &mut Out) -> Option<Reading> {
        let byte = byte & 0x7F;
        match (byte, &mut self.frame) {
            (LF, None) => self.frame = Some(Vec::new()),
            // The LF before the status follows a CR; any other begins a new answer.
            (LF, Some(frame)) if frame.last() != Some(&b'\r') => frame.clear(),
            (ETX, Some(_)) => return read(&self.frame.take()?),
            (_, Some(frame)) if frame.len() < FRAME_MAX => frame.push(byte),
            (_, Some(_)) => self.frame = None,
            (_, None) => {}
        }
        None
    }
}

/// `weight unit CR [LF] [S] status CR`, or the status alone, or `? CR`.
pub(crate) fn read(frame: &[u8]) -> Option<Reading> {
    let text = core::str::from_utf8(frame).ok()?.strip_suffix('\r')?;
    let (weight, status) = match text.split_once('\r') {
        Some((weight, status)) => (Some(weight), status.trim_start_matches('\n')),
        None => (None, text),
    };
    if status == "?" {
        return Some(Reading::fault(ScaleFault::Attention));
    }
    let status = status.strip_prefix('S').unwrap_or(status).as_bytes();
    // Bits 4 and 5 are always on, so that a status never looks like a control character.
    if !(2..=3).contains(&status.len()) || status.iter().any(|byte| byte & 0x30 != 0x30) {
        return None;
    }
    let weight = match weight {
        Some(weight) => Some(measured(weight)?),
        None => None,
    };
    Some(judge(status, weight))
}

fn measured(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = Unit::read(text.get(digits.len()..)?)?;
    let (sign, digits) = digits.trim().strip_prefix('-').map_or((1, digits.trim()), |digits| (-1, digits));
    Some(sign * i64::from(grams(digits.trim(), unit)?))
}

fn judge(status: &[u8], weight: Option<i64>) -> Reading {
    let on = |byte: usize, bit: u8| status.get(byte).is_some_and(|bits| bits & (1 << bit) != 0);
    if on(0, 2) || on(0, 3) || on(1, 2) || on(1, 3) {
        return Reading::fault(ScaleFault::Defect);
    }
    if on(1, 1) {
        return Reading::fault(ScaleFault::Over);
    }
    if on(1, 0) || weight.is_some_and(|grams| grams < 0) {
        return Reading::fault(ScaleFault::Negative);
    }
    if on(2, 3) {
        return Reading::fault(ScaleFault::Attention);
    }
    if on(0, 0) {
        return Reading::Live(Live(weight));
    }
    match weight.and_then(|grams| u32::try_from(grams).ok()) {
        Some(grams) => Reading::at_rest(grams),
        None if on(0, 1) => Reading::fault(ScaleFault::Empty),
        None => Reading::fault(ScaleFault::Attention),
    }
}
