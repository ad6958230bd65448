use crate::support::{Journal, TestBox, config, count, hq, tempdir};
use aisle_hq::config::BrokerChoice;
use aisle_hq::{ClientTls, ServerTls};
use checkout::wire::Verdict;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rumqttc::{AsyncClient, MqttOptions, Transport};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

struct Ca {
    issuer: Issuer<'static, KeyPair>,
    path: PathBuf,
}

fn ca(dir: &Path, name: &str) -> Ca {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let path = dir.join(format!("{name}.pem"));
    std::fs::write(&path, params.self_signed(&key).unwrap().pem()).unwrap();
    Ca { issuer: Issuer::new(params, key), path }
}

fn identity(dir: &Path, ca: &Ca, name: &str) -> (PathBuf, PathBuf) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.signed_by(&key, &ca.issuer).unwrap();
    let (cert_path, key_path) = (dir.join(format!("{name}.crt")), dir.join(format!("{name}.key")));
    std::fs::write(&cert_path, certificate.pem()).unwrap();
    std::fs::write(&key_path, key.serialize_pem()).unwrap();
    (cert_path, key_path)
}

fn transport(ca: &Ca, identity: Option<(PathBuf, PathBuf)>) -> Transport {
    let tls = ClientTls { ca: ca.path.clone(), identity };
    Transport::tls_with_config(tls.config().unwrap().into())
}

async fn refused(port: u16, transport: Transport) -> bool {
    let mut options = MqttOptions::new("stranger", "localhost", port);
    options.set_transport(transport);
    let (client, mut events) = AsyncClient::new(options, 1);
    let refused = timeout(Duration::from_secs(10), events.poll()).await.unwrap().is_err();
    drop(client);
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn only_certificates_of_our_ca_get_in_and_a_silent_connection_holds_up_nobody() {
    let (data, certs) = (tempdir().unwrap(), tempdir().unwrap());
    let ours = ca(certs.path(), "ours");
    let theirs = ca(certs.path(), "theirs");
    let (cert, key) = identity(certs.path(), &ours, "localhost");
    let mut settings = config(&data);
    let server = ServerTls { ca: ours.path.clone(), cert: cert.clone(), key: key.clone() };
    let client = ClientTls { ca: ours.path.clone(), identity: Some((cert, key)) };
    settings.broker = BrokerChoice::Embedded {
        listen: "127.0.0.1:0".parse().unwrap(),
        tls: Some((server, client, "localhost".into())),
    };
    let hq = hq(&settings).await;
    let port = hq.broker.1;
    let _silent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();

    let mut journal = Journal::default();
    journal.sell("t1", 100);
    let good = transport(&ours, Some(identity(certs.path(), &ours, "box-1")));
    let at = ("localhost".to_owned(), port);
    let mut one = TestBox::connect_to(&at, &hq.public_key, "box-1", Some(good)).await;
    assert!(matches!(one.hello(&journal).await, Verdict::Continue { acked: 0, .. }));
    one.drain(&journal, 1).await;
    assert_eq!(count(&data, "SELECT count(*) FROM sale"), 1);

    assert!(refused(port, transport(&ours, None)).await, "no certificate");
    let foreign = identity(certs.path(), &theirs, "box-2");
    assert!(refused(port, transport(&ours, Some(foreign))).await, "a certificate of another CA");
    let own = identity(certs.path(), &ours, "box-3");
    assert!(refused(port, transport(&theirs, Some(own))).await, "the box does not trust this broker");
    assert!(refused(port, Transport::Tcp).await, "no TLS");
}
