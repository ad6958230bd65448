//! Questions only staff can answer: raised by rules that are data, told in words, answered by role and with a reason.
//! Nothing can be paid before, and what stops being true takes its question along.

use crate::basket::Transaction;
use crate::event::Event;
use crate::lane::LaneEvent;
use crate::line::{Line, spoken};
use crate::page::{Attendant, Refused};
use crate::rules::{Limit, LimitOf, RestrictedHours};
use crate::turn::Turn;
use crate::words::{LaneId, LineNo, Money, Name, Role};
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Each kind carries what it takes to explain itself, also years later and after the rules changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterventionKind {
    Age {
        line: LineNo,
        years: u8,
    },
    /// More pieces than the rule allows.
    Pieces {
        rule: String,
        name: Name,
        line: LineNo,
        found: u32,
        most: u32,
    },
    /// More money than the rule allows.
    Amount {
        rule: String,
        name: Name,
        line: LineNo,
        found: Money,
        most: Money,
    },
    /// Not sold at this time of day.
    Hours {
        rule: String,
        name: Name,
        line: LineNo,
        from_min: u16,
        until_min: u16,
    },
    /// The catalogue says it is not to be sold.
    Blocked {
        line: LineNo,
        reason: Name,
    },
    /// The bag weighs something else than what was scanned.
    Weight {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        line: Option<LineNo>,
        expected_g: u32,
        measured_g: u32,
        tolerance_g: u32,
        /// How many pieces taught the store what to expect; 0: the catalogue says so.
        samples: u32,
    },
    /// Some or, with none named, all pieces are looked at again.
    Rescan {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pieces: Option<u32>,
        /// The rules that spoke for it, as staff reads them.
        why: Vec<Name>,
    },
}

/// A question only staff can answer; nothing can be paid before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervention {
    pub id: u64,
    pub kind: InterventionKind,
    /// Who may say yes.
    #[serde(default, skip_serializing_if = "Role::is_cashier")]
    pub role: Role,
    pub answer: Option<bool>,
}

