//! The secret rotation of an epoch: templates are kept turned by an orthogonal matrix that only the store's key gives.
//!
//! Turning two vectors alike leaves their cosine as it was, so probes are turned once and compared as before. Templates of
//! two epochs, or of two stores, are turned differently and as alike as strangers: what leaks of one is of no use elsewhere,
//! and a new epoch takes the old one's place without anybody enrolling again.

use ring::hmac;
use zeroize::Zeroizing;

use super::seal::Key;
use crate::embed::{Embedding, LENGTH};

/// An orthogonal matrix, a row after the other.
pub(crate) struct Rotation(Zeroizing<Vec<f32>>);

impl std::fmt::Debug for Rotation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rotation(***)")
    }
}

impl Rotation {
    /// The rotation of an epoch: normally distributed numbers made orthogonal, so that every rotation is as likely as any.
    pub(crate) fn of(secret: &Key, epoch: u64) -> Self {
        let mut rows = Zeroizing::new(normal(secret, epoch));
        for row in 0..LENGTH {
            let (done, rest) = rows.split_at_mut(row * LENGTH);
            let Some(current) = rest.get_mut(..LENGTH) else { break };
            // Twice: once leaves what rounding makes of it.
            for _ in 0..2 {
                for earlier in done.chunks_exact(LENGTH) {
                    let along = product(current, earlier);
                    current.iter_mut().zip(earlier).for_each(|(number, other)| *number -= along * other);
                }
            }
            let length = product(current, current).sqrt();
            current.iter_mut().for_each(|number| *number /= length);
        }
        Self(Zeroizing::new(rows.iter().map(|number| *number as f32).collect()))
    }

    /// The embedding as it is kept in this epoch.
    pub(crate) fn turn(&self, embedding: &[f32]) -> Option<Embedding> {
        let turned = self.0.chunks_exact(LENGTH).map(|row| crate::embed::dot(row, embedding)).collect();
        Embedding::normalised(turned)
    }

    /// And back again.
    pub(crate) fn turn_back(&self, turned: &[f32]) -> Option<Embedding> {
        let mut back = Zeroizing::new(vec![0.0_f32; LENGTH]);
        for (row, number) in self.0.chunks_exact(LENGTH).zip(turned) {
            back.iter_mut().zip(row).for_each(|(sum, part)| *sum += part * number);
        }
        Embedding::normalised(back.to_vec())
    }
}

fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Normally distributed numbers that follow from secret and epoch (Box and Muller over HMAC-SHA256 in counter mode).
fn normal(secret: &Key, epoch: u64) -> Vec<f64> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice());
    let mut numbers = Vec::with_capacity(LENGTH * LENGTH);
    let mut counter = 0_u64;
    while numbers.len() < LENGTH * LENGTH {
        let mut context = hmac::Context::with_key(&key);
        context.update(b"aisle rotation");
        context.update(&epoch.to_le_bytes());
        context.update(&counter.to_le_bytes());
        counter += 1;
        let block = context.sign();
        let (words, _) = block.as_ref().as_chunks::<8>();
        for pair in words.chunks_exact(2) {
            // In (0, 1]: the logarithm of 0 is no number.
            let [a, b] =
                [pair[0], pair[1]].map(|word| ((u64::from_le_bytes(word) >> 11) as f64 + 1.0) / (1_u64 << 53) as f64);
            let radius = (-2.0 * a.ln()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * b).sin_cos();
            numbers.extend([radius * cosine, radius * sine]);
        }
    }
    numbers.truncate(LENGTH * LENGTH);
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(byte: u8) -> Key {
        Zeroizing::new([byte; 32])
    }

    fn face(seed: usize) -> Embedding {
        Embedding::normalised((0..LENGTH).map(|i| ((i * 13 + seed * 29) as f32).sin()).collect()).unwrap()
    }

    #[test]
    fn b11_one_epoch_keeps_every_score_and_two_epochs_are_strangers() {
        let (first, second, other) =
            (Rotation::of(&secret(1), 1), Rotation::of(&secret(1), 2), Rotation::of(&secret(2), 1));
        let mut across = Vec::new();
        for seed in 0..20 {
            let (a, b) = (face(seed), face(seed + 1));
            let turned = |rotation: &Rotation, face: &Embedding| rotation.turn(face.as_slice()).unwrap();
            let same = turned(&first, &a).cosine(&turned(&first, &b));
            assert!((same - a.cosine(&b)).abs() <= 1e-5, "{same} is not {}", a.cosine(&b));
            for unlike in [&second, &other] {
                across.push(turned(&first, &a).cosine(&turned(unlike, &a)));
            }
            let back = first.turn_back(turned(&first, &a).as_slice()).unwrap();
            assert!((back.cosine(&a) - 1.0).abs() <= 1e-5);
        }
        // Two directions without a relation in 256 dimensions: mean 0, deviation 1/16.
        let worst = across.iter().fold(0.0_f32, |worst, one| worst.max(one.abs()));
        let mean = across.iter().sum::<f32>() / across.len() as f32;
        assert!(worst < 0.30 && mean.abs() < 0.06, "the same face in two epochs: mean {mean}, worst {worst}");
    }

    #[test]
    fn a_rotation_follows_from_secret_and_epoch_alone() {
        assert_eq!(Rotation::of(&secret(7), 3).0, Rotation::of(&secret(7), 3).0);
        assert_eq!(format!("{:?}", Rotation::of(&secret(7), 3)), "Rotation(***)");
    }
}
