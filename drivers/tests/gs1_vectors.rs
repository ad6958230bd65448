//! The whole GS1 reading against the official engine's own cases: every group of `gs1_*.json`, each case.

mod vectors;

use checkout::device::Scan;
use checkout::scan::gs1::{self, Elements, Fault};
use checkout::scan::link::{self, LinkRules};
use checkout::scan::{Code, Refusal, ScanRules, classify, elements, lint};
use serde_json::Value;

/// One group: how many cases agree, and which do not.
struct Tally {
    group: String,
    agree: usize,
    differ: Vec<String>,
    left_out: Vec<String>,
}

impl Tally {
    fn of(group: &str) -> Self {
        Self { group: group.into(), agree: 0, differ: Vec::new(), left_out: Vec::new() }
    }

    fn case(&mut self, agrees: bool, case: &Value) {
        if agrees { self.agree += 1 } else { self.differ.push(case.to_string()) }
    }

    /// Says the figures; everything that was judged must agree.
    fn close(self, left_out: usize) {
        let judged = self.agree + self.differ.len();
        eprintln!("{}: {}/{judged} agree, {} left out", self.group, self.agree, self.left_out.len());
        assert!(self.differ.is_empty(), "{}: {:#?}", self.group, self.differ);
        assert_eq!(self.left_out.len(), left_out, "{}: {:#?}", self.group, self.left_out);
        assert!(judged > 0, "{}: no cases", self.group);
    }
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("{field} of {case}"))
}

fn cases<'a>(file: &'a Value, group: &str) -> &'a [Value] {
    vectors::list(&file[group]["cases"])
}

fn setting(case: &Value, name: &str) -> bool {
    case["settings"][name] == "true"
}

/// A scan as `]C1…`.
fn scan(data: &str) -> Scan {
    let aim = data.strip_prefix(']').and_then(|rest| rest.as_bytes().first_chunk().copied());
    Scan { aim, data: data.get(if aim.is_some() { 3 } else { 0 }..).unwrap_or("").into() }
}

fn unbracketed(read: Result<Elements, Fault>) -> Option<String> {
    read.ok().map(|elements| elements.unbracketed())
}

#[test]
fn element_strings_are_accepted_and_rejected() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("element_string_validate");
    for case in cases(&file, "element_string_validate") {
        let data = text(case, "element_string");
        let read = gs1::parse_unbracketed(data);
        let again = read.as_ref().ok().map(|elements| gs1::parse_unbracketed(&elements.unbracketed()));
        tally.case(read.is_ok() == (case["ok"] == true) && again.is_none_or(|again| again == read), case);
        // The shop's own way in says the same.
        let seen = classify(&scan(data), &ScanRules::default(), false);
        let accepted = !matches!(seen, Code::Refused(_));
        tally.case(accepted == (case["ok"] == true), case);
    }
    tally.close(0);
}

#[test]
fn bracketed_element_strings_are_read() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("bracketed_ai_parse");
    for case in cases(&file, "bracketed_ai_parse") {
        let read = unbracketed(gs1::parse_bracketed(text(case, "bracketed")));
        let expected = (case["ok"] == true).then(|| text(case, "expect").to_owned());
        tally.case(read == expected, case);
    }
    tally.close(0);
}

#[test]
fn what_may_stand_beside_what() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("ai_association_rules");
    for case in cases(&file, "ai_association_rules") {
        let data = text(case, "ai_data");
        let accepted = gs1::parse_bracketed(data).and_then(|elements| elements.associated()).is_ok();
        // Identifiers the dictionary does not have are a setting of that engine; here they are never read.
        if data.contains("(89)") && case["ok"] == true {
            tally.left_out.push(data.into());
        } else {
            tally.case(accepted == (case["ok"] == true), case);
        }
    }
    tally.close(1);
}

#[test]
fn what_scanners_send_is_read() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("scan_data_decode");
    for case in cases(&file, "scan_data_decode") {
        let scan = scan(text(case, "scan_data"));
        let code = classify(&scan, &ScanRules::default(), false);
        let expected = text(case, "expect");
        let agrees = match (case["ok"] == true, elements(&scan, &ScanRules::default())) {
            (false, _) => matches!(code, Code::Refused(_)),
            (true, Some(Ok(read))) if expected.starts_with('^') => read.unbracketed() == expected,
            (true, Some(Ok(read))) if expected.contains("|^") => {
                let (linear, composite) = expected.split_once('|').expect("a composite");
                read.unbracketed() == format!("^01{linear:0>14}{}", &composite[1..])
            }
            (true, Some(Ok(read))) => link::render("https://example.com", &read).as_deref() == Some(&lower(expected)),
            // Plain text and retail codes.
            (true, None) if matches!(code, Code::Refused(Refusal::Unrecognised | Refusal::Empty)) => true,
            (true, None) => matches!(code, Code::Item(item) if item.key.0 == expected.trim_start_matches('0')),
            (true, Some(Err(_))) => false,
        };
        tally.case(agrees, case);
    }
    tally.close(0);
}

fn lower(link: &str) -> String {
    link.replace("HTTPS://", "https://")
}

