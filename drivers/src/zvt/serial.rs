//! ZVT over a serial line (PA00P016): `DLE STX apdu DLE ETX crc`, DLE doubled inside.

const DLE: u8 = 0x10;
const STX: u8 = 0x02;
const ETX: u8 = 0x03;
/// Answers to a frame.
pub const ACK: u8 = 0x06;
pub const NAK: u8 = 0x15;

/// CRC-16 KERMIT over the message and ETX; sent low byte first. The specification calls it XMODEM, captures do not.
#[must_use]
pub fn crc(apdu: &[u8]) -> u16 {
    apdu.iter().chain([&ETX]).fold(0, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x8408 } else { crc >> 1 })
    })
}

#[must_use]
pub fn wrap(apdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![DLE, STX];
    for byte in apdu {
        frame.push(*byte);
        if *byte == DLE {
            frame.push(DLE);
        }
    }
    frame.extend_from_slice(&[DLE, ETX]);
    frame.extend_from_slice(&crc(apdu).to_le_bytes());
    frame
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unwrapped {
    Apdu(Vec<u8>),
    /// Ask for it again with NAK.
    Damaged,
    Incomplete,
}

/// The first frame in `bytes` and how many bytes were used up by it and the noise before it.
#[must_use]
pub fn unwrap_frame(bytes: &[u8]) -> (Unwrapped, usize) {
    let Some(start) = bytes.windows(2).position(|pair| pair == [DLE, STX]) else {
        let keep = usize::from(bytes.last() == Some(&DLE));
        return (Unwrapped::Incomplete, bytes.len() - keep);
    };
    let mut apdu = Vec::new();
    let mut rest = bytes.get(start + 2..).unwrap_or(&[]);
    loop {
        match rest {
            [DLE, DLE, after @ ..] => {
                apdu.push(DLE);
                rest = after;
            }
            [DLE, ETX, low, high, after @ ..] => {
                let used = bytes.len() - after.len();
                let good = crc(&apdu) == u16::from_le_bytes([*low, *high]);
                let result = if good { Unwrapped::Apdu(apdu) } else { Unwrapped::Damaged };
                return (result, used);
            }
            [DLE, ETX, ..] | [DLE] | [] => return (Unwrapped::Incomplete, start),
            [DLE, _, after @ ..] => return (Unwrapped::Damaged, bytes.len() - after.len()),
            [byte, after @ ..] => {
                apdu.push(*byte);
                rest = after;
            }
        }
    }
}
