//! The box's own key, made at its first start and kept outside the journal: with it the box says what its journal is.

use crate::jws;
use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use checkout::wire::{Head, Renewal, Signed};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What the file and the service manager's credential are called.
pub const NAME: &str = "box.key";

pub struct BoxKey(Ed25519KeyPair);

impl std::fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "BoxKey({})", self.public())
    }
}

impl BoxKey {
    /// The service's credential, else the file in `data`, which is made where there is none.
    ///
    /// # Errors
    /// It can neither be read nor made.
    pub fn open(data: &Path) -> Result<Self> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let path = credentials.map(|folder| folder.join(NAME)).filter(|path| path.exists());
        let path = path.unwrap_or_else(|| data.join(NAME));
        match std::fs::read(&path) {
            Ok(stored) => match Ed25519KeyPair::from_pkcs8(&stored) {
                Ok(pair) => Ok(Self(pair)),
                Err(reason) => {
                    // A shop is not closed by this; headquarters raises an alarm about the new key.
                    tracing::error!(file = %path.display(), %reason, "the box's key is damaged: a new one is made");
                    std::fs::rename(&path, path.with_extension("damaged"))?;
                    Self::make(&path)
                }
            },
            Err(error) if error.kind() == ErrorKind::NotFound => Self::make(&path),
            Err(error) => Err(error).with_context(|| format!("cannot read the box's key {}", path.display())),
        }
    }

    fn make(path: &Path) -> Result<Self> {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let made = made.map_err(|_| anyhow::anyhow!("the system gives no random numbers"))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let mut file = file.with_context(|| format!("cannot make the box's key {}", path.display()))?;
        if let Err(error) = file.write_all(made.as_ref()).and_then(|()| file.sync_all()) {
            let _ = std::fs::remove_file(path);
            return Err(error).context("the box's key cannot be written");
        }
        let pair = Ed25519KeyPair::from_pkcs8(made.as_ref());
        pair.map(Self).map_err(|reason| anyhow::anyhow!("the key just made is none: {reason}"))
    }

    /// 43 letters of base64url.
    #[must_use]
    pub fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.public_key().as_ref())
    }

    /// # Errors
    /// The document is not JSON.
    pub fn renewal(&self, tenant: &str, box_id: &str, request: String) -> Result<String> {
        let (tenant, box_id, doc) = (tenant.to_owned(), Some(box_id.to_owned()), Renewal { request });
        let rev = crate::clock::utc().0.unsigned_abs();
        jws::sign(&Signed { tenant, box_id, purpose: "renew".into(), rev, doc }, &self.0)
    }

    /// # Errors
    /// The document is not JSON.
    pub fn head(&self, tenant: &str, box_id: &str, doc: Head) -> Result<String> {
        let (tenant, box_id, rev) = (tenant.to_owned(), Some(box_id.to_owned()), doc.seq);
        jws::sign(&Signed { tenant, box_id, purpose: "head".into(), rev, doc }, &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::words::Utc;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_box_keeps_the_key_it_made_to_itself_and_a_damaged_one_does_not_close_the_shop() {
        let folder = tempfile::tempdir().unwrap();
        let key = BoxKey::open(folder.path()).unwrap();
        let mode = folder.path().join(NAME).metadata().unwrap().permissions().mode();
        assert_eq!((mode & 0o777, BoxKey::open(folder.path()).unwrap().public()), (0o600, key.public()));
        let doc = Head { journal: "j".into(), epoch: 1, seq: 7, hash: "00".into(), utc: Utc(0) };
        let signed = key.head("demo", "box-1", doc.clone()).unwrap();
        let public = jws::public_key(&key.public()).unwrap();
        assert_eq!(jws::read::<Head>(signed.as_bytes(), &public).unwrap().doc, doc);
        std::fs::write(folder.path().join(NAME), "not a key").unwrap();
        assert_ne!(BoxKey::open(folder.path()).unwrap().public(), key.public());
    }
}
