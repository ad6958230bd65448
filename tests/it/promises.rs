//! The table of docs/RELIABILITY.md names a test for every requirement; each must be there.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Nothing shows these: they are not in the first release.
const LATER: [&str; 2] = ["P14", "R20"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names of functions in all sources of the workspace.
fn functions(folder: &Path, names: &mut BTreeSet<String>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            functions(&path, names)?;
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path)?;
            let named = text.lines().filter_map(|line| line.trim().split_once("fn ")?.1.split_once('('));
            names.extend(named.map(|(name, _)| name.to_owned()));
        }
    }
    Ok(())
}

/// What stands between backticks.
fn quoted(row: &str) -> Vec<&str> {
    row.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_requirement_names_a_test_that_is_there() -> Result<()> {
    let mut names = BTreeSet::new();
    for part in ["daemon", "drivers", "hq", "models", "tests", "fuzz"] {
        functions(&root().join(part), &mut names)?;
    }
    ensure!(names.len() > 1_000, "the sources were not found");
    let text = std::fs::read_to_string(root().join("docs/RELIABILITY.md"))?;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    let wanted = (1..=19).map(|number| format!("P{number}")).chain((1..=21).map(|number| format!("R{number}")));
    for id in wanted {
        let row = rows.iter().find(|row| row.get(1) == Some(&id.as_str())).with_context(|| format!("no row {id}"))?;
        let tests = quoted(row.get(3).with_context(|| format!("{id} has no tests"))?);
        ensure!(tests.is_empty() == LATER.contains(&id.as_str()), "{id}: {tests:?}");
        for test in tests {
            ensure!(names.contains(test), "{id} names {test}, which is nowhere");
        }
    }
    Ok(())
}

/// P15: money is whole minor units; a fraction anywhere in the core does not compile, not even where nobody computes with it.
#[test]
fn no_number_of_the_core_is_a_float() -> Result<()> {
    fn look(folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                look(&path)?;
                continue;
            }
            let text = std::fs::read_to_string(&path)?;
            let float = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| ["f32", "f64"].contains(word));
            ensure!(float.is_none(), "{} names a {}", path.display(), float.unwrap_or_default());
        }
        Ok(())
    }
    look(&root().join("daemon/core/src"))?;
    let denied = std::fs::read_to_string(root().join("daemon/core/src/lib.rs"))?.contains("clippy::float_arithmetic");
    ensure!(denied, "the lint that refuses floats is gone");
    Ok(())
}
