//! What is true of any frame of a camera: it is decoded within its limits or torn, and a code in it is one a scanner could say;
//! and of whatever a network camera says.
#![allow(dead_code, reason = "a fuzz target calls one of them")]

use models::camera::rtsp::{Ear, Heard};
use models::codes::Reader;
use models::video::{BYTES_CAP, Pixels, SIDE_CAP, Shape, decode, jpeg};

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

/// Bytes from a network camera behind the size of its chunks: words, packets and pictures are the same however they are cut,
/// and a picture is decoded or torn.
pub fn rtsp(data: &[u8]) {
    let [chunk, data @ ..] = data else { return };
    let (whole, cut) = (said(data.len(), data), said(usize::from(*chunk), data));
    assert_eq!(whole, cut, "in chunks of {chunk}");
}

/// In short, and where it ended.
fn said(chunk: usize, data: &[u8]) -> Vec<String> {
    let (mut ear, mut said) = (Ear::default(), Vec::new());
    for bytes in data.chunks(chunk.max(1)) {
        ear.hear(bytes);
        loop {
            match ear.heard() {
                Ok(None) => break,
                Ok(Some(Heard::Packet)) => said.push("packet".into()),
                Ok(Some(Heard::Words(message))) => {
                    let offer = message.offer("rtsp://192.0.2.7/live");
                    let line = |offer| format!("{offer:?}").len() < 8 * 1024;
                    assert!(offer.as_ref().is_ok_and(line) || offer.is_err());
                    said.push(format!("{offer:?}"));
                }
                Ok(Some(Heard::Picture(picture))) => {
                    assert!(picture.len() < BYTES_CAP + 1024);
                    said.push(format!("{:?}", jpeg(&picture).map(|frame| (frame.width(), frame.height()))));
                }
                // Nothing after it counts: the connection ends.
                Err(wrong) => {
                    said.push(wrong);
                    return said;
                }
            }
        }
    }
    said
}
