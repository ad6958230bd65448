//! One MQTT connection with as little memory as it can do with: a simulated box has ten thousand neighbours.

use crate::broker::PACKET_MAX;
use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use rumqttc::{
    Connect, ConnectReturnCode, Error as CodecError, LastWill, Packet, PubAck, Publish, QoS, Subscribe, SubscribeFilter,
};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const OPENING_MAX: Duration = Duration::from_secs(30);
const WRITE_MAX: Duration = Duration::from_secs(30);
pub(super) const KEEP_ALIVE: u16 = 30;
/// What a buffer may keep between two messages.
const KEPT: usize = 4 * 1024;

#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    read: BytesMut,
    out: BytesMut,
    pkid: u16,
}

impl Line {
    pub(super) async fn open(broker: SocketAddr, id: &str, will: LastWill) -> anyhow::Result<Self> {
        let stream = timeout(OPENING_MAX, TcpStream::connect(broker)).await.context("no connection in time")??;
        stream.set_nodelay(true)?;
        let mut line = Self { stream, read: BytesMut::new(), out: BytesMut::new(), pkid: 0 };
        let mut connect = Connect::new(id);
        (connect.keep_alive, connect.last_will) = (KEEP_ALIVE, Some(will));
        line.put(&Packet::Connect(connect))?;
        line.flush().await?;
        let answer = timeout(OPENING_MAX, line.packet()).await.context("no CONNACK in time")??;
        let Packet::ConnAck(ack) = answer else { bail!("the first packet is no CONNACK") };
        ensure!(ack.code == ConnectReturnCode::Success, "the broker refuses: {:?}", ack.code);
        Ok(line)
    }

    fn put(&mut self, packet: &Packet) -> anyhow::Result<()> {
        packet.write(&mut self.out, PACKET_MAX)?;
        Ok(())
    }

    fn number(&mut self) -> u16 {
        self.pkid = self.pkid % 60_000 + 1;
        self.pkid
    }

    pub(super) fn subscribe(&mut self, topics: impl IntoIterator<Item = String>) -> anyhow::Result<()> {
        let filters = topics.into_iter().map(|topic| SubscribeFilter::new(topic, QoS::AtLeastOnce));
        let mut subscribe = Subscribe::new_many(filters);
        subscribe.pkid = self.number();
        self.put(&Packet::Subscribe(subscribe))
    }

    /// Leaves with the next [`Line::flush`].
    pub(super) fn publish(&mut self, topic: String, retain: bool, payload: Vec<u8>) -> anyhow::Result<()> {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.retain, publish.pkid) = (retain, self.number());
        self.put(&Packet::Publish(publish))
    }

    pub(super) fn puback(&mut self, pkid: u16) -> anyhow::Result<()> {
        self.put(&Packet::PubAck(PubAck::new(pkid)))
    }

    pub(super) fn ping(&mut self) -> anyhow::Result<()> {
        self.put(&Packet::PingReq)
    }

    pub(super) async fn flush(&mut self) -> anyhow::Result<()> {
        if !self.out.is_empty() {
            timeout(WRITE_MAX, self.stream.write_all(&self.out)).await.context("the broker takes nothing")??;
            self.out.clear();
            if self.out.capacity() > KEPT {
                self.out = BytesMut::new();
            }
        }
        Ok(())
    }

    /// Safe to drop half-way: what was read stays in the buffer.
    pub(super) async fn packet(&mut self) -> anyhow::Result<Packet> {
        loop {
            match Packet::read(&mut self.read, PACKET_MAX) {
                Ok(packet) => return Ok(packet),
                Err(CodecError::InsufficientBytes(_)) => {}
                Err(error) => return Err(error).context("malformed packet"),
            }
            if self.read.is_empty() {
                self.read = BytesMut::with_capacity(KEPT / 4);
            }
            ensure!(self.stream.read_buf(&mut self.read).await? > 0, "the broker has closed the connection");
        }
    }
}
