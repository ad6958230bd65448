//! The socket: one desk that owns models, gallery and source, and any number of clients that queue before it.
//!
//! The desk works on one attempt at a time, frame by frame, and reads its inbox between frames; so nothing is shared and
//! a cancellation is heard within a tenth of a second.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant, SystemTime};

use drivers::vision::{
    CameraTrouble, CodesEnd, Consent, ErasureCause, LineError, Lines, Models as Installed, Outcome, Reply, Request,
    Status, decode, encode, is_member_id,
};

use crate::camera::Fault;
use crate::codes::{Reader, Readings};
use crate::gallery::{Gallery, Retention};
use crate::image::Frame;
use crate::manifest::Models;
use crate::preview::Mirror;
use crate::session::{Ended, FRAMES_WANTED, Gathered, Side};
use crate::source::{FrameSource, Photographs, Pulled, Source, within};
use crate::{Look, Pipeline};

const CLIENTS_MAX: usize = 8;
const WAITING_MAX: usize = 16;
const INBOX: usize = 64;
const OUTBOX: usize = 256;
const DEADLINE_MAX: Duration = Duration::from_secs(60);
/// How long the desk waits for one frame before it reads its inbox again.
const FRAME_WAIT: Duration = Duration::from_millis(100);
/// How long a frame of the second camera is waited for; without it the face counts as not live.
const INFRARED_WAIT: Duration = Duration::from_millis(200);
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
const ENROL_FRAMES_MAX: u8 = 10;
/// For so long after a session that a camera spoilt, `Status` says why.
const TROUBLE_TOLD: Duration = Duration::from_secs(10);
/// How often templates that have reached their end are looked for; the first time soon after a start.
const EXPIRE_EVERY: Duration = Duration::from_secs(60 * 60);
const EXPIRE_FIRST: Duration = Duration::from_secs(60);

/// What the desk works with.
#[derive(Debug)]
pub struct Equipment {
    pub models: Models,
    pub gallery: Gallery,
    pub retention: Retention,
    pub source: Source,
    /// A second camera that sees infrared, where there is one.
    pub infrared: Option<Source>,
    /// Whether whoever is looked at has to turn the head as well.
    pub challenge: bool,
    /// Whether clients may choose the photographs of a file source.
    pub demo: bool,
}

/// Serves clients until the process ends; returns when the listener is gone.
pub fn serve(listener: UnixListener, equipment: Equipment) -> anyhow::Result<()> {
    let (inbox, arrivals) = sync_channel(INBOX);
    std::thread::Builder::new().name("accept".into()).spawn(move || accept(&listener, &inbox))?;
    let mut desk = Desk::new(equipment);
    if let Some(hint) = desk.missing() {
        tracing::warn!("faces are off: {hint}");
    }
    desk.work(&arrivals);
    Ok(())
}

type Client = u64;

#[derive(Debug)]
enum Arrival {
    Joined(SyncSender<Vec<u8>>),
    Line(Result<Request, LineError>),
    Left,
}

fn accept(listener: &UnixListener, inbox: &SyncSender<(Client, Arrival)>) {
    for (client, stream) in (0..).zip(listener.incoming()) {
        let joined = stream.and_then(|stream| join(client, stream, inbox.clone()));
        if let Err(error) = joined {
            tracing::warn!(%error, "a client could not be served");
            std::thread::sleep(FRAME_WAIT);
        }
    }
}

fn join(client: Client, stream: UnixStream, inbox: SyncSender<(Client, Arrival)>) -> std::io::Result<()> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let mut writer = stream.try_clone()?;
    let (outbox, outgoing) = sync_channel::<Vec<u8>>(OUTBOX);
    std::thread::Builder::new().name("write".into()).spawn(move || {
        while let Ok(line) = outgoing.recv() {
            if writer.write_all(&line).is_err() {
                break;
            }
        }
        let _ = writer.shutdown(std::net::Shutdown::Both);
    })?;
    std::thread::Builder::new().name("read".into()).spawn(move || read(client, stream, outbox, &inbox))?;
    Ok(())
}

