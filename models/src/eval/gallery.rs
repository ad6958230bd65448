//! A folder per person: every photograph compared with every other, then one among N as at a till.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::rates::{Scores, Share};
use super::{Report, bounded, calibration, chart, faces, percent, small};
use crate::Pipeline;
use crate::embed::Embedding;
use crate::manifest::CalibrationPoint;
use crate::search::{Index, Slot};
use crate::session::MARGIN_MIN;
use crate::threshold::{FPIR_TARGET, threshold};

/// Photographs a member is enrolled with, where there are as many and one is left to be recognised by.
const ENROLLED: usize = 3;
/// Every so many people stay strangers.
const STRANGERS: usize = 5;
/// Rates of strangers taken for members at which misses are told.
const FPIRS: [f64; 2] = [1e-2, 1e-3];
const PHOTOGRAPHS: [&str; 6] = ["jpg", "jpeg", "png", "pgm", "ppm", "pnm"];

/// One person's photographs that show a face.
struct Person {
    name: String,
    group: Option<String>,
    faces: Vec<Embedding>,
}

pub fn measure(pipeline: &Pipeline, folder: &Path) -> anyhow::Result<Report> {
    let groups = groups(folder)?;
    let mut files = Vec::new();
    let mut people: Vec<Person> = Vec::new();
    let mut owners = Vec::new();
    for (name, photographs) in folders(folder)? {
        owners.extend(std::iter::repeat_n(people.len(), photographs.len()));
        files.extend(photographs);
        let group = groups.get(&name).cloned();
        people.push(Person { name, group, faces: Vec::new() });
    }
    ensure!(people.len() > 1, "{} has no folders of at least two people", folder.display());
    let seen = faces::each("photographs", &files, |file| faces::embed(pipeline, file))?;
    let failed = seen.iter().filter(|seen| seen.is_err()).count();
    for (owner, seen) in owners.into_iter().zip(seen) {
        people[owner].faces.extend(seen);
    }
    let everyone = verification(&people, None);
    let identified = Identification::of(&people);
    let named: Vec<String> = people.iter().filter_map(|person| person.group.clone()).collect();
    let mut names: Vec<&String> = named.iter().collect();
    names.sort();
    names.dedup();
    let each: Vec<(String, Scores)> =
        names.into_iter().map(|name| (name.clone(), verification(&people, Some(name)))).collect();
    Ok(report(&people, (files.len(), failed), &everyone, &each, &identified, &pipeline.calibration))
}

fn report(
    people: &[Person],
    (photographs, failed): (usize, usize),
    everyone: &Scores,
    groups: &[(String, Scores)],
    identified: &Identification,
    promised: &[CalibrationPoint],
) -> Report {
    let (eer, at_far) = (everyone.eer(), everyone.at_fmr(1e-3));
    let (table, table_text) = calibration(everyone, promised);
    let (one_of_n, one_of_n_text) = identified.told(promised);
    let mut text = format!(
        "{photographs} photographs of {} people; in {failed} no face was found.\n\nOne to one, all {} pairs: equal error rate {}. At one \
         stranger in a thousand (cosine {:.3}) {} of genuine pairs are missed.\n\n{table_text}\n{one_of_n_text}",
        people.len(),
        everyone.genuine.total() + everyone.impostor.total(),
        percent(eer),
        at_far.cosine,
        bounded(at_far.fnmr),
    );
    let mut by_group = serde_json::Map::new();
    for (name, scores) in groups {
        let point = scores.at(at_far.cosine);
        let (among, _) = identified.only(name).told(promised);
        text += &format!(
            "\nGroup {name}, at the cosine of everyone's one in a thousand: FMR {}, FNMR {}.\n",
            small(point.fmr),
            bounded(point.fnmr)
        );
        by_group.insert(name.clone(), json!({"one_to_one": point, "eer": scores.eer(), "one_of_n": among}));
    }
    let json = json!({
        "photographs": photographs, "people": people.len(), "failed_to_detect": failed,
        "genuine_pairs": everyone.genuine.total(), "impostor_pairs": everyone.impostor.total(),
        "eer": eer, "tar_at_far_1e-3": 1.0 - at_far.fnmr.rate, "at_far_1e-3": at_far,
        "calibration": table, "one_of_n": one_of_n, "groups": by_group,
    });
    let mut series = vec![("everyone", everyone)];
    series.extend(groups.iter().map(|(name, scores)| (name.as_str(), scores)));
    let charts = vec![chart::trade_off("one to one", &series), chart::histogram("one to one", everyone)];
    Report { name: "gallery", json, text, charts }
}

