//! Cameras behind a fence: what talks to a camera can block for ever, so it does so in a thread of its own, and the age of
//! the last whole frame, never the word "open", says whether the camera works.
//!
//! A camera that hangs, is unplugged, floods or tears its frames ends in a bounded time as a [`Fault`], or is opened again.

pub mod identity;
#[cfg(target_pointer_width = "64")]
mod kernel;
#[cfg(feature = "camera-nokhwa")]
pub mod nokhwa;
pub mod rtsp;
pub mod v4l2;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use drivers::vision::CameraTrouble;

use crate::image::Frame;
use crate::source::{FrameSource, Pulled};
use crate::video::Torn;

/// Without a whole frame for so long a camera is taken for broken.
const SILENCE_MAX: Duration = Duration::from_secs(3);
/// Between closing a broken camera and opening it again.
const PAUSE: Duration = Duration::from_millis(250);
/// A camera that does not come back within this is given up.
const GIVE_UP: Duration = Duration::from_secs(5);
/// How long dropping waits for the thread to close its camera.
const CLOSING_MAX: Duration = Duration::from_millis(500);
/// Threads that hang in a driver cannot be ended; more of them than this and no camera is opened.
const HUNG_MAX: usize = 4;

/// Why a camera gives no frames.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("camera {0} is not there")]
    Absent(String),
    #[error("camera {0} is in use by another program")]
    Busy(String),
    #[error("no whole frame for {} s", SILENCE_MAX.as_secs())]
    NoPicture,
    #[error("the camera gives nothing this build reads: {0}")]
    Format(String),
    #[error("{0}: a camera made of software is refused")]
    Virtual(String),
    #[error("camera {found} is not the one that was set up, which is {wanted}")]
    NotBound { found: String, wanted: String },
    #[error("camera {was} was swapped for {is} within a session")]
    Swapped { was: String, is: String },
    #[error("the system refuses: {0}")]
    Refused(String),
}

impl Fault {
    /// What is told on the socket.
    #[must_use]
    pub fn trouble(&self) -> CameraTrouble {
        match self {
            Self::Absent(_) => CameraTrouble::Absent,
            Self::Busy(_) => CameraTrouble::Busy,
            Self::NoPicture => CameraTrouble::NoPicture,
            Self::Format(_) => CameraTrouble::Format,
            Self::Virtual(_) => CameraTrouble::Virtual,
            Self::NotBound { .. } => CameraTrouble::NotBound,
            Self::Swapped { .. } => CameraTrouble::Swapped,
            Self::Refused(_) => CameraTrouble::Refused,
        }
    }

    /// Whether opening it again may help.
    fn may_pass(&self) -> bool {
        match self {
            Self::Absent(_) | Self::Busy(_) | Self::NoPicture => true,
            Self::Format(_) | Self::Virtual(_) | Self::NotBound { .. } | Self::Swapped { .. } | Self::Refused(_) => {
                false
            }
        }
    }
}

/// What looks through one camera until its outlet is closed; it may block for ever, and is then left behind.
pub type Film = Arc<dyn Fn(&Outlet) -> Result<(), Fault> + Send + Sync>;

/// Where a filming thread puts frames.
#[derive(Debug)]
pub struct Outlet {
    frames: SyncSender<Result<Frame, Fault>>,
    closed: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
}

impl Outlet {
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Decodes and hands over a frame if somebody waits for one. Nobody is judged by an old frame, and a camera that floods
    /// costs no decoding. A torn frame is passed over: the next one follows at once.
    pub fn offer(&self, decode: impl FnOnce() -> Result<Frame, Torn>) {
        if !self.asked.load(Ordering::Acquire) {
            return;
        }
        match decode() {
            Ok(frame) => {
                self.asked.store(false, Ordering::Release);
                // There is one place, and who asked for a frame has emptied it.
                let _ = self.frames.try_send(Ok(frame));
            }
            Err(torn) => tracing::debug!("{torn}"),
        }
    }
}

/// A camera, filmed in a thread that is watched. Dropping it closes the camera.
pub struct Fenced {
    name: String,
    film: Film,
    thread: Option<Thread>,
    /// When the last whole frame came, or the first attempt to open began.
    heard: Instant,
    /// The thread now running was started then.
    started: Instant,
    fault: Option<Fault>,
}

impl std::fmt::Debug for Fenced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Fenced({})", self.name)
    }
}

