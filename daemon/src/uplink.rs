//! Which journal rows to send next: go-back-N over an ack that only headquarters' commit moves; and what is said with them.
//! Without a clock or a socket: `sync` carries it out.

use crate::journal::{Hash, Row};
use crate::jws::hex;
use anyhow::{Result, ensure};
use checkout::wire::{Ack, BATCH_RAW_MAX, BatchHeader, Hello, Verdict, Welcome};
use std::collections::{BTreeMap, VecDeque};

/// Batches under way at once.
pub const IN_FLIGHT_MAX: usize = 20;
/// Without an ack for this long, everything not acknowledged is sent again.
pub const RESEND_MS: u64 = 10_000;

const BATCH_ROWS: usize = 2_000;
const BATCH_BYTES: usize = 256 * 1024;

/// The rows that are on disk.
pub trait Past {
    /// Rows from `first` on, at least one if there is one, until `bytes` of bodies or `count` rows.
    ///
    /// # Errors
    /// The journal cannot be read.
    fn rows(&self, first: u64, bytes: usize, count: usize) -> Result<Vec<Row>>;

    /// Chain hash after row `seq`; zeros before the first.
    ///
    /// # Errors
    /// There is no such row.
    fn hash_at(&self, seq: u64) -> Result<Hash>;
}

/// Who says hello.
#[derive(Clone, Debug)]
pub struct Caller {
    pub boot: u64,
    /// Of this start; see [`Hello`].
    pub nonce: u64,
    pub connection: u64,
    pub datasets: BTreeMap<String, u64>,
    pub version: String,
    /// Of its signatures; empty where it has none.
    pub key: String,
}

/// What a welcome comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Welcomed {
    /// The number fits, the past does not: say hello with our own hash there.
    HelloAt(u64),
    /// Go on; `reason`: everything is sent again in a new epoch.
    GoOn { moved: bool, new_epoch: Option<String> },
}

/// One message of the topic `journal`.
#[derive(Clone, Debug)]
pub struct Packed {
    pub last: u64,
    pub payload: Vec<u8>,
}

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
    hellos: u64,
}

impl Uplink {
    #[must_use]
    pub const fn new(journal: String, epoch: u64, acked: u64, head: u64) -> Self {
        let in_flight = VecDeque::new();
        Self {
            journal,
            epoch,
            acked,
            head,
            sent: acked,
            in_flight,
            window: 0,
            progress_ms: 0,
            welcomed: false,
            hellos: 0,
        }
    }

    /// A new connection: nothing is sent before headquarters has said where it stands.
    pub fn connected(&mut self) {
        self.welcomed = false;
        self.in_flight.clear();
        self.sent = self.acked;
    }

    /// `acked`: the row whose hash shows which past is ours.
    ///
    /// # Errors
    /// There is no such row.
    pub fn hello(&mut self, caller: &Caller, past: &impl Past, acked: u64) -> Result<Hello> {
        self.hellos += 1;
        Ok(Hello {
            journal: self.journal.clone(),
            epoch: self.epoch,
            boot: caller.boot,
            nonce: caller.nonce,
            said: self.hellos,
            connection: caller.connection,
            head: self.head,
            acked,
            hash: hex(&past.hash_at(acked)?),
            datasets: caller.datasets.clone(),
            version: caller.version.clone(),
            key: caller.key.clone(),
        })
    }

    /// A welcome whose signature was checked.
    ///
    /// # Errors
    /// It is of another connection, or the journal cannot be read.
    pub fn welcomed(&mut self, caller: &Caller, past: &impl Past, welcome: &Welcome, now_ms: u64) -> Result<Welcomed> {
        let ours = welcome.journal == self.journal && welcome.connection == caller.connection;
        ensure!(ours, "of another connection");
        // A disk may be restored and sell past the point that headquarters has: the number fits, the past does not.
        if let Verdict::Continue { acked, hash } = &welcome.verdict
            && *acked <= self.head
            && hex(&past.hash_at(*acked)?) != *hash
        {
            return Ok(Welcomed::HelloAt(*acked));
        }
        let before = (self.epoch, self.acked);
        self.welcome(&welcome.verdict, welcome.window, now_ms);
        let new_epoch = match &welcome.verdict {
            Verdict::NewEpoch { epoch, reason } if *epoch > before.0 => Some(reason.clone()),
            Verdict::NewEpoch { .. } | Verdict::Continue { .. } => None,
        };
        Ok(Welcomed::GoOn { moved: before != (self.epoch, self.acked), new_epoch })
    }

    /// The next batch, if one may go now. It counts as sent once [`Uplink::sent`] says so.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn batch(&self, past: &impl Past) -> Result<Option<Packed>> {
        let Some(first) = self.next() else { return Ok(None) };
        let rows = past.rows(first, BATCH_BYTES.min(BATCH_RAW_MAX), BATCH_ROWS)?;
        let Some(last) = rows.last().map(|row| row.seq) else { return Ok(None) };
        let raw: String = rows.iter().flat_map(|row| [row.body.as_str(), "\n"]).collect();
        let header = BatchHeader {
            journal: self.journal.clone(),
            epoch: self.epoch,
            first,
            count: u32::try_from(rows.len())?,
            prev: hex(&past.hash_at(first - 1)?),
            raw: u32::try_from(raw.len())?,
            hash: Some(hex(&past.hash_at(last)?)),
        };
        let mut payload = serde_json::to_vec(&header)?;
        payload.push(b'\n');
        payload.extend(zstd::bulk::compress(raw.as_bytes(), 3)?);
        Ok(Some(Packed { last, payload }))
    }

    /// More rows wait than fit one batch.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.head.saturating_sub(self.acked) > BATCH_ROWS as u64
    }

    /// Headquarters' word on where it stands. A new epoch sends the whole journal again under that number.
    fn welcome(&mut self, verdict: &Verdict, window: u64, now_ms: u64) {
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
    fn next(&self) -> Option<u64> {
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
