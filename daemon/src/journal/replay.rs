//! Reading records back: rows come off the disk and are folded on one thread, while others make records of their JSON, except of
//! those that a later sale makes needless ([`checkout::passing`]).

use anyhow::{Context, Result};
use checkout::event::Record;
use checkout::passing::{Backwards, Lasting, Replayed, lasting};
use checkout::words::{LaneId, Utc};
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, scope};

/// Rows handed over at once: about a megabyte, and more than a few baskets of every lane.
const CHUNK: usize = 2048;
const READERS_MAX: usize = 4;

/// Rows beside each other: their number and where each ends.
#[derive(Default)]
struct Chunk {
    text: Vec<u8>,
    rows: Vec<(u64, usize)>,
}

type Records = Result<Vec<Replayed>>;

/// What is after `after`, in order.
pub(super) fn replay(db: &Connection, after: u64, mut each: impl FnMut(Replayed)) -> Result<u64> {
    let mut rows = db.prepare("SELECT seq, body FROM event WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = rows.query([after])?;
    scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
        let readers: Vec<Reader> = (0..count).map(|_| Reader::start(scope)).collect();
        // Chunks go round and their records are taken in the same round: the order of rows is the order of facts.
        let (mut turn, mut waiting, mut replayed) = (readers.iter().cycle(), VecDeque::new(), 0);
        let mut fold = |reader: &Reader| -> Result<()> {
            let records = reader.records.recv().context("a thread that reads records has ended")??;
            records.into_iter().for_each(&mut each);
            Ok(())
        };
        loop {
            let mut chunk = Chunk::default();
            while chunk.rows.len() < CHUNK
                && let Some(row) = rows.next()?
            {
                chunk.text.extend_from_slice(row.get_ref(1)?.as_bytes()?);
                chunk.rows.push((row.get(0)?, chunk.text.len()));
            }
            if chunk.rows.is_empty() {
                break;
            }
            replayed += chunk.rows.len() as u64;
            let reader = turn.next().context("there is a thread to read")?;
            reader.chunks.send(chunk).context("a thread that reads records has ended")?;
            waiting.push_back(reader);
            if waiting.len() > count
                && let Some(reader) = waiting.pop_front()
            {
                fold(reader)?;
            }
        }
        waiting.into_iter().try_for_each(&mut fold)?;
        Ok(replayed)
    })
}

/// A thread that makes records of rows; it ends when nobody sends any.
struct Reader {
    chunks: SyncSender<Chunk>,
    records: Receiver<Records>,
}

impl Reader {
    fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> Self {
        let (chunks, from) = sync_channel::<Chunk>(1);
        let (to, records) = sync_channel(2);
        scope.spawn(move || {
            for chunk in from {
                if to.send(read(&chunk)).is_err() {
                    break;
                }
            }
        });
        Self { chunks, records }
    }
}

fn read(chunk: &Chunk) -> Records {
    let mut records: Vec<Replayed> = Vec::new();
    let mut passed: Option<Utc> = None;
    for ((seq, body), passes) in chunk.bodies().zip(chunk.passed()) {
        if passes.is_some() {
            passed = passed.max(passes);
            continue;
        }
        let record: Record = serde_json::from_slice(body).with_context(|| format!("row {seq} cannot be read"))?;
        records.push(Replayed { record, passed: passed.take() });
    }
    Ok(records)
}

impl Chunk {
    fn bodies(&self) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
        (0..self.rows.len()).map(|index| {
            let begin = if index == 0 { 0 } else { self.rows[index - 1].1 };
            (self.rows[index].0, &self.text[begin..self.rows[index].1])
        })
    }

    /// Of each row its time, where that is all it leaves behind.
    fn passed(&self) -> Vec<Option<Utc>> {
        let mut backwards = Backwards::default();
        let passed = |(_, body): (u64, &[u8])| match Head::of(body) {
            Some(head) => backwards.passes(head.lane, head.lasting).then_some(head.utc),
            None => {
                backwards.passes(None, Lasting::Looks);
                None
            }
        };
        let mut passed: Vec<Option<Utc>> = self.bodies().rev().map(passed).collect();
        passed.reverse();
        passed
    }
}

