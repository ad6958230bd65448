//! Photographs from anywhere: refused with a reason, in bounded time, without harm.

use std::time::{Duration, Instant};

use models::image::Frame;

use crate::faces_folder;

#[test]
fn damaged_photographs_are_refused_in_bounded_time() {
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
            let start = Instant::now();
            let _ = std::panic::catch_unwind(|| Frame::decode(&noisy).is_ok());
            assert!(start.elapsed() < Duration::from_secs(10), "{name} seed {seed}");
        }
    }
}

#[test]
fn a_picture_that_claims_to_be_huge_allocates_nothing() {
    let mut png = std::fs::read(match faces_folder() {
        Some(faces) => faces.join("photos/coffee.png"),
        None => return,
    })
    .unwrap();
    // The header's width and height, with its check sum left wrong or right: refused either way.
    png[16..24].copy_from_slice(&[0, 0, 0x3f, 0xff, 0, 0, 0x3f, 0xff]);
    let start = Instant::now();
    assert!(Frame::decode(&png).is_err());
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_photograph_taken_sideways_is_turned_upright() {
    let Some(faces) = faces_folder() else { return };
    let plain = std::fs::read(faces.join("photos/person_a_480p.jpg")).unwrap();
    let turned = |orientation: u8| {
        let mut exif = b"\xff\xe1\x00\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        [&plain[..2], &exif, &plain[2..]].concat()
    };
    for (orientation, size) in [(1, (853, 480)), (3, (853, 480)), (6, (480, 853)), (8, (480, 853))] {
        let frame = Frame::decode(&turned(orientation)).unwrap();
        assert_eq!((frame.width(), frame.height()), size, "orientation {orientation}");
    }
}
