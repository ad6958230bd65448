//! A whole store in virtual time, with a power cut possible at every gap: money taken equals money charged,
//! every receipt number once, and what HQ acknowledged is what the box has. A store that performs effects before it commits is caught.

use crate::common::{COLA, MEMBER, NOODLES, PEARS, SPIRITS, Shelf, giving_back, in_chunks, scan, sold};
use crate::machines::{Provider, Terminal};
use crate::points;
use checkout::basket::BasketEvent;
use checkout::config::StoreConfig;
use checkout::device::Weight;
use checkout::device::{DeviceCommand, DeviceEvent, PrinterEvent, TerminalCommand};
use checkout::event::{Event, Record};
use checkout::page::{Method, PageRequest, ReturnRequest, StaffRequest};
use checkout::sale::Sale;
use checkout::store::{HqInput, PortStatus};
use checkout::tender::{TaskState, TenderEvent, TenderState, refund_of};
use checkout::view::{Phase, TenderKind};
use checkout::wire::{Answer, Question};
use checkout::words::{DeviceId, Grams, LaneId, LineNo, Money, Mono, Now, RequestId, Role, TenderId, Utc};
use checkout::{Effect, Input, Step, Store};
use std::collections::BTreeMap;

const SEEDS: u64 = 1_000;
const LANES: [u16; 2] = [1, 2];

#[test]
fn a_thousand_stores_with_power_cuts_take_exactly_the_money_they_record() {
    let mut cuts = 0;
    let mut sales = 0;
    let mut late = 0;
    let (mut split, mut by_hand, mut by_card, mut by_wallet, mut burnt) = (0, 0, 0, 0, 0);
    for seed in 1..=SEEDS {
        let mut world = World::new(seed, Order::CommitFirst);
        world.trade(150);
        world.settle();
        world.check().unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        cuts += world.cuts;
        sales += world.terminal_money().1;
        split += world.journal.iter().filter_map(sale).filter(|sale| sale.tenders.len() > 1).count() as u64;
        by_hand += u64::from(!world.by_hand.is_empty());
        by_card += world.terminal_money().2;
        by_wallet += world.wallets.money().1;
        late += world.store.facts().late.tasks.len();
        burnt += world
            .journal
            .iter()
            .filter_map(sale)
            .filter_map(|sale| sale.points)
            .map(|points| points.burnt)
            .sum::<u64>();
    }
    println!("given back: {by_card} times by terminals, {by_wallet} to wallets, in {by_hand} stores by hand");
    assert!(split > SEEDS && by_hand > SEEDS / 20, "{split} sales in parts, {by_hand} stores gave money back by hand");
    assert!(by_card > SEEDS / 4 && by_wallet > SEEDS / 20, "{by_card} refunds by terminals, {by_wallet} to wallets");
    println!("{late} payments arrived late and went back");
    assert!(late > 25, "{late} payments arrived late");
    assert!(burnt > SEEDS, "{burnt} points burnt");
    println!("{SEEDS} stores, {cuts} power cuts, {sales} card payments captured");
    assert!(cuts > SEEDS && sales > SEEDS / 2, "the test must cut ({cuts}) and sell ({sales})");
}

#[test]
fn a_store_that_acts_before_it_commits_is_caught() {
    let caught = (1..=SEEDS).find(|seed| {
        let mut world = World::new(*seed, Order::EffectsFirst);
        world.trade(150);
        world.settle();
        world.check().is_err()
    });
    assert!(caught.is_some(), "{SEEDS} seeds did not catch a store that charges before it commits");
}

