//! The gallery: who is enrolled, with consent, encrypted at rest and erasable member by member.
//!
//! Each template is sealed with a key of its own, and that key is wrapped by the store's key, which never enters the
//! database. Erasing a member destroys row and wrapped key, so that a copy of the store's key opens nothing of it.

use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use drivers::vision::{Consent, is_member_id};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};
use rusqlite::{Connection, OptionalExtension, params};
use zeroize::{Zeroize, Zeroizing};

use crate::embed::{Embedding, LENGTH, MODEL, dot};
use crate::model::Manifests;
use crate::threshold::{FPIR_TARGET, Uncalibrated, threshold};

/// Length of a key, in bytes.
pub const KEY_LENGTH: usize = 32;

const SCHEMA: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    CREATE TABLE IF NOT EXISTS key_check (only INTEGER PRIMARY KEY CHECK (only = 1), sealed BLOB NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS template (
        member TEXT PRIMARY KEY CHECK (length(member) BETWEEN 1 AND 64),
        model TEXT NOT NULL,
        frames INTEGER NOT NULL CHECK (frames > 0),
        wrapped_key BLOB NOT NULL,
        sealed BLOB NOT NULL,
        consent_purpose TEXT NOT NULL CHECK (length(consent_purpose) > 0),
        consent_text TEXT NOT NULL CHECK (length(consent_text) > 0),
        consent_at_utc_ms INTEGER NOT NULL CHECK (consent_at_utc_ms > 0)
    ) STRICT;
";

/// Why the gallery refused.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    #[error("the gallery's database failed: {0}")]
    Database(#[from] rusqlite::Error),
    #[error("the gallery was made with another key; start with the key file it was made with")]
    WrongKey,
    #[error("enrolment needs a consent with purpose, text version and time")]
    NoConsent,
    #[error("a member id is 1 to 64 of A-Z a-z 0-9 . _ -")]
    BadMember,
    #[error("the system gave no random bytes")]
    NoRandom,
}

/// A member and how alike a probe is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest<'a> {
    pub member: &'a str,
    pub cosine: f32,
}

/// Templates on disk and, opened, in memory.
pub struct Gallery {
    database: Connection,
    store_key: Zeroizing<[u8; KEY_LENGTH]>,
    random: SystemRandom,
    members: Vec<String>,
    /// One template of [`LENGTH`] numbers per member, in the order of `members`.
    templates: Zeroizing<Vec<f32>>,
    /// SQLite's count of what other processes changed.
    version: i64,
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gallery({} members)", self.members.len())
    }
}

impl Gallery {
    /// Opens or creates a gallery with the store's key; a new file is its owner's only.
    pub fn open(path: &Path, store_key: Zeroizing<[u8; KEY_LENGTH]>) -> Result<Self, GalleryError> {
        // SQLite says better than this what is wrong with a path, and gives its side files the same mode.
        let _ = std::fs::OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Self::with(Connection::open(path)?, store_key)
    }

    /// A gallery that vanishes with the process, under a key of its own.
    pub fn in_memory() -> Result<Self, GalleryError> {
        let key = random_key(&SystemRandom::new())?;
        Self::with(Connection::open_in_memory()?, key)
    }

    fn with(database: Connection, store_key: Zeroizing<[u8; KEY_LENGTH]>) -> Result<Self, GalleryError> {
        database.execute_batch(SCHEMA)?;
        let mut gallery = Self {
            database,
            store_key,
            random: SystemRandom::new(),
            members: Vec::new(),
            templates: Zeroizing::default(),
            version: 0,
        };
        gallery.check_key()?;
        gallery.version = gallery.data_version()?;
        gallery.load()?;
        Ok(gallery)
    }

    /// Takes over what another process enrolled or erased since.
    pub fn refresh(&mut self) -> Result<(), GalleryError> {
        let version = self.data_version()?;
        if version != self.version {
            self.version = version;
            self.members.clear();
            self.templates = Zeroizing::default();
            self.load()?;
        }
        Ok(())
    }

