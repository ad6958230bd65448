//! The property of `fuzz/` about frames, held against mutations of its corpus: small pictures that others made.

#[path = "../../../fuzz/pictures.rs"]
mod pictures;
#[path = "../../../fuzz/runner.rs"]
mod runner;

/// What frames are made of.
const PIECES: &[&[u8]] = &[
    b"\xff\xd8",
    b"\xff\xd9",
    b"\xff\xda",
    b"\xff\xdb",
    b"\xff\xc0",
    b"\xff\xc2",
    b"\xff\xc4",
    b"\xff\xdd",
    b"\xff\xd0",
    b"\xff\xe0",
    b"\xff\xff",
    b"\x00\x00\x00\x00",
    b"AVI1\x00",
    b"\x10\x00\x10\x00",
    b"\x11\x22\x44",
];

#[test]
fn whole_frames_are_decoded_and_torn_ones_those_too_large_and_those_in_many_scans_are_not() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/frame");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap().to_owned();
        let Some((_, "jpeg")) = name.rsplit_once('-') else { continue };
        let bytes = std::fs::read(&path).unwrap();
        let decoded = models::video::jpeg(&bytes[5..]);
        let spoilt = ["torn", "bomb-beyond", "progressive"].iter().any(|word| name.starts_with(word));
        assert_eq!(decoded.is_err(), spoilt, "{name}: {decoded:?}");
    }
}

#[test]
fn any_frame_is_decoded_or_torn_and_its_codes_are_codes() {
    // The decoder's failures are told as torn frames: their backtraces would only fill the log.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let held = std::panic::catch_unwind(|| runner::hold("frame", 1_500, PIECES, pictures::frame));
    std::panic::set_hook(hook);
    if let Err(panic) = held {
        std::panic::resume_unwind(panic);
    }
}