/// All pairs of photographs, or those of one group.
fn verification(people: &[Person], group: Option<&String>) -> Scores {
    let all: Vec<(usize, &Embedding)> = people
        .iter()
        .enumerate()
        .filter(|(_, person)| group.is_none() || person.group.as_ref() == group)
        .flat_map(|(number, person)| person.faces.iter().map(move |face| (number, face)))
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let part = |thread: usize| {
        let mut scores = Scores::default();
        for at in (thread..all.len()).step_by(threads) {
            let (person, face) = all[at];
            for (other, another) in &all[..at] {
                scores.add(person == *other, face.cosine(another));
            }
        }
        scores
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || part(thread))).collect();
        let mut scores = part(0);
        for other in others {
            scores.absorb(&other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        scores
    })
}

/// What became of one attempt to be recognised among N members.
struct Attempt {
    group: Option<String>,
    /// Of the nearest member; one who is not far enough ahead of the next counts as nobody.
    cosine: f32,
    /// Whether the nearest member is the person; `None` of a stranger.
    right: Option<bool>,
}

struct Identification {
    members: usize,
    attempts: Vec<Attempt>,
}

impl Identification {
    fn of(people: &[Person]) -> Self {
        let mut index = Index::default();
        let mut slots: BTreeMap<&str, Slot> = BTreeMap::new();
        let mut probes = Vec::new();
        for (number, person) in people.iter().enumerate() {
            let stranger = number % STRANGERS == STRANGERS - 1 || person.faces.len() < 2;
            let count = if stranger { 0 } else { ENROLLED.min(person.faces.len() - 1) };
            let (enrolled, left) = person.faces.split_at(count);
            if let Some(template) = Embedding::mean(enrolled) {
                slots.insert(&person.name, index.insert(&template));
            }
            probes.extend(left.iter().map(|face| (person, face)));
        }
        let attempts = probes.into_iter().map(|(person, face)| {
            let [first, second] = index.top2(face);
            let lead = |found: f32| found - second.map_or(-1.0, |second| second.score) >= MARGIN_MIN;
            let cosine = first.map_or(-1.0, |first| first.score);
            let right = slots.get(person.name.as_str()).map(|&slot| first.is_some_and(|first| first.slot == slot));
            Attempt { group: person.group.clone(), cosine: if lead(cosine) { cosine } else { -1.0 }, right }
        });
        Self { members: index.len(), attempts: attempts.collect() }
    }

    fn only(&self, group: &str) -> Self {
        let of_group = self.attempts.iter().filter(|attempt| attempt.group.as_deref() == Some(group));
        let attempts = of_group.map(|a| Attempt { group: a.group.clone(), cosine: a.cosine, right: a.right }).collect();
        Self { members: self.members, attempts }
    }

    /// Strangers taken for someone, and members not taken for themselves, at a cosine.
    fn at(&self, cosine: f32) -> [Share; 2] {
        let share = |of: &dyn Fn(&&Attempt) -> bool, wrong: &dyn Fn(&&Attempt) -> bool| {
            let all = self.attempts.iter().filter(of);
            Share::new(all.clone().filter(wrong).count() as u64, all.count() as u64)
        };
        [
            share(&|a| a.right.is_none(), &|a| a.cosine >= cosine),
            share(&|a| a.right.is_some(), &|a| a.cosine < cosine || a.right != Some(true)),
        ]
    }

    /// The lowest cosine that keeps the share of strangers taken for someone.
    fn cosine_at(&self, fpir: f64) -> f32 {
        let mut strangers: Vec<f32> =
            self.attempts.iter().filter(|attempt| attempt.right.is_none()).map(|attempt| attempt.cosine).collect();
        strangers.sort_by(|a, b| b.total_cmp(a));
        let allowed = (strangers.len() as f64 * fpir) as usize;
        strangers.get(allowed).map_or(-1.0, |cosine| cosine.next_up())
    }

    fn told(&self, promised: &[CalibrationPoint]) -> (Value, String) {
        use std::fmt::Write;
        let mut text = format!(
            "One of {} members, each enrolled from up to {ENROLLED} photographs; every fifth person is a stranger.\n\n\
             | at | cosine | strangers taken for someone, FPIR (95 %) | members missed, FNIR (95 %) |\n| --- | --- | --- | --- |\n",
            self.members
        );
        let mut rows = Vec::new();
        let mut row = |name: String, cosine: f32| {
            let [fpir, fnir] = self.at(cosine);
            let _ = writeln!(text, "| {name} | {cosine:.3} | {} | {} |", bounded(fpir), bounded(fnir));
            rows.push(json!({"at": name, "cosine": cosine, "fpir": fpir, "fnir": fnir}));
        };
        if let Ok(cosine) = threshold(promised, FPIR_TARGET, self.members) {
            row("the till's threshold".to_owned(), cosine);
        }
        for fpir in FPIRS {
            row(format!("FPIR {fpir}"), self.cosine_at(fpir));
        }
        (json!({"members": self.members, "points": rows}), text)
    }
}

