//! What a box could have priced with: every version headquarters ever published, opened when a sale names it.

use crate::dataset;
use anyhow::{Context as _, Result, ensure};
use checkout::catalog::{Item, Promotion, PromotionBook};
use checkout::wire::Manifest;
use checkout::words::{ItemKey, PriceBook};
use rusqlite::{Connection, OptionalExtension as _, params};
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;

/// Price books and promotions kept at hand; a fleet sells by one or two at a time.
const KEPT: usize = 4;
/// A key and the column its row is found by.
const GOODS: &str = "CREATE TABLE item (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;";

#[derive(Debug)]
pub(super) struct Books {
    folder: PathBuf,
    /// By name; `None`: headquarters never published such a one.
    goods: Vec<(PriceBook, Option<Connection>)>,
    /// By version.
    promotions: Vec<(u64, Option<PromotionBook>)>,
}

/// What headquarters has under a name that a line carries.
#[derive(Debug)]
pub(super) enum Found {
    NoBook,
    NoItem,
    Item(Box<Item>),
}

impl Books {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, goods: Vec::new(), promotions: Vec::new() }
    }

    /// The item as that price book has it.
    pub(super) fn item(&mut self, hq: &Connection, book: &PriceBook, key: &ItemKey) -> Result<Found> {
        if !self.goods.iter().any(|(name, _)| name == book) {
            let opened = self.open(hq, book)?;
            kept(&mut self.goods, (book.clone(), opened));
        }
        let open = self.goods.iter().find(|(name, _)| name == book).and_then(|(_, open)| open.as_ref());
        let Some(open) = open else { return Ok(Found::NoBook) };
        let mut rows = open.prepare_cached("SELECT body FROM item WHERE key = ?1")?;
        let body: Option<String> = rows.query_row([&key.0], |row| row.get(0)).optional()?;
        Ok(match body {
            Some(body) => Found::Item(serde_json::from_str(&body).context("a row of a price book cannot be read")?),
            None => Found::NoItem,
        })
    }

    /// The promotions of that version; `None`: headquarters has none of that number.
    pub(super) fn promotions(&mut self, hq: &Connection, version: u64) -> Result<Option<&PromotionBook>> {
        if !self.promotions.iter().any(|(kept, _)| *kept == version) {
            let sql = "SELECT manifest FROM dataset WHERE dataset = 'promotions' AND version = ?1";
            let book = match manifest(hq, sql, version)? {
                Some(manifest) => {
                    let rows = rows(hq, &manifest)?.lines().map(|line| Ok(serde_json::from_str::<Promotion>(&line?)?));
                    Some(PromotionBook::new(rows.collect::<Result<Vec<_>>>()?))
                }
                None => None,
            };
            kept(&mut self.promotions, (version, book));
        }
        let found = self.promotions.iter().find(|(kept, _)| *kept == version);
        Ok(found.and_then(|(_, book)| book.as_ref()))
    }

    /// A price book as a file beside the database, made once: a million goods are not kept in memory.
    fn open(&self, hq: &Connection, book: &PriceBook) -> Result<Option<Connection>> {
        let sql =
            "SELECT manifest FROM dataset WHERE dataset = 'catalogue' AND name = ?1 ORDER BY version DESC LIMIT 1";
        let Some(manifest) = manifest(hq, sql, &book.0)? else { return Ok(None) };
        std::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(format!("catalogue-{}.db", manifest.version));
        if !path.exists() {
            let fresh = path.with_extension(format!("new-{}", std::process::id()));
            let _ = std::fs::remove_file(&fresh);
            let mut db = Connection::open(&fresh)?;
            db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
            db.execute_batch(GOODS)?;
            let txn = db.transaction()?;
            for line in rows(hq, &manifest)?.lines() {
                let line = line?;
                let row: Key = serde_json::from_str(&line)?;
                txn.prepare_cached("INSERT INTO item VALUES (?1, ?2)")?.execute(params![row.key, line])?;
            }
            txn.commit()?;
            db.close().map_err(|(_, error)| error)?;
            std::fs::rename(&fresh, &path)?;
        }
        Ok(Some(Connection::open(&path)?))
    }
}

#[derive(serde::Deserialize)]
struct Key {
    key: String,
}

/// The newest is kept and, when there are too many, the oldest goes.
fn kept<K, V>(list: &mut Vec<(K, V)>, one: (K, V)) {
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(one);
}

fn manifest(hq: &Connection, sql: &str, by: impl rusqlite::ToSql) -> Result<Option<Manifest>> {
    let document: Option<String> = hq.prepare_cached(sql)?.query_row([by], |row| row.get(0)).optional()?;
    document.map(|text| serde_json::from_str(&text).context("a stored manifest cannot be read")).transpose()
}

fn rows(hq: &Connection, manifest: &Manifest) -> Result<impl BufRead> {
    let mut packed = Vec::new();
    for hash in &manifest.chunks {
        let chunk = dataset::chunk(hq, hash)?;
        packed.extend(chunk.with_context(|| format!("chunk {hash} of {} is not there", manifest.name))?);
    }
    ensure!(!packed.is_empty(), "{} {} has no chunks", manifest.dataset, manifest.name);
    let unpacked = zstd::Decoder::new(std::io::Cursor::new(packed))?;
    Ok(BufReader::new(unpacked.take(manifest.raw)))
}
