//! What goes wrong between a device and the till: any stand-in follows a script of faults, answer by answer.

use crate::Out;
use crate::sim::{Sim, SimIn};
use checkout::words::Mono;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::VecDeque;

const STEPS_MAX: usize = 64;
/// What a hung or slow device would still have to say; more is lost, as in its own small memory.
const HELD_MAX: usize = 64 * 1024;
const UNPLUGGED_MS: u64 = 1_000;

/// `{"script": [{"answer": 2, "do": "drop"}]}`: what happens to the second answer from now.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Counted from 1, from the moment the script was given.
    answer: u64,
    #[serde(rename = "do")]
    fault: Fault,
    /// How long: of `hang`, `slow`, `unplug`.
    #[serde(default)]
    ms: Option<u64>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Fault {
    /// The answer is lost.
    Drop,
    /// It says and hears nothing for `ms`, or until the next script.
    Hang,
    /// Noise in place of the answer.
    Garbage,
    /// The answer comes `ms` later.
    Slow,
    /// The answer lacks its last byte.
    WrongLength,
    /// The line breaks and is away for `ms`.
    Unplug,
}

/// A stand-in with its faults.
pub(crate) struct Faulty {
    sim: Box<dyn Sim>,
    script: VecDeque<Step>,
    answers: u64,
    hung_until: Option<Mono>,
    held: Vec<(Mono, Vec<u8>)>,
    /// What the stand-in itself waits for.
    wake_at: Option<Mono>,
    faults: u64,
    /// Why the last script was not taken.
    wrong: Option<String>,
}

impl Faulty {
    pub(crate) fn new(sim: Box<dyn Sim>) -> Self {
        let (script, held) = (VecDeque::new(), Vec::new());
        Self { sim, script, answers: 0, hung_until: None, held, wake_at: None, faults: 0, wrong: None }
    }

    fn script(&mut self, steps: &Value) {
        let read = serde_json::from_value::<Vec<Step>>(steps.clone());
        self.wrong = read.as_ref().err().map(ToString::to_string);
        let steps = read.unwrap_or_default();
        self.script = steps.into_iter().take(STEPS_MAX).collect();
        self.answers = 0;
        self.hung_until = None;
    }

    fn hung(&mut self, now: Mono) -> bool {
        self.hung_until = self.hung_until.filter(|until| now < *until);
        self.hung_until.is_some()
    }

    /// An answer of the stand-in on its way to the till.
    fn answer(&mut self, now: Mono, bytes: Vec<u8>, out: &mut Out) {
        if bytes.is_empty() {
            return;
        }
        self.answers += 1;
        let due = self.script.iter().position(|step| step.answer == self.answers);
        let Some(step) = due.and_then(|at| self.script.remove(at)) else { return out.send(&bytes) };
        self.faults += 1;
        let later = |default| now.plus_ms(step.ms.unwrap_or(default));
        match step.fault {
            Fault::Drop => {}
            Fault::Hang => self.hung_until = Some(later(u64::MAX / 2)),
            Fault::Garbage => {
                // Bytes of the same length that no protocol takes for its own: every other bit the wrong way round.
                let noise: Vec<u8> = bytes.iter().map(|byte| byte ^ 0xAA).collect();
                out.send(&noise);
            }
            Fault::Slow if bytes.len() <= HELD_MAX => self.held.push((later(500), bytes)),
            Fault::Slow => {}
            Fault::WrongLength => out.send(bytes.split_last().map_or(&[], |(_, most)| most)),
            Fault::Unplug => out.unplug(step.ms.unwrap_or(UNPLUGGED_MS)),
        }
    }

    fn release(&mut self, now: Mono, out: &mut Out) {
        let mut waiting = Vec::new();
        for (due, bytes) in core::mem::take(&mut self.held) {
            if due <= now {
                out.send(&bytes);
            } else {
                waiting.push((due, bytes));
            }
        }
        self.held = waiting;
    }
}

impl Sim for Faulty {
    fn handle(&mut self, now: Mono, input: SimIn<'_>, out: &mut Out) {
        let mut inner = Out::default();
        match input {
            SimIn::Control(verb) if verb.get("script").is_some() => {
                self.script(verb.get("script").unwrap_or(&Value::Null));
            }
            SimIn::Control(verb) if verb.get("unplug").is_some() => {
                out.unplug(verb.get("unplug").and_then(Value::as_u64).unwrap_or(UNPLUGGED_MS));
            }
            SimIn::Bytes(_) if self.hung(now) => {}
            SimIn::Timeout => {
                self.release(now, out);
                if self.wake_at.is_some_and(|due| due <= now) {
                    self.wake_at = None;
                    self.sim.handle(now, SimIn::Timeout, &mut inner);
                }
            }
            SimIn::Disconnected => {
                self.held.clear();
                self.sim.handle(now, SimIn::Disconnected, &mut inner);
            }
            SimIn::Connected | SimIn::Bytes(_) | SimIn::Control(_) => self.sim.handle(now, input, &mut inner),
        }
        self.wake_at = inner.wake_at.or(self.wake_at);
        out.close |= inner.close;
        if !self.hung(now) {
            self.answer(now, inner.bytes, out);
        }
        if let Some(next) = self.held.iter().map(|(due, _)| *due).chain(self.wake_at).min() {
            out.wake_at(next);
        }
    }

    fn state(&self) -> Value {
        let mut state = self.sim.state();
        if let Some(fields) = state.as_object_mut() {
            fields.insert("faults".into(), json!(self.faults));
            if let Some(wrong) = &self.wrong {
                fields.insert("script".into(), json!(wrong));
            }
        }
        state
    }
}
