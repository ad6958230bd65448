//! The box's end of the MQTT contract (DESIGN section 4): journal rows up, headquarters' words down.
//!
//! The connection is a disposable pipe: one event loop per connection, never reused, nothing trusted that it holds.
//! What was not acknowledged by headquarters' commit is sent again.

mod control;
mod datasets;
mod renewal;

use crate::catalog::DATASETS;
use crate::config::Hq;
use crate::core_loop::{AskHq, Picture, ToCore};
use crate::dataset::Fetch;
use crate::identity::Identity;
use crate::journal::{Cursor, Reader};
use crate::jws::{Verifier, hex};
use crate::seal::BoxKey;
use crate::supervise::{Backoff, guarded};
use crate::uplink::{Caller, Uplink, Welcomed};
use anyhow::{Context, Result, bail, ensure};
use checkout::Input;
use checkout::control::Reported;
use checkout::returns::Sold;
use checkout::store::HqInput;
use checkout::upkeep::BoxInput;
use checkout::wire::{
    Ack, Answer, Ask, BoxState, Head, MESSAGE_MAX, Manifest, Question, Refill, Reply, Topics, Welcome,
};
use checkout::words::Utc;
use rumqttc::{AsyncClient, Event, EventLoop, LastWill, MqttOptions, Packet, Publish, QoS, Transport};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// A region that comes back does not come back at once.
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// Small batches wait this long for company.
const GATHER: Duration = Duration::from_millis(50);
const STATE_EVERY: Duration = Duration::from_secs(15);
/// A hello that headquarters was not there to hear is said again.
const HELLO_EVERY: Duration = Duration::from_secs(3);
const CHUNK_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether the box's certificate is to be renewed, and how often that is asked for.
const RENEW_AGAIN: Duration = Duration::from_secs(600);
const HEAD_EVERY: Duration = Duration::from_secs(24 * 3600);
/// An answer that does not come is asked for again.
const REFILL_AGAIN: Duration = Duration::from_secs(10);
/// Sales older than this are not asked for: two months.
const REFILL_MS: i64 = 62 * 24 * 3_600_000;

/// What pages show of the line to headquarters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStatus {
    pub online: bool,
    pub acked: u64,
}

/// The sync port: what outlives a connection.
#[derive(Debug)]
pub struct Sync {
    pub hq: Hq,
    pub tenant: String,
    pub box_id: String,
    pub data: PathBuf,
    pub journal: PathBuf,
    pub journal_id: String,
    pub boot: u64,
    /// Of this start.
    pub nonce: u64,
    pub core: mpsc::Sender<ToCore>,
    pub asks: mpsc::Receiver<AskHq>,
    pub picture: watch::Receiver<Arc<Picture>>,
    pub status: watch::Sender<SyncStatus>,
    pub uplink: Uplink,
    pub versions: BTreeMap<String, u64>,
    /// None: it could not be made, and nothing is signed.
    pub key: Option<BoxKey>,
    /// Datasets that are not to be had: what is retained comes again and again.
    pub refused: BTreeMap<String, Manifest>,
    /// To who keeps what headquarters wants: revision and document.
    pub desired: mpsc::Sender<(u64, String)>,
}

impl Sync {
    /// For as long as the process lives.
    pub async fn port(mut self) {
        let mut backoff = Backoff::new(BACKOFF_MAX, true);
        let mut connection = 0;
        loop {
            connection += 1;
            backoff.starting();
            let ended = guarded(self.connect(connection)).await;
            self.status.send_modify(|status| status.online = false);
            if self.core.send(ToCore::Input(Input::Hq(HqInput::Online(false)))).await.is_err() {
                return;
            }
            let wait = backoff.failed();
            let reason = ended.err().map(|error| format!("{error:#}")).unwrap_or_default();
            tracing::warn!(broker = %self.hq.broker, %reason, "headquarters is away: selling goes on; trying again in {wait:.1?}");
            self.forget_asks(wait).await;
        }
    }

    /// Questions are of the moment: what could not be asked is asked again by the core.
    async fn forget_asks(&mut self, wait: Duration) {
        let until = Instant::now() + wait;
        while let Ok(Some(_)) = tokio::time::timeout_at(until, self.asks.recv()).await {}
    }

