//! What the disk and SQLite cost with nothing of ours around them: the yardstick.

use anyhow::{Result, ensure};
use rusqlite::{Connection, params};
use std::path::Path;

#[derive(Debug)]
pub struct Bare {
    db: Connection,
}

impl Bare {
    pub fn open(path: &Path) -> Result<Self> {
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        let full: i64 = db.pragma_query_value(None, "synchronous", |row| row.get(0))?;
        ensure!(full == 2, "the yardstick does not commit FULL");
        db.execute_batch("CREATE TABLE row (seq INTEGER PRIMARY KEY, body TEXT NOT NULL)")?;
        Ok(Self { db })
    }

    /// One FULL transaction.
    pub fn commit(&mut self, bodies: &[String]) -> Result<()> {
        let transaction = self.db.transaction()?;
        {
            let mut insert = transaction.prepare_cached("INSERT INTO row (body) VALUES (?1)")?;
            for body in bodies {
                insert.execute(params![body])?;
            }
        }
        Ok(transaction.commit()?)
    }
}
