//! One side of a line of frames: what is sent waits for ACK, what is heard damaged is asked for again.

use super::frame::{self, Check, Unwrapped};
use crate::Out;
use checkout::words::Mono;

/// Silence inside a frame that ends it.
const FRAME_MS: u64 = 500;
/// An answer with both slips in it has some 2 KiB.
const INBOX_MAX: usize = 8 * 1024;

#[derive(Debug)]
pub(super) struct Line {
    check: Check,
    /// A frame is answered with ACK or NAK within this.
    ack_ms: u64,
    repeats: u32,
    inbox: Vec<u8>,
    frame_due: Option<Mono>,
    sent: Option<Sent>,
}

/// On the wire, neither taken nor refused.
#[derive(Debug)]
struct Sent {
    frame: Vec<u8>,
    repeats: u32,
    due: Mono,
    /// Sent again after silence; what moves money is not, for it may have been heard.
    harmless: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Our frame was taken.
    Taken,
    /// Our frame was refused or met with silence as often as is allowed.
    NotTaken,
    Text(Vec<u8>),
    /// Something came that was no frame, and was asked for again.
    Damaged,
}

pub(super) fn acknowledge(out: &mut Out) {
    out.send(&[frame::ACK]);
}

impl Line {
    pub(super) const fn new(check: Check, ack_ms: u64, repeats: u32) -> Self {
        Self { check, ack_ms, repeats, inbox: Vec::new(), frame_due: None, sent: None }
    }

    pub(super) fn forget(&mut self) {
        self.inbox.clear();
        self.frame_due = None;
        self.sent = None;
    }

    pub(super) fn send(&mut self, now: Mono, text: &str, harmless: bool, out: &mut Out) {
        let frame = frame::wrap(text, self.check);
        out.send(&frame);
        self.sent = Some(Sent { frame, repeats: 0, due: now.plus_ms(self.ack_ms), harmless });
    }

    pub(super) fn hear(&mut self, now: Mono, bytes: &[u8], out: &mut Out) -> Vec<Heard> {
        let mut inbox = core::mem::take(&mut self.inbox);
        inbox.extend_from_slice(bytes);
        let (mut heard, mut rest) = (Vec::new(), inbox.as_slice());
        while let [first, after @ ..] = rest {
            match *first {
                frame::STX => {
                    let (unwrapped, used) = frame::unwrap(rest, self.check);
                    match unwrapped {
                        Unwrapped::Incomplete => break,
                        Unwrapped::Damaged => {
                            out.send(&[frame::NAK]);
                            heard.push(Heard::Damaged);
                        }
                        Unwrapped::Text(text) => {
                            // Who answers has heard the question, though its ACK was lost.
                            heard.extend(self.sent.take().map(|_| Heard::Taken));
                            heard.push(Heard::Text(text));
                        }
                    }
                    rest = rest.get(used..).unwrap_or(&[]);
                    continue;
                }
                frame::ACK => heard.extend(self.sent.take().map(|_| Heard::Taken)),
                frame::NAK => heard.extend(self.again(now, out)),
                _ => {}
            }
            rest = after;
        }
        self.inbox = rest.to_vec();
        if self.inbox.len() > INBOX_MAX {
            self.inbox.clear();
            out.send(&[frame::NAK]);
        }
        self.frame_due = (!self.inbox.is_empty()).then(|| now.plus_ms(FRAME_MS));
        heard
    }

    fn again(&mut self, now: Mono, out: &mut Out) -> Option<Heard> {
        let sent = self.sent.as_mut()?;
        if sent.repeats >= self.repeats {
            self.sent = None;
            return Some(Heard::NotTaken);
        }
        sent.repeats += 1;
        sent.due = now.plus_ms(self.ack_ms);
        out.send(&sent.frame);
        None
    }

    pub(super) fn due(&mut self, now: Mono, out: &mut Out) -> Option<Heard> {
        if self.frame_due.is_some_and(|due| now >= due) {
            self.frame_due = None;
            self.inbox.clear();
            out.send(&[frame::NAK]);
            return Some(Heard::Damaged);
        }
        let sent = self.sent.as_ref().filter(|sent| now >= sent.due)?;
        if sent.harmless {
            return self.again(now, out);
        }
        self.sent = None;
        Some(Heard::NotTaken)
    }

    pub(super) fn next(&self) -> Option<Mono> {
        [self.frame_due, self.sent.as_ref().map(|sent| sent.due)].into_iter().flatten().min()
    }
}
