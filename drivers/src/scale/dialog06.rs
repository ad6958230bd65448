//! Scales that compute prices and speak Dialog 06 (Bizerba, Mettler, Espera; 9600 7O1).
//!
//! The till sends a price record, the scale acknowledges it, `EOT ENQ` fetches weight, price and total. After power-on, an
//! error or fifty weighings the scale wants proof that the till is the approved one: a check sum over a random number whose
//! generator polynomial is issued with the approval, so it comes from the configuration.

use super::{Dialect, Live, PATIENCE_MS, Question, Reading, Scale};
use crate::options;
use crate::{Cap, Kind, LinkKind, Out, Spec};
use checkout::device::{ScaleFault, Weight};
use checkout::words::{Grams, Money, Mono};
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "scale-dialog06",
    kind: Kind::Scale,
    links: &[LinkKind::Serial, LinkKind::Tcp],
    caps: &[Cap::Price],
    quirks: &[],
    example: "name = \"scale-1\"\ndriver = \"scale-dialog06\"\nlink = \"serial:/dev/ttyUSB0?baud=9600&mode=7O1\"\noptions = { polynomial = \"11021\" }",
    build: |options| {
        let options: Options = options::parse(options)?;
        let polynomial =
            u32::from_str_radix(&options.polynomial, 16).ok().filter(|value| (2..=0x1_FFFF).contains(value));
        if polynomial.is_none() && !options.polynomial.is_empty() {
            return Err("polynomial must be hexadecimal, at most 17 bits, as issued with the approval".into());
        }
        Ok(Box::new(Scale::new(Dialog::new(polynomial), options.patience_ms)))
    },
};

const STX: u8 = 0x02;
const ETX: u8 = 0x03;
const EOT: u8 = 0x04;
const ENQ: u8 = 0x05;
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;
const ESC: u8 = 0x1B;
const FRAME_MAX: usize = 64;
const PRICE_MAX: i64 = 999_999;
const TARE_MAX_G: u32 = 9_999;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// Generator polynomial of the approval, hexadecimal with its highest bit; empty for scales that do not ask.
    polynomial: String,
    patience_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { polynomial: String::new(), patience_ms: PATIENCE_MS }
    }
}

/// What the scale says in one record, or with one control character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Ack,
    Nak,
    /// Record 02.
    Priced {
        net: Grams,
        unit_price: Money,
        total: Money,
    },
    /// Record 09.
    Status([u8; 2]),
    /// Record 11 with d0 = 2: prove yourself with this `z`.
    Challenge(u8),
    Accepted,
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waits {
    Nothing,
    /// For the acknowledgement of the price record.
    Price,
    Weight,
    Proof,
    Status,
}

struct Dialog {
    polynomial: Option<u32>,
    frame: Option<Vec<u8>>,
    waits: Waits,
    question: Option<Question>,
    random: u32,
    /// Proofs given for the question under way: a scale that refuses one is not asked for ever.
    proofs: u8,
}

impl Dialog {
    const fn new(polynomial: Option<u32>) -> Self {
        Self { polynomial, frame: None, waits: Waits::Nothing, question: None, random: 0x1D06, proofs: 0 }
    }

    /// Asks for a weight at a price; one that does not fit the record is answered for the scale.
    fn price_record(&mut self, out: &mut Out) -> Option<Reading> {
        let question = self.question?;
        let price = question.unit_price.0;
        if !(0..=PRICE_MAX).contains(&price) || question.tare.0 > TARE_MAX_G {
            self.waits = Waits::Nothing;
            return Some(Reading::fault(ScaleFault::Attention));
        }
        let record = match question.tare.0 {
            0 => format!("01\u{1b}{price:06}\u{1b}"),
            tare => format!("03\u{1b}{price:06}\u{1b}{tare:04}"),
        };
        send_record(&record, out);
        self.waits = Waits::Price;
        None
    }

    fn said(&mut self, said: &Said, out: &mut Out) -> Option<Reading> {
        match (said, self.waits) {
            (Said::Ack, Waits::Price) => {
                out.send(&[EOT, ENQ]);
                self.waits = Waits::Weight;
            }
            (Said::Nak, Waits::Price | Waits::Weight | Waits::Proof) => {
                send_record("08", out);
                self.waits = Waits::Status;
            }
            (Said::Priced { net, unit_price, total }, Waits::Weight) => {
                self.waits = Waits::Nothing;
                return Some(self.priced(*net, *unit_price, *total));
            }
            (Said::Status(code), Waits::Status | Waits::Weight) => {
                self.waits = Waits::Nothing;
                return self.status(*code, out);
            }
            (Said::Challenge(z), Waits::Price | Waits::Weight | Waits::Status) => return self.prove(*z, out),
            (Said::Accepted, Waits::Proof) => return self.price_record(out),
            (Said::Rejected, Waits::Proof) => {
                self.waits = Waits::Nothing;
                return Some(Reading::fault(ScaleFault::Attention));
            }
            _ => {}
        }
        None
    }

