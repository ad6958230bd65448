//! What docs/FACES.md says is tested, is.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use std::path::Path;

/// Requirements on faces that must hold.
const MUST: [u8; 21] = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 21, 22, 23];

#[test]
fn every_requirement_on_faces_has_a_test_named_after_it() -> Result<()> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut code = String::new();
    for folder in ["daemon", "drivers", "hq", "models", "tests"] {
        sources(&root.join(folder), &mut code)?;
    }
    let mut table: BTreeMap<u8, usize> = BTreeMap::new();
    let text = std::fs::read_to_string(root.join("docs/FACES.md"))?;
    for row in text.lines().filter_map(|line| line.strip_prefix("| B")) {
        let (number, rest) = row.split_once(' ').unwrap_or((row, ""));
        let number: u8 = number.parse()?;
        let names: Vec<&str> = rest.split('`').skip(1).step_by(2).collect();
        for name in &names {
            ensure!(code.contains(&format!("fn {name}(")), "B{number}: no test is called {name}");
            ensure!(name.contains(&format!("b{number:02}_")), "{name} is not named after B{number}");
        }
        table.insert(number, names.len());
    }
    for number in MUST {
        ensure!(table.get(&number).is_some_and(|tests| *tests > 0), "B{number} has no test in the table");
    }
    Ok(())
}

fn sources(folder: &Path, code: &mut String) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, code)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            code.push_str(&std::fs::read_to_string(path)?);
        }
    }
    Ok(())
}
