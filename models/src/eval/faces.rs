//! From photographs to embeddings, on all cores.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Pipeline;
use crate::detect::{Face, Size};
use crate::embed::Embedding;
use crate::image::Frame;
use crate::model::ModelError;
use crate::progress::Progress;

/// A photograph in an evaluation is known to show a face, so a fainter one is taken than at a till.
const SCORE_MIN: f32 = 0.5;
/// Photographs up to this side are enlarged less for the detector.
const SMALL_SIDE: usize = 320;

/// Why a photograph gave no embedding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    NoFace,
    Unreadable(String),
}

/// What one photograph gave.
pub type Seen<T> = Result<T, Missing>;

/// The face that a photograph is about: large and near the middle.
pub fn subject(frame: &Frame, faces: &[Face]) -> Option<Face> {
    let middle = [frame.width() as f32 / 2.0, frame.height() as f32 / 2.0];
    let merit = |face: &Face| {
        let [left, top, width, height] = face.bounds;
        let off = [left + width / 2.0 - middle[0], top + height / 2.0 - middle[1]];
        face.area() - 2.0 * (off[0] * off[0] + off[1] * off[1])
    };
    faces.iter().max_by(|a, b| merit(a).total_cmp(&merit(b))).cloned()
}

/// The subject of a photograph, looked for at the size that suits it, then at the other one.
pub fn find(pipeline: &Pipeline, frame: &Frame) -> Result<Option<Face>, ModelError> {
    let small = frame.width().max(frame.height()) <= SMALL_SIDE;
    let sizes = if small { [Size::Small320, Size::Large640] } else { [Size::Large640, Size::Small320] };
    for size in sizes {
        let faces = pipeline.detector.detect(frame, size, SCORE_MIN)?;
        if let Some(face) = subject(frame, &faces) {
            return Ok(Some(face));
        }
    }
    Ok(None)
}

/// The embedding of one photograph.
pub fn embed(pipeline: &Pipeline, file: &Path) -> Result<Seen<Embedding>, ModelError> {
    let frame = match Frame::read(file) {
        Ok(frame) => frame,
        Err(error) => return Ok(Err(Missing::Unreadable(error.reason))),
    };
    let Some(face) = find(pipeline, &frame)? else { return Ok(Err(Missing::NoFace)) };
    Ok(pipeline.recogniser.embed(&frame, &face)?.ok_or(Missing::NoFace))
}

/// Does the same with every photograph, on all cores, in their order.
pub fn each<T: Send>(
    name: &str,
    files: &[PathBuf],
    job: impl Fn(&Path) -> Result<T, ModelError> + Sync,
) -> Result<Vec<T>, ModelError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let work = |progress: Option<&mut Progress<'_>>| {
        let mut done = Vec::new();
        let mut progress = progress;
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(file) = files.get(at) else { return Ok(done) };
            done.push((at, job(file)?));
            if let Some(progress) = &mut progress {
                progress.show(at as u64 + 1);
            }
        }
    };
    let mut all = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| work(None))).collect();
        let mut progress = Progress::new(name, files.len() as u64);
        let mut all = work(Some(&mut progress));
        for other in others {
            let theirs = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all = all.and_then(|mut all| {
                theirs.map(|theirs| {
                    all.extend(theirs);
                    all
                })
            });
        }
        progress.show(files.len() as u64);
        all
    })?;
    all.sort_by_key(|(at, _)| *at);
    Ok(all.into_iter().map(|(_, value)| value).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subject_is_large_and_near_the_middle() {
        let frame = Frame::from_rgb(250, 250, vec![0; 250 * 250 * 3]).unwrap();
        let face = |left: f32, top: f32, side: f32| Face {
            score: 0.9,
            bounds: [left, top, side, side],
            landmarks: [[0.0; 2]; 5],
        };
        let (middle, corner, small) = (face(80.0, 80.0, 90.0), face(0.0, 0.0, 100.0), face(110.0, 110.0, 30.0));
        let found = subject(&frame, &[corner.clone(), small, middle.clone()]);
        assert_eq!(found, Some(middle));
        assert_eq!(subject(&frame, std::slice::from_ref(&corner)), Some(corner));
        assert_eq!(subject(&frame, &[]), None);
    }
}
