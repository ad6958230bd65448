//! The one place with system calls that Rust cannot check: adopted descriptors, and requests to input devices.
//!
//! Each function takes a descriptor it does not own away, passes memory it owns for as long as the call lasts, and says
//! which lines of the kernel's headers it relies on.
#![expect(unsafe_code, reason = "ioctl and adopted descriptors have no safe form in the standard library")]

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd as _, OwnedFd, RawFd};
use tokio::io::unix::AsyncFd;

/// linux/input.h: `_IOW('E', 0x90, int)`.
const EVIOCGRAB: u64 = 0x4004_4590;
/// linux/input.h: `_IOC(_IOC_READ, 'E', 0x18, len)`.
const EVIOCGKEY: u64 = 0x8000_4518;
/// linux/hidraw.h: `_IOC(_IOC_WRITE|_IOC_READ, 'H', 0x06, len)`.
const HIDIOCSFEATURE: u64 = 0xC000_4806;
/// Bits of `KEY_MAX` + 1 keys.
const KEYS: usize = 96;

/// A copy of descriptor `number` of this process; the original stays open, so that the link can be opened again.
///
/// # Errors
/// It is not open.
pub(crate) fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes any number and answers -1 for one that is not open.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given `copy` to us, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// `file` on the runtime, told when it can be read or written.
///
/// # Errors
/// The system cannot wait for it, as for plain files.
pub(crate) fn watched(file: File) -> io::Result<AsyncFd<File>> {
    // SAFETY: a `File` owns its descriptor, answers the same one always and closes it only when it is dropped.
    unsafe { AsyncFd::register(file) }.map_err(|error| error.into_parts().1)
}

/// Reading it answers at once from now on.
///
/// # Errors
/// The system refuses.
pub(crate) fn nonblocking(device: impl AsFd) -> io::Result<()> {
    let fd = device.as_fd().as_raw_fd();
    // SAFETY: F_GETFL and F_SETFL take and answer flags by value.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    told(flags)?;
    // SAFETY: as above.
    told(unsafe { libc::fcntl(fd, libc::F_SETFL, flags | libc::O_NONBLOCK) })
}

/// Programs started from here do not get it: a line that others hold, too, is not hung up when it is dropped.
///
/// # Errors
/// The system refuses.
pub(crate) fn not_inherited(device: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: F_SETFD takes its flags by value.
    told(unsafe { libc::fcntl(device.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) })
}

/// Keeps a keyboard's events from everybody else.
///
/// # Errors
/// It is no input device, or taken already.
pub(crate) fn grab(device: impl AsFd) -> io::Result<()> {
    let fd = device.as_fd().as_raw_fd();
    // SAFETY: EVIOCGRAB takes an int by value.
    told(unsafe { libc::ioctl(fd, EVIOCGRAB as _, 1) })
}

/// Whether any key is held down.
///
/// # Errors
/// It is no input device.
pub(crate) fn any_key_down(device: impl AsFd) -> io::Result<bool> {
    let mut keys = [0_u8; KEYS];
    let request = EVIOCGKEY | (KEYS as u64) << 16;
    let fd = device.as_fd().as_raw_fd();
    // SAFETY: the request names the size of `keys`, which outlives the call.
    told(unsafe { libc::ioctl(fd, request as _, keys.as_mut_ptr()) })?;
    Ok(keys.iter().any(|byte| *byte != 0))
}

/// Sends a feature report; its first byte is the report's number.
///
/// # Errors
/// The device refuses it.
pub(crate) fn feature(device: impl AsFd, report: &[u8]) -> io::Result<()> {
    let mut report = report.to_vec();
    let request = HIDIOCSFEATURE | (report.len() as u64) << 16;
    let fd = device.as_fd().as_raw_fd();
    // SAFETY: the request names the length of `report`, which outlives the call.
    told(unsafe { libc::ioctl(fd, request as _, report.as_mut_ptr()) })
}

/// Bytes a program without privileges may still write in `folder`.
///
/// # Errors
/// There is no such folder.
pub(crate) fn free(folder: &std::path::Path) -> io::Result<u64> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(folder.as_os_str().as_bytes())?;
    let mut told_of = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: both point to memory of ours that outlives the call; zeros are a `statvfs`, filled in or not.
    told(unsafe { libc::statvfs(path.as_ptr(), told_of.as_mut_ptr()) })?;
    // SAFETY: as above.
    let found = unsafe { told_of.assume_init() };
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Gives `file` blocks of its own for its first `bytes`.
///
/// # Errors
/// The disk has not so many.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(|_| io::Error::from(io::ErrorKind::StorageFull))?;
    // SAFETY: the descriptor is open as long as `file` is; the rest goes by value.
    match unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn told(answer: i32) -> io::Result<()> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
