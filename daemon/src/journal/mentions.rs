//! The rows that name somebody: read through from the first, for the rare question what there is of one member.

use super::Reader;
use anyhow::Result;
use checkout::event::Record;

impl Reader {
    /// Shows `each` row whose text holds one of `words`, in order, until it says that this is enough.
    ///
    /// # Errors
    /// The file cannot be read, or a row is no record of ours.
    pub fn mentions(&self, words: [&str; 2], mut each: impl FnMut(Record) -> bool) -> Result<()> {
        let sql = "SELECT body FROM event WHERE instr(body, ?1) > 0 OR instr(body, ?2) > 0 ORDER BY seq";
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(words)?;
        while let Some(row) = rows.next()? {
            let body: String = row.get(0)?;
            if !each(serde_json::from_str(&body)?) {
                break;
            }
        }
        Ok(())
    }
}
