//! The quality gate: whether a face is good enough to be recognised, and what would help.

use std::ops::Range;

use drivers::vision::Hint;
use zeroize::Zeroizing;

use crate::align::SIDE;
use crate::detect::Face;
use crate::image::{Frame, Planes};

/// Narrowest face that is recognised, in frame pixels: half of what the recogniser looks at.
pub const FACE_WIDTH_MIN: f32 = 64.0;
/// A second face of this share of the first one's area makes it unclear who is meant.
const RIVAL_SHARE: f32 = 0.5;
/// Share of the frame's width above which a face is too near to be seen whole.
const FACE_SHARE_MAX: f32 = 0.9;
/// Mean brightness of a face below which its features drown, 0 to 255.
const BRIGHTNESS_MIN: f32 = 30.0;

/// How sharp an aligned face has to be. Of sharp photographs the softest reaches 0.13, one out of focus by a twentieth of the
/// distance between the eyes 0.02 to 0.07, by a twelfth less than 0.02.
const SHARPNESS_MIN: f32 = 0.03;

/// Of a face that looks straight ahead the nose stands within this of the middle, in distances between the eyes.
const TURN_MAX: f32 = 0.5;
/// Where the nose of a face that looks neither up nor down stands; of 130 photographs all are within 0.50 and 0.68.
const TILT: Range<f32> = 0.3..0.85;
/// Mean brightness of a face above which its features are washed out.
const BRIGHTNESS_MAX: f32 = 235.0;

/// How much has to change at an eye or the mouth. Of 124 photographs of more than 40 people the least reaches 0.115; masks,
/// glasses, hands and telephones painted over them stay below 0.1 in 19 of 20.
const FEATURE_MIN: f32 = 0.1;
/// And against the liveliest of the others: uncovered faces reach 0.447.
const FEATURE_SHARE_MIN: f32 = 0.4;

/// The quality gate: what is wrong with the largest face, worst first.
pub fn shortcoming(frame: &Frame, face: &Face, second: Option<&Face>) -> Option<Hint> {
    let [left, top, width, height] = face.bounds;
    let inside = |[x, y]: [f32; 2]| x >= 0.0 && y >= 0.0 && x < frame.width() as f32 && y < frame.height() as f32;
    let brightness = frame.brightness(left, top, width, height);
    if second.is_some_and(|other| other.area() >= face.area() * RIVAL_SHARE) {
        Some(Hint::OnePerson)
    } else if width < FACE_WIDTH_MIN {
        Some(Hint::ComeCloser)
    } else if width > frame.width() as f32 * FACE_SHARE_MAX {
        Some(Hint::StepBack)
    } else if !face.landmarks.into_iter().all(inside) {
        Some(Hint::CentreFace)
    } else if turn(face).abs() > TURN_MAX || !TILT.contains(&tilt(face)) {
        Some(Hint::LookAtCamera)
    } else if brightness < BRIGHTNESS_MIN {
        Some(Hint::MoreLight)
    } else if brightness > BRIGHTNESS_MAX {
        Some(Hint::LessLight)
    } else {
        None
    }
}

/// How far a head is turned: where the nose stands between the eyes, in distances between them. Above 0 to one's own left;
/// looking straight ahead gives -0.15 to 0.25.
pub fn turn(face: &Face) -> f32 {
    let [left_eye, right_eye, nose, ..] = face.landmarks;
    let eyes = [right_eye[0] - left_eye[0], right_eye[1] - left_eye[1]];
    let off = [0, 1].map(|axis| nose[axis] - f32::midpoint(left_eye[axis], right_eye[axis]));
    let apart = eyes[0] * eyes[0] + eyes[1] * eyes[1];
    if apart > 0.0 { (off[0] * eyes[0] + off[1] * eyes[1]) / apart } else { 0.0 }
}

/// How far a face looks up or down: where the nose stands between eyes (0) and mouth (1).
fn tilt(face: &Face) -> f32 {
    let [left_eye, right_eye, nose, left_mouth, right_mouth] = face.landmarks;
    let middle = |a: [f32; 2], b: [f32; 2]| [f32::midpoint(a[0], b[0]), f32::midpoint(a[1], b[1])];
    let (eyes, mouth) = (middle(left_eye, right_eye), middle(left_mouth, right_mouth));
    // At a right angle to the line between the eyes, so that a tilted head is none that nods.
    let down = [left_eye[1] - right_eye[1], right_eye[0] - left_eye[0]];
    let along = |point: [f32; 2]| (point[0] - eyes[0]) * down[0] + (point[1] - eyes[1]) * down[1];
    let whole = along(mouth);
    if whole > 0.0 { along(nose) / whole } else { 0.0 }
}

/// An aligned face in grey and at half its size, so that a small face is not blamed for being enlarged.
pub struct Features {
    grey: Zeroizing<Vec<f32>>,
}

const HALF: usize = SIDE / 2;
/// Hair and background say nothing about the face.
const EDGE: usize = HALF / 8;
/// Columns and rows of both eyes and the mouth.
const FEATURES: [(Range<usize>, Range<usize>); 3] = [(11..29, 23..35), (34..52, 23..35), (21..43, 46..58)];
/// Of a feature's eleven steps from row to row the quietest so many count.
const QUIET_ROWS: usize = 8;

impl Features {
    pub fn of(aligned: &Planes) -> Self {
        let planes = aligned.as_slice();
        let pixel = |x: usize, y: usize| {
            let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
            let at = |channel: usize| corners.map(|(dx, dy)| planes[(channel * SIDE + 2 * y + dy) * SIDE + 2 * x + dx]);
            [0, 1, 2].map(|channel| at(channel).iter().sum::<f32>()).iter().sum::<f32>() / 12.0
        };
        Self { grey: Zeroizing::new((0..HALF * HALF).map(|at| pixel(at % HALF, at / HALF)).collect()) }
    }

