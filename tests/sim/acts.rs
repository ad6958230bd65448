//! What the script says, done: people at the lanes, and faults let loose.

use crate::hq::Crash;
use crate::outside::{End, Happening};
use crate::script::{Broker, Do, Fault, Hq, What};
use crate::shop::{BOX, CARD, CODES, LANES, WALLETS, device};
use crate::world::World;
use aisle_hq::pay::order_no;
use anyhow::Result;
use checkout::Input;
use checkout::device::{DeviceEvent, Scan};
use checkout::page::{Method, PageRequest, ReturnRequest, StaffRequest};
use checkout::scan::Printed;
use checkout::tender::{TaskState, refund_of};
use checkout::view::{LaneView, Phase, TenderKind};
use checkout::words::{DeviceId, LaneId, LineNo, Money, RequestId, Role, StaffId};

const HOUR: i64 = 3_600_000;

impl World {
    pub fn act(&mut self, what: What) -> Result<()> {
        self.out.say(|| what.to_string());
        match what {
            What::StaffLook => self.staff_look(),
            What::Shop(lane, what) => {
                if self.process.is_none() {
                    self.out.count("shoppers at a till without power");
                    return Ok(());
                }
                let input = self.shop(lane, what);
                self.turn(vec![input])
            }
            What::Fails(fault) => self.fails(fault),
        }
    }

    fn fails(&mut self, fault: Fault) -> Result<()> {
        let out = &mut self.out;
        match fault {
            Fault::Power { gap } => out.ending = Some((gap, End::Power)),
            Fault::Kill { gap } => out.ending = Some((gap, End::Kill)),
            Fault::Disk { nth, power } => {
                let end = if power { End::Power } else { End::Kill };
                if out.drive.is_file() {
                    out.disk_end = end;
                    out.drive.arm(nth, power);
                } else {
                    out.ending = Some((nth % 6, end));
                }
            }
            Fault::Terminal(lane, manner) => drop(out.manners.insert(device("terminal", lane), manner)),
            Fault::Unplugged { device: kind, lane, ms } => {
                let device = device(kind, lane);
                out.count("cables pulled");
                out.unplugged.insert(device.clone());
                out.hangs_up(&device, 0, ms);
            }
            Fault::Broker(fault) => self.network(fault),
            Fault::Hq(fault) => return self.hq(fault),
            Fault::Clock { hours } => {
                out.count("clock jumps");
                self.skew += hours * HOUR;
            }
            Fault::ClockLost => self.clock_lost = true,
            Fault::Full { ms } => {
                out.count("disks full");
                out.drive.fill();
                out.later(ms, Happening::Room);
            }
            Fault::Refuses { nth, room } => out.drive.refuse(nth, room),
            Fault::Copied => {
                if self.is_quiet() && self.is_empty() {
                    self.out.drive.copy();
                }
            }
            Fault::Restored => {
                if self.is_quiet() {
                    self.restore();
                }
            }
        }
        Ok(())
    }

    fn network(&mut self, fault: Broker) {
        self.out.network(fault);
        let restarts = match fault {
            Broker::Breaks => None,
            Broker::Restarts { ms } => Some(ms),
            Broker::Drops { .. }
            | Broker::Doubles { .. }
            | Broker::Delays { .. }
            | Broker::Rewrites { .. }
            | Broker::HoldsBack { .. }
            | Broker::Repeats { .. }
            | Broker::Garbage => return,
        };
        self.out.count(if restarts.is_some() { "brokers restarted, with loss" } else { "connections broken" });
        let both_ways = restarts.is_some() || self.out.random.one_in(2);
        self.out.line_breaks(both_ways);
        if let Some(ms) = restarts {
            self.out.broker = false;
            self.out.later(ms, Happening::BrokerStarts);
        }
        if let Some(process) = &mut self.process {
            process.port.disconnected();
            let wait = 1_000 + self.out.random.below(4_000);
            self.out.later(wait, Happening::Connect);
            self.flow();
        }
    }

