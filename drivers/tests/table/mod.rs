//! A till and a card terminal at one table.

use crate::vectors;
use checkout::device::{
    CardOutcome, CardSlip, DeviceCommand, DeviceEvent, LastPayment, TerminalCommand, TerminalEvent,
};
use checkout::words::{Money, Mono, TenderId, Utc};
use drivers::sim::{SIMS, Sim, SimIn};
use drivers::{Driver, In, Out, Spec};
use serde_json::Value;

/// A driver with the options of its example.
pub(crate) fn driver(spec: &Spec) -> Box<dyn Driver> {
    let example: toml::Table = toml::from_str(spec.example).expect("an example that parses");
    let options = serde_json::to_value(&example["options"]).expect("JSON");
    (spec.build)(&options).expect("options")
}

/// A till and a terminal, time between them, and nothing else.
pub(crate) struct Table {
    pub(crate) now: u64,
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) sim: Box<dyn Sim>,
    pub(crate) driver_wake: Option<Mono>,
    pub(crate) sim_wake: Option<Mono>,
    pub(crate) open: bool,
    pub(crate) events: Vec<TerminalEvent>,
    pub(crate) failed: Option<String>,
    pub(crate) acknowledge: bool,
    /// The line dies after so many bytes of either side.
    pub(crate) bytes_left: usize,
}

impl Table {
    /// The driver as in its example.
    pub(crate) fn of(spec: &Spec, sim_options: &Value) -> Self {
        let (_, build) = SIMS.iter().find(|(name, _)| *name == spec.name).expect("a stand-in");
        Self {
            now: 1000,
            driver: driver(spec),
            sim: build(sim_options).expect("options"),
            driver_wake: None,
            sim_wake: None,
            open: false,
            events: Vec::new(),
            failed: None,
            acknowledge: true,
            bytes_left: usize::MAX,
        }
    }

    pub(crate) fn control(&mut self, verb: Value) {
        let mut out = Out::default();
        self.sim.handle(Mono(self.now), SimIn::Control(&verb), &mut out);
        self.heed_sim(out);
    }

    pub(crate) fn tell(&mut self, command: TerminalCommand) {
        let command = DeviceCommand::Terminal(command);
        if !self.open && self.driver.needs_line(&command) {
            self.call();
        }
        let mut out = Out::default();
        self.driver.handle(Mono(self.now), In::Command(&command), &mut out);
        self.heed_driver(out);
    }

    fn call(&mut self) {
        self.open = true;
        self.sim.handle(Mono(self.now), SimIn::Connected, &mut Out::default());
        let mut out = Out::default();
        self.driver.handle(Mono(self.now), In::Opened, &mut out);
        self.heed_driver(out);
    }

    pub(crate) fn heed_driver(&mut self, out: Out) {
        self.driver_wake = out.wake_at.or(self.driver_wake);
        let mut reply = Out::default();
        let whole = out.bytes.len() <= self.bytes_left;
        let through = out.bytes.len().min(self.bytes_left);
        if through > 0 && self.open {
            self.bytes_left -= through;
            let bytes = SimIn::Bytes(&out.bytes[..through]);
            self.sim.handle(Mono(self.now), bytes, &mut reply);
        }
        let mut acknowledged = None;
        for event in out.events {
            if let DeviceEvent::Terminal(event) = event {
                if let TerminalEvent::Answered { tender, .. } = &event {
                    acknowledged = Some(tender.clone());
                }
                self.events.push(event);
            }
        }
        if out.failed.is_some() || !whole {
            self.failed = out.failed.or(self.failed.take());
            self.hang_up();
            return;
        }
        if out.close || out.reopen {
            self.hang_up();
            self.driver_wake = out.wake_at;
        }
        if out.reopen {
            self.call();
        }
        self.heed_sim(reply);
        if let Some(tender) = acknowledged.filter(|_| self.acknowledge) {
            self.tell(TerminalCommand::Acknowledge { tender });
        }
    }

    pub(crate) fn heed_sim(&mut self, out: Out) {
        self.sim_wake = out.wake_at.or(self.sim_wake);
        // A byte at a time: chunks mean nothing.
        for byte in &out.bytes {
            let mut reply = Out::default();
            if self.bytes_left == 0 {
                return self.hang_up();
            }
            self.bytes_left -= 1;
            self.driver.handle(Mono(self.now), In::Bytes(&[*byte]), &mut reply);
            self.heed_driver(reply);
            if !self.open {
                return;
            }
        }
        if out.close {
            self.hang_up();
        }
    }

    pub(crate) fn hang_up(&mut self) {
        self.driver_wake = None;
        if core::mem::take(&mut self.open) {
            self.sim.handle(Mono(self.now), SimIn::Disconnected, &mut Out::default());
        }
    }

    /// Lets time pass up to the last deadline within `ms`.
    pub(crate) fn run(&mut self, ms: u64) {
        let end = self.now + ms;
        loop {
            let next = [self.driver_wake, self.sim_wake].into_iter().flatten().min();
            let Some(at) = next.filter(|at| at.0 <= end) else {
                break;
            };
            self.now = self.now.max(at.0);
            if self.sim_wake == Some(at) {
                self.sim_wake = None;
                let mut out = Out::default();
                self.sim.handle(Mono(self.now), SimIn::Timeout, &mut out);
                self.heed_sim(out);
            } else {
                self.driver_wake = None;
                let mut out = Out::default();
                self.driver.handle(Mono(self.now), In::Timeout, &mut out);
                self.heed_driver(out);
            }
        }
        self.now = end;
    }

    pub(crate) fn authorise(&mut self, amount: i64) {
        let tender = tender();
        self.tell(TerminalCommand::Authorise { tender, amount: Money(amount), at: Utc(0) });
    }

    pub(crate) fn outcome(&self) -> Option<&CardOutcome> {
        self.events
            .iter()
            .find_map(|event| if let TerminalEvent::Answered { outcome, .. } = event { Some(outcome) } else { None })
    }

    pub(crate) fn ended(&self) -> bool {
        self.events.contains(&TerminalEvent::Finished { tender: tender() })
    }

    pub(crate) fn ask(&mut self) -> Option<LastPayment> {
        self.driver_wake = None;
        self.tell(TerminalCommand::Query { tender: tender() });
        self.run(10_000);
        self.events
            .iter()
            .rev()
            .find_map(|event| if let TerminalEvent::Last { last, .. } = event { Some(last.clone()) } else { None })
    }

    pub(crate) fn charges(&self) -> Vec<(i64, String)> {
        let state = self.sim.state();
        vectors::list(&state["charges"])
            .iter()
            .map(|c| {
                let state = c["state"].as_str().expect("text").to_owned();
                (c["amount"].as_i64().expect("number"), state)
            })
            .collect()
    }
}

pub(crate) fn tender() -> TenderId {
    "tender-1".into()
}

pub(crate) fn approved(outcome: Option<&CardOutcome>) -> &CardSlip {
    match outcome {
        Some(CardOutcome::Approved(slip)) => slip,
        Some(CardOutcome::Declined { .. }) | None => panic!("approved, not {outcome:?}"),
    }
}
