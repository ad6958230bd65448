//! The tables of docs/RELIABILITY.md and docs/FACES.md name a test for every requirement; each must be there.

use anyhow::{Context as _, Result, ensure};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Nothing shows these: they are not in the first release.
const LATER: [&str; 2] = ["P14", "R20"];
/// Requirements on faces that must hold.
const FACES: [u8; 21] = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// What is shown by a figure of `make bench`: a disk's bytes belong to no test.
const FIGURES: [&str; 1] = ["scan_bytes_device"];

/// Names of all tests of the workspace: functions that a runner calls.
fn tests() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for part in ["daemon", "drivers", "hq", "models", "tests"] {
        each_source(&root().join(part), &mut |_, text| {
            let mut called = false;
            for line in text.lines().map(str::trim) {
                called |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
                let function = line.split_once("fn ").and_then(|(_, rest)| rest.split_once('('));
                if let Some((name, _)) = function
                    && std::mem::take(&mut called)
                {
                    names.insert(name.to_owned());
                }
            }
            Ok(())
        })?;
    }
    ensure!(names.len() > 600, "the sources were not found");
    Ok(names)
}

fn each_source(folder: &Path, look: &mut impl FnMut(&Path, &str) -> Result<()>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            each_source(&path, look)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path, &std::fs::read_to_string(&path)?)?;
        }
    }
    Ok(())
}

/// By requirement, what stands between backticks in the last cell of its row.
fn named(text: &str, id: &str) -> Result<Vec<String>> {
    let mut rows = text.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let is = |row: &Vec<&str>| row.get(1).is_some_and(|cell| cell.split(' ').next() == Some(id));
    let row = rows.find(is).with_context(|| format!("no row {id}"))?;
    let cell = row.iter().rev().find(|cell| !cell.is_empty()).copied().unwrap_or_default();
    Ok(cell.split('`').skip(1).step_by(2).map(str::to_owned).collect())
}

#[test]
fn every_requirement_of_money_and_reliability_names_a_test_that_is_there() -> Result<()> {
    let mut tests = tests()?;
    let mut bench = String::new();
    each_source(&root().join("tests/benches"), &mut |_, text| {
        bench.push_str(text);
        Ok(())
    })?;
    let measured = FIGURES.iter().filter(|name| bench.contains(&format!("\"{name}\"")));
    tests.extend(measured.map(|name| (*name).to_owned()));
    let text = std::fs::read_to_string(root().join("docs/RELIABILITY.md"))?;
    let wanted = (1..=19).map(|number| format!("P{number}")).chain((1..=21).map(|number| format!("R{number}")));
    let mut wrong = Vec::new();
    for id in wanted {
        let named = named(&text, &id)?;
        ensure!(named.is_empty() == LATER.contains(&id.as_str()), "{id}: {named:?}");
        wrong.extend(named.into_iter().filter(|name| !tests.contains(name)).map(|name| format!("{id}: {name}")));
    }
    ensure!(wrong.is_empty(), "no tests: {wrong:#?}");
    Ok(())
}

#[test]
fn every_requirement_on_faces_has_a_test_named_after_it() -> Result<()> {
    let tests = tests()?;
    let text = std::fs::read_to_string(root().join("docs/FACES.md"))?;
    for number in FACES {
        let named = named(&text, &format!("B{number}"))?;
        ensure!(!named.is_empty(), "B{number} has no test in the table");
        for name in named {
            ensure!(tests.contains(&name), "B{number}: no test is called {name}");
            ensure!(name.contains(&format!("b{number:02}_")), "{name} is not named after B{number}");
        }
    }
    Ok(())
}

/// P15: money is whole minor units; a fraction anywhere in the core does not compile, not even where nobody computes with it.
#[test]
fn no_number_of_the_core_is_a_float() -> Result<()> {
    each_source(&root().join("daemon/core/src"), &mut |path, text| {
        let float = text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| ["f32", "f64"].contains(word));
        ensure!(float.is_none(), "{} names a {}", path.display(), float.unwrap_or_default());
        Ok(())
    })?;
    let denied = std::fs::read_to_string(root().join("daemon/core/src/lib.rs"))?.contains("clippy::float_arithmetic");
    ensure!(denied, "the lint that refuses floats is gone");
    Ok(())
}
