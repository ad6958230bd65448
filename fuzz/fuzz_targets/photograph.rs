#![no_main]

#[path = "../photographs.rs"]
mod photographs;

libfuzzer_sys::fuzz_target!(|data: &[u8]| photographs::photograph(data));
