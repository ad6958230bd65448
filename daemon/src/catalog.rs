//! Reference data on the box: `catalog.db` (goods), `members.db` (people, erasable), `promotions.db`, `coupons.db`,
//! `recalls.db`, each replaced whole by rename.

use crate::coupon_key::CouponKey;
use crate::journal::Reader;
use anyhow::{Context, Result};
use checkout::catalog::{Campaign, Catalog, Item, Member, PromotionBook, Recall};
use checkout::face::{AMONG_MAX, Erasure};
use checkout::phone;
use checkout::policy::Policy;
use checkout::returns::{SaleRef, Sold};
use checkout::words::{ItemKey, MemberId, Name, PriceBook};
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The datasets a box keeps, by the name HQ gives them.
pub const DATASETS: [&str; 7] = ["catalogue", "coupons", "erasures", "members", "policy", "promotions", "recalls"];
/// Without these a box cannot do all its work; of the others there may be none.
const NEEDED: [&str; 2] = ["catalogue", "members"];

const MEMBER_BY_ID: &str = "SELECT body FROM member WHERE id = ?1";
/// Goods kept ready; about a megabyte.
const SEEN_MAX: usize = 2048;

/// Where `dataset` lives.
#[must_use]
pub fn file(data: &Path, dataset: &str) -> PathBuf {
    data.join(if dataset == "catalogue" { "catalog.db".into() } else { format!("{dataset}.db") })
}

#[derive(Debug)]
pub struct SqliteCatalog {
    data: PathBuf,
    open: BTreeMap<&'static str, Open>,
    /// Goods looked up before: what sells, sells again.
    seen: RefCell<BTreeMap<ItemKey, Item>>,
    /// The box's own sales.
    sales: Option<Reader>,
    /// Looked through after every scan, so they stand ready; thousands at most.
    promotions: PromotionBook,
    campaigns: Vec<Campaign>,
    policies: Vec<Policy>,
    coupon_key: Option<CouponKey>,
    recalls: BTreeMap<ItemKey, Vec<Recall>>,
}

#[derive(Debug)]
struct Open {
    db: Connection,
    version: u64,
    name: String,
}

impl SqliteCatalog {
    /// Opens what is there. A missing or unreadable dataset is told once and is no reason not to start.
    #[must_use]
    pub fn open(data: &Path) -> Self {
        let mut catalog = Self {
            data: data.into(),
            open: BTreeMap::new(),
            seen: RefCell::default(),
            promotions: PromotionBook::default(),
            campaigns: Vec::new(),
            policies: Vec::new(),
            coupon_key: None,
            recalls: BTreeMap::new(),
            sales: None,
        };
        for dataset in DATASETS {
            catalog.reopen(dataset);
        }
        catalog
    }

    /// Sales are looked up in this journal.
    #[must_use]
    pub fn with_sales(self, journal: Reader) -> Self {
        Self { sales: Some(journal), ..self }
    }

    /// Signed coupons are told by this key; without one they are refused.
    #[must_use]
    pub fn with_coupon_key(self, coupon_key: Option<CouponKey>) -> Self {
        Self { coupon_key, ..self }
    }

    /// Opens `dataset` again after it was replaced.
    pub fn reopen(&mut self, dataset: &str) {
        let Some(dataset) = DATASETS.into_iter().find(|known| *known == dataset) else { return };
        self.open.remove(dataset);
        let path = file(&self.data, dataset);
        let needed = NEEDED.contains(&dataset);
        match open(&path).and_then(|open| self.take(dataset, &open).map(|()| open)) {
            Ok(open) => drop(self.open.insert(dataset, open)),
            Err(_) if !needed && !path.exists() => {}
            Err(error) => tracing::warn!(
                dataset,
                file = %path.display(),
                "no {dataset} yet ({error:#}): what needs it is refused or left out until headquarters sends it; everything else works"
            ),
        }
    }

    /// Nothing of the version before is left, whether or not the new one can be read.
    fn take(&mut self, dataset: &str, open: &Open) -> Result<()> {
        match dataset {
            "promotions" => {
                self.promotions = PromotionBook::default();
                self.promotions = PromotionBook::new(open.all()?);
            }
            "coupons" => {
                self.campaigns.clear();
                self.campaigns = open.all()?;
            }
            "policy" => {
                self.policies.clear();
                self.policies = open.all()?;
            }
            "recalls" => {
                self.recalls.clear();
                for recall in open.all::<Recall>()? {
                    self.recalls.entry(recall.key.clone()).or_default().push(recall);
                }
            }
            _ => self.seen.borrow_mut().clear(),
        }
        Ok(())
    }

    /// Name and version of every dataset there is.
    pub fn in_force(&self) -> impl Iterator<Item = (&'static str, u64, &str)> {
        self.open.iter().map(|(dataset, open)| (*dataset, open.version, open.name.as_str()))
    }

    /// Version in force; 0: none.
    #[must_use]
    pub fn version(&self, dataset: &str) -> u64 {
        self.open.get(dataset).map_or(0, |open| open.version)
    }
}

impl Open {
    fn by_phone(&self, digits: &str) -> Result<Vec<Member>> {
        let mut rows = self.db.prepare_cached("SELECT body FROM member WHERE phone = ?1")?;
        let bodies = rows.query_map([phone::tail(digits)], |row| row.get::<_, String>(0))?;
        let members: Vec<Member> = bodies.map(|body| Ok(serde_json::from_str(&body?)?)).collect::<Result<_>>()?;
        let is = |member: &Member| phone::digits(&member.phone).is_some_and(|known| phone::same(&known, digits));
        Ok(members.into_iter().filter(is).collect())
    }

