//! A mirror for whoever enrols: small, grey, left and right as in a mirror.

use drivers::vision::{PREVIEW_SIDE, Preview};
use std::time::{Duration, Instant};

use crate::image::Frame;

/// A mirror moves; more often than this says nothing new.
const EVERY: Duration = Duration::from_millis(250);

/// When the next picture is due.
#[derive(Debug, Default)]
pub struct Mirror {
    next: Option<Instant>,
}

impl Mirror {
    /// The frame as a mirror shows it, where it is time for one.
    pub fn look(&mut self, frame: &Frame, now: Instant) -> Option<Preview> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        self.next = Some(now + EVERY);
        reflect(frame)
    }
}

/// Each pixel is the mean brightness of the part of the frame it stands for.
fn reflect(frame: &Frame) -> Option<Preview> {
    let (width, height) = (frame.width(), frame.height());
    let longest = width.max(height).max(PREVIEW_SIDE);
    let shrunk = |side: usize| (side * PREVIEW_SIDE / longest).max(1);
    let (columns, rows) = (shrunk(width), shrunk(height));
    let mut grey = Vec::with_capacity(columns * rows);
    for row in 0..rows {
        let (top, bottom) = (row * height / rows, (row + 1) * height / rows);
        for column in (0..columns).rev() {
            let (left, right) = (column * width / columns, (column + 1) * width / columns);
            let line = |y: usize| &frame.rgb()[(y * width + left) * 3..(y * width + right) * 3];
            let sum: u64 = (top..bottom).flat_map(line).map(|byte| u64::from(*byte)).sum();
            let count = ((bottom - top) * (right - left) * 3).max(1) as u64;
            grey.push((sum / count) as u8);
        }
    }
    Preview::new(columns, rows, grey)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(width: usize, height: usize) -> Frame {
        let grey = |at: usize| if at % width < width / 2 { [10, 10, 10] } else { [200, 200, 200] };
        Frame::from_rgb(width, height, (0..width * height).flat_map(grey).collect()).unwrap()
    }

    #[test]
    fn a_mirror_shows_the_right_side_on_the_left_and_fits_its_bounds() {
        for (width, height, small) in
            [(1280, 720, (208, 117)), (720, 1280, (117, 208)), (4, 2, (4, 2)), (2, 30_000, (1, 208))]
        {
            let preview = reflect(&frame(width, height)).unwrap();
            assert_eq!((preview.width(), preview.height()), small);
            if small.0 > 1 {
                assert_eq!((preview.grey()[0], preview.grey()[small.0 - 1]), (200, 10), "{width} x {height}");
            }
        }
    }

    #[test]
    fn it_moves_a_few_times_a_second() {
        let (mut mirror, frame, now) = (Mirror::default(), frame(64, 48), Instant::now());
        assert!(mirror.look(&frame, now).is_some());
        assert!(mirror.look(&frame, now + EVERY / 2).is_none());
        assert!(mirror.look(&frame, now + EVERY).is_some());
    }
}
