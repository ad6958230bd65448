//! The journal as the rest of the program sees it.

use super::*;
use checkout::event::Event;
use checkout::store::StoreEvent;
use checkout::words::Utc;

fn record(n: u64) -> Record {
    let event = Event::Store(StoreEvent::Booted { boot: n, version: "test".into(), nonce: n });
    Record { utc: Utc(i64::try_from(n).unwrap()), lane: None, event }
}

#[test]
fn what_was_committed_is_there_after_reopening_and_the_chain_holds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let id = {
        let mut journal = Journal::open(&path).unwrap();
        journal.commit(&[record(1), record(2)], None, None).unwrap();
        journal.commit(&[record(3)], Some(Cursor { epoch: 1, acked: 2 }), None).unwrap();
        journal.id().to_owned()
    };
    let journal = Journal::open(&path).unwrap();
    assert_eq!((journal.id(), journal.head()), (id.as_str(), 3));
    assert_eq!(journal.cursor().unwrap(), Cursor { epoch: 1, acked: 2 });
    let mut boots = 0;
    journal.replay(1, |_| boots += 1).unwrap();
    assert_eq!(boots, 2);
    assert_eq!(Reader::open(&path).unwrap().verify().unwrap(), 3);
}

#[test]
fn the_writer_runs_in_wal_and_full_maps_nothing_and_refuses_a_sqlite_that_can_lose_rows() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(&folder.path().join("journal.db")).unwrap();
    let number = |pragma| journal.db.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0)).unwrap();
    let mode: String = journal.db.pragma_query_value(None, "journal_mode", |row| row.get(0)).unwrap();
    assert_eq!((mode.as_str(), number("synchronous"), number("mmap_size")), ("wal", 2, 0));
    assert!(number("busy_timeout") >= 1_000);
    assert!(rusqlite::version_number() >= SQLITE_MIN && SQLITE_MIN >= 3_051_003);
    // What is there is read where it lies, and never through a map.
    let reader = Reader::open(&folder.path().join("journal.db")).unwrap();
    let mapped: i64 = reader.db.pragma_query_value(None, "mmap_size", |row| row.get(0)).unwrap();
    assert_eq!(mapped, 0);
}

#[test]
fn every_row_is_replayed_in_order_and_one_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    let records: Vec<Record> = (1..=5000).map(record).collect();
    journal.commit(&records, None, None).unwrap();
    for after in [0, 1, 4487, 4999, 5000] {
        let mut seen = Vec::new();
        assert_eq!(journal.replay(after, |row| seen.push(row.record.utc.0)).unwrap(), 5000 - after);
        assert!(seen.into_iter().eq(i64::try_from(after).unwrap() + 1..=5000));
    }
    let db = Connection::open(&path).unwrap();
    db.execute_batch("INSERT INTO event VALUES (5001, '{}', zeroblob(32))").unwrap();
    let error = format!("{:#}", journal.replay(0, |_| {}).unwrap_err());
    assert!(error.contains("row 5001 cannot be read"), "{error}");
}

#[test]
fn a_row_is_neither_changed_nor_deleted_nor_doubled_and_tampering_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    Journal::open(&path).unwrap().commit(&[record(1), record(2), record(3)], None, None).unwrap();
    let db = Connection::open(&path).unwrap();
    for sql in [
        "UPDATE event SET body = 'x' WHERE seq = 2",
        "DELETE FROM event",
        "INSERT INTO event VALUES (9, 'x', zeroblob(32))",
        "REPLACE INTO event VALUES (2, 'x', zeroblob(32))",
    ] {
        assert!(db.execute(sql, []).is_err(), "{sql} was let through");
    }
    db.execute_batch("DROP TRIGGER event_is_not_changed; UPDATE event SET body = 'x' WHERE seq = 2").unwrap();
    let error = Reader::open(&path).unwrap().verify().unwrap_err().to_string();
    assert!(error.contains("row 2"), "{error}");
}

#[test]
fn a_snapshot_comes_with_every_so_many_rows_and_two_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    let (mut facts, mut at) = (Facts::default(), Vec::new());
    assert!(journal.snapshot().unwrap().is_none());
    for first in (1..=5 * snapshot::EVERY).step_by(500) {
        let records: Vec<Record> = (first..first + 500).map(record).collect();
        records.iter().for_each(|record| facts.apply(record));
        let fold = journal.snapshot_due(records.len()).then_some(&facts);
        journal.commit(&records, None, fold).unwrap();
        if fold.is_some() {
            at.push(journal.head());
        }
    }
    assert_eq!(at, [1, 2, 3, 4, 5].map(|nth| nth * snapshot::EVERY));
    assert_eq!(rows(&path), at[3..]);
}