fn read(client: Client, mut stream: UnixStream, outbox: SyncSender<Vec<u8>>, inbox: &SyncSender<(Client, Arrival)>) {
    if inbox.send((client, Arrival::Joined(outbox))).is_err() {
        return;
    }
    let mut lines = Lines::default();
    let mut chunk = vec![0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        for line in lines.feed(&chunk[..count]) {
            let request = line.and_then(|line| decode(&line));
            if inbox.send((client, Arrival::Line(request))).is_err() {
                return;
            }
        }
    }
    let _ = inbox.send((client, Arrival::Left));
}

/// What a client asked for that needs the camera.
#[derive(Debug)]
struct Job {
    client: Client,
    task: Task,
    deadline: Instant,
}

#[derive(Debug)]
enum Task {
    Recognise {
        attempt: u64,
        among: Option<Vec<String>>,
    },
    Enrol {
        attempt: u64,
        member: String,
        consent: Consent,
        frames: u8,
        /// Whoever enrols sees themselves.
        mirror: Option<Mirror>,
    },
    /// Codes only: no face model sees these frames.
    Codes {
        session: u64,
    },
}

impl Task {
    /// The number of a session that looks at faces.
    const fn attempt(&self) -> Option<u64> {
        match self {
            Self::Recognise { attempt, .. } | Self::Enrol { attempt, .. } => Some(*attempt),
            Self::Codes { .. } => None,
        }
    }

    /// What whoever enrols is to see of that frame.
    fn reflect(&mut self, frame: &Frame) -> Option<Reply> {
        let Self::Enrol { attempt, mirror: Some(mirror), .. } = self else { return None };
        let preview = mirror.look(frame, Instant::now())?;
        Some(Reply::Preview { attempt: *attempt, preview })
    }
}

struct Attempt {
    job: Job,
    source: Box<dyn FrameSource>,
    infrared: Option<Box<dyn FrameSource>>,
    gathered: Gathered,
    readings: Readings,
}

struct Desk {
    equipment: Equipment,
    pipeline: Option<Pipeline>,
    reader: Reader,
    trouble: Option<(CameraTrouble, Instant)>,
    /// Photographs a demonstration chose.
    chosen: Option<Vec<PathBuf>>,
    clients: BTreeMap<Client, SyncSender<Vec<u8>>>,
    waiting: VecDeque<Job>,
    current: Option<Attempt>,
    /// A face was looked at since the networks' memory was last overwritten.
    looked: bool,
    expire_at: Instant,
}

impl Desk {
    fn new(equipment: Equipment) -> Self {
        Self {
            equipment,
            pipeline: None,
            reader: Reader::default(),
            trouble: None,
            chosen: None,
            clients: BTreeMap::new(),
            waiting: VecDeque::new(),
            current: None,
            looked: false,
            expire_at: Instant::now() + EXPIRE_FIRST,
        }
    }

    fn work(&mut self, arrivals: &Receiver<(Client, Arrival)>) {
        loop {
            self.forget_faces();
            let idle = self.current.is_none() && self.waiting.is_empty();
            let arrival = if idle {
                let wait = self.expire_at.saturating_duration_since(Instant::now());
                arrivals.recv_timeout(wait).map_err(|error| match error {
                    RecvTimeoutError::Timeout => TryRecvError::Empty,
                    RecvTimeoutError::Disconnected => TryRecvError::Disconnected,
                })
            } else {
                arrivals.try_recv()
            };
            match arrival {
                Ok((client, arrival)) => self.hear(client, arrival),
                Err(TryRecvError::Empty) if idle => self.expire(),
                Err(TryRecvError::Empty) => self.advance(),
                Err(TryRecvError::Disconnected) => return,
            }
        }
    }

    /// Overwrites what an attempt left in the networks' memory, however it ended.
    fn forget_faces(&mut self) {
        if self.current.is_some() || !std::mem::take(&mut self.looked) {
            return;
        }
        if let Some(pipeline) = &self.pipeline {
            pipeline.forget();
        }
    }