    fn at(&self, x: usize, y: usize) -> f32 {
        self.grey[y * HALF + x]
    }

    /// How much light and shade there is: the variance inside.
    fn shade(&self) -> f64 {
        let inside = (EDGE..HALF - EDGE).flat_map(|y| (EDGE..HALF - EDGE).map(move |x| f64::from(self.at(x, y))));
        let count = ((HALF - 2 * EDGE) * (HALF - 2 * EDGE)) as f64;
        let (sum, squares) = inside.fold((0.0, 0.0), |(sum, squares), here| (sum + here, squares + here * here));
        squares / count - (sum / count).powi(2)
    }

    /// Energy of the finest detail against that of all light and shade, whatever the light.
    pub fn sharpness(&self) -> f32 {
        let (mut fine, mut count) = (0.0_f64, 0.0_f64);
        for y in EDGE..HALF - EDGE {
            for x in EDGE..HALF - EDGE {
                let around = self.at(x - 1, y) + self.at(x + 1, y) + self.at(x, y - 1) + self.at(x, y + 1);
                let detail = 4.0 * self.at(x, y) - around;
                fine += f64::from(detail * detail);
                count += 1.0;
            }
        }
        let shade = self.shade();
        if shade > 0.0 { (fine / count / shade) as f32 } else { 0.0 }
    }

    /// How much changes from row to row at both eyes and the mouth, against all light and shade: lids, brows and lips are lines
    /// across, and what covers them has none. Its own edge is a line, too, so the liveliest rows do not count.
    pub fn lines(&self) -> [f32; 3] {
        let shade = self.shade().sqrt() as f32;
        FEATURES.map(|(columns, rows)| {
            let step = |y: usize| columns.clone().map(|x| (self.at(x, y) - self.at(x, y - 1)).abs()).sum::<f32>();
            let mut steps: Vec<f32> = rows.skip(1).map(step).collect();
            steps.sort_by(f32::total_cmp);
            let quiet = &steps[..QUIET_ROWS];
            let count = (columns.len() * quiet.len()) as f32;
            if shade > 0.0 { quiet.iter().sum::<f32>() / count / shade } else { 0.0 }
        })
    }

    /// What is wrong with a face once it is aligned.
    pub fn shortcoming(&self) -> Option<Hint> {
        if self.sharpness() < SHARPNESS_MIN {
            Some(Hint::HoldStill)
        } else if self.is_covered() {
            Some(Hint::UncoverFace)
        } else {
            None
        }
    }

    /// Whether something covers an eye or the mouth: it has no lines there, or far fewer than the rest of the face.
    pub fn is_covered(&self) -> bool {
        let [left, right, mouth] = self.lines();
        let eyes = left.min(right);
        eyes.min(mouth) < FEATURE_MIN || eyes < mouth * FEATURE_SHARE_MIN || mouth < left.max(right) * FEATURE_SHARE_MIN
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

    /// Waves across a face, so many pixels long.
    fn waves(length: f32) -> Planes {
        let mut planes = Planes::black(SIDE);
        for y in 0..SIDE {
            for x in 0..SIDE {
                let light = 128.0 + 100.0 * ((x + y) as f32 / length * std::f32::consts::TAU).sin();
                planes.put(x, y, [light; 3]);
            }
        }
        planes
    }

    #[test]
    fn a_blurred_face_is_told_from_a_sharp_one_in_any_light() {
        assert!(Features::of(&waves(8.0)).sharpness() > SHARPNESS_MIN);
        assert!(Features::of(&waves(60.0)).sharpness() < SHARPNESS_MIN);
        assert_eq!(Features::of(&Planes::black(SIDE)).sharpness(), 0.0);
    }

    #[test]
    fn what_has_no_lines_where_eyes_or_mouth_should_be_is_covered() {
        let lines = waves(8.0);
        assert!(!Features::of(&lines).is_covered());
        for (columns, rows) in FEATURES {
            let mut patched = lines.clone();
            for (x, y) in rows.flat_map(|y| columns.clone().map(move |x| (x, y))) {
                (0..4).for_each(|corner| patched.put(2 * x + corner % 2, 2 * y + corner / 2, [90.0; 3]));
            }
            assert!(Features::of(&patched).is_covered());
        }
        assert!(Features::of(&Planes::black(SIDE)).is_covered());
    }

    #[test]
    fn a_turn_is_told_whichever_way_the_head_is_tilted() {
        let mut face = face(100.0);
        assert!(turn(&face).abs() < 1e-3 && (tilt(&face) - 0.5).abs() < 1e-3);
        face.landmarks[2][0] += 12.0;
        let turned = turn(&face);
        assert!((turned - 0.3).abs() < 1e-3, "{turned}");
        face.landmarks = face.landmarks.map(|[x, y]| [-y, x]);
        assert!((turn(&face) - turned).abs() < 1e-3 && (tilt(&face) - 0.5).abs() < 1e-3);
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
        assert_eq!(shortcoming(&grey(250), &good, None), Some(Hint::LessLight));
        let mut down = good.clone();
        down.landmarks[2][1] = down.landmarks[3][1];
        assert_eq!(shortcoming(&grey(120), &down, None), Some(Hint::LookAtCamera));
        let mut aside = good.clone();
        aside.landmarks[2][0] = aside.landmarks[1][0] + 5.0;
        assert_eq!(shortcoming(&grey(120), &aside, None), Some(Hint::LookAtCamera));
        let mut half = good;
        half.landmarks[0][0] = -3.0;
        assert_eq!(shortcoming(&grey(120), &half, None), Some(Hint::CentreFace));
    }
}
