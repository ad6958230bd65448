//! A cashier's shift at a lane's drawer: float, cash in and out, the blind count, and the report at its end.

use crate::device::Document;
use crate::event::Event;
use crate::line::spoken;
use crate::page::{Attendant, Refused, ShiftRequest};
use crate::receipt::{Slip, SlipRow};
use crate::totals::Totals;
use crate::turn::Turn;
use crate::view::LaneKind;
use crate::words::{LaneId, Money, Name, Role, StaffId, Utc};
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// More than any drawer holds: a slip of the finger, not an amount.
pub const CASH_MAX: Money = Money(100_000_000);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShiftEvent {
    Opened {
        shift: u64,
        staff: StaffId,
        float: Money,
    },
    PaidIn {
        staff: StaffId,
        amount: Money,
        reason: String,
    },
    PaidOut {
        staff: StaffId,
        amount: Money,
        reason: String,
    },
    /// To the safe.
    Dropped {
        staff: StaffId,
        amount: Money,
    },
    /// The drawer was opened without a sale.
    NoSale {
        staff: StaffId,
        reason: String,
    },
    /// What the cashier counted, before the till said what it expects.
    Counted {
        shift: u64,
        staff: StaffId,
        counted: Money,
    },
    Closed(Box<ShiftReport>),
}

/// The Z report of one shift.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShiftReport {
    pub shift: u64,
    /// Whose shift it was.
    pub staff: StaffId,
    pub opened: Utc,
    /// Who closed it.
    pub closed_by: StaffId,
    pub totals: Totals,
    pub counted: Money,
    pub expected: Money,
    /// Counted less expected: negative where money is missing.
    pub difference: Money,
    /// Sum of all sales of the store since its journal began.
    pub perpetual: Money,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shift {
    pub number: u64,
    pub staff: StaffId,
    pub opened: Utc,
    pub counted: Option<Money>,
    pub totals: Totals,
}

/// What a lane remembers of its shifts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shifts {
    pub count: u64,
    pub open: Option<Shift>,
    pub last: Option<(Utc, ShiftReport)>,
}

impl Shifts {
    pub(crate) fn apply(&mut self, utc: Utc, event: &ShiftEvent) {
        match event {
            ShiftEvent::Opened { shift, staff, float } => {
                self.count = *shift;
                let mut totals = Totals::default();
                totals.drawer.float = *float;
                self.open = Some(Shift { number: *shift, staff: staff.clone(), opened: utc, counted: None, totals });
            }
            ShiftEvent::Counted { counted, .. } => {
                if let Some(open) = self.open.as_mut() {
                    open.counted = Some(*counted);
                }
            }
            ShiftEvent::Closed(report) => {
                self.open = None;
                self.last = Some((utc, (**report).clone()));
            }
            ShiftEvent::PaidIn { .. }
            | ShiftEvent::PaidOut { .. }
            | ShiftEvent::Dropped { .. }
            | ShiftEvent::NoSale { .. } => {}
        }
    }
}

impl Totals {
    pub(crate) fn take_drawer(&mut self, event: &ShiftEvent) {
        let drawer = &mut self.drawer;
        match event {
            ShiftEvent::PaidIn { amount, .. } => drawer.paid_in = drawer.paid_in.plus(*amount),
            ShiftEvent::PaidOut { amount, .. } => drawer.paid_out = drawer.paid_out.plus(*amount),
            ShiftEvent::Dropped { amount, .. } => drawer.dropped = drawer.dropped.plus(*amount),
            ShiftEvent::NoSale { .. } => drawer.opened = drawer.opened.saturating_add(1),
            ShiftEvent::Opened { .. } | ShiftEvent::Counted { .. } | ShiftEvent::Closed(_) => {}
        }
    }
}

