//! A CodePay terminal that is not there. It remembers every order whatever happens to the line. Its frames and messages are put
//! together here byte by byte, so that the driver's encoder is not checked against itself.

use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

const REPEAT_MS: u64 = 1_000;
const REPEATS: u32 = 10;
const ORDERS_MAX: usize = 10_000;
const INBOX_MAX: usize = 4096;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    tap_ms: u64,
    wait_for_card: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { tap_ms: 300, wait_for_card: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behaviour {
    Approve,
    /// The order is closed with a reason.
    Decline,
    /// The order fails, and nothing is said about its state.
    Refuse,
    /// As before, and the order is not remembered.
    Forget,
    /// The order is made, its answer is lost.
    LoseAnswer,
    /// The order is made, noise comes in place of its answer.
    Garbage,
    /// No frame is answered.
    Hang,
}

#[derive(Clone, Debug)]
struct Order {
    number: String,
    request: String,
    original: String,
    amount: String,
    currency: String,
    kind: String,
    /// "0" open, "1" closed, "2" completed, "3" cancelled.
    status: &'static str,
}

#[derive(Debug)]
struct Said {
    id: u8,
    frame: Vec<u8>,
    repeats: u32,
    due: Mono,
}

#[derive(Debug)]
pub struct CodePaySim {
    options: Options,
    behaviour: Behaviour,
    orders: VecDeque<Order>,
    /// When the card is tapped; nothing while a hand does it.
    tap_at: Option<Mono>,
    said: VecDeque<Said>,
    ids: u8,
    heard: Option<u8>,
    inbox: Vec<u8>,
    connected: bool,
    heartbeats: u64,
}

impl CodePaySim {
    /// Options `tap_ms`, `wait_for_card`.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        Ok(Box::new(Self {
            options: options::parse(options)?,
            behaviour: Behaviour::Approve,
            orders: VecDeque::new(),
            tap_at: None,
            said: VecDeque::new(),
            ids: 0,
            heard: None,
            inbox: Vec::new(),
            connected: false,
            heartbeats: 0,
        }))
    }

    fn control(&mut self, now: Mono, verb: &Value, out: &mut Out) {
        if let Some(wait) = verb.get("wait_for_card").and_then(Value::as_bool) {
            self.options.wait_for_card = wait;
        }
        match verb.get("behaviour").and_then(Value::as_str) {
            Some("approve") => self.behaviour = Behaviour::Approve,
            Some("decline") => self.behaviour = Behaviour::Decline,
            Some("refuse") => self.behaviour = Behaviour::Refuse,
            Some("forget") => self.behaviour = Behaviour::Forget,
            Some("lose_answer") => self.behaviour = Behaviour::LoseAnswer,
            Some("garbage") => self.behaviour = Behaviour::Garbage,
            Some("hang") => self.behaviour = Behaviour::Hang,
            Some(_) | None => {}
        }
        if verb.get("tap").is_some() {
            self.tap(now, out);
        }
    }

    fn hear(&mut self, now: Mono, bytes: &[u8], out: &mut Out) {
        self.inbox.extend_from_slice(bytes);
        if self.inbox.len() > INBOX_MAX {
            self.inbox.clear();
        }
        loop {
            while !self.inbox.is_empty() && !b"\x55\xaa".starts_with(self.inbox.get(..2).unwrap_or(&self.inbox)) {
                self.inbox.remove(0);
            }
            let Some([_, _, kind, ack, id, high, low]) = self.inbox.get(..7) else { return };
            let (kind, ack, id) = (*kind, *ack, *id);
            let length = usize::from(*high) << 8 | usize::from(*low);
            if length > 1014 {
                self.inbox.remove(0);
                continue;
            }
            if self.inbox.len() < 10 + length {
                return;
            }
            let frame: Vec<u8> = self.inbox.drain(..10 + length).collect();
            let sum = frame.iter().skip(2).take(5 + length).fold(0, |sum, byte| sum ^ byte);
            if frame.ends_with(&[sum, 0xCC, 0x33]) && self.behaviour != Behaviour::Hang {
                self.frame(now, kind, ack, id, frame.get(7..7 + length).unwrap_or(&[]), out);
            }
        }
    }

    fn frame(&mut self, now: Mono, kind: u8, ack: u8, id: u8, data: &[u8], out: &mut Out) {
        if kind == 1 {
            self.heard = None;
            return out.send(b"\x55\xaa\x02\x00\x00\x00\x00\x02\xcc\x33");
        }
        if ack != 0 {
            self.said.retain(|said| said.id != ack);
        }
        if id == 0 {
            self.heartbeats += u64::from(ack == 0);
            // Our heart beats with the till's.
            if ack == 0 {
                out.send(b"\x55\xaa\x00\x00\x00\x00\x00\x00\xcc\x33");
            }
            return;
        }
        out.send(&framed(id, 0, &[]));
        // A message heard twice under one number is one message.
        if self.heard.replace(id) != Some(id) {
            self.message(now, data, out);
        }
    }

    fn message(&mut self, now: Mono, data: &[u8], out: &mut Out) {
        let fields = texts(data);
        let inner = texts(fields.get(&6).map_or(&[][..], Vec::as_slice));
        let text = |fields: &BTreeMap<u8, Vec<u8>>, field: u8| {
            fields.get(&field).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
        };
        let (topic, request, number) = (text(&fields, 1), text(&fields, 2), text(&inner, 1));
        match topic.as_str() {
            "ecrhub.pay.order" => {
                let order = Order {
                    number,
                    request,
                    original: text(&inner, 2),
                    amount: text(&inner, 4),
                    currency: text(&inner, 3),
                    kind: text(&inner, 7),
                    status: "0",
                };
                self.order(now, order, out);
            }
            "ecrhub.pay.query" => {
                let found = self.orders.iter().find(|order| order.number == number).cloned();
                match found {
                    Some(order) => self.say(now, &told(&topic, &request, &order, true), out),
                    None => self.say(now, &failed(&topic, &request, "order does not exist"), out),
                }
            }
            "ecrhub.pay.close" => {
                if let Some(order) = self.orders.iter_mut().find(|order| order.number == number && order.status == "0")
                {
                    order.status = "3";
                    self.tap_at = None;
                }
                self.say(now, &failed(&topic, &request, ""), out);
            }
            _ => {}
        }
    }

    fn order(&mut self, now: Mono, order: Order, out: &mut Out) {
        if self.orders.iter().any(|known| known.number == order.number) {
            return self.say(now, &failed("ecrhub.pay.order", &order.request, "the order exists"), out);
        }
        if self.orders.len() >= ORDERS_MAX {
            self.orders.pop_front();
        }
        let void = order.kind == "2";
        self.orders.push_back(order);
        if void {
            return self.void(now, out);
        }
        self.tap_at = (!self.options.wait_for_card).then(|| now.plus_ms(self.options.tap_ms));
    }

    fn void(&mut self, now: Mono, out: &mut Out) {
        let Some(mut void) = self.orders.pop_back() else { return };
        let original = self.orders.iter_mut().find(|order| order.number == void.original && order.status == "2");
        if let Some(original) = original {
            original.status = "3";
            void.status = "2";
        } else {
            void.status = "1";
        }
        let answer = told("ecrhub.pay.order", &void.request, &void, void.status == "2");
        self.orders.push_back(void);
        self.say(now, &answer, out);
    }

    fn tap(&mut self, now: Mono, out: &mut Out) {
        self.tap_at = None;
        let behaviour = self.behaviour;
        let Some(order) = self.orders.iter_mut().rev().find(|order| order.status == "0") else { return };
        order.status = match behaviour {
            Behaviour::Decline | Behaviour::Refuse | Behaviour::Forget => "1",
            Behaviour::Approve | Behaviour::LoseAnswer | Behaviour::Garbage | Behaviour::Hang => "2",
        };
        let order = order.clone();
        let answer = told("ecrhub.pay.order", &order.request, &order, order.status == "2");
        match behaviour {
            Behaviour::Approve | Behaviour::Decline => self.say(now, &answer, out),
            Behaviour::Refuse | Behaviour::Forget => {
                if behaviour == Behaviour::Forget {
                    self.orders.retain(|known| known.number != order.number);
                }
                self.say(now, &failed("ecrhub.pay.order", &order.request, "declined"), out);
            }
            Behaviour::Garbage => self.say(now, b"\x0a\xff\xff\xff", out),
            Behaviour::LoseAnswer | Behaviour::Hang => {}
        }
    }

    fn say(&mut self, now: Mono, data: &[u8], out: &mut Out) {
        self.ids = self.ids.checked_add(1).unwrap_or(1);
        let frame = framed(0, self.ids, data);
        out.send(&frame);
        self.said.push_back(Said { id: self.ids, frame, repeats: 0, due: now.plus_ms(REPEAT_MS) });
    }

    fn due(&mut self, now: Mono, out: &mut Out) {
        if self.tap_at.is_some_and(|at| now >= at) {
            self.tap(now, out);
        }
        for said in self.said.iter_mut().filter(|said| now >= said.due) {
            said.repeats += 1;
            said.due = now.plus_ms(REPEAT_MS);
            out.send(&said.frame);
        }
        self.said.retain(|said| said.repeats < REPEATS);
    }
}

