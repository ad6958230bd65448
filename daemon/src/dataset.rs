//! Datasets from headquarters: chunks by hash, joined, unpacked within bounds, built beside the old file, switched as a whole.

use crate::catalog;
use crate::jws::hex;
use anyhow::{Context, Result, ensure};
use checkout::bounds::{Bounds, Delta};
use checkout::catalog::{Campaign, Item, Member, Promotion, Recall};
use checkout::face::Erasure;
use checkout::phone;
use checkout::policy::Policy;
use checkout::wire::{CHUNK_MAX, Manifest};
use rusqlite::{Connection, OpenFlags, params};
use sha2::{Digest, Sha256};
use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

/// A dataset unpacks to no more than this, whatever its manifest says.
const RAW_MAX: u64 = 1 << 30;
const CHUNKS_MAX: usize = 4096;
/// No row is longer, whatever a line claims to be.
const ROW_MAX: u64 = 64 * 1024;
/// Eight megabytes of look-back, twice what headquarters packs with: more would be memory a box does not have.
const WINDOW_LOG_MAX: u32 = 23;
const READ_AHEAD: usize = 64 * 1024;

/// A dataset on its way: which chunks are on disk.
#[derive(Debug)]
pub struct Fetch {
    pub manifest: Manifest,
    folder: PathBuf,
}

impl Fetch {
    /// Starts or goes on with fetching; chunks already on disk are kept.
    ///
    /// # Errors
    /// A manifest out of bounds, or a folder that cannot be made.
    pub fn begin(data: &Path, manifest: Manifest) -> Result<Self> {
        ensure!(catalog::DATASETS.contains(&manifest.dataset.as_str()), "unknown dataset {:?}", manifest.dataset);
        ensure!(manifest.raw <= RAW_MAX && manifest.chunks.len() <= CHUNKS_MAX, "the manifest is out of bounds");
        let is_hash = |hash: &String| hash.len() == 64 && hash.bytes().all(|c| c.is_ascii_hexdigit());
        ensure!(manifest.chunks.iter().all(is_hash), "a chunk of the manifest is no SHA-256");
        let folder = data.join("chunks").join(&manifest.dataset);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { manifest, folder })
    }

    /// The next chunk to ask for.
    #[must_use]
    pub fn missing(&self) -> Option<&str> {
        self.manifest.chunks.iter().find(|hash| !self.folder.join(hash).exists()).map(String::as_str)
    }

    /// Keeps a chunk if it is one of ours and what it claims to be.
    ///
    /// # Errors
    /// The disk refused.
    pub fn take(&self, hash: &str, bytes: &[u8]) -> Result<bool> {
        let ours = self.manifest.chunks.iter().any(|chunk| chunk == hash);
        if !ours || bytes.len() > CHUNK_MAX || hex(&Sha256::digest(bytes)) != hash {
            return Ok(false);
        }
        let part = self.folder.join(format!("{hash}.part"));
        std::fs::write(&part, bytes)?;
        std::fs::rename(&part, self.folder.join(hash))?;
        Ok(true)
    }

    /// Builds the new database beside the old one and switches by rename.
    ///
    /// # Errors
    /// The rows are not what the manifest says: the old dataset stays in force.
    pub fn build(&self, data: &Path, bounds: Option<&Bounds>) -> Result<()> {
        let target = catalog::file(data, &self.manifest.dataset);
        let fresh = target.with_extension("db.new");
        let _ = std::fs::remove_file(&fresh);
        write(&fresh, &self.manifest, self.rows()?)
            .with_context(|| format!("dataset {} version {}", self.manifest.dataset, self.manifest.version))?;
        if let Some(bounds) = bounds.filter(|_| self.manifest.dataset == "catalogue" && target.exists()) {
            within(bounds, &target, &fresh)?;
        }
        std::fs::rename(&fresh, &target)?;
        std::fs::File::open(data)?.sync_all()?;
        let _ = std::fs::remove_dir_all(&self.folder);
        Ok(())
    }

    /// The rows as they arrive: unpacked while they are read, so that memory does not grow with the dataset.
    fn rows(&self) -> Result<impl BufRead> {
        let chunks = Chunks {
            folder: self.folder.clone(),
            hashes: self.manifest.chunks.clone().into_iter(),
            chunk: Cursor::default(),
        };
        let mut unpacked = zstd::Decoder::with_buffer(BufReader::new(chunks))?;
        unpacked.window_log_max(WINDOW_LOG_MAX)?;
        Ok(BufReader::with_capacity(READ_AHEAD, unpacked.take(self.manifest.raw + 1)))
    }
}

