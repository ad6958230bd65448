//! The quality gate: whether a face is good enough to be recognised, and what would help.

use drivers::vision::Hint;

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
pub const SHARPNESS_MIN: f32 = 0.03;

/// The quality gate: what is wrong with the largest face, worst first.
pub fn shortcoming(frame: &Frame, face: &Face, second: Option<&Face>) -> Option<Hint> {
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

/// Energy of the finest detail of an aligned face against that of all its light and shade, whatever the light. At half the
/// size, so that a small face is not blamed for being enlarged.
pub fn sharpness(aligned: &Planes) -> f32 {
    const HALF: usize = SIDE / 2;
    // Hair and background say nothing about the face.
    const EDGE: usize = HALF / 8;
    let planes = aligned.as_slice();
    let grey = |x: usize, y: usize| {
        let corners = [(0, 0), (1, 0), (0, 1), (1, 1)];
        let at = |channel: usize| corners.map(|(dx, dy)| planes[(channel * SIDE + 2 * y + dy) * SIDE + 2 * x + dx]);
        [0, 1, 2].map(|channel| at(channel).iter().sum::<f32>()).iter().sum::<f32>() / 12.0
    };
    let (mut fine, mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64, 0.0_f64);
    for y in EDGE..HALF - EDGE {
        for x in EDGE..HALF - EDGE {
            let here = grey(x, y);
            let detail = 4.0 * here - grey(x - 1, y) - grey(x + 1, y) - grey(x, y - 1) - grey(x, y + 1);
            fine += f64::from(detail * detail);
            sum += f64::from(here);
            squares += f64::from(here * here);
            count += 1.0;
        }
    }
    let shade = squares / count - (sum / count).powi(2);
    if shade > 0.0 { (fine / count / shade) as f32 } else { 0.0 }
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
        assert!(sharpness(&waves(8.0)) > SHARPNESS_MIN);
        assert!(sharpness(&waves(60.0)) < SHARPNESS_MIN);
        assert_eq!(sharpness(&Planes::black(SIDE)), 0.0);
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
