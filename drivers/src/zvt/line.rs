//! ZVT over a serial line (PA00P016): every message in a frame, every frame answered with ACK or NAK, repeated twice at most.

use super::codec;
use super::serial::{self, Unwrapped};
use crate::{Driver, In, Out};
use checkout::words::Mono;
use std::collections::VecDeque;

/// T1: silence inside a frame that ends it.
const FRAME_MS: u64 = 200;
/// T2: a frame is answered within this.
const ANSWER_MS: u64 = 5_000;
const REPEATS: u32 = 2;
/// A frame of the longest message, every byte doubled.
const INBOX_MAX: usize = 2 * codec::APDU_MAX + 8;

/// A driver of messages behind a line of frames.
pub(super) struct Line<D> {
    messages: D,
    frames: Frames,
    /// What the driver of messages asked to be woken at.
    due: Option<Mono>,
}

/// Both directions of the line, for either side of it.
#[derive(Debug, Default)]
pub(super) struct Frames {
    inbox: Vec<u8>,
    /// Messages not yet acknowledged; the first is on the wire.
    outbox: VecDeque<Vec<u8>>,
    /// The last message heard: heard again before anything of ours was acknowledged, it is a repetition.
    heard: Option<Vec<u8>>,
    repeats: u32,
    answer_due: Option<Mono>,
    frame_due: Option<Mono>,
}

impl Frames {
    /// Queues what the other side shall be told: whole messages, one behind the other.
    pub(super) fn tell(&mut self, now: Mono, messages: &[u8], out: &mut Out) {
        let mut rest = messages;
        while let Some((_, _, used)) = codec::split(rest) {
            let (message, after) = rest.split_at_checked(used).unwrap_or((rest, &[]));
            self.outbox.push_back(message.to_vec());
            rest = after;
        }
        if self.answer_due.is_none() {
            self.send(now, out);
        }
    }

    fn send(&mut self, now: Mono, out: &mut Out) {
        self.answer_due = None;
        if let Some(message) = self.outbox.front() {
            out.send(&serial::wrap(message));
            self.answer_due = Some(now.plus_ms(ANSWER_MS));
        }
    }

    fn again(&mut self, now: Mono, out: &mut Out) {
        if self.repeats >= REPEATS {
            return out.fail("the terminal does not take what is sent on the serial line");
        }
        self.repeats += 1;
        self.send(now, out);
    }

    /// Whole messages heard, each once.
    pub(super) fn hear(&mut self, now: Mono, bytes: &[u8], out: &mut Out) -> Vec<Vec<u8>> {
        self.inbox.extend_from_slice(bytes);
        let mut messages = Vec::new();
        loop {
            // Between frames a byte is an answer to ours.
            match self.inbox.first() {
                Some(&serial::ACK) => {
                    self.inbox.remove(0);
                    self.acknowledged(now, out);
                    continue;
                }
                Some(&serial::NAK) => {
                    self.inbox.remove(0);
                    if self.answer_due.is_some() {
                        self.again(now, out);
                    }
                    continue;
                }
                _ => {}
            }
            let (unwrapped, used) = serial::unwrap_frame(&self.inbox);
            self.inbox.drain(..used.min(self.inbox.len()));
            match unwrapped {
                Unwrapped::Incomplete if used == 0 => break,
                Unwrapped::Incomplete => {}
                Unwrapped::Damaged => out.send(&[serial::NAK]),
                Unwrapped::Apdu(message) => {
                    out.send(&[serial::ACK]);
                    if self.heard.as_ref() != Some(&message) {
                        self.heard = Some(message.clone());
                        messages.push(message);
                    }
                }
            }
        }
        if self.inbox.len() > INBOX_MAX {
            self.inbox.clear();
            out.send(&[serial::NAK]);
        }
        self.frame_due = (!self.inbox.is_empty()).then(|| now.plus_ms(FRAME_MS));
        messages
    }

    fn acknowledged(&mut self, now: Mono, out: &mut Out) {
        if self.answer_due.is_some() {
            self.outbox.pop_front();
            self.heard = None;
            self.repeats = 0;
            self.send(now, out);
        }
    }

    pub(super) fn due(&mut self, now: Mono, out: &mut Out) {
        if self.frame_due.is_some_and(|due| now >= due) {
            self.frame_due = None;
            self.inbox.clear();
            out.send(&[serial::NAK]);
        }
        if self.answer_due.is_some_and(|due| now >= due) {
            self.again(now, out);
        }
    }

    /// Something of ours is not yet acknowledged.
    const fn waits(&self) -> bool {
        self.answer_due.is_some()
    }

    pub(super) fn next(&self) -> Option<Mono> {
        [self.answer_due, self.frame_due].into_iter().flatten().min()
    }
}

impl<D> Line<D> {
    pub(super) fn new(messages: D) -> Self {
        Self { messages, frames: Frames::default(), due: None }
    }

    /// Takes over what the side of messages wants; hanging up is not for a line that stays.
    fn heed(&mut self, now: Mono, inner: Out, out: &mut Out) {
        self.due = inner.wake_at.or(self.due);
        self.frames.tell(now, &inner.bytes, out);
        out.events.extend(inner.events);
        if let Some(reason) = inner.failed {
            out.fail(reason);
        }
    }

    fn sleep(&self, out: &mut Out) {
        let due = self.due.filter(|_| !self.frames.waits());
        if let Some(at) = [self.frames.next(), due].into_iter().flatten().min() {
            out.wake_at(at);
        }
    }

    /// Whether the side of messages is to be woken now. Its patience begins when the other side has its message.
    fn wakes(&mut self, now: Mono) -> bool {
        if self.frames.waits() {
            self.due = self.due.map(|due| due.max(now.plus_ms(ANSWER_MS)));
            return false;
        }
        self.due.take_if(|due| now >= *due).is_some()
    }
}

impl<D: Driver> Driver for Line<D> {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.frames = Frames::default();
                self.due = None;
                self.pass(now, In::Opened, out);
            }
            In::Bytes(bytes) => {
                for message in self.frames.hear(now, bytes, out) {
                    self.pass(now, In::Bytes(&message), out);
                }
            }
            In::Command(command) => self.pass(now, In::Command(command), out),
            In::Timeout => {
                self.frames.due(now, out);
                if self.wakes(now) {
                    self.pass(now, In::Timeout, out);
                }
            }
        }
        self.sleep(out);
    }
}

impl<D: Driver> Line<D> {
    fn pass(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        let mut inner = Out::default();
        self.messages.handle(now, input, &mut inner);
        self.heed(now, inner, out);
    }
}
