//! `55 AA`, kind, number acknowledged, number, length (two bytes, high first), data, exclusive or from kind to data, `CC 33`.

const HEAD: [u8; 2] = [0x55, 0xAA];
const TAIL: [u8; 2] = [0xCC, 0x33];
/// Longest frame, head and tail included.
pub(super) const FRAME_MAX: usize = 1024;
/// What stands around the data.
const AROUND: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A message, an acknowledgement, or the heartbeat, which is neither.
    Common,
    Handshake,
    Confirm,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: Kind,
    /// Number of the message this acknowledges; 0 for none.
    pub ack: u8,
    /// Number of this message; 0 where no acknowledgement is wanted.
    pub id: u8,
    pub data: Vec<u8>,
}

impl Frame {
    #[must_use]
    pub const fn empty(kind: Kind) -> Self {
        Self { kind, ack: 0, id: 0, data: Vec::new() }
    }

    /// Data that is too long is cut; none of ours is.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let kind = match self.kind {
            Kind::Common => 0,
            Kind::Handshake => 1,
            Kind::Confirm => 2,
        };
        let data = self.data.get(..FRAME_MAX - AROUND).unwrap_or(&self.data);
        let length = u16::try_from(data.len()).unwrap_or(0).to_be_bytes();
        let body = [&[kind, self.ack, self.id], length.as_slice(), data].concat();
        let sum = body.iter().fold(0, |sum, byte| sum ^ byte);
        [HEAD.as_slice(), &body, &[sum], &TAIL].concat()
    }

    /// The first frame in `bytes`, and how many of them it and the noise before it take.
    #[must_use]
    pub fn find(bytes: &[u8]) -> (Option<Self>, usize) {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or(&[]);
            let Some(start) = rest.windows(2).position(|pair| pair == HEAD) else {
                let keep = usize::from(rest.last() == HEAD.first());
                return (None, bytes.len() - keep);
            };
            at += start;
            match Self::read(bytes.get(at..).unwrap_or(&[])) {
                Read::Whole(frame, used) => return (Some(frame), at + used),
                Read::More => return (None, at),
                Read::Nonsense(_) => at += 1,
            }
        }
    }

    /// The frame at the beginning of `bytes`.
    pub(super) fn read(bytes: &[u8]) -> Read {
        if !bytes.starts_with(&HEAD) {
            return Read::Nonsense("no 55 AA".into());
        }
        let Some([kind, ack, id, high, low]) = bytes.get(2..7) else { return Read::More };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        if length + AROUND > FRAME_MAX {
            return Read::Nonsense(format!("{length} bytes announced"));
        }
        let Some([sum, tail @ ..]) = bytes.get(7 + length..AROUND + length) else { return Read::More };
        let wanted = bytes.get(2..7 + length).unwrap_or(&[]).iter().fold(0, |sum, byte| sum ^ byte);
        if tail != TAIL {
            return Read::Nonsense("no CC 33".into());
        }
        if *sum != wanted {
            return Read::Nonsense(format!("checksum {sum:02X}, but {wanted:02X} is right"));
        }
        let kind = match kind {
            0 => Kind::Common,
            1 => Kind::Handshake,
            2 => Kind::Confirm,
            other => return Read::Nonsense(format!("kind {other:02X}")),
        };
        let data = bytes.get(7..7 + length).unwrap_or(&[]).to_vec();
        Read::Whole(Self { kind, ack: *ack, id: *id, data }, AROUND + length)
    }
}

pub(super) enum Read {
    Whole(Frame, usize),
    More,
    Nonsense(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_behind_noise_and_false_beginnings() {
        let frame = Frame { kind: Kind::Common, ack: 0, id: 7, data: b"abc".to_vec() };
        let bytes = frame.encode();
        let noisy = [b"\x00\x55\x55\xaa\x09\x00\x00\x00\x00\x09\xcc\x33\x55".as_slice(), &bytes].concat();
        assert_eq!(Frame::find(&noisy), (Some(frame), noisy.len()));
        assert_eq!(Frame::find(&bytes[..bytes.len() - 1]), (None, 0));
        assert_eq!(Frame::find(b"nothing\x55"), (None, 7));
    }
}