    fn data_version(&self) -> Result<i64, GalleryError> {
        Ok(self.database.query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    fn check_key(&self) -> Result<(), GalleryError> {
        let sealed: Option<Vec<u8>> =
            self.database.query_row("SELECT sealed FROM key_check", [], |row| row.get(0)).optional()?;
        if let Some(sealed) = sealed {
            return open(&self.store_key, b"key check", sealed).map(drop).ok_or(GalleryError::WrongKey);
        }
        let sealed = self.seal(&self.store_key, b"key check", &[])?;
        self.database.execute("INSERT INTO key_check VALUES (1, ?1)", [sealed])?;
        Ok(())
    }

    fn load(&mut self) -> Result<(), GalleryError> {
        let mut rows = Vec::new();
        {
            let mut query =
                self.database.prepare("SELECT member, wrapped_key, sealed FROM template WHERE model = ?1")?;
            let mut found = query.query([MODEL])?;
            while let Some(row) = found.next()? {
                rows.push((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?, row.get::<_, Vec<u8>>(2)?));
            }
        }
        let total: u32 = self.database.query_row("SELECT count(*) FROM template", [], |row| row.get(0))?;
        self.templates.reserve_exact(rows.len() * LENGTH);
        for (member, wrapped_key, sealed) in rows {
            if let Some(template) = self.unseal(&member, wrapped_key, sealed) {
                self.remember(&member, &template);
            }
        }
        let unreadable = (total as usize).saturating_sub(self.members.len());
        if unreadable > 0 {
            tracing::warn!(
                unreadable,
                "templates cannot be read or belong to another model; enrol these members again"
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
        let key = random_key(&self.random)?;
        let wrapped_key = self.seal(&self.store_key, &context("key", member), key.as_slice())?;
        let plain: Zeroizing<Vec<u8>> =
            Zeroizing::new(template.as_slice().iter().flat_map(|number| number.to_le_bytes()).collect());
        let sealed = self.seal(&key, &context(MODEL, member), &plain)?;
        self.database
            .execute(
                "INSERT OR REPLACE INTO template VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    member,
                    MODEL,
                    frames,
                    wrapped_key,
                    sealed,
                    consent.purpose,
                    consent.text_version,
                    consent.at_utc_ms
                ],
            )
            .map_err(refused)?;
        self.forget(member);
        self.remember(member, template.as_slice());
        self.settle()
    }

    /// Destroys a member's template and key; says whether there was one.
    pub fn erase(&mut self, member: &str) -> Result<bool, GalleryError> {
        let rows = self.database.execute("DELETE FROM template WHERE member = ?1", [member])?;
        self.forget(member);
        self.settle()?;
        Ok(rows > 0)
    }

    /// Moves everything out of the write-ahead log, which would keep what was erased.
    fn settle(&self) -> Result<(), GalleryError> {
        self.database.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// Enrolled members that can be recognised.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The cosine that keeps strangers out at this gallery's size.
    pub fn threshold(&self) -> Result<f32, Uncalibrated> {
        threshold(&Manifests::compiled().recogniser.calibration, FPIR_TARGET, self.len())
    }

    /// The two members most like a probe, nearest first, compared with every template.
    pub fn nearest(&self, probe: &Embedding) -> Vec<Nearest<'_>> {
        let mut best: Vec<Nearest<'_>> = Vec::with_capacity(3);
        for (member, template) in self.members.iter().zip(self.templates.chunks_exact(LENGTH)) {
            let cosine = dot(template, probe.as_slice());
            if best.len() < 2 || best[1].cosine < cosine {
                let at = best.partition_point(|other| other.cosine >= cosine);
                best.insert(at, Nearest { member, cosine });
                best.truncate(2);
            }
        }
        best
    }

    fn remember(&mut self, member: &str, template: &[f32]) {
        // Growing by hand: a vector that reallocates leaves the old templates behind in freed memory.
        if self.templates.capacity() < self.templates.len() + LENGTH {
            let mut larger = Vec::with_capacity((self.templates.len() + LENGTH) * 2);
            larger.extend_from_slice(&self.templates);
            self.templates = Zeroizing::new(larger);
        }
        self.members.push(member.to_owned());
        self.templates.extend_from_slice(template);
    }

    fn forget(&mut self, member: &str) {
        let Some(at) = self.members.iter().position(|other| other == member) else {
            return;
        };
        let last = self.members.len() - 1;
        self.members.swap_remove(at);
        self.templates.copy_within(last * LENGTH.., at * LENGTH);
        self.templates[last * LENGTH..].zeroize();
        self.templates.truncate(last * LENGTH);
    }

    fn unseal(&self, member: &str, wrapped_key: Vec<u8>, sealed: Vec<u8>) -> Option<Zeroizing<Vec<f32>>> {
        let key = open(&self.store_key, &context("key", member), wrapped_key)?;
        let key = Zeroizing::new(<[u8; KEY_LENGTH]>::try_from(key.as_slice()).ok()?);
        let plain = open(&key, &context(MODEL, member), sealed)?;
        let (quads, rest) = plain.as_chunks::<4>();
        let whole = quads.len() == LENGTH && rest.is_empty();
        whole.then(|| Zeroizing::new(quads.iter().map(|quad| f32::from_le_bytes(*quad)).collect()))
    }

    /// Nonce, ciphertext and tag. Nonces are random: a key seals so rarely that they do not repeat.
    fn seal(&self, key: &[u8; KEY_LENGTH], context: &[u8], plain: &[u8]) -> Result<Vec<u8>, GalleryError> {
        let mut nonce = [0; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(|_| GalleryError::NoRandom)?;
        let mut body = Vec::with_capacity(plain.len() + CHACHA20_POLY1305.tag_len());
        body.extend_from_slice(plain);
        cipher(key)
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut body)
            .expect("a template is far below the cipher's limit");
        Ok([nonce.as_slice(), &body].concat())
    }
}

fn open(key: &[u8; KEY_LENGTH], context: &[u8], mut sealed: Vec<u8>) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_at_mut_checked(NONCE_LEN)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let plain = cipher(key).open_in_place(nonce, Aad::from(context), body).ok()?;
    let copy = Zeroizing::new(plain.to_vec());
    plain.zeroize();
    Some(copy)
}

fn cipher(key: &[u8; KEY_LENGTH]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).expect("the key has the cipher's length"))
}

