//! Names the fold: a snapshot of facts is believed only by the code that made it, and nobody has to remember to count a version up.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let root = Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    // FNV-1a: it tells versions apart, it guards nothing.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let body = fs::read(&file).expect("the core's sources can be read");
        for byte in file.strip_prefix(&root).unwrap_or(&file).to_string_lossy().bytes().chain([0]).chain(body) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    println!("cargo:rustc-env=AISLE_FOLD={hash:016x}");
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the core's sources can be listed").flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}
