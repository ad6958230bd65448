//! Reference data on its way to the boxes: rows in, versions with a manifest and content-addressed chunks out.

pub mod quarantine;

use crate::batch::hex;
use crate::db::{self, Connection, OptionalExtension as _, Transaction, params};
use crate::operators::{Operator, audit};
use crate::store::{Store, int, now_ms};
use anyhow::{Context as _, bail};
use checkout::wire::{CHUNK_MAX, MESSAGE_MAX, Manifest};
use quarantine::Held;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use crate::rows::{BadLine, Kind};

const ZSTD_LEVEL: i32 = 9;

/// What an import did.
#[derive(Debug)]
pub struct Imported {
    /// Without a version where it is held.
    pub manifest: Manifest,
    pub bad: Vec<BadLine>,
    /// It is outside the bounds and waits for two operators.
    pub held: Option<Held>,
}

/// Whether bad lines stop an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnBad {
    Refuse,
    Skip,
}

/// Rows as text: newline-delimited JSON, a JSON array, or CSV with a header line.
///
/// # Errors
/// `Ok(Err(bad))` when lines are bad and may not be skipped; `Err` when the store fails.
pub fn import(
    store: &Store,
    kind: Kind,
    text: &str,
    name: Option<&str>,
    on_bad: OnBad,
) -> anyhow::Result<Result<Imported, Vec<BadLine>>> {
    import_by(store, None, kind, text, name, on_bad)
}

/// The same by somebody who signs for it, where it is outside the bounds.
///
/// # Errors
/// As [`import`].
pub fn import_by(
    store: &Store,
    by: Option<&Operator>,
    kind: Kind,
    text: &str,
    name: Option<&str>,
    on_bad: OnBad,
) -> anyhow::Result<Result<Imported, Vec<BadLine>>> {
    let (rows, bad) = crate::rows::read(kind, text);
    if !bad.is_empty() && on_bad == OnBad::Refuse {
        return Ok(Err(bad));
    }
    if rows.is_empty() {
        bail!("no usable row: nothing imported");
    }
    let mut db = store.writer()?;
    let txn = db.transaction()?;
    let next = version(&txn, kind.name())? + 1;
    let name = name.map_or_else(|| format!("{}-{next}", kind.short()), str::to_owned);
    let mut manifest = keep(&txn, kind.name(), &name, &rows)?;
    let held = match quarantine::outside(&txn, kind.name(), quarantine::written(&rows))? {
        Some(told) => Some(quarantine::hold(&txn, by, &manifest, told)?),
        None => {
            manifest = publish(&txn, manifest)?;
            None
        }
    };
    let (who, state) = (by.map_or("", |by| &by.name), if held.is_some() { "held" } else { "published" });
    audit(&txn, who, "imported", kind.name(), &format!("{name}, {} rows, {state}", manifest.rows))?;
    txn.commit()?;
    Ok(Ok(Imported { manifest, bad, held }))
}

/// The newest version there is; 0: none.
fn version(db: &Connection, dataset: &str) -> db::Result<i64> {
    let sql = "SELECT coalesce(max(version), 0) FROM dataset WHERE dataset = ?1";
    db.query_row(sql, [dataset], |row| row.get(0))
}

/// Makes `rows` the next version of a dataset, under that name.
///
/// # Errors
/// When the name is taken, the dataset too large, or the database cannot be written.
pub(crate) fn put(
    txn: &Transaction<'_>,
    dataset: &str,
    name: &str,
    rows: &[impl Serialize],
) -> anyhow::Result<Manifest> {
    publish(txn, keep(txn, dataset, name, rows)?)
}

