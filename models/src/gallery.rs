//! The gallery: who is enrolled, with consent, encrypted at rest and erasable member by member.
//!
//! Two files. `gallery.db` holds what may be copied: consents, and templates turned by the epoch's secret rotation and sealed
//! with a key per member. `gallery.keys` beside it holds those keys, wrapped by the store's key, and is never copied. Erasing a
//! member destroys the key, so that every copy of `gallery.db` ever made is unreadable for that member, whatever else is known.

mod erasure;
mod rotation;
mod seal;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use drivers::vision::{Age, Consent, ErasureCause, ErasureReceipt, is_member_id};
use ring::rand::SystemRandom;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use zeroize::Zeroizing;

use crate::embed::{Embedding, LENGTH};
use crate::manifest::{Family, Manifest};
use crate::search::{Found, Index, Slot};
use crate::threshold::{FPIR_TARGET, Uncalibrated, threshold};
use rotation::Rotation;
use seal::{Key, Keys, context, open, random_key, seal};

/// Length of a key, in bytes.
pub const KEY_LENGTH: usize = 32;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A day's matches leave one trace.
const SEEN_EVERY_MS: i64 = DAY_MS;

/// Why the gallery refused.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    #[error("the gallery's database failed: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the gallery cannot be searched for what was erased: {0}")]
    Scan(#[from] std::io::Error),
    #[error("the gallery was made with another key; start with the key file it was made with")]
    WrongKey,
    #[error("no template without a stored consent: {0}")]
    NoConsent(String),
    #[error("a member id is 1 to 64 of A-Z a-z 0-9 . _ -")]
    BadMember,
    #[error(
        "gallery.db is a copy from before the last re-keying: put the newer one back, or remove gallery.keys to begin anew"
    )]
    OldCopy,
    #[error("the system gave no random bytes")]
    NoRandom,
    #[error("erased, but {0} still holds a trace: remove that file, then erase again")]
    StillThere(String),
}

/// How long a template stays that nobody is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    idle_days: u16,
    stale_days: u16,
}

impl Retention {
    /// No shop keeps a face longer than this, whatever it says.
    pub const IDLE_DAYS_MAX: u16 = 3 * 365;

    /// `None` for no days at all, or for more than three years.
    pub fn of(idle_days: u16) -> Option<Self> {
        (1..=Self::IDLE_DAYS_MAX).contains(&idle_days).then_some(Self { idle_days, stale_days: idle_days })
    }

    /// The same, with templates of a recogniser that was swapped out going sooner: nobody is recognised by them any more.
    #[must_use]
    pub fn stale_after(self, days: u16) -> Self {
        Self { stale_days: days.min(self.idle_days), ..self }
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self { idle_days: 365, stale_days: 365 }
    }
}

/// A member and how alike a probe is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest<'a> {
    pub member: &'a str,
    pub cosine: f32,
}

/// Templates on disk and, opened but turned, in memory.
pub struct Gallery {
    database: Connection,
    member_keys: Connection,
    /// Where `gallery.db` lies; none for one that vanishes with the process.
    path: Option<PathBuf>,
    keys: Keys,
    epoch: u64,
    rotation: Rotation,
    random: SystemRandom,
    /// What makes the templates that can be compared.
    recogniser: Family,
    /// Members whose template another recogniser made.
    stale: BTreeSet<String>,
    index: Index,
    slots: BTreeMap<String, Slot>,
    members: BTreeMap<Slot, String>,
    /// SQLite's count of what other processes changed.
    version: i64,
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({} members)", self.len())
    }
}

impl Gallery {
    /// Opens or creates a gallery of the built-in recogniser, with the store's key.
    pub fn open(path: &Path, store_key: Zeroizing<[u8; KEY_LENGTH]>) -> Result<Self, GalleryError> {
        Self::open_for(path, store_key, Manifest::built_in().recogniser)
    }

    /// Opens or creates a gallery with the store's key; new files are their owner's only. What another recogniser made stays
    /// until its retention ends, and is never compared.
    pub fn open_for(
        path: &Path,
        store_key: Zeroizing<[u8; KEY_LENGTH]>,
        recogniser: Family,
    ) -> Result<Self, GalleryError> {
        let keys = path.with_extension("keys");
        for file in [path, &keys] {
            // SQLite says better than this what is wrong with a path, and gives its side files the same mode.
            let _ = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(file);
        }
        Self::with(Connection::open(path)?, Connection::open(keys)?, Some(path.to_owned()), &store_key, recogniser)
    }

