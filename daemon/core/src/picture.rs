//! Draws the [`View`] from facts and live state.

use crate::Store;
use crate::bagging::BagLive;
use crate::basket::Transaction;
use crate::catalog::{Catalog, Member};
use crate::config::{LaneConfig, PriceRules};
use crate::facts::Facts;
use crate::handover::{Suspended, code_of};
use crate::intervention::Intervention;
use crate::line::{Line, LineSaving};
use crate::member::IdentifiedBy;
use crate::page::Refused;
use crate::paper::receipt;
use crate::price;
use crate::receipt::{Currency, ReceiptTender};
use crate::returns::Sold;
use crate::rules::BaggingRules;
use crate::sale::{SaleLine, SaleTender};
use crate::shift::Shift;
use crate::tender::{RefundTask, TaskState, Tender, TenderState};
use crate::turn::{DeviceLive, FaceLive, LaneLive, Live, Wish};
use crate::view::{
    AttendingView, BaggingView, CheckView, ConfirmingView, DeviceView, FaceView, InterventionView, LaneView, LineView,
    MemberView, PaidView, PerContentView, Phase, PointsView, ReceiptView, RefundTaskView, RescanView, SavingView,
    ShiftView, SoldLineView, SoldView, SuspendedView, TenderKind, TenderView, View, WeighingView,
};
use crate::words::{DeviceId, LaneId, MemberId, Name, TenderId};
use alloc::vec::Vec;

impl Store {
    /// The picture others may read.
    #[must_use]
    pub fn view(&self, catalog: &dyn Catalog) -> View {
        View {
            store: self.config.store.clone(),
            currency: self.config.currency.clone(),
            price_book: catalog.price_book(),
            datasets: self
                .facts
                .datasets
                .iter()
                .filter(|(name, _)| catalog.has(name))
                .map(|(name, at)| (name.clone(), at.clone()))
                .collect(),
            online: self.live.online,
            lanes: self.config.lanes.iter().map(|lane| self.lane_view(lane, catalog)).collect(),
            day: self.facts.day.clone(),
            last_day: self.facts.last_day.clone(),
            suspended: self.facts.suspended.values().map(suspended_view).collect(),
            changed_terminals: self
                .facts
                .terminals
                .iter()
                .filter(|(_, known)| known.changed.is_some())
                .map(|(device, _)| device.clone())
                .collect(),
            exposure: self.facts.exposure.clone(),
            closings: self.facts.closings.clone(),
            refund_tasks: self.facts.late.tasks.iter().map(task_view).collect(),
            training: self.config.till.training,
            audit: self.facts.audit.clone(),
            overrides: self.config.floor.overrides,
            upkeep: self.facts.upkeep.clone(),
        }
    }

    fn lane_view(&self, config: &LaneConfig, catalog: &dyn Catalog) -> LaneView {
        let idle = LaneLive::default();
        let live = self.live.lanes.get(&config.lane).unwrap_or(&idle);
        let facts = self.facts.lanes.get(&config.lane);
        let nothing = Transaction::new("".into());
        let open = facts.and_then(|facts| facts.open.as_ref());
        let basket = open.unwrap_or(&nothing);
        let tender = unsettled(basket);
        let shifts = facts.map(|facts| &facts.shifts);
        LaneView {
            lane: config.lane,
            kind: config.kind,
            language: live.language,
            phase: phase(open, tender, live),
            transaction: open.map(|open| open.id.clone()),
            lines: basket.live_lines().map(|line| line_view(line, basket, &self.config.price)).collect(),
            pieces: basket.pieces(),
            subtotal: basket.subtotal(),
            discount: basket.discount(),
            total: basket.total(),
            taxes: price::taxes(basket.live_lines(), &self.config.price),
            paid: basket.paid(),
            rounding: basket.rounding,
            due: basket.due(),
            tenders: paid_view(basket),
            voiding: basket.voiding.is_some(),
            cash_only: self.live.cash_only(&self.config, config.lane),
            handed: live.handed.as_ref().map(code_of),
            shift: shifts.and_then(|shifts| shifts.open.as_ref()).map(shift_view),
            last_shift: shifts.and_then(|shifts| shifts.last.clone()),
            found: live.found.as_ref().map(|sold| self.sold_view(sold)),
            member: self.member_view(basket, catalog),
            face: live.face.as_ref().map(face_view),
            camera: live.camera_until.is_some(),
            confirming: self.confirming_view(basket, live, catalog),
            shown_data: shown_data(open, live),
            data_shown: shown_data(open, live).is_some(),
            face_narrow: vision(config, &self.live).is_some_and(|camera| camera.narrow),
            face_failures: self.facts.faces.lanes.get(&config.lane).map_or(0, |failures| failures.count),
            face_pay: self.config.floor.face.pay
                && self.live.online
                && !self.config.till.training
                && vision(config, &self.live).is_some_and(|camera| camera.up),
            weighing: live.weighing.as_ref().map(|it| WeighingView {
                name: it.item.name.clone(),
                unit_price: it.item.price,
                tare_g: it.tare_g,
            }),
            tender: tender_view(tender, live, &self.facts),
            interventions: interventions(basket, &self.config.currency),
            bagging: config
                .bagging
                .as_ref()
                .filter(|scale| self.live.devices.get(scale).is_some_and(|device| device.up))
                .map(|_| bagging_view(basket, &self.facts, &self.config.floor.bagging, &live.bag)),
            rescan: rescan_view(basket),
            attending: live.attending.as_ref().map(|attending| AttendingView {
                staff: attending.by.staff.clone(),
                role: attending.by.role,
                pin: !self.config.floor.badge_without_pin,
            }),
            coupons: basket.coupons.clone(),
            note: basket.note.clone(),
            help_since: facts.and_then(|facts| facts.help_since),
            notice: live.notice.clone(),
            receipt: self.receipt_view(config, catalog),
            devices: config.devices().map(|(kind, name)| device_view(&self.live, kind, name)).collect(),
        }
    }

