//! Frames: photographs decoded within limits, resized plainly, and wiped when dropped.

use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
use zeroize::Zeroizing;

use crate::model::read_capped;

/// Largest photograph file, in bytes.
pub const FILE_CAP: u64 = 16 << 20;
/// Largest photograph, in pixels.
pub const PIXEL_CAP: u64 = 32 << 20;
/// Longest side of a photograph, in pixels.
const SIDE_CAP: u32 = 16_384;
/// What a decoder may allocate, in bytes: eight-bit colour with alpha at the pixel cap.
const DECODER_CAP: u64 = PIXEL_CAP * 4;
/// Largest JPEG that comes in several passes over the picture, in pixels: its decoder keeps six bytes more for each.
const PASSES_PIXEL_CAP: u64 = 16 << 20;
/// Passes over one JPEG: encoders make about ten, and each costs the time of a whole picture.
const PASSES_CAP: usize = 32;

/// Why a photograph was refused.
#[derive(Debug, thiserror::Error)]
#[error("photograph {name} is refused: {reason}")]
pub struct ImageError {
    pub name: String,
    pub reason: String,
}

/// One picture in memory: rows of red, green, blue bytes, top row first. Its pixels are overwritten when it is dropped.
pub struct Frame {
    width: usize,
    height: usize,
    rgb: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame({}x{})", self.width, self.height)
    }
}

impl Frame {
    /// Takes pixels that are already decoded; `None` unless there are width x height x 3 bytes and at least one pixel.
    pub fn from_rgb(width: usize, height: usize, rgb: Vec<u8>) -> Option<Self> {
        let rgb = Zeroizing::new(rgb);
        let expected = width.checked_mul(height)?.checked_mul(3)?;
        (expected > 0 && rgb.len() == expected).then_some(Self { width, height, rgb })
    }

    /// Converts packed 4:2:2 video (Y0 U Y1 V, BT.601, limited range) of an even width.
    pub fn from_yuyv(width: usize, height: usize, bytes: &[u8]) -> Option<Self> {
        let (quads, _) = bytes.get(..width.checked_mul(height)?.checked_mul(2)?)?.as_chunks::<4>();
        if !width.is_multiple_of(2) {
            return None;
        }
        let mut rgb = Vec::with_capacity(width * height * 3);
        for &[first, u, second, v] in quads {
            rgb.extend(yuv_to_rgb(first, u, v));
            rgb.extend(yuv_to_rgb(second, u, v));
        }
        Self::from_rgb(width, height, rgb)
    }

    /// Converts planes of 4:2:0 video (BT.601, limited range); `None` where they are of another size.
    #[cfg(feature = "camera-h264")]
    pub(crate) fn from_planes(width: usize, height: usize, y: &[u8], u: &[u8], v: &[u8]) -> Option<Self> {
        let half = width.div_ceil(2);
        let mut rgb = Vec::with_capacity(width.checked_mul(height)?.checked_mul(3)?);
        for row in 0..height {
            let luma = y.get(row * width..)?.get(..width)?;
            let (u, v) = (u.get(row / 2 * half..)?.get(..half)?, v.get(row / 2 * half..)?.get(..half)?);
            let pixels = luma.iter().enumerate().map(|(at, y)| yuv_to_rgb(*y, u[at / 2], v[at / 2]));
            rgb.extend(pixels.flatten());
        }
        Self::from_rgb(width, height, rgb)
    }

