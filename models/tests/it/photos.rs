//! Every step agrees with reference values computed by another implementation on the same photographs.

use std::path::Path;

use models::Pipeline;
use models::align::Similarity;
use models::detect::{Face, SCORE_MIN, Size};
use models::embed::Embedding;
use models::image::Frame;
use models::liveness::crop;
use models::manifest::Models;
use serde_json::Value;

use crate::{faces_folder, models_folder};

/// Boxes and landmarks, in pixels of the detector's input: JPEG decoders round differently, PNG files agree to 0.002.
const PLACE_TOLERANCE: f64 = 0.4;
const ALIGN_TOLERANCE: f64 = 0.02;
const COSINE_MIN: f32 = 0.999;
const LIVE_TOLERANCE: f64 = 0.01;

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Number(number) => vec![number.as_f64().unwrap()],
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Object(_) => Vec::new(),
    }
}

/// The detected face nearest to a reference, with the largest distance of any box edge or landmark.
fn nearest<'a>(faces: &'a [Face], reference: &Value) -> Option<(&'a Face, f64)> {
    let expected = [numbers(&reference["box_xywh"]), numbers(&reference["kps"])].concat();
    let distance = |face: &Face| {
        let found = face.bounds.into_iter().chain(face.landmarks.into_iter().flatten());
        found.zip(&expected).map(|(a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max)
    };
    faces.iter().map(|face| (face, distance(face))).min_by(|a, b| a.1.total_cmp(&b.1))
}

#[derive(Default)]
struct Worst {
    place: f64,
    align: f64,
    live: f64,
    cosine: Option<f32>,
}

fn compare(pipeline: &Pipeline, faces: &Path, name: &str, reference: &Value, worst: &mut Worst) {
    let frame = Frame::read(&faces.join(name.trim_start_matches("faces/"))).unwrap();
    assert_eq!([frame.width(), frame.height()].map(|v| v as f64), numbers(&reference["size_wh"])[..]);
    for (size, key, side) in [(Size::Small320, "yunet_320", 320.0), (Size::Large640, "yunet_640", 640.0)] {
        let found = pipeline.detector.detect(&frame, size, 0.7).unwrap();
        let scale = side / frame.width().max(frame.height()) as f64;
        let sure = |face: &&Value| face["score"].as_f64().unwrap() >= f64::from(SCORE_MIN);
        for expected in reference[key].as_array().unwrap().iter().filter(sure) {
            let (face, distance) = nearest(&found, expected).unwrap_or_else(|| panic!("{name} {key}: no face"));
            let distance = distance * scale;
            eprintln!("{name} {key}: {:.3}, off by {distance:.3}", face.score);
            worst.place = worst.place.max(distance);
        }
    }
    for expected in reference["faces_from_yunet_640"].as_array().unwrap() {
        let detected = &reference["yunet_640"][expected["det_index"].as_u64().unwrap() as usize];
        compare_face(pipeline, &frame, name, detected, expected, worst);
    }
}

/// Alignment, embedding and liveness from the reference's own box, so that detection does not blur the comparison.
fn compare_face(pipeline: &Pipeline, frame: &Frame, name: &str, detected: &Value, expected: &Value, worst: &mut Worst) {
    let (bounds, kps) = (numbers(&detected["box_xywh"]), numbers(&detected["kps"]));
    let face = Face {
        score: 0.9,
        bounds: std::array::from_fn(|i| bounds[i] as f32),
        landmarks: std::array::from_fn(|i| [kps[2 * i] as f32, kps[2 * i + 1] as f32]),
    };
    let align = Similarity::onto_template(&face.landmarks).unwrap();
    let matrix = [align.a, -align.b, align.tx, align.b, align.a, align.ty];
    let off = matrix.iter().zip(numbers(&expected["align_M"])).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    worst.align = worst.align.max(off);

    let reference = numbers(&expected["embedding"]).into_iter().map(|v| v as f32).collect();
    let reference = Embedding::normalised(reference).unwrap();
    let cosine = pipeline.recogniser.embed(frame, &face).unwrap().unwrap().cosine(&reference);
    worst.cosine = Some(worst.cosine.map_or(cosine, |worst| worst.min(cosine)));

    for (key, scale) in [("mapped_2.7", 2.7), ("mapped_4.0", 4.0)] {
        let window = crop(frame.width(), frame.height(), &face, scale).unwrap();
        let edges = [window.left, window.top, window.left + window.width - 1, window.top + window.height - 1];
        let expected = numbers(&expected["antispoof"][key]["crop_ltrb"]);
        assert!(
            edges.iter().zip(&expected).all(|(&a, b)| (a as f64 - b).abs() <= 1.0),
            "{name} {key}: {edges:?} {expected:?}"
        );
    }
    let live = f64::from(pipeline.liveness.score(frame, &face).unwrap());
    let expected = expected["antispoof"]["mapped_fused_live"].as_f64().unwrap();
    eprintln!("{name}: cosine to reference {cosine:.4}, live {live:.3} (reference {expected:.3})");
    worst.live = worst.live.max((live - expected).abs());
}

#[test]
fn photographs_agree_with_the_reference() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else {
        return;
    };
    let pipeline = Pipeline::load(&Models::built_in(&models)).unwrap();
    let text = std::fs::read(faces.join("photo_refs.json")).unwrap();
    let references: Value = serde_json::from_slice(&text).unwrap();
    let mut worst = Worst::default();
    for (name, reference) in references["photos"].as_object().unwrap() {
        compare(&pipeline, &faces, name, reference, &mut worst);
    }
    eprintln!(
        "worst: place {:.3} px, alignment {:.4}, cosine {:.4}, live {:.3}",
        worst.place,
        worst.align,
        worst.cosine.unwrap(),
        worst.live
    );
    assert!(worst.place < PLACE_TOLERANCE && worst.align < ALIGN_TOLERANCE);
    assert!(worst.cosine.unwrap() > COSINE_MIN && worst.live < LIVE_TOLERANCE);
}
