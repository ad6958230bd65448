//! A box's end of the contract in a few dozen bytes: hello, welcome, go-back-N from the row headquarters has committed.
//!
//! `aisled`'s own lies over its journal and cannot be had here, where nothing of the box may be linked; this is the second
//! program written to docs/MQTT.md, and shows that the page is enough.

use super::shop::{Shop, chained};
use crate::batch::hex;
use checkout::wire::{Ack, BatchHeader, Verdict, Welcome};
use std::collections::VecDeque;

const IN_FLIGHT_MAX: usize = 20;
const BATCH_ROWS: u64 = 2_000;
/// The contract allows a mebibyte.
const BATCH_BYTES: usize = 256 * 1024;
/// Without an ack for this long, everything not acknowledged is sent again.
const RESEND_MS: u64 = 10_000;

type Hash = [u8; 32];

#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) journal: String,
    pub(super) epoch: u64,
    pub(super) head: u64,
    /// Rows headquarters has committed, and the chain hash there.
    pub(super) acked: (u64, Hash),
    sent: (u64, Hash),
    /// Last row, hash there and size of each batch under way.
    in_flight: VecDeque<(u64, Hash, u64)>,
    window: u64,
    progress_ms: u64,
    pub(super) welcome: bool,
}

/// What a welcome comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Welcomed {
    GoOn,
    /// Headquarters has another past: everything again.
    NewEpoch,
    /// Its hash there is another than ours: say so.
    HelloAt(u64),
}

impl Uplink {
    pub(super) fn new(journal: String) -> Self {
        let start = (0, [0; 32]);
        let (in_flight, window, progress_ms) = (VecDeque::new(), 0, 0);
        Self { journal, epoch: 1, head: 1, acked: start, sent: start, in_flight, window, progress_ms, welcome: false }
    }

    pub(super) fn connected(&mut self) {
        self.welcome = false;
        self.back();
    }

    fn back(&mut self) {
        self.in_flight.clear();
        self.sent = self.acked;
    }

    /// Known where headquarters has committed; anywhere else it is worked out from the first row.
    pub(super) fn hash_at(&self, shop: &Shop, seq: u64) -> Hash {
        let known = if seq >= self.acked.0 { self.acked } else { (0, [0; 32]) };
        (known.0 + 1..=seq).fold(known.1, |hash, seq| chained(&hash, seq, &shop.row(seq)))
    }

    pub(super) fn welcomed(&mut self, shop: &Shop, welcome: &Welcome, now_ms: u64) -> Welcomed {
        let came = match &welcome.verdict {
            Verdict::Continue { acked, hash } => {
                let acked = (*acked).min(self.head);
                let ours = self.hash_at(shop, acked);
                if hex(&ours) != *hash {
                    return Welcomed::HelloAt(acked);
                }
                self.acked = (acked, ours);
                Welcomed::GoOn
            }
            Verdict::NewEpoch { epoch, .. } => {
                (self.epoch, self.acked) = (*epoch, (0, [0; 32]));
                Welcomed::NewEpoch
            }
        };
        (self.welcome, self.window, self.progress_ms) = (true, welcome.window, now_ms);
        self.back();
        came
    }

    /// How many rows are newly known to be committed.
    pub(super) fn ack(&mut self, shop: &Shop, ack: &Ack, now_ms: u64) -> u64 {
        if ack.journal != self.journal || ack.epoch != self.epoch || ack.acked > self.head {
            return 0;
        }
        self.window = ack.window;
        let news = ack.acked.saturating_sub(self.acked.0);
        if news > 0 {
            let under_way = self.in_flight.iter().find(|(last, ..)| *last == ack.acked).map(|(_, hash, _)| *hash);
            self.acked = (ack.acked, under_way.unwrap_or_else(|| self.hash_at(shop, ack.acked)));
            self.progress_ms = now_ms;
            while self.in_flight.front().is_some_and(|(last, ..)| *last <= ack.acked) {
                self.in_flight.pop_front();
            }
            if self.sent.0 < self.acked.0 {
                self.sent = self.acked;
            }
        }
        if ack.expect == Some(self.acked.0 + 1) {
            self.back();
        }
        news
    }

    /// Silence sends again.
    pub(super) fn tick(&mut self, now_ms: u64) {
        if !self.in_flight.is_empty() && now_ms.saturating_sub(self.progress_ms) > RESEND_MS {
            self.back();
            self.progress_ms = now_ms;
        }
    }

    /// The next message for `journal`, and its rows.
    pub(super) fn batch(&mut self, shop: &Shop, now_ms: u64) -> anyhow::Result<Option<(Vec<u8>, u64)>> {
        let bytes: u64 = self.in_flight.iter().map(|(_, _, bytes)| bytes).sum();
        let free = self.in_flight.is_empty() || (self.in_flight.len() < IN_FLIGHT_MAX && bytes < self.window);
        if !self.welcome || !free || self.sent.0 >= self.head {
            return Ok(None);
        }
        let first = self.sent.0 + 1;
        let (mut raw, mut last) = (String::new(), self.sent);
        for seq in first..=self.head.min(first + BATCH_ROWS - 1) {
            let body = shop.row(seq);
            if !raw.is_empty() && raw.len() + body.len() >= BATCH_BYTES {
                break;
            }
            last = (seq, chained(&last.1, seq, &body));
            raw.push_str(&body);
            raw.push('\n');
        }
        let header = BatchHeader {
            journal: self.journal.clone(),
            epoch: self.epoch,
            first,
            count: u32::try_from(last.0 + 1 - first)?,
            prev: hex(&self.sent.1),
            raw: u32::try_from(raw.len())?,
            hash: Some(hex(&last.1)),
        };
        let mut payload = serde_json::to_vec(&header)?;
        payload.push(b'\n');
        payload.extend(zstd::bulk::compress(raw.as_bytes(), 3)?);
        if self.in_flight.is_empty() {
            self.progress_ms = now_ms;
        }
        self.in_flight.push_back((last.0, last.1, u64::try_from(payload.len())?));
        self.sent = last;
        Ok(Some((payload, last.0 + 1 - first)))
    }
}
