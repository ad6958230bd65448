//! `aisled classify`: what scans mean, a line in and a line of JSON out, for those who connect a scanner or check our reading.

use anyhow::Result;
use checkout::device::Scan;
use checkout::scan::gs1::Ais;
use checkout::scan::{Code, ItemCode, Refusal, ScanRules, classify, elements};
use serde::Serialize;
use std::io::{BufRead, ErrorKind, Write};

/// As much as a scanner's frame may hold; symbols hold less.
const LINE_MAX: usize = 4096;

#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Lines are hexadecimal.
    pub hex: bool,
    /// A tender is open: wallet codes count.
    pub paying: bool,
    pub rules: ScanRules,
}

#[derive(Debug, Default, Serialize)]
struct Answer {
    ok: bool,
    kind: &'static str,
    /// Fourteen digits.
    gtin: Option<String>,
    /// What the catalogue knows the goods by.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// What a coupon, receipt, pass or order says; wallet codes and badges are nobody's to print.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight_g: Option<u32>,
    /// Minor units.
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<i64>,
    ais: Ais,
    error: Option<String>,
}

/// Answers every line of `input` until it ends or nobody listens any more.
///
/// # Errors
/// Input that cannot be read, output that cannot be written.
pub fn run(mut input: impl BufRead, mut output: impl Write, options: &Options) -> Result<()> {
    let mut line = Vec::new();
    while let Some(whole) = next_line(&mut input, &mut line)? {
        let answer = if whole { answer(&line, options) } else { refused("too_long", "the line is longer than a scan") };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        match output.write_all(&text).and_then(|()| output.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

/// The next line without its end; `Some(false)`: it was longer than a scan, and is skipped. `None`: no more.
fn next_line(input: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<Option<bool>> {
    line.clear();
    let (mut any, mut whole) = (false, true);
    loop {
        let ready = match input.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            ready => ready?,
        };
        if ready.is_empty() {
            return Ok(any.then_some(whole));
        }
        any = true;
        let end = ready.iter().position(|byte| *byte == b'\n');
        let part = ready.get(..end.unwrap_or(ready.len())).unwrap_or_default();
        whole = whole && line.len() + part.len() <= LINE_MAX;
        if whole {
            line.extend_from_slice(part);
        }
        let used = end.map_or(part.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Some(whole));
        }
    }
}

fn answer(line: &[u8], options: &Options) -> Answer {
    if !options.hex {
        return of(&scan(line), options);
    }
    match unhex(line) {
        Some(bytes) => of(&scan(&bytes), options),
        None => refused("not_hex", "not pairs of hexadecimal digits"),
    }
}

fn unhex(line: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|value| u8::try_from(value).ok());
    let digits: Option<Vec<u8>> = line.iter().filter(|byte| !byte.is_ascii_whitespace()).map(digit).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2))?;
    Some(digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect())
}

/// Splits the symbology identifier off; in GS1 symbols `^` may stand for the separator, which is hard to type.
fn scan(line: &[u8]) -> Scan {
    let aim: Option<[u8; 2]> = line.strip_prefix(b"]").and_then(|rest| rest.first_chunk().copied());
    let mut data = line.get(if aim.is_some() { 3 } else { 0 }..).unwrap_or_default().to_vec();
    if matches!(aim.as_ref(), Some(b"C1" | b"e0" | b"d2" | b"Q3" | b"J1" | b"E0" | b"E4")) && !data.contains(&0x1d) {
        data.iter_mut().filter(|byte| **byte == b'^').for_each(|byte| *byte = 0x1d);
    }
    Scan { aim, data }
}

fn of(scan: &Scan, options: &Options) -> Answer {
    let read = elements(scan, &options.rules);
    let (ais, fault) = match read {
        Some(Ok(elements)) => (elements.into_ais(), None),
        Some(Err(fault)) => (Ais::new(), Some(fault.to_string())),
        None => (Ais::new(), None),
    };
    let good = |kind: &'static str| Answer { ok: true, kind, ..Answer::default() };
    let named = |kind: &'static str, code: String| Answer { code: Some(code), ..good(kind) };
    let told = match classify(scan, &options.rules, options.paying) {
        Code::Item(item) => item_answer(item),
        Code::Member(code) => named("member", code),
        Code::Coupon(coupon) => named("coupon", coupon.code),
        Code::Staff(_) => good("staff"),
        Code::Receipt(code) => named("receipt", code),
        Code::ExitPass(code) => named("exit_pass", code),
        Code::Order(code) => named("order", code),
        Code::Gs1(_) => good("gs1"),
        Code::Wallet { .. } => good("wallet"),
        Code::Refused(Refusal::Unrecognised | Refusal::Empty) if is_text(scan) => good("text"),
        Code::Refused(reason) => refusal(reason, fault),
    };
    Answer { ais: if told.ok { ais } else { Ais::new() }, ..told }
}

/// Read well, and of a symbology that promises nothing about its data: any text but a web address that should be a link.
fn is_text(scan: &Scan) -> bool {
    let plain = matches!(scan.aim.as_ref(), Some(b"Q1" | b"d1" | b"J0"));
    let address = [&b"https://"[..], b"HTTPS://", b"http://", b"HTTP://"].iter().any(|s| scan.data.starts_with(s));
    plain && !address && std::str::from_utf8(&scan.data).is_ok()
}

