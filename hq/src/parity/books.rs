//! What a box could have priced with: every version headquarters ever published, opened when a sale names it.
//!
//! Price books and members are many: each version asked for is made into a file beside the database once, and goes again when
//! no row that is still to be judged, no open basket and no listed sale names it ([`Books::prune`]). Of members the file holds
//! level and uses by opaque id, nothing else.

use crate::dataset;
use crate::db::{Connection, OptionalExtension as _, Params, params};
use anyhow::{Context as _, Result, ensure};
use checkout::catalog::{Campaign, Item, Promotion, PromotionBook};
use checkout::wire::Manifest;
use checkout::words::{ItemKey, MemberId, PriceBook};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Versions kept at hand; a fleet sells by one or two at a time.
const KEPT: usize = 4;
/// A key and the row found by it.
const ROWS: &str = "CREATE TABLE row (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;";
/// A file half made by a process that is gone by now.
const ABANDONED: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Books {
    folder: PathBuf,
    /// By name; `None`: headquarters never published such a one.
    goods: Vec<(PriceBook, Option<rusqlite::Connection>)>,
    /// By version, as all below.
    members: Vec<(u64, Option<rusqlite::Connection>)>,
    promotions: Vec<(u64, Option<PromotionBook>)>,
    campaigns: Vec<(u64, Option<Vec<Campaign>>)>,
}

/// What headquarters has under a name that a line carries.
#[derive(Debug)]
pub(super) enum Found {
    NoBook,
    NoItem,
    Item(Box<Item>),
}

/// What of a member decides about prices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, serde::Serialize)]
pub(super) struct Standing {
    #[serde(default)]
    pub(super) level: String,
    #[serde(default)]
    pub(super) used: BTreeMap<String, u32>,
}

/// Versions whose files stay.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) goods: BTreeSet<PriceBook>,
    pub(super) members: BTreeSet<u64>,
}

impl Books {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder, goods: Vec::new(), members: Vec::new(), promotions: Vec::new(), campaigns: Vec::new() }
    }

    /// The item as that price book has it.
    pub(super) fn item(&mut self, hq: &Connection, book: &PriceBook, key: &ItemKey) -> Result<Found> {
        if !self.goods.iter().any(|(name, _)| name == book) {
            let opened = match newest_named(hq, book)? {
                Some(manifest) => Some(self.file(hq, &manifest, |line| {
                    let row: Key = serde_json::from_str(line)?;
                    Ok((row.key, line.to_owned()))
                })?),
                None => None,
            };
            kept(&mut self.goods, (book.clone(), opened));
        }
        let open = self.goods.iter().find(|(name, _)| name == book).and_then(|(_, open)| open.as_ref());
        let Some(open) = open else { return Ok(Found::NoBook) };
        Ok(match row(open, &key.0)? {
            Some(body) => Found::Item(serde_json::from_str(&body).context("a row of a price book cannot be read")?),
            None => Found::NoItem,
        })
    }

    /// How that version knew the member; nobody's standing where it did not. `None`: headquarters has no such version.
    pub(super) fn member(&mut self, hq: &Connection, version: u64, member: &MemberId) -> Result<Option<Standing>> {
        if !self.members.iter().any(|(kept, _)| *kept == version) {
            let opened = match numbered(hq, "members", version)? {
                Some(manifest) => Some(self.file(hq, &manifest, |line| {
                    let row: Id = serde_json::from_str(line)?;
                    Ok((row.id, serde_json::to_string(&row.standing)?))
                })?),
                None => None,
            };
            kept(&mut self.members, (version, opened));
        }
        let open = self.members.iter().find(|(kept, _)| *kept == version).and_then(|(_, open)| open.as_ref());
        let Some(open) = open else { return Ok(None) };
        let body = row(open, &member.0)?;
        let standing = body.map(|body| serde_json::from_str(&body).context("a row of members cannot be read"));
        Ok(Some(standing.transpose()?.unwrap_or_default()))
    }

    /// The promotions of that version; `None`: headquarters has none of that number.
    pub(super) fn promotions(&mut self, hq: &Connection, version: u64) -> Result<Option<&PromotionBook>> {
        if !self.promotions.iter().any(|(kept, _)| *kept == version) {
            let rows = all::<Promotion>(hq, "promotions", version)?;
            kept(&mut self.promotions, (version, rows.map(PromotionBook::new)));
        }
        let found = self.promotions.iter().find(|(kept, _)| *kept == version);
        Ok(found.and_then(|(_, book)| book.as_ref()))
    }

    /// The campaign as that version of them has it.
    pub(super) fn campaign(&mut self, hq: &Connection, version: u64, id: &str) -> Result<Option<&Campaign>> {
        if !self.campaigns.iter().any(|(kept, _)| *kept == version) {
            let rows = all::<Campaign>(hq, "coupons", version)?;
            kept(&mut self.campaigns, (version, rows));
        }
        let found = self.campaigns.iter().find(|(kept, _)| *kept == version);
        Ok(found.and_then(|(_, rows)| rows.as_ref()?.iter().find(|campaign| campaign.id == id)))
    }

    /// Takes away files of versions nobody wants any more; says how many. One that is asked for later is made again.
    pub(super) fn prune(&mut self, hq: &Connection, wanted: &Wanted) -> Result<usize> {
        let mut keep: BTreeSet<String> = wanted.members.iter().map(|version| name("members", *version)).collect();
        for book in &wanted.goods {
            keep.extend(newest_named(hq, book)?.map(|manifest| name(&manifest.dataset, manifest.version)));
        }
        self.goods.retain(|(book, _)| wanted.goods.contains(book));
        self.members.retain(|(version, _)| wanted.members.contains(version));
        let Ok(files) = std::fs::read_dir(&self.folder) else { return Ok(0) };
        let mut gone = 0;
        for file in files {
            let file = file?;
            let told = file.file_name().to_string_lossy().into_owned();
            let whole = Path::new(&told).extension().is_some_and(|extension| extension == "db");
            let old = || {
                file.metadata()
                    .and_then(|meta| meta.modified())
                    .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED))
            };
            if !keep.contains(&told) && (whole || old()) {
                std::fs::remove_file(file.path())?;
                gone += 1;
            }
        }
        Ok(gone)
    }

    /// A version as a file beside the database, made once: a million rows are not kept in memory.
    fn file(
        &self,
        hq: &Connection,
        manifest: &Manifest,
        pair: impl Fn(&str) -> Result<(String, String)>,
    ) -> Result<rusqlite::Connection> {
        std::fs::create_dir_all(&self.folder)?;
        let path = self.folder.join(name(&manifest.dataset, manifest.version));
        if !path.exists() {
            let fresh = path.with_extension(format!("new-{}", std::process::id()));
            let _ = std::fs::remove_file(&fresh);
            let mut db = rusqlite::Connection::open(&fresh)?;
            db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
            db.execute_batch(ROWS)?;
            let txn = db.transaction()?;
            for line in rows(hq, manifest)?.lines() {
                let (key, body) = pair(&line?)?;
                txn.prepare_cached("INSERT INTO row VALUES (?1, ?2)")?.execute([key, body])?;
            }
            txn.commit()?;
            db.close().map_err(|(_, error)| error)?;
            std::fs::rename(&fresh, &path)?;
        }
        Ok(rusqlite::Connection::open(&path)?)
    }
}

