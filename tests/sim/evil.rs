//! A broker that rewrites, holds back, repeats and litters: what may be lost by that is time, never a row or a cent.

use crate::outside::{Happening, Outside};
use crate::shop::{BOX, TENANT};
use crate::sync::Message;
use checkout::wire::Topics;

const UP: [&str; 5] = ["hello", "journal", "head", "state", "ask"];
const DOWN: [&str; 3] = ["welcome", "ack", "reply"];
/// Questions about money and their answers: their integrity is TLS's.
const OF_MONEY: [&str; 2] = ["ask", "reply"];
const LITTER: [&[u8]; 5] = [b"", b"{}", b"[[[[", b"\xff\xfe\xfd", b"eyJhbGciOiJFZERTQSJ9.e30.AAAA"];

impl Outside {
    pub fn overhear(&mut self, topic: &str, payload: &[u8]) {
        if let Some(overheard) = &mut self.overheard {
            overheard.push((topic.to_owned(), payload.to_vec()));
        }
    }

    /// How much longer the next message takes, while later ones pass it.
    pub fn held_back(&mut self, up: bool) -> u64 {
        let held = std::mem::take(&mut self.way(up).held);
        if held > 0 {
            self.count("messages held back while later ones passed");
        }
        held
    }

    /// Some bytes become others; a digit becomes another digit, so that much of it still reads as what it was.
    pub fn rewrite(&mut self, up: bool, topic: &str, payload: &mut [u8]) {
        let leaf = topic.rsplit('/').next().unwrap_or_default();
        let waiting = &mut self.way(up).rewrites;
        if payload.is_empty() || OF_MONEY.contains(&leaf) || *waiting == 0 {
            return;
        }
        *waiting -= 1;
        self.tampered = true;
        self.count("messages rewritten by the broker");
        self.say(|| format!("the broker rewrites {topic}"));
        for _ in 0..=self.random.below(4) {
            let at = self.random.pick(payload.len());
            let other = u8::try_from(self.random.below(256)).unwrap_or(0);
            payload[at] = if payload[at].is_ascii_digit() { b'0' + other % 10 } else { other };
        }
    }

    /// Messages of long ago, as they were.
    pub fn repeat(&mut self, up: bool, count: u64) {
        let (said, link) = (self.overheard.as_ref().map_or(0, Vec::len), self.link);
        for _ in 0..count.min(said as u64) {
            let at = self.random.pick(said);
            let Some((topic, payload)) = self.overheard.as_ref().and_then(|said| said.get(at)).cloned() else { return };
            let leaf = topic.rsplit('/').next().unwrap_or_default();
            if UP.contains(&leaf) != up {
                continue;
            }
            self.tampered = true;
            self.count("old messages repeated by the broker");
            let delay = self.random.below(3_000);
            if up {
                self.later(delay, Happening::Up(Message { topic, payload }));
            } else if self.connected {
                self.later(delay, Happening::Down { link, topic, payload });
            }
        }
    }

    /// Something on every topic that nobody said.
    pub fn litter(&mut self, up: bool) {
        let (topics, link) = (Topics::new(TENANT, BOX), self.link);
        self.tampered = true;
        for leaf in if up { &UP[..] } else { &DOWN[..] } {
            self.count("garbage");
            let payload = LITTER[self.random.pick(LITTER.len())].to_vec();
            let (delay, topic) = (self.random.below(1_000), topics.of(leaf));
            if up {
                self.later(delay, Happening::Up(Message { topic, payload }));
            } else if self.connected {
                self.later(delay, Happening::Down { link, topic, payload });
            }
        }
    }
}
