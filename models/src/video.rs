//! One frame of a camera, as the wire has it: decoded within limits or called torn. Every byte of it is hostile.

use zeroize::Zeroizing;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::image::Frame;

/// Longest side of a camera's picture, in pixels.
pub const SIDE_CAP: u32 = 4096;
/// Largest frame on the wire, in bytes.
pub const BYTES_CAP: usize = 16 << 20;
/// Scans of one picture: a baseline one has at most one a component.
const SCANS_CAP: usize = 4;

/// How a camera packs its pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pixels {
    Mjpeg,
    Yuyv,
    /// One byte a pixel, such as of infrared cameras.
    Grey,
}

impl Pixels {
    /// Bytes a row of so many pixels takes at least.
    #[must_use]
    pub fn row(self, width: u32) -> usize {
        match self {
            Self::Mjpeg => 0,
            Self::Yuyv => width as usize * 2,
            Self::Grey => width as usize,
        }
    }
}

impl std::str::FromStr for Pixels {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "mjpeg" => Ok(Self::Mjpeg),
            "yuyv" => Ok(Self::Yuyv),
            "grey" => Ok(Self::Grey),
            _ => Err(format!("pixels={text:?}: there are mjpeg, yuyv and grey")),
        }
    }
}

/// What a camera was set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    pub pixels: Pixels,
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next, where rows are not packed; 0 where they are.
    pub stride: usize,
}

/// A frame that shows nothing whole; the next one follows at once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("torn frame: {0}")]
pub struct Torn(pub String);

/// The picture in `bytes`.
///
/// # Errors
/// It is cut short, of another shape, larger than allowed, or no picture at all.
pub fn decode(shape: Shape, bytes: &[u8]) -> Result<Frame, Torn> {
    if bytes.len() > BYTES_CAP {
        return Err(Torn(format!("it is larger than {BYTES_CAP} bytes")));
    }
    let (width, height) = (shape.width as usize, shape.height as usize);
    if shape.width > SIDE_CAP || shape.height > SIDE_CAP {
        return Err(Torn(format!("{width} x {height} is larger than {SIDE_CAP}")));
    }
    match shape.pixels {
        Pixels::Mjpeg => jpeg(bytes),
        Pixels::Yuyv => packed(shape, bytes).and_then(|rows| Frame::from_yuyv(width, height, &rows)).ok_or_else(short),
        Pixels::Grey => packed(shape, bytes)
            .and_then(|rows| Frame::from_rgb(width, height, rows.iter().flat_map(|&level| [level; 3]).collect()))
            .ok_or_else(short),
    }
}

fn short() -> Torn {
    Torn("it has fewer bytes than its size needs".to_owned())
}

/// The rows without what stands between them.
fn packed(shape: Shape, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (row, height) = (shape.pixels.row(shape.width), shape.height as usize);
    if row == 0 || height == 0 {
        return None;
    }
    let stride = shape.stride.max(row);
    let mut rows = Zeroizing::new(Vec::with_capacity(row * height));
    for y in 0..height {
        rows.extend_from_slice(bytes.get(y.checked_mul(stride)?..)?.get(..row)?);
    }
    Some(rows)
}

/// Decodes a JPEG of a camera: baseline, whole, no larger than allowed.
///
/// # Errors
/// As of [`decode`].
pub fn jpeg(bytes: &[u8]) -> Result<Frame, Torn> {
    crate::image::jpeg_is_whole(bytes).map_err(Torn)?;
    // A decoder that trips over a hostile frame must not take the camera with it.
    let decoded = std::panic::catch_unwind(|| colours(bytes));
    decoded.unwrap_or_else(|_| Err(Torn("the decoder failed".to_owned())))
}

/// Begins a picture that leaves its Huffman tables out, as many cameras do: the decoder then takes the usual ones.
const WITHOUT_TABLES: [u8; 20] = [0xff, 0xd8, 0xff, 0xe0, 0, 16, b'A', b'V', b'I', b'1', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Whether a Huffman table stands before the first scan.
fn has_tables(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap_or(bytes.len());
    bytes[..scan].windows(2).any(|pair| pair == [0xff, 0xc4])
}

fn colours(bytes: &[u8]) -> Result<Frame, Torn> {
    if has_tables(bytes) {
        return decoded(bytes);
    }
    decoded(&Zeroizing::new([&WITHOUT_TABLES, bytes.get(2..).unwrap_or_default()].concat()))
}

fn decoded(bytes: &[u8]) -> Result<Frame, Torn> {
    let torn = |error: zune_jpeg::errors::DecodeErrors| Torn(error.to_string());
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(SIDE_CAP as usize)
        .set_max_height(SIDE_CAP as usize)
        .jpeg_set_max_scans(SCANS_CAP)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let rgb = decoder.decode().map_err(torn)?;
    let (width, height) = decoder.dimensions().ok_or_else(short)?;
    Frame::from_rgb(width, height, rgb).ok_or_else(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(pixels: Pixels, width: u32, height: u32, stride: usize) -> Shape {
        Shape { pixels, width, height, stride }
    }

    #[test]
    fn grey_rows_keep_their_brightness_and_what_stands_between_rows_is_left_out() {
        let rows = [[10, 20, 99, 99], [30, 40, 99, 99]].concat();
        let frame = decode(shape(Pixels::Grey, 2, 2, 4), &rows).unwrap();
        assert_eq!(frame.luma(100), (vec![10, 20, 30, 40], 2, 2));
        assert!(decode(shape(Pixels::Grey, 2, 2, 4), &rows[..5]).is_err(), "the last row is missing");
        let frame = decode(shape(Pixels::Yuyv, 2, 1, 6), &[16, 128, 235, 128, 0, 0]).unwrap();
        assert_eq!(frame.luma(100), (vec![0, 255], 2, 1));
    }

    #[test]
    fn frames_of_impossible_shapes_and_sizes_are_torn_at_once() {
        let huge = vec![0; BYTES_CAP + 1];
        for (shape, bytes) in [
            (shape(Pixels::Grey, 0, 0, 0), &b""[..]),
            (shape(Pixels::Grey, SIDE_CAP + 1, 1, 0), b"x"),
            (shape(Pixels::Yuyv, u32::MAX, u32::MAX, usize::MAX), b"x"),
            (shape(Pixels::Yuyv, 3, 1, 0), &[0; 6]),
            (shape(Pixels::Grey, 4, 4, usize::MAX), &[0; 64]),
            (shape(Pixels::Mjpeg, 4, 4, 0), b""),
            (shape(Pixels::Mjpeg, 4, 4, 0), b"\xff\xd8\xff\xda\xff\xd9"),
            (shape(Pixels::Grey, 4, 4, 0), &huge),
        ] {
            assert!(decode(shape, bytes).is_err(), "{shape:?}");
        }
    }
}
