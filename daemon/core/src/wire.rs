//! What travels between a box and headquarters (DESIGN section 4, docs/mqtt.asyncapi.yaml). Types only; both ends use these.

use crate::face::Factor;
use crate::returns::Sold;
use crate::scan::WalletProvider;
use crate::words::{LaneId, MemberId, Money, Private, ReceiptNo, TenderId, Utc};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// No MQTT message is larger.
pub const MESSAGE_MAX: usize = 128 * 1024;
/// No dataset chunk is larger.
pub const CHUNK_MAX: usize = 96 * 1024;
/// A batch unpacks to no more than this: a small packet must not become a large allocation.
pub const BATCH_RAW_MAX: usize = 1024 * 1024;
pub const SHARDS: u32 = 64;

/// Where one box speaks and listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    tenant: String,
    prefix: String,
}

impl Topics {
    #[must_use]
    pub fn new(tenant: &str, box_id: &str) -> Self {
        let shard = shard(box_id);
        Self { tenant: tenant.into(), prefix: alloc::format!("aisle/v1/{tenant}/{shard:02}/{box_id}/") }
    }

    /// `leaf` is one of `hello welcome journal ack head state telemetry desired reported cmd ask reply`.
    #[must_use]
    pub fn of(&self, leaf: &str) -> String {
        alloc::format!("{}{leaf}", self.prefix)
    }

    /// Retained signed manifest of a dataset, the same for every box of the tenant.
    #[must_use]
    pub fn dataset(&self, name: &str) -> String {
        alloc::format!("aisle/v1/{}/data/{name}", self.tenant)
    }

    /// Where a new box asks who it is: `request` up, `certificate` down.
    #[must_use]
    pub fn claim(tenant: &str, id: &str, leaf: &str) -> String {
        alloc::format!("aisle/v1/{tenant}/claim/{id}/{leaf}")
    }

    #[must_use]
    pub fn chunk(&self, hash: &str) -> String {
        alloc::format!("aisle/v1/{}/chunk/{hash}", self.tenant)
    }
}

/// FNV-1a of the box id, mod 64, so that ingest workers divide the fleet by plain subscriptions.
#[must_use]
pub fn shard(box_id: &str) -> u32 {
    box_id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)) % SHARDS
}

/// Splits `aisle/v1/{tenant}/{shard}/{box}/{leaf}`; `None` for anything else, and where the shard is not the box's.
#[must_use]
pub fn parse_topic(topic: &str) -> Option<(&str, &str, &str)> {
    let mut parts = topic.split('/');
    let (Some("aisle"), Some("v1"), Some(tenant), Some(shard_text), Some(box_id), Some(leaf), None) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let right = shard_text.len() == 2 && shard_text.parse() == Ok(shard(box_id));
    right.then_some((tenant, box_id, leaf))
}

/// What SHA-256 is taken of for row `seq`: the previous hash, the number, the body as stored. Row 1 follows 32 zero bytes.
#[must_use]
pub fn chain_preimage(prev: &[u8; 32], seq: u64, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40 + body.len());
    out.extend_from_slice(prev);
    out.extend_from_slice(&seq.to_le_bytes());
    out.extend_from_slice(body);
    out
}

/// Box → HQ on every connect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Random, made with the journal file.
    pub journal: String,
    pub epoch: u64,
    /// Starts of the daemon on this journal.
    pub boot: u64,
    /// Random, of this start, as its `Booted` names it; 0 from boxes that name none. Two starts from one disk have two.
    #[serde(default)]
    pub nonce: u64,
    /// Counts the hellos of this start, so that one which a broker brings twice is told from one that is said again.
    #[serde(default)]
    pub said: u64,
    /// Connections of this boot; an older connection's will never overrides a newer birth.
    pub connection: u64,
    pub head: u64,
    pub acked: u64,
    /// Chain hash at `acked`, hexadecimal; zeros for 0.
    pub hash: String,
    pub datasets: BTreeMap<String, u64>,
    pub version: String,
    /// What the box signs its heads with: Ed25519, base64url; empty from boxes that sign none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// HQ → box, in answer to hello; travels as a signed document with purpose `welcome`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub journal: String,
    pub connection: u64,
    pub verdict: Verdict,
    /// Bytes of journal the box may have unacknowledged.
    pub window: u64,
    /// What time it is at headquarters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub utc: Option<Utc>,
    /// What PINs are sealed to: an X25519 public key, base64url.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<String>,
    /// Ids of the commands headquarters has not heard the end of, oldest first; those the box may have missed follow on `cmd`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<String>,
    /// Revision of the desired configuration, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// HQ has committed everything up to `acked`, whose chain hash (hex) is `hash`: go on from there if it is yours too,
    /// else say hello with your own hash at `acked`.
    Continue { acked: u64, hash: String },
    /// HQ knows another past of this box (restored or cloned disk): send everything again under `epoch`.
    NewEpoch { epoch: u64, reason: String },
}

