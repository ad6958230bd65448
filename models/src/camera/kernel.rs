//! The system calls of a V4L2 device: the one place of this crate that the compiler cannot check.
//!
//! Layouts and numbers are those of linux/videodev2.h on 64-bit machines, checked below against its sizes. Each call
//! passes memory of its own that lives as long as the call. The kernel writes into mapped buffers only between giving and
//! taking them, and bytes are copied out: no reference into shared memory ever exists.
#![expect(unsafe_code, reason = "ioctl, mmap and poll have no safe form in the standard library")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

use zeroize::Zeroizing;

use super::v4l2::{Device, Filled, FourCc, Set};
use crate::video::BYTES_CAP;

/// Buffers a device fills in turn.
const BUFFERS: u32 = 4;
/// A device that lists more formats than this says nothing new.
const FORMATS_CAP: u32 = 64;

const VIDEO_CAPTURE: u32 = 1;
const MEMORY_MMAP: u32 = 1;
const FIELD_NONE: u32 = 1;
const CAP_VIDEO_CAPTURE: u32 = 1;
const CAP_STREAMING: u32 = 0x0400_0000;
const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
const BUF_FLAG_ERROR: u32 = 0x40;

#[repr(C)]
#[derive(Clone, Copy)]
struct Capability {
    driver: [u8; 16],
    card: [u8; 32],
    bus_info: [u8; 32],
    version: u32,
    capabilities: u32,
    device_caps: u32,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct FormatDescription {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pixel_format: FourCc,
    mbus_code: u32,
    reserved: [u32; 3],
}

/// `struct v4l2_format` with `v4l2_pix_format`, filled up to the size of its union.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Format {
    kind: u32,
    /// The union holds pointers, so it begins at eight bytes.
    gap: u32,
    width: u32,
    height: u32,
    pixel_format: FourCc,
    field: u32,
    bytes_per_line: u32,
    rest: [u32; 45],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u32,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Buffer {
    index: u32,
    kind: u32,
    bytes_used: u32,
    flags: u32,
    field: u32,
    gap: u32,
    timestamp: [u64; 2],
    timecode: [u32; 4],
    sequence: u32,
    memory: u32,
    /// The offset to map, in the low half of the union.
    offset: u64,
    length: u32,
    reserved: [u32; 3],
}

/// `_IOC(dir, 'V', number, size)`; dir 1 writes, 2 reads.
const fn request(dir: u64, number: u64, size: usize) -> u64 {
    dir << 30 | (size as u64) << 16 | (b'V' as u64) << 8 | number
}

const QUERYCAP: u64 = request(2, 0, size_of::<Capability>());
const ENUM_FMT: u64 = request(3, 2, size_of::<FormatDescription>());
const S_FMT: u64 = request(3, 5, size_of::<Format>());
const REQBUFS: u64 = request(3, 8, size_of::<RequestBuffers>());
const QUERYBUF: u64 = request(3, 9, size_of::<Buffer>());
const QBUF: u64 = request(3, 15, size_of::<Buffer>());
const DQBUF: u64 = request(3, 17, size_of::<Buffer>());
const STREAMON: u64 = request(1, 18, size_of::<i32>());
const STREAMOFF: u64 = request(1, 19, size_of::<i32>());

// As linux/videodev2.h has them on 64-bit machines.
const _: () = assert!(size_of::<Capability>() == 104 && QUERYCAP == 0x8068_5600);
const _: () = assert!(size_of::<FormatDescription>() == 64 && ENUM_FMT == 0xC040_5602);
const _: () = assert!(size_of::<Format>() == 208 && S_FMT == 0xC0D0_5605);
const _: () = assert!(size_of::<RequestBuffers>() == 20 && REQBUFS == 0xC014_5608);
const _: () = assert!(size_of::<Buffer>() == 88 && DQBUF == 0xC058_5611);
const _: () = assert!(std::mem::offset_of!(Buffer, offset) == 64 && std::mem::offset_of!(Buffer, sequence) == 56);
const _: () = assert!(STREAMON == 0x4004_5612 && cfg!(target_endian = "little"));

/// An open V4L2 device. Dropping it stops and closes it.
pub(super) struct Kernel {
    file: File,
    buffers: Vec<Mapped>,
    streams: bool,
}

/// Opens the character device at `path`.
pub(super) fn open(path: &Path) -> io::Result<Kernel> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).write(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.file_type().is_char_device() {
        return Err(io::Error::from_raw_os_error(libc::ENOTTY));
    }
    Ok(Kernel { file, buffers: Vec::new(), streams: false })
}

