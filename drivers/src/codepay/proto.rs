//! Protocol buffers, as much as these messages need: fields in order, texts, booleans and messages in messages.

const VARINT: u64 = 0;
const FIXED64: u64 = 1;
const BYTES: u64 = 2;
const FIXED32: u64 = 5;

/// Texts that are empty are left out, as the format wants it.
#[derive(Debug, Default)]
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn text(&mut self, field: u64, text: &str) -> &mut Self {
        if !text.is_empty() {
            self.bytes(field, text.as_bytes());
        }
        self
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) -> &mut Self {
        self.varint((field << 3) | BYTES);
        self.varint(u64::try_from(bytes.len()).unwrap_or(0));
        self.0.extend_from_slice(bytes);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value > 0x7F {
            self.0.push(u8::try_from(value & 0x7F).unwrap_or(0) | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or(0));
    }

    pub(super) fn done(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// A message's fields in their order; `None` where it is none.
pub(super) fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Value<'_>)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let value = match key & 7 {
            VARINT => Value::Number(varint(&mut bytes)?),
            BYTES => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                Value::Bytes(take(&mut bytes, length)?)
            }
            FIXED64 => Value::Bytes(take(&mut bytes, 8)?),
            FIXED32 => Value::Bytes(take(&mut bytes, 4)?),
            _ => return None,
        };
        fields.push((key >> 3, value));
    }
    Some(fields)
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F).checked_shl(place * 7)?;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// What the terminal says; texts that are not there are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub topic: String,
    pub request: String,
    pub app: String,
    /// Of an answer; a request has its time in its place.
    pub success: Option<bool>,
    pub time: String,
    pub error: String,
    pub biz: Option<Vec<(u64, String)>>,
}

/// Fields of the business data of an answer.
pub(super) mod answer {
    pub(crate) const ORDER: u64 = 1;
    pub(crate) const AMOUNT: u64 = 2;
    pub(crate) const TRANSACTION: u64 = 3;
    pub(crate) const CURRENCY: u64 = 4;
    pub(crate) const TYPE: u64 = 5;
    pub(crate) const STATUS: u64 = 7;
    pub(crate) const METHOD: u64 = 10;
}

/// Fields of the business data of a request.
pub(super) mod request {
    pub(crate) const ORDER: u64 = 1;
    pub(crate) const ORIGINAL: u64 = 2;
    pub(crate) const CURRENCY: u64 = 3;
    pub(crate) const AMOUNT: u64 = 4;
    pub(crate) const TYPE: u64 = 7;
    pub(crate) const CATEGORY: u64 = 8;
    pub(crate) const EXPIRES: u64 = 14;
}

impl Message {
    /// `None` for bytes that are no such message. Fields it does not know are passed over.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut message = Self::default();
        for (field, value) in fields(bytes)? {
            match (field, value) {
                (1, Value::Bytes(text)) => message.topic = lossy(text),
                (2, Value::Bytes(text)) => message.request = lossy(text),
                (3, Value::Bytes(text)) => message.app = lossy(text),
                (4, Value::Number(flag)) => message.success = Some(flag != 0),
                (4, Value::Bytes(text)) => message.time = lossy(text),
                (5, Value::Bytes(text)) => message.error = lossy(text),
                (6, Value::Bytes(inner)) => {
                    let told = fields(inner)?.into_iter().filter_map(|(field, value)| match value {
                        Value::Bytes(text) => Some((field, lossy(text))),
                        Value::Number(_) => None,
                    });
                    message.biz = Some(told.collect());
                }
                _ => {}
            }
        }
        Some(message)
    }

    /// A false flag is not sent at all, so an answer without one failed.
    pub(super) fn succeeded(&self) -> bool {
        self.success == Some(true)
    }

    pub(super) fn biz(&self, field: u64) -> &str {
        let found = self.biz.iter().flatten().find(|(known, _)| *known == field);
        found.map_or("", |(_, text)| text.as_str())
    }
}

fn lossy(bytes: &[u8]) -> String {
    crate::digits::hide(&String::from_utf8_lossy(bytes).replace(char::is_control, " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_they_were_written_and_cut_ones_are_not() {
        let mut writer = Writer::default();
        let long = "x".repeat(300);
        let bytes = writer.text(1, "abc").text(2, "").bytes(20, long.as_bytes()).done();
        assert_eq!(bytes[..5], [0x0A, 3, b'a', b'b', b'c']);
        assert_eq!(fields(&bytes), Some(vec![(1, Value::Bytes(b"abc")), (20, Value::Bytes(long.as_bytes()))]));
        assert_eq!(fields(&bytes[..bytes.len() - 1]), None);
        assert_eq!(fields(&[0x20, 1]), Some(vec![(4, Value::Number(1))]));
        assert_eq!(fields(&[0xFF; 11]), None);
        assert_eq!(fields(&[0x0B]), None);
    }
}
