//! What differs from maker to maker on lines of `STX text ETX LRC`: the check byte, the messages, where things stand in them.
//! It is data, read the same from a file beside this one or from the shop's configuration.

use super::frame::Check;
use serde::Deserialize;

/// *POS integrado*, as transbankdevelopers.cl has it.
pub(super) const TRANSBANK: &str = include_str!("transbank.json");

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Profile {
    /// Where the exclusive or of the check byte begins.
    #[serde(default)]
    seed: u8,
    /// Whether it counts the frame's brackets.
    #[serde(default)]
    counts_stx: bool,
    #[serde(default = "yes")]
    counts_etx: bool,
    /// A frame is answered with ACK or NAK within this, and sent again so often.
    #[serde(default = "two_seconds")]
    pub(super) ack_ms: u64,
    #[serde(default = "twice")]
    pub(super) repeats: u32,
    /// Between fields.
    #[serde(default = "bar")]
    pub(super) separator: char,
    /// Is it there? Its ACK is the answer. Asked before money is, where there is such a message.
    pub(super) poll: Option<String>,
    pub(super) sale: Exchange,
    /// The last sale. Without such a question nobody knows what became of a sale, so every profile has it.
    pub(super) last: Exchange,
    pub(super) cancel: Option<Exchange>,
    pub(super) totals: Option<Exchange>,
    pub(super) close: Option<Exchange>,
    pub(super) keys: Option<Exchange>,
    /// Kind of the messages that come while a card is handled; their code says what is going on.
    pub(super) progress: Option<String>,
    /// Result code of a question about the last sale where there is none.
    pub(super) no_sale: Option<u8>,
    #[serde(default = "nine_digits")]
    pub(super) amount_max: i64,
    pub(super) places: Places,
}

/// What is asked and the first field of its answer. In what is asked stand `{amount}` (`{amount:9}` with zeros before it),
/// `{ticket}`, `{voucher}` (1 or 0) and `{operation}`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exchange {
    ask: String,
    pub(super) answer: String,
}

/// Numbers of fields in the answers to a sale and to the question about the last one, counted from 0; 0 is not told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Places {
    /// The result, a number; 0 is approved. Of every answer.
    pub(super) code: usize,
    pub(super) amount: usize,
    /// The terminal's own number of the sale.
    pub(super) operation: usize,
    #[serde(default)]
    pub(super) ticket: usize,
    #[serde(default)]
    pub(super) auth: usize,
    #[serde(default)]
    pub(super) terminal: usize,
    /// The last four digits of the card.
    #[serde(default)]
    pub(super) last4: usize,
    #[serde(default)]
    pub(super) card_kind: usize,
    #[serde(default)]
    pub(super) brand: usize,
    #[serde(default)]
    pub(super) voucher: usize,
    /// In the answer to a cancellation: which sale it was.
    #[serde(default)]
    pub(super) cancelled: usize,
    #[serde(default)]
    pub(super) cancel_auth: usize,
    /// In the answer to the question for totals.
    #[serde(default)]
    pub(super) count: usize,
    #[serde(default)]
    pub(super) sum: usize,
}

/// What may stand in a message that asks.
pub(super) struct Filling<'a> {
    pub(super) amount: i64,
    pub(super) ticket: &'a str,
    pub(super) voucher: bool,
    pub(super) operation: u32,
}

/// More fields than any message has.
const PLACE_MAX: usize = 100;

