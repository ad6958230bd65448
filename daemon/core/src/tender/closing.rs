//! The terminal's day: what it hands in to the bank against what the journal says of it.

use super::{TenderEvent, TenderState};
use crate::device::{Document, TerminalCommand, TerminalService};
use crate::event::Event;
use crate::page::{Attendant, Refused};
use crate::receipt::SlipRow;
use crate::turn::Turn;
use crate::view::TenderKind;
use crate::words::{DeviceId, LaneId, Money, Name, Role, TenderId, Utc};
use alloc::collections::BTreeMap;
use alloc::string::ToString as _;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// The name under which a terminal closes its day.
pub(crate) const CLOSING: &str = "closing";
/// Payments of one terminal's day that a difference can be explained by.
const LISTED_MAX: usize = 2_000;

/// Payments of one terminal since it last handed in; a fold of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalDay {
    pub counted: Counted,
    /// Money a person said had moved, which no slip proves.
    pub by_hand: Counted,
    /// Tender and amount, while there are not too many.
    pub listed: Vec<(TenderId, Money)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    pub count: u32,
    /// Payments less what went back.
    pub total: Money,
}

impl Counted {
    fn add(&mut self, amount: Money) {
        self.count = self.count.saturating_add(1);
        self.total = self.total.plus(amount);
    }
}

/// One line of what terminal and journal say differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// The payment that would explain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tender: Option<TenderId>,
    /// The journal says.
    pub here: Money,
    /// The terminal says.
    pub there: Money,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DifferenceKind {
    /// The terminal took money the journal does not know.
    MissingHere,
    /// The journal knows of money the terminal did not hand in.
    MissingThere,
    /// Neither more nor fewer payments, and another sum.
    AmountDiffers,
    /// So much more as one payment comes to: it was taken twice.
    Double,
}

/// What a terminal has handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalClosing {
    pub device: DeviceId,
    pub at: Utc,
    pub here: Counted,
    /// The terminal's own sum.
    pub there: Option<Money>,
    /// Its count, where it says one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    pub differences: Vec<Difference>,
}

impl TerminalDay {
    pub(crate) fn take(&mut self, tender: &TenderId, amount: Money, proved: bool) {
        if proved {
            self.counted.add(amount)
        } else {
            self.by_hand.add(amount)
        }
        if self.listed.len() < LISTED_MAX {
            self.listed.push((tender.clone(), amount));
        }
    }

    fn all(&self) -> Counted {
        Counted {
            count: self.counted.count.saturating_add(self.by_hand.count),
            total: self.counted.total.plus(self.by_hand.total),
        }
    }

    /// A terminal tells sums only, so a difference names the payment that would explain it, where one does.
    #[must_use]
    pub fn differences(&self, there: Money, count: Option<u32>) -> Vec<Difference> {
        let here = self.all();
        let off = there.minus(here.total);
        if off == Money::ZERO && count.is_none_or(|count| count == here.count) {
            return Vec::new();
        }
        let of = |amount: Money| self.listed.iter().find(|(_, one)| *one == amount).map(|(tender, _)| tender.clone());
        let more = count.map(|count| count.cmp(&here.count));
        let (kind, tender) = match more {
            Some(core::cmp::Ordering::Equal) => (DifferenceKind::AmountDiffers, None),
            _ if off > Money::ZERO && of(off).is_some() => (DifferenceKind::Double, of(off)),
            _ if off < Money::ZERO => (DifferenceKind::MissingThere, of(Money::ZERO.minus(off))),
            _ => (DifferenceKind::MissingHere, None),
        };
        alloc::vec![Difference { kind, tender, here: here.total, there }]
    }
}

impl DifferenceKind {
    #[must_use]
    pub fn name(self) -> Name {
        let (zh, en) = match self {
            Self::MissingHere => ("流水没有", "Not in the journal"),
            Self::MissingThere => ("终端没有", "Not handed in"),
            Self::AmountDiffers => ("金额不符", "Another amount"),
            Self::Double => ("可能重复扣款", "Perhaps taken twice"),
        };
        Name { zh: zh.into(), en: en.into() }
    }
}

