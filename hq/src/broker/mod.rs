//! The embedded MQTT 3.1.1 broker: QoS 0 and 1, retained messages, last wills, TLS with client certificates.
//!
//! For the demo, a shop or two and the tests. A fleet runs Mosquitto or another broker and says `--broker mqtts://…`.
//! Sessions are always clean: the contract never relies on a broker's queues.

mod access;
mod hub;
mod session;

pub use access::{Access, Revoked};
pub(crate) use access::{DOWN, UP};

use crate::tls::ServerTls;
use access::Guest;
use anyhow::Context as _;
use rumqttc::tokio_rustls::TlsAcceptor;
use rustls::pki_types::CertificateDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Packets larger than this end the connection: the contract's 128 KiB and room for topic and headers.
pub(crate) const PACKET_MAX: usize = checkout::wire::MESSAGE_MAX + 4 * 1024;
const CLIENTS_MAX: usize = 12_000;
/// A connection that has not finished TLS and CONNECT by then is closed.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HUB_QUEUE: usize = 1024;

/// A running broker; dropping it closes every connection.
#[derive(Debug)]
pub struct Broker {
    pub address: SocketAddr,
    _tasks: JoinSet<()>,
}

impl Broker {
    /// # Errors
    /// When the address cannot be bound or the certificates cannot be used.
    pub async fn start(listen: SocketAddr, tls: Option<(&ServerTls, Access)>) -> anyhow::Result<Self> {
        if let Err(error) = crate::files::room_for(CLIENTS_MAX as u64) {
            tracing::warn!("the broker may run out of connections: {error:#}");
        }
        let door = tls.map(|(tls, access)| Door::new(tls, access)).transpose()?.map(Arc::new);
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("broker cannot listen on {listen}: choose another --broker-listen"))?;
        let address = listener.local_addr()?;
        let (hub, events) = mpsc::channel(HUB_QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(hub::run(events));
        tasks.spawn(accept(listener, door, hub));
        Ok(Self { address, _tasks: tasks })
    }
}

/// Where certificates are looked at.
struct Door {
    acceptor: TlsAcceptor,
    own: CertificateDer<'static>,
    access: Access,
}

impl Door {
    fn new(tls: &ServerTls, access: Access) -> anyhow::Result<Self> {
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(tls.config()?)), own: tls.leaf()?, access })
    }
}

async fn accept(listener: TcpListener, door: Option<Arc<Door>>, hub: mpsc::Sender<hub::Event>) {
    let room = Arc::new(Semaphore::new(CLIENTS_MAX));
    let mut sessions = JoinSet::new();
    for serial in 1.. {
        while sessions.try_join_next().is_some() {}
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "broker cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (door, hub) = (door.clone(), hub.clone());
        sessions.spawn(async move {
            if let Err(error) = serve(stream, door, hub, serial).await {
                tracing::debug!(%peer, error = %format!("{error:#}"), "connection ended");
            }
            drop(permit);
        });
    }
}

async fn serve(
    stream: TcpStream,
    door: Option<Arc<Door>>,
    hub: mpsc::Sender<hub::Event>,
    serial: u64,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let Some(door) = door else {
        return session::run(stream, hub, serial, Guest::anyone()).await;
    };
    let stream = timeout(HANDSHAKE_MAX, door.acceptor.accept(stream))
        .await
        .context("no TLS handshake in time")?
        .context("TLS handshake")?;
    let peer = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()).context("no certificate")?;
    let guest = Guest::of(peer, &door.own, &door.access)?;
    session::run(stream, hub, serial, guest).await
}