#[derive(Debug)]
struct Thread {
    frames: Receiver<Result<Frame, Fault>>,
    closed: Arc<AtomicBool>,
    asked: Arc<AtomicBool>,
    /// Hangs up when the thread has ended.
    ended: Receiver<()>,
}

/// Filming threads that have not ended.
static FILMING: AtomicUsize = AtomicUsize::new(0);

struct Counted;

impl Drop for Counted {
    fn drop(&mut self) {
        FILMING.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fenced {
    /// # Errors
    /// Too many cameras hang already, or no thread is to be had.
    pub fn open(name: String, film: Film) -> Result<Self, Fault> {
        let thread = Thread::start(&name, &film)?;
        let now = Instant::now();
        Ok(Self { name, film, thread: Some(thread), heard: now, started: now, fault: None })
    }

    /// The fault that ends the session, unless opening again may help.
    fn broken(&mut self, fault: Fault) -> Result<(), Fault> {
        self.thread = None;
        self.started = Instant::now();
        if !fault.may_pass() || self.heard.elapsed() >= GIVE_UP {
            return Err(fault);
        }
        if self.fault.as_ref() != Some(&fault) {
            tracing::warn!(camera = self.name, "{fault}; it is opened again");
        }
        self.fault = Some(fault);
        Ok(())
    }

    /// Waits for a frame of the running thread, not beyond `until`.
    fn wait(&mut self, until: Instant) -> Result<Option<Frame>, Fault> {
        let Some(thread) = &self.thread else {
            let pause = (self.started + PAUSE).min(until);
            std::thread::sleep(pause.saturating_duration_since(Instant::now()));
            if self.started.elapsed() >= PAUSE {
                self.thread = Some(Thread::start(&self.name, &self.film)?);
            }
            return Ok(None);
        };
        thread.asked.store(true, Ordering::Release);
        let silent = self.heard.max(self.started) + SILENCE_MAX;
        match thread.frames.recv_timeout(until.min(silent).saturating_duration_since(Instant::now())) {
            Ok(Ok(frame)) => {
                (self.heard, self.fault) = (Instant::now(), None);
                return Ok(Some(frame));
            }
            Ok(Err(fault)) => self.broken(fault)?,
            Err(RecvTimeoutError::Timeout) if Instant::now() >= silent => self.broken(Fault::NoPicture)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.broken(Fault::NoPicture)?,
        }
        Ok(None)
    }
}

impl FrameSource for Fenced {
    fn next(&mut self, deadline: Instant) -> anyhow::Result<Pulled> {
        loop {
            if let Some(frame) = self.wait(deadline)? {
                return Ok(Pulled::Frame(frame));
            }
            if Instant::now() >= deadline {
                return Ok(Pulled::Late);
            }
        }
    }
}

impl Thread {
    fn start(name: &str, film: &Film) -> Result<Self, Fault> {
        if FILMING.fetch_add(1, Ordering::Relaxed) >= HUNG_MAX {
            drop(Counted);
            return Err(Fault::NoPicture);
        }
        let counted = Counted;
        let (frames, frames_out) = sync_channel(1);
        let (alive, ended) = sync_channel::<()>(0);
        let closed = Arc::new(AtomicBool::new(false));
        let asked = Arc::new(AtomicBool::new(false));
        let outlet = Outlet { frames, closed: Arc::clone(&closed), asked: Arc::clone(&asked) };
        let film = Arc::clone(film);
        let started = std::thread::Builder::new().name("camera".into()).spawn(move || {
            let _counted = counted;
            if let Err(fault) = film(&outlet)
                && !outlet.is_closed()
            {
                // Nobody listens once the camera was dropped.
                let _ = outlet.frames.send(Err(fault));
            }
            drop(alive);
        });
        started.map_err(|error| Fault::Refused(format!("no thread for camera {name}: {error}")))?;
        Ok(Self { frames: frames_out, closed, asked, ended })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // The camera is closed when this returns, unless its driver hangs: then the thread is left behind and counted.
        while let Ok(frame) = self.frames.try_recv() {
            drop(frame);
        }
        if self.ended.recv_timeout(CLOSING_MAX) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("a camera's driver hangs; its thread is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn frame() -> Frame {
        Frame::from_rgb(1, 1, vec![0; 3]).unwrap()
    }

    fn soon(ms: u64) -> Instant {
        Instant::now() + Duration::from_millis(ms)
    }

    fn fault(error: &anyhow::Error) -> &Fault {
        error.downcast_ref().expect("a typed fault")
    }

    /// Waits for a frame over as many late answers as it takes.
    fn first(camera: &mut Fenced) -> anyhow::Result<Frame> {
        loop {
            if let Pulled::Frame(frame) = camera.next(soon(100))? {
                return Ok(frame);
            }
        }
    }

    #[test]
    fn a_driver_that_hangs_for_ever_is_told_and_left_behind() {
        let (hold, held) = sync_channel::<()>(0);
        let held = Mutex::new(held);
        let film: Film = Arc::new(move |_| {
            let _ = held.lock().expect("not poisoned").recv();
            Ok(())
        });
        let start = Instant::now();
        let mut camera = Fenced::open("stuck".into(), film).unwrap();
        assert!(matches!(camera.next(soon(50)), Ok(Pulled::Late)), "the desk reads its inbox meanwhile");
        assert_eq!(fault(&first(&mut camera).unwrap_err()), &Fault::NoPicture);
        let bound = GIVE_UP + SILENCE_MAX + CLOSING_MAX + Duration::from_secs(2);
        assert!(start.elapsed() < bound, "{:?}", start.elapsed());
        drop(hold);
    }

    #[test]
    fn an_unplugged_camera_that_comes_back_films_on_and_one_that_stays_away_is_told() {
        let opened = Arc::new(AtomicUsize::new(0));
        let film: Film = {
            let opened = Arc::clone(&opened);
            Arc::new(move |outlet| {
                let nth = opened.fetch_add(1, Ordering::Relaxed);
                if nth == 1 {
                    return Err(Fault::Absent("usb".into()));
                }
                let mut given = false;
                while !(outlet.is_closed() || nth == 0 && given) {
                    outlet.offer(|| {
                        given = true;
                        Ok(frame())
                    });
                    std::thread::sleep(Duration::from_millis(1));
                }
                if nth == 0 { Err(Fault::Absent("usb".into())) } else { Ok(()) }
            })
        };
        let mut camera = Fenced::open("usb".into(), film).unwrap();
        first(&mut camera).unwrap();
        first(&mut camera).unwrap();
        assert!(opened.load(Ordering::Relaxed) >= 3, "opened again until it was there");
        let away: Film = Arc::new(|_| Err(Fault::Absent("usb".into())));
        let mut camera = Fenced::open("usb".into(), away).unwrap();
        assert_eq!(fault(&first(&mut camera).unwrap_err()), &Fault::Absent("usb".into()));
    }

    #[test]
    fn nothing_is_decoded_unless_somebody_waits_and_closing_ends_the_thread() {
        let decoded = Arc::new(AtomicUsize::new(0));
        let ended = Arc::new(AtomicBool::new(false));
        let film: Film = {
            let (decoded, ended) = (Arc::clone(&decoded), Arc::clone(&ended));
            Arc::new(move |outlet| {
                while !outlet.is_closed() {
                    outlet.offer(|| {
                        decoded.fetch_add(1, Ordering::Relaxed);
                        Ok(frame())
                    });
                    std::thread::yield_now();
                }
                ended.store(true, Ordering::Relaxed);
                Ok(())
            })
        };
        let mut camera = Fenced::open("flood".into(), film).unwrap();
        for _ in 0..3 {
            first(&mut camera).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(decoded.load(Ordering::Relaxed), 3, "as many as were asked for");
        drop(camera);
        assert!(ended.load(Ordering::Relaxed), "closed when the session is over");
    }

    #[test]
    fn a_swap_ends_the_session_at_once_and_torn_frames_are_no_picture() {
        let swapped = Fault::Swapped { was: "a".into(), is: "b".into() };
        let film: Film = {
            let swapped = swapped.clone();
            Arc::new(move |_| Err(swapped.clone()))
        };
        let mut camera = Fenced::open("usb".into(), film).unwrap();
        assert_eq!(fault(&first(&mut camera).unwrap_err()), &swapped);
        let torn: Film = Arc::new(|outlet| {
            while !outlet.is_closed() {
                outlet.offer(|| Err(Torn("half".into())));
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        });
        let mut camera = Fenced::open("torn".into(), torn).unwrap();
        assert_eq!(fault(&first(&mut camera).unwrap_err()), &Fault::NoPicture);
    }
}
