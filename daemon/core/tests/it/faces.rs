//! Faces at the lane: opened by a tap only, never a payment, never a burnt point, and gone when their owner says so.

use crate::common::{COLA, MEMBER, NOODLES, Till, config, scan};
use checkout::catalog::Member;
use checkout::config::StoreConfig;
use checkout::device::{DeviceCommand, DeviceEvent, FaceCommand, FaceEvent, FaceOutcome};
use checkout::event::{Event, Record};
use checkout::face::{Age, Camera, Erasure, FaceRefused, FaceRules, Factor};
use checkout::member::{IdentifiedBy, MemberEvent};
use checkout::page::{Method, PageRequest, Refused, ReturnRequest, StaffRequest};
use checkout::rules::PointRules;
use checkout::store::{HqInput, PortStatus, StoreEvent};
use checkout::tender::TenderEvent;
use checkout::view::{FaceEnd, LaneView, Phase, TenderKind};
use checkout::wire::{Answer, Question, Said, WalletOutcome};
use checkout::words::{Attempt, LaneId, Money, Private, Role, TenderId, Utc};
use checkout::{Effect, Input};
use std::collections::{BTreeSet, VecDeque};

/// Somebody else.
pub(crate) const OTHER: &str = "M9876543217";

pub(crate) fn rules(camera: Camera, tap: i64, pin: Option<i64>) -> StoreConfig {
    let mut config = config();
    config.floor.face = FaceRules { pay: true, camera, tap_up_to: Money(tap), pin_up_to: pin.map(Money) };
    assert_eq!(config.floor.face.fault(), None);
    config.floor.points = PointRules { per: Money(100), worth: Money(1), times: Vec::new() };
    config
}

pub(crate) fn rgb() -> StoreConfig {
    rules(Camera::Rgb, 0, Some(100_000))
}

pub(crate) fn open(config: StoreConfig) -> Till {
    let mut till = Till::with(config);
    let one = Member { points: 100_000, ..till.shelf.members[0].clone() };
    till.shelf.members = vec![one.clone(), Member { id: "m-2".into(), code: OTHER.into(), ..one }];
    till.take(Input::Hq(HqInput::Online(true)));
    till
}

pub(crate) fn recognise() -> PageRequest {
    PageRequest::Recognise { consent: "face-consent-1".into(), tail: None }
}

pub(crate) fn pay_by_face() -> PageRequest {
    PageRequest::PayByFace { consent: "face-consent-1".into(), tail: None }
}

fn outcome(till: &mut Till, attempt: u64, outcome: FaceOutcome) {
    let event = DeviceEvent::Face { attempt: Attempt(attempt), event: FaceEvent::Outcome(outcome) };
    till.take(Input::Device { device: "vision".into(), event });
}

pub(crate) fn matched(till: &mut Till, member: &str) {
    let attempt = till.store.facts().attempts;
    outcome(till, attempt, FaceOutcome::Match { member: member.into(), score_milli: 900 });
}

pub(crate) fn confirm(till: &mut Till, pin: Option<&str>) -> Result<(), Refused> {
    let view = till.lane(1);
    let amount = view.due;
    let attempt = view.confirming.map_or(Attempt(0), |shown| shown.attempt);
    till.press(1, PageRequest::ConfirmFacePay { attempt, amount, pin: pin.map(|pin| Private(pin.into())) })
}

