//! Alignment: five landmarks onto the recogniser's template by a least-squares similarity.

use crate::detect::Face;
use crate::image::{Frame, Planes};

/// Side of an aligned face, in pixels.
pub const SIDE: usize = 128;

/// Where the recogniser expects eyes, nose and mouth corners.
const TEMPLATE: [[f64; 2]; 5] =
    [[40.3928, 59.0815], [87.3757, 58.8587], [64.0336, 81.9847], [44.7324, 105.5606], [83.6399, 105.3761]];

/// A face as the recogniser wants it; `None` when its landmarks lie on one point.
pub fn aligned(frame: &Frame, face: &Face) -> Option<Planes> {
    Similarity::onto_template(&face.landmarks).map(|alignment| alignment.warp(frame))
}

/// Rotation, uniform scale and shift from frame to template: `[[a, -b, tx], [b, a, ty]]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    pub a: f64,
    pub b: f64,
    pub tx: f64,
    pub ty: f64,
}

impl Similarity {
    /// The transform that moves the landmarks nearest to the template; `None` when they lie on one point.
    pub fn onto_template(landmarks: &[[f32; 2]; 5]) -> Option<Self> {
        let source = landmarks.map(|point| point.map(f64::from));
        let (from, to) = (mean(&source), mean(&TEMPLATE));
        let (mut dot, mut cross, mut norm) = (0.0, 0.0, 0.0);
        for (s, d) in source.iter().zip(&TEMPLATE) {
            let s = [s[0] - from[0], s[1] - from[1]];
            let d = [d[0] - to[0], d[1] - to[1]];
            dot += s[0] * d[0] + s[1] * d[1];
            cross += s[0] * d[1] - s[1] * d[0];
            norm += s[0] * s[0] + s[1] * s[1];
        }
        let (a, b) = (dot / norm, cross / norm);
        let tx = to[0] - (a * from[0] - b * from[1]);
        let ty = to[1] - (b * from[0] + a * from[1]);
        let turns = a * a + b * b;
        ([a, b, tx, ty].iter().all(|v| v.is_finite()) && turns > 0.0).then_some(Self { a, b, tx, ty })
    }

    /// The frame point that lands on a template point.
    fn undo(&self, x: f64, y: f64) -> (f64, f64) {
        let (x, y) = (x - self.tx, y - self.ty);
        let turns = self.a * self.a + self.b * self.b;
        ((self.a * x + self.b * y) / turns, (self.a * y - self.b * x) / turns)
    }

    /// The aligned face, rounded to whole brightness steps, black outside the frame.
    pub fn warp(&self, frame: &Frame) -> Planes {
        let mut planes = Planes::black(SIDE);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let (sx, sy) = self.undo(x as f64, y as f64);
                let rgb = frame.sample(sx as f32, sy as f32);
                planes.put(x, y, rgb.map(|value| (value + 0.5).floor()));
            }
        }
        planes
    }
}

fn mean(points: &[[f64; 2]; 5]) -> [f64; 2] {
    let sum = points.iter().fold([0.0, 0.0], |sum, point| [sum[0] + point[0], sum[1] + point[1]]);
    sum.map(|value| value / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_maps_onto_itself() {
        let landmarks = TEMPLATE.map(|point| point.map(|v| v as f32));
        let found = Similarity::onto_template(&landmarks).unwrap();
        assert!((found.a - 1.0).abs() < 1e-6 && found.b.abs() < 1e-6);
        assert!(found.tx.abs() < 1e-4 && found.ty.abs() < 1e-4);
    }

    #[test]
    fn a_turned_and_scaled_face_is_turned_back() {
        let landmarks = TEMPLATE.map(|[x, y]| [(20.0 - 2.0 * y) as f32, (30.0 + 2.0 * x) as f32]);
        let found = Similarity::onto_template(&landmarks).unwrap();
        let (x, y) = found.undo(40.0, 60.0);
        assert!((x - (20.0 - 120.0)).abs() < 1e-3 && (y - (30.0 + 80.0)).abs() < 1e-3);
    }

    #[test]
    fn landmarks_on_one_point_have_no_alignment() {
        assert_eq!(Similarity::onto_template(&[[5.0, 5.0]; 5]), None);
    }
}
