//! The scale under the bags: what went in must weigh what was scanned. What a piece weighs is learned from pieces that went in
//! alone, as plain sums, so that every expectation can be explained: so much, give or take so much, from so many pieces.

use crate::basket::Transaction;
use crate::device::{DeviceCommand, ScaleFault, Weight};
use crate::event::Event;
use crate::intervention::InterventionKind;
use crate::lane::LaneEvent;
use crate::line::{Line, spoken};
use crate::page::{Attendant, Refused};
use crate::rules::BaggingRules;
use crate::turn::{Effect, Turn};
use crate::words::{DeviceId, Grams, ItemKey, LaneId, LineNo, Money, Mono, Role, StaffId};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The scale is looked at this often while a basket is open.
pub const BAG_READ_MS: u64 = 700;
/// Goods whose weight is remembered; beyond, the one longest not seen is forgotten.
pub const WEIGHTS_MAX: usize = 10_000;
/// Pieces one weight is learned from; then old ones count half, so that a new recipe is learned too.
const SAMPLES_MAX: u32 = 64;

/// A bagging scale prices nothing.
const READ: DeviceCommand = DeviceCommand::ReadWeight { unit_price: Money::ZERO, tare: Grams(0) };

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BagEvent {
    /// Pieces of a line are in the bag; `learn`: one piece, alone, so that it teaches what it weighs.
    Filled {
        line: LineNo,
        key: ItemKey,
        pieces: u32,
        grams: u32,
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        learn: bool,
    },
    /// The shopper carries this line outside the bag.
    Skipped { line: LineNo },
    /// What lies on the scale besides goods.
    Base { base_g: i64 },
    /// No more questions of this scale to this shopper.
    Muted { staff: StaffId, reason: String },
}

/// What is in the bags of one basket; a fold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bag {
    /// Own bags, and what staff accepted.
    pub base_g: i64,
    pub lines: BTreeMap<LineNo, Bagged>,
    pub muted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bagged {
    pub pieces: u32,
    pub grams: u32,
    /// The shopper carries these outside the bag.
    pub skipped: bool,
}

/// Pieces of one item, one by one on the scale: count, sum and sum of squares, so mean and spread are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learned {
    pub samples: u32,
    pub sum_g: u64,
    pub squares: u64,
    /// Number of the store's sample that was this one's last.
    pub last: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weights {
    pub count: u64,
    pub items: BTreeMap<ItemKey, Learned>,
}

impl Weights {
    pub(crate) fn learn(&mut self, key: &ItemKey, grams: u32) {
        self.count = self.count.saturating_add(1);
        let item = self.items.entry(key.clone()).or_default();
        if item.samples >= SAMPLES_MAX {
            (item.samples, item.sum_g, item.squares) = (item.samples / 2, item.sum_g / 2, item.squares / 2);
        }
        let grams = u64::from(grams);
        item.samples = item.samples.saturating_add(1);
        item.sum_g = item.sum_g.saturating_add(grams);
        item.squares = item.squares.saturating_add(grams.saturating_mul(grams));
        item.last = self.count;
        if self.items.len() > WEIGHTS_MAX {
            let oldest = self.items.iter().min_by_key(|(_, item)| item.last).map(|(key, _)| key.clone());
            oldest.map(|key| self.items.remove(&key));
        }
    }
}

impl Learned {
    #[must_use]
    pub const fn mean_g(&self) -> u64 {
        if self.samples == 0 { 0 } else { self.sum_g / self.samples as u64 }
    }

    /// Grams squared.
    #[must_use]
    pub const fn variance(&self) -> u64 {
        if self.samples == 0 {
            return 0;
        }
        let n = self.samples as u64;
        let of_mean = self.sum_g.saturating_mul(self.sum_g) / n;
        self.squares.saturating_sub(of_mean) / n
    }
}

/// What the scale should show, and how that is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    /// In the bags for certain.
    pub(crate) settled_g: i64,
    pub(crate) expected_g: i64,
    pub(crate) tolerance_g: u32,
    pub(crate) samples: u32,
    /// Pieces scanned and not in the bag yet.
    pub(crate) pieces: u32,
    /// One of them has never been weighed by anybody.
    pub(crate) unknown: bool,
    /// The only line that is waited for.
    pub(crate) line: Option<LineNo>,
}

impl Expected {
    pub(crate) const fn fits(&self, measured_g: i64) -> bool {
        let tolerance = self.tolerance_g as i64;
        if self.unknown {
            measured_g > self.expected_g.saturating_add(tolerance)
        } else {
            measured_g.saturating_sub(self.expected_g).saturating_abs() <= tolerance
        }
    }
}

