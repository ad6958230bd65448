//! The report card: a document with a part that is regenerated from measurements.

use std::path::Path;

use anyhow::{Context, ensure};

use super::Report;

/// Replaces the part of each report between `<!-- measured: NAME -->` and `<!-- end -->`.
pub fn update(path: &Path, reports: &[Report]) -> anyhow::Result<()> {
    let mut text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    for report in reports {
        let changed = replaced(&text, report.name, &report.text);
        ensure!(changed.is_some(), "{} has no part <!-- measured: {} --> … <!-- end -->", path.display(), report.name);
        text = changed.unwrap_or(text);
    }
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn replaced(text: &str, name: &str, part: &str) -> Option<String> {
    let mark = format!("<!-- measured: {name} -->\n");
    let start = text.find(&mark)? + mark.len();
    let end = start + text[start..].find("<!-- end -->")?;
    Some(format!("{}{}\n{}", &text[..start], part.trim_end(), &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_measured_part_of_a_card_changes() {
        let card = "# Card\n<!-- measured: pairs -->\nold\n<!-- end -->\nrest\n";
        let fresh = replaced(card, "pairs", "new\n\n").unwrap();
        assert_eq!(fresh, "# Card\n<!-- measured: pairs -->\nnew\n<!-- end -->\nrest\n");
        assert_eq!(replaced(&fresh, "pairs", "new").unwrap(), fresh, "regenerating the same changes nothing");
        assert_eq!(replaced(card, "gallery", "x"), None);
    }
}
