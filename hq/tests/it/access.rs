//! Who gets in, and how far: certificates of our own authority, pairings, what is taken back; with the embedded broker and Mosquitto.

use crate::brokers;
use crate::support::{Journal, TestBox, becomes, config, count, hq, state, tempdir};
use aisle_hq::ca::{Ca, Files};
use aisle_hq::config::{BrokerChoice, Config};
use aisle_hq::dataset::{self, Kind, OnBad};
use aisle_hq::store::Store;
use aisle_hq::{ClientTls, Hq, ServerTls, acl, pairing};
use checkout::wire::{Claim, Granted, Topics, Verdict};
use rcgen::{CertificateParams, Issuer, KeyPair, date_time_ymd};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, Transport};
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);
const SHORT: Duration = Duration::from_millis(1500);

/// A headquarters' folder with an authority.
struct Place {
    dir: TempDir,
    files: TempDir,
    store: Store,
    ca: Ca,
}

impl Place {
    fn new() -> Self {
        let (dir, files) = (tempdir().unwrap(), tempdir().unwrap());
        let store = Store::open(dir.path()).unwrap();
        let (ca, own) = Ca::init(&store.ca_path(), &["localhost".into()]).unwrap();
        pairing::note(&mut store.writer().unwrap(), None, "aisle-hq", &own).unwrap();
        Self { dir, files, store, ca }
    }

    fn config(&self) -> Config {
        let Files { ca, cert, key } = Files::of(&self.store.ca_path());
        let server = ServerTls { ca: ca.clone(), cert: cert.clone(), key: key.clone() };
        let client = ClientTls { ca, identity: Some((cert, key)) };
        let listen = "127.0.0.1:0".parse().unwrap();
        let tls = Some((server, client, "localhost".into()));
        Config { broker: BrokerChoice::Embedded { listen, tls }, ..config(&self.dir) }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// With a certificate of a box, and its serial.
    fn as_box(&self, id: &str) -> (Transport, String) {
        let key = KeyPair::generate().unwrap();
        let csr = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap().pem().unwrap();
        let issued = self.ca.sign(&csr, id).unwrap();
        pairing::note(&mut self.store.writer().unwrap(), None, id, &issued).unwrap();
        (self.transport(&issued.pem, &key.serialize_pem()), issued.serial)
    }

    fn as_claim(&self) -> (Transport, String) {
        let (name, issued, key) = self.ca.claim().unwrap();
        (self.transport(&issued.pem, &key), name)
    }

    fn transport(&self, cert: &str, key: &str) -> Transport {
        let identity = Some((self.write("cert.pem", cert), self.write("key.pem", key)));
        let tls = ClientTls { ca: Files::of(&self.store.ca_path()).ca, identity };
        Transport::tls_with_config(tls.config().unwrap().into())
    }

    async fn connect(&self, hq: &Hq, id: &str) -> TestBox {
        let at = ("localhost".to_owned(), hq.broker.1);
        TestBox::connect_to(&at, &hq.public_key, id, Some(self.as_box(id).0)).await
    }
}

fn client(port: u16, id: &str, transport: Transport) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new(id, "localhost", port);
    options.set_transport(transport);
    AsyncClient::new(options, 10)
}

/// Whether the broker ends the connection; else what it brings.
async fn ends(events: &mut EventLoop) -> Result<Vec<u8>, ()> {
    let poll = async {
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::Publish(publish))) => return Ok(publish.payload.to_vec()),
                Ok(_) => {}
                Err(_) => return Err(()),
            }
        }
    };
    timeout(SHORT, poll).await.unwrap_or_else(|_| Ok(Vec::new()))
}

