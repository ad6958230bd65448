//! A first conversation of a box and headquarters, by the code of both, with keys from RFC 8032 and a clock that stands still: what
//! docs/MQTT.md shows.

use aisle_hq::dataset::{Kind, OnBad, import};
use aisle_hq::sign::Signer;
use aisle_hq::store::{Moment, Store};
use aisle_hq::{Work, Writer, parse};
use aisled::journal::{Hash, Row};
use aisled::jws::{Verifier, hex};
use aisled::uplink::{Caller, Past, Uplink};
use anyhow::{Context as _, Result, ensure};
use checkout::wire::{Ask, Head, Question, Signed, Topics, Welcome, chain_preimage};
use checkout::words::Utc;
use e2e::document::base64url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

const UTC: i64 = 1_790_000_000_000;
const TENANT: &str = "demo";
const BOX: &str = "box-1";
/// RFC 8032, 7.1: secret and public key of TEST 1, headquarters' here, and of TEST 2, the box's.
const HQ_KEY: [&str; 2] = [
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
];
const BOX_KEY: [&str; 2] = [
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
];
const ROWS: [&str; 2] = [
    r#"{"utc":1790000000000,"event":{"store":{"booted":{"boot":1,"version":"0.1.0"}}}}"#,
    r#"{"utc":1790000060000,"lane":1,"event":{"basket":{"completed":{"transaction":"t-31","receipt":12,"currency":"CNY","total":350,"discount":0,"taxes":[{"rate_bp":1300,"net":310,"tax":40}],"tenders":[{"tender":"t-31.1","kind":"cash","amount":350}],"change":0,"member":null,"lines":[{"no":1,"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"quantity":1,"weight_g":null,"unit_price":350,"discount":0,"total":350,"price_book":"pb-1"}]}}}}"#,
];
const GOODS: &str = r#"{"key":"6901234567892","name":{"zh":"可乐","en":"Cola"},"price":350,"tax_bp":1300}"#;

pub struct Message {
    who: &'static str,
    pub topic: String,
    pub payload: Vec<u8>,
    retained: bool,
}

pub struct Example {
    pub messages: Vec<Message>,
    signer: Arc<Signer>,
    box_key: Signer,
}

struct Rows(Vec<Row>);

impl Past for Rows {
    fn rows(&self, first: u64, _bytes: usize, _count: usize) -> Result<Vec<Row>> {
        Ok(self.0.iter().filter(|row| row.seq >= first).cloned().collect())
    }

    fn hash_at(&self, seq: u64) -> Result<Hash> {
        let rows = self.0.iter().take_while(|row| row.seq <= seq);
        Ok(rows.fold([0; 32], |prev, row| Sha256::digest(chain_preimage(&prev, row.seq, row.body.as_bytes())).into()))
    }
}