fn folders(folder: &Path) -> anyhow::Result<Vec<(String, Vec<PathBuf>)>> {
    let mut people = Vec::new();
    for path in entries(folder)?.into_iter().filter(|path| path.is_dir()) {
        let is_photograph = |file: &PathBuf| {
            let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
            PHOTOGRAPHS.contains(&extension.to_ascii_lowercase().as_str())
        };
        let photographs: Vec<PathBuf> = entries(&path)?.into_iter().filter(is_photograph).collect();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !photographs.is_empty() {
            people.push((name, photographs));
        }
    }
    Ok(people)
}

pub fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = std::fs::read_dir(folder).with_context(|| format!("cannot read folder {}", folder.display()))?;
    let mut paths = read.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

/// Who belongs to which group, from `groups.csv` beside the folders.
fn groups(folder: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let path = folder.join("groups.csv");
    let Ok(text) = std::fs::read_to_string(&path) else { return Ok(BTreeMap::new()) };
    let mut groups = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(number, line)| *number > 0 && !line.trim().is_empty()) {
        let (person, group) = line
            .split_once(',')
            .with_context(|| format!("{}, line {}: expected person,group", path.display(), number + 1))?;
        groups.insert(person.trim().to_owned(), group.trim().to_owned());
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::LENGTH;

    /// A direction of its own for each person, and a little of another for each photograph.
    fn face(person: usize, photograph: usize, blur: f32) -> Embedding {
        let mut numbers = vec![0.0; LENGTH];
        numbers[person] = 1.0;
        numbers[LENGTH - 1 - photograph] = blur;
        Embedding::normalised(numbers).unwrap()
    }

    /// Twenty people with four photographs each: those of people in group `far` are blurred beyond recognition.
    fn people() -> Vec<Person> {
        let person = |number: usize| {
            let far = number % 2 == 1;
            let faces = (0..4).map(|photograph| face(number, photograph, if far { 9.0 } else { 0.1 })).collect();
            Person { name: format!("p{number:02}"), group: Some(if far { "far" } else { "near" }.to_owned()), faces }
        };
        (0..20).map(person).collect()
    }

    #[test]
    fn b14_error_rates_per_group_are_those_of_a_gallery_with_a_known_answer() {
        let people = people();
        let scores = verification(&people, None);
        assert_eq!((scores.genuine.total(), scores.impostor.total()), (20 * 6, 80 * 79 / 2 - 120));
        let near = verification(&people, Some(&"near".to_owned())).at(0.5);
        assert_eq!((near.fmr.count, near.fnmr.count, near.fnmr.of), (0, 0, 60));
        let far = verification(&people, Some(&"far".to_owned())).at(0.5);
        assert_eq!((far.fnmr.count, far.fnmr.of), (60, 60), "none of them is like the other photographs");
        assert_eq!(far.fmr.count, 4 * 45, "the same blur makes strangers alike");

        let identified = Identification::of(&people);
        assert_eq!(identified.members, 16);
        let [fpir, fnir] = identified.only("near").at(0.5);
        assert_eq!((fpir.count, fnir.count, fnir.of), (0, 0, 8));
        assert!(fnir.high > 0.3, "eight attempts without a miss promise little: {fnir:?}");
        let [_, missed] = identified.only("far").at(0.5);
        assert_eq!((missed.count, missed.of), (8, 8));
        let calibration = crate::manifest::Manifest::built_in().recogniser.calibration;
        let report = report(&people, (80, 0), &scores, &[("near".into(), scores.clone())], &identified, &calibration);
        assert!(report.json["groups"]["near"]["one_of_n"]["points"].as_array().is_some_and(|points| points.len() == 3));
        assert!(report.text.contains("FPIR (95 %)") && report.text.contains("Group near"));
    }

    #[test]
    fn strangers_set_the_threshold_of_a_rate() {
        let stranger = |cosine: f32| Attempt { group: None, cosine, right: None };
        let attempts = (0..1000).map(|at| stranger(at as f32 / 1000.0)).collect();
        let identified = Identification { members: 10, attempts };
        for (fpir, count) in [(1e-2, 10), (1e-3, 1)] {
            assert_eq!(identified.at(identified.cosine_at(fpir))[0].count, count);
        }
    }
}