/// Keeps the chunks of `rows`; a manifest without a version.
fn keep(txn: &Transaction<'_>, dataset: &str, name: &str, rows: &[impl Serialize]) -> anyhow::Result<Manifest> {
    let packed = pack(rows)?;
    let mut chunks = Vec::new();
    for chunk in packed.stream.chunks(CHUNK_MAX) {
        let hash = hex(&Sha256::digest(chunk));
        txn.execute("INSERT INTO chunk (hash, body) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![hash, chunk])?;
        chunks.push(hash);
    }
    Ok(Manifest {
        dataset: dataset.into(),
        version: 0,
        name: name.into(),
        chunks,
        raw: packed.raw,
        rows: u64::try_from(rows.len()).unwrap_or(u64::MAX),
        approvals: Vec::new(),
    })
}

/// Gives kept content the next version: versions only grow.
fn publish(txn: &Transaction<'_>, manifest: Manifest) -> anyhow::Result<Manifest> {
    let (dataset, name) = (&manifest.dataset, &manifest.name);
    // Lines carry the name of their price book for ever: it must mean one version.
    let taken = "SELECT EXISTS (SELECT 1 FROM dataset WHERE dataset = ?1 AND name = ?2)";
    if txn.query_row(taken, [dataset, name], |row| row.get(0))? {
        bail!("there is a version {name} of {dataset} already: give this one another --name");
    }
    let version = version(txn, dataset)? + 1;
    let manifest = Manifest { version: version.unsigned_abs(), ..manifest };
    let document = serde_json::to_string(&manifest)?;
    anyhow::ensure!(
        document.len() < MESSAGE_MAX / 2,
        "{} chunks are more than one manifest can name: split the dataset",
        manifest.chunks.len()
    );
    txn.execute(
        "INSERT INTO dataset (dataset, version, name, rows, imported, manifest) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![manifest.dataset, version, manifest.name, int(manifest.rows), now_ms(), document],
    )?;
    Ok(manifest)
}

fn newest_of(db: &Connection, dataset: &str) -> anyhow::Result<Option<Manifest>> {
    Ok(newest(db)?.into_iter().find(|manifest| manifest.dataset == dataset))
}

/// The newest manifest of each dataset.
///
/// # Errors
/// When the database cannot be read.
pub fn newest(db: &Connection) -> anyhow::Result<Vec<Manifest>> {
    let mut statement = db.prepare_cached(
        "SELECT manifest FROM dataset AS d
         WHERE version = (SELECT max(version) FROM dataset WHERE dataset = d.dataset) ORDER BY dataset",
    )?;
    let documents = statement.query_map([], |row| row.get::<_, String>(0))?;
    documents.map(|document| serde_json::from_str(&document?).context("a stored manifest cannot be read")).collect()
}

/// # Errors
/// When the database cannot be read.
pub fn chunk(db: &Connection, hash: &str) -> db::Result<Option<Vec<u8>>> {
    db.prepare_cached("SELECT body FROM chunk WHERE hash = ?1")?.query_row([hash], |row| row.get(0)).optional()
}

/// Puts chunks together again and checks each against the manifest, as a box does.
///
/// # Errors
/// When a chunk is not the one the manifest names, or the rows are not what it says.
pub fn unpack(manifest: &Manifest, chunks: &[Vec<u8>]) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(chunks.len() == manifest.chunks.len(), "chunks are missing");
    for (chunk, hash) in chunks.iter().zip(&manifest.chunks) {
        anyhow::ensure!(hex(&Sha256::digest(chunk)) == *hash, "a chunk is not the one the manifest names");
    }
    let size = usize::try_from(manifest.raw)?;
    let rows = zstd::bulk::decompress(&chunks.concat(), size).context("the chunks are not one zstd stream")?;
    let lines = rows.split(|byte| *byte == b'\n').count() - 1;
    anyhow::ensure!(
        rows.len() == size && u64::try_from(lines)? == manifest.rows,
        "another size than the manifest says"
    );
    Ok(rows)
}

struct Packed {
    stream: Vec<u8>,
    raw: u64,
}

fn pack(rows: &[impl Serialize]) -> anyhow::Result<Packed> {
    let mut lines = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut lines, row)?;
        lines.push(b'\n');
    }
    Ok(Packed { stream: zstd::bulk::compress(&lines, ZSTD_LEVEL)?, raw: u64::try_from(lines.len())? })
}
