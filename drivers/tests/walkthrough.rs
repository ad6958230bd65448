//! Follows docs/DRIVERS.md word by word: what it shows is the code that is compiled, registered and tested.

use drivers::sim::SIMS;
use drivers::{DRIVERS, story};
use std::path::PathBuf;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).expect(path)
}

fn section(text: &str, title: &str) -> String {
    let from = text.split_once(&format!("\n## {title}\n")).expect(title).1;
    from.split("\n## ").next().expect("a section").to_owned()
}

/// The blocks of one language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|block| block.split("\n```").next().expect("an end").to_owned()).collect()
}

#[test]
fn the_driver_shown_is_the_one_that_is_compiled_and_registered() {
    let shown = section(&read("docs/DRIVERS.md"), "Add a driver in one file");
    let code = read("drivers/src/blueprint.rs");
    let rust = blocks(&shown, "rust");
    assert_eq!(rust.len(), 3);
    for block in &rust {
        assert!(code.contains(block.as_str()), "blueprint.rs does not hold this any more:\n{block}");
    }
    // Nothing of the file is left untold but its head, its buffer and its bound.
    let told: usize = rust.iter().map(|block| block.lines().count()).sum();
    assert!(told + 20 >= code.lines().count(), "{told} of {} lines are told", code.lines().count());
    assert!(DRIVERS.iter().any(|spec| spec.name == "blueprint"));
}

#[test]
fn the_story_and_the_configuration_shown_are_tested_ones() {
    let shown = section(&read("docs/DRIVERS.md"), "Add a driver in one file");
    let [log] = blocks(&shown, "story").try_into().expect("one story");
    assert_eq!(log.trim(), read("drivers/testdata/blueprint/two-lines.log").trim());
    assert_eq!(story::parse(&log).expect("a story").events.len(), 2);
    let [table] = blocks(&shown, "toml").try_into().expect("one table");
    let spec = DRIVERS.iter().find(|spec| spec.name == "blueprint").expect("a row");
    assert_eq!(table.trim_start_matches("[[device]]\n"), spec.example);
    for example in blocks(&read("docs/DRIVERS.md"), "toml") {
        let devices: toml::Table = toml::from_str(&example).expect("TOML");
        for device in devices["device"].as_array().expect("devices") {
            let driver = device["driver"].as_str().expect("a driver");
            let spec = DRIVERS.iter().find(|spec| spec.name == driver).expect(driver);
            let options = device.get("options").map(|options| serde_json::to_value(options).expect("JSON"));
            assert!((spec.build)(&options.unwrap_or_default()).is_ok(), "{driver} of the document does not build");
        }
    }
}

#[test]
fn every_device_and_stand_in_stands_in_the_tables() {
    let text = read("docs/DRIVERS.md");
    let (devices, stand_ins) = (section(&text, "The devices"), section(&text, "Stand-ins"));
    for spec in DRIVERS {
        assert!(devices.contains(&format!("| `{}` |", spec.name)), "{} is in no table of the document", spec.name);
    }
    for (name, _) in SIMS {
        let family = name.split_once('-').map_or(*name, |(family, _)| family);
        let told = [format!("| `{name}` |"), format!("| `{family}-…` |")];
        assert!(told.iter().any(|row| stand_ins.contains(row)), "{name} is in no table of the document");
    }
}
