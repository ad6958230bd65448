//! `aisled decode`: frames in hexadecimal, a line each, to JSON, a line each.

use anyhow::{Context as _, Result, ensure};
use drivers::decode::{DECODERS, decoder, frame, unreadable};
use std::io::{BufRead, Write};
use std::path::Path;

/// # Errors
/// There is no such decoder, or a stream broke.
pub fn lines(driver: &str, context: Option<&str>, input: impl BufRead, mut output: impl Write) -> Result<()> {
    let decode = decoder(driver).with_context(|| {
        let names: Vec<&str> = DECODERS.iter().map(|(name, _)| *name).collect();
        format!("{driver:?} has no decoder; there are {}", names.join(", "))
    })?;
    for line in input.lines() {
        let line = line.context("standard input")?;
        if line.trim().is_empty() {
            continue;
        }
        let told = match frame(&line) {
            Ok(bytes) => decode(&bytes, context),
            Err(wrong) => unreadable(wrong),
        };
        writeln!(output, "{told}").context("standard output")?;
    }
    Ok(())
}

/// All frames together as a picture of paper; the context is its columns.
///
/// # Errors
/// Only `escpos` draws; a line is not hexadecimal; a stream broke.
pub fn drawn(driver: &str, context: Option<&str>, input: impl BufRead, file: &Path) -> Result<()> {
    ensure!("escpos".starts_with(driver) && !driver.is_empty(), "only escpos can be drawn");
    let mut bytes = Vec::new();
    for line in input.lines() {
        bytes.extend(frame(&line.context("standard input")?).map_err(|wrong| anyhow::anyhow!(wrong))?);
    }
    let columns = context.and_then(|columns| columns.parse().ok()).unwrap_or(48);
    let svg = drivers::escpos::render::svg(&bytes, columns);
    std::fs::write(file, svg).with_context(|| format!("cannot write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_answered_by_a_line() {
        let mut output = Vec::new();
        lines("zvt", None, &b"06 0f 00\n\nxyz\n061e016c\n"[..], &mut output).unwrap();
        let told: Vec<serde_json::Value> =
            String::from_utf8(output).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(told.len(), 3);
        assert_eq!((&told[0]["ok"], &told[0]["ctrl"]), (&true.into(), &"06 0F".into()));
        assert_eq!(told[1]["ok"], false);
        assert_eq!(told[2]["result_code"], "6C");
        assert!(lines("no such", None, &b""[..], &mut Vec::new()).is_err());
    }
}