pub(crate) fn charged(till: &Till) -> Option<(&TenderId, Money, &Said)> {
    till.last.effects.iter().find_map(|effect| match effect {
        Effect::Ask { what: Question::ChargeMember { tender, amount, said, .. }, .. } => Some((tender, *amount, said)),
        Effect::Ask { .. } | Effect::Device { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
    })
}

fn commands(till: &Till) -> Vec<&FaceCommand> {
    let face = |effect| match effect {
        &Effect::Device { command: DeviceCommand::Face(ref command), .. } => Some(command),
        Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
    };
    till.last.effects.iter().filter_map(face).collect()
}

pub(crate) fn answer(till: &mut Till, tender: TenderId, outcome: WalletOutcome) {
    till.take(Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
}

fn approve(till: &mut Till) {
    let Some((tender, amount, _)) = charged(till) else { panic!("nothing was asked of headquarters") };
    let tender = tender.clone();
    answer(till, tender, WalletOutcome::Approved { amount, reference: "W-1".into() });
}

/// Cola in the basket, the member recognised, name and amount on the screen.
pub(crate) fn shown(config: StoreConfig) -> Till {
    let mut till = open(config);
    till.take(scan(1, COLA));
    till.press(1, pay_by_face()).unwrap();
    matched(&mut till, "m-1");
    till
}

#[test]
fn b02_the_camera_opens_for_a_tap_with_consent_and_for_nothing_else() {
    let mut till = open(rgb());
    let mut opened = 0;
    let mut count = |till: &Till| {
        opened += commands(till)
            .iter()
            .filter(|one| matches!(one, FaceCommand::Recognise { .. } | FaceCommand::Enrol { .. }))
            .count();
        opened
    };
    for input in [
        scan(1, COLA),
        scan(1, MEMBER),
        scan(2, OTHER),
        Input::Hq(HqInput::Online(false)),
        Input::Hq(HqInput::Online(true)),
        Input::Port { device: "vision".into(), status: PortStatus::Down { reason: "gone".into() } },
        Input::Port { device: "vision".into(), status: PortStatus::Up },
        Input::Boot { version: "test".into(), nonce: 2 },
        Input::Tick,
    ] {
        till.take(input);
        assert_eq!(count(&till), 0);
    }
    for press in [
        PageRequest::CallHelp {},
        PageRequest::WithdrawFace {},
        PageRequest::Pay { method: Method::Wallet, amount: None },
    ] {
        till.press(1, press).unwrap();
        assert_eq!(count(&till), 0);
    }
    till.press(1, PageRequest::CancelPayment {}).unwrap();
    let no_consent = PageRequest::Recognise { consent: String::new(), tail: None };
    assert_eq!(till.press(1, no_consent), Err(Refused::FaceUnavailable));
    assert_eq!(count(&till), 0);
    till.press(1, recognise()).unwrap();
    assert_eq!(count(&till), 1);
    assert_eq!(till.press(2, recognise()), Ok(()), "the other lane's camera is asked by its own tap");
    assert_eq!(till.press(1, recognise()), Err(Refused::FaceUnavailable), "one look at a time");
}

#[test]
fn b03_with_the_camera_gone_at_any_moment_the_same_sale_is_paid_another_way() {
    for stage in 0..4 {
        let mut till = open(rgb());
        till.take(scan(1, COLA));
        if stage > 0 {
            till.press(1, pay_by_face()).unwrap();
        }
        if stage > 1 {
            matched(&mut till, "m-1");
        }
        till.take(Input::Port { device: "vision".into(), status: PortStatus::Down { reason: "killed".into() } });
        if stage > 2 {
            till.take(Input::Port { device: "vision".into(), status: PortStatus::Up });
        } else {
            assert_eq!(till.press(1, pay_by_face()), Err(Refused::FaceUnavailable));
        }
        till.take(scan(1, NOODLES));
        till.take(scan(1, MEMBER));
        let due = till.lane(1).due;
        assert_eq!(due, Money(350 + 280), "the member's price, by code as by face");
        till.press(1, PageRequest::Pay { method: Method::Card, amount: None }).unwrap();
        assert_eq!(till.lane(1).phase, Phase::Paying, "stage {stage}");
    }
}

#[test]
fn b04_from_the_tap_on_withdraw_nobody_is_recognised_and_every_gallery_is_told() {
    let mut till = open(rgb());
    assert_eq!(till.press(1, PageRequest::WithdrawFace {}), Err(Refused::Face(FaceRefused::CodeNeeded)));
    till.press(1, recognise()).unwrap();
    matched(&mut till, "m-1");
    assert_eq!(
        till.press(1, PageRequest::WithdrawFace {}),
        Err(Refused::Face(FaceRefused::CodeNeeded)),
        "a face is no signature"
    );
    till.take(scan(1, MEMBER));
    till.press(1, PageRequest::WithdrawFace {}).unwrap();
    let before = Utc(1_790_000_000_001);
    assert_eq!(commands(&till), [&FaceCommand::Erase { member: "m-1".into(), before }]);

    till.press(2, recognise()).unwrap();
    matched(&mut till, "m-1");
    assert!(till.lane(2).member.is_none(), "the gallery still knew the face: the till does not");

    // The camera's process dies before it has erased, and so does the box.
    till.take(Input::Port { device: "vision".into(), status: PortStatus::Down { reason: "killed".into() } });
    let mut again = till.clone();
    again.store = checkout::Store::new(rgb());
    again.journal.iter().for_each(|record| again.store.apply(record));
    again.take(Input::Boot { version: "test".into(), nonce: 3 });
    again.take(Input::Port { device: "vision".into(), status: PortStatus::Up });
    assert_eq!(commands(&again), [&FaceCommand::Erase { member: "m-1".into(), before }]);
    again.take(Input::Device {
        device: "vision".into(),
        event: DeviceEvent::FaceErased { member: "m-1".into(), receipt: None },
    });
    assert!(again.said(|event| matches!(event, Event::Store(StoreEvent::FaceErased { listed: None, .. }))));
    again.take(Input::Port { device: "vision".into(), status: PortStatus::Down { reason: "x".into() } });
    again.take(Input::Port { device: "vision".into(), status: PortStatus::Up });
    assert!(commands(&again).is_empty(), "once is enough");
}

#[test]
fn b04_what_another_store_was_told_reaches_this_one_row_by_row() {
    let mut till = open(rgb());
    let row = |n, member: &str| Erasure { n, member: member.into(), at: Utc(50) };
    till.shelf.erasures = vec![row(3, "m-1"), row(7, "m-9")];
    let dataset = |version| HqInput::Dataset { dataset: "erasures".into(), version, name: "e".into() };
    till.take(Input::Hq(dataset(1)));
    let erase = |member: &str| FaceCommand::Erase { member: member.into(), before: Utc(50) };
    assert_eq!(commands(&till), [&erase("m-1")]);
    let erased = |member: &str| Input::Device {
        device: "vision".into(),
        event: DeviceEvent::FaceErased { member: member.into(), receipt: None },
    };
    till.take(erased("m-1"));
    assert_eq!(commands(&till), [&erase("m-9")]);
    till.take(erased("m-9"));
    assert_eq!(till.store.facts().faces.erased_to, 7);
    till.take(Input::Hq(dataset(2)));
    assert!(commands(&till).is_empty());
}

#[test]
fn b01_b09_staff_enrol_the_member_of_the_code_with_a_whole_consent_only() {
    let mut till = open(rgb());
    let enrol = |age, guardian: Option<&str>| StaffRequest::EnrolFace {
        text_version: "face-enrol-1".into(),
        text_sha256: "0f".repeat(32),
        age,
        guardian: guardian.map(String::from),
        until_utc_ms: None,
    };
    let adult = || enrol(Age::FourteenOrOver, None);
    assert_eq!(till.staff(1, adult()), Err(Refused::Face(FaceRefused::CodeNeeded)));
    till.take(scan(1, MEMBER));
    assert_eq!(till.staff(1, enrol(Age::UnderFourteen, None)), Err(Refused::Face(FaceRefused::NoConsent)));
    let no_hash = StaffRequest::EnrolFace {
        text_version: "x".into(),
        text_sha256: String::new(),
        age: Age::FourteenOrOver,
        guardian: None,
        until_utc_ms: None,
    };
    assert_eq!(till.staff(1, no_hash), Err(Refused::Face(FaceRefused::NoConsent)));
    assert!(commands(&till).is_empty(), "no camera without consent");
    till.staff(1, enrol(Age::UnderFourteen, Some("F-17"))).unwrap();
    let attempt = Attempt(till.store.facts().attempts);
    till.take(Input::Device {
        device: "vision".into(),
        event: DeviceEvent::Face { attempt, event: FaceEvent::EnrolRefused },
    });
    till.staff(1, adult()).unwrap();
    let [FaceCommand::Enrol { attempt, member, consent, .. }] = commands(&till)[..] else { panic!("no enrolment") };
    assert_eq!((member.0.as_str(), consent.fault()), ("m-1", None));
    let event = FaceEvent::Enrolled { frames: 3 };
    let attempt = *attempt;
    till.take(Input::Device { device: "vision".into(), event: DeviceEvent::Face { attempt, event } });
    assert!(till.said(|event| matches!(event, Event::Member(MemberEvent::FaceEnrolled { frames: 3, .. }))));
    assert!(till.lane(1).notice.is_some_and(|notice| notice.good));
}

#[test]
fn b16_b17_a_recognised_face_is_no_payment_and_a_camera_of_colours_wants_the_pin() {
    let mut till = shown(rgb());
    let view = till.lane(1);
    let confirming = view.confirming.unwrap();
    assert_eq!((confirming.masked.as_str(), confirming.amount, confirming.factor), ("王**", Money(350), Factor::Pin));
    assert_eq!(confirm(&mut till, None), Err(Refused::Face(FaceRefused::PinNeeded)));
    for no_pin in ["", "12", "12345a", "123456789", " 123456"] {
        assert_eq!(confirm(&mut till, Some(no_pin)), Err(Refused::Face(FaceRefused::PinNeeded)), "{no_pin:?}");
    }
    let (attempt, amount) = (confirming.attempt, Money(350));
    let pin = || Some(Private("135790".to_owned()));
    for (attempt, amount, refused) in [
        (Attempt(attempt.0 + 1), amount, Refused::NothingHere),
        (attempt, Money(349), Refused::Face(FaceRefused::AmountChanged)),
    ] {
        let forged = PageRequest::ConfirmFacePay { attempt, amount, pin: pin() };
        assert_eq!(till.press(1, forged), Err(refused));
        assert_eq!(
            till.press(2, PageRequest::ConfirmFacePay { attempt, amount, pin: pin() }),
            Err(Refused::NothingToPay)
        );
    }
    // Recognised to be greeted is not recognised to pay.
    let mut greeted = open(rgb());
    greeted.take(scan(1, COLA));
    greeted.press(1, recognise()).unwrap();
    matched(&mut greeted, "m-1");
    let attempt = Attempt(greeted.store.facts().attempts);
    assert_eq!(
        greeted.press(1, PageRequest::ConfirmFacePay { attempt, amount, pin: pin() }),
        Err(Refused::NothingHere)
    );
    let depth = shown(rules(Camera::Depth, 350, None));
    assert_eq!(depth.lane(1).confirming.unwrap().factor, Factor::Tap);
    let phone = shown(rules(Camera::Rgb, 0, Some(349)));
    assert_eq!(phone.lane(1).confirming.unwrap().factor, Factor::Phone);
}

#[test]
fn b21_name_and_amount_are_shown_then_paid_once_then_written_on_the_receipt() {
    let mut till = shown(rgb());
    assert!(till.said(|event| matches!(event, Event::Member(MemberEvent::FacePayAsked { amount: Money(350), .. }))));
    confirm(&mut till, Some("135790")).unwrap();
    let (confirmed, started) = (
        till.last
            .events
            .iter()
            .position(|record| matches!(record.event, Event::Member(MemberEvent::FacePayConfirmed { .. }))),
        till.last.events.iter().position(|record| matches!(record.event, Event::Tender(TenderEvent::Started { .. }))),
    );
    assert!(confirmed.is_some() && confirmed < started, "the second factor is a fact before the payment is");
    assert_eq!(charged(&till).map(|(_, amount, said)| (amount, said.factor())), Some((Money(350), Factor::Pin)));
    let written = serde_json::to_string(&till.journal).unwrap();
    assert!(!written.contains("135790"), "the PIN is in the journal");
    assert!(!format!("{:?}", till.last).contains("135790"), "the PIN prints");
    assert_eq!(confirm(&mut till, Some("135790")), Err(Refused::Paying), "once");
    till.press(1, PageRequest::CallHelp {}).unwrap();

    // Silence is asked about, never charged again.
    let mut silent = till.clone();
    silent.clock += 6_000;
    silent.take(Input::Tick);
    assert!(
        silent
            .last
            .effects
            .iter()
            .any(|effect| matches!(effect, Effect::Ask { what: Question::QueryWallet { .. }, .. }))
    );
    assert!(charged(&silent).is_none());

    let mut till = shown(rgb());
    confirm(&mut till, Some("135790")).unwrap();
    approve(&mut till);
    let sale = till.shelf.sales.last().unwrap().sale.clone();
    assert_eq!((sale.tenders[0].kind, sale.tenders[0].amount), (TenderKind::MemberWallet, Money(350)));
    let dispute = |reason: &str| StaffRequest::DisputeFacePay { reason: reason.into() };
    assert_eq!(till.staff(2, dispute("was not there")), Err(Refused::NoSuchSale));
    till.staff(2, StaffRequest::Return(ReturnRequest::Find { code: "1-000001".into() })).unwrap();
    assert!(till.lane(2).found.is_some_and(|found| found.face_paid));
    assert_eq!(till.staff(2, dispute(" ")), Err(Refused::NeedsReason));
    till.staff(2, dispute("was not there")).unwrap();
    assert!(till.said(|event| matches!(event, Event::Member(MemberEvent::FacePayDisputed { amount: Money(350), .. }))));
}

#[test]
fn p08_away_from_headquarters_no_face_pays() {
    let mut till = shown(rgb());
    till.take(Input::Hq(HqInput::Online(false)));
    assert_eq!(confirm(&mut till, Some("135790")), Err(Refused::HqOffline));
    assert!(charged(&till).is_none());
    assert_eq!(till.press(1, pay_by_face()), Err(Refused::HqOffline));
    assert!(!till.lane(1).face_pay);
}

#[test]
fn money_goes_back_to_the_members_wallet_through_headquarters() {
    let mut till = shown(rules(Camera::Rgb, 0, None));
    confirm(&mut till, Some("135790")).unwrap();
    let tender = charged(&till).unwrap().0.clone();
    answer(&mut till, tender.clone(), WalletOutcome::Approved { amount: Money(300), reference: "W".into() });
    assert_eq!(till.lane(1).due, Money(50), "a wallet with too little in it");
    till.staff_as(Role::Supervisor, 1, StaffRequest::VoidTransaction { reason: "changed mind".into() }).unwrap();
    let back = till.last.effects.iter().any(|effect| {
        matches!(effect, Effect::Ask { what: Question::RefundWallet { of, amount: Money(300), .. }, .. } if *of == tender)
    });
    assert!(back, "{:?}", till.last.effects);
}

#[test]
fn b19_strangers_at_one_lane_wait_and_then_the_camera_is_shut_until_staff_opens_it() {
    let mut till = open(rgb());
    till.take(scan(1, COLA));
    // The clock of these tests stands still, so nobody has waited.
    for _ in 0..10 {
        till.press(1, recognise()).unwrap();
        let attempt = till.store.facts().attempts;
        outcome(&mut till, attempt, FaceOutcome::NoMatch);
    }
    assert_eq!(till.press(1, recognise()), Err(Refused::Face(FaceRefused::Delayed)));
    assert_eq!(till.press(2, recognise()), Ok(()), "the other lane goes on");
    let attempt = till.store.facts().attempts;
    outcome(&mut till, attempt, FaceOutcome::NoFace);
    assert!(!till.store.facts().faces.lanes.contains_key(&checkout::words::LaneId(2)), "nobody looked: no failure");
    assert_eq!(till.staff(1, StaffRequest::ReopenFace {}), Err(Refused::RoleTooLow));
    till.staff_as(Role::Supervisor, 1, StaffRequest::ReopenFace {}).unwrap();
    till.press(1, recognise()).unwrap();
    matched(&mut till, "m-1");
    assert!(till.store.facts().faces.lanes.is_empty());
}

#[test]
fn b19_failures_count_against_the_one_member_somebody_claims_to_be() {
    let mut till = open(rgb());
    till.shelf.tails =
        vec![("4321".into(), "m-1".into()), ("1111".into(), "m-1".into()), ("1111".into(), "m-2".into())];
    let with = |tail: &str| PageRequest::Recognise { consent: "c".into(), tail: Some(Private(tail.into())) };
    for bad in ["", "12", "abcd", "9999"] {
        assert_eq!(till.press(1, with(bad)), Err(Refused::Face(FaceRefused::Tail)), "{bad:?}");
    }
    for lane in [1, 2, 1, 2, 1, 2, 1, 2, 1, 2] {
        till.press(lane, with("4321")).unwrap();
        let attempt = till.store.facts().attempts;
        outcome(&mut till, attempt, FaceOutcome::NotLive);
    }
    assert_eq!(till.press(1, with("4321")), Err(Refused::Face(FaceRefused::Delayed)), "ten at two lanes, five each");
    till.press(1, with("1111")).unwrap();
    let [FaceCommand::Recognise { among: Some(among), .. }] = commands(&till)[..] else { panic!("not narrowed") };
    assert_eq!(among.len(), 2);
    let written = serde_json::to_string(&till.journal).unwrap();
    assert!(!written.contains("4321") && !written.contains("1111"), "a telephone number's digits are in the journal");
}

#[test]
fn b19_the_hundredth_failure_and_not_the_one_before_shuts_the_camera_of_the_lane_and_of_the_member_claimed() {
    let mut till = open(rgb());
    till.shelf.tails = vec![("4321".into(), "m-1".into())];
    let long_ago = Utc(1_790_000_000_000 - 3_600_000);
    for attempt in (1..=99).map(Attempt) {
        let (outcome, claimed) = (FaceEnd::NotLive, Some("m-1".into()));
        let event = Event::Member(MemberEvent::FaceEnded { attempt, outcome, claimed });
        till.journal.push(Record { utc: long_ago, lane: Some(LaneId(1)), event });
    }
    let restarted = |till: &Till| {
        let mut again = till.clone();
        again.store = checkout::Store::new(rgb());
        again.journal.iter().for_each(|record| again.store.apply(record));
        again.take(Input::Boot { version: "test".into(), nonce: 9 });
        again.take(Input::Port { device: "vision".into(), status: PortStatus::Up });
        again
    };
    let claiming = || PageRequest::Recognise { consent: "c".into(), tail: Some(Private("4321".into())) };
    let fail = |till: &mut Till| {
        let attempt = till.store.facts().attempts;
        outcome(till, attempt, FaceOutcome::NoMatch);
    };
    let mut till = restarted(&till);
    till.press(1, claiming()).expect("ninety-nine and an hour's wait leave a way");
    fail(&mut till);
    let mut till = restarted(&till);
    assert_eq!(till.press(1, recognise()), Err(Refused::Face(FaceRefused::Off)), "for ever, over a start");
    assert_eq!(till.press(2, claiming()), Err(Refused::Face(FaceRefused::Off)), "nor elsewhere as that member");
    till.press(2, recognise()).expect("the other lane goes on");
    till.staff_as(Role::Supervisor, 1, StaffRequest::ReopenFace {}).unwrap();
    till.press(1, recognise()).expect("a supervisor opened it again");
}

#[test]
fn b12_a_gallery_too_large_to_search_whole_asks_for_digits() {
    let mut till = open(rgb());
    till.shelf.tails = vec![("4321".into(), "m-1".into())];
    till.take(Input::Device { device: "vision".into(), event: DeviceEvent::Gallery { members: 5_000, whole: false } });
    assert!(till.lane(1).face_narrow);
    assert_eq!(till.press(1, recognise()), Err(Refused::Face(FaceRefused::Tail)));
    let tail = Some(Private("4321".into()));
    till.press(1, PageRequest::Recognise { consent: "c".into(), tail }).unwrap();
}

/// What can happen at a lane, one thing at a time.
const ACTIONS: usize = 24;

fn act(till: &mut Till, action: usize) {
    let attempt = till.store.facts().attempts;
    let vision = |status| Input::Port { device: "vision".into(), status };
    let points = |amount| PageRequest::Pay { method: Method::Points, amount };
    let tender = till.lane(1).tender.and_then(|tender| tender.tender).unwrap_or_default();
    match action {
        0 => drop(till.press(1, recognise())),
        1 => drop(till.press(1, pay_by_face())),
        2 => matched(till, "m-1"),
        3 => matched(till, "m-2"),
        4 => outcome(till, attempt.saturating_sub(1), FaceOutcome::Match { member: "m-1".into(), score_milli: 999 }),
        5 => outcome(till, attempt, FaceOutcome::NoMatch),
        6 => drop(confirm(till, None)),
        7 => drop(confirm(till, Some("135790"))),
        8 => drop(confirm(till, Some("1"))),
        9 => drop(till.press(
            1,
            PageRequest::ConfirmFacePay {
                attempt: Attempt(attempt.saturating_sub(1)),
                amount: Money(350),
                pin: Some(Private("135790".into())),
            },
        )),
        10 => drop(till.take(scan(1, MEMBER))),
        11 => drop(till.take(scan(1, OTHER))),
        12 => drop(till.press(1, points(None))),
        13 => drop(till.press(1, points(Some(Money(10))))),
        14 => drop(till.take(scan(1, COLA))),
        15 => drop(till.press(1, PageRequest::CancelPayment {})),
        16 => drop(till.press(1, PageRequest::RemoveMember {})),
        17 => drop(till.take(Input::Hq(HqInput::Online(false)))),
        18 => drop(till.take(Input::Hq(HqInput::Online(true)))),
        19 => {
            till.clock += 61_000;
            till.take(Input::Tick);
        }
        20 => drop(till.take(vision(PortStatus::Down { reason: "killed".into() }))),
        21 => drop(till.take(vision(PortStatus::Up))),
        22 => answer(till, tender, WalletOutcome::Declined { reason: "no".into() }),
        _ => answer(till, tender, WalletOutcome::Approved { amount: Money(10), reference: "r".into() }),
    }
}

/// What of a lane can matter to what comes next.
fn state(view: &LaneView, till: &Till) -> String {
    let member = till.store.facts().lanes.values().next().and_then(|lane| lane.open.as_ref()?.member.clone());
    let tender = view.tender.as_ref().map(|tender| tender.kind);
    let confirming = view.confirming.as_ref().map(|shown| shown.factor);
    let face = view.face.as_ref().map(|face| face.outcome);
    let vision = view.devices.iter().any(|device| device.kind == "vision" && device.up);
    let paid: Vec<TenderKind> = view.tenders.iter().map(|paid| paid.kind).take(2).collect();
    let online = till.store.view(&till.shelf).online;
    // What the camera is open for stands on no page.
    let pays = format!("{:?}", till.store).contains("wish: Pay");
    format!(
        "{member:?} {tender:?} {confirming:?} {face:?} {pays} {vision} {online} {paid:?} {:?} {}",
        view.phase,
        view.lines.len().min(2)
    )
}

/// Whatever `action` did: a wallet is charged by the factor the shop wants and by nothing else, points by a code.
fn judge(before: &Till, after: &Till, action: usize, path: &[usize]) {
    let shown = before.lane(1).confirming;
    if let Some((_, amount, said)) = charged(after) {
        let shown = shown.unwrap_or_else(|| panic!("charged without name and amount on the screen: {path:?}"));
        assert_eq!(amount, shown.amount, "{path:?}");
        assert_eq!(said.factor(), shown.factor, "{path:?}");
        let pressed = match shown.factor {
            Factor::Pin => action == 7,
            Factor::Tap | Factor::Phone => [6, 7, 8].contains(&action),
        };
        assert!(pressed, "no second factor: {path:?}");
        let confirmed = |event: &Event| matches!(event, Event::Member(MemberEvent::FacePayConfirmed { .. }));
        assert!(after.said(confirmed), "the factor is no fact: {path:?}");
        let seen = before.journal.iter().rev().find_map(|record| {
            let Event::Member(MemberEvent::FacePayAsked { attempt, .. }) = &record.event else { return None };
            Some(*attempt)
        });
        assert_eq!(seen, Some(shown.attempt), "{path:?}");
    } else {
        let wallet =
            |event: &Event| matches!(event, Event::Tender(TenderEvent::Started { kind: TenderKind::MemberWallet, .. }));
        assert!(!after.said(wallet), "a payment nobody is asked about: {path:?}");
    }
    let burnt = |event: &Event| matches!(event, Event::Tender(TenderEvent::Approved { points, .. }) if *points > 0);
    if after.said(burnt) {
        let lane = before.store.facts().lanes.values().next().and_then(|lane| lane.open.as_ref()).unwrap();
        let by = lane.member.as_ref().map(|member| member.by);
        assert_eq!(by, Some(IdentifiedBy::Code), "points burnt by a face: {path:?}");
        assert!([12, 13].contains(&action), "points burnt by nobody's press: {path:?}");
    }
}

#[test]
fn b15_no_path_from_a_face_reaches_a_charge_or_a_burnt_point_without_a_second_factor() {
    for config in [rgb(), rules(Camera::Depth, 100_000, None), rules(Camera::Rgb, 0, Some(0))] {
        let mut start = open(config);
        start.take(scan(1, COLA));
        let mut seen = BTreeSet::from([state(&start.lane(1), &start)]);
        let mut waiting = VecDeque::from([(start, Vec::new())]);
        let (mut steps, mut charges) = (0, 0);
        while let Some((before, path)) = waiting.pop_front() {
            for action in 0..ACTIONS {
                let mut after = before.clone();
                act(&mut after, action);
                steps += 1;
                let mut path: Vec<usize> = path.clone();
                path.push(action);
                charges += usize::from(charged(&after).is_some());
                judge(&before, &after, action, &path);
                if seen.insert(state(&after.lane(1), &after)) {
                    waiting.push_back((after, path));
                }
            }
        }
        eprintln!("{} states, {steps} steps, {charges} of them charged", seen.len());
        assert!(seen.len() > 100 && charges > 10, "{} states, {charges} charges: not much was tried", seen.len());
    }
}
