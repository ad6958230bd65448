//! The daemon's end of the vision socket: to the core a camera is one more device that reads members.

use super::{Hint, Lines, Models, Outcome, Reply, Request, Status, decode, encode};
use crate::options;
use crate::{Driver, In, Kind, LinkKind, Mirror, Out, Spec};
use checkout::device::{DeviceCommand, DeviceEvent, FaceCommand, FaceEvent, FaceHint, FaceOutcome};
use checkout::words::{Attempt, MemberId, Mono, Name};
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "vision",
    kind: Kind::Vision,
    links: &[LinkKind::Unix],
    caps: &[],
    quirks: &[],
    example: "name = \"vision\"\ndriver = \"vision\"\nlink = \"unix:/run/aisle/vision.sock\"",
    build: |options| {
        let Options {} = options::parse(options)?;
        Ok(Box::new(Vision::default()))
    },
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

/// Asked this often whether models and camera work, ms.
const STATUS_MS: u64 = 5_000;
/// Frames a template is made of.
const ENROL_FRAMES: u8 = 3;
/// Status asked and not answered for this long: the process hangs, ms.
const SILENCE_MS: u64 = 30_000;

#[derive(Debug, Default)]
struct Vision {
    lines: Lines,
    heard: Mono,
    /// The attempt whose mirror image is wanted.
    enrolling: Option<u64>,
}

impl Driver for Vision {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.heard = now;
                self.dark(out);
                self.ask_status(now, out);
            }
            In::Bytes(bytes) => {
                self.heard = now;
                for line in self.lines.feed(bytes) {
                    // A line we do not understand is the other side's newer word: not ours to die of.
                    if let Ok(reply) = line.and_then(|line| decode::<Reply>(&line)) {
                        self.hear(reply, out);
                    }
                }
            }
            In::Command(command) => self.tell(command, out),
            In::Timeout if now > self.heard.plus_ms(SILENCE_MS) => out.fail("the vision process does not answer"),
            In::Timeout => self.ask_status(now, out),
        }
    }
}

impl Vision {
    fn ask_status(&mut self, now: Mono, out: &mut Out) {
        send(&Request::Status {}, out);
        out.wake_at(now.plus_ms(STATUS_MS));
    }

    fn tell(&mut self, command: &DeviceCommand, out: &mut Out) {
        match command {
            DeviceCommand::Face(command) => {
                match command {
                    FaceCommand::Enrol { attempt, .. } => {
                        self.dark(out);
                        self.enrolling = Some(attempt.0);
                    }
                    FaceCommand::Cancel { attempt } => self.over(attempt.0, out),
                    FaceCommand::Recognise { .. } | FaceCommand::Erase { .. } => {}
                }
                send(&request(command), out);
            }
            DeviceCommand::Beep(_)
            | DeviceCommand::Trigger(_)
            | DeviceCommand::Show(_)
            | DeviceCommand::Light(_)
            | DeviceCommand::ReadWeight { .. }
            | DeviceCommand::Terminal(_)
            | DeviceCommand::Print(_) => {}
        }
    }

    fn hear(&mut self, reply: Reply, out: &mut Out) {
        match reply {
            Reply::Status(status) => {
                out.event(health(&status));
                out.event(DeviceEvent::Gallery { members: status.gallery, whole: !status.narrow });
            }
            Reply::Guidance { attempt, hint } => out.event(face(attempt, FaceEvent::Guidance(hint_of(hint)))),
            Reply::Outcome { attempt, outcome } => out.event(face(attempt, FaceEvent::Outcome(outcome_of(outcome)))),
            Reply::Preview { attempt, preview } if self.enrolling == Some(attempt) => {
                out.mirror(Mirror::Shows { attempt: Attempt(attempt), preview });
            }
            Reply::Enrolled { attempt, frames, .. } => {
                self.over(attempt, out);
                out.event(face(attempt, FaceEvent::Enrolled { frames }));
            }
            Reply::EnrolRefused { attempt, .. } => {
                self.over(attempt, out);
                out.event(face(attempt, FaceEvent::EnrolRefused));
            }
            Reply::Erased { member, receipt } => {
                out.event(DeviceEvent::FaceErased { member: MemberId(member), receipt: receipt.map(Box::new) });
            }
            Reply::Preview { .. }
            | Reply::Cancelled { .. }
            | Reply::Shown { .. }
            | Reply::Code { .. }
            | Reply::CodesEnded { .. }
            | Reply::Error { .. } => {}
        }
    }

    fn over(&mut self, attempt: u64, out: &mut Out) {
        if self.enrolling == Some(attempt) {
            self.dark(out);
        }
    }

    fn dark(&mut self, out: &mut Out) {
        self.enrolling = None;
        out.mirror(Mirror::Dark);
    }
}

fn request(command: &FaceCommand) -> Request {
    match command {
        FaceCommand::Recognise { attempt, deadline_ms, among } => Request::Recognise {
            attempt: attempt.0,
            deadline_ms: *deadline_ms,
            among: among.as_ref().map(|among| among.iter().map(|member| member.0.clone()).collect()),
        },
        FaceCommand::Cancel { attempt } => Request::Cancel { attempt: attempt.0 },
        FaceCommand::Enrol { attempt, member, consent, deadline_ms } => Request::Enrol {
            attempt: attempt.0,
            member: member.0.clone(),
            consent: (**consent).clone(),
            frames: ENROL_FRAMES,
            deadline_ms: *deadline_ms,
            preview: true,
        },
        FaceCommand::Erase { member, before } => {
            Request::Erase { member: member.0.clone(), before_utc_ms: Some(before.0) }
        }
    }
}

fn send(request: &Request, out: &mut Out) {
    if let Ok(line) = encode(request) {
        out.send(&line);
    }
}

