//! One message of the topic `journal`, opened with bounded memory and its hash chain computed.

use checkout::wire::{BATCH_RAW_MAX, BatchHeader, chain_preimage};
use sha2::{Digest as _, Sha256};
use std::ops::Range;
use tokio::sync::OwnedSemaphorePermit;

const HEADER_MAX: usize = 1024;

/// A batch whose size, count and chain within itself hold.
#[derive(Debug)]
pub struct Batch {
    pub header: BatchHeader,
    pub prev: [u8; 32],
    raw: Vec<u8>,
    /// Where each body lies in `raw`, and the chain hash after it.
    rows: Vec<(Range<usize>, [u8; 32])>,
    /// Room among what waits for the writer, given back with the batch.
    room: Option<OwnedSemaphorePermit>,
}

/// Why a message is not a batch. The words are ours: nothing of the message is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the header is not a line of JSON")]
    Header,
    #[error("the header names an impossible size, count or number")]
    Bounds,
    #[error("the bodies are not zstd of the size the header says")]
    Compression,
    #[error("another count of bodies than the header says")]
    Count,
    #[error("the bodies do not come to the hash of the header: they were changed on their way")]
    Chain,
}

impl Batch {
    /// # Errors
    /// Says what is wrong; memory stays within [`BATCH_RAW_MAX`] whatever the message claims.
    pub fn open(message: &[u8]) -> Result<Self, Refused> {
        let end = message.iter().take(HEADER_MAX).position(|byte| *byte == b'\n').ok_or(Refused::Header)?;
        let (line, packed) = message.split_at(end);
        let header: BatchHeader = serde_json::from_slice(line).map_err(|_| Refused::Header)?;
        let prev = hash_of_hex(&header.prev).ok_or(Refused::Header)?;
        let size = usize::try_from(header.raw).unwrap_or(usize::MAX);
        let last = header.first.checked_add(u64::from(header.count));
        let numbered = header.first > 0 && last.is_some_and(|last| i64::try_from(last).is_ok());
        let named = !header.journal.is_empty() && header.journal.len() <= 64 && header.epoch < crate::work::COUNT_MAX;
        if !numbered
            || !named
            || header.count == 0
            || size > BATCH_RAW_MAX
            || u64::from(header.count) > u64::from(header.raw)
        {
            return Err(Refused::Bounds);
        }
        let packed = packed.get(1..).unwrap_or_default();
        let raw = zstd::bulk::decompress(packed, size).map_err(|_| Refused::Compression)?;
        if raw.len() != size || raw.last() != Some(&b'\n') {
            return Err(Refused::Compression);
        }
        let rows = chain(&raw, header.first, prev);
        if rows.len() != usize::try_from(header.count).unwrap_or(usize::MAX) {
            return Err(Refused::Count);
        }
        let named = header.hash.as_deref().map(|named| hash_of_hex(named).ok_or(Refused::Header)).transpose()?;
        if named.is_some() && named != rows.last().map(|(_, hash)| *hash) {
            return Err(Refused::Chain);
        }
        Ok(Self { header, prev, raw, rows, room: None })
    }

    /// Unpacked bytes.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        self.raw.len()
    }

    pub(crate) fn hold(&mut self, room: OwnedSemaphorePermit) {
        self.room = Some(room);
    }

    #[must_use]
    pub fn last(&self) -> u64 {
        self.header.first + u64::from(self.header.count) - 1
    }

    /// The chain hash after `seq`; before the first row it is what the header says.
    #[must_use]
    pub fn hash_at(&self, seq: u64) -> Option<[u8; 32]> {
        let index = (seq + 1).checked_sub(self.header.first)?;
        if index == 0 {
            return Some(self.prev);
        }
        let row = self.rows.get(usize::try_from(index - 1).ok()?)?;
        Some(row.1)
    }

    /// Bodies after `seq`, with their numbers.
    pub fn bodies_after(&self, seq: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let numbers = self.header.first..;
        let bodies = self.rows.iter().map(move |(range, _)| self.raw.get(range.clone()).unwrap_or_default());
        numbers.zip(bodies).filter(move |(number, _)| *number > seq)
    }
}

fn chain(raw: &[u8], first: u64, prev: [u8; 32]) -> Vec<(Range<usize>, [u8; 32])> {
    let mut rows = Vec::new();
    let (mut start, mut hash, mut seq) = (0, prev, first);
    let ends = raw.iter().enumerate().filter(|(_, byte)| **byte == b'\n');
    for (end, _) in ends {
        hash = Sha256::digest(chain_preimage(&hash, seq, &raw[start..end])).into();
        rows.push((start..end, hash));
        (start, seq) = (end + 1, seq + 1);
    }
    rows
}

/// 64 hexadecimal digits.
#[must_use]
pub fn hash_of_hex(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(hash)
}

/// Pairs of hexadecimal digits.
#[must_use]
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.len().is_multiple_of(2).then(|| pairs.map(byte).collect())?
}

#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
        text
    })
}
