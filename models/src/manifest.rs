//! Which models are trusted and what is known about them: one signed manifest.
//!
//! The program brings one, for the models that `aisle-vision install` makes. A shop that swaps a model puts `manifest.toml` and
//! `manifest.sig` beside the models and names the key they are signed with in its configuration: then that key alone counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde::Deserialize;

use crate::align::SIDE;
use crate::model::{ModelError, hex, read_capped, sha256};
use crate::threshold::{FPIR_TARGET, Uncalibrated, threshold};

/// The manifest of a folder of models, and its signature in hexadecimal.
pub const MANIFEST: &str = "manifest.toml";
pub const SIGNATURE: &str = "manifest.sig";
/// What is signed begins with this, so that no other signature of the same key is taken for one of a manifest.
const PURPOSE: &[u8] = b"aisle models 1\n";
const MANIFEST_CAP: u64 = 256 << 10;
/// No model is larger; a bigger file is not read at all.
const FILE_CAP: u64 = 64 << 20;

/// Everything known about one family of models.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    pub name: String,
    pub purpose: String,
    pub licence: String,
    pub trained_on: String,
    /// What it is meant for, what not, what was measured, and where it ends.
    pub card: String,
    /// Files the pipeline loads, in the order it names them.
    pub file: Vec<ModelFile>,
    /// Files their publishers ship.
    pub upstream: Vec<Upstream>,
    /// False match rates at cosines, best threshold last; the recogniser's only.
    #[serde(default)]
    pub calibration: Vec<CalibrationPoint>,
}

impl Family {
    /// Names the recogniser of a template: what another one made is never compared, and its member enrols again.
    #[must_use]
    pub fn id(&self) -> String {
        let hash = self.file.first().and_then(|file| file.sha256.first()).map_or("", String::as_str);
        format!("{} {hash}", self.name)
    }

    /// Whether strangers are kept out of a gallery of so many.
    ///
    /// # Errors
    /// The calibration has no answer for as many.
    pub fn vouches_for(&self, members: usize) -> Result<(), Uncalibrated> {
        threshold(&self.calibration, FPIR_TARGET, members).map(drop)
    }
}

/// A file the pipeline loads.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    pub name: String,
    /// Trusted contents; the first is what the installer makes.
    pub sha256: Vec<String>,
    /// Batch, channels (blue, green, red), height, width.
    pub input: [usize; 4],
    pub made_from: Vec<String>,
    pub conversion: Conversion,
}

/// How a loadable file is made from its publisher's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    Copy,
    /// ONNX with slow operations replaced.
    Rewrite,
    /// OpenVINO intermediate representation to ONNX, then as `Rewrite`.
    OpenVino,
}

/// A file as its publisher ships it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    pub name: String,
    pub bytes: u64,
    pub sha256: String,
    pub url: String,
}

/// How often strangers reach a cosine.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationPoint {
    pub fmr: f64,
    pub threshold: f64,
    /// Share of genuine attempts lost at this threshold, for the operator.
    pub fnmr: f64,
}

/// The three families of the pipeline. There is no room for a fourth.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub detector: Family,
    pub liveness: Family,
    pub recogniser: Family,
}

impl Manifest {
    /// The one that the program brings, trusted by the key it was released with.
    #[must_use]
    pub fn built_in() -> Self {
        let (text, signature) = BUILT_IN;
        checked(text.as_bytes(), signature, &Trust::default())
            .expect("what is built in is signed, and every test reads it")
    }

    #[must_use]
    pub fn families(&self) -> [&Family; 3] {
        [&self.detector, &self.liveness, &self.recogniser]
    }

    #[must_use]
    pub fn file(&self, name: &str) -> Option<&ModelFile> {
        self.families().into_iter().flat_map(|family| &family.file).find(|file| file.name == name)
    }

    /// What the pipeline could not work with, however well it is signed.
    fn fault(&self) -> Option<String> {
        let inputs = |family: &Family| family.file.iter().map(|file| file.input).collect::<Vec<_>>();
        let square = |side: usize| [1, 3, side, side];
        let expected = [vec![square(320), square(640)], vec![square(80); 2], vec![square(SIDE)]];
        for (family, expected) in self.families().into_iter().zip(expected) {
            let words = [&family.name, &family.purpose, &family.licence, &family.trained_on, &family.card];
            if words.iter().any(|text| text.trim().is_empty()) {
                return Some(format!("{} lacks its name, purpose, licence, training or card", family.name));
            }
            if inputs(family) != expected {
                return Some(format!("{} has inputs of {:?} instead of {expected:?}", family.name, inputs(family)));
            }
            let whole = |hash: &String| hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
            let mut plain =
                family.file.iter().map(|file| &file.name).chain(family.upstream.iter().map(|file| &file.name));
            if let Some(name) =
                plain.find(|name| name.is_empty() || name.contains(['/', '\\', '\0']) || name.starts_with('.'))
            {
                return Some(format!("{name:?} is no name of a file"));
            }
            if let Some(file) = family.file.iter().find(|file| file.sha256.is_empty() || !file.sha256.iter().all(whole))
            {
                return Some(format!("{} has no SHA-256", file.name));
            }
        }
        let table = &self.recogniser.calibration;
        let steps = table.is_sorted_by(|a, b| a.fmr > b.fmr && a.threshold < b.threshold);
        let sane = |point: &CalibrationPoint| point.fmr > 0.0 && point.fmr < 1.0 && point.threshold.abs() < 1.0;
        if table.is_empty() || !steps || !table.iter().all(sane) {
            return Some("the calibration is empty or does not go from frequent to rare".to_owned());
        }
        None
    }
}

