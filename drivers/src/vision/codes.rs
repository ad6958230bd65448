//! The camera as a scanner: the vision process reads codes from frames while it is asked to, over a connection of its own.
//!
//! A trigger opens the camera and closes it, so nothing but a tap does. Codes of an older session are not heard.

use super::{CameraTrouble, CodesEnd, Lines, Reply, Request, Status, decode, encode};
use crate::options;
use crate::scanner_line::symbol;
use crate::{Cap, Driver, In, Kind, LinkKind, Out, Spec};
use checkout::camera::CAMERA_MS;
use checkout::device::{DeviceCommand, DeviceEvent, Trigger};
use checkout::words::{Mono, Name};
use serde::Deserialize;

pub const SPEC: Spec = Spec {
    name: "scanner-camera",
    kind: Kind::Camera,
    links: &[LinkKind::Unix],
    caps: &[Cap::Trigger, Cap::Symbology],
    quirks: &[],
    example: "name = \"camera-1\"\ndriver = \"scanner-camera\"\nlink = \"unix:/run/aisle-vision/vision.sock\"",
    build: |options| {
        let Options {} = options::parse(options)?;
        Ok(Box::new(Camera::default()))
    },
};

/// Asked this often how the camera is, ms.
const STATUS_MS: u64 = 5_000;
/// Status asked and not answered for this long: the process hangs, ms.
const SILENCE_MS: u64 = 30_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {}

#[derive(Debug, Default)]
struct Camera {
    lines: Lines,
    heard: Mono,
    sessions: u64,
    looking: bool,
}

impl Driver for Camera {
    fn handle(&mut self, now: Mono, input: In<'_>, out: &mut Out) {
        match input {
            In::Opened => {
                self.heard = now;
                self.looking = false;
                ask_status(now, out);
            }
            In::Bytes(bytes) => {
                self.heard = now;
                for line in self.lines.feed(bytes) {
                    // A line we do not understand is the other side's newer word: not ours to die of.
                    if let Ok(reply) = line.and_then(|line| decode::<Reply>(&line)) {
                        self.hear(&reply, out);
                    }
                }
            }
            In::Command(DeviceCommand::Trigger(trigger)) => self.trigger(*trigger, out),
            In::Command(
                DeviceCommand::Beep(_)
                | DeviceCommand::Show(_)
                | DeviceCommand::Light(_)
                | DeviceCommand::ReadWeight { .. }
                | DeviceCommand::Terminal(_)
                | DeviceCommand::Print(_)
                | DeviceCommand::Face(_),
            ) => {}
            In::Timeout if now > self.heard.plus_ms(SILENCE_MS) => out.fail("the vision process does not answer"),
            In::Timeout => ask_status(now, out),
        }
    }
}

impl Camera {
    fn trigger(&mut self, trigger: Trigger, out: &mut Out) {
        let request = match (trigger, self.looking) {
            (Trigger::On, true) | (Trigger::Off, false) => return,
            (Trigger::On, false) => {
                self.sessions = self.sessions.saturating_add(1);
                let deadline_ms = u32::try_from(CAMERA_MS).unwrap_or(u32::MAX);
                Request::ReadCodes { session: self.sessions, deadline_ms }
            }
            (Trigger::Off, true) => Request::StopCodes { session: self.sessions },
        };
        self.looking = trigger == Trigger::On;
        send(&request, out);
    }

    fn hear(&mut self, reply: &Reply, out: &mut Out) {
        match reply {
            Reply::Code { session, aim, data } if self.looking && *session == self.sessions => {
                if let (2, Some(scan)) = (aim.len(), symbol(format!("]{aim}{data}").as_bytes()))
                    && scan.aim.is_some()
                    && !scan.data.is_empty()
                {
                    out.event(DeviceEvent::Scan(scan));
                }
            }
            Reply::CodesEnded { session, end } if *session == self.sessions => {
                self.looking = false;
                if let CodesEnd::Camera(trouble) = end {
                    out.event(health(Some(*trouble)));
                }
            }
            Reply::Status(Status { camera, .. }) => out.event(health(*camera)),
            Reply::Code { .. }
            | Reply::CodesEnded { .. }
            | Reply::Guidance { .. }
            | Reply::Preview { .. }
            | Reply::Outcome { .. }
            | Reply::Cancelled { .. }
            | Reply::Enrolled { .. }
            | Reply::EnrolRefused { .. }
            | Reply::Erased { .. }
            | Reply::Shown { .. }
            | Reply::Error { .. } => {}
        }
    }
}

