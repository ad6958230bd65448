//! A camera with a memory in place of the kernel's: it counts what it was asked, and fails as cameras do.

use super::*;
use crate::camera::Fenced;
use crate::source::{FrameSource as _, Pulled};
use std::collections::BTreeMap;
use std::sync::Mutex;

/// What goes wrong at which frame of the fake's whole life.
#[derive(Debug, Clone, Copy)]
enum Wrong {
    /// The driver answers so.
    Errno(i32),
    /// The driver marks it broken.
    Flagged,
    /// It holds so many bytes.
    Bytes(u32),
    /// So many frames were lost before it.
    Gap(u32),
    /// No frame comes any more.
    Stalls,
    /// The call does not come back for so long.
    Hangs(u64),
}

#[derive(Debug, Default)]
struct Memory {
    opened: usize,
    open: usize,
    frames: u32,
    copies: usize,
    /// Buffers the camera may fill.
    given: Vec<u32>,
    wrong: BTreeMap<u32, Wrong>,
}

#[derive(Clone)]
struct Shelf {
    memory: Arc<Mutex<Memory>>,
    set: Set,
    formats: Vec<FourCc>,
    picture: Vec<u8>,
    identities: Vec<Identity>,
}

struct Fake {
    shelf: Shelf,
    streams: bool,
    /// What `take` answers to the wait before.
    ready: bool,
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Shelf {
    fn grey() -> Self {
        let identity = Identity { usb: Some((0x046d, 0x082d)), port: "1-3".into(), plugged: true };
        Self {
            memory: Arc::default(),
            set: Set { format: *b"GREY", width: 4, height: 2, stride: 4 },
            formats: vec![*b"YU12", *b"GREY"],
            picture: vec![9; 8],
            identities: vec![identity],
        }
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        self.memory.lock().expect("not poisoned")
    }

    /// How often it was opened, and how many still have it open.
    fn opened(&self) -> (usize, usize) {
        let memory = self.memory();
        (memory.opened, memory.open)
    }

    fn wrong(self, at: u32, wrong: Wrong) -> Self {
        self.memory().wrong.insert(at, wrong);
        self
    }

    fn open(&self) -> Open {
        let shelf = self.clone();
        Arc::new(move |_| {
            let mut memory = shelf.memory();
            let identity = shelf.identities[memory.opened.min(shelf.identities.len() - 1)].clone();
            (memory.opened, memory.open) = (memory.opened + 1, memory.open + 1);
            Ok((identity, Box::new(Fake { shelf: shelf.clone(), streams: false, ready: false })))
        })
    }

    fn camera(&self, source: &str) -> Fenced {
        let Ok(crate::source::Source::Camera(setup)) = format!("camera:/dev/video0{source}").parse() else {
            panic!("{source}");
        };
        Fenced::open("fake".into(), film(setup, self.open())).unwrap()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.shelf.memory().open -= 1;
    }
}

impl Device for Fake {
    fn films(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn formats(&mut self) -> io::Result<Vec<FourCc>> {
        Ok(self.shelf.formats.clone())
    }

    fn set(&mut self, wanted: Set) -> io::Result<Set> {
        assert!(self.shelf.formats.contains(&wanted.format), "asked for what it has");
        Ok(self.shelf.set)
    }

    fn start(&mut self) -> io::Result<()> {
        self.streams = true;
        self.shelf.memory().given = vec![0, 1];
        Ok(())
    }

    fn wait(&mut self, time: Duration) -> io::Result<bool> {
        assert!(self.streams);
        let wrong = {
            let memory = self.shelf.memory();
            let next = memory.frames + 1;
            memory.wrong.get(&next).copied().filter(|_| !memory.given.is_empty())
        };
        match wrong {
            Some(Wrong::Stalls) => {
                std::thread::sleep(time);
                return Ok(false);
            }
            Some(Wrong::Hangs(ms)) => {
                self.shelf.memory().frames += 1;
                std::thread::sleep(Duration::from_millis(ms));
            }
            Some(Wrong::Errno(number)) => {
                self.shelf.memory().frames += 1;
                return Err(errno(number));
            }
            Some(Wrong::Flagged | Wrong::Bytes(_) | Wrong::Gap(_)) | None => {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        self.ready = true;
        Ok(true)
    }

    fn take(&mut self) -> io::Result<Option<Filled>> {
        if !std::mem::take(&mut self.ready) {
            return Ok(None);
        }
        let mut memory = self.shelf.memory();
        let Some(index) = memory.given.pop() else { return Ok(None) };
        memory.frames += 1;
        let whole = self.shelf.picture.len() as u32;
        let mut filled = Filled { index, bytes: whole, error: false, sequence: memory.frames };
        match memory.wrong.get(&memory.frames) {
            Some(Wrong::Flagged) => filled.error = true,
            Some(Wrong::Bytes(bytes)) => filled.bytes = *bytes,
            Some(Wrong::Gap(lost)) => filled.sequence += lost,
            Some(Wrong::Errno(_) | Wrong::Stalls | Wrong::Hangs(_)) | None => {}
        }
        Ok(Some(filled))
    }

    fn copy(&self, filled: &Filled) -> Zeroizing<Vec<u8>> {
        self.shelf.memory().copies += 1;
        let whole = &self.shelf.picture;
        Zeroizing::new(whole[..whole.len().min(filled.bytes as usize)].to_vec())
    }

    fn give(&mut self, filled: &Filled) -> io::Result<()> {
        self.shelf.memory().given.push(filled.index);
        Ok(())
    }
}

/// Frames until `count` came or the session ended, over as many late answers as it takes.
fn frames(camera: &mut Fenced, count: usize) -> Result<(), Fault> {
    let end = Instant::now() + Duration::from_secs(20);
    for _ in 0..count {
        loop {
            match camera.next(Instant::now() + POLL) {
                Ok(Pulled::Frame(frame)) => {
                    assert_eq!(frame.luma(10), (vec![9; 8], 4, 2));
                    break;
                }
                Ok(Pulled::Late | Pulled::Ended) => assert!(Instant::now() < end, "no end"),
                Err(error) => return Err(error.downcast_ref::<Fault>().expect("a typed fault").clone()),
            }
        }
    }
    Ok(())
}

#[test]
fn broken_torn_and_lost_frames_are_passed_over_and_the_next_whole_one_is_seen() {
    let shelf = Shelf::grey()
        .wrong(1, Wrong::Flagged)
        .wrong(2, Wrong::Bytes(3))
        .wrong(3, Wrong::Bytes(0))
        .wrong(4, Wrong::Bytes(u32::MAX))
        .wrong(5, Wrong::Errno(libc::EIO))
        .wrong(7, Wrong::Gap(1_000));
    let mut camera = shelf.camera("");
    assert_eq!(frames(&mut camera, 5), Ok(()));
    assert_eq!(shelf.opened(), (1, 1));
    drop(camera);
    assert_eq!(shelf.memory().open, 0, "closed with the session");
}

#[test]
fn an_unplugged_camera_is_opened_again_and_films_on() {
    let shelf = Shelf::grey().wrong(3, Wrong::Errno(libc::ENODEV));
    let mut camera = shelf.camera("?usb=046d:082d&port=1-3");
    assert_eq!(frames(&mut camera, 6), Ok(()));
    assert_eq!(shelf.memory().opened, 2);
}

#[test]
fn a_camera_that_stalls_or_hangs_is_opened_again_within_five_seconds_and_told_when_it_stays_so() {
    let shelf = Shelf::grey().wrong(2, Wrong::Hangs(4_500));
    let mut camera = shelf.camera("");
    assert_eq!(frames(&mut camera, 1), Ok(()));
    let start = Instant::now();
    assert_eq!(frames(&mut camera, 3), Ok(()));
    assert!(start.elapsed() < Duration::from_secs(5) && shelf.memory().opened == 2, "{:?}", start.elapsed());
    let shelf = Shelf::grey().wrong(2, Wrong::Stalls);
    let mut camera = shelf.camera("");
    assert_eq!(frames(&mut camera, 2), Err(Fault::NoPicture));
    assert!(shelf.memory().opened >= 2);
}

#[test]
fn another_camera_in_the_middle_of_a_session_ends_it_with_its_reason() {
    let mut shelf = Shelf::grey().wrong(2, Wrong::Errno(libc::ENODEV));
    let other = Identity { usb: Some((0x1234, 0x5678)), port: "1-3".into(), plugged: true };
    shelf.identities.push(other.clone());
    let mut camera = shelf.camera("");
    let swapped = Fault::Swapped { was: shelf.identities[0].to_string(), is: other.to_string() };
    assert_eq!(frames(&mut camera, 5), Err(swapped));
    let mut camera = shelf.camera("?usb=046d:082d&port=1-3");
    let wrong = Fault::NotBound { found: other.to_string(), wanted: "usb=046d:082d&port=1-3".into() };
    assert_eq!(frames(&mut camera, 1), Err(wrong), "and bound by the configuration it is never opened");
    drop(camera);
    assert_eq!(shelf.opened().1, 0);
}

#[test]
fn a_device_of_other_formats_or_sizes_is_told_what_is_missing() {
    let mut shelf = Shelf::grey();
    assert!(matches!(frames(&mut shelf.camera("?pixels=mjpeg"), 1), Err(Fault::Format(told)) if told.contains("GREY")));
    shelf.formats = vec![*b"H264"];
    assert!(matches!(frames(&mut shelf.camera(""), 1), Err(Fault::Format(told)) if told.contains("H264")));
    let mut shelf = Shelf::grey();
    shelf.set = Set { format: *b"GREY", width: 100_000, height: 100_000, stride: 0 };
    assert!(matches!(frames(&mut shelf.camera(""), 1), Err(Fault::Format(_))));
}

#[test]
fn errors_of_the_system_mean_what_staff_can_do() {
    let name = || "/dev/video0".to_owned();
    for (number, fault) in [
        (libc::ENOENT, Fault::Absent(name())),
        (libc::ENODEV, Fault::Absent(name())),
        (libc::EBUSY, Fault::Busy(name())),
        (libc::EIO, Fault::NoPicture),
    ] {
        assert_eq!(told(&errno(number), Path::new("/dev/video0")), fault);
    }
    assert!(matches!(told(&errno(libc::EACCES), Path::new("x")), Fault::Refused(_)));
    assert!(matches!(told(&errno(libc::ENOTTY), Path::new("x")), Fault::Format(_)));
}

#[test]
fn a_flood_of_frames_is_neither_copied_nor_decoded_unless_somebody_looks() {
    let shelf = Shelf::grey();
    let mut camera = shelf.camera("");
    assert_eq!(frames(&mut camera, 2), Ok(()));
    std::thread::sleep(Duration::from_millis(300));
    let (frames_seen, copies) = {
        let memory = shelf.memory();
        (memory.frames, memory.copies)
    };
    assert!(frames_seen > 10 && copies == 2, "{frames_seen} frames, {copies} copies");
}
