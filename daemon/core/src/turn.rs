//! One input's way through the store: what it may read, what it records, what it asks for.

use crate::attend::Attending;
use crate::bagging::BagLive;
use crate::basket::Transaction;
use crate::catalog::Catalog;
use crate::config::StoreConfig;
use crate::control::{Act, ControlInput, ControlLive};
use crate::device::{DeviceEvent, FaceHint};
use crate::event::{Event, Record};
use crate::facts::Facts;
use crate::member::Enrolment;
use crate::page::{Attendant, PageRequest, Refused, StaffRequest};
use crate::refusal::LineRefusal;
use crate::returns::Sold;
use crate::scan::{Code, Refusal, classify};
use crate::store::{HqInput, PortStatus};
use crate::tender::{Verdict, WalletLive, Wants};
use crate::upkeep::BoxInput;
use crate::view::{FaceEnd, Notice};
use crate::weigh::Weighing;
use crate::wire::Question;
use crate::words::{
    Attempt, DeviceId, LaneId, Language, MemberId, Money, Mono, Name, Now, RequestId, Role, StaffId, TransactionId, Utc,
};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Everything that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    Boot {
        version: String,
        /// Random, different at every start: two starts from one restored disk must not give out the same ids.
        nonce: u64,
    },
    Device {
        device: DeviceId,
        event: DeviceEvent,
    },
    Port {
        device: DeviceId,
        status: PortStatus,
    },
    /// `staffed`: the page port has checked who pressed.
    Page {
        lane: LaneId,
        request: RequestId,
        what: PageRequest,
    },
    Hq(HqInput),
    Box(BoxInput),
    Control(ControlInput),
    /// A deadline has come, see [`crate::Store::deadline`].
    Tick,
}

/// Everything asked of the world; performed only after the events of the same step are on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Device { device: DeviceId, command: crate::device::DeviceCommand },
    Ask { wait_ms: u32, what: Question },
    Reply { request: RequestId, result: Result<(), Refused> },
    Control(Act),
}

/// What one or more steps produced, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub events: Vec<Record>,
    pub effects: Vec<Effect>,
}

/// What does not survive a power cut and is never trusted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Live {
    pub(crate) online: bool,
    /// Late payments are asked to go back again.
    pub(crate) late_due: Option<Mono>,
    pub(crate) lanes: BTreeMap<LaneId, LaneLive>,
    pub(crate) devices: BTreeMap<DeviceId, DeviceLive>,
    /// A member whose template is being erased, and the galleries that have answered.
    pub(crate) erasing: Option<crate::member::Erasing>,
    pub(crate) control: ControlLive,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceLive {
    pub(crate) up: bool,
    pub(crate) detail: Option<Name>,
    /// It is closing its day for this lane; its sum and count, once told.
    pub(crate) closing: Option<(LaneId, Option<Money>, Option<u32>)>,
    /// A camera's gallery is too large to be searched whole.
    pub(crate) narrow: bool,
    /// What it was told to show since it came up.
    pub(crate) sign: Option<crate::device::DeviceCommand>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct LaneLive {
    pub(crate) language: Language,
    /// The thank-you screen.
    pub(crate) done: bool,
    /// A payment code is waited for.
    pub(crate) wants_code: Option<Wants>,
    /// Headquarters is working on a payment.
    pub(crate) wallet: Option<WalletLive>,
    /// The basket that left for another lane: its code stays on the page until the next shopper.
    pub(crate) handed: Option<TransactionId>,
    /// The sale goods are brought back from.
    pub(crate) found: Option<Sold>,
    pub(crate) idle_due: Option<Mono>,
    /// Coupons headquarters is asked about.
    pub(crate) claims: Vec<crate::coupon::Claim>,
    pub(crate) weighing: Option<Weighing>,
    pub(crate) weigh_again: Option<(DeviceId, Mono)>,
    pub(crate) face: Option<FaceLive>,
    /// The camera looks for codes until then.
    pub(crate) camera_until: Option<Mono>,
    /// Whose data the lane's page may be told, as long as that member is there.
    pub(crate) shown_data: Option<MemberId>,
    /// A recognised face that waits for its second factor.
    pub(crate) confirming: Option<crate::face_pay::Confirming>,
    pub(crate) notice: Option<Notice>,
    pub(crate) notices: u64,
    pub(crate) tender_text: Name,
    pub(crate) tender_due: Option<Mono>,
    pub(crate) query_due: Option<Mono>,
    pub(crate) staff_due: Option<Mono>,
    pub(crate) bag: BagLive,
    pub(crate) attending: Option<Attending>,
    pub(crate) lookups: crate::phone::Lookups,
}

#[derive(Clone, Debug)]
pub(crate) struct FaceLive {
    pub(crate) attempt: Attempt,
    /// What it is for.
    pub(crate) wish: Wish,
    /// The one member the shopper claimed to be.
    pub(crate) claimed: Option<MemberId>,
    pub(crate) hint: Option<FaceHint>,
    pub(crate) outcome: Option<FaceEnd>,
    pub(crate) until: Mono,
}

/// Why a camera is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Identify,
    Pay,
    Enrol {
        member: MemberId,
        /// Who of the staff pressed.
        by: StaffId,
    },
}