impl InterventionKind {
    /// As pages and the audit name it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Age { .. } => "age",
            Self::Pieces { .. } => "pieces",
            Self::Amount { .. } => "amount",
            Self::Hours { .. } => "hours",
            Self::Blocked { .. } => "blocked",
            Self::Weight { .. } => "weight",
            Self::Rescan { .. } => "rescan",
        }
    }

    #[must_use]
    pub const fn line(&self) -> Option<LineNo> {
        match self {
            Self::Age { line, .. }
            | Self::Pieces { line, .. }
            | Self::Amount { line, .. }
            | Self::Hours { line, .. }
            | Self::Blocked { line, .. } => Some(*line),
            Self::Weight { line, .. } => *line,
            Self::Rescan { .. } => None,
        }
    }

    /// What staff reads.
    pub(crate) fn text(&self, show: impl Fn(Money) -> String) -> Name {
        let (zh, en) = match self {
            Self::Age { years, .. } => (
                alloc::format!("请店员确认顾客已满 {years} 周岁"),
                alloc::format!("An assistant checks that the shopper is {years} or older"),
            ),
            Self::Pieces { name, found, most, .. } => (
                alloc::format!("{}：限购 {most} 件，现有 {found} 件", name.zh),
                alloc::format!("{}: {found} pieces, the limit is {most}", name.en),
            ),
            Self::Amount { name, found, most, .. } => (
                alloc::format!("{}：限额 {}，现为 {}", name.zh, show(*most), show(*found)),
                alloc::format!("{}: {}, the limit is {}", name.en, show(*found), show(*most)),
            ),
            Self::Hours { name, from_min, until_min, .. } => (
                alloc::format!("{}：{} 至 {} 不出售", name.zh, clock(*from_min), clock(*until_min)),
                alloc::format!("{}: not sold from {} to {}", name.en, clock(*from_min), clock(*until_min)),
            ),
            Self::Blocked { reason, .. } => {
                (alloc::format!("暂停出售：{}", reason.zh), alloc::format!("Not for sale just now: {}", reason.en))
            }
            Self::Weight { expected_g, measured_g, tolerance_g, samples, .. } => (
                alloc::format!(
                    "装袋秤：应为 {expected_g} 克（±{tolerance_g}，依据 {samples} 次称量），实为 {measured_g} 克"
                ),
                alloc::format!(
                    "Bagging scale: {expected_g} g expected (±{tolerance_g}, learned from {samples}), {measured_g} g measured"
                ),
            ),
            Self::Rescan { pieces, why } => {
                let (zh, en): (Vec<&str>, Vec<&str>) = why.iter().map(|why| (&*why.zh, &*why.en)).unzip();
                let (zh, en) = (zh.join("、"), en.join(", "));
                match pieces {
                    Some(n) => {
                        (alloc::format!("抽查 {n} 件（{zh}）"), alloc::format!("Look at {n} pieces again ({en})"))
                    }
                    None => (alloc::format!("全部复核（{zh}）"), alloc::format!("Look at all pieces again ({en})")),
                }
            }
        };
        Name { zh, en }
    }

    /// What the shopper reads: what happens next, and nothing that points at anybody.
    pub(crate) fn shopper_text(&self) -> Name {
        let (zh, en) = match self {
            Self::Age { .. } => ("店员会来核对年龄", "An assistant will come to check your age"),
            Self::Pieces { .. } | Self::Amount { .. } => {
                ("这种商品有限购，店员会来帮您", "There is a limit on these goods: an assistant will help you")
            }
            Self::Hours { .. } => (
                "这种商品现在不出售，店员会来帮您",
                "These goods are not sold at this hour: an assistant will help you",
            ),
            Self::Blocked { .. } => {
                ("这件商品暂停出售，店员会来帮您", "This item is not for sale just now: an assistant will help you")
            }
            Self::Weight { .. } => {
                ("请稍候，店员会来看一下装袋秤", "One moment: an assistant will look at the bagging scale")
            }
            Self::Rescan { .. } => (
                "随机抽查：店员会和您一起核对几件商品，很快就好",
                "A random check: an assistant will look at a few items with you, it is quick",
            ),
        };
        Name { zh: zh.into(), en: en.into() }
    }

    fn same_cause(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Age { .. }, Self::Age { .. })
            | (Self::Weight { .. }, Self::Weight { .. })
            | (Self::Rescan { .. }, Self::Rescan { .. }) => true,
            (Self::Pieces { rule: one, .. }, Self::Pieces { rule: other, .. })
            | (Self::Amount { rule: one, .. }, Self::Amount { rule: other, .. })
            | (Self::Hours { rule: one, .. }, Self::Hours { rule: other, .. }) => one == other,
            (Self::Blocked { line: one, .. }, Self::Blocked { line: other, .. }) => one == other,
            _ => false,
        }
    }

    /// A yes to this is a yes to `other` of the same cause.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Age { years: one, .. }, Self::Age { years: other, .. }) => one >= other,
            (Self::Pieces { found: one, .. }, Self::Pieces { found: other, .. }) => one >= other,
            (Self::Amount { found: one, .. }, Self::Amount { found: other, .. }) => one >= other,
            _ => true,
        }
    }

    /// Follows from the basket alone, so that a changed basket may take it back.
    const fn is_of_basket(&self) -> bool {
        !matches!(self, Self::Weight { .. } | Self::Rescan { .. })
    }
}

fn clock(minute: u16) -> String {
    alloc::format!("{:02}:{:02}", minute / 60, minute % 60)
}

impl Transaction {
    pub(crate) fn apply_intervention(&mut self, event: &LaneEvent) {
        match event {
            LaneEvent::InterventionRaised { id, kind, role } => {
                self.interventions.push(Intervention { id: *id, kind: kind.clone(), role: *role, answer: None });
            }
            LaneEvent::InterventionAnswered { id, approved, .. } => {
                if let Some(asked) = self.interventions.iter_mut().find(|asked| asked.id == *id) {
                    asked.answer = Some(*approved);
                }
            }
            LaneEvent::InterventionWithdrawn { id } => self.interventions.retain(|asked| asked.id != *id),
            LaneEvent::AttendantCame { .. }
            | LaneEvent::CameraOpened
            | LaneEvent::Rescan(_)
            | LaneEvent::Bag(_)
            | LaneEvent::HelpCalled
            | LaneEvent::HelpEnded { .. }
            | LaneEvent::ReceiptSent { .. }
            | LaneEvent::ReceiptPrinted { .. } => {}
        }
    }

