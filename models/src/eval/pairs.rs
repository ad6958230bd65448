//! A list of pairs, such as that of Labeled Faces in the Wild.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde_json::json;

use super::rates::{Pair, Scores, cross_validated};
use super::{Report, bounded, calibration, chart, faces, percent};
use crate::Pipeline;
use crate::manifest::CalibrationPoint;
use crate::model::read_capped;

/// No list is larger.
const LIST_CAP: u64 = 256 << 20;
/// What a pair scores when one of its photographs shows no face: whoever is not found is not accepted.
const NOT_FOUND: f32 = -1.0;

pub fn measure(pipeline: &Pipeline, list: &Path, images: &Path) -> anyhow::Result<Report> {
    let text = read_capped(list, LIST_CAP).with_context(|| format!("cannot read {}", list.display()))?;
    let text = String::from_utf8(text).with_context(|| format!("{} is not UTF-8", list.display()))?;
    let rows = parse(&text).with_context(|| format!("in {}", list.display()))?;
    ensure!(!rows.is_empty(), "{} holds no pairs", list.display());

    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    let mut files: Vec<PathBuf> = Vec::new();
    for name in rows.iter().flat_map(|(a, b, _)| [*a, *b]) {
        numbers.entry(name).or_insert_with(|| {
            files.push(images.join(name));
            files.len() - 1
        });
    }
    let missing = files.iter().find(|file| !file.is_file());
    ensure!(missing.is_none(), "{} is in the list but not there", missing.map_or(Path::new(""), |file| file).display());
    let seen = faces::each("photographs", &files, |file| faces::embed(pipeline, file))?;

    let pairs: Vec<Pair> = rows
        .iter()
        .map(|(a, b, same)| {
            let cosine = match (&seen[numbers[a]], &seen[numbers[b]]) {
                (Ok(a), Ok(b)) => a.cosine(b),
                (Ok(_) | Err(_), _) => NOT_FOUND,
            };
            Pair { same: *same, cosine }
        })
        .collect();
    let unreadable = seen.iter().filter(|seen| matches!(seen, Err(faces::Missing::Unreadable(_)))).count();
    let failed = seen.iter().filter(|seen| seen.is_err()).count();
    Ok(report(&pairs, [files.len(), failed, unreadable], &pipeline.calibration))
}

fn report(pairs: &[Pair], [photographs, failed, unreadable]: [usize; 3], promised: &[CalibrationPoint]) -> Report {
    let mut scores = Scores::default();
    pairs.iter().for_each(|pair| scores.add(pair.same, pair.cosine));
    let (accuracy, deviation) = cross_validated(pairs);
    let (eer, at_far) = (scores.eer(), scores.at_fmr(1e-3));
    let (table, table_text) = calibration(&scores, promised);
    let json = json!({
        "pairs": pairs.len(), "photographs": photographs,
        "accuracy": accuracy, "accuracy_deviation": deviation, "eer": eer,
        "tar_at_far_1e-3": 1.0 - at_far.fnmr.rate, "at_far_1e-3": at_far,
        "failed_to_detect": failed, "unreadable": unreadable, "calibration": table,
    });
    let text = format!(
        "{} pairs of {photographs} photographs; in {failed} of them no face was found ({unreadable} unreadable): such a pair counts as two people.\n\n\
         Accuracy {} ± {} (ten folds), equal error rate {}. At one stranger in a thousand (cosine {:.3}) {} of genuine pairs \
         are missed.\n\n{table_text}",
        pairs.len(),
        percent(accuracy),
        percent(deviation),
        percent(eer),
        at_far.cosine,
        bounded(at_far.fnmr),
    );
    let charts = vec![chart::trade_off("pairs", &[("pairs", &scores)]), chart::histogram("pairs", &scores)];
    Report { name: "pairs", json, text, charts }
}

/// Rows of `a,b,same`, in any order of the columns its first line names.
fn parse(text: &str) -> anyhow::Result<Vec<(&str, &str, bool)>> {
    let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (_, head) = lines.next().context("the list is empty")?;
    let columns: Vec<&str> = head.split(',').map(cell).collect();
    let column = |name: &str| {
        let found = columns.iter().position(|column| column.eq_ignore_ascii_case(name));
        found.with_context(|| format!("line 1 has no column {name}; it must name a, b and same"))
    };
    let [a, b, same] = [column("a")?, column("b")?, column("same")?];
    let mut rows = Vec::new();
    for (number, line) in lines {
        let cells: Vec<&str> = line.split(',').map(cell).collect();
        let (Some(a), Some(b), Some(same)) = (cells.get(a), cells.get(b), cells.get(same)) else {
            bail!("line {} has {} columns instead of {}", number + 1, cells.len(), columns.len());
        };
        let same = match same.to_ascii_lowercase().as_str() {
            "1" | "true" | "same" | "yes" => true,
            "0" | "false" | "different" | "no" => false,
            other => bail!("line {}: same is 1 or 0, not {other}", number + 1),
        };
        rows.push((*a, *b, same));
    }
    Ok(rows)
}

fn cell(text: &str) -> &str {
    text.trim().trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_in_any_order_of_columns_and_refused_by_line() {
        let rows = parse("same,a,b\n1,x/1.jpg,x/2.jpg\r\n\n0,\"x/1.jpg\",y/1.jpg\n").unwrap();
        assert_eq!(rows, [("x/1.jpg", "x/2.jpg", true), ("x/1.jpg", "y/1.jpg", false)]);
        for (text, reason) in
            [("", "empty"), ("a,b\n", "same"), ("a,b,same\nx,y\n", "line 2"), ("a,b,same\n\nx,y,3\n", "line 3")]
        {
            let refused = format!("{:#}", parse(text).unwrap_err());
            assert!(refused.contains(reason), "{refused}");
        }
    }

    #[test]
    fn a_photograph_without_a_face_costs_its_genuine_pairs() {
        let pairs: Vec<Pair> = (0..100)
            .map(|at| Pair {
                same: at % 2 == 0,
                cosine: if at == 0 {
                    NOT_FOUND
                } else if at % 2 == 0 {
                    0.8
                } else {
                    0.0
                },
            })
            .collect();
        let report = report(&pairs, [120, 1, 0], &[]);
        assert_eq!(report.json["accuracy"], json!(0.99));
        assert_eq!(report.json["tar_at_far_1e-3"], json!(0.98));
        assert_eq!(report.json["failed_to_detect"], json!(1));
        assert_eq!(report.json["pairs"], json!(100));
        assert!(report.text.contains("99.00 %"));
    }
}
