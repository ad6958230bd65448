//! Receipts and slips on the way to the lane's printer.

use crate::catalog::Catalog;
use crate::config::StoreConfig;
use crate::device::{DeviceCommand, Document, PrintJob, PrinterEvent};
use crate::event::Event;
use crate::facts::LastSale;
use crate::lane::LaneEvent;
use crate::line::LineKind;
use crate::receipt::{Receipt, ReceiptKind, ReceiptLine, ReceiptTender, Slip, SlipRow};
use crate::sale::{Sale, SaleLine, SaleTender};
use crate::turn::{Effect, Turn};
use crate::words::{DeviceId, LaneId, Language, Money, Name};
use alloc::boxed::Box;
use alloc::vec::Vec;

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
        kind: line.kind,
        tare_g: line.tare_g,
        serial: line.serial.clone(),
        list_price: line.overridden.as_ref().map(|overridden| overridden.list_price),
    };
    let tender = |tender: &SaleTender| ReceiptTender {
        kind: if tender.amount < Money::ZERO { tender.kind.given_back() } else { tender.kind.name() },
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
        utc_offset_min: sale.utc_offset_min.unwrap_or(config.utc_offset_min),
        currency: config.currency.clone(),
        language,
        lines: sale.lines.iter().map(line).collect(),
        discount: sale.discount,
        total: sale.total,
        taxes: sale.taxes.clone(),
        tenders: sale.tenders.iter().map(tender).collect(),
        change: sale.change,
        member: member.map(|member| masked_code(&member.code)),
        points: crate::points::rows(sale, &config.currency),
        copy,
        kind: kind(sale),
        training: config.till.training,
        rounding: sale.rounding,
        code: crate::handover::code_of(&sale.transaction),
        coupons: sale.issued.iter().filter_map(|issued| issued.shown(catalog)).collect(),
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
