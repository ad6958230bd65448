//! One simulated box: connects, says where it stands, sells, sends, and comes back after whatever ended its connection.

use super::board::{Board, more};
use super::line::{KEEP_ALIVE, Line};
use super::shop::{SALE_ROWS, Shop};
use super::uplink::{Uplink, Welcomed};
use crate::batch::hex;
use crate::sign::{Expected, Signer, verify};
use anyhow::{Context as _, bail};
use bytes::Bytes;
use checkout::wire::{Ack, BoxState, Head, Hello, Signed, Topics, Welcome};
use checkout::words::{Money, Utc};
use rumqttc::{LastWill, Packet, QoS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// As `aisled`: a region that comes back does not come back at once.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));
/// A connection that held this long was well.
const WELL: Duration = Duration::from_secs(30);
const HELLO_EVERY: Duration = Duration::from_secs(3);
const STATE_EVERY: Duration = Duration::from_secs(15);

/// What is going on for all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Selling,
    /// Nobody reaches the broker; shops sell on.
    Outage,
    /// Nothing is sold any more; what is left is brought to headquarters.
    Closed,
    Over,
}

/// What all boxes of a run share.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) broker: SocketAddr,
    pub(super) tenant: String,
    pub(super) public_key: String,
    pub(super) began: Instant,
    pub(super) closes: Instant,
    /// When an outage is over.
    pub(super) again: Option<Instant>,
    /// Between two sales of one box.
    pub(super) every: Duration,
    pub(super) board: Board,
}

#[derive(Debug)]
pub(super) struct Member {
    run: Arc<Run>,
    phase: watch::Receiver<Phase>,
    pub(super) shop: Shop,
    pub(super) uplink: Uplink,
    topics: Topics,
    key: Signer,
    nonce: u64,
    said: u64,
    connection: u64,
    revision: u64,
    /// Its first sale, somewhere in the first interval.
    first_sale: Instant,
    /// When the newest rows were made, and the last of them; none: told already.
    newest: Option<(Instant, u64)>,
    /// Rows it had when it came back after the outage; 0 once headquarters has them.
    owed: Option<u64>,
    done: bool,
}

/// When a connection has something to do next.
struct Due {
    hello: Instant,
    state: Instant,
    ping: Instant,
}

impl Member {
    pub(super) fn new(run: Arc<Run>, phase: watch::Receiver<Phase>, shop: Shop, nonce: u64) -> anyhow::Result<Self> {
        let (first_sale, journal) = (run.began + run.every.mul_f64(fraction()), format!("journal-of-{}", shop.id));
        let topics = Topics::new(&run.tenant, &shop.id);
        more(&run.board.made, 1);
        Ok(Self {
            phase,
            uplink: Uplink::new(journal),
            topics,
            key: Signer::fresh()?,
            nonce,
            said: 0,
            connection: 0,
            revision: 0,
            first_sale,
            newest: None,
            owed: None,
            done: false,
            shop,
            run,
        })
    }

    /// Until the run is over; what is left of it is what headquarters is held against.
    pub(super) async fn live(mut self, starts: Duration) -> Self {
        sleep(starts).await;
        let mut wait = BACKOFF.0;
        while *self.phase.borrow() != Phase::Over {
            let began = Instant::now();
            if *self.phase.borrow() != Phase::Outage {
                self.connection += 1;
                if let Err(error) = self.connected().await {
                    more(&self.run.board.lost, 1);
                    tracing::debug!(id = self.shop.id, "{error:#}");
                }
            }
            if began.elapsed() > WELL {
                wait = BACKOFF.0;
            }
            let over = self.phase.wait_for(|phase| *phase == Phase::Over);
            let _ = tokio::time::timeout(wait.mul_f64(0.1 + 0.9 * fraction()), over).await;
            wait = (wait * 2).min(BACKOFF.1);
        }
        self
    }

    /// One connection. `Ok` where the script ends it.
    async fn connected(&mut self) -> anyhow::Result<()> {
        let will = serde_json::to_vec(&self.state(false))?;
        let will = LastWill::new(self.topics.of("state"), will, QoS::AtLeastOnce, true);
        let mut line = Line::open(self.run.broker, &self.shop.id, will).await?;
        self.uplink.connected();
        self.revision = 0;
        let heard = ["welcome", "ack", "reply"].map(|leaf| self.topics.of(leaf));
        line.subscribe(heard.into_iter().chain([self.topics.dataset("+")]))?;
        let ended = self.serve(&mut line).await;
        if self.uplink.welcome {
            self.run.board.online.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
            self.uplink.welcome = false;
        }
        ended
    }

