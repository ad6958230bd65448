//! A camera on the loopback: it serves pictures as JPEG in RTP over the RTSP connection, and fails as cameras do.

use super::*;
use crate::camera::Fenced;
use crate::image::Frame;
use crate::source::{FrameSource as _, Pulled};
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::sync::Mutex;

/// What the camera does once it plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Story {
    Plays,
    /// Says nothing more after so many pictures.
    Stalls(usize),
    /// Hangs up after so many pictures.
    HangsUp(usize),
    /// Every other picture lacks a packet.
    Loses,
    /// Noise in place of packets.
    Garbage,
    /// A head without an end in place of an answer.
    Endless,
    /// No answer at all.
    Mute,
    /// Wants `user:secret`, by MD5.
    Locked,
    OffersH265,
}

struct Camera {
    url: String,
    /// What every client asked, a line each.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Camera {
    /// Serves one client after another until the test ends.
    fn start(story: Story) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("rtsp://{}/live", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().take(20).flatten() {
                // A client that hung up is no failure of the camera's.
                let _ = serve(&stream, story, &heard);
            }
        });
        Self { url, asked }
    }

    fn open(&self, login: Option<&Path>) -> Fenced {
        Fenced::open(self.url.clone(), film(&self.url, login).unwrap()).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

fn serve(stream: &TcpStream, story: Story, heard: &Mutex<Vec<String>>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new(stream).lines();
    loop {
        let request: Vec<String> = lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let Some(first) = request.first() else { return Ok(()) };
        heard.lock().expect("not poisoned").extend(request.iter().cloned());
        let mut out = stream;
        let sequence = request.iter().find(|line| line.starts_with("CSeq")).cloned().unwrap_or_default();
        let proved = request.iter().any(|line| line.contains("response=\"") && line.contains("username=\"user\""));
        if story == Story::Mute {
            continue;
        } else if story == Story::Endless {
            out.write_all(&vec![b'x'; 1 << 20])?;
        } else if story == Story::Locked && !proved {
            write!(
                out,
                "RTSP/1.0 401 Unauthorized\r\n{sequence}\r\nWWW-Authenticate: Basic realm=\"cam\"\r\nWWW-Authenticate: Digest realm=\"cam\", nonce=\"17\"\r\n\r\n"
            )?;
        } else if first.starts_with("DESCRIBE") {
            let encoding = if story == Story::OffersH265 { "96\r\na=rtpmap:96 H265/90000" } else { "26" };
            let sdp = format!("v=0\r\nm=video 0 RTP/AVP {encoding}\r\na=control:track1\r\n");
            write!(out, "RTSP/1.0 200 OK\r\n{sequence}\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())?;
        } else if first.starts_with("PLAY") {
            write!(out, "RTSP/1.0 200 OK\r\n{sequence}\r\n\r\n")?;
            return play(stream, story);
        } else {
            write!(out, "RTSP/1.0 200 OK\r\n{sequence}\r\nSession: 42;timeout=60\r\n\r\n")?;
        }
    }
}

fn play(mut stream: &TcpStream, story: Story) -> std::io::Result<()> {
    let mut sequence = 65_530_u16;
    for nth in 0..500 {
        match story {
            Story::Stalls(after) if nth == after => {
                std::thread::sleep(Duration::from_secs(4));
                return Ok(());
            }
            Story::HangsUp(after) if nth == after => return Ok(()),
            Story::Garbage => stream.write_all(&[0xA5; 5_000])?,
            Story::Plays
            | Story::Stalls(_)
            | Story::HangsUp(_)
            | Story::Loses
            | Story::Endless
            | Story::Mute
            | Story::Locked
            | Story::OffersH265 => {}
        }
        let packets = packets(&mut sequence);
        for (at, packet) in packets.iter().enumerate() {
            if story == Story::Loses && nth % 2 == 0 && at == 1 {
                continue;
            }
            stream.write_all(&[b'$', 0, (packet.len() >> 8) as u8, packet.len() as u8])?;
            stream.write_all(packet)?;
        }
        // The other channel: a sender report nobody asked for.
        stream.write_all(b"$\x01\x00\x04\x80\xc8\x00\x00")?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// A picture of 16 x 16 with 4:2:0 colours, all of one grey, in two packets.
fn packets(sequence: &mut u16) -> Vec<Vec<u8>> {
    // Differences of brightness and colour of 0, and no more: `00 1010`, four times brightness, twice `00 00` of colour.
    let bits = "001010".repeat(4) + &"0000".repeat(2);
    let scan: Vec<u8> = bits
        .as_bytes()
        .chunks(8)
        .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | u8::from(*bit == b'1')))
        .collect();
    let parts: Vec<&[u8]> = scan.chunks(2).collect();
    let mut offset = 0_usize;
    let mut packets = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let last = if at + 1 == parts.len() { 0x80 } else { 0 };
        let [high, low] = sequence.to_be_bytes();
        let mut packet = vec![0x80, last | 26, high, low, 0, 0, 0, 0, 0, 0, 0, 1];
        packet.extend([0, 0, (offset >> 8) as u8, offset as u8, 1, 75, 2, 2]);
        packet.extend_from_slice(part);
        packets.push(packet);
        *sequence = sequence.wrapping_add(1);
        offset += part.len();
    }
    packets
}

/// Frames until `count` came or the session ended.
fn frames(camera: &mut Fenced, count: usize) -> Result<Vec<Frame>, Fault> {
    let end = Instant::now() + Duration::from_secs(20);
    let mut seen = Vec::new();
    while seen.len() < count {
        match camera.next(Instant::now() + POLL) {
            Ok(Pulled::Frame(frame)) => seen.push(frame),
            Ok(Pulled::Late | Pulled::Ended) => assert!(Instant::now() < end, "no end"),
            Err(error) => return Err(error.downcast_ref::<Fault>().expect("a typed fault").clone()),
        }
    }
    Ok(seen)
}

#[test]
fn pictures_of_a_network_camera_are_seen_and_it_is_told_goodbye() {
    for story in [Story::Plays, Story::Loses] {
        let served = Camera::start(story);
        let mut camera = served.open(None);
        for frame in frames(&mut camera, 4).unwrap() {
            let (grey, width, height) = frame.luma(16);
            assert_eq!((width, height), (16, 16));
            assert!(grey.iter().all(|level| (126..=130).contains(level)), "{story:?}: {grey:?}");
        }
        drop(camera);
        let asked = served.asked();
        let verbs: Vec<&str> =
            asked.iter().filter(|line| line.ends_with("RTSP/1.0")).filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(verbs, ["DESCRIBE", "SETUP", "PLAY"]);
        assert!(asked.contains(&"Session: 42".to_owned()));
    }
}

#[test]
fn a_network_camera_that_hangs_up_is_called_again() {
    let served = Camera::start(Story::HangsUp(3));
    let mut camera = served.open(None);
    assert!(frames(&mut camera, 8).is_ok());
    assert!(served.asked().iter().filter(|line| line.starts_with("PLAY")).count() >= 2);
}

#[test]
fn a_network_camera_that_stalls_is_mute_or_talks_nonsense_is_told_in_bounded_time() {
    for (story, may_be) in [
        (Story::Mute, vec![Fault::NoPicture]),
        (Story::Stalls(0), vec![Fault::NoPicture]),
        (Story::Endless, vec![Fault::Format("a head without an end".into())]),
        (
            Story::Garbage,
            vec![Fault::Format("a head without an end".into()), Fault::Format("it does not speak RTSP".into())],
        ),
    ] {
        let served = Camera::start(story);
        let start = Instant::now();
        let fault = frames(&mut served.open(None), 1).unwrap_err();
        assert!(may_be.contains(&fault), "{story:?}: {fault}");
        assert!(start.elapsed() < Duration::from_secs(12), "{story:?}: {:?}", start.elapsed());
    }
}

#[test]
fn a_camera_nobody_answers_for_is_absent_and_one_of_another_encoding_named() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("rtsp://{free}/live");
    let mut camera = Fenced::open(url.clone(), film(&url, None).unwrap()).unwrap();
    assert_eq!(frames(&mut camera, 1).unwrap_err(), Fault::Absent(url));
    let served = Camera::start(Story::OffersH265);
    assert!(matches!(frames(&mut served.open(None), 1), Err(Fault::Format(told)) if told.contains("H265")));
}

