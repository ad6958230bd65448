//! What the floor's questions came to, by rule: for whoever has to see that they fall on nobody unfairly.
//! Counts only; no shopper, no staff.

use crate::basket::Transaction;
use crate::lane::LaneEvent;
use crate::rescan::RescanEvent;
use alloc::collections::BTreeMap;
use alloc::string::String;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FloorAudit {
    /// By kind of question, and by rule where it has one: `pieces:formula`.
    pub questions: BTreeMap<String, Outcomes>,
    /// By rescan rule; `base` is chance alone.
    pub rescans: BTreeMap<String, RescanOutcomes>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    pub raised: u64,
    pub approved: u64,
    pub refused: u64,
    /// The shopper put it right alone.
    pub withdrawn: u64,
}

/// A rule that looks often and finds little treats people unlike for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescanOutcomes {
    /// Baskets the rule spoke about.
    pub considered: u64,
    /// Of those, looked at.
    pub drawn: u64,
    /// Of those, all was scanned.
    pub clean: u64,
    /// Of those, something was not.
    pub missed: u64,
}

impl FloorAudit {
    /// `open`: the basket before the event is applied to it.
    pub(crate) fn apply(&mut self, event: &LaneEvent, open: Option<&Transaction>) {
        match event {
            LaneEvent::InterventionRaised { kind, .. } => bump(&mut self.question(&kind.audit_name()).raised),
            LaneEvent::InterventionAnswered { id, approved, .. } => {
                let Some(asked) = open.and_then(|open| open.asked(*id)) else { return };
                let outcomes = self.question(&asked.kind.audit_name());
                bump(if *approved { &mut outcomes.approved } else { &mut outcomes.refused });
            }
            LaneEvent::InterventionWithdrawn { id } => {
                let Some(asked) = open.and_then(|open| open.asked(*id)) else { return };
                bump(&mut self.question(&asked.kind.audit_name()).withdrawn);
            }
            LaneEvent::Rescan(RescanEvent::Decided(decided)) => {
                for why in &decided.why {
                    let outcomes = self.rescan(&why.rule);
                    bump(&mut outcomes.considered);
                    if decided.look {
                        bump(&mut outcomes.drawn);
                    }
                }
            }
            LaneEvent::Rescan(RescanEvent::Ended { why, missed, .. }) => {
                for rule in why {
                    let outcomes = self.rescan(rule);
                    bump(if *missed == 0 { &mut outcomes.clean } else { &mut outcomes.missed });
                }
            }
            LaneEvent::Rescan(RescanEvent::Looked { .. })
            | LaneEvent::AttendantCame { .. }
            | LaneEvent::CameraOpened
            | LaneEvent::Bag(_)
            | LaneEvent::HelpCalled
            | LaneEvent::HelpEnded { .. }
            | LaneEvent::ReceiptSent { .. }
            | LaneEvent::ReceiptPrinted { .. } => {}
        }
    }

    fn question(&mut self, name: &str) -> &mut Outcomes {
        self.questions.entry(name.into()).or_default()
    }

    fn rescan(&mut self, rule: &str) -> &mut RescanOutcomes {
        self.rescans.entry(rule.into()).or_default()
    }
}

impl crate::intervention::InterventionKind {
    fn audit_name(&self) -> String {
        match self {
            Self::Pieces { rule, .. } | Self::Amount { rule, .. } | Self::Hours { rule, .. } => {
                alloc::format!("{}:{rule}", self.code())
            }
            Self::Age { .. } | Self::Blocked { .. } | Self::Weight { .. } | Self::Rescan { .. } => self.code().into(),
        }
    }
}

fn bump(count: &mut u64) {
    *count = count.saturating_add(1);
}
