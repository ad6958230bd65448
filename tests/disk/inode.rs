//! One file: what is on the platter, what the running system sees, and what has been written and not synced.

use crate::random::Random;
use std::ops::AddAssign;

/// Of a write that was not synced, each of these arrives or does not.
const SECTOR: usize = 512;

#[derive(Clone, Debug, Default)]
pub struct Inode {
    durable: Vec<u8>,
    cached: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Size(usize),
}

/// What power cuts did to what was not synced.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damage {
    pub arrived: u64,
    pub lost: u64,
    pub torn: u64,
    /// Files whose length went back to an earlier one.
    pub sizes: u64,
    /// Files created, or deleted, that were not, or were again, there.
    pub names: u64,
}

impl AddAssign for Damage {
    fn add_assign(&mut self, other: Self) {
        self.arrived += other.arrived;
        self.lost += other.lost;
        self.torn += other.torn;
        self.sizes += other.sizes;
        self.names += other.names;
    }
}

impl Inode {
    pub fn len(&self) -> usize {
        self.cached.len()
    }

    /// Bytes read; fewer than asked for at the end.
    pub fn read(&self, at: usize, into: &mut [u8]) -> usize {
        let from = self.cached.get(at..).unwrap_or_default();
        let count = from.len().min(into.len());
        into[..count].copy_from_slice(&from[..count]);
        count
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        put(&mut self.cached, at, bytes);
        self.pending.push(Change::Write { at, bytes: bytes.into() });
    }

    pub fn resize(&mut self, size: usize) {
        self.cached.resize(size, 0);
        self.pending.push(Change::Size(size));
    }

    /// Only what was written since the last sync goes to the platter: what an earlier one failed to bring there does not.
    pub fn sync(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Write { at, bytes } => put(&mut self.durable, at, &bytes),
                Change::Size(size) => self.durable.resize(size, 0),
            }
        }
    }

    /// A sync that fails: some of it is on the platter, and the system holds all of it for written. The next sync succeeds.
    pub fn fail_to_sync(&mut self, random: &mut Random) {
        self.durable = self.platter(random, &mut Damage::default());
        self.pending.clear();
    }

    /// The power was cut.
    pub fn cut(&mut self, random: &mut Random, damage: &mut Damage) {
        self.durable = self.platter(random, damage);
        self.cached.clone_from(&self.durable);
        self.pending.clear();
    }

    /// The file as the running system sees it, all of it durable.
    pub fn settled(&self) -> Self {
        Self { durable: self.cached.clone(), cached: self.cached.clone(), pending: Vec::new() }
    }

    /// Any subset of the sectors written since the last sync, some of them half; any of the lengths the file has had since.
    ///
    /// A subset in the order of writing is every order: a later write that came first is an earlier one that got lost.
    fn platter(&self, random: &mut Random, damage: &mut Damage) -> Vec<u8> {
        // From nothing arrived to everything.
        let luck = random.below(5);
        let mut bytes = self.durable.clone();
        let (mut size, mut sizes) = (bytes.len(), vec![bytes.len()]);
        // Blocks given to a file before their contents are written hold what was there before.
        let stale = if random.one_in(4) { 0xA5 } else { 0 };
        for change in &self.pending {
            match change {
                Change::Write { at, bytes: new } => {
                    size = size.max(at + new.len());
                    if bytes.len() < size {
                        bytes.resize(size, stale);
                    }
                    arrive(&mut bytes, *at, new, luck, random, damage);
                }
                Change::Size(to) => {
                    size = *to;
                    if random.below(4) < luck {
                        bytes.iter_mut().skip(size).for_each(|byte| *byte = 0);
                    }
                }
            }
            sizes.push(size);
        }
        let size = match luck {
            0 => sizes[0],
            4 => size,
            _ => sizes[random.pick(sizes.len())],
        };
        damage.sizes += u64::from(sizes.last() != Some(&size));
        bytes.resize(size, stale);
        bytes
    }
}

/// Sector by sector: there, not there, or only its beginning.
fn arrive(bytes: &mut [u8], at: usize, new: &[u8], luck: u64, random: &mut Random, damage: &mut Damage) {
    let mut done = 0;
    while done < new.len() {
        let end = new.len().min(done + SECTOR - (at + done) % SECTOR);
        let piece = &new[done..end];
        let count = if random.below(4) < luck {
            damage.arrived += 1;
            piece.len()
        } else if random.one_in(8) {
            damage.torn += 1;
            random.pick(piece.len())
        } else {
            damage.lost += 1;
            0
        };
        bytes[at + done..at + done + count].copy_from_slice(&piece[..count]);
        done = end;
    }
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    let end = at + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[at..end].copy_from_slice(new);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_cuts(file: &Inode) -> Vec<Vec<u8>> {
        let cut = |seed| {
            let mut file = file.clone();
            file.cut(&mut Random::new(seed), &mut Damage::default());
            file.cached
        };
        (0..200).map(cut).collect()
    }

    #[test]
    fn what_was_synced_survives_every_cut_and_what_was_not_may_be_there_gone_or_half() {
        let mut file = Inode::default();
        file.write(0, &[1; 2000]);
        file.sync();
        assert!(after_cuts(&file).iter().all(|bytes| *bytes == [1; 2000]));
        file.write(512, &[2; 1024]);
        let cut = after_cuts(&file);
        assert!(cut.iter().all(|bytes| bytes[..512] == [1; 512] && bytes[1536..] == [1; 464]), "others' bytes stay");
        let sectors = |first: u8, second: u8| cut.iter().any(|bytes| bytes[600] == first && bytes[1100] == second);
        assert!(sectors(1, 1) && sectors(2, 2) && sectors(1, 2) && sectors(2, 1), "any order");
        assert!(cut.iter().any(|bytes| bytes[512] == 2 && bytes[1023] == 1), "torn");
    }

    #[test]
    fn a_length_that_was_not_synced_may_go_back() {
        let mut file = Inode::default();
        file.write(0, &[1; 600]);
        file.sync();
        file.write(600, &[2; 600]);
        let lengths: Vec<usize> = after_cuts(&file).iter().map(Vec::len).collect();
        assert!(lengths.contains(&600) && lengths.contains(&1200), "grown");
        file.sync();
        file.resize(0);
        let lengths: Vec<usize> = after_cuts(&file).iter().map(Vec::len).collect();
        assert!(lengths.contains(&1200) && lengths.contains(&0), "shrunk");
    }

    #[test]
    fn after_a_sync_that_failed_the_next_one_brings_nothing_back() {
        let lost = (0..50).any(|seed| {
            let mut file = Inode::default();
            file.write(0, &[1; 512]);
            file.fail_to_sync(&mut Random::new(seed));
            file.sync();
            assert_eq!(file.cached, [1; 512], "the running system sees it");
            file.cut(&mut Random::new(seed), &mut Damage::default());
            file.cached != [1; 512]
        });
        assert!(lost);
    }
}