impl Profile {
    /// # Errors
    /// Says what of the data cannot be right.
    pub(super) fn checked(self) -> Result<Self, String> {
        let exchanges = [
            Some(&self.sale),
            Some(&self.last),
            self.cancel.as_ref(),
            self.totals.as_ref(),
            self.close.as_ref(),
            self.keys.as_ref(),
        ];
        let nothing = Filling { amount: 1, ticket: "T", voucher: false, operation: 1 };
        for exchange in exchanges.into_iter().flatten() {
            let asked = exchange.filled(&nothing)?;
            let first = |text: &str| text.split(self.separator).next().is_some_and(|kind| !kind.is_empty());
            if !first(&asked) || exchange.answer.is_empty() || exchange.answer.contains(self.separator) {
                return Err(format!("ask {asked:?} and its answer must begin with the message's number"));
            }
            if !asked.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic()) {
                return Err(format!("ask {asked:?} must be printable ASCII"));
            }
        }
        if !self.sale.ask.contains("{amount") {
            return Err("sale.ask must hold {amount}".into());
        }
        if self.cancel.as_ref().is_some_and(|cancel| !cancel.ask.contains("{operation}")) {
            return Err("cancel.ask must hold {operation}".into());
        }
        let places = [self.places.code, self.places.amount, self.places.operation];
        if places.iter().any(|place| !(1..PLACE_MAX).contains(place)) {
            return Err("places.code, places.amount and places.operation must be numbers of fields from 1".into());
        }
        if self.cancel.is_some() && self.places.cancelled == 0 {
            return Err("places.cancelled must say where the answer to a cancellation names the sale".into());
        }
        Ok(self)
    }

    pub(super) const fn check(&self) -> Check {
        Check { seed: self.seed, stx: self.counts_stx, etx: self.counts_etx }
    }
}

impl Exchange {
    /// # Errors
    /// Something in braces is none of ours.
    pub(super) fn filled(&self, with: &Filling<'_>) -> Result<String, String> {
        let (mut filled, mut rest) = (String::new(), self.ask.as_str());
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) =
                after.split_once('}').ok_or_else(|| format!("ask {:?}: a brace without its end", self.ask))?;
            filled.push_str(before);
            filled.push_str(&match name {
                "amount" => with.amount.to_string(),
                "ticket" => with.ticket.to_owned(),
                "voucher" => u8::from(with.voucher).to_string(),
                "operation" => with.operation.to_string(),
                _ => match name.strip_prefix("amount:").and_then(|width| width.parse::<usize>().ok()) {
                    Some(width @ 1..=18) => format!("{:0>width$}", with.amount),
                    Some(_) | None => {
                        return Err(format!(
                            "{{{name}}} is none of {{amount}}, {{amount:9}}, {{ticket}}, {{voucher}}, {{operation}}"
                        ));
                    }
                },
            });
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

const fn yes() -> bool {
    true
}

const fn two_seconds() -> u64 {
    2_000
}

const fn twice() -> u32 {
    2
}

const fn bar() -> char {
    '|'
}

const fn nine_digits() -> i64 {
    999_999_999
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(change: impl FnOnce(&mut Value)) -> Result<Profile, String> {
        let mut data: Value = serde_json::from_str(TRANSBANK).map_err(|wrong| wrong.to_string())?;
        change(&mut data);
        serde_json::from_value::<Profile>(data).map_err(|wrong| wrong.to_string())?.checked()
    }

    #[test]
    fn profiles_that_cannot_be_right_are_refused_in_words() {
        assert!(read(|_| {}).is_ok());
        type Change = fn(&mut Value);
        let wrong: [(Change, &str); 8] = [
            (|data| data["no_such"] = json!(1), "no_such"),
            (|data| data["last"] = Value::Null, "null"),
            (|data| data["sale"]["ask"] = json!("0200|{sum}"), "{sum}"),
            (|data| data["sale"]["ask"] = json!("0200|{amount:99}"), "{amount:99}"),
            (|data| data["sale"]["ask"] = json!("0200|"), "{amount}"),
            (|data| data["cancel"]["ask"] = json!("1200|"), "{operation}"),
            (|data| data["places"]["amount"] = json!(0), "places.amount"),
            (|data| data["sale"]["answer"] = json!(""), "answer"),
        ];
        for (change, told) in wrong {
            let refused = read(change).expect_err("a refusal");
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn messages_are_filled_with_the_sale() {
        let filling = Filling { amount: 1250, ticket: "AB12CD", voucher: true, operation: 77 };
        let filled = |ask: &str| Exchange { ask: ask.into(), answer: "x".into() }.filled(&filling);
        assert_eq!(filled("S;{amount:9};{ticket};{voucher}").as_deref(), Ok("S;000001250;AB12CD;1"));
        assert_eq!(filled("V;{operation}").as_deref(), Ok("V;77"));
        assert!(filled("V;{operation").is_err());
    }
}