    fn hear(&mut self, client: Client, arrival: Arrival) {
        match arrival {
            Arrival::Joined(outbox) => {
                self.clients.insert(client, outbox);
                if self.clients.len() > CLIENTS_MAX {
                    self.fail(client, format!("more than {CLIENTS_MAX} clients"));
                    self.clients.remove(&client);
                }
            }
            Arrival::Left => {
                self.clients.remove(&client);
                self.waiting.retain(|job| job.client != client);
                self.current = self.current.take().filter(|attempt| attempt.job.client != client);
            }
            Arrival::Line(Err(error)) => self.fail(client, error.to_string()),
            Arrival::Line(Ok(request)) => self.handle(client, request),
        }
    }

    /// Erases what has reached its end and tells everybody. Without a client nobody asks, and nobody would hear.
    fn expire(&mut self) {
        self.expire_at = Instant::now() + if self.clients.is_empty() { EXPIRE_FIRST } else { EXPIRE_EVERY };
        if self.clients.is_empty() {
            return;
        }
        let (now, retention) = (now_ms(), self.equipment.retention);
        let gone = self.equipment.gallery.refresh().and_then(|()| self.equipment.gallery.expire(now, retention));
        match gone {
            Ok(receipts) => {
                let clients: Vec<Client> = self.clients.keys().copied().collect();
                for receipt in receipts {
                    let reply = Reply::Erased { member: receipt.member.0.clone(), receipt: Some(receipt) };
                    clients.iter().for_each(|client| self.send(*client, &reply));
                }
            }
            Err(error) => tracing::error!(%error, "templates that have reached their end cannot be erased"),
        }
    }

    fn handle(&mut self, client: Client, request: Request) {
        match request {
            Request::Recognise { attempt, deadline_ms, among } => {
                self.queue(client, Task::Recognise { attempt, among }, deadline_ms);
            }
            Request::Enrol { attempt, member, consent, frames, deadline_ms, preview } => {
                if let Some(reason) = enrol_fault(&member, &consent, frames) {
                    self.send(client, &Reply::EnrolRefused { attempt, member, reason });
                } else {
                    let mirror = preview.then(Mirror::default);
                    self.queue(client, Task::Enrol { attempt, member, consent, frames, mirror }, deadline_ms);
                }
            }
            Request::Cancel { attempt } => {
                self.give_up(client, |task| task.attempt() == Some(attempt));
                self.send(client, &Reply::Cancelled { attempt });
            }
            Request::ReadCodes { session, deadline_ms } => self.queue(client, Task::Codes { session }, deadline_ms),
            Request::StopCodes { session } => {
                self.give_up(client, |task| matches!(task, Task::Codes { session: number } if *number == session));
                self.send(client, &Reply::CodesEnded { session, end: CodesEnd::Stopped });
            }
            Request::Erase { member, before_utc_ms } => self.erase(client, member, before_utc_ms),
            Request::Status {} => {
                let status = self.status();
                self.send(client, &Reply::Status(status));
            }
            Request::Show { files } => self.show(client, &files),
        }
    }

    fn give_up(&mut self, client: Client, meant: impl Fn(&Task) -> bool) {
        let meant = |job: &Job| job.client == client && meant(&job.task);
        self.waiting.retain(|job| !meant(job));
        self.current = self.current.take().filter(|current| !meant(&current.job));
    }

    fn erase(&mut self, client: Client, member: String, before: Option<i64>) {
        // Whoever is just being looked for could be the one who does not want it any more.
        let enrols = |job: &Job| matches!(&job.task, Task::Enrol { member: other, .. } if *other == member);
        self.current = self.current.take().filter(|attempt| !enrols(&attempt.job));
        match self.equipment.gallery.erase(&member, before, ErasureCause::Withdrawn, now_ms()) {
            Ok(receipt) => self.send(client, &Reply::Erased { member, receipt }),
            Err(error) => {
                tracing::error!(%error, "a member who withdrew could not be erased");
                self.fail(client, format!("erase failed: {error}"));
            }
        }
    }

