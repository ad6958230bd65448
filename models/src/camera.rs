//! A V4L2 camera behind a fence: the driver's calls can block for ever, so they happen in a thread of their own.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use nokhwa::Buffer;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution};

use crate::image::Frame;
use crate::source::{FrameSource, Pulled};

/// A camera that gives no frame for so long is taken for broken.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// How long to wait for a device that is still in use.
const BUSY_MAX: Duration = Duration::from_secs(1);
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const RATE: u32 = 30;

/// An open camera. Dropping it ends the thread at its next frame, which closes the device.
#[derive(Debug)]
pub struct Camera {
    frames: Receiver<Result<Frame, String>>,
    heard: Instant,
}

impl Camera {
    /// Opens `/dev/videoN` at 1280 x 720 or what comes nearest.
    pub fn open(device: &Path) -> anyhow::Result<Self> {
        let number = device.to_str().and_then(|path| path.strip_prefix("/dev/video"));
        let number: u32 = number
            .and_then(|number| number.parse().ok())
            .with_context(|| format!("camera {} is not named /dev/videoN", device.display()))?;
        // One frame waits; a newer one finds the place taken and is dropped, so that nobody is judged by an old frame.
        let (sender, frames) = sync_channel(1);
        std::thread::Builder::new()
            .name("camera".into())
            .spawn(move || film(number, &sender))
            .context("cannot start the camera's thread")?;
        Ok(Self { frames, heard: Instant::now() })
    }
}

impl FrameSource for Camera {
    fn next(&mut self, deadline: Instant) -> anyhow::Result<Pulled> {
        match self.frames.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(Ok(frame)) => {
                self.heard = Instant::now();
                Ok(Pulled::Frame(frame))
            }
            Ok(Err(reason)) => Err(anyhow!("the camera failed: {reason}")),
            Err(RecvTimeoutError::Timeout) if self.heard.elapsed() > SILENCE_MAX => {
                bail!("the camera gave no frame for {} s; unplug it and plug it in again", SILENCE_MAX.as_secs())
            }
            Err(RecvTimeoutError::Timeout) => Ok(Pulled::Late),
            Err(RecvTimeoutError::Disconnected) => bail!("the camera's thread ended"),
        }
    }
}

fn film(number: u32, frames: &SyncSender<Result<Frame, String>>) {
    if let Err(reason) = film_until_dropped(number, frames) {
        // Nobody listens once the camera was dropped.
        let _ = frames.send(Err(reason));
    }
}

fn film_until_dropped(number: u32, frames: &SyncSender<Result<Frame, String>>) -> Result<(), String> {
    let mut camera = open_patiently(number)?;
    camera.open_stream().map_err(|e| e.to_string())?;
    loop {
        let buffer = camera.frame().map_err(|e| e.to_string())?;
        // A torn frame is nothing unusual on a cheap cable; the next one follows at once.
        let Ok(frame) = decode(&buffer) else { continue };
        match frames.try_send(Ok(frame)) {
            Ok(()) | Err(TrySendError::Full(_)) => {}
            Err(TrySendError::Disconnected(_)) => return Ok(()),
        }
    }
}

/// Opens the device, which the attempt before may hold until its last frame.
fn open_patiently(number: u32) -> Result<nokhwa::Camera, String> {
    let wanted = CameraFormat::new(Resolution::new(WIDTH, HEIGHT), FrameFormat::MJPEG, RATE);
    let formats = [FrameFormat::MJPEG, FrameFormat::YUYV];
    let request = RequestedFormat::with_formats(RequestedFormatType::Closest(wanted), &formats);
    let start = Instant::now();
    loop {
        match nokhwa::Camera::new(CameraIndex::Index(number), request) {
            Ok(camera) => return Ok(camera),
            Err(error) if start.elapsed() > BUSY_MAX => return Err(error.to_string()),
            Err(_) => std::thread::sleep(BUSY_MAX / 10),
        }
    }
}

fn decode(buffer: &Buffer) -> Result<Frame, String> {
    let size = buffer.resolution();
    match buffer.source_frame_format() {
        FrameFormat::MJPEG => Frame::decode(buffer.buffer()),
        FrameFormat::YUYV => Frame::from_yuyv(size.width() as usize, size.height() as usize, buffer.buffer())
            .ok_or_else(|| "a frame has a broken length".to_owned()),
        FrameFormat::NV12 | FrameFormat::GRAY | FrameFormat::RAWRGB | FrameFormat::RAWBGR => {
            Err("the camera gives neither MJPEG nor YUYV".to_owned())
        }
    }
}
