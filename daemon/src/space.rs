//! Room on the disk: a file that only takes up space, given up when a commit finds none.
//!
//! What is given up is enough for the baskets that are open: they are finished, and no other is begun until there is room for
//! the file again.

use crate::sys;
use checkout::upkeep::Room;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Some thirty baskets.
pub const BALLAST_KB: u64 = 8192;
/// A WAL begins anew at 4 MB, and is cut back to 8 MB; one that grew to this is held up by somebody.
pub const WAL_KB: u64 = 64 * 1024;

#[derive(Debug)]
pub struct Ballast {
    path: PathBuf,
    bytes: u64,
    held: bool,
}

impl Ballast {
    /// In the folder the journal grows in.
    #[must_use]
    pub fn new(data: &Path, kilobytes: u64) -> Self {
        let path = data.join("ballast");
        let bytes = kilobytes * 1024;
        let held = path.metadata().is_ok_and(|file| file.len() >= bytes);
        Self { path, bytes, held }
    }

    #[must_use]
    pub const fn is_held(&self) -> bool {
        self.held
    }

    /// What is left besides it, where the last look said `before`: it is short below half the ballast's size, and not until
    /// there is all of that again.
    pub fn look(&mut self, before: Room) -> Room {
        if !self.fill() {
            return Room::Full;
        }
        let wanted = if before == Room::Enough { self.bytes / 2 } else { self.bytes };
        let free = sys::free(self.folder()).unwrap_or(u64::MAX);
        if free < wanted { Room::Low } else { Room::Enough }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Takes the room if the disk has it and half as much again; says whether it is held.
    pub fn fill(&mut self) -> bool {
        if self.held {
            return true;
        }
        let room = sys::free(self.folder()).is_ok_and(|free| free >= self.bytes + self.bytes / 2);
        self.held = room && self.make().is_ok();
        if room && !self.held {
            let _ = std::fs::remove_file(&self.path);
        }
        self.held
    }

    fn make(&self) -> io::Result<()> {
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&self.path)?;
        sys::allocate(&file, self.bytes)?;
        file.sync_all()
    }

    /// Gives the room up; says whether there was any.
    pub fn give_up(&mut self) -> bool {
        self.held = false;
        std::fs::remove_file(&self.path).is_ok() && sync_folder(self.folder()).is_ok()
    }
}

/// Makes names of files in `folder` as durable as the files.
///
/// # Errors
/// The disk refuses.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ballast_takes_real_room_once_and_gives_it_up() {
        let folder = tempfile::tempdir().unwrap();
        let mut ballast = Ballast::new(folder.path(), 64);
        assert!(!ballast.is_held() && ballast.fill() && ballast.is_held());
        let file = folder.path().join("ballast").metadata().unwrap();
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!((file.len(), file.blocks() * 512 >= 64 * 1024), (64 * 1024, true), "a hole takes up nothing");
        assert!(Ballast::new(folder.path(), 64).is_held(), "the next start finds it");
        assert!(ballast.give_up() && !ballast.is_held() && !ballast.give_up());
        assert!(!Ballast::new(folder.path(), u64::MAX / 4096).fill(), "no disk has this much");
    }
}