fn ask_status(now: Mono, out: &mut Out) {
    send(&Request::Status {}, out);
    out.wake_at(now.plus_ms(STATUS_MS));
}

fn send(request: &Request, out: &mut Out) {
    if let Ok(line) = encode(request) {
        out.send(&line);
    }
}

fn health(trouble: Option<CameraTrouble>) -> DeviceEvent {
    DeviceEvent::Health { ready: trouble.is_none(), detail: trouble.map(words).unwrap_or_default() }
}

/// What staff read of a camera that cannot be looked through, and what helps.
pub(super) fn words(trouble: CameraTrouble) -> Name {
    let (zh, en) = match trouble {
        CameraTrouble::Absent => ("找不到摄像头，请检查连线", "the camera is not there: check its cable"),
        CameraTrouble::Busy => ("摄像头被其他程序占用", "another program has the camera"),
        CameraTrouble::NoPicture => {
            ("摄像头没有画面，请重新插拔", "the camera gives no picture: unplug it and plug it in again")
        }
        CameraTrouble::Format => ("摄像头的画面格式无法读取", "the camera's pictures are of a kind that is not read"),
        CameraTrouble::Virtual => ("拒绝使用虚拟摄像头", "a virtual camera is refused"),
        CameraTrouble::NotBound => (
            "这不是已登记的摄像头（型号或接口不符）",
            "this is not the camera that was set up: another model or socket",
        ),
        CameraTrouble::Swapped => ("使用中摄像头被换过", "the camera was swapped for another one while it was in use"),
        CameraTrouble::Refused => ("系统拒绝打开摄像头", "the system does not let the camera be opened"),
    };
    Name { zh: zh.into(), en: en.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use checkout::device::Scan;

    fn told(camera: &mut Camera, input: In<'_>) -> Out {
        let mut out = Out::default();
        camera.handle(Mono(1), input, &mut out);
        out
    }

    fn pulled(camera: &mut Camera, trigger: Trigger) -> Vec<u8> {
        told(camera, In::Command(&DeviceCommand::Trigger(trigger))).bytes
    }

    #[test]
    fn only_the_codes_of_the_session_that_was_asked_for_are_heard() {
        let mut camera = Camera::default();
        let code = |session: u64| {
            format!("{{\"code\":{{\"session\":{session},\"aim\":\"E0\",\"data\":\"6901234567892\"}}}}\n")
        };
        assert_eq!(told(&mut camera, In::Bytes(code(0).as_bytes())).events, []);
        let ask = b"{\"read_codes\":{\"session\":1,\"deadline_ms\":60000}}\n";
        assert_eq!(pulled(&mut camera, Trigger::On), ask);
        assert_eq!(pulled(&mut camera, Trigger::On), b"", "it looks already");
        let scan = DeviceEvent::Scan(Scan { aim: Some(*b"E0"), data: b"6901234567892".to_vec() });
        assert_eq!(told(&mut camera, In::Bytes(code(1).as_bytes())).events, [scan]);
        assert_eq!(pulled(&mut camera, Trigger::Off), b"{\"stop_codes\":{\"session\":1}}\n");
        assert_eq!(told(&mut camera, In::Bytes(code(1).as_bytes())).events, [], "read before it heard of the end");
        assert_eq!(pulled(&mut camera, Trigger::On), b"{\"read_codes\":{\"session\":2,\"deadline_ms\":60000}}\n");
        assert_eq!(told(&mut camera, In::Bytes(code(1).as_bytes())).events, []);
        let odd = b"{\"code\":{\"session\":2,\"aim\":\"E\",\"data\":\"1\"}}\n{\"code\":{\"session\":2,\"aim\":\"Q1\",\"data\":\"\\u0007\"}}\n";
        assert_eq!(told(&mut camera, In::Bytes(odd)).events, []);
    }

    #[test]
    fn a_swapped_camera_is_told_in_two_languages_and_one_that_is_well_again_too() {
        let mut camera = Camera::default();
        pulled(&mut camera, Trigger::On);
        let ended = b"{\"codes_ended\":{\"session\":1,\"end\":{\"camera\":\"swapped\"}}}\n";
        let [DeviceEvent::Health { ready: false, detail }] = &told(&mut camera, In::Bytes(ended)).events[..] else {
            panic!("not told");
        };
        assert!(detail.en.contains("swapped") && detail.zh.contains("换过"));
        let status = b"{\"status\":{\"models\":\"missing\",\"gallery\":0,\"source\":\"x\"}}\n";
        let well = DeviceEvent::Health { ready: true, detail: Name::default() };
        assert_eq!(told(&mut camera, In::Bytes(status)).events, [well], "codes are read without face models");
    }
}
