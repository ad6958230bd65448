//! One client's connection: a reader and a writer, so that neither side waits for the other to read.

use super::access::Guest;
use super::hub::{Delivery, Event, Hold, Outbox};
use super::{HANDSHAKE_MAX, PACKET_MAX};
use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use rumqttc::{
    ConnAck, Connect, ConnectReturnCode, Error as CodecError, Packet, PubAck, Publish, QoS, SubAck, Subscribe,
    SubscribeReasonCode, UnsubAck, valid_filter,
};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf, split};
use tokio::select;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

/// QoS 1 messages of one publisher that may wait for their PUBACK; beyond, the broker stops reading from it.
const PUBLISHER_WINDOW: usize = 200;
/// QoS 1 messages one subscriber may leave unacknowledged.
const SUBSCRIBER_WINDOW: usize = 1000;
/// A client that does not take a byte for this long is gone.
const WRITE_MAX: Duration = Duration::from_secs(10);
/// Written in one system call where more is waiting.
const WRITE_BATCH: usize = 64;
const TOPIC_MAX: usize = 512;

pub(super) async fn run<S>(stream: S, hub: mpsc::Sender<Event>, serial: u64, guest: Guest) -> anyhow::Result<()>
where
    S: AsyncRead + AsyncWrite,
{
    let (read, mut write) = split(stream);
    let mut reader = Reader { read, buffer: BytesMut::with_capacity(8 * 1024) };
    let first = timeout(HANDSHAKE_MAX, reader.packet()).await.context("no CONNECT in time")??;
    let Packet::Connect(connect) = first else {
        bail!("the first packet is not CONNECT");
    };
    let id = client_id(&connect, serial)?;
    ensure!(guest.may_be(&id), "a client that calls itself {id} with another's certificate");
    let will = connect.last_will.as_ref();
    ensure!(will.is_none_or(|will| guest.may_say(&will.topic)), "{id} would leave a will to another");
    let (outbox, deliveries) = Outbox::new();
    let hello = Event::Connect { id: id.clone(), serial, will: connect.last_will.clone(), outbox: outbox.clone() };
    // CONNACK leaves before the hub can deliver anything.
    let mut out = BytesMut::new();
    Packet::ConnAck(ConnAck::new(ConnectReturnCode::Success, false)).write(&mut out, PACKET_MAX)?;
    write.write_all(&out).await?;
    write.flush().await?;
    hub.send(hello).await.context("broker is stopping")?;

    let unacked = Arc::new(Semaphore::new(SUBSCRIBER_WINDOW));
    let mut client = Client {
        guest: guest.clone(),
        id: id.clone(),
        serial,
        hub: hub.clone(),
        window: Arc::new(Semaphore::new(PUBLISHER_WINDOW)),
        unacked: Arc::clone(&unacked),
        outbox: outbox.clone(),
    };
    let mut guest = guest;
    let ended = select! {
        () = guest.shown_out() => Err(anyhow::anyhow!("the certificate was taken back")),
        ended = client.read_all(&mut reader, connect.keep_alive) => ended,
        ended = write_all(&mut write, deliveries, &outbox, &unacked) => ended.map(|()| End::Lost),
    };
    let clean = matches!(ended, Ok(End::Clean));
    let _ = hub.send(Event::Gone { id, serial, clean }).await;
    ended.map(|_| ())
}

enum End {
    /// The client said DISCONNECT: its will stays unspoken.
    Clean,
    Lost,
}

fn client_id(connect: &Connect, serial: u64) -> anyhow::Result<String> {
    if connect.client_id.is_empty() {
        ensure!(connect.clean_session, "an empty client id wants a clean session");
        return Ok(format!("anonymous-{serial}"));
    }
    ensure!(connect.client_id.len() <= 256, "client id is longer than 256 bytes");
    Ok(connect.client_id.clone())
}

struct Reader<S> {
    read: ReadHalf<S>,
    buffer: BytesMut,
}

impl<S: AsyncRead> Reader<S> {
    /// Safe to drop half-way: what was read stays in the buffer.
    async fn packet(&mut self) -> anyhow::Result<Packet> {
        loop {
            match Packet::read(&mut self.buffer, PACKET_MAX) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(missing)) => self.buffer.reserve(missing.max(4 * 1024)),
                Err(error) => return Err(error).context("malformed packet"),
            }
            ensure!(self.read.read_buf(&mut self.buffer).await? > 0, "closed by the client");
        }
    }
}

struct Client {
    guest: Guest,
    id: String,
    serial: u64,
    hub: mpsc::Sender<Event>,
    window: Arc<Semaphore>,
    unacked: Arc<Semaphore>,
    outbox: Outbox,
}

