//! What a newcomer sees first.

use anyhow::{Context, Result, ensure};
use e2e::{finished, program};
use serde_json::Value;

fn once(arguments: &[&str]) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let mut demo = program("aisled");
    demo.args(["demo", "--once"]).args(arguments).arg("--dir").arg(folder.path().join("demo"));
    let said = finished(&mut demo)?;
    let line = said.lines().last().context("the demo said nothing")?;
    let sale: Value = serde_json::from_str(line)?;
    let paper = std::fs::read_to_string(sale["receipt_file"].as_str().context("no receipt file")?)?;
    ensure!(paper.contains("14.35") && paper.contains("0.450 kg"), "the receipt is not the sale's:\n{paper}");
    ensure!(sale["total"] == 1435 && sale["card_captured"] == 1435 && sale["receipt"] == 1, "{sale}");
    ensure!(sale["lines"] == 4 && sale["hq_acked_seq"].as_u64() > Some(20), "{sale}");
    Ok(sale)
}

#[test]
fn one_demo_sells_recognises_pays_prints_and_is_acknowledged() -> Result<()> {
    let sale = once(&[])?;
    let material = std::env::var_os("AISLE_FACES").is_some() && std::env::var_os("AISLE_MODELS").is_some();
    if !material {
        println!("skipped: face recognition, AISLE_FACES or AISLE_MODELS is not set");
    }
    ensure!(sale["face"] == if material { "match" } else { "skipped" }, "{sale}");
    Ok(())
}

#[test]
fn the_demo_works_with_mosquitto_as_the_broker() -> Result<()> {
    if std::process::Command::new("mosquitto").arg("-h").output().is_err() {
        println!("skipped: mosquitto is not installed");
        return Ok(());
    }
    once(&["--mosquitto"]).map(|_| ())
}

#[test]
fn the_wire_of_the_demo_shows_zvt_and_no_card_number() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut demo = program("aisled");
    demo.args(["demo", "--once", "--trace-wire"]).arg("--dir").arg(folder.path().join("demo"));
    let output = demo.output()?;
    let wire = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{wire}");
    ensure!(
        wire.contains("ecr > device 80 00 00 06 01") || wire.contains(" 06 01 0A 04 00 00 00 00 14 35 49 01 56"),
        "no authorisation on the wire"
    );
    ensure!(wire.contains("04 0F"), "no status information on the wire");
    ensure!(!wire.contains("62 25 88 01 23 45 67 82"), "a whole card number on the wire trace");
    Ok(())
}
