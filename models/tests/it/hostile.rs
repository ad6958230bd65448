//! Photographs from anywhere: refused with a reason, within memory that is capped, without harm.

use drivers::vision::{CodesEnd, Reply, Request};
use models::image::Frame;

use crate::faces_folder;
use crate::socket::Server;

/// What the whole process may take at its peak while it refuses them: the decoders' own cap, and itself.
const PEAK_KB_MAX: u64 = 200 << 10;

#[test]
fn damaged_photographs_are_refused_and_harm_nobody() {
    let Some(faces) = faces_folder() else { return };
    for name in ["person_a_480p.jpg", "astronaut.png"] {
        let whole = std::fs::read(faces.join("photos").join(name)).unwrap();
        assert!(Frame::decode(&whole).is_ok());
        for part in [1, 10, 50, 90] {
            let cut = &whole[..whole.len() * part / 100];
            let reason = Frame::decode(cut).unwrap_err();
            assert!(!reason.is_empty(), "{name} cut to {part} %");
        }
        for seed in 0..40_usize {
            let mut noisy = whole.clone();
            for step in 1..20 {
                let at = (seed * 7919 + step * 104_729) % noisy.len();
                noisy[at] ^= (seed as u8) | 1;
            }
            let _ = Frame::decode(&noisy);
        }
    }
}

#[test]
fn a_photograph_taken_sideways_is_turned_upright() {
    let Some(faces) = faces_folder() else { return };
    let plain = std::fs::read(faces.join("photos/person_a_480p.jpg")).unwrap();
    let turned = |orientation: u8| with_exif(&plain, &exif(1, [0x12, 0x01], orientation));
    for (orientation, size) in [(1, (853, 480)), (3, (853, 480)), (6, (480, 853)), (8, (480, 853))] {
        let frame = Frame::decode(&turned(orientation)).unwrap();
        assert_eq!((frame.width(), frame.height()), size, "orientation {orientation}");
    }
}

#[test]
fn an_exif_block_that_lies_turns_nothing_and_breaks_nothing() {
    let Some(faces) = faces_folder() else { return };
    let plain = std::fs::read(faces.join("photos/person_a_480p.jpg")).unwrap();
    let far = [b"II*\0".as_slice(), &[0xff; 4], &[0; 20]].concat();
    let itself = [b"II*\0".as_slice(), &[0, 0, 0, 0], &[0xff; 20]].concat();
    let odd = b"XX*\0\x08\0\0\0".to_vec();
    for tricky in
        [exif(1, [0x12, 0x01], 0), exif(1, [0x12, 0x01], 99), exif(u16::MAX, [0, 0], 6), far, itself, odd, vec![]]
    {
        let frame = Frame::decode(&with_exif(&plain, &tricky)).unwrap();
        assert_eq!((frame.width(), frame.height()), (853, 480), "{tricky:?}");
    }
}

/// Each is refused for what it is, in a process that goes on, whose memory never went beyond a cap.
#[test]
fn bombs_liars_and_strangers_are_refused_within_a_cap_on_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, word) in hostile() {
        let reason = Frame::decode(&bytes).unwrap_err();
        assert!(reason.contains(word), "{name}: {reason}");
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let server = Server::start(folder.path(), folder.path(), false);
    let mut client = server.connect();
    client.send(&Request::ReadCodes { session: 1, deadline_ms: 60_000 });
    assert_eq!(client.reply(), Reply::CodesEnded { session: 1, end: CodesEnd::SourceEnded });
    let peak = server.peak_kb();
    eprintln!("peak memory of the process: {} MiB", peak >> 10);
    assert!(peak < PEAK_KB_MAX, "{peak} kB");
    assert!(matches!(client.ask(&Request::Status {}), Reply::Status(_)), "and it goes on");
}