    /// One more than a face is narrowed to are too many.
    fn by_tail(&self, tail: &str) -> Result<Vec<MemberId>> {
        let mut rows = self.db.prepare_cached("SELECT id FROM member WHERE substr(phone, -4) = ?1 LIMIT ?2")?;
        let ids = rows.query_map(params![tail, AMONG_MAX + 1], |row| row.get::<_, String>(0))?;
        ids.map(|id| Ok(MemberId(id?))).collect()
    }

    /// Every row of a dataset that is kept in memory.
    fn all<T: serde::de::DeserializeOwned>(&self) -> Result<Vec<T>> {
        let mut rows = self.db.prepare("SELECT body FROM row ORDER BY key")?;
        let bodies = rows.query_map([], |row| row.get::<_, String>(0))?;
        bodies.map(|body| Ok(serde_json::from_str(&body?)?)).collect()
    }
}

fn open(path: &Path) -> Result<Open> {
    anyhow::ensure!(path.exists(), "the file is not there");
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // Replaced by rename and never written: one lock for as long as it is open, where each lookup would take its own.
    db.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    let meta = "SELECT version, name FROM meta";
    let (version, name) =
        db.query_row(meta, [], |row| Ok((row.get(0)?, row.get(1)?))).context("it is no dataset of ours")?;
    Ok(Open { db, version, name })
}

/// The member of that id in the dataset in force, for a question asked beside the core.
#[must_use]
pub fn member_of(data: &Path, id: &MemberId) -> Option<Member> {
    let open = open(&file(data, "members")).ok()?;
    find(Some(&open), MEMBER_BY_ID, &id.0)
}

/// A row by its key. A failing disk reads as “not on file”: the lane refuses the scan and goes on.
fn find<T: serde::de::DeserializeOwned>(open: Option<&Open>, sql: &str, key: &str) -> Option<T> {
    let body: Option<String> = open?
        .db
        .prepare_cached(sql)
        .and_then(|mut statement| statement.query_row([key], |row| row.get(0)).optional())
        .inspect_err(|error| tracing::error!(%error, "a dataset cannot be read"))
        .ok()?;
    serde_json::from_str(&body?).ok()
}

impl Catalog for SqliteCatalog {
    fn item(&self, key: &ItemKey) -> Option<Item> {
        if let Some(item) = self.seen.borrow().get(key) {
            return Some(item.clone());
        }
        let item: Item = find(self.open.get("catalogue"), "SELECT body FROM item WHERE key = ?1", &key.0)?;
        let mut seen = self.seen.borrow_mut();
        if seen.len() >= SEEN_MAX {
            seen.clear();
        }
        seen.insert(key.clone(), item.clone());
        Some(item)
    }

    fn member(&self, code: &str) -> Option<Member> {
        find(self.open.get("members"), "SELECT body FROM member WHERE code = ?1", code)
    }

    fn member_by_id(&self, id: &MemberId) -> Option<Member> {
        find(self.open.get("members"), MEMBER_BY_ID, &id.0)
    }

    fn erasure_after(&self, n: u64) -> Option<Erasure> {
        let sql = "SELECT body FROM row WHERE key > ?1 ORDER BY key LIMIT 1";
        find(self.open.get("erasures"), sql, &crate::dataset::erasure_key(n))
    }

    fn members_by_tail(&self, tail: &str) -> Vec<MemberId> {
        let Some(open) = self.open.get("members") else { return Vec::new() };
        let found = open.by_tail(tail);
        found.inspect_err(|error| tracing::debug!(%error, "members cannot be found by number")).unwrap_or_default()
    }

    fn members_by_phone(&self, digits: &str) -> Vec<Member> {
        let Some(open) = self.open.get("members") else { return Vec::new() };
        let found = open.by_phone(digits);
        // Also where the file was built before members could be found this way: its next version has the column.
        found.inspect_err(|error| tracing::debug!(%error, "members cannot be found by number")).unwrap_or_default()
    }

    fn sale(&self, asked: &SaleRef) -> Option<Sold> {
        let found = self.sales.as_ref()?.sale(asked);
        found.inspect_err(|error| tracing::error!(%error, "the journal's sales cannot be read")).ok()?
    }

    fn price_book(&self) -> PriceBook {
        PriceBook(self.open.get("catalogue").map(|open| open.name.clone()).unwrap_or_default())
    }

    fn has(&self, dataset: &str) -> bool {
        self.open.contains_key(dataset)
    }

    fn promotions(&self) -> &PromotionBook {
        &self.promotions
    }

    fn policy(&self, id: &str) -> Option<&Policy> {
        self.policies.iter().find(|policy| policy.id == id)
    }

    fn campaigns(&self) -> &[Campaign] {
        &self.campaigns
    }

    fn coupon_mac(&self, text: &str) -> Option<String> {
        self.coupon_key.as_ref().map(|key| key.mac(text))
    }

    fn recalled(&self, key: &ItemKey, lot: &str, serial: Option<&str>) -> Option<Name> {
        let recall = self.recalls.get(key)?.iter().find(|recall| recall.concerns(lot, serial))?;
        Some(recall.reason.clone())
    }
}
