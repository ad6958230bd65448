//! Liveness: two MiniFASNets look at the face with two widths of surroundings.

use std::path::Path;

use crate::detect::Face;
use crate::image::{Frame, Planes, Window};
use crate::model::{ModelError, Network};

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

const NEAR: f32 = 2.7;
const WIDE: f32 = 4.0;

impl Liveness {
    pub fn load(models: &Path) -> Result<Self, ModelError> {
        Ok(Self {
            near: Network::load(models, "2.7_80x80_MiniFASNetV2_noprelu.onnx")?,
            wide: Network::load(models, "4_0_0_80x80_MiniFASNetV1SE_noprelu.onnx")?,
        })
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
