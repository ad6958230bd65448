use crate::support::{Journal, TestBox, becomes, config, count, hq, state};
use aisle_hq::config::BrokerChoice;
use checkout::wire::Verdict;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use tempfile::tempdir;

struct Mosquitto(Child);

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(dir: &std::path::Path) -> Option<(Mosquitto, u16)> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let conf = dir.join("mosquitto.conf");
    let text = format!("listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\npersistence false\n");
    std::fs::write(&conf, text).unwrap();
    for program in ["mosquitto", "/usr/sbin/mosquitto"] {
        let started = Command::new(program).arg("-c").arg(&conf).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        if let Ok(child) = started {
            return Some((Mosquitto(child), port));
        }
    }
    None
}

#[tokio::test(flavor = "multi_thread")]
async fn hq_and_box_meet_over_mosquitto() {
    let dir = tempdir().unwrap();
    let Some((_mosquitto, port)) = start(dir.path()) else {
        println!("skipped: mosquitto is not installed");
        return;
    };
    let mut settings = config(&dir);
    settings.broker = BrokerChoice::Remote { host: "127.0.0.1".into(), port, tls: None };
    let hq = hq(&settings).await;
    let mut journal = Journal::default();
    for number in 1..=500 {
        journal.sell(&format!("t{number}"), number);
    }
    let mut one = TestBox::connect(&hq, "box-1").await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));
    one.drain(&journal, 50).await;
    one.say("state", serde_json::to_vec(&state(true, 1, 1)).unwrap()).await;
    becomes(&dir, "SELECT count(*) FROM box WHERE store <> '' AND online = 1", 1).await;
    drop(one);
    becomes(&dir, "SELECT online FROM box", 0).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 500);
}
