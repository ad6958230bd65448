//! What the camera reads: codes as we print them ourselves, by another hand than the reader's, and pictures that are spoilt.

use std::time::{Duration, Instant};

use drivers::escpos::Encoder;
use models::codes::{Reader, Symbol};
use models::image::Frame;
use models::video::{Pixels, Shape, decode};

use crate::paint::Picture;

fn frame(picture: &Picture) -> Frame {
    let shape = Shape {
        pixels: Pixels::Grey,
        width: picture.width as u32,
        height: picture.height as u32,
        stride: picture.width,
    };
    decode(shape, &picture.grey).unwrap()
}

fn read(picture: &Picture) -> Option<Symbol> {
    Reader::default().read(&frame(picture))
}

fn symbol(aim: &str, data: &str) -> Option<Symbol> {
    Some(Symbol { aim: aim.into(), data: data.into() })
}

/// Deterministic noise.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

type Print = fn(&mut Encoder) -> &mut Encoder;
type Level = Box<dyn FnMut(usize) -> u8>;

const PRINTED: [(Print, &str, &str); 6] = [
    (|e| e.ean13("6901234567892"), "E0", "6901234567892"),
    (|e| e.ean13("0012345678905"), "E0", "0012345678905"),
    (|e| e.ean8("40170725"), "E4", "40170725"),
    (|e| e.code128("M1234567897"), "C0", "M1234567897"),
    (|e| e.qr("https://example.com/01/06901234567892", 6), "Q1", "https://example.com/01/06901234567892"),
    (|e| e.qr("R-box-1-000123", 4), "Q1", "R-box-1-000123"),
];

#[test]
fn every_code_we_print_is_read_near_and_far_and_turned() {
    for (print, aim, data) in PRINTED {
        for scale in [1, 2, 4] {
            let picture = Picture::of(print, scale);
            assert_eq!(read(&picture), symbol(aim, data), "{data} at {scale}");
        }
        let upright = Picture::of(print, 2);
        let (width, height) = (upright.height, upright.width);
        let grey = (0..width * height).map(|at| upright.grey[(at % width) * upright.width + at / width]).collect();
        assert_eq!(read(&Picture { width, height, grey }), symbol(aim, data), "{data} on its side");
    }
}

#[test]
fn codes_that_others_print_are_told_with_their_identifiers() {
    for line in include_str!("symbols.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [name, aim, data, width, rows] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let rows: Vec<&str> = rows.split(' ').collect();
        let picture = of_modules(width.parse().expect("a number"), &rows, 4);
        assert_eq!(read(&picture), symbol(aim, &data.replace("\\x1d", "\x1d")), "{name}");
    }
}

#[test]
fn noise_and_dim_light_hide_no_code_and_never_make_another_of_it() {
    let mut dice = Dice(7);
    for (print, aim, data) in PRINTED {
        let mut picture = Picture::of(print, 3);
        for level in &mut picture.grey {
            *level = (*level / 3 + 20).saturating_add(dice.below(12) as u8);
        }
        assert_eq!(read(&picture), symbol(aim, data), "{data} in dim light");
        for spots in [200, 2_000, 20_000] {
            let mut spoilt = Picture { grey: picture.grey.clone(), ..picture };
            for _ in 0..spots {
                let at = dice.below(spoilt.grey.len());
                spoilt.grey[at] = dice.below(256) as u8;
            }
            let seen = read(&spoilt);
            assert!(seen.is_none() || seen == symbol(aim, data), "{data} with {spots} spots: {seen:?}");
            picture = Picture { grey: picture.grey, ..spoilt };
        }
    }
}

#[test]
fn pictures_of_anything_else_give_no_code_in_bounded_time() {
    let mut dice = Dice(3);
    let mut reader = Reader::default();
    const WIDTH: usize = 1280;
    let (width, height) = (WIDTH, 720);
    let pictures: [(&str, Level); 4] = [
        ("noise", Box::new(move |_| dice.below(256) as u8)),
        ("stripes", Box::new(|at| if at / 3 % 2 == 0 { 0 } else { 255 })),
        ("squares", Box::new(|at| if (at / 7 + at / WIDTH / 7).is_multiple_of(2) { 0 } else { 255 })),
        ("finders", Box::new(|at| if [0, 4, 5, 9].contains(&(at % 14)) || at / WIDTH % 14 < 3 { 0 } else { 255 })),
    ];
    for (name, mut level) in pictures {
        let grey = (0..width * height).map(&mut *level).collect();
        let frame = frame(&Picture { width, height, grey });
        let start = Instant::now();
        let seen = reader.read(&frame);
        assert!(start.elapsed() < Duration::from_secs(20), "{name}: {:?}", start.elapsed());
        assert_eq!(seen, None, "{name}");
    }
}

/// Rows of modules as hexadecimal bits, each module `scale` pixels wide, in a quiet zone; one row is a bar code.
fn of_modules(across: usize, rows: &[&str], scale: usize) -> Picture {
    let (high, quiet) = (if rows.len() == 1 { 40 } else { 1 }, 10);
    let (width, height) = ((across + 2 * quiet) * scale, (rows.len() * high + 2 * quiet) * scale);
    let mut picture = Picture { width, height, grey: vec![235; width * height] };
    for (y, row) in rows.iter().enumerate() {
        let bits = row.chars().flat_map(|digit| {
            let digit = digit.to_digit(16).expect("hexadecimal");
            (0..4).rev().map(move |bit| digit >> bit & 1 == 1)
        });
        for (x, _) in bits.take(across).enumerate().filter(|(_, dark)| *dark) {
            picture.fill(&format!("{} {}h1v{high}h-1z", x + quiet, y * high + quiet), scale);
        }
    }
    picture
}
