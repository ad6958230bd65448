//! What headquarters asks of a box besides selling: commands from a fixed list, and a configuration. Both come signed; here it is
//! decided which are carried out, and every step of one is a fact.

use crate::event::Event;
use crate::facts::Facts;
use crate::turn::{Effect, Turn};
use crate::words::{DeviceId, Mono, Utc};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// Operators who must agree where one is not enough.
pub const SIGNATURES: usize = 2;
/// No command is believed for longer than this.
pub const LIFE_MAX_MS: i64 = 7 * 24 * 3_600_000;
/// How far headquarters' clock may be ahead.
pub const AHEAD_MS: i64 = 5 * 60_000;
/// Commands under way at once.
const OPEN_MAX: usize = 16;
/// Ended commands whose ids are known.
const ENDED_MAX: usize = 32;
/// Refusals a start tells of; who sends more has been noticed.
const TOLD_MAX: usize = 64;
const TEXT_MAX: usize = 200;

/// An operator's word for one thing, signed with their own key; travels as a signed document with purpose `approval`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    pub operator: String,
    /// SHA-256 of what is agreed to, hexadecimal.
    pub subject: String,
}

/// HQ → box on `cmd`; travels as a signed document with purpose `cmd`, bound to the box, whose revision rises with each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Random.
    pub id: String,
    pub verb: Verb,
    pub issued: Utc,
    /// Not begun from here on.
    pub expires: Utc,
    /// [`Approval`]s, signed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<String>,
}

impl Command {
    /// What an approval of it is the SHA-256 of.
    #[must_use]
    pub fn preimage(&self, box_id: &str) -> String {
        let Self { id, verb, issued, expires, .. } = self;
        alloc::format!("aisle-cmd-1\n{box_id}\n{}\n{verb}\n{}\n{}\n", id.escape_default(), issued.0, expires.0)
    }
}

/// All a box can be told to do. There is no shell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// Every lane shows which box this is.
    Identify,
    /// Closes a device's line and opens it again.
    RestartDevice { device: DeviceId },
    /// Counts of what the log warned of, and how the box is.
    Summary,
    /// Copies the journal to the second medium.
    BackupNow,
    /// Checks every row of the journal.
    VerifyJournal,
    /// Reads the configuration again, if it is a good one, when no basket is open.
    ReloadConfig,
    /// Starts the daemon anew when no basket is open.
    Restart,
}

impl Verb {
    /// As people type it: `restart_device scanner-1`, `restart`.
    #[must_use]
    pub fn read(word: &str, about: Option<&str>) -> Option<Self> {
        Some(match (word, about) {
            ("identify", None) => Self::Identify,
            ("restart_device", Some(device)) => Self::RestartDevice { device: device.into() },
            ("summary", None) => Self::Summary,
            ("backup_now", None) => Self::BackupNow,
            ("verify_journal", None) => Self::VerifyJournal,
            ("reload_config", None) => Self::ReloadConfig,
            ("restart", None) => Self::Restart,
            _ => return None,
        })
    }

    /// It takes the shop's tills away for a moment: two operators must have agreed.
    #[must_use]
    pub const fn wants_two(&self) -> bool {
        matches!(self, Self::Restart)
    }

    /// Never in the middle of a sale.
    #[must_use]
    pub const fn waits_for_idle(&self) -> bool {
        matches!(self, Self::Restart | Self::ReloadConfig)
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Identify => f.write_str("identify"),
            Self::RestartDevice { device } => write!(f, "restart_device {}", device.0.escape_default()),
            Self::Summary => f.write_str("summary"),
            Self::BackupNow => f.write_str("backup_now"),
            Self::VerifyJournal => f.write_str("verify_journal"),
            Self::ReloadConfig => f.write_str("reload_config"),
            Self::Restart => f.write_str("restart"),
        }
    }
}

/// HQ → box on `desired`, retained; travels as a signed document with purpose `desired`, bound to the box.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// The whole document, TOML. Its tables take the place of those of the box's own file.
    pub config: String,
}

/// Box → HQ on `reported`, retained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reported {
    pub rev: u64,
    /// SHA-256 of the document, hexadecimal.
    pub hash: String,
    pub state: ConfigState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigState {
    /// It is good, and comes into force with the next start.
    #[default]
    Taken,
    /// The box started and sold with it.
    Applied,
    /// It is none, or not for this box; the one before stays.
    Refused,
    /// The box twice did not get going with it; the one before is in force again.
    Dropped,
}

/// What the daemon is to do about them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Carry a command out and say what came of it.
    Do { rev: u64, verb: Verb },
    /// Start anew: a configuration waits for it.
    Restart,
}

