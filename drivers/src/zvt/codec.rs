//! Messages of ZVT (PA00P015 chapters 2 to 4): frame, head, bitmaps.

use super::bmp::{self, Fields, Tlv};
use super::text;

/// Longest message: control field, length `FF lo hi`, 64 KiB.
pub(super) const APDU_MAX: usize = 5 + 0xFFFF;

/// What the terminal was told before, where the grammar of its answer depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    Any,
    /// 06 0F after Status-Enquiry (05 01) starts with the software version.
    StatusEnquiry,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Class and instruction.
    pub control: [u8; 2],
    pub head: Head,
    pub fields: Fields,
}

/// What precedes the bitmaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    None,
    /// 06 00; the password itself is not kept.
    Registration {
        config: u8,
        currency: u64,
    },
    /// 05 01, 06 20, 06 30 and others.
    Password,
    /// 06 1E.
    Abort(Option<u8>),
    /// 04 FF; minutes to wait where the terminal says so.
    Intermediate {
        status: u8,
        minutes: Option<u8>,
    },
    /// 06 D1.
    Line {
        attribute: u8,
        text: String,
    },
    /// 06 0F after 05 01.
    Version {
        software: Option<String>,
        status: Option<u8>,
    },
    /// 06 C0; seconds to wait for a card.
    Wait(u8),
    /// 80 xx and 84 xx; amounts may follow 84 9D.
    Acknowledged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// More bytes are needed.
    Incomplete,
    /// The head is too short for its command.
    Head,
}

/// Control field, announced length of the data, and how many bytes said so.
pub(super) const fn announced(bytes: &[u8]) -> Option<([u8; 2], usize, usize)> {
    match bytes {
        [class, instruction, 0xFF, low, high, ..] => {
            Some(([*class, *instruction], u16::from_le_bytes([*low, *high]) as usize, 5))
        }
        [_, _, 0xFF, ..] => None,
        [class, instruction, length, ..] => Some(([*class, *instruction], *length as usize, 3)),
        _ => None,
    }
}

/// The first whole message: control field, data, and how many bytes it took.
#[must_use]
pub fn split(bytes: &[u8]) -> Option<([u8; 2], &[u8], usize)> {
    let (control, length, header) = announced(bytes)?;
    let data = bytes.get(header..header + length)?;
    Some((control, data, header + length))
}

#[must_use]
pub(super) fn encode(control: [u8; 2], data: &[u8]) -> Vec<u8> {
    let mut apdu = control.to_vec();
    match u8::try_from(data.len()) {
        Ok(short) if short < 0xFF => apdu.push(short),
        _ => {
            let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
            apdu.push(0xFF);
            apdu.extend_from_slice(&length.to_le_bytes());
        }
    }
    apdu.extend(data.iter().take(0xFFFF));
    apdu
}

/// `digits` as binary coded decimal, high digit first, in `N` bytes.
#[must_use]
pub(super) fn bcd<const N: usize>(number: u64) -> [u8; N] {
    let mut rest = number;
    let mut bytes = [0; N];
    for byte in bytes.iter_mut().rev() {
        let pair = u8::try_from(rest % 100).unwrap_or(0);
        *byte = ((pair / 10) << 4) | (pair % 10);
        rest /= 100;
    }
    bytes
}

/// Reads one whole message. A bitmap that is not known ends the reading and is told in [`Fields::stopped`].
pub fn decode(bytes: &[u8], context: Context) -> Result<Message, Fault> {
    let (control, data, _) = split(bytes).ok_or(Fault::Incomplete)?;
    read(control, data, context)
}

/// As [`decode`], of data whose length may not be what was announced.
pub(super) fn read(control: [u8; 2], data: &[u8], context: Context) -> Result<Message, Fault> {
    let (head, rest) = head(control, data, context)?;
    Ok(Message { control, fields: bmp::read(&rest), head })
}

