//! A simulated fleet against a real headquarters: every box comes back from an outage, and from headquarters' sudden end.

use crate::support::tempdir;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const GOODS: &str = r#"{"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"price":350,"tax_bp":1300}
{"key":"6920000000005","name":{"zh":"方便面","en":"Noodles"},"price":300,"tax_bp":1300}
"#;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_aisle-hq"));
    program.env("AISLE_LOG", "error").stderr(Stdio::inherit());
    program
}

fn headquarters(data: &Path, broker: &str) -> Running {
    let mut serve = program();
    serve.args(["serve", "--ready-json", "--http", "127.0.0.1:0", "--broker-listen", broker, "--data"]).arg(data);
    let mut child = serve.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("ready"), "{line}");
    Running(child)
}

fn imported(data: &Path) {
    let goods = data.join("goods.ndjson");
    std::fs::write(&goods, GOODS).unwrap();
    let import =
        program().args(["import", "catalogue"]).arg(goods).args(["--name", "pb-1", "--data"]).arg(data).output();
    assert!(import.unwrap().status.success());
}

fn fleet(data: &Path, broker: &str, more: &[&str]) -> Child {
    let mut sim = program();
    sim.args(["sim", "--boxes", "24", "--rate", "400", "--broker", broker, "--data"]).arg(data).args(more);
    sim.stdout(Stdio::piped()).spawn().unwrap()
}

fn report(sim: Child) -> Value {
    let ended = sim.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    let report = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    assert!(ended.status.success(), "{report}");
    report
}

fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

#[test]
fn a_fleet_that_loses_the_broker_and_a_headquarters_that_is_killed_end_with_the_same_rows() {
    let dir = tempdir().unwrap();
    imported(dir.path());
    let broker = free();
    let hq = headquarters(dir.path(), &broker);
    let sim = fleet(dir.path(), &broker, &["--seconds", "12", "--outage", "2"]);
    std::thread::sleep(Duration::from_secs(3));
    drop(hq);
    std::thread::sleep(Duration::from_secs(1));
    let hq = headquarters(dir.path(), &broker);
    let report = report(sim);
    println!("{report}");
    let number = |name: &str| report[name].as_u64().unwrap();
    assert!(
        number("made") > 2_000 && number("acked") >= number("made") && number("sent") >= number("acked"),
        "{report}"
    );
    assert!(number("lost") >= 24, "every box lost headquarters' broker: {report}");
    assert_eq!((&report["proof"]["wrong"], number("epochs")), (&0.into(), 0), "{report}");
    assert_eq!(report["proof"]["events"], report["made"]);
    assert!(report["settled_s"].is_number(), "{report}");
    drop(hq);

    // Sold as a store sells: priced again nothing differs.
    let parity = program().args(["parity", "--data"]).arg(dir.path()).output().unwrap();
    assert!(parity.status.success(), "{}", String::from_utf8_lossy(&parity.stdout));
}

/// The proof can fail: a row less at headquarters, or a cent, is found.
#[test]
fn a_row_or_a_cent_that_is_missing_at_headquarters_is_told() {
    // A trigger is written in one database's own words.
    let dir = tempfile::tempdir().unwrap();
    imported(dir.path());
    let broker = free();
    let _hq = headquarters(dir.path(), &broker);
    let db = rusqlite::Connection::open(dir.path().join("hq.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch(
        "CREATE TRIGGER thief AFTER INSERT ON sale WHEN NEW.box LIKE '%-00007' BEGIN
                          UPDATE sale SET total = total - 1 WHERE transaction_id = NEW.transaction_id; END;",
    )
    .unwrap();
    let ended = fleet(dir.path(), &broker, &["--seconds", "3"]).wait_with_output().unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(!ended.status.success());
    assert_eq!(report["proof"]["wrong"], 1, "{report}");
    assert!(report["proof"]["examples"][0].as_str().unwrap().contains("-00007"), "{report}");
}
