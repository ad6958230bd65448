//! Reading records back: rows come off the disk and are folded on one thread, while others make records of their JSON.

use anyhow::{Context, Result};
use checkout::event::Record;
use rusqlite::Connection;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, scope};

/// Rows handed over at once: some hundred kilobytes.
const CHUNK: usize = 512;
const READERS_MAX: usize = 4;

type Bodies = Vec<(u64, String)>;
type Records = Result<Vec<Record>>;

/// Every record after `after`, in order.
pub(super) fn replay(db: &Connection, after: u64, mut each: impl FnMut(&Record)) -> Result<u64> {
    let mut rows = db.prepare("SELECT seq, body FROM event WHERE seq > ?1 ORDER BY seq")?;
    let mut rows = rows.query([after])?;
    scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
        let readers: Vec<Reader> = (0..count).map(|_| Reader::start(scope)).collect();
        // Chunks go round and their records are taken in the same round: the order of rows is the order of facts.
        let (mut turn, mut waiting, mut replayed) = (readers.iter().cycle(), VecDeque::new(), 0);
        let mut fold = |reader: &Reader| -> Result<()> {
            let records = reader.records.recv().context("a thread that reads records has ended")??;
            replayed += records.len() as u64;
            records.iter().for_each(&mut each);
            Ok(())
        };
        loop {
            let mut bodies = Bodies::with_capacity(CHUNK);
            while bodies.len() < CHUNK
                && let Some(row) = rows.next()?
            {
                bodies.push((row.get(0)?, row.get(1)?));
            }
            if bodies.is_empty() {
                break;
            }
            let reader = turn.next().context("there is a thread to read")?;
            reader.bodies.send(bodies).context("a thread that reads records has ended")?;
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

/// A thread that makes records of bodies; it ends when nobody sends any.
struct Reader {
    bodies: SyncSender<Bodies>,
    records: Receiver<Records>,
}

impl Reader {
    fn start<'scope>(scope: &'scope Scope<'scope, '_>) -> Self {
        let (bodies, from) = sync_channel::<Bodies>(1);
        let (to, records) = sync_channel(2);
        scope.spawn(move || {
            for bodies in from {
                if to.send(read(&bodies)).is_err() {
                    break;
                }
            }
        });
        Self { bodies, records }
    }
}

fn read(bodies: &Bodies) -> Records {
    let record =
        |(seq, body): &(u64, String)| serde_json::from_str(body).with_context(|| format!("row {seq} cannot be read"));
    bodies.iter().map(record).collect()
}