impl Live {
    pub(crate) fn lane(&mut self, lane: LaneId) -> &mut LaneLive {
        self.lanes.entry(lane).or_default()
    }

    /// Neither terminal nor network: nothing but cash can pay at `lane`.
    pub(crate) fn cash_only(&self, config: &StoreConfig, lane: LaneId) -> bool {
        let terminal = config.lane(lane).and_then(|lane| lane.terminal.as_ref());
        let card = terminal.is_some_and(|device| self.devices.get(device).is_some_and(|device| device.up));
        !card && !self.online && !config.till.training
    }

    pub(crate) fn device(&mut self, device: &DeviceId) -> &mut DeviceLive {
        self.devices.entry(device.clone()).or_default()
    }
}

impl LaneLive {
    /// Ready for the next shopper; the language, the count of notices and numbers looked up stay.
    pub(crate) fn clear(&mut self) {
        let Self { language, notices, lookups, .. } = *self;
        *self = Self { language, notices, lookups, ..Self::default() };
    }

    /// What the code waited for is to pay.
    pub(crate) fn pays_by_code(&self) -> Option<Money> {
        match self.wants_code {
            Some(Wants::Pay(amount)) => Some(amount),
            Some(Wants::Balance) | None => None,
        }
    }

    pub(crate) fn deadlines(&self) -> impl Iterator<Item = (Mono, &'static str)> {
        let face = self.face.as_ref().filter(|face| face.outcome.is_none()).map(|face| face.until);
        let weighing = self.weighing.as_ref().map(|weighing| weighing.until);
        let attending = self.attending.as_ref().map(|attending| attending.until);
        let claim = self.claims.iter().map(|claim| claim.until).min();
        let weigh_again = self.weigh_again.as_ref().map(|(_, due)| *due);
        let wallet = self.wallet.as_ref().map(WalletLive::due);
        let confirming = self.confirming.as_ref().map(|waits| waits.until);
        [
            (weigh_again, "an empty plate"),
            (claim, "headquarters' word on a coupon"),
            (self.tender_due, "a payment's answer"),
            (self.query_due, "a payment to ask about"),
            (self.staff_due, "a payment to hand to staff"),
            (wallet, "a payment to give up"),
            (face, "a face"),
            (self.camera_until, "the camera as scanner"),
            (confirming, "a second factor"),
            (weighing, "a weight"),
            (self.idle_due, "a basket left behind"),
            (self.bag.read_due, "the bagging scale"),
            (attending, "staff at the lane"),
        ]
        .into_iter()
        .filter_map(|(at, why)| at.map(|at| (at, why)))
    }
}

pub(crate) struct Turn<'a> {
    pub(crate) now: Now,
    pub(crate) config: &'a StoreConfig,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) facts: &'a mut Facts,
    pub(crate) live: &'a mut Live,
    pub(crate) out: &'a mut Step,
}