#[tokio::test(flavor = "multi_thread")]
async fn d5_a_box_touches_its_own_topics_only() {
    let place = Place::new();
    let hq = hq(&place.config()).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut one = place.connect(&hq, "box-1").await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));
    one.drain(&journal, 1).await;
    assert_eq!(count(&place.dir, "SELECT count(*) FROM sale"), 1);

    let port = hq.broker.1;
    let other = Topics::new("demo", "box-2");
    let (talker, mut events) = client(port, "box-3", place.as_box("box-3").0);
    let words = serde_json::to_vec(&state(true, 1, 1)).unwrap();
    talker.publish(other.of("state"), QoS::AtLeastOnce, true, words).await.unwrap();
    assert!(ends(&mut events).await.is_err(), "it speaks for another");
    for filter in [other.of("welcome"), "aisle/#".into(), "aisle/v1/demo/+/+/ask".into()] {
        let (listener, mut events) = client(port, "box-3", place.as_box("box-3").0);
        listener.subscribe(&filter, QoS::AtLeastOnce).await.unwrap();
        assert!(ends(&mut events).await.is_err(), "it listens to {filter}");
    }
    let (_named, mut events) = client(port, "box-1", place.as_box("box-3").0);
    assert!(ends(&mut events).await.is_err(), "it calls itself another, which would end that one's connection");
    journal.sell("t2", 100);
    one.drain(&journal, 1).await;
    assert_eq!(count(&place.dir, "SELECT count(*) FROM box"), 1, "nothing of it was heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_expired_foreign_and_revoked_certificates_stay_outside() {
    let place = Place::new();
    let hq = hq(&place.config()).await;
    let port = hq.broker.1;
    let authority =
        KeyPair::from_pem(&std::fs::read_to_string(place.store.ca_path().join("ca.key.pem")).unwrap()).unwrap();
    let ours = Issuer::from_ca_cert_pem(place.ca.certificate(), authority).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["box-1".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, "box-1");
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = params.signed_by(&key, &ours).unwrap().pem();
    let (_client, mut events) = client(port, "box-1", place.transport(&expired, &key.serialize_pem()));
    assert!(ends(&mut events).await.is_err(), "expired");
    let elsewhere = Place::new();
    let (transport, _) = elsewhere.as_box("box-1");
    let (_client, mut events) = client(port, "box-1", transport);
    assert!(ends(&mut events).await.is_err(), "another authority's");

    let (transport, _) = place.as_box("box-1");
    let (_client, mut events) = client(port, "box-1", transport.clone());
    assert!(ends(&mut events).await.is_ok(), "it is in");
    pairing::revoke(&mut place.store.writer().unwrap(), None, "box-1", "stolen").unwrap();
    let shown_out = timeout(SOON, async { while ends(&mut events).await.is_ok() {} }).await;
    assert!(shown_out.is_ok(), "who is in when it is taken back is shown out");
    let (_client, mut events) = client(port, "box-1", transport);
    assert!(ends(&mut events).await.is_err(), "and does not come back");
}

