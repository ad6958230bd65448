//! Forty people, ten photographs each, measured by the program as a shop would: every pair of the first sixteen people unless
//! `AISLE_ORL_ALL` is set, because all of them take the better part of a minute on two busy cores.

use std::fmt::Write;
use std::process::Command;

use serde_json::Value;

use crate::{faces_folder, models_folder};

const PROGRAM: &str = env!("CARGO_BIN_EXE_aisle-vision");
const EACH: usize = 10;

/// How many people, and the equal error rate that may be reached with them. Measured: 0.68 % of all, 1.11 % of the first
/// sixteen, where a few hard photographs weigh more.
fn extent() -> (usize, f64) {
    if std::env::var_os("AISLE_ORL_ALL").is_some() { (40, 0.010) } else { (16, 0.015) }
}

fn eval(arguments: &[&str]) -> Value {
    let output = Command::new(PROGRAM).args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn orl_pairs_are_told_apart_and_every_photograph_shows_a_face() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    let (people, eer_max) = extent();
    let names: Vec<(usize, String)> = (1..=people)
        .flat_map(|person| (1..=EACH).map(move |photograph| (person, format!("s{person}/{photograph}.pgm"))))
        .collect();
    let mut list = "a,b,same\n".to_owned();
    for (at, (person, name)) in names.iter().enumerate() {
        for (other, another) in &names[..at] {
            let _ = writeln!(list, "{name},{another},{}", u8::from(person == other));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let pairs = dir.path().join("pairs.csv");
    std::fs::write(&pairs, list).unwrap();
    let [models, pairs] = [&models, &pairs].map(|path| path.to_str().unwrap());
    let images = faces.join("orl/att_faces");
    let found = eval(&["--models", models, "eval", "--pairs", pairs, "--images", images.to_str().unwrap()]);
    eprintln!("{found:#}");
    let count = names.len();
    assert_eq!(found["pairs"], count * (count - 1) / 2);
    assert_eq!((found["photographs"].as_u64(), found["failed_to_detect"].as_u64()), (Some(count as u64), Some(0)));
    let number = |field: &str| found[field].as_f64().unwrap_or_else(|| panic!("no {field}"));
    assert!(number("eer") <= eer_max, "EER {}", number("eer"));
    assert!(number("tar_at_far_1e-3") >= 0.97, "TAR {}", number("tar_at_far_1e-3"));
    assert!(number("accuracy") >= 0.99, "accuracy {}", number("accuracy"));
}

/// Eight people, so that six are members and one is a stranger; the rest of the report is what a card is made of.
#[test]
fn a_folder_per_person_gives_a_card_with_bounds_and_drawings() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    let dir = tempfile::tempdir().unwrap();
    for person in 1..=8 {
        let to = dir.path().join(format!("people/s{person}"));
        std::fs::create_dir_all(&to).unwrap();
        for photograph in 1..=5 {
            let name = format!("{photograph}.pgm");
            std::fs::copy(faces.join(format!("orl/att_faces/s{person}/{name}")), to.join(&name)).unwrap();
        }
    }
    let people = dir.path().join("people");
    std::fs::write(people.join("groups.csv"), "person,group\ns1,a\ns2,a\ns3,b\ns4,b\n").unwrap();
    let (card, page) = (dir.path().join("card.md"), dir.path().join("page.html"));
    std::fs::write(&card, "# Card\n<!-- measured: gallery -->\nold\n<!-- end -->\n").unwrap();
    let [models, people, card_name, page_name] = [&models, &people, &card, &page].map(|path| path.to_str().unwrap());
    let asked = ["--models", models, "eval", "--gallery", people, "--card", card_name, "--html", page_name];
    let found = eval(&asked);
    assert_eq!((found["people"].as_u64(), found["one_of_n"]["members"].as_u64()), (Some(8), Some(7)));
    let at_till = &found["one_of_n"]["points"][0];
    assert_eq!(at_till["fpir"]["count"], 0, "{at_till:#}");
    assert!(at_till["fnir"]["rate"].as_f64().unwrap() <= 0.2, "{at_till:#}");
    assert!(at_till["fnir"]["high"].as_f64() > at_till["fnir"]["rate"].as_f64());
    assert!(found["groups"]["a"]["one_to_one"]["fmr"]["of"].as_u64() > Some(0));
    let card = std::fs::read_to_string(card).unwrap();
    assert!(card.contains("FPIR (95 %)") && !card.contains("\nold\n"), "{card}");
    let page = std::fs::read_to_string(page).unwrap();
    assert_eq!(page.matches("<svg").count(), 2, "a trade-off curve and a histogram");
}
