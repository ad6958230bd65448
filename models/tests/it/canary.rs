//! Photographs that can be told among a million others pass through the real program, and are looked for afterwards everywhere
//! they could have gone: what the program wrote or sent, its files, and its memory as a core dump has it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use drivers::vision::{Outcome, Reply, Request, encode};
use models::image::Frame;

use crate::socket::{Client, PROGRAM, Server, enrol_before_a_mirror};
use crate::{faces_folder, models_folder};

/// So many bytes of a picture no other data has by chance.
const RUN: usize = 24;
/// Runs that are looked for, of the pixels and of the file each.
const RUNS: usize = 40;
const MEMBER: &str = "photos/person_a_1.jpg";
const CAT: &str = "photos/chelsea.png";
/// Frames without a face settle nothing, so that the camera looks on.
const LONG: usize = 900;
/// In the program's own text: a dump that lacks it is none.
const OF_THE_PROGRAM: &[u8] = b"aisle gallery wrap 1";

/// Runs of a picture's pixels, and of the file as a camera's wire would have it.
fn canaries(file: &Path) -> Vec<Vec<u8>> {
    let packed = std::fs::read(file).unwrap();
    let frame = Frame::decode(&packed).unwrap();
    let busy = |run: &&[u8]| {
        let mut seen = run.to_vec();
        seen.sort_unstable();
        seen.dedup();
        seen.len() > RUN * 2 / 3
    };
    let rows = frame.rgb().chunks_exact(frame.width() * 3);
    let pixels: Vec<&[u8]> = rows.flat_map(|row| row.chunks_exact(RUN).filter(busy).take(2)).collect();
    let spread = pixels.iter().step_by((pixels.len() / RUNS).max(1)).copied();
    let file = packed[packed.len() / 2..].chunks_exact(RUN).filter(busy).take(RUNS);
    let found: Vec<Vec<u8>> = spread.take(RUNS).chain(file).map(<[u8]>::to_vec).collect();
    assert!(found.len() > RUNS, "{} runs", found.len());
    found
}

fn found(bytes: &[u8], canaries: &[Vec<u8>]) -> usize {
    canaries.iter().filter(|canary| memchr::memmem::find(bytes, canary).is_some()).count()
}

/// What strace printed of strings, `\x41\x42`, as bytes.
fn traced(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().windows(4).filter(|at| at.starts_with(b"\\x"));
    digits.filter_map(|at| u8::from_str_radix(std::str::from_utf8(&at[2..]).ok()?, 16).ok()).collect()
}

/// A command that writes down all that the program after it writes, sends and opens.
fn strace(trace: &Path) -> Command {
    let mut strace = Command::new("strace");
    // As a grandchild: then the process started here is the program itself, and ends with its test.
    strace.args(["-D", "-f", "-q", "-xx", "-s", "2000000", "-o"]).arg(trace);
    strace.args(["-e", "trace=write,writev,pwrite64,pwritev,sendto,sendmsg,socket,openat,memfd_create"]);
    strace
}

/// Whether processes may be looked into here: by strace, and by whatever makes core dumps.
fn may_trace() -> bool {
    let tried = Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: strace is not installed or not allowed here");
    }
    may
}

/// A member enrols before the mirror and is recognised, and then another picture goes the same way. What the mirror showed: runs
/// of its pixels, and of their text on the socket.
fn session(client: &mut Client) -> Vec<Vec<u8>> {
    let photographs = [MEMBER, "photos/person_a.jpg", "photos/person_a_2.jpg", MEMBER];
    client.show(&photographs);
    client.send(&enrol_before_a_mirror("m-001"));
    let mut mirrored = Vec::new();
    loop {
        let reply = client.reply();
        mirrored.extend(of_mirror(&reply));
        if matches!(reply, Reply::Enrolled { .. }) {
            break;
        }
        assert!(matches!(reply, Reply::Preview { .. } | Reply::Guidance { .. }), "{reply:?}");
    }
    assert!(mirrored.len() > RUNS, "{} runs of the mirror", mirrored.len());
    client.show(&photographs);
    assert!(matches!(client.recognise(1), Outcome::Match { .. }));
    client.show(&[CAT]);
    assert_eq!(client.recognise(2), Outcome::NoFace);
    mirrored
}

fn of_mirror(reply: &Reply) -> Vec<Vec<u8>> {
    let Reply::Preview { preview, .. } = reply else { return Vec::new() };
    let line = encode(reply).unwrap();
    let runs = |bytes: &[u8], step: usize| -> Vec<Vec<u8>> {
        let differ = |run: &&[u8]| run.windows(2).filter(|pair| pair[0] != pair[1]).count() > RUN / 2;
        bytes.chunks_exact(RUN).filter(differ).step_by(step).take(RUNS).map(<[u8]>::to_vec).collect()
    };
    // Of the line's beginning and end every client knows the words.
    [runs(preview.grey(), 7), runs(&line[100..line.len() - 100], 7)].concat()
}

