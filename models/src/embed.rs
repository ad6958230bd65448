//! Embedding: an aligned face as 256 numbers, whose dot product with another's says how alike they are.

use zeroize::Zeroizing;

use crate::align::aligned;
use crate::detect::Face;
use crate::image::{Frame, Planes};
use crate::manifest::Models;
use crate::model::{ModelError, Network};

/// Numbers in an embedding.
pub const LENGTH: usize = 256;

/// A direction in face space, of length 1; biometric data, so it is overwritten when dropped and never printed.
#[derive(Clone, PartialEq)]
pub struct Embedding(Zeroizing<Vec<f32>>);

impl std::fmt::Debug for Embedding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedding(***)")
    }
}

impl Embedding {
    /// Scales numbers to length 1; `None` unless there are [`LENGTH`] finite ones that are not all zero.
    pub fn normalised(numbers: Vec<f32>) -> Option<Self> {
        let mut numbers = Zeroizing::new(numbers);
        let length = dot(&numbers, &numbers).sqrt();
        if numbers.len() != LENGTH || !length.is_finite() || length <= f32::MIN_POSITIVE {
            return None;
        }
        numbers.iter_mut().for_each(|number| *number /= length);
        Some(Self(numbers))
    }

    /// The mean direction of several; `None` of none.
    pub fn mean<'a>(several: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut sum = vec![0.0; LENGTH];
        for one in several {
            sum.iter_mut().zip(one.0.iter()).for_each(|(sum, number)| *sum += number);
        }
        Self::normalised(sum)
    }

    /// Likeness, -1 to 1.
    pub fn cosine(&self, other: &Self) -> f32 {
        dot(&self.0, &other.0)
    }

    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    pub(crate) fn as_array(&self) -> &[f32; LENGTH] {
        &self.0.as_chunks().0[0]
    }
}

/// Sum of products, in eight lanes that the compiler can keep in one register.
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum()
}

/// The recogniser.
#[derive(Debug)]
pub struct Recogniser {
    network: Network,
}

impl Recogniser {
    pub fn load(models: &Models) -> Result<Self, ModelError> {
        let [network] = Network::load_all(models, &models.manifest().recogniser)?;
        Ok(Self { network })
    }

    /// Overwrites what earlier faces left in memory.
    pub fn forget(&self) {
        self.network.forget();
    }

    /// The embedding of one face; `None` when its landmarks cannot be aligned.
    pub fn embed(&self, frame: &Frame, face: &Face) -> Result<Option<Embedding>, ModelError> {
        aligned(frame, face).map_or(Ok(None), |aligned| self.embed_aligned(&aligned))
    }

    /// The embedding of a face that is aligned already.
    pub fn embed_aligned(&self, aligned: &Planes) -> Result<Option<Embedding>, ModelError> {
        let outputs = self.network.run(aligned.as_slice())?;
        Ok(outputs.into_iter().next().and_then(Embedding::normalised))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_lies_between_and_prints_nothing() {
        let axis = |at: usize| {
            let mut numbers = vec![0.0; LENGTH];
            numbers[at] = 3.0;
            Embedding::normalised(numbers).unwrap()
        };
        let mean = Embedding::mean([&axis(0), &axis(9)]).unwrap();
        assert!((mean.cosine(&axis(0)) - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(format!("{mean:?}"), "Embedding(***)");
    }

    #[test]
    fn numbers_without_direction_are_refused() {
        assert!(Embedding::normalised(vec![0.0; LENGTH]).is_none());
        assert!(Embedding::normalised(vec![f32::NAN; LENGTH]).is_none());
        assert!(Embedding::normalised(vec![1.0; 3]).is_none());
        assert!(Embedding::mean([]).is_none());
    }
}
