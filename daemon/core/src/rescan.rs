//! A basket is looked at again: by chance, and more often where rules say so. Why is recorded, also where nothing came of it.
//!
//! The core has no entropy and its journal must replay. So the draw is SplitMix64 over what the shopper cannot steer or see
//! ahead: the transaction's id, the moment of the last event and the store's perpetual total. Nobody at the lane can work it
//! out before paying; whoever audits the journal can draw it again.

use crate::basket::Transaction;
use crate::event::Event;
use crate::facts::Facts;
use crate::intervention::InterventionKind;
use crate::lane::LaneEvent;
use crate::page::Refused;
use crate::rules::{RescanRule, RescanWhen};
use crate::scan::ItemCode;
use crate::turn::Turn;
use crate::view::LaneKind;
use crate::words::{ItemKey, LaneId, MemberId, Money, Name, Role};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

const ALL_BP: u32 = 10_000;
/// Members whose looks are remembered; beyond, the one longest not looked at is forgotten.
const MEMBERS_MAX: usize = 5_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RescanEvent {
    Decided(RescanDecided),
    /// A piece looked at again; not `matched`: it was not scanned.
    Looked {
        key: ItemKey,
        matched: bool,
    },
    /// What the look came to; `why` names the rules that spoke for it.
    Ended {
        id: u64,
        matched: u32,
        missed: u32,
        why: Vec<String>,
    },
}

/// The draw for one basket, whatever came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescanDecided {
    pub chance_bp: u32,
    pub drawn_bp: u32,
    pub look: bool,
    /// What made up the chance.
    pub why: Vec<RescanWhy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RescanWhy {
    pub rule: String,
    pub name: Name,
    pub add_bp: u32,
}

/// What a look found so far; with the basket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescan {
    /// The draw has been made.
    pub decided: bool,
    pub why: Vec<String>,
    /// Goods looked at, and found in the basket.
    pub matched: BTreeMap<ItemKey, u32>,
    /// Goods looked at that were not scanned.
    pub missed: u32,
}

/// How looks ended before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookHistory {
    pub looks: u32,
    pub missed: u32,
    /// Number of the store's look that was this one's last.
    pub last: u64,
}

/// Looks of this store, by member and by lane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    pub count: u64,
    pub members: BTreeMap<MemberId, LookHistory>,
    pub lanes: BTreeMap<LaneId, LookHistory>,
}

impl Looks {
    pub(crate) fn ended(&mut self, lane: LaneId, member: Option<&MemberId>, missed: u32) {
        self.count = self.count.saturating_add(1);
        let count = self.count;
        let add = |history: &mut LookHistory| {
            history.looks = history.looks.saturating_add(1);
            history.missed = history.missed.saturating_add(u32::from(missed > 0));
            history.last = count;
        };
        add(self.lanes.entry(lane).or_default());
        if let Some(member) = member {
            add(self.members.entry(member.clone()).or_default());
            if self.members.len() > MEMBERS_MAX {
                let oldest = self.members.iter().min_by_key(|(_, history)| history.last).map(|(id, _)| id.clone());
                oldest.map(|id| self.members.remove(&id));
            }
        }
    }
}

impl Transaction {
    pub(crate) fn apply_rescan(&mut self, event: &RescanEvent) {
        match event {
            RescanEvent::Decided(decided) => {
                self.rescan.decided = true;
                self.rescan.why = decided.why.iter().map(|why| why.rule.clone()).collect();
            }
            RescanEvent::Looked { key, matched: true } => {
                let count = self.rescan.matched.entry(key.clone()).or_default();
                *count = count.saturating_add(1);
            }
            RescanEvent::Looked { matched: false, .. } => self.rescan.missed = self.rescan.missed.saturating_add(1),
            RescanEvent::Ended { .. } => {}
        }
    }

    /// The look staff is at, if there is one: its id and how many pieces it is about.
    pub(crate) fn looking(&self) -> Option<(u64, Option<u32>)> {
        self.waiting().find_map(|asked| match asked.kind {
            InterventionKind::Rescan { pieces, .. } => Some((asked.id, pieces)),
            InterventionKind::Age { .. }
            | InterventionKind::Pieces { .. }
            | InterventionKind::Amount { .. }
            | InterventionKind::Hours { .. }
            | InterventionKind::Blocked { .. }
            | InterventionKind::Weight { .. } => None,
        })
    }

    fn pieces_of(&self, key: &ItemKey) -> u32 {
        self.live_lines().filter(|line| line.key == *key).map(|line| line.quantity).fold(0, u32::saturating_add)
    }
}

