//! The contract asks of a broker what every broker does: the same day over Mosquitto, NATS and RabbitMQ, each as Debian packages it.

use crate::support::{Journal, TestBox, becomes, config, count, hq, state, tempdir};
use aisle_hq::config::BrokerChoice;
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::store::{Store, now_ms};
use checkout::wire::Verdict;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// An Erlang broker on two busy cores takes its time.
const STARTS: Duration = Duration::from_secs(60);
const GOODS: &str = r#"{"key":"4711","name":{"zh":"水","en":"Water"},"price":200,"tax_bp":1300}"#;

/// With what it started itself, its own process group, and Erlang's name service that leaves every group.
pub(crate) struct Server {
    process: Child,
    names: Option<u16>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.process.id())]).status();
        let _ = self.process.wait();
        let kill = |port: u16| Command::new("epmd").args(["-port", &port.to_string(), "-kill"]).output();
        if let Some(port) = self.names {
            let until = Instant::now() + Duration::from_secs(5);
            // It stays while it knows the name of a node that is not quite dead.
            while Instant::now() < until && kill(port).is_ok_and(|told| !told.stdout.starts_with(b"Killed")) {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

pub(crate) fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Once it listens; `None` where the program is not installed.
fn start(mut command: Command, port: u16) -> Option<Server> {
    let command = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).process_group(0);
    let mut server = Server { process: command.spawn().ok()?, names: None };
    let until = Instant::now() + STARTS;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(ended) = server.process.try_wait().unwrap() {
            panic!("the broker ended: {ended}");
        }
        assert!(Instant::now() < until, "the broker does not listen");
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(server)
}

fn mosquitto(dir: &Path, port: u16) -> Option<Server> {
    mosquitto_with(dir, port, "allow_anonymous true\n")
}

/// `who`: the lines of its configuration that say who gets in.
pub(crate) fn mosquitto_with(dir: &Path, port: u16, who: &str) -> Option<Server> {
    let conf = dir.join("mosquitto.conf");
    let text = format!("listener {port} 127.0.0.1\n{who}set_tcp_nodelay true\npersistence false\n");
    std::fs::write(&conf, text).unwrap();
    ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find_map(|program| {
        let mut command = Command::new(program);
        command.arg("-c").arg(&conf);
        start(command, port)
    })
}

/// Its MQTT wants JetStream and a name.
fn nats(dir: &Path, mqtt: u16) -> Option<Server> {
    let conf = dir.join("nats.conf");
    let text = format!(
        "server_name: aisle\nlisten: \"127.0.0.1:{}\"\njetstream {{ store_dir: \"{}\" }}\nmqtt {{ listen: \"127.0.0.1:{mqtt}\" }}\n",
        port(),
        dir.join("jetstream").display()
    );
    std::fs::write(&conf, text).unwrap();
    ["nats-server", "/usr/sbin/nats-server"].into_iter().find_map(|program| {
        let mut command = Command::new(program);
        command.arg("-c").arg(&conf);
        start(command, mqtt)
    })
}

fn rabbitmq(dir: &Path, mqtt: u16) -> Option<Server> {
    let program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    if !Path::new(program).exists() {
        return None;
    }
    let file = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (amqp, names) = (port(), port());
    let conf = file(
        "rabbitmq.conf",
        format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\nmqtt.listeners.tcp.1 = 127.0.0.1:{mqtt}\nmqtt.allow_anonymous = true\n"
        ),
    );
    let plugins = file("plugins", "[rabbitmq_mqtt].".into());
    let mut command = Command::new(program);
    command
        .current_dir(dir)
        .env("HOME", dir)
        .env("RABBITMQ_NODENAME", format!("aisle-{mqtt}@localhost"))
        .env("RABBITMQ_DIST_PORT", port().to_string())
        .env("ERL_EPMD_PORT", names.to_string())
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("RABBITMQ_CONFIG_FILE", conf)
        .env("RABBITMQ_ENABLED_PLUGINS_FILE", plugins)
        .env("RABBITMQ_MNESIA_BASE", dir.join("mnesia"))
        .env("RABBITMQ_LOG_BASE", dir.join("log"))
        .env("RABBITMQ_PID_FILE", dir.join("pid"));
    let mut server = start(command, mqtt)?;
    server.names = Some(names);
    Some(server)
}

/// A backlog, presence, a will, goods, and a broker that is killed and comes back. False where that is not installed.
async fn a_day_over(broker: fn(&Path, u16) -> Option<Server>) -> bool {
    let (dir, files) = (tempdir().unwrap(), tempfile::tempdir().unwrap());
    let port = port();
    let path = files.path().to_owned();
    let Some(server) = tokio::task::spawn_blocking(move || broker(&path, port)).await.unwrap() else {
        return false;
    };
    let mut settings = config(&dir);
    settings.broker = BrokerChoice::Remote { host: "127.0.0.1".into(), port, tls: None };
    let hq = hq(&settings).await;
    let mut journal = Journal::default();
    for number in 1..=500 {
        journal.sell(&format!("t{number}"), number);
    }
    let mut one = TestBox::connect(&hq, "box-1").await;
    dataset::import(&Store::open(dir.path()).unwrap(), Kind::Catalogue, GOODS, Some("pb-1"), OnBad::Refuse)
        .unwrap()
        .unwrap();
    assert!(one.hear("/data/catalogue").await.is_some());
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));
    one.drain(&journal, 50).await;
    one.say("state", serde_json::to_vec(&state(true, 1, 1)).unwrap()).await;
    becomes(&dir, "SELECT count(*) FROM box WHERE store <> '' AND online = 1", 1).await;
    let mut late = TestBox::connect(&hq, "box-2").await;
    assert!(late.hear("/data/catalogue").await.is_some(), "a box that comes later hears what is in force");
    drop(late);

    drop(one);
    drop(server);
    let path = files.path().to_owned();
    let _server = tokio::task::spawn_blocking(move || broker(&path, port)).await.unwrap().unwrap();
    for number in 501..=600 {
        journal.sell(&format!("t{number}"), number);
    }
    // It has noticed, and found the new one.
    let mut up = hq.up.clone();
    tokio::time::sleep(Duration::from_secs(1)).await;
    tokio::time::timeout(STARTS, up.wait_for(|up| *up)).await.unwrap().unwrap();
    let mut one = TestBox::connect(&hq, "box-1").await;
    one.acked = 500;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 500, .. }));
    one.drain(&journal, 20).await;
    let since = now_ms();
    one.say("state", serde_json::to_vec(&state(true, 1, 1)).unwrap()).await;
    // It may have been shown as there since before the broker died.
    let heard = format!("SELECT count(*) FROM box WHERE id = 'box-1' AND online = 1 AND last_seen >= {since}");
    becomes(&dir, &heard, 1).await;
    drop(one);
    becomes(&dir, "SELECT online FROM box WHERE id = 'box-1'", 0).await;
    assert_eq!(count(&dir, "SELECT count(*) FROM sale"), 600);
    assert_eq!(count(&dir, "SELECT count(*) FROM journal_event"), 600);
    assert_eq!(count(&dir, "SELECT count(*) FROM alarm"), 0);
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn hq_and_box_meet_over_mosquitto() {
    if !a_day_over(mosquitto).await {
        println!("skipped: mosquitto is not installed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hq_and_box_meet_over_nats() {
    if !a_day_over(nats).await {
        println!("skipped: nats-server is not installed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hq_and_box_meet_over_rabbitmq() {
    if !a_day_over(rabbitmq).await {
        println!("skipped: rabbitmq-server is not installed");
    }
}
