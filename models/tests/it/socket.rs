//! The real program over a real socket.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use drivers::vision::{CameraTrouble, CodesEnd, Consent, Models, Outcome, Reply, Request, decode, encode};

use crate::paint::Picture;
use crate::{faces_folder, models_folder};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_aisle-vision");

pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    pub fn start(models: &Path, photographs: &Path, demo: bool) -> Self {
        Self::start_with(models, &format!("file:{}", photographs.display()), demo)
    }

    fn start_with(models: &Path, source: &str, demo: bool) -> Self {
        Self::start_as(Command::new(PROGRAM), models, source, demo)
    }

    /// Starts the program by `command`, which may be another one that ends with its name.
    pub fn start_as(mut command: Command, models: &Path, source: &str, demo: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        command.arg("--models").arg(models).arg("run");
        command.arg("--socket").arg(dir.path().join("vision.sock"));
        command.arg("--source").arg(source);
        command.arg("--gallery").arg(dir.path().join("gallery.db"));
        command.arg("--key").arg(dir.path().join("gallery.key"));
        if demo {
            command.arg("--demo-source");
        } else {
            keygen(&dir.path().join("gallery.key"));
        }
        let child = command.stderr(Stdio::inherit()).spawn().unwrap();
        Self { child, dir }
    }

    pub fn folder(&self) -> &Path {
        self.dir.path()
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The most memory the process has held so far, in kB.
    pub fn peak_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn connect(&self) -> Client {
        let path = self.dir.path().join("vision.sock");
        let start = Instant::now();
        let stream = loop {
            match UnixStream::connect(&path) {
                Ok(stream) => break stream,
                Err(_) if start.elapsed() < Duration::from_secs(20) => std::thread::sleep(Duration::from_millis(50)),
                Err(error) => panic!("no socket: {error}"),
            }
        };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Client { lines: BufReader::new(stream.try_clone().unwrap()), stream }
    }
}

fn keygen(path: &Path) {
    assert!(Command::new(PROGRAM).arg("keygen").arg("--key").arg(path).status().unwrap().success());
}

pub struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
}

impl Client {
    pub fn send(&mut self, request: &Request) {
        self.stream.write_all(&encode(request).unwrap()).unwrap();
    }

    pub fn reply(&mut self) -> Reply {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        let reply = decode(line.trim().as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
        // 256 numbers do not fit: whatever is asked, no template leaves the process (B6).
        let short = line.len() < 1_000 || matches!(reply, Reply::Preview { .. });
        assert!(short, "a reply of {} bytes", line.len());
        reply
    }

    /// The answer, guidance and mirror images before it skipped.
    pub fn ask(&mut self, request: &Request) -> Reply {
        self.send(request);
        loop {
            let reply = self.reply();
            if !matches!(reply, Reply::Guidance { .. } | Reply::Preview { .. }) {
                return reply;
            }
        }
    }

    pub fn show(&mut self, files: &[&str]) {
        let request = Request::Show { files: files.iter().map(|&file| file.into()).collect() };
        assert_eq!(self.ask(&request), Reply::Shown { files: files.len() });
    }

    /// The outcome of an attempt, guidance skipped.
    pub fn recognise(&mut self, attempt: u64) -> Outcome {
        self.send(&Request::Recognise { attempt, deadline_ms: 30_000, among: None });
        loop {
            let reply = self.reply();
            if let Reply::Outcome { attempt: number, outcome } = reply {
                assert_eq!(number, attempt);
                return outcome;
            }
            assert!(matches!(reply, Reply::Guidance { .. }), "unexpected {reply:?}");
        }
    }
}

fn pgm(picture: &Picture) -> Vec<u8> {
    [format!("P5 {} {} 255\n", picture.width, picture.height).as_bytes(), &picture.grey].concat()
}

pub fn enrol(member: &str, purpose: &str) -> Request {
    let consent = Consent { purpose: purpose.into(), ..crate::consent() };
    Request::Enrol { attempt: 1, member: member.into(), consent, frames: 3, deadline_ms: 30_000, preview: false }
}

/// The same before a mirror.
pub fn enrol_before_a_mirror(member: &str) -> Request {
    let Request::Enrol { attempt, member, consent, frames, deadline_ms, .. } = enrol(member, "face pay") else {
        panic!("no enrolment")
    };
    Request::Enrol { attempt, member, consent, frames, deadline_ms, preview: true }
}

fn erase(member: &str) -> Request {
    Request::Erase { member: member.into(), before_utc_ms: None }
}

#[test]
fn without_models_it_runs_and_says_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let server = Server::start(empty.path(), empty.path(), false);
    let mut client = server.connect();
    let Reply::Status(status) = client.ask(&Request::Status {}) else { panic!("no status") };
    assert_eq!((status.models, status.gallery), (Models::Missing, 0));
    assert!(status.missing_hint.unwrap().contains("aisle-vision install"));
    assert_eq!(client.recognise(7), Outcome::Unavailable);
    assert!(
        matches!(client.ask(&enrol("m-1", "face pay")), Reply::EnrolRefused { reason, .. } if reason.contains("install"))
    );
    assert!(
        matches!(client.ask(&Request::Show { files: vec![] }), Reply::Error { message } if message.contains("--demo-source"))
    );
}

