//! A nexo terminal that is not there. It goes on with a payment whether or not anybody is connected, and remembers what each
//! ServiceID came to.

use super::crypto::Secret;
use super::http::{self, Read};
use super::message::{self, at};
use crate::Out;
use crate::options;
use crate::sim::{Sim, SimIn};
use checkout::words::{Mono, TruncatedPan};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::VecDeque;

const PAYMENTS_MAX: usize = 10_000;
const INBOX_MAX: usize = 1024 * 1024;
const TOLD_MAX: usize = 20;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    /// A card is tapped by itself after this long, unless told to wait for one.
    tap_ms: u64,
    /// Wait for `{"tap": …}` on the panel.
    wait_for_card: bool,
    pan: String,
    passphrase: String,
    key: String,
    key_version: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tap_ms: 300,
            wait_for_card: false,
            pan: "4111111111111111".into(),
            passphrase: "change me".into(),
            key: "lane".into(),
            key_version: 1,
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Behaviour {
    Approve,
    /// Takes the money, hangs up before it says so.
    HangUpAfterAnswer,
    Hang,
    Garbage,
    /// Answers with an EventNotification.
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Captured,
    Declined,
    Reversed,
    Refunded,
}

struct Payment {
    service: String,
    transaction: String,
    sale: Value,
    amount: Value,
    currency: String,
    refund: bool,
    fate: Fate,
    /// What was or would have been answered.
    answer: Value,
    pan: TruncatedPan,
}

pub struct NexoSim {
    options: Options,
    secret: Option<Secret>,
    behaviour: Behaviour,
    declines: Option<String>,
    payments: VecDeque<Payment>,
    /// ServiceID of each reversal and what was answered.
    reversals: VecDeque<(String, Value)>,
    made: u64,
    /// Of the payment under way, waiting for its card.
    waits: Option<(Value, Option<Mono>)>,
    /// Its answer is wanted on this connection.
    wanted: bool,
    connected: bool,
    inbox: Vec<u8>,
    /// What the till answered to texts, slips and questions, the latest last.
    told: VecDeque<Value>,
}

impl NexoSim {
    /// Options `tap_ms`, `wait_for_card`, `pan`, `passphrase`, `key`, `key_version`.
    pub fn build(options: &Value) -> Result<Box<dyn Sim>, String> {
        let options: Options = options::parse(options)?;
        let sealed = !options.passphrase.is_empty();
        let secret = sealed.then(|| Secret::new(options.passphrase.clone(), options.key.clone(), options.key_version));
        Ok(Box::new(Self {
            options,
            secret,
            behaviour: Behaviour::Approve,
            declines: None,
            payments: VecDeque::new(),
            reversals: VecDeque::new(),
            made: 0,
            waits: None,
            wanted: false,
            connected: false,
            inbox: Vec::new(),
            told: VecDeque::new(),
        }))
    }

    fn control(&mut self, now: Mono, verb: &Value, out: &mut Out) {
        if let Some(behaviour) = verb.get("behaviour") {
            self.behaviour = serde_json::from_value(behaviour.clone()).unwrap_or(self.behaviour);
            self.declines = None;
        }
        if let Some(condition) = verb.get("decline").and_then(Value::as_str) {
            self.declines = Some(condition.to_owned());
        }
        if let Some(wait) = verb.get("wait_for_card").and_then(Value::as_bool) {
            self.options.wait_for_card = wait;
        }
        self.ask_till(verb, out);
        if let Some(tap) = verb.get("tap") {
            if let Some(pan) = tap.as_str() {
                self.options.pan = pan.to_owned();
            }
            self.tapped(now, out);
        }
    }

