//! A nexo message as JSON by the field names all terminals share.

use super::crypto::Keys;
use super::http::{self, Read};
use super::message::{self, ERROR_CONDITIONS, at};
use crate::decode::{told, unreadable};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// Keys of a terminal, as `--context '{"passphrase": "…", "key": "…", "key_version": 1}'`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Context {
    passphrase: String,
    key: String,
    #[serde(default)]
    key_version: u64,
}

/// One message: JSON, or the HTTP request or answer that carries it.
#[must_use]
pub fn to_json(frame: &[u8], context: Option<&str>) -> Value {
    let keys = match context.map(serde_json::from_str::<Context>) {
        None => None,
        Some(Ok(context)) => Some(Keys::derive(&context.passphrase, &context.key, context.key_version)),
        Some(Err(_)) => return unreadable("context must be JSON with passphrase, key and key_version"),
    };
    let mut fields = Map::new();
    let body = match http::read(frame) {
        Read::Whole(status, body, _) => {
            if status != 0 {
                fields.insert("http_status".into(), json!(status));
            }
            body
        }
        Read::More => return unreadable("incomplete: the HTTP message is cut"),
        Read::Nonsense => frame.to_vec(),
    };
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return told(fields, Some("no JSON".into()));
    };
    if !message.is_object() {
        return told(fields, Some("no nexo message".into()));
    }
    let inside = message::inside(&message);
    header(inside, &mut fields);
    let Some(_) = inside.get("NexoBlob") else {
        let error = describe(inside, &mut fields);
        return told(fields, error);
    };
    fields.insert("encrypted".into(), json!(true));
    let Some(keys) = keys else {
        return told(fields, None);
    };
    let opened = keys.open(inside).ok().and_then(|plain| serde_json::from_slice::<Value>(&plain).ok());
    let Some(opened) = opened else {
        return told(fields, Some("not authentic: key, nonce, blob or HMAC is wrong".into()));
    };
    let inside = message::inside(&opened);
    header(inside, &mut fields);
    let error = describe(inside, &mut fields);
    told(fields, error)
}

fn header(inside: &Value, fields: &mut Map<String, Value>) {
    let header = at(inside, "MessageHeader");
    for (name, own) in [
        ("class", "MessageClass"),
        ("category", "MessageCategory"),
        ("type", "MessageType"),
        ("service_id", "ServiceID"),
        ("sale_id", "SaleID"),
        ("poi_id", "POIID"),
    ] {
        if let Some(text) = at(header, own).as_str() {
            fields.insert(name.into(), json!(text));
        }
    }
    if let (Some(category), Some(kind)) = (at(header, "MessageCategory").as_str(), at(header, "MessageType").as_str()) {
        fields.insert("ctrl".into(), json!(format!("{category}{kind}")));
    }
}

/// Says what is wrong, if anything.
fn describe(inside: &Value, fields: &mut Map<String, Value>) -> Option<String> {
    let body = inside.as_object()?.iter().find(|(name, value)| {
        value.is_object() && (name.ends_with("Response") || name.ends_with("Request") || name.ends_with("Notification"))
    });
    // A body without its envelope stands for itself.
    let (name, body) = body.map_or(("", inside), |(name, body)| (name.as_str(), body));
    fields.entry("ctrl").or_insert_with(|| json!(name));
    let mut error = result(body, fields);
    let status = at(body, "RepeatedMessageResponse.RepeatedResponseMessageBody");
    let payment = status.as_object().and_then(|repeated| repeated.values().next()).unwrap_or(body);
    if status.is_object() {
        let mut repeated = Map::new();
        error = error.or(result(payment, &mut repeated));
        fields.insert("repeated".into(), Value::Object(repeated));
    }
    error = error.or(money(payment, fields));
    card(payment, fields);
    let mut text = message::receipt(payment);
    texts(body, &mut text, 0);
    if !text.is_empty() {
        fields.insert("text".into(), json!(text.join("\n")));
    }
    for (name, value) in [
        ("event", at(body, "EventToNotify")),
        ("event_details", at(body, "EventDetails")),
        ("status", at(body, "POIStatus.GlobalStatus")),
        ("about_service_id", at(body, "MessageReference.ServiceID")),
        ("about_category", at(body, "MessageReference.MessageCategory")),
        ("input_command", at(body, "InputResult.Input.InputCommand")),
    ] {
        if let Some(text) = value.as_str() {
            fields.insert(name.into(), json!(crate::digits::hide(&message::percent_decoded(text))));
        }
    }
    error
}

