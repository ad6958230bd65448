//! Money back, services and serial frames of card terminals.

use crate::table::{Table, approved, driver, tender};
use checkout::device::{CardOutcome, DeviceCommand, LastPayment, TerminalCommand, TerminalEvent, TerminalService};
use checkout::words::{Money, Mono, Utc};
use drivers::{In, Out, zvt};
use serde_json::{Value, json};

fn printed(table: &Table) -> Vec<String> {
    let lines = table
        .events
        .iter()
        .filter_map(|event| if let TerminalEvent::Printed { lines, .. } = event { Some(lines.clone()) } else { None });
    lines.flatten().collect()
}

#[test]
fn what_the_terminal_prints_after_its_answer_is_told_before_the_end() {
    for spec in [&zvt::SPEC, &zvt::SERIAL] {
        for prints in ["lines", "block"] {
            let mut table = Table::of(spec, &json!({"prints": prints}));
            table.authorise(1250);
            table.run(10_000);
            assert_eq!(printed(&table), ["** KUNDENBELEG **", "BEZAHLT", "DANKE FÜR IHREN EINKAUF"], "{prints}");
            assert_eq!(table.events.last(), Some(&TerminalEvent::Finished { tender: tender() }), "{prints}");
        }
    }
}

#[test]
fn money_goes_back_when_the_answer_is_acknowledged() {
    for spec in [&zvt::SPEC, &zvt::SERIAL] {
        let mut table = Table::of(spec, &Value::Null);
        table.authorise(1250);
        table.run(10_000);
        let of = Box::new(approved(table.outcome()).clone());
        table.events.clear();
        table.tell(TerminalCommand::Reverse { tender: tender(), of: of.clone(), at: Utc(0) });
        table.run(10_000);
        assert_eq!(approved(table.outcome()).amount, Money(1250));
        assert!(table.ended());
        assert_eq!(table.charges(), [(1250, "reversed".into())]);
        table.events.clear();
        table.tell(TerminalCommand::Reverse { tender: tender(), of, at: Utc(0) });
        table.run(10_000);
        assert_eq!(table.outcome(), Some(&CardOutcome::Declined { code: 0xB5 }));
        table.events.clear();
        table.tell(TerminalCommand::Refund { tender: tender(), amount: Money(700), at: Utc(0) });
        table.run(10_000);
        assert_eq!(approved(table.outcome()).amount, Money(700));
        assert_eq!(table.sim.state()["refunds"], json!([700]));
        table.events.clear();
        table.acknowledge = false;
        table.tell(TerminalCommand::Refund { tender: tender(), amount: Money(800), at: Utc(0) });
        table.run(60_000);
        assert_eq!(table.sim.state()["refunds"], json!([700]), "unacknowledged, it is not given back");
    }
}

#[test]
fn a_terminal_does_its_own_services() {
    for spec in [&zvt::SPEC, &zvt::SERIAL] {
        let mut table = Table::of(spec, &json!({"prints": "block"}));
        table.authorise(1250);
        table.run(10_000);
        for (service, lines) in [
            (TerminalService::Status, 0),
            (TerminalService::Diagnosis, 0),
            (TerminalService::EndOfDay, 1),
            (TerminalService::Reprint, 3),
            (TerminalService::LogOff, 0),
        ] {
            table.events.clear();
            table.tell(TerminalCommand::Service { tender: tender(), service });
            table.run(20_000);
            let last = TerminalEvent::Serviced { tender: tender(), service, code: 0 };
            assert_eq!(table.events.last(), Some(&last), "{service:?} {:?}", table.failed);
            assert_eq!(printed(&table).len(), lines, "{service:?}");
            let sum = TerminalEvent::Totals { tender: tender(), total: Money(1250), count: None };
            assert_eq!(table.events.contains(&sum), service == TerminalService::EndOfDay, "{service:?}");
        }
        assert_eq!(table.sim.state()["settled"], 1);
    }
}

#[test]
fn wherever_a_serial_line_dies_captured_money_is_known_and_only_captured_money() {
    let mut fates = [0, 0];
    for cut in (0..900).step_by(3) {
        let mut table = Table::of(&zvt::SERIAL, &Value::Null);
        table.bytes_left = cut;
        table.authorise(1250);
        table.run(300_000);
        table.hang_up();
        let captured = table.charges() == [(1250, "captured".into())];
        fates[usize::from(captured)] += 1;
        assert!(captured || !table.ended(), "cut at {cut}");
        table.bytes_left = usize::MAX;
        table.driver = driver(&zvt::SERIAL);
        assert_eq!(matches!(table.ask(), Some(LastPayment::Approved(_))), captured, "cut at {cut}");
    }
    assert!(fates.iter().all(|count| *count > 10), "{fates:?}");
}

#[test]
fn serial_frames_are_answered_repeated_and_given_up() {
    let build = || driver(&zvt::SERIAL);
    let mut driver = build();
    let mut out = Out::default();
    driver.handle(Mono(0), In::Opened, &mut out);
    let authorise = TerminalCommand::Authorise { tender: tender(), amount: Money(100), at: Utc(0) };
    driver.handle(Mono(0), In::Command(&DeviceCommand::Terminal(authorise)), &mut out);
    let registration = core::mem::take(&mut out.bytes);
    assert!(registration.starts_with(&[0x10, 0x02, 0x06, 0x00]));
    driver.handle(Mono(10), In::Bytes(&[0x15]), &mut out);
    assert_eq!(core::mem::take(&mut out.bytes), registration, "asked for again");
    driver.handle(Mono(5_010), In::Timeout, &mut out);
    assert_eq!(core::mem::take(&mut out.bytes), registration, "unanswered");
    driver.handle(Mono(5_020), In::Bytes(&[0x06]), &mut out);
    let accepted = zvt::serial::wrap(&[0x80, 0x00, 0x00]);
    let mut damaged = accepted.clone();
    damaged[3] ^= 1;
    driver.handle(Mono(5_030), In::Bytes(&damaged), &mut out);
    assert_eq!(core::mem::take(&mut out.bytes), [0x15]);
    driver.handle(Mono(5_040), In::Bytes(&accepted[..4]), &mut out);
    driver.handle(Mono(5_300), In::Timeout, &mut out);
    assert_eq!(core::mem::take(&mut out.bytes), [0x15], "half a frame is asked for again");
    driver.handle(Mono(5_310), In::Bytes(&accepted), &mut out);
    assert_eq!(core::mem::take(&mut out.bytes), [0x06]);
    driver.handle(Mono(5_320), In::Bytes(&accepted), &mut out);
    assert_eq!(core::mem::take(&mut out.bytes), [0x06], "a repetition is acknowledged and does nothing");
    let mut driver = build();
    driver.handle(
        Mono(0),
        In::Command(&DeviceCommand::Terminal(TerminalCommand::Query { tender: tender() })),
        &mut out,
    );
    let mut repeats = 0;
    for at in 1..10 {
        out = Out::default();
        driver.handle(Mono(at * 5_000), In::Timeout, &mut out);
        repeats += usize::from(!out.bytes.is_empty());
        if out.failed.is_some() {
            break;
        }
    }
    assert_eq!((repeats, out.failed.is_some()), (2, true));
}