/// One piece: grams and variance, and from how many samples; `None`: nobody knows.
fn piece(line: &Line, weights: &Weights, rules: &BaggingRules) -> Option<(u64, u64, u32)> {
    if let Some(net_g) = line.weight_g {
        return Some((u64::from(net_g.saturating_add(line.tare_g)), 0, 0));
    }
    let learned = weights.items.get(&line.key);
    if let Some(learned) = learned.filter(|learned| learned.samples >= rules.learned_from.max(1)) {
        return Some((learned.mean_g(), learned.variance(), learned.samples));
    }
    let grams = line.piece_g.map(u64::from).or_else(|| learned.map(Learned::mean_g))?;
    // Three standard deviations are to be the share the rules allow.
    let sigma = grams.saturating_mul(u64::from(rules.unlearned_bp)) / 30_000;
    Some((grams, sigma.saturating_mul(sigma), learned.map_or(0, |learned| learned.samples)))
}

impl Bag {
    pub(crate) fn has_skipped(&self) -> bool {
        self.lines.values().any(|bagged| bagged.skipped)
    }
}

impl Transaction {
    pub(crate) fn bag_expected(&self, weights: &Weights, rules: &BaggingRules) -> Expected {
        let mut expected = Expected { settled_g: self.bag.base_g, ..Expected::default() };
        let (mut pending_g, mut variance, mut pending) = (0_u64, 0_u64, Vec::new());
        for line in self.live_lines().filter(|line| line.kind.is_goods()) {
            let bagged = self.bag.lines.get(&line.no).copied().unwrap_or_default();
            if bagged.skipped {
                continue;
            }
            let inside = bagged.pieces.min(line.quantity);
            let grams = u64::from(bagged.grams).saturating_mul(u64::from(inside)) / u64::from(bagged.pieces.max(1));
            expected.settled_g = expected.settled_g.saturating_add(i64::try_from(grams).unwrap_or(i64::MAX));
            let missing = line.quantity.saturating_sub(inside);
            if missing == 0 {
                continue;
            }
            pending.push(line.no);
            expected.pieces = expected.pieces.saturating_add(missing);
            match piece(line, weights, rules) {
                Some((grams, spread, samples)) => {
                    pending_g = pending_g.saturating_add(grams.saturating_mul(u64::from(missing)));
                    variance = variance.saturating_add(spread.saturating_mul(u64::from(missing)));
                    expected.samples = if pending.len() == 1 { samples } else { expected.samples.min(samples) };
                }
                None => expected.unknown = true,
            }
        }
        expected.expected_g = expected.settled_g.saturating_add(i64::try_from(pending_g).unwrap_or(i64::MAX));
        let spread = u32::try_from(variance.isqrt().saturating_mul(3)).unwrap_or(u32::MAX);
        expected.tolerance_g = spread.max(rules.floor_g);
        expected.line = if let [only] = pending.as_slice() { Some(*only) } else { None };
        expected
    }

    pub(crate) fn apply_bag(&mut self, event: &BagEvent) {
        match event {
            BagEvent::Filled { line, pieces, grams, .. } => {
                let bagged = self.bag.lines.entry(*line).or_default();
                bagged.pieces = bagged.pieces.saturating_add(*pieces);
                bagged.grams = bagged.grams.saturating_add(*grams);
            }
            BagEvent::Skipped { line } => self.bag.lines.entry(*line).or_default().skipped = true,
            BagEvent::Base { base_g } => self.bag.base_g = *base_g,
            BagEvent::Muted { .. } => self.bag.muted = true,
        }
    }
}

/// What the lane's bagging scale said last; not trusted after a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct BagLive {
    pub(crate) measured_g: Option<u32>,
    pub(crate) wrong_since: Option<Mono>,
    pub(crate) read_due: Option<Mono>,
}