fn random_key(random: &SystemRandom) -> Result<Zeroizing<[u8; KEY_LENGTH]>, GalleryError> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    random.fill(key.as_mut_slice()).map_err(|_| GalleryError::NoRandom)?;
    Ok(key)
}

/// Binds a ciphertext to what it is and whose, so that rows cannot be swapped.
fn context(what: &str, member: &str) -> Vec<u8> {
    format!("aisle gallery 1|{what}|{member}").into_bytes()
}

fn refused(error: rusqlite::Error) -> GalleryError {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => GalleryError::NoConsent,
        Some(_) | None => GalleryError::Database(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consent() -> Consent {
        Consent { purpose: "face pay".into(), text_version: "2026-11".into(), at_utc_ms: 1_795_000_000_000 }
    }

    fn person(seed: usize) -> Embedding {
        Embedding::normalised((0..LENGTH).map(|i| ((i * 7 + seed * 31) as f32).sin()).collect()).unwrap()
    }

    fn key(byte: u8) -> Zeroizing<[u8; KEY_LENGTH]> {
        Zeroizing::new([byte; KEY_LENGTH])
    }

    fn holds(dir: &Path, needle: &[u8]) -> bool {
        ["gallery.db", "gallery.db-wal"]
            .iter()
            .filter_map(|name| std::fs::read(dir.join(name)).ok())
            .any(|bytes| bytes.windows(needle.len()).any(|window| window == needle))
    }

    #[test]
    fn members_survive_a_restart_and_only_with_the_right_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gallery.db");
        let mut gallery = Gallery::open(&path, key(1)).unwrap();
        gallery.enrol("m-1", &consent(), &person(1), 3).unwrap();
        gallery.enrol("m-2", &consent(), &person(2), 3).unwrap();
        let mut reopened = Gallery::open(&path, key(1)).unwrap();
        let nearest = reopened.nearest(&person(2));
        assert_eq!(nearest[0].member, "m-2");
        assert!((nearest[0].cosine - 1.0).abs() < 1e-5 && nearest[1].cosine < 0.99);
        assert!(matches!(Gallery::open(&path, key(2)), Err(GalleryError::WrongKey)));
        let plain: Vec<u8> = person(1).as_slice()[..4].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert!(!holds(dir.path(), &plain), "a template lies readable on disk");
        gallery.erase("m-2").unwrap();
        reopened.refresh().unwrap();
        assert_eq!(reopened.len(), 1, "what one process erases, the other forgets");
    }

    #[test]
    fn no_template_without_consent() {
        let mut gallery = Gallery::in_memory().unwrap();
        for broken in [
            Consent { purpose: String::new(), ..consent() },
            Consent { text_version: String::new(), ..consent() },
            Consent { at_utc_ms: 0, ..consent() },
        ] {
            let refused = gallery.enrol("m-1", &broken, &person(1), 3);
            assert!(matches!(refused, Err(GalleryError::NoConsent)));
        }
        let bare =
            "INSERT INTO template (member, model, frames, wrapped_key, sealed) VALUES ('m', 'x', 1, x'00', x'00')";
        assert!(gallery.database.execute(bare, []).is_err(), "the database itself refuses");
        assert!(gallery.is_empty());
    }

    #[test]
    fn an_erased_member_leaves_no_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let mut gallery = Gallery::open(&dir.path().join("gallery.db"), key(1)).unwrap();
        for member in 0..8 {
            gallery.enrol(&format!("m-{member}"), &consent(), &person(member), 3).unwrap();
        }
        let sql = "SELECT wrapped_key, sealed FROM template WHERE member = 'm-3'";
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let (wrapped, sealed): (Vec<u8>, Vec<u8>) = gallery.database.query_row(sql, [], row).unwrap();
        assert!(holds(dir.path(), &sealed[..32]) && holds(dir.path(), &wrapped));
        assert!(gallery.erase("m-3").unwrap());
        for part in [&sealed[..32], &sealed[sealed.len() - 32..], &wrapped, b"m-3"] {
            assert!(!holds(dir.path(), part), "erased bytes are still on disk");
        }
        assert_eq!(gallery.len(), 7);
        assert!(gallery.nearest(&person(3))[0].cosine < 0.99);
        assert_eq!(gallery.nearest(&person(7))[0].member, "m-7", "the last template moved with its member");
        assert!(!gallery.erase("m-3").unwrap());
    }

    #[test]
    fn a_row_moved_to_another_member_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("gallery.db");
        let mut gallery = Gallery::open(&path, key(1)).unwrap();
        gallery.enrol("m-1", &consent(), &person(1), 3).unwrap();
        gallery.database.execute("UPDATE template SET member = 'm-9'", []).unwrap();
        drop(gallery);
        assert!(Gallery::open(&path, key(1)).unwrap().is_empty());
        let mut gallery = Gallery::in_memory().unwrap();
        assert!(matches!(gallery.enrol("no spaces", &consent(), &person(1), 1), Err(GalleryError::BadMember)));
    }

    #[test]
    fn the_two_nearest_are_exact() {
        let mut gallery = Gallery::in_memory().unwrap();
        for member in 0..50 {
            gallery.enrol(&format!("m-{member}"), &consent(), &person(member), 1).unwrap();
        }
        let probe = person(51);
        let mut all: Vec<f32> = (0..50).map(|member| person(member).cosine(&probe)).collect();
        all.sort_by(|a, b| b.total_cmp(a));
        let found = gallery.nearest(&probe);
        assert_eq!([found[0].cosine, found[1].cosine], [all[0], all[1]]);
    }
}
