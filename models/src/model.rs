//! Models: how one that the manifest trusts is loaded and run.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tract_onnx::prelude::{
    Framework, InferenceModelExt, IntoRunnable, TValue, Tensor, TractResult, TypedRunnableModel, tvec,
};

use crate::manifest::{Family, Models};
use crate::net::Plan;
use crate::onnx;

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
    #[error(
        "the manifest {} is not signed with the trusted key {trusted}, so no model is loaded; put back the one that is, or \
         sign what you have read with `aisle-vision sign` and name your key with --trust",
        path.display()
    )]
    Unsigned { path: PathBuf, trusted: String },
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
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
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
    /// Loads a file named in the manifest from a folder of models.
    pub fn load(models: &Models, name: &str) -> Result<Self, ModelError> {
        let bytes = models.read(name)?;
        let shape = models.manifest().file(name).map_or([0; 4], |file| file.input);
        Self::from_onnx(name, shape, &bytes)
    }

    /// All files of one family, in the manifest's order.
    pub(crate) fn load_all<const COUNT: usize>(models: &Models, family: &Family) -> Result<[Self; COUNT], ModelError> {
        let networks = family.file.iter().map(|file| Self::load(models, &file.name)).collect::<Result<Vec<_>, _>>()?;
        networks.try_into().map_err(|_| broken(&family.name, &format!("the pipeline wants {COUNT} files")))
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