    /// A gallery that vanishes with the process, under a key of its own.
    pub fn in_memory() -> Result<Self, GalleryError> {
        let key = random_key(&SystemRandom::new())?;
        let recogniser = Manifest::built_in().recogniser;
        Self::with(Connection::open_in_memory()?, Connection::open_in_memory()?, None, &key, recogniser)
    }

    fn with(
        database: Connection,
        member_keys: Connection,
        path: Option<PathBuf>,
        store_key: &Key,
        recogniser: Family,
    ) -> Result<Self, GalleryError> {
        tables::prepare(&database, &member_keys)?;
        let keys = Keys::of(store_key);
        let random = SystemRandom::new();
        let epoch = tables::epoch(&database, &keys.wrap, &random)?;
        let rotation = Rotation::of(&keys.rotation, epoch);
        let mut gallery = Self {
            database,
            member_keys,
            path,
            keys,
            epoch,
            rotation,
            random,
            recogniser,
            stale: BTreeSet::new(),
            index: Index::default(),
            slots: BTreeMap::new(),
            members: BTreeMap::new(),
            version: 0,
        };
        gallery.version = gallery.data_version()?;
        gallery.tidy()?;
        gallery.load()?;
        Ok(gallery)
    }

    /// Takes over what another process enrolled, erased or sealed anew since.
    pub fn refresh(&mut self) -> Result<(), GalleryError> {
        let version = self.data_version()?;
        if version != self.version {
            self.version = version;
            let epoch = tables::epoch(&self.database, &self.keys.wrap, &self.random)?;
            if epoch != self.epoch {
                self.epoch = epoch;
                self.rotation = Rotation::of(&self.keys.rotation, epoch);
            }
            self.load()?;
        }
        Ok(())
    }