fn result(body: &Value, fields: &mut Map<String, Value>) -> Option<String> {
    let outputs = at(body, "OutputResult").get(0).unwrap_or(at(body, "OutputResult"));
    let responses = [at(body, "Response"), at(body, "InputResult.Response"), at(outputs, "Response")];
    let response = responses.into_iter().find(|response| response.is_object())?;
    let (said, condition) = (at(response, "Result").as_str(), at(response, "ErrorCondition").as_str());
    if let Some(said) = said {
        fields.insert("result".into(), json!(said));
        fields.insert("approved".into(), json!(matches!(said, "Success" | "Partial")));
    }
    if let Some(condition) = condition {
        fields.insert("error_condition".into(), json!(condition));
        fields.insert("result_code".into(), json!(message::code(condition)));
    }
    match (said, condition) {
        (Some("Success" | "Partial" | "Failure"), None) => None,
        (Some("Success" | "Partial" | "Failure"), Some(condition)) => {
            (!ERROR_CONDITIONS.contains(&condition)).then(|| format!("ErrorCondition {condition:?} is unknown"))
        }
        _ => Some("the response has no known Result".into()),
    }
}

fn money(body: &Value, fields: &mut Map<String, Value>) -> Option<String> {
    let amounts = [
        (at(body, "PaymentResult.AmountsResp"), "AuthorizedAmount"),
        (at(body, "PaymentTransaction.AmountsReq"), "RequestedAmount"),
    ];
    let (amounts, name) = amounts.into_iter().find(|(amounts, name)| !at(amounts, name).is_null())?;
    let currency = at(amounts, "Currency").as_str().unwrap_or("");
    fields.insert("currency".into(), json!(currency));
    match message::minor(at(amounts, name), currency) {
        Some(amount) => {
            fields.insert("amount_minor".into(), json!(amount.0));
            None
        }
        None => Some(format!("{name} is no amount of {currency}")),
    }
}

fn card(body: &Value, fields: &mut Map<String, Value>) {
    let card = at(body, "PaymentResult.PaymentInstrumentData.CardData");
    if let Some(pan) = at(card, "MaskedPan").as_str() {
        fields.insert("pan_masked".into(), json!(message::truncated(pan).as_str()));
    }
    for (name, value) in [
        ("card_name", at(card, "PaymentBrand")),
        ("auth", at(body, "PaymentResult.PaymentAcquirerData.ApprovalCode")),
        ("transaction_id", at(body, "POIData.POITransactionID.TransactionID")),
        ("sale_transaction_id", at(body, "SaleData.SaleTransactionID.TransactionID")),
    ] {
        if let Some(text) = value.as_str() {
            fields.insert(name.into(), json!(crate::digits::hide(text)));
        }
    }
}

const DEPTH_MAX: u32 = 6;

/// Lines for a display or printer, wherever they stand.
fn texts(value: &Value, found: &mut Vec<String>, depth: u32) {
    let inner: Vec<&Value> = match value {
        Value::Object(object) => object.iter().filter(|(name, _)| *name != "PaymentReceipt").map(|(_, v)| v).collect(),
        Value::Array(list) => list.iter().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    if at(value, "OutputText").is_array() {
        found.extend(message::lines(value));
    }
    if depth < DEPTH_MAX {
        inner.into_iter().for_each(|inner| texts(inner, found, depth + 1));
    }
}