#[test]
fn what_the_engine_makes_for_scanners_is_read_back() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("scan_data_encode, read back");
    for case in cases(&file, "scan_data_encode") {
        let (message, Some(sent)) = (text(case, "message"), case["expect_scan_data"].as_str()) else {
            tally.left_out.push(case.to_string());
            continue;
        };
        let Some(read) = elements(&scan(sent), &ScanRules::default()) else {
            tally.case(!message.starts_with('^') && !message.contains("|^") || sent.starts_with("]Q1"), case);
            continue;
        };
        let (linear, composite) = message.split_once('|').unwrap_or((message, ""));
        let linear =
            if linear.starts_with('^') { linear.trim_end_matches('^').into() } else { format!("^01{linear:0>14}") };
        let expected = gs1::parse_unbracketed(&linear)
            .and_then(|first| {
                let more =
                    if composite.is_empty() { String::new() } else { gs1::parse_unbracketed(composite)?.scanned() };
                let separator = if first.get("99").is_some() { "\u{1d}" } else { "" };
                gs1::parse(&format!("{}{separator}{more}", first.scanned()))
            })
            .map(|elements| elements.unbracketed());
        tally.case(unbracketed(read).is_some_and(|read| Ok(read) == expected), case);
    }
    // What that engine refuses to make.
    tally.close(8);
}

#[test]
fn digital_links_are_read() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("digital_link_parse");
    for case in cases(&file, "digital_link_parse") {
        let uri = text(case, "uri");
        let expected = (case["ok"] == true).then(|| text(case, "expect_ai").to_owned());
        let unknown_permitted = setting(case, "PermitUnknownAIs") && case["ok"] == true;
        // Which cases have words for identifiers switched on the file does not say.
        let words = uri.contains("/gtin/") && case["ok"] == true || uri.contains("/sscc/");
        let rules = LinkRules { short_gtins: setting(case, "PermitZeroSuppressedGTINinDLuris"), words };
        if unknown_permitted {
            tally.left_out.push(uri.into());
        } else {
            tally.case(unbracketed(link::parse(uri, rules)) == expected, case);
        }
    }
    tally.close(1);
}

#[test]
fn digital_links_are_written() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("digital_link_generate");
    for case in cases(&file, "digital_link_generate") {
        let elements = gs1::parse_bracketed(text(case, "ai_data")).ok();
        let link = elements.and_then(|elements| link::render(text(case, "stem"), &elements));
        if setting(case, "PermitUnknownAIs") && case["ok"] == true {
            tally.left_out.push(case.to_string());
        } else {
            tally.case(link == (case["ok"] == true).then(|| text(case, "expect_uri").to_owned()), case);
        }
    }
    tally.close(1);
}

#[test]
fn percent_escapes_are_read_and_written() {
    let Some(file) = vectors::read("gs1_syntax_engine.json") else {
        return;
    };
    let mut tally = Tally::of("uri_unescape, uri_escape");
    for case in cases(&file, "uri_unescape") {
        for (field, query) in [("expect_path", false), ("expect_query", true)] {
            let said = link::unescape(text(case, "in"), query);
            tally.case(String::from_utf8_lossy(&said) == text(case, field), case);
        }
    }
    for case in cases(&file, "uri_escape") {
        for (field, query) in [("expect_path", false), ("expect_query", true)] {
            tally.case(link::escape(text(case, "in"), query) == text(case, field), case);
        }
    }
    tally.close(0);
}

#[test]
fn every_linter_of_the_dictionary_agrees() {
    let Some(file) = vectors::read("gs1_linters.json") else {
        return;
    };
    for (name, list) in file["linters"].as_object().expect("linters") {
        let mut tally = Tally::of(name);
        let mut prefixes = 0;
        for case in vectors::list(list) {
            // These answers come from GS1's service of company prefixes, which that engine's tests feign.
            let service =
                case["error"].as_str().is_some_and(|error| error.contains("_GCP_") && !error.contains("COUPON"));
            if service {
                prefixes += 1;
                continue;
            }
            tally.case(lint::passes(name, text(case, "data")) == (case["ok"] == true), case);
        }
        if tally.agree + tally.differ.len() == 0 {
            println!("{name}: {prefixes} cases ask a service");
            continue;
        }
        tally.close(0);
    }
}

/// Every row and every identifier of the dictionary, with its own lengths.
#[test]
fn every_identifier_of_the_dictionary_is_known_with_its_lengths() {
    let Some(file) = vectors::read("gs1_syntax_dictionary.json") else {
        return;
    };
    let mut known = 0;
    for row in vectors::list(&file["dictionary"]) {
        let (first, last) = (text(row, "ai"), text(row, "ai_to"));
        for number in first.parse::<u32>().expect("digits")..=last.parse().expect("digits") {
            let code = format!("{number:0>width$}", width = first.len());
            let bad = gs1::parse_bracketed(&format!("({code})~")).expect_err("no value has a tilde");
            assert_eq!(bad.ai, code, "{row}");
            let long = "0".repeat(200);
            assert!(gs1::parse_bracketed(&format!("({code}){long}")).is_err(), "{row}");
            known += 1;
        }
    }
    assert_eq!(known, file["ais"].as_u64().expect("a number"));
    for (prefix, length) in vectors::read("gs1_syntax_engine.json").expect("the file beside it")["ai_length_by_prefix"]
        ["cases"]
        .as_object()
        .expect("prefixes")
    {
        let length = length.as_u64().expect("a number");
        let rows = vectors::list(&file["dictionary"]);
        assert!(
            rows.iter()
                .filter(|row| text(row, "ai").starts_with(prefix))
                .all(|row| text(row, "ai").len() as u64 == length)
        );
    }
    println!("identifiers: {known}");
}