    /// Decodes a JPEG, PNG or PNM file, turned upright.
    pub fn read(path: &Path) -> Result<Self, ImageError> {
        let name = path.display().to_string();
        let bytes = match read_capped(path, FILE_CAP) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(error) => {
                return Err(ImageError { name, reason: error.to_string() });
            }
        };
        Self::decode(&bytes).map_err(|reason| ImageError { name, reason })
    }

    /// Decodes a JPEG, PNG or PNM picture, turned upright as its EXIF orientation says.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        // A decoder that trips over a hostile file must not take the till's camera with it.
        let decoded = std::panic::catch_unwind(|| Self::decoded(bytes));
        decoded.unwrap_or_else(|_| Err("the decoder failed".to_owned()))
    }

    fn decoded(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() as u64 > FILE_CAP {
            return Err(format!("it is larger than {FILE_CAP} bytes"));
        }
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
        reader.limits(limits());
        match reader.format() {
            Some(ImageFormat::Jpeg) => jpeg_is_whole(bytes).and_then(|()| jpeg_is_modest(bytes))?,
            Some(ImageFormat::Png | ImageFormat::Pnm) => {}
            Some(_) | None => return Err("it is neither JPEG, PNG nor PNM".to_owned()),
        }
        let mut decoder = reader.into_decoder().map_err(|e| e.to_string())?;
        let (width, height) = decoder.dimensions();
        if u64::from(width) * u64::from(height) > PIXEL_CAP {
            return Err(format!("{width} x {height} is more than {PIXEL_CAP} pixels"));
        }
        if decoder.total_bytes() > DECODER_CAP {
            return Err(format!("{width} x {height} of this depth takes more than {DECODER_CAP} bytes"));
        }
        let orientation = decoder.orientation().map_err(|e| e.to_string())?;
        let mut picture = DynamicImage::from_decoder(decoder).map_err(|e| e.to_string())?;
        picture.apply_orientation(orientation);
        let picture = picture.into_rgb8();
        let (width, height) = picture.dimensions();
        Self::from_rgb(width as usize, height as usize, picture.into_raw()).ok_or_else(|| "it is empty".to_owned())
    }

    /// Brightness alone, one byte a pixel, made smaller by whole steps until no side is longer than `side_max`, with its
    /// width and height.
    pub fn luma(&self, side_max: usize) -> (Vec<u8>, usize, usize) {
        let step = self.width.max(self.height).div_ceil(side_max).max(1);
        let (width, height) = ((self.width / step).max(1), (self.height / step).max(1));
        let mut luma = Vec::with_capacity(width * height);
        for y in 0..height {
            let row = &self.rgb[(y * step).min(self.height - 1) * self.width * 3..][..self.width * 3];
            let (pixels, _) = row.as_chunks::<3>();
            let grey = |&[r, g, b]: &[u8; 3]| ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b)) >> 8) as u8;
            luma.extend(pixels.iter().step_by(step).take(width).map(grey));
        }
        (luma, width, height)
    }

    /// Red, green and blue of each pixel, row by row.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// Mean brightness inside a box, 0 to 255.
    pub fn brightness(&self, left: f32, top: f32, width: f32, height: f32) -> f32 {
        let clip = |value: f32, most: usize| (value.max(0.0) as usize).min(most);
        let (x0, x1) = (clip(left, self.width), clip(left + width, self.width));
        let (y0, y1) = (clip(top, self.height), clip(top + height, self.height));
        let mut sum = 0_u64;
        for y in y0..y1 {
            let row = &self.rgb[(y * self.width + x0) * 3..(y * self.width + x1.max(x0)) * 3];
            sum += row.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        }
        let count = x1.saturating_sub(x0) * y1.saturating_sub(y0) * 3;
        if count == 0 { 0.0 } else { sum as f32 / count as f32 }
    }

    /// A window of the frame, resized by plain bilinear interpolation (pixel centres at halves, edges repeated) into the
    /// top left corner of a planar image. Weights are whole 2048ths and rounded as OpenCV rounds them: the models were
    /// trained and measured on pictures resized so.
    pub fn resize_into(&self, window: Window, planes: &mut Planes, width: usize, height: usize) {
        let columns = taps(window.left, window.width, width);
        let side = planes.side;
        let mut upper = Line::empty(width);
        let mut lower = Line::empty(width);
        for (y, row) in taps(window.top, window.height, height).iter().enumerate() {
            if lower.row == Some(row.near) {
                std::mem::swap(&mut upper, &mut lower);
            }
            upper.fill(row.near, self, &columns);
            lower.fill(row.far, self, &columns);
            let pairs = upper.values.chunks_exact(width).zip(lower.values.chunks_exact(width));
            for (channel, (above, below)) in pairs.enumerate() {
                let start = (2 - channel) * side * side + y * side;
                let out = &mut planes.data[start..start + width];
                for ((out, &above), &below) in out.iter_mut().zip(above).zip(below) {
                    let sum = (((above >> 4) * row.near_weight) >> 16) + (((below >> 4) * row.far_weight) >> 16);
                    *out = ((sum + 2) >> 2) as f32;
                }
            }
        }
    }

    /// Samples the frame bilinearly at a point, pixel centres at whole numbers; black outside. Red, green, blue.
    pub(crate) fn sample(&self, x: f32, y: f32) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (fx, fy) = (x - left, y - top);
        let (a, b) = (self.pixel(left, top), self.pixel(left + 1.0, top));
        let (c, d) = (self.pixel(left, top + 1.0), self.pixel(left + 1.0, top + 1.0));
        std::array::from_fn(|i| {
            let above = a[i] + (b[i] - a[i]) * fx;
            let below = c[i] + (d[i] - c[i]) * fx;
            above + (below - above) * fy
        })
    }

    fn pixel(&self, x: f32, y: f32) -> [f32; 3] {
        if !(x >= 0.0 && y >= 0.0 && x < self.width as f32 && y < self.height as f32) {
            return [0.0; 3];
        }
        let at = (y as usize * self.width + x as usize) * 3;
        [self.rgb[at].into(), self.rgb[at + 1].into(), self.rgb[at + 2].into()]
    }
}