fn item_answer(item: ItemCode) -> Answer {
    // A store's own code with weight or price in it has no GTIN.
    let own = item.ais.is_empty() && (item.weight_g.is_some() || item.price.is_some());
    Answer {
        ok: true,
        kind: "item",
        gtin: (!own).then(|| item.ais.get("01").cloned().unwrap_or_else(|| format!("{:0>14}", item.key.0))),
        key: Some(item.key.0),
        serial: item.serial,
        weight_g: item.weight_g,
        price: item.price.map(|price| price.0),
        ..Answer::default()
    }
}

fn refusal(reason: Refusal, fault: Option<String>) -> Answer {
    let (kind, error) = match reason {
        Refusal::Unrecognised => ("unrecognised", "not a code of any known form"),
        Refusal::CheckDigit => ("check_digit", "the check digit is wrong"),
        Refusal::Gs1Syntax => ("gs1_syntax", "breaks the syntax of GS1"),
        Refusal::WalletNotNow => ("wallet_not_now", "a payment code while nobody pays"),
        Refusal::Empty => ("empty", "no data"),
        Refusal::NotGoods => ("not_goods", "names neither goods nor a coupon"),
    };
    Answer { error: fault, ..refused(kind, error) }.or_error(error)
}

impl Answer {
    fn or_error(mut self, error: &str) -> Self {
        self.error.get_or_insert_with(|| error.into());
        self
    }
}

fn refused(kind: &'static str, error: &str) -> Answer {
    Answer { kind, error: Some(error.into()), ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(lines: &[u8], options: &Options) -> Vec<Value> {
        let mut out = Vec::new();
        run(lines, &mut out, options).unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn one(line: &str) -> Value {
        told(line.as_bytes(), &Options::default()).remove(0)
    }

    #[test]
    fn goods_are_told_with_gtin_and_identifiers() {
        let expected = json!({"01": "06901234567892", "10": "ABC", "17": "301231"});
        for line in [
            "]C1010690123456789210ABC\u{1d}17301231\r\n",
            "]d2010690123456789210ABC^17301231",
            "^010690123456789210ABC^17301231",
            "(01)06901234567892(10)ABC(17)301231",
            "010690123456789210ABC\u{1d}17301231",
            "]Q1https://example.com/01/06901234567892/10/ABC?17=301231",
        ] {
            let told = one(line);
            assert_eq!(
                (&told["ok"], &told["kind"], &told["error"]),
                (&json!(true), &json!("item"), &Value::Null),
                "{line}"
            );
            assert_eq!((&told["gtin"], &told["ais"]), (&json!("06901234567892"), &expected), "{line}");
        }
        assert_eq!(one("]E06901234567892")["gtin"], "06901234567892");
        assert_eq!(one("^00006141411234567890")["kind"], "gs1");
        assert_eq!(one("]Q1hello")["kind"], "text");
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, kind, error) in [
            ("]C10106901234567893", "check_digit", "AI 01: the check digit is wrong"),
            ("]C1010690123456789217301332", "gs1_syntax", "AI 17: fails the check yymmd0"),
            ("]C10106901234567892250A", "gs1_syntax", "AI 250: needs AI 21"),
            ("6901234567893", "check_digit", "the check digit is wrong"),
            ("134567890123456789", "wallet_not_now", "a payment code while nobody pays"),
            ("hello", "unrecognised", "not a code of any known form"),
            ("", "empty", "no data"),
        ] {
            let told = one(&format!("{line}\n"));
            assert_eq!(
                (&told["ok"], &told["kind"], &told["error"]),
                (&json!(false), &json!(kind), &json!(error)),
                "{line}"
            );
        }
    }

    #[test]
    fn hexadecimal_lines_and_the_stores_own_rules_count() {
        let rules = ScanRules { templates: vec!["21IIIIIWWWWWC".into()], ..ScanRules::default() };
        let options = Options { hex: true, paying: true, rules };
        let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
        let lines = [hex("2112345006789"), hex("134567890123456789"), "zz".into(), "123".into()].join("\n");
        let told = told(lines.as_bytes(), &options);
        assert_eq!(
            (&told[0]["key"], &told[0]["weight_g"], &told[0]["gtin"]),
            (&json!("2112345"), &json!(678), &Value::Null)
        );
        assert_eq!(told[1]["kind"], "wallet");
        assert!(!told[1].to_string().contains("1345"));
        assert_eq!((&told[2]["kind"], &told[3]["kind"]), (&json!("not_hex"), &json!("not_hex")));
    }

    #[test]
    fn any_bytes_get_an_answer_a_line_and_long_lines_do_not_pile_up() {
        let mut lines = vec![b'1'; 3 * LINE_MAX];
        lines.extend_from_slice(b"\n\xff\xfe\x00]\n]C\n]\n6901234567892");
        let told = told(&lines, &Options::default());
        assert_eq!(told.len(), 5);
        assert_eq!(told[0]["kind"], "too_long");
        assert!(told[1..4].iter().all(|answer| answer["ok"] == false));
        assert_eq!(told[4]["ok"], true);
    }
}