/// Whether prices move no further than `bounds` allow.
fn within(bounds: &Bounds, old: &Path, new: &Path) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let (old, new) = (Connection::open_with_flags(old, flags)?, Connection::open_with_flags(new, flags)?);
    let sql = "SELECT key, body FROM item ORDER BY key";
    let (mut before, mut after) = (old.prepare(sql)?, new.prepare(sql)?);
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let before = before.query_map([], row)?.map(|row| Ok(row?));
    let after = after.query_map([], row)?.map(|row| Ok(row?));
    let delta = Delta::between(before, after, |body| anyhow::Ok(serde_json::from_str(body)?))?;
    let outside = delta.outside(bounds);
    ensure!(outside.is_empty(), "outside the bounds, and two operators have not agreed: {}", outside.join("; "));
    Ok(())
}

/// Chunks of a dataset one after the other, each checked again: a disk may have turned a bit.
struct Chunks {
    folder: PathBuf,
    hashes: std::vec::IntoIter<String>,
    chunk: Cursor<Vec<u8>>,
}

impl Read for Chunks {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        loop {
            let count = self.chunk.read(into)?;
            let Some(hash) = (count == 0).then(|| self.hashes.next()).flatten() else { return Ok(count) };
            let path = self.folder.join(&hash);
            let bytes = std::fs::read(&path)?;
            if hex(&Sha256::digest(&bytes)) != hash {
                let _ = std::fs::remove_file(path);
                return Err(std::io::Error::other(format!("chunk {hash} went bad on disk and is fetched again")));
            }
            self.chunk = Cursor::new(bytes);
        }
    }
}