    fn request(&mut self, now: Mono, body: &[u8], out: &mut Out) {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let outer = message::inside(&message);
        let opened = match (&self.secret, outer.get("NexoBlob")) {
            (Some(secret), Some(_)) => {
                secret.keys().open(outer).ok().and_then(|plain| serde_json::from_slice(&plain).ok())
            }
            (None, None) => Some(message.clone()),
            (Some(_), None) | (None, Some(_)) => None,
        };
        let Some(opened) = opened.filter(|_| self.behaviour != Behaviour::Reject) else {
            return self.reject(out);
        };
        let inside = message::inside(&opened);
        let header = at(inside, "MessageHeader").clone();
        if at(&header, "MessageType") == "Response" {
            return self.heed(inside);
        }
        match at(&header, "MessageCategory").as_str() {
            Some("Payment") => self.payment(now, &header, at(inside, "PaymentRequest"), out),
            Some("Reversal") => {
                let response = self.reversal(at(inside, "ReversalRequest"));
                if self.reversals.len() >= PAYMENTS_MAX {
                    self.reversals.pop_front();
                }
                let service = at(&header, "ServiceID").as_str().unwrap_or("").to_owned();
                self.reversals.push_back((service, response.clone()));
                match self.behaviour {
                    Behaviour::HangUpAfterAnswer => out.close(),
                    Behaviour::Hang => {}
                    Behaviour::Approve | Behaviour::Garbage | Behaviour::Reject => {
                        self.say(&header, "Reversal", response, out);
                    }
                }
            }
            Some("TransactionStatus") => {
                let response = self.status(at(inside, "TransactionStatusRequest.MessageReference"));
                self.say(&header, "TransactionStatus", response, out);
            }
            Some("Abort") => {
                self.abort(at(inside, "AbortRequest.MessageReference"));
                self.say(&header, "Abort", json!({"Response": {"Result": "Success"}}), out);
            }
            Some("Diagnosis") => {
                let response = json!({"Response": {"Result": "Success"}, "POIStatus": {"GlobalStatus": "OK"}});
                self.say(&header, "Diagnosis", response, out);
            }
            Some(_) | None => self.reject(out),
        }
    }

    fn payment(&mut self, now: Mono, header: &Value, request: &Value, out: &mut Out) {
        if self.waits.is_some() {
            return self.say(header, "Payment", failure("Busy"), out);
        }
        let amounts = at(request, "PaymentTransaction.AmountsReq");
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        self.made += 1;
        if self.payments.len() >= PAYMENTS_MAX {
            self.payments.pop_front();
        }
        self.payments.push_back(Payment {
            service: text(at(header, "ServiceID")),
            transaction: format!("SIM{:013}.{:016}", self.made, self.made),
            sale: at(request, "SaleData").clone(),
            amount: at(amounts, "RequestedAmount").clone(),
            currency: text(at(amounts, "Currency")),
            refund: at(request, "PaymentData.PaymentType") == "Refund",
            fate: Fate::Open,
            answer: Value::Null,
            pan: TruncatedPan::of(&self.options.pan),
        });
        self.wanted = true;
        let until = (!self.options.wait_for_card).then(|| now.plus_ms(self.options.tap_ms));
        self.waits = Some((header.clone(), until));
        if let Some(until) = until {
            out.wake_at(until);
        }
    }

    /// The card has been there: what comes of it.
    fn tapped(&mut self, _now: Mono, out: &mut Out) {
        let Some((header, _)) = self.waits.take() else { return };
        let pan = TruncatedPan::of(&self.options.pan);
        let declined = self.declines.clone();
        let Some(payment) = self.payments.back_mut() else { return };
        payment.pan = pan;
        let (fate, answer) = match &declined {
            Some(condition) => (Fate::Declined, failure(condition)),
            None if payment.refund => (Fate::Refunded, payment.approved()),
            None => (Fate::Captured, payment.approved()),
        };
        payment.fate = fate;
        payment.answer = answer.clone();
        if !core::mem::take(&mut self.wanted) {
            return;
        }
        match self.behaviour {
            Behaviour::Approve | Behaviour::Reject => self.say(&header, "Payment", answer, out),
            Behaviour::HangUpAfterAnswer => out.close(),
            Behaviour::Hang => {}
            Behaviour::Garbage => out.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{\"Sale\xff\":"),
        }
    }

    fn abort(&mut self, reference: &Value) {
        let open = self.payments.back_mut().filter(|payment| payment.fate == Fate::Open);
        if let Some(payment) = open.filter(|payment| at(reference, "ServiceID") == payment.service.as_str()) {
            payment.fate = Fate::Declined;
            payment.answer = failure("Aborted");
            self.waits = None;
            self.wanted = false;
        }
    }

    fn status(&self, reference: &Value) -> Value {
        if at(reference, "MessageCategory") == "Reversal" {
            let mut known = self.reversals.iter().rev();
            let found = known.find(|(service, _)| at(reference, "ServiceID") == service.as_str());
            return found.map_or_else(
                || failure("NotFound"),
                |(_, answer)| {
                    json!({
                        "Response": {"Result": "Success"},
                        "MessageReference": reference,
                        "RepeatedMessageResponse": {"RepeatedResponseMessageBody": {"ReversalResponse": answer}},
                    })
                },
            );
        }
        let found = self.payments.iter().rev().find(|payment| at(reference, "ServiceID") == payment.service.as_str());
        match found {
            None => failure("NotFound"),
            Some(payment) if payment.fate == Fate::Open => failure("InProgress"),
            Some(payment) => json!({
                "Response": {"Result": "Success"},
                "MessageReference": reference,
                "RepeatedMessageResponse": {"RepeatedResponseMessageBody": {"PaymentResponse": payment.answer}},
            }),
        }
    }