impl Turn<'_> {
    pub(crate) fn take(&mut self, input: Input) {
        match input {
            Input::Boot { version, nonce } => self.boot(version, nonce),
            Input::Device { device, event } => self.device(&device, event),
            Input::Port { device, status } => self.port(device, status),
            Input::Page { lane, request, what } => {
                let result = self.page(lane, what);
                self.touched(lane);
                self.out.effects.push(Effect::Reply { request, result });
            }
            Input::Hq(input) => self.hq(input),
            Input::Box(input) => self.box_says(input),
            Input::Control(input) => self.control(input),
            Input::Tick => self.tick(),
        }
        self.control_on();
        self.signs();
    }

    /// The only way a fact comes into being: applied and queued as one.
    pub(crate) fn record(&mut self, lane: Option<LaneId>, event: Event) {
        if self.spares(&event) {
            return;
        }
        // A clock that fell back (dead battery, wrong server) must not put a sale before the last one.
        let utc = Utc(self.now.utc.0.max(self.facts.latest.0));
        let record = Record { utc, lane, event };
        self.facts.apply(&record);
        self.out.events.push(record);
    }

    pub(crate) fn open(&self, lane: LaneId) -> Option<&Transaction> {
        self.facts.lanes.get(&lane)?.open.as_ref()
    }

    pub(crate) fn notice(&mut self, lane: LaneId, good: bool, (zh, en): (&str, &str)) {
        let live = self.live.lane(lane);
        live.notices = live.notices.saturating_add(1);
        live.notice = Some(Notice { serial: live.notices, good, text: Name { zh: zh.into(), en: en.into() } });
    }

    /// Not again while it already stands there.
    pub(crate) fn notice_once(&mut self, lane: LaneId, good: bool, text: (&str, &str)) {
        let stands = self.live.lane(lane).notice.as_ref().is_some_and(|notice| notice.text.en == text.1);
        if !stands {
            self.notice(lane, good, text);
        }
    }

    fn device(&mut self, device: &DeviceId, event: DeviceEvent) {
        match event {
            DeviceEvent::Scan(scan) => {
                if let Some(lane) = self.scans_for(device) {
                    self.scan(lane, &scan);
                    self.touched(lane);
                }
            }
            DeviceEvent::Weight(weight) => self.weight(device, weight),
            DeviceEvent::Terminal(event) => self.terminal_event(device, event),
            DeviceEvent::Printer(event) => self.printer(device, event),
            DeviceEvent::Face { attempt, event } => self.face(attempt, event),
            DeviceEvent::FaceErased { member, receipt } => self.face_erased(device, member, receipt.map(|it| *it)),
            DeviceEvent::Gallery { whole, .. } => self.live.device(device).narrow = !whole,
            DeviceEvent::Health { ready, detail } => self.health(device, ready, detail),
        }
    }

    fn scan(&mut self, lane: LaneId, scan: &crate::device::Scan) {
        let paying = self.live.lane(lane).wants_code.is_some();
        let code = classify(scan, &self.config.scan, paying);
        let begins = matches!(code, Code::Item(_) | Code::Member(_) | Code::Coupon(_));
        if begins && self.is_out_of_room(lane) {
            return;
        }
        match code {
            Code::Item(code) => self.item(lane, &code),
            Code::Member(code) => self.member_code(lane, &code),
            // To be taken one by one by those who own them.
            Code::Staff(badge) => self.badge(lane, &badge),
            Code::Receipt(transaction) => self.receipt_code(lane, transaction.as_str().into()),
            Code::Coupon(code) => self.coupon_code(lane, &code),
            Code::ExitPass(_) | Code::Order(_) => {
                self.refuse_line(lane, LineRefusal::NotTaken, None);
            }
            Code::Gs1(_) => self.refuse_line(lane, LineRefusal::Code(Refusal::NotGoods), None),
            Code::Wallet { provider, code } => self.payment_code(lane, provider, code),
            Code::Refused(reason) => self.refuse_line(lane, LineRefusal::Code(reason), None),
        }
    }

    fn page(&mut self, lane: LaneId, what: PageRequest) -> Result<(), Refused> {
        if self.config.lane(lane).is_none() {
            return Err(Refused::NoLane);
        }
        if self.is_refused_for_room(lane, &what) {
            return Err(Refused::DiskFull);
        }
        match what {
            PageRequest::Key { code } => {
                self.scan(lane, &crate::device::Scan { aim: None, data: code.into_bytes() });
                Ok(())
            }
            PageRequest::SetQuantity { line, quantity } => self.set_quantity(lane, line, quantity),
            PageRequest::VoidLine { line } => self.void_line(lane, line),
            PageRequest::VoidTransaction {} => self.void_transaction(lane),
            PageRequest::Phone { number } => self.member_phone(lane, &number.0),
            PageRequest::Recognise { consent, tail } => self.look(lane, consent, tail, false),
            PageRequest::PayByFace { consent, tail } => {
                self.floor_gate(lane)?;
                self.pay_by_face(lane, consent, tail)
            }
            PageRequest::ConfirmFacePay { attempt, amount, pin } => self.confirm_face_pay(lane, attempt, amount, pin),
            PageRequest::WithdrawFace {} => self.withdraw_face(lane),
            PageRequest::MyData {} => self.show_data(lane, None),
            PageRequest::PrintMyData { rows } => self.print_data(lane, rows),
            PageRequest::CancelRecognise { attempt } => self.cancel_recognise(lane, attempt),
            PageRequest::OpenCamera {} => self.open_camera(lane),
            PageRequest::CloseCamera {} => self.close_camera(lane),
            PageRequest::RemoveMember {} => self.remove_member(lane),
            PageRequest::Pay { method, amount } => {
                self.floor_gate(lane)?;
                self.pay(lane, method, amount, false)
            }
            PageRequest::CheckGift {} => self.check_gift(lane),
            PageRequest::CancelPayment {} => self.cancel_payment(lane),
            PageRequest::CancelWeighing {} => {
                self.live.lane(lane).weighing.take().map(drop).ok_or(Refused::NothingHere)
            }
            PageRequest::CallHelp {} => {
                self.call_help(lane);
                Ok(())
            }
            PageRequest::Suspend {} => self.suspend(lane, None),
            PageRequest::Speak { language } => {
                self.live.lane(lane).language = language;
                Ok(())
            }
            PageRequest::RemoveCoupon { campaign, serial } => self.remove_coupon(lane, campaign, serial),
            PageRequest::OwnBag {} => self.own_bag(lane),
            PageRequest::SkipBagging { line } => self.skip_bagging(lane, line),
            PageRequest::Badged { request } => self.badged(lane, request),
            PageRequest::LeaveLane {} => {
                self.live.lane(lane).attending = None;
                Ok(())
            }
            PageRequest::Next {} => {
                let live = self.live.lane(lane);
                live.done = false;
                live.handed = None;
                Ok(())
            }
            PageRequest::Staff { staff, role, request } => self.staff(lane, Attendant { staff, role }, request),
        }
    }

    pub(crate) fn staff(&mut self, lane: LaneId, by: Attendant, request: StaffRequest) -> Result<(), Refused> {
        match request {
            StaffRequest::Answer { intervention, approved, reason } => {
                self.answer(lane, intervention, approved, by, &reason)
            }
            StaffRequest::ResolveTender { tender, taken, reason, amount } => {
                self.resolve_tender(lane, tender, Verdict { taken, amount, reason }, by)
            }
            StaffRequest::TakeCash { given, amount } => {
                let staffed = self.config.lane(lane).is_some_and(|lane| lane.kind == crate::view::LaneKind::Staffed);
                self.pay(lane, crate::page::Method::Cash { given }, amount, staffed)
            }
            StaffRequest::SettleLate { tender, reason } => self.settle_late(tender, by, &reason),
            StaffRequest::Finish {} => self.finish_even(lane),
            StaffRequest::Resume { transaction } => self.resume(lane, transaction, Some(by.staff)),
            StaffRequest::Shift(request) => self.shift(lane, by, request),
            StaffRequest::Return(request) => self.returns(lane, by, request),
            StaffRequest::Reprint {} => {
                self.facts.lane(lane).last_sale.as_ref().ok_or(Refused::NothingHere)?;
                self.print_last(lane, true, false);
                Ok(())
            }
            StaffRequest::OverridePrice { line, unit_price, reason } => {
                self.override_price(lane, line, unit_price, by, &reason)
            }
            StaffRequest::Note { line, text } => self.note(lane, line, &text, by),
            StaffRequest::VoidTransaction { reason } => self.void_by_staff(lane, by, &reason),
            StaffRequest::SetTare { tare_g } => self.set_tare(lane, tare_g),
            StaffRequest::EnrolFace { text_version, text_sha256, age, guardian, until_utc_ms } => {
                let wish = Enrolment { text_version, text_sha256, age, guardian, until_utc_ms };
                self.enrol_face(lane, by, wish)
            }
            StaffRequest::MemberData {} => self.show_data(lane, Some(by.staff)),
            StaffRequest::ReopenFace {} => self.reopen_face(lane, by),
            StaffRequest::DisputeFacePay { reason } => self.dispute_face_pay(lane, &by, &reason),
            StaffRequest::Attend {} => {
                self.attend(lane, by);
                Ok(())
            }
            StaffRequest::MuteBagging { reason } => self.mute_bagging(lane, by, &reason),
            StaffRequest::EndHelp {} => self.end_help(lane, by.staff),
            StaffRequest::DayClose {} => by.at_least(Role::Supervisor).and_then(|()| self.day_close(lane)),
            StaffRequest::AcceptTerminal {} => self.accept_terminal(lane, by),
            StaffRequest::CloseTerminal {} => self.close_terminal(lane, &by),
            StaffRequest::PrintDay {} => self.print_day(lane),
        }
    }

    fn tick(&mut self) {
        let lanes: Vec<LaneId> = self.live.lanes.keys().copied().collect();
        for lane in lanes {
            self.tender_tick(lane);
            self.face_tick(lane);
            self.camera_tick(lane);
            self.confirm_tick(lane);
            self.weigh_tick(lane);
            self.claim_tick(lane);
            self.idle_tick(lane);
            self.bag_tick(lane);
            self.attend_tick(lane);
        }
        self.late_tick();
    }
}