    async fn serve(&mut self, line: &mut Line) -> anyhow::Result<()> {
        let now = Instant::now();
        let keep_alive = Duration::from_secs(u64::from(KEEP_ALIVE));
        let mut due = Due { hello: now, state: now + STATE_EVERY.mul_f64(fraction()), ping: now + keep_alive };
        let mut silent = now + keep_alive.mul_f64(2.5);
        loop {
            self.sell();
            self.due(line, &mut due)?;
            self.send(line)?;
            line.flush().await?;
            let wake = self.wake(&due);
            tokio::select! {
                packet = line.packet() => {
                    self.packet(line, packet?)?;
                    silent = Instant::now() + keep_alive.mul_f64(2.5);
                }
                changed = self.phase.changed() => {
                    changed.context("the run has ended")?;
                    if self.phase_changed() {
                        return Ok(());
                    }
                }
                () = sleep_until(wake) => {}
                () = sleep_until(silent) => bail!("the broker is silent"),
            }
        }
    }

    /// Says whether this connection ends.
    fn phase_changed(&mut self) -> bool {
        let phase = *self.phase.borrow_and_update();
        matches!(phase, Phase::Outage | Phase::Over)
    }

    fn wake(&self, due: &Due) -> Instant {
        let hello = if self.uplink.welcome { due.state } else { due.hello };
        let sale = if Instant::now() < self.run.closes { self.next_sale() } else { due.ping };
        hello.min(due.state).min(due.ping).min(sale)
    }

    fn next_sale(&self) -> Instant {
        let sales = u32::try_from((self.uplink.head - 1) / SALE_ROWS).unwrap_or(u32::MAX);
        self.first_sale + self.run.every.saturating_mul(sales)
    }

    /// Whatever the clock says was sold by now; no connection is needed for that.
    fn sell(&mut self) {
        let now = Instant::now().min(self.run.closes);
        let mut rows = 0;
        while self.next_sale() <= now {
            self.uplink.head += SALE_ROWS;
            rows += SALE_ROWS;
        }
        if rows > 0 {
            more(&self.run.board.made, rows);
            self.newest.get_or_insert((Instant::now(), self.uplink.head));
        }
        if self.owed.is_none() && self.run.again.is_some_and(|again| Instant::now() >= again) {
            self.owed = Some(self.uplink.head);
        }
        self.look();
    }

    /// Whether headquarters has what it should.
    fn look(&mut self) {
        let (acked, board) = (self.uplink.acked.0, &self.run.board);
        if self.owed.is_some_and(|owed| owed > 0 && self.uplink.welcome && acked >= owed) {
            self.owed = Some(0);
            more(&board.settled, 1);
        }
        if !self.done && acked == self.uplink.head && Instant::now() >= self.run.closes {
            self.done = true;
            more(&board.done, 1);
        }
    }

    fn due(&mut self, line: &mut Line, due: &mut Due) -> anyhow::Result<()> {
        let now = Instant::now();
        if !self.uplink.welcome && due.hello <= now {
            due.hello = now + HELLO_EVERY;
            self.hello(line, self.uplink.acked.0)?;
        }
        if due.state <= now {
            due.state = now + STATE_EVERY;
            self.uplink.tick(self.now_ms());
            if self.uplink.welcome {
                self.say(line, "state", &self.state(true))?;
            }
        }
        if due.ping <= now {
            due.ping = now + Duration::from_secs(u64::from(KEEP_ALIVE));
            line.ping()?;
        }
        Ok(())
    }

    fn send(&mut self, line: &mut Line) -> anyhow::Result<()> {
        let now = self.now_ms();
        while let Some((payload, rows)) = self.uplink.batch(&self.shop, now)? {
            line.publish(self.topics.of("journal"), false, payload)?;
            more(&self.run.board.sent, rows);
        }
        Ok(())
    }

    fn packet(&mut self, line: &mut Line, packet: Packet) -> anyhow::Result<()> {
        let Packet::Publish(publish) = packet else {
            anyhow::ensure!(packet != Packet::Disconnect, "the broker ended the connection");
            return Ok(());
        };
        if publish.qos == QoS::AtLeastOnce {
            line.puback(publish.pkid)?;
        }
        match publish.topic.rsplit('/').next() {
            Some("welcome") => self.welcome(line, &publish.payload),
            Some("ack") => self.ack(&publish.payload),
            _ => Ok(()),
        }
    }

