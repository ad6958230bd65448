//! What the shop has of a member, told to that member and nobody else.

use crate::common::{MEMBER, Till, scan};
use crate::faces::{OTHER, matched, open, recognise, rgb};
use checkout::device::{DeviceCommand, Document};
use checkout::event::Event;
use checkout::face::{Age, FaceRefused};
use checkout::member::MemberEvent;
use checkout::page::{PageRequest, Refused, StaffRequest};
use checkout::receipt::SlipRow;
use checkout::store::PortStatus;
use checkout::words::Private;
use checkout::{Effect, Input};

#[test]
fn b22_only_whoever_showed_the_code_is_told_what_the_store_has_of_them_and_it_is_a_fact() {
    let mut till = open(rgb());
    let ask = || PageRequest::MyData {};
    let told = |till: &Till| till.lane(1).shown_data;
    assert_eq!(till.press(1, ask()), Err(Refused::Face(FaceRefused::CodeNeeded)), "nobody is there");
    till.press(1, recognise()).unwrap();
    matched(&mut till, "m-1");
    assert_eq!(till.press(1, ask()), Err(Refused::Face(FaceRefused::CodeNeeded)), "a face can be held up");
    till.take(scan(1, MEMBER));
    assert_eq!(told(&till), None, "nothing unasked");
    till.press(1, ask()).unwrap();
    assert_eq!(told(&till), Some("m-1".into()));
    assert!(till.said(|event| matches!(event, Event::Member(MemberEvent::DataShown { staff: None, .. }))));
    assert_eq!(till.lane(2).shown_data, None, "at that lane only");
    let page = serde_json::to_string(&till.lane(1)).unwrap();
    assert!(!page.contains("m-1") && page.contains("\"data_shown\":true"), "a page learns the opaque id: {page}");

    // Somebody else's turn, and the first again: each asks anew.
    till.take(scan(1, OTHER));
    assert_eq!(told(&till), None);
    let of_other = StaffRequest::MemberData {};
    till.staff(1, of_other).unwrap();
    assert_eq!(told(&till), Some("m-2".into()));
    assert!(till.said(|event| matches!(event, Event::Member(MemberEvent::DataShown { staff: Some(_), .. }))));
    till.press(1, PageRequest::RemoveMember {}).unwrap();
    assert_eq!(told(&till), None);
    assert_eq!(till.staff(1, StaffRequest::MemberData {}), Err(Refused::Face(FaceRefused::CodeNeeded)));
}

#[test]
fn b22_a_members_data_is_printed_where_it_was_shown_and_no_page_can_say_what_stands_on_it() {
    let rows = || vec![SlipRow::of(("人脸特征", "Face template"), "1".into())];
    let print = || PageRequest::PrintMyData { rows: rows() };
    let mut till = open(rgb());
    till.take(scan(1, MEMBER));
    assert_eq!(till.press(1, print()), Err(Refused::NothingHere), "shown first");
    till.press(1, PageRequest::MyData {}).unwrap();
    till.press(1, print()).unwrap();
    let printed = till.last.effects.iter().any(|effect| {
        matches!(effect, Effect::Device { command: DeviceCommand::Print(job), .. }
            if matches!(&job.document, Document::Slip(slip) if slip.rows == rows()))
    });
    assert!(printed, "{:?}", till.last.effects);
    let forged = r#"{"print_my_data":{"rows":[{"label":{"zh":"x","en":"x"},"value":"x"}]}}"#;
    assert!(serde_json::from_str::<PageRequest>(forged).is_err());
    till.take(Input::Port { device: "printer-1".into(), status: PortStatus::Down { reason: "gone".into() } });
    assert_eq!(till.press(1, print()), Err(Refused::NoPrinter));
}

#[test]
fn b04_a_telephone_number_neither_withdraws_a_face_nor_enrols_one() {
    let mut till = open(rgb());
    till.shelf.members[0].phone = "13912345678".into();
    till.press(1, PageRequest::Phone { number: Private("13912345678".into()) }).unwrap();
    assert!(till.lane(1).member.is_some_and(|member| !member.by_code && !member.by_face));
    for press in [PageRequest::WithdrawFace {}, PageRequest::MyData {}] {
        assert_eq!(till.press(1, press), Err(Refused::Face(FaceRefused::CodeNeeded)));
    }
    let enrol = StaffRequest::EnrolFace {
        text_version: "face-enrol-1".into(),
        text_sha256: "0f".repeat(32),
        age: Age::FourteenOrOver,
        guardian: None,
        until_utc_ms: None,
    };
    assert_eq!(till.staff(1, enrol), Err(Refused::Face(FaceRefused::CodeNeeded)), "others know the number, too");
}