fn yuv_to_rgb(y: u8, u: u8, v: u8) -> [u8; 3] {
    let luma = 298 * (i32::from(y) - 16);
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    [luma + 409 * v, luma - 100 * u - 208 * v, luma + 516 * u].map(|value| ((value + 128) >> 8).clamp(0, 255) as u8)
}

fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_CAP);
    limits.max_image_height = Some(SIDE_CAP);
    limits.max_alloc = Some(DECODER_CAP);
    limits
}

/// Refuses a JPEG whose end is missing: decoders fill the rest with grey, and a grey half face is a bad template.
pub(crate) fn jpeg_is_whole(bytes: &[u8]) -> Result<(), String> {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    match (last([0xff, 0xd9]), last([0xff, 0xda])) {
        (Some(end), Some(scan)) if end > scan => Ok(()),
        _ => Err("the JPEG is cut short".to_owned()),
    }
}

/// Refuses a JPEG that would cost far more than its pixels: many passes, or several over a large picture.
fn jpeg_is_modest(bytes: &[u8]) -> Result<(), String> {
    // Between markers 0xff is followed by zero, so this counts scans and perhaps those of a thumbnail.
    let passes = bytes.windows(2).filter(|pair| *pair == [0xff, 0xda]).count();
    if passes > PASSES_CAP {
        return Err(format!("the JPEG comes in {passes} passes, more than {PASSES_CAP}"));
    }
    let header = jpeg_header(bytes).ok_or("the JPEG has no header")?;
    let pixels = u64::from(header.width) * u64::from(header.height);
    if header.progressive && pixels > PASSES_PIXEL_CAP {
        return Err(format!("a progressive JPEG of {pixels} pixels is larger than {PASSES_PIXEL_CAP}"));
    }
    Ok(())
}

struct JpegHeader {
    progressive: bool,
    width: u16,
    height: u16,
}

/// What the frame header says, found by walking from segment to segment (T.81, B.1).
fn jpeg_header(bytes: &[u8]) -> Option<JpegHeader> {
    let mut rest = bytes.get(2..)?;
    loop {
        let start = rest.iter().position(|byte| *byte != 0xff)?;
        let (marker, after) = rest.get(start..)?.split_first()?;
        let (length, _) = after.split_first_chunk::<2>()?;
        let segment = after.get(2..usize::from(u16::from_be_bytes(*length)).max(2))?;
        match marker {
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let &[_, h1, h0, w1, w0, ..] = segment else { return None };
                let (height, width) = (u16::from_be_bytes([h1, h0]), u16::from_be_bytes([w1, w0]));
                return Some(JpegHeader { progressive: *marker == 0xc2, width, height });
            }
            0xda | 0xd9 => return None,
            _ => rest = after.get(segment.len() + 2..)?,
        }
    }
}

/// A whole-pixel part of a frame; it must lie inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub left: usize,
    pub top: usize,
    pub width: usize,
    pub height: usize,
}

/// A square network input: planes of blue, green and red, 0 to 255, overwritten when dropped.
#[derive(Clone)]
pub struct Planes {
    side: usize,
    data: Zeroizing<Vec<f32>>,
}