/// First line (JSON, then `\n`) of a message on `journal`; the rest is zstd of the bodies, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchHeader {
    pub journal: String,
    pub epoch: u64,
    pub first: u64,
    pub count: u32,
    /// Chain hash before `first`, hexadecimal.
    pub prev: String,
    /// Bytes of the bodies before compression, newlines included.
    pub raw: u32,
    /// Chain hash after the last row, hexadecimal, so that rows changed on their way are not taken; none from older boxes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

/// HQ → box: everything up to `acked` is committed at HQ. The only thing that moves the cursor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub journal: String,
    pub epoch: u64,
    pub acked: u64,
    pub window: u64,
    /// A gap was seen: send again from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<u64>,
}

/// Retained on `state`; with `online: false` it is the last will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxState {
    pub online: bool,
    pub boot: u64,
    pub connection: u64,
    pub version: String,
    pub head: u64,
    pub acked: u64,
    pub price_book: String,
    /// Device name → up.
    pub devices: BTreeMap<String, bool>,
    pub store: String,
    /// Card money terminals approved by themselves and have not handed in.
    #[serde(default, skip_serializing_if = "Money::is_zero")]
    pub exposure: Money,
}

/// Box → HQ: a question with a deadline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    pub id: u64,
    /// Milliseconds the box will wait.
    pub wait_ms: u32,
    pub what: Question,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Charge this wallet code; the tender id makes it happen at most once.
    AuthoriseWallet {
        tender: TenderId,
        amount: Money,
        currency: String,
        provider: WalletProvider,
        code: Private<String>,
    },
    /// Give `amount` of the charge `of` back; the tender id of the refund makes it happen at most once, and never more goes
    /// back than was charged.
    RefundWallet { tender: TenderId, of: TenderId, amount: Money, currency: String },
    /// What became of that tender, a charge or a refund? Moves no money.
    QueryWallet { tender: TenderId },
    /// Give that charge up, whatever became of it: what was taken and is not told as approved goes back. Only after a question.
    ReverseWallet { tender: TenderId },
    /// What is left on that gift card? `lane` comes back with the answer.
    GiftBalance { lane: LaneId, code: Private<String> },
    /// Charge this member's wallet within its mandate; the tender id makes it happen at most once.
    ChargeMember { tender: TenderId, member: MemberId, amount: Money, currency: String, said: Said },
    /// A single-use coupon is about to be taken: is it free? Headquarters then keeps it for this box for a while.
    ClaimCoupon { campaign: String, serial: String },
    /// Publish this chunk (SHA-256, hexadecimal).
    Chunk { hash: String },
    /// Which sales of this box does headquarters have after that one? Asked by a box that lost rows.
    Refill { since: Utc, after: String },
}

/// Some of a box's sales as headquarters has them, by time and transaction id; travels as a signed document with purpose
/// `refill`, whose revision is the number of the ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refill {
    pub sales: Vec<Sold>,
    /// There are later ones.
    pub more: bool,
    /// The highest receipt number of each lane.
    pub receipts: BTreeMap<LaneId, ReceiptNo>,
}

/// What a box says its journal is, signed with its own key; travels on `head` as a signed document with purpose `head`, whose
/// revision is `seq`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub journal: String,
    pub epoch: u64,
    pub seq: u64,
    /// Chain hash after `seq`, hexadecimal.
    pub hash: String,
    pub utc: Utc,
}

/// The second factor behind a face, as it goes to headquarters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// The member pressed on name and amount.
    Tap,
    /// As it was typed: what seals it stands between here and the wire, and the wire has no word for it.
    #[serde(skip)]
    Pin(Private<String>),
    SealedPin(SealedPin),
    /// Headquarters asks the member's phone.
    Phone,
}

/// A PIN that only headquarters can read, for one payment: X25519 of a key made for it and headquarters' of the welcome,
/// HKDF-SHA256 (salt: both public keys), ChaCha20-Poly1305 over eight bytes, with [`pin_context`] as its associated data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedPin {
    /// The public key that was made for it, base64url.
    pub key: String,
    /// Base64url.
    pub text: String,
}

/// What the key of a sealed PIN is for.
pub const PIN_KEY: &[u8] = b"aisle payment PIN key 1";
/// Every PIN is as long as the longest, filled up with zeros, so that its length says nothing.
pub const PIN_MAX: usize = 8;

