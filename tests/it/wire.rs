//! Everything that crosses the broker on a store's day, seen by somebody who listens to all of it.

use anyhow::{Context as _, Result, ensure};
use e2e::document::base64url;
use e2e::{COLA, MEMBER, NAME, NOODLES, PHONE, PIN, Plan, Shop, finished, lines, program, until};
use rumqttc::{AsyncClient, Event, MqttOptions, Packet, QoS};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PAN: &str = "6225880123456783";
const WALLET: &str = "131234567890123456";
/// zstd's frames begin so.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

type Heard = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A client of the broker that hears everything and may say something.
pub(crate) struct Ear {
    heard: Heard,
    client: AsyncClient,
    runtime: tokio::runtime::Runtime,
}

impl Ear {
    pub(crate) fn on(shop: &Shop) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let mut options = MqttOptions::new("ear", shop.broker().ip().to_string(), shop.broker().port());
        options.set_keep_alive(Duration::from_secs(5));
        options.set_max_packet_size(1024 * 1024, 1024 * 1024);
        let _context = runtime.enter();
        let (client, mut events) = AsyncClient::new(options, 16);
        let heard = Heard::default();
        let (kept, ready) = (Arc::clone(&heard), client.clone());
        runtime.spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => drop(ready.try_subscribe("#", QoS::AtLeastOnce)),
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        let message = (publish.topic.clone(), publish.payload.to_vec());
                        kept.lock().expect("nobody panics with it").push(message);
                    }
                    Ok(_) => {}
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Self { heard, client, runtime })
    }

    pub(crate) fn heard(&self) -> Vec<(String, Vec<u8>)> {
        self.heard.lock().expect("nobody panics with it").clone()
    }

    fn say(&self, topic: &str, payload: Vec<u8>) -> Result<()> {
        Ok(self.runtime.block_on(self.client.publish(topic, QoS::AtLeastOnce, true, payload))?)
    }
}

/// What a message says: as it is, its zstd frame unpacked, the parts of a signed document read.
fn said(payload: &[u8]) -> Result<Vec<u8>> {
    let mut all = payload.to_vec();
    if let Some(at) = payload.windows(4).position(|window| window == ZSTD) {
        all.extend(zstd::stream::decode_all(&payload[at..]).context("a frame that does not unpack")?);
    }
    let text = std::str::from_utf8(payload).unwrap_or_default();
    // Documents may stand in JSON, as the answer to a question.
    for word in text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c))) {
        if word.split('.').count() == 3 {
            word.split('.').take(2).for_each(|part| all.extend(base64url(part)));
        }
    }
    Ok(all)
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// A day with everything in it: member by code and by telephone, card, wallet, cash, a basket in parts, one suspended, one given
/// up, goods brought back, help, the terminal's sum and the end of the day.
pub(crate) fn a_day(shop: &Shop) -> Result<()> {
    shop.member(MEMBER)?;
    shop.hand(&shop.terminal, json!({"tap": PAN}));
    shop.sell(&[COLA])?;
    shop.basket(&[NOODLES])?;
    shop.pressed(json!({"phone": {"number": PHONE}}))?;
    shop.wait("the member", |view| !view["view"]["member"].is_null())?;
    shop.pressed(json!({"pay": {"method": "wallet"}}))?;
    shop.scan(WALLET)?;
    shop.wait("the wallet sale", |view| view["view"]["phase"] == "done")?;
    shop.basket(&[COLA, NOODLES])?;
    // A card's number where a code was asked for.
    let _ = shop.press(json!({"key": {"code": PAN}}))?;
    shop.pressed(json!({"call_help": {}}))?;
    shop.staff(json!({"end_help": {}}))?;
    shop.pressed(json!({"suspend": {}}))?;
    shop.basket(&[COLA])?;
    shop.pressed(json!({"void_transaction": {}}))?;
    shop.basket(&[COLA, NOODLES])?;
    shop.staff(json!({"take_cash": {"given": 300, "amount": 300}}))?;
    shop.pressed(json!({"pay": {"method": "card"}}))?;
    shop.wait("the sale in parts", |view| view["view"]["phase"] == "done")?;
    shop.staff(json!({"return": {"find": {"code": "1-000001"}}}))?;
    shop.staff(json!({"return": {"line": {"line": 1, "quantity": 1}}}))?;
    shop.staff(json!({"return": {"refund": {"in_cash": true}}}))?;
    shop.wait("the money back", |view| view["view"]["phase"] == "done")?;
    shop.staff(json!({"reprint": {}}))?;
    shop.staff(json!({"close_terminal": {}}))?;
    shop.pressed(json!({"next": {}}))?;
    shop.wait("an empty lane", |view| lines(view) == 0 && view["view"]["transaction"].is_null())?;
    until("the end of the day", || Ok(shop.staff(json!({"day_close": {}})).is_ok()))?;
    shop.sales_at_hq()?;
    Ok(())
}

pub(crate) fn open(shop: &mut Shop) -> Result<()> {
    shop.start()?;
    shop.wait("the devices and the goods", |view| {
        view["view"]["devices"][2]["up"] == true
            && view["store"]["price_book"] == "pb-1"
            && view["store"]["online"] == true
    })?;
    Ok(())
}

