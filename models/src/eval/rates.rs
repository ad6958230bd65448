//! Error rates of a biometric comparison, in the words of ISO/IEC 19795, and how sure one can be of them.

/// Steps of a cosine that a histogram tells apart.
const BINS: usize = 20_000;
/// Folds of a cross-validation.
const FOLDS: usize = 10;
/// Standard deviations that hold 95 % of a normal distribution.
const Z95: f64 = 1.959_964;

/// A share of trials with the interval that holds the true one in 95 of 100 cases (Wilson's).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Share {
    pub count: u64,
    pub of: u64,
    pub rate: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    pub fn new(count: u64, of: u64) -> Self {
        if of == 0 {
            return Self { count, of, rate: 0.0, low: 0.0, high: 1.0 };
        }
        let (n, p) = (of as f64, count as f64 / of as f64);
        let z2 = Z95 * Z95;
        let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let reach = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
        // The ends are exact where rounding would leave a trace of nothing.
        let low = if count == 0 { 0.0 } else { (centre - reach).max(0.0) };
        let high = if count == of { 1.0 } else { (centre + reach).min(1.0) };
        Self { count, of, rate: p, low, high }
    }
}

/// How often each cosine occurred.
#[derive(Debug, Clone)]
pub struct Histogram {
    bins: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { bins: vec![0; BINS + 1], total: 0 }
    }
}

impl Histogram {
    pub fn add(&mut self, cosine: f32) {
        self.bins[bin(cosine)] += 1;
        self.total += 1;
    }

    pub fn absorb(&mut self, other: &Self) {
        self.bins.iter_mut().zip(&other.bins).for_each(|(mine, theirs)| *mine += theirs);
        self.total += other.total;
    }

    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many reached a cosine, to the width of a bin.
    pub fn reaching(&self, cosine: f32) -> u64 {
        self.bins[bin(cosine)..].iter().sum()
    }

    /// Shares per tenth of a thousandth gathered into `columns`, for a picture.
    pub fn columns(&self, columns: usize) -> Vec<f64> {
        let mut shares = vec![0.0; columns];
        for (at, &count) in self.bins.iter().enumerate() {
            shares[(at * columns / self.bins.len()).min(columns - 1)] += count as f64 / self.total.max(1) as f64;
        }
        shares
    }
}

fn bin(cosine: f32) -> usize {
    ((f64::from(cosine).clamp(-1.0, 1.0) + 1.0) / 2.0 * BINS as f64).round() as usize
}

fn cosine(bin: usize) -> f64 {
    bin as f64 / BINS as f64 * 2.0 - 1.0
}

/// Comparisons of the same person and of different ones.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    pub genuine: Histogram,
    pub impostor: Histogram,
}

/// Both error rates at one cosine.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct Point {
    pub cosine: f64,
    /// False match and false non-match rate.
    pub fmr: Share,
    pub fnmr: Share,
}

impl Scores {
    pub fn add(&mut self, same: bool, cosine: f32) {
        if same { self.genuine.add(cosine) } else { self.impostor.add(cosine) }
    }

    pub fn absorb(&mut self, other: &Self) {
        self.genuine.absorb(&other.genuine);
        self.impostor.absorb(&other.impostor);
    }

    pub fn at(&self, cosine: f64) -> Point {
        let missed = self.genuine.total() - self.genuine.reaching(cosine as f32);
        let fmr = Share::new(self.impostor.reaching(cosine as f32), self.impostor.total());
        Point { cosine, fmr, fnmr: Share::new(missed, self.genuine.total()) }
    }

    /// Both rates at every cosine, rising; the trade-off curve.
    pub fn curve(&self) -> Vec<(f64, f64, f64)> {
        let (mut taken, mut missed) = (self.impostor.total(), 0);
        let (impostors, genuine) = (self.impostor.total().max(1) as f64, self.genuine.total().max(1) as f64);
        (0..=BINS)
            .map(|at| {
                let point = (cosine(at), taken as f64 / impostors, missed as f64 / genuine);
                taken -= self.impostor.bins[at];
                missed += self.genuine.bins[at];
                point
            })
            .collect()
    }

    /// The rate at which as many are wrongly told apart as wrongly taken for each other.
    pub fn eer(&self) -> f64 {
        let nearest = self.curve().into_iter().min_by(|a, b| (a.1 - a.2).abs().total_cmp(&(b.1 - b.2).abs()));
        nearest.map_or(0.0, |(_, fmr, fnmr)| (fmr + fnmr) / 2.0)
    }

    /// The lowest cosine at which at most a share of strangers is accepted, and what becomes of genuine attempts there.
    pub fn at_fmr(&self, share: f64) -> Point {
        let found = self.curve().into_iter().find(|(_, fmr, _)| *fmr <= share);
        self.at(found.map_or(1.0, |(cosine, ..)| cosine))
    }
}