impl Sim for CodePaySim {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        let mut said = Out::default();
        match input {
            SimIn::Connected => {
                self.connected = true;
                self.inbox.clear();
            }
            // The line is all that is lost: a card that is being read is charged.
            SimIn::Disconnected => {
                self.connected = false;
                self.said.clear();
                self.inbox.clear();
            }
            SimIn::Bytes(bytes) => self.hear(now, bytes, &mut said),
            SimIn::Timeout => self.due(now, &mut said),
            SimIn::Control(verb) => self.control(now, verb, &mut said),
        }
        if self.connected {
            out.send(&said.bytes);
        }
        let next = self.said.iter().map(|said| said.due).chain(self.tap_at).min();
        if let Some(at) = next {
            out.wake_at(at);
        }
    }

    fn state(&self) -> Value {
        let charge = |order: &Order| {
            let state = if order.status == "2" { "captured" } else { "reversed" };
            let digits: String = order.amount.chars().filter(char::is_ascii_digit).collect();
            let amount: u64 = digits.parse().unwrap_or(0);
            json!({"amount": amount, "order": order.number, "state": state})
        };
        let charged = |order: &&Order| order.kind == "1" && ["2", "3"].contains(&order.status);
        json!({
            "connected": self.connected,
            "wants_card": self.orders.iter().any(|order| order.status == "0"),
            "charges": self.orders.iter().filter(charged).map(charge).collect::<Vec<_>>(),
            "heartbeats": self.heartbeats,
        })
    }
}

