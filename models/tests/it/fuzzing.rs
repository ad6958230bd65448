//! The properties of `fuzz/` about frames and network cameras, held against mutations of its corpus: small pictures that
//! others made, and what cameras say.

#[path = "../../../fuzz/pictures.rs"]
mod pictures;
#[path = "../../../fuzz/runner.rs"]
pub(crate) mod runner;

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
    quietly(|| runner::hold("frame", 1_500, PIECES, pictures::frame));
}

/// What a network camera's words are made of.
const WORDS: &[&[u8]] = &[
    b"RTSP/1.0 200 OK\r\n",
    b"CSeq: 2\r\n",
    b"Content-Length: 40\r\n",
    b"Content-Base: rtsp://192.0.2.7/live/\r\n",
    b"Session: 42;timeout=60\r\n",
    b"WWW-Authenticate: Digest realm=\"cam\", nonce=\"17\"\r\n",
    b"\r\n\r\n",
    b"OPTIONS * RTSP/1.0\r\n\r\n",
    b"m=video 0 RTP/AVP 26\r\n",
    b"a=rtpmap:96 JPEG/90000\r\n",
    b"a=control:track1\r\n",
    b"$\x00\x00\x14",
    b"$\x01\x00\x04",
    b"\x80\x9a\x00\x01",
    b"\x00\x00\x00\x00",
    b"\x01\xff\x02\x02",
];

#[test]
fn whatever_a_network_camera_says_is_the_same_in_any_chunks_and_its_pictures_are_decoded_or_torn() {
    quietly(|| runner::hold("rtsp", 5_000, WORDS, pictures::rtsp));
}

/// The decoder's failures are told as torn frames: their backtraces would only fill the log.
fn quietly(held: impl FnOnce() + std::panic::UnwindSafe) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let held = std::panic::catch_unwind(held);
    std::panic::set_hook(hook);
    if let Err(panic) = held {
        std::panic::resume_unwind(panic);
    }
}