/// How every row begins that this program wrote; what begins otherwise is read whole.
struct Head {
    utc: Utc,
    lane: Option<LaneId>,
    lasting: Lasting,
}

impl Head {
    fn of(body: &[u8]) -> Option<Self> {
        let (utc, rest) = number(body.strip_prefix(br#"{"utc":"#)?)?;
        let (lane, rest) = match rest.strip_prefix(br#","lane":"#) {
            Some(rest) => number(rest).map(|(lane, rest)| (Some(lane), rest))?,
            None => (None, rest),
        };
        let (area, rest) = word(rest.strip_prefix(br#","event":{"#)?)?;
        let rest = rest.strip_prefix(b":")?;
        let (name, _) = word(rest.strip_prefix(b"{").unwrap_or(rest))?;
        let lane = lane.map(|lane| u16::try_from(lane).map(LaneId)).transpose().ok()?;
        Some(Self { utc: Utc(utc), lane, lasting: lasting(area, name) })
    }
}

fn number(text: &[u8]) -> Option<(i64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at_checked(end)?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

fn word(text: &[u8]) -> Option<(&str, &[u8])> {
    let text = text.strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| !matches!(byte, b'a'..=b'z' | b'_'))?;
    let (word, rest) = text.split_at_checked(end)?;
    Some((std::str::from_utf8(word).ok()?, rest.strip_prefix(b"\"")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use checkout::facts::Facts;

    const SAMPLES: &str = include_str!("../../core/tests/it/samples.ndjson");

    /// Samples as this program writes them, whatever wrote them first.
    fn records() -> Vec<Record> {
        SAMPLES.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn every_row_says_at_its_beginning_when_where_and_what_it_is() {
        for record in records() {
            let body = serde_json::to_string(&record).unwrap();
            let head = Head::of(body.as_bytes()).unwrap_or_else(|| panic!("{body}"));
            let event = serde_json::to_value(&record.event).unwrap();
            let (area, of) = event.as_object().unwrap().iter().next().unwrap();
            let name = of.as_str().unwrap_or_else(|| of.as_object().unwrap().keys().next().unwrap());
            assert_eq!((head.utc, head.lane), (record.utc, record.lane), "{body}");
            assert_eq!(head.lasting, lasting(area, name), "{body}");
        }
        for other in [
            "{}",
            r#"{"lane":1,"utc":1}"#,
            r#"{"utc":-1,"event":{"store":"x"}}"#,
            r#"{"utc":1,"lane":70000,"event":{"a":"b"}}"#,
        ] {
            assert!(Head::of(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn rows_before_a_sale_are_passed_over_and_the_facts_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&folder.path().join("journal.db")).unwrap();
        let [mut lines, mut sales] = [Vec::new(), Vec::new()];
        for record in records().into_iter().filter(|record| record.lane == Some(LaneId(1))) {
            let body = serde_json::to_string(&record).unwrap();
            match Head::of(body.as_bytes()).unwrap().lasting {
                Lasting::WithBasket => lines.push(record),
                Lasting::Ends => sales.push(record),
                Lasting::Apart | Lasting::Looks => {}
            }
        }
        let mut rows = records();
        rows.append(&mut lines);
        rows.append(&mut sales);
        journal.commit(&rows, None, None).unwrap();
        let (mut replayed, mut read) = (Facts::default(), 0);
        let count = journal.replay(0, |row| {
            read += 1;
            replayed.replay(row);
        });
        assert_eq!(count.unwrap(), rows.len() as u64);
        let mut whole = Facts::default();
        rows.iter().for_each(|record| whole.apply(record));
        assert!(read + 3 < rows.len(), "{read} of {} rows were read", rows.len());
        assert_eq!(replayed, whole);
    }
}
