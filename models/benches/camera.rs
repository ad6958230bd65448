//! What a frame of a camera costs: decoding it, and looking for codes in it. Rows go to `target/bench/camera.json`.
//!
//! The pictures are drawn here: waves and noise as of a shop counter, with a code on them or without one.

#[path = "../tests/it/paint.rs"]
mod paint;

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::Context as _;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use models::codes::Reader;
use models::image::Frame;
use models::video;
use paint::Picture;
use serde_json::{Value, json};

const ROUNDS: usize = 60;
/// Ten frames a second are looked at while a shopper holds a code up.
const LOOK_MS: f64 = 100.0;

fn main() -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for (name, width, height) in [("720p", 1280, 720), ("1080p", 1920, 1080)] {
        let jpeg = encoded(&scene(width, height, None), width as u32, height as u32)?;
        // Turn about, so that both see the same moments of the machine.
        let [ours, theirs] = times([&mut || drop(black_box(video::jpeg(&jpeg))), &mut || {
            drop(black_box(jpeg_decoder::Decoder::new(&jpeg[..]).decode()))
        }]);
        rows.push(row(&format!("mjpeg_decode_{name}"), ours, theirs, 1.0, "jpeg-decoder 0.3"));
    }
    let ean = Picture::of(|paper| paper.ean13("6901234567892"), 2);
    let qr = Picture::of(|paper| paper.qr("https://example.com/01/06901234567892", 6), 1);
    for (name, code) in [("ean13", Some(&ean)), ("qr", Some(&qr)), ("none", None)] {
        let frame = Frame::from_rgb(1280, 720, scene(1280, 720, code)).context("a whole picture")?;
        let mut reader = Reader::default();
        let seen = reader.read(&frame).is_some();
        anyhow::ensure!(seen == code.is_some(), "{name}: the code is not read, or one is read where there is none");
        let [took] = times([&mut || drop(black_box(reader.read(&frame)))]);
        rows.push(row(&format!("code_reading_720p_{name}"), took, LOOK_MS, 1.0, "100 ms: ten looks a second"));
    }
    for row in &rows {
        eprintln!("bench: {row}");
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../bench");
    std::fs::create_dir_all(&out)?;
    std::fs::write(out.join("camera.json"), serde_json::to_string_pretty(&rows)? + "\n")?;
    Ok(())
}

/// Medians in milliseconds, each measured in turn.
fn times<const N: usize>(mut what: [&mut dyn FnMut(); N]) -> [f64; N] {
    let mut took = [(); N].map(|()| Vec::new());
    for _ in 0..ROUNDS {
        for (run, took) in what.iter_mut().zip(&mut took) {
            let start = Instant::now();
            run();
            took.push(start.elapsed().as_secs_f64() * 1e3);
        }
    }
    took.map(|mut took| {
        took.sort_by(f64::total_cmp);
        took[took.len() / 2]
    })
}

fn row(name: &str, value: f64, against: f64, budget: f64, what: &str) -> Value {
    let ratio = value / against;
    json!({
        "name": name, "value": (value * 100.0).round() / 100.0, "unit": "ms", "ratio": (ratio * 1000.0).round() / 1000.0,
        "against": what, "budget": format!("≤ {budget}"), "met": ratio <= budget,
    })
}

fn scene(width: usize, height: usize, code: Option<&Picture>) -> Vec<u8> {
    let mut dice = 17_u32;
    let mut rgb = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let wave = ((x as f32 / 37.0).sin() + (y as f32 / 53.0).cos()) * 40.0 + 128.0;
            let level = wave + (dice >> 28) as f32;
            rgb.extend([level, level * 0.9, level * 0.7 + 30.0].map(|value| value as u8));
        }
    }
    if let Some(code) = code {
        let (left, top) = ((width - code.width) / 2, (height - code.height) / 2);
        for (at, &grey) in code.grey.iter().enumerate() {
            let (x, y) = (left + at % code.width, top + at / code.width);
            rgb[(y * width + x) * 3..][..3].fill(grey);
        }
    }
    rgb
}

fn encoded(rgb: &[u8], width: u32, height: u32) -> anyhow::Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, 85);
    encoder.write_image(rgb, width, height, ExtendedColorType::Rgb8)?;
    Ok(jpeg)
}