#[test]
fn codes_are_read_without_any_model_until_the_session_ends_or_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let bottle = Picture::of(|paper| paper.ean13("6901234567892"), 2);
    let link = Picture::of(|paper| paper.qr("https://example.com/01/06920000000005", 6), 1);
    std::fs::write(folder.path().join("bottle.pgm"), pgm(&bottle)).unwrap();
    std::fs::write(folder.path().join("link.pgm"), pgm(&link)).unwrap();
    std::fs::write(folder.path().join("seen.txt"), "bottle.pgm\nlink.pgm\nbottle.pgm\nbottle.pgm\nlink.pgm\n").unwrap();
    let server = Server::start(folder.path(), &folder.path().join("seen.txt"), false);
    let mut client = server.connect();
    let code = |session, aim: &str, data: &str| Reply::Code { session, aim: aim.into(), data: data.into() };
    for session in [1, 2] {
        client.send(&Request::ReadCodes { session, deadline_ms: 30_000 });
        assert_eq!(client.reply(), code(session, "Q1", "https://example.com/01/06920000000005"));
        assert_eq!(client.reply(), code(session, "E0", "6901234567892"), "at its second look");
        assert_eq!(client.reply(), Reply::CodesEnded { session, end: CodesEnd::SourceEnded });
    }
    assert_eq!(
        client.ask(&Request::StopCodes { session: 2 }),
        Reply::CodesEnded { session: 2, end: CodesEnd::Stopped }
    );
    let Reply::Status(status) = client.ask(&Request::Status {}) else { panic!("no status") };
    assert_eq!((status.models, status.camera), (Models::Missing, None));
}

#[test]
fn a_camera_that_is_not_there_is_told_with_the_session_and_in_the_status() {
    let empty = tempfile::tempdir().unwrap();
    let server = Server::start_with(empty.path(), "camera:/dev/no-such-camera", false);
    let mut client = server.connect();
    let start = Instant::now();
    let end = CodesEnd::Camera(CameraTrouble::Absent);
    let asked = Request::ReadCodes { session: 1, deadline_ms: 30_000 };
    assert_eq!(client.ask(&asked), Reply::CodesEnded { session: 1, end });
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(
        matches!(client.ask(&Request::Status {}), Reply::Status(status) if status.camera == Some(CameraTrouble::Absent))
    );
}

#[test]
fn garbage_is_answered_and_the_connection_goes_on() {
    let empty = tempfile::tempdir().unwrap();
    let server = Server::start(empty.path(), empty.path(), false);
    let mut client = server.connect();
    client.stream.write_all(b"\xff\xfe garbage\n{\"recognise\":{}}\n").unwrap();
    client.stream.write_all(&vec![b'x'; 100_000]).unwrap();
    client.stream.write_all(b"\n").unwrap();
    for _ in 0..3 {
        assert!(matches!(client.reply(), Reply::Error { .. }));
    }
    assert_eq!(client.ask(&Request::Cancel { attempt: 9 }), Reply::Cancelled { attempt: 9 });
    let mut second = server.connect();
    assert!(matches!(second.ask(&Request::Status {}), Reply::Status(_)));
    assert!(matches!(client.ask(&enrol("no spaces", "x")), Reply::EnrolRefused { .. }));
    assert!(matches!(client.ask(&enrol("m-1", "")), Reply::EnrolRefused { reason, .. } if reason.contains("consent")));
}

