//! Models: which files are trusted, what is known about them, and how one is loaded and run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use serde::Deserialize;
use sha2::{Digest, Sha256};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, TValue, Tensor, TractResult, TypedRunnableModel, tvec,
};

use crate::net::Plan;
use crate::onnx;

/// No model is larger; a bigger file is not read at all.
const FILE_CAP: u64 = 64 << 20;

/// Everything known about one family of models, read from a manifest that is compiled in.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub purpose: String,
    pub licence: String,
    pub trained_on: String,
    /// Files the pipeline loads.
    pub file: Vec<ModelFile>,
    /// Files their publishers ship.
    pub upstream: Vec<Upstream>,
    /// False match rates at cosines, best threshold last; the recogniser's only.
    #[serde(default)]
    pub calibration: Vec<CalibrationPoint>,
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

/// The three families, compiled in.
#[derive(Debug)]
pub struct Manifests {
    pub detector: Manifest,
    pub liveness: Manifest,
    pub recogniser: Manifest,
}

static MANIFESTS: LazyLock<Manifests> = LazyLock::new(|| Manifests {
    detector: compiled_in(include_str!("../detector.toml")),
    liveness: compiled_in(include_str!("../liveness.toml")),
    recogniser: compiled_in(include_str!("../recogniser.toml")),
});

impl Manifests {
    pub fn compiled() -> &'static Self {
        &MANIFESTS
    }

    pub fn all(&self) -> [&Manifest; 3] {
        [&self.detector, &self.liveness, &self.recogniser]
    }

    pub fn file(&self, name: &str) -> Option<&ModelFile> {
        self.all().into_iter().flat_map(|manifest| &manifest.file).find(|file| file.name == name)
    }
}

fn compiled_in(text: &str) -> Manifest {
    toml::from_str(text).expect("manifests are compiled in and every test reads them")
}

/// Why a model cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("model {} is missing; `aisle-vision install --to {}` installs it", path.display(), folder(path))]
    Missing { path: PathBuf },
    #[error(
        "model {} has unknown contents (sha256 {found}) and is refused; delete it and run `aisle-vision install --to {}`",
        path.display(), folder(path)
    )]
    UnknownHash { path: PathBuf, found: String },
    #[error("model {} cannot be read: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: String },
    #[error("model {name} cannot be run: {reason}")]
    Broken { name: String, reason: String },
}

fn folder(path: &Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

/// Reads a file whole, refusing what is larger than `cap` bytes.
pub(crate) fn read_capped(path: &Path, cap: u64) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(cap + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > cap {
        return Err(std::io::Error::other(format!("it is larger than {cap} bytes")));
    }
    Ok(bytes)
}

/// SHA-256 in lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

/// Reads a known model file, refusing anything the manifests do not name.
pub(crate) fn read_pinned(dir: &Path, name: &str) -> Result<Vec<u8>, ModelError> {
    let path = dir.join(name);
    let bytes = match read_capped(&path, FILE_CAP) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(ModelError::Missing { path });
        }
        Err(error) => {
            let reason = error.to_string();
            return Err(ModelError::Unreadable { path, reason });
        }
    };
    let found = sha256(&bytes);
    let known = Manifests::compiled().file(name).is_some_and(|file| file.sha256.contains(&found));
    if !known {
        return Err(ModelError::UnknownHash { path, found });
    }
    Ok(bytes)
}

/// A network ready to run on one image.
pub struct Network {
    name: String,
    shape: [usize; 4],
    engine: Engine,
    threads: usize,
}

enum Engine {
    Plan(Box<Plan>),
    Tract(Arc<TypedRunnableModel>),
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Network({} {:?})", self.name, self.shape)
    }
}

impl Network {
    /// Loads a file named in the manifests from a folder of models.
    pub fn load(dir: &Path, name: &str) -> Result<Self, ModelError> {
        let bytes = read_pinned(dir, name)?;
        let shape = Manifests::compiled().file(name).map_or([0; 4], |file| file.input);
        Self::from_onnx(name, shape, &bytes)
    }