/// Points, and terminals that give money back.
fn rules() -> StoreConfig {
    StoreConfig { lanes: giving_back().lanes, ..points::rules() }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Order {
    CommitFirst,
    EffectsFirst,
}

struct World {
    random: Random,
    order: Order,
    clock: u64,
    shelf: Shelf,
    store: Store,
    /// What is on disk.
    journal: Vec<Record>,
    /// What HQ has committed.
    at_hq: Vec<Record>,
    terminals: BTreeMap<DeviceId, Terminal>,
    wallets: Provider,
    /// Given back by a person, whoever was told of it.
    by_hand: BTreeMap<TenderId, (&'static str, i64)>,
    queue: BTreeMap<(u64, u64), Input>,
    serial: u64,
    cuts: u64,
    calm: bool,
}

impl World {
    fn new(seed: u64, order: Order) -> Self {
        let mut random = Random::new(seed);
        let terminal = |lane: u16| (DeviceId(format!("terminal-{lane}")), Terminal::new(&mut random));
        let terminals = LANES.map(terminal).into();
        let mut world = Self {
            random,
            order,
            clock: 1_000,
            shelf: points::shelf(),
            store: Store::new(rules()),
            journal: Vec::new(),
            at_hq: Vec::new(),
            terminals,
            wallets: Provider::default(),
            by_hand: BTreeMap::new(),
            queue: BTreeMap::new(),
            serial: 0,
            cuts: 0,
            calm: false,
        };
        world.boot();
        world
    }

    fn trade(&mut self, actions: u32) {
        for _ in 0..actions {
            let input = self.shopper();
            self.turn(vec![input]);
            let until = self.clock + self.random.below(4_000);
            self.run_until(until);
            if self.random.one_in(8) {
                self.staff_looks();
            }
            if self.random.one_in(8) {
                self.news();
            }
        }
    }

    /// Everything works again: all that is in flight must come to an end.
    fn settle(&mut self) {
        self.calm = true;
        self.boot();
        for _ in 0..40 {
            self.run_until(self.clock + 20_000);
            self.staff_looks();
            self.news();
        }
        let at = self.clock;
        self.sync();
        self.run_until(at + 1_000);
    }

    fn run_until(&mut self, until: u64) {
        loop {
            let tick = self.store.deadline().map(|(at, _)| at.0);
            let next = self.queue.keys().next().map(|(at, _)| *at);
            let Some(at) = [tick, next].into_iter().flatten().min().filter(|at| *at <= until) else {
                break;
            };
            self.clock = self.clock.max(at);
            let mut inputs: Vec<Input> = Vec::new();
            if tick.is_some_and(|tick| tick <= self.clock) {
                inputs.push(Input::Tick);
            }
            while inputs.len() < 64
                && let Some(key) = self.queue.keys().next().copied().filter(|(at, _)| *at <= self.clock)
            {
                inputs.extend(self.queue.remove(&key));
            }
            self.turn(inputs);
        }
        self.clock = self.clock.max(until);
    }

    /// Drain, step each, commit, act; the power may go at each gap.
    fn turn(&mut self, inputs: Vec<Input>) {
        let mut step = Step::default();
        for input in inputs {
            self.store.step(self.now(), input, &self.shelf, &mut step);
        }
        let Step { events, effects } = step;
        if self.order == Order::EffectsFirst {
            for effect in effects.clone() {
                if self.cut() {
                    return;
                }
                self.perform(effect);
            }
        }
        if self.cut() {
            return;
        }
        self.shelf.sales.extend(events.iter().filter_map(sold));
        self.journal.extend(events);
        if self.order == Order::CommitFirst {
            for effect in effects {
                if self.cut() {
                    return;
                }
                self.perform(effect);
            }
        }
        if self.random.one_in(4) {
            self.sync();
        }
        self.cut();
    }

    fn cut(&mut self) -> bool {
        if self.calm || !self.random.one_in(60) {
            return false;
        }
        self.cuts += 1;
        self.boot();
        true
    }

    fn boot(&mut self) {
        self.queue.clear();
        self.clock += 500 + self.random.below(5_000);
        for terminal in self.terminals.values_mut() {
            terminal.connection_lost();
        }
        let mut store = Store::new(rules());
        for record in &self.journal {
            store.apply(record);
        }
        self.store = store;
        self.later(0, Input::Boot { version: "test".into(), nonce: self.clock });
        for lane in LANES {
            for kind in ["scanner", "scale", "terminal", "printer"] {
                let delay = self.random.below(1_500);
                self.later(
                    1 + delay,
                    Input::Port { device: DeviceId(format!("{kind}-{lane}")), status: PortStatus::Up },
                );
            }
        }
        let delay = self.random.below(3_000);
        self.later(2 + delay, Input::Hq(HqInput::Online(true)));
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Device { device, command: DeviceCommand::Terminal(command) } => self.terminal(&device, command),
            Effect::Device { device, command: DeviceCommand::ReadWeight { .. } } => {
                let grams = Grams(100 + u32::try_from(self.random.below(2_000)).unwrap_or(0));
                self.later(300, Input::Device { device, event: DeviceEvent::Weight(Weight::Stable(grams)) });
            }
            Effect::Device { device, command: DeviceCommand::Print(job) } => {
                let transaction = job.document.id().clone();
                self.later(
                    700,
                    Input::Device { device, event: DeviceEvent::Printer(PrinterEvent::Printed { transaction }) },
                );
            }
            Effect::Device {
                command:
                    DeviceCommand::Beep(_)
                    | DeviceCommand::Trigger(_)
                    | DeviceCommand::Show(_)
                    | DeviceCommand::Light(_)
                    | DeviceCommand::Face(_),
                ..
            }
            | Effect::Reply { .. }
            | Effect::Control(_) => {}
            Effect::Ask { what, .. } => self.provider(what),
        }
    }

    fn terminal(&mut self, device: &DeviceId, command: TerminalCommand) {
        let (hang, luck, delay) =
            (!self.calm && self.random.one_in(12), self.random.below(10), 200 + self.random.below(3_000));
        let terminal = self.terminals.get_mut(device).expect("every terminal of the configuration exists");
        let events = terminal.told(command, luck);
        if hang {
            // The line breaks before the answer: what was not acknowledged is taken back, what was under way is not heard.
            terminal.connection_lost();
            self.queue.retain(|_, input| {
                !matches!(input, Input::Device { device: of, event: DeviceEvent::Terminal(_) } if of == device)
            });
            let down = PortStatus::Down { reason: "hung up".into() };
            self.later(delay, Input::Port { device: device.clone(), status: down });
            self.later(delay + 1_500, Input::Port { device: device.clone(), status: PortStatus::Up });
            return;
        }
        for event in events {
            self.later(delay, Input::Device { device: device.clone(), event: DeviceEvent::Terminal(event) });
        }
    }

    fn provider(&mut self, what: Question) {
        let (request_lost, answer_lost) = (!self.calm && self.random.one_in(8), !self.calm && self.random.one_in(6));
        if request_lost {
            return;
        }
        let luck = self.random.below(6);
        let Some((tender, outcome)) = self.wallets.told(what, luck) else { return };
        if !answer_lost {
            let delay = 100 + self.random.below(2_000);
            self.later(delay, Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
        }
    }

    /// What headquarters tells unasked; the way may lose it, so it is told again.
    fn news(&mut self) {
        let luck = self.random.one_in(16);
        for (tender, outcome) in self.wallets.news(luck) {
            if self.calm || !self.random.one_in(3) {
                let delay = 100 + self.random.below(2_000);
                self.later(delay, Input::Hq(HqInput::Answer(Answer::Wallet { tender, outcome })));
            }
        }
    }

    fn shopper(&mut self) -> Input {
        let lane = LANES[usize::from(self.random.one_in(2))];
        let code = [COLA, NOODLES, SPIRITS, PEARS, MEMBER, "135790246813579024", "4006381333931"][self.random.pick(7)];
        if self.random.one_in(3) && self.wants_wallet_code(lane) {
            return scan(lane, "135790246813579024");
        }
        // Every other payment is for a part.
        let amount = self.random.one_in(2).then_some(Money(150));
        let what = match self.random.below(12) {
            0..=4 => return scan(lane, code),
            5 | 6 => PageRequest::Pay { method: Method::Card, amount },
            7 if self.random.one_in(3) => PageRequest::Pay { method: Method::Points, amount },
            7 => PageRequest::Pay { method: Method::Wallet, amount },
            8 if self.random.one_in(3) => {
                return self.staff(lane, StaffRequest::VoidTransaction { reason: "left".into() });
            }
            8 if self.random.one_in(2) => {
                let request = self.brought_back(lane);
                return self.staff(lane, StaffRequest::Return(request));
            }
            8 if self.random.one_in(4) => PageRequest::VoidTransaction {},
            8 => PageRequest::VoidLine { line: LineNo(1) },
            9 => PageRequest::SetQuantity { line: LineNo(1), quantity: 3 },
            10 => {
                return self.staff(lane, StaffRequest::TakeCash { given: Money(100_000), amount });
            }
            _ => {
                let asked = self.store.facts().interventions;
                return self
                    .staff(lane, StaffRequest::Answer { intervention: asked, approved: true, reason: String::new() });
            }
        };
        Input::Page { lane: LaneId(lane), request: RequestId(0), what }
    }

    fn wants_wallet_code(&self, lane: u16) -> bool {
        let view = self.store.view(&self.shelf);
        let tender = view.lanes.into_iter().find(|view| view.lane.0 == lane).and_then(|view| view.tender);
        tender.is_some_and(|tender| tender.kind == TenderKind::Wallet && tender.tender.is_none())
    }

    /// A step of goods brought back: the receipt, a line of it, the money.
    fn brought_back(&mut self, lane: u16) -> ReturnRequest {
        let view = self.store.view(&self.shelf);
        let at = view.lanes.iter().find(|view| view.lane.0 == lane).expect("the lane is configured");
        match (&at.found, at.due < Money::ZERO) {
            (_, true) => ReturnRequest::Refund { in_cash: false },
            (Some(_), false) => ReturnRequest::Line { line: LineNo(1), quantity: 1 },
            (None, false) => {
                let sold = self.random.pick(self.shelf.sales.len().max(1) as u64);
                let code = self.shelf.sales.get(sold).map(|sold| sold.sale.transaction.0.clone());
                ReturnRequest::Find { code: code.unwrap_or_default() }
            }
        }
    }

    fn staff(&self, lane: u16, request: StaffRequest) -> Input {
        let what =
            PageRequest::Staff { staff: checkout::words::StaffId("s-1".into()), role: Role::Supervisor, request };
        Input::Page { lane: LaneId(lane), request: RequestId(0), what }
    }

    /// Where the machines could not tell, a person reads the terminal and says what it shows.
    fn staff_looks(&mut self) {
        self.late_by_hand();
        for lane in LANES {
            let view = self.store.view(&self.shelf);
            let Some(found) = view.lanes.iter().find(|view| view.lane.0 == lane && view.phase == Phase::Staff) else {
                continue;
            };
            let Some((tender, kind, amount)) =
                found.tender.as_ref().and_then(|tender| Some((tender.tender.clone()?, tender.kind, tender.amount.0)))
            else {
                continue;
            };
            let terminals = || self.terminals.values();
            if terminals().any(|terminal| terminal.is_at_work(&tender)) {
                continue;
            }
            let mut taken = self.wallets.did(&tender) || terminals().any(|terminal| terminal.did(&tender));
            taken |= self.by_hand.contains_key(&tender);
            // Whoever sees that a refund was not made makes it, or lets it be.
            if amount < 0 && !taken && !self.random.one_in(3) {
                self.by_hand.insert(tender.clone(), (name_of(kind), -amount));
                taken = true;
            }
            let request =
                StaffRequest::ResolveTender { tender, taken, reason: "read at the terminal".into(), amount: None };
            let input = self.staff(lane, request);
            self.turn(vec![input]);
        }
    }

    /// What arrived late and headquarters does not give back a person does.
    fn late_by_hand(&mut self) {
        let tasks = &self.store.facts().late.tasks;
        let staff = tasks.iter().filter(|(_, task)| task.state == TaskState::Staff);
        let staff: Vec<_> = staff.map(|(tender, task)| (tender.clone(), task.lane, task.kind, task.amount)).collect();
        for (tender, lane, kind, amount) in staff {
            self.by_hand.insert(refund_of(&tender), (name_of(kind), amount.0));
            let input = self.staff(lane.0, StaffRequest::SettleLate { tender, reason: "given back".into() });
            self.turn(vec![input]);
        }
    }

    /// Sends what HQ has not acknowledged; HQ keeps it once.
    fn sync(&mut self) {
        let acked = self.at_hq.len();
        self.at_hq.extend_from_slice(self.journal.get(acked..).unwrap_or_default());
    }

    fn check(&self) -> Result<(), String> {
        self.check_money()?;
        points::moved_once(&self.journal, self.store.facts())?;
        let (facts, _) = in_chunks(self.store.config().clone(), &self.journal, 64);
        if facts != *self.store.facts() {
            return Err("rows that pass without a trace had left one".into());
        }
        self.check_receipts()?;
        if self.at_hq != self.journal {
            return Err("HQ does not have what the box has".into());
        }
        let flying = self.store.facts().lanes.values().filter_map(|lane| lane.open.as_ref());
        let flying = flying
            .flat_map(|open| &open.tenders)
            .find(|tender| !matches!(tender.state, TenderState::Approved | TenderState::Declined));
        flying.map_or(Ok(()), |tender| Err(format!("{} never came to an end: {:?}", tender.id, tender.state)))
    }

    /// Per kind of tender: what was taken from shoppers equals what the journal says stands.
    fn check_money(&self) -> Result<(), String> {
        for sale in self.journal.iter().filter_map(sale) {
            let paid: i64 = sale.tenders.iter().map(|tender| tender.amount.0).sum();
            if paid != sale.total.0 + sale.rounding.0 {
                return Err(format!("{} sold for {} and paid with {paid}", sale.transaction, sale.total.0));
            }
        }
        let stands = self.stands();
        for record in &self.journal {
            let Event::Basket(BasketEvent::Voided { transaction, .. }) = &record.event else { continue };
            let of_it = stands.iter().filter(|(tender, _)| tender.transaction() == *transaction);
            let kept: i64 = of_it.map(|(_, (_, amount))| amount).sum();
            if kept != 0 {
                return Err(format!("{transaction} was given up and kept {kept}"));
            }
        }
        // What a person gave back is in the journal as a payment of a negative amount, and in no machine.
        let mut recorded: BTreeMap<&str, i64> = BTreeMap::new();
        for (kind, amount) in self.by_hand.values() {
            *recorded.entry(*kind).or_default() += amount;
        }
        for (kind, amount) in stands.values() {
            *recorded.entry(name_of(*kind)).or_default() += amount;
        }
        let cards = recorded.get("card").copied().unwrap_or(0);
        let wallets = recorded.get("wallet").copied().unwrap_or(0);
        let (provider, _) = self.wallets.money();
        if cards != self.terminal_money().0 {
            return Err(format!("terminals took {} and the journal says {cards}", self.terminal_money().0));
        }
        if wallets != provider {
            return Err(format!("the provider took {provider} and the journal says {wallets}"));
        }
        match self.store.facts().late.owed() {
            Money::ZERO => Ok(()),
            owed => Err(format!("{} that arrived late has not gone back", owed.0)),
        }
    }

    /// Every payment the journal says stands, and for how much.
    fn stands(&self) -> BTreeMap<TenderId, (TenderKind, i64)> {
        let (mut asked, mut stands) = (BTreeMap::new(), BTreeMap::new());
        for record in &self.journal {
            let Event::Tender(event) = &record.event else { continue };
            match event {
                TenderEvent::Started { tender, kind, amount, .. } => drop(asked.insert(tender, (*kind, amount.0))),
                TenderEvent::Approved { tender, amount, .. } => {
                    stands.insert(tender.clone(), (asked[tender].0, amount.0));
                }
                TenderEvent::Resolved { tender, taken: true, amount, .. } => {
                    let (kind, all) = asked[tender];
                    stands.insert(tender.clone(), (kind, amount.map_or(all, |amount| amount.0)));
                }
                TenderEvent::LateApproved { tender, kind, amount, .. } => {
                    let one = stands.insert(tender.clone(), (*kind, amount.0));
                    assert!(one.is_none(), "{tender} was taken twice");
                }
                TenderEvent::LateRefunded { tender, amount, .. } => {
                    let refund = refund_of(tender);
                    let one = stands.insert(refund, (stands[tender].0, -amount.0));
                    assert!(one.is_none(), "{tender} went back twice");
                }
                TenderEvent::LateSettled { tender, .. } => {
                    let (kind, amount) = stands[tender];
                    let one = stands.insert(refund_of(tender), (kind, -amount));
                    assert!(one.is_none(), "{tender} went back twice");
                }
                TenderEvent::CardAnswered { .. }
                | TenderEvent::Rounded { .. }
                | TenderEvent::Declined { .. }
                | TenderEvent::InDoubt { .. }
                | TenderEvent::GivingUp { .. }
                | TenderEvent::TerminalChanged { .. }
                | TenderEvent::TerminalAccepted { .. }
                | TenderEvent::TerminalOnline { .. }
                | TenderEvent::TerminalClosed(_)
                | TenderEvent::LateToStaff { .. }
                | TenderEvent::HandedToStaff { .. }
                | TenderEvent::Resolved { .. }
                | TenderEvent::SlipPrinted { .. }
                | TenderEvent::TerminalUsed { .. }
                | TenderEvent::TerminalSeen { .. } => {}
            }
        }
        stands
    }

    fn check_receipts(&self) -> Result<(), String> {
        for lane in LANES {
            let of_lane = self.journal.iter().filter(|record| record.lane == Some(LaneId(lane)));
            let numbers = of_lane.filter_map(sale).map(|sale| sale.receipt.0);
            if !numbers.eq(1..=self.store.facts().lanes[&LaneId(lane)].receipts) {
                return Err(format!("receipt numbers of lane {lane} have a gap or a double"));
            }
        }
        Ok(())
    }

    /// Money the terminals hold, how many payments it came from, and how many times they gave some back.
    fn terminal_money(&self) -> (i64, u64, u64) {
        let each = self.terminals.values().map(Terminal::money);
        each.fold((0, 0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1, sum.2 + one.2))
    }

    fn later(&mut self, delay: u64, input: Input) {
        self.serial += 1;
        self.queue.insert((self.clock + delay, self.serial), input);
    }

    fn now(&self) -> Now {
        Now {
            mono: Mono(self.clock),
            utc: Utc(1_790_000_000_000 + i64::try_from(self.clock).unwrap_or(0)),
            offset_min: 480,
        }
    }
}

fn sale(record: &Record) -> Option<&Sale> {
    if let Event::Basket(BasketEvent::Completed(sale)) = &record.event { Some(sale) } else { None }
}

fn name_of(kind: TenderKind) -> &'static str {
    match kind {
        TenderKind::Card => "card",
        TenderKind::Cash => "cash",
        TenderKind::Wallet => "wallet",
        TenderKind::Points => "points",
        TenderKind::Gift => "gift",
        TenderKind::MemberWallet => "member wallet",
    }
}

/// SplitMix64: one seed, one story.
pub struct Random(u64);

impl Random {
    /// Neighbouring seeds must not be neighbouring places of one sequence.
    pub fn new(seed: u64) -> Self {
        Self(Self(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub fn pick(&mut self, n: u64) -> usize {
        usize::try_from(self.below(n)).expect("small")
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
