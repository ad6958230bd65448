//! `cargo bench --profile ci -p models`: one frame and one search beside onnxruntime and FAISS in the same run, see
//! `docs/BENCH.md`. Without the models, or without those two, the rows say so.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use drivers::vision::{Age, Channel, Consent, Outcome};
use models::Pipeline;
use models::align::aligned;
use models::detect::{Face, Size};
use models::embed::{Embedding, LENGTH};
use models::gallery::Gallery;
use models::image::Frame;
use models::manifest::Models;
use models::search::Index;
use models::session::Gathered;

const ROUNDS: usize = 15;
/// Times that ours and the other's rounds alternate.
const TURNS: usize = 5;
const TEMPLATES: usize = 100_000;
const PROBES: usize = 40;
const NETWORKS: [&str; 4] = [
    "yunet_n_640_640.onnx",
    "face-reidentification-retail-0095_noprelu.onnx",
    "2.7_80x80_MiniFASNetV2_noprelu.onnx",
    "4_0_0_80x80_MiniFASNetV1SE_noprelu.onnx",
];

/// Frames a second of a camera, as tills have them.
const CAMERA_FPS: u32 = 15;
/// Members of the store whose gallery is searched after a tap.
const MEMBERS: usize = 1_000;

fn main() -> Result<()> {
    let models = std::env::var_os("AISLE_MODELS").map(PathBuf::from);
    // For callgrind, which counts the instructions of the whole program: so many frames and nothing else.
    if let (Some(models), Ok(frames)) = (&models, std::env::var("AISLE_BENCH_FRAMES")) {
        return only_frames(models, frames.parse()?);
    }
    let mut rows = Vec::new();
    let mut peer = Peer::start();
    match &models {
        Some(models) => frames(models, peer.as_mut(), &mut rows)?,
        None => rows.push(json!({"name": "vision_frame", "skipped": "AISLE_MODELS is not set"})),
    }
    search(peer.as_mut(), &mut rows)?;
    // Last, so that photographs of any size are no part of the peak of memory.
    if let Some(models) = &models {
        tap(models, &mut rows)?;
    }
    report(&rows)
}

/// A whole frame: found, judged, aligned, embedded and tested for life, against the four graphs alone.
fn frames(models: &Path, mut peer: Option<&mut Peer>, rows: &mut Vec<Value>) -> Result<()> {
    let start = Instant::now();
    let mut pipeline = Pipeline::load(&Models::built_in(models))?;
    rows.push(
        json!({"name": "vision_load", "value": start.elapsed().as_secs_f64() * 1e3, "unit": "ms", "budget": "≤ 300"}),
    );
    let (frame, face) = scene()?;
    let files: Vec<String> = NETWORKS.iter().map(|name| models.join(name).display().to_string()).collect();
    for threads in [1, 2] {
        pipeline.set_threads(threads);
        let whole = || whole(&pipeline, &frame, &face);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            ours.push(median_ms(ROUNDS, whole)?);
            if let Some(peer) = &mut peer {
                theirs.push(peer.ask(&format!("net {threads} {}", files.join(" ")))?[0]);
            }
        }
        let name = format!("vision_frame_{threads}_threads");
        rows.push(compared(&name, median(&mut ours), median(&mut theirs), 1.0, "onnxruntime, the four graphs alone"));
    }
    Ok(())
}

/// What is in the picture does not matter to the time: the parts are run on a face that is said to be there.
fn scene() -> Result<(Frame, Face)> {
    let frame = Frame::from_rgb(640, 480, (0..640 * 480 * 3).map(|at| (at * 7919 % 251) as u8).collect());
    let at = |x: f32, y: f32| [220.0 + 200.0 * x, 140.0 + 200.0 * y];
    let landmarks = [at(0.3, 0.4), at(0.7, 0.4), at(0.5, 0.6), at(0.35, 0.8), at(0.65, 0.8)];
    let face = Face { score: 0.9, bounds: [220.0, 120.0, 200.0, 240.0], landmarks };
    Ok((frame.context("a picture of the right size")?, face))
}

fn whole(pipeline: &Pipeline, frame: &Frame, face: &Face) -> Result<()> {
    pipeline.detector.detect(frame, Size::Large640, 0.8)?;
    let aligned = aligned(frame, face).context("a face that can be aligned")?;
    pipeline.probe(frame, face, &aligned)?;
    Ok(())
}

fn only_frames(models: &Path, frames: usize) -> Result<()> {
    let mut pipeline = Pipeline::load(&Models::built_in(models))?;
    pipeline.set_threads(1);
    let (frame, face) = scene()?;
    (0..frames).try_for_each(|_| whole(&pipeline, &frame, &face))
}

/// From the tap to the outcome: a camera of so many frames a second shows a member of a thousand, its first frame a whole step
/// after the tap. A frame that comes while the last one is still looked at is missed, as a camera's would be.
fn tap(models: &Path, rows: &mut Vec<Value>) -> Result<()> {
    let name = "vision_tap_to_outcome";
    let Some(faces) = std::env::var_os("AISLE_FACES").map(PathBuf::from) else {
        rows.push(json!({"name": name, "skipped": "AISLE_FACES is not set"}));
        return Ok(());
    };
    let photograph = |photograph: &str| Frame::read(&faces.join("photos").join(photograph));
    let pipeline = Pipeline::load(&Models::built_in(models))?;
    let mut gallery = Gallery::in_memory()?;
    let mut enrolled = Gathered::default();
    for file in ["person_a.jpg", "person_a_2.jpg", "person_a_3.jpg"] {
        enrolled.take(pipeline.look(&photograph(file)?)?);
    }
    let template = enrolled.template(3).map_err(anyhow::Error::msg)?;
    gallery.enrol("member", &consent(), &template, 3)?;
    let mut directions = Directions::default();
    for number in 1..MEMBERS {
        let other = directions.next().context("a direction")?;
        gallery.enrol(&format!("m-{number}"), &consent(), &other, 3)?;
    }
    let shown = photograph("person_a_480p.jpg")?;
    let step = Duration::from_secs(1) / CAMERA_FPS;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut gathered = Gathered::default();
        let outcome = loop {
            let due = step * (start.elapsed().as_micros() / step.as_micros() + 1) as u32;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            gathered.take(pipeline.look(&shown)?);
            if let Some(outcome) = gathered.decide(&gallery.search(None))? {
                break outcome;
            }
        };
        ensure!(matches!(&outcome, Outcome::Match { member, .. } if member == "member"), "{outcome:?}");
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let value = median(&mut times);
    rows.push(json!({
        "name": name, "value": value, "unit": "ms", "budget": "≤ 700", "met": value <= 700.0,
        "frames_per_second": CAMERA_FPS, "members": MEMBERS,
    }));
    Ok(())
}

