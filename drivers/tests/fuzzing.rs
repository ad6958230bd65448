//! The properties of `fuzz/` about devices, held against mutations of its corpus: what our own stand-ins sent.
//! `cargo run -p drivers --example fuzz_corpus -- fuzz/corpus` writes it for rows that have none.

#[path = "../../fuzz/devices.rs"]
mod devices;
#[path = "../../fuzz/runner.rs"]
mod runner;

use runner::hold;

/// What frames are made of.
const PIECES: &[&[u8]] = &[
    b"\x02",
    b"\x03",
    b"\x04",
    b"\x05",
    b"\x06",
    b"\x15",
    b"\r",
    b"\n",
    b"\x10\x02",
    b"\x10\x03",
    b"\x10\x10",
    b"\x1b",
    b"\x1d",
    b"\x1d(k",
    b"\x1dv0",
    b"\x1c&",
    b"\x80\0\0",
    b"\x84\x83\0",
    b"\x04\x0f",
    b"\x04\xff",
    b"\x06\x0f",
    b"\x06\x1e",
    b"\x06\xd1",
    b"\x06\xd3",
    b"\xff\xff\xff",
    b"\x1f\xff",
    b"HTTP/1.1 200 OK\r\n",
    b"Content-Length: 9\r\n",
    b"\r\n\r\n",
    b"{",
    b"}",
    b"\"",
    b"[[[[[[[[",
    b"e9",
    b"-1",
    b"99999999",
    b"kg",
    b"\xe5\xba\x97",
    b"zvt\n",
    b"zvt-serial\n",
    b"nexo\n",
    b"escpos\n",
    b"scale-dialog06\n",
];

#[test]
fn every_device_survives_any_bytes_and_works_afterwards() {
    hold("device", 3_000, PIECES, devices::device);
}

#[test]
fn every_decoder_answers_any_frame_with_one_object() {
    hold("decode", 5_000, PIECES, devices::decode);
}

#[test]
fn any_bytes_are_paper_that_can_be_looked_at() {
    hold("paper", 1_500, PIECES, devices::paper);
}

#[test]
fn the_lines_of_the_vision_process_are_read_or_refused() {
    hold("vision_lines", 10_000, PIECES, devices::vision_lines);
}