/// The payment a PIN is sealed for: for another one it cannot be opened.
#[must_use]
pub fn pin_context(box_id: &str, tender: &TenderId, member: &MemberId, amount: Money, currency: &str) -> String {
    alloc::format!("aisle-pin-1\n{box_id}\n{tender}\n{member}\n{}\n{currency}\n", amount.0)
}

impl Said {
    #[must_use]
    pub const fn factor(&self) -> Factor {
        match self {
            Self::Tap => Factor::Tap,
            Self::Pin(_) | Self::SealedPin(_) => Factor::Pin,
            Self::Phone => Factor::Phone,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub id: u64,
    pub what: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Also told unasked, as soon as headquarters knows more than it said.
    Wallet { tender: TenderId, outcome: WalletOutcome },
    /// `None`: no such card.
    GiftBalance {
        lane: LaneId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        balance: Option<Money>,
    },
    /// Told in answer to a claim, and unasked to a box whose sale turns out to be the second with this coupon.
    Coupon {
        campaign: String,
        serial: String,
        /// The box that redeemed it or has it in a basket; none: it is free.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        used: Option<String>,
    },
    /// A [`Refill`], signed.
    Refill { document: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalletOutcome {
    /// The provider took `amount`; `reference` is its own number.
    Approved {
        amount: Money,
        reference: String,
    },
    Declined {
        reason: String,
    },
    /// The provider has not decided: the shopper is typing a password, or the network is slow. Ask again.
    Pending,
    /// Given up as asked: no money stays taken.
    Reversed,
    /// Never heard of this tender: no money moved, and none will.
    NotFound,
}

/// Retained on `data/{dataset}`, signed, purpose `manifest`, revision = version; at most 2 KiB.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `catalogue`, `coupons`, `members`, `promotions` or `recalls`.
    pub dataset: String,
    pub version: u64,
    /// What people call it, such as a price book version.
    pub name: String,
    /// SHA-256 of each chunk in order, hexadecimal. Chunks joined are zstd of newline-delimited JSON rows.
    pub chunks: Vec<String>,
    pub raw: u64,
    pub rows: u64,
    /// [`crate::control::Approval`]s of this content, signed, where it is outside the bounds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
}

impl Manifest {
    /// What an approval of this content is the SHA-256 of: the same rows under another version or name are the same content.
    #[must_use]
    pub fn preimage(&self) -> String {
        let Self { dataset, raw, rows, chunks, .. } = self;
        alloc::format!("aisle-content-1\n{dataset}\n{raw}\n{rows}\n{}\n", chunks.join("\n"))
    }
}

/// Box → HQ on `renew`, signed with the box's own key, purpose `renew`: its next certificate, please.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// PKCS #10, PEM.
    pub request: String,
}

/// A new box → HQ on `claim/{id}/request`, until it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// PKCS #10, PEM.
    pub request: String,
}

/// HQ → box on `certificate` and `claim/{id}/certificate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// PEM.
    pub certificate: String,
}

/// What a new box shows and staff type at headquarters: fifty bits of the SHA-256 of its request, in letters and digits that
/// nobody takes for one another.
#[must_use]
pub fn pairing_code(hash: &[u8; 32]) -> String {
    const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let bits = hash.iter().take(8).fold(0_u64, |bits, byte| (bits << 8) | u64::from(*byte));
    let mut code = String::new();
    for at in 0..10_u32 {
        if at == 5 {
            code.push('-');
        }
        let digit = usize::try_from((bits >> (59 - 5 * at)) & 31).unwrap_or(0);
        code.push(LETTERS.get(digit).map_or('0', |letter| char::from(*letter)));
    }
    code
}

/// Payload of every signed document (compact JWS, EdDSA, RFC 7515 and 8037): what it is for and whom it binds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed<T> {
    pub tenant: String,
    /// `None` binds every box of the tenant.
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub box_id: Option<String>,
    /// `welcome`, `manifest`, `refill`, `desired`, `cmd`; `head` of a box, `approval` of an operator.
    pub purpose: String,
    /// Older revisions of the same purpose are refused.
    pub rev: u64,
    pub doc: T,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_names_tenant_box_and_leaf_and_a_wrong_shard_is_refused() {
        let topic = Topics::new("demo", "box-1").of("journal");
        assert_eq!(parse_topic(&topic), Some(("demo", "box-1", "journal")));
        let wrong = alloc::format!("aisle/v1/demo/{:02}/box-1/journal", (shard("box-1") + 1) % SHARDS);
        assert_eq!(parse_topic(&wrong), None);
        assert_eq!(parse_topic("aisle/v1/demo/data/catalogue"), None);
    }
}