/// One comparison of a list of pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    pub same: bool,
    pub cosine: f32,
}

/// Mean and standard deviation of the share of pairs judged rightly, each tenth at the threshold that suits the other nine.
///
/// Folds follow the order of the list, genuine and impostor pairs apart: those of the LFW protocol for its list.
pub fn cross_validated(pairs: &[Pair]) -> (f64, f64) {
    let count = |same: bool| pairs.iter().filter(|pair| pair.same == same).count().max(1);
    let totals = [count(false), count(true)];
    let mut seen = [0, 0];
    let folds: Vec<usize> = pairs
        .iter()
        .map(|pair| {
            let kind = usize::from(pair.same);
            seen[kind] += 1;
            (seen[kind] - 1) * FOLDS / totals[kind]
        })
        .collect();
    let mut rates = Vec::new();
    for fold in 0..FOLDS {
        let (mine, others): (Vec<_>, Vec<_>) = pairs.iter().zip(&folds).partition(|(_, of)| **of == fold);
        if mine.is_empty() || others.is_empty() {
            continue;
        }
        let threshold = best_threshold(others.into_iter().map(|(pair, _)| *pair).collect());
        let right = mine.iter().filter(|(pair, _)| (pair.cosine >= threshold) == pair.same).count();
        rates.push(right as f64 / mine.len() as f64);
    }
    let mean = rates.iter().sum::<f64>() / rates.len().max(1) as f64;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / rates.len().max(1) as f64;
    (mean, variance.sqrt())
}

/// The cosine that judges most pairs rightly; in the middle of the gap where several do.
fn best_threshold(mut pairs: Vec<Pair>) -> f32 {
    pairs.sort_by(|a, b| a.cosine.total_cmp(&b.cosine));
    // Accepting everyone is right about all genuine pairs.
    let mut right = pairs.iter().filter(|pair| pair.same).count();
    let mut best = (right, f32::MIN);
    for (at, pair) in pairs.iter().enumerate() {
        right = if pair.same { right - 1 } else { right + 1 };
        let next = pairs.get(at + 1).map_or(pair.cosine + 1.0, |next| next.cosine);
        if right > best.0 && next > pair.cosine {
            best = (right, f32::midpoint(pair.cosine, next));
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_come_with_the_bounds_of_the_textbook() {
        // Wilson's interval for 1 of 10 and for none of 100 (Brown, Cai, DasGupta 2001).
        let one = Share::new(1, 10);
        assert!((one.low - 0.0179).abs() < 1e-4 && (one.high - 0.4042).abs() < 1e-4, "{one:?}");
        let none = Share::new(0, 100);
        assert!(none.low == 0.0 && (none.high - 0.0370).abs() < 1e-4, "{none:?}");
        assert_eq!(Share::new(5, 5).high, 1.0);
        assert_eq!((Share::new(0, 0).low, Share::new(0, 0).high), (0.0, 1.0));
    }

    /// A hundred strangers at 0.00 to 0.99 and a hundred members at 0.50 to 1.49, both in even steps, halved into cosines.
    fn known() -> Scores {
        let mut scores = Scores::default();
        for step in 0..100 {
            scores.add(false, step as f32 / 200.0);
            scores.add(true, (step + 50) as f32 / 200.0);
        }
        scores
    }

    #[test]
    fn rates_of_known_scores_are_known() {
        let scores = known();
        let point = scores.at(0.45);
        assert_eq!((point.fmr.count, point.fnmr.count), (10, 40));
        assert!((scores.eer() - 0.25).abs() < 0.011, "{}", scores.eer());
        let strict = scores.at_fmr(0.01);
        assert_eq!((strict.fmr.count, strict.fnmr.count), (1, 49));
        assert_eq!(scores.at_fmr(1e-6).fmr.count, 0);
    }

    #[test]
    fn pairs_that_fall_apart_are_judged_without_error_and_those_that_do_not_by_half() {
        let apart: Vec<Pair> =
            (0..200).map(|at| Pair { same: at % 2 == 0, cosine: if at % 2 == 0 { 0.7 } else { 0.1 } }).collect();
        assert_eq!(cross_validated(&apart), (1.0, 0.0));
        let alike: Vec<Pair> = (0..200).map(|at| Pair { same: at % 2 == 0, cosine: 0.5 }).collect();
        assert_eq!(cross_validated(&alike).0, 0.5);
        // One genuine pair in ten was not found at all.
        let missed: Vec<Pair> = (0..200)
            .map(|at| Pair { same: at % 2 == 0, cosine: if at % 20 == 0 { -1.0 } else { apart[at].cosine } })
            .collect();
        assert!((cross_validated(&missed).0 - 0.95).abs() < 1e-9);
        assert_eq!(cross_validated(&[]), (0.0, 0.0));
    }
}