#[test]
fn b06_a_shop_enrols_recognises_and_erases_and_no_template_leaves() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else {
        return;
    };
    let server = Server::start(&models, &faces, true);
    let mut client = server.connect();
    client.show(&["photos/person_a.jpg", "photos/person_a_2.jpg", "photos/person_a_3.jpg"]);
    assert_eq!(
        client.ask(&enrol("m-001", "face pay")),
        Reply::Enrolled { attempt: 1, member: "m-001".into(), frames: 3 }
    );
    assert!(matches!(client.ask(&Request::Status {}), Reply::Status(status) if status.gallery == 1));

    client.show(&["photos/person_a_1.jpg", "photos/person_a_480p.jpg", "photos/person_a_partial_face2.jpg"]);
    assert!(
        matches!(client.recognise(1), Outcome::Match { member, score_milli } if member == "m-001" && score_milli > 500)
    );
    for (attempt, photograph, outcome) in [
        (2, "photos/person_b.jpg", Outcome::NoMatch),
        (3, "spoof/minivision_image_F1.png", Outcome::NotLive),
        (4, "spoof/minivision_image_T1.png", Outcome::NoMatch),
        (5, "photos/chelsea.png", Outcome::NoFace),
    ] {
        client.show(&[photograph]);
        assert_eq!(client.recognise(attempt), outcome, "{photograph}");
    }
    client.show(&["spoof/minivision_image_F1.png", "spoof/minivision_image_F2.png", "spoof/minivision_image_F1.png"]);
    let print = client.ask(&enrol("m-002", "face pay"));
    assert!(matches!(print, Reply::EnrolRefused { .. }), "{print:?}");
    let outside = Request::Show { files: vec!["../golden/golden.json".into()] };
    assert!(matches!(client.ask(&outside), Reply::Error { .. }));

    client.show(&["photos/person_a_1.jpg"]);
    let Reply::Erased { receipt: Some(receipt), .. } = client.ask(&erase("m-001")) else { panic!("no receipt") };
    assert_eq!(receipt.member.0, "m-001");
    assert_eq!(client.ask(&erase("m-001")), Reply::Erased { member: "m-001".into(), receipt: None });
    assert_eq!(client.recognise(6), Outcome::NoMatch);
}

#[test]
fn a_key_is_private_and_a_wrong_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (key, other, gallery) = (dir.path().join("a.key"), dir.path().join("b.key"), dir.path().join("gallery.db"));
    keygen(&key);
    keygen(&other);
    let before = std::fs::read(&key).unwrap();
    keygen(&key);
    assert_eq!(before, std::fs::read(&key).unwrap(), "an existing key stays");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let store_key = |path: &Path| zeroize::Zeroizing::new(<[u8; 32]>::try_from(std::fs::read(path).unwrap()).unwrap());
    drop(models::gallery::Gallery::open(&gallery, store_key(&key)).unwrap());
    let mut command = Command::new(PROGRAM);
    command.arg("run").arg("--socket").arg(dir.path().join("s")).arg("--source").arg("file:.");
    let refused = command.arg("--gallery").arg(&gallery).arg("--key").arg(&other).output().unwrap();
    assert!(!refused.status.success());
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("another key"), "{said}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = command.arg("--key").arg(&key).output().unwrap();
    assert!(!refused.status.success());
}

#[test]
fn b05_a_mirror_image_goes_to_whoever_enrols_and_to_nobody_else_and_ends_with_the_enrolment() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    let server = Server::start(&models, &faces, true);
    let (mut lane, mut other) = (server.connect(), server.connect());
    lane.show(&vec!["photos/chelsea.png"; 900]);
    lane.send(&enrol_before_a_mirror("m-001"));
    let mut seen = 0;
    while seen < 3 {
        let reply = lane.reply();
        let Reply::Preview { attempt: 1, preview } = &reply else {
            assert!(matches!(reply, Reply::Guidance { .. }), "{reply:?}");
            continue;
        };
        // The cat is 451 x 300.
        assert_eq!((preview.width(), preview.height()), (208, 138));
        assert!(preview.grey().iter().any(|grey| *grey > 150) && preview.grey().iter().any(|grey| *grey < 60));
        seen += 1;
    }
    // The other lane's page hears answers to its own questions only.
    for _ in 0..5 {
        other.send(&Request::Status {});
        assert!(matches!(other.reply(), Reply::Status(_)));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(lane.ask(&Request::Cancel { attempt: 1 }), Reply::Cancelled { attempt: 1 });
    for _ in 0..5 {
        lane.send(&Request::Status {});
        assert!(matches!(lane.reply(), Reply::Status(_)), "a picture after the end");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Nobody who is only looked at is shown, nor who does not ask for it.
    lane.show(&["photos/chelsea.png"; 3]);
    assert_eq!(lane.recognise(2), Outcome::NoFace);
    lane.show(&["photos/chelsea.png"; 3]);
    lane.send(&enrol("m-001", "face pay"));
    let end = loop {
        let reply = lane.reply();
        if !matches!(reply, Reply::Guidance { .. }) {
            break reply;
        }
    };
    assert!(matches!(end, Reply::EnrolRefused { .. }), "{end:?}");
}