    /// The total is the scale's; it is only believed where it is what anybody would compute, give or take rounding.
    fn priced(&self, net: Grams, unit_price: Money, total: Money) -> Reading {
        let ours = i64::from(net.0).saturating_mul(unit_price.0) / 1000;
        let asked = self.question.is_some_and(|question| question.unit_price == unit_price);
        if net.0 == 0 {
            return Reading::fault(ScaleFault::Empty);
        }
        if !asked || (total.0 - ours).abs() > 1 {
            return Reading::fault(ScaleFault::Attention);
        }
        Reading::Settled(Weight::Priced { net, unit_price, total })
    }

    fn status(&mut self, code: [u8; 2], out: &mut Out) -> Option<Reading> {
        match &code {
            // No error: what was refused is sent once more.
            b"00" => self.price_record(out),
            b"20" | b"22" => Some(Reading::Live(Live(None))),
            code => Some(Reading::fault(fault(*code))),
        }
    }

    fn prove(&mut self, z: u8, out: &mut Out) -> Option<Reading> {
        let (Some(polynomial), 0..=2) = (self.polynomial, self.proofs) else {
            self.waits = Waits::Nothing;
            return Some(Reading::fault(ScaleFault::Attention));
        };
        self.proofs += 1;
        self.random = self.random.wrapping_mul(0x0001_9660).wrapping_add(0x3C6E_F35F);
        let [_, high, low, _] = self.random.to_be_bytes();
        send_record(&proof(u16::from_be_bytes([high, low]), z, polynomial), out);
        self.waits = Waits::Proof;
        None
    }
}

fn send_record(record: &str, out: &mut Out) {
    out.send(&[EOT, STX]);
    out.send(record.as_bytes());
    out.send(&[ETX]);
}

pub(crate) const fn fault(code: [u8; 2]) -> ScaleFault {
    match &code {
        b"21" => ScaleFault::Unmoved,
        b"30" => ScaleFault::TooLight,
        b"31" => ScaleFault::Negative,
        b"32" => ScaleFault::Over,
        b"01" | b"02" => ScaleFault::Defect,
        _ => ScaleFault::Attention,
    }
}

/// Record 10: `cs` and its check sum, each turned by a half of `z`.
pub(crate) fn proof(cs: u16, z: u8, polynomial: u32) -> String {
    let turned = cs.rotate_left(u32::from(z >> 4));
    let kw = remainder(cs, polynomial).rotate_right(u32::from(z & 0x0F));
    format!("10\u{1b}{turned:04X}{kw:04X}")
}

/// Remainder of `cs << 16` divided, without carry, by the polynomial aligned with the highest bit.
pub(crate) fn remainder(cs: u16, polynomial: u32) -> u16 {
    let aligned = polynomial << polynomial.leading_zeros();
    let mut rest = u32::from(cs) << 16;
    for step in 0..16 {
        if rest & (0x8000_0000 >> step) != 0 {
            rest ^= aligned >> step;
        }
    }
    u16::try_from(rest & 0xFFFF).unwrap_or(0)
}

impl Dialect for Dialog {
    fn forget(&mut self) {
        self.frame = None;
        self.waits = Waits::Nothing;
        self.proofs = 0;
    }

    fn ask(&mut self, question: Question, now: Mono, out: &mut Out) -> Option<Reading> {
        self.random ^= u32::try_from(now.0 & 0xFFFF_FFFF).unwrap_or(0);
        self.question = Some(question);
        self.frame = None;
        self.price_record(out)
    }

    fn byte(&mut self, byte: u8, out: &mut Out) -> Option<Reading> {
        let byte = byte & 0x7F;
        let said = match (byte, &mut self.frame) {
            (STX, _) => {
                self.frame = Some(Vec::new());
                return None;
            }
            (ETX, Some(_)) => {
                let said = read(&self.frame.take()?)?;
                // Every record of the scale is answered, also one that nobody waits for.
                out.send(&[EOT]);
                said
            }
            (_, Some(frame)) if frame.len() < FRAME_MAX => {
                frame.push(byte);
                return None;
            }
            (ACK, None) => Said::Ack,
            (NAK, None) => Said::Nak,
            (_, Some(_)) => {
                self.frame = None;
                return None;
            }
            (_, None) => return None,
        };
        self.said(&said, out)
    }
}

/// What stands between STX and ETX.
pub(crate) fn read(record: &[u8]) -> Option<Said> {
    let fields: Vec<&[u8]> = record.split(|byte| *byte == ESC).collect();
    let digits = |field: &[u8], length: usize| -> Option<u32> {
        let whole = field.len() == length && field.iter().all(u8::is_ascii_digit);
        core::str::from_utf8(field).ok().filter(|_| whole)?.parse().ok()
    };
    Some(match fields.as_slice() {
        [b"02", [b'0'..=b'9'], weight, price, total] => Said::Priced {
            net: Grams(digits(weight, 5)?),
            unit_price: Money(digits(price, 6)?.into()),
            total: Money(digits(total, 6)?.into()),
        },
        [b"09", [tens @ b'0'..=b'9', ones @ b'0'..=b'9']] => Said::Status([*tens, *ones]),
        [b"11", [b'2', z @ ..]] => Said::Challenge(u8::from_str_radix(core::str::from_utf8(z).ok()?, 16).ok()?),
        [b"11", [b'1', ..]] => Said::Accepted,
        [b"11", [b'0', ..]] => Said::Rejected,
        _ => return None,
    })
}