    fn confirming_view(&self, basket: &Transaction, live: &LaneLive, catalog: &dyn Catalog) -> Option<ConfirmingView> {
        let attempt = live.confirming.as_ref()?.attempt();
        let masked = self.member_view(basket, catalog)?.masked;
        let amount = basket.due();
        Some(ConfirmingView { attempt, masked, amount, factor: self.config.floor.face.factor(amount) })
    }

    fn member_view(&self, basket: &Transaction, catalog: &dyn Catalog) -> Option<MemberView> {
        let identified = basket.member.as_ref()?;
        let member = catalog.member_by_id(&identified.member);
        let points = self.points_view(basket, member.as_ref(), catalog);
        Some(MemberView {
            masked: member.as_ref().map_or_else(|| "***".into(), Member::masked),
            level: member.map(|member| member.level).unwrap_or_default(),
            by_face: identified.by == IdentifiedBy::Face,
            by_code: identified.by == IdentifiedBy::Code,
            points,
        })
    }

    fn points_view(&self, basket: &Transaction, member: Option<&Member>, catalog: &dyn Catalog) -> Option<PointsView> {
        let rules = &self.config.floor.points;
        let balance = self.facts.balance(member.filter(|_| rules.any())?);
        let spendable = self.facts.spendable(rules, basket, member, self.live.online, catalog);
        let fits = rules.points_for(basket.due());
        Some(PointsView {
            balance,
            will_earn: basket.points(rules).map_or(0, |points| points.earned),
            payable: rules.worth_of(spendable.unwrap_or(0).min(fits)),
            refused: spendable.err().filter(|_| balance > 0 && rules.burn()).map(Refused::text),
        })
    }

    fn sold_view(&self, sold: &Sold) -> SoldView {
        let line = |line: &SaleLine| SoldLineView {
            no: line.no,
            name: line.name.clone(),
            quantity: line.quantity,
            weight_g: line.weight_g,
            total: line.total,
            left: line.quantity.saturating_sub(self.facts.back(&sold.sale.transaction, line.no).quantity),
        };
        let tender = |tender: &SaleTender| ReceiptTender {
            kind: tender.kind.name(),
            amount: tender.amount,
            details: tender.details.clone(),
        };
        SoldView {
            transaction: sold.sale.transaction.clone(),
            lane: sold.lane,
            receipt: sold.sale.receipt,
            at: sold.at,
            lines: sold.sale.lines.iter().filter(|line| !line.kind.is_negative()).map(line).collect(),
            tenders: sold.sale.tenders.iter().map(tender).collect(),
            face_paid: sold.sale.tenders.iter().any(|tender| tender.kind == TenderKind::MemberWallet),
        }
    }