fn speaks(rule: &RescanRule, open: &Transaction, facts: &Facts, lane: LaneId) -> bool {
    let member =
        open.member.as_ref().map(|member| facts.looks.members.get(&member.member).copied().unwrap_or_default());
    match rule.when {
        RescanWhen::Voided(n) => {
            open.lines.iter().filter(|line| line.voided).count() >= usize::try_from(n).unwrap_or(0)
        }
        RescanWhen::TotalOver(amount) => open.total() > amount,
        RescanWhen::PiecesOver(n) => open.pieces() > n,
        RescanWhen::WeightQuestion => {
            open.bag.has_skipped()
                || open.interventions.iter().any(|asked| matches!(asked.kind, InterventionKind::Weight { .. }))
        }
        RescanWhen::MemberMissed => member.is_some_and(|history| history.missed > 0),
        RescanWhen::MemberNew => member.is_some_and(|history| history.looks == 0),
        RescanWhen::LaneMissed(percent) => facts.looks.lanes.get(&lane).is_some_and(|history| {
            history.looks > 0 && history.missed.saturating_mul(100) >= percent.saturating_mul(history.looks)
        }),
    }
}

/// 0 to 9999.
fn draw(transaction: &str, latest: i64, total: Money) -> u32 {
    let seed = [latest.to_le_bytes(), total.0.to_le_bytes()];
    let bytes = transaction.bytes().chain(seed.into_iter().flatten());
    // FNV-1a, then one step of SplitMix64.
    let mixed =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let z = mixed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    u32::try_from((z ^ (z >> 31)) % u64::from(ALL_BP)).unwrap_or(0)
}

impl Turn<'_> {
    /// Before the first tender of a basket that a shopper scanned: the draw. `Err` while the look is not over.
    pub(crate) fn rescan_gate(&mut self, lane: LaneId) -> Result<(), Refused> {
        let rules = &self.config.floor.rescan;
        let self_scan = self.config.lane(lane).is_some_and(|lane| lane.kind != LaneKind::Staffed);
        let Some(open) = self.open(lane).filter(|open| !open.rescan.decided) else { return Ok(()) };
        if !self_scan || (rules.base_bp == 0 && rules.rules.is_empty()) {
            return Ok(());
        }
        let base = RescanWhy {
            rule: "base".into(),
            name: Name { zh: "随机".into(), en: "chance".into() },
            add_bp: rules.base_bp,
        };
        let spoken = rules.rules.iter().filter(|rule| speaks(rule, open, self.facts, lane));
        let spoken =
            spoken.map(|rule| RescanWhy { rule: rule.id.clone(), name: rule.name.clone(), add_bp: rule.add_bp });
        let why: Vec<RescanWhy> = [base].into_iter().filter(|why| why.add_bp > 0).chain(spoken).collect();
        let most = if rules.most_bp == 0 { ALL_BP } else { rules.most_bp.min(ALL_BP) };
        let chance_bp = why.iter().map(|why| why.add_bp).fold(0, u32::saturating_add).min(most);
        let drawn_bp = draw(&open.id.0, self.facts.latest.0, self.facts.perpetual_total);
        let look = drawn_bp < chance_bp;
        let all = rules.pieces == 0 || chance_bp >= rules.full_from_bp.max(1) || open.pieces() <= rules.pieces;
        let pieces = (!all).then_some(rules.pieces);
        let names = why.iter().map(|why| why.name.clone()).collect();
        self.record(
            Some(lane),
            Event::Lane(LaneEvent::Rescan(RescanEvent::Decided(RescanDecided { chance_bp, drawn_bp, look, why }))),
        );
        if !look {
            return Ok(());
        }
        self.raise(lane, InterventionKind::Rescan { pieces, why: names }, Role::Cashier);
        Err(Refused::Intervention)
    }

    /// While staff looks, a scan is a question: is this in the basket? `false`: nobody is looking.
    pub(crate) fn looks_at(&mut self, lane: LaneId, code: &ItemCode) -> bool {
        let attended = self.live.lane(lane).attending.is_some();
        let Some(open) = self.open(lane) else { return false };
        if open.looking().is_none() || !attended {
            return false;
        }
        let seen = open.rescan.matched.get(&code.key).copied().unwrap_or(0);
        let matched = seen < open.pieces_of(&code.key);
        self.record(Some(lane), Event::Lane(LaneEvent::Rescan(RescanEvent::Looked { key: code.key.clone(), matched })));
        self.beep(lane, if matched { crate::device::Beep::Good } else { crate::device::Beep::Bad });
        true
    }

    pub(crate) fn end_rescan(&mut self, lane: LaneId, id: u64) {
        let Some(open) = self.open(lane) else { return };
        let matched = open.rescan.matched.values().copied().fold(0, u32::saturating_add);
        let (missed, why) = (open.rescan.missed, open.rescan.why.clone());
        self.record(Some(lane), Event::Lane(LaneEvent::Rescan(RescanEvent::Ended { id, matched, missed, why })));
    }
}
