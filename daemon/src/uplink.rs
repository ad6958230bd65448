//! Which journal rows to send next: go-back-N over an ack that only headquarters' commit moves. Pure; `sync` carries it out.

use checkout::wire::{Ack, Verdict};
use std::collections::VecDeque;

/// Batches under way at once.
pub const IN_FLIGHT_MAX: usize = 20;
/// Without an ack for this long, everything not acknowledged is sent again.
pub const RESEND_MS: u64 = 10_000;

#[derive(Debug)]
pub struct Uplink {
    journal: String,
    pub epoch: u64,
    pub acked: u64,
    pub head: u64,
    sent: u64,
    in_flight: VecDeque<(u64, u64)>,
    window: u64,
    progress_ms: u64,
    welcomed: bool,
}

impl Uplink {
    #[must_use]
    pub const fn new(journal: String, epoch: u64, acked: u64, head: u64) -> Self {
        let in_flight = VecDeque::new();
        Self { journal, epoch, acked, head, sent: acked, in_flight, window: 0, progress_ms: 0, welcomed: false }
    }

    /// A new connection: nothing is sent before headquarters has said where it stands.
    pub fn connected(&mut self) {
        self.welcomed = false;
        self.in_flight.clear();
        self.sent = self.acked;
    }

    /// Headquarters' word on where it stands. A new epoch sends the whole journal again under that number.
    pub fn welcome(&mut self, verdict: &Verdict, window: u64, now_ms: u64) {
        match verdict {
            Verdict::Continue { acked, .. } => self.acked = (*acked).min(self.head),
            // The same epoch again: headquarters did not hear that we had it.
            Verdict::NewEpoch { epoch, .. } if *epoch >= self.epoch => (self.epoch, self.acked) = (*epoch, 0),
            // An older epoch cannot come back: wait for a welcome that makes sense.
            Verdict::NewEpoch { .. } => return,
        }
        self.welcomed = true;
        self.window = window;
        self.sent = self.acked;
        self.in_flight.clear();
        self.progress_ms = now_ms;
    }

    #[must_use]
    pub const fn is_welcome(&self) -> bool {
        self.welcomed
    }

    /// First row of the next batch, if one may go now.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let bytes: u64 = self.in_flight.iter().map(|(_, bytes)| bytes).sum();
        let free = self.in_flight.is_empty() || (self.in_flight.len() < IN_FLIGHT_MAX && bytes < self.window);
        (self.welcomed && free && self.sent < self.head).then_some(self.sent + 1)
    }

    pub fn sent(&mut self, last: u64, bytes: u64, now_ms: u64) {
        if self.in_flight.is_empty() {
            self.progress_ms = now_ms;
        }
        self.sent = last;
        self.in_flight.push_back((last, bytes));
    }

    /// Says whether the cursor moved.
    pub fn ack(&mut self, ack: &Ack, now_ms: u64) -> bool {
        if ack.journal != self.journal || ack.epoch != self.epoch || ack.acked > self.head {
            return false;
        }
        self.window = ack.window;
        if let Some(expect) = ack.expect.filter(|expect| (1..=self.sent).contains(expect)) {
            self.sent = expect - 1;
            self.in_flight.clear();
        }
        if ack.acked <= self.acked {
            return false;
        }
        self.acked = ack.acked;
        self.sent = self.sent.max(self.acked);
        self.progress_ms = now_ms;
        while self.in_flight.front().is_some_and(|(last, _)| *last <= self.acked) {
            self.in_flight.pop_front();
        }
        true
    }

    /// Goes back to the cursor when headquarters has been silent too long.
    pub fn tick(&mut self, now_ms: u64) {
        if !self.in_flight.is_empty() && now_ms.saturating_sub(self.progress_ms) > RESEND_MS {
            self.in_flight.clear();
            self.sent = self.acked;
            self.progress_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(acked: u64, expect: Option<u64>) -> Ack {
        Ack { journal: "j".into(), epoch: 1, acked, window: 1000, expect }
    }

    fn ready(head: u64) -> Uplink {
        let mut uplink = Uplink::new("j".into(), 1, 0, head);
        assert_eq!(uplink.next(), None, "nothing goes before the welcome");
        uplink.welcome(&Verdict::Continue { acked: 0, hash: String::new() }, 1000, 0);
        uplink
    }

    #[test]
    fn only_an_ack_moves_the_cursor_and_silence_sends_again() {
        let mut uplink = ready(30);
        uplink.sent(10, 400, 0);
        uplink.sent(20, 700, 0);
        assert_eq!((uplink.next(), uplink.acked), (None, 0), "the window is full");
        assert!(uplink.ack(&ack(10, None), 5));
        assert_eq!((uplink.next(), uplink.acked), (Some(21), 10));
        uplink.tick(5 + RESEND_MS + 1);
        assert_eq!(uplink.next(), Some(11));
        assert!(!uplink.ack(&ack(7, None), 20_000), "an old ack moves nothing");
        assert!(!uplink.ack(&ack(99, None), 20_000), "an ack beyond the head is no ack of ours");
    }

    #[test]
    fn a_gap_goes_back_and_a_new_epoch_starts_over() {
        let mut uplink = ready(30);
        uplink.sent(10, 1, 0);
        uplink.sent(20, 1, 0);
        uplink.ack(&ack(5, Some(6)), 1);
        assert_eq!(uplink.next(), Some(6));
        uplink.welcome(&Verdict::NewEpoch { epoch: 2, reason: "restored".into() }, 1000, 2);
        assert_eq!((uplink.epoch, uplink.acked, uplink.next()), (2, 0, Some(1)));
        uplink.connected();
        uplink.welcome(&Verdict::NewEpoch { epoch: 1, reason: "old".into() }, 1000, 3);
        assert_eq!(uplink.next(), None, "an older epoch does not come back");
    }
}
