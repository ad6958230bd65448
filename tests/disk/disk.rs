//! A disk in memory that can lose its power, its process, one operation or its space, as one seed says.
//!
//! Modelled is what SQLite's own unix VFS leaves to the system below it: names become durable when a folder is synced, which
//! that VFS does with the first sync of a journal or WAL it has opened, and with a deletion that asks for it.

use crate::inode::{Damage, Inode};
use crate::locks::{Locks, Memory};
use crate::random::Random;
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

pub type Code = i32;

/// What SQLite asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Open { create: bool },
    Read,
    Write,
    Resize,
    Sync,
    Size,
    Delete,
    Access,
    Lock,
    Map,
    MapLock,
}

impl Op {
    /// Whether it changes what a power cut would leave.
    const fn changes(self) -> bool {
        matches!(self, Self::Open { create: true } | Self::Write | Self::Resize | Self::Sync | Self::Delete)
    }

    /// Whether it needs space.
    const fn takes_space(self) -> bool {
        matches!(self, Self::Open { create: true } | Self::Write | Self::Map)
    }

    const fn error(self) -> Code {
        match self {
            Self::Open { .. } => ffi::SQLITE_CANTOPEN,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write => ffi::SQLITE_IOERR_WRITE,
            Self::Resize => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Size => ffi::SQLITE_IOERR_FSTAT,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Access => ffi::SQLITE_IOERR_ACCESS,
            Self::Lock => ffi::SQLITE_IOERR_LOCK,
            Self::Map => ffi::SQLITE_IOERR_SHMMAP,
            Self::MapLock => ffi::SQLITE_IOERR_SHMLOCK,
        }
    }
}

/// What happens, and at which operation of those it can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The power goes at the n-th change.
    Cut,
    /// The process is killed at the n-th change: what it wrote is still in the system's memory.
    Kill,
    /// The n-th operation fails, once.
    Error,
    /// The n-th operation that needs space finds none, once.
    Full,
    /// From the n-th operation that needs space on there is none.
    FullFrom,
}

/// How an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Goes,
    Fails(Code),
    /// The last thing this process does: begun, and never told done.
    Dies(Code),
}

#[derive(Debug)]
pub struct Disk(Mutex<State>);

#[derive(Debug)]
struct State {
    random: Random,
    files: BTreeMap<u64, Inode>,
    names: BTreeMap<String, u64>,
    durable_names: BTreeMap<String, u64>,
    /// Created (to this file) and deleted since the folder was synced.
    pending_names: Vec<(String, Option<u64>)>,
    locks: BTreeMap<u64, Locks>,
    memory: BTreeMap<u64, Memory>,
    last: u64,
    open: usize,
    armed: Option<(Fault, u64)>,
    /// The process is gone: nothing it asks for happens.
    dead: bool,
    struck: bool,
    ops: u64,
    damage: Damage,
}

impl Disk {
    pub fn new(seed: u64) -> Self {
        Self::of(seed, BTreeMap::new(), BTreeMap::new())
    }

    fn of(seed: u64, files: BTreeMap<u64, Inode>, names: BTreeMap<String, u64>) -> Self {
        Self(Mutex::new(State {
            random: Random::new(seed),
            last: files.keys().max().copied().unwrap_or(0),
            files,
            durable_names: names.clone(),
            names,
            pending_names: Vec::new(),
            locks: BTreeMap::new(),
            memory: BTreeMap::new(),
            open: 0,
            armed: None,
            dead: false,
            struck: false,
            ops: 0,
            damage: Damage::default(),
        }))
    }

    /// A healthy disk with what the running system sees on this one.
    pub fn copy(&self) -> Self {
        let state = self.state();
        let files = state.files.iter().map(|(inode, file)| (*inode, file.settled())).collect();
        Self::of(0, files, state.names.clone())
    }

    /// `fault` at the `nth` operation from now that it can happen to; the first is 1.
    pub fn arm(&self, fault: Fault, nth: u64) {
        let mut state = self.state();
        state.armed = Some((fault, nth));
        state.struck = false;
    }

    pub fn disarm(&self) {
        self.state().armed = None;
    }

    pub fn is_dead(&self) -> bool {
        self.state().dead
    }

    /// Whether what was armed has happened.
    pub fn struck(&self) -> bool {
        self.state().struck
    }

    pub fn ops(&self) -> u64 {
        self.state().ops
    }

    pub fn damage(&self) -> Damage {
        self.state().damage
    }

