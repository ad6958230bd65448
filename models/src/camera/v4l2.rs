//! A V4L2 camera: what is said to it, in which order, and what its answers mean. The calls themselves are in `kernel`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::identity::{Binding, Identity};
use super::{Fault, Film, Outlet};
#[cfg(target_pointer_width = "64")]
use super::{identity::identify, kernel};
use crate::video::{BYTES_CAP, Pixels, SIDE_CAP, Shape, decode};

/// How long one wait for a frame lasts: so soon a closed outlet is noticed.
const POLL: Duration = Duration::from_millis(100);
/// How long to wait for a device that is still in use.
const BUSY_MAX: Duration = Duration::from_secs(1);
/// Frames in a row that the driver itself calls broken.
const FAILED_MAX: u32 = 30;
/// No camera is read more often: one that floods is slowed down here.
const PACE: Duration = Duration::from_millis(4);

/// A pixel format by its four letters.
pub type FourCc = [u8; 4];

/// What is asked of an opened V4L2 device, as the kernel has it.
pub trait Device: Send {
    /// Whether it films, and can stream.
    ///
    /// # Errors
    /// It is no V4L2 device, or is gone.
    fn films(&mut self) -> io::Result<bool>;

    /// What it can be set to, best first as it says.
    ///
    /// # Errors
    /// It is gone.
    fn formats(&mut self) -> io::Result<Vec<FourCc>>;

    /// Sets it to what comes nearest; answers what that is.
    ///
    /// # Errors
    /// It is in use, or is gone.
    fn set(&mut self, wanted: Set) -> io::Result<Set>;

    /// Makes buffers and begins.
    ///
    /// # Errors
    /// It is in use, or there is no memory.
    fn start(&mut self) -> io::Result<()>;

    /// Whether a frame is there within `time`.
    ///
    /// # Errors
    /// The device is gone, or broken.
    fn wait(&mut self, time: Duration) -> io::Result<bool>;

    /// Takes the next filled buffer, if there is one.
    ///
    /// # Errors
    /// The device is gone, or broken.
    fn take(&mut self) -> io::Result<Option<Filled>>;

    /// A copy of what a taken buffer holds, never more than the buffer.
    fn copy(&self, filled: &Filled) -> Zeroizing<Vec<u8>>;

    /// Gives a taken buffer back to be filled.
    ///
    /// # Errors
    /// The device is gone.
    fn give(&mut self, filled: &Filled) -> io::Result<()>;
}

/// What a device is set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Set {
    pub format: FourCc,
    pub width: u32,
    pub height: u32,
    /// Bytes from one row to the next, 0 where it does not say.
    pub stride: u32,
}

/// A buffer the device filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    pub index: u32,
    pub bytes: u32,
    /// The driver says that what is in it is broken.
    pub error: bool,
    /// Counts frames; a gap is a frame that was lost.
    pub sequence: u32,
}

/// A camera as the configuration has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    pub path: PathBuf,
    pub binding: Binding,
    /// The best the camera has unless said.
    pub pixels: Option<Pixels>,
    pub width: u32,
    pub height: u32,
}

/// How a camera is opened: its identity, and the device.
pub type Open = Arc<dyn Fn(&Setup) -> Result<(Identity, Box<dyn Device>), Fault> + Send + Sync>;

/// On 32 bits the kernel lays its structures out in two ways; nothing of that is here.
#[cfg(not(target_pointer_width = "64"))]
#[must_use]
pub fn real() -> Open {
    Arc::new(|_| Err(Fault::Format("cameras of the box need a build for 64 bits".to_owned())))
}

/// Opens the kernel's device, and asks `/sys` what it is.
#[cfg(target_pointer_width = "64")]
#[must_use]
pub fn real() -> Open {
    Arc::new(|setup| {
        let device = kernel::open(&setup.path).map_err(|error| told(&error, &setup.path))?;
        let (major, minor) = device.number().map_err(|error| told(&error, &setup.path))?;
        Ok((identify(Path::new("/sys"), major, minor)?, Box::new(device)))
    })
}

/// Films the camera of `setup` whenever it is opened within one session: always the same one, always the one of the
/// configuration.
#[must_use]
pub fn film(setup: Setup, open: Open) -> Film {
    let first: OnceLock<Identity> = OnceLock::new();
    Arc::new(move |outlet| {
        let (identity, mut device) = open_patiently(&setup, &open, outlet)?;
        setup.binding.holds(&identity)?;
        let before = first.get_or_init(|| identity.clone());
        if *before != identity {
            return Err(Fault::Swapped { was: before.to_string(), is: identity.to_string() });
        }
        let told = |error: io::Error| told(&error, &setup.path);
        let shape = shaped(&mut *device, &setup)?;
        device.start().map_err(told)?;
        tracing::debug!(camera = %identity, ?shape, "filming");
        run(&mut *device, shape, outlet).map_err(|error| match error {
            Ended::Io(error) => told(error),
            Ended::Fault(fault) => fault,
        })
    })
}