    async fn connect(&mut self, connection: u64) -> Result<()> {
        let verifier = Verifier::new(&self.hq.public_key, &self.tenant, &self.box_id)?;
        let topics = Topics::new(&self.tenant, &self.box_id);
        let reader = Reader::open(&self.journal)?;
        let will = self.state(connection, false);
        let options = self.options(&topics, &will)?;
        let (client, events) = AsyncClient::new(options, 64);
        let keep_alive = Duration::from_secs(u64::from(self.hq.keep_alive_s));
        self.uplink.connected();
        let started = Instant::now();
        let mut link = Link {
            sync: self,
            verifier,
            topics,
            reader,
            client,
            connection,
            asked: 0,
            revision: 0,
            fetching: None,
            passed_over: false,
            chunk_due: None,
            seal: None,
            refill: None,
            signed: None,
            reported: None,
            renewal: None,
            started,
        };
        link.serve(events, keep_alive).await
    }

    fn options(&self, topics: &Topics, will: &BoxState) -> Result<MqttOptions> {
        let hq = &self.hq;
        let (tls, host, port) = address(&hq.broker)?;
        let mut options = MqttOptions::new(&self.box_id, host, port);
        options.set_keep_alive(Duration::from_secs(u64::from(hq.keep_alive_s.max(5))));
        options.set_clean_session(true);
        options.set_inflight(u16::try_from(crate::uplink::IN_FLIGHT_MAX * 2)?);
        options.set_max_packet_size(MESSAGE_MAX + 4096, MESSAGE_MAX + 4096);
        options.set_last_will(LastWill::new(topics.of("state"), serde_json::to_vec(will)?, QoS::AtLeastOnce, true));
        if tls {
            let config = Identity::of(hq, &self.data, crate::clock::utc())?.tls(ca_of(hq)?)?;
            options.set_transport(Transport::tls_with_config(config.into()));
        }
        Ok(options)
    }

    fn state(&self, connection: u64, online: bool) -> BoxState {
        let picture = self.picture.borrow();
        let devices = picture.view.lanes.iter().flat_map(|lane| &lane.devices);
        BoxState {
            online,
            boot: self.boot,
            connection,
            version: env!("CARGO_PKG_VERSION").into(),
            head: picture.head,
            acked: self.uplink.acked,
            price_book: picture.view.price_book.0.clone(),
            devices: devices.map(|device| (device.name.0.clone(), device.up)).collect(),
            store: picture.view.store.en.clone(),
            exposure: picture.view.exposure.values().map(|held| held.total).sum(),
        }
    }
}

/// One connection.
struct Link<'a> {
    sync: &'a mut Sync,
    verifier: Verifier,
    topics: Topics,
    reader: Reader,
    client: AsyncClient,
    connection: u64,
    asked: u64,
    revision: u64,
    fetching: Option<Fetch>,
    /// A dataset waits for room on the disk.
    passed_over: bool,
    chunk_due: Option<Instant>,
    /// What PINs are sealed to.
    seal: Option<String>,
    /// Sales asked for after rows were lost: the number of the ask and when it was put.
    refill: Option<(u64, Instant)>,
    signed: Option<Instant>,
    /// What was reported of the configuration on this connection.
    reported: Option<Reported>,
    /// When it was looked last whether the certificate is to be renewed.
    renewal: Option<Instant>,
    started: Instant,
}

