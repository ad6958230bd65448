//! Frame in, face outcome or code out: the only crate that knows tract and pixels.
//!
//! [`Pipeline`] turns one frame into a [`Look`]; [`session`] gathers looks until it can decide; [`gallery`] keeps
//! encrypted templates and answers who it is; [`serve`] offers all of it on a unix socket.

pub mod align;
pub mod camera;
pub mod codes;
pub mod detect;
pub mod embed;
pub mod eval;
pub mod gallery;
pub mod image;
pub mod install;
pub mod liveness;
pub mod manifest;
pub mod model;
mod net;
mod onnx;
pub mod openvino;
mod preview;
mod progress;
pub mod quality;
pub mod search;
pub mod serve;
pub mod session;
pub mod source;
pub mod threshold;
pub mod video;

use drivers::vision::Hint;

use detect::{Detector, FAINT_MIN, Face, SCORE_MIN, Size};
use embed::{Embedding, Recogniser};
use image::{Frame, Planes};
use liveness::Liveness;
use manifest::{CalibrationPoint, Models};
use model::ModelError;
use quality::{Features, shortcoming, turn};

/// What one frame shows.
#[derive(Debug)]
pub enum Look {
    NoFace,
    /// A face that is not good enough, and what would help.
    Unusable(Hint),
    Usable(Probe),
}

/// One face of one frame.
#[derive(Debug, Clone)]
pub struct Probe {
    pub embedding: Embedding,
    /// 0 to 1.
    pub live: f32,
    /// How far the head is turned, above 0 to one's own left.
    pub turn: f32,
}

/// All models, ready to run; one frame at a time.
#[derive(Debug)]
pub struct Pipeline {
    pub detector: Detector,
    pub liveness: Liveness,
    pub recogniser: Recogniser,
    /// How often strangers reach a cosine of this recogniser.
    pub calibration: Vec<CalibrationPoint>,
    threads: usize,
}

impl Pipeline {
    /// Loads every model of a folder, or says which one is missing or unknown.
    pub fn load(models: &Models) -> Result<Self, ModelError> {
        let mut pipeline = Self {
            detector: Detector::load(models)?,
            liveness: Liveness::load(models)?,
            recogniser: Recogniser::load(models)?,
            calibration: models.manifest().recogniser.calibration.clone(),
            threads: 1,
        };
        pipeline.set_threads(std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2)));
        Ok(pipeline)
    }

    /// How many cores one frame may use, at most two.
    pub fn set_threads(&mut self, threads: usize) {
        self.threads = threads;
        self.detector.set_threads(threads);
    }

    /// Overwrites what earlier frames left in the networks' memory.
    pub fn forget(&self) {
        self.detector.forget();
        self.liveness.forget();
        self.recogniser.forget();
    }

    /// Detects, judges the quality, aligns, checks liveness and embeds the largest face of a frame.
    pub fn look(&self, frame: &Frame) -> Result<Look, ModelError> {
        let (mut faces, faint): (Vec<Face>, Vec<Face>) = self
            .detector
            .detect(frame, Size::Large640, FAINT_MIN)?
            .into_iter()
            .partition(|face| face.score >= SCORE_MIN);
        faces.sort_by(|a, b| b.area().total_cmp(&a.area()));
        let Some(face) = faces.first() else {
            return Ok(Self::faint(frame, &faint));
        };
        if let Some(hint) = shortcoming(frame, face, faces.get(1)) {
            return Ok(Look::Unusable(hint));
        }
        let Some(aligned) = align::aligned(frame, face) else {
            return Ok(Look::Unusable(Hint::LookAtCamera));
        };
        if let Some(hint) = Features::of(&aligned).shortcoming() {
            return Ok(Look::Unusable(hint));
        }
        Ok(self.probe(frame, face, &aligned)?.map_or(Look::Unusable(Hint::LookAtCamera), Look::Usable))
    }

    /// What may be a face behind something, or a blurred one: it is told so, and never used.
    fn faint(frame: &Frame, faces: &[Face]) -> Look {
        let mut hints = faces.iter().filter_map(|face| Features::of(&align::aligned(frame, face)?).shortcoming());
        hints.next().map_or(Look::NoFace, Look::Unusable)
    }

    /// Whether a frame of infrared light shows a live face, 0 or 1.
    pub fn infrared(&self, frame: &Frame) -> Result<f32, ModelError> {
        Ok(liveness::infrared(frame, &self.detector.detect(frame, Size::Large640, SCORE_MIN)?))
    }

    /// Embeds a face and looks whether it is live, at once where there are two cores; `None` of numbers without direction.
    pub fn probe(&self, frame: &Frame, face: &Face, aligned: &Planes) -> Result<Option<Probe>, ModelError> {
        let (embedding, live) = if self.threads > 1 {
            std::thread::scope(|scope| {
                let live = scope.spawn(|| self.liveness.score(frame, face));
                let embedding = self.recogniser.embed_aligned(aligned);
                (embedding, live.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        } else {
            (self.recogniser.embed_aligned(aligned), self.liveness.score(frame, face))
        };
        let live = live?;
        Ok(embedding?.map(|embedding| Probe { embedding, live, turn: turn(face) }))
    }
}
