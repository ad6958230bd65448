//! Exact search among many templates: the two most like a probe.
//!
//! Beside each template stands a coarse copy of one byte per number. One pass over the coarse copies bounds how alike each
//! template can be; only those whose bound reaches the second best so far are compared exactly. The winners are those of
//! comparing everything, at a quarter of the memory traffic.

use pulp::{Arch, Simd, WithSimd};
use zeroize::{Zeroize, Zeroizing};

use crate::embed::{Embedding, LENGTH};

/// Templates that are allocated together: growing never moves a template, so that nothing pauses and no copy is left behind.
const BLOCK: usize = 1024;
/// Largest coarse number of a template, and of a probe: 256 products of the two stay within 32 bits.
const COARSE_MAX: f32 = 127.0;
const PROBE_MAX: f32 = 32_000.0;
/// What rounding may take from a bound, for vectors of length 1.
const ROUNDING: f32 = 1e-5;
/// The bound of a place nobody has.
const VACANT: f32 = f32::NEG_INFINITY;

/// Where a template stands in an [`Index`]; it keeps its place until it is removed.
pub type Slot = u32;

/// One of the winners.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    pub slot: Slot,
    /// Dot product of template and probe: the cosine, as both have length 1.
    pub score: f32,
}

/// Templates in memory, overwritten when they are removed or the index is dropped.
pub struct Index {
    blocks: Vec<Block>,
    vacant: Vec<Slot>,
    arch: Arch,
}

/// Its vectors are as long as [`BLOCK`] from the start.
struct Block {
    exact: Zeroizing<Vec<f32>>,
    coarse: Zeroizing<Vec<i8>>,
    /// What one step of a coarse number is worth.
    step: Zeroizing<Vec<f32>>,
    /// How far a coarse score may be off, or [`VACANT`].
    slack: Vec<f32>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({} templates)", self.len())
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { blocks: Vec::new(), vacant: Vec::new(), arch: Arch::new() }
    }
}

impl Index {
    pub fn len(&self) -> usize {
        self.blocks.len() * BLOCK - self.vacant.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a template and says where it stands.
    pub fn insert(&mut self, template: &Embedding) -> Slot {
        if self.vacant.is_empty() {
            let first = self.blocks.len() * BLOCK;
            self.blocks.push(Block::vacant());
            self.vacant.extend((first..first + BLOCK).rev().map(|slot| slot as Slot));
        }
        let slot = self.vacant.pop().expect("a block was added where none was vacant");
        self.place(slot).write(slot, template.as_array());
        slot
    }

    /// Puts another template in the place of one; `false` if nobody stands there.
    pub fn replace(&mut self, slot: Slot, template: &Embedding) -> bool {
        let taken = self.template(slot).is_some();
        if taken {
            self.place(slot).write(slot, template.as_array());
        }
        taken
    }

    /// Overwrites a template and gives its place away; `false` if nobody stands there.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let taken = self.template(slot).is_some();
        if taken {
            self.place(slot).wipe(slot);
            self.vacant.push(slot);
        }
        taken
    }

    /// The template in a place.
    pub fn template(&self, slot: Slot) -> Option<&[f32; LENGTH]> {
        let block = self.blocks.get(slot as usize / BLOCK)?;
        let at = slot as usize % BLOCK;
        (block.slack[at] != VACANT).then(|| &block.exact.as_chunks().0[at])
    }

    /// The two templates most like a probe, best first; of equals the one in the lower place.
    pub fn top2(&self, probe: &Embedding) -> [Option<Found>; 2] {
        let probe = probe.as_array();
        let coarse = Coarse::of(probe);
        let mut best = Best::default();
        for (number, block) in self.blocks.iter().enumerate() {
            self.arch.dispatch(Pass { block, first: number * BLOCK, probe, coarse: &coarse, best: &mut best });
        }
        best.found
    }

    /// The same among some places only, such as those of members whose phone number ends in what the shopper typed.
    pub fn top2_among(&self, probe: &Embedding, slots: &[Slot]) -> [Option<Found>; 2] {
        let mut best = Best::default();
        for &slot in slots {
            if let Some(template) = self.template(slot) {
                best.offer(Found { slot, score: dot(template, probe.as_array()) });
            }
        }
        best.found
    }

    fn place(&mut self, slot: Slot) -> &mut Block {
        &mut self.blocks[slot as usize / BLOCK]
    }
}

