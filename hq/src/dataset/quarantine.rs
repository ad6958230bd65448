//! Price books that are further from the one in force than the bounds allow: they wait for two operators. Until then the boxes
//! sell by the last good one.

use super::{Manifest, chunk, newest_of, publish, unpack, version};
use crate::db::{Connection, OptionalExtension as _, Transaction, params};
use crate::operators::{self, Operator, Role, audit, may};
use crate::rows::{Kind, Row};
use crate::store::{Store, begin, set_setting, setting};
use anyhow::{Context as _, ensure};
use checkout::bounds::{Bounds, Delta};
use checkout::catalog::Item;
use checkout::control::SIGNATURES;
use serde::{Deserialize, Serialize};

const BOUNDS: &str = "bounds";

/// An import that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Held {
    /// What `aisle-hq approve` is told.
    pub approval: i64,
    /// What is outside the bounds, in words.
    pub outside: Vec<String>,
    /// The worst of its lines.
    pub delta: Delta,
}

/// What price books are held against.
///
/// # Errors
/// When the database cannot be read, or somebody else wrote the bounds.
pub fn bounds(db: &Connection) -> anyhow::Result<Bounds> {
    let stored = setting(db, BOUNDS)?;
    stored.map_or(Ok(Bounds::default()), |text| serde_json::from_str(&text).context("the bounds cannot be read"))
}

/// # Errors
/// When the database cannot be written, or `by` may not.
pub fn set_bounds(db: &mut Connection, by: Option<&Operator>, bounds: Bounds) -> anyhow::Result<()> {
    let txn = begin(db)?;
    let who = may(&txn, by, Role::Admin)?;
    let text = serde_json::to_string(&bounds)?;
    set_setting(&txn, BOUNDS, &text)?;
    audit(&txn, &who, "bounds set", "catalogue", &text)?;
    Ok(txn.commit()?)
}

/// What of the next content is outside the bounds, compared with what is published; nothing where it may go out, or where there
/// are not two who could agree.
pub(super) fn outside(
    txn: &Transaction<'_>,
    dataset: &str,
    rows: impl Iterator<Item = anyhow::Result<(String, String)>>,
) -> anyhow::Result<Option<(Vec<String>, Delta)>> {
    if dataset != Kind::Catalogue.name() || !operators::are_two(txn)? {
        return Ok(None);
    }
    let Some(before) = newest_of(txn, dataset)? else { return Ok(None) };
    let before = lines(txn, &before)?;
    let delta = Delta::between(keyed(&before), rows, |row| Ok(serde_json::from_str::<Item>(row)?))?;
    let outside = delta.outside(&bounds(txn)?);
    Ok((!outside.is_empty()).then_some((outside, delta)))
}

/// Keeps content that is outside the bounds, and asks for it.
pub(super) fn hold(
    txn: &Transaction<'_>,
    by: Option<&Operator>,
    manifest: &Manifest,
    (outside, delta): (Vec<String>, Delta),
) -> anyhow::Result<Held> {
    let what = format!("{} {}: {}", manifest.dataset, manifest.name, outside.join("; "));
    let approval = operators::ask(txn, by, &what, &operators::subject(&manifest.preimage()))?;
    let against = version(txn, &manifest.dataset)?;
    let (document, told) = (serde_json::to_string(manifest)?, serde_json::to_string(&delta)?);
    let sql = "INSERT INTO quarantine (approval, manifest, against, delta) VALUES (?1, ?2, ?3, ?4)";
    txn.execute(sql, params![approval, document, against, told])?;
    Ok(Held { approval, outside, delta })
}

/// Publishes what waited under this number, if anything did; the manifest carries who agreed.
///
/// # Errors
/// Another version was published meanwhile: what was agreed to is no longer what would change.
pub fn release(txn: &Transaction<'_>, approval: i64) -> anyhow::Result<Option<Manifest>> {
    let sql = "SELECT manifest, against FROM quarantine WHERE approval = ?1";
    let held: Option<(String, i64)> =
        txn.query_row(sql, [approval], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let Some((manifest, against)) = held else { return Ok(None) };
    let mut manifest: Manifest = serde_json::from_str(&manifest)?;
    ensure!(
        version(txn, &manifest.dataset)? == against,
        "another version of {} was published since: import this one again, to be compared with it",
        manifest.dataset
    );
    manifest.approvals = operators::signatures(txn, approval)?;
    publish(txn, manifest).map(Some)
}

/// Makes the content before the newest, or that of `to`, the next version.
///
/// # Errors
/// There is none, or the database cannot be written.
pub fn roll_back(
    store: &Store,
    by: Option<&Operator>,
    dataset: &str,
    to: Option<u64>,
) -> anyhow::Result<(Manifest, Option<Held>)> {
    let mut db = store.writer()?;
    let txn = begin(&mut db)?;
    let who = may(&txn, by, Role::Operator)?;
    let newest = version(&txn, dataset)?;
    let to = to.map_or(newest - 1, crate::store::int);
    let sql = "SELECT manifest FROM dataset WHERE dataset = ?1 AND version = ?2";
    ensure!(newest == 0 || to > 0, "{dataset} has no version before the newest");
    let old: Option<String> = txn.query_row(sql, params![dataset, to], |row| row.get(0)).optional()?;
    let old =
        old.with_context(|| format!("there is no version {to} of {dataset} to go back to; the newest is {newest}"))?;
    let old: Manifest = serde_json::from_str(&old)?;
    ensure!(to < newest, "version {to} of {dataset} is in force");
    // Lines carry the name of their price book for ever: the same content again is another name.
    let mut next = Manifest { version: 0, name: format!("{}+{}", old.name, newest + 1), ..old };
    audit(&txn, &who, "rolled back", dataset, &format!("to version {to}"))?;
    let agreed = next.approvals.len() >= SIGNATURES;
    let rows = lines(&txn, &next)?;
    let held = match outside(&txn, dataset, keyed(&rows))? {
        Some(told) if !agreed => Some(hold(&txn, by, &next, told)?),
        Some(_) | None => {
            next = publish(&txn, next)?;
            None
        }
    };
    txn.commit()?;
    Ok((next, held))
}

fn lines(db: &Connection, manifest: &Manifest) -> anyhow::Result<String> {
    let chunks = manifest.chunks.iter().map(|hash| chunk(db, hash)?.context("a chunk is missing"));
    let rows = unpack(manifest, &chunks.collect::<anyhow::Result<Vec<_>>>()?)?;
    String::from_utf8(rows).context("rows of a stored version are no text")
}

#[derive(Deserialize)]
struct Keyed {
    key: String,
}

fn keyed(lines: &str) -> impl Iterator<Item = anyhow::Result<(String, String)>> + '_ {
    lines.lines().map(|line| Ok((serde_json::from_str::<Keyed>(line)?.key, line.to_owned())))
}

/// Rows of an import, as they will stand in its chunks.
pub(super) fn written(rows: &[Row]) -> impl Iterator<Item = anyhow::Result<(String, String)>> + '_ {
    rows.iter().map(|row| Ok((row.key().to_owned(), serde_json::to_string(row)?)))
}