    fn queue(&mut self, client: Client, task: Task, deadline_ms: u32) {
        let time = Duration::from_millis(deadline_ms.into()).min(DEADLINE_MAX);
        let job = Job { client, task, deadline: Instant::now() + time };
        if self.waiting.len() < WAITING_MAX {
            self.waiting.push_back(job);
        } else {
            self.refuse(job, "too many requests are waiting", CodesEnd::Busy);
        }
    }

    fn show(&mut self, client: Client, files: &[String]) {
        let (Source::Files(folder), true) = (&self.equipment.source, self.equipment.demo) else {
            return self.fail(client, "show is for demonstrations: start with --demo-source and a file source".into());
        };
        match within(folder, files) {
            Ok(chosen) => {
                self.send(client, &Reply::Shown { files: chosen.len() });
                self.chosen = Some(chosen);
            }
            Err(reason) => self.fail(client, reason),
        }
    }

    fn status(&mut self) -> Status {
        let missing_hint = self.missing();
        let models = if missing_hint.is_none() { Installed::Ready } else { Installed::Missing };
        if let Err(error) = self.equipment.gallery.refresh() {
            tracing::warn!(%error, "the gallery cannot be read");
        }
        let gallery = u32::try_from(self.equipment.gallery.len()).unwrap_or(u32::MAX);
        let told = |(trouble, since): (CameraTrouble, Instant)| (since.elapsed() < TROUBLE_TOLD).then_some(trouble);
        let camera = self.trouble.and_then(told);
        let narrow = self.equipment.gallery.search(None).threshold().is_err();
        let enrol_again = u32::try_from(self.equipment.gallery.stale()).unwrap_or(u32::MAX);
        let infrared = self.equipment.infrared.is_some();
        let source = self.equipment.source.to_string();
        Status { models, missing_hint, gallery, enrol_again, narrow, source, infrared, camera }
    }

    /// Loads the models unless they are; says what to do when they cannot be.
    fn missing(&mut self) -> Option<String> {
        if self.pipeline.is_some() {
            return None;
        }
        match Pipeline::load(&self.equipment.models) {
            Ok(pipeline) => {
                self.pipeline = Some(pipeline);
                None
            }
            Err(error) => Some(error.to_string()),
        }
    }

    /// Begins the next attempt, or looks at one frame of the current one.
    fn advance(&mut self) {
        let attempt = match self.current.take() {
            Some(attempt) => Some(attempt),
            None => self.waiting.pop_front().and_then(|job| self.begin(job)),
        };
        let Some(mut attempt) = attempt else { return };
        match self.look(&mut attempt) {
            Ok(None) => self.current = Some(attempt),
            Ok(Some(reply)) => self.send(attempt.job.client, &reply),
            Err(error) => {
                tracing::warn!("attempt given up: {error:#}");
                let end = self.note_trouble(&error);
                // Closed before anybody hears that the session is over.
                drop(attempt.source);
                self.refuse(attempt.job, "the camera or a model failed", end);
            }
        }
    }