    pub(crate) fn asked(&self, id: u64) -> Option<&Intervention> {
        self.interventions.iter().find(|asked| asked.id == id)
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Intervention> {
        self.interventions.iter().filter(|asked| asked.answer.is_none())
    }

    /// Asked already, or answered with a yes that reaches as far.
    fn is_covered(&self, wanted: &InterventionKind) -> bool {
        self.interventions.iter().any(|asked| {
            asked.kind.same_cause(wanted)
                && match (asked.answer, wanted) {
                    (Some(false), _) => false,
                    (None, InterventionKind::Age { .. }) | (Some(true), _) => asked.kind.covers(wanted),
                    (None, _) => true,
                }
        })
    }
}

impl LimitOf {
    fn concerns(&self, line: &Line) -> bool {
        line.kind.is_goods()
            && match self {
                Self::Item(key) => line.key.0 == *key,
                Self::Group(group) => line.group == *group,
                Self::Basket => true,
            }
    }
}

fn pieces(lines: &[&Line]) -> u32 {
    lines.iter().map(|line| line.quantity).fold(0, u32::saturating_add)
}

fn amount(lines: &[&Line]) -> Money {
    lines.iter().map(|line| line.total()).sum()
}

fn over_limit(limit: &Limit, open: &Transaction) -> Vec<(InterventionKind, Role)> {
    let lines: Vec<&Line> = open.live_lines().filter(|line| limit.of.concerns(line)).collect();
    let Some(line) = lines.last().map(|line| line.no) else { return Vec::new() };
    let (rule, name) = (limit.id.clone(), limit.name.clone());
    let count = pieces(&lines);
    let many = limit.pieces.filter(|most| count > *most).map(|most| InterventionKind::Pieces {
        rule: rule.clone(),
        name: name.clone(),
        line,
        found: count,
        most,
    });
    let sum = amount(&lines);
    let much = limit.amount.filter(|most| sum > *most).map(|most| InterventionKind::Amount {
        rule,
        name,
        line,
        found: sum,
        most,
    });
    many.into_iter().chain(much).map(|kind| (kind, limit.role)).collect()
}

impl Turn<'_> {
    /// Raises what the basket calls for, takes back what it does not call for any more.
    pub(crate) fn review(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let wanted = self.called_for(open);
        let gone = |kind: &InterventionKind| kind.is_of_basket() && !wanted.iter().any(|(now, _)| now.same_cause(kind));
        let gone: Vec<u64> = open.waiting().filter(|asked| gone(&asked.kind)).map(|asked| asked.id).collect();
        let fresh: Vec<(InterventionKind, Role)> =
            wanted.iter().filter(|(kind, _)| !open.is_covered(kind)).cloned().collect();
        for id in gone {
            self.withdraw(lane, id);
        }
        for (kind, role) in fresh {
            self.raise(lane, kind, role);
        }
    }

    /// What the floor wants settled before a shopper's payment begins.
    pub(crate) fn floor_gate(&mut self, lane: LaneId) -> Result<(), Refused> {
        let Some(open) = self.open(lane) else { return Ok(()) };
        if self.tender_in_flight(lane).is_some() || open.waiting().next().is_some() || open.pieces() == 0 {
            return Ok(());
        }
        self.bag_gate(lane)?;
        self.rescan_gate(lane)
    }

    pub(crate) fn raise(&mut self, lane: LaneId, kind: InterventionKind, role: Role) {
        let id = self.facts.interventions.saturating_add(1);
        self.record(Some(lane), Event::Lane(LaneEvent::InterventionRaised { id, kind, role }));
    }

    pub(crate) fn withdraw(&mut self, lane: LaneId, id: u64) {
        self.record(Some(lane), Event::Lane(LaneEvent::InterventionWithdrawn { id }));
    }

    fn called_for(&self, open: &Transaction) -> Vec<(InterventionKind, Role)> {
        let restricted = open.live_lines().filter_map(|line| line.min_age.map(|years| (years, line.no)));
        let age = restricted.max_by_key(|(years, _)| *years);
        let age = age.map(|(years, line)| (InterventionKind::Age { line, years }, Role::Cashier));
        let limits = self.config.floor.limits.iter().flat_map(|limit| over_limit(limit, open));
        let now = self.now.local();
        let closed = |rule: &&RestrictedHours| rule.covers(now);
        let hours = self.config.floor.hours.iter().filter(closed).filter_map(|rule| {
            let line = open.live_lines().find(|line| line.group == rule.group)?.no;
            let (from_min, until_min) = (rule.from_min, rule.until_min);
            let (id, name) = (rule.id.clone(), rule.name.clone());
            Some((InterventionKind::Hours { rule: id, name, line, from_min, until_min }, rule.role))
        });
        let blocked = open.live_lines().filter_map(|line| {
            let reason = line.blocked.clone()?;
            Some((InterventionKind::Blocked { line: line.no, reason }, Role::Supervisor))
        });
        age.into_iter().chain(limits).chain(hours).chain(blocked).collect()
    }