impl Example {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let store = Store::open(folder.path())?;
        let signer = Arc::new(key(&store.key_path(), HQ_KEY)?);
        let box_key = key(&folder.path().join("box.key"), BOX_KEY)?;
        if let Err(bad) = import(&store, Kind::Catalogue, GOODS, Some("pb-1"), OnBad::Refuse)? {
            anyhow::bail!("{bad:?}");
        }
        let (jobs, _calls) = mpsc::channel(1);
        let mut hq = Writer::new(&store, Arc::clone(&signer), TENANT, jobs)?;
        let mut example = Self { messages: Vec::new(), signer, box_key };
        example.converse(&mut hq)?;
        Ok(example)
    }

    fn converse(&mut self, hq: &mut Writer) -> Result<()> {
        let topics = Topics::new(TENANT, BOX);
        let past = Rows((1..).zip(ROWS).map(|(seq, body)| Row { seq, body: body.into() }).collect());
        self.hq(hq, Work::LinkUp { shards: aisle_hq::lease::all() })?;
        let mut uplink = Uplink::new("9f2c51aa".into(), 1, 0, 2);
        let caller = Caller {
            boot: 1,
            nonce: 907_182_312,
            connection: 1,
            datasets: BTreeMap::new(),
            version: "0.1.0".into(),
            key: self.box_key.public_key(),
        };
        let hello = serde_json::to_vec(&uplink.hello(&caller, &past, 0)?)?;
        self.say(hq, topics.of("hello"), hello)?;
        let welcome = Verifier::new(&self.signer.public_key(), TENANT, BOX)?
            .open::<Welcome>(self.on(&topics.of("welcome"))?, "welcome")?;
        uplink.welcomed(&caller, &past, &welcome.doc, 0)?;
        let batch = uplink.batch(&past)?.context("a batch")?;
        self.say(hq, topics.of("journal"), batch.payload)?;
        let head = Head { journal: "9f2c51aa".into(), epoch: 1, seq: 2, hash: hex(&past.hash_at(2)?), utc: Utc(UTC) };
        let signed =
            Signed { tenant: TENANT.into(), box_id: Some(BOX.into()), purpose: "head".into(), rev: 2, doc: head };
        let signed = self.box_key.sign(&signed)?.into_bytes();
        self.say(hq, topics.of("head"), signed)?;
        let manifest = self.document(&topics.dataset("catalogue"))?;
        let hash = manifest["doc"]["chunks"][0].as_str().context("a chunk")?.to_owned();
        let ask = serde_json::to_vec(&Ask { id: 1, wait_ms: 2_000, what: Question::Chunk { hash } })?;
        self.say(hq, topics.of("ask"), ask)
    }

    fn say(&mut self, hq: &mut Writer, topic: String, payload: Vec<u8>) -> Result<()> {
        let work = parse(TENANT, &topic, &payload).map_err(anyhow::Error::msg)?;
        self.messages.push(Message { who: "box", topic, payload, retained: false });
        self.hq(hq, work)
    }

    fn hq(&mut self, hq: &mut Writer, work: Work) -> Result<()> {
        let said = hq.turn_at(Moment { mono: Instant::now(), utc_ms: UTC }, &[work])?;
        self.messages.extend(said.into_iter().map(|said| Message {
            who: "headquarters",
            topic: said.topic,
            payload: said.payload.to_vec(),
            retained: said.retain,
        }));
        Ok(())
    }

    pub fn on(&self, topic: &str) -> Result<&[u8]> {
        let found = self.messages.iter().find(|message| message.topic == topic);
        Ok(&found.with_context(|| format!("nothing on {topic}"))?.payload)
    }

    pub fn chunk(&self) -> Result<(String, Vec<u8>)> {
        let found = self.messages.iter().find(|message| message.topic.contains("/chunk/")).context("no chunk")?;
        Ok((found.topic.clone(), found.payload.clone()))
    }

    fn document(&self, topic: &str) -> Result<Value> {
        let token = std::str::from_utf8(self.on(topic)?)?;
        Ok(serde_json::from_slice(&base64url(token.split('.').nth(1).context("a JWS")?))?)
    }

    /// What is signed there with a field more, fields less and another type, signed again.
    pub fn changed_documents(&self, topic: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let document: Signed<Value> = serde_json::from_value(self.document(topic)?)?;
        let sign = |doc: Value| anyhow::Ok(self.signer.sign(&Signed { doc, ..document.clone() })?.into_bytes());
        let mut more = document.doc.clone();
        more["more"] = json!(1);
        let mut all = vec![("a field more".to_owned(), sign(more)?)];
        // Optional: the time, and what PINs are sealed to.
        let names = document.doc.as_object().context("an object")?.keys();
        for name in names.filter(|name| !["seal"].contains(&name.as_str())) {
            let mut other = document.doc.clone();
            other[name] = json!([[]]);
            all.push((format!("{name} of another type"), sign(other)?));
        }
        let other = Signed { purpose: "other".into(), ..document.clone() };
        all.push(("another purpose".into(), self.signer.sign(&other)?.into_bytes()));
        Ok(all)
    }

    /// As Markdown.
    pub fn page(&self) -> Result<String> {
        let mut page = String::new();
        let keys =
            [("Headquarters", HQ_KEY, self.signer.public_key()), ("The box", BOX_KEY, self.box_key.public_key())];
        for (who, [secret, _], public) in keys {
            writeln!(page, "- {who} signs with the secret key `{secret}`; the public key in base64url is `{public}`.")?;
        }
        let rows = Rows((1..).zip(ROWS).map(|(seq, body)| Row { seq, body: body.into() }).collect());
        for (seq, body) in (1..).zip(ROWS) {
            writeln!(page, "\nRow {seq}, whose chain hash is `{}`:\n\n```json\n{body}\n```", hex(&rows.hash_at(seq)?))?;
        }
        for (nth, message) in (1..).zip(&self.messages) {
            let retained = if message.retained { ", retained" } else { "" };
            writeln!(page, "\n**{nth}. {} → `{}`**{retained}\n", message.who, message.topic)?;
            page.push_str(&shown(&message.payload)?);
        }
        Ok(page)
    }
}

/// JSON as it is; a signed document as it is and read; a line of JSON before bytes in hexadecimal.
fn shown(payload: &[u8]) -> Result<String> {
    let Ok(text) = std::str::from_utf8(payload) else {
        let end = payload.iter().position(|byte| *byte == b'\n').filter(|_| payload.starts_with(b"{"));
        let (line, frame) = end.map_or((&b""[..], payload), |end| (&payload[..=end], &payload[end + 1..]));
        let line = std::str::from_utf8(line)?;
        let lines: Vec<String> = frame.chunks(48).map(hex).collect();
        return Ok(format!("```text\n{line}{}\n```\n", lines.join("\n")));
    };
    if text.starts_with('{') {
        return Ok(format!("```json\n{text}\n```\n"));
    }
    let signed = base64url(text.split('.').nth(1).context("a JWS")?);
    ensure!(!signed.is_empty(), "not base64url");
    Ok(format!("```text\n{text}\n```\n\nwhich is\n\n```json\n{}\n```\n", String::from_utf8(signed)?))
}

/// PKCS #8 (RFC 5958) of an Ed25519 key, written where its owner reads it.
fn key(path: &std::path::Path, [secret, public]: [&str; 2]) -> Result<Signer> {
    let text = format!("3053020101300506032b657004220420{secret}a123032100{public}");
    let bytes: Result<Vec<u8>, _> =
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16)).collect();
    std::fs::write(path, bytes?)?;
    Signer::open(path)
}
