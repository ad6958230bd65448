//! What happens at a lane besides goods and money: interventions, calls for help, receipts on paper.

use crate::basket::{LineKind, Sale, SaleLine, SaleTender, Transaction};
use crate::catalog::Catalog;
use crate::config::StoreConfig;
use crate::device::{DeviceCommand, Document, PrintJob, PrinterEvent};
use crate::event::Event;
use crate::facts::LastSale;
use crate::page::Refused;
use crate::receipt::{Receipt, ReceiptKind, ReceiptLine, ReceiptTender, Slip, SlipRow};
use crate::turn::{Effect, Turn};
use crate::words::{DeviceId, LaneId, Language, LineNo, Name, StaffId, TransactionId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneEvent {
    InterventionRaised {
        id: u64,
        kind: InterventionKind,
    },
    InterventionAnswered {
        id: u64,
        approved: bool,
        staff: StaffId,
    },
    HelpCalled,
    HelpEnded {
        staff: StaffId,
    },
    /// Durable before the first byte goes to the printer: a second one is always marked as a copy.
    ReceiptSent {
        transaction: TransactionId,
        copy: bool,
    },
    /// The printer confirmed the whole job.
    ReceiptPrinted {
        transaction: TransactionId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InterventionKind {
    Age { line: LineNo, years: u8 },
}

/// A question only staff can answer; nothing can be paid before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intervention {
    pub id: u64,
    pub kind: InterventionKind,
    pub answer: Option<bool>,
}

impl InterventionKind {
    pub(crate) fn text(&self) -> Name {
        match self {
            Self::Age { years, .. } => Name {
                zh: alloc::format!("请店员确认顾客已满 {years} 周岁"),
                en: alloc::format!("An assistant checks that the shopper is {years} or older"),
            },
        }
    }
}

impl Transaction {
    pub(crate) fn apply_intervention(&mut self, event: &LaneEvent) {
        match event {
            LaneEvent::InterventionRaised { id, kind } => {
                self.interventions.push(Intervention { id: *id, kind: kind.clone(), answer: None });
            }
            LaneEvent::InterventionAnswered { id, approved, .. } => {
                if let Some(asked) = self.interventions.iter_mut().find(|asked| asked.id == *id) {
                    asked.answer = Some(*approved);
                }
            }
            LaneEvent::HelpCalled
            | LaneEvent::HelpEnded { .. }
            | LaneEvent::ReceiptSent { .. }
            | LaneEvent::ReceiptPrinted { .. } => {}
        }
    }

    /// The youngest age staff has confirmed for this shopper, or is being asked about.
    fn age_asked(&self) -> u8 {
        let years = |asked: &Intervention| match (&asked.kind, asked.answer) {
            (InterventionKind::Age { years, .. }, None | Some(true)) => *years,
            (InterventionKind::Age { .. }, Some(false)) => 0,
        };
        self.interventions.iter().map(years).max().unwrap_or(0)
    }
}

/// Interventions and help.
impl Turn<'_> {
    pub(crate) fn raise_age_check(&mut self, lane: LaneId) {
        let Some(open) = self.open(lane) else { return };
        let asked = open.age_asked();
        let restricted = open.live_lines().filter_map(|line| line.min_age.map(|years| (years, line.no)));
        let Some((years, line)) = restricted.max_by_key(|(years, _)| *years).filter(|(years, _)| *years > asked) else {
            return;
        };
        let id = self.facts.interventions.saturating_add(1);
        let kind = InterventionKind::Age { line, years };
        self.record(Some(lane), Event::Lane(LaneEvent::InterventionRaised { id, kind }));
    }

    pub(crate) fn answer(&mut self, lane: LaneId, id: u64, approved: bool, staff: StaffId) -> Result<(), Refused> {
        let open = self.open(lane).ok_or(Refused::NothingHere)?;
        let asked = open.interventions.iter().find(|asked| asked.id == id && asked.answer.is_none());
        let InterventionKind::Age { years, .. } = asked.ok_or(Refused::NothingHere)?.kind;
        self.record(Some(lane), Event::Lane(LaneEvent::InterventionAnswered { id, approved, staff }));
        if !approved {
            self.void_restricted(lane, years);
            self.notice(
                lane,
                false,
                ("店员未能确认年龄，该商品已取消", "Age could not be confirmed: the item was taken out"),
            );
        }
        Ok(())
    }

    fn void_restricted(&mut self, lane: LaneId, years: u8) {
        let Some(open) = self.open(lane) else { return };
        let restricted: Vec<LineNo> =
            open.live_lines().filter(|line| line.min_age.is_some_and(|age| age >= years)).map(|line| line.no).collect();
        for line in restricted {
            self.take_out(lane, line);
        }
        self.basket_changed(lane);
    }

    pub(crate) fn call_help(&mut self, lane: LaneId) {
        if self.facts.lane(lane).help_since.is_none() {
            self.record(Some(lane), Event::Lane(LaneEvent::HelpCalled));
        }
    }

    pub(crate) fn end_help(&mut self, lane: LaneId, staff: StaffId) -> Result<(), Refused> {
        self.facts.lane(lane).help_since.ok_or(Refused::NothingHere)?;
        self.record(Some(lane), Event::Lane(LaneEvent::HelpEnded { staff }));
        Ok(())
    }
}

/// Paper.
impl Turn<'_> {
    pub(crate) fn print_last(&mut self, lane: LaneId, copy: bool, drawer: bool) {
        let Some(printer) = self.config.lane(lane).and_then(|lane| lane.printer.clone()) else {
            return;
        };
        let Some(last) = self.facts.lane(lane).last_sale.clone() else {
            return;
        };
        if !self.live.device(&printer).up {
            return self.notice(
                lane,
                false,
                ("打印机暂不可用，小票稍后补打", "The printer is away: the receipt follows"),
            );
        }
        let copy = copy || last.prints > 0;
        let sent = LaneEvent::ReceiptSent { transaction: last.sale.transaction.clone(), copy };
        self.record(Some(lane), Event::Lane(sent));
        let language = self.live.lane(lane).language;
        let receipt = receipt(self.config, self.catalog, language, lane, &last, copy);
        self.print(lane, Document::Receipt(receipt), drawer);
    }

    /// Sends `document` to the lane's printer, if there is one.
    pub(crate) fn print(&mut self, lane: LaneId, document: Document, drawer: bool) {
        let Some(device) = self.config.lane(lane).and_then(|lane| lane.printer.clone()) else { return };
        let command = DeviceCommand::Print(Box::new(PrintJob { document, drawer }));
        self.out.effects.push(Effect::Device { device, command });
    }

    pub(crate) fn slip(
        &mut self,
        lane: LaneId,
        id: &str,
        title: Name,
        rows: Vec<SlipRow>,
        code: Option<alloc::string::String>,
    ) -> Slip {
        Slip {
            store: self.config.store.clone(),
            lane,
            id: id.into(),
            at: self.now.utc,
            utc_offset_min: self.now.offset_min,
            language: self.live.lane(lane).language,
            title,
            rows,
            code,
            training: self.config.till.training,
            copy: false,
        }
    }

    /// After a restart or when the printer comes back: a receipt nobody saw printed is printed, marked as a copy if it was sent before.
    pub(crate) fn reprint_unconfirmed(&mut self, lane: LaneId) {
        // One copy by itself; a printer that never confirms would otherwise print for ever.
        let pending = self.facts.lane(lane).last_sale.as_ref().is_some_and(|last| !last.printed && last.prints < 2);
        let up = self
            .config
            .lane(lane)
            .and_then(|lane| lane.printer.clone())
            .is_some_and(|printer| self.live.device(&printer).up);
        if pending && up {
            self.print_last(lane, false, false);
        }
    }

    pub(crate) fn printer_up(&mut self, device: &DeviceId) {
        for lane in self.config.lanes_of(device) {
            if self.config.lane(lane).is_some_and(|lane| lane.printer.as_ref() == Some(device)) {
                self.reprint_unconfirmed(lane);
            }
        }
    }

    pub(crate) fn printer(&mut self, device: &DeviceId, event: PrinterEvent) {
        let detail = match event {
            PrinterEvent::Printed { transaction } => {
                for lane in self.config.lanes_of(device) {
                    let last = self.facts.lane(lane).last_sale.as_ref();
                    if last.is_some_and(|last| last.sale.transaction == transaction && !last.printed) {
                        let transaction = transaction.clone();
                        self.record(Some(lane), Event::Lane(LaneEvent::ReceiptPrinted { transaction }));
                    }
                }
                None
            }
            PrinterEvent::PaperOut => Some(("缺纸", "out of paper")),
            PrinterEvent::PaperLow => Some(("纸将用完", "paper is low")),
            PrinterEvent::CoverOpen => Some(("盖子打开", "cover is open")),
            PrinterEvent::Ready => {
                // Only after a complaint: a printer that is merely alive has not lost the job.
                if self.live.device(device).detail.take().is_some() {
                    self.printer_up(device);
                }
                None
            }
        };
        self.live.device(device).detail = detail.map(|(zh, en)| Name { zh: zh.into(), en: en.into() });
    }
}