const BUILT_IN: (&str, &str) = (include_str!("../manifest.toml"), include_str!("../manifest.sig"));

/// The public key that a manifest has to be signed with (Ed25519).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust([u8; 32]);

impl Default for Trust {
    /// The key of this release.
    fn default() -> Self {
        include_str!("../release.pub").parse().expect("the key of the release is one")
    }
}

impl std::str::FromStr for Trust {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bytes = bytes(text).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(Self)
            .ok_or_else(|| "a public key is 64 hexadecimal digits, as `aisle-vision sign` prints it".to_owned())
    }
}

impl std::fmt::Display for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl Trust {
    fn verifies(&self, text: &[u8], signature: &str) -> bool {
        let key = UnparsedPublicKey::new(&ED25519, self.0);
        bytes(signature).is_some_and(|signature| key.verify(&[PURPOSE, text].concat(), &signature).is_ok())
    }
}

/// Signs a manifest that the pipeline can work with; the signature in hexadecimal, and the key that verifies it.
///
/// # Errors
/// What is wrong with the manifest.
pub fn sign(text: &[u8], seed: &[u8; 32]) -> Result<(String, Trust), String> {
    parsed(text)?;
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|error| error.to_string())?;
    let key = pair.public_key().as_ref().try_into().map_err(|_| "a key of another length".to_owned())?;
    Ok((hex(pair.sign(&[PURPOSE, text].concat()).as_ref()), Trust(key)))
}

fn parsed(text: &[u8]) -> Result<Manifest, String> {
    let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
    let manifest: Manifest = toml::from_str(text).map_err(|error| error.to_string())?;
    manifest.fault().map_or(Ok(manifest), Err)
}

/// Nothing of a manifest is looked at before its signature is.
fn checked(text: &[u8], signature: &str, trust: &Trust) -> Result<Manifest, Refused> {
    if !trust.verifies(text, signature) {
        return Err(Refused::Signature);
    }
    parsed(text).map_err(Refused::Malformed)
}