    fn data_version(&self) -> Result<i64, GalleryError> {
        Ok(self.database.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// Ends what a power cut left half done: keys of another epoch, and keys without a template. Beside a copy of an older
    /// epoch nothing is half done: the keys are those of the gallery that was there before.
    fn tidy(&mut self) -> Result<(), GalleryError> {
        if self.is_old_copy()? {
            tracing::warn!("{}", GalleryError::OldCopy);
            return Ok(());
        }
        let Ok(work) = self.database.transaction_with_behavior(TransactionBehavior::Immediate) else {
            return Ok(());
        };
        let mut known = work.prepare("SELECT 1 FROM face WHERE member = ?1")?;
        let mut keys = self.member_keys.prepare("SELECT member, epoch FROM member_key")?;
        let mut stray = Vec::new();
        let mut rows = keys.query([])?;
        while let Some(row) = rows.next()? {
            let (member, epoch): (String, i64) = (row.get(0)?, row.get(1)?);
            if epoch.unsigned_abs() != self.epoch || !known.exists([&member])? {
                stray.push((member, epoch));
            }
        }
        drop(rows);
        drop(keys);
        for (member, epoch) in &stray {
            let sql = "DELETE FROM member_key WHERE member = ?1 AND epoch = ?2";
            self.member_keys.execute(sql, params![member, epoch])?;
        }
        drop(known);
        drop(work);
        if stray.is_empty() { Ok(()) } else { tables::settle(&self.member_keys) }
    }

    /// Whether the keys are all of a later epoch: one that a power cut interrupted has those of the epoch in force, too.
    fn is_old_copy(&self) -> Result<bool, GalleryError> {
        let epoch = i64::try_from(self.epoch).unwrap_or(i64::MAX);
        let sql = "SELECT count(*) > 0 AND min(epoch) > ?1 FROM member_key";
        Ok(self.member_keys.query_row(sql, [epoch], |row| row.get(0))?)
    }

    fn load(&mut self) -> Result<(), GalleryError> {
        self.index = Index::default();
        self.slots.clear();
        self.members.clear();
        let (mut rows, mut stale) = (Vec::new(), BTreeSet::new());
        let made_by = self.recogniser.id();
        {
            let mut query = self.database.prepare("SELECT member, sealed, model FROM face")?;
            let mut found = query.query([])?;
            while let Some(row) = found.next()? {
                if row.get::<_, String>(2)? == made_by {
                    rows.push((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?));
                } else {
                    stale.insert(row.get(0)?);
                }
            }
        }
        let total = rows.len();
        for (member, sealed) in rows {
            if let Some(template) = self.unseal(&member, sealed)? {
                self.remember(&member, &template);
            }
        }
        self.stale = stale;
        let unreadable = total.saturating_sub(self.len());
        if unreadable > 0 {
            tracing::warn!(unreadable, "templates have no key any more; enrol these members again");
        }
        if !self.stale.is_empty() {
            let stale = self.stale.len();
            tracing::warn!(
                stale,
                "templates were made by another recogniser and are not compared; enrol these members again"
            );
        }
        Ok(())
    }

    /// Stores one member's template, replacing an older one.
    pub fn enrol(
        &mut self,
        member: &str,
        consent: &Consent,
        template: &Embedding,
        frames: u8,
    ) -> Result<(), GalleryError> {
        if !is_member_id(member) {
            return Err(GalleryError::BadMember);
        }
        if let Some(fault) = consent.fault() {
            return Err(GalleryError::NoConsent(fault.text().to_owned()));
        }
        if self.is_old_copy()? {
            return Err(GalleryError::OldCopy);
        }
        let Some(turned) = self.rotation.turn(template.as_slice()) else {
            return Err(GalleryError::NoRandom);
        };
        let (wrapped, sealed) = self.sealed(&self.keys.wrap, self.epoch, member, &turned)?;
        self.forget(member);
        // Until its template is there, too, a key opens nothing: a power cut in between loses nothing but the attempt, and
        // another process that starts meanwhile waits before it tidies up.
        let work = Transaction::new_unchecked(&self.database, TransactionBehavior::Immediate)?;
        let sql = "INSERT OR REPLACE INTO member_key (member, epoch, wrapped) VALUES (?1, ?2, ?3)";
        self.member_keys.execute(sql, params![member, i64::try_from(self.epoch).unwrap_or(i64::MAX), wrapped])?;
        tables::settle(&self.member_keys)?;
        work.execute(
            "INSERT OR REPLACE INTO face (member, model, frames, sealed, consent_purpose, consent_text, consent_sha256,
                    consent_at, consent_until, channel, under_14, guardian, seen)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?8)",
            params![
                member,
                self.recogniser.id(),
                frames,
                sealed,
                consent.purpose,
                consent.text_version,
                consent.text_sha256,
                consent.at_utc_ms,
                consent.until_utc_ms,
                consent.channel.code(),
                consent.age == Age::UnderFourteen,
                consent.guardian
            ],
        )
        .map_err(refused)?;
        work.commit()?;
        self.remember(member, &turned);
        tables::settle(&self.database)
    }

    /// A fresh key for a member, wrapped, and the template sealed with it.
    fn sealed(
        &self,
        wrap: &Key,
        epoch: u64,
        member: &str,
        turned: &Embedding,
    ) -> Result<(Vec<u8>, Vec<u8>), GalleryError> {
        let key = random_key(&self.random)?;
        let wrapped = seal(&self.random, wrap, &context("key", epoch, member), key.as_slice())?;
        let plain: Zeroizing<Vec<u8>> =
            Zeroizing::new(turned.as_slice().iter().flat_map(|number| number.to_le_bytes()).collect());
        let sealed = seal(&self.random, &key, &context(&self.recogniser.id(), epoch, member), &plain)?;
        Ok((wrapped, sealed))
    }