impl Turn<'_> {
    pub(crate) fn shift(&mut self, lane: LaneId, by: Attendant, request: ShiftRequest) -> Result<(), Refused> {
        if self.config.lane(lane).is_none_or(|lane| lane.kind != LaneKind::Staffed) {
            return Err(Refused::NoDrawer);
        }
        match request {
            ShiftRequest::Open { float } => self.open_shift(lane, by.staff, float),
            ShiftRequest::PaidIn { amount, reason } => {
                let reason = spoken(&reason)?;
                let event = ShiftEvent::PaidIn { staff: by.staff, amount, reason: reason.clone() };
                self.move_cash(lane, amount, Some(&reason), ("存入", "Paid in"), event)
            }
            ShiftRequest::PaidOut { amount, reason } => {
                let reason = spoken(&reason)?;
                let event = ShiftEvent::PaidOut { staff: by.staff, amount, reason: reason.clone() };
                self.move_cash(lane, amount, Some(&reason), ("支出", "Paid out"), event)
            }
            ShiftRequest::Drop { amount } => {
                let event = ShiftEvent::Dropped { staff: by.staff, amount };
                self.move_cash(lane, amount, None, ("缴款", "Cash drop"), event)
            }
            ShiftRequest::NoSale { reason } => self.no_sale(lane, by.staff, reason),
            ShiftRequest::Close { counted } => self.close_shift(lane, by.staff, counted),
            ShiftRequest::PrintX {} => {
                by.at_least(Role::Supervisor)?;
                self.print_x(lane)
            }
            ShiftRequest::PrintZ {} => {
                let (at, report) = self.facts.lane(lane).shifts.last.clone().ok_or(Refused::NothingHere)?;
                self.print_shift(lane, at, &report, true);
                Ok(())
            }
        }
    }

    fn open_shift(&mut self, lane: LaneId, staff: StaffId, float: Money) -> Result<(), Refused> {
        if self.facts.lane(lane).shifts.open.is_some() {
            return Err(Refused::ShiftOpen);
        }
        if float < Money::ZERO || float > CASH_MAX {
            return Err(Refused::BadAmount);
        }
        let shift = self.facts.lane(lane).shifts.count.saturating_add(1);
        self.record(Some(lane), Event::Shift(ShiftEvent::Opened { shift, staff, float }));
        self.drawer_slip(lane, ("开班", "Shift opened"), &[("备用金", "Float", self.config.currency.show(float))]);
        Ok(())
    }

    fn move_cash(
        &mut self,
        lane: LaneId,
        amount: Money,
        reason: Option<&str>,
        title: (&str, &str),
        event: ShiftEvent,
    ) -> Result<(), Refused> {
        self.facts.lane(lane).shifts.open.as_ref().ok_or(Refused::NoShift)?;
        if amount <= Money::ZERO || amount > CASH_MAX {
            return Err(Refused::BadAmount);
        }
        self.record(Some(lane), Event::Shift(event));
        let amount = ("金额", "Amount", self.config.currency.show(amount));
        match reason {
            Some(reason) => self.drawer_slip(lane, title, &[amount, ("原因", "Reason", reason.into())]),
            None => self.drawer_slip(lane, title, &[amount]),
        }
        Ok(())
    }

    fn no_sale(&mut self, lane: LaneId, staff: StaffId, reason: String) -> Result<(), Refused> {
        let reason = spoken(&reason)?;
        self.needs_shift(lane)?;
        self.record(Some(lane), Event::Shift(ShiftEvent::NoSale { staff, reason: reason.clone() }));
        self.drawer_slip(lane, ("无交易开钱箱", "No sale"), &[("原因", "Reason", reason)]);
        Ok(())
    }

    /// Where the shop keeps shifts, no cash moves outside one.
    pub(crate) fn needs_shift(&self, lane: LaneId) -> Result<(), Refused> {
        let open = self.facts.lanes.get(&lane).is_some_and(|facts| facts.shifts.open.is_some());
        if open || !self.config.till.shifts { Ok(()) } else { Err(Refused::NoShift) }
    }

    /// Blind: the count is a fact before anybody is told what it should have been.
    fn close_shift(&mut self, lane: LaneId, staff: StaffId, counted: Money) -> Result<(), Refused> {
        if self.open(lane).is_some() {
            return Err(Refused::BasketOpen);
        }
        if counted < Money::ZERO || counted > CASH_MAX {
            return Err(Refused::BadAmount);
        }
        let shift = self.facts.lane(lane).shifts.open.as_ref().ok_or(Refused::NoShift)?.number;
        self.record(Some(lane), Event::Shift(ShiftEvent::Counted { shift, staff: staff.clone(), counted }));
        let Some(open) = self.facts.lane(lane).shifts.open.clone() else {
            return Err(Refused::NoShift);
        };
        let expected = open.totals.expected();
        let report = ShiftReport {
            shift,
            staff: open.staff,
            opened: open.opened,
            closed_by: staff,
            totals: open.totals,
            counted,
            expected,
            difference: counted.minus(expected),
            perpetual: self.facts.perpetual_total,
        };
        self.record(Some(lane), Event::Shift(ShiftEvent::Closed(Box::new(report.clone()))));
        let at = self.now.utc;
        self.print_shift(lane, at, &report, false);
        Ok(())
    }
}

/// Paper.
impl Turn<'_> {
    /// Opens the drawer and prints why.
    fn drawer_slip(&mut self, lane: LaneId, (zh, en): (&str, &str), rows: &[(&str, &str, String)]) {
        let rows = rows.iter().map(|(zh, en, value)| SlipRow::of((zh, en), value.clone())).collect();
        let id = alloc::format!("drawer-{lane}-{}", self.now.utc.0);
        let slip = self.slip(lane, &id, Name { zh: zh.into(), en: en.into() }, rows, None);
        self.print(lane, Document::Slip(slip), true);
    }

    /// The shift so far; what the drawer must hold stays unsaid until it is counted.
    fn print_x(&mut self, lane: LaneId) -> Result<(), Refused> {
        let open = self.facts.lane(lane).shifts.open.clone().ok_or(Refused::NoShift)?;
        let rows = open.totals.rows(&self.config.currency);
        let title = Name {
            zh: alloc::format!("X 报表 · 班次 {}", open.number),
            en: alloc::format!("X report, shift {}", open.number),
        };
        let id = alloc::format!("x-{lane}-{}", self.now.utc.0);
        let slip = self.slip(lane, &id, title, rows, None);
        self.print(lane, Document::Slip(slip), false);
        Ok(())
    }

    fn print_shift(&mut self, lane: LaneId, at: Utc, report: &ShiftReport, copy: bool) {
        let money = |label: (&str, &str), amount: Money| SlipRow::of(label, self.config.currency.show(amount));
        let mut rows: Vec<SlipRow> = alloc::vec![SlipRow::of(("收银员", "Cashier"), report.staff.to_string())];
        rows.extend(report.totals.rows(&self.config.currency));
        rows.extend([
            money(("备用金", "Float"), report.totals.drawer.float),
            money(("清点金额", "Counted"), report.counted),
            money(("应有金额", "Expected"), report.expected),
            money(("差额", "Difference"), report.difference),
            money(("累计总额", "Perpetual total"), report.perpetual),
        ]);
        let title = Name {
            zh: alloc::format!("Z 报表 · 班次 {}", report.shift),
            en: alloc::format!("Z report, shift {}", report.shift),
        };
        let slip = self.slip(lane, &alloc::format!("z-{lane}-{}", report.shift), title, rows, None);
        self.print(lane, Document::Slip(Slip { at, copy, ..slip }), false);
    }
}
