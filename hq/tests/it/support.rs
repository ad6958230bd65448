//! A box as small as the contract allows, and an HQ to talk to.

use aisle_hq::config::{BrokerChoice, Config};
use aisle_hq::db::{Address, Connection};
use aisle_hq::sign::{Expected, verify};
use aisle_hq::{Hq, hex};
use bytes::Bytes;
use checkout::wire::{
    Ack, Ask, BatchHeader, BoxState, Hello, Question, Reply, Topics, Verdict, Welcome, chain_preimage,
};
use rumqttc::{AsyncClient, Event, LastWill, MqttOptions, Packet, Publish, QoS, SubscribeFilter, Transport};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

pub(crate) const SOON: Duration = Duration::from_secs(10);
static STARTS: AtomicU64 = AtomicU64::new(1);
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

pub(crate) fn config(dir: &TempDir) -> Config {
    Config {
        data: dir.path().into(),
        database: None,
        http: ANY_PORT,
        broker: BrokerChoice::Embedded { listen: ANY_PORT, tls: None },
        tenant: "demo".into(),
        notices: None,
    }
}

pub(crate) async fn hq(config: &Config) -> Hq {
    let mut hq = Hq::start(config).await.unwrap();
    timeout(SOON, hq.up.wait_for(|up| *up)).await.unwrap().unwrap();
    hq
}

/// Names a PostgreSQL server where the databases of these tests are to be.
pub(crate) const ON_POSTGRES: &str = "AISLE_TEST_POSTGRES";

/// A data directory, with its database there or on the server that is named.
pub(crate) fn tempdir() -> std::io::Result<TempDir> {
    let dir = tempfile::tempdir()?;
    if let Ok(server) = std::env::var(ON_POSTGRES) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("hq{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let admin = Connection::to(&Address::parse(&format!("{server}postgres"), None).unwrap()).unwrap();
        admin.execute(&format!("CREATE DATABASE {name}"), []).unwrap();
        std::fs::write(dir.path().join("database"), format!("{server}{name}\n"))?;
    }
    Ok(dir)
}

/// Beside a headquarters that is there; it makes no tables.
pub(crate) fn db(dir: &TempDir) -> Connection {
    match std::fs::read_to_string(dir.path().join("database")) {
        Ok(url) => Connection::to(&Address::parse(url.trim(), None).unwrap()).unwrap(),
        Err(_) => rusqlite::Connection::open(dir.path().join("hq.db")).unwrap().into(),
    }
}

