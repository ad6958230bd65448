//! Face detection: YuNet over a letterboxed frame.

use crate::image::{Frame, Planes, Window};
use crate::manifest::Models;
use crate::model::{ModelError, Network};

/// Faces below this score are not faces: a cat reaches 0.75.
pub const SCORE_MIN: f32 = 0.8;
/// Down to this score it may be a face that something covers.
pub const FAINT_MIN: f32 = 0.5;
/// Overlap (intersection over union) above which the weaker of two boxes is dropped.
const NMS_IOU: f32 = 0.3;
const STRIDES: [usize; 3] = [8, 16, 32];

/// Side of the detector's input, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A quarter of the work; for large faces.
    Small320,
    /// Sharper landmarks, smaller faces.
    Large640,
}

/// A face in frame pixels, origin at the top left.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    /// 0 to 1.
    pub score: f32,
    /// Left, top, width, height; may reach outside the frame.
    pub bounds: [f32; 4],
    /// Left eye, right eye, nose, left and right mouth corner, left as seen in the image.
    pub landmarks: [[f32; 2]; 5],
}

impl Face {
    /// Width times height, in pixels.
    pub fn area(&self) -> f32 {
        self.bounds[2] * self.bounds[3]
    }
}

/// YuNet at both input sizes.
#[derive(Debug)]
pub struct Detector {
    small: Network,
    large: Network,
}

impl Detector {
    pub fn load(models: &Models) -> Result<Self, ModelError> {
        let [small, large] = Network::load_all(models, &models.manifest().detector)?;
        Ok(Self { small, large })
    }

    /// Shares the larger layers among threads.
    pub fn set_threads(&mut self, threads: usize) {
        self.small.set_threads(threads);
        self.large.set_threads(threads);
    }

    /// Overwrites what earlier frames left in memory.
    pub fn forget(&self) {
        self.small.forget();
        self.large.forget();
    }

    /// Faces of a score of at least `score_min`, best first.
    pub fn detect(&self, frame: &Frame, size: Size, score_min: f32) -> Result<Vec<Face>, ModelError> {
        let (network, side) = match size {
            Size::Small320 => (&self.small, 320),
            Size::Large640 => (&self.large, 640),
        };
        let (planes, ratio) = letterbox(frame, side);
        let outputs = network.run(planes.as_slice())?;
        Ok(strongest(candidates(&outputs, side, ratio, score_min)))
    }
}

/// Fits a frame into a square, anchored top left on black; returns output pixels per frame pixel beside it.
pub fn letterbox(frame: &Frame, side: usize) -> (Planes, f32) {
    let (width, height) = (frame.width(), frame.height());
    let ratio = (side as f64 / width as f64).min(side as f64 / height as f64);
    let fit = |length: usize| ((length as f64 * ratio).round() as usize).clamp(1, side);
    let mut planes = Planes::black(side);
    let whole = Window { left: 0, top: 0, width, height };
    frame.resize_into(whole, &mut planes, fit(width), fit(height));
    (planes, ratio as f32)
}

/// Decodes the twelve outputs: class, objectness, box and landmarks, each at three strides.
fn candidates(outputs: &[Vec<f32>], side: usize, ratio: f32, score_min: f32) -> Vec<Face> {
    let mut faces = Vec::new();
    for (level, stride) in STRIDES.into_iter().enumerate() {
        let columns = side / stride;
        let cells = columns * columns;
        let [cls, obj, bbox, kps] = [0, 3, 6, 9].map(|kind| outputs.get(kind + level).map_or(&[][..], Vec::as_slice));
        if cls.len() != cells || obj.len() != cells || bbox.len() != cells * 4 || kps.len() != cells * 10 {
            return Vec::new();
        }
        for cell in 0..cells {
            let score = (cls[cell].clamp(0.0, 1.0) * obj[cell].clamp(0.0, 1.0)).sqrt();
            if score >= score_min {
                let origin = [(cell % columns) as f32, (cell / columns) as f32];
                let (b, k) = (&bbox[cell * 4..][..4], &kps[cell * 10..][..10]);
                faces.push(decode(score, origin, stride as f32 / ratio, b, k));
            }
        }
    }
    faces
}

fn decode(score: f32, [column, row]: [f32; 2], scale: f32, b: &[f32], k: &[f32]) -> Face {
    let (centre_x, centre_y) = ((column + b[0]) * scale, (row + b[1]) * scale);
    let (width, height) = (b[2].exp() * scale, b[3].exp() * scale);
    Face {
        score,
        bounds: [centre_x - width / 2.0, centre_y - height / 2.0, width, height],
        landmarks: std::array::from_fn(|i| [(column + k[2 * i]) * scale, (row + k[2 * i + 1]) * scale]),
    }
}

/// Keeps the best of every group of overlapping boxes.
fn strongest(mut faces: Vec<Face>) -> Vec<Face> {
    faces.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Face> = Vec::new();
    for face in faces {
        if kept.iter().all(|better| overlap(better, &face) <= NMS_IOU) {
            kept.push(face);
        }
    }
    kept
}

fn overlap(a: &Face, b: &Face) -> f32 {
    let along = |axis: usize| {
        let end = (a.bounds[axis] + a.bounds[axis + 2]).min(b.bounds[axis] + b.bounds[axis + 2]);
        (end - a.bounds[axis].max(b.bounds[axis])).max(0.0)
    };
    let shared = along(0) * along(1);
    shared / (a.area() + b.area() - shared).max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(score: f32, left: f32) -> Face {
        Face { score, bounds: [left, 0.0, 10.0, 10.0], landmarks: [[0.0; 2]; 5] }
    }

    #[test]
    fn overlapping_boxes_leave_the_best() {
        let kept = strongest(vec![face(0.85, 2.0), face(0.9, 0.0), face(0.8, 30.0)]);
        assert_eq!(kept.iter().map(|f| f.score).collect::<Vec<_>>(), [0.9, 0.8]);
    }

    #[test]
    fn outputs_of_another_shape_hold_no_faces() {
        assert!(candidates(&[vec![1.0; 4]], 320, 1.0, 0.5).is_empty());
    }

    #[test]
    fn a_wide_frame_is_anchored_top_left() {
        let frame = Frame::from_rgb(64, 32, vec![200; 64 * 32 * 3]).unwrap();
        let (planes, ratio) = letterbox(&frame, 32);
        assert_eq!(ratio, 0.5);
        assert_eq!(planes.as_slice()[0], 200.0);
        assert_eq!(planes.as_slice()[16 * 32], 0.0);
    }
}
