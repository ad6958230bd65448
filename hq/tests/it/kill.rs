use crate::support::{Journal, TestBox, becomes, count, tempdir};
use aisle_hq::Broker;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(data: &Path, port: u16) -> (Process, serde_json::Value) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_aisle-hq"))
        .args(["serve", "--ready-json", "--http", "127.0.0.1:0", "--broker"])
        .arg(format!("mqtt://127.0.0.1:{port}"))
        .arg("--data")
        .arg(data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), serde_json::from_str(&line).unwrap())
}

/// Between receive and commit, and between commit and ack: wherever the signal falls.
#[tokio::test(flavor = "multi_thread")]
async fn hq_killed_again_and_again_has_each_sale_once() {
    const SALES: u64 = 4000;
    let data = tempdir().unwrap();
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let port = broker.address.port();
    let (first, ready) = serve(data.path(), port);
    let key = ready["public_key"].as_str().unwrap().to_owned();
    let mut journal = Journal::default();
    for number in 1..=SALES {
        journal.sell(&format!("t{number}"), 100);
    }
    let at = ("127.0.0.1".to_owned(), port);
    let path = data.path().to_owned();
    let killer = tokio::task::spawn_blocking(move || {
        let mut running = first;
        for trial in 0..6_u64 {
            std::thread::sleep(Duration::from_millis(150 + 170 * trial));
            drop(running);
            running = serve(&path, port).0;
        }
        running
    });
    let mut one = TestBox::connect_to(&at, &key, "box-1", None).await;
    one.drain(&journal, 7).await;
    let running = killer.await.unwrap();
    drop(running);
    assert_eq!(count(&data, "SELECT count(*) FROM sale"), i64::try_from(SALES).unwrap());
    assert_eq!(count(&data, "SELECT count(*) FROM journal_event"), i64::try_from(SALES).unwrap());
    assert_eq!(count(&data, "SELECT count(*) FROM alarm"), 0);
}

/// Both take in from one broker into one database; what the dead one held the other takes over.
#[tokio::test(flavor = "multi_thread")]
async fn two_workers_divide_the_boxes_and_one_that_is_killed_leaves_nothing_undone() {
    const BOXES: u64 = 6;
    const SALES: u64 = 1_500;
    let (one, two) = (tempdir().unwrap(), tempfile::tempdir().unwrap());
    if !one.path().join("database").exists() {
        println!("skipped: several workers share a PostgreSQL");
        return;
    }
    let broker = Broker::start("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
    let port = broker.address.port();
    let (first, ready) = serve(one.path(), port);
    for file in ["database", "hq.key"] {
        std::fs::copy(one.path().join(file), two.path().join(file)).unwrap();
    }
    let (_second, _) = serve(two.path(), port);
    let held = "SELECT count(*) FROM shard_lease GROUP BY worker ORDER BY 1 LIMIT 1";
    becomes(&one, held, 32).await;
    let key = ready["public_key"].as_str().unwrap().to_owned();
    let at = ("127.0.0.1".to_owned(), port);
    let mut boxes = Vec::new();
    for number in 0..BOXES {
        let mut journal = Journal::default();
        for sale in 1..=SALES {
            journal.sell(&format!("b{number}-t{sale}"), 100);
        }
        let mut this = TestBox::connect_to(&at, &key, &format!("box-{number}"), None).await;
        boxes.push(tokio::spawn(async move { this.drain(&journal, 20).await }));
    }
    tokio::time::sleep(Duration::from_millis(400)).await;
    drop(first);
    for drained in boxes {
        drained.await.unwrap();
    }
    let all = i64::try_from(BOXES * SALES).unwrap();
    assert_eq!(count(&one, "SELECT count(*) FROM sale"), all);
    assert_eq!(count(&one, "SELECT count(*) FROM journal_event"), all);
    assert_eq!(count(&one, "SELECT count(*) FROM alarm"), 0);
    assert_eq!(count(&one, "SELECT count(DISTINCT worker) FROM shard_lease"), 1, "the dead one holds nothing");
}

#[test]
fn a_terminated_hq_ends_well_and_wrong_options_end_with_what_to_do() {
    let data = tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_aisle-hq");
    let wrong =
        Command::new(program).args(["serve", "--broker", "tcp://x", "--data"]).arg(data.path()).output().unwrap();
    assert_eq!(wrong.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("mqtt://host:port"));

    let bad = data.path().join("bad.json");
    std::fs::write(&bad, "{}\n").unwrap();
    let refused =
        Command::new(program).args(["import", "catalogue"]).arg(&bad).arg("--data").arg(data.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(65));
    assert!(String::from_utf8_lossy(&refused.stdout).starts_with("line 1: missing field"));

    let mut child = Command::new(program)
        .args(["serve", "--ready-json", "--http", "127.0.0.1:0", "--broker-listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
    let printed = Command::new(program).arg("pubkey").arg("--data").arg(data.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&printed.stdout).trim(), ready["public_key"].as_str().unwrap());
    let signalled = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(signalled.success());
    assert!(child.wait().unwrap().success());
}
