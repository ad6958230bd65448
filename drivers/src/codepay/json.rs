//! A frame of CodePay told as JSON.

use super::frame::{Frame, Kind, Read};
use super::proto::{Message, answer, request};
use crate::decode::{told, unreadable};
use crate::terminal::minor;
use serde_json::{Map, Value, json};

/// One frame.
#[must_use]
pub fn to_json(bytes: &[u8], _context: Option<&str>) -> Value {
    let (frame, used) = match Frame::read(bytes) {
        Read::Whole(frame, used) => (frame, used),
        Read::More => return unreadable("incomplete"),
        Read::Nonsense(wrong) => return unreadable(wrong),
    };
    let mut fields = Map::new();
    let ctrl = match (frame.kind, frame.ack, frame.id) {
        (Kind::Handshake, ..) => "HANDSHAKE",
        (Kind::Confirm, ..) => "CONFIRM",
        (Kind::Common, 0, 0) => "HEARTBEAT",
        (Kind::Common, _, 0) => "ACK",
        (Kind::Common, ..) => "MESSAGE",
    };
    fields.insert("ctrl".into(), json!(ctrl));
    fields.insert("len".into(), json!(frame.data.len()));
    for (name, number) in [("id", frame.id), ("ack", frame.ack)] {
        if number != 0 {
            fields.insert(name.into(), json!(number));
        }
    }
    if used < bytes.len() {
        fields.insert("trailing_bytes".into(), json!(bytes.len() - used));
    }
    if frame.data.is_empty() {
        return told(fields, None);
    }
    match Message::read(&frame.data) {
        Some(message) => {
            tell(&message, &mut fields);
            told(fields, None)
        }
        None => told(fields, Some("the data is no message".into())),
    }
}

fn tell(message: &Message, fields: &mut Map<String, Value>) {
    // A request has its time where an answer has its flag.
    let asked = message.success.is_none() && !message.time.is_empty();
    let mut put = |name: &str, text: &str| {
        if !text.is_empty() {
            fields.insert(name.into(), json!(text));
        }
    };
    put("topic", &message.topic);
    put("request_id", &message.request);
    put("app_id", &message.app);
    put("text", &message.error);
    let (order, amount, currency) = if asked {
        (request::ORDER, request::AMOUNT, request::CURRENCY)
    } else {
        (answer::ORDER, answer::AMOUNT, answer::CURRENCY)
    };
    put("receipt_no", message.biz(order));
    put("currency", message.biz(currency));
    put("trans_type", message.biz(if asked { request::TYPE } else { answer::TYPE }));
    if asked {
        put("original", message.biz(request::ORIGINAL));
    } else {
        put("trace", message.biz(answer::TRANSACTION));
        put("trans_status", message.biz(answer::STATUS));
        put("card_name", message.biz(answer::METHOD));
    }
    let amount = minor(message.biz(amount), message.biz(currency));
    if let Some(amount) = amount {
        fields.insert("amount_minor".into(), json!(amount.0));
    }
    if !asked {
        fields.insert("success".into(), json!(message.succeeded()));
        let status = message.biz(answer::STATUS);
        let code = match (message.succeeded(), status) {
            (true, "" | "2") => json!(0),
            (_, "") => json!("FAILED"),
            (_, status) => json!(status),
        };
        fields.insert("result_code".into(), code);
    }
}
