//! The sales among the rows, found by what stands on a receipt. The index is SQLite's own over the rows: nothing that could drift from them.

use super::Reader;
use anyhow::Result;
use checkout::basket::BasketEvent;
use checkout::event::{Event, Record};
use checkout::returns::{SaleRef, Sold};
use rusqlite::{OptionalExtension, params};

/// Which rows are sales stands where a row begins: whole bodies are not searched for it at every commit.
pub(super) const INDEX: &str = r#"
DROP INDEX IF EXISTS sale_by_transaction;
DROP INDEX IF EXISTS sale_by_number;
CREATE INDEX IF NOT EXISTS sale_of_transaction
    ON event (json_extract(body, '$.event.basket.completed.transaction'))
    WHERE instr(substr(body, 1, 96), '"event":{"basket":{"completed":') > 0;
CREATE INDEX IF NOT EXISTS sale_of_number
    ON event (json_extract(body, '$.lane'), json_extract(body, '$.event.basket.completed.receipt'))
    WHERE instr(substr(body, 1, 96), '"event":{"basket":{"completed":') > 0;
"#;

const BY_TRANSACTION: &str = r#"
SELECT body FROM event
WHERE instr(substr(body, 1, 96), '"event":{"basket":{"completed":') > 0
  AND json_extract(body, '$.event.basket.completed.transaction') = ?1"#;

const BY_NUMBER: &str = r#"
SELECT body FROM event
WHERE instr(substr(body, 1, 96), '"event":{"basket":{"completed":') > 0
  AND json_extract(body, '$.lane') = ?1 AND json_extract(body, '$.event.basket.completed.receipt') = ?2"#;

impl Reader {
    /// The sale a receipt is of.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sale(&self, asked: &SaleRef) -> Result<Option<Sold>> {
        let body: Option<String> = match asked {
            SaleRef::Transaction(transaction) => {
                self.db.prepare_cached(BY_TRANSACTION)?.query_row([&transaction.0], |row| row.get(0)).optional()?
            }
            SaleRef::Number { lane, receipt } => {
                let number = params![lane.0, i64::try_from(receipt.0).unwrap_or(i64::MAX)];
                self.db.prepare_cached(BY_NUMBER)?.query_row(number, |row| row.get(0)).optional()?
            }
        };
        let record: Option<Record> = body.map(|body| serde_json::from_str(&body)).transpose()?;
        Ok(record.and_then(sold))
    }
}

fn sold(record: Record) -> Option<Sold> {
    let Event::Basket(BasketEvent::Completed(sale)) = record.event else { return None };
    Some(Sold { lane: record.lane?, at: record.utc, sale: *sale })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::Journal;
    use checkout::words::{LaneId, ReceiptNo};

    const SAMPLES: &str = include_str!("../../core/tests/it/samples.ndjson");

    #[test]
    fn a_sale_is_found_by_its_transaction_and_by_its_number_without_reading_every_row() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.db");
        let records: Vec<Record> = SAMPLES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Journal::open(&path).unwrap().commit(&records, None, None).unwrap();
        let reader = Reader::open(&path).unwrap();
        let by_code = reader.sale(&SaleRef::Transaction("t-1".into())).unwrap().expect("sold");
        let by_number = reader.sale(&SaleRef::Number { lane: LaneId(1), receipt: ReceiptNo(1) }).unwrap();
        assert_eq!((by_code.sale.transaction.0.as_str(), by_code.lane), ("t-1", LaneId(1)));
        assert_eq!(by_number.map(|sold| sold.sale.transaction), Some("t-1".into()));
        assert_eq!(reader.sale(&SaleRef::Transaction("t-never".into())).unwrap(), None);
        for (sql, index) in [(BY_TRANSACTION, "sale_of_transaction"), (BY_NUMBER, "sale_of_number")] {
            let plan = format!("EXPLAIN QUERY PLAN {}", sql.replace("?1", "1").replace("?2", "1"));
            let plan: String = reader.db.query_row(&plan, [], |row| row.get(3)).unwrap();
            assert!(plan.contains(index), "{plan}");
        }
    }
}