    /// Destroys a member's key and template, and says so under a signature once no file holds them any more; nothing where
    /// there was nothing, or only what was agreed to at `before` or later.
    pub fn erase(
        &mut self,
        member: &str,
        before: Option<i64>,
        cause: ErasureCause,
        now_ms: i64,
    ) -> Result<Option<ErasureReceipt>, GalleryError> {
        let row = "SELECT sealed, consent_at FROM face WHERE member = ?1";
        let face: Option<(Vec<u8>, i64)> =
            self.database.query_row(row, [member], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        if face.as_ref().is_some_and(|(_, at)| before.is_some_and(|before| *at >= before)) {
            return Ok(None);
        }
        let mut traces: Vec<Vec<u8>> = Vec::new();
        {
            let mut query = self.member_keys.prepare("SELECT wrapped FROM member_key WHERE member = ?1")?;
            let mut rows = query.query([member])?;
            while let Some(row) = rows.next()? {
                traces.push(row.get(0)?);
            }
        }
        self.forget(member);
        let Some(key) = traces.first().cloned().or_else(|| face.as_ref().map(|_| Vec::new())) else {
            return Ok(None);
        };
        // The key first: from here on every copy of the template is noise.
        self.member_keys.execute("DELETE FROM member_key WHERE member = ?1", [member])?;
        tables::settle(&self.member_keys)?;
        self.database.execute("DELETE FROM face WHERE member = ?1", [member])?;
        tables::settle(&self.database)?;
        let sealed = face.map(|(sealed, _)| sealed);
        let scanned_bytes = self.prove(&traces, sealed.as_deref())?;
        Ok(Some(erasure::receipt(&self.keys.receipts, member, cause, now_ms, &key, scanned_bytes)))
    }

    /// Searches every file beside the gallery for the destroyed keys, and its own files for the template.
    fn prove(&self, keys: &[Vec<u8>], sealed: Option<&[u8]>) -> Result<u64, GalleryError> {
        let Some(path) = &self.path else { return Ok(0) };
        let found = erasure::search(path, keys, sealed)?;
        if found.trace.is_none() {
            return Ok(found.scanned);
        }
        // SQLite moved rows about and left an old copy on a page: written anew, a file holds what it holds and no more.
        for database in [&self.database, &self.member_keys] {
            database.execute_batch("VACUUM")?;
            tables::settle(database)?;
        }
        let found = erasure::search(path, keys, sealed)?;
        found.trace.map_or(Ok(found.scanned), |file| Err(GalleryError::StillThere(file.display().to_string())))
    }

    /// Erases what has reached its end: the consent's, or nobody was recognised by it for too long.
    pub fn expire(&mut self, now_ms: i64, retention: Retention) -> Result<Vec<ErasureReceipt>, GalleryError> {
        let before = |days: u16| now_ms.saturating_sub(i64::from(days) * DAY_MS);
        let (idle, stale) = (before(retention.idle_days), before(retention.stale_days));
        let due: Vec<String> = {
            let sql = "SELECT member FROM face
                 WHERE consent_until <= ?1 OR seen <= ?2 OR (model <> ?3 AND seen <= ?4)";
            let mut query = self.database.prepare(sql)?;
            let made_by = self.recogniser.id();
            query.query_map(params![now_ms, idle, made_by, stale], |row| row.get(0))?.collect::<Result<_, _>>()?
        };
        let mut receipts = Vec::new();
        for member in due {
            receipts.extend(self.erase(&member, None, ErasureCause::Expired, now_ms)?);
        }
        Ok(receipts)
    }

    /// A member was recognised: the template is in use. By day, so that nobody's visits can be read from it.
    pub fn seen(&self, member: &str, now_ms: i64) -> Result<(), GalleryError> {
        let sql = "UPDATE face SET seen = ?2 WHERE member = ?1 AND seen < ?3";
        self.database.execute(sql, params![member, now_ms, now_ms.saturating_sub(SEEN_EVERY_MS)])?;
        Ok(())
    }

    /// Turns every template by the next epoch's rotation and seals it under fresh keys, of another store's key where one is
    /// given. Nobody enrols again; what was copied before is of no use afterwards.
    pub fn rekey(&mut self, store_key: Option<&Zeroizing<[u8; KEY_LENGTH]>>) -> Result<u64, GalleryError> {
        self.refresh()?;
        let keys = store_key.map(Keys::of);
        let epoch = self.epoch + 1;
        let (wrap, secret) = keys.as_ref().map_or((&self.keys.wrap, &self.keys.rotation), |k| (&k.wrap, &k.rotation));
        let rotation = Rotation::of(secret, epoch);
        let mut turned = Vec::with_capacity(self.len());
        for (member, slot) in &self.slots {
            let Some(template) = self.index.template(*slot) else { continue };
            let again = self.rotation.turn_back(template).and_then(|plain| rotation.turn(plain.as_slice()));
            if let Some(again) = again {
                let (wrapped, sealed) = self.sealed(wrap, epoch, member, &again)?;
                turned.push((member.clone(), wrapped, sealed));
            }
        }
        let check = tables::check(&self.random, wrap)?;
        tables::switch(&mut self.database, &mut self.member_keys, epoch, &check, &turned)?;
        if let Some(keys) = keys {
            self.keys = keys;
        }
        (self.epoch, self.rotation) = (epoch, rotation);
        self.load()?;
        Ok(epoch)
    }

    /// A copy of `gallery.db` for a backup. Without `gallery.keys`, which is never copied, it opens nothing; beside it, it
    /// opens whoever has not been erased since.
    pub fn backup(&self, to: &Path) -> Result<(), GalleryError> {
        self.database.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        Ok(())
    }

    /// Members who have to enrol again, because another recogniser made their templates.
    pub fn stale(&self) -> usize {
        self.stale.len()
    }

    /// Enrolled members that can be recognised.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// A search among all members, or among those named.
    pub fn search<'a>(&'a self, among: Option<&'a [String]>) -> Search<'a> {
        let slots = among.map(|among| {
            // Each once: named twice, a member would be its own double.
            let slots: BTreeSet<Slot> = among.iter().filter_map(|member| self.slots.get(member).copied()).collect();
            slots.into_iter().collect()
        });
        Search { gallery: self, among: slots }
    }

    fn remember(&mut self, member: &str, template: &Embedding) {
        let slot = self.index.insert(template);
        self.slots.insert(member.to_owned(), slot);
        self.members.insert(slot, member.to_owned());
    }

    fn forget(&mut self, member: &str) {
        self.stale.remove(member);
        if let Some(slot) = self.slots.remove(member) {
            self.index.remove(slot);
            self.members.remove(&slot);
        }
    }

    fn unseal(&self, member: &str, sealed: Vec<u8>) -> Result<Option<Embedding>, GalleryError> {
        let sql = "SELECT wrapped FROM member_key WHERE member = ?1 AND epoch = ?2";
        let epoch = i64::try_from(self.epoch).unwrap_or(i64::MAX);
        let wrapped: Option<Vec<u8>> =
            self.member_keys.prepare_cached(sql)?.query_row(params![member, epoch], |row| row.get(0)).optional()?;
        Ok(wrapped.and_then(|wrapped| self.opened(member, wrapped, sealed)))
    }

    fn opened(&self, member: &str, wrapped: Vec<u8>, sealed: Vec<u8>) -> Option<Embedding> {
        let key = open(&self.keys.wrap, &context("key", self.epoch, member), wrapped)?;
        let key = Zeroizing::new(<[u8; KEY_LENGTH]>::try_from(key.as_slice()).ok()?);
        let plain = open(&key, &context(&self.recogniser.id(), self.epoch, member), sealed)?;
        let (quads, rest) = plain.as_chunks::<4>();
        let whole = quads.len() == LENGTH && rest.is_empty();
        Embedding::normalised(quads.iter().filter(|_| whole).map(|quad| f32::from_le_bytes(*quad)).collect())
    }
}

/// One search: the members that can be meant, and the cosine that keeps strangers out among so many.
#[derive(Debug, Clone)]
pub struct Search<'a> {
    gallery: &'a Gallery,
    among: Option<Vec<Slot>>,
}

impl<'a> Search<'a> {
    fn len(&self) -> usize {
        self.among.as_ref().map_or(self.gallery.len(), Vec::len)
    }

    /// The cosine a match needs at this size; an error where the calibration cannot vouch for it.
    pub fn threshold(&self) -> Result<f32, Uncalibrated> {
        threshold(&self.gallery.recogniser.calibration, FPIR_TARGET, self.len())
    }

    /// The two members most like a probe, nearest first, compared with every template that can be meant.
    pub fn nearest(&self, probe: &Embedding) -> Vec<Nearest<'a>> {
        let Some(probe) = self.gallery.rotation.turn(probe.as_slice()) else {
            return Vec::new();
        };
        let index = &self.gallery.index;
        let best = match &self.among {
            Some(slots) => index.top2_among(&probe, slots),
            None => index.top2(&probe),
        };
        let nearest = |Found { slot, score }| Some(Nearest { member: self.gallery.members.get(&slot)?, cosine: score });
        best.into_iter().flatten().filter_map(nearest).collect()
    }
}

fn refused(error: rusqlite::Error) -> GalleryError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => GalleryError::NoConsent(error.to_string()),
        Some(_) | None => GalleryError::Database(error),
    }
}

#[cfg(test)]
mod tests;
