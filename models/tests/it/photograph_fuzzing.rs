//! The property of `fuzz/` about photographs, held against mutations of its corpus: small pictures of every kind, and bombs.

#[path = "../../../fuzz/photographs.rs"]
mod photographs;
use crate::fuzzing::runner;

/// What photographs are made of.
const PIECES: &[&[u8]] = &[
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xda\0\x08\x01\x01\0\0\0\0\x7f",
    b"\xff\xc2\0\x11\x08",
    b"\xff\xe1\0\x22Exif\0\0II*\0",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\x89PNG\r\n\x1a\n",
    b"\0\0\0\x0dIHDR",
    b"IDAT",
    b"iCCP",
    b"eXIf",
    b"P6 8 8 255\n",
    b"P7\n",
];

#[test]
fn bombs_torn_pictures_and_strangers_are_refused_and_all_others_decoded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/photograph");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap().to_owned();
        let decoded = models::image::Frame::decode(&std::fs::read(&path).unwrap());
        let bad =
            ["bomb-huge", "bomb-passes", "bomb-sides", "torn", "stranger"].iter().any(|word| name.starts_with(word));
        assert_eq!(decoded.is_err(), bad, "{name}: {decoded:?}");
    }
}

#[test]
fn any_photograph_is_decoded_within_its_limits_or_refused_with_a_reason() {
    // The decoders' failures are told as refusals: their backtraces would only fill the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let held = std::panic::catch_unwind(|| runner::hold("photograph", 1_500, PIECES, photographs::photograph));
    std::panic::set_hook(hook);
    if let Err(panic) = held {
        std::panic::resume_unwind(panic);
    }
}
