//! Device nodes: HID and input devices, adopted descriptors, and what the system knows of the model behind a path.

use crate::sys;
use anyhow::{Context as _, Result, ensure};
use drivers::scanner_hid::{FEATURES, USAGE};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const KEYS_UP: Duration = Duration::from_millis(50);
/// How far above a node the USB device stands in /sys.
const PARENTS: usize = 5;

/// A descriptor on the runtime.
#[derive(Debug)]
pub(crate) struct Node(AsyncFd<File>);

impl Node {
    fn new(file: File) -> Result<Self> {
        Ok(Self(sys::watched(file).context("the system cannot wait for this descriptor")?))
    }

    /// An open descriptor of this process: a pipe, one end of a socketpair, a terminal.
    pub(crate) fn adopted(number: i32) -> Result<Self> {
        let copy = sys::adopt(number).with_context(|| format!("descriptor {number} is not open"))?;
        sys::nonblocking(&copy)?;
        Self::new(File::from(copy))
    }

    /// A `hidraw` node of a scanner in HID POS mode.
    pub(crate) fn hid(path: &Path) -> Result<Self> {
        let file = open(path)?;
        if let Some(descriptor) =
            sys_of(path, "hidraw").and_then(|of| std::fs::read(of.join("device/report_descriptor")).ok())
        {
            let is_scanner = descriptor.windows(USAGE.len()).any(|window| window == USAGE);
            ensure!(is_scanner, "{} is no scanner in HID POS mode (usage page 8C, usage 02)", path.display());
        }
        let model = model(path).unwrap_or_default();
        for (_, report) in FEATURES.iter().filter(|(vendor, _)| model.starts_with(vendor)) {
            sys::feature(&file, report).with_context(|| format!("{} refuses to be switched on", path.display()))?;
        }
        Self::new(file)
    }

    /// An input device, from now on ours alone. Grabbed only once all keys are up: the release of a key that was down
    /// would be ours, and everybody else would see it held for ever.
    pub(crate) async fn evdev(path: &Path) -> Result<Self> {
        let file = open(path)?;
        while sys::any_key_down(&file).with_context(|| format!("{} is no keyboard", path.display()))? {
            tokio::time::sleep(KEYS_UP).await;
        }
        sys::grab(&file).with_context(|| format!("{} is taken by another program", path.display()))?;
        Self::new(file)
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    options.open(path).with_context(|| format!("cannot open {}", path.display()))
}

/// The node's folder under /sys/class.
fn sys_of(path: &Path, class: &str) -> Option<PathBuf> {
    let name = std::fs::canonicalize(path).ok()?;
    let of = Path::new("/sys/class").join(class).join(name.file_name()?);
    of.exists().then_some(of)
}

/// USB vendor and product of the device behind a node, such as `0c2e:0b6a`.
#[must_use]
pub fn model(path: &Path) -> Option<String> {
    let of = ["tty", "hidraw", "input", "usbmisc"].iter().find_map(|class| sys_of(path, class))?;
    let mut folder = std::fs::canonicalize(of.join("device")).ok()?;
    for _ in 0..PARENTS {
        let word = |name: &str| Some(std::fs::read_to_string(folder.join(name)).ok()?.trim().to_ascii_lowercase());
        if let (Some(vendor), Some(product)) = (word("idVendor"), word("idProduct")) {
            return Some(format!("{vendor}:{product}"));
        }
        folder = folder.parent()?.to_owned();
    }
    None
}

impl AsyncRead for Node {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_read_ready(cx))?;
            let free = buffer.initialize_unfilled();
            match ready.try_io(|file| file.get_ref().read(free)) {
                Ok(Ok(count)) => {
                    buffer.advance(count);
                    return Poll::Ready(Ok(()));
                }
                Ok(Err(error)) => return Poll::Ready(Err(error)),
                Err(_not_yet) => {}
            }
        }
    }
}

impl AsyncWrite for Node {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_write_ready(cx))?;
            if let Ok(written) = ready.try_io(|file| file.get_ref().write(bytes)) {
                return Poll::Ready(written);
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
