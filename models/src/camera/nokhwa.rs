//! A V4L2 camera through nokhwa, for boxes where our own calls do not fit. Its `frame()` waits for ever on a camera that
//! stalls, hence the fence. It does not say which camera it opened, so that it reads codes only.

use std::path::Path;
use std::sync::Arc;

use nokhwa::Buffer;
use nokhwa::utils::{CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType, Resolution};

use super::{Fault, Film, Outlet};
use crate::image::Frame;
use crate::video::{Pixels, Shape, Torn, decode};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const RATE: u32 = 30;

/// Films `/dev/videoN` at 1280 x 720 or what comes nearest.
///
/// # Errors
/// The device has another name.
pub fn film(device: &Path) -> Result<Film, Fault> {
    let number = device.to_str().and_then(|path| path.strip_prefix("/dev/video"));
    let number: u32 = number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| Fault::Format(format!("camera {} is not named /dev/videoN", device.display())))?;
    Ok(Arc::new(move |outlet| run(number, outlet)))
}

fn run(number: u32, outlet: &Outlet) -> Result<(), Fault> {
    // The adapter tells errors as text only.
    let failed = |error: nokhwa::NokhwaError| {
        tracing::warn!("nokhwa: {error}");
        Fault::Absent(format!("/dev/video{number}"))
    };
    let wanted = CameraFormat::new(Resolution::new(WIDTH, HEIGHT), FrameFormat::MJPEG, RATE);
    let formats = [FrameFormat::MJPEG, FrameFormat::YUYV];
    let request = RequestedFormat::with_formats(RequestedFormatType::Closest(wanted), &formats);
    let mut camera = nokhwa::Camera::new(CameraIndex::Index(number), request).map_err(failed)?;
    camera.open_stream().map_err(failed)?;
    while !outlet.is_closed() {
        let buffer = camera.frame().map_err(failed)?;
        outlet.offer(|| unpack(&buffer));
    }
    Ok(())
}

fn unpack(buffer: &Buffer) -> Result<Frame, Torn> {
    let size = buffer.resolution();
    let pixels = match buffer.source_frame_format() {
        FrameFormat::MJPEG => Pixels::Mjpeg,
        FrameFormat::YUYV => Pixels::Yuyv,
        FrameFormat::GRAY => Pixels::Grey,
        FrameFormat::NV12 | FrameFormat::RAWRGB | FrameFormat::RAWBGR => {
            return Err(Torn("the camera gives neither MJPEG, YUYV nor GREY".to_owned()));
        }
    };
    decode(Shape { pixels, width: size.width(), height: size.height(), stride: 0 }, buffer.buffer())
}
