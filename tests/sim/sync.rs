//! The box's sync port in virtual time: what `aisled`'s does with its connection, over the same uplink.

use crate::shop::{BOX, TENANT};
use aisled::journal::Cursor;
use aisled::jws::Verifier;
use aisled::uplink::{Caller, Past, Uplink, Welcomed};
use anyhow::{Result, ensure};
use checkout::store::HqInput;
use checkout::wire::{Ack, Ask, BoxState, Question, Reply, Topics, Welcome};
use checkout::words::Money;
use std::collections::BTreeMap;

const HELLO_EVERY: u64 = 3_000;
const TICK_EVERY: u64 = 15_000;
const GATHER: u64 = 50;

/// On its way to the broker.
pub struct Message {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// What it tells the core.
pub enum Told {
    Hq(HqInput),
    /// With the reason where it is in an epoch that has just been opened.
    Moved {
        cursor: Cursor,
        new_epoch: Option<String>,
    },
}

pub struct Port {
    uplink: Uplink,
    caller: Caller,
    verifier: Verifier,
    topics: Topics,
    revision: u64,
    asked: u64,
    /// Connected, and since when the port waits for what.
    pub online: bool,
    hello_due: u64,
    tick_due: u64,
    gather_due: Option<u64>,
    pub out: Vec<Message>,
    pub told: Vec<Told>,
}

impl Port {
    pub fn new(uplink: Uplink, boot: u64, nonce: u64, public_key: &str) -> Result<Self> {
        Ok(Self {
            uplink,
            caller: Caller {
                boot,
                nonce,
                connection: 0,
                datasets: BTreeMap::new(),
                version: "sim".into(),
                key: String::new(),
            },
            verifier: Verifier::new(public_key, TENANT, BOX)?,
            topics: Topics::new(TENANT, BOX),
            revision: 0,
            asked: 0,
            online: false,
            hello_due: 0,
            tick_due: 0,
            gather_due: None,
            out: Vec::new(),
            told: Vec::new(),
        })
    }

    pub fn connect(&mut self, clock: u64, past: &impl Past) -> Result<()> {
        self.caller.connection += 1;
        (self.online, self.revision) = (true, 0);
        (self.hello_due, self.tick_due) = (clock + HELLO_EVERY, clock + TICK_EVERY);
        self.uplink.connected();
        self.hello(past, self.uplink.acked)
    }

    pub fn disconnected(&mut self) {
        if std::mem::take(&mut self.online) {
            self.told.push(Told::Hq(HqInput::Online(false)));
        }
    }

    /// When it wants to be woken.
    pub fn due(&self) -> Option<u64> {
        if !self.online {
            return None;
        }
        let hello = (!self.uplink.is_welcome()).then_some(self.hello_due);
        [hello, Some(self.tick_due), self.gather_due].into_iter().flatten().min()
    }

    pub fn wake(&mut self, clock: u64, past: &impl Past) -> Result<()> {
        if !self.uplink.is_welcome() && self.hello_due <= clock {
            self.hello_due = clock + HELLO_EVERY;
            self.hello(past, self.uplink.acked)?;
        }
        if self.tick_due <= clock {
            self.tick_due = clock + TICK_EVERY;
            self.uplink.tick(clock);
            if self.uplink.is_welcome() {
                self.state()?;
            }
        }
        if self.gather_due.is_some_and(|due| due <= clock) {
            self.gather_due = None;
        }
        self.send(clock, past)
    }

    /// The core has shown a head: its rows are on disk.
    pub fn head(&mut self, clock: u64, head: u64) {
        if self.uplink.head != head {
            self.uplink.head = head;
            self.gather_due.get_or_insert(clock + GATHER);
        }
    }

    pub fn ask(&mut self, wait_ms: u32, what: Question) -> Result<()> {
        if !self.online {
            return Ok(());
        }
        self.asked += 1;
        self.say("ask", serde_json::to_vec(&Ask { id: self.asked, wait_ms, what })?);
        Ok(())
    }

    /// A message of headquarters. What is not understood changes nothing.
    pub fn hear(&mut self, clock: u64, topic: &str, payload: &[u8], past: &impl Past) -> Result<()> {
        if topic == self.topics.of("welcome") {
            let _ = self.welcome(clock, payload, past);
        } else if topic == self.topics.of("ack") {
            let ack = serde_json::from_slice::<Ack>(payload);
            if ack.is_ok_and(|ack| self.uplink.ack(&ack, clock)) {
                self.moved(None);
            }
        } else if topic == self.topics.of("reply") {
            let reply = serde_json::from_slice::<Reply>(payload);
            self.told.extend(reply.map(|reply| Told::Hq(HqInput::Answer(reply.what))));
        }
        self.send(clock, past)
    }

    fn welcome(&mut self, clock: u64, payload: &[u8], past: &impl Past) -> Result<()> {
        let signed = self.verifier.open::<Welcome>(payload, "welcome")?;
        ensure!(signed.rev > self.revision, "an older revision");
        let welcomed = self.uplink.welcomed(&self.caller, past, &signed.doc, clock)?;
        self.revision = signed.rev;
        match welcomed {
            Welcomed::HelloAt(acked) => return self.hello(past, acked),
            Welcomed::GoOn { moved, new_epoch } => {
                if moved {
                    self.moved(new_epoch);
                }
            }
        }
        self.told.push(Told::Hq(HqInput::Online(true)));
        self.state()
    }

    fn state(&mut self) -> Result<()> {
        let state = BoxState {
            online: true,
            boot: self.caller.boot,
            connection: self.caller.connection,
            version: self.caller.version.clone(),
            head: self.uplink.head,
            acked: self.uplink.acked,
            price_book: "pb-1".into(),
            devices: BTreeMap::new(),
            store: "Store".into(),
            exposure: Money::ZERO,
        };
        self.say("state", serde_json::to_vec(&state)?);
        Ok(())
    }

    fn moved(&mut self, new_epoch: Option<String>) {
        let cursor = Cursor { epoch: self.uplink.epoch, acked: self.uplink.acked };
        self.told.push(Told::Moved { cursor, new_epoch });
    }

    fn hello(&mut self, past: &impl Past, acked: u64) -> Result<()> {
        let hello = self.uplink.hello(&self.caller, past, acked)?;
        self.say("hello", serde_json::to_vec(&hello)?);
        Ok(())
    }

    fn send(&mut self, clock: u64, past: &impl Past) -> Result<()> {
        if !self.online || self.gather_due.is_some() && !self.uplink.is_behind() {
            return Ok(());
        }
        while let Some(packed) = self.uplink.batch(past)? {
            self.uplink.sent(packed.last, packed.payload.len() as u64, clock);
            self.out.push(Message { topic: self.topics.of("journal"), payload: packed.payload });
        }
        Ok(())
    }

    fn say(&mut self, leaf: &str, payload: Vec<u8>) {
        self.out.push(Message { topic: self.topics.of(leaf), payload });
    }
}
