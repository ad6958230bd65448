//! H.264 from RTP packets (RFC 6184): put together picture by picture, and decoded. A lost packet spoils every picture up to
//! the next one that stands by itself.

use rusty_h264_decoder::{Decoder, Sps};
use zeroize::Zeroizing;

use super::jpeg::rtp;
use crate::image::Frame;
use crate::video::{BYTES_CAP, Torn};

/// Before each unit.
const START: [u8; 4] = [0, 0, 0, 1];
/// Longest and shortest side of what is decoded, in macroblocks of sixteen pixels: more would cost memory and time that a box
/// has not.
const LONG_MAX: usize = 120;
const SHORT_MAX: usize = 68;

/// Kinds of units (H.264, table 7-1; RFC 6184, table 3).
const KEY: u8 = 5;
const SEQUENCE: u8 = 7;
const AGGREGATE: u8 = 24;
const FRAGMENT: u8 = 28;

/// The picture that is being put together.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    picture: Zeroizing<Vec<u8>>,
    /// The next packet's number.
    next: Option<u16>,
    /// What was told of the sequence beside the stream.
    sets: Vec<u8>,
    /// Something was lost, or nothing seen yet: pictures lean on ones we have not.
    leaning: bool,
    /// A fragment's end is still to come.
    open: bool,
}

impl Pictures {
    /// `sets`: parameter sets from the camera's description.
    pub(super) fn new(sets: &[Vec<u8>]) -> Self {
        let sets = sets.iter().flat_map(|set| START.iter().chain(set)).copied().collect();
        Self { sets, leaning: true, ..Self::default() }
    }

    /// Takes one packet; returns a picture's units when it was the last of a whole one.
    pub(super) fn take(&mut self, packet: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (sequence, last, payload) = rtp(packet)?;
        if self.next.replace(sequence.wrapping_add(1)).is_some_and(|next| next != sequence) {
            self.lose();
        }
        if self.units(payload).is_none() || self.picture.len() > BYTES_CAP {
            self.lose();
        }
        if !last {
            return None;
        }
        let picture = core::mem::take(&mut self.picture);
        let whole = !core::mem::take(&mut self.open) && !picture.is_empty();
        let key = units(&picture).any(|unit| unit.first().is_some_and(|head| head & 0x1f == KEY));
        self.leaning = !whole || (self.leaning && !key);
        if self.leaning {
            return None;
        }
        // Sets that stand in the stream itself come later and count.
        Some(if key { Zeroizing::new([self.sets.as_slice(), &picture].concat()) } else { picture })
    }

    /// The decoder could not go on with what it got.
    pub(super) fn lose(&mut self) {
        self.picture.clear();
        (self.leaning, self.open) = (true, false);
    }

    fn units(&mut self, payload: &[u8]) -> Option<()> {
        let (head, rest) = payload.split_first()?;
        match head & 0x1f {
            1..=23 => self.put(&[], payload),
            AGGREGATE => {
                let mut rest = rest;
                while !rest.is_empty() {
                    let (length, after) = rest.split_first_chunk()?;
                    let (unit, after) = after.split_at_checked(u16::from_be_bytes(*length).into())?;
                    self.put(&[], unit);
                    rest = after;
                }
            }
            FRAGMENT => {
                let (fragment, rest) = rest.split_first()?;
                if fragment & 0x80 != 0 {
                    self.put(&[head & 0xe0 | fragment & 0x1f], rest);
                } else if self.open {
                    self.picture.extend_from_slice(rest);
                } else {
                    return None;
                }
                self.open = fragment & 0x40 == 0;
            }
            // Interleaved ones are not what we asked for.
            _ => return None,
        }
        Some(())
    }

    fn put(&mut self, head: &[u8], unit: &[u8]) {
        self.picture.extend([&START, head, unit].concat());
    }
}

/// What follows each start code, up to the picture's end.
fn units(picture: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = picture.windows(START.len()).enumerate().filter(|(_, four)| **four == START);
    starts.filter_map(|(at, _)| picture.get(at + START.len()..))
}