impl Block {
    fn vacant() -> Self {
        Self {
            exact: Zeroizing::new(vec![0.0; BLOCK * LENGTH]),
            coarse: Zeroizing::new(vec![0; BLOCK * LENGTH]),
            step: Zeroizing::new(vec![0.0; BLOCK]),
            slack: vec![VACANT; BLOCK],
        }
    }

    fn write(&mut self, slot: Slot, template: &[f32; LENGTH]) {
        let at = slot as usize % BLOCK;
        self.exact.as_chunks_mut().0[at] = *template;
        let coarse: &mut [i8; LENGTH] = &mut self.coarse.as_chunks_mut().0[at];
        let step = largest(template).max(f32::MIN_POSITIVE) / COARSE_MAX;
        let mut lost = 0.0;
        for (coarse, &number) in coarse.iter_mut().zip(template) {
            *coarse = (number / step).round() as i8;
            let off = number - f32::from(*coarse) * step;
            lost += off * off;
        }
        self.step[at] = step;
        self.slack[at] = lost.sqrt();
    }

    fn wipe(&mut self, slot: Slot) {
        let at = slot as usize % BLOCK;
        self.exact[at * LENGTH..][..LENGTH].zeroize();
        self.coarse[at * LENGTH..][..LENGTH].zeroize();
        self.step[at] = 0.0;
        self.slack[at] = VACANT;
    }
}

/// One block compared with a probe, compiled for each kind of processor.
struct Pass<'a> {
    block: &'a Block,
    first: usize,
    probe: &'a [f32; LENGTH],
    coarse: &'a Coarse,
    best: &'a mut Best,
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { block, first, probe, coarse, best } = self;
        let mut bounds = [0.0; BLOCK];
        let (templates, steps, slacks) = (block.coarse.as_chunks().0, block.step.as_slice(), block.slack.as_slice());
        for at in 0..BLOCK {
            bounds[at] = coarse_dot(&templates[at], &coarse.numbers) as f32;
        }
        // Cauchy and Schwarz: what coarse copies lost can add at most its length times the other vector's.
        for at in 0..BLOCK {
            bounds[at] = bounds[at] * (steps[at] * coarse.step) + slacks[at] * coarse.length + coarse.slack;
        }
        for (at, &bound) in bounds.iter().enumerate() {
            if bound >= best.bar {
                let score = dot(&block.exact.as_chunks().0[at], probe);
                best.offer(Found { slot: (first + at) as Slot, score });
            }
        }
    }
}

/// A probe in whole numbers of sixteen bits, whose own loss is next to nothing.
struct Coarse {
    numbers: Zeroizing<[i16; LENGTH]>,
    step: f32,
    /// Of the probe, a little too long.
    length: f32,
    slack: f32,
}

impl Coarse {
    fn of(probe: &[f32; LENGTH]) -> Self {
        let step = largest(probe).max(f32::MIN_POSITIVE) / PROBE_MAX;
        let numbers = Zeroizing::new(probe.map(|number| (number / step).round() as i16));
        let lost: f32 = probe.iter().zip(numbers.iter()).map(|(&p, &n)| (p - f32::from(n) * step).powi(2)).sum();
        // Templates have length 1; twice that leaves room for rounding.
        Self { numbers, step, length: dot(probe, probe).sqrt() * 1.001, slack: lost.sqrt() * 2.0 + ROUNDING }
    }
}

/// The two best so far.
struct Best {
    found: [Option<Found>; 2],
    /// What a template has to reach to matter.
    bar: f32,
}

impl Default for Best {
    fn default() -> Self {
        Self { found: [None; 2], bar: f32::MIN }
    }
}

impl Best {
    fn offer(&mut self, new: Found) {
        let better = |old: &Option<Found>| old.is_none_or(|old| new.score > old.score);
        if better(&self.found[0]) {
            self.found = [Some(new), self.found[0]];
        } else if better(&self.found[1]) {
            self.found[1] = Some(new);
        }
        self.bar = self.found[1].map_or(f32::MIN, |second| second.score);
    }
}

fn largest(numbers: &[f32]) -> f32 {
    numbers.iter().fold(0.0, |most, number| most.max(number.abs()))
}

#[inline(always)]
fn coarse_dot(template: &[i8; LENGTH], probe: &[i16; LENGTH]) -> i32 {
    let mut sum = 0;
    for at in 0..LENGTH {
        sum += i32::from(template[at]) * i32::from(probe[at]);
    }
    sum
}

