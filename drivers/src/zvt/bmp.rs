//! Bitmaps and tag-length-value containers of ZVT (PA00P015 chapters 7 and 9) as data.

use checkout::words::TruncatedPan;
use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Fixed(usize),
    /// Two or three length digits, each in the low half of a byte (F0 F8).
    Ll,
    Lll,
    Container,
}

use Shape::{Container, Fixed, Ll, Lll};

const SHAPES: &[(u8, Shape)] = &[
    (0x01, Fixed(1)),
    (0x02, Fixed(1)),
    (0x03, Fixed(1)),
    (0x04, Fixed(6)),
    (0x05, Fixed(1)),
    (0x06, Container),
    (0x0B, Fixed(3)),
    (0x0C, Fixed(3)),
    (0x0D, Fixed(2)),
    (0x0E, Fixed(2)),
    (0x17, Fixed(2)),
    (0x19, Fixed(1)),
    (0x22, Ll),
    (0x23, Ll),
    (0x24, Lll),
    (0x27, Fixed(1)),
    (0x29, Fixed(4)),
    (0x2A, Fixed(15)),
    (0x2D, Ll),
    (0x2E, Lll),
    (0x37, Fixed(3)),
    (0x3A, Fixed(2)),
    (0x3B, Fixed(8)),
    (0x3C, Lll),
    (0x3D, Fixed(3)),
    (0x49, Fixed(2)),
    (0x60, Lll),
    (0x87, Fixed(2)),
    (0x88, Fixed(3)),
    (0x8A, Fixed(1)),
    (0x8B, Ll),
    (0x8C, Fixed(1)),
    (0x9A, Lll),
    (0xA0, Fixed(1)),
    (0xA7, Ll),
    (0xAF, Lll),
    (0xBA, Fixed(5)),
    (0xD0, Fixed(1)),
    (0xD1, Ll),
    (0xD2, Fixed(1)),
    (0xD3, Fixed(1)),
    (0xE0, Fixed(1)),
    (0xE1, Ll),
    (0xE2, Ll),
    (0xE3, Ll),
    (0xE4, Ll),
    (0xE5, Ll),
    (0xE6, Ll),
    (0xE7, Ll),
    (0xE8, Ll),
    (0xE9, Fixed(1)),
    (0xEA, Fixed(1)),
    (0xEB, Fixed(8)),
    (0xF0, Fixed(1)),
    (0xF1, Ll),
    (0xF2, Ll),
    (0xF3, Ll),
    (0xF4, Ll),
    (0xF5, Ll),
    (0xF6, Ll),
    (0xF7, Ll),
    (0xF8, Ll),
    (0xF9, Fixed(1)),
    (0xFA, Fixed(1)),
    (0xFB, Fixed(1)),
    (0xFC, Fixed(1)),
    (0xFD, Fixed(1)),
];

/// Card number; truncated the moment it is read.
const PAN: u8 = 0x22;
/// Magnetic tracks, the raw data of memory cards, the card's check value and password: never kept.
const TRACKS: [u8; 6] = [0x23, 0x24, 0x2D, 0x2E, 0x3A, 0x3D];

/// What stands behind one bitmap.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    Bytes(Vec<u8>),
    Pan(TruncatedPan),
    Container(Vec<Tlv>),
    /// Was there, may not be kept.
    Withheld,
}

/// Prints no content: amounts and names are nobody's log entry.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Pan(pan) => f.write_str(pan.as_str()),
            Self::Container(items) => f.debug_list().entries(items).finish(),
            Self::Withheld => f.write_str("***"),
        }
    }
}

#[derive(Clone, PartialEq, Eq)]
pub struct Tlv {
    pub tag: u32,
    pub value: Vec<u8>,
    pub inner: Vec<Tlv>,
}

impl fmt::Debug for Tlv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}({} bytes)", self.tag, self.value.len())
    }
}

/// All bitmaps of a message up to the first that cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    pub list: Vec<(u8, Value)>,
    /// Where and on what reading stopped; such a message proves nothing good.
    pub stopped: Option<(usize, u8)>,
}

pub(super) fn read(data: &[u8]) -> Fields {
    let mut fields = Fields::default();
    let mut rest = data;
    while let [tag, tail @ ..] = rest {
        let Some((content, after)) = content(*tag, tail) else {
            fields.stopped = Some((data.len() - rest.len(), *tag));
            return fields;
        };
        let value = match *tag {
            0x06 => match containers(content, 0) {
                Some(items) => Value::Container(items),
                None => {
                    fields.stopped = Some((data.len() - rest.len(), *tag));
                    return fields;
                }
            },
            PAN => Value::Pan(truncated(content)),
            track if TRACKS.contains(&track) => Value::Withheld,
            _ => Value::Bytes(content.to_vec()),
        };
        fields.list.push((*tag, value));
        rest = after;
    }
    fields
}

fn content(tag: u8, tail: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, shape) = SHAPES.iter().find(|(known, _)| *known == tag)?;
    match shape {
        Fixed(length) => tail.split_at_checked(*length),
        Ll => digits_length(tail, 2),
        Lll => digits_length(tail, 3),
        Container => {
            let (length, after) = container_length(tail)?;
            after.split_at_checked(length)
        }
    }
}