/// One rendering for paper and page.
pub(crate) fn receipt(
    config: &StoreConfig,
    catalog: &dyn Catalog,
    language: Language,
    lane: LaneId,
    last: &LastSale,
    copy: bool,
) -> Receipt {
    let sale = &last.sale;
    let line = |line: &SaleLine| ReceiptLine {
        name: line.name.clone(),
        quantity: line.quantity,
        weight_g: line.weight_g,
        unit_price: line.unit_price,
        total: line.total,
        savings: line.savings.iter().map(|saving| (saving.name.clone(), saving.amount)).collect(),
    };
    let tender = |tender: &SaleTender| ReceiptTender {
        kind: tender.kind.name(),
        amount: tender.amount,
        details: tender.details.clone(),
    };
    let member = sale.member.as_ref().and_then(|id| catalog.member_by_id(id));
    Receipt {
        store: config.store.clone(),
        lane,
        number: sale.receipt,
        transaction: sale.transaction.clone(),
        at: last.at,
        utc_offset_min: config.utc_offset_min,
        currency: config.currency.clone(),
        language,
        lines: sale.lines.iter().map(line).collect(),
        discount: sale.discount,
        total: sale.total,
        taxes: sale.taxes.clone(),
        tenders: sale.tenders.iter().map(tender).collect(),
        change: sale.change,
        member: member.map(|member| masked_code(&member.code)),
        copy,
        kind: kind(sale),
        training: config.till.training,
        rounding: sale.rounding,
        code: crate::handover::code_of(&sale.transaction),
    }
}

fn kind(sale: &Sale) -> ReceiptKind {
    let returned = |line: &SaleLine| line.kind == LineKind::Returned;
    match (sale.lines.iter().any(returned), sale.lines.iter().all(returned)) {
        (false, _) => ReceiptKind::Sale,
        (true, true) => ReceiptKind::Return,
        (true, false) => ReceiptKind::Exchange,
    }
}

/// `**8811`: the last four of a member code, so that a receipt left on the counter names nobody.
fn masked_code(code: &str) -> alloc::string::String {
    let tail: alloc::string::String = code.chars().rev().take(4).collect::<Vec<_>>().into_iter().rev().collect();
    alloc::format!("**{tail}")
}