    fn receipt_view(&self, config: &LaneConfig, catalog: &dyn Catalog) -> Option<ReceiptView> {
        let last = self.facts.lanes.get(&config.lane)?.last_sale.as_ref()?;
        let language = self.live.lanes.get(&config.lane).map(|live| live.language).unwrap_or_default();
        let mut receipt = receipt(&self.config, catalog, language, config.lane, last, last.prints > 1);
        // Whoever reads a coupon's code can use it: it leaves the page with the shopper.
        if !self.live.lanes.get(&config.lane).is_some_and(|live| live.done) {
            receipt.coupons.clear();
        }
        Some(ReceiptView { receipt, printed: last.printed })
    }
}

pub(crate) fn phase_of(facts: &Facts, live: &Live, lane: LaneId) -> Phase {
    let idle = LaneLive::default();
    let open = facts.lanes.get(&lane).and_then(|facts| facts.open.as_ref());
    phase(open, open.and_then(unsettled), live.lanes.get(&lane).unwrap_or(&idle))
}

fn face_view(face: &FaceLive) -> FaceView {
    let enrols = match &face.wish {
        Wish::Enrol { by, .. } => Some(by.clone()),
        Wish::Identify | Wish::Pay => None,
    };
    FaceView { attempt: face.attempt, hint: face.hint, enrols, outcome: face.outcome }
}

/// Nobody's once another member is at the lane, or the same one by something that proves less.
fn shown_data(open: Option<&Transaction>, live: &LaneLive) -> Option<MemberId> {
    let here = open?.member.as_ref().filter(|here| here.by == IdentifiedBy::Code)?;
    live.shown_data.clone().filter(|shown| *shown == here.member)
}

fn vision<'a>(config: &LaneConfig, live: &'a Live) -> Option<&'a DeviceLive> {
    live.devices.get(config.vision.as_ref()?)
}

/// The payment under way.
fn unsettled(basket: &Transaction) -> Option<&Tender> {
    basket.tenders.iter().find(|tender| !matches!(tender.state, TenderState::Approved | TenderState::Declined))
}

fn phase(open: Option<&Transaction>, tender: Option<&Tender>, live: &LaneLive) -> Phase {
    match (open, tender.map(|tender| tender.state)) {
        (_, Some(TenderState::InDoubt)) => Phase::InDoubt,
        (_, Some(TenderState::Staff)) => Phase::Staff,
        (_, Some(TenderState::Started | TenderState::Answered | TenderState::Approved | TenderState::Declined)) => {
            Phase::Paying
        }
        (Some(_), None) if live.pays_by_code().is_some() => Phase::Paying,
        (Some(_), None) if live.weighing.is_some() => Phase::Weighing,
        (Some(_), None) => Phase::Scanning,
        (None, None) if live.done => Phase::Done,
        (None, None) if live.handed.is_some() => Phase::Handed,
        (None, None) => Phase::Idle,
    }
}

fn line_view(line: &Line, basket: &Transaction, rules: &PriceRules) -> LineView {
    let saving = |saving: &LineSaving| SavingView { name: saving.name.clone(), amount: saving.amount };
    LineView {
        no: line.no,
        kind: line.kind,
        name: line.name.clone(),
        quantity: line.quantity,
        weight_g: line.weight_g,
        unit_price: line.unit_price,
        per_content: line
            .content
            .and_then(|content| price::per_content(line.unit_price, content, rules))
            .map(|(price, of)| PerContentView { price, of }),
        gross: line.gross(),
        savings: line.savings.iter().map(saving).collect(),
        total: line.total(),
        min_age: line.min_age,
        parent: line.parent,
        tare_g: line.tare_g,
        serial: line.serial.clone(),
        list_price: line.overridden.as_ref().map(|overridden| overridden.list_price),
        note: line.note.clone(),
        skipped: basket.bag.lines.get(&line.no).is_some_and(|bagged| bagged.skipped),
    }
}

fn tender_view(tender: Option<&Tender>, live: &LaneLive, facts: &Facts) -> Option<TenderView> {
    if let Some(tender) = tender {
        return Some(TenderView {
            tender: Some(tender.id.clone()),
            kind: tender.kind,
            amount: tender.amount,
            check: check_view(tender, facts),
            text: refund_text(tender)
                .filter(|_| live.tender_text == Name::default())
                .unwrap_or_else(|| live.tender_text.clone()),
        });
    }
    let text = Name { zh: "请出示付款码".into(), en: "Please show your payment code to the scanner".into() };
    let waits = |amount| TenderView { tender: None, kind: TenderKind::Wallet, amount, check: None, text };
    live.pays_by_code().map(waits)
}

