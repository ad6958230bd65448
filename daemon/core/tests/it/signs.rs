//! What the display and the light of a lane show, and when its scanners look.

use crate::common::{COLA, config, scan, shelf};
use checkout::device::{DeviceCommand, LaneLight, Shown, Trigger};
use checkout::page::{Method, PageRequest};
use checkout::store::PortStatus;
use checkout::words::{LaneId, Money, Mono, Now, RequestId, Utc};
use checkout::{Effect, Input, Step, Store};

fn signs(store: &mut Store, input: Input) -> Vec<DeviceCommand> {
    let mut step = Step::default();
    let now = Now { mono: Mono(10), utc: Utc(1_790_000_000_000), offset_min: 480 };
    store.step(now, input, &shelf(), &mut step);
    let command = |effect| match effect {
        Effect::Device { command, .. } => Some(command),
        Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
    };
    let wanted = |command: &DeviceCommand| {
        matches!(command, DeviceCommand::Show(_) | DeviceCommand::Light(_) | DeviceCommand::Trigger(_))
    };
    step.effects.into_iter().filter_map(command).filter(wanted).collect()
}

fn shown(commands: &[DeviceCommand]) -> Option<Shown> {
    commands.iter().find_map(|command| {
        let DeviceCommand::Show(show) = command else { return None };
        Some(show.what.clone())
    })
}

#[test]
fn a_lane_shows_its_line_its_total_and_what_is_due_and_each_once() {
    let mut store = Store::new(config());
    signs(&mut store, Input::Boot { version: "test".into(), nonce: 1 });
    let up = |device: &str| Input::Port { device: device.into(), status: PortStatus::Up };
    for device in ["scanner-1", "terminal-1"] {
        assert_eq!(signs(&mut store, up(device)), []);
    }
    assert_eq!(signs(&mut store, up("light-1")), [DeviceCommand::Light(LaneLight::Free)]);
    let first = signs(&mut store, up("display-1"));
    assert!(matches!(shown(&first), Some(Shown::Welcome { .. })), "{first:?}");
    assert_eq!(signs(&mut store, Input::Tick), []);
    let line = signs(&mut store, scan(1, COLA));
    let Some(Shown::Line { price, total, .. }) = shown(&line) else { panic!("{line:?}") };
    assert_eq!((price, total), (Money(350), Money(350)));
    assert!(line.contains(&DeviceCommand::Light(LaneLight::Busy)), "{line:?}");
    let pay = PageRequest::Pay { method: Method::Card, amount: None };
    let pay = signs(&mut store, Input::Page { lane: LaneId(1), request: RequestId(1), what: pay });
    assert_eq!(shown(&pay), Some(Shown::Due { due: Money(350) }));
    assert!(pay.contains(&DeviceCommand::Trigger(Trigger::Off)), "{pay:?}");
    let help = Input::Page { lane: LaneId(1), request: RequestId(2), what: PageRequest::CallHelp {} };
    assert_eq!(signs(&mut store, help), [DeviceCommand::Light(LaneLight::Attention)]);
    signs(&mut store, Input::Port { device: "display-1".into(), status: PortStatus::Down { reason: "cut".into() } });
    assert!(shown(&signs(&mut store, up("display-1"))).is_some(), "a display that comes back is blank");
}
