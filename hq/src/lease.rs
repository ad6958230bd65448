//! Several headquarters over one database: which of the shards of boxes each of them takes in.
//!
//! A worker that is alive says so every few seconds and holds its fair share of shards for a while; what a dead one held is
//! free when that while is over. That two take in the same box for a moment is harmless: every turn reads where the box stands
//! in the transaction that moves it.

use crate::db::{self, Connection, params};
use crate::store::Store;
use anyhow::ensure;
use checkout::wire::SHARDS;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

const BEAT: Duration = Duration::from_secs(2);
/// A worker that has said nothing for so long is dead.
const LEASE_MS: i64 = 10_000;
/// How soon the end of the program is noticed.
const LOOK: Duration = Duration::from_millis(200);

/// Numbers of shards.
pub type Shards = Arc<BTreeSet<u32>>;

#[must_use]
pub fn all() -> Shards {
    Arc::new((0..SHARDS).collect())
}

/// One worker's hold on the shards.
#[derive(Debug)]
pub struct Leases {
    db: Connection,
    me: String,
}

impl Leases {
    /// # Errors
    /// When the database cannot be reached, or workers of another key are at it: boxes believe one key.
    pub fn open(store: &Store, public_key: &str) -> anyhow::Result<Self> {
        let mut db = store.writer()?;
        let txn = db.transaction()?;
        txn.execute("INSERT INTO hq_key (id, public_key) VALUES (1, ?1) ON CONFLICT DO NOTHING", [public_key])?;
        let known: String = txn.query_row("SELECT public_key FROM hq_key WHERE id = 1", [], |row| row.get(0))?;
        ensure!(
            known == public_key,
            "the headquarters of this database signs with {known}: copy its hq.key into --data; boxes believe no other"
        );
        txn.commit()?;
        Ok(Self { db, me: store.worker_name()? })
    }

    pub(crate) fn name(&self) -> &str {
        &self.me
    }

    /// Says that this worker lives; what it holds from now on.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn step(&mut self) -> db::Result<BTreeSet<u32>> {
        let me = &self.me;
        let txn = self.db.transaction()?;
        let now = txn.now_ms()?;
        let until = now + LEASE_MS;
        txn.execute("DELETE FROM worker WHERE until < ?1", [now])?;
        txn.execute("DELETE FROM shard_lease WHERE until < ?1", [now])?;
        let alive = "INSERT INTO worker (id, until) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET until = ?2";
        txn.execute(alive, params![me, until])?;
        txn.execute("UPDATE shard_lease SET until = ?2 WHERE worker = ?1", params![me, until])?;
        let workers: u32 = txn.query_row("SELECT count(*) FROM worker", [], |row| row.get(0))?;
        let fair = SHARDS.div_ceil(workers.max(1)) as usize;
        let held: Vec<(u32, String)> = txn
            .prepare_cached("SELECT shard, worker FROM shard_lease")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<db::Result<_>>()?;
        let mut mine: BTreeSet<u32> = held.iter().filter(|(_, worker)| worker == me).map(|(shard, _)| *shard).collect();
        while mine.len() > fair {
            if let Some(shard) = mine.pop_last() {
                txn.execute("DELETE FROM shard_lease WHERE shard = ?1", [shard])?;
            }
        }
        let taken: BTreeSet<u32> = held.into_iter().map(|(shard, _)| shard).collect();
        for shard in (0..SHARDS).filter(|shard| !taken.contains(shard)) {
            if mine.len() < fair && mine.insert(shard) {
                let take = "INSERT INTO shard_lease (shard, worker, until) VALUES (?1, ?2, ?3)";
                txn.execute(take, params![shard, me, until])?;
            }
        }
        txn.commit()?;
        Ok(mine)
    }

    /// Goes on until nobody wants to know.
    ///
    /// # Errors
    /// When the database cannot be written: who cannot say that it lives must not go on.
    pub(crate) fn run(mut self, shards: &watch::Sender<Shards>) -> anyhow::Result<()> {
        while !shards.is_closed() {
            let mine = self.step()?;
            shards.send_if_modified(|known| {
                let moved = **known != mine;
                if moved {
                    tracing::info!(shards = mine.len(), "this worker takes in");
                    *known = Arc::new(mine);
                }
                moved
            });
            let begun = Instant::now();
            while begun.elapsed() < BEAT && !shards.is_closed() {
                std::thread::sleep(LOOK);
            }
        }
        self.leave()?;
        Ok(())
    }

    /// The others need not wait until it is thought dead.
    fn leave(&mut self) -> db::Result<()> {
        let txn = self.db.transaction()?;
        txn.execute("DELETE FROM worker WHERE id = ?1", [&self.me])?;
        txn.execute("DELETE FROM shard_lease WHERE worker = ?1", [&self.me])?;
        txn.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_divide_the_shards_and_a_dead_ones_are_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut one = Leases::open(&store, "key").unwrap();
        assert_eq!(one.step().unwrap().len(), 64);
        let mut two = Leases { db: store.writer().unwrap(), me: "two".into() };
        assert_eq!(two.step().unwrap().len(), 0, "all are held");
        let (first, second) = (one.step().unwrap(), two.step().unwrap());
        assert_eq!((first.len(), second.len()), (32, 32));
        assert!(first.is_disjoint(&second));
        // One is gone without a word.
        store.writer().unwrap().execute("UPDATE worker SET until = 0 WHERE id = ?1", [&one.me]).unwrap();
        store.writer().unwrap().execute("UPDATE shard_lease SET until = 0 WHERE worker = ?1", [&one.me]).unwrap();
        assert_eq!(two.step().unwrap().len(), 64);
        assert_eq!(one.step().unwrap().len(), 0, "it was not dead, and what it held is another's now");
        two.leave().unwrap();
        assert_eq!(one.step().unwrap().len(), 64);
    }

    #[test]
    fn a_worker_with_another_key_is_not_let_in() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Leases::open(&store, "key").unwrap();
        assert!(Leases::open(&store, "other").unwrap_err().to_string().contains("hq.key"));
    }
}