/// Files with a word of the reason they have to be refused for.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let zeros = deflated_zeros(200 << 20);
    let profile = [b"icc\0\0".as_slice(), &zeros].concat();
    let tail = chunk(b"IEND", &[]);
    let png = |header: &[u8], more: &[u8]| [b"\x89PNG\r\n\x1a\n".as_slice(), header, more, &tail].concat();
    // Far too few rows for any of these.
    let pixels = chunk(b"IDAT", &deflated_zeros(1000));
    vec![
        ("a-huge.png", png(&ihdr(16_383, 16_383, 8, 2), &pixels), ""),
        ("b-wide.png", png(&ihdr(u32::MAX, 1, 8, 2), &pixels), ""),
        ("c-deep.png", png(&ihdr(5_600, 5_600, 16, 6), &pixels), ""),
        ("d-bomb.png", png(&[ihdr(4_000, 4_000, 8, 2), chunk(b"iCCP", &profile)].concat(), &pixels), ""),
        ("e-short.png", png(&ihdr(5_000, 5_000, 8, 2), &pixels), ""),
        ("f-huge.jpg", jpeg(0xc0, 16_000, 16_000, 1), "pixels"),
        ("g-progressive.jpg", jpeg(0xc2, 5_000, 5_000, 8), "progressive"),
        ("h-passes.jpg", jpeg(0xc2, 4_000, 4_000, 5_000), "passes"),
        ("i-headless.jpg", b"\xff\xd8\xff\xda\0\x02\0\0\xff\xd9".to_vec(), "header"),
        ("j-cut.jpg", jpeg(0xc0, 64, 64, 1)[..40].to_vec(), "cut short"),
        ("k-huge.ppm", b"P6 30000 30000 255\n".to_vec(), ""),
        ("l-gif.jpg", b"GIF89a\x10\0\x10\0\0\0\0;".to_vec(), "neither"),
        ("m-webp.jpg", b"RIFF\x24\0\0\0WEBPVP8 ".to_vec(), "neither"),
        ("n-page.png", b"<!doctype html><script>".to_vec(), "neither"),
        ("o-archive.png", b"PK\x03\x04\x14\0\0\0".to_vec(), "neither"),
        ("p-empty.jpg", Vec::new(), "neither"),
    ]
}

/// A picture of one component that comes in so many scans of nothing.
fn jpeg(frame: u8, width: u16, height: u16, scans: usize) -> Vec<u8> {
    let mut bytes = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
    bytes.extend([1; 64]);
    bytes.extend([0xff, frame, 0, 11, 8]);
    bytes.extend(height.to_be_bytes());
    bytes.extend(width.to_be_bytes());
    bytes.extend([1, 1, 0x11, 0]);
    bytes.extend(b"\xff\xc4\0\x14\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    for _ in 0..scans {
        bytes.extend(b"\xff\xda\0\x08\x01\x01\0\0\0\0\x7f");
    }
    bytes.extend(b"\xff\xd9");
    bytes
}

fn ihdr(width: u32, height: u32, depth: u8, colour: u8) -> Vec<u8> {
    let sizes = [width.to_be_bytes(), height.to_be_bytes()].concat();
    chunk(b"IHDR", &[sizes.as_slice(), &[depth, colour, 0, 0, 0]].concat())
}

fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let body = [kind.as_slice(), data].concat();
    let crc = body.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    });
    [(data.len() as u32).to_be_bytes().as_slice(), &body, &(!crc).to_be_bytes()].concat()
}

/// A zlib stream of zeros: one literal, then copies of 258 bytes, thirteen bits each.
fn deflated_zeros(length: usize) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (vec![0x78, 0x01], 0_u32, 0);
    let mut put = |value: u32, count: u32| {
        bits |= value << held;
        held += count;
        while held >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            held -= 8;
        }
    };
    put(0b011, 3);
    put(0b0000_1100, 8);
    (0..length / 258).for_each(|_| put(0b1010_0011, 13));
    put(0, 7 + 7);
    // A check sum of a million zeros and more is never looked at: it is too late for that.
    bytes.extend([0; 4]);
    bytes
}

/// A TIFF header with one entry of a kind, said to be one of `count`.
fn exif(count: u16, tag: [u8; 2], value: u8) -> Vec<u8> {
    let mut exif = b"II*\0\x08\0\0\0".to_vec();
    exif.extend(count.to_le_bytes());
    exif.extend(tag);
    exif.extend([3, 0, 1, 0, 0, 0, value, 0, 0, 0, 0, 0, 0, 0]);
    exif
}

fn with_exif(jpeg: &[u8], exif: &[u8]) -> Vec<u8> {
    let length = (exif.len() + 8) as u16;
    [&jpeg[..2], b"\xff\xe1", &length.to_be_bytes(), b"Exif\0\0", exif, &jpeg[2..]].concat()
}