impl Kernel {
    /// What the kernel calls it, whatever name it was opened by.
    pub(super) fn number(&self) -> io::Result<(u32, u32)> {
        let number = self.file.metadata()?.rdev();
        Ok((libc::major(number), libc::minor(number)))
    }

    /// Asks the device; `argument` is one of the structures above whose size stands in `request`.
    fn ask<T: Copy>(&self, request: u64, argument: &mut T) -> io::Result<()> {
        debug_assert!((request >> 16) & 0x3fff == size_of::<T>() as u64);
        loop {
            // SAFETY: the request names the size of `T`, all of whose bytes are plain numbers, and `argument` outlives
            // the call. No request used here keeps the pointer.
            let answer = unsafe { libc::ioctl(self.file.as_raw_fd(), request as _, std::ptr::from_mut(argument)) };
            if answer >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    fn give_index(&self, index: u32) -> io::Result<()> {
        self.ask(QBUF, &mut Buffer { index, ..Buffer::default() })
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            index: 0,
            kind: VIDEO_CAPTURE,
            bytes_used: 0,
            flags: 0,
            field: 0,
            gap: 0,
            timestamp: [0; 2],
            timecode: [0; 4],
            sequence: 0,
            memory: MEMORY_MMAP,
            offset: 0,
            length: 0,
            reserved: [0; 3],
        }
    }
}

impl Device for Kernel {
    fn films(&mut self) -> io::Result<bool> {
        let mut said = Capability {
            driver: [0; 16],
            card: [0; 32],
            bus_info: [0; 32],
            version: 0,
            capabilities: 0,
            device_caps: 0,
            reserved: [0; 3],
        };
        self.ask(QUERYCAP, &mut said)?;
        let can = if said.capabilities & CAP_DEVICE_CAPS != 0 { said.device_caps } else { said.capabilities };
        Ok(can & CAP_VIDEO_CAPTURE != 0 && can & CAP_STREAMING != 0)
    }