/// All bytes that are kept, in whatever way.
pub(crate) fn stored(dir: &TempDir) -> Vec<u8> {
    if std::env::var_os(ON_POSTGRES).is_some() {
        let whole = "SELECT CAST(database_to_xml(true, false, '') AS TEXT)";
        return db(dir).query_row(whole, [], |row| row.get::<_, String>(0)).unwrap().into_bytes();
    }
    let path = dir.path().join("hq.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    std::fs::read(path).unwrap()
}

pub(crate) fn count(dir: &TempDir, sql: &str) -> i64 {
    db(dir).query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Waits for a number in the database: state messages are not answered.
pub(crate) async fn becomes(dir: &TempDir, sql: &str, wanted: i64) {
    let until = Instant::now() + SOON;
    while count(dir, sql) != wanted {
        assert!(Instant::now() < until, "{sql} is {}, not {wanted}", count(dir, sql));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Bodies and their chain, as a box keeps them.
#[derive(Clone, Default)]
pub(crate) struct Journal {
    bodies: Vec<Vec<u8>>,
    hashes: Vec<[u8; 32]>,
}

impl Journal {
    pub(crate) fn add(&mut self, body: impl Into<Vec<u8>>) {
        let body = body.into();
        let hash = Sha256::digest(chain_preimage(&self.hash(self.head()), self.head() + 1, &body)).into();
        self.bodies.push(body);
        self.hashes.push(hash);
    }

    pub(crate) fn sell(&mut self, transaction: &str, total: i64) {
        self.add(sale(transaction, self.head() + 1, total));
    }

    pub(crate) fn head(&self) -> u64 {
        self.bodies.len() as u64
    }

    pub(crate) fn hash(&self, seq: u64) -> [u8; 32] {
        if seq == 0 { [0; 32] } else { self.hashes[seq as usize - 1] }
    }

    pub(crate) fn batch(&self, journal: &str, epoch: u64, first: u64, last: u64) -> Vec<u8> {
        let mut raw = Vec::new();
        for body in &self.bodies[first as usize - 1..last as usize] {
            raw.extend_from_slice(body);
            raw.push(b'\n');
        }
        let header = BatchHeader {
            journal: journal.into(),
            epoch,
            first,
            count: (last - first + 1) as u32,
            prev: hex(&self.hash(first - 1)),
            raw: raw.len() as u32,
            hash: Some(hex(&self.hash(last))),
        };
        message(&header, &raw)
    }
}

pub(crate) fn message(header: &BatchHeader, raw: &[u8]) -> Vec<u8> {
    let mut message = serde_json::to_vec(header).unwrap();
    message.push(b'\n');
    message.extend(zstd::bulk::compress(raw, 3).unwrap());
    message
}

pub(crate) fn sale(transaction: &str, receipt: u64, total: i64) -> String {
    sale_at(transaction, receipt, total, 1_790_000_000_000)
}

pub(crate) fn sale_at(transaction: &str, receipt: u64, total: i64, utc: i64) -> String {
    serde_json::json!({"utc": utc, "lane": 1, "event": {"basket": {"completed": {
        "transaction": transaction, "receipt": receipt, "total": total, "discount": 0,
        "taxes": [{"rate_bp": 1300, "net": total - total * 13 / 113, "tax": total * 13 / 113}],
        "tenders": [{"tender": format!("{transaction}-1"), "kind": "card", "amount": total}],
        "change": 0, "member": null, "currency": "CNY",
        "lines": [{"no": 1, "key": "6901234567892", "name": {"zh": "茶", "en": "Tea"}, "quantity": 1, "weight_g": null,
                   "unit_price": total, "discount": 0, "total": total, "price_book": "pb-1"}],
    }}}})
    .to_string()
}

pub(crate) struct TestBox {
    pub(crate) id: String,
    pub(crate) journal_id: String,
    pub(crate) epoch: u64,
    pub(crate) acked: u64,
    pub(crate) connection: u64,
    /// Of this start of it, and how often it has said hello.
    pub(crate) nonce: u64,
    said: u64,
    pub(crate) client: AsyncClient,
    topics: Topics,
    incoming: mpsc::UnboundedReceiver<Publish>,
    public_key: String,
    pump: tokio::task::JoinHandle<()>,
}

impl Drop for TestBox {
    /// As a power cut: no DISCONNECT.
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl TestBox {
    pub(crate) async fn connect(hq: &Hq, id: &str) -> Self {
        Self::connect_to(&hq.broker, &hq.public_key, id, None).await
    }

    pub(crate) async fn connect_to(
        broker: &(String, u16),
        public_key: &str,
        id: &str,
        transport: Option<Transport>,
    ) -> Self {
        let topics = Topics::new("demo", id);
        let mut options = MqttOptions::new(id, &broker.0, broker.1);
        options.set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(140 * 1024, 140 * 1024);
        options.set_inflight(20);
        if let Some(transport) = transport {
            options.set_transport(transport);
        }
        let will = serde_json::to_vec(&state(false, 1, 1)).unwrap();
        options.set_last_will(LastWill::new(topics.of("state"), will, QoS::AtLeastOnce, true));
        let (client, mut events) = AsyncClient::new(options, 100);
        for leaf in ["welcome", "ack", "reply", "cmd"] {
            client.subscribe(topics.of(leaf), QoS::AtLeastOnce).await.unwrap();
        }
        let datasets = ["catalogue", "coupons", "erasures", "members", "policy", "promotions", "recalls"];
        let datasets = datasets.map(|name| SubscribeFilter::new(topics.dataset(name), QoS::AtLeastOnce));
        client.subscribe_many(datasets).await.unwrap();
        client.subscribe("aisle/v1/demo/chunk/+", QoS::AtLeastOnce).await.unwrap();
        let (tx, incoming) = mpsc::unbounded_channel();
        let (ready, is_ready) = tokio::sync::oneshot::channel();
        let pump = tokio::spawn(async move {
            let (mut ready, mut subscribed) = (Some(ready), 0);
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::Publish(publish))) => drop(tx.send(publish)),
                    Ok(Event::Incoming(Packet::SubAck(_))) => {
                        subscribed += 1;
                        if subscribed == 6 {
                            let _ = ready.take().map(|ready| ready.send(()));
                        }
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        timeout(SOON, is_ready).await.expect("subscribed in time").unwrap();
        Self {
            id: id.into(),
            journal_id: format!("journal-of-{id}"),
            epoch: 1,
            acked: 0,
            connection: 1,
            nonce: STARTS.fetch_add(1, Ordering::Relaxed),
            said: 0,
            client,
            topics,
            incoming,
            public_key: public_key.into(),
            pump,
        }
    }

    pub(crate) async fn say(&self, leaf: &str, payload: impl Into<Vec<u8>>) {
        let topic = self.topics.of(leaf);
        self.client.publish(topic, QoS::AtLeastOnce, leaf == "state", payload).await.unwrap();
    }

    /// The next message whose topic ends so; others are dropped.
    pub(crate) async fn hear(&mut self, topic_part: &str) -> Option<Bytes> {
        self.hear_within(topic_part, SOON).await
    }

    pub(crate) async fn hear_within(&mut self, topic_part: &str, patience: Duration) -> Option<Bytes> {
        let until = Instant::now() + patience;
        loop {
            let publish = timeout_at(until, self.incoming.recv()).await.ok()??;
            if publish.topic.contains(topic_part) {
                return Some(publish.payload);
            }
        }
    }

    pub(crate) async fn hello(&mut self, journal: &Journal) -> Verdict {
        self.said += 1;
        self.say("hello", self.hello_words(journal)).await;
        self.welcome().await
    }

    /// What the last hello said, while `journal` is as it was.
    pub(crate) fn hello_words(&self, journal: &Journal) -> Vec<u8> {
        let hello = Hello {
            journal: self.journal_id.clone(),
            epoch: self.epoch,
            boot: 1,
            nonce: self.nonce,
            said: self.said,
            connection: self.connection,
            head: journal.head(),
            acked: self.acked,
            hash: hex(&journal.hash(self.acked.min(journal.head()))),
            datasets: BTreeMap::new(),
            version: "0.1.0".into(),
            key: String::new(),
        };
        serde_json::to_vec(&hello).unwrap()
    }

    /// The next welcome, its signature checked; a new epoch is taken up.
    pub(crate) async fn welcome(&mut self) -> Verdict {
        let token = self.hear("/welcome").await.expect("a welcome");
        let expected = Expected { tenant: "demo", box_id: &self.id, purpose: "welcome", rev_seen: 0 };
        let token = std::str::from_utf8(&token).unwrap();
        let welcome: Welcome = verify(token, &self.public_key, expected).unwrap().doc;
        if let Verdict::NewEpoch { epoch, .. } = &welcome.verdict {
            (self.epoch, self.acked) = (*epoch, 0);
        }
        welcome.verdict
    }

    pub(crate) async fn send(&self, journal: &Journal, first: u64, last: u64) {
        self.say("journal", journal.batch(&self.journal_id, self.epoch, first, last)).await;
    }

    pub(crate) async fn ack(&mut self) -> Ack {
        let ack = self.hear("/ack").await.expect("an ack");
        serde_json::from_slice(&ack).unwrap()
    }

    /// Go-back-N until HQ has it all.
    pub(crate) async fn drain(&mut self, journal: &Journal, batch: u64) {
        let mut next = self.acked + 1;
        let mut patience = Instant::now() + Duration::from_secs(60);
        while self.acked < journal.head() {
            assert!(Instant::now() < patience, "stuck at {} of {}", self.acked, journal.head());
            while next <= journal.head() && next <= self.acked + 8 * batch {
                let last = (next + batch - 1).min(journal.head());
                self.send(journal, next, last).await;
                next = last + 1;
            }
            let Some(heard) = self.hear_within("/ack", Duration::from_millis(400)).await else {
                next = self.acked + 1;
                continue;
            };
            let ack: Ack = serde_json::from_slice(&heard).unwrap();
            if ack.acked > self.acked {
                patience = Instant::now() + Duration::from_secs(60);
                self.acked = ack.acked;
            }
            if let Some(expect) = ack.expect {
                next = expect.max(self.acked + 1);
            }
        }
    }

    pub(crate) async fn ask(&self, id: u64, what: Question) {
        let ask = Ask { id, wait_ms: 5000, what };
        self.say("ask", serde_json::to_vec(&ask).unwrap()).await;
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        let reply = self.hear("/reply").await.expect("a reply");
        serde_json::from_slice(&reply).unwrap()
    }
}

pub(crate) fn state(online: bool, boot: u64, connection: u64) -> BoxState {
    BoxState {
        online,
        boot,
        connection,
        version: "0.1.0".into(),
        head: 0,
        acked: 0,
        price_book: "pb-1".into(),
        devices: BTreeMap::from([("scanner".into(), true), ("printer".into(), false)]),
        store: "Nanjing Road".into(),
        exposure: checkout::words::Money::ZERO,
    }
}
