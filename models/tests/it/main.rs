//! Tests against real models and photographs, which are never part of this project: `AISLE_MODELS` names the folder of
//! models (beside it `golden` and `upstream`), `AISLE_FACES` the folder of photographs. Without them a test says so.

mod codes;
mod fuzzing;
mod golden;
mod hostile;
mod orl;
mod paint;
mod photos;
mod scenario;
mod socket;

use std::path::PathBuf;

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
