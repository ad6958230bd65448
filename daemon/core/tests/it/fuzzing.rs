//! The properties of `fuzz/`, held against mutations of its corpus: the same every time, and bounded.
//! `AISLE_FUZZ_SECONDS` gives each target that long instead, from a seed of its own (`make fuzz`).

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

#[path = "../../../../fuzz/properties.rs"]
mod properties;

const ROUNDS: u64 = 20_000;
/// Nothing grows beyond this by mutation.
const LENGTH_MAX: usize = 300;

/// What codes are made of, so that a mutation is sometimes another code and not only a broken one.
const PIECES: &[&[u8]] = &[
    b"\x1d",
    b"^",
    b"(",
    b")",
    b"(01)",
    b"01",
    b"10",
    b"17",
    b"21",
    b"235",
    b"3103",
    b"3922",
    b"8030",
    b"8110",
    b"00",
    b"06901234567892",
    b"301231",
    b"%2F",
    b"%",
    b"?",
    b"&",
    b"=",
    b"/",
    b"#",
    b"https://a/",
    b"/01/",
    b"/10/",
    b"|]e0",
    b"]C1",
    b"\xff",
    b"\0",
    b"M1000000016",
    b"fp",
    b"R-",
    b"S-",
    b"K-",
];

/// xorshift64*: small, seeded, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        high as usize % sides.max(1)
    }
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target} has a corpus");
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn mutate(seed: &[u8], corpus: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(data.len() + 1);
        match dice.roll(6) {
            0 if at < data.len() => data[at] ^= 1 << dice.roll(8),
            1 if at < data.len() => data[at] = b'0' + dice.roll(10) as u8,
            2 => drop(data.splice(at..at, PIECES[dice.roll(PIECES.len())].iter().copied())),
            3 => drop(data.drain(at..(at + dice.roll(8)).min(data.len()))),
            4 => {
                let other = &corpus[dice.roll(corpus.len())];
                data.truncate(at);
                data.extend_from_slice(&other[dice.roll(other.len() + 1)..]);
            }
            _ => {
                let again: Vec<u8> = data[at..].iter().take(20).copied().collect();
                data.splice(at..at, again);
            }
        }
    }
    data.truncate(LENGTH_MAX);
    data
}

fn hold(target: &str, property: fn(&[u8])) {
    let corpus = corpus(target);
    corpus.iter().for_each(|seed| property(seed));
    let long =
        std::env::var("AISLE_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let own = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let mut dice = Dice(if long.is_some() { own() } else { 0x0a15_1e00 });
    let begun = Instant::now();
    let mut rounds = 0_u64;
    while long.map_or(rounds < ROUNDS, |long| begun.elapsed() < long) {
        let data = mutate(&corpus[dice.roll(corpus.len())], &corpus, &mut dice);
        if let Err(panic) = std::panic::catch_unwind(|| property(&data)) {
            eprintln!("{target} fails on {:?}", data.escape_ascii().to_string());
            std::panic::resume_unwind(panic);
        }
        rounds += 1;
    }
    eprintln!("{target}: {rounds} mutations hold");
}

#[test]
fn any_bytes_are_classified_without_a_panic_or_a_leak() {
    hold("classify", properties::classify);
}

#[test]
fn element_strings_are_written_as_they_were_read() {
    hold("element_string", properties::element_string);
}

#[test]
fn digital_links_are_written_as_they_were_read() {
    hold("digital_link", properties::digital_link);
}
