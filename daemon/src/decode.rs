//! `aisled decode`: frames in hexadecimal, a line each, to JSON, a line each.

use anyhow::{Context as _, Result};
use drivers::decode::{DECODERS, decoder, frame, unreadable};
use std::io::{BufRead, Write};

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
