//! Who may read and write a file, and the memory its connections share: the rules of SQLite's unix VFS within one process.

use crate::disk::Code;
use rusqlite::ffi;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::AtomicU64;

/// Bytes of a region of the WAL index (`WALINDEX_PGSZ`).
pub const REGION: usize = 32_768;
const WORDS: usize = REGION / size_of::<u64>();
const SLOTS: usize = 8;

/// Levels of the lock on a file, by handle.
#[derive(Debug, Default)]
pub struct Locks(BTreeMap<u64, i32>);

impl Locks {
    pub fn take(&mut self, handle: u64, level: i32) -> Result<(), Code> {
        if self.0.get(&handle).is_some_and(|held| *held >= level) {
            return Ok(());
        }
        let others = self.0.iter().filter(|(other, _)| **other != handle).map(|(_, held)| *held).max().unwrap_or(0);
        let free = match level {
            ffi::SQLITE_LOCK_SHARED => others < ffi::SQLITE_LOCK_PENDING,
            ffi::SQLITE_LOCK_RESERVED => others < ffi::SQLITE_LOCK_RESERVED,
            _ => others == 0,
        };
        if free {
            self.0.insert(handle, level);
        } else if level == ffi::SQLITE_LOCK_EXCLUSIVE && others == ffi::SQLITE_LOCK_SHARED {
            // Readers may finish; no new one begins.
            self.0.insert(handle, ffi::SQLITE_LOCK_PENDING);
        }
        if free { Ok(()) } else { Err(ffi::SQLITE_BUSY) }
    }

    pub fn lower(&mut self, handle: u64, level: i32) {
        match level {
            ffi::SQLITE_LOCK_NONE => self.release(handle),
            _ => _ = self.0.insert(handle, level),
        }
    }

    pub fn release(&mut self, handle: u64) {
        self.0.remove(&handle);
    }

    pub fn is_reserved(&self) -> bool {
        self.0.values().any(|held| *held >= ffi::SQLITE_LOCK_RESERVED)
    }
}

/// The WAL index of one file. Its words are atomics so that SQLite may write through pointers to them.
#[derive(Debug, Default)]
pub struct Memory {
    regions: Vec<Box<[AtomicU64]>>,
    users: BTreeSet<u64>,
    slots: [Slot; SLOTS],
}

#[derive(Debug, Default)]
struct Slot {
    shared: BTreeSet<u64>,
    exclusive: Option<u64>,
}

impl Memory {
    /// The pointer is good until the last user leaves.
    pub fn region(&mut self, handle: u64, number: usize, extend: bool) -> Option<*mut u8> {
        self.users.insert(handle);
        if extend {
            while self.regions.len() <= number {
                self.regions.push((0..WORDS).map(|_| AtomicU64::new(0)).collect());
            }
        }
        self.regions.get(number).map(|region| region.as_ptr().cast_mut().cast())
    }

    pub fn lock(&mut self, handle: u64, slots: Range<usize>, exclusive: bool) -> Result<(), Code> {
        let free = |slot: &Slot| {
            slot.exclusive.is_none_or(|holder| holder == handle)
                && (!exclusive || slot.shared.iter().all(|holder| *holder == handle))
        };
        let slots = &mut self.slots[slots];
        if !slots.iter().all(free) {
            return Err(ffi::SQLITE_BUSY);
        }
        for slot in slots {
            if exclusive {
                slot.exclusive = Some(handle);
            } else {
                slot.shared.insert(handle);
            }
        }
        Ok(())
    }

    pub fn unlock(&mut self, handle: u64, slots: Range<usize>) {
        for slot in &mut self.slots[slots] {
            slot.shared.remove(&handle);
            slot.exclusive = slot.exclusive.filter(|holder| *holder != handle);
        }
    }

    /// Whether that was the last one.
    pub fn leave(&mut self, handle: u64) -> bool {
        self.unlock(handle, 0..SLOTS);
        self.users.remove(&handle);
        self.users.is_empty()
    }
}
