//! Every model computes what the reference runtime computed, as published and as installed by us.

use std::path::Path;

use models::install::install;
use models::manifest::{Manifest, Models};
use models::model::Network;

use crate::models_folder;

const TOLERANCE: f32 = 1e-4;
const MODELS: [(&str, &str); 5] = [
    ("yunet_n_320", "yunet_n_320_320.onnx"),
    ("yunet_n_640", "yunet_n_640_640.onnx"),
    ("reid0095", "face-reidentification-retail-0095_noprelu.onnx"),
    ("2.7_80x80_MiniFASNetV2", "2.7_80x80_MiniFASNetV2_noprelu.onnx"),
    ("4_0_0_80x80_MiniFASNetV1SE", "4_0_0_80x80_MiniFASNetV1SE_noprelu.onnx"),
];

/// Largest difference between a model's output and the stored one.
fn difference(models: &Path, golden: &Path, tensor: &str, file: &str) -> f32 {
    let input = std::fs::read(golden.join(format!("{tensor}.in.u8"))).unwrap();
    let expected = std::fs::read(golden.join(format!("{tensor}.out.f32"))).unwrap();
    let expected: Vec<f32> = expected.as_chunks::<4>().0.iter().map(|quad| f32::from_le_bytes(*quad)).collect();
    let planes: Vec<f32> = input.into_iter().map(f32::from).collect();
    let network = Network::load(&Models::built_in(models), file).unwrap();
    assert!(network.is_planned(), "{file} does not run on our own loops");
    let found: Vec<f32> = network.run(&planes).unwrap().into_iter().flatten().collect();
    assert_eq!(found.len(), expected.len(), "{file}");
    found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn models_agree_with_the_reference() {
    let Some(models) = models_folder() else {
        return;
    };
    let golden = models.join("../golden");
    for (tensor, file) in MODELS {
        let difference = difference(&models, &golden, tensor, file);
        eprintln!("{file}: largest difference {difference:.1e}");
        assert!(difference <= TOLERANCE, "{file} differs by {difference}");
    }
}

#[test]
fn installed_models_agree_with_the_reference_and_are_the_same_each_time() {
    let Some(models) = models_folder() else {
        return;
    };
    let upstream = models.join("../upstream");
    if !upstream.is_dir() {
        return eprintln!("skipped: there is no folder upstream beside AISLE_MODELS");
    }
    let here = tempfile::tempdir().unwrap();
    install(&Models::built_in(here.path()), Some(&upstream)).unwrap();
    let manifest = Manifest::built_in();
    for (tensor, file) in MODELS {
        let difference = difference(here.path(), &models.join("../golden"), tensor, file);
        eprintln!("installed {file}: largest difference {difference:.1e}");
        assert!(difference <= TOLERANCE, "{file} differs by {difference}");
        let bytes = std::fs::read(here.path().join(file)).unwrap();
        let pinned = &manifest.file(file).unwrap().sha256[0];
        assert_eq!(&models::model::sha256(&bytes), pinned, "{file} is not what the manifest says we make");
    }
}

#[test]
fn a_damaged_upstream_file_is_refused_by_name() {
    let Some(models) = models_folder() else {
        return;
    };
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = "yunet_n_320_320.onnx";
    let mut bytes = std::fs::read(models.join(name)).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(from.path().join(name), &bytes).unwrap();
    let refused = format!("{:#}", install(&Models::built_in(to.path()), Some(from.path())).unwrap_err());
    assert!(refused.contains(name) && refused.contains("sha256"), "{refused}");
    std::fs::write(to.path().join(name), &bytes).unwrap();
    let refused = Network::load(&Models::built_in(to.path()), name).unwrap_err().to_string();
    assert!(refused.contains("unknown contents") && refused.contains("aisle-vision install"), "{refused}");
    let missing = Network::load(&Models::built_in(to.path()), "yunet_n_640_640.onnx").unwrap_err().to_string();
    assert!(missing.contains("is missing") && missing.contains("aisle-vision install"), "{missing}");
}
