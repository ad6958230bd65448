//! HQ as an ordinary MQTT client: publishes in, [`Work`] out; one event loop per connection, never reused.

use crate::lease::{self, Shards};
use crate::tls::ClientTls;
use crate::work::{Outgoing, Work, parse};
use anyhow::{Context as _, bail};
use checkout::wire::Topics;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, NetworkOptions, Packet, QoS, SubscribeFilter, SubscribeReasonCode,
    Transport,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, timeout_at};

/// The broker's answer to a ping waits behind the messages of all boxes: after an outage of a large fleet that takes a while.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// Our own watchdog: no word from the broker for 2.5 keep-alives ends the connection.
const SILENCE_MAX: Duration = Duration::from_secs(75);
const RETRY_MIN: Duration = Duration::from_millis(250);
const RETRY_MAX: Duration = Duration::from_secs(30);
/// Requests handed to the event loop and not yet on the wire.
const REQUESTS: usize = 64;
const INFLIGHT: u16 = 100;
/// KiB of unpacked batches that may wait for the writer: many small ones or a few large ones.
const ROOM_KIB: usize = 16 * 1024;
/// Turns of the writer whose answers may wait; beyond, the connection is given up with them, and boxes ask again.
const TURNS_MAX: usize = 1_000;
const LEAVES: [&str; 7] = ["hello", "journal", "head", "state", "ask", "reported", "renew"];

/// Where and as whom HQ connects.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) tenant: String,
    /// Unique per HQ, or two of them would push each other off the broker.
    pub(crate) client_id: String,
    /// Whose boxes are taken in here; when it changes there is a new connection.
    pub(crate) shards: watch::Receiver<Shards>,
}

/// To the writer, and the room there.
type Inbox<'a> = (&'a mpsc::Sender<Work>, &'a Arc<Semaphore>);

/// Connects again and again until the writer or the program ends.
pub(crate) async fn run(
    target: Target,
    work: mpsc::Sender<Work>,
    mut outgoing: mpsc::UnboundedReceiver<Vec<Outgoing>>,
    up: watch::Sender<bool>,
) -> anyhow::Result<()> {
    let mut retry = RETRY_MIN;
    let room = Arc::new(Semaphore::new(ROOM_KIB));
    loop {
        let since = Instant::now();
        let mut moved = target.shards.clone();
        moved.mark_unchanged();
        if target.shards.borrow().is_empty() {
            // Others hold them all; nobody to tell means that this one never holds any.
            if moved.changed().await.is_err() {
                return Ok(());
            }
            continue;
        }
        let ended = tokio::select! {
            ended = connection(&target, (&work, &room), &mut outgoing, &up) => ended,
            Ok(()) = moved.changed() => {
                up.send_replace(false);
                continue;
            }
        };
        up.send_replace(false);
        match ended {
            Ok(()) => return Ok(()),
            Err(error) => {
                tracing::warn!(host = target.host, port = target.port, error = %format!("{error:#}"), "no connection to the broker");
            }
        }
        if since.elapsed() > RETRY_MAX {
            retry = RETRY_MIN;
        }
        sleep(jitter(retry)).await;
        retry = (retry * 2).min(RETRY_MAX);
    }
}

/// One connection's life. `Ok` when nobody wants another.
async fn connection(
    target: &Target,
    work: Inbox<'_>,
    outgoing: &mut mpsc::UnboundedReceiver<Vec<Outgoing>>,
    up: &watch::Sender<bool>,
) -> anyhow::Result<()> {
    // Answers for a connection that is gone: boxes ask again.
    while outgoing.try_recv().is_ok() {}
    let (client, mut events) = AsyncClient::new(options(target)?, REQUESTS);
    let mut network = NetworkOptions::new();
    network.set_tcp_nodelay(true);
    events.set_network_options(network);
    let shards = Arc::clone(&target.shards.borrow());
    for leaf in LEAVES {
        client.subscribe_many(filters(&target.tenant, &shards, leaf)).await?;
    }
    let door = Topics::claim(&target.tenant, "+", "request");
    client.subscribe(door, QoS::AtLeastOnce).await?;
    tokio::select! {
        ended = receive(target, &shards, events, work, up) => ended,
        ended = send(&client, outgoing) => ended,
    }
}

/// Plain subscriptions: every broker has those.
fn filters(tenant: &str, shards: &Shards, leaf: &str) -> Vec<SubscribeFilter> {
    let filter = |shard: &str| SubscribeFilter::new(format!("aisle/v1/{tenant}/{shard}/+/{leaf}"), QoS::AtLeastOnce);
    if **shards == *lease::all() {
        return vec![filter("+")];
    }
    shards.iter().map(|shard| filter(&format!("{shard:02}"))).collect()
}

async fn receive(
    target: &Target,
    shards: &Shards,
    mut events: EventLoop,
    (work, room): Inbox<'_>,
    up: &watch::Sender<bool>,
) -> anyhow::Result<()> {
    let mut heard = Instant::now();
    let mut subscribed = 0;
    loop {
        let event = timeout_at(heard + SILENCE_MAX, events.poll()).await.context("the broker is silent")??;
        let Event::Incoming(packet) = event else {
            continue;
        };
        heard = Instant::now();
        let item = match packet {
            Packet::SubAck(ack) => {
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    bail!("the broker refuses our subscriptions: check its access list");
                }
                subscribed += 1;
                if subscribed < LEAVES.len() + 1 {
                    continue;
                }
                tracing::info!(host = target.host, port = target.port, "connected to the broker");
                up.send_replace(true);
                Work::LinkUp { shards: Arc::clone(shards) }
            }
            Packet::Publish(publish) => match parse(&target.tenant, &publish.topic, &publish.payload) {
                Ok(item) => item,
                Err(reason) => {
                    tracing::debug!(topic = publish.topic, %reason, "message refused");
                    continue;
                }
            },
            Packet::Disconnect => bail!("the broker has disconnected us"),
            Packet::Connect(_)
            | Packet::ConnAck(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp => continue,
        };
        if work.send(weighed(item, room).await?).await.is_err() {
            return Ok(());
        }
    }
}

/// Waits until there is room for it.
async fn weighed(mut item: Work, room: &Arc<Semaphore>) -> anyhow::Result<Work> {
    if let Work::Batch { batch, .. } = &mut item {
        let kib = u32::try_from(batch.weight() / 1024 + 1)?;
        batch.hold(Arc::clone(room).acquire_many_owned(kib).await?);
    }
    Ok(item)
}

async fn send(client: &AsyncClient, outgoing: &mut mpsc::UnboundedReceiver<Vec<Outgoing>>) -> anyhow::Result<()> {
    while let Some(messages) = outgoing.recv().await {
        if outgoing.len() > TURNS_MAX {
            bail!("the broker does not take what we say");
        }
        for message in messages {
            client.publish_bytes(message.topic, QoS::AtLeastOnce, message.retain, message.payload).await?;
        }
    }
    Ok(())
}

fn options(target: &Target) -> anyhow::Result<MqttOptions> {
    let mut options = MqttOptions::new(&target.client_id, &target.host, target.port);
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(true);
    options.set_inflight(INFLIGHT);
    let packet_max = crate::broker::PACKET_MAX;
    options.set_max_packet_size(packet_max, packet_max);
    if let Some(tls) = &target.tls {
        options.set_transport(Transport::tls_with_config(tls.config()?.into()));
    }
    Ok(options)
}

/// Full jitter: a fleet that lost its broker does not come back in step.
fn jitter(most: Duration) -> Duration {
    let mut random = [0_u8; 2];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random);
    most.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}