    /// The process ends here, whatever it was doing.
    pub fn stop(&self) {
        self.state().dead = true;
    }

    /// The machine comes up again after the power was cut.
    pub fn power_on(&self) {
        let mut state = self.process_ended();
        let State { random, files, names, durable_names, pending_names, damage, .. } = &mut *state;
        let luck = random.below(5);
        for (name, file) in std::mem::take(pending_names) {
            if random.below(4) >= luck {
                damage.names += 1;
            } else if let Some(file) = file {
                durable_names.insert(name, file);
            } else {
                durable_names.remove(&name);
            }
        }
        names.clone_from(durable_names);
        files.retain(|inode, _| durable_names.values().any(|named| named == inode));
        files.values_mut().for_each(|file| file.cut(random, damage));
    }

    /// The process starts again on a machine that ran on.
    pub fn process_on(&self) {
        drop(self.process_ended());
    }

    fn process_ended(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        assert_eq!(state.open, 0, "a connection of the process that ended is still open");
        state.locks.clear();
        state.memory.clear();
        (state.armed, state.dead) = (None, false);
        state
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no thread panics while it holds a disk")
    }
}

impl State {
    fn step(&mut self, op: Op) -> Verdict {
        if self.dead {
            return Verdict::Fails(op.error());
        }
        self.ops += 1;
        let Some((fault, left)) = &mut self.armed else { return Verdict::Goes };
        let fault = *fault;
        let concerns = match fault {
            Fault::Cut | Fault::Kill => op.changes(),
            Fault::Error => true,
            Fault::Full | Fault::FullFrom => op.takes_space(),
        };
        if !concerns {
            return Verdict::Goes;
        }
        *left = left.saturating_sub(1);
        if *left > 0 {
            return Verdict::Goes;
        }
        self.struck = true;
        if fault != Fault::FullFrom {
            self.armed = None;
        }
        match fault {
            Fault::Cut | Fault::Kill => {
                self.dead = true;
                Verdict::Dies(op.error())
            }
            Fault::Full | Fault::FullFrom if op == Op::Write => Verdict::Fails(ffi::SQLITE_FULL),
            Fault::Error | Fault::Full | Fault::FullFrom => Verdict::Fails(op.error()),
        }
    }

    fn check(&mut self, op: Op) -> Result<(), Code> {
        match self.step(op) {
            Verdict::Goes => Ok(()),
            Verdict::Fails(code) | Verdict::Dies(code) => Err(code),
        }
    }

    fn sync_names(&mut self) {
        self.pending_names.clear();
        self.durable_names.clone_from(&self.names);
    }

    fn file(&mut self, inode: u64) -> &mut Inode {
        self.files.entry(inode).or_default()
    }
}

/// What one open file is; `handle` tells two of the same file apart.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub handle: u64,
    pub inode: u64,
}

/// What SQLite asks, as its unix VFS would answer on this disk.
impl Disk {
    pub fn open(&self, name: Option<&str>, create: bool) -> Result<Opened, Code> {
        let mut state = self.state();
        let known = name.and_then(|name| state.names.get(name).copied());
        let verdict = state.step(Op::Open { create: known.is_none() });
        if let Verdict::Fails(code) = verdict {
            return Err(code);
        }
        let inode = match known {
            Some(inode) => inode,
            None if !create => return Err(ffi::SQLITE_CANTOPEN),
            None => {
                state.last += 1;
                let inode = state.last;
                state.file(inode);
                if let Some(name) = name {
                    state.names.insert(name.into(), inode);
                    state.pending_names.push((name.into(), Some(inode)));
                }
                inode
            }
        };
        if let Verdict::Dies(code) = verdict {
            return Err(code);
        }
        state.last += 1;
        state.open += 1;
        Ok(Opened { handle: state.last, inode })
    }

    pub fn close(&self, file: Opened) {
        let mut state = self.state();
        state.open -= 1;
        if let Some(locks) = state.locks.get_mut(&file.inode) {
            locks.release(file.handle);
        }
        drop(state);
        self.unmap(file);
    }

    /// Bytes read; fewer than asked for at the end.
    pub fn read(&self, file: Opened, at: usize, into: &mut [u8]) -> Result<usize, Code> {
        let mut state = self.state();
        state.check(Op::Read)?;
        Ok(state.file(file.inode).read(at, into))
    }

