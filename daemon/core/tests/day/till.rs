//! Hands and eyes: presses, what the till answered, and the questions it puts to staff.

use super::Day;
use super::goods::{FORMULA, SPIRITS};
use checkout::basket::BasketEvent;
use checkout::device::{DeviceCommand, DeviceEvent, Document};
use checkout::event::Event;
use checkout::page::{PageRequest, Refused, StaffRequest};
use checkout::receipt::Slip;
use checkout::refusal::LineRefusal;
use checkout::returns::Sold;
use checkout::view::LaneView;
use checkout::words::{LaneId, Mono, Now, RequestId, Role, StaffId, Utc};
use checkout::{Effect, Input, Step};

impl Day {
    pub fn take(&mut self, input: Input) {
        self.clock += 10;
        self.last = Step::default();
        let now = Now { mono: Mono(self.clock), utc: Utc(self.utc), offset_min: 480 };
        self.store.step(now, input, &self.shelf, &mut self.last);
        for record in &self.last.events {
            let Event::Basket(BasketEvent::Completed(sale)) = &record.event else { continue };
            let sold = Sold { lane: record.lane.expect("a lane"), at: record.utc, sale: (**sale).clone() };
            self.shelf.sales.insert(sale.transaction.0.clone(), sold);
        }
        self.journal.extend(self.last.events.iter().cloned());
    }

    pub fn device(&mut self, device: String, event: DeviceEvent) {
        self.take(Input::Device { device: device.as_str().into(), event });
    }

    pub fn asked(&mut self, lane: u16, what: PageRequest) -> Result<(), Refused> {
        self.take(Input::Page { lane: LaneId(lane), request: RequestId(1), what });
        let reply = self.last.effects.iter().find_map(|effect| match effect {
            Effect::Reply { result, .. } => Some(*result),
            Effect::Device { .. } | Effect::Ask { .. } | Effect::Control(_) => None,
        });
        reply.expect("every press is answered")
    }

    pub fn press(&mut self, lane: u16, what: PageRequest) {
        let told = format!("{what:?}");
        self.asked(lane, what).unwrap_or_else(|refused| panic!("basket {}: {told}: {refused:?}", self.step));
    }

    pub fn key(&mut self, lane: u16, code: &str) {
        self.press(lane, PageRequest::Key { code: code.into() });
    }

    pub fn staff(&mut self, lane: u16, request: StaffRequest) {
        self.press(lane, PageRequest::Staff { staff: StaffId("s-1".into()), role: Role::Supervisor, request });
    }

    pub fn lane(&self, lane: u16) -> LaneView {
        self.store.view(&self.shelf).lanes.into_iter().find(|view| view.lane.0 == lane).expect("the lane is configured")
    }

    pub fn printed(&self) -> Slip {
        let slip = self.last.effects.iter().find_map(|effect| match effect {
            Effect::Device { command: DeviceCommand::Print(job), .. } => match &job.document {
                Document::Slip(slip) => Some(slip.clone()),
                Document::Receipt(_) => None,
            },
            Effect::Device { .. } | Effect::Ask { .. } | Effect::Reply { .. } | Effect::Control(_) => None,
        });
        slip.expect("a slip is printed")
    }

    /// Why the last scan was refused.
    pub fn refused(&self) -> Option<LineRefusal> {
        self.last.events.iter().find_map(|record| {
            let Event::Basket(BasketEvent::LineRefused { reason, .. }) = &record.event else { return None };
            Some(*reason)
        })
    }

    /// Questions about age and limits are answered where they come up; now and then with a no.
    pub fn answers(&mut self, lane: u16) {
        while let Some(asked) = self.lane(lane).interventions.first().cloned() {
            let approved = !self.random.one_in(4);
            let request =
                StaffRequest::Answer { intervention: asked.id, approved, reason: "looked at by a supervisor".into() };
            self.staff(lane, request);
            match (asked.kind.as_str(), approved) {
                ("age", true) => self.did("age yes"),
                ("age", false) => {
                    self.did("age no");
                    let at = self
                        .basket
                        .rows
                        .iter()
                        .position(|row| row.what == SPIRITS && row.back.is_none())
                        .expect("they ask about it");
                    let worth = self.basket.rows.remove(at).gross();
                    self.book(lane, |books| books.line_voids = (books.line_voids.0 + 1, books.line_voids.1 + worth));
                }
                ("pieces", true) => self.did("limit yes"),
                ("pieces", false) => {
                    self.did("limit no");
                    let row = self.basket.rows.iter_mut().find(|row| row.what == FORMULA && row.back.is_none());
                    row.expect("they ask about it").pieces = 2;
                }
                (other, _) => panic!("basket {}: nobody expected {other}", self.step),
            }
        }
    }

    /// The draw came out for a look: some pieces are scanned again, and it is said what was found.
    pub fn look(&mut self, lane: u16) {
        let asked = self.lane(lane).interventions.first().cloned().expect("a look");
        assert_eq!(asked.kind, "rescan");
        self.staff(lane, StaffRequest::Attend {});
        let open = self.store.facts().lanes[&LaneId(lane)].open.clone().expect("a basket");
        let (pieces, first) = (open.pieces(), open.live_lines().next().expect("a line").key.0.clone());
        let code = match first.as_str() {
            super::goods::HAM | super::goods::PLATTER => super::goods::COLA.into(),
            super::goods::PHONE => format!("010{first}21A1"),
            _ => first,
        };
        self.key(lane, &code);
        let open = self.store.facts().lanes[&LaneId(lane)].open.as_ref().expect("a basket");
        assert_eq!(open.pieces(), pieces, "looking adds nothing");
        let request = StaffRequest::Answer { intervention: asked.id, approved: true, reason: "all scanned".into() };
        self.staff(lane, request);
        self.did("rescan");
    }
}
