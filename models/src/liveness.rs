//! Liveness: two MiniFASNets look at the face with two widths of surroundings.

use crate::align::aligned;
use crate::detect::Face;
use crate::image::{Frame, Planes, Window};
use crate::manifest::Models;
use crate::model::{ModelError, Network};
use crate::quality::Features;

/// Mean over the frames of an attempt from which a face counts as live.
pub const LIVE_MIN: f32 = 0.5;
const SIDE: usize = 80;
const LIVE_CLASS: usize = 1;

/// Both networks with the width of their crop, in face sizes.
#[derive(Debug)]
pub struct Liveness {
    near: Network,
    wide: Network,
}

/// Mean brightness of a face that the camera's lamp reaches, 0 to 255.
const LIT: std::ops::Range<f32> = 40.0..235.0;
const NEAR: f32 = 2.7;
const WIDE: f32 = 4.0;

impl Liveness {
    pub fn load(models: &Models) -> Result<Self, ModelError> {
        let [near, wide] = Network::load_all(models, &models.manifest().liveness)?;
        Ok(Self { near, wide })
    }

    /// Overwrites what earlier faces left in memory.
    pub fn forget(&self) {
        self.near.forget();
        self.wide.forget();
    }

    /// How live one face in one frame looks, 0 to 1. One frame alone misjudges a tenth of genuine faces.
    pub fn score(&self, frame: &Frame, face: &Face) -> Result<f32, ModelError> {
        let near = live(&self.near, frame, face, NEAR)?;
        let wide = live(&self.wide, frame, face, WIDE)?;
        Ok((near + wide) / 2.0)
    }
}

/// How live the largest face looks in infrared: 1 where a camera with a lamp of its own sees one, 0 where it does not. A screen
/// gives off no infrared, so that it is black there; a print of colours fades, or shows no lines of a face.
///
/// The bounds are those of the quality gate. No attack was measured with a camera of this kind yet.
pub fn infrared(frame: &Frame, faces: &[Face]) -> f32 {
    let largest = faces.iter().max_by(|a, b| a.area().total_cmp(&b.area()));
    let lit = largest.filter(|face| {
        let [left, top, width, height] = face.bounds;
        LIT.contains(&frame.brightness(left, top, width, height))
    });
    let whole = lit.and_then(|face| aligned(frame, face)).is_some_and(|it| !Features::of(&it).is_covered());
    if whole { 1.0 } else { 0.0 }
}

fn live(network: &Network, frame: &Frame, face: &Face, scale: f32) -> Result<f32, ModelError> {
    let Some(window) = crop(frame.width(), frame.height(), face, scale) else {
        return Ok(0.0);
    };
    let mut planes = Planes::black(SIDE);
    frame.resize_into(window, &mut planes, SIDE, SIDE);
    let outputs = network.run(planes.as_slice())?;
    Ok(outputs.first().and_then(|classes| classes.get(LIVE_CLASS)).copied().unwrap_or(0.0))
}

/// The part of the frame a network looks at: the face's box made square as the networks' own detector would draw it,
/// scaled about its centre and shifted into the frame.
pub fn crop(frame_width: usize, frame_height: usize, face: &Face, scale: f32) -> Option<Window> {
    let [x, y, width, height] = face.bounds.map(f64::from);
    let side = (width * height).sqrt();
    let (left, top) = (x + width / 2.0 - side / 2.0, y + height - side);
    let (most_x, most_y) = (frame_width as f64 - 1.0, frame_height as f64 - 1.0);
    let scale = (most_y / side).min(most_x / side).min(f64::from(scale));
    let reach = side * scale;
    let (first_x, last_x) = shifted(left + side / 2.0, reach, most_x)?;
    let (first_y, last_y) = shifted(top + side / 2.0, reach, most_y)?;
    Some(Window { left: first_x, top: first_y, width: last_x - first_x + 1, height: last_y - first_y + 1 })
}

/// First and last pixel of a length about a centre, pushed inside 0 to `most`.
fn shifted(centre: f64, length: f64, most: f64) -> Option<(usize, usize)> {
    let (mut first, mut last) = (centre - length / 2.0, centre + length / 2.0);
    if first < 0.0 {
        last -= first;
        first = 0.0;
    }
    if last > most {
        first -= last - most;
        last = most;
    }
    let valid = first.is_finite() && last.is_finite() && last >= 0.0;
    valid.then(|| (first.max(0.0) as usize, last as usize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crop_is_shifted_into_the_frame_and_not_clipped() {
        let face = Face { score: 0.93, bounds: [188.186, 110.441, 190.438, 246.113], landmarks: [[0.0; 2]; 5] };
        let window = crop(480, 640, &face, 2.7).unwrap();
        assert_eq!(window, Window { left: 0, top: 8, width: 480, height: 480 });
    }

    #[test]
    fn a_box_of_no_size_has_no_crop() {
        let face = Face { score: 0.9, bounds: [f32::NAN; 4], landmarks: [[0.0; 2]; 5] };
        assert_eq!(crop(480, 640, &face, 2.7), None);
    }
}