/// What a person compares with the terminal's last slip, or the provider's list, before saying what became of it.
fn check_view(tender: &Tender, facts: &Facts) -> Option<CheckView> {
    if !matches!(tender.state, TenderState::InDoubt | TenderState::Staff) {
        return None;
    }
    let last = tender.device.as_ref().and_then(|device| facts.terminals.get(device)).and_then(|known| known.last);
    Some(CheckView {
        started: tender.started,
        device: tender.device.clone(),
        terminal: tender.slip.as_ref().map(|slip| slip.terminal.clone()).unwrap_or_default(),
        trace: tender.slip.as_ref().map(|slip| slip.trace),
        last_trace: last.filter(|trace| *trace != 0),
        giving_up: tender.giving_up,
    })
}

/// What staff are told of a refund no machine said anything of: where one was asked, that it may have gone back already.
fn refund_text(tender: &Tender) -> Option<Name> {
    let (zh, en) = if tender.is_by_hand() {
        ("请用原付款方式办理退款，完成后在此确认", "Give this back the way it was paid, then confirm it here")
    } else {
        (
            "请先查看是否已经退款，没有退再人工办理，然后在此确认",
            "See first whether it went back already; only if not give it back by hand, then confirm it here",
        )
    };
    (tender.is_refund() && tender.state == TenderState::Staff).then(|| Name { zh: zh.into(), en: en.into() })
}

fn paid_view(basket: &Transaction) -> Vec<PaidView> {
    let stands = basket.tenders.iter().filter(|tender| tender.state == TenderState::Approved);
    stands.map(|tender| PaidView { kind: tender.kind, amount: tender.amount }).collect()
}

fn task_view((tender, task): (&TenderId, &RefundTask)) -> RefundTaskView {
    RefundTaskView {
        tender: tender.clone(),
        kind: task.kind,
        lane: task.lane,
        amount: task.amount,
        reference: task.reference.clone(),
        at: task.at,
        done: task.state == TaskState::Done,
        staff: task.state == TaskState::Staff,
    }
}

fn suspended_view(waiting: &Suspended) -> SuspendedView {
    let basket = &waiting.basket;
    SuspendedView {
        transaction: basket.id.clone(),
        code: code_of(&basket.id),
        lane: waiting.lane,
        at: waiting.at,
        pieces: basket.pieces(),
        total: basket.total(),
        member: basket.member.is_some(),
    }
}

fn shift_view(shift: &Shift) -> ShiftView {
    ShiftView { number: shift.number, staff: shift.staff.clone(), opened: shift.opened, totals: shift.totals.clone() }
}

fn interventions(basket: &Transaction, currency: &Currency) -> Vec<InterventionView> {
    let view = |asked: &Intervention| InterventionView {
        id: asked.id,
        kind: asked.kind.code().into(),
        line: asked.kind.line(),
        text: asked.kind.text(|amount| currency.show(amount)),
        shopper: asked.kind.shopper_text(),
        role: asked.role,
    };
    basket.waiting().map(view).collect()
}

fn bagging_view(basket: &Transaction, facts: &Facts, rules: &BaggingRules, bag: &BagLive) -> BaggingView {
    let expected = basket.bag_expected(&facts.weights, rules);
    let right = bag.measured_g.is_none_or(|grams| expected.fits(i64::from(grams)));
    BaggingView {
        expected_g: expected.expected_g,
        measured_g: bag.measured_g,
        tolerance_g: expected.tolerance_g,
        samples: expected.samples,
        waiting: expected.pieces,
        line: expected.line,
        right: right && expected.pieces == 0,
        muted: basket.bag.muted,
    }
}

fn rescan_view(basket: &Transaction) -> Option<RescanView> {
    let (id, pieces) = basket.looking()?;
    let matched = basket.rescan.matched.values().copied().fold(0, u32::saturating_add);
    Some(RescanView { intervention: id, pieces, matched, missed: basket.rescan.missed })
}

fn device_view(live: &Live, kind: &str, name: &DeviceId) -> DeviceView {
    let state = live.devices.get(name);
    DeviceView {
        name: name.clone(),
        kind: kind.into(),
        up: state.is_some_and(|state| state.up),
        detail: state.and_then(|state| state.detail.clone()),
    }
}
