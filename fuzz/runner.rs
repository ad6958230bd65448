//! Holds a property against mutations of its corpus: the same every time, and bounded.
//! `AISLE_FUZZ_SECONDS` gives each target that long instead, from a seed of its own (`make fuzz`).

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

/// Nothing grows beyond this by mutation.
const LENGTH_MAX: usize = 300;

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
    // Two crates run this: their folders are at different depths.
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().find(|folder| folder.join("fuzz/corpus").is_dir()).expect("the root");
    let files = std::fs::read_dir(root.join("fuzz/corpus").join(target)).unwrap();
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{target} has a corpus");
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// `pieces` are what inputs are made of, so that a mutation is sometimes another input and not only a broken one.
fn mutate(seed: &[u8], corpus: &[Vec<u8>], pieces: &[&[u8]], dice: &mut Dice) -> Vec<u8> {
    let mut data = seed.to_vec();
    for _ in 0..=dice.roll(4) {
        let at = dice.roll(data.len() + 1);
        match dice.roll(6) {
            0 if at < data.len() => data[at] ^= 1 << dice.roll(8),
            1 if at < data.len() => data[at] = b'0' + dice.roll(10) as u8,
            2 => drop(data.splice(at..at, pieces[dice.roll(pieces.len())].iter().copied())),
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
    data.truncate(LENGTH_MAX.max(seed.len()));
    data
}

pub fn hold(target: &str, rounds: u64, pieces: &[&[u8]], property: fn(&[u8])) {
    let corpus = corpus(target);
    let holds = |data: &[u8]| {
        if let Err(panic) = std::panic::catch_unwind(|| property(data)) {
            eprintln!("{target} fails on {:?}", data.escape_ascii().to_string());
            std::panic::resume_unwind(panic);
        }
    };
    corpus.iter().for_each(|seed| holds(seed));
    let long =
        std::env::var("AISLE_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let own = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let mut dice = Dice(if long.is_some() { own() } else { 0x0a15_1e00 });
    let begun = Instant::now();
    let mut done = 0_u64;
    while long.map_or(done < rounds, |long| begun.elapsed() < long) {
        holds(&mutate(&corpus[dice.roll(corpus.len())], &corpus, pieces, &mut dice));
        done += 1;
    }
    eprintln!("{target}: {done} mutations hold");
}
