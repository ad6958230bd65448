#![no_main]

#[path = "../devices.rs"]
mod devices;

libfuzzer_sys::fuzz_target!(|data: &[u8]| devices::device(data));
