//! The properties of `fuzz/` about scans, held against mutations of its corpus.

#[path = "../../../../fuzz/properties.rs"]
mod properties;
#[path = "../../../../fuzz/runner.rs"]
mod runner;
#[path = "../../../../fuzz/wire.rs"]
mod wire;

use runner::hold;

const ROUNDS: u64 = 20_000;

/// What codes are made of, so that a mutation is sometimes another code and not only a broken one.
const PIECES: &[&[u8]] = &[
    b"\x1d",
    b"^",
    b"(",
    b")",
    b"(01)",
    b"01",
    b"10",
    b"17",
    b"21",
    b"235",
    b"3103",
    b"3922",
    b"8030",
    b"8110",
    b"00",
    b"06901234567892",
    b"301231",
    b"%2F",
    b"%",
    b"?",
    b"&",
    b"=",
    b"/",
    b"#",
    b"https://a/",
    b"/01/",
    b"/10/",
    b"|]e0",
    b"]C1",
    b"\xff",
    b"\0",
    b"M1000000016",
    b"fp",
    b"R-",
    b"S-",
    b"K-",
];

#[test]
fn any_bytes_are_classified_without_a_panic_or_a_leak() {
    hold("classify", ROUNDS, PIECES, properties::classify);
}

#[test]
fn element_strings_are_written_as_they_were_read() {
    hold("element_string", ROUNDS, PIECES, properties::element_string);
}

#[test]
fn digital_links_are_written_as_they_were_read() {
    hold("digital_link", ROUNDS, PIECES, properties::digital_link);
}

/// What headquarters' documents are made of.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[]",
    b":",
    b",",
    b"null",
    b"0",
    b"-1",
    b"18446744073709551615",
    b"9223372036854775808",
    b"\\n",
    b"\\u0000",
    b"\"",
    b"\"rev\":",
    b"\"doc\":",
    b"\"box\":\"box-1\"",
    b"\"verb\":\"restart\"",
    b"{\"restart_device\":{\"device\":\"",
    b"\"approvals\":[\"a.b.c\"]",
    b"aisle/v1/",
    b"\xe8\x8c\xb6",
];

#[test]
fn documents_of_headquarters_are_written_as_they_were_read_and_agreed_to_for_what_they_are() {
    hold("document", ROUNDS, WORDS, wire::document);
}
