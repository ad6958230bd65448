//! docs/mqtt.asyncapi.yaml as a judge: every message on the broker is of a channel it documents, and says what it documents
//! there, nothing else and nothing more.
//!
//! To a partner the document leaves objects open, so that things can be added; here they are closed, so that nothing is added
//! without being documented.

use crate::schema::{holds, resolved};
use anyhow::{Context as _, Result, bail, ensure};
use checkout::wire::{BATCH_RAW_MAX, CHUNK_MAX, MESSAGE_MAX, shard};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The line of JSON before the bodies of a batch.
const HEADER_MAX: usize = 1024;
const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/mqtt.asyncapi.yaml");

#[derive(Debug)]
pub struct Document {
    channels: Vec<Channel>,
    /// Places of the document that some message had: channel, then property by property.
    seen: BTreeSet<String>,
}

#[derive(Debug)]
struct Channel {
    name: String,
    levels: Vec<String>,
    /// What a level may be, where the document lists it.
    choices: BTreeMap<String, Vec<String>>,
    content: String,
    payload: Shape,
    headers: Option<Shape>,
    examples: Vec<Value>,
}

/// A schema of the document.
#[derive(Debug)]
struct Shape {
    root: Arc<Value>,
    schema: Value,
    /// Signed documents within it, by JSON pointer.
    signed: Vec<(String, Self)>,
    /// Every property it names, by way of others.
    places: BTreeSet<String>,
}

impl Document {
    /// # Errors
    /// It cannot be read, or is not what this code understands of AsyncAPI 3.
    pub fn read() -> Result<Self> {
        let text = std::fs::read_to_string(DOCUMENT).context(DOCUMENT)?;
        let root: Arc<Value> = Arc::new(serde_saphyr::from_str(&text)?);
        ensure!(root["asyncapi"].as_str().is_some_and(|version| version.starts_with("3.")), "not AsyncAPI 3");
        let channels = root["channels"].as_object().context("no channels")?;
        let default = root["defaultContentType"].as_str().unwrap_or("application/json");
        let channels: Result<_> =
            channels.iter().map(|(name, said)| Channel::read(&root, name, said, default)).collect();
        let document = Self { channels: channels?, seen: BTreeSet::new() };
        document.operations(&root)?;
        Ok(document)
    }

    /// Every channel is somebody's to send or to hear.
    fn operations(&self, root: &Value) -> Result<()> {
        let operations = root["operations"].as_object().context("no operations")?;
        let at = |operation: &Value| operation["channel"]["$ref"].as_str().map(str::to_owned);
        let replies = operations.values().filter_map(|operation| at(&operation["reply"]));
        let named: BTreeSet<String> = operations.values().filter_map(at).chain(replies).collect();
        for channel in &self.channels {
            let name = format!("#/channels/{}", channel.name);
            ensure!(named.contains(&name), "nobody sends or hears {name}");
        }
        ensure!(named.len() == self.channels.len(), "an operation on a channel that is none: {named:?}");
        Ok(())
    }

    /// Which channel it came on.
    ///
    /// # Errors
    /// Says what about it is not documented.
    pub fn judge(&mut self, topic: &str, payload: &[u8]) -> Result<&str> {
        ensure!(payload.len() <= MESSAGE_MAX, "{topic}: a message of {} bytes", payload.len());
        let levels: Vec<&str> = topic.split('/').collect();
        let found = self.channels.iter().find_map(|channel| Some((channel, channel.captured(&levels)?)));
        let (channel, captured) = found.with_context(|| format!("{topic} is no topic of the document"))?;
        channel.judge(&captured, payload, &mut self.seen).with_context(|| format!("on {topic}"))?;
        self.seen.insert(channel.name.clone());
        Ok(&channel.name)
    }

    /// Channels nothing was heard on.
    pub fn silent(&self) -> Vec<&str> {
        self.channels.iter().map(|channel| channel.name.as_str()).filter(|name| !self.seen.contains(*name)).collect()
    }

    /// Documented properties that no message had, on channels where something was heard; of those within one, the outermost.
    pub fn unseen(&self) -> Vec<String> {
        let heard = self.channels.iter().filter(|channel| self.seen.contains(&channel.name));
        let places = heard.flat_map(|channel| {
            let headers = channel.headers.iter().flat_map(|shape| &shape.places);
            let inner = channel.payload.signed.iter().flat_map(|(_, shape)| &shape.places);
            channel.payload.places.iter().chain(headers).chain(inner)
        });
        let within = |place: &str| {
            place.rsplit_once('.').is_none_or(|(outer, _)| !outer.contains('.') || self.seen.contains(outer))
        };
        places.filter(|place| !self.seen.contains(*place) && within(place)).cloned().collect()
    }