    fn begin(&mut self, job: Job) -> Option<Attempt> {
        let faces = !matches!(job.task, Task::Codes { .. });
        if let Some(hint) = faces.then(|| self.missing()).flatten() {
            self.refuse(job, &hint, CodesEnd::Busy);
            return None;
        }
        if let Some(Err(fault)) = faces.then(|| self.equipment.source.may_see_faces()) {
            tracing::warn!("no face is looked at: {fault}");
            self.refuse(job, "this camera looks at no faces", CodesEnd::Busy);
            return None;
        }
        // What the calibration cannot vouch for is refused before a camera opens.
        if let Task::Recognise { among, .. } = &job.task
            && let Err(error) = self.equipment.gallery.search(among.as_deref()).threshold()
        {
            tracing::warn!("attempt refused: {error}");
            self.refuse(job, "the gallery is too large to be searched whole", CodesEnd::Busy);
            return None;
        }
        let source = match &self.chosen {
            Some(files) => Ok(Box::new(Photographs::new(files.clone())) as Box<dyn FrameSource>),
            None => self.equipment.source.open(),
        };
        let refreshed = if faces { self.equipment.gallery.refresh().map_err(anyhow::Error::from) } else { Ok(()) };
        let infrared = self.equipment.infrared.as_ref().filter(|_| faces).map(Source::open).transpose();
        match refreshed.and(source).and_then(|source| Ok((source, infrared?))) {
            Ok((source, infrared)) => {
                let gathered = Gathered::asking(self.equipment.challenge.then(Side::drawn));
                Some(Attempt { job, source, infrared, gathered, readings: Readings::default() })
            }
            Err(error) => {
                tracing::warn!("attempt not begun: {error:#}");
                let end = self.note_trouble(&error);
                self.refuse(job, "the camera or the gallery cannot be opened", end);
                None
            }
        }
    }

    /// One frame of an attempt; a reply ends it.
    fn look(&mut self, attempt: &mut Attempt) -> anyhow::Result<Option<Reply>> {
        if let Task::Codes { session } = attempt.job.task {
            return self.read_codes(session, attempt);
        }
        let Some(pipeline) = &self.pipeline else {
            anyhow::bail!("the models are gone");
        };
        let deadline = attempt.job.deadline;
        let ended = match attempt.source.next(deadline.min(Instant::now() + FRAME_WAIT))? {
            Pulled::Frame(frame) => {
                self.looked = true;
                let preview = attempt.job.task.reflect(&frame);
                let mut look = pipeline.look(&frame)?;
                drop(frame);
                if let (Some(infrared), Look::Usable(probe)) = (&mut attempt.infrared, &mut look) {
                    let second = infrared.next(deadline.min(Instant::now() + INFRARED_WAIT))?;
                    let warm = if let Pulled::Frame(frame) = second { pipeline.infrared(&frame)? } else { 0.0 };
                    probe.live = probe.live.min(warm);
                }
                if let Some(preview) = preview {
                    self.send(attempt.job.client, &preview);
                }
                let hint = attempt.gathered.take(look);
                if let (Some(hint), Some(number)) = (hint, attempt.job.task.attempt()) {
                    self.send(attempt.job.client, &Reply::Guidance { attempt: number, hint });
                }
                (Instant::now() >= deadline).then_some(Ended::Deadline)
            }
            Pulled::Late => (Instant::now() >= deadline).then_some(Ended::Deadline),
            Pulled::Ended => Some(Ended::SourceEnded),
        };
        let gathered = &attempt.gathered;
        match &attempt.job.task {
            Task::Recognise { attempt, among } => self.recognised(*attempt, among.as_deref(), gathered, ended),
            Task::Enrol { attempt: number, member, consent, frames, .. } => {
                let Some(result) = self.enrolled(member, consent, *frames, gathered, ended) else { return Ok(None) };
                let (attempt, member) = (*number, member.clone());
                Ok(Some(match result {
                    Ok(frames) => Reply::Enrolled { attempt, member, frames },
                    Err(reason) => Reply::EnrolRefused { attempt, member, reason },
                }))
            }
            Task::Codes { session } => Ok(Some(Reply::CodesEnded { session: *session, end: CodesEnd::Stopped })),
        }
    }

    /// One frame of a session of codes; a reply ends it.
    fn read_codes(&mut self, session: u64, attempt: &mut Attempt) -> anyhow::Result<Option<Reply>> {
        let deadline = attempt.job.deadline;
        let end = match attempt.source.next(deadline.min(Instant::now() + FRAME_WAIT))? {
            Pulled::Ended => Some(CodesEnd::SourceEnded),
            Pulled::Late => None,
            Pulled::Frame(frame) => {
                self.trouble = None;
                let read = self.reader.read(&frame);
                let news = read.and_then(|symbol| attempt.readings.take(symbol, Instant::now()));
                if let Some(symbol) = news {
                    let (aim, data) = (symbol.aim, symbol.data);
                    self.send(attempt.job.client, &Reply::Code { session, aim, data });
                }
                None
            }
        };
        let end = end.or_else(|| (Instant::now() >= deadline).then_some(CodesEnd::TimedOut));
        Ok(end.map(|end| Reply::CodesEnded { session, end }))
    }