    /// Prepares ONNX bytes that the caller trusts; `shape` is batch, channels, height, width.
    pub fn from_onnx(name: &str, shape: [usize; 4], bytes: &[u8]) -> Result<Self, ModelError> {
        match onnx::parse(bytes).and_then(|model| Plan::of(&model)) {
            Ok(plan) => Ok(Self { name: name.to_owned(), shape, engine: Engine::Plan(Box::new(plan)), threads: 1 }),
            Err(reason) => {
                tracing::info!(name, reason, "this model runs on tract");
                Self::on_tract(name, shape, bytes)
            }
        }
    }

    /// The same on tract, which knows every operation: the reference, and what runs a model that is new here.
    pub fn on_tract(name: &str, shape: [usize; 4], bytes: &[u8]) -> Result<Self, ModelError> {
        let plan = optimised(bytes).map_err(|error| broken(name, &error))?;
        Ok(Self { name: name.to_owned(), shape, engine: Engine::Tract(plan), threads: 1 })
    }

    /// Whether the model runs on the loops of this crate.
    pub fn is_planned(&self) -> bool {
        matches!(self.engine, Engine::Plan(_))
    }

    /// Shares the larger layers among threads, at most two.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
    }

    /// Runs the network on one image: planar, blue, green, red, 0 to 255. Outputs come in the model's order.
    pub fn run(&self, planes: &[f32]) -> Result<Vec<Vec<f32>>, ModelError> {
        let expected: usize = self.shape.iter().product();
        if planes.len() != expected {
            return Err(broken(&self.name, &format!("{} numbers are no picture of {:?}", planes.len(), self.shape)));
        }
        match &self.engine {
            Engine::Plan(plan) => Ok(plan.run(planes, self.threads)),
            Engine::Tract(plan) => outputs(plan, &self.shape, planes).map_err(|error| broken(&self.name, &error)),
        }
    }

    /// Overwrites what earlier images left in memory.
    pub fn forget(&self) {
        match &self.engine {
            Engine::Plan(plan) => plan.forget(),
            Engine::Tract(_) => {}
        }
    }
}

fn outputs(plan: &Arc<TypedRunnableModel>, shape: &[usize; 4], planes: &[f32]) -> TractResult<Vec<Vec<f32>>> {
    let input: TValue = Tensor::from_shape(shape, planes)?.into();
    let outputs = plan.run(tvec!(input))?;
    outputs.iter().map(|tensor| Ok(tensor.try_as_plain_ram()?.as_slice::<f32>()?.to_vec())).collect()
}

fn optimised(mut bytes: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    tract_onnx::onnx().model_for_read(&mut bytes)?.into_optimized()?.into_runnable()
}

fn broken(name: &str, error: &dyn std::fmt::Debug) -> ModelError {
    ModelError::Broken { name: name.to_owned(), reason: format!("{error:?}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may ship finds a face, tells it from a forgery, or compares it. A model that guesses who somebody is like (age,
    /// gender, mood) has no place here, so every file is listed by hand.
    #[test]
    fn b23_no_model_of_age_gender_or_emotion_ships() {
        let files: Vec<&str> = Manifests::compiled()
            .all()
            .into_iter()
            .flat_map(|manifest| &manifest.file)
            .map(|file| file.name.as_str())
            .collect();
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
        let refused = Network::load(dir.path(), "age_gender.onnx").unwrap_err().to_string();
        assert!(refused.contains("unknown contents"), "{refused}");
    }

    #[test]
    fn every_model_names_its_licence_its_training_and_where_it_comes_from() {
        for manifest in Manifests::compiled().all() {
            assert!([&manifest.purpose, &manifest.licence, &manifest.trained_on].iter().all(|text| !text.is_empty()));
            for file in &manifest.file {
                assert!(file.sha256.iter().all(|hash| hash.len() == 64) && !file.sha256.is_empty(), "{}", file.name);
                for source in &file.made_from {
                    let upstream = manifest.upstream.iter().find(|upstream| upstream.name == *source).unwrap();
                    assert!(upstream.url.starts_with("https://") && upstream.sha256.len() == 64, "{source}");
                }
            }
        }
    }
}