impl Turn<'_> {
    /// Staff close the day of `lane`'s terminal.
    pub(crate) fn close_terminal(&mut self, lane: LaneId, by: &Attendant) -> Result<(), Refused> {
        by.at_least(Role::Supervisor)?;
        let device = self.config.lane(lane).and_then(|lane| lane.terminal.clone()).ok_or(Refused::NoTerminal)?;
        if !self.live.device(&device).up || self.terminal_is_busy(&device) {
            return Err(Refused::TerminalDown);
        }
        self.live.device(&device).closing = Some((lane, None, None));
        let service = TerminalService::EndOfDay;
        self.terminal(device, TerminalCommand::Service { tender: TenderId(CLOSING.into()), service });
        Ok(())
    }

    pub(super) fn terminal_totals(&mut self, device: &DeviceId, total: Money, count: Option<u32>) {
        if let Some((_, there, told)) = self.live.device(device).closing.as_mut() {
            (*there, *told) = (Some(total), count);
        }
    }

    /// It has handed in, or could not.
    pub(super) fn terminal_closed(&mut self, device: &DeviceId, code: u8) {
        let Some((lane, there, count)) = self.live.device(device).closing.take() else { return };
        if code != 0 {
            let text = ("刷卡机没有完成日结", "The terminal did not close its day");
            return self.notice(lane, false, text);
        }
        let day = self.facts.terminal_days.get(device).cloned().unwrap_or_default();
        let differences = there.map(|there| day.differences(there, count)).unwrap_or_default();
        let (device, at, here) = (device.clone(), self.now.utc, day.all());
        let closing = TerminalClosing { device, at, here, there, count, differences };
        self.record(Some(lane), Event::Tender(TenderEvent::TerminalClosed(closing.clone())));
        self.print_closing(lane, &closing);
        let text = match (there, closing.differences.is_empty()) {
            (None, _) => ("刷卡机已日结，未报总额", "The terminal has closed its day and told no sum"),
            (Some(_), true) => {
                ("刷卡机已日结，与流水一致", "The terminal has closed its day: it agrees with the journal")
            }
            (Some(_), false) => {
                ("刷卡机已日结，与流水不符", "The terminal has closed its day: it does not agree with the journal")
            }
        };
        self.notice(lane, closing.differences.is_empty(), text);
    }

    fn print_closing(&mut self, lane: LaneId, closing: &TerminalClosing) {
        let currency = &self.config.currency;
        let mut rows = alloc::vec![
            SlipRow::of(("刷卡机", "Terminal"), closing.device.0.clone()),
            SlipRow::of(("流水笔数", "Journal, payments"), closing.here.count.to_string()),
            SlipRow::of(("流水总额", "Journal, sum"), currency.show(closing.here.total)),
        ];
        let said = closing.there.map_or_else(|| "—".to_string(), |there| currency.show(there));
        rows.push(SlipRow::of(("终端总额", "Terminal, sum"), said));
        for difference in &closing.differences {
            let label = difference.kind.name();
            let off = currency.show(difference.there.minus(difference.here));
            let tender = difference.tender.as_ref().map_or("", |tender| tender.0.as_str());
            rows.push(SlipRow { label, value: alloc::format!("{off} {tender}").trim().into() });
        }
        let title = Name { zh: "刷卡机日结".into(), en: "Terminal, end of day".into() };
        let slip = self.slip(lane, &alloc::format!("terminal-{}", closing.device), title, rows, None);
        self.print(lane, Document::Slip(slip), false);
    }
}

/// What `event` does to the days of terminals; `tender` is the one it ends.
pub(crate) fn apply(days: &mut BTreeMap<DeviceId, TerminalDay>, event: &TenderEvent, tender: Option<&super::Tender>) {
    if let TenderEvent::TerminalClosed(closing) = event {
        days.remove(&closing.device);
        return;
    }
    let Some(tender) = tender.filter(|tender| tender.kind == TenderKind::Card) else { return };
    let Some(device) = tender.device.as_ref().filter(|_| tender.state == TenderState::Approved) else { return };
    let proved = matches!(event, TenderEvent::Approved { .. });
    days.entry(device.clone()).or_default().take(&tender.id, tender.amount, proved);
}
