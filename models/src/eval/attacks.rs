//! Real faces against forgeries, in the words of ISO/IEC 30107-3: APCER is the share of one kind of attack that passes, and
//! the worst kind counts; BPCER is the share of real faces that do not.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::json;

use super::gallery::entries;
use super::rates::Share;
use super::{Report, bounded, faces};
use crate::Pipeline;
use crate::image::Frame;
use crate::liveness::LIVE_MIN;
use crate::model::ModelError;

const BONA_FIDE: &str = "bona_fide";

/// How live each photograph of one kind looks; `None` where there is no face to be taken in by.
struct Kind {
    name: String,
    live: Vec<Option<f32>>,
}

pub fn measure(pipeline: &Pipeline, folder: &Path) -> anyhow::Result<Report> {
    let mut kinds = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let files: Vec<PathBuf> = entries(&path)?.into_iter().filter(|path| path.is_file()).collect();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let live = faces::each(&name, &files, |file| live(pipeline, file))?;
        kinds.push(Kind { name, live });
    }
    report(&kinds).with_context(|| format!("in {}", folder.display()))
}

fn live(pipeline: &Pipeline, file: &Path) -> Result<Option<f32>, ModelError> {
    let Ok(frame) = Frame::read(file) else { return Ok(None) };
    match faces::find(pipeline, &frame)? {
        Some(face) => pipeline.liveness.score(&frame, &face).map(Some),
        None => Ok(None),
    }
}

fn report(kinds: &[Kind]) -> anyhow::Result<Report> {
    let (real, attacks): (Vec<&Kind>, Vec<&Kind>) = kinds.iter().partition(|kind| kind.name == BONA_FIDE);
    let real = real.first().with_context(|| format!("there is no folder {BONA_FIDE} with real faces"))?;
    ensure!(!attacks.is_empty(), "there is no folder with attacks beside {BONA_FIDE}");
    // A face that is not found neither passes nor proves anything about a real one.
    let found: Vec<f32> = real.live.iter().flatten().copied().collect();
    let refused = found.iter().filter(|live| **live < LIVE_MIN).count();
    let bpcer = Share::new(refused as u64, found.len() as u64);
    let passed = |kind: &Kind| {
        let passed = kind.live.iter().flatten().filter(|live| **live >= LIVE_MIN).count();
        Share::new(passed as u64, kind.live.len() as u64)
    };
    let mut species: Vec<(&str, Share)> = attacks.iter().map(|kind| (kind.name.as_str(), passed(kind))).collect();
    species.sort_by(|a, b| b.1.rate.total_cmp(&a.1.rate));
    let (worst, apcer) = species[0];
    let mut text = format!(
        "Single photographs at the till's threshold of {LIVE_MIN}.\n\nReal faces refused, BPCER: {}; in {} more no face was found.\n\n\
         | attack | passed, APCER (95 %) |\n| --- | --- |\n",
        bounded(bpcer),
        real.live.len() - found.len(),
    );
    for (name, share) in &species {
        text += &format!("| {name} | {} |\n", bounded(*share));
    }
    text += &format!("\nWorst: {worst}.\n");
    let each: serde_json::Map<_, _> = species.iter().map(|(name, share)| ((*name).to_owned(), json!(share))).collect();
    let json = json!({
        "threshold": LIVE_MIN, "bpcer": bpcer, "apcer": each, "worst": {"attack": worst, "apcer": apcer},
        "failed_to_detect": real.live.len() - found.len(),
    });
    Ok(Report { name: "attacks", json, text, charts: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(name: &str, live: &[Option<f32>]) -> Kind {
        Kind { name: name.to_owned(), live: live.to_vec() }
    }

    #[test]
    fn b18_the_worst_kind_of_attack_counts_and_faces_not_found_do_not_pass() {
        let kinds = [
            kind(BONA_FIDE, &[Some(0.9), Some(0.4), None, Some(0.8), Some(0.7)]),
            kind("print", &[Some(0.1), Some(0.6), Some(0.2), None]),
            kind("replay", &[Some(0.9), Some(0.5)]),
        ];
        let json = report(&kinds).unwrap().json;
        assert_eq!(json["bpcer"]["rate"], json!(0.25), "of four faces found one is refused");
        assert_eq!((json["apcer"]["print"]["rate"].clone(), json["failed_to_detect"].clone()), (json!(0.25), json!(1)));
        assert_eq!(
            (json["worst"]["attack"].clone(), json["worst"]["apcer"]["rate"].clone()),
            (json!("replay"), json!(1.0))
        );
        assert!(json["apcer"]["replay"]["low"].as_f64().unwrap() < 0.5, "two photographs prove little");
        assert!(report(&kinds[1..]).is_err() && report(&kinds[..1]).is_err());
    }
}
