//! Installing models: fetch what their publishers ship, check it, make it fast, put it in place in one step each.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::manifest::{Conversion, Family, ModelFile, Models, Upstream};
use crate::model::{read_capped, sha256};
use crate::progress::Progress;
use crate::{onnx, openvino};

/// A download that takes longer is given up.
const DOWNLOAD_TIME: Duration = Duration::from_secs(300);

/// Makes every model of a folder, from files in `from`, or from their publishers when there is no such folder.
///
/// Files that are in place already stay; a file with other contents than its publisher's is refused.
pub fn install(models: &Models, from: Option<&Path>) -> anyhow::Result<()> {
    let to = models.folder();
    std::fs::create_dir_all(to).with_context(|| format!("cannot create folder {}", to.display()))?;
    for family in models.manifest().families() {
        install_family(models, family, from)?;
    }
    Ok(())
}

fn install_family(models: &Models, family: &Family, from: Option<&Path>) -> anyhow::Result<()> {
    let mut fetched = BTreeMap::new();
    for file in &family.file {
        if models.read(&file.name).is_ok() {
            tracing::info!(file = file.name, "already installed");
            continue;
        }
        for upstream in family.upstream.iter().filter(|upstream| file.made_from.contains(&upstream.name)) {
            if !fetched.contains_key(&upstream.name) {
                fetched.insert(upstream.name.clone(), fetch(upstream, from)?);
            }
        }
        let bytes = convert(file, &fetched).with_context(|| format!("cannot make {}", file.name))?;
        let found = sha256(&bytes);
        ensure!(
            file.sha256.contains(&found),
            "made {} with sha256 {found}, which is not the expected one; report this",
            file.name
        );
        put(&models.folder().join(&file.name), &bytes)?;
        tracing::info!(file = file.name, licence = family.licence, trained_on = family.trained_on, "installed");
    }
    Ok(())
}

/// A loadable model from its publisher's files, already checked.
fn convert(file: &ModelFile, fetched: &BTreeMap<String, Vec<u8>>) -> anyhow::Result<Vec<u8>> {
    let sources = file.made_from.iter().map(|name| fetched.get(name).map(Vec::as_slice));
    let sources = sources.collect::<Option<Vec<_>>>().context("the manifest names a source it does not list")?;
    match (file.conversion, sources.as_slice()) {
        (Conversion::Copy, [bytes]) => Ok(bytes.to_vec()),
        (Conversion::Rewrite, [bytes]) => onnx::rewrite_classifier(bytes).map_err(anyhow::Error::msg),
        (Conversion::OpenVino, [xml, weights]) => {
            let xml = std::str::from_utf8(xml).context("the description is not UTF-8")?;
            openvino::to_onnx(xml, weights).map_err(anyhow::Error::msg)
        }
        (Conversion::Copy | Conversion::Rewrite | Conversion::OpenVino, _) => {
            bail!("the manifest names {} sources", sources.len())
        }
    }
}

/// A publisher's file, from a folder or the network, with exactly the pinned contents.
fn fetch(upstream: &Upstream, from: Option<&Path>) -> anyhow::Result<Vec<u8>> {
    let (place, bytes) = match from {
        Some(dir) => {
            let path = dir.join(&upstream.name);
            let bytes =
                read_capped(&path, upstream.bytes).with_context(|| format!("cannot read {}", path.display()))?;
            (path.display().to_string(), bytes)
        }
        None => (upstream.url.clone(), download(upstream)?),
    };
    let found = sha256(&bytes);
    ensure!(
        found == upstream.sha256,
        "{place} has sha256 {found} and {} bytes, expected {} and {} bytes; fetch it again from {}",
        bytes.len(),
        upstream.sha256,
        upstream.bytes,
        upstream.url
    );
    Ok(bytes)
}

fn download(upstream: &Upstream) -> anyhow::Result<Vec<u8>> {
    let config = ureq::Agent::config_builder().timeout_global(Some(DOWNLOAD_TIME)).https_only(true).build();
    let response = ureq::Agent::new_with_config(config).get(&upstream.url).call();
    let hint = "check the network, or download it elsewhere and pass its folder with --from";
    let mut response = response.with_context(|| format!("cannot download {}; {hint}", upstream.url))?;
    let mut reader = response.body_mut().as_reader().take(upstream.bytes + 1);
    let mut bytes = Vec::new();
    let mut progress = Progress::new(&upstream.name, upstream.bytes);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let count = reader.read(&mut chunk).with_context(|| format!("{} broke off; {hint}", upstream.url))?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(&chunk[..count]);
        progress.show(bytes.len() as u64);
    }
    Ok(bytes)
}

/// Writes a file whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let temporary = path.with_extension("part");
    let written = std::fs::File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&temporary, path));
    written.with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_make_exactly_what_the_manifests_pin() {
        let Some(models) = std::env::var_os("AISLE_MODELS") else {
            return eprintln!("skipped: AISLE_MODELS is not set");
        };
        let upstream = Path::new(&models).join("../upstream");
        let mut wrong = Vec::new();
        for family in crate::manifest::Manifest::built_in().families() {
            let fetched: BTreeMap<_, _> =
                family.upstream.iter().map(|file| (file.name.clone(), fetch(file, Some(&upstream)).unwrap())).collect();
            for file in &family.file {
                let found = sha256(&convert(file, &fetched).unwrap());
                if found != file.sha256[0] {
                    wrong.push(format!("{} {found}", file.name));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}