/// What the daemon says of commands and configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlInput {
    /// A command whose signature was checked, and how many operators' words for it were.
    Command {
        rev: u64,
        command: Command,
        signatures: usize,
    },
    /// Something on `cmd` or `desired` that headquarters did not sign, or not for this box.
    Forged {
        reason: String,
    },
    Done {
        rev: u64,
        result: String,
    },
    Failed {
        rev: u64,
        reason: String,
    },
    Config(Reported),
    /// A dataset that is outside the bounds, or cannot be read.
    Dataset {
        dataset: String,
        version: u64,
        name: String,
        reason: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ControlEvent {
    CommandReceived {
        rev: u64,
        id: String,
        verb: Verb,
        expires: Utc,
    },
    /// Nothing was done about it.
    CommandRefused {
        rev: u64,
        id: String,
        reason: String,
    },
    CommandStarted {
        rev: u64,
    },
    CommandDone {
        rev: u64,
        result: String,
    },
    CommandFailed {
        rev: u64,
        reason: String,
    },
    /// It was not begun in time.
    CommandExpired {
        rev: u64,
        id: String,
    },
    /// A message that headquarters did not sign for this box.
    Forged {
        reason: String,
    },
    Config(Reported),
    /// The last good version of the dataset stays in force.
    DatasetRefused {
        dataset: String,
        version: u64,
        name: String,
        reason: String,
    },
}

/// What the journal says of commands and configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlFacts {
    /// The newest command heard of.
    #[serde(default)]
    pub rev: u64,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub open: BTreeMap<u64, Open>,
    /// Ids of the last that have ended, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Reported>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    pub id: String,
    pub verb: Verb,
    pub expires: Utc,
    pub started: bool,
}

impl ControlFacts {
    pub(crate) fn apply(&mut self, event: &ControlEvent) {
        match event {
            ControlEvent::CommandReceived { rev, id, verb, expires } => {
                self.rev = self.rev.max(*rev);
                let open = Open { id: id.clone(), verb: verb.clone(), expires: *expires, started: false };
                self.open.insert(*rev, open);
            }
            ControlEvent::CommandStarted { rev } => {
                if let Some(open) = self.open.get_mut(rev) {
                    open.started = true;
                }
            }
            ControlEvent::CommandRefused { rev, id, .. } | ControlEvent::CommandExpired { rev, id } => {
                self.rev = self.rev.max(*rev);
                let open = self.open.get(rev).is_some_and(|open| open.id == *id);
                if open && matches!(event, ControlEvent::CommandExpired { .. }) {
                    self.end(*rev);
                }
            }
            ControlEvent::CommandDone { rev, .. } | ControlEvent::CommandFailed { rev, .. } => self.end(*rev),
            ControlEvent::Config(reported) => self.config = Some(reported.clone()),
            ControlEvent::Forged { .. } | ControlEvent::DatasetRefused { .. } => {}
        }
    }

    fn end(&mut self, rev: u64) {
        let Some(open) = self.open.remove(&rev) else { return };
        self.ended.push(open.id);
        if self.ended.len() > ENDED_MAX {
            self.ended.remove(0);
        }
    }

    fn knows(&self, id: &str) -> bool {
        self.ended.iter().any(|known| known == id) || self.open.values().any(|open| open.id == id)
    }
}

/// What of it does not survive a power cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct ControlLive {
    /// What was told of refusals since the start.
    told: BTreeSet<String>,
    /// When a command that waits is looked at again.
    pub(crate) due: Option<Mono>,
    /// A configuration waits for the next start.
    restart: bool,
}

impl Facts {
    /// Nobody is served: no lane has a basket.
    fn is_idle(&self) -> bool {
        self.lanes.values().all(|lane| lane.open.is_none())
    }
}

