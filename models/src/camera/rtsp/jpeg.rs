//! JPEG pictures from RTP packets (RFC 3550, RFC 2435): put together in order, or dropped as torn.

use zeroize::Zeroizing;

use crate::video::BYTES_CAP;

/// Quantizers of a quality of 50 (RFC 2435, appendix A), in zigzag order: brightness, then colour.
const BRIGHTNESS: [u8; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51, 61,
    60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77, 113,
    121, 112, 100, 120, 92, 101, 103, 99,
];
const COLOUR: [u8; 64] = [
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99,
];

/// The picture that is being put together.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    head: Option<Head>,
    scan: Zeroizing<Vec<u8>>,
    /// The next packet's number.
    next: Option<u16>,
    /// Quantizers the camera told once for a quality of its own.
    told: Option<(u8, Vec<u8>)>,
}

#[derive(Debug, Clone)]
struct Head {
    kind: u8,
    width: u16,
    height: u16,
    restart: u16,
    tables: Vec<u8>,
}

/// Reads big-endian fields off the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|two| u16::from_be_bytes([two[0], two[1]]))
    }
}

impl Pictures {
    /// Takes one packet; returns a picture when it was the last of a whole one.
    pub(super) fn take(&mut self, packet: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let taken = self.packet(packet);
        if taken.is_none() {
            // Torn: wait for the beginning of the next one.
            self.head = None;
        }
        taken.flatten()
    }

    /// `None`: the picture is torn; `Some(None)`: it goes on.
    fn packet(&mut self, packet: &[u8]) -> Option<Option<Zeroizing<Vec<u8>>>> {
        let (sequence, last, payload) = rtp(packet)?;
        let in_order = self.next.is_none_or(|next| next == sequence);
        self.next = Some(sequence.wrapping_add(1));
        let mut bytes = Bytes(payload);
        let first = bytes.take(4)?;
        let offset = usize::from(first[1]) << 16 | usize::from(first[2]) << 8 | usize::from(first[3]);
        let (kind, quality) = (bytes.u8()?, bytes.u8()?);
        let (width, height) = (u16::from(bytes.u8()?) * 8, u16::from(bytes.u8()?) * 8);
        let restart = if (64..128).contains(&kind) {
            let every = bytes.u16()?;
            bytes.take(2)?;
            every
        } else {
            0
        };
        if offset == 0 {
            let tables = self.tables(quality, &mut bytes)?;
            // 0 and 1 are what cameras send; a side of more than 2040 pixels is told as 0.
            if kind & 0x3f > 1 || kind >= 128 || width == 0 || height == 0 {
                return None;
            }
            self.head = Some(Head { kind: kind & 0x3f, width, height, restart, tables });
            self.scan.clear();
        } else if !in_order || offset != self.scan.len() {
            return None;
        }
        let head = self.head.as_ref()?;
        if self.scan.len() + bytes.0.len() > BYTES_CAP {
            return None;
        }
        self.scan.extend_from_slice(bytes.0);
        if !last {
            return Some(None);
        }
        let picture = file(head, &self.scan);
        self.head = None;
        Some(Some(picture))
    }

    /// Two quantizers of 64 bytes: computed, told in this packet, or told before.
    fn tables(&mut self, quality: u8, bytes: &mut Bytes<'_>) -> Option<Vec<u8>> {
        if (1..100).contains(&quality) {
            let quality = u32::from(quality);
            let factor = if quality < 50 { 5000 / quality } else { 200 - quality * 2 };
            let scaled = |value: &u8| ((u32::from(*value) * factor + 50) / 100).clamp(1, 255) as u8;
            return Some(BRIGHTNESS.iter().chain(&COLOUR).map(scaled).collect());
        }
        if quality < 128 {
            return None;
        }
        let (_, precision, length) = (bytes.u8()?, bytes.u8()?, bytes.u16()?);
        let told = bytes.take(length.into())?;
        match (told.len(), precision) {
            (0, _) => self.told.as_ref().filter(|(known, _)| *known == quality).map(|(_, tables)| tables.clone()),
            (128, 0) => {
                self.told = Some((quality, told.to_vec()));
                Some(told.to_vec())
            }
            _ => None,
        }
    }
}

/// Number, whether it ends a picture, payload.
pub(super) fn rtp(packet: &[u8]) -> Option<(u16, bool, &[u8])> {
    let mut bytes = Bytes(packet);
    let (first, second, sequence) = (bytes.u8()?, bytes.u8()?, bytes.u16()?);
    bytes.take(8)?;
    bytes.take(usize::from(first & 0x0f) * 4)?;
    if first & 0x10 != 0 {
        bytes.take(2)?;
        let words = bytes.u16()?;
        bytes.take(usize::from(words) * 4)?;
    }
    let padding = if first & 0x20 != 0 { usize::from(*bytes.0.last()?) } else { 0 };
    let payload = bytes.0.get(..bytes.0.len().checked_sub(padding)?)?;
    (first >> 6 == 2).then_some((sequence, second & 0x80 != 0, payload))
}

/// A JPEG file without Huffman tables: they are those of every such picture, and `video::jpeg` adds them.
fn file(head: &Head, scan: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut file = Zeroizing::new(vec![0xff, 0xd8]);
    for (number, table) in (0..).zip(head.tables.chunks(64)) {
        file.extend([0xff, 0xdb, 0, 67, number]);
        file.extend_from_slice(table);
    }
    let ([h1, h0], [w1, w0]) = (head.height.to_be_bytes(), head.width.to_be_bytes());
    let sampling = if head.kind == 0 { 0x21 } else { 0x22 };
    file.extend([0xff, 0xc0, 0, 17, 8, h1, h0, w1, w0, 3, 1, sampling, 0, 2, 0x11, 1, 3, 0x11, 1]);
    if head.restart != 0 {
        let [high, low] = head.restart.to_be_bytes();
        file.extend([0xff, 0xdd, 0, 4, high, low]);
    }
    file.extend([0xff, 0xda, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    file.extend_from_slice(scan);
    if !scan.ends_with(&[0xff, 0xd9]) {
        file.extend([0xff, 0xd9]);
    }
    file
}