/// A unit's bits without the threes that keep start codes out of them (7.4.1).
fn unescaped(unit: &[u8]) -> Vec<u8> {
    let (mut bits, mut zeros) = (Vec::with_capacity(unit.len()), 0);
    for &byte in unit {
        let escape = byte == 3 && zeros == 2;
        if !escape {
            bits.push(byte);
        }
        zeros = if byte == 0 && !escape { zeros + 1 } else { 0 };
    }
    bits
}

/// The decoder with limits.
#[derive(Default)]
pub(super) struct Eyes(Decoder);

impl Eyes {
    /// The picture of one access unit; `None` for one that shows nothing.
    ///
    /// # Errors
    /// It is torn, too large, or of a kind the decoder does not know: what follows leans on it.
    pub(super) fn see(&mut self, picture: &[u8]) -> Result<Option<Frame>, Torn> {
        for unit in units(picture).filter(|unit| unit.first().is_some_and(|head| head & 0x1f == SEQUENCE)) {
            let sides = Sps::parse(&unescaped(unit.get(1..).unwrap_or(&[])))
                .map(|set| (set.pic_width_in_mbs, set.pic_height_in_mbs));
            let (width, height) = sides.map_err(|wrong| Torn(format!("H.264: {wrong}")))?;
            if width.max(height) > LONG_MAX || width.min(height) > SHORT_MAX {
                return Err(Torn(format!("H.264 of {} x {} is larger than 1920 x 1088", width * 16, height * 16)));
            }
        }
        // As with JPEG: a decoder that trips over a hostile picture must not take the camera with it.
        let decoder = &mut self.0;
        let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| decoder.decode(picture)));
        let decoded = decoded.map_err(|_| Torn("the decoder failed".to_owned()))?;
        let Some(mut yuv) = decoded.map_err(|wrong| Torn(format!("H.264: {wrong}")))? else { return Ok(None) };
        let frame = Frame::from_planes(yuv.width, yuv.height, &yuv.y, &yuv.u, &yuv.v);
        [&mut yuv.y, &mut yuv.u, &mut yuv.v].into_iter().for_each(zeroize::Zeroize::zeroize);
        frame.map(Some).ok_or_else(|| Torn("H.264: planes of another size".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four pictures of 64 x 48, left dark, right ever darker: profile High, CABAC; the first stands by itself.
    const STREAM: [&str; 4] = [
        "000000016764401eacca411e400000000168ebcf2c00000001658884003ffed907c0a5c5901ca6f6245fab8621894b3e216adc0e83",
        "00000001619a2058f81e91ff043c",
        "00000001619a40943e07aa07667fc6d5f7e6a5de80000003000003004d7dca2460000003000003001a3ccf1dd800000300000300c3459270",
        "00000001619a60d63e07aa074a0709ffccaa7bf352ef4000df0000030019f74a55d197000003025800063000000300000300332c",
    ];

    fn pictures() -> Vec<Vec<u8>> {
        let byte = |text: &str, at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        STREAM.iter().map(|text| (0..text.len()).step_by(2).map(|at| byte(text, at)).collect()).collect()
    }

    /// As cameras send it: small units together, large ones in parts of twenty bytes.
    fn packets() -> Vec<Vec<Vec<u8>>> {
        let mut sequence = 65_533_u16;
        let mut packet = |last: bool, payload: &[u8]| {
            let [high, low] = sequence.to_be_bytes();
            sequence = sequence.wrapping_add(1);
            [&[0x80, if last { 0x80 } else { 0 } | 96, high, low, 0, 0, 0, 0, 0, 0, 0, 1], payload].concat()
        };
        let of = |picture: &Vec<u8>| {
            let mut ends: Vec<&[u8]> = units(picture).collect();
            for at in 1..ends.len() {
                ends[at - 1] = &ends[at - 1][..ends[at - 1].len() - ends[at].len() - START.len()];
            }
            let (large, small) = ends.split_last().unwrap();
            let mut sent = Vec::new();
            if !small.is_empty() {
                let each = small.iter().flat_map(|unit| [&[0, unit.len() as u8], *unit].concat());
                sent.push(packet(false, &std::iter::once(AGGREGATE).chain(each).collect::<Vec<u8>>()));
            }
            if large.len() <= 20 {
                sent.push(packet(true, large));
                return sent;
            }
            let parts: Vec<&[u8]> = large[1..].chunks(20).collect();
            for (at, part) in parts.iter().enumerate() {
                let (first, last) = (at == 0, at + 1 == parts.len());
                let head =
                    [large[0] & 0xe0 | FRAGMENT, (u8::from(first) << 7) | (u8::from(last) << 6) | large[0] & 0x1f];
                sent.push(packet(last, &[&head[..], part].concat()));
            }
            sent
        };
        pictures().iter().map(of).collect()
    }

    fn brightness(frame: &Frame) -> (u8, u8) {
        let (luma, width, _) = frame.luma(64);
        (luma[24 * width + 8], luma[24 * width + 56])
    }

    #[test]
    fn pictures_come_out_of_packets_as_they_went_in() {
        let (mut whole, mut eyes) = (Pictures::new(&[]), Eyes::default());
        let mut seen = Vec::new();
        for packet in packets().concat() {
            if let Some(picture) = whole.take(&packet) {
                let frame = eyes.see(&picture).unwrap().unwrap();
                assert_eq!((frame.width(), frame.height()), (64, 48));
                seen.push(brightness(&frame));
            }
        }
        assert_eq!(seen.len(), 4);
        assert!(seen.iter().all(|(left, _)| *left < 40), "{seen:?}");
        assert!(seen.windows(2).all(|pair| pair[0].1 > pair[1].1), "ever darker: {seen:?}");
    }

    #[test]
    fn after_a_lost_packet_nothing_is_shown_before_a_picture_that_stands_by_itself() {
        let all = packets();
        let (first, count) = (all[0].len(), all.concat().len());
        // The very first packet holds the sets: without it the decoder refuses, which is tried below.
        for lost in 1..count {
            let mut stream = all.concat();
            stream.remove(lost);
            let mut whole = Pictures::new(&[]);
            let shown = stream.iter().filter(|packet| whole.take(packet).is_some()).count();
            assert!(lost >= first || shown == 0, "packet {lost} of the first picture lost, and {shown} shown");
            assert!(shown < 4, "packet {lost} lost, and all is shown");
            // The next key picture begins anew, though its numbers do not follow.
            let again = all.concat().iter().filter(|packet| whole.take(packet).is_some()).count();
            assert_eq!(again, 4, "after packet {lost}");
        }
    }

    #[test]
    fn sets_told_beside_the_stream_serve_and_too_large_pictures_are_refused() {
        let first = &pictures()[0];
        let all: Vec<&[u8]> = units(first).collect();
        let sets = [&all[0][..all[0].len() - all[1].len() - 4], &all[1][..all[1].len() - all[2].len() - 4]]
            .map(<[u8]>::to_vec);
        let mut whole = Pictures::new(&sets);
        let packet = [&[0x80, 0x80 | 96, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1], all[2]].concat();
        let picture = whole.take(&packet).unwrap();
        assert!(Eyes::default().see(&picture).unwrap().is_some());
        assert!(Eyes::default().see(&[&START, all[2]].concat()).is_err(), "without its sets it shows nothing");
        // Profile 66, level 40, set 0, and sides of 256 macroblocks.
        let huge = [0, 0, 0, 1, 0x67, 66, 0, 40, 0xf8, 0x40, 0x10, 0x02, 0x00, 0x80, 0x80];
        let refused = Eyes::default().see(&huge).err().map(|torn| torn.to_string());
        assert!(refused.is_some(), "{refused:?}");
    }

    #[test]
    fn packets_and_pictures_of_noise_do_no_harm() {
        let mut dice = 7_u64;
        let mut below = |n: usize| {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (dice >> 33) as usize % n
        };
        let (all, mut whole, mut eyes) = (packets().concat(), Pictures::new(&[]), Eyes::default());
        for _ in 0..3_000 {
            let mut packet = all[below(all.len())].clone();
            for _ in 0..below(3) {
                let at = below(packet.len());
                packet[at] = below(256) as u8;
            }
            packet.truncate(packet.len() - below(2) * below(packet.len()));
            if let Some(picture) = whole.take(&packet)
                && eyes.see(&picture).is_err()
            {
                whole.lose();
                eyes = Eyes::default();
            }
        }
    }
}