    fn formats(&mut self) -> io::Result<Vec<FourCc>> {
        let mut formats = Vec::new();
        for index in 0..FORMATS_CAP {
            let mut said = FormatDescription {
                index,
                kind: VIDEO_CAPTURE,
                flags: 0,
                description: [0; 32],
                pixel_format: [0; 4],
                mbus_code: 0,
                reserved: [0; 3],
            };
            match self.ask(ENUM_FMT, &mut said) {
                Ok(()) => formats.push(said.pixel_format),
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(formats)
    }

    fn set(&mut self, wanted: Set) -> io::Result<Set> {
        let mut format = Format {
            kind: VIDEO_CAPTURE,
            gap: 0,
            width: wanted.width,
            height: wanted.height,
            pixel_format: wanted.format,
            field: FIELD_NONE,
            bytes_per_line: 0,
            rest: [0; 45],
        };
        self.ask(S_FMT, &mut format)?;
        Ok(Set {
            format: format.pixel_format,
            width: format.width,
            height: format.height,
            stride: format.bytes_per_line,
        })
    }

    fn start(&mut self) -> io::Result<()> {
        let mut asked =
            RequestBuffers { count: BUFFERS, kind: VIDEO_CAPTURE, memory: MEMORY_MMAP, capabilities: 0, flags: 0 };
        self.ask(REQBUFS, &mut asked)?;
        for index in 0..asked.count.min(BUFFERS) {
            let mut said = Buffer { index, ..Buffer::default() };
            self.ask(QUERYBUF, &mut said)?;
            let offset = said.offset & u64::from(u32::MAX);
            self.buffers.push(Mapped::new(&self.file, offset, said.length as usize)?);
        }
        if self.buffers.is_empty() {
            return Err(io::Error::from_raw_os_error(libc::ENOMEM));
        }
        for index in 0..self.buffers.len() as u32 {
            self.give_index(index)?;
        }
        self.ask(STREAMON, &mut (VIDEO_CAPTURE as i32))?;
        self.streams = true;
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> io::Result<bool> {
        let mut asked = libc::pollfd { fd: self.file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let ms = i32::try_from(time.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: one entry, which outlives the call.
        let answer = unsafe { libc::poll(&raw mut asked, 1, ms) };
        match answer {
            ..0 => match io::Error::last_os_error() {
                error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
                error => Err(error),
            },
            0 => Ok(false),
            // Unplugged: POLLERR with POLLHUP. Taking a buffer then says the rest.
            _ if asked.revents & (libc::POLLHUP | libc::POLLNVAL) != 0 => {
                Err(io::Error::from_raw_os_error(libc::ENODEV))
            }
            _ if asked.revents & libc::POLLERR != 0 => Err(io::Error::from_raw_os_error(libc::EIO)),
            _ => Ok(asked.revents & libc::POLLIN != 0),
        }
    }

    fn take(&mut self) -> io::Result<Option<Filled>> {
        let mut said = Buffer::default();
        match self.ask(DQBUF, &mut said) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let error = said.flags & BUF_FLAG_ERROR != 0;
        Ok(Some(Filled { index: said.index, bytes: said.bytes_used, error, sequence: said.sequence }))
    }

    fn copy(&self, filled: &Filled) -> Zeroizing<Vec<u8>> {
        self.buffers.get(filled.index as usize).map(|buffer| buffer.copy(filled.bytes as usize)).unwrap_or_default()
    }

    fn give(&mut self, filled: &Filled) -> io::Result<()> {
        self.give_index(filled.index)
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        if self.streams {
            // A device that is gone cannot be stopped; closing it ends it anyway.
            let _ = self.ask(STREAMOFF, &mut (VIDEO_CAPTURE as i32));
        }
    }
}

/// One buffer of the device in our memory.
struct Mapped {
    start: NonNull<libc::c_void>,
    length: usize,
}

// SAFETY: the mapping belongs to the process, not to a thread, and only its owner reads it.
unsafe impl Send for Mapped {}

impl Mapped {
    fn new(file: &File, offset: u64, length: usize) -> io::Result<Self> {
        let offset = i64::try_from(offset).map_err(io::Error::other)?;
        if length == 0 || length > BYTES_CAP {
            return Err(io::Error::other(format!("a buffer of {length} bytes")));
        }
        // SAFETY: a new mapping where the kernel likes, of a descriptor that is open; nothing else is mapped there.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), length, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd(), offset)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start).ok_or_else(|| io::Error::other("mapped to nothing"))?;
        Ok(Self { start, length })
    }

    fn copy(&self, wanted: usize) -> Zeroizing<Vec<u8>> {
        let count = wanted.min(self.length);
        let mut bytes = Zeroizing::new(vec![0_u8; count]);
        // SAFETY: `count` bytes lie within the mapping, which lives as long as `self`, and within `bytes`, which is new.
        // The buffer was taken from the device, so that nothing writes to it; were a driver to do so all the same, the
        // bytes would be those of no picture, which is a torn frame.
        unsafe { std::ptr::copy_nonoverlapping(self.start.as_ptr().cast::<u8>(), bytes.as_mut_ptr(), count) };
        bytes
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of that length, and nothing refers to it.
        unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_camera_is_told_and_not_waited_for() {
        let path = Path::new("/dev/null");
        let mut null = open(path).unwrap();
        assert_eq!(null.number().unwrap(), (1, 3));
        for error in [null.films().unwrap_err(), null.formats().unwrap_err(), null.start().unwrap_err()] {
            assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
        }
        assert!(Mapped::new(&null.file, 0, BYTES_CAP + 1).is_err() && Mapped::new(&null.file, 0, 0).is_err());
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(open(file.path()).err().and_then(|error| error.raw_os_error()), Some(libc::ENOTTY), "a plain file");
    }

    #[test]
    fn no_more_is_copied_than_a_buffer_holds() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[7; 100]).unwrap();
        let mapped = Mapped::new(&file, 0, 100).unwrap();
        assert_eq!(*mapped.copy(40), vec![7; 40]);
        assert_eq!(mapped.copy(usize::MAX).len(), 100);
    }
}