#[cfg(not(feature = "camera-h264"))]
#[test]
fn h264_is_named_where_the_program_is_not_built_to_read_it() {
    let refused = Pictures::of(&Encoding::H264(Vec::new())).unwrap_err();
    assert!(refused.contains("H264") && refused.contains("MJPEG stream"), "{refused}");
}

#[test]
fn a_locked_camera_wants_its_password_which_is_proved_and_never_said() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "user:secret\n").unwrap();
    let served = Camera::start(Story::Locked);
    assert!(frames(&mut served.open(Some(file.path())), 1).is_ok());
    assert!(!served.asked().iter().any(|line| line.contains("secret") || line.contains("Basic")));
    let served = Camera::start(Story::Locked);
    let fault = frames(&mut served.open(None), 1).unwrap_err();
    assert!(matches!(&fault, Fault::Refused(told) if told.contains("password")), "{fault}");
}

#[test]
fn packets_in_any_disorder_make_whole_pictures_or_none() {
    let mut dice = 1_u64;
    let mut below = |n: usize| {
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (dice >> 33) as usize % n
    };
    let mut sequence = 0;
    let whole: Vec<Vec<u8>> = (0..20).flat_map(|_| packets(&mut sequence)).collect();
    for _ in 0..300 {
        let mut pictures = jpeg::Pictures::default();
        for _ in 0..30 {
            let mut packet = whole[below(whole.len())].clone();
            match below(4) {
                0 => packet.truncate(below(packet.len())),
                1 => {
                    let at = below(packet.len());
                    packet[at] = below(256) as u8;
                }
                _ => {}
            }
            if let Some(picture) = pictures.take(&packet) {
                assert!(picture.len() < 1_000, "{}", picture.len());
                let _ = video::jpeg(&picture);
            }
        }
    }
}