impl Turn<'_> {
    pub(crate) fn control(&mut self, input: ControlInput) {
        match input {
            ControlInput::Command { rev, command, signatures } => self.command(rev, command, signatures),
            ControlInput::Forged { reason } => {
                let reason = clip(&reason);
                if self.is_news(&reason) {
                    self.say(ControlEvent::Forged { reason });
                }
            }
            ControlInput::Done { rev, result } if self.runs(rev) => {
                self.say(ControlEvent::CommandDone { rev, result: clip(&result) });
            }
            ControlInput::Failed { rev, reason } if self.runs(rev) => {
                self.say(ControlEvent::CommandFailed { rev, reason: clip(&reason) });
            }
            ControlInput::Done { .. } | ControlInput::Failed { .. } => {}
            ControlInput::Config(reported) => self.config_said(reported),
            ControlInput::Dataset { dataset, version, name, reason } => {
                let reason = clip(&reason);
                if self.is_news(&alloc::format!("{dataset} {version}")) {
                    self.say(ControlEvent::DatasetRefused { dataset, version, name, reason });
                }
            }
        }
    }

    fn command(&mut self, rev: u64, command: Command, signatures: usize) {
        let id = clip(&command.id);
        let now = self.now.utc.0.max(self.facts.latest.0);
        let facts = &self.facts.control;
        let reason = if facts.knows(&id) {
            "it was taken before"
        } else if rev <= facts.rev {
            "it is older than one that was taken"
        } else if self.facts.upkeep.clock_doubt.is_some() {
            "the box's clock is in doubt: it cannot be told whether the command is still valid"
        } else if command.issued.0 > now.saturating_add(AHEAD_MS) {
            "it is from the future"
        } else if command.expires.0.saturating_sub(command.issued.0) > LIFE_MAX_MS {
            "it would be valid for more than seven days"
        } else if command.verb.wants_two() && signatures < SIGNATURES {
            "two operators must have agreed to it"
        } else if facts.open.len() >= OPEN_MAX {
            "too many commands are under way"
        } else if command.expires.0 <= now {
            return self.say(ControlEvent::CommandExpired { rev, id });
        } else {
            self.say(ControlEvent::CommandReceived { rev, id, verb: command.verb, expires: command.expires });
            return self.control_on();
        };
        if self.is_news(&alloc::format!("{rev} {id} {reason}")) {
            self.say(ControlEvent::CommandRefused { rev, id, reason: reason.into() });
        }
    }

    /// Begins what may begin; called after every turn.
    pub(crate) fn control_on(&mut self) {
        self.live.control.due = None;
        let idle = self.facts.is_idle();
        if idle && core::mem::take(&mut self.live.control.restart) {
            self.out.effects.push(Effect::Control(Act::Restart));
        }
        let waiting: Vec<(u64, Open)> =
            self.facts.control.open.iter().map(|(rev, open)| (*rev, open.clone())).collect();
        for (rev, open) in waiting.into_iter().filter(|(_, open)| !open.started) {
            let left = open.expires.0.saturating_sub(self.now.utc.0);
            if left <= 0 {
                self.say(ControlEvent::CommandExpired { rev, id: open.id });
            } else if open.verb.waits_for_idle() && !idle {
                let at = Mono(self.now.mono.0.saturating_add(left.unsigned_abs()));
                self.live.control.due = Some(self.live.control.due.map_or(at, |due| due.min(at)));
            } else {
                self.say(ControlEvent::CommandStarted { rev });
                self.begin_command(rev, open.verb);
            }
        }
    }

    fn begin_command(&mut self, rev: u64, verb: Verb) {
        if verb != Verb::Identify {
            return self.out.effects.push(Effect::Control(Act::Do { rev, verb }));
        }
        let id = self.config.box_id.clone();
        let (zh, en) = (alloc::format!("这台设备是 {id}"), alloc::format!("This is box {id}"));
        for lane in self.facts.lane_ids() {
            self.notice(lane, true, (&zh, &en));
        }
        self.say(ControlEvent::CommandDone { rev, result: String::new() });
    }

    /// What a start makes an end of: a command that was under way is not repeated.
    pub(crate) fn control_boot(&mut self) {
        let open: Vec<(u64, Open)> = self.facts.control.open.iter().map(|(rev, open)| (*rev, open.clone())).collect();
        for (rev, open) in open {
            if open.verb.waits_for_idle() {
                self.say(ControlEvent::CommandDone { rev, result: "started anew".into() });
            } else if open.started {
                self.say(ControlEvent::CommandFailed { rev, reason: "the box was started anew meanwhile".into() });
            }
        }
    }

    fn config_said(&mut self, reported: Reported) {
        let reported = Reported { reason: reported.reason.as_deref().map(clip), ..reported };
        if self.facts.control.config.as_ref() == Some(&reported) {
            return;
        }
        self.live.control.restart |= reported.state == ConfigState::Taken;
        // A document that is refused again and again is told once; the one in force stays what is reported besides.
        let told = reported.state != ConfigState::Refused
            || self.is_news(&alloc::format!("config {} {:?}", reported.rev, reported.reason));
        if told {
            self.say(ControlEvent::Config(reported));
        }
    }

    fn runs(&self, rev: u64) -> bool {
        self.facts.control.open.get(&rev).is_some_and(|open| open.started)
    }

    fn is_news(&mut self, what: &str) -> bool {
        let told = &mut self.live.control.told;
        told.len() < TOLD_MAX && told.insert(what.into())
    }

    fn say(&mut self, event: ControlEvent) {
        self.record(None, Event::Control(event));
    }
}

fn clip(text: &str) -> String {
    text.chars().take(TEXT_MAX).collect()
}
