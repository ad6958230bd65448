//! The proof that something is gone: a search of every file it could still be in, and a signed receipt.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use drivers::vision::{ErasureCause, ErasureReceipt};
use memchr::memmem::Finder;
use ring::signature::{Ed25519KeyPair, KeyPair};
use sha2::{Digest, Sha256};

const CHUNK: usize = 1 << 20;

/// What a search came to.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) scanned: u64,
    /// A file that still holds a part of it.
    pub(super) trace: Option<PathBuf>,
}

/// Searches every file of the gallery's folder, copies of it included, for keys, and the gallery's own for the template:
/// a copy may hold a template, since nothing opens it any more.
pub(super) fn search(gallery: &Path, keys: &[Vec<u8>], sealed: Option<&[u8]>) -> std::io::Result<Found> {
    let name = gallery.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = [name.clone(), format!("{name}-wal")];
    let folder = gallery.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut found = Found::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !path.is_file() {
            continue;
        }
        let is_own = path.file_name().is_some_and(|name| own.iter().any(|own| name == own.as_str()));
        let needles: Vec<&[u8]> =
            keys.iter().map(Vec::as_slice).chain(sealed.filter(|_| is_own)).filter(|n| !n.is_empty()).collect();
        let (scanned, holds) = scan(&path, &needles)?;
        found.scanned += scanned;
        if holds {
            found.trace = Some(path);
        }
    }
    Ok(found)
}

/// Parts of a needle count: half of it, either half, is a trace.
fn scan(path: &Path, needles: &[&[u8]]) -> std::io::Result<(u64, bool)> {
    let halves: Vec<&[u8]> =
        needles.iter().flat_map(|needle| <[_; 2]>::from(needle.split_at(needle.len() / 2))).collect();
    let finders: Vec<Finder<'_>> = halves.iter().map(Finder::new).collect();
    let overlap = halves.iter().map(|half| half.len()).max().unwrap_or(0);
    let mut file = File::open(path)?;
    let (mut window, mut scanned) = (Vec::with_capacity(CHUNK + overlap), 0);
    loop {
        let count = file.by_ref().take(CHUNK as u64).read_to_end(&mut window)?;
        scanned += count as u64;
        if finders.iter().any(|finder| finder.find(&window).is_some()) {
            return Ok((scanned, true));
        }
        if count == 0 {
            return Ok((scanned, false));
        }
        let keep = window.len().saturating_sub(overlap);
        window.drain(..keep);
    }
}

pub(super) fn receipt(
    signer: &Ed25519KeyPair,
    member: &str,
    cause: ErasureCause,
    at_utc_ms: i64,
    key: &[u8],
    scanned_bytes: u64,
) -> ErasureReceipt {
    let mut receipt = ErasureReceipt {
        member: member.into(),
        at_utc_ms,
        cause,
        key_sha256: hex(&Sha256::digest(key)),
        scanned_bytes,
        public_key: hex(signer.public_key().as_ref()),
        signature: String::new(),
    };
    receipt.signature = hex(signer.sign(receipt.signed_text().as_bytes()).as_ref());
    receipt
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_of_a_key_across_two_reads_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let (gallery, copy) = (dir.path().join("gallery.db"), dir.path().join("old copy"));
        let key: Vec<u8> = (0..60).collect();
        let mut bytes = vec![0xff; CHUNK - 10];
        bytes.extend_from_slice(&key[30..]);
        std::fs::write(&copy, &bytes).unwrap();
        let found = search(&gallery, std::slice::from_ref(&key), None).unwrap();
        assert_eq!(found.trace.as_deref(), Some(copy.as_path()));
        std::fs::write(&copy, vec![0xff; CHUNK + 50]).unwrap();
        let found = search(&gallery, &[key], None).unwrap();
        assert_eq!((found.trace, found.scanned), (None, CHUNK as u64 + 50));
    }
}