    fn reversal(&mut self, request: &Value) -> Value {
        let wanted = at(request, "OriginalPOITransaction.POITransactionID.TransactionID");
        let found = self.payments.iter_mut().find(|payment| *wanted == payment.transaction.as_str());
        match found {
            Some(payment) if payment.fate == Fate::Captured => {
                payment.fate = Fate::Reversed;
                json!({
                    "Response": {"Result": "Success"},
                    "POIData": {"POITransactionID": payment.named()},
                    "ReversedAmount": payment.amount,
                })
            }
            Some(_) => failure("NotAllowed"),
            None => failure("NotFound"),
        }
    }

    fn say(&mut self, header: &Value, category: &str, response: Value, out: &mut Out) {
        let mut answered = header.as_object().cloned().unwrap_or_default();
        answered.insert("MessageType".into(), json!("Response"));
        self.post("SaleToPOIResponse", Value::Object(answered), &format!("{category}Response"), response, out);
    }

    fn post(&self, envelope: &str, header: Value, name: &str, body: Value, out: &mut Out) {
        let mut inside = Map::new();
        inside.insert("MessageHeader".into(), header.clone());
        inside.insert(name.into(), body);
        let plain = json!({ envelope: inside }).to_string();
        let body = match &self.secret {
            Some(secret) => secret.keys().seal(envelope, &header, &plain),
            None => plain,
        };
        self.send(&body, out);
    }

    /// While a card is wanted it may have something shown or printed by the till, or ask it something: `{"show": "…"}`,
    /// `{"print": ["…"]}`, `{"ask": "GetConfirmation", "text": "…"}`.
    fn ask_till(&self, verb: &Value, out: &mut Out) {
        let text = |value: &Value| {
            let lines: Vec<&Value> = value.as_array().map_or_else(|| vec![value], |lines| lines.iter().collect());
            let lines: Vec<Value> = lines.iter().map(|line| json!({"Text": line})).collect();
            json!({"OutputFormat": "Text", "OutputText": lines})
        };
        let shown =
            |content: Value| json!({"Device": "CustomerDisplay", "InfoQualify": "Display", "OutputContent": content});
        let (category, body) = match (verb.get("show"), verb.get("print"), verb.get("ask")) {
            (Some(show), _, _) => ("Display", json!({"DisplayOutput": [shown(text(show))]})),
            (_, Some(print), _) => {
                let qualifier = "CustomerReceipt";
                let output =
                    json!({"DocumentQualifier": qualifier, "ResponseMode": "PrintEnd", "OutputContent": text(print)});
                ("Print", json!({ "PrintOutput": output }))
            }
            (_, _, Some(command)) => {
                let data = json!({"Device": "CustomerInput", "InfoQualify": "Input", "InputCommand": command});
                ("Input", json!({"DisplayOutput": shown(text(at(verb, "text"))), "InputData": data}))
            }
            (None, None, None) => return,
        };
        let Some((header, _)) = self.waits.as_ref().filter(|_| self.wanted) else { return };
        let mut header = header.as_object().cloned().unwrap_or_default();
        header.insert("MessageClass".into(), json!("Device"));
        header.insert("MessageCategory".into(), json!(category));
        header.insert("DeviceID".into(), json!((self.told.len() + 1).to_string()));
        self.post("SaleToPOIRequest", Value::Object(header), &format!("{category}Request"), body, out);
    }

    fn heed(&mut self, inside: &Value) {
        let responses = ["DisplayResponse.OutputResult.0", "PrintResponse", "InputResponse.InputResult"];
        let category = at(inside, "MessageHeader.MessageCategory");
        let of = |path: &str| match path.strip_suffix(".0") {
            Some(list) => at(inside, list).get(0).unwrap_or(&Value::Null).clone(),
            None => at(inside, path).clone(),
        };
        let response = responses.into_iter().map(of).find(|response| !response.is_null()).unwrap_or_default();
        if self.told.len() >= TOLD_MAX {
            self.told.pop_front();
        }
        let (result, condition) = (at(&response, "Response.Result"), at(&response, "Response.ErrorCondition"));
        self.told.push_back(json!({"category": category, "result": result, "condition": condition}));
    }