/// P1: neither a card's number nor anything of a person is in any message. Two things must travel, each on one topic: the code a
/// wallet showed, to headquarters that charges it; and the members' dataset, to the box that greets them.
#[test]
fn a_whole_day_on_the_wire_holds_no_card_number_and_nothing_of_a_person() -> Result<()> {
    let mut shop = Shop::closed(Plan::default())?;
    shop.start_hq()?;
    let ear = Ear::on(&shop)?;
    until("the broker", || Ok(ear.heard().iter().any(|(topic, _)| topic.ends_with("/data/catalogue"))))?;
    open(&mut shop)?;
    a_day(&shop)?;
    let heard = ear.heard();
    let leaves: BTreeSet<&str> = heard.iter().filter_map(|(topic, _)| topic.split('/').nth(5)).collect();
    for leaf in ["ack", "ask", "head", "hello", "journal", "reply", "state", "welcome"] {
        ensure!(leaves.contains(leaf), "nothing was heard on {leaf}");
    }
    let (mut bytes, mut rows, mut codes, mut names) = (0, 0, 0, 0);
    for (topic, payload) in &heard {
        let said = said(payload).with_context(|| topic.clone())?;
        (bytes, rows) = (bytes + payload.len(), rows + usize::from(contains(&said, "\"event\":")));
        ensure!(!contains(&said, PAN), "a card's number on {topic}");
        ensure!(crate::privacy::card_numbers(&said).is_empty(), "what may be a card's number on {topic}");
        ensure!(!contains(&said, &format!("\"{PIN}\"")), "somebody's PIN on {topic}");
        let person = contains(&said, NAME) || contains(&said, PHONE) || contains(&said, MEMBER);
        ensure!(!person || topic.contains("/chunk/"), "somebody's name, number or code on {topic}");
        let wallet = contains(&said, WALLET);
        ensure!(!wallet || topic.ends_with("/ask"), "a wallet's code on {topic}");
        (codes, names) = (codes + usize::from(wallet), names + usize::from(person));
    }
    // What must be there is: the look sees through compression and signatures.
    ensure!(codes >= 1 && names >= 1 && rows >= 5, "{codes} wallet codes, {names} datasets, {rows} batches");
    eprintln!("{} messages, {bytes} bytes, on {leaves:?}", heard.len());
    Ok(())
}

/// P7, D6: whoever can speak on the broker shows the box an older policy that headquarters once signed; the newer one stays.
#[test]
fn an_older_policy_that_headquarters_once_signed_changes_nothing() -> Result<()> {
    let mut shop = Shop::closed(Plan::default())?;
    import(&shop, 50_000, "loose")?;
    shop.start_hq()?;
    let ear = Ear::on(&shop)?;
    shop.start()?;
    shop.wait("the devices", |view| view["view"]["devices"][2]["up"] == true)?;
    let loose = |(topic, _): &(String, Vec<u8>)| topic.ends_with("/data/policy");
    until("the loose policy", || Ok(in_force(&shop)? == ["loose"]))?;
    let (topic, old) = ear.heard().into_iter().find(loose).context("no manifest was heard")?;
    import(&shop, 100, "strict")?;
    until("the strict policy", || Ok(in_force(&shop)? == ["loose", "strict"]))?;
    ear.say(&topic, old.clone())?;
    let again = |message: &(String, Vec<u8>)| loose(message) && message.1 == old;
    until("the broker to bring it", || Ok(ear.heard().iter().filter(|message| again(message)).count() >= 2))?;
    // A start asks for what is retained, which is the older one.
    shop.stop()?;
    shop.start()?;
    shop.wait("headquarters", |view| view["store"]["online"] == true && view["view"]["devices"][2]["up"] == true)?;
    shop.sell(&[COLA])?;
    shop.sales_at_hq()?;
    ensure!(in_force(&shop)? == ["loose", "strict"], "{:?}", in_force(&shop)?);
    Ok(())
}

fn import(shop: &Shop, limit: i64, name: &str) -> Result<()> {
    let file = shop.path("policy.ndjson");
    let limits = json!({"id": "card_offline", "until": "2099-01-01T00:00", "per_sale": limit, "count": 10, "total": limit, "hours": 24});
    std::fs::write(&file, limits.to_string())?;
    let mut import = program("aisle-hq");
    import.args(["import", "policy"]).arg(file).arg("--data").arg(shop.path("hq")).args(["--name", name]);
    finished(&mut import)?;
    Ok(())
}

/// Names of the policies that came into force, in order.
fn in_force(shop: &Shop) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for row in aisled::journal::Reader::open(&shop.journal())?.rows(1, usize::MAX, usize::MAX)? {
        let row: Value = serde_json::from_str(&row.body)?;
        let came = &row["event"]["store"]["dataset_activated"];
        if came["dataset"] == "policy" {
            names.extend(came["name"].as_str().map(str::to_owned));
        }
    }
    Ok(names)
}
