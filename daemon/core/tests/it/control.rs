//! What headquarters has a box do: each command once, in time, in order, and never in the middle of a sale.

use crate::common::{COLA, Till, scan};
use checkout::control::{AHEAD_MS, Act, Command, ConfigState, ControlEvent, ControlInput, LIFE_MAX_MS, Reported, Verb};
use checkout::event::Event;
use checkout::page::StaffRequest;
use checkout::upkeep::BoxInput;
use checkout::words::Utc;
use checkout::{Effect, Input};

/// What every clock of the tests says.
const NOW: i64 = 1_790_000_000_000;

fn order(rev: u64, verb: Verb) -> ControlInput {
    let (issued, expires) = (Utc(NOW - 1000), Utc(NOW + 60_000));
    ControlInput::Command {
        rev,
        command: Command { id: format!("c-{rev}"), verb, issued, expires, approvals: vec![] },
        signatures: 2,
    }
}

fn changed(input: ControlInput, change: impl Fn(&mut Command, &mut usize)) -> ControlInput {
    let ControlInput::Command { rev, mut command, mut signatures } = input else { panic!("no command") };
    change(&mut command, &mut signatures);
    ControlInput::Command { rev, command, signatures }
}

/// The facts about commands that came of it.
fn told(till: &mut Till, input: ControlInput) -> Vec<ControlEvent> {
    till.take(Input::Control(input));
    events(till)
}

fn events(till: &Till) -> Vec<ControlEvent> {
    let of = |event: &Event| if let Event::Control(event) = event { Some(event.clone()) } else { None };
    till.last.events.iter().filter_map(|record| of(&record.event)).collect()
}

fn refused(events: &[ControlEvent]) -> &str {
    match events {
        [ControlEvent::CommandRefused { reason, .. }] => reason,
        other => panic!("{other:?}"),
    }
}

fn acts(till: &Till) -> Vec<Act> {
    let of = |effect: &Effect| if let Effect::Control(act) = effect { Some(act.clone()) } else { None };
    till.last.effects.iter().filter_map(of).collect()
}

#[test]
fn a_command_is_received_started_and_done_and_each_step_is_a_fact_before_it_is_carried_out() {
    let mut till = Till::open();
    let told_ = told(&mut till, order(7, Verb::VerifyJournal));
    assert!(matches!(
        told_[..],
        [ControlEvent::CommandReceived { rev: 7, .. }, ControlEvent::CommandStarted { rev: 7 }]
    ));
    assert_eq!(acts(&till), [Act::Do { rev: 7, verb: Verb::VerifyJournal }]);
    let done = ControlInput::Done { rev: 7, result: "12 rows".into() };
    assert_eq!(told(&mut till, done.clone()), [ControlEvent::CommandDone { rev: 7, result: "12 rows".into() }]);
    assert!(told(&mut till, done).is_empty(), "it ends once");
    let shown = told(&mut till, order(8, Verb::Identify));
    assert!(matches!(shown[2], ControlEvent::CommandDone { rev: 8, .. }) && acts(&till).is_empty(), "{shown:?}");
    for lane in [1, 2] {
        assert!(till.lane(lane).notice.unwrap().text.en.starts_with("This is box"));
    }
    assert_eq!(till.store.facts().control.ended, ["c-7", "c-8"]);
}

#[test]
fn replayed_reordered_stale_and_future_commands_and_those_one_operator_alone_asked_for_are_refused_and_told_once() {
    let mut till = Till::open();
    told(&mut till, order(5, Verb::Summary));
    assert_eq!(refused(&told(&mut till, order(5, Verb::Summary))), "it was taken before");
    assert!(told(&mut till, order(5, Verb::Summary)).is_empty(), "who repeats it a thousand times fills no disk");
    assert_eq!(refused(&told(&mut till, order(4, Verb::Summary))), "it is older than one that was taken");
    let again = changed(order(6, Verb::Summary), |command, _| command.id = "c-5".into());
    assert_eq!(refused(&told(&mut till, again)), "it was taken before");
    let ahead = changed(order(7, Verb::Summary), |command, _| command.issued = Utc(NOW + AHEAD_MS + 1));
    assert_eq!(refused(&told(&mut till, ahead)), "it is from the future");
    let long = changed(order(8, Verb::Summary), |command, _| command.expires = Utc(NOW + LIFE_MAX_MS));
    assert!(refused(&told(&mut till, long)).contains("seven days"));
    let alone = changed(order(9, Verb::Restart), |_, signatures| *signatures = 1);
    assert_eq!(refused(&told(&mut till, alone)), "two operators must have agreed to it");
    let late = changed(order(10, Verb::Summary), |command, _| command.expires = Utc(NOW));
    assert!(matches!(told(&mut till, late)[..], [ControlEvent::CommandExpired { rev: 10, .. }]));
    assert_eq!(refused(&told(&mut till, order(9, Verb::Summary))), "it is older than one that was taken");
    let forged = ControlInput::Forged { reason: "another's signature".into() };
    assert_eq!(told(&mut till, forged.clone()), [ControlEvent::Forged { reason: "another's signature".into() }]);
    assert!(told(&mut till, forged).is_empty());
    till.take(Input::Box(BoxInput::Clock { doubt: Some("1970".into()) }));
    assert!(refused(&told(&mut till, order(20, Verb::Summary))).contains("clock is in doubt"));
    assert!(till.store.facts().control.ended.is_empty() && till.store.facts().control.open.len() == 1);
}

