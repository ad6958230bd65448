//! What all simulated boxes come to, counted while they run.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Powers of two milliseconds.
const BUCKETS: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Board {
    pub(super) online: AtomicU64,
    pub(super) made: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) acked: AtomicU64,
    /// Connections that ended otherwise than by the script.
    pub(super) lost: AtomicU64,
    /// Boxes whose past headquarters refused: each sent everything again.
    pub(super) epochs: AtomicU64,
    /// Boxes of which headquarters has everything they had when they came back after the outage.
    pub(super) settled: AtomicU64,
    /// Boxes that sell no more and of which headquarters has everything.
    pub(super) done: AtomicU64,
    waits: [AtomicU64; BUCKETS],
}

/// From a sale's last row to headquarters' word that it is committed, while connected. Upper bounds, each a power of two.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Waits {
    pub(super) p50_ms: u64,
    pub(super) p99_ms: u64,
    pub(super) most_ms: u64,
}

impl Board {
    pub(super) fn waited(&self, ms: u64) {
        let bucket = usize::try_from(u64::BITS - ms.leading_zeros()).unwrap_or(0).min(BUCKETS - 1);
        if let Some(bucket) = self.waits.get(bucket) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn waits(&self) -> Waits {
        let counts = self.waits.each_ref().map(|bucket| bucket.load(Relaxed));
        let all: u64 = counts.iter().sum();
        let within = |share: u64| {
            let mut left = (all * share).div_ceil(1000);
            let reached = counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            1_u64 << reached.unwrap_or(0)
        };
        if all == 0 {
            Waits::default()
        } else {
            Waits { p50_ms: within(500), p99_ms: within(990), most_ms: within(1000) }
        }
    }
}

pub(super) fn more(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Relaxed);
}

pub(super) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_told_by_the_power_of_two_they_stay_below() {
        let board = Board::default();
        assert_eq!(board.waits().most_ms, 0);
        (0..99).for_each(|_| board.waited(3));
        board.waited(700);
        let Waits { p50_ms, p99_ms, most_ms } = board.waits();
        assert_eq!((p50_ms, p99_ms, most_ms), (4, 4, 1024));
    }
}