fn write(path: &Path, manifest: &Manifest, mut raw: impl BufRead) -> Result<()> {
    let mut db = Connection::open(path)?;
    // Built beside the old file and switched by rename: a torn build is thrown away, so it needs no journal.
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA page_size = 8192; PRAGMA locking_mode = EXCLUSIVE;")?;
    db.execute_batch(
        "CREATE TABLE meta (version INTEGER, name TEXT);
         CREATE TABLE item (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;
         CREATE TABLE member (id TEXT PRIMARY KEY, code TEXT NOT NULL UNIQUE, body TEXT NOT NULL, phone TEXT) WITHOUT ROWID;
         CREATE INDEX member_by_phone ON member (phone) WHERE phone IS NOT NULL;
         CREATE INDEX member_by_tail ON member (substr(phone, -4));
         CREATE TABLE row (key TEXT PRIMARY KEY, body TEXT NOT NULL) WITHOUT ROWID;",
    )?;
    let transaction = db.transaction()?;
    transaction.execute("INSERT INTO meta VALUES (?1, ?2)", params![manifest.version, manifest.name])?;
    let insert = match manifest.dataset.as_str() {
        "catalogue" => insert_item,
        "coupons" => insert_campaign,
        "erasures" => insert_erasure,
        "members" => insert_member,
        "policy" => insert_policy,
        "promotions" => insert_promotion,
        "recalls" => insert_recall,
        other => anyhow::bail!("no rows of {other} are known"),
    };
    let (mut line, mut rows, mut bytes) = (String::new(), 0, 0);
    while raw.by_ref().take(ROW_MAX).read_line(&mut line).context("the rows cannot be unpacked")? > 0 {
        (rows, bytes) = (rows + 1, bytes + line.len() as u64);
        ensure!(line.len() as u64 != ROW_MAX, "row {rows} is longer than {ROW_MAX} bytes");
        ensure!(bytes <= manifest.raw, "it unpacks to more than its manifest says");
        insert(&transaction, line.trim_end_matches('\n')).with_context(|| format!("row {rows}"))?;
        line.clear();
    }
    ensure!(bytes == manifest.raw, "it unpacks to another size than its manifest says");
    ensure!(rows == manifest.rows, "it has {rows} rows and its manifest says {}", manifest.rows);
    transaction.commit()?;
    db.close().map_err(|(_, error)| error)?;
    std::fs::File::open(path)?.sync_all()?;
    Ok(())
}

fn insert_item(db: &Connection, line: &str) -> Result<()> {
    let item: Item = serde_json::from_str(line)?;
    db.prepare_cached("INSERT INTO item VALUES (?1, ?2)")?.execute(params![item.key.0, line])?;
    Ok(())
}

fn insert_member(db: &Connection, line: &str) -> Result<()> {
    let member: Member = serde_json::from_str(line)?;
    let phone = phone::digits(&member.phone);
    ensure!(phone.is_some() || member.phone.is_empty(), "the phone of {} is no telephone number", member.id);
    let tail = phone.as_deref().map(phone::tail);
    let sql = "INSERT INTO member VALUES (?1, ?2, ?3, ?4)";
    db.prepare_cached(sql)?.execute(params![member.id.0, member.code, line, tail])?;
    Ok(())
}

fn insert_erasure(db: &Connection, line: &str) -> Result<()> {
    let erasure: Erasure = serde_json::from_str(line)?;
    insert_row(db, &erasure_key(erasure.n), line)
}

/// Sorts as text in the order of the list.
pub(crate) fn erasure_key(n: u64) -> String {
    format!("{n:020}")
}

fn insert_promotion(db: &Connection, line: &str) -> Result<()> {
    let promotion: Promotion = serde_json::from_str(line)?;
    promotion.check().map_err(anyhow::Error::msg)?;
    insert_row(db, &promotion.id, line)
}

fn insert_campaign(db: &Connection, line: &str) -> Result<()> {
    let campaign: Campaign = serde_json::from_str(line)?;
    campaign.check().map_err(anyhow::Error::msg)?;
    insert_row(db, &campaign.id, line)
}

fn insert_policy(db: &Connection, line: &str) -> Result<()> {
    let policy: Policy = serde_json::from_str(line)?;
    policy.check().map_err(anyhow::Error::msg)?;
    insert_row(db, &policy.id, line)
}

fn insert_recall(db: &Connection, line: &str) -> Result<()> {
    let recall: Recall = serde_json::from_str(line)?;
    insert_row(db, &recall.id, line)
}

fn insert_row(db: &Connection, key: &str, line: &str) -> Result<()> {
    db.prepare_cached("INSERT INTO row VALUES (?1, ?2)")?.execute(params![key, line])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::catalog::Catalog as _;
    use checkout::words::Money;

    fn manifest(raw: &[u8], rows: u64) -> (Manifest, Vec<u8>) {
        manifest_of("catalogue", raw, rows)
    }

    fn manifest_of(dataset: &str, raw: &[u8], rows: u64) -> (Manifest, Vec<u8>) {
        let packed = zstd::encode_all(raw, 3).unwrap();
        let chunks = vec![hex(&Sha256::digest(&packed))];
        let manifest = Manifest {
            dataset: dataset.into(),
            version: 7,
            name: "pb-7".into(),
            chunks,
            raw: raw.len() as u64,
            rows,
            approvals: Vec::new(),
        };
        (manifest, packed)
    }

    fn arrive(data: &Path, dataset: &str, version: u64, rows: &[&str]) -> Result<()> {
        let (mut manifest, packed) = manifest_of(dataset, rows.join("\n").as_bytes(), rows.len() as u64);
        manifest.version = version;
        let fetch = Fetch::begin(data, manifest.clone()).unwrap();
        assert!(fetch.take(&manifest.chunks[0], &packed).unwrap());
        fetch.build(data, None)
    }

    #[test]
    fn the_demo_s_promotions_are_of_many_kinds_and_name_goods_of_the_demo() {
        let goods: Vec<Item> =
            include_str!("../demo/catalogue.ndjson").lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        let rows: Vec<Promotion> =
            crate::demo::PROMOTIONS.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        for row in &rows {
            row.check().unwrap();
            let found = |part: &checkout::catalog::Goods| {
                goods.iter().any(|item| part.takes(&item.key, &item.group, item.price))
            };
            assert!(row.selectors().all(found), "{}", row.id);
        }
        let kinds: std::collections::BTreeSet<_> =
            rows.iter().map(|row| std::mem::discriminant(&row.rule)).map(|kind| format!("{kind:?}")).collect();
        assert!(rows.len() >= 15 && kinds.len() == 7, "{kinds:?}");
    }

    #[test]
    fn the_demo_s_coupons_are_campaigns_of_promotions_it_has() {
        let coupons: Vec<Campaign> =
            crate::demo::COUPONS.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
        assert!(coupons.iter().any(|campaign| campaign.issue.is_some()));
        for campaign in coupons {
            campaign.check().unwrap();
            let named = format!(r#""coupon":"{}""#, campaign.id);
            assert!(crate::demo::PROMOTIONS.contains(&named), "{}", campaign.id);
        }
    }

    #[test]
    fn campaigns_come_into_force_and_signed_coupons_are_told_by_the_key_alone() {
        let data = tempfile::tempdir().unwrap();
        let mut catalog = catalog::SqliteCatalog::open(data.path());
        let tea = r#"{"id":"tea","name":{"zh":"茶券","en":"Tea"},"single_use":true,"signed":true,"until":"2026-12-31T00:00","lease":3}"#;
        arrive(data.path(), "coupons", 1, &[tea]).unwrap();
        catalog.reopen("coupons");
        let campaign = catalog.campaign("tea").unwrap();
        assert_eq!((campaign.lease, campaign.until), (3, checkout::calendar::read("2026-12-31")));
        assert!(catalog.campaign("coffee").is_none());
        assert!(
            arrive(data.path(), "coupons", 2, &[&tea.replace("tea", "t.a")]).is_err(),
            "a dot ends a campaign's id"
        );
        assert_eq!(catalog.coupon_mac("tea.7"), None);

        let path = data.path().join("coupon.key");
        std::fs::write(&path, "0f".repeat(32)).unwrap();
        let key = crate::coupon_key::CouponKey::find(Some(&path)).unwrap();
        let catalog = catalog.with_coupon_key(key);
        let signed = checkout::coupon::code::Body::read("tea.7.zhszjzrhy33yu2mf").unwrap();
        assert_eq!(signed.is_genuine(|text| catalog.coupon_mac(text)), Some(true));
    }

    #[test]
    fn a_policy_comes_into_force_as_a_whole_and_one_nobody_can_keep_leaves_the_old_in_force() {
        let data = tempfile::tempdir().unwrap();
        let mut catalog = catalog::SqliteCatalog::open(data.path());
        assert!(catalog.policy("card_offline").is_none(), "nothing is allowed by default");
        let row =
            r#"{"id":"card_offline","until":"2027-01-01T00:00","per_sale":5000,"count":20,"total":50000,"hours":24}"#;
        arrive(data.path(), "policy", 1, &[row]).unwrap();
        catalog.reopen("policy");
        assert_eq!(catalog.policy("card_offline").unwrap().total, Money(50_000));
        for wrong in [
            row.replace("card_offline", "wallet_offline"),
            row.replace("5000,", "-1,"),
            row.replace("hours", "days"),
            row.replace("2027-01-01T00:00", "for ever"),
        ] {
            assert!(arrive(data.path(), "policy", 2, &[&wrong]).is_err(), "{wrong}");
        }
        assert_eq!(catalog::SqliteCatalog::open(data.path()).version("policy"), 1);
    }

    #[test]
    fn promotions_and_recalls_come_into_force_with_their_version_and_go_with_it() {
        let data = tempfile::tempdir().unwrap();
        let mut catalog = catalog::SqliteCatalog::open(data.path());
        assert!(catalog.promotions().is_empty() && catalog.recalled(&"1".into(), "L1", None).is_none());
        let off = r#"{"id":"p-1","name":{"zh":"九折","en":"10 % off"},"goods":{"all":true},"rule":{"percent":{"off_bp":1000}}}"#;
        let lot = r#"{"id":"r-1","key":"1","lots":["L1"],"reason":{"zh":"召回","en":"Recalled"}}"#;
        arrive(data.path(), "promotions", 1, &[off, &off.replace("p-1", "p-2")]).unwrap();
        arrive(data.path(), "recalls", 1, &[lot]).unwrap();
        catalog.reopen("promotions");
        catalog.reopen("recalls");
        assert_eq!((catalog.promotions().len(), catalog.version("promotions")), (2, 1));
        assert_eq!(catalog.recalled(&"1".into(), "L1", None).unwrap().en, "Recalled");
        assert!(catalog.recalled(&"1".into(), "L2", None).is_none());

        let useless = off.replace("1000", "0");
        assert!(arrive(data.path(), "promotions", 2, &[off, &useless]).is_err());
        assert!(arrive(data.path(), "promotions", 2, &[off, off]).is_err(), "one id, two rows");
        assert!(arrive(data.path(), "recalls", 2, &["{}"]).is_err());
        assert_eq!(catalog::SqliteCatalog::open(data.path()).promotions().len(), 2);

        arrive(data.path(), "promotions", 2, &[&off.replace("p-1", "p-3")]).unwrap();
        catalog.reopen("promotions");
        assert!(catalog.promotions().by_id("p-1").is_none() && catalog.promotions().by_id("p-3").is_some());
        assert_eq!(
            catalog.in_force().map(|(name, version, _)| (name, version)).collect::<Vec<_>>(),
            [("promotions", 2), ("recalls", 1)]
        );
    }

    #[test]
    fn members_are_found_by_their_number_however_it_is_written_and_by_no_part_of_it() {
        let data = tempfile::tempdir().unwrap();
        let mut catalog = catalog::SqliteCatalog::open(data.path());
        let row = |id: &str, phone: &str| format!(r#"{{"id":"{id}","code":"{id}","name":"Anna","phone":"{phone}"}}"#);
        let rows = [row("m-1", "+86 138-1234-5678"), row("m-2", "030 90182000"), row("m-3", "+49 (0)30 90182000")];
        let none = r#"{"id":"m-4","code":"m-4","name":"Anna"}"#;
        arrive(data.path(), "members", 1, &[&rows[0], &rows[1], &rows[2], none]).unwrap();
        catalog.reopen("members");
        let found = |text: &str| {
            let members = catalog.members_by_phone(&phone::digits(text).unwrap());
            members.into_iter().map(|member| member.id.0).collect::<Vec<_>>()
        };
        for number in ["13812345678", "138 1234 5678", "008613812345678", "+86 138 1234 5678"] {
            assert_eq!(found(number), ["m-1"], "{number}");
        }
        assert_eq!(found("030/90182000"), ["m-2", "m-3"], "one number with and without the country's code");
        assert_eq!(found("4812345678"), [""; 0], "the same end and another beginning");
        assert_eq!(found("90182001"), [""; 0]);
        let tails = ["5678", "2000", "0000"].map(|tail| catalog.members_by_tail(tail).len());
        assert_eq!(tails, [1, 2, 0], "what narrows a face");
        assert!(arrive(data.path(), "members", 2, &[&row("m-1", "12345")]).is_err(), "no telephone number");
    }

    #[test]
    fn a_dataset_switches_as_a_whole_and_a_wrong_one_leaves_the_old_in_force() {
        let data = tempfile::tempdir().unwrap();
        let row = br#"{"key":"4006381333931","name":{"zh":"\u7b14","en":"Pen"},"price":250,"tax_bp":1300}"#;
        let (good, packed) = manifest(row, 1);
        let fetch = Fetch::begin(data.path(), good.clone()).unwrap();
        assert_eq!(fetch.missing(), Some(good.chunks[0].as_str()));
        assert!(!fetch.take(&good.chunks[0], b"something else").unwrap());
        assert!(fetch.take(&good.chunks[0], &packed).unwrap());
        assert_eq!(fetch.missing(), None);
        fetch.build(data.path(), None).unwrap();
        let mut catalog = catalog::SqliteCatalog::open(data.path());
        assert_eq!(catalog.item(&"4006381333931".into()).unwrap().price, Money(250));
        assert_eq!((catalog.version("catalogue"), catalog.price_book().0.as_str()), (7, "pb-7"));

        for (raw, rows) in [(&b"{\"key\":1}"[..], 1), (row, 2)] {
            let (bad, packed) = manifest(raw, rows);
            let fetch = Fetch::begin(data.path(), bad.clone()).unwrap();
            assert!(fetch.take(&bad.chunks[0], &packed).unwrap());
            assert!(fetch.build(data.path(), None).is_err());
        }
        let (mut lying, packed) = manifest(row, 1);
        lying.raw -= 1;
        let fetch = Fetch::begin(data.path(), lying.clone()).unwrap();
        assert!(fetch.take(&lying.chunks[0], &packed).unwrap());
        assert!(fetch.build(data.path(), None).is_err());
        assert_eq!(catalog::SqliteCatalog::open(data.path()).version("catalogue"), 7);

        let dearer = std::str::from_utf8(row).unwrap().replace("250", "275");
        let (mut next, packed) = manifest(dearer.as_bytes(), 1);
        next.version = 8;
        let fetch = Fetch::begin(data.path(), next.clone()).unwrap();
        assert!(fetch.take(&next.chunks[0], &packed).unwrap());
        fetch.build(data.path(), None).unwrap();
        catalog.reopen("catalogue");
        let price = catalog.item(&"4006381333931".into()).unwrap().price;
        assert_eq!(
            (price, catalog.version("catalogue")),
            (Money(275), 8),
            "a new price book leaves no old price behind"
        );
    }
}