impl std::fmt::Debug for Planes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Planes({0}x{0})", self.side)
    }
}

impl Planes {
    pub fn black(side: usize) -> Self {
        Self { side, data: Zeroizing::new(vec![0.0; side * side * 3]) }
    }

    pub(crate) fn put(&mut self, x: usize, y: usize, rgb: [f32; 3]) {
        let plane = self.side * self.side;
        for (channel, value) in rgb.into_iter().enumerate() {
            self.data[(2 - channel) * plane + y * self.side + x] = value;
        }
    }

    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }
}

/// Where one output pixel reads along one axis, weights in 2048ths.
struct Tap {
    near: usize,
    far: usize,
    near_weight: i32,
    far_weight: i32,
}

fn taps(start: usize, length: usize, wanted: usize) -> Vec<Tap> {
    let scale = length as f64 / wanted as f64;
    let last = length - 1;
    (0..wanted)
        .map(|index| {
            let at = (((index as f64 + 0.5) * scale - 0.5) as f32).clamp(0.0, last as f32);
            let near = at as usize;
            let weight = at - near as f32;
            Tap {
                near: start + near,
                far: start + (near + 1).min(last),
                near_weight: ((1.0 - weight) * 2048.0).round_ties_even() as i32,
                far_weight: (weight * 2048.0).round_ties_even() as i32,
            }
        })
        .collect()
}

/// One row of the frame, already resized along it: all red, then all green, then all blue, times 2048.
struct Line {
    row: Option<usize>,
    values: Zeroizing<Vec<i32>>,
}

impl Line {
    fn empty(width: usize) -> Self {
        Self { row: None, values: Zeroizing::new(vec![0; width * 3]) }
    }

    fn fill(&mut self, row: usize, frame: &Frame, columns: &[Tap]) {
        if self.row == Some(row) {
            return;
        }
        self.row = Some(row);
        let (pixels, _) = frame.rgb[row * frame.width * 3..(row + 1) * frame.width * 3].as_chunks::<3>();
        let (red, rest) = self.values.split_at_mut(columns.len());
        let (green, blue) = rest.split_at_mut(columns.len());
        let outputs = red.iter_mut().zip(green).zip(blue);
        for (column, ((red, green), blue)) in columns.iter().zip(outputs) {
            let (near, far) = (pixels[column.near], pixels[column.far]);
            let blend = |channel: usize| {
                i32::from(near[channel]) * column.near_weight + i32::from(far[channel]) * column.far_weight
            };
            (*red, *green, *blue) = (blend(0), blend(1), blend(2));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn video_black_white_and_red_keep_their_colours() {
        let frame = Frame::from_yuyv(4, 1, &[16, 128, 235, 128, 81, 90, 81, 240]).unwrap();
        assert_eq!(frame.rgb[..6], [0, 0, 0, 255, 255, 255]);
        assert!(frame.rgb[6] > 250 && frame.rgb[7] < 5 && frame.rgb[8] < 5);
        assert!(Frame::from_yuyv(4, 2, &[0; 8]).is_none(), "too short");
        assert!(Frame::from_yuyv(3, 1, &[0; 6]).is_none(), "odd width");
    }

    #[test]
    fn plain_bilinear_halves_by_averaging_neighbours() {
        let frame = Frame::decode(b"P5 4 2 255\n\x00\x0a\x64\x6e\x00\x0a\x64\x6e").unwrap();
        let mut planes = Planes::black(2);
        frame.resize_into(Window { left: 0, top: 0, width: 4, height: 2 }, &mut planes, 2, 1);
        assert_eq!(planes.as_slice()[..4], [5.0, 105.0, 0.0, 0.0]);
    }

    #[test]
    fn hostile_files_are_refused_with_a_reason() {
        let huge = b"P5 100000 100000 255\n";
        let bomb = b"P5 16000 16000 255\n";
        for bytes in [&b""[..], b"GIF89a", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"P5 0 0 255\n", huge, bomb] {
            let reason = Frame::decode(bytes).unwrap_err();
            assert!(!reason.is_empty());
        }
        let long = vec![0xff; FILE_CAP as usize + 1];
        assert!(Frame::decode(&long).unwrap_err().contains("larger"));
    }
}