fn consent() -> Consent {
    Consent {
        purpose: "bench".into(),
        text_version: "1".into(),
        text_sha256: "0f".repeat(32),
        at_utc_ms: 1,
        channel: Channel::Staff,
        until_utc_ms: None,
        age: Age::FourteenOrOver,
        guardian: None,
    }
}

/// Directions that look like chance and are the same every time.
struct Directions(u64);

impl Default for Directions {
    fn default() -> Self {
        Self(1)
    }
}

impl Directions {
    fn next(&mut self) -> Option<Embedding> {
        let mut next = || {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        Embedding::normalised((0..LENGTH).map(|_| next() + next() + next()).collect())
    }
}

fn search(peer: Option<&mut Peer>, rows: &mut Vec<Value>) -> Result<()> {
    let mut directions = Directions::default();
    let mut index = Index::default();
    for template in (0..TEMPLATES).map_while(|_| directions.next()) {
        index.insert(&template);
    }
    rows.push(json!({"name": "vision_memory", "value": peak_memory_mb(), "unit": "MB", "budget": "≤ 250"}));
    let probes: Vec<Embedding> = (0..PROBES).map_while(|_| directions.next()).collect();
    let mut times = Vec::new();
    let mut winners = Vec::new();
    for probe in &probes {
        let start = Instant::now();
        let found = index.top2(probe);
        times.push(start.elapsed().as_secs_f64() * 1e3);
        winners.extend(found.iter().flatten().map(|found| f64::from(found.slot)));
    }
    let mut theirs = Vec::new();
    if let Some(peer) = peer {
        let dir = tempfile::tempdir()?;
        let [templates, asked] = ["templates", "probes"].map(|name| dir.path().join(name));
        let all = (0..TEMPLATES as u32).filter_map(|slot| index.template(slot));
        write(&templates, all.map(|template| template.as_slice()))?;
        write(&asked, probes.iter().map(Embedding::as_slice))?;
        let answer = peer.ask(&format!("faiss {} {}", templates.display(), asked.display()))?;
        theirs.push(answer[0]);
        ensure!(answer[1..] == winners, "FAISS found other winners");
    }
    let against = "FAISS IndexFlatIP, one thread, the same winners";
    rows.push(compared("vision_search", median(&mut times), median(&mut theirs), 0.5, against));
    Ok(())
}

fn write<'a>(path: &Path, vectors: impl Iterator<Item = &'a [f32]>) -> Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for number in vectors.flatten() {
        file.write_all(&number.to_le_bytes())?;
    }
    Ok(file.flush()?)
}

/// onnxruntime and FAISS in a process of their own.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    /// `None`, with a word about it, where they are not installed.
    fn start() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let python = target.join("peers/vision/bin/python");
        let mut command = Command::new(&python);
        command.arg(root.join("scripts/vision_peers.py")).stdin(Stdio::piped()).stdout(Stdio::piped());
        let Ok(mut child) = command.spawn() else {
            eprintln!(
                "bench: {} is not there; `scripts/setup.sh bench` installs onnxruntime and FAISS",
                python.display()
            );
            return None;
        };
        let (input, output) = (child.stdin.take()?, BufReader::new(child.stdout.take()?));
        Some(Self { child, input, output })
    }

    fn ask(&mut self, line: &str) -> Result<Vec<f64>> {
        writeln!(self.input, "{line}")?;
        let mut answer = String::new();
        self.output.read_line(&mut answer)?;
        let numbers: Result<Vec<f64>, _> = answer.split_whitespace().map(str::parse).collect();
        let numbers = numbers.with_context(|| format!("the peer answered {answer:?}"))?;
        ensure!(!numbers.is_empty(), "the peer ended");
        Ok(numbers)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn compared(name: &str, ours: f64, theirs: f64, budget: f64, against: &str) -> Value {
    let mut row =
        json!({"name": name, "value": ours, "unit": "ms", "budget": format!("≤ {budget}"), "against": against});
    if theirs.is_nan() {
        row["skipped"] = "not installed: scripts/setup.sh bench".into();
    } else {
        row["other_ms"] = theirs.into();
        row["ratio"] = ((ours / theirs * 1000.0).round() / 1000.0).into();
        row["met"] = (ours <= budget * theirs).into();
    }
    row
}

fn median_ms(rounds: usize, job: impl Fn() -> Result<()>) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..rounds {
        let start = Instant::now();
        job()?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn peak_memory_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}

fn report(rows: &[Value]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("vision.json"), serde_json::to_string_pretty(rows)? + "\n")?;
    let mut out = std::io::stdout().lock();
    for row in rows {
        writeln!(out, "  {row}")?;
    }
    writeln!(out, "\n  vision.json is in {}", folder.display())?;
    Ok(())
}