    fn hq(&mut self, fault: Hq) -> Result<()> {
        let out = &mut self.out;
        match fault {
            Hq::CrashesBefore { .. } => out.hq.crash = Some(Crash::Before),
            Hq::CrashesAfter { .. } => out.hq.crash = Some(Crash::After),
            Hq::DiskCrash { nth } => out.hq.arm(nth),
            Hq::Down { ms } => {
                out.count("headquarters away");
                out.hq.stop();
                out.later(ms, Happening::HqStarts);
            }
            Hq::Copied => {
                if out.hq.is_up() {
                    out.hq.copy();
                }
            }
            Hq::Restored => {
                out.hq.stop();
                if out.hq.restore()? {
                    out.count("headquarters restored from an older copy");
                    out.say(|| "headquarters' database is put back to an older copy".into());
                    self.hq_restored = true;
                }
                out.hq.start()?;
                out.at_hq(None)?;
            }
        }
        Ok(())
    }

    /// No money is on its way, and none stands in an open basket: what a lost disk knew of that nobody could know.
    fn is_quiet(&self) -> bool {
        let Some(facts) = self.facts() else { return false };
        let open = facts.lanes.values().filter_map(|lane| lane.open.as_ref());
        open.flat_map(|open| &open.tenders).next().is_none()
    }

    /// No basket is on the copy: its goods would be sold, and sold again from it under the same id.
    fn is_empty(&self) -> bool {
        let Some(facts) = self.facts() else { return false };
        facts.suspended.is_empty() && facts.lanes.values().all(|lane| lane.open.is_none())
    }

    fn restore(&mut self) {
        self.process = None;
        self.out.forget_process();
        self.out.drive.stop(false);
        if let Some(lost) = self.out.drive.restore() {
            self.out.count("disks restored from an older copy");
            self.out.say(|| format!("an older copy takes the disk's place: {} rows are gone", lost.len()));
            self.lost.extend(lost);
            self.restores += 1;
        }
        self.out.later(2_000, Happening::Start);
    }

    fn lanes(&self) -> Vec<LaneView> {
        let process = self.process.as_ref();
        process.map(|process| process.core.store().view(&self.out.shelf).lanes).unwrap_or_default()
    }

    fn lane(&self, lane: u16) -> Option<LaneView> {
        self.lanes().into_iter().find(|view| view.lane.0 == lane)
    }

    fn shop(&mut self, lane: u16, what: Do) -> Input {
        let amount = |part: bool| part.then_some(Money(150));
        let what = match what {
            Do::Scan(_) if self.wants_wallet_code(lane) => {
                let code = WALLETS[self.out.random.pick(WALLETS.len())];
                return scan(lane, code);
            }
            Do::Scan(code) => return scan(lane, CODES[code].1),
            Do::Coupon(serial) => {
                return scan(lane, &Printed::Coupon.code(&format!("cola.{serial}")).expect("a coupon's code"));
            }
            Do::KeyCard => PageRequest::Key { code: CARD.into() },
            Do::Card { part } => PageRequest::Pay { method: Method::Card, amount: amount(part) },
            Do::Wallet { part } => PageRequest::Pay { method: Method::Wallet, amount: amount(part) },
            Do::Points { part } => PageRequest::Pay { method: Method::Points, amount: amount(part) },
            Do::Cash { part } => {
                return self.staff(lane, StaffRequest::TakeCash { given: Money(100_000), amount: amount(part) });
            }
            Do::Void => PageRequest::VoidTransaction {},
            Do::StaffVoid => return self.staff(lane, StaffRequest::VoidTransaction { reason: "left".into() }),
            Do::VoidLine => PageRequest::VoidLine { line: LineNo(1) },
            Do::Three => PageRequest::SetQuantity { line: LineNo(1), quantity: 3 },
            Do::BringBack => {
                let request = self.brought_back(lane);
                return self.staff(lane, StaffRequest::Return(request));
            }
            Do::AnswerStaff => {
                let intervention = self.facts().map_or(0, |facts| facts.interventions);
                let request = StaffRequest::Answer { intervention, approved: true, reason: String::new() };
                return self.staff(lane, request);
            }
            Do::Suspend => PageRequest::Suspend {},
            Do::Resume => {
                let waiting = self.facts().and_then(|facts| facts.suspended.keys().next().cloned());
                let Some(transaction) = waiting else { return scan(lane, CODES[0].1) };
                return self.staff(lane, StaffRequest::Resume { transaction });
            }
            Do::Reprint => return self.staff(lane, StaffRequest::Reprint {}),
            Do::CloseDay => return self.staff(lane, StaffRequest::DayClose {}),
            Do::Help => PageRequest::CallHelp {},
        };
        Input::Page { lane: LaneId(lane), request: RequestId(0), what }
    }