pub(super) fn digits_length(tail: &[u8], count: usize) -> Option<(&[u8], &[u8])> {
    let (digits, after) = tail.split_at_checked(count)?;
    let length = digits
        .iter()
        .try_fold(0_usize, |sum, byte| (*byte >= 0xF0 && *byte <= 0xF9).then(|| sum * 10 + usize::from(byte & 0x0F)))?;
    after.split_at_checked(length)
}

/// One byte up to 127, `81` and one byte, or `82` and two, high byte first (PA00P015 9.1).
fn container_length(tail: &[u8]) -> Option<(usize, &[u8])> {
    match tail {
        [0x81, length, after @ ..] => Some((usize::from(*length), after)),
        [0x82, high, low, after @ ..] => Some((usize::from(u16::from_be_bytes([*high, *low])), after)),
        [length, after @ ..] if *length < 0x80 => Some((usize::from(*length), after)),
        _ => None,
    }
}

const DEPTH_MAX: u8 = 8;

/// `None` where the bytes are not whole containers.
pub(super) fn containers(data: &[u8], depth: u8) -> Option<Vec<Tlv>> {
    let mut items = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (tag, constructed, tail) = container_tag(rest)?;
        let (length, after) = container_length(tail)?;
        let (value, after) = after.split_at_checked(length)?;
        let inner = if constructed && depth < DEPTH_MAX {
            containers(value, depth + 1).unwrap_or_default()
        } else {
            Vec::new()
        };
        items.push(Tlv { tag, value: value.to_vec(), inner });
        rest = after;
    }
    Some(items)
}

fn container_tag(bytes: &[u8]) -> Option<(u32, bool, &[u8])> {
    let (first, mut rest) = bytes.split_first()?;
    let constructed = first & 0x20 != 0;
    let mut tag = u32::from(*first);
    if first & 0x1F == 0x1F {
        for _ in 0..3 {
            let (next, after) = rest.split_first()?;
            tag = (tag << 8) | u32::from(*next);
            rest = after;
            if next & 0x80 == 0 {
                return Some((tag, constructed, rest));
            }
        }
        return None;
    }
    Some((tag, constructed, rest))
}

/// Half-bytes E are digits the terminal masked, F is padding.
fn truncated(bcd: &[u8]) -> TruncatedPan {
    let digits: String = bcd
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .filter(|half| *half != 0x0F)
        .map(|half| char::from_digit(u32::from(half), 10).unwrap_or('*'))
        .collect();
    TruncatedPan::of(&digits)
}

/// `None` for half-bytes that are no digits.
pub(super) fn bcd(bytes: &[u8]) -> Option<u64> {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0F])
        .try_fold(0_u64, |sum, half| (half <= 9).then(|| sum.checked_mul(10)?.checked_add(u64::from(half)))?)
}

/// Every tag in a tree of containers, outermost first.
pub(super) fn find(items: &[Tlv], tag: u32) -> Option<&Tlv> {
    items.iter().find(|item| item.tag == tag).or_else(|| items.iter().find_map(|item| find(&item.inner, tag)))
}

impl Fields {
    pub fn bytes(&self, tag: u8) -> Option<&[u8]> {
        self.list.iter().find_map(|(known, value)| match value {
            Value::Bytes(bytes) if *known == tag => Some(bytes.as_slice()),
            Value::Bytes(_) | Value::Pan(_) | Value::Container(_) | Value::Withheld => None,
        })
    }

    pub fn number(&self, tag: u8) -> Option<u64> {
        bcd(self.bytes(tag)?)
    }

    pub fn pan(&self) -> Option<&TruncatedPan> {
        self.list.iter().find_map(|(_, value)| match value {
            Value::Pan(pan) => Some(pan),
            Value::Bytes(_) | Value::Container(_) | Value::Withheld => None,
        })
    }

    pub fn containers(&self) -> &[Tlv] {
        self.list
            .iter()
            .find_map(|(_, value)| match value {
                Value::Container(items) => Some(items.as_slice()),
                Value::Bytes(_) | Value::Pan(_) | Value::Withheld => None,
            })
            .unwrap_or(&[])
    }

    /// A container at any depth.
    pub fn container(&self, tag: u32) -> Option<&[u8]> {
        find(self.containers(), tag).map(|item| item.value.as_slice())
    }

    /// Result code (BMP 27).
    pub fn result(&self) -> Option<u8> {
        self.bytes(0x27)?.first().copied()
    }

    /// Amount in minor units (BMP 04).
    pub fn amount(&self) -> Option<u64> {
        self.number(0x04)
    }

    /// Trace number (BMP 0B), or the long one (tag 1F2B) where that is zero.
    pub fn trace(&self) -> Option<u32> {
        let short = self.number(0x0B).filter(|trace| *trace != 0);
        let long = || bcd(self.container(0x1F2B)?);
        u32::try_from(short.or_else(long)?).ok()
    }

    /// Receipt number (BMP 87); FFFF means none.
    pub fn receipt(&self) -> Option<u32> {
        u32::try_from(self.number(0x87)?).ok()
    }

    /// Terminal identification (BMP 29) as the digits it shows.
    pub fn terminal(&self) -> Option<String> {
        let digits = self.bytes(0x29)?;
        Some(digits.iter().map(|byte| format!("{byte:02X}")).collect())
    }

    pub fn text(&self, tag: u8) -> Option<String> {
        let shown = super::text::decode(self.bytes(tag)?);
        Some(shown.trim_end_matches('\0').trim().to_owned())
    }
}