impl Client {
    async fn read_all<S: AsyncRead>(&mut self, reader: &mut Reader<S>, keep_alive: u16) -> anyhow::Result<End> {
        let patience = Duration::from_millis(u64::from(keep_alive) * 1500);
        loop {
            let packet = select! {
                packet = reader.packet() => packet?,
                () = silence(patience) => bail!("silent for {patience:?}"),
            };
            match packet {
                Packet::Publish(publish) => self.published(publish).await?,
                Packet::PubAck(_) => {
                    if self.unacked.available_permits() < SUBSCRIBER_WINDOW {
                        self.unacked.add_permits(1);
                    }
                }
                Packet::Subscribe(subscribe) => self.subscribed(subscribe).await?,
                Packet::Unsubscribe(unsubscribe) => {
                    let event =
                        Event::Unsubscribe { id: self.id.clone(), serial: self.serial, filters: unsubscribe.topics };
                    self.hub.send(event).await.context("broker is stopping")?;
                    self.outbox.send(Delivery::UnsubAck(unsubscribe.pkid));
                }
                Packet::PingReq => self.outbox.send(Delivery::PingResp),
                Packet::Disconnect => return Ok(End::Clean),
                Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
                    bail!("QoS 2 is not served")
                }
                Packet::Connect(_)
                | Packet::ConnAck(_)
                | Packet::SubAck(_)
                | Packet::UnsubAck(_)
                | Packet::PingResp => bail!("a packet no client sends"),
            }
        }
    }

    async fn published(&self, publish: Publish) -> anyhow::Result<()> {
        let topic = &publish.topic;
        ensure!(
            !topic.is_empty() && topic.len() <= TOPIC_MAX && !topic.contains(['+', '#', '\0']),
            "a topic nobody may publish to"
        );
        if !self.guest.may_say(topic) {
            tracing::warn!(client = self.id, topic, "a client speaks for another: its connection ends");
            bail!("a topic that is not its own");
        }
        let hold = match publish.qos {
            QoS::AtMostOnce => None,
            QoS::AtLeastOnce => Some(Arc::new(Hold {
                pkid: publish.pkid,
                publisher: self.outbox.clone(),
                _permit: Arc::clone(&self.window).acquire_owned().await?,
            })),
            QoS::ExactlyOnce => bail!("QoS 2 is not served"),
        };
        self.hub.send(Event::Publish { publish, hold }).await.context("broker is stopping")
    }

    async fn subscribed(&self, subscribe: Subscribe) -> anyhow::Result<()> {
        let mut filters = Vec::with_capacity(subscribe.filters.len());
        if let Some(other) = subscribe.filters.iter().find(|filter| !self.guest.may_hear(&filter.path)) {
            tracing::warn!(
                client = self.id,
                filter = other.path,
                "a client would listen to others: its connection ends"
            );
            bail!("a filter that is not its own");
        }
        for filter in subscribe.filters {
            let usable = filter.path.len() <= TOPIC_MAX && valid_filter(&filter.path);
            ensure!(usable, "not a topic filter");
            let granted = match filter.qos {
                QoS::AtMostOnce => QoS::AtMostOnce,
                QoS::AtLeastOnce | QoS::ExactlyOnce => QoS::AtLeastOnce,
            };
            filters.push((filter.path, granted));
        }
        let event = Event::Subscribe { id: self.id.clone(), serial: self.serial, filters, pkid: subscribe.pkid };
        self.hub.send(event).await.context("broker is stopping")
    }
}

async fn silence(patience: Duration) {
    if patience.is_zero() {
        pending::<()>().await;
    }
    tokio::time::sleep(patience).await;
}

async fn write_all<S: AsyncWrite>(
    write: &mut WriteHalf<S>,
    mut deliveries: mpsc::UnboundedReceiver<Delivery>,
    outbox: &Outbox,
    unacked: &Semaphore,
) -> anyhow::Result<()> {
    let mut last_pkid = 0_u16;
    let mut ready = Vec::with_capacity(WRITE_BATCH);
    let mut out = BytesMut::new();
    while deliveries.recv_many(&mut ready, WRITE_BATCH).await > 0 {
        for delivery in &ready {
            if matches!(delivery, Delivery::Close) {
                bail!("another connection has taken this client's name");
            }
            let needs_ack = matches!(delivery, Delivery::Publish { publish, .. } if publish.qos != QoS::AtMostOnce);
            if needs_ack {
                if unacked.available_permits() == 0 {
                    flush(write, &mut out).await?;
                }
                unacked.acquire().await?.forget();
                last_pkid = last_pkid % 60_000 + 1;
            }
            packet(delivery, last_pkid).write(&mut out, PACKET_MAX)?;
        }
        flush(write, &mut out).await?;
        for delivery in ready.drain(..) {
            outbox.written(&delivery);
        }
    }
    Ok(())
}

async fn flush<S: AsyncWrite>(write: &mut WriteHalf<S>, out: &mut BytesMut) -> anyhow::Result<()> {
    let written = async {
        write.write_all(out).await?;
        write.flush().await
    };
    timeout(WRITE_MAX, written).await.context("the client takes nothing")??;
    out.clear();
    Ok(())
}

fn packet(delivery: &Delivery, pkid: u16) -> Packet {
    match delivery {
        Delivery::Publish { publish, .. } => {
            let mut publish = publish.clone();
            publish.pkid = if publish.qos == QoS::AtMostOnce { 0 } else { pkid };
            Packet::Publish(publish)
        }
        Delivery::PubAck(pkid) => Packet::PubAck(PubAck::new(*pkid)),
        Delivery::SubAck(pkid, granted) => {
            let codes = granted.iter().map(|qos| SubscribeReasonCode::Success(*qos));
            Packet::SubAck(SubAck::new(*pkid, codes.collect()))
        }
        Delivery::UnsubAck(pkid) => Packet::UnsubAck(UnsubAck::new(*pkid)),
        Delivery::PingResp => Packet::PingResp,
        Delivery::Close => Packet::Disconnect,
    }
}
