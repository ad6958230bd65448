//! Draws the [`View`] from facts and live state.

use crate::Store;
use crate::basket::{Line, LineSaving, Transaction};
use crate::catalog::Catalog;
use crate::config::{LaneConfig, PriceRules};
use crate::facts::Facts;
use crate::lane::receipt;
use crate::member::IdentifiedBy;
use crate::price;
use crate::tender::{Tender, TenderState};
use crate::turn::{LaneLive, Live};
use crate::view::{
    DeviceView, FaceView, InterventionView, LaneView, LineView, MemberView, PerContentView, Phase, ReceiptView,
    SavingView, TenderKind, TenderView, View, WeighingView,
};
use crate::words::{DeviceId, LaneId, Money, Name};
use alloc::vec::Vec;

impl Store {
    /// The picture others may read.
    #[must_use]
    pub fn view(&self, catalog: &dyn Catalog) -> View {
        View {
            store: self.config.store.clone(),
            currency: self.config.currency.clone(),
            price_book: catalog.price_book(),
            online: self.live.online,
            lanes: self.config.lanes.iter().map(|lane| self.lane_view(lane, catalog)).collect(),
            day: self.facts.day,
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
        LaneView {
            lane: config.lane,
            kind: config.kind,
            language: live.language,
            phase: phase(open, tender, live),
            transaction: open.map(|open| open.id.clone()),
            lines: basket.live_lines().map(|line| line_view(line, &self.config.price)).collect(),
            pieces: basket.pieces(),
            subtotal: basket.subtotal(),
            discount: basket.discount(),
            total: basket.total(),
            taxes: price::taxes(basket.live_lines(), &self.config.price),
            paid: basket.paid(),
            due: basket.due().max(Money::ZERO),
            member: member_view(basket, catalog),
            face: live.face.as_ref().map(|face| FaceView {
                attempt: face.attempt,
                hint: face.hint,
                outcome: face.outcome,
            }),
            weighing: live.weighing.as_ref().map(|it| WeighingView {
                name: it.item.name.clone(),
                unit_price: it.item.price,
                tare_g: it.tare_g,
            }),
            tender: tender_view(basket, tender, live),
            interventions: interventions(basket),
            help_since: facts.and_then(|facts| facts.help_since),
            notice: live.notice.clone(),
            receipt: self.receipt_view(config, catalog),
            devices: config.devices().map(|(kind, name)| device_view(&self.live, kind, name)).collect(),
        }
    }

    fn receipt_view(&self, config: &LaneConfig, catalog: &dyn Catalog) -> Option<ReceiptView> {
        let last = self.facts.lanes.get(&config.lane)?.last_sale.as_ref()?;
        let language = self.live.lanes.get(&config.lane).map(|live| live.language).unwrap_or_default();
        let receipt = receipt(&self.config, catalog, language, config.lane, last, last.prints > 1);
        Some(ReceiptView { receipt, printed: last.printed })
    }
}

pub(crate) fn phase_of(facts: &Facts, live: &Live, lane: LaneId) -> Phase {
    let idle = LaneLive::default();
    let open = facts.lanes.get(&lane).and_then(|facts| facts.open.as_ref());
    phase(open, open.and_then(unsettled), live.lanes.get(&lane).unwrap_or(&idle))
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
        (Some(_), None) if live.wants_wallet_code => Phase::Paying,
        (Some(_), None) if live.weighing.is_some() => Phase::Weighing,
        (Some(_), None) => Phase::Scanning,
        (None, None) if live.done => Phase::Done,
        (None, None) => Phase::Idle,
    }
}

fn line_view(line: &Line, rules: &PriceRules) -> LineView {
    let saving = |saving: &LineSaving| SavingView { name: saving.name.clone(), amount: saving.amount };
    LineView {
        no: line.no,
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
    }
}

fn member_view(basket: &Transaction, catalog: &dyn Catalog) -> Option<MemberView> {
    let identified = basket.member.as_ref()?;
    let member = catalog.member_by_id(&identified.member);
    Some(MemberView {
        masked: member.as_ref().map_or_else(|| "***".into(), crate::catalog::Member::masked),
        level: member.map(|member| member.level).unwrap_or_default(),
        by_face: identified.by == IdentifiedBy::Face,
    })
}

fn tender_view(basket: &Transaction, tender: Option<&Tender>, live: &LaneLive) -> Option<TenderView> {
    if let Some(tender) = tender {
        return Some(TenderView {
            tender: Some(tender.id.clone()),
            kind: tender.kind,
            amount: tender.amount,
            text: live.tender_text.clone(),
        });
    }
    let text = Name { zh: "请出示付款码".into(), en: "Please show your payment code to the scanner".into() };
    live.wants_wallet_code.then(|| TenderView { tender: None, kind: TenderKind::Wallet, amount: basket.due(), text })
}

fn interventions(basket: &Transaction) -> Vec<InterventionView> {
    let asked = basket.interventions.iter().filter(|asked| asked.answer.is_none());
    asked
        .map(|asked| {
            let crate::lane::InterventionKind::Age { line, .. } = asked.kind;
            InterventionView { id: asked.id, kind: "age".into(), line: Some(line), text: asked.kind.text() }
        })
        .collect()
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