    /// Keeps what a camera did wrong for `Status`; the end of a session it spoilt.
    fn note_trouble(&mut self, error: &anyhow::Error) -> CodesEnd {
        let trouble = error.downcast_ref::<Fault>().map(Fault::trouble);
        self.trouble = trouble.map(|trouble| (trouble, Instant::now())).or(self.trouble);
        CodesEnd::Camera(trouble.unwrap_or(CameraTrouble::Absent))
    }

    fn recognised(
        &self,
        attempt: u64,
        among: Option<&[String]>,
        gathered: &Gathered,
        ended: Option<Ended>,
    ) -> anyhow::Result<Option<Reply>> {
        let search = self.equipment.gallery.search(among);
        let outcome = match (gathered.decide(&search)?, ended) {
            (None, None) => return Ok(None),
            (Some(outcome), _) => outcome,
            (None, Some(ended)) => gathered.conclude(ended, &search)?,
        };
        if let Outcome::Match { member, .. } = &outcome
            && let Err(error) = self.equipment.gallery.seen(member, now_ms())
        {
            tracing::warn!(%error, "the gallery cannot note that a template is in use");
        }
        tracing::info!(attempt, frames = gathered.usable(), "attempt ended");
        Ok(Some(Reply::Outcome { attempt, outcome }))
    }

    fn enrolled(
        &mut self,
        member: &str,
        consent: &Consent,
        frames: u8,
        gathered: &Gathered,
        ended: Option<Ended>,
    ) -> Option<Result<u8, String>> {
        if !gathered.suffices(frames) && ended.is_none() {
            return None;
        }
        let usable = u8::try_from(gathered.usable()).unwrap_or(u8::MAX);
        Some(gathered.template(frames).and_then(|template| {
            let kept = self.equipment.gallery.enrol(member, consent, &template, usable);
            kept.map(|()| usable).map_err(|error| error.to_string())
        }))
    }

    fn refuse(&mut self, job: Job, reason: &str, end: CodesEnd) {
        let reply = match job.task {
            Task::Recognise { attempt, .. } => Reply::Outcome { attempt, outcome: Outcome::Unavailable },
            Task::Enrol { attempt, member, .. } => Reply::EnrolRefused { attempt, member, reason: reason.to_owned() },
            Task::Codes { session } => Reply::CodesEnded { session, end },
        };
        self.send(job.client, &reply);
    }

    fn fail(&mut self, client: Client, message: String) {
        self.send(client, &Reply::Error { message });
    }

    /// Hands a reply to the client's writer; a client that does not read is let go.
    fn send(&mut self, client: Client, reply: &Reply) {
        let Ok(line) = encode(reply) else {
            tracing::error!("a reply is longer than the protocol allows");
            return;
        };
        let sent = self.clients.get(&client).map(|outbox| outbox.try_send(line));
        if let Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) = sent {
            self.clients.remove(&client);
        }
    }
}

/// What is wrong with a request to enrol, before a camera opens for it.
fn enrol_fault(member: &str, consent: &Consent, frames: u8) -> Option<String> {
    if !is_member_id(member) {
        return Some(crate::gallery::GalleryError::BadMember.to_string());
    }
    if let Some(fault) = consent.fault() {
        return Some(crate::gallery::GalleryError::NoConsent(fault.text().to_owned()).to_string());
    }
    let fits = usize::from(frames) >= FRAMES_WANTED && frames <= ENROL_FRAMES_MAX;
    (!fits).then(|| format!("a template needs {FRAMES_WANTED} to {ENROL_FRAMES_MAX} frames"))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
