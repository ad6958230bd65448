//! What is true of any frame of a camera: it is decoded within its limits or torn, and a code in it is one a scanner could say.

use models::codes::Reader;
use models::video::{Pixels, SIDE_CAP, Shape, decode};

/// Kind of pixels, width and height (16 bits each), then the frame.
pub fn frame(data: &[u8]) {
    let [kind, w1, w0, h1, h0, bytes @ ..] = data else { return };
    let pixels = [Pixels::Mjpeg, Pixels::Yuyv, Pixels::Grey][usize::from(*kind) % 3];
    let side = |high: u8, low: u8| u32::from(u16::from_be_bytes([high, low]));
    let shape = Shape { pixels, width: side(*w1, *w0), height: side(*h1, *h0), stride: 0 };
    let Ok(frame) = decode(shape, bytes) else { return };
    assert!(frame.width() > 0 && frame.height() > 0);
    assert!(frame.width() <= SIDE_CAP as usize && frame.height() <= SIDE_CAP as usize);
    if pixels != Pixels::Mjpeg {
        assert_eq!((frame.width(), frame.height()), (shape.width as usize, shape.height as usize));
    }
    // A picture of nothing but its size is looked at elsewhere.
    if frame.width() * frame.height() > 1 << 20 {
        return;
    }
    if let Some(symbol) = Reader::default().read(&frame) {
        let said = symbol.data.bytes().all(|byte| byte == 29 || (32..127).contains(&byte));
        assert!(symbol.aim.len() == 2 && !symbol.data.is_empty() && said);
    }
}