#[derive(Deserialize)]
struct Key {
    key: String,
}

#[derive(Deserialize)]
struct Id {
    id: String,
    #[serde(flatten)]
    standing: Standing,
}

/// The shape of the rows is part of the name: files of another shape are never opened, and pruned.
fn name(dataset: &str, version: u64) -> String {
    format!("{dataset}-{version}.rows.db")
}

/// The newest is kept and, when there are too many, the oldest goes.
fn kept<K, V>(list: &mut Vec<(K, V)>, one: (K, V)) {
    if list.len() >= KEPT {
        list.remove(0);
    }
    list.push(one);
}

fn row(open: &rusqlite::Connection, key: &str) -> Result<Option<String>> {
    let mut found = open.prepare_cached("SELECT body FROM row WHERE key = ?1")?;
    let mut found = found.query([key])?;
    Ok(found.next()?.map(|row| row.get(0)).transpose()?)
}

fn newest_named(hq: &Connection, book: &PriceBook) -> Result<Option<Manifest>> {
    let sql = "SELECT manifest FROM dataset WHERE dataset = 'catalogue' AND name = ?1 ORDER BY version DESC LIMIT 1";
    manifest(hq, sql, params![book.0])
}

fn numbered(hq: &Connection, dataset: &str, version: u64) -> Result<Option<Manifest>> {
    manifest(hq, "SELECT manifest FROM dataset WHERE dataset = ?1 AND version = ?2", params![dataset, version])
}

fn manifest(hq: &Connection, sql: &str, by: impl Params) -> Result<Option<Manifest>> {
    let document: Option<String> = hq.prepare_cached(sql)?.query_row(by, |row| row.get(0)).optional()?;
    document.map(|text| serde_json::from_str(&text).context("a stored manifest cannot be read")).transpose()
}

/// Every row of a version of a dataset that is small.
fn all<T: DeserializeOwned>(hq: &Connection, dataset: &str, version: u64) -> Result<Option<Vec<T>>> {
    let Some(manifest) = numbered(hq, dataset, version)? else { return Ok(None) };
    let rows = rows(hq, &manifest)?.lines().map(|line| Ok(serde_json::from_str(&line?)?));
    Ok(Some(rows.collect::<Result<_>>()?))
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
