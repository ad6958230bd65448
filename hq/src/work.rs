//! What boxes ask of HQ and what HQ tells them, freed from MQTT.

use crate::batch::Batch;
use crate::ca::CLAIM;
use crate::lease::Shards;
use crate::pay::{About, Asked, Told};
use bytes::Bytes;
use checkout::control::Reported;
use checkout::wire::{Ask, BoxState, Claim, Hello, parse_topic};
use checkout::words::{LaneId, Money};
use serde::de::DeserializeOwned;
use std::time::Instant;

const BOX_ID_MAX: usize = 64;
/// Rows, starts, connections and epochs of one box stay below this for ever.
pub(crate) const COUNT_MAX: u64 = 1 << 48;

#[derive(Debug)]
pub enum Work {
    /// A second has passed: an import may have brought a new version.
    Tick,
    /// HQ has subscribed to these shards: manifests and acks that may have been lost are due again.
    LinkUp {
        shards: Shards,
    },
    Hello {
        box_id: String,
        hello: Hello,
    },
    Batch {
        box_id: String,
        batch: Box<Batch>,
    },
    /// A message on `journal` that is not a batch.
    Refused {
        box_id: String,
        reason: crate::batch::Refused,
    },
    State {
        box_id: String,
        state: BoxState,
    },
    /// What a box made of the configuration it was sent.
    Reported {
        box_id: String,
        reported: Reported,
    },
    /// A new box asks who it is.
    Claim {
        id: String,
        claim: Claim,
    },
    /// A box asks for its next certificate, signed.
    Renew {
        box_id: String,
        document: String,
    },
    /// A signed head of a journal.
    Head {
        box_id: String,
        document: String,
    },
    Ask {
        box_id: String,
        ask: Ask,
        heard: Instant,
    },
    /// A provider's word on a payment.
    Paid {
        about: About,
        asked: Asked,
        told: Told,
    },
    /// A provider told it unasked.
    Noticed {
        order: String,
        told: Told,
    },
    /// What is left on a gift card.
    Balance {
        about: About,
        lane: LaneId,
        balance: Option<Money>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    pub topic: String,
    pub payload: Bytes,
    pub retain: bool,
}

/// Turns one message into work; the reason says why it is none and repeats nothing of it.
///
/// # Errors
/// When topic or payload is not of the contract.
pub fn parse(tenant: &str, topic: &str, payload: &[u8]) -> Result<Work, &'static str> {
    if let Some(id) = claimant(tenant, topic) {
        return json(payload).map(|claim| Work::Claim { id: id.to_owned(), claim });
    }
    let (of_tenant, box_id, leaf) = parse_topic(topic).ok_or("not a topic of the contract, or the wrong shard")?;
    if of_tenant != tenant {
        return Err("another tenant");
    }
    let printable = box_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if box_id.starts_with(CLAIM) {
        return Err("a claim is no box");
    }
    if box_id.is_empty() || box_id.len() > BOX_ID_MAX || !printable {
        return Err("a box id is up to 64 letters, digits, '-', '_' and '.'");
    }
    let box_id = box_id.to_owned();
    match leaf {
        "hello" => json(payload).and_then(possible).map(|hello| Work::Hello { box_id, hello }),
        "state" => json(payload).map(|state| Work::State { box_id, state }),
        "reported" => json(payload).map(|reported| Work::Reported { box_id, reported }),
        "ask" => json(payload).map(|ask| Work::Ask { box_id, ask, heard: Instant::now() }),
        "head" => text(payload).map(|document| Work::Head { box_id, document }),
        "renew" => text(payload).map(|document| Work::Renew { box_id, document }),
        "journal" => Ok(match Batch::open(payload) {
            Ok(batch) => Work::Batch { box_id, batch: Box::new(batch) },
            Err(reason) => Work::Refused { box_id, reason },
        }),
        _ => Err("nothing HQ listens to"),
    }
}

/// Numbers no box can have counted to are a forgery: taken at its word, it would leave no epoch to go on in.
fn possible(hello: Hello) -> Result<Hello, &'static str> {
    let numbers = [hello.epoch, hello.boot, hello.connection, hello.said, hello.head, hello.acked];
    let counted = numbers.iter().all(|number| *number < COUNT_MAX);
    if counted { Ok(hello) } else { Err("numbers no box has counted to") }
}

/// `aisle/v1/{tenant}/claim/{id}/request`, with an id a box makes.
fn claimant<'a>(tenant: &str, topic: &'a str) -> Option<&'a str> {
    let rest = topic.strip_prefix("aisle/v1/")?.strip_prefix(tenant)?.strip_prefix("/claim/")?;
    let id = rest.strip_suffix("/request")?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

fn text(payload: &[u8]) -> Result<String, &'static str> {
    std::str::from_utf8(payload).map(str::to_owned).map_err(|_| "not a compact JWS")
}

fn json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, &'static str> {
    serde_json::from_slice(payload).map_err(|_| "not the JSON of the contract")
}