    pub(crate) fn answer(
        &mut self,
        lane: LaneId,
        id: u64,
        approved: bool,
        by: Attendant,
        reason: &str,
    ) -> Result<(), Refused> {
        let open = self.open(lane).ok_or(Refused::NothingHere)?;
        let asked = open.asked(id).filter(|asked| asked.answer.is_none()).ok_or(Refused::NothingHere)?.clone();
        // Anybody may say no; a yes needs the role, and words for whoever reads it later.
        if approved {
            by.at_least(asked.role)?;
        }
        let plain = matches!(asked.kind, InterventionKind::Age { .. });
        let reason = if reason.trim().is_empty() && (plain || !approved) { String::new() } else { spoken(reason)? };
        if let InterventionKind::Rescan { .. } = asked.kind {
            self.end_rescan(lane, id);
        }
        let (staff, role) = (by.staff.clone(), by.role);
        let answered = LaneEvent::InterventionAnswered { id, approved, staff, role, reason: reason.clone() };
        self.record(Some(lane), Event::Lane(answered));
        if approved {
            self.bag_accepted(lane, &asked.kind);
        } else {
            self.take_back(lane, &asked.kind, by, reason);
        }
        Ok(())
    }

    /// A no: what the question was about leaves the basket.
    fn take_back(&mut self, lane: LaneId, kind: &InterventionKind, by: Attendant, reason: String) {
        match kind {
            InterventionKind::Age { years, .. } => {
                self.take_out_where(lane, |line| line.min_age.is_some_and(|age| age >= *years));
                self.tell_taken_out(
                    lane,
                    ("店员未能确认年龄，该商品已取消", "Age could not be confirmed: the item was taken out"),
                );
            }
            InterventionKind::Pieces { rule, .. } | InterventionKind::Amount { rule, .. } => {
                self.shrink(lane, rule);
                self.tell_taken_out(lane, ("超出限购的商品已取消", "What was over the limit was taken out"));
            }
            InterventionKind::Hours { rule, .. } => {
                let group =
                    self.config.floor.hours.iter().find(|hours| hours.id == *rule).map(|hours| hours.group.clone());
                self.take_out_where(lane, |line| Some(&line.group) == group.as_ref());
                self.tell_taken_out(lane, ("现在不出售的商品已取消", "What is not sold at this hour was taken out"));
            }
            InterventionKind::Blocked { line: no, .. } => {
                self.take_out_where(lane, |line| line.no == *no);
                self.tell_taken_out(lane, ("暂停出售的商品已取消", "What is not for sale was taken out"));
            }
            InterventionKind::Weight { line, .. } => {
                self.take_out_where(lane, |one| Some(one.no) == *line);
            }
            InterventionKind::Rescan { .. } => {
                let by = crate::basket::VoidedBy { staff: by.staff, reason };
                // Money that moved already keeps the basket: then staff sorts it out by hand.
                if self.give_up(lane, by).is_err() {
                    self.call_help(lane);
                }
                return;
            }
        }
        self.basket_changed(lane);
    }

    fn tell_taken_out(&mut self, lane: LaneId, text: (&str, &str)) {
        self.notice(lane, false, text);
    }

    fn take_out_where(&mut self, lane: LaneId, gone: impl Fn(&Line) -> bool) {
        let Some(open) = self.open(lane) else { return };
        // A child goes with its parent and never leaves it behind.
        let lines: Vec<LineNo> =
            open.live_lines().filter(|line| gone(line)).map(|line| line.parent.unwrap_or(line.no)).collect();
        for line in lines {
            self.take_out(lane, line);
        }
    }

    /// The latest goods leave until the rule is kept.
    fn shrink(&mut self, lane: LaneId, rule: &str) {
        let Some(limit) = self.config.floor.limits.iter().find(|limit| limit.id == rule) else { return };
        loop {
            let Some(open) = self.open(lane) else { return };
            let lines: Vec<&Line> = open.live_lines().filter(|line| limit.of.concerns(line)).collect();
            let extra = limit.pieces.map_or(0, |most| pieces(&lines).saturating_sub(most));
            let dear = limit.amount.is_some_and(|most| amount(&lines) > most);
            let Some(last) = lines.last().filter(|_| extra > 0 || dear) else { return };
            let (no, quantity) = (last.parent.unwrap_or(last.no), last.quantity);
            let less = if extra > 0 { extra.min(quantity) } else { 1 };
            if less < quantity {
                self.change_quantity(lane, no, quantity.saturating_sub(less));
            } else {
                self.take_out(lane, no);
            }
            self.reprice(lane);
        }
    }
}