    /// Holds every example of the document against the document; says how many there are.
    ///
    /// # Errors
    /// Says which is wrong.
    pub fn examples(&self) -> Result<usize> {
        let mut count = 0;
        for channel in &self.channels {
            for example in &channel.examples {
                let at = || format!("an example of {}: {example}", channel.name);
                let (payload, headers) = (example.get("payload"), example.get("headers"));
                ensure!(payload.or(headers).is_some(), at());
                payload.map_or(Ok(()), |payload| channel.payload.holds(payload)).with_context(at)?;
                let shape = channel.headers.as_ref();
                shape.zip(headers).map_or(Ok(()), |(shape, headers)| shape.holds(headers)).with_context(at)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

impl Channel {
    fn read(root: &Arc<Value>, name: &str, said: &Value, default: &str) -> Result<Self> {
        let at = || format!("channel {name}");
        let address = said["address"].as_str().with_context(at)?;
        let messages = said["messages"].as_object().with_context(at)?;
        let message = messages.values().next().filter(|_| messages.len() == 1).with_context(at)?;
        let message = resolved(root, message).with_context(at)?;
        let parameters = said["parameters"].as_object().with_context(at)?;
        let mut choices = BTreeMap::new();
        for (name, parameter) in parameters {
            if let Some(listed) = resolved(root, parameter)?["enum"].as_array() {
                choices.insert(name.clone(), listed.iter().filter_map(|one| one.as_str().map(str::to_owned)).collect());
            }
        }
        let levels: Vec<String> = address.split('/').map(str::to_owned).collect();
        for level in levels.iter().filter_map(|level| parameter(level)) {
            ensure!(parameters.contains_key(level), "{address}: {level} is not described");
        }
        let shape = |schema: &Value| Shape::new(root, schema, name).with_context(at);
        Ok(Self {
            name: name.into(),
            levels,
            choices,
            content: message["contentType"].as_str().unwrap_or(default).into(),
            payload: shape(&message["payload"])?,
            headers: message.get("headers").map(shape).transpose()?,
            examples: message["examples"].as_array().cloned().unwrap_or_default(),
        })
    }

    /// The levels that stand for something, where the topic is of this channel.
    fn captured<'a>(&'a self, topic: &[&'a str]) -> Option<BTreeMap<&'a str, &'a str>> {
        let mut captured = BTreeMap::new();
        for (level, said) in self.levels.iter().zip(topic) {
            match parameter(level) {
                Some(name) => drop(captured.insert(name, *said)),
                None if level == said => {}
                None => return None,
            }
        }
        let fits = self.levels.len() == topic.len() && captured.values().all(|said| !said.is_empty());
        let listed = self.choices.iter().all(|(name, choices)| {
            captured.get(name.as_str()).is_some_and(|said| choices.iter().any(|one| one == said))
        });
        let of_box = captured.get("shard").zip(captured.get("box"));
        let right = of_box.is_none_or(|(said, box_id)| **said == format!("{:02}", shard(box_id)));
        (fits && listed && right).then_some(captured)
    }

    fn judge(&self, captured: &BTreeMap<&str, &str>, payload: &[u8], seen: &mut BTreeSet<String>) -> Result<()> {
        match (self.content.as_str(), &self.headers) {
            ("application/json", None) => self.payload.judge(&self.name, &serde_json::from_slice(payload)?, seen),
            ("application/jose", None) => {
                let document = signed(std::str::from_utf8(payload)?)?;
                self.payload.judge(&self.name, &document, seen)?;
                let said = document["box"].as_str();
                ensure!(said.is_none_or(|said| captured.get("box") == Some(&said)), "signed for another box: {said:?}");
                Ok(())
            }
            ("application/octet-stream", Some(headers)) => self.batch(headers, payload, seen),
            ("application/octet-stream", None) => {
                let hash = captured.get("hash").context("nothing says what the bytes are")?;
                ensure!(payload.len() <= CHUNK_MAX, "{} bytes", payload.len());
                ensure!(hex(&Sha256::digest(payload)) == **hash, "the topic does not name its hash");
                Ok(())
            }
            (other, _) => bail!("this judge does not know {other}"),
        }
    }

    /// A line of JSON, then one frame of zstd: bodies, a line each.
    fn batch(&self, headers: &Shape, payload: &[u8], seen: &mut BTreeSet<String>) -> Result<()> {
        let end = payload.iter().take(HEADER_MAX).position(|byte| *byte == b'\n').context("no line of headers")?;
        let said: Value = serde_json::from_slice(&payload[..end])?;
        headers.judge(&self.name, &said, seen)?;
        let zeros = said["prev"].as_str().is_some_and(|hash| hash.bytes().all(|digit| digit == b'0'));
        ensure!((said["first"] == 1) == zeros, "before row {} the chain is {}", said["first"], said["prev"]);
        let raw = zstd::bulk::decompress(&payload[end + 1..], BATCH_RAW_MAX)?;
        ensure!(said["raw"] == raw.len(), "{} bytes, and raw says {}", raw.len(), said["raw"]);
        let bodies = raw.strip_suffix(b"\n").context("the last body is not closed")?;
        let bodies: Vec<&[u8]> = bodies.split(|byte| *byte == b'\n').collect();
        ensure!(said["count"] == bodies.len(), "{} bodies, and count says {}", bodies.len(), said["count"]);
        for body in bodies {
            self.payload.judge(&self.name, &serde_json::from_slice(body)?, seen)?;
        }
        Ok(())
    }
}

impl Shape {
    fn new(root: &Arc<Value>, schema: &Value, place: &str) -> Result<Self> {
        let (mut places, mut documents) = (BTreeSet::new(), Vec::new());
        walk(root, schema, place, "", &mut places, &mut documents)?;
        let signed = documents
            .into_iter()
            .map(|(pointer, place, schema)| Ok((pointer, Self::new(root, &schema, &format!("{place}.signed"))?)));
        let signed: Result<_> = signed.collect();
        Ok(Self { root: Arc::clone(root), schema: schema.clone(), signed: signed?, places })
    }

    fn holds(&self, value: &Value) -> Result<()> {
        holds(&self.root, &self.schema, value)
    }

    fn judge(&self, place: &str, value: &Value, seen: &mut BTreeSet<String>) -> Result<()> {
        self.holds(value)?;
        visit(place, value, seen);
        for (pointer, shape) in &self.signed {
            if let Some(token) = value.pointer(pointer) {
                let inner = signed(token.as_str().unwrap_or_default()).with_context(|| pointer.clone())?;
                shape.judge(&format!("{place}{}.signed", pointer.replace('/', ".")), &inner, seen)?;
            }
        }
        Ok(())
    }
}

type Documents = Vec<(String, String, Value)>;

/// Every property a schema names, and where in it signed documents stand.
fn walk(
    root: &Value,
    schema: &Value,
    place: &str,
    pointer: &str,
    places: &mut BTreeSet<String>,
    documents: &mut Documents,
) -> Result<()> {
    let schema = resolved(root, schema)?;
    if schema["contentMediaType"] == "application/jose" {
        documents.push((pointer.into(), place.into(), schema["contentSchema"].clone()));
    }
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        places.insert(place.clone());
        walk(root, inner, &place, &format!("{pointer}/{name}"), places, documents)?;
    }
    let either = ["oneOf", "anyOf", "allOf"].into_iter().filter_map(|keyword| schema[keyword].as_array());
    for inner in either.flatten() {
        walk(root, inner, place, pointer, places, documents)?;
    }
    if schema["items"].is_object() {
        walk(root, &schema["items"], place, pointer, places, documents)?;
    }
    Ok(())
}

fn visit(place: &str, value: &Value, seen: &mut BTreeSet<String>) {
    for (name, inner) in value.as_object().into_iter().flatten() {
        let place = format!("{place}.{name}");
        visit(&place, inner, seen);
        seen.insert(place);
    }
    value.as_array().into_iter().flatten().for_each(|inner| visit(place, inner, seen));
}

fn parameter(level: &str) -> Option<&str> {
    level.strip_prefix('{')?.strip_suffix('}')
}

/// The document within a compact JWS as the contract has them.
fn signed(token: &str) -> Result<Value> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else { bail!("not a compact JWS") };
    let header: Value = serde_json::from_slice(&base64url(header)).context("the header of a JWS")?;
    ensure!(header == json!({ "alg": "EdDSA" }), "signed as {header}");
    ensure!(base64url(signature).len() == 64, "a signature of another length");
    serde_json::from_slice(&base64url(payload)).context("what is signed")
}

/// What is none gives nothing.
pub fn base64url(text: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (mut bits, mut count, mut out) = (0_u32, 0, Vec::new());
    for letter in text.bytes() {
        let Some(value) = LETTERS.iter().position(|known| *known == letter) else { return Vec::new() };
        bits = bits << 6 | u32::try_from(value).unwrap_or(0);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
