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
pub mod model;
mod net;
mod onnx;
pub mod openvino;
mod progress;
pub mod search;
pub mod serve;
pub mod session;
pub mod source;
pub mod threshold;
pub mod video;

use std::path::Path;

use drivers::vision::Hint;

use detect::{Detector, Face, SCORE_MIN, Size};
use embed::{Embedding, Recogniser};
use image::Frame;
use liveness::Liveness;
use model::ModelError;

/// Narrowest face that is recognised, in frame pixels: half of what the recogniser looks at.
pub const FACE_WIDTH_MIN: f32 = 64.0;
/// A second face of this share of the first one's area makes it unclear who is meant.
const RIVAL_SHARE: f32 = 0.5;
/// Share of the frame's width above which a face is too near to be seen whole.
const FACE_SHARE_MAX: f32 = 0.9;
/// Mean brightness of a face below which its features drown, 0 to 255.
const BRIGHTNESS_MIN: f32 = 30.0;

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
}

/// All models, ready to run; one frame at a time.
#[derive(Debug)]
pub struct Pipeline {
    pub detector: Detector,
    pub liveness: Liveness,
    pub recogniser: Recogniser,
    threads: usize,
}

impl Pipeline {
    /// Loads every model from a folder, or says which one is missing or unknown.
    pub fn load(models: &Path) -> Result<Self, ModelError> {
        let mut pipeline = Self {
            detector: Detector::load(models)?,
            liveness: Liveness::load(models)?,
            recogniser: Recogniser::load(models)?,
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
        let mut faces = self.detector.detect(frame, Size::Large640, SCORE_MIN)?;
        faces.sort_by(|a, b| b.area().total_cmp(&a.area()));
        let Some(face) = faces.first() else {
            return Ok(Look::NoFace);
        };
        if let Some(hint) = shortcoming(frame, face, faces.get(1)) {
            return Ok(Look::Unusable(hint));
        }
        Ok(self.probe(frame, face)?.map_or(Look::Unusable(Hint::LookAtCamera), Look::Usable))
    }

    /// Embeds a face and looks whether it is live, at once where there are two cores; `None` when it cannot be aligned.
    pub fn probe(&self, frame: &Frame, face: &Face) -> Result<Option<Probe>, ModelError> {
        let (embedding, live) = if self.threads > 1 {
            std::thread::scope(|scope| {
                let live = scope.spawn(|| self.liveness.score(frame, face));
                let embedding = self.recogniser.embed(frame, face);
                (embedding, live.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            })
        } else {
            (self.recogniser.embed(frame, face), self.liveness.score(frame, face))
        };
        let live = live?;
        Ok(embedding?.map(|embedding| Probe { embedding, live }))
    }
}

/// The quality gate: what is wrong with the largest face, worst first.
fn shortcoming(frame: &Frame, face: &Face, second: Option<&Face>) -> Option<Hint> {
    let [left, top, width, height] = face.bounds;
    let inside = |[x, y]: [f32; 2]| x >= 0.0 && y >= 0.0 && x < frame.width() as f32 && y < frame.height() as f32;
    let [left_eye, right_eye, nose, ..] = face.landmarks;
    if second.is_some_and(|other| other.area() >= face.area() * RIVAL_SHARE) {
        Some(Hint::OnePerson)
    } else if width < FACE_WIDTH_MIN {
        Some(Hint::ComeCloser)
    } else if width > frame.width() as f32 * FACE_SHARE_MAX {
        Some(Hint::StepBack)
    } else if !face.landmarks.into_iter().all(inside) {
        Some(Hint::CentreFace)
    } else if nose[0] < left_eye[0] || nose[0] > right_eye[0] {
        Some(Hint::LookAtCamera)
    } else if frame.brightness(left, top, width, height) < BRIGHTNESS_MIN {
        Some(Hint::MoreLight)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(width: f32) -> Face {
        let at = |x: f32, y: f32| [100.0 + x * width, 100.0 + y * width];
        let landmarks = [at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)];
        Face { score: 0.9, bounds: [100.0, 100.0, width, width * 1.3], landmarks }
    }

    fn grey(level: u8) -> Frame {
        Frame::from_rgb(400, 400, vec![level; 400 * 400 * 3]).unwrap()
    }

    #[test]
    fn the_gate_says_what_would_help() {
        let good = face(150.0);
        assert_eq!(shortcoming(&grey(120), &good, None), None);
        assert_eq!(shortcoming(&grey(120), &good, Some(&face(30.0))), None);
        assert_eq!(shortcoming(&grey(120), &good, Some(&face(140.0))), Some(Hint::OnePerson));
        assert_eq!(shortcoming(&grey(120), &face(40.0), None), Some(Hint::ComeCloser));
        assert_eq!(shortcoming(&grey(120), &face(390.0), None), Some(Hint::StepBack));
        assert_eq!(shortcoming(&grey(10), &good, None), Some(Hint::MoreLight));
        let mut aside = good.clone();
        aside.landmarks[2][0] = aside.landmarks[1][0] + 5.0;
        assert_eq!(shortcoming(&grey(120), &aside, None), Some(Hint::LookAtCamera));
        let mut half = good;
        half.landmarks[0][0] = -3.0;
        assert_eq!(shortcoming(&grey(120), &half, None), Some(Hint::CentreFace));
    }
}
