//! Writes what our own stand-ins send as the corpus of the fuzz targets: `cargo run -p drivers --example fuzz_corpus -- fuzz/corpus`.

#[path = "../../fuzz/devices.rs"]
mod devices;

use drivers::DRIVERS;
use drivers::decode::DECODERS;
use drivers::escpos::{Cut, Encoder, Weight};
use drivers::vision::{self, Age, CameraTrouble, Channel, CodesEnd, Consent, Reply, Request};
use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "fuzz/corpus".into());
    let folder = Path::new(&folder);
    for spec in DRIVERS {
        for ask in 0..3_u8 {
            let Some((said, heard)) = devices::exchange(spec, ask.into()) else { continue };
            // In chunks of seven bytes, after the same question.
            let input = [spec.name.as_bytes(), b"\n", &[7 * 4 + ask], &said].concat();
            keep(folder, "device", &format!("{}-{ask}", spec.name), &input)?;
            if DECODERS.iter().any(|(name, _)| *name == spec.name) {
                let frame = if said.is_empty() { &heard } else { &said };
                keep(
                    folder,
                    "decode",
                    &format!("{}-{ask}", spec.name),
                    &[spec.name.as_bytes(), b"\n", frame].concat(),
                )?;
            }
            if spec.name == "escpos" {
                keep(folder, "paper", "slip", &heard)?;
            }
        }
    }
    for (name, bytes) in papers() {
        keep(folder, "paper", name, &bytes)?;
    }
    for (name, line) in lines() {
        keep(folder, "vision_lines", name, &[&[64], line.as_slice()].concat())?;
    }
    Ok(())
}

fn papers() -> Vec<(&'static str, Vec<u8>)> {
    type Write = fn(&mut Encoder) -> &mut Encoder;
    let write = |write: Write| {
        let mut paper = Encoder::default();
        paper.init();
        write(&mut paper);
        paper.finish()
    };
    vec![
        ("text", write(|e| e.line("TOTAL 14.35"))),
        ("chinese", write(|e| e.chinese().line("合计 ￥14.35"))),
        ("bold", write(|e| e.weight(Weight::Bold).line("Aisle").weight(Weight::Normal))),
        ("qr", write(|e| e.qr("https://example.com/01/06901234567892", 6))),
        ("ean", write(|e| e.ean13("6901234567892"))),
        ("code128", write(|e| e.code128("0123ABC"))),
        ("picture", write(|e| e.raster(16, &[0x88, 0x88, 0x44, 0x44]))),
        ("drawer", write(|e| e.drawer(0))),
        ("buzzer", write(|e| e.buzz(2, 3))),
        ("cut", write(|e| e.line("x").feed(4).cut(Cut::Partial).confirm())),
    ]
}

fn lines() -> Vec<(&'static str, Vec<u8>)> {
    let consent = Consent {
        purpose: "recognise".into(),
        text_version: "face-enrol-1".into(),
        text_sha256: "0f".repeat(32),
        at_utc_ms: 1,
        channel: Channel::Staff,
        until_utc_ms: None,
        age: Age::FourteenOrOver,
        guardian: None,
    };
    let ask = |request: Request| vision::encode(&request).unwrap_or_default();
    let say = |reply: Reply| vision::encode(&reply).unwrap_or_default();
    vec![
        ("recognise", ask(Request::Recognise { attempt: 1, deadline_ms: 8_000, among: None })),
        ("cancel", ask(Request::Cancel { attempt: 1 })),
        (
            "enrol",
            ask(Request::Enrol {
                attempt: 3,
                member: "m-001".into(),
                consent,
                frames: 3,
                deadline_ms: 8_000,
                preview: true,
            }),
        ),
        ("erase", ask(Request::Erase { member: "m-001".into(), before_utc_ms: Some(2) })),
        ("read_codes", ask(Request::ReadCodes { session: 1, deadline_ms: 60_000 })),
        ("stop_codes", ask(Request::StopCodes { session: 1 })),
        ("status", ask(Request::Status {})),
        ("show", ask(Request::Show { files: vec!["a.jpg".into()] })),
        ("hint", say(Reply::Guidance { attempt: 1, hint: vision::Hint::LookAtCamera })),
        ("match", say(Reply::Outcome { attempt: 1, outcome: vision::Outcome::NoMatch })),
        ("code", say(Reply::Code { session: 1, aim: "E0".into(), data: "6901234567892".into() })),
        ("codes_ended", say(Reply::CodesEnded { session: 1, end: CodesEnd::Camera(CameraTrouble::Swapped) })),
        ("cancelled", say(Reply::Cancelled { attempt: 1 })),
        ("two", [ask(Request::Status {}), ask(Request::Cancel { attempt: 2 })].concat()),
    ]
}

fn keep(folder: &Path, target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = folder.join(target);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(name), bytes)
}
