//! What is true of any photograph somebody brings: it is refused with a reason, or decoded within its limits.

use models::image::{Frame, PIXEL_CAP};

pub fn photograph(data: &[u8]) {
    match Frame::decode(data) {
        Ok(frame) => {
            assert!(frame.width() > 0 && frame.height() > 0);
            assert!((frame.width() * frame.height()) as u64 <= PIXEL_CAP);
            let (luma, width, height) = frame.luma(64);
            assert!(luma.len() == width * height && width <= 64 && height <= 64);
        }
        Err(reason) => assert!(!reason.is_empty() && reason.len() < 500, "{reason}"),
    }
}