/// Sum of products, in lanes that the compiler can keep in registers.
#[inline(always)]
fn dot(a: &[f32; LENGTH], b: &[f32; LENGTH]) -> f32 {
    let mut lanes = [0.0_f32; 16];
    for start in (0..LENGTH).step_by(16) {
        for lane in 0..16 {
            lanes[lane] += a[start + lane] * b[start + lane];
        }
    }
    lanes.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directions that repeat in every run.
    fn person(seed: u64) -> Embedding {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        Embedding::normalised((0..LENGTH).map(|_| next() + next() + next()).collect()).unwrap()
    }

    fn alike(one: &Embedding, other: &Embedding, share: f32) -> Embedding {
        let blend = one.as_slice().iter().zip(other.as_slice()).map(|(a, b)| a + b * share).collect();
        Embedding::normalised(blend).unwrap()
    }

    /// The two best of everything that stands in the index, compared one by one.
    fn one_by_one(index: &Index, probe: &Embedding) -> [Option<Found>; 2] {
        let slots: Vec<Slot> = (0..4 * BLOCK as Slot).collect();
        index.top2_among(probe, &slots)
    }

    #[test]
    fn the_winners_are_those_of_comparing_everyone() {
        let mut index = Index::default();
        let people: Vec<Embedding> = (0..3000).map(person).collect();
        let slots: Vec<Slot> = people.iter().map(|person| index.insert(person)).collect();
        for probe in 0..200 {
            let stranger = person(10_000 + probe as u64);
            let member = alike(&people[probe * 14], &stranger, 1.2);
            for probe in [&stranger, &member] {
                assert_eq!(index.top2(probe), one_by_one(&index, probe));
            }
            assert_eq!(index.top2(&member)[0].unwrap().slot, slots[probe * 14]);
        }
    }

    #[test]
    fn a_crowd_that_differs_less_than_a_coarse_step_is_told_apart() {
        let mut index = Index::default();
        let (one, other) = (person(1), person(2));
        for step in 0..1500_u64 {
            index.insert(&alike(&one, &person(step + 7), 1e-4));
        }
        for share in [0.0, 0.3, 1.0] {
            let probe = alike(&one, &other, share);
            assert_eq!(index.top2(&probe), one_by_one(&index, &probe));
        }
    }

    #[test]
    fn a_member_who_leaves_is_not_found_and_gives_the_place_to_another() {
        let mut index = Index::default();
        let slots: Vec<Slot> = (0..5).map(|seed| index.insert(&person(seed))).collect();
        assert!(index.remove(slots[2]) && !index.remove(slots[2]) && !index.remove(9_999_999));
        assert!(index.template(slots[2]).is_none() && !index.replace(slots[2], &person(2)));
        assert!(index.top2(&person(2)).iter().flatten().all(|found| found.slot != slots[2] && found.score < 0.5));
        assert_eq!(index.len(), 4);
        assert_eq!(index.insert(&person(8)), slots[2]);
        assert!(index.replace(slots[0], &person(9)));
        for (seed, slot) in [(8, slots[2]), (9, slots[0])] {
            assert_eq!(index.top2(&person(seed))[0].unwrap().slot, slot);
        }
        let wiped = |index: &Index, slot: Slot| {
            index.blocks[0].exact[slot as usize * LENGTH..][..LENGTH].iter().all(|n| *n == 0.0)
        };
        assert!(!wiped(&index, slots[4]) && index.remove(slots[4]) && wiped(&index, slots[4]), "numbers stay behind");
    }

    #[test]
    fn a_phone_number_narrows_the_search() {
        let mut index = Index::default();
        let slots: Vec<Slot> = (0..50).map(|seed| index.insert(&person(seed))).collect();
        let among = index.top2_among(&person(7), &slots[10..13]);
        assert!(among.iter().flatten().all(|found| (slots[10]..slots[13]).contains(&found.slot)));
        assert_eq!(
            index.top2_among(&person(7), &[slots[7], 4_000_000]).map(|f| f.map(|f| f.slot)),
            [Some(slots[7]), None]
        );
    }

    #[test]
    fn nobody_is_found_in_an_empty_shop_and_twins_stand_side_by_side() {
        let mut index = Index::default();
        assert_eq!(index.top2(&person(1)), [None, None]);
        assert!(index.is_empty());
        let (first, second) = (index.insert(&person(1)), index.insert(&person(1)));
        let found = index.top2(&person(1)).map(Option::unwrap);
        assert_eq!([found[0].slot, found[1].slot], [first, second]);
        assert_eq!(found[0].score, found[1].score);
    }
}