    fn reject(&self, out: &mut Out) {
        let body = json!({"SaleToPOIRequest": {
            "MessageHeader": {
                "ProtocolVersion": "3.0", "MessageClass": "Event", "MessageCategory": "Event",
                "MessageType": "Notification", "SaleID": "N/A", "POIID": "N/A",
            },
            "EventNotification": {
                "EventToNotify": "Reject", "TimeStamp": "2026-01-01T00:00:00.000Z",
                "RejectedMessage": "", "EventDetails": "message=Message+cannot+be+read",
            },
        }});
        self.send(&body.to_string(), out);
    }

    fn send(&self, body: &str, out: &mut Out) {
        let length = body.len();
        let answer =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}");
        out.send(answer.as_bytes());
    }
}

impl Payment {
    fn named(&self) -> Value {
        json!({"TransactionID": self.transaction, "TimeStamp": "2026-01-01T00:00:00.000Z"})
    }

    fn approved(&self) -> Value {
        let masked = self.pan.as_str().replacen("******", " **** ", 1);
        json!({
            "Response": {"Result": "Success"},
            "SaleData": self.sale,
            "POIData": {"POITransactionID": self.named(), "POIReconciliationID": "1000"},
            "PaymentResult": {
                "OnlineFlag": true,
                "AmountsResp": {"AuthorizedAmount": self.amount, "Currency": self.currency},
                "PaymentInstrumentData": {
                    "PaymentInstrumentType": "Card",
                    "CardData": {"MaskedPan": masked, "PaymentBrand": "visa", "EntryMode": ["Tapped"]},
                },
                "PaymentAcquirerData": {"MerchantID": "SIM", "AcquirerPOIID": "SIM", "ApprovalCode": "123456"},
            },
            "PaymentReceipt": [{
                "DocumentQualifier": "CustomerReceipt",
                "OutputContent": {"OutputFormat": "Text", "OutputText": [
                    {"Text": "name=Auth.%20code&value=123456&key=authCode", "EndOfLineFlag": true},
                    {"Text": "name=APPROVED&key=approved", "EndOfLineFlag": true},
                ]},
            }],
        })
    }
}

fn failure(condition: &str) -> Value {
    json!({"Response": {"Result": "Failure", "ErrorCondition": condition}})
}

impl Sim for NexoSim {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        match input {
            SimIn::Connected => {
                self.connected = true;
                self.inbox.clear();
            }
            SimIn::Disconnected => {
                self.connected = false;
                self.wanted = false;
            }
            SimIn::Bytes(bytes) => {
                self.inbox.extend_from_slice(bytes);
                loop {
                    match http::read(&self.inbox) {
                        Read::More if self.inbox.len() <= INBOX_MAX => break,
                        Read::Whole(_, body, used) => {
                            self.inbox.drain(..used.min(self.inbox.len()));
                            self.request(now, &body, out);
                        }
                        Read::More | Read::Nonsense => {
                            self.inbox.clear();
                            out.close();
                            break;
                        }
                    }
                }
            }
            SimIn::Control(verb) => self.control(now, verb, out),
            SimIn::Timeout => {}
        }
        if let Some((_, Some(until))) = &self.waits {
            if now >= *until {
                self.tapped(now, out);
            } else {
                out.wake_at(*until);
            }
        }
    }

    fn state(&self) -> Value {
        let charges: Vec<Value> = self
            .payments
            .iter()
            .filter(|payment| !payment.refund && matches!(payment.fate, Fate::Captured | Fate::Reversed))
            .map(|payment| {
                json!({
                    "amount": message::minor(&payment.amount, &payment.currency).map(|amount| amount.0),
                    "service_id": payment.service,
                    "state": if payment.fate == Fate::Reversed { "reversed" } else { "captured" },
                })
            })
            .collect();
        let refunds = self.payments.iter().filter(|payment| payment.fate == Fate::Refunded);
        let refunds: Vec<Option<i64>> =
            refunds.map(|payment| message::minor(&payment.amount, &payment.currency).map(|amount| amount.0)).collect();
        json!({
            "connected": self.connected,
            "wants_card": self.waits.is_some(),
            "charges": charges,
            "refunds": refunds,
            "told": self.told,
        })
    }
}