#[tokio::test(flavor = "multi_thread")]
async fn d3_a_claim_only_pairs_and_staff_say_which_box_shows_the_code() {
    let place = Place::new();
    let hq = hq(&place.config()).await;
    let port = hq.broker.1;
    for wrong in ["aisle/v1/demo/data/+", "aisle/v1/demo/chunk/+", "aisle/v1/demo/claim/+/certificate"] {
        let (listener, mut events) = client(port, "claim-1", place.as_claim().0);
        listener.subscribe(wrong, QoS::AtLeastOnce).await.unwrap();
        assert!(ends(&mut events).await.is_err(), "a claim listens to {wrong}");
    }
    let id = "0a".repeat(16);
    let key = KeyPair::generate().unwrap();
    let request = CertificateParams::new(Vec::new()).unwrap().serialize_request(&key).unwrap().pem().unwrap();
    let (claimant, mut events) = client(port, "claim-2", place.as_claim().0);
    claimant.subscribe(Topics::claim("demo", &id, "certificate"), QoS::AtLeastOnce).await.unwrap();
    let ask = async || {
        let payload = serde_json::to_vec(&Claim { request: request.clone() }).unwrap();
        claimant.publish(Topics::claim("demo", &id, "request"), QoS::AtLeastOnce, false, payload).await.unwrap();
    };
    ask().await;
    assert_eq!(ends(&mut events).await, Ok(Vec::new()), "nobody has said who it is");
    let mut db = place.store.writer().unwrap();
    let shown = pairing::waiting(&db).unwrap();
    assert_eq!((shown.len(), shown[0].code.len()), (1, 11));
    assert!(pairing::pair(&mut db, &place.ca, None, "00000-00000", "box-1", false).is_err(), "another code");
    for name in ["claim-1", "aisle-hq", "", "box/1"] {
        assert!(pairing::pair(&mut db, &place.ca, None, &shown[0].code, name, false).is_err(), "{name} is no box");
    }
    place.as_box("box-1");
    assert!(pairing::pair(&mut db, &place.ca, None, &shown[0].code, "box-1", false).is_err(), "there is one");
    pairing::pair(&mut db, &place.ca, None, &shown[0].code.to_lowercase(), "box-1", true).unwrap();
    ask().await;
    let granted: Granted = serde_json::from_slice(&ends(&mut events).await.unwrap()).unwrap();
    let (_paired, mut events) = client(port, "box-1", place.transport(&granted.certificate, &key.serialize_pem()));
    assert!(ends(&mut events).await.is_ok(), "it is box-1");
    let valid: Vec<_> = pairing::certificates(&db).unwrap().into_iter().filter(|known| known.name == "box-1").collect();
    assert_eq!(valid.iter().filter(|known| known.revoked.is_none()).count(), 1, "the dead box's was taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn mosquitto_keeps_the_same_rules() {
    let place = Place::new();
    let (transport, claim) = place.as_claim();
    let (lost, _) = place.as_box("box-9");
    pairing::revoke(&mut place.store.writer().unwrap(), None, "box-9", "lost").unwrap();
    let revoked = pairing::taken_back(&place.store.reader().unwrap()).unwrap();
    let crl = place.write("crl.pem", &place.ca.crl(&revoked).unwrap());
    let list = place.write("aisle.acl", &acl::mosquitto("demo", &[claim]));
    let Files { ca, cert, key } = Files::of(&place.store.ca_path());
    let more = format!(
        "user root\ncafile {}\ncrlfile {}\ncertfile {}\nkeyfile {}\nrequire_certificate true\nuse_identity_as_username true\nacl_file {}\n",
        ca.display(),
        crl.display(),
        cert.display(),
        key.display(),
        list.display()
    );
    let port = brokers::port();
    let Some(_mosquitto) = brokers::mosquitto_with(place.files.path(), port, &more) else {
        println!("skipped: mosquitto is not installed");
        return;
    };
    let tls = ClientTls { ca, identity: Some((cert, key)) };
    let mut settings = config(&place.dir);
    settings.broker = BrokerChoice::Remote { host: "localhost".into(), port, tls: Some(tls) };
    let hq = hq(&settings).await;
    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let mut one = place.connect(&hq, "box-1").await;
    one.hello(&journal).await;
    one.drain(&journal, 1).await;
    becomes(&place.dir, "SELECT count(*) FROM sale", 1).await;

    let (talker, mut events) = client(port, "box-3", place.as_box("box-3").0);
    let words = serde_json::to_vec(&state(true, 1, 1)).unwrap();
    talker.publish(Topics::new("demo", "box-1").of("state"), QoS::AtLeastOnce, true, words).await.unwrap();
    talker.subscribe(Topics::new("demo", "box-1").of("welcome"), QoS::AtLeastOnce).await.unwrap();
    let _ = ends(&mut events).await;
    one.hello(&journal).await;
    assert!(ends(&mut events).await.is_ok_and(|heard| heard.is_empty()), "it hears nothing of another");
    assert_eq!(count(&place.dir, "SELECT count(*) FROM box WHERE store <> ''"), 0, "nor says anything for it");

    let (claimant, mut events) = client(port, "claim-1", transport);
    for topic in ["aisle/v1/demo/data/+", "aisle/v1/demo/chunk/+"] {
        claimant.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
    }
    let tea = r#"{"key":"20001","name":{"zh":"茶","en":"Tea"},"price":500,"tax_bp":1300}"#;
    dataset::import(&place.store, Kind::Catalogue, tea, None, OnBad::Refuse).unwrap().unwrap();
    assert!(one.hear("/data/catalogue").await.is_some(), "a box does");
    assert!(ends(&mut events).await.is_ok_and(|heard| heard.is_empty()), "a claim hears of no dataset");
    let (_lost, mut events) = client(port, "box-9", lost);
    assert!(ends(&mut events).await.is_err(), "a certificate on the list of revoked ones");
}
