//! nexo retailer messages in Adyen's dialect: what is asked, and what an answer proves.

use crate::terminal::{self, alias, decimal, trace};
use checkout::device::{CardOutcome, CardSlip, LastPayment};
use checkout::words::{Money, TenderId, TruncatedPan, Utc};
use serde_json::{Value, json};

/// In the order of the specification; a decline is told by its place, from 1.
pub const ERROR_CONDITIONS: [&str; 17] = [
    "Aborted",
    "Busy",
    "Cancel",
    "DeviceOut",
    "InProgress",
    "InsertedCard",
    "InvalidCard",
    "LoggedOut",
    "MessageFormat",
    "NotAllowed",
    "NotFound",
    "PaymentRestriction",
    "Refusal",
    "UnavailableDevice",
    "UnavailableService",
    "UnreachableHost",
    "WrongPIN",
];

/// 0 for a condition that is none of the specification's.
pub fn code(condition: &str) -> u8 {
    let place = ERROR_CONDITIONS.iter().position(|known| *known == condition);
    place.and_then(|place| u8::try_from(place + 1).ok()).unwrap_or(0)
}

/// Names one message for 48 hours: ten characters that follow from the tender, so that it is known after a crash.
/// `turn` is 0 for the payment itself, anything else for the questions about it.
pub(super) fn service_id(tender: &TenderId, turn: u64) -> String {
    alias(tender, turn, 10)
}

/// A decimal number to minor units; `None` where it has more places than the currency, or is no such number.
pub fn minor(number: &Value, currency: &str) -> Option<Money> {
    terminal::minor(&number.as_number()?.to_string(), currency)
}

/// Who speaks with whom.
pub(super) struct Parties {
    pub sale: String,
    pub poi: String,
    pub currency: String,
}

/// One request: category, ServiceID and the body's JSON.
pub(super) struct Request {
    pub category: &'static str,
    pub id: String,
    pub body: String,
}

impl Parties {
    pub(super) fn header(&self, request: &Request) -> Value {
        json!({
            "ProtocolVersion": "3.0",
            "MessageClass": "Service",
            "MessageCategory": request.category,
            "MessageType": "Request",
            "ServiceID": request.id,
            "SaleID": self.sale,
            "POIID": self.poi,
        })
    }