impl Turn<'_> {
    pub(crate) fn bagging_lane(&self, scale: &DeviceId) -> Option<LaneId> {
        self.config.lanes.iter().find(|lane| lane.bagging.as_ref() == Some(scale)).map(|lane| lane.lane)
    }

    fn bag_scale(&self, lane: LaneId) -> Option<DeviceId> {
        let scale = self.config.lane(lane)?.bagging.clone()?;
        self.live.devices.get(&scale).is_some_and(|device| device.up).then_some(scale)
    }

    /// The scale counts while it is there and nobody has switched its questions off.
    fn bag_watched(&self, lane: LaneId) -> bool {
        self.bag_scale(lane).is_some() && self.open(lane).is_some_and(|open| !open.bag.muted)
    }

    pub(crate) fn bag_look(&mut self, lane: LaneId) {
        if self.bag_watched(lane) && self.live.lane(lane).bag.read_due.is_none() {
            self.live.lane(lane).bag.read_due = Some(self.now.mono);
        }
    }

    pub(crate) fn bag_tick(&mut self, lane: LaneId) {
        let now = self.now.mono;
        if self.live.lane(lane).bag.read_due.take_if(|due| *due <= now).is_none() {
            return;
        }
        if let Some(device) = self.bag_scale(lane).filter(|_| self.bag_watched(lane)) {
            // The answer asks again; one that never comes must not end the looking.
            self.live.lane(lane).bag.read_due = Some(now.plus_ms(BAG_READ_MS.saturating_mul(5)));
            self.out.effects.push(Effect::Device { device, command: READ });
        }
    }

    pub(crate) fn bag_weight(&mut self, lane: LaneId, weight: Weight) {
        let grams = match weight {
            Weight::Stable(grams) | Weight::Priced { net: grams, .. } => Some(grams.0),
            Weight::Fault(ScaleFault::Empty | ScaleFault::TooLight) => Some(0),
            Weight::Fault(
                ScaleFault::Moving
                | ScaleFault::Over
                | ScaleFault::Negative
                | ScaleFault::Unmoved
                | ScaleFault::Defect
                | ScaleFault::Attention,
            ) => None,
        };
        if !self.bag_watched(lane) {
            return;
        }
        self.live.lane(lane).bag.read_due = Some(self.now.mono.plus_ms(BAG_READ_MS));
        if let Some(grams) = grams {
            self.live.lane(lane).bag.measured_g = Some(grams);
            self.bag_judge(lane, i64::from(grams));
        }
    }

    fn bag_judge(&mut self, lane: LaneId, measured_g: i64) {
        let Some(open) = self.open(lane) else { return };
        let rules = self.config.floor.bagging;
        let expected = open.bag_expected(&self.facts.weights, &rules);
        let asked =
            open.waiting().find(|asked| matches!(asked.kind, InterventionKind::Weight { .. })).map(|asked| asked.id);
        if expected.fits(measured_g) {
            self.live.lane(lane).bag.wrong_since = None;
            self.bag_settle(lane, expected, measured_g, true);
            if let Some(id) = asked {
                self.withdraw(lane, id);
            }
            return;
        }
        let since = *self.live.lane(lane).bag.wrong_since.get_or_insert(self.now.mono);
        if asked.is_none() && since.plus_ms(u64::from(rules.patience_ms)) <= self.now.mono {
            let grams = |g: i64| u32::try_from(g.max(0)).unwrap_or(u32::MAX);
            let kind = InterventionKind::Weight {
                line: expected.line,
                expected_g: grams(expected.expected_g),
                measured_g: grams(measured_g),
                tolerance_g: expected.tolerance_g,
                samples: expected.samples,
            };
            self.raise(lane, kind, Role::Cashier);
        }
    }

    /// What was waited for is in the bag. A piece that went in alone teaches what such a piece weighs.
    fn bag_settle(&mut self, lane: LaneId, expected: Expected, measured_g: i64, learn: bool) {
        let Some(open) = self.open(lane).filter(|_| expected.pieces > 0) else { return };
        let rules = self.config.floor.bagging;
        let added = u32::try_from(measured_g.saturating_sub(expected.settled_g).max(0)).unwrap_or(u32::MAX);
        let mut events = Vec::new();
        for line in open.live_lines().filter(|line| line.kind.is_goods()) {
            let bagged = open.bag.lines.get(&line.no).copied().unwrap_or_default();
            let pieces = line.quantity.saturating_sub(bagged.pieces.min(line.quantity));
            if pieces == 0 || bagged.skipped {
                continue;
            }
            let share = piece(line, &self.facts.weights, &rules)
                .map_or(0, |(grams, ..)| grams.saturating_mul(u64::from(pieces)));
            let grams = if expected.line.is_some() { added } else { u32::try_from(share).unwrap_or(u32::MAX) };
            let alone = expected.line.is_some() && pieces == 1 && line.weight_g.is_none();
            events.push(BagEvent::Filled {
                line: line.no,
                key: line.key.clone(),
                pieces,
                grams,
                learn: learn && alone,
            });
        }
        for event in events {
            self.record(Some(lane), Event::Lane(LaneEvent::Bag(event)));
        }
    }

    /// Staff says that what lies there is right: it becomes what is expected, and what it teaches is learned.
    pub(crate) fn bag_accepted(&mut self, lane: LaneId, kind: &InterventionKind) {
        let InterventionKind::Weight { .. } = kind else { return };
        let measured_g = i64::from(self.live.lane(lane).bag.measured_g.unwrap_or(0));
        let rules = self.config.floor.bagging;
        let Some(open) = self.open(lane) else { return };
        let expected = open.bag_expected(&self.facts.weights, &rules);
        self.bag_settle(lane, expected, measured_g, true);
        let Some(open) = self.open(lane) else { return };
        let settled_g = open.bag_expected(&self.facts.weights, &rules).settled_g;
        let base_g = open.bag.base_g.saturating_add(measured_g.saturating_sub(settled_g));
        if base_g != open.bag.base_g {
            self.record(Some(lane), Event::Lane(LaneEvent::Bag(BagEvent::Base { base_g })));
        }
        self.live.lane(lane).bag.wrong_since = None;
    }

    /// “I brought a bag”: what lies there before anything is bagged is the bag.
    pub(crate) fn own_bag(&mut self, lane: LaneId) -> Result<(), Refused> {
        let scale = self.bag_scale(lane).ok_or(Refused::NothingHere)?;
        self.begin(lane);
        let rules = self.config.floor.bagging;
        let open = self.editable(lane)?;
        let settled_g = open.bag_expected(&self.facts.weights, &rules).settled_g;
        let base_g = open.bag.base_g;
        let Some(measured_g) = self.live.lane(lane).bag.measured_g else {
            self.out.effects.push(Effect::Device { device: scale, command: READ });
            self.bag_look(lane);
            return Err(Refused::BagNotWeighed);
        };
        let bag_g = i64::from(measured_g).saturating_sub(settled_g);
        if bag_g < 0 || bag_g > i64::from(rules.own_bag_g) {
            return Err(Refused::BadWeight);
        }
        self.record(Some(lane), Event::Lane(LaneEvent::Bag(BagEvent::Base { base_g: base_g.saturating_add(bag_g) })));
        self.live.lane(lane).bag.wrong_since = None;
        Ok(())
    }

    /// “I carry this”: too large for the bag, or wanted at hand.
    pub(crate) fn skip_bagging(&mut self, lane: LaneId, no: LineNo) -> Result<(), Refused> {
        self.editable_line(lane, no)?;
        self.record(Some(lane), Event::Lane(LaneEvent::Bag(BagEvent::Skipped { line: no })));
        self.live.lane(lane).bag.wrong_since = None;
        self.bag_look(lane);
        Ok(())
    }

    /// No more questions of this scale to this shopper: a wheelchair, a pram on the plate, a scale that drifts.
    pub(crate) fn mute_bagging(&mut self, lane: LaneId, by: Attendant, reason: &str) -> Result<(), Refused> {
        self.open(lane).ok_or(Refused::NothingHere)?;
        let reason = spoken(reason)?;
        self.record(Some(lane), Event::Lane(LaneEvent::Bag(BagEvent::Muted { staff: by.staff, reason })));
        self.withdraw_weight(lane);
        Ok(())
    }

    pub(crate) fn bag_scale_down(&mut self, device: &DeviceId) {
        if let Some(lane) = self.bagging_lane(device) {
            self.live.lane(lane).bag = BagLive::default();
            self.withdraw_weight(lane);
        }
    }

    fn withdraw_weight(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let weight: Vec<u64> = open
            .waiting()
            .filter(|asked| matches!(asked.kind, InterventionKind::Weight { .. }))
            .map(|asked| asked.id)
            .collect();
        for id in weight {
            self.withdraw(lane, id);
        }
    }

    /// Paying waits until the bag holds what was scanned, as long as the scale can say so.
    pub(crate) fn bag_gate(&self, lane: LaneId) -> Result<(), Refused> {
        let Some(open) = self.open(lane).filter(|_| self.bag_watched(lane)) else { return Ok(()) };
        let expected = open.bag_expected(&self.facts.weights, &self.config.floor.bagging);
        let measured = self.live.lanes.get(&lane).and_then(|live| live.bag.measured_g);
        let right = expected.pieces == 0 && measured.is_none_or(|grams| expected.fits(i64::from(grams)));
        if right { Ok(()) } else { Err(Refused::Bagging) }
    }
}