#[derive(Debug)]
enum Refused {
    Signature,
    Malformed(String),
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = hex.trim().as_bytes().as_chunks::<2>();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |&[high, low]: &[u8; 2]| u8::try_from(digit(high)? * 16 + digit(low)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// A folder of models with the manifest that says which of them are trusted.
#[derive(Debug, Clone)]
pub struct Models {
    folder: PathBuf,
    manifest: Arc<Manifest>,
}

impl Models {
    /// The folder's manifest, or the one built in where it has none, signed with the trusted key.
    pub fn open(folder: &Path, trust: &Trust) -> Result<Self, ModelError> {
        let (path, signature) = (folder.join(MANIFEST), folder.join(SIGNATURE));
        let unreadable = |path: &Path, error: std::io::Error| ModelError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let found = match read_capped(&path, MANIFEST_CAP) {
            Ok(text) => match read_capped(&signature, MANIFEST_CAP) {
                Ok(signed) => checked(&text, &String::from_utf8_lossy(&signed), trust),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Refused::Signature),
                Err(error) => return Err(unreadable(&signature, error)),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let (text, signed) = BUILT_IN;
                checked(text.as_bytes(), signed, trust)
            }
            Err(error) => return Err(unreadable(&path, error)),
        };
        match found {
            Ok(manifest) => Ok(Self { folder: folder.to_owned(), manifest: Arc::new(manifest) }),
            Err(Refused::Signature) => Err(ModelError::Unsigned { path, trusted: trust.to_string() }),
            Err(Refused::Malformed(reason)) => Err(ModelError::Unreadable { path, reason }),
        }
    }

    /// A folder of the models that this program installs.
    #[must_use]
    pub fn built_in(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), manifest: Arc::new(Manifest::built_in()) }
    }

    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Reads a known model file, refusing anything the manifest does not name.
    pub(crate) fn read(&self, name: &str) -> Result<Vec<u8>, ModelError> {
        let path = self.folder.join(name);
        let bytes = match read_capped(&path, FILE_CAP) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(ModelError::Missing { path }),
            Err(error) => return Err(ModelError::Unreadable { path, reason: error.to_string() }),
        };
        let found = sha256(&bytes);
        if self.manifest.file(name).is_some_and(|file| file.sha256.contains(&found)) {
            Ok(bytes)
        } else {
            Err(ModelError::UnknownHash { path, found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;

    const SEED: [u8; 32] = [7; 32];

    /// A folder with a manifest as `change` makes it, signed by a shop's own key unless `change` spoils it afterwards.
    fn shop(change: impl Fn(&str) -> String, after: impl Fn(&Path)) -> (Result<Models, ModelError>, Trust) {
        let dir = tempfile::tempdir().unwrap();
        let text = change(BUILT_IN.0);
        let (signature, trust) = sign(text.as_bytes(), &SEED).unwrap();
        std::fs::write(dir.path().join(MANIFEST), text).unwrap();
        std::fs::write(dir.path().join(SIGNATURE), signature).unwrap();
        after(dir.path());
        (Models::open(dir.path(), &trust), trust)
    }

    #[test]
    fn a_manifest_signed_with_the_configured_key_is_trusted_and_no_other() {
        let tighter = |text: &str| text.replace("fmr = 1e-6", "fmr = 1e-7");
        let (models, trust) = shop(tighter, |_| {});
        assert_eq!(models.unwrap().manifest().recogniser.calibration[3].fmr, 1e-7);
        let dir = tempfile::tempdir().unwrap();
        let refused = Models::open(dir.path(), &trust).unwrap_err().to_string();
        assert!(refused.contains("manifest.toml") && refused.contains("aisle-vision sign"), "{refused}");
        assert!(Models::open(dir.path(), &Trust::default()).is_ok(), "what is built in is the release's");
    }

    #[test]
    fn an_unsigned_or_altered_manifest_is_refused_with_what_to_do() {
        let same = |text: &str| text.to_owned();
        let altered = |dir: &Path| {
            let path = dir.join(MANIFEST);
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(path, text.replace("threshold = 0.594", "threshold = 0.100")).unwrap();
        };
        for spoil in [
            &altered as &dyn Fn(&Path),
            &|dir| std::fs::remove_file(dir.join(SIGNATURE)).unwrap(),
            &|dir| std::fs::write(dir.join(SIGNATURE), "00".repeat(64)).unwrap(),
            &|dir| std::fs::write(dir.join(SIGNATURE), "no signature").unwrap(),
        ] {
            let (refused, trust) = shop(same, spoil);
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("is not signed") && refused.contains(&trust.to_string()), "{refused}");
        }
        // The same bytes, signed by the release's key, are not what this shop trusts.
        let (refused, _) = shop(same, |dir| std::fs::write(dir.join(SIGNATURE), BUILT_IN.1).unwrap());
        assert!(matches!(refused, Err(ModelError::Unsigned { .. })));
    }

    #[test]
    fn a_manifest_that_the_pipeline_cannot_work_with_is_neither_signed_nor_loaded() {
        let wrong = |from: &str, to: &str| {
            let text = BUILT_IN.0.replacen(from, to, 1);
            assert_ne!(text, BUILT_IN.0, "{from}");
            sign(text.as_bytes(), &SEED).unwrap_err()
        };
        assert!(wrong("input = [1, 3, 128, 128]", "input = [1, 3, 112, 112]").contains("inputs"));
        assert!(wrong("name = \"yunet_n_320_320.onnx\"", "name = \"../etc/passwd\"").contains("no name of a file"));
        assert!(wrong("licence = \"Apache-2.0\"", "licence = \"\"").contains("licence"));
        assert!(wrong("threshold = 0.504", "threshold = 0.700").contains("calibration"));
        assert!(wrong("[liveness]", "[emotion]").contains("emotion"));
        let hash = "81dbde155e982455488235acb8ec2dec5d647edf7cf7080d33e4abb69b93a0d2";
        assert!(wrong(hash, "81db").contains("SHA-256"));
    }

    #[test]
    fn b12_a_calibration_says_for_how_many_it_vouches() {
        let recogniser = Manifest::built_in().recogniser;
        assert!(recogniser.vouches_for(1_000).is_ok());
        assert!(recogniser.vouches_for(2_000).unwrap_err().to_string().contains("gallery of 2000"));
    }

    /// What may ship finds a face, tells it from a forgery, or compares it. A model that guesses who somebody is like (age,
    /// gender, mood) has no place here, so every file is listed by hand.
    #[test]
    fn b23_no_model_of_age_gender_or_emotion_ships() {
        let manifest = Manifest::built_in();
        let files: Vec<&str> =
            manifest.families().into_iter().flat_map(|family| &family.file).map(|file| file.name.as_str()).collect();
        assert_eq!(
            files,
            [
                "yunet_n_320_320.onnx",
                "yunet_n_640_640.onnx",
                "2.7_80x80_MiniFASNetV2_noprelu.onnx",
                "4_0_0_80x80_MiniFASNetV1SE_noprelu.onnx",
                "face-reidentification-retail-0095_noprelu.onnx",
            ]
        );
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("age_gender.onnx"), b"anything").unwrap();
        let refused = Network::load(&Models::built_in(dir.path()), "age_gender.onnx").unwrap_err().to_string();
        assert!(refused.contains("unknown contents"), "{refused}");
    }

    #[test]
    fn every_model_says_where_it_comes_from() {
        for family in Manifest::built_in().families() {
            for source in family.file.iter().flat_map(|file| &file.made_from) {
                let upstream = family.upstream.iter().find(|upstream| upstream.name == *source).unwrap();
                assert!(upstream.url.starts_with("https://") && upstream.sha256.len() == 64, "{source}");
            }
        }
    }
}