/// Opens the device, which another program or the session before may hold for a moment.
fn open_patiently(setup: &Setup, open: &Open, outlet: &Outlet) -> Result<(Identity, Box<dyn Device>), Fault> {
    let end = Instant::now() + BUSY_MAX;
    loop {
        match open(setup) {
            Err(Fault::Busy(_)) if Instant::now() < end && !outlet.is_closed() => std::thread::sleep(POLL),
            opened => return opened,
        }
    }
}

fn shaped(device: &mut dyn Device, setup: &Setup) -> Result<Shape, Fault> {
    let told = |error: io::Error| told(&error, &setup.path);
    if !device.films().map_err(told)? {
        return Err(Fault::Format("it does not stream pictures".to_owned()));
    }
    let offered = device.formats().map_err(told)?;
    let known = |pixels: Pixels| offered.contains(&four_cc(pixels)).then_some(pixels);
    let best = || [Pixels::Mjpeg, Pixels::Yuyv, Pixels::Grey].into_iter().find_map(known);
    let pixels = setup.pixels.map_or_else(best, known).ok_or_else(|| {
        let names: Vec<String> = offered.iter().map(|name| name.escape_ascii().to_string()).collect();
        Fault::Format(format!("it has {}; MJPG, YUYV and GREY are read", names.join(", ")))
    })?;
    let wanted = Set { format: four_cc(pixels), width: setup.width, height: setup.height, stride: 0 };
    let set = device.set(wanted).map_err(told)?;
    let fits =
        set.format == wanted.format && (1..=SIDE_CAP).contains(&set.width) && (1..=SIDE_CAP).contains(&set.height);
    if !fits {
        let format = set.format.escape_ascii().to_string();
        return Err(Fault::Format(format!("asked for {wanted:?} it gives {format} of {} x {}", set.width, set.height)));
    }
    Ok(Shape { pixels, width: set.width, height: set.height, stride: set.stride as usize })
}

const fn four_cc(pixels: Pixels) -> FourCc {
    match pixels {
        Pixels::Mjpeg => *b"MJPG",
        Pixels::Yuyv => *b"YUYV",
        Pixels::Grey => *b"GREY",
    }
}

enum Ended {
    Io(io::Error),
    Fault(Fault),
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn run(device: &mut dyn Device, shape: Shape, outlet: &Outlet) -> Result<(), Ended> {
    let (mut failed, mut next) = (0, None);
    while !outlet.is_closed() {
        let taken = match device.wait(POLL) {
            Ok(true) => device.take(),
            Ok(false) => continue,
            Err(error) => Err(error),
        };
        let filled = match taken {
            Ok(filled) => filled,
            // The kernel's word for a frame that was lost on the way: the next may come.
            Err(error) if error.raw_os_error() == Some(libc::EIO) && failed < FAILED_MAX => {
                failed += 1;
                std::thread::sleep(PACE);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        if let Some(filled) = filled {
            if next.is_some_and(|next| next != filled.sequence) {
                tracing::debug!(next, got = filled.sequence, "frames were lost");
            }
            next = Some(filled.sequence.wrapping_add(1));
            let broken = filled.error || filled.bytes == 0 || filled.bytes as usize > BYTES_CAP;
            failed = if broken { failed + 1 } else { 0 };
            if !broken {
                outlet.offer(|| decode(shape, &device.copy(&filled)));
            }
            device.give(&filled)?;
        }
        if failed > FAILED_MAX {
            return Err(Ended::Fault(Fault::NoPicture));
        }
        std::thread::sleep(PACE);
    }
    Ok(())
}

/// What an error of the system means of a camera.
fn told(error: &io::Error, path: &Path) -> Fault {
    let name = path.display().to_string();
    match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO | libc::ENOENT) => Fault::Absent(name),
        Some(libc::EBUSY) => Fault::Busy(name),
        Some(libc::EIO | libc::EPROTO | libc::ETIMEDOUT) => Fault::NoPicture,
        Some(libc::ENOTTY | libc::EINVAL) => Fault::Format(format!("{name} is no camera: {error}")),
        Some(_) | None => Fault::Refused(format!("{name}: {error}")),
    }
}

#[cfg(test)]
mod tests;
