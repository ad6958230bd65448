//! The camera as a scanner: open after a tap and only then, for one lane, for a while.

use crate::common::{COLA, MEMBER, NOODLES, Till};
use checkout::camera::CAMERA_MS;
use checkout::device::{DeviceCommand, DeviceEvent, Scan, Trigger};
use checkout::event::Event;
use checkout::lane::LaneEvent;
use checkout::page::{Method, PageRequest, Refused};
use checkout::store::PortStatus;
use checkout::view::Phase;
use checkout::words::Name;
use checkout::{Effect, Input};

impl Till {
    fn camera_up(&mut self) {
        self.take(Input::Port { device: "camera-1".into(), status: PortStatus::Up });
    }

    fn sees(&mut self, code: &str) {
        let scan = Scan { aim: Some(*b"E0"), data: code.as_bytes().to_vec() };
        self.take(Input::Device { device: "camera-1".into(), event: DeviceEvent::Scan(scan) });
    }

    /// What the camera was told in the last step.
    fn camera_told(&self) -> Vec<Trigger> {
        let told = |effect: &Effect| match effect {
            Effect::Device { device, command: DeviceCommand::Trigger(trigger) } if device.0 == "camera-1" => {
                Some(*trigger)
            }
            Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
        };
        self.last.effects.iter().filter_map(told).collect()
    }
}

#[test]
fn a_tap_opens_the_camera_its_codes_are_goods_and_another_tap_closes_it() {
    let mut till = Till::open();
    assert_eq!(till.press(1, PageRequest::OpenCamera {}), Err(Refused::CameraUnavailable), "it is away");
    till.camera_up();
    assert_eq!(till.camera_told(), [], "nobody asked for it");
    till.sees(COLA);
    assert_eq!(till.lane(1).pieces, 0, "what a camera says unasked is not heard");
    till.press(1, PageRequest::OpenCamera {}).unwrap();
    assert_eq!(till.camera_told(), [Trigger::On]);
    assert!(till.said(|event| matches!(event, Event::Lane(LaneEvent::CameraOpened))), "the journal knows of each tap");
    till.sees(COLA);
    till.sees(NOODLES);
    assert_eq!((till.lane(1).pieces, till.lane(1).camera), (2, true));
    till.press(1, PageRequest::CloseCamera {}).unwrap();
    assert_eq!((till.camera_told(), till.lane(1).camera), (vec![Trigger::Off], false));
    till.sees(COLA);
    assert_eq!(till.lane(1).pieces, 2);
    assert_eq!(till.press(1, PageRequest::CloseCamera {}), Err(Refused::NothingHere));
}

#[test]
fn a_camera_left_open_closes_after_a_minute_and_while_a_card_is_paid_with() {
    let mut till = Till::open();
    till.camera_up();
    till.press(1, PageRequest::OpenCamera {}).unwrap();
    till.clock += CAMERA_MS;
    till.take(Input::Tick);
    assert_eq!((till.camera_told(), till.lane(1).camera), (vec![Trigger::Off], false));
    till.press(1, PageRequest::OpenCamera {}).unwrap();
    till.sees(COLA);
    till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
    assert_eq!(till.camera_told(), [Trigger::Off]);
    assert_eq!(till.press(1, PageRequest::OpenCamera {}), Err(Refused::Paying));
    assert_eq!(till.lane(1).phase, Phase::Paying);
}

#[test]
fn a_face_is_looked_for_only_after_the_camera_has_stopped_to_look_for_codes() {
    let mut till = Till::open();
    till.camera_up();
    till.press(1, PageRequest::OpenCamera {}).unwrap();
    till.sees(MEMBER);
    till.press(1, PageRequest::Recognise { consent: "1".into(), tail: None }).unwrap();
    assert_eq!((till.camera_told(), till.lane(1).camera), (vec![Trigger::Off], false));
    assert_eq!(till.press(1, PageRequest::OpenCamera {}), Err(Refused::CameraUnavailable), "nor the other way round");
}

#[test]
fn a_camera_that_fails_or_is_another_one_ends_the_session_with_its_reason_and_the_sale_goes_on() {
    let mut till = Till::open();
    till.camera_up();
    till.press(1, PageRequest::OpenCamera {}).unwrap();
    till.sees(COLA);
    let detail = Name { zh: "摄像头被换过".into(), en: "it is another camera than before".into() };
    let event = DeviceEvent::Health { ready: false, detail: detail.clone() };
    till.take(Input::Device { device: "camera-1".into(), event });
    let view = till.lane(1);
    assert!(!view.camera && view.notice.is_some_and(|notice| !notice.good));
    let device = view.devices.iter().find(|device| device.kind == "camera").expect("a camera");
    assert_eq!(device.detail, Some(detail));
    let told = |event: &Event| serde_json::to_string(event).unwrap().contains("another camera than before");
    assert!(till.said(told), "the journal has the reason");
    assert_eq!(till.press(1, PageRequest::OpenCamera {}), Err(Refused::CameraUnavailable));
    till.take(crate::common::scan(1, NOODLES));
    assert_eq!(till.lane(1).pieces, 2);
}
