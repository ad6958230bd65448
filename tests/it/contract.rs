//! docs/mqtt.asyncapi.yaml is what a store and headquarters say to each other, and docs/MQTT.md shows it byte for byte.

use crate::example::Example;
use crate::wire::{Ear, a_day, open};
use anyhow::{Context as _, Result, ensure};
use checkout::wire::Topics;
use e2e::document::Document;
use e2e::{COLA, Plan, Shop, until};
use serde_json::{Value, json};

/// On these every store is heard within a day.
const HEARD: [&str; 10] = ["hello", "welcome", "journal", "head", "ack", "state", "ask", "reply", "data", "chunk"];

#[test]
fn everything_a_store_and_headquarters_say_in_a_day_is_in_the_document() -> Result<()> {
    let mut shop = Shop::closed(Plan::default())?;
    shop.start_hq()?;
    let ear = Ear::on(&shop)?;
    until("the broker", || Ok(ear.heard().iter().any(|(topic, _)| topic.ends_with("/data/catalogue"))))?;
    open(&mut shop)?;
    let morning = {
        shop.sell(&[COLA])?;
        shop.pressed(json!({"next": {}}))?;
        shop.sales_at_hq()?;
        shop.stop()?;
        std::fs::read(shop.journal())?
    };
    open(&mut shop)?;
    a_day(&shop)?;
    // Headquarters is away for a moment, and then an older disk is put in: another past, and sales given back.
    shop.kill_hq();
    shop.start_hq()?;
    shop.wait("headquarters again", |view| view["store"]["online"] == true && view["store"]["backlog"] == 0)?;
    shop.stop()?;
    std::fs::write(shop.journal(), morning)?;
    open(&mut shop)?;
    until("the sales to be given back", || {
        let asked = ear
            .heard()
            .iter()
            .any(|(topic, said)| topic.ends_with("/reply") && said.windows(8).any(|part| part == b"\"refill\""));
        Ok(asked)
    })?;
    shop.sales_at_hq()?;

    let mut document = Document::read()?;
    let heard = ear.heard();
    for (topic, payload) in &heard {
        document.judge(topic, payload)?;
    }
    eprintln!(
        "{} messages; nothing was heard on {:?}, nobody said {:?}",
        heard.len(),
        document.silent(),
        document.unseen()
    );
    for channel in HEARD {
        ensure!(!document.silent().contains(&channel), "nothing was heard on {channel}");
    }
    Ok(())
}

#[test]
fn the_page_for_partners_shows_what_box_and_headquarters_really_say() -> Result<()> {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/MQTT.md");
    let page = std::fs::read_to_string(page).context(page)?;
    let shown = Example::new()?.page()?;
    ensure!(page.contains(&shown), "the example in docs/MQTT.md is an older one; put this in its place:\n{shown}");
    ensure!(Document::read()?.examples()? >= 20, "few examples in the document");
    Ok(())
}

/// The judge above would say so if anything were said that is not in the document.
#[test]
fn an_undocumented_topic_a_field_more_a_field_less_and_another_type_are_found_out() -> Result<()> {
    let example = Example::new()?;
    let mut document = Document::read()?;
    for message in &example.messages {
        document.judge(&message.topic, &message.payload)?;
    }
    let topics = Topics::new("demo", "box-1");
    let (hello, journal, ack) = (topics.of("hello"), topics.of("journal"), topics.of("ack"));
    let said = example.on(&hello)?;
    let elsewhere = [
        "aisle/v1/demo/00/box-1/hello".to_owned(),
        topics.of("gossip"),
        topics.dataset("weather"),
        format!("{hello}/more"),
    ];
    for topic in elsewhere {
        ensure!(document.judge(&topic, said).is_err(), "{topic} is in the document?");
    }
    let mut refused = |topic: &str, what: &str, payload: Vec<u8>| {
        ensure!(document.judge(topic, &payload).is_err(), "{topic}: {what} was not found out");
        Ok(())
    };
    for topic in [&hello, &ack] {
        for (what, changed) in changes(example.on(topic)?)? {
            refused(topic, &what, changed)?;
        }
    }
    for topic in [topics.of("welcome"), topics.of("head"), topics.dataset("catalogue")] {
        for (what, changed) in example.changed_documents(&topic)? {
            refused(&topic, &what, changed)?;
        }
        refused(
            &topic,
            "no signature",
            example.on(&topic)?.rsplitn(2, |byte| *byte == b'.').last().unwrap_or_default().to_vec(),
        )?;
    }
    for (what, changed) in batches(example.on(&journal)?)? {
        refused(&journal, what, changed)?;
    }
    let (chunk, mut bytes) = example.chunk()?;
    bytes.push(0);
    refused(&chunk, "other bytes than the hash says", bytes)
}

/// One field more, and each field left out and of another type.
fn changes(payload: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let said: Value = serde_json::from_slice(payload)?;
    let fields = said.as_object().context("an object")?;
    let mut more = fields.clone();
    more.insert("more".into(), json!(1));
    let mut all = vec![("a field more".to_owned(), serde_json::to_vec(&more)?)];
    // Optional: a key the box signs with, a gap.
    for name in fields.keys().filter(|name| !["key", "expect"].contains(&name.as_str())) {
        let mut less = fields.clone();
        less.remove(name);
        all.push((format!("{name} left out"), serde_json::to_vec(&less)?));
        let mut other = fields.clone();
        other.insert(name.clone(), json!([]));
        all.push((format!("{name} of another type"), serde_json::to_vec(&other)?));
    }
    Ok(all)
}

/// The header, and what follows it, otherwise.
fn batches(payload: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>> {
    let end = payload.iter().position(|byte| *byte == b'\n').context("a line")?;
    let (line, frame) = (&payload[..end], &payload[end + 1..]);
    let header: Value = serde_json::from_slice(line)?;
    let rows = zstd::stream::decode_all(frame)?;
    let with = |name: &str, value: Value| {
        let mut header = header.clone();
        header[name] = value;
        [serde_json::to_vec(&header).unwrap_or_default(), vec![b'\n'], frame.to_vec()].concat()
    };
    let of_rows = |rows: &str| -> Result<Vec<u8>> {
        let mut header = header.clone();
        (header["raw"], header["count"]) = (json!(rows.len()), json!(rows.lines().count()));
        Ok([serde_json::to_vec(&header)?, vec![b'\n'], zstd::bulk::compress(rows.as_bytes(), 3)?].concat())
    };
    let text = String::from_utf8(rows)?;
    Ok(vec![
        ("a field more in the header", with("more", json!(1))),
        ("a number as text", with("first", json!("1"))),
        ("another size", with("raw", json!(text.len() + 1))),
        ("another count", with("count", json!(9))),
        ("no zeros before row 1", with("prev", json!("1".repeat(64)))),
        ("a hash that is none", with("prev", json!("zz"))),
        ("no zstd", [line, b"\n", text.as_bytes()].concat()),
        ("no header", frame.to_vec()),
        ("a sale with a field more", of_rows(&text.replace("\"receipt\":", "\"more\":1,\"receipt\":"))?),
        ("an event without its time", of_rows(&text.replace("\"utc\":", "\"time\":"))?),
        ("two facts in one event", of_rows(&text.replace("\"event\":{", "\"event\":{\"lane\":{},"))?),
    ])
}