#[test]
fn a_restart_waits_for_the_last_shopper_and_the_start_says_that_it_is_done() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    let waits = told(&mut till, order(1, Verb::Restart));
    assert!(matches!(waits[..], [ControlEvent::CommandReceived { .. }]) && acts(&till).is_empty(), "a basket is open");
    assert_eq!(till.store.deadline().map(|(_, why)| why), Some("a command that waits for an empty lane"));
    let due = till.lane(2).due;
    till.staff(2, StaffRequest::TakeCash { given: due, amount: None }).unwrap();
    assert_eq!(acts(&till), [Act::Do { rev: 1, verb: Verb::Restart }]);
    told(&mut till, order(2, Verb::BackupNow));
    till.take(Input::Boot { version: "test".into(), nonce: 2 });
    let said = events(&till);
    assert!(matches!(&said[0], ControlEvent::CommandDone { rev: 1, .. }), "{said:?}");
    assert!(
        matches!(&said[1], ControlEvent::CommandFailed { rev: 2, .. }),
        "what was under way is not repeated: {said:?}"
    );
    assert!(acts(&till).is_empty() && till.store.facts().control.open.is_empty());
}

#[test]
fn a_restart_for_which_no_lane_was_empty_in_time_expires() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    told(&mut till, order(1, Verb::ReloadConfig));
    let now = checkout::words::Now {
        mono: checkout::words::Mono(till.clock + 60_000),
        utc: Utc(NOW + 60_000),
        offset_min: 480,
    };
    till.last = checkout::Step::default();
    till.store.step(now, Input::Tick, &till.shelf, &mut till.last);
    assert!(matches!(events(&till)[..], [ControlEvent::CommandExpired { rev: 1, .. }]));
    assert!(till.lane(2).lines.len() == 1, "the shopper noticed nothing");
}

#[test]
fn a_configuration_that_was_taken_waits_for_an_empty_lane_and_every_word_about_it_is_a_fact_once() {
    let mut till = Till::open();
    till.take(scan(2, COLA));
    let say = |state, reason: Option<&str>| {
        ControlInput::Config(Reported { rev: 3, hash: "ab".into(), state, reason: reason.map(Into::into) })
    };
    assert_eq!(told(&mut till, say(ConfigState::Taken, None)).len(), 1);
    assert!(acts(&till).is_empty(), "nobody is interrupted");
    let due = till.lane(2).due;
    till.staff(2, StaffRequest::TakeCash { given: due, amount: None }).unwrap();
    assert_eq!(acts(&till), [Act::Restart]);
    till.take(scan(2, COLA));
    assert!(acts(&till).is_empty(), "once");
    assert_eq!(told(&mut till, say(ConfigState::Applied, None)).len(), 1);
    assert!(told(&mut till, say(ConfigState::Applied, None)).is_empty());
    assert_eq!(told(&mut till, say(ConfigState::Dropped, Some("it did not start"))).len(), 1);
    let config = till.store.facts().control.config.clone().unwrap();
    assert_eq!((config.rev, config.state), (3, ConfigState::Dropped));
}

#[test]
fn too_many_commands_at_once_are_refused_and_a_price_book_outside_the_bounds_is_told() {
    let mut till = Till::open();
    for rev in 1..=16 {
        assert_eq!(told(&mut till, order(rev, Verb::Summary)).len(), 2);
    }
    assert_eq!(refused(&told(&mut till, order(17, Verb::Summary))), "too many commands are under way");
    let outside = || ControlInput::Dataset {
        dataset: "catalogue".into(),
        version: 9,
        name: "pb-9".into(),
        reason: "2 goods would cost nothing".into(),
    };
    assert!(matches!(&told(&mut till, outside())[..], [ControlEvent::DatasetRefused { version: 9, .. }]));
    assert!(told(&mut till, outside()).is_empty());
}