fn framed(ack: u8, id: u8, data: &[u8]) -> Vec<u8> {
    let length = data.len();
    let mut frame =
        vec![0x55, 0xAA, 0, ack, id, u8::try_from(length >> 8).unwrap_or(0), u8::try_from(length & 255).unwrap_or(0)];
    frame.extend_from_slice(data);
    frame.push(frame.iter().skip(2).fold(0, |sum, byte| sum ^ byte));
    frame.extend([0xCC, 0x33]);
    frame
}

/// Fields of a message that are texts or messages; none of ours is longer than 127 bytes but the message within.
fn texts(mut data: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut fields = BTreeMap::new();
    while let [key, length, rest @ ..] = data {
        let (length, rest) = match (length, rest) {
            (low @ 0x80.., [high, rest @ ..]) => (usize::from(low & 0x7F) + usize::from(*high) * 128, rest),
            (length, rest) => (usize::from(*length), rest),
        };
        let Some((value, after)) = rest.split_at_checked(length).filter(|_| key & 7 == 2) else { break };
        fields.insert(key >> 3, value.to_vec());
        data = after;
    }
    fields
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2];
    if let Ok(short @ ..128) = u8::try_from(bytes.len()) {
        field.push(short);
    } else {
        field.push(u8::try_from(bytes.len() & 0x7F).unwrap_or(0) | 0x80);
        field.push(u8::try_from(bytes.len() >> 7).unwrap_or(0));
    }
    field.extend_from_slice(bytes);
    field
}

fn head(topic: &str, request: &str, success: bool) -> Vec<u8> {
    let mut bytes =
        [field(1, topic.as_bytes()), field(2, request.as_bytes()), field(3, b"wz0123456789abcdef")].concat();
    if success {
        bytes.extend([0x20, 1]);
    }
    bytes
}

fn failed(topic: &str, request: &str, error: &str) -> Vec<u8> {
    let mut bytes = head(topic, request, error.is_empty());
    if !error.is_empty() {
        bytes.extend(field(5, error.as_bytes()));
    }
    bytes
}

fn told(topic: &str, request: &str, order: &Order, success: bool) -> Vec<u8> {
    let biz = [
        field(1, order.number.as_bytes()),
        field(2, order.amount.as_bytes()),
        field(3, b"51230016492309010000001"),
        field(4, order.currency.as_bytes()),
        field(5, order.kind.as_bytes()),
        field(7, order.status.as_bytes()),
        field(10, b"Visa"),
    ]
    .concat();
    let mut bytes = head(topic, request, success);
    bytes.extend(field(6, &biz));
    bytes
}