    /// The whole message before it is sealed.
    pub(super) fn message(&self, request: &Request) -> String {
        let (header, category, body) = (self.header(request), request.category, &request.body);
        format!(r#"{{"SaleToPOIRequest":{{"MessageHeader":{header},"{category}Request":{body}}}}}"#)
    }

    /// `None` for an amount that cannot be asked for. The amount is written as text: no binary fraction comes near it.
    pub(super) fn payment(&self, tender: &TenderId, amount: Money, at: Utc, refund: bool) -> Option<Request> {
        let sale = json!({"SaleTransactionID": {"TransactionID": tender.0, "TimeStamp": timestamp(at)}});
        let currency = json!(self.currency);
        let amount = decimal(amount, &self.currency)?;
        let kind = if refund { r#","PaymentData":{"PaymentType":"Refund"}"# } else { "" };
        let body = format!(
            r#"{{"SaleData":{sale},"PaymentTransaction":{{"AmountsReq":{{"Currency":{currency},"RequestedAmount":{amount}}}}}{kind}}}"#
        );
        Some(Request { category: "Payment", id: service_id(tender, 0), body })
    }

    /// `None` where the slip does not name a payment of such a terminal.
    pub(super) fn reversal(&self, tender: &TenderId, of: &CardSlip) -> Option<Request> {
        let (transaction, time) = of.reference.split_once('@')?;
        let body = json!({
            "OriginalPOITransaction": {
                "POITransactionID": {"TransactionID": transaction, "TimeStamp": time},
                "POIID": self.poi,
                "SaleID": self.sale,
            },
            "ReversalReason": "MerchantCancel",
        });
        Some(Request { category: "Reversal", id: service_id(tender, 0), body: body.to_string() })
    }

    fn reference(&self, tender: &TenderId, category: &str) -> Value {
        json!({
            "MessageCategory": category,
            "ServiceID": service_id(tender, 0),
            "SaleID": self.sale,
            "POIID": self.poi,
        })
    }

    /// `category` of the message that is asked about: Payment or Reversal.
    pub(super) fn status(&self, tender: &TenderId, category: &str, turn: u64) -> Request {
        let body = json!({"ReceiptReprintFlag": false, "MessageReference": self.reference(tender, category)});
        Request { category: "TransactionStatus", id: service_id(tender, turn), body: body.to_string() }
    }

    pub(super) fn abort(&self, tender: &TenderId, turn: u64) -> Request {
        let body = json!({"AbortReason": "MerchantAbort", "MessageReference": self.reference(tender, "Payment")});
        Request { category: "Abort", id: service_id(tender, turn), body: body.to_string() }
    }

    pub(super) fn diagnosis(&self, tender: &TenderId, turn: u64, hosts: bool) -> Request {
        let body = json!({"HostDiagnosisFlag": hosts});
        Request { category: "Diagnosis", id: service_id(tender, turn), body: body.to_string() }
    }
}

/// Longer than any name of a message.
const ID_MAX: usize = 40;

/// The header of what answers a request with that header.
pub(super) fn answering(request: &Value) -> Value {
    let said = ["MessageClass", "MessageCategory", "ServiceID", "DeviceID", "SaleID", "POIID"].into_iter().filter_map(
        |name| {
            let text = at(request, name).as_str().filter(|text| text.len() <= ID_MAX)?;
            Some((name.to_owned(), json!(text)))
        },
    );
    let ours =
        [("ProtocolVersion", "3.0"), ("MessageType", "Response")].map(|(name, text)| (name.to_owned(), json!(text)));
    Value::Object(said.chain(ours).collect())
}

/// The whole answer before it is sealed.
pub(super) fn response(header: &Value, category: &str, body: &Value) -> String {
    format!(r#"{{"SaleToPOIResponse":{{"MessageHeader":{header},"{category}Response":{body}}}}}"#)
}

/// `2026-01-02T03:04:05.000Z`; days to a date as Howard Hinnant's `civil_from_days` does.
pub(super) fn timestamp(at: Utc) -> String {
    let (days, millis) = (at.0.div_euclid(86_400_000), at.0.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hours, minutes, seconds) = (millis / 3_600_000, millis / 60_000 % 60, millis / 1_000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}Z", millis % 1_000)
}

/// What stands at a path such as `Response.Result`; null where nothing does.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// What stands in the envelope, or the message itself where there is none.
pub(super) fn inside(message: &Value) -> &Value {
    message.get("SaleToPOIResponse").or_else(|| message.get("SaleToPOIRequest")).unwrap_or(message)
}

/// What the body of an answer to a payment, refund or reversal proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    Outcome(CardOutcome),
    /// Still at work.
    InProgress,
    NotFound,
    /// Neither approved nor refused in words we know.
    Nothing,
}

/// `body` is a PaymentResponse or ReversalResponse. `asked` counts where a reversal leaves its amount out.
pub(super) fn proof(body: &Value, currency: &str, tender: &TenderId, poi: &str, asked: Option<Money>) -> Proof {
    let response = at(body, "Response");
    match at(response, "Result").as_str() {
        Some("Success" | "Partial") => {
            let result = at(body, "PaymentResult");
            let amounts = at(result, "AmountsResp");
            let said = at(amounts, "Currency").as_str().unwrap_or(currency);
            let amount = match (at(amounts, "AuthorizedAmount"), at(body, "ReversedAmount")) {
                (Value::Null, Value::Null) => asked,
                (Value::Null, reversed) => minor(reversed, currency),
                (amount, _) => minor(amount, currency),
            };
            match amount.filter(|_| said == currency) {
                Some(amount) => Proof::Outcome(CardOutcome::Approved(slip(body, amount, tender, poi))),
                None => Proof::Nothing,
            }
        }
        Some("Failure") => match at(response, "ErrorCondition").as_str().unwrap_or("") {
            "InProgress" => Proof::InProgress,
            "NotFound" => Proof::NotFound,
            condition => Proof::Outcome(CardOutcome::Declined { code: code(condition) }),
        },
        Some(_) | None => Proof::Nothing,
    }
}

/// What TransactionStatus says of the payment it was asked about; `None` while that is in progress.
pub(super) fn remembered(body: &Value, currency: &str, tender: &TenderId, poi: &str) -> Option<LastPayment> {
    match (at(body, "Response.Result").as_str(), at(body, "RepeatedMessageResponse.RepeatedResponseMessageBody")) {
        (Some("Success"), Value::Object(repeated)) => {
            let inner = repeated.get("PaymentResponse").or_else(|| repeated.get("ReversalResponse"));
            match inner.map(|inner| proof(inner, currency, tender, poi, None)) {
                Some(Proof::Outcome(CardOutcome::Approved(slip))) => Some(LastPayment::Approved(slip)),
                Some(Proof::Outcome(CardOutcome::Declined { .. })) => Some(LastPayment::Nothing),
                Some(Proof::InProgress) => None,
                Some(Proof::NotFound | Proof::Nothing) | None => Some(LastPayment::Unknown),
            }
        }
        (Some("Failure"), _) => match at(body, "Response.ErrorCondition").as_str() {
            Some("InProgress") => None,
            Some("NotFound") => Some(LastPayment::Nothing),
            Some(_) | None => Some(LastPayment::Unknown),
        },
        _ => Some(LastPayment::Unknown),
    }
}

fn slip(body: &Value, amount: Money, tender: &TenderId, poi: &str) -> CardSlip {
    let transaction = at(body, "POIData.POITransactionID");
    let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
    let instrument = at(body, "PaymentResult.PaymentInstrumentData.CardData");
    let reference = match (at(transaction, "TransactionID").as_str(), at(transaction, "TimeStamp").as_str()) {
        (Some(id), Some(time)) => format!("{id}@{time}"),
        _ => String::new(),
    };
    CardSlip {
        amount,
        trace: trace(tender),
        receipt: 0,
        terminal: poi.to_owned(),
        pan: at(instrument, "MaskedPan").as_str().map(truncated),
        scheme: text(at(instrument, "PaymentBrand")),
        reference,
        text: receipt(body),
        offline: at(body, "PaymentResult.OnlineFlag").as_bool() == Some(false),
    }
}

/// As terminals write it, `411111 **** 1111`, or whole.
pub(super) fn truncated(shown: &str) -> TruncatedPan {
    let kept: String = shown.chars().filter(|c| !c.is_whitespace()).collect();
    TruncatedPan::of(&kept)
}

/// The shopper's slip, or the merchant's where there is no other.
pub(super) fn receipt(body: &Value) -> Vec<String> {
    let receipts = at(body, "PaymentReceipt").as_array().map_or(&[][..], Vec::as_slice);
    let of = |kind: &str| receipts.iter().find(|receipt| at(receipt, "DocumentQualifier") == kind);
    let chosen = of("CustomerReceipt").or_else(|| of("CashierReceipt"));
    chosen.map(|receipt| lines(at(receipt, "OutputContent"))).unwrap_or_default()
}

const LINES_MAX: usize = 200;

/// Texts of an OutputContent. Adyen writes `name=Card&value=%2a1111&key=pan`, others plain text.
pub(super) fn lines(content: &Value) -> Vec<String> {
    let texts = at(content, "OutputText").as_array().map_or(&[][..], Vec::as_slice);
    let shown = texts.iter().filter_map(|text| at(text, "Text").as_str()).map(|text| {
        let part = |name: &str| {
            let found = text.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map(percent_decoded).unwrap_or_default()
        };
        let line = if text.contains("key=") || text.starts_with("name=") {
            format!("{} {}", part("name"), part("value"))
        } else {
            text.to_owned()
        };
        crate::digits::hide(line.trim())
    });
    shown.take(LINES_MAX).collect()
}

pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = match after {
            [high, low, ..] if *first == b'%' => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                digit(high).zip(digit(low)).and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if escaped.is_some() { after.get(2..).unwrap_or(&[]) } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_go_through_text_only() {
        assert_eq!(decimal(Money(1099), "EUR").as_deref(), Some("10.99"));
        assert_eq!(decimal(Money(5), "EUR").as_deref(), Some("0.05"));
        assert_eq!(decimal(Money(500), "JPY").as_deref(), Some("500"));
        assert_eq!(decimal(Money(1_234), "KWD").as_deref(), Some("1.234"));
        assert_eq!(decimal(Money(0), "EUR"), None);
        assert_eq!(decimal(Money(-1), "EUR"), None);
        for (text, currency, expected) in [
            ("10.99", "EUR", Some(1099)),
            ("1", "EUR", Some(100)),
            ("0.1", "EUR", Some(10)),
            ("48.320", "EUR", Some(4832)),
            ("1.005", "EUR", None),
            ("-1", "EUR", None),
            ("1e3", "JPY", Some(1000)),
            ("99999999999999999", "EUR", None),
        ] {
            let number: Value = serde_json::from_str(text).expect("a number");
            assert_eq!(minor(&number, currency), expected.map(Money), "{text}");
        }
    }

    #[test]
    fn a_service_id_follows_from_the_tender() {
        let tender: TenderId = "box-1-2-abc-7.1".into();
        let id = service_id(&tender, 0);
        assert!(id.len() == 10 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert_eq!(id, service_id(&tender, 0));
        assert_ne!(id, service_id(&tender, 1));
        assert_ne!(id, service_id(&"box-1-2-abc-7.2".into(), 0));
        assert_ne!(trace(&tender), trace(&"baseline".into()));
    }

    #[test]
    fn times_and_escapes_are_written_and_read() {
        assert_eq!(timestamp(Utc(1_767_323_045_678)), "2026-01-02T03:04:05.678Z");
        assert_eq!(timestamp(Utc(951_782_400_000)), "2000-02-29T00:00:00.000Z");
        assert_eq!(percent_decoded("%e2%82%ac%c2%a01.00+x%2"), "€\u{a0}1.00 x%2");
        assert_eq!(truncated("411111 **** 1111").as_str(), "411111****1111");
        assert_eq!((code("Aborted"), code("WrongPIN"), code("x")), (1, 17, 0));
    }
}