fn head(control: [u8; 2], data: &[u8], context: Context) -> Result<(Head, Vec<u8>), Fault> {
    let plain = |head, rest: &[u8]| Ok((head, rest.to_vec()));
    match control {
        [0x06, 0x00] => {
            let (head, rest) = data.split_at_checked(4).ok_or(Fault::Head)?;
            let (currency, rest) = match rest.split_at_checked(2) {
                Some((code, rest)) => (bmp::bcd(code).unwrap_or(0), rest),
                None => (0, rest),
            };
            let config = head.last().copied().unwrap_or(0);
            plain(Head::Registration { config, currency }, rest)
        }
        control if begins_with_password(control) => match data.split_at_checked(3) {
            Some((_, rest)) => plain(Head::Password, rest),
            None => plain(Head::None, &[]),
        },
        [0x06, 0xC0] => match data.split_first() {
            Some((seconds, rest)) => plain(Head::Wait(*seconds), rest),
            None => plain(Head::None, &[]),
        },
        [0x06, 0x1E] => match data.split_first() {
            Some((code, rest)) => plain(Head::Abort(Some(*code)), rest),
            None => plain(Head::Abort(None), &[]),
        },
        [0x04, 0xFF] => intermediate(data),
        [0x06, 0xD1] => line(data),
        [0x06, 0x0F] if context == Context::StatusEnquiry => {
            // Only asked for does the terminal send its version; `06 0F 01 DC` is a card inserted.
            let (software, rest) = match bmp::digits_length(data, 3) {
                Some((version, rest)) => (Some(text::decode(version)), rest),
                None => (None, data),
            };
            let (status, rest) = match rest.split_first() {
                Some((status, rest)) => (Some(*status), rest),
                None => (None, rest),
            };
            plain(Head::Version { software, status }, rest)
        }
        [0x80 | 0x84, _] => plain(Head::Acknowledged, data),
        _ => plain(Head::None, data),
    }
}

/// Commands of the till whose data start with the password.
pub(super) const fn begins_with_password(control: [u8; 2]) -> bool {
    matches!(
        control,
        [0x05, 0x01] | [0x06, 0x00 | 0x10 | 0x18 | 0x1A | 0x20 | 0x21 | 0x30 | 0x31 | 0x50 | 0x82 | 0x93 | 0x95 | 0xC5]
    )
}

/// Some terminals leave out the minutes before the container, as an example of the specification does.
fn intermediate(data: &[u8]) -> Result<(Head, Vec<u8>), Fault> {
    let (status, rest) = data.split_first().ok_or(Fault::Head)?;
    let status = *status;
    if let [0x06, ..] = rest
        && bmp::read(rest).stopped.is_none()
        && rest.len() > 1
    {
        return Ok((Head::Intermediate { status, minutes: None }, rest.to_vec()));
    }
    let (minutes, rest) = match rest.split_first() {
        Some((minutes, rest)) => {
            let minutes = bmp::bcd(&[*minutes]).and_then(|m| u8::try_from(m).ok());
            (minutes, rest.to_vec())
        }
        None => (None, Vec::new()),
    };
    Ok((Head::Intermediate { status, minutes }, rest))
}

/// Text runs to the end of the message, or to a container with the kind of receipt (tag 1F07).
fn line(data: &[u8]) -> Result<(Head, Vec<u8>), Fault> {
    let (attribute, shown) = data.split_first().ok_or(Fault::Head)?;
    let cut = (0..shown.len())
        .find(|at| {
            shown.get(*at..).is_some_and(|tail| {
                tail.starts_with(&[0x06])
                    && matches!(bmp::read(tail), Fields { list, stopped: None } if list.len() == 1
                        && tail.windows(2).any(|pair| pair == [0x1F, 0x07]))
            })
        })
        .unwrap_or(shown.len());
    let (shown, rest) = shown.split_at_checked(cut).ok_or(Fault::Head)?;
    let head = Head::Line { attribute: *attribute, text: text::decode(shown) };
    Ok((head, rest.to_vec()))
}

/// Lines of a print block (06 D3): tags 07 inside 25, in order.
#[must_use]
pub fn block_lines(fields: &Fields) -> Vec<String> {
    fn collect(items: &[Tlv], lines: &mut Vec<String>) {
        for item in items {
            if item.tag == 0x07 {
                lines.push(text::decode(&item.value));
            }
            collect(&item.inner, lines);
        }
    }
    let mut lines = Vec::new();
    collect(fields.containers(), &mut lines);
    lines
}