    pub fn write(&self, file: Opened, at: usize, bytes: &[u8]) -> Result<(), Code> {
        let mut state = self.state();
        match state.step(Op::Write) {
            Verdict::Goes => {
                state.file(file.inode).write(at, bytes);
                Ok(())
            }
            Verdict::Fails(code) => {
                // A write that fails may have written its beginning.
                let count = if state.dead { 0 } else { state.random.pick(bytes.len().max(1)) };
                if count > 0 {
                    state.file(file.inode).write(at, &bytes[..count]);
                }
                Err(code)
            }
            Verdict::Dies(code) => {
                state.file(file.inode).write(at, bytes);
                Err(code)
            }
        }
    }

    pub fn resize(&self, file: Opened, size: usize) -> Result<(), Code> {
        let mut state = self.state();
        let verdict = state.step(Op::Resize);
        if !matches!(verdict, Verdict::Fails(_)) {
            state.file(file.inode).resize(size);
        }
        told(verdict)
    }

    /// `names`: with the folder.
    pub fn sync(&self, file: Opened, names: bool) -> Result<(), Code> {
        let mut state = self.state();
        let was_dead = state.dead;
        let verdict = state.step(Op::Sync);
        match verdict {
            Verdict::Goes => {
                state.file(file.inode).sync();
                if names {
                    state.sync_names();
                }
            }
            Verdict::Fails(_) if !was_dead => {
                let mut random = state.random.clone();
                state.file(file.inode).fail_to_sync(&mut random);
                state.random = random;
            }
            Verdict::Fails(_) | Verdict::Dies(_) => {}
        }
        told(verdict)
    }

    pub fn size(&self, file: Opened) -> Result<usize, Code> {
        let mut state = self.state();
        state.check(Op::Size)?;
        Ok(state.file(file.inode).len())
    }

    /// `names`: and syncs the folder.
    pub fn delete(&self, name: &str, names: bool) -> Result<(), Code> {
        let mut state = self.state();
        let verdict = state.step(Op::Delete);
        if let Verdict::Fails(code) = verdict {
            return Err(code);
        }
        if state.names.remove(name).is_none() {
            return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        state.pending_names.push((name.into(), None));
        if names && verdict == Verdict::Goes {
            state.sync_names();
        }
        told(verdict)
    }

    /// As the unix VFS has it, an empty file is none.
    pub fn exists(&self, name: &str) -> Result<bool, Code> {
        let mut state = self.state();
        state.check(Op::Access)?;
        let State { names, files, .. } = &*state;
        Ok(names.get(name).and_then(|inode| files.get(inode)).is_some_and(|file| file.len() > 0))
    }

    pub fn lock(&self, file: Opened, level: i32) -> Result<(), Code> {
        let mut state = self.state();
        state.check(Op::Lock)?;
        state.locks.entry(file.inode).or_default().take(file.handle, level)
    }

    pub fn unlock(&self, file: Opened, level: i32) {
        self.state().locks.entry(file.inode).or_default().lower(file.handle, level);
    }

    pub fn is_reserved(&self, file: Opened) -> Result<bool, Code> {
        let mut state = self.state();
        state.check(Op::Lock)?;
        Ok(state.locks.entry(file.inode).or_default().is_reserved())
    }

    /// Region `number` of the memory that connections to this file share.
    pub fn map(&self, file: Opened, number: usize, extend: bool) -> Result<Option<*mut u8>, Code> {
        let mut state = self.state();
        state.check(Op::Map)?;
        Ok(state.memory.entry(file.inode).or_default().region(file.handle, number, extend))
    }

    pub fn map_lock(&self, file: Opened, slots: std::ops::Range<usize>, exclusive: bool) -> Result<(), Code> {
        let mut state = self.state();
        state.check(Op::MapLock)?;
        state.memory.entry(file.inode).or_default().lock(file.handle, slots, exclusive)
    }

    pub fn map_unlock(&self, file: Opened, slots: std::ops::Range<usize>) {
        self.state().memory.entry(file.inode).or_default().unlock(file.handle, slots);
    }

    /// The memory goes with its last user: the first connection of the next process finds it empty and reads the WAL.
    pub fn unmap(&self, file: Opened) {
        let mut state = self.state();
        if state.memory.get_mut(&file.inode).is_some_and(|memory| memory.leave(file.handle)) {
            state.memory.remove(&file.inode);
        }
    }
}

fn told(verdict: Verdict) -> Result<(), Code> {
    match verdict {
        Verdict::Goes => Ok(()),
        Verdict::Fails(code) | Verdict::Dies(code) => Err(code),
    }
}