fn health(status: &Status) -> DeviceEvent {
    if let Some(trouble) = status.camera {
        return DeviceEvent::Health { ready: false, detail: super::codes::words(trouble) };
    }
    let ready = status.models == Models::Ready;
    let hint = status.missing_hint.clone().unwrap_or_else(|| "aisle-vision install".into());
    let detail = match ready {
        true if status.enrol_again > 0 => Name {
            zh: format!("人脸识别模型已更换，{} 位会员需要重新录入", status.enrol_again),
            en: format!("the recogniser was changed: {} members have to enrol again", status.enrol_again),
        },
        true => Name::default(),
        false => Name {
            zh: format!("人脸模型未安装，运行一条命令即可安装：{hint}"),
            en: format!("face models are not installed; one command installs them: {hint}"),
        },
    };
    DeviceEvent::Health { ready, detail }
}

const fn face(attempt: u64, event: FaceEvent) -> DeviceEvent {
    DeviceEvent::Face { attempt: Attempt(attempt), event }
}

const fn hint_of(hint: Hint) -> FaceHint {
    match hint {
        Hint::LookAtCamera | Hint::CentreFace => FaceHint::LookHere,
        Hint::ComeCloser => FaceHint::ComeCloser,
        Hint::StepBack => FaceHint::StepBack,
        Hint::OnePerson => FaceHint::OnePerson,
        Hint::MoreLight => FaceHint::MoreLight,
        Hint::LessLight => FaceHint::LessLight,
        Hint::HoldStill => FaceHint::HoldStill,
        Hint::UncoverFace => FaceHint::UncoverFace,
        Hint::TurnLeft => FaceHint::TurnLeft,
        Hint::TurnRight => FaceHint::TurnRight,
    }
}

fn outcome_of(outcome: Outcome) -> FaceOutcome {
    match outcome {
        Outcome::Match { member, score_milli } => FaceOutcome::Match { member: MemberId(member), score_milli },
        Outcome::Ambiguous => FaceOutcome::Ambiguous,
        Outcome::NoMatch => FaceOutcome::NoMatch,
        Outcome::NotLive => FaceOutcome::NotLive,
        Outcome::NoFace => FaceOutcome::NoFace,
        Outcome::TimedOut => FaceOutcome::TimedOut,
        Outcome::Unavailable => FaceOutcome::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Preview;
    use super::*;

    #[test]
    fn missing_models_are_told_in_two_languages_and_an_outcome_reaches_the_core() {
        let mut vision = Vision::default();
        let mut out = Out::default();
        vision.handle(Mono(0), In::Opened, &mut out);
        assert_eq!(out.bytes, b"{\"status\":{}}\n");
        let replies = b"garbage\n{\"status\":{\"models\":\"missing\",\"gallery\":0,\"source\":\"x\"}}\n\
            {\"outcome\":{\"attempt\":3,\"outcome\":\"no_match\"}}\n";
        vision.handle(Mono(1), In::Bytes(replies), &mut out);
        let [
            DeviceEvent::Health { ready: false, detail },
            DeviceEvent::Gallery { members: 0, whole: true },
            DeviceEvent::Face { attempt: Attempt(3), event },
        ] = &out.events[..]
        else {
            panic!("{:?}", out.events)
        };
        assert!(detail.en.contains("aisle-vision install") && detail.zh.contains("aisle-vision install"));
        assert_eq!(*event, FaceEvent::Outcome(FaceOutcome::NoMatch));
    }

    #[test]
    fn b05_a_mirror_image_is_shown_for_the_enrolment_that_runs_and_goes_dark_with_it() {
        let (preview, mut vision) = (Preview::new(2, 1, vec![7, 9]).unwrap(), Vision::default());
        let shown = |attempt| Some(Mirror::Shows { attempt: Attempt(attempt), preview: preview.clone() });
        let heard = |vision: &mut Vision, reply: &Reply| {
            let mut out = Out::default();
            vision.handle(Mono(1), In::Bytes(&encode(reply).unwrap()), &mut out);
            (out.mirror.take(), out.events.len())
        };
        let picture = |attempt| Reply::Preview { attempt, preview: preview.clone() };
        assert_eq!(heard(&mut vision, &picture(7)), (None, 0), "nobody enrols");
        let told = |vision: &mut Vision, command| {
            let mut out = Out::default();
            vision.handle(Mono(2), In::Command(&DeviceCommand::Face(command)), &mut out);
            out
        };
        let consent = serde_json::from_str(
            r#"{"purpose":"x","text_version":"1","text_sha256":"","at_utc_ms":1,"channel":"staff","age":"fourteen_or_over"}"#,
        );
        let enrol = FaceCommand::Enrol {
            attempt: Attempt(7),
            member: "m-1".into(),
            consent: Box::new(consent.unwrap()),
            deadline_ms: 1,
        };
        let asked = String::from_utf8(told(&mut vision, enrol.clone()).bytes).unwrap();
        assert!(asked.contains(r#""preview":true"#), "{asked}");
        assert_eq!(heard(&mut vision, &picture(7)), (shown(7), 0), "and the core hears of no picture");
        assert_eq!(heard(&mut vision, &picture(6)), (None, 0), "of an older attempt");
        let ended = Reply::EnrolRefused { attempt: 7, member: "m-1".into(), reason: String::new() };
        assert_eq!(heard(&mut vision, &ended), (Some(Mirror::Dark), 1));
        assert_eq!(heard(&mut vision, &picture(7)), (None, 0), "what was on its way comes too late");
        told(&mut vision, enrol);
        assert_eq!(told(&mut vision, FaceCommand::Cancel { attempt: Attempt(7) }).mirror, Some(Mirror::Dark));
        assert_eq!(heard(&mut vision, &picture(7)), (None, 0));
    }
}