impl Link<'_> {
    async fn serve(&mut self, mut events: EventLoop, keep_alive: Duration) -> Result<()> {
        let silence = keep_alive.mul_f64(2.5);
        let mut heard = Instant::now();
        let mut state = tokio::time::interval(STATE_EVERY);
        let mut hello = tokio::time::interval_at(Instant::now() + HELLO_EVERY, HELLO_EVERY);
        let mut connected = false;
        let mut head = self.sync.picture.clone();
        let mut gather: Option<Instant> = None;
        loop {
            // `poll` must run for anything to move, so nothing in this loop waits for the client's queue to empty.
            tokio::select! {
                event = tokio::time::timeout_at(heard + silence, events.poll()) => {
                    let event = event.context("the broker has gone silent")??;
                    if let Event::Incoming(packet) = event {
                        heard = Instant::now();
                        connected |= matches!(packet, Packet::ConnAck(_));
                        self.packet(packet)?;
                    }
                }
                changed = head.changed() => {
                    changed.context("the core has ended")?;
                    self.sync.uplink.head = head.borrow_and_update().head;
                    self.ask_for_lost_sales(None)?;
                    self.report()?;
                    gather.get_or_insert(Instant::now() + GATHER);
                }
                () = until(gather) => gather = None,
                Some(ask) = self.sync.asks.recv() => self.ask(ask.wait_ms, ask.what)?,
                _ = hello.tick(), if connected && !self.sync.uplink.is_welcome() => self.hello(self.sync.uplink.acked)?,
                _ = state.tick() => {
                    self.sync.uplink.tick(self.now_ms());
                    if self.sync.uplink.is_welcome() {
                        self.publish_state()?;
                        self.sign_head()?;
                        self.renew()?;
                        self.ask_for_lost_sales(None)?;
                        self.manifests_again()?;
                    }
                }
                () = until(self.chunk_due) => self.next_chunk()?,
            }
            if gather.is_none() || self.sync.uplink.is_behind() {
                self.send_batches()?;
            }
        }
    }

    fn packet(&mut self, packet: Packet) -> Result<()> {
        match packet {
            Packet::ConnAck(_) => self.listen(),
            Packet::Publish(publish) => self.message(&publish),
            Packet::Disconnect => bail!("the broker ended the connection"),
            Packet::Connect(_)
            | Packet::PubAck(_)
            | Packet::PubRec(_)
            | Packet::PubRel(_)
            | Packet::PubComp(_)
            | Packet::Subscribe(_)
            | Packet::SubAck(_)
            | Packet::Unsubscribe(_)
            | Packet::UnsubAck(_)
            | Packet::PingReq
            | Packet::PingResp => Ok(()),
        }
    }

    fn listen(&mut self) -> Result<()> {
        for leaf in ["welcome", "ack", "reply", "cmd", "desired", "certificate"] {
            self.client.try_subscribe(self.topics.of(leaf), QoS::AtLeastOnce)?;
        }
        self.hear_manifests()?;
        self.hello(self.sync.uplink.acked)
    }

    /// Retained manifests come with a subscription, each time. By name: not every broker (RabbitMQ) brings them to a filter with
    /// a wildcard.
    fn hear_manifests(&self) -> Result<()> {
        for dataset in DATASETS {
            self.client.try_subscribe(self.topics.dataset(dataset), QoS::AtLeastOnce)?;
        }
        Ok(())
    }

    /// `acked`: the row whose hash shows which past is ours.
    fn hello(&mut self, acked: u64) -> Result<()> {
        let caller = self.caller();
        let hello = self.sync.uplink.hello(&caller, &self.reader, acked)?;
        self.publish(self.topics.of("hello"), false, &hello)
    }

    /// Every byte from outside may be hostile: what is not understood is counted out loud once and changes nothing.
    fn message(&mut self, publish: &Publish) -> Result<()> {
        ensure!(publish.payload.len() <= MESSAGE_MAX, "a message of {} bytes", publish.payload.len());
        let topic = publish.topic.as_str();
        let handled = if topic == self.topics.of("welcome") {
            self.welcome(&publish.payload)
        } else if topic == self.topics.of("ack") {
            self.ack(&publish.payload)
        } else if topic == self.topics.of("reply") {
            self.reply(&publish.payload)
        } else if topic == self.topics.of("cmd") {
            self.command(&publish.payload)
        } else if topic == self.topics.of("desired") {
            self.desired(&publish.payload)
        } else if topic == self.topics.of("certificate") {
            self.certificate(&publish.payload)
        } else if let Some(hash) = topic.strip_prefix(&self.topics.chunk("")) {
            self.chunk(hash, &publish.payload)
        } else {
            self.manifest(&publish.payload)
        };
        match handled {
            Err(error) if error.is::<Ended>() => Err(error),
            Err(error) => {
                tracing::debug!(topic, error = format!("{error:#}"), "a message from the broker is refused");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn welcome(&mut self, payload: &[u8]) -> Result<()> {
        let signed = self.verifier.open::<Welcome>(payload, "welcome")?;
        ensure!(signed.rev > self.revision, "an older revision");
        let (caller, now) = (self.caller(), self.now_ms());
        let welcomed = self.sync.uplink.welcomed(&caller, &self.reader, &signed.doc, now)?;
        self.revision = signed.rev;
        self.seal.clone_from(&signed.doc.seal);
        match welcomed {
            Welcomed::HelloAt(acked) => return self.hello(acked),
            Welcomed::GoOn { moved, new_epoch } => {
                if let Some(reason) = &new_epoch {
                    let epoch = self.sync.uplink.epoch;
                    tracing::warn!(epoch, %reason, "headquarters knows another past of this box: everything is sent again");
                }
                if moved {
                    self.moved(new_epoch)?;
                }
            }
        }
        tracing::info!(broker = %self.sync.hq.broker, acked = self.sync.uplink.acked, head = self.sync.uplink.head, "headquarters is there");
        self.sync.status.send_modify(|status| status.online = true);
        self.tell(ToCore::Input(Input::Hq(HqInput::Online(true))))?;
        if let Some(utc) = signed.doc.utc {
            self.tell(ToCore::Time(utc))?;
        }
        if !signed.doc.pending.is_empty() {
            tracing::info!(commands = signed.doc.pending.len(), "headquarters waits for the end of commands");
        }
        self.signed = None;
        self.sign_head()?;
        self.ask_for_lost_sales(None)?;
        self.report()?;
        self.publish_state()
    }

    fn ack(&mut self, payload: &[u8]) -> Result<()> {
        let ack: Ack = serde_json::from_slice(payload)?;
        if self.sync.uplink.ack(&ack, self.now_ms()) {
            self.moved(None)?;
        }
        Ok(())
    }

    fn moved(&mut self, new_epoch: Option<String>) -> Result<()> {
        let cursor = Cursor { epoch: self.sync.uplink.epoch, acked: self.sync.uplink.acked };
        self.sync.status.send_modify(|status| status.acked = cursor.acked);
        self.tell(ToCore::Acked { cursor, new_epoch })
    }

    fn reply(&mut self, payload: &[u8]) -> Result<()> {
        let reply: Reply = serde_json::from_slice(payload)?;
        if let Answer::Refill { document } = &reply.what {
            return self.lost_sales(document);
        }
        self.tell(ToCore::Input(Input::Hq(HqInput::Answer(reply.what))))
    }

    fn send_batches(&mut self) -> Result<()> {
        while let Some(packed) = tokio::task::block_in_place(|| self.sync.uplink.batch(&self.reader))? {
            let bytes = packed.payload.len() as u64;
            if self.client.try_publish(self.topics.of("journal"), QoS::AtLeastOnce, false, packed.payload).is_err() {
                // The pipe is full; the next event makes room.
                return Ok(());
            }
            self.sync.uplink.sent(packed.last, bytes, self.now_ms());
        }
        Ok(())
    }

    fn ask(&mut self, wait_ms: u32, what: Question) -> Result<()> {
        let what = match crate::pin::sealed(what, self.seal.as_deref(), &self.sync.box_id) {
            Ok(what) => what,
            Err(error) => {
                // The core hears no answer and asks what became of it: nothing did.
                tracing::warn!("a payment is not asked for: {error:#}");
                return Ok(());
            }
        };
        self.asked += 1;
        let ask = Ask { id: self.asked, wait_ms, what };
        self.publish(self.topics.of("ask"), false, &ask)
    }

    fn publish_state(&self) -> Result<()> {
        self.publish(self.topics.of("state"), true, &self.sync.state(self.connection, true))
    }

    fn publish(&self, topic: String, retain: bool, what: &impl Serialize) -> Result<()> {
        let payload = serde_json::to_vec(what)?;
        self.client.try_publish(topic, QoS::AtLeastOnce, retain, payload).context("the line to the broker is full")
    }

    /// The core takes what sync brings or the connection ends: nothing is dropped in between.
    fn tell(&self, input: ToCore) -> Result<()> {
        let sent = tokio::task::block_in_place(|| self.sync.core.blocking_send(input).is_ok());
        if sent { Ok(()) } else { Err(anyhow::Error::new(Ended)) }
    }

    fn caller(&self) -> Caller {
        Caller {
            boot: self.sync.boot,
            nonce: self.sync.nonce,
            connection: self.connection,
            datasets: self.sync.versions.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            key: self.sync.key.as_ref().map(BoxKey::public).unwrap_or_default(),
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a box that lost rows asks for, and what it signs so that nobody can take rows away unseen.
impl Link<'_> {
    /// Once a day, and after every welcome.
    fn sign_head(&mut self) -> Result<()> {
        let Some(key) = self.sync.key.as_ref() else { return Ok(()) };
        if self.signed.is_some_and(|at| at.elapsed() < HEAD_EVERY) || self.sync.uplink.head == 0 {
            return Ok(());
        }
        let seq = self.sync.uplink.head;
        let head = Head {
            journal: self.sync.journal_id.clone(),
            epoch: self.sync.uplink.epoch,
            seq,
            hash: hex(&self.reader.hash_at(seq)?),
            utc: crate::clock::utc(),
        };
        let signed = key.head(&self.sync.tenant, &self.sync.box_id, head)?;
        let topic = self.topics.of("head");
        self.client.try_publish(topic, QoS::AtLeastOnce, false, signed).context("the line to the broker is full")?;
        self.signed = Some(Instant::now());
        Ok(())
    }

    /// Asks for the sales behind `last`, or from where rows may be missing.
    fn ask_for_lost_sales(&mut self, last: Option<&Sold>) -> Result<()> {
        let since = self.sync.picture.borrow().view.upkeep.unsettled;
        let waits = self.refill.is_some_and(|(_, at)| at.elapsed() < REFILL_AGAIN) && last.is_none();
        let (Some(since), true, false) = (since, self.sync.uplink.is_welcome(), waits) else { return Ok(()) };
        let oldest = Utc(crate::clock::utc().0.saturating_sub(REFILL_MS));
        let (since, after) = match last {
            Some(sold) => (sold.at, sold.sale.transaction.0.clone()),
            None => (since.max(oldest), String::new()),
        };
        self.ask(10_000, Question::Refill { since, after })?;
        self.refill = Some((self.asked, Instant::now()));
        Ok(())
    }

    fn lost_sales(&mut self, document: &str) -> Result<()> {
        let signed = self.verifier.open::<Refill>(document.as_bytes(), "refill")?;
        ensure!(self.refill.is_some_and(|(asked, _)| asked == signed.rev), "an answer to another question");
        let Refill { sales, more, receipts } = signed.doc;
        let last = sales.last().cloned();
        self.tell(ToCore::Input(Input::Box(BoxInput::Refill(sales))))?;
        if more && last.is_some() {
            return self.ask_for_lost_sales(last.as_ref());
        }
        tracing::info!("headquarters has told what it has of the rows that were lost");
        self.refill = None;
        self.tell(ToCore::Input(Input::Box(BoxInput::Settled(receipts))))
    }
}

/// The core is gone: the process ends.
#[derive(Debug, thiserror::Error)]
#[error("the core has ended")]
struct Ended;

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// TLS?, host, port.
pub(crate) fn address(broker: &str) -> Result<(bool, String, u16)> {
    let wanted = || format!("broker {broker:?}: write mqtt://host:1883 or mqtts://host:8883");
    let (tls, rest) = match broker.split_once("://") {
        Some(("mqtt", rest)) => (false, rest),
        Some(("mqtts", rest)) => (true, rest),
        Some(_) | None => bail!(wanted()),
    };
    let (host, port) = rest.rsplit_once(':').with_context(wanted)?;
    Ok((tls, host.into(), port.parse().ok().with_context(wanted)?))
}

/// # Errors
/// It is not named.
pub(crate) fn ca_of(hq: &Hq) -> Result<&Path> {
    hq.ca.as_deref().context("[hq] ca is missing: mqtts needs the certificate of the authority")
}

/// Checks what can be checked of `[hq]` without connecting.
///
/// # Errors
/// Says which setting is wrong.
pub fn check(hq: &Hq, data: &Path) -> Result<()> {
    Verifier::new(&hq.public_key, "", "").context("[hq]")?;
    for (name, key) in &hq.approvers {
        crate::jws::public_key(key).with_context(|| format!("[hq] approvers: {name} has no key of ours"))?;
    }
    if address(&hq.broker)?.0 {
        Identity::of(hq, data, crate::clock::utc())?.tls(ca_of(hq)?)?;
    }
    Ok(())
}
