//! The key a tenant's stores and headquarters sign coupons with. It is read once, never written, never logged.

use anyhow::{Context, Result};
use checkout::coupon::code;
use ring::hmac;
use std::path::{Path, PathBuf};

/// What the service manager calls it.
const CREDENTIAL: &str = "coupon.key";

pub struct CouponKey(hmac::Key);

impl std::fmt::Debug for CouponKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CouponKey(***)")
    }
}

impl CouponKey {
    /// The file the configuration names, else the service's credential where there is one.
    ///
    /// # Errors
    /// A file that was named and cannot be read, or one that holds no key.
    pub fn find(named: Option<&Path>) -> Result<Option<Self>> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let credential = credentials.map(|folder| folder.join(CREDENTIAL)).filter(|path| path.exists());
        let Some(path) = named.map(Path::to_owned).or(credential) else { return Ok(None) };
        let text = std::fs::read_to_string(&path).with_context(|| format!("coupon key {}", path.display()))?;
        let key = code::key(&text).with_context(|| {
            format!(
                "{} holds no coupon key: 64 hexadecimal digits, as `aisle-hq coupon keygen` makes them",
                path.display()
            )
        })?;
        Ok(Some(Self::of(&key)))
    }

    fn of(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// What stands behind a signed coupon's text.
    #[must_use]
    pub fn mac(&self, text: &str) -> String {
        code::mac_word(hmac::sign(&self.0, text.as_bytes()).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_signs_as_headquarters_does() {
        assert_eq!(CouponKey::of(&[0x0f; 32]).mac("tea.7"), "zhszjzrhy33yu2mf");
    }

    #[test]
    fn a_key_is_found_where_the_configuration_says_and_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(CouponKey::find(Some(&path)).is_err(), "named and not there");
        std::fs::write(&path, "not a key").unwrap();
        let error = format!("{:#}", CouponKey::find(Some(&path)).unwrap_err());
        assert!(error.contains("keygen") && !error.contains("not a key"), "{error}");
        std::fs::write(&path, "0f".repeat(32) + "\n").unwrap();
        let key = CouponKey::find(Some(&path)).unwrap().unwrap();
        assert!(!format!("{key:?}").contains("0f"));
    }
}
