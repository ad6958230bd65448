//! Tests against real models and photographs, which are never part of this project: `AISLE_MODELS` names the folder of
//! models (beside it `golden` and `upstream`), `AISLE_FACES` the folder of photographs. Without them a test says so.

mod canary;
mod codes;
mod fuzzing;
mod gate;
mod golden;
mod hostile;
mod orl;
mod paint;
mod photograph_fuzzing;
mod photos;
mod scenario;
mod socket;

use drivers::vision::{Age, Channel, Consent};
use std::path::PathBuf;

fn consent() -> Consent {
    Consent {
        purpose: "face pay".into(),
        text_version: "2026-11".into(),
        text_sha256: "0f".repeat(32),
        at_utc_ms: 1_795_000_000_000,
        channel: Channel::Staff,
        until_utc_ms: None,
        age: Age::FourteenOrOver,
        guardian: None,
    }
}

/// The folder an environment variable names, or a note on standard error why a test is skipped.
fn folder(variable: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable).map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: {variable} is not set");
    }
    folder
}

fn models_folder() -> Option<PathBuf> {
    folder("AISLE_MODELS")
}

fn faces_folder() -> Option<PathBuf> {
    folder("AISLE_FACES")
}