    fn welcome(&mut self, line: &mut Line, payload: &Bytes) -> anyhow::Result<()> {
        let expected =
            Expected { tenant: &self.run.tenant, box_id: &self.shop.id, purpose: "welcome", rev_seen: self.revision };
        let token = std::str::from_utf8(payload)?;
        let signed: Signed<Welcome> = verify(token, &self.run.public_key, expected)?;
        let welcome = signed.doc;
        if welcome.journal != self.uplink.journal || welcome.connection != self.connection {
            return Ok(());
        }
        self.revision = signed.rev;
        let (before, now, acked) = (self.uplink.welcome, self.now_ms(), self.uplink.acked.0);
        match self.uplink.welcomed(&self.shop, &welcome, now) {
            Welcomed::HelloAt(acked) => return self.hello(line, acked),
            Welcomed::NewEpoch => more(&self.run.board.epochs, 1),
            Welcomed::GoOn => {}
        }
        // Committed, and the ack was lost.
        more(&self.run.board.acked, self.uplink.acked.0.saturating_sub(acked));
        if !before {
            more(&self.run.board.online, 1);
        }
        self.newest = None;
        self.sign(line)?;
        self.say(line, "state", &self.state(true))
    }

    fn ack(&mut self, payload: &Bytes) -> anyhow::Result<()> {
        let ack: Ack = serde_json::from_slice(payload)?;
        let now = self.now_ms();
        more(&self.run.board.acked, self.uplink.ack(&self.shop, &ack, now));
        if let Some((made, last)) = self.newest.filter(|(_, last)| *last <= self.uplink.acked.0) {
            self.run.board.waited(u64::try_from(made.elapsed().as_millis()).unwrap_or(u64::MAX));
            self.newest = (last < self.uplink.head).then(|| (Instant::now(), self.uplink.head));
        }
        Ok(())
    }

    fn hello(&mut self, line: &mut Line, acked: u64) -> anyhow::Result<()> {
        self.said += 1;
        let hello = Hello {
            journal: self.uplink.journal.clone(),
            epoch: self.uplink.epoch,
            boot: 1,
            nonce: self.nonce,
            said: self.said,
            connection: self.connection,
            head: self.uplink.head,
            acked,
            hash: hex(&self.uplink.hash_at(&self.shop, acked)),
            datasets: BTreeMap::new(),
            version: version(),
            key: self.key.public_key(),
        };
        self.say(line, "hello", &hello)
    }

    /// As every box does after a welcome.
    fn sign(&self, line: &mut Line) -> anyhow::Result<()> {
        let (seq, hash) = self.uplink.acked;
        if seq == 0 {
            return Ok(());
        }
        let utc = Utc(crate::store::now_ms());
        let doc = Head { journal: self.uplink.journal.clone(), epoch: self.uplink.epoch, seq, hash: hex(&hash), utc };
        let (tenant, box_id) = (self.run.tenant.clone(), Some(self.shop.id.clone()));
        let signed = self.key.sign(&Signed { tenant, box_id, purpose: "head".into(), rev: seq, doc })?;
        line.publish(self.topics.of("head"), false, signed.into_bytes())
    }

    fn say(&self, line: &mut Line, leaf: &str, what: &impl Serialize) -> anyhow::Result<()> {
        line.publish(self.topics.of(leaf), leaf == "state", serde_json::to_vec(what)?)
    }

    fn state(&self, online: bool) -> BoxState {
        BoxState {
            online,
            boot: 1,
            connection: self.connection,
            version: version(),
            head: self.uplink.head,
            acked: self.uplink.acked.0,
            price_book: "pb-1".into(),
            devices: ["printer-1", "scale-1", "scanner-1"].map(|name| (name.to_owned(), true)).into(),
            store: format!("Simulated {}", self.shop.id),
            exposure: Money::ZERO,
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.run.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}

/// Between 0 and 1.
pub(super) fn fraction() -> f64 {
    let mut random = [0_u8; 2];
    let _ = ring::rand::SecureRandom::fill(&ring::rand::SystemRandom::new(), &mut random);
    f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX)
}