    fn wants_wallet_code(&self, lane: u16) -> bool {
        let tender = self.lane(lane).and_then(|view| view.tender);
        tender.is_some_and(|tender| tender.kind == TenderKind::Wallet && tender.tender.is_none())
    }

    /// A step of goods brought back: the receipt, a line of it, the money.
    fn brought_back(&mut self, lane: u16) -> ReturnRequest {
        let Some(at) = self.lane(lane) else { return ReturnRequest::Leave {} };
        match (&at.found, at.due < Money::ZERO) {
            (_, true) => ReturnRequest::Refund { in_cash: self.out.random.one_in(4) },
            (Some(_), false) => ReturnRequest::Line { line: LineNo(1), quantity: 1 },
            (None, false) => {
                let sales = self.out.shelf.sales.len();
                let sold = (sales > 0).then(|| self.out.random.pick(sales));
                let sold = sold.map(|sold| self.out.shelf.sales[sold].sale.transaction.0.clone());
                ReturnRequest::Find { code: sold.unwrap_or_default() }
            }
        }
    }

    fn staff(&self, lane: u16, request: StaffRequest) -> Input {
        let what = PageRequest::Staff { staff: StaffId("s-1".into()), role: Role::Supervisor, request };
        Input::Page { lane: LaneId(lane), request: RequestId(0), what }
    }

    /// Where the machines could not tell, a person reads the display and says what it shows.
    pub fn staff_look(&mut self) -> Result<()> {
        self.out.hq_ticks()?;
        self.late_by_hand()?;
        for lane in LANES {
            let Some(view) = self.lane(lane).filter(|view| view.phase == Phase::Staff) else { continue };
            let Some(waits) = view.tender else { continue };
            let Some(tender) = waits.tender else { continue };
            let terminals = || self.out.terminals.values();
            if terminals().any(|terminal| terminal.is_at_work(&tender)) {
                continue;
            }
            let mut taken = terminals().any(|terminal| terminal.did(&tender));
            taken |= self.out.hq.wallets.did(&order_no(BOX, &tender)) || self.by_hand.contains_key(&tender);
            // Whoever sees that a refund was not made makes it, or lets it be.
            if waits.amount.0 < 0 && !taken && !self.out.random.one_in(3) {
                self.by_hand.insert(tender.clone(), (waits.kind, -waits.amount.0));
                taken = true;
            }
            self.out.count("doubts resolved by a person");
            self.out.say(|| format!("staff read the display for lane {lane}: taken is {taken}"));
            let reason = "read at the terminal".into();
            let input = self.staff(lane, StaffRequest::ResolveTender { tender, taken, reason, amount: None });
            self.turn(vec![input])?;
        }
        Ok(())
    }

    /// What arrived late and headquarters does not give back a person does.
    fn late_by_hand(&mut self) -> Result<()> {
        let tasks = self.facts().map(|facts| facts.late.tasks.clone()).unwrap_or_default();
        for (tender, task) in tasks.into_iter().filter(|(_, task)| task.state == TaskState::Staff) {
            self.by_hand.insert(refund_of(&tender), (task.kind, task.amount.0));
            self.out.count("late payments given back by a person");
            let input = self.staff(task.lane.0, StaffRequest::SettleLate { tender, reason: "given back".into() });
            self.turn(vec![input])?;
        }
        Ok(())
    }
}

fn scan(lane: u16, code: &str) -> Input {
    let event = DeviceEvent::Scan(Scan { aim: None, data: code.as_bytes().to_vec() });
    Input::Device { device: DeviceId(format!("scanner-{lane}")), event }
}