/// The trace once the program is gone and strace has written everything down.
fn whole(trace: &Path) -> String {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(trace).unwrap_or_default();
        if text.contains("+++ killed by") || text.contains("+++ exited with") {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "strace goes on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn b05_a_frame_is_in_no_file_in_no_log_and_on_no_wire() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    if !may_trace() {
        return;
    }
    let canaries = [canaries(&faces.join(MEMBER)), canaries(&faces.join(CAT))].concat();
    let out = tempfile::tempdir().unwrap();
    // What a program that gives the photograph away looks like.
    let leak = out.path().join("leak");
    let said = strace(&leak).arg("cat").arg(faces.join(MEMBER)).stdout(Stdio::null()).status();
    assert!(said.unwrap().success());
    assert!(found(&traced(&whole(&leak)), &canaries) > RUNS / 2, "a photograph that is written would not be found");

    let trace = out.path().join("trace");
    let mut command = strace(&trace);
    command.arg(PROGRAM);
    let server = Server::start_as(command, &models, &format!("file:{}", faces.display()), true);
    let mirrored = session(&mut server.connect());
    let files = std::fs::read_dir(server.folder()).unwrap().map(|entry| entry.unwrap().path());
    for file in files.filter(|path| path.is_file()) {
        let held = std::fs::read(&file).unwrap();
        assert_eq!((found(&held, &canaries), found(&held, &mirrored)), (0, 0), "{}", file.display());
    }
    drop(server);
    let trace = whole(&trace);
    assert!(found(&traced(&trace), &[b"enrolled".to_vec(), b"\"match\"".to_vec()]) == 2, "the answers were not seen");
    assert_eq!(found(&traced(&trace), &canaries), 0, "the program wrote or sent a part of a photograph");
    // The mirror went over the socket of whoever enrolled, and nowhere else: not to the log, to no file.
    let mirrors = trace.lines().filter(|line| found(&traced(line), &mirrored) > 0);
    let ways: BTreeSet<&str> =
        mirrors.filter_map(|line| line.split_once(' ')?.1.split_once(',')).map(|way| way.0).collect();
    assert_eq!(ways.len(), 1, "{ways:?}");
    assert!(ways.iter().all(|way| !way.ends_with("(1") && !way.ends_with("(2")), "{ways:?}");
    assert!(!trace.contains("AF_INET") && !trace.contains("AF_NETLINK"), "the program opened a network socket");
    assert!(!trace.contains("memfd_create"), "the program made a file in memory, which others can read");
    let wanted = ["O_WRONLY", "O_RDWR", "O_CREAT"];
    let written =
        trace.lines().filter(|line| line.contains("openat(") && wanted.iter().any(|flag| line.contains(flag)));
    let paths: Vec<String> = written.map(|line| String::from_utf8_lossy(&traced(line)).into_owned()).collect();
    let ours = |path: &String| path.contains("gallery.") || path.starts_with("/dev/");
    assert!(!paths.is_empty() && paths.iter().all(ours), "written to: {paths:?}");
}

/// The memory of a process as a crash would write it down, and more: also what the kernel would leave out.
fn core_dump(process: u32) -> Vec<u8> {
    let out = tempfile::tempdir().unwrap();
    let mut gcore = Command::new("gcore");
    gcore.arg("-a").arg("-o").arg(out.path().join("core")).arg(process.to_string());
    let made = gcore.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let dump = std::fs::read(out.path().join(format!("core.{process}"))).unwrap();
    assert_eq!(found(&dump, &[OF_THE_PROGRAM.to_vec()]), 1, "that is no dump of the program");
    dump
}

#[test]
fn b05_a_core_dump_holds_no_frame_once_the_attempt_is_over() {
    let (Some(models), Some(faces)) = (models_folder(), faces_folder()) else { return };
    let installed = Command::new("gcore").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !may_trace() || !installed {
        eprintln!("skipped: gcore is not installed or not allowed here");
        return;
    }
    let (member, cat) = (canaries(&faces.join(MEMBER)), canaries(&faces.join(CAT)));
    let server = Server::start(&models, &faces, true);
    let mut client = server.connect();
    let mirrored = session(&mut client);

    // While the camera looks, the frame is there: a dump would show it.
    client.show(&vec![CAT; LONG]);
    client.send(&Request::Recognise { attempt: 3, deadline_ms: 60_000, among: None });
    let seen = (0..5).any(|_| found(&core_dump(server.process()), &cat) > 0);
    assert!(seen, "a frame that is being looked at is not found, so this test would find none");

    // Also when it is given up in the middle.
    assert_eq!(client.ask(&Request::Cancel { attempt: 3 }), Reply::Cancelled { attempt: 3 });
    assert!(matches!(client.ask(&Request::Status {}), Reply::Status(_)));
    let dump = core_dump(server.process());
    assert_eq!((found(&dump, &member), found(&dump, &cat)), (0, 0), "parts of photographs are left in memory");
    assert_eq!(found(&dump, &mirrored), 0, "parts of what the mirror showed are left in memory");
}
