//! The embedded MQTT 3.1.1 broker: QoS 0 and 1, retained messages, last wills, TLS with client certificates.
//!
//! For the demo, a shop or two and the tests. A fleet runs Mosquitto or another broker and says `--broker mqtts://…`.
//! Sessions are always clean: the contract never relies on a broker's queues.

mod hub;
mod session;

use crate::tls::ServerTls;
use anyhow::Context as _;
use rumqttc::tokio_rustls::TlsAcceptor;
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
    pub async fn start(listen: SocketAddr, tls: Option<&ServerTls>) -> anyhow::Result<Self> {
        if let Err(error) = crate::files::room_for(CLIENTS_MAX as u64) {
            tracing::warn!("the broker may run out of connections: {error:#}");
        }
        let acceptor = tls.map(|tls| tls.config().map(|config| TlsAcceptor::from(Arc::new(config)))).transpose()?;
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("broker cannot listen on {listen}: choose another --broker-listen"))?;
        let address = listener.local_addr()?;
        let (hub, events) = mpsc::channel(HUB_QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(hub::run(events));
        tasks.spawn(accept(listener, acceptor, hub));
        Ok(Self { address, _tasks: tasks })
    }
}

async fn accept(listener: TcpListener, acceptor: Option<TlsAcceptor>, hub: mpsc::Sender<hub::Event>) {
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
        let (acceptor, hub) = (acceptor.clone(), hub.clone());
        sessions.spawn(async move {
            if let Err(error) = serve(stream, acceptor, hub, serial).await {
                tracing::debug!(%peer, error = %format!("{error:#}"), "connection ended");
            }
            drop(permit);
        });
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: Option<TlsAcceptor>,
    hub: mpsc::Sender<hub::Event>,
    serial: u64,
) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let Some(acceptor) = acceptor else {
        return session::run(stream, hub, serial).await;
    };
    let stream = timeout(HANDSHAKE_MAX, acceptor.accept(stream))
        .await
        .context("no TLS handshake in time")?
        .context("TLS handshake")?;
    session::run(stream, hub, serial).await
}