/// P12: neither whoever opens the file nor the program itself.
#[test]
fn no_statement_changes_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    journal.commit(&[record(1), record(2), record(3)], None, None).unwrap();
    let second = Connection::open(&path).unwrap();
    let attempts = [
        "UPDATE event SET body = '{}' WHERE seq = 2",
        "UPDATE event SET seq = 9 WHERE seq = 3",
        "DELETE FROM event WHERE seq = 3",
        "DELETE FROM event",
        "INSERT OR REPLACE INTO event VALUES (2, '{}', zeroblob(32))",
        "REPLACE INTO event VALUES (3, '{}', zeroblob(32))",
        "INSERT INTO event VALUES (5, '{}', zeroblob(32))",
    ];
    for sql in attempts {
        assert!(second.execute(sql, []).is_err(), "a stranger's connection: {sql}");
        assert!(journal.db.execute(sql, []).is_err(), "our own: {sql}");
    }
    for sql in [
        "DROP TRIGGER event_is_not_changed",
        "DROP TABLE event",
        "ALTER TABLE event RENAME TO gone",
        "UPDATE meta SET value = 'another'",
        "PRAGMA writable_schema = 1",
        "ATTACH 'other.db' AS other",
    ] {
        assert!(journal.db.execute_batch(sql).is_err(), "our own: {sql}");
    }
    journal.commit(&[record(4)], Some(Cursor { epoch: 1, acked: 3 }), Some(&Facts::default())).unwrap();
    assert_eq!(Reader::open(&path).unwrap().verify().unwrap(), 4);
}

/// R7: eight threads read what they like while rows are written and the file is checkpointed; nobody is told “busy”.
#[test]
fn eight_readers_and_the_writer_are_never_told_that_the_journal_is_busy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        for nth in 0..8 {
            let (path, done) = (&path, &done);
            scope.spawn(move || {
                let mut looks = 0;
                while looks < 5 || !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let reader = Reader::open(path).unwrap();
                    let rows = if nth % 2 == 0 { reader.verify() } else { reader.last() }.unwrap();
                    reader.rows(1 + rows / 2, 10_000, 100).unwrap();
                    looks += 1;
                }
            });
        }
        for n in 0..400 {
            journal.commit(&[record(3 * n + 1), record(3 * n + 2), record(3 * n + 3)], None, None).unwrap();
            if n % 50 == 0 {
                journal.shrink(BUSY);
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    assert_eq!(Reader::open(&path).unwrap().verify().unwrap(), 1200);
}

/// What a start makes of the journal: the snapshot's row it began from, and the facts.
fn started(path: &Path) -> (u64, Facts) {
    let mut journal = Journal::open(path).unwrap();
    let (seq, mut facts) = journal.snapshot().unwrap().unwrap_or_default();
    journal.replay(seq, |row| facts.replay(row)).unwrap();
    (seq, facts)
}

fn rows(path: &Path) -> Vec<u64> {
    let db = Connection::open(path).unwrap();
    let mut rows = db.prepare("SELECT seq FROM snapshot ORDER BY seq").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn whatever_became_of_the_snapshots_the_facts_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("journal.db");
    let mut whole = Facts::default();
    {
        let mut journal = Journal::open(&made).unwrap();
        for first in [1, 3, 5] {
            let records = [record(first), record(first + 1)];
            records.iter().for_each(|record| whole.apply(record));
            journal.commit(&records, None, (first < 5).then_some(&whole)).unwrap();
        }
    }
    for (damage, from) in [
        ("SELECT 1", 4),
        ("DELETE FROM snapshot WHERE seq = 4", 2),
        ("DELETE FROM snapshot", 0),
        ("DROP TABLE snapshot", 0),
        ("UPDATE snapshot SET facts = replace(facts, '\"boot\":4', '\"boot\":9') WHERE seq = 4", 2),
        ("UPDATE snapshot SET facts = substr(facts, 1, 20)", 0),
        ("UPDATE snapshot SET facts = x'ff00', hash = 7 WHERE seq = 4", 2),
        ("UPDATE snapshot SET fold = '0' WHERE seq = 4", 2),
        ("UPDATE snapshot SET hash = zeroblob(32)", 0),
        // One that was taken at another row, and one from beyond the end of the journal.
        ("UPDATE snapshot SET seq = 3 WHERE seq = 4", 2),
        ("UPDATE snapshot SET seq = 40 WHERE seq = 4", 2),
        // The table as an earlier version made it.
        (
            "DROP TABLE snapshot; CREATE TABLE snapshot (seq INTEGER PRIMARY KEY, facts TEXT NOT NULL);
          INSERT INTO snapshot VALUES (4, '{}')",
            0,
        ),
    ] {
        let path = folder.path().join("damaged.db");
        std::fs::copy(&made, &path).unwrap();
        Connection::open(&path).unwrap().execute_batch(damage).unwrap();
        assert_eq!(started(&path), (from, whole.clone()), "{damage}");
    }
}
